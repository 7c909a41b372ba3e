"""How a prover may spread what it takes: for plans, tests and measured rates. None of them is worse than the closed form."""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from inspectorate.mechanisms.custody.counting.sizes import Sizes


class Spread(StrEnum):
    """From which units chips are taken."""

    LARGEST = "largest"
    """The largest units, emptied: the fewest that hold so many."""
    SMALLEST = "smallest"
    """The smallest units, emptied."""
    RANDOM = "random"
    """Random units, emptied."""
    EVEN = "even"
    """As evenly over all units as can be."""
    HALVES = "halves"
    """Half of random units."""


def taken(spread: Spread, sizes: Sizes, missing: int, random: np.random.Generator) -> Sizes:
    """Chips missing of every unit. Raises `ValueError` where there are not so many."""
    if not 0 <= missing <= int(sizes.sum()):
        raise ValueError(f"{missing} chips cannot be missing of {int(sizes.sum())}")
    match spread:
        case Spread.LARGEST:
            return _in_order(np.argsort(-sizes, kind="stable"), sizes, sizes, missing)
        case Spread.SMALLEST:
            return _in_order(np.argsort(sizes, kind="stable"), sizes, sizes, missing)
        case Spread.RANDOM:
            return _in_order(random.permutation(len(sizes)), sizes, sizes, missing)
        case Spread.HALVES:
            return _in_order(random.permutation(len(sizes)), np.maximum(1, sizes // 2), sizes, missing)
        case Spread.EVEN:
            level = int(np.searchsorted([int(np.minimum(sizes, one).sum()) for one in range(sizes.max() + 1)], missing))
            below = np.minimum(sizes, max(0, level - 1))
            open_ = random.permutation(np.flatnonzero(sizes > below))
            below[open_[: missing - int(below.sum())]] += 1
            return below


def _in_order(order: Sizes, each: Sizes, sizes: Sizes, missing: int) -> Sizes:
    """At most `each` of every unit in this order; what is then still wanted, from the rest of the units."""
    first = _filled(order, each, missing)
    return first + _filled(order, sizes - first, missing - int(first.sum()))


def _filled(order: Sizes, room: Sizes, wanted: int) -> Sizes:
    before = np.concatenate(([0], np.cumsum(room[order])[:-1]))
    found = np.zeros_like(room)
    found[order] = np.clip(wanted - before, 0, room[order])
    return found
