"""Serving mode over real sockets: what passes, what is counted, and how an open answer ends when nothing may pass any more."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest
from interlock_making import (
    DONE,
    LISTED,
    STREAM_HEAD,
    WIDE,
    PlainGate,
    chunk,
    event,
    kind_of,
    post,
    read_request,
    rig,
    saying,
    status_of,
    streaming,
    unchunked,
)

from inspectorate.mechanisms.guarantee.events import EventKind, Mode, Refusal
from inspectorate.mechanisms.guarantee.interlock.asking import TEMPLATE_TOKENS
from inspectorate.mechanisms.guarantee.interlock.gate import Outcome

ASKED = {"prompt": "hello", "max_tokens": 3}
HALT = Refusal(kind=EventKind.LICENCE_EXHAUSTED, why="not for clients")


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that goes on and on."""
    await read_request(reader)
    writer.write(STREAM_HEAD)
    while True:
        writer.write(chunk(event("x")))
        await writer.drain()
        await asyncio.sleep(0.005)


def test_a_stream_passes_whole_and_is_settled(tmp_path: Path) -> None:
    async def check() -> None:
        async with rig(tmp_path) as one:
            request = post(ASKED)
            answer = await one.talk(request)
            assert status_of(answer) == 200
            assert unchunked(answer) == (event("0") + event("1") + event("2") + DONE, True)
            (asked,), settled = one.gate.asked, one.gate.answered[1]
            assert asked.request_bytes == settled.bytes_in == len(request)
            assert settled.bytes_out == len(answer)
            assert settled.outcome is Outcome.COMPLETE
            assert (settled.status, settled.kind) == (200, None)
            assert settled.tokens_at_least == 3
            assert settled.tokens_at_most == 3 + len("hello") + 2 * TEMPLATE_TOKENS
            assert one.gate.noted == []

    asyncio.run(check())


