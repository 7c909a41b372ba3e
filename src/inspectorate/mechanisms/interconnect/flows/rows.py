"""From one NetFlow or IPFIX record to one row, by the plan of its template.

- Absent fields have mask 0 in the plan and read as 0, so that no branch asks whether a field is there. Whatever needs a branch per
  record is marked in the plan as unusual.
- A system uptime counts back from the header's own uptime, modulo 2^32 ms, and so survives its wrap after 49.7 days.
- Times far from arrival move to the edge of the window around it; start and end that stand the wrong way round are
  exchanged. Both are counted.
- With the arrival clock, all times of a datagram move by arrival - export time, so that exporters' clocks do not matter.

Sources: RFC 3954, section 8; RFC 7011, section 6.1; RFC 5905, section 6 (NTP format).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from inspectorate.mechanisms.interconnect.flows.columns import V4_MAPPED, Flag
from inspectorate.mechanisms.interconnect.flows.kernels import Int64, inlined, kernel
from inspectorate.mechanisms.interconnect.flows.loads import be64
from inspectorate.mechanisms.interconnect.flows.outcomes import IRREGULARITY_CODE, Irregularity
from inspectorate.mechanisms.interconnect.flows.state import (
    ROLES,
    UNADDRESSED_BYTES,
    Plan,
    Role,
    Slot,
    TimeKind,
    Unusual,
)

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
NTP_EPOCH_S = 2_208_988_800
"""Seconds from 1900 to 1970 (RFC 5905, section 6)."""
FAR_NS = 1 << 62
"""Stands for every time that does not fit; the window around arrival catches it."""
SECONDS_MAX = 1 << 32
MILLISECONDS_MAX = 1 << 42
MICROSECONDS_MAX = 1 << 51
UPTIME_MASK = 0xFFFF_FFFF
UPTIME_HALF = 1 << 31
IPFIX = 10

_TALLY = int(Slot.TALLY)
T_WINDOW = _TALLY + IRREGULARITY_CODE[Irregularity.TIME_OUT_OF_WINDOW]
T_REVERSED = _TALLY + IRREGULARITY_CODE[Irregularity.TIME_REVERSED]
T_ABSENT = _TALLY + IRREGULARITY_CODE[Irregularity.TIME_ABSENT]
T_UNADDRESSED = _TALLY + IRREGULARITY_CODE[Irregularity.UNADDRESSED]
T_TOTAL = _TALLY + IRREGULARITY_CODE[Irregularity.TOTAL_COUNTER]
T_LAYER2 = _TALLY + IRREGULARITY_CODE[Irregularity.LAYER2]
T_REVERSE = _TALLY + IRREGULARITY_CODE[Irregularity.REVERSE]
T_SELECTOR = _TALLY + IRREGULARITY_CODE[Irregularity.UNKNOWN_SELECTOR]
F_SAMPLED, F_REVERSE, F_TOTAL = int(Flag.SAMPLED), int(Flag.REVERSE), int(Flag.TOTAL)
F_LAYER2, F_UNADDRESSED = int(Flag.LAYER2), int(Flag.UNADDRESSED)


class Context(NamedTuple):
    """What all records of one set share."""

    start_kind: int
    end_kind: int
    unusual: int
    flags: int
    rate: float
    export_ns: int
    uptime_ms: int
    shift_ns: int
    low_ns: int
    high_ns: int
    src_mapped: Any
    dst_mapped: Any
    session: int
    duration_ns: int
    domain: int
    datagram: int
    version: int


@inlined
def time_ns(kind: Int64, raw: Any, export_ns: Int64, uptime_ms: Int64) -> Int64:
    """A time field as nanoseconds since 1970 by the exporter's clock."""
    if kind == TimeKind.UPTIME:
        age_ms = (uptime_ms - np.int64(raw & np.uint64(UPTIME_MASK))) & UPTIME_MASK
        if age_ms >= UPTIME_HALF:
            age_ms -= UPTIME_MASK + 1
        return export_ns - age_ms * NS_PER_MS
    if kind == TimeKind.MILLISECONDS:
        return np.int64(raw) * NS_PER_MS if raw < np.uint64(MILLISECONDS_MAX) else FAR_NS
    if kind == TimeKind.SECONDS:
        return np.int64(raw) * NS_PER_S if raw < np.uint64(SECONDS_MAX) else FAR_NS
    if kind == TimeKind.NTP:
        seconds = np.int64(raw >> np.uint64(32)) - NTP_EPOCH_S
        if seconds < 0:
            seconds += SECONDS_MAX  # the next era, from 2036 on
        fraction = np.int64((raw & np.uint64(0xFFFF_FFFF)) * np.uint64(NS_PER_S) >> np.uint64(32))
        return seconds * NS_PER_S + fraction
    if kind == TimeKind.DELTA_MICROSECONDS:
        return export_ns - np.int64(raw) * 1_000 if raw < np.uint64(MICROSECONDS_MAX) else FAR_NS
    return export_ns


