"""What kernels leave to Python: new exporters, unexpected numbers, templates, options, refusals.

Each method settles one `Event`, in the order in which the events stand in the stream, and leaves `state` such that the
kernel can go on. Not done here: decoding.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.interconnect.flows.columns import VERSION_SFLOW, address_of
from inspectorate.mechanisms.interconnect.flows.options import announcement_of, option_records
from inspectorate.mechanisms.interconnect.flows.outcomes import REJECTIONS, Irregularity, Limits, Rejection
from inspectorate.mechanisms.interconnect.flows.report import Exporter, Gap, GapCause, Unit
from inspectorate.mechanisms.interconnect.flows.sequences import HALF, MODULUS, Arrival, GapList, Sequence
from inspectorate.mechanisms.interconnect.flows.sources import SourceBook
from inspectorate.mechanisms.interconnect.flows.state import Event, Slot, Tables, fresh_state, fresh_tables
from inspectorate.mechanisms.interconnect.flows.templates import TemplateStore

DUPLICATES_LOOKED_AT = 64
"""A duplicate is looked for among this many datagrams before it in the same segment."""

WITHOUT_TRAFFIC = frozenset(
    {
        Rejection.TRAILING_BYTES,
        Rejection.RESERVED_SET,
        Rejection.BAD_TEMPLATE,
        Rejection.EMPTY_TEMPLATE,
        Rejection.TEMPLATE_TOO_LARGE,
        Rejection.TOO_MANY_TEMPLATES,
        Rejection.TOO_MANY_SOURCES,
        Rejection.DUPLICATE_DATAGRAM,
        Rejection.UNKNOWN_SAMPLE_FORMAT,
        Rejection.BAD_SAMPLING_RATE,
        Rejection.NOT_IP,
        Rejection.NOT_UDP,
    }
)
"""Refusals that open no gap: nothing that a sound exporter counts traffic in stood there. Data of a template that was
refused are refused themselves, as data of an unknown template."""


class Settler:
    """State of one stream and the settling of its events."""

    def __init__(self, limits: Limits, *, override: float | None, default: float, arrival_clock: bool) -> None:
        self.limits = limits
        self.override = override
        self.default = default
        self.state = fresh_state(limits, arrival_clock=arrival_clock, override=override is not None)
        self.tables: Tables = fresh_tables(limits)
        self.templates = TemplateStore(self.tables, limits)
        self.sequences: list[Sequence] = []
        self.gaps = GapList(limit=limits.gaps_max)
        self.sources = SourceBook(self.tables, limits)
        self.rejections: Counter[Rejection] = Counter()
        self.rejected_bytes: Counter[Rejection] = Counter()
        self.irregularities: Counter[Irregularity] = Counter()
        self._general: set[int] = set()
        self._options_seen: dict[int, tuple[bytes, int]] = {}
        self._handlers: dict[Event, Callable[[NDArray[np.uint8], NDArray[np.void]], None]] = {
            Event.NEW_EXPORTER: self._new_exporter,
            Event.SEQUENCE: self._sequence,
            Event.LATE_END: self._late_end,
            Event.TEMPLATES: self._templates,
            Event.OPTIONS: self._options,
            Event.REJECTED: self._rejected,
            Event.NEW_SOURCE: self._new_source,
            Event.SOURCE_SEQUENCE: self._source_sequence,
            Event.RATE: self._rate,
        }

    def settle(self, event: Event, data: NDArray[np.uint8], index: NDArray[np.void]) -> None:
        """Settle one event of the datagrams `index` in `data`."""
        self._handlers[event](data, index)

    def reject(self, reason: Rejection, amount: int) -> None:
        """Count a refusal at the current place of the stream, and open a gap where it may have hidden traffic."""
        self.rejections[reason] += 1
        self.rejected_bytes[reason] += amount
        if reason in WITHOUT_TRAFFIC:
            return
        session, arrival = int(self.state[Slot.SESSION]), int(self.state[Slot.ARRIVAL_NS])
        if session < 0:
            self.unreadable((arrival, arrival), amount)
            return
        cause = GapCause.UNKNOWN_TEMPLATE if reason is Rejection.UNKNOWN_TEMPLATE else GapCause.REJECTED
        self.sequences[session].refuse(self.gaps, cause, arrival, amount)

    def unreadable(self, span_ns: tuple[int, int], amount: int) -> None:
        """Something came of which not even the exporter is known."""
        start, end = span_ns
        gap = Gap(
            exporter=None,
            cause=GapCause.UNREADABLE,
            start_ns=start,
            end_ns=end,
            unit=Unit.DATAGRAMS,
            lost=None,
            refused_bytes=amount,
        )
        self.gaps.add(gap)

    def note(self, kind: Irregularity) -> None:
        self.irregularities[kind] += 1

    def _skip_datagram(self) -> None:
        self.state[Slot.DATAGRAM] += 1
        self.state[Slot.POSITION] = 0
        self.state[Slot.SETTLED] = 0

    def _new_exporter(self, data: NDArray[np.uint8], index: NDArray[np.void]) -> None:
        state, row = self.state, int(self.state[Slot.EXPORTERS])
        if row >= self.limits.exporters_max:
            length = int(index[state[Slot.DATAGRAM]]["length"])
            self._skip_datagram()
            self.reject(Rejection.TOO_MANY_EXPORTERS, length)
            return
        protocol = int(state[Slot.PROTOCOL])
        datagram = index[state[Slot.DATAGRAM]]
        high, low = int(datagram["src_hi"]), int(datagram["src_lo"])
        if protocol == VERSION_SFLOW:
            high, low = _agent(data, int(datagram["offset"]))
        session = self.tables.sessions[row]
        session["src_hi"], session["src_lo"], session["protocol"] = high, low, protocol
        session["domain"] = state[Slot.DOMAIN]
        session["init_ms"] = -1
        session["rate"] = self.default if self.override is None else self.override
        exporter = Exporter(address=address_of(high, low), protocol=protocol, domain=int(state[Slot.DOMAIN]))
        unit = Unit.RECORDS if protocol in (5, 10) else Unit.DATAGRAMS
        self.sequences.append(Sequence(exporter=exporter, unit=unit))
        state[Slot.EXPORTERS] += 1
        state[Slot.SESSION] = row

    def _sequence(self, data: NDArray[np.uint8], index: NDArray[np.void]) -> None:
        state = self.state
        row, number, arrival = (int(state[slot]) for slot in (Slot.SESSION, Slot.SEQUENCE, Slot.ARRIVAL_NS))
        session, sequence = self.tables.sessions[row], self.sequences[row]
        expected, span = int(session["expected"]), (int(session["last_ns"]), arrival)
        duplicate = (number - expected) % MODULUS >= HALF and self._is_duplicate(data, index)
        meaning = sequence.settle(number=number, expected=expected, duplicate=duplicate)
        if meaning is Arrival.DUPLICATE:
            length = int(index[state[Slot.DATAGRAM]]["length"])
            self._skip_datagram()
            self.reject(Rejection.DUPLICATE_DATAGRAM, length)
            return
        state[Slot.SETTLED] = 1
        if meaning is Arrival.LATE:
            session["late"] = 1
            return
        if meaning is Arrival.AHEAD:
            sequence.count_lost(self.gaps, (number - expected) % MODULUS, expected, span)
        else:
            sequence.restart(self.gaps, span)
        session["open"] = 0

    def _is_duplicate(self, data: NDArray[np.uint8], index: NDArray[np.void]) -> bool:
        """Whether the current datagram equals, byte for byte, one of the last few of the same exporter's address."""
        place = int(self.state[Slot.DATAGRAM])
        current, before = index[place], index[max(0, place - DUPLICATES_LOOKED_AT) : place]
        alike = before[before["length"] == current["length"]]
        alike = alike[(alike["src_lo"] == current["src_lo"]) & (alike["src_hi"] == current["src_hi"])]
        content = _bytes_of(data, current)
        return any(_bytes_of(data, row) == content for row in alike)

    def _late_end(self, data: NDArray[np.uint8], index: NDArray[np.void]) -> None:
        row = int(self.state[Slot.SESSION])
        self.tables.sessions[row]["late"] = 0
        self.sequences[row].fill(int(self.state[Slot.UNITS]))

    def _templates(self, data: NDArray[np.uint8], index: NDArray[np.void]) -> None:
        content = self._set_content(data)
        self.state[Slot.POSITION] += len(content)
        session, protocol = int(self.state[Slot.SESSION]), int(self.state[Slot.PROTOCOL])
        self.state[Slot.TEMPLATES] += self.templates.read_set(session, protocol, content, self.reject, self.note)

    def _set_content(self, data: NDArray[np.uint8]) -> bytes:
        at = int(self.state[Slot.POSITION])
        return data[at : at + int.from_bytes(data[at + 2 : at + 4].tobytes())].tobytes()

    def _options(self, data: NDArray[np.uint8], index: NDArray[np.void]) -> None:
        state, content = self.state, self._set_content(data)
        plan, session = int(state[Slot.PLAN]), int(state[Slot.SESSION])
        state[Slot.POSITION] += len(content)
        repeated, count = self._options_seen.get(plan, (b"", 0))
        if repeated != content:
            count = self._read_options(plan, session, content)
        state[Slot.UNITS] += count
        self.tables.sessions[session]["records"] += count
        self.irregularities[Irregularity.OPTIONS_RECORD] += count

    def _read_options(self, plan: int, session: int, content: bytes) -> int:
        count = 0
        for values in option_records(self.templates.layout(plan), content[4:]):
            if values is None:
                self.tables.sessions[session]["open"] = 1
                self.reject(Rejection.TRUNCATED_RECORD, len(content))
                return count
            count += 1
            said = announcement_of(values)
            if said.init_ms is not None:
                self.tables.sessions[session]["init_ms"] = said.init_ms
            if said.rate is not None:
                self.announce(session, said.selector, said.rate)
        self._options_seen[plan] = (content, count)
        return count

    def announce(self, session: int, selector: int | None, rate: float) -> None:
        """A sampling rate, 1-in-`rate`, holds from here on: for one sampler, or for all that an exporter counts."""
        if not (math.isfinite(rate) and 1 <= rate <= self.limits.sampling_rate_max):
            self.reject(Rejection.BAD_SAMPLING_RATE, 0)
            return
        self.sequences[session].rates[rate] = None
        if self.override is not None:
            return
        if selector is None:
            self._general.add(session)
            self.tables.sessions[session]["rate"] = rate
            return
        used = self.tables.samplers[: int(self.state[Slot.SAMPLERS])]
        found = np.flatnonzero((used["session"] == session) & (used["selector"] == np.uint64(selector)))
        if len(found):
            used["rate"][found[0]] = rate
        elif len(used) >= self.limits.samplers_max:
            self.reject(Rejection.BAD_SAMPLING_RATE, 0)
            return
        else:
            self.tables.samplers[len(used)] = (session, selector, rate)
            self.state[Slot.SAMPLERS] += 1
        if session not in self._general:
            known = self.tables.samplers[: int(self.state[Slot.SAMPLERS])]
            self.tables.sessions[session]["rate"] = known["rate"][known["session"] == session].max()

    def _rate(self, data: NDArray[np.uint8], index: NDArray[np.void]) -> None:
        self.announce(int(self.state[Slot.SESSION]), None, float(self.state[Slot.AMOUNT]))

    def _rejected(self, data: NDArray[np.uint8], index: NDArray[np.void]) -> None:
        reason, amount = REJECTIONS[int(self.state[Slot.REASON])], int(self.state[Slot.AMOUNT])
        if reason is Rejection.UNKNOWN_TEMPLATE:
            sequence, set_id = self.sequences[int(self.state[Slot.SESSION])], int(self.state[Slot.SET_ID])
            sequence.unknown_templates[set_id] += 1
            sequence.unknown_template_bytes[set_id] += amount
        self.reject(reason, amount)

    def _new_source(self, data: NDArray[np.uint8], index: NDArray[np.void]) -> None:
        self.state[Slot.SAMPLE_DONE] = 1
        if not self.sources.add(self.state):
            self.reject(Rejection.TOO_MANY_SOURCES, 0)

    def _source_sequence(self, data: NDArray[np.uint8], index: NDArray[np.void]) -> None:
        self.state[Slot.SAMPLE_DONE] = 1
        row = int(self.state[Slot.SESSION])
        late = bool(self.tables.sessions[row]["late"])
        self.sources.settle(self.state, self.sequences[row], self.gaps, late=late)


def _bytes_of(data: NDArray[np.uint8], row: np.void) -> bytes:
    return data[int(row["offset"]) : int(row["offset"]) + int(row["length"])].tobytes()


def _agent(data: NDArray[np.uint8], at: int) -> tuple[int, int]:
    """The agent address of an sFlow datagram whose header has been checked."""
    if data[at + 7] == 1:
        return 0, (0xFFFF << 32) | int.from_bytes(data[at + 8 : at + 12].tobytes())
    return int.from_bytes(data[at + 8 : at + 16].tobytes()), int.from_bytes(data[at + 16 : at + 24].tobytes())
