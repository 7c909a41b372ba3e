"""What repeats in a window: autocorrelation, the period, and the spectrum, of the series with its gaps bridged.

- The autocorrelation at lag k is the product of the series, less its mean, with itself k steps later, over the root of the
  energies of the two parts that meet: always between -1 and 1, and a period shows as 1 however long it is.
- The period is looked for beyond the first lag at which the autocorrelation is negative, among its peaks above zero up to half
  a window: the first that comes within `PEAK_PART` of the highest, its place refined by a parabola. Where there is none, the
  strength is 0, and no period can be had.
- A band holds the share of the variance at its frequencies: whole numbers of waves per window, k = 1 .. n // 2, in bands
  whose limits are spaced by the logarithm, at least one wave number each. A short window has no upper bands.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from inspectorate.mechanisms.workloads.windows.kernel import F64, I64, Tile, lags_of, longest_lag, part
from inspectorate.mechanisms.workloads.windows.reference import BANDS, LAGS, LANES, PAIRS_MIN, PEAK_PART

MIN, MAX = 0, 8
SKEW, BIMODALITY = 11, 12
FIRST_LAG, PERIOD, STRENGTH, FIRST_BAND = 23, 29, 30, 31
"""Rows of the output."""
ENERGY_MIN = 1e-12
"""Share of a window's energy below which a part of it has none."""
LAG_TABLE = np.array(LAGS, np.int64)


@functools.cache
def waves(n: int) -> tuple[F64, F64]:
    """Cosines and sines, each shape (n // 2 + 1, n // 2 + 1): wave number by step."""
    half = n // 2 + 1
    angles = [2.0 * math.pi * turn / n for turn in range(n)]
    cosine = np.array([[math.cos(angles[k * t % n]) for t in range(half)] for k in range(half)])
    sine = np.array([[math.sin(angles[k * t % n]) for t in range(half)] for k in range(half)])
    return cosine, sine


@functools.cache
def band_of(n: int) -> I64:
    """Band of each wave number 0 .. n // 2; that of 0 is not used."""
    most = n // 2
    upper: list[int] = []
    for band in range(1, BANDS + 1):
        least = upper[-1] + 1 if upper else 1
        upper.append(min(most, max(least, math.floor(most ** (band / BANDS) + 1e-9))))
    upper[-1] = most
    return np.array([0] + [next(b for b, limit in enumerate(upper) if k <= limit) for k in range(1, most + 1)])


@part
def autocorrelations(tile: Tile) -> None:
    filled, energy, lags = tile.filled, tile.sums, tile.lags
    n = filled.shape[0]
    energy[0] = 0.0
    for t in range(n):
        for i in range(LANES):
            energy[t + 1, i] = energy[t, i] + filled[t, i] * filled[t, i]
    for k in range(1, lags_of(n) + 1):
        lags[k] = 0.0
        for t in range(n - k):
            for i in range(LANES):
                lags[k, i] += filled[t, i] * filled[t + k, i]
        for i in range(LANES):
            head, tail = energy[n - k, i], energy[n, i] - energy[k, i]
            least = ENERGY_MIN * energy[n, i]
            there = head > least and tail > least
            lags[k, i] = min(max(lags[k, i] / np.sqrt(head * tail), -1.0), 1.0) if there else np.nan
    for row in range(len(LAG_TABLE)):
        lag = LAG_TABLE[row]
        for i in range(LANES):
            tile.out[FIRST_LAG + row, i] = lags[lag, i] if lag <= n - PAIRS_MIN else np.nan


@part
def period(tile: Tile, step_s: float) -> None:
    lags = tile.lags
    last = longest_lag(tile.filled.shape[0])
    for i in range(LANES):
        first = 1
        while first < last and not lags[first, i] < 0.0:
            first += 1
        highest = 0.0
        for k in range(max(first, 2), last):
            if lags[k - 1, i] < lags[k, i] and lags[k, i] >= lags[k + 1, i]:
                highest = max(highest, lags[k, i])
        tile.out[STRENGTH, i] = 0.0
        tile.out[PERIOD, i] = np.nan
        if highest <= 0.0:
            continue
        for k in range(max(first, 2), last):
            before, at, after = lags[k - 1, i], lags[k, i], lags[k + 1, i]
            if before < at and at >= after and at >= PEAK_PART * highest:
                tile.out[STRENGTH, i] = at
                tile.out[PERIOD, i] = (k + 0.5 * (before - after) / (before - 2.0 * at + after)) * step_s
                break


@part
def fold(tile: Tile) -> None:
    """Sums and differences of the steps that the same cosine and opposite sines belong to: half the multiplications."""
    filled, folded = tile.filled, tile.sums
    n = filled.shape[0]
    half = n // 2
    for i in range(LANES):
        folded[0, i] = filled[0, i]
        folded[half, i] = filled[half, i]
    for t in range(1, (n + 1) // 2):
        for i in range(LANES):
            folded[t, i] = filled[t, i] + filled[n - t, i]
            folded[half + t, i] = filled[t, i] - filled[n - t, i]


@part
def spectrum(tile: Tile, cosine: F64, sine: F64, band: I64) -> None:
    folded, out, total, real, imaginary = tile.sums, tile.out, tile.rows[1], tile.rows[2], tile.rows[3]
    n = tile.filled.shape[0]
    half = n // 2
    fold(tile)
    out[FIRST_BAND : FIRST_BAND + BANDS] = np.nan
    total[:] = 0.0
    for k in range(1, half + 1):
        real[:] = 0.0
        imaginary[:] = 0.0
        for t in range(half + 1):
            for i in range(LANES):
                real[i] += folded[t, i] * cosine[k, t]
        for t in range(1, (n + 1) // 2):
            for i in range(LANES):
                imaginary[i] += folded[half + t, i] * sine[k, t]
        row = FIRST_BAND + band[k]
        if band[k] != band[k - 1] or k == 1:
            out[row] = 0.0
        for i in range(LANES):
            power = real[i] * real[i] + imaginary[i] * imaginary[i]
            power *= 1.0 if 2 * k == n else 2.0
            out[row, i] += power
            total[i] += power
    for row in range(FIRST_BAND, FIRST_BAND + BANDS):
        for i in range(LANES):
            out[row, i] /= total[i]


@part
def strike_constant(tile: Tile) -> None:
    """Lanes that do not vary have neither shape nor rhythm."""
    for i in range(LANES):
        if tile.out[MIN, i] == tile.out[MAX, i]:
            tile.out[SKEW : BIMODALITY + 1, i] = np.nan
            tile.out[FIRST_LAG : FIRST_BAND + BANDS, i] = np.nan
