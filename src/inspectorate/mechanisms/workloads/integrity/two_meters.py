"""Do two series measure one load? A judgement that is fitted on pairs known to be true.

A match by itself says little: all runs of one workload look alike. What identifies a run and a node is how much better its two
series fit each other than each fits its **cohort**: the series of other runs of the same load. So each feature of a pair is
measured against what the slower series has with the faster ones of the cohort, and the faster with the slower ones. (The
same normalisation is known from speaker verification, where everybody says the same phrase.)

Procedure (`fit_judge`):

1. Features of a pair: correlation of smoothed differences and variance left over, plain and against the cohort (all of it, and
   the `COHORT_NEAREST` nearest), and how far the ratio of the levels is from what true pairs of the same load and system have.
2. Weights by logistic regression of true pairs against swaps with other runs of the same load, each with its times forged to
   begin together. A pair and its swaps count alike, however many swaps there are.
3. The scores of true pairs by which new ones are calibrated are made by folds of runs: no run takes part in the weights, the
   cohort or the levels by which its own pairs are scored (leave-run-out).

Validity of `p_value`: the hypothesis is "a true pair, of a run that is exchangeable with the calibration runs". Pairs of one
run are not independent, so each calibration run counts once, by the share of its pairs that are as strange (hierarchical
conformal prediction: Lee, Barber, Willett, "Distribution-free inference with hierarchical data", arXiv 2306.06342). It cannot
be below 1/(runs + 1). Calibration scores come of folds and those of new pairs of all runs: alike, but not identical in law.
So the guarantee is that of cross-conformal prediction, not an exact one. `p_to_log_e` makes an e-value of it.

What it cannot do: tell two runs that are equal within the noise of the meters, and judge a load of which no other run is known
(there `match` with physical limits is left, `sums`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.workloads.integrity import reference
from inspectorate.mechanisms.workloads.integrity.match import Fast, Match, faster, match
from inspectorate.mechanisms.workloads.integrity.series import Series
from inspectorate.mechanisms.workloads.telemetry.frame import Values
from inspectorate.statistics import p_to_log_e

FEATURES = (
    "smoothed-correlation",
    "fit",
    "smoothed-correlation-against-cohort",
    "fit-against-cohort",
    "smoothed-correlation-against-nearest",
    "level-apart",
)
_RIDGE = 1e-3
_ITERATIONS = 25
_SPREAD_FLOOR = 1e-3
_LEVEL_FLOOR = 0.002
_COHORT_MIN = 3

Numbers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class MeterPair:
    """A slower and a faster series that are said to measure one load, in one run of a load."""

    load: str
    """Runs of one load on one system are one cohort."""
    run: str
    slow: Series
    fast: Series


@dataclass(frozen=True, kw_only=True, eq=False)
class Cohort:
    """The matches among all pairs of one load: entry (i, j) is the slower series of i with the faster of j.

    Arrays of shape (pairs, pairs), NaN where two do not overlap. `run`: number of each pair's run.
    """

    load: str
    pairs: tuple[MeterPair, ...]
    run: Numbers
    correlation: Values
    smoothed: Values
    fit: Values
    level: Values
    lag_s: Values


@dataclass(frozen=True, kw_only=True, eq=False)
class Judge:
    """A fitted judgement. Higher scores are better matches; `calibration` has those of true pairs, per run."""

    cohorts: Mapping[str, Cohort]
    centre: Values
    scale: Values
    weights: Values
    calibration: Mapping[str, Values]

    def p_value(self, score: float) -> float:
        """How often a true pair would score no better, with runs as the unit."""
        return run_p_value(score, self.calibration)

    def log_e(self, score: float) -> float:
        """Evidence that the pair is not one load."""
        return float(p_to_log_e(self.p_value(score)))

    def score(self, pair: MeterPair) -> float | None:
        """The score of a new pair; None where its load is not known, or too little of it overlaps."""
        cohort = self.cohorts.get(pair.load)
        if cohort is None:
            return None
        found = _with_pair(cohort, pair)
        if found is None:
            return None
        row = features(found, len(found.pairs) - 1, len(found.pairs) - 1)
        return None if row is None else float(_scores(row[None, :], self)[0])


def run_p_value(score: float, calibration: Mapping[str, Values]) -> float:
    """(1 + the sum over runs of the share of pairs that score no better) / (runs + 1). Raises `ValueError` without runs."""
    if not calibration:
        raise ValueError("no true pair to calibrate with")
    shares = [float(np.mean(scores <= score)) for scores in calibration.values()]
    return (1.0 + float(np.sum(shares))) / (1.0 + len(shares))


def cohort_of(load: str, pairs: Sequence[MeterPair]) -> Cohort:
    """All matches among the pairs of one load; swaps have their times forged to begin together."""
    runs = sorted({pair.run for pair in pairs})
    number = {run: i for i, run in enumerate(runs)}
    count = len(pairs)
    table = np.full((5, count, count), np.nan)
    prepared = [faster(pair.fast) for pair in pairs]
    for i, pair in enumerate(pairs):
        for j, fast in enumerate(prepared):
            _enter(table, i, j, _forged(pair.slow, fast, i == j))
    return Cohort(
        load=load,
        pairs=tuple(pairs),
        run=np.array([number[pair.run] for pair in pairs], dtype=np.int64),
        correlation=table[0],
        smoothed=table[1],
        fit=table[2],
        level=table[3],
        lag_s=table[4],
    )


def _forged(slow: Series, fast: Fast, true: bool) -> Match | None:
    return match(slow, fast, offset_s=None if true else 0.0)


def _enter(table: Values, i: int, j: int, found: Match | None) -> None:
    if found is not None:
        table[:, i, j] = (found.correlation, found.smoothed, -found.left_over, found.level, found.lag_s)


def features(cohort: Cohort, i: int, j: int) -> Values | None:
    """The features of slower i with faster j (in the order of `FEATURES`); None without enough others to compare with."""
    others = (cohort.run != cohort.run[i]) & (cohort.run != cohort.run[j])
    if np.isnan(cohort.fit[i, j]):
        return None
    normal, nearest = [], []
    for table in (cohort.smoothed, cohort.fit):
        beside = [values[~np.isnan(values)] for values in (table[i, others], table[others, j])]
        if min(len(values) for values in beside) < _COHORT_MIN:
            return None
        here = float(table[i, j])
        normal.append(np.mean([(here - values.mean()) / (values.std() + _SPREAD_FLOOR) for values in beside]))
        nearest.append(here - np.mean([np.sort(values)[-reference.COHORT_NEAREST :].mean() for values in beside]))
    levels = np.diag(cohort.level)[others]
    levels = levels[~np.isnan(levels)]
    usual, spread = float(np.median(levels)), float(np.subtract(*np.quantile(levels, [0.75, 0.25])))
    apart = np.log1p(abs(float(cohort.level[i, j]) - usual) / (spread + _LEVEL_FLOOR))
    return np.array([cohort.smoothed[i, j], cohort.fit[i, j], normal[0], normal[1], nearest[0], apart])


@dataclass(frozen=True, kw_only=True, eq=False)
class Examples:
    """True pairs and swaps within one load, with their features: what a judge is fitted and tested on.

    `load` (n,) names; `slow`, `fast` (n,) places in the cohort of that load; `true` (n,); `runs` (n, 2) numbers over all loads.
    """

    load: tuple[str, ...]
    slow: Numbers
    fast: Numbers
    true: NDArray[np.bool_]
    runs: Numbers
    x: Values
    weight: Values
    run_names: tuple[str, ...]


def examples_of(cohorts: Mapping[str, Cohort]) -> Examples:
    """Every true pair, and its swaps with the faster series of all other runs of its load."""
    names = tuple(f"{load}\n{run}" for load, cohort in cohorts.items() for run in sorted({p.run for p in cohort.pairs}))
    number = {name: i for i, name in enumerate(names)}
    load: list[str] = []
    rows: list[tuple[int, int, bool, int, int]] = []
    x: list[Values] = []
    for key, cohort in cohorts.items():
        runs = [number[f"{key}\n{pair.run}"] for pair in cohort.pairs]
        for i in range(len(runs)):
            for j in range(len(runs)):
                row = features(cohort, i, j) if i == j or runs[i] != runs[j] else None
                if row is not None:
                    load.append(key)
                    rows.append((i, j, i == j, runs[i], runs[j]))
                    x.append(row)
    table = np.array(rows, dtype=np.int64).reshape(-1, 5)
    true = table[:, 2] == 1
    _, which = np.unique(table[:, [3, 0]], axis=0, return_inverse=True)
    swaps = np.bincount(which, weights=~true, minlength=int(which.max(initial=0)) + 1)[which]
    return Examples(
        load=tuple(load),
        slow=table[:, 0],
        fast=table[:, 1],
        true=true,
        runs=table[:, 3:],
        x=np.array(x).reshape(-1, len(FEATURES)),
        weight=np.where(true, 1.0, 1.0 / np.maximum(swaps, 1.0)),
        run_names=names,
    )


def fold_scores(examples: Examples, folds: int = reference.FOLDS) -> Values:
    """The score of every example by weights of runs that are not in its fold, shape (n,)."""
    fold = examples.runs % folds
    scores = np.full(len(examples.true), np.nan)
    for k in range(folds):
        fit = (fold != k).all(axis=1)
        asked = fold[:, 0] == k
        if asked.any() and examples.true[fit].any() and not examples.true[fit].all():
            centre, scale, weights = fit_weights(examples.x[fit], examples.true[fit], examples.weight[fit])
            scores[asked] = linear_scores(examples.x[asked], centre, scale, weights)
    return scores


def fit_judge(pairs: Sequence[MeterPair]) -> Judge:
    """A judge from pairs known to be true. Raises `ValueError` with fewer than `RUNS_TO_FIT_MIN` runs of every load."""
    loads: dict[str, list[MeterPair]] = {}
    for pair in pairs:
        loads.setdefault(pair.load, []).append(pair)
    cohorts = {
        load: cohort_of(load, members)
        for load, members in sorted(loads.items())
        if len({pair.run for pair in members}) >= reference.RUNS_TO_FIT_MIN
    }
    return judge_of(cohorts)


def judge_of(cohorts: Mapping[str, Cohort]) -> Judge:
    """A judge from cohorts that are already made. Raises `ValueError` where they hold too little."""
    examples = examples_of(cohorts)
    if not examples.true.any() or examples.true.all():
        raise ValueError(f"needs true pairs of at least {reference.RUNS_TO_FIT_MIN} runs of one load")
    scores = fold_scores(examples)
    centre, scale, weights = fit_weights(examples.x, examples.true, examples.weight)
    calibration: dict[str, Values] = {}
    for number, name in enumerate(examples.run_names):
        mine = scores[examples.true & (examples.runs[:, 0] == number)]
        mine = mine[~np.isnan(mine)]
        if len(mine):
            calibration[name] = mine
    return Judge(cohorts=cohorts, centre=centre, scale=scale, weights=weights, calibration=calibration)


def _with_pair(cohort: Cohort, pair: MeterPair) -> Cohort | None:
    """The cohort with one more pair at its end, as a run of its own."""
    count = len(cohort.pairs)
    here = faster(pair.fast)
    table = np.full((5, count + 1, count + 1), np.nan)
    for k, old in enumerate((cohort.correlation, cohort.smoothed, cohort.fit, cohort.level, cohort.lag_s)):
        table[k, :count, :count] = old
    _enter(table, count, count, match(pair.slow, here))
    for j, other in enumerate(cohort.pairs):
        if other.run != pair.run:
            _enter(table, count, j, _forged(pair.slow, faster(other.fast), False))
            _enter(table, j, count, _forged(other.slow, here, False))
    if np.isnan(table[2, count, count]):
        return None
    return Cohort(
        load=cohort.load,
        pairs=(*cohort.pairs, pair),
        run=np.append(cohort.run, cohort.run.max() + 1),
        correlation=table[0],
        smoothed=table[1],
        fit=table[2],
        level=table[3],
        lag_s=table[4],
    )


def _scores(x: Values, judge: Judge) -> Values:
    return linear_scores(x, judge.centre, judge.scale, judge.weights)


def linear_scores(x: Values, centre: Values, scale: Values, weights: Values) -> Values:
    found: Values = (x - centre) / scale @ weights[:-1] + weights[-1]
    return found


def fit_weights(x: Values, true: NDArray[np.bool_], weight: Values) -> tuple[Values, Values, Values]:
    """Centre, scale and weights (the constant last) of a logistic regression with a little ridge, by Newton's steps."""
    centre, scale = x.mean(axis=0), x.std(axis=0) + 1e-9
    z = np.column_stack(((x - centre) / scale, np.ones(len(x))))
    found = np.zeros(z.shape[1])
    ridge = _RIDGE * float(weight.sum()) / len(found)
    for _ in range(_ITERATIONS):
        p = 1.0 / (1.0 + np.exp(-np.clip(z @ found, -30, 30)))
        curvature = (z * (weight * p * (1 - p) + 1e-9)[:, None]).T @ z + ridge * np.eye(len(found))
        found = found + np.linalg.solve(curvature, z.T @ (weight * (true - p)) - ridge * found)
    return centre, scale, found
