"""The frontier between access and technology as a figure: one line for each level of access, over years of work.

Position carries the meaning and line styles repeat it; what cannot be reached has no line. Drawn as `plan_chart` is: every colour
is a class of the style sheet, so that one figure serves light, dark and print.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from inspectorate.report.plan_draw import Drawing, Log, path, spread, width_of
from inspectorate.report.plan_facts import Row, known, number

WIDTH, HEIGHT = 540.0, 330.0
LEFT, RIGHT, TOP, BOTTOM = 64.0, 118.0, 26.0, 40.0
SIZE = 12.0


@dataclass(frozen=True)
class Panel:
    """What one figure shows."""

    column: str
    label: str
    limit: float | None
    unit: str


def frontier_chart(rows: Sequence[Row], panel: Panel) -> str:
    """One panel over years, a line for each level of access; empty if nothing can be shown."""
    values = [value for row in rows if (value := number(row[panel.column])) and value > 0]
    if not values:
        return ""
    held = [*values, *([panel.limit] if panel.limit else [])]
    low = 10.0 ** math.floor(math.log10(min(held)) - 0.02)
    high = 10.0 ** math.ceil(math.log10(max(held)) + 0.02)
    scale = Log(low, high, HEIGHT - BOTTOM, TOP)
    years = sorted({known(row["years"]) for row in rows})
    drawing = Drawing(WIDTH, HEIGHT, label=panel.label, css="chart frontier")
    _axes(drawing, scale, years, panel)
    ends: list[tuple[float, int]] = []
    for level in sorted({int(known(row["access_level"])) for row in rows}):
        line = sorted((known(row["years"]), number(row[panel.column])) for row in rows if row["access_level"] == level)
        points = [(_x(year, years), scale.at(max(value, low))) for year, value in line if value is not None]
        if not points:
            continue
        group = drawing.add("g", f"level l{level}")
        if len(points) > 1:
            drawing.add("path", "trace", into=group, d=path(points))
        for x, y in points:
            drawing.add("circle", "dot", into=group, cx=x, cy=y, r=3.0)
        ends.append((points[-1][1], level))
    _labels(drawing, ends)
    return str(drawing)


def _x(year: float, years: Sequence[float]) -> float:
    width = WIDTH - LEFT - RIGHT
    return LEFT + width * (year - years[0]) / max(years[-1] - years[0], 1e-9)


def _axes(drawing: Drawing, scale: Log, years: Sequence[float], panel: Panel) -> None:
    grid, ticks = drawing.add("g", "grid"), drawing.add("g", "ticks")
    step = max(1, math.ceil(math.log10(scale.high / scale.low) / 8))
    for value in scale.decades(step):
        y = scale.at(value)
        drawing.add("path", into=grid, d=path([(LEFT, y), (WIDTH - RIGHT, y)]))
        text = drawing.add("text", into=ticks, x=LEFT - 6, y=y + 4, text_anchor="end", text="10")
        sup = drawing.add("tspan", into=text, text=str(round(math.log10(value))), font_size="9")
        sup.set("dy", "-5")
    for year in years:
        drawing.add(
            "text", into=ticks, x=_x(year, years), y=HEIGHT - BOTTOM + 18, text_anchor="middle", text=f"{year:g}"
        )
    drawing.add("text", x=_x(years[0], years), y=HEIGHT - 4, text="years of work")
    drawing.add("text", x=LEFT - 40, y=14.0, text=panel.unit)
    if panel.limit:
        y = scale.at(panel.limit)
        drawing.add("path", "limit", d=path([(LEFT, y), (WIDTH - RIGHT, y)]))
        drawing.add("text", "limit-name", x=LEFT + 4, y=y - 5, text="allowed")


def _labels(drawing: Drawing, ends: list[tuple[float, int]]) -> None:
    """Names of the levels at the right; those that end at one place share a label."""
    places: dict[float, list[int]] = {}
    for y, level in sorted(ends):
        places.setdefault(round(y, 0), []).append(level)
    wanted = sorted(places)
    for y, at in zip(wanted, spread(wanted, SIZE + 4, TOP, HEIGHT - BOTTOM), strict=True):
        levels = sorted(places[y])
        name = f"access {levels[0]}" if len(levels) == 1 else f"access {levels[0]}–{levels[-1]}"
        assert width_of(name, SIZE) < RIGHT
        drawing.add("text", f"name l{levels[0]}", x=WIDTH - RIGHT + 10, y=at + 4, text=name)
