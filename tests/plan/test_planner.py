"""The planner's search: against a slow planner, and the properties that an inverse answer needs."""

from __future__ import annotations

import numpy as np
import pytest
import slow_planner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plan_scenarios import decades, jobs, limits, pods

from inspectorate.mechanisms.interconnect.plan.forward import needs
from inspectorate.mechanisms.interconnect.plan.inverse import Kind, Target, largest_limit, left_under, time_to
from inspectorate.mechanisms.interconnect.plan.methods import ASSUMPTIONS, catalogue, methods_of
from inspectorate.mechanisms.interconnect.plan.search import Scenes, reach
from inspectorate.mechanisms.interconnect.plan.sizes import excess_loss, jobs_for, optimal_parameters, worth_share
from inspectorate.mechanisms.interconnect.plan.step import GivenJob, cycle_s
from inspectorate.mechanisms.interconnect.plan.types import Case, Job, LinkLimit, Pods, job_of

REPORT_PODS = Pods(count=128, flop_per_s=128 * 400e12, memory_bytes=128 * 80e9)
REPORT_JOB = job_of(405e9, 15.6e12, batch_tokens=128 * 131_072)
CASES = st.sampled_from(list(Case))


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(pods(most=7), limits(), jobs(), CASES)
def test_the_search_finds_what_trying_everything_finds(fleet: Pods, limit: LinkLimit, job: Job, case: Case) -> None:
    expected = slow_planner.worths(fleet, limit, job, case)
    scenes = Scenes(fleet, job, case)
    for method, value in zip(scenes.methods, scenes.worths(limit), strict=True):
        assert value == pytest.approx(expected[method.id], rel=1e-9, abs=1e-300), method.id


