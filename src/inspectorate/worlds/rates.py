"""Error rates: many worlds, one review each, counted against the truth.

- The review comes in as an argument; nothing here knows how it works. It may raise `EvidenceError`: a refusal.
- A rate comes with its Clopper-Pearson interval at 95 %. Honest worlds are judged by `within_allowance`: whether the alarms
  seen are still credible at the agreed rate.
- Naming is judged by pods: right if at least one pod is named and every one of them is guilty.
- Time to alarm is how much of the period after the breach began must be seen, in steps of `STEP_S`, found by bisection
  over worlds of the same traffic that end early. An alarm that came and went within a step, or went again before the
  end, is not seen.

Not done here: rates for real sites. They hold for the worlds of the catalogue.
"""

from __future__ import annotations

import multiprocessing
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from inspectorate.assessment import Verdict
from inspectorate.errors import EvidenceError
from inspectorate.evidence import Problem
from inspectorate.findings import Finding
from inspectorate.statistics import clopper_pearson_lower, clopper_pearson_upper
from inspectorate.worlds.build import World, build_world
from inspectorate.worlds.catalogue import CATALOGUE, WorldKind
from inspectorate.worlds.custody_catalogue import KEPT
from inspectorate.worlds.guard_catalogue import GUARDED
from inspectorate.worlds.heard_catalogue import HEARD
from inspectorate.worlds.inspection_catalogue import INSPECTED

STEP_S = 60
INTERVAL_MISS = 0.05
"""Two-sided intervals at 95 %."""
SIGNIFICANCE = 0.01
"""Alarms on honest worlds are too many if this many or more had less than this probability at the agreed rate."""

_BLIND = frozenset({Verdict.NOT_OBSERVED, Verdict.INVALID_EVIDENCE})


class Reviewed(Protocol):
    """What is counted of a review."""

    @property
    def findings(self) -> tuple[Finding, ...]: ...

    @property
    def problems(self) -> tuple[Problem, ...]: ...


ReviewWorld = Callable[[World], Reviewed]
Task = tuple[str, int]
"""The name of a world and a seed."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one review said of one world, beside the truth."""

    world: str
    seed: int
    refused: bool
    clauses: tuple[str, ...]
    """Ids of the clauses that were found inconsistent."""
    named: tuple[str, ...]
    """Pods that were named."""
    guilty: tuple[str, ...]
    unobserved: bool
    """Whether anything was not observed or invalid."""
    noticed: bool
    """Whether a broken sensor was noticed: the bundle refused, a problem named, or its pod not credited."""
    alarm_after_s: float | None = None

    @property
    def alarm(self) -> bool:
        return bool(self.clauses)

    @property
    def named_right(self) -> bool:
        return bool(self.named) and set(self.named) <= set(self.guilty)

    @property
    def named_innocent(self) -> bool:
        return not set(self.named) <= set(self.guilty)


@dataclass(frozen=True, kw_only=True)
class Row:
    """Counts over the worlds of one name, or of several pooled under a label."""

    label: str
    kind: WorldKind
    worlds: int
    alarms: int
    alarm_rate: tuple[float, float]
    """Clopper-Pearson interval."""
    by_clause: dict[str, int]
    named_right: int
    named_innocent: int
    unobserved: int
    noticed: int
    refused: int
    alarm_after_s: float | None
    """Median over the worlds for which it was measured."""


def measure(
    names: Sequence[str], seeds: Iterable[int], review: ReviewWorld, *, timed: int = 0, jobs: int = 1
) -> tuple[Row, ...]:
    """Every named world at every seed: one row per name. See `run` for the options."""
    seeds = list(seeds)
    return tabulate(run([(name, seed) for name in names for seed in seeds], review, timed=timed, jobs=jobs))


def spread(names: Sequence[str], count: int) -> list[Task]:
    """`count` worlds dealt over the names in turn, each with a seed of its own."""
    return [(names[number % len(names)], number) for number in range(count)]


def run(tasks: Sequence[Task], review: ReviewWorld, *, timed: int = 0, jobs: int = 1) -> Iterator[Outcome]:
    """Build and review worlds, in order. With several `jobs`, `review` must be importable by name in another process.

    Time to alarm is measured for cheating worlds of seeds below `timed`.
    """
    judge = partial(_judge, review=review, timed=timed)
    if jobs <= 1:
        yield from map(judge, tasks)
        return
    # Spawned, not forked: the caller may run threads, such as a progress bar.
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(judge, tasks, chunksize=8)


