"""How well numbers part same from other: error rates, and what likelihood ratios cost. With intervals by seals, never by pairs.

Pairs of one seal resemble each other; an interval that counts them as independent is too narrow. `by_group` draws whole groups
(seals, or doors with all that was on them) with replacement.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Truth = NDArray[np.bool_]
Measure = Callable[[Values, Truth], float]
DRAWS = 200
PERCENT = (2.5, 97.5)


def equal_error_rate(scores: Values, same: Truth) -> float:
    """Where as many of the same are refused as others are taken; linear between steps. Higher scores say same."""
    missed, taken = roc(scores, same)
    over = np.flatnonzero(missed >= taken)
    if not len(over):
        return float(taken[-1])
    k = int(over[0])
    if k == 0:
        return float(missed[0])
    before, after = missed[k - 1] - taken[k - 1], missed[k] - taken[k]
    share = -before / (after - before) if after != before else 0.0
    return float(missed[k - 1] + share * (missed[k] - missed[k - 1]))


def roc(scores: Values, same: Truth) -> tuple[Values, Values]:
    """Shares of the same that are missed, and of others that are taken, as the threshold rises past every score."""
    steps = np.unique(scores)
    mine, theirs = np.sort(scores[same]), np.sort(scores[~same])
    edges = np.concatenate([steps, [np.inf]])
    missed = np.searchsorted(mine, edges, side="left") / max(len(mine), 1)
    taken = 1 - np.searchsorted(theirs, edges, side="left") / max(len(theirs), 1)
    return missed, taken


def missed_at(scores: Values, same: Truth, taken_max: float) -> float:
    """Share of the same that is missed at the lowest threshold that takes no more than `taken_max` of others."""
    missed, taken = roc(scores, same)
    return float(missed[np.flatnonzero(taken <= taken_max)[0]])


def cllr(log_ratios: Values, same: Truth) -> float:
    """Cost of likelihood ratios in bits (Bruemmer & du Preez 2006): 0 is perfect, 1 is a ratio that always says nothing."""
    mine, theirs = log_ratios[same], log_ratios[~same]
    return float((np.mean(np.logaddexp(0, -mine)) + np.mean(np.logaddexp(0, theirs))) / (2 * np.log(2)))


def cllr_least(log_ratios: Values, same: Truth) -> float:
    """The same after the best monotone recalibration: what the order alone costs."""
    order = np.lexsort((~same, log_ratios))
    ones = same[order].astype(np.float64)
    fitted = _rising(ones)
    share = same.mean()
    with np.errstate(divide="ignore"):
        ratios = np.log(fitted) - np.log1p(-fitted) - np.log(share / (1 - share))
    back = np.empty_like(ratios)
    back[order] = ratios
    return cllr(back, same)


def _rising(values: Values) -> Values:
    """The rising sequence nearest to the values (pool adjacent violators)."""
    blocks: list[list[float]] = []
    for value in values:
        blocks.append([value, 1.0])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            mean, count = blocks.pop()
            blocks[-1] = [
                (blocks[-1][0] * blocks[-1][1] + mean * count) / (blocks[-1][1] + count),
                blocks[-1][1] + count,
            ]
    return np.concatenate([np.full(int(count), mean) for mean, count in blocks])


def by_group(
    measure: Measure, scores: Values, same: Truth, groups: Sequence[str], *, seed: int = 1
) -> tuple[float, float]:
    """A 95 % interval of a measure, by drawing whole groups with replacement. Draws that lack one side are passed over."""
    names = sorted(set(groups))
    where = np.array(groups)
    members = [np.flatnonzero(where == name) for name in names]
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(DRAWS):
        rows = np.concatenate([members[k] for k in rng.integers(0, len(members), len(members))])
        if 0 < same[rows].sum() < len(rows):
            found.append(measure(scores[rows], same[rows]))
    lower, upper = np.percentile(found, PERCENT)
    return float(lower), float(upper)


def reliability(log_ratios: Values, same: Truth, edges: Sequence[float]) -> list[tuple[float, float, int]]:
    """By bins of the stated number: its mean, what it should have been by the counts in the bin (one half added), and how many."""
    rows = []
    total = same.sum(), (~same).sum()
    for low, high in itertools.pairwise(edges):
        inside = (log_ratios >= low) & (log_ratios < high)
        if inside.any():
            mine, theirs = same[inside].sum() + 0.5, (~same[inside]).sum() + 0.5
            rows.append(
                (
                    float(log_ratios[inside].mean()),
                    float(np.log(mine / (total[0] + 0.5)) - np.log(theirs / (total[1] + 0.5))),
                    int(inside.sum()),
                )
            )
    return rows
