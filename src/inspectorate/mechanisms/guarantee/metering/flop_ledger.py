"""The causal ledger of FLOP: how much work, of which sessions, a result can rest on (arXiv 2506.15100).

Every processor keeps, for each *source* it ever heard of, the most FLOP that source had done. It attaches the ledger to what its
chips send; who receives merges it: the greater value per source, then the sum. So work that is spread over many chips and time is
counted, and no work twice: merging is idempotent, commutative and associative.

A source is 24 bytes of a SHA-256 over what it is, so that two different ones cannot be made to share an entry:

- a *session*: one start of one processor, with fresh randomness in its name;
- *undeclared content*: data that came without a ledger. It counts, once per content, with a worst case that was agreed, or it is
  refused;
- a *fold*: see below.

**Bounded size.** A ledger has at most 2^20 entries of 32 bytes. `fold` puts one entry in the place of many: its source is a
commitment to exactly these entries with exactly these values, its value is their sum. A fold is merged like every other entry, so
two ledgers that hold the same fold count it once. Who holds the same work both folded and unfolded counts it twice until it is
unfolded: that is too much, and never too little. Precisely, with `|` for merging:

    total(fold(a))          = total(a)
    total(fold(a) | b)     >= total(a | b)
    unfold(fold(a) | b)     = a | b                 for whoever keeps what was folded

The first two hold whatever others do. Fold sessions that have ended, and the same ones everywhere, and there is no difference.
A fold of which somebody states less than its sum is a false ledger like any other; who has what was folded sees it at once.

Values are whole GFLOP, rounded up: a session is overstated by less than 1e9 FLOP. Everything is exact; nothing is ever taken away.

What it cannot see: work of chips without a processor, unless its results come in as undeclared content; data that is carried in by
hand into chips' memory; a source whose own meter lies. It counts work, not its usefulness: a result that rests on two runs counts
both, even if one was wasted.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from inspectorate.errors import EvidenceError, InputError
from inspectorate.mechanisms.guarantee.events import EventKind, Refusal

SOURCE_BYTES = 24
"""192 bits: two sources that share a name take 2^96 work to find. A shared name would count the smaller of the two as nothing."""
ENTRY_BYTES = 32
"""24 of the source and 8 of its value; arXiv 2506.15100 reckons with about 30."""
ENTRIES_MAX = 2**20
"""32 MiB. Fold before there are more."""
FLOP_PER_UNIT = 10**9
UNITS_MAX = 2**64 - 1
"""1.8e28 FLOP in one entry."""
MAGIC = b"FLOPLED1"
_MUCH_SMALLER = 8
"""Ledgers that differ in size by this factor are merged by insertion."""

Words = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]


def session_source(device: str, nonce: bytes) -> bytes:
    """The source of one session of a device. `nonce` is fresh and at least 16 bytes long."""
    if len(nonce) < 16:
        raise ValueError("a session needs a nonce of at least 16 bytes")
    return _source(b"session", device.encode(), nonce)


def content_source(digest: str) -> bytes:
    """The source of content that came without a ledger, by its digest: the same content is one source."""
    return _source(b"content", digest.encode())


def _source(kind: bytes, *parts: bytes) -> bytes:
    hashed = hashlib.sha256(b"flop-ledger source " + kind)
    for part in parts:
        hashed.update(len(part).to_bytes(8, "big") + part)
    return hashed.digest()[:SOURCE_BYTES]


def in_units(flop: float) -> int:
    """Whole GFLOP, rounded up; a float means the shortest decimal that names it.

    Raises `ValueError` on what is no amount, and `InputError` on more than an entry holds.
    """
    if not 0 <= flop < math.inf:
        raise ValueError(f"{flop} FLOP is no amount")
    exact = Fraction(flop) if isinstance(flop, int) else Fraction(repr(float(flop)))
    units = math.ceil(exact / FLOP_PER_UNIT)
    if units > UNITS_MAX:
        raise InputError(f"{flop:g} FLOP of one source is more than {UNITS_MAX * FLOP_PER_UNIT:g}")
    return units


@dataclass(frozen=True, kw_only=True, eq=False)
class FlopLedger:
    """At most so many FLOP of each source. Sources are in order of their bytes; there is one value for each."""

    words: Words
    """(3, n): the sources, as big-endian words."""
    units: Words
    """(n,): GFLOP."""

    def __post_init__(self) -> None:
        self.words.flags.writeable = False
        self.units.flags.writeable = False

    def __len__(self) -> int:
        return int(self.units.size)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FlopLedger):
            return NotImplemented
        return np.array_equal(self.words, other.words) and np.array_equal(self.units, other.units)

    def __hash__(self) -> int:
        return hash((self.words.tobytes(), self.units.tobytes()))

    @cached_property
    def total_units(self) -> int:
        """The sum in GFLOP. Exact: halves are summed apart, so nothing overflows."""
        high = int((self.units >> np.uint64(32)).sum(dtype=np.uint64))
        low = int((self.units & np.uint64(0xFFFFFFFF)).sum(dtype=np.uint64))
        return (high << 32) + low

    @property
    def total_flop(self) -> int:
        """At most so many FLOP are behind whatever carries this ledger."""
        return self.total_units * FLOP_PER_UNIT

    @property
    def sources(self) -> list[bytes]:
        """All sources, in order."""
        flat = self.words.T.astype(">u8").tobytes()
        return [flat[i : i + SOURCE_BYTES] for i in range(0, len(flat), SOURCE_BYTES)]

    def flop_of(self, source: bytes) -> int:
        """FLOP of one source; 0 if nothing was heard of it."""
        found = self._places(_columns([source]))
        return int(self.units[found[0]]) * FLOP_PER_UNIT if found[0] >= 0 else 0

    def place_of(self, source: bytes) -> int:
        """Where a source stands. Raises `KeyError`."""
        place = int(self._places(_columns([source]))[0])
        if place < 0:
            raise KeyError(source.hex())
        return place

    def _places(self, words: Words) -> npt.NDArray[np.int64]:
        """Where each of some sources stands, or -1."""
        places, hit = _locate(self.words, words)
        return np.where(hit, places, -1)

    # --- changing ---------------------------------------------------------------------------------------------------

    def with_at_least(self, source: bytes, flop: float) -> FlopLedger:
        """The ledger in which `source` has done `flop` altogether, unless it says more already."""
        return self.merge(of({source: flop}))

    def merge(self, other: FlopLedger) -> FlopLedger:
        """The greater value per source. Raises `InputError` if that makes more than `ENTRIES_MAX` entries."""
        large, small = (self, other) if len(self) >= len(other) else (other, self)
        if not len(small):
            return large
        words, units = (_woven if len(small) * _MUCH_SMALLER > len(large) else _inserted)(large, small)
        if units.size > ENTRIES_MAX:
            raise InputError(
                f"a ledger of {units.size} sources exceeds {ENTRIES_MAX}", remedy="fold sessions that have ended"
            )
        return FlopLedger(words=words, units=units)

    def beyond(self, known: FlopLedger) -> FlopLedger:
        """What somebody who has `known` needs in order to have all of this: known | beyond = known | this."""
        places, hit = _locate(known.words, self.words)
        more = ~hit
        more[hit] = self.units[hit] > known.units[places[hit]]
        return self._only(more)

    def _only(self, keep: Mask) -> FlopLedger:
        return FlopLedger(words=self.words.compress(keep, axis=1), units=self.units.compress(keep))

    # --- folding ----------------------------------------------------------------------------------------------------

    def fold(self, sources: Iterable[bytes]) -> tuple[FlopLedger, FlopLedger]:
        """The ledger with one entry in the place of `sources`, and what was folded: keep that, it undoes the fold.

        Raises `InputError` if a source is not there, or if all of them together are more than one entry holds.
        """
        places = self._places(_columns(sorted(set(sources))))
        if not places.size or (places < 0).any():
            raise InputError("only sources that are in the ledger can be folded, and at least one")
        chosen = np.zeros(len(self), dtype=np.bool_)
        chosen[places] = True
        folded = self._only(chosen)
        if folded.total_units > UNITS_MAX:
            raise InputError("the sources are too much for one entry", remedy="fold fewer of them")
        return self._only(~chosen).merge(_single(fold_source(folded), folded.total_units)), folded

    def unfold(self, folded: FlopLedger) -> FlopLedger:
        """The ledger with what was folded in the place of its fold. Raises `EvidenceError` if this is not what was folded here."""
        places = self._places(_columns([fold_source(folded)]))
        if not len(folded) or places[0] < 0 or int(self.units[places[0]]) != folded.total_units:
            raise EvidenceError("is not what a fold of this ledger stands for", where="FLOP ledger")
        rest = np.ones(len(self), dtype=np.bool_)
        rest[places[0]] = False
        return self._only(rest).merge(folded)

    # --- sending ----------------------------------------------------------------------------------------------------

    def to_bytes(self) -> bytes:
        """What is attached to data that is sent. Signing it, together with the data, is for the caller."""
        rows = np.empty((len(self), 4), dtype=">u8")
        rows[:, :3] = self.words.T
        rows[:, 3] = self.units
        return MAGIC + len(self).to_bytes(4, "big") + rows.tobytes()


def _single(source: bytes, units: int) -> FlopLedger:
    return FlopLedger(words=_columns([source]), units=np.array([units], dtype=np.uint64))


def of(flop_by_source: Mapping[bytes, float]) -> FlopLedger:
    """A ledger of plain numbers."""
    if len(flop_by_source) > ENTRIES_MAX:
        raise InputError(f"a ledger of {len(flop_by_source)} sources exceeds {ENTRIES_MAX}")
    ordered = sorted(flop_by_source)
    units = np.array([in_units(flop_by_source[source]) for source in ordered], dtype=np.uint64)
    return FlopLedger(words=_columns(ordered), units=units)


def fold_source(folded: FlopLedger) -> bytes:
    """The source of a fold: exactly these entries with exactly these values. Not salted, so that equal folds are one."""
    return _source(b"fold", folded.to_bytes())


def parse(data: bytes, *, where: str, entries_max: int = ENTRIES_MAX) -> FlopLedger:
    """Read what `to_bytes` wrote, in that one form only. Raises `EvidenceError`."""
    head = len(MAGIC) + 4
    if data[: len(MAGIC)] != MAGIC or len(data) < head:
        raise EvidenceError("is not a ledger of FLOP", where=where)
    count = int.from_bytes(data[len(MAGIC) : head], "big")
    if count > entries_max:
        raise EvidenceError(f"{count} sources exceed {entries_max}", where=where, remedy="the sender must fold")
    if len(data) != head + count * ENTRY_BYTES:
        raise EvidenceError(f"{count} sources do not take {len(data)} bytes", where=where)
    rows = np.frombuffer(data, dtype=">u8", offset=head).reshape(count, 4)
    words = np.ascontiguousarray(rows[:, :3].T, dtype=np.uint64)
    if not _rises(words).all():
        raise EvidenceError("sources are not in order, or stand twice", where=where)
    return FlopLedger(words=words, units=rows[:, 3].astype(np.uint64))


def receive(ledger: FlopLedger, prefix: bytes, *, where: str, entries_max: int = ENTRIES_MAX) -> FlopLedger:
    """Merge the ledger that came attached to data, whose signature the caller has verified.

    Raises `EvidenceError` if it is malformed, or if together they have too many sources.
    """
    came = parse(prefix, where=where, entries_max=entries_max)
    try:
        return ledger.merge(came)
    except InputError as fault:
        raise EvidenceError(fault.problem, where=where, remedy=fault.remedy) from None


def receive_undeclared(ledger: FlopLedger, content: str, worst_flop: float | None) -> FlopLedger | Refusal:
    """Count data that came without a ledger, by its digest, with the worst case that was agreed for it; without one, refuse it."""
    if worst_flop is None:
        return Refusal(kind=EventKind.RULE_FAILED, why=f"{content} came without a ledger of FLOP")
    return ledger.with_at_least(content_source(content), worst_flop)


# --- sorted sources -----------------------------------------------------------------------------------------------------


def _columns(ordered: list[bytes]) -> Words:
    if any(len(source) != SOURCE_BYTES for source in ordered):
        raise ValueError(f"a source has {SOURCE_BYTES} bytes")
    rows = np.frombuffer(b"".join(ordered), dtype=">u8").reshape(len(ordered), 3)
    return np.ascontiguousarray(rows.T, dtype=np.uint64)


def _rises(words: Words) -> Mask:
    """Whether each source is above the one before it."""
    below, above = words[:, :-1], words[:, 1:]
    rises: Any = above[2] > below[2]
    for row in (1, 0):
        rises = (above[row] > below[row]) | ((above[row] == below[row]) & rises)
    return np.asarray(rises, dtype=np.bool_)


def _woven(one: FlopLedger, other: FlopLedger) -> tuple[Words, Words]:
    """Both together, for ledgers of like size: sorted as one. What stands in both then stands side by side, `one`'s first.

    The first word decides almost always. Where two sources share it, all words are sorted by: that is slower, and only happens
    where somebody chose names to that end. The same goes for `_locate`.
    """
    first_words = np.concatenate([one.words[0], other.words[0]])
    order = np.argsort(first_words, kind="stable")
    ranked = first_words.take(order)
    twice = np.flatnonzero(ranked[1:] == ranked[:-1])
    if not _same(one.words, order.take(twice), other.words, order.take(twice + 1) - len(one)):
        joined = np.concatenate([one.words, other.words], axis=1)
        order = np.lexsort((joined[2], joined[1], joined[0]))
        ranks = joined.take(order, axis=1)
        twice = np.flatnonzero((ranks[:, 1:] == ranks[:, :-1]).all(axis=0))
    units = np.concatenate([one.units, other.units]).take(order)
    units[twice] = np.maximum(units[twice], units[twice + 1])
    keep = np.ones(units.size, dtype=np.bool_)
    keep[twice + 1] = False
    return _gathered(one.words, other.words, order.compress(keep)), units.compress(keep)


def _same(one: Words, places: npt.NDArray[np.int64], other: Words, others: npt.NDArray[np.int64]) -> bool:
    """Whether each place of `one` holds the same source as its counterpart of `other`."""
    if (places >= one.shape[1]).any() or (others < 0).any():
        return False
    return all(np.array_equal(one[row].take(places), other[row].take(others)) for row in (1, 2))


def _gathered(one: Words, other: Words, order: npt.NDArray[np.int64]) -> Words:
    """Columns of `one` followed by `other`, in that order. Row by row: large arrays in between cost more than the work."""
    words = np.empty((3, order.size), dtype=np.uint64)
    for row in range(3):
        np.concatenate([one[row], other[row]]).take(order, out=words[row], mode="clip")
    return words


def _inserted(large: FlopLedger, small: FlopLedger) -> tuple[Words, Words]:
    """Both together, for a ledger that is much smaller than the other."""
    places, hit = _locate(large.words, small.words)
    units = large.units.copy()
    known = places[hit]
    units[known] = np.maximum(units[known], small.units[hit])
    if hit.all():
        return large.words, units
    at, new = places[~hit], small._only(~hit)
    gather = np.zeros(len(large) + at.size, dtype=np.int64)
    goes_to = at + np.arange(at.size)
    gather[goes_to] = 1
    gather = np.arange(gather.size) - np.cumsum(gather)
    gather[goes_to] = np.arange(len(large), len(large) + at.size)
    return _gathered(large.words, new.words, gather), np.concatenate([units, new.units]).take(gather)


def _locate(there: Words, asked: Words) -> tuple[npt.NDArray[np.int64], Mask]:
    """Where each of the `asked` sources stands in `there`, or would stand; and whether it does. Both are in order."""
    places = np.searchsorted(there[0], asked[0])
    if not there.shape[1]:
        return places, np.zeros(asked.shape[1], dtype=np.bool_)
    at = np.minimum(places, there.shape[1] - 1)
    first = there[0].take(at) == asked[0]
    hit = first & (there[1].take(at) == asked[1]) & (there[2].take(at) == asked[2])
    if np.array_equal(first, hit):
        return places, hit
    joined = np.concatenate([there, asked], axis=1)
    order = np.lexsort((joined[2], joined[1], joined[0]))
    from_asked = order >= there.shape[1]
    same = np.zeros(order.size, dtype=np.bool_)
    ranked = joined[:, order]
    same[1:] = (ranked[:, 1:] == ranked[:, :-1]).all(axis=0)
    before = np.cumsum(~from_asked)
    places = np.empty(asked.shape[1], dtype=np.int64)
    hit = np.empty(asked.shape[1], dtype=np.bool_)
    which = order[from_asked] - there.shape[1]
    hit[which] = same[from_asked]
    places[which] = before[from_asked] - same[from_asked]
    return places, hit


EMPTY = of({})
