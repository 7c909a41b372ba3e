"""Constants of the appraisal, each with its source. Constants of rosters and forms stand beside them."""

from __future__ import annotations

ROSTERS_MAX = 1_000
"""Rosters of one reporter that are held against one another: twenty years of one a week. More are refused by name."""
ENTRIES_SHOWN = 4
ROWS_MAX = 1_000
"""Rows of an exhibit."""
