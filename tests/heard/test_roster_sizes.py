"""Sizes of draws against the closed form, against counting, and against the numbers of the one exact oracle; draws are uniform."""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import math
import random
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from roster_cases import Round, selection

from inspectorate.drawing.ranks import RANK_LABEL
from inspectorate.drawing.sources import seed_of
from inspectorate.mechanisms.interviews.roster import reference
from inspectorate.mechanisms.interviews.roster.draw import order_of, replace, visiting_order
from inspectorate.mechanisms.interviews.roster.selection import Reach, Selection, sizes_of
from inspectorate.mechanisms.interviews.roster.sizes import (
    Wanted,
    chance_of_more,
    reached,
    smallest_draw,
    smallest_draw_at_random,
)
from inspectorate.statistics.sampling import sample_size

# --- sizes ---------------------------------------------------------------------------------------------------------------


def exact(people: int, knowing: int, drawn: int, lost: int) -> Fraction:
    """P(X > lost) from the definition."""
    ways = sum(
        math.comb(knowing, x) * math.comb(people - knowing, drawn - x) for x in range(lost + 1, min(knowing, drawn) + 1)
    )
    return Fraction(ways, math.comb(people, drawn))


def by_trying(people: int, knowing: int, reach: Fraction, share: Fraction) -> int | None:
    """The smallest size by trying each."""
    sizes = (n for n in range(1, people + 1) if exact(people, knowing, n, math.floor(share * n)) >= reach)
    return next(sizes, None)


def test_chances_are_those_of_counting_every_draw() -> None:
    people, knowing = 7, 3
    for drawn, lost in itertools.product(range(1, 8), range(4)):
        draws = list(itertools.combinations(range(people), drawn))
        counted = sum(sum(entry < knowing for entry in draw) > lost for draw in draws) / len(draws)
        assert chance_of_more(people, knowing, drawn, lost) == pytest.approx(counted, abs=1e-12)


def test_sizes_reproduce_the_closed_form_on_published_numbers() -> None:
    """The smallest n with 1 - C(N - K, n)/C(N, n) >= reach."""
    found = {}
    for name, (knowing, people) in reference.CONTRIBUTORS.items():
        for reach in (Fraction(9, 10), Fraction(95, 100), Fraction(99, 100)):
            size = smallest_draw(Wanted(people=people, knowing=knowing, reach=float(reach)))
            closed = next(
                n for n in range(1, people)
                if 1 - Fraction(math.comb(people - knowing, n), math.comb(people, n)) >= reach
            )  # fmt: skip
            assert size == closed == by_trying(people, knowing, reach, Fraction(0))
            found[name, float(reach)] = size
    assert [found[name, 0.95] for name in reference.CONTRIBUTORS] == [9, 6, 4]


@settings(max_examples=60, deadline=None)
@given(people=st.integers(1, 60), part=st.fractions(0, 1), percent=st.integers(1, 99), share=st.integers(0, 60))
def test_sizes_are_those_of_trying_each_in_the_worst_case_too(
    people: int, part: Fraction, percent: int, share: int
) -> None:
    knowing = max(1, math.floor(part * people))
    wanted = Wanted(people=people, knowing=knowing, reach=percent / 100)
    expected = by_trying(people, knowing, Fraction(percent, 100), Fraction(share, 100))
    assert smallest_draw(wanted, unheard_share=share / 100) == expected
    if share == 0:
        assert expected == sample_size(population=people, marked=knowing, detection_probability_min=percent / 100)


def test_a_tie_is_decided_in_whole_numbers() -> None:
    # 1 of 4 knows: two drawn reach with exactly one half, which is enough, and a double below is not.
    assert smallest_draw(Wanted(people=4, knowing=1, reach=0.5)) == 2
    assert smallest_draw(Wanted(people=10, knowing=1, reach=0.7)) == 7
    assert smallest_draw(Wanted(people=10, knowing=1, reach=0.7000001)) == 8


def test_where_those_who_know_can_all_refuse_no_draw_reaches() -> None:
    assert smallest_draw(Wanted(people=300, knowing=10, reach=0.95), unheard_share=0.1) is None
    assert smallest_draw_at_random(Wanted(people=300, knowing=10, reach=0.95), unheard_share=0.1) == 85
    assert smallest_draw(Wanted(people=300, knowing=10, reach=0.95), unheard_share=1.0) is None


