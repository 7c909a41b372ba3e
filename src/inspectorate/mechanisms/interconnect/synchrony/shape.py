"""What the common rhythm of two pods looks like: its period, its coherence and the delay between them. For people to read.

Nothing here is evidence: the strongest of many frequencies is always strong. Evidence is `process`.

The log traffic of each pod, less the mean of its group of other pods, is cut into half-overlapping segments without a gap;
straight lines are taken off, and the cross-spectra are averaged (P. Welch, IEEE Trans. Audio Electroacoust. 15, 1967).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inspectorate.mechanisms.interconnect.synchrony import reference
from inspectorate.mechanisms.interconnect.synchrony.kernels import Flags, Floats
from inspectorate.mechanisms.interconnect.synchrony.process import Pairs, Traffic, controls

SEGMENTS_MIN = 3
"""Fewer segments show nothing: the coherence of one is always 1."""


@dataclass(frozen=True, kw_only=True)
class Rhythm:
    """The strongest common rhythm of two pods.

    `coherence`: magnitude-squared, between 0 and 1, at that period, of which `coherence_by_chance` is expected of unrelated
    pods. `lag_s`: by how much the second follows the first, from the peak of the cross-correlation.
    """

    period_s: float
    coherence: float
    coherence_by_chance: float
    lag_s: float


def rhythms(traffic: Traffic, pairs: Pairs, *, peers: Pairs = ()) -> tuple[Rhythm | None, ...]:
    """The rhythm of each pair; None where there are too few segments in which both were observed, or nothing varies."""
    groups = controls(len(traffic.sent), pairs, peers)
    floor = reference.BYTES_PER_S_FLOOR * traffic.interval_s
    total = np.where(traffic.observed, traffic.sent + traffic.received, 0.0)
    log = np.log1p(total / floor)
    found: list[Rhythm | None] = []
    observed = traffic.observed.astype(np.float64)
    for first in range(0, len(pairs), reference.PAIRS_AT_ONCE):
        some = slice(first, first + reference.PAIRS_AT_ONCE)
        known = [group[some] @ observed for group in groups]
        means = [group[some] @ log / np.maximum(count, 1.0) for group, count in zip(groups, known, strict=True)]
        for row, (one, other) in enumerate(pairs[some]):
            seen = traffic.observed[one] & traffic.observed[other]
            for group, count in zip(groups, known, strict=True):
                # A pair without groups is shown as it is.
                seen = seen & ((count[row] > 0) | (not group[first + row].any()))
            found.append(_rhythm(log[one] - means[0][row], log[other] - means[1][row], seen, traffic.interval_s))
    return tuple(found)


def _segments(values: Floats, starts: Floats) -> Floats:
    length = reference.SEGMENT
    time = np.arange(length) - (length - 1) / 2
    cut = values[starts.astype(np.int64)[:, None] + np.arange(length)]
    cut = cut - cut.mean(axis=1, keepdims=True)
    straight: Floats = cut - np.outer(cut @ time, time) / (time @ time)
    return straight


def _rhythm(one: Floats, other: Floats, seen: Flags, interval_s: float) -> Rhythm | None:
    length = reference.SEGMENT
    every = np.arange(0, max(len(seen) - length + 1, 0), length // 2)
    starts = np.array([start for start in every if seen[start : start + length].all()], dtype=np.float64)
    if len(starts) < SEGMENTS_MIN:
        return None
    window = np.hanning(length)
    parts = [np.fft.rfft(_segments(side, starts) * window, n=2 * length)[:, 1:] for side in (one, other)]
    cross = (np.conj(parts[0]) * parts[1]).mean(axis=0)
    powers = [(np.abs(part) ** 2).mean(axis=0) for part in parts]
    if min(float(power.max()) for power in powers) <= 0:
        return None
    # Periods longer than half a segment are trend, and the line that was taken off.
    numbers = np.arange(1, length + 1)
    best = int(np.argmax(np.where(numbers >= 4, np.abs(cross), -1.0)))
    correlation = np.fft.irfft(np.concatenate(([0.0], cross)), n=2 * length)
    lags = np.concatenate((np.arange(0, length // 2), np.arange(-length // 2, 0)))
    lag = int(lags[int(np.argmax(correlation[lags]))])
    return Rhythm(
        period_s=2 * length / float(numbers[best]) * interval_s,
        coherence=float(np.abs(cross[best]) ** 2 / max(powers[0][best] * powers[1][best], 1e-300)),
        coherence_by_chance=1 / len(starts),
        lag_s=lag * interval_s,
    )
