"""The payload of a segment, `watch`: JSON lines, each in its canonical form.

    head      camera, enrolment, rate, when it starts and ends
    frames    of ten seconds: when each frame was, which lamps of devices were on and which could be seen, the verifier's lamp
    unseen    from when to when some places could not be seen
    event     what was noticed, with scores, and the digest of a strip of frames around it

Times are whole milliseconds from the start of the segment. The video itself is named in the statement, by digest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator

from inspectorate.canonical import Digest, Identifier, Record, canonical_bytes, first_fault, parse_canonical
from inspectorate.errors import EvidenceError
from inspectorate.evidence.custody import CameraEvent, CameraWatched, Places
from inspectorate.evidence.envelope import VerifiedStatement
from inspectorate.evidence.subjects import subject_bytes
from inspectorate.mechanisms.custody.cameras.challenge import SAMPLES
from inspectorate.mechanisms.custody.cameras.reference import (
    EVENTS_MAX,
    LINE_BYTES_MAX,
    LINES_MAX,
    PAYLOAD_BYTES_MAX,
    RATE_MAX,
    RATE_MIN,
    SEGMENT_S_MAX,
)
from inspectorate.quantities import Period, Time

MS = 1000
Milliseconds = Annotated[int, Field(ge=0, le=round(SEGMENT_S_MAX * MS))]
FRAMES_A_LINE_MAX = 1000
BitsText = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{16})*$", max_length=16 * FRAMES_A_LINE_MAX)]
Level = Annotated[float, Field(allow_inf_nan=False, ge=-100, le=1000)]


class Head(Record):
    line: Literal["head"] = "head"
    version: Literal[1] = 1
    camera: Identifier
    enrolment: Digest
    rate: Annotated[float, Field(ge=RATE_MIN, le=RATE_MAX)]
    start: Time
    end: Time


class FramesLine(Record):
    """Frames of ten seconds."""

    line: Literal["frames"] = "frames"
    at_ms: Annotated[tuple[Milliseconds, ...], Field(min_length=1, max_length=FRAMES_A_LINE_MAX)]
    bits: BitsText = Field(description="16 hexadecimal digits a frame: lamps of devices that are on")
    visible: BitsText = Field(description="the same: lamps that nothing hides")
    lamp: Annotated[tuple[tuple[Level, ...], ...], Field(max_length=FRAMES_A_LINE_MAX)] = Field(
        default=(), description="of each frame: the verifier's lamp, and four parts of what it lights; empty: no lamp"
    )

    @model_validator(mode="after")
    def _equal_lengths(self) -> Self:
        count = len(self.at_ms)
        if len(self.bits) != 16 * count or len(self.visible) != 16 * count:
            raise ValueError("bits and visible have 16 digits for each frame")
        if self.lamp and (len(self.lamp) != count or any(len(one) != SAMPLES for one in self.lamp)):
            raise ValueError(f"lamp has {SAMPLES} numbers for each frame")
        if any(b <= a for a, b in zip(self.at_ms, self.at_ms[1:], strict=False)):
            raise ValueError("times of frames must increase")
        return self


class UnseenLine(Record):
    """A stretch in which some places could not be seen."""

    line: Literal["unseen"] = "unseen"
    places: Places = Field(min_length=1)
    from_ms: Milliseconds
    to_ms: Milliseconds

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.to_ms <= self.from_ms:
            raise ValueError("to_ms must come after from_ms")
        return self


class EventLine(Record):
    """Something that was noticed."""

    line: Literal["event"] = "event"
    event: CameraEvent
    places: Places = Field(description="none: all that the camera sees")
    from_ms: Milliseconds = Field(description="when its condition began, or the segment")
    noticed_ms: Milliseconds
    to_ms: Milliseconds | None = Field(default=None, description="none: it lasts beyond the segment")
    continued: bool = Field(description="it began in an earlier segment")
    score: Annotated[float, Field(allow_inf_nan=False)]
    threshold: Annotated[float, Field(allow_inf_nan=False)]
    clip: Digest | None = Field(default=None, description="of a strip of frames before and after (JPEG)")


Line = FramesLine | UnseenLine | EventLine
_KINDS: dict[str, type[Line]] = {"frames": FramesLine, "unseen": UnseenLine, "event": EventLine}


@dataclass(frozen=True, kw_only=True)
class Written:
    """A segment's payload, read."""

    head: Head
    frames: tuple[FramesLine, ...]
    unseen: tuple[UnseenLine, ...]
    events: tuple[EventLine, ...]

    @property
    def frame_count(self) -> int:
        return sum(len(one.at_ms) for one in self.frames)

    def at(self, ms: int) -> datetime:
        return self.head.start + timedelta(milliseconds=ms)

    def period(self, from_ms: int, to_ms: int) -> Period:
        return Period(start=self.at(from_ms), end=self.at(to_ms))

    def unseen_of(self, place: str) -> list[Period]:
        return [self.period(one.from_ms, one.to_ms) for one in self.unseen if place in one.places]

    def unseen_s(self) -> float:
        """Time in which some place could not be seen."""
        total, until = 0, -1
        for one in sorted(self.unseen, key=lambda line: line.from_ms):
            total += max(0, one.to_ms - max(one.from_ms, until))
            until = max(until, one.to_ms)
        return total / MS

    def event_counts(self) -> dict[CameraEvent, int]:
        found: dict[CameraEvent, int] = {}
        for one in self.events:
            found[one.event] = found.get(one.event, 0) + 1
        return found


