"""Pages from templates: escaped, of one length, with a style sheet that is allowed by its digest and nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup, escape

from inspectorate.mechanisms.whistleblowing.web.pages import fields
from inspectorate.mechanisms.whistleblowing.web.pages.fields import Field, Trouble
from inspectorate.mechanisms.whistleblowing.web.pages.notice import Notice
from inspectorate.mechanisms.whistleblowing.web.pages.words import LANGUAGES, RIGHT_TO_LEFT, TAGS, words_of

PAGE_BYTES = 24 * 1024
"""Of every page; how much of it each needs is in docs/intake-pages.md."""
RECEIPT_CHARS_MAX = 12 * 1024
REPLIES_BYTES = 6144
"""Of replies that one part of a thread shows, escaped: the rest of the page must find room too."""
PARTS_MAX = 9999


class Page(StrEnum):
    """A page; each has a template of its name."""

    LANGUAGES = "languages"
    HOME = "home"
    KEYS = "keys"
    REPORT = "report"
    SENT = "sent"
    RETURN = "return"
    THREAD = "thread"
    FOLLOWED = "followed"
    TROUBLE = "trouble"


NEEDS: Mapping[Page, frozenset[str]] = {
    Page.LANGUAGES: frozenset(),
    Page.HOME: frozenset(),
    Page.KEYS: frozenset(),
    Page.REPORT: frozenset(),
    Page.SENT: frozenset({"words", "digits", "receipt"}),
    Page.RETURN: frozenset({"wrong"}),
    Page.THREAD: frozenset({"phrase", "replies", "part"}),
    Page.FOLLOWED: frozenset({"receipt"}),
    Page.TROUBLE: frozenset({"trouble"}),
}
"""Values of each page beside `notice`, all needed and no others."""

STATUS: Mapping[Trouble, int] = {
    Trouble.EMPTY: 400,
    Trouble.TOO_LONG: 413,
    Trouble.TOO_LARGE: 413,
    Trouble.TOO_MANY: 413,
    Trouble.UNREADABLE: 400,
    Trouble.BUSY: 503,
    Trouble.SLOW: 408,
    Trouble.NOWHERE: 404,
    Trouble.FAILED: 500,
}
"""What a server answers with each page of trouble (RFC 9110, section 15)."""


@dataclass(frozen=True, kw_only=True)
class ShownReply:
    """One reply of an office, as text. `written` is a date, or empty."""

    office: str
    text: str
    written: str = ""


def render(page: Page, language: str, values: Mapping[str, object]) -> bytes:
    """The page in UTF-8, `PAGE_BYTES` long."""
    asked = {"notice", *NEEDS[page]}
    if set(values) != asked:
        raise ValueError(f"page {page}: needs {sorted(asked)}, was given {sorted(values)}")
    notice = values["notice"]
    if not isinstance(notice, Notice):
        raise TypeError("`notice` must be a Notice")
    words = words_of(language)

    def say(key: str, **placed: object) -> str:
        return words[key].format(**placed)

    text = (
        _templates()
        .get_template(f"{page}.html.j2")
        .render(
            {
                **values,
                **_thread(page, values),
                "say": say,
                "page": page.value,
                "language": language,
                "tag": TAGS.get(language, language),
                "direction": "rtl" if language in RIGHT_TO_LEFT else "ltr",
                "languages": LANGUAGES,
                "tags": TAGS,
                "right_to_left": RIGHT_TO_LEFT,
                "style": Markup(_style()),  # noqa: S704 - our own file
                "field": {field.name: field for field in _all_fields()},
            }
        )
    )
    return _padded(page, text.encode())


def _all_fields() -> Sequence[Field]:
    return (*fields.REPORT_FIELDS, *fields.RETURN_FIELDS, *fields.FOLLOW_FIELDS)


def _padded(page: Page, data: bytes) -> bytes:
    """Filled up with spaces in a comment after the end."""
    opening, closing = b"<!--", b"-->\n"
    room = PAGE_BYTES - len(data) - len(opening) - len(closing)
    if room < 0:
        raise ValueError(f"page {page}: {-room} bytes longer than all pages are")
    return data + opening + b" " * room + closing


# --- replies, some at a time -------------------------------------------------------------------------------------------


def _thread(page: Page, values: Mapping[str, object]) -> dict[str, object]:
    if page is not Page.THREAD:
        return {}
    replies, part = values["replies"], values["part"]
    if not isinstance(replies, Sequence) or not isinstance(part, int):
        raise TypeError("`replies` must be a sequence and `part` a number")
    parts = parts_of(replies)
    shown = min(max(part, 0), len(parts) - 1)
    return {"replies": parts[shown], "part": shown, "parts": len(parts)}


def parts_of(replies: Sequence[ShownReply]) -> list[tuple[ShownReply, ...]]:
    """Replies in parts that each fit on a page, in order; one that is too long goes on in the next. At least one part."""
    parts: list[list[ShownReply]] = [[]]
    room = REPLIES_BYTES
    for reply in replies:
        head = _escaped_bytes(reply.office) + _escaped_bytes(reply.written) + _REPLY_MARKUP_BYTES
        rest = reply.text or " "
        while rest:
            if room < head + _LEAST_TEXT_BYTES and parts[-1]:
                parts.append([])
                room = REPLIES_BYTES
            piece, rest = _cut(rest, room - head)
            room -= head + _escaped_bytes(piece)
            parts[-1].append(ShownReply(office=reply.office, text=piece, written=reply.written))
    return [tuple(part) for part in parts]


_REPLY_MARKUP_BYTES = 200
_LEAST_TEXT_BYTES = 200


def _escaped_bytes(text: str) -> int:
    return len(str(escape(text)).encode())


def _cut(text: str, bytes_max: int) -> tuple[str, str]:
    """As much of the text as fits, cut at the end of a line or word where there is one, and the rest. At least one character."""
    used = 0
    for at, character in enumerate(text):
        used += _escaped_bytes(character)
        if used > bytes_max:
            soft = max(text.rfind("\n", 0, at), text.rfind(" ", 0, at)) + 1
            end = soft if soft > at // 2 else max(at, 1)
            return text[:end], text[end:]
    return text, ""


# --- style and templates -----------------------------------------------------------------------------------------------


@cache
def _templates() -> Environment:
    folder = resources.files(__package__).joinpath("templates")
    sources = {one.name: one.read_text(encoding="utf-8") for one in folder.iterdir() if one.name.endswith(".j2")}
    return Environment(
        loader=DictLoader(sources), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def _style() -> str:
    lines = resources.files(__package__).joinpath("style.css").read_text(encoding="utf-8").splitlines()
    return "\n".join(line.strip() for line in lines if line.strip())


def _policy() -> str:
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src 'sha256-{digest}'",
            "img-src data:",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )


CONTENT_SECURITY_POLICY = _policy()
"""W3C Content Security Policy Level 3: no script, nothing fetched, nothing framed, forms to this intake only. `data:` lets a page
say that it has no icon, so that no browser asks for one."""
