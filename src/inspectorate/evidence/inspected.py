"""Predicates of inspection: work that was committed to, drawn, opened and run again; FLOP, code, and rooms.

In the order in which they are made:

1. `RandomnessPromised`: the verifier fixes its secret by digest, before it knows what will be committed to.
2. `WorkCommitted`: the prover fixes what was done, packet by packet, each by a salted digest.
3. `PacketsDrawn`: the secret is revealed; with the commitment it draws the sample. Nobody could choose it.
4. `PacketsOpened`: the prover opens what was drawn, and no more. What is not opened in time counts as refused.
5. `PacketsReplayed`: the inspector ran the opened packets again.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from inspectorate.canonical import Digest, Identifier
from inspectorate.evidence.predicate import Inspection, Report
from inspectorate.quantities import NonNegative, Period, Time

PACKETS_MAX = 500_000
"""Packets of one commitment; longer work is committed to in several."""
DRAWN_MAX = 100_000

PacketNumber = Annotated[int, Field(ge=0, lt=PACKETS_MAX)]


class WorkKind(StrEnum):
    """What a run of work does, as far as transcripts differ."""

    TRAINING = "training"
    INFERENCE = "inference"


class WorkCommitted(Report):
    """The prover fixes what was done in a stretch of one run. The subject is the list of its packets, `packets`.

    Commitments of a run are numbered from 0 and chained by digest, and the last says so, as segments of a stream are.
    """

    claim: Identifier = Field(description="the claim of the declaration that this work is said to be")
    pods: tuple[Identifier, ...] = Field(
        default=(), max_length=20_000, description="of that claim, those whose chips did it; none: all of them"
    )
    run: Identifier = Field(description="a fresh name for each run")
    work: WorkKind
    sequence: int = Field(ge=0, le=10**9)
    previous: Digest | None = Field(default=None, description="digest of the envelope before; none for the first")
    final: bool
    packets: int = Field(ge=0, le=PACKETS_MAX)
    header: Digest = Field(
        description="digest of the run's header: code, model, stack, seeds. Opened with the first draw"
    )
    flop_stated: NonNegative = Field(description="that the prover says the packets took")
    promise: Digest | None = Field(
        default=None,
        description="digest of the envelope of the `RandomnessPromised` that stood by then: it came before, and a draw "
        "must use no other",
    )

    @model_validator(mode="after")
    def _chained(self) -> Self:
        if (self.sequence == 0) != (self.previous is None):
            raise ValueError("the first commitment, and only the first, has no previous one")
        return self


class RandomnessPromised(Inspection):
    """The verifier fixes a secret. The subject `secret` is its digest; the secret itself is revealed by the draw."""

    sealed_subjects: ClassVar[bool] = True
    reporter: Identifier = Field(description="whose work it will draw from")
    promised_at: Time

    @property
    def times(self) -> tuple[datetime, ...]:
        return (self.promised_at,)


class PacketsDrawn(Inspection):
    """The verifier draws packets of one commitment. The subject `randomness` says by what, and everybody can draw again."""

    reporter: Identifier
    commitment: Digest = Field(description="digest of the envelope of the `WorkCommitted`")
    promise: Digest | None = Field(
        default=None, description="digest of the envelope of the `RandomnessPromised`; none: a public beacon"
    )
    packets: tuple[PacketNumber, ...] = Field(min_length=1, max_length=DRAWN_MAX)
    drawn_at: Time
    answer_by: Time

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if list(self.packets) != sorted(set(self.packets)):
            raise ValueError("packets must be sorted and distinct")
        if self.answer_by <= self.drawn_at:
            raise ValueError("answer_by must come after drawn_at")
        return self

    @property
    def times(self) -> tuple[datetime, ...]:
        return (self.drawn_at,)


class PacketsOpened(Report):
    """The prover opens what was drawn. The subject `openings` holds records and salts: digests of content, never content."""

    drawn: Digest = Field(description="digest of the envelope of the `PacketsDrawn`")
    opened: tuple[PacketNumber, ...] = Field(max_length=DRAWN_MAX)
    opened_at: Time


class ReplayMethod(StrEnum):
    """How a packet is held against what was committed."""

    EXACT = "exact"
    """Bit by bit."""
    WEIGHTS = "weights"
    """Weights after the packet lie within a distance that was calibrated on the stack."""
    TOPLOC = "toploc"
    """The largest activations, as a polynomial (arXiv 2501.16007)."""
    DIFR = "difr"
    """Margins of tokens under a shared sampling seed (arXiv 2511.20621)."""


class PacketsReplayed(Inspection):
    """The inspector ran opened packets again. Subjects: `results`, packet by packet, and `tolerance`, unless it is exact."""

    reporter: Identifier
    drawn: Digest
    opened: Digest = Field(description="digest of the envelope of the `PacketsOpened`")
    method: ReplayMethod
    period: Period = Field(description="when they were run again")

    @property
    def times(self) -> tuple[datetime, ...]:
        return self.period.start, self.period.end


class FlopAccounted(Inspection):
    """What one run took, from several sources. The subject `account` holds the sources and how they were joined."""

    claim: Identifier
    run: Identifier
    period: Period
    flop_min: NonNegative
    flop_max: NonNegative
    sources: tuple[Identifier, ...] = Field(min_length=1, max_length=16)
    accounted_at: Time

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.flop_max < self.flop_min:
            raise ValueError("flop_max is below flop_min")
        return self

    @property
    def times(self) -> tuple[datetime, ...]:
        return (self.accounted_at,)


class Decision(StrEnum):
    """What a person decided after reading code. A program decides none of these."""

    APPROVED = "approved"
    REFUSED = "refused"
    QUESTIONS = "questions"


class CodeReviewed(Inspection):
    """An inspector read a snapshot of code and decided. The subject `review` holds pointers, answers and what was not seen."""

    party: Identifier = Field(description="for whom the inspector decides")
    claim: Identifier
    code: Digest = Field(description="digest of the snapshot, as the claim and the transcripts name it")
    previous: Digest | None = Field(default=None, description="the approved snapshot from which it differs")
    decision: Decision
    techniques: tuple[Identifier, ...] = Field(max_length=1000, description="those that were found in use")
    parameters_changed: bool | None = Field(
        default=None, description="whether a parameter changed when the entry point was run; none: it was not run"
    )
    reviewed_at: Time
    valid_until: Time

    @model_validator(mode="after")
    def _valid_forward(self) -> Self:
        if self.valid_until <= self.reviewed_at:
            raise ValueError("valid_until must come after reviewed_at")
        return self

    @property
    def times(self) -> tuple[datetime, ...]:
        return (self.reviewed_at,)


class RoomClosed(Inspection):
    """An inspector's session at the site is over. The subject `log` names every input by digest and every output in full."""

    session: Identifier
    host: Identifier = Field(description="the party in whose room it was, and who saw every output before it left")
    period: Period
    inputs: int = Field(ge=0, le=10**9)
    bits_out: NonNegative = Field(description="logarithm of how many different outputs there could have been")
    outputs: Literal["verdict", "verdict-and-count", "scores"] = "verdict"

    @property
    def times(self) -> tuple[datetime, ...]:
        return self.period.start, self.period.end
