"""Constants of the evaluation, each with its reason."""

from __future__ import annotations

RUNS_MAX = 20_000
"""Runs of one evaluation: the MLPerf extract has 5,050 series, the SPAR corpus 1,404 runs."""
FILES_MAX = 20_000
FILE_BYTES_MAX = 256 * 1024 * 1024
"""One log. A day of ten readings a second in PTDaemon's words is 86 MB."""
ROWS_MAX = 50_000_000
"""Samples of one table."""
TIMES_MAX = 2_000_000
"""Steps of one run: 23 days at 1 s."""
WORKLOADS_MAX = 1_000

OBSERVED_SHARE_MIN = 0.8
"""A window with less of it measured is not scored by any detector; it counts as abstention."""
WINDOW_S, STRIDE_S = 60.0, 30.0
"""A minute holds several steps of training at 1 Hz; half-overlapping windows as in arXiv 2606.19262 (30 s and 15 s)."""
WINDOWS_PER_RUN = 40
"""Windows of one run in a fit, evenly spaced: a run of an hour must not outvote twenty of five minutes."""
FOLDS_MAX = 8
"""Folds of runs: thresholds need a fit for every pair of folds, 28 of eight."""
RATE_PER_DEVICE_HOUR = 1 / 24
"""The budget of SensorGuard's preregistration: one false alarm in 24 device-hours."""
RATES_PER_DEVICE_HOUR = (1.0, 1 / 4, 1 / 24)
"""Rates at which calibration is shown: two that twenty hours of recordings can check, and the one asked for."""
TRAILING_WINDOWS = 10
"""An alarm is decided on the median of so many windows: five and a half minutes of windows of 60 s every 30 s, so that it can come
within ten. The ends of honest runs last for up to three such windows."""
ALARM_REST_S = 600.0
"""Crossings of the threshold within so many seconds of the last are one alarm: one call of an inspector."""
CAUGHT_WITHIN_S = 600.0
"""A substituted run counts as caught if the alarm comes within ten minutes."""
TAIL_SHARE = 0.5
"""Share of enrolled runs whose maxima are taken as the tail when a threshold lies beyond what was recorded."""
BOOTSTRAPS = 1_000
CONFIDENCE = 0.95
FAMILIES_FOR_INTERVAL_MIN = 3
"""Below this many families a bootstrap over families says nothing, and no interval is given."""
SEED = 20_261_126
BLOCK_WINDOWS = 10
"""Windows of a block of ours, as in a review; here they overlap by half, so that a block is five and a half minutes."""
