"""The kernel of sFlow v5: samples to rows, without allocating.

Rules:

- One flow sample makes one row of one packet: `bytes` is the length of the frame on the wire as the agent gives it (layer 2
  included), `sampling_rate` the sample's own. The first record that tells a length counts, a raw header before the
  decoded IPv4, IPv6 and Ethernet records; further records of the sample add detail, never bytes.
- One generic interface record (format 0:1) of a counter sample makes one row of counters. Other counter records and
  the extended flow records are passed over.
- Samples of other enterprises and unknown formats are refused by name and do not end the datagram.
- Each data source's sample numbers are followed, and its `drops` and `sample_pool` are kept.

Source: sFlow Version 5 (sflow.org, July 2004), sections 4 and 5; XDR (RFC 4506): every item is a multiple of four bytes.
Not done here: what missing numbers mean (`sequences`); records for radio, hosts, InfiniBand.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from inspectorate.mechanisms.interconnect.flows.columns import V4_MAPPED, VERSION_SFLOW, Flag
from inspectorate.mechanisms.interconnect.flows.kernels import Int64, inlined, kernel
from inspectorate.mechanisms.interconnect.flows.loads import be32, be64
from inspectorate.mechanisms.interconnect.flows.outcomes import (
    IRREGULARITY_CODE,
    REJECTION_CODE,
    Irregularity,
    Rejection,
)
from inspectorate.mechanisms.interconnect.flows.packets import network_header, read_ip
from inspectorate.mechanisms.interconnect.flows.state import UNADDRESSED_BYTES, Event, Slot, find_source
from inspectorate.mechanisms.interconnect.flows.steps import begin, finish, reject, reject_datagram

ADDRESS_V4, ADDRESS_V6 = 1, 2
FLOW, COUNTERS, FLOW_EXPANDED, COUNTERS_EXPANDED = 1, 2, 3, 4
RAW_HEADER, ETHERNET, SAMPLED_V4, SAMPLED_V6 = 1, 2, 3, 4
GENERIC_COUNTERS, GENERIC_COUNTERS_BYTES = 1, 88
HEADER_ETHERNET, HEADER_V4, HEADER_V6 = 1, 11, 12
COMPACT_CLASS_SHIFT, COMPACT_INDEX_MASK = 24, 0xFF_FFFF
INTERFACE_MASK = 0x3FFF_FFFF
"""The two bits above say whether the number is an interface, a reason for discarding, or a count (section 5, interface)."""
CLASS_MAX = 0x7F
KEY_SESSION_SHIFT, KEY_KIND_SHIFT, KEY_CLASS_SHIFT = 40, 39, 32
UNADDRESSED_MAX = 1 << 62

_TALLY = int(Slot.TALLY)
T_UNADDRESSED = _TALLY + IRREGULARITY_CODE[Irregularity.UNADDRESSED]
T_LAYER2 = _TALLY + IRREGULARITY_CODE[Irregularity.LAYER2]
R_TRUNCATED_HEADER = REJECTION_CODE[Rejection.TRUNCATED_HEADER]
R_BAD_LENGTH = REJECTION_CODE[Rejection.BAD_LENGTH]
R_BAD_ADDRESS_TYPE = REJECTION_CODE[Rejection.BAD_ADDRESS_TYPE]
R_TRAILING_BYTES = REJECTION_CODE[Rejection.TRAILING_BYTES]
R_UNKNOWN_SAMPLE_FORMAT = REJECTION_CODE[Rejection.UNKNOWN_SAMPLE_FORMAT]
R_BAD_SAMPLE = REJECTION_CODE[Rejection.BAD_SAMPLE]
R_SAMPLE_WITHOUT_PACKET = REJECTION_CODE[Rejection.SAMPLE_WITHOUT_PACKET]
F_SAMPLED, F_LAYER2, F_UNADDRESSED = int(Flag.SAMPLED), int(Flag.LAYER2), int(Flag.UNADDRESSED)


@inlined
def begin_sflow(data: Any, at: Int64, state: Any, tables: Any) -> Int64:
    """Read a datagram header. The exporter is the agent that it names, with its sub-agent as domain."""
    length = state[Slot.END] - at
    if length < 28:
        return reject_datagram(state, R_TRUNCATED_HEADER, length)
    kind = be32(data, at + 4)
    if kind == ADDRESS_V4:
        high, low, p = np.uint64(0), np.uint64(V4_MAPPED | be32(data, at + 8)), at + 12
    elif kind == ADDRESS_V6:
        high, low, p = be64(data, at + 8), be64(data, at + 16), at + 24
    else:
        return reject_datagram(state, R_BAD_ADDRESS_TYPE, length)
    if state[Slot.END] - p < 16:
        return reject_datagram(state, R_TRUNCATED_HEADER, length)
    state[Slot.DOMAIN] = be32(data, p)
    state[Slot.SEQUENCE] = be32(data, p + 4)
    state[Slot.UPTIME_MS] = be32(data, p + 8)
    state[Slot.EXPORT_NS] = state[Slot.ARRIVAL_NS]
    event = begin(state, tables, high, low)
    if event != Event.CONTINUE:
        return event
    state[Slot.UNITS] = 1
    state[Slot.SAMPLES_LEFT] = be32(data, p + 12)
    state[Slot.POSITION] = p + 16
    state[Slot.SAMPLE_DONE] = 0
    return Event.CONTINUE.value


@inlined
def sample_source(data: Any, p: Int64, expanded: bool) -> tuple[Int64, Int64]:
    """Class and index of a sample's data source."""
    if expanded:
        return be32(data, p + 4), be32(data, p + 8)
    packed = be32(data, p + 4)
    return packed >> COMPACT_CLASS_SHIFT, packed & COMPACT_INDEX_MASK


