"""The balance: by hand, against drawing, and what never makes less missing."""

from __future__ import annotations

import dataclasses
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from inspectorate.errors import InputError
from inspectorate.mechanisms.custody.supply import (
    Figure,
    FigureKind,
    Figures,
    Losses,
    Range,
    Reconciliation,
    SupplyTerms,
    exhibits_of,
    read_epoch,
    reconcile,
)

NONE_LOST = Losses(per_year=Range(0, 0, 0))
TERMS = SupplyTerms(
    kind=FigureKind.PRODUCED, until=date(2026, 3, 31), confidence=0.95, utilisation=0.5, formats=("fp16",),
    window_s=86_400.0, thresholds={"strict": 1e24}, draws=4_000,
)  # fmt: skip


def figure(
    chip: str = "H100/H200", low: float = 900, median: float = 1_000, high: float = 1_200, **more: object
) -> Figure:
    fields: dict[str, object] = {
        "kind": FigureKind.PRODUCED, "designer": "Nvidia", "chip": chip, "owner": None, "start": date(2025, 1, 1),
        "end": date(2025, 3, 31), "units": Range(low, median, high), "h100_equivalents_each": 1.0, "where": "x row 2",
    }  # fmt: skip
    return Figure(**{**fields, **more})  # type: ignore[arg-type]


def balance(*rows: Figure, declared: dict[str, float] | None = None, losses: Losses = NONE_LOST,
            terms: SupplyTerms = TERMS) -> Reconciliation:  # fmt: skip
    return reconcile(Figures(rows), {(chip, None): units for chip, units in (declared or {}).items()}, losses, terms)


def test_one_figure_by_hand() -> None:
    found = balance(figure(), declared={"H100/H200": 1_000})
    one = found.chips[0]
    assert one.left.together == pytest.approx((900, 1_200))
    assert one.missing.together == pytest.approx((0, 200))
    # At 95 % without losses the figure is allowed half of the 5 %, and the mean beyond that.
    assert one.left.any_dependence[1] == pytest.approx(Range(900, 1_000, 1_200).mean_above(0.025))
    each = 15_832 / 15_840
    assert found.missing_h100_equivalents.together[1] == pytest.approx(200 * each)
    assert found.flop_per_month.together[1] == pytest.approx(200 * 989.5e12 * 0.5 * 30 * 86_400, rel=1e-3)
    assert found.largest_run_flop.together[1] == pytest.approx(found.flop_per_month.together[1] / 30)
    assert found.runs_per_threshold["strict"] == pytest.approx(found.largest_run_flop.any_dependence[1] / 1e24)
    assert not one.in_excess


def test_an_exact_figure_that_is_all_declared_leaves_nothing() -> None:
    found = balance(figure(low=1_000, high=1_000), declared={"H100/H200": 1_000})
    assert found.missing_h100_equivalents.any_dependence == (0, 0)
    assert found.narrowing == ()


def test_excess_of_one_kind_stands_in_for_no_other() -> None:
    rows = (figure(low=1_000, high=1_000), figure("TPU v6e", 1_000, 1_000, 1_000))
    found = balance(*rows, declared={"H100/H200": 5_000, "TPU v6e": 400})
    assert found.missing_h100_equivalents.independent[1] == pytest.approx(600 * 14_688 / 15_840)
    assert found.missing_h100_equivalents.any_dependence[1] == pytest.approx(600 * 14_688 / 15_840)
    assert [one.in_excess for one in found.chips] == [True, False]


def test_losses_age_with_the_chips_and_certificates_are_counted() -> None:
    tenth = Losses(per_year=Range(0.1, 0.1, 0.1), certified={"H100/H200": 50})
    old = figure(low=1_000, high=1_000, start=date(2024, 3, 31), end=date(2024, 4, 1))
    found = balance(old, declared={"H100/H200": 700}, losses=tenth)
    left = 1_000 * 0.9 ** ((TERMS.until.toordinal() - (date(2024, 3, 31).toordinal() + 0.5)) / 365.25)
    assert found.chips[0].left.any_dependence == pytest.approx((left, left))
    assert found.chips[0].missing.any_dependence[1] == pytest.approx(left - 750)
    assert found.chips[0].left.independent[1] == pytest.approx(left)


def test_the_three_assumptions_are_ordered_and_any_dependence_bounds_the_worst_that_is_built() -> None:
    rows = [figure(start=date(2024, 1, 1 + n), where=f"x row {n}") for n in range(20)]
    found = balance(*rows, declared={"H100/H200": 20_000})
    ends = found.missing_h100_equivalents
    assert ends.independent[1] < ends.together[1] < ends.any_dependence[1]
    rng = np.random.default_rng(1)
    columns = [one.units.at(rng.standard_normal(40_000)) for one in rows]
    worst = np.sort(columns, axis=1)
    tail = worst[:, 38_000:]
    for row in tail:
        rng.shuffle(row)
    value = np.quantile(
        np.maximum(0, np.concatenate((worst[:, :38_000], tail), axis=1).sum(axis=0) - 20_000), 0.95, method="higher"
    )
    assert value <= found.chips[0].missing.any_dependence[1]


