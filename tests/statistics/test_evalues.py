"""E-values: merging, alarms, and conversion, against slow oracles and exact expectations."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise, product
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspectorate.statistics import (
    LOG_E_MAX,
    LOG_E_MIN,
    Calibrator,
    alarm_log_e,
    bounded_log_e,
    e_to_p,
    is_alarm,
    maximum_to_log_e,
    merge_mean,
    merge_product,
    p_to_log_e,
    to_e,
)

LOGS = st.lists(st.floats(-800, 800), min_size=1, max_size=12)


def plain_calibrator(p: float, calibrator: Calibrator, kappa: float = 0.5) -> float:
    """The formulas of the papers, as they are printed."""
    if calibrator is Calibrator.KAPPA:
        return kappa * math.pow(p, kappa - 1)
    if calibrator is Calibrator.SHAFER:
        return 1 / math.sqrt(p) - 1
    return (1 - p + p * math.log(p)) / (p * math.log(p) ** 2)


class TestMergeMean:
    @given(st.lists(st.fractions(0, 1000, max_denominator=50), min_size=1, max_size=9), st.data())
    def test_equals_the_mean_in_fractions(self, values: list[Fraction], data: st.DataObject) -> None:
        raw = data.draw(st.lists(st.integers(1, 9), min_size=len(values), max_size=len(values)))
        weights = [Fraction(w, sum(raw)) for w in raw]
        expected = sum((w * v for w, v in zip(weights, values, strict=True)), Fraction(0))
        logs = [math.log(v) if v else -math.inf for v in values]
        merged = merge_mean(logs, [float(w) for w in weights])
        assert math.exp(merged) == pytest.approx(float(expected), rel=1e-9, abs=1e-300)

    @given(LOGS, st.randoms())
    def test_order_does_not_matter(self, logs: list[float], random: Random) -> None:
        shuffled = list(logs)
        random.shuffle(shuffled)
        assert merge_mean(shuffled) == pytest.approx(merge_mean(logs), rel=1e-12, abs=1e-9)

    @given(LOGS, st.integers(0, 11), st.floats(0, 100))
    def test_more_evidence_never_lowers_it(self, logs: list[float], place: int, more: float) -> None:
        raised = list(logs)
        raised[place % len(logs)] += more
        assert merge_mean(raised) >= merge_mean(logs) - 1e-9

    @given(LOGS)
    def test_lies_between_least_and_largest_and_costs_at_most_log_k(self, logs: list[float]) -> None:
        merged = merge_mean(logs)
        assert min(logs) - 1e-9 <= merged <= max(logs) + 1e-9
        assert merged >= max(logs) - math.log(len(logs)) - 1e-9

    def test_no_overflow(self) -> None:
        assert merge_mean([5000.0, 5000.0]) == pytest.approx(5000)
        assert merge_mean([5000.0, -5000.0]) == pytest.approx(5000 - math.log(2))

    def test_weight_zero_ignores_its_source(self) -> None:
        assert merge_mean([math.inf, 1.0], [0, 1]) == pytest.approx(1)

    def test_weights_cut_to_nine_digits_add_no_evidence(self) -> None:
        assert merge_mean([0.0] * 3, [0.3333333333] * 3) == pytest.approx(0, abs=1e-15)

    def test_zero_evidence_everywhere(self) -> None:
        assert merge_mean([-math.inf, -math.inf]) == -math.inf

    @pytest.mark.parametrize(
        ("logs", "weights", "says"),
        [
            ([], None, "at least one"),
            ([math.nan], None, "NaN"),
            ([1.0, 2.0], [0.5, 0.4], "sum to 1"),
            ([1.0, 2.0], [1.5, -0.5], "at least zero"),
            ([1.0, 2.0], [math.nan, 1.0], "at least zero"),
            ([1.0, 2.0], [1.0], "as many weights"),
        ],
    )
    def test_refuses(self, logs: list[float], weights: list[float] | None, says: str) -> None:
        with pytest.raises(ValueError, match=says):
            merge_mean(logs, weights)


class TestDependence:
    """E-values that each have expectation exactly 1, joined as badly as possible."""

    # The e-value 1/a with probability a, else 0. A world is one of 100 equally likely points.
    A = Fraction(1, 20)

    def e_at(self, point: int, offset: int) -> Fraction:
        return 1 / self.A if (point - offset) % 100 < 100 * self.A else Fraction(0)

    @pytest.mark.parametrize("offsets", [(0, 0, 0, 0), (0, 5, 10, 15), (0, 1, 2, 3), (0, 0, 50, 50)])
    def test_mean_keeps_expectation_one_and_alarms_within_the_rate(self, offsets: tuple[int, ...]) -> None:
        worlds = [[self.e_at(point, offset) for offset in offsets] for point in range(100)]
        merged = [sum(world) / len(world) for world in worlds]
        assert sum(merged) / 100 == 1
        for rate in (Fraction(1, 20), Fraction(1, 10), Fraction(1, 5)):
            assert Fraction(sum(value >= 1 / rate for value in merged), 100) <= rate
        computed = [merge_mean([math.log(e) if e else -math.inf for e in world]) for world in worlds]
        assert [math.exp(value) for value in computed] == pytest.approx([float(value) for value in merged])

    def test_the_product_is_not_valid_under_dependence(self) -> None:
        """Why `merge_product` is not used across mechanisms: one accident seen by two sensors counts twice."""
        products = [self.e_at(point, 0) * self.e_at(point, 0) for point in range(100)]
        assert sum(products) / 100 == 20

    def test_the_product_is_valid_when_independent(self) -> None:
        pairs = [self.e_at(a, 0) * self.e_at(b, 0) for a, b in product(range(100), repeat=2)]
        assert Fraction(sum(pairs), len(pairs)) == 1
        assert merge_product([math.log(20), math.log(20)]) == pytest.approx(math.log(400))
        assert merge_product([-math.inf, math.inf]) == -math.inf


class TestAlarm:
    def test_at_the_threshold_and_below(self) -> None:
        assert is_alarm(math.log(100) + 1e-12, false_accusation_rate=0.01)
        assert not is_alarm(math.log(99), false_accusation_rate=0.01)
        assert not is_alarm(-math.inf, false_accusation_rate=0.01)
        assert is_alarm(math.inf, false_accusation_rate=0.01)

    @pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, math.nan, 1e-301])
    def test_refuses_a_rate(self, rate: float) -> None:
        with pytest.raises(ValueError, match=r"strictly between|never alarm"):
            alarm_log_e(rate)

    def test_nan_is_neither_alarm_nor_evidence(self) -> None:
        for call in (lambda: is_alarm(math.nan, false_accusation_rate=0.1), lambda: bounded_log_e(math.nan)):
            with pytest.raises(ValueError, match="NaN"):
                call()

    def test_bounds_are_finite_in_both_forms(self) -> None:
        assert bounded_log_e(math.inf) == LOG_E_MAX
        assert bounded_log_e(-math.inf) == LOG_E_MIN
        assert bounded_log_e(3.5) == 3.5
        assert math.isfinite(to_e(1e6))
        assert 0 < to_e(-1e6) < 1e-299


class TestConversion:
    @pytest.mark.parametrize(
        ("calibrator", "kappa"),
        [(Calibrator.KAPPA, 0.5), (Calibrator.KAPPA, 0.2), (Calibrator.MIXTURE, 0.5), (Calibrator.SHAFER, 0.5)],
    )
    def test_expectation_is_one(self, calibrator: Calibrator, kappa: float) -> None:
        """The integral over p in (0, 1), as an integral over x = -ln p of f(p) p, by the trapezoid rule.

        The mixture falls only as 1/x**2, so that its tail beyond X, which is 1/X to first order, is added.
        """
        upper = 600.0
        x = np.linspace(0, upper, 1_200_001)
        density = np.exp(p_to_log_e(np.exp(-x), calibrator=calibrator, kappa=kappa) - x)
        integral = float(np.sum((density[1:] + density[:-1]) / 2) * (x[1] - x[0]))
        tail = 1 / upper if calibrator is Calibrator.MIXTURE else 0.0
        assert integral + tail == pytest.approx(1, abs=1e-6)

    @given(st.floats(1e-12, 0.999), st.sampled_from(list(Calibrator)))
    def test_equals_the_printed_formula(self, p: float, calibrator: Calibrator) -> None:
        # The printed mixture loses all its digits next to p = 1; the series is what replaces it there.
        expected = plain_calibrator(p, calibrator)
        assert math.exp(float(p_to_log_e(p, calibrator=calibrator))) == pytest.approx(expected, rel=1e-6)

    def test_mixture_is_the_mean_over_kappa(self) -> None:
        kappas = (np.arange(20_000) + 0.5) / 20_000
        for p in (1.0, 0.97, 0.6, 0.3, 0.01, 1e-6):
            mean = float(np.mean(kappas * p ** (kappas - 1)))
            assert math.exp(float(p_to_log_e(p))) == pytest.approx(mean, rel=1e-6)

    def test_mixture_is_smooth_where_series_and_closed_form_meet(self) -> None:
        p = np.exp(-np.linspace(0.499, 0.501, 201))
        steps = np.diff(p_to_log_e(p))
        assert np.all(np.abs(np.diff(steps)) < 1e-9)

    @given(st.lists(st.floats(0, 1), min_size=2, max_size=20), st.sampled_from(list(Calibrator)))
    def test_smaller_p_never_gives_less(self, p: list[float], calibrator: Calibrator) -> None:
        logs = p_to_log_e(sorted(p), calibrator=calibrator)
        assert all(b <= a + 1e-12 for a, b in pairwise(logs))

    def test_p_zero_is_finite(self) -> None:
        assert np.all(np.isfinite(p_to_log_e([0.0, 5e-324])))

    @pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
    def test_refuses_p(self, p: float) -> None:
        with pytest.raises(ValueError, match="between 0 and 1"):
            p_to_log_e([0.5, p])

    @given(st.floats(-50, 600))
    def test_e_to_p(self, log_e: float) -> None:
        assert e_to_p(log_e) == pytest.approx(min(1.0, 1 / math.exp(log_e)), rel=1e-9)

    def test_going_to_p_and_back_always_costs(self) -> None:
        logs = np.linspace(0.1, 600, 500)
        for calibrator in Calibrator:
            assert np.all(maximum_to_log_e(logs, calibrator=calibrator) < logs)
        assert math.isfinite(float(maximum_to_log_e(math.inf)))

    def test_maximum_agrees_with_p(self) -> None:
        assert float(maximum_to_log_e(math.log(50))) == pytest.approx(float(p_to_log_e(1 / 50)), rel=1e-12)
        assert float(maximum_to_log_e(-3.0)) == float(p_to_log_e(1.0))
