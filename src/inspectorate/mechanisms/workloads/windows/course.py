"""What a series does from step to step: differences, levels, dips, change points.

- A difference is taken between neighbouring steps that were both measured; the second difference takes three.
- A step is *low* or *high* by quarters between the 5 % and the 95 % quantile. The level changes where a step is high after the
  last one that was either was low, or the other way round; gaps and steps in between change nothing. A dwell is a run of steps
  without a change of level, and ends with the window.
- A change point is a run of steps, of one sign, at which the sum over `shift` steps from there on differs from that over the
  `shift` steps before by more than `SHIFT_SIGMAS` standard errors and `SHIFT_RANGE` of the range. The noise is taken from the
  median absolute difference; gaps are bridged by straight lines.
"""

from __future__ import annotations

import numpy as np

from inspectorate.mechanisms.workloads.windows.kernel import F64, I64, Tile, part
from inspectorate.mechanisms.workloads.windows.order import between, sort_floats
from inspectorate.mechanisms.workloads.windows.reference import (
    LANES,
    LEVEL_PART,
    SHIFT_RANGE,
    SHIFT_SIGMAS,
    SIGMA_OF_MEDIAN,
)

MIN, Q05, Q50, Q95, MAX = 0, 1, 4, 7, 8
DIFFERENCE_MEAN, DIFFERENCE_STD, SECOND_DIFFERENCE_MEAN = 13, 14, 15
LOW, HIGH, DIP, RISE = 16, 17, 18, 19
LEVEL_CHANGES, DWELL, CHANGE_POINTS = 20, 21, 22
"""Rows of the output."""
SLACK = 1.0 + 1e-9
"""A shift must exceed its threshold by more than rounding."""


@part
def differences(tile: Tile) -> None:
    raw, out = tile.raw, tile.out
    count, total, absolute, squares = tile.rows[1], tile.rows[2], tile.rows[3], tile.rows[4]
    tile.rows[1:7] = 0.0
    for t in range(1, raw.shape[0]):
        for i in range(LANES):
            step = np.float64(raw[t, i]) - np.float64(raw[t - 1, i])
            there = step == step
            count[i] += 1.0 if there else 0.0
            total[i] += step if there else 0.0
            absolute[i] += abs(step) if there else 0.0
    for i in range(LANES):
        total[i] /= count[i]
        out[DIFFERENCE_MEAN, i] = absolute[i] / count[i]
    for t in range(1, raw.shape[0]):
        for i in range(LANES):
            off = np.float64(raw[t, i]) - np.float64(raw[t - 1, i]) - total[i]
            squares[i] += off * off if off == off else 0.0
    for i in range(LANES):
        out[DIFFERENCE_STD, i] = np.sqrt(squares[i] / count[i])
    second, seconds = tile.rows[5], tile.rows[6]
    for t in range(2, raw.shape[0]):
        for i in range(LANES):
            bend = np.float64(raw[t, i]) - 2.0 * np.float64(raw[t - 1, i]) + np.float64(raw[t - 2, i])
            second[i] += abs(bend) if bend == bend else 0.0
            seconds[i] += 1.0 if bend == bend else 0.0
    for i in range(LANES):
        out[SECOND_DIFFERENCE_MEAN, i] = second[i] / seconds[i]


@part
def levels(tile: Tile, minutes: float) -> None:
    """Shares of time low and high, changes of level and the longest dwell, for a window of so many minutes."""
    raw, out = tile.raw, tile.out
    low, high, state, run = tile.rows[1], tile.rows[2], tile.rows[3], tile.rows[4]
    for i in range(LANES):
        quarter = (out[Q95, i] - out[Q05, i]) * LEVEL_PART
        low[i] = out[Q05, i] + quarter
        high[i] = out[Q95, i] - quarter
    state[:] = 0.0
    run[:] = 0.0
    out[LOW : HIGH + 1] = 0.0
    out[LEVEL_CHANGES : DWELL + 1] = 0.0
    for t in range(raw.shape[0]):
        for i in range(LANES):
            value = np.float64(raw[t, i])
            is_high, is_low = value >= high[i], value <= low[i]
            out[HIGH, i] += 1.0 if is_high else 0.0
            out[LOW, i] += 1.0 if is_low else 0.0
            now = 1.0 if is_high else (-1.0 if is_low else state[i])
            changed = now * state[i] < 0.0
            state[i] = now
            out[LEVEL_CHANGES, i] += 1.0 if changed else 0.0
            run[i] = 1.0 if changed else run[i] + 1.0
            out[DWELL, i] = max(out[DWELL, i], run[i])
    for i in range(LANES):
        varies = out[Q95, i] > out[Q05, i]
        out[LOW, i] = out[LOW, i] / tile.measured[i] if varies else np.nan
        out[HIGH, i] = out[HIGH, i] / tile.measured[i] if varies else np.nan
        out[LEVEL_CHANGES, i] /= minutes
        out[DWELL, i] /= raw.shape[0]


