"""XLSForm in: shipped forms made again, what is understood, what is refused by name, hostile workbooks."""

from __future__ import annotations

import contextlib
import io
import zipfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.errors import EvidenceError, InputError
from inspectorate.mechanisms.interviews.forms import Form, read_form, read_xlsform, workbook
from inspectorate.mechanisms.interviews.forms.shipped import SHIPPED, shipped_form
from inspectorate.mechanisms.interviews.forms.workbook import check_workbook
from inspectorate.mechanisms.interviews.forms.xlsform import Read, from_answer
from inspectorate.mechanisms.interviews.forms.xlsform_apart import read

openpyxl = pytest.importorskip("openpyxl", reason="comes with pyxform, of the extra `interviews`")
FOLDER = files("inspectorate.mechanisms.interviews.forms.shipped")

HEAD = "| survey |\n| | type | name | bank | how_known | relevant | constraint | repeat_count | label::English (en) | {more} |\n"
RIGHTS = (
    "| | begin_group | rights | | | | | | Rights | |\n| | acknowledge | voluntary | | | | | | Freely | |\n"
    "| | end_group | | | | | | | | |\n"
)
TAIL = (
    "| choices |\n| | list_name | name | label::English (en) |\n| | yn | yes | Yes |\n| | yn | no | No |\n"
    "| settings |\n| | form_title | form_id | version |\n| | A form | f | 1 |\n"
)


START, END = "begin_repeat | r | | | | | {} | R | ", "end_repeat | | | | | | | | "


def table(*rows: str, more: str = "default", rights: str = RIGHTS) -> bytes:
    return (HEAD.format(more=more) + rights + "".join(f"| | {row} |\n" for row in rows) + TAIL).encode()


def made(data: bytes) -> Read:
    """Without a process of its own: for cases that come from here."""
    return from_answer(read(data, ".md"), "form.md")


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_forms_are_made_of_their_tables(name: str) -> None:
    again = made((FOLDER / f"{name}.md").read_bytes())
    assert again.form.canonical_bytes() == (FOLDER / f"{name}.json").read_bytes(), (
        "write it anew with `interview form convert`"
    )
    assert again.notices == ()


def test_a_workbook_is_read_in_a_process_apart() -> None:
    """The shipped table as XLSX, made by another program, gives the very form; and a hostile one is refused there."""
    data = as_workbook((FOLDER / "operations.md").read_text(encoding="utf-8"))
    assert read_xlsform(data, "operations.xlsx").form.digest == shipped_form("operations").digest
    with pytest.raises(InputError, match="macros"):
        read_xlsform(with_part(data, "xl/vbaProject.bin", b"x"), "operations.xlsx")


def as_workbook(text: str) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    sheet = None
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split(" |")]
        if cells[0]:
            sheet = book.create_sheet(cells[0])
        else:
            assert sheet is not None
            sheet.append([cell.removeprefix("| ").strip() or None for cell in cells[1:]])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_understands() -> None:
    form = made(
        table(
            "begin_group | g | | | | | | Group | ",
            "select_one yn | a | b1 | yes | | | | A? | ",
            "integer | n | | | ${a} = 'yes' | . > 0 and . < 9 | | N? | ",
            "end_group | | | | | | | | ",
            "begin_repeat | r | | | ${n} > 2 | | 4 | Pods | ",
            "select_one_from_file pods.csv | p | | | | | | Pod? | ",
            "select_multiple yn | q | | | ${p} != '' | | | Q? | ",
            "end_repeat | | | | | | | | ",
            "note | last | | | | | | Bye | ",
        )
    ).form
    steps = {step.item.name: step for step in form.steps}
    assert list(steps) == ["a", "n", "p", "q", "last"]
    assert [len(step.conditions) for step in steps.values()] == [0, 1, 1, 2, 0]
    assert form.repeats["r"].times_max == 4
    assert form.questions["a"].item.how_known  # type: ignore[union-attr]
    assert read_form(form.canonical_bytes(), where="again") == form


def test_required_is_dropped_and_said_so() -> None:
    read_ = made(table("text | t | | | | | | T? | yes", more="required"))
    assert "anybody may refuse" in read_.notices[0]


@pytest.mark.parametrize(
    ("rows", "more", "named"),
    [
        (["integer | n | | | | | | N? | 4"], "default", "already leads"),
        (["calculate | n | | | | | | N? | 1 + 1"], "calculation", "`calculate`"),
        (["geopoint | g | | | | | | Where? | "], "default", "`geopoint`"),
        (["image | i | | | | | | Photo? | "], "default", "`photo`"),
        (["datetime | i | | | | | | When? | "], "default", "`datetime`"),
        (["text | t | | | | | | T? | ${t}"], "choice_filter", "not supported"),
        (["text | t | | | | | | T? | true()"], "read_only", "`readonly`"),
        (["text | t | | | | | | T ${t}? | "], "default", "stands by"),
        (["text | t | | | regex(${t}, '(a+)+') | | | T? | "], "default", "`regex`"),
        (["text | t | | | ${later} = 'x' | | | T? | ", "text | later | | | | | | L? | "], "default", "${later}"),
        (["text | t | | maybe | | | | T? | "], "default", "yes or no"),
        (["acknowledge | k | | | | | | K | "], "default", "`rights`"),
        ([START.format(""), "text | t | | | | | | T? | ", END], "default", "its bound"),
        ([START.format("99"), "text | t | | | | | | T? | ", END], "default", "times_max"),
        (["select_one_from_file people.csv | p | | | | | | Who? | "], "default", "not in the form"),
        (["text | t | | | | | | T? | x"], "label::French (fr)", "languages"),
        (["text | t | | | | | | T? | x"], "label::Klingon (!!)", "language"),
        (["text | t | | | | | | T? | ", "text | t | | | | | | T? | "], "default", "t"),
        (["begin_repeat | r | | | | | 2 | R | ", "begin_repeat | s | | | | | 2 | S | ", "text | t | | | | | | T? | ",
          "end_repeat | | | | | | | | ", "end_repeat | | | | | | | | "], "default", "items"),
    ],
)  # fmt: skip
def test_refuses_by_name(rows: list[str], more: str, named: str) -> None:
    with pytest.raises(InputError) as refused:
        made(table(*rows, more=more))
    assert named in str(refused.value)


