"""What is fixed of a batch when it closes: its commitments, counted, chained, signed by the intake, and named in a log.

    <number>.commitments     the commitments of all its blocks, 32 bytes each, sorted: their order says nothing
    <number>.closing.json    the `Closing`, signed by the intake's key

The entry in the log says of which intake and batch it is, in clear, so that each office alone sees everything that the host ever
logged: two closings of one batch, or a gap, cannot hide among digests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from inspectorate.canonical import Digest, Identifier, Record, digest_of, parse_canonical
from inspectorate.errors import EvidenceError
from inspectorate.keys import PublicKey, SigningKey
from inspectorate.mechanisms.whistleblowing.intake.batch import BATCHES_MAX, BatchHeader
from inspectorate.mechanisms.whistleblowing.intake.signed import sign, verified
from inspectorate.mechanisms.whistleblowing.sealing.blocks import COMMITMENT_BYTES
from inspectorate.quantities import Period

CLOSING = "closing"
CLOSING_BYTES_MAX = 256 * 1024
ENTRY_BYTES_MAX = 1024

_Count = Annotated[int, Field(ge=0, le=10**8)]


class Closing(Record):
    """One batch, fixed. It has as many blocks, whether anybody reported or not."""

    header: BatchHeader
    period: Period = Field(description="the time whose reports the batch may hold")
    blocks: _Count
    damaged: _Count = Field(description="places that held neither a block nor nothing after a crash: losses")
    commitments: Digest = Field(description="of the file of commitments")
    previous: Digest | None = Field(
        default=None, description="of the file of the closing before this one; none: it is the first"
    )

    def check_list(self, data: bytes, *, where: str) -> list[bytes]:
        """The commitments, from their file. Raises `EvidenceError`."""
        found = [data[at : at + COMMITMENT_BYTES] for at in range(0, len(data), COMMITMENT_BYTES)]
        if digest_of(data) != self.commitments or len(found) != self.blocks or len(data) % COMMITMENT_BYTES:
            raise EvidenceError("is not the list that the closing names", where=where)
        if found != sorted(set(found)):
            raise EvidenceError("is not sorted, or repeats a commitment", where=where)
        return found


class Entry(Record):
    """What stands in the log of one closing."""

    kind: Literal["inspectorate-intake-closing"] = "inspectorate-intake-closing"
    intake: Identifier
    batch: Annotated[int, Field(ge=1, le=BATCHES_MAX)]
    closing: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]


def list_of(commitments: Iterable[bytes]) -> bytes:
    """The file of commitments."""
    return b"".join(sorted(commitments))


def sign_closing(closing: Closing, key: SigningKey) -> bytes:
    return sign(closing, CLOSING, key)


def read_closing(data: bytes, key: PublicKey, *, where: str) -> Closing:
    """A closing that the intake's key signed. Raises `EvidenceError`."""
    closing = Closing.parse(verified(data, CLOSING, key, where=where), where=where, error=EvidenceError)
    closing.header.check(where=where)
    return closing


def entry_of(closing: Closing, data: bytes) -> bytes:
    """What goes into the log for the file `data` of a closing."""
    entry = Entry(intake=closing.header.intake, batch=closing.header.batch, closing=digest_of(data))
    return entry.canonical_bytes()


def entries_of(intake: str, log: Iterable[bytes]) -> dict[int, str]:
    """All that a log says of one intake: batch -> digest of its closing. Other entries are other people's.

    Raises `EvidenceError` where it says two things of one batch: proof against the host. The same entry twice is one.
    """
    found: dict[int, str] = {}
    for data in log:
        if len(data) > ENTRY_BYTES_MAX or not data.startswith(b'{"batch":'):
            continue
        try:
            entry = Entry.parse(parse_canonical(data, where="the log"), where="the log", error=EvidenceError)
        except EvidenceError:
            continue
        if entry.intake == intake and found.setdefault(entry.batch, entry.closing) != entry.closing:
            raise EvidenceError(
                "the host logged two closings of one batch", where=f"intake {intake}, batch {entry.batch}"
            )
    return found


def context_of(header: BatchHeader) -> str:
    """The digest of a header, as receipts name it."""
    return "sha256:" + hashlib.sha256(header.canonical_bytes()).hexdigest()
