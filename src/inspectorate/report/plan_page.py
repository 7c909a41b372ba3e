"""A plan as one HTML file that stands alone: the curves, the answer, and everything that they rest on.

Rules, as for every page of this program (`html`):

- Nothing is fetched and nothing runs: the content security policy allows the one style sheet by its digest and nothing else.
  What is shown on pointing at the chart is shown by the style sheet; the page is complete without it.
- Every number comes from the exhibits and the facts; this module rounds, orders and words them.
- Equal plans give equal bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup, escape

from inspectorate.assessment import Exhibit
from inspectorate.report import plan_words as say
from inspectorate.report import words
from inspectorate.report.html import asset, csp_digest
from inspectorate.report.plan_chart import NARROW, WIDE, chart
from inspectorate.report.plan_curves import CASES, best_joint, read_curves
from inspectorate.report.plan_facts import PlanFacts, Row, Tables, known, number, text
from inspectorate.report.plan_tracks import swing_tracks, target_tracks

YEAR_DAYS = 365.25
_UNIT = re.compile(r"(\d) ([kMGTP]?B/s)")
_COUNT = re.compile(r"\b([0-9]+(?:\.[0-9]+)?)e\+?(-?[0-9]{1,3})\b")
THRESHOLDS = {
    1e22: "monitored",
    1e23: "strict, post-training",
    1e24: "strict",
}
"""Thresholds of the treaty (arXiv 2511.10783v2, Art. II paras. 8 to 10)."""
CANNOT = (
    (
        "Which of the three cases is true. They are sets of assumptions about an adversary, not forecasts and not error bars; "
        "the truth need not lie between them."
    ),
    (
        "Methods that nobody has thought of. The search is exhaustive over the layouts of the methods in the catalogue, so that "
        "“does not work” is a proof within the model, and only there."
    ),
    (
        "What happens inside one pod. A limit on links does not touch it; chips of one pod, and its size, are for other "
        "mechanisms."
    ),
    (
        "Links that nobody declared: a second cable, radio, disks that are carried. They are for cabling checks, sensors and "
        "inspectors."
    ),
    (
        "Failures, stragglers and the tuning that a new method takes: real runs are slower than these, so the numbers favour the "
        "adversary."
    ),
    "What images, speech and video need, beyond the order of magnitude: those rates are modelling choices and no measurements.",
)


@dataclass(frozen=True, kw_only=True)
class CaseAnswer:
    """What is left for one case."""

    name: str
    meaning: str
    slowdown: str
    works: bool
    method: str
    title: str
    layout: str
    bound_by: str
    after: str
    to_strict: str


def render_plan(facts: PlanFacts, exhibits: Iterable[Exhibit]) -> str:
    """The page on a plan. Raises `ValueError` where an exhibit that it needs is missing."""
    tables = Tables(exhibits)
    style = asset("report.css") + asset("plan.css")
    environment = Environment(
        loader=DictLoader({"plan.html": asset("plan.html.j2")}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["powers"] = _powers
    curves = read_curves(facts, tables)
    return environment.get_template("plan.html").render(
        facts=facts,
        say=say,
        headline=_headline(facts, tables),
        question=_question(facts),
        wide=_made_here(chart(curves, facts, WIDE)),
        narrow=_made_here(chart(curves, facts, NARROW)),
        cases=[_answer(case, tables) for case in CASES],
        alone=_alone(facts, tables),
        milestones=_milestones(tables),
        times_left=_times_left(tables),
        targets=_targets(facts, tables),
        serving=_serving(tables),
        swings=_swings(tables),
        methods=_methods(tables),
        printed=_printed(tables),
        permitted=_permitted(tables),
        cannot=CANNOT,
        style=Markup(style),  # noqa: S704 - our own files
        policy=f"default-src 'none'; style-src '{csp_digest(style)}'; base-uri 'none'; form-action 'none'",
    )


def _made_here(svg: str) -> Markup:
    """An element that the serialiser wrote: its text is escaped already."""
    return Markup(svg)  # noqa: S704


def _powers(value: str) -> Markup:
    """Escaped text in which numbers such as `2.11e19` are set with a power of ten."""
    return Markup(  # noqa: S704
        _COUNT.sub(
            lambda found: f'<span class="n">{_digits(found[1])}10<sup>{found[2].replace("-", "−")}</sup></span>',
            str(escape(value)),
        )
    )


def _digits(mantissa: str) -> str:
    return "" if mantissa == "1" else f"{mantissa}&nbsp;×&nbsp;"


def _headline(facts: PlanFacts, tables: Tables) -> tuple[str, str]:
    """The answer in two sentences: the range, then case by case."""
    found = {case: best_joint(tables, case)[0] for case in CASES}
    limit = say.rate(facts.sent_bytes_per_s)
    if facts.sent_bytes_per_s != facts.received_bytes_per_s:
        limit = f"{limit} up and {say.rate(facts.received_bytes_per_s)} down"
    limit = _UNIT.sub("\\1\u00a0\\2", limit)
    works = [slowdown for slowdown in found.values() if slowdown is not None]
    if not works:
        return f"Under a limit of {limit}, no joint training run works.", ""
    low, high = (words.number(value).removesuffix(".00") for value in (min(works), max(works)))
    span = f"from {low} to {high} times" if low != high else f"{low} times"
    never = ", where it works at all" if len(works) < len(found) else ""
    return (
        f"Under a limit of {limit}, the best joint training run takes {span} as long{never}.",
        (
            f"With what has been shown, it {_slowed(found['published'])}; with what is argued besides, it "
            f"{_slowed(found['central'])}; for the strongest adversary that a verifier should count with, it "
            f"{_slowed(found['cautious'])}."
        ),
    )


def _slowed(slowdown: float | None) -> str:
    if slowdown is None:
        return "does not work"
    return "is not slowed" if slowdown < 1.05 else f"takes {words.number(slowdown)} times as long"


def _question(facts: PlanFacts) -> list[tuple[str, str]]:
    """The question as a list of terms."""
    found = [
        ("pods", f"{facts.pods:,} of {facts.chips:,} {facts.chip}"),
        (
            "each chip reaches",
            f"{facts.flop_per_s_each / 1e12:.4g} TFLOP/s, {100 * facts.utilisation:.3g} % of its peak",
        ),
        (
            "the run",
            f"{say.count(facts.parameters)} parameters on {say.count(facts.tokens)} tokens: {words.flop(facts.flop)}",
        ),
        ("tokens a step", f"{say.count(facts.batch_tokens)}, if all pods were well connected"),
        ("limit of a pod", say.both_ways(facts.sent_bytes_per_s, facts.received_bytes_per_s)),
        ("round trip", words.duration(facts.round_trip_s)),
        ("served model", f"{say.count(facts.served_parameters)} parameters"),
    ]
    if facts.duty < 1:
        found.append(("link in use", f"{words.share(facts.duty, 1)} of the time"))
    if facts.window_bytes > 0:
        size, every = say.prefixed(facts.window_bytes, "B"), words.duration(facts.window_every_s)
        found.append(("loading windows", f"{size} each way, every {every}"))
    return found


def _best(rows: Sequence[Row]) -> Row:
    return max(rows, key=lambda row: known(row["flop_per_s"]))


def _answer(case: str, tables: Tables) -> CaseAnswer:
    rows = tables.rows("reached", case=case)
    best = _best([row for row in rows if row["counts_as"] == "pre-training" and row["method"] != "alone"])
    after = _best(rows)
    strict = tables.rows("left", case=case, kind="joint", flop=1e24)[0]
    title = text(tables.rows("methods", method=text(best["method"]))[0]["title"])
    works = number(best["slowdown_times"]) is not None
    same = after["method"] == best["method"] or number(after["slowdown_times"]) is None
    return CaseAnswer(
        name=case,
        meaning=say.CASES[case],
        slowdown=say.times(number(best["slowdown_times"])),
        works=works,
        method=text(best["method"]) if works else "none",
        title=title if works else "",
        layout=say.layout(number(best["groups"]), number(best["parts"]), number(best["inner_steps"])),
        bound_by=say.BOUNDS[text(best["bound_by"])] if works else "–",
        after="no more than this" if same else _after(after),
        to_strict=say.days(number(strict["days"])),
    )


def _after(best: Row) -> str:
    method = "one pod alone" if best["method"] == "alone" else text(best["method"])
    return f"{say.times(number(best['slowdown_times']))}, {method}"


def _alone(facts: PlanFacts, tables: Tables) -> str:
    """What one pod does by itself, in a sentence."""
    if facts.alone_slowdown is None:
        return "The model of this run does not fit into one pod, so that no pod trains it alone."
    rows = tables.rows("left", case="published", kind="pre-training", flop=1e24)
    reached = f"One pod alone takes {words.number(facts.alone_slowdown)} times as long as all of them together without a limit"
    if rows and rows[0]["method"] == "alone":
        reached += f", and {say.days(number(rows[0]['days']))} for a run of 1e24 FLOP at the size that suits it"
    return f"{reached}. No limit on its link changes that."


def _milestones(tables: Tables) -> list[tuple[str, str]]:
    flops = sorted({known(row["flop"]) for row in tables.rows("left")})
    return [(f"{flop:.0e}".replace("e+", "e"), THRESHOLDS.get(flop, "")) for flop in flops]


def _times_left(tables: Tables) -> list[dict[str, Any]]:
    """Per kind of run and case: the time to each milestone, whether that is within a year, and FLOP a month."""
    found: dict[str, dict[str, Any]] = {}
    for pace in tables.rows("pace"):
        kind, case = text(pace["kind"]), text(pace["case"])
        rows = sorted(tables.rows("left", kind=kind, case=case), key=lambda row: known(row["flop"]))
        cells = [
            {"time": say.days(number(row["days"])), "within": (number(row["days"]) or YEAR_DAYS + 1) <= YEAR_DAYS}
            for row in rows
        ]
        month = words.flop(known(pace["flop_per_month"])).removesuffix(" FLOP")
        group = found.setdefault(kind, {"meaning": say.KINDS[kind], "rows": [], "as_before": False})
        group["rows"].append({"case": case, "cells": cells, "month": month})
    groups = list(found.values())
    for before, group in pairwise(groups):
        group["as_before"] = group["rows"] == before["rows"]
    return groups


def _targets(facts: PlanFacts, tables: Tables) -> dict[str, Any]:
    axis, tracks = target_tracks(facts, tables)
    grouped: dict[float, list[Row]] = {}
    for row in tables.rows("targets"):
        grouped.setdefault(known(row["number"]), []).append(row)
    rows = []
    for track, group in zip(tracks, grouped.values(), strict=True):
        first = group[0]
        limits = {
            text(row["case"]): say.largest(
                number(row["bytes_per_s_max"]), row["unlimited"] == "yes", text(row["breaks_it"])
            )
            for row in group
        }
        once = next(iter(limits.values())) if len(set(limits.values())) == 1 else ""
        name = say.target(
            text(first["kind"]), number(first["slowdown_min"]), number(first["flop"]), known(first["period_s"])
        )
        rows.append({"name": name, "limits": limits, "once": once, "track": _made_here(track)})
    return {"axis": _made_here(axis), "rows": rows}


def _serving(tables: Tables) -> list[dict[str, Any]]:
    found = []
    for row in tables.rows("serving"):
        times = known(row["headroom_times"])
        found.append(
            {
                "modality": row["modality"],
                "received": say.rate(known(row["received_bytes_per_s"])),
                "sent": say.rate(known(row["sent_bytes_per_s"])),
                "room": say.room(times),
                "fits": times >= 1,
                "basis": row["basis"],
            }
        )
    return found


def _swings(tables: Tables) -> dict[str, Any]:
    axis, tracks = swing_tracks(tables)
    rows = [
        {
            "assumption": row["assumption"],
            "values": {case: row[f"value_{case}"] for case in CASES},
            "slowdowns": {case: say.times(number(row[case])) for case in CASES},
            "track": _made_here(track),
        }
        for row, track in zip(tables.rows("sensitivity"), tracks, strict=True)
    ]
    return {"axis": _made_here(axis), "rows": rows}


def _methods(tables: Tables) -> list[dict[str, Any]]:
    """Every method, the best in the central case first."""
    found = []
    for row in tables.rows("methods"):
        reached = {text(r["case"]): r for r in tables.rows("reached", method=text(row["method"]))}
        central = reached.get("central")
        worth = known(central["flop_per_s"]) if central else 0.0
        slowdowns = {
            case: say.times(number(reached[case]["slowdown_times"])) if case in reached else "not counted"
            for case in CASES
        }
        shape = central or next(iter(reached.values()))
        found.append(
            (
                -worth,
                {
                    "id": row["method"],
                    "title": row["title"],
                    "after": row["counts_as"] == "post-training",
                    "level": row["level"],
                    "level_words": say.LEVELS[text(row["level"])],
                    "by": row["by"],
                    "size": say.count(known(row["shown_parameters"])),
                    "said": row["said"],
                    "choice": row["choice"],
                    "sources": row["sources"],
                    "slowdowns": slowdowns,
                    "layout": say.layout(number(shape["groups"]), number(shape["parts"]), number(shape["inner_steps"])),
                    "bound_by": say.BOUNDS[text(shape["bound_by"])],
                },
            )
        )
    return [method for _, method in sorted(found, key=lambda item: (item[0], str(item[1]["id"])))]


def _printed(tables: Tables) -> list[dict[str, Any]]:
    """What others printed, beside what this program computes."""
    found = []
    for name in ("example", "simulator", "published"):
        exhibit = tables.exhibit(name)
        printed = "printed" if "printed" in exhibit.columns else "reported"
        rows = []
        for row in tables.rows(name):
            unit = text(row["unit"])
            label = f"{row['run']}: {row['quantity']}" if "run" in row else text(row.get("name") or row["quantity"])
            rows.append(
                {
                    "name": label,
                    "computed": say.figure(known(row["computed"]), unit),
                    "printed": say.figure(known(row[printed]), unit),
                    "error": say.percent(number(row["error"])),
                    "note": row.get("inputs") or ("" if row.get("note", "-") == "-" else row["note"]),
                }
            )
        found.append({"title": exhibit.title, "printed": printed, "rows": rows})
    return found


def _permitted(tables: Tables) -> list[dict[str, Any]]:
    return [
        {
            "example": row["example"],
            "need": say.rate(known(row["need_bytes_per_s"])),
            "cap": row["cap"],
            "slowed": say.times(known(row["slowed_times"])),
        }
        for row in tables.rows("permitted")
    ]
