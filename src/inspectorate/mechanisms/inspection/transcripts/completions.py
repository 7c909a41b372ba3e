"""What an OpenAI-compatible server was asked and answered, as tokens: `/v1/completions`, `/v1/chat/completions`, streamed or not.

Tokens are the server's own where it gives them, in the fields of vLLM's `return_token_ids`: `prompt_token_ids` (of a choice, or of
the whole answer) and `token_ids` of each choice, in every event of a stream. A prompt that was asked in numbers needs no field.

Where the server gives none, tokens come from a `Tokenizer` that the operator supplies, and the answer counts as retokenised: text
has more than one tokenisation, and the server's may have been another.

Requests and answers are the doing of clients and of a server that may be wrong. What cannot be read raises `EvidenceError` here,
and is counted by whoever records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from inspectorate.canonical import parse_json
from inspectorate.errors import EvidenceError

REQUEST_BYTES_MAX = 32 * 1024 * 1024
ANSWER_BYTES_MAX = 32 * 1024 * 1024
"""Of an answer in one piece, and of one event of a stream. Of a stream only tokens, or text, are kept."""
TOKENS_MAX = 4_000_000
CHOICES_MAX = 1_024
_DONE = b"[DONE]"


class Tokenizer(Protocol):
    """The operator's: exactly what the server does with text."""

    def prompt(self, body: Mapping[str, Any]) -> Sequence[Sequence[int]]:
        """The tokens of each prompt of a request: of its `prompt`, or of its `messages` under the chat template."""
        ...

    def answer(self, text: str) -> Sequence[int]:
        """The tokens of an answer."""
        ...


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request, as far as its record needs it."""

    body: Mapping[str, Any]
    seed: int | None
    """None: the client left it to the server, or named a negative one, which no record holds."""
    greedy: bool
    """The temperature is 0, so that no seed is needed."""
    prompts: tuple[tuple[int, ...] | None, ...]
    """In numbers; none where the client asked in text."""
    choices: int


def read_request(data: bytes) -> Asked:
    """Read the body of a request. Raises `EvidenceError`."""
    where = "request"
    body = parse_json(data, where=where)
    if not isinstance(body, dict):
        raise EvidenceError("is no JSON object", where=where)
    seed = body.get("seed")
    if seed is not None and (type(seed) is not int or not -(2**53) < seed < 2**53):
        raise EvidenceError("has a seed that is no usable number", where=where)
    choices = body.get("n", 1) or 1
    if type(choices) is not int or not 1 <= choices <= CHOICES_MAX:
        raise EvidenceError("asks for a number of answers that is none", where=where)
    return Asked(
        body=body,
        seed=seed if seed is None or seed >= 0 else None,
        greedy=body.get("temperature") == 0,
        prompts=_prompts(body, where),
        choices=choices,
    )


def _prompts(body: Mapping[str, Any], where: str) -> tuple[tuple[int, ...] | None, ...]:
    if "messages" in body:
        return (None,)
    prompt = body.get("prompt")
    if isinstance(prompt, str):
        return (None,)
    if not isinstance(prompt, list) or not 0 < len(prompt) <= TOKENS_MAX:
        raise EvidenceError("has no prompt", where=where)
    if all(isinstance(one, str) for one in prompt):
        return (None,) * len(prompt)
    if all(isinstance(one, list) for one in prompt):
        return tuple(numbers(one, where) for one in prompt)
    return (numbers(prompt, where),)


def numbers(value: object, where: str) -> tuple[int, ...]:
    """A list of tokens. Raises `EvidenceError`."""
    if not isinstance(value, list) or len(value) > TOKENS_MAX:
        raise EvidenceError("has tokens that are no list of numbers", where=where)
    if any(type(one) is not int or not 0 <= one < 2**31 for one in value):
        raise EvidenceError("has a token that is no number of one", where=where)
    return tuple(value)


@dataclass
class Choice:
    """One of the answers to a request."""

    prompt: tuple[int, ...] | None = None
    tokens: list[int] = field(default_factory=list)
    named: bool = False
    """The server gave tokens, if only an empty list."""
    text: list[str] = field(default_factory=list)
    finished: bool = False


@dataclass
class Answer:
    """What is known of an answer so far."""

    id: str = ""
    prompt: tuple[int, ...] | None = None
    choices: dict[int, Choice] = field(default_factory=dict)
    completion_tokens: int | None = None
    """As the server counts them in `usage`."""
    failed: bool = False
    """The server answered with an error."""

    def add(self, data: bytes) -> None:
        """Add the JSON of a whole answer, or of one event. Raises `EvidenceError`."""
        where = "answer"
        said = parse_json(data, where=where)
        if not isinstance(said, dict):
            raise EvidenceError("is no JSON object", where=where)
        if said.get("error") is not None:
            self.failed = True
            return
        if isinstance(said.get("id"), str):
            self.id = said["id"][:200]
        if said.get("prompt_token_ids") is not None:
            self.prompt = numbers(said["prompt_token_ids"], where)
        usage = said.get("usage")
        if isinstance(usage, dict) and type(usage.get("completion_tokens")) is int:
            self.completion_tokens = usage["completion_tokens"]
        choices = said.get("choices")
        if not isinstance(choices, list) or len(choices) > CHOICES_MAX:
            raise EvidenceError("has no choices", where=where)
        for choice in choices:
            self._add_choice(choice, where)

    def _add_choice(self, said: object, where: str) -> None:
        index = said.get("index", 0) if isinstance(said, dict) else None
        if not isinstance(said, dict) or type(index) is not int or not 0 <= index < CHOICES_MAX:
            raise EvidenceError("has a choice that is none", where=where)
        choice = self.choices.setdefault(index, Choice())
        if said.get("prompt_token_ids") is not None:
            choice.prompt = numbers(said["prompt_token_ids"], where)
        if said.get("token_ids") is not None:
            choice.named = True
            choice.tokens += numbers(said["token_ids"], where)
        if len(choice.tokens) > TOKENS_MAX:
            raise EvidenceError(f"has more than {TOKENS_MAX} tokens", where=where)
        if not choice.named:
            choice.text.append(_text(said))
        if said.get("finish_reason") is not None:
            choice.finished = True


def _text(said: Mapping[str, Any]) -> str:
    """The text of a choice: of a completion, of a message, or of a delta of one."""
    if isinstance(said.get("text"), str):
        return str(said["text"])
    inner = said.get("message", said.get("delta"))
    content = inner.get("content") if isinstance(inner, Mapping) else None
    return content if isinstance(content, str) else ""


class AnswerReader:
    """Reads an answer as its bytes go by. Of a stream no more than one event is held. Raises `EvidenceError`."""

    def __init__(self, *, streamed: bool) -> None:
        self.answer = Answer()
        self.ended = False
        """A stream said that it is over, or an answer in one piece was whole."""
        self._streamed = streamed
        self._rest = bytearray()
        self._text_bytes = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        self._rest += data
        self._text_bytes += len(data)
        if self._streamed and b"\n" in data:
            self._rest = bytearray(self._rest.replace(b"\r\n", b"\n"))
            *events, rest = self._rest.split(b"\n\n")
            self._rest = bytearray(rest)
            for event in events:
                self._event(bytes(event))
        texts = any(not choice.named for choice in self.answer.choices.values())
        if len(self._rest) > ANSWER_BYTES_MAX or (texts and self._text_bytes > ANSWER_BYTES_MAX):
            raise EvidenceError(f"has more than {ANSWER_BYTES_MAX} bytes to be held at once", where="answer")

    def end(self) -> Answer:
        """The answer, after its last byte. A last event without its blank line was cut, and does not count."""
        if not self._streamed:
            self.answer.add(bytes(self._rest))
            self.ended = True
        return self.answer

    def _event(self, event: bytes) -> None:
        lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
        if not lines or self.ended:
            return
        data = b"\n".join(lines)
        if data == _DONE:
            self.ended = True
        else:
            self.answer.add(data)
