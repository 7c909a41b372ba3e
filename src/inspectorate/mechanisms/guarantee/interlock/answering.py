"""The server's answer: read strictly, bounded, and let through as whole events or as one whole document.

Rules:

- One connection to the server per request: nothing left of one answer can be taken for the start of another.
- The request is written from what was parsed: method, path, content and five headers of ours.
- Of the answer's head, the status and the content type are read, and each has a few known values. Nothing else passes.
- Server-sent events pass one by one, each whole; so a stream that is cut can end with an event that says so.
- A JSON answer passes when it is whole. So does an error of the server; one that is no JSON is replaced by ours.
- An answer that ends with its connection, without a length, is whole only if it is a stream whose last event is `[DONE]`: nothing
  else tells its end from the server's death.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import h11

from inspectorate.mechanisms.guarantee.interlock.gate import Upstream
from inspectorate.mechanisms.guarantee.interlock.reference import (
    CONNECT_S_MAX,
    EVENT_BYTES_MAX,
    HEAD_BYTES_MAX,
    HEADERS_MAX,
    INFORMATIONAL_MAX,
    PIECE_BYTES_MAX,
)

EVENTS, JSON = b"text/event-stream", b"application/json"
_ERRORS = frozenset({400, 404, 413, 415, 422, 429, 500, 501, 503})
_DONE = b"data: [DONE]"


class Lost(Exception):
    """The server gave no whole answer: it cannot be reached, died, or said something that is no answer."""


@dataclass(frozen=True, kw_only=True)
class AnswerHead:
    """What is read of the head of an answer."""

    status: int
    content_type: bytes
    """`EVENTS`, `JSON`, or empty for anything else that comes with an error."""
    ends_with_connection: bool


class Events:
    """Cuts a stream into whole server-sent events."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self.count = 0
        """Events with data so far, at least, without the one that says that the stream is done."""
        self.is_done = False
        """Whether the last event said that the stream is done."""

    @property
    def is_between(self) -> bool:
        """Whether all that came was whole events."""
        return not self._rest

    def feed(self, data: bytes) -> bytes:
        """The events that `data` completes. Raises `Lost` if one is too large."""
        seen = max(0, len(self._rest) - 3)
        self._rest += data
        end = max(_end_of(self._rest, b"\n\n", seen), _end_of(self._rest, b"\r\n\r\n", seen))
        if not end:
            if len(self._rest) > EVENT_BYTES_MAX:
                raise Lost(f"an event is larger than {EVENT_BYTES_MAX} bytes")
            return b""
        whole = bytes(self._rest[:end])
        del self._rest[:end]
        last = whole.rstrip(b"\r\n").rsplit(b"\n", 1)[-1]
        self.is_done = last == _DONE
        self.count += whole.startswith(b"data:") + whole.count(b"\ndata:") - self.is_done
        return whole


def _end_of(data: bytearray, mark: bytes, start: int) -> int:
    place = data.rfind(mark, start)
    return place + len(mark) if place >= 0 else 0


class Answer:
    """One answer of the server, from the connection on which it was asked."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES_MAX)

    def ask(self, path: str, content: bytes) -> None:
        headers = [
            (b"Host", b"server"),
            (b"Content-Type", JSON),
            (b"Content-Length", b"%d" % len(content)),
            (b"Accept", JSON + b", " + EVENTS),
            (b"Connection", b"close"),
        ]
        head = self._http.send(h11.Request(method="POST", target=path, headers=headers)) or b""
        self._writer.write(head + (self._http.send(h11.Data(data=content)) or b""))
        self._http.send(h11.EndOfMessage())

    async def head(self) -> AnswerHead:
        """The head of the final answer. Raises `Lost`."""
        for _ in range(INFORMATIONAL_MAX):
            event = await self._event()
            if isinstance(event, h11.Response):
                return _head_of(event)
            if not isinstance(event, h11.InformationalResponse):
                raise Lost("it ended before it answered")
        raise Lost("it never came to an answer")

    async def more(self) -> tuple[bytes, bool]:
        """All content that has arrived, and whether the answer has ended. Raises `Lost` if it ends before its end."""
        event = await self._event()
        pieces = []
        while isinstance(event, h11.Data):
            pieces.append(bytes(event.data))
            event = self._next()
        if event is not h11.NEED_DATA and not isinstance(event, h11.EndOfMessage):
            raise Lost("it ended within its answer")
        return b"".join(pieces), event is not h11.NEED_DATA

    async def _event(self) -> object:
        try:
            while (event := self._next()) is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(PIECE_BYTES_MAX))
        except OSError as fault:
            raise Lost(f"its connection broke: {fault.strerror or type(fault).__name__}") from None
        return event

    def _next(self) -> object:
        try:
            return self._http.next_event()
        except h11.RemoteProtocolError as fault:
            raise Lost(f"its answer is malformed: {fault}") from None


@contextlib.asynccontextmanager
async def connected(upstream: Upstream) -> AsyncIterator[Answer]:
    """A new connection to the server, ended at the end whatever came of it. Raises `Lost`."""
    try:
        async with asyncio.timeout(CONNECT_S_MAX):
            if upstream.socket is None:
                opening = asyncio.open_connection(upstream.host, upstream.port, limit=PIECE_BYTES_MAX)
            else:
                opening = asyncio.open_unix_connection(upstream.socket, limit=PIECE_BYTES_MAX)
            reader, writer = await opening
    except OSError as fault:
        raise Lost(f"cannot be reached: {fault.strerror or type(fault).__name__}") from None
    try:
        yield Answer(reader, writer)
    finally:
        writer.transport.abort()


def _head_of(response: h11.Response) -> AnswerHead:
    values = dict(response.headers)
    if len(response.headers) > HEADERS_MAX:
        raise Lost(f"its answer has more than {HEADERS_MAX} headers")
    if b"content-encoding" in values:
        raise Lost("its answer is encoded")
    content_type = values.get(b"content-type", b"").split(b";")[0].strip().lower()
    if response.status_code not in _ERRORS | {200}:
        raise Lost(f"its status is {response.status_code}")
    if content_type not in (EVENTS, JSON):
        if response.status_code == 200:
            raise Lost("its answer is neither JSON nor a stream of events")
        content_type = b""
    if response.status_code != 200 and content_type == EVENTS:
        raise Lost("an error came as a stream of events")
    has_end = b"content-length" in values or b"transfer-encoding" in values
    return AnswerHead(status=response.status_code, content_type=content_type, ends_with_connection=not has_end)
