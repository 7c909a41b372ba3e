"""The fields of the forms: names, bounds, closed lists; and the reading of what a browser sent, which is trusted in nothing.

Every answer is free to be left out; a report needs one of them, or a file. Names of fields are stable: offices read them in what
they open. Fields stand in the order in which browsers send them, and files come last, so that a server knows all answers before
the first byte of a file.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from pydantic import Field as Bound

from inspectorate.canonical import Record
from inspectorate.evidence.heard import Activity


class FieldKind(StrEnum):
    LINE = "line"
    TEXT = "text"
    ONE = "one"
    """One of a closed list."""
    SEVERAL = "several"
    """Any of a closed list, each once; read as one text with commas."""


class Circle(StrEnum):
    """How many people could know what a source reports: offices must know before they use it."""

    ALONE = "alone"
    FEW = "few"
    SOME = "some"
    MANY = "many"
    UNKNOWN = "unknown"


class Danger(StrEnum):
    """How things stand with the source and those who are close."""

    NONE = "none"
    FEAR = "fear"
    PUNISHED = "punished"
    NOW = "now"


class Field(Record):
    """One field of a form."""

    name: str
    kind: FieldKind
    chars_max: int = Bound(ge=1)
    choices: tuple[str, ...] = ()

    @property
    def bytes_max(self) -> int:
        """No honest value is longer, in UTF-8 and with line ends as browsers send them."""
        return 4 * self.chars_max


def _line(name: str, chars_max: int) -> Field:
    return Field(name=name, kind=FieldKind.LINE, chars_max=chars_max)


def _text(name: str, chars_max: int) -> Field:
    return Field(name=name, kind=FieldKind.TEXT, chars_max=chars_max)


def _one(name: str, choices: Iterable[str]) -> Field:
    return Field(name=name, kind=FieldKind.ONE, chars_max=64, choices=tuple(choices))


PHRASE = "phrase"
FILES = "files"
"""Name of the file input of both forms."""

REPORT_FIELDS: tuple[Field, ...] = (
    Field(name="kind", kind=FieldKind.SEVERAL, chars_max=64, choices=tuple(Activity)),
    _line("place", 500),
    _line("when", 500),
    _text("seen", 8000),
    _text("view", 4000),
    _text("unseen", 4000),
    _text("check", 4000),
    _one("circle", Circle),
    _one("danger", Danger),
    _text("avoid", 4000),
)
RETURN_FIELDS: tuple[Field, ...] = (
    _line(PHRASE, 400),
    _line("part", 4),
)
FOLLOW_FIELDS: tuple[Field, ...] = (
    _line(PHRASE, 400),
    _text("more", 8000),
)


class Trouble(StrEnum):
    """Why a request came to nothing, as far as a source is told; a closed list."""

    EMPTY = "empty"
    """A report without any answer and without a file."""
    TOO_LONG = "too-long"
    """A text field is longer than it may be."""
    TOO_LARGE = "too-large"
    """A file, or all of them together."""
    TOO_MANY = "too-many"
    """Files."""
    UNREADABLE = "unreadable"
    """No form that these pages could have sent."""
    BUSY = "busy"
    """The intake takes no more just now."""
    SLOW = "slow"
    """The request took longer than it may."""
    NOWHERE = "nowhere"
    """There is no such page."""
    FAILED = "failed"
    """The intake could not store it."""


class FormTrouble(Exception):
    """What was sent is not one of our forms filled in within its bounds."""

    def __init__(self, trouble: Trouble, field: str = "") -> None:
        super().__init__(f"{trouble}{f' in {field}' if field else ''}")
        self.trouble = trouble
        self.field = field


def read_form(fields: Sequence[Field], sent: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The answers in what a browser sent, in the order of the form and without those that are empty.

    Raises `FormTrouble`: for a name that is no field, a field that came twice, a value that is too long or not in its list.
    """
    by_name = {field.name: field for field in fields}
    for name in sent:
        if name not in by_name:
            raise FormTrouble(Trouble.UNREADABLE, name[:64])
    read = {field.name: _read(field, sent[field.name]) for field in fields if sent.get(field.name)}
    return {name: answer for name, answer in read.items() if answer}


def _read(field: Field, values: Sequence[str]) -> str:
    if field.kind is FieldKind.SEVERAL:
        if len(set(values)) != len(values):
            raise FormTrouble(Trouble.UNREADABLE, field.name)
        return ",".join(choice for choice in _chosen(field, values))
    if len(values) != 1:
        raise FormTrouble(Trouble.UNREADABLE, field.name)
    if field.kind is FieldKind.ONE:
        return "".join(_chosen(field, [value for value in values if value]))
    text = _plain(values[0], lines=field.kind is FieldKind.TEXT)
    if len(text) > field.chars_max:
        raise FormTrouble(Trouble.TOO_LONG, field.name)
    return text.strip()


def _chosen(field: Field, values: Sequence[str]) -> list[str]:
    if not set(values) <= set(field.choices):
        raise FormTrouble(Trouble.UNREADABLE, field.name)
    return [choice for choice in field.choices if choice in values]


def _plain(text: str, *, lines: bool) -> str:
    """With plain line ends and without control characters, lone surrogates or marks that turn the direction of what follows."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    kept = (c for c in text if c in "\n\t" or (unicodedata.category(c) not in {"Cc", "Cs"} and c not in _TURNING))
    text = "".join(kept)
    return text if lines else " ".join(text.split())


_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Unicode directional embeddings, overrides and isolates: they can make a text look like another (Unicode UAX 9, section 2)."""
