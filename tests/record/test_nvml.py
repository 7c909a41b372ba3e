"""NVIDIA chips: the real nvidia-ml-py against a small library that is built here and speaks NVML's binary interface."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from inspectorate.declaration import MeasuringPoint
from inspectorate.errors import EnvironmentError_
from inspectorate.mechanisms.workloads.record.source import Source
from inspectorate.mechanisms.workloads.telemetry.signals import SENTINEL_MIN

nvml = pytest.importorskip("inspectorate.mechanisms.workloads.record.nvml", reason="needs nvidia-ml-py")
CC = shutil.which("cc") or shutil.which("gcc")
needs_cc = pytest.mark.skipif(CC is None, reason="needs a C compiler")

LIBRARY = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
typedef unsigned u; typedef unsigned long long ull;
enum { OK = 0, NOT_SUPPORTED = 3, NOT_FOUND = 6, LOST = 15, UNKNOWN = 999 };
/* A handle is 1 + place; instances of chip 0 are 100 + place. */
static u number(const char *name, u otherwise) { const char *t = getenv(name); return t ? (u)strtoul(t, 0, 0) : otherwise; }
static u at(void *d) { return (u)(size_t)d - 1; }
static int state(void *d) { return at(d) == number("CHIP_LOST", 9999) ? LOST : OK; }
int nvmlInitWithFlags(u flags) { return OK; }
int nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(int r) { return r == LOST ? "GPU is lost" : "error of the test library"; }
int nvmlDeviceGetCount_v2(u *n) { *n = number("CHIPS", 2); return OK; }
int nvmlDeviceGetHandleByIndex_v2(u i, void **d) { *d = (void *)(size_t)(i + 1); return OK; }
int nvmlDeviceGetUUID(void *d, char *s, u n) { snprintf(s, n, at(d) < 99 ? "GPU-%u" : "MIG-%u", at(d) % 99); return OK; }
int nvmlDeviceGetPowerUsage(void *d, u *mw) { *mw = at(d) ? number("POWER_1", 423500) : 300000; return state(d); }
int nvmlDeviceGetTotalEnergyConsumption(void *d, ull *mj) {
    *mj = getenv("BLANK") ? 0x7ffffffffffffff0ULL : 5000000123ULL; return at(d) ? NOT_SUPPORTED : state(d); }
int nvmlDeviceGetUtilizationRates(void *d, u *r) { r[0] = 97; r[1] = 41; return state(d); }
int nvmlDeviceGetMemoryInfo(void *d, ull *m) { m[0] = 80; m[1] = 20; m[2] = at(d) < 99 ? 60 : 10; return state(d); }
int nvmlDeviceGetClockInfo(void *d, int kind, u *mhz) { *mhz = kind == 1 ? 1980 : 2619; return state(d); }
int nvmlDeviceGetTemperature(void *d, int kind, u *c) { *c = 64; return state(d); }
int nvmlDeviceGetEncoderUtilization(void *d, u *share, u *us) { *share = 3; *us = 1000; return state(d); }
int nvmlDeviceGetPcieThroughput(void *d, int way, u *kb) { *kb = way ? 2000 : 1000; return state(d); }
int nvmlDeviceGetMigMode(void *d, u *now, u *next) { *now = *next = number("MIG", 0) && !at(d); return OK; }
int nvmlDeviceGetMaxMigDeviceCount(void *d, u *n) { *n = 7; return OK; }
int nvmlDeviceGetMigDeviceHandleByIndex(void *d, u i, void **m) { *m = (void *)(size_t)(100 + i); return i < 2 ? OK : NOT_FOUND; }
struct field { u id, scope; long long time, latency; int type, ret; ull value; };
int nvmlDeviceGetFieldValues(void *d, int n, struct field *f) {
    for (int i = 0; i < n; i++) {
        f[i].type = 3; f[i].value = f[i].id * 1000; f[i].ret = f[i].id < 150 && at(d) ? NOT_SUPPORTED : OK; }
    return state(d); }
int nvmlGpmQueryDeviceSupport(void *d, u *s) { s[1] = !at(d); return OK; }
int nvmlGpmSampleAlloc(void **s) { *s = malloc(8); return OK; }
int nvmlGpmSampleFree(void *s) { free(s); return OK; }
int nvmlGpmSampleGet(void *d, void *s) { return state(d); }
struct metric { u id; int ret; double value; const char *names[3]; };
struct metrics { u version, n; void *first, *second; struct metric m[1]; };
int nvmlGpmMetricsGet(struct metrics *g) {
    for (u i = 0; i < g->n; i++) { g->m[i].ret = g->m[i].id == 10 ? NOT_SUPPORTED : OK; g->m[i].value = g->m[i].id * 10.0; }
    return g->version == 1 && g->first != g->second ? OK : UNKNOWN; }
"""
"""What it leaves out (the decoder) is what an older driver leaves out."""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nvml")
    (folder / "nvml.c").write_text(LIBRARY)
    assert CC is not None
    command = [CC, "-shared", "-fPIC", "-w", "-Wl,-soname,libnvidia-ml.so.1", "-o", "libnvidia-ml.so.1", "nvml.c"]
    subprocess.run(command, cwd=folder, check=True, timeout=60)
    # Loaded once under its own name, it is what the next to ask for that name gets.
    ctypes.CDLL(str(folder / "libnvidia-ml.so.1"))
    return folder


