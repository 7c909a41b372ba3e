"""Make the data set of a recording session: `OUT` of `work_accelerator_record` in, a folder that `workloads evaluate` reads out.

    python -m inspectorate.lab.work_accelerator_land --from OUT --to examples/accelerator-NAME/SESSION

1. Every statement of the spool is verified against the session's public key, chains are checked to be whole, and every payload is
   read by the reader that a review uses. What was signed for and is not there ends the landing.
2. Chips lose their serial numbers (`chip-0`), hosts their kernel's name, faults their paths. Nothing else is changed: no sample is
   dropped, moved or filled.
3. `manifest.json` says what each file is, with its SHA-256, what was recorded how, and what is not in it.

The data set: `chip.parquet` and `host.parquet` (tables of samples, from the first poll to the last), `runs.jsonl` (what ran when:
the truth, for scoring), `noise.json` and `noise.parquet` where there are any.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import shutil
import tarfile
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence.envelope import verify_envelope
from inspectorate.evidence.stream import order_segments, segment_of
from inspectorate.keys import Holder, Role, TrustAnchor, TrustAnchors
from inspectorate.mechanisms.workloads.telemetry.frame import Samples
from inspectorate.mechanisms.workloads.telemetry.payload import read_segment, together
from inspectorate.mechanisms.workloads.telemetry.report import ReadReport
from inspectorate.mechanisms.workloads.telemetry.table import write_table
from inspectorate.quantities import Period
from inspectorate.submission import read_spool

METERS = ("chip", "host")
YEARS = timedelta(days=3_650)
"""How far from now a session may lie."""
KEPT_OF_RUN = (
    "id", "workload", "kind", "family", "disguise", "claims", "seed", "event", "fault", "seconds_asked", "begun_ns", "start_ns",
    "end_ns", "steps", "flop_training", "flop_other", "memory_bytes_max", "probe_flop_counted", "probe_flop_by_rule", "facts",
)  # fmt: skip
COLUMNS = {
    "chip.parquet": "time_ns, unit, one column a signal, in the unit that ends its name; null: not shown at that poll",
    "host.parquet": "the same of two sets of processes: `work` (the session with all its processes) and `recorder`, part of it",
    "runs.jsonl": "one run a line; begun_ns: preparation began; start_ns to end_ns: steps were repeated; flop_*: by rule, over the "
    "repeated steps; probe_flop_*: of one representative part, counted by torch and by the same rule",
    "noise.json": "weights: distance to the reference way after 1, 5 and 20 steps; states: difference to the first reading; "
    "products: FLOP a second of matrix products",
    "noise.parquet": "per reading and symbol: the 128 largest of the last hidden state and the 32 largest logits, with places",
}
NOT_IN_IT = (
    "other cards, several chips, links between chips, a second meter of the same load, a power meter of the machine",
    "models that were trained for long: weights are random and of realistic shape, but for the noise's, trained for 150 steps",
    "other people's software: every workload is code of this package, in eager mode but for captured decoding steps",
    "runs longer than seconds: slow disguises (`slow-ramp`), daily rhythm, drift, faults",
    "the statements themselves: they name the card's serial number; they were verified when this was made",
)
_PATH = re.compile(r"(?<![\w.])/[\w.\-/]+")


def verified(spool: Path, public_key: bytes) -> tuple[dict[str, Samples], dict[str, int]]:
    """Samples of every meter, and counts (step 1). Raises `EvidenceError`."""
    envelopes, payloads = read_spool(spool)
    now = datetime.now(UTC)
    ever = Period(start=now - YEARS, end=now + YEARS)
    anchor = TrustAnchor(name="meters", public_key=base64.b64encode(public_key).decode(), holder=Holder.VERIFIER,
                         roles=(Role.SENSOR,), sensors=METERS, valid_from=ever.start, valid_until=ever.end)  # fmt: skip
    anchors = TrustAnchors(anchors=(anchor,))
    segments = [segment_of(verify_envelope(envelope, anchors=anchors, where="spool")) for envelope in envelopes]
    streams, problems = order_segments(segments, sensors=set(METERS), period=ever)
    if problems:
        raise EvidenceError(f"{len(problems)} problems, the first: {problems[0]}", where="spool")
    found: dict[str, Samples] = {}
    for stream in streams:
        report = ReadReport()
        parts = []
        for segment in stream.segments:
            if segment.payload not in payloads:
                raise EvidenceError(f"the payload of segment {segment.sequence} is not there", where=stream.sensor)
            parts.append(read_segment(payloads[segment.payload], segment.media_type, report=report))
            if len(parts[-1]) != segment.entries:
                raise EvidenceError(f"segment {segment.sequence} holds other than was signed for", where=stream.sensor)
        found[stream.sensor] = together(parts)
    return found, {"statements": len(envelopes), "polls_dropped": sum(one.dropped for one in segments)}


def anonymous(samples: Samples) -> Samples:
    """Chips by their place."""
    return replace(samples, units=tuple(f"chip-{place}" for place in range(len(samples.units))))


def runs_of(path: Path, claims: dict[str, str]) -> list[dict[str, Any]]:
    """Runs as they are kept (step 2)."""
    found = []
    for line in path.read_text().splitlines():
        run = json.loads(line)
        run["claims"] = claims.get(run["workload"], "")
        if "fault" in run:
            run["fault"] = _PATH.sub("…", str(run["fault"]))[:200]
        found.append({name: run[name] for name in KEPT_OF_RUN if name in run})
    return found


def session_of(path: Path) -> dict[str, Any]:
    """What is kept of the session: no kernel, no serial number."""
    session: dict[str, Any] = json.loads(path.read_text())
    session.pop("units", None)
    session.get("probed", {}).pop("units", None)
    for part in ("host", "stack"):
        (session.get(part) or {}).pop("kernel", None)
    (session.get("recorder") or {}).pop("out", None)
    return session


def land(source: Path, target: Path, *, claims: dict[str, str], commit: str) -> dict[str, Any]:
    """Write the data set into the new folder `target`; its manifest."""
    if target.exists():
        raise InputError("is there already", where=str(target), remedy="name a new folder")
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(source / "spool.tar.gz") as tar:
            tar.extractall(folder, filter="data")
        samples, counts = verified(Path(folder) / "spool", (Path(folder) / "meter.pub").read_bytes())
    target.mkdir(parents=True)
    for meter, rows in samples.items():
        (target / f"{meter}.parquet").write_bytes(write_table(anonymous(rows) if meter == "chip" else rows))
    runs = runs_of(source / "runs.jsonl", claims)
    (target / "runs.jsonl").write_text("".join(json.dumps(run, sort_keys=True) + "\n" for run in runs))
    for name in ("noise.json", "noise.parquet"):
        if (source / name).exists():
            shutil.copyfile(source / name, target / name)
    if (target / "noise.json").exists():
        noise = json.loads((target / "noise.json").read_text())
        noise["stack"].pop("kernel", None)
        noise["failed"] = {name: _PATH.sub("…", text) for name, text in noise["failed"].items()}
        (target / "noise.json").write_text(json.dumps(noise, indent=1, sort_keys=True) + "\n")
    manifest = {
        "name": target.name,
        "licence": "Apache-2.0",
        "made_by": "inspectorate.lab.work_accelerator_record, then inspectorate.lab.work_accelerator_land",
        "commit": commit,
        "recorded_by": "inspectorate collect telemetry: meter `chip` (nvml:), meter `host` (linux:), signed and chained",
        "verified": counts | {f"samples_{meter}": len(rows) for meter, rows in samples.items()},
        "signals": {meter: _shown(rows) for meter, rows in samples.items()},
        "runs": {event: sum(run["event"] == event for run in runs) for event in ("done", "failed")},
        "session": session_of(source / "session.json"),
        "columns": {name: text for name, text in COLUMNS.items() if (target / name).exists()},
        "not_in_it": NOT_IN_IT,
        "files": {
            path.name: {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
            for path in sorted(target.iterdir())
        },
    }
    (target / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    return manifest


def _shown(samples: Samples) -> dict[str, float]:
    """The share of rows in which each signal has a value."""
    there = np.isfinite(samples.values).mean(axis=0) if len(samples) else np.zeros(len(samples.signals))
    return {name: round(float(share), 4) for name, share in zip(samples.signals, there, strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="source", type=Path, required=True)
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--commit", default="", help="Of the tree that recorded.")
    args = parser.parse_args()
    manifest = land(args.source, args.to, claims=CLAIMS, commit=args.commit)
    print(json.dumps({name: manifest[name] for name in ("verified", "signals", "runs", "files")}, indent=1))


CLAIMS = {
    "throttling": "serve-middle",
    "padding": "prefill",
    "valley-filling": "prefill",
    "fused-updates": "prefill",
    "batch-games": "decode-many",
    "time-slicing": "serve-middle",
    "micro-batches": "serve-middle",
    "rare-bursts": "serve-middle",
    "paced-arrivals": "serve-middle",
    "evaluation-job": "score",
    "forward-only": "score",
}
"""Disguise -> the honest workload that it claims to be, as in `accelerator_disguised`, which needs torch."""


if __name__ == "__main__":
    main()
