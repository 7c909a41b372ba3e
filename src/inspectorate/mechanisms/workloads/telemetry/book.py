"""The pages that were learned, as arrays that grow, and how the page of a scrape is found.

- A page that is learned twice is one page: it is known by the digest of all that it says.
- The page of a scrape that was not foretold is looked for by its first sample's bytes before the number.
- Beyond `PAGES_MAX` pages, or `PAGES_BYTES_MAX` of text, none is learned: reading is slow then, and as right.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.workloads.telemetry.lines import Do, Page
from inspectorate.mechanisms.workloads.telemetry.pages import Pages
from inspectorate.mechanisms.workloads.telemetry.reference import PAGES_BYTES_MAX, PAGES_MAX


class _Growing:
    """An array that doubles when it is full."""

    def __init__(self, kind: type[np.generic], *first: int) -> None:
        self.used = len(first)
        self.whole: NDArray[Any] = np.zeros(16, dtype=kind)
        self.whole[: len(first)] = first

    def extend(self, values: NDArray[Any]) -> None:
        need = self.used + len(values)
        if need > len(self.whole):
            grown = np.zeros(max(need, 2 * len(self.whole)), dtype=self.whole.dtype)
            grown[: self.used] = self.whole[: self.used]
            self.whole = grown
        self.whole[self.used : need] = values
        self.used = need


class Book:
    """Pages by number, from 0."""

    def __init__(self) -> None:
        self._text = _Growing(np.uint8)
        self._at, self._first, self._rows = (_Growing(np.int64, 0) for _ in range(3))
        self._do, self._row, self._column = _Growing(np.int8), _Growing(np.int32), _Growing(np.int32)
        self._factor, self._unit = _Growing(np.float64), _Growing(np.int32)
        self._after, self._read, self._lines, self._skipped, self._checked = (_Growing(np.int64) for _ in range(5))
        self._by_digest: dict[bytes, int] = {}
        self._by_line: dict[bytes, int] = {}
        self.pages = self._arrays()

    def __len__(self) -> int:
        return self._after.used

    def rows(self, page: int) -> int:
        """How many rows a scrape of a page makes."""
        return int(self.pages.rows[page + 1] - self.pages.rows[page])

    def learn(self, page: Page, columns: dict[str, int], units: dict[str, int], unitless: int) -> int:
        """The number of a page, which is added if it is new; -1 if there is no room.

        `columns` and `units` place its signals and units; `unitless` is how many of its lines name no unit.
        """
        digest = _digest(page)
        if digest in self._by_digest:
            number = self._by_digest[digest]
            self._by_line[_first_line(page)] = number
            return number
        size = sum(len(entry.text) for entry in page.entries)
        if len(self) >= PAGES_MAX or self._text.used + size > PAGES_BYTES_MAX:
            return -1
        entries = page.entries
        ends = self._text.used + np.cumsum([len(entry.text) for entry in entries], dtype=np.int64)
        self._text.extend(np.frombuffer(b"".join(entry.text for entry in entries), dtype=np.uint8))
        self._at.extend(ends)
        self._do.extend(np.array([entry.do for entry in entries]))
        self._row.extend(np.array([entry.row for entry in entries]))
        self._column.extend(np.array([columns.get(entry.signal, 0) for entry in entries]))
        self._factor.extend(np.array([entry.factor for entry in entries]))
        self._unit.extend(np.array([units[unit] for unit in page.units], dtype=np.int32))
        self._first.extend(np.array([self._do.used]))
        self._rows.extend(np.array([self._unit.used]))
        self._after.extend(np.array([-1]))
        self._read.extend(np.array([0]))
        self._lines.extend(np.array([len(entries) - 1]))
        self._skipped.extend(np.array([sum(entry.do is Do.SKIP for entry in entries)]))
        self._checked.extend(np.array([unitless]))
        self.pages = self._arrays()
        number = len(self) - 1
        self._by_digest[digest] = self._by_line[_first_line(page)] = number
        return number

    def find(self, text: bytes, start: int, end: int) -> int:
        """The page whose first sample is written like that of the scrape between `start` and `end`; -1 if none is."""
        while start < end and text[start] in b"#\n":
            start = text.find(b"\n", start, end) + 1 or end
        stop = text.find(b"\n", start, end)
        return self._by_line.get(text[start : text.rfind(b" ", start, stop) + 1], -1) if stop > 0 else -1

    def take_counts(self) -> tuple[int, int, int, int]:
        """Scrapes read by pages since the last call, their sample lines, those of unknown names, those without a unit."""
        read = self._read.whole[: self._read.used]
        lines, skipped, checked = (
            int(read @ one.whole[: one.used]) for one in (self._lines, self._skipped, self._checked)
        )
        scrapes = int(read.sum())
        read[:] = 0
        return scrapes, lines, skipped, checked

    def _arrays(self) -> Pages:
        return Pages(
            text=self._text.whole, at=self._at.whole, do=self._do.whole, row=self._row.whole, column=self._column.whole,
            factor=self._factor.whole, first=self._first.whole, rows=self._rows.whole, unit=self._unit.whole,
            after=self._after.whole, read=self._read.whole,
        )  # fmt: skip


def _digest(page: Page) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for entry in page.entries:
        digest.update(f"{len(entry.text)} {entry.do} {entry.row} {entry.signal} {entry.factor}\n".encode())
        digest.update(entry.text)
    for unit in page.units:
        digest.update(f"{len(unit)} {unit}".encode())
    return digest.digest()


def _first_line(page: Page) -> bytes:
    """The first sample's bytes before its number."""
    text = page.entries[0].text
    return text[text.rfind(b"\n") + 1 :]
