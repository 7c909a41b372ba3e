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
    """Of all pods together [FLOP], shape (intervals,)."""

    def run_with(self, *, hidden: Floats | None = None, elsewhere: Floats | None = None) -> float:
        """The largest hidden run [FLOP], with other cells or with something else elsewhere.

        Chips that are elsewhere join a run in full: no limit of the pods stands between them. A chip is in one place, so pods and
        what is elsewhere never do more than all chips.
        """
        totals, _ = largest_run(self.joins, self.hidden if hidden is None else hidden)
        apart = self.elsewhere if elsewhere is None else elsewhere
        return float((np.minimum(totals + apart, self.capacity) if apart.any() else totals).sum())

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
        capacity=ground.capacity.sum(axis=0),
    )


def largest_run(joins: Joins, hidden: Floats) -> tuple[Floats, Floats]:
    """Rule 3: the largest single run by interval [FLOP], and each pod's part in it.

    Upper bounds on what one run does in each interval, of which the smallest holds. All count every pod, since no pod
    ever makes a run smaller.

    (a) One pod leads and gives all of its cell; each other gives its cell times the second contribution of the tightest
        joining that covers it, or all of it where none does. The pod that gains most by leading is taken.
    (b) For each joining whose contributions fall after the second: the j-th largest of the cells that it covers, times
        contribution j, plus all other cells as in (a). By the rearrangement inequality no other order gives more.
    """
    parts = _led(hidden, joins.further)
    totals = parts.sum(axis=0)
    for rows, span, shares in joins.falling:
        others, further = hidden[:, span].copy(), joins.further[:, span]
        covered = others[rows]
        others[rows] = 0.0
        ranked = _led(others, further)
        order = np.argsort(-covered, axis=0, kind="stable")
        factors = np.empty(covered.shape)
        np.put_along_axis(factors, order, shares[:, None], axis=0)
        ranked[rows] = covered * factors
        sums = ranked.sum(axis=0)
        smaller = sums < totals[span]
        totals[span] = np.where(smaller, sums, totals[span])
        parts[:, span] = np.where(smaller, ranked, parts[:, span])
    return totals, parts.sum(axis=1)


def _led(hidden: Floats, further: Floats) -> Floats:
    """Each cell's part in a run if in every interval the pod leads that gains most by it [FLOP]."""
    parts = hidden * further
    leader = np.argmax(hidden - parts, axis=0)
    intervals = np.arange(hidden.shape[1])
    parts[leader, intervals] = hidden[leader, intervals]
    return parts
