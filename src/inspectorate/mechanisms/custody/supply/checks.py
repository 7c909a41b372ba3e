"""What is wrong with figures, or between them: duplicates, units, owners against designers, running totals against their quarters.

Nothing is mended here but repetition: of two rows for one thing the first counts, because counting both would hide chips in a sum.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from inspectorate.mechanisms.custody.supply.figures import Figure, FigureKind, Figures, Issue, IssueKind, ratio_fits
from inspectorate.mechanisms.custody.supply.own import h100_equivalents_each
from inspectorate.mechanisms.custody.supply.reference import RATIO_TOLERANCE, TOTALS_TOLERANCE


@dataclass(frozen=True)
class Total:
    """A figure that sums others up: a running total, or the same matter by other quarters."""

    figure: Figure
    running: bool


def checked(figures: Figures) -> Figures:
    """The figures without repetitions, with every issue between them."""
    seen: dict[tuple[object, ...], Figure] = {}
    issues = list(figures.issues)
    for one in figures.rows:
        if one.key in seen:
            issues.append(
                Issue(
                    kind=IssueKind.DUPLICATE,
                    where=one.where,
                    what=f"stands there already: {seen[one.key].where}",
                    remedy="strike one; the first counts",
                )
            )
        else:
            seen[one.key] = one
    rows = tuple(seen.values())
    return Figures(rows, (*issues, *_units(rows), *_owners(rows)))


def _units(rows: Iterable[Figure]) -> list[Issue]:
    """One issue for each kind of chip whose H100-equivalents differ from the catalogue's."""
    first: dict[tuple[str, str], Figure] = {}
    for one in rows:
        if one.units.median > 0:
            first.setdefault((one.chip, f"{one.h100_equivalents_each:.2g}"), one)
    found = []
    for one in first.values():
        own = h100_equivalents_each(one.chip)
        if own is not None and not ratio_fits(one.h100_equivalents_each, own, RATIO_TOLERANCE):
            found.append(
                Issue(
                    kind=IssueKind.UNIT,
                    where=one.where,
                    what=f"{one.chip} comes to {one.h100_equivalents_each:.3g} H100-equivalents a chip, "
                    f"and to {own:.3g} in the catalogue",
                    remedy="a number in thousands, or other formats? For chips of the catalogue, the catalogue counts",
                )
            )
    return found


def _owners(rows: Sequence[Figure]) -> list[Issue]:
    """What owners bought of each kind of chip against what its designer made, by medians over the same quarters."""
    made: dict[tuple[str, str], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    sold: dict[tuple[str, str], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for one in rows:
        (made if one.kind is FigureKind.PRODUCED else sold)[one.designer, one.chip][one.quarter] += one.units.median
    found = []
    for key in sorted(made.keys() & sold.keys()):
        quarters = made[key].keys() & sold[key].keys()
        of_designer, of_owners = (sum(part[key][one] for one in quarters) for part in (made, sold))
        if of_designer <= 0 or abs(of_owners / of_designer - 1) <= TOTALS_TOLERANCE:
            continue
        more = of_owners > of_designer
        found.append(
            Issue(
                kind=IssueKind.OWNERS_ABOVE_DESIGNER if more else IssueKind.OWNERS_BELOW_DESIGNER,
                where=f"{key[0]} {key[1]}",
                what=f"owners have {of_owners:,.0f} of {of_designer:,.0f} made in {len(quarters)} quarters (medians)",
                remedy="an owner is counted twice, or sales of older stock" if more else "some owners are not listed",
            )
        )
    return found


def against_totals(rows: Sequence[Figure], totals: Sequence[Total]) -> list[Issue]:
    """The last running total of each series against the sum of its quarters; other quarters against ours, in sum."""
    last: dict[tuple[object, ...], Total] = {}
    others: dict[tuple[object, ...], float] = defaultdict(float)
    for total in totals:
        one = total.figure
        key = (one.kind, one.designer, one.chip, one.owner)
        if not total.running:
            others[key] += one.units.median
        elif key not in last or one.end > last[key].figure.end:
            last[key] = total
    found = []
    for series, total in last.items():
        one = total.figure
        quarters = [row for row in rows if (row.kind, row.designer, row.chip, row.owner) == series
                    and row.start >= one.start and row.end <= one.end]  # fmt: skip
        ours = sum(row.units.median for row in quarters)
        if quarters and abs(ours - one.units.median) > TOTALS_TOLERANCE * max(ours, one.units.median):
            found.append(
                Issue(
                    kind=IssueKind.TOTAL,
                    where=one.where,
                    what=f"the running total is {one.units.median:,.0f}, the sum of {len(quarters)} quarters {ours:,.0f}",
                    remedy="a quarter is missing or counted twice; the quarters count",
                )
            )
    for series, other in others.items():
        ours = sum(row.units.median for row in rows if (row.kind, row.designer, row.chip, row.owner) == series)
        if ours and abs(ours - other) > TOTALS_TOLERANCE * max(ours, other):
            found.append(
                Issue(
                    kind=IssueKind.DIFFERS,
                    where=f"{series[1]} {series[2]}",
                    what=f"fiscal quarters sum to {other:,.0f}, calendar quarters to {ours:,.0f} (medians)",
                    remedy="they begin and end apart; calendar quarters count",
                )
            )
    return found
