"""One request to the server and its answer, under the limits of the ruleset.

In order, and each step can only say no: (1) method, target and type of content; (2) mode; (3) size; (4) a place among those that
are open; (5) the content, in time; (6) its form (`asking`); (7) the rate inwards; (8) room for a sample, should it be drawn;
(9) the gate; (10) the server. What was admitted in (9) is settled once, on every way out.

An admitted request ends in one of three ways, and each is counted:

- complete: the server's whole answer was handed to the client's connection, and properly ended;
- cut: before the head of an answer, by an error of our own with its status; within a stream, by an event `error`, after which
  the chunked content is *not* ended and the connection closes; within an answer of stated length, by closing short of it;
- the client has gone.
"""

from __future__ import annotations

import asyncio

from inspectorate.mechanisms.guarantee.events import EventKind, Refusal
from inspectorate.mechanisms.guarantee.interlock.answering import (
    EVENTS,
    JSON,
    Answer,
    AnswerHead,
    Events,
    Lost,
    connected,
)
from inspectorate.mechanisms.guarantee.interlock.asking import ENDPOINTS, Content, parse_content
from inspectorate.mechanisms.guarantee.interlock.desk import Denied, Desk
from inspectorate.mechanisms.guarantee.interlock.gate import (
    Admitted,
    Answered,
    Asked,
    Fault,
    Outcome,
    error_body,
    error_event,
)
from inspectorate.mechanisms.guarantee.interlock.reference import (
    ANSWER_S_MAX,
    CONTENT_S_MAX,
    CUT_S_MAX,
    PENDING_BYTES_MAX,
    PIECE_BYTES_MAX,
    QUIET_S_MAX,
    WAIT_S_MAX,
    WHOLE_BYTES_MAX,
)
from inspectorate.mechanisms.guarantee.interlock.samples import NONCE_BYTES, Sample
from inspectorate.mechanisms.guarantee.interlock.wire import Connection, Gone, Head
from inspectorate.mechanisms.guarantee.rulesets.types import Limits


