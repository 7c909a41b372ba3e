"""Answers as dated, bounded statements about agreed topics; what comes of holding them against one another.

Rules:

- A `Topic` is one thing that can be asked about, and has one true value: a quantity at a place over a time, the time of an event,
  whether something was there, whether something was done. The question bank fixes topics before anybody is asked.
- A `Statement` says something of one topic, in the speaker's own sentence, with how the speaker knows it. Interviewees, the
  declaration and machines speak in the same form; what the last two say is hard, within the bounds that they state.
- A `Link` is a fact that all parties agree on before anybody is asked: parts add up to a whole, a thing is in one place at a time.
- Nothing here holds a figure for how far a person is to be believed, nor anything of how somebody spoke.
- Every size is bounded: an answer sheet comes from outside.

What is wanted of the statements of interviewees is what `forms/` makes of the answers to a form.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from inspectorate.canonical import Digest, Identifier, Record, Text, digest_of
from inspectorate.evidence import Activity, HumanSource, Origin, Step
from inspectorate.evidence.heard import EntryNumber
from inspectorate.quantities import NonNegative, Period, Time

TOPICS_MAX = 2_000
STATEMENTS_MAX = 50_000
LINKS_MAX = 5_000
TERMS_MAX = 200
MAGNITUDE_MAX = 1e15
"""No quantity of a topic is larger than this: choose another unit."""

Sentence = Annotated[str, Field(min_length=1, max_length=2_000)]
Magnitude = Annotated[float, Field(ge=0, le=MAGNITUDE_MAX, allow_inf_nan=False)]


class TopicKind(StrEnum):
    """What kind of value a topic has."""

    QUANTITY = "quantity"
    """A count or another amount that is never negative, with its unit."""
    EVENT = "event"
    """The time of something that happened once."""
    PRESENCE = "presence"
    """Whether a person or a thing was at a place at a time: yes or no."""
    ACTIVITY = "activity"
    """Whether something was done: yes or no."""


TIMED = frozenset({TopicKind.EVENT})
YES_NO = frozenset({TopicKind.PRESENCE, TopicKind.ACTIVITY})


class Topic(Record):
    """One thing that is asked about."""

    id: Identifier
    kind: TopicKind
    text: Text = Field(description="what it is, in words that both parties have agreed")
    period: Period = Field(description="the time that is spoken of; of an event, within which it is looked for")
    unit: Identifier | None = Field(default=None, description="of a quantity")
    place: Text | None = None
    pods: tuple[Identifier, ...] = Field(default=(), max_length=20_000, description="none: no pod in particular")
    clause: Identifier = Field(description="the clause that a contradiction here touches")
    activity: Activity = Field(description="what a contradiction here would speak of")
    knowers: tuple[Identifier, ...] = Field(
        default=(), max_length=64, description="strata of the roster that would know"
    )
    on_record: bool = Field(default=False, description="people may have read it off: that they agree says nothing")
    settled_by: Text | None = Field(default=None, description="what would settle it: a record, a place to look at")

    @model_validator(mode="after")
    def _unit_of_quantities(self) -> Self:
        if (self.kind is TopicKind.QUANTITY) != (self.unit is not None):
            raise ValueError("a quantity has a unit, and nothing else has")
        return self


class Link(Record):
    """lower <= sum of coefficient x value <= upper: agreed to hold. Values are amounts, days since 1970, or 1 for yes and 0 for no.

    A thing in one place at a time: the presences add up to at most 1. Parts of a whole: parts minus whole is 0.
    """

    id: Identifier
    text: Text
    terms: dict[Identifier, Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]] = Field(
        min_length=1, max_length=TERMS_MAX
    )
    lower: Annotated[float, Field(ge=-MAGNITUDE_MAX, le=MAGNITUDE_MAX)] | None = None
    upper: Annotated[float, Field(ge=-MAGNITUDE_MAX, le=MAGNITUDE_MAX)] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.lower is None and self.upper is None:
            raise ValueError("give lower, upper or both")
        if self.lower is not None and self.upper is not None and self.lower > self.upper:
            raise ValueError("lower is above upper")
        return self


class Amount(Record):
    """So much, as the speaker put it: one figure (lower = upper), or from and to, in the unit of the topic."""

    kind: Literal["amount"] = "amount"
    lower: Magnitude
    upper: Magnitude

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.lower > self.upper:
            raise ValueError("lower is above upper")
        return self


class When(Record):
    """When it was, as the speaker put it: a day is its two midnights, "in March" the first and the last of March."""

    kind: Literal["when"] = "when"
    not_before: Time
    not_after: Time

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.not_before > self.not_after:
            raise ValueError("not_before is after not_after")
        return self


class Before(Record):
    """The event came before another one."""

    kind: Literal["before"] = "before"
    other: Identifier


class YesNo(Record):
    """It was so, or it was not so."""

    kind: Literal["yes-no"] = "yes-no"
    holds: bool


class Unknown(Record):
    """The speaker could not say."""

    kind: Literal["unknown"] = "unknown"


class CouldKnow(Record):
    """Whether the speaker was where this could be known: asked of everybody before what it was."""

    kind: Literal["could-know"] = "could-know"
    could: bool


Said = Annotated[Amount | When | Before | YesNo | Unknown | CouldKnow, Field(discriminator="kind")]

FITS: dict[str, frozenset[TopicKind]] = {
    "amount": frozenset({TopicKind.QUANTITY}),
    "when": TIMED,
    "before": TIMED,
    "yes-no": YES_NO,
    "unknown": frozenset(TopicKind),
    "could-know": frozenset(TopicKind),
}
"""Which kinds of topic something can be said of."""


class Known(StrEnum):
    """How the speaker knows it, by their own account."""

    SAW = "saw"
    TOLD = "was-told"
    INFERRED = "inferred"
    COULD_NOT_SEE = "could-not-see"
    """Says so, and adds that they were not where it could be seen: never counted in a contradiction."""


class Interviewee(Record):
    """An entry of the roster, and its stratum. No name and no trait of a person."""

    entry: EntryNumber
    stratum: Identifier


class SpeakerKind(StrEnum):
    INTERVIEWEE = "interviewee"
    DECLARATION = "declaration"
    MACHINE = "machine"


class Statement(Record):
    """What one speaker said of one topic in answer to one question."""

    id: Identifier
    speaker: SpeakerKind = SpeakerKind.INTERVIEWEE
    entry: EntryNumber | None = Field(default=None, description="of an interviewee")
    source: Text | None = Field(
        default=None, description="of the declaration or a machine: which claim, which assessment"
    )
    topic: Identifier
    question: Identifier
    sentence: Sentence = Field(description="verbatim, in the language it was said")
    own_words: bool = Field(default=False, description="spoken freely: not a choice from a list")
    said_at: Time
    known: Known | None = Field(default=None, description="of an interviewee")
    said: Said
    give_or_take: NonNegative | None = Field(
        default=None, description="how exact the speaker says it is: in the unit of the topic, or in days"
    )
    miss_probability: Annotated[float, Field(ge=0, lt=0.5)] = Field(
        default=0.0, description="of a machine's bounds: with which probability they may not hold"
    )

    @model_validator(mode="after")
    def _who_speaks(self) -> Self:
        person = self.speaker is SpeakerKind.INTERVIEWEE
        if (
            person != (self.entry is not None)
            or person != (self.known is not None)
            or person == (self.source is not None)
        ):
            raise ValueError("an interviewee has an entry and how they know; a claim or a machine has a source")
        if person and self.miss_probability:
            raise ValueError("only bounds of machines have a probability to miss")
        if not person and self.said.kind in ("unknown", "could-know"):
            raise ValueError("a claim or a machine says what it says, or nothing")
        return self


class AnswerSheet(Record):
    """Everything that is held against one another: what a group answered, and what it is held against."""

    id: Identifier
    origin: Origin
    topics: tuple[Topic, ...] = Field(min_length=1, max_length=TOPICS_MAX)
    links: tuple[Link, ...] = Field(default=(), max_length=LINKS_MAX)
    interviewees: tuple[Interviewee, ...] = Field(min_length=1, max_length=100_000)
    statements: tuple[Statement, ...] = Field(min_length=1, max_length=STATEMENTS_MAX)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        topics = {one.id: one for one in self.topics}
        entries = {one.entry for one in self.interviewees}
        for what, names, known in (
            ("topic", [one.id for one in self.topics], len(topics)),
            ("entry", [str(one.entry) for one in self.interviewees], len(entries)),
            ("statement", [one.id for one in self.statements], len({one.id for one in self.statements})),
            ("link", [one.id for one in self.links], len({one.id for one in self.links})),
        ):
            if len(names) != known:
                raise ValueError(f"a {what} stands twice")
        for link in self.links:
            if unknown := set(link.terms) - set(topics):
                raise ValueError(f"link {link.id} names unknown topics: {', '.join(sorted(unknown)[:4])}")
        for one in self.statements:
            self._fits(one, topics, entries)
        return self

    @staticmethod
    def _fits(one: Statement, topics: dict[str, Topic], entries: set[int]) -> None:
        topic = topics.get(one.topic)
        if topic is None:
            raise ValueError(f"statement {one.id} is about the unknown topic {one.topic}")
        if one.entry is not None and one.entry not in entries:
            raise ValueError(f"statement {one.id} is of entry {one.entry}, who is no interviewee")
        if topic.kind not in FITS[one.said.kind]:
            raise ValueError(f"statement {one.id} says {one.said.kind} of a topic of kind {topic.kind.value}")
        if isinstance(one.said, Before):
            other = topics.get(one.said.other)
            if other is None or other.kind not in TIMED or other.id == topic.id:
                raise ValueError(f"statement {one.id} names {one.said.other}, which is no other event")

    @property
    def topic_by_id(self) -> dict[str, Topic]:
        return {one.id: one for one in self.topics}


class Against(StrEnum):
    """What takes part in a contradiction."""

    PEOPLE = "between-interviewees"
    DECLARATION = "with-the-declaration"
    MACHINES = "with-machine-evidence"


class Voice(Record):
    """One sentence of a contradiction, in its speaker's words."""

    statement: Identifier
    speaker: Text = Field(description="entry of the roster, claim or assessment")
    question: Identifier
    sentence: Sentence
    known: Known | None = None


