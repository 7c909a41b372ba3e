"""AMD chips by what the `amdgpu` driver writes to sysfs: no library is needed.

One row per chip, named by its `unique_id`, or by its place on the bus. A file that is not there, or that the driver refuses to
fill, leaves its field absent.

Source: Documentation/gpu/amdgpu/thermal.rst and driver-misc.rst of the kernel; Documentation/hwmon/sysfs-interface.rst (units).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from inspectorate.declaration import MeasuringPoint
from inspectorate.errors import EnvironmentError_
from inspectorate.mechanisms.workloads.record.reference import DEVICES_MAX
from inspectorate.mechanisms.workloads.record.source import Facts, Rows
from inspectorate.mechanisms.workloads.telemetry.frame import Samples

DRM = Path("/sys/class/drm")
AMD = "0x1002"
"""The vendor of AMD on PCI."""

# Signal -> (files of which the first that is there counts, factor). `hwmon` ones stand in the chip's folder of sensors.
_Table = dict[str, tuple[tuple[str, ...], float]]
_DEVICE: _Table = {
    "busy_share": (("gpu_busy_percent",), 0.01),
    "memory_busy_share": (("mem_busy_percent",), 0.01),
    "memory_used_bytes": (("mem_info_vram_used",), 1.0),
}
_HWMON: _Table = {
    "power_w": (("power1_average", "power1_input"), 1e-6),
    "energy_j": (("energy1_input",), 1e-6),
    "temperature_c": (("temp1_input",), 1e-3),
    "core_clock_hz": (("freq1_input",), 1.0),
    "memory_clock_hz": (("freq2_input",), 1.0),
}
SIGNALS = (*_HWMON, *_DEVICE)


@dataclass(frozen=True, kw_only=True)
class _Chip:
    """A chip, and the files that it has."""

    name: str
    files: tuple[tuple[str, Path, float], ...]


class AmdSource:
    """All AMD chips below `drm`. Raises `EnvironmentError_` where there is none."""

    def __init__(self, *, clock_ns: Callable[[], int], drm: Path = DRM, wanted: Iterable[str] | None = None) -> None:
        self._clock_ns = clock_ns
        chosen = frozenset(SIGNALS if wanted is None else wanted)
        self._signals = tuple(signal for signal in SIGNALS if signal in chosen)
        self._chips = [
            _Chip(name=_name(device), files=tuple(_files(device, chosen))) for device in sorted(_devices(drm))
        ]
        if not self._chips:
            raise EnvironmentError_("shows no AMD chip", where=str(drm), remedy="load the amdgpu driver")
        self.facts = Facts(
            name="amdgpu",
            point=MeasuringPoint.CHIP,
            signals=self._signals,
            bandwidth_hz=None,
            note="power_w is the mean or the moment that the firmware gives; which it is differs between chips",
        )

    def poll(self) -> Samples:
        """One row per chip. Raises `EnvironmentError_` where none shows anything."""
        rows = Rows(self._signals)
        for chip in self._chips:
            values = {
                signal: value * factor for signal, path, factor in chip.files if (value := _number(path)) is not None
            }
            rows.add(chip.name, self._clock_ns(), values)
        samples = rows.samples()
        if not len(samples):
            raise EnvironmentError_("no AMD chip shows anything", where="amdgpu")
        return samples

    def close(self) -> None:
        """Nothing is kept open between polls."""


def _devices(drm: Path) -> list[Path]:
    """The devices of AMD, each once, although a chip has several nodes."""
    found: dict[Path, None] = {}
    for card in sorted(drm.glob("card*"))[:DEVICES_MAX]:
        device = card / "device"
        if "-" not in card.name and _text(device / "vendor") == AMD:
            found[device.resolve()] = None
    return list(found)


def _files(device: Path, wanted: frozenset[str]) -> list[tuple[str, Path, float]]:
    sensors = sorted((device / "hwmon").glob("hwmon*"))
    places: list[tuple[Path, _Table]] = [(device, _DEVICE), *((folder, _HWMON) for folder in sensors[:1])]
    return [
        (signal, there[0], factor)
        for folder, table in places
        for signal, (names, factor) in table.items()
        if signal in wanted and (there := [folder / name for name in names if (folder / name).is_file()])
    ]


def _name(device: Path) -> str:
    return _text(device / "unique_id") or device.name


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")[:200].strip()
    except OSError:
        return ""


def _number(path: Path) -> float | None:
    text = _text(path)
    return float(text) if text.lstrip("-").isdecimal() else None
