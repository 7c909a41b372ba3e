"""How many people to draw of a stratum, so that at least one who knows is heard; and what refusals cost.

People of the stratum: N; of them know at least K; drawn: n, without replacement, each set of n equally likely. X of the drawn
know: hypergeometric. Then

    everybody is heard          P(X >= 1) = 1 - C(N - K, n) / C(N, n)
    q unheard, whoever          P(X >= 1) with n - q drawn: they refuse whether they know or not
    q unheard, the worst case   P(X > q): those who refuse or stay away are exactly those who know, as far as there are so many

The worst case is a bound and no guess: no order of refusals reaches less. Replacements from the same order add to n and leave q.
What none of these hold: that somebody who knows says so.

Whether a draw is large enough is decided exactly, in whole numbers, where rounding could matter: both sides, in any program,
must get the same n. A share or chance is the decimal number that stands in the selection.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np

from inspectorate.evidence.heard import PEOPLE_MAX

NEAR = 1e-6
"""Where a computed probability is this near to the wanted one, relatively, whole numbers decide."""
DEVIATIONS = 12.0
"""Terms further from the mean than this many standard deviations weigh less than exp(-72) and are left out."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a draw from one stratum is to reach."""

    people: int
    knowing: int
    reach: float

    def __post_init__(self) -> None:
        if not 1 <= self.knowing <= self.people <= PEOPLE_MAX:
            raise ValueError(f"{self.knowing} who know, in a stratum of {self.people}")
        if not 0 < self.reach < 1:
            raise ValueError(f"a wanted chance lies between 0 and 1, not {self.reach}")


@dataclass(frozen=True, kw_only=True)
class Reached:
    """With which chance a draw heard at least one who knows, in a stratum of which so many know."""

    all_heard: float
    """If everybody who was drawn had been heard."""
    at_random: float
    """If those who were not heard are no more likely to know than others."""
    worst: float
    """If those who were not heard are those who know, as far as there are so many: no less than this."""


def reached(*, people: int, knowing: int, drawn: int, unheard: int = 0) -> Reached:
    """What a draw reached. Raises `ValueError` on counts that do not fit."""
    if not (0 <= unheard <= drawn <= people <= PEOPLE_MAX and 0 <= knowing <= people):
        raise ValueError(f"{unheard} of {drawn} unheard, {knowing} knowing, in a stratum of {people}")
    return Reached(
        all_heard=chance_of_more(people, knowing, drawn, 0),
        at_random=chance_of_more(people, knowing, drawn - unheard, 0),
        worst=chance_of_more(people, knowing, drawn, unheard),
    )


def smallest_draw(wanted: Wanted, *, unheard_share: float = 0.0) -> int | None:
    """The smallest n with P(X > floor(unheard_share n)) >= reach; none where not even all of the stratum do.

    `unheard_share` is of those drawn, who may refuse or stay away: the worst case is counted.
    """
    if not 0 <= unheard_share <= 1:
        raise ValueError(f"a share lies between 0 and 1, not {unheard_share}")
    return _smallest(wanted, unheard_share)


def smallest_draw_at_random(wanted: Wanted, *, unheard_share: float) -> int | None:
    """The same, where those who are not heard are no more likely to know than others: smallest n that leaves enough."""
    enough = smallest_draw(wanted)
    assert enough is not None
    share = decimal(unheard_share)
    sizes = (n for n in range(enough, wanted.people + 1) if n - math.floor(share * n) >= enough)
    return next(sizes, None)


def chance_of_more(people: int, knowing: int, drawn: int, lost: int) -> float:
    """P(X > lost), to rounding."""
    return max(0.0, min(1.0, 1.0 - _tail(people, knowing, drawn, lost)))


def decimal(number: float) -> Fraction:
    """The decimal number that is written for a double (the shortest one), exactly."""
    return Fraction(repr(float(number)))


@lru_cache(maxsize=4096)
def _smallest(wanted: Wanted, unheard_share: float) -> int | None:
    # Where so many may be lost, fewer than n do not reach; and n may cost more. So n rises to the first that pays for itself.
    share, size, lost = decimal(unheard_share), 1, 0
    while (found := _smallest_for(wanted, size, lost)) is not None:
        size, lost_now = found, math.floor(share * found)
        if lost_now == lost:
            return size
        lost = lost_now
    return None


def _smallest_for(wanted: Wanted, low: int, lost: int) -> int | None:
    """The smallest n from `low` on with P(X > lost) >= reach, which rises with n; none where all of the stratum do not."""
    high, step = low, 1
    while not _reaches(wanted, high, lost):
        if high == wanted.people:
            return None
        low, high, step = high + 1, min(high + step, wanted.people), 2 * step
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _reaches(wanted, middle, lost) else (middle + 1, high)
    return low


def _reaches(wanted: Wanted, drawn: int, lost: int) -> bool:
    allowed = 1 - decimal(wanted.reach)
    tail = _tail(wanted.people, wanted.knowing, drawn, lost)
    if abs(tail - float(allowed)) > NEAR * float(allowed):
        return tail < float(allowed)
    return _ways_up_to(wanted.people, wanted.knowing, drawn, lost) <= allowed * math.comb(wanted.people, drawn)


def _ways_up_to(people: int, knowing: int, drawn: int, lost: int) -> int:
    """In how many ways a draw holds at most `lost` who know, of C(people, drawn): a whole number."""
    first = max(0, drawn - (people - knowing))
    last = min(lost, knowing, drawn)
    if first > last:
        return 0
    ways = math.comb(knowing, first) * math.comb(people - knowing, drawn - first)
    total = ways
    for x in range(first, last):
        ways = ways * (knowing - x) * (drawn - x) // ((x + 1) * (people - knowing - drawn + x + 1))
        total += ways
    return total


def _tail(people: int, knowing: int, drawn: int, lost: int) -> float:
    """P(X <= lost), to rounding."""
    first, last = max(0, drawn - (people - knowing)), min(lost, knowing, drawn)
    if first > last:
        return 0.0
    if last == min(knowing, drawn):
        return 1.0
    share = knowing / people
    spread = math.sqrt(drawn * share * (1 - share)) + 1
    mean = drawn * share
    if last > mean + DEVIATIONS * spread:
        return 1.0
    first = max(first, math.floor(min(mean, last) - DEVIATIONS * spread))
    start = _log_choose(knowing, first) + _log_choose(people - knowing, drawn - first) - _log_choose(people, drawn)
    x = np.arange(first, last, dtype=np.float64)
    steps = np.log((knowing - x) * (drawn - x)) - np.log((x + 1) * (people - knowing - drawn + x + 1))
    logs = start + np.concatenate(([0.0], np.cumsum(steps)))
    return float(np.exp(logs).sum())


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
