"""From what was observed to what was used at most: one function per source, and how they are put together.

Rules:

1. A reading is an upper bound, as far as its source can be trusted. Where a source is missing or contradicts itself, the most that
   was possible in that time is put in its place, and never zero.
2. The smallest upper bound counts, and it is worth as much as the source that gave it; so the source is always named. Who trusts no
   chip's own counters says so (`trusted`), and then they are not asked.
3. What a workload counts of itself bounds only from below. (Counted operators leave out fused kernels: for one model in
   `inference_mode`, 33.6 of 436 MFLOP were counted.)
4. A lower bound above an upper bound means that one of the two lies. That is returned as a refusal, not smoothed over.
5. Tokens times FLOP per token is what *requests* used. It prices requests; it bounds nothing, since a server may do other work.

Bounds by the clock are the only ones here that need nobody's word but the interlock's: held means frozen, or no way in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from inspectorate.mechanisms.guarantee.events import EventKind, Refusal
from inspectorate.mechanisms.guarantee.metering.counters import (
    CpuSample,
    EnergySample,
    cpu_rise_s,
    energy_rise_j,
)
from inspectorate.mechanisms.guarantee.metering.types import TRUST, AtLeast, MeterKind, Reading, Source, least_trusted

CONTRADICTION_SLACK = 1e-9
"""A lower bound may exceed an upper one by this share: the rounding of doubles, and nothing else."""


@dataclass(frozen=True, kw_only=True)
class Ceilings:
    """The most that the chips of one processor can do, as declared and taken from data sheets."""

    flop_per_s: float
    """All chips together, dense, in the fastest number format that counts."""
    power_w: float | None = None
    """The most that the meter of energy can see drawn: all chips, or the whole machine. None: no meter of energy can be used."""
    j_per_flop: float | None = None
    """The least energy that one FLOP takes, at full load; a smaller one bounds more safely. None: energy bounds no FLOP."""
    flop_per_core_s: float | None = None
    """Where the chips are the host's own cores: FLOP/s of one. None: CPU time bounds nothing."""
    cores: int = 0

    def __post_init__(self) -> None:
        numbers = (self.flop_per_s, self.power_w, self.j_per_flop)
        if not all(0 < number < float("inf") for number in numbers if number is not None):
            raise ValueError("ceilings must be finite and above zero")
        if self.flop_per_core_s is not None and not (self.flop_per_core_s > 0 and self.cores > 0):
            raise ValueError("cores that compute need a rate and a number")


# --- one source each ----------------------------------------------------------------------------------------------------


def path_bytes(meter: MeterKind, octets: int) -> Reading:
    """Bytes that the processor itself passed on: no more and no less."""
    return Reading(meter=meter, used=float(octets), at_least=float(octets), source=Source.PATH)


def clock_wall(not_held_s: float) -> Reading:
    """Time in which the chips were not held."""
    return Reading(meter=MeterKind.WALL_S, used=not_held_s, at_least=not_held_s, source=Source.CLOCK)


def clock_flop(not_held_s: float, ceilings: Ceilings) -> Reading:
    return Reading(meter=MeterKind.FLOP, used=not_held_s * ceilings.flop_per_s, source=Source.CLOCK)


def clock_energy(not_held_s: float, ceilings: Ceilings, *, held_s: float = 0.0) -> Reading:
    """Held chips draw power too, at most as much as others."""
    return Reading(meter=MeterKind.ENERGY_J, used=(not_held_s + held_s) * _power_w(ceilings), source=Source.CLOCK)


def _power_w(ceilings: Ceilings) -> float:
    if ceilings.power_w is None:
        raise ValueError(
            "energy needs the most power that can be drawn: without it a lost counter could not be bounded"
        )
    return ceilings.power_w


def kernel_flop(before: CpuSample | None, after: CpuSample | None, ceilings: Ceilings, *, not_held_s: float) -> Reading:
    """FLOP of the host's own cores by the CPU time of their control group; the clock's bound where that is not known.

    Work outside the group is not in it: that nothing computes there is for the interlock to see to.
    """
    rise_s = cpu_rise_s(before, after)
    if rise_s is None or ceilings.flop_per_core_s is None:
        return clock_flop(not_held_s, ceilings)
    return Reading(meter=MeterKind.FLOP, used=rise_s * ceilings.flop_per_core_s, source=Source.KERNEL)


@dataclass(frozen=True, kw_only=True)
class EnergyMeter:
    """A cumulative counter of energy, and what is known of it."""

    source: Source
    """CHIP for NVML, KERNEL for powercap, OUTSIDE for a power distribution unit."""
    wraps_after_uj: int | None = None
    lag_s: float = 0.1
    """How old a value may be when it is read. NVML renews it every 20 to 100 ms."""


def energy(
    before: EnergySample | None, after: EnergySample | None, meter: EnergyMeter, ceilings: Ceilings, *, passed_s: float
) -> Reading:
    """Energy between two samples, with what a stale counter may not yet show; the clock's bound where it is not known.

    The slack counts once per pair of samples, so take them once per period rather than once per tick.
    """
    rise_j = energy_rise_j(before, after, power_w_max=_power_w(ceilings), wraps_after_uj=meter.wraps_after_uj)
    if rise_j is None:
        return clock_energy(passed_s, ceilings)
    slack_j = meter.lag_s * _power_w(ceilings)
    return Reading(
        meter=MeterKind.ENERGY_J, used=rise_j + slack_j, at_least=max(0.0, rise_j - slack_j), source=meter.source
    )


