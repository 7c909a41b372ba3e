"""Ranges and their sums. A range is low, median and high; its ends hold the share `level` between them.

- The shape between is assumed: two halves of lognormal distributions that meet in the median, the left one from low, the right one
  from high. A left half that reaches zero is normal, cut off at zero. No figure says more than three numbers of itself; that is why
  results are printed for three assumptions on how figures depend on each other.
- `INDEPENDENT`: drawn independently, many times, by a seed. The narrowest that can be meant, and seldom true: quarters of one maker
  rest on one report and one price.
- `TOGETHER`: all high or all low at once: the sum of quantiles.
- `ANY`: whatever the dependence. For a bound that fails with probability beta, the sum of the means of the worst beta of each:
  a quantile is never above the mean beyond it, and that mean of a sum is never above the sum of the means (expected shortfall is
  subadditive; Acerbi & Tasche 2002, Journal of Banking & Finance 26). It needs no model of dependence, and is never the smallest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from inspectorate.mechanisms.custody.supply.reference import LEVEL

FloatArray = npt.NDArray[np.float64]
NORMAL = NormalDist()
DRAWS = 20_000


class Dependence(StrEnum):
    INDEPENDENT = "independent"
    TOGETHER = "together"
    ANY = "any"


@dataclass(frozen=True)
class Range:
    """Low, median, high. Raises `ValueError` unless 0 <= low <= median <= high, and all are finite."""

    low: float
    median: float
    high: float
    level: float = LEVEL

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.median <= self.high < math.inf:
            raise ValueError("needs 0 <= low <= median <= high")
        if not 0 < self.level < 1:
            raise ValueError("needs a level between 0 and 1")
        if self.median == 0 < self.high:
            raise ValueError("a median of 0 with a high above it has no shape that is assumed here")

    def times(self, factor: float) -> Range:
        return Range(self.low * factor, self.median * factor, self.high * factor, self.level)

    @property
    def _z(self) -> float:
        return NORMAL.inv_cdf((1 + self.level) / 2)

    @property
    def spread_up(self) -> float:
        """Standard deviation of the logarithm above the median."""
        return math.log(self.high / self.median) / self._z if self.median > 0 else 0.0

    @property
    def spread_down(self) -> float | None:
        """The same below; none where low is zero, and the left half is normal."""
        if self.median == 0:
            return 0.0
        return math.log(self.median / self.low) / self._z if self.low > 0 else None

    def at(self, scores: FloatArray) -> FloatArray:
        """Values at standard normal scores."""
        up = self.median * np.exp(self.spread_up * np.maximum(scores, 0))
        down = self.spread_down
        below = np.minimum(scores, 0)
        cut_off = np.maximum(0.0, self.median * (1 + below / self._z))
        lower = cut_off if down is None else self.median * np.exp(down * below)
        return np.where(scores >= 0, up, lower)

    def quantile(self, share: float) -> float:
        return float(self.at(np.array([NORMAL.inv_cdf(share)]))[0])

    def mean_above(self, beta: float) -> float:
        """The mean of the highest `beta`, at most one half: in closed form."""
        spread = self.spread_up
        score = -NORMAL.inv_cdf(beta)
        if spread == 0:
            return self.median
        # Far in the tail both factors leave what a double can hold; their product does not.
        return self.median * math.exp(spread**2 / 2) * NORMAL.cdf(spread - score) / beta

    def mean_below(self, beta: float) -> float:
        """The mean of the lowest `beta`, at most one half."""
        spread, score = self.spread_down, -NORMAL.inv_cdf(beta)
        if spread is None:
            # Cut off at zero it is more than that of the normal half; from below, zero or the normal half bound it.
            return max(0.0, self.median * (1 - NORMAL.pdf(score) / beta / self._z))
        return self.median * math.exp(spread**2 / 2) * NORMAL.cdf(-spread - score) / beta

    def at_end(self, share: float, dependence: Dependence) -> float:
        """What this range adds to the end of a sum: at `TOGETHER` a quantile, at `ANY` the mean beyond it."""
        if dependence is Dependence.ANY:
            return self.mean_above(1 - share) if share > 0.5 else self.mean_below(share)
        return self.quantile(share)


@dataclass(frozen=True)
class Draws:
    """Independent sums, drawn by a seed: one column per group of ranges, and the total."""

    by_group: FloatArray
    total: FloatArray

    def quantile(self, share: float, group: int | None = None) -> float:
        return float(np.quantile(self.total if group is None else self.by_group[:, group], share))


def draw_sums(ranges: Sequence[Range], groups: Sequence[int], *, seed: int, draws: int = DRAWS) -> Draws:
    """Sums of independent ranges by group, `draws` times."""
    rng = np.random.default_rng(seed)
    count = max(groups, default=-1) + 1
    found = np.zeros((draws, count))
    for one, group in zip(ranges, groups, strict=True):
        found[:, group] += one.at(rng.standard_normal(draws))
    return Draws(by_group=found, total=found.sum(axis=1))


def sum_end(ranges: Sequence[Range], share: float, dependence: Dependence) -> float:
    """The end of a sum at a share, under `TOGETHER` or `ANY`. Raises `ValueError` under `INDEPENDENT`, which is drawn."""
    if dependence is Dependence.INDEPENDENT:
        raise ValueError("independent sums are drawn: use draw_sums")
    return math.fsum(one.at_end(share, dependence) for one in ranges)
