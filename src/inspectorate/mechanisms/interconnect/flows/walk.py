"""The outermost kernel: one datagram after the other, each by its version, until the input ends or Python is needed.

For each datagram:

1. Read the header; find the exporter; compare the sequence number with the expected one.
2. Decode set by set (`netflow`) or sample by sample (`sflow`).
3. Advance the expected number by what the datagram held: one for v9 and sFlow, its data records for v5 and IPFIX.

Sources: Cisco, NetFlow Export Datagram Format (v5); RFC 3954, section 5 (v9); RFC 7011, section 3 (IPFIX).
"""

from __future__ import annotations

from typing import Any

from inspectorate.mechanisms.interconnect.flows.columns import VERSION_SFLOW
from inspectorate.mechanisms.interconnect.flows.kernels import Int64, inlined, kernel
from inspectorate.mechanisms.interconnect.flows.loads import be16, be32
from inspectorate.mechanisms.interconnect.flows.netflow import walk_sets
from inspectorate.mechanisms.interconnect.flows.outcomes import REJECTION_CODE, Rejection
from inspectorate.mechanisms.interconnect.flows.sflow import begin_sflow, walk_samples
from inspectorate.mechanisms.interconnect.flows.state import Event, Slot
from inspectorate.mechanisms.interconnect.flows.steps import begin, reject_datagram

NS_PER_S = 1_000_000_000
V5_HEADER_BYTES, V5_RECORD_BYTES = 24, 48
V5_INTERVAL_MASK = 0x3FFF
"""The two bits above are the sampling mode (Cisco, NetFlow Export Datagram Format, table 2)."""
V9_HEADER_BYTES, IPFIX_HEADER_BYTES = 20, 16

R_TRUNCATED_HEADER = REJECTION_CODE[Rejection.TRUNCATED_HEADER]
R_UNKNOWN_VERSION = REJECTION_CODE[Rejection.UNKNOWN_VERSION]
R_BAD_LENGTH = REJECTION_CODE[Rejection.BAD_LENGTH]


