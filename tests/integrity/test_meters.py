"""Two meters of one load: the match, the judgement over a cohort, sums, clocks, and what sensors show of themselves."""

from __future__ import annotations

import numpy as np
import pytest
from series_making import START_NS, behind_supply, load, measured, series

from inspectorate.mechanisms.workloads.integrity import sums
from inspectorate.mechanisms.workloads.integrity.clock import clock_findings, compare_clocks
from inspectorate.mechanisms.workloads.integrity.findings import FindingKind
from inspectorate.mechanisms.workloads.integrity.frozen import sensor_findings
from inspectorate.mechanisms.workloads.integrity.match import faster, match
from inspectorate.mechanisms.workloads.integrity.replay import (
    ReplayIndex,
    hours_per_megabyte,
    near_replays,
    replay_findings,
)
from inspectorate.mechanisms.workloads.integrity.series import as_series, grid_step
from inspectorate.mechanisms.workloads.integrity.two_meters import Judge, MeterPair, fit_judge, run_p_value


def pair(seed: int, run: str, *, node: int = 0) -> MeterPair:
    rng = np.random.default_rng([seed, node])
    power = load(np.random.default_rng(seed), 300) + 60 * rng.standard_normal(300)
    return MeterPair(
        load="lm", run=run, slow=series("ac", behind_supply(rng, power)), fast=series("dc", measured(rng, power))
    )


@pytest.fixture(scope="module")
def judge() -> Judge:
    return fit_judge([pair(seed, f"r{seed}") for seed in range(10)])


def test_true_pairs_are_accepted_and_swaps_are_not(judge: Judge) -> None:
    new = [pair(100 + seed, f"new{seed}") for seed in range(6)]
    true = [judge.p_value(judge.score(one)) for one in new]
    swapped = []
    for k, one in enumerate(new):
        other = new[(k + 1) % len(new)]
        swapped.append(judge.p_value(judge.score(MeterPair(load="lm", run=one.run, slow=one.slow, fast=other.fast))))
    assert min(true) > 1 / 11
    assert max(swapped) == pytest.approx(1 / 11)
    assert judge.log_e(-1e9) > judge.log_e(1e9)


def test_p_values_count_runs_not_pairs() -> None:
    calibration = {"a": np.zeros(1000), "b": np.array([5.0])}
    assert run_p_value(1.0, calibration) == pytest.approx(2 / 3)
    assert run_p_value(-1.0, calibration) == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="no true pair"):
        run_p_value(0.0, {})


def test_p_values_of_true_pairs_are_not_too_small() -> None:
    """The hierarchical p-value is valid: over random runs, P(p <= a) <= a."""
    rng = np.random.default_rng(0)
    small = 0
    for _ in range(500):
        runs = {str(r): rng.normal(rng.normal(), 1, size=int(rng.integers(1, 6))) for r in range(9)}
        small += run_p_value(float(rng.normal(rng.normal(), 1)), runs) <= 0.2
    assert small / 500 <= 0.2 + 3 * np.sqrt(0.2 * 0.8 / 500)


def test_a_judge_needs_runs_and_an_unknown_load_is_not_judged(judge: Judge) -> None:
    with pytest.raises(ValueError, match="runs of one load"):
        fit_judge([pair(1, "r1"), pair(2, "r2")])
    one = pair(50, "x")
    assert judge.score(MeterPair(load="other", run="x", slow=one.slow, fast=one.fast)) is None
    short = MeterPair(load="lm", run="x", slow=one.slow.part(0, 5), fast=one.fast)
    assert judge.score(short) is None


def test_the_match_finds_the_lag_and_the_level() -> None:
    rng = np.random.default_rng(3)
    power = load(rng, 400)
    slow, fast = series("ac", behind_supply(rng, power), start_s=7.0), series("dc", measured(rng, power))
    found = match(slow, faster(fast))
    assert found is not None
    assert found.lag_s == pytest.approx(7, abs=1)
    assert np.exp(found.level) == pytest.approx(1.05, abs=0.03)
    assert found.smoothed > np.arctanh(found.correlation)


