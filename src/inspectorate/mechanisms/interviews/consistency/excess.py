"""The least total excess: how far a group's answers, taken together, go beyond what is asked of memory.

At a level q, a soft row costs what it is broken by beyond q standard errors (`rows`); hard rows may not be broken. The least
total cost over all values of the topics is the excess of a set of rows. It is what remains if every doubt is resolved for the
group.

- A topic by itself is a convex, piecewise linear function of one number: least where its slope changes sign. A yes or no is tried
  at both of its values.
- The same without one person, whichever it is: a single gross slip, however large, then costs nothing.
- Topics that rows join are a linear program, solved by HiGHS (Huangfu and Hall, Mathematical Programming Computation 10, 2018;
  the Python package `highspy`: a few megabytes, and solves small programs without the overhead of a modelling layer). A yes or no
  may lie between 0 and 1 there, which can only make the excess smaller.
- `strongest` asks for the smallest level at which all rows hold: the conflict that memory explains least.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import highspy
import numpy as np

from inspectorate.highs import run_silently
from inspectorate.mechanisms.interviews.consistency.memory import Floats
from inspectorate.mechanisms.interviews.consistency.rows import LEVELS, Row, natural_bounds
from inspectorate.mechanisms.interviews.consistency.types import YES_NO, Topic

FEASIBLE = 1e-6
"""Rows that are broken by less than this, in scales, hold: the solver's own tolerance is 1e-7."""


def least_alone(topic: Topic, rows: Sequence[Row]) -> Floats:
    """The excess of rows of one topic at each level. Infinite if its hard rows exclude one another."""
    return _least(topic, _within(topic, rows), _stack(rows))


def least_without_one(topic: Topic, rows: Sequence[Row]) -> Floats:
    """The excess of rows of one topic at each level, without all rows of whichever person it is least without."""
    within, stack = _within(topic, rows), _stack(rows)
    by = np.array([row.statement.entry for row in rows if not row.hard and row.statement is not None])
    left = [_least(topic, within, stack[by != entry]) for entry in np.unique(by)]
    return np.min(left, axis=0) if left else np.zeros(len(LEVELS))


def _stack(rows: Sequence[Row]) -> Floats:
    """Ends and scales of soft rows, shape (rows, levels, 4)."""
    found = [[(end.low, end.low_scale, end.high, end.high_scale) for end in row.levels] for row in rows if not row.hard]
    return np.array(found).reshape(len(found), len(LEVELS), 4)


def _within(topic: Topic, rows: Sequence[Row]) -> tuple[float, ...]:
    """What the topic may be: two ends, the values that a yes or no may have, or nothing."""
    low, high = hard_bounds(topic, rows)
    if topic.kind in YES_NO:
        return tuple(value for value in (0.0, 1.0) if low <= value <= high)
    return (low, high) if low <= high else ()


def _least(topic: Topic, within: tuple[float, ...], stack: Floats) -> Floats:
    if not within:
        return np.full(len(LEVELS), math.inf)
    if not stack.size:
        return np.zeros(len(LEVELS))
    result = np.empty(len(LEVELS))
    for place in range(len(LEVELS)):
        lows, highs = stack[:, place, :2], stack[:, place, 2:]
        if topic.kind in YES_NO:
            result[place] = min(_cost(value, lows, highs) for value in within)
        else:
            result[place] = _cost(_best(lows, highs, (within[0], within[1])), lows, highs)
    return result


def hard_bounds(topic: Topic, rows: Sequence[Row]) -> tuple[float, float]:
    """Between what hard rows of one term leave the topic."""
    low, high = natural_bounds(topic)
    for row in rows:
        if row.hard and len(row.terms) == 1:
            factor = row.terms[0][1]
            ends = sorted((row.low / factor, row.high / factor)) if factor else (low, high)
            low, high = max(low, ends[0]), min(high, ends[1])
    return low, high


def _cost(value: float, lows: Floats, highs: Floats) -> float:
    """What a value costs: ends and scales in the columns of `lows` and `highs`."""
    below = np.maximum(lows[:, 0] - value, 0.0) / lows[:, 1]
    above = np.maximum(value - highs[:, 0], 0.0) / highs[:, 1]
    return float(np.sum(below) + np.sum(above))


def _best(lows: Floats, highs: Floats, within: tuple[float, float]) -> float:
    """(1) Sort the places where the slope changes; (2) go to where it changes sign; (3) into the bounds."""
    places = np.concatenate((lows[:, 0], highs[:, 0]))
    steps = 1 / np.concatenate((lows[:, 1], highs[:, 1]))
    order = np.argsort(places, kind="stable")
    start = float(np.sum(1 / lows[:, 1]))
    slopes = np.cumsum(steps[order]) - start
    at = int(np.argmax(slopes >= -1e-12 * start))
    return float(np.clip(places[order][at], *within))


@dataclass(frozen=True, kw_only=True)
class Solved:
    """A solved program: its value, and by how much each row (in the order given) takes part in it."""

    value: float
    taking_part: tuple[bool, ...]


