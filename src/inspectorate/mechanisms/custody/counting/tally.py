"""A checklist held against the register: of every drawn unit, what is due, what was seen, what else was read there.

- A chip is seen if its serial was read in its own unit. Read in another, it is misplaced: missing here, and other there.
- Where the unit is a chip, its host is opened, and every serial of that host may be read: those that were not drawn are at home.
- A serial that was read in two places is named: one of them is a copy, or one reading is false.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from inspectorate.evidence.custody import CountUnit
from inspectorate.mechanisms.custody.counting.checklist import Read
from inspectorate.mechanisms.custody.register import Register, Units, units


@dataclass(frozen=True, kw_only=True)
class UnitTally:
    """Chips of one drawn unit, by row of the register; and serials that do not belong there."""

    due: int
    missing: tuple[int, ...]
    """Rows of the register whose serials were not read."""
    other: tuple[str, ...]
    """Serials that were read and do not belong there."""


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What a checklist says of a draw."""

    units: Mapping[int, UnitTally]
    """Of every unit that was opened."""
    twice: tuple[str, ...]
    """Serials that were read in two places."""

    @property
    def seen(self) -> int:
        return sum(one.due - len(one.missing) for one in self.units.values())

    @property
    def other(self) -> int:
        return sum(len(one.other) for one in self.units.values())

    @property
    def misplaced(self) -> tuple[str, ...]:
        """Serials that were read where they do not belong; whether they are registered at all, the register says."""
        return tuple(serial for one in self.units.values() for serial in one.other)


def tally(register: Register, of: Units, reads: Mapping[int, Read]) -> Tally:
    """Hold what was read in opened units against the register."""
    homes = units(register, CountUnit.HOST) if of.unit is CountUnit.CHIP else of
    found: dict[int, UnitTally] = {}
    places: Counter[str] = Counter()
    counted: set[tuple[int, str]] = set()
    for number, read in reads.items():
        rows = of.rows(number)
        serials = register.serials.slice(rows.start, len(rows)).to_pylist()
        home_number = int(np.searchsorted(homes.starts, rows.start, side="right")) - 1
        home = homes.rows(home_number)
        at_home = set(register.serials.slice(home.start, len(home)).to_pylist())
        shown = set(read.serials)
        missing = tuple(row for row, serial in zip(rows, serials, strict=True) if serial not in shown)
        fresh = {serial for serial in shown if (home_number, serial) not in counted}
        counted |= {(home_number, serial) for serial in fresh}
        places.update(fresh)
        other = tuple(sorted(fresh - at_home))
        found[number] = UnitTally(due=len(rows), missing=missing, other=other)
    return Tally(units=found, twice=tuple(sorted(serial for serial, count in places.items() if count > 1)))