@pytest.mark.parametrize("shift", [0.0, 14.0, -33.0])
def test_clock_shifts(shift: float) -> None:
    rng = np.random.default_rng(4)
    power = load(rng, 1200)
    one, other = series("a", measured(rng, power)), series("b", behind_supply(rng, power), start_s=shift)
    clocks = compare_clocks(one, other)
    assert clocks is not None
    assert clocks.lag_s == pytest.approx(shift, abs=1.5)
    assert {f.kind for f in clock_findings(one, other)} == ({FindingKind.CLOCK_SHIFTED} if shift else set())


def test_a_clock_that_was_set_and_one_that_drifts() -> None:
    rng = np.random.default_rng(5)
    power = load(rng, 3000)
    one = series("a", measured(rng, power))
    at = np.arange(3000.0)
    set_back = as_series(
        "b", (at + np.where(at < 1500, 0, 20))[np.r_[0:1500, 1500:3000]] + START_NS / 1e9, measured(rng, power)
    )
    kinds = {f.kind for f in clock_findings(one, set_back)}
    assert FindingKind.CLOCK_STEPPED in kinds
    drifting = as_series("b", at * 1.003 + START_NS / 1e9, measured(rng, power))
    assert {f.kind for f in clock_findings(one, drifting)} & {FindingKind.CLOCK_DRIFTS}
    honest = series("c", measured(rng, power))
    assert clock_findings(one, honest) == ()


def test_clocks_of_unrelated_or_idle_series_say_nothing() -> None:
    rng = np.random.default_rng(6)
    one, other = series("a", measured(rng, load(rng, 900))), series("b", measured(rng, load(rng, 900)))
    assert clock_findings(one, other) == ()
    assert compare_clocks(series("a", np.full(200, 5.0)), series("b", np.full(200, 5.0))) is None


def kinds_of(values: np.ndarray) -> set[FindingKind]:
    return {finding.kind for finding in sensor_findings(series("s", values))}


def test_sensors() -> None:
    rng = np.random.default_rng(7)
    good = measured(rng, load(rng, 900))
    assert kinds_of(good) == set()
    stuck = good.copy()
    stuck[300:360] = stuck[300]
    assert kinds_of(stuck) == {FindingKind.STUCK}
    dropped = good.copy()
    dropped[100:103] = 0
    assert kinds_of(dropped) == {FindingKind.ZERO_WHILE_ON}
    assert kinds_of(np.round(good / 500) * 500) >= {FindingKind.COARSE}
    assert kinds_of(np.minimum(good, 5600)) >= {FindingKind.SATURATED}
    smooth = 5000 + 500 * np.sin(np.arange(900) / 200)
    assert kinds_of(smooth) == {FindingKind.TOO_QUIET}
    assert kinds_of(good[:4]) == set()


@pytest.mark.parametrize("step", [0.01, 0.1, 1.0, 6.0])
def test_the_grid_of_a_sensor(step: float) -> None:
    rng = np.random.default_rng(8)
    values = np.round(rng.normal(300, 40, 500) / step) * step
    assert grid_step(values.astype(np.float32).astype(float)) == pytest.approx(step, rel=1e-3)
    assert grid_step(rng.normal(300, 40, 500)) == 0.0
    assert grid_step(np.ones(3)) == 0.0


def test_replays_of_ones_own_past() -> None:
    rng = np.random.default_rng(9)
    values = measured(rng, load(rng, 2000))
    assert replay_findings(series("n", values)) == ()
    values[1500:1900] = values[300:700]
    (found,) = replay_findings(series("n", values))
    assert found.kind is FindingKind.REPLAY
    assert found.size == 400
    assert "1200 s before" in found.text


