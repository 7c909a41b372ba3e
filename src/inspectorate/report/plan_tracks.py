"""The small figures inside the tables of a plan: one row, one track, all tracks of a table on one scale.

- `target_tracks`: the largest limit for a target, from `cautious` to `published`, over what serving needs.
- `swing_tracks`: how far the central slowdown moves when one assumption is another case's.

A mark says its case by its shape (hollow ring, filled disc, diamond), and the numbers stand in the table beside it.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from inspectorate.report import plan_words as say
from inspectorate.report.plan_curves import CASES
from inspectorate.report.plan_draw import Drawing, Log, tenth
from inspectorate.report.plan_facts import PlanFacts, Row, Tables, known, number, text

WIDTH, HEIGHT, EDGE = 330.0, 26.0, 10.0
AXIS_HEIGHT = 20.0
MIDDLE = HEIGHT / 2


def _scale(values: Sequence[float]) -> Log:
    """A scale of whole decades around the values, at least three of them."""
    low, high = math.floor(math.log10(min(values)) - 0.05), math.ceil(math.log10(max(values)) + 0.05)
    return Log(10.0**low, 10.0 ** max(high, low + 3), EDGE, WIDTH - EDGE)


def _axis(scale: Log, label: str, write: object) -> str:
    assert callable(write)
    drawing = Drawing(WIDTH, AXIS_HEIGHT, label=label, css="track axis")
    decades = scale.decades()
    step = max(1, -(-len(decades) // 5))
    for place, value in enumerate(decades):
        if place % step == 0:
            anchor = "start" if place == 0 else "end" if place == len(decades) - 1 else "middle"
            at = scale.at(value) + {"start": -EDGE, "end": EDGE, "middle": 0.0}[anchor]
            drawing.add("text", text=write(value), x=at, y=AXIS_HEIGHT - 6, text_anchor=anchor)
    return str(drawing)


def _track(scale: Log, label: str) -> Drawing:
    drawing = Drawing(WIDTH, HEIGHT, label=label, css="track")
    for value in scale.decades():
        drawing.add("path", "decade", d=f"M{tenth(scale.at(value))} 0V{tenth(HEIGHT)}")
    return drawing


def _mark(drawing: Drawing, case: str, x: float, into: ET.Element | None = None) -> None:
    if case == "cautious":
        drawing.add("path", "mark cautious", into=into, d=f"M{tenth(x - 5)} {tenth(MIDDLE)}l5 -5l5 5l-5 5Z")
    else:
        drawing.add("circle", f"mark {case}", into=into, cx=x, cy=MIDDLE, r=4.6)


def target_tracks(facts: PlanFacts, tables: Tables) -> tuple[str, list[str]]:
    """The axis, and a track for each target, in the order of the exhibit."""
    rows = tables.rows("targets")
    serving = tables.rows("serving", modality="text")[0]
    needs = facts.limits_for(known(serving["sent_bytes_per_s"]), known(serving["received_bytes_per_s"]))
    rates = [rate for row in rows if (rate := number(row["bytes_per_s_max"])) is not None]
    scale = _scale([*rates, *needs, facts.sent_bytes_per_s])
    grouped: dict[float, list[Row]] = {}
    for row in rows:
        grouped.setdefault(known(row["number"]), []).append(row)
    return (
        _axis(scale, "bytes per second", say.rate),
        [_target(scale, group, needs, facts.sent_bytes_per_s) for group in grouped.values()],
    )


def _target(scale: Log, rows: Sequence[Row], needs: tuple[float, float], asked: float) -> str:
    found = {text(row["case"]): row for row in rows}
    drawing = _track(scale, "the largest limit, from cautious to published")
    low, high = sorted(scale.at(need) for need in needs)
    drawing.add("rect", "serving", x=low, y=0, width=max(1.0, high - low), height=HEIGHT)
    drawing.add("path", "asked", d=f"M{tenth(scale.at(asked))} 0V{tenth(HEIGHT)}")
    places = {case: scale.at(rate) for case in CASES if (rate := number(found[case]["bytes_per_s_max"])) is not None}
    if places:
        start = scale.start - EDGE if len(places) < len(CASES) else min(places.values())
        drawing.add("path", "span", d=f"M{tenth(start)} {tenth(MIDDLE)}H{tenth(max(places.values()))}")
    for case, at in places.items():
        _mark(drawing, case, at)
    return str(drawing)


def swing_tracks(tables: Tables) -> tuple[str, list[str]]:
    """The axis, and a track for each assumption, in the order of the exhibit."""
    rows = tables.rows("sensitivity")
    values = [value for row in rows for case in CASES if (value := number(row[case])) is not None]
    scale = _scale(values or [1.0])
    tracks = []
    for row in rows:
        drawing = _track(scale, "the central slowdown under the other cases' value")
        places = {case: scale.at(value) for case in CASES if (value := number(row[case])) is not None}
        if places:
            drawing.add("path", "span wide",
                        d=f"M{tenth(min(places.values()))} {tenth(MIDDLE)}H{tenth(max(places.values()))}")  # fmt: skip
        for case in ("published", "cautious", "central"):
            if case in places:
                _mark(drawing, case, places[case])
        tracks.append(str(drawing))
    return _axis(scale, "slowdown", lambda value: f"{value:,.0f}×"), tracks
