"""How many units to open at which site, so that a diversion is found with the wanted probability for the fewest inspector-days.

A site that is visited costs its journey; every unit that is opened costs its share of a day. A site that is left out hides all of
its chips for nothing, so sites may be left out only while they hold fewer than the diversion together, and the rest must make up
for it.

1. A set of sites to leave out: every set where there are few sites, else one after the other, the dearest journey per chip first.
2. For the rest, one hazard per chip: the prover then gains nothing by preferring a site. The least hazard that suffices is found by
   bisection on the worst case (`sizes.detection_by_site`).
3. Whole numbers are then lowered one at a time, where the worst case allows it.

The result suffices by construction: step 3 ends on a checked allocation. That it is the cheapest is not proven; the tests compare
it with all allocations of small cases.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inspectorate.mechanisms.custody.counting.reference import SKIPPED_EXACTLY_MAX
from inspectorate.mechanisms.custody.counting.sizes import Sizes, Stratum, detection_by_site

_HALVINGS = 24


@dataclass(frozen=True, kw_only=True, eq=False)
class Place:
    """A site, and what a visit costs."""

    name: str
    sizes: Sizes
    travel_days: float
    days_per_unit: float

    @property
    def chips(self) -> int:
        return int(self.sizes.sum())

    def days(self, opened: int) -> float:
        return self.travel_days + opened * self.days_per_unit if opened else 0.0


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """Units to open at every site, and what that takes and finds."""

    opened: Mapping[str, int]
    days: float
    detection: float
    """Worst over all spreads, from below."""


def allocate(places: Sequence[Place], missing: int, detection_min: float) -> Allocation:
    """The cheapest allocation that was found. Raises `ValueError` where even opening everything cannot find so few."""
    if not 1 <= missing <= sum(one.chips for one in places):
        raise ValueError(f"{missing} chips cannot be missing of {sum(one.chips for one in places)}")
    best: tuple[float, list[int]] | None = None
    for out in _left_out(places, missing):
        opened = _sufficient(places, out, missing, detection_min)
        if opened is None:
            continue
        opened = _lowered(places, opened, missing, detection_min)
        days = _days(places, opened)
        if best is None or days < best[0]:
            best = days, opened
    assert best is not None, "nothing left out, and everything opened, finds everything"
    return Allocation(
        opened={one.name: count for one, count in zip(places, best[1], strict=True)}, days=best[0],
        detection=_detection(places, best[1], missing),
    )  # fmt: skip


def _left_out(places: Sequence[Place], missing: int) -> Iterator[frozenset[int]]:
    numbers = range(len(places))
    if len(places) <= SKIPPED_EXACTLY_MAX:
        chains: Iterator[tuple[int, ...]] = itertools.chain.from_iterable(
            itertools.combinations(numbers, count) for count in range(len(places))
        )
    else:
        dearest = sorted(numbers, key=lambda number: -places[number].travel_days / places[number].chips)
        chains = (tuple(dearest[:count]) for count in range(len(places)))
    for chain in chains:
        if sum(places[number].chips for number in chain) < missing:
            yield frozenset(chain)


def _sufficient(places: Sequence[Place], out: frozenset[int], missing: int, detection_min: float) -> list[int] | None:
    """Step 2."""

    def opened(hazard: float) -> list[int]:
        return [
            0 if number in out
            else min(len(one.sizes), math.ceil(-len(one.sizes) * math.expm1(-hazard * float(np.mean(one.sizes)))))
            for number, one in enumerate(places)
        ]  # fmt: skip

    low, high = -50.0, 10.0  # logarithms of the hazard: at the upper one every unit is opened
    if _detection(places, opened(math.exp(high)), missing) < detection_min:
        return None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _detection(places, opened(math.exp(middle)), missing) >= detection_min:
            high = middle
        else:
            low = middle
    return opened(math.exp(high))


def _lowered(places: Sequence[Place], opened: list[int], missing: int, detection_min: float) -> list[int]:
    """Step 3: by steps that are halved, the dearest unit first; a visit to one unit less saves its journey, too."""
    found = list(opened)
    for number in sorted(range(len(places)), key=lambda number: -places[number].days_per_unit):
        step = max(1, found[number] // 2)
        while step:
            fewer = [*found[:number], max(0, found[number] - step), *found[number + 1 :]]
            if found[number] and _detection(places, fewer, missing) >= detection_min:
                found = fewer
            else:
                step //= 2
    return found


def _detection(places: Sequence[Place], opened: Sequence[int], missing: int) -> float:
    strata = [Stratum(sizes=one.sizes, opened=count) for one, count in zip(places, opened, strict=True)]
    return detection_by_site(strata, missing)


def _days(places: Sequence[Place], opened: Sequence[int]) -> float:
    return sum(one.days(count) for one, count in zip(places, opened, strict=True))
