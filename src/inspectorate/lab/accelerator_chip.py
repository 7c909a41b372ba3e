"""The chip of an accelerator recording: what the driver says of it, what it answers and how fast, how its meters are declared."""

from __future__ import annotations

import importlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from inspectorate.declaration import ChipGroup, Cluster, Declaration, MeasuringPoint, Meter, Pod, Site
from inspectorate.errors import EnvironmentError_
from inspectorate.keys import Holder
from inspectorate.mechanisms.workloads.record.declared import signals_in
from inspectorate.quantities import Period

POLLS_PROBED = 12
COMMON_SIGNALS = ("power_w", "energy_j", "busy_share", "memory_busy_share", "memory_used_bytes", "core_clock_hz")
"""What every chip of the last ten years shows."""
HOST_SIGNALS = ("cpu_time_s", "resident_bytes", "page_faults")
POD = "pod-accelerator"


@dataclass(frozen=True, kw_only=True)
class Probed:
    """What the chips of this machine answer."""

    units: tuple[str, ...]
    signals: tuple[str, ...]
    poll_s: tuple[float, float]
    """A poll of all signals: median, and all but the slowest take no longer."""
    query_ms: dict[str, tuple[float, float]]
    """Median and most of every query alone."""
    refused: dict[str, str]


def probe() -> Probed:
    """Ask for every signal alone and for all at once. Raises `EnvironmentError_` where there is no chip."""
    nvml = importlib.import_module("inspectorate.mechanisms.workloads.record.nvml")
    wanted = [name for name in nvml.SIGNALS if not name.startswith("pcie") or not name.endswith("per_s")]
    took: dict[str, tuple[float, float]] = {}
    refused: dict[str, str] = {}
    alone = [[name] for name in nvml.SIGNALS if name not in nvml.METRICS]
    for names in (*alone, list(nvml.METRICS)):
        name = "+".join(names)
        source = nvml.NvmlSource(clock_ns=time.time_ns, wanted=names)
        try:
            source.poll()
            spans = [_timed(source, apart_s=0.12 if len(names) > 1 else 0.0) for _ in range(5)]
        except EnvironmentError_ as fault:
            refused[name] = str(fault)
        else:
            took[name] = (sorted(spans)[2] * 1e3, max(spans) * 1e3)
        finally:
            source.close()
    source = nvml.NvmlSource(clock_ns=time.time_ns, wanted=wanted)
    answers, spans = [source.poll()], []
    for _ in range(POLLS_PROBED):
        time.sleep(0.12)
        begun = time.monotonic()
        answers.append(source.poll())
        spans.append(time.monotonic() - begun)
    source.close()
    shown = [set(signals_in(one)) for one in answers]
    often = {name for name in shown[0] if sum(name in one for one in shown) > len(shown) / 2}
    signals = tuple(name for name in wanted if name in often)
    spans.sort()
    return Probed(
        units=answers[0].units,
        signals=signals,
        poll_s=(spans[len(spans) // 2], spans[-2]),
        query_ms=took,
        refused=refused,
    )


def _timed(source: Any, *, apart_s: float) -> float:
    time.sleep(apart_s)
    begun = time.monotonic()
    source.poll()
    return time.monotonic() - begun


def facts_of_chip() -> dict[str, object]:
    """What the driver says of itself and the first chip; empty where there is none."""
    try:
        pynvml = importlib.import_module("pynvml")
    except ImportError as fault:
        return {"fault": str(fault)}
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    except pynvml.NVMLError as fault:
        return {"fault": str(fault)}
    asked = {
        "name": lambda: pynvml.nvmlDeviceGetName(handle),
        "driver": pynvml.nvmlSystemGetDriverVersion,
        "power_limit_w": lambda: pynvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1e3,
        "clock_max_mhz": lambda: pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_SM),
        "memory_bytes": lambda: pynvml.nvmlDeviceGetMemoryInfo(handle).total,
        "pcie": lambda: [
            pynvml.nvmlDeviceGetCurrPcieLinkGeneration(handle),
            pynvml.nvmlDeviceGetCurrPcieLinkWidth(handle),
        ],
        "ecc": lambda: pynvml.nvmlDeviceGetEccMode(handle)[0],
        "nvidia_ml_py": lambda: importlib.import_module("importlib.metadata").version("nvidia-ml-py"),
    }
    found: dict[str, object] = {}
    for name, ask in asked.items():
        try:
            found[name] = ask()
        except (pynvml.NVMLError, ImportError) as fault:
            found[name] = f"refused: {fault}"
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in found.items()}


def declare(units: tuple[str, ...], signals: tuple[str, ...], *, every_s: float, model: str) -> Declaration:
    """Two meters of one pod: the chip, where there is one, and processes of its host."""
    now = datetime.now(UTC)
    common: dict[str, Any] = {
        "holder": Holder.VERIFIER,
        "pods": (POD,),
        "sampled_every_s": every_s,
        "silence_s_max": 2.0,
    }
    chip = Meter(id="chip", point=MeasuringPoint.CHIP, units=units, signals=signals, **common) if units else None
    host = Meter(id="host", point=MeasuringPoint.NODE, units=("work", "recorder"), signals=HOST_SIGNALS, **common)
    pod = Pod(id=POD, chips=(ChipGroup(model=model, count=1),), networks=("192.0.2.1/32",))
    site = Site(id="accelerator", location="one machine with one accelerator", clusters=(Cluster(id="pods", pods=(pod,)),),
                meters=(*([chip] if chip else []), host))  # fmt: skip
    period = Period(start=now - timedelta(minutes=1), end=now + timedelta(hours=1))
    return Declaration(id="accelerator", party="operator", period=period, sites=(site,))
