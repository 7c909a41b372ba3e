"""A plan in words and numbers: what is chosen where, what it claims and leaves, what it costs and shows, and what it rests on.

A plan is an answer within a model and no verdict. The model counts chips that are declared, and as many others as the fleet
file says; every figure that is nobody's but ours is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pydantic import Field

from inspectorate.canonical import Identifier, Record, Text
from inspectorate.planning.portfolio.catalogue import SUBGOAL_TITLES, Case, Claim, Evidence, Per, Subgoal, Use
from inspectorate.planning.portfolio.fleet import FleetCluster
from inspectorate.planning.portfolio.model import (
    BY_CLUSTER,
    FLEET,
    Assignment,
    cost_of,
    largest_run,
    layers_of,
    left_of,
)
from inspectorate.planning.portfolio.options import scenes_of
from inspectorate.planning.portfolio.solve import Choice
from inspectorate.planning.portfolio.terms import Question, Requirement
from inspectorate.quantities import NonNegative, Share

YEAR_HOURS = 8_766.0
Three = tuple[float, float, float]
_ORDER = (Claim.EXCLUDED, Claim.NO_TRAINING, Claim.SMALL_TRAINING)


class ClusterPlan(Record):
    """What is chosen for one cluster, and what that leaves."""

    cluster: Identifier
    use: Use
    chips: NonNegative
    mechanisms: tuple[Identifier, ...]
    claim: Claim = Field(description="what may be said of it: the claim of the mechanism that leaves least")
    hidden_share: Share = Field(description="of its capacity, that could be hidden")
    joining: Share = Field(description="the part of itself that a further pod of it adds to a joint run")
    outside_share: Share
    capacity_flop: NonNegative = Field(description="in one run's time")
    adds_flop: NonNegative = Field(description="to the largest hidden run, where another leads it")
    verified_chip_hours: NonNegative = Field(description="a year")
    unverified_chip_hours: NonNegative
    cost: Three = Field(description="a year: low, central, high")
    reveals_bits_per_day: dict[Identifier, Three]


class RunLeft(Record):
    """The largest hidden run of one kind, in each case, against what is required of it."""

    kind: Text
    required_flop: NonNegative
    flop: Three = Field(description="with figures at their optimistic, central and pessimistic end")
    at_worst_flop: NonNegative = Field(description="in the plan's case, whichever roots fail that the plan allows for")
    failing: tuple[Identifier, ...] = Field(default=(), description="the roots whose failure leaves most")
    led_by: Identifier | None = None
    holds: tuple[bool, bool, bool]


class SubgoalPlan(Record):
    """How well one subgoal is seen to: at its weakest cluster."""

    subgoal: Subgoal
    title: Text
    layers: int = Field(description="so many trust roots must fail before nothing looks at it")
    at: tuple[Identifier, ...] = Field(default=(), description="where it is weakest, a few of them")
    people_only: bool = Field(description="whether nothing but what people say looks at it there")


class Assumed(Record):
    """Figures of one mechanism that are nobody's but ours."""

    mechanism: Identifier
    figures: tuple[Text, ...]


class Late(Record):
    """A chosen mechanism that is not ready in time if its work takes as long as it may."""

    mechanism: Identifier
    ready_on: datetime
    case: Case


class Plan(Record):
    """A choice of mechanisms for a fleet."""

    fleet: Identifier
    title: Text
    catalogue: Text
    currency: Identifier
    agreement: Identifier
    date: datetime
    start: datetime
    run_days: float
    case: Case
    requirements: tuple[Requirement, ...]
    failures: int
    fleet_wide: tuple[Identifier, ...]
    clusters: tuple[ClusterPlan, ...]
    runs: tuple[RunLeft, ...]
    subgoals: tuple[SubgoalPlan, ...]
    cost: Three
    undeclared_flop: NonNegative
    verified_chip_hours: NonNegative
    unverified_chip_hours: NonNegative
    assumed: tuple[Assumed, ...]
    late: tuple[Late, ...]
    found: Text = Field(description="optimal, time (cut off) or given (somebody's own assignment)")
    gap: NonNegative
    options: int
    not_counted: tuple[Text, ...]

    @property
    def holds(self) -> bool:
        """Whether every bound holds in the case of the plan."""
        return all(run.at_worst_flop <= run.required_flop * (1 + 1e-9) for run in self.runs)


