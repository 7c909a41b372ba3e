"""`inspectorate agreement`: show an agreement as it stands, check one, list chips."""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Column, Table

from inspectorate.agreement import Agreement, load_agreement, shipped_agreements
from inspectorate.cli.options import json_option, parse_time, print_json
from inspectorate.declaration import chip_catalogue
from inspectorate.errors import InputError


@click.group()
def agreement() -> None:
    """Read agreements."""


@agreement.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the agreements that are shipped."""
    found = [load_agreement(name) for name in shipped_agreements()]
    if as_json:
        print_json([{"id": a.id, "version": a.version, "title": a.title} for a in found])
        return
    for item in found:
        click.echo(f"{item.id:<20} {item.title}")


@agreement.command()
@click.argument("name")
@click.option("--as-of", help="Show the terms that held at this time (default: now).")
@click.option("--with-proposed", is_flag=True, help="Count proposed amendments as adopted.")
@json_option
def show(name: str, as_of: str | None, with_proposed: bool, as_json: bool) -> None:
    """Show the terms of NAME (a YAML file or a shipped agreement) that hold."""
    time = parse_time(as_of)
    try:
        terms = load_agreement(name).on(time, with_proposed=with_proposed)
    except ValueError as fault:
        raise InputError(str(fault), remedy="choose another date") from None
    if as_json:
        print_json(terms.model_dump(mode="json", exclude_none=True))
    else:
        _print_terms(terms, f"as of {time:%Y-%m-%d}")


@agreement.command()
@click.argument("name")
@json_option
def check(name: str, as_json: bool) -> None:
    """Check that NAME can be read, and say what it contains."""
    found = load_agreement(name)
    summary = {
        "id": found.id,
        "version": found.version,
        "thresholds": len(found.thresholds),
        "clauses": len(found.clauses),
        "clocks": len(found.clocks),
        "proposed": sum(term.proposed for term in (*found.thresholds, *found.clauses, *found.clocks)),
    }
    if as_json:
        print_json(summary)
    else:
        click.echo(
            f"{found.id} version {found.version} is sound: {len(found.thresholds)} thresholds, {len(found.clauses)} "
            f"clauses, {len(found.clocks)} clocks, {summary['proposed']} of them proposed"
        )


@agreement.command()
@json_option
def chips(as_json: bool) -> None:
    """List the chip catalogue."""
    models = chip_catalogue().values()
    if as_json:
        print_json([model.model_dump(mode="json") | {"tpp": model.tpp} for model in models])
        return
    table = Table(Column("id", no_wrap=True), "name", "peak [TFLOP/s]", "TPP", "H100-equivalents", box=None)
    for model in models:
        peak = ", ".join(f"{name} {rate / 1e12:g}" for name, rate in model.flop_per_s.items())
        table.add_row(model.id, model.name, peak, f"{model.tpp:,.0f}", f"{model.h100_equivalents:.2f}")
    Console().print(table)


def _print_terms(terms: Agreement, when: str) -> None:
    console = Console(highlight=False)
    console.print(f"[bold]{terms.title}[/] ({terms.id}, version {terms.version}), {when}")
    console.print(
        f"false-accusation rate {terms.false_accusation_rate:g} per review; "
        f"confidence {terms.assurance_confidence:g}; utilisation credited {terms.utilisation.max:g}"
    )
    thresholds = Table(
        Column("threshold", no_wrap=True), "kind", "FLOP", "source", box=None, title="Thresholds", title_justify="left"
    )
    for threshold in terms.thresholds:
        thresholds.add_row(threshold.id, threshold.kind.value, f"{threshold.flop_max:.3g}", str(threshold.source))
    clauses = Table(
        Column("clause", no_wrap=True), "kind", "promise", "source", box=None, title="Clauses", title_justify="left"
    )
    for clause in terms.clauses:
        title = clause.title + (" [proposed]" if clause.proposed else "")
        clauses.add_row(clause.id, clause.kind.value, title, str(clause.source))
    clocks = Table(
        Column("clock", no_wrap=True),
        "when",
        "then",
        "within",
        "source",
        box=None,
        title="Clocks",
        title_justify="left",
    )
    for clock in terms.clocks:
        within = f"{clock.within_s / 86_400:g} d" if clock.within_s >= 86_400 else f"{clock.within_s / 3_600:g} h"
        clocks.add_row(clock.id, clock.event, clock.duty, within, str(clock.source))
    for table in (thresholds, clauses, clocks):
        if table.row_count:
            console.print()
            console.print(table)
