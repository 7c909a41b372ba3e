"""`inspectorate worlds interviews`: answer sheets of simulated groups, honest or not."""

from __future__ import annotations

from pathlib import Path

import click

from inspectorate.cli.options import NEW_PATH, FiniteRange, write_text
from inspectorate.worlds.interviews import Plan, Preparation, group
from inspectorate.worlds.interviews_site import CoverUp


@click.command()
@click.argument("out", type=NEW_PATH)
@click.option(
    "--groups", type=click.IntRange(1, 100_000), default=1, show_default=True, help="How many: one sheet on each line."
)
@click.option("--people", type=click.IntRange(2, 200), default=10, show_default=True)
@click.option(
    "--matters", type=click.IntRange(20, 200), default=20, show_default=True, help="Topics that are asked about."
)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option("--noise", type=FiniteRange(0, 10, min_open=True), default=1.0, show_default=True,
              help="Errors of memory, of those of the reference model.")  # fmt: skip
@click.option(
    "--cover-up", type=click.Choice([one.name.lower().replace("_", "-") for one in CoverUp]), help="Honest without it."
)
@click.option("--conspirators", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--preparation", type=click.Choice([one.name.lower().replace("_", "-") for one in Preparation]), default="agreed",
              show_default=True)  # fmt: skip
@click.option("--machines", is_flag=True, help="With machine evidence of some matters.")
def interviews(
    out: Path, groups: int, people: int, matters: int, seed: int, noise: float, cover_up: str | None, conspirators: int,
    preparation: str, machines: bool,
) -> None:  # fmt: skip
    """Write answer sheets of simulated groups to OUT: for calibration, practice and tests. Every sheet is marked as simulated."""
    lines = []
    for number in range(groups):
        plan = Plan(
            people=people, seed=seed + number, matters=matters, noise=noise, conspirators=conspirators, machines=machines,
            cover_up=CoverUp[cover_up.upper().replace("-", "_")] if cover_up else None,
            preparation=Preparation[preparation.upper().replace("-", "_")],
        )  # fmt: skip
        lines.append(group(plan).canonical_bytes())
    write_text(out, b"\n".join(lines) + b"\n")
    click.echo(f"{groups} simulated groups of {people} people in {out}")
