"""Disguises of power: training all the time, made to look like the claimed workload by clocks, burning and timing.

Each takes (training, what is known, strength from 0 to 1, random) and is pure but for the generator. A strength of 0 is
training undisguised, or as good as; 1 is as much as the disguise can do.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from inspectorate.mechanisms.workloads.telemetry.frame import Frame
from inspectorate.worlds.disguises_curve import CONTENTION, STAGGER_COST, Floats
from inspectorate.worlds.disguises_render import DisguisedRun, Known, Schedule, bridged, carry_out, power_of, steer

MEDIAN_S = 31.0
"""Dips are what lies below the median of this stretch: several steps of training, less than an evaluation."""
WAYS_MAX = 8
"""Workers out of step with one another: the chips of a node."""
PERIOD_MAX_S = 60.0
LAG_S = (10.0, 0.2)
"""How slowly power follows a command of the adversary at strength 0 and 1: capping loops act within 0.1 to 1 s, so that one
second later is within reach; 10 s is an adversary that steers by batches."""
TRACKING_ERROR = (0.05, 0.003)
"""Error of each step that is left, as a share of the range of power, at strength 0 and 1."""


def plain(training: Frame, known: Known, strength: float, random: np.random.Generator) -> DisguisedRun:
    """Nothing is done: training is called what it is not."""
    return carry_out(training, known, _at_full_speed(known))


def throttling(training: Frame, known: Known, strength: float, random: np.random.Generator) -> DisguisedRun:
    """A power cap, lowered from training's highest power to what the references' power mostly stays below."""
    own = power_of(training)
    top, target = float(own.max()), known.level(0.9)
    cap = top + strength * (min(target, top) - top)
    return carry_out(training, known, steer(training, known, lambda _, a: min(a, cap)))


def padding(training: Frame, known: Known, strength: float, random: np.random.Generator) -> DisguisedRun:
    """Burn kernels take time from training until its power never falls below the middle of the references."""
    floor = _raised(training, known.level(0.5), strength)
    return carry_out(training, known, steer(training, known, lambda _, a: max(a, floor)))


def valley_filling(training: Frame, known: Known, strength: float, random: np.random.Generator) -> DisguisedRun:
    """Burning only while training waits for the network or updates weights: dips are filled to training's own middle."""
    floor = _raised(training, float(np.median(power_of(training))), strength)
    return carry_out(training, known, steer(training, known, lambda _, a: max(a, floor), contention=CONTENTION))


def batch_games(training: Frame, known: Known, strength: float, random: np.random.Generator) -> DisguisedRun:
    """Small batches under the name of large ones: each level of power of training becomes the same rank of the references'.

    Throughput is taken to fall with power in proportion, which favours the adversary: small batches waste more.
    """
    own = np.sort(power_of(training))

    def wanted(_: int, a: float) -> float:
        return a + strength * (known.level(float(np.searchsorted(own, a)) / len(own)) - a)

    return carry_out(training, known, steer(training, known, wanted, by_duty=True))


def fused_updates(training: Frame, known: Known, strength: float, random: np.random.Generator) -> DisguisedRun:
    """Weights are updated within the backward pass, so that the dips of optimiser steps go; it costs nothing."""
    power = power_of(training)
    width = min(int(MEDIAN_S / training.step_s) | 1, len(power) - (1 - len(power) % 2))
    padded = np.pad(power, width // 2, mode="reflect") if width > 1 else power
    middle = np.median(sliding_window_view(padded, width), axis=1)
    lifted = np.where(power < middle, power + strength * (middle - power), power)
    return carry_out(_scaled(training, lifted / power), known, _at_full_speed(known))


def staggering(training: Frame, known: Known, strength: float, random: np.random.Generator) -> DisguisedRun:
    """Workers are spread over the step, so that what a meter above them sees is smooth.

    Where units are measured one by one each only runs at another phase, and only their sum is smooth.
    """
    ways = 1 + round(strength * (WAYS_MAX - 1))
    period = _period(power_of(training))
    units = len(training.units)
    values = np.empty_like(training.values)
    for number in range(len(training.signals)):
        series = bridged(training.values[number].astype(np.float64))
        if units == 1:
            shifts = [round(way * period / ways) for way in range(ways)]
            values[number] = np.mean([np.roll(series, shift, axis=0) for shift in shifts], axis=0)
            continue
        for unit in range(units):
            values[number, :, unit] = np.roll(series[:, unit], round((unit % ways) * period / ways))
    spread = Frame(
        units=training.units, signals=training.signals, start_ns=training.start_ns, step_ns=training.step_ns, values=values
    )  # fmt: skip
    schedule = _at_full_speed(known)
    run = carry_out(spread, known, schedule)
    kept = 1.0 - STAGGER_COST * (ways - 1) / (WAYS_MAX - 1)
    return DisguisedRun(reported=run.reported, true=None, throughput_kept=kept, extra_energy_share=1 / kept - 1)


def mimicry(training: Frame, known: Known, strength: float, random: np.random.Generator) -> DisguisedRun:
    """Training steered sample by sample after a reference trace, as far as clocks and burning reach and follow in time."""
    trace = known.references[int(random.integers(len(known.references)))]
    model = power_of(trace)
    begin = int(random.integers(len(model)))
    aim = model[(begin + np.arange(known.times)) % len(model)]
    lag_s = LAG_S[0] * (LAG_S[1] / LAG_S[0]) ** strength
    keep = float(np.exp(-training.step_s / lag_s))
    error = TRACKING_ERROR[0] * (TRACKING_ERROR[1] / TRACKING_ERROR[0]) ** strength
    noise = random.standard_normal(known.times) * error * (known.curve.peak_w - known.curve.idle_w)
    command = np.empty(known.times)
    now = aim[0]
    for k in range(known.times):
        now = keep * now + (1 - keep) * aim[k]
        command[k] = now
    command = np.clip(command + noise, known.curve.idle_w, known.curve.peak_w)
    return carry_out(training, known, steer(training, known, lambda k, _: float(command[k])))


def _at_full_speed(known: Known) -> Schedule:
    one, none = np.ones(known.times), np.zeros(known.times)
    return Schedule(train=one, clock=one, burn=none, serve=none, progress=one)


def _raised(training: Frame, target: float, strength: float) -> float:
    low = float(power_of(training).min())
    return low + strength * max(target - low, 0.0)


def _scaled(training: Frame, factor: Floats) -> Frame:
    """Power and busy shares by a factor per step; what else is measured stays."""
    values = training.values.copy()
    for number, signal in enumerate(training.signals):
        if signal == "power_w":
            values[number] *= factor[:, None]
        elif signal.endswith("busy_share"):
            values[number] = np.minimum(values[number] * factor[:, None], 1.0)
    return Frame(
        units=training.units, signals=training.signals, start_ns=training.start_ns, step_ns=training.step_ns, values=values
    )  # fmt: skip


def _period(power: Floats) -> float:
    """The step of training in samples: the strongest repetition of its power, two samples where there is none."""
    centred = power - power.mean()
    longest = min(int(PERIOD_MAX_S), len(power) // 2)
    if longest < 3 or not centred.any():
        return 2.0
    repeats = [float((centred[lag:] * centred[:-lag]).sum()) for lag in range(2, longest)]
    return float(2 + int(np.argmax(repeats)))
