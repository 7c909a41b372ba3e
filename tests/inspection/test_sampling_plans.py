"""Plans against adversaries: stated power is what draws have; bounds hold; looking early costs nothing."""

from __future__ import annotations

import hashlib
import itertools
import json
import math

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.cli.plan_sampling import sampling
from inspectorate.mechanisms.inspection.challenge.draw import draw_points
from inspectorate.mechanisms.inspection.challenge.promise import Method, Selection
from inspectorate.mechanisms.inspection.sampling import allocation
from inspectorate.mechanisms.inspection.sampling.adversaries import (
    Adversary,
    dirty_by_stratum,
    dirty_rows,
    found,
    power,
)
from inspectorate.mechanisms.inspection.sampling.bounds import dirty_time_share_upper
from inspectorate.mechanisms.inspection.sampling.power import lengths_of, list_of_lengths, plans_for, power_table
from inspectorate.mechanisms.inspection.sampling.sequential import SequentialPlan
from inspectorate.statistics import sampling as plain

TIME = Selection(method=Method.TIME, count=60)


# --- power -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["equal", "mixed", "skewed"])
def test_a_draw_by_time_keeps_its_promise_against_every_adversary(kind: str) -> None:
    lengths = lengths_of(kind, 500, mean_s=60, seed=3)
    plans = plans_for(lengths, 0.05, 0.05, strata=10)
    rows = power_table(plans, lengths, 0.05, trials=0, seed=3)
    assert all(row.power >= 0.95 for row in rows if row.plan != "packets, taken as alike")


def test_a_draw_by_packets_taken_as_alike_does_not() -> None:
    lengths = lengths_of("skewed", 500, mean_s=60, seed=3)
    rows = power_table(plans_for(lengths, 0.05, 0.05, strata=10), lengths, 0.05, trials=0, seed=3)
    worst = {row.adversary: row.power for row in rows if row.plan == "packets, taken as alike"}
    assert worst[Adversary.LONGEST] < 0.5 < 0.95 < worst[Adversary.SHORTEST]


@pytest.mark.parametrize("adversary", list(Adversary))
@pytest.mark.parametrize(
    "selection",
    [Selection(method=Method.PACKETS, count=15), Selection(method=Method.TIME, count=15),
     Selection(method=Method.TIME, count=15, strata=5)],
    ids=["packets", "time", "strata"],
)  # fmt: skip
def test_the_stated_power_is_that_of_the_draw(adversary: Adversary, selection: Selection) -> None:
    lengths = [round(value * 1e9) for value in lengths_of("mixed", 60, mean_s=60, seed=5)]
    dirty = dirty_rows(adversary, lengths, 0.06, seed=5)
    stated = power(selection, lengths, dirty)
    seen = found(selection, list_of_lengths(lengths), dirty, trials=300, seed=5)
    assert seen == pytest.approx(stated, abs=4 * math.sqrt(stated * (1 - stated) / 300) + 0.005)


def test_every_adversary_hides_its_share() -> None:
    lengths = [round(value * 1e9) for value in lengths_of("skewed", 300, mean_s=60, seed=7)]
    for adversary in Adversary:
        dirty = dirty_rows(adversary, lengths, 0.03, seed=7)
        assert sum(lengths[row] for row in dirty) >= 0.03 * sum(lengths)
        assert sum(dirty_by_stratum(7, lengths, dirty)) / 7 == pytest.approx(
            sum(lengths[r] for r in dirty) / sum(lengths)
        )
    with pytest.raises(ValueError, match="dirty share"):
        dirty_rows(Adversary.RANDOM, lengths, 0, seed=1)
    assert dirty_rows(Adversary.STRETCHED, lengths, 1.0, seed=1) == frozenset(range(300))
    assert power(Selection(method=Method.TIME, count=4, strata=2), [1, 1], {0}) == 1


# --- allocation --------------------------------------------------------------------------------------------------------


def test_points_are_in_proportion_to_time() -> None:
    assert allocation.points_for(0.01, 0.05) == 299
    assert allocation.allocate([1, 1, 2], 0.01, 0.05) == (75, 75, 150)
    assert allocation.allocate([0.1] * 10, 0.01, 0.05) == (30,) * 10
    with pytest.raises(ValueError, match="stratum"):
        allocation.allocate([], 0.01, 0.05)
    with pytest.raises(ValueError, match="positive"):
        allocation.allocate([1, 0], 0.01, 0.05)


