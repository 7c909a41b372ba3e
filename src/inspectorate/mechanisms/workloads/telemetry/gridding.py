"""Rows in order of time onto a grid: the compiled part of `tidy`, which states the rules.

Every unit and signal has one state, so memory is that of the frame and of one row of all units. A value is held back until one of a
later time comes: only then is it known that nothing contradicts it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.workloads.telemetry.compiled import inlined, kernel
from inspectorate.mechanisms.workloads.telemetry.reference import (
    COVERED_SHARE_MIN,
    JITTER_MAX,
    RATE_CHANGE,
    RATE_CHANGE_RUN,
)
from inspectorate.mechanisms.workloads.telemetry.signals import SENTINEL_MIN


class Oddity(StrEnum):
    """What a sample, or a stretch between two readings of a counter, was. The list is closed."""

    BLANK = "blank"
    """A value that says "not there" as a number."""
    TOO_LARGE = "too-large"
    """A value that its signal cannot have, such as a share above 1."""
    TOO_SMALL = "too-small"
    """A value that its signal cannot have, such as a negative power."""
    OUTSIDE = "outside"
    """A value from before or after the period."""
    NOT_ASKED = "not-asked"
    """A value of a unit that is not among those asked for."""
    REPEATED = "repeated"
    """A value that was there already, of the same time."""
    CONTRADICTED = "contradicted"
    """One of several different values of one time: none of them is taken."""
    COUNTER_FELL = "counter-fell"
    """A stretch over which a counter was reset or wrapped."""
    COUNTER_SILENT = "counter-silent"
    """A stretch without readings of a counter for too long."""
    COUNTER_TOO_FAST = "counter-too-fast"
    """A stretch over which a counter rose faster than it can."""
    LATE = "late"
    """A row that came after one of a later time. It is taken."""
    RATE_CHANGED = "rate-changed"
    """A unit was sampled at another interval from here on. Nothing is left out."""


ODDITIES = tuple(Oddity)
BLANK, TOO_LARGE, TOO_SMALL, OUTSIDE, NOT_ASKED, REPEATED, CONTRADICTED, FELL, SILENT, TOO_FAST, LATE, CHANGED = range(
    12
)
USED = len(ODDITIES)
NEVER = np.iinfo(np.int64).min


class Rows(NamedTuple):
    """Samples in order of time for each unit. `place`: of each unit in the frame, -1 for one that is not in it."""

    time_ns: NDArray[np.int64]
    unit: NDArray[np.int32]
    values: NDArray[np.float64]
    place: NDArray[np.int32]


class Columns(NamedTuple):
    """The columns of one kind: where they are among the samples and in the frame, and what they may hold."""

    column: NDArray[np.int64]
    target: NDArray[np.int64]
    smallest: NDArray[np.float64]
    largest: NDArray[np.float64]
    rate_largest: NDArray[np.float64]
    refreshed_ns: NDArray[np.int64]


class Grid(NamedTuple):
    """The period, the step, and how far apart two readings of a counter may be."""

    start_ns: int
    end_ns: int
    step_ns: int
    gap_ns: int


class States(NamedTuple):
    """Of every unit and column, shape (units, columns): the value held back, the open step, and what was put down last.

    `odd` is how many of the values held back contradict the first (0: none). `weight` is a count, or nanoseconds.
    """

    time_ns: NDArray[np.int64]
    value: NDArray[np.float64]
    odd: NDArray[np.int64]
    step: NDArray[np.int64]
    sum: NDArray[np.float64]
    weight: NDArray[np.float64]
    before_ns: NDArray[np.int64]
    before: NDArray[np.float64]


class Work(NamedTuple):
    """What one pass over the rows works on. `values` is the frame's; `counts` has one place per oddity, and `USED`."""

    columns: Columns
    grid: Grid
    states: States
    values: NDArray[np.float32]
    counts: NDArray[np.int64]


@kernel
def look_at_times(time_ns: Any, unit: Any, last: Any, intervals: Any, counts: Any) -> int:
    """Rows that came after one of a later time; counts them, and changes of a unit's sampling interval.

    Of each unit, for the kernel's own use: `last` (units,), `NEVER` everywhere; `intervals` (3, units), zeros.
    """
    usual, candidate, run = intervals[0], intervals[1], intervals[2]
    late = 0
    for i in range(len(time_ns)):
        u, now = unit[i], time_ns[i]
        interval = float(now - last[u]) if last[u] != NEVER else 0.0
        late += last[u] != NEVER and now < last[u]
        last[u] = max(last[u], now)
        if interval <= 0.0:
            continue
        if usual[u] == 0.0:
            usual[u] = interval
        elif abs(interval - usual[u]) <= RATE_CHANGE * usual[u]:
            run[u] = 0.0
        elif run[u] > 0.0 and abs(interval - candidate[u]) <= RATE_CHANGE * candidate[u]:
            run[u] += 1.0
            if run[u] == RATE_CHANGE_RUN:
                usual[u], run[u] = candidate[u], 0.0
                counts[CHANGED] += 1
        else:
            candidate[u], run[u] = interval, 1.0
    counts[LATE] += late
    return late


@inlined
def _unfit(value: float, c: int, columns: Columns) -> int:
    """Why a value is no measurement (1.); -1 if it is one."""
    if value >= SENTINEL_MIN:
        return BLANK
    if value > columns.largest[c]:
        return TOO_LARGE
    if value < columns.smallest[c]:
        return TOO_SMALL
    return -1