def test_the_server_sees_what_was_parsed_and_no_header_of_the_client(tmp_path: Path) -> None:
    seen: list[tuple[bytes, bytes]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Secret: s\r\nContent-Length: 2\r\n\r\n{}")

    async def check() -> None:
        async with rig(tmp_path, serve) as one:
            extra = "X-Forwarded-For: a\r\nCookie: b\r\nAuthorization: c\r\nConnection: close, cookie\r\n"
            answer = await one.talk(post(b'{"prompt":"a" ,"max_tokens":1}', extra=extra))
            assert status_of(answer) == 200
            assert answer.endswith(b"\r\n\r\n{}")
            assert b"Secret" not in answer
            ((head, content),) = seen
            assert content == b'{"prompt":"a","max_tokens":1}'
            names = sorted(line.split(b":")[0].lower() for line in head.split(b"\r\n")[1:] if line)
            assert names == [b"accept", b"connection", b"content-length", b"content-type", b"host"]

    asyncio.run(check())


def test_requests_follow_one_another_on_one_connection(tmp_path: Path) -> None:
    async def check() -> None:
        async with rig(tmp_path) as one:
            answer = await one.talk(post(ASKED, extra="") * 3 + post(ASKED))
            assert answer.count(b"HTTP/1.1 200") == 4
            assert {done.outcome for done in one.gate.answered.values()} == {Outcome.COMPLETE}
            assert [asked.request_bytes for asked in one.gate.asked[:3]] == [len(post(ASKED, extra=""))] * 3
            assert one.path.counts.connections == 1
            assert sum(done.bytes_out for done in one.gate.answered.values()) == len(answer)

    asyncio.run(check())


def test_many_clients_at_once_each_get_their_own_answer(tmp_path: Path) -> None:
    async def check() -> None:
        async with rig(tmp_path) as one:
            counts = [1 + number % 7 for number in range(60)]
            answers = await asyncio.gather(*(one.talk(post({**ASKED, "max_tokens": count})) for count in counts))
            for count, answer in zip(counts, answers, strict=True):
                assert unchunked(answer) == (b"".join(event(str(i)) for i in range(count)) + DONE, True)
            assert len(one.gate.answered) == 60
            assert one.path.counts.open == 0

    asyncio.run(check())


# --- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [EventKind.RULE_FAILED, EventKind.LICENCE_EXHAUSTED, EventKind.LIMIT_REACHED])
def test_a_refusal_of_the_gate_has_its_status_and_kind_and_not_its_words(tmp_path: Path, kind: EventKind) -> None:
    async def check() -> None:
        gate = PlainGate(judge=lambda asked: Refusal(kind=kind, why="the secret reason"))
        async with rig(tmp_path, gate=gate) as one:
            answer = await one.talk(post(ASKED))
            assert kind_of(answer) == kind.value
            assert status_of(answer) in (403, 429, 503)
            assert b"secret" not in answer
            assert one.gate.answered == {}

    asyncio.run(check())


@pytest.mark.parametrize("mode", [Mode.LOCKED, Mode.READY, Mode.UPLOADING, Mode.HALTED])
def test_nothing_is_served_in_any_other_mode(tmp_path: Path, mode: Mode) -> None:
    async def check() -> None:
        async with rig(tmp_path, gate=PlainGate(mode=mode)) as one:
            answer = await one.talk(post(ASKED))
            assert status_of(answer) == 503
            assert one.gate.asked == []

    asyncio.run(check())


def test_without_a_ruleset_nothing_is_served(tmp_path: Path) -> None:
    async def check() -> None:
        async with rig(tmp_path, gate=PlainGate(limits=None)) as one:
            assert kind_of(await one.talk(post(ASKED))) == "ruleset-expired"

    asyncio.run(check())


def test_sizes_and_places_are_limited(tmp_path: Path) -> None:
    async def check() -> None:
        request = post(ASKED)
        limits = WIDE.model_copy(update={"request_bytes_max": len(request), "concurrent_max": 2})
        async with rig(tmp_path, endless, PlainGate(limits=limits)) as one:
            one_more = post({**ASKED, "prompt": "hello!"})
            assert status_of(await one.talk(one_more)) == 413
            waiting = [asyncio.create_task(one.talk(request, wait_s=10)) for _ in range(2)]
            await asyncio.sleep(0.05)
            assert status_of(await one.talk(request)) == 429
            assert one.gate.kinds == [EventKind.LIMIT_REACHED] * 2
            one.gate.turn(Mode.HALTED, HALT)
            await asyncio.gather(*waiting)

    asyncio.run(check())


def test_an_answer_that_is_too_large_is_cut_with_a_word(tmp_path: Path) -> None:
    async def check() -> None:
        gate = PlainGate(limits=WIDE.model_copy(update={"response_bytes_max": 2000}))
        async with rig(tmp_path, endless, gate) as one:
            answer = await one.talk(post(ASKED))
            content, ended = unchunked(answer)
            assert not ended
            assert json.loads(content.split(b"event: error\ndata: ")[1])["error"]["kind"] == "limit-reached"
            assert one.gate.answered[1].outcome is Outcome.CUT
            assert one.gate.answered[1].kind is EventKind.LIMIT_REACHED
            assert len(answer) <= 2000 + 300
            document = (
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n" + b" " * 5000
            )
        async with rig(tmp_path, saying(document), gate) as one:
            assert status_of(await one.talk(post(ASKED))) == 502

    asyncio.run(check())


def test_the_rate_outwards_slows_a_stream_down_and_is_counted_once(tmp_path: Path) -> None:
    async def check() -> None:
        limits = WIDE.model_copy(update={"out_bytes_per_s_max": 20_000.0, "burst_bytes_max": 1000.0})
        async with rig(tmp_path, gate=PlainGate(limits=limits)) as one:
            started = time.monotonic()
            answer = await one.talk(post({**ASKED, "max_tokens": 150}))
            content, ended = unchunked(answer)
            assert ended
            assert time.monotonic() - started > (len(content) - 1000) / 20_000
            assert one.gate.kinds == [EventKind.LIMIT_REACHED]

    asyncio.run(check())


def test_the_rate_inwards_refuses_what_it_would_hold_for_too_long(tmp_path: Path) -> None:
    async def check() -> None:
        limits = WIDE.model_copy(update={"in_bytes_per_s_max": 100.0, "burst_bytes_max": 200.0})
        async with rig(tmp_path, gate=PlainGate(limits=limits)) as one:
            assert status_of(await one.talk(post(ASKED))) == 200
            answer = await one.talk(post({**ASKED, "prompt": "x" * 900}))
            assert (status_of(answer), kind_of(answer)) == (429, "limit-reached")

    asyncio.run(check())


# --- halts -------------------------------------------------------------------------------------------------------------


def test_a_halt_ends_open_streams_within_a_second_with_a_word_and_no_proper_end(tmp_path: Path) -> None:
    async def check() -> None:
        async with rig(tmp_path, endless) as one:
            clients = [asyncio.create_task(one.talk(post(ASKED), wait_s=10)) for _ in range(20)]
            while len(one.gate.asked) < 20:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.2)
            started = time.monotonic()
            one.gate.turn(Mode.HALTED, HALT)
            answers = await asyncio.gather(*clients)
            assert time.monotonic() - started < 1
            for answer in answers:
                content, ended = unchunked(answer)
                assert not ended
                last = content.split(b"\n\n")[-2]
                assert last.startswith(b"event: error\ndata: ")
                assert json.loads(last.split(b"data: ")[1])["error"]["kind"] == "licence-exhausted"
            assert {done.kind for done in one.gate.answered.values()} == {EventKind.LICENCE_EXHAUSTED}
            assert len(one.gate.answered) == 20
            assert kind_of(await one.talk(post(ASKED))) == "licence-exhausted"
            await asyncio.sleep(0)
            assert one.loader.unloads == 1

    asyncio.run(check())


