"""A capture against form and frame: what is believed, and every way in which one may be wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from forms_cases import capture_of, frame_of, given
from hypothesis import given as any_of
from hypothesis import settings
from hypothesis import strategies as st

from inspectorate.errors import EvidenceError, InputError
from inspectorate.mechanisms.interviews.forms import Status, read_capture
from inspectorate.mechanisms.interviews.forms.reference import CAPTURE_BYTES_MAX
from inspectorate.mechanisms.interviews.forms.shipped import SHIPPED, shipped_form

FORM = shipped_form("operations")
FRAME = frame_of(FORM)


def read(capture: Any) -> Any:
    return read_capture(json.dumps(capture).encode(), FORM, FRAME, where="capture.json")


@pytest.mark.parametrize("name", SHIPPED)
def test_an_honest_capture_is_believed(name: str) -> None:
    form = shipped_form(name)
    frame = frame_of(form)
    capture = read_capture(json.dumps(capture_of(form, frame)).encode(), form, frame, where="capture.json")
    assert len(capture.answers) == len(form.questions)
    assert all(one.status is Status.ANSWERED for one in capture.answers)


def test_somebody_who_was_not_at_the_pods_is_asked_no_more_of_them() -> None:
    capture = read(capture_of(FORM, FRAME, say={"work_at_pods": "no"}))
    assert [one.question for one in capture.answers] == ["work_at_pods", "told_what_to_say", "treated_worse"]
    assert capture.turns == {}


def test_several_pods_none_or_as_many_as_the_form_has() -> None:
    for turns in (0, 2, 6):
        capture = read(capture_of(FORM, FRAME, times={"pods": turns}))
        assert sum(one.question == "which_pod" for one in capture.answers) == turns


@pytest.mark.parametrize("status", ["unknown", "could-not-know", "declined"])
def test_any_question_may_be_left_open(status: str) -> None:
    for name in FORM.questions:
        read(capture_of(FORM, FRAME, say={name: {"status": status}}))


def test_whoever_refuses_leaves_nothing() -> None:
    nothing = {"outcome": "refused", "answers": [], "turns": {}, "rights": [], "read_back": None}
    assert read(capture_of(FORM, FRAME, **nothing)).answers == ()


def test_whoever_stops_confirms_what_was_said_by_then() -> None:
    answers, turns = given(FORM)
    open_ = [
        one if i < 3 else {**{k: one[k] for k in ("question", "turn") if k in one}, "status": "not-asked"}
        for i, one in enumerate(answers)
    ]
    # What was not asked has no answer, so that what depends on it is not asked either.
    open_ = [one for one in open_ if one["question"] not in {"recabled_day", "sensors_touched_day"}]
    capture = read(capture_of(FORM, FRAME, outcome="stopped", answers=open_, turns=turns))
    assert capture.outcome == "stopped"
    with pytest.raises(EvidenceError, match="not stopped"):
        read(capture_of(FORM, FRAME, answers=open_, turns=turns))
    with pytest.raises(EvidenceError, match="read back"):
        read(capture_of(FORM, FRAME, outcome="stopped", answers=open_, turns=turns, read_back=None))


def _set(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda capture: capture.update(values)


def _answer(place: int, **values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda capture: capture["answers"][place].update(values)


def _not_asked(capture: dict[str, Any]) -> None:
    capture["answers"][3] = {"question": capture["answers"][3]["question"], "turn": 0, "status": "not-asked"}


LATE = {"act": "break", "start": "2026-04-07T12:00:00Z", "end": "2026-04-07T12:05:00Z"}
HOME = {"capacity": "home-state-observer", "name": "guest-1"}
WRONG: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "another form": (_set(form="sha256:" + 64 * "b"), "another form or frame"),
    "another frame": (_set(frame="sha256:" + 64 * "b"), "another form or frame"),
    "not drawn": (_set(entry=4), "was not drawn"),
    "language": (_set(language="de"), "language de"),
    "nobody asked": (_set(present=[{"capacity": "counsel", "name": "x"}]), "nobody interviewed"),
    "observer": (lambda c: c["present"].append(HOME), "does not provide"),
    "observer who came": (_set(acts=[{"act": "came", "at": "2026-04-07T09:30:00Z", "who": HOME}]), "does not provide"),
    "a right left out": (lambda c: c["rights"].pop(), "rights"),
    "rights in another order": (lambda c: c["rights"].reverse(), "rights"),
    "rights after the end": (_set(rights_at="2026-04-07T11:00:00Z"), "rights were not read within"),
    "not confirmed": (_set(read_back=None), "read back"),
    "confirmed before the rights": (_set(read_back={"at": "2026-04-07T09:01:00Z", "how": "read"}), "outside of the interview"),
    "two days": (_set(ended="2026-04-08T10:15:00Z"), "longer than 12 hours"),
    "backwards": (_set(ended="2026-04-07T08:00:00Z"), "within the interview"),
    "to the second": (_set(started="2026-04-07T09:00:01Z"), "to the minute"),
    "break out of its time": (_set(acts=[LATE]), "act 0"),
    "acts out of order": (_set(acts=[{"act": "deviation", "at": f"2026-04-07T09:{m}:00Z", "by": "interviewer", "kind": "pressed"}
                                     for m in (40, 20)]), "act 1"),
    "unknown question": (lambda c: c["answers"].append({"question": "colleagues", "status": "declined"}), "was not to be asked"),
    "question asked twice": (lambda c: c["answers"].append(dict(c["answers"][0])), "two answers"),
    "question left out": (lambda c: c["answers"].pop(3), "has no entry"),
    "other order": (lambda c: c["answers"].reverse(), "order"),
    "irrelevant question": (_answer(2, value="no"), "was not to be asked"),
    "no such choice": (_answer(0, value="perhaps"), "choices"),
    "no such pod": (_answer(1, value="Z9"), "choices"),
    "several choices": (_answer(0, value=["yes"]), "choices"),
    "text for a number": (_answer(3, value="7"), "kind integer"),
    "part of a day": (_answer(3, value=7.5), "kind integer"),
    "outside the constraint": (_answer(3, value=401), "outside of its constraint"),
    "a day that is not": (_answer(7, value="2026-02-30"), "kind date"),
    "a day to come": (_answer(7, value="2026-04-08"), "outside of its constraint"),
    "truth for a number": (_answer(3, value=True), "value"),
    "infinite": (_answer(3, value=1e300), "value"),
    "answered with nothing": (_answer(3, value=None), "a value stands"),
    "declined with a value": (_answer(3, status="declined"), "a value stands"),
    "not asked": (_not_asked, "not stopped"),
    "how known is missing": (lambda c: c["answers"][3].pop("known"), "how it is known"),
    "how known where not asked": (_answer(0, known="saw"), "how it is known"),
    "could not see, and says": (_answer(3, known="could-not-see"), "could-not-know"),
    "margin of a choice": (_answer(2, give_or_take=1), "margin"),
    "negative margin": (_answer(3, give_or_take=-1), "give_or_take"),
    "too many turns": (_set(turns={"pods": 9}), "9 times"),
    "turns of nothing": (_set(turns={"pods": 1, "site": 1}), "no repeat"),
    "turns not said": (_set(turns={}), "how many times"),
    "refused with answers": (_set(outcome="refused"), "no answers"),
    "unknown field": (_set(credibility=0.4), "credibility"),
    "time of an answer": (_answer(3, seconds=12.5), "seconds"),
    "words of a bool": (_set(accommodation="yes please"), "accommodation"),
    "a name with markup": (_set(present=[{"capacity": "interviewer", "name": "<b>"}]), "name"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_capture_that_does_not_fit_is_refused_by_name(name: str) -> None:
    change, named = WRONG[name]
    with pytest.raises(EvidenceError) as refused:
        read(capture_of(FORM, FRAME, change))
    assert named in str(refused.value)
    assert "capture.json" in str(refused.value)


def test_deviations_are_counted_and_their_words_kept_only_where_wanted() -> None:
    acts = [
        {"act": "deviation", "at": "2026-04-07T09:30:00Z", "by": "interviewer", "kind": "asked-outside"},
        {"act": "break", "start": "2026-04-07T09:40:00Z", "end": "2026-04-07T09:50:00Z"},
        {
            "act": "deviation",
            "at": "2026-04-07T09:55:00Z",
            "by": "interviewee",
            "kind": "volunteered",
            "words": "as I want it",
        },
    ]
    capture = read(capture_of(FORM, FRAME, acts=acts))
    assert capture.deviations == 2
    assert [getattr(act, "words", None) for act in capture.acts] == [None, None, "as I want it"]


def test_an_observer_is_there_where_the_agreement_says_so() -> None:
    frame = frame_of(FORM, observers=True)
    capture = capture_of(FORM, frame, lambda c: c["present"].append(HOME))
    assert read_capture(json.dumps(capture).encode(), FORM, frame, where="capture.json").present[1].name == "guest-1"


def test_the_frame_is_of_the_form() -> None:
    with pytest.raises(InputError, match="another form"):
        read_capture(
            json.dumps(capture_of(FORM, FRAME)).encode(), shipped_form("research"), FRAME, where="capture.json"
        )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b'{"answers": [{"answers": []}]}',
        b"[" * 5000,
        b'{"a":1,"a":2}',
        b" " * (CAPTURE_BYTES_MAX + 1),
    ],
)
def test_hostile_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        read_capture(data, FORM, FRAME, where="capture.json")


LEAF = (
    st.none()
    | st.booleans()
    | st.integers(-5, 10**17)
    | st.floats(allow_nan=False)
    | st.text(max_size=6)
    | st.just("yes")
    | st.just([])
)


@settings(max_examples=60)
@any_of(st.data())
def test_a_changed_capture_is_believed_or_refused_and_nothing_else(data: st.DataObject) -> None:
    """Whatever is changed: what is believed has the form's answers in the form's order, and no other."""
    capture = capture_of(FORM, FRAME)
    spot: Any = capture
    while True:
        key = data.draw(st.sampled_from(sorted(spot)) if isinstance(spot, dict) else st.integers(0, len(spot) - 1))
        if isinstance(spot[key], dict | list) and spot[key] and data.draw(st.booleans()):
            spot = spot[key]
            continue
        spot[key] = data.draw(LEAF)
        break
    try:
        believed = read(capture)
    except EvidenceError:
        return
    assert {one.question for one in believed.answers} <= set(FORM.questions)
    assert believed.outcome == "refused" or believed.read_back is not None
