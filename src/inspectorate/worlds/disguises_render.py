"""A schedule of chips, and what meters would show of it.

In every step chips train (`train`, at `clock`), burn (`burn`), serve the claimed workload (`serve`) or idle: shares of the
time that add up to at most 1. `progress` is how much training was done, in steps of undisguised training. All units follow
one schedule, because training keeps its chips together.

Signals other than power are changed with it: busy shares by the shares of time, rates of bytes by the progress, clocks by
the clock, memory is held by whoever runs at any time, and temperature follows power slowly. Gaps of recordings are bridged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from inspectorate.mechanisms.workloads.telemetry.frame import Frame
from inspectorate.worlds.disguises_curve import DROPOUT_W, Floats, PowerCurve

TEMPERATURE_LAG_S = 30.0
"""Heat sinks follow power this slowly: assumed."""
ROUNDS = 3
"""Rounds in which the pace of a step and its power are made to agree."""
BURN_MEMORY_BUSY = 0.05
"""Burn kernels live in registers."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Known:
    """What the adversary has: the enrolled references, the genuine load that it really serves, and the machine.

    `cover` is a run of the claimed workload that is not enrolled; `times` is how many steps the verifier observes.
    """

    references: tuple[Frame, ...]
    cover: Frame
    curve: PowerCurve
    times: int

    @cached_property
    def levels(self) -> Floats:
        """All power of the references, sorted."""
        return np.sort(np.concatenate([power_of(frame) for frame in self.references]))

    def level(self, share: float) -> float:
        """The power below which the references are for this share of their time: the nearest that was measured."""
        return float(self.levels[min(int(share * len(self.levels)), len(self.levels) - 1)])


@dataclass(frozen=True, kw_only=True, eq=False)
class Schedule:
    """What chips do in each step, shape (times,) each."""

    train: Floats
    clock: Floats
    burn: Floats
    serve: Floats
    progress: Floats

    @property
    def edges(self) -> Floats:
        """How much training was done before each step and at the end, shape (times + 1,)."""
        return np.concatenate(([0.0], np.cumsum(self.progress)))


@dataclass(frozen=True, kw_only=True, eq=False)
class DisguisedRun:
    """What the verifier is shown, and what it cost.

    `true` is what a second meter shows of the same time where that differs. `throughput_kept` is in shares of undisguised
    training; `extra_energy_share` is what the same training cost beyond undisguised training.
    """

    reported: Frame
    true: Frame | None
    throughput_kept: float
    extra_energy_share: float


def bridged(values: Floats) -> Floats:
    """A series (times,) or (times, units) without gaps, dropouts to zero counted as gaps if the series is power."""
    table = np.array(values, dtype=np.float64).reshape(len(values), -1)
    index = np.arange(len(table))
    for column in table.T:
        good = np.isfinite(column)
        if not good.all():
            column[:] = np.interp(index, index[good], column[good]) if good.any() else 0.0
    found: Floats = table.reshape(values.shape)
    return found


def power_of(frame: Frame) -> Floats:
    """Mean power over units, shape (times,), without gaps and dropouts."""
    values = frame.of("power_w").astype(np.float64)
    values[~(values > DROPOUT_W)] = np.nan
    mean: Floats = bridged(values).mean(axis=1)
    return mean


def played(values: Floats, edges: Floats) -> Floats:
    """A recording (times, units) played over again at its own pace: means between `edges`, shape (len(edges) - 1, units)."""
    length = len(values)
    total = np.concatenate((np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)))

    def until(x: Floats) -> Floats:
        turns, rest = np.divmod(x, length)
        low = np.minimum(rest.astype(np.int64), length - 1)
        inside: Floats = total[low] + (rest - low)[:, None] * values[low] + turns[:, None] * total[-1]
        return inside

    span = np.diff(edges)
    mean = np.diff(until(edges), axis=0) / np.where(span > 0, span, 1)[:, None]
    still = values[edges[:-1].astype(np.int64) % length]
    found: Floats = np.where((span > 1e-9)[:, None], mean, still)
    return found


def steer(
    training: Frame,
    known: Known,
    wanted: Callable[[int, float], float],
    *,
    by_duty: bool = False,
    contention: float = 1.0,
) -> Schedule:
    """Bring the power of training in step k from `a` to `wanted(k, a)`: down by the clock (or by duty), up by burning.

    `contention` is the share of the burning that training is delayed by.
    """
    power, curve, times = power_of(training), known.curve, known.times
    table = np.zeros((4, times))
    position, total = 0.0, np.concatenate(([0.0], np.cumsum(power))).tolist()

    def until(x: float) -> float:
        turns, rest = divmod(x, len(power))
        low = int(rest)
        return float(turns * total[-1] + total[low] + (rest - low) * power[low])

    for k in range(times):
        progress = 1.0
        for _ in range(ROUNDS):
            # What is done in this step depends on its power, and its power on what is done in it.
            ahead = max(progress, 1e-3)
            a = (until(position + ahead) - until(position)) / ahead
            aim = float(wanted(k, a))
            if aim < a and by_duty:
                clock, train, burn = 1.0, max(aim - curve.idle_w, 0.0) / max(a - curve.idle_w, 1e-9), 0.0
            elif aim < a:
                (clock, train), burn = curve.throttle(a, aim), 0.0
            else:
                clock, burn = 1.0, curve.burn(a, aim)
                train = 1.0 - burn
            progress = clock * train if burn == 0.0 else 1.0 - contention * burn
        table[:, k] = train, clock, burn, progress
        position += progress
    return Schedule(train=table[0], clock=table[1], burn=table[2], serve=np.zeros(times), progress=table[3])


