"""How exactly a report speaks: grids of values, from fine to coarse, in one fixed order.

The order in which precision is given up when the ruleset's `bits_per_day_max` is too small for it:

    0  meters to 3 digits with lower bounds and what remains; time held to 1/64 of the period; counts up to 255
    1  meters to 2 digits
    2  counts on a grid of nine, time held to 1/16
    3  no lower bounds
    4  meters to 1 digit, counts on a grid of four, time held to 1/4
    5  only the meters that are licensed (FLOP if none is)
    6  counts say only whether anything happened
    7  not what remains of the licence: a reader who has all reports can add up what was used

Every grid is part of the one before, so that a reader who knows only the finest can read all. Which level holds is a function of
the ruleset alone, and so says nothing about the chips.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from inspectorate.mechanisms.guarantee.metering.types import MeterKind
from inspectorate.mechanisms.guarantee.outlet.checkpoint import COUNT_MAX

DECADES = 30
AMOUNT_MAX = 1e30
"""Amounts end here. An upper bound that stands at it is none; a budget is never above it (`licences.types`)."""


@dataclass(frozen=True, kw_only=True)
class Precision:
    """Which values a report may carry."""

    level: int
    digits: int
    """Significant decimal digits of amounts between 1 and `AMOUNT_MAX`."""
    at_least: bool
    remaining: bool
    meters: tuple[MeterKind, ...]
    held_steps: int
    """The time held is a whole number of so many parts of the period. A power of two."""
    counts: tuple[int, ...]
    """Ascending, from 0 to the largest that can be said."""

    @property
    def amounts(self) -> int:
        """How many different amounts there are: zero, the grid, and its end."""
        decade: int = 9 * 10 ** (self.digits - 1)
        return 1 + DECADES * decade + 1

    def up(self, amount: float) -> float:
        """The smallest amount of the grid that is not below `amount`."""
        return self._rounded(max(amount, 1.0) if amount > 0 else 0.0, ROUND_CEILING)

    def down(self, amount: float) -> float:
        """The largest amount of the grid that is not above `amount`."""
        return self._rounded(amount if amount >= 1.0 else 0.0, ROUND_FLOOR)

    def count_up(self, count: int) -> int:
        return self.counts[min(bisect.bisect_left(self.counts, count), len(self.counts) - 1)]

    def count_down(self, count: int) -> int:
        return self.counts[bisect.bisect_right(self.counts, count) - 1]

    def held_down(self, held_s: float, duration_s: float) -> float:
        steps = min(int(held_s * self.held_steps / duration_s), self.held_steps)
        while steps * duration_s / self.held_steps > held_s:
            steps -= 1
        # The quotient above may have been rounded down past a step that fits.
        if steps < self.held_steps and (steps + 1) * duration_s / self.held_steps <= held_s:
            steps += 1
        return steps * duration_s / self.held_steps

    def _rounded(self, amount: float, rounding: str) -> float:
        if amount == 0.0 or amount >= AMOUNT_MAX:
            return min(amount, AMOUNT_MAX)
        # The shortest decimal form: it is the same before and after, so that rounding twice changes nothing, and reading it back is
        # monotone, so that an upper bound stays one.
        exact = Decimal(repr(amount))
        return float(exact.quantize(Decimal(1).scaleb(exact.adjusted() - self.digits + 1), rounding=rounding))


def levels(licensed: Iterable[MeterKind]) -> tuple[Precision, ...]:
    """All levels, finest first, for a ruleset with these licensed meters."""
    every = tuple(MeterKind)
    asked = set(licensed) or {MeterKind.FLOP}
    few = tuple(meter for meter in every if meter in asked)
    all_counts, nine, four, two = (
        tuple(range(COUNT_MAX + 1)),
        (0, 1, 2, 5, 10, 25, 50, 100, 255),
        (0, 1, 10, 255),
        (0, 1),
    )
    rows = (
        (3, True, True, every, 64, all_counts),
        (2, True, True, every, 64, all_counts),
        (2, True, True, every, 16, nine),
        (2, False, True, every, 16, nine),
        (1, False, True, every, 4, four),
        (1, False, True, few, 4, four),
        (1, False, True, few, 4, two),
        (1, False, False, few, 4, two),
    )
    return tuple(
        Precision(
            level=level,
            digits=digits,
            at_least=at_least,
            remaining=remaining,
            meters=meters,
            held_steps=held,
            counts=counts,
        )
        for level, (digits, at_least, remaining, meters, held, counts) in enumerate(rows)
    )


FINEST = levels(())[0]