def test_a_form_begins_with_rights() -> None:
    with pytest.raises(InputError, match="first thing"):
        made(table("text | t | | | | | | T? | ", rights=""))


# --- hostile workbooks ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain() -> bytes:
    return as_workbook((FOLDER / "research.md").read_text(encoding="utf-8"))


def with_part(data: bytes, name: str, content: bytes) -> bytes:
    """The workbook with one part more, or another one in its place."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for one in old.namelist():
            if one != name:
                new.writestr(one, old.read(one))
        new.writestr(name, content)
    return out.getvalue()


def _many(data: bytes) -> bytes:
    out = io.BytesIO(data)
    with zipfile.ZipFile(out, "a") as archive:
        for number in range(80):
            archive.writestr(f"xl/worksheets/sheet{number + 20}.xml", b"<x/>")
    return out.getvalue()


SHEET = "xl/worksheets/sheet1.xml"
HOSTILE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "bomb": (lambda d: with_part(d, SHEET, b"<c>" + b" " * (30 << 20)), "unpacks to"),
    "entity": (lambda d: with_part(d, SHEET, b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>'), "document type"),
    "external entity": (lambda d: with_part(d, "xl/sharedStrings.xml", b'<!doctype x SYSTEM "file:///x"><x/>'), "document type"),
    "entity in UTF-16": (lambda d: with_part(d, SHEET, '<?xml version="1.0"?><!DOCTYPE x><x/>'.encode("utf-16")), "no XLSX"),
    "entity in UTF-7": (lambda d: with_part(d, SHEET, b'<?xml version="1.0" encoding="utf-7"?><x/>'), "not in UTF-8"),
    "macros": (lambda d: with_part(d, "xl/vbaProject.bin", b"x"), "macros"),
    "link": (lambda d: with_part(d, "xl/externalLinks/externalLink1.xml", b"<x/>"), "links"),
    "remote": (lambda d: with_part(d, "xl/_rels/workbook.xml.rels", b'<r TargetMode="External"/>'), "outside of it"),
    "object": (lambda d: with_part(d, "xl/embeddings/oleObject1.bin", b"x"), "embedded"),
    "formula": (lambda d: with_part(d, SHEET, b"<row><c><f>WEBSERVICE(1)</f></c></row>"), "formulas"),
    "formula with a prefix": (lambda d: with_part(d, SHEET, b"<x:row><x:c><x:f>1</x:f></x:c></x:row>"), "formulas"),
    "cells": (lambda d: with_part(d, SHEET, b"".join(b'<c r="%d"/>' % i for i in range(50_000))), "cells"),
    "strange part": (lambda d: with_part(d, "evil.exe", b"MZ"), "no part"),
    "climbing part": (lambda d: with_part(d, "xl/worksheets/../../x.xml", b"<x/>"), "no part"),
    "part without a name": (lambda d: with_part(d, "aaa.xml", b"<x/>").replace(b"aaa.xml", 7 * b"\0"), "no part"),
    "many parts": (_many, "parts exceed"),
    "no zip": (lambda _: b"PK\x03\x04 nothing", "no XLSX"),
    "cut": (lambda d: d[: len(d) // 2], "no XLSX"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_workbooks_are_refused_before_anything_reads_them(plain: bytes, name: str) -> None:
    change, named = HOSTILE[name]
    with pytest.raises(InputError) as refused:
        check_workbook(change(plain), where="form.xlsx")
    assert named in str(refused.value)


def test_a_plain_workbook_passes(plain: bytes) -> None:
    check_workbook(plain, where="form.xlsx")


def test_a_size_in_a_header_is_only_said(plain: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "UNPACKED_BYTES_MAX", 1000)
    with pytest.raises(InputError, match="unpacks to more"):
        check_workbook(plain, where="form.xlsx")


@settings(max_examples=60)
@given(st.data())
def test_a_changed_workbook_is_read_or_refused(plain: bytes, data: st.DataObject) -> None:
    changed = bytearray(plain)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InputError):
        check_workbook(bytes(changed), where="form.xlsx")


KEYS = ("form", "children", "type", "name", "label", "bind", "relevant", "control", "choices", "itemset", "parameters")


@settings(max_examples=60)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS), inner, max_size=5),
        max_leaves=12,
    )
)  # fmt: skip
def test_what_the_process_apart_says_is_believed_by_nobody(said: object) -> None:
    for answer in (said, {"form": said}, {"form": {"children": [said, said]}}, {"form": {"children": said}}):
        with pytest.raises(InputError):
            from_answer(answer, "form.md")


def test_a_form_has_one_byte_form(tmp_path: Path) -> None:
    data = shipped_form("research").canonical_bytes()
    for changed in (data + b"\n", data.replace(b'"en":', b'"en" :', 1), b"{}", b"[]", b"", data[:-1]):
        with pytest.raises((InputError, EvidenceError)):
            read_form(changed, where="form.json")
    assert Form.model_validate_json(data).digest == shipped_form("research").digest
