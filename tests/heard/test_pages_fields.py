"""The reading of forms: what our pages can send is read, all else is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.evidence.heard import Activity
from inspectorate.mechanisms.whistleblowing.web.pages import (
    FOLLOW_FIELDS,
    REPORT_FIELDS,
    RETURN_FIELDS,
    FormTrouble,
    Trouble,
    read_form,
)

ALL = {"report": REPORT_FIELDS, "return": RETURN_FIELDS, "follow": FOLLOW_FIELDS}


def trouble(sent: dict[str, list[str]]) -> Trouble:
    with pytest.raises(FormTrouble) as fault:
        read_form(REPORT_FIELDS, sent)
    return fault.value.trouble


def test_a_form_as_browsers_send_it() -> None:
    sent = {
        "seen": [" one\r\ntwo\r\n"],
        "kind": ["silenced", "training"],
        "circle": ["few"],
        "when": ["\tin  March "],
        "view": [""],
    }
    assert read_form(REPORT_FIELDS, sent) == {
        "kind": "training,silenced",
        "when": "in March",
        "seen": "one\ntwo",
        "circle": "few",
    }


def test_nothing_at_all_is_no_answer() -> None:
    assert read_form(REPORT_FIELDS, {}) == {}
    assert read_form(REPORT_FIELDS, {field.name: [] for field in REPORT_FIELDS}) == {}
    assert read_form(REPORT_FIELDS, {"seen": [" \r\n\u202e\x00 "], "circle": [""]}) == {}


def test_kinds_are_the_activities_of_leads() -> None:
    assert REPORT_FIELDS[0].choices == tuple(Activity)


@pytest.mark.parametrize(
    "sent",
    [
        {"name": ["x"]},
        {"seen": ["a", "b"]},
        {"circle": ["few", "many"]},
        {"circle": ["everybody"]},
        {"kind": ["training", "training"]},
        {"kind": ["training,silenced"]},
        {"files": ["x"]},
        {"phrase": ["x"]},
    ],
)
def test_what_no_page_of_ours_sends(sent: dict[str, list[str]]) -> None:
    assert trouble(sent) is Trouble.UNREADABLE


def test_bounds_count_what_browsers_count() -> None:
    """`maxlength` counts a line end as one; browsers send two bytes for it."""
    most = next(field.chars_max for field in REPORT_FIELDS if field.name == "seen")
    assert len(read_form(REPORT_FIELDS, {"seen": ["a" + "\r\n" * (most - 2) + "a"]})["seen"]) == most
    assert trouble({"seen": ["a" + "\r\n" * (most - 1) + "a"]}) is Trouble.TOO_LONG
    assert trouble({"seen": ["x" * 1_000_000]}) is Trouble.TOO_LONG


def test_marks_that_turn_text_around_are_taken_out() -> None:
    assert read_form(REPORT_FIELDS, {"place": ["pod\u202e 3B\u2066"]}) == {"place": "pod 3B"}
    assert read_form(REPORT_FIELDS, {"seen": ["رأيت\u200f 3"]}) == {"seen": "رأيت\u200f 3"}


@settings(max_examples=80)
@given(st.sampled_from(sorted(ALL)), st.data())
def test_any_form_is_read_within_bounds_or_refused(form: str, data: st.DataObject) -> None:
    fields = ALL[form]
    names = st.sampled_from([field.name for field in fields]) | st.text(max_size=8)
    texts = st.text(st.characters(), max_size=40) | st.sampled_from([*Activity, "few", "now", "x" * 9000])
    sent = data.draw(st.dictionaries(names, st.lists(texts, max_size=3), max_size=6))
    try:
        read = read_form(fields, sent)
    except FormTrouble:
        return
    bounds = {field.name: field for field in fields}
    for name, text in read.items():
        assert text
        text.encode()
        assert len(text) <= max(bounds[name].chars_max, len(",".join(bounds[name].choices)))
    assert read_form(fields, {k: v.split(",") if k == "kind" else [v] for k, v in read.items()}) == read