def test_the_index_finds_replays_in_a_stream_and_forgets_in_order() -> None:
    rng = np.random.default_rng(10)
    days = [measured(rng, load(rng, 1000)) for _ in range(3)]
    index = ReplayIndex()
    for k, day in enumerate(days):
        assert index.read(series("n", day, start_s=1000.0 * k)) == ()
    again = np.concatenate((measured(rng, load(rng, 200)), days[0][500:800]))
    (found,) = index.read(series("n", again, start_s=9000))
    assert found.size >= 280
    small = ReplayIndex(hashes_max=100)
    for k, day in enumerate(days):
        small.read(series("n", day, start_s=1000.0 * k))
    assert len(small) == 100
    assert small.forgotten > 100
    assert small.read(series("n", again, start_s=9000)) == ()
    assert 20 < hours_per_megabyte(1.0) < 50


def test_replays_of_references_under_noise_and_warp() -> None:
    rng = np.random.default_rng(11)
    reference = series("reference", measured(rng, load(rng, 1500)))
    noisy = np.round(1.01 * reference.values[200:1000] + 2 * rng.standard_normal(800))
    warped = np.delete(noisy, [250, 520])
    for replayed in (noisy, warped):
        found = near_replays(series("now", replayed, start_s=1e6), [reference])
        assert {copy.one for copy in found} == {"reference"}
    assert near_replays(series("now", measured(rng, load(rng, 800))), [reference]) == ()


def means(whole: np.ndarray, parts: np.ndarray) -> sums.Means:
    at = START_NS + np.arange(len(whole), dtype=np.int64) * 1_000_000_000
    return sums.means_over(at, whole, parts, averaging_s=10)


def test_sums() -> None:
    rng = np.random.default_rng(12)
    chips = load(rng, 600)
    node = 1.2 * chips + 600
    assert sums.sum_findings(means(node, chips), ("node", "chips"), sums.NODE_OVER_CHIPS, 0.05) == ()
    (less,) = sums.sum_findings(means(0.8 * chips, chips), ("node", "chips"), sums.NODE_OVER_CHIPS, 0.05)
    assert less.kind is FindingKind.PARTS_EXCEED_WHOLE
    (more,) = sums.sum_findings(means(4 * chips, chips), ("node", "chips"), sums.NODE_OVER_CHIPS, 0.05)
    assert more.kind is FindingKind.WHOLE_EXCEEDS_PARTS
    apart = chips.copy()
    apart[200:300] *= 0.8
    (found,) = sums.sum_findings(means(chips, apart), ("a", "b"), sums.SAME_PLACE, 0.05)
    assert found.kind is FindingKind.METERS_APART
    assert found.start_ns == START_NS + 200 * 10**9
    blind = np.full(600, np.nan)
    assert sums.sum_findings(means(chips, blind), ("a", "b"), sums.SAME_PLACE, 0.05) == ()


def test_one_mean_out_of_line_is_no_finding() -> None:
    power = np.full(600, 5000.0)
    once = power.copy()
    once[300:310] = 3000
    assert sums.sum_findings(means(power, once), ("a", "b"), sums.SAME_PLACE, 0.05) == ()


def test_power_and_work() -> None:
    at = START_NS + np.arange(600, dtype=np.int64) * 1_000_000_000
    idle, busy = np.full(600, 100.0), np.full(600, 600.0)

    def kinds(power: np.ndarray, share: np.ndarray) -> set[FindingKind]:
        found = sums.activity_findings("c", at, power, share, averaging_s=10, idle_w=100)
        return {one.kind for one in found}

    assert kinds(idle, np.zeros(600)) == set()
    assert kinds(busy, np.ones(600)) == set()
    assert kinds(busy, np.zeros(600)) == {FindingKind.POWER_WITHOUT_WORK}
    assert kinds(idle, np.ones(600)) == {FindingKind.WORK_WITHOUT_POWER}
    with pytest.raises(ValueError, match="more than 0 W"):
        sums.activity_findings("c", at, idle, busy, averaging_s=10, idle_w=0)
