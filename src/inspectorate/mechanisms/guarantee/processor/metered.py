"""What was used since the last look, by every source that this machine has.

Sources for FLOP, each an upper bound, of which the smallest counts: the clock (time not held, at the declared peak); the CPU time
of the control group in which the server runs, where the chips are the host's own cores; a counter of energy. Bytes are the path's.

A report covers a stretch of the clock; looks cover time that passed while this process ran. Where the clock is ahead of both, after
a start or because it was set forward, the most that was possible is put in the place of what nobody saw (`Looked.unseen`). Else a
processor that was stopped for a day would vouch for that day with what it metered in the minute after.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from inspectorate.mechanisms.guarantee.events import Refusal
from inspectorate.mechanisms.guarantee.machine.serving import Looked
from inspectorate.mechanisms.guarantee.metering import meters
from inspectorate.mechanisms.guarantee.metering.counters import (
    CpuSample,
    EnergySample,
    powercap_range,
    read_cpu,
    read_powercap,
)
from inspectorate.mechanisms.guarantee.metering.meters import Ceilings, EnergyMeter
from inspectorate.mechanisms.guarantee.metering.types import MeterKind, Reading, Source
from inspectorate.mechanisms.guarantee.processor.config import Chips

POWERCAP_LAG_S = 0.01
"""How old a powercap counter may be: hardware renews it about every millisecond (Intel SDM vol. 3B, 15.10), with room to spare."""


_AHEAD_S = 0.1
"""The two clocks are read one after the other: so little between them is no gap."""


@dataclass(kw_only=True)
class Meters:
    """Looks at the sources, one tick after another. One thread."""

    chips: Chips
    group: Callable[[], Path | None]
    """The control group in which the work runs now; none while nothing runs."""
    monotonic: Callable[[], float]
    clock: Callable[[], datetime]
    watched_from: datetime
    """The clock when looking began, or when an earlier life last saved what it had seen."""
    watched_s: float = 0.0
    """Time since then that looks covered, or for which the most was put in place."""
    at_s: float | None = None
    held_before: bool = True
    cpu: CpuSample | None = None
    energy: EnergySample | None = None
    contradictions: list[Refusal] = field(default_factory=list)

    @property
    def kinds(self) -> frozenset[MeterKind]:
        """What is metered here, with what the path counts. A budget of anything else would last for ever."""
        always = {MeterKind.FLOP, MeterKind.WALL_S, MeterKind.BYTES_IN, MeterKind.BYTES_OUT}
        return frozenset({*always, MeterKind.ENERGY_J} if self.chips.power_w_max is not None else always)

    def look(self, *, held: bool) -> Looked:
        """What was used since the last look. A stretch counts as held only if work was held (`held`) at both of its ends."""
        now = self.monotonic()
        passed_s = max(0.0, now - self.at_s) if self.at_s is not None else 0.0
        held_s = passed_s if held and self.held_before else 0.0
        not_held_s = passed_s - held_s
        self.at_s, self.held_before = now, held
        readings = {MeterKind.WALL_S: meters.clock_wall(not_held_s)}
        ceilings = self._ceilings()
        flop = [meters.clock_flop(not_held_s, ceilings)]
        folder = self.group()
        cpu = read_cpu(folder, at_s=now) if folder is not None else None
        if self.chips.cores is not None:
            flop.append(self._by_cores(cpu, ceilings, not_held_s))
        self.cpu = cpu
        if self.chips.energy_file is not None:
            joules = self._energy(now, ceilings, passed_s)
            readings[MeterKind.ENERGY_J] = joules
            if self.chips.joules_per_flop_min is not None:
                flop.append(meters.energy_flop(joules, ceilings))
        elif self.chips.power_w_max is not None:
            readings[MeterKind.ENERGY_J] = meters.clock_energy(not_held_s, ceilings, held_s=held_s)
        combined = meters.combine(flop)
        if combined.contradiction is not None:
            self.contradictions.append(combined.contradiction)
        readings[MeterKind.FLOP] = combined.reading
        unseen = self._unseen(passed_s, ceilings, energy=MeterKind.ENERGY_J in readings)
        return Looked(readings=readings, held_s=held_s, unseen=unseen)

    def _unseen(self, passed_s: float, ceilings: Ceilings, *, energy: bool) -> dict[MeterKind, Reading]:
        """The most of each meter in the time by which the clock is ahead of what was seen."""
        self.watched_s += passed_s
        ahead_s = (self.clock() - self.watched_from).total_seconds() - self.watched_s
        if ahead_s <= _AHEAD_S:
            return {}
        self.watched_s += ahead_s
        found = [
            Reading(meter=MeterKind.WALL_S, used=ahead_s, source=Source.CLOCK),
            meters.clock_flop(ahead_s, ceilings),
        ]
        if energy:
            found.append(meters.clock_energy(ahead_s, ceilings))
        return {one.meter: one for one in found}

    def _by_cores(self, cpu: CpuSample | None, ceilings: Ceilings, not_held_s: float) -> Reading:
        """By CPU time: of a group where none was, all that it ever used; where one took the place of another, the clock's bound."""
        if cpu is not None and self.cpu is None:
            before = CpuSample(group=cpu.group, usage_us=0, at_s=cpu.at_s)
            return meters.kernel_flop(before, cpu, ceilings, not_held_s=not_held_s)
        return meters.kernel_flop(self.cpu, cpu, ceilings, not_held_s=not_held_s)

    def _energy(self, now: float, ceilings: Ceilings, passed_s: float) -> Reading:
        zone = Path(str(self.chips.energy_file)).parent
        after = read_powercap(zone, at_s=now)
        source = EnergyMeter(source=Source.KERNEL, wraps_after_uj=powercap_range(zone), lag_s=POWERCAP_LAG_S)
        reading = meters.energy(self.energy, after, source, ceilings, passed_s=passed_s)
        self.energy = after
        return reading

    def _ceilings(self) -> Ceilings:
        chips = self.chips
        return Ceilings(
            flop_per_s=chips.flop_per_s_max,
            power_w=chips.power_w_max,
            j_per_flop=chips.joules_per_flop_min,
            flop_per_core_s=chips.flop_per_s_max / chips.cores if chips.cores else None,
            cores=chips.cores or 0,
        )
