"""The journal of a log: the batches appended since its tiles were last made durable.

Form:

    inspectorate ledger journal 1
    <verifier key of the log>
    <checkpoint text: origin, size, and root at which this journal starts>
    (blank line)
    batch*

    batch = start (u64) | entries (u32) | payload bytes (u32) | payload | root after it (32 bytes)

Numbers are big-endian; the payload is the entries behind their 2-byte lengths, as in a bundle.

Rules:

- The head is only ever written by an atomic, durable replacement: it is whole, or the log is damaged.
- A batch is appended with one fsync and acknowledged after it. So only the last batch can be torn, and a torn batch was
  never acknowledged. Replay stops there.
- The root after each batch is its checksum (the head of a batch is checked by what it leads to), and ties the journal to
  the tree that checkpoints were signed for.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from inspectorate.errors import EvidenceError
from inspectorate.ledger.checkpoint import Checkpoint
from inspectorate.ledger.merkle import HASH_BYTES
from inspectorate.ledger.tiles import split_bundle

MAGIC = "inspectorate ledger journal 1"
JOURNAL_PATH = "journal"
BATCH_BYTES_MAX = 64 * 1024 * 1024
JOURNAL_BYTES_MAX = 64 * 1024 * 1024
"""At this length the tiles are made durable and the journal starts anew."""
JOURNAL_READ_BYTES_MAX = JOURNAL_BYTES_MAX + 2 * BATCH_BYTES_MAX

_HEAD = struct.Struct(">QII")


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Entries appended at once: the index of the first, and the root of the tree after the last."""

    start: int
    entries: tuple[bytes, ...]
    root: bytes


def encode_head(verifier_key: str, base: Checkpoint) -> bytes:
    """The head of a journal that starts at `base`."""
    return f"{MAGIC}\n{verifier_key}\n{base.text}\n".encode()


def encode_batch(start: int, framed: Sequence[bytes], root: bytes) -> bytes:
    """One batch of framed entries (see `tiles.frame_entries`)."""
    payload = b"".join(framed)
    head = _HEAD.pack(start, len(framed), len(payload))
    return b"".join((head, payload, root))


def decode_head(data: bytes, *, where: str) -> tuple[str, Checkpoint, int]:
    """The verifier key, the base, and the offset of the first batch. Raises `EvidenceError`."""
    head, blank, _ = data[:4096].partition(b"\n\n")
    lines = head.decode("utf-8", errors="replace").split("\n", 2)
    if not blank or len(lines) != 3 or lines[0] != MAGIC:
        raise EvidenceError("the journal has no valid head", where=where, remedy="restore the log from a copy")
    return lines[1], Checkpoint.parse(lines[2] + "\n", where=where), len(head) + 2


def decode_batches(data: bytes, offset: int, size: int) -> Iterator[Batch]:
    """The whole batches from `offset` on, the first of which starts at `size`. Stops at the first torn one.

    Whether a batch's payload is whole, only its root can say: the caller compares.
    """
    while (body := offset + _HEAD.size) <= len(data):
        start, count, length = _HEAD.unpack(data[offset:body])
        end = body + length + HASH_BYTES
        if start != size or not count or end > len(data):
            return
        payload = data[body : body + length]
        try:
            entries = split_bundle(payload, count, where="batch")
        except EvidenceError:
            return
        if sum(map(len, entries)) + 2 * count != length:
            return
        yield Batch(start=start, entries=tuple(entries), root=data[end - HASH_BYTES : end])
        offset, size = end, size + count
