"""What a count showed, in two directions that stay apart: how many chips can be missing at most, and evidence that too many are.

Missing is a chip that the register has in a unit and whose serial was not read there. What was refused, opened late, or is not
accounted for is missing for the bound, and not seen for the evidence: a locked door bounds nothing, and accuses nobody of more than
a locked door.

**The bound.** Each is the inversion of a test: an arrangement of missing chips is excluded where a count that shows so little has a
probability of at most beta under it. The truth is then excluded with probability at most beta, whatever it is.

By chip   x of the k drawn chips are missing, of M: the largest number D with P(X <= x) > beta, X hypergeometric. Exact, and
          untouched by how missing chips cluster, as chips are drawn and not units. The rest of an opened unit says nothing more
          against a prover that empties whole units, and counts below only as chips that are seen, or are missing for certain.
By site   x of the opened units are touched (something is missing), over all sites. One site: the largest number T of touched units
          with P(X <= x) > beta. Several: P_t(X <= x) <= exp(theta x) E exp(-theta X) for every theta. With w = 1 - exp(-theta) and
          f = k/U, Hoeffding's comparison with draws that are put back, read either way round (X is symmetric in drawn and touched),
          gives log E exp(-theta X_s) <= min(t log(1 - f w), k log(1 - t w/U)). That is concave in t, so the most chips under the
          constraint are found as in `sizes`. With nothing touched, theta is infinite: the exact chance C(U - t, k)/C(U, k) is used.
          Then D is at most what was seen to be missing and the largest units that were not opened.

**The evidence.** Hypothesis: at most q M chips are missing, wherever they are: all in one rack, if keepers err by the rack. For
every c >= 0

    E_c = exp(-c q M) * product over drawn units j of (1 + c w_j d_j),   w_j = U_s/k_s, d_j missing in unit j

has expectation at most 1: draws without replacement are negatively associated, so the mean of the product is at most the product
of means, that is prod_s (1 + c D_s/k_s)^k_s <= exp(c D). By chip, w = M/k and d_j is the missing share of the unit in which drawn
chip j stands, once for every drawn chip. Nothing is assumed of how honest errors cluster: the randomness is the draw's. The e-value
is the mean over fixed c. Where more than q M chips are seen to be missing outright, the hypothesis is excluded.

Sources: W. Hoeffding, JASA 58, 1963, section 6; K. Joag-Dev, F. Proschan, Annals of Statistics 11, 1983; V. Vovk, R. Wang,
"E-values", Annals of Statistics 49, 2021.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inspectorate.mechanisms.custody.counting.draw import Sample
from inspectorate.mechanisms.custody.counting.reference import BETS
from inspectorate.mechanisms.custody.counting.sizes import Sizes, most_within, steps_of_miss
from inspectorate.statistics.evalues import LOG_E_MAX, bounded_log_e
from inspectorate.statistics.numerics import FloatArray, checked_probability, log_sum_exp
from inspectorate.statistics.sampling import dirty_count_upper

_WEIGHTS = (0.999, 0.99, 0.97, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
"""w = 1 - exp(-theta), at which the bound is tried; each is valid, and the best is taken."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Counted:
    """A sample, and what was read in it."""

    sizes: Sizes
    """Chips of every unit of the register."""
    sample: Sample
    missing: dict[int, int]
    """Of every drawn unit, chips that were not seen; all of them where it was not opened as it should have been."""
    unopened: frozenset[int]
    """Drawn units that were refused, opened late, or are not accounted for."""
    missing_drawn: int = 0
    """Of the chips that were drawn (by chip), those that were not seen."""

    @property
    def chips(self) -> int:
        return int(self.sizes.sum())

    @property
    def seen_missing(self) -> int:
        """Chips that are not where opened units should have them."""
        return sum(count for unit, count in self.missing.items() if unit not in self.unopened)


def missing_upper(counted: Counted, miss_probability: float) -> int:
    """The most chips that can be missing: too small with probability at most `miss_probability`. All, where nothing was drawn."""
    beta = checked_probability("the miss probability", miss_probability)
    chips = counted.chips
    if not counted.sample.units:
        return chips
    held = sum(counted.missing.values())
    seen = sum(int(counted.sizes[unit]) for unit in counted.sample.units) - held
    if counted.sample.chips:
        upper = dirty_count_upper(
            population=chips, sampled=len(counted.sample.chips), dirty=counted.missing_drawn, miss_probability=beta
        )
        return min(chips - seen, max(upper, held))
    return min(chips - seen, held + _most_unopened(counted, beta))


