"""Copies: one series that stands under two names, in whole or in part, at one time or another.

What is found, and how:

1. **Information.** Each sample is credited with the surprise that it brings: how rare its change is within its own series, and
   how often what came before it was followed by just this; and never with more than the noise of the sensor leaves open on its
   grid, for that is all that tells two honest meters of one load apart. A stretch that idles or repeats has next to none.
2. **Exact copies.** Every stretch of `GRAM` samples has a rolling hash of its values; of each `WINNOW` neighbours the
   smallest is kept (winnowing), so that trimmed and shifted copies meet in the same hashes. Hashes are joined by sorting; a
   meeting is extended as far as the values are equal.
3. **Near copies** (scaled, offset, requantised, with noise added). Around each outstanding change the ranks of `NEAR_WINDOW`
   innovations are sketched by signs of random projections, which no monotone change of scale moves; sketches that agree in
   a band are candidates; a candidate is a near copy if innovations along the overlap have a rank correlation of at least
   `NEAR_CORRELATION_MIN`. Honest meters of one busy load can be as much alike: unlike an exact copy, this is no proof.

A copy needs at least `COPY_SAMPLES_MIN` samples **and** `COPY_BITS_MIN` of information in the poorer of its two series. Time is
that of sorting. Copies form groups: which member is the original is not known, and none of them counts as measured.

What is not found: a copy with as much noise added as the sensor has itself, one stretched in time by more than a few samples
within a window, and one on a grid so coarse that honest meters of one load agree on it.
Sources: S. Schleimer, D. Wilkerson, A. Aiken, "Winnowing", SIGMOD 2003; M. Charikar, "Similarity estimation techniques from
rounding algorithms", STOC 2002 (signs of random projections).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.workloads.integrity import reference
from inspectorate.mechanisms.workloads.integrity.near import near_candidates, near_match
from inspectorate.mechanisms.workloads.integrity.series import Series, grid_step, noise_scale
from inspectorate.mechanisms.workloads.telemetry.frame import Values

Hashes = NDArray[np.uint64]
Places = NDArray[np.int64]

_BASE = np.uint64(0x9E3779B97F4A7C15)
"""Odd, so that it has an inverse modulo 2^64."""
_BASE_INVERSE = np.uint64(pow(0x9E3779B97F4A7C15, -1, 1 << 64))


class CopyKind(StrEnum):
    EXACT = "exact"
    """The values are equal to the last digit."""
    NEAR = "near"
    """Equal up to scale, offset and little noise. Two meters of one load seldom are, but some are: no proof by itself."""


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A stretch of one series that stands in another, too (or elsewhere in the same)."""

    kind: CopyKind
    one: str
    other: str
    one_start_ns: int
    other_start_ns: int
    samples: int
    one_s: float
    """How long the stretch is in the first series."""
    bits: float
    """Information in it, in the poorer of the two."""
    correlation: float
    """Rank correlation of innovations; 1 for exact copies."""
    one_index: int
    other_index: int
    """Places of its first sample."""

    @property
    def shift_s(self) -> float:
        return (self.other_start_ns - self.one_start_ns) / 1e9


@dataclass(frozen=True, kw_only=True, eq=False)
class Shelf:
    """Series end to end, for kernels that run over all of them at once."""

    series: tuple[Series, ...]
    values: Values
    start: Places
    """Where each series begins, and at last where all end."""
    owner: NDArray[np.int32]
    bits: Values
    """Information of each sample, cumulated within its series."""

    def information(self, place: int, samples: int) -> float:
        """Bits in the stretch of `samples` from a place on; what its first sample brings is not known, and not counted."""
        first = int(self.start[self.owner[place]])
        before = self.bits[place] if place >= first else 0.0
        return float(self.bits[place + samples - 1] - before)


def shelve(series: Sequence[Series]) -> Shelf:
    """Put series end to end. Raises `ValueError` if two have one name."""
    if len({one.name for one in series}) != len(series):
        raise ValueError("two series have one name")
    lengths = np.array([len(one) for one in series], dtype=np.int64)
    return Shelf(
        series=tuple(series),
        values=np.concatenate([one.values for one in series]) if series else np.zeros(0),
        start=np.concatenate(([0], np.cumsum(lengths))),
        owner=np.repeat(np.arange(len(series), dtype=np.int32), lengths),
        bits=np.concatenate([np.cumsum(information_bits(one.values)) for one in series]) if series else np.zeros(0),
    )


