"""How well two series fit one load, without knowledge of other pairs: the raw features of a pair of meters.

Procedure (`match`):

1. The series that follows faster (DC, behind the supply) is averaged as the slower meter averages it (`SMOOTHING_WEIGHTS`).
2. It is laid over the other at every lag up to `LAG_S_MAX`: clocks may be off, and one who forges times would choose the lag.
3. At each lag: the correlation of differences, plain and smoothed, and the spread of what is left of the slower series after
   the faster one was taken off with its best slope. The best over lags counts, for true pairs and forged ones alike.
4. The level: the logarithm of the ratio of the means, at the lag with the least left over.

A pair that does not overlap for `OVERLAP_SAMPLES_MIN` samples has no match. Not here: what counts as a good one (`two_meters`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inspectorate.mechanisms.workloads.integrity import reference
from inspectorate.mechanisms.workloads.integrity.series import Mask, Series
from inspectorate.mechanisms.workloads.telemetry.frame import Values

SLOPE_MIN, SLOPE_MAX = 0.85, 1.25
_CORRELATION_CAP = 0.9999
_LAGS = np.arange(-reference.LAG_S_MAX, reference.LAG_S_MAX + reference.LAG_STEP_S / 2, reference.LAG_STEP_S)


@dataclass(frozen=True, kw_only=True, eq=False)
class Fast:
    """The faster series on a fine grid from its first sample on, plain and smoothed."""

    start_ns: int
    plain: Values
    smoothed: Values


@dataclass(frozen=True, kw_only=True)
class Match:
    """How well two series fit at their best."""

    correlation: float
    """Of differences, at its best lag: the plain method."""
    smoothed: float
    """The same after the faster series was smoothed, as Fisher's z."""
    left_over: float
    """Logarithm of the variance that the faster series leaves of the slower."""
    level: float
    """Logarithm of the ratio of the means, slower per faster."""
    lag_s: float
    """By how much the slower series comes later, where the least is left over."""
    samples: int


def faster(series: Series) -> Fast:
    """Prepare the faster series of many comparisons."""
    at = series.seconds
    grid = np.arange(0.0, float(at[-1]) + reference.LAG_STEP_S / 2, reference.LAG_STEP_S)
    smoothed = np.zeros(len(grid))
    for offset, weight in zip(reference.SMOOTHING_S, reference.SMOOTHING_WEIGHTS, strict=True):
        smoothed += weight / sum(reference.SMOOTHING_WEIGHTS) * np.interp(grid + offset, at, series.values)
    return Fast(start_ns=int(series.time_ns[0]), plain=np.interp(grid, at, series.values), smoothed=smoothed)


def match(slow: Series, fast: Fast, *, offset_s: float | None = None) -> Match | None:
    """The match of a slower series (AC, node, outlet) with a faster one (DC, chips).

    `offset_s`: by how much the faster begins later; by default what their clocks say. None where they hardly overlap.
    """
    if len(slow) < reference.OVERLAP_SAMPLES_MIN:
        return None
    at = slow.seconds
    begins = (fast.start_ns - int(slow.time_ns[0])) / 1e9 if offset_s is None else offset_s
    places = np.rint((at[None, :] - begins - _LAGS[:, None]) / reference.LAG_STEP_S)
    inside: Mask = (places >= 0) & (places < len(fast.plain))
    index = np.clip(places, 0, len(fast.plain) - 1).astype(np.int64)
    seconds = max(reference.LAG_STEP_S, float(np.median(np.diff(at))))
    shorter = min(len(at), len(fast.plain) * reference.LAG_STEP_S / seconds)
    enough = inside.sum(axis=1) >= max(reference.OVERLAP_SAMPLES_MIN, reference.OVERLAP_SHARE_MIN * shorter)
    if not enough.any():
        return None
    plain, smoothed = fast.plain[index], fast.smoothed[index]
    r_plain = np.where(enough, _of_differences(slow.values, plain, inside), -1.0)
    r_smooth = np.where(enough, _of_differences(slow.values, smoothed, inside), -1.0)
    left, levels = _left_over(slow.values, smoothed, inside)
    best = int(np.where(enough, left, np.inf).argmin())
    return Match(
        correlation=float(r_plain.max()),
        smoothed=float(np.arctanh(np.clip(r_smooth.max(), -_CORRELATION_CAP, _CORRELATION_CAP))),
        left_over=float(left[best]),
        level=float(levels[best]),
        lag_s=float(_LAGS[best]),
        samples=int(inside[best].sum()),
    )


def _of_differences(slow: Values, fast: Values, inside: Mask) -> Values:
    """The correlation of differences at each lag, shape (lags,)."""
    both = inside[:, 1:] & inside[:, :-1]
    count = np.maximum(both.sum(axis=1), 1)
    x, y = np.diff(fast, axis=1) * both, np.diff(slow)[None, :] * both
    x = (x - (x.sum(axis=1) / count)[:, None]) * both
    y = (y - (y.sum(axis=1) / count)[:, None]) * both
    found: Values = (x * y).sum(axis=1) / np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1) + 1e-9)
    return found


def _left_over(slow: Values, fast: Values, inside: Mask) -> tuple[Values, Values]:
    """The logarithm of the variance left at each lag, and the level, each of shape (lags,)."""
    count = np.maximum(inside.sum(axis=1), 1)
    mean_slow, mean_fast = (slow * inside).sum(axis=1) / count, (fast * inside).sum(axis=1) / count
    y, x = (slow - mean_slow[:, None]) * inside, (fast - mean_fast[:, None]) * inside
    slope = np.clip((x * y).sum(axis=1) / ((x * x).sum(axis=1) + 1e-9), SLOPE_MIN, SLOPE_MAX)
    rest = y - slope[:, None] * x
    left: Values = np.log((rest * rest).sum(axis=1) / count + 1e-6)
    level: Values = np.log(np.maximum(mean_slow, 1e-9) / np.maximum(mean_fast, 1e-9))
    return left, level