def energy_flop(reading: Reading, ceilings: Ceilings) -> Reading:
    """FLOP that so much energy can have paid for at most. What idling took is counted as work."""
    if reading.meter is not MeterKind.ENERGY_J:
        raise ValueError(f"{reading.meter.value} is not energy")
    if ceilings.j_per_flop is None:
        raise ValueError("it is not known what a FLOP takes at least")
    return Reading(meter=MeterKind.FLOP, used=reading.used / ceilings.j_per_flop, source=reading.source)


def operators(counted_flop: float) -> AtLeast:
    """FLOP that a workload counted of its own operators: a lower bound, and only by its own word."""
    return AtLeast(meter=MeterKind.FLOP, at_least=counted_flop, source=Source.WORKLOAD)


def request_flop(tokens: int, flop_per_token: float) -> float:
    """The price of a request in FLOP, by the listed model's own figure: what is reserved and settled for it. No bound."""
    return tokens * flop_per_token


# --- together -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Combined:
    """One meter over one time, by all sources together."""

    reading: Reading
    """The smallest upper bound with its source, and the greatest lower bound, which never exceeds it."""
    contradiction: Refusal | None = None
    """Of kind TAMPERED: some source said that more was used than another says can have been."""


def combine(
    readings: Iterable[Reading], at_least: Iterable[AtLeast] = (), *, trusted: Source = Source.WORKLOAD
) -> Combined:
    """Put readings of one meter over one time together. `trusted` is the least trusted source that may bound from above.

    In a contradiction the upper bound is the smallest that is not below the lower bound, and the lower bound itself if none is:
    whoever lies, no more is believed than was contradicted. Raises `ValueError` if nothing bounds the meter from above.
    """
    given = list(readings)
    lowers = [(one.at_least, one.source, one.meter) for one in given]
    lowers += [(one.at_least, one.source, one.meter) for one in at_least]
    uppers = sorted(
        (one for one in given if TRUST.index(one.source) <= TRUST.index(trusted)),
        key=lambda one: (one.used, TRUST.index(one.source)),
    )
    if not uppers:
        raise ValueError("nothing bounds the meter from above: pass the clock's bound")
    meter = uppers[0].meter
    if any(one is not meter for _, _, one in lowers):
        raise ValueError("readings of several meters")
    lower, sayer, _ = max(lowers, key=lambda one: one[0])
    best = uppers[0]
    if lower <= best.used * (1 + CONTRADICTION_SLACK):
        return Combined(reading=best.model_copy(update={"at_least": min(lower, best.used)}))
    why = f"{sayer.value} says that at least {lower:g} of {meter.value} was used, {best.source.value} at most {best.used:g}"
    above = next((one for one in uppers if one.used >= lower), uppers[-1])
    held = above.model_copy(update={"used": max(above.used, lower), "at_least": lower})
    return Combined(reading=held, contradiction=Refusal(kind=EventKind.TAMPERED, why=why))


@dataclass(frozen=True, kw_only=True)
class Accumulated:
    """What a period came to so far, and what contradicted itself in the last tick."""

    readings: dict[MeterKind, Reading]
    refusals: tuple[Refusal, ...] = ()


def accumulate(
    so_far: Mapping[MeterKind, Reading],
    readings: Iterable[Reading],
    at_least: Iterable[AtLeast] = (),
    *,
    trusted: Source = Source.WORKLOAD,
) -> Accumulated:
    """Add the readings of one tick to those of the period.

    Sources are combined within the tick and then added: a source that is missing in one tick would make a smaller sum, and no
    bound. The period's source is the least trusted that any tick had to rely on. Raises `ValueError` if a meter that had readings
    before has none now: a gap is no zero.
    """
    by_meter: dict[MeterKind, tuple[list[Reading], list[AtLeast]]] = {}
    for one in readings:
        by_meter.setdefault(one.meter, ([], []))[0].append(one)
    for lower in at_least:
        by_meter.setdefault(lower.meter, ([], []))[1].append(lower)
    missing = set(so_far) - set(by_meter)
    if missing:
        raise ValueError(f"no reading of {', '.join(sorted(missing))}: pass the clock's bound")
    combined = {meter: combine(*by_meter[meter], trusted=trusted) for meter in MeterKind if meter in by_meter}
    return Accumulated(
        readings={meter: added(so_far.get(meter), one.reading) for meter, one in combined.items()},
        refusals=tuple(one.contradiction for one in combined.values() if one.contradiction is not None),
    )


def added(before: Reading | None, reading: Reading) -> Reading:
    """Two readings of one meter over two times, one after the other."""
    if before is None:
        return reading
    if before.meter is not reading.meter:
        raise ValueError("readings of several meters")
    return Reading(
        meter=reading.meter,
        used=before.used + reading.used,
        at_least=before.at_least + reading.at_least,
        source=least_trusted(before.source, reading.source),
    )
