"""Eight bits per number, with one scale per block: how low-communication training compresses what it exchanges.

Each block of `BLOCK` numbers is divided by its largest magnitude and rounded to -127..127. A number comes back within
half a step of its block: |error| <= max|block| / 254. Numbers that are not finite are refused, for they would
poison every replica.

Not done here: error feedback and entropy coding.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK = 512
_STEPS = 127


def packed_bytes(count: int) -> int:
    """The bytes that `count` numbers take when packed: one each, and four for each block."""
    return count + 4 * -(-count // BLOCK)


def pack(values: NDArray[np.float32]) -> bytes:
    """Pack a vector of shape (n,): scales as little-endian float32, then one signed byte per number.

    Raises `ValueError` on an empty vector or one with a value that is not finite.
    """
    if values.ndim != 1 or values.size == 0:
        raise ValueError("needs a vector with at least one number")
    if not np.isfinite(values).all():
        raise ValueError("a number is not finite")
    blocks = _in_blocks(values)
    scales = (np.abs(blocks).max(axis=1) / _STEPS).astype("<f4")
    divisors = np.where(scales > 0, scales, np.float32(1))
    steps = np.clip(np.rint(blocks / divisors[:, None]), -_STEPS, _STEPS).astype(np.int8)
    return bytes(scales.tobytes() + steps.reshape(-1)[: values.size].tobytes())


def unpack(packed: bytes, count: int) -> NDArray[np.float32]:
    """The vector of shape (count,) that `pack` packed. Raises `ValueError` if the size or a scale is wrong."""
    if count < 1 or len(packed) != packed_bytes(count):
        raise ValueError(f"{len(packed)} bytes cannot hold {count} packed numbers")
    blocks = -(-count // BLOCK)
    scales = np.frombuffer(packed, dtype="<f4", count=blocks)
    if not np.isfinite(scales).all() or (scales < 0).any():
        raise ValueError("a scale is negative or not finite")
    steps = np.frombuffer(packed, dtype=np.int8, offset=4 * blocks).astype(np.float32)
    values: NDArray[np.float32] = (_in_blocks(steps) * scales[:, None]).reshape(-1)[:count].astype(np.float32)
    return values


def _in_blocks(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shape (blocks, BLOCK), the last block filled with zeros."""
    padded = np.zeros(-(-values.size // BLOCK) * BLOCK, dtype=np.float32)
    padded[: values.size] = values
    return padded.reshape(-1, BLOCK)
