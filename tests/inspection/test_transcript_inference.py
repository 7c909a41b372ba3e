"""The recorder of a server, and the middleware around a small real ASGI application: what the client gets never changes."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.canonical import digest_of
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import WorkKind
from inspectorate.mechanisms.inspection.transcripts import asgi, completions
from inspectorate.mechanisms.inspection.transcripts.asgi import Extras, TranscriptMiddleware
from inspectorate.mechanisms.inspection.transcripts.completions import AnswerReader, read_request
from inspectorate.mechanisms.inspection.transcripts.folder import FolderReader
from inspectorate.mechanisms.inspection.transcripts.inference import (
    InferenceOptions,
    InferenceRecorder,
    Served,
    runs_of,
    token_bytes,
    tokens_of,
)
from inspectorate.mechanisms.inspection.transcripts.lists import check_folder
from inspectorate.mechanisms.inspection.transcripts.types import InferenceHeader, Request, Stack

HEADER = InferenceHeader(
    work=WorkKind.INFERENCE,
    run="serving",
    code=digest_of(b"code"),
    model=digest_of(b"model"),
    sampling={"temperature": 1.0},
    stack=Stack(hardware="a chip", versions={"engine": "1"}, deterministic=True),
)


def recorder(folder: Path, **changes: Any) -> InferenceRecorder:
    ticks, salts = itertools.count(10), itertools.count(1)
    given: dict[str, Any] = {
        "durable": False,
        "clock": lambda: 1_000 * next(ticks),
        "salts": lambda size: next(salts).to_bytes(size, "big"),
    }
    return InferenceRecorder(folder, HEADER, flop_per_token=2.0, options=InferenceOptions(**given | changes))


def requests(folder: Path) -> list[Request]:
    reader = FolderReader(folder)
    assert [fault.detail for fault in check_folder(reader, deep=True).faults if "empty" not in fault.detail] == []
    return [one for packet in reader.packets() for one in packet.content.requests]  # type: ignore[union-attr]


# --- the recorder ------------------------------------------------------------------------------------------------------


def test_requests_become_packets_and_tokens_are_kept(tmp_path: Path) -> None:
    one = recorder(tmp_path / "a", requests=2)
    for number in range(5):
        one.add(
            Served(prompt=[1, number], answer=[number] * 3, seed=number, batch_sizes=runs_of([4, 4, 2]), proof=b"p")
        )
    one.close()
    one.close()
    reader = FolderReader(tmp_path / "a")
    assert [len(packet.content.requests) for packet in reader.packets()] == [2, 2, 1]  # type: ignore[union-attr]
    assert [packet.flop for packet in reader.packets()] == [20.0, 20.0, 10.0]
    request = requests(tmp_path / "a")[3]
    assert tokens_of(reader.read_bytes(request.prompt)) == (1, 3)
    assert reader.read_bytes(request.answer) == token_bytes([3, 3, 3]) == b"\3\0\0\0" * 3
    assert request.batch_sizes == ((4, 2), (2, 1))
    assert request.proof is not None
    assert reader.read_bytes(request.proof) == b"p"
    with pytest.raises(InputError, match="closed"):
        one.add(Served(prompt=[1], answer=[], seed=0))


def test_packets_do_not_overlap_although_requests_do(tmp_path: Path) -> None:
    times = iter([100, 200, 300, 300, 250, 50, 400])
    one = recorder(tmp_path / "a", requests=2, clock=lambda: next(times))
    for start in (90, 10, 20, 280, 5, 1):
        one.add(Served(prompt=[1], answer=[1], seed=0, start_ns=start))
    one.close()
    spans = [(packet.start_ns, packet.end_ns) for packet in FolderReader(tmp_path / "a").packets()]
    assert spans[0] == (10, 200)
    assert all(start < end for start, end in spans)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))


def test_a_packet_ends_by_time_too(tmp_path: Path) -> None:
    times = iter([0, 10**9, 61 * 10**9, 62 * 10**9, 63 * 10**9])
    one = recorder(tmp_path / "a", clock=lambda: next(times))
    for _ in range(4):
        one.add(Served(prompt=[1], answer=[1], seed=0))
    one.close()
    assert [len(packet.content.requests) for packet in FolderReader(tmp_path / "a").packets()] == [3, 1]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": []},
        {"prompt": [-1]},
        {"answer": [2**31]},
        {"answer": ["a"]},
        {"seed": 2**53},
        {"batch_sizes": ((1, 2, 3),)},
    ],
)
def test_what_is_no_request_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    one = recorder(tmp_path / "a")
    with pytest.raises(InputError):
        one.add(Served(**{"prompt": [1], "answer": [1], "seed": 0} | change))


# --- the middleware ----------------------------------------------------------------------------------------------------

Messages = list[dict[str, Any]]


def whole(value: object, **start: Any) -> Messages:
    body = json.dumps(value).encode()
    head = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]} | start
    return [
        head,
        {"type": "http.response.body", "body": body[:5], "more_body": True},
        {"type": "http.response.body", "body": body[5:]},
    ]


def stream(events: Sequence[object], *, done: bool = True, step: int = 7, end: bytes = b"\n") -> Messages:
    """Server-sent events, cut into pieces without regard to where they end."""
    text = b"".join(b"data: " + json.dumps(one).encode() + 2 * end for one in events)
    text = b": hello" + 2 * end + text + (b"data: [DONE]" + 2 * end if done else b"")
    head = {
        "type": "http.response.start",
        "status": 200,
        "headers": [(b"Content-Type", b"text/event-stream; charset=utf-8")],
    }
    parts = [text[at : at + step] for at in range(0, len(text), step)]
    return [
        head,
        *({"type": "http.response.body", "body": part, "more_body": True} for part in parts),
        {"type": "http.response.body"},
    ]


def exchange(
    middleware_of: Any, asked: object, answer: Messages, *, path: str = "/v1/completions", fails: bool = False
) -> Messages:
    """One request through the middleware: what the client received."""
    body = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
    waiting = [
        {"type": "http.request", "body": body[:3], "more_body": True},
        {"type": "http.request", "body": body[3:]},
    ]
    got: Messages = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        for message in answer:
            await send(message)
        if fails:
            raise ConnectionResetError("gone")

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        got.append(dict(message))

    asyncio.run(middleware_of(app)({"type": "http", "method": "POST", "path": path}, receive, send))
    return got


def completion(tokens: list[int] | None = None, prompt: list[int] | None = None, **more: Any) -> dict[str, Any]:
    """One answer, or one event, as vLLM writes them."""
    choice = {"index": 0, "text": "ab", "finish_reason": "stop", "token_ids": tokens, "prompt_token_ids": prompt}
    return {"id": "cmpl-1", "choices": [choice]} | more


def chat(tokens: list[int], prompt: list[int] | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": "ab"}, "token_ids": tokens}
    return {"id": "chat-1", "prompt_token_ids": prompt, "choices": [choice]} | more


class Letters:
    """A tokenizer of characters."""

    def prompt(self, body: Mapping[str, Any]) -> list[list[int]]:
        texts = [one["content"] for one in body["messages"]] if "messages" in body else [body["prompt"]]
        return [[ord(letter) for text in texts for letter in text]]

    def answer(self, text: str) -> list[int]:
        return [ord(letter) for letter in text]


USAGE = {"id": "x", "choices": [], "usage": {"completion_tokens": 3}}
MESSAGE = {"index": 0, "message": {"content": "ab"}, "token_ids": [4]}
LETTERS = [{"choices": [{"delta": {"content": letter}}]} for letter in "ab"]
ASK = {"prompt": "hi", "seed": 7}
TALK = {"messages": [{"role": "user", "content": "hi"}], "seed": 7}
CASES: dict[str, tuple[object, Messages, tuple[list[int], list[int], int] | None, set[str]]] = {
    "tokens of the server": (ASK, whole(completion([5, 6], [1, 2])), ([1, 2], [5, 6], 7), set()),
    "prompt in numbers": ({"prompt": [3, 4], "seed": 7}, whole(completion([5])), ([3, 4], [5], 7), set()),
    "stream": (ASK, stream([completion([5], [1, 2]), completion([6, 7]), USAGE]), ([1, 2], [5, 6, 7], 7), set()),
    "stream with CRLF": (
        ASK,
        stream([completion([5], [1, 2]), completion([6])], end=b"\r\n", step=1),
        ([1, 2], [5, 6], 7),
        set(),
    ),
    "chat stream": (TALK, stream([chat([], [1, 2]), chat([8]), chat([9])]), ([1, 2], [8, 9], 7), set()),
    "chat in one piece": (
        TALK,
        whole({"id": "c", "prompt_token_ids": [1], "choices": [MESSAGE]}),
        ([1], [4], 7),
        set(),
    ),
    "retokenised": (ASK, whole(completion()), ([104, 105], [97, 98], 7), {"retokenised"}),
    "retokenised chat stream": (TALK, stream(LETTERS), ([104, 105], [97, 98], 7), {"retokenised"}),
    "greedy needs no seed": ({"prompt": [3], "temperature": 0}, whole(completion([5])), ([3], [5], 0), set()),
    "no seed": ({"prompt": [3]}, whole(completion([5])), ([3], [5], 0), {"unseeded"}),
    "stream cut": (ASK, stream([completion([5], [1, 2])], done=False), ([1, 2], [5], 7), {"cut"}),
    "count differs": (
        ASK,
        whole(completion([5], [1], usage={"completion_tokens": 9})),
        ([1], [5], 7),
        {"count-differs"},
    ),
    "error": (ASK, whole({"error": {"message": "no"}}, status=400), None, {"failed"}),
    "error in a stream": (ASK, stream([{"error": {"message": "no"}}]), None, {"failed"}),
    "compressed": (ASK, whole(completion([5]), headers=[(b"content-encoding", b"gzip")]), None, {"unreadable"}),
    "answer no JSON": (ASK, [whole({})[0], {"type": "http.response.body", "body": b"<html>"}], None, {"unreadable"}),
    "request no JSON": (b"<xml>", whole(completion([5])), None, {"unreadable"}),
    "tokens no numbers": (ASK, whole(completion([5, "x"])), None, {"unreadable"}),  # type: ignore[list-item]
    "answer not whole": (ASK, whole(completion([5], [1]))[:2], None, {"cut"}),
    "no answer": (ASK, [], None, {"failed"}),
}


@pytest.mark.parametrize("name", CASES)
def test_the_client_gets_the_same_and_the_transcript_what_was_said(name: str, tmp_path: Path) -> None:
    asked, answer, expected, missed = CASES[name]
    one = recorder(tmp_path / "a")
    extras = Extras(batch_sizes=((3, 2),))
    got = exchange(
        lambda app: TranscriptMiddleware(app, one, tokenizer=Letters(), extras=lambda *_: extras), asked, answer
    )
    assert got == answer
    one.close()
    reader = FolderReader(tmp_path / "a")
    assert set(reader.counts) == missed == set(one.missed)
    if expected is None:
        assert reader.count == 0
        return
    (request,) = requests(tmp_path / "a")
    prompt, tokens, seed = expected
    found = [list(tokens_of(reader.read_bytes(digest))) for digest in (request.prompt, request.answer)]
    assert (found, request.seed, request.batch_sizes) == ([prompt, tokens], seed, ((3, 2),))


def test_without_a_tokenizer_text_is_counted_and_not_guessed(tmp_path: Path) -> None:
    one = recorder(tmp_path / "a")
    exchange(lambda app: TranscriptMiddleware(app, one), ASK, whole(completion()))
    exchange(lambda app: TranscriptMiddleware(app, one), {"prompt": [1], "seed": 2}, whole(completion([5])))
    assert one.missed == {"no-tokens": 1, "no-batch-sizes": 1}


def test_several_answers_and_prompts_are_records_of_their_own(tmp_path: Path) -> None:
    one = recorder(tmp_path / "a")
    choices = [{"index": index, "token_ids": [index]} for index in (3, 0, 2, 1)]
    asked = {"prompt": [[1], [2, 2]], "n": 2, "seed": 0}
    exchange(
        lambda app: TranscriptMiddleware(app, one, extras=lambda id_, n: Extras(seed=n)),
        asked,
        whole({"id": "x", "choices": choices}),
    )
    one.close()
    reader = FolderReader(tmp_path / "a")
    found = [(r.prompt_tokens, tokens_of(reader.read_bytes(r.answer)), r.seed) for r in requests(tmp_path / "a")]
    assert found == [(1, (0,), 0), (1, (1,), 1), (2, (2,), 2), (2, (3,), 3)]


def test_other_requests_pass_untouched_and_faults_of_the_application_go_on(tmp_path: Path) -> None:
    one = recorder(tmp_path / "a")
    wrapped = lambda app: TranscriptMiddleware(app, one)  # noqa: E731
    assert exchange(wrapped, ASK, whole(completion([5])), path="/health") == whole(completion([5]))
    with pytest.raises(ConnectionResetError):
        exchange(wrapped, {"prompt": [1], "seed": 1}, stream([completion([5])], done=False)[:-1], fails=True)
    assert one.missed == {"cut": 1, "no-batch-sizes": 1}


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi, "REQUEST_BYTES_MAX", 100)
    monkeypatch.setattr(completions, "ANSWER_BYTES_MAX", 300)
    one = recorder(tmp_path / "a")
    wrapped = lambda app: TranscriptMiddleware(app, one, tokenizer=Letters())  # noqa: E731
    large = {"prompt": list(range(100)), "seed": 1}
    assert exchange(wrapped, large, whole(completion([5]))) == whole(completion([5]))
    long_event = stream([completion([5], [1], text="x" * 400)])
    assert exchange(wrapped, ASK, long_event) == long_event
    long_text = stream([completion()] * 5)
    assert exchange(wrapped, ASK, long_text) == long_text
    long_stream = stream([completion([5], [1, 2])] * 50)
    assert exchange(wrapped, ASK, long_stream) == long_stream
    one.close()
    assert one.missed == {"too-large": 1, "unreadable": 2, "no-batch-sizes": 1}
    assert [request.answer_tokens for request in requests(tmp_path / "a")] == [50]


def test_the_run_is_closed_when_the_server_shuts_down(tmp_path: Path) -> None:
    one = recorder(tmp_path / "a")
    sent = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})

    async def send(message: Any) -> None:
        sent.append((message["type"], FolderReader(tmp_path / "a").closed))

    async def receive() -> dict[str, Any]:
        return {"type": "lifespan.shutdown"}

    asyncio.run(TranscriptMiddleware(app, one)({"type": "lifespan"}, receive, send))
    assert sent == [("lifespan.startup.complete", False), ("lifespan.shutdown.complete", True)]


GOOD = json.dumps(completion([5, 6], [1, 2])).encode()


@settings(max_examples=60)
@given(st.integers(0, len(GOOD) - 1), st.binary(max_size=3), st.booleans())
def test_damaged_requests_and_answers_raise_nothing_else(place: int, put: bytes, streamed: bool) -> None:
    data = GOOD[:place] + put + GOOD[place + len(put) :]
    for read in (lambda: read_request(data), lambda: _read(data, streamed)):
        try:
            read()
        except EvidenceError:
            continue


def _read(data: bytes, streamed: bool) -> None:
    reader = AnswerReader(streamed=streamed)
    reader.feed(b"data: " + data + b"\n\n" if streamed else data)
    reader.end()
