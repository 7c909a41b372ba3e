"""Checkpoints: what a log states about itself, and what makes us believe it (C2SP tlog-checkpoint v1).

Rules:

- A checkpoint commits a log (its *origin*) to a size and a root. `Checkpoint` alone is a claim.
- `VerifiedCheckpoint` can only come from `Policy.verify`: the origin is the expected one, the log's key signed it, and
  at least `witnesses_min` distinct witness keys cosigned it. A key under two names counts once.
- The policy is built from the reviewer's own `LedgerAnchor`, never from evidence.
- Extension lines are covered by the signatures and otherwise not interpreted.

Cosignature times are what the witnesses say; they are handed on and not compared with any clock here.
"""

from __future__ import annotations

import base64
from dataclasses import InitVar, dataclass
from typing import Self

from inspectorate.errors import EvidenceError, InputError
from inspectorate.keys import LedgerAnchor, SigningKey
from inspectorate.ledger.merkle import EMPTY_ROOT, HASH_BYTES, SIZE_MAX
from inspectorate.ledger.note import KeyKind, Note, VerifierKey, decode_base64, is_key_name, sign_note

_SEAL = object()


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A log's origin, its number of entries, and the Merkle root over them."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The note text (C2SP tlog-checkpoint, "Note text")."""
        root = base64.b64encode(self.root).decode()
        return "\n".join((self.origin, str(self.size), root, *self.extensions)) + "\n"

    def signed(self, key: SigningKey) -> bytes:
        """The signed note, under the log's key, whose name is the origin."""
        return sign_note(self.text, [(key, self.origin)])

    @classmethod
    def parse(cls, text: str, *, where: str) -> Self:
        """Read the text of a checkpoint note. Raises `EvidenceError`."""
        lines = text[:-1].split("\n")
        if len(lines) < 3 or not text.endswith("\n") or not all(lines):
            raise EvidenceError("a checkpoint has three or more lines, none of them empty", where=where)
        size = parse_decimal(lines[1])
        if size is None:
            raise EvidenceError(f"tree size {lines[1][:40]!r} is not a decimal up to {SIZE_MAX}", where=where)
        root = decode_base64(lines[2])
        if root is None or len(root) != HASH_BYTES:
            raise EvidenceError("root hash is not base64 of 32 bytes", where=where)
        if size == 0 and root != EMPTY_ROOT:
            raise EvidenceError("an empty tree has another root", where=where)
        return cls(origin=lines[0], size=size, root=root, extensions=tuple(lines[3:]))


@dataclass(frozen=True, kw_only=True)
class Cosignature:
    """That a witness, by its own clock, saw the checkpoint as the largest consistent one at `time_s` (s since 1970)."""

    name: str
    time_s: int


@dataclass(frozen=True, kw_only=True)
class VerifiedCheckpoint:
    """A checkpoint that met a policy. Only `Policy.verify` can build one."""

    checkpoint: Checkpoint
    cosignatures: tuple[Cosignature, ...]
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("a VerifiedCheckpoint comes from Policy.verify only")


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What a checkpoint must carry to be believed: the log's signature and a quorum of witnesses."""

    origin: str
    log: VerifierKey
    witnesses: tuple[VerifierKey, ...] = ()
    witnesses_min: int = 0

    def __post_init__(self) -> None:
        if self.log.kind is not KeyKind.LOG:
            raise InputError("the log's key is not of the Ed25519 note type 0x01", where=self.origin)
        if any(witness.kind is not KeyKind.WITNESS for witness in self.witnesses):
            raise InputError("a witness's key is not of the cosignature type 0x04", where=self.origin)
        keys = [witness.public.key_id for witness in self.witnesses]
        if len(set(keys)) != len(keys) or self.log.public.key_id in keys:
            raise InputError("one key appears twice among the log and its witnesses", where=self.origin)
        if not 0 <= self.witnesses_min <= len(keys):
            raise InputError("asks for more witnesses than it names", where=self.origin)

    @classmethod
    def from_anchor(cls, anchor: LedgerAnchor) -> Self:
        """The policy that a reviewer's trust anchor states. Raises `InputError`."""
        where = f"ledger anchor {anchor.origin}"
        return cls(
            origin=anchor.origin,
            log=VerifierKey.parse(anchor.key, where=where),
            witnesses=tuple(VerifierKey.parse(text, where=where) for text in anchor.witnesses),
            witnesses_min=anchor.witnesses_min,
        )

    def verify(self, data: bytes, *, where: str = "checkpoint") -> VerifiedCheckpoint:
        """Verify a signed checkpoint.

        1. The note and the checkpoint in it are well formed.
        2. The origin is the expected one.
        3. The log's key signed it.
        4. Enough distinct witnesses cosigned it.

        Raises `EvidenceError` naming the step that failed.
        """
        note = Note.parse(data, where=where)  # 1.
        checkpoint = Checkpoint.parse(note.text, where=where)
        if checkpoint.origin != self.origin:  # 2.
            raise EvidenceError(f"is of log {checkpoint.origin!r}, not {self.origin!r}", where=where)
        if not note.signed_by(self.log, where=where)[0]:  # 3.
            raise EvidenceError(f"is not signed by the log's key {self.log.text}", where=where)
        cosignatures = []  # 4.
        for witness in self.witnesses:
            _, time_s = note.signed_by(witness, where=where)
            if time_s is not None:
                cosignatures.append(Cosignature(name=witness.name, time_s=time_s))
        if len(cosignatures) < self.witnesses_min:
            raise EvidenceError(
                f"has {len(cosignatures)} of {self.witnesses_min} witness cosignatures",
                where=where,
                remedy="obtain the missing cosignatures; without them a second version of the log may exist",
            )
        return VerifiedCheckpoint(checkpoint=checkpoint, cosignatures=tuple(cosignatures), seal=_SEAL)


def check_origin(origin: str) -> str:
    """The origin, if a log may take it as its name. Raises `InputError`."""
    if not is_key_name(origin):
        raise InputError(f"{origin!r} cannot name a log", remedy="use a schema-less URL without spaces or plus signs")
    return origin


def parse_decimal(text: str) -> int | None:
    """An ASCII decimal without leading zeroes, up to `SIZE_MAX`; else None."""
    if not (text.isascii() and text.isdigit() and len(text) <= 19) or (text[0] == "0" and text != "0"):
        return None
    value = int(text)
    return value if value <= SIZE_MAX else None
