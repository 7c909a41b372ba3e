"""Near copies: sketches of innovations that find candidates, and the comparison that decides.

- The sketch of a window is taken at an outstanding change, so that a shifted copy has the same windows; of ranks, so that
  scale, offset and a few large edges do not count.
- Candidates of one band are ordered by their whole sketch and linked to their neighbours: time stays that of sorting, and a
  bucket that all runs of one load fall into costs no more than any other.
- The match is the rank correlation of innovations over the longest stretch around the candidate in which blocks of
  `BLOCK` innovations correlate; a stretch of few different values is not compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.workloads.integrity import reference
from inspectorate.mechanisms.workloads.integrity.series import Series
from inspectorate.mechanisms.workloads.telemetry.frame import Values

BLOCK = 24
BLOCK_CORRELATION_MIN = 0.9
ANCHOR_REACH = 8
"""An outstanding change is the largest among so many before and after it."""
NEIGHBOURS = 3
DIFFERENT_MIN = 16
"""Innovations of fewer different sizes than this, on a long stretch, say nothing by their order."""
LEAD = 8
"""Innovations of a sketch before its anchor."""


@dataclass(frozen=True, kw_only=True)
class NearMatch:
    """A stretch along one diagonal: it begins at `start` in the first series."""

    start: int
    samples: int
    correlation: float


def anchors(values: Values) -> NDArray[np.int64]:
    """Places of innovations that are the largest of their surroundings and around which a whole sketch fits."""
    change = np.abs(np.diff(values))
    if len(change) < reference.NEAR_WINDOW:
        return np.zeros(0, dtype=np.int64)
    span = 2 * ANCHOR_REACH + 1
    padded = np.concatenate((np.zeros(ANCHOR_REACH), change, np.zeros(ANCHOR_REACH)))
    largest = np.lib.stride_tricks.sliding_window_view(padded, span).max(axis=1)
    found = np.flatnonzero((change == largest) & (change > 0))
    fits = (found >= LEAD) & (found - LEAD + reference.NEAR_WINDOW <= len(change))
    return found[fits].astype(np.int64)


def sketches(values: Values, places: NDArray[np.int64]) -> NDArray[np.uint64]:
    """One code per anchor: signs of fixed random projections of the ranks around it."""
    bits = reference.NEAR_BANDS * reference.NEAR_BITS
    if not len(places):
        return np.zeros((0, reference.NEAR_BANDS), dtype=np.uint64)
    change = np.diff(values)
    windows = change[places[:, None] - LEAD + np.arange(reference.NEAR_WINDOW)[None, :]]
    ranked = _ranks(windows)
    ranked -= ranked.mean(axis=1, keepdims=True)
    # A fixed generator: the projections are part of the method, not of chance.
    planes = np.random.default_rng(20260101).standard_normal((reference.NEAR_WINDOW, bits))
    signs = (ranked @ planes > 0).reshape(len(places), reference.NEAR_BANDS, reference.NEAR_BITS)
    weights = np.uint64(1) << np.arange(reference.NEAR_BITS, dtype=np.uint64)
    code: NDArray[np.uint64] = (signs.astype(np.uint64) * weights).sum(axis=2, dtype=np.uint64)
    return code


def near_candidates(series: Sequence[Series]) -> Iterator[tuple[int, int, int]]:
    """(series, other series, shift) worth a comparison: sample i of the one stands at i + shift in the other."""
    places = [anchors(one.values) for one in series]
    owner = np.concatenate(
        [np.full(len(p), i, dtype=np.int64) for i, p in enumerate(places)] or [np.zeros(0, np.int64)]
    )
    where = np.concatenate(places or [np.zeros(0, np.int64)])
    code = np.concatenate([sketches(one.values, p) for one, p in zip(series, places, strict=True)] or [_NO_CODES])
    if not len(owner):
        return
    seen: set[tuple[int, int, int]] = set()
    tried: set[tuple[int, int, int, int]] = set()
    bands = np.arange(reference.NEAR_BANDS)
    for band in bands:
        # In order of this band, and then of the others: neighbours agree in this one and are close in the rest.
        keys = [where, owner, *(code[:, (band + k) % len(bands)] for k in reversed(bands))]
        order = np.lexsort(keys)
        for step in range(1, NEIGHBOURS + 1):
            first, second = order[:-step], order[step:]
            same = (code[first, band] == code[second, band]) & (owner[first] != owner[second])
            first, second = first[same], second[same]
            same = _apart(code[first], code[second]) <= reference.NEAR_BITS_APART_MAX
            for i, j in zip(first[same].tolist(), second[same].tolist(), strict=True):
                low, high = (i, j) if owner[i] < owner[j] else (j, i)
                found = (int(owner[low]), int(owner[high]), int(where[high] - where[low]))
                if found in seen or (*found, int(where[low])) in tried:
                    continue
                tried.add((*found, int(where[low])))
                if _alike_around(series[found[0]].values, series[found[1]].values, int(where[low]), int(where[high])):
                    seen.add(found)
                    yield found


def _apart(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.int64]:
    """How many signs of two sketches differ."""
    different: NDArray[np.int64] = np.bitwise_count(one ^ other).sum(axis=1, dtype=np.int64)
    return different


def _alike_around(one: Values, other: Values, here: int, there: int) -> bool:
    """Whether innovations agree around one anchor, over more than the sketch has seen: cheap, and most candidates end here."""
    back = min(here, there, LEAD)
    ahead = min(len(one) - here, len(other) - there, 2 * reference.NEAR_WINDOW)
    x, y = np.diff(one[here - back : here + ahead]), np.diff(other[there - back : there + ahead])
    return _rank_correlation(x, y) >= BLOCK_CORRELATION_MIN


def near_match(one: Values, other: Values, shift: int) -> NearMatch | None:
    """The longest stretch along the diagonal whose blocks correlate, if it does so as a whole as a copy would."""
    begin, end = max(0, -shift), min(len(one), len(other) - shift)
    if end - begin < reference.NEAR_SAMPLES_MIN:
        return None
    x, y = np.diff(one[begin:end]), np.diff(other[begin + shift : end + shift])
    blocks = len(x) // BLOCK
    agree = [
        _rank_correlation(x[k * BLOCK : (k + 1) * BLOCK], y[k * BLOCK : (k + 1) * BLOCK]) >= BLOCK_CORRELATION_MIN
        for k in range(blocks)
    ]
    first, last = _longest(agree)
    if (last - first) * BLOCK + 1 < reference.NEAR_SAMPLES_MIN:
        return None
    stop = len(x) if last == blocks else last * BLOCK
    whole = _rank_correlation(x[first * BLOCK : stop], y[first * BLOCK : stop])
    if whole < reference.NEAR_CORRELATION_MIN:
        return None
    return NearMatch(start=begin + first * BLOCK, samples=stop - first * BLOCK + 1, correlation=whole)


def _longest(agree: list[bool]) -> tuple[int, int]:
    best, start = (0, 0), 0
    for k, good in enumerate([*agree, False]):
        if not good:
            if k - start > best[1] - best[0]:
                best = (start, k)
            start = k + 1
    return best


def _ranks(rows: Values) -> Values:
    """Ranks within each row; ties share their mean rank."""
    order = np.argsort(rows, axis=1, kind="stable")
    ranked = np.empty_like(order, dtype=np.float64)
    np.put_along_axis(
        ranked, order, np.arange(rows.shape[1], dtype=np.float64)[None, :].repeat(len(rows), axis=0), axis=1
    )
    values = np.take_along_axis(rows, order, axis=1)
    for row in np.flatnonzero((np.diff(values, axis=1) == 0).any(axis=1)):
        _, inverse, counts = np.unique(rows[row], return_inverse=True, return_counts=True)
        ranked[row] = (np.cumsum(counts) - (counts + 1) / 2)[inverse]
    return ranked


def _rank_correlation(x: Values, y: Values) -> float:
    """Spearman's; 0 where one of them has too few different values for it to mean anything."""
    few = min(len(x) // 4, DIFFERENT_MIN)
    if len(x) < 4 or len(np.unique(x)) < few or len(np.unique(y)) < few:
        return 0.0
    a, b = _ranks(np.stack((x, y)))
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size else 0.0


_NO_CODES = np.zeros((0, reference.NEAR_BANDS), dtype=np.uint64)