@inlined
def begin_v5(data: Any, at: Int64, state: Any, tables: Any, source: Any) -> Int64:
    """Read a NetFlow v5 header; the records become a data set of the built-in plan."""
    length = state[Slot.END] - at
    if length < V5_HEADER_BYTES:
        return reject_datagram(state, R_TRUNCATED_HEADER, length)
    count = be16(data, at + 2)
    state[Slot.UPTIME_MS] = be32(data, at + 4)
    state[Slot.EXPORT_NS] = be32(data, at + 8) * NS_PER_S + be32(data, at + 12)
    state[Slot.SEQUENCE] = be32(data, at + 16)
    state[Slot.DOMAIN] = be16(data, at + 20)
    event = begin(state, tables, source[0], source[1])
    if event != Event.CONTINUE:
        return event
    interval = be16(data, at + 22) & V5_INTERVAL_MASK
    row = state[Slot.SESSION]
    if interval > 0 and state[Slot.OVERRIDE] == 0 and tables.sessions[row].rate != interval:
        state[Slot.AMOUNT] = interval
        tables.sessions[row].datagrams -= 1
        return Event.RATE.value
    state[Slot.POSITION] = at + V5_HEADER_BYTES
    state[Slot.MESSAGE_END] = state[Slot.END]
    state[Slot.SET_ID] = count
    state[Slot.PLAN] = state[Slot.V5_PLAN]
    state[Slot.SET_END] = (
        at + V5_HEADER_BYTES + V5_RECORD_BYTES * min(count, (length - V5_HEADER_BYTES) // V5_RECORD_BYTES)
    )
    return Event.CONTINUE.value


@inlined
def begin_v9(data: Any, at: Int64, state: Any, tables: Any, source: Any) -> Int64:
    """Read a NetFlow v9 header."""
    length = state[Slot.END] - at
    if length < V9_HEADER_BYTES:
        return reject_datagram(state, R_TRUNCATED_HEADER, length)
    state[Slot.UPTIME_MS] = be32(data, at + 4)
    state[Slot.EXPORT_NS] = be32(data, at + 8) * NS_PER_S
    state[Slot.SEQUENCE] = be32(data, at + 12)
    state[Slot.DOMAIN] = be32(data, at + 16)
    event = begin(state, tables, source[0], source[1])
    if event != Event.CONTINUE:
        return event
    state[Slot.STATED] = be16(data, at + 2)
    state[Slot.TEMPLATES] = 0
    state[Slot.POSITION] = at + V9_HEADER_BYTES
    state[Slot.SET_END] = 0
    state[Slot.MESSAGE_END] = 0
    return Event.CONTINUE.value


@inlined
def begin_ipfix(data: Any, at: Int64, state: Any, tables: Any, source: Any) -> Int64:
    """Read an IPFIX message header. The message may be shorter than the datagram, never longer."""
    length = state[Slot.END] - at
    if length < IPFIX_HEADER_BYTES:
        return reject_datagram(state, R_TRUNCATED_HEADER, length)
    stated = be16(data, at + 2)
    if stated < IPFIX_HEADER_BYTES or stated > length:
        return reject_datagram(state, R_BAD_LENGTH, length)
    state[Slot.UPTIME_MS] = 0
    state[Slot.EXPORT_NS] = be32(data, at + 4) * NS_PER_S
    state[Slot.SEQUENCE] = be32(data, at + 8)
    state[Slot.DOMAIN] = be32(data, at + 12)
    event = begin(state, tables, source[0], source[1])
    if event != Event.CONTINUE:
        return event
    state[Slot.MESSAGE_END] = state[Slot.END]
    state[Slot.END] = at + stated
    state[Slot.POSITION] = at + IPFIX_HEADER_BYTES
    state[Slot.SET_END] = 0
    return Event.CONTINUE.value


@inlined
def begin_datagram(data: Any, index: Any, state: Any, tables: Any) -> Int64:
    """Read the header of the current datagram, whatever its version."""
    number = state[Slot.DATAGRAM]
    at, length = index[number].offset, index[number].length
    state[Slot.END] = at + length
    state[Slot.ARRIVAL_NS] = index[number].arrival_ns
    state[Slot.SESSION] = -1
    if length < 4:
        return reject_datagram(state, R_TRUNCATED_HEADER, length)
    source = (index[number].src_hi, index[number].src_lo)
    version = be16(data, at)
    if version == 10:
        state[Slot.PROTOCOL] = 10
        return begin_ipfix(data, at, state, tables, source)
    if version == 9:
        state[Slot.PROTOCOL] = 9
        return begin_v9(data, at, state, tables, source)
    if version == 5:
        state[Slot.PROTOCOL] = 5
        return begin_v5(data, at, state, tables, source)
    if version == 0 and be16(data, at + 2) == 5:
        state[Slot.PROTOCOL] = VERSION_SFLOW
        return begin_sflow(data, at, state, tables)
    return reject_datagram(state, R_UNKNOWN_VERSION, length)


@kernel
def walk(data: Any, index: Any, state: Any, tables: Any, output: Any) -> Int64:
    """Decode from where `state` stands until an event; returns the `Event`.

    `data`: uint8 (n,); `index`: `capture.DATAGRAM` rows into it; rows go to `output` from `ROWS` and `COUNTER_ROWS` on.
    """
    count = len(index)
    while state[Slot.DATAGRAM] < count:
        if state[Slot.POSITION] == 0:
            event = begin_datagram(data, index, state, tables)
        elif state[Slot.PROTOCOL] == VERSION_SFLOW:
            event = walk_samples(data, state, tables, output)
        else:
            event = walk_sets(data, state, tables, output)
        if event != Event.CONTINUE:
            return event
    return Event.END.value
