"""The agreed form of an interview, as a record: what is said first, and what may be asked, in every language.

Rules:

- The canonical bytes of a `Form` are what the parties agree on; their digest is the form's name in an agreement.
- A form begins with rights: what the interviewee is told, and acknowledges, before the first question.
- Names are unique in the whole form. A question may see earlier questions only: those of its own repeat, and those outside of any.
- Every text stands in every language of the form. A form with a language half done is no form.
- A repeat has a bound, and holds no other repeat. It may be asked fewer times than its bound: the interviewee says when it is all.
- There are no answers set beforehand and no required answers: anybody may refuse any question, or not know.
- `bank` ties a question to a question bank (see `bank`): to clauses, and to what its answers say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from inspectorate.canonical import Identifier, Record, canonical_bytes, digest_of, parse_canonical
from inspectorate.errors import InputError
from inspectorate.mechanisms.interviews.forms.expressions import Expression, Name, Scope, Type, check_truth
from inspectorate.mechanisms.interviews.forms.reference import (
    CHOICES_MAX,
    EXTERNAL_LISTS,
    FORM_BYTES_MAX,
    GROUPS_DEPTH_MAX,
    LANGUAGE,
    LANGUAGES_MAX,
    LISTS_MAX,
    QUESTIONS_MAX,
    REPEAT_MAX,
    RIGHT_TO_LEFT,
    WORDS_MAX,
)

FORMAT: Final = "inspectorate-interview-form/v1"


def _language(text: str) -> str:
    if not LANGUAGE.match(text):
        raise ValueError("a language is written as in BCP 47: en, zh, pt-BR")
    return text


Language = Annotated[str, AfterValidator(_language)]
Words = Annotated[str, StringConstraints(min_length=1, max_length=WORDS_MAX, strip_whitespace=True)]
Label = Annotated[dict[Language, Words], Field(min_length=1, max_length=LANGUAGES_MAX)]
"""One text in several languages."""


class Kind(StrEnum):
    """What an answer may be."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    DATE = "date"
    TIME = "time"
    ONE = "select_one"
    MANY = "select_multiple"


TYPES = {
    Kind.TEXT: Type.TEXT,
    Kind.INTEGER: Type.NUMBER,
    Kind.DECIMAL: Type.NUMBER,
    Kind.DATE: Type.DATE,
    Kind.TIME: Type.TIME,
    Kind.ONE: Type.TEXT,
    Kind.MANY: Type.CHOICES,
}


class Choice(Record):
    """One choice of a list."""

    name: Identifier
    label: Label


class Right(Record):
    """One point that the interviewee is told, and acknowledges."""

    name: Name
    label: Label


class Note(Record):
    """Words between questions."""

    item: Literal["note"] = "note"
    name: Name
    label: Label
    relevant: Expression | None = None


class Question(Record):
    """One question."""

    item: Literal["question"] = "question"
    name: Name
    kind: Kind
    label: Label
    hint: Label | None = None
    choices: Identifier | None = Field(default=None, description="a list of the form, or one that the frame gives")
    relevant: Expression | None = None
    constraint: Expression | None = None
    constraint_message: Label | None = None
    bank: Identifier | None = Field(default=None, description="the question of the bank that this is")
    how_known: bool = Field(default=False, description="an answer says how the interviewee knows it")

    @model_validator(mode="after")
    def _choices_where_chosen(self) -> Self:
        if (self.choices is not None) != (self.kind in {Kind.ONE, Kind.MANY}):
            raise ValueError(f"{self.name}: questions with choices have a list of them, and no others")
        if self.constraint_message is not None and self.constraint is None:
            raise ValueError(f"{self.name}: a message of a constraint, and no constraint")
        return self


class Group(Record):
    """Items that belong together, and are asked or not together."""

    item: Literal["group"] = "group"
    name: Name
    label: Label | None = None
    relevant: Expression | None = None
    items: tuple[Item, ...] = Field(min_length=1, max_length=QUESTIONS_MAX)


class Repeat(Record):
    """Questions that are asked again for the next of several things."""

    item: Literal["repeat"] = "repeat"
    name: Name
    label: Label
    relevant: Expression | None = None
    times_max: Annotated[int, Field(ge=1, le=REPEAT_MAX)]
    items: tuple[Note | Question, ...] = Field(min_length=1, max_length=QUESTIONS_MAX)


Item = Annotated[Note | Question | Group | Repeat, Field(discriminator="item")]
Group.model_rebuild()


@dataclass(frozen=True, kw_only=True)
class Step:
    """A note or question in its order, with all conditions above it and its own."""

    item: Note | Question
    conditions: tuple[Expression, ...]
    groups: tuple[Group, ...] = ()
    repeat: Repeat | None = None

    @property
    def own(self) -> tuple[Expression, ...]:
        """Conditions that are asked within the repeat: the item's own."""
        return () if self.item.relevant is None else (self.item.relevant,)


