"""Steps that the kernels of all formats share: find the exporter, check its sequence, refuse, finish a datagram.

Not done here: what an unexpected sequence number means (`sequences`).
"""

from __future__ import annotations

from typing import Any

from inspectorate.mechanisms.interconnect.flows.kernels import Int64, inlined
from inspectorate.mechanisms.interconnect.flows.state import Event, Slot

SEQUENCE_MASK = 0xFFFF_FFFF


@inlined
def next_datagram(state: Any) -> None:
    """Move on to the header of the datagram after the current one."""
    state[Slot.DATAGRAM] += 1
    state[Slot.POSITION] = 0
    state[Slot.SETTLED] = 0


@inlined
def reject(state: Any, reason: Int64, amount: Int64) -> Int64:
    """Note what is refused; the caller has already moved past it."""
    state[Slot.REASON] = reason
    state[Slot.AMOUNT] = amount
    return Event.REJECTED.value


@inlined
def reject_datagram(state: Any, reason: Int64, amount: Int64) -> Int64:
    """Refuse the whole current datagram."""
    next_datagram(state)
    return reject(state, reason, amount)


@inlined
def find_exporter(state: Any, sessions: Any, high: Any, low: Any) -> bool:
    """Set `SESSION` to the row of (address, `PROTOCOL`, `DOMAIN`); the last one found is tried first."""
    protocol, domain, used = state[Slot.PROTOCOL], state[Slot.DOMAIN], state[Slot.EXPORTERS]
    hint = state[Slot.HINT]
    for attempt in range(-1, used):
        row = hint if attempt < 0 else attempt
        if (
            sessions[row].src_lo == low
            and sessions[row].src_hi == high
            and sessions[row].protocol == protocol
            and sessions[row].domain == domain
        ):
            state[Slot.SESSION] = row
            state[Slot.HINT] = row
            return True
    return False


@inlined
def begin(state: Any, tables: Any, high: Any, low: Any) -> Int64:
    """Find the exporter and settle the sequence number; `PROTOCOL`, `DOMAIN`, `SEQUENCE`, times are set by the caller."""
    if not find_exporter(state, tables.sessions, high, low):
        return Event.NEW_EXPORTER.value
    row = state[Slot.SESSION]
    sessions = tables.sessions
    if state[Slot.SETTLED] == 0:
        unexpected = sessions[row].open != 0 or sessions[row].expected != state[Slot.SEQUENCE]
        if sessions[row].followed != 0 and unexpected:
            return Event.SEQUENCE.value
        state[Slot.SETTLED] = 1
    arrival, export = state[Slot.ARRIVAL_NS], state[Slot.EXPORT_NS]
    offset = arrival - export
    if sessions[row].datagrams == 0:
        sessions[row].first_ns = arrival
        sessions[row].clock_min_ns = offset
        sessions[row].clock_max_ns = offset
    sessions[row].clock_min_ns = min(sessions[row].clock_min_ns, offset)
    sessions[row].clock_max_ns = max(sessions[row].clock_max_ns, offset)
    sessions[row].datagrams += 1
    sessions[row].last_ns = arrival
    if sessions[row].late == 0:
        sessions[row].uptime_ms = state[Slot.UPTIME_MS]
    state[Slot.SHIFT_NS] = offset if state[Slot.ARRIVAL_CLOCK] != 0 else 0
    state[Slot.UNITS] = 0
    return Event.CONTINUE.value


@inlined
def finish(state: Any, tables: Any) -> Int64:
    """End the current datagram: `UNITS` is what it added to its sequence number."""
    row = state[Slot.SESSION]
    sessions = tables.sessions
    if sessions[row].late != 0:
        next_datagram(state)
        return Event.LATE_END.value
    sessions[row].expected = (state[Slot.SEQUENCE] + state[Slot.UNITS]) & SEQUENCE_MASK
    sessions[row].followed = 1
    next_datagram(state)
    return Event.CONTINUE.value
