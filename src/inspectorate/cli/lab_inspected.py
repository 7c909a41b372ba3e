"""`inspectorate lab inspected`: record an inspected site on this machine, honest or not."""

from __future__ import annotations

from pathlib import Path

import click

from inspectorate.cli.options import NEW_PATH, FiniteRange, json_option, print_json
from inspectorate.errors import InputError
from inspectorate.lab.inspected_bench import WorkPlan
from inspectorate.lab.inspected_record import record


@click.command()
@click.option("--out", "out_path", type=NEW_PATH, required=True, help="New folder for the site.")
@click.option("--seconds", type=FiniteRange(4.0, 3600.0), default=60.0, show_default=True, help="Of work.")
@click.option(
    "--stretch", "stretch_s", type=FiniteRange(2.0, 3600.0), default=20.0, show_default=True,
    help="Seconds from one commitment to the next.",
)  # fmt: skip
@click.option("--attacked", is_flag=True, help="Both pods cheat, from a third of the time on.")
@click.option("--seed", type=click.IntRange(0, 1_000_000), default=1, show_default=True, help="Of the requests.")
@json_option
def inspected(out_path: Path, seconds: float, stretch_s: float, attacked: bool, seed: int, as_json: bool) -> None:
    """Record two pods under inspection: one serves a declared model, one trains a declared one. Needs torch, and no root.

    Inspectors read the server's code; they promise, draw and run again what both pods committed to; and the site is reviewed. With
    --attacked the server answers part of the requests with weights in four bits, and the training leaves out steps that it claims.
    """
    if out_path.exists():
        raise InputError("exists already", where=str(out_path), remedy="name a new folder")
    plan = WorkPlan(seconds=seconds, stretch_s=stretch_s, answer_within_s=120.0, attacked=attacked, seed=seed)
    found = record(out_path, plan, tell=(lambda _: None) if as_json else click.echo)
    if as_json:
        print_json(
            {
                "outcomes": found.outcomes,
                "truth": found.told,
                "verdicts": {clause: verdict.value for clause, verdict in found.verdicts.items()},
                "largest_hidden_run_flop": found.largest_hidden_run,
                "capacity_flop": found.capacity,
            }
        )
        return
    for run, outcomes in found.outcomes.items():
        told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        click.echo(f"{run}: of the packets that were drawn, {told}")
    for clause, verdict in found.verdicts.items():
        click.echo(f"review: {clause} is {verdict.value}")
    click.echo(
        f"largest hidden run: {found.largest_hidden_run:.3g} FLOP, of {found.capacity:.3g} that the chips could do"
    )
    click.echo(f"wrote {out_path}")
