"""Compiled parts of TOPLOC: the largest of many bfloat16 numbers, and polynomials over the field of `reference.FIELD` elements.

- The largest are found in one pass, four numbers to a word: a block in which none exceeds the worst of those kept is passed over,
  and what is kept beyond `k` is thinned out by counting. Among equal magnitudes the earliest are taken.
- Interpolation is Newton's, with a table of inverses; evaluation is Horner's, for all points at once.

Points are distinct and below the modulus, which is at most the field: the caller sees to that.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

from inspectorate.mechanisms.inspection.tokens.floats import Bits
from inspectorate.mechanisms.inspection.tokens.reference import FIELD

I64 = NDArray[np.int64]
U32 = NDArray[np.uint32]

Function = TypeVar("Function", bound=Callable[..., Any])
_compile: Any = njit
LANES = 4
"""Numbers of 16 bits in one word."""
BLOCK = 8
"""Words that are looked at together."""
_EACH_LANE = np.uint64(0x0001_0001_0001_0001)
_MAGNITUDES = np.uint64(0x7FFF_7FFF_7FFF_7FFF)
_TOPS = np.uint64(0x8000_8000_8000_8000)
_P = FIELD


def kernel(function: Function) -> Function:
    """Compile at the first call, and keep what was compiled."""
    return cast(Function, _compile(cache=True, nogil=True, error_model="numpy")(function))


@cache
def inverses() -> U32:
    """Of every number of the field; of 0 there is none."""
    return cast(U32, _inverses())


@kernel
def _inverses() -> Any:
    table = np.zeros(_P, dtype=np.uint32)
    table[1] = 1
    for i in range(2, _P):
        table[i] = (_P - (_P // i) * np.int64(table[_P % i]) % _P) % _P
    return table


@kernel
def _thin(kept: Any, count: int, k: int, counts: Any) -> Any:
    """Keep the `k` largest of the first `count`, earliest first among equals; the least magnitude among them."""
    counts[:] = 0
    for i in range(count):
        counts[kept[0, i] >> 7] += 1
    above = 0
    high = 255
    while above + counts[high] < k:
        above += counts[high]
        high -= 1
    counts[:] = 0
    for i in range(count):
        if kept[0, i] >> 7 == high:
            counts[kept[0, i] & 127] += 1
    low = 127
    while above + counts[low] < k:
        above += counts[low]
        low -= 1
    least = high * 128 + low
    equal = k - above
    to = 0
    for i in range(count):
        if kept[0, i] > least or (kept[0, i] == least and equal > 0):
            if kept[0, i] == least:
                equal -= 1
            kept[0, to] = kept[0, i]
            kept[1, to] = kept[1, i]
            to += 1
    return least


def largest(bits: Bits, k: int) -> I64:
    """Places of the `k` numbers of the largest magnitude, in order of their places. `k` is at most their count."""
    whole = bits.size - bits.size % LANES
    words = bits[:whole].view(np.uint64) if bits.ctypes.data % 8 == 0 else bits[:whole].copy().view(np.uint64)
    return cast(I64, _largest(bits, words, k))


@kernel
def _largest(bits: Any, words: Any, k: int) -> Any:
    room = 4 * k + LANES * BLOCK
    kept = np.empty((2, room), dtype=np.int64)
    counts = np.empty(256, dtype=np.int64)
    count = 0
    least = -1
    for start in range(0, words.size, BLOCK):
        stop = min(start + BLOCK, words.size)
        # A lane's top bit is set where its magnitude exceeds `least`; no lane runs over into the next.
        add = np.uint64(0x7FFF - least) * _EACH_LANE
        met = np.uint64(0)
        for i in range(start, stop):
            met |= (words[i] & _MAGNITUDES) + add
        if met & _TOPS == 0:
            continue
        count = _take(bits[: LANES * stop], (LANES * start, least), kept, count)
        if count > room - LANES * BLOCK:
            least = _thin(kept, count, k, counts)
            count = k
    count = _take(bits, (LANES * words.size, least), kept, count)
    if count > k:
        _thin(kept, count, k, counts)
    return kept[1, :k].copy()


@kernel
def _take(bits: Any, begin: Any, kept: Any, count: int) -> Any:
    """Keep magnitudes and places, from one place on, of what is larger than the least (`begin`); how many are kept then."""
    start, least = begin
    for i in range(start, bits.size):
        magnitude = np.int64(bits[i] & np.uint16(0x7FFF))
        if magnitude > least:
            kept[0, count] = magnitude
            kept[1, count] = i
            count += 1
    return count


@kernel
def injective_modulus(places: I64) -> int:
    """The largest number up to the field modulo which the places differ; 0 where there is none."""
    stamps = np.zeros(_P, dtype=np.int64)
    for modulus in range(_P, 0, -1):
        differ = True
        for place in places:
            rest = place % modulus
            if stamps[rest] == modulus:
                differ = False
                break
            stamps[rest] = modulus
        if differ:
            return modulus
    return 0


@kernel
def interpolate(x: U32, y: U32, inverse: U32) -> Bits:
    """Coefficients, lowest first, of the polynomial of least degree through the points."""
    k = x.size
    newton = np.empty(k, dtype=np.int64)
    for i in range(k):
        newton[i] = y[i] % _P
    for order in range(1, k):
        for i in range(k - 1, order - 1, -1):
            run = np.int64(x[i]) - np.int64(x[i - order])
            if run < 0:
                run += _P
            rise = newton[i] - newton[i - 1]
            if rise < 0:
                rise += _P
            newton[i] = rise * np.int64(inverse[run]) % _P
    found = np.zeros(k, dtype=np.int64)
    for i in range(k - 1, -1, -1):
        # found = found * (x - x[i]) + newton[i]
        minus = _P - np.int64(x[i])
        for j in range(k - 1 - i, 0, -1):
            found[j] = (found[j - 1] + found[j] * minus) % _P
        found[0] = (found[0] * minus + newton[i]) % _P
    return found.astype(np.uint16)


@kernel
def evaluate(coefficients: Bits, x: U32) -> Any:
    """Of the polynomial at all points. A product of two numbers of the field and one more fit 32 bits."""
    values = np.zeros(x.size, dtype=np.uint32)
    for i in range(coefficients.size - 1, -1, -1):
        add = np.uint32(coefficients[i])
        for j in range(x.size):
            raised = np.uint32(values[j] * x[j] + add)
            values[j] = np.uint32(raised % np.uint32(_P))
    return values.astype(np.uint16)


@kernel
def compare(found: Bits, claimed: Bits) -> Any:
    """(exponents that differ, signs that differ where exponents agree, mean and median of mantissa errors); -1 where none agree."""
    counts = np.zeros(128, dtype=np.int64)
    exponents = 0
    signs = 0
    agree = 0
    total = 0
    for i in range(found.size):
        one: Any = np.int32(found[i])
        other: Any = np.int32(claimed[i])
        if (one & 0x7F80) != (other & 0x7F80):
            exponents += 1
            continue
        if (one ^ other) & 0x8000:
            signs += 1
        error = abs((one & 0x7F) - (other & 0x7F))
        counts[error] += 1
        total += error
        agree += 1
    if agree == 0:
        return exponents, signs, -1.0, -1.0
    return exponents, signs, total / agree, (_ranked(counts, (agree - 1) // 2) + _ranked(counts, agree // 2)) / 2


@kernel
def _ranked(counts: Any, rank: int) -> Any:
    """The value at a rank, from how often each value occurs."""
    value = 0
    passed = counts[0]
    while passed <= rank:
        value += 1
        passed += counts[value]
    return value
