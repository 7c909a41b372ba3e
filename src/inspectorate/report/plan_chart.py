"""The chart of a plan: slowdown over the limit, with what serving needs and which limits were proposed beneath.

    above     the names of the methods, each at the end of its curve
    frame     the band from `published` to `cautious` with the central curve on it; one thin curve per method (central case),
              its dash saying how far it was shown; two level lines: the report's design target, and one pod alone
    lanes     what serving needs; limits that were proposed, and the one asked for
    reading   the values at the limit asked for; on pointing, those at any other

Both axes are logarithmic and of one scale in the wide form, so that a run that is bound by the link falls at 45 degrees.
The narrow form has no names of methods and no reading.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass

from inspectorate.report import plan_words as say
from inspectorate.report.plan_curves import CASES, MEDIA, Curves
from inspectorate.report.plan_draw import (
    Drawing,
    Log,
    Mark,
    Placed,
    Point,
    edge,
    lane,
    path,
    spread,
    tenth,
    traces,
)
from inspectorate.report.plan_facts import PlanFacts, Row, text
from inspectorate.report.words import superscript

SLOWDOWN_MIN, SLOWDOWN_MAX = 0.75, 1e5
DESIGN_TARGET = 100.0
"""The report's example cap is chosen to slow the run that it is to stop about a hundredfold (arXiv 2506.15867, A3)."""
LANE_ROW = 17.0


@dataclass(frozen=True, kw_only=True)
class Form:
    """The measures of a form of the chart, in pixels."""

    name: str
    width: float
    left: float
    right: float
    top: float
    frame: float
    size: float
    """Of the type."""
    tick_step: int
    bits_step: int
    full: bool

    @property
    def bottom(self) -> float:
        return self.top + self.frame


WIDE = Form(
    name="wide", width=1056, left=66, right=24, top=146, frame=456, size=12, tick_step=1, bits_step=1, full=True
)
NARROW = Form(
    name="narrow", width=380, left=42, right=10, top=12, frame=330, size=12, tick_step=3, bits_step=3, full=False
)


def chart(curves: Curves, facts: PlanFacts, form: Form) -> str:
    """The chart as an SVG element."""
    x = Log(10.0, 1e12, form.left, form.width - form.right)
    y = Log(SLOWDOWN_MIN, SLOWDOWN_MAX, form.bottom, form.top)
    lanes = _lanes(curves, x, form)
    height = form.bottom + sum(_lane_height(one) for one in lanes) + 56
    drawing = Drawing(
        form.width,
        height,
        label="Slowdown of the best joint training run over the limit on a pod's link, from published to cautious",
        css=f"chart {form.name}",
    )
    _bands(drawing, curves, x, y, form)
    _grid(drawing, x, y, form, height - 56)
    _methods(drawing, curves, facts, x, y, form)
    _levels(drawing, facts, y, form)
    _case_curves(drawing, curves, x, y, form)
    _draw_lanes(drawing, curves, lanes, x, form)
    _asked(drawing, curves, facts, x, y, form)
    _axes(drawing, x, y, form, height - 56)
    if form.full:
        _readings(drawing, curves, facts, x, y, form)
    return str(drawing)


def _bands(drawing: Drawing, curves: Curves, x: Log, y: Log, form: Form) -> None:
    sent, received = sorted(curves.serving["text"])
    drawing.add("rect", "serving", x=x.at(sent), y=form.top, width=max(1.0, x.at(received) - x.at(sent)),
                height=form.frame)  # fmt: skip
    across = [x.at(rate) for rate in curves.rates]
    upper, lower = (edge(across, _pixels(curves.cases[case], y), form.top) for case in ("published", "cautious"))
    drawing.add("path", "band", d=path([*upper, *reversed(lower)]) + "Z")


def _pixels(values: Sequence[float | None], y: Log) -> list[float | None]:
    return [None if value is None else y.at(value) for value in values]


def _grid(drawing: Drawing, x: Log, y: Log, form: Form, bottom: float) -> None:
    lines = drawing.add("g", "grid")
    for rate in x.decades(form.tick_step):
        drawing.add("path", into=lines, d=f"M{tenth(x.at(rate))} {tenth(form.top)}V{tenth(bottom)}")
    for slowdown in y.decades():
        css = "one" if slowdown == 1 else ""
        drawing.add("path", css, into=lines, d=f"M{tenth(form.left)} {tenth(y.at(slowdown))}H{tenth(x.end)}")


