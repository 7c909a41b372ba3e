"""How wide the balance of supply is, and whether its bounds hold: `python -m bench supply`.

1. Coverage: the truth of every figure is drawn from its own range, independently, all together, or in crossed tails (the worst
   tenth of each lies across the others'). How often does what is really missing exceed the bound? The bound under any dependence
   must hold in all; the other two hold where their assumption does, and the table shows where they break.
2. Epoch AI's tables, where they are there: what a party that declared the median of every kind could be missing.

Exits 1 where the bound under any dependence is exceeded more often than its confidence allows.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from inspectorate.mechanisms.custody.supply import (
    Figure,
    FigureKind,
    Figures,
    Losses,
    Range,
    SupplyTerms,
    read_epoch,
    reconcile,
)
from inspectorate.statistics import clopper_pearson_lower

CONFIDENCE = 0.95
TRIALS = 20_000
Scores = npt.NDArray[np.float64]


def independent(rng: np.random.Generator, figures: int, trials: int) -> Scores:
    return rng.standard_normal((figures, trials))


def together(rng: np.random.Generator, figures: int, trials: int) -> Scores:
    return np.repeat(rng.standard_normal((1, trials)), figures, axis=0)


def crossed(rng: np.random.Generator, figures: int, trials: int) -> Scores:
    """All figures are in their worst tenth at once, and there in an order that evens out their sum."""
    scores = np.sort(rng.standard_normal((figures, trials)), axis=1)
    first = int(trials * 0.9)
    for row, tail in enumerate(scores[:, first:]):
        scores[row, first:] = tail if row % 2 else tail[::-1]
    return scores


WAYS: dict[str, Callable[[np.random.Generator, int, int], Scores]] = {
    "independent": independent, "together": together, "crossed tails": crossed,
}  # fmt: skip


def some_figures(count: int) -> list[Figure]:
    rng = np.random.default_rng(7)
    begin = date(2023, 1, 1)
    found = []
    for place in range(count):
        median = float(rng.uniform(5e3, 5e5))
        start = begin + timedelta(days=91 * (place % 12))
        found.append(
            Figure(
                kind=FigureKind.PRODUCED,
                designer="d",
                chip=("H100/H200", "TPU v6e", "B200")[place % 3],
                owner=None,
                start=start,
                end=start + timedelta(days=90),
                units=Range(median / rng.uniform(1.2, 2), median, median * rng.uniform(1.2, 2.5)),
                h100_equivalents_each=1.0,
                where=f"row {place}",
            )
        )
    return found


def coverage(table: Table, trials: int) -> bool:
    """How often the truth exceeds each of the three bounds, under three ways in which the truth may depend."""
    rows = some_figures(36)
    terms = SupplyTerms(kind=FigureKind.PRODUCED, until=date(2026, 1, 1), confidence=CONFIDENCE, utilisation=0.6,
                        formats=("fp16",), window_s=1.0)  # fmt: skip
    declared: dict[tuple[str, str | None], float] = {}
    for one in rows:
        declared[one.chip, None] = declared.get((one.chip, None), 0.0) + one.units.median
    losses = Losses()
    found = reconcile(Figures(tuple(rows)), declared, losses, terms)
    each = {one.chip: one.h100_equivalents_each for one in found.chips}
    bounds = found.missing_h100_equivalents
    wrong = False
    for name, way in WAYS.items():
        rng = np.random.default_rng(11)
        scores = way(rng, len(rows), trials)
        rate = losses.per_year.at(rng.standard_normal(trials))
        left = {kind: np.zeros(trials) for kind in each}
        for one, score in zip(rows, scores, strict=True):
            age = (terms.until.toordinal() - (one.start.toordinal() + one.end.toordinal()) / 2) / 365.25
            left[one.chip] += one.units.at(score) * (1 - rate) ** age
        missing = sum(np.maximum(0, left[kind] - declared[kind, None]) * each[kind] for kind in each)
        exceeded = [int(np.count_nonzero(missing > ends[1])) for _, ends in bounds]
        wrong |= clopper_pearson_lower(min(exceeded[2], 10_000), trials, 0.01) > 1 - CONFIDENCE
        table.add_row(name, *(f"{100 * count / trials:.2f} %" for count in exceeded))
    return wrong


def real(table: Table, folder: Path) -> None:
    figures = read_epoch({path.name: path.read_bytes() for path in sorted(folder.glob("*.csv"))}).figures
    last = {kind: max(one.end for one in figures.of(kind)) for kind in FigureKind}
    for kind, owners in ((FigureKind.PRODUCED, None), (FigureKind.SOLD, None), (FigureKind.SOLD, frozenset({"China"}))):
        declared: dict[tuple[str, str | None], float] = {}
        for one in figures.of(kind):
            declared[one.chip, one.owner] = declared.get((one.chip, one.owner), 0.0) + one.units.median
        terms = SupplyTerms(kind=kind, until=last[kind], confidence=0.99, utilisation=0.6, owners=owners,
                            formats=("fp16", "bf16", "fp8", "fp4"), window_s=90 * 86_400.0)  # fmt: skip
        found = reconcile(figures, declared, Losses(), terms)
        ends, share, run = found.missing_h100_equivalents, found.missing_share, found.largest_run_flop
        table.add_row(
            kind.value + (f" to {', '.join(owners)}" if owners else ""), str(found.figures),
            *(f"{value[1]:,.0f} ({100 * part[1]:.1f} %)" for (_, value), (_, part) in zip(ends, share, strict=True)),
            f"{run.independent[1]:.2g} to {run.any_dependence[1]:.2g}",
        )  # fmt: skip


def main() -> int:
    """Print both tables, and whether the first may be so."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=TRIALS)
    default = Path(os.environ.get("INSPECTORATE_DATA", Path(__file__).parents[2] / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=default)
    given = parser.parse_args()
    console = Console(width=132)
    table = Table("figures really are", "independent", "together", "any dependence", box=None,
                  title=f"how often more is missing than the bound says (allowed: {100 * (1 - CONFIDENCE):g} %)")  # fmt: skip
    wrong = coverage(table, given.trials)
    console.print(table)
    folder = given.data / "epoch" / "ai_chip_counts"
    if folder.is_dir():
        table = Table(
            "basis",
            "figures",
            "independent",
            "together",
            "any dependence",
            "run in 90 days",
            box=None,
            title="H100-equivalents that could be missing if every median is declared; confidence 0.99",
        )
        real(table, folder)
        console.print(table)
    else:
        print(f"no real data at {folder}; INSPECTORATE_DATA may say where it is")
    if wrong:
        print("MISSED: the bound under any dependence was exceeded too often")
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
