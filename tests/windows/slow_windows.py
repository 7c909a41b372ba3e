"""The features of one window, slow and obvious: plain Python on lists, None for gaps and for what cannot be had."""

from __future__ import annotations

import itertools
import math
import struct

LAGS = (1, 2, 3, 5, 8, 13)
FEWEST = 6
"""Measured values, or pairs, below which nothing is said."""

Series = list[float | None]


def single(values: Series, step_s: float) -> dict[str, float | None]:
    """All features of one signal of one unit that need no other."""
    there = [v for v in values if v is not None]
    found: dict[str, float | None] = {}
    places = {
        "min": 0,
        "q05": 0.05,
        "q10": 0.1,
        "q25": 0.25,
        "q50": 0.5,
        "q75": 0.75,
        "q90": 0.9,
        "q95": 0.95,
        "max": 1,
    }
    for name, place in places.items():
        found[name] = quantile(there, place)
    found |= moments(there)
    found |= steps(values)
    found |= levels(values, quantile(there, 0.05), quantile(there, 0.95), step_s)
    median = quantile(there, 0.5)
    found["dip_depth"] = (median - min(there)) / median if median > 0 else None
    found["rise_height"] = (max(there) - median) / median if median > 0 else None
    filled = bridged(values)
    found["change_points"] = change_points(filled, max(there) - min(there))
    found |= rhythm(filled, step_s)
    if min(there) == max(there):
        for name in found:
            if name in ("skew", "bimodality") or name.startswith(("autocorrelation", "period", "band")):
                found[name] = None
    return found


def quantile(there: list[float], place: float) -> float:
    ordered = sorted(there)
    at = (len(ordered) - 1) * place
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    share, rise = at - low, ordered[high] - ordered[low]
    return ordered[high] - rise * (1 - share) if share >= 0.5 else ordered[low] + rise * share


def moments(there: list[float]) -> dict[str, float | None]:
    n = len(there)
    mean = sum(there) / n
    second, third, fourth = (sum((v - mean) ** power for v in there) / n for power in (2, 3, 4))
    if second == 0:
        return {"mean": mean, "std": 0.0, "skew": None, "bimodality": None}
    skew = third / second**1.5
    return {"mean": mean, "std": math.sqrt(second), "skew": skew, "bimodality": (skew**2 + 1) / (fourth / second**2)}


def differences(values: Series) -> Series:
    """Each value less the one before; one shorter."""
    return [None if a is None or b is None else b - a for a, b in itertools.pairwise(values)]


def steps(values: Series) -> dict[str, float | None]:
    found: dict[str, float | None] = dict.fromkeys(("difference_mean", "difference_std", "second_difference_mean"))
    first = [d for d in differences(values) if d is not None]
    if first:
        mean = sum(first) / len(first)
        found["difference_mean"] = sum(abs(d) for d in first) / len(first)
        found["difference_std"] = math.sqrt(sum((d - mean) ** 2 for d in first) / len(first))
    second = [d for d in differences(differences(values)) if d is not None]
    if second:
        found["second_difference_mean"] = sum(abs(d) for d in second) / len(second)
    return found


def levels(values: Series, q05: float, q95: float, step_s: float) -> dict[str, float | None]:
    low, high = q05 + (q95 - q05) * 0.25, q95 - (q95 - q05) * 0.25
    there = [v for v in values if v is not None]
    state, run, longest, changes = "", 0, 0, 0
    for v in values:
        now = state if v is None else "high" if v >= high else "low" if v <= low else state
        changed = state != "" and now != state
        changes += changed
        run = 1 if changed else run + 1
        longest, state = max(longest, run), now
    return {
        "low_share": sum(v <= low for v in there) / len(there) if q95 > q05 else None,
        "high_share": sum(v >= high for v in there) / len(there) if q95 > q05 else None,
        "level_changes_per_min": changes / (len(values) * step_s / 60),
        "longest_dwell_share": longest / len(values),
    }


def bridged(values: Series) -> list[float]:
    known = [t for t, v in enumerate(values) if v is not None]
    filled = []
    for t, v in enumerate(values):
        before = max((k for k in known if k <= t), default=None)
        after = min((k for k in known if k >= t), default=None)
        if v is not None:
            filled.append(v)
        elif before is None or after is None:
            filled.append(values[known[0] if before is None else known[-1]])
        else:
            start, end = values[before], values[after]
            filled.append(start + (end - start) * ((t - before) / (after - before)))
    return filled


