r"""Scrapes that are written as one before: compared with its page, and only the numbers read. Compiled.

    # scraped TIME_NS took NS\n        the header that a recorder writes before each scrape
    text of the first entry  NUMBER\n  the same bytes as on the page, then one number
    ...
    text of the end                    and then a header, or the end of the payload

`follow` reads one scrape after another. It stops, with nothing of it read, at the first that differs in anything but its numbers,
that has a number which only `float()` can read, or for whose rows there is no room. What comes of a scrape is by construction
what `lines` makes of it; the tests hold one against the other.

Which page comes next is foretold by what came next before: recorders ask their targets in one order. `book` keeps the pages.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.workloads.telemetry.compiled import Int64, inlined, kernel
from inspectorate.mechanisms.workloads.telemetry.lines import TIME_NS_MAX, Do
from inspectorate.mechanisms.workloads.telemetry.numbers import PLAIN, read_number
from inspectorate.mechanisms.workloads.telemetry.signals import SENTINEL_MIN

HEADER = b"# scraped "
BETWEEN = b" took "
SKIPPED_BYTES_MAX = 1_024
NUMBER_BYTES_MAX = 64
"""What is longer is read slowly."""
DONE, DIFFERS, FULL = 0, 1, 2
SET, ADD, CHECK, SKIP, END = (int(do) for do in (Do.SET, Do.ADD, Do.CHECK, Do.SKIP, Do.END))

_HEADER = np.frombuffer(HEADER, dtype=np.uint8)
_BETWEEN = np.frombuffer(BETWEEN, dtype=np.uint8)
_NAN = np.frombuffer(b"NaN", dtype=np.uint8)
_NEWLINE = 10


class Pages(NamedTuple):
    """All pages as arrays. Page k has entries `first[k]` to before `first[k + 1]`, and rows `rows[k]` to before `rows[k + 1]`."""

    text: NDArray[np.uint8]
    at: NDArray[np.int64]
    """Where the text of an entry begins; it ends where the next begins."""
    do: NDArray[np.int8]
    row: NDArray[np.int32]
    column: NDArray[np.int32]
    factor: NDArray[np.float64]
    first: NDArray[np.int64]
    rows: NDArray[np.int64]
    unit: NDArray[np.int32]
    """Of a row."""
    after: NDArray[np.int64]
    """Which page came next; -1: none yet."""
    read: NDArray[np.int64]
    """How many scrapes of a page were read."""


class Room(NamedTuple):
    """Where rows go."""

    time_ns: NDArray[np.int64]
    unit: NDArray[np.int32]
    values: NDArray[np.float64]
    counts: NDArray[np.int64]
    """Rows in use, and values that are NaN."""


@inlined
def _same(data: Any, at: int, text: Any, start: int, length: int) -> bool:
    """Whether bytes are equal; without an early end, so that it runs many bytes at once."""
    one, other = data[at : at + length], text[start : start + length]
    differ = np.uint8(0)
    for i in range(length):
        differ |= one[i] ^ other[i]
    return bool(differ == 0)


@kernel
def _whole(data: Any, at: int, end: int) -> tuple[Int64, Int64]:
    """A whole number of at most 19 digits, and where it ends; -1 if there is none."""
    value, first = np.int64(0), at
    while at < end and 48 <= data[at] <= 57 and at - first < 19:
        value = value * 10 + np.int64(data[at]) - 48
        at += 1
    return (value, at) if at > first and value >= 0 else (np.int64(-1), at)


@kernel
def read_header(data: Any, at: int, end: int) -> tuple[Int64, Int64]:
    """The time of the header at `at`, and where the scrape's text begins; (-1, ...) if it is none."""
    if at + len(_HEADER) > end or not _same(data, at, _HEADER, 0, len(_HEADER)):
        return np.int64(-1), at
    time_ns, at = _whole(data, at + len(_HEADER), end)
    if not 0 < time_ns < TIME_NS_MAX or at + len(_BETWEEN) > end or not _same(data, at, _BETWEEN, 0, len(_BETWEEN)):
        return np.int64(-1), at
    took, at = _whole(data, at + len(_BETWEEN), end)
    if took < 0 or at >= end or data[at] != _NEWLINE:
        return np.int64(-1), at
    return time_ns, at + 1


@kernel
def _line_end(data: Any, at: int, end: int) -> int:
    """Where the line ends; -1 if that is further than may be skipped."""
    last = min(end, at + SKIPPED_BYTES_MAX)
    while at < last:
        if data[at] == _NEWLINE:
            return at
        at += 1
    return -1


@kernel
def _scrape(data: Any, at: int, pages: Pages, page: int, room: Room) -> int:
    """Read the text of one scrape by one page, behind the rows in use: where it ends, or -1."""
    end, base, blanks = len(data), room.counts[0], 0
    for entry in range(pages.first[page], pages.first[page + 1]):
        start = pages.at[entry]
        length = pages.at[entry + 1] - start
        if at + length > end or not _same(data, at, pages.text, start, length):
            return -1
        at += length
        do = pages.do[entry]
        if do == END:
            break
        if do == SKIP:
            at = _line_end(data, at, end)
            if at < 0:
                return -1
        else:
            if at + len(_NAN) < end and _same(data, at, _NAN, 0, len(_NAN)):
                value, at = np.nan, at + len(_NAN)
                blanks += do != CHECK
            else:
                outcome, value, at = read_number(data, at, min(end, at + NUMBER_BYTES_MAX))
                if outcome != PLAIN:
                    return -1
            if at >= end or data[at] != _NEWLINE:
                return -1
            if do != CHECK:
                value = value if value >= SENTINEL_MIN else value * pages.factor[entry]
                row, column = base + pages.row[entry], pages.column[entry]
                if do == SET:
                    room.values[row, column] = value
                else:
                    room.values[row, column] += value
        at += 1
    if at < end and (at + len(_HEADER) > end or not _same(data, at, _HEADER, 0, len(_HEADER))):
        return -1
    room.counts[1] += blanks
    return at


@kernel
def follow(data: Any, at: int, pages: Pages, page: int, room: Room) -> tuple[Int64, Int64, Int64, Int64]:
    """Read scrapes from `at` on, the first by `page`.

    The outcome, where the first unread scrape begins, the page that was read last, and the one that was tried.
    """
    before: Int64 = np.int64(-1)
    while at < len(data):
        time_ns, start = read_header(data, at, len(data))
        if time_ns < 0 or page < 0:
            return DIFFERS, at, before, page
        base, first = room.counts[0], pages.rows[page]
        rows = pages.rows[page + 1] - first
        if base + rows > len(room.time_ns):
            return FULL, at, before, page
        for row in range(base, base + rows):
            for column in range(room.values.shape[1]):
                room.values[row, column] = np.nan
        stop = _scrape(data, start, pages, page, room)
        if stop < 0:
            return DIFFERS, at, before, page
        for row in range(rows):
            room.time_ns[base + row] = time_ns
            room.unit[base + row] = pages.unit[first + row]
        room.counts[0] += rows
        pages.read[page] += 1
        before, page, at = page, pages.after[page], stop
    return DONE, at, before, page
