"""From scores of any model to p-values and e-values: conformal calibration, and tests by permutation and shift.

A larger score is stranger. The hypothesis is exchangeability: the new score is as likely as any of the calibration
scores to be at any place in their order. Nothing else is assumed of the model that made the scores; a bad model costs
power, never validity.

Rules:

- **The unit is the run, not the window.** Windows of one run are dependent, so windows of a run in calibration say
  little about another run. Reduce each run to one score (`score_per_run`) before calibrating.
- A p-value against n calibration scores is never below 1/(n+1). With n = 99 no single run can reach alpha = 0.001,
  however strange it is.
- Several new scores against **one** calibration set give p-values that share its luck: each is valid, their product is
  not. Average their e-values (`evalues.merge_mean`), or use `online_p_values`, where each score joins the calibration set
  after it was judged; those p-values are independent under the hypothesis and may be bet on (`conformal_process`).
- Calibration does not outlive a change of what is honest (new firmware, new season). An alarm says "not exchangeable with
  the calibration", which is a violation only if the change was not declared.
- Randomness comes in as numbers or as a generator, so that a review can be repeated.

Sources: V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a Random World", 2nd ed. 2022 (conformal and online
p-values, exchangeability martingales); S. Bates, E. Candes, L. Lei, Y. Romano, M. Sesia, "Testing for outliers with
conformal p-values", Annals of Statistics 51(1), 2023 (dependence through one calibration set); B. Phipson, G. Smyth,
Statistical Applications in Genetics and Molecular Biology 9(1), 2010 (why the 1 in (1 + b)/(1 + B)).

Not done here: weights for a known shift of the covariates, and any model that makes scores.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Hashable, Sequence
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from inspectorate.statistics.betting import PLAN_DEFAULT
from inspectorate.statistics.evalues import P_VALUE_MIN
from inspectorate.statistics.mixture import BetPlan, EProcess, MixtureState, checked_cells
from inspectorate.statistics.numerics import BoolArray, FloatArray, checked_count, float_vector, observed_rows

SHIFTS_MAX = 1_000_000
TIE_TOLERANCE = 1e-12
"""Statistics closer than this, relative to the observed one, count as ties: rounding must not turn one into evidence."""


class RunSummary(StrEnum):
    """How the scores of one run become one score."""

    MAX = "max"
    """The strangest window. Longer runs have larger maxima: compare runs of like length only."""
    MEAN = "mean"
    MEDIAN = "median"


def score_per_run(
    scores: npt.ArrayLike, runs: Sequence[Hashable], *, summary: RunSummary = RunSummary.MEAN
) -> dict[Hashable, float]:
    """One score per run from scores of windows, shape (n,), and the run of each; runs in order of first appearance.

    Raises `ValueError` if there is no window, on NaN, or if `runs` is of another length.
    """
    values = float_vector("the scores", scores)
    if len(runs) != values.size:
        raise ValueError(f"{values.size} scores need as many run names, not {len(runs)}")
    of_run: dict[Hashable, list[float]] = {}
    for run, value in zip(runs, values.tolist(), strict=True):
        of_run.setdefault(run, []).append(value)
    return {run: _summarised(found, summary) for run, found in of_run.items()}


def conformal_p_values(
    scores: npt.ArrayLike, calibration: npt.ArrayLike, *, uniforms: npt.ArrayLike | None = None
) -> FloatArray:
    """The p-value of each new score, shape (k,), against calibration scores, shape (n,).

    Without `uniforms`, conservative: (1 + #{c >= s}) / (n + 1). With `uniforms` in [0, 1], shape (k,), smoothed and then
    exactly uniform: (#{c > s} + u (1 + #{c = s})) / (n + 1). Each is valid by itself; see the rules for several. Raises
    `ValueError` on empty input, NaN, or uniforms out of range.
    """
    values = float_vector("the scores", scores)
    known = np.sort(float_vector("the calibration scores", calibration))
    at_least = known.size - np.searchsorted(known, values, side="left")
    above = known.size - np.searchsorted(known, values, side="right")
    share = _checked_uniforms(uniforms, values.size)
    result: FloatArray = (above + share * (1 + at_least - above)) / (known.size + 1)
    return result


def online_p_values(
    scores: npt.ArrayLike, *, calibration: npt.ArrayLike = (), uniforms: npt.ArrayLike | None = None
) -> FloatArray:
    """P-values of scores in order, shape (k,), each against the calibration scores **and all earlier scores**.

    Smoothed ones are independent and uniform if calibration and scores are exchangeable together; conservative ones
    (`uniforms` None) are never smaller, so betting on them is valid too. A violation that lasts teaches itself: later
    scores are compared with earlier cheating, and the evidence comes from its beginning.
    """
    values = float_vector("the scores", scores)
    start = np.asarray(calibration, dtype=np.float64)
    known: list[float] = sorted(float_vector("the calibration scores", start).tolist()) if start.size else []
    share = _checked_uniforms(uniforms, values.size)
    result = np.empty(values.size)
    for i, value in enumerate(values.tolist()):
        above = len(known) - bisect.bisect_right(known, value)
        first = bisect.bisect_left(known, value)
        ties = len(known) - above - first
        result[i] = (above + share[i] * (1 + ties)) / (len(known) + 1)
        known.insert(first, value)
    return result


def conformal_log_e(score: float, calibration: npt.ArrayLike) -> float:
    """`log_e` of (n + 1) s / (s + sum of calibration): an e-value from scores >= 0 without the detour over ranks.

    Its expectation is exactly 1 under exchangeability, because the n + 1 shares of the total have equal expectation. It
    can reach n + 1 at most. All scores zero give e = 1. Raises `ValueError` on negative, infinite or missing scores.
    """
    known = float_vector("the calibration scores", calibration)
    values = np.append(known, float_vector("the score", [score]))
    if not np.all((values >= 0) & np.isfinite(values)):
        raise ValueError("scores must be finite and at least zero for this e-value; use p-values otherwise")
    largest = float(np.max(values))
    if largest == 0:
        return 0.0
    if score == 0:
        return -math.inf
    total = math.fsum((values / largest).tolist())
    return math.log(values.size) + math.log(score) - math.log(largest) - math.log(total)


class PValueBetting(MixtureState):
    """The incremental form of `conformal_process`."""

    def __init__(self, streams: int, *, plan: BetPlan = PLAN_DEFAULT) -> None:
        super().__init__(streams, plan)

    def update(self, p_values: npt.ArrayLike, *, observed: npt.ArrayLike | None = None) -> FloatArray:
        """Bet on the next p-values, shape (streams,). Gives `log_e`, shape (streams,). Raises `ValueError` out of [0, 1]."""
        shape = (self.log_e.size,)
        mask = observed_rows(shape, observed)
        minus_log_p = _minus_log_p(np.asarray(p_values, dtype=np.float64), mask, shape)
        return self.advance(_log_factors(minus_log_p, self.plan), mask)


def conformal_process(
    p_values: npt.ArrayLike, *, observed: npt.ArrayLike | None = None, plan: BetPlan = PLAN_DEFAULT
) -> EProcess:
    """The evidence that p-values, shape (streams, time) or (time,), are too small.

    The hypothesis: given the past, each p-value is uniform or larger (`online_p_values` makes such; p-values against one
    fixed calibration set are **not** such). A stake s is multiplied by (1 - s) p**(-s), the calibrator with
    kappa = 1 - s. Raises `ValueError` on p-values outside [0, 1] or if there is nothing to bet on.
    """
    p = np.atleast_2d(np.asarray(p_values, dtype=np.float64))
    if p.ndim != 2:
        raise ValueError(f"p-values must have shape (streams, time), not {p.shape}")
    checked_cells(p.shape[0], p.shape[1], plan)
    mask = observed_rows(p.shape, observed)
    minus_log_p = _minus_log_p(p, mask, p.shape)
    state = PValueBetting(p.shape[0], plan=plan)
    path = np.empty(p.shape)
    for t in range(p.shape[1]):
        path[:, t] = state.advance(_log_factors(minus_log_p[:, t], plan), mask[:, t])
    return state.result(path)


def resampling_p_value(observed: float, resampled: npt.ArrayLike) -> float:
    """(1 + #{resampled >= observed}) / (1 + B), with B statistics under random re-arrangements, shape (B,).

    Valid if the data and their re-arrangements are exchangeable under the hypothesis. Raises `ValueError` on NaN or B = 0.
    """
    values = float_vector("the resampled statistics", resampled)
    if math.isnan(observed):
        raise ValueError("the observed statistic is NaN")
    slack = TIE_TOLERANCE * abs(observed) if math.isfinite(observed) else 0.0
    return (1 + int(np.count_nonzero(values >= observed - slack))) / (1 + values.size)


def shift_p_value(
    statistic: Callable[[FloatArray, FloatArray], float],
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    rng: np.random.Generator,
    shifts: int,
) -> float:
    """Whether `statistic(x, y)` is larger than when `y`, shape (n,) like `x`, is shifted in a circle against `x`.

    The hypothesis: the joint law of (x, y) does not change when y is shifted in a circle, as for two unrelated series of
    which one is stationary. Unlike a permutation this keeps the autocorrelation within each series. A trend or a daily
    course that both share is *not* covered: remove it first. (1) If `shifts` >= n - 1, all n - 1 shifts are tried once;
    otherwise `shifts` different ones are drawn. (2) p = (1 + #{>= observed}) / (1 + number tried). The end of a series
    does not join its beginning, so the guarantee is approximate where n is not much longer than the memory of the series.
    """
    left, right = float_vector("x", x), float_vector("y", y)
    if left.size != right.size or left.size < 2:
        raise ValueError(f"x and y must be of one length of at least 2, not {left.size} and {right.size}")
    if checked_count("shifts", shifts, least=1) > SHIFTS_MAX:
        raise ValueError(f"{shifts} shifts are more than {SHIFTS_MAX}")
    others = left.size - 1
    tried = np.arange(1, left.size) if shifts >= others else 1 + rng.choice(others, size=shifts, replace=False)
    resampled = np.array([statistic(left, np.roll(right, int(shift))) for shift in tried], dtype=np.float64)
    return resampling_p_value(float(statistic(left, right)), resampled)


def _summarised(scores: list[float], summary: RunSummary) -> float:
    if summary is RunSummary.MAX:
        return max(scores)
    if summary is RunSummary.MEAN:
        return math.fsum(scores) / len(scores)
    return float(np.median(scores))


def _log_factors(minus_log_p: FloatArray, plan: BetPlan) -> FloatArray:
    """log of (1 - s) p**(-s), shape (streams, stakes)."""
    stakes = np.asarray(plan.stakes)
    result: FloatArray = np.log1p(-stakes) + minus_log_p[:, None] * stakes
    return result


def _minus_log_p(p_values: FloatArray, observed: BoolArray, shape: tuple[int, ...]) -> FloatArray:
    if p_values.shape != shape:
        raise ValueError(f"p-values must have shape {shape}, not {p_values.shape}")
    if not np.all(((p_values >= 0) & (p_values <= 1)) | ~observed):
        raise ValueError("an observed p-value must lie between 0 and 1")
    result: FloatArray = -np.log(np.maximum(np.where(observed, p_values, 1.0), P_VALUE_MIN))
    return result


def _checked_uniforms(uniforms: npt.ArrayLike | None, count: int) -> FloatArray:
    """The share of ties to count, shape (count,); 1, which is conservative, where no randomness is given."""
    if uniforms is None:
        return np.ones(count)
    share = float_vector("the uniforms", uniforms)
    if share.size != count or not np.all((share >= 0) & (share <= 1)):
        raise ValueError(f"{count} scores need as many uniforms between 0 and 1")
    return share
