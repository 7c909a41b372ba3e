"""The draw: repeatable by other code, uniform, nested, without favourites."""

from __future__ import annotations

import bisect
import hashlib
from collections import Counter

import numpy as np
import pytest
from draw_cases import SECRET, digest, listed, packets
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from inspectorate.drawing.ranks import uniform_below
from inspectorate.drawing.sources import seed_of
from inspectorate.mechanisms.inspection.challenge.draw import draw, draw_order
from inspectorate.mechanisms.inspection.challenge.promise import (
    DrandRound,
    Method,
    Promise,
    Randomness,
    Revealed,
    Selection,
)

COMMITMENT = digest("a commitment")


def revealed(selection: Selection, secret: str = SECRET) -> Randomness:
    return Randomness(source=Revealed(kind="commit-reveal", promise=Promise(secret=secret, selection=selection)))


def chi_square(counts: list[int], shares: list[float]) -> float:
    expected = np.array(shares) * sum(counts)
    return float(np.sum((np.array(counts) - expected) ** 2 / expected))


def chi_square_limit(freedom: int) -> float:
    """The 0.9999 quantile, by Wilson and Hilferty's cube: within 1 % for ten degrees of freedom and more."""
    return freedom * (1 - 2 / (9 * freedom) + 3.719 * (2 / (9 * freedom)) ** 0.5) ** 3


def test_a_draw_by_packets_is_what_the_docstring_says() -> None:
    """The slow obvious way, from the published labels."""
    rows = listed(packets())
    randomness = revealed(Selection(method=Method.PACKETS, count=7))
    seed = hashlib.sha256(
        b"inspectorate/draw/commit-reveal/v1\0" + bytes.fromhex(SECRET) + bytes.fromhex(COMMITMENT[7:])
    ).digest()
    by_rank = sorted(
        range(20),
        key=lambda i: hashlib.sha256(b"inspectorate/draw/rank/v1\0" + seed + i.to_bytes(8, "big")).hexdigest(),
    )
    assert seed_of(randomness, COMMITMENT) == seed
    assert draw_order(seed, rows, randomness.selection) == tuple(by_rank[:7])
    assert draw(randomness, COMMITMENT, rows) == tuple(sorted(by_rank[:7]))


def test_a_draw_by_time_is_what_the_docstring_says() -> None:
    of = packets((1.0, 300.0, 2.0, 50.0))
    rows = listed(of)
    selection = Selection(method=Method.TIME, count=6, strata=3)
    seed = seed_of(revealed(selection), COMMITMENT)
    total = sum(p.end_ns - p.start_ns for p in of)
    found: list[int] = []
    for j in range(6):
        value = int.from_bytes(
            hashlib.sha256(b"inspectorate/draw/point/v1\0" + seed + j.to_bytes(8, "big") + bytes(8)).digest(), "big"
        )
        moment = ((j % 3) * total + value % total) // 3  # a second try is needed once in 2**256 / total
        passed = 0
        for i, p in enumerate(of):
            passed += p.end_ns - p.start_ns
            if moment < passed:
                found += [i] if i not in found else []
                break
    assert draw_order(seed, rows, selection) == tuple(found)


def test_every_packet_and_every_pair_is_drawn_alike_over_10000_draws() -> None:
    rows, selection = listed(packets((60.0,) * 12)), Selection(method=Method.PACKETS, count=3)
    single: Counter[int] = Counter()
    pairs: Counter[tuple[int, int]] = Counter()
    first: Counter[int] = Counter()
    for trial in range(10_000):
        order = draw_order(hashlib.sha256(trial.to_bytes(4, "big")).digest(), rows, selection)
        first[order[0]] += 1
        single.update(order)
        a, b, c = sorted(order)
        pairs.update([(a, b), (a, c), (b, c)])
    assert set(single) == set(range(12))
    assert len(pairs) == 66
    assert chi_square([first[i] for i in range(12)], [1 / 12] * 12) < chi_square_limit(11)
    # Three of one draw are not independent: their counts vary less than a multinomial's, so the limit holds all the more.
    assert chi_square([single[i] for i in range(12)], [1 / 12] * 12) < chi_square_limit(11)
    assert chi_square(list(pairs.values()), [1 / 66] * 66) < chi_square_limit(65)


