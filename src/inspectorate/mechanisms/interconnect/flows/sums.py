"""Records to bytes per interval, source pod and destination pod: exact integers, with what stands on an edge kept apart.

For every record of b bytes (times its sampling rate where sampled) from `start_ns` to `end_ns`:

- `bytes_lower` of an interval counts it where it lies wholly inside: these bytes crossed in that interval.
- `bytes_upper` counts all of it in every interval that it touches: no more of it than that can have crossed there.
- `bytes_estimate` spreads it evenly over its time. Over all intervals, and `bytes_before` and `bytes_after` the window, the
  shares add up to b exactly: share i is cut(edge i+1) - cut(edge i), with cut(t) = floor(b (t - start) / (end - start)).
- Exact and sampled records are summed apart, since only sampling needs a probability. `rate_max` is the largest rate in a
  cell: scaled by it, sums of mixed rates still are sums of independent variables between 0 and 1 (`sampling`).
- Intervals are half open. `slack_ns` widens every record on both sides for `lower` and `upper`: use it for clocks that are
  known no better.
- Sums stop at 2^62 - 1 instead of wrapping; `saturated` says whether one did.

`FlowDecoder.sum_segment` adds records without writing them out first; the sums are the same.

Not done here: what bytes were not seen (`unseen`), and what sampling leaves open (`sampling`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspectorate.errors import InputError
from inspectorate.mechanisms.interconnect.flows.addresses import AddressMap, pod_of
from inspectorate.mechanisms.interconnect.flows.cells import (
    COLUMNS,
    SUM_MAX,
    Column,
    Flow,
    Grid,
    Tally,
    add_flow,
    bounded,
    scaled,
)
from inspectorate.mechanisms.interconnect.flows.columns import RECORD, Flag, Records
from inspectorate.mechanisms.interconnect.flows.kernels import kernel

CELLS_MAX = 1 << 23
"""512 MiB of cells; a larger table is an averaging time that is too short for so many pods."""
F_SAMPLED = int(Flag.SAMPLED)

Integers = NDArray[np.int64]


class Sink(NamedTuple):
    """A table as kernels see it. `sampled` is empty until the first sampled record."""

    trie: NDArray[np.int32]
    grid: Grid
    exact: Integers
    sampled: Integers
    tally: Integers


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Sums of one kind of record, each of shape (intervals, pods, pods): interval, source, destination.

    `bytes_*`: bytes times sampling rate. `packets_*`: packets as exported, so of the sample where there is sampling;
    `packets_lower` of records wholly inside, `packets_upper` of all that touch. `rate_max`: 1-in-N, rounded up; 0 where
    nothing was sampled.
    """

    bytes_lower: Integers
    bytes_estimate: Integers
    bytes_upper: Integers
    packets_lower: Integers
    packets_upper: Integers
    rate_max: Integers


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
        count = len(pods)
        if len(steps) * count**2 > CELLS_MAX:
            raise InputError(
                f"{len(steps)} intervals of {count} x {count} pods are more than {CELLS_MAX} cells",
                remedy="use a longer averaging time or a shorter period",
            )
        step = int(steps[0]) if (steps == steps[0]).all() else 0
        self._pods = pods
        self._shape = (len(steps), count, count, COLUMNS)
        self._sink = Sink(
            trie=pods.trie,
            grid=Grid(edges, step, 1 / step if step else 0.0, slack_ns, count, count * count * COLUMNS),
            exact=np.zeros(len(steps) * count * count * COLUMNS, np.int64),
            sampled=np.zeros(0, np.int64),
            tally=np.zeros(len(Tally), np.int64),
        )

    def add(self, records: Records) -> None:
        """Add records of dtype `RECORD`, shape (n,)."""
        if records.dtype != RECORD:
            raise TypeError("records must have the dtype RECORD")
        self._sink.tally[Tally.ROW] = 0
        while not add_records(records, self._sink):
            self._sink = self._sink._replace(sampled=np.zeros(len(self._sink.exact), np.int64))

    @property
    def sink(self) -> Sink:
        """For `FlowDecoder.sum_segment`."""
        return self._sink

    @property
    def pods(self) -> tuple[str, ...]:
        """Names along the second and third axis."""
        return self._pods.names

    @property
    def edges_ns(self) -> Integers:
        return self._sink.grid.edges

    @property
    def exact(self) -> Sums:
        """Of records without sampling."""
        return _sums(self._sink.exact.reshape(self._shape))

    @property
    def sampled(self) -> Sums | None:
        """Of records with sampling; None where there were none."""
        return _sums(self._sink.sampled.reshape(self._shape)) if len(self._sink.sampled) else None

    @property
    def bytes_before(self) -> int:
        """Estimated bytes before the first edge."""
        return int(self._sink.tally[Tally.BEFORE])

    @property
    def bytes_after(self) -> int:
        """Estimated bytes from the last edge on."""
        return int(self._sink.tally[Tally.AFTER])

    @property
    def records(self) -> int:
        """Records added."""
        return int(self._sink.tally[Tally.FLOWS])

    @property
    def records_outside(self) -> int:
        """Records that touch no interval."""
        return int(self._sink.tally[Tally.FLOWS_OUTSIDE])

    @property
    def saturated(self) -> bool:
        """Whether a sum reached `SUM_MAX`: then upper bounds mean nothing."""
        return bool(self._sink.tally[Tally.SATURATED])

    def bytes_total(self) -> int:
        """All bytes of all records added, at their estimate: conserved exactly."""
        kinds = [self.exact] if self.sampled is None else [self.exact, self.sampled]
        return sum(int(k.bytes_estimate.sum(dtype=object)) for k in kinds) + self.bytes_before + self.bytes_after


def _sums(cells: Integers) -> Sums:
    inside, packets = cells[..., Column.INSIDE], cells[..., Column.PACKETS_INSIDE]
    return Sums(
        bytes_lower=inside,
        bytes_estimate=np.minimum(inside + cells[..., Column.SHARE], SUM_MAX),
        bytes_upper=np.minimum(inside + cells[..., Column.TOUCHING], SUM_MAX),
        packets_lower=packets,
        packets_upper=np.minimum(packets + cells[..., Column.PACKETS_TOUCHING], SUM_MAX),
        rate_max=cells[..., Column.RATE_MAX],
    )


@kernel
def add_records(records: Any, sink: Any) -> bool:
    """Add from row `tally[ROW]` on; False where cells of sampled records are needed and not there yet."""
    tally, grid = sink.tally, sink.grid
    for n in range(tally[Tally.ROW], len(records)):
        record = records[n]
        source = pod_of(sink.trie, record.src_hi, record.src_lo)
        target = pod_of(sink.trie, record.dst_hi, record.dst_lo)
        pair = (source * grid.pods + target) * COLUMNS
        amount, packets, rate = bounded(record.bytes), bounded(record.packets), record.sampling_rate
        if record.flags & F_SAMPLED:
            if len(sink.sampled) == 0:
                tally[Tally.ROW] = n
                return False
            flow = Flow(scaled(amount, rate), packets, rate, record.start_ns, record.end_ns)
            add_flow(flow, pair, grid, sink.sampled, tally)
        else:
            add_flow(Flow(amount, packets, 1.0, record.start_ns, record.end_ns), pair, grid, sink.exact, tally)
        tally[Tally.FLOWS] += 1
    return True
