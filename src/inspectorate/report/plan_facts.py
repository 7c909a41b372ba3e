"""What a page on a plan needs to know besides exhibits: the question, in plain numbers.

The report knows no mechanism, so the question comes as this record and the answer as exhibits; `Tables` reads them by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from pydantic import Field

from inspectorate.assessment import Exhibit
from inspectorate.canonical import Record, Text
from inspectorate.quantities import NonNegative, Positive, Share

Row: TypeAlias = dict[str, str | float | None]


class PlanFacts(Record):
    """The question that was asked."""

    chip: Text = Field(description="name of the chip model")
    pods: int = Field(ge=1)
    chips: int = Field(ge=1, description="of one pod")
    flop_per_s_each: Positive = Field(description="reached by one chip")
    utilisation: Share
    memory_bytes_each: Positive
    parameters: Positive
    tokens: Positive
    batch_tokens: Positive
    sent_bytes_per_s: Positive
    received_bytes_per_s: Positive
    round_trip_s: NonNegative
    duty: Share
    window_bytes: NonNegative
    window_every_s: Positive
    served_parameters: Positive
    claimable_bytes_per_s: NonNegative = Field(description="what a pod that serves such a model could say it needs")
    alone_slowdown: float | None = Field(description="of one pod alone at the job; none where it does not fit")
    command: Text = Field(description="how to ask again")
    program: Text = Field(description="name and version of the program that answered")
    simulator: Text = Field(description="version of the simulator whose table is recomputed")

    @property
    def flop(self) -> float:
        """6 x parameters x tokens (arXiv 2001.08361)."""
        return 6 * self.parameters * self.tokens

    def limits_for(self, sent_bytes_per_s: float, received_bytes_per_s: float) -> tuple[float, float]:
        """The limits on sending that would just let so much out, and so much in.

        The limit on receiving keeps its proportion to it, and the link is used for its share of the time.
        """
        proportion = self.received_bytes_per_s / self.sent_bytes_per_s
        return sent_bytes_per_s / self.duty, received_bytes_per_s / (self.duty * proportion)


class Tables:
    """Exhibits by id, and their rows by the names of columns. Raises `ValueError` where one is missing or twice."""

    def __init__(self, exhibits: Iterable[Exhibit]) -> None:
        self._by_id: dict[str, Exhibit] = {}
        for exhibit in exhibits:
            if exhibit.id in self._by_id:
                raise ValueError(f"two exhibits are called {exhibit.id}")
            self._by_id[exhibit.id] = exhibit

    def exhibit(self, name: str) -> Exhibit:
        if name not in self._by_id:
            raise ValueError(f"the plan has no exhibit called {name}")
        return self._by_id[name]

    def rows(self, name: str, **where: str | float) -> list[Row]:
        """The rows of an exhibit in which the named columns have these values."""
        exhibit = self.exhibit(name)
        found = [dict(zip(exhibit.columns, row, strict=True)) for row in exhibit.rows]
        return [row for row in found if all(row[column] == value for column, value in where.items())]

    def column(self, name: str, column: str) -> list[float | None]:
        """A column of numbers, some of which may be absent. Raises `ValueError` if it holds text."""
        exhibit = self.exhibit(name)
        place = exhibit.columns.index(column)
        return [number(row[place]) for row in exhibit.rows]


def number(cell: str | float | None) -> float | None:
    """A cell that holds a number or nothing. Raises `ValueError` on text."""
    if isinstance(cell, str):
        raise ValueError(f"{cell!r} stands where a number should")
    return None if cell is None else float(cell)


def known(cell: str | float | None) -> float:
    """A cell that must hold a number. Raises `ValueError`."""
    value = number(cell)
    if value is None:
        raise ValueError("nothing stands where a number should")
    return value


def text(cell: str | float | None) -> str:
    """A cell that must hold text. Raises `ValueError`."""
    if not isinstance(cell, str):
        raise ValueError(f"{cell!r} stands where text should")
    return cell
