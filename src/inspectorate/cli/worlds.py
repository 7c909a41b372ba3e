"""`inspectorate worlds`: simulated sites, and the error rates of a review over many of them."""

from __future__ import annotations

import itertools
from dataclasses import asdict
from pathlib import Path

import click
import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from inspectorate.cli.options import NEW_PATH, is_terminal, json_option, print_json, write_text
from inspectorate.cli.worlds_guard import guard_model
from inspectorate.cli.worlds_interviews import interviews
from inspectorate.evidence import Bundle, write_bundle
from inspectorate.review import Review, review
from inspectorate.worlds import CATALOGUE, World, WorldKind, build_world, names_of
from inspectorate.worlds.custody_catalogue import KEPT
from inspectorate.worlds.guard_catalogue import GUARDED
from inspectorate.worlds.heard_catalogue import HEARD
from inspectorate.worlds.inspection_catalogue import INSPECTED
from inspectorate.worlds.rates import Outcome, Row, Task, pool, run, spread, tabulate, within_allowance

TABLE_WIDTH = 160
"""Where the output goes to a file, tables are as wide as they need."""
_MARK = "# Simulated: written by `inspectorate worlds make`. Its keys can be computed by anybody; trust nothing signed with them.\n"


def review_world(world: World) -> Review:
    """The review of a world, from the bytes of its bundle as of any other."""
    bundle = Bundle.check(world.files, anchors=world.anchors)
    return review(bundle, agreement=world.agreement, anchors=world.anchors, as_of=world.as_of)


@click.group()
def worlds() -> None:
    """Simulated sites with known truth: honest, cheating in named ways, with broken sensors."""


worlds.add_command(guard_model)
worlds.add_command(interviews)


@worlds.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """List every kind of world: of traffic, behind guarantee processors, under inspection, with human sources, with custody."""
    every = (*CATALOGUE.values(), *GUARDED.values(), *INSPECTED.values(), *HEARD.values(), *KEPT.values())
    if as_json:
        print_json([{"name": s.name, "kind": s.kind.value, "description": s.description} for s in every])
        return
    table = Table(show_edge=False)
    for column in ("name", "kind", "description"):
        table.add_column(column)
    for spec in every:
        table.add_row(spec.name, spec.kind.value, spec.description)
    Console(width=None if is_terminal() else TABLE_WIDTH).print(table)


@worlds.command()
@click.argument("name")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option("--out", type=NEW_PATH, required=True, help="New folder for bundle, agreement, anchors and truth.")
@json_option
def make(name: str, seed: int, out: Path, as_json: bool) -> None:
    """Write the world NAME: site.tar, agreement.yaml, anchors.yaml, and the truth in truth.json."""
    world = build_world(name, seed)
    write_text(out / "anchors.yaml", _MARK + _yaml(world.anchors.model_dump(mode="json", exclude_none=True)))
    write_text(out / "agreement.yaml", _MARK + _yaml(world.agreement.model_dump(mode="json", exclude_none=True)))
    write_text(out / "truth.json", world.truth_json())
    write_bundle(world.contents, out / "site.tar")
    size = sum(map(len, world.contents.values()))
    if as_json:
        print_json({"out": str(out), "files": len(world.contents), "bytes": size, "guilty": list(world.truth.guilty)})
        return
    click.echo(
        f"{out}: site.tar ({len(world.contents)} files, {size:,} bytes), agreement.yaml, anchors.yaml, truth.json"
    )
    click.echo(
        f"inspectorate review {out}/site.tar --agreement {out}/agreement.yaml --anchors {out}/anchors.yaml "
        f"--as-of {world.as_of:%Y-%m-%dT%H:%M:%SZ}"
    )


@worlds.command()
@click.option("--honest", type=click.IntRange(min=0), default=1000, show_default=True, help="Honest worlds in all.")
@click.option("--cheats", type=click.IntRange(min=0), default=100, show_default=True, help="Worlds of each cheat.")
@click.option("--broken", type=click.IntRange(min=0), default=20, show_default=True, help="Worlds of each fault.")
@click.option("--guarded", type=click.IntRange(min=0), default=0, show_default=True,
              help="Worlds of each kind behind guarantee processors.")  # fmt: skip
