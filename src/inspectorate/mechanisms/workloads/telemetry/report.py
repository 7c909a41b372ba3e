"""What reading telemetry came to: how many entries, and what was not read, by reason.

Empty is a failure: a report of zero entries says nothing about the load of anything.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

CONTRADICTIONS_MAX = 100
FAULT_CHARS_MAX = 200


class Unread(StrEnum):
    """Why an entry, or a value of it, is not among the samples. The list is closed."""

    MALFORMED = "malformed"
    """It is not what its format says."""
    TOO_LONG = "too-long"
    """A line beyond the bound."""
    UNKNOWN_NAME = "unknown-name"
    """A quantity that the catalogue of signals does not have."""
    NO_UNIT = "no-unit"
    """A known quantity of nothing: no label or column says of what."""
    NO_TIME = "no-time"
    """Neither the entry nor the scrape says when."""
    NOT_A_NUMBER = "not-a-number"
    """NaN, `[N/A]` and their kin: a unit that does not have the quantity."""
    OUTSIDE_SEGMENT = "outside-segment"
    """Its time is not within the period for which the segment was signed."""


@dataclass(kw_only=True)
class ReadReport:
    """What reading came to, over all that was read with it."""

    entries: int = 0
    """Lines that are samples, or rows of tables: what a recorder counts."""
    unread: Counter[Unread] = field(default_factory=Counter)
    contradictions: list[str] = field(default_factory=list)
    """What speaks against the telemetry itself; at most `CONTRADICTIONS_MAX`."""
    first_fault: str = ""
    slow_scrapes: int = 0
    """Scrapes read line by line, because they differed from the ones before: a matter of speed only."""
    fast_scrapes: int = 0

    def refuse(self, reason: Unread, detail: str = "") -> None:
        """Count an entry that is not read."""
        self.unread[reason] += 1
        if reason is Unread.MALFORMED and not self.first_fault:
            self.first_fault = detail[:FAULT_CHARS_MAX]

    def contradict(self, what: str) -> None:
        """Name something that speaks against the telemetry."""
        if len(self.contradictions) < CONTRADICTIONS_MAX:
            self.contradictions.append(what)
