"""One client's connection: HTTP/1.1 by one strict parser (h11), bounded in bytes, in headers and in time.

Rules:

- Of a request only its method, its target, and the headers below are read; nothing else of its head goes anywhere.
- Content has a `Content-Length`. A transfer coding, an upgrade, trailers or a content coding are refused: there is one way to say
  how long a request is, and so nothing to disagree about with a proxy in front.
- A refused request ends its connection after the answer: what follows it is not taken for a request.
- Bytes are counted as they cross the socket, heads, framing and content alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from dataclasses import dataclass

import h11

from inspectorate.mechanisms.guarantee.interlock.desk import Denied
from inspectorate.mechanisms.guarantee.interlock.gate import Fault
from inspectorate.mechanisms.guarantee.interlock.reference import (
    CUT_S_MAX,
    HEAD_BYTES_MAX,
    HEAD_S_MAX,
    HEADERS_MAX,
    IDLE_S_MAX,
    PIECE_BYTES_MAX,
    STALL_S_MAX,
)

_CLOSE = (b"Connection", b"close")
_JSON = (b"Content-Type", b"application/json")
_NEVER = frozenset({b"transfer-encoding", b"upgrade", b"trailer", b"te", b"content-encoding", b"content-range"})
_ONCE = frozenset({b"host", b"content-length", b"content-type", b"content-digest", b"expect", b"connection"})
_LENGTH = re.compile(rb"(?:0|[1-9][0-9]{0,15})\Z")


class Gone(Exception):
    """The client closed its connection, broke it, or does not read."""


@dataclass(frozen=True, kw_only=True)
class Head:
    """What is read of the head of a request."""

    method: bytes
    target: bytes
    head_bytes: int
    size_bytes: int
    """Of the content."""
    content_type: bytes
    content_digest: bytes
    waits: bool
    """The client waits for `100 Continue` before it sends the content."""


class Connection:
    """One client. Requests come one after the other; an answer is whole before the next request is read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES_MAX)
        self._taken = 0
        self._queued: list[bytes] = []
        self._in_chunks = False
        self.bytes_out = 0
        self.answering = False
        """Whether the head of an answer was sent, and its end was not."""
        writer.transport.set_write_buffer_limits(high=PIECE_BYTES_MAX)

    @property
    def bytes_in(self) -> int:
        """Bytes taken off the socket for the requests so far, without those of a next one."""
        return self._taken - len(self._http.trailing_data[0])

    async def head(self) -> Head | None:
        """The head of the next request; None at a proper end. Raises `Denied` and `Gone`."""
        before = self.bytes_in
        if not self._http.trailing_data[0]:
            try:
                async with asyncio.timeout(IDLE_S_MAX):
                    await self._fill()
            except TimeoutError:
                return None
        try:
            async with asyncio.timeout(HEAD_S_MAX):
                event = await self._event()
        except TimeoutError:
            raise Denied(Fault.TOO_SLOW, f"no whole head in {HEAD_S_MAX:g} s") from None
        if isinstance(event, h11.ConnectionClosed):
            return None
        assert isinstance(event, h11.Request)
        return _head_of(event, self.bytes_in - before)

    async def content(self, head: Head) -> bytes:
        """All content of the request. The caller has found its size to be within the limits."""
        if head.waits:
            self.go_on()
        pieces = []
        while True:
            event = await self._event()
            if isinstance(event, h11.Data):
                pieces.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                return b"".join(pieces)
            else:
                raise Gone

    async def piece(self) -> bytes:
        """The next piece of content; empty at its end. Raises `Gone`."""
        event = await self._event()
        if isinstance(event, h11.Data):
            return bytes(event.data)
        if isinstance(event, h11.EndOfMessage):
            return b""
        raise Gone

    def go_on(self) -> None:
        """Tell a client that waits to send its content."""
        self._queue(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
        self._flush()

    async def has_more(self, wait_s: float) -> bool:
        """Whether anything arrives after the end of the request within `wait_s`."""
        if self._http.trailing_data[0]:
            return True
        try:
            async with asyncio.timeout(wait_s):
                return bool(await self._reader.read(1))
        except (TimeoutError, ConnectionError):
            return False

    def start(self, status: int, *, content_type: bytes, size_bytes: int | None) -> None:
        """Begin an answer; without a size it is sent in chunks."""
        framing = (b"Transfer-Encoding", b"chunked") if size_bytes is None else (b"Content-Length", b"%d" % size_bytes)
        headers = [(b"Content-Type", content_type), framing, (b"Cache-Control", b"no-store")]
        self.answering = True
        self._in_chunks = size_bytes is None
        self._queue(self._http.send(h11.Response(status_code=status, headers=headers)))

    def send(self, data: bytes) -> None:
        """Add content to the answer. It is on its way with the next `drained` or `finish`."""
        if self._in_chunks:
            # As h11 would frame it, which keeps no account of chunks; an empty one would end the answer.
            assert data
            self._queue(b"%x\r\n%b\r\n" % (len(data), data))
        else:
            self._queue(self._http.send(h11.Data(data=data)))

    async def drained(self) -> None:
        """Send what was queued, and wait until the client has taken up most of it. Raises `Gone` if it does not."""
        transport = self._writer.transport
        if transport.is_closing():
            raise Gone
        self._flush()
        if transport.get_write_buffer_size() <= PIECE_BYTES_MAX:
            return
        try:
            async with asyncio.timeout(STALL_S_MAX):
                await self._writer.drain()
        except (ConnectionError, TimeoutError):
            raise Gone from None

    async def finish(self) -> bool:
        """End the answer properly. Whether another request may follow on this connection."""
        self._queue(self._http.send(h11.EndOfMessage()))
        await self.drained()
        self.answering = False
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    def say(self, status: int, body: bytes) -> None:
        """Send a whole answer of JSON, after which the connection is to be closed. Nothing, if an answer has begun."""
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        headers = [_JSON, (b"Content-Length", b"%d" % len(body)), _CLOSE]
        self._queue(self._http.send(h11.Response(status_code=status, headers=headers)))
        self._queue(self._http.send(h11.Data(data=body)))
        self._queue(self._http.send(h11.EndOfMessage()))

    async def close_gently(self, flush_s: float) -> None:
        """End our side once what was sent is taken up, and read for a moment: a client still sending would lose the answer."""
        transport = self._writer.transport
        self._flush()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(flush_s):
                transport.set_write_buffer_limits(high=0)
                await self._writer.drain()
                self._writer.write_eof()
            async with asyncio.timeout(CUT_S_MAX):
                while await self._reader.read(PIECE_BYTES_MAX):
                    pass
        self.abort()

    def abort(self) -> None:
        """End the connection, and what was not taken up with it."""
        self._writer.transport.abort()

    async def _event(self) -> h11.Event | type[h11.PAUSED]:
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as fault:
                raise Denied(Fault.BAD_REQUEST, str(fault), status=fault.error_status_hint) from None
            if event is not h11.NEED_DATA:
                return event  # type: ignore[return-value] # NEED_DATA is the one other sentinel
            await self._fill()

    async def _fill(self) -> None:
        try:
            data = await self._reader.read(PIECE_BYTES_MAX)
        except ConnectionError:
            raise Gone from None
        self._taken += len(data)
        try:
            self._http.receive_data(data)
        except RuntimeError:
            raise Gone from None

    def _queue(self, data: bytes | None) -> None:
        if data:
            self.bytes_out += len(data)
            self._queued.append(data)

    def _flush(self) -> None:
        if self._queued:
            self._writer.write(b"".join(self._queued))
            self._queued.clear()


def _head_of(request: h11.Request, head_bytes: int) -> Head:
    if request.http_version != b"1.1":
        raise Denied(Fault.BAD_REQUEST, "is not HTTP/1.1", status=505)
    names = Counter(name for name, _ in request.headers)
    if names.total() > HEADERS_MAX:
        raise Denied(Fault.BAD_REQUEST, f"has more than {HEADERS_MAX} headers", status=431)
    for name, count in names.items():
        if name in _NEVER:
            status = 411 if name == b"transfer-encoding" else 400
            raise Denied(Fault.BAD_REQUEST, f"has the header {name.decode()}", status=status)
        if name in _ONCE and count > 1:
            raise Denied(Fault.BAD_REQUEST, f"has the header {name.decode()} twice")
    values = dict(request.headers)
    length = values.get(b"content-length", b"0")
    if not _LENGTH.match(length):
        raise Denied(Fault.BAD_REQUEST, "has a length that is no number")
    expect = values.get(b"expect", b"").lower()
    if expect not in (b"", b"100-continue"):
        raise Denied(Fault.BAD_REQUEST, "expects something that is not known here", status=417)
    return Head(
        method=request.method,
        target=request.target,
        head_bytes=head_bytes,
        size_bytes=int(length),
        content_type=values.get(b"content-type", b"").split(b";")[0].strip().lower(),
        content_digest=values.get(b"content-digest", b""),
        waits=bool(expect),
    )
