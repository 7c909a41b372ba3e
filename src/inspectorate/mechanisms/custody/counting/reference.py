"""Bounds and constants of counting."""

from __future__ import annotations

from typing import Final

COMMIT_WITHIN_S: Final = 3600
"""With a beacon, the round is the first made at or after this time from `handed_at`: the register must be handed over by then."""
CHECKLIST_BYTES_MAX: Final = 64 * 1024 * 1024
READS_MAX: Final = 2_000_000
"""Serials of one checklist: ten times the fleet that a review has to take."""
READS_OF_PLACE_MAX: Final = 100_000
SERIAL_CHARS_MAX: Final = 64
"""As in the register."""
PAPER_BYTES_MAX: Final = 16 * 1024 * 1024
PAGE_UNITS_MAX: Final = 5000
"""Of one page: a phone has to hold it. More units go on several pages, one for each team."""
SITES_MAX: Final = 10_000
CHIPS_MAX: Final = 10_000_000
SKIPPED_EXACTLY_MAX: Final = 6
"""Up to so many sites, every set of sites that is left out is tried; beyond, one is left out after the other."""
BETS: Final = tuple(2.0**k for k in range(-6, 7))
"""Stakes of the e-value, in multiples of one by the honest number of misplaced chips: from an excess that is spread over many units
to one that stands in a few."""