@inlined
def settle_source(data: Any, p: Int64, kind: Int64, state: Any, tables: Any) -> Int64:
    """Follow the sample numbers of one data source; an event where the source or the number is unexpected."""
    expanded = kind in (FLOW_EXPANDED, COUNTERS_EXPANDED)
    counters = kind in (COUNTERS, COUNTERS_EXPANDED)
    source_class, source_index = sample_source(data, p, expanded)
    state[Slot.SOURCE_KEY] = (
        (state[Slot.SESSION] << KEY_SESSION_SHIFT)
        | ((1 if counters else 0) << KEY_KIND_SHIFT)
        | ((source_class & CLASS_MAX) << KEY_CLASS_SHIFT)
        | source_index
    )
    after = p + (12 if expanded else 8)
    state[Slot.SOURCE_SEQUENCE] = be32(data, p)
    state[Slot.SOURCE_POOL] = 0 if counters else be32(data, after + 4)
    state[Slot.SOURCE_DROPS] = 0 if counters else be32(data, after + 8)
    row = find_source(tables, state[Slot.SOURCE_KEY])
    state[Slot.SOURCE] = row
    if row < 0:
        return Event.NEW_SOURCE.value
    sources = tables.sources
    if state[Slot.SOURCE_SEQUENCE] != sources[row].expected or state[Slot.SOURCE_DROPS] != sources[row].drops:
        return Event.SOURCE_SEQUENCE.value
    sources[row].expected = (sources[row].expected + 1) & 0xFFFF_FFFF
    sources[row].samples += 1
    sources[row].pool_total += (state[Slot.SOURCE_POOL] - sources[row].pool) & 0xFFFF_FFFF
    sources[row].pool = state[Slot.SOURCE_POOL]
    sources[row].last_ns = state[Slot.ARRIVAL_NS]
    return Event.CONTINUE.value


@inlined
def clear_row(row: Any, state: Any) -> None:
    """A row of which only the place in the stream is known."""
    row.src_hi = 0
    row.src_lo = 0
    row.dst_hi = 0
    row.dst_lo = 0
    row.bytes = 0
    row.packets = 1
    row.start_ns = state[Slot.ARRIVAL_NS]
    row.end_ns = state[Slot.ARRIVAL_NS]
    row.domain = state[Slot.DOMAIN]
    row.datagram = state[Slot.BLOCK] + state[Slot.DATAGRAM]
    row.src_port = 0
    row.dst_port = 0
    row.proto = 0
    row.version = VERSION_SFLOW