def _methods(drawing: Drawing, curves: Curves, facts: PlanFacts, x: Log, y: Log, form: Form) -> None:
    across = [x.at(rate) for rate in curves.rates]
    found: list[tuple[Row, list[list[Point]]]] = []
    for method in curves.methods:
        stretches = traces(across, _pixels(curves.slowdowns[text(method["method"])], y), form.top)
        if stretches:
            found.append((method, stretches))
    groups = {}
    for method, stretches in found:
        css = f"method {method['level']}" + (" after" if method["counts_as"] == "post-training" else "")
        group = drawing.add("g", css)
        title = f"{method['title']}: {say.LEVELS[text(method['level'])]} ({method['by']})"
        drawing.add("title", into=group, text=title)
        drawing.add("path", "trace", into=group, d="".join(path(stretch) for stretch in stretches))
        groups[text(method["method"])] = group
    if form.full:
        above = [(s[0][0][0], text(m["method"])) for m, s in found if s[0][0][1] <= form.top + 0.05]
        beside = [(s[0][0], text(m["method"])) for m, s in found if s[0][0][1] > form.top + 0.05]
        levels = [y.at(level) for level, _ in _level_lines(facts)]
        _names_above(drawing, sorted(above), groups, x, form)
        _names_beside(drawing, sorted(beside, key=lambda item: item[0][1]), groups, levels, form)


def _names_above(
    drawing: Drawing, ends: Sequence[tuple[float, str]], groups: dict[str, ET.Element], x: Log, form: Form
) -> None:
    places = spread([end for end, _ in ends], 16.5, x.start + 4, x.end - 90)
    for (end, name), place in zip(ends, places, strict=True):
        foot = form.top - 18
        drawing.add("path", "lead", into=groups[name],
                    d=f"M{tenth(end)} {tenth(form.top)}V{tenth(form.top - 4)}L{tenth(place)} {tenth(foot)}")  # fmt: skip
        drawing.add("text", "name", into=groups[name], text=_name(name, groups),
                    transform=f"translate({tenth(place + 2)} {tenth(foot - 3)}) rotate(-42)")  # fmt: skip


def _name(name: str, groups: dict[str, ET.Element]) -> str:
    """A method's name, with a dagger if it serves post-training only."""
    return f"{name} †" if groups[name].get("class", "").endswith(" after") else name


def _names_beside(
    drawing: Drawing,
    ends: Sequence[tuple[Point, str]],
    groups: dict[str, ET.Element],
    levels: Sequence[float],
    form: Form,
) -> None:
    """Names of curves that leave the frame on the left, inside of it, in their order and below their ends.

    A bundle of them that ends just above level lines goes beneath those.
    """
    wanted: list[float] = []
    bundle: list[float] = []
    for place, (end, _) in enumerate(ends):
        bundle.append(end[1])
        if place + 1 < len(ends) and ends[place + 1][0][1] - end[1] < 20:
            continue
        near = [level for level in levels if bundle[0] - 12 < level < bundle[-1] + 60]
        base = max([bundle[0] + 13, *(level + 17 for level in near)])
        wanted += [max(base + 15 * row, own + 13 if not near else 0.0) for row, own in enumerate(bundle)]
        bundle = []
    places = spread(sorted(wanted), 15, form.top + 8, form.bottom - 4)
    for (end, name), at in zip(ends, places, strict=True):
        drawing.add("text", "name inside", into=groups[name], text=_name(name, groups), x=end[0] + 6, y=at)


def _level_lines(facts: PlanFacts) -> list[tuple[float, str]]:
    """The lines across the frame, the lowest first: the design target, and one pod alone where it can train the model."""
    found = [(DESIGN_TARGET, "design target")]
    if facts.alone_slowdown is not None and facts.alone_slowdown <= SLOWDOWN_MAX:
        found.append((facts.alone_slowdown, "one pod alone"))
    return sorted(found)


def _levels(drawing: Drawing, facts: PlanFacts, y: Log, form: Form) -> None:
    right = form.width - form.right
    found = _level_lines(facts)
    for place, (level, name) in enumerate(found):
        at = y.at(level)
        lower = place == 0 and len(found) > 1
        drawing.add("path", "level" if name == "design target" else "level alone",
                    d=f"M{tenth(form.left)} {tenth(at)}H{tenth(right)}")  # fmt: skip
        drawing.add("text", "level-name", text=f"{name} {say.times(level).replace('.0×', '×')}", x=right - 2,
                    y=at + 13 if lower else at - 5, text_anchor="end")  # fmt: skip