@inlined
def _waits(work: Work, u: int, c: int, now: int, value: float) -> bool:
    """Whether a value is the first of its time; another of that time repeats or contradicts what is held back (2.)."""
    states, counts = work.states, work.counts
    if states.time_ns[u, c] != now:
        return True
    if value == states.value[u, c]:
        counts[REPEATED] += 1
    else:
        counts[CONTRADICTED] += 1 + (states.odd[u, c] == 0)
        states.odd[u, c] += 1
    return False


@inlined
def _close(work: Work, u: int, c: int, least: float) -> None:
    """Write the open step into the frame if it weighs enough."""
    states = work.states
    if states.step[u, c] >= 0 and states.weight[u, c] >= least:
        work.values[work.columns.target[c], states.step[u, c], u] = states.sum[u, c] / states.weight[u, c]
    states.step[u, c] = -1
    states.sum[u, c] = 0.0
    states.weight[u, c] = 0.0


@kernel
def _put_gauge(work: Work, u: int, c: int) -> None:
    """Put down the value held back (3.)."""
    states, grid = work.states, work.grid
    if states.time_ns[u, c] == NEVER or states.odd[u, c]:
        return
    step = (states.time_ns[u, c] - grid.start_ns) // grid.step_ns
    work.counts[USED] += 1
    if states.step[u, c] != step:
        between = states.time_ns[u, c] - states.before_ns[u, c] if states.before_ns[u, c] != NEVER else 0
        if step - states.step[u, c] == 2 and states.step[u, c] >= 0 and between <= JITTER_MAX * grid.step_ns:
            work.values[work.columns.target[c], step - 1, u] = 0.5 * (states.before[u, c] + states.value[u, c])
        _close(work, u, c, 1.0)
        states.step[u, c] = step
    states.before_ns[u, c], states.before[u, c] = states.time_ns[u, c], states.value[u, c]
    states.sum[u, c] += states.value[u, c]
    states.weight[u, c] += 1.0


@kernel
def _put_counter(work: Work, u: int, c: int) -> None:
    """Put down the reading held back (4.)."""
    states, grid, counts = work.states, work.grid, work.counts
    now, value = states.time_ns[u, c], states.value[u, c]
    if now == NEVER or states.odd[u, c]:
        return
    counts[USED] += grid.start_ns <= now < grid.end_ns
    before_ns, before = states.before_ns[u, c], states.before[u, c]
    if before_ns != NEVER and value == before and now - before_ns < work.columns.refreshed_ns[c]:
        return
    states.before_ns[u, c], states.before[u, c] = now, value
    if before_ns == NEVER or now <= grid.start_ns or before_ns >= grid.end_ns:
        return
    rate = (value - before) / (float(now - before_ns) * 1e-9)
    if value < before:
        counts[FELL] += 1
    elif now - before_ns > max(grid.gap_ns, work.columns.refreshed_ns[c]):
        counts[SILENT] += 1
    elif rate > work.columns.rate_largest[c]:
        counts[TOO_FAST] += 1
    else:
        _spread(work, u, c, max(before_ns, grid.start_ns), rate)


@kernel
def _spread(work: Work, u: int, c: int, at: int, rate: float) -> None:
    """Spread a rate over the steps from `at` to the time of the reading held back."""
    states, grid = work.states, work.grid
    least = COVERED_SHARE_MIN * grid.step_ns
    step = (at - grid.start_ns) // grid.step_ns
    last = min(states.time_ns[u, c], grid.start_ns + work.values.shape[1] * grid.step_ns)
    while at < last:
        stop = min(last, grid.start_ns + (step + 1) * grid.step_ns)
        if states.step[u, c] != step:
            _close(work, u, c, least)
            states.step[u, c] = step
        states.sum[u, c] += rate * (stop - at)
        states.weight[u, c] += stop - at
        at, step = stop, step + 1


@kernel
def fill_gauges(rows: Rows, work: Work) -> None:
    """Write the means of gauges into the frame."""
    states, grid, columns, counts = work.states, work.grid, work.columns, work.counts
    for i in range(len(rows.time_ns)):
        u, now = rows.place[rows.unit[i]], rows.time_ns[i]
        for c in range(len(columns.column)):
            value = rows.values[i, columns.column[c]]
            if np.isnan(value):
                continue
            why = NOT_ASKED if u < 0 else _unfit(value, c, columns)
            if why < 0 and not grid.start_ns <= now < grid.end_ns:
                why = OUTSIDE
            if why >= 0:
                counts[why] += 1
            elif _waits(work, u, c, now, value):
                _put_gauge(work, u, c)
                states.time_ns[u, c], states.value[u, c], states.odd[u, c] = now, value, 0
    for u in range(states.value.shape[0]):
        for c in range(len(columns.column)):
            _put_gauge(work, u, c)
            _close(work, u, c, 1.0)


@kernel
def fill_counters(rows: Rows, work: Work) -> None:
    """Write the mean rates of counters into the frame. Readings around the period are used for what lies in it."""
    states, grid, columns, counts = work.states, work.grid, work.columns, work.counts
    for i in range(len(rows.time_ns)):
        u, now = rows.place[rows.unit[i]], rows.time_ns[i]
        for c in range(len(columns.column)):
            value = rows.values[i, columns.column[c]]
            if np.isnan(value):
                continue
            why = NOT_ASKED if u < 0 else _unfit(value, c, columns)
            if why >= 0:
                counts[why] += 1
                continue
            counts[OUTSIDE] += not grid.start_ns <= now < grid.end_ns
            if _waits(work, u, c, now, value):
                _put_counter(work, u, c)
                states.time_ns[u, c], states.value[u, c], states.odd[u, c] = now, value, 0
    for u in range(states.value.shape[0]):
        for c in range(len(columns.column)):
            _put_counter(work, u, c)
            _close(work, u, c, COVERED_SHARE_MIN * grid.step_ns)
