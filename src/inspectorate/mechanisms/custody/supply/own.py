"""Figures of one's own: a CSV file, or the same rows as a YAML list.

    kind,designer,chip,owner,start,end,low,median,high,h100_equivalents_each
    produced,Nvidia,H100,,2025-01-01,2025-03-31,400000,450000,500000,
    sold,Nvidia,H100,China,2025-01-01,2025-03-31,9000,12000,20000,1.0

`owner` is empty for what is produced. `low` and `high` may be empty together: the figure is then widened, never taken as exact.
`h100_equivalents_each` may be empty for chips of the catalogue. What is declared has the columns `chip,owner,units`; `owner` may be
empty throughout.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from datetime import date

import yaml

from inspectorate.declaration import chip_catalogue
from inspectorate.declaration.catalogue import FORMAT_BITS
from inspectorate.errors import InputError
from inspectorate.mechanisms.custody.supply.figures import Figure, FigureKind, Figures, Issue, IssueKind, kind_of_chip
from inspectorate.mechanisms.custody.supply.ranges import Range
from inspectorate.mechanisms.custody.supply.reference import (
    CATALOGUE,
    FACTOR_MAX,
    FIELD_CHARS_MAX,
    FIGURES_MAX,
    FILE_BYTES_MAX,
    UNITS_MAX,
    UNRANGED_FACTOR,
)
from inspectorate.quantities import H100_EQUIVALENT_TPP

COLUMNS = ("kind", "designer", "chip", "owner", "start", "end", "low", "median", "high", "h100_equivalents_each")
DECLARED_COLUMNS = ("chip", "owner", "units")
FAULTS_SHOWN = 5

Row = Mapping[str, str]


class Faults:
    """What makes rows unusable, gathered so that one run names several."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, where: str, what: str) -> None:
        self.found.append(f"{where}: {what}")

    def refuse(self, where: str) -> None:
        """Raises `InputError` where there is any."""
        if self.found:
            more = f"; and {len(self.found) - FAULTS_SHOWN} more" if len(self.found) > FAULTS_SHOWN else ""
            raise InputError("; ".join(self.found[:FAULTS_SHOWN]) + more, where=where, remedy="correct these rows")


def read_own(data: bytes, where: str) -> Figures:
    """Figures of a CSV or YAML file, told apart by the suffix in `where`. Raises `InputError`."""
    rows = list(
        yaml_rows(data, where, COLUMNS) if where.endswith((".yaml", ".yml")) else csv_rows(data, where, COLUMNS)
    )
    faults, issues, found = Faults(), [], []
    for number, row in rows:
        place = f"{where} row {number}"
        try:
            figure, issue = _figure(row, place)
        except ValueError as fault:
            faults.add(f"row {number}", str(fault))
            continue
        found.append(figure)
        issues += [issue] if issue else []
    faults.refuse(where)
    return Figures(tuple(found), tuple(issues))


def read_declared(data: bytes, where: str) -> dict[tuple[str, str | None], float]:
    """Declared stocks by kind of chip and owner. Chips may be named as figures name them, or by model. Raises `InputError`."""
    faults = Faults()
    found: dict[tuple[str, str | None], float] = {}
    for number, row in csv_rows(data, where, DECLARED_COLUMNS):
        try:
            units = number_of(row["units"], "units")
        except ValueError as fault:
            faults.add(f"row {number}", str(fault))
            continue
        key = (declared_kind(row["chip"]), row["owner"] or None)
        found[key] = found.get(key, 0.0) + units
    faults.refuse(where)
    return found


def declared_kind(name: str) -> str:
    """The kind of chip that figures know, of a kind or a model of the catalogue."""
    return next((kind for kind, models in CATALOGUE.items() if name in models), kind_of_chip(name))


def h100_equivalents_each(kind: str) -> float | None:
    """Of one chip, by the catalogue, the highest over the models of a kind; none where it has none."""
    chips = chip_catalogue()
    return max(
        (chips[model].h100_equivalents for model in CATALOGUE.get(kind, (kind,)) if model in chips), default=None
    )


def peak_flop_per_s(kind: str, each: float, formats: tuple[str, ...]) -> float:
    """The peak of one chip in the formats that count: by the catalogue, the highest over the models of a kind.

    Of a chip that it does not have only H100-equivalents are known, that is its TPP, and no rate is above TPP over its bits.
    """
    chips = chip_catalogue()
    listed = [chips[model].peak_flop_per_s(formats) for model in CATALOGUE.get(kind, (kind,)) if model in chips]
    bits = min((FORMAT_BITS[name] for name in formats if name in FORMAT_BITS), default=min(FORMAT_BITS.values()))
    return max(listed, default=each * H100_EQUIVALENT_TPP / bits * 1e12)


def csv_rows(data: bytes, where: str, columns: Iterable[str]) -> list[tuple[int, Row]]:
    """Rows of a CSV file with exactly these columns, with their line numbers. Raises `InputError`."""
    needed = tuple(columns)
    header, rows = open_csv(data, where)
    if sorted(header) != sorted(needed):
        raise InputError(f"needs the columns {', '.join(needed)}", where=where)
    return rows


