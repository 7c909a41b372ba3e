r"""Prometheus text and OpenMetrics, as exporters show it when they are scraped: to samples.

A payload is one scrape after another, each behind a header that its recorder wrote, a comment to every other reader:

    # scraped 1772442000123456789 took 8123456
    DCGM_FI_DEV_POWER_USAGE{gpu="0",UUID="GPU-1f..",Hostname="n1"} 423.1
    ...

- The time is that at which the scrape began; values are of some moment in the time that it took.
- Text before the first header, and behind a header that is malformed, was scraped nobody knows when: only samples with a timestamp
  of their own are read of it.
- There are two ways to read, with identical answers: line by line (`lines`), and by pages (`pages`) where a scrape is written as
  one before. A reader keeps its pages from payload to payload.
- Rows stand in the order in which their first samples stand.
"""

from __future__ import annotations

import numpy as np

from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.workloads.telemetry.book import Book
from inspectorate.mechanisms.workloads.telemetry.frame import UNITS_MAX, Samples
from inspectorate.mechanisms.workloads.telemetry.lines import Do, Page, Row, read_lines
from inspectorate.mechanisms.workloads.telemetry.pages import DIFFERS, FULL, HEADER, Room, follow, read_header
from inspectorate.mechanisms.workloads.telemetry.reference import VALUES_PER_PAYLOAD_MAX
from inspectorate.mechanisms.workloads.telemetry.report import ReadReport, Unread

ROWS_FIRST = 1_024


class PrometheusReader:
    """Reads payloads of one stream. `node` names a node whose exporter does not say which it is.

    With `by_pages` False every line is read slowly: the oracle of the tests.
    """

    def __init__(self, *, node: str = "node", by_pages: bool = True) -> None:
        self._node = node
        self._by_pages = by_pages
        self._book = Book()
        self._units: dict[str, int] = {}
        self._columns: dict[str, int] = {}
        self._last = -1
        self._next = -1
        self._room = _room(0, 0)

    def read(self, payload: bytes, report: ReadReport) -> Samples:
        """The samples of one payload. Raises `EvidenceError` on one beyond the bounds."""
        self._room = _room(ROWS_FIRST, len(self._columns))
        data = np.frombuffer(payload, dtype=np.uint8)
        begin = 0 if payload.startswith(HEADER) else payload.find(b"\n" + HEADER) + 1 or len(payload)
        self._read_slowly(payload[:begin], None, report)
        at = begin
        while at < len(payload):
            outcome, stop, last, page = follow(data, at, self._book.pages, self._next, self._room)
            self._last = last if last >= 0 else self._last
            self._next = page
            at = stop
            if outcome == FULL:
                self._make_room(self._book.rows(page))
            elif outcome == DIFFERS:
                time_ns, text = read_header(data, at, len(data))
                start = text if time_ns >= 0 else at
                end = payload.find(b"\n" + HEADER, at) + 1 or len(payload)
                known = self._book.find(payload, start, end) if time_ns >= 0 and self._by_pages else -1
                if known not in (-1, page):
                    self._turn_to(known)
                    continue
                self._turn_to(self._read_slowly(payload[start:end], time_ns if time_ns >= 0 else None, report))
                self._last, self._next = self._next, self._after(self._next)
                at = end
        self._count(report)
        return self._samples()

    def _turn_to(self, page: int) -> None:
        """The next scrape is of this page, and will be the next time."""
        if self._last >= 0 and page >= 0:
            self._book.pages.after[self._last] = page
        self._next = page

    def _after(self, page: int) -> int:
        return int(self._book.pages.after[page]) if page >= 0 else -1

    def _read_slowly(self, text: bytes, time_ns: int | None, report: ReadReport) -> int:
        """Read a scrape line by line: the number of its page, or -1."""
        unitless = report.unread[Unread.NO_UNIT]
        rows, page = read_lines(text, time_ns=time_ns, node=self._node, report=report)
        report.slow_scrapes += time_ns is not None
        self._append(rows)
        if page is None or not self._by_pages or page.entries[0].do is Do.END:
            return -1
        return self._learn(page, report.unread[Unread.NO_UNIT] - unitless)

    def _learn(self, page: Page, unitless: int) -> int:
        return self._book.learn(page, self._columns, self._units, unitless)

    def _append(self, rows: list[Row]) -> None:
        for row in rows:
            self._units.setdefault(row.unit, len(self._units))
            for signal in row.values:
                self._columns.setdefault(signal, len(self._columns))
        if len(self._units) > UNITS_MAX:
            raise EvidenceError(f"more than {UNITS_MAX} units are named", where="Prometheus text")
        self._make_room(len(rows))
        for row in rows:
            at = int(self._room.counts[0])
            self._room.time_ns[at], self._room.unit[at] = row.time_ns, self._units[row.unit]
            self._room.values[at] = np.nan
            for signal, value in row.values.items():
                self._room.values[at, self._columns[signal]] = value
            self._room.counts[0] += 1

    def _make_room(self, rows: int) -> None:
        """Room for more rows, and for all signals that are known by now. Raises `EvidenceError` beyond the bound."""
        used, room = int(self._room.counts[0]), self._room
        length, width = room.values.shape
        fits = used + rows <= length
        if fits and width >= len(self._columns):
            return
        wanted = length if fits else max(2 * length, used + rows)
        wide = max(width, len(self._columns))
        if (used + rows) * wide > VALUES_PER_PAYLOAD_MAX:
            raise EvidenceError(
                f"more than {VALUES_PER_PAYLOAD_MAX} values", where="Prometheus text", remedy="record shorter segments"
            )
        self._room = _room(wanted, wide)
        self._room.time_ns[:used], self._room.unit[:used] = room.time_ns[:used], room.unit[:used]
        self._room.values[:used, :width] = room.values[:used]
        self._room.values[:used, width:] = np.nan
        self._room.counts[:] = room.counts

    def _count(self, report: ReadReport) -> None:
        scrapes, lines, unknown, unitless = self._book.take_counts()
        report.fast_scrapes += scrapes
        report.entries += lines
        for reason, count in (
            (Unread.UNKNOWN_NAME, unknown),
            (Unread.NO_UNIT, unitless),
            (Unread.NOT_A_NUMBER, int(self._room.counts[1])),
        ):
            if count:
                report.unread[reason] += count

    def _samples(self) -> Samples:
        used, room = int(self._room.counts[0]), self._room
        return Samples(
            units=tuple(self._units),
            signals=tuple(self._columns),
            time_ns=room.time_ns[:used].copy(),
            unit=room.unit[:used].copy(),
            values=room.values[:used].copy(),
        )


def _room(rows: int, signals: int) -> Room:
    return Room(
        time_ns=np.empty(rows, dtype=np.int64),
        unit=np.empty(rows, dtype=np.int32),
        values=np.empty((rows, signals), dtype=np.float64),
        counts=np.zeros(2, dtype=np.int64),
    )


def read_prometheus(payload: bytes, *, report: ReadReport, node: str = "node") -> Samples:
    """The samples of one payload by itself. Raises `EvidenceError` on one beyond the bounds."""
    return PrometheusReader(node=node).read(payload, report)
