"""What is held out. Never random windows: two windows of one run are nearly copies, and a detector that has seen one knows
the other.

- A split cuts by *groups*: the value of one property of the runs. All runs of one job are on one side, whatever the property:
  groups that share a job are joined first.
- Folds of jobs spread each workload over as many folds as it has jobs, so that what is held out was enrolled.
- `leak_windows` cuts by windows. It exists to show how much that flatters, under this name, and nothing is ever tuned or reported
  as a result on it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from inspectorate.errors import InputError
from inspectorate.mechanisms.workloads.evaluate.prepare import Prepared
from inspectorate.mechanisms.workloads.evaluate.runs import Run

BY: Mapping[str, Callable[[Run], str]] = MappingProxyType(
    {
        "run": lambda run: run.job,
        "workload": lambda run: run.workload,
        "family": lambda run: run.family,
        "kind": lambda run: run.kind,
        "hardware": lambda run: run.hardware,
        "submitter": lambda run: run.submitter,
        "session": lambda run: run.session,
        "disguise": lambda run: run.disguise,
    }
)
"""Name of a split -> what one group of it has in common."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Fold:
    """One cut: what is held out, and places of runs on both sides."""

    held_out: str
    train: tuple[int, ...]
    test: tuple[int, ...]


def leave_out(runs: Sequence[Run], by: str) -> tuple[Fold, ...]:
    """One fold for each group. Raises `InputError` where there are not two groups."""
    if by not in BY:
        raise InputError(f"no split is called {by!r}", remedy=f"choose of {', '.join(BY)}")
    groups = joined([BY[by](run) for run in runs], [run.job for run in runs])
    if by == "disguise":
        groups = {name: places for name, places in groups.items() if name}
    names = sorted(groups)
    if len(names) < (1 if by == "disguise" else 2):
        raise InputError(f"there is nothing to leave out by {by}", remedy="choose another split, or more data")
    everything = set(range(len(runs)))
    return tuple(
        Fold(held_out=name, train=tuple(sorted(everything - set(groups[name]))), test=tuple(groups[name]))
        for name in names
    )


def joined(groups: Sequence[str], jobs: Sequence[str]) -> dict[str, list[int]]:
    """Places by group, where groups that share a job have become one, called by the first name of them."""
    parent: dict[str, str] = {group: group for group in groups}

    def root(group: str) -> str:
        while parent[group] != group:
            parent[group] = parent[parent[group]]
            group = parent[group]
        return group

    first_of: dict[str, str] = {}
    for group, job in zip(groups, jobs, strict=True):
        one, other = root(group), root(first_of.setdefault(job, group))
        parent[max(one, other)] = min(one, other)
    found: dict[str, list[int]] = defaultdict(list)
    for place, group in enumerate(groups):
        found[root(group)].append(place)
    return dict(found)


def folds_of_jobs(runs: Sequence[Run], most: int) -> tuple[int, ...]:
    """The fold of each run: jobs of each workload dealt out in turn, beginning where the workload before stopped.

    Dealing on, rather than from the first fold again, keeps few workloads of two jobs in the same pair of folds. Raises
    `InputError` where there is only one job.
    """
    jobs_of: dict[str, list[str]] = defaultdict(list)
    for run in runs:
        if run.job not in jobs_of[run.workload]:
            jobs_of[run.workload].append(run.job)
    jobs = {job for found in jobs_of.values() for job in found}
    count = min(most, len(jobs))
    if count < 2:
        raise InputError("one run alone cannot be held out from the others", remedy="give more runs")
    fold_of: dict[str, int] = {}
    turn = 0
    for workload in sorted(jobs_of):
        for job in sorted(jobs_of[workload]):
            if job not in fold_of:
                fold_of[job] = turn % count
                turn += 1
    return tuple(fold_of[run.job] for run in runs)


def folds_of_groups(runs: Sequence[Run], by: str) -> tuple[int, ...]:
    """The fold of each run where every group is a fold. Raises `InputError` where there are not two groups."""
    fold_of: dict[int, int] = {}
    for name, fold in enumerate(leave_out(runs, by)):
        fold_of |= dict.fromkeys(fold.test, name)
    return tuple(fold_of[place] for place in range(len(runs)))


def leak_windows(
    prepared: Sequence[Prepared], *, random: np.random.Generator, share: float = 0.5
) -> tuple[list[Prepared], list[Prepared]]:
    """Windows of every run dealt at random to both sides: a warning, and no evaluation."""
    sides: tuple[list[Prepared], list[Prepared]] = ([], [])
    for one in prepared:
        heads: NDArray[np.bool_] = random.random(len(one)) < share
        for side, chosen in zip(sides, (heads, ~heads), strict=True):
            if chosen.any():
                side.append(one.take(np.flatnonzero(chosen)))
    return sides