def open_csv(data: bytes, where: str) -> tuple[tuple[str, ...], list[tuple[int, Row]]]:
    """Header and rows of a CSV file under bounds. Raises `InputError`."""
    if len(data) > FILE_BYTES_MAX:
        raise InputError(f"{len(data)} bytes exceed {FILE_BYTES_MAX}", where=where)
    try:
        reader = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        header = tuple(next(reader, ()))
        if not header or len(set(header)) != len(header):
            raise InputError("has no header, or one that names a column twice", where=where)
        rows: list[tuple[int, Row]] = []
        for number, row in enumerate(reader, start=2):
            if not row:
                continue
            if len(row) != len(header) or any(len(text) > FIELD_CHARS_MAX for text in row):
                raise InputError(f"row {number} does not fit the header", where=where, remedy="one value per column")
            if len(rows) == FIGURES_MAX:
                raise InputError(f"more than {FIGURES_MAX} rows", where=where)
            rows.append((number, dict(zip(header, (text.strip() for text in row), strict=True))))
    except (UnicodeDecodeError, csv.Error) as fault:
        raise InputError(f"is no CSV file: {fault}", where=where) from None
    if not rows:
        raise InputError("has no rows, which says nothing of supply", where=where)
    return header, rows


def yaml_rows(data: bytes, where: str, columns: Iterable[str]) -> list[tuple[int, Row]]:
    """Rows of a YAML list of mappings, with their numbers in the list. Raises `InputError`."""
    if len(data) > FILE_BYTES_MAX:
        raise InputError(f"{len(data)} bytes exceed {FILE_BYTES_MAX}", where=where)
    try:
        rows = yaml.load(data, Loader=_PlainLoader)  # noqa: S506 - a SafeLoader that leaves scalars as text
    except (yaml.YAMLError, ValueError, RecursionError) as fault:
        raise InputError(f"is no YAML: {str(fault)[:200]}", where=where) from None
    if not isinstance(rows, list) or not 0 < len(rows) <= FIGURES_MAX:
        raise InputError(f"is no list of 1 to {FIGURES_MAX} rows", where=where)
    needed = set(columns)
    found: list[tuple[int, Row]] = []
    for number, row in enumerate(rows, start=1):
        if (
            not isinstance(row, dict)
            or not all(isinstance(v, str | None) for v in row.values())
            or not set(row) <= needed
        ):
            raise InputError(f"row {number} is no mapping of {', '.join(columns)}", where=where)
        found.append((number, {name: (row.get(name) or "").strip() for name in needed}))
    return found


class _PlainLoader(yaml.SafeLoader):
    """Every scalar is text, and nothing refers to anything else: numbers and dates are read in one place only."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, object]]] = {}  # noqa: RUF012 - as the base class declares it

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("has an alias")
        return super().compose_node(parent, index)


def number_of(text: str, what: str) -> float:
    """A number of chips. Raises `ValueError` in words."""
    try:
        value = float(text.replace(",", "")) if text else math.nan
    except ValueError:
        raise ValueError(f"{what} is {text[:40]!r}, which is no number") from None
    if math.isnan(value):
        raise ValueError(f"{what} is missing")
    if value < 0:
        raise ValueError(f"{what} is negative ({text[:40]}): returns are no figure of supply")
    if value > UNITS_MAX:
        raise ValueError(f"{what} is {text[:40]}, more than {UNITS_MAX:g}: chips are counted in pieces")
    return value


def range_of(low: str, median: str, high: str) -> tuple[Range, bool]:
    """A range, and whether it had to be made of a bare number. Raises `ValueError` in words."""
    middle = number_of(median, "median")
    if not low and not high:
        return Range(middle / UNRANGED_FACTOR, middle, middle * UNRANGED_FACTOR), True
    found = number_of(low, "low"), middle, number_of(high, "high")
    if not found[0] <= found[1] <= found[2]:
        raise ValueError(f"low {low}, median {median}, high {high} are out of order")
    if found[2] > FACTOR_MAX * middle or (0 < found[0] < middle / FACTOR_MAX):
        raise ValueError(
            f"a range from {low} to {high} spans more than a factor of {FACTOR_MAX:g} on one side: is a unit wrong?"
        )
    return Range(*found), False


def day_of(text: str, what: str) -> date:
    """A day: 2025-03-31, 3/31/2025 or 3/31/25. Raises `ValueError` in words."""
    try:
        if "/" not in text:
            return date.fromisoformat(text)
        month, day, year = (int(part) for part in text.split("/"))
        return date(year + 2000 if year < 100 else year, month, day)
    except ValueError:
        raise ValueError(f"{what} is {text[:40]!r}, which is no day; write 2025-03-31") from None


def unranged(where: str) -> Issue:
    return Issue(
        kind=IssueKind.NO_RANGE,
        where=where,
        what="a bare number, without a range",
        remedy=f"give low and high; until then it is taken to be known within a factor of {UNRANGED_FACTOR:g}",
    )


def _figure(row: Row, where: str) -> tuple[Figure, Issue | None]:
    try:
        kind = FigureKind(row["kind"])
    except ValueError:
        raise ValueError(f"kind is {row['kind'][:40]!r}; write produced or sold") from None
    if (kind is FigureKind.SOLD) == (not row["owner"]):
        raise ValueError("what is sold has an owner, and what is produced has none")
    if not row["designer"] or not row["chip"]:
        raise ValueError("needs a designer and a chip")
    units, bare = range_of(row["low"], row["median"], row["high"])
    start, end = day_of(row["start"], "start"), day_of(row["end"], "end")
    if end < start:
        raise ValueError("ends before it starts")
    chip = declared_kind(row["chip"])
    text = row["h100_equivalents_each"]
    each = number_of(text, "h100_equivalents_each") if text else h100_equivalents_each(chip)
    if not each or each > 1e3:
        raise ValueError(f"{row['chip'][:40]!r} is not in the catalogue: give h100_equivalents_each")
    figure = Figure(kind=kind, designer=row["designer"], chip=chip, owner=row["owner"] or None, start=start, end=end,
                    units=units, h100_equivalents_each=each, where=where)  # fmt: skip
    return figure, unranged(where) if bare else None