class Form(Record):
    """An agreed form. See the rules of this module."""

    format: Literal["inspectorate-interview-form/v1"] = FORMAT
    id: Identifier
    version: Identifier
    title: Label
    languages: tuple[Language, ...] = Field(min_length=1, max_length=LANGUAGES_MAX)
    rights: tuple[Right, ...] = Field(min_length=1, max_length=64)
    lists: dict[Identifier, Annotated[tuple[Choice, ...], Field(min_length=1, max_length=CHOICES_MAX)]] = Field(
        default={}, max_length=LISTS_MAX
    )
    items: tuple[Item, ...] = Field(min_length=1, max_length=QUESTIONS_MAX)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        try:
            _check(self)
        except InputError as fault:
            raise ValueError(f"{fault.where}: {fault.problem}") from None
        return self

    @property
    def digest(self) -> str:
        """Of the canonical bytes: the agreed form."""
        return digest_of(self.canonical_bytes())

    @property
    def steps(self) -> tuple[Step, ...]:
        """Notes and questions in their order."""
        return tuple(_steps(self.items, (), ()))

    @property
    def questions(self) -> dict[str, Step]:
        """Questions by name, in their order."""
        return {step.item.name: step for step in self.steps if isinstance(step.item, Question)}

    @property
    def repeats(self) -> dict[str, Repeat]:
        return {step.repeat.name: step.repeat for step in self.steps if step.repeat is not None}


def direction(language: str) -> Literal["ltr", "rtl"]:
    """Which way a language runs."""
    return "rtl" if language.split("-")[0] in RIGHT_TO_LEFT else "ltr"


def read_form(data: bytes, *, where: str) -> Form:
    """A form from its canonical bytes, and from no other bytes. Raises `InputError` or `EvidenceError`."""
    if len(data) > FORM_BYTES_MAX:
        raise InputError(f"a form of {len(data)} bytes exceeds {FORM_BYTES_MAX}", where=where)
    return Form.parse(parse_canonical(data, where=where), where=where, error=InputError)


def _steps(items: tuple[Item, ...], above: tuple[Expression, ...], groups: tuple[Group, ...]) -> Iterator[Step]:
    for item in items:
        conditions = above if item.relevant is None else (*above, item.relevant)
        match item:
            case Note() | Question():
                yield Step(item=item, conditions=conditions, groups=groups)
            case Group():
                yield from _steps(item.items, conditions, (*groups, item))
            case Repeat():
                for inner in item.items:
                    own = conditions if inner.relevant is None else (*conditions, inner.relevant)
                    yield Step(item=inner, conditions=own, groups=groups, repeat=item)


# --- what shapes do not say --------------------------------------------------------------------------------------------


def _check(form: Form) -> None:
    if len(set(form.languages)) != len(form.languages):
        raise InputError("a language stands twice", where="languages")
    if len(canonical_bytes(form.model_dump(mode="json", exclude_none=True))) > FORM_BYTES_MAX:
        raise InputError(f"the form exceeds {FORM_BYTES_MAX} bytes", where="form")
    _names_once(form)
    for place, label in _labels(form):
        if set(label) != set(form.languages):
            lacking = sorted(set(form.languages) ^ set(label))
            raise InputError(f"must stand in exactly the form's languages: {', '.join(lacking)}", where=place)
    seen: dict[str, Type] = {}
    _see(form, form.items, seen, 1)
    if len(form.questions) > QUESTIONS_MAX:
        raise InputError(f"{len(form.questions)} questions exceed {QUESTIONS_MAX}", where="items")
    if not form.questions:
        raise InputError("asks nothing", where="items")


def _names_once(form: Form) -> None:
    names = [right.name for right in form.rights]
    names += [item.name for item in _all(form.items)]
    for name in names:
        if names.count(name) > 1:
            raise InputError("stands twice", where=name)
    for name, choices in form.lists.items():
        if name in EXTERNAL_LISTS:
            raise InputError("is the name of a list that the frame gives", where=name)
        if len({one.name for one in choices}) != len(choices):
            raise InputError("a choice stands twice", where=name)


def _all(items: tuple[Item, ...]) -> Iterator[Item]:
    for item in items:
        yield item
        if isinstance(item, Group | Repeat):
            yield from _all(item.items)


def _labels(form: Form) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Every text with its place."""
    yield "title", form.title
    for right in form.rights:
        yield right.name, right.label
    for name, choices in form.lists.items():
        for choice in choices:
            yield f"{name}.{choice.name}", choice.label
    for item in _all(form.items):
        if item.label is not None:
            yield item.name, item.label
        if isinstance(item, Question):
            if item.hint is not None:
                yield f"{item.name}.hint", item.hint
            if item.constraint_message is not None:
                yield f"{item.name}.constraint_message", item.constraint_message


def _see(form: Form, items: tuple[Item, ...], seen: dict[str, Type], deep: int) -> None:
    """Check conditions in the order of asking: each sees what came before."""
    if deep > GROUPS_DEPTH_MAX:
        raise InputError(f"groups nest deeper than {GROUPS_DEPTH_MAX}", where=items[0].name)
    for item in items:
        if item.relevant is not None:
            check_truth(item.relevant, Scope(answers=seen), where=f"{item.name}.relevant")
        match item:
            case Question():
                if item.choices is not None and item.choices not in form.lists and item.choices not in EXTERNAL_LISTS:
                    raise InputError(f"there is no list `{item.choices}`", where=item.name)
                kind = TYPES[item.kind]
                if item.constraint is not None:
                    scope = Scope(answers=seen, here=kind)
                    check_truth(item.constraint, scope, where=f"{item.name}.constraint")
                seen[item.name] = kind
            case Group():
                _see(form, item.items, seen, deep + 1)
            case Repeat():
                _see(form, item.items, dict(seen), deep + 1)
