"""One figure of supply: so many chips of a kind, made by a designer or sold to an owner, in a stretch of time, with a range."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from inspectorate.mechanisms.custody.supply.ranges import Range
from inspectorate.mechanisms.custody.supply.reference import SAME


class FigureKind(StrEnum):
    PRODUCED = "produced"
    """By a designer, or for it: no owner is named."""
    SOLD = "sold"
    """To an owner."""


class IssueKind(StrEnum):
    """What can be wrong with a figure, or between figures: a closed list."""

    DUPLICATE = "duplicate"
    """The same figure stands there twice; the first is counted."""
    NO_RANGE = "no-range"
    """A bare number; it was widened."""
    NOT_A_QUARTER = "not-a-quarter"
    """The period is longer than a quarter, or the row is a running total: it was left out."""
    UNIT = "unit"
    """H100-equivalents and chips do not fit together."""
    OWNERS_ABOVE_DESIGNER = "owners-above-designer"
    """Owners bought more than was made."""
    OWNERS_BELOW_DESIGNER = "owners-below-designer"
    """Owners are known for less than was made: the rest went to somebody."""
    TOTAL = "total"
    """A running total is not the sum of its quarters."""
    DIFFERS = "differs"
    """Two files say different things of one matter."""


@dataclass(frozen=True, kw_only=True)
class Issue:
    """One of them, with its place and what to do."""

    kind: IssueKind
    where: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what} ({self.remedy})"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One row."""

    kind: FigureKind
    designer: str
    chip: str
    owner: str | None
    start: date
    end: date
    units: Range
    h100_equivalents_each: float
    where: str
    """File and row."""

    @property
    def quarter(self) -> str:
        """The calendar quarter in which the middle of the period lies."""
        middle = date.fromordinal((self.start.toordinal() + self.end.toordinal()) // 2)
        return f"{middle.year}Q{(middle.month + 2) // 3}"

    @property
    def key(self) -> tuple[object, ...]:
        """What may stand there once."""
        return self.kind, self.designer, self.chip, self.owner, self.start, self.end


@dataclass(frozen=True)
class Figures:
    """All figures, and what is wrong with them."""

    rows: tuple[Figure, ...]
    issues: tuple[Issue, ...] = ()

    def of(self, kind: FigureKind) -> tuple[Figure, ...]:
        return tuple(one for one in self.rows if one.kind is kind)


def kind_of_chip(name: str) -> str:
    """One name for all that lists call a kind of chip."""
    return SAME.get(name, name)


def ratio_fits(each: float, other: float, tolerance: float) -> bool:
    """Whether two figures of H100-equivalents of a chip agree within a share."""
    return abs(math.log(each / other)) <= math.log1p(tolerance)
