"""The alarm of a stream of distances: from enrolled runs only, at a rate of false alarms that was set beforehand.

1. Distances to the claimed workload are centred on that workload's own enrolled runs, each scored by a fit that had not seen
   it, and divided by the spread of all workloads of the hardware; in logarithms where all are above 0, since they are ratios.
   Where a workload has fewer than `RUNS_MIN` such runs, the centre is that of all.
2. The statistic rests on the last `TRAILING_WINDOWS` windows, whoever judges them: starts, ends and pauses of honest work last
   for a window or two, other work lasts. Of distances that rest on one window each it is the median; a distance that itself
   rests on so many is taken as it is. Windows without an answer are passed over.
3. The threshold belongs to a rate of alarms per device-hour. It is pooled over the workloads of the hardware, since no
   workload has enough runs for a threshold of its own.
   a. If the enrolled runs are long enough to hold `COUNTED_MIN` false alarms at that rate, it is counted from them.
   b. Otherwise it is extrapolated: the largest values of the runs beyond their median are taken as exponential, and the
      threshold is the predictive quantile for one more run, (1 + t / (n m))^-n for n excesses of mean m. The answer says that
      it was extrapolated, and from how many hours.
4. Alarms less than `ALARM_REST_S` apart are one alarm.

Nothing of a run that is tested enters its threshold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from inspectorate.mechanisms.workloads.evaluate.folds import Scored
from inspectorate.mechanisms.workloads.evaluate.reference import (
    ALARM_REST_S,
    TAIL_SHARE,
    TRAILING_WINDOWS,
)

Floats = NDArray[np.float64]
RUNS_MIN = 2
COUNTED_MIN = 2.0
SPREAD_MIN = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class Stream:
    """The statistic of one run under one claim: when each value is known (seconds since the start), and the values."""

    known_s: Floats
    values: Floats
    hours: float
    family: str

    @property
    def highest(self) -> float:
        return float(self.values.max()) if len(self.values) else -math.inf

    def alarms(self, threshold: float) -> tuple[float, ...]:
        """Times of alarms: crossings, without those that follow another within the rest."""
        found: list[float] = []
        last = -math.inf
        for moment in self.known_s[self.values > threshold].tolist():
            if moment - last > ALARM_REST_S:
                found.append(moment)
            last = moment
        return tuple(found)


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """A threshold and what it rests on."""

    value: float
    extrapolated: bool
    hours: float
    runs: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Scale:
    """Centre of each claim and one spread, from enrolled runs that were held out."""

    centre: Mapping[str, float]
    middle: float
    spread: float
    ratio: bool
    """Distances are compared in logarithms."""

    @classmethod
    def of(cls, calibration: Sequence[Scored]) -> Scale:
        """Raises `ValueError` if no enrolled run could be scored against its own workload."""
        raw: dict[str, list[Floats]] = {}
        for one in calibration:
            distances = one.to(one.one.run.workload)
            if distances is not None and np.isfinite(distances).any():
                raw.setdefault(one.one.run.workload, []).append(distances[np.isfinite(distances)])
        if not raw:
            raise ValueError("no enrolled run was scored against its own workload")
        ratio = all(float(values.min()) > 0 for found in raw.values() for values in found)
        parts = {name: [np.log(values) if ratio else values for values in found] for name, found in raw.items()}
        middle = float(np.median(np.concatenate([values for found in parts.values() for values in found])))
        centre = {
            name: float(np.median(np.concatenate(found))) for name, found in parts.items() if len(found) >= RUNS_MIN
        }
        rest = np.concatenate([values - centre.get(name, middle) for name, found in parts.items() for values in found])
        spread = max(float(np.median(np.abs(rest))), SPREAD_MIN)
        return cls(centre=centre, middle=middle, spread=spread, ratio=ratio)

    def stream(self, one: Scored, claim: str) -> Stream | None:
        """The statistic of a run under a claim; none if the claim was not enrolled or no window was answered."""
        distances = one.to(claim)
        if distances is None:
            return None
        good = np.isfinite(distances)
        if not good.any():
            return None
        values = distances[good]
        if self.ratio:
            values = np.log(np.maximum(values, np.finfo(np.float64).tiny))
        values = (values - self.centre.get(claim, self.middle)) / self.spread
        length = min(max(1, TRAILING_WINDOWS - one.span + 1), len(values))
        return Stream(
            known_s=one.one.start_s[good][length - 1 :] + one.one.window_s,
            values=np.median(sliding_window_view(values, length), axis=1),
            hours=one.one.run.hours,
            family=one.one.run.family,
        )


def own_streams(scale: Scale, scores: Sequence[Scored]) -> list[Stream]:
    """Streams of runs under their true claim, of those that have one."""
    found = (scale.stream(one, one.one.run.workload) for one in scores)
    return [stream for stream in found if stream is not None]


def threshold_for(streams: Sequence[Stream], rate: float) -> Threshold:
    """The threshold for a rate of alarms per device-hour. Raises `ValueError` without a stream or at a rate that is not above 0."""
    if not streams or rate <= 0:
        raise ValueError("a threshold needs streams and a rate above 0")
    hours = sum(stream.hours for stream in streams)
    peaks = np.sort([stream.highest for stream in streams])
    if hours * rate >= COUNTED_MIN:
        return Threshold(value=_counted(streams, hours * rate), extrapolated=False, hours=hours, runs=len(streams))
    return Threshold(value=_extrapolated(peaks, hours, rate), extrapolated=True, hours=hours, runs=len(streams))


def _counted(streams: Sequence[Stream], most: float) -> float:
    """The least of the values that appear above which there is, with one more, at most this number of alarms."""
    values = np.unique(np.concatenate([stream.values for stream in streams]))
    low, high = 0, len(values) - 1
    while low < high:
        middle = (low + high) // 2
        count = sum(len(stream.alarms(float(values[middle]))) for stream in streams)
        low, high = (low, middle) if count + 1 <= most else (middle + 1, high)
    return float(values[low])


def _extrapolated(peaks: Floats, hours: float, rate: float) -> float:
    base = float(np.quantile(peaks, 1 - TAIL_SHARE))
    beyond = peaks[peaks > base] - base
    if not len(beyond):
        return float(peaks[-1])
    count = len(beyond)
    rarer = max(1.0, count / hours / rate)
    reached = base + count * float(beyond.mean()) * (rarer ** (1 / count) - 1)
    return float(max(reached, peaks[-1]))
