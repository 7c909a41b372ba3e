"""Which of several hypotheses to name: pods, sites or clauses, each with its own e-value.

What each rule controls, whatever the dependence between the e-values:

- `named_by_e_bonferroni` and `named_by_e_closure`: the probability that **anyone** who complies is named is at most the
  false-accusation rate (family-wise error). This is what an accusation needs. The closure names all that Bonferroni
  names, and often more; Bonferroni allows weights and is checked by hand.
- `named_by_e_bh`: of those named, the **expected share** who comply is at most the rate (false discovery rate). This is
  fit for choosing whom to inspect next, not for accusing: with twenty named at 5 %, one is expected to be innocent.

The e-values must belong to the same moment: a fixed time, or one stopping time for all. Where streams are watched and
each may alarm at a moment of its own, `named_by_e_bonferroni` on the running maxima is still valid, since Ville's bound
holds for each and the bounds are added; the closure and e-BH on running maxima are not.

Sources: V. Vovk, R. Wang, Annals of Statistics 49(3), 2021, section 5 and Algorithm 1 (closure of the arithmetic mean);
R. Wang, A. Ramdas, "False discovery rate control with e-values", JRSS B 84(3), 2022, 822-852 (e-BH).

Not done here: the closed e-BH procedure (arXiv 2504.11759), which names more at a higher cost.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from inspectorate.statistics.evalues import alarm_log_e
from inspectorate.statistics.numerics import (
    FloatArray,
    checked_probability,
    float_vector,
    normalised_log_weights,
    weighted_logs,
)


def named_by_e_bonferroni(
    log_values: npt.ArrayLike, *, false_accusation_rate: float, weights: npt.ArrayLike | None = None
) -> tuple[int, ...]:
    """Positions i with weights[i] * e_i >= 1/alpha, ascending. `log_values` and `weights` have shape (k,).

    Equal weights ask e_i >= k/alpha. Weights sum to 1 and are fixed before the evidence is seen. Controls the
    family-wise error. Raises `ValueError` on an empty family, NaN, or unfit weights.
    """
    values = float_vector("the log e-values", log_values)
    threshold = alarm_log_e(false_accusation_rate)
    weighted = weighted_logs(values, normalised_log_weights(weights, values.size))
    return tuple(int(i) for i in np.flatnonzero(weighted >= threshold))


def closure_adjusted_log_e(log_values: npt.ArrayLike) -> FloatArray:
    """Each e-value lowered to the least mean of a set that holds it, as logarithms, shape (k,).

    Entry i is the minimum over all sets I with i in I of the mean of e over I: the e-value by which i may be named while
    the family-wise error is controlled. The worst set is always i together with the smallest of those below it, so that
    the 2**(k-1) sets reduce to k (Vovk & Wang 2021, Algorithm 1).
    """
    values = float_vector("the log e-values", log_values)
    order = np.argsort(values, kind="stable")
    ascending = values[order]
    adjusted = ascending.copy()
    if values.size > 1:
        sums = np.logaddexp.accumulate(ascending)
        log_sizes = np.log(np.arange(2, values.size + 1))
        for rank in range(1, values.size):
            means = np.logaddexp(ascending[rank], sums[:rank]) - log_sizes[:rank]
            adjusted[rank] = min(ascending[rank], float(np.min(means)))
    result = np.empty_like(adjusted)
    result[order] = adjusted
    return result


def named_by_e_closure(log_values: npt.ArrayLike, *, false_accusation_rate: float) -> tuple[int, ...]:
    """Positions whose closure-adjusted e-value is at least 1/alpha, ascending. Controls the family-wise error.

    Names all that `named_by_e_bonferroni` names with equal weights. The e-values must belong to one moment.
    """
    threshold = alarm_log_e(false_accusation_rate)
    return tuple(int(i) for i in np.flatnonzero(closure_adjusted_log_e(log_values) >= threshold))


def named_by_e_bh(log_values: npt.ArrayLike, *, false_discovery_rate: float) -> tuple[int, ...]:
    """Positions of the j* largest e-values, ascending, with j* the largest j such that the j-th largest e >= k/(j alpha).

    Controls the expected share of compliant parties among those named, and nothing about any one of them: an order of
    work, not an accusation (Wang & Ramdas 2022).
    """
    values = float_vector("the log e-values", log_values)
    rate = checked_probability("the false discovery rate", false_discovery_rate)
    order = np.argsort(-values, kind="stable")
    ranks = np.arange(1, values.size + 1)
    passed = np.flatnonzero(values[order] >= math.log(values.size / rate) - np.log(ranks))
    count = int(passed[-1]) + 1 if passed.size else 0
    return tuple(sorted(int(i) for i in order[:count]))
