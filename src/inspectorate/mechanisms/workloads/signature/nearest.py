"""Nearest neighbours, compiled: the whole cost of a distance. A reference is given up as soon as it is beyond the best so far."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.workloads.telemetry.compiled import kernel

Values = NDArray[np.float64]

DEVIATION_MAX = 20.0
"""A coordinate counts as at most so many usual spreads."""
_AT_ONCE = 8
"""Coordinates between two looks at the best so far."""


def capped(away: Values) -> Values:
    return np.minimum(np.abs(away), DEVIATION_MAX)


def nearest_root(rows: Values, references: Values) -> Values:
    """Euclidean distance of each row to the nearest reference, shape (rows,)."""
    found, which = np.full(len(rows), np.inf), np.zeros(len(rows), dtype=np.int64)
    _search(np.ascontiguousarray(rows), np.ascontiguousarray(references), False, found, which)
    distance: Values = np.sqrt(found)
    return distance


def nearest_mean(rows: Values, references: Values) -> tuple[Values, NDArray[np.int64]]:
    """Mean absolute difference, capped per coordinate, of each row to the nearest reference, and which that is; (rows,)."""
    found, which = np.full(len(rows), np.inf), np.zeros(len(rows), dtype=np.int64)
    _search(np.ascontiguousarray(rows), np.ascontiguousarray(references), True, found, which)
    return found / max(rows.shape[1], 1), which


@kernel
def _search(rows: Any, references: Any, absolute: bool, found: Any, which: Any) -> None:
    """Smallest sum of squared, or of capped absolute, differences. The search begins beside the last row's neighbour."""
    count, width = references.shape
    start = 0
    for i in range(len(rows)):
        best = np.inf
        for k in range(count):
            j = (start + k) % count
            total = 0.0
            c = 0
            while c < width and total < best:
                stop = min(width, c + _AT_ONCE)
                for d in range(c, stop):
                    away = abs(rows[i, d] - references[j, d])
                    total += min(away, DEVIATION_MAX) if absolute else away * away
                c = stop
            if total < best:
                best = total
                which[i] = j
        found[i] = best
        start = which[i]
