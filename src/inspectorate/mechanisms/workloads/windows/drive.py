"""The two outermost kernels: all windows of all units, tile by tile.

A lane is one unit in one window, in the order window, unit; so a frame of few units fills its tiles with several windows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from inspectorate.mechanisms.workloads.windows.course import bridge, change_points, differences, dips, levels
from inspectorate.mechanisms.workloads.windows.joint import correlate, mean_of_others, sum_pods, take
from inspectorate.mechanisms.workloads.windows.kernel import F32, F64, I64, Tile, kernel, new_tile, part
from inspectorate.mechanisms.workloads.windows.order import MEAN, STD, load, shape_of_distribution, statistics_of
from inspectorate.mechanisms.workloads.windows.reference import LANES
from inspectorate.mechanisms.workloads.windows.rhythm import autocorrelations, period, spectrum, strike_constant

SINGLE_ROWS = 41
"""Features of one signal; those from `ALONE_ROWS` on need other units."""
ALONE_ROWS = 39
STATISTICS_ROWS = STD + 1


class Plan(NamedTuple):
    """What is to be computed, the same for all windows."""

    steps: int
    network: I64
    """(c, 2): sorts the steps of a window."""
    places: F64
    """(9,): places of the order statistics."""
    cosine: F64
    sine: F64
    band: I64
    """(n // 2 + 1,): band of each wave number."""
    pairs: I64
    """(pairs, 2): signals to correlate."""
    pod: I64
    """(units,): pod of each unit."""
    pods: int
    needed: int
    """Measured steps below which a signal has no features in a window."""
    shift: int
    """Steps on either side of a change point."""
    step_s: float


@part
def lanes_from(first: int, units: int, starts: I64, start: I64, unit: I64) -> None:
    """Start and unit of the lanes from `first` on."""
    for i in range(LANES):
        window = (first + i) // units
        there = window < len(starts)
        start[i] = starts[window] if there else 0
        unit[i] = (first + i) % units if there else -1


@part
def store(tile: Tile, rows: int, needed: int, unit: I64, into: F32) -> None:
    """Lanes to `into` (lanes, rows); NaN where too little was measured."""
    for i in range(min(LANES, into.shape[0])):
        for row in range(rows):
            into[i, row] = np.float32(tile.out[row, i]) if tile.measured[i] >= needed else np.float32(np.nan)


@part
def share_observed(raws: F32, into: F32) -> None:
    """Share of steps of each lane in which any of the signals (signals, n, LANES) was measured."""
    n = raws.shape[1]
    for i in range(len(into)):
        seen = 0
        for t in range(n):
            for s in range(raws.shape[0]):
                if raws[s, t, i] == raws[s, t, i]:
                    seen += 1
                    break
        into[i] = np.float32(seen / n)


@part
def store_joint(values: F64, one: F32, other: F32, into: F32) -> None:
    """Correlations to `into` (lanes,), where the means of both series (lanes,) could be had."""
    for i in range(min(LANES, len(into))):
        there = one[i] == one[i] and other[i] == other[i]
        into[i] = np.float32(values[i]) if there else np.float32(np.nan)


@part
def describe_pairs(raws: F32, tile: Tile, pairs: I64, into: F32) -> None:
    """Correlations of the main pairs of signals; `into` (lanes, features) has the means already."""
    n = raws.shape[1]
    other = tile.sums[:n]
    first = raws.shape[0] * SINGLE_ROWS
    for p in range(len(pairs)):
        a, b = pairs[p]
        for kind in range(2):
            take(raws[a], kind == 1, tile.filled)
            take(raws[b], kind == 1, other)
            correlate(tile.filled, other, tile.rows, tile.out[0])
            one, two = into[:, a * SINGLE_ROWS + MEAN], into[:, b * SINGLE_ROWS + MEAN]
            store_joint(tile.out[0], one, two, into[:, first + 2 * p + kind])


@part
def describe_synchrony(series: F32, begin: int, tile: Tile, plan: Plan, into: F32) -> None:
    """Synchrony of every unit in one signal and window; `into` (units, SINGLE_ROWS) has the means already."""
    n, units = tile.raw.shape[0], series.shape[1]
    start, unit, pod = np.empty(LANES, np.int64), np.empty(LANES, np.int64), np.zeros(LANES, np.int64)
    starts = np.empty(1, np.int64)
    starts[0] = begin
    sums = np.empty((4, n, plan.pods))
    sum_pods(series, begin, plan.pod, sums)
    others = tile.sums[:n]
    for first in range(0, units, LANES):
        lanes_from(first, units, starts, start, unit)
        for i in range(LANES):
            pod[i] = plan.pod[unit[i]] if unit[i] >= 0 else 0
        load(series, start, unit, tile)
        for kind in range(2):
            take(tile.raw, kind == 1, tile.filled)
            mean_of_others(tile.filled, sums[2 * kind : 2 * kind + 2], pod, others)
            correlate(tile.filled, others, tile.rows, tile.out[0])
            means = into[first : first + LANES, MEAN]
            store_joint(tile.out[0], means, means, into[first : first + LANES, ALONE_ROWS + kind])


@kernel
def features_into(series: F32, starts: I64, plan: Plan, out: F32, observed: F32) -> None:
    """Features (windows * units, features) and shares observed (windows * units,) of a series (signals, times, units)."""
    signals, units, n = series.shape[0], series.shape[2], plan.steps
    tile = new_tile(n, SINGLE_ROWS)
    raws = np.empty((signals, n, LANES), np.float32)
    start, unit = np.empty(LANES, np.int64), np.empty(LANES, np.int64)
    tile.out[:] = np.nan
    for first in range(0, len(out), LANES):
        lanes_from(first, units, starts, start, unit)
        into = out[first : first + LANES]
        for s in range(signals):
            lane = Tile(
                raws[s], tile.sorted, tile.filled, tile.sums, tile.rows, tile.lags, tile.measured, tile.out
            )  # fmt: skip
            load(series[s], start, unit, lane)
            statistics_of(lane, plan.places, plan.network)
            shape_of_distribution(lane)
            differences(lane)
            levels(lane, n * plan.step_s / 60.0)
            dips(lane)
            bridge(lane)
            change_points(lane, plan.network, plan.shift)
            autocorrelations(lane)
            period(lane, plan.step_s)
            spectrum(lane, plan.cosine, plan.sine, plan.band)
            strike_constant(lane)
            lane.out[ALONE_ROWS:] = np.nan
            store(lane, SINGLE_ROWS, plan.needed, unit, into[:, s * SINGLE_ROWS : (s + 1) * SINGLE_ROWS])
        describe_pairs(raws, tile, plan.pairs, into)
        share_observed(raws, observed[first : first + LANES])
    if units < 2:
        return
    for w in range(len(starts)):
        for s in range(signals):
            into = out[w * units : (w + 1) * units, s * SINGLE_ROWS : (s + 1) * SINGLE_ROWS]
            describe_synchrony(series[s], starts[w], tile, plan, into)


@kernel
def statistics_into(series: F32, starts: I64, plan: Plan, out: F32, observed: F32) -> None:
    """Order statistics, mean and standard deviation only; shapes as above, with `STATISTICS_ROWS` columns a signal."""
    signals, units, n = series.shape[0], series.shape[2], plan.steps
    tile = new_tile(n, STATISTICS_ROWS)
    raws = np.empty((signals, n, LANES), np.float32)
    start, unit = np.empty(LANES, np.int64), np.empty(LANES, np.int64)
    for first in range(0, len(out), LANES):
        lanes_from(first, units, starts, start, unit)
        into = out[first : first + LANES]
        for s in range(signals):
            lane = Tile(
                raws[s], tile.sorted, tile.filled, tile.sums, tile.rows, tile.lags, tile.measured, tile.out
            )  # fmt: skip
            load(series[s], start, unit, lane)
            statistics_of(lane, plan.places, plan.network)
            store(lane, STATISTICS_ROWS, plan.needed, unit, into[:, s * STATISTICS_ROWS : (s + 1) * STATISTICS_ROWS])
        share_observed(raws, observed[first : first + LANES])
