"""The nouns of an agreement.

Every term carries its source (document, article, paragraph) and the date from which it holds. Limits stand here, in the
agreement; thresholds of detectors stand in the `reference.py` of the mechanism that uses them.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Self, TypeVar

from pydantic import Field, model_validator

from inspectorate.agreement.clauses import HiddenTraining, Parameters
from inspectorate.agreement.kinds import ClauseKind
from inspectorate.canonical import Identifier, Record, Text
from inspectorate.quantities import Positive, Time


class Source(Record):
    """Where a term stands."""

    document: Text
    article: Text | None = None
    paragraph: Text | None = None

    def __str__(self) -> str:
        return ", ".join(part for part in (self.document, self.article, self.paragraph) if part)


class _Term(Record):
    """What all terms have in common: a name, a source, and a time in which they hold."""

    id: Identifier
    source: Source
    holds_from: Time
    holds_until: Time | None = None
    proposed: bool = Field(default=False, description="an amendment that nobody has adopted yet")

    @model_validator(mode="after")
    def _holds_forward(self) -> Self:
        if self.holds_until is not None and self.holds_until <= self.holds_from:
            raise ValueError("holds_until must come after holds_from")
        return self

    def holds(self, at: datetime) -> bool:
        return self.holds_from <= at and (self.holds_until is None or at < self.holds_until)


_TermT = TypeVar("_TermT", bound=_Term)


class ThresholdKind(StrEnum):
    """Which kind of run a threshold speaks of."""

    TRAINING = "training"
    POST_TRAINING = "post-training"
    MONITORED = "monitored"


class Threshold(_Term):
    """The largest run of one kind that the agreement allows without more."""

    kind: ThresholdKind
    flop_max: Positive
    consequence: Text = Field(description="what follows for a run above it")


class Clause(_Term):
    """One promise that can be checked."""

    title: Text
    parameters: Parameters

    @property
    def kind(self) -> ClauseKind:
        return self.parameters.kind


class Clock(_Term):
    """A deadline: `event` starts it, and `duty` must be done within `within_s`."""

    event: Text
    duty: Text
    within_s: Positive
    calendar_months: Annotated[int, Field(ge=1, le=1200)] | None = Field(
        default=None,
        description="where the document counts months or years: these decide, and `within_s` is the shortest they can be",
    )
    not_before: bool = Field(default=False, description="the duty may be done then, and not earlier")

    @model_validator(mode="after")
    def _months_fit(self) -> Self:
        if self.calendar_months is not None and not 28 <= self.within_s / 86_400 / self.calendar_months <= 31:
            raise ValueError("within_s is not the time of its calendar_months")
        return self


class Utilisation(Record):
    """The highest utilisation with which a cheater is credited, and why."""

    max: Annotated[float, Field(gt=0, le=1)]
    source: Source


class Agreement(Record):
    """What was promised, in a form that a machine can check."""

    id: Identifier
    version: Annotated[int, Field(ge=1)]
    title: Text
    parties: tuple[Identifier, ...] = Field(min_length=1)
    false_accusation_rate: Annotated[float, Field(gt=0, lt=0.5)]
    """The chance, per review of a party that complies, of any alarm at all."""
    assurance_confidence: Annotated[float, Field(gt=0.5, lt=1)]
    """The confidence with which the largest hidden run is bounded."""
    counted_formats: tuple[Identifier, ...] = Field(min_length=1)
    """Number formats whose peak rates count; the highest decides ("whichever is higher")."""
    utilisation: Utilisation
    thresholds: tuple[Threshold, ...] = ()
    clauses: tuple[Clause, ...] = Field(min_length=1)
    clocks: tuple[Clock, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for kind, terms in (("threshold", self.thresholds), ("clause", self.clauses), ("clock", self.clocks)):
            _refuse_overlap(kind, terms)
        known = {threshold.id for threshold in self.thresholds}
        for clause in self.clauses:
            if isinstance(clause.parameters, HiddenTraining):
                unknown = set(clause.parameters.thresholds) - known
                if unknown:
                    raise ValueError(f"clause {clause.id} names unknown thresholds: {', '.join(sorted(unknown))}")
        return self

    def on(self, as_of: datetime, *, with_proposed: bool = False) -> Agreement:
        """The agreement as it stood at `as_of`: only the terms that held then.

        With `with_proposed`, an amendment that is proposed counts as adopted and replaces the term of its id.
        Raises `ValueError` if nothing held yet.
        """

        def held(terms: tuple[_TermT, ...]) -> tuple[_TermT, ...]:
            now = [term for term in terms if term.holds(as_of) and (with_proposed or not term.proposed)]
            replaced = {term.id for term in now if term.proposed}
            return tuple(term for term in now if term.proposed or term.id not in replaced)

        clauses = held(self.clauses)
        if not clauses:
            raise ValueError(f"no clause of {self.id} held on {as_of:%Y-%m-%d}")
        return self.model_copy(
            update={"thresholds": held(self.thresholds), "clauses": clauses, "clocks": held(self.clocks)}
        )

    def threshold(self, threshold_id: str) -> Threshold | None:
        return next((threshold for threshold in self.thresholds if threshold.id == threshold_id), None)


def _refuse_overlap(kind: str, terms: tuple[_Term, ...]) -> None:
    """One id may be used again for a later version or a proposal, but never for two of either that hold at one time."""
    versions: dict[tuple[str, bool], list[_Term]] = defaultdict(list)
    for term in terms:
        versions[term.id, term.proposed].append(term)
    for (name, _), alike in versions.items():
        for first, second in pairwise(sorted(alike, key=lambda t: t.holds_from)):
            if first.holds_until is None or second.holds_from < first.holds_until:
                raise ValueError(f"two versions of {kind} {name} hold at one time")
