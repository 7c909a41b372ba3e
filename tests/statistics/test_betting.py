"""E-processes: against the sum over all betting patterns, against exact expectations, and Ville's bound by simulation."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.statistics import (
    BetPlan,
    BoundedBetting,
    EProcess,
    best_stake,
    betting_process,
    exceedance_process,
    is_alarm,
    merge_mean,
)

PLANS = {
    "fixed": BetPlan.fixed(0.3),
    "from-start": BetPlan.from_start((0.5, 0.1)),
    "any-start": BetPlan(stakes=(0.5, 0.05), stop_per_stake=0.0),
    "default": BetPlan(),
    "horizon": BetPlan.for_horizon(100),
    "geometric": BetPlan(stakes=(0.6, 0.2), weights=(0.25, 0.75), start_rate=0.05, stop_per_stake=0.5),
}
FloatArray = npt.NDArray[np.float64]


def by_all_patterns(x: list[float], limits: list[float], plan: BetPlan) -> float:
    """E after the last value: the sum over stakes and over all 2**T patterns of betting (True) and resting (False)."""
    weights = plan.weights or [1 / len(plan.stakes)] * len(plan.stakes)
    total = 0.0
    for stake, weight in zip(plan.stakes, weights, strict=True):
        stop = plan.stop_per_stake * stake
        for pattern in product((False, True), repeat=len(x)):
            capital, was_active = weight, False
            for t, active in enumerate(pattern, start=1):
                start = 1 / (t + 1) if plan.start_rate is None else plan.start_rate
                to_active = 1 - stop if was_active else start
                capital *= to_active if active else 1 - to_active
                if active:
                    capital *= 1 - stake + stake * x[t - 1] / limits[t - 1]
                was_active = active
            total += capital
    return total


def best_span_by_all(x: list[float], limit: float, stakes: tuple[float, ...]) -> float:
    gains = [[math.log(1 - s + s * v / limit) for v in x] for s in stakes]
    spans = [(a, b) for a in range(len(x)) for b in range(a, len(x) + 1)]
    return max(sum(gain[a:b]) for gain in gains for a, b in spans)


VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=7)


class TestOracle:
    @pytest.mark.parametrize("name", PLANS)
    @given(values=VALUES, data=st.data())
    @settings(max_examples=25)
    def test_equals_the_sum_over_all_patterns(self, name: str, values: list[float], data: st.DataObject) -> None:
        limits = data.draw(st.lists(st.floats(0.01, 0.9), min_size=len(values), max_size=len(values)))
        found = betting_process(values, mean_max=limits, plan=PLANS[name])
        for t in range(1, len(values) + 1):
            assert math.exp(found.log_e[0, t - 1]) == pytest.approx(
                by_all_patterns(values[:t], limits[:t], PLANS[name]), rel=1e-9
            )

    def test_default_starts_have_prior_one_over_s_s_plus_one(self) -> None:
        x = np.random.default_rng(3).random(40)
        factors = 1 - 0.4 + 0.4 * x / 0.3
        expected = 1 / 41 + sum(np.prod(factors[s - 1 :]) / (s * (s + 1)) for s in range(1, 41))
        plan = BetPlan(stakes=(0.4,), stop_per_stake=0.0)
        assert math.exp(betting_process(x, mean_max=0.3, plan=plan).log_e[0, -1]) == pytest.approx(expected)

    @given(values=VALUES)
    def test_span_is_the_best_of_all(self, values: list[float]) -> None:
        plan = BetPlan(stakes=(0.5, 0.1))
        span = betting_process(values, mean_max=0.4, plan=plan).spans[0]
        best = best_span_by_all(values, 0.4, plan.stakes)
        assert best == pytest.approx(span.log_growth if span else 0.0, abs=1e-12)
        if span:
            inside = values[span.start : span.stop]
            growth = sum(math.log(1 - span.stake + span.stake * v / 0.4) for v in inside)
            assert growth == pytest.approx(span.log_growth, abs=1e-12)

    @pytest.mark.parametrize("name", PLANS)
    def test_incremental_equals_batch_to_the_last_bit(self, name: str) -> None:
        rng = np.random.default_rng(7)
        x, observed = rng.random((5, 60)), rng.random((5, 60)) < 0.8
        limits = 0.1 + 0.8 * rng.random(60)
        batch = betting_process(x, mean_max=limits, observed=observed, plan=PLANS[name])
        state = BoundedBetting(5, plan=PLANS[name])
        for t in range(60):
            log_e = state.update(x[:, t], mean_max=limits[t], observed=observed[:, t])
            assert log_e.tolist() == batch.log_e[:, t].tolist()
        assert state.spans() == batch.spans
        assert state.log_e_max.tolist() == batch.log_e_max.tolist()
        assert state.observed.tolist() == batch.observed.tolist()
        assert (state.observed + state.missing).tolist() == [60] * 5


class TestExpectation:
    """Where the mean is exactly the limit, the expectation of the capital is exactly 1."""

    @pytest.mark.parametrize("name", PLANS)
    @pytest.mark.parametrize("q", [0.02, 0.5])
    def test_over_all_outcomes_of_a_coin(self, name: str, q: float) -> None:
        outcomes = np.array(list(product((0.0, 1.0), repeat=9)))
        chances = np.prod(np.where(outcomes == 1, q, 1 - q), axis=1)
        found = exceedance_process(outcomes, rate_max=q, plan=PLANS[name])
        assert chances @ np.exp(found.log_e) == pytest.approx(np.ones(9))

    @pytest.mark.parametrize("name", PLANS)
    def test_over_all_outcomes_that_depend_on_the_past(self, name: str) -> None:
        """Limit and law follow the past: after a 1 the limit is 0.6, else 0.1; gaps follow the past, too."""
        outcomes = np.array(list(product((0.0, 1.0), repeat=9)))
        before = np.hstack([np.zeros((len(outcomes), 1)), outcomes[:, :-1]])
        limits = np.where(before == 1, 0.6, 0.1)
        observed = np.cumsum(before, axis=1) % 3 != 2
        chances = np.prod(np.where(outcomes == 1, limits, 1 - limits), axis=1)
        found = betting_process(outcomes, mean_max=limits, observed=observed, plan=PLANS[name])
        assert chances @ np.exp(found.log_e) == pytest.approx(np.ones(9))

    def test_three_values_with_the_mean_at_the_limit(self) -> None:
        points, law = np.array([0.0, 0.3, 1.0]), np.array([0.65, 0.2, 0.15])
        mean = float(points @ law)
        places = np.array(list(product(range(3), repeat=6)))
        found = betting_process(points[places], mean_max=mean)
        assert np.prod(law[places], axis=1) @ np.exp(found.log_e) == pytest.approx(np.ones(6))

    def test_below_the_limit_the_expectation_falls(self) -> None:
        outcomes = np.array(list(product((0.0, 1.0), repeat=8)))
        chances = np.prod(np.where(outcomes == 1, 0.1, 0.9), axis=1)
        means = chances @ np.exp(exceedance_process(outcomes, rate_max=0.2).log_e)
        assert np.all(np.diff(means) < 0)
        assert means[0] < 1


# Null worlds: each draws the values of all streams at one step from the past, with conditional mean at most the limit.
World = Callable[[np.random.Generator, BoundedBetting, FloatArray], tuple[FloatArray, FloatArray]]


def coin(rng: np.random.Generator, state: BoundedBetting, last: FloatArray) -> tuple[FloatArray, FloatArray]:
    limit = np.full(last.shape, 0.05)
    return (rng.random(last.shape) < limit).astype(np.float64), limit


def uniform(rng: np.random.Generator, state: BoundedBetting, last: FloatArray) -> tuple[FloatArray, FloatArray]:
    return rng.random(last.shape), np.full(last.shape, 0.5)


def sticky(rng: np.random.Generator, state: BoundedBetting, last: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Quiet for long and then in clusters, never above the limit of 0.2 given the past."""
    chance = np.where(last > 0, 0.2, 0.02)
    return (rng.random(last.shape) < chance).astype(np.float64), np.full(last.shape, 0.2)


