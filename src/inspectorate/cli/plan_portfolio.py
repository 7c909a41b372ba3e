"""`inspectorate plan portfolio`: which mechanism on which cluster, at least cost, within a bound on the largest hidden run.

A plan is an answer within a model and no verdict: every command exits 0 on an answer, also where the answer is that there is no
such plan, and 2 on wrong use.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress as Bar

from inspectorate.agreement import Agreement, load_agreement
from inspectorate.cli import plan_portfolio_text as text
from inspectorate.cli.options import (
    EXISTING_FILE,
    NEW_PATH,
    FiniteRange,
    json_option,
    parse_time,
    print_json,
    write_text,
)
from inspectorate.declaration import load_declaration
from inspectorate.errors import InputError
from inspectorate.planning.portfolio import (
    FLEET,
    Case,
    Catalogue,
    Fleet,
    FrontierPoint,
    Plan,
    Progress,
    Question,
    Requirement,
    Swing,
    bound_of,
    cheapest,
    example_fleet,
    fleet_of,
    frontier,
    load_catalogue,
    load_fleet,
    plan_given,
    plan_of,
    requirements_of,
    sensitivity,
    shipped_catalogue,
    tightest,
    why_not,
)
from inspectorate.planning.portfolio.catalogue import LEVELS, Grade, shipped_catalogue_bytes
from inspectorate.planning.portfolio.exhibits import exhibits_of
from inspectorate.planning.portfolio.fleet import fleet_examples
from inspectorate.planning.portfolio.frontier import YEARS
from inspectorate.planning.portfolio.sensitivity import figures_count
from inspectorate.planning.portfolio.terms import (
    ALGORITHMIC_PER_YEAR,
    FAILURES_MAX,
    LAYERS_MAX,
    PRICE_PER_YEAR,
    TOGETHER_MAX,
    YEAR_DAYS,
)
from inspectorate.report.portfolio_page import render_portfolio

AHEAD_YEARS = 4.0
EXAMPLE = "figure-1"
LAST_YEAR = 2199
_PAIR = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]{0,127})=(.+)$")


class Pair(click.ParamType[tuple[str, float]]):
    """NAME=NUMBER."""

    name = "NAME=NUMBER"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float]:
        if isinstance(value, tuple):
            return value
        found = _PAIR.match(str(value))
        try:
            number = float(found[2]) if found else math.nan
        except ValueError:
            number = math.nan
        if found is None or not 0 <= number <= 1e18:
            self.fail(f"{str(value)[:60]!r} is not NAME=NUMBER with a number from 0", param, ctx)
        return found[1], number


def _progress(_: object, __: object, value: str | None) -> Progress:
    """What `--progress` says: algorithms and prices, each as a factor a year."""
    if value is None:
        return Progress()
    parts = value.split(",")
    try:
        algorithmic, price = float(parts[0]), float(parts[1]) if len(parts) > 1 else PRICE_PER_YEAR
    except ValueError:
        raise click.BadParameter("write two factors a year, such as 3,1.3") from None
    if len(parts) > 2 or not (1 <= algorithmic <= 100 and 1 <= price <= 100):
        raise click.BadParameter("two factors from 1 to 100")
    return Progress(algorithmic_per_year=algorithmic, price_per_year=price)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a command asks, read and checked."""

    question: Question
    html: Path | None
    as_json: bool
    with_frontier: bool
    with_sensitivity: bool


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--fleet", "fleet", metavar="FILE", help=f"Fleet (YAML) or a shipped example. [default: {EXAMPLE}]"),
    click.option("--declaration", type=EXISTING_FILE, help="A declaration (YAML) instead of a fleet."),
    click.option("--catalogue", type=EXISTING_FILE, help="Your own catalogue of mechanisms (YAML)."),
    click.option("--agreement", default="asi-agreement", show_default=True, help="How capacity counts, and the thresholds."),
    click.option("--threshold", "thresholds", multiple=True, help="Of the agreement (default: all but monitored ones)."),
    click.option("--bound", type=FiniteRange(1, 1e35), help="Largest hidden run [FLOP], instead of thresholds."),
    click.option("--date", "date", help=f"By when mechanisms must be ready. [default: start + {AHEAD_YEARS:g} years]"),
    click.option("--start", "start", help="When the work on them begins. [default: now]"),
    click.option("--run-days", type=FiniteRange(1, 3_660), default=365.25, show_default=True,
                 help="How long a run may go on."),
    click.option("--case", "case", type=click.Choice([one.value for one in Case]), default="central", show_default=True,
                 help="Which end of every range counts."),
    click.option("--without", multiple=True, metavar="MECHANISM", help="Strike a mechanism out."),
    click.option("--refuse", multiple=True, metavar="KIND", help="A kind of access that is refused, such as code."),
    click.option("--access", type=click.IntRange(0, LEVELS - 1), default=LEVELS - 1, show_default=True,
                 help="Highest level of access: 0 nothing to 4 code."),
    click.option("--delay", "delays", type=Pair(), multiple=True, help="MECHANISM=YEARS by which it comes later."),
    click.option("--cap", "caps", type=Pair(), multiple=True, help="KIND=BITS a day that one cluster may reveal at most."),
    click.option("--failures", type=click.IntRange(0, FAILURES_MAX), default=0, show_default=True,
                 help="The bound must hold whichever so many trust roots fail."),
    click.option("--layers", type=click.IntRange(0, LAYERS_MAX), default=1, show_default=True,
                 help="Independent layers on every subgoal."),
    click.option("--budget", type=FiniteRange(min=0, max=1e15),
                 help="A year; then the hidden run is made as small as it can be."),
    click.option("--progress", callback=_progress, is_flag=False, flag_value=f"{ALGORITHMIC_PER_YEAR},{PRICE_PER_YEAR}",
                 metavar="[A,P]", help="Let thresholds fall by what algorithms gain, and hidden purchases grow (3,1.3 a year)."),
    click.option("--count-outside", is_flag=True, help="Count chips that may be elsewhere than declared."),
    click.option("--feasibility", type=click.Choice([one.value for one in Grade]), default="medium", show_default=True,
                 help="The least feasibility that counts."),
    click.option("--together", type=click.IntRange(1, TOGETHER_MAX), default=4, show_default=True,
                 help="Mechanisms on one cluster at most."),
    click.option("--keep-running", is_flag=True, help="Exclude no cluster: all go on working."),
    click.option("--time-limit", type=FiniteRange(1, 3_600), default=120, show_default=True, help="Of one search [s]."),
    click.option("--frontier", "with_frontier", is_flag=True, help="Also sweep access and dates."),
    click.option("--sensitivity", "with_sensitivity", is_flag=True, help="Also ask which figure changes the plan."),
    click.option("--html", type=NEW_PATH, help="Write the answer as a self-contained page here (with the frontier)."),
)  # fmt: skip