def plan_of(question: Question, choice: Choice) -> Plan:
    """The plan of a choice."""
    return _plan(question, choice.chosen, choice.outcome.value, choice.gap, choice.columns)


def plan_given(question: Question, chosen: Assignment) -> Plan:
    """The plan of an assignment that somebody made: nothing is optimised, and nothing is checked but what it leaves."""
    return _plan(question, chosen, "given", 0.0, 0)


def _plan(question: Question, chosen: Assignment, found: str, gap: float, options: int) -> Plan:
    added = largest_run(question, chosen, post=next(iter(question.kinds()))).added
    clusters = tuple(_cluster(question, one, chosen, added[one.id]) for one in question.fleet.clusters)
    used = sorted(set().union(*chosen.values()))
    return Plan(
        fleet=question.fleet.id,
        title=question.fleet.title,
        catalogue=f"{question.catalogue.id} {question.catalogue.version}",
        currency=question.catalogue.currency,
        agreement=question.agreement.id,
        date=question.date,
        start=question.start,
        run_days=question.run_days,
        case=question.case,
        requirements=question.requirements,
        failures=question.failures,
        fleet_wide=tuple(sorted(chosen[FLEET])),
        clusters=clusters,
        runs=_runs(question, chosen),
        subgoals=subgoals_of(question, chosen),
        cost=_three(lambda case: cost_of(question, chosen, case)),
        undeclared_flop=question.undeclared_flop(),
        verified_chip_hours=sum(one.verified_chip_hours for one in clusters),
        unverified_chip_hours=sum(one.unverified_chip_hours for one in clusters),
        assumed=tuple(
            Assumed(mechanism=name, figures=question.catalogue.mechanism(name).assumed)
            for name in used
            if question.catalogue.mechanism(name).assumed
        ),
        late=_late(question, used),
        found=found,
        gap=gap,
        options=options,
        not_counted=_not_counted(question),
    )


def _three(of: object) -> Three:
    low, central, high = (of(case) for case in Case)  # type: ignore[operator]
    return low, central, high


def _cluster(question: Question, cluster: FleetCluster, chosen: Assignment, adds_flop: float) -> ClusterPlan:
    names = chosen[cluster.id]
    left = left_of(question, cluster, names)
    hours = cluster.chip_count * YEAR_HOURS
    alone = {
        one.id: (chosen[one.id] if one.id == cluster.id else frozenset(one.existing)) for one in question.fleet.clusters
    }
    return ClusterPlan(
        cluster=cluster.id,
        use=cluster.use,
        chips=cluster.chip_count,
        mechanisms=tuple(sorted(names)),
        claim=_claim(question, cluster, names),
        hidden_share=left.hidden,
        joining=left.joining,
        outside_share=left.outside,
        capacity_flop=question.capacity_flop(cluster),
        adds_flop=adds_flop,
        verified_chip_hours=hours * (1 - left.hidden),
        unverified_chip_hours=hours * left.hidden,
        cost=_three(lambda case: _cost_here(question, cluster, alone[cluster.id], case)),
        reveals_bits_per_day=_reveals(question, cluster, names),
    )


def _cost_here(question: Question, cluster: FleetCluster, names: frozenset[str], case: Case) -> float:
    prices = [question.catalogue.mechanism(name).cost.at(case) for name in names - set(cluster.existing)]
    return sum(each + chip * cluster.chip_count for _, each, chip in prices)


def _claim(question: Question, cluster: FleetCluster, names: frozenset[str]) -> Claim:
    """Of the mechanisms that bound the cluster, the one that leaves least of it says what may be claimed."""
    bounding = [question.catalogue.mechanism(name) for name in names]
    bounding = [one for one in bounding if one.bounds]
    if not bounding:
        return Claim.NONE
    alone = {one.id: left_of(question, cluster, {one.id, *one.needs} & names).alone for one in bounding}
    best = min(bounding, key=lambda one: (alone[one.id], _ORDER.index(one.claim), one.id))
    return best.claim


