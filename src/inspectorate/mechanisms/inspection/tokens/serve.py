"""A server as the checks expect it: answers to prompts of one length, batched, by the declared sampling rule.

The reference for the prover's side, and what calibrations and attacks start from: `choose` is where a dishonest server differs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from inspectorate.mechanisms.inspection.tokens.decoder import F32, I64, Decoder
from inspectorate.mechanisms.inspection.tokens.sampling import SamplingRule, TopLogits, drawn

Choose = Callable[[int, TopLogits, int], int]
"""(row, the largest logits of one place, place of the answer) -> token."""


@dataclass(frozen=True)
class Served:
    """Answers (rows, tokens), and the hidden states from which they came."""

    tokens: I64
    prefill: F32
    """(rows, prompt tokens, width)."""
    decoded: F32
    """(rows, answer tokens - 1, width)."""


def by_rule(rule: SamplingRule, seeds: Sequence[int]) -> Choose:
    """An honest server's choice, with a seed for each row."""

    def choose(row: int, top: TopLogits, place: int) -> int:
        return int(drawn(top, rule, seeds[row], np.array([place]))[0])

    return choose


def serve(decoder: Decoder, prompts: I64, length: int, choose: Choose, *, top: int) -> Served:
    """Answer prompts (rows, tokens) with `length` tokens each; `top` logits are looked at. Raises `TooLarge`."""
    rows, start = prompts.shape
    cache = decoder.cache(rows, start + length)
    prefill = decoder.hidden(prompts, cache)
    last, tokens, decoded = prefill[:, -1:], np.empty((rows, length), np.int64), []
    for place in range(length):
        largest = TopLogits.of(decoder.logits(last)[:, 0], top)
        tokens[:, place] = [choose(row, largest.part(row, row + 1), place) for row in range(rows)]
        if place + 1 < length:
            last = decoder.hidden(tokens[:, place : place + 1], cache)
            decoded.append(last)
    width = prefill.shape[2]
    return Served(
        tokens, prefill, np.concatenate(decoded, axis=1) if decoded else np.empty((rows, 0, width), np.float32)
    )