@inlined
def read_flow_record(data: Any, p: Int64, form: Int64, length: Int64, row: Any) -> Int64:
    """Fill the row from one flow record; how much it tells: 0 nothing, 1 a length, 2 addresses, or -1 if malformed."""
    end = p + length
    if form == RAW_HEADER:
        if length < 16:
            return -1
        captured = be32(data, p + 12)
        if captured > length - 16:
            return -1
        protocol, start = be32(data, p), p + 16
        row.bytes = be32(data, p + 4)
        at = network_header(data, start, start + captured) if protocol == HEADER_ETHERNET else -1
        if protocol in (HEADER_V4, HEADER_V6):
            at = start
        return 2 if read_ip(data, at, start + captured, row) >= 0 else 1
    if form == SAMPLED_V4:
        if length < 32:
            return -1
        row.src_hi, row.dst_hi = 0, 0
        row.src_lo = V4_MAPPED | be32(data, p + 8)
        row.dst_lo = V4_MAPPED | be32(data, p + 12)
        p += 16
    elif form == SAMPLED_V6:
        if length < 56:
            return -1
        row.src_hi, row.src_lo = be64(data, p + 8), be64(data, p + 16)
        row.dst_hi, row.dst_lo = be64(data, p + 24), be64(data, p + 32)
        p += 40
    elif form == ETHERNET:
        if length < 4:
            return -1
        row.bytes = be32(data, p)
        return 1
    else:
        return 0
    row.bytes = be32(data, end - length)
    row.proto = be32(data, end - length + 4)
    row.src_port = be32(data, p)
    row.dst_port = be32(data, p + 4)
    return 2


@inlined
def flow_sample(data: Any, p: Int64, end: Int64, expanded: bool, state: Any, tables: Any, row: Any) -> Int64:
    """Decode one flow sample into `row`: 1 done, 0 no packet in it, -1 malformed."""
    rate_at = p + (12 if expanded else 8)
    clear_row(row, state)
    rate = float(be32(data, rate_at))
    if state[Slot.OVERRIDE] != 0:
        rate = tables.sessions[state[Slot.SESSION]].rate
    if expanded:
        row.in_if, row.out_if = be32(data, rate_at + 16), be32(data, rate_at + 24)
        count, p = be32(data, rate_at + 28), rate_at + 32
    else:
        row.in_if = be32(data, rate_at + 12) & INTERFACE_MASK
        row.out_if = be32(data, rate_at + 16) & INTERFACE_MASK
        count, p = be32(data, rate_at + 20), rate_at + 24
    best, size, layer = 0, np.uint64(0), 0
    for _ in range(count):
        if end - p < 8:
            return -1
        form, length = be32(data, p), be32(data, p + 4)
        if length > end - p - 8:
            return -1
        if best < 2 or form == RAW_HEADER:
            told = read_flow_record(data, p + 8, form, length, row)
            if told < 0:
                return -1
            if told > 0 and (size == np.uint64(0) or form == RAW_HEADER):
                size = row.bytes
                layer = F_LAYER2 if form in (RAW_HEADER, ETHERNET) else 0
            best = max(best, told)
        p += 8 + ((length + 3) & ~3)
    if best == 0:
        return 0
    row.bytes = size
    row.sampling_rate = max(rate, 1.0)
    row.flags = layer | (F_SAMPLED if rate > 1.0 else 0) | (F_UNADDRESSED if best == 1 else 0)
    state[T_LAYER2] += 1 if layer else 0
    if best == 1:
        state[T_UNADDRESSED] += 1
        state[UNADDRESSED_BYTES] += np.int64(min(size, np.uint64(UNADDRESSED_MAX - state[UNADDRESSED_BYTES])))
    return 1


@kernel
def counter_row(data: Any, p: Int64, state: Any, tables: Any, row: Any) -> None:
    """Generic interface counters (section 5, `if_counters`)."""
    session = tables.sessions[state[Slot.SESSION]]
    row.arrival_ns = state[Slot.ARRIVAL_NS]
    row.agent_hi = session.src_hi
    row.agent_lo = session.src_lo
    row.sub_agent = state[Slot.DOMAIN]
    row.datagram = state[Slot.BLOCK] + state[Slot.DATAGRAM]
    row.if_index = be32(data, p)
    row.if_type = be32(data, p + 4)
    row.speed_bits_per_s = be64(data, p + 8)
    row.direction = be32(data, p + 16)
    row.status = be32(data, p + 20)
    row.in_octets = be64(data, p + 24)
    row.in_unicast = be32(data, p + 32)
    row.in_multicast = be32(data, p + 36)
    row.in_broadcast = be32(data, p + 40)
    row.in_discards = be32(data, p + 44)
    row.in_errors = be32(data, p + 48)
    row.in_unknown = be32(data, p + 52)
    row.out_octets = be64(data, p + 56)
    row.out_unicast = be32(data, p + 64)
    row.out_multicast = be32(data, p + 68)
    row.out_broadcast = be32(data, p + 72)
    row.out_discards = be32(data, p + 76)
    row.out_errors = be32(data, p + 80)


