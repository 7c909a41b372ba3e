"""What the figures of a plan are drawn with: logarithmic scales, traces that are cut at the frame, labels that keep apart.

Figures are SVG elements that live in a page: every colour, dash and weight is a class of the style sheet, so that one figure
serves light, dark and print; positions are rounded to a tenth of a pixel. Texts are escaped by the serialiser.

The charts of `plots` come from matplotlib. These do not, since each curve, label and reading of theirs is an element of
its own that the style sheet shows on pointing at it, without any script.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

CHARACTER = 0.58
"""Mean width of a character, in font sizes: that of a wide sans serif, so that narrower ones have room to spare."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Log:
    """A logarithmic scale from values to pixels."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        share = math.log10(value / self.low) / math.log10(self.high / self.low)
        return self.start + share * (self.end - self.start)

    def decades(self, step: int = 1) -> list[float]:
        """The powers of ten on the scale, every `step`-th."""
        first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
        return [10.0**exponent for exponent in range(first, last + 1) if exponent % step == 0]


class Drawing:
    """An SVG element under construction."""

    def __init__(self, width: float, height: float, *, label: str, css: str) -> None:
        self.root = ET.Element(
            "svg",
            {"viewBox": f"0 0 {width:g} {height:g}", "class": css, "role": "img", "aria-label": label},
        )

    def add(
        self, tag: str, css: str = "", *, into: ET.Element | None = None, text: str = "", **attributes: float | str
    ) -> ET.Element:
        """A new element; underscores in the names of attributes stand for hyphens, numbers are rounded to tenths."""
        element = ET.SubElement(self.root if into is None else into, tag)
        if css:
            element.set("class", css)
        for name, value in attributes.items():
            element.set(name.rstrip("_").replace("_", "-"), value if isinstance(value, str) else tenth(value))
        if text:
            element.text = text
        return element

    def __str__(self) -> str:
        return ET.tostring(self.root, encoding="unicode")


def tenth(value: float) -> str:
    return f"{value:z.1f}".removesuffix(".0")


def width_of(text: str, size: float) -> float:
    """About how wide a text is, in pixels."""
    return CHARACTER * size * len(text)


def path(points: Sequence[Point]) -> str:
    return "M" + "L".join(f"{tenth(x)} {tenth(y)}" for x, y in points)


def traces(x: Sequence[float], y: Sequence[float | None], top: float) -> list[list[Point]]:
    """Stretches of a curve below the pixel row `top`, cut there exactly; where a value is absent, the curve is broken."""
    found: list[list[Point]] = [[]]
    points = [None if v is None else (u, v) for u, v in zip(x, y, strict=True)]
    if points and points[0] is not None and points[0][1] >= top:
        found[-1].append(points[0])
    for before, after in pairwise(points):
        if after is None or before is None:
            if found[-1]:
                found.append([])
            if after is not None and after[1] >= top:
                found[-1].append(after)
            continue
        inside = before[1] >= top, after[1] >= top
        if inside[0] != inside[1]:
            share = (top - before[1]) / (after[1] - before[1])
            found[-1].append((before[0] + share * (after[0] - before[0]), top))
        if inside[1]:
            found[-1].append(after)
        elif found[-1]:
            found.append([])
    return [stretch for stretch in found if len(stretch) > 1]


def edge(x: Sequence[float], y: Sequence[float | None], top: float) -> list[Point]:
    """The edge of a band over the whole width: what is above the frame, or absent, runs along the frame."""
    found: list[Point] = []
    for stretch in traces(x, y, top):
        found += stretch
    if not found:
        return [(x[0], top), (x[-1], top)]
    if found[0][0] > x[0]:
        found = [(x[0], top), (found[0][0], top), *found]
    if found[-1][0] < x[-1]:
        found = [*found, (found[-1][0], top), (x[-1], top)]
    return found


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places near the wanted ones, in the same order and at least `gap` apart: the least squares solution, kept in bounds.

    `wanted` must rise. If they do not fit between the bounds, they are spaced evenly.
    """
    count = len(wanted)
    if count and gap * (count - 1) > high - low:
        return [low + (high - low) * place / max(1, count - 1) for place in range(count)]
    pools: list[tuple[float, int]] = []
    for place, value in enumerate(wanted):
        total, size = value - place * gap, 1
        while pools and pools[-1][0] / pools[-1][1] > total / size:
            before = pools.pop()
            total, size = total + before[0], size + before[1]
        pools.append((total, size))
    flat = [total / size for total, size in pools for _ in range(size)]
    return [min(max(v, low), high - gap * (count - 1)) + place * gap for place, v in enumerate(flat)]


@dataclass(frozen=True)
class Mark:
    """A place on a lane and its label, which would rather stand on its right, or on its left."""

    x: float
    text: str
    leftwards: bool = False


@dataclass(frozen=True)
class Placed:
    """Where a label of a lane stands."""

    text: str
    mark: float
    x: float
    row: int
    anchor: str


def lane(marks: Sequence[Mark], size: float, low: float, high: float) -> list[Placed]:
    """Labels beside marks on one line, right or left of the mark, on the first row where nothing is touched.

    A mark runs from the top of the lane to the row of its label, so that on its way down it must cross no label, and labels
    keep away from it.
    """
    marks = sorted(marks, key=lambda mark: mark.x)
    found: list[Placed] = []
    boxes: list[tuple[int, float, float]] = []
    for place, mark in enumerate(marks):

        def later(strict: bool, row: int, place: int = place) -> list[float]:
            return [other.x for other in marks[place + 1 :]] if strict or row == 0 else []

        width = width_of(mark.text, size)
        spots = [(mark.x + 6, "start"), (mark.x - 6 - width, "end")]
        spots = [(start, anchor) for start, anchor in spots if start >= low and start + width <= high]
        spots = spots[::-1] if mark.leftwards else spots
        spots = spots or [(min(max(mark.x + 6, low), max(low, high - width)), "start")]
        rows = range(len(marks))
        row, start, anchor = next(
            (row, *spot)
            for row, spot, strict in (
                *((row, spot, True) for row in rows for spot in spots),
                *((row, spot, False) for row in rows for spot in spots),
                (len(marks), spots[0], None),
            )
            if strict is None or _clear(row, mark.x, (spot[0], spot[0] + width), found, boxes, later(strict, row))
        )
        boxes.append((row, start, start + width))
        at = start if anchor == "start" else start + width
        found.append(Placed(text=mark.text, mark=mark.x, x=at, row=row, anchor=anchor))
    return found


def _clear(
    row: int,
    x: float,
    box: tuple[float, float],
    placed: Sequence[Placed],
    boxes: Sequence[tuple[int, float, float]],
    later: Sequence[float],
) -> bool:
    """Whether a label may stand here: against the labels and marks that stand, and the marks that come later."""
    others = [*later, *(one.mark for one in placed if one.row >= row)]
    return (
        all(not (low - 6 < box[1] and box[0] < high + 6) for other, low, high in boxes if other == row)
        and all(not (low - 2 < x < high + 2) for other, low, high in boxes if other < row)
        and all(not (box[0] - 3 < m < box[1] + 3) for m in others)
    )
