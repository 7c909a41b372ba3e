"""The arithmetic and the frames of low-communication training (DiLoCo, arXiv 2311.08105), apart from model and sockets.

1. Every replica starts a round from the same parameters and takes H steps of its own (inner optimiser).
2. Its pseudo-gradient is where it started minus where it arrived, packed to 8 bits a number.
3. All replicas exchange these; each averages the same packed values in the same order.
4. Each applies the average with Nesterov momentum (outer optimiser), and arrives at the same parameters again.

A frame carries a digest of the parameters that the round started from, so replicas that have come apart notice it.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OUTER_LEARNING_RATE = 0.7
OUTER_MOMENTUM = 0.9
"""Outer optimiser of arXiv 2311.08105: Nesterov, learning rate 0.7, momentum 0.9."""
_HEADER = struct.Struct("!4sIIB8s")
_MAGIC = b"LCT1"
HEADER_BYTES = _HEADER.size
PAYLOAD_BYTES_MAX = 64 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class FrameHeader:
    """What precedes a packed pseudo-gradient."""

    round_number: int
    payload_bytes: int
    last: bool
    started_from: bytes
    """First 8 bytes of the SHA-256 of the parameters at the start of the round."""

    def to_bytes(self) -> bytes:
        return _HEADER.pack(_MAGIC, self.round_number, self.payload_bytes, self.last, self.started_from)

    @classmethod
    def from_bytes(cls, data: bytes) -> FrameHeader:
        """Raises `ValueError` on anything but a header of a sensible size."""
        if len(data) != HEADER_BYTES:
            raise ValueError(f"a header has {HEADER_BYTES} bytes, not {len(data)}")
        magic, round_number, size, last, started_from = _HEADER.unpack(data)
        if magic != _MAGIC or not 0 < size <= PAYLOAD_BYTES_MAX or last > 1:
            raise ValueError("not a frame header")
        return cls(round_number=round_number, payload_bytes=size, last=bool(last), started_from=started_from)


def fingerprint(parameters: NDArray[np.float32]) -> bytes:
    """The first 8 bytes of the SHA-256 of a parameter vector."""
    return hashlib.sha256(parameters.tobytes()).digest()[:8]


def outer_step(
    start: NDArray[np.float32], pseudo_gradient: NDArray[np.float32], momentum: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """One Nesterov step: the new parameters and the new momentum, each of shape (n,)."""
    momentum = (OUTER_MOMENTUM * momentum + pseudo_gradient).astype(np.float32)
    step = pseudo_gradient + OUTER_MOMENTUM * momentum
    return (start - OUTER_LEARNING_RATE * step).astype(np.float32), momentum
