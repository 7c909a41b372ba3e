"""E-values: evidence against "this party complies" that may be averaged, stopped and looked at whenever one likes.

Rules:

- An e-value is a number >= 0 whose expectation is at most 1 if the party complies. Inside the program it is its natural
  logarithm, `log_e`; log_e = 0 is no evidence either way, and a negative one is never evidence of compliance.
- An alarm is e >= 1/alpha, where alpha is the agreed false-accusation rate (Markov for one e-value, Ville 1939 for the
  path of an e-process).
- E-values of unknown dependence are averaged, with weights fixed before the evidence was seen. Every admissible rule is
  such an average, in which the constant 1 may take part (Vovk & Wang 2021, Theorem 3.2; arXiv 2409.19888). Products need
  independence, or each factor an e-value given the past; `merge_product` says so, and across mechanisms neither is known.
- **The running maximum of an e-process is not an e-value.** It may raise the alarm; before it is merged with anything it
  must be paid for (`maximum_to_log_e`).
- A bounded `log_e` leaves the program: |log_e| <= 690, because JSON carries no infinity.

Sources: V. Vovk, R. Wang, "E-values: Calibration, combination and applications", Annals of Statistics 49(3), 2021,
1736-1754; R. Wang, "The only admissible way of merging arbitrary e-values", arXiv 2409.19888; G. Shafer, A. Shen,
N. Vereshchagin, V. Vovk, "Test martingales, Bayes factors and p-values", Statistical Science 26(1), 2011, 84-101.

Not done here: where e-values come from (`betting`, `conformal`), and which hypothesis of several to name (`naming`).
"""

from __future__ import annotations

import math
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from inspectorate.statistics.numerics import (
    FloatArray,
    checked_probability,
    float_vector,
    log_sum_exp,
    normalised_log_weights,
    weighted_logs,
)

LOG_E_MAX = 690.0
"""The cap on evidence that leaves the program: e = exp(690), about 1e300, still a finite double."""
LOG_E_MIN = -690.0
"""The floor, for the same reason. Raising e to exp(-690) adds at most 1e-299 to its expectation."""
P_VALUE_MIN = 2.2250738585072014e-308
"""The smallest normal double. A smaller p-value is raised to it, which can only weaken the evidence."""
KAPPA_DEFAULT = 0.5
"""The calibrator 1 / (2 sqrt(p)), which is easy to check by hand."""

_SERIES_BELOW = 0.5
_SERIES_TERMS = 14


class Calibrator(StrEnum):
    """Decreasing functions f on (0, 1] with integral 1: if p is a p-value, f(p) is an e-value."""

    KAPPA = "kappa"
    """kappa * p**(kappa - 1), with 0 < kappa < 1 (Vovk & Wang 2021, section 2)."""
    MIXTURE = "mixture"
    """The mean of the former over kappa in (0, 1): (1 - p + p ln p) / (p (ln p)**2). It needs no choice of kappa."""
    SHAFER = "shafer"
    """1/sqrt(p) - 1 (Shafer et al. 2011). It is 0 at p = 1, so it can ruin a product; use it for single p-values."""


def bounded_log_e(log_e: float) -> float:
    """`log_e` brought into [LOG_E_MIN, LOG_E_MAX], as results and JSON carry it. Raises `ValueError` on NaN."""
    if math.isnan(log_e):
        raise ValueError("log_e is NaN, which is no evidence of anything")
    return min(max(float(log_e), LOG_E_MIN), LOG_E_MAX)


def to_e(log_e: float) -> float:
    """The e-value of `log_e`, capped to lie in [1e-300, 1e300] so that it stays finite."""
    return math.exp(bounded_log_e(log_e))


def alarm_log_e(false_accusation_rate: float) -> float:
    """The `log_e` from which there is an alarm: ln(1/alpha).

    Raises `ValueError` unless 0 < alpha < 1, or if alpha is so small that bounded evidence can never reach it.
    """
    threshold = -math.log(checked_probability("the false-accusation rate", false_accusation_rate))
    if threshold > LOG_E_MAX:
        raise ValueError(f"a false-accusation rate of {false_accusation_rate} can never alarm")
    return threshold


def is_alarm(log_e: float, *, false_accusation_rate: float) -> bool:
    """Whether e >= 1/alpha.

    For one e-value, or for an e-process at every moment of its life taken together, this is true with probability at
    most `false_accusation_rate` if the party complies. Of several e-values, merge first (`merge_mean`) or name
    (`naming`); an alarm when any of K exceeds 1/alpha errs up to K times as often.
    """
    if math.isnan(log_e):
        raise ValueError("log_e is NaN, which is no evidence of anything")
    return log_e >= alarm_log_e(false_accusation_rate)


