"""The content of a request: strict JSON in, one byte form out, and an upper bound on the tokens that it asks for.

Rules:

- Only the fields listed here are taken, each with one type; a field that multiplies work (`n`, `best_of`, lists of prompts) is not.
- A field that stands twice is refused: path and server would not need to read the same one.
- What goes to the server is written anew from what was parsed, so that the two cannot read it differently.
- The number of tokens must be stated: a server's default is not known here.

Tokens of the prompt: a tokenizer that covers bytes makes at most one token per byte; what a server puts around messages and prompt
is allowed for with `TEMPLATE_TOKENS` each.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from inspectorate.mechanisms.guarantee.interlock.reference import JSON_STRINGS_MAX, TOKENS_MAX

TEMPLATE_TOKENS = 16
COMPLETIONS = "/v1/completions"
CHAT = "/v1/chat/completions"
ENDPOINTS = (COMPLETIONS, CHAT)
ROLES = ("system", "developer", "user", "assistant")

_NUMBERS = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "seed")
_TOKENS = ("max_tokens", "max_completion_tokens")


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a request asks for, and the bytes that say so to the server."""

    data: bytes
    tokens_in_max: int
    tokens_max: int
    streamed: bool


def parse_content(path: str, data: bytes) -> Content:
    """Parse the content of a request to one of `ENDPOINTS`. Raises `ValueError`."""
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("is no object")
    asked = dict(value)
    text_bytes, parts = _messages(asked) if path == CHAT else _prompt(asked)
    tokens = [asked.pop(name) for name in _TOKENS if name in asked]
    if len(tokens) != 1 or type(tokens[0]) is not int or not 1 <= tokens[0] <= TOKENS_MAX:
        raise ValueError(f"needs one number of tokens, from 1 to {TOKENS_MAX}")
    streamed = asked.pop("stream", True)
    if type(streamed) is not bool:
        raise ValueError("stream is true or false")
    _others(asked)
    return Content(
        data=json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode(),
        tokens_in_max=text_bytes + TEMPLATE_TOKENS * (parts + 1),
        tokens_max=tokens[0],
        streamed=streamed,
    )


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a field stands twice")
    return value


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no number")


def _text(value: object) -> int:
    """The bytes of a text. Half of a surrogate pair has none."""
    if not isinstance(value, str):
        raise ValueError("a text is a string")
    return len(value.encode("utf-8"))


def _prompt(asked: dict[str, object]) -> tuple[int, int]:
    size = _text(asked.pop("prompt", None))
    if not size:
        raise ValueError("the prompt is empty")
    return size, 1


def _messages(asked: dict[str, object]) -> tuple[int, int]:
    messages = asked.pop("messages", None)
    if not isinstance(messages, list) or not 1 <= len(messages) <= JSON_STRINGS_MAX:
        raise ValueError(f"needs 1 to {JSON_STRINGS_MAX} messages")
    size = 0
    for message in messages:
        if not isinstance(message, dict) or set(message) != {"role", "content"} or message["role"] not in ROLES:
            raise ValueError("a message has a role and content")
        size += _text(message["content"])
    return size, len(messages)


def _others(asked: Mapping[str, object]) -> None:
    for name, value in asked.items():
        if name in _NUMBERS:
            good = type(value) in (int, float)
        elif name == "n":
            good = type(value) is int and value == 1
        elif name in ("model", "user"):
            good = isinstance(value, str) and _text(value) <= JSON_STRINGS_MAX
        elif name == "stop":
            listed = value if isinstance(value, list) else [value]
            good = len(listed) <= JSON_STRINGS_MAX and all(isinstance(one, str) and _text(one) > 0 for one in listed)
        else:
            raise ValueError("has a field that is not taken here")
        if not good:
            raise ValueError(f"{name} is not of a form that is taken here")
