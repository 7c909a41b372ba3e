"""A folder of statements as one side hands it to the other: every statement verified, every payload hashed.

    statements/<hex>.json    as in a bundle, or as a collector's spool has them
    payloads/<hex>           what the statements speak of

Rules:

- A statement that does not verify against the reader's anchors is set aside under its problem; it is never used, and
  never hides others.
- A payload is read only under the digest that a verified statement names, and hashed when it is read.
- Links and special files are refused; sizes and counts are bounded.
"""

from __future__ import annotations

import os
import stat
from itertools import islice
from pathlib import Path
from typing import TypeVar

from inspectorate.canonical import JSON_BYTES_MAX, digest_of
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import VerifiedStatement, verify_envelope
from inspectorate.evidence.envelope import ENVELOPE_BYTES_MAX
from inspectorate.evidence.predicate import PredicateBase
from inspectorate.keys import TrustAnchors

STATEMENTS_MAX = 200_000

Kind = TypeVar("Kind", bound=PredicateBase)


class Exchange:
    """What one side has stated. Raises `InputError` if it is no folder, or holds too much."""

    def __init__(self, path: Path, *, anchors: TrustAnchors) -> None:
        self.path = path
        folder = path / "statements"
        if folder.is_symlink() or not folder.is_dir():
            raise InputError("holds no folder `statements`", where=str(path), remedy="name the --out folder of a party")
        names = sorted(islice((entry.name for entry in os.scandir(folder)), STATEMENTS_MAX + 1))
        if len(names) > STATEMENTS_MAX:
            raise InputError(f"holds more than {STATEMENTS_MAX} statements", where=str(folder))
        self.statements: list[VerifiedStatement] = []
        self.set_aside: list[str] = []
        for name in names:
            try:
                data = read_plain(folder / name, ENVELOPE_BYTES_MAX)
                self.statements.append(verify_envelope(data, anchors=anchors, where=str(folder / name)))
            except EvidenceError as fault:
                self.set_aside.append(str(fault))

    def of(self, kind: type[Kind]) -> list[tuple[VerifiedStatement, Kind]]:
        """The statements of one kind, with what they say, in order of their digests."""
        found = [(one, one.predicate) for one in self.statements]
        return [(one, said) for one, said in found if isinstance(said, kind)]

    def by_digest(self, digest: str) -> VerifiedStatement | None:
        return next((one for one in self.statements if one.digest == digest), None)

    def payload(self, digest: str) -> bytes:
        """The payload under a digest. Raises `EvidenceError` where it is missing, or is another."""
        data = read_plain(self.path / "payloads" / digest.removeprefix("sha256:"), JSON_BYTES_MAX)
        if digest_of(data) != digest:
            raise EvidenceError("is not what its name says", where=f"payload {digest[:19]}…")
        return data


def read_plain(path: Path, limit: int) -> bytes:
    """A plain file, never through a link. Raises `EvidenceError`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb", closefd=True) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise EvidenceError("is no plain file", where=str(path))
            data = file.read(limit + 1)
    except OSError as fault:
        raise EvidenceError(f"cannot be read: {fault.strerror}", where=str(path)) from None
    if len(data) > limit:
        raise EvidenceError(f"is larger than {limit} bytes", where=str(path))
    return data
