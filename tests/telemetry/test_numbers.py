"""Numbers are read to the last bit as `float()` reads them, or left to it."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from inspectorate.mechanisms.workloads.telemetry.numbers import BAD, HARD, PLAIN, read_number


def read(text: str) -> tuple[int, float, int]:
    data = np.frombuffer(text.encode(), dtype=np.uint8)
    outcome, value, end = read_number(data, 0, len(data))
    return int(outcome), float(value), int(end)


def check(text: str) -> int:
    outcome, value, end = read(text)
    if outcome == PLAIN:
        assert end == len(text)
        assert struct.pack("d", value) == struct.pack("d", float(text)), text
    return outcome


digits = st.text("0123456789", min_size=1, max_size=30)
decimals = st.builds(
    lambda sign, whole, part, power: sign + whole + part + power,
    st.sampled_from(["", "-", "+"]),
    digits,
    st.one_of(st.just(""), st.just("."), digits.map(lambda d: "." + d)),
    st.one_of(
        st.just(""), st.integers(-330, 320).map(lambda p: f"e{p}"), st.integers(0, 30).map(lambda p: f"E+{p:02d}")
    ),
)


@given(decimals)
@example("9223372036854775794")
@example("140737488355328.000000")
@example("0.30000000000000004")
@example("9007199254740993")
@example("9007199254740993.00000000000000000000001")
@example("2.2250738585072011e-308")
@example("1.7976931348623159e308")
@example("8.5e-310")
@settings(max_examples=400)
def test_decimal_numbers(text: str) -> None:
    assert check(text) in (PLAIN, HARD)


@given(st.floats(allow_nan=False, allow_infinity=False))
@settings(max_examples=400)
def test_what_python_prints(value: float) -> None:
    """Only subnormals, and what is at the end of the range, is left to `float()`."""
    outcome = check(repr(value))
    assert outcome == PLAIN or abs(value) < 2.3e-308 or abs(value) > 8e307


@given(st.integers(2**53, 2**54 - 1), st.integers(0, 60), st.sampled_from(["", ".0", ".00000000000000000001"]))
@settings(max_examples=400)
def test_numbers_half_way_between_two_floats(odd: int, power: int, part: str) -> None:
    assert check(str((2 * odd + 1) * 2**power) + part) in (PLAIN, HARD)


@pytest.mark.parametrize(
    ("text", "outcome", "end"),
    [
        ("", BAD, 0),
        ("-", BAD, 1),
        (".", BAD, 1),
        ("e5", BAD, 0),
        ("1e", BAD, 2),
        ("1e+", BAD, 3),
        ("NaN", HARD, 0),
        ("+Inf", HARD, 1),
        ("1.5 ", PLAIN, 3),
        ("1.5.2", PLAIN, 3),
        ("0x10", PLAIN, 1),
        ("1_0", PLAIN, 1),
        ("1e99999999999", HARD, 13),
        ("-0", PLAIN, 2),
        ("00012.50", PLAIN, 8),
    ],
)
def test_where_a_number_ends(text: str, outcome: int, end: int) -> None:
    found = read(text)
    assert (found[0], found[2]) == (outcome, end)
