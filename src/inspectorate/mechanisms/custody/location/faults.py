"""The closed list of what can be wrong with round trips, and whose fault it is.

A fault is data: the judge never raises on what a payload holds. A round trip with a fault is not used, which makes a region
larger and never smaller.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Side(StrEnum):
    PROVER = "prover"
    VERIFIER = "verifier"


class Fault(StrEnum):
    """What is wrong."""

    RECORD_UNREADABLE = "record-unreadable"
    """The record is not there, or is not one of ours. Nothing was measured."""
    DEVICE_OTHER = "device-other"
    """The record is of another device than the statement. Nothing was measured."""
    LANDMARKS_DIFFER = "landmarks-differ"
    """Statement and record differ in the number of landmarks."""
    LANDMARK_UNKNOWN = "landmark-unknown"
    """The reviewer knows no such landmark: what it timed says nothing."""
    NONCE_REUSED = "nonce-reused"
    """A nonce was asked before: its answer could have waited. None of the round trips with it is used."""
    SIGNATURE_FALSE = "signature-false"
    """The answer is not signed by the device's key."""
    OUTSIDE_PERIOD = "outside-period"
    """It was not asked and answered within the period of the statement."""
    CLOCK_STEPPED = "clock-stepped"
    """The landmark's two clocks differ: one of them was set meanwhile."""
    TOO_SHORT = "too-short"
    """Shorter than a signature takes: a fault of a clock."""
    UNANSWERED = "unanswered"
    """A landmark had no usable answer at all."""

    @property
    def side(self) -> Side:
        return Side.PROVER if self is Fault.UNANSWERED else Side.VERIFIER


@dataclass(frozen=True, kw_only=True)
class Found:
    """One fault: what, in words, of which landmark or statement, and how many round trips it takes."""

    fault: Fault
    detail: str
    landmark: str | None = None
    round_trips: int = 0
    statement: str | None = None

    def __str__(self) -> str:
        return f"{self.fault.value}: {self.detail}"