def _judge(task: Task, *, review: ReviewWorld, timed: int) -> Outcome:
    name, seed = task
    world = build_world(name, seed)
    outcome = judge_world(world, review)
    if outcome.alarm and world.truth.breaches and seed < timed:
        return Outcome(**{**vars(outcome), "alarm_after_s": _time_to_alarm(world, review)})
    return outcome


def judge_world(world: World, review: ReviewWorld) -> Outcome:
    """Review one world and compare with its truth."""
    try:
        reviewed = review(world)
    except EvidenceError:
        return Outcome(
            world=world.spec.name, seed=world.seed, refused=True, clauses=(), named=(), guilty=world.truth.guilty,
            unobserved=True, noticed=True,
        )  # fmt: skip
    alarms = [finding for finding in reviewed.findings if finding.verdict is Verdict.INCONSISTENT]
    blind = [a for finding in reviewed.findings for a in finding.assessments if a.verdict in _BLIND]
    broken = {(pod,) for pod in world.truth.broken_pods}
    return Outcome(
        world=world.spec.name,
        seed=world.seed,
        refused=False,
        clauses=tuple(finding.clause for finding in alarms),
        named=tuple(sorted({pod for finding in alarms for scope in finding.named for pod in scope.pods})),
        guilty=world.truth.guilty,
        unobserved=bool(blind),
        noticed=bool(reviewed.problems) or any(a.scope.pods in broken for a in blind),
    )


def _time_to_alarm(world: World, review: ReviewWorld) -> float:
    """Seconds after the breach began until enough was seen; the whole period is known to be enough."""
    began_s = (world.truth.breaches[0].period.start - world.site.start).total_seconds()
    low, high = int(began_s // STEP_S), -(-world.site.duration_s // STEP_S)
    while high - low > 1:
        middle = (low + high) // 2
        shorter = build_world(world.spec, world.seed, agreement=world.agreement, observed_s=middle * STEP_S)
        if judge_world(shorter, review).alarm:
            high = middle
        else:
            low = middle
    return min(high * STEP_S, world.site.duration_s) - began_s


def tabulate(outcomes: Iterable[Outcome]) -> tuple[Row, ...]:
    """One row per name, in order of first appearance."""
    grouped: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        grouped[outcome.world].append(outcome)
    return tuple(pool(members, name) for name, members in grouped.items())


def pool(outcomes: Sequence[Outcome], label: str) -> Row:
    """One row over all outcomes. Raises `ValueError` if there are none."""
    if not outcomes:
        raise ValueError("there is nothing to count")
    count, alarms = len(outcomes), sum(outcome.alarm for outcome in outcomes)
    by_clause: dict[str, int] = defaultdict(int)
    for outcome in outcomes:
        for clause in outcome.clauses:
            by_clause[clause] += 1
    waited = [outcome.alarm_after_s for outcome in outcomes if outcome.alarm_after_s is not None]
    half = INTERVAL_MISS / 2
    return Row(
        label=label,
        kind={**CATALOGUE, **GUARDED, **INSPECTED, **HEARD, **KEPT}[outcomes[0].world].kind,
        worlds=count,
        alarms=alarms,
        alarm_rate=(clopper_pearson_lower(alarms, count, half), clopper_pearson_upper(alarms, count, half)),
        by_clause=dict(by_clause),
        named_right=sum(outcome.named_right for outcome in outcomes),
        named_innocent=sum(outcome.named_innocent for outcome in outcomes),
        unobserved=sum(outcome.unobserved for outcome in outcomes),
        noticed=sum(outcome.noticed for outcome in outcomes),
        refused=sum(outcome.refused for outcome in outcomes),
        alarm_after_s=statistics.median(waited) if waited else None,
    )


def within_allowance(row: Row, false_accusation_rate: float) -> bool:
    """Whether as many false alarms are still credible at the agreed rate (one-sided binomial test at `SIGNIFICANCE`)."""
    return clopper_pearson_lower(row.alarms, row.worlds, SIGNIFICANCE) <= false_accusation_rate
