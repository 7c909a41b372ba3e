"""The two ways in which a set of mechanisms may count (`model`, 5), as rows of options."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
OPEN_MAX = 5
"""Runs in which one set may count in either way, of which all choices are looked at."""


def ways_to_count(full: Floats, joins: Floats, leads: Floats) -> tuple[NDArray[np.intp], Floats, Floats]:
    """For sets, of which each could count in two ways in each run: the set of each row, what it adds, and what more if it leads.

    All arrays have the shape (sets, runs). Where one way is never worse, it is taken. What is left open is chosen run by run, up
    to `OPEN_MAX` runs; beyond that, in one way for all runs that look alike, and if these are too many, in one way for all: still
    a bound for every run, though perhaps not the smallest.
    """
    as_full = joins >= full
    open_ = ~as_full & (joins + leads > full)
    sets: list[NDArray[np.intp]] = []
    ways: list[Bools] = []
    groups_of: dict[bytes, Bools] = {}
    for row in range(len(full)):
        runs = np.flatnonzero(open_[row])
        key = np.concatenate((runs, full[row, runs], joins[row, runs])).tobytes()
        if key not in groups_of:
            groups_of[key] = _choices(runs, np.column_stack((full[row, runs], joins[row, runs])), full.shape[1])
        sets.append(np.full(len(groups_of[key]), row, dtype=np.intp))
        ways.append(groups_of[key])
    if not sets:
        return np.empty(0, dtype=np.intp), full, leads
    rows = np.concatenate(sets)
    in_full = as_full[rows] | np.vstack(ways)
    return rows, np.where(in_full, full[rows], joins[rows]), np.where(in_full, 0.0, leads[rows])


def _choices(runs: NDArray[np.intp], figures: Floats, count: int) -> Bools:
    """Every choice of runs in which to count in full, shape (choices, all runs)."""
    group = np.arange(len(runs))
    if len(runs) > OPEN_MAX:
        group = np.unique(figures, axis=0, return_inverse=True)[1].reshape(-1)
    size = int(group.max(initial=-1)) + 1
    if size > OPEN_MAX:
        group, size = np.zeros(len(runs), dtype=np.intp), 1
    found = np.zeros((1 << size, count), dtype=bool)
    found[:, runs] = (np.arange(1 << size)[:, None] >> group[None, :]) & 1
    return found
