"""Sampling plans against exact fractions and published figures."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspectorate.statistics import (
    clopper_pearson_lower,
    clopper_pearson_upper,
    detection_over_rounds,
    detection_probability,
    dirty_count_upper,
    dirty_share_upper,
    dirty_share_upper_simple,
    sample_size,
    sample_size_for_share,
    sampling,
)


def miss_in_fractions(n: int, k: int, m: int) -> Fraction:
    return Fraction(math.comb(n - k, m), math.comb(n, m))


def binomial_tail(x: int, n: int, p: Fraction) -> Fraction:
    return sum((math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(x + 1)), Fraction(0))


@st.composite
def plans(draw: st.DrawFn) -> tuple[int, int, int]:
    n = draw(st.integers(1, 300))
    return n, draw(st.integers(0, n)), draw(st.integers(0, n))


class TestPublishedFigures:
    def test_rule_of_three(self) -> None:
        assert dirty_share_upper_simple(300, 0.05) == pytest.approx(3 / 300, rel=0.002)
        assert dirty_share_upper_simple(10_000, 0.05) == pytest.approx(0.0003, rel=0.002)
        assert dirty_share_upper(300, 0.05) == pytest.approx(0.00994, abs=5e-6)

    def test_the_worked_example_of_the_account(self) -> None:
        assert f"{100 * dirty_share_upper_simple(300, 0.005):.2f} %" == "1.77 %"

    @pytest.mark.parametrize(("p", "rounds", "percent"), [(0.05, 10, 40.1), (0.1, 20, 87.8)])
    def test_compounding(self, p: float, rounds: int, percent: float) -> None:
        assert 100 * detection_over_rounds(p, rounds) == pytest.approx(percent, abs=0.05)

    def test_packet_recomputation(self) -> None:
        """Published to first order: 460 fake packets are caught with 99 % at 1 % recomputation, 10 with 9.5 %."""
        assert -math.log(0.01) / 0.01 == pytest.approx(460, abs=1)
        assert sample_size_for_share(0.01, 0.01) == 459
        assert detection_over_rounds(0.01, 10) == pytest.approx(0.095, abs=1e-3)

    def test_clopper_pearson_tables(self) -> None:
        """Two-sided 95 % limits of 1 in 10 and 5 in 20, as tables of the binomial print them."""
        assert clopper_pearson_upper(1, 10, 0.025) == pytest.approx(0.4450, abs=5e-5)
        assert clopper_pearson_lower(1, 10, 0.025) == pytest.approx(0.0025, abs=5e-5)
        assert clopper_pearson_upper(5, 20, 0.025) == pytest.approx(0.4910, abs=5e-5)
        assert clopper_pearson_lower(5, 20, 0.025) == pytest.approx(0.0866, abs=5e-5)


class TestHypergeometric:
    @given(plans())
    def test_equals_fractions(self, plan: tuple[int, int, int]) -> None:
        n, k, m = plan
        computed = detection_probability(population=n, marked=k, sample=m)
        assert computed == pytest.approx(float(1 - miss_in_fractions(n, k, m)), rel=1e-11, abs=1e-14)

    @given(plans())
    def test_equals_the_draw_of_items_one_by_one(self, plan: tuple[int, int, int]) -> None:
        n, k, m = plan
        miss = 1.0
        for drawn in range(m):
            miss *= max(0, n - k - drawn) / (n - drawn)
        assert detection_probability(population=n, marked=k, sample=m) == pytest.approx(1 - miss, rel=1e-9, abs=1e-12)

    @given(plans(), st.sampled_from([0.07, 0.5, 0.93, 0.9999]))
    def test_sample_size_is_the_least(self, plan: tuple[int, int, int], goal: float) -> None:
        n, k, _ = plan
        k = max(1, k)
        size = sample_size(population=n, marked=k, detection_probability_min=goal)
        assert float(1 - miss_in_fractions(n, k, size)) >= goal - 1e-12
        assert size == 0 or float(1 - miss_in_fractions(n, k, size - 1)) <= goal + 1e-12

    @given(plans(), st.sampled_from([0.003, 0.049, 0.31]))
    def test_count_bound_is_the_largest_that_could_be_missed(self, plan: tuple[int, int, int], beta: float) -> None:
        n, _, m = plan
        expected = max(k for k in range(n + 1) if float(miss_in_fractions(n, k, m)) > beta)
        assert dirty_count_upper(population=n, sampled=m, miss_probability=beta) == expected

    def test_tiny_miss_probability_is_not_rounded_away(self) -> None:
        k = dirty_count_upper(population=1000, sampled=100, miss_probability=1e-25)
        assert miss_in_fractions(1000, k, 100) > Fraction(1, 10**25) >= miss_in_fractions(1000, k + 1, 100)

    def test_with_replacement_is_safe_without(self) -> None:
        for n, m in ((50, 20), (1000, 300)):
            k = dirty_count_upper(population=n, sampled=m, miss_probability=0.01)
            assert k / n <= dirty_share_upper(m, 0.01)

    def test_bound_for_many_terms_is_safe_and_tight(self, monkeypatch: pytest.MonkeyPatch) -> None:
        exact = detection_probability(population=100_000, marked=300, sample=900)
        monkeypatch.setattr(sampling, "TERMS_MAX", 100)
        bound = detection_probability(population=100_000, marked=300, sample=900)
        assert bound <= exact
        assert bound == pytest.approx(exact, rel=1e-5)

    def test_huge_population(self) -> None:
        found = detection_probability(population=10**12, marked=10**10, sample=10**7)
        assert found == 1.0
        assert detection_probability(population=10**12, marked=10, sample=10**9) == pytest.approx(0.00996, abs=1e-5)

    @pytest.mark.parametrize(
        ("n", "k", "m"), [(0, 0, 0), (10, 11, 1), (10, 1, 11), (10, -1, 1), (10, 1, -1), (10**13, 1, 1)]
    )
    def test_refuses(self, n: int, k: int, m: int) -> None:
        with pytest.raises(ValueError, match=r"at least|do not fit|more than"):
            detection_probability(population=n, marked=k, sample=m)

    def test_nothing_marked_cannot_be_planned_for(self) -> None:
        with pytest.raises(ValueError, match="marked"):
            sample_size(population=10, marked=0, detection_probability_min=0.9)


class TestShares:
    @given(st.integers(1, 100_000), st.floats(1e-12, 0.999))
    def test_simple_form_is_never_below_the_exact(self, n: int, beta: float) -> None:
        assert dirty_share_upper(n, beta) <= dirty_share_upper_simple(n, beta) * (1 + 1e-12)

    @given(st.integers(1, 5000), st.floats(1e-9, 0.999))
    def test_a_share_at_the_bound_is_missed_with_beta(self, n: int, beta: float) -> None:
        assert (1 - dirty_share_upper(n, beta)) ** n == pytest.approx(beta, rel=1e-6)

    @given(st.floats(1e-5, 0.9), st.floats(1e-6, 0.9))
    def test_sample_size_inverts(self, share: float, beta: float) -> None:
        size = sample_size_for_share(share, beta)
        assert dirty_share_upper(size, beta) <= share
        assert size == 1 or dirty_share_upper(size - 1, beta) > share

    def test_sample_size_at_a_bound_itself_is_not_moved_by_rounding(self) -> None:
        for beta in (0.05, 0.005):
            for n in range(1, 600):
                bound = dirty_share_upper(n, beta)
                assert sample_size_for_share(bound, beta) == n
                assert sample_size_for_share(math.nextafter(bound, 0), beta) == n + 1

    def test_no_sample_bounds_nothing(self) -> None:
        assert dirty_share_upper(0, 0.01) == dirty_share_upper_simple(0, 0.01) == 1.0
        assert dirty_count_upper(population=7, sampled=0, miss_probability=0.01) == 7
        assert clopper_pearson_upper(0, 0, 0.01) == 1.0
        assert clopper_pearson_lower(0, 0, 0.01) == 0.0


class TestClopperPearson:
    @pytest.mark.parametrize(("x", "n"), [(0, 1), (0, 30), (1, 30), (7, 30), (29, 30), (40, 90)])
    @pytest.mark.parametrize("beta", [0.005, 0.05, 0.9])
    def test_tail_at_the_bound_is_beta_in_fractions(self, x: int, n: int, beta: float) -> None:
        upper = clopper_pearson_upper(x, n, beta)
        assert float(binomial_tail(x, n, Fraction(upper))) == pytest.approx(beta, rel=1e-9)

    @given(st.integers(1, 10**6), st.floats(1e-6, 0.99))
    def test_no_failure_is_the_dirty_share(self, n: int, beta: float) -> None:
        assert clopper_pearson_upper(0, n, beta) == pytest.approx(dirty_share_upper(n, beta), rel=1e-9)

    @given(st.integers(0, 60), st.integers(1, 60), st.floats(1e-4, 0.4))
    def test_more_failures_never_lower_it(self, x: int, more: int, beta: float) -> None:
        n = 120
        assert clopper_pearson_upper(x, n, beta) <= clopper_pearson_upper(x + more, n, beta)
        assert clopper_pearson_lower(x, n, beta) <= x / n <= clopper_pearson_upper(x, n, beta)

    def test_coverage_is_exact_over_all_outcomes(self) -> None:
        """The true share lies above the bound with probability at most beta, for every share."""
        n, beta = 25, 0.05
        bounds = [clopper_pearson_upper(x, n, beta) for x in range(n + 1)]
        for share in np.linspace(0.01, 0.99, 50):
            p = Fraction(float(share))
            below = sum(
                math.comb(n, x) * p**x * (1 - p) ** (n - x) for x, bound in enumerate(bounds) if bound < float(share)
            )
            assert float(below) <= beta + 1e-12

    def test_many_trials(self) -> None:
        assert clopper_pearson_upper(1000, 10**8, 0.005) == pytest.approx(1.0842e-5, rel=1e-3)

    @pytest.mark.parametrize(("x", "n"), [(3, 2), (-1, 2), (1, -2), (2_000_000, 10_000_000)])
    def test_refuses(self, x: int, n: int) -> None:
        with pytest.raises(ValueError, match=r"failures|trials"):
            clopper_pearson_upper(x, n, 0.05)

    @pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
    def test_rounds_refuse(self, p: float) -> None:
        with pytest.raises(ValueError, match="between 0 and 1"):
            detection_over_rounds(p, 3)

    def test_rounds_at_the_ends(self) -> None:
        assert detection_over_rounds(1, 3) == 1.0
        assert detection_over_rounds(1, 0) == detection_over_rounds(0, 9) == 0.0
