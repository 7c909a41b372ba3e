"""The balance as tables and a curve that a report may print or plot."""

from __future__ import annotations

from inspectorate.assessment import Exhibit, ExhibitKind
from inspectorate.mechanisms.custody.supply.reconcile import Ends, Reconciliation

Rows = list[tuple[str | float | None, ...]]


def exhibits_of(found: Reconciliation) -> tuple[Exhibit, ...]:
    """Kinds of chips, quarters, what could be missing, and what would narrow it."""
    return (_kinds(found), _curve(found), _missing(found), _narrowing(found))


def _kinds(found: Reconciliation) -> Exhibit:
    rows: Rows = [
        (one.chip, one.left_median, one.left.any_dependence[0], one.left.any_dependence[1], one.declared + one.certified,
         one.missing.independent[1], one.missing.any_dependence[1], one.missing_share)
        for one in found.chips
    ]  # fmt: skip
    return Exhibit(
        id="supply-by-chip", title="Chips left of supply against chips declared", kind=ExhibitKind.TABLE,
        columns=("chip", "left_median_chips", "left_low_chips", "left_high_chips", "declared_chips",
                 "missing_high_independent_chips", "missing_high_any_chips", "missing_share"),
        rows=tuple(rows), unit="chips",
    )  # fmt: skip


def _curve(found: Reconciliation) -> Exhibit:
    """Running sums over the quarters, before losses, in H100-equivalents: sums of lows and of highs."""
    each = {one.chip: one.h100_equivalents_each for one in found.chips}
    quarters = sorted({one.quarter for one in found.quarters})
    rows: Rows = []
    sums = [0.0, 0.0, 0.0]
    for quarter in quarters:
        for one in found.quarters:
            if one.quarter == quarter:
                for place, units in enumerate((one.low, one.median, one.high)):
                    sums[place] += units * each[one.chip]
        year, number = quarter.split("Q")
        rows.append((float(year) + int(number) / 4, *sums))
    declared = sum((one.declared + one.certified) * one.h100_equivalents_each for one in found.chips)
    return Exhibit(
        id="supply-over-time", title="Supply to the end of each quarter, and what is declared", kind=ExhibitKind.CURVES,
        columns=("year", "low_h100_equivalents", "median_h100_equivalents", "high_h100_equivalents"), rows=tuple(rows),
        limit=declared, unit="H100-equivalents",
    )  # fmt: skip


def _missing(found: Reconciliation) -> Exhibit:
    def row(what: str, ends: Ends) -> tuple[str | float | None, ...]:
        return (what, ends.independent[1], ends.together[1], ends.any_dependence[1])

    rows: Rows = [
        row("missing_h100_equivalents", found.missing_h100_equivalents),
        row("missing_share", found.missing_share),
        row("flop_per_month", found.flop_per_month),
        row("largest_run_flop", found.largest_run_flop),
    ]
    return Exhibit(id="supply-missing", title="What could be missing, at most", kind=ExhibitKind.TABLE,
                   columns=("what", "independent", "together", "any_dependence"), rows=tuple(rows))  # fmt: skip


def _narrowing(found: Reconciliation) -> Exhibit:
    rows: Rows = [(one.what, one.h100_equivalents, one.share) for one in found.narrowing]
    return Exhibit(id="supply-narrowing", title="What would narrow it most, if known to be at its median",
                   kind=ExhibitKind.TABLE, columns=("what", "h100_equivalents", "share"), rows=tuple(rows),
                   unit="H100-equivalents")  # fmt: skip
