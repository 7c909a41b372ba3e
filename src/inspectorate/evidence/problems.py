"""The closed list of what can be wrong with evidence.

A problem names what it concerns, says what was found, and is carried through to the report. Evidence with a problem
supports nothing: the cells that would have rested on it are treated as if it did not exist.
"""

from __future__ import annotations

from enum import StrEnum

from inspectorate.canonical import Identifier, Record, Text
from inspectorate.errors import EvidenceError
from inspectorate.quantities import Period


class ProblemKind(StrEnum):
    MALFORMED = "malformed"
    """It cannot be parsed, or not in its one canonical form."""
    WRONG_KEY = "wrong-key"
    """Signed by no key that the reviewer trusts for this, or not signed at all."""
    WRONG_DIGEST = "wrong-digest"
    """A payload or a file is not the one that was signed for."""
    TRUNCATED = "truncated"
    """Shorter than signed for, or a stream that was never closed."""
    MISSING = "missing"
    """Named or numbered, but not there."""
    DUPLICATED = "duplicated"
    """The same statement twice."""
    FORKED = "forked"
    """Two different statements claim one place in a stream."""
    CLONED = "cloned"
    """The same content under two sensors or two times."""
    OUT_OF_PERIOD = "out-of-period"
    """It speaks of another time than the declaration, or its key was not valid then."""
    UNDECLARED = "undeclared"
    """From a sensor that the declaration does not name."""
    NOT_LOGGED = "not-logged"
    """No valid proof that it stands in a trusted ledger."""
    WITHHELD = "withheld"
    """The ledger holds entries that the bundle does not carry."""
    UNREADABLE = "unreadable"
    """Authentic, but its content cannot be decoded in full."""


INVALIDATING = frozenset(
    {
        ProblemKind.MALFORMED,
        ProblemKind.WRONG_KEY,
        ProblemKind.WRONG_DIGEST,
        ProblemKind.FORKED,
        ProblemKind.CLONED,
        ProblemKind.NOT_LOGGED,
    }
)
"""Problems that somebody made: evidence that cannot be trusted, as against evidence that is not there."""

INCOMPLETE = frozenset(
    {
        ProblemKind.TRUNCATED,
        ProblemKind.MISSING,
        ProblemKind.UNDECLARED,
        ProblemKind.WITHHELD,
        ProblemKind.UNREADABLE,
    }
)
"""Problems by which something of the period was not looked at, whatever it would have said. What merely came twice, or speaks
of another time, is neither."""


class Problem(Record):
    """One thing that is wrong with one piece of evidence."""

    kind: ProblemKind
    subject: Text
    detail: Text
    sensor: Identifier | None = None
    period: Period | None = None

    def __str__(self) -> str:
        return f"{self.kind.value}: {self.subject}: {self.detail}"


class RejectedEvidence(EvidenceError):
    """Evidence that cannot be used, with the kind of problem."""

    def __init__(self, kind: ProblemKind, problem: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(problem, where=where, remedy=remedy)
        self.kind = kind

    def as_problem(self, subject: str) -> Problem:
        return Problem(kind=self.kind, subject=subject, detail=self.problem)
