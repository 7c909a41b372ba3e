"""Servers that answer otherwise than declared, for the checks of answers: each differs from the honest one in one thing.

    weights in fewer bits, a cache in fewer bits, another model, a smaller one, another system prompt, another seed, another
    temperature, and tokens chosen by a message: bits hidden in sampling, at a wanted cost (`covert.Narrowing`)

All run on the decoder of the checks itself, so that an exact check can be made too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from inspectorate.mechanisms.inspection.tokens import covert
from inspectorate.mechanisms.inspection.tokens.decoder import F32, I64, Decoder, Precision
from inspectorate.mechanisms.inspection.tokens.sampling import F64, SamplingRule, TopLogits, margins
from inspectorate.mechanisms.inspection.tokens.serve import Choose, Served, by_rule, serve
from inspectorate.mechanisms.inspection.tokens.weights import DeclaredModel, model_of

Weigh = Callable[[TopLogits, int, int], F64]
"""(largest logits of one place, seed, place of the answer) -> weight of each symbol."""
SCALE_MIN = 1e-12


def in_bits(values: F32, bits: int) -> F32:
    """Rounded to so many bits, one scale for each last axis."""
    largest = float(2 ** (bits - 1) - 1)
    scale = np.maximum(np.abs(values).max(axis=-1, keepdims=True), SCALE_MIN) / largest
    rounded: F32 = (np.clip(np.round(values / scale), -largest, largest) * scale).astype(np.float32)
    return rounded


def quantised(model: DeclaredModel, bits: int) -> DeclaredModel:
    """Every matrix of the layers in so many bits, one scale a row; embeddings and the head as they are."""
    weights = {
        name: in_bits(array, bits) if array.ndim == 2 and ".layers." in name else array
        for name, array in model.weights.items()
    }
    return model_of(weights, model.shape)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked of every server: prompts of one length, a seed for each, the declared rule."""

    prompts: I64
    seeds: tuple[int, ...]
    rule: SamplingRule
    length: int
    rows: int = 8
    """Batch size."""

    def part(self, start: int) -> Asked:
        stop = start + self.rows
        return replace(self, prompts=self.prompts[start:stop], seeds=self.seeds[start:stop])


def answered(
    decoder: Decoder, asked: Asked, choose: Callable[[Asked, int], Choose], *, top: int | None = None
) -> Served:
    """All prompts, in batches; `choose` makes the choice for the batch that begins at a row."""
    parts = []
    for start in range(0, len(asked.prompts), asked.rows):
        batch = asked.part(start)
        parts.append(serve(decoder, batch.prompts, batch.length, choose(batch, start), top=top or batch.rule.needed))
    return Served(
        np.concatenate([part.tokens for part in parts]),
        np.concatenate([part.prefill for part in parts]),
        np.concatenate([part.decoded for part in parts]),
    )


def honest(decoder: Decoder, asked: Asked) -> Served:
    return answered(decoder, asked, lambda batch, _: by_rule(batch.rule, batch.seeds))


def with_system(decoder: Decoder, asked: Asked, system: I64) -> Served:
    """Another system prompt before every prompt; hidden states of the prompt are those behind it."""
    longer = replace(asked, prompts=np.concatenate([np.tile(system, (len(asked.prompts), 1)), asked.prompts], axis=1))
    found = honest(decoder, longer)
    return replace(found, prefill=found.prefill[:, len(system) :])


def substitutions(
    model: DeclaredModel, others: Mapping[str, DeclaredModel], asked: Asked, *, precision: Precision
) -> dict[str, Callable[[], Served]]:
    """Servers by what they do otherwise."""
    declared = Decoder(model, precision=precision)
    system = np.resize(np.frombuffer(b"You are a pirate. ", np.uint8).astype(np.int64), 16)
    models = {f"weights in {bits} bits": quantised(model, bits) for bits in (8, 4)} | dict(others)
    found: dict[str, Callable[[], Served]] = {}
    for name, other in models.items():
        found[name] = partial(honest, Decoder(other, precision=precision), asked)
    for bits in (8, 4):
        low = Decoder(model, precision=precision, cached=partial(in_bits, bits=bits))
        found[f"cache in {bits} bits"] = partial(honest, low, asked)
    found["another system prompt"] = lambda: with_system(declared, asked, system)
    found["another seed"] = lambda: honest(declared, replace(asked, seeds=tuple(seed + 1 for seed in asked.seeds)))
    warmer = asked.rule.model_copy(update={"temperature": asked.rule.temperature * 1.1})
    found["temperature 1.1 times"] = lambda: honest(declared, replace(asked, rule=warmer))
    return found


# --- hidden bits -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hidden:
    """Answers that hold a message, and what the reader with the same model got of it."""

    served: Served
    bits_per_token: float
    read_back: bool
    """Whether every bit that the reader is certain of is the message's."""


def costs_of(top: TopLogits, rule: SamplingRule, seed: int, place: int) -> F64:
    """Of one place, symbol by symbol: (k,)."""
    costs: F64 = margins(top, rule, seed, np.array([place]))[0]
    return costs


def hide(decoder: Decoder, asked: Asked, weigh: Weigh, *, seed: int) -> Hidden:
    """A random message for each answer. `weigh(largest logits, seed, place)` gives the weight of each symbol."""
    generator = np.random.default_rng(seed)
    size = 16 * (asked.length + 1)
    messages = [int.from_bytes(generator.bytes(size // 8), "big") for _ in asked.prompts]

    def sender(batch: Asked, start: int) -> Choose:
        codes = [covert.Narrowing() for _ in batch.seeds]

        def choose(row: int, top: TopLogits, place: int) -> int:
            chosen = codes[row].pick(messages[start + row], size, weigh(top, batch.seeds[row], place))
            return int(top.symbols[0, chosen])

        return choose

    served = answered(decoder, asked, sender)
    texts = _read(decoder, asked, served, weigh)
    expected = [format(message, f"0{size}b") for message in messages]
    return Hidden(
        served,
        sum(map(len, texts)) / served.tokens.size,
        all(whole.startswith(text) for whole, text in zip(expected, texts, strict=True)),
    )


def _read(decoder: Decoder, asked: Asked, served: Served, weigh: Weigh) -> list[str]:
    """The reader: runs the model along the tokens that it received, in the same batches."""
    codes = [covert.Narrowing() for _ in asked.seeds]

    def follower(batch: Asked, start: int) -> Choose:
        def choose(row: int, top: TopLogits, place: int) -> int:
            token = int(served.tokens[start + row, place])
            chosen = int(np.flatnonzero(top.symbols[0] == token)[0])
            codes[start + row].narrow(chosen, weigh(top, batch.seeds[row], place))
            return token

        return choose

    answered(decoder, asked, follower)
    return [code.read() for code in codes]
