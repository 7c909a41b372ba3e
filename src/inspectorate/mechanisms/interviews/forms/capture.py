"""What an interview is about, and what the page hands over after it.

A `Frame` is fixed before an interview: the form, the draw, the time and the pods that are asked about. A `Capture` is what the page
exports; `checking` holds it against form and frame.

Rules:

- No time of a single answer is kept, and no earlier version of a corrected one: nobody reads hesitation or slips of the tongue.
- Something asked or said outside the form is a deviation: when, by whom, of which kind. Its words stand only where the interviewee
  wants them to.
- Whoever refuses, or stops and wants nothing kept, leaves no answer.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, StrictFloat, StrictInt, StringConstraints, model_validator

from inspectorate.canonical import Digest, Hex, Identifier, Record, digest_of, parse_canonical
from inspectorate.errors import InputError
from inspectorate.evidence.heard import EntryNumber
from inspectorate.mechanisms.interviews.consistency.types import Known
from inspectorate.mechanisms.interviews.forms.expressions import Name
from inspectorate.mechanisms.interviews.forms.reference import (
    ACTS_MAX,
    ANSWER_TEXT_MAX,
    NUMBER_MAX,
    PEOPLE_PRESENT_MAX,
    PODS_MAX,
    QUESTIONS_MAX,
    REPEAT_MAX,
)
from inspectorate.mechanisms.interviews.forms.types import Language
from inspectorate.quantities import NonNegative, Period, Time

FRAME_FORMAT: Final = "inspectorate-interview-frame/v1"
CAPTURE_FORMAT: Final = "inspectorate-interview-capture/v1"
FRAME_BYTES_MAX = 2 << 20


def _whole_minute(value: datetime) -> datetime:
    if value.second or value.microsecond:
        raise ValueError("is written to the minute")
    return value


Minute = Annotated[Time, AfterValidator(_whole_minute)]
ShortText = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
LongText = Annotated[str, StringConstraints(min_length=1, max_length=ANSWER_TEXT_MAX)]


class Frame(Record):
    """What an interview is about, fixed before it."""

    format: Literal["inspectorate-interview-frame/v1"] = FRAME_FORMAT
    form: Digest = Field(description="of the agreed form")
    drawn: Digest = Field(description="digest of the envelope of the `IntervieweesDrawn`")
    entries: tuple[EntryNumber, ...] = Field(min_length=1, max_length=100_000, description="those drawn")
    period: Period = Field(description="the time that is asked about")
    site: ShortText
    pods: tuple[Identifier, ...] = Field(min_length=1, max_length=PODS_MAX, description="those that are asked about")
    observers: bool = Field(description="whether the agreement lets the home state observe")

    @model_validator(mode="after")
    def _once(self) -> Self:
        if list(self.entries) != sorted(set(self.entries)) or len(set(self.pods)) != len(self.pods):
            raise ValueError("entries are sorted, and an entry or a pod stands once")
        return self

    @property
    def digest(self) -> str:
        return digest_of(self.canonical_bytes())


def read_frame(data: bytes, *, where: str) -> Frame:
    """A frame from its canonical bytes. Raises `InputError` or `EvidenceError`."""
    if len(data) > FRAME_BYTES_MAX:
        raise InputError(f"a frame of {len(data)} bytes exceeds {FRAME_BYTES_MAX}", where=where)
    return Frame.parse(parse_canonical(data, where=where), where=where, error=InputError)


class Capacity(StrEnum):
    """As what somebody is in the room."""

    INTERVIEWER = "interviewer"
    INTERPRETER = "interpreter"
    HOME_STATE = "home-state-observer"
    COUNSEL = "counsel"
    SUPPORT = "support-person"
    OTHER = "other"


class Present(Record):
    """Somebody in the room beside the interviewee, by a name that the verifier gave them."""

    capacity: Capacity
    name: Identifier


class Speaker(StrEnum):
    """Who departed from the form."""

    INTERVIEWER = "interviewer"
    INTERVIEWEE = "interviewee"
    INTERPRETER = "interpreter"
    OBSERVER = "observer"
    OTHER = "other"


class Departure(StrEnum):
    """What kind of departure it was. The kind says nothing of what was asked or said."""

    ASKED_OUTSIDE = "asked-outside"
    """A question that is not in the form."""
    ASKED_OTHERWISE = "asked-otherwise"
    """A question of the form in other words."""
    VOLUNTEERED = "volunteered"
    """Something that nobody had asked for."""
    SECRET = "secret"  # noqa: S105 - a kind of departure
    """Something that an interview must not hear; it was stopped."""
    PRESSED = "pressed"
    """Somebody was urged to answer."""
    SPOKEN_FOR = "spoken-for"
    """Somebody answered in the interviewee's place, or signed to them."""
    OTHER = "other"


