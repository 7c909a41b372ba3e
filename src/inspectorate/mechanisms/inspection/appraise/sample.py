"""What draws from several commitments say of all of their packets together: upper bounds on weighted shares.

Each item (a packet) has a weight, of which the shares are asked (time, FLOP), and each draw picks an item of its own commitment:
all alike, or in proportion to their time. With n_c draws from commitment c, let sigma_i = (n_c / n) times the chance that one of
them picks i.

1. The number of dirty draws is a sum of n independent yes-or-no draws with mean n p, p = sum of sigma_i over dirty items; draws
   without replacement scatter less (Vatutin & Mikhailov 1982: a hypergeometric count is such a sum, too). Its lower tail is no
   heavier than that of a binomial with the same mean (Hoeffding, Ann. Math. Statist. 27, 1956, theorem 4), so the Clopper-Pearson
   bound of k in n holds for p. Of one commitment drawn from by packets, all clean, the hypergeometric bound is used.
2. Given p at most q, the largest weighted share of dirty items is a fractional knapsack: what is not known is taken to be dirty
   in order of weight per sigma, until sum of sigma reaches q. Packets that were drawn are known. Items that no draw could pick
   have sigma 0, and are dirty to begin with.
3. A mean share y of items (how much of what was stated was found) is bounded from below by layers: with levels g_1 > .. > g_m,
   y >= sum_j (g_j - g_{j+1}) [y >= g_j], and the share of items below each level is bounded as in 1 and 2, each at beta / m.

With no dirty draw, 1 holds also against a prover that adapts to earlier draws: only the path without one matters. With some, it
needs that the share in later commitments does not depend on what earlier draws showed.

Sampling in strata of time gives every stratum its number of points; over a whole commitment its sigma is that of plain sampling.
Over a part of one it is not, so a commitment with strata counts only where all of it lies within the scope.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from inspectorate.drawing.ranks import uniform_below
from inspectorate.mechanisms.inspection.challenge.judge import Draw
from inspectorate.mechanisms.inspection.challenge.promise import Method
from inspectorate.mechanisms.inspection.transcripts.types import PacketList
from inspectorate.statistics.sampling import clopper_pearson_upper, dirty_count_upper

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Stratum:
    """The packets of one commitment within a scope, and how they were drawn."""

    time: Floats
    """[s] per packet."""
    flop: Floats
    """As stated, per packet."""
    picks: tuple[int, ...]
    """The item of each draw, by its place here; an item may be picked more than once."""
    by_time: bool
    """Whether items were picked in proportion to their time; else all alike."""
    found: Mapping[int, float]
    """Of items that were drawn: the share of what was stated that was found; 0 for a dirty one."""

    @property
    def sigma(self) -> Floats:
        """The chance that one draw picks each item."""
        if self.by_time:
            share: Floats = self.time / self.time.sum()
            return share
        return np.full(len(self.time), 1 / len(self.time))


def points_of(draw: Draw, listed: PacketList) -> tuple[int, ...]:
    """The row of the list of every draw, as often as it was picked; checked against the draw in the tests."""
    assert draw.selection is not None
    assert draw.seed is not None
    if draw.selection.method is Method.PACKETS:
        return tuple(number - listed.first for number in draw.in_order)
    ends = list(accumulate(end - start for start, end in zip(listed.start_ns, listed.end_ns, strict=True)))
    total, strata = ends[-1], draw.selection.strata
    return tuple(
        bisect.bisect_right(ends, (j % strata * total + uniform_below(draw.seed, j, total)) // strata)
        for j in range(draw.selection.count)
    )


def share_upper(
    strata: Sequence[Stratum], weight: Callable[[Stratum], Floats], *, level: float, miss_probability: float
) -> float:
    """Upper bound on the weighted share of items of which less than `level` of what was stated is found. 1 for no item."""
    whole = math.fsum(float(weight(one).sum()) for one in strata)
    draws = sum(len(one.picks) for one in strata)
    if whole <= 0 or not strata:
        return 1.0
    low = [frozenset(item for item, share in one.found.items() if share < level) for one in strata]
    hits = sum(sum(item in bad for item in one.picks) for one, bad in zip(strata, low, strict=True))
    limit = _mean_upper(strata, hits, draws, miss_probability)
    weights = np.concatenate([weight(one) / whole for one in strata])
    sigma = np.concatenate([one.sigma * (len(one.picks) / draws if draws else 0.0) for one in strata])
    known = np.concatenate([_mask(one, one.found) for one in strata])
    dirty = np.concatenate([_mask(one, bad) for one, bad in zip(strata, low, strict=True)])
    return _worst(weights, sigma, known=known, dirty=dirty, limit=limit)


def found_lower(
    strata: Sequence[Stratum],
    weight: Callable[[Stratum], Floats],
    *,
    levels: Sequence[float],
    miss_probability: float,
) -> float:
    """Lower bound on the weighted mean of the share that is found (step 3)."""
    steps = zip(levels, (*levels[1:], 0.0), strict=True)
    parts = [
        (upper - lower)
        * (1 - share_upper(strata, weight, level=upper, miss_probability=miss_probability / len(levels)))
        for upper, lower in steps
    ]
    return math.fsum(parts)


def seen_probability(strata: Sequence[Stratum], share: float) -> float:
    """The chance that a dirty share of the time, spread evenly over what is drawn from, is in at least one draw."""
    draws = sum(len(one.picks) for one in strata)
    whole = math.fsum(float(one.time.sum()) for one in strata)
    drawn = math.fsum(float(one.time.sum()) for one in strata if one.picks)
    if not draws or whole <= 0:
        return 0.0
    return 1.0 if share >= 1 else -math.expm1(draws * math.log1p(-share * drawn / whole))


def _mean_upper(strata: Sequence[Stratum], hits: int, draws: int, miss_probability: float) -> float:
    if not draws:
        return 1.0
    only = [one for one in strata if len(one.time)]
    if not hits and len(only) == 1 and not only[0].by_time and len(set(only[0].picks)) == draws:
        count = len(only[0].time)
        return dirty_count_upper(population=count, sampled=draws, miss_probability=miss_probability) / count
    return clopper_pearson_upper(hits, draws, miss_probability)


def _mask(stratum: Stratum, items: Iterable[int]) -> Bools:
    made = np.zeros(len(stratum.time), dtype=np.bool_)
    made[list(items)] = True
    return made


def _worst(weights: Floats, sigma: Floats, *, known: Bools, dirty: Bools, limit: float) -> float:
    """Step 2."""
    share = float(weights[dirty].sum())
    left = max(0.0, limit - float(sigma[dirty].sum()))
    open_ = ~known
    free = open_ & (sigma <= 0)
    share += float(weights[free].sum())
    rest = open_ & (sigma > 0)
    w, s = weights[rest], sigma[rest]
    order = np.argsort(-w / s, kind="stable")
    w, s = w[order], s[order]
    before = np.concatenate(([0.0], np.cumsum(s)[:-1])) if len(s) else s
    taken = np.clip((left - before) / s, 0.0, 1.0) if len(s) else s
    return min(1.0, share + float((w * taken).sum()))
