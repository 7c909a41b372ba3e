"""Sample sizes over runs, sites or stretches of time, and the adversary's best answer to them.

Points are drawn at random in each stratum (a run, a site), n_h of them in stratum h, which holds the share w_h of all
committed time. An adversary puts the dirty share d wherever it is found least: it chooses d_h with sum w_h d_h = d, and
stays unseen with probability

    prod (1 - d_h)^n_h

The largest such value has a closed form: with rates r_h = n_h/w_h, there is one level L such that 1 - d_h = min(1,
r_h/L), and L solves sum w_h min(1, r_h/L) = 1 - d. Where points are in proportion to time it is (1 - d)^n, and no other
allocation of n points does better; so that is what `allocate` gives.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from inspectorate.statistics.numerics import checked_probability
from inspectorate.statistics.sampling import sample_size, sample_size_for_share


def points_for(dirty_share_max: float, miss_probability: float) -> int:
    """Points of time that must all be clean, so that a larger dirty share is found but for `miss_probability`."""
    return sample_size_for_share(dirty_share_max, miss_probability)


def allocate(weights: Sequence[float], dirty_share_max: float, miss_probability: float) -> tuple[int, ...]:
    """Points for each stratum, in proportion to its time, each rounded up. Raises `ValueError` on weights that are not
    positive."""
    total = _total(weights)
    points = points_for(dirty_share_max, miss_probability)
    # A product such as 299 * (0.1 / 1.0) may lie above a whole number by rounding alone; one point more costs little.
    return tuple(math.ceil(points * weight / total - 1e-9) for weight in weights)


def worst_miss(points: Sequence[int], weights: Sequence[float], dirty_share: float) -> float:
    """The largest probability with which the dirty share stays unseen, wherever the adversary puts it."""
    total = _total(weights)
    checked_probability("the dirty share", dirty_share)
    if any(count < 0 for count in points):
        raise ValueError("a number of points is not negative")
    shares = [weight / total for weight in weights]
    unseen = math.fsum(share for count, share in zip(points, shares, strict=True) if count == 0)
    if unseen >= dirty_share:
        return 1.0
    rates = [count / share for count, share in zip(points, shares, strict=True)]
    clean = 1 - dirty_share
    # The level lies where the clean shares add up to 1 - d; they fall as it rises.
    low, high = min(rate for rate in rates if rate > 0), math.fsum(points) / clean
    for _ in range(200):
        middle = (low + high) / 2
        left = math.fsum(share * min(1.0, rate / middle) for share, rate in zip(shares, rates, strict=True))
        low, high = (middle, high) if left > clean else (low, middle)
    log_miss = math.fsum(
        count * math.log(min(1.0, rate / low)) for count, rate in zip(points, rates, strict=True) if count > 0
    )
    return math.exp(min(0.0, log_miss))


def packets_for(lengths: Sequence[float], dirty_share_max: float, miss_probability: float) -> int:
    """Packets to draw, each with the same chance, against dirt in the longest packets: where it takes fewest of
    them."""
    return sample_size(
        population=len(lengths),
        marked=fewest_packets(lengths, dirty_share_max),
        detection_probability_min=1 - miss_probability,
    )


def fewest_packets(lengths: Sequence[float], share: float) -> int:
    """How few packets hold this share of the time."""
    total = _total(lengths)
    checked_probability("the share", share)
    held = 0.0
    for number, length in enumerate(sorted(lengths, reverse=True), 1):
        held += length
        if held >= share * total * (1 - 1e-12):
            return number
    return len(lengths)


def _total(weights: Sequence[float]) -> float:
    if not weights or any(not 0 < weight < math.inf for weight in weights):
        raise ValueError("there must be at least one stratum, and all must be positive and finite")
    return math.fsum(weights)
