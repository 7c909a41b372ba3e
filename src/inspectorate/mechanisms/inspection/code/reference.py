"""Bounds on what is read from a declared repository. They are ours, and wide for honest code: what exceeds them is refused or
named under what the review cannot see, never passed over."""

from __future__ import annotations

FILES_MAX = 100_000
SNAPSHOT_BYTES_MAX = 4 << 30
"""Of all files together, unpacked."""
FILE_BYTES_MAX = 1 << 30
PATH_BYTES_MAX = 1024
PATH_DEPTH_MAX = 64
EXPANSION_MAX = 200
"""Unpacked bytes per packed byte of one archive: source text packs 3 to 10 times, DEFLATE ends at 1032."""
EXPANSION_FREE_BYTES = 1 << 20
"""Below this size unpacked, an archive may expand as it likes."""
CHUNK_BYTES = 1 << 20

SOURCE_BYTES_MAX = 8 << 20
"""The largest source file that is parsed; the largest honest one known to us has 3 MB (a generated grammar)."""
NESTING_MAX = 200
"""Brackets within brackets; CPython's own parser stops at 200."""
LINE_BYTES_MAX = 1 << 20
DIGITS_MAX = 4000
"""Digits of one number in source: CPython refuses to convert more than 4300."""
TREE_DEPTH_MAX = 600
NODES_MAX = 4_000_000

FOLDED_BYTES_MAX = 1 << 16
"""Constants that are longer are not folded further."""
ALTERNATIVES_MAX = 8
"""Values that one name may have before it counts as unknown."""
EVALUATION_DEPTH_MAX = 60
ROUNDS = 3
"""How often arguments are carried from callers to callees."""
POINTERS_MAX = 200_000
EXCERPT_CHARACTERS_MAX = 240

RUN_SECONDS = 60.0
RUN_MEMORY_BYTES = 8 << 30
RUN_OUTPUT_BYTES_MAX = 16 << 20
RUN_EVENTS_MAX = 20_000
