"""Error rates: the counting, with reviews of known answers. The real review is counted in `test_review_rates`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from inspectorate.agreement import Source
from inspectorate.assessment import Assessment, Scope, Verdict
from inspectorate.evidence import Problem, ProblemKind, RejectedEvidence
from inspectorate.findings import Finding
from inspectorate.statistics import clopper_pearson_lower, clopper_pearson_upper
from inspectorate.worlds import World, WorldKind, build_world, measure, names_of
from inspectorate.worlds.rates import Outcome, judge_world, pool, run, spread, tabulate, within_allowance

AS_OF = datetime(2026, 3, 2, tzinfo=UTC)


@dataclass(frozen=True)
class Answer:
    findings: tuple[Finding, ...]
    problems: tuple[Problem, ...] = ()


def finding(world: World, verdict: Verdict, *named: tuple[str, ...], blind: str | None = None) -> Finding:
    period = world.declaration.period
    assessment = Assessment(
        clause="pod-limit",
        mechanism="stub",
        scope=Scope(pods=(blind or world.site.names[0],), period=period),
        verdict=Verdict.NOT_OBSERVED if blind else Verdict.INCONCLUSIVE,
        reasons=("as told",),
    )
    return Finding(
        clause="pod-limit",
        title="limit",
        source=Source(document="test"),
        verdict=verdict,
        named=tuple(Scope(pods=pods, period=period) for pods in named),
        assessments=(assessment,),
        reasons=("as told",),
        as_of=AS_OF,
    )


def knows_everything(world: World) -> Answer:
    """Alarms on the guilty once half of the breach was seen, refuses what must be refused, names what is missing."""
    if world.truth.refused is not None:
        raise RejectedEvidence(world.truth.refused, "as told")
    if world.truth.breaches:
        breach = world.truth.breaches[0].period
        if world.declaration.period.end >= breach.start + (breach.end - breach.start) / 2:
            return Answer((finding(world, Verdict.INCONSISTENT, world.truth.guilty),))
    blind = world.truth.broken_pods[0] if world.truth.broken_pods else None
    return Answer((finding(world, Verdict.INCONCLUSIVE, blind=blind),))


def accuses_the_first_pod(world: World) -> Answer:
    return Answer((finding(world, Verdict.INCONSISTENT, (world.site.names[0],)),))


def test_a_review_that_knows_everything_scores_full_marks() -> None:
    names = ["honest-idle", "relayed", "silenced-exporter", "flipped-payload"]
    honest, cheat, silenced, flipped = measure(names, range(2), knows_everything, timed=2)
    assert (honest.kind, honest.worlds, honest.alarms, honest.named_innocent, honest.unobserved) == (
        WorldKind.HONEST, 2, 0, 0, 0,
    )  # fmt: skip
    assert (cheat.alarms, cheat.named_right, cheat.by_clause) == (2, 2, {"pod-limit": 2})
    assert (silenced.alarms, silenced.noticed, silenced.unobserved, silenced.refused) == (0, 2, 2, 0)
    assert (flipped.alarms, flipped.noticed, flipped.refused) == (0, 2, 2)


def test_time_to_alarm_is_found_to_a_step() -> None:
    for seed in range(3):
        world = build_world("relayed", seed)
        breach = world.truth.breaches[0].period
        (outcome,) = run([("relayed", seed)], knows_everything, timed=3)
        assert outcome.alarm_after_s is not None
        assert 0 <= outcome.alarm_after_s - breach.duration_s / 2 <= 60


def test_time_to_alarm_is_measured_for_the_seeds_asked_for_only() -> None:
    outcomes = list(run([("relayed", 0), ("relayed", 1)], knows_everything, timed=1))
    assert [outcome.alarm_after_s is not None for outcome in outcomes] == [True, False]


def test_accusing_the_innocent_is_counted_against_the_review() -> None:
    honest = judge_world(build_world("honest-idle", 0), accuses_the_first_pod)
    assert honest.alarm
    assert honest.named_innocent
    assert not honest.named_right


def test_a_named_problem_counts_as_noticed() -> None:
    problem = Problem(kind=ProblemKind.UNREADABLE, subject="x", detail="y")
    world = build_world("lost-templates", 0)
    answer = finding(world, Verdict.CONSISTENT)
    assert judge_world(world, lambda _: Answer((answer,), (problem,))).noticed
    assert not judge_world(world, lambda _: Answer((answer,))).noticed


def outcome(*, clauses: tuple[str, ...] = (), seed: int = 0) -> Outcome:
    return Outcome(
        world="honest", seed=seed, refused=False, clauses=clauses, named=(), guilty=(), unobserved=False, noticed=False
    )


def test_rates_come_with_their_interval() -> None:
    row = pool([outcome(clauses=("pod-limit",))] * 3 + [outcome()] * 97, "some")
    assert row.alarms == 3
    assert row.alarm_rate == (clopper_pearson_lower(3, 100, 0.025), clopper_pearson_upper(3, 100, 0.025))
    assert row.alarm_rate[0] < 0.03 < row.alarm_rate[1]


@pytest.mark.parametrize(("alarms", "within"), [(0, True), (1, True), (4, True), (6, False)])
def test_the_allowance_is_a_binomial_bound(alarms: int, within: bool) -> None:
    # Bin(1000, 0.001): P(>= 4) = 0.019, P(>= 5) = 0.0037.
    row = pool([outcome(clauses=("c",))] * alarms + [outcome()] * (1000 - alarms), "honest")
    assert within_allowance(row, 0.001) is within


def test_nothing_to_count_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing to count"):
        pool([], "none")
    assert tabulate([]) == ()


def test_worlds_are_spread_over_names_with_seeds_of_their_own() -> None:
    tasks = spread(names_of(WorldKind.HONEST), 13)
    assert len({seed for _, seed in tasks}) == 13
    assert {name for name, _ in tasks} == set(names_of(WorldKind.HONEST))


def test_several_processes_count_the_same() -> None:
    tasks = spread(names_of(WorldKind.HONEST), 4)
    assert list(run(tasks, knows_everything, jobs=2)) == list(run(tasks, knows_everything))
