"""Counters that only rise, read twice: what they rose by, or nothing where that cannot be known.

- The CPU time of a control group (cgroup v2, `cpu.stat`, `usage_usec`). A group that was removed and made again begins at zero; it
  has another inode. One that is not there has no count.
- Energy: NVML's `nvmlDeviceGetTotalEnergyConsumption` (mJ since the driver was loaded, does not wrap, begins again at a reload) and
  powercap's `energy_uj`, which wraps at `max_energy_range_uj` (Linux, Documentation/power/powercap/powercap.rst).

`None` always means "not known", and never nothing: `meters` puts the most that was possible in its place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

CPU_STAT_BYTES_MAX = 65_536
COUNTER_BYTES_MAX = 64
_USAGE = re.compile(rb"^usage_usec (\d{1,18})$", re.MULTILINE)
_NUMBER = re.compile(rb"(\d{1,20})\n?\Z")


@dataclass(frozen=True, kw_only=True)
class CpuSample:
    """CPU time that a control group and all below it have used so far."""

    group: int
    """The inode of its folder: another one is another group, whatever its name."""
    usage_us: int
    at_s: float
    """On a monotonic clock."""


@dataclass(frozen=True, kw_only=True)
class EnergySample:
    """A cumulative counter of energy."""

    meter: str
    """What it counts: a device's UUID, a powercap zone. Differences of two meters mean nothing."""
    microjoules: int
    at_s: float


def read_cpu(folder: Path, *, at_s: float) -> CpuSample | None:
    """Read a control group; `None` if it is not there or says nothing."""
    try:
        with (folder / "cpu.stat").open("rb") as file:
            data = file.read(CPU_STAT_BYTES_MAX)
        group = folder.stat().st_ino
    except OSError:
        return None
    found = _USAGE.search(data)
    return CpuSample(group=group, usage_us=int(found[1]), at_s=at_s) if found else None


def read_powercap(zone: Path, *, at_s: float) -> EnergySample | None:
    """Read a powercap zone such as `/sys/class/powercap/intel-rapl:0`; `None` if it is not there or says nothing."""
    microjoules = _number(zone / "energy_uj")
    return None if microjoules is None else EnergySample(meter=zone.name, microjoules=microjoules, at_s=at_s)


def powercap_range(zone: Path) -> int | None:
    """The value after which a zone's counter begins again at zero."""
    return _number(zone / "max_energy_range_uj")


def nvml_energy(uuid: str, millijoules: int, *, at_s: float) -> EnergySample:
    """A sample of what NVML counted for one chip."""
    return EnergySample(meter=uuid, microjoules=millijoules * 1_000, at_s=at_s)


def _number(path: Path) -> int | None:
    try:
        with path.open("rb") as file:
            found = _NUMBER.match(file.read(COUNTER_BYTES_MAX))
    except OSError:
        return None
    return int(found[1]) if found else None


def cpu_rise_s(before: CpuSample | None, after: CpuSample | None) -> float | None:
    """Seconds of CPU time between two samples of one group; `None` if they do not belong together."""
    if before is None or after is None or before.group != after.group:
        return None
    if after.usage_us < before.usage_us or after.at_s < before.at_s:
        return None
    return (after.usage_us - before.usage_us) / 1e6


def energy_rise_j(
    before: EnergySample | None, after: EnergySample | None, *, power_w_max: float, wraps_after_uj: int | None = None
) -> float | None:
    """Joules between two samples of one counter; `None` if they do not belong together.

    A counter that fell has wrapped, if it is one that wraps and could not wrap twice in that time; else it was set back. One that
    could wrap unseen, since the most that can be drawn in that time is its whole range, tells nothing even where it rose.
    """
    if before is None or after is None or before.meter != after.meter or after.at_s < before.at_s:
        return None
    rise_uj = after.microjoules - before.microjoules
    if wraps_after_uj is None:
        return rise_uj / 1e6 if rise_uj >= 0 else None
    most_uj = (after.at_s - before.at_s) * power_w_max * 1e6
    if most_uj >= wraps_after_uj or max(before.microjoules, after.microjoules) > wraps_after_uj:
        return None
    return (rise_uj if rise_uj >= 0 else rise_uj + wraps_after_uj + 1) / 1e6
