"""Answers as tables: what is printed, written as JSON and drawn. Every number stands beside what it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inspectorate.mechanisms.workloads.evaluate.metrics import Figure

Cell = str | int | float | Figure | None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One question's table; `notes` say what the reader must know to use it."""

    question: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"{self.question}: a row does not fit the columns")


def as_text(cell: Cell, *, interval: bool = True) -> str:
    """One cell for reading: figures with their interval and n."""
    if cell is None:
        return "-"
    if isinstance(cell, Figure):
        if cell.value is None:
            return f"- (n {cell.n})"
        spread = f" [{cell.low:.3g}, {cell.high:.3g}]" if interval and cell.low is not None else ""
        return f"{cell.value:.3f}{spread} (n {cell.n})"
    return f"{cell:.3g}" if isinstance(cell, float) else str(cell)


def as_data(answer: Answer) -> dict[str, object]:
    """For JSON."""
    return {
        "question": answer.question,
        "title": answer.title,
        "columns": list(answer.columns),
        "rows": [[_plain(cell) for cell in row] for row in answer.rows],
        "notes": list(answer.notes),
    }


def _plain(cell: Cell) -> object:
    if isinstance(cell, Figure):
        return {"value": cell.value, "n": cell.n, "low": cell.low, "high": cell.high}
    return cell


def mean_of(figures: Sequence[Figure]) -> Figure:
    """The plain mean of figures, each of one system; no interval, since systems are few."""
    values = [figure.value for figure in figures if figure.value is not None]
    return Figure(value=sum(values) / len(values) if values else None, n=len(values))
