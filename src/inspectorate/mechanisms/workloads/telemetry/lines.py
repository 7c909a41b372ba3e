r"""One scrape of Prometheus text, line by line: obviously right, and slow. The reader's oracle, and what it falls back to.

1. Lines end with `\n`. Blanks around a line do not count. A line of nothing, or that begins with `#`, is a comment.
2. A sample is `NAME{LABEL="VALUE",...} NUMBER [TIMESTAMP]`, with escapes `\\`, `\"` and `\n` in values. OpenMetrics may add an
   exemplar (`# {...}`) behind it, which is not read. Everything else is malformed.
3. A name that is not known is counted, and the rest of its line is not looked at.
4. A number is what `float()` makes of a decimal number, `NaN` or `Inf`.
5. A timestamp is milliseconds, or seconds where the scrape says `# EOF` (OpenMetrics). Without one, a sample was taken when the
   scrape was; without either, nobody knows when, and it is not read.
6. The k-th sample of one signal, unit and time goes into the k-th row of that unit and time: repeats stay. Samples that add up
   (`names`) are one value.

A scrape whose lines are all read or unknown also yields the `Page` by which the next one like it is read fast (`pages`).
Source: Prometheus, "Exposition formats", text format 0.0.4; OpenMetrics 1.0, section 4.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import IntEnum
from functools import lru_cache

from inspectorate.mechanisms.workloads.telemetry.names import Meaning, counts_for, meaning_of, scaled, unit_of
from inspectorate.mechanisms.workloads.telemetry.reference import LABELS_MAX, LINE_BYTES_MAX
from inspectorate.mechanisms.workloads.telemetry.report import ReadReport, Unread

TIME_NS_MAX = 7_258_118_400_000_000_000
"""The year 2200."""
BLANKS = b" \t\r\x0b\x0c"
REMEMBERED_BYTES_MAX = 1_024
"""Labels are remembered from line to line, if they are no longer than this."""
LEARNED_BYTES_MAX = LINE_BYTES_MAX // 2
"""Lines of a page are well below the bound, whatever numbers they have."""

_NAME = re.compile(rb"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABELS = re.compile(rb'(?:[ \t]*\{(?:[^"{}]++|"(?:[^"\\]|\\.)*+")*+\}|(?=[ \t]))', re.DOTALL)
_OPEN = re.compile(rb"[ \t]*\{[ \t]*")
_LABEL = re.compile(rb'([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\.)*)"[ \t]*(?:,[ \t]*|(?=\}))', re.DOTALL)
_NUMBER = (
    rb"[+-]?(?:[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?|[nN][aA][nN]|[iI][nN][fF](?:inity)?)"
)
_REST = re.compile(
    rb"[ \t]*(" + _NUMBER + rb")(?:[ \t]+([+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?))?(?:[ \t]+#[ \t]*\{.*)?\Z",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n"}


class Do(IntEnum):
    """What is done with the value of a line of a page."""

    SET = 0
    ADD = 1
    CHECK = 2
    """It must be a number, and is not kept."""
    SKIP = 3
    """The rest of the line is not looked at."""
    END = 4
    """The scrape ends here."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of a page: the bytes before its value (with comments before it), and what its value is."""

    text: bytes
    do: Do
    row: int = 0
    signal: str = ""
    factor: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Page:
    """How one scrape is written: the same until units or labels change."""

    entries: tuple[Entry, ...]
    units: tuple[str, ...]
    """Of each row."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """Values of one unit at one time."""

    unit: str
    time_ns: int
    values: Mapping[str, float]


@dataclass(kw_only=True)
class _Cells:
    """Rows while they are made."""

    rows: list[tuple[str, int, dict[str, float]]] = field(default_factory=list)
    places: dict[tuple[str, int], list[int]] = field(default_factory=dict)

    def place(self, unit: str, time_ns: int, meaning: Meaning, value: float) -> tuple[int, Do]:
        """Put a value where it belongs (6.): the row, and what was done."""
        mine = self.places.setdefault((unit, time_ns), [])
        signal = meaning.signal
        if meaning.adds and mine and signal in self.rows[mine[0]][2]:
            self.rows[mine[0]][2][signal] += value
            return mine[0], Do.ADD
        for row in mine:
            if signal not in self.rows[row][2]:
                self.rows[row][2][signal] = value
                return row, Do.SET
        self.rows.append((unit, time_ns, {signal: value}))
        mine.append(len(self.rows) - 1)
        return mine[-1], Do.SET


def read_lines(text: bytes, *, time_ns: int | None, node: str, report: ReadReport) -> tuple[list[Row], Page | None]:
    """The rows of one scrape taken at `time_ns` (none: not known), and its page if it is one that can be learned."""
    seconds = any(line.strip(BLANKS) == b"# EOF" for line in text.split(b"\n")) if b"# EOF" in text else False
    cells, entries, pending, learnable = _Cells(), list[Entry](), 0, time_ns is not None and text.endswith(b"\n")
    at = 0
    while at < len(text):
        end = text.find(b"\n", at)
        end = len(text) if end < 0 else end
        line = text[at:end].strip(BLANKS)
        if line and not line.startswith(b"#"):
            report.entries += 1
            entry = _read_line(line, cells, (time_ns, seconds), node, report)
            written = text.find(line, at, end) if entry else 0
            if entry is None or written != at or at + len(line) != end or len(line) > LEARNED_BYTES_MAX:
                learnable = False
            else:
                entries.append(
                    Entry(
                        text=text[pending : at + len(entry.text)],
                        do=entry.do,
                        row=entry.row,
                        signal=entry.signal,
                        factor=entry.factor,
                    )
                )
            pending = end + 1
        at = end + 1
    entries.append(Entry(text=text[pending:], do=Do.END))
    rows = [Row(unit=unit, time_ns=when, values=values) for unit, when, values in cells.rows]
    page = Page(entries=tuple(entries), units=tuple(row.unit for row in rows)) if learnable else None
    return rows, page


def _read_line(
    line: bytes, cells: _Cells, when: tuple[int | None, bool], node: str, report: ReadReport
) -> Entry | None:
    """Read one sample into `cells`. What the line is as a part of a page; none if a page cannot hold it."""
    if len(line) > LINE_BYTES_MAX:
        report.refuse(Unread.TOO_LONG)
        return None
    name = _NAME.match(line)
    if name is None:
        # A name in quotes (UTF-8 names of Prometheus 3) is none of ours.
        report.refuse(Unread.UNKNOWN_NAME if line.startswith(b"{") else Unread.MALFORMED, repr(line[:60]))
        return None
    meaning = _meaning(name[0])
    if meaning is None:
        report.refuse(Unread.UNKNOWN_NAME)
        cut = line.rfind(b" ") + 1
        return Entry(text=line[:cut], do=Do.SKIP) if name.end() < cut < len(line) else None
    labels = _LABELS.match(line, name.end())
    rest = _REST.match(line, labels.end()) if labels is not None else None
    place = _place(name[0], labels[0], node) if labels is not None else Unread.MALFORMED
    if rest is None or place is Unread.MALFORMED:
        report.refuse(Unread.MALFORMED, repr(line[:60]))
        return None
    start, value, plain = rest.start(1), float(rest[1]), rest.end(1) == len(line)
    if place is None or isinstance(place, Unread):
        if place is not None:
            report.refuse(place)
        return Entry(text=line[:start], do=Do.CHECK) if plain else None
    time_ns = _time(rest[2], *when)
    if time_ns is None:
        report.refuse(Unread.NO_TIME)
        return None
    if math.isnan(value):
        report.refuse(Unread.NOT_A_NUMBER)
    row, do = cells.place(place, time_ns, meaning, scaled(value, meaning.factor))
    if not plain:
        return None
    return Entry(text=line[:start], do=do, row=row, signal=meaning.signal, factor=meaning.factor)


@lru_cache(maxsize=4_096)
def _meaning(name: bytes) -> Meaning | None:
    return meaning_of(name.decode())


def _place(name: bytes, labels: bytes, node: str) -> str | Unread | None:
    """The unit of a sample; why it has none; none if it is no part of what its metric says."""
    return (_placed if len(labels) <= REMEMBERED_BYTES_MAX else _placed.__wrapped__)(name, labels, node)


@lru_cache(maxsize=32_768)
def _placed(name: bytes, labels: bytes, node: str) -> str | Unread | None:
    meaning, parsed = _meaning(name), _parse(labels)
    if meaning is None or parsed is None:
        return Unread.MALFORMED
    if not counts_for(meaning, parsed):
        return None
    return unit_of(meaning, parsed, node) or Unread.NO_UNIT


def _parse(text: bytes) -> dict[str, str] | None:
    """Labels in braces, or of nothing; none where they are malformed."""
    labels: dict[str, str] = {}
    opened = _OPEN.match(text)
    if opened is None:
        return labels
    at = opened.end()
    while (label := _LABEL.match(text, at)) is not None:
        name = label[1].decode()
        if name in labels or len(labels) == LABELS_MAX:
            return None
        try:
            labels[name] = _ESCAPE.sub(lambda m: _ESCAPED.get(m[1], m[1]), label[2].decode())
        except UnicodeDecodeError:
            return None
        at = label.end()
    return labels if text[at:] == b"}" else None


def _time(stamp: bytes | None, scraped_ns: int | None, seconds: bool) -> int | None:
    """When a sample was taken (5.); none if that is not known, or is not between 1970 and 2200."""
    if stamp is None:
        return scraped_ns
    scale = 1_000_000_000 if seconds else 1_000_000
    if not 0 < float(stamp) * scale < TIME_NS_MAX:
        return None
    return round(Decimal(stamp.decode()) * scale)