def information_bits(values: Values) -> Values:
    """The information of each sample [bits], shape like `values` (step 1 of the procedure)."""
    count = len(values)
    bits = np.zeros(count)
    if count < 3:
        return bits
    _, level = np.unique(values, return_inverse=True)
    _, change = np.unique(np.round(np.diff(values), 6), return_inverse=True)
    # How rare the change is, this occurrence left out.
    often = np.bincount(change)[change]
    rare = (often - 0.5) / len(change)
    # What usually follows what came before, this occurrence left out; the rarity of the change where nothing is known.
    before = level[:-1].astype(np.int64)
    _, both = np.unique(before * (int(level.max()) + 1) + level[1:], return_inverse=True)
    followed, followed_so = np.bincount(before)[before] - 1, np.bincount(both)[both] - 1
    surprise = -np.log2((followed_so + rare) / (followed + 1.0))
    step = grid_step(values)
    scale = noise_scale(values)[1:]
    if step > 0:
        open_ = np.log2(np.maximum(np.sqrt(4 * np.pi) * scale / step, 1.0))
    else:
        open_ = np.where(scale > 0, reference.INFORMATION_BITS_MAX, 0.0)
    bits[1:] = np.clip(np.minimum(surprise, open_), 0.0, reference.INFORMATION_BITS_MAX)
    return bits


def find_copies(
    series: Sequence[Series],
    *,
    samples_min: int = reference.COPY_SAMPLES_MIN,
    bits_min: float = reference.COPY_BITS_MIN,
    near: bool = True,
) -> tuple[Copy, ...]:
    """All copies among series of different names, exact ones first; what is copied exactly is not told again as near."""
    if samples_min < reference.COPY_SAMPLES_MIN:
        raise ValueError(f"copies of less than {reference.COPY_SAMPLES_MIN} samples are not looked for")
    shelf = shelve(series)
    exact = [
        copy for copy in exact_matches(shelf, samples_min=samples_min, bits_min=bits_min) if copy.one != copy.other
    ]
    if not near:
        return tuple(exact)
    known = {frozenset((copy.one, copy.other)) for copy in exact}
    group = {name: number for number, names in enumerate(copy_groups(exact)) for name in names}
    found: dict[frozenset[str], Copy] = {}
    for one, other, shift in near_candidates(shelf.series):
        pair = frozenset((shelf.series[one].name, shelf.series[other].name))
        if len(pair) < 2 or pair in known or len({group.get(name, name) for name in pair}) < 2:
            continue
        copy = _near_copy(shelf, one, other, shift)
        if copy is None or copy.bits < bits_min or copy.samples < samples_min:
            continue
        if pair not in found or copy.samples > found[pair].samples:
            found[pair] = copy
    return (*exact, *found.values())


def copy_groups(copies: Sequence[Copy]) -> tuple[tuple[str, ...], ...]:
    """The names that hang together by copies, each group and all groups in order."""
    leader: dict[str, str] = {}

    def find(name: str) -> str:
        leader.setdefault(name, name)
        while leader[name] != name:
            leader[name] = leader[leader[name]]
            name = leader[name]
        return name

    for copy in copies:
        first, second = sorted((find(copy.one), find(copy.other)))
        leader[second] = first
    groups: dict[str, list[str]] = {}
    for name in sorted(leader):
        groups.setdefault(find(name), []).append(name)
    return tuple(tuple(names) for _, names in sorted(groups.items()))


def exact_matches(shelf: Shelf, *, samples_min: int, bits_min: float) -> Iterator[Copy]:
    """Maximal equal stretches, also within one series, that are long and rich enough."""
    covered: dict[tuple[int, int, int], int] = {}
    for p, q in seeds(shelf):
        a, b = int(shelf.owner[p]), int(shelf.owner[q])
        diagonal = (a, b, q - p)
        if covered.get(diagonal, -1) >= p:
            continue
        back, ahead = _extend(shelf, p, q)
        covered[diagonal] = p + ahead
        first, samples = p - back, back + ahead
        bits = min(shelf.information(first, samples), shelf.information(first + q - p, samples))
        if samples >= samples_min and bits >= bits_min:
            yield _copy(shelf, (first, first + q - p), samples, CopyKind.EXACT, bits, 1.0)


def seeds(shelf: Shelf) -> Iterator[tuple[int, int]]:
    """Pairs of places p < q whose `GRAM` values have one hash, in order of p."""
    hashes, places = winnowed(shelf)
    order = np.lexsort((places, hashes))
    hashes, places = hashes[order], places[order]
    pairs: list[NDArray[np.int64]] = []
    for step in range(1, reference.LINKS_PER_HASH_MAX + 1):
        same = hashes[step:] == hashes[:-step]
        pairs.append(np.stack((places[:-step][same], places[step:][same]), axis=1))
    every = np.concatenate(pairs) if pairs else np.zeros((0, 2), dtype=np.int64)
    yield from every[np.lexsort((every[:, 1], every[:, 0]))].tolist()