class Contradiction(Record):
    """These cannot all be right: none of them is named as the one that is wrong."""

    topics: tuple[Identifier, ...] = Field(min_length=1)
    against: tuple[Against, ...] = Field(min_length=1)
    core: tuple[Voice, ...] = Field(
        min_length=1, description="cannot all be right; without any one of them, the rest can"
    )
    facts: tuple[Text, ...] = Field(default=(), description="agreed facts that it takes")
    others: tuple[Identifier, ...] = Field(
        default=(), description="statements that stand as far from the best common account"
    )
    p_value: Annotated[float, Field(gt=0, le=1)] = Field(
        description="chance that an honest group shows anything as strong, anywhere in its answers"
    )
    miss_probability: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0, description="chance that the bounds of the machines it takes do not hold"
    )
    resolved_by: tuple[Text, ...] = Field(min_length=1)


class PointerKind(StrEnum):
    """Something to look at that is no contradiction."""

    SAME_FIGURES = "same-figures"
    """Answers agree more closely than memories that are independent do."""
    SAME_WORDS = "same-words"
    """Long runs of words are the same in answers that were spoken freely."""
    BEYOND_OWN_WORD = "beyond-own-word"
    """Somebody speaks of what, by their own word, they could not know."""
    NOBODY_KNOWS = "nobody-knows"
    """Of those whose role would know, nobody could say."""


