"""The rule by which a token follows from logits and noise, and how far a token is from what the rule gives.

    1. Logits over the temperature; the `top_k` largest stay; of these, as many as it takes to pass `top_p` of their probability.
    2. To each that stays, the temperature times its Gumbel noise is added to the logit (unscaled, as in arXiv 2511.20621).
    3. The token is the largest. A token's margin is by how much it falls short of the largest; of one that did not stay it is
       infinite.

At temperature 0 there is no noise, and nothing is dropped: the token is the largest logit.

Only the largest logits of a place are needed: `TopLogits`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from inspectorate.canonical import Record
from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.inspection.tokens.philox import gumbel
from inspectorate.mechanisms.inspection.tokens.reference import VOCABULARY_MAX

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]

GREEDY_TOP = 64
"""Logits of a place that are looked at where no `top_k` limits them, at temperature 0."""


class SamplingRule(Record):
    """How tokens are drawn, as the header of a run states it under `sampling`."""

    rule: Literal["gumbel-philox4x32"] = "gumbel-philox4x32"
    temperature: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] = 1.0
    top_k: Annotated[int, Field(ge=1, le=VOCABULARY_MAX)] = 50
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0

    @classmethod
    def of(cls, stated: Mapping[str, Any], *, where: str) -> SamplingRule:
        """From a header. Raises `EvidenceError` on a rule that is not this one."""
        return cls.parse(dict(stated), where=where, error=EvidenceError)

    @property
    def needed(self) -> int:
        """How many of the largest logits of a place decide."""
        return GREEDY_TOP if self.temperature == 0 else self.top_k


@dataclass(frozen=True)
class TopLogits:
    """The largest logits of each place, falling: symbols (places, k) and values (places, k)."""

    symbols: I64
    values: F64

    def __post_init__(self) -> None:
        if self.symbols.shape != self.values.shape or self.symbols.ndim != 2 or not self.symbols.shape[1]:
            raise ValueError("symbols and values are tables of one shape")
        if not np.isfinite(self.values).all():
            raise ValueError("a logit is not finite")

    @classmethod
    def of(cls, logits: NDArray[Any], k: int) -> TopLogits:
        """From logits (places, vocabulary). Among equals the lower symbol comes first. Raises `ValueError` on NaN."""
        if logits.ndim != 2 or not np.isfinite(logits).all():
            raise ValueError("a logit is not finite")
        k = min(k, logits.shape[1])
        least = -np.partition(-logits, k - 1, axis=1)[:, k - 1 : k]
        kept, equal = logits > least, logits == least
        kept |= equal & (np.cumsum(equal, axis=1) <= k - kept.sum(axis=1, keepdims=True))
        symbols = np.nonzero(kept)[1].reshape(len(logits), k)
        values = np.take_along_axis(logits, symbols, axis=1).astype(np.float64)
        order = np.argsort(-values, axis=1, kind="stable")
        return cls(np.take_along_axis(symbols, order, axis=1), np.take_along_axis(values, order, axis=1))

    def __len__(self) -> int:
        return len(self.symbols)

    def part(self, start: int, stop: int) -> TopLogits:
        return TopLogits(self.symbols[start:stop], self.values[start:stop])


def margins(top: TopLogits, rule: SamplingRule, seed: int, places: I64) -> F64:
    """By how much each of the largest symbols (places, k) falls short at its place; infinite where the rule drops it."""
    if rule.temperature == 0:
        return top.values[:, :1] - top.values
    scores = np.where(_stays(top, rule), top.values, -np.inf)
    scores = scores + rule.temperature * gumbel(top.symbols, places, seed)
    found: F64 = scores.max(axis=1, keepdims=True) - scores
    return found


def _stays(top: TopLogits, rule: SamplingRule) -> NDArray[np.bool_]:
    """Which of the largest symbols step 1 leaves."""
    stays = np.zeros(top.values.shape, dtype=np.bool_)
    stays[:, : rule.top_k] = True
    if rule.top_p < 1:
        weights = np.where(stays, np.exp((top.values - top.values[:, :1]) / rule.temperature), 0.0)
        before = np.cumsum(weights, axis=1) - weights
        stays &= before < rule.top_p * weights.sum(axis=1, keepdims=True)
    return stays


def best_of(table: F64, top: TopLogits) -> I64:
    """The token of least margin at each place; among equals the likelier, and then the lower symbol."""
    chosen: I64 = np.take_along_axis(top.symbols, np.argmin(table, axis=1)[:, None], axis=1)[:, 0]
    return chosen


def drawn(top: TopLogits, rule: SamplingRule, seed: int, places: I64) -> I64:
    """The token that the rule gives at each place."""
    return best_of(margins(top, rule, seed, places), top)


def margins_of(tokens: I64, table: F64, top: TopLogits) -> F64:
    """The margin of each token, from the table of `margins`; infinite where it is not among the largest symbols."""
    if tokens.shape != (len(top),):
        raise ValueError("one token for each place")
    hit = top.symbols == tokens[:, None]
    found: F64 = np.where(hit, table, np.inf).min(axis=1)
    return found
