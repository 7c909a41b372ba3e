"""Bounds on time and number: a slow line is served, a dripping one is not, and the idlest goes first."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.mechanisms.whistleblowing.web.limits import Bucket, Limits, Pace, Places, TooSlow, Visit

DEFAULTS = Limits()


def seconds_at(rate: float, size: int, step_s: float) -> float | None:
    """How long a request of `size` bytes at so many bytes a second takes; None where it is ended before."""
    pace = Pace(DEFAULTS, size)
    sent, time = 0.0, 0.0
    try:
        while sent < size:
            pace.waited(step_s, int(min(sent + rate * step_s, size) - sent))
            sent += rate * step_s
            time += step_s
    except TooSlow:
        return None
    return time


def test_a_line_of_2_kilobytes_a_second_brings_the_largest_upload() -> None:
    taken = seconds_at(2000.0, DEFAULTS.body_bytes, 5.0)
    assert taken is not None
    assert 3.6 * 3600 < taken < 3.8 * 3600


@pytest.mark.parametrize("step_s", [1.0, 10.0, 60.0])
def test_a_drip_is_ended_after_one_window(step_s: float) -> None:
    assert seconds_at(200.0, DEFAULTS.body_bytes, step_s) is None
    pace = Pace(DEFAULTS, DEFAULTS.body_bytes)
    for _ in range(int(DEFAULTS.window_s / step_s) - 1):
        pace.waited(step_s, 1)
    with pytest.raises(TooSlow):
        pace.waited(step_s, 1)


def test_a_line_that_stands_still_for_less_than_a_window_goes_on() -> None:
    pace = Pace(DEFAULTS, 1 << 20)
    pace.waited(50.0, 0)
    pace.waited(5.0, 20_000)
    assert pace.patience_s == pytest.approx(5.0)


def test_all_time_together_is_bounded() -> None:
    """At just the least rate of a window, a request is ended when its whole time is spent."""
    assert seconds_at(257.0, 1 << 20, 1.0) is None
    assert seconds_at(1100.0, 1 << 20, 1.0) is not None


@settings(max_examples=40)
@given(
    per_minute=st.floats(1, 1000), at_once=st.integers(1, 50), gaps=st.lists(st.floats(0, 30), min_size=1, max_size=80)
)
def test_a_bucket_gives_no_more_than_its_rate(per_minute: float, at_once: int, gaps: list[float]) -> None:
    time = 0.0
    bucket = Bucket(per_minute, at_once, lambda: time)
    given_out = 0
    for gap in gaps:
        time += gap
        given_out += bucket.take()
    assert given_out <= at_once + time * per_minute / 60 + 1e-6
    assert given_out >= min(len(gaps), at_once)


def test_a_clock_that_goes_back_gives_nothing() -> None:
    times = iter([100.0, 100.0, 0.0, 50.0])
    bucket = Bucket(60.0, 1, lambda: next(times))
    assert [bucket.take(), bucket.take(), bucket.take()] == [True, False, True]


def test_places() -> None:
    places = Places(2)
    assert [places.take(), places.take(), places.take()] == [True, True, False]
    places.leave()
    assert places.take()


def test_the_idlest_is_rated_lowest() -> None:
    now = 1000.0
    silent = Visit(waited_s=20.0, waiting_since=now - 10)
    slow_line = Visit(moved=2000 * 60, waited_s=60.0)
    fresh = Visit()
    waits = Visit(keeps=True)
    refused = Visit(moved=10**9, refused=True)
    order = sorted([waits, slow_line, silent, fresh, refused], key=lambda visit: visit.rate(now))
    assert order[:2] == [refused, silent]
    assert order[-1] is waits
    assert waits.rate(now) == math.inf


def test_there_are_places_for_connections_beside_reports() -> None:
    with pytest.raises(ValueError, match="more connections"):
        Limits(connections=64, submissions=64)
    assert DEFAULTS.large_submissions < DEFAULTS.submissions