def test_what_a_refusal_costs_is_ordered_and_the_worst_case_is_reached() -> None:
    for unheard in range(5):
        chance = reached(people=40, knowing=6, drawn=12, unheard=unheard)
        assert chance.worst <= chance.at_random <= chance.all_heard
        # The worst case happens: of all draws, those who know refuse first.
        randomly = random.Random(unheard)
        heard = sum(sum(e < 6 for e in randomly.sample(range(40), 12)) > unheard for _ in range(2000)) / 2000
        assert heard == pytest.approx(chance.worst, abs=0.05)
    assert reached(people=40, knowing=6, drawn=0).all_heard == 0.0


@pytest.mark.parametrize(
    ("people", "knowing", "reach"), [(0, 0, 0.5), (5, 6, 0.5), (5, 1, 0.0), (5, 1, 1.0), (10**6, 1, 0.5)]
)
def test_sizes_that_make_no_sense(people: int, knowing: int, reach: float) -> None:
    with pytest.raises(ValueError, match=r"stratum|chance"):
        Wanted(people=people, knowing=knowing, reach=reach)


def test_a_rule_follows_the_size_of_the_stratum_and_takes_everybody_where_no_draw_reaches() -> None:
    def rule(knowing: int, unheard: float = 0.0) -> Reach:
        return Reach(kind="reach", knowing_min=knowing, reach_min=0.9, unheard_share_max=unheard)

    listed = Round().listed
    found = sizes_of(Selection(strata={"operations": rule(3), "research": rule(9)}), listed)
    assert found == {"operations": smallest_draw(Wanted(people=12, knowing=3, reach=0.9)), "research": 8}
    unreached = Selection(strata={"operations": rule(1, 0.5), "research": rule(8)})
    assert sizes_of(unreached, listed) == {"operations": 12, "research": 1}


# --- draws ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    path = Path(__file__).parents[2] / "bench" / "interview_draws.py"
    spec = importlib.util.spec_from_file_location("roster_bench", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_draws_are_uniform_over_entries_and_pairs_and_a_draw_that_is_not_is_seen(bench: ModuleType) -> None:
    randomly = random.Random(5)
    listed = bench.roster(randomly)
    found = list(bench.draws(1500, randomly, listed))
    assert all(test.p > 0.001 for test in bench.uniformity(found, listed))
    # A verifier that draws again until it likes entry 0, one time in five.
    liked = (one for one in bench.draws(10_000, randomly, listed) if 0 in one)
    aimed = [next(liked) if n % 5 == 0 and 0 not in one else one for n, one in enumerate(found)]
    assert min(test.p for test in bench.uniformity(aimed, listed)) < 0.001
    # One that keeps three couples from being drawn together.
    members = bench.members(listed)["operations"]
    couples = [set(members[n : n + 2]) for n in (0, 2, 4)]
    apart = [one for one in found if not any(couple <= set(one) for couple in couples)]
    assert {test.what: test.p < 0.001 for test in bench.uniformity(apart, listed)}["pairs of operations"]


def test_the_order_is_that_of_the_published_hashes() -> None:
    """An oracle of its own: sort all entries by SHA-256(label ‖ seed ‖ number)."""
    case = Round(selection=selection(operations=4, research=2))
    roster = case.committed()
    seed = seed_of(case.randomness, roster.digest)
    ranks = {e: hashlib.sha256(RANK_LABEL + seed + e.to_bytes(8, "big")).digest() for e in range(20)}
    listed = case.listed
    expected = {
        name: tuple(sorted((e for e in range(20) if listed.stratum(e) == name), key=ranks.__getitem__)) for name in listed.strata
    }  # fmt: skip
    order = order_of(seed, listed)
    assert order == expected
    assert case.first(roster) == tuple(sorted((*expected["operations"][:4], *expected["research"][:2])))
    assert replace(order, {"research": 2}, {"research": 3}) == tuple(sorted(expected["research"][2:5]))
    visits = visiting_order(seed, 20)
    assert sorted(visits) == list(range(20))
    assert visits != tuple(sorted(range(20), key=ranks.__getitem__))


def test_another_roster_or_secret_draws_otherwise() -> None:
    case = Round()
    one, other = case.committed(), case.committed(committed_at=case.committed().predicate.period.start)  # type: ignore[union-attr]
    assert one.digest == other.digest
    moved = case.committed(promise=None)
    assert case.first(one) != case.first(moved)
    assert Round(secret="00" * 32).first(one) != case.first(one)
