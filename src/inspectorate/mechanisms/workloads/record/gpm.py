"""Hardware counters of an NVIDIA chip by NVML's performance monitoring: how busy its multiprocessors, tensor cores and memory were.

- From Hopper on. A value is a mean between two samples of the counters, so the first poll waits until it has two.
- Samples closer than 0.1 s are not taken: a later poll that comes sooner shows none of these signals.
- A metric that the chip refuses is absent. A chip that supports none raises `NVMLError_NotSupported`, and is not asked again.

Source: NVML API reference (GPM functions; identifiers of the metrics; shares in per cent).
"""

from __future__ import annotations

import time
from typing import Any

import pynvml

APART_S_MIN = 0.101
"""Two samples must lie more than 100 ms apart, since the chip refreshes them no faster (NVML API reference, nvmlGpmMetricsGet)."""
METRICS: dict[str, tuple[int, float]] = {
    "engine_busy_share": (1, 0.01),  # NVML_GPM_METRIC_GRAPHICS_UTIL
    "sm_busy_share": (2, 0.01),  # NVML_GPM_METRIC_SM_UTIL
    "tensor_busy_share": (5, 0.01),  # NVML_GPM_METRIC_ANY_TENSOR_UTIL
    "dram_busy_share": (10, 0.01),  # NVML_GPM_METRIC_DRAM_BW_UTIL
}
"""Signal -> identifier of the metric and the factor into the signal's unit."""


class Counters:
    """The counters of one chip between the last two polls that were far enough apart."""

    def __init__(self, handle: Any, wanted: tuple[str, ...]) -> None:
        self._handle = handle
        self._wanted = wanted
        self._last: Any = None
        self._last_s = 0.0
        self._answered = False

    def ask(self, _handle: Any) -> dict[str, float]:
        """Raises `NVMLError`; one of the three that say never once and for all."""
        if self._last is None:
            if not pynvml.nvmlGpmQueryDeviceSupport(self._handle).isSupportedDevice:
                raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
            self._last, self._last_s = self._sample(), time.monotonic()
        apart_s = time.monotonic() - self._last_s
        if apart_s < APART_S_MIN:
            if self._answered:
                return {}
            time.sleep(APART_S_MIN - apart_s)
        sample, now_s = self._sample(), time.monotonic()
        try:
            values = self._between(self._last, sample)
        finally:
            pynvml.nvmlGpmSampleFree(self._last)
            self._last, self._last_s = sample, now_s
        self._answered = True
        return values

    def close(self) -> None:
        if self._last is not None:
            pynvml.nvmlGpmSampleFree(self._last)
            self._last = None

    def _sample(self) -> Any:
        sample = pynvml.nvmlGpmSampleAlloc()
        try:
            pynvml.nvmlGpmSampleGet(self._handle, sample)
        except pynvml.NVMLError:
            pynvml.nvmlGpmSampleFree(sample)
            raise
        return sample

    def _between(self, first: Any, second: Any) -> dict[str, float]:
        asked = pynvml.c_nvmlGpmMetricsGet_t()
        asked.version = pynvml.NVML_GPM_METRICS_GET_VERSION
        asked.numMetrics = len(self._wanted)
        asked.sample1, asked.sample2 = first, second
        for place, signal in enumerate(self._wanted):
            asked.metrics[place].metricId = METRICS[signal][0]
        pynvml.nvmlGpmMetricsGet(asked)
        return {
            signal: asked.metrics[place].value * METRICS[signal][1]
            for place, signal in enumerate(self._wanted)
            if asked.metrics[place].nvmlReturn == pynvml.NVML_SUCCESS
        }
