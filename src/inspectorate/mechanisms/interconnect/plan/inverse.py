"""The inverse questions: what is left for an adversary under a limit, and which limit leaves so little.

- `time_to`: the shortest time to a run worth so many FLOP, over all sizes of model and all methods.
- `largest_limit`: the largest rate at which a target still holds. Since a tighter limit never helps the adversary (see
  `kernel`), the target holds below it and fails above, and bisection finds it.
- Where a target fails at `RATE_MIN` as well, no limit achieves it: the run that breaks it does not need the links.

A *joint* run is one that needs more than one pod. What one pod does alone no limit touches; it is reported beside.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
from pydantic import Field

from inspectorate.canonical import Record, Text
from inspectorate.mechanisms.interconnect.plan.search import Scenes
from inspectorate.mechanisms.interconnect.plan.sizes import jobs_for
from inspectorate.mechanisms.interconnect.plan.types import Case, Job, LinkLimit, Pods
from inspectorate.quantities import Positive

RATE_MIN, RATE_MAX = 1e-3, 1e15
"""Bytes per second between which limits are looked for."""
PRECISION = 1e-4
"""Relative precision of a limit that is looked for."""
DAY_S = 86_400.0
MONTH_S = 30 * DAY_S
YEAR_S = 365.25 * DAY_S
MILESTONES_FLOP = (1e22, 1e23, 1e24, 1e25, 1e26)


class Kind(StrEnum):
    """Which runs are asked about."""

    JOINT = "joint"
    """Pre-training over more than one pod."""
    PRE_TRAINING = "pre-training"
    """Joint, or in one pod alone."""
    POST_TRAINING = "post-training"
    """The same, and reinforcement learning or distillation whose tokens are made in other pods."""


class Best(Record):
    """The best that an adversary reaches at one job."""

    method: Text
    flop_per_s: float = Field(ge=0)


class Target(Record):
    """What a limit is to achieve: exactly one of a slowdown, and a run that takes longer than a period."""

    kind: Kind = Kind.JOINT
    slowdown_min: Positive | None = None
    flop: Positive | None = Field(default=None, description="a run worth this takes longer than period_s")
    period_s: Positive = YEAR_S


@dataclass(frozen=True)
class Sizes:
    """Equal pods and one case, at every size of model for a run of `flop`; or at one given job."""

    pods: Pods
    case: Case
    jobs: tuple[Job, ...]

    @classmethod
    def of_run(cls, pods: Pods, case: Case, flop: float) -> Sizes:
        return cls(pods, case, jobs_for(flop))

    @cached_property
    def scenes(self) -> tuple[Scenes, ...]:
        return tuple(Scenes(self.pods, job, self.case) for job in self.jobs)

    @cached_property
    def _masks(self) -> dict[Kind, np.ndarray]:
        methods = self.scenes[0].methods
        before = np.array([m.counts_as == "pre-training" for m in methods])
        alone = np.array([m.id == "alone" for m in methods])
        return {
            Kind.JOINT: before & ~alone,
            Kind.PRE_TRAINING: before,
            Kind.POST_TRAINING: np.ones(len(methods), dtype=bool),
        }

    def best(self, limit: LinkLimit, kind: Kind) -> Best:
        """The most worth per second over sizes and methods of a kind; a rate of 0 where none works."""
        mask, top, name = self._masks[kind], 0.0, "none"
        for scenes in self.scenes:
            worths = np.where(mask, scenes.worths(limit), 0.0)
            place = int(worths.argmax())
            if worths[place] > top:
                top, name = float(worths[place]), scenes.methods[place].id
        return Best(method=name, flop_per_s=top)


def time_to(flop: float, pods: Pods, limit: LinkLimit, case: Case, kind: Kind) -> tuple[float, str]:
    """Seconds to a run worth `flop`, and the method; infinite where none works."""
    best = Sizes.of_run(pods, case, flop).best(limit, kind)
    return (flop / best.flop_per_s if best.flop_per_s > 0 else math.inf), best.method


class Limit(Record):
    """The largest limit that achieves a target for one case; no number where none does."""

    case: Case
    bytes_per_s_max: float | None = Field(description="per pod and direction; none: no limit achieves it")
    unlimited: bool = Field(default=False, description="the target holds without any limit")
    breaks_it: Text = Field(description="the method that is first to break the target")


def largest_limit(
    pods: Pods, target: Target, case: Case, *, job: Job | None = None, terms: LinkLimit | None = None
) -> Limit:
    """The largest sending rate at which the target holds; the receiving rate keeps its proportion in `terms`.

    With a slowdown, `job` is the job; with a run, sizes around the best for it are tried. Raises `ValueError` if the target
    names both or neither, or if a slowdown comes without a job.
    """
    if (target.slowdown_min is None) == (target.flop is None):
        raise ValueError("a target is either a slowdown or a run")
    terms = terms or LinkLimit.same(1.0)
    holds, winner = _question(pods, target, case, job)

    def at(rate: float) -> LinkLimit:
        return terms.scaled(rate)

    if not holds(at(RATE_MIN)):
        return Limit(case=case, bytes_per_s_max=None, breaks_it=winner(at(RATE_MIN)))
    if holds(at(RATE_MAX)):
        return Limit(case=case, bytes_per_s_max=None, unlimited=True, breaks_it="none")
    low, high = math.log(RATE_MIN), math.log(RATE_MAX)
    while high - low > PRECISION:
        middle = (low + high) / 2
        if holds(at(math.exp(middle))):
            low = middle
        else:
            high = middle
    return Limit(case=case, bytes_per_s_max=math.exp(low), breaks_it=winner(at(math.exp(high))))


def _question(
    pods: Pods, target: Target, case: Case, job: Job | None
) -> tuple[Callable[[LinkLimit], bool], Callable[[LinkLimit], str]]:
    """Whether the target holds at a limit, and which method reaches most there."""
    if target.slowdown_min is not None:
        if job is None:
            raise ValueError("a slowdown is asked at a job")
        sizes = Sizes(pods, case, (job,))
        most = pods.count * pods.flop_per_s / target.slowdown_min
    else:
        assert target.flop is not None
        sizes = Sizes.of_run(pods, case, target.flop)
        most = target.flop / target.period_s

    def holds(limit: LinkLimit) -> bool:
        return sizes.best(limit, target.kind).flop_per_s <= most * (1 + 1e-12)

    def winner(limit: LinkLimit) -> str:
        return sizes.best(limit, target.kind).method

    return holds, winner


class Milestone(Record):
    """How long a run of a size takes."""

    flop: Positive
    days: float | None = Field(description="none: no method works")
    method: Text


class Left(Record):
    """What is left for an adversary of one case under one limit, for one kind of run."""

    case: Case
    kind: Kind
    method: Text
    slowdown: float | None = Field(description="at sizes for a run of run_flop, against all pods well connected")
    flop_per_month: float = Field(ge=0)
    milestones: tuple[Milestone, ...]


def left_under(pods: Pods, limit: LinkLimit, case: Case, kind: Kind, *, run_flop: float = 1e24) -> Left:
    """Slowdown and FLOP a month at the sizes of a run of `run_flop`, and the days to each milestone."""
    best = Sizes.of_run(pods, case, run_flop).best(limit, kind)
    unlimited = pods.count * pods.flop_per_s
    milestones = []
    for flop in MILESTONES_FLOP:
        seconds, method = time_to(flop, pods, limit, case, kind)
        days = seconds / DAY_S if math.isfinite(seconds) else None
        milestones.append(Milestone(flop=flop, days=days, method=method))
    return Left(
        case=case,
        kind=kind,
        method=best.method,
        slowdown=unlimited / best.flop_per_s if best.flop_per_s > 0 else None,
        flop_per_month=best.flop_per_s * MONTH_S,
        milestones=tuple(milestones),
    )
