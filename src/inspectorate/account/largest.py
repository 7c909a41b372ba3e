"""The bounds of cells (rules 1 and 2), and the largest single run that fits into them (rule 3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspectorate.account.elsewhere import elsewhere
from inspectorate.account.ground import Floats, Ground, Statement


def bound_cells(chosen: list[Statement], ground: Ground) -> tuple[Floats, NDArray[np.int64]]:
    """Rules 1 and 2: the smallest chosen bound of each cell [FLOP], and which statement gives it (-1: none)."""
    hidden = ground.capacity.copy()
    basis = np.full(hidden.shape, -1, dtype=np.int64)
    for number, statement in enumerate(chosen):
        for rows, span, bound in statement.bounds:
            cells = np.ix_(rows, range(span.start, span.stop))
            limit = bound.flop_max if bound.share_max is None else ground.capacity[cells] * bound.share_max
            assert limit is not None
            smaller = limit < hidden[cells]
            hidden[cells] = np.where(smaller, limit, hidden[cells])
            basis[cells] = np.where(smaller, number, basis[cells])
    return hidden, basis


@dataclass(frozen=True, kw_only=True)
class Joins:
    """What the chosen joinings say of the cells."""

    further: Floats
    """What a cell adds where another pod leads, as a share, shape (pods, intervals)."""
    falling: tuple[tuple[list[int], slice, Floats], ...]
    """Joinings whose contributions fall after the second: pod rows, intervals, contributions by rank."""


def gather_joins(chosen: list[Statement], ground: Ground, *, post_training: bool = False) -> Joins:
    further = np.ones(ground.capacity.shape)
    falling: list[tuple[list[int], slice, Floats]] = []
    for statement in chosen:
        for rows, span, joining in statement.joinings:
            shares = joining.post_training if post_training else joining.contributions
            if shares is None:
                continue
            second = shares[1] if len(shares) > 1 else 1.0
            cells = np.ix_(rows, range(span.start, span.stop))
            further[cells] = np.minimum(further[cells], second)
            if any(share < second for share in shares[1 : len(rows)]):
                falling.append((rows, span, np.array(shares[: len(rows)])))
    return Joins(further=further, falling=tuple(falling))


@dataclass(frozen=True, kw_only=True)
class Bounded:
    """What a choice of statements leaves open."""

    hidden: Floats
    """Of each cell [FLOP], shape (pods, intervals)."""
    basis: NDArray[np.int64]
    """The number of the statement that bounds a cell (-1: none), same shape."""
    elsewhere: Floats
    """What may not be where it is declared [FLOP], shape (intervals,)."""
    joins: Joins
    capacity: Floats
    """Of each cell [FLOP], shape (pods, intervals)."""

    def run_with(self, *, hidden: Floats | None = None, elsewhere: Floats | None = None) -> float:
        """The largest hidden run [FLOP], with other cells or with something else elsewhere.

        Chips that are elsewhere join a run in full: no limit of the pods stands between them. A chip is in one place, so pods and
        what is elsewhere never do more than all chips.
        """
        totals, _ = largest_run(self.joins, self.hidden if hidden is None else hidden, self.capacity)
        apart = self.elsewhere if elsewhere is None else elsewhere
        return float((np.minimum(totals + apart, self.capacity.sum(axis=0)) if apart.any() else totals).sum())

    @property
    def run_flop(self) -> float:
        return self.run_with()


def bounded(chosen: list[Statement], ground: Ground, *, post_training: bool = False) -> Bounded:
    """What these statements leave open."""
    hidden, basis = bound_cells(chosen, ground)
    return Bounded(
        hidden=hidden,
        basis=basis,
        elsewhere=elsewhere(chosen, ground),
        joins=gather_joins(chosen, ground, post_training=post_training),
        capacity=ground.capacity,
    )


def largest_run(joins: Joins, hidden: Floats, capacity: Floats) -> tuple[Floats, Floats]:
    """Rule 3: the largest single run by interval [FLOP], and each pod's part in it.

    Upper bounds on what one run does in each interval, of which the smallest holds. All count every pod that may hide anything,
    since no pod ever makes a run smaller.

    (a) What pods add to one another under the tightest joining that covers each (`in_one_run`).
    (b) For each joining whose contributions fall after the second: of the pods that it covers, those that may hide most, any
        number of them, as if at full rate, the j-th largest capacity times contribution j; the others in full; and pods that it
        does not cover as in (a). By the rearrangement inequality no other order gives more.
    """
    base, lead = in_one_run(hidden, joins.further, capacity)
    totals = base.sum(axis=0) + lead.max(axis=0)
    for rows, span, shares in joins.falling:
        others = hidden[:, span].copy()
        covered = others[rows]
        others[rows] = 0.0
        rest, rest_lead = in_one_run(others, joins.further[:, span], capacity[:, span])
        full = np.where(covered > 0, capacity[rows, span], 0.0)
        ranked = np.cumsum(-np.sort(-full, axis=0) * shares[:, None], axis=0)
        smallest = np.cumsum(np.sort(covered, axis=0), axis=0)[::-1]
        without = np.vstack([smallest, np.zeros((1, smallest.shape[1]))])
        together = np.vstack([np.zeros((1, ranked.shape[1])), ranked]) + without
        sums = rest.sum(axis=0) + rest_lead.max(axis=0) + together.min(axis=0)
        totals[span] = np.minimum(totals[span], sums)
    return totals, _parts(base, lead, hidden, totals).sum(axis=1)


def in_one_run(hidden: Floats, further: Floats, capacity: Floats) -> tuple[Floats, Floats]:
    """What each cell adds to a run [FLOP], and what it adds on top where its pod leads; shapes (pods, intervals).

    Contributions are those of pods at full rate. A pod that other evidence holds to a part of its rate needs less bandwidth for
    each FLOP, and may join better. So each pod counts in one of two ways:

    - in full: all that it may hide;
    - as if at full rate, which it could be and idle: its capacity where it leads, and else its capacity times the contribution,
      or all that it may hide if that is less.

    Every choice is an upper bound; the smallest is taken. It lies at a threshold: pods that gain at most so much by leading
    count as if at full rate, the others in full.
    """
    full = np.where(hidden > 0, capacity, 0.0)
    base = np.minimum(hidden, further * full)
    lead = full - base
    slow = ((hidden < full) & (base < hidden)).any(axis=0)
    if not slow.any():
        return base, np.where(base < hidden, lead, 0.0)
    # What is in no run by any limit, or at full rate: nothing to choose in these intervals.
    lead[:, ~slow] = np.where(base < hidden, lead, 0.0)[:, ~slow]
    base[:, slow], lead[:, slow] = _smallest_choice(hidden[:, slow], base[:, slow], lead[:, slow])
    return base, lead


def _smallest_choice(hidden: Floats, base: Floats, lead: Floats) -> tuple[Floats, Floats]:
    order = np.argsort(lead, axis=0, kind="stable")
    saved = np.cumsum(np.take_along_axis(hidden - base, order, axis=0), axis=0)
    sums = hidden.sum(axis=0) - saved + np.take_along_axis(lead, order, axis=0)
    best = np.argmin(sums, axis=0)
    intervals = np.arange(hidden.shape[1])
    chosen = np.take_along_axis(lead, order, axis=0)[best, intervals]
    as_full = (lead <= chosen) & (sums[best, intervals] < hidden.sum(axis=0))
    return np.where(as_full, base, hidden), np.where(as_full, lead, 0.0)


def _parts(base: Floats, lead: Floats, hidden: Floats, totals: Floats) -> Floats:
    """Each cell's part in a run of these totals [FLOP]: what it adds anyway, then the leader, and what is left to the others."""
    parts = base.copy()
    intervals = np.arange(hidden.shape[1])
    left = totals - parts.sum(axis=0)
    leader = np.argmax(lead, axis=0)
    more = np.minimum(np.maximum(left, 0.0), (hidden - parts)[leader, intervals])
    parts[leader, intervals] += more
    left = left - more
    room = hidden - parts
    held = np.where(left > 0, room.sum(axis=0), parts.sum(axis=0))
    share = np.divide(left, held, out=np.zeros_like(left), where=held > 0)
    found: Floats = parts + share * np.where(left > 0, room, parts)
    return found
