"""Forms against the question bank, and answers as statements by it."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest
from forms_cases import PODS, capture_of, frame_of

from inspectorate.agreement import ClauseKind
from inspectorate.errors import InputError
from inspectorate.mechanisms.interviews.consistency.types import AnswerSheet, Known, TopicKind
from inspectorate.mechanisms.interviews.forms import (
    Asking,
    Capture,
    Finding,
    Form,
    check_scope,
    read_bank,
    read_capture,
    shipped_bank,
    statements_of,
    topics_of,
)
from inspectorate.mechanisms.interviews.forms.reference import LANGUAGES, RIGHTS
from inspectorate.mechanisms.interviews.forms.shipped import SHIPPED, shipped_form

BANK = shipped_bank()
OPERATIONS = shipped_form("operations")


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_forms_keep_to_the_bank_and_are_complete(name: str) -> None:
    form = shipped_form(name)
    assert check_scope(form, BANK) == ()
    assert form.languages == LANGUAGES
    assert tuple(right.name for right in form.rights) == RIGHTS


def test_every_question_of_the_bank_is_asked_by_a_shipped_form() -> None:
    asked = {step.item.bank for name in SHIPPED for step in shipped_form(name).questions.values()}  # type: ignore[union-attr]
    assert asked == set(BANK.by_id)


def changed(name: str, **values: object) -> Form:
    """The form for operations with one question changed."""
    data = OPERATIONS.model_dump(mode="json", exclude_none=True)

    def visit(items: list[dict[str, object]]) -> None:
        for item in items:
            if item["name"] == name:
                item.update(values)
            visit(item.get("items", []))  # type: ignore[arg-type]

    visit(data["items"])
    return Form.model_validate(data)


def worded(**other: str) -> dict[str, str]:
    return {language: other.get(language, "…") for language in LANGUAGES}


@pytest.mark.parametrize(
    ("form", "finding", "text"),
    [
        (changed("racks", bank=None), Finding.UNTIED, "no question of the bank"),
        (changed("racks", bank="made-up"), Finding.UNTIED, "made-up"),
        (changed("racks", label=worded(en="How many racks are there really?")), Finding.REWORDED, "How many racks with AI chips"),
        (changed("racks", kind="text", constraint=None), Finding.OTHER_KIND, "integer"),
        (changed("racks", kind="text", constraint=None), Finding.OPEN, "written words"),
        (changed("which_pod", bank="racks"), Finding.NO_PLACE, "names the pod"),
        (changed("racks", label=worded(en="Surely there were more racks?")), Finding.LEADING, "Surely"),
        (changed("racks", label=worded(zh="难道没有更多机架吗？")), Finding.LEADING, "难道"),
        (changed("racks", label=worded(ar="أليس كذلك؟")), Finding.LEADING, "ar"),
        (changed("racks", label=worded(en="What is the password of the racks?")), Finding.OUT_OF_SCOPE, "password"),
        (changed("racks", label=worded(ru="Назовите фамилию начальника")), Finding.OUT_OF_SCOPE, "фамили"),
        (changed("racks", hint=worded(es="Con contraseña, por favor")), Finding.OUT_OF_SCOPE, "contraseña"),
        (OPERATIONS.model_copy(update={"rights": OPERATIONS.rights[1:]}), Finding.RIGHTS, "not told"),
        (OPERATIONS.model_copy(update={"rights": OPERATIONS.rights[::-1]}), Finding.RIGHTS, "order"),
        (OPERATIONS.model_copy(update={"languages": ("en",)}), Finding.LANGUAGE, "zh"),
    ],
)  # fmt: skip
def test_finds(form: Form, finding: Finding, text: str) -> None:
    found = [one for one in check_scope(form, BANK) if one.finding is finding]
    assert any(text in f"{one.place} {one.text}" for one in found), found


def test_a_question_serves_a_clause_of_the_agreement() -> None:
    found = check_scope(OPERATIONS, BANK, frozenset({ClauseKind.HIDDEN_TRAINING}))
    assert {one.place for one in found if one.finding is Finding.OFF_CLAUSE} >= {"recabled", "sensors_touched"}
    assert check_scope(OPERATIONS, BANK, frozenset(ClauseKind)) == ()


def test_a_bank_that_contradicts_itself_is_refused() -> None:
    data = (files("inspectorate.mechanisms.interviews.forms.shipped") / "bank.yaml").read_text(encoding="utf-8")
    for old, new, named in (
        ("unit: days}", "unit: days, bands: {few: [0, 3]}}", "cannot say quantity"),
        ("strata: [network]", "strata: [gardeners]", "gardeners"),
        ("of: [pod-trained", "of: [pod-eaten", "pod-eaten"),
        ("id: racks", "id: recabled", "twice"),
        ("says: {says: event}", "says: {says: verdict}", "says"),
        ("clauses: [interviewed-staff]", "clauses: [guesswork]", "clauses"),
        ("format:", "format: &a", "format"),
    ):
        assert old in data
        with pytest.raises(InputError) as refused:
            read_bank(data.replace(old, new, 1).encode(), where="bank.yaml") if named != "format" else read_bank(
                b"x: *a", where="bank.yaml"
            )
        assert named in str(refused.value) or named == "format"


# --- statements ----------------------------------------------------------------------------------------------------------

CLAUSES = {kind: f"clause-{kind.value}" for kind in (ClauseKind.HIDDEN_TRAINING, ClauseKind.INTERVIEWED_STAFF)}


def asking(form: Form = OPERATIONS) -> Asking:
    return Asking(form=form, bank=BANK, frame=frame_of(form), clauses=CLAUSES)


def heard(form: Form = OPERATIONS, **more: object) -> Capture:
    frame = frame_of(form)
    return read_capture(json.dumps(capture_of(form, frame, **more)).encode(), form, frame, where="capture.json")


@pytest.mark.parametrize("name", SHIPPED)
def test_statements_and_topics_fit_together(name: str) -> None:
    form = shipped_form(name)
    sheet = AnswerSheet.model_validate(
        {
            "id": "sheet", "origin": "simulated", "topics": topics_of(asking(form)),
            "interviewees": [{"entry": 3, "stratum": "operators"}], "statements": statements_of(heard(form), asking(form)),
        }
    )  # fmt: skip
    assert len(sheet.statements) > 10
    assert {topic.clause for topic in sheet.topics} <= set(CLAUSES.values())


def test_a_topic_about_a_pod_stands_once_for_each_pod() -> None:
    topics = {topic.id: topic for topic in topics_of(asking())}
    assert [name for name in topics if name.startswith("pod-off-days")] == [f"pod-off-days.{pod}" for pod in PODS]
    assert topics["pod-off-days.A2"].pods == ("A2",)
    assert topics["racks"].kind is TopicKind.QUANTITY
    assert topics["recabled-day"].kind is TopicKind.EVENT
    assert topics["recabled"].kind is TopicKind.ACTIVITY
    assert "which-pod" not in topics
    assert "told-what-to-say" not in topics


def said(capture: Capture, topic: str) -> list[tuple[str, object]]:
    return [
        (one.known, one.said.model_dump())
        for one in statements_of(capture, asking())
        if one.topic == topic and one.said.kind != "could-know"
    ]


def test_answers_say_what_the_bank_says_they_do() -> None:
    capture = heard(say={"which_pod": "B3", "racks": 12, "recabled": "no"})
    assert said(capture, "pod-training-days.B3") == [(Known.SAW, {"kind": "amount", "lower": 7.0, "upper": 7.0})]
    assert said(capture, "pod-training-days.A1") == []
    assert said(capture, "racks") == [(Known.SAW, {"kind": "amount", "lower": 12.0, "upper": 12.0})]
    assert said(capture, "recabled") == [(Known.SAW, {"kind": "yes-no", "holds": False})]
    day = said(capture, "sensors-touched-day")[0][1]
    assert isinstance(day, dict)
    assert (day["not_after"] - day["not_before"]).days == 1
    assert day["not_before"].isoformat() == "2026-03-14T00:00:00+00:00"


def test_what_was_not_answered_says_what_it_says_and_no_more() -> None:
    assert said(heard(say={"racks": {"status": "unknown"}}), "racks") == [(Known.SAW, {"kind": "unknown"})]
    assert said(heard(say={"racks": {"status": "declined"}}), "racks") == []
    could_not = [
        one
        for one in statements_of(heard(say={"racks": {"status": "could-not-know"}}), asking())
        if one.topic == "racks"
    ]
    assert {one.known for one in could_not} >= {Known.COULD_NOT_SEE}
    refused = {"outcome": "refused", "answers": [], "turns": {}, "read_back": None}
    assert statements_of(heard(**refused), asking()) == ()
    # Without the pod, nothing is said of any pod.
    nowhere = statements_of(heard(say={"which_pod": {"status": "declined"}}), asking())
    assert not [one for one in nowhere if one.topic.startswith("pod-")]


def test_whoever_says_they_were_not_there_says_so_of_each_topic() -> None:
    statements = statements_of(heard(say={"work_at_pods": "no"}), asking())
    assert {one.topic for one in statements} == {"racks", "recabled", "recabled-day", "cables-between-pods", "around-gateway",
                                                "sensors-touched", "sensors-touched-day"}  # fmt: skip
    assert all(one.said.model_dump() == {"kind": "could-know", "could": False} for one in statements)


def test_a_sentence_stands_in_the_language_it_was_said_in() -> None:
    sentences = {one.question: one.sentence for one in statements_of(heard(language="fr"), asking())}
    assert sentences["recabled"] == "Des câbles réseau entre pods ont-ils été ajoutés, déplacés ou retirés ? — Oui"


def test_without_a_clause_there_is_no_statement() -> None:
    assert topics_of(Asking(form=OPERATIONS, bank=BANK, frame=frame_of(OPERATIONS), clauses={})) == ()
    assert statements_of(heard(), Asking(form=OPERATIONS, bank=BANK, frame=frame_of(OPERATIONS), clauses={})) == ()
