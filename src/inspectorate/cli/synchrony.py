"""`inspectorate synchrony`: how much padding, jitter and time it takes to hide that two pods work in step."""

from __future__ import annotations

import itertools
from dataclasses import replace

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from inspectorate.cli.options import FiniteRange, is_terminal, json_option, print_json
from inspectorate.mechanisms.interconnect.synchrony.power import Padding, Plan, Power, power
from inspectorate.statistics import clopper_pearson_lower, clopper_pearson_upper

TABLE_WIDTH = 130
SHARES, MANY = 64, 32
"""Bounds on lists from the command line: a typing error must not start a day of work."""


@click.group()
def synchrony() -> None:
    """Lock-step between pods: what the test for it can find, and what defeats it."""


@synchrony.command("power")
@click.option("--padding", multiple=True, type=FiniteRange(0, 1000), default=(0.0, 0.5, 1.0, 2.0, 4.0, 8.0),
              show_default=True, help="Cover traffic as a multiple of the run's volume. May be repeated.")  # fmt: skip
@click.option("--jitter", multiple=True, type=FiniteRange(0, 1), default=(0.1,), show_default=True,
              help="How irregular the exchanges are, as a share of their period. May be repeated.")  # fmt: skip
@click.option("--kind", type=click.Choice([kind.value for kind in Padding]), default=Padding.BURSTS.value,
              show_default=True, help="Cover in bursts like the run's own, or filling up to a level rate.")  # fmt: skip
@click.option("--every-s", type=FiniteRange(1, 3600), default=60.0, show_default=True, help="Between exchanges.")
@click.option("--busy", type=FiniteRange(0.01, 1), default=0.25, show_default=True,
              help="Share of the time in which the run exchanges.")  # fmt: skip
@click.option("--rate", type=FiniteRange(0.01, 100), default=2.0, show_default=True,
              help="Rate of an exchange as a multiple of a pod's mean honest rate.")  # fmt: skip
@click.option("--delay-s", type=FiniteRange(0, 600), default=0.0, show_default=True,
              help="Each transfer is held back for up to this long by itself.")  # fmt: skip
@click.option("--interval-s", type=FiniteRange(0.5, 60), default=2.0, show_default=True,
              help="Averaging time of the clause.")  # fmt: skip
@click.option("--requests-per-s", type=FiniteRange(0.01, 50), default=1.0, show_default=True, help="Per pod.")
@click.option("--pods", type=click.IntRange(4, 64), default=6, show_default=True)
@click.option("--hours", multiple=True, type=FiniteRange(0.05, 48), default=(1 / 6, 1.0, 6.0),
              help="Time of observation; may be repeated.  [default: 10 min, 1 h, 6 h]")  # fmt: skip
@click.option("--trials", type=click.IntRange(1, 10_000), default=20, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option("--false-accusation-rate", type=FiniteRange(1e-9, 0.5, min_open=False), default=0.001,
              show_default=True, help="Of the clause, for the whole site.")  # fmt: skip
@json_option
def power_command(
    padding: tuple[float, ...],
    jitter: tuple[float, ...],
    kind: str,
    hours: tuple[float, ...],
    trials: int,
    seed: int,
    false_accusation_rate: float,
    as_json: bool,
    **site: float | int,
) -> None:
    """How often one pair that trains in step is found, against padding, jitter and time, on simulated honest load."""
    if len(padding) * len(jitter) > SHARES or len(hours) > MANY:
        raise click.UsageError(f"at most {SHARES} combinations of padding and jitter, and {MANY} times")
    base = Plan(**site, kind=Padding(kind))  # type: ignore[arg-type]  # options carry the names and types of the fields
    plans = [replace(base, padding=p, jitter=j) for j, p in itertools.product(jitter, padding)]
    times_s = [3600 * hour for hour in sorted(hours)]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        work = power(plans, times_s, trials=trials, seed=seed, false_accusation_rate=false_accusation_rate)
        found = list(bar.track(work, total=len(plans), description="plans"))
    if as_json:
        print_json({"times_s": times_s, "trials": trials, "rows": [_row(one) for one in found]})
        return
    _show(found, times_s)


def _row(one: Power) -> dict[str, object]:
    return {
        "padding": one.plan.padding,
        "kind": one.plan.kind.value,
        "jitter": one.plan.jitter,
        "found": list(one.found),
        "padding_bytes_per_day": one.padding_bytes_per_day,
    }


def _show(found: list[Power], times_s: list[float]) -> None:
    plan = found[0].plan
    table = Table(
        title=f"Found of {found[0].trials} (95 % interval): exchanges every {plan.every_s:g} s, cover as {plan.kind.value}",
        show_edge=False,
    )
    for name in ("jitter", "padding", *(_time(t) for t in times_s), "padding, MB a day and direction"):
        table.add_column(name, justify="right")
    for one in found:
        table.add_row(
            f"{100 * one.plan.jitter:g} %",
            f"{one.plan.padding:g} x",
            *(_rate(n, one.trials) for n in one.found),
            f"{one.padding_bytes_per_day / 1e6:,.0f}",
        )
    Console(width=None if is_terminal() else TABLE_WIDTH).print(table)


def _rate(count: int, of: int) -> str:
    low, high = (bound(count, of, 0.025) for bound in (clopper_pearson_lower, clopper_pearson_upper))
    return f"{count} ({100 * low:.0f}–{100 * high:.0f} %)"


def _time(seconds: float) -> str:
    return f"{seconds / 3600:g} h" if seconds >= 3600 else f"{seconds / 60:g} min"