def beside(known: Known, share: Floats) -> Schedule:
    """Training for a share of each step, and the claimed workload for the rest."""
    share = np.clip(share, 0.0, 1.0)
    return Schedule(
        train=share, clock=np.ones(known.times), burn=np.zeros(known.times), serve=1.0 - share, progress=share
    )


def carry_out(training: Frame, known: Known, schedule: Schedule) -> DisguisedRun:
    """What meters show of a schedule, and its price."""
    power = power_of(training)
    own = played(power[:, None], schedule.edges)[:, 0]
    curve = known.curve
    idle_share = 1.0 - schedule.train - schedule.burn - schedule.serve
    spent = schedule.train * (curve.idle_w + (own - curve.idle_w) * schedule.clock**curve.exponent)
    spent += schedule.burn * curve.peak_w + idle_share * curve.idle_w
    done = float(schedule.progress.sum())
    undisguised = float((own * schedule.progress).sum())
    return DisguisedRun(
        reported=shown(training, known, schedule),
        true=None,
        throughput_kept=done / known.times,
        extra_energy_share=float(spent.sum()) / undisguised - 1.0 if done > 0 else 0.0,
    )


def shown(training: Frame, known: Known, schedule: Schedule) -> Frame:
    """All signals of a schedule, as far as both the training and the claimed workload have them."""
    signals = tuple(s for s in training.signals if not schedule.serve.any() or s in known.cover.signals)
    units = len(training.units)
    over = np.arange(known.times + 1, dtype=np.float64)
    values = np.empty((len(signals), known.times, units))
    for number, signal in enumerate(signals):
        own = played(_recorded(training, signal), schedule.edges)
        served = np.zeros_like(own)
        if schedule.serve.any():
            cover = played(_recorded(known.cover, signal), over)
            served = cover[:, np.arange(units) % cover.shape[1]]
        values[number] = _mixed(signal, own, served, schedule, known.curve)
    if "temperature_c" in signals:
        at = signals.index("temperature_c")
        values[at] = _temperature(
            values[signals.index("power_w")], _recorded(training, "temperature_c"), known.curve, training.step_s
        )
    return Frame(
        units=training.units,
        signals=signals,
        start_ns=known.cover.start_ns,
        step_ns=training.step_ns,
        values=np.ascontiguousarray(values.astype(np.float32)),
    )


def _recorded(frame: Frame, signal: str) -> Floats:
    values = frame.of(signal).astype(np.float64)
    if signal == "power_w":
        values[~(values > DROPOUT_W)] = np.nan
    return bridged(values)


def _mixed(signal: str, own: Floats, served: Floats, schedule: Schedule, curve: PowerCurve) -> Floats:
    """One signal of training, serving, burning and idling, by shares of time, shape (times, units)."""
    train, clock, burn, serve = (
        part[:, None] for part in (schedule.train, schedule.clock, schedule.burn, schedule.serve)
    )
    idle = 1.0 - train - burn - serve
    if signal == "power_w":
        worked = curve.idle_w + (own - curve.idle_w) * clock**curve.exponent
        return train * worked + burn * curve.peak_w + serve * served + idle * curve.idle_w
    if signal in ("memory_used_bytes", "resident_bytes"):
        held: Floats = np.maximum(own * float(schedule.train.any()), served * float(schedule.serve.any()))
        return held
    if signal in ("core_clock_hz", "memory_clock_hz"):
        full = np.maximum(own, served)
        slowed = own * clock if signal == "core_clock_hz" else own
        return train * slowed + serve * served + (burn + idle) * full
    burning = {"memory_busy_share": BURN_MEMORY_BUSY, "busy_share": 1.0, "tensor_busy_share": 1.0}.get(signal, 0.0)
    if signal == "cpu_busy_cores":
        burning = float(own.max(initial=0.0))
    # A busy share counts time and so does not fall with the clock; bytes and memory traffic do.
    pace = np.ones_like(clock) if signal in ("busy_share", "tensor_busy_share", "cpu_busy_cores") else clock
    mixed: Floats = train * own * pace + burn * burning + serve * served
    return mixed


def _temperature(power: Floats, recorded: Floats, curve: PowerCurve, step_s: float) -> Floats:
    low, high = float(recorded.min()), float(recorded.max())
    aim = low + (high - low) * (power - curve.idle_w) / (curve.peak_w - curve.idle_w)
    keep = float(np.exp(-step_s / TEMPERATURE_LAG_S))
    found = np.empty_like(aim)
    now = aim[0]
    for k in range(len(aim)):
        now = keep * now + (1 - keep) * aim[k]
        found[k] = now
    return found
