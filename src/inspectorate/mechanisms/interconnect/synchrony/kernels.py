"""The loops of the test for lock-step, compiled: surprises of a series, their ranks, and the factors of the bets.

Every loop looks at the past only, so a record that grows changes nothing that was computed before. The slow, obvious forms
stand in tests/synchrony/slow.py.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]

TINY = 1e-12


@numba.njit("void(f8[::1], f8, f8[::1])", cache=True, nogil=True)
def predictor(covariance: Floats, ridge: float, into: Floats) -> None:
    """The linear predictor of a series from its last n values, from its autocovariances of lags 0 .. n, n = len(into).

    Levinson-Durbin; the variance is raised by the share `ridge`.
    """
    into[:] = 0.0
    power = covariance[0] * (1.0 + ridge)
    before = np.zeros(len(into))
    for m in range(len(into)):
        if power <= TINY:
            return
        gain = covariance[m + 1]
        for j in range(m):
            gain -= into[j] * covariance[m - j]
        gain /= power
        before[:m] = into[:m]
        for j in range(m):
            into[j] = before[j] - gain * before[m - 1 - j]
        into[m] = gain
        power *= 1.0 - gain * gain


@numba.njit("f8(f8[::1], f8, f8, f8)", cache=True, nogil=True)
def common_weight(sums: Floats, prior_variance: float, share_min: float, weight_max: float) -> float:
    """How strongly a series y follows the common load c, with i as the instrument: Cov(y, i) / Cov(c, i), held back.

    `sums`: n and the sums of y, c, i, y i, c i, c c, i i, y y. Before anything is known the weight is 1, with
    `prior_variance`: that is worth as much as a covariance of Var(y) / `prior_variance`. A series that hardly varies tells
    quickly that it follows nothing.
    """
    n = max(sums[0], 1.0)
    common = sums[5] - sums[2] * sums[3] / n
    own = sums[4] - sums[1] * sums[3] / n
    first = max(sums[6] - sums[2] ** 2 / n, 0.0)
    second = max(sums[7] - sums[3] ** 2 / n, 0.0)
    prior = max(sums[8] - sums[1] ** 2 / n, 0.0) / n / prior_variance
    weight = (own + prior) / (max(common, share_min * np.sqrt(first * second)) + prior + TINY)
    return float(min(max(weight, 0.0), weight_max))


@numba.njit("void(f8[:, :, ::1], b1[:, ::1], b1[::1], i8[::1], f8[::1], f8[:, ::1])", cache=True, nogil=True)
def surprises(series: Floats, seen: Flags, refit: Flags, periods: Ints, terms: Floats, into: Floats) -> None:
    """What in each series was not to be expected, shape (series, intervals); steps 2 to 5 of the package.

    `series`, shape (3, series, intervals): log traffic, the mean of one group of other pods, that of the other group.
    `refit`: intervals before which predictions are fitted. `periods`: in intervals. `terms`: order, intervals per term,
    ridge, share_min, weight_max, repeats_min, significance, prior. 0 where not seen, and before the first fit.
    """
    count = series.shape[2]
    order, places = int(terms[0]), periods.sum()
    for s in range(series.shape[1]):
        # `kept[order + t]` is what step 3 left of interval t; `lagged[j]`, `reverse[j]` belong to the lag order - j.
        kept, lagged, reverse = np.zeros(order + count), np.zeros(order), np.zeros(order)
        sums, covariance, predict = np.zeros(9), np.zeros(order + 1), np.zeros(order)
        place_sum, place_count = np.zeros(places), np.zeros(places)
        turn = np.zeros(len(periods), dtype=np.int64)
        ready, learnt, squares = False, 0.0, 0.0
        for t in range(count):
            if refit[t]:
                ready = True
                known = min(order, int(t / terms[1]))
                covariance[0], covariance[1:] = squares, lagged[::-1]
                predictor(covariance, terms[2], predict[:known])
                reverse[:] = predict[::-1]
            into[s, t] = 0.0
            for k in range(len(periods)):
                turn[k] = turn[k] + 1 if turn[k] + 1 < periods[k] else 0
            if not seen[s, t]:
                continue
            y, c, i = series[0, s, t], series[1, s, t], series[2, s, t]
            if ready and sums[0] > 0:
                weight = common_weight(sums, terms[7], terms[3], terms[4])
                mean, mean_common = sums[1] / sums[0], sums[2] / sums[0]
                value = y - mean - weight * (c - mean_common)
                first = 0
                for k in range(len(periods)):
                    place = first + turn[k]
                    first += periods[k]
                    n, total = place_count[place], place_sum[place]
                    place_sum[place] += value
                    place_count[place] += 1
                    if n >= terms[5] and total**2 * learnt > terms[6] ** 2 * n * squares:
                        value -= total / (n + 1)
                kept[order + t] = value
                recent = kept[t : t + order]
                learnt += 1.0
                squares += value**2
                first_sum, second_sum = 0.0, 0.0
                for j in range(order):
                    lagged[j] += kept[order + t] * recent[j]
                for j in range(0, order, 2):
                    first_sum += reverse[j] * recent[j]
                    second_sum += reverse[j + 1] * recent[j + 1]
                value -= first_sum + second_sum
                if np.exp(y) * abs(1.0 - np.exp(-value)) >= 1.0:
                    into[s, t] = value
            sums[0] += 1.0
            sums[1] += y
            sums[2] += c
            sums[3] += i
            sums[4] += y * i
            sums[5] += c * i
            sums[6] += c * c
            sums[7] += i * i
            sums[8] += y * y


@numba.njit("void(f8[:, ::1], b1[:, ::1], i8[::1], f8[:, ::1])", cache=True, nogil=True)
def ranks(values: Floats, seen: Flags, terms: Ints, into: Floats) -> None:
    """The rank of each value among those seen before it, scaled to -1 .. 1, ties in the middle; NaN where there is none.

    `terms`: the first interval that counts, how many before a value it is ranked among, and the least of them.
    """
    start, among, least = terms
    for s in range(values.shape[0]):
        into[s] = np.nan
        known, held = np.zeros(among), 0
        for t in range(start, values.shape[1]):
            if not seen[s, t]:
                continue
            value = values[s, t]
            before = known[: min(held, among)]
            below, upto = 0, 0
            for k in range(len(before)):
                below += before[k] < value
                upto += before[k] <= value
            if len(before) >= least:
                into[s, t] = (below + upto + 1.0) / (len(before) + 1.0) - 1.0
            known[held % among] = value
            held += 1


@numba.njit("void(f8[:, ::1], f8[:, ::1], i8[::1], f8[::1], f8[::1], f8[:, :, ::1])", cache=True, nogil=True)
def factors(one: Floats, other: Floats, terms: Ints, stakes: Floats, limits: Floats, into: Floats) -> None:
    """Per pair and round the logarithm of what a bet makes of each stake, and behind it two tallies.

    `terms`: by how many intervals `one` leads; the intervals of a round. `limits`: of the bet on the product, [tolerance];
    of the bet that both are peaks, [value of a peak, rate of coincidence]. `into`: (pairs, rounds, stakes + 2); the tallies
    are how many intervals could be compared, and the sum of the products or the number of coincidences.
    """
    lag, length = terms
    last = len(stakes)
    into[:] = 0.0
    for s in range(one.shape[0]):
        for r in range(into.shape[1]):
            product = np.ones(last)
            for t in range(max(r * length, lag), min((r + 1) * length, one.shape[1])):
                a, b = one[s, t - lag], other[s, t]
                if np.isnan(a) or np.isnan(b):
                    continue
                into[s, r, last] += 1.0
                if len(limits) == 1:
                    into[s, r, last + 1] += a * b
                    gain = (a * b - limits[0]) / (1.0 + limits[0])
                else:
                    both = a > limits[0] and b > limits[0]
                    into[s, r, last + 1] += both
                    gain = 1.0 / limits[1] - 1.0 if both else -1.0
                for k in range(last):
                    product[k] *= 1.0 + stakes[k] * gain
            into[s, r, :last] = np.log(product)
