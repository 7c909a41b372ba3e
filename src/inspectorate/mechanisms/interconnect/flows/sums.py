"""Records to bytes per interval, source pod and destination pod: exact integers, with what stands on an edge kept apart.

For every record of b bytes (times its sampling rate where sampled) from `start_ns` to `end_ns`:

- `bytes_lower` of an interval counts it where it lies wholly inside: these bytes crossed in that interval.
- `bytes_upper` counts all of it in every interval that it touches: no more of it than that can have crossed there.
- `bytes_estimate` spreads it evenly over its time. Over all intervals, and `bytes_before` and `bytes_after` the window, the
  shares add up to b exactly: share i is cut(edge i+1) - cut(edge i), with cut(t) = floor(b (t - start) / (end - start)).
- Exact and sampled records are summed apart, since only sampling needs a probability. `rate_max` is the largest rate in a
  cell: scaled by it, sums of mixed rates still are sums of independent variables between 0 and 1 (`sampling`).
- Intervals are half open; a record whose end is on an edge belongs to both sides. `slack_ns` widens every record on both sides for
  `lower` and `upper`: use it for clocks that are known no better.
- Sums stop at 2^62 - 1 instead of wrapping; `saturated` says whether one did.

Not done here: what bytes were not seen (`unseen`), and what sampling leaves open (`sampling`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspectorate.errors import InputError
from inspectorate.mechanisms.interconnect.flows.addresses import AddressMap, pod_of
from inspectorate.mechanisms.interconnect.flows.columns import RECORD, Flag, Records
from inspectorate.mechanisms.interconnect.flows.kernels import inlined, kernel

SUM_MAX = (1 << 62) - 1
CELLS_MAX = 1 << 23
"""512 MiB of cells; a larger table is an averaging time that is too short for so many pods."""
F_SAMPLED = int(Flag.SAMPLED)

Integers = NDArray[np.int64]


class Column(IntEnum):
    """What a cell holds: eight integers, one cache line."""

    LOWER = 0
    ESTIMATE = 1
    UPPER = 2
    PACKETS_LOWER = 3
    PACKETS_UPPER = 4
    RATE_MAX = 5
    RECORDS = 6


COLUMNS = 8


class Tally(IntEnum):
    """Places in a table's own counts."""

    BEFORE = 0
    AFTER = 1
    RECORDS = 2
    RECORDS_OUTSIDE = 3
    SATURATED = 4
    ROW = 5


