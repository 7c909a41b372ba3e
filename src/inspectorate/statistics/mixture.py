"""A mixture over when and how strongly to bet: the engine under every e-process of this room.

A bettor starts with capital 1. Before each observation it stakes a share of its capital against the hypothesis that the
party complies; the odds are such that no strategy gains on average if it does. The capital is the e-process.

Which share to stake, when to begin and when to rest are unknown, so the capital is spread over all of them beforehand:

- over **stakes**, with the weights of the plan;
- over **starts and stops**: under each stake the capital is *idle* at first; at each observation a share `a` of the idle
  capital starts to bet and a share `b` of the betting capital becomes idle again. This is the exact mean over all
  patterns of betting and resting, each weighted by its probability under a Markov chain (fixed share: M. Herbster,
  M. Warmuth, Machine Learning 32, 1998), in time and memory that do not grow with the number of patterns.

The cost is the logarithm of the weight of the best pattern: with `start_rate=None`, ln(s (s + 1)) for a violation that
begins at observation s, plus about ln(1/b) for keeping what a burst proved after it ended.

- A missing observation changes nothing, to the last bit: neither the capital nor the chain of starts and stops. It is
  counted.
- What the batch functions return is computed by the same steps as the incremental class, so the two agree exactly.

Not done here: any factor. `betting` and `conformal` supply the logarithm of what each stake is multiplied by.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from inspectorate.statistics.evalues import Calibrator, alarm_log_e, maximum_to_log_e
from inspectorate.statistics.numerics import (
    BoolArray,
    FloatArray,
    IntArray,
    checked_count,
    log_sum_exp,
    normalised_log_weights,
)

STAKES_DEFAULT = tuple(2.0**-k for k in range(1, 11))
"""Halves down to 1/1024: within a factor of two of the best stake for excesses of 0.1 to 50 percentage points."""
STOP_PER_STAKE_DEFAULT = 1 / 8
"""A bettor that stakes s loses about s per quiet observation and rests with probability s/8: what it keeps of a burst is
about 1/9, and a lasting violation costs an eighth of the stake per observation."""
CELLS_MAX = 200_000_000
"""Streams x time x stakes beyond this are refused; it would take minutes and gigabytes. Cut the period."""


@dataclass(frozen=True, kw_only=True)
class BetPlan:
    """How capital is spread before anything is seen. Fixed beforehand; choosing it after the data voids the guarantee.

    `stakes`: shares of capital in (0, 1), each lost in full by a most innocent observation.
    `weights`: of the stakes, summing to 1; None for equal.
    `start_rate`: probability in (0, 1] that an idle bettor starts at an observation. 1 bets from the first observation on;
    1/n suits a review of about n observations; None is 1/(t+1) at the t-th, so that the first start is at s with
    probability 1/(s (s + 1)), whatever the horizon.
    `stop_per_stake`: in [0, 1]; a bettor with stake s becomes idle with probability `stop_per_stake * s`. 0 never rests.
    """

    stakes: tuple[float, ...] = STAKES_DEFAULT
    weights: tuple[float, ...] | None = None
    start_rate: float | None = None
    stop_per_stake: float = STOP_PER_STAKE_DEFAULT

    def __post_init__(self) -> None:
        if not self.stakes or not all(0 < stake < 1 for stake in self.stakes):
            raise ValueError("stakes must be shares strictly between 0 and 1, at least one")
        normalised_log_weights(self.weights, len(self.stakes))
        if self.start_rate is not None and not 0 < self.start_rate <= 1:
            raise ValueError(f"start_rate must be in (0, 1], or None, not {self.start_rate}")
        if not 0 <= self.stop_per_stake <= 1:
            raise ValueError(f"stop_per_stake must be in [0, 1], not {self.stop_per_stake}")

    @classmethod
    def fixed(cls, stake: float) -> BetPlan:
        """One stake from the first observation to the last: the strongest plan if stake and start are guessed right."""
        return cls(stakes=(stake,), start_rate=1.0, stop_per_stake=0.0)

    @classmethod
    def from_start(cls, stakes: tuple[float, ...] = STAKES_DEFAULT) -> BetPlan:
        """A mixture over stakes, all betting throughout: for a violation that lasts as long as the observation."""
        return cls(stakes=stakes, start_rate=1.0, stop_per_stake=0.0)

    @classmethod
    def for_horizon(cls, observations: int) -> BetPlan:
        """The default, for a review known beforehand to have about `observations`: any start within costs about ln(n) + 1
        instead of 2 ln(s), and little of what a burst proved fades by the end."""
        return cls(start_rate=1 / checked_count("the observations", observations, least=1))


@dataclass(frozen=True, kw_only=True)
class Span:
    """The stretch of observations that drives the evidence of one stream. An estimate: it carries no error bound.

    Positions `start` to `stop` (half open), in the time axis of the input; `stake` is the one that gained most there, and
    `log_growth` the natural logarithm of what that stake alone would have made of 1, before the cost of the mixture.
    """

    start: int
    stop: int
    stake: float
    log_growth: float


@dataclass(frozen=True, kw_only=True, eq=False)
class EProcess:
    """The evidence of many streams over time.

    `log_e`, shape (streams, time): after each position. `observed` and `missing`, shape (streams,): counts. `spans`: one
    per stream, None where no stretch gained. A stream with nothing observed has log_e = 0 throughout and `observed` 0:
    that is not evidence of compliance, and the caller must say "not observed".
    """

    log_e: FloatArray
    observed: IntArray
    missing: IntArray
    spans: tuple[Span | None, ...]

    @property
    def log_e_final(self) -> FloatArray:
        """The e-value at the end, shape (streams,): this is what may be merged."""
        final: FloatArray = self.log_e[:, -1]
        return final

    @property
    def log_e_max(self) -> FloatArray:
        """The running maximum, at least 0, shape (streams,): fit for an alarm (Ville), **not** an e-value."""
        largest: FloatArray = np.maximum(np.max(self.log_e, axis=1), 0.0)
        return largest

    def log_e_insured(self, calibrator: Calibrator = Calibrator.MIXTURE) -> FloatArray:
        """An e-value from the running maximum, shape (streams,): may be merged, and does not fade after a burst."""
        return maximum_to_log_e(self.log_e_max, calibrator=calibrator)

    def first_alarms(self, *, false_accusation_rate: float) -> tuple[int | None, ...]:
        """Per stream the first position with e >= 1/alpha, or None. Each stream errs with probability at most alpha."""
        reached = self.log_e >= alarm_log_e(false_accusation_rate)
        return tuple(int(np.argmax(row)) if row.any() else None for row in reached)


class MixtureState:
    """The capital of many streams, advanced one observation at a time.

    Not shared between threads. Memory is streams x stakes, whatever the length of the streams.
    """

    def __init__(self, streams: int, plan: BetPlan) -> None:
        if streams < 1:
            raise ValueError("there must be at least one stream")
        self.plan = plan
        self.position = 0
        self.observed: IntArray = np.zeros(streams, dtype=np.int64)
        self.missing: IntArray = np.zeros(streams, dtype=np.int64)
        self.log_e: FloatArray = np.zeros(streams)
        self.log_e_max: FloatArray = np.zeros(streams)
        stakes = np.asarray(plan.stakes)
        shape = (streams, stakes.size)
        self._log_idle = np.tile(normalised_log_weights(plan.weights, stakes.size), (streams, 1))
        self._log_active = np.full(shape, -np.inf)
        stop = plan.stop_per_stake * stakes
        self._log_stop = np.log(stop) if plan.stop_per_stake > 0 else np.full(stakes.size, -np.inf)
        self._log_stay = np.log1p(-stop)
        self._run_growth = np.zeros(shape)
        self._run_start = np.zeros(shape, dtype=np.int64)
        self._best_growth = np.zeros(shape)
        self._best_start = np.zeros(shape, dtype=np.int64)
        self._best_stop = np.zeros(shape, dtype=np.int64)

    def advance(self, log_factors: FloatArray, observed: BoolArray) -> FloatArray:
        """Bet on one position: `log_factors` (streams, stakes), `observed` (streams,). Gives `log_e` (streams,), a copy.

        Each factor must have expectation at most 1 given the past, if the party complies. Factors of unobserved streams
        are not looked at.
        """
        rows: slice | IntArray = slice(None) if observed.all() else np.flatnonzero(observed)
        self.observed[rows] += 1
        self.missing += ~observed
        if observed.any():
            self._bet(rows, log_factors[rows])
            self._locate(rows, log_factors[rows])
        self.position += 1
        return self.log_e.copy()

    def _bet(self, rows: slice | IntArray, growth: FloatArray) -> None:
        log_start, log_wait = self._log_start_rates(self.observed[rows])
        idle, active = self._log_idle[rows], self._log_active[rows]
        # Capital moves first and bets afterwards: the move does not depend on the observation, so the sum stays fair.
        moved_active = np.logaddexp(idle + log_start, active + self._log_stay) + growth
        moved_idle = np.logaddexp(idle + log_wait, active + self._log_stop)
        self._log_active[rows] = moved_active
        self._log_idle[rows] = moved_idle
        self.log_e[rows] = log_sum_exp(np.logaddexp(moved_active, moved_idle))
        self.log_e_max[rows] = np.maximum(self.log_e_max[rows], self.log_e[rows])

    def _log_start_rates(self, counts: IntArray) -> tuple[FloatArray, FloatArray]:
        """log a and log(1 - a) at the counts-th observation, shape (rows, 1)."""
        rate = self.plan.start_rate
        if rate is None:
            later = counts[:, None].astype(np.float64)
            return -np.log(later + 1), np.log(later) - np.log(later + 1)
        wait = math.log1p(-rate) if rate < 1 else -math.inf
        return np.full((counts.size, 1), math.log(rate)), np.full((counts.size, 1), wait)

    def _locate(self, rows: slice | IntArray, growth: FloatArray) -> None:
        """The stretch of largest growth so far, per stake (J. Kadane's scan: a stretch that lost is begun anew)."""
        fresh = self._run_growth[rows] <= 0
        run = np.where(fresh, 0.0, self._run_growth[rows]) + growth
        start = np.where(fresh, self.position, self._run_start[rows])
        better = run > self._best_growth[rows]
        self._run_growth[rows] = run
        self._run_start[rows] = start
        self._best_growth[rows] = np.where(better, run, self._best_growth[rows])
        self._best_start[rows] = np.where(better, start, self._best_start[rows])
        self._best_stop[rows] = np.where(better, self.position + 1, self._best_stop[rows])

    def spans(self) -> tuple[Span | None, ...]:
        """Per stream, the stretch that drives the evidence so far; None where no stretch gained."""
        found: list[Span | None] = []
        for stream, k in enumerate(np.argmax(self._best_growth, axis=1)):
            growth = float(self._best_growth[stream, k])
            span = Span(
                start=int(self._best_start[stream, k]),
                stop=int(self._best_stop[stream, k]),
                stake=self.plan.stakes[k],
                log_growth=growth,
            )
            found.append(span if growth > 0 else None)
        return tuple(found)

    def result(self, path: FloatArray) -> EProcess:
        """The e-process whose `log_e` after each position is `path`, shape (streams, time)."""
        return EProcess(log_e=path, observed=self.observed.copy(), missing=self.missing.copy(), spans=self.spans())


def checked_cells(streams: int, time: int, plan: BetPlan) -> None:
    """Raises `ValueError` if there is nothing to bet on, or more than `CELLS_MAX`."""
    if streams < 1 or time < 1:
        raise ValueError(f"{streams} streams over {time} positions: there is nothing to bet on")
    cells = streams * time * len(plan.stakes)
    if cells > CELLS_MAX:
        raise ValueError(f"{cells} streams x positions x stakes are more than {CELLS_MAX}; cut the period")
