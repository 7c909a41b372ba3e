"""Ranges and their sums: against drawing and against worst cases that can be built."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.mechanisms.custody.supply.ranges import NORMAL, Dependence, Range, draw_sums, sum_end

ranges = st.tuples(st.floats(0.05, 1), st.floats(1, 1e6), st.floats(1, 8)).map(
    lambda parts: Range(parts[0] * parts[1], parts[1], parts[1] * parts[2])
)
zero_low = st.floats(1, 1e6).map(lambda middle: Range(0, middle, 2 * middle))


@given(st.one_of(ranges, zero_low))
@settings(max_examples=60)
def test_a_range_has_the_quantiles_that_it_says(one: Range) -> None:
    assert one.quantile(0.05) == pytest.approx(one.low, rel=1e-9, abs=1e-6)
    assert one.quantile(0.5) == pytest.approx(one.median)
    assert one.quantile(0.95) == pytest.approx(one.high, rel=1e-9)


TAILS = {
    beta: np.array([NORMAL.inv_cdf((place + 0.5) / 3_000 * beta) for place in range(3_000)]) for beta in (0.5, 0.01)
}
"""Standard normal scores of the lowest share, evenly by probability."""


@given(st.one_of(ranges, zero_low), st.sampled_from(sorted(TAILS)))
@settings(max_examples=40)
def test_means_beyond_a_quantile_agree_with_sums_over_quantiles(one: Range, beta: float) -> None:
    below, above = one.at(TAILS[beta]), one.at(-TAILS[beta])
    assert one.mean_above(beta) == pytest.approx(float(above.mean()), rel=0.05)
    assert one.mean_above(beta) >= one.quantile(1 - beta) * (1 - 1e-9)
    assert one.mean_below(beta) <= one.quantile(beta) * (1 + 1e-9)
    # A normal half that is cut off at zero is bounded from below only.
    assert one.mean_below(beta) <= float(below.mean()) * 1.05 + 1e-6 * one.median
    if one.low > 0:
        assert one.mean_below(beta) == pytest.approx(float(below.mean()), rel=0.05)


@given(st.lists(ranges, min_size=1, max_size=6), st.integers(0, 2**31))
@settings(max_examples=30)
def test_no_dependence_that_is_tried_exceeds_the_end_under_any(parts: list[Range], seed: int) -> None:
    """Independent, all together, and shuffles that put the worst twentieth of each in the same draws, in any order there."""
    rng = np.random.default_rng(seed)
    scores = np.array([NORMAL.inv_cdf((place + 0.5) / 4_000) for place in range(4_000)])
    columns = [one.at(scores) for one in parts]
    upper, lower = (sum_end(parts, share, Dependence.ANY) for share in (0.95, 0.05))
    for way in range(3):
        sums = np.zeros(4_000)
        for column in columns:
            order = np.arange(4_000)
            if way == 0:
                rng.shuffle(order)
            elif way == 1:
                rng.shuffle(order[3_800:])
                rng.shuffle(order[:200])
            sums += column[order]
        assert np.quantile(sums, 0.95, method="higher") <= upper * 1.01
        assert np.quantile(sums, 0.05, method="lower") >= lower * 0.99


def test_the_worst_case_can_be_reached_nearly() -> None:
    """Countermonotone tails: two ranges whose worst twentieths lie across each other exceed the sum of quantiles."""
    one = Range(50, 100, 200)
    scores = np.array([NORMAL.inv_cdf((place + 0.5) / 100_000) for place in range(100_000)])
    column = one.at(scores)
    crossed = np.concatenate((column[:95_000], column[95_000:][::-1]))
    value = float(np.quantile(column + crossed, 0.95, method="higher"))
    assert value > sum_end([one, one], 0.95, Dependence.TOGETHER)
    assert value == pytest.approx(sum_end([one, one], 0.95, Dependence.ANY), rel=0.1)
    assert value <= sum_end([one, one], 0.95, Dependence.ANY)


def test_independent_sums_are_narrower_and_repeat_by_their_seed() -> None:
    parts = [Range(50, 100, 200)] * 20
    drawn = draw_sums(parts, [0] * 10 + [1] * 10, seed=3)
    again = draw_sums(parts, [0] * 10 + [1] * 10, seed=3)
    assert np.array_equal(drawn.total, again.total)
    assert drawn.quantile(0.95) < sum_end(parts, 0.95, Dependence.TOGETHER)
    assert drawn.quantile(0.95, group=0) < drawn.quantile(0.95)
    mean = 20 * 100 * math.exp((math.log(2) / 1.645) ** 2 / 2)
    assert float(drawn.total.mean()) == pytest.approx(mean, rel=0.02)
    with pytest.raises(ValueError, match="drawn"):
        sum_end(parts, 0.95, Dependence.INDEPENDENT)


@pytest.mark.parametrize("given", [(2, 1, 3), (-1, 1, 2), (0, 0, 2), (1, 2, math.inf), (math.nan, 1, 2)])
def test_what_is_no_range_is_refused(given: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match=r"low|median"):
        Range(*given)
    assert Range(0, 0, 0).quantile(0.9) == 0