class Exchange:
    """One request, from its head to its settlement."""

    def __init__(self, desk: Desk, connection: Connection, head: Head) -> None:
        self._desk = desk
        self._connection = connection
        self._head = head
        self._scope: asyncio.Timeout | None = None
        self._ends_at = 0.0
        self._out_before = connection.bytes_out
        self._held_back = False
        self._reached = False
        self._within_event = False
        self._events: Events | None = None
        self._status = 0
        self._kept: list[bytes] | None = None

    def shut(self) -> None:
        """Stop waiting for anything: the mode has changed."""
        if self._scope is not None:
            self._scope.reschedule(asyncio.get_running_loop().time())

    async def run(self) -> bool:
        """Answer the request. Whether another may follow on this connection. Raises `Denied` and `Gone`."""
        path = _path_of(self._head)
        desk = self._desk
        limits = desk.limits
        desk.check_open()
        if self._head.head_bytes + self._head.size_bytes > limits.request_bytes_max:
            raise desk.limited("the request is too large", status=413)
        if len(desk.open) >= limits.concurrent_max:
            raise desk.limited("too many requests are open")
        desk.open.add(self)
        try:
            content = await self._let_in(path)
            return await self._admit(path, limits, content)
        finally:
            desk.open.discard(self)

    async def _let_in(self, path: str) -> Content:
        """The content, once the limit inwards lets it pass."""
        try:
            async with asyncio.timeout(None) as self._scope:
                content = await self._content(path)
                await self._wait_inward(self._head.head_bytes + self._head.size_bytes)
        except TimeoutError:
            self._desk.check_open()
            raise Denied(Fault.NOT_SERVING, "the mode changed meanwhile") from None
        finally:
            self._scope = None
        self._desk.check_open()
        return content

    async def _content(self, path: str) -> Content:
        size = self._head.size_bytes
        if self._desk.pending_bytes + size > PENDING_BYTES_MAX:
            raise self._desk.limited("too much content is on its way in")
        self._desk.pending_bytes += size
        try:
            async with asyncio.timeout(CONTENT_S_MAX):
                data = await self._connection.content(self._head)
        except TimeoutError:
            raise Denied(Fault.TOO_SLOW, f"no whole content in {CONTENT_S_MAX:g} s") from None
        finally:
            self._desk.pending_bytes -= size
        try:
            return parse_content(path, data)
        except ValueError as fault:
            raise Denied(Fault.BAD_REQUEST, str(fault)) from None

    async def _wait_inward(self, size: int) -> None:
        bucket = self._desk.inward
        loop = asyncio.get_running_loop()
        if bucket.delay_s(size, loop.time()) > WAIT_S_MAX:
            raise self._desk.limited("the limit inwards would hold the request for too long")
        while size > 0:
            piece = min(size, bucket.piece_bytes_max)
            await self._wait(bucket.reserve(piece, loop.time()))
            size -= piece

    async def _admit(self, path: str, limits: Limits, content: Content) -> bool:
        edges = self._desk.edges
        asked = Asked(
            path=path,
            request_bytes=self._head.head_bytes + self._head.size_bytes,
            tokens_in_max=content.tokens_in_max,
            tokens_max=content.tokens_max,
            at=edges.now(),
        )
        room = len(content.data) + limits.response_bytes_max
        if not edges.samples.has_room(room):
            raise self._desk.limited("too many samples wait for recomputation", status=503)
        admitted = self._desk.gate.admit(asked)
        if isinstance(admitted, Refusal):
            raise Denied(admitted.kind, admitted.why)
        # From here to the `try` within `_admitted` nothing waits, so that nothing can come between admission and settlement.
        if admitted.sampled:
            edges.samples.reserve(admitted.ticket, room)
            self._kept = []
        return await self._admitted(admitted, asked, content)

    async def _admitted(self, admitted: Admitted, asked: Asked, content: Content) -> bool:
        loop = asyncio.get_running_loop()
        started = loop.time()
        self._ends_at = started + ANSWER_S_MAX
        outcome: Outcome = Outcome.CUT
        kind: EventKind | Fault | None = EventKind.GUARD_LOST
        goes_on = False
        try:
            try:
                goes_on = await self._answer(asked.path, content)
                outcome, kind = Outcome.COMPLETE, None
            except Gone:
                outcome, kind = Outcome.CLIENT_GONE, None
                raise
            except Denied as denied:
                outcome, kind = Outcome.CUT, denied.kind
                self._tell(denied)
            except Lost as lost:
                dropped = self._dropped(str(lost))
                outcome, kind = Outcome.CUT, dropped.kind
                self._tell(dropped)
        finally:
            answered = Answered(
                outcome=outcome,
                bytes_in=asked.request_bytes,
                bytes_out=self._connection.bytes_out - self._out_before,
                tokens_at_least=min(self._events.count, asked.tokens_max) if self._events else 0,
                tokens_at_most=asked.tokens_in_max + asked.tokens_max if self._reached else 0,
                duration_s=loop.time() - started,
                status=self._status,
                kind=kind if isinstance(kind, EventKind) else None,
            )
            self._desk.gate.settle(admitted.ticket, answered)
            if self._kept is not None:
                await self._keep(admitted.ticket, asked, content, outcome)
        if outcome is Outcome.CUT:
            await self._connection.close_gently(CUT_S_MAX)
        return goes_on

    async def _answer(self, path: str, content: Content) -> bool:
        """The server's answer, passed on. Raises `Denied`, `Lost` and `Gone`."""
        try:
            async with asyncio.timeout(QUIET_S_MAX) as self._scope:
                upstream = self._desk.upstream
                assert upstream is not None, "it was there when the request was let in, and nothing has waited since"
                async with connected(upstream) as answer:
                    self._go_on()
                    self._reached = True
                    answer.ask(path, content.data)
                    head = await answer.head()
                    self._go_on()
                    await (self._stream if head.content_type == EVENTS else self._whole)(answer, head)
                return await self._connection.finish()
        except TimeoutError:
            self._desk.check_open()
            raise Lost(f"it was silent for {QUIET_S_MAX:g} s, or not done after {ANSWER_S_MAX:g} s") from None
        finally:
            self._scope = None

    async def _stream(self, answer: Answer, head: AnswerHead) -> None:
        self._status = head.status
        events = self._events = Events()
        self._connection.start(head.status, content_type=EVENTS, size_bytes=None)
        ended = False
        while not ended:
            data, ended = await answer.more()
            if self._kept is not None:
                self._kept.append(data)
            whole = events.feed(data)
            if whole:
                await self._let_out(whole)
            if not ended:
                await self._connection.drained()
        if not events.is_between or (head.ends_with_connection and not events.is_done):
            raise Lost("its stream ended within an answer")

    async def _whole(self, answer: Answer, head: AnswerHead) -> None:
        bytes_max = min(self._desk.limits.response_bytes_max, WHOLE_BYTES_MAX)
        pieces, size, ended = [], 0, False
        while not ended:
            data, ended = await answer.more()
            size += len(data)
            if size > bytes_max:
                raise self._desk.limited("the answer is too large", status=502)
            pieces.append(data)
            self._go_on()
        if head.ends_with_connection and head.status == 200:
            raise Lost("its answer has no stated end")
        if self._kept is not None:
            self._kept.extend(pieces)
        body = b"".join(pieces) if head.content_type == JSON else error_body(Fault.SERVER)
        self._status = head.status
        self._connection.start(head.status, content_type=JSON, size_bytes=len(body))
        await self._let_out(body)

    async def _let_out(self, data: bytes) -> None:
        """Let content through to the client, within the limit outwards and that of the answer.

        What is let through is on its way at the next `drained`, or with the end of the answer.
        """
        desk, connection = self._desk, self._connection
        limits = desk.limits
        if connection.bytes_out - self._out_before + len(data) > limits.response_bytes_max:
            raise desk.limited("the answer is too large", status=502)
        loop = asyncio.get_running_loop()
        most = min(desk.outward.piece_bytes_max, PIECE_BYTES_MAX)
        for start in range(0, len(data), most):
            piece = data[start : start + most]
            await self._wait(desk.outward.reserve(len(piece), loop.time()))
            self._go_on()
            self._within_event = start + most < len(data)
            connection.send(piece)
            if self._within_event:
                await connection.drained()

    async def _wait(self, delay_s: float) -> None:
        if delay_s <= 0:
            return
        if not self._held_back:
            self._held_back = True
            self._desk.gate.note(Refusal(kind=EventKind.LIMIT_REACHED, why="a direction was at its rate"))
        await asyncio.sleep(delay_s)

    def _go_on(self) -> None:
        """Something happened: the server has its time anew. Raises `Denied` if nothing may pass any more."""
        self._desk.check_open()
        assert self._scope is not None
        now = asyncio.get_running_loop().time()
        ends_at = self._scope.when()
        # Moving the deadline at every piece would cost as much as the piece.
        if ends_at is None or ends_at - now < 0.99 * QUIET_S_MAX:
            self._scope.reschedule(min(now + QUIET_S_MAX, self._ends_at))

    def _dropped(self, why: str) -> Denied:
        """What to tell a client whose server failed: that the path was closed, if that is why."""
        try:
            self._desk.check_open()
        except Denied as closed:
            return closed
        self._desk.gate.note(Refusal(kind=EventKind.REQUEST_DROPPED, why=why))
        return Denied(EventKind.REQUEST_DROPPED, why)

    def _tell(self, denied: Denied) -> None:
        """The last word to a client that is cut. The answer is not ended: no client can take it for a whole one."""
        connection = self._connection
        if not connection.answering:
            self._status = denied.status
            connection.say(denied.status, error_body(denied.kind))
        elif self._events is not None:
            connection.send((b"\n\n" if self._within_event else b"") + error_event(denied.kind))

    async def _keep(self, ticket: int, asked: Asked, content: Content, outcome: Outcome) -> None:
        edges = self._desk.edges
        sample = Sample(
            ticket=ticket,
            model=self._desk.model,
            path=asked.path,
            at=asked.at.isoformat(),
            outcome=outcome,
            request=content.data,
            answer=b"".join(self._kept or ()),
        )
        await asyncio.to_thread(edges.samples.keep, sample, edges.random(NONCE_BYTES))


def _path_of(head: Head) -> str:
    path = head.target.decode("ascii", "replace")
    if path not in ENDPOINTS:
        raise Denied(Fault.NOT_FOUND, "no such endpoint")
    if head.method != b"POST":
        raise Denied(Fault.BAD_REQUEST, "is no POST", status=405)
    if head.content_type != b"application/json":
        raise Denied(Fault.BAD_REQUEST, "its content is no JSON", status=415)
    return path