def _case_curves(drawing: Drawing, curves: Curves, x: Log, y: Log, form: Form) -> None:
    across = [x.at(rate) for rate in curves.rates]
    for case in CASES:
        for stretch in traces(across, _pixels(curves.cases[case], y), form.top):
            drawing.add("path", f"case {case}", d=path(stretch))
    for case, level, anchor, shift in (
        ("cautious", 6.0, "end", -9.0), ("central", 2_500.0, "end", -9.0), ("published", 30.0, "start", 8.0),
    ):  # fmt: skip
        spot = _crossing(curves.rates, curves.cases[case], level)
        if spot is not None and (form.full or case != "central"):
            drawing.add("text", f"case-name {case}", text=case, x=x.at(spot) + shift, y=y.at(level) + 4,
                        text_anchor=anchor)  # fmt: skip


def _crossing(rates: Sequence[float], slowdowns: Sequence[float | None], level: float) -> float | None:
    """The first rate at which a curve is at or below a level."""
    return next((rate for rate, s in zip(rates, slowdowns, strict=True) if s is not None and s <= level), None)


def _lanes(curves: Curves, x: Log, form: Form) -> list[list[Placed]]:
    """The labels beneath the frame: serving, then limits."""
    sent, _ = sorted(curves.serving["text"])
    names = curves.serving_names if form.full else {name: name for name in curves.serving}
    serving = [Mark(x.at(sent), names["text"], leftwards=True)]
    serving += [Mark(x.at(max(curves.serving[name])), names[name]) for name in MEDIA]
    limits = [Mark(x.at(rate), name if form.full else name.partition(": ")[0]) for rate, name, _ in curves.limits]
    bounds = (form.left + 2, x.end)
    return [lane(serving, form.size, *bounds), lane(limits, form.size, *bounds)]


def _lane_height(labels: Sequence[Placed]) -> float:
    return LANE_ROW * (1 + max(label.row for label in labels)) + 9


def _draw_lanes(drawing: Drawing, curves: Curves, lanes: Sequence[Sequence[Placed]], x: Log, form: Form) -> None:
    top = form.bottom
    sent, received = sorted(curves.serving["text"])
    asked = {x.at(rate) for rate, _, is_asked in curves.limits if is_asked}
    for kind, labels in zip(("need", "cap"), lanes, strict=True):
        height = _lane_height(labels)
        group = drawing.add("g", f"lane {kind}")
        drawing.add("path", "floor", into=group, d=f"M{tenth(form.left)} {tenth(top + height)}H{tenth(x.end)}")
        if kind == "need":
            drawing.add("rect", "serving bar", into=group, x=x.at(sent), y=top,
                        width=max(1.0, x.at(received) - x.at(sent)), height=height)  # fmt: skip
        for label in labels:
            css = " asked" if kind == "cap" and label.mark in asked else ""
            baseline = top + LANE_ROW * (label.row + 1) - 1
            if not (kind == "need" and label.text.startswith("text")):
                start = form.top if kind == "cap" and not css else top
                end = baseline + 3 if kind == "need" else top + height
                drawing.add("path", "mark" + css, into=group, d=f"M{tenth(label.mark)} {tenth(start)}V{tenth(end)}")
            drawing.add("text", "lane-name" + css, into=group, text=label.text, x=label.x, y=baseline,
                        text_anchor=label.anchor)  # fmt: skip
        top += height


def _asked(drawing: Drawing, curves: Curves, facts: PlanFacts, x: Log, y: Log, form: Form) -> None:
    at = x.at(facts.sent_bytes_per_s)
    drawing.add("path", "asked", d=f"M{tenth(at)} {tenth(form.top)}V{tenth(form.bottom)}")
    shown = [(y.at(max(s, SLOWDOWN_MIN)), s, case) for case in CASES
             if (s := curves.at_limit[case][0]) is not None and s <= SLOWDOWN_MAX]  # fmt: skip
    groups: list[list[tuple[float, float, str]]] = []
    for one in sorted(shown):
        drawing.add("circle", f"dot {one[2]}", cx=at, cy=one[0], r=4.2)
        if groups and one[0] - groups[-1][0][0] < 15:
            groups[-1].append(one)
        else:
            groups.append([one])
    for group in groups:
        ends = dict.fromkeys(say.times(slowdown) for slowdown in (group[-1][1], group[0][1]))
        drawing.add("text", "value", text=" to ".join(ends), x=at + 9, y=group[0][0] - 6)


