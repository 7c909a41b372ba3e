"""Review of a fleet of 20 sites and 200,000 chips: under 60 s and under 2 GB, with the verdict of every clause.

The bundle is that of `bench.custody_fleet_bundle`, written to disk before the clock starts. The review runs in a process of its
own, whose peak memory is its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

SECONDS_MAX, BYTES_MAX = 60.0, 2_000_000_000
BUILD = """
import json, sys
from pathlib import Path
from bench.custody_fleet_bundle import build
print(json.dumps(build(Path(sys.argv[1]))))
"""
CHILD = """
import json, resource, sys, time
from datetime import UTC, datetime
from pathlib import Path
from inspectorate.agreement import load_agreement
from inspectorate.evidence import Bundle
from inspectorate.keys import TrustAnchors
from inspectorate.review import review
folder = Path(sys.argv[1])
began = time.perf_counter()
anchors = TrustAnchors.read(folder / "anchors.yaml")
bundle = Bundle.open(folder / "bundle", anchors=anchors)
opened = time.perf_counter()
result = review(bundle, agreement=load_agreement(str(folder / "agreement.yaml")), anchors=anchors,
                as_of=datetime(2026, 8, 1, tzinfo=UTC), interval_s=86400.0)
done = time.perf_counter()
usage = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"open_s": opened - began, "review_s": done - opened, "total_s": done - began,
    "cpu_s": usage.ru_utime + usage.ru_stime, "peak_bytes": usage.ru_maxrss * 1024, "problems": len(result.problems),
    "elsewhere": (result.account.elsewhere_flop_max or 0.0) / result.account.capacity_flop,
    "findings": [[f.clause, f.verdict.value, f.reasons[0]] for f in result.findings]}))
"""
ESTABLISHED = (
    "covered-cluster",
    "no-disaggregation",
    "chip-register",
    "counted-chips",
    "sealed-places",
    "challenge-inspections",
)


def main() -> int:
    """Build the bundle, review it in a process of its own, and compare with the limits."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        built = subprocess.run([sys.executable, "-c", BUILD, str(folder)], check=True, capture_output=True, text=True)
        facts = json.loads(built.stdout)
        run = subprocess.run([sys.executable, "-c", CHILD, str(folder)], check=True, capture_output=True, text=True)
    result = json.loads(run.stdout)
    print(
        f"bundle: {facts['chips']:,} chips, {facts['statements']:,} statements, {facts['bytes'] / 1e6:,.1f} MB of payloads"
    )
    print(f"{result['problems']} problems; at most {100 * result['elsewhere']:.2f} % of the capacity is elsewhere")
    wrong = 0
    for clause, verdict, reason in result["findings"]:
        if clause in ESTABLISHED:
            wrong += verdict != "consistent"
            print(f"  {clause}: {verdict}: {reason[:150]}")
    print(
        f"open (every byte checked) {result['open_s']:.2f} s, review {result['review_s']:.2f} s, cpu {result['cpu_s']:.2f} s"
    )
    print(f"{'':24}{'measured':>12}{'limit':>12}{'share':>8}")
    time_share, size_share = result["total_s"] / SECONDS_MAX, result["peak_bytes"] / BYTES_MAX
    print(f"{'wall time [s]':24}{result['total_s']:12.2f}{SECONDS_MAX:12.0f}{time_share:8.2f}")
    print(f"{'peak memory [MB]':24}{result['peak_bytes'] / 1e6:12.0f}{BYTES_MAX / 1e6:12.0f}{size_share:8.2f}")
    return int(time_share > 1 or size_share > 1 or wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