@pytest.fixture
def chips(library: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("CHIPS", "CHIP_LOST", "POWER_1", "BLANK", "MIG"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def polled(source: Source) -> dict[str, dict[str, float]]:
    found = source.poll()
    source.close()
    return {
        found.units[unit]: {s: float(v) for s, v in zip(found.signals, row, strict=True) if not np.isnan(v)}
        for unit, row in zip(found.unit, found.values, strict=True)
    }


@pytest.mark.tools
@needs_cc
def test_every_signal_in_its_unit_and_what_a_chip_refuses_absent(chips: pytest.MonkeyPatch) -> None:
    source = nvml.NvmlSource(clock_ns=time.time_ns)
    assert source.facts.point is MeasuringPoint.CHIP
    shown = polled(source)
    assert shown["GPU-0"] == pytest.approx({
        "power_w": 300.0, "energy_j": 5000000.123, "busy_share": 0.97, "memory_busy_share": 0.41,
        "memory_used_bytes": 60.0, "core_clock_hz": 1.98e9, "memory_clock_hz": 2.619e9, "temperature_c": 64.0,
        "encoder_busy_share": 0.03,
        "nvlink_bytes": (138_000 + 139_000) * 1024.0,
    })  # fmt: skip
    assert shown["GPU-0"].keys() - shown["GPU-1"].keys() == {"energy_j", "nvlink_bytes"}
    assert shown["GPU-1"]["power_w"] == 423.5


@pytest.mark.tools
@needs_cc
def test_only_what_is_wanted_is_asked_and_slow_rates_only_by_name(chips: pytest.MonkeyPatch) -> None:
    shown = polled(nvml.NvmlSource(clock_ns=time.time_ns, wanted=["power_w", "pcie_received_bytes_per_s"]))
    assert shown["GPU-0"] == {"power_w": 300.0, "pcie_received_bytes_per_s": 2e6}
    assert polled(nvml.NvmlSource(clock_ns=time.time_ns, wanted=["busy_share"]))["GPU-0"] == {"busy_share": 0.97}
    counters = polled(nvml.NvmlSource(clock_ns=time.time_ns, wanted=["pcie_sent_bytes", "pcie_received_bytes"]))
    assert counters["GPU-0"] == {"pcie_sent_bytes": 197_000.0, "pcie_received_bytes": 198_000.0}


@pytest.mark.tools
@needs_cc
def test_hardware_counters_come_by_name_and_no_faster_than_the_chip_refreshes_them(chips: pytest.MonkeyPatch) -> None:
    wanted = ["sm_busy_share", "tensor_busy_share", "dram_busy_share", "power_instant_w"]
    source = nvml.NvmlSource(clock_ns=time.time_ns, wanted=wanted)

    def shown() -> dict[str, list[str]]:
        found = source.poll()
        there = ~np.isnan(found.values)
        return {
            found.units[unit]: [s for s, good in zip(found.signals, row, strict=True) if good]
            for unit, row in zip(found.unit, there, strict=True)
        }

    first, soon = shown(), shown()
    assert set(first["GPU-0"]) == {"sm_busy_share", "tensor_busy_share", "power_instant_w"}
    assert first["GPU-1"] == ["power_instant_w"]
    assert soon == {"GPU-0": ["power_instant_w"], "GPU-1": ["power_instant_w"]}
    time.sleep(0.12)
    later = polled(source)["GPU-0"]
    assert later == pytest.approx({"sm_busy_share": 0.2, "tensor_busy_share": 0.5, "power_instant_w": 186.0})


@pytest.mark.tools
@needs_cc
def test_values_that_the_driver_calls_not_available_stay_recognisable(chips: pytest.MonkeyPatch) -> None:
    chips.setenv("POWER_1", "0xffffffff")
    chips.setenv("BLANK", "1")
    shown = polled(nvml.NvmlSource(clock_ns=time.time_ns))
    assert shown["GPU-1"]["power_w"] > SENTINEL_MIN
    assert shown["GPU-0"]["energy_j"] > SENTINEL_MIN


@pytest.mark.tools
@needs_cc
def test_a_chip_that_fell_off_the_bus_has_no_row_and_all_of_them_are_a_fault(chips: pytest.MonkeyPatch) -> None:
    chips.setenv("CHIP_LOST", "0")
    source = nvml.NvmlSource(clock_ns=time.time_ns)
    assert source.poll().units == ("GPU-1",)
    chips.setenv("CHIP_LOST", "1")
    assert source.poll().units == ("GPU-0",)
    source.close()
    chips.setenv("CHIPS", "1")
    chips.setenv("CHIP_LOST", "0")
    alone = nvml.NvmlSource(clock_ns=time.time_ns)
    with pytest.raises(EnvironmentError_, match="no chip answers: GPU is lost"):
        alone.poll()


@pytest.mark.tools
@needs_cc
def test_instances_of_a_chip_are_units_of_their_own(chips: pytest.MonkeyPatch) -> None:
    chips.setenv("MIG", "1")
    shown = polled(nvml.NvmlSource(clock_ns=time.time_ns))
    assert list(shown) == ["GPU-0", "MIG-0", "MIG-1", "GPU-1"]
    assert shown["MIG-1"] == {"memory_used_bytes": 10.0}


@pytest.mark.tools
@needs_cc
def test_no_chip_is_a_fault(chips: pytest.MonkeyPatch) -> None:
    chips.setenv("CHIPS", "0")
    with pytest.raises(EnvironmentError_, match="shows no chip"):
        nvml.NvmlSource(clock_ns=time.time_ns)


def test_a_machine_without_a_driver_says_so_with_a_remedy() -> None:
    """In a process of its own, into which no test library was ever loaded."""
    code = (
        "import time\n"
        "from inspectorate.errors import EnvironmentError_\n"
        "from inspectorate.mechanisms.workloads.record.nvml import NvmlSource\n"
        "try: NvmlSource(clock_ns=time.time_ns)\n"
        "except EnvironmentError_ as fault: print(fault)\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    if shutil.which("nvidia-smi"):
        pytest.skip("this machine has a driver")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert "Library Not Found (install the NVIDIA driver" in done.stdout, done.stderr