class Pointer(Record):
    """Something to ask about again. It accuses nobody, and calls for a question at most."""

    kind: PointerKind
    topics: tuple[Identifier, ...] = Field(min_length=1)
    voices: tuple[Voice, ...] = Field(min_length=1)
    text: Text
    p_value: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None,
        description="chance that an honest group shows it anywhere; none: it is plain to see, and has no rate",
    )


class LeadDraft(Record):
    """What a `LeadRaised` needs that the answers can say: an office decides whether to raise it, and gives it a name."""

    source: HumanSource = HumanSource.INTERVIEW
    clause: Identifier
    activity: Activity
    pods: tuple[Identifier, ...] = ()
    period: Period | None = None
    step: Step
    topics: tuple[Identifier, ...] = Field(min_length=1, description="for the case file; not for the statement")


class Checked(Record):
    """What came of holding a group's answers against one another: the subject `checked` of an `AnswersChecked`, sealed."""

    sheet: Digest
    calibration: Digest
    origin: Origin
    false_accusation_rate: Annotated[float, Field(gt=0, lt=0.5)]
    pointer_rate: Annotated[float, Field(gt=0, lt=0.5)]
    people: int = Field(ge=1)
    statements: int = Field(ge=0, description="of interviewees that could contradict something")
    set_aside: int = Field(ge=0, description="of interviewees that say nothing or could not have seen")
    contradictions: tuple[Contradiction, ...]
    pointers: tuple[Pointer, ...]
    leads: tuple[LeadDraft, ...]
    group_p_value: Annotated[float, Field(gt=0, le=1)] = Field(description="of the strongest contradiction of all")
    not_checked: tuple[Text, ...]

    @property
    def digest(self) -> Digest:
        return digest_of(self.canonical_bytes())


def days(time: datetime) -> float:
    """Days since 1970."""
    return time.timestamp() / 86_400
