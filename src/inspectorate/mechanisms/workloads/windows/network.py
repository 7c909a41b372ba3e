"""Sorting networks: which pairs of rows to compare and exchange, in order, so that every column ends up sorted.

Batcher's merge exchange (Knuth, The Art of Computer Programming 3, 5.3.4, algorithm M): the same comparisons whatever the data,
which is what makes them vertical: one comparator orders two rows of all lanes at once.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray


@functools.cache
def comparators(n: int) -> NDArray[np.int64]:
    """Comparators (c, 2) that sort n rows: each puts the lesser of its two rows first."""
    pairs: list[tuple[int, int]] = []
    top = 1 << max((n - 1).bit_length() - 1, 0)
    p = top if n > 1 else 0
    while p > 0:
        q, r, d = top, 0, p
        while True:
            pairs += [(i, i + d) for i in range(n - d) if i & p == r]
            if q == p:
                break
            d, q, r = q - p, q >> 1, p
        p >>= 1
    found = np.array(pairs, np.int64).reshape(-1, 2)
    found.setflags(write=False)
    return found
