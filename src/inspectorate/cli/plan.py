"""`inspectorate plan`: what a limit on the links between pods leaves to an adversary, and which limit leaves so little.

A plan is an answer within a model and no verdict: every command exits 0 on an answer and 2 on wrong use.
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import click
from pydantic import ValidationError
from rich.console import Console

from inspectorate import __version__
from inspectorate.canonical import first_fault
from inspectorate.cli import plan_text
from inspectorate.cli.options import NEW_PATH, FiniteRange, json_option, print_json, write_text
from inspectorate.cli.plan_chips import DEFAULT_CHIP, chip_named, memory_of, reached_flop_per_s, utilisation_of
from inspectorate.cli.plan_inspections import inspections
from inspectorate.cli.plan_joining import joining
from inspectorate.cli.plan_needs import needs_command
from inspectorate.cli.plan_portfolio import portfolio
from inspectorate.cli.plan_sampling import sampling
from inspectorate.cli.plan_strength import strength
from inspectorate.cli.plan_supply import supply
from inspectorate.cli.plan_units import PARAMETERS, RATE, SECONDS, SIZE, TOKENS, target
from inspectorate.declaration import ChipModel
from inspectorate.errors import InputError
from inspectorate.mechanisms.interconnect.plan import simulator
from inspectorate.mechanisms.interconnect.plan.curves import DEFAULT_TARGETS, Plan, Question
from inspectorate.mechanisms.interconnect.plan.curves import plan as answer
from inspectorate.mechanisms.interconnect.plan.exhibits import exhibits_of, published_exhibits
from inspectorate.mechanisms.interconnect.plan.inverse import Target
from inspectorate.mechanisms.interconnect.plan.methods import catalogue
from inspectorate.mechanisms.interconnect.plan.types import PODS_MAX, Case, LinkLimit, Pods, job_of
from inspectorate.report.plan_facts import PlanFacts
from inspectorate.report.plan_page import render_plan

CHIPS_MAX = 1_000_000
LIMIT_BYTES_PER_S = 125e3
BATCH_TOKENS_EACH = 131_072
"""Tokens a step of one pod, in the report's example."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The options of `plan interconnect` that make the question."""

    pods: int
    chips: int
    chip: str
    utilisation: float | None
    memory: float | None
    parameters: float
    tokens: float
    batch_tokens: float | None
    limit: float | None
    up: float | None
    down: float | None
    round_trip: float
    duty: float
    window_bytes: float
    window_every: float
    serves: float | None
    targets: tuple[Target, ...]


@click.group("plan")
def plan() -> None:
    """Plan limits: what an adversary still reaches under one, and which limit achieves a target."""


plan.add_command(inspections)
plan.add_command(joining)
plan.add_command(needs_command)
plan.add_command(sampling)
plan.add_command(portfolio)
plan.add_command(strength)
plan.add_command(supply)


@plan.command()
@click.option("--pods", type=click.IntRange(1, PODS_MAX), default=128, show_default=True, help="Number of equal pods.")
@click.option("--chips", type=click.IntRange(1, CHIPS_MAX), default=128, show_default=True, help="Chips of one pod.")
@click.option("--chip", metavar="MODEL", default=DEFAULT_CHIP, show_default=True,
              help="Model, as `inspectorate agreement chips` lists them.")  # fmt: skip
@click.option("--utilisation", type=FiniteRange(0, 1, min_open=True),
              help="Share of the peak that is reached (default: 0.404, which is 400 TFLOP/s of an H100).")  # fmt: skip
@click.option(
    "--memory", type=SIZE, metavar="SIZE", help="Memory of one chip, where the catalogue has none or another one."
)
@click.option(
    "--parameters", type=PARAMETERS, metavar="N", default="405B", show_default=True, help="Size of the model to train."
)
@click.option("--tokens", type=TOKENS, metavar="N", default="15.6T", show_default=True, help="Tokens of the whole run.")
@click.option("--batch-tokens", type=TOKENS, metavar="N",
              help="Tokens a step over all pods, if well connected (default: 131,072 for each pod).")  # fmt: skip
