"""The game of inspections against its written-out form, and what a prover gains who knows the plan."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inspections_oracle import every_use, payoffs, random_game, run_of, value_of

from inspectorate.planning.inspections.adversary import Aim, best_answer
from inspectorate.planning.inspections.build import Limits
from inspectorate.planning.inspections.candidates import EFFORT_QUICK, Question, best_plan
from inspectorate.planning.inspections.compared import answer_to, greedy, mixture_of, pinned, run_if_clean, uniform
from inspectorate.planning.inspections.equilibrium import WEIGHT_SUM, Effort, equilibrium
from inspectorate.planning.inspections.game import Game, Kind, Look, Visits, log_miss
from inspectorate.planning.inspections.marginals import madow
from inspectorate.planning.inspections.methods import Methods, Whereabouts
from inspectorate.planning.inspections.places import Open, Place
from inspectorate.planning.inspections.season import season, solve_season

SIX = 1e-6


@pytest.mark.parametrize("seed", range(8))
def test_the_value_is_that_of_the_game_with_everything_written_out(seed: int) -> None:
    game = random_game(np.random.default_rng(seed), places_max=6)
    value = value_of(payoffs(game))
    found = equilibrium(game)
    assert found.lower == pytest.approx(value, rel=2 * SIX, abs=1e-9)
    assert found.upper == pytest.approx(value, rel=2 * SIX, abs=1e-9)
    assert found.gap <= 3 * SIX or value < 1e-9
    assert all(visits.fits(game) for visits in found.lists)


@pytest.mark.parametrize("seed", range(2))
def test_the_chance_that_a_run_of_a_size_escapes_is_that_of_the_written_out_game(seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    game = random_game(rng, places_max=5)
    size = 0.6 * game.run_flop(game.counts)
    found = equilibrium(game, Aim(size_flop=size)) if size else None
    if found is not None:
        assert found.upper == pytest.approx(value_of(payoffs(game, size)), abs=4 * SIX)


@pytest.mark.parametrize("seed", range(3))
def test_no_use_of_single_places_gains_more_than_the_bound_says(seed: int) -> None:
    """Lists and places are drawn: what the best use gets, by simulation, stays at the value, within what chance does here."""
    rng = np.random.default_rng(seed)
    game = random_game(rng, places_max=5)
    found = equilibrium(game)
    weights = np.array(found.weights) / sum(found.weights)
    uses = list(every_use(game))
    gains = np.zeros(len(uses))
    trials = 600
    for number in rng.choice(len(weights), size=trials, p=weights):
        visits = found.lists[number]
        looked = {
            (c, int(p)): game.kinds[c].looks[visits.look[c]].power
            for c, kind in enumerate(game.kinds)
            for p in rng.permutation(kind.count)[: visits.number[c]]
        }
        for u, used in enumerate(uses):
            escape = 1.0
            for place in used & looked.keys():
                escape *= 1 - looked[place]
            gains[u] += escape * run_of(game, used)
    largest = game.run_flop(game.counts)
    assert gains.max() / trials <= found.upper + 0.12 * largest


def test_a_wrong_plan_is_found_out() -> None:
    """The oracle can fail: the greedy list, known to the prover, is worse than the value."""
    looks = (Look(method="look", power=1.0, days=1.0, days_min=1.0),)
    kinds = tuple(
        Kind(name=name, places=(name,), site=0, base_flop=0.0, lead_flop=np.array([size]), looks=looks)
        for name, size in (("large", 10.0), ("small", 9.0))
    )
    game = Game(kinds=kinds, travel_days=(0.0,), days=1.0, visits_max=1, cap_flop=1e9)
    visits, steps = greedy(game)
    assert visits.number == (1, 0)
    assert [step.run_after_flop for step in steps] == [9.0]
    known, there = pinned(game, visits)
    gets = answer_to(known, (there,), np.ones(1), Effort()).value
    found = equilibrium(game)
    # Look at the large with p, at the small with 1 - p: 10 (1 - p) = 9 p for one place, and nothing for both.
    assert found.upper == pytest.approx(10 * 9 / 19, rel=1e-5)
    assert gets == 9.0


def test_places_that_are_alike_are_sampled_as_by_shavit() -> None:
    """n alike pods that pool: who uses k of n escapes m looks with C(n-k, m)/C(n, m)."""
    looks = (Look(method="look", power=1.0, days=1.0, days_min=1.0),)
    kind = Kind(
        name="pod", places=tuple(f"p{i}" for i in range(12)), site=0, base_flop=1.0, lead_flop=np.zeros(1), looks=looks
    )
    game = Game(kinds=(kind,), travel_days=(0.0,), days=3.0, visits_max=1, cap_flop=1e9)
    by_hand = max(k * np.prod([(12 - k - i) / (12 - i) for i in range(3)]) for k in range(13))
    found = equilibrium(game)
    assert found.upper == pytest.approx(by_hand, rel=1e-5)
    assert run_if_clean(game, found.lists, np.array(found.weights) / sum(found.weights)) == 9.0


@given(st.integers(1, 9), st.data())
@settings(max_examples=30, deadline=None)
def test_the_chance_to_escape_is_the_mean_over_all_samples(places: int, data: st.DataObject) -> None:
    looked = data.draw(st.integers(0, places))
    power = data.draw(st.sampled_from([0.0, 0.3, 0.95, 1.0]))
    table = np.exp(log_miss(places, looked, power))
    for used in range(places + 1):
        samples = list(itertools.combinations(range(places), looked))
        mean = np.mean([(1 - power) ** sum(one < used for one in sample) for sample in samples])
        assert table[used] == pytest.approx(mean, abs=1e-12)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_systematic_sampling_has_just_the_marginals(marginals: list[float]) -> None:
    given_ = np.array(marginals)
    samples = madow(given_)
    assert sum(chance for _, chance in samples) == pytest.approx(1)
    met = np.zeros(len(given_))
    for sample, chance in samples:
        met[list(sample)] += chance
        assert abs(len(sample) - given_.sum()) <= 1 + 1e-9
    assert met == pytest.approx(given_, abs=1e-9)
    assert len(samples) <= len(given_) + 1


@pytest.mark.parametrize("seed", range(3))
def test_more_days_more_visits_and_more_power_never_help_the_prover(seed: int) -> None:
    game = random_game(np.random.default_rng(seed), places_max=5)
    value = equilibrium(game).upper
    more = Game(kinds=game.kinds, travel_days=game.travel_days, days=game.days + 1, visits_max=game.visits_max + 1,
                cap_flop=game.cap_flop)  # fmt: skip
    assert equilibrium(more).lower <= value * (1 + 1e-5) + 1e-9


def test_uniform_chance_is_a_feasible_plan_and_no_better() -> None:
    game = random_game(np.random.default_rng(3), places_max=6)
    lists, weights = uniform(game, orders=60)
    assert all(visits.fits(game) for visits in lists)
    assert answer_to(game, lists, weights, Effort()).value >= equilibrium(game).lower * (1 - 1e-9)


def test_the_search_of_a_large_game_ends_with_an_honest_bound() -> None:
    rng = np.random.default_rng(5)
    looks = (Look(method="look", power=0.9, days=1.0, days_min=1.0),)
    kinds = tuple(
        Kind(name=f"k{i}", places=tuple(f"k{i}p{j}" for j in range(5)), site=i % 4, base_flop=float(rng.random()),
             lead_flop=rng.random(3), looks=looks)
        for i in range(6)
    )  # fmt: skip
    game = Game(kinds=kinds, travel_days=(1.0,) * 4, days=8.0, visits_max=2, cap_flop=1e9)
    found = equilibrium(game, effort=Effort(tolerance=2e-2, rounds_max=3, nodes_max=8, whole=False))
    mixture = mixture_of(game, found.lists, np.array(found.weights) / sum(found.weights))
    used = rng.integers(0, 6, size=(100, 6))
    assert max(mixture.value(k, Aim()) for k in used) <= found.upper
    assert best_answer(mixture, Aim(), tolerance=1e-3, nodes_max=1).bound >= found.upper * (1 - 1e-2)
    assert found.lower <= found.upper


def test_the_published_plan_is_never_proved_worse_than_uniform_chance() -> None:
    """Twelve unlike sites that pool: coarse kinds, fine kinds, uniform chance, and the one that is proved best."""
    place = Place(
        name="s", pods=("p",), basis=("b",), site=0, hidden_flop=1.0, base_flop=1.0, lead_flop=np.zeros(1),
        pods_looked_at=1, pod_hours=24.0, when=np.ones(1, dtype=bool), run_without_flop=0.0,
    )  # fmt: skip
    places = [dataclasses.replace(place, name=f"s{i}", site=i, base_flop=1.0 + i / 8) for i in range(12)]
    open_ = Open(places=tuple(places), run_flop=sum(p.base_flop for p in places), elsewhere_flop=0.0, intervals=(),
                 by_site=True)  # fmt: skip
    at = Whereabouts(sites=tuple(p.name for p in places), travel_days=(1.0,) * 12, of_pod={}, notes=())
    asked = Question(at=at, methods=Methods.read(None), limits=Limits(days=9.0, visits=3), sure={}, effort=EFFORT_QUICK)
    chosen = best_plan([open_], asked)
    assert chosen.found.upper <= chosen.uniform_at_most * (1 + 1e-4)
    assert chosen.least <= chosen.found.found <= chosen.found.upper
    assert sum(chosen.found.weights) == WEIGHT_SUM
    assert len(chosen.built.game.kinds) <= EFFORT_QUICK.kinds[0]


# --- the year ------------------------------------------------------------------------------------------------------------


def by_program(values: list[float], weeks: int, visits: int) -> float:
    """The same recursion, each week's matrix game by trying mixtures on a grid of pairs."""
    if weeks == 0:
        return 0.0
    most = min(visits, len(values) - 1)
    later = [by_program(values, weeks - 1, visits - n) for n in range(most + 1)]
    pairs = [(i, j, p) for i in range(most + 1) for j in range(most + 1) for p in np.linspace(0, 1, 401)]
    return min(max(p * values[i] + (1 - p) * values[j], p * later[i] + (1 - p) * later[j]) for i, j, p in pairs)