def _most_unopened(counted: Counted, beta: float) -> int:
    """The most chips that can be missing of units that were not drawn."""
    sites = _sites(counted)
    if len(sites) == 1:
        one = sites[0]
        units = dirty_count_upper(population=one.units, sampled=one.opened, dirty=one.touched, miss_probability=beta)
        return int(one.left[: units - one.touched].sum())
    if not any(one.touched for one in sites):
        costs = [steps_of_miss(one.units, one.opened) for one in sites]
        return most_within(_joined(sites), np.concatenate(costs), -math.log(beta))
    return min(_most_by(sites, weight, beta) for weight in _WEIGHTS)


def _most_by(sites: Sequence[_Site], weight: float, beta: float) -> int:
    budget = -math.log(beta) - math.log1p(-weight) * sum(one.touched for one in sites)
    costs: list[FloatArray] = []
    for one in sites:
        t = np.arange(one.touched, one.touched + len(one.left) + 1, dtype=np.float64)
        logs = np.minimum(
            t * math.log1p(-weight * one.opened / one.units), one.opened * np.log1p(-weight * t / one.units)
        )
        budget += float(logs[0])
        costs.append(-np.diff(logs))
    return most_within(_joined(sites), np.concatenate(costs), budget)


def _joined(sites: Sequence[_Site]) -> Sizes:
    return np.concatenate([one.left for one in sites])


@dataclass(frozen=True, kw_only=True, eq=False)
class _Site:
    """What was drawn of one site, and what was not."""

    units: int
    opened: int
    touched: int
    left: Sizes
    """Chips of the units that were not drawn, the largest first."""


def _sites(counted: Counted) -> list[_Site]:
    found = []
    bounds = counted.sample.bounds
    for first, end, drawn in zip(bounds, bounds[1:], counted.sample.by_site.values(), strict=False):
        free = np.ones(end - first, dtype=bool)
        free[np.asarray(drawn, dtype=np.int64) - first] = False
        touched = sum(counted.missing[unit] > 0 for unit in drawn)
        left = np.sort(counted.sizes[first:end][free])[::-1]
        found.append(_Site(units=end - first, opened=len(drawn), touched=touched, left=left))
    return found


def log_e_missing(counted: Counted, misplaced_share_max: float) -> float:
    """The e-value (its natural logarithm) against: at most this share of all chips, rounded up to a whole chip, is missing from its
    place. A share above 0 lets every keeper misplace one chip, however few there are.

    0 where nothing was drawn: no evidence. Raises `ValueError` on a share outside of 0 to 1.
    """
    if not 0 <= misplaced_share_max <= 1:
        raise ValueError(f"a share lies between 0 and 1, not {misplaced_share_max}")
    if not counted.sample.units:
        return 0.0
    limit = math.ceil(misplaced_share_max * counted.chips - 1e-9)
    if counted.seen_missing > limit:
        return LOG_E_MAX
    scaled = _weighted(counted)
    stakes = np.asarray(BETS) / max(limit, 1.0)
    logs = np.sum(np.log1p(stakes[:, None] * scaled[None, :]), axis=1) - stakes * limit
    return bounded_log_e(float(log_sum_exp(logs)) - math.log(len(BETS)))


def _weighted(counted: Counted) -> FloatArray:
    """w_j d_j of every draw."""
    seen = {unit: 0 if unit in counted.unopened else count for unit, count in counted.missing.items()}
    sample = counted.sample
    if sample.chips:
        of_row = sample.unit_of_drawn
        weight = counted.chips / len(sample.chips)
        return np.asarray([weight * seen[unit] / int(counted.sizes[unit]) for unit in of_row])
    found: list[float] = []
    for first, end, units in zip(sample.bounds, sample.bounds[1:], sample.by_site.values(), strict=False):
        found += [(end - first) / len(units) * seen[unit] for unit in units]
    return np.asarray(found)
