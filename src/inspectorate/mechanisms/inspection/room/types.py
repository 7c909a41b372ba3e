"""What may leave a room, and the entries of its log.

Rules:

- A `Form` lists what one output may be: one word of a closed list, and counts within closed ranges. Every list holds `failed`: that
  a job did not end is an outcome like any other. Its bits are the logarithm of how many outcomes there are.
- Forms, budget and slot length are fixed when a session is opened, before any input is read.
- Entries are chained: each names the digest of the line before it. An entry is one line of canonical JSON.
- Bits of a session: of every output that was offered, shown or not; one for every objection, which is kept free; and of lateness,
  the logarithm of how many slots an output could have come in.
- The log leaves with the session, so its times say nothing that its words do not: they are edges of slots. An output is written
  down at the edge at which it was due, however soon its job ended.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from inspectorate.canonical import Digest, Identifier, Record
from inspectorate.evidence import Origin
from inspectorate.quantities import NonNegative, Positive, Time

FAILED = "failed"
WORDS_MAX = 64
COUNTS_MAX = 8
COUNT_MAX = 1_000_000
FORMS_MAX = 32
ENTRIES_MAX = 20_000
LOG_BYTES_MAX = 16 << 20
LINE_BYTES_MAX = 64 << 10
OUTPUT_BYTES = 1024
"""Every output leaves as so many bytes, padded."""
OBJECTION_BITS = 1.0
SLOT_ROUNDING = 1e-6
"""Edges are written to the microsecond."""
SLOT_S_MIN = 0.01

Base64 = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{1,200}={0,2}$")]
Count = Annotated[int, Field(ge=0, le=COUNT_MAX)]


class CountRange(Record):
    """A count, clipped to a closed range before it leaves."""

    name: Identifier
    least: Count
    most: Count
    score: bool = Field(default=False, description="whether it stands for a level of a score, not for things counted")

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.most <= self.least:
            raise ValueError("most must be above least")
        return self


class Form(Record):
    """What one output may be."""

    id: Identifier
    words: tuple[Identifier, ...] = Field(min_length=2, max_length=WORDS_MAX)
    counts: tuple[CountRange, ...] = Field(default=(), max_length=COUNTS_MAX)

    @model_validator(mode="after")
    def _closed(self) -> Self:
        if len(set(self.words)) != len(self.words) or FAILED not in self.words:
            raise ValueError(f"words must be distinct, and `{FAILED}` one of them")
        if len({one.name for one in self.counts}) != len(self.counts):
            raise ValueError("a count stands twice")
        return self

    @property
    def outcomes(self) -> int:
        """How many different outputs there can be."""
        return len(self.words) * math.prod(one.most - one.least + 1 for one in self.counts)

    @property
    def bits(self) -> float:
        return math.log2(self.outcomes)

    @property
    def kind(self) -> Literal["verdict", "verdict-and-count", "scores"]:
        if any(one.score for one in self.counts):
            return "scores"
        return "verdict-and-count" if self.counts else "verdict"


VERDICT = Form(id="verdict", words=("consistent", "inconclusive", "inconsistent", "invalid-evidence", FAILED))
"""What every command of this program says by its exit code."""


class Output(Record):
    """One output, in the terms of its form."""

    word: Identifier
    counts: tuple[Count, ...] = Field(default=(), max_length=COUNTS_MAX)

    def fits(self, form: Form) -> bool:
        """Whether the form lists it."""
        return (
            self.word in form.words
            and len(self.counts) == len(form.counts)
            and all(one.least <= value <= one.most for one, value in zip(form.counts, self.counts, strict=True))
        )

    def padded(self) -> bytes:
        """The bytes that leave: as many for every output."""
        return self.canonical_bytes().ljust(OUTPUT_BYTES, b" ")


class Opened(Record):
    """A session begins."""

    entry: Literal["opened"] = "opened"
    session: Identifier
    by: Identifier
    host: Identifier
    origin: Origin
    bits_max: Positive
    slot_s: Annotated[float, Field(ge=SLOT_S_MIN, le=86_400)]
    forms: tuple[Form, ...] = Field(min_length=1, max_length=FORMS_MAX)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len({form.id for form in self.forms}) != len(self.forms):
            raise ValueError("a form stands twice")
        return self

    def form(self, name: str) -> Form | None:
        return next((form for form in self.forms if form.id == name), None)


class InputRead(Record):
    """A file of the host was read where it lies."""

    entry: Literal["input"] = "input"
    name: Identifier
    digest: Digest


class JobStarted(Record):
    """A job runs. Its form is chosen before it starts."""

    entry: Literal["job"] = "job"
    job: Annotated[int, Field(ge=0, lt=ENTRIES_MAX)]
    name: Identifier
    form: Identifier
    inputs: tuple[Identifier, ...] = Field(default=(), max_length=1000)
    arguments: Digest | None = Field(default=None, description="of what it was asked")


class Offered(Record):
    """A job ended, and its output waits for the host. It is charged from now on, whatever becomes of it."""

    entry: Literal["offered"] = "offered"
    job: Annotated[int, Field(ge=0, lt=ENTRIES_MAX)]
    output: Output
    late_slots: Annotated[int, Field(ge=0, le=1_000_000)] = Field(description="after the one in which it was due")
    bits: NonNegative


class Refused(Record):
    """An output would exceed the budget. What it was is not written down."""

    entry: Literal["refused"] = "refused"
    job: Annotated[int, Field(ge=0, lt=ENTRIES_MAX)]
    bits: NonNegative


class HostAgreed(Record):
    """The host saw an output and signs it."""

    entry: Literal["agreed"] = "agreed"
    job: Annotated[int, Field(ge=0, lt=ENTRIES_MAX)]
    signature: Base64 = Field(description="by the host's key, over the digest of the line in which it was offered")


class HostObjected(Record):
    """The host saw an output and objects: it does not leave. That it objects does."""

    entry: Literal["objected"] = "objected"
    job: Annotated[int, Field(ge=0, lt=ENTRIES_MAX)]


class Released(Record):
    """An output left, at the edge of a slot."""

    entry: Literal["released"] = "released"
    job: Annotated[int, Field(ge=0, lt=ENTRIES_MAX)]
    slot: Annotated[int, Field(ge=1, lt=2**53)]


class Resumed(Record):
    """The session went on after it was cut off: some bytes of an unfinished line were struck."""

    entry: Literal["resumed"] = "resumed"
    struck_bytes: Annotated[int, Field(ge=1, le=LINE_BYTES_MAX)]


class Closed(Record):
    """A session ends. Nothing may follow."""

    entry: Literal["closed"] = "closed"
    bits_out: NonNegative
    inputs: Annotated[int, Field(ge=0, le=ENTRIES_MAX)]


Body = Annotated[
    Opened | InputRead | JobStarted | Offered | Refused | HostAgreed | HostObjected | Released | Resumed | Closed,
    Field(discriminator="entry"),
]


class Entry(Record):
    """One line of the log."""

    number: Annotated[int, Field(ge=0, lt=ENTRIES_MAX)]
    previous: Digest | None = Field(default=None, description="of the line before it; none for the first")
    at: Time
    body: Body


def offered_bits(form: Form, late_slots: int) -> float:
    """What an output of a form costs: which of its outcomes it is, and in which slot it could be."""
    return form.bits + math.log2(1 + late_slots)


def slot_of(opened_at: datetime, slot_s: float, at: datetime) -> int:
    """The slot in which a time lies; a time at an edge lies in the slot that begins there."""
    return max(0, math.floor((at - opened_at).total_seconds() / slot_s + SLOT_ROUNDING))


def edge_of(opened_at: datetime, slot_s: float, slot: int) -> datetime:
    """When a slot begins."""
    return opened_at + timedelta(seconds=slot * slot_s)


def due_slot(started: int) -> int:
    """The slot at whose edge an output is due: a whole slot after that in which its job began."""
    return started + 2
