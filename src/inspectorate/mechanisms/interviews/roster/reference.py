"""Constants of rosters and draws, each with its source."""

from __future__ import annotations

from typing import Final

COMMIT_WITHIN_S: Final = 3600
"""With a beacon: the round is the first at or after `committed_at` and so much. By then the roster must be with the verifier.
Ours: as for commitments to work (`inspection.challenge.reference`)."""

ROLE_CHARACTERS_MAX: Final = 120
PSEUDONYM_CHARACTERS_MAX: Final = 64
TABLE_BYTES_MAX: Final = 32 * 1024 * 1024
"""Of a roster as it is handed in: 100,000 rows of 300 bytes."""

KEPT_BYTES_MAX: Final = 64 * 1024 * 1024
"""Of the file with the salts: 100,000 people of at most 400 bytes. As `canonical.JSON_BYTES_MAX`."""

LEAVING_CHANCE_MAX: Final = 0.01
"""Below this chance, departures just before a draw are listed as more than usual. It starts a question and never an
accusation, so it is looser than any rate of alarms. Ours."""

CONTRIBUTORS: Final = {"GPT-4": (85, 287), "Llama 3": (222, 529), "Gemini": (712, 1254)}
"""Contributors as Baker et al. 2025 (arXiv 2507.15916) count them, the smaller and the larger number of each model. The first is
taken for those who know of a training run, and the second for the stratum: worked examples, and no claim about who knew what."""