def test_more_declared_narrower_figures_and_more_losses_never_leave_more() -> None:
    rows = (figure(), figure("TPU v6e", 100, 300, 900))
    before = balance(*rows, declared={"H100/H200": 900}).missing_h100_equivalents
    for after in (
        balance(*rows, declared={"H100/H200": 950}),
        balance(figure(low=950, high=1_100), rows[1], declared={"H100/H200": 900}),
        balance(*rows, declared={"H100/H200": 900}, losses=Losses(per_year=Range(0.01, 0.02, 0.03))),
    ):
        for name, ends in after.missing_h100_equivalents:
            assert ends[1] <= getattr(before, name)[1] * (1 + 1e-12)


def test_what_narrows_most_is_the_widest_and_takes_off_what_it_says() -> None:
    rows = (figure(where="narrow"), figure("TPU v6e", 100, 3_000, 9_000, where="wide"))
    found = balance(*rows)
    assert found.narrowing[0].what in {"all figures of TPU v6e", "TPU v6e 2025Q1 (wide)"}
    known = balance(rows[0], figure("TPU v6e", 3_000, 3_000, 3_000))
    drop = found.missing_h100_equivalents.any_dependence[1] - known.missing_h100_equivalents.any_dependence[1]
    assert found.narrowing[0].h100_equivalents == pytest.approx(drop)
    assert sum(one.width_h100_equivalents for one in found.quarters) == pytest.approx(
        sum(one.h100_equivalents for one in found.narrowing if one.what.startswith("all figures of"))
    )


def test_filters_choose_and_a_question_about_nothing_is_refused() -> None:
    sold = figure(kind=FigureKind.SOLD, owner="A")
    other = figure(kind=FigureKind.SOLD, owner="B", low=1, median=2, high=3)
    terms = dataclasses.replace(TERMS, kind=FigureKind.SOLD, owners=frozenset("B"))
    figures = Figures((sold, other, figure()))
    found = reconcile(figures, {("H100/H200", "A"): 5, ("H100/H200", "B"): 1, ("A100", None): 7}, NONE_LOST, terms)
    assert (found.figures, found.chips[0].declared, found.declared_unmatched) == (1, 1, {"A100": 7})
    with pytest.raises(InputError, match="no figure is about"):
        reconcile(figures, {}, NONE_LOST, dataclasses.replace(terms, until=date(2020, 1, 1)))


def test_a_seed_repeats_every_number() -> None:
    assert balance(figure()) == balance(figure())
    assert (
        balance(figure()).missing_h100_equivalents
        != balance(figure(), terms=dataclasses.replace(TERMS, seed=2)).missing_h100_equivalents
    )


def test_exhibits_are_tables_that_a_report_can_print() -> None:
    tables = {one.id: one for one in exhibits_of(balance(figure(), declared={"H100/H200": 900}))}
    assert tables["supply-over-time"].rows == (
        (2025.25, *(pytest.approx(n * 15_832 / 15_840) for n in (900, 1_000, 1_200))),
    )
    assert tables["supply-over-time"].limit == pytest.approx(900 * 15_832 / 15_840)
    assert tables["supply-by-chip"].rows[0][0] == "H100/H200"
    assert [row[0] for row in tables["supply-missing"].rows][-1] == "largest_run_flop"


@pytest.mark.data
def test_the_worked_example_of_the_documentation(data: Path) -> None:
    """A party that declared the median of everything: docs/supply.md."""
    folder = data / "epoch" / "ai_chip_counts"
    figures = read_epoch({path.name: path.read_bytes() for path in folder.glob("*.csv")}).figures
    declared: dict[tuple[str, str | None], float] = {}
    for one in figures.of(FigureKind.PRODUCED):
        declared[one.chip, None] = declared.get((one.chip, None), 0) + one.units.median
    terms = dataclasses.replace(
        TERMS, confidence=0.99, utilisation=0.6, formats=("fp16", "bf16", "fp8", "fp4"), window_s=90 * 86_400.0
    )
    found = reconcile(figures, declared, Losses(), terms)
    assert found.figures == 120
    assert 0.03 < found.missing_share.independent[1] < 0.07
    assert 0.25 < found.missing_share.any_dependence[1] < 0.35
    assert found.largest_run_flop.any_dependence[1] > 1e28
