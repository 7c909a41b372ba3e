"""Counts of simulated diversions against their closed forms: `python -m bench chip_counting`.

A fleet of three kinds of racks in four sites; a prover takes chips in five ways; the verifier draws by unit, by chip and by site,
by the same hashes as a count does. Printed is how often something was found that should be there, beside the exact probability for
that spread and the closed form, which is for the worst of all spreads. Then what fakes cost, and 3/n.
Exits 1 where a measured rate is not that of the exact form at 1 - 2e-4, or where the closed form is above the exact one.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from functools import cache

import numpy as np
from rich.console import Console
from rich.table import Table

from inspectorate.drawing.ranks import first_by_rank
from inspectorate.mechanisms.custody.counting.sizes import (
    Stratum,
    detection_by_chip,
    detection_by_site,
    detection_by_unit,
    detection_of_fakes,
)
from inspectorate.mechanisms.custody.counting.spreads import Spread, taken
from inspectorate.statistics.sampling import (
    clopper_pearson_lower,
    clopper_pearson_upper,
    detection_probability,
    dirty_share_upper,
    dirty_share_upper_simple,
)

SITES = (np.full(12, 72), np.full(24, 32), np.full(15, 8), np.r_[np.full(6, 72), np.full(10, 32), np.full(8, 8)])
SIZES = np.concatenate(SITES)
BOUNDS = np.cumsum([0, *(len(one) for one in SITES)])
CHIPS = int(SIZES.sum())
MISSING = 144
"""Of the diversion: two of the largest racks."""
OPENED, DRAWN, OF_SITE = 35, 30, (7, 12, 4, 10)
DESIGNS = ("by unit", "by chip", "by site")
DIVERSIONS = 10_000
MISS = 1e-4


@dataclass(frozen=True)
class Row:
    """One design against one spread."""

    found: int
    diversions: int
    exact: float
    """For spreads that are drawn anew each time, the mean over them."""
    closed_form: float


@cache
def closed_form(design: str) -> float:
    if design == "by unit":
        return detection_by_unit(SIZES, MISSING, OPENED)
    if design == "by chip":
        return detection_by_chip(CHIPS, MISSING, DRAWN)
    return detection_by_site([Stratum(sizes=one, opened=k) for one, k in zip(SITES, OF_SITE, strict=True)], MISSING)


def exact(design: str, gone: np.ndarray) -> float:
    """The probability to find this spread."""
    touched = gone > 0
    if design == "by unit":
        return detection_probability(population=len(SIZES), marked=int(touched.sum()), sample=OPENED)
    if design == "by chip":
        return detection_probability(population=CHIPS, marked=int(SIZES[touched].sum()), sample=DRAWN)
    missed = 1.0
    for first, end, k in zip(BOUNDS, BOUNDS[1:], OF_SITE, strict=False):
        marked = int(touched[first:end].sum())
        missed *= 1 - detection_probability(population=int(end - first), marked=marked, sample=k)
    return 1 - missed


def opened(design: str, seed: bytes) -> np.ndarray:
    if design == "by unit":
        return np.asarray(first_by_rank(seed, len(SIZES), OPENED))
    if design == "by chip":
        rows = np.asarray(first_by_rank(seed, CHIPS, DRAWN))
        return np.searchsorted(np.cumsum(SIZES), rows, side="right")
    ordered = np.asarray(first_by_rank(seed, len(SIZES), len(SIZES)))
    parts = [ordered[(ordered >= a) & (ordered < b)][:k] for a, b, k in zip(BOUNDS, BOUNDS[1:], OF_SITE, strict=False)]
    return np.concatenate(parts)


def best_response() -> np.ndarray:
    """Against draws by site: in each site the largest racks, one after the other where the next is cheapest per chip."""
    gone, order = np.zeros_like(SIZES), [list(np.argsort(-one, kind="stable")) for one in SITES]
    touched = [0] * len(SITES)
    while (left := MISSING - int(gone.sum())) > 0:
        costs = [
            -np.log1p(-k / (len(one) - t)) / one[mine[0]] if mine and t < len(one) - k else np.inf
            for one, k, t, mine in zip(SITES, OF_SITE, touched, order, strict=True)
        ]
        site = int(np.argmin(costs))
        unit = int(order[site].pop(0))
        gone[BOUNDS[site] + unit] = min(left, SITES[site][unit])
        touched[site] += 1
    return gone


@cache
def _draws(design: str, diversions: int, seed: int) -> tuple[np.ndarray, ...]:
    return tuple(opened(design, hashlib.sha256(f"{seed} {design} {n}".encode()).digest()) for n in range(diversions))


def measured(design: str, spread: Spread | None, *, diversions: int, seed: int) -> Row:
    random = np.random.default_rng(seed)
    found, chances = 0, []
    for draw in _draws(design, diversions, seed):
        if not chances or spread in (Spread.RANDOM, Spread.HALVES):
            gone = best_response() if spread is None else taken(spread, SIZES, MISSING, random)
            chance = exact(design, gone)
        chances.append(chance)
        found += bool(gone[draw].any())
    return Row(found, diversions, float(np.mean(chances)), closed_form(design))


def main() -> int:
    """Print the tables, and whether they may be so."""
    table = Table(
        title=f"{CHIPS} chips in {len(SIZES)} racks, {MISSING} missing, {DIVERSIONS} diversions", show_edge=False
    )
    for column in ("design", "spread", "found", "interval", "exact", "closed form (worst)", "as it should be"):
        table.add_column(column)
    wrong = 0
    for design in DESIGNS:
        for spread in (*Spread, *([None] if design == "by site" else [])):
            row = measured(design, spread, diversions=DIVERSIONS, seed=1)
            low, high = (
                clopper_pearson_lower(row.found, DIVERSIONS, MISS),
                clopper_pearson_upper(row.found, DIVERSIONS, MISS),
            )
            fits = low <= row.exact <= high and row.closed_form <= row.exact + 1e-9
            wrong += not fits
            name = spread.value if spread else "best response"
            table.add_row(design, name, f"{row.found / DIVERSIONS:.4f}", f"{low:.4f} to {high:.4f}", f"{row.exact:.4f}",
                          f"{row.closed_form:.4f}", "yes" if fits else "NO")  # fmt: skip
    Console(width=120).print(table)
    fakes = Table(
        title=f"{MISSING} dummies with copied serials, {OPENED} of {len(SIZES)} racks opened", show_edge=False
    )
    for column in ("recognised when read", "found, worst spread"):
        fakes.add_column(column)
    for recognised in (0.0, 0.001, 0.01, 0.1, 1.0):
        fakes.add_row(f"{recognised:g}", f"{detection_of_fakes(SIZES, MISSING, OPENED, recognised):.4f}")
    Console(width=120).print(fakes)
    for drawn in (300, 10_000):
        print(f"nothing missing among {drawn} drawn chips: less than {dirty_share_upper_simple(drawn, 0.05):.3%} "
              f"(3/n), exactly {dirty_share_upper(drawn, 0.05):.4%}, at 95 %")  # fmt: skip
    print("measured detection is that of the closed forms" if not wrong else f"MISSED: {wrong} rows")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
