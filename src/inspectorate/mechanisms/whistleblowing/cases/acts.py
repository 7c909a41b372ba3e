"""What offices do with a case: a closed list of acts, each of which one office signs.

Rules:

- What a source says stands in `Claim`, part by part: what they say they saw themselves, what could be seen from where they stood,
  what could not be seen from there (the boundary), and what others told them. Nothing of it is weighed.
- What is found elsewhere (`Corroborated`, `OtherWord`) is another act and never changes a claim.
- No act has a field for how far anybody is to be believed; a test searches for one.
- Acts that take a quorum (`Opened`, `HandOverAgreed`, `CloseAgreed`) are one act of each office that agrees, in the same words.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from inspectorate.canonical import Digest, Hex, Identifier, Record, Text
from inspectorate.evidence import Activity, Closing, Step
from inspectorate.mechanisms.whistleblowing.sealing.phrases import Recipient
from inspectorate.quantities import Period, Positive, Time

ANSWERS_MAX = 200
ANSWER_CHARACTERS_MAX = 200_000
FILES_MAX = 1000
SAID_MAX = 200
"""Sentences in one part of a claim."""
PODS_MAX = 20_000
OFFICES_MAX = 16

Answer = Annotated[str, StringConstraints(max_length=ANSWER_CHARACTERS_MAX)]
Said = Annotated[tuple[Text, ...], Field(max_length=SAID_MAX)]
Pods = Annotated[tuple[Identifier, ...], Field(max_length=PODS_MAX)]


class SealedFile(Record):
    """A file of a source or of an office: what it was called, and its digest. Its bytes lie sealed beside the case."""

    name: Annotated[str, StringConstraints(max_length=1000)]
    media_type: Annotated[str, StringConstraints(max_length=200)]
    size: int = Field(ge=0, le=1 << 40)
    digest: Digest


class Opened(Record):
    """An office has read this report, which a quorum opened. The same of each of them, word for word, but for `offices`."""

    act: Literal["opened"] = "opened"
    report: Digest = Field(description="names the report; only who opened it can know it")
    intake: Identifier
    sealed_in: tuple[Text, ...] = Field(min_length=1, max_length=1000, description="the batches or files that held it")
    thread: Hex = Field(description="the source's secret thread: a later report with the same belongs to this case")
    reply_to: Recipient | None = Field(
        default=None, description="to whom replies are sealed; none: no answer is wanted"
    )
    language: Identifier
    answers: dict[Identifier, Answer] = Field(max_length=ANSWERS_MAX)
    files: tuple[SealedFile, ...] = Field(default=(), max_length=FILES_MAX)
    complete: bool = Field(description="false: it was cut short, and its source was not answered")
    offices: tuple[Identifier, ...] = Field(min_length=2, max_length=OFFICES_MAX, description="whose shares opened it")

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if list(self.offices) != sorted(set(self.offices)):
            raise ValueError("offices must be sorted and distinct")
        return self


class Claim(Record):
    """One thing that a source says, and the boundary of what they can know."""

    act: Literal["claimed"] = "claimed"
    id: Identifier
    activity: Activity
    site: Identifier | None = None
    cluster: Identifier | None = None
    pods: Pods = ()
    period: Period | None = None
    flop_min: Positive | None = Field(default=None, description="at least so much training is spoken of")
    quantity: Text | None = Field(default=None, description="any other quantity, in words and with its unit")
    saw: Said = Field(default=(), description="what they say they saw, heard or did themselves")
    could_see: Said = Field(default=(), description="what could be seen from where they stood")
    could_not_see: Said = Field(default=(), description="what could not be seen from there: the boundary")
    told: Said = Field(default=(), description="what others told them, and who")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.saw and not self.told:
            raise ValueError("give at least one of `saw` and `told`: what did the source say?")
        if len(set(self.pods)) != len(self.pods):
            raise ValueError("pods must be distinct")
        return self

    @property
    def not_asked(self) -> tuple[str, ...]:
        """What should be asked before more is made of it."""
        wanted = {
            "what they saw themselves": self.saw,
            "what could be seen from where they stood": self.could_see,
            "what could not be seen from there": self.could_not_see,
        }
        return tuple(name for name, said in wanted.items() if not said)


class Link(Record):
    """A claim tied to an agreement and a declaration, in which all of these names were found."""

    act: Literal["linked"] = "linked"
    claim: Identifier
    agreement: Identifier
    agreement_digest: Digest
    declaration: Identifier
    declaration_digest: Digest
    clause: Identifier
    site: Identifier | None = None
    cluster: Identifier | None = None
    pods: Pods = ()
    period: Period | None = None
    declared_claim: Identifier | None = Field(default=None, description="what the prover said those pods did then")


class Corroborated(Record):
    """A claim held against a review: what machines show of it, under which assumptions, and what they did not see."""

    act: Literal["corroborated"] = "corroborated"
    claim: Identifier
    review: Digest = Field(description="of the report (JSON) that was read")
    as_of: Time
    simulated: bool = Field(description="whether the review rests on a simulated world")
    standing: Literal["supported", "contradicted", "untouched"]
    by: tuple[Text, ...] = Field(default=(), max_length=10_000)
    gaps: tuple[Text, ...] = Field(default=(), max_length=10_000)
    assumptions: tuple[Text, ...] = Field(default=(), max_length=10_000)
    next_step: Step


class OtherWord(Record):
    """Another case holds a claim about the same thing, from somebody whom the office holds to be somebody else."""

    act: Literal["other-word"] = "other-word"
    claim: Identifier
    other_case: Identifier
    other_claim: Identifier
    why_independent: Text


class Noted(Record):
    """A note between handlers."""

    act: Literal["noted"] = "noted"
    text: Text


class Replied(Record):
    """An answer to the source. It goes onto every board that the office makes from then on, as long as there is room."""

    act: Literal["replied"] = "replied"
    text: Annotated[str, StringConstraints(min_length=1, max_length=4000)]


class Raised(Record):
    """The office signed a `LeadRaised` of this claim. Other offices that raise the same lead say the same, but for the step."""

    act: Literal["raised"] = "raised"
    lead: Identifier
    claim: Identifier
    clause: Identifier
    activity: Activity
    pods: Pods = ()
    period: Period | None = None
    flop_min: Positive | None = None
    step: Step
    statement: Digest


class LeadEnded(Record):
    """The office signed a `LeadClosed`."""

    act: Literal["lead-closed"] = "lead-closed"
    lead: Identifier
    closing: Closing
    statement: Digest


class Requested(Record):
    """The office signed an `InspectionRequested`."""

    act: Literal["requested"] = "requested"
    request: Identifier
    party: Identifier
    leads: tuple[Identifier, ...] = Field(max_length=1000)
    number: int = Field(ge=1, le=10_000)
    quota: int = Field(ge=0, le=10_000)
    over_quota: bool
    requested_at: Time
    access_by: Time
    statement: Digest


class Cleaned(Record):
    """A copy of a file without its metadata, or why there is none. The original stays sealed either way."""

    act: Literal["cleaned"] = "cleaned"
    original: Digest
    cleaned: SealedFile | None = None
    tool: Text
    kept_because: Text | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.cleaned is None) == (self.kept_because is None):
            raise ValueError("give either the cleaned file or why there is none")
        return self


class HandOver(Record):
    """A hand-over to another office: to whom, under which key, and what."""

    to: Identifier
    recipient: Recipient
    document: Digest | None = Field(
        default=None, description="of the claims alone, without words; none: the whole case"
    )

    @property
    def whole(self) -> bool:
        return self.document is None


class HandOverAgreed(Record):
    """The office agrees to a hand-over."""

    act: Literal["hand-over-agreed"] = "hand-over-agreed"
    terms: HandOver
    signature: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        default=None, description="of the office over the document, which goes along with it"
    )


class HandedOver(Record):
    """The office made the package for the one that receives."""

    act: Literal["handed-over"] = "handed-over"
    terms: HandOver
    package: Digest


class Received(Record):
    """An office took over what a quorum handed to it."""

    act: Literal["received"] = "received"
    package: Digest


class CloseAgreed(Record):
    """The office agrees that the case is closed. It is when as many say so as were needed to open it."""

    act: Literal["close-agreed"] = "close-agreed"
    closing: Closing


class Reopened(Record):
    """The office follows the case again; one is enough."""

    act: Literal["reopened"] = "reopened"
    text: Text


Act = Annotated[
    Opened | Claim | Link | Corroborated | OtherWord | Noted | Replied | Raised | LeadEnded | Requested | Cleaned
    | HandOverAgreed | HandedOver | Received | CloseAgreed | Reopened,
    Field(discriminator="act"),
]  # fmt: skip
