"""Inspections over a year under a quota: spend now or later, against a prover who sees what was spent and waits.

In each of w weeks the verifier visits n = 0, 1, ... times, at random, and the prover, who knows how many visits are left but
not this week's n, starts its run or waits. A run in a week with n visits gives V(n), the value of that week's game; waiting
gives the value of what is left. With r visits left

    U(w, r) = min over mixtures p of max( sum_n p_n V(n), sum_n p_n U(w - 1, r - n) ),    U(0, r) = 0,

since the prover knows p and not n. It is Dresher's recursion (RAND RM-2972, 1962; Avenhaus and Canty, "Compliance
Quantified", 1996) with any V for the pay-offs. Each stage is a matrix game of two rows, so two values of n are enough.

Once the quota is spent, the prover gets V(0), everything: that is what "all early" is worth. A schedule that is known is worth no
more, if a week is left out. The model has one run, which fits into a week, and evidence that is gone after it: for cells
whose evidence stays, later visits count too, and this is an upper bound.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

WEEKS_MAX: Final = 520
VISITS_A_WEEK_MAX: Final = 8


@dataclass(frozen=True, kw_only=True)
class Season:
    """The value of a year, and what other schedules are worth."""

    weeks: int
    visits: int
    value: float
    first_week: tuple[float, ...]
    """How likely 0, 1, ... visits are in the first week."""
    all_early: float
    known_even: float
    random_weeks: float
    """As many weeks as there are visits, drawn at random before, while the prover sees which are over."""


def season(values: Sequence[float], *, weeks: int, visits: int) -> Season:
    """The year of `values` V(0) >= V(1) >= ... Raises `ValueError` on values that rise, or on a year that is too long."""
    _check(values, weeks, visits)
    policy = solve_season(values, weeks=weeks, visits=visits)
    spent = -(-visits // max(1, len(values) - 1))
    return Season(
        weeks=weeks,
        visits=visits,
        value=policy[weeks][visits][0],
        first_week=policy[weeks][visits][1],
        all_early=values[0] if spent < weeks else values[-1],
        known_even=values[0] if visits < weeks else values[min(len(values) - 1, visits // weeks)],
        random_weeks=_random_weeks(values, weeks, min(visits, weeks)) if len(values) > 1 else values[0],
    )


def solve_season(values: Sequence[float], *, weeks: int, visits: int) -> list[list[tuple[float, tuple[float, ...]]]]:
    """For every number of weeks and visits left: the value, and this week's mixture."""
    _check(values, weeks, visits)
    table: list[list[tuple[float, tuple[float, ...]]]] = [[(0.0, (1.0,)) for _ in range(visits + 1)]]
    for week in range(1, weeks + 1):
        row = []
        for left in range(visits + 1):
            most = min(left, len(values) - 1)
            later = [table[week - 1][left - n][0] for n in range(most + 1)]
            row.append(_stage(list(values[: most + 1]), later))
        table.append(row)
    return table


def _stage(now: list[float], later: list[float]) -> tuple[float, tuple[float, ...]]:
    """min over p of max(p now, p later): at one n, or where a pair makes both alike."""
    best, mix = min((max(a, b), n) for n, (a, b) in enumerate(zip(now, later, strict=True)))
    chosen = {mix: 1.0}
    for i in range(len(now)):
        for j in range(i + 1, len(now)):
            differ_i, differ_j = now[i] - later[i], now[j] - later[j]
            if differ_i * differ_j >= 0:
                continue
            share = differ_j / (differ_j - differ_i)
            value = share * now[i] + (1 - share) * now[j]
            if value < best * (1 - 1e-15):
                best, chosen = value, {i: share, j: 1 - share}
    return best, tuple(chosen.get(n, 0.0) for n in range(len(now)))


def _random_weeks(values: Sequence[float], weeks: int, visits: int) -> float:
    left = np.zeros(visits + 1)
    for week in range(1, weeks + 1):
        after = np.empty(visits + 1)
        for r in range(visits + 1):
            p = min(1.0, r / week)
            now = (1 - p) * values[0] + p * values[1]
            after[r] = max(now, (1 - p) * left[min(r, week - 1)] + p * left[max(0, r - 1)])
        left = after
    return float(left[visits])


def _check(values: Sequence[float], weeks: int, visits: int) -> None:
    if not values or any(b > a * (1 + 1e-9) for a, b in itertools.pairwise(values)):
        raise ValueError("values of a week must be there, and never rise with visits")
    if not 1 <= weeks <= WEEKS_MAX or not 0 <= visits <= 10_000:
        raise ValueError(f"a season has 1 to {WEEKS_MAX} weeks, and 0 to 10,000 visits")
