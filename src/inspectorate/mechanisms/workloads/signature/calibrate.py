"""How far an approved workload may stray: thresholds from enrolled runs that were held out, one by one.

1. The library without the references of a run gives its distances to its own workload, as it would those of a run that was never
   enrolled. Coordinates and scales stay those of all runs (`Library.without` says why): they know the run, a little.
2. A run counts once, by the largest distance that any of its units reached in any block: `maxima`. Windows and units of one run
   are not independent.
3. A threshold for a rate r of deviations per device-hour: with runs of T hours a share q = r T of runs may exceed it, so it is the
   floor(q (n + 1))-th largest of n maxima. A next run, exchangeable with them, exceeds it with probability at most q. Where that is
   less than the first, the largest maximum is all there is: it supports 1 / ((n + 1) T) per device-hour, and no less.
4. The runs of the claimed workload alone decide where they suffice for the rate. Otherwise the runs of all workloads that were
   enrolled on the meter are pooled: distances are in units of what is usual for each workload, and that these are alike is an
   assumption, which is told.

The library of use has a run more, so distances in use are rather smaller than in calibration.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inspectorate.mechanisms.workloads.signature.library import BLOCK_DEFAULT, Library, Reference


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """One run as it looks to a library that does not know it."""

    run: str
    workload: str
    largest: float
    mean: float
    hours: float
    """How long it was observed, in windows."""


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """Above `distance` a block deviates."""

    distance: float
    per_device_hour: float
    """The rate of deviations of approved workloads that it supports."""
    runs: int
    run_hours: float
    pooled: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """Held-out runs of all workloads of one library."""

    held_out: tuple[HeldOut, ...]
    without: Mapping[str, Library]
    """By run: a library that does not know it."""

    def of(self, workload: str) -> tuple[HeldOut, ...]:
        return tuple(one for one in self.held_out if one.workload == workload)

    def threshold(self, workload: str, *, per_device_hour_max: float) -> Threshold | None:
        """The threshold for a workload at an agreed rate; None if no run of any workload could be held out."""
        own = self.of(workload)
        for pooled, runs in ((False, own), (True, self.held_out)):
            found = _threshold(runs, per_device_hour_max, pooled)
            if found is not None and found.per_device_hour <= per_device_hour_max * (1 + 1e-9):
                return found
        return _threshold(self.held_out, per_device_hour_max, True)


def calibrate(
    references: Sequence[Reference], *, names: tuple[str, ...], window_s: float, block: int = BLOCK_DEFAULT
) -> Calibration:
    """Hold out each run of `references` once (steps 1 and 2). A workload with a single run is not among the held out."""
    library = Library.fit(references, names=names, block=block)
    found: list[HeldOut] = []
    without: dict[str, Library] = {}
    for run in sorted(_runs(references)):
        rest = library.without(run)
        if rest is None:
            continue
        held = held_out(rest, [one for one in references if one.run == run], window_s=window_s)
        if held is not None:
            found.append(held)
            without[run] = rest
    return Calibration(held_out=tuple(found), without=without)


def held_out(library: Library, parts: Sequence[Reference], *, window_s: float) -> HeldOut | None:
    """One run, given by its units, against a library that does not know it; None if nothing of it was observed."""
    place = library.workloads.index(parts[0].workload)
    every = [library.distances(part.values, whole=True)[:, place] for part in parts]
    seen = [distances[np.isfinite(distances)] for distances in every]
    seen = [distances for distances in seen if len(distances)]
    if not seen:
        return None
    return HeldOut(
        run=parts[0].run,
        workload=parts[0].workload,
        largest=max(float(distances.max()) for distances in seen),
        mean=max(float(distances.mean()) for distances in seen),
        hours=max(int(np.isfinite(part.values).any(axis=1).sum()) for part in parts) * window_s / 3600,
    )


def _threshold(runs: Sequence[HeldOut], per_device_hour_max: float, pooled: bool) -> Threshold | None:
    """Step 3."""
    if not runs:
        return None
    hours = float(np.mean([one.hours for one in runs]))
    count = len(runs)
    allowed = math.floor(min(per_device_hour_max * hours, 1.0) * (count + 1) + 1e-9)
    rank = min(max(allowed, 1), count)
    largest = sorted((one.largest for one in runs), reverse=True)
    return Threshold(
        distance=largest[rank - 1],
        per_device_hour=rank / ((count + 1) * hours),
        runs=count,
        run_hours=hours,
        pooled=pooled,
    )


def _runs(references: Sequence[Reference]) -> dict[str, str]:
    """The workload of each run. Raises `ValueError` if one run is said to be of two."""
    found: dict[str, str] = {}
    for one in references:
        if found.setdefault(one.run, one.workload) != one.workload:
            raise ValueError(f"run {one.run} is of two workloads")
    return found
