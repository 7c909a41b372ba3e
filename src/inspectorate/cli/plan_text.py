"""A plan as plain text of 100 columns: what `inspectorate plan` prints."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.table import Table

from inspectorate.assessment import Exhibit
from inspectorate.mechanisms.interconnect.plan.curves import Plan
from inspectorate.mechanisms.interconnect.plan.exhibits import ASSUMPTION_WORDS, headroom, sources_of
from inspectorate.mechanisms.interconnect.plan.inverse import MILESTONES_FLOP, Kind, Limit
from inspectorate.mechanisms.interconnect.plan.methods import Method
from inspectorate.mechanisms.interconnect.plan.types import Case, MethodReach, Reach
from inspectorate.report import plan_words as say
from inspectorate.report import words
from inspectorate.report.plan_facts import PlanFacts, known, number, text

WIDTH = 100
SWINGS_SHOWN = 4
CAVEAT = (
    "These are ranges over assumptions about an adversary, and no forecasts. What happens inside one pod no limit on its "
    "link touches."
)


def plan_lines(plan: Plan, facts: PlanFacts, cases: Sequence[Case]) -> Iterator[str]:
    """The whole answer for these cases, the widest question first."""
    yield from _wrapped(question_line(facts))
    yield from _wrapped(CAVEAT)
    yield ""
    yield from _answers(plan, cases)
    yield ""
    yield from _days(plan, cases)
    yield ""
    yield from _targets(plan, cases)
    yield ""
    yield from _serving(plan, facts)
    yield ""
    yield from _swings(plan)
    yield ""
    yield from _wrapped(
        "Cases: " + "; ".join(f"{case.value}: {say.CASES[case.value]}" for case in cases) + ". "
        "`--methods` prints the methods with their sources, `--html FILE` draws the curves."
    )


def question_line(facts: PlanFacts) -> str:
    """The question in one sentence."""
    window = (
        f", and windows of {say.prefixed(facts.window_bytes, 'B')} every {words.duration(facts.window_every_s)}"
        if facts.window_bytes
        else ""
    )
    duty = f", {words.share(facts.duty, 1)} of the time" if facts.duty < 1 else ""
    return (
        f"{words.plural(facts.pods, 'pod')} of {facts.chips:,} {facts.chip} ({facts.flop_per_s_each / 1e12:.4g} TFLOP/s each) "
        f"that may send and receive {say.both_ways(facts.sent_bytes_per_s, facts.received_bytes_per_s)}{duty}{window}; "
        f"a run of {say.count(facts.parameters)} parameters on {say.count(facts.tokens)} tokens "
        f"({words.flop(facts.flop)})."
    )


def _answers(plan: Plan, cases: Sequence[Case]) -> Iterator[str]:
    unlimited = plan.question.pods.count * plan.question.pods.flop_per_s
    reaches = {
        case: Reach(case=case, methods=methods, unlimited_flop_per_s=unlimited) for case, methods in plan.reached
    }
    table = _table("", "slowdown", "best joint run", "layout", "one pod alone", "with post-training")
    for case in cases:
        best, after = reaches[case].best(joint=True), reaches[case].best("post-training")
        table.add_row(
            case.value,
            say.times(best.slowdown),
            best.method if best.layout else "none",
            _layout(best),
            say.times(plan.alone_slowdown),
            "no more" if after == best or not after.layout else f"{say.times(after.slowdown)} {after.method}",
        )
    yield "This run, under this limit"
    yield from _printed(table)
    yield from _wrapped("Slowdowns are against all pods well connected.", 2)
    titles = {method.id: f"{method.title} ({say.LEVELS[method.evidence.level.value]})" for method in plan.methods}
    best_of = [reaches[case].best(joint=True) for case in cases]
    for name in dict.fromkeys(best.method for best in best_of if best.layout):
        yield from _wrapped(f"{name}: {titles[name]}", 2)


def _layout(one: MethodReach) -> str:
    if one.layout is None:
        return "–"
    return say.layout(one.layout.groups, one.layout.parts, one.layout.inner_steps)


def _days(plan: Plan, cases: Sequence[Case]) -> Iterator[str]:
    yield "Time to a run worth so many FLOP, at the size of model that is best for it"
    table = _table("", *(say.short(flop) for flop in MILESTONES_FLOP), "FLOP a month")
    before: list[list[str]] = []
    for kind in Kind:
        rows = [
            [*(say.days(milestone.days, brief=True) for milestone in one.milestones), say.short(one.flop_per_month)]
            for one in plan.left
            if one.kind is kind and one.case in cases
        ]
        if rows == before:
            table.add_row(f"{kind.value}, any case", "no quicker")
            continue
        for case, row in zip(cases, rows, strict=True):
            table.add_row(f"{kind.value}, {case.value}", *row)
        before = rows
    yield from _printed(table)


def _targets(plan: Plan, cases: Sequence[Case]) -> Iterator[str]:
    yield "The largest limit for a target"
    table = _table("", *(case.value for case in cases))
    none: set[str] = set()
    for answer in plan.targets:
        target = answer.target
        found = {limit.case: limit for limit in answer.limits}
        none |= {one.breaks_it for one in found.values() if one.bytes_per_s_max is None and not one.unlimited}
        table.add_row(
            say.target(target.kind.value, target.slowdown_min, target.flop, target.period_s),
            *(_largest(found[case]) for case in cases),
        )
    yield from _printed(table)
    if "alone" in none:
        yield from _wrapped("None (alone): no limit, since one pod alone does it.", 2)


def _largest(limit: Limit) -> str:
    if limit.bytes_per_s_max is None and not limit.unlimited:
        return f"none ({limit.breaks_it})"
    if limit.unlimited:
        return "any limit"
    return say.largest(limit.bytes_per_s_max, limit.unlimited, limit.breaks_it)


def _serving(plan: Plan, facts: PlanFacts) -> Iterator[str]:
    yield "What serving needs of a pod's link, and the head-room of the limit over it"
    table = _table("", "prompts, in", "answers, out", "this limit is")
    for need in plan.serving:
        table.add_row(
            need.modality.value,
            say.rate(need.received_bytes_per_s),
            say.rate(need.sent_bytes_per_s),
            say.room(headroom(plan.question.limit, need)),
        )
    yield from _printed(table)
    yield from _wrapped(
        f"A pod that says it serves {say.count(facts.served_parameters)} parameters could claim "
        f"{say.rate(facts.claimable_bytes_per_s)} for prompts; the smaller the model, the more."
    )


def _swings(plan: Plan) -> Iterator[str]:
    yield "What the central slowdown hangs on: one assumption as in another case, the widest first"
    table = _table("", "published", "central", "cautious")
    for swing in plan.sensitivity[:SWINGS_SHOWN]:
        table.add_row(
            ASSUMPTION_WORDS[swing.assumption.replace(" ", "_")],
            say.times(swing.published),
            say.times(swing.central),
            say.times(swing.cautious),
        )
    yield from _printed(table)


def printed_lines(exhibits: Iterable[Exhibit], version: str) -> Iterator[str]:
    """Numbers that others printed beside ours."""
    for place, exhibit in enumerate(exhibits):
        if place:
            yield ""
        yield exhibit.title
        yield from _printed(_printed_table(exhibit))
        if exhibit.id == "simulator":
            yield from _wrapped(f"Version: {version}.")


def _printed_table(exhibit: Exhibit) -> Table:
    rows = [dict(zip(exhibit.columns, row, strict=True)) for row in exhibit.rows]
    if exhibit.id == "permitted":
        table = _table("", "needs", "cap", "slowed")
        for row in rows:
            need, slowed = say.rate(known(row["need_bytes_per_s"])), say.times(known(row["slowed_times"]))
            table.add_row(text(row["example"]), need, text(row["cap"]), slowed)
        return table
    printed = "printed" if "printed" in exhibit.columns else "reported"
    named = exhibit.id == "published"
    table = _table("", "computed", printed, "error", *(("from",) if named else ()))
    for row in rows:
        unit = text(row["unit"])
        name = f"{row['run']}: {row['quantity']}" if named else text(row["name" if "name" in row else "quantity"])
        error = say.percent(number(row["error"]))
        values = (say.figure(known(row["computed"]), unit), say.figure(known(row[printed]), unit), error)
        table.add_row(name, *values, *((text(row["inputs"]),) if named else ()))
    return table


def method_lines(methods: Sequence[Method]) -> Iterator[str]:
    """The catalogue, with evidence and sources."""
    for method in methods:
        shown = method.evidence
        yield f"{method.id}: {method.title}"
        yield from _wrapped(
            f"{say.LEVELS[shown.level.value]}; {shown.by}, {say.count(shown.parameters)} parameters: {shown.said}", 4
        )
        yield from _wrapped(f"counts as {method.counts_as}; source: {sources_of(method)}", 4)
        if method.choice:
            yield from _wrapped(f"modelling choice: {method.choice}", 4)


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="", show_edge=False)
    for name in (first, *others):
        table.add_column(name, overflow="fold")
    return table


def _printed(table: Table) -> Iterator[str]:
    """The table as indented lines without trailing space; rich breaks what is too wide."""
    stream = io.StringIO()
    console = Console(file=stream, width=WIDTH - 2, color_system=None, highlight=False, markup=False, emoji=False)
    console.print(table)
    return (f"  {line}".rstrip() for line in stream.getvalue().splitlines())


def _wrapped(sentence: str, indent: int = 0) -> Iterator[str]:
    yield from textwrap.wrap(sentence, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * indent)
