"""Which model an adversary trains with so much compute: the loss law, and what another size than the best is worth.

A pod may be too small for the compute-optimal model, and then a smaller one is trained longer. What that costs follows from
the loss law: a run of C FLOP at another size reaches the loss of a compute-optimal run of s C FLOP, and s is its share of
worth.

Source: L = E + A / N^alpha + B / D^beta, as refitted in the documentation of the simulator of arXiv 2605.29359
(1.8172, 482.01, 0.3478, 2085.43, 0.3658); C = 6 N D (arXiv 2001.08361).
"""

from __future__ import annotations

import math
from functools import lru_cache

from inspectorate.mechanisms.interconnect.plan.types import Job, job_of

A, ALPHA = 482.01, 0.3478
B, BETA = 2085.43, 0.3658
OCTAVES_SMALLER, OCTAVES_LARGER = 8, 2
"""Sizes from 1/256 to 4 times the best, by factors of two."""


def excess_loss(parameters: float, tokens: float) -> float:
    """Loss above the entropy of text [nats a token]."""
    return float(A / parameters**ALPHA + B / tokens**BETA)


def optimal_parameters(flop: float) -> float:
    """The size with the least loss for 6 N D = `flop`."""
    scale = (ALPHA * A / (BETA * B)) ** (1 / (ALPHA + BETA))
    return float(scale * (flop / 6) ** (BETA / (ALPHA + BETA)))


def worth_share(parameters: float, tokens: float) -> float:
    """Compute of the compute-optimal run with the same loss, as a share of 6 N D; by bisection, to 1e-9."""
    target, spent = excess_loss(parameters, tokens), 6 * parameters * tokens
    low, high = math.log(spent) - 60.0, math.log(spent)
    while high - low > 1e-9:
        middle = (low + high) / 2
        best = optimal_parameters(math.exp(middle))
        if excess_loss(best, math.exp(middle) / (6 * best)) > target:
            low = middle
        else:
            high = middle
    return min(1.0, math.exp(high) / spent)


@lru_cache(maxsize=256)
def jobs_for(flop: float) -> tuple[Job, ...]:
    """Jobs of 6 N D = `flop` at sizes around the best, each with its share of worth."""
    best = optimal_parameters(flop)
    found = []
    for octave in range(-OCTAVES_SMALLER, OCTAVES_LARGER + 1):
        parameters = best * 2.0**octave
        tokens = flop / (6 * parameters)
        if parameters >= 1 and tokens >= 1:
            found.append(job_of(parameters, tokens, value_share=worth_share(parameters, tokens)))
    return tuple(found)
