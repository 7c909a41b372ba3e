"""The record of an interview: lines that name one another by digest, sealed to the verifier's office; and who was heard.

Rules:

- A record is made of a checked capture, line by line: opened, each act, each answer, closed. Each line is canonical JSON and names
  the digest of the line before it. Reading one makes it again: what does not come out byte for byte was altered.
- Every record begins with a fresh salt, so that no digest in it, or of it, can be guessed from answers.
- A record is sealed (age) before it is written, padded to whole blocks, so that its size says little of what was said.
- An entry of the draw is heard, refused or absent, once. Until every drawn entry is one of them, a set of interviews is not closed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, Self

import pyrage
from pydantic import Field, model_validator

from inspectorate.canonical import Digest, Record, canonical_bytes, digest_of, parse_canonical
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence.heard import EntryNumber
from inspectorate.mechanisms.interviews.forms.capture import Capture, Frame, Minute
from inspectorate.mechanisms.interviews.forms.checking import check_capture
from inspectorate.mechanisms.interviews.forms.reference import CAPTURE_BYTES_MAX
from inspectorate.mechanisms.interviews.forms.types import Form
from inspectorate.quantities import Period

HELD_FORMAT: Final = "inspectorate-interviews-held/v1"
FIRST = "sha256:" + 64 * "0"
"""What the first line names as the line before it."""
BLOCK_BYTES = 16 << 10
RECORD_BYTES_MAX = 8 * CAPTURE_BYTES_MAX
LINES_MAX = 20_000
RECIPIENTS_MAX = 32
HELD_BYTES_MAX = 64 << 20

_CLOSING = ("ended", "outcome", "turns", "read_back")


def write_record(capture: Capture) -> bytes:
    """The lines of a checked capture."""
    data = capture.model_dump(mode="json", exclude_none=True)
    answers, acts = data.pop("answers"), data.pop("acts")
    closing = {name: data.pop(name) for name in _CLOSING if name in data}
    bodies: list[dict[str, Any]] = [{"line": "opened", **data}]
    bodies += [{"line": "act", **one} for one in acts]
    bodies += [{"line": "given", **one} for one in answers]
    bodies.append({"line": "closed", **closing})
    lines: list[bytes] = []
    previous = FIRST
    for body in bodies:
        line = canonical_bytes({"previous": previous, "body": body})
        previous = digest_of(line)
        lines.append(line + b"\n")
    return b"".join(lines)


def head_of(record: bytes) -> str:
    """The digest of the last line: through the chain it fixes all of them."""
    return digest_of(record.rstrip(b"\n").rpartition(b"\n")[2])


def read_record(data: bytes, form: Form, frame: Frame, *, where: str) -> Capture:
    """The capture that a record is of, checked again. Raises `EvidenceError`."""
    if len(data) > RECORD_BYTES_MAX or data.count(b"\n") > LINES_MAX:
        raise EvidenceError("a record is larger than any interview", where=where)
    found: dict[str, Any] = {"answers": [], "acts": []}
    for number, line in enumerate(data.splitlines(), start=1):
        entry = parse_canonical(line, where=f"{where}:{number}")
        body = entry.get("body") if isinstance(entry, dict) else None
        kind = body.pop("line", None) if isinstance(body, dict) else None
        if kind == "given":
            found["answers"].append(body)
        elif kind == "act":
            found["acts"].append(body)
        elif kind in {"opened", "closed"} and isinstance(body, dict):
            found |= body
        else:
            raise EvidenceError("is no line of a record", where=f"{where}:{number}")
    capture = Capture.parse(found, where=where, error=EvidenceError)
    if write_record(capture) != data:
        raise EvidenceError(
            "its lines do not follow from one another", where=where, remedy="it was altered after it was written"
        )
    check_capture(capture, form, frame, where=where)
    return capture


# --- sealing -----------------------------------------------------------------------------------------------------------


def seal(record: bytes, recipients: Sequence[str]) -> bytes:
    """The record for these age recipients and for nobody else. Raises `InputError`."""
    if not 1 <= len(recipients) <= RECIPIENTS_MAX:
        raise InputError(f"seal to 1 to {RECIPIENTS_MAX} recipients", where="recipients")
    try:
        parsed = [pyrage.x25519.Recipient.from_str(one) for one in recipients]
    except pyrage.RecipientError as fault:
        raise InputError(f"is no age recipient: {fault}", where="recipients", remedy="age1...") from None
    size = -(-len(record) // BLOCK_BYTES) * BLOCK_BYTES
    sealed: bytes = pyrage.encrypt(record.ljust(size, b" "), parsed)
    return sealed


def unseal(data: bytes, identities: Sequence[str], *, where: str) -> bytes:
    """What was sealed. Raises `EvidenceError` where none of the identities opens it, `InputError` where one is malformed."""
    if len(data) > 2 * RECORD_BYTES_MAX:
        raise EvidenceError("is larger than any record", where=where)
    try:
        parsed = [pyrage.x25519.Identity.from_str(one) for one in identities]
    except pyrage.IdentityError as fault:
        raise InputError(f"is no age identity: {fault}", where="identity", remedy="AGE-SECRET-KEY-1...") from None
    try:
        opened: bytes = pyrage.decrypt(data, parsed)
    except pyrage.DecryptError as fault:
        raise EvidenceError(f"does not open: {fault}", where=where) from None
    return opened.rstrip(b" ")


# --- who was heard -----------------------------------------------------------------------------------------------------


class Heard(Record):
    """What became of one drawn entry."""

    entry: EntryNumber
    outcome: Literal["heard", "refused", "absent"]
    stopped: bool = Field(
        default=False, description="heard in part: the interviewee stopped it, and confirmed what was said by then"
    )
    start: Minute
    end: Minute
    deviations: Annotated[int, Field(ge=0, le=10**6)] = 0
    sealed: Digest | None = Field(default=None, description="of the sealed record")
    head: Digest | None = Field(default=None, description="of the last line of the record")

    @model_validator(mode="after")
    def _record_of_those_who_came(self) -> Self:
        came = self.outcome != "absent"
        if came != (self.sealed is not None) or came != (self.head is not None):
            raise ValueError("whoever came has a record, and whoever was absent has none")
        if self.end < self.start:
            raise ValueError("ends before it starts")
        return self


class Held(Record):
    """Who was heard of those drawn: what an `InterviewsHeld` is made of."""

    format: Literal["inspectorate-interviews-held/v1"] = HELD_FORMAT
    form: Digest
    frame: Digest
    drawn: Digest
    outcomes: tuple[Heard, ...] = Field(default=(), max_length=100_000)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        entries = [one.entry for one in self.outcomes]
        if entries != sorted(set(entries)):
            raise ValueError("outcomes are sorted by entry, and an entry stands once")
        return self

    @classmethod
    def of(cls, frame: Frame) -> Self:
        """Nobody heard yet."""
        return cls(form=frame.form, frame=frame.digest, drawn=frame.drawn)

    def entries(self, outcome: Literal["heard", "refused", "absent"]) -> tuple[int, ...]:
        return tuple(one.entry for one in self.outcomes if one.outcome == outcome)

    def outstanding(self, frame: Frame) -> tuple[int, ...]:
        """Drawn entries of which it says nothing yet."""
        return tuple(sorted(set(frame.entries) - {one.entry for one in self.outcomes}))

    @property
    def deviations(self) -> int:
        return sum(one.deviations for one in self.outcomes)

    @property
    def period(self) -> Period | None:
        """From the first interview's start to the last one's end; none where nothing took any time."""
        if not self.outcomes:
            return None
        start, end = min(one.start for one in self.outcomes), max(one.end for one in self.outcomes)
        return Period(start=start, end=end) if end > start else None

    @property
    def records(self) -> bytes:
        """The subject `records` of an `InterviewsHeld`: the sealed records by digest."""
        return canonical_bytes(
            [{"entry": one.entry, "sealed": one.sealed} for one in self.outcomes if one.sealed is not None]
        )

    def with_outcome(self, outcome: Heard, frame: Frame) -> Held:
        """With one more. Raises `InputError` where the entry was not drawn, or has its outcome."""
        if self.frame != frame.digest:
            raise InputError("is of another frame", where="held")
        if outcome.entry not in frame.entries:
            raise InputError(f"entry {outcome.entry} was not drawn", where="held")
        if outcome.entry in {one.entry for one in self.outcomes}:
            raise InputError(f"entry {outcome.entry} has its outcome", where="held", remedy="an entry is heard once")
        outcomes = sorted((*self.outcomes, outcome), key=lambda one: one.entry)
        return self.model_copy(update={"outcomes": tuple(outcomes)})


def read_held(data: bytes, *, where: str) -> Held:
    """Who was heard, from canonical bytes. Raises `EvidenceError`."""
    if len(data) > HELD_BYTES_MAX:
        raise EvidenceError(f"{len(data)} bytes exceed {HELD_BYTES_MAX}", where=where)
    return Held.parse(parse_canonical(data, where=where), where=where, error=EvidenceError)


def outcome_of(capture: Capture, record: bytes, sealed: bytes) -> Heard:
    """What became of the entry of a capture."""
    return Heard(
        entry=capture.entry,
        outcome="refused" if capture.outcome == "refused" else "heard",
        stopped=capture.outcome == "stopped",
        start=capture.started,
        end=capture.ended,
        deviations=capture.deviations,
        sealed=digest_of(sealed),
        head=head_of(record),
    )
