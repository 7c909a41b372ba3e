"""`inspectorate worlds guard-model`: explore the state machines of the guarantee processor, or walk them at random."""

from __future__ import annotations

from dataclasses import asdict

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from inspectorate.cli.options import is_terminal, json_option, print_json
from inspectorate.worlds.guard_model_explore import Explored, explore
from inspectorate.worlds.guard_model_mutants import MUTANTS, Mutant, kill
from inspectorate.worlds.guard_model_scenarios import SCENARIOS
from inspectorate.worlds.guard_model_walks import Walked, walk

TABLE_WIDTH = 160
VIOLATED = 20


@click.command("guard-model")
@click.option("--machine", "machines", type=click.Choice(list(SCENARIOS)), multiple=True,
              help="Which; update, licence and interlock if not given.")  # fmt: skip
@click.option("--sequences", type=click.IntRange(min=1), help="Walk so many random sequences instead of exploring.")
@click.option("--steps", type=click.IntRange(min=1, max=10_000), default=40, show_default=True, help="Of each walk.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of the walks.")
@click.option(
    "--depth", type=click.IntRange(min=1), default=1000, show_default=True, help="How far to explore at most."
)
@click.option("--worlds", "worlds_max", type=click.IntRange(min=1), default=1_000_000, show_default=True,
              help="How many worlds to explore at most.")  # fmt: skip
@click.option("--small", is_flag=True, help="Explore the smaller constants.")
@click.option("--mutants", "with_mutants", is_flag=True, help="Explore processors with a guard taken out.")
@json_option
def guard_model(
    machines: tuple[str, ...],
    sequences: int | None,
    steps: int,
    seed: int,
    depth: int,
    worlds_max: int,
    small: bool,
    with_mutants: bool,
    as_json: bool,
) -> None:
    """Explore the real transitions of the guarantee processor on a model of its disk, clock, chips and adversary."""
    chosen = machines or ("update", "licence", "interlock")
    if with_mutants:
        _mutants(worlds_max, as_json)
        return
    found: list[Explored | Walked] = []
    with _progress() as bar:
        for name in chosen:
            if sequences is not None:
                task = bar.add_task(name, total=sequences)

                def told(done: int, task: object = task) -> None:
                    bar.update(task, completed=done)  # type: ignore[arg-type]

                found.append(walk(name, sequences=sequences, steps=steps, seed=seed, progress=told))
                continue
            task = bar.add_task(name, total=None)

            def level(deep: int, worlds: int, new: int, task: object = task, name: str = name) -> None:
                bar.update(task, completed=worlds, description=f"{name}, depth {deep}")  # type: ignore[arg-type]

            scenario = SCENARIOS[name](small=small)
            found.append(explore(scenario, depth_max=depth, worlds_max=worlds_max, progress=level))
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        _show(found)
    if any(one.violated for one in found):
        raise click.exceptions.Exit(VIOLATED)


def _mutants(worlds_max: int, as_json: bool) -> None:
    with _progress() as bar:
        ran = [(one, kill(one, worlds_max=worlds_max)) for one in bar.track(MUTANTS, description="mutants")]
    killed = [bool(one.expected & set(found.violated)) for one, found in ran]
    if as_json:
        print_json([{"name": one.name, "gone": one.gone, "killed": dead, **asdict(found)}
                    for (one, found), dead in zip(ran, killed, strict=True)])  # fmt: skip
    else:
        _show_mutants(ran, killed)
    if not all(killed):
        raise click.exceptions.Exit(VIOLATED)


def _show_mutants(ran: list[tuple[Mutant, Explored]], killed: list[bool]) -> None:
    table = _table("guard taken out", "killed", "violated", "moves to it", "worlds")
    for (one, found), dead in zip(ran, killed, strict=True):
        table.add_row(
            one.gone, "yes" if dead else "NO", ", ".join(found.violated), str(len(found.trace)), f"{found.worlds:,}"
        )
    _console().print(table)
    click.echo(f"{sum(killed)} of {len(killed)} mutants killed")


def _show(found: list[Explored | Walked]) -> None:
    for one in found:
        if isinstance(one, Explored):
            end = "all there is" if one.exhausted else f"in full to depth {one.depth}"
            click.echo(
                f"{one.scenario}: {one.worlds:,} worlds, {one.moves:,} moves, {one.states:,} states of the processor, "
                f"{one.calls:,} calls of its transitions; {end}; {one.seconds:.0f} s; violated: {_named(one.violated)}"
            )
        else:
            click.echo(
                f"{one.machine}: {one.sequences:,} sequences, {one.steps:,} steps, {one.properties} properties, "
                f"{one.checks:,} checks, seed {one.seed}; {one.seconds:.0f} s; violated: {_named(one.violated)}"
            )
            click.echo("  " + ", ".join(f"{kind} {count:,}" for kind, count in one.kinds))
        for number, step in enumerate(one.trace, 1):
            click.echo(f"  {number}. {step}")


def _named(violated: tuple[str, ...]) -> str:
    return ", ".join(violated) or "none"


def _table(*columns: str) -> Table:
    table = Table(show_edge=False)
    for column in columns:
        table.add_column(column)
    return table


def _console() -> Console:
    return Console(width=None if is_terminal() else TABLE_WIDTH)


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True))
