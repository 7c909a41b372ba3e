"""Predicates of human sources: what people report and answer, how it was asked for, and what follows.

Nothing that anybody said stands in a statement: statements hold what all parties may see (that somebody was heard, what a lead is
about), and what was said is their sealed subject. No statement carries a figure for how far a source is to be believed.

In the order in which they are made, for interviews:

1. `RandomnessPromised` (see `inspected`): the verifier fixes its secret by digest.
2. `RosterCommitted`: the prover fixes who works there, person by person, under pseudonyms, each by a salted digest.
3. `IntervieweesDrawn`: the secret is revealed; with the roster it draws whom to hear. Nobody could choose.
4. `RosterOpened`: the prover says which person each drawn entry is.
5. `InterviewsHeld`: whom the interviewers heard, who refused, who did not come.
6. `AnswersChecked`: the answers were held against one another, the declaration and machine evidence.

And for both: `LeadRaised`, `LeadClosed`, `InspectionRequested`; for whistleblowers `IntakeCollected` and `VisitsHeld`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from inspectorate.canonical import Digest, Identifier
from inspectorate.evidence.predicate import Inspection, Report
from inspectorate.quantities import Period, Positive, Time

PEOPLE_MAX = 100_000
"""Entries of one roster."""
STRATA_MAX = 64

EntryNumber = Annotated[int, Field(ge=0, lt=PEOPLE_MAX)]
Entries = Annotated[tuple[EntryNumber, ...], Field(max_length=PEOPLE_MAX)]


class HumanSource(StrEnum):
    """How something came to be heard."""

    WHISTLEBLOWER = "whistleblower"
    """Somebody came by themselves."""
    INTERVIEW = "interview"
    """Somebody was drawn, and asked."""


class Activity(StrEnum):
    """What is said to have happened, as far as an agreement cares: a closed list, so that a lead holds no words of anybody."""

    TRAINING = "training"
    """A model was trained that was not declared, or for longer, or larger."""
    OTHER_WORK = "other-work"
    """Pods did other work than claimed."""
    EXCHANGE = "exchange"
    """Pods exchanged data or worked together."""
    REWIRED = "rewired"
    """Cables, gateways or guarantee processors were not as declared."""
    SENSORS_DECEIVED = "sensors-deceived"
    """Sensors or meters were moved, covered, fed or switched off."""
    RECORDS_CHANGED = "records-changed"
    """Transcripts, rosters or other records were made up or changed."""
    OTHER_CODE = "other-code"
    """Other code ran than inspectors were shown."""
    UNDECLARED_CHIPS = "undeclared-chips"
    """There are chips or sites that were not declared."""
    SILENCED = "silenced"
    """Somebody was told what to say, kept from speaking, or punished for it."""


class Step(StrEnum):
    """The ambiguity ladder: what may follow, from the mildest on (Baker et al. 2025, arXiv 2507.15916)."""

    CLARIFY = "clarify"
    """Ask the party."""
    FOCUS = "focus"
    """Look again, with the means that there are."""
    INTRUDE = "narrow-intrusion"
    """Look closer, once and narrowly: a challenge inspection."""
    PAUSE = "pause"
    """Switch the cluster off until it is clear."""
    PENALTY = "partial-penalty"


class IntakeCollected(Inspection):
    """An office collected one batch of an intake. Every batch holds as many blocks, whether anybody reported or not.

    The subject `commitments` is the list of commitments that stood in the intake's log for the batch.
    """

    sealed_subjects: ClassVar[bool] = True
    intake: Identifier
    batch: int = Field(ge=0, le=10**9)
    period: Period = Field(description="the time whose reports the batch may hold")
    blocks: int = Field(ge=0, le=10**9)
    missing: int = Field(ge=0, le=10**9, description="commitments of the log whose blocks were not there")
    collected_at: Time

    @property
    def times(self) -> tuple[datetime, ...]:
        return (self.collected_at,)


class VisitsHeld(Inspection):
    """Everybody on a roster was due at the verifier's house in this period, so that to go there says nothing.

    The subject `attendance` says who came, by entry of the roster.
    """

    sealed_subjects: ClassVar[bool] = True
    roster: Digest = Field(description="digest of the envelope of the `RosterCommitted`")
    period: Period
    due: int = Field(ge=0, le=PEOPLE_MAX)
    came: int = Field(ge=0, le=PEOPLE_MAX)
    excused: int = Field(ge=0, le=PEOPLE_MAX, description="did not come, for a reason that was agreed")

    @model_validator(mode="after")
    def _no_more_than_due(self) -> Self:
        if self.came + self.excused > self.due:
            raise ValueError("more came or were excused than were due")
        return self

    @property
    def times(self) -> tuple[datetime, ...]:
        return self.period.start, self.period.end


class LeadRaised(Inspection):
    """An office says that something was heard that calls for a step. Each office that agrees says so itself.

    The subject `case` is the case file, sealed. What could have been seen from where the source stood is in it, not here.
    """

    sealed_subjects: ClassVar[bool] = True
    lead: Identifier = Field(description="a fresh name, the same for all offices; it says nothing of case or time")
    source: HumanSource
    clause: Identifier
    activity: Activity
    pods: tuple[Identifier, ...] = Field(default=(), max_length=20_000, description="none: not known which")
    period: Period | None = Field(default=None, description="none: not known when")
    flop_min: Positive | None = Field(default=None, description="at least so much training, where somebody could tell")
    step: Step = Field(description="that this office asks for")
    raised_at: Time

    @property
    def times(self) -> tuple[datetime, ...]:
        return (self.raised_at,)


class Closing(StrEnum):
    """Why a lead is followed no further."""

    EXPLAINED = "explained"
    CONTRADICTED = "contradicted"
    WITHDRAWN = "withdrawn"
    CONFIRMED = "confirmed"


class LeadClosed(Inspection):
    """An office follows a lead no further. The subject `case` is the case file, sealed."""

    sealed_subjects: ClassVar[bool] = True
    lead: Identifier
    closing: Closing
    closed_at: Time

    @property
    def times(self) -> tuple[datetime, ...]:
        return (self.closed_at,)


class InspectionRequested(Inspection):
    """A challenge inspection is asked for. The subject `grounds` lists what it rests on, sealed."""

    sealed_subjects: ClassVar[bool] = True
    party: Identifier
    request: Identifier
    site: Identifier
    pods: tuple[Identifier, ...] = Field(default=(), max_length=20_000, description="none: the whole site")
    leads: tuple[Identifier, ...] = Field(default=(), max_length=1000)
    number: Annotated[int, Field(ge=1, le=10_000)] = Field(
        description="of its calendar year, counted against the quota"
    )
    requested_at: Time
    access_by: Time

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.access_by <= self.requested_at:
            raise ValueError("access_by must come after requested_at")
        return self

    @property
    def times(self) -> tuple[datetime, ...]:
        return (self.requested_at,)


class RosterCommitted(Report):
    """The prover fixes who works on its pods. The subject `roster` lists salted leaves and strata, and no name."""

    roster: Identifier = Field(description="a fresh name for each roster")
    strata: dict[Identifier, Annotated[int, Field(ge=0, le=PEOPLE_MAX)]] = Field(
        min_length=1, max_length=STRATA_MAX, description="people by what their role would let them know"
    )
    promise: Digest | None = Field(
        default=None,
        description="digest of the envelope of the `RandomnessPromised` that stood by then: it came before, and a draw must use "
        "no other; none: a public beacon draws",
    )
    committed_at: Time

    @property
    def people(self) -> int:
        return sum(self.strata.values())


class IntervieweesDrawn(Inspection):
    """The verifier draws whom to hear. The subject `randomness` says by what, and everybody can draw again."""

    reporter: Identifier = Field(description="whose roster it is")
    roster: Digest = Field(description="digest of the envelope of the `RosterCommitted`")
    promise: Digest | None = None
    replaces: Digest | None = Field(
        default=None,
        description="digest of the envelope of the `InterviewsHeld` whose unheard these replace, as the next in the same order; "
        "none: a first draw",
    )
    drawn: Annotated[tuple[EntryNumber, ...], Field(min_length=1, max_length=PEOPLE_MAX)]
    drawn_at: Time
    answer_by: Time

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if list(self.drawn) != sorted(set(self.drawn)):
            raise ValueError("drawn entries must be sorted and distinct")
        if self.answer_by <= self.drawn_at:
            raise ValueError("answer_by must come after drawn_at")
        return self

    @property
    def times(self) -> tuple[datetime, ...]:
        return (self.drawn_at,)


class RosterOpened(Report):
    """The prover opens the drawn entries. The subject `openings` holds pseudonyms, roles and salts; names go on paper."""

    drawn: Digest = Field(description="digest of the envelope of the `IntervieweesDrawn`")
    opened: Entries
    opened_at: Time


class InterviewsHeld(Inspection):
    """Who was heard of those who were drawn. The subject `records` holds forms and answers, sealed."""

    sealed_subjects: ClassVar[bool] = True
    drawn: Digest = Field(description="digest of the envelope of the `IntervieweesDrawn`")
    form: Digest = Field(description="of the agreed form that was used")
    heard: Entries
    refused: Entries = ()
    absent: Entries = ()
    deviations: int = Field(ge=0, le=10**6, description="times that something else was asked or said than the form has")
    period: Period

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        everybody = (*self.heard, *self.refused, *self.absent)
        if len(set(everybody)) != len(everybody):
            raise ValueError("an entry is heard, refused or absent, and only one of them")
        return self

    @property
    def times(self) -> tuple[datetime, ...]:
        return self.period.start, self.period.end


class AnswersChecked(Inspection):
    """Answers were held against one another, the declaration and machine evidence. The subject `checked` explains, sealed."""

    sealed_subjects: ClassVar[bool] = True
    held: Digest = Field(description="digest of the envelope of the `InterviewsHeld`")
    calibration: Digest = Field(description="of the model of honest memory under which they were checked")
    false_accusation_rate: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        description="chance that an honest group shows any contradiction"
    )
    contradictions: int = Field(ge=0, le=10**6)
    leads: tuple[Identifier, ...] = Field(default=(), max_length=1000)
    checked_at: Time

    @property
    def times(self) -> tuple[datetime, ...]:
        return (self.checked_at,)
