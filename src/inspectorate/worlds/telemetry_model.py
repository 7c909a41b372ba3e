"""What chips, nodes and racks of a simulated site draw, from the work that they do. Every number with its reason.

    work -> busy share of each chip -> power of each chip -> power of the node before its supply -> power of the rack

- A pod works for its clients as its traffic says: tokens that it answers, prompts that it reads, work handed over by peers.
- Training takes what requests leave of the chips, in steps: long arithmetic, then a dip while gradients travel.
- Chips differ by a little and drift slowly; meters read with their own gain and noise, fixed for the meter.

A pod here is two processor cores, and so are its watts; shapes matter, not sizes. No series is a recording of anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Draw = Callable[[str], np.random.Generator]
"""A generator for each purpose."""

CHIP_SIGNALS = ("power_w", "busy_share", "memory_used_bytes")
POWER_SIGNALS = ("power_w",)
STEP_S = 1.0
"""DCGM's own default, and what most meters of nodes give."""

# --- one chip
IDLE_W, BUSY_W = 6.0, 14.0
"""A core of a server processor: idle share of the package, and what serving adds when the core is always busy."""
TRAINING_W = 19.0
"""What training adds: vector units at work all the time, about a third more than memory-bound serving."""
SERVING_EXPONENT = 0.9
"""Power rises a little faster at low load, when clocks come up, than near full load."""
BUSY_NOISE, POWER_NOISE_W = 0.015, 0.25
"""Of one reading of a second."""
DRIFT_W, DRIFT_TIME_S = 0.3, 60.0
"""Temperature and housekeeping, as a first-order process."""
CHIP_SPREAD = 0.02
"""Chips of one model differ in power by this (standard deviation)."""
MIB = 2.0**20
WORKING_BYTES, CACHE_BYTES, OPTIMISER_BYTES = 2e9, 1.5e9, 4e9
"""Weights; what a full load of requests keeps at hand; what training keeps beside."""

# --- training
STEP_TIME_S = (4.0, 12.0)
DIP_SHARE, DIP_LEVEL = (0.1, 0.25), (0.1, 0.4)
"""A step's share in which gradients travel, and how busy chips are meanwhile."""

# --- work of requests
PROMPT_WEIGHT = 0.5
"""A byte of a prompt at the limit of the link costs half of what a token answered at that limit costs."""
SMOOTHING_S = 2.0
"""Batching and queues spread the work of a token over about this."""

# --- nodes and racks
BASE_W, EFFICIENCY = 12.0, 0.92
"""Fans, memory and board of a node; its power supply."""
RACK_LOSS = 1.01
POWER_DIGIT_W = 0.1
"""Last digit of every meter of power."""
GAIN_ERROR = 0.005
"""A meter's own gain (standard deviation), fixed: class 0.5 of IEC 62053."""
NODE_NOISE_W, RACK_NOISE_W = 0.4, 1.0
NODE_LAG_S, RACK_LAG_S = 0.3, 2.0
"""Power supplies and rack units smooth what they pass on."""
NODE_BANDWIDTH_HZ, RACK_BANDWIDTH_HZ = 0.5, 0.08
"""1 / (2 pi lag), the first cut at half of the sampling rate."""


def draws(seed: int) -> Draw:
    """One generator per purpose, so that drawing more for one changes nothing for the others."""

    def draw(purpose: str) -> np.random.Generator:
        number = int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:8], "big")
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, number])))

    return draw


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The chips of one pod and the meters above them: what stays the same for all time."""

    gains: tuple[float, ...]
    """Power of each chip as a multiple of the model's."""
    node_gain: float

    @classmethod
    def draw(cls, chips: int, random: np.random.Generator) -> Machine:
        gains = 1 + CHIP_SPREAD * random.standard_normal(chips)
        return cls(
            gains=tuple(float(gain) for gain in gains), node_gain=float(1 + GAIN_ERROR * random.standard_normal())
        )


