"""AMD chips over folders laid out as the kernel lays them out."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from inspectorate.errors import EnvironmentError_
from inspectorate.mechanisms.workloads.record.amdgpu import AmdSource


def chip(root: Path, card: str, *, vendor: str = "0x1002", unique: str = "", hwmon: bool = True, **files: str) -> Path:
    """`card` as sysfs has it: a folder whose `device` leads to the place on the bus."""
    device = root / "devices" / f"0000:{card[4:]}3:00.0"
    device.mkdir(parents=True)
    (device / "vendor").write_text(vendor + "\n")
    if unique:
        (device / "unique_id").write_text(unique + "\n")
    for name, text in files.items():
        (device / name).write_text(text + "\n")
    if hwmon:
        sensors = device / "hwmon" / "hwmon3"
        sensors.mkdir(parents=True)
        for name, text in {
            "power1_average": "203000000", "temp1_input": "51000", "freq1_input": "2100000000",
        }.items():  # fmt: skip
            (sensors / name).write_text(text + "\n")
    node = root / "drm" / card
    node.mkdir(parents=True)
    (node / "device").symlink_to(device)
    return device


def test_chips_with_their_sensors_and_what_they_do_not_have_absent(tmp_path: Path) -> None:
    chip(tmp_path, "card0", unique="8f3a", gpu_busy_percent="87", mem_info_vram_used="1024")
    chip(tmp_path, "card1", hwmon=False, gpu_busy_percent="3")
    chip(tmp_path, "card2", vendor="0x8086", gpu_busy_percent="99")
    # A connector of a card, and a second node of the same device.
    (tmp_path / "drm" / "card0-DP-1").mkdir()
    found = AmdSource(clock_ns=time.time_ns, drm=tmp_path / "drm").poll()
    assert found.units == ("8f3a", "0000:13:00.0")
    rows = [dict(zip(found.signals, row, strict=True)) for row in found.values]
    shown = [{signal: float(value) for signal, value in row.items() if value == value} for row in rows]
    assert shown[0] == {
        "power_w": 203.0, "temperature_c": 51.0, "core_clock_hz": 2.1e9, "busy_share": 0.87, "memory_used_bytes": 1024.0,
    }  # fmt: skip
    assert shown[1] == {"busy_share": 0.03}


def test_a_file_that_the_driver_does_not_fill_is_absent(tmp_path: Path) -> None:
    device = chip(tmp_path, "card0", gpu_busy_percent="87")
    source = AmdSource(clock_ns=time.time_ns, drm=tmp_path / "drm", wanted=["busy_share", "power_w"])
    (device / "gpu_busy_percent").write_text("")
    assert list(source.poll().values[0]) == [203.0, pytest.approx(float("nan"), nan_ok=True)]
    (device / "hwmon" / "hwmon3" / "power1_average").unlink()
    with pytest.raises(EnvironmentError_, match="no AMD chip shows anything"):
        source.poll()


def test_no_chip_is_a_fault(tmp_path: Path) -> None:
    chip(tmp_path, "card2", vendor="0x8086", gpu_busy_percent="99")
    with pytest.raises(EnvironmentError_, match="shows no AMD chip"):
        AmdSource(clock_ns=time.time_ns, drm=tmp_path / "drm")