@pytest.mark.parametrize(("weeks", "visits"), [(1, 0), (1, 1), (2, 1), (3, 1), (3, 2)])
def test_the_year_is_its_recursion(weeks: int, visits: int) -> None:
    values = [10.0, 4.0, 1.0]
    year = season(values, weeks=weeks, visits=visits)
    assert year.value == pytest.approx(by_program(values, weeks, visits), rel=5e-3)


@pytest.mark.parametrize(("weeks", "visits"), [(4, 1), (5, 2), (6, 3), (52, 20)])
def test_a_visit_that_finds_for_certain_leaves_the_share_of_weeks_without_one(weeks: int, visits: int) -> None:
    """With V = (1, 0, ...): U(w, r) = 1 - r/w, by induction, since p = r/w makes both answers of the prover alike."""
    assert solve_season([1.0, 0.0], weeks=weeks, visits=visits)[weeks][visits][0] == pytest.approx(1 - visits / weeks)


def test_random_times_beat_early_and_known_ones() -> None:
    year = season([10.0, 1.0], weeks=20, visits=10)
    assert year.value <= year.random_weeks * (1 + 1e-9)
    assert year.value < year.all_early
    assert year.known_even == year.all_early == 10.0


@pytest.mark.parametrize("values", [[], [1.0, 2.0]])
def test_a_year_of_rising_values_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="never rise"):
        season(values, weeks=2, visits=1)


def test_no_days_leave_everything() -> None:
    game = random_game(np.random.default_rng(1), places_max=4)
    none = Game(kinds=game.kinds, travel_days=game.travel_days, days=0.0, visits_max=3, cap_flop=game.cap_flop)
    found = equilibrium(none)
    assert found.upper == pytest.approx(none.run_flop(none.counts))
    assert found.lists == (Visits.none(none),)
