"""Constants of enrolment, each with its reason."""

from __future__ import annotations

MANIFEST_BYTES_MAX = 1024 * 1024
SIGNATURE_BYTES_MAX = 32 * 1024 * 1024
"""A record with 10,000 runs and 32 settings each, or a million units with short names, is smaller."""
PLAN_BYTES_MAX = 32 * 1024 * 1024
RUN_FILE_BYTES_MAX = 32 * 1024 * 1024
FRAME_CELLS_MAX = 400_000_000
"""Values of the frame of one run: 1.6 GB of float32, as in `observe`."""
SEGMENTS_MAX = 100_000
"""Segments of one spool that are read, and payloads to which one signature refers (`WorkloadEnrolled.references`)."""

CODE_FILES_MAX = 1_000_000
CODE_BYTES_MAX = 4 * 1024**4
CHUNK_BYTES = 1024 * 1024

UNOBSERVED_SHARE_MAX = 0.01
"""Of a run's samples of one signal and unit, so many may be missing one by one (a poll that failed). A silence longer than the
declared `silence_s_max` refuses the run however small its share."""

RUN_WINDOWS_MIN = 10
"""Windows in a run. The strangest of fewer says little of what a run shows when it goes on."""
LENGTH_RATIO_MAX = 2.0
"""The longest run over the shortest. Maxima over runs are exchangeable only between runs of like length."""
RUN_SHARE_MAX = 0.5
"""However long a run: a threshold that more than every second run exceeds is none."""
END_SHARE = 0.2
"""A setting is near an end of its range within this share of the range."""
MIDDLE_SHARE = 1 / 3
"""The middle of a range is its middle third."""
RUNS_PER_PART_MIN = 2
"""Runs near each end and in the middle: when one is held out for calibration, another must stand for its part."""
DOMINANCE_SHARE_MAX = 0.5
DOMINANCE_CHANCE_MAX = 0.01
"""No run may hold more than half of the spread between runs, unless one of as many honest runs would by chance in one of a hundred
sessions: of six runs with normal levels, one holds half in about every third session."""

DRIFT_STRETCHES_MAX = 1_000
"""Stretches of later telemetry that one drift report looks at."""
DRIFT_CHANCE_MAX = 0.01
"""Of recommending another enrolment where nothing changed, per report."""