@pytest.mark.parametrize("strata", [1, 2])
def test_by_time_a_packet_is_drawn_as_often_as_it_is_long(strata: int) -> None:
    lengths = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
    rows = listed(packets(lengths))
    hits: Counter[int] = Counter()
    for trial in range(10_000 // strata):
        seed = hashlib.sha256(b"time" + trial.to_bytes(4, "big")).digest()
        # One point a stratum: each is found whole, as with two strata no packet lies in both.
        hits.update(draw_order(seed, rows, Selection(method=Method.TIME, count=strata, strata=strata)))
    shares = [length / sum(lengths) for length in lengths]
    assert chi_square([hits[i] for i in range(12)], shares) < chi_square_limit(11)


def test_a_skewed_draw_would_be_seen() -> None:
    """The chi-square of the tests above can fail: a modulus without rejection on a short range."""
    counts = Counter(hashlib.sha256(trial.to_bytes(4, "big")).digest()[0] % 100 for trial in range(10_000))
    assert chi_square([counts[i] for i in range(100)], [0.01] * 100) > chi_square_limit(99)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.binary(min_size=32, max_size=32),
    lengths=st.lists(st.sampled_from([0.001, 1.0, 7.0, 600.0]), min_size=1, max_size=30),
    count=st.integers(1, 40),
    method=st.sampled_from(list(Method)),
    first=st.integers(0, 1000),
)
def test_who_asks_for_more_gets_the_same_first(
    seed: bytes, lengths: list[float], count: int, method: Method, first: int
) -> None:
    rows = listed(packets(lengths, first))
    less = draw_order(seed, rows, Selection(method=method, count=count))
    more = draw_order(seed, rows, Selection(method=method, count=count + 9))
    assert more[: len(less)] == less
    assert len(set(more)) == len(more)
    assert all(first <= number < first + len(lengths) for number in more)
    if method is Method.PACKETS:
        assert len(less) == min(count, len(lengths))


def test_the_order_does_not_depend_on_how_many_packets_follow() -> None:
    seed, selection = bytes(32), Selection(method=Method.PACKETS, count=40)
    short, long = listed(packets((60.0,) * 10)), listed(packets((60.0,) * 30))
    order = draw_order(seed, long, selection)
    assert [i for i in order if i < 10] == list(draw_order(seed, short, selection))


@settings(max_examples=50, deadline=None)
@given(seed=st.binary(min_size=32, max_size=32), number=st.integers(0, 10**6), limit=st.integers(1, 2**256))
def test_uniform_numbers_lie_in_range(seed: bytes, number: int, limit: int) -> None:
    assert 0 <= uniform_below(seed, number, limit) < limit


def test_a_hash_beyond_the_last_whole_multiple_is_thrown_away() -> None:
    limit = 2**255 + 1  # a little less than half of all hashes are thrown away
    seed = bytes(32)
    raw = [
        int.from_bytes(hashlib.sha256(b"inspectorate/draw/point/v1\0" + seed + bytes(8) + t.to_bytes(8, "big")).digest(), "big")
        for t in range(64)
    ]  # fmt: skip
    kept = [value for value in raw if value < limit]
    assert uniform_below(seed, 0, limit) == kept[0]
    many = [uniform_below(seed, n, 3 * 2**254) < 2**254 for n in range(3_000)]
    assert 850 < sum(many) < 1150


def test_sources_have_labels_of_their_own() -> None:
    selection = Selection(method=Method.PACKETS, count=1)
    beacon = DrandRound(
        kind="drand", chain="0" * 64, round=1, signature=SECRET + "0" * 32, received_at="2024-11-01T00:00:00Z",
        selection=selection,
    )  # fmt: skip
    assert seed_of(Randomness(source=beacon), COMMITMENT) != seed_of(revealed(selection), COMMITMENT)
    assert seed_of(revealed(selection), COMMITMENT) != seed_of(revealed(selection), digest("another"))
    assert seed_of(revealed(selection), COMMITMENT) != seed_of(revealed(selection, "5f" * 32), COMMITMENT)


def test_a_selection_is_part_of_what_is_promised() -> None:
    one = Promise(secret=SECRET, selection=Selection(method=Method.PACKETS, count=5))
    other = Promise(secret=SECRET, selection=Selection(method=Method.PACKETS, count=6))
    assert one.digest != other.digest


@pytest.mark.parametrize(
    "value",
    [
        {"method": "packets", "count": 0},
        {"method": "packets", "count": 100_001},
        {"method": "packets", "count": 4, "strata": 2},
        {"method": "time", "count": 5, "strata": 2},
        {"method": "any", "count": 5},
    ],
)
def test_selections_that_are_refused(value: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Selection.model_validate(value)


def test_nothing_is_drawn_from_an_empty_list() -> None:
    with pytest.raises(ValueError, match="without packets"):
        draw_order(bytes(32), listed(()), Selection(method=Method.PACKETS, count=1))


def test_strata_find_a_run_of_dirt_at_least_as_often() -> None:
    """With as many points, one in each stretch misses a run of dirt no more often than points anywhere."""
    rows = listed(packets((60.0,) * 40))
    dirty = range(10, 20)
    missed = {1: 0, 8: 0}
    for strata in missed:
        for trial in range(1500):
            seed = hashlib.sha256(b"strata" + bytes([strata]) + trial.to_bytes(4, "big")).digest()
            order = draw_order(seed, rows, Selection(method=Method.TIME, count=8, strata=strata))
            missed[strata] += not any(number in dirty for number in order)
    assert missed[8] == 0  # two whole strata are dirty
    assert 0.07 < missed[1] / 1500 < 0.13  # (3/4)**8 = 0.100


def test_the_end_of_the_last_packet_is_never_passed() -> None:
    ends = [10, 20, 30]
    assert [bisect.bisect_right(ends, moment) for moment in (0, 9, 10, 29)] == [0, 0, 1, 2]
