"""The table of disguises: counted right whatever the detector, and the project's own detector in it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from inspectorate.cli.workloads_attack import attack
from inspectorate.declaration import MeasuringPoint
from inspectorate.errors import InputError
from inspectorate.mechanisms.workloads.telemetry.frame import Frame
from inspectorate.statistics import clopper_pearson_lower, clopper_pearson_upper
from inspectorate.worlds.disguises import DISGUISES
from inspectorate.worlds.disguises_attack import STRENGTHS, Case, Trial, honest, tabulate, trials
from inspectorate.worlds.disguises_curve import PowerCurve
from inspectorate.worlds.disguises_recorded import MACHINES, Terms, recorded_cases
from inspectorate.worlds.disguises_render import Known
from inspectorate.worlds.disguises_world import world_cases


def frame(power: np.ndarray) -> Frame:
    values = power.astype(np.float32)[None, :, None].copy()
    return Frame(units=("node",), signals=("power_w",), start_ns=0, step_ns=10**9, values=values)


class Above:
    """Raises an alarm at the first step above a level: a detector whose answers can be foretold."""

    def __init__(self, level: float) -> None:
        self.level = level

    def alarm(self, frame: Frame, claimed: str) -> float | None:
        over = np.flatnonzero(frame.of("power_w")[:, 0] > self.level)
        return float(over[0]) if len(over) else None


def case(level: float, run: str = "a") -> Case:
    serving = frame(np.full(300, 500.0))
    known = Known(references=(serving,), cover=serving, curve=PowerCurve(idle_w=100, peak_w=1000), times=200)
    return Case(run=run, claimed="serving", training=frame(np.full(300, 800.0)), known=known, detector=Above(level))


def trial(strength: float, found: bool, kept: float, *, disguise: str = "padding", run: str = "a") -> Trial:
    return Trial(
        disguise=disguise, strength=strength, run=run, claimed="x", alarm_after_s=30.0 if found else None,
        throughput_kept=kept, extra_energy_share=0.0, second_meter_differs=False,
    )  # fmt: skip


def test_rows_count_what_was_found() -> None:
    rows = {
        row.disguise: row for row in tabulate(trials([case(700.0), case(700.0, "b")], DISGUISES.values()), DISGUISES)
    }
    assert list(rows) == list(DISGUISES)
    plain = rows["plain"]
    assert (plain.found, plain.cases, plain.runs, plain.alarm_after_s) == (2, 2, 2, 0.0)
    assert plain.found_rate == (clopper_pearson_lower(2, 2, 0.025), clopper_pearson_upper(2, 2, 0.025))
    capped = rows["throttling"]
    assert capped.found == 0
    assert capped.below_half is not None
    # Half way the cap is 650 W, below the 700 W at which an alarm is raised.
    assert capped.below_half.strength == 0.5
    assert capped.below_half.throughput_kept == pytest.approx((550 / 700) ** (1 / 3), rel=1e-6)
    assert rows["replay"].share_found == 0
    assert rows["padding"].below_half is None
    assert rows["padding"].meets_target


def test_escape_is_the_cheapest_strength_that_escapes() -> None:
    found = [trial(0.0, True, 1.0), trial(0.5, False, 0.2), trial(0.9, False, 0.3), trial(1.0, True, 0.1)]
    row = tabulate(found, DISGUISES)[0]
    assert row.below_half is not None
    assert (row.below_half.strength, row.below_half.slowdown) == (0.9, pytest.approx(1 / 0.3))
    assert not row.meets_target
    assert row.by_strength == {0.0: 1.0, 0.5: 0.0, 0.9: 0.0, 1.0: 1.0}


def test_the_price_is_what_was_given_up_per_detection_escaped() -> None:
    plain = [trial(0.0, True, 1.0, disguise="plain", run=run) for run in "abcd"]
    half = [trial(1.0, run in "ab", 0.6, run=run) for run in "abcd"]
    all_found = [trial(1.0, True, 0.6, disguise="throttling", run=run) for run in "abcd"]
    rows = {row.disguise: row for row in tabulate([*plain, *half, *all_found], DISGUISES)}
    assert rows["padding"].price == pytest.approx(0.4 / 0.5)
    assert rows["throttling"].price is None


def test_nothing_to_count_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to count"):
        tabulate([], DISGUISES)
    with pytest.raises(ValueError, match="no honest run"):
        honest([])


def test_honest_runs_are_counted_once_and_for_as_long() -> None:
    one = case(400.0)
    found = honest([one, one])
    assert (found.cases, found.alarms) == (1, 1)
    assert found.hours == pytest.approx(200 / 3600)
    assert honest([case(600.0)]).alarms == 0


def test_the_same_seed_gives_the_same_trials() -> None:
    chosen = [DISGUISES["mimicry"], DISGUISES["rare-bursts"]]
    one, again, other = (list(trials([case(600.0)], chosen, seed=seed)) for seed in (1, 1, 2))
    assert one == again
    assert one != other
    assert len(one) == len({*STRENGTHS, 0.5}) * 2


@pytest.mark.slow
@pytest.mark.parametrize("point", [MeasuringPoint.NODE, MeasuringPoint.CHIP])
def test_on_simulated_machines_substitution_is_found_and_serving_is_not(point: MeasuringPoint) -> None:
    cases = world_cases(1, point, Terms(rate=1 / 24, runs_max=2), lambda _: None)
    row = tabulate(trials(cases, [DISGUISES["plain"]]), DISGUISES)[0]
    assert (row.found, row.cases) == (6, 6)
    assert row.alarm_after_s is not None
    assert row.alarm_after_s <= 600
    assert honest(cases).alarms == 0


@pytest.mark.data
def test_on_measured_machines_substitution_is_found_and_replay_is_not(data: Path) -> None:
    folder = data / "mlperf_power"
    if not folder.is_dir():
        pytest.skip("the MLPerf power extract is not there")
    cases = recorded_cases(folder, MACHINES["lenovo-8xb200"], Terms(rate=1 / 24, runs_max=1), lambda _: None)
    chosen = [DISGUISES["plain"], DISGUISES["replay"]]
    plain, replay = tabulate(trials(cases, chosen, strengths=(0.0,)), DISGUISES)
    assert plain.share_found > 0.9
    assert replay.share_found < 0.5
    assert replay.throughput_kept == 1.0
    assert honest(cases).alarms == 0


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        recorded_cases(tmp_path, MACHINES["smc-h100"], Terms(rate=1.0), lambda _: None)


def test_the_command_wants_to_know_what_to_attack() -> None:
    result = CliRunner().invoke(attack, [])
    assert result.exit_code == 2
    assert "--data DIR, --world SEED" in result.output


@pytest.mark.data
def test_the_command_prints_the_table_and_the_same_as_json(data: Path) -> None:
    folder = str(data / "mlperf_power")
    options = ["--data", folder, "--machines", "lenovo-8xb200", "--runs", "1", "--only", "replay", "--json"]
    result = CliRunner().invoke(attack, options, catch_exceptions=False)
    assert result.exit_code == 0
    part = json.loads(result.stdout)["parts"][0]
    assert [row["disguise"] for row in part["rows"]] == ["plain", "replay"]
    assert part["rows"][0]["runs"] == 2
    assert part["honest"]["alarms"] == 0
