"""Answers: every one has the same number of bytes, head included, whatever it says.

Rules:

- The head has the same fields in every answer, in the same order, and is filled up to `HEAD_BYTES` with spaces after the value of
  one field, where HTTP ignores them (RFC 9110, section 5.5). There is no reason phrase, which HTTP leaves free (RFC 9112,
  section 4).
- No `Date` (this server behaves as one without a clock, RFC 9110, section 6.6.1: a clock that is off by its own amount marks a
  machine), no `Server`, no cookie, no validator, no redirect with words of a request in it.
- Nothing is kept by a browser or anything in between (`no-store`), nothing is loaded, framed, run, sent on or shared.
- One answer to a connection, which then ends: there is no second request for anybody to hide in the first.
"""

from __future__ import annotations

from dataclasses import dataclass

from inspectorate.mechanisms.whistleblowing.web.pages import CONTENT_SECURITY_POLICY, PAGE_BYTES

HEAD_BYTES = 2048
ANSWER_BYTES = HEAD_BYTES + PAGE_BYTES

_NOT_ALLOWED = (
    "accelerometer", "autoplay", "bluetooth", "browsing-topics", "camera", "clipboard-read", "clipboard-write",
    "display-capture", "encrypted-media", "fullscreen", "gamepad", "geolocation", "gyroscope", "hid", "idle-detection",
    "local-fonts", "magnetometer", "microphone", "midi", "payment", "picture-in-picture", "publickey-credentials-get",
    "screen-wake-lock", "serial", "usb", "web-share", "window-management", "xr-spatial-tracking",
)  # fmt: skip
"""Of the registry of the W3C's permissions policy: what could tell of a source, or be used to speak to its machine."""

_FIXED: tuple[tuple[str, str], ...] = (
    ("Content-Type", "text/html; charset=utf-8"),
    ("Content-Length", str(PAGE_BYTES)),
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Embedder-Policy", "require-corp"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", ", ".join(f"{name}=()" for name in _NOT_ALLOWED)),
    ("X-Robots-Tag", "noindex, nofollow, noarchive"),
    ("Accept-Encoding", "identity"),
    ("Accept-Ranges", "none"),
    ("Connection", "close"),
)
"""`Accept-Encoding` in an answer says which codings of content a server takes (RFC 9110, section 12.5.3): none."""

READ_ONLY: frozenset[str] = frozenset({"GET", "HEAD"})
WITH_FORM: frozenset[str] = READ_ONLY | {"POST"}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A page and what is said of it."""

    status: int
    language: str
    page: bytes
    allow: frozenset[str] = READ_ONLY
    """Methods of the address that was asked for."""


def answer_bytes(answer: Answer, *, head_only: bool = False) -> bytes:
    """`ANSWER_BYTES` of them; of an answer to HEAD, `HEAD_BYTES`."""
    if len(answer.page) != PAGE_BYTES:
        raise ValueError(f"a page of {len(answer.page)} bytes, not {PAGE_BYTES}")
    lines = [
        f"HTTP/1.1 {answer.status:03d} ",
        *(f"{name}: {value}" for name, value in _FIXED),
        f"Allow: {', '.join(sorted(answer.allow))}",
        f"Content-Language: {answer.language}",
    ]
    head = "\r\n".join(lines).encode("ascii")
    room = HEAD_BYTES - len(head) - 4
    if room < 0:
        raise ValueError(f"the head is {-room} bytes longer than heads may be")
    whole = head + b" " * room + b"\r\n\r\n"
    return whole if head_only else whole + answer.page
