"""Whether what the page exported keeps to the form. `read_capture` believes nothing of it that it can check:

1. It names this form and this frame, and an entry that was drawn; the language is one of the form's.
2. All rights were acknowledged, in the form's order, before the first question; somebody interviewed.
3. Every answer is to a question of the form, in the form's order, once, and only where its conditions hold by the answers before.
   Every question whose conditions hold has an entry: answered, not known, not where it could be known, declined; not asked only
   where the interview was stopped.
4. Every answer is of the kind of its question, among its choices, within its constraint.
5. The interviewee had the answers read back and confirmed them; without that no answer stands.
6. Times run forward.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from inspectorate.canonical import parse_json
from inspectorate.errors import EvidenceError, InputError
from inspectorate.mechanisms.interviews.forms.capture import Break, Capacity, Capture, Frame, Given, Moved, Status
from inspectorate.mechanisms.interviews.forms.expressions import Situation, Value, holds, is_date
from inspectorate.mechanisms.interviews.forms.reference import CAPTURE_BYTES_MAX, INTERVIEW_S_MAX
from inspectorate.mechanisms.interviews.forms.types import Form, Kind, Question, Step


def read_capture(data: bytes, form: Form, frame: Frame, *, where: str) -> Capture:
    """The capture of these bytes, checked against the form and the frame. Raises `EvidenceError`."""
    if len(data) > CAPTURE_BYTES_MAX:
        raise EvidenceError(f"a capture of {len(data)} bytes exceeds {CAPTURE_BYTES_MAX}", where=where)
    capture = Capture.parse(parse_json(data, where=where), where=where, error=EvidenceError)
    check_capture(capture, form, frame, where=where)
    return capture


def check_capture(capture: Capture, form: Form, frame: Frame, *, where: str) -> None:
    """The checks above. Raises `EvidenceError`, which names every fault up to the tenth."""
    faults = list(_faults(capture, form, frame))
    if faults:
        more = f"; and {len(faults) - 10} more" if len(faults) > 10 else ""
        raise EvidenceError(
            "; ".join(faults[:10]) + more, where=where, remedy="record what happened; answers are not repaired"
        )


def _faults(capture: Capture, form: Form, frame: Frame) -> Iterator[str]:
    if frame.form != form.digest:
        raise InputError("the frame is of another form", where="frame")
    if capture.form != form.digest or capture.frame != frame.digest:
        yield "is of another form or frame"
        return
    if capture.entry not in frame.entries:
        yield f"entry {capture.entry} was not drawn"
    if capture.language not in form.languages:
        yield f"the form is not in the language {capture.language}"
    if not any(one.capacity is Capacity.INTERVIEWER for one in capture.present):
        yield "nobody interviewed"
    everybody = (*capture.present, *(act.who for act in capture.acts if isinstance(act, Moved)))
    if not frame.observers and any(one.capacity is Capacity.HOME_STATE for one in everybody):
        yield "the home state observed, which the agreement does not provide for"
    yield from _faults_of_times(capture)
    if capture.outcome == "refused":
        if capture.answers or capture.turns or capture.read_back is not None:
            yield "whoever refuses leaves no answers"
        return
    if capture.rights != tuple(right.name for right in form.rights):
        yield "not all rights were acknowledged in their order before the first question"
    if capture.read_back is None:
        yield "the answers were not read back and confirmed"
    yield from _faults_of_answers(capture, form, frame)


def _faults_of_times(capture: Capture) -> Iterator[str]:
    if not capture.started <= capture.rights_at <= capture.ended:
        yield "the rights were not read within the interview"
    if capture.ended - capture.started > timedelta(seconds=INTERVIEW_S_MAX):
        yield f"it took longer than {INTERVIEW_S_MAX // 3600} hours"
    if capture.read_back is not None and not capture.rights_at <= capture.read_back.at <= capture.ended:
        yield "the answers were read back outside of the interview"
    last = capture.started
    for number, act in enumerate(capture.acts):
        start, end = (act.start, act.end) if isinstance(act, Break) else (act.at, act.at)
        if not last <= start <= end <= capture.ended:
            yield f"act {number} is out of its time"
        last = max(last, start)


@dataclass(frozen=True, kw_only=True)
class _Walk:
    """What answers there are so far, in the order of the form."""

    capture: Capture
    frame: Frame
    form: Form
    answers: dict[str, Value]

    @property
    def today(self) -> str:
        return self.capture.started.date().isoformat()


def _faults_of_answers(capture: Capture, form: Form, frame: Frame) -> Iterator[str]:
    by_place = capture.by_place
    if len(by_place) != len(capture.answers):
        yield "a question has two answers"
        return
    if faults := list(_faults_of_counts(capture, form)):
        yield from faults
        return
    walk = _Walk(capture=capture, frame=frame, form=form, answers={})
    expected: list[tuple[str, int | None]] = []
    for steps, turn in _turns(form, capture):
        inside = dict(walk.answers) if turn is not None else walk.answers
        for step in steps:
            if not isinstance(step.item, Question):
                continue
            if not all(holds(one, Situation(answers=inside, today=walk.today)) for one in step.conditions):
                inside[step.item.name] = None
                continue
            place = (step.item.name, turn)
            expected.append(place)
            given = by_place.get(place)
            if given is None:
                yield f"{_named(place)}: was to be asked, and has no entry"
                continue
            yield from _faults_of_one(given, step.item, walk, inside)
            inside[step.item.name] = value_of(given)
    yield from _faults_of_turns(capture, form, walk)
    for place in by_place.keys() - set(expected):
        yield f"{_named(place)[:80]}: was not to be asked"
    order = [(one.question, one.turn) for one in capture.answers]
    if order != expected and set(order) == set(expected):
        yield "answers are not in the form's order"


def _turns(form: Form, capture: Capture) -> Iterator[tuple[list[Step], int | None]]:
    """Steps outside of repeats one by one; those of a repeat together, once for each of its turns."""
    done: set[str] = set()
    for step in form.steps:
        if step.repeat is None:
            yield [step], None
        elif step.repeat.name not in done:
            done.add(step.repeat.name)
            inside = [one for one in form.steps if one.repeat is step.repeat]
            for turn in range(capture.turns.get(step.repeat.name, 0)):
                yield inside, turn


def _faults_of_counts(capture: Capture, form: Form) -> Iterator[str]:
    repeats = form.repeats
    for name, count in capture.turns.items():
        if name not in repeats:
            yield f"{name}: is no repeat of the form"
        elif count > repeats[name].times_max:
            yield f"{name}: was asked {count} times, of {repeats[name].times_max}"


def _faults_of_turns(capture: Capture, form: Form, walk: _Walk) -> Iterator[str]:
    for name in form.repeats.keys() - capture.turns.keys():
        first = next(step for step in form.steps if step.repeat is not None and step.repeat.name == name)
        above = first.conditions[: len(first.conditions) - len(first.own)]
        if all(holds(one, Situation(answers=walk.answers, today=walk.today)) for one in above):
            yield f"{name}: it does not say how many times it was asked"


def _faults_of_one(given: Given, question: Question, walk: _Walk, inside: Mapping[str, Value]) -> Iterator[str]:
    place = _named((given.question, given.turn))
    if given.status is Status.NOT_ASKED and walk.capture.outcome != "stopped":
        yield f"{place}: not asked, though the interview was not stopped"
    if given.status is not Status.ANSWERED:
        return
    if (given.known is not None) != question.how_known:
        yield f"{place}: how it is known stands where the form asks for it, and nowhere else"
    if given.give_or_take is not None and question.kind not in {Kind.INTEGER, Kind.DECIMAL, Kind.DATE}:
        yield f"{place}: only numbers and days have a margin"
    if fault := _wrong_kind(given, question, walk):
        yield f"{place}: {fault}"
        return
    situation = Situation(answers=inside, here=value_of(given), today=walk.today)
    if question.constraint is not None and not holds(question.constraint, situation):
        yield f"{place}: is outside of its constraint"


def _wrong_kind(given: Given, question: Question, walk: _Walk) -> str | None:
    value = given.value
    choices = _choices(question, walk)
    match question.kind:
        case Kind.INTEGER | Kind.DECIMAL:
            fits = isinstance(value, int | float) and (question.kind is Kind.DECIMAL or float(value).is_integer())
        case Kind.DATE:
            fits = isinstance(value, str) and is_date(value)
        case Kind.TIME:
            fits = isinstance(value, str) and _is_time(value)
        case Kind.TEXT:
            fits = isinstance(value, str) and bool(value.strip())
        case Kind.ONE:
            fits = isinstance(value, str) and value in choices
        case Kind.MANY:
            fits = isinstance(value, tuple) and bool(value) and [c for c in choices if c in value] == list(value)
    return None if fits else f"is no answer of the kind {question.kind.value}, or none of its choices"


def _choices(question: Question, walk: _Walk) -> tuple[str, ...]:
    if question.choices is None:
        return ()
    if question.choices in walk.form.lists:
        return tuple(choice.name for choice in walk.form.lists[question.choices])
    return walk.frame.pods


def _is_time(text: str) -> bool:
    return (
        len(text) == 5
        and text[2] == ":"
        and text[:2].isdecimal()
        and text[3:].isdecimal()
        and text[:2] < "24"
        and text[3:] < "60"
    )


def value_of(given: Given | None) -> Value:
    """The answer as conditions see it."""
    if given is None or given.value is None:
        return None
    if isinstance(given.value, tuple):
        return frozenset(given.value)
    return float(given.value) if isinstance(given.value, int | float) else given.value


def _named(place: tuple[str, int | None]) -> str:
    return place[0] if place[1] is None else f"{place[0]}, turn {place[1] + 1}"
