"""Runs of our own recordings of accelerators (`docs/accelerator.md`): a folder with `chip.parquet`, `runs.jsonl`, `manifest.json`;
or a folder of such folders, each of which is a session.

- The table holds one session from its first poll to its last; a run is the stretch in which its steps were repeated. Preparation,
  warming up and the pauses between runs are part of no run.
- The first `SETTLE_S` of a run are left out: what a driver shows as power is a mean over the second before.
- Hardware counters answer every second or third poll, with the mean since they answered last: polls before one have its value, for
  up to `COUNTED_S`.
- Runs that failed are no runs. Disguised training is training, under the name of its disguise.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from inspectorate.canonical import Record, Text
from inspectorate.errors import EvidenceError, InputError
from inspectorate.files import read_bounded
from inspectorate.mechanisms.workloads.evaluate.load_mlperf import Selection
from inspectorate.mechanisms.workloads.evaluate.load_tables import Labels, runs_of
from inspectorate.mechanisms.workloads.evaluate.reference import FILE_BYTES_MAX, RUNS_MAX
from inspectorate.mechanisms.workloads.evaluate.runs import Dropped, Kind, Run, without_duplicates
from inspectorate.mechanisms.workloads.telemetry.frame import Samples
from inspectorate.mechanisms.workloads.telemetry.table import read_table

SETTLE_S = 1.0
COUNTED_S = 0.25
COUNTED = ("engine_busy_share", "sm_busy_share", "tensor_busy_share", "dram_busy_share")
SESSIONS_MAX = 64
TABLE, RUNS, MANIFEST = "chip.parquet", "runs.jsonl", "manifest.json"
Moment = Annotated[int, Field(ge=0, lt=2**63)]


class Recorded(Record):
    """What one run was. Times in nanoseconds since 1970; FLOP by rule."""

    id: Text
    workload: Text
    kind: Kind
    family: Text
    disguise: str = ""
    claims: str = ""
    """The honest workload that a disguised run claims to be."""
    seed: int
    event: Literal["done", "failed"]
    fault: str = ""
    seconds_asked: float
    begun_ns: Moment = 0
    start_ns: Moment = 0
    end_ns: Moment = 0
    steps: int = 0
    flop_training: float = 0.0
    flop_other: float = 0.0
    memory_bytes_max: int = 0
    probe_flop_counted: float | None = None
    probe_flop_by_rule: float | None = None
    facts: dict[str, Any] = Field(default_factory=dict)


def read_recorded(folder: Path) -> tuple[Recorded, ...]:
    """All runs of a recording, failed ones too. Raises `InputError`."""
    path = folder / RUNS
    found = []
    for number, line in enumerate(read_bounded(path, FILE_BYTES_MAX).decode("utf-8", "replace").splitlines(), 1):
        where = f"{path}, line {number}"
        if number > RUNS_MAX:
            raise InputError(f"more than {RUNS_MAX} runs", where=str(path))
        found.append(Recorded.parse(_json(line, where), where=where, error=InputError))
    return tuple(found)


def read_accelerator(folder: Path, selection: Selection, signals: tuple[str, ...]) -> tuple[tuple[Run, ...], Dropped]:
    """The runs of all sessions. Raises `InputError`."""
    runs: list[Run] = []
    short = empty = 0
    for session in sessions(folder):
        found, dropped = _of_session(session, selection, signals)
        runs += found
        short, empty = short + dropped.short, empty + dropped.empty
    kept, copies = without_duplicates(runs)
    return kept, Dropped(duplicates=copies, short=short, empty=empty)


def sessions(folder: Path) -> tuple[Path, ...]:
    """The recordings that a folder holds, or is. Raises `InputError` where there is none."""
    if (folder / MANIFEST).exists():
        return (folder,)
    found = tuple(sorted(path.parent for path in folder.glob(f"*/{MANIFEST}")))[:SESSIONS_MAX]
    if not found:
        raise InputError(f"holds no {MANIFEST}, and no folder with one", where=str(folder))
    return found


def _of_session(folder: Path, selection: Selection, signals: tuple[str, ...]) -> tuple[list[Run], Dropped]:
    hardware = _hardware(folder / MANIFEST)
    if not selection.wants(hardware, "AC"):
        return [], Dropped()
    runs: list[Run] = []
    short = empty = 0
    try:
        samples = counted(without(read_table(folder / TABLE), selection.without))
        for one in read_recorded(folder):
            if one.event != "done":
                continue
            part = between(samples, one.start_ns + round(SETTLE_S * 1e9), one.end_ns)
            if not len(part):
                empty += 1
            elif int(part.time_ns.max()) - int(part.time_ns.min()) < selection.least_s * 1e9:
                short += 1
            else:
                runs += runs_of(part, _labels(one, hardware, folder.name), selection, signals)
    except EvidenceError as fault:
        raise InputError(fault.problem, where=fault.where or str(folder), remedy=fault.remedy) from None
    return runs, Dropped(short=short, empty=empty)


def without(samples: Samples, names: tuple[str, ...]) -> Samples:
    """What a meter would show that does not have these columns. Raises `InputError` on a name that is none of them."""
    for name in names:
        if name not in samples.signals:
            raise InputError(f"has no {name}; it has {', '.join(samples.signals)}", where=TABLE)
    kept = [place for place, name in enumerate(samples.signals) if name not in names]
    return replace(samples, signals=tuple(samples.signals[place] for place in kept), values=samples.values[:, kept])


def counted(samples: Samples) -> Samples:
    """Hardware counters at the polls that their values cover."""
    values = samples.values.copy()
    for unit in range(len(samples.units)):
        rows = np.flatnonzero(samples.unit == unit)
        for place in (place for place, name in enumerate(samples.signals) if name in COUNTED):
            shown = rows[np.isfinite(values[rows, place])]
            if not len(shown):
                continue
            after = shown[np.minimum(np.searchsorted(shown, rows), len(shown) - 1)]
            wait_ns = samples.time_ns[after] - samples.time_ns[rows]
            near = (wait_ns >= 0) & (wait_ns <= COUNTED_S * 1e9)
            values[rows[near], place] = values[after[near], place]
    return replace(samples, values=values)


def between(samples: Samples, start_ns: int, end_ns: int) -> Samples:
    """The rows of a stretch of time."""
    inside = np.flatnonzero((samples.time_ns >= start_ns) & (samples.time_ns < end_ns))
    return replace(samples, time_ns=samples.time_ns[inside], unit=samples.unit[inside], values=samples.values[inside])


def _labels(one: Recorded, hardware: str, session: str) -> Labels:
    return Labels(
        file=f"{session}/{one.id}",
        workload=one.workload,
        kind=one.kind,
        family=one.family,
        hardware=hardware,
        session=session,
        job=f"{session}/{one.id}",
        disguise=one.disguise,
        claims=one.claims,
    )


def _hardware(path: Path) -> str:
    manifest = _json(read_bounded(path, FILE_BYTES_MAX).decode("utf-8", "replace"), str(path))
    try:
        name = manifest["session"]["chip"]["name"]
    except (KeyError, TypeError):
        raise InputError("does not say which chip was recorded", where=str(path)) from None
    if not isinstance(name, str) or not 0 < len(name) <= 200:
        raise InputError("the chip has no name", where=str(path))
    return name


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise InputError(f"is no JSON: {str(fault)[:200]}", where=where) from None
