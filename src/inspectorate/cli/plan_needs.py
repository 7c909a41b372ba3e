"""`inspectorate plan needs`: what each method of training needs of a pod's link, each way, to run at full speed."""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Table

from inspectorate.cli.options import FiniteRange, json_option, print_json
from inspectorate.cli.plan_chips import DEFAULT_CHIP, chip_named, memory_of, reached_flop_per_s, utilisation_of
from inspectorate.cli.plan_units import PARAMETERS, SIZE, TOKENS
from inspectorate.errors import InputError
from inspectorate.mechanisms.interconnect.plan.forward import Need, needs
from inspectorate.mechanisms.interconnect.plan.types import PODS_MAX, Case, Pods, job_of
from inspectorate.report import plan_words as say

WIDTH = 124
BATCH_TOKENS_EACH = 131_072
"""Tokens a step of one pod, in the report's example."""


@click.command("needs")
@click.option("--pods", type=click.IntRange(2, PODS_MAX), default=128, show_default=True, help="Number of equal pods.")
@click.option("--chips", type=click.IntRange(1, 1_000_000), default=128, show_default=True, help="Chips of one pod.")
@click.option("--chip", metavar="MODEL", default=DEFAULT_CHIP, show_default=True,
              help="Model, as `inspectorate agreement chips` lists them.")  # fmt: skip
@click.option("--utilisation", type=FiniteRange(0, 1, min_open=True),
              help="Share of the peak that is reached (default: 0.404, which is 400 TFLOP/s of an H100).")  # fmt: skip
@click.option("--memory", type=SIZE, metavar="SIZE", help="Memory of one chip, where the catalogue has none.")
@click.option(
    "--parameters", type=PARAMETERS, metavar="N", default="405B", show_default=True, help="Size of the model."
)
@click.option("--tokens", type=TOKENS, metavar="N", default="15.6T", show_default=True, help="Tokens of the whole run.")
@click.option(
    "--case", "case_name", type=click.Choice([case.value for case in Case]), default="central", show_default=True
)
@json_option
def needs_command(
    pods: int,
    chips: int,
    chip: str,
    utilisation: float | None,
    memory: float | None,
    parameters: float,
    tokens: float,
    case_name: str,
    as_json: bool,
) -> None:
    """What each method needs of a pod's link to run at full speed: the forward question."""
    model = chip_named(chip)
    memory_bytes = chips * memory_of(model, memory)
    if memory_bytes <= 0:
        raise InputError("a pod needs memory", where="--memory")
    fleet = Pods(
        count=pods,
        flop_per_s=chips * reached_flop_per_s(model, utilisation_of(utilisation)),
        memory_bytes=memory_bytes,
    )
    job = job_of(parameters, tokens, batch_tokens=min(tokens, pods * BATCH_TOKENS_EACH))
    found = sorted(
        needs(fleet, job, Case(case_name)), key=lambda need: -max(need.sent_bytes_per_s, need.received_bytes_per_s)
    )
    if as_json:
        print_json([need.model_dump(mode="json") for need in found])
        return
    if not found:
        raise InputError("no method can hold this model on these pods", where="--parameters")
    click.echo(
        f"{pods} pods of {chips} {model.name}; {say.count(parameters)} parameters; {case_name} case. At full speed:"
    )
    Console(width=WIDTH, highlight=False).print(_table(found))


def _table(found: list[Need]) -> Table:
    table = Table(show_edge=False, box=None)
    for name in ("method", "sends", "receives", "update", "every", "layout"):
        table.add_column(name, justify="left" if name in ("method", "layout") else "right", no_wrap=True)
    for need in found:
        table.add_row(
            need.method,
            say.rate(need.sent_bytes_per_s),
            say.rate(need.received_bytes_per_s),
            say.prefixed(need.update_bytes, "B") if need.update_bytes else "-",
            say.days(need.every_s / 86_400, brief=True) if need.every_s else "-",
            say.layout(need.groups, need.parts, need.inner_steps),
        )
    return table
