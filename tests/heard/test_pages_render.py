"""The pages: one length, everything escaped, nothing from elsewhere, all of every field."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pages_values import PHRASE, large, small, values
from pydantic import ValidationError

from inspectorate.mechanisms.whistleblowing.web.pages import (
    CONTENT_SECURITY_POLICY,
    FOLLOW_FIELDS,
    LANGUAGES,
    PAGE_BYTES,
    REPORT_FIELDS,
    RETURN_FIELDS,
    STATUS,
    FieldKind,
    Notice,
    OfficeShown,
    Page,
    ShownReply,
    Trouble,
    render,
)
from inspectorate.mechanisms.whistleblowing.web.pages.render import RECEIPT_CHARS_MAX, REPLIES_BYTES, parts_of

VOID = {"meta", "link", "input", "br"}
MAY_LINK = re.compile(r"^(/|/(en|zh|fr|ru|ar|es)/(|keys|report|return|follow)|#text|data:,)$")


class Reading(HTMLParser):
    """Tags, attributes and whether all that was opened was closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, name: str) -> list[str]:
        return [value or "" for _, attributes in self.tags for key, value in attributes.items() if key == name]


def read(data: bytes) -> Reading:
    reading = Reading()
    reading.feed(data.decode())
    reading.close()
    assert reading.open == []
    return reading


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", Page)
def test_every_page(page: Page, language: str) -> None:
    receipt = ("0123456789abcdef" * RECEIPT_CHARS_MAX)[:RECEIPT_CHARS_MAX]
    for notice, given_receipt in ((small(), ""), (large(), receipt)):
        data = render(page, language, values(page, language, notice, receipt=given_receipt))
        assert len(data) == PAGE_BYTES
        reading = read(data)
        assert not {tag for tag, _ in reading.tags} & {
            "script",
            "img",
            "iframe",
            "object",
            "embed",
            "svg",
            "base",
            "video",
        }
        assert not [
            name for _, attributes in reading.tags for name in attributes if name.startswith("on") or name == "style"
        ]
        assert all(MAY_LINK.match(link) for name in ("href", "action", "src") for link in reading.all(name))
        assert len(set(reading.all("id"))) == len(reading.all("id"))
        refers = [
            one
            for name in ("aria-describedby", "aria-labelledby", "for")
            for value in reading.all(name)
            for one in value.split()
        ]
        assert set(refers) <= set(reading.all("id"))
        html = next(attributes for tag, attributes in reading.tags if tag == "html")
        assert html["dir"] == ("rtl" if language == "ar" else "ltr")
        assert sum(tag == "h1" for tag, _ in reading.tags) == 1
        assert data.count(b"<style>") == 1


def test_equal_values_give_equal_pages() -> None:
    assert render(Page.HOME, "fr", values(Page.HOME, "fr")) == render(Page.HOME, "fr", values(Page.HOME, "fr"))


def test_the_style_is_the_one_that_the_policy_allows() -> None:
    styles = {
        re.search(rb"<style>(.*?)</style>", render(page, "en", values(page, "en")), re.DOTALL).group(1) for page in Page
    }  # type: ignore[union-attr]
    assert len(styles) == 1
    style = styles.pop()
    assert b"sha256-" + base64.b64encode(hashlib.sha256(style).digest()) in CONTENT_SECURITY_POLICY.encode()
    assert b"url(" not in style
    assert b"@import" not in style
    assert "script-src" not in CONTENT_SECURITY_POLICY
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none'; ")


def test_style_turns_with_the_script() -> None:
    """Only logical properties: nothing names left or right."""
    style = re.search(rb"<style>(.*?)</style>", render(Page.HOME, "ar", values(Page.HOME, "ar")), re.DOTALL)
    assert style is not None
    assert not re.search(
        rb"\b(left|right|width|margin-(top|bottom)|padding-(top|bottom))\s*:", style.group(1).replace(b"max-width", b"")
    )


@pytest.mark.parametrize(
    "form", [(Page.REPORT, REPORT_FIELDS), (Page.RETURN, RETURN_FIELDS), (Page.THREAD, FOLLOW_FIELDS)]
)
def test_forms_ask_for_the_fields_and_nothing_else(form: tuple[Page, tuple]) -> None:  # type: ignore[type-arg]
    page, fields = form
    reading = read(render(page, "en", values(page, "en")))
    inputs = [a for tag, a in reading.tags if tag in {"input", "textarea"}]
    shown = {a["name"] for a in inputs} - {"files"}
    assert shown == {field.name for field in fields} - ({"part"} if page is Page.RETURN else set())
    for field in fields:
        found = [a for a in inputs if a["name"] == field.name]
        if field.kind in {FieldKind.ONE, FieldKind.SEVERAL}:
            assert tuple(a["value"] for a in found) == field.choices
        elif field.name != "part" and found[0].get("type") != "hidden":
            assert [a["maxlength"] for a in found] == [str(field.chars_max)]
            assert found[0]["spellcheck"] == "false", "a browser may send what it checks to its maker"
    if page is not Page.RETURN:
        assert inputs[-1]["name"] == "files", "answers come before the first byte of a file"
    assert all(a["autocomplete"] == "off" for tag, a in reading.tags if tag == "form")


