"""Numbers, times and verdicts in words, and hostile text made visible."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspectorate.assessment import Verdict
from inspectorate.evidence import ProblemKind
from inspectorate.findings import Strength
from inspectorate.quantities import Period
from inspectorate.report import words
from inspectorate.review import EXIT_CODES


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0 FLOP"),
        (2.114e19, "2.11e19 FLOP"),
        (1e24, "1.00e24 FLOP"),
        (9.999e23, "1.00e24 FLOP"),
        (7.0, "7.00e0 FLOP"),
    ],
)
def test_flop(value: float, expected: str) -> None:
    assert words.flop(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2.114e19, "5.93 H100-hours"),
        (990e12, "1.00 H100-seconds"),
        (990e12 * 60, "1.00 H100-minutes"),
        (990e12 * 3600, "1.00 H100-hours"),
        (1e24, "32.0 H100-years"),
        (5.99e14, "0.605 H100-seconds"),
        (0.0, "0 H100-seconds"),
    ],
)
def test_chip_time(value: float, expected: str) -> None:
    assert words.chip_time(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, "0"), (5.991, "5.99"), (47_301.0, "47,300"), (999.6, "1,000"), (1.2e12, "1.20e12"), (-3.5, "-3.50")],
)
def test_number(value: float, expected: str) -> None:
    assert words.number(value) == expected


@given(st.floats(min_value=1e-3, max_value=1e8))
def test_numbers_are_right_to_three_digits(value: float) -> None:
    assert float(words.number(value).replace(",", "")) == pytest.approx(value, rel=5.1e-3)


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (30_000.0, "B/s", "30 kB/s"),
        (4.4e6, "B/s", "4.4 MB/s"),
        (200.0, "B/s", "200 B/s"),
        (3.0, "events", "3.00 events"),
    ],
)
def test_rate(value: float, unit: str, expected: str) -> None:
    assert words.rate(value, unit) == expected


@pytest.mark.parametrize(
    ("value", "threshold", "expected"),
    [
        (0.0, 1e24, "nothing"),
        (5.99e14, 1e14, "5.99 times it"),
        (5.99e14, 1e15, "59.9 % of it"),
        (2.11e19, 1e24, "1/47,400 of it"),
    ],
)
def test_against_threshold(value: float, threshold: float, expected: str) -> None:
    assert words.against_threshold(value, threshold) == expected


def test_period_within_a_day_says_the_date_once() -> None:
    start = datetime(2026, 11, 24, 10, tzinfo=UTC)
    assert words.span(Period(start=start, end=start + timedelta(minutes=15))) == "2026-11-24 10:00:00 – 10:15:00 UTC"
    over_night = Period(start=start, end=start + timedelta(days=1))
    assert words.span(over_night) == "2026-11-24 10:00:00 – 2026-11-25 10:00:00 UTC"
    assert words.clock_span(Period(start=start, end=start + timedelta(hours=1)), over_night).startswith("2026-11-24")


def test_a_period_of_another_day_says_its_date() -> None:
    start = datetime(2026, 11, 24, 10, tzinfo=UTC)
    one_day = Period(start=start, end=start + timedelta(hours=1))
    yesterday = Period(start=start - timedelta(days=1), end=start - timedelta(hours=23))
    assert words.clock_span(one_day, one_day) == "10:00:00 – 11:00:00 UTC"
    assert words.clock_span(yesterday, one_day) == "2026-11-23 10:00:00 – 11:00:00 UTC"


@given(st.text(max_size=200))
def test_visible_text_hides_nothing(text: str) -> None:
    shown = words.visible(text)
    assert not any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} for c in shown)
    assert words.visible(shown) == shown
    assert shown == text or "<U+" in shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred", "<U+001B>[31mred"),
        ("two\nlines", "two<U+000A>lines"),
        ("\u202eevil", "<U+202E>evil"),
        ("zero\u200bwidth", "zero<U+200B>width"),
        ("Łódź – 東京", "Łódź – 東京"),
    ],
)
def test_visible(text: str, expected: str) -> None:
    assert words.visible(text) == expected


@pytest.mark.parametrize(
    ("log10_e", "expected"),
    [
        (-1.0, "none"),
        (0.2, "hardly any"),
        (0.7, "substantial, below the alarm"),
        (1.2, "strong, below the alarm"),
        (3.4, "very strong, below the alarm"),
        (3.5, "reaches the alarm"),
    ],
)
def test_strength(log10_e: float, expected: str) -> None:
    strength = Strength(log_e=log10_e * 2.302585092994046, log_e_alarm=3.5 * 2.302585092994046)
    assert words.strength_words(strength) == expected


def test_every_verdict_and_problem_has_words() -> None:
    assert set(words.VERDICTS) == set(Verdict) == set(EXIT_CODES)
    assert set(words.PROBLEMS) == set(ProblemKind)
    for field in ("word", "symbol", "css"):
        assert len({getattr(told, field) for told in words.VERDICTS.values()}) == len(Verdict), field
