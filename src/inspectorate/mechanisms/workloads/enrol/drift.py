"""Whether later telemetry has moved away from the enrolled runs. A report, never an adaptation.

1. The telemetry is cut into stretches as long as the median enrolled run; each is a run for this purpose.
2. Every run is a point: its profile's level, each feature divided by the spread between enrolled runs, or where that is less by
   the standard error of a level within runs, so that a feature that never differed cannot count without bound. Features that
   do not vary at all are left out.
3. The distance of a run is that to the nearest point on a line between two enrolled runs (root mean square over features), of the
   `NEIGHBOURS` that are nearest to it: operation between two settings that were enrolled is near, whichever they were. The
   enrolled runs' own distances, each to lines between the others, are what is usual.
4. A stretch that is further than every enrolled run is *outside*. Were n enrolled runs and m stretches exchangeable, at least k
   stretches would be outside with probability C(m, k) / C(n + m, k): the k strangest of all would have to be stretches. If that is
   at most `DRIFT_CHANCE_MAX`, re-enrolment is recommended; whether it is drift, other software or another workload, only an
   inspector can say. Stretches of one operation share its day, so this is a guide and no alarm: one stretch alone never suffices.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from inspectorate.canonical import Record, Text
from inspectorate.mechanisms.workloads.enrol import reference
from inspectorate.mechanisms.workloads.enrol.profile import Profile, spread_of
from inspectorate.quantities import NonNegative, Period, Share

Floats = NDArray[np.float64]
FEATURES_SHOWN = 3
NEIGHBOURS = 32
DISTANCE_MAX = 1e12
"""What has nothing in common with the enrolled runs is this far away."""


class Stretch(Record):
    """One stretch of later telemetry."""

    period: Period
    distance: NonNegative = Field(description="to the nearest point between enrolled runs, in units of the spread")
    nearest: Text
    outside: bool
    furthest: tuple[Text, ...] = Field(description="the features that differ most from that point, with how much")


class Drift(Record):
    """How later telemetry lies to the enrolled runs."""

    stretches: tuple[Stretch, ...]
    skipped: tuple[Text, ...] = Field(default=(), description="stretches that could not be looked at, and why")
    usual: NonNegative = Field(description="the largest distance of an enrolled run to the others")
    outside: int
    chance: Share = Field(description="that as many lie outside, were enrolled runs and stretches alike")
    recommends_enrolment: bool
    because: Text


def stretches_of(period: Period, runs: Sequence[Period]) -> tuple[Period, ...]:
    """Step 1: whole stretches of the median length of runs, from the start of the period; at most a bounded number."""
    length = float(np.median([run.duration_s for run in runs]))
    count = min(int(period.duration_s / length + 1e-9), reference.DRIFT_STRETCHES_MAX)
    step = timedelta(seconds=length)
    return tuple(Period(start=period.start + i * step, end=period.start + (i + 1) * step) for i in range(count))


def drift_of(
    enrolled: Sequence[Profile], later: Sequence[tuple[Period, Profile]], *, skipped: Sequence[str] = ()
) -> Drift:
    """Steps 2 to 4. Raises `ValueError` on fewer than two enrolled runs."""
    # (2)
    spread = spread_of(enrolled)
    levels = np.array([profile.level for profile in enrolled])
    windows = max(1.0, float(np.mean([len(profile.windows) for profile in enrolled])))
    unit = np.maximum(spread.between, spread.within / np.sqrt(windows))
    used = np.flatnonzero(np.isfinite(unit) & (unit > 0) & np.isfinite(levels).all(axis=0))
    points = levels[:, used] / unit[used]
    # (3)
    usual = max(_nearest(point, np.delete(points, i, axis=0)).distance for i, point in enumerate(points))
    found = []
    for period, profile in later:
        point = profile.level[used] / unit[used]
        near = _nearest(point, points)
        apart = point - near.point
        most = np.argsort(-np.abs(np.nan_to_num(apart)))[:FEATURES_SHOWN]
        found.append(
            Stretch(
                period=period,
                distance=near.distance,
                nearest=enrolled[near.run].run,
                outside=near.distance > usual,
                furthest=tuple(f"{spread.features[used[i]]} {apart[i]:+.1f}" for i in most if np.isfinite(apart[i])),
            )
        )
    # (4)
    outside = sum(one.outside for one in found)
    chance = math.comb(len(found), outside) / math.comb(len(enrolled) + len(found), outside)
    recommends = outside > 0 and chance <= reference.DRIFT_CHANCE_MAX
    return Drift(
        stretches=tuple(found), skipped=tuple(skipped), usual=usual, outside=outside, chance=chance,
        recommends_enrolment=recommends, because=_because(found, outside, len(enrolled), recommends),
    )  # fmt: skip


def _because(found: Sequence[Stretch], outside: int, runs: int, recommends: bool) -> str:
    if not found:
        return "nothing could be compared: no stretch was as long as the enrolled runs and without a gap"
    said = (
        f"{outside} of {len(found)} stretches lie further from the enrolled runs than any of the {runs} from the others"
    )
    return f"{said}: enrol again" if recommends else said


@dataclass(frozen=True, kw_only=True, eq=False)
class _Near:
    """The nearest point between two enrolled runs, and the run that is nearest to it."""

    point: Floats
    run: int
    distance: float


def _nearest(point: Floats, runs: Floats) -> _Near:
    """Step 3, over the features that the point has; one that has none is nowhere near."""
    known = np.flatnonzero(np.isfinite(point))
    whole = np.full(point.shape, np.nan)
    if not known.size:
        return _Near(point=whole, run=0, distance=DISTANCE_MAX)
    here, there = point[known], runs[:, known]
    near = np.argsort(((there - here) ** 2).sum(axis=1), kind="stable")[:NEIGHBOURS]
    one, other = np.triu_indices(len(near))
    begin, along = there[near[one]], there[near[other]] - there[near[one]]
    length2 = (along**2).sum(axis=1)
    share = np.clip(((here - begin) * along).sum(axis=1) / np.where(length2 > 0, length2, 1.0), 0.0, 1.0)
    feet = begin + share[:, None] * along
    distance = np.sqrt(((here - feet) ** 2).mean(axis=1))
    best = int(np.argmin(distance))
    whole[known] = feet[best]
    run = near[one[best]] if share[best] <= 1 / 2 else near[other[best]]
    return _Near(point=whole, run=int(run), distance=min(float(distance[best]), DISTANCE_MAX))
