"""The question bank: what may be asked at all, which clause it serves, who would know, and what an answer says.

Rules:

- Every question is tied to kinds of clause, to the strata whose roles would know, and to what its answers would contradict.
- What an answer says is data (`Says`): a quantity with its unit, the day of an event, yes or no, or whether somebody could know at
  all. `statements` turns answers into statements by it, and by nothing else: no wording is interpreted.
- `text` is the wording in English that was agreed; a form that words it otherwise is told so. Translations stand in forms.
- A question asks for no secret: `scope` looks for the subjects that are out of bounds.
- Every question names where it comes from.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from inspectorate.agreement import ClauseKind
from inspectorate.canonical import Identifier, Record, Text, digest_of
from inspectorate.errors import InputError
from inspectorate.evidence.heard import Activity
from inspectorate.keys import parse_yaml
from inspectorate.mechanisms.interviews.consistency.types import MAGNITUDE_MAX
from inspectorate.mechanisms.interviews.forms.types import Kind, Language

BANK_BYTES_MAX = 1 << 20
BANK_QUESTIONS_MAX = 500

Amount = Annotated[float, Field(ge=0, le=MAGNITUDE_MAX)]


class Quantity(Record):
    """A number of something, or a band of numbers."""

    says: Literal["quantity"]
    unit: Identifier
    bands: dict[Identifier, tuple[Amount, Amount]] = Field(
        default={}, max_length=64, description="of a choice: from and to; none: the answer is a number"
    )


class Event(Record):
    """The day on which something happened."""

    says: Literal["event"]


class YesNo(Record):
    """Whether it was so."""

    says: Literal["yes-no"]
    presence: bool = Field(default=False, description="somebody or something was there; otherwise something was done")
    yes: tuple[Identifier, ...] = Field(
        default=("yes",), min_length=1, max_length=32, description="choices that say yes"
    )
    no: tuple[Identifier, ...] = Field(default=("no",), min_length=1, max_length=32)


class CouldKnow(Record):
    """Whether the speaker was where other things could be known."""

    says: Literal["could-know"]
    of: tuple[Identifier, ...] = Field(min_length=1, max_length=64, description="questions of the bank")
    yes: tuple[Identifier, ...] = Field(default=("yes",), min_length=1, max_length=32)
    no: tuple[Identifier, ...] = Field(default=("no",), min_length=1, max_length=32)


class Place(Record):
    """Which pod the other answers of the same turn are about."""

    says: Literal["place"]


class Nothing(Record):
    """Nothing that is held against anything: it opens a subject, or asks how somebody is treated."""

    says: Literal["nothing"]


Says = Annotated[Quantity | Event | YesNo | CouldKnow | Place | Nothing, Field(discriminator="says")]


class BankQuestion(Record):
    """One question that may be asked."""

    id: Identifier
    text: Text = Field(description="the agreed wording in English")
    kind: Kind
    says: Says
    topic: Text | None = Field(default=None, description="what it is about, as a statement names it")
    by_pod: bool = Field(default=False, description="about one pod, which the same turn names")
    clauses: tuple[ClauseKind, ...] = Field(min_length=1, max_length=16)
    activity: Activity = Field(description="what a contradiction here would speak of")
    contradicts: Text = Field(description="what an answer could contradict")
    settled_by: Text = Field(description="what would settle it")
    strata: tuple[Identifier, ...] = Field(min_length=1, max_length=16, description="roles that would know")
    on_record: bool = Field(default=False, description="people may have read it off")
    sources: tuple[Text, ...] = Field(min_length=1, max_length=16)

    @model_validator(mode="after")
    def _kind_fits(self) -> Self:
        chosen = self.kind in {Kind.ONE, Kind.MANY}
        fits = {
            "quantity": chosen == bool(getattr(self.says, "bands", {}))
            and self.kind in {Kind.INTEGER, Kind.DECIMAL, Kind.ONE},
            "event": self.kind is Kind.DATE,
            "yes-no": self.kind is Kind.ONE,
            "could-know": self.kind is Kind.ONE,
            "place": self.kind is Kind.ONE,
            "nothing": True,
        }
        if not fits[self.says.says]:
            raise ValueError(f"{self.id}: an answer of the kind {self.kind.value} cannot say {self.says.says}")
        if (self.topic is not None) != (self.says.says in {"quantity", "event", "yes-no"}):
            raise ValueError(f"{self.id}: a topic stands where an answer says something, and nowhere else")
        return self


class Subject(Record):
    """Something that no interview may ask about, and words by which a question that does is found."""

    id: Identifier
    about: Text
    words: dict[Language, Annotated[tuple[Text, ...], Field(min_length=1, max_length=64)]] = Field(
        min_length=1, max_length=16
    )


class Bank(Record):
    """A question bank."""

    format: Literal["inspectorate-question-bank/v1"]
    id: Identifier
    version: Identifier
    strata: dict[Identifier, Text] = Field(min_length=1, max_length=64)
    out_of_scope: tuple[Subject, ...] = Field(min_length=1, max_length=64)
    questions: tuple[BankQuestion, ...] = Field(min_length=1, max_length=BANK_QUESTIONS_MAX)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len(self.by_id) != len(self.questions):
            raise ValueError("a question stands twice")
        for one in self.questions:
            if unknown := set(one.strata) - set(self.strata):
                raise ValueError(f"{one.id} names unknown strata: {', '.join(sorted(unknown))}")
            if isinstance(one.says, CouldKnow) and (unknown := set(one.says.of) - set(self.by_id)):
                raise ValueError(f"{one.id} names unknown questions: {', '.join(sorted(unknown))}")
        return self

    @property
    def by_id(self) -> dict[str, BankQuestion]:
        return {one.id: one for one in self.questions}

    @property
    def digest(self) -> str:
        return digest_of(self.canonical_bytes())


def read_bank(data: bytes, *, where: str) -> Bank:
    """A bank from YAML. Raises `InputError`."""
    return Bank.parse(parse_yaml(data, where=where, bytes_max=BANK_BYTES_MAX), where=where, error=InputError)


@cache
def shipped_bank() -> Bank:
    """The bank that this program ships."""
    return read_bank((files(__package__) / "shipped" / "bank.yaml").read_bytes(), where="shipped bank")
