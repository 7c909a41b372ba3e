"""The signals that are known: one name for each, with its unit last, whoever reports it.

- A *gauge* is true of its moment. A *counter* only rises, and only its increase means something; in a frame a counter becomes
  a gauge, the mean over the step (`gauge`): energy becomes power, time becomes how much of a core was busy.
- `largest` is beyond what any unit can show, and `smallest` below; what lies outside is no measurement. Blank fields of DCGM
  arrive as numbers near 2^63 (`SENTINEL_MIN`): they are gaps, and are counted.
- What differs in how it is measured has a name of its own: `busy_share` is the time in which any kernel ran, `engine_busy_share`
  and `sm_busy_share` are hardware counters; `memory_busy_share` is NVML's, `dram_busy_share` the interface's own.
- A counter that is refreshed more slowly than it can be read says so (`refreshed_s`): until then an equal reading says nothing.

Sources: NVML API reference (units of each query); DCGM field identifiers (`DCGM_FI_*`) and `dcgm_fields.h` for blank values
(DCGM_INT64_BLANK = 0x7ffffffffffffff0 and the 15 that follow). Refresh of NVML's energy counter: arXiv 2312.02741.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

SENTINEL_MIN = 9.2e18
"""Blank 64-bit values of DCGM and NVML lie above this."""


class SignalKind(StrEnum):
    GAUGE = "gauge"
    COUNTER = "counter"


@dataclass(frozen=True, kw_only=True)
class Signal:
    """One kind of quantity that a unit shows."""

    name: str
    kind: SignalKind
    largest: float
    smallest: float = 0.0
    gauge: str = ""
    """The gauge that a counter becomes; a gauge is its own."""
    refreshed_s: float = 0.0
    """A counter has moved after this time if it moves at all; 0: with every reading."""

    @property
    def in_frames(self) -> str:
        return self.gauge or self.name


def _gauge(name: str, largest: float, *, smallest: float = 0.0) -> Signal:
    return Signal(name=name, kind=SignalKind.GAUGE, largest=largest, smallest=smallest)


def _counter(name: str, gauge: str, *, refreshed_s: float = 0.0) -> Signal:
    return Signal(name=name, kind=SignalKind.COUNTER, largest=SENTINEL_MIN, gauge=gauge, refreshed_s=refreshed_s)


_ALL = (
    _gauge("power_w", 10e6),
    _gauge("power_instant_w", 10e6),
    _counter("energy_j", "power_w", refreshed_s=0.2),
    _gauge("busy_share", 1.0),
    _gauge("engine_busy_share", 1.0),
    _gauge("sm_busy_share", 1.0),
    _gauge("memory_busy_share", 1.0),
    _gauge("dram_busy_share", 1.0),
    _gauge("tensor_busy_share", 1.0),
    _gauge("memory_used_bytes", 1e15),
    _gauge("core_clock_hz", 1e11),
    _gauge("memory_clock_hz", 1e11),
    _gauge("temperature_c", 200.0, smallest=-100.0),
    _gauge("memory_temperature_c", 200.0, smallest=-100.0),
    _gauge("encoder_busy_share", 1.0),
    _gauge("decoder_busy_share", 1.0),
    _gauge("pcie_sent_bytes_per_s", 1e13),
    _gauge("pcie_received_bytes_per_s", 1e13),
    _counter("pcie_sent_bytes", "pcie_sent_bytes_per_s"),
    _counter("pcie_received_bytes", "pcie_received_bytes_per_s"),
    _gauge("nvlink_sent_bytes_per_s", 1e14),
    _gauge("nvlink_received_bytes_per_s", 1e14),
    _gauge("nvlink_bytes_per_s", 1e14),
    _counter("nvlink_bytes", "nvlink_bytes_per_s"),
    _gauge("cpu_busy_cores", 1e6),
    _counter("cpu_time_s", "cpu_busy_cores"),
    _gauge("resident_bytes", 1e15),
    _gauge("page_faults_per_s", 1e12),
    _counter("page_faults", "page_faults_per_s"),
    _gauge("network_sent_bytes_per_s", 1e13),
    _gauge("network_received_bytes_per_s", 1e13),
    _counter("network_sent_bytes", "network_sent_bytes_per_s"),
    _counter("network_received_bytes", "network_received_bytes_per_s"),
)

SIGNALS = MappingProxyType({signal.name: signal for signal in _ALL})
"""All of them by name."""
