"""The account: how much training could be hidden, and the largest single run that fits into it.

Definitions. A *cell* is one pod in one interval. Its capacity K [FLOP] is the pod's peak rate, as the agreement counts
it, times the utilisation with which a cheater is credited, times the length of the interval. An assessment may bound the
undeclared training in some cells; each bound rests on one statistical *statement* with a miss probability.

Rules, in the order of the code:

1. Nothing defaults to less: a cell without a usable bound holds its whole capacity. A bound serves a cell only if its
   scope covers the whole interval.
2. The statements used, counted once each however many cells they serve, have miss probabilities that sum to at most
   1 - confidence (union bound; nothing is assumed independent). Which to use is chosen to make the result small: exactly
   where the search ends within its allowance, else the result is still an upper bound, and says so.
3. A single run may pool pods, and it may move (a slow link still hands the state of a run over once), so which pod leads is
   open anew in every interval. It gives all of its cell; a further pod at most its contribution under a verified limit, and
   all of its cell where no limit is verified (`_largest_run`).
4. The result is the largest hidden run, with what it rests on; beside it the largest run of post-training (`Joining`).
5. What would help most: for each pod and each basis of its cells, how far the result falls if those were explained.

The sum is over the whole period: a run in a part of it is never larger. Checked by exhaustive search in tests/account.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from inspectorate.assessment import Assessment, HiddenBound, Joining
from inspectorate.canonical import Identifier, Record, Text
from inspectorate.errors import InputError
from inspectorate.quantities import NonNegative, Period, Share, to_ns

Floats = NDArray[np.float64]

CELLS_MAX = 50_000_000
EVALUATIONS_MAX = 20_000
"""Choices of statements that are tried on a small fleet."""
CELL_EVALUATIONS_MAX = 60_000_000
"""Cells that all choices may cost together: a fleet of 2,000 pods and 720 intervals gets some forty choices, in seconds."""
ROUNDING = 1e-12
"""1 - 0.99 is not 0.01 in binary: miss probabilities that fill the budget in decimal must fit it."""
SERIES_POINTS_MAX, HELP_MAX, NO_EVIDENCE = 1_000, 20, "nothing"


class PodShare(Record):
    """One pod's part in the account [FLOP over the period]."""

    pod: Identifier
    capacity_flop: NonNegative
    hidden_flop_max: NonNegative
    joined_flop_max: NonNegative = Field(description="its part in the largest run")


class Help(Record):
    """How far the largest hidden run falls if one group of cells were fully explained."""

    pod: Identifier
    basis: Text = Field(description="what bounds these cells now")
    hours: NonNegative
    hidden_flop_max: NonNegative = Field(description="the largest hidden run then")
    falls_by_flop: NonNegative


class StatementUsed(Record):
    statement: Identifier
    miss_probability: Share


class AccountPoint(Record):
    """All pods together over one stretch of time [FLOP]."""

    period: Period
    capacity_flop: NonNegative
    hidden_flop_max: NonNegative


class Account(Record):
    """The largest training run that could have been hidden, and what that rests on."""

    period: Period
    interval_s: float
    confidence: Share
    capacity_flop: NonNegative = Field(description="all that the declared chips could have done")
    hidden_flop_max: NonNegative = Field(description="the largest single hidden run")
    post_training_flop_max: NonNegative = Field(
        description="the same for a run whose tokens may be made in other pods: reinforcement learning, distillation"
    )
    exact: bool = Field(description="whether the choice of statements was searched to the end")
    statements: tuple[StatementUsed, ...]
    pods: tuple[PodShare, ...]
    series: tuple[AccountPoint, ...]
    help: tuple[Help, ...]
    assumptions: tuple[Text, ...]


@dataclass
class _Statement:
    """One statement with the cells that it bounds, as (pod rows, interval slice, cap per interval [FLOP])."""

    id: str
    miss_probability: float
    bounds: list[tuple[list[int], slice, HiddenBound]] = field(default_factory=list)
    joinings: list[tuple[list[int], slice, Joining]] = field(default_factory=list)
    assumptions: set[str] = field(default_factory=set)


@dataclass(frozen=True, kw_only=True)
class _Ground:
    """What does not depend on the choice of statements."""

    pods: tuple[str, ...]
    intervals: tuple[Period, ...]
    capacity: Floats
    """[FLOP], shape (pods, intervals)."""
    rows: Mapping[str, int]
    starts_ns: NDArray[np.int64]
    ends_ns: NDArray[np.int64]

    def cells(self, pods: Sequence[str], period: Period, *, cell_s_min: float = 0.0) -> tuple[list[int], slice]:
        """The rows of `pods`; the intervals wholly within `period` and `cell_s_min` long: the last may be shorter."""
        first = int(np.searchsorted(self.starts_ns, to_ns(period.start), side="left"))
        last = int(np.searchsorted(self.ends_ns, to_ns(period.end), side="right"))
        lengths_ns = self.ends_ns[first:last] - self.starts_ns[first:last]
        last = first + int(np.count_nonzero(lengths_ns >= cell_s_min * 1e9 * (1 - 1e-12)))
        return [self.rows[pod] for pod in pods if pod in self.rows], slice(first, max(first, last))


