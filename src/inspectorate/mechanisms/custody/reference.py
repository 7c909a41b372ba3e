"""Constants of the appraisal, each with its source. Constants of the parts stand beside them."""

from __future__ import annotations

CONTRARY_RATE = 1e-6
"""Chance that a party which keeps a clause states the contrary over its own signature: that chips left before the time that it
gave itself, or after an inspector had refused; that chips above a limb stand at a site that it does not declare. An assumption,
stated in every assessment that uses it. Mistakes of bookkeeping are far more common, and no such statement: they weigh nothing."""
DECISIVE_STAKE = 0.5
"""Where a single observation all but excludes compliance, half of the capital is staked on it."""
COUNTS_MAX = 64
"""Usable counts of one register that bound anything in one review: a year of one a week, and some. Each may use only its part of
the miss probability, and the parts are fixed by the terms before any count is seen."""
RESEAL_S_MAX = 900.0
"""From the check of a seal to the next one put on the same places by the same inspector, who stands there meanwhile: time to open a
rack, read its serials and close it. A choice."""
RESEAL_SHARE_MAX = 0.1
"""Nor more than this share of the agreed time between checks."""
ROWS_MAX = 1_000
"""Rows of an exhibit."""
PLACES_SHOWN = 6