@settings(max_examples=30, deadline=None)
@given(
    strata=st.lists(st.tuples(st.floats(0.1, 5.0), st.integers(0, 60)), min_size=2, max_size=4),
    dirty=st.floats(0.01, 0.4),
    seed=st.integers(0, 999),
)
def test_nobody_hides_better_than_the_worst_answer(strata: list[tuple[float, int]], dirty: float, seed: int) -> None:
    weights, points = [w for w, _ in strata], [n for _, n in strata]
    worst = allocation.worst_miss(points, weights, dirty)
    shares = np.array(weights) / sum(weights)
    rng = np.random.default_rng(seed)
    for _ in range(20):
        # A random way to put the dirt; what does not fit into a stratum goes to the others.
        parts = rng.dirichlet(np.full(len(shares), 0.5)) * dirty / shares
        if np.all(parts <= 1):
            assert np.prod((1 - parts) ** np.array(points)) <= worst * (1 + 1e-9) + 1e-15
    assert worst >= (1 - dirty) ** sum(points) * (1 - 1e-9)


def test_in_proportion_the_worst_answer_is_no_better_than_dirt_everywhere() -> None:
    assert allocation.worst_miss([30, 60, 90], [1, 2, 3], 0.05) == pytest.approx(0.95**180)
    assert allocation.worst_miss([0, 60], [1, 9], 0.05) == 1
    # All points in one half: the other half hides everything up to a half.
    assert allocation.worst_miss([100, 1], [1, 1], 0.3) == pytest.approx(0.4, rel=0.02)


def test_the_fewest_packets() -> None:
    assert allocation.fewest_packets([1, 1, 8], 0.5) == 1
    assert allocation.fewest_packets([1] * 10, 0.3) == 3
    assert allocation.packets_for([1] * 100, 0.05, 0.05) == plain.sample_size(
        population=100, marked=5, detection_probability_min=0.95
    )


# --- bounds ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("population", "sampled", "dirty"), list(itertools.product([9, 14], [3, 6], [0, 1, 2])))
def test_the_hypergeometric_bound_is_that_of_counting(population: int, sampled: int, dirty: int) -> None:
    def tail(marked: int) -> float:
        ways = sum(
            math.comb(marked, x) * math.comb(population - marked, sampled - x) for x in range(min(dirty, sampled) + 1)
        )
        return ways / math.comb(population, sampled)

    expected = max(k for k in range(population + 1) if tail(k) > 0.05 and k <= population - sampled + dirty)
    found = plain.dirty_count_upper(population=population, sampled=sampled, dirty=dirty, miss_probability=0.05)
    assert found == expected


@pytest.mark.parametrize(
    "selection",
    [Selection(method=Method.PACKETS, count=20), Selection(method=Method.TIME, count=20),
     Selection(method=Method.TIME, count=20, strata=4)],
    ids=["packets", "time", "strata"],
)  # fmt: skip
@pytest.mark.parametrize("adversary", [Adversary.CLUSTERED, Adversary.LONGEST])
def test_the_bound_fails_no_more_often_than_stated(selection: Selection, adversary: Adversary) -> None:
    lengths = [round(value * 1e9) for value in lengths_of("mixed", 80, mean_s=60, seed=11)]
    listed, miss = list_of_lengths(lengths), 0.2
    dirty = dirty_rows(adversary, lengths, 0.12, seed=11)
    true = sum(lengths[row] for row in dirty) / sum(lengths)
    failed = 0
    for trial in range(120):
        points = draw_points(hashlib.sha256(f"bound {trial}".encode()).digest(), listed, selection)
        seen = set(points) & dirty
        failed += dirty_time_share_upper(listed, selection, points, seen, miss_probability=miss) < true
    assert failed / 120 <= miss + 3 * math.sqrt(miss * (1 - miss) / 120)


def test_bounds_that_cannot_be_had() -> None:
    listed = list_of_lengths([10, 20, 30])
    assert dirty_time_share_upper(listed, TIME, (), (), miss_probability=0.05) == 1
    with pytest.raises(ValueError, match="not drawn"):
        dirty_time_share_upper(listed, TIME, (0, 1), {2}, miss_probability=0.05)
    with pytest.raises(ValueError, match="below"):
        dirty_time_share_upper(listed, TIME, (0, 1), (), miss_probability=0.3)
    whole = Selection(method=Method.PACKETS, count=3)
    assert dirty_time_share_upper(listed, whole, (0, 1, 2), {1}, miss_probability=0.05) == pytest.approx(20 / 60)


