"""A report as a stream of bytes, and the stream cut into parts of one size.

    part      kind (1: of a report) | report (16 random bytes) | number (4) | last (1) | length (4) | bytes, filled up with zeros
    stream    frames, each: kind (1) | length (4) | data

      H   canonical JSON: version, mailbox, language, answers            first, once
      F   canonical JSON: name and media type of a file
      D   bytes of the last file named
      E   SHA-256 of all that came before it                             last, once

A dummy is a part of nothing but zeros. A stream that does not end with E was cut short: its source was not answered, and may have
come again. Whoever reads one bounds every size: a report may come from anybody, and was perhaps not made by this program.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from inspectorate.canonical import Record, canonical_bytes, parse_canonical
from inspectorate.errors import EvidenceError, InputError
from inspectorate.mechanisms.whistleblowing.sealing.phrases import Mailbox

PART_HEAD_BYTES = 1 + 16 + 4 + 1 + 4
REPORT_ID_BYTES = 16
PARTS_MAX = 1 << 24
ANSWERS_MAX = 64
ANSWER_CHARS_MAX = 100_000
ANSWERS_BYTES_MAX = 400_000
"""Of all answers together; a page is no place for a book, and a file can be sent."""
FILES_MAX = 64
FRAME_BYTES_MAX = 1 << 20

_FRAME_HEAD_BYTES = 5
_PART = 1


class Head(Record):
    """What a report begins with. Nothing in it says when it was written."""

    version: Literal[1] = 1
    mailbox: Mailbox | None = Field(default=None, description="none: the source wants no answer")
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]
    answers: dict[
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")],
        Annotated[str, StringConstraints(max_length=ANSWER_CHARS_MAX)],
    ] = Field(max_length=ANSWERS_MAX)


class FileHead(Record):
    """What a file is said to be. A name may be a trap: it is never used as a path."""

    name: Annotated[str, StringConstraints(max_length=255)]
    media_type: Annotated[str, StringConstraints(max_length=127, pattern=r"^[ -~]*$")]


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of a report, as it stood in a block."""

    report: bytes
    number: int
    last: bool
    data: bytes


class Cutter:
    """Cuts a report into parts as it comes. Holds less than one part and one call's data."""

    def __init__(self, report: bytes, part_bytes: int) -> None:
        self._report = report
        self._room = part_bytes - PART_HEAD_BYTES
        self._waiting = bytearray()
        self._hash = hashlib.sha256()
        self._number = 0

    def head(self, head: Head) -> Iterator[bytes]:
        """Raises `InputError` where the answers are too long together."""
        data = head.canonical_bytes()
        if len(data) > ANSWERS_BYTES_MAX:
            raise InputError(f"answers of more than {ANSWERS_BYTES_MAX} bytes", remedy="send a file instead")
        return self._frame(b"H", data)

    def file(self, head: FileHead) -> Iterator[bytes]:
        return self._frame(b"F", head.canonical_bytes())

    def data(self, data: bytes | memoryview) -> Iterator[bytes]:
        for start in range(0, len(data), FRAME_BYTES_MAX):
            yield from self._frame(b"D", data[start : start + FRAME_BYTES_MAX])

    def finish(self) -> Iterator[bytes]:
        """The last part, which may be nearly empty."""
        yield from self._frame(b"E", self._hash.digest())
        yield self._part(bytes(self._waiting), last=True)
        self.wipe()

    def wipe(self) -> None:
        """Overwrite what waits. Copies that the interpreter made stay until their memory is used again."""
        self._waiting[:] = bytes(len(self._waiting))
        self._waiting.clear()

    def _frame(self, kind: bytes, data: bytes | memoryview) -> Iterator[bytes]:
        head = kind + len(data).to_bytes(4)
        self._hash.update(head)
        self._hash.update(data)
        self._waiting += head
        self._waiting += data
        while len(self._waiting) > self._room:
            yield self._part(bytes(self._waiting[: self._room]), last=False)
            del self._waiting[: self._room]

    def _part(self, data: bytes, *, last: bool) -> bytes:
        head = bytes([_PART]) + self._report + self._number.to_bytes(4) + bytes([last]) + len(data).to_bytes(4)
        self._number += 1
        return head + data


