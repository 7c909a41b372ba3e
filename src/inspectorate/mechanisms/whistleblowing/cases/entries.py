"""A case file: signed entries of who, when and what, in one chain per office, which hold one another.

Offices of different parties share no server and work at the same time. So each office has its own chain, and every entry also
names the last entries of all other chains that its office had then. Two copies of a case join by union.

`read_entries` gives a `CaseFile` or refuses, with the entry named:

1. Every envelope is canonical, and signed with the key that the reader knows of the office that it names.
2. All entries are of one case.
3. The entries of an office are numbered from 0 without a gap; each holds the digest of the one before. Two with one number are a
   fork, and say that this office told two stories.
4. Every entry that another one holds is there. So none can be taken out or moved that anybody has built on.
5. An office's times never run backwards.

Not seen from the file alone: that the last entries of an office are cut off which nobody has seen. The copies of other offices and
the published heads (`heads`) show that.
"""

from __future__ import annotations

import base64
import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import Field

from inspectorate.canonical import Digest, Identifier, Record, canonical_bytes, digest_of, parse_canonical
from inspectorate.errors import EvidenceError
from inspectorate.evidence.dsse import pae, strict_base64
from inspectorate.keys import PublicKey, SigningKey
from inspectorate.mechanisms.whistleblowing.cases.acts import OFFICES_MAX, Act
from inspectorate.quantities import Time

ENTRY_TYPE = "application/vnd.inspectorate.case-entry+json"
ENTRY_BYTES_MAX = 16 << 20
ENTRIES_MAX = 20_000

Keys = Mapping[str, PublicKey]
"""The keys of all offices that the reader knows, by their names: from the reader's side, never from the case."""

_READ = object()


class Entry(Record):
    """One act of one office."""

    case: Identifier
    by: Identifier
    number: int = Field(ge=0, lt=ENTRIES_MAX)
    previous: Digest | None = Field(default=None, description="the entry of this office before; none: the first")
    seen: tuple[Digest, ...] = Field(
        default=(), max_length=OFFICES_MAX, description="the last entry of every other office"
    )
    at: Time
    act: Act


@dataclass(frozen=True, kw_only=True)
class Held:
    """A verified entry, its digest and its bytes."""

    entry: Entry
    digest: str
    envelope: bytes


@dataclass(frozen=True, kw_only=True)
class CaseFile:
    """All entries of a case, verified, each after those that it holds. Only `read_entries` builds one."""

    case: str
    held: tuple[Held, ...]
    witness: object

    def __post_init__(self) -> None:
        if self.witness is not _READ:
            raise TypeError("a CaseFile comes from read_entries only")

    @property
    def heads(self) -> dict[str, str]:
        """The digest of the last entry of each office."""
        return {one.entry.by: one.digest for one in self._last().values()}

    def until(self, at: datetime) -> CaseFile | None:
        """What stood in it by then: entries of that time, of which all that they hold is of that time, too. None if nothing did."""
        kept: dict[str, Held] = {}
        for one in self.held:
            needs = {*one.entry.seen, *([one.entry.previous] if one.entry.previous else [])}
            if one.entry.at <= at and needs <= kept.keys():
                kept[one.digest] = one
        return CaseFile(case=self.case, held=tuple(kept.values()), witness=_READ) if kept else None

    def _last(self) -> dict[str, Held]:
        last: dict[str, Held] = {}
        for one in self.held:
            if one.entry.by not in last or one.entry.number > last[one.entry.by].entry.number:
                last[one.entry.by] = one
        return last

    def next_entry(self, act: Act, *, by: str, at: datetime) -> Entry:
        """The entry that an office may sign next."""
        last = self._last()
        own = last.pop(by, None)
        return Entry(
            case=self.case,
            by=by,
            number=own.entry.number + 1 if own else 0,
            previous=own.digest if own else None,
            seen=tuple(sorted(one.digest for one in last.values())),
            at=at,
            act=act,
        )


def first_entry(case: str, act: Act, *, by: str, at: datetime) -> Entry:
    """The entry with which a case begins."""
    return Entry(case=case, by=by, number=0, at=at, act=act)


def sign_entry(entry: Entry, key: SigningKey) -> bytes:
    """The envelope of an entry in its canonical bytes."""
    payload = entry.canonical_bytes()
    if len(payload) > ENTRY_BYTES_MAX:
        raise EvidenceError(f"an entry of {len(payload)} bytes is too large", where=f"case {entry.case}")
    signature = {"keyid": key.key_id, "sig": base64.b64encode(key.sign(pae(ENTRY_TYPE, payload))).decode()}
    return canonical_bytes(
        {"payload": base64.b64encode(payload).decode(), "payloadType": ENTRY_TYPE, "signatures": [signature]}
    )


