"""Figures against slow, obvious counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.mechanisms.workloads.evaluate import metrics

few = st.lists(st.integers(0, 6), min_size=1, max_size=12)


@settings(max_examples=40)
@given(few, few)
def test_auroc_counts_pairs_and_half_of_ties(cases: list[int], controls: list[int]) -> None:
    wins = sum((a > b) + 0.5 * (a == b) for a in cases for b in controls)
    assert metrics.auroc(cases, controls) == pytest.approx(wins / (len(cases) * len(controls)))


def test_auroc_of_nothing_is_nothing_and_nan_is_refused() -> None:
    assert metrics.auroc([], [1.0]) is None
    assert metrics.auroc([1.0], []) is None
    with pytest.raises(ValueError, match="NaN"):
        metrics.auroc([float("nan")], [1.0])


def test_balanced_accuracy_weighs_labels_alike() -> None:
    truth, said = ["a"] * 9 + ["b"], ["a"] * 10
    assert metrics.balanced_accuracy(truth, said) == pytest.approx(0.5)


def test_interval_of_a_rate_without_events_is_the_rule_of_three() -> None:
    found = metrics.poisson_interval(0, 10.0, confidence=0.9)
    assert found.value == 0.0
    assert found.low == 0.0
    assert found.high == pytest.approx(np.log(20) / 10, rel=1e-6)


def test_interval_of_a_rate_matches_the_published_table() -> None:
    """Garwood (1936): 95 % limits of a count of 10 are 4.795 and 18.391."""
    found = metrics.poisson_interval(10, 1.0)
    assert found.low == pytest.approx(4.795, abs=1e-3)
    assert found.high == pytest.approx(18.391, abs=1e-3)


def test_a_rate_over_no_time_has_no_value() -> None:
    assert metrics.poisson_interval(0, 0.0).value is None


def test_families_are_drawn_whole() -> None:
    """Fifty cases of three families that are all alike within: the interval is as wide as three cases make it."""
    families = ["a"] * 30 + ["b"] * 15 + ["c"] * 5
    good = np.array([1.0] * 45 + [0.0] * 5)
    found = metrics.by_family(families, lambda p: float(good[p].mean()), random=np.random.default_rng(1))
    assert found.value == pytest.approx(0.9)
    assert found.n == 50
    assert found.low is not None
    assert found.low == pytest.approx(0.0)


def test_two_families_have_no_interval() -> None:
    found = metrics.by_family(["a", "b"], lambda p: float(p.mean()), random=np.random.default_rng(1))
    assert found.low is None


def test_worst_group_and_share() -> None:
    name, figure = metrics.worst(["a", "a", "b", "b"], [True, True, True, False])
    assert (name, figure.value, figure.n) == ("b", 0.5, 2)
    assert metrics.worst([], [])[1].value is None
    assert metrics.share(0, 0).value is None
    low = metrics.share(3, 3).low
    assert low is not None
    assert low == pytest.approx(0.025 ** (1 / 3), rel=1e-6)
