"""The recorder: answers of sources in, signed and chained segments of every meter's stream out.

Procedure:

1. A meter's stream begins with the recorder, under a name that no earlier stream had. Segments end at multiples of their
   length since 1970, or when they are full; empty ones are written too (`evidence.cutting`).
2. A row belongs to the segment in whose period its answer was there, a page to that in which it was asked for. Its time is
   kept, but never lies before that of the row before it, nor outside of the period: a clock that was set back repeats a time,
   which the reader counts.
3. Polls that failed and polls that were missed count as dropped in the segment that was open at their time, or in the stretch
   in which the process did not come to turn. No sample ever stands for them.
4. Closed segments leave through a function, in order. `payload_of` gives the payload: a Parquet table of the rows as they came,
   or the pages of an exporter, each after a line that says when it was asked for and how long it took.

`TelemetryRecorder` is pure: times come with what is fed. Sealing is `evidence.sealing`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import TelemetrySegment
from inspectorate.evidence.cutting import PAYLOAD_BYTES_TARGET, Cutter, Open
from inspectorate.evidence.sealing import Closed
from inspectorate.mechanisms.workloads.record.declared import signals_in
from inspectorate.mechanisms.workloads.record.source import Scrape
from inspectorate.mechanisms.workloads.telemetry.frame import Samples
from inspectorate.mechanisms.workloads.telemetry.payload import encode_segment

METERS_MAX = 4_096
PARQUET: Literal["application/vnd.apache.parquet"] = "application/vnd.apache.parquet"
TEXT: Literal["text/plain; version=0.0.4"] = "text/plain; version=0.0.4"
SCRAPED = b"# scraped "
"""How the line begins that stands before each page. A page that holds such a line itself is refused: it would forge times."""


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """One meter that is recorded: what it shows, in the order in which it was declared, and in which form."""

    meter: str
    units: tuple[str, ...]
    signals: tuple[str, ...]
    pages: bool = False
    """Its payloads are pages of an exporter, not tables."""


@dataclass(frozen=True, kw_only=True)
class ClosedTelemetry(Closed):
    """A segment of telemetry with its payload."""

    media_type: Literal["application/vnd.apache.parquet", "text/plain; version=0.0.4"]
    samples: int
    dropped: int

    def predicate(self, **common: Any) -> TelemetrySegment:
        return TelemetrySegment(**common, media_type=self.media_type, samples=self.samples, dropped=self.dropped)


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A segment that will not change any more, before its payload is made."""

    recorded: Recorded
    sequence: int
    final: bool
    start_ns: int
    end_ns: int
    parts: tuple[Samples, ...]
    pages: tuple[bytes, ...]
    samples: int
    dropped: int
    size_bytes: int
    """What it takes in memory."""


@dataclass(kw_only=True)
class Count:
    """What one meter's stream came to so far."""

    polls: int = 0
    samples: int = 0
    dropped: int = 0
    segments: int = 0
    last_fault: str = ""


@dataclass(kw_only=True)
class _Content:
    """What is in the segment of a meter that is being written."""

    parts: list[Samples] = field(default_factory=list)
    pages: list[bytes] = field(default_factory=list)
    samples: int = 0
    size_bytes: int = 0
    dropped: int = 0
    dropped_after: int = 0
    """Missed polls of the time after this segment."""


