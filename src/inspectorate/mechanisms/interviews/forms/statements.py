"""Answers as statements: what each answer says of an agreed topic, by the question bank and by nothing else.

A topic is a question of the bank over the frame's time: one for each pod where the question is about one pod. Its clause is the
first clause of the agreement whose kind the question serves; a question that serves none makes no statement.

An answer that was declined, or not asked, says nothing, and nothing follows from it. "I do not know" and "I was not where this
could be known" are statements of their own. A sentence is the question as the interviewee heard it, and the answer as confirmed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from inspectorate.agreement import ClauseKind
from inspectorate.mechanisms.interviews.consistency import types as consistency
from inspectorate.mechanisms.interviews.consistency.types import Known, Said, Statement, Topic, TopicKind
from inspectorate.mechanisms.interviews.forms.bank import (
    Bank,
    BankQuestion,
    CouldKnow,
    Event,
    Nothing,
    Place,
    Quantity,
    YesNo,
)
from inspectorate.mechanisms.interviews.forms.capture import Capture, Frame, Given, Status
from inspectorate.mechanisms.interviews.forms.types import Form, Question

SENTENCE_MAX = 2000


@dataclass(frozen=True, kw_only=True)
class Asking:
    """What was asked, of whom, about what: the form, the bank it is tied to, the frame, and the agreement's clauses by kind."""

    form: Form
    bank: Bank
    frame: Frame
    clauses: Mapping[ClauseKind, str]


def topics_of(asking: Asking) -> tuple[Topic, ...]:
    """Every topic that answers to this form can be about, in the form's order."""
    found: dict[str, Topic] = {}
    for step in asking.form.questions.values():
        assert isinstance(step.item, Question)
        known = asking.bank.by_id.get(step.item.bank or "")
        clause = None if known is None else _clause(known, asking)
        if known is None or known.topic is None or clause is None:
            continue
        for pod in asking.frame.pods if known.by_pod else (None,):
            topic = _topic(known, clause, asking.frame, pod)
            found[topic.id] = topic
    return tuple(found.values())


def statements_of(capture: Capture, asking: Asking) -> tuple[Statement, ...]:
    """What the answers of one checked capture say."""
    if capture.outcome == "refused":
        return ()
    topics = {topic.id for topic in topics_of(asking)}
    found: list[Statement] = []
    for given in capture.answers:
        step = asking.form.questions[given.question]
        assert isinstance(step.item, Question)
        known = asking.bank.by_id.get(step.item.bank or "")
        if known is None or isinstance(known.says, Place | Nothing):
            continue
        sentence = _sentence(given, step.item, capture, asking)
        for number, (topic, said) in enumerate(_said(given, known, capture, asking)):
            if topic in topics:
                name = f"{capture.entry}.{given.question}.{given.turn or 0}.{number}"
                found.append(
                    _statement(name, topic, said, given, _Told(capture=capture, known=known, sentence=sentence))
                )
    return tuple(found)


def _clause(known: BankQuestion, asking: Asking) -> str | None:
    return next((asking.clauses[kind] for kind in known.clauses if kind in asking.clauses), None)


def _topic(known: BankQuestion, clause: str, frame: Frame, pod: str | None) -> Topic:
    says = known.says
    kind = (
        TopicKind.QUANTITY if isinstance(says, Quantity)
        else TopicKind.EVENT if isinstance(says, Event)
        else TopicKind.PRESENCE if isinstance(says, YesNo) and says.presence
        else TopicKind.ACTIVITY
    )  # fmt: skip
    return Topic(
        id=_topic_id(known, pod),
        kind=kind,
        text=known.topic or known.text,
        period=frame.period,
        unit=says.unit if isinstance(says, Quantity) else None,
        place=frame.site if pod is None else pod,
        pods=() if pod is None else (pod,),
        clause=clause,
        activity=known.activity,
        knowers=known.strata,
        on_record=known.on_record,
        settled_by=known.settled_by,
    )


def _topic_id(known: BankQuestion, pod: str | None) -> str:
    return known.id if pod is None else f"{known.id}.{pod}"[:128]


def _said(given: Given, known: BankQuestion, capture: Capture, asking: Asking) -> Iterator[tuple[str, Said]]:
    """Topic and what is said of it."""
    if given.status in {Status.DECLINED, Status.NOT_ASKED}:
        return
    if isinstance(known.says, CouldKnow):
        if given.status is Status.ANSWERED:
            could = given.value in known.says.yes
            for other in known.says.of:
                for pod in _pods_of(asking.bank.by_id[other], asking):
                    yield _topic_id(asking.bank.by_id[other], pod), consistency.CouldKnow(could=could)
        return
    pod = _pod(given, capture, asking) if known.by_pod else None
    if known.by_pod and pod is None:
        return
    topic = _topic_id(known, pod)
    if given.status is Status.UNKNOWN:
        yield topic, consistency.Unknown()
    elif given.status is Status.COULD_NOT_KNOW:
        yield topic, consistency.CouldKnow(could=False)
    else:
        yield topic, _value(given, known)


def _pods_of(known: BankQuestion, asking: Asking) -> tuple[str | None, ...]:
    """Of a question about one pod no word is said for all pods: which of them somebody was at, the turns say."""
    return () if known.by_pod else (None,)


def _pod(given: Given, capture: Capture, asking: Asking) -> str | None:
    """The pod that the same turn names."""
    for one in capture.answers:
        question = asking.form.questions[one.question].item
        assert isinstance(question, Question)
        known = asking.bank.by_id.get(question.bank or "")
        if (
            one.turn == given.turn
            and known is not None
            and isinstance(known.says, Place)
            and isinstance(one.value, str)
        ):
            return one.value
    return None


def _value(given: Given, known: BankQuestion) -> Said:
    value = given.value
    match known.says:
        case Quantity(bands=bands) if isinstance(value, str):
            return consistency.Amount(lower=bands[value][0], upper=bands[value][1])
        case Quantity() if isinstance(value, int | float):
            return consistency.Amount(lower=float(value), upper=float(value))
        case Event() if isinstance(value, str):
            start = datetime.combine(date.fromisoformat(value), time(), UTC)
            return consistency.When(not_before=start, not_after=start + timedelta(days=1))
        case YesNo(yes=yes):
            return consistency.YesNo(holds=value in yes)
    raise AssertionError(f"{given.question}: the answer was checked against another form or bank")


@dataclass(frozen=True, kw_only=True)
class _Told:
    capture: Capture
    known: BankQuestion
    sentence: str


def _statement(name: str, topic: str, said: Said, given: Given, told: _Told) -> Statement:
    could_not = given.status is Status.COULD_NOT_KNOW
    return Statement(
        id=name[:128],
        entry=told.capture.entry,
        topic=topic,
        question=told.known.id,
        sentence=told.sentence,
        said_at=told.capture.ended,
        known=Known.COULD_NOT_SEE if could_not else given.known or Known.SAW,
        said=said,
        give_or_take=given.give_or_take,
    )


def _sentence(given: Given, question: Question, capture: Capture, asking: Asking) -> str:
    """Question and answer, as they stood on the page."""
    asked = question.label[capture.language]
    value = given.value
    if given.status is not Status.ANSWERED:
        answer = f"({given.status.value})"
    elif isinstance(value, str) and question.choices in asking.form.lists:
        labels = {choice.name: choice.label[capture.language] for choice in asking.form.lists[question.choices]}
        answer = labels[value]
    elif isinstance(value, tuple):
        answer = ", ".join(value)
    else:
        answer = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{asked} — {answer}"[:SENTENCE_MAX]
