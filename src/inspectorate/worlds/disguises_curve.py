"""What work costs in power: the curve behind every disguise, and what is assumed of the adversary's levers.

    power = idle + (power at full clock - idle) * clock ** exponent
    throughput = clock

- Below `clock_min` chips do not clock lower; they work for a share of the time (`duty`), and power falls in proportion.
- Burn kernels draw `peak_w`, the most that the system was ever seen to draw, for the share of the time that they run.

Sources. CMOS: dynamic power is C V^2 f, and voltage rises with frequency, so power goes with the second to third power of
the clock. Measured: BERT-sized models on 250 W V100 capped at 150 W took 6.8 % longer with 13.7 % less energy (arXiv
2205.09646, averages), which is an exponent of about 4 on what power was really saved, idle power of 40 W taken off; a cap of
600 W on 700 W H100 is reported to cost 10 to 15 % of the steps, an exponent of 1.2 to 1.7. The default, 3, lies between and
favours the adversary over most of the range: the larger the exponent, the cheaper it is to look weak.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.workloads.telemetry.frame import Frame

Floats = NDArray[np.float64]

EXPONENT = 3.0
CLOCK_MIN = 0.2
"""An H100 runs from 345 to 1,980 MHz (`nvidia-smi -q -d SUPPORTED_CLOCKS`)."""
IDLE_QUANTILE, PEAK_QUANTILE = 0.005, 0.999
"""Idle and peak of a system where only its recordings are known: extremes without single outliers."""
DROPOUT_W = 1.0
"""A meter that shows less shows nothing: a running node never draws so little."""

CONTENTION = 0.1
"""Burning while training waits for the network still slows it by this share of the burn: assumed, not measured."""
STAGGER_COST = 0.05
"""Throughput lost when workers are spread over a whole step, by stale gradients or bubbles: assumed, not measured."""


@dataclass(frozen=True, kw_only=True)
class PowerCurve:
    """Power against throughput of what one meter measures. Raises `ValueError` if there is no room between idle and peak."""

    idle_w: float
    peak_w: float
    exponent: float = EXPONENT
    clock_min: float = CLOCK_MIN

    def __post_init__(self) -> None:
        if not 0 <= self.idle_w < self.peak_w:
            raise ValueError(f"there is no power between {self.idle_w} W idle and {self.peak_w} W at most")
        if not (self.exponent >= 1 and 0 < self.clock_min <= 1):
            raise ValueError("the exponent is at least 1, and the lowest clock a share above 0")

    @classmethod
    def of(cls, frames: Sequence[Frame], *, exponent: float = EXPONENT) -> PowerCurve:
        """From recordings of one system, its idle stretches among them. Raises `ValueError` if they hold no power."""
        values = np.concatenate([frame.of("power_w").ravel() for frame in frames]).astype(np.float64)
        values = values[values > DROPOUT_W]
        if len(values) == 0:
            raise ValueError("the recordings hold no power")
        idle, peak = np.quantile(values, [IDLE_QUANTILE, PEAK_QUANTILE])
        return cls(idle_w=float(idle), peak_w=float(peak), exponent=exponent)

    def throttle(self, power_w: float, wanted_w: float) -> tuple[float, float]:
        """Clock and share of the time worked, by which work that draws `power_w` at full clock draws `wanted_w`."""
        above = power_w - self.idle_w
        if above <= 0 or wanted_w >= power_w:
            return 1.0, 1.0
        share = max(wanted_w - self.idle_w, 0.0) / above
        clock = share ** (1 / self.exponent)
        if clock >= self.clock_min:
            return clock, 1.0
        return self.clock_min, share / self.clock_min**self.exponent

    def burn(self, power_w: float, wanted_w: float) -> float:
        """Share of the time given to burn kernels, by which work that draws `power_w` draws `wanted_w`."""
        if wanted_w <= power_w or power_w >= self.peak_w:
            return 0.0
        return min((wanted_w - power_w) / (self.peak_w - power_w), 1.0)
