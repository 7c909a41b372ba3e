"""Plans of mechanisms as text: tables that fit a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import click
from rich.console import Console
from rich.table import Table

from inspectorate.planning.portfolio import Case, Catalogue, FrontierPoint, Plan, Question, Swing, WhyNot
from inspectorate.planning.portfolio.answer import ClusterPlan
from inspectorate.planning.portfolio.catalogue import LEVELS, Evidence, Figure, Mark
from inspectorate.planning.portfolio.frontier import ACCESS
from inspectorate.report import words
from inspectorate.report.portfolio_facts import PortfolioFacts

WIDTH = 132
CLUSTERS_SHOWN = 40
SWINGS_SHOWN = 30
Line = str | Table


def echo(lines: Iterable[Line]) -> None:
    """Print lines and tables."""
    console = Console(width=WIDTH, highlight=False, markup=False)
    for line in lines:
        console.print(line, soft_wrap=False) if isinstance(line, Table) else click.echo(line)


def money(value: float, currency: str) -> str:
    """Such as `12.3 million USD`."""
    for size, name in ((1e9, " billion"), (1e6, " million"), (1e3, " thousand")):
        if abs(value) >= size:
            return f"{value / size:.3g}{name} {currency}"
    return f"{value:.3g} {currency}"


def plan_lines(question: Question, plan: Plan | None, why: WhyNot | None, before: float | None) -> Iterator[Line]:
    """The answer."""
    yield from _question_lines(question)
    currency = question.catalogue.currency
    if why is not None:
        yield from _why_lines(why, question)
    if plan is None:
        return
    if why is None:
        yield f"The cheapest plan: {_range(plan.cost, currency)} a year."
    else:
        yield f"What comes nearest: {_range(plan.cost, currency)} a year."
    if before is not None and abs(before - plan.cost[plan.case.place]) > 1e-6 * max(before, 1):
        yield f"If nothing were struck out, refused, delayed or capped, it would be {money(before, currency)} a year."
    yield from _run_lines(plan)
    yield ""
    yield _cluster_table(plan)
    if plan.fleet_wide:
        yield f"For the whole fleet: {', '.join(plan.fleet_wide)}."
    yield ""
    yield _subgoal_table(plan)
    yield from _rest_lines(plan)


def _question_lines(question: Question) -> Iterator[Line]:
    fleet = question.fleet
    chips = sum(cluster.chip_count for cluster in fleet.clusters)
    yield (f"{fleet.title}: {len(fleet.clusters)} clusters, {chips:,.0f} chips. Mechanisms ready by {question.date:%Y-%m-%d}, work "
           f"begun {question.start:%Y-%m-%d}; {question.case.value} figures of the catalogue {question.catalogue.id}.")  # fmt: skip
    for one in question.requirements:
        times = question.progress.algorithmic_per_year
        moved = "" if times == 1 else f" (agreed as {one.flop_max_agreed:.3g}; algorithms gain {times:g} times a year)"
        yield f"No hidden run above {one.flop_max:.3g} FLOP ({one.threshold}, {one.kind.value}){moved}."


def _why_lines(why: WhyNot, question: Question) -> Iterator[Line]:
    currency = question.catalogue.currency
    least = min(question.kinds().values())
    if question.budget is not None:
        yield f"Within {money(question.budget, currency)} a year the bound is not reached."
    else:
        yield "There is no plan within the bound."
    if why.nearest is None:
        yield "Whatever the bound: terms other than it exclude one another."
    else:
        yield f"The nearest bound that can be reached: {why.nearest:.3g} times it ({why.nearest * least:.3g} FLOP)."
    table = table_of("loosened by itself", "to", "a plan then", "cost a year")
    for cause in why.causes:
        cost = "" if cause.cost is None else money(cause.cost, currency)
        table.add_row(cause.term, cause.loosened, "yes: it is a cause" if cause.enough else "no", cost)
    yield table
    day = (
        "There is none on any later day either."
        if why.first_day is None
        else f"The first day with a plan: {why.first_day:%Y-%m-%d}."
    )
    yield day + "\n"


def _run_lines(plan: Plan) -> Iterator[str]:
    for run in plan.runs:
        low, central, high = (f"{value:.3g}" for value in run.flop)
        yield (f"Largest hidden {run.kind} run: {low} / {central} / {high} FLOP with optimistic / central / pessimistic figures; "
               f"{run.required_flop:.3g} allowed.")  # fmt: skip
        if run.failing:
            yield f"  at worst {run.at_worst_flop:.3g} FLOP, if {', '.join(run.failing)} fails"
        if not run.holds[2]:
            yield "  With pessimistic figures the bound does NOT hold."
    yield (f"Verified {plan.verified_chip_hours:.4g} chip-hours a year, unverified {plan.unverified_chip_hours:.4g} "
           f"({words.share(plan.unverified_chip_hours, plan.verified_chip_hours + plan.unverified_chip_hours)}).")  # fmt: skip


def _alike(one: ClusterPlan) -> tuple[object, ...]:
    return (one.mechanisms, one.claim, one.use, one.chips, round(one.hidden_share, 12), one.joining)


def _cluster_table(plan: Plan) -> Table:
    """Clusters that are alike in all that is shown share a row."""
    table = table_of(
        "clusters",
        "use",
        "chips each",
        "mechanisms",
        "claim",
        "could hide",
        "joins by",
        "adds, FLOP",
        "cost a year each",
    )
    ordered = sorted(
        plan.clusters, key=lambda one: (one.claim.value, one.mechanisms, one.use.value, -one.chips, one.cluster)
    )
    groups = [(list(group)) for _, group in groupby(ordered, key=_alike)]
    for group in groups[:CLUSTERS_SHOWN]:
        first = group[0]
        names = ", ".join(one.cluster for one in group[:4]) + (f", … ({len(group)})" if len(group) > 4 else "")
        adds = sum(one.adds_flop for one in group)
        table.add_row(names, first.use.value, f"{first.chips:,.0f}", ", ".join(first.mechanisms), first.claim.value,
                      f"{first.hidden_share:.3%}", f"{first.joining:.3g}", f"{adds:.3g}",
                      money(first.cost[plan.case.place], plan.currency))  # fmt: skip
    if len(groups) > CLUSTERS_SHOWN:
        table.add_row(f"and {len(groups) - CLUSTERS_SHOWN} more rows (--json has all)", *[""] * 8)
    return table


def _subgoal_table(plan: Plan) -> Table:
    weakest = min(one.layers for one in plan.subgoals)
    table = table_of("subgoal", "", "roots that must fail", "weakest at", "")
    for one in plan.subgoals:
        note = "only people" if one.people_only else ""
        mark = "weakest" if one.layers == weakest else ""
        table.add_row(
            one.subgoal.value, one.title, str(one.layers), ", ".join(one.at), ", ".join(filter(None, (mark, note)))
        )
    return table


def _rest_lines(plan: Plan) -> Iterator[str]:
    kinds: dict[str, float] = {}
    for cluster in plan.clusters:
        for kind, bits in cluster.reveals_bits_per_day.items():
            kinds[kind] = max(kinds.get(kind, 0.0), bits[plan.case.place])
    if kinds:
        yield "Revealed, bits a day at the cluster that shows most: " + ", ".join(
            f"{k} {v:.2g}" for k, v in sorted(kinds.items())
        )
    for one in plan.late:
        yield f"{one.mechanism} is ready only on {one.ready_on:%Y-%m-%d} if its work takes as long as it may."
    yield (
        "Nobody's figures but ours (assumed): "
        + "; ".join(f"{one.mechanism}: {', '.join(one.figures)}" for one in plan.assumed)
        + "."
    )
    yield "Not counted: " + "; ".join(plan.not_counted) + "."
    found = {
        "optimal": "proved the best within the model",
        "time": "the best that was found in time",
        "given": "not optimised",
    }
    yield f"{found[plan.found]}; gap {plan.gap:.2%}, {plan.options:,} options. A plan is an answer within a model, and no verdict."


def more_lines(points: Sequence[FrontierPoint], swings: Sequence[Swing], question: Question) -> Iterator[Line]:
    """The frontier and the sensitivities."""
    currency = question.catalogue.currency
    if points:
        years = sorted({one.years for one in points})
        by_place = {(one.years, one.level): one for one in points}
        yield "\nThe smallest hidden run [FLOP] while every cluster works, and the bound's cost a year, by access and years:"
        table = table_of("access", *(f"{year:g} y" for year in years))
        for level in range(LEVELS):
            cells = []
            for year in years:
                one = by_place[year, level]
                run = "none" if one.run_flop is None else f"{one.run_flop:.2g}"
                cells.append(f"{run}\n{'no plan' if one.cost is None else money(one.cost, currency)}")
            table.add_row(f"{level} {ACCESS[level]}", *cells)
        yield table
    if swings:
        moving = [one for one in swings if one.changes]
        yield f"\nFigures that change the plan when moved within their range: {len(moving)} of {len(swings)} ends."
        table = table_of("mechanism", "figure", "whose", "to", "why", "cost a year then")
        for swing in moving[:SWINGS_SHOWN]:
            cost = "no plan" if swing.cost is None else money(swing.cost, currency)
            table.add_row(swing.mechanism, swing.figure, swing.mark.value, f"{swing.value:.3g}", swing.why, cost)
        yield table


def catalogue_lines(catalogue: Catalogue) -> Iterator[Line]:
    """The catalogue with the mark of every figure."""
    yield f"{catalogue.id} {catalogue.version}: {len(catalogue.mechanisms)} mechanisms, costs in {catalogue.currency} a year."
    for one in catalogue.mechanisms:
        yield f"{one.id}: {one.title}"
        says = (
            "people: carries no figure"
            if one.evidence is Evidence.PEOPLE
            else f"{one.evidence.value}, claim {one.claim.value}"
        )
        figures = {
            "leaves": one.residual,
            "joins by": one.joining,
            "chips elsewhere": one.outside,
            "years of work": one.rd_years,
        }
        shown = [f"{name} {_figure(figure)}" for name, figure in figures.items() if figure is not None]
        yield f"    {says}; {'; '.join(shown)}; feasibility {one.feasibility.grade.value} {one.feasibility.mark.value}"
        costs = {"programme": one.cost.programme, "a cluster": one.cost.cluster, "a chip": one.cost.chip}
        priced = ", ".join(f"{name} {_figure(figure)}" for name, figure in costs.items() if figure is not None)
        seen = " ".join(goal.value for goal in one.subgoals) or "none"
        access = f"access {one.access.level} {', '.join(one.access.kinds)}".rstrip()
        yield f"    costs: {priced}; {access}; stands with {', '.join(one.roots)}; subgoals {seen}"
    assumed = sum(figure.mark is Mark.ASSUMED for one in catalogue.mechanisms for _, figure in one.figures())
    every = sum(1 for one in catalogue.mechanisms for _ in one.figures())
    yield (f"{assumed} of {every} figures are nobody's but ours (*). Marks: F full text, A abstract, S second-hand, C computed. "
           "`--yaml` prints the file with all sources, to be copied and edited.")  # fmt: skip


def _figure(figure: Figure | None) -> str:
    if figure is None:
        return ""
    mark = "*" if figure.mark is Mark.ASSUMED else figure.mark.value
    return "–".join(dict.fromkeys(f"{value:.3g}".replace("e+0", "e") for value in figure.range)) + f" {mark}"


def example_lines(drawn: Plan, best: Plan, notes: Sequence[str]) -> Iterator[Line]:
    """A drawn assignment, and the cheapest that leaves no more."""
    yield f"{drawn.title}, as it was drawn; {drawn.case.value} figures."
    yield _cluster_table(drawn)
    yield from _run_only(drawn)
    claims = {
        claim: sum(one.claim == claim for one in drawn.clusters)
        for claim in dict.fromkeys(one.claim for one in drawn.clusters)
    }
    yield "Claims: " + ", ".join(f"{claim.value} on {count}" for claim, count in claims.items()) + "."
    yield f"It costs {_range(drawn.cost, drawn.currency)} a year."
    subgoals = [one.subgoal.value for one in drawn.subgoals if not one.layers]
    if subgoals:
        yield f"Nothing looks at subgoal {', '.join(subgoals)}."
    yield "\nThe cheapest assignment that leaves no larger hidden run:"
    yield _cluster_table(best)
    yield from _run_only(best)
    yield f"It costs {_range(best.cost, best.currency)} a year."
    for note in notes:
        yield f"Note: {note}"


def _run_only(plan: Plan) -> Iterator[str]:
    total = plan.verified_chip_hours + plan.unverified_chip_hours
    yield (f"Verified {plan.verified_chip_hours:.4g} chip-hours a year, unverified {plan.unverified_chip_hours:.4g} "
           f"({words.share(plan.unverified_chip_hours, total)}).")  # fmt: skip
    run = plan.runs[0]
    led = f", led by {run.led_by}" if run.led_by else ""
    yield f"The residual: a hidden run of up to {run.at_worst_flop:.3g} FLOP in {plan.run_days:g} days{led}."


def _range(cost: tuple[float, float, float], currency: str) -> str:
    low, central, high = (money(value, currency) for value in cost)
    return f"{central} ({low} to {high})"


def facts_of(question: Question, plan: Plan | None, why: WhyNot | None) -> PortfolioFacts:
    """The question and the outcome in plain words, for the page."""
    currency = question.catalogue.currency
    question_lines = [line for line in _question_lines(question) if isinstance(line, str)]
    outcome = "There is no plan within the bound."
    if plan is not None and why is None:
        outcome = f"The cheapest plan costs {money(plan.cost[plan.case.place], currency)} a year."
    notes = list(_run_lines(plan)) if plan else []
    if why is not None:
        notes = [line for line in _why_lines(why, question) if isinstance(line, str)] + notes
        notes += [
            f"{c.term}, {c.loosened}: {'a plan exists then' if c.enough else 'no plan either'}." for c in why.causes
        ]
    return PortfolioFacts(
        title=question.fleet.title,
        question=tuple(question_lines),
        outcome=outcome,
        notes=tuple(line.strip() for line in notes),
        not_counted=plan.not_counted if plan else (),
        currency=currency,
        required_flop=min(question.kinds().values()),
        case=question.case.value if question.case is not Case.CENTRAL else "central",
    )


def table_of(*columns: str) -> Table:
    """A table without rules, in the manner of all tables of `plan`."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="", show_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    return table