# --- looking early -----------------------------------------------------------------------------------------------------


def test_looking_after_every_point_costs_nothing_if_all_are_clean() -> None:
    plan = SequentialPlan(dirty_share_max=0.01, miss_probability=0.05)
    assert plan.clean_points == allocation.points_for(0.01, 0.05) == 299
    looks = plan.looks(Selection(method=Method.TIME, count=400), range(400), ())
    assert [look.assured for look in looks].index(True) == 298
    assert not any(look.assured for look in plan.looks(TIME, [0] * 400, {0}))


@pytest.mark.parametrize("honest_rate", [0.0, 0.02])
def test_a_dirty_share_is_assured_away_no_more_often_than_stated(honest_rate: float) -> None:
    """The share is just at the limit, and whoever checks stops at the first look that assures, over 200 points."""
    plan = SequentialPlan(dirty_share_max=0.1, miss_probability=0.1, honest_rate=honest_rate)
    rng = np.random.default_rng(17)
    assured = 0
    for _ in range(300):
        dirty = {int(i) for i in np.flatnonzero(rng.random(200) < 0.1)}
        assured += plan.looks(Selection(method=Method.TIME, count=200), range(200), dirty)[-1].assured
    assert assured / 300 <= 0.1 + 3 * math.sqrt(0.1 * 0.9 / 300)


def test_an_honest_prover_with_false_alarms_is_assured() -> None:
    plan = SequentialPlan(dirty_share_max=0.1, miss_probability=0.05, honest_rate=0.01)
    rng = np.random.default_rng(19)
    done = 0
    for _ in range(100):
        dirty = {int(i) for i in np.flatnonzero(rng.random(150) < 0.01)}
        done += plan.looks(Selection(method=Method.TIME, count=150), range(150), dirty)[-1].assured
    assert done >= 97


def test_in_strata_only_whole_rounds_are_looked_at() -> None:
    plan = SequentialPlan(dirty_share_max=0.2, miss_probability=0.05)
    looks = plan.looks(Selection(method=Method.TIME, count=20, strata=5), range(20), ())
    assert [look.points for look in looks] == [5, 10, 15, 20]
    assert [look.assured for look in looks] == [False, False, True, True]


def test_plans_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="honest"):
        SequentialPlan(dirty_share_max=0.01, miss_probability=0.05, honest_rate=0.01)
    plan = SequentialPlan(dirty_share_max=0.1, miss_probability=0.05)
    with pytest.raises(ValueError, match="without replacement"):
        plan.looks(Selection(method=Method.PACKETS, count=5), range(5), ())
    with pytest.raises(ValueError, match="kind of lengths"):
        lengths_of("long", 5, mean_s=1, seed=1)


# --- the command -------------------------------------------------------------------------------------------------------


def plan_of(*words: str) -> object:
    result = CliRunner().invoke(sampling, [*words, "--json"])
    assert result.exit_code == 0, result.exception
    return json.loads(result.output)


def test_the_command_prints_every_published_number() -> None:
    rows = plan_of("published")
    assert isinstance(rows, list)
    assert sum(row["agrees"] for row in rows) == 53
    text = CliRunner().invoke(sampling, ["published"])
    assert "53 of 55 agree" in text.output


def test_the_command_plans() -> None:
    facts = plan_of("replay", "--packets", "200", "--dirty-share", "0.05", "--trials", "20")
    assert isinstance(facts, dict)
    assert [plan["count"] for plan in facts["plans"]][2] == 59
    assert len(facts["power"]) == 24
    chips = plan_of("chips", "--chips", "1000", "--flop", "9.9e24")
    assert isinstance(chips, dict)
    assert (chips["feasible"], chips["exact"]) == (False, None)
    for words in (
        ["packets"],
        ["totals", "--trials", "200"],
        ["chips", "--provers", "3", "--cost", "10"],
        ["replay", "--packets", "50"],
    ):
        assert CliRunner().invoke(sampling, words).exit_code == 0


def test_a_plan_that_nobody_can_carry_out_is_refused() -> None:
    result = CliRunner().invoke(sampling, ["replay", "--dirty-share", "0.00001"])
    assert "no such plan" in str(result.exception)
