"""Bounds on what was sampled and on what was not seen."""

from __future__ import annotations

import math
from ipaddress import ip_address

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspectorate.mechanisms.interconnect.flows import (
    Exporter,
    Gap,
    GapCause,
    Unit,
    sampled_bytes_bounds,
    scaled_bytes_bounds,
    unseen_bytes_upper,
    unseen_spans,
)

SECOND = 10**9


def excess(mean: float, seen: float) -> float:
    return mean - seen + (seen * math.log(seen / mean) if seen else 0.0)


@given(st.floats(0, 1e15), st.floats(1, 1e6), st.floats(1e-12, 0.5))
def test_the_bounds_are_where_the_tail_has_the_miss_probability(sampled: float, rate: float, miss: float) -> None:
    bounds = sampled_bytes_bounds(sampled, rate=rate, frame_bytes_max=1500, miss_probability=miss)
    unit = rate * 1500
    assert bounds.lower <= bounds.estimate <= bounds.upper
    assert excess(bounds.upper / unit, sampled / 1500) >= math.log(1 / miss) * (1 - 1e-6) - 1e-9 * sampled / 1500
    wider = sampled_bytes_bounds(sampled, rate=rate, frame_bytes_max=1500, miss_probability=miss / 10)
    assert wider.upper >= bounds.upper
    assert wider.lower <= bounds.lower


@pytest.mark.parametrize("seen", [0.5, 1.0, 7.0, 400.0, 1e6])
@pytest.mark.parametrize("miss", [0.3, 0.01, 1e-9])
def test_both_roots_are_found(seen: float, miss: float) -> None:
    bounds = scaled_bytes_bounds(seen, rate_max=1, frame_bytes_max=1, miss_probability=miss)
    wanted = math.log(1 / miss)
    assert excess(float(bounds.upper), seen) == pytest.approx(wanted, rel=1e-4)
    if wanted / seen < 15:
        assert excess(float(bounds.lower), seen) == pytest.approx(wanted, rel=1e-4)
    else:
        assert bounds.lower <= seen * math.exp(-wanted / seen)


def test_seeing_nothing_bounds_the_traffic_too() -> None:
    bounds = sampled_bytes_bounds(0, rate=1000, frame_bytes_max=1500, miss_probability=0.01)
    assert (bounds.lower, bounds.estimate) == (0, 0)
    assert bounds.upper == pytest.approx(1000 * 1500 * math.log(100), rel=1e-6)


@pytest.mark.parametrize("sizes", ["equal", "mixed", "few-large"])
@pytest.mark.parametrize("rate", [10, 200])
def test_by_simulation_the_bounds_fail_no_more_often_than_agreed(sizes: str, rate: int) -> None:
    random = np.random.default_rng(7)
    count = 20_000
    packets = {
        "equal": np.full(count, 1500),
        "mixed": random.integers(64, 1500, count),
        "few-large": np.where(random.random(count) < 0.01, 1500, 64),
    }[sizes]
    drawn = random.binomial(1, 1 / rate, (500, count)) @ packets
    bounds = scaled_bytes_bounds(drawn * rate, rate_max=rate, frame_bytes_max=1500, miss_probability=0.05)
    actual = packets.sum()
    assert (bounds.upper < actual).mean() <= 0.05
    assert (bounds.lower > actual).mean() <= 0.05
    assert np.median(bounds.upper) < 40 * actual


def test_mixed_rates_by_simulation() -> None:
    random = np.random.default_rng(8)
    rates = np.repeat([10, 500], 5000)
    sizes = random.integers(64, 1500, 10_000)
    drawn = (random.random((500, 10_000)) < 1 / rates) @ (sizes * rates)
    bounds = scaled_bytes_bounds(drawn, rate_max=500, frame_bytes_max=1500, miss_probability=0.05)
    assert (bounds.upper < sizes.sum()).mean() <= 0.05
    assert (bounds.lower > sizes.sum()).mean() <= 0.05


