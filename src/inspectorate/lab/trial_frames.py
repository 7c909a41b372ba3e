"""The frames of the trials, each with its bounds: messages between pods, and tokens between a pod and its clients.

A message of training is a header of 20 bytes and a payload: a magic word, a number, the size of the payload, and
eight bytes of digest by which replicas that have come apart notice it.

A frame of tokens is as short as it can be, for bytes per token are what a limit is held against: two bytes of request
number, one of kind, one of count, then so many tokens of one byte each (the vocabulary of the model is bytes).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

MESSAGE_BYTES_MAX = 1024 * 1024 * 1024
_MESSAGE = struct.Struct("!4sII8s")
_MAGIC = b"TRL1"
MESSAGE_HEADER_BYTES = _MESSAGE.size
_TOKENS = struct.Struct("!HBB")
TOKEN_HEADER_BYTES = _TOKENS.size
TOKENS_MAX = 255
NO_DIGEST = bytes(8)


class Kind(IntEnum):
    """What a frame of tokens is."""

    PROMPT = 1
    """Part of a prompt; more follow."""
    ASK = 2
    """The last part of a prompt."""
    TOKENS = 3
    """Part of an answer."""
    END = 4
    """The last part of an answer."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """What precedes the payload of a message."""

    number: int
    size: int
    digest: bytes = NO_DIGEST

    def to_bytes(self) -> bytes:
        return _MESSAGE.pack(_MAGIC, self.number, self.size, self.digest)

    @classmethod
    def from_bytes(cls, data: bytes) -> Message:
        """Raises `ValueError` on anything but a header of a sensible size."""
        if len(data) != MESSAGE_HEADER_BYTES:
            raise ValueError(f"a header has {MESSAGE_HEADER_BYTES} bytes, not {len(data)}")
        magic, number, size, digest = _MESSAGE.unpack(data)
        if magic != _MAGIC or not 0 < size <= MESSAGE_BYTES_MAX:
            raise ValueError("not the header of a message")
        return cls(number=number, size=size, digest=digest)


@dataclass(frozen=True, kw_only=True)
class TokenFrame:
    """Some tokens of one request."""

    request: int
    kind: Kind
    tokens: bytes

    def to_bytes(self) -> bytes:
        """Raises `ValueError` on more tokens than a frame holds, or none."""
        if not 0 < len(self.tokens) <= TOKENS_MAX:
            raise ValueError(f"a frame holds 1 to {TOKENS_MAX} tokens, not {len(self.tokens)}")
        return _TOKENS.pack(self.request, self.kind, len(self.tokens)) + self.tokens


def parse_tokens(buffer: bytearray) -> list[TokenFrame]:
    """Take the whole frames from the front of a buffer; what is left of it is the beginning of the next.

    Raises `ValueError` on what cannot be a frame.
    """
    found = []
    while len(buffer) >= TOKEN_HEADER_BYTES:
        request, kind, count = _TOKENS.unpack_from(buffer)
        if count == 0 or kind not in set(Kind):
            raise ValueError("not a frame of tokens")
        end = TOKEN_HEADER_BYTES + count
        if len(buffer) < end:
            break
        found.append(TokenFrame(request=request, kind=Kind(kind), tokens=bytes(buffer[TOKEN_HEADER_BYTES:end])))
        del buffer[:end]
    return found


def prompt_frames(request: int, prompt: bytes) -> bytes:
    """A prompt as frames: full ones, then the last, which asks for the answer."""
    cuts = range(0, len(prompt), TOKENS_MAX)
    return b"".join(
        TokenFrame(
            request=request,
            kind=Kind.ASK if cut + TOKENS_MAX >= len(prompt) else Kind.PROMPT,
            tokens=prompt[cut : cut + TOKENS_MAX],
        ).to_bytes()
        for cut in cuts
    )
