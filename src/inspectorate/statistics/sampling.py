"""Sampling plans: what a sample that found nothing, or little, says of the whole.

Here the direction is assurance: upper bounds that are wrong with probability at most the miss probability beta. The
account adds these betas up (a union bound), so nothing here assumes that two samples are independent.

- The sample is random, drawn by the verifier, after the population was fixed (committed to). A sample that the prover
  could foresee or influence bounds nothing.
- An item that was drawn and could not be examined counts as dirty: else the prover loses the dirty ones.
- Where a value is computed by search or by a bound, it errs to the safe side: upper bounds from above, probabilities of
  detection from below, sample sizes from above.

Sources: the hypergeometric and binomial distributions; C. Clopper, E. Pearson, Biometrika 26, 1934 (upper and lower bound
of a binomial share); J. Hanley, A. Lippman-Hand, JAMA 249, 1983 (rule of three).

Not done here: allocation of inspections over sites and time, and stratified or sequential plans.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from inspectorate.statistics.numerics import checked_count, checked_probability, log_sum_exp

POPULATION_MAX = 10**12
TERMS_MAX = 1_000_000
"""Sums and products of more terms than this are replaced by a bound on the safe side, or refused where there is none."""


def detection_probability(*, population: int, marked: int, sample: int) -> float:
    """Probability that a sample without replacement of `sample` out of `population` items has one of `marked`.

    1 - C(n - k, m) / C(n, m), hypergeometric, exact to rounding; where both k and m exceed `TERMS_MAX`, a lower bound.
    Raises `ValueError` on counts that are negative or exceed the population, and on an empty population.
    """
    n = _checked_population(population)
    k = _checked_part("the marked items", marked, n)
    m = _checked_part("the sample", sample, n)
    return -math.expm1(_log_miss(n, k, m))


def _checked_population(population: int) -> int:
    n = checked_count("the population", population, least=1)
    if n > POPULATION_MAX:
        raise ValueError(f"a population of {n} is more than {POPULATION_MAX}")
    return n


def _checked_part(name: str, value: int, population: int) -> int:
    if checked_count(name, value) > population:
        raise ValueError(f"{name}, {value}, do not fit a population of {population}")
    return int(value)


def _log_miss(n: int, k: int, m: int) -> float:
    """log of C(n - k, m) / C(n, m), the product over i < m of 1 - k/(n - i); k and m may change places."""
    few, many = min(k, m), max(k, m)
    if few == 0:
        return 0.0
    if few + many > n:
        return -math.inf
    if few <= TERMS_MAX:
        left = n - np.arange(few, dtype=np.float64)
        return float(np.sum(np.log1p(-many / left)))
    # The terms log(1 - many/(n - i)) are concave in i, so their mean is at most the term at the mean of i.
    return few * math.log1p(-many / (n - (few - 1) / 2))


def sample_size(*, population: int, marked: int, detection_probability_min: float) -> int:
    """The smallest sample whose chance to hold one of `marked` items is at least `detection_probability_min`.

    Raises `ValueError` if nothing is marked (no sample detects nothing) or the probability is not in (0, 1).
    """
    log_miss_max = math.log1p(-checked_probability("the detection probability", detection_probability_min))
    n = _checked_population(population)
    k = _checked_part("the marked items", checked_count("the marked items", marked, least=1), n)
    return _least(lambda size: _log_miss(n, k, size) <= log_miss_max, 0, n)


def detection_over_rounds(probability: float, rounds: int) -> float:
    """1 - (1 - p)**r: the chance that at least one of `rounds` independent rounds detects, each with `probability`.

    Independent means drawn afresh each round, against a prover that cannot move what is hidden out of the way.
    """
    if not 0 <= probability <= 1:
        raise ValueError(f"a probability lies between 0 and 1, not {probability}")
    if checked_count("rounds", rounds) == 0:
        return 0.0
    return 1.0 if probability == 1 else -math.expm1(rounds * math.log1p(-probability))


def dirty_share_upper(sampled: int, miss_probability: float) -> float:
    """Upper bound on the dirty share after `sampled` random items, all clean: 1 - beta**(1/n), exact for the binomial.

    Also valid for a sample without replacement, where it is a little too high (`dirty_count_upper` is exact there). If
    the share were larger, a sample this clean would have had probability below `miss_probability`. No sample: 1.
    """
    beta = checked_probability("the miss probability", miss_probability)
    if checked_count("the sample", sampled) == 0:
        return 1.0
    return -math.expm1(math.log(beta) / sampled)


def dirty_share_upper_simple(sampled: int, miss_probability: float) -> float:
    """min(1, ln(1/beta)/n): the form that is checked by hand, never below `dirty_share_upper`.

    With beta = 0.05 it is the rule of three, 3/n (Hanley & Lippman-Hand 1983).
    """
    beta = checked_probability("the miss probability", miss_probability)
    if checked_count("the sample", sampled) == 0:
        return 1.0
    return min(1.0, -math.log(beta) / sampled)


def sample_size_for_share(share_max: float, miss_probability: float) -> int:
    """The smallest clean sample that bounds the dirty share by `share_max`: the inverse of `dirty_share_upper`.

    Raises `ValueError` where it would exceed `POPULATION_MAX`.
    """
    share = checked_probability("the dirty share", share_max)
    beta = checked_probability("the miss probability", miss_probability)
    size = max(1, math.ceil(math.log(beta) / math.log1p(-share)))
    if size > POPULATION_MAX:
        raise ValueError(f"a dirty share of {share:g} takes a sample of more than {POPULATION_MAX}")
    # The ceiling of a quotient that rounding moved across a whole number may be one too low or one too high.
    while dirty_share_upper(size, beta) > share:
        size += 1
    while size > 1 and dirty_share_upper(size - 1, beta) <= share:
        size -= 1
    return size


def dirty_count_upper(*, population: int, sampled: int, miss_probability: float, dirty: int = 0) -> int:
    """Upper bound on the dirty items of a population of which `sampled` were drawn without replacement, `dirty` of them dirty.

    The largest count k under which so few would be found with more than the `miss_probability`: P(X <= dirty) for X
    hypergeometric, which for none is C(n - k, m) / C(n, m). Exact to rounding. Raises `ValueError` on counts that do not fit.
    """
    log_beta = math.log(checked_probability("the miss probability", miss_probability))
    n = _checked_population(population)
    m = _checked_part("the sample", sampled, n)
    x = _checked_part("the dirty items", dirty, m)
    if m == 0 or x == m:
        return n - (m - x)
    if x == 0:
        return _least(lambda count: _log_miss(n, count, m) <= log_beta, 0, n) - 1
    # With more than n - (m - x) dirty items there would be fewer clean ones than were seen.
    return _least(lambda count: count > n - (m - x) or _log_tail(n, count, m, x) <= log_beta, x, n - (m - x) + 1) - 1


def _log_tail(n: int, k: int, m: int, most: int) -> float:
    """log P(X <= most), X the marked among m drawn of n of which k are marked, by the ratios of its terms."""
    first = max(0, m - (n - k))
    last = min(most, k, m)
    if first > last:
        return -math.inf
    if last - first > TERMS_MAX:
        raise ValueError(f"{most} dirty items are more than {TERMS_MAX}, for which no tail is computed")
    start = _log_choose(k, first) + _log_choose(n - k, m - first) - _log_choose(n, m)
    i = np.arange(first, last, dtype=np.float64)
    steps = np.log((k - i) * (m - i)) - np.log((i + 1) * (n - k - m + i + 1))
    return float(log_sum_exp(start + np.concatenate(([0.0], np.cumsum(steps)))))


def _log_choose(n: int, k: int) -> float:
    """log C(n, k); of the smaller side, by a sum where it is short, so that no digits cancel."""
    k = min(k, n - k)
    if k <= TERMS_MAX:
        i = np.arange(1, k + 1, dtype=np.float64)
        return float(np.sum(np.log((n - k + i) / i)))
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def clopper_pearson_upper(failures: int, trials: int, miss_probability: float) -> float:
    """Upper bound on a share after `failures` in `trials`: the p at which P(Bin(n, p) <= failures) = beta.

    One-sided, at confidence 1 - beta, by bisection of the binomial tail down to neighbouring doubles. 1 if all failed, or
    if there was no trial. Raises `ValueError` if failures exceed trials or `TERMS_MAX`.
    """
    beta = checked_probability("the miss probability", miss_probability)
    n = checked_count("trials", trials)
    x = checked_count("failures", failures)
    if x > n:
        raise ValueError(f"{x} failures in {n} trials")
    if x == n:
        return 1.0
    if x > TERMS_MAX:
        raise ValueError(f"{x} failures are more than {TERMS_MAX}, for which no tail is computed")
    i = np.arange(1, x + 1, dtype=np.float64)
    log_choose = np.concatenate(([0.0], np.cumsum(np.log((n - i + 1) / i))))
    counts = np.arange(x + 1, dtype=np.float64)
    low, high = 0.0, 1.0
    # Bisect until no double lies between; the tail falls as p rises, and `high` keeps a tail of at most beta.
    while low < (middle := (low + high) / 2) < high:
        tail = log_sum_exp(log_choose + counts * math.log(middle) + (n - counts) * math.log1p(-middle))
        if float(tail) > math.log(beta):
            low = middle
        else:
            high = middle
    return high


def clopper_pearson_lower(failures: int, trials: int, miss_probability: float) -> float:
    """Lower bound on a share: the p at which P(Bin(n, p) >= failures) = beta. 0 if none failed, or no trial.

    By the mirror image of `clopper_pearson_upper`, so that here trials less failures may not exceed `TERMS_MAX`.
    """
    n = checked_count("trials", trials)
    x = checked_count("failures", failures)
    if x > n:
        raise ValueError(f"{x} failures in {n} trials")
    return 1 - clopper_pearson_upper(n - x, n, miss_probability)


def _least(reaches: Callable[[int], bool], low: int, high: int) -> int:
    """The least whole number in [low, high] that `reaches`, which is monotone and true at `high`."""
    while low < high:
        middle = (low + high) // 2
        if reaches(middle):
            high = middle
        else:
            low = middle + 1
    return low