@pytest.mark.slow
@settings(max_examples=3_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(pods(), limits(), jobs(), CASES, decades(0, 4), st.booleans())
def test_a_tighter_limit_never_helps(
    fleet: Pods, limit: LinkLimit, job: Job, case: Case, factor: float, one_way: bool
) -> None:
    """Method by method, both ways or one way, over 3,000 random scenarios."""
    scenes = Scenes(fleet, job, case)
    changed = {"received_bytes_per_s": limit.received_bytes_per_s / factor}
    if not one_way:
        changed["sent_bytes_per_s"] = limit.sent_bytes_per_s / factor
    loose, tight = scenes.worths(limit), scenes.worths(limit.model_copy(update=changed))
    assert (tight <= loose * (1 + 1e-12)).all()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(pods(), limits(), jobs(), CASES)
def test_more_of_anything_never_hurts_the_adversary(fleet: Pods, limit: LinkLimit, job: Job, case: Case) -> None:
    before = Scenes(fleet, job, case).worths(limit).max()
    for other in (
        fleet.model_copy(update={"count": fleet.count + 1}),
        fleet.model_copy(update={"memory_bytes": fleet.memory_bytes * 2}),
    ):
        assert Scenes(other, job, case).worths(limit).max() >= before * (1 - 1e-12)
    longer = limit.model_copy(update={"window_bytes": limit.window_bytes * 2 + 1})
    assert Scenes(fleet, job, case).worths(longer).max() >= before * (1 - 1e-12)
    assert before <= fleet.count * fleet.flop_per_s * (1 + 1e-9), "no method is worth more than all pods well connected"


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(pods(), limits(), jobs())
def test_the_cases_are_ordered(fleet: Pods, limit: LinkLimit, job: Job) -> None:
    best = [Scenes(fleet, job, case).worths(limit).max() for case in (Case.PUBLISHED, Case.CENTRAL, Case.CAUTIOUS)]
    # A larger batch leaves fewer synchronisations in a run that is short, so the order can be lost by that alone.
    if job.tokens > 1e5 * job.batch_tokens:
        assert best[0] <= best[1] * (1 + 1e-9)
        assert best[1] <= best[2] * (1 + 1e-9)


def test_the_compute_optimal_size_is_where_the_loss_is_least() -> None:
    for flop in (1e18, 1e22, 1e26):
        best = optimal_parameters(flop)
        around = [excess_loss(best * f, flop / (6 * best * f)) for f in (0.98, 1.0, 1.02)]
        assert around[1] == min(around)
        assert worth_share(best, flop / (6 * best)) == pytest.approx(1, abs=1e-6)
    shares = [job.value_share for job in jobs_for(1e24)]
    assert max(shares) == pytest.approx(1, abs=1e-6)
    assert shares.index(max(shares)) == 8
    assert all(job.flop == pytest.approx(1e24) for job in jobs_for(1e24))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(pods(), jobs(), CASES, decades(0.01, 3), st.sampled_from(list(Kind)))
def test_the_largest_limit_holds_and_a_larger_one_does_not(
    fleet: Pods, job: Job, case: Case, slowdown: float, kind: Kind
) -> None:
    found = largest_limit(fleet, Target(kind=kind, slowdown_min=slowdown), case, job=job)
    mask = [
        (kind is Kind.POST_TRAINING or m.counts_as == "pre-training") and (kind is not Kind.JOINT or m.id != "alone")
        for m in methods_of(ASSUMPTIONS[case])
    ]
    unlimited = fleet.count * fleet.flop_per_s

    def slowed(rate: float) -> float:
        worth = np.where(mask, Scenes(fleet, job, case).worths(LinkLimit.same(rate)), 0).max()
        return float(unlimited / worth) if worth > 0 else float("inf")

    if found.bytes_per_s_max is not None:
        assert slowed(found.bytes_per_s_max) >= slowdown * (1 - 1e-9)
        assert slowed(found.bytes_per_s_max * 1.01) <= slowdown * (1 + 1e-9)
    else:
        assert (slowed(1e15) >= slowdown * (1 - 1e-9)) is found.unlimited


def test_no_limit_slows_what_one_pod_does_alone() -> None:
    target = Target(kind=Kind.PRE_TRAINING, slowdown_min=200)
    for case in Case:
        found = largest_limit(REPORT_PODS, target, case, job=REPORT_JOB)
        assert found.bytes_per_s_max is None
        assert not found.unlimited
        assert found.breaks_it == "alone"


def test_a_run_that_the_pods_cannot_do_needs_no_limit() -> None:
    few = Pods(count=2, flop_per_s=1e15, memory_bytes=1e12)
    found = largest_limit(few, Target(kind=Kind.PRE_TRAINING, flop=1e26), Case.CAUTIOUS)
    assert found.unlimited
    assert found.bytes_per_s_max is None


def test_a_model_that_fits_nowhere_cannot_be_trained() -> None:
    tiny = Pods(count=4, flop_per_s=1e15, memory_bytes=1e9)
    found = reach(tiny, LinkLimit.same(1e12), job_of(1e12, 2e13), Case.CAUTIOUS)
    assert all(row.flop_per_s == 0 and row.slowdown is None and row.layout is None for row in found.methods)
    assert {row.bound_by for row in found.methods} == {"memory"}


def test_one_pod_has_nobody_to_join() -> None:
    single = Pods(count=1, flop_per_s=1e15, memory_bytes=1e15)
    found = reach(single, LinkLimit.same(1e12), job_of(1e9, 2e10), Case.CAUTIOUS)
    assert [row.method for row in found.methods if row.flop_per_s > 0] == ["alone"]


def test_loading_windows_let_synchronisations_through() -> None:
    shut = LinkLimit.same(1_000.0)
    opened = shut.model_copy(update={"window_bytes": 1e12, "window_every_s": 48 * 3600.0})
    worth = {
        limit.window_bytes: Scenes(REPORT_PODS, REPORT_JOB, Case.CENTRAL).worths(limit) for limit in (shut, opened)
    }
    place = [m.id for m in methods_of(ASSUMPTIONS[Case.CENTRAL])].index("best-of-both")
    assert worth[1e12][place] > 3 * worth[0.0][place]


def test_what_is_left_names_method_and_days() -> None:
    left = left_under(REPORT_PODS, LinkLimit.same(125e3), Case.PUBLISHED, Kind.PRE_TRAINING)
    assert left.method == "alone"
    assert left.slowdown == pytest.approx(128, rel=1e-6)
    days = [m.days for m in left.milestones]
    assert days == sorted(days)
    seconds, method = time_to(1e24, REPORT_PODS, LinkLimit.same(125e3), Case.PUBLISHED, Kind.PRE_TRAINING)
    assert (seconds / 86_400, method) == (pytest.approx(left.milestones[2].days), "alone")


def test_every_method_says_where_it_comes_from() -> None:
    for method in catalogue().values():
        assert method.sources
        assert method.evidence.said
        if method.evidence.level == "at-scale" and method.id != "alone":
            assert method.evidence.parameters >= 50e9
        if method.evidence.level == "mid":
            assert method.evidence.parameters >= 5e9


def test_targets_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="either"):
        largest_limit(REPORT_PODS, Target(), Case.CENTRAL, job=REPORT_JOB)
    with pytest.raises(ValueError, match="either"):
        largest_limit(REPORT_PODS, Target(slowdown_min=2, flop=1e24), Case.CENTRAL, job=REPORT_JOB)
    with pytest.raises(ValueError, match="at a job"):
        largest_limit(REPORT_PODS, Target(slowdown_min=2), Case.CENTRAL)