@inlined
def counter_sample(data: Any, p: Int64, end: Int64, expanded: bool, state: Any, tables: Any, output: Any) -> Int64:
    """Decode one counter sample: 1 done, -1 malformed. The caller has seen to room for its rows."""
    source_class, source_index = sample_source(data, p, expanded)
    sequence = be32(data, p)
    p += 12 if expanded else 8
    count = be32(data, p)
    p += 4
    for _ in range(count):
        if end - p < 8:
            return -1
        form, length = be32(data, p), be32(data, p + 4)
        if length > end - p - 8 or (form == GENERIC_COUNTERS and length < GENERIC_COUNTERS_BYTES):
            return -1
        if form == GENERIC_COUNTERS:
            k = state[Slot.COUNTER_ROWS]
            row = output.counters[k]
            counter_row(data, p + 8, state, tables, row)
            row.sequence = sequence
            row.source_class, row.source_index = source_class, source_index
            state[Slot.COUNTER_ROWS] += 1
        p += 8 + ((length + 3) & ~3)
    return 1


@inlined
def walk_sample(data: Any, state: Any, tables: Any, output: Any) -> Int64:
    """Decode the sample at `POSITION`."""
    at, end = state[Slot.POSITION], state[Slot.END]
    if end - at < 8 or be32(data, at + 4) > end - at - 8:
        state[Slot.POSITION] = end
        state[Slot.SAMPLES_LEFT] = 0
        return reject(state, R_BAD_LENGTH, end - at)
    form, length, p = be32(data, at), be32(data, at + 4), at + 8
    after = min(end, p + ((length + 3) & ~3))
    flow = form in (FLOW, FLOW_EXPANDED)
    counters = form in (COUNTERS, COUNTERS_EXPANDED)
    expanded = form in (FLOW_EXPANDED, COUNTERS_EXPANDED)
    least = (44 if expanded else 32) if flow else (16 if expanded else 12)
    if not (flow or counters) or length < least:
        state[Slot.POSITION] = after
        state[Slot.SAMPLES_LEFT] -= 1
        return reject(state, R_BAD_SAMPLE if flow or counters else R_UNKNOWN_SAMPLE_FORMAT, length + 8)
    if len(output.records) <= state[Slot.ROWS]:
        return Event.FULL.value
    if len(output.counters) - state[Slot.COUNTER_ROWS] < length // GENERIC_COUNTERS_BYTES:
        return Event.FULL.value
    if state[Slot.SAMPLE_DONE] == 0:
        event = settle_source(data, p, form, state, tables)
        if event != Event.CONTINUE:
            return event
    state[Slot.SAMPLE_DONE] = 0
    state[Slot.POSITION] = after
    state[Slot.SAMPLES_LEFT] -= 1
    if counters:
        done = counter_sample(data, p, p + length, expanded, state, tables, output)
    else:
        done = flow_sample(data, p, p + length, expanded, state, tables, output.records[state[Slot.ROWS]])
        if done > 0:
            state[Slot.ROWS] += 1
            tables.sessions[state[Slot.SESSION]].records += 1
    if done > 0:
        return Event.CONTINUE.value
    return reject(state, R_BAD_SAMPLE if done < 0 else R_SAMPLE_WITHOUT_PACKET, length + 8)


@inlined
def walk_samples(data: Any, state: Any, tables: Any, output: Any) -> Int64:
    """Decode the samples of the current datagram until an event or its end."""
    while state[Slot.SAMPLES_LEFT] > 0:
        event = walk_sample(data, state, tables, output)
        if event != Event.CONTINUE:
            return event
    left = state[Slot.END] - state[Slot.POSITION]
    if left > 0:
        state[Slot.POSITION] = state[Slot.END]
        return reject(state, R_TRAILING_BYTES, left)
    return finish(state, tables)
