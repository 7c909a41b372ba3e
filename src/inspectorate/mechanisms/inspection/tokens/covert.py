"""What a check lets through: bits a token that a server may hide in answers that pass, and a message hidden and read back.

At each place a token has a cost: its margin on the verifier's logits, up to the clip. What passes is

- exact: the one token of cost 0. Nothing.
- a limit on each token (`bits_within`): any token of cost up to the limit. The logarithm of their number.
- a limit on the mean (`capacity`): any choice whose mean cost stays below. The most entropy that this has is that of choosing in
  proportion to exp(-rate * cost), with the rate at which the limit is met (the maximum-entropy distribution under a constraint on
  the mean); tokens beyond the `top_k` cost the clip each, and are counted.
- activations only (TOPLOC, Activation-DiFR): any token, since proofs are made for whatever tokens there are: the logarithm of the
  vocabulary. With a check of how probable the text is, still its entropy (`entropy`).

Each is a bound from above on what one token carries, whatever the code. `Narrowing` is a code that comes close: arithmetic coding
run backwards, so that a random message makes tokens of any wanted distribution, and whoever has the model reads it back.

Not counted: the length of answers, their timing, their order, and a seed that the server may choose (53 bits an answer at most).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.inspection.tokens.reference import (
    INFLATED_SLOWDOWN,
    MARGIN_CLIP,
    SERVED_BYTES_PER_DAY,
    VERIFIED_SHARE,
)

F64 = NDArray[np.float64]
SECONDS_PER_DAY = 86_400
SEED_BITS = 53
_SCALE = 16
"""Bits of one token's probability in the code."""
_RATE_MAX = 1e9


def bits_within(costs: F64, limit: float) -> float:
    """Mean bits a token where each token may cost up to `limit`: costs (places, k)."""
    return float(np.log2(np.maximum((costs <= limit).sum(axis=1), 1)).mean())


def capacity(costs: F64, mean_max: float, *, vocabulary: int) -> float:
    """The most bits a token at a mean cost of at most `mean_max`. Costs (places, k) in logits, as far as the rule goes."""
    return _spent(costs, rate_for(costs, mean_max, vocabulary=vocabulary), vocabulary)[0]


def rate_for(costs: F64, mean_max: float, *, vocabulary: int) -> float:
    """The rate at which the mean cost is `mean_max`; 0 where every choice stays below it."""
    if not costs.size or mean_max < 0:
        raise ValueError("costs at one place at least, and a limit that is not negative")
    if _spent(costs, 0.0, vocabulary)[1] <= mean_max:
        return 0.0
    low, high = 0.0, 1.0
    while high < _RATE_MAX and _spent(costs, high, vocabulary)[1] > mean_max:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _spent(costs, middle, vocabulary)[1] > mean_max else (low, middle)
    return low


def _spent(costs: F64, rate: float, vocabulary: int) -> tuple[float, float]:
    """Mean entropy in bits and mean cost of choosing in proportion to exp(-rate * cost); both from above where they round."""
    clipped = np.minimum(costs, MARGIN_CLIP)
    others = max(vocabulary - costs.shape[1], 0)
    weights = np.exp(-rate * clipped)
    rest = others * math.exp(-rate * MARGIN_CLIP)
    total = weights.sum(axis=1) + rest
    cost = ((weights * clipped).sum(axis=1) + rest * MARGIN_CLIP) / total
    entropy = np.log2(total) + rate * cost / math.log(2)
    return float(entropy.mean()), float(cost.mean())


def entropy(logits: F64, temperature: float) -> float:
    """Mean bits a token of sampling freely from logits (places, k): what a text that is merely probable carries."""
    scaled = logits / temperature
    weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    shares = weights / weights.sum(axis=1, keepdims=True)
    return float(-(shares * np.log2(np.maximum(shares, np.finfo(np.float64).tiny))).sum(axis=1).mean())


# --- in bytes and days -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Leak:
    """A covert channel at a stated rate of tokens."""

    bits_per_token: float
    tokens_per_s: float

    @property
    def gb_per_day(self) -> float:
        return self.bits_per_token * self.tokens_per_s * SECONDS_PER_DAY / 8e9

    def days_for(self, size_bytes: float) -> float:
        """To carry out so many bytes; infinite where nothing passes."""
        return math.inf if self.gb_per_day == 0 else size_bytes / (self.gb_per_day * 1e9)


def published_leak() -> tuple[float, float, tuple[float, float]]:
    """GB a day of a verified server, how many times slower than free, and that range where prompts are chosen for entropy."""
    slower = 1 / VERIFIED_SHARE
    return SERVED_BYTES_PER_DAY * VERIFIED_SHARE / 1e9, slower, INFLATED_SLOWDOWN


# --- a message in tokens ---------------------------------------------------------------------------------------------------


def weights_for(costs: F64, rate: float) -> F64:
    """Of one place: how the code chooses among symbols of these costs."""
    return np.exp(-rate * np.minimum(costs, MARGIN_CLIP))


class Narrowing:
    """An interval that every token narrows: the sender picks the token whose part holds the message, the reader follows.

    Both must see the same weights at each place, in the same order.
    """

    def __init__(self) -> None:
        self._low, self._width, self._bits = 0, 1, 0

    def pick(self, message: int, length: int, weights: F64) -> int:
        """The symbol that the message (`length` bits) asks for, and narrow to it. Raises `ValueError` once it is used up."""
        if self._bits + _SCALE > length:
            raise ValueError("the message is shorter than the text that it is to be hidden in")
        edges = _edges(weights)
        point = (message >> (length - self._bits - _SCALE)) - (self._low << _SCALE)
        symbol = int(np.searchsorted(edges, point // self._width, side="right")) - 1
        self.narrow(symbol, weights)
        return symbol

    def narrow(self, symbol: int, weights: F64) -> None:
        """Narrow to the part of one symbol."""
        edges = _edges(weights)
        self._low = (self._low << _SCALE) + int(edges[symbol]) * self._width
        self._width *= int(edges[symbol + 1] - edges[symbol])
        self._bits += _SCALE

    def read(self) -> str:
        """The bits of the message that are certain by now: those on which both ends of the interval agree."""
        low, high = (
            format(one, f"0{self._bits}b") if self._bits else "" for one in (self._low, self._low + self._width - 1)
        )
        same = next((place for place, (one, other) in enumerate(zip(low, high, strict=True)) if one != other), len(low))
        return low[:same]


def _edges(weights: F64) -> NDArray[np.int64]:
    """Where the parts of the symbols begin and end, of 2**16; every symbol with any weight has a part."""
    if not weights.size or not np.isfinite(weights).all() or (weights < 0).any() or not weights.sum():
        raise ValueError("weights are finite and not negative, and one is positive")
    wanted = weights > 0
    spare = (1 << _SCALE) - int(wanted.sum())
    if spare < 0:
        raise ValueError(f"more than {1 << _SCALE} symbols have weight")
    sizes = np.floor(weights / weights.sum() * spare).astype(np.int64) + wanted
    sizes[int(np.argmax(weights))] += (1 << _SCALE) - int(sizes.sum())
    edges = np.concatenate([[0], np.cumsum(sizes)])
    assert all(one <= other for one, other in pairwise(edges.tolist()))
    return edges
