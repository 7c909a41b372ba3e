"""A decoder of the Llama kind, evaluated with numpy: no torch, no code of the prover.

In `bfloat16` every result of an operation is rounded as such stacks round it, sums are kept in float32: near to what a served model
computes, not the same to the last bit. Bits are equal only between equal stacks and equal sizes of products, so a pass is made
with as many rows as the server's had: the rows are copies, since what the others held does not matter, only how many there were.

Hidden states are those after the last norm, from which logits follow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.inspection.tokens.reference import CELLS_MAX
from inspectorate.mechanisms.inspection.tokens.weights import DeclaredModel

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]


class Precision(StrEnum):
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class TooLarge(Exception):
    """The evaluation would take more memory, or a longer context, than there is."""


def rounded(values: F32) -> F32:
    """To the nearest bfloat16, ties to even; NaN and infinity stay such."""
    bits = values.view(np.uint32)
    bits += np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    bits &= np.uint32(0xFFFF0000)
    return values


@dataclass
class Cache:
    """Keys and values of what was seen: (layers, rows, key heads, places, numbers of a head)."""

    keys: F32
    values: F32
    seen: int = 0


@dataclass(frozen=True)
class Forward:
    """What one request's passes gave: hidden states of the prompt (tokens, width) and of each decoded token, and logits.

    `logits` has one row for each token of the answer: the first follows from the end of the prompt.
    """

    prefill: F32
    decoded: F32
    logits: F32


class Decoder:
    """A declared model, ready to be evaluated."""

    def __init__(
        self,
        model: DeclaredModel,
        *,
        precision: Precision = Precision.FLOAT32,
        cached: Callable[[F32], F32] | None = None,
    ) -> None:
        """`cached` rounds what is put into the cache, for stacks that keep it in fewer bits."""
        self.shape = model.shape
        self.digest = model.digest
        self._low = precision is Precision.BFLOAT16
        self._cached = cached
        weights = {name: self._as_stored(array) for name, array in model.weights.items()}
        self._embedding = weights["model.embed_tokens.weight"]
        self._norm = weights["model.norm.weight"]
        self._head = weights.get("lm_head.weight", self._embedding).T
        self._layers = [
            {
                name.removeprefix(prefix).removesuffix(".weight").split(".")[-1]: array.T
                for name, array in weights.items()
                if name.startswith(prefix)
            }
            for prefix in (f"model.layers.{layer}." for layer in range(model.shape.num_hidden_layers))
        ]

    def _as_stored(self, array: F32) -> F32:
        return rounded(array.copy()) if self._low else array

    def _out(self, values: NDArray[Any]) -> F32:
        single = np.ascontiguousarray(values, dtype=np.float32)
        return rounded(single) if self._low else single

    def cache(self, rows: int, places: int) -> Cache:
        """An empty cache. Raises `TooLarge`."""
        shape = self.shape
        size = (shape.num_hidden_layers, rows, shape.num_key_value_heads, places, shape.head)
        if places > shape.max_position_embeddings:
            raise TooLarge(f"{places} tokens are more than the model's {shape.max_position_embeddings} places")
        if math.prod(size) > CELLS_MAX or rows * shape.num_attention_heads * places * places > CELLS_MAX:
            raise TooLarge(f"a batch of {rows} with {places} tokens takes more memory than is allowed")
        return Cache(np.zeros(size, np.float32), np.zeros(size, np.float32))

    def hidden(self, tokens: I64, cache: Cache) -> F32:
        """Last hidden states (rows, tokens, width) of new tokens (rows, tokens) behind those in the cache."""
        x = self._embedding[tokens]
        turn = self._turns(cache.seen, tokens.shape[1])
        for number, layer in enumerate(self._layers):
            mixed = self._attention(self._normed(x, layer["input_layernorm"]), layer, (cache, number), turn)
            x = self._out(x + mixed)
            x = self._out(x + self._feed(self._normed(x, layer["post_attention_layernorm"]), layer))
        cache.seen += tokens.shape[1]
        return self._normed(x, self._norm)

    def logits(self, hidden: F32) -> F32:
        return self._out(hidden @ self._head)

    def _normed(self, x: F32, scale: F32) -> F32:
        mean = np.mean(x * x, axis=-1, keepdims=True, dtype=np.float32)
        return self._out(self._out(x / np.sqrt(mean + np.float32(self.shape.rms_norm_eps))) * scale)

    def _feed(self, x: F32, layer: dict[str, F32]) -> F32:
        gate = self._out(x @ layer["gate_proj"])
        with np.errstate(over="ignore"):
            active = self._out(gate / (1 + np.exp(-gate)))
        return self._out(self._out(active * self._out(x @ layer["up_proj"])) @ layer["down_proj"])

    def _turns(self, first: int, count: int) -> tuple[F32, F32]:
        half = self.shape.head // 2
        rates = self.shape.rope_theta ** (-np.arange(half, dtype=np.float64) / half)
        angles = np.arange(first, first + count, dtype=np.float64)[:, None] * np.concatenate([rates, rates])
        return self._out(np.cos(angles)), self._out(np.sin(angles))

    def _heads(self, x: F32, count: int) -> F32:
        return x.reshape(x.shape[0], x.shape[1], count, self.shape.head).transpose(0, 2, 1, 3)

    def _turned(self, x: F32, turn: tuple[F32, F32]) -> F32:
        half = self.shape.head // 2
        other = np.concatenate([-x[..., half:], x[..., :half]], axis=-1)
        return self._out(self._out(x * turn[0]) + self._out(other * turn[1]))

    def _attention(self, x: F32, layer: dict[str, F32], at: tuple[Cache, int], turn: tuple[F32, F32]) -> F32:
        cache, number = at
        shape, (rows, count, _) = self.shape, x.shape
        query = self._turned(self._heads(self._out(x @ layer["q_proj"]), shape.num_attention_heads), turn)
        key = self._turned(self._heads(self._out(x @ layer["k_proj"]), shape.num_key_value_heads), turn)
        value = self._heads(self._out(x @ layer["v_proj"]), shape.num_key_value_heads)
        end = cache.seen + count
        cache.keys[number, :, :, cache.seen : end] = key if self._cached is None else self._cached(key)
        cache.values[number, :, :, cache.seen : end] = value if self._cached is None else self._cached(value)
        group = shape.num_attention_heads // shape.num_key_value_heads
        keys = np.repeat(cache.keys[number, :, :, :end], group, axis=1)
        values = np.repeat(cache.values[number, :, :, :end], group, axis=1)
        scores = self._out(query @ keys.transpose(0, 1, 3, 2) / np.float32(math.sqrt(shape.head)))
        later = np.arange(end)[None, :] > np.arange(cache.seen, end)[:, None]
        scores = np.where(later, np.float32(-np.inf), scores)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights = self._out(weights / weights.sum(axis=-1, keepdims=True, dtype=np.float32))
        mixed = self._out(weights @ values).transpose(0, 2, 1, 3).reshape(rows, count, -1)
        return self._out(mixed @ layer["o_proj"])


# --- one request again ---------------------------------------------------------------------------------------------------


def forward_at_once(decoder: Decoder, prompt: I64, answer: I64) -> Forward:
    """One pass over prompt and answer: fast, and not bit by bit what a server computes token by token. Raises `TooLarge`."""
    tokens = np.concatenate([prompt, answer[:-1]])
    hidden = decoder.hidden(tokens[None], decoder.cache(1, len(tokens)))[0]
    start = len(prompt)
    return Forward(hidden[:start], hidden[start:], decoder.logits(hidden[start - 1 :]))


def forward_by_steps(decoder: Decoder, prompt: I64, answer: I64, batches: Sequence[int]) -> Forward:
    """Pass by pass as the server made them: the prompt, then token by token, each with as many rows as it had.

    Raises `TooLarge`, and `ValueError` unless there is one batch size for each token of the answer.
    """
    if len(batches) != len(answer) or not len(answer):
        raise ValueError("one batch size for each token of the answer")
    places = len(prompt) + len(answer) - 1
    cache = decoder.cache(batches[0], places)
    hidden = [decoder.hidden(np.tile(prompt, (batches[0], 1)), cache)]
    logits = [decoder.logits(hidden[0][:, -1:])[0]]
    for token, rows in zip(answer[:-1], batches[1:], strict=True):
        cache = _with_rows(decoder, cache, rows, places)
        hidden.append(decoder.hidden(np.full((rows, 1), token), cache))
        logits.append(decoder.logits(hidden[-1])[0])
    decoded = [one[0] for one in hidden[1:]] or [np.empty((0, hidden[0].shape[2]), np.float32)]
    return Forward(hidden[0][0], np.concatenate(decoded), np.concatenate(logits))


def _with_rows(decoder: Decoder, cache: Cache, rows: int, places: int) -> Cache:
    if rows == cache.keys.shape[1]:
        return cache
    wider = decoder.cache(rows, places)
    wider.keys[:], wider.values[:] = cache.keys[:, :1], cache.values[:, :1]
    wider.seen = cache.seen
    return wider
