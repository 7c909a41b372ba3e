"""Constants of reading telemetry, each with its source or reason."""

from __future__ import annotations

from inspectorate.evidence.pages import OF_NUMBERS, Bounds
from inspectorate.mechanisms.workloads.telemetry.frame import SAMPLES_MAX

LINE_BYTES_MAX = 65_536
"""A line of text beyond this is no sample: dcgm-exporter's are about 250 bytes, with all labels of a scheduler below 2 kB."""
LABELS_MAX = 128
"""Labels of one sample."""
NAME_CHARS_MAX = 256
"""Characters of a unit's name."""
VALUES_PER_PAYLOAD_MAX = 50_000_000
"""Rows times signals of one payload (400 MB): a payload of 64 MiB could otherwise name few values in very wide rows."""
PAGES_BYTES_MAX = 256 * 1024 * 1024
"""Text of all remembered pages: a million chips of 244 bytes each would need it whole. Beyond it, no page is learned."""
PAGES_MAX = 200_000

TABLE_BYTES_MAX = 1 << 30
"""Of a table as a file, and after decompression, as its pages say and as Arrow will allocate."""
TABLE_BOUNDS = Bounds(
    rows=SAMPLES_MAX,
    values=SAMPLES_MAX,
    groups=10_000,
    footer_bytes=1 << 20,
    header_bytes=64 * 1024,
    unpacked_bytes=TABLE_BYTES_MAX,
    encodings=OF_NUMBERS,
)
"""A group of rows takes about 75 bytes of the footer per column and at most a few hundred; ours has 1,048,576 rows. Our times are
DELTA_BINARY_PACKED."""
TABLE_STRING_BYTES_MAX = 16 * 1024 * 1024
"""One string of a table's own description (Thrift)."""
TABLE_CONTAINER_ITEMS_MAX = 4_000_000
"""Items of one list of a table's own description (Thrift)."""
CSV_ROWS_MAX = 50_000_000

COVERED_SHARE_MIN = 0.5
"""A step has a value of a counter only if readings span at least this part of it: less would stand for the rest."""
GAP_STEPS = 3
"""Readings of a counter further apart than this many steps leave a gap, unless the caller knows better."""
JITTER_MAX = 1.5
"""Samples of a gauge that are no further apart than this many steps leave no gap: a clock that ticks a little late puts two of
them into one step, and none into the next."""
RATE_CHANGE = 0.5
"""A unit's sampling interval has changed if intervals differ from those before by more than this part of them, ..."""
RATE_CHANGE_RUN = 4
"""... so many in a row, which are alike among themselves: a few late or missing samples are no change."""
CELLS_MAX = 1_000_000_000
"""Values of one frame (4 GB)."""
PERIOD_TOLERANCE_NS = 1_000
"""Periods of segments have whole microseconds, samples nanoseconds."""