def _options(command: Callable[..., object]) -> Callable[..., object]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.group("portfolio", invoke_without_command=True)
@_options
@json_option
@click.pass_context
def portfolio(context: click.Context, /, as_json: bool, **given: Any) -> None:
    """Which mechanism on which cluster: the cheapest choice that leaves no larger hidden run than is allowed.

    Without options it answers for the shipped example. `catalogue` prints what there is to choose from and whose each figure is,
    `example` explains a shipped fleet.
    """
    if context.invoked_subcommand is not None:
        return
    _answer(_asked(given, as_json))


@portfolio.command("catalogue")
@click.option("--catalogue", "path", type=EXISTING_FILE, help="Another catalogue than the shipped one.")
@click.option("--yaml", "as_yaml", is_flag=True, help="The shipped file as it stands, to be copied and edited.")
@json_option
def catalogue_command(path: Path | None, as_yaml: bool, as_json: bool) -> None:
    """What there is to choose from: power, price, readiness, what it reveals, and whose each figure is."""
    if as_yaml:
        click.echo(shipped_catalogue_bytes().decode(), nl=False)
        return
    found = load_catalogue(path) if path else shipped_catalogue()
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    text.echo(text.catalogue_lines(found))


@portfolio.command("example")
@click.argument("name", type=click.Choice(fleet_examples()), default=EXAMPLE)
@click.option("--case", type=click.Choice([one.value for one in Case]), default="central", show_default=True)
@json_option
def example(name: str, case: str, as_json: bool) -> None:
    """A shipped fleet as its source drew it: what is verified, what is not, and the cheapest choice that does as well."""
    fleet, catalogue = example_fleet(name), shipped_catalogue()
    agreement = load_agreement("asi-agreement")
    start = datetime.fromisoformat("2024-11-01T00:00:00+00:00")
    question = Question(
        fleet=fleet, catalogue=catalogue, agreement=agreement, date=start + timedelta(days=5 * YEAR_DAYS), start=start,
        requirements=(bound_of(1e30, years=0, progress=Progress()),), case=Case(case), layers=0,
    )  # fmt: skip
    if not fleet.figure:
        raise InputError("nobody drew an assignment for this fleet", where=name, remedy="use `plan portfolio --fleet`")
    drawn = plan_given(
        question, {FLEET: frozenset(), **{place: frozenset(names) for place, names in fleet.figure.items()}}
    )
    left = drawn.runs[0].at_worst_flop
    same = question.but(requirements=(bound_of(left, years=0, progress=Progress()),))
    choice = cheapest(same)
    assert choice is not None, "the assignment itself is a plan"
    best = plan_of(same, choice)
    if as_json:
        print_json(
            {
                "drawn": drawn.model_dump(mode="json"),
                "cheapest": best.model_dump(mode="json"),
                "notes": list(fleet.notes),
            }
        )
        return
    text.echo(text.example_lines(drawn, best, fleet.notes))