@inlined
def context_of(state: Any, tables: Any, plan: Int64) -> Context:
    """Gather what the records of a set share."""
    row = tables.plans[plan]
    session = state[Slot.SESSION]
    uptime = state[Slot.UPTIME_MS]
    init = tables.sessions[session].init_ms
    if state[Slot.PROTOCOL] == IPFIX and init >= 0:
        uptime = (state[Slot.EXPORT_NS] // NS_PER_MS - init) & UPTIME_MASK
    start_kind, end_kind = row[Plan.START_KIND], row[Plan.END_KIND]
    if state[Slot.PROTOCOL] == IPFIX and init < 0 and row[Plan.UNUSUAL] & Unusual.INIT == 0:
        # A system uptime means nothing without the time at which the system started (RFC 7011, section 6.1.8 and IE 160).
        start_kind = TimeKind.ABSENT if start_kind == TimeKind.UPTIME else start_kind
        end_kind = TimeKind.ABSENT if end_kind == TimeKind.UPTIME else end_kind
    return Context(
        start_kind,
        end_kind,
        row[Plan.UNUSUAL],
        row[Plan.FLAGS],
        tables.sessions[session].rate,
        state[Slot.EXPORT_NS],
        uptime,
        state[Slot.SHIFT_NS],
        state[Slot.ARRIVAL_NS] - state[Slot.PAST_NS],
        state[Slot.ARRIVAL_NS] + state[Slot.FUTURE_NS],
        np.uint64(row[Plan.SRC_MAPPED]),
        np.uint64(row[Plan.DST_MAPPED]),
        session,
        row[Plan.DURATION_NS],
        state[Slot.DOMAIN],
        state[Slot.BLOCK] + state[Slot.DATAGRAM],
        state[Slot.PROTOCOL],
    )


@inlined
def field(data: Any, p: Int64, places: Any, role: Int64) -> Any:
    """The field of a role in the record at `p`, as uint64; 0 where the template has none."""
    return be64(data, p + np.int64(places[role])) & places[ROLES + role]


@kernel
def rate_of(data: Any, p: Int64, places: Any, context: Context, state: Any, samplers: Any) -> Any:
    """The sampling rate that a record names by itself: its own interval, or that of the sampler it points to."""
    if state[Slot.OVERRIDE] != 0:
        return context.rate
    if context.unusual & Unusual.INTERVAL:
        interval = field(data, p, places, Role.INTERVAL)
        space = field(data, p, places, Role.SPACE)
        if interval > np.uint64(0) and interval < np.uint64(SECONDS_MAX) and space < np.uint64(SECONDS_MAX):
            if places[ROLES + Role.SPACE] != np.uint64(0):
                return (float(interval) + float(space)) / float(interval)
            return float(interval)
    if context.unusual & Unusual.SELECTOR:
        selector = field(data, p, places, Role.SELECTOR)
        for row in range(state[Slot.SAMPLERS]):
            if samplers[row].session == context.session and samplers[row].selector == selector:
                return samplers[row].rate
        state[T_SELECTOR] += 1
    return context.rate


@inlined
def span_of(data: Any, p: Int64, places: Any, context: Context, state: Any) -> tuple[Int64, Int64]:
    """Start and end of a record, in order and within the window around arrival."""
    uptime: Int64 = context.uptime_ms
    if context.version == IPFIX and context.unusual & Unusual.INIT:
        # A v9 header states the uptime itself (RFC 3954, section 5.1); IPFIX has none.
        init = field(data, p, places, Role.INIT)
        uptime = (context.export_ns // NS_PER_MS - np.int64(init & np.uint64(0xFFFF_FFFF_FFFF))) & UPTIME_MASK
    start = time_ns(context.start_kind, field(data, p, places, Role.START), context.export_ns, uptime)
    end = time_ns(context.end_kind, field(data, p, places, Role.END), context.export_ns, uptime)
    if context.start_kind == TimeKind.ABSENT or context.end_kind == TimeKind.ABSENT:
        lasted: Int64 = 0
        if context.unusual & Unusual.DURATION:
            raw = field(data, p, places, Role.DURATION)
            lasted = np.int64(raw) * context.duration_ns if raw < np.uint64(SECONDS_MAX) else FAR_NS >> 1
        if context.start_kind == TimeKind.ABSENT:
            start = end - lasted
        elif lasted > 0:
            end = start + lasted
    start, end = start + context.shift_ns, end + context.shift_ns
    if end < start:
        start, end = end, start
        state[T_REVERSED] += 1
    if start < context.low_ns or end > context.high_ns:
        start = min(max(start, context.low_ns), context.high_ns)
        end = min(max(end, context.low_ns), context.high_ns)
        state[T_WINDOW] += 1
    return start, end


@inlined
def emit(data: Any, p: Int64, places: Any, context: Context, state: Any, row: Any) -> None:
    """Write a row from the record at `p`; `amend` completes it where the template is unusual."""
    row.src_hi = field(data, p, places, Role.SRC_HI)
    row.src_lo = field(data, p, places, Role.SRC_LO) | context.src_mapped
    row.dst_hi = field(data, p, places, Role.DST_HI)
    row.dst_lo = field(data, p, places, Role.DST_LO) | context.dst_mapped
    row.bytes = field(data, p, places, Role.BYTES)
    row.packets = field(data, p, places, Role.PACKETS)
    row.src_port = field(data, p, places, Role.SRC_PORT)
    row.dst_port = field(data, p, places, Role.DST_PORT)
    row.proto = field(data, p, places, Role.PROTO)
    row.in_if = field(data, p, places, Role.IN_IF)
    row.out_if = field(data, p, places, Role.OUT_IF)
    start, end = span_of(data, p, places, context, state)
    row.start_ns = start
    row.end_ns = end
    row.sampling_rate = context.rate
    row.domain = context.domain
    row.datagram = context.datagram
    row.version = context.version
    row.flags = context.flags | (F_SAMPLED if context.rate != 1.0 else 0)


@kernel
def amend(data: Any, p: Int64, places: Any, context: Context, state: Any, row: Any) -> None:
    """What costs a branch per record: addresses of either family, and bytes without addresses."""
    if context.unusual & Unusual.BOTH_FAMILIES and row.src_hi | row.src_lo | row.dst_hi | row.dst_lo == np.uint64(0):
        row.src_lo = field(data, p, places, Role.SRC_V4) | np.uint64(V4_MAPPED)
        row.dst_lo = field(data, p, places, Role.DST_V4) | np.uint64(V4_MAPPED)
    if context.unusual & Unusual.UNADDRESSED:
        room = np.uint64(FAR_NS - state[UNADDRESSED_BYTES])
        state[UNADDRESSED_BYTES] += np.int64(min(row.bytes, room))


@kernel
def resample(row: Any, rate: float) -> None:
    """Give a row the rate that its record names."""
    row.sampling_rate = rate
    row.flags = (row.flags & ~F_SAMPLED) | (F_SAMPLED if rate != 1.0 else 0)


@inlined
def count_set(state: Any, context: Context, records: Int64) -> None:
    """Count what the rows of a set have in common."""
    if context.start_kind == TimeKind.ABSENT or context.end_kind == TimeKind.ABSENT:
        state[T_ABSENT] += records
    if context.flags & F_TOTAL:
        state[T_TOTAL] += records
    if context.flags & F_LAYER2:
        state[T_LAYER2] += records
    if context.flags & F_REVERSE:
        state[T_REVERSE] += records
    if context.flags & F_UNADDRESSED:
        state[T_UNADDRESSED] += records
