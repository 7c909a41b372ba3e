"""Figures, each with the number of cases behind it. Pure functions of arrays.

- AUROC counts ties by half: the chance that a case scores above a control.
- Shares of runs have Clopper-Pearson intervals, rates of alarms have exact Poisson intervals: both hold for any n, also 0 and
  all.
- Intervals of everything else come from a bootstrap over families: families are drawn with all that is in them. Windows are
  not independent and folds share their data, so neither gives an interval.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inspectorate.mechanisms.workloads.evaluate.reference import BOOTSTRAPS, CONFIDENCE, FAMILIES_FOR_INTERVAL_MIN
from inspectorate.statistics.sampling import clopper_pearson_lower, clopper_pearson_upper

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A number, its interval if there is one, and how many cases it rests on. None: it cannot be had."""

    value: float | None
    n: int
    low: float | None = None
    high: float | None = None


def auroc(cases: ArrayLike, controls: ArrayLike) -> float | None:
    """The chance that a case scores above a control, ties by half. None without either. NaN is refused."""
    above, below = np.asarray(cases, dtype=np.float64), np.asarray(controls, dtype=np.float64)
    if not above.size or not below.size:
        return None
    if np.isnan(above).any() or np.isnan(below).any():
        raise ValueError("a score is NaN")
    ordered = np.sort(below)
    less = np.searchsorted(ordered, above, side="left")
    upto = np.searchsorted(ordered, above, side="right")
    return float((less + upto).sum() / (2 * above.size * below.size))


def share(found: int, of: int) -> Figure:
    """A share of independent cases with its Clopper-Pearson interval."""
    if not of:
        return Figure(value=None, n=0)
    tail = (1 - CONFIDENCE) / 2
    low, high = clopper_pearson_lower(found, of, tail), clopper_pearson_upper(found, of, tail)
    return Figure(value=found / of, n=of, low=low, high=high)


def balanced_accuracy(truth: Sequence[str], said: Sequence[str]) -> float | None:
    """The mean over true labels of the share that was named rightly."""
    if not truth:
        return None
    recalls = [
        np.mean([word == name for word, other in zip(said, truth, strict=True) if other == name])
        for name in sorted(set(truth))
    ]
    return float(np.mean(recalls))


def by_family(
    families: Sequence[str], figure: Callable[[NDArray[np.int64]], float | None], *, random: np.random.Generator
) -> Figure:
    """A figure of cases with an interval from drawing families. `figure` takes places of cases; places may repeat."""
    everything = np.arange(len(families), dtype=np.int64)
    value = figure(everything) if len(families) else None
    names = sorted(set(families))
    if value is None or len(names) < FAMILIES_FOR_INTERVAL_MIN:
        return Figure(value=value, n=len(families))
    labels = np.asarray(families)
    places = [np.flatnonzero(labels == name) for name in names]
    drawn = []
    for _ in range(BOOTSTRAPS):
        some = random.integers(len(names), size=len(names))
        one = figure(np.concatenate([places[k] for k in some]))
        if one is not None:
            drawn.append(one)
    if len(drawn) < BOOTSTRAPS // 2:
        return Figure(value=value, n=len(families))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Figure(value=value, n=len(families), low=float(low), high=float(high))


def worst(groups: Sequence[str], good: Sequence[bool]) -> tuple[str, Figure]:
    """The group with the smallest share of good cases; of equals the one with most cases."""
    found = []
    for name in sorted(set(groups)):
        hits = [ok for ok, group in zip(good, groups, strict=True) if group == name]
        found.append((sum(hits) / len(hits), -len(hits), name, sum(hits)))
    if not found:
        return "", Figure(value=None, n=0)
    _, less, name, hits_of = min(found)
    return name, share(hits_of, -less)


def poisson_interval(count: int, exposure: float, *, confidence: float = CONFIDENCE) -> Figure:
    """Events per unit of exposure with the exact interval of Garwood (1936). `n` is the count."""
    if exposure <= 0:
        return Figure(value=None, n=count)
    tail = (1 - confidence) / 2
    low = 0.0 if count == 0 else _poisson_mean(count - 1, 1 - tail)
    high = _poisson_mean(count, tail)
    return Figure(value=count / exposure, n=count, low=low / exposure, high=high / exposure)


def _poisson_mean(count: int, chance: float) -> float:
    """The mean at which at most `count` events have this chance, by bisection."""
    low, high = 0.0, 10.0 + 3.0 * count
    while _poisson_upto(count, high) > chance:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if _poisson_upto(count, middle) > chance else (low, middle)
    return (low + high) / 2


def _poisson_upto(count: int, mean: float) -> float:
    if mean <= 0:
        return 1.0
    terms = np.arange(count + 1)
    logs = terms * np.log(mean) - mean - np.cumsum(np.log(np.maximum(terms, 1)))
    return float(np.exp(logs).sum())