def chips_of(serving: Floats, training: Floats, machine: Machine, random: np.random.Generator) -> Floats:
    """Signals of the chips of a pod, shape (signals, times, chips), from shares of their time: serving and training, (times,)."""
    times, chips = len(serving), len(machine.gains)
    serving = np.clip(serving, 0.0, 1.0)
    own = np.clip(serving[:, None] * (1 + 0.05 * random.standard_normal((times, chips))), 0.0, 1.0)
    training = np.minimum(training, 1 - serving)[:, None]
    power = IDLE_W + BUSY_W * own**SERVING_EXPONENT + TRAINING_W * training
    power = power * np.array(machine.gains) + POWER_NOISE_W * random.standard_normal((times, chips))
    power += DRIFT_W * first_order(random.standard_normal((times, chips)), DRIFT_TIME_S, unit_variance=True)
    busy = np.clip(own + training + BUSY_NOISE * random.standard_normal((times, chips)), 0.0, 1.0)
    held = WORKING_BYTES + CACHE_BYTES * first_order(own, SMOOTHING_S * 5)
    active = np.flatnonzero(training[:, 0] > 0)
    if len(active):
        held[active[0] : active[-1] + 1] += OPTIMISER_BYTES
    power = rounded(np.maximum(power, 0.5), POWER_DIGIT_W)
    return np.stack([power, rounded(busy, 0.01), rounded(held, MIB)])


def node_of(chips: Floats, machine: Machine, random: np.random.Generator) -> Floats:
    """What the meter at a node's inlet reads, shape (times,), from `chips_of`."""
    drawn = first_order((chips[0].sum(axis=1, keepdims=True) + BASE_W) / EFFICIENCY, NODE_LAG_S)[:, 0]
    return rounded(drawn * machine.node_gain + NODE_NOISE_W * random.standard_normal(len(drawn)), POWER_DIGIT_W)


def rack_of(nodes: list[Floats], gain: float, random: np.random.Generator) -> Floats:
    """What the meter of a rack reads of the nodes behind it, shape (times,)."""
    drawn = first_order(np.sum(nodes, axis=0)[:, None] * RACK_LOSS, RACK_LAG_S)[:, 0]
    return rounded(drawn * gain + RACK_NOISE_W * random.standard_normal(len(drawn)), POWER_DIGIT_W)


def training_of(times: int, random: np.random.Generator) -> Floats:
    """Share of the time in which chips that only train do so, shape (times,): steps with dips, each second a mean."""
    step_s, dip = float(random.uniform(*STEP_TIME_S)), float(random.uniform(*DIP_SHARE))
    level, parts = float(random.uniform(*DIP_LEVEL)), 20
    at = (np.arange(times * parts) / parts + random.uniform(0, step_s)) % step_s
    active = np.where(at < step_s * (1 - dip), 1.0, level).reshape(times, parts)
    mean: Floats = active.mean(axis=1)
    return mean


def first_order(values: Floats, lag_s: float, *, unit_variance: bool = False) -> Floats:
    """Each column (times, n) after a first-order lag that had settled on the first value.

    With `unit_variance`, white noise of variance 1 becomes a first-order process of variance 1.
    """
    keep = float(np.exp(-STEP_S / lag_s))
    length = max(1, int(12 * lag_s / STEP_S))
    scale = np.sqrt(1 - keep**2) if unit_variance else 1 - keep
    response = scale * keep ** np.arange(length)
    times = len(values)
    before = np.zeros if unit_variance else np.ones
    padded = np.concatenate([before((length - 1, 1)) * values[:1], values])
    size = 1 << (len(padded) + length - 1).bit_length()
    spectrum = np.fft.rfft(padded, size, axis=0) * np.fft.rfft(response, size)[:, None]
    found: Floats = np.fft.irfft(spectrum, size, axis=0)[length - 1 : length - 1 + times]
    return found


def rounded(values: Floats, step: float) -> Floats:
    """What a display of so many digits shows."""
    return np.round(values / step) * step
