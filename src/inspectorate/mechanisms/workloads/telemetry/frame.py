"""The two forms of telemetry: samples as they came, and the dense frame in which everything is computed.

- `Samples`: one row per unit and moment, one column per signal, in the order of arrival. Nothing is put right: repeats,
  sentinels, resets and late rows are in it.
- `Frame`: signal x time x unit, time-major, on a regular grid; NaN where nothing was measured. Only gauges are in frames:
  a counter has become its mean rate (`signals`).

`tidy` makes the second from the first, and counts what it had to leave out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]
Values = NDArray[np.float64]
Dense = NDArray[np.float32]

UNITS_MAX = 1_000_000
SIGNALS_MAX = 64
SAMPLES_MAX = 200_000_000
"""Values of one table, rows times signals."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """Samples in the order in which they came.

    Shapes: `time_ns` (n,) int64, nanoseconds since 1970; `unit` (n,) int32, index into `units`; `values` (n, signals)
    float64 in the units of the signals' names, NaN where a row has no value of a signal.
    Raises `ValueError` where they do not fit together.
    """

    units: tuple[str, ...]
    signals: tuple[str, ...]
    time_ns: Times
    unit: NDArray[np.int32]
    values: Values

    def __len__(self) -> int:
        return len(self.time_ns)

    def __post_init__(self) -> None:
        if len(self.units) > UNITS_MAX or len(self.signals) > SIGNALS_MAX or self.values.size > SAMPLES_MAX:
            raise ValueError(
                f"{self.values.size} values of {len(self.units)} units are more than {SAMPLES_MAX} of {UNITS_MAX}"
            )
        if len(set(self.units)) != len(self.units) or len(set(self.signals)) != len(self.signals):
            raise ValueError("a unit or a signal is named twice")
        if self.time_ns.shape != self.unit.shape or self.values.shape != (len(self.time_ns), len(self.signals)):
            raise ValueError(f"{len(self.time_ns)} rows of {len(self.signals)} signals do not fit {self.values.shape}")
        if len(self.unit) and not 0 <= int(self.unit.min()) <= int(self.unit.max()) < len(self.units):
            raise ValueError("a row is of a unit that is not named")


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """Telemetry on a regular grid.

    `values`: float32, shape (signals, times, units), C-contiguous, NaN for gaps. Step k covers
    [start_ns + k * step_ns, start_ns + (k + 1) * step_ns). Raises `ValueError` where the shapes do not fit.
    """

    units: tuple[str, ...]
    signals: tuple[str, ...]
    start_ns: int
    step_ns: int
    values: Dense

    def __post_init__(self) -> None:
        if (
            self.values.ndim != 3
            or self.values.shape[0] != len(self.signals)
            or self.values.shape[2] != len(self.units)
        ):
            raise ValueError(f"values of shape {self.values.shape} do not fit {len(self.signals)} x {len(self.units)}")
        if self.step_ns <= 0:
            raise ValueError("a step must be longer than nothing")

    @property
    def times(self) -> int:
        return int(self.values.shape[1])

    @property
    def step_s(self) -> float:
        return self.step_ns / 1e9

    @property
    def time_ns(self) -> Times:
        """When each step begins, shape (times,)."""
        return self.start_ns + self.step_ns * np.arange(self.times, dtype=np.int64)

    def of(self, signal: str) -> Dense:
        """One signal, shape (times, units). Raises `KeyError` if it is not measured."""
        if signal not in self.signals:
            raise KeyError(signal)
        found: Dense = self.values[self.signals.index(signal)]
        return found