def _asked(given: dict[str, Any], as_json: bool) -> Asked:
    """The question that the options ask. Raises `InputError`."""
    agreement = load_agreement(given["agreement"])
    start, date = span_of(given["start"], given["date"])
    if given["bound"] is not None and given["thresholds"]:
        raise InputError("give a bound or thresholds, and not both", where="--bound")
    progress: Progress = given["progress"]
    if given["bound"] is not None:
        years = (date - start).total_seconds() / 86_400 / YEAR_DAYS
        requirements: tuple[Requirement, ...] = (bound_of(given["bound"], years=years, progress=progress),)
    else:
        requirements = requirements_of(
            agreement, date=date, start=start, progress=progress, thresholds=given["thresholds"]
        )
    question = Question(
        fleet=_fleet(given["fleet"], given["declaration"], agreement), catalogue=_catalogue(given["catalogue"]),
        agreement=agreement, requirements=requirements, date=date, start=start, run_days=given["run_days"],
        case=Case(given["case"]), without=frozenset(given["without"]), refused=frozenset(given["refuse"]),
        access_level_max=given["access"], delays=_pairs("--delay", given["delays"], 100.0),
        caps=_pairs("--cap", given["caps"], 1e18),
        failures=given["failures"], layers=given["layers"], budget=given["budget"], progress=progress,
        count_outside=given["count_outside"], feasible_min=Grade(given["feasibility"]), together=given["together"],
        keep_running=given["keep_running"], time_limit_s=given["time_limit"],
    )  # fmt: skip
    return Asked(question=question, html=given["html"], as_json=as_json, with_sensitivity=given["with_sensitivity"],
                 with_frontier=given["with_frontier"] or given["html"] is not None)  # fmt: skip


def span_of(start_text: str | None, date_text: str | None) -> tuple[datetime, datetime]:
    """When the work begins, and by when it must be done. Raises `InputError`."""
    start = parse_time(start_text)
    date = parse_time(date_text) if date_text else start + timedelta(days=AHEAD_YEARS * YEAR_DAYS)
    if not 1970 <= start.year <= LAST_YEAR or not 1970 <= date.year <= LAST_YEAR or date < start:
        raise InputError(f"the work must begin before the date, both between 1970 and {LAST_YEAR}", where="--date",
                         remedy="give --start and --date in order")  # fmt: skip
    return start, date


def _pairs(where: str, pairs: tuple[tuple[str, float], ...], most: float) -> dict[str, float]:
    found = dict(pairs)
    if len(found) != len(pairs) or any(value > most for value in found.values()):
        raise InputError(f"names something twice, or more than {most:g}", where=where)
    return found


def _fleet(name: str | None, declaration: Path | None, agreement: Agreement) -> Fleet:
    if name and declaration:
        raise InputError("give a fleet or a declaration, and not both", where="--fleet")
    if declaration:
        return fleet_of(load_declaration(declaration), agreement)
    if name is None or name in fleet_examples():
        return example_fleet(name or EXAMPLE)
    return load_fleet(Path(name))


def _catalogue(path: Path | None) -> Catalogue:
    return load_catalogue(path) if path else shipped_catalogue()


def _answer(asked: Asked) -> None:
    question = asked.question
    with Console(stderr=True).status("looking at every set of mechanisms on every cluster …"):
        choice = tightest(question) if question.budget is not None else cheapest(question)
        why = why_not(question) if choice is None or choice.stretch > 1 + 1e-9 else None
        before = _unconditional(question)
    plan: Plan | None = plan_of(question, choice) if choice else None
    with Bar(console=Console(stderr=True), transient=True) as bar:
        points: tuple[FrontierPoint, ...] = ()
        if asked.with_frontier:
            task = bar.add_task("access and technology", total=len(YEARS) * LEVELS)
            points = frontier(question, done=lambda: bar.advance(task))
        swings: tuple[Swing, ...] = ()
        if asked.with_sensitivity and choice:
            other = bar.add_task("figures", total=figures_count(question.catalogue))
            swings = sensitivity(question, choice, done=lambda: bar.advance(other))
    exhibits = exhibits_of(question, plan, points, swings)
    if asked.html is not None:
        write_text(asked.html, render_portfolio(text.facts_of(question, plan, why), exhibits))
    if asked.as_json:
        print_json({
            "plan": plan.model_dump(mode="json") if plan else None,
            "why_not": why.model_dump(mode="json") if why else None,
            "unconditional_cost": before,
            "frontier": [one.model_dump(mode="json") for one in points],
            "sensitivity": [one.model_dump(mode="json") for one in swings],
            "exhibits": [one.model_dump(mode="json") for one in exhibits],
        })  # fmt: skip
        return
    text.echo(text.plan_lines(question, plan, why, before))
    text.echo(text.more_lines(points, swings, question))
    if asked.html is not None:
        click.echo(f"\nThe page, with the frontier: {asked.html}")


def _unconditional(question: Question) -> float | None:
    """What the cheapest plan costs if nothing is struck out, refused, delayed or capped; none if the question has no such term."""
    free = question.but(without=frozenset(), refused=frozenset(), access_level_max=LEVELS - 1, delays={}, caps={},
                        keep_running=False, budget=None)  # fmt: skip
    if free == question:
        return None
    found = cheapest(free)
    return found.cost if found else None
