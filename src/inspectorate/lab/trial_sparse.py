"""Sparse packing with error feedback: about a quarter of a bit for each number, as low-communication runs use it.

As in SparseLoCo and Covenant-72B (72e9 parameters, more than 146x compression against 16 bits):

1. Numbers are cut into chunks of 4,096; of each, the 64 largest by magnitude are kept.
2. A kept number costs 14 bits: its place in the chunk (12) and its value (2: a sign, and which of two magnitudes).
3. The two magnitudes are the means of the smaller and of the larger kept numbers of the chunk, as two float16.
4. What was not sent stays with the sender and is added to what it has to say next (error feedback).

A chunk takes 64 x 14 / 8 + 4 = 116 bytes, 0.227 bits for each number. Places rise within a chunk, so that a packed
vector has one form only. Numbers that are not finite are refused, for they would poison every replica.

Not done here: entropy coding of the places, which would save up to a third of their bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CHUNK = 4096
KEPT = 64
PLACE_BITS, VALUE_BITS = 12, 2
SCALE_BYTES = 4
CHUNK_BYTES = KEPT * (PLACE_BITS + VALUE_BITS) // 8 + SCALE_BYTES
FEEDBACK_DECAY = 0.95
"""What remains of the unsent rest at each round (SparseLoCo: error feedback takes the place of outer momentum)."""
_SLAB = 512
"""Chunks that are worked on at a time: bounds the memory for a vector of a hundred million numbers."""
_SYMBOL_BITS = PLACE_BITS + VALUE_BITS
_SHIFTS = np.arange(_SYMBOL_BITS - 1, -1, -1, dtype=np.uint16)
_FLOAT16_MAX = 65504.0


def packed_bytes(count: int) -> int:
    """The bytes that `count` numbers take when packed."""
    return -(-count // CHUNK) * CHUNK_BYTES


def pack(values: NDArray[np.float32]) -> bytes:
    """Pack a vector of shape (n,). Raises `ValueError` on an empty vector or one with a value that is not finite."""
    if values.ndim != 1 or values.size == 0:
        raise ValueError("needs a vector with at least one number")
    parts = []
    for start in range(0, values.size, _SLAB * CHUNK):
        slab = values[start : start + _SLAB * CHUNK]
        if not np.isfinite(slab).all():
            raise ValueError("a number is not finite")
        parts.append(_pack_slab(slab))
    return b"".join(parts)


def _pack_slab(values: NDArray[np.float32]) -> bytes:
    chunks = -(-values.size // CHUNK)
    padded = np.zeros((chunks, CHUNK), dtype=np.float32)
    padded.reshape(-1)[: values.size] = values
    magnitudes = np.abs(padded)
    # What pads the last chunk is chosen only where it has fewer than KEPT numbers of its own.
    magnitudes.reshape(-1)[values.size :] = -1
    places = _largest(magnitudes)
    kept = np.take_along_axis(padded, places, axis=1)
    sizes = np.abs(kept)
    large = sizes > sizes.mean(axis=1, keepdims=True)
    count = large.sum(axis=1)
    upper = np.where(large, sizes, 0).sum(axis=1) / np.maximum(count, 1)
    lower = np.where(large, 0, sizes).sum(axis=1) / np.maximum(KEPT - count, 1)
    scales = np.clip(np.stack([lower, upper], axis=1), 0, _FLOAT16_MAX).astype("<f2")
    symbols = (
        places | (large.astype(np.int64) << PLACE_BITS) | ((kept < 0).astype(np.int64) << (PLACE_BITS + 1))
    ).astype(np.uint16)
    bits = ((symbols[:, :, None] >> _SHIFTS) & 1).astype(np.uint8).reshape(chunks, -1)
    whole = np.concatenate([scales.view(np.uint8).reshape(chunks, SCALE_BYTES), np.packbits(bits, axis=1)], axis=1)
    return whole.tobytes()


def _largest(magnitudes: NDArray[np.float32]) -> NDArray[np.int64]:
    """The places of the KEPT largest of each row, rising, of shape (rows, KEPT). Among equals any may be chosen."""
    smallest = np.partition(magnitudes, CHUNK - KEPT, axis=1)[:, CHUNK - KEPT, None]
    chosen = magnitudes >= smallest
    for row in np.flatnonzero(chosen.sum(axis=1) != KEPT):
        chosen[row] = False
        chosen[row, np.argpartition(magnitudes[row], CHUNK - KEPT)[-KEPT:]] = True
    return np.nonzero(chosen)[1].reshape(-1, KEPT)


def unpack(packed: bytes, count: int) -> NDArray[np.float32]:
    """The vector of shape (count,) that `pack` packed, with zeros where nothing was sent.

    Raises `ValueError` if the size, a scale or the order of the places is wrong.
    """
    if count < 1 or len(packed) != packed_bytes(count):
        raise ValueError(f"{len(packed)} bytes cannot hold {count} packed numbers")
    rows = np.frombuffer(packed, dtype=np.uint8).reshape(-1, CHUNK_BYTES)
    values = np.zeros(rows.shape[0] * CHUNK, dtype=np.float32)
    for start in range(0, rows.shape[0], _SLAB):
        slab = rows[start : start + _SLAB]
        _unpack_slab(slab, values[start * CHUNK : (start + slab.shape[0]) * CHUNK].reshape(-1, CHUNK))
    return values[:count]


def _unpack_slab(rows: NDArray[np.uint8], into: NDArray[np.float32]) -> None:
    scales = np.ascontiguousarray(rows[:, :SCALE_BYTES]).view("<f2").astype(np.float32)
    if not np.isfinite(scales).all() or (scales < 0).any():
        raise ValueError("a scale is negative or not finite")
    bits = np.unpackbits(rows[:, SCALE_BYTES:], axis=1).reshape(rows.shape[0], KEPT, _SYMBOL_BITS)
    symbols = (bits.astype(np.int64) << _SHIFTS.astype(np.int64)).sum(axis=2)
    places = symbols & (CHUNK - 1)
    if (np.diff(places, axis=1) <= 0).any():
        raise ValueError("the places of a chunk do not rise")
    sizes = np.where(symbols & CHUNK, scales[:, 1:], scales[:, :1])
    np.put_along_axis(into, places, np.where(symbols & (2 * CHUNK), -sizes, sizes), axis=1)


class ErrorFeedback:
    """What one sender has not sent yet, of shape (count,)."""

    def __init__(self, count: int) -> None:
        self.unsent = np.zeros(count, dtype=np.float32)

    def pack(self, values: NDArray[np.float32]) -> bytes:
        """Pack `values` with what was left before, and keep what is left now."""
        self.unsent *= np.float32(FEEDBACK_DECAY)
        self.unsent += values
        packed = pack(self.unsent)
        self.unsent -= unpack(packed, values.size)
        return packed
