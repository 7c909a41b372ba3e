"""Which statements to use, so that together they may miss no more than the agreement allows (rule 2)."""

from __future__ import annotations

from itertools import accumulate
from operator import attrgetter

from inspectorate.account.ground import Ground, Statement
from inspectorate.account.largest import bounded

EVALUATIONS_MAX = 20_000
"""Choices of statements that are tried on a small fleet."""
CELL_EVALUATIONS_MAX = 60_000_000
"""Cells that all choices may cost together: a fleet of 2,000 pods and 720 intervals gets some forty choices, in seconds."""
ROUNDING = 1e-12
"""1 - 0.99 is not 0.01 in binary: miss probabilities that fill the budget in decimal must fit it."""


def choose(statements: list[Statement], ground: Ground, *, budget: float) -> tuple[list[Statement], bool]:
    """Rule 2. Depth-first branch and bound over the statements that cost miss probability.

    Using everything that still fits one by one, together over the budget or not, never gives a larger run than a
    feasible choice below; so a branch whose optimistic result is no better than the best found is cut. The search
    starts from the choice that takes the cheapest first, which is what stands if its allowance ends at once.
    """
    usable = _fitting(sorted(statements, key=attrgetter("miss_probability")), budget)
    free = [s for s in usable if s.miss_probability == 0]
    costly = usable[len(free) :]

    def run_of(taken: list[Statement]) -> float:
        return bounded(free + taken, ground).run_flop

    if _fits_together(costly, budget):
        return free + costly, True
    used = accumulate(s.miss_probability for s in costly)
    best = [s for s, sum_so_far in zip(costly, used, strict=True) if sum_so_far <= budget]
    best_run, evaluations = run_of(best), 1
    allowance = min(EVALUATIONS_MAX, max(2, CELL_EVALUATIONS_MAX // ground.capacity.size))
    stack: list[tuple[list[Statement], list[Statement], float]] = [([], costly, budget)]
    while stack:
        taken, rest, left = stack.pop()
        if evaluations >= allowance:
            return free + best, False
        optimistic = run_of(taken + rest)
        evaluations += 1
        if optimistic >= best_run:
            continue
        if _fits_together(rest, left):
            best, best_run = taken + rest, optimistic
            continue
        head, tail = rest[0], rest[1:]
        stack.append((taken, tail, left))
        after = max(0.0, left - head.miss_probability)
        stack.append(([*taken, head], _fitting(tail, after), after))
    return free + best, True


def _fits_together(statements: list[Statement], left: float) -> bool:
    """Whether all of them may be used; rounding of the last digits is not held against them."""
    return sum(s.miss_probability for s in statements) <= left + ROUNDING


def _fitting(statements: list[Statement], left: float) -> list[Statement]:
    """Those that may still be used one by one."""
    return [s for s in statements if s.miss_probability <= left + ROUNDING]
