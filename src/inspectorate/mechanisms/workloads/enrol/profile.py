"""What a run was like, in few numbers, and how runs differ.

A frame is cut into windows without overlap, from the run's start; a rest is left out. Of each window and signal: the mean, the
standard deviation over time, and the mean absolute change from step to step, each averaged over units. The *level* of a run is
the mean over its windows; *within* is the standard deviation over them. The spread *between* runs is the standard deviation of
levels. If between is large against within / sqrt(windows), windows of one run resemble one another more than those of another
run: the intraclass correlation rho = between^2 / (between^2 + within^2) says how much, and N windows in runs of m are worth
N / (1 + (m - 1) rho) independent ones (Kish's design effect).

These numbers describe and compare runs of one session. They are no detector: the features that appraisal uses are finer.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.workloads.telemetry.frame import Frame

Values = NDArray[np.float64]
PARTS = ("mean", "deviation", "change")
RUNS_TO_DOMINATE_MIN = 4
"""With fewer runs, one holds half of the spread in any case."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Profile:
    """One run: `windows` of shape (windows, features), NaN where a window has nothing of a signal."""

    run: str
    features: tuple[str, ...]
    windows: Values

    @property
    def level(self) -> Values:
        """Shape (features,); NaN for what no window has."""
        return _over_windows(np.nanmean, self.windows)

    @property
    def within(self) -> Values:
        return _over_windows(np.nanstd, self.windows)


@dataclass(frozen=True, kw_only=True, eq=False)
class Spread:
    """How runs differ. Arrays of shape (features,), but `share` of shape (runs, features)."""

    features: tuple[str, ...]
    between: Values
    within: Values
    correlation: Values
    """Intraclass correlation rho; NaN where nothing varies."""
    share: Values
    """What each run holds of the sum of squares between runs; sums to 1 over runs, or is 0 where nothing differs."""

    def independent_windows(self, windows: Sequence[int]) -> float:
        """What the windows of the runs are worth, by the largest correlation of any feature."""
        total = sum(windows)
        known = self.correlation[np.isfinite(self.correlation)]
        if not total or not known.size:
            return float(total)
        return total / (1 + (total / len(windows) - 1) * float(known.max()))


def profile_of(run: str, frame: Frame, *, window_s: float) -> Profile:
    """The profile of one run; one that is shorter than a window is one window."""
    steps = max(1, min(max(2, round(window_s / frame.step_s)), frame.times))
    count = frame.times // steps
    names = tuple(f"{signal}:{part}" for signal in frame.signals for part in PARTS)
    windows = np.full((count, len(names)), np.nan)
    for i in range(len(frame.signals)):
        cells = frame.values[i, : count * steps].reshape(count, steps, -1).astype(np.float64)
        with warnings.catch_warnings():
            # A window of a unit with nothing in it has no mean; NaN says so.
            warnings.simplefilter("ignore", RuntimeWarning)
            parts = (
                np.nanmean(cells, axis=1),
                np.nanstd(cells, axis=1),
                np.nanmean(np.abs(np.diff(cells, axis=1)), axis=1),
            )
            for j, part in enumerate(parts):
                windows[:, len(PARTS) * i + j] = np.nanmean(part, axis=1)
    return Profile(run=run, features=names, windows=windows)


def spread_of(profiles: Sequence[Profile]) -> Spread:
    """How runs of one workload differ; of at least two."""
    if len(profiles) < 2:
        raise ValueError("one run has no spread between runs")
    levels = np.array([profile.level for profile in profiles])
    within2 = np.array([profile.within**2 for profile in profiles])
    counts = np.array([len(profile.windows) for profile in profiles], dtype=np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        within = np.sqrt(np.nanmean(within2, axis=0))
        total = np.nanstd(levels, axis=0, ddof=1)
        # Levels differ by chance as well, as means of so many windows do.
        between = np.sqrt(np.maximum(0.0, total**2 - within**2 * np.mean(1 / np.maximum(1.0, counts))))
        correlation = between**2 / (between**2 + within**2)
        squares = np.nan_to_num((levels - np.nanmean(levels, axis=0)) ** 2)
    whole = squares.sum(axis=0)
    share = np.divide(squares, whole, out=np.zeros_like(squares), where=whole > 0)
    return Spread(features=profiles[0].features, between=between, within=within, correlation=correlation, share=share)


def dominating_run(spread: Spread, *, share_max: float, chance_max: float) -> tuple[int, int] | None:
    """The run and feature where one run holds more than `share_max` of the spread, and more than chance would give it.

    Looked at are features of which most of the spread is between runs (correlation above 1/2). Were the levels of n runs normal,
    the share b of one of them, times n / (n - 1), would follow Beta(1/2, (n - 2) / 2), whose tail is at most
    b^(-1/2) (1 - b)^((n-2)/2) / ((n - 2)/2 B(1/2, (n - 2)/2)); this is the test of F. E. Grubbs (Annals of Mathematical Statistics
    21, 1950). Times runs and features, the chance must not exceed `chance_max`. Needs at least four runs.
    """
    runs = spread.share.shape[0]
    looked_at = np.flatnonzero(np.nan_to_num(spread.correlation) > 1 / 2)
    if runs < RUNS_TO_DOMINATE_MIN or not looked_at.size:
        return None
    run, place = np.unravel_index(int(np.argmax(spread.share[:, looked_at])), (runs, looked_at.size))
    feature = int(looked_at[place])
    share = float(spread.share[run, feature])
    tail = _beta_tail(min(1.0, share * runs / (runs - 1)), (runs - 2) / 2)
    if share <= share_max or tail * runs * looked_at.size > chance_max:
        return None
    return int(run), feature


def _beta_tail(b: float, half: float) -> float:
    """At least the probability that Beta(1/2, half) exceeds b > 0."""
    log_beta = math.lgamma(0.5) + math.lgamma(half) - math.lgamma(half + 0.5)
    if b >= 1:
        return 0.0
    return min(1.0, math.exp(half * math.log1p(-b) - 0.5 * math.log(b) - math.log(half) - log_beta))


def _over_windows(reduce: object, windows: Values) -> Values:
    assert callable(reduce)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        found: Values = reduce(windows, axis=0) if len(windows) else np.full(windows.shape[1], np.nan)
    return found
