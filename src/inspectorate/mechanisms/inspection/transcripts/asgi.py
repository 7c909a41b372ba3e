"""Middleware that records what an OpenAI-compatible server answers: `app = TranscriptMiddleware(app, recorder)`.

Any ASGI server (vLLM's is one) can carry it. Rules:

- The client receives what it would have received: every message is passed on first, unchanged, in order, and only then looked at.
  Nothing is asked of the server that the client did not ask; a server that names its tokens only on request must be set to do so.
- A fault of reading or recording never reaches the client. It is counted (`InferenceRecorder.missed`). A fault of the application
  goes on to the server, as it would have.
- Memory is bounded: of a request its body up to a limit, of a stream one event and the tokens so far. What exceeds that is passed
  on and not recorded.
- Recording happens in a thread after the last byte has left, so that a slow disk delays no answer.
- When the server shuts down, the run is closed.

What only the engine knows (seeds that it drew, batch sizes of forward passes, proofs of activations) comes from `extras`, which is
asked with the answer's id and the number of the choice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.mechanisms.inspection.transcripts.completions import (
    REQUEST_BYTES_MAX,
    Answer,
    AnswerReader,
    Asked,
    Choice,
    Tokenizer,
    read_request,
)
from inspectorate.mechanisms.inspection.transcripts.inference import InferenceRecorder, Missed, Served

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

PATHS = ("/v1/completions", "/v1/chat/completions")


@dataclass(frozen=True, kw_only=True)
class Extras:
    """What the engine knows of one answer."""

    seed: int | None = None
    batch_sizes: tuple[tuple[int, int], ...] = ()
    proof: bytes | None = None


class TranscriptMiddleware:
    """Wraps an ASGI application; see the top of this module."""

    def __init__(
        self,
        app: App,
        recorder: InferenceRecorder,
        *,
        tokenizer: Tokenizer | None = None,
        extras: Callable[[str, int], Extras] | None = None,
        paths: Sequence[str] = PATHS,
    ) -> None:
        self._app = app
        self._recorder = recorder
        self._tokenizer = tokenizer
        self._extras = extras
        self._paths = tuple(paths)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope.get("type") == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        if scope.get("type") != "http" or scope.get("method") != "POST" or scope.get("path") not in self._paths:
            await self._app(scope, receive, send)
            return
        seen = _Exchange(self._recorder.now())

        async def receiving() -> Message:
            message = await receive()
            seen.received(message)
            return message

        async def sending(message: Message) -> None:
            await send(message)
            seen.sent(message)

        try:
            await self._app(scope, receiving, sending)
        finally:
            await asyncio.shield(asyncio.to_thread(self._record, seen))

    async def _lifespan(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message.get("type") in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                await asyncio.to_thread(self._recorder.close)
            await send(message)

        await self._app(scope, receive, sending)

    def _record(self, seen: _Exchange) -> None:
        """In a thread, after the answer: what fails is counted."""
        if seen.fault is not None or seen.status != 200:
            self._recorder.miss(seen.fault or Missed.FAILED)
            return
        try:
            asked = read_request(bytes(seen.request))
            answer = seen.reader.end() if seen.reader is not None else Answer()
        except EvidenceError:
            self._recorder.miss(Missed.UNREADABLE if seen.complete else Missed.CUT)
            return
        if answer.failed or not answer.choices:
            self._recorder.miss(Missed.FAILED)
            return
        named = sum(len(choice.tokens) for choice in answer.choices.values())
        all_named = all(choice.named for choice in answer.choices.values())
        if all_named and answer.completion_tokens is not None and answer.completion_tokens != named:
            self._recorder.miss(Missed.COUNT_DIFFERS)
        for index in sorted(answer.choices):
            self._record_choice(seen, asked, answer, index)

    def _record_choice(self, seen: _Exchange, asked: Asked, answer: Answer, index: int) -> None:
        choice = answer.choices[index]
        extras = self._extras(answer.id, index) if self._extras is not None else Extras()
        try:
            prompt, tokens = self._tokens(asked, answer, choice, index)
        except (EvidenceError, LookupError, TypeError, ValueError):
            self._recorder.miss(Missed.UNREADABLE)
            return
        if not prompt or tokens is None:
            self._recorder.miss(Missed.NO_TOKENS)
            return
        if not (seen.complete and seen.reader is not None and seen.reader.ended):
            self._recorder.miss(Missed.CUT)
        seed = asked.seed if extras.seed is None else extras.seed
        if seed is None and not asked.greedy:
            self._recorder.miss(Missed.UNSEEDED)
        try:
            self._recorder.add(
                Served(
                    prompt=prompt,
                    answer=tokens,
                    seed=seed or 0,
                    batch_sizes=extras.batch_sizes,
                    proof=extras.proof,
                    start_ns=seen.start_ns,
                )
            )
        except (InputError, EnvironmentError_):
            self._recorder.miss(Missed.UNREADABLE)

    def _tokens(
        self, asked: Asked, answer: Answer, choice: Choice, index: int
    ) -> tuple[Sequence[int] | None, Sequence[int] | None]:
        """Of prompt and answer: the server's, or the tokenizer's; none where neither gives them."""
        place = index // asked.choices
        asked_in_numbers = asked.prompts[place] if place < len(asked.prompts) else None
        prompt: Sequence[int] | None = choice.prompt or answer.prompt or asked_in_numbers
        tokens: Sequence[int] | None = choice.tokens if choice.named else None
        if self._tokenizer is None or (prompt is not None and tokens is not None):
            return prompt, tokens
        if prompt is None:
            prompt = self._tokenizer.prompt(asked.body)[place]
        if tokens is None:
            tokens = self._tokenizer.answer("".join(choice.text))
        self._recorder.miss(Missed.RETOKENISED)
        return prompt, tokens


class _Exchange:
    """What went by of one request and its answer."""

    def __init__(self, start_ns: int) -> None:
        self.start_ns = start_ns
        self.request = bytearray()
        self.status = 0
        self.reader: AnswerReader | None = None
        self.complete = False
        self.fault: Missed | None = None

    def received(self, message: Message) -> None:
        if message.get("type") != "http.request" or self.fault is not None:
            return
        body = message.get("body", b"")
        if len(self.request) + len(body) > REQUEST_BYTES_MAX:
            self._give_up(Missed.TOO_LARGE)
            return
        self.request += body

    def sent(self, message: Message) -> None:
        if message.get("type") == "http.response.start":
            self.status = int(message.get("status", 0))
            headers = _headers(message.get("headers", ()))
            if headers.get(b"content-encoding", b"identity") != b"identity":
                self._give_up(Missed.UNREADABLE)
            kind = headers.get(b"content-type", b"")
            self.reader = AnswerReader(streamed=kind.startswith(b"text/event-stream"))
        elif message.get("type") == "http.response.body":
            if self.fault is None and self.reader is not None and self.status == 200:
                try:
                    self.reader.feed(message.get("body", b""))
                except EvidenceError:
                    self._give_up(Missed.UNREADABLE)
            self.complete = not message.get("more_body", False)

    def _give_up(self, fault: Missed) -> None:
        """Hold nothing of this exchange any more."""
        self.fault = fault
        self.request = bytearray()
        self.reader = None


def _headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    return {bytes(name).lower(): bytes(value).strip().lower() for name, value in pairs}
