"""Times, periods, intervals and bounds."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from inspectorate.quantities import Bounds, Period, Time, from_ns, merge_periods, to_ns

START = datetime(2026, 1, 1, tzinfo=UTC)
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
PERIODS = st.tuples(TIMES, TIMES).filter(lambda p: p[0] != p[1]).map(lambda p: Period(start=min(p), end=max(p)))
SMALL = st.tuples(st.integers(0, 20), st.integers(1, 20)).map(lambda p: span(p[0], p[0] + p[1]))
TIME: TypeAdapter[datetime] = TypeAdapter(Time)


def span(first: float, last: float) -> Period:
    return Period(start=START + timedelta(seconds=first), end=START + timedelta(seconds=last))


@pytest.mark.parametrize(
    "text",
    ["2026-01-01T00:00:00", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "1969-12-31T23:59:59Z",
     "2200-01-01T00:00:00Z", "yesterday", ""],
)  # fmt: skip
def test_times_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - pydantic's ValidationError
        TIME.validate_python(text)


def test_times_are_in_utc() -> None:
    there = timezone(timedelta(hours=5))
    assert TIME.validate_python(datetime(2026, 1, 1, 5, tzinfo=there)) == START
    assert TIME.validate_python(datetime(2026, 1, 1, 5, tzinfo=there)).tzinfo is UTC


@given(TIMES)
def test_nanoseconds_are_exact_and_fit_into_64_bits(time: datetime) -> None:
    ns = to_ns(time)
    assert from_ns(ns) == time
    assert 0 <= ns < 2**63
    assert from_ns(ns + 999) == time


@pytest.mark.parametrize(("first", "last"), [(1, 1), (2, 1)], ids=["of no length", "backwards"])
def test_periods_that_are_refused(first: float, last: float) -> None:
    with pytest.raises(ValueError, match="must end after it starts"):
        span(first, last)


def test_a_period_holds_its_start_and_not_its_end() -> None:
    period = span(0, 10)
    assert period.contains(period.start)
    assert not period.contains(period.end)
    assert period.duration_s == 10
    assert str(period) == "2026-01-01 00:00:00 to 2026-01-01 00:00:10 UTC"


@given(SMALL, SMALL)
def test_relations_of_periods_agree_with_sets_of_seconds(one: Period, other: Period) -> None:
    def seconds(period: Period) -> set[int]:
        first = int((period.start - START).total_seconds())
        return set(range(first, first + int(period.duration_s)))

    a, b = seconds(one), seconds(other)
    assert one.overlaps(other) == bool(a & b)
    assert one.covers(other) == (b <= a)
    both = one.intersection(other)
    assert (seconds(both) if both else set()) == a & b


@given(st.lists(SMALL, max_size=6))
def test_merged_periods_are_the_same_time_apart_and_in_order(periods: list[Period]) -> None:
    merged = merge_periods(tuple(periods))
    assert all(a.end < b.start for a, b in pairwise(merged))
    for second in range(45):
        time = START + timedelta(seconds=second)
        assert any(p.contains(time) for p in merged) == any(p.contains(time) for p in periods)


@given(PERIODS, st.integers(1, 500))
def test_intervals_cover_a_period_without_holes(period: Period, parts: int) -> None:
    interval_s = max(period.duration_s / parts, 1e-6)
    intervals = period.intervals(interval_s)
    assert intervals[0].start == period.start
    assert intervals[-1].end == period.end
    assert all(a.end == b.start for a, b in pairwise(intervals))
    assert len(intervals) in {parts, parts + 1} or interval_s == 1e-6


@pytest.mark.parametrize(
    ("last", "interval_s", "durations"),
    [
        (10, 5, [5, 5]),
        (11, 5, [5, 5, 1]),
        (4, 5, [4]),
        (1e-6, 3600, [1e-6]),
        (0.3, 0.1, [0.1, 0.1, 0.1]),
    ],
    ids=["even", "a shorter last one", "shorter than one", "far shorter than one", "tenths"],
)
def test_intervals(last: float, interval_s: float, durations: list[float]) -> None:
    assert [i.duration_s for i in span(0, last).intervals(interval_s)] == pytest.approx(durations)


@pytest.mark.parametrize("interval_s", [0.0, -1.0, math.nan, math.inf, -math.inf, 1e-9, 1e-5])
def test_intervals_that_are_refused(interval_s: float) -> None:
    with pytest.raises(ValueError, match="interval"):
        span(0, 3600).intervals(interval_s)


@pytest.mark.parametrize(
    ("lower", "estimate", "upper"),
    [(2, 1, 3), (1, 4, 3), (-1, 0, 1), (0, 0, math.inf), (math.nan, 0, 1), (0, math.nan, 1)],
)
def test_bounds_that_are_refused(lower: float, estimate: float, upper: float) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - pydantic's ValidationError
        Bounds(lower=lower, estimate=estimate, upper=upper)


def test_bounds_may_be_one_point() -> None:
    assert Bounds(lower=1, estimate=1, upper=1).upper == 1
