"""What windows are, where they begin, what is refused, and that nothing that was not measured looks like a result."""

from __future__ import annotations

import numpy as np
import pytest

from inspectorate.mechanisms.workloads.telemetry.frame import Frame
from inspectorate.mechanisms.workloads.telemetry.signals import SIGNALS
from inspectorate.mechanisms.workloads.windows import StreamingWindows, Windows, feature_names, window_features
from inspectorate.mechanisms.workloads.windows.network import comparators
from inspectorate.mechanisms.workloads.windows.reference import MAIN_PAIRS, QUANTILES
from inspectorate.mechanisms.workloads.windows.scatter import scatter
from inspectorate.mechanisms.workloads.windows.types import SINGLE

SECOND_NS = 1_000_000_000


def frame_of(values: object, signals: tuple[str, ...] = ("power_w",), step_ns: int = SECOND_NS) -> Frame:
    """A frame of one signal from (times,) or (times, units), or of several from (signals, times, units)."""
    shaped = np.asarray(values, np.float32)
    if shaped.ndim < 3:
        shaped = shaped.reshape(1, len(shaped), -1)
    units = tuple(f"chip-{n}" for n in range(shaped.shape[2]))
    return Frame(units=units, signals=signals, start_ns=5, step_ns=step_ns, values=np.ascontiguousarray(shaped))


def one_window(values: object) -> dict[str, float]:
    frame = frame_of(values)
    windows = window_features(frame, window_s=frame.times)
    return {name.split(":")[1]: float(v) for name, v in zip(windows.names, windows.values[0, 0], strict=True)}


T = np.arange(60)


# --- where windows lie ---------------------------------------------------------------------------------------------------


def test_windows_begin_at_the_start_and_every_stride() -> None:
    windows = window_features(frame_of(np.arange(100)), window_s=30, stride_s=20)
    assert windows.start_ns.tolist() == [5, 5 + 20 * SECOND_NS, 5 + 40 * SECOND_NS, 5 + 60 * SECOND_NS]
    assert windows.of("power_w:min")[:, 0].tolist() == [0, 20, 40, 60]
    assert windows.of("power_w:max")[:, 0].tolist() == [29, 49, 69, 89]


def test_windows_are_rounded_to_steps_and_say_so() -> None:
    windows = window_features(frame_of(np.arange(40), step_ns=1_024_000_000), window_s=30)
    assert windows.window_ns == 29 * 1_024_000_000


def test_a_frame_shorter_than_a_window_has_none() -> None:
    windows = window_features(frame_of(np.arange(29)), window_s=30)
    assert len(windows) == 0
    assert windows.values.shape == (0, 1, len(SINGLE))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"window_s": 5.0}, "5 steps"),
        ({"window_s": 4000.0}, "4000 steps"),
        ({"window_s": float("nan")}, "steps"),
        ({"stride_s": 0.0}, "stride"),
        ({"stride_s": -30.0}, "stride"),
        ({"observed_min": 0.0}, "share"),
        ({"observed_min": 1.5}, "share"),
        ({"pods": np.array([1], np.int32)}, "pod"),
        ({"pods": np.array([0, 0], np.int32)}, "pod"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, object], says: str) -> None:
    frame = frame_of(np.arange(60))
    with pytest.raises(ValueError, match=says):
        window_features(frame, **({"window_s": 30.0} | change))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=says):
        StreamingWindows(
            units=frame.units, signals=frame.signals, start_ns=0, step_ns=SECOND_NS, **({"window_s": 30.0} | change)
        )  # type: ignore[arg-type]


def test_more_features_than_a_machine_holds_are_refused() -> None:
    values = np.broadcast_to(np.float32(1), (1, 4000, 4000))
    frame = Frame(
        units=tuple(map(str, range(4000))), signals=("power_w",), start_ns=0, step_ns=SECOND_NS, values=values
    )
    with pytest.raises(ValueError, match="cut the frame"):
        window_features(frame, window_s=60, stride_s=1)


def test_a_step_of_the_wrong_shape_is_refused() -> None:
    stream = StreamingWindows(units=("a", "b"), signals=("power_w",), start_ns=0, step_ns=SECOND_NS, window_s=30)
    for shape in ((2, 1), (1, 3), (1,), (1, 1)):
        with pytest.raises(ValueError, match="does not fit"):
            stream.push(np.zeros(shape))


def test_a_table_that_does_not_fit_is_refused() -> None:
    start, none = np.zeros(1, np.int64), np.zeros((1, 1), np.float32)
    with pytest.raises(ValueError, match="do not fit"):
        Windows(
            names=("a",),
            units=("u",),
            start_ns=start,
            window_ns=1,
            values=np.zeros((1, 1, 2), np.float32),
            observed=none,
        )
    with pytest.raises(KeyError):
        Windows(names=("a",), units=("u",), start_ns=start, window_ns=1, values=none[None], observed=none).of("b")


# --- what is not measured ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gap", [np.nan, np.inf, -np.inf])
def test_what_was_not_measured_has_no_features(gap: float) -> None:
    windows = window_features(frame_of(np.full((60, 3), gap)), window_s=60)
    assert np.isnan(windows.values).all()
    assert (windows.observed == 0).all()


def test_a_signal_measured_too_seldom_has_none_while_the_other_has() -> None:
    values = np.random.default_rng(1).normal(100, 5, (2, 60, 1)).astype(np.float32)
    values[0, :13] = np.nan
    frame = frame_of(values, ("power_w", "busy_share"))
    windows = window_features(frame, window_s=60)
    there = {name for name, v in zip(windows.names, windows.values[0, 0], strict=True) if not np.isnan(v)}
    assert there
    assert all(name.startswith("busy_share:") for name in there)
    assert windows.observed.tolist() == [[1.0]]
    lenient = window_features(frame, window_s=60, observed_min=0.7)
    assert not np.isnan(lenient.of("power_w:mean")).any()
    assert not np.isnan(lenient.of("power_w~busy_share:levels")).any()


