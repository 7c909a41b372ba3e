"""Constants of the challenge, each with its source."""

from __future__ import annotations

from typing import Final

COMMIT_WITHIN_S: Final = 3600
"""With a beacon: the round is the first at or after the end of the committed stretch and so much. By then the
commitment must be with the verifier. Ours: an hour is long against packets of minutes and short against days of
training."""

STRETCH_TOLERANCE_NS: Final = 1_000
"""A period is stated in whole microseconds, packets in nanoseconds."""
FLOP_RELATIVE_TOLERANCE: Final = 1e-6
"""Of a sum of 500,000 doubles against the stated total."""