@click.option("--limit", type=RATE, metavar="RATE", help="Limit of one pod, each way (default: 125kB/s).")
@click.option("--up", type=RATE, metavar="RATE", help="Limit on what a pod sends; needs --down.")
@click.option("--down", type=RATE, metavar="RATE", help="Limit on what a pod receives; needs --up.")
@click.option(
    "--round-trip", type=SECONDS, metavar="TIME", default="100ms", show_default=True, help="Round trip between pods."
)
@click.option("--duty", type=FiniteRange(0, 1, min_open=True), default=1.0, show_default=True,
              help="Share of the time that the link may be used.")  # fmt: skip
@click.option(
    "--window-bytes",
    type=SIZE,
    metavar="SIZE",
    default="0B",
    show_default=True,
    help="What a loading window lets through.",
)
@click.option(
    "--window-every",
    type=SECONDS,
    metavar="TIME",
    default="48h",
    show_default=True,
    help="From one window to the next.",
)
@click.option(
    "--serves",
    type=PARAMETERS,
    metavar="N",
    help="Size of the model that the pods say they serve (default: --parameters).",
)
@click.option("--target", "targets", type=target, multiple=True, metavar="TARGET",
              help="What the limit is to achieve, instead of the usual seven: 100x, or [KIND:]FLOP[/PERIOD] such as "
              "1e24/1y or post-training:1e23/90d. KIND is joint, pre-training or post-training.")  # fmt: skip
@click.option("--case", "cases", type=click.Choice([case.value for case in Case]), multiple=True,
              help="Print this case only; the page and JSON hold all.")  # fmt: skip
@click.option("--methods", "show_methods", is_flag=True, help="Print the catalogue of methods, and no plan.")
@click.option("--html", "html_path", type=NEW_PATH, help="Write the answer as a self-contained page here.")
@json_option
def interconnect(
    *,
    pods: int,
    chips: int,
    chip: str,
    utilisation: float | None,
    memory: float | None,
    parameters: float,
    tokens: float,
    batch_tokens: float | None,
    limit: float | None,
    up: float | None,
    down: float | None,
    round_trip: float,
    duty: float,
    window_bytes: float,
    window_every: float,
    serves: float | None,
    targets: tuple[Target, ...],
    cases: tuple[str, ...],
    show_methods: bool,
    html_path: Path | None,
    as_json: bool,
) -> None:
    """What is left for training under a limit on the links between pods, and the largest limit for each target.

    Without options it answers for the example of arXiv 2506.15867: 128 pods of 128 H100, Llama 3.1 405B, 125 kB/s.
    Numbers take the units that people write: 125kB/s, 1Mbit/s, 405B, 15.6T, 48h.
    """
    if show_methods:
        _methods(as_json)
        return
    asked = Asked(
        pods=pods, chips=chips, chip=chip, utilisation=utilisation, memory=memory, parameters=parameters, tokens=tokens,
        batch_tokens=batch_tokens, limit=limit, up=up, down=down, round_trip=round_trip, duty=duty,
        window_bytes=window_bytes, window_every=window_every, serves=serves, targets=targets,
    )  # fmt: skip
    model = chip_named(chip)
    question = question_of(asked, model)
    with Console(stderr=True).status("searching all layouts of all methods …"):
        found = answer(question)
    facts = facts_of(found, model, asked)
    if html_path is not None:
        write_text(html_path, render_plan(facts, exhibits_of(found)))
    if as_json:
        click.echo(found.model_dump_json(indent=2))
        return
    chosen = tuple(Case(case) for case in cases) or tuple(Case)
    for line in plan_text.plan_lines(found, facts, chosen):
        click.echo(line)
    if html_path is not None:
        click.echo(f"\nThe page, with the curves: {html_path}")


@plan.command()
@json_option
def example(as_json: bool) -> None:
    """The interconnect example of arXiv 2506.15867 (A3), recomputed beside what it prints."""
    _print_exhibits(("example",), as_json)


@plan.command()
@json_option
def published(as_json: bool) -> None:
    """Published runs over slow links and the simulator's table, recomputed, each with its error; what caps permit."""
    _print_exhibits(("published", "simulator", "permitted"), as_json)


