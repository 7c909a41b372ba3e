"""Windows of telemetry as features: the table, and the names of its columns.

- A feature of one signal is `signal:feature`, one of two signals `signal~signal:feature`. The names and their order follow
  from the signals alone, so that two tables with equal names mean the same.
- NaN says that a feature cannot be had: too little was measured, the signal does not vary, nothing repeats, the unit is alone.
  A zero is always a result.
- What each feature is stands in docs/windows.md and, slow and obvious, in the oracle of the tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.workloads.windows.reference import BANDS, FEATURES_VERSION, LAGS, MAIN_PAIRS, QUANTILES

__all__ = ["FEATURES_VERSION", "JOINT", "SINGLE", "Windows", "feature_names", "main_pairs", "statistic_names"]

SINGLE = (
    *(name for name, _ in QUANTILES),
    "mean",
    "std",
    "skew",
    "bimodality",
    "difference_mean",
    "difference_std",
    "second_difference_mean",
    "low_share",
    "high_share",
    "dip_depth",
    "rise_height",
    "level_changes_per_min",
    "longest_dwell_share",
    "change_points",
    *(f"autocorrelation_{lag}" for lag in LAGS),
    "period_s",
    "period_strength",
    *(f"band_{band}" for band in range(1, BANDS + 1)),
    "synchrony_levels",
    "synchrony_differences",
)
"""Features of each signal, in order."""
STATISTICS = SINGLE[: len(QUANTILES) + 2]
"""Those among them that need no order in time."""
JOINT = ("levels", "differences")
"""Features of each main pair of signals, in order: their correlations."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Windows:
    """Features of windows of all units of one frame.

    Shapes: `start_ns` (windows,) int64, nanoseconds since 1970; `values` (windows, units, features) float32, NaN where a
    feature cannot be had; `observed` (windows, units) float32, share of steps in which any signal of the unit was measured.
    A window covers [start_ns, start_ns + window_ns). Raises `ValueError` where they do not fit together.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    start_ns: NDArray[np.int64]
    window_ns: int
    values: NDArray[np.float32]
    observed: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.start_ns)

    def __post_init__(self) -> None:
        shape = (len(self.start_ns), len(self.units), len(self.names))
        if self.values.shape != shape or self.observed.shape != shape[:2]:
            raise ValueError(f"values of shape {self.values.shape} do not fit {shape}")
        if self.window_ns <= 0:
            raise ValueError("a window must be longer than nothing")

    def of(self, name: str) -> NDArray[np.float32]:
        """One feature, shape (windows, units). Raises `KeyError` if it is not among the names."""
        if name not in self.names:
            raise KeyError(name)
        found: NDArray[np.float32] = self.values[:, :, self.names.index(name)]
        return found


def main_pairs(signals: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The main pairs of which both signals are there, in the order of the reference."""
    return tuple((one, other) for one, other in MAIN_PAIRS if one in signals and other in signals)


def feature_names(signals: Sequence[str]) -> tuple[str, ...]:
    """Names of the features of a frame of these signals: those of each signal, in its order, then those of the main pairs."""
    single = (f"{signal}:{name}" for signal in signals for name in SINGLE)
    joint = (f"{one}~{other}:{name}" for one, other in main_pairs(signals) for name in JOINT)
    return (*single, *joint)


def statistic_names(signals: Sequence[str]) -> tuple[str, ...]:
    """Names of the order statistics, means and standard deviations alone."""
    return tuple(f"{signal}:{name}" for signal in signals for name in STATISTICS)
