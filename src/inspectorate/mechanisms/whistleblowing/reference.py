"""Constants of the appraisal, each with its source."""

from __future__ import annotations

RHYTHM_SHORTFALL_MAX = 0.1
"""An intake writes at a fixed rhythm, whether anybody reports or not, so that blocks per second say for how long it ran. A
batch with this much less than the intake's fullest is named: a restart costs seconds of a day, an outage that matters more. An
assumption."""
BATCHES_MAX = 100_000
"""Batches of one review that are put in order: a year of one every five minutes. More are refused by name."""
ROWS_MAX = 1_000
"""Rows of an exhibit."""
