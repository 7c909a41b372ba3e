"""What a source can hold against the host: the intake's signed word that certain blocks are in certain batches.

A receipt holds the first 21 bytes of the commitment of each block of the report. Where the batch is closed and one of them is
not in its logged list, or where the batch is never closed, the receipt is proof against the host: nobody else can make one.

It is also proof that its holder reported: it is given only to who asks, and a source under watch should not keep it. It says no
time but the batch's, and nothing of what was reported but its size in blocks.
"""

from __future__ import annotations

import base64
import binascii
import textwrap
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, StringConstraints

from inspectorate.canonical import Digest, Identifier, Record
from inspectorate.errors import EvidenceError
from inspectorate.keys import PublicKey, SigningKey
from inspectorate.mechanisms.whistleblowing.intake.batch import BATCHES_MAX
from inspectorate.mechanisms.whistleblowing.intake.signed import put_together, sign, taken_apart, verified

NAMED_BYTES = 21
"""Of a commitment: for every report the host would have to find two blocks that agree in 168 bits, which takes 2^84 tries. With
more, the receipt of a report of 25 MB would not fit on a page."""
SIGNATURE_BYTES = 64
RECEIPT_CHARS_MAX = 32 * 1024 * 1024
RECEIPT_BYTES_MAX = 32 * 1024 * 1024

_KIND = "receipt"
_BEGIN, _END = "BEGIN INSPECTORATE RECEIPT", "END INSPECTORATE RECEIPT"
_LINE = 64


class InBatch(Record):
    """Blocks of a report in one batch."""

    batch: Annotated[int, Field(ge=1, le=BATCHES_MAX)]
    header: Digest
    blocks: Annotated[str, StringConstraints(max_length=RECEIPT_CHARS_MAX)] = Field(
        description="base64 of the first 21 bytes of each commitment, sorted"
    )

    @property
    def named(self) -> list[bytes]:
        """Raises `ValueError`."""
        data = base64.b64decode(self.blocks, validate=True)
        if not data or len(data) % NAMED_BYTES:
            raise ValueError("does not name whole blocks")
        return [data[at : at + NAMED_BYTES] for at in range(0, len(data), NAMED_BYTES)]


class Given(Record):
    """What a receipt says."""

    intake: Identifier
    batches: Annotated[tuple[InBatch, ...], Field(min_length=1, max_length=10_000)]


@dataclass(frozen=True)
class Receipt:
    """A receipt, signed."""

    data: bytes

    def text(self) -> str:
        """For paper or a file: ASCII, lines of 64 characters."""
        payload, signature = taken_apart(self.data)
        packed = base64.b64encode(signature + zlib.compress(payload, 9)).decode()
        return "\n".join([_BEGIN, *textwrap.wrap(packed, _LINE), _END, ""])

    @classmethod
    def of(cls, text: str, *, where: str) -> Receipt:
        """Read the text again. Raises `EvidenceError`."""
        lines = [line.strip() for line in text[:RECEIPT_CHARS_MAX].splitlines()]
        try:
            body = lines[lines.index(_BEGIN) + 1 : lines.index(_END)]
            packed = base64.b64decode("".join(body), validate=True)
            unpacker = zlib.decompressobj()
            payload = unpacker.decompress(packed[SIGNATURE_BYTES:], RECEIPT_BYTES_MAX)
        except (ValueError, binascii.Error, zlib.error):
            raise EvidenceError("holds no receipt", where=where, remedy="give all its lines") from None
        if not unpacker.eof:
            raise EvidenceError("holds no whole receipt, or one larger than any", where=where)
        return cls(put_together(payload, packed[:SIGNATURE_BYTES], _KIND))

    def given(self, key: PublicKey, *, where: str) -> Given:
        """What it says, if the intake signed it. Raises `EvidenceError`."""
        given = Given.parse(verified(self.data, _KIND, key, where=where), where=where, error=EvidenceError)
        try:
            for one in given.batches:
                _ = one.named
        except ValueError as fault:
            raise EvidenceError(f"names no blocks: {fault}", where=where) from None
        return given


def make_receipt(intake: str, blocks: Mapping[tuple[int, str], Sequence[bytes]], key: SigningKey) -> Receipt:
    """A receipt for commitments by batch and digest of its header."""
    batches = []
    for (batch, header), commitments in sorted(blocks.items()):
        named = b"".join(sorted(commitment[:NAMED_BYTES] for commitment in commitments))
        batches.append(InBatch(batch=batch, header=header, blocks=base64.b64encode(named).decode()))
    return Receipt(sign(Given(intake=intake, batches=tuple(batches)), _KIND, key))