def _axes(drawing: Drawing, x: Log, y: Log, form: Form, bottom: float) -> None:
    ticks = drawing.add("g", "ticks")
    drawing.add("path", "axis", into=ticks, d=f"M{tenth(form.left)} {tenth(bottom)}H{tenth(x.end)}")
    for rate in x.decades(form.tick_step):
        end = "end" if rate >= x.high and not form.full else "middle"
        drawing.add("text", into=ticks, text=say.rate(rate), x=x.at(rate), y=bottom + 17, text_anchor=end)
    for bits in Log(x.low * 8, x.high * 8, 0, 1).decades(form.bits_step):
        at = x.at(bits / 8)
        if at + 26 > form.width - form.right or at - 26 < form.left:
            continue
        drawing.add("path", "tick", into=ticks, d=f"M{tenth(at)} {tenth(bottom + 25)}v4")
        drawing.add("text", "bits", into=ticks, text=say.bit_rate(bits / 8), x=at, y=bottom + 41, text_anchor="middle")
    for slowdown in y.decades():
        label = f"{slowdown:,.0f}×" if form.full or slowdown < 100 else f"10{superscript(round(math.log10(slowdown)))}×"
        drawing.add("text", into=ticks, text=label, x=form.left - 7, y=y.at(slowdown) + 4, text_anchor="end")


def _readings(drawing: Drawing, curves: Curves, facts: PlanFacts, x: Log, y: Log, form: Form) -> None:
    """The values at the limit asked for, and at every other rate of the curves, shown on pointing at it."""
    columns = drawing.add("g", "rates")
    across = [x.at(rate) for rate in curves.rates]
    half = (across[1] - across[0]) / 2
    before = {text(m["method"]) for m in curves.methods if m["counts_as"] == "pre-training"}
    for place, rate in enumerate(curves.rates):
        column = drawing.add("g", "column", into=columns)
        drawing.add("rect", "hit", into=column, x=across[place] - half, y=form.top, width=2 * half, height=form.frame)
        tip = drawing.add("g", "tip", into=column)
        drawing.add("path", "hair", into=tip, d=f"M{tenth(across[place])} {tenth(form.top)}V{tenth(form.bottom)}")
        best = (
            min((s, name) for name in before if (s := curves.slowdowns[name][place]) is not None)
            if any(curves.slowdowns[name][place] is not None for name in before)
            else (None, "")
        )
        values = {case: (curves.cases[case][place], best[1] if case == "central" else "") for case in CASES}
        for case in CASES:
            slowdown = values[case][0]
            if slowdown is not None and slowdown <= SLOWDOWN_MAX:
                drawing.add("circle", f"dot {case}", into=tip, cx=across[place], cy=y.at(slowdown), r=3.2)
        _reading(drawing, tip, f"at {say.rate(rate)} ({say.bit_rate(rate)})", values, form)
    asked = drawing.add("g", "reading")
    rate = facts.sent_bytes_per_s
    _reading(drawing, asked, f"at {say.rate(rate)}, as asked ({say.bit_rate(rate)})", curves.at_limit, form)


def _reading(
    drawing: Drawing, group: ET.Element, title: str, values: dict[str, tuple[float | None, str]], form: Form
) -> None:
    left, top = form.width - form.right - 284, form.top + 28
    drawing.add("rect", "sheet", into=group, x=left - 14, y=top - 22, width=298, height=98)
    drawing.add("text", "reading-title", into=group, text=title, x=left, y=top)
    for row, case in enumerate(CASES):
        slowdown, method = values[case]
        said = "none" if slowdown is None else say.times(slowdown)
        line = top + 25 + 22 * row
        drawing.add("text", f"reading-case {case}", into=group, text=case, x=left, y=line)
        drawing.add("text", f"reading-value {case}", into=group, text=said, x=left + 146, y=line,
                    text_anchor="end")  # fmt: skip
        drawing.add("text", "reading-method", into=group, text=method, x=left + 156, y=line)
