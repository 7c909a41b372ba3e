"""Looking after every packet: stop as soon as the sample is clean enough, or dirty enough, without paying for the
looks.

The hypothesis to be refuted is that the dirty share is at least d. Every point that is drawn multiplies the evidence
against it by

    clean   (1 - q) / (1 - d)
    dirty   q / d

where q < d is how often an honest packet is taken for dirty. For a point that is dirty with probability p >= d the mean
of the factor is (1-p)(1-q)/(1-d) + p q/d <= 1. So the product is an e-process: under a dirty share of d or more it ever
reaches 1/beta with probability at most beta (Ville 1939), whenever anybody looks. With q = 0 it reaches 1/beta after
ln(beta)/ln(1-d) clean points, the very size of the fixed plan, and one dirty point ends it.

It holds for points of time in one stratum, which are independent, and at the end of every whole round over the strata
(there, by the inequality of the means). For packets without replacement it holds as long as nothing dirty was found,
and `SequentialPlan` refuses it.

What was refused or could not be run is dirty. A packet counts once for every point that fell into it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from inspectorate.mechanisms.inspection.challenge.promise import Method, Selection
from inspectorate.statistics.numerics import checked_probability


@dataclass(frozen=True, kw_only=True)
class Look:
    """What the points so far say."""

    points: int
    dirty: int
    log_e: float
    assured: bool
    """Whether the dirty share is below the limit, at the miss probability, by this look or an earlier one."""


@dataclass(frozen=True, kw_only=True)
class SequentialPlan:
    """A plan that may stop at any look."""

    dirty_share_max: float
    miss_probability: float
    honest_rate: float = 0.0
    """How often an honest packet is taken for dirty: the calibrated bound of the tolerance."""

    def __post_init__(self) -> None:
        checked_probability("the dirty share", self.dirty_share_max)
        checked_probability("the miss probability", self.miss_probability)
        if not 0 <= self.honest_rate < self.dirty_share_max:
            raise ValueError(
                "an honest packet must be taken for dirty less often than the share that is to be excluded"
            )

    @property
    def clean_points(self) -> int:
        """Points that assure if all are clean."""
        return max(1, math.ceil(self._target / self._log_clean - 1e-9))

    @property
    def _target(self) -> float:
        return -math.log(self.miss_probability)

    @property
    def _log_clean(self) -> float:
        return math.log1p(-self.honest_rate) - math.log1p(-self.dirty_share_max)

    @property
    def _log_dirty(self) -> float:
        return math.log(self.honest_rate / self.dirty_share_max) if self.honest_rate > 0 else -math.inf

    def looks(self, selection: Selection, points: Sequence[int], dirty: Collection[int]) -> tuple[Look, ...]:
        """One look after every point (in strata: after every round). `points` are packets as drawn, `dirty` those that
        are.

        Raises `ValueError` for a draw by packets.
        """
        if selection.method is not Method.TIME:
            raise ValueError("a draw without replacement has no sequential plan here: use `bounds`")
        found: list[Look] = []
        log_e, bad, assured = 0.0, 0, False
        for number, packet in enumerate(points, 1):
            bad += packet in dirty
            log_e += self._log_dirty if packet in dirty else self._log_clean
            if number % selection.strata == 0:
                assured = assured or log_e >= self._target - 1e-12
                found.append(Look(points=number, dirty=bad, log_e=log_e, assured=assured))
        return tuple(found)