@dataclass(frozen=True, kw_only=True)
class _Joins:
    """What the chosen joinings say of the cells."""

    further: Floats
    """What a cell adds where another pod leads, as a share, shape (pods, intervals)."""
    falling: tuple[tuple[list[int], slice, Floats], ...]
    """Joinings whose contributions fall after the second: pod rows, intervals, contributions by rank."""


def take_account(
    assessments: Iterable[Assessment],
    *,
    capacities: Mapping[str, float],
    period: Period,
    interval_s: float,
    confidence: float,
) -> Account:
    """The account of a period (rules in the module's docstring).

    `capacities` gives, per pod, the FLOP/s with which a cheater is credited: peak rate times utilisation.
    Raises `InputError` if there are no pods or too many cells.
    """
    if not capacities:
        raise InputError("no pods are declared, so there is nothing to account for")
    ground = _lay_ground(capacities, period, interval_s)
    statements = _collect(assessments, ground)
    chosen, exact = _choose(statements, ground, budget=1 - confidence)
    hidden, basis = _bound_cells(chosen, ground)
    joins = _gather_joins(chosen, ground)
    largest, joined = _largest_run(joins, hidden)
    return Account(
        period=period,
        interval_s=interval_s,
        confidence=confidence,
        capacity_flop=float(ground.capacity.sum()),
        hidden_flop_max=largest,
        post_training_flop_max=_largest_run(_gather_joins(chosen, ground, post_training=True), hidden)[0],
        exact=exact,
        statements=tuple(
            StatementUsed(statement=s.id, miss_probability=s.miss_probability)
            for s in sorted(chosen, key=lambda s: s.id)
        ),
        pods=tuple(
            PodShare(
                pod=pod,
                capacity_flop=float(ground.capacity[row].sum()),
                hidden_flop_max=float(hidden[row].sum()),
                joined_flop_max=float(joined[row]),
            )
            for row, pod in enumerate(ground.pods)
        ),
        series=_series(ground, hidden),
        help=_what_helps(ground, chosen, hidden, basis, joins),
        assumptions=tuple(sorted({text for statement in chosen for text in statement.assumptions})),
    )


def _lay_ground(capacities: Mapping[str, float], period: Period, interval_s: float) -> _Ground:
    try:
        intervals = period.intervals(interval_s)
    except ValueError as fault:
        raise InputError(str(fault), remedy="choose a longer interval") from None
    pods = tuple(sorted(capacities))
    if len(pods) * len(intervals) > CELLS_MAX:
        raise InputError(
            f"{len(pods)} pods x {len(intervals)} intervals are more than {CELLS_MAX} cells",
            remedy="choose a longer interval",
        )
    rates = np.array([capacities[pod] for pod in pods])
    durations = np.array([interval.duration_s for interval in intervals])
    return _Ground(
        pods=pods,
        intervals=intervals,
        capacity=np.outer(rates, durations),
        rows={pod: row for row, pod in enumerate(pods)},
        starts_ns=np.array([to_ns(interval.start) for interval in intervals], dtype=np.int64),
        ends_ns=np.array([to_ns(interval.end) for interval in intervals], dtype=np.int64),
    )


def _collect(assessments: Iterable[Assessment], ground: _Ground) -> list[_Statement]:
    """Gather bounds and joinings under the statement on which they rest; the largest miss probability counts."""
    found: dict[str, _Statement] = {}

    def statement(part: HiddenBound | Joining, assumptions: tuple[str, ...]) -> _Statement:
        entry = found.setdefault(part.statement, _Statement(part.statement, 0.0))
        entry.miss_probability = max(entry.miss_probability, part.miss_probability)
        entry.assumptions.update(assumptions)
        return entry

    for assessment in assessments:
        for bound in assessment.hidden:
            rows, span = ground.cells(bound.scope.pods, bound.scope.period, cell_s_min=bound.cell_s_min)
            statement(bound, assessment.assumptions).bounds.append((rows, span, bound))
        for joining in assessment.joining:
            rows, span = ground.cells(joining.scope.pods, joining.scope.period)
            statement(joining, assessment.assumptions).joinings.append((rows, span, joining))
    return [found[name] for name in sorted(found)]


