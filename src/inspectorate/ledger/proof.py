"""Portable proofs that an entry stands in a log (C2SP tlog-proof v1).

A proof file carries the entry's index, the inclusion proof, and the checkpoint it leads to, with whatever cosignatures
that has. Together with the entry and the reviewer's `LedgerAnchor` it is all that is needed, offline.

Rules:

- `VerifiedInclusion` can only come from `verify_proof` and `ProofVerifier`.
- `prove_entry` verifies the proof it made against the checkpoint, so that damaged storage yields an error, not a
  useless proof.
- The optional `extra` line of the format is not authenticated. It is accepted and dropped.

A proof says that the log, and its witnesses, hold the entry at that index. It does not say that the entry is true.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from typing import Protocol, Self

from inspectorate.errors import EvidenceError, InputError
from inspectorate.keys import LedgerAnchor
from inspectorate.ledger.checkpoint import Checkpoint, Cosignature, Policy, VerifiedCheckpoint, parse_decimal
from inspectorate.ledger.merkle import HASH_BYTES, PROOF_HASHES_MAX, leaf_hash, verify_inclusion
from inspectorate.ledger.note import NOTE_BYTES_MAX, Note, decode_base64

HEADER = "c2sp.org/tlog-proof@v1"
PROOF_BYTES_MAX = 2 * NOTE_BYTES_MAX

_SEAL = object()


class Provable(Protocol):
    """What `prove_entry` needs of a log; `Log` and `MemoryLog` both are."""

    def entry(self, index: int) -> bytes: ...

    def inclusion(self, index: int, size: int | None = None) -> tuple[bytes, ...]: ...


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A proof file as read; nothing in it is verified."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes

    def __bytes__(self) -> bytes:
        lines = (HEADER, f"index {self.index}", *format_hashes(self.hashes), "")
        return "".join(f"{line}\n" for line in lines).encode() + self.checkpoint

    @classmethod
    def parse(cls, data: bytes, *, where: str) -> Self:
        """Read a proof file under limits. Raises `EvidenceError`."""
        if len(data) > PROOF_BYTES_MAX:
            raise EvidenceError(f"proof of {len(data)} bytes exceeds {PROOF_BYTES_MAX}", where=where)
        head, blank, checkpoint = data.partition(b"\n\n")
        lines = head.decode("utf-8", errors="replace").split("\n")
        if not blank or lines[0] != HEADER:
            raise EvidenceError(f"is not a proof in the format {HEADER}", where=where)
        body = lines[1:]
        if body and body[0].startswith("extra "):
            if decode_base64(body[0].removeprefix("extra ")) is None:
                raise EvidenceError("extra line is not base64", where=where)
            body = body[1:]
        index = parse_decimal(body[0].removeprefix("index ")) if body and body[0].startswith("index ") else None
        if index is None:
            raise EvidenceError("has no index line", where=where)
        return cls(index=index, hashes=parse_hashes(body[1:], where=where), checkpoint=checkpoint)


@dataclass(frozen=True, kw_only=True)
class VerifiedInclusion:
    """That an entry stands at `index` of the log `origin`, whose tree of `tree_size` entries has the given root.

    `witnesses` names who cosigned that tree, and `cosigned_s` says when, in seconds since 1970 by their own clocks.
    """

    index: int
    tree_size: int
    root: bytes
    origin: str
    witnesses: tuple[str, ...]
    cosigned_s: tuple[int, ...]
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("a VerifiedInclusion comes from a ProofVerifier only")


def prove_entry(log: Provable, index: int, checkpoint: bytes) -> bytes:
    """The proof file that entry `index` stands in the tree of `checkpoint` (a signed note of this log, of any size).

    Raises `InputError` where the checkpoint does not hold the entry, `EvidenceError` where the log's storage does not
    lead to the checkpoint's root.
    """
    where = "checkpoint"
    stated = Checkpoint.parse(Note.parse(checkpoint, where=where).text, where=where)
    if not 0 <= index < stated.size:
        raise InputError(f"entry {index} is not in the tree of {stated.size} entries", where=where)
    proof = Proof(index=index, hashes=log.inclusion(index, stated.size), checkpoint=checkpoint)
    leaf = leaf_hash(log.entry(index))
    verify_inclusion(leaf, index, stated.size, proof.hashes, stated.root, where=f"entry {index} as stored")
    return bytes(proof)


def verify_proof(proof_bytes: bytes, entry: bytes, anchor: LedgerAnchor, *, where: str = "proof") -> VerifiedInclusion:
    """Verify one proof file for `entry` under the reviewer's anchor; see `ProofVerifier.verify`, also for the errors."""
    return ProofVerifier(anchor).verify(proof_bytes, entry, where=where)


class ProofVerifier:
    """Verifies many proofs under one anchor. A checkpoint that many proofs share is verified once."""

    def __init__(self, anchor: LedgerAnchor) -> None:
        """Raises `InputError` on an unusable anchor."""
        self._policy = Policy.from_anchor(anchor)
        self._data = b""
        self._verified: VerifiedCheckpoint | None = None

    def verify(self, proof_bytes: bytes, entry: bytes, *, where: str = "proof") -> VerifiedInclusion:
        """Verify a proof file for `entry`.

        1. The file is well formed.
        2. Its checkpoint meets the anchor's policy.
        3. Its hashes lead from the entry to the checkpoint's root.

        Raises `EvidenceError` naming the step that failed.
        """
        proof = Proof.parse(proof_bytes, where=where)  # 1.
        if self._verified is None or proof.checkpoint != self._data:  # 2.
            self._verified = self._policy.verify(proof.checkpoint, where=where)
            self._data = proof.checkpoint
        checkpoint = self._verified.checkpoint
        verify_inclusion(  # 3.
            leaf_hash(entry), proof.index, checkpoint.size, proof.hashes, checkpoint.root, where=where
        )
        return _sealed(proof.index, checkpoint, self._verified.cosignatures)


def proof_origin(proof_bytes: bytes, *, where: str = "proof") -> str:
    """The origin that a proof claims, to choose the anchor by. Unverified. Raises `EvidenceError`."""
    note = Note.parse(Proof.parse(proof_bytes, where=where).checkpoint, where=where)
    return Checkpoint.parse(note.text, where=where).origin


def _sealed(index: int, checkpoint: Checkpoint, cosignatures: Sequence[Cosignature]) -> VerifiedInclusion:
    return VerifiedInclusion(
        index=index,
        tree_size=checkpoint.size,
        root=checkpoint.root,
        origin=checkpoint.origin,
        witnesses=tuple(cosignature.name for cosignature in cosignatures),
        cosigned_s=tuple(cosignature.time_s for cosignature in cosignatures),
        seal=_SEAL,
    )


def format_hashes(hashes: Sequence[bytes]) -> list[str]:
    """Hashes as base64 lines, without newlines."""
    return [base64.b64encode(value).decode() for value in hashes]


def parse_hashes(lines: Sequence[str], *, where: str) -> tuple[bytes, ...]:
    """Read base64 lines of one SHA-256 hash each. Raises `EvidenceError`."""
    if len(lines) > PROOF_HASHES_MAX:
        raise EvidenceError(f"proof has more than {PROOF_HASHES_MAX} hashes", where=where)
    hashes = [decode_base64(line) for line in lines]
    if any(value is None or len(value) != HASH_BYTES for value in hashes):
        raise EvidenceError("a proof line is not base64 of 32 bytes", where=where)
    return tuple(value for value in hashes if value is not None)