def moving_limit(rng: np.random.Generator, state: BoundedBetting, last: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The limit is drawn anew before each value and rises after large ones."""
    limit = 0.02 + 0.5 * rng.random(last.shape) * (0.2 + 0.8 * last)
    return (rng.random(last.shape) < limit).astype(np.float64), limit


def gambler(rng: np.random.Generator, state: BoundedBetting, last: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Chooses its law by the capital that it sees: rare large values while behind, many small ones while ahead."""
    size = np.where(state.log_e < 0, 1.0, np.where(state.log_e < 1.5, 0.3, 0.11))
    limit = np.full(last.shape, 0.1)
    return np.where(rng.random(last.shape) < limit / size, size, 0.0), limit


def common(rng: np.random.Generator, state: BoundedBetting, last: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Streams in fours that see the same draw."""
    draw = np.repeat(rng.random(last.size // 4), 4)
    limit = np.full(last.shape, 0.1)
    return (draw < limit).astype(np.float64), limit


WORLDS: dict[str, World] = {
    "coin": coin,
    "uniform": uniform,
    "sticky": sticky,
    "moving-limit": moving_limit,
    "gambler": gambler,
    "common": common,
}


class TestVille:
    STREAMS, STEPS = 2400, 120

    @pytest.mark.parametrize("world", WORLDS)
    @pytest.mark.parametrize("plan", ["default", "geometric"])
    def test_ever_reaching_one_over_alpha_is_as_rare_as_promised(self, world: str, plan: str) -> None:
        rng = np.random.default_rng(20261124)
        state = BoundedBetting(self.STREAMS, plan=PLANS[plan])
        x = np.zeros(self.STREAMS)
        stopped = np.full(self.STREAMS, np.nan)
        for _ in range(self.STEPS):
            x, limit = WORLDS[world](rng, state, x)
            # What is missing follows the past as well: a stream that is ahead is read less often.
            observed = rng.random(self.STREAMS) < np.where(state.log_e > 1, 0.7, 0.95)
            log_e = state.update(x, mean_max=limit, observed=observed)
            stopped = np.where(np.isnan(stopped) & (log_e >= math.log(10)), log_e, stopped)
        # Draws that four streams share count once.
        independent = self.STREAMS // 4 if world == "common" else self.STREAMS
        for alpha in (0.5, 0.1, 0.01):
            allowed = alpha + 3 * math.sqrt(alpha * (1 - alpha) / independent)
            assert np.mean(state.log_e_max >= math.log(1 / alpha)) <= allowed
        at_stop = np.exp(np.where(np.isnan(stopped), state.log_e, stopped))
        assert at_stop.mean() <= 1 + 3 * at_stop.std() / math.sqrt(independent)

    def test_mean_of_dependent_streams_keeps_the_bound(self) -> None:
        """Four detectors see one disturbance; their averaged e-process is watched throughout."""
        rng = np.random.default_rng(5)
        sites, steps = 1000, 80
        seen = rng.random((sites, 1, steps))
        limits = np.array([0.3, 0.1, 0.05, 0.02])[None, :, None]
        values = (seen < limits).astype(np.float64).reshape(sites * 4, steps)
        flat = np.broadcast_to(limits, (sites, 4, steps)).reshape(sites * 4, steps)
        paths = betting_process(values, mean_max=flat).log_e.reshape(sites, 4, steps)
        best = [max(merge_mean(site[:, t]) for t in range(0, steps, 4)) for site in paths]
        for alpha in (0.2, 0.05):
            allowed = alpha + 3 * math.sqrt(alpha * (1 - alpha) / sites)
            assert np.mean([is_alarm(value, false_accusation_rate=alpha) for value in best]) <= allowed

    def test_insured_maximum_is_an_e_value_and_the_bare_maximum_is_not(self) -> None:
        """A fair walk that is watched long enough: its maximum averages far above 1, the insured one does not."""
        rng = np.random.default_rng(11)
        x = (rng.random((4000, 400)) < 0.5).astype(np.float64)
        found = betting_process(x, mean_max=0.5, plan=BetPlan.fixed(0.3))
        bare, insured = np.exp(found.log_e_max), np.exp(found.log_e_insured())
        assert bare.mean() > 2
        assert insured.mean() <= 1 + 3 * insured.std() / math.sqrt(4000)


class TestPower:
    def found(self, share: Callable[[int], float], q: float, plan: BetPlan, steps: int = 500) -> EProcess:
        rng = np.random.default_rng(99)
        rates = np.array([share(t) for t in range(steps)])
        return exceedance_process(rng.random((300, steps)) < rates, rate_max=q, plan=plan)

    def test_a_lasting_violation_is_found_by_every_plan(self) -> None:
        for plan in PLANS.values():
            found = self.found(lambda t: 0.3, 0.05, plan)
            assert np.mean(found.log_e_final >= math.log(100)) > 0.95

    def test_a_late_violation_is_found_and_located(self) -> None:
        found = self.found(lambda t: 0.02 if t < 300 else 0.4, 0.05, BetPlan())
        assert np.mean(found.log_e_max >= math.log(100)) > 0.98
        alarms = [a for a in found.first_alarms(false_accusation_rate=0.01) if a is not None]
        # To pay for the start, ln(301 * 302), ten stakes and ln(100) at 0.4 ln 8 + 0.6 ln(0.6 / 0.95) per observation.
        assert 300 <= np.median(alarms) <= 300 + math.log(301 * 302 * 10 * 100) / 0.556
        starts = [span.start for span in found.spans if span]
        assert np.median(np.abs(np.array(starts) - 300)) <= 5

    def test_a_burst_is_found_kept_and_located(self) -> None:
        def share(t: int) -> float:
            return 0.9 if 200 <= t < 212 else 0.01

        mixed = self.found(share, 0.02, BetPlan())
        whole = self.found(share, 0.02, BetPlan.from_start())
        assert np.mean(mixed.log_e_max >= math.log(100)) > 0.98
        assert np.median(mixed.log_e_final) > np.median(whole.log_e_final) + 3
        assert np.mean(mixed.log_e_final >= math.log(100)) > 0.95
        spans = [span for span in mixed.spans if span]
        assert np.median([span.start for span in spans]) == pytest.approx(200, abs=1)
        assert np.median([span.stop for span in spans]) == pytest.approx(212, abs=1)

    def test_a_known_horizon_makes_a_late_start_cheaper(self) -> None:
        x = np.r_[np.zeros(900), np.ones(12), np.zeros(88)]
        known, unknown = (exceedance_process(x, rate_max=0.1, plan=p) for p in (BetPlan.for_horizon(1000), BetPlan()))
        assert known.log_e_max[0] > unknown.log_e_max[0] + 5
        assert known.log_e_final[0] > unknown.log_e_final[0] + 5

    def test_starting_late_costs_the_logarithm_of_the_prior(self) -> None:
        x = np.r_[np.zeros(99), np.ones(5)]
        plan = BetPlan(stakes=(0.5,), stop_per_stake=0.0)
        found = exceedance_process(x, rate_max=0.1, plan=plan)
        assert found.log_e[0, -1] >= 5 * math.log(0.5 + 0.5 / 0.1) - math.log(100 * 101)

    def test_best_stake_grows_fastest(self) -> None:
        p, q = 0.3, 0.1
        stakes = np.linspace(0.001, 0.999, 999)
        growth = p * np.log(1 - stakes + stakes / q) + (1 - p) * np.log(1 - stakes)
        assert stakes[np.argmax(growth)] == pytest.approx(best_stake(p, q), abs=1e-3)

    def test_best_stake_refuses_what_is_no_violation(self) -> None:
        with pytest.raises(ValueError, match="nothing to gain"):
            best_stake(0.1, 0.1)


class TestProperties:
    @given(VALUES, st.integers(0, 7), st.integers(1, 3))
    def test_missing_changes_nothing_at_all(self, values: list[float], place: int, gaps: int) -> None:
        place = min(place, len(values))
        holed = values[:place] + [math.nan] * gaps + values[place:]
        observed = [True] * place + [False] * gaps + [True] * (len(values) - place)
        plain = betting_process(values, mean_max=0.3)
        found = betting_process(holed, mean_max=0.3, observed=observed)
        assert found.log_e[0, observed].tolist() == plain.log_e[0].tolist()
        before = plain.log_e[0, place - 1] if place else 0.0
        assert found.log_e[0, place : place + gaps].tolist() == [before] * gaps
        assert (found.observed[0], found.missing[0]) == (len(values), gaps)

    def test_nothing_observed_is_no_evidence_and_says_so(self) -> None:
        found = betting_process(np.full((2, 4), np.nan), mean_max=0.3, observed=False)
        assert found.log_e.tolist() == [[0.0] * 4] * 2
        assert found.observed.tolist() == [0, 0]
        assert found.missing.tolist() == [4, 4]
        assert found.spans == (None, None)
        assert found.first_alarms(false_accusation_rate=0.5) == (None, None)

    @given(VALUES, st.integers(0, 6), st.floats(0, 1))
    def test_a_larger_value_never_lowers_the_evidence(self, values: list[float], place: int, other: float) -> None:
        raised = list(values)
        raised[place % len(values)] = max(other, values[place % len(values)])
        low, high = (betting_process(v, mean_max=0.3).log_e[0, -1] for v in (values, raised))
        assert high >= low - 1e-12

    @given(VALUES, st.floats(0.05, 0.5), st.floats(0, 0.4))
    def test_a_looser_limit_never_raises_the_evidence(self, values: list[float], limit: float, more: float) -> None:
        tight, loose = (betting_process(values, mean_max=m).log_e[0, -1] for m in (limit, limit + more))
        assert loose <= tight + 1e-12

    def test_streams_do_not_touch_each_other(self) -> None:
        rng = np.random.default_rng(1)
        x, order = rng.random((6, 30)), [3, 1, 5, 0, 2, 4]
        together = betting_process(x, mean_max=0.4)
        assert betting_process(x[order], mean_max=0.4).log_e.tolist() == together.log_e[order].tolist()
        assert betting_process(x[2], mean_max=0.4).log_e[0].tolist() == together.log_e[2].tolist()

    def test_huge_evidence_stays_finite(self) -> None:
        found = exceedance_process(np.ones(3000), rate_max=1e-6)
        assert np.isfinite(found.log_e_final[0])
        assert found.log_e_final[0] > 30_000
        quiet = exceedance_process(np.zeros(3000), rate_max=0.5)
        assert np.isfinite(quiet.log_e_final[0])

    def test_results_of_update_are_copies(self) -> None:
        state = BoundedBetting(1)
        first = state.update([1.0], mean_max=0.1)
        kept = first.copy()
        state.update([1.0], mean_max=0.1)
        assert first.tolist() == kept.tolist()


class TestRefusals:
    @pytest.mark.parametrize(
        ("values", "mean_max", "observed", "says"),
        [
            ([], 0.5, None, "nothing to bet on"),
            ([[]], 0.5, None, "nothing to bet on"),
            ([1.5], 0.5, None, "between 0 and 1"),
            ([-0.1], 0.5, None, "between 0 and 1"),
            ([math.nan], 0.5, None, "between 0 and 1"),
            ([0.5], 0.0, None, "limit on a mean"),
            ([0.5], 1.0, None, "limit on a mean"),
            ([0.5], math.nan, None, "limit on a mean"),
            ([0.5], [0.1, 0.2], None, "does not fit"),
            ([0.5], 0.5, [1], "truth values"),
            ([0.5], 0.5, [True, False], "does not fit"),
            ([[[0.5]]], 0.5, None, "streams, time"),
        ],
    )
    def test_values(self, values: object, mean_max: object, observed: object, says: str) -> None:
        with pytest.raises(ValueError, match=says):
            betting_process(values, mean_max=mean_max, observed=observed)  # type: ignore[arg-type]

    def test_exceedances_are_zero_or_one(self) -> None:
        with pytest.raises(ValueError, match="true or false"):
            exceedance_process([0, 0.5], rate_max=0.1)

    def test_too_large(self) -> None:
        with pytest.raises(ValueError, match="cut the period"):
            betting_process(np.broadcast_to(np.float64(0.5), (10_000, 10_000)), mean_max=0.5)

    def test_no_streams(self) -> None:
        with pytest.raises(ValueError, match="at least one stream"):
            BoundedBetting(0)

    @pytest.mark.parametrize(
        "fields",
        [
            {"stakes": ()},
            {"stakes": (1.0,)},
            {"stakes": (0.0,)},
            {"stakes": (0.5,), "weights": (0.5,)},
            {"stakes": (0.5,), "weights": (0.5, 0.5)},
            {"start_rate": 0.0},
            {"start_rate": 1.1},
            {"start_rate": math.nan},
            {"stop_per_stake": -0.1},
            {"stop_per_stake": math.nan},
        ],
    )
    def test_plans(self, fields: dict[str, object]) -> None:
        with pytest.raises(ValueError, match=r"stake|weight|rate"):
            BetPlan(**fields)  # type: ignore[arg-type]
