"""What an integrity check found: closed kinds, each with the series and the time that it concerns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from inspectorate.quantities import from_ns


class FindingKind(StrEnum):
    """The closed list."""

    COPY = "copy"
    """A stretch of one series stands in another."""
    ALIKE = "alike"
    """Equal up to scale, offset and little noise: a near copy, or meters of one load without noise of their own."""
    REPLAY = "replay"
    """A stretch of a series' own past, or of a reference, stands in it again."""
    STUCK = "stuck"
    """One value, to the last digit, for longer than a sensor repeats it."""
    COARSE = "coarse"
    """Values on a grid so wide that little can be told from them."""
    TOO_QUIET = "too-quiet"
    """A busy unit with less noise than any sensor of its kind shows."""
    ZERO_WHILE_ON = "zero-while-on"
    """0 W between samples of a running unit."""
    SATURATED = "saturated"
    """The highest value again and again: the load may have been higher."""
    CLOCK_SHIFTED = "clock-shifted"
    """Two meters of one load agree only if the clock of one is off."""
    CLOCK_DRIFTS = "clock-drifts"
    CLOCK_STEPPED = "clock-stepped"
    """A jump of the clock within a series, against a second meter."""
    METERS_APART = "meters-apart"
    """Two meters of one load differ by more than is put down to the meters."""
    PARTS_EXCEED_WHOLE = "parts-exceed-whole"
    WHOLE_EXCEEDS_PARTS = "whole-exceeds-parts"
    POWER_WITHOUT_WORK = "power-without-work"
    WORK_WITHOUT_POWER = "work-without-power"


MADE = frozenset(
    {
        FindingKind.COPY,
        FindingKind.REPLAY,
        FindingKind.METERS_APART,
        FindingKind.PARTS_EXCEED_WHOLE,
        FindingKind.WHOLE_EXCEEDS_PARTS,
        FindingKind.POWER_WITHOUT_WORK,
    }
)
"""Findings that honest meters of one load do not give: the evidence contradicts itself. The others only weaken it.

Work without power is none: a busy share counts time in which anything is resident, and light loads take little more than idling.
Nor is a stepped clock: between a rack and one of its nodes, rhythms that pods share can look like one.
"""


@dataclass(frozen=True, kw_only=True)
class SeriesFinding:
    """One thing that is wrong with one or two series, and when."""

    kind: FindingKind
    one: str
    other: str = ""
    start_ns: int
    end_ns: int
    size: float
    """How large: seconds, watts or a share, as the kind has it."""
    text: str

    @property
    def made(self) -> bool:
        return self.kind in MADE

    def sentence(self) -> str:
        """For a report: the series, the time, and what it is."""
        both = f"{self.one} and {self.other}" if self.other else self.one
        start, end = from_ns(self.start_ns), from_ns(self.end_ns)
        return f"{both}, {start:%Y-%m-%d %H:%M:%S} to {end:%H:%M:%S} UTC: {self.text}"
