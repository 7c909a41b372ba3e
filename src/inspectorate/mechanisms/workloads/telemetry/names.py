"""What exporters call the signals, and how a sample names its unit.

- `METRICS`: name of a metric -> signal, factor to the signal's unit, whose it is, and whether several samples add up.
- A name that is not in the list may be one of it with `_total` behind (OpenMetrics), or our own `inspectorate_<signal>`.
- A chip is named by `unit`, `UUID` or `uuid`, with the MIG instance behind it (`GPU_I_ID`); or else by node and index, as
  `NODE/gpuN`. A node is named by `instance`, `node`, `hostname` or `Hostname` (dcgm-exporter changed it in 2026-05, #655), or
  else by the name that the reader was given.
- Samples that add up (processor time by core and mode, bytes by interface) are one value; the loopback interface is not in it.
- `nvidia-smi` and its kin: columns in `COLUMNS`, in order of preference where several say the same.

A blank value (`SENTINEL_MIN`) is never scaled, so that it stays recognisable.

Sources: dcgm-exporter `etc/dcp-metrics-included.csv`; nvidia_gpu_exporter `METRICS.md`; node_exporter and ipmi_exporter as scraped;
`nvidia-smi --help-query-gpu`. dcgm-exporter states no unit for `DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL`: taken as megabytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from inspectorate.mechanisms.workloads.telemetry.reference import NAME_CHARS_MAX
from inspectorate.mechanisms.workloads.telemetry.signals import SENTINEL_MIN, SIGNALS

OWN_PREFIX = "inspectorate_"
MIB = 1024.0**2


class Whose(StrEnum):
    CHIP = "chip"
    NODE = "node"
    SENSOR = "sensor"
    """One of several power sensors of a node."""


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What a metric says."""

    signal: str
    factor: float = 1.0
    whose: Whose = Whose.CHIP
    adds: bool = False
    """Several samples of one unit and scrape are parts of one value."""
    skip: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Label and values of samples that are no part of it."""


def _chip(signal: str, factor: float = 1.0) -> Meaning:
    return Meaning(signal=signal, factor=factor)


def _node(signal: str, factor: float = 1.0, **more: tuple[str, ...]) -> Meaning:
    return Meaning(signal=signal, factor=factor, whose=Whose.NODE, adds=True, skip=tuple(more.items()))


_LOOPBACK = ("lo",)
METRICS: Mapping[str, Meaning] = MappingProxyType(
    {
        "DCGM_FI_DEV_POWER_USAGE": _chip("power_w"),
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": _chip("energy_j", 1e-3),
        "DCGM_FI_DEV_SM_CLOCK": _chip("core_clock_hz", 1e6),
        "DCGM_FI_DEV_MEM_CLOCK": _chip("memory_clock_hz", 1e6),
        "DCGM_FI_DEV_GPU_TEMP": _chip("temperature_c"),
        "DCGM_FI_DEV_MEMORY_TEMP": _chip("memory_temperature_c"),
        "DCGM_FI_DEV_GPU_UTIL": _chip("busy_share", 0.01),
        "DCGM_FI_DEV_MEM_COPY_UTIL": _chip("memory_busy_share", 0.01),
        "DCGM_FI_DEV_ENC_UTIL": _chip("encoder_busy_share", 0.01),
        "DCGM_FI_DEV_DEC_UTIL": _chip("decoder_busy_share", 0.01),
        "DCGM_FI_DEV_FB_USED": _chip("memory_used_bytes", MIB),
        "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL": _chip("nvlink_bytes", 1e6),
        "DCGM_FI_PROF_GR_ENGINE_ACTIVE": _chip("engine_busy_share"),
        "DCGM_FI_PROF_SM_ACTIVE": _chip("sm_busy_share"),
        "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE": _chip("tensor_busy_share"),
        "DCGM_FI_PROF_DRAM_ACTIVE": _chip("dram_busy_share"),
        "DCGM_FI_PROF_PCIE_TX_BYTES": _chip("pcie_sent_bytes_per_s"),
        "DCGM_FI_PROF_PCIE_RX_BYTES": _chip("pcie_received_bytes_per_s"),
        "DCGM_FI_PROF_NVLINK_TX_BYTES": _chip("nvlink_sent_bytes_per_s"),
        "DCGM_FI_PROF_NVLINK_RX_BYTES": _chip("nvlink_received_bytes_per_s"),
        "nvidia_smi_power_draw_watts": _chip("power_w"),
        "nvidia_smi_utilization_gpu_ratio": _chip("busy_share"),
        "nvidia_smi_utilization_memory_ratio": _chip("memory_busy_share"),
        "nvidia_smi_utilization_encoder_ratio": _chip("encoder_busy_share"),
        "nvidia_smi_utilization_decoder_ratio": _chip("decoder_busy_share"),
        "nvidia_smi_memory_used_bytes": _chip("memory_used_bytes"),
        "nvidia_smi_clocks_current_sm_clock_hz": _chip("core_clock_hz"),
        "nvidia_smi_clocks_current_memory_clock_hz": _chip("memory_clock_hz"),
        "nvidia_smi_temperature_gpu": _chip("temperature_c"),
        "nvidia_smi_temperature_memory": _chip("memory_temperature_c"),
        "node_cpu_seconds_total": _node("cpu_time_s", mode=("idle", "iowait", "steal", "guest", "guest_nice")),
        "node_memory_MemTotal_bytes": _node("resident_bytes"),
        "node_memory_MemAvailable_bytes": _node("resident_bytes", -1.0),
        "node_vmstat_pgfault": _node("page_faults"),
        "node_network_transmit_bytes_total": _node("network_sent_bytes", device=_LOOPBACK),
        "node_network_receive_bytes_total": _node("network_received_bytes", device=_LOOPBACK),
        "node_hwmon_power_average_watt": Meaning(signal="power_w", whose=Whose.SENSOR),
        "ipmi_dcmi_power_consumption_watts": Meaning(signal="power_w", whose=Whose.NODE),
    }
)
_OWN = MappingProxyType({OWN_PREFIX + name: Meaning(signal=name) for name in SIGNALS})

NODE_LABELS = ("instance", "node", "hostname", "Hostname")
INDEX_LABELS = ("gpu", "index", "minor_number")
UUID_LABELS = ("UUID", "uuid")

COLUMNS: Mapping[str, tuple[tuple[str, float], ...]] = MappingProxyType(
    {
        "power_w": (("power.draw.instant", 1.0), ("power.draw", 1.0), ("power.draw.average", 1.0)),
        "busy_share": (("utilization.gpu", 0.01),),
        "memory_busy_share": (("utilization.memory", 0.01),),
        "encoder_busy_share": (("utilization.encoder", 0.01),),
        "decoder_busy_share": (("utilization.decoder", 0.01),),
        "memory_used_bytes": (("memory.used", MIB),),
        "core_clock_hz": (("clocks.sm", 1e6), ("clocks.current.sm", 1e6)),
        "memory_clock_hz": (("clocks.mem", 1e6), ("clocks.current.memory", 1e6)),
        "temperature_c": (("temperature.gpu", 1.0),),
        "memory_temperature_c": (("temperature.memory", 1.0),),
    }
)


def meaning_of(name: str) -> Meaning | None:
    """What a metric says; none if it is not known."""
    for table in (METRICS, _OWN):
        if name in table:
            return table[name]
        if name.endswith("_total") and name.removesuffix("_total") in table:
            return table[name.removesuffix("_total")]
    return None


def counts_for(meaning: Meaning, labels: Mapping[str, str]) -> bool:
    """Whether a sample is a part of what its metric says."""
    return not any(labels.get(label) in values for label, values in meaning.skip)


def unit_of(meaning: Meaning, labels: Mapping[str, str], node: str) -> str | None:
    """The unit of a sample; none if it names none, or one whose name is too long."""
    place = next((labels[label] for label in NODE_LABELS if labels.get(label)), node)
    match meaning.whose:
        case Whose.NODE:
            name = labels.get("unit") or place
        case Whose.SENSOR:
            name = f"{place}/{labels.get('chip', '')}/{labels.get('sensor', '')}"
        case Whose.CHIP:
            name = labels.get("unit") or next((labels[label] for label in UUID_LABELS if labels.get(label)), "")
            index = next((labels[label] for label in INDEX_LABELS if labels.get(label)), "")
            if not name and index:
                name = f"{place}/gpu{index}" if place else f"gpu{index}"
            if name and labels.get("GPU_I_ID"):
                name = f"{name}/mig{labels['GPU_I_ID']}"
    return name if 0 < len(name) <= NAME_CHARS_MAX else None


def scaled(value: float, factor: float) -> float:
    """A value in the unit of its signal; a blank stays as it is."""
    return value if value >= SENTINEL_MIN else value * factor
