"""Epoch AI's tables of chip counts (CC-BY-4.0), by the names of their files: what they say is read, what they repeat is checked.

- `csv_export_*_chip_timelines.csv`: produced, by designer, chip and quarter. Where there is a file of calendar quarters and one of
  fiscal quarters, the former counts, and the latter is held against it.
- `owners_csv_export_*_quarters_by_chip.csv` and `data_inputs_named_other_owners_*`: sold, by owner.
- `*_cumulative_by_chip.csv`: running totals. They are not counted; each is held against the sum of its quarters.

Names of columns differ from file to file (`Number of Units`, `Number of units (median)`), so they are found by their words. Every
other file is named in `Read.unused`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from inspectorate.errors import InputError
from inspectorate.mechanisms.custody.supply.checks import Total, against_totals, checked
from inspectorate.mechanisms.custody.supply.figures import Figure, FigureKind, Figures, Issue, IssueKind, kind_of_chip
from inspectorate.mechanisms.custody.supply.own import (
    Faults,
    Row,
    day_of,
    h100_equivalents_each,
    number_of,
    open_csv,
    range_of,
    unranged,
)
from inspectorate.mechanisms.custody.supply.reference import FIGURES_MAX, QUARTER_DAYS_MAX

_WORDS = {
    "median": ("number of units", "number of units (median)"),
    "low": ("number of units (5th percentile)",),
    "high": ("number of units (95th percentile)",),
    "h100e": ("compute estimate in h100e (median)",),
    "designer": ("chip manufacturer",),
    "owner": ("owner",),
    "chip": ("chip type",),
    "start": ("start date",),
    "end": ("end date",),
    "name": ("name",),
}
_NEEDED = ("median", "low", "high", "designer", "chip", "start", "end", "name")


@dataclass(frozen=True)
class Read:
    """Figures of a folder, and the files that were not used."""

    figures: Figures
    unused: tuple[str, ...]


def role_of(name: str) -> str | None:
    """What a file is: `produced`, `fiscal`, `sold`, `total`, or none of that."""
    if name.endswith("fiscal_quarter_chip_timelines.csv"):
        return "fiscal"
    if name.startswith("csv_export_") and name.endswith("chip_timelines.csv"):
        return "produced"
    if name.endswith("quarters_by_chip.csv") and name.startswith(
        ("owners_csv_export_", "data_inputs_named_other_owners_")
    ):
        return "sold"
    return (
        "total" if name.endswith("cumulative_by_chip.csv") and name.startswith(("csv_export_", "owners_csv_")) else None
    )


def read_epoch(files: Mapping[str, bytes]) -> Read:
    """The figures of a folder of Epoch AI's tables, as file names and bytes. Raises `InputError`, naming file and rows."""
    found: dict[str, list[Figure]] = {"produced": [], "fiscal": [], "sold": [], "total": []}
    issues: list[Issue] = []
    unused = []
    for name in sorted(files):
        role = role_of(name)
        if role is None:
            unused.append(name)
            continue
        figures, said = _read(files[name], name, role)
        found[role] += figures
        issues += said
    if not found["produced"] and not found["sold"]:
        raise InputError(
            "has no table of chip counts", where="Epoch AI's folder", remedy="csv_export_*_chip_timelines.csv"
        )
    if sum(map(len, found.values())) > FIGURES_MAX:
        raise InputError(f"has more than {FIGURES_MAX} figures", where="Epoch AI's folder")
    kept = checked(Figures((*found["produced"], *found["sold"]), tuple(issues)))
    totals = [Total(figure=one, running=True) for one in found["total"]]
    totals += [Total(figure=one, running=False) for one in found["fiscal"]]
    return Read(Figures(kept.rows, (*kept.issues, *against_totals(kept.rows, totals))), tuple(unused))


def _read(data: bytes, where: str, role: str) -> tuple[list[Figure], list[Issue]]:
    header, rows = open_csv(data, where)
    lowered = {name.lower(): name for name in header}
    columns = {word: next((lowered[name] for name in names if name in lowered), "") for word, names in _WORDS.items()}
    missing = [_WORDS[word][0] for word in _NEEDED if not columns[word]]
    if missing:
        raise InputError(f"has no column {missing[0]!r}", where=where)
    faults, figures, issues = Faults(), [], []
    for number, row in rows:
        place = f"{where} row {number}"
        try:
            figure, bare = _figure({word: row.get(name, "") for word, name in columns.items()}, place, role)
        except ValueError as fault:
            faults.add(f"row {number}", str(fault))
            continue
        running = "cumulative" in row[columns["name"]].lower()
        if role in {"produced", "sold"} and (running or (figure.end - figure.start).days > QUARTER_DAYS_MAX):
            issues.append(
                Issue(
                    kind=IssueKind.NOT_A_QUARTER,
                    where=place,
                    what=f"{row[columns['name']]!r} is a running total",
                    remedy="left out; give what was sold in each quarter, or it would be counted again and again",
                )
            )
            continue
        figures.append(figure)
        if bare and role in {"produced", "sold"}:
            issues.append(unranged(place))
    faults.refuse(where)
    return figures, issues


def _figure(row: Row, where: str, role: str) -> tuple[Figure, bool]:
    units, bare = range_of(row["low"], row["median"], row["high"])
    start, end = day_of(row["start"], "start"), day_of(row["end"], "end")
    if end < start:
        raise ValueError("ends before it starts")
    chip = kind_of_chip(row["chip"])
    if row["h100e"] and units.median:
        each = number_of(row["h100e"], "H100-equivalents") / units.median
    else:
        each = h100_equivalents_each(chip) or 0.0
    if not 0 < each <= 1e3 and units.high:
        raise ValueError(f"{row['chip'][:40]!r} comes to {each:g} H100-equivalents a chip")
    if not row["designer"] or not row["chip"]:
        raise ValueError("needs a designer and a chip")
    owned = bool(row["owner"])
    if role == "sold" and not owned:
        raise ValueError("names no owner")
    figure = Figure(
        kind=FigureKind.SOLD if owned else FigureKind.PRODUCED,
        designer=row["designer"],
        chip=chip,
        owner=row["owner"] or None,
        start=start,
        end=end,
        units=units,
        h100_equivalents_each=each,
        where=where,
    )
    return figure, bare