class Grid(NamedTuple):
    """Edges [ns], the constant step [ns] or 0, and the slack [ns]."""

    edges: Integers
    step: int
    slack: int


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Sums of one kind of record, each of shape (intervals, pods, pods): interval, source, destination.

    `bytes_*`: bytes times sampling rate. `packets_*`: packets as exported, so of the sample where there is sampling;
    `packets_lower` of records wholly inside, `packets_upper` of all that touch. `rate_max`: 1-in-N, rounded up.
    `records`: how many touch.
    """

    bytes_lower: Integers
    bytes_estimate: Integers
    bytes_upper: Integers
    packets_lower: Integers
    packets_upper: Integers
    rate_max: Integers
    records: Integers


class PairTable:
    """Sums per interval and pair of pods. Index 0 is everything outside the pods."""

    def __init__(self, pods: AddressMap, edges_ns: Integers, *, slack_ns: int = 0) -> None:
        """`edges_ns`: increasing, shape (intervals + 1,). Raises `InputError` where the table would exceed `CELLS_MAX`,
        `ValueError` on edges that do not increase and on a negative slack."""
        edges = np.ascontiguousarray(edges_ns, np.int64)
        steps = np.diff(edges)
        if edges.ndim != 1 or len(edges) < 2 or (steps <= 0).any():
            raise ValueError("edges must increase, and there must be two at least")
        if slack_ns < 0:
            raise ValueError("slack cannot be negative")
        cells = len(steps) * len(pods) ** 2
        if cells > CELLS_MAX:
            raise InputError(
                f"{len(steps)} intervals of {len(pods)} x {len(pods)} pods are more than {CELLS_MAX} cells",
                remedy="use a longer averaging time or a shorter period",
            )
        self._pods = pods
        self._grid = Grid(edges, int(steps[0]) if (steps == steps[0]).all() else 0, slack_ns)
        self._shape = (len(steps), len(pods), len(pods), COLUMNS)
        self._exact = np.zeros(self._shape, np.int64)
        self._sampled = np.zeros((0, len(pods), len(pods), COLUMNS), np.int64)
        self._tally = np.zeros(len(Tally), np.int64)

    def add(self, records: Records) -> None:
        """Add records of dtype `RECORD`, shape (n,)."""
        if records.dtype != RECORD:
            raise TypeError("records must have the dtype RECORD")
        self._tally[Tally.ROW] = 0
        while True:
            cells = (self._exact.reshape(-1), self._sampled.reshape(-1), len(self._pods))
            if add_records(records, self._pods.trie, self._grid, cells, self._tally):
                return
            self._sampled = np.zeros(self._shape, np.int64)

    @property
    def pods(self) -> tuple[str, ...]:
        """Names along the second and third axis."""
        return self._pods.names

    @property
    def edges_ns(self) -> Integers:
        return self._grid.edges

    @property
    def exact(self) -> Sums:
        """Of records without sampling."""
        return _sums(self._exact)

    @property
    def sampled(self) -> Sums | None:
        """Of records with sampling; None where there were none."""
        return _sums(self._sampled) if len(self._sampled) else None

    @property
    def bytes_before(self) -> int:
        """Estimated bytes before the first edge."""
        return int(self._tally[Tally.BEFORE])

    @property
    def bytes_after(self) -> int:
        """Estimated bytes from the last edge on."""
        return int(self._tally[Tally.AFTER])

    @property
    def records(self) -> int:
        """Records added."""
        return int(self._tally[Tally.RECORDS])

    @property
    def records_outside(self) -> int:
        """Records that touch no interval."""
        return int(self._tally[Tally.RECORDS_OUTSIDE])

    @property
    def saturated(self) -> bool:
        """Whether a sum reached `SUM_MAX`: then upper bounds mean nothing."""
        return bool(self._tally[Tally.SATURATED])

    def bytes_total(self) -> int:
        """All bytes of all records added, at their estimate: conserved exactly."""
        inside = int(self._exact[..., Column.ESTIMATE].sum(dtype=object) if self._exact.size else 0)
        inside += int(self._sampled[..., Column.ESTIMATE].sum(dtype=object) if self._sampled.size else 0)
        return inside + self.bytes_before + self.bytes_after


def _sums(cells: Integers) -> Sums:
    return Sums(
        bytes_lower=cells[..., Column.LOWER],
        bytes_estimate=cells[..., Column.ESTIMATE],
        bytes_upper=cells[..., Column.UPPER],
        packets_lower=cells[..., Column.PACKETS_LOWER],
        packets_upper=cells[..., Column.PACKETS_UPPER],
        rate_max=cells[..., Column.RATE_MAX],
        records=cells[..., Column.RECORDS],
    )


@inlined
def interval_of(grid: Any, time_ns: int) -> int:
    """The interval that holds a time: -1 before the first edge, the number of intervals from the last edge on."""
    edges = grid.edges
    last = len(edges) - 1
    if time_ns < edges[0]:
        return -1
    if time_ns >= edges[last]:
        return last
    if grid.step > 0:
        return (time_ns - edges[0]) // grid.step
    low, high = 0, last
    while high - low > 1:
        middle = (low + high) >> 1
        if edges[middle] <= time_ns:
            low = middle
        else:
            high = middle
    return low


@inlined
def plus(cells: Any, place: int, amount: int, tally: Any) -> None:
    """Add without wrapping."""
    total = cells[place] + amount
    if total > SUM_MAX:
        total = SUM_MAX
        tally[Tally.SATURATED] = 1
    cells[place] = total


@kernel
def cut(amount: int, at_ns: int, start_ns: int, end_ns: int) -> int:
    """Bytes of an even flow before `at_ns`: monotone in `at_ns`, 0 at the start and all at the end."""
    if at_ns <= start_ns:
        return 0
    if at_ns >= end_ns:
        return amount
    return min(np.int64(float(amount) * (float(at_ns - start_ns) / float(end_ns - start_ns))), amount)


@inlined
def note_record(cells: Any, place: int, packets: int, rate: float, tally: Any) -> None:
    """Count a record in every cell that it touches."""
    plus(cells, place + Column.PACKETS_UPPER, packets, tally)
    if rate > cells[place + Column.RATE_MAX]:
        cells[place + Column.RATE_MAX] = np.int64(np.ceil(rate))
    cells[place + Column.RECORDS] += 1


@kernel
def spread(record: Any, amount: int, pair: Any, grid: Any, cells: Any, tally: Any) -> None:
    """Add a record that touches an edge. `pair`: place of its pair in an interval, and cells of an interval."""
    edges, count = grid.edges, len(grid.edges) - 1
    start, end = record.start_ns, record.end_ns
    first, last = interval_of(grid, start - grid.slack), interval_of(grid, end + grid.slack)
    if last < 0 or first >= count:
        tally[Tally.RECORDS_OUTSIDE] += 1
    packets = np.int64(min(record.packets, np.uint64(SUM_MAX)))
    instant = interval_of(grid, start)
    for i in range(max(first, 0), min(last, count - 1) + 1):
        place = i * pair[1] + pair[0]
        plus(cells, place + Column.UPPER, amount, tally)
        note_record(cells, place, packets, record.sampling_rate, tally)
        if start == end:
            share = amount if i == instant else 0
        else:
            share = cut(amount, edges[i + 1], start, end) - cut(amount, edges[i], start, end)
        plus(cells, place + Column.ESTIMATE, share, tally)
    if start == end:
        before, after = (amount if instant < 0 else 0), (amount if instant >= count else 0)
    else:
        before, after = cut(amount, edges[0], start, end), amount - cut(amount, edges[count], start, end)
    plus(tally, Tally.BEFORE, before, tally)
    plus(tally, Tally.AFTER, after, tally)


@inlined
def contain(record: Any, amount: int, place: int, cells: Any, tally: Any) -> None:
    """Add a record that lies wholly inside one interval."""
    plus(cells, place + Column.LOWER, amount, tally)
    plus(cells, place + Column.ESTIMATE, amount, tally)
    plus(cells, place + Column.UPPER, amount, tally)
    packets = np.int64(min(record.packets, np.uint64(SUM_MAX)))
    plus(cells, place + Column.PACKETS_LOWER, packets, tally)
    note_record(cells, place, packets, record.sampling_rate, tally)


@kernel
def add_records(records: Any, trie: Any, grid: Any, tables: Any, tally: Any) -> bool:
    """Add from row `tally[ROW]` on; False where cells of sampled records are needed and not there yet."""
    exact, sampled, pods = tables
    edges, slack, count = grid.edges, grid.slack, len(grid.edges) - 1
    stride = pods * pods * COLUMNS
    inside, low, high = -1, 0, -1
    for n in range(tally[Tally.ROW], len(records)):
        record = records[n]
        is_sampled = record.flags & F_SAMPLED != 0
        amount = np.int64(min(record.bytes, np.uint64(SUM_MAX)))
        if is_sampled:
            if len(sampled) == 0:
                tally[Tally.ROW] = n
                return False
            amount = np.int64(min(np.rint(float(amount) * record.sampling_rate), float(SUM_MAX >> 1)))
        source = pod_of(trie, record.src_hi, record.src_lo)
        target = pod_of(trie, record.dst_hi, record.dst_lo)
        pair = (source * pods + target) * COLUMNS
        start, end = record.start_ns - slack, record.end_ns + slack
        tally[Tally.RECORDS] += 1
        if start < low or end >= high:
            inside = interval_of(grid, start)
            if inside < 0 or inside >= count or end >= edges[inside + 1]:
                low, high = 0, -1
                if is_sampled:
                    spread(record, amount, (pair, stride), grid, sampled, tally)
                else:
                    spread(record, amount, (pair, stride), grid, exact, tally)
                continue
            low, high = edges[inside], edges[inside + 1]
        if is_sampled:
            contain(record, amount, inside * stride + pair, sampled, tally)
        else:
            contain(record, amount, inside * stride + pair, exact, tally)
    return True
