"""After a replay: how much of the committed time may still be dirty, at a miss probability.

By time     n points of time, of which x fell into dirty packets: the upper bound of Clopper and Pearson on the dirty
share of time. It holds for points in strata, too: given the mean, the number of dirty points varies less than a
binomial (Hoeffding 1956, Annals of Mathematical Statistics 27, 713-721: the lower tail below the mean less one), which
needs a miss probability below 1/4. By packets  m of N packets without replacement, x of them dirty: the largest number
K of dirty packets under which so few would be found with more than the miss probability (hypergeometric, exact). In
time, the K - x that were not found may be the longest of those not drawn.

Dirty is what differed, what was refused or opened late, and what could not be run. Nothing drawn bounds nothing: the
share is 1.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Final

import numpy as np

from inspectorate.mechanisms.inspection.challenge.promise import Method, Selection
from inspectorate.mechanisms.inspection.transcripts.types import PacketList
from inspectorate.statistics.numerics import checked_probability, log_sum_exp
from inspectorate.statistics.sampling import clopper_pearson_upper

MISS_PROBABILITY_MAX: Final = 0.25


def dirty_time_share_upper(
    listed: PacketList,
    selection: Selection,
    points: Sequence[int],
    dirty: Collection[int],
    *,
    miss_probability: float,
) -> float:
    """Upper bound on the dirty share of the committed time. `points` are those of the draw, `dirty` numbers of packets.

    Raises `ValueError` on a miss probability of 1/4 or more, and on dirty packets that were not drawn.
    """
    beta = checked_probability("the miss probability", miss_probability)
    if beta >= MISS_PROBABILITY_MAX:
        raise ValueError(f"the miss probability must lie below {MISS_PROBABILITY_MAX}")
    if not points or not listed.leaves:
        return 1.0
    if stray := set(dirty) - set(points):
        raise ValueError(f"packet {min(stray)} was not drawn")
    if selection.method is Method.TIME:
        return clopper_pearson_upper(sum(number in dirty for number in points), len(points), beta)
    drawn = set(points)
    count = dirty_count_upper(
        population=len(listed.leaves), sampled=len(drawn), dirty=len(set(dirty)), miss_probability=beta
    )
    lengths = [end - start for start, end in zip(listed.start_ns, listed.end_ns, strict=True)]
    unseen = sorted((length for row, length in enumerate(lengths) if listed.first + row not in drawn), reverse=True)
    held = sum(lengths[number - listed.first] for number in dirty) + sum(unseen[: count - len(set(dirty))])
    return held / sum(lengths)


def dirty_count_upper(*, population: int, sampled: int, dirty: int, miss_probability: float) -> int:
    """The largest number K of dirty items with P(at most `dirty` of `sampled` are dirty) > `miss_probability`;
    exact."""
    beta = math.log(checked_probability("the miss probability", miss_probability))
    if not 0 <= dirty <= sampled <= population:
        raise ValueError(f"{dirty} dirty of {sampled} sampled of {population} do not fit one another")
    low, high = dirty, population - (sampled - dirty)
    while low < high:
        middle = (low + high + 1) // 2
        if _log_tail(population, middle, sampled, dirty) > beta:
            low = middle
        else:
            high = middle - 1
    return low


def _log_tail(population: int, marked: int, sampled: int, most: int) -> float:
    """log P(X <= most) for the hypergeometric X: marked items among the sampled."""
    least = max(0, sampled - (population - marked))
    if least > most:
        return -math.inf
    whole = _log_choose(population, sampled)
    terms = [
        _log_choose(marked, x) + _log_choose(population - marked, sampled - x) - whole
        for x in range(least, min(most, marked, sampled) + 1)
    ]
    return float(log_sum_exp(np.array(terms)))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