def read_part(opened: bytes, *, where: str) -> Part | None:
    """The part that was in a block; none of a dummy. Raises `EvidenceError`."""
    if not any(opened):
        return None
    length = int.from_bytes(opened[22:26])
    part = Part(
        report=opened[1:17], number=int.from_bytes(opened[17:21]), last=opened[21] == 1,
        data=opened[PART_HEAD_BYTES : PART_HEAD_BYTES + length],
    )  # fmt: skip
    sound = opened[0] == _PART and opened[21] <= 1 and len(part.data) == length and part.number < PARTS_MAX
    if not sound or any(opened[PART_HEAD_BYTES + length :]):
        raise EvidenceError("holds neither a part of a report nor nothing", where=where)
    return part


@dataclass(frozen=True)
class Data:
    """Bytes of the file that was named last."""

    data: bytes


@dataclass(frozen=True)
class End:
    """The report is whole."""


class Reader:
    """Reads a stream part by part. Holds less than one frame."""

    def __init__(self, *, where: str) -> None:
        self._where = where
        self._waiting = bytearray()
        self._hash = hashlib.sha256()
        self._begun = False
        self._in_file = False
        self._files = 0
        self.ended = False

    def feed(self, data: bytes) -> Iterator[Head | FileHead | Data | End]:
        """What the next bytes bring. Raises `EvidenceError` on anything that is no report."""
        self._waiting += data
        while len(self._waiting) >= _FRAME_HEAD_BYTES:
            length = int.from_bytes(self._waiting[1:5])
            if length > FRAME_BYTES_MAX:
                raise self._fault(f"a frame of {length} bytes exceeds {FRAME_BYTES_MAX}")
            if len(self._waiting) < _FRAME_HEAD_BYTES + length:
                return
            frame = bytes(self._waiting[: _FRAME_HEAD_BYTES + length])
            del self._waiting[: _FRAME_HEAD_BYTES + length]
            yield self._frame(frame)

    def _frame(self, frame: bytes) -> Head | FileHead | Data | End:
        kind, data = frame[:1], frame[_FRAME_HEAD_BYTES:]
        if self.ended or (kind == b"H") is self._begun:
            raise self._fault("frames are out of order")
        before = self._hash.digest()
        self._hash.update(frame)
        if kind == b"H":
            self._begun = True
            return Head.parse(parse_canonical(data, where=self._where), where=self._where, error=EvidenceError)
        if kind == b"F":
            self._files += 1
            self._in_file = True
            if self._files > FILES_MAX:
                raise self._fault(f"more than {FILES_MAX} files")
            return FileHead.parse(parse_canonical(data, where=self._where), where=self._where, error=EvidenceError)
        if kind == b"D" and self._in_file:
            return Data(data)
        if kind == b"E" and data == before:
            self.ended = True
            return End()
        raise self._fault("a frame is of no known kind, or the end does not fit what came before it")

    def _fault(self, problem: str) -> EvidenceError:
        return EvidenceError(f"is no report: {problem}", where=self._where)


def make_head(mailbox: Mailbox | None, answers: Mapping[str, str], language: str) -> Head:
    """The head of a new report. Raises `InputError` on answers that no head can carry."""
    value = {"mailbox": mailbox and mailbox.model_dump(mode="json"), "language": language, "answers": dict(answers)}
    head = Head.parse(value, where="the report", error=InputError)
    try:
        size = len(canonical_bytes(head.model_dump(mode="json", exclude_none=True)))
    except (ValueError, UnicodeError):
        raise InputError("an answer holds characters that are none", where="the report") from None
    if size > ANSWERS_BYTES_MAX:
        raise InputError(f"answers of more than {ANSWERS_BYTES_MAX} bytes", remedy="send a file instead")
    return head
