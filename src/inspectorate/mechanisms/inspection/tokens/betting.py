"""Evidence that the mean of scores between 0 and 1 exceeds what honest stacks have: bets that stand throughout.

The closed form of `statistics.betting_process` with `BetPlan.from_start`: a server that does something else does so for the whole
answer. At any length, an honest server reaches 1/a with chance a at most, if its mean is at most `mean_max` given what came before.

Stakes are halves, down to a quarter of `mean_max`: a bet of s loses to rare large scores below a mean of about s / log(1 + s /
mean_max), so with larger stakes only, a server might spend several times the limit for ever.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from inspectorate.statistics.mixture import STAKES_DEFAULT
from inspectorate.statistics.numerics import log_sum_exp

F64 = NDArray[np.float64]

_LOWER_STAKES = np.array([0.1, 0.3, 0.6, 0.9, 0.99])
MEAN_MIN = 1e-9
"""A limit on the mean is never below this: no number of honest runs shows less."""


FOREVER = 10**9
"""Tokens after which a packet counts as endless."""


def stakes_for(mean_max: float) -> tuple[float, ...]:
    """Halves, down to a quarter of the limit."""
    last = max(len(STAKES_DEFAULT), math.ceil(math.log2(4 / max(mean_max, MEAN_MIN))))
    return tuple(2.0**-power for power in range(1, last + 1))


def log_e_path(values: F64, mean_max: float) -> F64:
    """Natural logarithm of the e-value after each score. Raises `ValueError` on scores outside 0 to 1, or none."""
    if values.ndim != 1 or not values.size or not ((values >= 0) & (values <= 1)).all():
        raise ValueError("scores lie between 0 and 1, and there is at least one")
    stakes = np.array(stakes_for(mean_max))
    growth = np.cumsum(np.log1p((values[:, None] / max(mean_max, MEAN_MIN) - 1) * stakes), axis=0)
    return log_sum_exp(growth, axis=1) - math.log(len(stakes))


def log_e_max(values: F64, mean_max: float) -> float:
    """The highest that the evidence ever stood, from 0 before the first score."""
    return max(0.0, float(log_e_path(values, mean_max).max()))


def passing_mean(count: int, mean_max: float, log_threshold: float) -> float:
    """The highest mean of `count` scores that need not be found: what a server may spend in one packet. At most 1.

    A bet wins least where the cost is spent on as few scores as can be: each factor is linear in its score, so the product
    falls as the same sum is spread less evenly (Schur-concave), for every stake. So few scores of 1, and one in between.
    """
    low, high = 0.0, float(count)
    if _final(high, count, mean_max) < log_threshold:
        return 1.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (low, middle) if _final(middle, count, mean_max) >= log_threshold else (middle, high)
    return high / count


def _final(total: float, count: int, mean_max: float) -> float:
    """The evidence after `count` scores, of which as many as can be are 1, and the rest 0."""
    ones = min(int(total), count)
    limit, stakes = max(mean_max, MEAN_MIN), np.array(stakes_for(mean_max))
    growth = ones * np.log1p((1 / limit - 1) * stakes)
    if ones < count:
        growth = growth + np.log1p(((total - ones) / limit - 1) * stakes)
        growth = growth + (count - ones - 1) * np.log1p(-stakes)
    return float(log_sum_exp(growth)) - math.log(len(stakes))


def mean_upper(values: F64, miss_probability: float) -> float:
    """Upper bound on the mean of scores between 0 and 1, at confidence 1 - `miss_probability`.

    The least mean against which a bet on lower scores wins 1 / `miss_probability`: the same bet, turned round
    (Waudby-Smith & Ramdas 2024, section 4). Where all scores are 0 it is near the rule of three. Raises `ValueError` on no scores.
    """
    if not values.size or not ((values >= 0) & (values <= 1)).all():
        raise ValueError("scores lie between 0 and 1, and there is at least one")
    goal = math.log(len(_LOWER_STAKES) / miss_probability)
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        growth = np.log1p(_LOWER_STAKES[:, None] * ((1 - values) / (1 - middle) - 1)).sum(axis=1)
        low, high = (low, middle) if float(log_sum_exp(growth)) >= goal else (middle, high)
    return high
