"""Requests and answers of a completion service, as the tokens that a graph speaks of.

`POST /v1/completions` with `prompt` as text or as numbers of tokens; answers as one JSON object, or as server-sent events.
Where the answer names its tokens (`token_ids`), those are taken. Otherwise the service must speak in bytes: the prompt in
UTF-8, and each character of the answer the token of its number.

Both are hostile. A request that cannot be read was the client's doing (`EvidenceError`); an answer that is not of this form was the
server's, and is told apart (`Malformed`). Only whole events count: an answer may have been cut.

Not here: chat templates and other tokenisers, which would have to be declared with the graph.
"""

from __future__ import annotations

from dataclasses import dataclass

from inspectorate.canonical import parse_json
from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.guarantee.graph.reference import TOKENS_MAX, TRANSCRIPT_BYTES_MAX

_DONE = b"[DONE]"


class Malformed(EvidenceError):
    """An answer that a server of the declared form does not give."""


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """One request and its answer, in tokens."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    asked_max: int | None
    """The most tokens that were asked for."""


def transcript_of(request: bytes, answer: bytes) -> Transcript:
    """Read both. Raises `EvidenceError` on a request, `Malformed` on an answer that is not of the form above."""
    prompt, asked_max = _request(request)
    return Transcript(prompt=prompt, answer=_answer(answer), asked_max=asked_max)


def _request(data: bytes) -> tuple[tuple[int, ...], int | None]:
    where = "request"
    if len(data) > TRANSCRIPT_BYTES_MAX:
        raise EvidenceError(f"{len(data)} bytes exceed {TRANSCRIPT_BYTES_MAX}", where=where)
    asked = parse_json(data, where=where)
    if not isinstance(asked, dict):
        raise EvidenceError("is no JSON object", where=where)
    count = asked.get("max_tokens")
    if count is not None and (type(count) is not int or not 0 < count <= TOKENS_MAX):
        raise EvidenceError("max_tokens is no usable number", where=where)
    prompt = asked.get("prompt")
    if isinstance(prompt, str):
        return tuple(prompt.encode("utf-8", "surrogatepass")), count
    return _numbers(prompt, where, EvidenceError), count


def _answer(data: bytes) -> tuple[int, ...]:
    if len(data) > TRANSCRIPT_BYTES_MAX:
        raise Malformed(f"{len(data)} bytes exceed {TRANSCRIPT_BYTES_MAX}", where="answer")
    tokens: list[int] = []
    for part in _parts(data):
        tokens += _tokens(part)
        if len(tokens) > TOKENS_MAX:
            raise Malformed(f"more than {TOKENS_MAX} tokens", where="answer")
    return tuple(tokens)


def _parts(data: bytes) -> list[bytes]:
    """The JSON objects of an answer. Of events, a last one without its blank line was cut and does not count."""
    if data.lstrip()[:1] == b"{":
        return [data]
    events = data.replace(b"\r\n", b"\n").split(b"\n\n")[:-1]
    parts = []
    for event in events:
        lines = [line for line in event.split(b"\n") if line and not line.startswith(b":")]
        if not lines:
            continue
        if any(line.partition(b":")[0] not in (b"data", b"event", b"id", b"retry") for line in lines):
            raise Malformed("holds a line that is not of an event", where="answer")
        found = b"\n".join(line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:"))
        if found == _DONE:
            break
        parts.append(found)
    return parts


def _tokens(part: bytes) -> list[int]:
    where = "answer"
    try:
        said = parse_json(part, where=where)
    except EvidenceError as fault:
        raise Malformed(fault.problem, where=where) from None
    if not isinstance(said, dict):
        raise Malformed("holds an event that is no JSON object", where=where)
    if "error" in said:
        return []
    choices = said.get("choices")
    if not isinstance(choices, list) or len(choices) > 1:
        raise Malformed("has no choices, or several", where=where)
    tokens: list[int] = []
    for choice in choices:
        if not isinstance(choice, dict) or choice.get("index", 0) != 0:
            raise Malformed("has a choice that is not the first", where=where)
        if choice.get("token_ids") is not None:
            tokens += _numbers(choice["token_ids"], where, Malformed)
        elif isinstance(choice.get("text"), str):
            tokens += [ord(character) for character in choice["text"]]
        else:
            raise Malformed("has a choice without text", where=where)
    return tokens


def _numbers(value: object, where: str, error: type[EvidenceError]) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) > TOKENS_MAX:
        raise error("tokens are neither text nor a list of numbers", where=where)
    if any(type(one) is not int or not 0 <= one < 2**31 for one in value):
        raise error("a token is no number of one", where=where)
    return tuple(value)