@click.option("--inspected", type=click.IntRange(min=0), default=0, show_default=True,
              help="Worlds of each kind under inspection.")  # fmt: skip
@click.option("--heard", type=click.IntRange(min=0), default=0, show_default=True,
              help="Worlds of each kind with human sources.")  # fmt: skip
@click.option("--kept", type=click.IntRange(min=0), default=0, show_default=True,
              help="Worlds of each kind with custody of chips.")  # fmt: skip
@click.option("--timed", type=click.IntRange(min=0), default=5, show_default=True,
              help="Worlds of each cheat for which the time to the alarm is found.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True)
@json_option
def rates(
    honest: int,
    cheats: int,
    broken: int,
    guarded: int,
    inspected: int,
    heard: int,
    kept: int,
    timed: int,
    jobs: int,
    as_json: bool,
) -> None:
    """Review many worlds and print false alarms, detections and what was noticed, with 95 % intervals."""
    tasks = spread(names_of(WorldKind.HONEST), honest)
    tasks += list(itertools.product(names_of(WorldKind.CHEATING), range(cheats)))
    tasks += list(itertools.product(names_of(WorldKind.BROKEN), range(broken)))
    tasks += list(itertools.product(GUARDED, range(guarded)))
    tasks += list(itertools.product(INSPECTED, range(inspected)))
    tasks += list(itertools.product(HEARD, range(heard)))
    tasks += list(itertools.product(KEPT, range(kept)))
    if not tasks:
        raise click.UsageError("there is nothing to measure: all counts are 0")
    outcomes = _with_progress(tasks, timed, jobs)
    kinds = {**CATALOGUE, **GUARDED, **INSPECTED, **HEARD, **KEPT}
    of_honest = [outcome for outcome in outcomes if kinds[outcome.world].kind is WorldKind.HONEST]
    rows = list(tabulate(outcomes))
    allowed = build_world(*tasks[0]).agreement.false_accusation_rate
    pooled = pool(of_honest, "all honest") if of_honest else None
    within = within_allowance(pooled, allowed) if pooled else None
    if as_json:
        shown = [asdict(row) for row in ([pooled] if pooled else []) + rows]
        print_json({"rows": shown, "false_accusation_rate": allowed, "within_allowance": within})
        return
    _show(([pooled] if pooled else []) + rows)
    if pooled is not None:
        word = "within" if within else "MORE THAN"
        click.echo(
            f"{pooled.alarms} false alarms in {pooled.worlds} honest worlds: {word} the agreed rate of {allowed:g}"
        )


def _with_progress(tasks: list[Task], timed: int, jobs: int) -> list[Outcome]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        return list(bar.track(run(tasks, review_world, timed=timed, jobs=jobs), total=len(tasks), description="worlds"))


def _show(rows: list[Row]) -> None:
    table = Table(show_edge=False)
    for column in (
        "world",
        "kind",
        "n",
        "alarms",
        "rate, 95 %",
        "named right",
        "named wrong",
        "blind",
        "noticed",
        "alarm after",
    ):
        table.add_column(column, justify="left" if column in ("world", "kind") else "right")
    for row in rows:
        low, high = row.alarm_rate
        table.add_row(
            row.label,
            row.kind.value,
            str(row.worlds),
            str(row.alarms),
            f"{100 * low:.2f}–{100 * high:.2f} %",
            str(row.named_right),
            str(row.named_innocent),
            str(row.unobserved),
            str(row.noticed) if row.kind is WorldKind.BROKEN else "",
            "" if row.alarm_after_s is None else f"{row.alarm_after_s:.0f} s",
        )
    Console(width=None if is_terminal() else TABLE_WIDTH).print(table)


def _yaml(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