def _choose(statements: list[_Statement], ground: _Ground, *, budget: float) -> tuple[list[_Statement], bool]:
    """Rule 2. Depth-first branch and bound over the statements that cost miss probability.

    Using everything that still fits one by one, together over the budget or not, never gives a larger run than a
    feasible choice below; so a branch whose optimistic result is no better than the best found is cut. The search
    starts from the choice that takes the cheapest first, which is what stands if its allowance ends at once.
    """
    usable = _fitting(sorted(statements, key=attrgetter("miss_probability")), budget)
    free = [s for s in usable if s.miss_probability == 0]
    costly = usable[len(free) :]

    def run_of(taken: list[_Statement]) -> float:
        chosen = free + taken
        return _largest_run(_gather_joins(chosen, ground), _bound_cells(chosen, ground)[0])[0]

    if _fits_together(costly, budget):
        return free + costly, True
    used = accumulate(s.miss_probability for s in costly)
    best = [s for s, sum_so_far in zip(costly, used, strict=True) if sum_so_far <= budget]
    best_run, evaluations = run_of(best), 1
    allowance = min(EVALUATIONS_MAX, max(2, CELL_EVALUATIONS_MAX // ground.capacity.size))
    stack: list[tuple[list[_Statement], list[_Statement], float]] = [([], costly, budget)]
    while stack:
        taken, rest, left = stack.pop()
        if evaluations >= allowance:
            return free + best, False
        optimistic = run_of(taken + rest)
        evaluations += 1
        if optimistic >= best_run:
            continue
        if _fits_together(rest, left):
            best, best_run = taken + rest, optimistic
            continue
        head, tail = rest[0], rest[1:]
        stack.append((taken, tail, left))
        after = max(0.0, left - head.miss_probability)
        stack.append(([*taken, head], _fitting(tail, after), after))
    return free + best, True


def _fits_together(statements: list[_Statement], left: float) -> bool:
    """Whether all of them may be used; rounding of the last digits is not held against them."""
    return sum(s.miss_probability for s in statements) <= left + ROUNDING


def _fitting(statements: list[_Statement], left: float) -> list[_Statement]:
    """Those that may still be used one by one."""
    return [s for s in statements if s.miss_probability <= left + ROUNDING]


def _bound_cells(chosen: list[_Statement], ground: _Ground) -> tuple[Floats, NDArray[np.int64]]:
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


def _gather_joins(chosen: list[_Statement], ground: _Ground, *, post_training: bool = False) -> _Joins:
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
    return _Joins(further=further, falling=tuple(falling))


def _largest_run(joins: _Joins, hidden: Floats) -> tuple[float, Floats]:
    """Rule 3: the largest single run [FLOP], and each pod's part in it.

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
    return float(totals.sum()), parts.sum(axis=1)


def _led(hidden: Floats, further: Floats) -> Floats:
    """Each cell's part in a run if in every interval the pod leads that gains most by it [FLOP]."""
    parts = hidden * further
    leader = np.argmax(hidden - parts, axis=0)
    intervals = np.arange(hidden.shape[1])
    parts[leader, intervals] = hidden[leader, intervals]
    return parts


def _what_helps(
    ground: _Ground, chosen: list[_Statement], hidden: Floats, basis: NDArray[np.int64], joins: _Joins
) -> tuple[Help, ...]:
    """Rule 5, for each pod and each basis of its cells; the most helpful first.

    Only the `HELP_MAX` groups that hold most are tried: explaining a group never lowers the run by more than it holds.
    """
    largest, _ = _largest_run(joins, hidden)
    held = [
        (float(hidden[row, basis[row] == number].sum()), row, int(number))
        for row in range(len(ground.pods))
        for number in np.unique(basis[row])
    ]
    groups = sorted(held, key=lambda group: (-group[0], group[1], group[2]))
    durations_h = np.array([interval.duration_s for interval in ground.intervals]) / 3600
    found: list[Help] = []
    for _, row, number in (group for group in groups[:HELP_MAX] if group[0] > 0):
        cells = basis[row] == number
        without = hidden.copy()
        without[row, cells] = 0.0
        run, _ = _largest_run(joins, without)
        found.append(
            Help(
                pod=ground.pods[row],
                basis=chosen[number].id if number >= 0 else NO_EVIDENCE,
                hours=float(durations_h[cells].sum()),
                hidden_flop_max=run,
                falls_by_flop=max(0.0, largest - run),
            )
        )
    found.sort(key=lambda h: (-h.falls_by_flop, h.pod, h.basis))
    return tuple(found)


def _series(ground: _Ground, hidden: Floats) -> tuple[AccountPoint, ...]:
    """Capacity and hidden bound over time, of all pods together, in at most `SERIES_POINTS_MAX` points."""
    count = len(ground.intervals)
    edges = np.unique(np.linspace(0, count, min(count, SERIES_POINTS_MAX) + 1).astype(int))
    capacity, bounded = ground.capacity.sum(axis=0), hidden.sum(axis=0)
    return tuple(
        AccountPoint(
            period=Period(start=ground.intervals[a].start, end=ground.intervals[b - 1].end),
            capacity_flop=float(capacity[a:b].sum()),
            hidden_flop_max=float(bounded[a:b].sum()),
        )
        for a, b in pairwise(edges.tolist())
    )