class Program:
    """The linear program of rows over the topics that they name. Infeasible hard rows give an infinite value."""

    def __init__(self, topics: Sequence[Topic], rows: Sequence[Row]) -> None:
        self._rows = tuple(rows)
        self._names = sorted({number for row in rows for number, _ in row.terms})
        self._place = {number: place for place, number in enumerate(self._names)}
        self._shift, self._stretch = self._units()
        bounds = [natural_bounds(topics[number]) for number in self._names]
        self._lower = (np.array([b[0] for b in bounds]) - self._shift) / self._stretch
        self._upper = (np.array([b[1] for b in bounds]) - self._shift) / self._stretch

    def excess(self, level: float) -> Solved:
        """The least total cost at a level: a slack per soft row."""
        return self._solve(level, common=False)

    def strongest(self) -> Solved:
        """The smallest cost that, granted to every soft row at level 0, lets all rows hold: about its standard errors."""
        return self._solve(0.0, common=True)

    def holds(self, granted: float) -> bool:
        """Whether all rows can hold if every soft row is granted so much."""
        return self.strongest().value <= granted + FEASIBLE

    def _units(self) -> tuple[Floats, Floats]:
        """A middle and a unit of each topic, so that the program has numbers of order one."""
        middle, unit = np.zeros(len(self._names)), np.ones(len(self._names))
        for place, number in enumerate(self._names):
            about = [row for row in self._rows if len(row.terms) == 1 and row.terms[0][0] == number]
            ends = [end for row in about for end in (row.low, row.high) if math.isfinite(end)]
            soft = [row for row in self._rows if not row.hard and any(n == number for n, _ in row.terms)]
            scales = [row.levels[0].high_scale for row in soft]
            middle[place] = float(np.median(ends)) if ends else 0.0
            unit[place] = float(np.median(scales)) if scales else max(1.0, abs(middle[place]))
        return middle, unit

    def _solve(self, level: float, *, common: bool) -> Solved:
        soft = [number for number, row in enumerate(self._rows) if not row.hard]
        slack = dict.fromkeys(soft, 0) if common else {number: place for place, number in enumerate(soft)}
        variables, slacks = len(self._names), 1 if common else len(soft)
        starts, columns, values, lows, highs = [0], [], [], [], []
        rows_of: list[int] = []
        for number, row in enumerate(self._rows):
            for terms, low, high, sign in self._parts(row, level):
                columns += [place for place, _ in terms]
                values += [value for _, value in terms]
                if sign:
                    columns.append(variables + slack[number])
                    values.append(sign)
                starts.append(len(columns))
                lows.append(low)
                highs.append(high)
                rows_of.append(number)
        found = _run(
            cost=np.concatenate((np.zeros(variables), np.ones(slacks))),
            bounds=(
                np.concatenate((self._lower, np.zeros(slacks))),
                np.concatenate((self._upper, np.full(slacks, np.inf))),
            ),
            matrix=(np.array(starts), np.array(columns), np.array(values)),
            rows=(np.array(lows), np.array(highs)),
        )
        if found is None:
            return Solved(value=math.inf, taking_part=(True,) * len(self._rows))
        value, duals = found
        part = [False] * len(self._rows)
        for number, dual in zip(rows_of, duals, strict=True):
            part[number] = part[number] or abs(dual) > 1e-9
        return Solved(value=value, taking_part=tuple(part))

    def _parts(self, row: Row, level: float) -> list[tuple[list[tuple[int, float]], float, float, float]]:
        """A row in the program's units: terms, ends, and the sign of its slack. A soft row has a part for either end."""
        places = [(self._place[number], factor) for number, factor in row.terms]
        middle = sum(factor * self._shift[place] for place, factor in places)

        def terms(size: float) -> list[tuple[int, float]]:
            return [(place, factor * self._stretch[place] / size) for place, factor in places]

        if row.hard:
            size = max(abs(factor) * self._stretch[place] for place, factor in places) or 1.0
            return [(terms(size), (row.low - middle) / size, (row.high - middle) / size, 0.0)]
        ends = row.at(level)
        found = []
        if math.isfinite(ends.low):
            found.append((terms(ends.low_scale), (ends.low - middle) / ends.low_scale, math.inf, 1.0))
        if math.isfinite(ends.high):
            found.append((terms(ends.high_scale), -math.inf, (ends.high - middle) / ends.high_scale, -1.0))
        return found


def _run(
    *,
    cost: Floats,
    bounds: tuple[Floats, Floats],
    matrix: tuple[np.ndarray, np.ndarray, Floats],
    rows: tuple[Floats, Floats],
) -> tuple[float, Floats] | None:
    """Value and duals of the rows of a program; none if its rows exclude one another."""
    program = highspy.HighsLp()
    program.num_col_, program.num_row_ = cost.size, rows[0].size
    program.col_cost_, program.col_lower_, program.col_upper_ = cost, bounds[0], bounds[1]
    program.row_lower_, program.row_upper_ = rows
    program.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    program.a_matrix_.start_, program.a_matrix_.index_, program.a_matrix_.value_ = matrix
    solver = highspy.Highs()
    solver.silent()
    solver.setOptionValue("threads", 1)
    solver.passModel(program)
    run_silently(solver)
    status = solver.getModelStatus()
    if status == highspy.HighsModelStatus.kInfeasible:
        return None
    if status != highspy.HighsModelStatus.kOptimal:
        raise AssertionError(f"a program that is bounded below by 0 ended as {status}")
    duals = np.array(solver.getSolution().row_dual)
    return float(solver.getObjectiveValue()), duals
