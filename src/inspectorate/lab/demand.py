"""What clients ask of a pod: requests at random times whose rate rises and falls. Pure: the seed decides everything.

Arrivals are a Poisson process whose rate varies in time, drawn by thinning (Lewis & Shedler 1979): candidates come at
the highest rate, and each is kept with probability rate / highest rate. Lengths are log-normal, cut at both ends, as
request lengths of language-model services are skewed to the right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from inspectorate.errors import InputError

REQUESTS_MAX = 100_000


@dataclass(frozen=True, kw_only=True)
class Demand:
    """How much is asked of one pod. The rate swings by `swing` (0 to 1) of its mean with a period of `period_s`."""

    mean_per_s: float = 0.6
    swing: float = 0.6
    period_s: float = 240.0
    phase: float = 0.0
    prompt_bytes_median: float = 1500.0
    prompt_bytes_max: int = 8000
    tokens_median: float = 56.0
    tokens_max: int = 160

    def __post_init__(self) -> None:
        if not (0 < self.mean_per_s <= 100 and 0 <= self.swing <= 1 and self.period_s > 0):
            raise InputError("needs a mean rate in (0, 100], a swing in [0, 1] and a period above zero", where="demand")

    def rate_per_s(self, at_s: float) -> float:
        """Requests per second expected at a time."""
        return self.mean_per_s * (1 + self.swing * math.sin(2 * math.pi * at_s / self.period_s + self.phase))


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request: when it is sent, how long its prompt is, how many tokens it asks for."""

    at_s: float
    prompt_bytes: int
    tokens: int


def requests(demand: Demand, *, start_s: float, end_s: float, seed: int) -> tuple[Request, ...]:
    """The requests during [start_s, end_s), in order. The same arguments always give the same requests.

    Raises `InputError` if there would be too many.
    """
    highest_per_s = demand.mean_per_s * (1 + demand.swing)
    if (end_s - start_s) * highest_per_s > REQUESTS_MAX:
        raise InputError(f"more than {REQUESTS_MAX} requests", where="demand")
    random = np.random.default_rng(seed)
    found: list[Request] = []
    at_s = start_s
    while True:
        at_s += float(random.exponential(1 / highest_per_s))
        if at_s >= end_s:
            return tuple(found)
        if random.random() * highest_per_s < demand.rate_per_s(at_s):
            prompt = demand.prompt_bytes_median * math.exp(0.6 * float(random.standard_normal()))
            tokens = demand.tokens_median * math.exp(0.4 * float(random.standard_normal()))
            found.append(
                Request(
                    at_s=at_s,
                    prompt_bytes=int(min(max(prompt, 64), demand.prompt_bytes_max)),
                    tokens=int(min(max(tokens, 8), demand.tokens_max)),
                )
            )