def test_nothing_must_be_answered() -> None:
    assert b"required" not in render(Page.REPORT, "en", values(Page.REPORT, "en"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_code_page_shows_all_of_the_phrase(language: str) -> None:
    text = render(Page.SENT, language, values(Page.SENT, language)).decode()
    shown = re.findall(r'<bdi class="word"[^>]*>([^<]+)</bdi>', text)
    digits = shown[-7:]
    assert " ".join(digits) == PHRASE.digits()
    assert shown[:-7] == ([] if language == "ar" else PHRASE.words(language).split())
    assert 'href="/en/' not in text, "nothing leads away from a phrase that is shown once"


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=y> {{ 7*7 }} {quorum} </p>&amp; -->"


def test_values_are_escaped() -> None:
    office = OfficeShown(names={"en": HOSTILE[:80]})
    notice = Notice(agreement={"en": HOSTILE[:80]}, offices=(office, office), quorum=2)
    for page in Page:
        given_values = values(page, "en", notice, receipt=HOSTILE)
        if page is Page.THREAD:
            reply = ShownReply(office=HOSTILE, text=HOSTILE, written=HOSTILE)
            given_values |= {"phrase": HOSTILE, "replies": (reply,)}
        if page is Page.SENT:
            given_values |= {"words": [HOSTILE] * 12, "digits": [HOSTILE] * 7}
        reading = read(render(page, "en", given_values))
        assert not {tag for tag, _ in reading.tags} & {"script", "img"}


def test_what_is_missing_or_too_much_is_a_fault_of_the_caller() -> None:
    with pytest.raises(ValueError, match="needs"):
        render(Page.SENT, "en", {"notice": small()})
    with pytest.raises(ValueError, match="needs"):
        render(Page.HOME, "en", {"notice": small(), "phrase": "x"})
    with pytest.raises(ValueError, match="longer than all pages"):
        render(Page.FOLLOWED, "en", {"notice": small(), "receipt": "x" * PAGE_BYTES})
    with pytest.raises(TypeError, match="Notice"):
        render(Page.HOME, "en", {"notice": None})


def test_the_page_promises_no_more_than_the_notice() -> None:
    text = render(Page.HOME, "en", values(Page.HOME, "en", small())).decode()
    assert "names no protection" in text
    assert "asylum" not in text
    assert "in person" not in text
    assert "asylum" in render(Page.HOME, "en", values(Page.HOME, "en", large("x"))).decode()


@pytest.mark.parametrize(
    "change",
    [
        {"quorum": 3},
        {"quorum": 1},
        {"agreement": {"fr": "Accord"}},
        {"agreement": {"en": "a\nb"}},
        {"onion": "x.onion"},
        {"protections": ("asylum", "asylum")},
    ],
)
def test_notices_that_cannot_be(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Notice.model_validate(small().model_dump() | change)


def test_every_trouble_has_a_status_and_a_page() -> None:
    assert set(STATUS) == set(Trouble)
    for trouble in Trouble:
        text = render(Page.TROUBLE, "en", {"notice": small(), "trouble": trouble}).decode()
        assert ("What you sent has not been received" in text) == (trouble is not Trouble.NOWHERE)


# --- replies in parts --------------------------------------------------------------------------------------------------

TEXTS = st.lists(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]) | st.sampled_from(" \n&<"), max_size=5000),
    max_size=5,
)


@settings(max_examples=40)
@given(TEXTS)
def test_parts_hold_all_of_every_reply_and_fit(texts: list[str]) -> None:
    replies = [ShownReply(office=f"o{at}", text=text) for at, text in enumerate(texts)]
    parts = parts_of(replies)
    for at, text in enumerate(texts):
        assert "".join(one.text for part in parts for one in part if one.office == f"o{at}") == (text or " ")
    order = [one.office for part in parts for one in part]
    assert order == sorted(order)
    assert all(parts) or not replies
    for number in range(len(parts)):
        page = render(
            Page.THREAD, "ru", {"notice": large(), "phrase": PHRASE.digits(), "replies": replies, "part": number}
        )
        assert len(page) == PAGE_BYTES


def test_parts_that_are_not_there_show_the_nearest() -> None:
    replies = [ShownReply(office="A", text="x" * (3 * REPLIES_BYTES))]
    count = len(parts_of(replies))
    assert count > 1
    thread = {"notice": small(), "phrase": "1", "replies": replies}
    assert render(Page.THREAD, "en", thread | {"part": 9999}) == render(Page.THREAD, "en", thread | {"part": count - 1})
    assert render(Page.THREAD, "en", thread | {"part": -1}) == render(Page.THREAD, "en", thread | {"part": 0})
