"""Decimal numbers to the nearest 64-bit float, compiled, bit for bit as `float()` does.

1. Read sign, at most 19 significant digits and the exponent. Further digits only shift the exponent, and are remembered.
2. A number of at most 2^53 times or through a power of ten up to 10^22 is exact in one operation (Clinger, "How to read floating
   point numbers accurately", 1990).
3. Else 128 bits of the power of five are enough for all but a few (Lemire, "Number parsing at a gigabyte per second", 2021).
   If digits were cut, the number and the next larger must give the same float.
4. What is then still open (subnormal, overflowing, or undecided) is `HARD`: the caller asks `float()`.

Nothing is read beyond `end`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.workloads.telemetry.compiled import Int64, inlined, kernel

PLAIN, BAD, HARD = 0, 1, 2
"""Outcomes: a number, none, one that needs `float()`."""
DIGITS_MAX = 19
EXPONENT_MAX = 100_000
POWER_FIRST, POWER_LAST = -342, 308

U = np.uint64
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)
_ONE = np.uint64(1)


def _powers_of_five() -> NDArray[np.uint64]:
    """128 bits of 5^q for q from `POWER_FIRST` to `POWER_LAST`, shape (q, 2): high and low half.

    The first bit is set; positive powers are cut, negative ones rounded up.
    """
    rows = []
    for q in range(POWER_FIRST, POWER_LAST + 1):
        power = 5 ** abs(q)
        if q >= 0:
            shift = power.bit_length() - 128
            bits = power >> shift if shift > 0 else power << -shift
        else:
            width = (power - 1).bit_length()
            bits = (1 << (width + 127)) // power + 1 if q >= -27 else (1 << (2 * width + 128)) // power + 1
            bits >>= max(0, bits.bit_length() - 128)
        rows.append((bits >> 64, bits & ((1 << 64) - 1)))
    return np.array(rows, dtype=np.uint64)


POWERS_OF_FIVE = _powers_of_five()
POWERS_OF_TEN = np.array([10.0**n for n in range(23)])


@inlined
def _product_high(a: Any, b: Any) -> Any:
    """The upper 64 of the 128 bits of a product."""
    a0, a1, b0, b1 = a & _LOW, a >> _32, b & _LOW, b >> _32
    middle = a1 * b0 + ((a0 * b0) >> _32)
    carry = (middle & _LOW) + a0 * b1
    return a1 * b1 + (middle >> _32) + (carry >> _32)


@kernel
def _zeros_before(word: Any) -> int:
    """Zero bits before the first set bit of a word that is not 0."""
    count = 0
    for step in (32, 16, 8, 4, 2, 1):
        if word >> U(64 - step) == 0:
            word <<= U(step)
            count += step
    return count


@kernel
def _nearest(digits: Any, power: int) -> tuple[int, float]:
    """`digits` x 10^`power` as the nearest float (3.): outcome and value."""
    if power < POWER_FIRST or power > POWER_LAST:
        return HARD, 0.0
    zeros = _zeros_before(digits)
    word = digits << U(zeros)
    row = power - POWER_FIRST
    high, low = _product_high(word, POWERS_OF_FIVE[row, 0]), word * POWERS_OF_FIVE[row, 0]
    if high & U(0x1FF) == U(0x1FF):
        more = _product_high(word, POWERS_OF_FIVE[row, 1])
        low = low + more
        if more > low:
            high = high + _ONE
    if low == U(0xFFFFFFFFFFFFFFFF) and not -27 <= power <= 55:
        return HARD, 0.0
    upper = high >> U(63)
    shift = upper + U(9)
    mantissa = high >> shift
    exponent: Int64 = ((217706 * power) >> 16) + 63 + np.int64(upper) - zeros + 1023
    if exponent <= 0 or exponent >= 2046:
        return HARD, 0.0
    if low <= _ONE and -4 <= power <= 23 and mantissa & U(3) == _ONE and (mantissa << shift) == high:
        mantissa &= ~_ONE  # exactly half way: to the even neighbour
    mantissa = (mantissa + (mantissa & _ONE)) >> _ONE
    return PLAIN, math.ldexp(np.float64(mantissa), exponent - 1075)


@kernel
def _value(digits: Any, power: int, cut: bool) -> tuple[int, float]:
    """(2.) to (4.)."""
    if digits == 0:
        return PLAIN, 0.0
    if not cut:
        if power == 0:
            return PLAIN, np.float64(digits)
        if digits <= U(1 << 53) and -22 <= power <= 22:
            value: Any = np.float64(digits)
            return PLAIN, value * POWERS_OF_TEN[power] if power > 0 else value / POWERS_OF_TEN[-power]
        return _nearest(digits, power)
    outcome, value = _nearest(digits, power)
    other, above = _nearest(digits + _ONE, power)
    return (PLAIN, value) if outcome == PLAIN and other == PLAIN and value == above else (HARD, 0.0)


@kernel
def read_number(data: Any, at: int, end: int) -> tuple[int, float, int]:
    """The number that begins at `at`: outcome, value, and where it ends. `NaN`, `Inf` and their signs are `HARD`."""
    negative = False
    if at < end and (data[at] == 45 or data[at] == 43):
        negative = data[at] == 45
        at += 1
    if at < end and (data[at] == 78 or data[at] == 73):
        return HARD, 0.0, at
    digits, seen, power, cut = U(0), 0, 0, False
    first = at
    points = 0
    while at < end:
        digit = np.int64(data[at]) - 48
        if 0 <= digit <= 9:
            if seen < DIGITS_MAX:
                digits = digits * U(10) + U(digit)
                seen += digits != 0
                power -= points
            else:
                cut |= digit != 0
                power += 1 - points
        elif digit == -2 and points == 0:
            points = 1
        else:
            break
        at += 1
    if at - first - points < 1:
        return BAD, 0.0, at
    if at < end and (data[at] == 101 or data[at] == 69):
        at += 1
        down = False
        if at < end and (data[at] == 45 or data[at] == 43):
            down = data[at] == 45
            at += 1
        first = at
        written: Int64 = 0
        while at < end and 48 <= data[at] <= 57:
            written = min(written * 10 + np.int64(data[at]) - 48, EXPONENT_MAX)
            at += 1
        if at == first:
            return BAD, 0.0, at
        power += -written if down else written
    outcome, value = _value(digits, power, cut)
    return outcome, -value if negative else value, at
