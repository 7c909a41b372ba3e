"""What a draw finds: closed forms, each worst over every way in which the missing chips can be spread.

A diversion of n chips takes d_i of the m_i chips of unit i. A unit with d_i > 0 is *touched*; opening it finds the diversion.

By unit      k of U units, every set equally likely, miss a diversion that touches t units with probability C(U - t, k)/C(U, k),
             which depends on t alone. Worst: the fewest units that hold n chips, the largest ones, emptied.
By site      strata are independent, so logarithms of misses add up. The worst split over sites is a knapsack: in each site the next
             unit costs more and gives fewer chips than the one before, so units are taken in order of cost per chip. The last one
             is taken in part, which no prover can: the miss is bounded from above, by less than one unit's step.
By chip      k of M chips, every set equally likely, miss touched units of N chips together with probability C(M - N, k)/C(M, k).
             As N >= n, the worst is N = n: any units emptied to the last chip, large or small alike. The form is that of drawing
             chips, whatever the sizes of units, and nothing is gained by where chips are taken from.
Fakes        each of d dummies in an opened unit is recognised with probability r, independently. k of U units miss with
             probability e_k((1 - r)^d_1, ...)/C(U, k), e_k the elementary symmetric polynomial. In the logarithms of its arguments
             it is convex and symmetric, so the worst for a given sum of d is the most unequal spread: the largest units full of
             dummies. (Missing chips are the case r = 1.)

Where a count of units is computed by a bound, it errs to the safe side. The tests try all spreads of small cases.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inspectorate.statistics.numerics import FloatArray, checked_count, log_sum_exp
from inspectorate.statistics.sampling import detection_probability, sample_size

Sizes = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Stratum:
    """The units of one site, and how many of them are opened."""

    sizes: Sizes
    opened: int

    def __post_init__(self) -> None:
        if not 0 <= self.opened <= len(self.sizes):
            raise ValueError(f"{self.opened} units are opened of {len(self.sizes)}")


def checked_sizes(sizes: ArrayLike) -> Sizes:
    """Chips in every unit, none of them empty. Raises `ValueError`."""
    found: Sizes = np.asarray(sizes, dtype=np.int64)
    if found.ndim != 1 or not found.size or int(found.min()) < 1:
        raise ValueError("there must be units, each of at least one chip")
    return found


def fewest_touched(sizes: ArrayLike, missing: int) -> int:
    """The fewest units that hold so many chips together. Raises `ValueError` where all of them hold fewer."""
    held = np.cumsum(np.sort(checked_sizes(sizes))[::-1])
    if checked_count("the missing chips", missing) > held[-1]:
        raise ValueError(f"{missing} chips cannot be missing of {held[-1]}")
    return int(np.searchsorted(held, missing)) + 1 if missing else 0


def detection_by_unit(sizes: ArrayLike, missing: int, opened: int) -> float:
    """The probability that so many opened units find so many missing chips; worst over all spreads, exact."""
    found = checked_sizes(sizes)
    return detection_probability(population=found.size, marked=fewest_touched(found, missing), sample=opened)


def units_to_open(sizes: ArrayLike, missing: int, detection_min: float) -> int:
    """The fewest units that find so many missing chips with this probability, whatever the spread."""
    found = checked_sizes(sizes)
    return sample_size(
        population=found.size, marked=fewest_touched(found, missing), detection_probability_min=detection_min
    )


def detection_by_chip(chips: int, missing: int, drawn: int) -> float:
    """The probability that the units of so many drawn chips find so many missing ones; worst over all spreads, exact."""
    return detection_probability(population=chips, marked=missing, sample=drawn)


def detection_by_site(strata: Sequence[Stratum], missing: int) -> float:
    """The probability that what is opened of every site finds so many missing chips: worst over all spreads, from below."""
    steps = _steps(strata)
    chips = np.cumsum(steps.chips)
    if checked_count("the missing chips", missing) == 0:
        return 0.0
    if missing > sum(int(one.sizes.sum()) for one in strata):
        raise ValueError(f"{missing} chips cannot be missing of {sum(int(one.sizes.sum()) for one in strata)}")
    if not chips.size or chips[-1] < missing:
        return 1.0  # to take so many, a prover must touch more units of a site than are left unopened
    last = int(np.searchsorted(chips, missing))
    before = float(steps.costs[:last].sum())
    left = missing - (int(chips[last - 1]) if last else 0)
    return -math.expm1(-(before + float(steps.costs[last]) * left / int(steps.chips[last])))


def most_within(chips: Sizes, costs: FloatArray, budget: float) -> int:
    """The most chips that can be had for this budget, from units that each cost as much: from above, the last one in part."""
    order = np.argsort(costs / np.maximum(chips, 1), kind="stable")
    spent = np.cumsum(costs[order])
    last = int(np.searchsorted(spent, budget))
    if last == len(spent):
        return int(chips.sum())
    part = (budget - (float(spent[last - 1]) if last else 0.0)) / float(costs[order][last])
    return int(chips[order][:last].sum()) + math.floor(part * int(chips[order][last]) + 1e-9)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Steps:
    """One unit after the other, in the order in which a prover empties them: what it gives, and what it costs."""

    chips: Sizes
    costs: FloatArray


def steps_of_miss(units: int, opened: int) -> FloatArray:
    """What every further touched unit takes off the logarithm of the chance to be missed, up to all that are left unopened."""
    left = np.arange(units, opened, -1, dtype=np.float64)
    costs: FloatArray = -np.log1p(-opened / left)
    return costs


def _steps(strata: Sequence[Stratum]) -> _Steps:
    chips: list[Sizes] = []
    costs: list[FloatArray] = []
    for one in strata:
        total = len(one.sizes)
        free = total - one.opened
        largest = np.sort(one.sizes)[::-1][:free]
        chips.append(largest)
        costs.append(steps_of_miss(total, one.opened))
    every = np.concatenate(chips) if chips else np.zeros(0, dtype=np.int64)
    cost = np.concatenate(costs) if costs else np.zeros(0)
    order = np.argsort(cost / np.maximum(every, 1), kind="stable")
    return _Steps(chips=every[order], costs=cost[order])


def detection_of_fakes(sizes: ArrayLike, fakes: int, opened: int, recognised: float) -> float:
    """The probability that so many opened units show one of so many dummies with copied serials; worst over spreads, from below.

    Each that is read is recognised with probability `recognised`: 0 where labels alone are read, 1 where devices sign.
    """
    if not 0 <= recognised <= 1:
        raise ValueError(f"a probability lies between 0 and 1, not {recognised}")
    found = np.sort(checked_sizes(sizes))[::-1]
    held = np.cumsum(found)
    if checked_count("the dummies", fakes) > held[-1]:
        raise ValueError(f"{fakes} dummies do not fit into {held[-1]} places")
    if recognised == 1:
        return detection_by_unit(found, fakes, opened)
    full = int(np.searchsorted(held, fakes, side="right"))
    if not full:
        return detection_probability(population=found.size, marked=min(fakes, 1), sample=opened) * (
            1 - (1 - recognised) ** fakes
        )
    return 1 - _generating(found.size, full, opened, (1 - recognised) ** int(found[full - 1]))


def _generating(population: int, marked: int, sample: int, kept: float) -> float:
    """E[kept ** X] for X hypergeometric."""
    if kept == 0:
        return 1 - detection_probability(population=population, marked=marked, sample=sample)
    first, last = max(0, sample - (population - marked)), min(sample, marked)
    i = np.arange(first, last + 1, dtype=np.float64)
    logs = _log_choose(marked, i) + _log_choose(population - marked, sample - i)
    logs -= float(_log_choose(population, np.asarray([float(sample)]))[0])
    return min(1.0, float(np.exp(log_sum_exp(logs + i * math.log(kept)))))


def _log_choose(n: int, k: FloatArray) -> FloatArray:
    return np.asarray([math.lgamma(n + 1) - math.lgamma(one + 1) - math.lgamma(n - one + 1) for one in k.tolist()])


def chips_to_draw(chips: int, missing: int, detection_min: float) -> int:
    """The fewest drawn chips whose units find so many missing ones with this probability, whatever the spread."""
    return sample_size(population=chips, marked=missing, detection_probability_min=detection_min)


def opened_by_chip(sizes: ArrayLike, drawn: int) -> float:
    """How many units are opened on average where so many chips are drawn."""
    found = checked_sizes(sizes)
    chips = int(found.sum())
    values, counts = np.unique(found, return_counts=True)
    reached = [detection_probability(population=chips, marked=int(size), sample=drawn) for size in values.tolist()]
    return float(np.dot(counts, reached))
