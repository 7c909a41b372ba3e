"""Bounds and constants of re-execution, each with its reason or source."""

from __future__ import annotations

STEPS_MAX = 4096
"""Of one packet that is run again; a longer one is `NOT_RUN`."""
ITEMS_MAX = 1 << 20
"""Data items of one packet that is run again."""
FILE_BYTES_MAX = 1 << 36
PARAMETERS_MAX = 10**9
"""Of a declared decoder."""
PROGRAM_BYTES_MAX = 1 << 20
MODULE_BYTES_MAX = 4 << 20

MEMORY_BYTES = 8 << 30
"""Of addresses of a process that runs a packet again. Loading torch takes about 2 GB of them."""
SECONDS = 300.0
"""Of processor time for one process that runs packets again."""
JUDGE_SECONDS = 120.0

CONFIDENCE = 0.95
MARGIN = 2.0
"""The threshold is this many times the largest distance of any honest re-run: a stack that was not in the calibration is worse than
those that were. It costs power only against changes between one and two times the honest noise."""
HONEST_RUNS_MIN = 20
"""Fewer honest runs than this give a bound on false alarms that nobody would agree to (above 14 % at 95 %)."""
