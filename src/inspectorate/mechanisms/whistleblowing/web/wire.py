"""One connection: one request, read by one strict parser (h11), and one answer. Bounded in bytes, in headers and in time.

Rules:

- Content has a `Content-Length`. A transfer coding, a content coding, an upgrade or trailers are refused: there is one way to say
  how long a request is, nothing is unpacked, and nothing stands for more bytes than it has.
- Of a head only what `Head` names is read, and nothing of it is kept, written down or sent back.
- What is read goes on at once, piece by piece; what waits here is bounded by `PIECE_BYTES`.
- A refused request gets its answer; the rest of it runs into nothing for a while, so that a browser comes to read the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import h11

from inspectorate.mechanisms.whistleblowing.web.limits import Limits, Pace, TooSlow, Visit
from inspectorate.mechanisms.whistleblowing.web.pages import Trouble

PIECE_BYTES = 32_768
_HEAD_PIECE_BYTES = 4096
_SENT_PIECE_BYTES = 8192

_ONCE = (b"host", b"content-length", b"content-type", b"content-encoding", b"expect", b"sec-fetch-site")
_NEVER = frozenset({b"upgrade", b"trailer", b"content-range"})
_LENGTH = re.compile(rb"(?:0|[1-9][0-9]{0,11})\Z")
_PATH = re.compile(r"/[a-z/-]*\Z")
_HOST = re.compile(r"([a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?\Z")
_KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "QUERY"})
"""RFC 9110, RFC 5789 and the draft of QUERY: known, so 405 where they do not apply. Any other is 501."""

_Came = TypeVar("_Came")


class Gone(Exception):
    """The other side closed or broke the connection."""


class Refused(Exception):
    """The request is answered with a page of trouble."""

    def __init__(self, status: int, trouble: Trouble, *, path: str = "") -> None:
        super().__init__(f"{status} {trouble}")
        self.status = status
        self.trouble = trouble
        self.path = path


@dataclass(frozen=True, kw_only=True)
class Head:
    """What is read of the head of a request."""

    method: str
    path: str
    host: str
    length: int
    content_type: str
    coded: bool
    """Its content is said to be in some coding."""
    elsewhere: bool
    """A browser says that another site made it send this (W3C Fetch Metadata)."""
    waits: bool
    """The other side waits for `100 Continue` before it sends content."""


class Client:
    """The other side of one connection."""

    def __init__(
        self,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        limits: Limits,
        visit: Visit,
        clock: Callable[[], float],
    ) -> None:
        self._reader, self._writer = streams
        self._limits = limits
        self._visit = visit
        self._clock = clock
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.head_bytes)
        self._whole = False
        self._writer.transport.set_write_buffer_limits(high=0)

    async def head(self) -> Head:
        """Raises `Refused`, and `Gone` where nothing more comes."""
        ends = self._clock() + self._limits.head_s
        taken = 0
        while True:
            event = self._next()
            if isinstance(event, h11.Request):
                if taken - len(self._http.trailing_data[0]) > self._limits.head_bytes:
                    raise Refused(431, Trouble.UNREADABLE)
                return _head_of(event, self._limits)
            if event is not h11.NEED_DATA:
                raise Gone
            if taken > self._limits.head_bytes:
                raise Refused(431, Trouble.UNREADABLE)
            try:
                data = await self._timed(self._reader.read(_HEAD_PIECE_BYTES), ends - self._clock())
            except TimeoutError:
                if not taken:
                    raise Gone from None
                raise Refused(408, Trouble.SLOW) from None
            if not data and not taken:
                raise Gone
            taken += len(data)
            self._take(data)

    async def content(self, head: Head) -> AsyncIterator[bytes]:
        """The content, as it comes. Raises `Refused` where it comes too slowly, and `Gone`."""
        pace = Pace(self._limits, head.length)
        if head.waits and head.length:
            await self.send(b"HTTP/1.1 100 \r\n\r\n")
        while True:
            event = self._next()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self._whole = True
                return
            elif event is h11.NEED_DATA:
                self._take(await self._paced(pace))
            else:
                raise Gone

    async def send(self, data: bytes) -> None:
        """All of it, into the hands of the system. Raises `Gone`, also where the other side does not read."""
        pace = Pace(self._limits, len(data))
        for start in range(0, len(data), _SENT_PIECE_BYTES):
            piece = data[start : start + _SENT_PIECE_BYTES]
            self._writer.write(piece)
            began = self._clock()
            try:
                await self._timed(self._writer.drain(), pace.patience_s)
                pace.waited(self._clock() - began, len(piece))
            except (TimeoutError, TooSlow):
                raise Gone from None
            self._visit.moved += len(piece)

    async def run_out(self) -> None:
        """Say that no more comes, and let the rest of an unfinished request run into nothing. Raises `Gone`."""
        if self._whole or not self._limits.linger_bytes:
            return
        self._visit.refused = True
        with contextlib.suppress(OSError, RuntimeError):
            self._writer.write_eof()
        left = self._limits.linger_bytes
        ends = self._clock() + self._limits.linger_s
        while left > 0:
            try:
                data = await self._timed(self._reader.read(PIECE_BYTES), ends - self._clock())
            except TimeoutError:
                return
            if not data:
                return
            left -= len(data)

    def close(self) -> None:
        """At once: what was to be sent was sent."""
        self._writer.transport.abort() if not self._whole else self._writer.close()

    # --- the rest ---------------------------------------------------------------------------------------------------------

    async def _paced(self, pace: Pace) -> bytes:
        while True:
            began = self._clock()
            try:
                data = await self._timed(self._reader.read(PIECE_BYTES), pace.patience_s)
            except TimeoutError:
                data = None
            try:
                pace.waited(self._clock() - began, len(data or b""))
            except TooSlow:
                raise Refused(408, Trouble.SLOW) from None
            if data is not None:
                self._visit.moved += len(data)
                return data

    async def _timed(self, wait: Awaitable[_Came], seconds: float) -> _Came:
        """Raises `TimeoutError`, and `Gone` for a broken connection."""
        self._visit.waiting_since = began = self._clock()
        try:
            async with asyncio.timeout(max(seconds, 0.0)):
                return await wait
        except OSError as fault:
            if isinstance(fault, TimeoutError):
                raise
            raise Gone from None
        finally:
            self._visit.waited_s += self._clock() - began
            self._visit.waiting_since = None

    def _take(self, data: bytes) -> None:
        try:
            self._http.receive_data(data)
        except h11.RemoteProtocolError:
            raise Refused(400, Trouble.UNREADABLE) from None

    def _next(self) -> object:
        try:
            return self._http.next_event()
        except h11.RemoteProtocolError as fault:
            if self._reader.at_eof():
                raise Gone from None
            status = fault.error_status_hint if fault.error_status_hint in {431, 501} else 400
            raise Refused(status, Trouble.UNREADABLE) from None


def _head_of(request: h11.Request, limits: Limits) -> Head:
    """What is read of the head, if there is nothing else in it that changes what it means. Raises `Refused`."""
    target = bytes(request.target)
    path = target.partition(b"?")[0].decode("latin-1")
    shown = path if _PATH.match(path) and len(target) <= limits.target_bytes else ""

    def refused(status: int, trouble: Trouble = Trouble.UNREADABLE) -> Refused:
        return Refused(status, trouble, path=shown)

    if bytes(request.http_version) != b"1.1":
        raise refused(505)
    if len(target) > limits.target_bytes:
        raise refused(414)
    if len(request.headers) > limits.headers:
        raise refused(431)
    method = bytes(request.method).decode("latin-1")
    if method not in _KNOWN_METHODS:
        raise refused(501)
    if not path.startswith("/"):
        raise refused(405 if method == "CONNECT" else 400, Trouble.NOWHERE)
    if not shown:
        raise refused(404, Trouble.NOWHERE)
    return _fields_of(request, method, shown)


def _fields_of(request: h11.Request, method: str, path: str) -> Head:
    counts = Counter(bytes(name) for name, _ in request.headers)
    values = {bytes(name): bytes(value).strip() for name, value in request.headers}
    if any(counts[name] > 1 for name in _ONCE) or not _NEVER.isdisjoint(counts):
        raise Refused(400, Trouble.UNREADABLE, path=path)
    said = values.get(b"content-length")
    if b"transfer-encoding" in counts:
        raise Refused(411 if said is None else 400, Trouble.UNREADABLE, path=path)
    if said is not None and not _LENGTH.match(said):
        raise Refused(400, Trouble.UNREADABLE, path=path)
    expected = values.get(b"expect", b"").lower()
    if expected not in {b"", b"100-continue"}:
        raise Refused(417, Trouble.UNREADABLE, path=path)
    host = _HOST.match(values.get(b"host", b"").decode("latin-1").lower())
    if host is None:
        raise Refused(400, Trouble.UNREADABLE, path=path)
    if method == "POST" and said is None:
        raise Refused(411, Trouble.UNREADABLE, path=path)
    return Head(
        method=method,
        path=path,
        host=host[1],
        length=int(said or b"0"),
        content_type=values.get(b"content-type", b"").decode("latin-1"),
        coded=values.get(b"content-encoding", b"identity").lower() != b"identity",
        elsewhere=values.get(b"sec-fetch-site", b"") in {b"cross-site", b"same-site"},
        waits=expected == b"100-continue",
    )
