"""Blocks in one file: a batch as an office has it, or a report that its source sealed before handing it in.

    header    canonical JSON | new line                            only where a source sealed it
    blocks    one after the other

A source that can run this program seals a report to the agreed offices by itself, and hands in the file as an upload, on a stick
or by anybody: the host then sees nothing but its size, and that only as a power of two of blocks. Whoever cannot run it may use
plain `age` (or `rage`), which knows no quorum: sealed to office A, and the outcome again to office B, only both together open it
(`age -r A report.zip | age -r B > report.age`). With `-r A -r B` each of them opens it alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Annotated, Literal, Self

from pydantic import Field, StringConstraints

from inspectorate.canonical import Identifier, Record, parse_canonical
from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.mechanisms.whistleblowing.sealing.blocks import Sealer, Shape
from inspectorate.mechanisms.whistleblowing.sealing.offices import Offices, check_offices
from inspectorate.mechanisms.whistleblowing.sealing.phrases import Mailbox
from inspectorate.mechanisms.whistleblowing.sealing.stream import (
    FILES_MAX,
    REPORT_ID_BYTES,
    Cutter,
    FileHead,
    make_head,
)
from inspectorate.quantities import Period

BLOCK_BYTES = 65_536
HEADER_BYTES_MAX = 64 * 1024
READ_BYTES = 1 << 16
BLOCKS_MAX = 10**8


class FileHeader(Record):
    """What the blocks of a file are bound to."""

    kind: Literal["inspectorate-sealed-report"] = "inspectorate-sealed-report"
    intake: Identifier
    nonce: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    block_bytes: Annotated[int, Field(ge=4096, le=1 << 20)]
    offices: Offices

    @property
    def shape(self) -> Shape:
        """Raises `ValueError`."""
        context = hashlib.sha256(self.canonical_bytes()).digest()
        return Shape(offices=self.offices, context=context, block_bytes=self.block_bytes)


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """Blocks of one shape in a file, in an order that all offices have alike."""

    name: str
    intake: str
    shape: Shape
    count: int
    file: IO[bytes] = field(repr=False)
    start: int = 0
    period: Period | None = None
    """Of the batch; none of a report that its source sealed."""

    def block(self, place: int) -> bytes:
        """Raises `EvidenceError` where the block is not there, or is not whole."""
        data = os.pread(self.file.fileno(), self.shape.block_bytes, self.start + place * self.shape.block_bytes)
        if not self.shape.is_whole(data):
            raise EvidenceError("is not whole: it changed after it was collected", where=f"{self.name}, block {place}")
        return data

    def __iter__(self) -> Iterator[bytes]:
        return (self.block(place) for place in range(self.count))

    @classmethod
    def of_blocks(cls, path: Path, shape: Shape, intake: str, period: Period | None = None) -> Self:
        """A file of nothing but blocks. Raises `EvidenceError`."""
        return replace(cls._of(path, shape, intake, 0), period=period)

    @classmethod
    def of_source(cls, path: Path, agreed: Offices) -> Self:
        """A report that its source sealed to the agreed offices. Raises `EvidenceError`."""
        where = str(path)
        try:
            with path.open("rb") as file:
                line = file.readline(HEADER_BYTES_MAX)
        except OSError as fault:
            raise EvidenceError(f"cannot be read: {fault.strerror}", where=where) from None
        header = FileHeader.parse(parse_canonical(line[:-1], where=where), where=where, error=EvidenceError)
        check_offices(header.offices, agreed, where=where)
        try:
            shape = header.shape
        except ValueError as fault:
            raise EvidenceError(str(fault), where=where) from None
        return cls._of(path, shape, header.intake, len(line))

    @classmethod
    def _of(cls, path: Path, shape: Shape, intake: str, start: int) -> Self:
        try:
            file = path.open("rb")
        except OSError as fault:
            raise EvidenceError(f"cannot be read: {fault.strerror}", where=str(path)) from None
        count, rest = divmod(os.fstat(file.fileno()).st_size - start, shape.block_bytes)
        if rest or count > BLOCKS_MAX:
            file.close()
            raise EvidenceError("does not hold whole blocks", where=str(path))
        return cls(name=path.name, intake=intake, shape=shape, count=count, file=file, start=start)


@dataclass(frozen=True, kw_only=True)
class ToSeal:
    """A report that is to be sealed before it is handed in."""

    intake: str
    answers: dict[str, str]
    language: str
    mailbox: Mailbox | None
    files: Sequence[tuple[FileHead, Path]]


def seal_report(report: ToSeal, offices: Offices, out: Path) -> int:
    """Write a sealed report to a new file; its number of blocks, dummies included. Raises `InputError`, `EnvironmentError_`.

    Where anything fails no file is left: half a report would pass for a whole one until offices opened it.
    """
    if len(report.files) > FILES_MAX:
        raise InputError(
            f"{len(report.files)} files are more than {FILES_MAX}", remedy="seal the others as another report"
        )
    header = FileHeader(
        intake=report.intake, nonce=os.urandom(16).hex(), block_bytes=BLOCK_BYTES, offices=offices
    )  # fmt: skip
    sealer = Sealer(header.shape)
    count = 0
    try:
        with contextlib.ExitStack() as undo:
            descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            undo.callback(out.unlink)
            with os.fdopen(descriptor, "wb") as file:
                file.write(header.canonical_bytes() + b"\n")
                for part in _parts(report, header.shape.part_bytes):
                    file.write(sealer.seal(part))
                    count += 1
                while count & (count - 1):
                    file.write(sealer.seal())
                    count += 1
                file.flush()
                os.fsync(descriptor)
            undo.pop_all()
    except OSError as fault:
        raise EnvironmentError_(f"cannot be written: {fault.strerror}", where=str(out)) from None
    return count


def _parts(report: ToSeal, part_bytes: int) -> Iterable[bytes]:
    cutter = Cutter(os.urandom(REPORT_ID_BYTES), part_bytes)
    yield from cutter.head(make_head(report.mailbox, report.answers, report.language))
    for head, path in report.files:
        yield from cutter.file(head)
        try:
            with path.open("rb") as file:
                while data := file.read(READ_BYTES):
                    yield from cutter.data(data)
        except OSError as fault:
            raise InputError(f"cannot be read: {fault.strerror}", where=str(path)) from None
    yield from cutter.finish()
