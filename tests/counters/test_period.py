"""Periods: found where there is one, under gaps and jitter; and not found where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from inspectorate.errors import InputError
from inspectorate.mechanisms.interconnect.counters.increase import increases
from inspectorate.mechanisms.interconnect.counters.period import best_period, grid_of, periods, spectrum
from inspectorate.mechanisms.interconnect.counters.readings import Port, Reading, readings_of

SECONDS = 1_800


def loads_without_period(kind: str, count: int, rng: np.random.Generator) -> np.ndarray:
    noise = rng.standard_normal((count, SECONDS))
    match kind:
        case "white":
            return noise
        case "heavy":
            return np.exp(2 * noise)
        case "drifting":
            for t in range(1, SECONDS):
                noise[:, t] += 0.95 * noise[:, t - 1]
            return noise
        case "walk":
            return np.cumsum(noise, axis=1)
        case _:
            # Bursts of random length at random times: requests.
            busy = rng.random((count, SECONDS)) < 0.02
            state = np.zeros((count, SECONDS))
            left = np.zeros(count)
            for t in range(SECONDS):
                left = np.where(busy[:, t], rng.exponential(15, count), np.maximum(left - 1, 0))
                state[:, t] = (left > 0) * rng.gamma(2.0, 1.0, count)
            return state


@pytest.mark.parametrize("kind", ["white", "heavy", "drifting", "walk", "bursts"])
def test_loads_without_period_are_rarely_given_one(kind: str) -> None:
    """At level 0.01 each, 400 loads: 4 expected at most, and more than 9 by chance in 1 of 120 such tests."""
    rng = np.random.default_rng(7)
    seen = np.ones(SECONDS, bool)
    seen[600:800] = False
    ratios, frequencies = spectrum(loads_without_period(kind, 400, rng), seen, 1.0)
    wrong = sum(best_period(ratio, frequencies)[1] < 0.01 for ratio in ratios)
    print(f"{kind}: {wrong} of 400 loads without a period have p < 0.01")
    assert wrong <= 9


@pytest.mark.parametrize("period_s", [7.3, 26.0, 57.0])
@pytest.mark.parametrize("gap", [False, True])
def test_a_period_is_found_under_a_gap_and_jitter(period_s: float, gap: bool) -> None:
    rng = np.random.default_rng(3)
    times = np.arange(SECONDS)
    starts = np.arange(0, SECONDS, period_s)
    starts = starts + rng.normal(0, 0.03 * period_s, len(starts))
    load = rng.gamma(1.0, 1.0, SECONDS)
    for start in starts:
        load[(times >= start) & (times < start + 0.3 * period_s)] += 4
    seen = np.ones(SECONDS, bool)
    if gap:
        seen[500:900] = False
        load[500:900] = 0
        load[900] = 1e6
    ratios, frequencies = spectrum(load[None, :], seen, 1.0)
    found, p_value, _ = best_period(ratios[0], frequencies)
    assert found == pytest.approx(period_s, rel=0.02)
    assert p_value < 1e-4


def test_the_spectrum_is_that_of_a_least_squares_fit() -> None:
    """Against the slow way: a sine and a cosine fitted at each frequency."""
    rng = np.random.default_rng(5)
    seen = rng.random(400) < 0.7
    from inspectorate.mechanisms.interconnect.counters.period import _lomb_scargle

    times = np.flatnonzero(seen).astype(float)
    values = rng.standard_normal(len(times))
    values -= values.mean()
    frequencies = np.linspace(0.02, 0.45, 25)
    fast = _lomb_scargle(values[None, :], times, frequencies)[0]
    for place, frequency in enumerate(frequencies):
        design = np.stack([np.cos(2 * np.pi * frequency * times), np.sin(2 * np.pi * frequency * times)], axis=1)
        fitted = design @ np.linalg.lstsq(design, values, rcond=None)[0]
        assert fast[place] == pytest.approx(0.5 * float(fitted @ fitted), rel=1e-9)


def test_from_counters_to_periods_with_a_correction_over_ports() -> None:
    rng = np.random.default_rng(11)
    start = 1_700_000_000_000_000_000
    rows = []
    for place in range(12):
        steps = rng.gamma(1.0, 1e6, 600)
        if place == 0:
            steps += 5e6 * (np.arange(600) % 20 < 6)
        total = np.cumsum(steps).astype(int)
        rows += [
            Reading(port=Port("sw", f"p{place}"), time_ns=start + t * 10**9, in_octets=int(total[t]), out_octets=0)
            for t in range(600)
        ]
    steps_by_port = increases(readings_of(rows))
    found = {one.port: one for one in periods(steps_by_port, grid_of(steps_by_port, 1.0))}
    assert {port for port, one in found.items() if one.significant} == {"sw/p0"}
    assert found["sw/p0"].period_s == pytest.approx(20, rel=0.01)


def test_too_short_a_record_is_refused_with_a_remedy() -> None:
    rows = [Reading(port=Port("s", "p"), time_ns=10**18 + t * 10**9, in_octets=t, out_octets=0) for t in range(20)]
    steps = increases(readings_of(rows))
    with pytest.raises(InputError, match="19 intervals"):
        grid_of(steps, 1.0)
    assert len(grid_of(steps, 0.05)) == 381
