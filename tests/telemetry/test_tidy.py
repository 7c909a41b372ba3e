"""Samples onto a grid: every rule by itself, and all against a slow obvious loop over random histories."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from telemetry_making import START_NS as T
from telemetry_making import S, samples, slow_tidy

from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.workloads.telemetry.frame import Samples
from inspectorate.mechanisms.workloads.telemetry.tidy import Grid, Oddity, Tidied, tidy, tidy_onto

Row = tuple[int, str, dict[str, float]]
BLANK = 9223372036854775794.0


def with_gap(rows: list[Row], gap_ns: int) -> Tidied:
    return tidy_onto(samples(rows), Grid(start_ns=T, end_ns=T + 6 * S, step_ns=S, gap_ns=gap_ns))


def tidied(rows: list[Row], steps: int = 6, **more: object) -> Tidied:
    return tidy(samples(rows), start_ns=T, end_ns=T + steps * S, step_ns=S, **more)  # type: ignore[arg-type]


def series(found: Tidied, signal: str = "power_w", unit: str = "a") -> list[float | None]:
    values = found.frame.of(signal)[:, found.frame.units.index(unit)]
    return [None if np.isnan(value) else float(value) for value in values]


def power(*readings: tuple[float, float], unit: str = "a") -> list[Row]:
    return [(T + round(at * S), unit, {"power_w": value}) for at, value in readings]


def energy(*readings: tuple[float, float]) -> list[Row]:
    return [(T + round(at * S), "a", {"energy_j": value}) for at, value in readings]


def test_a_step_has_the_mean_of_its_values_and_nothing_is_carried_over_a_gap() -> None:
    found = tidied(power((0.0, 100), (0.5, 200), (1.9, 300), (4.0, 50)))
    assert series(found) == [150, 300, None, None, 50, None]
    assert found.counts == {}
    assert found.values_used == 4


def test_blanks_and_impossible_values_are_gaps_and_counted() -> None:
    found = tidied(power((0, BLANK), (1, -1.0), (2, 2e7), (3, np.inf), (4, 70)))
    assert series(found) == [None, None, None, None, 70, None]
    assert found.counts == {Oddity.BLANK: 2, Oddity.TOO_SMALL: 1, Oddity.TOO_LARGE: 1}


def test_a_temperature_may_be_below_zero() -> None:
    found = tidied([(T, "a", {"temperature_c": -5.0, "busy_share": -0.5})])
    assert series(found, "temperature_c")[0] == -5
    assert found.counts == {Oddity.TOO_SMALL: 1}


def test_repeats_count_once_and_contradictions_not_at_all() -> None:
    found = tidied(power((0, 100), (0, 100), (1, 100), (1, 101), (1, 101), (2, 80)))
    assert series(found)[:3] == [100, None, 80]
    assert found.counts == {Oddity.REPEATED: 1, Oddity.CONTRADICTED: 3}


def test_late_rows_are_put_in_their_place() -> None:
    found = tidied(power((0, 1), (2, 3), (1, 2), (3, 4)))
    assert series(found)[:4] == [1, 2, 3, 4]
    assert found.counts == {Oddity.LATE: 1}


def test_values_outside_the_period_are_counted_and_a_period_may_end_within_a_step() -> None:
    rows = power((-0.001, 1), (0, 2), (2.4, 3), (2.5, 4))
    found = tidy(samples(rows), start_ns=T, end_ns=T + 2_500_000_000, step_ns=S)
    assert series(found) == [2, None, 3]
    assert found.counts == {Oddity.OUTSIDE: 2}


def test_a_counter_is_spread_over_the_time_between_its_readings() -> None:
    found = tidied(energy((-0.5, 0), (0.5, 100), (2.5, 500), (4.5, 500)))
    # 100 W until 0.5 s, then 200 W, then nothing; the last step is half covered, which is enough.
    assert series(found) == [150, 200, 100, 0, 0, None]
    assert found.counts == {Oddity.OUTSIDE: 1}


def test_a_counter_leaves_a_gap_where_it_was_reset_too_fast_or_silent() -> None:
    found = tidied(energy((0, 1000), (1, 1100), (2, 50), (3, 150), (4, 150 + 2e7), (5, 3e7), (6, 3.00001e7)))
    assert series(found) == [100, None, 100, None, pytest.approx(1e7 - 150, rel=1e-3), 100]
    assert found.counts == {Oddity.COUNTER_FELL: 1, Oddity.COUNTER_TOO_FAST: 1, Oddity.OUTSIDE: 1}
    silent = tidied(energy((0, 0), (3.1, 310), (4.1, 410)))
    assert series(silent) == [None, None, None, 100, None, None]
    assert silent.counts == {Oddity.COUNTER_SILENT: 1}
    assert series(with_gap(energy((0, 0), (3.1, 310), (4.1, 410)), 4 * S))[:4] == [100, 100, 100, 100]


def test_a_counter_that_is_refreshed_slowly_makes_no_spikes() -> None:
    """Read every 20 ms, refreshed every 100 ms: the power is even all the same."""
    rows = energy(*((k * 0.02, 300 * (k // 5) * 0.1) for k in range(101)))
    found = tidy(samples(rows), start_ns=T, end_ns=T + 2 * S, step_ns=S // 50)
    shown = np.array([value for value in series(found) if value is not None])
    assert len(shown) > 90
    assert np.allclose(shown, 300, rtol=1e-5)


def test_the_counter_is_preferred_and_the_gauge_fills_what_it_left() -> None:
    found = tidied([*energy((0, 0), (1, 90), (2, 0), (3, 100)), *power((0.5, 400), (1.5, 200), (4.5, 60))])
    assert series(found) == [90, 200, 100, None, 60, None]


def test_units_and_signals_are_those_asked_for_in_their_order() -> None:
    rows = [*power((0, 10)), *power((0, 20), unit="b"), (T, "c", {"power_w": 5.0, "busy_share": 0.5})]
    found = tidied(rows, units=("b", "missing", "a"), signals=("power_w", "temperature_c"))
    assert found.frame.units == ("b", "missing", "a")
    assert found.frame.signals == ("power_w", "temperature_c")
    assert found.frame.values[0, 0].tolist()[::2] == [20, 10]
    assert np.isnan(found.frame.values[1]).all()
    assert found.counts == {Oddity.NOT_ASKED: 1}


def test_a_changed_sampling_rate_is_counted() -> None:
    times = [*range(10), *(10 + 0.1 * k for k in range(1, 10))]
    found = tidied(power(*((at, 1.0) for at in times)), steps=12)
    assert found.counts == {Oddity.RATE_CHANGED: 1}
    assert tidied(power((0, 1), (1, 1), (3, 1), (4, 1)), steps=6).counts == {}, "one missing sample is no change"


def test_nothing_gives_nothing() -> None:
    found = tidied([])
    assert found.frame.values.shape == (0, 6, 0)
    assert found.values_used == 0


def test_wrong_use_and_frames_beyond_the_bound() -> None:
    with pytest.raises(ValueError, match="longer than nothing"):
        tidy(samples([]), start_ns=T, end_ns=T, step_ns=S)
    with pytest.raises(ValueError, match="watts"):
        tidy(samples(power((0, 1))), start_ns=T, end_ns=T + S, step_ns=S, signals=("watts",))
    with pytest.raises(EvidenceError, match="steps"):
        tidy(samples(power((0, 1))), start_ns=T, end_ns=T + 10**12, step_ns=1)


readings = st.lists(
    st.tuples(
        st.integers(-3_000, 9_000).map(lambda ms: T + ms // 250 * 250_000_000),
        st.sampled_from(["a", "b"]),
        st.fixed_dictionaries(
            {},
            optional={
                "power_w": st.sampled_from([0.0, 100.0, 250.5, -1.0, 3e7, BLANK]),
                "energy_j": st.integers(0, 8).map(lambda n: n * 100.0),
                "busy_share": st.sampled_from([0.0, 0.25, 1.0, 1.5]),
                "page_faults": st.sampled_from([0.0, 10.0, 20.0, 5e12, BLANK]),
            },
        ),
    ),
    max_size=40,
)


@given(readings, st.sampled_from([500_000_000, S, 1_700_000_000]), st.sampled_from([S, 3 * S]), st.booleans())
@settings(max_examples=150)
def test_against_the_slow_rules(rows: list[Row], step_ns: int, gap_ns: int, ordered: bool) -> None:
    if ordered:
        rows = sorted(rows, key=lambda row: row[0])
    given_samples = samples(rows, units=("a", "b"), signals=("power_w", "energy_j", "busy_share", "page_faults"))
    before = given_samples.values.copy()
    period = {"start_ns": T, "end_ns": T + 6 * S, "step_ns": step_ns, "gap_ns": gap_ns}
    found = tidy_onto(given_samples, Grid(**period))
    expected, counts = slow_tidy(given_samples, **period)
    frame = found.frame
    shown = {
        (frame.signals[s], int(t), frame.units[u]): float(frame.values[s, t, u])
        for s, t, u in np.argwhere(np.isfinite(frame.values))
    }
    assert shown.keys() == expected.keys()
    assert all(shown[key] == pytest.approx(expected[key], rel=1e-5, abs=1e-6) for key in expected)
    ignored = (Oddity.LATE, Oddity.RATE_CHANGED)
    assert {k.value: v for k, v in found.counts.items() if k not in ignored} == counts
    assert np.array_equal(given_samples.values, before, equal_nan=True), "samples are not changed"


def test_tidying_does_not_depend_on_the_order_of_arrival() -> None:
    source = np.random.default_rng(1)
    n = 4_000
    time_ns = T + np.sort(source.integers(0, 60 * S, n))
    one = Samples(
        units=tuple(f"u{k}" for k in range(7)),
        signals=("power_w", "energy_j"),
        time_ns=time_ns,
        unit=source.integers(0, 7, n).astype(np.int32),
        values=np.stack([source.random(n), np.arange(n, dtype=np.float64)], axis=1),
    )
    mixed = source.permutation(n)
    other = Samples(
        units=one.units, signals=one.signals, time_ns=time_ns[mixed], unit=one.unit[mixed], values=one.values[mixed]
    )
    a, b = (tidy(s, start_ns=T, end_ns=T + 60 * S, step_ns=S) for s in (one, other))
    assert np.allclose(a.frame.values, b.frame.values, equal_nan=True)
    assert b.counts[Oddity.LATE] > 0
