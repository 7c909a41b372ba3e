"""`inspectorate plan joining`: how much each further pod under a verified limit adds to one run, as the account counts it."""

from __future__ import annotations

import click

from inspectorate.cli.options import FiniteRange, json_option, print_json
from inspectorate.cli.plan_chips import DEFAULT_CHIP, chip_named, memory_of, reached_flop_per_s
from inspectorate.cli.plan_units import FLOP, RATE, SIZE
from inspectorate.errors import InputError
from inspectorate.mechanisms.interconnect.plan.joining import Group, contributions
from inspectorate.mechanisms.interconnect.plan.types import PODS_MAX, Case
from inspectorate.report import plan_words as say
from inspectorate.report import words

SHOWN_MAX = 10
CREDITED = 0.6
"""Utilisation that the shipped agreements credit (a test compares them)."""


@click.command()
@click.option("--pods", type=click.IntRange(1, PODS_MAX), default=8, show_default=True, help="Number of equal pods.")
@click.option("--chips", type=click.IntRange(1, 1_000_000), default=128, show_default=True, help="Chips of one pod.")
@click.option("--chip", metavar="MODEL", default=DEFAULT_CHIP, show_default=True,
              help="Model, as `inspectorate agreement chips` lists them.")  # fmt: skip
@click.option("--utilisation", type=FiniteRange(0, 1, min_open=True), default=CREDITED, show_default=True,
              help="Share of the peak that is reached; by default what the shipped agreements credit.")  # fmt: skip
@click.option("--memory", type=SIZE, metavar="SIZE", help="Memory of one chip, where the catalogue has none.")
@click.option("--limit", type=RATE, metavar="RATE", default="125kB/s", show_default=True,
              help="Verified limit of one pod, each way.")  # fmt: skip
@click.option("--run", "run_flop", type=FLOP, metavar="FLOP", default="1e24", show_default=True,
              help="Size of the run that the pods would join for.")  # fmt: skip
@json_option
def joining(
    pods: int,
    chips: int,
    chip: str,
    utilisation: float,
    memory: float | None,
    limit: float,
    run_flop: float,
    as_json: bool,
) -> None:
    """How much each further pod adds to one run under a verified limit, as shares of its own throughput."""
    model = chip_named(chip)
    memory_bytes = chips * memory_of(model, memory)
    if memory_bytes <= 0:
        raise InputError("a pod needs memory", where="--memory")
    found: list[tuple[str, str, tuple[float, ...]]] = []
    for case in Case:
        group = Group(
            pods=pods,
            bytes_per_s=limit,
            pod_flop_per_s=chips * reached_flop_per_s(model, utilisation),
            memory_bytes=memory_bytes,
            run_flops=(run_flop,),
            case=case,
        )
        for kind, after in (("pre-training", False), ("post-training", True)):
            shares = contributions(group, post_training=after)[:pods]
            found.append((case.value, kind, shares))
    if as_json:
        print_json(
            [
                {"case": case, "kind": kind, "contributions": list(shares), "pods_worth": sum(shares)}
                for case, kind, shares in found
            ]
        )
        return
    click.echo(
        f"{words.plural(pods, 'pod')} of {chips:,} {model.name} under {say.both_ways(limit, limit)}, "
        f"a run of {say.short(run_flop)} FLOP:"
    )
    for name, kind, shares in found:
        shown = ", ".join(f"{100 * share:.3g}" for share in shares[:SHOWN_MAX])
        more = f" and {len(shares) - SHOWN_MAX} more" if len(shares) > SHOWN_MAX else ""
        click.echo(f"  {name:<9}  {kind:<13}  {shown}{more} %; together worth {sum(shares):.3g} pods")