def write(written: Written) -> bytes:
    """The one byte form."""
    lines: list[Record] = [written.head, *written.frames, *written.unseen, *written.events]
    return b"".join(canonical_bytes(one.model_dump(mode="json", exclude_none=True)) + b"\n" for one in lines)


def parse_written(data: bytes, *, where: str) -> Written:
    """Read a payload. Raises `EvidenceError`, naming the line."""
    if len(data) > PAYLOAD_BYTES_MAX:
        raise EvidenceError(f"is larger than {PAYLOAD_BYTES_MAX} bytes", where=where)
    if not data.endswith(b"\n"):
        raise EvidenceError("does not end with a line", where=where, remedy="it was cut off")
    lines = data[:-1].split(b"\n")
    if len(lines) > LINES_MAX:
        raise EvidenceError(f"has more than {LINES_MAX} lines", where=where)
    head = _parsed(lines[0], {"head": Head}, f"{where}: line 1")
    found: dict[str, list[Any]] = {name: [] for name in _KINDS}
    for number, line in enumerate(lines[1:], start=2):
        one = _parsed(line, _KINDS, f"{where}: line {number}")
        found[one.line].append(one)
    assert isinstance(head, Head)
    written = Written(
        head=head, frames=tuple(found["frames"]), unseen=tuple(found["unseen"]), events=tuple(found["event"])
    )
    _check(written, data, where)
    return written


def _parsed(line: bytes, kinds: Any, where: str) -> Any:
    if len(line) > LINE_BYTES_MAX:
        raise EvidenceError(f"is longer than {LINE_BYTES_MAX} bytes", where=where)
    value = parse_canonical(line, where=where)
    kind = kinds.get(value.get("line")) if isinstance(value, dict) and isinstance(value.get("line"), str) else None
    if kind is None:
        raise EvidenceError(f"is none of {', '.join(kinds)}", where=where)
    try:
        return kind.model_validate(value)
    except ValidationError as fault:
        raise EvidenceError(first_fault(fault), where=where) from None


def _check(written: Written, data: bytes, where: str) -> None:
    """What no line says by itself: order, and that all lies within the segment."""
    head = written.head
    length = (head.end - head.start) / timedelta(milliseconds=1)
    if not 0 < length <= SEGMENT_S_MAX * MS:
        raise EvidenceError(f"a segment lasts up to {SEGMENT_S_MAX:.0f} s", where=where)
    if len(written.events) > EVENTS_MAX:
        raise EvidenceError(f"has more than {EVENTS_MAX} events", where=where)
    last = -1
    for line in written.frames:
        if line.at_ms[0] <= last:
            raise EvidenceError("its frames are not in order of time", where=where)
        last = line.at_ms[-1]
    ends = [last, *(one.to_ms for one in written.unseen), *(one.noticed_ms for one in written.events)]
    if max(ends) > length + 1:
        raise EvidenceError("speaks of a time after its end", where=where)
    if write(written) != data:
        raise EvidenceError("its lines are not in their one order", where=where)


def written_of(statement: VerifiedStatement, payload: Callable[[str], bytes]) -> Written:
    """The payload of a `CameraWatched`, read and held against what the statement says. Raises `EvidenceError`."""
    said = statement.predicate
    assert isinstance(said, CameraWatched)
    where = f"segment {said.sequence} of {said.reporter}"
    written = parse_written(subject_bytes(statement, "watch", payload), where=where)
    head = written.head
    if (head.camera, head.start, head.end) != (said.reporter, said.period.start, said.period.end):
        raise EvidenceError("statement and payload name another camera or another time", where=where)
    pairs = (
        ("frames", said.frames, written.frame_count), ("unseen_s", round(said.unseen_s, 3), round(written.unseen_s(), 3)),
        ("events", dict(said.events), written.event_counts()),
    )  # fmt: skip
    for name, stated, counted in pairs:
        if stated != counted:
            raise EvidenceError(f"{name}: the statement says {stated}, the payload {counted}", where=where)
    named = {place for line in written.unseen for place in line.places}
    named |= {place for event in written.events for place in event.places}
    if odd := sorted(named - set(said.places)):
        raise EvidenceError(f"speaks of {odd[0]}, which the camera does not see", where=where)
    return written
