"""The period of a port's load: training goes in steps, and steps are seen from outside.

Procedure (`periods`):

1. Per port, the bytes of both directions in intervals of `interval_s`, and which of them readings enclose without a gap: a gap
   is left out, not read as silence, and its catch-up not as a burst.
2. Ranks stand in for the rates (as normal scores), so that one burst weighs no more than its place in the order.
   From each, its share of the one before is taken off (an autoregression of order one), so that drift leaves no slope.
3. Least-squares spectrum (Lomb-Scargle) over the observed intervals, at four times the resolution of the record.
4. Each frequency's power is divided by the running median around it, which stands for the background: load that merely drifts or
   comes in bursts raises both alike. Under no period the ratio is exponential, and the sum over the first h multiples of a
   frequency, h = 1 .. `PERIOD_HARMONICS`, is a gamma variable of that order.
5. The p-value of a port is the least over frequencies and h, times the number of frequencies and of h that were tried (Bonferroni);
   over ports it is corrected by Holm's rule, so that over a whole record the chance of any false period is `PERIOD_LEVEL`.
6. Of the frequencies whose multiples stand out, the period is that of the best sum; it is refined by a parabola through the
   neighbouring values.

The p-value rests on the background being smooth over `PERIOD_BACKGROUND_BINS` frequencies; the tests hold it against white,
drifting, bursty and heavy-tailed loads without a period (docs/counters.md).
Source: Scargle 1982, Astrophysical Journal 263 (p-value of a normalised periodogram); Holm 1979.
Not done here: whether several ports go in step with each other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from inspectorate.errors import InputError
from inspectorate.mechanisms.interconnect.counters.increase import PortSteps
from inspectorate.mechanisms.interconnect.counters.levels import amounts, observed
from inspectorate.mechanisms.interconnect.counters.readings import Port
from inspectorate.mechanisms.interconnect.counters.reference import (
    PERIOD_BACKGROUND_BINS,
    PERIOD_CYCLES_MIN,
    PERIOD_HARMONICS,
    PERIOD_LEVEL,
)
from inspectorate.mechanisms.interconnect.traffic import Floats, Mask, Times

OVERSAMPLING = 4
INTERVALS_MIN = 200
INTERVALS_MAX = 100_000
STANDS_OUT = 5.0
"""A line this many times above the background stands out by itself (1 in 150 does by chance) ..."""
STANDS_OUT_SHARE = 0.1
"""... if it also is at least this share of the highest multiple."""
_CHUNK = 256


@dataclass(frozen=True, kw_only=True)
class PortPeriod:
    """What the spectrum of one port says."""

    port: str
    period_s: float
    """Of the best sum of multiples, whether it is significant or not."""
    p_value: float
    """Of this port alone."""
    significant: bool
    """At `PERIOD_LEVEL` over all ports of the record together."""
    harmonics: int
    share_observed: float


def periods(
    steps: Mapping[Port, PortSteps], edges_ns: Times, *, bytes_per_s_min: float = 1_000.0
) -> tuple[PortPeriod, ...]:
    """The period of every port that carries at least `bytes_per_s_min` on average and is observed for long enough."""
    seconds = float(edges_ns[-1] - edges_ns[0]) / 1e9
    grouped: dict[bytes, list[tuple[Port, Floats, Mask]]] = {}
    for port, one in steps.items():
        seen = observed(one, edges_ns)
        if seen.sum() < INTERVALS_MIN:
            continue
        both = amounts(one, "in_octets", edges_ns).estimate + amounts(one, "out_octets", edges_ns).estimate
        if both[seen].sum() >= bytes_per_s_min * seconds * seen.mean():
            grouped.setdefault(seen.tobytes(), []).append((port, both, seen))
    found: list[PortPeriod] = []
    interval_s = seconds / (len(edges_ns) - 1)
    for members in grouped.values():
        seen = members[0][2]
        ratios, frequencies = spectrum(np.stack([both for _, both, _ in members]), seen, interval_s)
        for (port, _, _), ratio in zip(members, ratios, strict=True):
            period, p_value, harmonics = best_period(ratio, frequencies)
            found.append(
                PortPeriod(
                    port=str(port),
                    period_s=period,
                    p_value=p_value,
                    significant=False,
                    harmonics=harmonics,
                    share_observed=float(seen.mean()),
                )
            )
    return _holm(found)


def grid_of(steps: Mapping[Port, PortSteps], interval_s: float) -> Times:
    """Edges [ns] from the first reading of any port to the last. Raises `InputError` on too many or too few."""
    starts = [int(one.time_ns[0]) for one in steps.values() if one.steps]
    stops = [int(one.time_ns[-1]) for one in steps.values() if one.steps]
    count = int((max(stops) - min(starts)) / (interval_s * 1e9)) if starts else 0
    if not INTERVALS_MIN <= count <= INTERVALS_MAX:
        raise InputError(
            f"the record has {count} intervals of {interval_s:g} s",
            remedy=f"choose an interval that gives {INTERVALS_MIN} to {INTERVALS_MAX}",
        )
    return min(starts) + round(interval_s * 1e9) * np.arange(count + 1, dtype=np.int64)


def spectrum(amounts_by_port: Floats, seen: Mask, interval_s: float) -> tuple[Floats, Floats]:
    """Steps 2 to 4: power over background, (ports, frequencies), and the frequencies [Hz]. Ports share one mask."""
    places, values = _whitened(_scores(amounts_by_port[:, seen]), np.flatnonzero(seen))
    times: Floats = places.astype(np.float64) * interval_s
    span = float(times[-1] - times[0]) + interval_s
    step = 1 / (span * OVERSAMPLING)
    highest = 0.5 / interval_s
    frequencies: Floats = np.arange(PERIOD_CYCLES_MIN / span, highest, step, dtype=np.float64)
    power = np.empty((len(values), len(frequencies)))
    for first in range(0, len(frequencies), _CHUNK):
        some: Floats = frequencies[first : first + _CHUNK].astype(np.float64)
        power[:, first : first + _CHUNK] = _lomb_scargle(values, times, some)
    return power / _background(power), frequencies


def _scores(values: Floats) -> Floats:
    """Normal scores of the ranks in each row, by a rational approximation of the inverse normal distribution."""
    count = values.shape[1]
    # Equal values get equal ranks: the mean of the first and the last place at which they would be sorted in.
    ordered = np.sort(values, axis=1)
    ranks = np.stack(
        [
            (np.searchsorted(o, v, "left") + np.searchsorted(o, v, "right")) / 2
            for o, v in zip(ordered, values, strict=True)
        ]
    )
    share = np.clip(ranks / count, 0.5 / count, 1 - 0.5 / count)
    tail = np.sqrt(-2 * np.log(np.minimum(share, 1 - share)))
    # Abramowitz and Stegun 26.2.22: off by 3e-3 at most, which ranks do not feel.
    score = tail - (2.30753 + 0.27061 * tail) / (1 + 0.99229 * tail + 0.04481 * tail**2)
    signed = np.where(share < 0.5, -score, score)
    centred: Floats = signed - signed.mean(axis=1, keepdims=True)
    return centred


def _whitened(values: Floats, places: Times) -> tuple[Times, Floats]:
    """What each interval has beyond its share of the one before it, where both were observed, and the places of those.

    A load that drifts has a spectrum that falls steeply; this makes it nearly flat, and changes a line and the background
    around it alike.
    """
    follows = np.flatnonzero(np.diff(places) == 1)
    before, after = values[:, follows], values[:, follows + 1]
    share = (before * after).sum(axis=1) / np.maximum((before**2).sum(axis=1), 1e-12)
    rest: Floats = after - share[:, None] * before
    kept: Times = places[follows + 1].astype(np.int64)
    return kept, rest - rest.mean(axis=1, keepdims=True)


def _lomb_scargle(values: Floats, times: Floats, frequencies: Floats) -> Floats:
    """Power at each frequency, (rows, frequencies), with the phase at which sine and cosine are orthogonal."""
    angle = 2 * np.pi * np.outer(times, frequencies)
    sine, cosine = np.sin(angle), np.cos(angle)
    shift = 0.5 * np.arctan2((2 * sine * cosine).sum(axis=0), (cosine**2 - sine**2).sum(axis=0))
    turned_cosine = cosine * np.cos(shift) + sine * np.sin(shift)
    turned_sine = sine * np.cos(shift) - cosine * np.sin(shift)
    power: Floats = 0.5 * (
        (values @ turned_cosine) ** 2 / np.maximum((turned_cosine**2).sum(axis=0), 1e-9)
        + (values @ turned_sine) ** 2 / np.maximum((turned_sine**2).sum(axis=0), 1e-9)
    )
    return power


def _background(power: Floats) -> Floats:
    """Running median over neighbouring frequencies, as the mean of an exponential variable with that median."""
    half = PERIOD_BACKGROUND_BINS * OVERSAMPLING // 2
    half = min(half, (power.shape[1] - 1) // 2)
    middle = np.empty_like(power)
    for row, line in enumerate(np.pad(power, ((0, 0), (half, half)), mode="reflect")):
        # One value per independent frequency is enough for a median.
        middle[row] = np.median(sliding_window_view(line, 2 * half + 1)[:, ::OVERSAMPLING], axis=1)
    return np.maximum(middle / math.log(2), 1e-12)


def best_period(ratio: Floats, frequencies: Floats) -> tuple[float, float, int]:
    """Steps 5 and 6 for one port: period [s], p-value, and how many multiples were summed."""
    step = frequencies[1] - frequencies[0]
    best = (1.0, 0, 1)
    sums = np.zeros(len(frequencies))
    for order in range(1, PERIOD_HARMONICS + 1):
        places = np.rint((order * frequencies - frequencies[0]) / step).astype(np.int64)
        inside = places < len(frequencies)
        if inside.sum() < 3:
            break
        # The highest within half a resolution: multiples of a rounded frequency drift apart.
        near = np.stack([ratio[np.clip(places[inside] + k, 0, len(ratio) - 1)] for k in (-1, 0, 1)]).max(axis=0)
        sums = sums[: inside.sum()] + (ratio[: inside.sum()] if order == 1 else near)
        top = int(sums.argmax())
        tail = _gamma_tail(float(sums[top]), order) * len(frequencies) * PERIOD_HARMONICS * 3 ** (order - 1)
        if tail < best[0]:
            best = (tail, top, order)
    p_value, top, order = best
    if p_value >= 1.0:
        top = int(ratio.argmax())
    top, order = _fundamental(ratio, frequencies, top, order)
    return 1 / _refined(ratio, frequencies, top), min(1.0, p_value), order


def _fundamental(ratio: Floats, frequencies: Floats, top: int, order: int) -> tuple[int, int]:
    """The place of the greatest common divisor of those multiples that stand out: half the frequency of a line has the line
    among its multiples, but nothing between them."""
    step = frequencies[1] - frequencies[0]
    heights: list[float] = []
    peaks: list[int] = []
    for multiple in range(1, order + 1):
        place = round((multiple * frequencies[top] - frequencies[0]) / step)
        near = range(max(0, place - 1), min(len(ratio), place + 2))
        peaks.append(max(near, key=lambda at: float(ratio[at])) if near else top)
        heights.append(float(ratio[peaks[-1]]) if near else 0.0)
    strong = [k for k, height in enumerate(heights, 1) if height >= max(STANDS_OUT, STANDS_OUT_SHARE * max(heights))]
    divisor = math.gcd(*strong) if strong else 1
    return peaks[divisor - 1], max(1, order // divisor)


def _refined(ratio: Floats, frequencies: Floats, top: int) -> float:
    """The frequency of the parabola through a maximum and its neighbours."""
    if not 0 < top < len(ratio) - 1:
        return float(frequencies[top])
    left, here, right = (float(ratio[top + k]) for k in (-1, 0, 1))
    bend = left - 2 * here + right
    shift = 0.5 * (left - right) / bend if bend < 0 else 0.0
    return float(frequencies[top] + max(-1.0, min(1.0, shift)) * (frequencies[1] - frequencies[0]))


def _gamma_tail(total: float, order: int) -> float:
    """The chance that the sum of `order` exponential variables of mean 1 reaches `total`."""
    return math.exp(-total) * math.fsum(total**k / math.factorial(k) for k in range(order)) if total < 700 else 0.0


def _holm(found: Sequence[PortPeriod]) -> tuple[PortPeriod, ...]:
    """Which periods stand, at one level over all ports together."""
    order = sorted(range(len(found)), key=lambda at: found[at].p_value)
    stands: set[int] = set()
    for rank, at in enumerate(order):
        if found[at].p_value > PERIOD_LEVEL / (len(found) - rank):
            break
        stands.add(at)
    return tuple(
        PortPeriod(**{**vars(one), "significant": True}) if at in stands else one for at, one in enumerate(found)
    )