class Break(Record):
    """The interview was interrupted, and went on."""

    act: Literal["break"] = "break"
    start: Minute
    end: Minute


class Deviation(Record):
    """Something was asked or said outside the form."""

    act: Literal["deviation"] = "deviation"
    at: Minute
    by: Speaker
    kind: Departure
    words: LongText | None = Field(default=None, description="only where the interviewee wants it on record")


class Moved(Record):
    """Somebody came in or left."""

    act: Literal["came", "left"]
    at: Minute
    who: Present


Act = Annotated[Break | Deviation | Moved, Field(discriminator="act")]


class Status(StrEnum):
    """What became of a question."""

    ANSWERED = "answered"
    UNKNOWN = "unknown"
    """The interviewee does not know, or does not remember."""
    COULD_NOT_KNOW = "could-not-know"
    """The interviewee was not where it could be known."""
    DECLINED = "declined"
    NOT_ASKED = "not-asked"
    """The interview was stopped before."""


Written = Annotated[str, Field(max_length=ANSWER_TEXT_MAX)]
Number = Annotated[StrictInt | StrictFloat, Field(ge=-NUMBER_MAX, le=NUMBER_MAX)]


class Given(Record):
    """What became of one question."""

    question: Name
    turn: Annotated[int, Field(ge=0, lt=REPEAT_MAX)] | None = Field(default=None, description="of its repeat, from 0")
    status: Status
    value: Number | Written | Annotated[tuple[Identifier, ...], Field(max_length=200)] | None = None
    known: Known | None = Field(default=None, description="how the interviewee knows it, where the form asks")
    give_or_take: NonNegative | None = Field(default=None, description="of a number, in its unit; of a day, in days")

    @model_validator(mode="after")
    def _only_answers_have_values(self) -> Self:
        answered = self.status is Status.ANSWERED
        if answered != (self.value is not None) or (not answered and (self.known or self.give_or_take is not None)):
            raise ValueError(f"{self.question}: a value stands where there is an answer, and nowhere else")
        if self.known is Known.COULD_NOT_SEE:
            raise ValueError(f"{self.question}: what could not be seen has the status could-not-know")
        return self


class ReadBack(Record):
    """The interviewee saw or heard all answers and confirmed them."""

    at: Minute
    how: Literal["read", "heard"]


class Capture(Record):
    """What the page exports after one interview."""

    format: Literal["inspectorate-interview-capture/v1"] = CAPTURE_FORMAT
    salt: Hex = Field(description="fresh, so that no digest of an interview says anything of it")
    form: Digest
    frame: Digest
    entry: EntryNumber
    language: Language
    started: Minute
    ended: Minute
    present: tuple[Present, ...] = Field(min_length=1, max_length=PEOPLE_PRESENT_MAX)
    accommodation: bool = Field(description="whether something was arranged that the interviewee had asked for")
    rights: tuple[Name, ...] = Field(max_length=64, description="points acknowledged, in order")
    rights_at: Minute
    outcome: Literal["heard", "stopped", "refused"]
    turns: dict[Name, Annotated[int, Field(ge=0, le=REPEAT_MAX)]] = Field(default={}, max_length=64)
    answers: tuple[Given, ...] = Field(default=(), max_length=QUESTIONS_MAX * REPEAT_MAX)
    acts: tuple[Act, ...] = Field(default=(), max_length=ACTS_MAX)
    read_back: ReadBack | None = None

    @property
    def deviations(self) -> int:
        return sum(isinstance(act, Deviation) for act in self.acts)

    @property
    def by_place(self) -> dict[tuple[str, int | None], Given]:
        return {(one.question, one.turn): one for one in self.answers}
