"""Disguises of time: training beside the claimed workload that is really served, and history shown in place of the present.

Each takes (training, what is known, strength from 0 to 1, random). A strength of 0 leaves the most to training, 1 the least;
the words of each disguise say how much that is.
"""

from __future__ import annotations

import numpy as np

from inspectorate.mechanisms.workloads.telemetry.frame import Frame
from inspectorate.worlds.disguises_curve import DROPOUT_W
from inspectorate.worlds.disguises_power import plain
from inspectorate.worlds.disguises_render import DisguisedRun, Known, beside, carry_out, power_of

SLICE_S = 5.0
"""Length of a slice: shorter ones lose too much to the swapping of weights and caches."""
SLICE_SHARE = (0.5, 0.01)
LORA_SHARE = (0.3, 0.01)
JITTER = 0.1
"""The share of a micro-batch varies with the requests beside it."""
RAMP_END = (1.0, 0.05)
BURST_S = 30.0
BURST_SHARE = (0.5, 0.005)
METER_NOISE = 0.002
"""Fresh noise of a replay at full strength, as a share of the reading: enough that no two values are equal, and below what
loads vary by from second to second."""


def share_at(ends: tuple[float, float], strength: float) -> float:
    """From the share at strength 0 to that at 1, in equal factors."""
    return ends[0] * float((ends[1] / ends[0]) ** strength)


def time_slicing(training: Frame, known: Known, strength: float, random: np.random.Generator) -> DisguisedRun:
    """Slices of training where the claimed workload is quietest: one in each stretch of slice / duty."""
    duty = share_at(SLICE_SHARE, strength)
    slice_ = max(1, round(SLICE_S / training.step_s))
    stretch = max(slice_ + 1, round(slice_ / duty))
    load = np.resize(power_of(known.cover), known.times)
    share = np.zeros(known.times)
    for begin in range(int(random.integers(stretch)) - stretch, known.times, stretch):
        first, last = max(begin, 0), min(begin + stretch, known.times)
        if last - first < slice_:
            continue
        sums = np.convolve(load[first:last], np.ones(slice_), mode="valid")
        share[first + int(np.argmin(sums)) :][:slice_] = 1.0
    return carry_out(training, known, beside(known, share))


def micro_batches(training: Frame, known: Known, strength: float, random: np.random.Generator) -> DisguisedRun:
    """Micro-batches of low-rank training between those of real inference: a small share of every second."""
    duty = share_at(LORA_SHARE, strength)
    share = duty * np.maximum(1 + JITTER * random.standard_normal(known.times), 0.0)
    return carry_out(training, known, beside(known, share))


def slow_ramp(training: Frame, known: Known, strength: float, random: np.random.Generator) -> DisguisedRun:
    """Training comes in so slowly that it may pass for drift: its share grows evenly over all that is observed."""
    end = share_at(RAMP_END, strength)
    return carry_out(training, known, beside(known, end * np.linspace(0.0, 1.0, known.times)))


def rare_bursts(training: Frame, known: Known, strength: float, random: np.random.Generator) -> DisguisedRun:
    """Training at full speed for half a minute at a time, seldom and at any time."""
    duty = share_at(BURST_SHARE, strength)
    total = max(1, round(duty * known.times))
    length = min(max(1, round(BURST_S / training.step_s)), total)
    count = max(1, round(total / length))
    share = np.zeros(known.times)
    # One burst somewhere in each of `count` equal stretches.
    for one in np.array_split(np.arange(known.times), count):
        begin = int(one[0] + random.integers(max(1, len(one) - length + 1)))
        share[begin : begin + length] = 1.0
    return carry_out(training, known, beside(known, share))


def replay(training: Frame, known: Known, strength: float, random: np.random.Generator) -> DisguisedRun:
    """The meter shows inference of earlier, as it was at strength 0 and with fresh noise above, while chips only train."""
    earlier = known.references[int(random.integers(len(known.references)))]
    shape = (known.times, len(training.units))
    begin = int(random.integers(max(1, earlier.times - known.times + 1)))
    rows = (begin + np.arange(known.times)) % earlier.times
    columns = np.arange(shape[1]) % len(earlier.units)
    values = earlier.values[:, rows][:, :, columns].astype(np.float64)
    for number, signal in enumerate(earlier.signals):
        if signal == "power_w":
            values[number][~(values[number] > DROPOUT_W)] = np.nan
        values[number] *= 1 + strength * METER_NOISE * random.standard_normal(shape)
    reported = Frame(
        units=training.units,
        signals=earlier.signals,
        start_ns=known.cover.start_ns,
        step_ns=training.step_ns,
        values=np.ascontiguousarray(values.astype(np.float32)),
    )
    real = plain(training, known, 0.0, random)
    return DisguisedRun(reported=reported, true=real.reported, throughput_kept=1.0, extra_energy_share=0.0)
