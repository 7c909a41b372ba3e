"""Windows of telemetry as features, by dense kernels: what a workload signature is made of.

1. A frame (signal x time x unit) is cut into windows, or steps are pushed into a ring and windows come out as they complete.
2. Tiles of 64 lanes, each one unit in one window, are sorted, summed and correlated row by row, in compiled code.
3. The table that comes out has a named column for every feature, NaN where it cannot be had, and the share that was observed.

It establishes nothing by itself: it says neither what is usual nor what is approved.
"""

from inspectorate.mechanisms.workloads.windows.compute import window_features, window_statistics
from inspectorate.mechanisms.workloads.windows.reference import FEATURES_VERSION
from inspectorate.mechanisms.workloads.windows.stream import StreamingWindows
from inspectorate.mechanisms.workloads.windows.types import Windows, feature_names, main_pairs

__all__ = [
    "FEATURES_VERSION",
    "StreamingWindows",
    "Windows",
    "feature_names",
    "main_pairs",
    "window_features",
    "window_statistics",
]
