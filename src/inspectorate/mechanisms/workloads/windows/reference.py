"""What the features of a window are made of: their constants, each with its reason.

A change of any of them changes what a workload signature means: raise `FEATURES_VERSION` with it.
"""

from __future__ import annotations

FEATURES_VERSION = 1
"""Two windows are compared only where this is the same."""

LANES = 64
"""Units that are computed side by side: 64 x 60 steps of float32 are 15 kB, half of the first-level cache of usual cores."""
STEPS_MIN, STEPS_MAX = 8, 3600
"""Steps of a window. With fewer, no quantile between extremes means anything; with more, the dense transform is the wrong tool."""
VALUES_MAX = 500_000_000
"""Features of one call, windows times units times features: 2 GB. Cut longer frames in time."""

OBSERVED_MIN = 0.8
"""Share of a window's steps that must have been measured, unless the caller asks for another."""

QUANTILES = (("min", 0.0), ("q05", 0.05), ("q10", 0.1), ("q25", 0.25), ("q50", 0.5), ("q75", 0.75), ("q90", 0.9),
             ("q95", 0.95), ("max", 1.0))  # fmt: skip
"""Order statistics, each with its place between the least and the greatest value."""

PAIRS_MIN = 6
"""Measured values, or pairs of them, below which a window has no features, and two series no correlation."""
SPREAD_MIN = 1e-12
"""Standard deviation over mean below which a mean of other units does not vary: that is rounding in float64."""
PEAK_PART = 0.9
"""The period is the first peak of the autocorrelation that comes this near to the highest: multiples of a period peak, too."""
LAGS = (1, 2, 3, 5, 8, 13)
"""Lags of the autocorrelation in steps: Fibonacci numbers, about evenly spaced in the logarithm."""
BANDS = 8
"""Bands of the spectrum, spaced by the logarithm of the frequency."""

LEVEL_PART = 0.25
"""A step is low (high) in the lower (upper) quarter between the 5 % and the 95 % quantile; between them it is on the way."""
SHIFT_PART = 6
"""A change point compares means over a sixth of the window on either side: 10 s of 60 s, longer than most steps of training."""
SHIFT_STEPS_MIN = 3
SHIFT_SIGMAS = 5.0
"""Standard errors of the difference of two means; how often white noise exceeds them stands in docs/windows.md."""
SHIFT_RANGE = 0.25
"""A shift smaller than this part of the window's range is no change point, however quiet the signal: quantised sensors step."""
SIGMA_OF_MEDIAN = 1.4826022185056018
"""Standard deviation of a normal distribution over the median of its absolute value, 1 / 0.6744897501960817."""

MAIN_PAIRS = (
    ("power_w", "busy_share"),
    ("power_w", "memory_busy_share"),
    ("power_w", "sm_busy_share"),
    ("power_w", "tensor_busy_share"),
    ("power_w", "dram_busy_share"),
    ("power_w", "core_clock_hz"),
    ("power_w", "memory_used_bytes"),
    ("power_w", "pcie_sent_bytes_per_s"),
    ("power_w", "pcie_received_bytes_per_s"),
    ("power_w", "nvlink_bytes_per_s"),
    ("power_w", "nvlink_sent_bytes_per_s"),
    ("busy_share", "memory_busy_share"),
    ("busy_share", "pcie_received_bytes_per_s"),
    ("busy_share", "nvlink_bytes_per_s"),
    ("busy_share", "nvlink_sent_bytes_per_s"),
    ("pcie_sent_bytes_per_s", "pcie_received_bytes_per_s"),
    ("cpu_busy_cores", "network_sent_bytes_per_s"),
    ("cpu_busy_cores", "network_received_bytes_per_s"),
    ("cpu_busy_cores", "resident_bytes"),
    ("network_sent_bytes_per_s", "network_received_bytes_per_s"),
)
"""Pairs whose correlation is computed where both are measured: what computes with what draws, waits and sends."""
