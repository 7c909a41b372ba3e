"""`inspectorate workloads attack`: every disguise of training against the detector, and what escaping costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from inspectorate.cli.options import FiniteRange, is_terminal, json_option, print_json
from inspectorate.worlds.disguises import DISGUISES, SEEN_BY
from inspectorate.worlds.disguises_attack import (
    SLOWDOWN_TARGET,
    STRENGTHS,
    Case,
    Escape,
    Honest,
    Row,
    honest,
    tabulate,
    trials,
)
from inspectorate.worlds.disguises_curve import EXPONENT
from inspectorate.worlds.disguises_recorded import MACHINES, Tell, Terms, recorded_cases
from inspectorate.worlds.disguises_world import POINTS, world_cases

TABLE_WIDTH = 200
"""Where the output goes to a file, the table is as wide as it needs."""


@dataclass(frozen=True, kw_only=True)
class _Part:
    """The rows of one kind of machine."""

    machines: str
    note: str
    threshold_hours: float
    extrapolated: bool
    honest: Honest
    rows: tuple[Row, ...]


@click.command()
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Folder with the MLPerf power extract: runs.parquet and samples.parquet.")  # fmt: skip
@click.option(
    "--machines", type=click.Choice(list(MACHINES)), multiple=True, help="Which recordings; all if not given."
)
@click.option(
    "--world", type=click.IntRange(min=0), help="Seed of simulated machines, instead of recordings or beside them."
)
@click.option("--rate", type=FiniteRange(min=0, min_open=True), default=1 / 24, show_default="1/24",
              help="Agreed false alarms per device-hour.")  # fmt: skip
@click.option("--observed", "observed_s", type=FiniteRange(min=120, max=86_400), default=600.0, show_default=True,
              help="Seconds that the verifier observes.")  # fmt: skip
@click.option("--runs", type=click.IntRange(min=1, max=1000), default=5, show_default=True,
              help="Training runs of each hidden workload.")  # fmt: skip
@click.option("--exponent", type=FiniteRange(min=1, max=4), default=EXPONENT, show_default=True,
              help="Dynamic power goes with this power of the clock.")  # fmt: skip
@click.option(
    "--only", type=click.Choice(list(DISGUISES)), multiple=True, help="These disguises, beside the undisguised."
)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@json_option
def attack(
    data: Path | None,
    machines: tuple[str, ...],
    world: int | None,
    rate: float,
    observed_s: float,
    runs: int,
    exponent: float,
    only: tuple[str, ...],
    seed: int,
    as_json: bool,
) -> None:
    """Disguise training as enrolled workloads, and print what is found of each disguise and what it costs."""
    if data is None and world is None:
        raise click.UsageError("say what to attack: --data DIR, --world SEED, or both")
    terms = Terms(rate=rate, observed_s=observed_s, runs_max=runs, exponent=exponent)
    chosen = [name for name in DISGUISES if not only or name in only or name == "plain"]
    parts = []
    with _progress() as bar:
        if data is not None:
            for name in machines or tuple(MACHINES):
                cases = recorded_cases(data, MACHINES[name], terms, _tell(bar))
                parts.append(_part(name, MACHINES[name].note, cases, chosen, seed, bar))
        if world is not None:
            for point in POINTS:
                cases = world_cases(world, point, terms, _tell(bar))
                note = f"simulated machines of seed {world}: training shown as serving at the meter of a {point.value}"
                parts.append(_part(f"world-{point.value}", note, cases, chosen, seed, bar))
    if as_json:
        print_json(_as_json(parts, terms))
        return
    _show(parts)
    for line in _notes(parts, terms):
        click.echo(line)


def _part(name: str, note: str, cases: tuple[Case, ...], chosen: Sequence[str], seed: int, bar: Progress) -> _Part:
    disguises = [DISGUISES[one] for one in chosen]
    strengths = sum(1 if one.name == "plain" else len({*STRENGTHS, one.standard}) for one in disguises)
    found = bar.track(trials(cases, disguises, seed=seed), total=strengths * len(cases), description=name)
    threshold = getattr(cases[0].detector, "threshold", None)
    return _Part(
        machines=name,
        note=note,
        threshold_hours=threshold.hours if threshold else 0.0,
        extrapolated=bool(threshold and threshold.extrapolated),
        honest=honest(cases),
        rows=tabulate(found, DISGUISES),
    )


def _tell(bar: Progress) -> Tell:
    return lambda line: bar.console.print(line, highlight=False, soft_wrap=True)


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))


def _show(parts: Sequence[_Part]) -> None:
    table = Table(show_edge=False)
    words = ("machines", "disguise", "seen by")
    for column in ("machines", "disguise", "strength", "found", "95 %", "alarm after", "kept", "slower", "energy", "price",
                   "< 50 % at", "< 10 % at", "seen by"):  # fmt: skip
        table.add_column(column, justify="left" if column in words else "right", no_wrap=column != "seen by")
    for part in parts:
        low, high = part.honest.alarm_rate
        table.add_row(part.machines, "(honest)", "", f"{part.honest.alarms}/{part.honest.cases}",
                      f"{100 * low:.0f}–{100 * high:.0f}")  # fmt: skip
        for row in part.rows:
            low, high = row.found_rate
            table.add_row(
                part.machines,
                row.disguise,
                "" if row.disguise == "plain" else f"{row.strength:g}",
                f"{row.found}/{row.cases}",
                f"{100 * low:.0f}–{100 * high:.0f}",
                "" if row.alarm_after_s is None else f"{row.alarm_after_s:.0f} s",
                f"{100 * row.throughput_kept:.1f} %",
                f"{row.slowdown:.1f}x",
                f"{100 * row.extra_energy_share:+.0f} %",
                "" if row.price is None else f"{row.price:.2f}",
                _escape(row.below_half),
                _escape(row.below_tenth),
                ", ".join(row.seen_by),
            )
    Console(width=None if is_terminal() else TABLE_WIDTH).print(table)


def _escape(escape: Escape | None) -> str:
    return "never" if escape is None else f"{escape.strength:g}: {escape.slowdown:.1f}x"


def _notes(parts: Sequence[_Part], terms: Terms) -> list[str]:
    lines = [""]
    lines.append(
        f"found: alarms within {terms.observed_s:g} s at {terms.rate:.3g} false alarms per device-hour; cases that share a run "
        "are not independent, so the intervals are too narrow where there are few runs."
    )
    lines.append(
        "kept, slower: training throughput against undisguised training. energy: beyond what the same training costs "
        "undisguised. price: throughput given up per unit of detection escaped."
    )
    lines.append(
        "< 50 % at, < 10 % at: the cheapest strength at which less is found, and how much slower training then is; a "
        f"mechanism should cost a cheater {SLOWDOWN_TARGET:g}x."
    )
    lines.append("seen by: " + "; ".join(f"{word}: {meaning}" for word, meaning in SEEN_BY.items()) + ".")
    for part in parts:
        rest = "extrapolated" if part.extrapolated else "counted"
        lines.append(
            f"{part.machines}: {part.note}; {part.rows[0].runs} training runs; threshold {rest} from "
            f"{part.threshold_hours:.1f} device-hours."
        )
    return lines


def _as_json(parts: Sequence[_Part], terms: Terms) -> dict[str, object]:
    return {
        "terms": asdict(terms),
        "slowdown_target": SLOWDOWN_TARGET,
        "parts": [
            {
                "machines": part.machines,
                "note": part.note,
                "threshold_hours": part.threshold_hours,
                "threshold_extrapolated": part.extrapolated,
                "honest": asdict(part.honest),
                "rows": [
                    {
                        **asdict(row),
                        "slowdown": row.slowdown,
                        "meets_target": row.meets_target,
                        "by_strength": {f"{strength:g}": share for strength, share in row.by_strength.items()},
                    }
                    for row in part.rows
                ],
            }
            for part in parts
        ],
    }
