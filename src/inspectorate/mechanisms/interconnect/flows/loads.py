"""Big-endian loads for kernels. LLVM makes one load and one byte swap of each.

No bounds are checked here: callers check lengths first. Indices are `int64` and never negative. The masked form reads the
eight bytes that *end* where a field ends; every field stands at least eight bytes into its datagram, so it stays inside.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from inspectorate.mechanisms.interconnect.flows.kernels import Int64, inlined

U8 = np.uint64(8)
MASKS = tuple((1 << (8 * width)) - 1 for width in range(9))
"""`MASKS[width]` keeps the low `width` bytes of 64 bits."""


@inlined
def be16(data: Any, at: Int64) -> Int64:
    """Two bytes as int64."""
    i = np.uint64(at)
    return np.int64((np.uint64(data[i]) << U8) | np.uint64(data[i + np.uint64(1)]))


@inlined
def be32(data: Any, at: Int64) -> Int64:
    """Four bytes as int64."""
    i = np.uint64(at)
    return np.int64(
        (np.uint64(data[i]) << np.uint64(24))
        | (np.uint64(data[i + np.uint64(1)]) << np.uint64(16))
        | (np.uint64(data[i + np.uint64(2)]) << U8)
        | np.uint64(data[i + np.uint64(3)])
    )


@inlined
def be64(data: Any, at: Int64) -> Any:
    """Eight bytes as uint64."""
    i = np.uint64(at)
    return (
        (np.uint64(data[i]) << np.uint64(56))
        | (np.uint64(data[i + np.uint64(1)]) << np.uint64(48))
        | (np.uint64(data[i + np.uint64(2)]) << np.uint64(40))
        | (np.uint64(data[i + np.uint64(3)]) << np.uint64(32))
        | (np.uint64(data[i + np.uint64(4)]) << np.uint64(24))
        | (np.uint64(data[i + np.uint64(5)]) << np.uint64(16))
        | (np.uint64(data[i + np.uint64(6)]) << U8)
        | np.uint64(data[i + np.uint64(7)])
    )