def gram_hashes(values: Values, gram: int) -> Hashes:
    """A hash of each stretch of `gram` values, shape (n - gram + 1,): a sum over mixed bits, modulo 2^64."""
    count = len(values)
    if count < gram:
        return np.zeros(0, dtype=np.uint64)
    # -0.0 and 0.0 are one value.
    word = (values + 0.0).view(np.uint64).copy()
    word ^= word >> np.uint64(31)
    word *= np.uint64(0xBF58476D1CE4E5B9)
    word ^= word >> np.uint64(29)
    word *= np.uint64(0x94D049BB133111EB)
    word ^= word >> np.uint64(32)
    powers = np.cumprod(np.full(count, _BASE), dtype=np.uint64)
    total = np.concatenate((np.zeros(1, dtype=np.uint64), np.cumsum(word * powers, dtype=np.uint64)))
    inverse = np.cumprod(np.full(count, _BASE_INVERSE), dtype=np.uint64)
    mixed = (total[gram:] - total[:-gram]) * inverse[: count - gram + 1]
    mixed ^= mixed >> np.uint64(29)
    found: Hashes = mixed * np.uint64(0xBF58476D1CE4E5B9)
    return found


def winnowed(shelf: Shelf) -> tuple[Hashes, Places]:
    """The hashes that are kept and where their stretches begin; none of a stretch that holds no information."""
    gram, window = reference.GRAM, reference.WINNOW
    hashes = gram_hashes(shelf.values, gram)
    count = len(hashes)
    if count < window:
        return hashes[:0], np.zeros(0, dtype=np.int64)
    within = shelf.owner[:count] == shelf.owner[gram - 1 : gram - 1 + count]
    rich = shelf.bits[gram - 1 : gram - 1 + count] - shelf.bits[:count] > 1.0
    usable = within & rich
    ranked = np.where(usable, hashes, np.uint64(0xFFFFFFFFFFFFFFFF))
    least = np.lib.stride_tricks.sliding_window_view(ranked, window).argmin(axis=1) + np.arange(count - window + 1)
    kept = np.unique(least)
    kept = kept[usable[kept]]
    return hashes[kept], kept.astype(np.int64)


def _extend(shelf: Shelf, p: int, q: int) -> tuple[int, int]:
    """How many samples before, and how many from the places on, are equal, within both series."""
    a, b = int(shelf.owner[p]), int(shelf.owner[q])
    most_ahead = int(min(shelf.start[a + 1] - p, shelf.start[b + 1] - q))
    most_back = int(min(p - shelf.start[a], q - shelf.start[b]))
    ahead = _equal(shelf.values[p : p + most_ahead], shelf.values[q : q + most_ahead])
    back = _equal(shelf.values[p - most_back : p][::-1], shelf.values[q - most_back : q][::-1])
    return back, ahead


def _equal(one: Values, other: Values) -> int:
    """The length of the common beginning, looked for in stretches that double."""
    done, size = 0, 64
    while done < len(one):
        different = np.flatnonzero(one[done : done + size] != other[done : done + size])
        if len(different):
            return done + int(different[0])
        done += size
        size *= 2
    return len(one)


def _near_copy(shelf: Shelf, one: int, other: int, shift: int) -> Copy | None:
    """The copy along one diagonal of two series, if their innovations agree beyond what honest meters do."""
    match = near_match(shelf.series[one].values, shelf.series[other].values, shift)
    if match is None:
        return None
    p = int(shelf.start[one]) + match.start
    q = int(shelf.start[other]) + match.start + shift
    bits = min(shelf.information(p, match.samples), shelf.information(q, match.samples))
    return _copy(shelf, (p, q), match.samples, CopyKind.NEAR, bits, match.correlation)


def _copy(shelf: Shelf, places: tuple[int, int], samples: int, kind: CopyKind, bits: float, correlation: float) -> Copy:
    (p, q) = places
    one, other = shelf.series[shelf.owner[p]], shelf.series[shelf.owner[q]]
    i, j = p - int(shelf.start[shelf.owner[p]]), q - int(shelf.start[shelf.owner[q]])
    return Copy(
        kind=kind,
        one=one.name,
        other=other.name,
        one_start_ns=int(one.time_ns[i]),
        other_start_ns=int(other.time_ns[j]),
        samples=samples,
        one_s=float(one.time_ns[i + samples - 1] - one.time_ns[i]) / 1e9,
        bits=bits,
        correlation=correlation,
        one_index=i,
        other_index=j,
    )