def _print_exhibits(names: tuple[str, ...], as_json: bool) -> None:
    tables = {exhibit.id: exhibit for exhibit in published_exhibits()}
    if as_json:
        rows = {
            name: [dict(zip(tables[name].columns, row, strict=True)) for row in tables[name].rows] for name in names
        }
        print_json(dict(rows) | ({"simulator_version": simulator.VERSION} if "simulator" in names else {}))
        return
    for line in plan_text.printed_lines([tables[name] for name in names], simulator.VERSION):
        click.echo(line)


def _methods(as_json: bool) -> None:
    methods = tuple(catalogue().values())
    if as_json:
        print_json([method.model_dump(mode="json") for method in methods])
        return
    for line in plan_text.method_lines(methods):
        click.echo(line)


def _limit(asked: Asked) -> LinkLimit:
    if (asked.up is None) != (asked.down is None):
        raise InputError("give both or neither", where="--up, --down", remedy="use --limit for the same each way")
    if asked.limit is not None and asked.up is not None:
        raise InputError("give either --limit, or --up and --down", where="--limit")
    same = LIMIT_BYTES_PER_S if asked.limit is None else asked.limit
    return LinkLimit(
        sent_bytes_per_s=same if asked.up is None else asked.up,
        received_bytes_per_s=same if asked.down is None else asked.down,
        round_trip_s=asked.round_trip,
        duty=asked.duty,
        window_bytes=asked.window_bytes,
        window_every_s=asked.window_every,
    )


def question_of(asked: Asked, model: ChipModel) -> Question:
    """The question that the options ask. Raises `InputError`."""
    memory = memory_of(model, asked.memory)
    batch = asked.batch_tokens
    if batch is None:
        batch = min(float(BATCH_TOKENS_EACH * asked.pods), asked.tokens)
    if batch > asked.tokens:
        raise InputError("one step takes more tokens than the run has", where="--batch-tokens")
    try:
        return Question(
            pods=Pods(
                count=asked.pods,
                flop_per_s=asked.chips * reached_flop_per_s(model, asked.utilisation),
                memory_bytes=asked.chips * memory,
            ),
            chips=asked.chips,
            job=job_of(asked.parameters, asked.tokens, batch_tokens=batch),
            limit=_limit(asked),
            served_parameters=asked.serves or asked.parameters,
            targets=asked.targets or DEFAULT_TARGETS,
        )
    except ValidationError as fault:
        raise InputError(first_fault(fault), where="plan interconnect") from None


def facts_of(found: Plan, model: ChipModel, asked: Asked) -> PlanFacts:
    """The question in plain numbers, for the text and the page."""
    question = found.question
    each = question.pods.flop_per_s / question.chips
    return PlanFacts(
        chip=model.name,
        pods=question.pods.count,
        chips=question.chips,
        flop_per_s_each=each,
        utilisation=utilisation_of(asked.utilisation),
        memory_bytes_each=question.pods.memory_bytes / question.chips,
        parameters=question.job.parameters,
        tokens=question.job.tokens,
        batch_tokens=question.job.batch_tokens,
        sent_bytes_per_s=question.limit.sent_bytes_per_s,
        received_bytes_per_s=question.limit.received_bytes_per_s,
        round_trip_s=question.limit.round_trip_s,
        duty=question.limit.duty,
        window_bytes=question.limit.window_bytes,
        window_every_s=question.limit.window_every_s,
        served_parameters=question.served_parameters,
        claimable_bytes_per_s=found.serving_claimable_bytes_per_s,
        alone_slowdown=found.alone_slowdown,
        command=_command(),
        program=f"inspectorate {__version__}",
        simulator=simulator.VERSION,
    )


def _command() -> str:
    """The command as it was given, without where its page went."""
    given, kept = sys.argv[1:], []
    while given:
        word = given.pop(0)
        if word == "--html":
            given = given[1:]
        elif not word.startswith("--html="):
            kept.append(word)
    return shlex.join(["inspectorate", *kept])[:4_000]
