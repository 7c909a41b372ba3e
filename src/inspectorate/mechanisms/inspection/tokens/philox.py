"""Noise for sampling that anybody can draw again: Gumbel numbers from a counter (Philox 4x32-10), by place and symbol.

Any number is had by itself, without those before it: a check of the `k` likeliest symbols draws `k` numbers, not one for each
symbol of the vocabulary.

    key        the seed of the request: low and high 32 bits
    counter    (symbol / 2, place, stream, 0); the first two words of the result belong to the even symbol, the last two to the
    odd one u          (first 53 bits of the 64 + 1/2) / 2^53        noise = -log(-log u)

The seed must lie outside the server's choice: from the request, or from the verifier. A seed that a server may choose freely
carries as many bits as it has.

Source: J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011; the Gumbel trick for verification: arXiv
2511.20621.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.inspection.tokens.kernels import kernel

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]

SEED_MAX = 2**53
STREAM_SAMPLING = 0
STREAM_PROJECTION = 1

_M0, _M1 = 0xD2511F53, 0xCD9E8D57
_W0, _W1 = 0x9E3779B9, 0xBB67AE85
_LOW = 0xFFFFFFFF
ROUNDS = 10


@kernel
def philox(c0: int, c1: int, c2: int, c3: int, key: Any) -> Any:
    """Two 64-bit words for one counter; `key` holds both words of the key, the low one first."""
    k0 = np.uint64(key) & np.uint64(_LOW)
    k1 = np.uint64(key) >> np.uint64(32)
    x0, x1, x2, x3 = np.uint64(c0), np.uint64(c1), np.uint64(c2), np.uint64(c3)
    for _ in range(ROUNDS):
        one = np.uint64(_M0) * x0
        two = np.uint64(_M1) * x2
        x0, x1, x2, x3 = (
            (two >> np.uint64(32)) ^ x1 ^ k0,
            two & np.uint64(_LOW),
            (one >> np.uint64(32)) ^ x3 ^ k1,
            one & np.uint64(_LOW),
        )
        k0 = (k0 + np.uint64(_W0)) & np.uint64(_LOW)
        k1 = (k1 + np.uint64(_W1)) & np.uint64(_LOW)
    return x0 | (x1 << np.uint64(32)), x2 | (x3 << np.uint64(32))


@kernel
def _gumbel(symbols: I64, places: I64, seed: int, stream: int) -> Any:
    rows, columns = symbols.shape
    found = np.empty((rows, columns), dtype=np.float64)
    for i in range(rows):
        for j in range(columns):
            symbol = symbols[i, j]
            even, odd = philox(symbol >> 1, places[i], stream, 0, seed)
            word = odd if symbol & 1 else even
            uniform = (np.float64(word >> np.uint64(11)) + 0.5) * 2.0**-53
            found[i, j] = -np.log(-np.log(uniform))
    return found


def gumbel(symbols: I64, places: I64, seed: int, *, stream: int = STREAM_SAMPLING) -> F64:
    """The noise of symbols (places, k) at their places (places,). Raises `ValueError` on numbers out of range."""
    if not 0 <= seed < SEED_MAX or symbols.ndim != 2 or places.shape != symbols.shape[:1]:
        raise ValueError("needs a seed of 53 bits, and one place for each row of symbols")
    if symbols.size and (symbols.min() < 0 or symbols.max() >= 2**33 or places.min() < 0 or places.max() >= 2**32):
        raise ValueError("symbols and places count from 0, and fit 32 bits")
    noise: F64 = _gumbel(np.ascontiguousarray(symbols, np.int64), np.ascontiguousarray(places, np.int64), seed, stream)
    return noise
