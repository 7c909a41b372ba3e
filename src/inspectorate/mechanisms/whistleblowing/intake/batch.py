"""One batch on the disk: a file whose whole room is taken when it begins, and whose places are filled in random order.

    <number>.json      the header: what the blocks are bound to. Durable before the first block
    <number>.blocks    places of one size: zeros, or a block
    pending            which places the tick that is being written fills

Rules:

- The file has its full size from the start, so that its size says nothing, and a disk cannot become full in the middle of a batch.
- Which place a block goes to is drawn at random and kept in memory only: its place says nothing of when it came.
- A tick is in three steps, each durable before the next: name its places, write its blocks, answer. So after a crash a block that
  is not whole stands at a place that was named, and nobody was answered for it: it is set to zeros again. A block that is not whole
  anywhere else is damage, and is counted, never cleared away.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, StringConstraints

from inspectorate.canonical import Identifier, Record, parse_canonical
from inspectorate.errors import EvidenceError
from inspectorate.evidence.exchange import read_plain
from inspectorate.files import cannot_write, make_durable, replace_file
from inspectorate.mechanisms.whistleblowing.intake.disk import (
    allocate,
    read_blocks,
)
from inspectorate.mechanisms.whistleblowing.sealing.blocks import COMMITMENT_BYTES, Shape
from inspectorate.mechanisms.whistleblowing.sealing.offices import Offices
from inspectorate.quantities import Time

HEADER_BYTES_MAX = 64 * 1024
BATCHES_MAX = 10**9
NEXT = "next.blocks"
PENDING = "pending"
NONCE_BYTES = 16

_PAGE = 4096
_RANDOM = random.SystemRandom()


class BatchHeader(Record):
    """What all blocks of a batch are bound to, by its digest."""

    intake: Identifier
    batch: Annotated[int, Field(ge=1, le=BATCHES_MAX)]
    nonce: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    started_at: Time
    block_bytes: Annotated[int, Field(ge=_PAGE, le=1 << 20)]
    blocks_per_tick: Annotated[int, Field(ge=1, le=10_000)]
    slots: Annotated[int, Field(ge=1, le=10**8)]
    offices: Offices

    @property
    def shape(self) -> Shape:
        """Raises `ValueError` where blocks have no room for so many offices."""
        context = hashlib.sha256(self.canonical_bytes()).digest()
        return Shape(offices=self.offices, context=context, block_bytes=self.block_bytes)

    @classmethod
    def of(cls, data: bytes, *, where: str) -> Self:
        """Read a header from outside. Raises `EvidenceError`."""
        header = cls.parse(parse_canonical(data, where=where), where=where, error=EvidenceError)
        header.check(where=where)
        return header

    def check(self, *, where: str) -> None:
        """Raises `EvidenceError` where no block could have this shape."""
        try:
            _ = self.shape
        except ValueError as fault:
            raise EvidenceError(str(fault), where=where) from None


def name_of(batch: int) -> str:
    """The first part of the names of a batch's files: always as long."""
    return f"{batch:010d}"


class Batch:
    """The batch that is being written. Made by `begin` and `recover`."""

    def __init__(self, folder: Path, header: BatchHeader) -> None:
        """Not for callers."""
        self.folder = folder
        self.header = header
        self.shape = header.shape
        self.commitments: list[bytes] = []
        self.damaged = 0
        self._free: list[int] = []
        self._blocks = folder / f"{name_of(header.batch)}.blocks"
        self._pending = folder / PENDING

    @classmethod
    def begin(cls, folder: Path, header: BatchHeader) -> Self:
        """Begin a batch in the room that was taken for it. Raises `EnvironmentError_`."""
        batch = cls(folder, header)
        try:
            (folder / NEXT).rename(batch._blocks)
            make_durable(folder)
        except OSError as fault:
            raise cannot_write(batch._blocks, fault) from None
        replace_file(folder / f"{name_of(header.batch)}.json", header.canonical_bytes())
        batch._free = list(range(header.slots))
        _RANDOM.shuffle(batch._free)
        return batch

    @classmethod
    def recover(cls, folder: Path, number: int) -> Self:
        """Find a batch again after the process ended in any way. Raises `EvidenceError`, `EnvironmentError_`."""
        path = folder / f"{name_of(number)}.json"
        batch = cls(folder, BatchHeader.of(read_plain(path, HEADER_BYTES_MAX), where=str(path)))
        torn = batch._named()
        empty = bytes(batch.header.block_bytes)
        cut = []
        slot = -1
        for slot, block in enumerate(read_blocks(batch._blocks, batch.header.block_bytes)):
            if block == empty:
                batch._free.append(slot)
            elif batch.shape.is_whole(block):
                batch.commitments.append(block[-COMMITMENT_BYTES:])
            elif slot in torn:
                cut.append(slot)
            else:
                batch.damaged += 1
        if slot + 1 != batch.header.slots:
            raise EvidenceError(f"has {slot + 1} places, not {batch.header.slots}", where=str(batch._blocks))
        batch._write([(slot, empty) for slot in cut])
        batch._free += cut
        _RANDOM.shuffle(batch._free)
        return batch

    @property
    def number(self) -> int:
        return self.header.batch

    @property
    def room(self) -> int:
        """How many more blocks it takes."""
        return len(self._free)

    def add(self, blocks: Sequence[bytes]) -> None:
        """Write the blocks of one tick; durable on return. Raises `EnvironmentError_`, after which none of them counts."""
        slots = self._free[-len(blocks) :]
        if len(slots) != len(blocks):
            raise ValueError("the batch has no room left")
        self._name(slots)
        self._write(sorted(zip(slots, blocks, strict=True)))
        del self._free[-len(blocks) :]
        self.commitments += [block[-COMMITMENT_BYTES:] for block in blocks]

    def _write(self, placed: Sequence[tuple[int, bytes]]) -> None:
        with _opened(self._blocks) as descriptor:
            for slot, block in placed:
                _write_all(descriptor, block, slot * self.header.block_bytes)
            os.fdatasync(descriptor)

    def _name(self, slots: Sequence[int]) -> None:
        """Say durably which places the next blocks go to. The file always has the same size."""
        body = len(slots).to_bytes(4) + b"".join(slot.to_bytes(4) for slot in sorted(slots))
        data = self.number.to_bytes(8) + body
        data += hashlib.sha256(data).digest()
        size = -(-(8 + 4 + 4 * self.header.blocks_per_tick + 32) // _PAGE) * _PAGE
        with _opened(self._pending) as descriptor:
            _write_all(descriptor, data + bytes(size - len(data)), 0)
            os.fdatasync(descriptor)

    def _named(self) -> frozenset[int]:
        """The places that were named last; none where that did not become durable: then no block was written after it."""
        if not self._pending.exists():
            return frozenset()
        data = read_plain(self._pending, 1 << 20)
        count = int.from_bytes(data[8:12])
        end = 12 + 4 * count
        if data[end : end + 32] != hashlib.sha256(data[:end]).digest() or int.from_bytes(data[:8]) != self.number:
            return frozenset()
        return frozenset(int.from_bytes(data[at : at + 4]) for at in range(12, end, 4))


def prepare(folder: Path, size_bytes: int) -> bool:
    """Take room for the next batch, unless it is taken already. False where the disk has no such room."""
    path = folder / NEXT
    if path.exists() and path.stat().st_size == size_bytes:
        return True
    return allocate(path, size_bytes)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """A file to write into, made if it is not there."""
    descriptor = -1
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        yield descriptor
    except OSError as fault:
        raise cannot_write(path, fault) from None
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
