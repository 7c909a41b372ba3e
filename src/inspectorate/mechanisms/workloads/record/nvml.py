"""NVIDIA chips by NVML, the library of their driver. Needs the extra `gpu` (nvidia-ml-py).

- One row per chip, named by its UUID; chips that are cut into instances (MIG) have one more for each instance, with its memory.
- A field that a chip refuses is absent, and is not asked again; one that failed this time is absent this time. A chip that fell off
  the bus has no row.
- Values that the driver calls not available are recorded as sentinels, for the reader to count.
- Asked only where they are wanted by name: the two PCIe rates, means over 20 ms, during which the call waits; the two PCIe
  counters, which begin again after 2^32 bytes; hardware counters (`gpm`), which need samples of their own; `power_instant_w`, which
  older chips show as `power_w`.

Source: NVML API reference (units of each query; field identifiers 138, 139, 197, 198).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pynvml

from inspectorate.declaration import MeasuringPoint
from inspectorate.errors import EnvironmentError_
from inspectorate.mechanisms.workloads.record.gpm import METRICS, Counters
from inspectorate.mechanisms.workloads.record.reference import DEVICES_MAX, NVML_NOTE, scaled
from inspectorate.mechanisms.workloads.record.source import Facts, Rows
from inspectorate.mechanisms.workloads.telemetry.frame import Samples
from inspectorate.mechanisms.workloads.telemetry.signals import SENTINEL_MIN

_ALL_LINKS = 0xFFFF_FFFF
"""Scope of the NVLink fields: all links of a chip together."""
_KIB = 1_024.0

_VALUE_OF = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")
"""Member of the union by `nvmlValueType_t`."""

Values = dict[str, float]
Query = Callable[[Any], Values]


def _power(handle: Any) -> Values:
    return {"power_w": scaled(pynvml.nvmlDeviceGetPowerUsage(handle), 1e-3)}


def _power_instant(handle: Any) -> Values:
    return {"power_instant_w": scaled(_fields(handle, [pynvml.NVML_FI_DEV_POWER_INSTANT])[0], 1e-3)}


def _energy(handle: Any) -> Values:
    return {"energy_j": scaled(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle), 1e-3, bits=64)}


def _busy(handle: Any) -> Values:
    rates = pynvml.nvmlDeviceGetUtilizationRates(handle)
    return {"busy_share": scaled(rates.gpu, 0.01), "memory_busy_share": scaled(rates.memory, 0.01)}


def _memory(handle: Any) -> Values:
    return {"memory_used_bytes": float(pynvml.nvmlDeviceGetMemoryInfo(handle).used)}


def _core_clock(handle: Any) -> Values:
    return {"core_clock_hz": scaled(pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM), 1e6)}


def _memory_clock(handle: Any) -> Values:
    return {"memory_clock_hz": scaled(pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_MEM), 1e6)}


def _temperature(handle: Any) -> Values:
    return {"temperature_c": scaled(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU), 1.0)}


def _encoder(handle: Any) -> Values:
    return {"encoder_busy_share": scaled(pynvml.nvmlDeviceGetEncoderUtilization(handle)[0], 0.01)}


def _decoder(handle: Any) -> Values:
    return {"decoder_busy_share": scaled(pynvml.nvmlDeviceGetDecoderUtilization(handle)[0], 0.01)}


def _pcie_sent(handle: Any) -> Values:
    return {
        "pcie_sent_bytes_per_s": scaled(pynvml.nvmlDeviceGetPcieThroughput(handle, pynvml.NVML_PCIE_UTIL_TX_BYTES), 1e3)
    }


def _pcie_received(handle: Any) -> Values:
    return {
        "pcie_received_bytes_per_s": scaled(
            pynvml.nvmlDeviceGetPcieThroughput(handle, pynvml.NVML_PCIE_UTIL_RX_BYTES), 1e3
        )
    }


def _pcie_counters(handle: Any) -> Values:
    sent, received = _fields(handle, [pynvml.NVML_FI_DEV_PCIE_COUNT_TX_BYTES, pynvml.NVML_FI_DEV_PCIE_COUNT_RX_BYTES])
    return {"pcie_sent_bytes": sent, "pcie_received_bytes": received}


def _nvlink(handle: Any) -> Values:
    asked = [pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX, pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX]
    parts = [scaled(raw, _KIB, bits=64) for raw in _fields(handle, [(one, _ALL_LINKS) for one in asked])]
    return {"nvlink_bytes": max(parts) if max(parts) >= SENTINEL_MIN else sum(parts)}


def _fields(handle: Any, asked: list[Any]) -> list[float]:
    """Values of fields of 64 bits. Raises `NVMLError` where the chip refuses one."""
    values = pynvml.nvmlDeviceGetFieldValues(handle, asked)
    for value in values:
        if value.nvmlReturn != pynvml.NVML_SUCCESS:
            raise pynvml.NVMLError(value.nvmlReturn)
    return [float(getattr(value.value, _VALUE_OF[value.valueType])) for value in values]


_QUERIES: dict[tuple[str, ...], Query] = {
    ("power_w",): _power,
    ("power_instant_w",): _power_instant,
    ("energy_j",): _energy,
    ("busy_share", "memory_busy_share"): _busy,
    ("memory_used_bytes",): _memory,
    ("core_clock_hz",): _core_clock,
    ("memory_clock_hz",): _memory_clock,
    ("temperature_c",): _temperature,
    ("encoder_busy_share",): _encoder,
    ("decoder_busy_share",): _decoder,
    ("pcie_sent_bytes",): _pcie_counters,
    ("pcie_received_bytes",): _pcie_counters,
    ("nvlink_bytes",): _nvlink,
    ("pcie_sent_bytes_per_s",): _pcie_sent,
    ("pcie_received_bytes_per_s",): _pcie_received,
}
SIGNALS = (*(signal for signals in _QUERIES for signal in signals), *METRICS)
BY_NAME = frozenset({"power_instant_w", *(signal for signal in SIGNALS if signal.startswith("pcie_")), *METRICS})
"""Asked only where they are wanted by name. Each of the two PCIe rates makes a poll wait for 20 ms a chip; the two counters have 32
bits, so that polls more than 2^32 bytes apart show too little."""


@dataclass(kw_only=True)
class _Device:
    """A chip, or an instance of one, and which queries it answers."""

    name: str
    handle: Any
    queries: list[Query] = field(default_factory=list)
    instances: list[_Device] = field(default_factory=list)
    counters: Counters | None = None


class NvmlSource:
    """All chips of this host. `wanted` narrows what is asked; by default everything but `BY_NAME`.

    Raises `EnvironmentError_` where there is no driver, or no chip.
    """

    def __init__(self, *, clock_ns: Callable[[], int], wanted: Iterable[str] | None = None) -> None:
        self._clock_ns = clock_ns
        chosen = frozenset(SIGNALS) - BY_NAME if wanted is None else frozenset(wanted)
        self._signals = tuple(signal for signal in SIGNALS if signal in chosen)
        self._queries = list(
            dict.fromkeys(query for signals, query in _QUERIES.items() if chosen.intersection(signals))
        )
        self._metrics = tuple(signal for signal in METRICS if signal in chosen)
        self._devices: list[_Device] = []
        self.facts = Facts(
            name="NVML", point=MeasuringPoint.CHIP, signals=self._signals, bandwidth_hz=None, note=NVML_NOTE
        )
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as fault:
            raise _fault(fault) from None
        try:
            self._devices = self._list()
        except pynvml.NVMLError as fault:
            self.close()
            raise _fault(fault) from None
        if not self._devices:
            self.close()
            raise EnvironmentError_("the driver shows no chip", where="NVML", remedy="`nvidia-smi -L` lists the chips")

    def poll(self) -> Samples:
        """One row per chip and instance. Raises `EnvironmentError_` where none of them answers."""
        rows = Rows(self._signals)
        fault = ""
        for device in self._devices:
            for one in (device, *device.instances):
                values: Values = {}
                for query in tuple(one.queries):
                    try:
                        values |= query(one.handle)
                    except (
                        pynvml.NVMLError_NotSupported,
                        pynvml.NVMLError_FunctionNotFound,
                        pynvml.NVMLError_NoPermission,
                        pynvml.NVMLError_InvalidArgument,
                    ):
                        one.queries.remove(query)
                    except pynvml.NVMLError as failed:
                        fault = str(failed)
                        if isinstance(failed, pynvml.NVMLError_GpuIsLost):
                            values = {}
                            break
                rows.add(one.name, self._clock_ns(), values)
        samples = rows.samples()
        if not len(samples):
            raise EnvironmentError_(
                f"no chip answers{': ' if fault else ''}{fault}", where="NVML", remedy="`nvidia-smi` says more"
            )
        return samples

    def close(self) -> None:
        for device in self._devices:
            if device.counters is not None:
                device.counters.close()
        try:
            pynvml.nvmlShutdown()
        except pynvml.NVMLError_Uninitialized:
            return

    def _list(self) -> list[_Device]:
        found: list[_Device] = []
        for place in range(min(pynvml.nvmlDeviceGetCount(), DEVICES_MAX)):
            handle = pynvml.nvmlDeviceGetHandleByIndex(place)
            device = _Device(name=_name(handle), handle=handle, queries=list(self._queries))
            if self._metrics:
                device.counters = Counters(handle, self._metrics)
                device.queries.append(device.counters.ask)
            device.instances = self._instances(handle)
            found.append(device)
        return found

    def _instances(self, handle: Any) -> list[_Device]:
        """The instances of a chip that is cut into such."""
        try:
            if pynvml.nvmlDeviceGetMigMode(handle)[0] != pynvml.NVML_DEVICE_MIG_ENABLE:
                return []
            count = pynvml.nvmlDeviceGetMaxMigDeviceCount(handle)
        except pynvml.NVMLError:
            return []
        found: list[_Device] = []
        for place in range(min(count, DEVICES_MAX)):
            try:
                instance = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, place)
            except pynvml.NVMLError_NotFound:
                continue
            found.append(_Device(name=_name(instance), handle=instance, queries=[_memory]))
        return found


def _name(handle: Any) -> str:
    found = pynvml.nvmlDeviceGetUUID(handle)
    return found.decode("ascii", "replace") if isinstance(found, bytes) else str(found)


def _fault(fault: Exception) -> EnvironmentError_:
    return EnvironmentError_(
        str(fault),
        where="NVML",
        remedy="install the NVIDIA driver, which brings libnvidia-ml.so.1, and load its module",
    )
