"""Run the benchmarks named on the command line, or all of them. Exits 1 if any target is missed.

python -m bench                              all, one after the other
python -m bench ledger flows                 some
python -m bench rack_cameras --only lamp     one, with options of its own
"""

from __future__ import annotations

import importlib
import sys
from itertools import takewhile

BENCHMARKS = (
    "ledger", "flows", "collector", "review", "planner", "windows", "telemetry_text", "recorder", "integrity", "attestation",
    "rulesets", "flop_ledger", "licences",
    "interlock", "graphs",
    "replay_training", "replay_memorised",
    "weights_hash", "transcripts", "accelerator", "accelerator_noise", "flop_trace", "flop_hidden",
    "toploc", "replay_inference",
    "code_review",
    "intake_sealing",
    "heard_leads",
    "case_files",
    "interview_draws",
    "interview_consistency", "intake_load",
    "rack_cameras",
    "portfolio",
    "chip_counting", "chip_location",
    "inspection_plans",
    "chip_register",
    "custody_fleet", "custody_rates",
    "seal_photos",
    "covered_clusters", "supply",
)  # fmt: skip


def main() -> int:
    """Run benchmarks one after the other, so that they do not disturb each other."""
    missed = 0
    given = sys.argv[1:]
    named = tuple(takewhile(BENCHMARKS.__contains__, given))
    options = given[len(named) :]
    if options and len(named) != 1:
        print(
            f"{options[0]} is no benchmark; there are {', '.join(BENCHMARKS)}. One of them takes options.",
            file=sys.stderr,
        )
        return 2
    sys.argv = [*sys.argv[:1], *options]
    for name in named or BENCHMARKS:
        print(f"\n== {name} ==", flush=True)
        missed += bool(importlib.import_module(f"bench.{name}").main())
    print(f"\n{missed} benchmarks missed a target" if missed else "\nall targets met")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
