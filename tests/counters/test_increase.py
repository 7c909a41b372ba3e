"""Increases: against a slow loop, against the truth, and each oddity by name."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from counter_histories import PORT, START_NS, History, histories, slow_increases
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.mechanisms.interconnect.counters.findings import Finding
from inspectorate.mechanisms.interconnect.counters.increase import PortSteps, increases
from inspectorate.mechanisms.interconnect.counters.levels import Levels, amounts, gap_totals, observed
from inspectorate.mechanisms.interconnect.counters.readings import Port, Reading, readings_of

S = 10**9


def reading(at_s: float, octets: int, **rest: object) -> Reading:
    given_ = {"out_octets": 0, "speed_bits_per_s": 10**10, "epoch_ns": START_NS - S} | rest
    return Reading(port=PORT, time_ns=START_NS + round(at_s * S), in_octets=octets, **given_)  # type: ignore[arg-type]


def steps_of(*rows: Reading) -> PortSteps:
    return increases(readings_of(rows))[rows[0].port]


def findings(steps: PortSteps) -> dict[Finding, int]:
    return {told.finding: told.count for told in steps.found}


def bounds(steps: PortSteps, place: int = 0) -> tuple[int, float]:
    side = steps.sides["in_octets"]
    return int(side.lower[place]), float("inf") if side.unbounded[place] else int(side.upper[place])


# --- by name -----------------------------------------------------------------------------------------------------------


def test_an_increase_is_exact() -> None:
    steps = steps_of(reading(0, 1_000), reading(1, 5_000))
    assert bounds(steps) == (4_000, 4_000)
    assert steps.found == ()


@pytest.mark.parametrize("bits", [32, 64])
def test_a_wrap_of_a_counter_that_was_not_reset_is_exact(bits: int) -> None:
    top = (1 << bits) - 100
    steps = steps_of(
        reading(0, top, bits=bits, speed_bits_per_s=10**9), reading(1, 400, bits=bits, speed_bits_per_s=10**9)
    )
    assert bounds(steps) == (500, 500)
    assert findings(steps) == {Finding.WRAP: 1}


def test_a_32_bit_counter_on_a_fast_link_may_have_gone_round_several_times() -> None:
    # 100 Gbit/s for 1 s is 12.5 GB: two times round more, at most.
    fast = {"bits": 32, "speed_bits_per_s": 10**11}
    steps = steps_of(reading(0, 1_000, **fast), reading(1, 2_000, **fast))
    assert bounds(steps) == (1_000, 1_000 + 2 * 2**32)
    assert findings(steps) == {Finding.WRAPS_UNKNOWN: 1}


def test_a_32_bit_counter_on_a_link_of_unknown_speed_has_no_upper_bound() -> None:
    steps = steps_of(reading(0, 1, bits=32, speed_bits_per_s=0), reading(1, 2, bits=32, speed_bits_per_s=0))
    assert bounds(steps) == (1, float("inf"))


def test_a_decrease_without_an_epoch_may_be_a_wrap_or_a_reset() -> None:
    steps = steps_of(reading(0, 5_000, epoch_ns=0), reading(1, 100, epoch_ns=0))
    least, most = bounds(steps)
    assert least == 0
    assert most == pytest.approx(10**10 / 8, rel=0.02)
    assert findings(steps) == {Finding.WRAP_OR_RESET: 1}


def test_a_reset_that_is_told_bounds_nothing_below() -> None:
    """Even where the value rose: a counter may begin anywhere."""
    steps = steps_of(reading(0, 5_000), reading(1, 6_000, epoch_ns=START_NS))
    assert bounds(steps)[0] == 0
    assert findings(steps) == {Finding.RESET: 1}


def test_a_counter_that_goes_back_without_reset_contradicts_itself() -> None:
    steps = steps_of(reading(0, 5_000), reading(1, 4_000))
    assert bounds(steps) == (0, float("inf"))
    assert findings(steps) == {Finding.WENT_BACK: 1}
    assert steps.doubtful.tolist() == [True]


def test_an_increase_beyond_the_link_is_no_traffic() -> None:
    steps = steps_of(reading(0, 0), reading(1, 2 * 10**9))
    assert bounds(steps) == (0, float("inf"))
    assert findings(steps) == {Finding.FASTER_THAN_LINK: 1}


def test_sums_never_overflow() -> None:
    """A forged counter of unknown speed that jumps to and fro between both ends."""
    rows = [reading(t, (t % 2) * (2**64 - 1), speed_bits_per_s=0, epoch_ns=0) for t in range(64)]
    rows += [reading(64 + t, (t % 4) * 2**62, speed_bits_per_s=0) for t in range(64)]
    for side in steps_of(*rows).sides.values():
        assert 0 <= float(side.lower.astype(object).sum()) < 2**63
        assert 0 <= float(side.upper.astype(object).sum()) < 2**63
        assert (side.lower >= 0).all()
        assert (side.upper >= side.lower).all()


def test_width_changes_duplicates_conflicts_and_late_readings_have_names() -> None:
    rows = [
        reading(0, 0),
        reading(2, 20),
        reading(1, 10),
        reading(2, 20),
        reading(3, 30),
        reading(3, 31),
        reading(4, 40),
        reading(5, 50, bits=32),
    ]
    steps = steps_of(*rows)
    assert findings(steps) == {
        Finding.OUT_OF_ORDER: 1,
        Finding.DUPLICATE: 1,
        Finding.CONFLICT: 1,
        Finding.WIDTH_CHANGED: 1,
    }
    assert steps.sides["in_octets"].lower.tolist() == [10, 10, 20, 0]


def test_a_gap_has_an_exact_sum_and_no_distribution() -> None:
    steps = steps_of(*(reading(t, t * 100) for t in (*range(60), *range(310, 370))))
    assert findings(steps) == {Finding.GAP: 1}
    (total,) = gap_totals(steps)
    assert (total.in_lower, total.in_upper) == (25_100, 25_100)
    edges = START_NS + S * np.arange(0, 369, 50, dtype=np.int64)
    seen, bound = observed(steps, edges), amounts(steps, "in_octets", edges)
    assert seen.tolist() == [True] + [False] * 6
    assert bound.lower.tolist() == [5_000, 900, 0, 0, 0, 0, 4_000]
    # [50, 100) may hold all of the gap; so may each interval that lies within it, and [300, 350).
    assert bound.upper.tolist() == [5_000, 26_000, *[25_100] * 4, 29_100]


def test_the_same_rate_without_the_gap_is_observed() -> None:
    steps = steps_of(*(reading(t, t * 100) for t in range(370)))
    assert findings(steps) == {}
    assert observed(steps, START_NS + S * np.arange(0, 369, 50, dtype=np.int64)).all()


def test_a_port_that_stands_still_while_another_moves_is_frozen() -> None:
    other = Port("sw1", "p2")
    still = [reading(t, 100 * min(t, 50) if t < 300 else 100 * t) for t in range(400)]
    moving = [replace(reading(t, 7 * t), port=other) for t in range(400)]
    found = increases(readings_of(still + moving))
    assert findings(found[PORT]) == {Finding.FROZEN: 1}
    (told,) = found[PORT].found
    assert (told.start_ns - START_NS) / S == 50
    assert (told.end_ns - START_NS) / S == 299
    assert findings(found[other]) == {}
    alone = increases(readings_of(still))
    assert findings(alone[PORT]) == {}, "nobody moved meanwhile: an idle node"
    assert findings(steps_of(*(reading(t, 0) for t in range(400)))) == {}


def test_frozen_needs_packets_to_stand_still_too() -> None:
    still = [reading(t, 100 * min(t, 50), in_packets=t // 30, out_packets=0) for t in range(400)]
    moving = [replace(reading(t, 7 * t), port=Port("sw1", "p2")) for t in range(400)]
    assert findings(increases(readings_of(still + moving))[PORT]) == {}


def test_one_reading_and_none_bound_nothing() -> None:
    steps = steps_of(reading(0, 5))
    edges = START_NS + S * np.arange(-2, 3, dtype=np.int64)
    assert np.isinf(amounts(steps, "in_octets", edges).upper).all()
    assert not observed(steps, edges).any()
    assert gap_totals(steps) == ()


# --- against a slow loop, and against the truth ------------------------------------------------------------------------


@settings(max_examples=300)
@given(histories())
def test_the_fast_increases_are_those_of_the_slow_loop(history: History) -> None:
    readings = history.readings
    rows = [
        Reading(
            port=PORT,
            time_ns=int(row["time_ns"]),
            in_octets=int(row["in_octets"]),
            out_octets=int(row["out_octets"]),
            bits=int(row["bits"]),
            speed_bits_per_s=int(row["speed_bits_per_s"]),
            epoch_ns=int(row["epoch_ns"]),
        )
        for row in readings.rows
    ]
    steps = increases(readings)[PORT]
    fast = []
    for place in range(steps.steps):
        row: list[float] = []
        for name in ("in_octets", "out_octets"):
            side = steps.sides[name]
            row += [int(side.lower[place]), float("inf") if side.unbounded[place] else int(side.upper[place])]
        fast.append(tuple(row))
    assert fast == slow_increases(rows)


@settings(max_examples=400)
@given(histories(), st.integers(0, 2**32 - 1))
def test_bounds_contain_the_truth_in_any_interval(history: History, seed: int) -> None:
    steps = increases(history.readings)[PORT]
    rng = np.random.default_rng(seed)
    first, last = int(history.readings.rows["time_ns"].min()), int(history.readings.rows["time_ns"].max())
    edges = np.unique(rng.integers(first - 3 * S, last + 3 * S, 12))
    if len(edges) < 2:
        return
    for way in ("in", "out"):
        bound = amounts(steps, f"{way}_octets", edges)
        for place, (start, end) in enumerate(itertools.pairwise(edges)):
            truth = history.truth(int(start), int(end), way)
            assert bound.lower[place] <= truth <= bound.upper[place] * (1 + 1e-12)
            assert bound.lower[place] <= bound.estimate[place] <= bound.upper[place]


@settings(max_examples=150)
@given(histories(), st.integers(0, 5 * S), st.integers(0, 2**32 - 1))
def test_bounds_contain_the_truth_although_values_are_old(history: History, age_ns: int, seed: int) -> None:
    """Readings whose values are of up to `age_ns` before: shifted by a random part of it."""
    rng = np.random.default_rng(seed)
    rows = history.readings.rows.copy()
    late = np.sort(rng.integers(0, age_ns + 1, len(rows)))
    order = np.argsort(rows["time_ns"], kind="stable")
    times = rows["time_ns"].copy()
    # Copies of one reading stay copies.
    _, inverse = np.unique(times, return_inverse=True)
    rows["time_ns"] = times + late[inverse.reshape(-1)]
    rows["age_ns"] = age_ns
    assert len(order) == len(rows)
    steps = increases(replace(history.readings, rows=rows))[PORT]
    # Between the moment of a value and the time of its reading, where it matters which of them counts.
    edges = np.unique(rng.choice(times, 8) + rng.integers(0, age_ns + 1, 8))
    if len(edges) < 2:
        return
    bound = amounts(steps, "in_octets", edges)
    for place in range(len(edges) - 1):
        truth = history.truth(int(edges[place]), int(edges[place + 1]), "in")
        assert bound.lower[place] <= truth <= bound.upper[place] * (1 + 1e-12)


@pytest.mark.parametrize("grows", [True, False])
@pytest.mark.parametrize("late_s", [0.0, 0.5, 2.0])
def test_old_values_widen_the_bounds_enough_for_a_load_that_grows_or_shrinks(grows: bool, late_s: float) -> None:
    """Every value is `late_s` old, and may be 2 s old: without that allowance the bounds would lag behind the load."""

    def total(at_s: float) -> float:
        return 1_000 * at_s**3 if grows else 1_000 * (200**3 - (200 - at_s) ** 3)

    rows = [reading(t, round(total(t - late_s)), age_ns=2 * S) for t in range(5, 200)]
    steps = steps_of(*rows)
    starts = np.arange(20, 180, 7.3)
    for length in (0.4, 3.0, 11.0):
        edges = np.stack([starts, starts + length])
        times = START_NS + np.round(edges * S).astype(np.int64)
        bound = Levels(steps, "in_octets").between(times[0], times[1])
        truth = np.array([total(b) - total(a) for a, b in edges.T])
        assert (bound.lower <= truth + 2).all()
        assert (bound.upper >= truth - 2).all()


def test_the_truth_test_can_fail() -> None:
    """The same bounds do not contain the truth of a port that carried one octet more."""
    steps = steps_of(*(reading(t, 100 * t) for t in range(10)))
    bound = amounts(steps, "in_octets", START_NS + S * np.array([0, 9], np.int64))
    assert bound.lower[0] == bound.upper[0] == 900