class TelemetryRecorder:
    """Cuts the answers of every meter into segments (procedure in the module's docstring, steps 1 to 4)."""

    def __init__(
        self,
        meters: Sequence[Recorded],
        sink: Callable[[Cut], None],
        *,
        start_ns: int,
        segment_s: float = 30.0,
        payload_bytes_max: int = PAYLOAD_BYTES_TARGET,
    ) -> None:
        self._meters = {one.meter: one for one in meters}
        if not 1 <= len(meters) <= METERS_MAX or len(self._meters) != len(meters):
            raise InputError(
                f"{len(meters)} meters cannot be recorded", remedy=f"give 1 to {METERS_MAX}, each of them once"
            )
        self._sink = sink
        self._payload_bytes_max = payload_bytes_max
        self.counts = {meter: Count() for meter in self._meters}
        # (1)
        self._cutter = Cutter(self._meters, self._begin, self._closed, start_ns=start_ns, segment_s=segment_s)

    def tick(self, meter: str, now_ns: int) -> None:
        """Say that all that a meter showed before `now_ns` has been fed: ends what is over."""
        self._cutter.advance(meter, now_ns)

    def feed(self, meter: str, answer: Samples | Scrape) -> None:
        """Take what one source of a meter showed. Raises `EvidenceError` on a page that cannot be kept."""
        if isinstance(answer, Scrape):
            self._feed_page(meter, answer)
        else:
            self._feed_rows(meter, answer)
        self.counts[meter].polls += 1

    def failed(self, meter: str, fault: str) -> None:
        """A poll of one source gave nothing (3)."""
        self._cutter[meter].content.dropped += 1
        self.counts[meter].dropped += 1
        self.counts[meter].last_fault = fault

    def missed(self, meter: str, count: int, *, first_ns: int, every_ns: int) -> None:
        """So many polls in a row were not made, the first of them at `first_ns` (3). Call before `tick`."""
        segment = self._cutter[meter]
        within = min(count, max(0, -(-(segment.end_ns - first_ns) // every_ns)))
        segment.content.dropped += within
        segment.content.dropped_after += count - within
        self.counts[meter].dropped += count

    def close(self, now_ns: int) -> None:
        """End every stream. Idempotent."""
        self._cutter.close(now_ns)

    def _feed_rows(self, meter: str, rows: Samples) -> None:
        if self._meters[meter].pages:
            raise ValueError(f"{meter} is recorded as pages")
        latest_ns = self._cutter[meter].latest_ns
        # (2)
        time_ns = np.maximum.accumulate(np.maximum(rows.time_ns, latest_ns))
        row_bytes = 12 + 8 * len(rows.signals)
        first = 0
        while first < len(rows):
            segment = self._cutter.advance(meter, int(time_ns[first]))
            time_ns = np.maximum(time_ns, segment.start_ns)
            last = int(np.searchsorted(time_ns, segment.end_ns))
            content = segment.content
            size_bytes = (last - first) * row_bytes
            if content.samples and content.size_bytes + size_bytes > self._payload_bytes_max:
                self._cutter.end_early(meter)
                continue
            content.parts.append(
                Samples(
                    units=rows.units,
                    signals=rows.signals,
                    time_ns=time_ns[first:last],
                    unit=rows.unit[first:last],
                    values=rows.values[first:last],
                )
            )
            segment.latest_ns = int(time_ns[last - 1])
            self._count(meter, content, last - first, size_bytes)
            first = last

    def _feed_page(self, meter: str, scrape: Scrape) -> None:
        if not self._meters[meter].pages:
            raise ValueError(f"{meter} is not recorded as pages")
        text = scrape.text if scrape.text.endswith(b"\n") else scrape.text + b"\n"
        lines = text.split(b"\n")
        if any(line.startswith(SCRAPED) for line in lines):
            raise EvidenceError("the page holds a line that only its recorder writes", where=f"meter {meter}")
        # (2)
        time_ns = max(scrape.time_ns, self._cutter[meter].latest_ns)
        segment = self._cutter.advance(meter, time_ns)
        page = b"%s%d took %d\n" % (SCRAPED, time_ns, max(0, scrape.took_ns)) + text
        if segment.content.samples and segment.content.size_bytes + len(page) > self._payload_bytes_max:
            segment = self._cutter.end_early(meter)
            page = b"%s%d took %d\n" % (SCRAPED, max(time_ns, segment.start_ns), max(0, scrape.took_ns)) + text
        segment.latest_ns = max(time_ns, segment.start_ns)
        segment.content.pages.append(page)
        samples = sum(1 for line in lines if line.strip() and not line.lstrip().startswith(b"#"))
        self._count(meter, segment.content, samples, len(page))

    def _count(self, meter: str, content: _Content, samples: int, size_bytes: int) -> None:
        content.samples += samples
        content.size_bytes += size_bytes
        self.counts[meter].samples += samples

    def _begin(self, _meter: str, former: _Content | None) -> _Content:
        return _Content(dropped=former.dropped_after if former else 0)

    def _closed(self, meter: str, segment: Open[_Content], end_ns: int, final: bool) -> None:
        content = segment.content
        self.counts[meter].segments += 1
        # (4)
        self._sink(
            Cut(
                recorded=self._meters[meter],
                sequence=segment.sequence,
                final=final,
                start_ns=segment.start_ns,
                end_ns=end_ns,
                parts=tuple(content.parts),
                pages=tuple(content.pages),
                samples=content.samples,
                dropped=content.dropped,
                size_bytes=content.size_bytes,
            )
        )


def payload_of(cut: Cut) -> ClosedTelemetry:
    """A cut segment with its payload."""
    pages = cut.recorded.pages
    chunks = cut.pages if pages else (encode_segment(joined(cut.recorded, cut.parts)),)
    return ClosedTelemetry(
        sensor=cut.recorded.meter,
        sequence=cut.sequence,
        final=cut.final,
        start_ns=cut.start_ns,
        end_ns=cut.end_ns,
        chunks=chunks,
        size_bytes=sum(map(len, chunks)),
        media_type=TEXT if pages else PARQUET,
        samples=cut.samples,
        dropped=cut.dropped,
    )


def joined(recorded: Recorded, parts: Sequence[Samples]) -> Samples:
    """All rows in the order in which they came. Declared units and signals come first, whatever else showed up after them."""
    units = tuple(dict.fromkeys((*recorded.units, *(unit for part in parts for unit in part.units))))
    signals = tuple(dict.fromkeys((*recorded.signals, *(signal for part in parts for signal in signals_in(part)))))
    unit_at = {unit: place for place, unit in enumerate(units)}
    signal_at = {signal: place for place, signal in enumerate(signals)}
    rows = sum(len(part) for part in parts)
    values = np.full((rows, len(signals)), np.nan)
    unit = np.empty(rows, dtype=np.int32)
    first = 0
    for part in parts:
        last = first + len(part)
        unit[first:last] = np.array([unit_at[name] for name in part.units], dtype=np.int32)[part.unit]
        shown = [place for place, name in enumerate(part.signals) if name in signal_at]
        values[first:last, [signal_at[part.signals[place]] for place in shown]] = part.values[:, shown]
        first = last
    return Samples(
        units=units,
        signals=signals,
        time_ns=np.concatenate([part.time_ns for part in parts]) if parts else np.empty(0, dtype=np.int64),
        unit=unit,
        values=values,
    )
