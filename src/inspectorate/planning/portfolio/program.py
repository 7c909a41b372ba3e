"""The mixed-integer program of a portfolio, and HiGHS, which solves it.

For clusters i (0 is the fleet and what nobody declared), their options b (`options`), kinds of run q and ways of failing s:

    minimise    sum_ib cost_ib x_ib + sum_m programme_m z_m
    so that     sum_b x_ib = 1                                               one option for each cluster
                sum_ib adds_ibqs x_ib + Z_qs <= limit_q                      the largest hidden run is within the bound,
                Z_qs >= sum_b leads_ibqs x_ib                                whoever leads it
                sum_b (covers_ibgs) x_ib + sum_b (covers_0bgs) x_0b >= 1     every subgoal is seen to at every cluster
                sum_b (m in b) x_ib <= z_m                                   a programme is paid once
                sum_b (b needs f) x_ib <= sum_b (f in b) x_0b                what needs the fleet's mechanism f has it
                cost <= budget                                               where one is given
                x binary, 0 <= z <= 1, Z >= 0

Since Z is pushed down by the bound alone and x is binary, the rows state the model of `model` exactly; nothing is approximated.
Rows of ways of failing, and of clusters that could lead, are added as they are found to be needed (`_Bounded`), which changes
nothing of the optimum. All rows of bounds are divided by the bound, and an option that breaks one by itself is not there, so no
coefficient exceeds 1. The other form minimises the bound: `limit_q` is multiplied by a variable t, and t is minimised.

HiGHS (MIT; the Python package `highspy`, already a dependency) on one thread with a fixed seed: equal questions give equal plans.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from typing import Any

import highspy
import numpy as np

from inspectorate.highs import run_silently
from inspectorate.planning.portfolio.options import (
    Bools,
    Floats,
    Options,
    Scenes,
    needs_of_fleet,
    started,
)
from inspectorate.planning.portfolio.terms import Question

FEASIBILITY = 1e-9
SMALL_FLEET = 60
LEADS_FROM = 0.02
"""A cluster that could lead with less of the bound than this is looked at only once it does."""
LARGE_GAP = 0.005
KEPT_EACH, KEPT_SHARE = 6, 0.001
"""Columns of each cluster that are looked at first in a large fleet, and how much of the whole the others may cost more."""
FEASIBLE_POINT = 2
"""HiGHS: `kSolutionStatusFeasible`."""


class Outcome(StrEnum):
    OPTIMAL = "optimal"
    """Within the gap that was asked for."""
    TIME = "time"
    """The search was cut off; the plan is within the gap that stands beside it."""
    INFEASIBLE = "infeasible"


@dataclass(frozen=True)
class Solution:
    """What the solver found."""

    outcome: Outcome
    rows: tuple[int, ...] = ()
    """The chosen option of the fleet, then of each cluster."""
    value: float = math.nan
    gap: float = 0.0
    dearer: Floats = field(default_factory=lambda: np.empty(0))
    """Of a solution without whole numbers: what each column would cost more at least, in units of the program."""


@dataclass
class _Rows:
    """Rows of a sparse matrix under construction."""

    starts: list[int] = field(default_factory=lambda: [0])
    columns: list[np.ndarray[Any, Any]] = field(default_factory=list)
    values: list[Floats] = field(default_factory=list)
    lower: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)

    def add(self, parts: Sequence[tuple[np.ndarray[Any, Any], Floats]], lower: float, upper: float) -> None:
        size = 0
        for columns, values in parts:
            held = np.flatnonzero(values)
            self.columns.append(columns[held])
            self.values.append(values[held])
            size += len(held)
        self.starts.append(self.starts[-1] + size)
        self.lower.append(lower)
        self.upper.append(upper)

    def program(self, cost: Floats, upper: Floats, whole: int) -> highspy.HighsLp:
        """The program with these rows, of which so many first columns are whole."""
        found = highspy.HighsLp()
        found.num_col_, found.num_row_ = len(cost), len(self.lower)
        found.col_cost_, found.col_lower_, found.col_upper_ = cost, np.zeros(len(cost)), upper
        found.row_lower_, found.row_upper_ = np.array(self.lower), np.array(self.upper)
        found.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        found.a_matrix_.start_ = np.array(self.starts)
        found.a_matrix_.index_ = np.concatenate(self.columns)
        found.a_matrix_.value_ = np.concatenate(self.values)
        if whole:
            kinds = highspy.HighsVarType
            found.integrality_ = [kinds.kInteger] * whole + [kinds.kContinuous] * (len(cost) - whole)
        return found


class Program:
    """The columns of a question, and the rows over them."""

    def __init__(self, question: Question, scenes: Scenes, options: Sequence[Options]) -> None:
        self.question, self.scenes, self.options = question, scenes, options
        sizes = [len(one) for one in options]
        starts = np.concatenate(([0], np.cumsum(sizes)))
        self.columns = [np.arange(a, b) for a, b in pairwise(starts)]
        self.count = int(starts[-1])
        self.costs = np.concatenate([one.cost for one in options])
        self.programmes = self._programmes()
        self.runs = len(scenes.kinds) * len(scenes.failed)
        self.first_programme = self.count
        self.first_lead = self.count + len(self.programmes)
        self.stretch = self.first_lead + self.runs
        """The column of t, where the bound is minimised."""

    def cheapest(self, *, slack: float = 0.0) -> Solution:
        """The least cost within the bounds."""
        scale = self._scale()
        cost = np.zeros(self.stretch)
        cost[: self.count] = self.costs / scale
        cost[self.first_programme : self.first_lead] = np.array(list(self.programmes.values())) / scale
        return self._solved(cost, scale, self.scenes.limits, 1.0 - slack)

    def tightest(self, reference: float) -> Solution:
        """The smallest multiple of the bounds that can be reached (within the budget, if there is one)."""
        cost = np.zeros(self.stretch + 1)
        cost[self.stretch] = 1.0
        return self._solved(cost, reference, self.scenes.limits * reference, None)

    def _solved(self, cost: Floats, scale: float, limits: Floats, room: float | None) -> Solution:
        """A small fleet at once. A large one first without whole numbers, which gives a bound from below and what each column
        would cost more at least; then over the columns that cost least; then, if that is not close enough, over all that could be
        better still.
        """
        rows = _Bounded(self, cost, scale, np.repeat(limits, len(self.scenes.failed)), room)
        if len(self.options) <= SMALL_FLEET:
            return rows.solve(self.gap)
        relaxed = rows.solve(0.0, relaxed=True)
        if relaxed.outcome is not Outcome.OPTIMAL:
            return relaxed
        lower, dearer = relaxed.value, relaxed.dearer
        found = rows.solve(self.gap / 2, open_=dearer <= self._threshold(dearer, lower / scale))
        if not found.rows:
            return rows.solve(self.gap)
        if found.value - lower <= self.gap * found.value:
            return self._proved(found, lower)
        room_left = (found.value - lower) / scale
        again = rows.solve(self.gap, open_=dearer <= room_left * (1 + 1e-9) + 1e-9)
        if again.outcome is Outcome.INFEASIBLE:  # what could be better is not there
            return self._proved(found, found.value)
        if again.rows:
            lower = max(lower, again.value * (1 - again.gap))
        better = again if again.rows and again.value < found.value else found
        return self._proved(better, min(lower, better.value))

    def _proved(self, found: Solution, lower: float) -> Solution:
        """The solution with the gap that a bound from below proves."""
        gap = max(0.0, 1 - lower / found.value) if found.value > 0 else 0.0
        return replace(found, gap=gap, outcome=Outcome.OPTIMAL if gap <= self.gap + 1e-9 else Outcome.TIME)

    def _threshold(self, dearer: Floats, bound: float) -> Floats:
        """Per column: what it may cost more, so that each cluster keeps its best few, and all that are close."""
        found = np.empty(self.count)
        for columns in self.columns:
            few = np.sort(dearer[columns])[:KEPT_EACH][-1]
            found[columns] = max(few, KEPT_SHARE * bound)
        return found

    @property
    def gap(self) -> float:
        if self.question.gap is not None:
            return self.question.gap
        return 0.0 if len(self.options) <= SMALL_FLEET else LARGE_GAP

    def _scale(self) -> float:
        return max(float(self.costs.max(initial=0.0)), *self.programmes.values(), 1.0)

    def _programmes(self) -> dict[str, float]:
        there, case = started(self.question), self.question.case
        used = {name for one in self.options[1:] for name, any_ in _used(one) if any_}
        prices = {name: self.question.catalogue.mechanism(name).cost.at(case)[0] for name in sorted(used - there)}
        return {name: price for name, price in prices.items() if price > 0}

    def common(self) -> _Rows:
        """All rows but those of the bounds."""
        rows, scale = _Rows(), self._scale()
        for columns in self.columns:
            rows.add([(columns, np.ones(len(columns)))], 1.0, 1.0)
        for number, options in enumerate(self.options[1:], start=1):
            self._programme_rows(rows, number, options)
            self._need_rows(rows, number, options)
            self._cover_rows(rows, number, options)
        if self.question.budget is not None:
            parts = [(np.arange(self.count), self.costs / scale)]
            prices = np.array(list(self.programmes.values())) / scale
            parts.append((np.arange(self.first_programme, self.first_lead), prices))
            rows.add(parts, -highspy.kHighsInf, self.question.budget / scale)
        return rows

    def _programme_rows(self, rows: _Rows, number: int, options: Options) -> None:
        for place, name in enumerate(self.programmes):
            if name not in options.mechanisms:
                continue
            held = options.member[:, options.mechanisms.index(name)].astype(float)
            if held.any():
                z = np.array([self.first_programme + place])
                rows.add([(self.columns[number], held), (z, np.array([-1.0]))], -highspy.kHighsInf, 0.0)

    def _need_rows(self, rows: _Rows, number: int, options: Options) -> None:
        fleet = self.options[0]
        mechanisms = [self.question.catalogue.mechanism(name) for name in options.mechanisms]
        needed = [needs_of_fleet(self.question, one) for one in mechanisms]
        for name in sorted(set().union(*needed)):
            asking = np.array([name in needs for needs in needed])
            held = (options.member & asking).any(axis=1).astype(float)
            if not held.any():
                continue
            has = np.zeros(len(fleet))
            if name in fleet.mechanisms:
                has = fleet.member[:, fleet.mechanisms.index(name)].astype(float)
            rows.add([(self.columns[number], held), (self.columns[0], -has)], -highspy.kHighsInf, 0.0)

    def _cover_rows(self, rows: _Rows, number: int, options: Options) -> None:
        fleet = self.options[0].cover
        seen: set[tuple[bytes, bytes]] = set()
        for column in range(options.cover.shape[1]):
            mine, theirs = options.cover[:, column], fleet[:, column]
            key = mine.tobytes(), theirs.tobytes()
            if mine.all() or theirs.all() or key in seen:
                continue
            seen.add(key)
            parts = [(self.columns[number], mine.astype(float)), (self.columns[0], theirs.astype(float))]
            rows.add(parts, 1.0, highspy.kHighsInf)


class _Bounded:
    """A program with the rows of its bounds, which grow as answers break them.

    It begins with the tightest way of failing alone. Whatever way of failing, and whichever cluster that leads, an answer breaks is
    added. The last answer breaks none, and every earlier one was of a program with fewer rows, so that it is the answer to all.
    """

    def __init__(self, program: Program, cost: Floats, scale: float, each: Floats, room: float | None) -> None:
        self.program, self.cost, self.scale, self.each, self.room = program, cost, scale, each, room
        self.rows = program.common()
        self.stated: set[tuple[int, int]] = set()
        self.active: list[int] = []
        self.adds = np.vstack([one.adds for one in program.options])
        self.leads = np.vstack([one.leads for one in program.options])
        self._extend(self._first_runs(), set())

    def solve(self, gap: float, *, open_: Bools | None = None, relaxed: bool = False) -> Solution:
        """With these columns, until nothing is broken."""
        while True:
            values, found = self._run(gap, open_, relaxed)
            if values is None:
                return found
            broken = self._broken(values, found.value / self.scale if self.room is None else self.room)
            if not self._extend(sorted({run for run, _ in broken} - set(self.active)), broken):
                return found

    def _first_runs(self) -> list[int]:
        """Of each kind of run, the way of failing under which least can be reached."""
        starts = [columns[0] for columns in self.program.columns]
        least = np.minimum.reduceat(self.adds, starts, axis=0).sum(axis=0) / self.each
        ways = len(self.program.scenes.failed)
        return [
            ways * n + int(least[ways * n : ways * (n + 1)].argmax()) for n in range(len(self.program.scenes.kinds))
        ]

    def _extend(self, runs: Sequence[int], broken: set[tuple[int, int]]) -> bool:
        """Add rows; whether there were any to add."""
        for run in runs:
            stretched = [] if self.room is not None else [(np.array([self.program.stretch]), np.array([-1.0]))]
            z = (np.array([self.program.first_lead + run]), np.array([1.0]))
            every = np.arange(self.program.count)
            self.rows.add(
                [(every, self.adds[:, run] / self.each[run]), z, *stretched], -highspy.kHighsInf, self.room or 0.0
            )
        wanted = broken | {
            (run, number)
            for run in runs
            for number, columns in enumerate(self.program.columns)
            if self.leads[columns, run].max() > LEADS_FROM * self.each[run]
        }
        new = sorted(wanted - self.stated)
        for run, number in new:
            columns = self.program.columns[number]
            z = (np.array([self.program.first_lead + run]), np.array([-1.0]))
            self.rows.add([(columns, self.leads[columns, run] / self.each[run]), z], -highspy.kHighsInf, 0.0)
        self.stated |= set(new)
        self.active += runs
        return bool(runs or new)

    def _broken(self, values: Floats, times: float) -> set[tuple[int, int]]:
        """(run, cluster that leads it) where an answer exceeds what is allowed."""
        starts = [columns[0] for columns in self.program.columns]
        adds = values @ self.adds
        leads = np.add.reduceat(self.leads * values[:, None], starts, axis=0)
        over = np.flatnonzero(adds + leads.max(axis=0) > self.each * (times + 10 * FEASIBILITY))
        return {(int(run), int(leads[:, run].argmax())) for run in over}

    def _run(self, gap: float, open_: Bools | None, relaxed: bool) -> tuple[Floats | None, Solution]:
        count, size = self.program.count, len(self.cost)
        upper = np.ones(size)
        upper[self.program.first_lead :] = highspy.kHighsInf
        if open_ is not None:
            upper[:count][~open_] = 0.0
        solver = highspy.Highs()
        solver.silent()
        for name, value in (
            ("threads", 1), ("random_seed", 0), ("mip_rel_gap", gap), ("mip_abs_gap", 1e-10),
            ("primal_feasibility_tolerance", FEASIBILITY), ("mip_feasibility_tolerance", FEASIBILITY),
            ("time_limit", self.program.question.time_limit_s),
        ):  # fmt: skip
            solver.setOptionValue(name, value)
        solver.passModel(self.rows.program(self.cost, upper, 0 if relaxed else count))
        run_silently(solver)
        return self._read(solver, relaxed)

    def _read(self, solver: highspy.Highs, relaxed: bool) -> tuple[Floats | None, Solution]:
        status = solver.getModelStatus()
        if status == highspy.HighsModelStatus.kInfeasible:
            return None, Solution(Outcome.INFEASIBLE)
        done = {highspy.HighsModelStatus.kOptimal: Outcome.OPTIMAL, highspy.HighsModelStatus.kTimeLimit: Outcome.TIME}
        if status not in done:
            raise AssertionError(f"a bounded program of binaries ended as {status}")
        solution, info = solver.getSolution(), solver.getInfo()
        if info.primal_solution_status != FEASIBLE_POINT:
            return None, Solution(Outcome.TIME)
        count = self.program.count
        values = np.array(solution.col_value)[:count]
        value = float(solver.getObjectiveValue()) * self.scale
        if relaxed:
            return values, Solution(done[status], (), value, 0.0, np.array(solution.col_dual)[:count])
        rows = tuple(int(np.argmax(values[columns])) for columns in self.program.columns)
        whole = np.zeros(count)
        whole[[columns[row] for columns, row in zip(self.program.columns, rows, strict=True)]] = 1.0
        return whole, Solution(done[status], rows, value, float(info.mip_gap))


def _used(options: Options) -> list[tuple[str, bool]]:
    used = np.any(options.member, axis=0)
    return [(name, bool(any_)) for name, any_ in zip(options.mechanisms, used, strict=True)]