@pytest.mark.parametrize("samples", [100, 1000, 10_000])
def test_near_the_usual_rule_for_many_packets_of_one_size(samples: int) -> None:
    rule = 1.96 / math.sqrt(samples)  # Phaal and Panchen: 196 sqrt(1/n) per cent at 95 %
    bounds = sampled_bytes_bounds(samples * 1500, rate=400, frame_bytes_max=1500, miss_probability=0.025)
    error = bounds.upper / bounds.estimate - 1
    assert rule < error < 1.7 * rule


def test_arrays_of_sums() -> None:
    bounds = scaled_bytes_bounds(
        np.array([[0, 10_000]]), rate_max=np.array([100, 10]), frame_bytes_max=1500, miss_probability=0.1
    )
    assert bounds.upper.shape == (1, 2)
    assert bounds.lower[0, 0] == 0


@pytest.mark.parametrize(
    ("sampled", "rate", "frame", "miss"),
    [
        (1, 0.5, 1500, 0.1),
        (1, 10, 0, 0.1),
        (1, 10, math.inf, 0.1),
        (1, 10, 1500, 0),
        (1, 10, 1500, 1),
        (-1, 10, 1500, 0.1),
    ],
)
def test_nonsense_is_refused(sampled: float, rate: float, frame: float, miss: float) -> None:
    with pytest.raises(ValueError, match=r"rate|frame|probability|bytes"):
        sampled_bytes_bounds(sampled, rate=rate, frame_bytes_max=frame, miss_probability=miss)


def gap(start_s: float, end_s: float, *, protocol: int = 9) -> Gap:
    exporter = Exporter(address=ip_address("192.0.2.1"), protocol=protocol, domain=0)
    times = {"start_ns": round(start_s * SECOND), "end_ns": round(end_s * SECOND)}
    return Gap(exporter=exporter, cause=GapCause.LOST, unit=Unit.DATAGRAMS, lost=1, **times)


def test_a_gap_hides_what_the_link_carries_while_its_reports_could_speak_of_it() -> None:
    (flow,) = unseen_spans([gap(100, 110)], link_bytes_per_s=1000, active_timeout_ns=60 * SECOND, delay_ns=2 * SECOND)
    assert (flow.start_ns, flow.end_ns, flow.bytes_max) == (38 * SECOND, 110 * SECOND, 72_000)
    (sample,) = unseen_spans(
        [gap(100, 110, protocol=105)], link_bytes_per_s=1000, active_timeout_ns=60 * SECOND, delay_ns=2 * SECOND
    )
    assert (sample.start_ns, sample.bytes_max) == (98 * SECOND, 12_000)


@given(st.lists(st.tuples(st.integers(-50, 150), st.integers(0, 40)), max_size=8), st.integers(1, 10**6))
def test_overlapping_gaps_share_the_capacity(places: list[tuple[int, int]], capacity: int) -> None:
    gaps = [gap(start, start + lasts) for start, lasts in places]
    spans = unseen_spans(gaps, link_bytes_per_s=capacity, active_timeout_ns=0, delay_ns=0)
    edges = SECOND * np.arange(0, 101, 10, dtype=np.int64)
    upper = unseen_bytes_upper(spans, edges, link_bytes_per_s=capacity)
    for i, found in enumerate(upper.tolist()):
        seconds = {s for start, lasts in places for s in range(start, start + lasts) if 10 * i <= s < 10 * i + 10}
        assert found == pytest.approx(len(seconds) * capacity, abs=1)


def test_unusable_links_are_refused() -> None:
    for capacity in (0, -1, math.inf):
        with pytest.raises(ValueError, match="capacity"):
            unseen_spans([], link_bytes_per_s=capacity, active_timeout_ns=0, delay_ns=0)
    with pytest.raises(ValueError, match="negative"):
        unseen_spans([], link_bytes_per_s=1, active_timeout_ns=-1, delay_ns=0)
