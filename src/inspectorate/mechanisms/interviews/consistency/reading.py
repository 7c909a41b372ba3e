"""Answer sheets from files, and what a declaration says of their topics, as statements.

A declaration says that training was done where a claim of training overlaps the pods and the time of a topic about training; and
that it was not, where claims of other kinds cover all of its pods for all of its time. Of anything else it says nothing here: a
figure that was declared elsewhere is handed in as a statement.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from inspectorate.canonical import parse_json
from inspectorate.declaration import Declaration, WorkloadClaim, WorkloadKind
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import Activity
from inspectorate.mechanisms.interviews.consistency.types import (
    AnswerSheet,
    SpeakerKind,
    Statement,
    Topic,
    TopicKind,
    YesNo,
)
from inspectorate.quantities import Period, merge_periods


def parse_sheet(data: bytes, *, where: str) -> AnswerSheet:
    """An answer sheet. Raises `EvidenceError`."""
    return AnswerSheet.parse(parse_json(data, where=where), where=where, error=EvidenceError)


def parse_sheets(data: bytes, *, where: str) -> tuple[AnswerSheet, ...]:
    """One answer sheet on each line. Raises `EvidenceError`."""
    lines = [line for line in data.splitlines() if line.strip()]
    if not lines:
        raise EvidenceError("holds no answer sheet", where=where)
    return tuple(parse_sheet(line, where=f"{where}, line {number}") for number, line in enumerate(lines, start=1))


def parse_statements(data: bytes, *, where: str) -> tuple[Statement, ...]:
    """A list of statements of machines or of the declaration. Raises `EvidenceError`."""
    value = parse_json(data, where=where)
    if not isinstance(value, list):
        raise EvidenceError("is not a list of statements", where=where)
    found = tuple(
        Statement.parse(one, where=f"{where}, statement {number}", error=EvidenceError)
        for number, one in enumerate(value, start=1)
    )
    if any(one.speaker is SpeakerKind.INTERVIEWEE for one in found):
        raise EvidenceError("holds words of interviewees", where=where, remedy="they belong in the answer sheet")
    return found


def with_statements(sheet: AnswerSheet, more: Iterable[Statement], *, without: Collection[str] = ()) -> AnswerSheet:
    """The sheet with statements added and others left out. Raises `InputError`."""
    every = [*sheet.statements, *more]
    unknown = set(without) - {one.id for one in every}
    if unknown:
        raise InputError(f"there is no statement {', '.join(sorted(unknown))}", where="--leave-out")
    kept = [one for one in every if one.id not in without]
    value = {**sheet.model_dump(), "statements": [one.model_dump() for one in kept]}
    return AnswerSheet.parse(value, where="answer sheet", error=InputError)


def declared(declaration: Declaration, topics: Sequence[Topic]) -> tuple[Statement, ...]:
    """What a declaration says of topics about training."""
    found = []
    for topic in topics:
        if topic.kind is not TopicKind.ACTIVITY or topic.activity is not Activity.TRAINING or not topic.pods:
            continue
        claims = [
            one for one in declaration.claims if one.period.overlaps(topic.period) and set(one.pods) & set(topic.pods)
        ]
        training = [one for one in claims if one.kind is WorkloadKind.TRAINING]
        if training:
            found.append(_claim(topic, training, holds=True))
        elif claims and all(_covered(topic.period, pod, claims) for pod in topic.pods):
            found.append(_claim(topic, claims, holds=False))
    return tuple(found)


def _covered(period: Period, pod: str, claims: Sequence[WorkloadClaim]) -> bool:
    merged = merge_periods(tuple(one.period for one in claims if pod in one.pods))
    return any(one.covers(period) for one in merged)


def _claim(topic: Topic, claims: Sequence[WorkloadClaim], *, holds: bool) -> Statement:
    names = ", ".join(one.id for one in claims[:8])
    return Statement(
        id=f"declared-{topic.id}"[:128],
        speaker=SpeakerKind.DECLARATION,
        source=f"claims {names}",
        topic=topic.id,
        question="declaration",
        sentence="; ".join(f"{one.kind.value}: {one.description}" for one in claims[:8])[:2000],
        said_at=topic.period.end,
        said=YesNo(holds=holds),
    )