def merge_mean(log_values: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> float:
    """`log_e` of the weighted arithmetic mean of e-values given as `log_values`, shape (k,): valid under any dependence.

    `weights`, shape (k,), sum to 1 and are fixed before the evidence is seen; None means equal. A source that was not
    observed enters with log_e = 0 and keeps its weight: leaving it out after the fact changes the weights by what
    happened. Raises `ValueError` if there is nothing to merge, on NaN, or on unfit weights.

    The price is at most ln(1/weight): the merged evidence is never below log_values[i] + ln(weights[i]).
    """
    values = float_vector("the log e-values", log_values)
    return float(log_sum_exp(weighted_logs(values, normalised_log_weights(weights, values.size))))


def merge_product(log_values: npt.ArrayLike) -> float:
    """`log_e` of the product of e-values given as `log_values`, shape (k,).

    Valid only if they are independent, or if each has expectation at most 1 given all that came before it (Vovk & Wang
    2021, section 4). For sources that see the same site neither is known: use `merge_mean`.
    """
    values = float_vector("the log e-values", log_values)
    if np.any(np.isneginf(values)):
        return -math.inf
    return float(np.sum(values))


def e_to_p(log_e: float) -> float:
    """The p-value min(1, 1/e): the only admissible conversion (Vovk & Wang 2021, Proposition 2.2).

    Of the running maximum of an e-process it is a p-value too, valid at any stopping time (Ville's inequality).
    """
    if math.isnan(log_e):
        raise ValueError("log_e is NaN, which is no evidence of anything")
    return math.exp(-max(log_e, 0.0))


def p_to_log_e(
    p_values: npt.ArrayLike, *, calibrator: Calibrator = Calibrator.MIXTURE, kappa: float = KAPPA_DEFAULT
) -> FloatArray:
    """`log_e` of each p-value by a calibrator, in the shape of `p_values`. `kappa` is used by `Calibrator.KAPPA` alone.

    Calibrator and kappa are fixed before the p-values are seen. Each result is an e-value by itself; for several, see
    `merge_mean`. Raises `ValueError` on a p-value outside [0, 1]. P-values below `P_VALUE_MIN` are raised to it.
    """
    values = np.asarray(p_values, dtype=np.float64)
    if not np.all((values >= 0) & (values <= 1)):
        raise ValueError("a p-value lies between 0 and 1")
    return _calibrated(-np.log(np.maximum(values, P_VALUE_MIN)), calibrator, kappa)


def maximum_to_log_e(
    log_e_max: npt.ArrayLike, *, calibrator: Calibrator = Calibrator.MIXTURE, kappa: float = KAPPA_DEFAULT
) -> FloatArray:
    """`log_e` of an e-value made from the running maximum of an e-process, in the shape of `log_e_max`.

    The maximum M satisfies P(M >= c) <= 1/c (Ville), so 1/M is a p-value and its calibration an e-value: what a burst
    once proved is kept, for a price (about 2 ln ln M with the mixture; half of ln M with kappa = 1/2). Source: A. P. Dawid
    et al., "Insuring against loss of evidence in game-theoretic probability", Statistics & Probability Letters 81, 2011.
    """
    values = np.asarray(log_e_max, dtype=np.float64)
    if np.any(np.isnan(values)):
        raise ValueError("log_e is NaN, which is no evidence of anything")
    return _calibrated(np.clip(values, 0.0, 1e12), calibrator, kappa)


def _calibrated(minus_log_p: FloatArray, calibrator: Calibrator, kappa: float) -> FloatArray:
    """log f(p) from -ln p >= 0, so that no precision is lost for tiny p."""
    if calibrator is Calibrator.KAPPA:
        checked_probability("kappa", kappa)
        return math.log(kappa) + (1 - kappa) * minus_log_p
    if calibrator is Calibrator.SHAFER:
        half = minus_log_p / 2
        with np.errstate(divide="ignore"):
            shafer: FloatArray = half + np.log(-np.expm1(-half))
        return shafer
    return _log_mixture(minus_log_p)


def _log_mixture(minus_log_p: FloatArray) -> FloatArray:
    """log of (e**x - 1 - x) / x**2 with x = -ln p, by its Taylor series sum x**j / (j + 2)! where x is small."""
    small = np.minimum(minus_log_p, _SERIES_BELOW)
    series = np.zeros_like(small)
    for j in reversed(range(_SERIES_TERMS)):
        series = series * small + 1 / math.factorial(j + 2)
    large = np.maximum(minus_log_p, _SERIES_BELOW)
    closed = large - 2 * np.log(large) + np.log1p(-(1 + large) * np.exp(-large))
    result: FloatArray = np.where(minus_log_p < _SERIES_BELOW, np.log(series), closed)
    return result
