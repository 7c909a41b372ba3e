"""What the integrity checks look at: one quantity of one unit over time, as it was sampled.

Rules: times rise strictly, values are finite. What a frame has no value for is left out, so that a series of a meter with gaps
is shorter, not filled up: no check ever compares what was not measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.workloads.telemetry.frame import Frame, Times, Values

Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Series:
    """One signal of one unit of one meter. Raises `ValueError` where times do not rise or a value is not finite."""

    name: str
    time_ns: Times
    values: Values

    def __post_init__(self) -> None:
        if self.time_ns.shape != self.values.shape or self.values.ndim != 1:
            raise ValueError(f"{self.name}: {self.time_ns.shape} times do not fit {self.values.shape} values")
        if len(self.time_ns) > 1 and not bool(np.all(np.diff(self.time_ns) > 0)):
            raise ValueError(f"{self.name}: times must rise")
        if not bool(np.all(np.isfinite(self.values))):
            raise ValueError(f"{self.name}: a value that is not finite is no measurement")

    def __len__(self) -> int:
        return len(self.values)

    @property
    def seconds(self) -> Values:
        """Times [s] from the first sample on."""
        since: Values = (self.time_ns - self.time_ns[0]) / 1e9 if len(self.time_ns) else np.zeros(0)
        return since

    def part(self, start: int, stop: int) -> Series:
        return Series(name=self.name, time_ns=self.time_ns[start:stop], values=self.values[start:stop])


def series_of(frame: Frame, signal: str, *, meter: str) -> tuple[Series, ...]:
    """The measured values of one signal, per unit, named METER/UNIT. Empty if the signal is not measured."""
    if signal not in frame.signals:
        return ()
    dense, times = frame.of(signal), frame.time_ns
    found = []
    for i, unit in enumerate(frame.units):
        there = np.isfinite(dense[:, i])
        if there.any():
            values = dense[there, i].astype(np.float64)
            found.append(Series(name=f"{meter}/{unit}", time_ns=times[there], values=values))
    return tuple(found)


def as_series(name: str, seconds: Sequence[float] | Values, values: Sequence[float] | Values) -> Series:
    """A series from plain seconds (`ordered`)."""
    at = np.round(np.asarray(seconds, dtype=np.float64) * 1e9).astype(np.int64)
    return ordered(name, at, np.asarray(values, dtype=np.float64))


def ordered(name: str, time_ns: Times, values: Values) -> Series:
    """A series from samples as they came: of several at one time the first is kept; what is not finite is left out."""
    there = np.isfinite(values)
    at, what = time_ns[there], values[there]
    order = np.argsort(at, kind="stable")
    at, what = at[order], what[order]
    first = np.concatenate(([True], np.diff(at) > 0)) if len(at) else np.zeros(0, dtype=np.bool_)
    return Series(name=name, time_ns=at[first], values=what[first])


def grid_step(values: Values) -> float:
    """The step of the grid on which values lie: the largest of which nearly all differences are multiples; 0 if none.

    Tried are the smallest differences that occur. A float32 that came from a decimal has an error of 6e-8 of its size, which
    counts as lying on the grid.
    """
    if len(values) < 2:
        return 0.0
    levels = np.unique(values)
    if len(levels) < 2:
        return 0.0
    slack = 4e-7 * float(np.max(np.abs(levels))) + 1e-12
    apart = np.diff(levels)
    apart = apart[apart > 2 * slack]
    if not len(apart):
        return 0.0
    offsets = levels[1:] - levels[0]
    for smallest in np.quantile(apart, [0.0, 0.02, 0.1]):
        for divisor in (1.0, 2.0, 3.0, 5.0):
            step = _refined(np.concatenate((apart, offsets)), float(smallest) / divisor)
            if step <= 8 * slack:
                continue
            rest = np.abs(offsets - step * np.round(offsets / step))
            if np.mean(rest <= 2 * slack + 1e-3 * step) >= 0.995:
                return step
    return 0.0


def _refined(apart: Values, step: float) -> float:
    """The step that fits multiples best, from near ones on to far ones: an error of the step grows with the multiple."""
    reach = 1.5
    while reach < float(apart.max()) / step * 4:
        near = apart[apart <= reach * step]
        times = np.round(near / step)
        if times.any():
            step = float(near @ times / (times @ times))
        reach *= 3
    return step


def noise_scale(values: Values, window: int = 15) -> Values:
    """The local scale of innovations around each sample: a running median of absolute differences, as a standard deviation
    of the noise of one sample. Shape like `values`.
    """
    if len(values) < 2:
        return np.zeros(len(values))
    change = np.abs(np.diff(values))
    padded = np.concatenate((change[:1], change))
    if len(padded) < window:
        local = np.full(len(padded), float(np.median(change)))
    else:
        middle = np.median(np.lib.stride_tricks.sliding_window_view(padded, window), axis=1)
        before = window // 2
        local = np.concatenate((np.full(before, middle[0]), middle, np.full(window - 1 - before, middle[-1])))
    scale: Values = local / (0.6745 * np.sqrt(2.0))
    return scale
