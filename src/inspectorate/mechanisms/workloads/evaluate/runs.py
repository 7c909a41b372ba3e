"""A run: one measured execution of one workload on one unit, and what it is called.

- A run has a frame of one unit. A job on several nodes is several runs of one *job*; everything of one job stays on one side
  of every split, and so do ranging and repeat of one submission where `job` says so.
- *Workload* is the label that is enrolled and claimed. *Family* groups workloads that are the same program at heart: a
  bootstrap draws families, since workloads of one family are not independent of one another.
- Samples come onto the grid as the mean of what was measured within a step; a step without a sample is NaN. A reading is an
  average over the meter's own interval, so the last one is held for up to one interval where the meter is slower than the grid.

Not done here: reading files (`load`), windows (`prepare`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inspectorate.errors import InputError
from inspectorate.mechanisms.workloads.evaluate.reference import RUNS_MAX, TIMES_MAX, WORKLOADS_MAX
from inspectorate.mechanisms.workloads.telemetry.frame import Frame

Kind = Literal["training", "inference", "idle", "other"]
KINDS: tuple[Kind, ...] = ("training", "inference", "idle", "other")

Seconds = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """One run. Raises `ValueError` where the frame has more than one unit or a name is empty."""

    id: str
    frame: Frame
    workload: str
    kind: Kind
    family: str
    hardware: str
    submitter: str
    session: str
    job: str
    """What this run belongs to; equal for the nodes of one job. Defaults of the loaders: the run itself."""
    disguise: str = ""
    claims: str = ""
    """The honest workload that a disguised run claims to be, where that was said."""

    def __post_init__(self) -> None:
        if len(self.frame.units) != 1:
            raise ValueError(f"run {self.id}: a run is of one unit, not of {len(self.frame.units)}")
        if not (self.id and self.workload and self.hardware and self.job):
            raise ValueError("a run needs an id, a workload, hardware and a job")

    @property
    def hours(self) -> float:
        return self.frame.times * self.frame.step_s / 3600.0


def on_grid(seconds: Seconds, values: NDArray[np.float64], *, step_s: float) -> NDArray[np.float32]:
    """Samples (n,) and their values (n, signals) as the mean of each step, shape (signals, steps, 1), NaN where there is none.

    Times are relative; those before the first sample of the run are none. A value of NaN is no measurement. Raises
    `ValueError` where a run is longer than `TIMES_MAX` steps or has no sample.
    """
    if not len(seconds):
        raise ValueError("a run without a sample")
    order = np.argsort(seconds, kind="stable")
    seconds, values = seconds[order] - seconds[order[0]], values[order]
    place = np.floor(seconds / step_s + 1e-9).astype(np.int64)
    steps = int(place[-1]) + 1
    if steps > TIMES_MAX:
        raise ValueError(f"{steps} steps are more than {TIMES_MAX}")
    own = float(np.median(np.diff(seconds))) if len(seconds) > 1 else step_s
    found = np.full((values.shape[1], steps, 1), np.nan, dtype=np.float32)
    for signal in range(values.shape[1]):
        good = np.isfinite(values[:, signal])
        if not good.any():
            continue
        counts = np.bincount(place[good], minlength=steps)
        sums = np.bincount(place[good], weights=values[good, signal], minlength=steps)
        with np.errstate(invalid="ignore"):
            mean = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
        found[signal, :, 0] = _held(mean, seconds[good], steps, step_s, own)
    return found


def _held(mean: Seconds, seconds: Seconds, steps: int, step_s: float, own_s: float) -> Seconds:
    """Fill a step without a sample by the last value, if that was measured at most one interval of the meter ago."""
    empty = np.flatnonzero(np.isnan(mean))
    middle = (empty + 0.5) * step_s
    last = np.searchsorted(seconds, middle, side="right") - 1
    near = (last >= 0) & (middle - seconds[np.maximum(last, 0)] <= 1.1 * max(own_s, step_s))
    held = mean.copy()
    places = np.floor(seconds[last[near]] / step_s + 1e-9).astype(np.int64)
    held[empty[near]] = mean[np.minimum(places, steps - 1)]
    return held


def frame_of(
    seconds: Seconds, values: NDArray[np.float64], *, signals: Sequence[str], step_s: float, start_ns: int = 0
) -> Frame:
    """The frame of one unit out of its samples. Raises `ValueError`."""
    return Frame(
        units=("unit",),
        signals=tuple(signals),
        start_ns=start_ns,
        step_ns=round(step_s * 1e9),
        values=np.ascontiguousarray(on_grid(seconds, values, step_s=step_s)),
    )


def checked(runs: Sequence[Run], *, where: str) -> tuple[Run, ...]:
    """The runs of one evaluation. Raises `InputError` if there are none, too many, or two of one name."""
    if not runs:
        raise InputError("no run is left to evaluate", where=where, remedy="loosen the selection")
    if len(runs) > RUNS_MAX:
        raise InputError(f"{len(runs)} runs are more than {RUNS_MAX}", where=where)
    names = [run.id for run in runs]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"two runs are called {twice[:120]}", where=where)
    if len({run.workload for run in runs}) > WORKLOADS_MAX:
        raise InputError(f"more than {WORKLOADS_MAX} workloads", where=where)
    return tuple(runs)


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """How many series were left out, and why."""

    duplicates: int = 0
    suspect: int = 0
    short: int = 0
    empty: int = 0


def without_duplicates(runs: Sequence[Run]) -> tuple[tuple[Run, ...], int]:
    """Of runs with the same values only the first, whatever they are called: a copy would sit on both sides of a split."""
    seen: set[bytes] = set()
    kept = []
    for run in runs:
        digest = hashlib.sha256(run.frame.values.tobytes()).digest()
        if digest not in seen:
            seen.add(digest)
            kept.append(run)
    return tuple(kept), len(runs) - len(kept)


_ACCURACY = re.compile(r"-(?:99(?:\.9)?|high|low)(?=/|$)")


def merged_name(workload: str) -> str:
    """The label without MLPerf's accuracy target: `bert-99/server` and `bert-99.9/server` become `bert/server`.

    The rule was fixed before any result was seen: the two differ in numerical precision at most, submissions run the same
    engine for both where it meets the higher target, and some hand in the very same files.
    """
    return _ACCURACY.sub("", workload)


def relabelled(runs: Sequence[Run], names: Mapping[str, str]) -> tuple[Run, ...]:
    """Runs with other workload labels; a label that is not in the mapping stays."""
    return tuple(replace(run, workload=names.get(run.workload, run.workload)) for run in runs)


def merged(runs: Sequence[Run]) -> tuple[Run, ...]:
    """Runs with labels that cannot differ made equal (`merged_name`)."""
    return relabelled(runs, {run.workload: merged_name(run.workload) for run in runs})
