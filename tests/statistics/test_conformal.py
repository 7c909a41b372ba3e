"""Conformal p-values, martingales from them, runs, and shift tests: counted by hand, enumerated, and simulated."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspectorate.statistics import (
    BetPlan,
    PValueBetting,
    RunSummary,
    conformal_log_e,
    conformal_p_values,
    conformal_process,
    merge_mean,
    online_p_values,
    p_to_log_e,
    resampling_p_value,
    score_per_run,
    shift_p_value,
)

SCORES = st.lists(st.integers(0, 6).map(float), min_size=1, max_size=12)


def p_by_counting(score: float, calibration: list[float], u: float) -> float:
    above = sum(c > score for c in calibration)
    ties = sum(c == score for c in calibration)
    return (above + u * (1 + ties)) / (len(calibration) + 1)


class TestPValues:
    @given(SCORES, SCORES, st.floats(0, 1))
    def test_equal_counting(self, scores: list[float], calibration: list[float], u: float) -> None:
        smoothed = conformal_p_values(scores, calibration, uniforms=[u] * len(scores))
        assert smoothed.tolist() == pytest.approx([p_by_counting(s, calibration, u) for s in scores])
        plain = conformal_p_values(scores, calibration)
        assert plain.tolist() == pytest.approx([p_by_counting(s, calibration, 1.0) for s in scores])

    @given(SCORES, SCORES, st.floats(0, 1))
    def test_online_equals_counting(self, scores: list[float], calibration: list[float], u: float) -> None:
        found = online_p_values(scores, calibration=calibration, uniforms=[u] * len(scores))
        expected = [p_by_counting(s, calibration + scores[:i], u) for i, s in enumerate(scores)]
        assert found.tolist() == pytest.approx(expected)

    @given(SCORES, SCORES, st.data())
    def test_order_of_calibration_does_not_matter(
        self, scores: list[float], known: list[float], data: st.DataObject
    ) -> None:
        turned = data.draw(st.permutations(known))
        assert conformal_p_values(scores, turned).tolist() == conformal_p_values(scores, known).tolist()

    @pytest.mark.parametrize("values", [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 1.0, 2.0, 2.0, 2.0, 9.0], [0.0] * 6])
    def test_exact_over_all_orders(self, values: list[float]) -> None:
        """Each order is equally likely: P(p <= t) <= t for the conservative p-value at every t it can take."""
        p = np.array([float(conformal_p_values([order[-1]], order[:-1])[0]) for order in permutations(values)])
        for t in np.arange(1, 7) / 6:
            assert np.mean(p <= t + 1e-12) <= t + 1e-12

    def test_smoothed_is_uniform_over_all_orders(self) -> None:
        values = [1.0, 1.0, 2.0, 2.0, 2.0, 9.0]
        uniforms = (np.arange(100) + 0.5) / 100
        orders = list(permutations(values))
        p = np.concatenate([conformal_p_values([o[-1]] * 100, o[:-1], uniforms=uniforms) for o in orders])
        for t in (0.05, 0.3, 0.77):
            assert np.mean(p <= t) == pytest.approx(t, abs=0.01)

    def test_never_below_one_in_n_plus_one(self) -> None:
        assert conformal_p_values([1e9], np.arange(99.0))[0] == pytest.approx(0.01)

    @pytest.mark.parametrize(
        ("scores", "calibration", "uniforms"),
        [
            ([], [1.0], None),
            ([1.0], [], None),
            ([math.nan], [1.0], None),
            ([1.0], [math.nan], None),
            ([1.0], [1.0], [1.5]),
            ([1.0], [1.0], [0.5, 0.5]),
        ],
    )
    def test_refuses(self, scores: list[float], calibration: list[float], uniforms: list[float] | None) -> None:
        with pytest.raises(ValueError, match=r"at least one|NaN|uniforms"):
            conformal_p_values(scores, calibration, uniforms=uniforms)


class TestConformalE:
    @pytest.mark.parametrize("values", [[1.0, 2.0, 3.0, 50.0], [0.0, 0.0, 5.0, 1.0], [0.0] * 4])
    def test_expectation_is_one_over_all_orders(self, values: list[float]) -> None:
        e = [math.exp(conformal_log_e(order[-1], order[:-1])) for order in permutations(values)]
        assert np.mean(e) == pytest.approx(1)

    def test_large_scores_do_not_overflow(self) -> None:
        assert conformal_log_e(1e308, [1e308, 1e308]) == pytest.approx(0)
        assert conformal_log_e(1.0, [0.0] * 9) == pytest.approx(math.log(10))

    @pytest.mark.parametrize("score", [-1.0, math.inf, math.nan])
    def test_refuses(self, score: float) -> None:
        with pytest.raises(ValueError, match=r"at least zero|NaN"):
            conformal_log_e(score, [1.0])


class TestMartingale:
    def test_fixed_bet_is_the_product_of_calibrators(self) -> None:
        p = np.array([0.5, 0.01, 1.0, 0.2])
        found = conformal_process(p, plan=BetPlan.fixed(0.4)).log_e[0]
        kappa = 0.6
        assert np.exp(found).tolist() == pytest.approx(np.cumprod(kappa * p ** (kappa - 1)).tolist())

    def test_incremental_equals_batch(self) -> None:
        rng = np.random.default_rng(2)
        p, observed = rng.random((3, 50)), rng.random((3, 50)) < 0.7
        batch, state = conformal_process(p, observed=observed), PValueBetting(3)
        for t in range(50):
            assert state.update(p[:, t], observed=observed[:, t]).tolist() == batch.log_e[:, t].tolist()
        assert state.spans() == batch.spans

    @pytest.mark.parametrize("smoothed", [True, False], ids=["smoothed", "conservative"])
    def test_ville_on_exchangeable_scores(self, smoothed: bool) -> None:
        """Heavy-tailed scores with many ties that share a random level: exchangeable, not independent."""
        rng = np.random.default_rng(17)
        streams, calibrated, steps = 1500, 20, 60
        level = rng.standard_exponential((streams, 1))
        scores = np.round(level * rng.standard_exponential((streams, calibrated + steps)) ** 2, 1)
        uniforms = rng.random((streams, steps)) if smoothed else [None] * streams
        rows = zip(scores, uniforms, strict=True)
        p = [online_p_values(row[calibrated:], calibration=row[:calibrated], uniforms=u) for row, u in rows]
        found = conformal_process(np.array(p))
        for alpha in (0.2, 0.05):
            allowed = alpha + 3 * math.sqrt(alpha * (1 - alpha) / streams)
            assert np.mean(found.log_e_max >= -math.log(alpha)) <= allowed

    def test_a_change_is_found(self) -> None:
        rng = np.random.default_rng(18)
        hits = 0
        for _ in range(50):
            scores = np.r_[rng.standard_normal(60), rng.standard_normal(60) + 2.5]
            p = online_p_values(scores, calibration=rng.standard_normal(200), uniforms=rng.random(120))
            hits += bool(conformal_process(p).log_e_max[0] >= math.log(1000))
        assert hits >= 48

    def test_products_over_one_calibration_set_break_the_bound_and_means_do_not(self) -> None:
        """Why p-values against one fixed calibration set are merged by the mean: they share its luck."""
        rng = np.random.default_rng(19)
        worlds, alpha = 1500, 0.05
        p = np.array(
            [conformal_p_values(rng.random(200), rng.random(8), uniforms=rng.random(200)) for _ in range(worlds)]
        )
        bet_on = np.mean(conformal_process(p, plan=BetPlan.from_start()).log_e_max >= -math.log(alpha))
        merged = np.array([merge_mean(p_to_log_e(row)) for row in p])
        assert bet_on > 3 * alpha
        assert np.mean(merged >= -math.log(alpha)) <= alpha + 3 * math.sqrt(alpha * (1 - alpha) / worlds)

    @pytest.mark.parametrize("p", [[1.1], [-0.1], [math.nan], []])
    def test_refuses(self, p: list[float]) -> None:
        with pytest.raises(ValueError, match=r"between 0 and 1|nothing to bet on"):
            conformal_process(p)

    def test_missing_p_values_may_be_nan(self) -> None:
        found = conformal_process([0.01, math.nan], observed=[True, False])
        assert found.log_e[0, 0] == found.log_e[0, 1]
        assert found.missing[0] == 1


class TestRuns:
    def test_one_score_per_run_in_order_of_appearance(self) -> None:
        scores, runs = [1.0, 5.0, 2.0, 9.0, 4.0], ["b", "a", "b", "a", "b"]
        assert list(score_per_run(scores, runs).items()) == [("b", pytest.approx(7 / 3)), ("a", 7.0)]
        assert score_per_run(scores, runs, summary=RunSummary.MAX) == {"b": 4.0, "a": 9.0}
        assert score_per_run(scores, runs, summary=RunSummary.MEDIAN) == {"b": 2.0, "a": 7.0}

    @pytest.mark.parametrize(("scores", "runs"), [([], []), ([1.0], []), ([math.nan], ["a"])])
    def test_refuses(self, scores: list[float], runs: list[str]) -> None:
        with pytest.raises(ValueError, match=r"at least one|as many|NaN"):
            score_per_run(scores, runs)

    def test_windows_as_units_accuse_too_often_and_runs_do_not(self) -> None:
        """Runs differ in level; 5 calibration runs of 100 windows are 5 observations, not 500."""
        rng = np.random.default_rng(23)
        worlds, windows = 1500, 100
        scores = rng.standard_normal((worlds, 20, 1)) + 0.3 * rng.standard_normal((worlds, 20, windows))
        means = scores.mean(axis=2)
        by_run = np.array([conformal_p_values(m[-1:], m[:-1])[0] for m in means])
        by_window = np.array(
            [conformal_p_values([m[-1]], s[:5].ravel())[0] for m, s in zip(means, scores, strict=True)]
        )
        alpha = 0.05
        assert np.mean(by_run <= alpha) <= alpha + 3 * math.sqrt(alpha * (1 - alpha) / worlds)
        assert np.mean(by_window <= alpha) > 2 * alpha


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.corrcoef(x, y)[0, 1])


class TestResampling:
    @given(st.integers(0, 9), st.lists(st.integers(0, 9), min_size=1, max_size=30))
    def test_equals_counting(self, observed: int, others: list[int]) -> None:
        expected = (1 + sum(o >= observed for o in others)) / (1 + len(others))
        assert resampling_p_value(observed, others) == pytest.approx(expected)

    def test_rounding_does_not_break_a_tie(self) -> None:
        assert resampling_p_value(0.1 + 0.2, [0.3] * 9) == 1.0

    @pytest.mark.parametrize(("observed", "others"), [(math.nan, [1.0]), (1.0, []), (1.0, [math.nan])])
    def test_refuses(self, observed: float, others: list[float]) -> None:
        with pytest.raises(ValueError, match=r"NaN|at least one"):
            resampling_p_value(observed, others)

    def test_all_shifts_equal_a_loop(self) -> None:
        rng = np.random.default_rng(31)
        x, y = rng.random(15), rng.random(15)
        statistics = [correlation(x, np.roll(y, s)) for s in range(15)]
        expected = sum(s >= statistics[0] - 1e-12 for s in statistics) / 15
        assert shift_p_value(correlation, x, y, rng=rng, shifts=1000) == pytest.approx(expected)

    def test_exact_over_all_shifts_of_one_series(self) -> None:
        """Under the hypothesis each shift of y is equally likely: P(p <= t) <= t exactly, with all shifts tried."""
        rng = np.random.default_rng(37)
        x, y = rng.random(20), rng.random(20)
        p = np.array([shift_p_value(correlation, x, np.roll(y, s), rng=rng, shifts=19) for s in range(20)])
        for t in np.arange(1, 21) / 20:
            assert np.mean(p <= t + 1e-12) <= t + 1e-12

    def test_slow_series_do_not_deceive_it_as_they_deceive_a_permutation(self) -> None:
        rng = np.random.default_rng(41)
        by_shift, by_permutation, worlds, n = 0, 0, 300, 256
        spectrum = 1 / (1 + np.arange(n // 2 + 1) / 3)
        for _ in range(worlds):
            noise = rng.standard_normal((2, n))
            x, y = np.fft.irfft(np.fft.rfft(noise) * spectrum, n)
            by_shift += shift_p_value(correlation, x, y, rng=rng, shifts=39) <= 0.05
            permuted = [correlation(x, rng.permutation(y)) for _ in range(39)]
            by_permutation += resampling_p_value(correlation(x, y), permuted) <= 0.05
        assert by_shift / worlds <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / worlds)
        assert by_permutation / worlds > 0.1

    def test_finds_what_is_joined(self) -> None:
        rng = np.random.default_rng(43)
        x = rng.random(300)
        assert shift_p_value(correlation, x, x + rng.random(300), rng=rng, shifts=199) == pytest.approx(1 / 200)

    def test_same_seed_same_answer(self) -> None:
        x, y = np.random.default_rng(1).random((2, 500))
        first, second = (shift_p_value(correlation, x, y, rng=np.random.default_rng(9), shifts=50) for _ in range(2))
        assert first == second

    @pytest.mark.parametrize(
        ("x", "y", "shifts"), [([1.0], [1.0], 5), ([1.0, 2.0], [1.0], 5), ([1.0, 2.0], [1.0, 2.0], 0)]
    )
    def test_shift_refuses(self, x: list[float], y: list[float], shifts: int) -> None:
        with pytest.raises(ValueError, match=r"one length|shifts"):
            shift_p_value(correlation, x, y, rng=np.random.default_rng(0), shifts=shifts)
