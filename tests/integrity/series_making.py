"""Series to test with: loads of training and serving, and meters that measure them. Seeds come in; nothing is read from a clock."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.workloads.integrity.series import Series

START_NS = 1_767_225_600_000_000_000
Array = NDArray[np.float64]


def load(rng: np.random.Generator, seconds: int, *, idle_s: int = 60) -> Array:
    """Power [W] of a node that idles, then trains in steps of changing length, once a second."""
    power = np.full(seconds, 2200.0)
    at = idle_s
    while at < seconds:
        step = int(rng.integers(7, 13))
        power[at : at + step] = 6000 + 300 * rng.standard_normal()
        power[at : at + 2] -= 1200
        at += step
    return power


def measured(rng: np.random.Generator, power: Array, *, noise: float = 25.0, grid: float = 1.0) -> Array:
    """What a sensor makes of it."""
    values: Array = np.round((power + noise * rng.standard_normal(len(power))) / grid) * grid
    return values


def behind_supply(rng: np.random.Generator, power: Array, *, noise: float = 25.0) -> Array:
    """An AC reading of a DC load: smoothed over three seconds, five per cent more."""
    smooth = np.convolve(np.pad(power, (3, 1), mode="edge"), np.array([0.18, 0.36, 0.25, 0.15, 0.06]), mode="valid")
    return measured(rng, 1.05 * smooth + 40, noise=noise)


def series(name: str, values: Array, *, start_s: float = 0.0, step_s: float = 1.0) -> Series:
    at = START_NS + np.round((start_s + step_s * np.arange(len(values))) * 1e9).astype(np.int64)
    return Series(name=name, time_ns=at, values=np.asarray(values, dtype=np.float64))
