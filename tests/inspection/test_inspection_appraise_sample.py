"""Bounds from draws against enumeration of all that could have been drawn."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest
from inspection_site_evidence import GUILTY, REPLAYED, case, evidence

from inspectorate.mechanisms.inspection.appraise.common import work_of
from inspectorate.mechanisms.inspection.appraise.sample import (
    Stratum,
    found_lower,
    points_of,
    seen_probability,
    share_upper,
)

BETA = 0.2


def stratum(time: tuple[float, ...], picks: tuple[int, ...], *, by_time: bool, shares: tuple[float, ...]) -> Stratum:
    return Stratum(
        time=np.array(time),
        flop=np.array(time)[::-1].copy(),
        picks=picks,
        by_time=by_time,
        found={item: shares[item] for item in picks},
    )


def outcomes(
    times: tuple[float, ...], draws: int, *, by_time: bool, shares: tuple[float, ...]
) -> Iterator[tuple[float, Stratum]]:
    """All that could have been drawn from one commitment, with its chance."""
    items = range(len(times))
    if by_time:
        total = sum(times)
        for picks in itertools.product(items, repeat=draws):
            chance = math.prod(times[item] / total for item in picks)
            yield chance, stratum(times, picks, by_time=True, shares=shares)
    else:
        every = list(itertools.combinations(items, draws))
        for picks in every:
            yield 1 / len(every), stratum(times, picks, by_time=False, shares=shares)


def time_of(one: Stratum) -> np.ndarray:
    return one.time


@pytest.mark.parametrize("by_time", [True, False])
@pytest.mark.parametrize("dirty", [(), (0,), (3,), (0, 1), (1, 2, 3), (0, 1, 2, 3)])
def test_the_bound_of_one_commitment_fails_no_more_often_than_said(by_time: bool, dirty: tuple[int, ...]) -> None:
    times = (1.0, 2.0, 2.0, 5.0)
    shares = tuple(0.0 if item in dirty else 1.0 for item in range(4))
    true = sum(times[item] for item in dirty) / sum(times)
    failed = sum(
        chance
        for chance, one in outcomes(times, 3, by_time=by_time, shares=shares)
        if share_upper([one], time_of, level=1.0, miss_probability=BETA) < true - 1e-12
    )
    assert failed <= BETA + 1e-12


@pytest.mark.parametrize("dirty", [(0,), (2,), (4,), (1, 4), (0, 3), (2, 3, 4), (0, 1, 2, 3, 4)])
def test_the_bound_of_two_commitments_that_were_sampled_unevenly_does_not_either(dirty: tuple[int, ...]) -> None:
    first, second = (1.0, 3.0, 2.0), (4.0, 1.0)
    shares = tuple(0.0 if item in dirty else 1.0 for item in range(5))
    times = (*first, *second)
    true = sum(times[item] for item in dirty) / sum(times)
    failed = 0.0
    for chance, one in outcomes(first, 3, by_time=True, shares=shares[:3]):
        for other_chance, other in outcomes(second, 1, by_time=False, shares=shares[3:]):
            if share_upper([one, other], time_of, level=1.0, miss_probability=BETA) < true - 1e-12:
                failed += chance * other_chance
    assert failed <= BETA + 1e-12


def test_a_mean_share_is_bounded_from_below_no_more_often_wrong_than_said() -> None:
    times, shares = (2.0, 2.0, 3.0, 3.0), (0.99, 0.6, 0.3, 0.0)
    true = sum(t * s for t, s in zip(times, shares, strict=True)) / sum(times)
    failed = sum(
        chance
        for chance, one in outcomes(times, 3, by_time=True, shares=shares)
        if found_lower([one], time_of, levels=(0.98, 0.75, 0.5, 0.25), miss_probability=BETA) > true + 1e-12
    )
    assert failed <= BETA + 1e-12


def test_what_was_drawn_in_full_is_known() -> None:
    every = stratum((1.0, 2.0, 3.0), (0, 1, 2), by_time=False, shares=(1.0, 1.0, 1.0))
    assert share_upper([every], time_of, level=1.0, miss_probability=1e-9) == 0.0
    one_bad = stratum((1.0, 2.0, 3.0), (0, 1, 2), by_time=False, shares=(1.0, 0.0, 1.0))
    assert share_upper([one_bad], time_of, level=1.0, miss_probability=1e-9) == pytest.approx(2 / 6)


def test_what_was_not_drawn_from_is_dirty_and_nothing_is_no_pass() -> None:
    drawn = stratum((1.0, 1.0), (0, 1), by_time=False, shares=(1.0, 1.0))
    left = stratum((2.0,), (), by_time=False, shares=(1.0,))
    assert share_upper([drawn, left], time_of, level=1.0, miss_probability=0.01) == pytest.approx(0.5)
    assert share_upper([left], time_of, level=1.0, miss_probability=0.01) == 1.0
    assert share_upper([], time_of, level=1.0, miss_probability=0.01) == 1.0
    assert found_lower([], time_of, levels=(0.5,), miss_probability=0.01) == 0.0
    assert seen_probability([left], 0.5) == 0.0


def test_three_hundred_clean_draws_bound_what_the_accounts_example_says() -> None:
    """ln(1 / 0.005) / 300 = 1.77 % (account, worked example), and a little less by the exact form."""
    many = Stratum(
        time=np.ones(100_000),
        flop=np.ones(100_000),
        picks=tuple(range(300)),
        by_time=True,
        found=dict.fromkeys(range(300), 1.0),
    )
    bound = share_upper([many], time_of, level=1.0, miss_probability=0.005)
    assert 0.0174 < bound < math.log(1 / 0.005) / 300


def test_points_are_those_of_the_draw() -> None:
    for run in work_of(case(REPLAYED, evidence())).of(GUILTY):
        for one in run.commitments:
            assert one.listed is not None
            for drawn in one.draws:
                rows = points_of(drawn.judged, one.listed)
                assert drawn.judged.selection is not None
                assert len(rows) == drawn.judged.selection.count
                assert tuple(sorted({one.listed.first + row for row in rows})) == drawn.said.packets
