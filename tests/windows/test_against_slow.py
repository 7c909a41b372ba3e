"""Every feature against its slow form, with and without gaps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from slow_windows import correlation, differences, single, synchrony

from inspectorate.mechanisms.workloads.telemetry.frame import Frame
from inspectorate.mechanisms.workloads.windows import Windows, main_pairs, window_features
from inspectorate.mechanisms.workloads.windows.types import JOINT, SINGLE

SIGNALS = ("power_w", "busy_share")
SECOND_NS = 1_000_000_000


def frame_of(values: NDArray[np.float32], step_ns: int = SECOND_NS) -> Frame:
    units = tuple(f"chip-{n}" for n in range(values.shape[2]))
    return Frame(
        units=units,
        signals=SIGNALS[: values.shape[0]],
        start_ns=0,
        step_ns=step_ns,
        values=np.ascontiguousarray(values, np.float32),
    )


def series(values: NDArray[np.float32]) -> list[float | None]:
    return [None if math.isnan(v) else float(v) for v in values]


def expected(values: NDArray[np.float32], step_s: float, needed: int) -> NDArray[np.float64]:
    """Features (units, features) of a window (signals, steps, units), by the slow forms."""
    signals, _, units = values.shape
    names = [*SINGLE] * signals + [*JOINT] * len(main_pairs(SIGNALS[:signals]))
    found = np.full((units, len(names)), np.nan)
    for u in range(units):
        columns = [series(values[s, :, u]) for s in range(signals)]
        enough = [sum(v is not None for v in column) >= needed for column in columns]
        for s, column in enumerate(columns):
            if not enough[s]:
                continue
            features = single(column, step_s)
            others = [series(values[s, :, other]) for other in range(units) if other != u]
            features["synchrony_levels"] = synchrony(column, others, of_differences=False)
            features["synchrony_differences"] = synchrony(column, others, of_differences=True)
            assert set(features) == set(SINGLE)
            found[u, s * len(SINGLE) : (s + 1) * len(SINGLE)] = [numbers(features[name]) for name in SINGLE]
        if signals == 2 and all(enough):
            found[u, -2] = numbers(correlation(*columns))
            found[u, -1] = numbers(correlation(*map(differences, columns)))
    return found


def numbers(value: float | None) -> float:
    return math.nan if value is None else value


def agree(windows: Windows, index: int, slow: NDArray[np.float64]) -> None:
    fast = windows.values[index].astype(np.float64)
    for column, name in enumerate(windows.names):
        np.testing.assert_array_equal(np.isnan(fast[:, column]), np.isnan(slow[:, column]), err_msg=name)
        np.testing.assert_allclose(fast[:, column], slow[:, column], rtol=2e-6, atol=2e-6, err_msg=name)


WAVES = {
    "noise": lambda t, rng: 300 + 40 * rng.normal(size=t.shape),
    "square wave": lambda t, rng: 200 + 300 * (t % 12 < 8) + rng.normal(size=t.shape),
    "sine": lambda t, rng: 400 + 90 * np.sin(t / 2.3) + 5 * rng.normal(size=t.shape),
    "ramp": lambda t, rng: 100 + 4 * t + 0 * rng.normal(size=t.shape),
    "one step": lambda t, rng: 150 + 500.0 * (t > 25) + 3 * rng.normal(size=t.shape),
    "quantised": lambda t, rng: np.round(20 + 3 * rng.normal(size=t.shape)),
    "constant": lambda t, rng: 70.0 + 0 * t,
    "negative": lambda t, rng: -5 + rng.normal(size=t.shape),
}


@pytest.mark.parametrize("steps", [8, 15, 30, 60, 61])
@pytest.mark.parametrize("gaps", [0.0, 0.1], ids=["whole", "with gaps"])
def test_waves_of_all_kinds(steps: int, gaps: float) -> None:
    rng = np.random.default_rng(steps)
    t = np.arange(steps)[None, :]
    waves = [make(t, np.random.default_rng(s))[0] for make in WAVES.values() for s in range(2)]
    values = np.stack([np.stack(waves, axis=1), np.stack(waves[::-1], axis=1)]).astype(np.float32)
    values[rng.random(values.shape) < gaps] = np.nan
    windows = window_features(frame_of(values, 2 * SECOND_NS), window_s=2.0 * steps)
    agree(windows, 0, expected(values, 2.0, max(6, math.ceil(0.8 * steps - 1e-9))))


MEASURED = st.integers(-40, 4000).map(lambda n: n / 8)
VALUES = st.one_of(MEASURED, MEASURED, MEASURED, MEASURED, st.just(math.nan), st.just(math.inf))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_was_measured(data: st.DataObject) -> None:
    units = data.draw(st.integers(1, 3))
    steps = data.draw(st.sampled_from([8, 12, 13]))
    drawn = data.draw(st.lists(VALUES, min_size=2 * steps * units, max_size=2 * steps * units))
    values = np.array(drawn, np.float32).reshape(2, steps, units)
    windows = window_features(frame_of(values), window_s=steps, observed_min=0.7)
    values[np.isinf(values)] = np.nan
    agree(windows, 0, expected(values, 1.0, max(6, math.ceil(0.7 * steps - 1e-9))))
    np.testing.assert_allclose(windows.observed[0], (~np.isnan(values)).any(axis=0).mean(axis=0), rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([0.0, 1.0, 2.0, 100.0, math.nan]), min_size=24, max_size=24))
def test_few_levels_and_many_ties(drawn: list[float]) -> None:
    values = np.array(drawn, np.float32).reshape(1, 24, 1)
    windows = window_features(frame_of(values), window_s=24, observed_min=0.3)
    agree(windows, 0, expected(values, 1.0, 8))


@pytest.mark.parametrize("steps", [8, 30, 60, 120])
def test_order_statistics_are_exactly_those_of_numpy(steps: int) -> None:
    rng = np.random.default_rng(steps)
    values = rng.lognormal(5, 2, (1, steps, 200)).astype(np.float32) * rng.choice([-1, 1], 200).astype(np.float32)
    windows = window_features(frame_of(values), window_s=steps)
    places = [0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 1]
    whole = np.quantile(values[0].astype(np.float64), places, axis=0).astype(np.float32)
    np.testing.assert_array_equal(windows.values[0, :, :9].T, whole)
