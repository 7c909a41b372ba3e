"""Disguises: what they must keep of the laws of power and time, and what each must do to be called by its name."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.mechanisms.workloads.telemetry.frame import Frame
from inspectorate.worlds.disguises import DISGUISES, SEEN_BY
from inspectorate.worlds.disguises_curve import PowerCurve
from inspectorate.worlds.disguises_render import (
    DisguisedRun,
    Known,
    Schedule,
    beside,
    carry_out,
    played,
    power_of,
    shown,
)

CURVE = PowerCurve(idle_w=100.0, peak_w=1000.0)
TIMES = 400
SIGNALS = ("power_w", "busy_share", "memory_used_bytes", "core_clock_hz", "temperature_c", "nvlink_bytes_per_s")


def frame(power: np.ndarray, *, signals: tuple[str, ...] = ("power_w",), units: int = 1) -> Frame:
    busy = (power - 100.0) / 900.0
    of = {
        "power_w": power,
        "busy_share": busy,
        "memory_used_bytes": np.full_like(power, 5e9),
        "core_clock_hz": np.full_like(power, 1.8e9),
        "temperature_c": 40 + 40 * busy,
        "nvlink_bytes_per_s": 1e9 * busy,
    }
    values = np.stack([np.repeat(of[signal][:, None], units, axis=1) for signal in signals]).astype(np.float32)
    return Frame(units=tuple(f"u{n}" for n in range(units)), signals=signals, start_ns=0, step_ns=10**9, values=values)


def training_power(times: int = 300) -> np.ndarray:
    """Steps of ten seconds at 900 W with a dip to 300 W of two."""
    return np.where(np.arange(times) % 10 < 8, 900.0, 300.0) + np.random.default_rng(1).normal(0, 5, times)


def serving_power(seed: int, times: int = 600) -> np.ndarray:
    smooth = np.convolve(np.random.default_rng(seed).normal(0, 60, times + 20), np.ones(20) / 20, mode="valid")
    return np.clip(600 + 4 * smooth[:times], 150, 950)


def known(*, signals: tuple[str, ...] = ("power_w",), units: int = 1, curve: PowerCurve = CURVE) -> Known:
    frames = [frame(serving_power(seed), signals=signals, units=units) for seed in (1, 2, 3)]
    return Known(references=tuple(frames[:2]), cover=frames[2], curve=curve, times=TIMES)


TRAINING = frame(training_power())


def disguised(name: str, strength: float, *, seed: int = 1, training: Frame = TRAINING, **more: object) -> DisguisedRun:
    return DISGUISES[name].run(
        training,
        known(**more),
        strength=strength,
        random=np.random.default_rng(seed),  # type: ignore[arg-type]
    )


# --- the curve -------------------------------------------------------------------------------------------------------------


@given(st.floats(101, 1000), st.floats(0, 1200), st.floats(1, 4))
def test_throttled_work_draws_what_was_wanted(power: float, wanted: float, exponent: float) -> None:
    curve = replace(CURVE, exponent=exponent)
    clock, duty = curve.throttle(power, wanted)
    drawn = duty * (curve.idle_w + (power - curve.idle_w) * clock**exponent) + (1 - duty) * curve.idle_w
    assert drawn == pytest.approx(min(max(wanted, curve.idle_w), power))
    assert curve.clock_min <= clock <= 1
    assert 0 <= duty <= 1


@given(st.floats(100, 1000), st.floats(0, 1000))
def test_burning_draws_what_was_wanted(power: float, wanted: float) -> None:
    burn = CURVE.burn(power, wanted)
    assert (1 - burn) * power + burn * CURVE.peak_w == pytest.approx(max(power, wanted))


def test_throttling_is_cheaper_the_steeper_the_curve() -> None:
    kept = [replace(CURVE, exponent=e).throttle(900, 600)[0] for e in (1.0, 2.0, 3.0)]
    assert kept == sorted(kept)
    assert kept[0] == pytest.approx(500 / 800)


def test_a_published_cap_lies_between_the_exponents_that_are_assumed() -> None:
    """arXiv 2205.09646: 6.8 % longer, 13.7 % less energy at 150 W on V100 of 250 W, so 19 % less power on average."""
    power = 0.863 / 1.068
    for exponent, slower in ((2.0, False), (4.5, True)):
        clock, _ = PowerCurve(idle_w=40.0, peak_w=250.1, exponent=exponent).throttle(250.0, 250.0 * power)
        assert (clock > 1 / 1.068) is slower


def test_a_curve_needs_room() -> None:
    with pytest.raises(ValueError, match="no power between"):
        PowerCurve(idle_w=10, peak_w=10)
    with pytest.raises(ValueError, match="hold no power"):
        PowerCurve.of([frame(np.zeros(10))])


def test_a_curve_of_recordings_leaves_out_dropouts() -> None:
    power = np.linspace(100, 1000, 5000)
    power[::100] = 0.0
    curve = PowerCurve.of([frame(power)])
    assert curve.idle_w == pytest.approx(100, abs=10)
    assert curve.peak_w == pytest.approx(1000, abs=2)


# --- playing at another pace -----------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.lists(st.floats(0, 2), min_size=1, max_size=30), st.integers(1, 7))
def test_a_recording_is_played_at_its_own_pace(progress: list[float], length: int) -> None:
    values = np.random.default_rng(length).uniform(0, 100, (length, 2))
    edges = np.concatenate(([0.0], np.cumsum(progress)))
    found = played(values, edges)
    for k, (a, b) in enumerate(pairwise(edges)):
        if b - a < 1e-6:
            continue
        fine = np.linspace(a, b, 2001)
        middle = (fine[:-1] + fine[1:]) / 2
        expected = values[middle.astype(int) % length].mean(axis=0)
        assert found[k] == pytest.approx(expected, abs=0.5)


def test_at_full_speed_the_recording_comes_back() -> None:
    values = np.random.default_rng(0).uniform(0, 100, (50, 3))
    again = played(values, np.arange(121.0))
    assert again == pytest.approx(values[np.arange(120) % 50])


# --- all disguises ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DISGUISES)
@pytest.mark.parametrize("strength", [0.0, 0.4, 1.0])
def test_every_disguise_gives_a_frame_that_a_meter_could_show_and_a_price(name: str, strength: float) -> None:
    run, again = disguised(name, strength), disguised(name, strength)
    values = run.reported.of("power_w")
    assert values.shape == (TIMES, 1)
    assert np.isfinite(values).all()
    assert values.min() >= CURVE.idle_w - 1
    assert values.max() <= CURVE.peak_w * 1.02
    assert 0 < run.throughput_kept <= 1
    assert run.extra_energy_share > -0.9
    assert np.array_equal(values, again.reported.of("power_w"))


@pytest.mark.parametrize("name", DISGUISES)
def test_all_signals_are_changed_together(name: str) -> None:
    training = frame(training_power(), signals=SIGNALS, units=2)
    run = disguised(name, DISGUISES[name].standard, training=training, signals=SIGNALS, units=2)
    assert run.reported.signals == SIGNALS
    assert run.reported.units == training.units
    assert np.isfinite(run.reported.values).all()
    busy = run.reported.of("busy_share")
    assert busy.min() >= -1e-6
    assert busy.max() <= 1 + 1e-6
    if name not in ("staggering", "fused-updates", "throttling", "mimicry"):
        # Power and busy share go together, but for slower clocks, which stay as busy, and for phases.
        assert np.corrcoef(run.reported.of("power_w").ravel(), busy.ravel())[0, 1] > 0.6


@pytest.mark.parametrize("name", ["plain", "throttling", "padding", "valley-filling", "fused-updates", "staggering",
                                  "batch-games"])  # fmt: skip
def test_power_disguises_of_no_strength_are_training_itself(name: str) -> None:
    run = disguised(name, 0.0)
    assert run.reported.of("power_w") == pytest.approx(disguised("plain", 0.0).reported.of("power_w"))
    assert run.throughput_kept == pytest.approx(1.0)
    assert run.extra_energy_share == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("name", ["time-slicing", "micro-batches", "slow-ramp", "rare-bursts"])
def test_time_disguises_leave_less_the_stronger_they_are(name: str) -> None:
    kept = [disguised(name, strength).throughput_kept for strength in (0.0, 0.3, 0.6, 1.0)]
    assert kept == sorted(kept, reverse=True)
    assert kept[-1] < 0.03


def test_strengths_and_steps_are_checked() -> None:
    with pytest.raises(ValueError, match="not between 0 and 1"):
        disguised("padding", 1.5)
    with pytest.raises(ValueError, match="steps of one length"):
        disguised("padding", 0.5, training=replace(TRAINING, step_ns=2 * 10**9))


def test_gaps_and_dropouts_of_recordings_are_bridged() -> None:
    power = training_power()
    power[20:25] = np.nan
    power[40] = 0.0
    run = disguised("plain", 0.0, training=frame(power))
    assert run.reported.of("power_w").min() > 250
    assert power_of(frame(power))[40] > 250


# --- each by its name ------------------------------------------------------------------------------------------------------


def test_throttling_stays_below_its_cap_and_saves_energy() -> None:
    run = disguised("throttling", 1.0)
    cap = known().level(0.9)
    assert np.quantile(run.reported.of("power_w"), 0.99) <= cap + 5
    assert run.throughput_kept < 1
    assert run.extra_energy_share < 0


def test_padding_never_falls_below_the_references_and_wastes_energy() -> None:
    run = disguised("padding", 1.0)
    # A step of training that is played slowly is a mean over parts of two recorded ones.
    assert np.quantile(run.reported.of("power_w"), 0.05) >= known().level(0.5) - 40
    assert run.throughput_kept < 0.95
    assert run.extra_energy_share > 0.05


def test_valley_filling_costs_less_than_padding() -> None:
    filled, padded = disguised("valley-filling", 1.0), disguised("padding", 1.0)
    assert filled.throughput_kept > padded.throughput_kept
    assert filled.reported.of("power_w").std() < disguised("plain", 0.0).reported.of("power_w").std() / 2


def test_fused_updates_have_no_dips_and_no_price() -> None:
    run = disguised("fused-updates", 1.0)
    assert run.reported.of("power_w").min() > 800
    assert run.throughput_kept == pytest.approx(1.0)


def test_staggered_workers_are_smooth_in_sum_and_not_by_themselves() -> None:
    plain = disguised("plain", 0.0).reported.of("power_w").std()
    assert disguised("staggering", 1.0).reported.of("power_w").std() < plain / 3
    training = frame(training_power(), units=8)
    chips = disguised("staggering", 1.0, training=training, units=8).reported.of("power_w")
    assert chips[:, 3].std() > 0.8 * plain
    assert chips.mean(axis=1).std() < plain / 3


def test_batch_games_take_the_references_distribution() -> None:
    values = np.sort(disguised("batch-games", 1.0).reported.of("power_w").ravel())
    for share in (0.25, 0.5, 0.75, 0.9):
        assert values[int(share * len(values))] == pytest.approx(known().level(share), abs=60)


def test_mimicry_follows_a_reference_the_better_the_stronger_it_is() -> None:
    def likeness(strength: float) -> float:
        found = disguised("mimicry", strength).reported.of("power_w")[:, 0]
        best = 0.0
        for one in known().references:
            model = one.of("power_w")[:, 0]
            best = max(best, *(np.corrcoef(found, np.roll(model, -shift)[:TIMES])[0, 1] for shift in range(len(model))))
        return best

    weak, strong = likeness(0.0), likeness(1.0)
    assert strong > 0.97
    assert weak < strong - 0.05


def test_mimicry_cannot_show_more_than_the_machine_draws() -> None:
    curve = replace(CURVE, peak_w=550.0)
    assert disguised("mimicry", 1.0, curve=curve).reported.of("power_w").max() < 960


def test_time_slices_lie_where_serving_is_quiet() -> None:
    run = disguised("time-slicing", 0.3)
    cover = known().cover.of("power_w")[:TIMES, 0]
    training = np.abs(run.reported.of("power_w")[:, 0] - cover) > 1e-3
    assert training.mean() == pytest.approx(run.throughput_kept, abs=0.02)
    assert cover[training].mean() < cover.mean()


def test_micro_batches_shift_every_second_a_little() -> None:
    run = disguised("micro-batches", 0.5)
    away = np.abs(run.reported.of("power_w")[:, 0] - known().cover.of("power_w")[:TIMES, 0])
    assert (away > 0.1).mean() > 0.9
    assert away.max() < 0.15 * 900


def test_a_ramp_begins_as_serving_and_ends_as_training() -> None:
    run = disguised("slow-ramp", 0.0)
    away = np.abs(run.reported.of("power_w")[:, 0] - known().cover.of("power_w")[:TIMES, 0])
    assert away[:10].max() < 20
    assert away[-50:].max() > 200


def test_a_replay_shows_history_and_a_second_meter_the_present() -> None:
    run = disguised("replay", 0.0)
    assert run.true is not None
    assert run.true.of("power_w") == pytest.approx(disguised("plain", 0.0).reported.of("power_w"))
    found = run.reported.of("power_w")[:, 0]
    copies = [
        np.array_equal(np.roll(one.of("power_w")[:, 0], -shift)[:TIMES], found)
        for one in known().references
        for shift in range(one.times)
    ]
    assert any(copies)
    noisy = disguised("replay", 1.0).reported.of("power_w")[:, 0]
    assert not np.isin(noisy, found).all()
    assert run.throughput_kept == 1.0


def test_only_a_replay_is_contradicted_by_a_second_meter() -> None:
    differing = [name for name in DISGUISES if disguised(name, DISGUISES[name].standard).true is not None]
    assert differing == ["replay"]


# --- the price -------------------------------------------------------------------------------------------------------------


def test_the_price_is_counted_from_the_schedule() -> None:
    """Half of the time at half of the power above idle, a quarter burning, a quarter idle."""
    flat = frame(np.full(100, 900.0))
    one = np.ones(TIMES)
    schedule = Schedule(train=one / 2, clock=one * 0.5 ** (1 / 3), burn=one / 4, serve=one * 0, progress=one * 0.4)
    run = carry_out(flat, known(), schedule)
    expected = 0.5 * (100 + 800 * 0.5) + 0.25 * 1000 + 0.25 * 100
    assert run.reported.of("power_w") == pytest.approx(np.full((TIMES, 1), expected))
    assert run.throughput_kept == pytest.approx(0.4)
    assert run.extra_energy_share == pytest.approx(expected / (0.4 * 900) - 1)


def test_what_was_served_is_not_charged_to_training() -> None:
    run = carry_out(frame(np.full(100, 900.0)), known(), beside(known(), np.full(TIMES, 0.2)))
    assert run.throughput_kept == pytest.approx(0.2)
    assert run.extra_energy_share == pytest.approx(0.0, abs=1e-6)


def test_memory_is_held_by_whoever_runs() -> None:
    training = frame(training_power(), signals=SIGNALS)
    here = known(signals=SIGNALS)
    idle = Schedule(**dict.fromkeys(("train", "burn", "serve", "progress"), np.zeros(TIMES)), clock=np.ones(TIMES))
    found = shown(training, here, idle)
    assert found.of("memory_used_bytes").max() == 0
    assert found.of("power_w") == pytest.approx(np.full((TIMES, 1), CURVE.idle_w))


# --- what is written about them --------------------------------------------------------------------------------------------


def test_the_table_of_the_docs_is_that_of_the_registry(root: Path) -> None:
    text = (root / "docs" / "disguises.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert rows == [
        f"| `{one.name}` | {one.description} | {one.strength} | {one.standard:g} | {', '.join(one.seen_by)} |"
        for one in DISGUISES.values()
    ]
    assert {word for one in DISGUISES.values() for word in one.seen_by} == set(SEEN_BY)
    for word, meaning in SEEN_BY.items():
        assert f"- *{word}*: {meaning}" in text
