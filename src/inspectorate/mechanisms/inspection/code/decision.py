"""The decision of a person over a review, as one canonical document that becomes the payload of a signed statement.

The program points and explains; a person answers and decides. A document cannot be built

- as an approval, if any pointer that must be answered has no answer, or if what cannot be seen was not acknowledged;
- with an answer to a pointer that the review has not;
- for another snapshot than that of the review.

An approval says that a person answered for these pointers, not that no parameter can change.
"""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import Field, model_validator

from inspectorate.canonical import Digest, Identifier, Record, Text, digest_of, parse_canonical
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import CodeReviewed, Decision, Origin, Statement, make_statement
from inspectorate.mechanisms.inspection.code.techniques import Seen
from inspectorate.mechanisms.inspection.code.types import PARAMETERS_CHANGE, Doubt, Kind, Pointer, Review, Unseen
from inspectorate.quantities import Time

DOCUMENT_BYTES_MAX = 64 << 20


class Answer(Record):
    """What a person says to one pointer."""

    pointer: Digest = Field(description="the key of the pointer")
    parameters_change: bool = Field(description="whether parameters change there, in the person's judgement")
    words: Text


class Pointed(Record):
    """A pointer as the decision keeps it, with its answer if there is one."""

    key: Digest
    rule: Identifier
    kind: Kind
    file: str
    line: int
    answer: Answer | None = None


class ReviewDocument(Record):
    """What is signed: subject `review` of the statement `CodeReviewed`."""

    party: Identifier
    claim: Identifier
    by: Identifier
    snapshot: Digest
    code: Digest
    previous: Digest | None = Field(default=None, description="`code` of the snapshot that was approved last")
    entry: Text
    reviewed_at: Time
    decision: Decision
    words: Text = Field(description="the inspector's own")
    must_answer: tuple[Pointed, ...] = Field(max_length=200_000)
    others: int = Field(ge=0, description="pointers that need no answer")
    cannot_see: tuple[Unseen, ...] = Field(min_length=1)
    cannot_see_acknowledged: bool
    techniques: tuple[str, ...] = ()
    techniques_not_allowed: tuple[str, ...] = ()
    parameters_changed: int | None = Field(
        default=None, ge=0, description="in the sandboxed run; none where there was no run that ended by itself"
    )
    run: Digest | None = Field(default=None, description="digest of the report of the sandboxed run")

    @model_validator(mode="after")
    def _decided(self) -> Self:
        for pointed in self.must_answer:
            if pointed.answer is not None and pointed.answer.pointer != pointed.key:
                raise ValueError(f"the answer at {pointed.file}:{pointed.line} is to another pointer")
        if self.decision is not Decision.APPROVED:
            return self
        open_ = [p for p in self.must_answer if p.answer is None]
        if open_:
            raise ValueError(
                f"{len(open_)} pointers that must be answered are not, the first at {open_[0].file}:{open_[0].line}"
            )
        if not self.cannot_see_acknowledged:
            raise ValueError("what cannot be seen was not acknowledged")
        return self

    @property
    def digest(self) -> str:
        return digest_of(self.canonical_bytes())

    def parameters_may_change(self) -> bool:
        """Whether a person said of any place that parameters change there, or the run showed it."""
        return bool(self.parameters_changed) or any(p.answer and p.answer.parameters_change for p in self.must_answer)

    @classmethod
    def parse_bytes(cls, data: bytes, *, where: str) -> Self:
        """Read a document that must be in canonical form. Raises `EvidenceError`."""
        if len(data) > DOCUMENT_BYTES_MAX:
            raise EvidenceError(f"has more than {DOCUMENT_BYTES_MAX} bytes", where=where)
        return cls.parse(parse_canonical(data, where=where), where=where, error=EvidenceError)


class Deciding(Record):
    """What the person gives beside the review."""

    party: Identifier
    claim: Identifier
    by: Identifier
    decision: Decision
    words: Text
    reviewed_at: Time
    answers: tuple[Answer, ...] = Field(default=(), max_length=200_000)
    cannot_see_acknowledged: bool = False
    previous: Digest | None = None
    parameters_changed: int | None = Field(default=None, ge=0)
    run: Digest | None = None


def decide(review: Review, deciding: Deciding, techniques: tuple[Seen, ...] = ()) -> ReviewDocument:
    """The document of a decision. Raises `InputError` where it may not be built."""
    answers = {answer.pointer: answer for answer in deciding.answers}
    if len(answers) != len(deciding.answers):
        raise InputError("a pointer is answered twice", where="answers")
    if stray := sorted(answers.keys() - {p.key for p in review.pointers}):
        raise InputError(
            f"{stray[0]} is no pointer of this review", where="answers", remedy="review the snapshot again"
        )
    given = deciding.model_dump(exclude={"answers"})
    return ReviewDocument.parse(
        {
            **given,
            "snapshot": review.snapshot,
            "code": review.code,
            "entry": review.entry,
            "must_answer": tuple(_pointed(p, answers.get(p.key)) for p in review.must_answer()),
            "others": sum(p.doubt is not Doubt.MUST_ANSWER for p in review.pointers),
            "cannot_see": review.cannot_see,
            "techniques": tuple(t.technique for t in techniques),
            "techniques_not_allowed": tuple(t.technique for t in techniques if t.allowed is False),
        },
        where="decision",
        error=InputError,
    )


def _pointed(pointer: Pointer, answer: Answer | None) -> Pointed:
    return Pointed(
        key=pointer.key, rule=pointer.rule, kind=pointer.kind, file=pointer.file, line=pointer.line, answer=answer
    )


def carried_over(previous: ReviewDocument, review: Review) -> tuple[Answer, ...]:
    """Answers of the last decision to pointers that are still there, for the person to read again."""
    kept = {p.key for p in review.must_answer()}
    return tuple(p.answer for p in previous.must_answer if p.answer is not None and p.key in kept)


def reviewed_statement(document: ReviewDocument, *, origin: Origin, valid_until: datetime) -> Statement:
    """The statement to be signed with the inspector's key; its one subject is the document. Raises `InputError`."""
    if valid_until <= document.reviewed_at:
        raise InputError("must come after the review", where="valid until")
    predicate = CodeReviewed(
        origin=origin,
        by=document.by,
        party=document.party,
        claim=document.claim,
        code=document.code,
        previous=document.previous,
        decision=document.decision,
        techniques=document.techniques,
        parameters_changed=None if document.parameters_changed is None else document.parameters_changed > 0,
        reviewed_at=document.reviewed_at,
        valid_until=valid_until,
    )
    return make_statement(predicate, {"review": document.digest})


__all__ = ["PARAMETERS_CHANGE", "Answer", "Deciding", "Decision", "Pointed", "ReviewDocument", "carried_over", "decide"]
