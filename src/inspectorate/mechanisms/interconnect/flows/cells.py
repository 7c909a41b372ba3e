"""The cells of a pair table, and how a flow is added to them. The rules stand in `sums`.

A cell keeps what lies wholly inside its interval apart from what touches an edge, so that the common flow costs two
additions.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.interconnect.flows.kernels import Int64, inlined, kernel

SUM_MAX = (1 << 62) - 1
"""Sums stop here instead of wrapping; two of them still fit into 64 bits."""
COLUMNS = 8


class Column(IntEnum):
    """What a cell holds: eight integers, one cache line."""

    INSIDE = 0
    """Bytes of flows wholly inside the interval."""
    TOUCHING = 1
    """Bytes of flows that touch the interval and another, or lie beyond it within the slack: all of them."""
    SHARE = 2
    """Of these, what falls into the interval if they are even."""
    PACKETS_INSIDE = 3
    PACKETS_TOUCHING = 4
    RATE_MAX = 5
    """Largest sampling rate, rounded up; 0 where nothing was sampled."""


class Tally(IntEnum):
    """Places in a table's own counts."""

    BEFORE = 0
    AFTER = 1
    FLOWS = 2
    FLOWS_OUTSIDE = 3
    SATURATED = 4
    ROW = 5


class Grid(NamedTuple):
    """Intervals: edges [ns], their constant step [ns] and its inverse, or zeros; slack [ns]; pods, and cells per interval."""

    edges: NDArray[np.int64]
    step: int
    per_step: float
    slack: int
    pods: int
    stride: int


class Flow(NamedTuple):
    """What is added: bytes times sampling rate, packets as exported, rate, first and last time [ns]."""

    amount: int
    packets: int
    rate: float
    start: int
    end: int


@inlined
def interval_of(grid: Any, time_ns: Int64) -> Int64:
    """The interval that holds a time: -1 before the first edge, the number of intervals from the last edge on."""
    edges = grid.edges
    last = len(edges) - 1
    if time_ns < edges[0]:
        return -1
    if time_ns >= edges[last]:
        return last
    low, high = 0, last
    while high - low > 1:
        middle = (low + high) >> 1
        if edges[middle] <= time_ns:
            low = middle
        else:
            high = middle
    return low


@inlined
def plus(cells: Any, place: Int64, amount: Int64, tally: Any) -> None:
    """Add without wrapping."""
    total = cells[place] + amount
    if total > SUM_MAX:
        total = SUM_MAX
        tally[Tally.SATURATED] = 1
    cells[place] = total


@inlined
def cut(amount: Int64, at_ns: Int64, start_ns: Int64, end_ns: Int64) -> Int64:
    """Bytes of an even flow before `at_ns`: monotone in `at_ns`, 0 at the start and all at the end."""
    if at_ns <= start_ns:
        return 0
    if at_ns >= end_ns:
        return amount
    return min(np.int64(float(amount) * (float(at_ns - start_ns) / float(end_ns - start_ns))), amount)


@kernel
def spread(flow: Any, pair: Int64, grid: Any, cells: Any, tally: Any) -> None:
    """Add a flow that is not wholly inside one interval. `pair`: place of its pair within an interval's cells."""
    edges, count = grid.edges, len(grid.edges) - 1
    amount, packets, rate, start, end = flow
    first, last = interval_of(grid, start - grid.slack), interval_of(grid, end + grid.slack)
    if last < 0 or first >= count:
        tally[Tally.FLOWS_OUTSIDE] += 1
    instant = interval_of(grid, start)
    for i in range(max(first, 0), min(last, count - 1) + 1):
        place = i * grid.stride + pair
        if start == end:
            share = amount if i == instant else 0
        else:
            share = cut(amount, edges[i + 1], start, end) - cut(amount, edges[i], start, end)
        plus(cells, place + Column.TOUCHING, amount, tally)
        plus(cells, place + Column.SHARE, share, tally)
        plus(cells, place + Column.PACKETS_TOUCHING, packets, tally)
        if rate > 1.0:
            cells[place + Column.RATE_MAX] = max(cells[place + Column.RATE_MAX], np.int64(np.ceil(rate)))
    if start == end:
        before, after = (amount if instant < 0 else 0), (amount if instant >= count else 0)
    else:
        before, after = cut(amount, edges[0], start, end), amount - cut(amount, edges[count], start, end)
    plus(tally, Tally.BEFORE, before, tally)
    plus(tally, Tally.AFTER, after, tally)


@inlined
def add_flow(flow: Any, pair: Int64, grid: Any, cells: Any, tally: Any) -> None:
    """Add one flow; equal steps need no search, and no division."""
    early, late = flow.start - grid.slack, flow.end + grid.slack
    edges, count = grid.edges, len(grid.edges) - 1
    if grid.step > 0:
        since = early - edges[0]
        interval: Int64 = np.int64(np.floor(float(since) * grid.per_step))
        if since < interval * grid.step:
            interval -= 1
        elif since >= (interval + 1) * grid.step:
            interval += 1
        inside = 0 <= interval < count and late - edges[0] < (interval + 1) * grid.step
    else:
        interval = interval_of(grid, early)
        inside = 0 <= interval < count and late < edges[interval + 1]
    if inside:
        place = interval * grid.stride + pair
        plus(cells, place + Column.INSIDE, flow.amount, tally)
        plus(cells, place + Column.PACKETS_INSIDE, flow.packets, tally)
        if flow.rate > 1.0:
            cells[place + Column.RATE_MAX] = max(cells[place + Column.RATE_MAX], np.int64(np.ceil(flow.rate)))
    else:
        spread(flow, pair, grid, cells, tally)


@inlined
def bounded(count: Any) -> Int64:
    """An unsigned count as int64, at most `SUM_MAX`."""
    return np.int64(min(count, np.uint64(SUM_MAX)))


@inlined
def scaled(amount: Int64, rate: float) -> Int64:
    """Bytes of the sample times its rate, at most half of `SUM_MAX`."""
    return np.int64(min(np.rint(float(amount) * rate), float(SUM_MAX >> 1)))
