"""Bounds on what is read from outside, and names of columns and subjects.

The columns of a register are fixed by the agreement of all parts of custody; the bounds are choices of this file: twenty times the
largest fleet that a review has to take, and no more than a payload may hold.
"""

from __future__ import annotations

import re

from inspectorate.canonical import JSON_BYTES_MAX
from inspectorate.evidence.pages import Bounds

TABLE_BYTES_MAX = JSON_BYTES_MAX
"""Of one table as it is handed over: no payload of an exchange is larger."""
ROWS_MAX = 2_000_000
"""Chips of one table, or links of one wiring. A list of 2,000,000 serials takes some 40 MB before compression."""
UNPACKED_BYTES_MAX = 512 * 1024 * 1024
"""Of one table after decompression, page by page, as its pages say and as Arrow will allocate."""
ROW_GROUPS_MAX = 64
STRING_BYTES_MAX = 1 << 20
"""Of any text in the footer of a table."""
CONTAINER_ITEMS_MAX = 100_000
"""Of any list in the footer of a table."""
BITS_PER_S_MAX = 10**15
"""Of one link. A petabit per second is a thousand times the fastest port that is sold."""
FOOTER_BYTES_MAX = 1 << 20
"""Of a table: 64 groups of rows of nine columns take a few ten thousand bytes."""
HEADER_BYTES_MAX = 64 * 1024
"""Of one page."""
BOUNDS = Bounds(
    rows=ROWS_MAX,
    groups=ROW_GROUPS_MAX,
    footer_bytes=FOOTER_BYTES_MAX,
    header_bytes=HEADER_BYTES_MAX,
    unpacked_bytes=UNPACKED_BYTES_MAX,
)

SERIAL = "serial"
PLACE = ("site", "cluster", "pod", "rack", "host")
"""Columns that say where a chip stands, from the outside in."""
ORDER = (*PLACE, SERIAL)
"""A register is sorted by these."""
COLUMNS = (SERIAL, "model", *PLACE, "owner", "state")
STATES = ("broken", "working")

IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""As `canonical.Identifier`."""
SERIAL_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:/+-]{0,63}$"
"""Plain ASCII, so that no two serials look alike and differ: a letter of another script is no letter of a serial."""
NAME_CHARS_MAX = 128
"""Of a rack, a host, an owner: printable, and without white space at its ends."""

REGISTER_SUBJECT, WIRING_SUBJECT, CHIPS_SUBJECT, DECISION_SUBJECT = "register", "wiring", "chips", "decision"
"""Names of subjects, as `evidence.custody` has them."""
ROWS_TOGETHER_MAX = 20_000_000
"""Rows of all registers and lists of one keeper that a review holds at once, some 1.5 GB: a hundred registers of 200,000 chips, a
register each quarter for twenty-five years. What comes after is named as unread, and never fine."""