def change_points(filled: list[float], extent: float) -> float:
    n = len(filled)
    shift = max(3, n // 6)
    jumps = [as_float32(abs(b - a)) for a, b in itertools.pairwise(filled)]
    noise = quantile(jumps, 0.5) * 1.4826022185056018 / math.sqrt(2)
    least = max(5 * noise * math.sqrt(2 / shift), extent / 4)
    sums = [0.0]
    for v in filled:
        sums.append(sums[-1] + v)
    found, before = 0, 0
    for t in range(shift, n - shift + 1):
        moved = (sums[t + shift] - sums[t]) - (sums[t] - sums[t - shift])
        now = (1 if moved > 0 else -1) if abs(moved) > shift * least * (1 + 1e-9) else 0
        found += now not in (0, before)
        before = now
    return found


def as_float32(value: float) -> float:
    return struct.unpack("f", struct.pack("f", value))[0]


def autocorrelation(centred: list[float], lag: int) -> float | None:
    n = len(centred)
    squares = [0.0]
    for v in centred:
        squares.append(squares[-1] + v * v)
    head, tail = squares[n - lag], squares[n] - squares[lag]
    if head <= 1e-12 * squares[n] or tail <= 1e-12 * squares[n]:
        return None
    product = 0.0
    for t in range(n - lag):
        product += centred[t] * centred[t + lag]
    return min(max(product / math.sqrt(head * tail), -1.0), 1.0)


def rhythm(filled: list[float], step_s: float) -> dict[str, float | None]:
    n = len(filled)
    total = 0.0
    for v in filled:
        total += v
    centred = [v - total / n for v in filled]
    found: dict[str, float | None] = {}
    for lag in LAGS:
        found[f"autocorrelation_{lag}"] = autocorrelation(centred, lag) if lag <= n - FEWEST else None
    longest = min(n // 2, n - FEWEST)
    r = [1.0] + [autocorrelation(centred, k) for k in range(1, longest + 1)]
    r = [math.nan if v is None else v for v in r]
    first = next((k for k in range(1, longest) if r[k] < 0), longest)
    peaks = [k for k in range(max(first, 2), longest) if r[k - 1] < r[k] >= r[k + 1] and r[k] > 0]
    found["period_s"], found["period_strength"] = None, 0.0
    if peaks:
        highest = max(r[k] for k in peaks)
        k = next(k for k in peaks if r[k] >= 0.9 * highest)
        place = k + 0.5 * (r[k - 1] - r[k + 1]) / (r[k - 1] - 2 * r[k] + r[k + 1])
        found["period_s"], found["period_strength"] = place * step_s, r[k]
    return found | bands(centred)


def bands(centred: list[float]) -> dict[str, float | None]:
    n = len(centred)
    powers = []
    for k in range(1, n // 2 + 1):
        real = sum(v * math.cos(2 * math.pi * k * t / n) for t, v in enumerate(centred))
        imaginary = sum(v * math.sin(2 * math.pi * k * t / n) for t, v in enumerate(centred))
        powers.append((real**2 + imaginary**2) * (1 if 2 * k == n else 2))
    found: dict[str, float | None] = {}
    below = 0
    for band in range(1, 9):
        upper = n // 2 if band == 8 else max(below + 1, math.floor((n // 2) ** (band / 8) + 1e-9))
        within = powers[below:upper]
        found[f"band_{band}"] = sum(within) / sum(powers) if within and sum(powers) else None
        below = min(upper, n // 2)
    return found


def correlation(one: Series, other: Series) -> float | None:
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None]
    if len(pairs) < FEWEST:
        return None
    x, y = (sum(column) / len(pairs) for column in zip(*pairs, strict=True))
    xx, yy = sum((a - x) ** 2 for a, _ in pairs), sum((b - y) ** 2 for _, b in pairs)
    if xx <= len(pairs) * (1e-12 * x) ** 2 or yy <= len(pairs) * (1e-12 * y) ** 2:
        return None
    return sum((a - x) * (b - y) for a, b in pairs) / math.sqrt(xx * yy)


def synchrony(own: Series, others: list[Series], *, of_differences: bool) -> float | None:
    """Correlation with the mean of the other units, over the steps at which the unit was measured."""
    if of_differences:
        own, others = differences(own), [differences(o) for o in others]
    means: Series = []
    for t in range(len(own)):
        there = [o[t] for o in others if o[t] is not None]
        means.append(sum(there) / len(there) if there else None)
    return correlation(own, means)
