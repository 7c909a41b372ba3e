"""The test for lock-step written down slowly: one pair, one interval at a time, over lists. Follows the package's steps."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from inspectorate.mechanisms.interconnect.synchrony import reference as ref

Series = list[float]


def coarser(values: Sequence[float], scale: int) -> Series:
    return [sum(values[k * scale : (k + 1) * scale]) for k in range(len(values) // scale)]


def toeplitz_predictor(covariance: Series, ridge: float) -> Series:
    """Solve the normal equations by elimination."""
    order = len(covariance) - 1
    if order < 1 or covariance[0] * (1 + ridge) <= 1e-12:
        return [0.0] * order
    matrix = np.array([[covariance[abs(i - j)] for j in range(order)] for i in range(order)])
    matrix += np.eye(order) * covariance[0] * ridge
    return list(np.linalg.solve(matrix, np.array(covariance[1:])))


def marks(count: int) -> set[int]:
    found, at = set(), ref.WARM_UP
    while at < count:
        found.add(at)
        at = min(max(at + 8, int(at * ref.REFIT_GROWTH)), at + ref.REFIT_MAX)
    return found


def surprises(own: Series, common: Series, control: Series, interval_s: float) -> Series:
    """Steps 2 to 5, all observed."""
    count = len(own)
    periods = [p / interval_s for p in ref.TIMETABLE_S]
    periods = [round(p) for p in periods if abs(p - round(p)) < 1e-9]
    periods = [p for p in periods if 2 <= p <= count / ref.TIMETABLE_REPEATS_MIN]
    places: dict[tuple[int, int], Series] = {}
    left: Series = [0.0] * count
    predict: Series = []
    found: Series = []
    for t in range(count):
        if t in marks(count):
            order = min(ref.ORDER_MAX, t // ref.INTERVALS_PER_TERM)
            lagged = [sum(left[u] * left[u - k] for u in range(k, t)) for k in range(order + 1)]
            predict = toeplitz_predictor(lagged, ref.RIDGE)
        if t < ref.WARM_UP:
            found.append(0.0)
            continue
        y, c, i = own[:t], common[:t], control[:t]
        spread = math.sqrt(np.var(c) * np.var(i)) * t
        instrument = np.cov(c, i, bias=True)[0, 1] * t
        prior = np.var(y) / ref.COMMON_PRIOR
        weight = np.cov(y, i, bias=True)[0, 1] * t + prior
        weight /= max(instrument, ref.COMMON_SHARE_MIN * spread) + prior
        weight = min(max(weight, 0.0), ref.COMMON_WEIGHT_MAX)
        value = own[t] - np.mean(y) - weight * (common[t] - np.mean(c))
        learnt, squares = t - ref.WARM_UP, sum(v * v for v in left[:t])
        for period in periods:
            before = places.setdefault((period, t % period), [])
            n, total = len(before), sum(before)
            before.append(value)
            if n >= ref.TIMETABLE_REPEATS_MIN and total**2 * learnt > ref.TIMETABLE_SIGNIFICANT**2 * n * squares:
                value -= total / (n + 1)
        left[t] = float(value)
        value -= sum(predict[j] * left[t - 1 - j] for j in range(len(predict)))
        found.append(float(value) if math.exp(own[t]) * abs(1 - math.exp(-value)) >= 1 else 0.0)
    return found


def ranks(values: Series) -> list[float | None]:
    found: list[float | None] = []
    for t, value in enumerate(values):
        before = values[max(ref.WARM_UP, t - ref.RANKED_AMONG) : t] if t >= ref.WARM_UP else []
        if len(before) < ref.RANKED_MIN:
            found.append(None)
            continue
        below, ties = sum(b < value for b in before), sum(b == value for b in before)
        found.append((below + ties / 2 + 0.5) / (len(before) + 1) * 2 - 1)
    return found


def capital_throughout(one: list[float | None], other: list[float | None], lag: int) -> float:
    """The mean over stakes of the capital that is bet on the product from beginning to end."""
    capital = [1.0] * len(ref.STAKES)
    for t in range(lag, len(other)):
        a, b = one[t - lag], other[t]
        if a is not None and b is not None:
            gain = (a * b - ref.TOLERANCE) / (1 + ref.TOLERANCE)
            capital = [have * (1 + stake * gain) for have, stake in zip(capital, ref.STAKES, strict=True)]
    return sum(capital) / len(capital)


def capital_in_bursts(factors: list[Series], stakes: tuple[float, ...]) -> float:
    """Bettors that start and stop between rounds: idle and betting capital per stake, spelled out."""
    rounds = len(factors)
    idle, active = [1 / len(stakes)] * len(stakes), [0.0] * len(stakes)
    for factor in factors:
        for k, stake in enumerate(stakes):
            starts, stops = idle[k] / rounds, active[k] * ref.STOP_PER_STAKE * stake
            active[k] = (active[k] - stops + starts) * factor[k]
            idle[k] += stops - starts
    return sum(idle) + sum(active)
