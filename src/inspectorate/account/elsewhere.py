"""What may be elsewhere: capacity of declared chips that are not where they were declared (rule 4).

Each chosen `Outside` says of one set of pods: at most this share of their capacity is elsewhere. What all of them leave is the
largest sum over cells that breaks none, a small linear program in each interval:

    max sum_c x_c    with    0 <= x_c <= K_c,    sum over P of x_c <= s K(P)   for each statement about a set P.

A further statement is a further row, so more evidence never raises it. Pods that lie in the same sets are one variable, and
intervals in which the same statements hold are solved once per unit of time. Where one set holds all others out, the sum is written
down instead. Cells of which nothing speaks are not asked about: what is elsewhere is then said to be not checked, by the review.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import highspy
import numpy as np
from numpy.typing import NDArray

from inspectorate.account.ground import Floats, Ground, Statement
from inspectorate.highs import run_silently

_SLACK: Final = 1e-9
"""Relative tolerance of the solver, added to its answer: the bound stays one."""


def elsewhere(chosen: Sequence[Statement], ground: Ground) -> Floats:
    """At most so much of each interval's capacity is elsewhere [FLOP], shape (intervals,)."""
    found = np.zeros(len(ground.intervals))
    if not ground.asked.any():
        return found
    said = [(frozenset(rows), span, one.share_max) for s in chosen for rows, span, one in s.outside if rows]
    solved: dict[tuple[tuple[frozenset[int], float], ...], float] = {}
    durations = np.array([interval.duration_s for interval in ground.intervals])
    rates = ground.capacity[:, 0] / durations[0]
    asked = frozenset(np.flatnonzero(ground.asked[:, 0]).tolist())
    for interval, duration_s in enumerate(durations):
        shares: dict[frozenset[int], float] = {}
        for rows, span, share in said:
            if span.start <= interval < span.stop and share < 1:
                shares[rows] = min(share, shares.get(rows, 1.0))
        key = tuple(sorted(shares.items(), key=lambda item: (sorted(item[0]), item[1])))
        if key not in solved:
            solved[key] = _largest_sum(shares, rates, asked)
        found[interval] = solved[key] * duration_s
    return found


def _largest_sum(shares: Mapping[frozenset[int], float], rates: Floats, asked: frozenset[int]) -> float:
    """The program of one interval [FLOP/s]."""
    if len(shares) < 2:
        (held, share) = next(iter(shares.items()), (frozenset[int](), 1.0))
        return share * float(rates[sorted(held)].sum()) + float(rates[sorted(asked - held)].sum())
    sets = list(shares)
    alike: dict[tuple[bool, ...], float] = {}
    for pod in sorted(asked):
        membership = tuple(pod in one for one in sets)
        alike[membership] = alike.get(membership, 0.0) + float(rates[pod])
    limits = np.array([shares[one] * float(rates[sorted(one)].sum()) for one in sets])
    members = np.array(list(alike), dtype=np.float64)
    return _solve(np.array(list(alike.values())), members, limits)


def _solve(upper: Floats, members: NDArray[np.float64], limits: Floats) -> float:
    """max sum x with 0 <= x <= upper and members' x <= limits, in units of the largest `upper`: solvers want small numbers."""
    unit = float(upper.max()) or 1.0
    count, rows = members.shape
    program = highspy.HighsLp()
    program.num_col_, program.num_row_ = count, rows
    program.col_cost_ = -np.ones(count)
    program.col_lower_, program.col_upper_ = np.zeros(count), upper / unit
    program.row_lower_, program.row_upper_ = np.full(rows, -highspy.kHighsInf), limits / unit
    program.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    program.a_matrix_.start_ = np.concatenate(([0], np.cumsum(members.sum(axis=0)))).astype(np.int32)
    program.a_matrix_.index_ = np.nonzero(members.T)[1].astype(np.int32)
    program.a_matrix_.value_ = np.ones(int(members.sum()))
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.passModel(program)
    run_silently(solver)
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return float(upper.sum())
    return min(float(upper.sum()), float(-solver.getInfo().objective_function_value) * unit * (1 + _SLACK))
