"""Where chips stood in the course of time, and the most that passed through one place within a window.

Observed is: a register at its time, a departure, an arrival. Two observations of a chip in one place, one after the other and
without a departure between, are a stay in between; all else is known for the moment only. So a chip that was somewhere unobserved
counts for less than it might have done: what is found here was there, by the party's own word.

The mass of a place over a window [t, t + W] counts every chip once that stood there at some time of it. Its maximum over t is found
by a sweep: a stay from a to b meets the window if a - W <= t <= b.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise

import numpy as np

from inspectorate.mechanisms.custody.clusters.network import BoolArray, IntArray


class Seen(IntEnum):
    """How a chip was observed in a place."""

    REGISTERED = 0
    ARRIVED = 1
    LEFT = 2


@dataclass(frozen=True, eq=False)
class Observed:
    """Observations: parallel arrays, in any order."""

    chip: IntArray
    place: IntArray
    at_ns: IntArray
    seen: IntArray

    @classmethod
    def joined(cls, parts: Sequence[Observed]) -> Observed:
        """All of several."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts])
                     for name in ("chip", "place", "at_ns", "seen")))  # fmt: skip


@dataclass(frozen=True, eq=False)
class Stays:
    """Stretches of time in which a chip stood in a place, from first to last observation."""

    chip: IntArray
    place: IntArray
    start_ns: IntArray
    end_ns: IntArray


@dataclass(frozen=True)
class Peak:
    """The most that passed through one place within a window."""

    place: int
    start_ns: int
    mass: int


def stays_of(observed: Observed) -> Stays:
    """Stays, by chip and time."""
    order = np.lexsort((observed.seen, observed.at_ns, observed.chip))
    chip, place, at, seen = (getattr(observed, name)[order] for name in ("chip", "place", "at_ns", "seen"))
    if not chip.size:
        return Stays(chip, place, at, at)
    new = np.ones(chip.size, dtype=np.bool_)
    new[1:] = (chip[1:] != chip[:-1]) | (place[1:] != place[:-1]) | (seen[:-1] == Seen.LEFT)
    first = np.flatnonzero(new)
    last = np.append(first[1:], chip.size) - 1
    return Stays(chip=chip[first], place=place[first], start_ns=at[first], end_ns=at[last])


def peaks(stays: Stays, mass_of_chip: IntArray, window_ns: int) -> list[Peak]:
    """For every place, the window in which most passed through it: the latest of equals, by its beginning `start_ns`."""
    merged = _widened(stays, window_ns)
    mass = mass_of_chip[merged.chip]
    # At one time, what begins comes before what ends: windows are closed.
    place = np.concatenate((merged.place, merged.place))
    at = np.concatenate((merged.start_ns, merged.end_ns))
    ends = np.concatenate((np.zeros(mass.size, dtype=np.int64), np.ones(mass.size, dtype=np.int64)))
    change = np.concatenate((mass, -mass))
    order = np.lexsort((ends, at, place))
    place, at, change = place[order], at[order], change[order]
    level = np.cumsum(change)
    found = []
    bounds = np.append(np.flatnonzero(np.diff(place, prepend=-1)), place.size).tolist()
    for start, end in pairwise(bounds):
        # Every place begins and ends at zero, so the running sum needs no restart.
        top = end - 1 - int(np.argmax(level[start:end][::-1]))
        # The level holds up to what comes next, which is an end.
        found.append(Peak(place=int(place[start]), start_ns=int(at[top + 1]), mass=int(level[top])))
    return found


def within(stays: Stays, peak: Peak, window_ns: int) -> BoolArray:
    """The stays that make a peak."""
    found: BoolArray = (
        (stays.place == peak.place) & (stays.start_ns <= peak.start_ns + window_ns) & (stays.end_ns >= peak.start_ns)
    )
    return found


def _widened(stays: Stays, window_ns: int) -> Stays:
    """Every stay begun a window earlier; those of one chip in one place that then overlap as one."""
    start = stays.start_ns - window_ns
    order = np.lexsort((start, stays.chip, stays.place))
    chip, place, start, end = stays.chip[order], stays.place[order], start[order], stays.end_ns[order]
    if not chip.size:
        return Stays(chip, place, start, end)
    new = np.ones(chip.size, dtype=np.bool_)
    # Stays of one chip follow one another, so the one before ends last.
    new[1:] = (chip[1:] != chip[:-1]) | (place[1:] != place[:-1]) | (start[1:] > end[:-1])
    first = np.flatnonzero(new)
    last = np.append(first[1:], chip.size) - 1
    return Stays(chip=chip[first], place=place[first], start_ns=start[first], end_ns=end[last])