def read_entries(envelopes: Iterable[bytes], *, keys: Keys, where: str) -> CaseFile:
    """Verify all entries of a case file (steps in the module's docstring). Raises `EvidenceError`."""
    held = {one.digest: one for one in (_open(data, keys, where) for data in envelopes)}
    if not held:
        raise EvidenceError("holds no entry", where=where, remedy="it was emptied; take the copy of another office")
    if len(held) > ENTRIES_MAX:
        raise EvidenceError(f"holds more than {ENTRIES_MAX} entries", where=where)
    cases = {one.entry.case for one in held.values()}
    if len(cases) > 1:
        raise EvidenceError(f"mixes entries of {len(cases)} cases", where=where)
    _check_chains(list(held.values()), where)
    return CaseFile(case=cases.pop(), held=_in_order(held, where), witness=_READ)


def _open(data: bytes, keys: Keys, where: str) -> Held:
    """Step 1 for one entry."""
    digest = digest_of(data)
    where = f"{where}, entry {digest[:19]}…"
    if len(data) > 2 * ENTRY_BYTES_MAX:
        raise EvidenceError(f"an entry of {len(data)} bytes is too large", where=where)
    envelope = parse_canonical(data, where=where)
    try:
        if set(envelope) != {"payload", "payloadType", "signatures"} or envelope["payloadType"] != ENTRY_TYPE:
            raise ValueError("is no entry of a case")
        payload = strict_base64(envelope["payload"])
        (signed,) = envelope["signatures"]
        if set(signed) != {"keyid", "sig"}:
            raise ValueError("a signature needs exactly keyid and sig")
        signature = strict_base64(signed["sig"])
        key_id = str(signed["keyid"])
    except (ValueError, TypeError, KeyError, AttributeError) as fault:
        raise EvidenceError(f"malformed: {fault}", where=where) from None
    entry = Entry.parse(parse_canonical(payload, where=where), where=where, error=EvidenceError)
    key = keys.get(entry.by)
    if key is None:
        raise EvidenceError(f"names {entry.by}, of which no key is known", where=where, remedy="is it an office?")
    if key.key_id != key_id or not key.verifies(signature, pae(ENTRY_TYPE, payload)):
        raise EvidenceError(
            f"is not signed with the key of {entry.by}", where=where, remedy="it was altered, or made up"
        )
    return Held(entry=entry, digest=digest, envelope=data)


def _check_chains(held: Sequence[Held], where: str) -> None:
    """Steps 3 to 5."""
    by_office: dict[str, list[Held]] = {}
    for one in held:
        by_office.setdefault(one.entry.by, []).append(one)
    if len(by_office) > OFFICES_MAX:
        raise EvidenceError(f"more than {OFFICES_MAX} offices write in it", where=where)
    there = {one.digest: one for one in held}
    for office, chain in by_office.items():
        chain.sort(key=lambda one: one.entry.number)
        before: Held | None = None
        for number, one in enumerate(chain):
            place = f"{where}, entry {one.entry.number} of {office}"
            if before is not None and one.entry.number == before.entry.number:
                raise EvidenceError("is there twice: the office told two stories", where=place)
            if one.entry.number != number:
                raise EvidenceError(f"entry {number} before it is missing", where=place)
            if one.entry.previous != (before.digest if before else None):
                raise EvidenceError("does not continue the one before it", where=place)
            if before is not None and one.entry.at < before.entry.at:
                raise EvidenceError("is older than the one before it", where=place)
            for digest in one.entry.seen:
                if digest not in there:
                    raise EvidenceError(f"builds on entry {digest[:19]}…, which is not there", where=place)
                if there[digest].entry.by == office:
                    raise EvidenceError("counts an entry of its own office as another's", where=place)
            before = one


def _in_order(held: Mapping[str, Held], where: str) -> tuple[Held, ...]:
    """Each entry after those that it holds; of those that could be next, the earliest first."""
    waits: dict[str, int] = {}
    after: dict[str, list[str]] = {}
    for digest, one in held.items():
        needs = {*one.entry.seen, *([one.entry.previous] if one.entry.previous else [])}
        waits[digest] = len(needs)
        for need in needs:
            after.setdefault(need, []).append(digest)
    ready = [(held[digest].entry.at, digest) for digest, count in waits.items() if count == 0]
    heapq.heapify(ready)
    order: list[Held] = []
    while ready:
        _, digest = heapq.heappop(ready)
        order.append(held[digest])
        for later in after.get(digest, ()):
            waits[later] -= 1
            if waits[later] == 0:
                heapq.heappush(ready, (held[later].entry.at, later))
    if len(order) != len(held):
        raise EvidenceError("entries hold one another in a circle", where=where)
    return tuple(order)
