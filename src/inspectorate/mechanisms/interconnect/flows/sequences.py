"""Sequence numbers: what is missing, what is late, what came twice, who started again.

Rules, with all differences modulo 2^32:

1. The expected number: nothing to say (decided in the kernel; never comes here).
2. A number ahead: the difference is lost, between the arrival before and this one. Where the datagram before held records
   that could not be counted, the difference belongs to them.
3. A number behind, and the datagram is byte for byte one of the last few: a duplicate, not counted again.
4. A number behind that lies within a known gap: late; it takes its units off the gap.
5. Any other number behind: the exporter started again. What it lost before that is not known.

Sources: RFC 3954, section 5.1 (datagrams); RFC 7011, section 3.1 (data records); Cisco, NetFlow Export Datagram Format (flows);
sFlow Version 5, section 5 (datagrams per sub-agent, samples per data source).
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from enum import Enum, auto

from inspectorate.mechanisms.interconnect.flows.report import Exporter, Gap, GapCause, Unit

MODULUS = 1 << 32
HALF = 1 << 31
GAPS_OPEN_MAX = 64
"""Gaps per exporter into which a late datagram may still fall."""


class Arrival(Enum):
    """What an unexpected number means."""

    AHEAD = auto()
    DUPLICATE = auto()
    LATE = auto()
    RESTARTED = auto()


@dataclass(kw_only=True)
class _OpenGap:
    gap: Gap
    first: int
    """The first missing number."""
    span: int
    missing: int
    removed: bool = False


@dataclass(kw_only=True)
class GapList:
    """All gaps of a stream. Above `limit`, there is only one more for each exporter and cause."""

    limit: int
    entries: list[_OpenGap] = field(default_factory=list)
    last: dict[tuple[Exporter | None, GapCause], _OpenGap] = field(default_factory=dict)

    def add(self, gap: Gap, *, first: int = 0, span: int = 0) -> _OpenGap:
        """Append a gap; one of the same kind at the same time is joined to it, and so is every one above the limit."""
        key = (gap.exporter, gap.cause)
        before = self.last.get(key)
        full = len(self.entries) >= self.limit
        if before is not None and before.removed and full:
            before.gap, before.first, before.span, before.missing, before.removed = gap, first, span, span, False
            return before
        if before is not None and not before.removed and (full or (span == 0 and before.gap.end_ns == gap.start_ns)):
            before.gap = _joined(before.gap, gap)
            before.span = 0
            return before
        entry = _OpenGap(gap=gap, first=first, span=span, missing=span)
        self.entries.append(entry)
        self.last[key] = entry
        return entry

    def closed(self) -> tuple[Gap, ...]:
        """The gaps as they stand, those filled by late datagrams left out."""
        return tuple(entry.gap for entry in self.entries if not entry.removed)


def _joined(one: Gap, other: Gap) -> Gap:
    lost = None if one.lost is None or other.lost is None else one.lost + other.lost
    return Gap(
        exporter=one.exporter,
        cause=one.cause,
        start_ns=min(one.start_ns, other.start_ns),
        end_ns=max(one.end_ns, other.end_ns),
        unit=one.unit,
        lost=lost,
        refused_bytes=one.refused_bytes + other.refused_bytes,
    )


@dataclass(kw_only=True)
class Sequence:
    """The history of one exporter's numbers."""

    exporter: Exporter
    unit: Unit
    lost: int = 0
    late: int = 0
    duplicates: int = 0
    restarts: int = 0
    rates: dict[float, None] = field(default_factory=dict)
    unknown_templates: Counter[int] = field(default_factory=Counter)
    unknown_template_bytes: Counter[int] = field(default_factory=Counter)
    open_gaps: deque[_OpenGap] = field(default_factory=lambda: deque(maxlen=GAPS_OPEN_MAX))
    uncounted: _OpenGap | None = None
    """The gap of records that could not be counted; the next number says how many they were."""
    filling: _OpenGap | None = None

    def settle(self, *, number: int, expected: int, duplicate: bool) -> Arrival:
        """What a number means that is not the expected one (rules 2 to 5)."""
        ahead = (number - expected) % MODULUS
        if ahead < HALF:
            return Arrival.AHEAD
        if duplicate:
            self.duplicates += 1
            return Arrival.DUPLICATE
        for entry in self.open_gaps:
            if not entry.removed and (number - entry.first) % MODULUS < entry.span:
                self.filling = entry
                self.late += 1
                return Arrival.LATE
        self.restarts += 1
        return Arrival.RESTARTED

    def count_lost(self, gaps: GapList, units: int, expected: int, span_ns: tuple[int, int]) -> None:
        """Rule 2: `units` from number `expected` on are missing between two arrivals."""
        if self.uncounted is not None:
            entry = self.uncounted
            entry.gap = _joined(entry.gap, self._gap(entry.gap.cause, span_ns, 0))
            entry.gap = _with_lost(entry.gap, units + (entry.gap.lost or 0))
            self.uncounted = None
        elif units:
            entry = gaps.add(self._gap(GapCause.LOST, span_ns, units), first=expected, span=units)
            self.open_gaps.append(entry)
        self.lost += units

    def restart(self, gaps: GapList, span_ns: tuple[int, int]) -> None:
        """Rule 5."""
        self.uncounted = None
        self.open_gaps.clear()
        gaps.add(self._gap(GapCause.RESTARTED, span_ns, None))

    def fill(self, units: int) -> None:
        """Rule 4: a late datagram of so many units has been decoded."""
        entry = self.filling
        self.filling = None
        if entry is None:
            return
        filled = min(units, entry.missing)
        entry.missing -= filled
        self.lost -= filled
        entry.removed = entry.missing == 0
        entry.gap = _with_lost(entry.gap, entry.missing)

    def refuse(self, gaps: GapList, cause: GapCause, arrival_ns: int, amount: int) -> None:
        """Data of this exporter that came at `arrival_ns` were not decoded."""
        gap = Gap(
            exporter=self.exporter,
            cause=cause,
            start_ns=arrival_ns,
            end_ns=arrival_ns,
            unit=self.unit,
            lost=None,
            refused_bytes=amount,
        )
        self.uncounted = gaps.add(gap)

    def drop_samples(self, gaps: GapList, cause: GapCause, lost: int, span_ns: tuple[int, int]) -> None:
        """sFlow samples that did not come, by their own number or by the agent's count of drops."""
        start, end = span_ns
        gap = Gap(exporter=self.exporter, cause=cause, start_ns=start, end_ns=end, unit=Unit.SAMPLES, lost=lost)
        gaps.add(gap)

    def _gap(self, cause: GapCause, span_ns: tuple[int, int], lost: int | None) -> Gap:
        start, end = min(span_ns), max(span_ns)
        return Gap(exporter=self.exporter, cause=cause, start_ns=start, end_ns=end, unit=self.unit, lost=lost)


def _with_lost(gap: Gap, lost: int) -> Gap:
    return Gap(
        exporter=gap.exporter,
        cause=gap.cause,
        start_ns=gap.start_ns,
        end_ns=gap.end_ns,
        unit=gap.unit,
        lost=lost,
        refused_bytes=gap.refused_bytes,
    )