def test_work_that_is_held_while_it_serves_ends_streams_and_keeps_its_server(tmp_path: Path) -> None:
    async def check() -> None:
        async with rig(tmp_path, endless) as one:
            client = asyncio.create_task(one.talk(post(ASKED), wait_s=10))
            while not one.gate.asked:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            one.gate.turn(Mode.SERVING, HALT)
            assert b"licence-exhausted" in await client
            assert kind_of(await one.talk(post(ASKED))) == "licence-exhausted"
            assert one.loader.unloads == 0
            one.gate.turn(Mode.SERVING)
            again = asyncio.create_task(one.talk(post(ASKED), wait_s=10))
            while len(one.gate.asked) < 2:
                await asyncio.sleep(0.01)
            one.gate.turn(Mode.HALTED, HALT)
            await again

    asyncio.run(check())


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that takes requests and says nothing."""
    await reader.read(-1)


def test_a_halt_answers_requests_that_the_server_has_not(tmp_path: Path) -> None:
    async def check() -> None:
        async with rig(tmp_path, silent) as one:
            client = asyncio.create_task(one.talk(post(ASKED)))
            await asyncio.sleep(0.05)
            one.gate.turn(Mode.HALTED, HALT)
            answer = await client
            assert (status_of(answer), kind_of(answer)) == (503, "licence-exhausted")
            assert one.gate.answered[1].tokens_at_most > 0

    asyncio.run(check())


def test_a_halt_reaches_a_client_that_does_not_read(tmp_path: Path) -> None:
    async def flooding(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(STREAM_HEAD)
        while True:
            writer.write(chunk(event("x" * 1000) * 50))
            await writer.drain()

    async def check() -> None:
        gate = PlainGate(limits=WIDE.model_copy(update={"response_bytes_max": 1 << 28}))
        async with rig(tmp_path, flooding, gate) as one:
            _, writer = await asyncio.open_connection("127.0.0.1", one.port, limit=1024)
            writer.write(post(ASKED))
            await asyncio.sleep(0.2)
            started = time.monotonic()
            one.gate.turn(Mode.HALTED, HALT)
            while not one.gate.answered or one.path.counts.open:
                assert time.monotonic() - started < 1.5
                await asyncio.sleep(0.01)
            assert one.gate.answered[1].outcome is Outcome.CUT
            writer.transport.abort()

    asyncio.run(check())


def test_a_gate_that_halts_within_admission_lets_nothing_through(tmp_path: Path) -> None:
    async def check() -> None:
        gate = PlainGate()

        def judge(asked: object) -> Refusal:
            gate.turn(Mode.HALTED, HALT)
            return HALT

        gate.judge = judge
        async with rig(tmp_path, gate=gate) as one:
            assert kind_of(await one.talk(post(ASKED))) == "licence-exhausted"

    asyncio.run(check())


def test_a_path_that_ends_tells_its_clients(tmp_path: Path) -> None:
    async def check() -> None:
        async with rig(tmp_path, endless) as one:
            client = asyncio.create_task(one.talk(post(ASKED)))
            await asyncio.sleep(0.05)
            await one.path.close()
            content, ended = unchunked(await client)
            assert not ended
            assert b"guard-lost" in content
            assert one.gate.answered[1].outcome is Outcome.CUT

    asyncio.run(check())


def test_a_gate_that_fails_ends_the_path(tmp_path: Path) -> None:
    async def check() -> None:
        gate = PlainGate()

        def judge(asked: object) -> None:
            raise RuntimeError("a fault of ours")

        gate.judge = judge
        async with rig(tmp_path, gate=gate) as one:
            assert await one.talk(post(ASKED)) == b""
            assert one.path.ended is not None
            with pytest.raises(RuntimeError, match="a fault of ours"):
                await one.path.ended
            with pytest.raises(OSError, match="Connect call failed"):
                await asyncio.open_connection("127.0.0.1", one.port)

    asyncio.run(check())


# --- samples -----------------------------------------------------------------------------------------------------------


def test_drawn_requests_are_kept_as_the_server_saw_them(tmp_path: Path) -> None:
    async def check() -> None:
        async with rig(tmp_path, streaming, PlainGate(sampled=True)) as one:
            await one.talk(post(ASKED))
            assert one.samples.waiting == (1,)
            kept = one.samples.read(1)
            assert json.loads(kept.request) == ASKED
            assert kept.answer == event("0") + event("1") + event("2") + DONE
            assert (kept.model, kept.outcome) == (LISTED.content, Outcome.COMPLETE)

    asyncio.run(check())


def test_without_room_for_samples_nothing_is_served(tmp_path: Path) -> None:
    async def check() -> None:
        gate = PlainGate(sampled=True, limits=WIDE.model_copy(update={"response_bytes_max": 1 << 40}))
        async with rig(tmp_path, gate=gate) as one:
            answer = await one.talk(post(ASKED))
            assert (status_of(answer), kind_of(answer)) == (503, "limit-reached")
            assert one.gate.asked == []

    asyncio.run(check())
