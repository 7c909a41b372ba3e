"""Forms as browsers send them, read as they come: texts are kept until the form is known, files pass through.

Rules:

- Text comes before files, as the pages have it: all answers are known before the first byte of a file.
- A field that is not in the form, a field that is longer than it may be, a part that says it is coded, or one part more than an
  honest browser could send ends the reading at once: what is kept is bounded by the form, not by who sends.
- A file is bytes. Its content is never looked at, its name and type are cut to length and are never a path or a choice.
- Text is UTF-8 and nothing else.
- A form that ends before its last boundary is refused: half a file is not taken for a whole one.

`python-multipart` reads the framing (maintained, and fuzzed by its users; it writes nothing to disk when its form classes are left
aside). It logs bytes of what it refuses, so its log is cut off here.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from inspectorate.mechanisms.whistleblowing.web.limits import Limits
from inspectorate.mechanisms.whistleblowing.web.pages import FILES, Field, FieldKind, Trouble
from inspectorate.mechanisms.whistleblowing.web.wire import Refused

PART_HEADERS_MAX = 4
PART_HEADER_BYTES_MAX = 2048
"""A file name of 255 characters, each written as three bytes or an HTML entity, stays below."""
NAME_CHARS_MAX = 120
_PART_HEADERS = frozenset({b"content-disposition", b"content-type", b"content-length"})
_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,\-./:=?]{1,70}\Z")
"""RFC 2046, section 5.1.1, without spaces, which no browser uses."""
_MEDIA = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,62}/[a-z0-9][a-z0-9!#$&^_.+-]{0,62}\Z")
"""RFC 6838, section 4.2, with shorter names."""
_UNKNOWN_MEDIA = "application/octet-stream"
_TEXT_FORM_BYTES_MAX = 16_384
_LOG = logging.getLogger("python_multipart")
_LOG.propagate = False
_LOG.handlers = [logging.NullHandler()]


@dataclass(frozen=True)
class FileBegins:
    name: str
    media_type: str


@dataclass(frozen=True)
class FileGoesOn:
    data: bytes


Event = FileBegins | FileGoesOn


def boundary_of(content_type: str) -> bytes:
    """Of a multipart form. Raises `Refused`."""
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise Refused(415, Trouble.UNREADABLE)
    boundary = options.get(b"boundary", b"")
    if not _BOUNDARY.match(boundary):
        raise Refused(400, Trouble.UNREADABLE)
    return boundary


class FormReader:
    """One multipart form. `feed` it pieces, then `end` it; `sent` holds its texts from the first event of a file on."""

    def __init__(self, boundary: bytes, fields: Sequence[Field], limits: Limits) -> None:
        self.sent: dict[str, list[str]] = {}
        self.files = 0
        self._fields = {field.name: field for field in fields}
        self._limits = limits
        self._texts_left = sum(len(f.choices) if f.kind is FieldKind.SEVERAL else 1 for f in fields)
        self._file_bytes = 0
        self._events: list[Event] = []
        self._headers: dict[bytes, bytes] = {}
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._text: bytearray | None = None
        """Of the field that is being read; None within a file."""
        self._field: Field | None = None
        self._empty_input: FileBegins | None = None
        """A file input in which nothing was chosen, unless bytes follow."""
        self._ended = False
        self._opening = b"--" + boundary
        """What must come first. The parser passes over some of what could stand before it, depending on how it is cut."""
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begins,
                "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
                "on_header_end": self._header_ends,
                "on_headers_finished": self._headers_end,
                "on_part_data": self._part_data,
                "on_part_end": self._part_ends,
                "on_end": self._form_ends,
            },
            max_header_count=PART_HEADERS_MAX,
            max_header_size=PART_HEADER_BYTES_MAX,
        )

    def feed(self, data: bytes) -> list[Event]:
        """What these bytes bring of files. Raises `Refused`."""
        first = min(len(self._opening), len(data))
        if data[:first] != self._opening[:first]:
            raise Refused(400, Trouble.UNREADABLE)
        self._opening = self._opening[first:]
        try:
            self._parser.write(data)
        except FormParserError:
            raise Refused(400, Trouble.UNREADABLE) from None
        events, self._events = self._events, []
        return events

    def end(self) -> None:
        """Raises `Refused` for a form that is not whole."""
        if not self._ended:
            raise Refused(400, Trouble.UNREADABLE)

    # --- called by the parser ---------------------------------------------------------------------------------------------

    def _part_begins(self) -> None:
        self._headers = {}
        self._header = (bytearray(), bytearray())
        self._text = self._field = self._empty_input = None

    def _header_ends(self) -> None:
        name = bytes(self._header[0]).lower()
        if name in self._headers or name not in _PART_HEADERS:
            raise Refused(400, Trouble.UNREADABLE)
        self._headers[name] = bytes(self._header[1])
        self._header = (bytearray(), bytearray())

    def _headers_end(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if kind != b"form-data":
            raise Refused(400, Trouble.UNREADABLE)
        name = options.get(b"name", b"")
        if b"filename" in options:
            self._file_begins(name, options[b"filename"])
        else:
            self._text_begins(name)

    def _file_begins(self, field: bytes, name: bytes) -> None:
        if field != FILES.encode():
            raise Refused(400, Trouble.UNREADABLE)
        begins = FileBegins(plain_name(name), plain_media_type(self._headers.get(b"content-type", b"")))
        if name:
            self._count_file()
            self._events.append(begins)
        else:
            self._empty_input = begins

    def _count_file(self) -> None:
        self.files += 1
        if self.files > self._limits.files:
            raise Refused(413, Trouble.TOO_MANY)

    def _text_begins(self, name: bytes) -> None:
        self._field = self._fields.get(name.decode("latin-1"))
        self._texts_left -= 1
        if self._field is None or self._texts_left < 0 or self.files:
            raise Refused(400, Trouble.UNREADABLE)
        self._text = bytearray()

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._text is not None and self._field is not None:
            self._text += data[start:end]
            if len(self._text) > self._field.bytes_max:
                raise Refused(413, Trouble.TOO_LONG)
            return
        if self._empty_input is not None:
            self._count_file()
            self._events.append(self._empty_input)
            self._empty_input = None
        self._file_bytes += end - start
        if self._file_bytes > self._limits.upload_bytes:
            raise Refused(413, Trouble.TOO_LARGE)
        self._events.append(FileGoesOn(data[start:end]))

    def _part_ends(self) -> None:
        if self._text is None or self._field is None:
            return
        try:
            text = self._text.decode("utf-8")
        except UnicodeDecodeError:
            raise Refused(400, Trouble.UNREADABLE) from None
        self.sent.setdefault(self._field.name, []).append(text)

    def _form_ends(self) -> None:
        self._ended = True


def read_text_form(data: bytes, fields: Sequence[Field]) -> dict[str, list[str]]:
    """A form without files, as `application/x-www-form-urlencoded` (WHATWG URL, section 5.1). Raises `Refused`."""
    try:
        pairs = parse_qsl(
            data.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(data),
            errors="strict",
            max_num_fields=len(fields),
        )
    except ValueError:
        raise Refused(400, Trouble.UNREADABLE) from None
    longest = {field.name: field.bytes_max for field in fields}
    sent: dict[str, list[str]] = {}
    for name, text in pairs:
        if name not in longest:
            raise Refused(400, Trouble.UNREADABLE)
        if len(text.encode()) > longest[name]:
            raise Refused(413, Trouble.TOO_LONG)
        sent.setdefault(name, []).append(text)
    return sent


def text_form_bytes_max(fields: Sequence[Field]) -> int:
    """No honest form of these fields is longer: each byte may be written as three."""
    return min(_TEXT_FORM_BYTES_MAX, sum(len(field.name) + 2 + 3 * field.bytes_max for field in fields))


def plain_name(name: bytes) -> str:
    """The last part of a path, without what could turn or break a line that shows it, and its ending kept where it is cut."""
    text = name.decode("utf-8", "replace").replace("\\", "/").rsplit("/", 1)[-1]
    return _cut("".join(_plain(text)).strip())


def _plain(text: str) -> Iterator[str]:
    return (one for one in text if unicodedata.category(one) not in {"Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn"})


def _cut(name: str) -> str:
    if len(name) <= NAME_CHARS_MAX:
        return name
    stem, dot, ending = name.rpartition(".")
    kept = dot + ending[:15] if stem and dot else ""
    return name[: NAME_CHARS_MAX - len(kept)] + kept


def plain_media_type(said: bytes) -> str:
    """What a browser says a file is. Nobody here goes by it."""
    text = said.decode("latin-1").partition(";")[0].strip().lower()
    return text if _MEDIA.match(text) else _UNKNOWN_MEDIA