def test_what_a_method_needs_is_what_lets_it_run() -> None:
    """At its need a method that hides its exchanges is as fast as without a limit; at a tenth it is not."""
    for case in Case:
        for need in needs(REPORT_PODS, REPORT_JOB, case):
            method = catalogue()[need.method]
            if method.family != "replicas" or not method.overlap:
                continue
            place = [m.id for m in methods_of(ASSUMPTIONS[case])].index(need.method)
            scenes = Scenes(REPORT_PODS, REPORT_JOB, case)
            rate = max(need.sent_bytes_per_s, need.received_bytes_per_s)
            free, enough, short = (
                scenes.worths(LinkLimit.same(x, round_trip_s=0.0))[place] for x in (1e15, rate * 1.001, rate / 10)
            )
            # Rare synchronisation costs worth, which a run without a limit does not pay.
            assert enough >= free * (0.5 if need.inner_steps > 1 else 0.99)
            assert short < enough


def test_the_reports_example_needs_what_it_says() -> None:
    found = {need.method: need for need in needs(REPORT_PODS, REPORT_JOB, Case.PUBLISHED)}
    assert found["data-parallel"].sent_bytes_per_s == pytest.approx(130.2e9, rel=0.001)
    assert found["data-parallel-ring"].sent_bytes_per_s == pytest.approx(130.2e9 * 2 * 127 / 128, rel=0.001)
    assert found["zero-3"].sent_bytes_per_s == pytest.approx(1.5 * found["zero-2"].sent_bytes_per_s)
    assert found["alone"].sent_bytes_per_s == 0
    # Twice the report's tokens a step halve the need of its own method.
    example = {need.method: need for need in needs(REPORT_PODS, REPORT_JOB, Case.CENTRAL)}["report-example"]
    assert example.sent_bytes_per_s == pytest.approx(13.02e6 / 2, rel=0.001)


def test_a_given_job_takes_the_time_of_the_formula() -> None:
    limit = LinkLimit(sent_bytes_per_s=100, received_bytes_per_s=50, round_trip_s=0.5)
    waits = GivenJob(compute_s=2, inner_steps=10, sent_bytes=1_000, received_bytes=1_000, overlap=False)
    assert cycle_s(waits, limit) == pytest.approx(20 + 20 + 0.5)
    assert cycle_s(waits.model_copy(update={"overlap": True}), limit) == pytest.approx(20)
    crosses = GivenJob(compute_s=2, inner_steps=1, crossing_bytes=500, overlap=True)
    assert cycle_s(crosses, limit) == pytest.approx(10)
