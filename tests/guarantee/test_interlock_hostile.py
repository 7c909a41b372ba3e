"""Hostile clients and hostile servers, over real sockets; and requests with any bytes changed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from interlock_making import (
    DONE,
    STREAM_HEAD,
    PlainGate,
    Rig,
    chunk,
    event,
    kind_of,
    post,
    read_request,
    rig,
    saying,
    status_of,
    unchunked,
)

from inspectorate.mechanisms.guarantee.events import EventKind
from inspectorate.mechanisms.guarantee.interlock import serving, wire
from inspectorate.mechanisms.guarantee.interlock.asking import ENDPOINTS, parse_content
from inspectorate.mechanisms.guarantee.interlock.gate import Fault, Outcome

ASKED = {"prompt": "hello", "max_tokens": 3}
GOOD = post(ASKED)
CONTENT = json.dumps(ASKED).encode()


def with_head(*lines: str, content: bytes = CONTENT, first: str = "POST /v1/completions HTTP/1.1") -> bytes:
    return "\r\n".join((first, *lines, "", "")).encode("latin-1") + content


HOST, JSON = "Host: guard", "Content-Type: application/json"
LENGTH = f"Content-Length: {len(CONTENT)}"

REFUSED = {
    "length-and-coding": (with_head(HOST, JSON, LENGTH, "Transfer-Encoding: chunked"), 411),
    "coding": (with_head(HOST, JSON, "Transfer-Encoding: chunked", content=b"0\r\n\r\n"), 411),
    "coding-in-disguise": (with_head(HOST, JSON, LENGTH, "Transfer-Encoding : chunked"), 400),
    "coding-twice": (with_head(HOST, JSON, LENGTH, "Transfer-Encoding: chunked, identity"), 501),
    "two-lengths": (with_head(HOST, JSON, LENGTH, "Content-Length: 1"), 400),
    "same-length-twice": (with_head(HOST, JSON, LENGTH, LENGTH), 200),
    "length-with-sign": (with_head(HOST, JSON, f"Content-Length: +{len(CONTENT)}"), 400),
    "length-as-list": (with_head(HOST, JSON, "Content-Length: 1, 2"), 400),
    "length-beyond-all": (with_head(HOST, JSON, "Content-Length: " + "9" * 30), 400),
    "no-host": (with_head(JSON, LENGTH), 400),
    "two-hosts": (with_head(HOST, HOST, JSON, LENGTH), 400),
    "two-types": (with_head(HOST, JSON, "Content-Type: text/plain", LENGTH), 400),
    "http-1.0": (with_head(HOST, JSON, LENGTH, first="POST /v1/completions HTTP/1.0"), 505),
    "http-2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "upgrade": (with_head(HOST, JSON, LENGTH, "Upgrade: h2c", "Connection: upgrade"), 400),
    "trailer": (with_head(HOST, JSON, LENGTH, "Trailer: X"), 400),
    "coded-content": (with_head(HOST, JSON, LENGTH, "Content-Encoding: gzip"), 400),
    "expects": (with_head(HOST, JSON, LENGTH, "Expect: more"), 417),
    "get": (with_head(HOST, JSON, LENGTH, first="GET /v1/completions HTTP/1.1"), 405),
    "connect": (with_head(HOST, first="CONNECT other:443 HTTP/1.1", content=b""), 404),
    "absolute": (with_head(HOST, JSON, LENGTH, first="POST http://other/v1/completions HTTP/1.1"), 404),
    "query": (with_head(HOST, JSON, LENGTH, first="POST /v1/completions?a=b HTTP/1.1"), 404),
    "dots": (with_head(HOST, JSON, LENGTH, first="POST /v1/../v1/completions HTTP/1.1"), 404),
    "text": (with_head(HOST, "Content-Type: text/plain", LENGTH), 415),
    "no-type": (with_head(HOST, LENGTH), 415),
    "no-content": (with_head(HOST, JSON, content=b""), 400),
    "many-headers": (with_head(HOST, JSON, LENGTH, *(f"X{i}: a" for i in range(100))), 431),
    "large-head": (with_head(HOST, JSON, LENGTH, "X: " + "a" * 70_000), 431),
    "endless-head": (b"POST /v1/completions HTTP/1.1\r\nX: " + b"a" * 200_000, 431),
    "no-http": (b"\x16\x03\x01\x02\x00\x01\x00" * 40 + b"\r\n\r\n", 400),
    "nul": (with_head(HOST, JSON, LENGTH, "X: a\0b"), 400),
    "line-feed-in-name": (with_head(HOST, JSON, LENGTH, "X\r: a"), 400),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_request_of_another_form_is_refused_and_the_path_goes_on(tmp_path: Path, name: str) -> None:
    data, status = REFUSED[name]

    async def check() -> None:
        async with rig(tmp_path) as one:
            answer = await one.talk(data, ends=True)
            assert status_of(answer) == status
            if status != 200:
                assert one.gate.asked == []
                assert sum(one.path.counts.faults.values()) == 1
            assert status_of(await one.talk(GOOD)) == 200

    asyncio.run(check())


def test_what_follows_a_refused_request_is_not_taken_for_one(tmp_path: Path) -> None:
    async def check() -> None:
        async with rig(tmp_path) as one:
            smuggled = with_head(HOST, JSON, LENGTH, "Transfer-Encoding: chunked", content=b"0\r\n\r\n") + GOOD
            answer = await one.talk(smuggled)
            assert answer.count(b"HTTP/1.1 ") == 1
            assert one.gate.asked == []

    asyncio.run(check())


def test_a_client_that_trickles_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "HEAD_S_MAX", 0.1)
    monkeypatch.setattr(serving, "CONTENT_S_MAX", 0.1)
    monkeypatch.setattr(wire, "IDLE_S_MAX", 0.2)

    async def check() -> None:
        async with rig(tmp_path) as one:
            for data in (b"POST /v1/comp", GOOD[:-3]):
                answer = await one.talk(data)
                assert (status_of(answer), kind_of(answer)) == (408, "too-slow")
            assert await one.talk(b"") == b""
            assert one.path.counts.faults == {Fault.TOO_SLOW: 2}

    asyncio.run(check())


def test_a_client_that_leaves_is_settled_as_gone(tmp_path: Path) -> None:
    async def check() -> None:
        async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(STREAM_HEAD)
            for _ in range(200):
                writer.write(chunk(event("x" * 10_000)))
                await writer.drain()
                await asyncio.sleep(0.002)

        async with rig(tmp_path, slow) as one:
            _, writer = await asyncio.open_connection("127.0.0.1", one.port)
            writer.write(GOOD)
            await asyncio.sleep(0.05)
            writer.transport.abort()
            async with asyncio.timeout(2):
                while not one.gate.answered:
                    await asyncio.sleep(0.01)
            assert one.gate.answered[1].outcome is Outcome.CLIENT_GONE
            assert one.path.counts.open == 0

    asyncio.run(check())


# --- hostile servers ---------------------------------------------------------------------------------------------------

TYPE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
DOCUMENT = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BEFORE: dict[str, tuple[bytes, ...]] = {
    "nothing": (),
    "no-http": (b"hello\r\n\r\n",),
    "half-a-head": (b"HTTP/1.1 200 OK\r\nContent-Ty",),
    "large-head": (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000,),
    "many-headers": (DOCUMENT + b"X: a\r\n" * 100 + b"Content-Length: 2\r\n\r\n{}",),
    "another-type": (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi",),
    "another-status": (b"HTTP/1.1 302 Found\r\nLocation: http://other/\r\nContent-Length: 0\r\n\r\n",),
    "switching": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",),
    "only-early-answers": (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 20,),
    "encoded": (DOCUMENT + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",),
    "document-too-short": (DOCUMENT + b"Content-Length: 9\r\n\r\n{}",),
    "document-without-end": (DOCUMENT + b"\r\n{}",),
    "two-lengths": (DOCUMENT + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",),
}
WITHIN: dict[str, tuple[bytes, ...]] = {
    "dies": (STREAM_HEAD + chunk(event("0")),),
    "dies-within-an-event": (STREAM_HEAD + chunk(event("0") + b"data: hal"),),
    "ends-within-an-event": (STREAM_HEAD + chunk(event("0") + b"data: hal") + b"0\r\n\r\n",),
    "no-chunk": (STREAM_HEAD + chunk(event("0")), b"zz\r\n"),
    "closes-without-done": (TYPE + b"\r\n" + event("0"),),
    "shorter-than-said": (TYPE + b"Content-Length: 500\r\n\r\n" + event("0"),),
    "endless-event": (STREAM_HEAD + chunk(event("0")), *(chunk(b"x" * 65536),) * 20),
}


@pytest.mark.parametrize("name", BEFORE)
def test_a_server_without_an_answer_is_an_error_and_counted(tmp_path: Path, name: str) -> None:
    async def check() -> None:
        async with rig(tmp_path, saying(*BEFORE[name])) as one:
            answer = await one.talk(GOOD)
            assert (status_of(answer), kind_of(answer)) == (502, "request-dropped")
            assert one.gate.kinds == [EventKind.REQUEST_DROPPED]
            assert one.gate.answered[1].kind is EventKind.REQUEST_DROPPED
            assert one.gate.answered[1].status == 502

    asyncio.run(check())


@pytest.mark.parametrize("name", WITHIN)
def test_a_server_that_breaks_off_is_never_taken_for_done(tmp_path: Path, name: str) -> None:
    async def check() -> None:
        async with rig(tmp_path, saying(*WITHIN[name], pause_s=0.01)) as one:
            answer = await one.talk(GOOD)
            content, ended = unchunked(answer)
            assert not ended
            assert content.startswith(event("0") + b"event: error\ndata: ")
            assert content.endswith(b"\n\n")
            assert b"request-dropped" in content
            assert one.gate.answered[1].outcome is Outcome.CUT
            assert one.gate.kinds == [EventKind.REQUEST_DROPPED]

    asyncio.run(check())


def test_a_server_that_cannot_be_reached_has_used_nothing(tmp_path: Path) -> None:
    async def check() -> None:
        async with rig(tmp_path) as one:
            one.path.serve(type(one.loader.upstream)(port=1), "sha256:0")
            assert status_of(await one.talk(GOOD)) == 502
            assert one.gate.answered[1].tokens_at_most == 0
            one.path.serve(type(one.loader.upstream)(socket=tmp_path / "nothing"), "sha256:0")
            assert status_of(await one.talk(GOOD)) == 502

    asyncio.run(check())


def test_a_silent_server_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "QUIET_S_MAX", 0.1)

    async def check() -> None:
        async with rig(tmp_path, saying(STREAM_HEAD + chunk(event("0")), b"", pause_s=5)) as one:
            content, ended = unchunked(await one.talk(GOOD))
            assert not ended
            assert b"request-dropped" in content

    asyncio.run(check())


@pytest.mark.parametrize("status", [400, 429, 500])
def test_errors_of_the_server_pass_as_such(tmp_path: Path, status: int) -> None:
    async def check() -> None:
        head = f"HTTP/1.1 {status} No\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n"
        async with rig(tmp_path, saying(head.encode() + b'{"a":1}')) as one:
            answer = await one.talk(GOOD)
            assert (status_of(answer), answer.endswith(b'{"a":1}')) == (status, True)
            assert one.gate.answered[1].outcome is Outcome.COMPLETE
        page = f"HTTP/1.1 {status} No\r\nContent-Type: text/html\r\n\r\n<b>words of the server".encode()
        async with rig(tmp_path, saying(page)) as one:
            answer = await one.talk(GOOD)
            assert (status_of(answer), kind_of(answer)) == (status, "server")
            assert b"words" not in answer

    asyncio.run(check())


def test_a_stream_that_ends_with_its_connection_is_whole_if_it_says_so(tmp_path: Path) -> None:
    """As servers of HTTP/1.0 stream, that of the lab among them."""

    async def check() -> None:
        old = TYPE.replace(b"1.1", b"1.0") + b"\r\n" + event("0") + DONE
        async with rig(tmp_path, saying(old)) as one:
            assert unchunked(await one.talk(GOOD)) == (event("0") + DONE, True)

    asyncio.run(check())


# --- any bytes changed -------------------------------------------------------------------------------------------------


class Running:
    """One path that runs in a thread of its own, for many examples."""

    def __init__(self, folder: Path) -> None:
        self.seen: list[tuple[bytes, bytes]] = []
        self.followed = 0
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.stack = contextlib.AsyncExitStack()
        self.rig: Rig = self.do(self.stack.enter_async_context(rig(folder, self._serve, PlainGate())))

    def do(self, what: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(30)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.seen.append(await read_request(reader))
        writer.write(DOCUMENT + b"Content-Length: 2\r\n\r\n{}")
        self.followed += len(await reader.read(1))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    one = Running(tmp_path_factory.mktemp("path"))
    yield one
    one.do(one.stack.aclose())
    one.loop.call_soon_threadsafe(one.loop.stop)


TOKENS = [
    b"\r\n",
    b"\n",
    b"\r",
    b":",
    b" ",
    b"\0",
    b"\t",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 3\r\n",
    b"{",
    b'"',
    b"0",
]
EDIT = st.tuples(
    st.integers(0, len(GOOD)), st.integers(0, 5), st.one_of(st.binary(max_size=6), st.sampled_from(TOKENS))
)


@settings(max_examples=150)
@given(edits=st.lists(EDIT, min_size=1, max_size=3))
def test_a_changed_request_is_refused_or_reaches_the_server_as_it_was_judged(
    running: Running, edits: list[tuple[int, int, bytes]]
) -> None:
    data = GOOD
    for place, cut, text in edits:
        data = data[:place] + text + data[place + cut :]
    gate, seen = running.rig.gate, running.seen
    asked_before, seen_before = len(gate.asked), len(seen)
    answer = running.do(running.rig.talk(data, ends=True))
    assert running.rig.path.ended is not None
    assert not running.rig.path.ended.done()
    assert status_of(answer) in (0, 200, 400, 404, 405, 408, 411, 413, 415, 417, 431, 501, 505)
    assert len(seen) - seen_before == len(gate.asked) - asked_before
    for asked, (head, content) in zip(gate.asked[asked_before:], seen[seen_before:], strict=True):
        assert head.startswith(f"POST {asked.path} HTTP/1.1\r\n".encode())
        assert asked.path in ENDPOINTS
        assert parse_content(asked.path, content).tokens_max == asked.tokens_max
        assert b"transfer-encoding" not in head.lower()
        assert asked.request_bytes <= len(data)
    assert running.followed == 0
    assert set(gate.answered) == set(range(1, len(gate.asked) + 1))
