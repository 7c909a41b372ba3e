"""The shortest way from a data set to sums, for the templates that most exporters send.

A plan is `Plan.QUICK` where its records have one length, IPv4 addresses, and start and end as uptimes of 4 bytes or
milliseconds of 8. A record of such a set that lies wholly inside one interval of an even grid, with times in order and near
arrival, costs two table look-ups and two additions. Every other record of the set takes the general way, `sum_one`. Both ways
give the sums that writing rows and adding them gives.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from inspectorate.mechanisms.interconnect.flows.addresses import pod_of, pod_of_v4
from inspectorate.mechanisms.interconnect.flows.cells import (
    COLUMNS,
    SUM_MAX,
    Column,
    Flow,
    Tally,
    add_flow,
    bounded,
    scaled,
)
from inspectorate.mechanisms.interconnect.flows.kernels import Int64, inlined, kernel
from inspectorate.mechanisms.interconnect.flows.loads import be32, be64
from inspectorate.mechanisms.interconnect.flows.rows import (
    NS_PER_MS,
    UPTIME_HALF,
    UPTIME_MASK,
    context_of,
    count_set,
    field,
    span_of,
)
from inspectorate.mechanisms.interconnect.flows.state import ROLES, Event, Plan, Role, Slot, TimeKind

MS_MAX = np.uint64(1 << 42)
U0, U62 = np.uint64(0), np.uint64(62)


@kernel
def sum_one(data: Any, at: Int64, places: Any, context: Any, shared: Any, cells: Any) -> None:
    """Add the record at `at` whatever its times are. `shared`: state, sink."""
    state, sink = shared
    grid, rate = sink.grid, context.rate
    source = pod_of(
        sink.trie, field(data, at, places, Role.SRC_HI), field(data, at, places, Role.SRC_LO) | context.src_mapped
    )
    target = pod_of(
        sink.trie, field(data, at, places, Role.DST_HI), field(data, at, places, Role.DST_LO) | context.dst_mapped
    )
    amount, packets = bounded(field(data, at, places, Role.BYTES)), bounded(field(data, at, places, Role.PACKETS))
    if rate != 1.0:
        amount = scaled(amount, rate)
    start, end = span_of(data, at, places, context, state)
    pair = (source * grid.pods + target) * COLUMNS
    add_flow(Flow(amount, packets, rate, start, end), pair, grid, cells, sink.tally)


@inlined
def since_base(data: Any, at: Int64, uptime_kind: bool, uptime_ms: Int64, base_ns: Int64) -> Int64:
    """A time of a quick plan, less the origin that `base_ns` contains; `at`: where the eight bytes start that end with its field.

    Uptimes: base less the age, which is the difference modulo 2^32 read as signed, as in `time_ns` but without a branch.
    """
    if uptime_kind:
        age = ((uptime_ms - be32(data, at + 4) + UPTIME_HALF) & UPTIME_MASK) - UPTIME_HALF
        return base_ns - age * NS_PER_MS
    return np.int64(min(be64(data, at), MS_MAX)) * NS_PER_MS + base_ns


@inlined
def sum_quick(data: Any, state: Any, tables: Any, sink: Any, count: Int64, cells: Any) -> None:
    """Add `count` records of the set at `POSITION`. Times are counted from the first edge."""
    plan, p = state[Slot.PLAN], state[Slot.POSITION]
    size = tables.plans[plan, Plan.RECORD_BYTES]
    context, places, grid, trie = context_of(state, tables, plan), tables.places[plan], sink.grid, sink.trie
    src, dst = np.int64(places[Role.SRC_LO]) + 4, np.int64(places[Role.DST_LO]) + 4
    octets_at, octets_mask = np.int64(places[Role.BYTES]), places[ROLES + Role.BYTES]
    packets_at, packets_mask = np.int64(places[Role.PACKETS]), places[ROLES + Role.PACKETS]
    start_at, end_at = np.int64(places[Role.START]), np.int64(places[Role.END])
    kind, uptime, origin = context.start_kind == TimeKind.UPTIME, context.uptime_ms, grid.edges[0]
    base = context.shift_ns - origin + (context.export_ns if kind else 0)
    low, high = context.low_ns - origin, context.high_ns - origin
    intervals, step, per_step, slack = len(grid.edges) - 1, grid.step, grid.per_step, grid.slack
    for n in range(count):
        at = p + n * size
        octets = be64(data, at + octets_at) & octets_mask
        packets = be64(data, at + packets_at) & packets_mask
        start = since_base(data, at + start_at, kind, uptime, base)
        end = since_base(data, at + end_at, kind, uptime, base)
        interval = np.int64(float(start - slack) * per_step)
        edge = interval * step
        usual = (start >= low) & (end <= high) & (start <= end) & ((octets | packets) >> U62 == U0)
        within = (start - slack >= edge) & (end + slack < edge + step) & (interval >= 0) & (interval < intervals)
        if usual & within:
            pair = pod_of_v4(trie, be32(data, at + src)) * grid.pods + pod_of_v4(trie, be32(data, at + dst))
            place = interval * grid.stride + pair * COLUMNS
            inside = cells[place + Column.INSIDE] + np.int64(octets)
            seen = cells[place + Column.PACKETS_INSIDE] + np.int64(packets)
            if inside | seen <= SUM_MAX:
                cells[place + Column.INSIDE] = inside
                cells[place + Column.PACKETS_INSIDE] = seen
                continue
        sum_one(data, at, places, context, (state, sink), cells)
    count_set(state, context, count)
    sink.tally[Tally.FLOWS] += count
    state[Slot.SUMMED] += count


@inlined
def quick_records(data: Any, state: Any, tables: Any, sink: Any) -> Int64:
    """Add the records of a set of a quick plan to sums."""
    count = (state[Slot.SET_END] - state[Slot.POSITION]) // tables.plans[state[Slot.PLAN], Plan.RECORD_BYTES]
    sum_quick(data, state, tables, sink, count, sink.exact)
    state[Slot.UNITS] += count
    tables.sessions[state[Slot.SESSION]].records += count
    state[Slot.POSITION] = state[Slot.SET_END]
    state[Slot.SET_END] = 0
    return Event.CONTINUE.value


@inlined
def is_quick(state: Any, tables: Any, sink: Any) -> Any:
    """Whether the current set may go straight into sums: a quick plan, an even grid, no sampling."""
    plan, session = state[Slot.PLAN], state[Slot.SESSION]
    return (
        state[Slot.SUMMING] != 0
        and tables.plans[plan, Plan.QUICK] != 0
        and sink.grid.step > 0
        and tables.sessions[session].rate == 1.0
        and (state[Slot.PROTOCOL] != 10 or tables.plans[plan, Plan.START_KIND] == TimeKind.MILLISECONDS)
    )