def test_gaps_move_order_statistics_to_those_of_what_is_left() -> None:
    values = np.random.default_rng(2).normal(100, 5, 60).astype(np.float32)
    values[[0, 7, 8, 9, 30, 59]] = np.nan
    found = one_window(values)
    for name, place in QUANTILES:
        assert found[name] == np.float32(np.nanquantile(values.astype(np.float64), place))


def test_a_constant_signal_has_no_shape_and_no_rhythm() -> None:
    found = one_window(np.full(60, 0.1))
    for name, value in found.items():
        if name.startswith(("auto", "period", "band", "sync")) or name in {
            "skew",
            "bimodality",
            "low_share",
            "high_share",
        }:
            assert np.isnan(value), name
    assert found["std"] == found["difference_mean"] == found["change_points"] == found["level_changes_per_min"] == 0
    assert found["longest_dwell_share"] == 1


def test_a_unit_alone_has_no_synchrony_and_two_alike_have_it_whole() -> None:
    wave = np.random.default_rng(3).normal(size=60)
    assert np.isnan(one_window(wave)["synchrony_levels"])
    twins = window_features(frame_of(np.stack([wave, 2 * wave + 5, -wave], axis=1)[:, :2]), window_s=60)
    np.testing.assert_allclose(twins.of("power_w:synchrony_levels"), 1, rtol=1e-6)
    np.testing.assert_allclose(twins.of("power_w:synchrony_differences"), 1, rtol=1e-6)


# --- what features say ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("period", [3, 5, 7.5, 10, 12.25])
def test_the_period_of_a_wave_is_found(period: float) -> None:
    found = one_window(300 + 50 * np.sin(2 * np.pi * T / period))
    assert found["period_s"] == pytest.approx(period, rel=0.03)
    assert found["period_strength"] > 0.85


def test_power_of_a_wave_lies_in_its_band() -> None:
    found = one_window(300 + 50 * np.sin(2 * np.pi * 7 * T / 60))
    assert found["band_5"] == pytest.approx(1, abs=1e-6)  # wave numbers 6 to 8 of 30
    assert sum(found[f"band_{n}"] for n in range(1, 9)) == pytest.approx(1, abs=1e-6)


def test_changes_of_level_dips_and_dwells() -> None:
    found = one_window(np.where(T % 20 < 15, 700.0, 200.0))
    assert found["level_changes_per_min"] == 5
    assert found["longest_dwell_share"] == 0.25
    assert (found["low_share"], found["high_share"]) == (0.25, 0.75)
    assert found["dip_depth"] == pytest.approx(500 / 700)
    assert found["rise_height"] == 0


def test_bimodality_tells_two_levels_from_one() -> None:
    rng = np.random.default_rng(4)
    two = one_window(np.where(rng.random(60) < 0.5, 200, 600) + rng.normal(size=60))
    one = one_window(rng.normal(size=60))
    assert two["bimodality"] > 0.9 > 0.6 > one["bimodality"]


@pytest.mark.parametrize("height", [60, -60])
def test_a_shift_is_one_change_point(height: float) -> None:
    found = one_window(300 + height * (T >= 30) + np.random.default_rng(5).normal(0, 5, 60))
    assert found["change_points"] == 1


def test_names_follow_from_the_signals() -> None:
    names = feature_names(("busy_share", "power_w", "temperature_c"))
    assert len(set(names)) == len(names) == 3 * len(SINGLE) + 2
    assert names[-2:] == ("power_w~busy_share:levels", "power_w~busy_share:differences")


def test_networks_sort_every_row_of_noughts_and_ones() -> None:
    """A network that sorts these sorts everything (Knuth 5.3.4, theorem Z)."""
    for n in range(1, 13):
        rows = ((np.arange(2**n)[None, :] >> np.arange(n)[:, None]) & 1).astype(np.int8)
        for i, j in comparators(n):
            rows[i], rows[j] = np.minimum(rows[i], rows[j]), np.maximum(rows[i], rows[j])
        assert (np.diff(rows, axis=0) >= 0).all()


def test_values_that_may_not_be_written_are_read() -> None:
    frame = frame_of(np.random.default_rng(7).normal(size=(60, 3)))
    fixed = Frame(
        units=frame.units,
        signals=frame.signals,
        start_ns=5,
        step_ns=SECOND_NS,
        values=frame.values[:, :, ::-1][:, :, ::-1],
    )
    fixed.values.setflags(write=False)
    assert window_features(fixed, window_s=60).values.tobytes() == window_features(frame, window_s=60).values.tobytes()


def test_main_pairs_are_of_signals_that_there_are() -> None:
    assert {one for pair in MAIN_PAIRS for one in pair} <= {signal.in_frames for signal in SIGNALS.values()}


def test_rows_are_scattered_and_those_outside_are_counted() -> None:
    series = np.full((3, 2), np.nan, np.float32)
    step, unit = np.array([2, 0, 0, 3, -1, 0], np.int32), np.array([1, 0, 0, 0, 0, 2], np.int32)
    assert scatter(step, unit, np.arange(6, dtype=np.float32), series) == 3
    np.testing.assert_array_equal(series, [[2, np.nan], [np.nan, np.nan], [np.nan, 0]])