def _reveals(question: Question, cluster: FleetCluster, names: frozenset[str]) -> dict[str, Three]:
    found: dict[str, list[float]] = {}
    for name in sorted(names):
        for one in question.catalogue.mechanism(name).reveals:
            times = cluster.chip_count if one.per is Per.CHIP else 1.0
            sums = found.setdefault(one.kind, [0.0, 0.0, 0.0])
            for case in Case:
                sums[case.place] += times * one.bits_per_day.at(case)
    return {kind: (sums[0], sums[1], sums[2]) for kind, sums in sorted(found.items())}


def _runs(question: Question, chosen: Assignment) -> tuple[RunLeft, ...]:
    scenes = scenes_of(question)
    found = []
    for post, limit in zip(scenes.kinds, scenes.limits.tolist(), strict=True):
        worst = {failed: largest_run(question, chosen, failed=failed, post=post) for failed in scenes.failed}
        failing = max(worst, key=lambda failed: worst[failed].flop)
        by_case = _three(lambda case, post=post: largest_run(question, chosen, post=post, case=case).flop)
        found.append(
            RunLeft(
                kind="post-training" if post else "training",
                required_flop=limit,
                flop=by_case,
                at_worst_flop=worst[failing].flop,
                failing=tuple(sorted(failing)),
                led_by=worst[failing].leader,
                holds=(
                    by_case[0] <= limit * (1 + 1e-9),
                    by_case[1] <= limit * (1 + 1e-9),
                    by_case[2] <= limit * (1 + 1e-9),
                ),
            )
        )
    return tuple(found)


def subgoals_of(question: Question, chosen: Assignment) -> tuple[SubgoalPlan, ...]:
    """How many trust roots must fail before nothing looks at a subgoal, at the cluster where that is fewest."""
    found = []
    for subgoal in Subgoal:
        everywhere: Mapping[str, frozenset[str]] = {FLEET: chosen[FLEET]}
        if subgoal in BY_CLUSTER:
            everywhere = {one.id: chosen[one.id] | chosen[FLEET] for one in question.fleet.clusters}
        layers = {place: layers_of(question, names, subgoal) for place, names in everywhere.items()}
        least = min(layers.values())
        places = [place for place, count in layers.items() if count == least]
        seen = [question.catalogue.mechanism(name) for name in everywhere[places[0]]]
        looking = [one for one in seen if subgoal in one.subgoals]
        found.append(
            SubgoalPlan(
                subgoal=subgoal,
                title=SUBGOAL_TITLES[subgoal],
                layers=least,
                at=tuple(place for place in places[:5] if place),
                people_only=bool(looking) and all(one.evidence is Evidence.PEOPLE for one in looking),
            )
        )
    return tuple(found)


def _late(question: Question, used: list[str]) -> tuple[Late, ...]:
    there = {name for one in question.fleet.clusters for name in one.existing} | set(question.fleet.existing)
    late = []
    for name in used:
        mechanism = question.catalogue.mechanism(name)
        when = question.ready_on(mechanism, Case.PESSIMISTIC)
        if when > question.date and name not in there:
            late.append(Late(mechanism=name, ready_on=when, case=Case.PESSIMISTIC))
    return tuple(late)


def _not_counted(question: Question) -> tuple[str, ...]:
    found = [
        "what people say: it covers subgoals and moves no bound",
        f"runs that go on for more than {question.run_days:g} days",
        "whether a mechanism is done well; each figure is a range, and the plan's case one end of it",
    ]
    if question.fleet.undeclared is None:
        found.append("chips that nobody declared: the fleet names none, so that this bound is of declared chips alone")
    if not question.count_outside:
        found.append("chips of these clusters that are elsewhere (`--count-outside` counts them)")
    return tuple(found)
