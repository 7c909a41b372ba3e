"""E-processes by betting on observations between 0 and 1 whose mean should not exceed a limit.

The hypothesis: given all that came before, the mean of observation x_t in [0, 1] is at most m_t. Betting the share s of
the capital multiplies it by

    1 - s + s * x_t / m_t        (with s in (0, 1): lambda = s / m_t in Waudby-Smith & Ramdas 2024)

whose expectation is at most 1 under the hypothesis, whatever the distribution and however x_t depends on the past. So

- the e-process is valid at any stopping time: P(it ever reaches 1/alpha) <= alpha (Ville 1939);
- nothing is assumed of independence, stationarity or shape; only the range [0, 1] and the limit m_t on the mean;
- m_t, and whether x_t will be observed, are settled before x_t is. Withholding readings above m_t after they were seen
  leaves the process valid and hides guilt, so gaps must be reported beside it; withholding readings below m_t voids it,
  so nobody but the accused may decide what is missing;
- an observation may be clipped to 1 first: that lowers its mean, and can only weaken the evidence.

The Bernoulli case is `exceedance_process`: x_t says whether a detector calibrated to exceed its threshold with
probability at most q did so. Its q must hold given the past: windows that overlap, or share one slow disturbance,
need one observation per disturbance, or a q that holds in its presence.

Source: I. Waudby-Smith, A. Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86(1), 2024, 1-27.

Not done here: estimation of the mean (confidence sequences), and evidence *for* a mean below the limit. Absence of
evidence here bounds nothing; see `sampling` for bounds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from inspectorate.statistics.mixture import BetPlan, EProcess, MixtureState, checked_cells
from inspectorate.statistics.numerics import BoolArray, FloatArray, checked_probability, observed_rows

PLAN_DEFAULT = BetPlan()
MEAN_MIN = 1e-12
"""Limits on the mean below this are refused: one observation would then decide everything, on a limit nobody can show."""


class BoundedBetting(MixtureState):
    """The incremental form of `betting_process`: one call of `update` per position, for all streams."""

    def __init__(self, streams: int, *, plan: BetPlan = PLAN_DEFAULT) -> None:
        super().__init__(streams, plan)

    def update(
        self, values: npt.ArrayLike, *, mean_max: npt.ArrayLike, observed: npt.ArrayLike | None = None
    ) -> FloatArray:
        """Bet on the next `values`, shape (streams,), against means of at most `mean_max`, a number or (streams,).

        Gives `log_e`, shape (streams,). Where `observed` is False the value is not looked at and may be NaN. Raises
        `ValueError` on an observed value outside [0, 1], a `mean_max` outside [MEAN_MIN, 1), or unfit shapes.
        """
        shape = (self.log_e.size,)
        mask = observed_rows(shape, observed)
        x, limit = _checked(np.asarray(values, dtype=np.float64), mean_max, mask, shape)
        return self.advance(_log_factors(x, limit, self.plan), mask)


def betting_process(
    values: npt.ArrayLike,
    *,
    mean_max: npt.ArrayLike,
    observed: npt.ArrayLike | None = None,
    plan: BetPlan = PLAN_DEFAULT,
) -> EProcess:
    """The evidence in `values`, shape (streams, time) or (time,), that their mean exceeds `mean_max`.

    `mean_max` is a number or any shape that broadcasts, such as (time,) for a limit that follows the hour. `observed`
    likewise; None means all. A missing value multiplies the evidence by exactly 1 and is counted. Raises `ValueError` as
    `BoundedBetting.update` does, and if there is nothing to bet on.
    """
    x = np.atleast_2d(np.asarray(values, dtype=np.float64))
    if x.ndim != 2:
        raise ValueError(f"values must have shape (streams, time), not {x.shape}")
    checked_cells(x.shape[0], x.shape[1], plan)
    mask = observed_rows(x.shape, observed)
    x, limit = _checked(x, mean_max, mask, x.shape)
    state = BoundedBetting(x.shape[0], plan=plan)
    path = np.empty(x.shape)
    for t in range(x.shape[1]):
        path[:, t] = state.advance(_log_factors(x[:, t], limit[:, t], plan), mask[:, t])
    return state.result(path)


def exceedance_process(
    exceeded: npt.ArrayLike,
    *,
    rate_max: npt.ArrayLike,
    observed: npt.ArrayLike | None = None,
    plan: BetPlan = PLAN_DEFAULT,
) -> EProcess:
    """The evidence in `exceeded`, truth values or 0/1 of shape (streams, time) or (time,), that exceedances are too many.

    The hypothesis: given the past, each is true with probability at most `rate_max`. An exceedance multiplies a stake s
    by 1 - s + s/q, a quiet observation by 1 - s. Raises `ValueError` as `betting_process` does, and on other values.
    """
    x = np.atleast_2d(np.asarray(exceeded, dtype=np.float64))
    mask = observed_rows(x.shape, observed)
    if not np.all((x == 0) | (x == 1) | ~mask):
        raise ValueError("an exceedance is true or false (1 or 0)")
    return betting_process(x, mean_max=rate_max, observed=mask, plan=plan)


def best_stake(mean_alternative: float, mean_max: float) -> float:
    """The stake under which capital grows fastest if exceedances in fact occur at rate `mean_alternative`.

    (p - m) / (1 - m) for 0/1 observations (J. L. Kelly, Bell System Technical Journal 35, 1956). Raises `ValueError`
    unless 0 < mean_max < mean_alternative < 1.
    """
    limit = checked_probability("mean_max", mean_max)
    alternative = checked_probability("mean_alternative", mean_alternative)
    if alternative <= limit:
        raise ValueError("there is nothing to gain unless mean_alternative exceeds mean_max")
    return (alternative - limit) / (1 - limit)


def _log_factors(values: FloatArray, mean_max: FloatArray, plan: BetPlan) -> FloatArray:
    """Logarithm of what each stake is multiplied by, shape (streams, stakes)."""
    result: FloatArray = np.log1p((values / mean_max - 1)[:, None] * np.asarray(plan.stakes))
    return result


def _checked(
    values: FloatArray, mean_max: npt.ArrayLike, observed: BoolArray, shape: tuple[int, ...]
) -> tuple[FloatArray, FloatArray]:
    """Values and limits in `shape`, in range where observed; an unobserved value is replaced by its limit."""
    if values.shape != shape:
        raise ValueError(f"values must have shape {shape}, not {values.shape}")
    try:
        limit = np.broadcast_to(np.asarray(mean_max, dtype=np.float64), shape)
    except ValueError:
        raise ValueError(f"mean_max of shape {np.shape(mean_max)} does not fit values of shape {shape}") from None
    if not np.all((limit >= MEAN_MIN) & (limit < 1)):
        raise ValueError(f"the limit on a mean must be at least {MEAN_MIN:g} and below 1")
    if not np.all(((values >= 0) & (values <= 1)) | ~observed):
        raise ValueError("an observed value must lie between 0 and 1; scale it, and clip it at 1")
    return np.where(observed, values, limit), limit