@part
def dips(tile: Tile) -> None:
    """How far the least value lies below the median and the greatest above it, in medians."""
    for i in range(LANES):
        median = tile.out[Q50, i]
        tile.out[DIP, i] = (median - tile.out[MIN, i]) / median if median > 0.0 else np.nan
        tile.out[RISE, i] = (tile.out[MAX, i] - median) / median if median > 0.0 else np.nan


@part
def bridge(tile: Tile) -> None:
    """Fill gaps by straight lines, and those at the ends with the nearest value; lanes without any value with zeros."""
    raw, filled = tile.raw, tile.filled
    n = raw.shape[0]
    for t in range(n):
        for i in range(LANES):
            filled[t, i] = np.float64(raw[t, i])
    for i in range(LANES):
        if tile.measured[i] == n:
            continue
        last = -1
        for t in range(n):
            value = filled[t, i]
            if value != value:
                continue
            for gap in range(last + 1, t):
                before = filled[last, i] if last >= 0 else value
                filled[gap, i] = before + (value - before) * ((gap - last) / (t - last))
            last = t
        for gap in range(last + 1, n):
            filled[gap, i] = filled[last, i] if last >= 0 else 0.0


@part
def noise(tile: Tile, network: I64, into: F64) -> None:
    """Standard deviation of the noise of a step, from the median absolute difference; the sorted tile is used up."""
    filled, steps = tile.filled, tile.sorted
    n = filled.shape[0]
    for t in range(1, n):
        for i in range(LANES):
            steps[t, i] = np.float32(abs(filled[t, i] - filled[t - 1, i]))
    steps[0] = np.float32(np.inf)
    sort_floats(steps, network)
    at = (n - 2) * 0.5
    low = int(at)
    high = min(low + 1, n - 2)
    for i in range(LANES):
        median = between(np.float64(steps[low, i]), np.float64(steps[high, i]), at - low)
        into[i] = median * SIGMA_OF_MEDIAN / np.sqrt(2.0)


@part
def change_points(tile: Tile, network: I64, shift: int) -> None:
    """Counts change points, and takes its mean from the bridged series."""
    filled, sums, found = tile.filled, tile.sums, tile.out[CHANGE_POINTS]
    least, state = tile.rows[1], tile.rows[2]
    n = filled.shape[0]
    noise(tile, network, least)
    sums[0] = 0.0
    for t in range(n):
        for i in range(LANES):
            sums[t + 1, i] = sums[t, i] + filled[t, i]
    for i in range(LANES):
        error = SHIFT_SIGMAS * least[i] * np.sqrt(2.0 / shift)
        least[i] = shift * max(error, SHIFT_RANGE * (tile.out[MAX, i] - tile.out[MIN, i])) * SLACK
    state[:] = 0.0
    found[:] = 0.0
    for t in range(shift, n - shift + 1):
        for i in range(LANES):
            moved = (sums[t + shift, i] - sums[t, i]) - (sums[t, i] - sums[t - shift, i])
            now = (1.0 if moved > 0.0 else -1.0) if abs(moved) > least[i] else 0.0
            found[i] += 1.0 if (now != 0.0 and now != state[i]) else 0.0
            state[i] = now
    for t in range(n):
        for i in range(LANES):
            filled[t, i] -= sums[n, i] / n
