"""The optimum of the program against a search over every choice, and the properties that any optimum has."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from portfolio_fleets import DATE, START, brute_force, large_question, small_question, terms

from inspectorate.account.largest import Joins
from inspectorate.account.largest import largest_run as largest_of_pods
from inspectorate.errors import InputError
from inspectorate.planning.portfolio import (
    FLEET,
    Case,
    Fleet,
    FleetCluster,
    Progress,
    Question,
    bound_of,
    cheapest,
    example_fleet,
    largest_run,
    plan_of,
    program,
    sensitivity,
    shipped_catalogue,
    tightest,
    why_not,
)
from inspectorate.planning.portfolio.catalogue import Catalogue
from inspectorate.planning.portfolio.model import cost_of, smallest_cut
from inspectorate.planning.portfolio.options import scenes_of, undominated
from inspectorate.planning.portfolio.program import Outcome, Solution
from inspectorate.planning.portfolio.solve import choice_of, stretch_of

SEEDS = range(16)


def four() -> Fleet:
    """One cluster of each use, as large together as the example of twelve."""
    shipped = example_fleet("figure-1")
    kept = [
        one.model_copy(update={"h100_equivalents": 6000})
        for one in shipped.clusters
        if one.id in {"a1", "b1", "d1", "e1"}
    ]
    return Fleet(id="four", clusters=tuple(kept))


def question(bound: float = 1e25, fleet: Fleet | None = None, **more: object) -> Question:
    asked = bound_of(bound, years=4, progress=Progress())
    terms_ = {"fleet": fleet or four(), "catalogue": shipped_catalogue(), "agreement": terms()}
    return Question(**terms_, requirements=(asked,), date=DATE, start=START, **more)  # type: ignore[arg-type]


# --- against the slow search -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_the_optimum_is_that_of_the_search_over_every_choice(seed: int) -> None:
    asked = small_question(seed)
    best, found, nearest = brute_force(asked), cheapest(asked), tightest(asked)
    assert (found is None) == (best.cost is None)
    if found is not None and best.cost is not None:
        assert found.cost == pytest.approx(best.cost, rel=1e-9, abs=1e-6)
        assert found.stretch <= 1 + 1e-9
    assert (nearest is None) == (best.stretch is None)
    if nearest is not None and best.stretch is not None:
        assert nearest.stretch == pytest.approx(best.stretch, rel=1e-6, abs=1e-9)


def test_the_search_meets_plans_and_questions_without_one() -> None:
    found = [cheapest(small_question(seed)) is not None for seed in SEEDS]
    assert 3 <= sum(found) <= len(found) - 3


@settings(max_examples=30)
@given(st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=1, max_size=30))
def test_what_dominance_strikes_out_is_beaten_by_what_it_keeps(rows: list[list[int]]) -> None:
    matrix = np.array(rows, dtype=float)
    kept = undominated(matrix, np.zeros(len(matrix), dtype=int))
    assert all((matrix[kept] <= row).all(axis=1).any() for row in matrix)
    for a in kept:
        assert not any((matrix[b] <= matrix[a]).all() for b in kept if b != a)


@settings(max_examples=30)
@given(st.lists(st.frozensets(st.sampled_from("abcd"), min_size=1), max_size=6))
def test_a_smallest_cut_meets_every_set_and_no_smaller_one_does(sets: list[frozenset[str]]) -> None:
    powers = [frozenset(c for n, c in enumerate("abcd") if bits >> n & 1) for bits in range(16)]
    least = min(len(some) for some in powers if all(some & one for one in sets))
    assert smallest_cut(sets) == least


# --- properties --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["flexheg", "interconnect-limits"])
def test_more_to_choose_from_never_costs_more(name: str) -> None:
    more, less = cheapest(question()), cheapest(question(without=frozenset({name})))
    assert more is not None
    assert less is None or less.cost >= more.cost * (1 - 1e-9)


@settings(max_examples=3)
@given(st.floats(24, 27), st.floats(0.1, 1))
def test_a_tighter_bound_never_costs_less(exponent: float, share: float) -> None:
    loose, tight = cheapest(question(10**exponent)), cheapest(question(10**exponent * share))
    assert loose is not None
    assert tight is None or tight.cost >= loose.cost * (1 - 1e-9)


def test_a_mechanism_that_another_beats_is_never_chosen() -> None:
    shipped = shipped_catalogue()
    better = shipped.mechanism("workload-signatures")
    dearer = better.cost.model_copy(update={"cluster": better.cost.chip, "chip": better.cost.cluster})
    worse = better.model_copy(update={"id": "a-worse-one", "cost": dearer})
    both = [worse.model_dump(), *(one.model_dump() for one in shipped.mechanisms)]
    more = Catalogue.model_validate({**shipped.model_dump(), "mechanisms": both})
    found = cheapest(replace(question(3e25), catalogue=more))
    assert found is not None
    used = set().union(*found.chosen.values())
    assert "a-worse-one" not in used
    assert "workload-signatures" in used


@pytest.mark.parametrize("failures", [0, 1])
def test_the_bound_holds_whichever_roots_fail(failures: int) -> None:
    asked = question(1e26, failures=failures)
    found = cheapest(asked)
    assert found is not None
    runs = [largest_run(asked, found.chosen, failed=failed).flop for failed in asked.failing(failures)]
    assert max(runs) <= 1e26 * (1 + 1e-9)
    assert max(runs) == pytest.approx(found.stretch * 1e26)


def test_without_asking_for_failures_some_root_breaks_the_bound() -> None:
    asked = question(1e26)
    found = cheapest(asked)
    assert found is not None
    assert max(largest_run(asked, found.chosen, failed=failed).flop for failed in asked.failing(1)) > 1e26


def test_caps_refusals_and_levels_are_kept() -> None:
    shut = question(3e25, refused=frozenset({"code"}), access_level_max=3, caps={"power-and-load": 1e6})
    found = cheapest(shut)
    assert found is not None
    plan = plan_of(shut, found)
    used = [shipped_catalogue().mechanism(name) for name in set().union(*found.chosen.values())]
    assert all("code" not in one.access.kinds and one.access.level <= 3 for one in used)
    assert all(one.reveals_bits_per_day.get("power-and-load", (0, 0, 0))[1] <= 1e6 for one in plan.clusters)


def test_a_budget_buys_the_smallest_run_and_less_buys_no_smaller_one() -> None:
    rich, poor = (tightest(question(budget=money)) for money in (4e7, 1e7))
    assert rich is not None
    assert poor is not None
    assert rich.cost <= 4e7 * (1 + 1e-9)
    assert poor.stretch >= rich.stretch
    assert cost_of(question(), poor.chosen) == pytest.approx(poor.cost)


def test_layers_are_independent() -> None:
    asked = question(1e27, layers=2)
    found = cheapest(asked)
    assert found is not None
    assert all(one.layers >= 2 for one in plan_of(asked, found).subgoals)
    assert not all(one.layers >= 2 for one in plan_of(asked, cheapest(question(1e27)) or found).subgoals)


def test_what_is_there_stays_and_costs_nothing() -> None:
    fleet = four()
    there = fleet.model_copy(update={
        "clusters": tuple(one.model_copy(update={"existing": ("flexheg",)}) for one in fleet.clusters), "existing": ("interviews",),
    })  # fmt: skip
    found = cheapest(question(1e24, fleet=there))
    assert found is not None
    assert found.cost == 0
    assert all("flexheg" in names for place, names in found.chosen.items() if place != FLEET)


def test_the_worked_example_of_progress() -> None:
    """10,000 H100 in 2022 are about 1,000 H100 in 2024 (arXiv 2506.15867, A1)."""
    assert 10_000 * Progress(algorithmic_per_year=3).threshold_share(2) == pytest.approx(1_000, rel=0.15)
    later = bound_of(1e25, years=2, progress=Progress(algorithmic_per_year=3))
    assert later.flop_max == pytest.approx(1e25 / 9)


def test_a_delay_costs_and_pessimism_costs_more() -> None:
    asked = question(1e24)
    on_time, late = cheapest(asked), cheapest(asked.but(delays={"flexheg": 2.0}))
    assert on_time is not None
    assert late is not None
    assert late.cost > on_time.cost
    assert cheapest(asked.but(case=Case.OPTIMISTIC)).cost < on_time.cost  # type: ignore[union-attr]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 5), *(st.sampled_from([0.0, 0.01, 0.05, 0.3, 1.0]) for _ in range(2))),
        min_size=1,
        max_size=5,
    )
)
def test_the_run_is_that_of_the_rule_of_the_account(clusters: list[tuple[int, float, float]]) -> None:
    """Clusters of alike pods, with a residual and a joining factor each: `model` counts clusters, the account counts pods."""
    shipped = shipped_catalogue()
    both = shipped.mechanism("interconnect-limits")
    kept = [both.model_copy(update={
        "id": f"m{n}", "needs": (), "joining": both.joining.model_copy(update={"range": (joining,) * 3}),  # type: ignore[union-attr]
        "residual": shipped.mechanism("workload-signatures").residual.model_copy(update={"range": (residual,) * 3}),  # type: ignore[union-attr]
    }) for n, (_, residual, joining) in enumerate(clusters)]  # fmt: skip
    catalogue = Catalogue(id="both", version=1, currency="USD", roots=shipped.roots, mechanisms=tuple(kept))
    sized = [
        FleetCluster(id=f"c{n}", h100_equivalents=100.0 * (n + 1), use="inference", pods=pods)
        for n, (pods, _, _) in enumerate(clusters)
    ]
    asked = replace(question(fleet=Fleet(id="some", clusters=tuple(sized))), catalogue=catalogue)
    chosen = {FLEET: frozenset[str](), **{f"c{n}": frozenset({f"m{n}"}) for n in range(len(clusters))}}
    capacity = np.concatenate([[asked.capacity_flop(one) / one.pods] * one.pods for one in sized])[:, None]
    of_pods = np.concatenate([[one] * one[0] for one in clusters])
    joins = Joins(further=of_pods[:, 2:], falling=())
    by_pods, _ = largest_of_pods(joins, capacity * of_pods[:, 1:2], capacity)
    assert largest_run(asked, chosen).flop == pytest.approx(by_pods[0], rel=1e-9)


# --- no plan -----------------------------------------------------------------------------------------------------------


def test_without_a_plan_the_cause_is_named_and_the_nearest_bound_is_reached() -> None:
    asked = question(1e24, keep_running=True, without=frozenset({"flexheg"}))
    assert cheapest(asked) is None
    why = why_not(asked)
    enough = {cause.term for cause in why.causes if cause.enough}
    assert "without flexheg" in enough
    assert "clusters go on working" in enough
    assert why.nearest is not None
    assert why.nearest > 1
    near = cheapest(asked.but(requirements=(bound_of(why.nearest * 1e24 * (1 + 1e-6), years=0, progress=Progress()),)))
    assert near is not None
    assert stretch_of(asked, near.chosen) == pytest.approx(why.nearest, rel=1e-5)


def test_a_date_that_is_too_early_is_named_as_such() -> None:
    asked = question(1e24, keep_running=True).but(date=START)
    why = why_not(asked)
    assert why.first_day is not None
    assert why.first_day > START
    assert cheapest(asked.but(date=why.first_day)) is not None


def test_a_search_that_finds_nothing_in_time_is_not_taken_for_the_absence_of_a_plan() -> None:
    asked = question()
    with pytest.raises(InputError, match="does not say that there is none"):
        choice_of(asked, scenes_of(asked), (), Solution(Outcome.TIME))


@pytest.mark.parametrize("failures", [0, 1])
def test_the_way_of_large_fleets_comes_within_its_gap_of_that_of_small_ones(
    failures: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = large_question(3, 6, 4, share=0.5, failures=failures)
    exact = cheapest(asked)
    monkeypatch.setattr(program, "SMALL_FLEET", 2)
    found = cheapest(asked.but(gap=0.02))
    assert exact is not None
    assert found is not None
    assert found.gap <= 0.02
    assert exact.cost * (1 - 1e-9) <= found.cost <= exact.cost * 1.0205


def test_a_figure_that_decides_is_found_and_one_that_does_not_is_not() -> None:
    asked = large_question(1, 2, 3, share=0.5)
    found = cheapest(asked)
    assert found is not None
    swings = sensitivity(asked, found)
    used = set().union(*found.chosen.values())
    assert any(one.changes for one in swings)
    for one in swings:
        if one.changes and one.cost is not None and one.end is Case.OPTIMISTIC:
            assert one.cost <= found.cost * (1 + 1e-9)
        if one.mechanism not in used and one.end is Case.PESSIMISTIC:
            assert not one.changes, "what is not chosen is no more so when it gets worse"
