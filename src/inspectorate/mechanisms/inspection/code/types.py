"""What a review of code consists of: pointers, what cannot be seen, and the review that holds both.

A pointer says where to look and why; it is no finding. Kinds are a closed list in four groups:

- parameters change: `optimiser`, `gradient`, `weight-write`, `trainer`, `adapter`
- parameters come in: `loading`, `initialisation`
- what runs is not what is read: `dynamic-code`, `monkey-patch`, `native-code`, `generated-code`, `hidden-start`, `data-with-code`
- something goes out or comes in: `network`, `distributed`, `process`, `checkpoint`, `secret`, `thread`
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from inspectorate.canonical import Digest, Identifier, Record, Text

Line = Annotated[int, Field(ge=0, le=10_000_000)]
"""From 1; 0 where the pointer is to a file as a whole."""
FileName = Annotated[str, Field(min_length=1, max_length=1024)]


class Kind(StrEnum):
    OPTIMISER = "optimiser"
    GRADIENT = "gradient"
    WEIGHT_WRITE = "weight-write"
    TRAINER = "trainer"
    ADAPTER = "adapter"
    LOADING = "loading"
    INITIALISATION = "initialisation"
    DYNAMIC_CODE = "dynamic-code"
    MONKEY_PATCH = "monkey-patch"
    NATIVE_CODE = "native-code"
    GENERATED_CODE = "generated-code"
    HIDDEN_START = "hidden-start"
    DATA_WITH_CODE = "data-with-code"
    NETWORK = "network"
    DISTRIBUTED = "distributed"
    PROCESS = "process"
    CHECKPOINT = "checkpoint"
    SECRET = "secret"  # noqa: S105 - a kind of pointer
    THREAD = "thread"


PARAMETERS_CHANGE = frozenset({Kind.OPTIMISER, Kind.GRADIENT, Kind.WEIGHT_WRITE, Kind.TRAINER, Kind.ADAPTER})
"""Kinds that say that parameters may change."""
UNREADABLE = frozenset(
    {
        Kind.DYNAMIC_CODE,
        Kind.NATIVE_CODE,
        Kind.GENERATED_CODE,
        Kind.DATA_WITH_CODE,
        Kind.HIDDEN_START,
        Kind.MONKEY_PATCH,
    }
)
"""Kinds that say that something runs which was not read."""


class Doubt(StrEnum):
    """How much a pointer asks of the person who decides."""

    MUST_ANSWER = "must-answer"
    """No approval without an answer to it."""
    LOOK = "look"
    """Usual in honest inference too; a place to look at."""
    NOTE = "note"
    """Context."""


class Reach(StrEnum):
    """Whether the place is reached from the declared entry point."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Pointer(Record):
    """One place to look at."""

    rule: Identifier
    kind: Kind
    doubt: Doubt
    file: FileName
    line: Line
    end_line: Line
    scope: Text = Field(description="the function or class around it; <module> where there is none")
    excerpt: str = Field(max_length=400)
    resolved: str = Field(default="", max_length=200, description="what a name was found to stand for")
    why: Text
    reachable: Reach = Reach.UNKNOWN
    key: Digest = Field(description="the same for the same text in the same scope, wherever its line moves")


class BlindSpot(StrEnum):
    """Why something was not seen. A closed list."""

    NATIVE = "native-code"
    UNPARSED = "not-parsed"
    DYNAMIC_NAME = "dynamic-name"
    GENERATED = "generated-code"
    DATA = "data-that-may-hold-code"
    DEPENDENCY = "dependency-outside-the-snapshot"
    OTHER_LANGUAGE = "other-language"
    LIMIT = "limit-of-the-analysis"
    METHOD = "limit-of-the-method"


class Unseen(Record):
    """One thing that the review could not see, with places where there are any."""

    reason: BlindSpot
    what: Text
    places: tuple[str, ...] = Field(default=(), max_length=200)
    count: int = Field(ge=1)


class Review(Record):
    """What the static review of one snapshot says."""

    snapshot: Digest
    code: Digest = Field(description="the same files as the enrolment of a workload digests them: names and contents")
    entry: Text
    files: int = Field(ge=1)
    python_files: int = Field(ge=0)
    lines: int = Field(ge=0)
    pointers: tuple[Pointer, ...] = Field(max_length=200_000)
    cannot_see: tuple[Unseen, ...] = Field(min_length=1)

    def must_answer(self) -> tuple[Pointer, ...]:
        """Pointers that an approval has to answer: those that the entry point cannot reach included."""
        return tuple(p for p in self.pointers if p.doubt is Doubt.MUST_ANSWER)


def pointer_key(rule: str, file: str, scope: str, excerpt: str, ordinal: int) -> str:
    """A name of a pointer that survives added lines above it."""
    text = "\0".join((rule, file, scope, " ".join(excerpt.split()), str(ordinal)))
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
