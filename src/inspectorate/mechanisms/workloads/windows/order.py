"""Loading tiles, order statistics and moments.

Quantiles are those of `numpy.quantile(..., method="linear")` in float64 over what was measured.
"""

from __future__ import annotations

import numpy as np

from inspectorate.mechanisms.workloads.windows.kernel import F32, F64, I32, I64, Tile, part
from inspectorate.mechanisms.workloads.windows.reference import LANES

MEAN, STD = 9, 10
"""Rows of the output after the nine order statistics."""
SKEW, BIMODALITY = 11, 12


@part
def load(series: F32, start: I64, unit: I64, tile: Tile) -> None:
    """Lanes from one signal, shape (times, units): lane i is unit[i] from step start[i] on, around the end if need be; -1: none."""
    raw, count = tile.raw, tile.measured
    times = series.shape[0]
    n = raw.shape[0]
    side_by_side = unit[LANES - 1] - unit[0] == LANES - 1 and start[LANES - 1] == start[0]
    count[:] = 0
    for t in range(n):
        if side_by_side:
            at = start[0] + t
            if at >= times:
                at -= times
            first = unit[0]
            for i in range(LANES):
                raw[t, i] = series[at, first + i]
        else:
            for i in range(LANES):
                at = start[i] + t
                if at >= times:
                    at -= times
                raw[t, i] = series[at, unit[i]] if unit[i] >= 0 else np.float32(np.nan)
        for i in range(LANES):
            value = raw[t, i]
            measured = value - value == np.float32(0.0)
            raw[t, i] = value if measured else np.float32(np.nan)
            count[i] += 1 if measured else 0


@part
def sort_columns(keys: I32, network: I64) -> None:
    """Sort every column of whole numbers, which compilers compare side by side and floating-point numbers they do not."""
    for c in range(network.shape[0]):
        i, j = network[c, 0], network[c, 1]
        for k in range(LANES):
            a, b = keys[i, k], keys[j, k]
            keys[i, k] = min(a, b)
            keys[j, k] = max(a, b)


@part
def in_order(rows: F32) -> None:
    """Swap float32 in place for whole numbers in the same order, or back: all bits of a negative but its sign are turned over."""
    keys = rows.view(np.int32)
    for t in range(keys.shape[0]):
        for i in range(LANES):
            key = keys[t, i]
            keys[t, i] = key ^ ((key >> np.int32(31)) & np.int32(0x7FFFFFFF))


@part
def sort_floats(rows: F32, network: I64) -> None:
    """Sort every column; there must be no NaN."""
    in_order(rows)
    sort_columns(rows.view(np.int32), network)
    in_order(rows)


@part
def sort_measured(tile: Tile, network: I64) -> None:
    for t in range(tile.raw.shape[0]):
        for i in range(LANES):
            value = tile.raw[t, i]
            tile.sorted[t, i] = value if value == value else np.float32(np.inf)
    sort_floats(tile.sorted, network)


@part
def between(low: float, high: float, share: float) -> float:
    """The value at `share` of the way from low to high, as numpy computes it."""
    rise = high - low
    return high - rise * (1.0 - share) if share >= 0.5 else low + rise * share


@part
def quantile_row(tile: Tile, place: float, into: F64) -> None:
    """A quantile of every lane: `place` from 0, the least, to 1, the greatest."""
    n = tile.raw.shape[0]
    whole = True
    for i in range(LANES):
        whole = whole and tile.measured[i] == n
    if whole:
        at = (n - 1) * place
        low = int(at)
        high = min(low + 1, n - 1)
        share = at - low
        for i in range(LANES):
            into[i] = between(np.float64(tile.sorted[low, i]), np.float64(tile.sorted[high, i]), share)
        return
    for i in range(LANES):
        last = max(tile.measured[i] - 1, 0)
        at = last * place
        low = int(at)
        high = min(low + 1, last)
        into[i] = between(np.float64(tile.sorted[low, i]), np.float64(tile.sorted[high, i]), at - low)


@part
def mean_and_std(tile: Tile) -> None:
    """Mean and population standard deviation of what was measured; leaves the sum of squares in rows[0]."""
    raw, count, mean, squares = tile.raw, tile.measured, tile.out[MEAN], tile.rows[0]
    mean[:] = 0.0
    squares[:] = 0.0
    for t in range(raw.shape[0]):
        for i in range(LANES):
            value = np.float64(raw[t, i])
            mean[i] += value if value == value else 0.0
    for i in range(LANES):
        mean[i] /= count[i]
    for t in range(raw.shape[0]):
        for i in range(LANES):
            value = np.float64(raw[t, i]) - mean[i]
            squares[i] += value * value if value == value else 0.0
    for i in range(LANES):
        tile.out[STD, i] = np.sqrt(squares[i] / count[i])


@part
def shape_of_distribution(tile: Tile) -> None:
    """Skew g and Sarle's bimodality (g^2 + 1) / kurtosis, of the population; NaN where nothing varies."""
    raw, count, mean, third, fourth = tile.raw, tile.measured, tile.out[MEAN], tile.rows[1], tile.rows[2]
    third[:] = 0.0
    fourth[:] = 0.0
    for t in range(raw.shape[0]):
        for i in range(LANES):
            value = np.float64(raw[t, i]) - mean[i]
            square = value * value
            third[i] += square * value if value == value else 0.0
            fourth[i] += square * square if value == value else 0.0
    for i in range(LANES):
        variance = tile.rows[0, i] / count[i]
        skew = third[i] / count[i] / (variance * np.sqrt(variance))
        tile.out[SKEW, i] = skew
        tile.out[BIMODALITY, i] = (skew * skew + 1.0) / (fourth[i] / count[i] / (variance * variance))


@part
def statistics_of(tile: Tile, places: F64, network: I64) -> None:
    """The order statistics at `places`, mean and standard deviation of every lane: rows 0 .. STD of the output."""
    sort_measured(tile, network)
    for row in range(len(places)):
        quantile_row(tile, places[row], tile.out[row])
    mean_and_std(tile)
