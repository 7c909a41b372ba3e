"""bfloat16 as bits: the upper half of a float32, rounded to the nearest even.

Arrays of bits are `uint16`. Without its sign a bfloat16 orders as its bits do, infinity and then NaN on top.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.uint16]
Floats = NDArray[np.float32]

SIGN = 0x8000
EXPONENT = 0x7F80


def to_bits(values: NDArray[Any]) -> Bits:
    """Floats to the nearest bfloat16. Raises `ValueError` on what is not finite, or becomes so."""
    single = np.ascontiguousarray(values, dtype=np.float32)
    if not np.isfinite(single).all():
        raise ValueError("holds a number that is not finite")
    whole = single.view(np.uint32)
    rounded = (whole + (np.uint32(0x7FFF) + ((whole >> np.uint32(16)) & np.uint32(1)))) >> np.uint32(16)
    bits: Bits = rounded.astype(np.uint16)
    if ((bits & EXPONENT) == EXPONENT).any():
        raise ValueError("holds a number that is beyond bfloat16")
    return bits


def to_floats(bits: Bits) -> Floats:
    """Exactly."""
    widened = bits.astype(np.uint32) << np.uint32(16)
    floats: Floats = widened.view(np.float32)
    return floats


def finite(bits: Bits) -> bool:
    return not bool(((bits & EXPONENT) == EXPONENT).any())
