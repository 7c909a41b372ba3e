"""The factor for the account: contributions that are never below what the planner finds, and never rise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plan_scenarios import decades

from inspectorate.mechanisms.interconnect.plan.inverse import Kind, Sizes
from inspectorate.mechanisms.interconnect.plan.joining import EXACT_PODS_MAX, Group, contributions, increments
from inspectorate.mechanisms.interconnect.plan.types import Case, LinkLimit, Pods

H100_POD_FLOP_PER_S = 8 * 990e12 * 0.6
MEMORY = 8 * 80e9


def group(pods: int = 8, bytes_per_s: float = 125e3, *, case: Case = Case.CAUTIOUS, run_flop: float = 1e24) -> Group:
    return Group(
        pods=pods,
        bytes_per_s=bytes_per_s,
        pod_flop_per_s=H100_POD_FLOP_PER_S,
        memory_bytes=MEMORY,
        run_flops=(run_flop,),
        case=case,
    )


@settings(max_examples=300)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_increments_lie_above_any_rising_function_and_fall(steps: list[float]) -> None:
    reached = np.concatenate([[1.0], 1.0 + np.cumsum(steps)])
    found = increments(reached)
    assert found[0] == 1
    assert list(found) == sorted(found, reverse=True)
    assert (np.cumsum(found) >= reached * (1 - 1e-12)).all()


def test_increments_of_a_concave_function_are_its_own() -> None:
    assert increments(np.array([1.0, 1.5, 1.75, 1.75])) == pytest.approx((1, 0.5, 0.25, 0))


def test_increments_close_a_gap_from_above() -> None:
    """Nothing for two pods, much for four: the four may be spread, never lost."""
    assert increments(np.array([1.0, 1.0, 1.0, 2.5])) == pytest.approx((1, 0.5, 0.5, 0.5))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(2, 12), decades(0, 9), decades(20, 26), st.sampled_from(list(Case)), st.booleans())
def test_contributions_are_never_below_what_the_planner_finds(
    pods: int, bytes_per_s: float, run_flop: float, case: Case, post_training: bool
) -> None:
    found = np.cumsum(
        contributions(group(pods, bytes_per_s, case=case, run_flop=run_flop), post_training=post_training)
    )
    kind = Kind.POST_TRAINING if post_training else Kind.PRE_TRAINING
    for count in range(1, pods + 1):
        fleet = Pods(count=count, flop_per_s=H100_POD_FLOP_PER_S, memory_bytes=MEMORY)
        limit = LinkLimit.same(bytes_per_s, round_trip_s=1e-3)
        best = Sizes.of_run(fleet, case, run_flop).best(limit, kind).flop_per_s / H100_POD_FLOP_PER_S
        assert found[count - 1] >= best * (1 - 1e-5)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(2, 12), decades(0, 9), decades(0, 3), st.sampled_from(list(Case)))
def test_a_looser_limit_never_lowers_what_pods_reach_together(
    pods: int, bytes_per_s: float, factor: float, case: Case
) -> None:
    tight = np.cumsum(contributions(group(pods, bytes_per_s, case=case), post_training=False))
    loose = np.cumsum(contributions(group(pods, bytes_per_s * factor, case=case), post_training=False))
    assert (loose >= tight * (1 - 1e-5)).all()


def test_post_training_contributes_no_less() -> None:
    for rate in (1e2, 1e4, 1e6):
        before = sum(contributions(group(bytes_per_s=rate), post_training=False))
        assert sum(contributions(group(bytes_per_s=rate), post_training=True)) >= before * (1 - 1e-9)


def test_one_pod_has_a_second_contribution_for_others() -> None:
    assert len(contributions(group(pods=1), post_training=False)) == 2
    with pytest.raises(ValueError, match="at least one"):
        contributions(group(pods=0), post_training=False)


def test_many_pods_contribute_alike_and_no_less_than_few() -> None:
    few = contributions(group(EXACT_PODS_MAX, 1e4), post_training=False)
    many = contributions(group(200, 1e4), post_training=False)
    assert len(many) == 200
    assert len(set(many[1:])) == 1
    assert sum(many[:EXACT_PODS_MAX]) >= sum(few) * (1 - 1e-9)


def test_a_limit_that_lets_nothing_through_leaves_one_pod() -> None:
    assert sum(contributions(group(bytes_per_s=1e-2), post_training=False)) == pytest.approx(1, abs=0.05)


def test_pods_with_little_memory_join_as_for_the_run_that_suits_them_best() -> None:
    """A run of 1e24 FLOP wants a model that they cannot hold; one of 1e22 does not, and the monitored threshold is there."""
    small = replace(group(bytes_per_s=125e3), memory_bytes=80e9)
    sums = {
        sizes: np.cumsum(contributions(replace(small, run_flops=sizes), post_training=False))
        for sizes in ((1e22,), (1e24,), (1e22, 1e24))
    }
    assert sums[(1e22,)][-1] > 2 * sums[(1e24,)][-1]
    for sizes in ((1e22,), (1e24,)):
        assert (sums[(1e22, 1e24)] >= sums[sizes] * (1 - 1e-9)).all()
    with pytest.raises(ValueError, match="some size"):
        contributions(replace(small, run_flops=()), post_training=False)
