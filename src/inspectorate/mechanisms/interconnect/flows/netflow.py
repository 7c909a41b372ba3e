"""The kernel of NetFlow v5, v9 and IPFIX: a datagram's sets, one after the other, without allocating.

Rules:

- A template set that repeats what is in force is passed over; any other, and option data, are events.
- One record makes one row, and two where its template counts both directions of a biflow.
- What is left at the end of a set and is shorter than a record is padding.
- Nothing is read past the end of a set; every loop advances by at least one byte.

Sources: RFC 3954, section 5; RFC 7011, sections 3.3, 7 and 8. Not done here: headers (`walk`), fields (`rows`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from inspectorate.mechanisms.interconnect.flows.kernels import Int64, inlined, kernel
from inspectorate.mechanisms.interconnect.flows.loads import be16
from inspectorate.mechanisms.interconnect.flows.outcomes import (
    IRREGULARITY_CODE,
    REJECTION_CODE,
    Irregularity,
    Rejection,
)
from inspectorate.mechanisms.interconnect.flows.quick import is_quick, quick_records
from inspectorate.mechanisms.interconnect.flows.rows import (
    IPFIX,
    amend,
    context_of,
    count_set,
    emit,
    rate_of,
    resample,
)
from inspectorate.mechanisms.interconnect.flows.state import ROLES, Event, Plan, Slot, find_plan, template_key
from inspectorate.mechanisms.interconnect.flows.steps import finish, reject

TEMPLATE_IDS_FROM = 256
VARIABLE_LONG = 255
"""A first length byte of 255 says that the length stands in the next two (RFC 7011, section 7)."""

_TALLY = int(Slot.TALLY)
T_WITHOUT_BYTES = _TALLY + IRREGULARITY_CODE[Irregularity.WITHOUT_BYTES]
T_REPEATED = _TALLY + IRREGULARITY_CODE[Irregularity.TEMPLATE_REPEATED]
T_PADDING = _TALLY + IRREGULARITY_CODE[Irregularity.PADDING_BYTES]
R_BAD_LENGTH = REJECTION_CODE[Rejection.BAD_LENGTH]
R_TRUNCATED_RECORD = REJECTION_CODE[Rejection.TRUNCATED_RECORD]
R_TRAILING_BYTES = REJECTION_CODE[Rejection.TRAILING_BYTES]
R_RESERVED_SET = REJECTION_CODE[Rejection.RESERVED_SET]
R_UNKNOWN_TEMPLATE = REJECTION_CODE[Rejection.UNKNOWN_TEMPLATE]


@kernel
def write_row(data: Any, p: Int64, places: Any, context: Any, shared: Any, row: Any) -> None:
    """Write one row whose template is unusual. `shared`: state and samplers."""
    emit(data, p, places, context, shared[0], row)
    amend(data, p, places, context, shared[0], row)
    resample(row, rate_of(data, p, places, context, shared[0], shared[1]))


@inlined
def fixed_records(data: Any, state: Any, tables: Any, output: Any) -> Int64:
    """Decode the records of a set whose template has one length."""
    plan = state[Slot.PLAN]
    size, reverse = tables.plans[plan, Plan.RECORD_BYTES], tables.plans[plan, Plan.REVERSE]
    p, k = state[Slot.POSITION], state[Slot.ROWS]
    there = (state[Slot.SET_END] - p) // size
    context, places, records = context_of(state, tables, plan), tables.places[plan], output.records
    if reverse < 0:
        count = min(there, len(records) - k)
        if context.unusual == 0:
            for n in range(count):
                emit(data, p + n * size, places, context, state, records[k + n])
        else:
            shared = (state, tables.samplers)
            for n in range(count):
                write_row(data, p + n * size, places, context, shared, records[k + n])
        state[Slot.ROWS] += count
    else:
        count = min(there, (len(records) - k) // 2)
        back, back_places, shared = context_of(state, tables, reverse), tables.places[reverse], (state, tables.samplers)
        for n in range(count):
            write_row(data, p + n * size, places, context, shared, records[k + 2 * n])
            write_row(data, p + n * size, back_places, back, shared, records[k + 2 * n + 1])
        state[Slot.ROWS] += 2 * count
        count_set(state, back, count)
    count_set(state, context, count)
    state[Slot.UNITS] += count
    tables.sessions[state[Slot.SESSION]].records += count
    state[Slot.POSITION] = p + count * size
    if count < there:
        return Event.FULL.value
    state[Slot.POSITION] = state[Slot.SET_END]
    state[Slot.SET_END] = 0
    return Event.CONTINUE.value


@inlined
def record_end(data: Any, state: Any, tables: Any, plan: Int64) -> Int64:
    """Where the variable-length record at `POSITION` ends, or -1 past the end of its set; fills `starts`."""
    p, end = state[Slot.POSITION], state[Slot.SET_END]
    for f in range(tables.plans[plan, Plan.FIELDS]):
        width = np.int64(tables.widths[plan, f])
        if width < 0:
            if p + 1 > end:
                return -1
            width = np.int64(data[p])
            p += 1
            if width == VARIABLE_LONG:
                if p + 2 > end:
                    return -1
                width = be16(data, p)
                p += 2
        tables.starts[f] = p
        p += width
        if p > end:
            return -1
    return p


@inlined
def place_fields(tables: Any, plan: Int64, scratch: Any) -> None:
    """Turn places within fields into places in the segment, for the record that `starts` describes."""
    for role in range(ROLES):
        start = np.uint64(tables.starts[tables.role_fields[plan, role]])
        scratch[role] = tables.places[plan, role] + start
        scratch[ROLES + role] = tables.places[plan, ROLES + role]


@inlined
def variable_records(data: Any, state: Any, tables: Any, output: Any) -> Int64:
    """Decode, or only count, the records of a set whose template has fields of variable length."""
    plan = state[Slot.PLAN]
    listed = tables.plans[plan, Plan.KIND] == 0
    reverse = tables.plans[plan, Plan.REVERSE]
    least = tables.plans[plan, Plan.RECORD_BYTES_MIN]
    context, back = context_of(state, tables, plan), context_of(state, tables, max(reverse, 0))
    scratch = tables.scratch
    shared = (state, tables.samplers)
    while state[Slot.SET_END] - state[Slot.POSITION] >= least:
        k = state[Slot.ROWS]
        if len(output.records) - k < 2:
            return Event.FULL.value
        end = record_end(data, state, tables, plan)
        if end < 0:
            amount = state[Slot.SET_END] - state[Slot.POSITION]
            state[Slot.POSITION] = state[Slot.SET_END]
            state[Slot.SET_END] = 0
            tables.sessions[state[Slot.SESSION]].open = 1
            return reject(state, R_TRUNCATED_RECORD, amount)
        if listed:
            place_fields(tables, plan, scratch)
            write_row(data, 0, scratch, context, shared, output.records[k])
            count_set(state, context, 1)
            state[Slot.ROWS] += 1
            if reverse >= 0:
                place_fields(tables, reverse, scratch)
                write_row(data, 0, scratch, back, shared, output.records[k + 1])
                count_set(state, back, 1)
                state[Slot.ROWS] += 1
        else:
            state[T_WITHOUT_BYTES] += 1
        state[Slot.UNITS] += 1
        tables.sessions[state[Slot.SESSION]].records += 1
        state[Slot.POSITION] = end
    state[Slot.POSITION] = state[Slot.SET_END]
    state[Slot.SET_END] = 0
    return Event.CONTINUE.value


@inlined
def templates_repeat(data: Any, at: Int64, end: Int64, state: Any, tables: Any) -> Int64:
    """How many templates a set repeats byte for byte, or -1 where anything in it is new."""
    options = 1 if be16(data, at) in (1, 3) else 0
    p, count = at + 4, 0
    while end - p >= 4:
        plan = find_plan(tables, template_key(state[Slot.SESSION], be16(data, p)))
        if plan < 0 or (tables.plans[plan, Plan.KIND] == 1) != (options == 1):
            return -1
        size = tables.plans[plan, Plan.RAW_BYTES]
        if size > end - p:
            return -1
        for n in range(size):
            if data[p + n] != tables.raw[plan, n]:
                return -1
        p += size
        count += 1
    return count


@kernel
def only_zeros(data: Any, at: Int64, end: Int64) -> bool:
    for p in range(at, end):  # noqa: SIM110 - a generator does not compile without allocating
        if data[p] != 0:
            return False
    return True


@inlined
def begin_set(data: Any, state: Any, tables: Any) -> Int64:
    """Read the header of the set at `POSITION` and decide what it is."""
    at, end, protocol = state[Slot.POSITION], state[Slot.END], state[Slot.PROTOCOL]
    left = end - at
    length = be16(data, at + 2) if left >= 4 else 0
    if length < 4 or length > left:
        state[Slot.POSITION] = end
        if only_zeros(data, at, end):
            state[T_PADDING] += left
            return Event.CONTINUE.value
        tables.sessions[state[Slot.SESSION]].open = 1
        return reject(state, R_BAD_LENGTH, left)
    set_id = be16(data, at)
    state[Slot.SET_ID] = set_id
    if set_id < TEMPLATE_IDS_FROM:
        first = 2 if protocol == IPFIX else 0
        if set_id not in (first, first + 1):
            state[Slot.POSITION] = at + length
            return reject(state, R_RESERVED_SET, length)
        repeated = templates_repeat(data, at, at + length, state, tables)
        if repeated < 0:
            return Event.TEMPLATES.value
        state[T_REPEATED] += repeated
        state[Slot.TEMPLATES] += repeated
        state[Slot.POSITION] = at + length
        return Event.CONTINUE.value
    plan = find_plan(tables, template_key(state[Slot.SESSION], set_id))
    if plan < 0:
        state[Slot.POSITION] = at + length
        tables.sessions[state[Slot.SESSION]].open = 1
        return reject(state, R_UNKNOWN_TEMPLATE, length)
    state[Slot.PLAN] = plan
    if tables.plans[plan, Plan.KIND] == 1:
        return Event.OPTIONS.value
    size = tables.plans[plan, Plan.RECORD_BYTES]
    if tables.plans[plan, Plan.KIND] == 2 and size > 0:
        count = (length - 4) // size
        state[T_WITHOUT_BYTES] += count
        state[Slot.UNITS] += count
        tables.sessions[state[Slot.SESSION]].records += count
        state[Slot.POSITION] = at + length
        return Event.CONTINUE.value
    state[Slot.SET_END] = at + length
    state[Slot.POSITION] = at + 4
    return Event.CONTINUE.value


@inlined
def end_message(data: Any, state: Any, tables: Any) -> Int64:
    """All sets are done: refuse what stands behind the message, then settle the sequence number."""
    end, after = state[Slot.END], state[Slot.MESSAGE_END]
    state[Slot.MESSAGE_END] = 0
    if state[Slot.PROTOCOL] == 5 and after > 0:
        missing = state[Slot.SET_ID] - state[Slot.UNITS]
        if missing > 0:
            state[Slot.UNITS] += missing
            return reject(state, R_TRUNCATED_RECORD, max(after - state[Slot.POSITION], 0))
        end = state[Slot.POSITION]
    if after > end and not only_zeros(data, end, after):
        return reject(state, R_TRAILING_BYTES, after - end)
    if state[Slot.PROTOCOL] == 9:
        if (
            tables.sessions[state[Slot.SESSION]].open == 0
            and state[Slot.STATED] != state[Slot.UNITS] + state[Slot.TEMPLATES]
        ):
            state[Slot.WRONG_COUNTS] += 1
        state[Slot.UNITS] = 1
        tables.sessions[state[Slot.SESSION]].open = 0
    return finish(state, tables)


@inlined
def walk_sets(data: Any, state: Any, tables: Any, output: Any) -> Int64:
    """Decode the sets of the current datagram until an event or its end."""
    while True:
        if state[Slot.SET_END] > 0:
            if is_quick(state, tables, output.sink):
                event = quick_records(data, state, tables, output.sink)
            elif tables.plans[state[Slot.PLAN], Plan.RECORD_BYTES] > 0:
                event = fixed_records(data, state, tables, output)
            else:
                event = variable_records(data, state, tables, output)
        elif state[Slot.POSITION] >= state[Slot.END] or state[Slot.PROTOCOL] == 5:
            return end_message(data, state, tables)
        else:
            event = begin_set(data, state, tables)
        if event != Event.CONTINUE:
            return event
