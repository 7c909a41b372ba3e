"""A ledger of FLOP in 32 bytes: what a checkpoint binds, and what can be shown of it later, one entry at a time.

    leaf        = H(00 || leaf salt || source || units)          leaf salt = BLAKE2b(key = salt, source), 32 bytes
    root        = Merkle tree of RFC 6962 over the leaves, in order of source
    sum         = H(02 || sum salt || entries || total)          sum salt = BLAKE2b(key = salt, "sum"), 32 bytes
    commitment  = H(03 || root || sum)

Rules:

- `salt` is 32 fresh bytes per commitment. Without it neither the commitment nor a proof says anything of entries that were not
  shown, not even to somebody who knows every source and guesses at values.
- A proof shows one entry, its place and how many there are; `verify_entry` returns its value or raises, and there is nothing else
  to look at. Showing the total is apart from that.
- That the entries are in order and that the total is their sum is the processor's word. Whoever is given the whole ledger and the
  salt computes the commitment again, and needs no word.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from inspectorate.canonical import Digest, Hex, Record
from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.guarantee.metering.flop_ledger import (
    ENTRIES_MAX,
    FLOP_PER_UNIT,
    SOURCE_BYTES,
    UNITS_MAX,
    FlopLedger,
)
from inspectorate.quantities import Time

SALT_BYTES = 32
_TOTAL_BYTES = 16


class FlopCertificate(Record):
    """What a processor exports with a result: at most so many FLOP, from the sources that the commitment binds.

    The caller signs it, and binds it to the result by its digest.
    """

    content: Digest
    device: Digest
    at: Time
    total_flop: Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,39})$")]
    """A whole number in decimal: JSON's numbers are too short for it."""
    sources: Annotated[int, Field(ge=0, le=ENTRIES_MAX)]
    root: Hex
    sum_salt: Hex
    commitment: Digest


@dataclass(frozen=True, kw_only=True)
class EntryProof:
    """That a commitment binds one entry."""

    source: bytes
    units: int
    place: int
    entries: int
    leaf_salt: bytes
    path: tuple[bytes, ...]
    """Siblings from the leaf up to the root."""
    sum: bytes


@dataclass(frozen=True, kw_only=True)
class Commitment:
    """A committed ledger, with what its holder needs to show parts of it."""

    ledger: FlopLedger
    salt: bytes
    levels: tuple[tuple[bytes, ...], ...]

    @property
    def root(self) -> bytes:
        return self.levels[-1][0] if self.levels else hashlib.sha256(b"").digest()

    @property
    def sum(self) -> bytes:
        return _sum_hash(_salt_of(self.salt, b"sum"), len(self.ledger), self.ledger.total_units)

    @property
    def digest(self) -> str:
        """What a checkpoint carries."""
        return _commitment(self.root, self.sum)

    def prove(self, source: bytes) -> EntryProof:
        """Show one entry. Raises `KeyError` if the ledger has none of that source."""
        place = self.ledger.place_of(source)
        path, at = [], place
        for level in self.levels[:-1]:
            if at ^ 1 < len(level):
                path.append(level[at ^ 1])
            at //= 2
        return EntryProof(
            source=source,
            units=int(self.ledger.units[place]),
            place=place,
            entries=len(self.ledger),
            leaf_salt=_salt_of(self.salt, source),
            path=tuple(path),
            sum=self.sum,
        )

    def certificate(self, *, content: str, device: str, at: Time) -> FlopCertificate:
        """Show the total, for a result with the digest `content`."""
        return FlopCertificate(
            content=content,
            device=device,
            at=at,
            total_flop=str(self.ledger.total_flop),
            sources=len(self.ledger),
            root=self.root.hex(),
            sum_salt=_salt_of(self.salt, b"sum").hex(),
            commitment=self.digest,
        )


def commit(ledger: FlopLedger, salt: bytes) -> Commitment:
    """Commit to a ledger under a fresh salt."""
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes")
    units = ledger.units.astype(">u8").tobytes()
    leaves = [
        _leaf(_salt_of(salt, source), source, units[8 * i : 8 * i + 8]) for i, source in enumerate(ledger.sources)
    ]
    levels = [tuple(leaves)] if leaves else []
    while levels and len(levels[-1]) > 1:
        below = levels[-1]
        above = [_node(a, b) for a, b in zip(below[::2], below[1::2], strict=False)]
        levels.append(tuple(above) if len(below) % 2 == 0 else (*above, below[-1]))
    return Commitment(ledger=ledger, salt=salt, levels=tuple(levels))


def verify_entry(commitment: str, proof: EntryProof) -> int:
    """FLOP of the proven source, as `commitment` binds it. Raises `EvidenceError`."""
    sized = len(proof.source) == SOURCE_BYTES and len(proof.leaf_salt) == SALT_BYTES and len(proof.sum) == 32
    if not (sized and 0 <= proof.place < proof.entries <= ENTRIES_MAX and 0 <= proof.units <= UNITS_MAX):
        raise EvidenceError("a proof of an entry is malformed", where="FLOP ledger")
    found = _leaf(proof.leaf_salt, proof.source, proof.units.to_bytes(8, "big"))
    place, width, used = proof.place, proof.entries, 0
    while width > 1:
        if place ^ 1 < width:
            if used >= len(proof.path) or len(proof.path[used]) != 32:
                raise EvidenceError("a proof of an entry is too short", where="FLOP ledger")
            beside = proof.path[used]
            found = _node(beside, found) if place & 1 else _node(found, beside)
            used += 1
        place, width = place // 2, (width + 1) // 2
    if used != len(proof.path) or _commitment(found, proof.sum) != commitment:
        raise EvidenceError("the entry is not bound by the commitment", where="FLOP ledger")
    return proof.units * FLOP_PER_UNIT


def verify_certificate(certificate: FlopCertificate) -> int:
    """The total of a certificate, if its commitment binds it. Raises `EvidenceError`.

    Whose signature it carries is for the caller.
    """
    units, rest = divmod(int(certificate.total_flop), FLOP_PER_UNIT)
    root, salt = bytes.fromhex(certificate.root), bytes.fromhex(certificate.sum_salt)
    if rest or units.bit_length() > 8 * _TOTAL_BYTES or len(root) != 32 or len(salt) != SALT_BYTES:
        raise EvidenceError("a certificate of FLOP is malformed", where="FLOP certificate")
    if _commitment(root, _sum_hash(salt, certificate.sources, units)) != certificate.commitment:
        raise EvidenceError("the total is not bound by the commitment", where="FLOP certificate")
    return units * FLOP_PER_UNIT


def _salt_of(salt: bytes, what: bytes) -> bytes:
    return hashlib.blake2b(what, key=salt, digest_size=SALT_BYTES).digest()


def _leaf(salt: bytes, source: bytes, units: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + salt + source + units).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _sum_hash(salt: bytes, entries: int, total_units: int) -> bytes:
    counted = entries.to_bytes(8, "big") + total_units.to_bytes(_TOTAL_BYTES, "big")
    return hashlib.sha256(b"\x02" + salt + counted).digest()


def _commitment(root: bytes, summed: bytes) -> str:
    return "sha256:" + hashlib.sha256(b"\x03" + root + summed).hexdigest()
