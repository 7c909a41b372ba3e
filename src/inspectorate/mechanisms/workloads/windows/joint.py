"""Correlations: of two signals of a unit, and of a unit with the mean of the other units of its pod.

Both of levels and of differences between neighbouring steps, over the steps at which both series were measured. NaN with fewer
than `PAIRS_MIN` of them, and where either does not vary. The mean of the others is that of those measured at that step; one that
goes missing moves it, unless nothing but differences is looked at. A unit alone has no synchrony.
"""

from __future__ import annotations

import numpy as np

from inspectorate.mechanisms.workloads.windows.kernel import F32, F64, I64, part
from inspectorate.mechanisms.workloads.windows.reference import LANES, PAIRS_MIN, SPREAD_MIN


@part
def take(raw: F32, differences: bool, into: F64) -> None:
    """A series (n, LANES), or how it differs from the step before; NaN at the first step then."""
    for t in range(raw.shape[0]):
        for i in range(LANES):
            into[t, i] = np.float64(raw[t, i])
            if differences:
                into[t, i] -= np.float64(raw[t - 1, i]) if t > 0 else np.nan


@part
def spread(squares: float, mean: float, count: float) -> float:
    """The sum of squares, or 0 if it is rounding."""
    return squares if squares > count * (SPREAD_MIN * mean) * (SPREAD_MIN * mean) else 0.0


@part
def correlate(one: F64, other: F64, rows: F64, into: F64) -> None:
    """Pearson's correlation of every lane of two arrays (n, LANES)."""
    count, x, y, xx, yy, xy = rows[1], rows[2], rows[3], rows[4], rows[5], rows[6]
    rows[1:7] = 0.0
    n = one.shape[0]
    for t in range(n):
        for i in range(LANES):
            there = one[t, i] * 0.0 + other[t, i] * 0.0 == 0.0
            count[i] += 1.0 if there else 0.0
            x[i] += one[t, i] if there else 0.0
            y[i] += other[t, i] if there else 0.0
    for i in range(LANES):
        x[i] /= count[i]
        y[i] /= count[i]
    for t in range(n):
        for i in range(LANES):
            a, b = one[t, i] - x[i], other[t, i] - y[i]
            there = a * 0.0 + b * 0.0 == 0.0
            xx[i] += a * a if there else 0.0
            yy[i] += b * b if there else 0.0
            xy[i] += a * b if there else 0.0
    for i in range(LANES):
        both = spread(xx[i], x[i], count[i]) * spread(yy[i], y[i], count[i])
        there = both > 0.0 and count[i] >= PAIRS_MIN
        into[i] = min(max(xy[i] / np.sqrt(both), -1.0), 1.0) if there else np.nan


@part
def sum_pods(series: F32, start: int, pod: I64, sums: F64) -> None:
    """Sums over units, and how many there are: `sums` (4, n, pods) of levels, their count, differences, their count."""
    sums[:] = 0.0
    times, units = series.shape
    for t in range(sums.shape[1]):
        at = start + t if start + t < times else start + t - times
        before = at - 1 if at > 0 else times - 1
        for u in range(units):
            value = np.float64(series[at, u])
            if value - value == 0.0:
                sums[0, t, pod[u]] += value
                sums[1, t, pod[u]] += 1.0
            value -= np.float64(series[before, u]) if t > 0 else np.nan
            if value - value == 0.0:
                sums[2, t, pod[u]] += value
                sums[3, t, pod[u]] += 1.0


@part
def mean_of_others(own: F64, sums: F64, pod: I64, into: F64) -> None:
    """The mean of the other units of a lane's pod at each step at which the lane was measured; `sums` (2, n, pods) with counts."""
    for t in range(own.shape[0]):
        for i in range(LANES):
            others = sums[1, t, pod[i]] - 1.0
            into[t, i] = (sums[0, t, pod[i]] - own[t, i]) / others if others > 0.0 else np.nan
