"""`inspectorate plan supply`: what was made or sold against what is declared, and what run the difference could hide.

A plan is an answer within a model and no verdict: it exits 0 on an answer and 2 on wrong use.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from inspectorate.agreement import load_agreement
from inspectorate.cli.options import EXISTING_FILE, FiniteRange, json_option, parse_time, print_json
from inspectorate.cli.plan_units import SECONDS
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence.exchange import read_plain
from inspectorate.mechanisms.custody.register import read_register
from inspectorate.mechanisms.custody.supply import (
    FigureKind,
    Figures,
    Losses,
    Range,
    Reconciliation,
    SupplyTerms,
    exhibits_of,
    read_declared,
    read_epoch,
    read_own,
    reconcile,
)
from inspectorate.mechanisms.custody.supply.checks import checked
from inspectorate.mechanisms.custody.supply.own import declared_kind
from inspectorate.mechanisms.custody.supply.ranges import DRAWS
from inspectorate.mechanisms.custody.supply.reconcile import Ends
from inspectorate.mechanisms.custody.supply.reference import FILE_BYTES_MAX, LOSS_PER_YEAR

WIDTH = 132
SHOWN_MAX = 15
FILES_MAX = 500
EPOCH_FOLDER = "epoch/ai_chip_counts"


@click.command("supply")
@click.option(
    "--figures", "figure_paths", type=EXISTING_FILE, multiple=True, help="Figures of your own (CSV, YAML); repeatable."
)
@click.option("--epoch", "epoch_folder", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Epoch AI's folder ai_chip_counts (default without --figures: that of INSPECTORATE_DATA).")  # fmt: skip
@click.option("--declared", "declared_path", type=EXISTING_FILE, help="Declared stocks (CSV: chip,owner,units).")
@click.option("--register", "register_path", type=EXISTING_FILE, help="A register (Parquet), as declared stock.")
@click.option("--declared-share", type=FiniteRange(0), metavar="SHARE",
              help="Without a declaration: what if each kind were declared at this share of its median?")  # fmt: skip
@click.option("--basis", type=click.Choice([one.value for one in FigureKind]), default="produced", show_default=True,
              help="What designers made, or what owners bought.")  # fmt: skip
@click.option("--owner", "owners", multiple=True, help="Only this owner's; repeatable. Needs --basis sold.")
@click.option("--designer", "designers", multiple=True, help="Only this designer's; repeatable.")
@click.option("--chip", "chips", multiple=True, help="Only this kind of chip; repeatable.")
@click.option("--until", help="Supply up to this day (default: all figures).")
@click.option("--agreement", "agreement_name", default="asi-agreement", show_default=True,
              help="For confidence, utilisation and thresholds.")  # fmt: skip
@click.option(
    "--window", "window_s", type=SECONDS, default="90d", show_default=True, help="In which a run would be hidden."
)
@click.option("--losses", "losses", type=FiniteRange(0), nargs=3, default=LOSS_PER_YEAR, show_default=True,
              metavar="LOW MEDIAN HIGH", help="Share of the chips that fail or are scrapped in a year.")  # fmt: skip
@click.option("--destroyed", "destroyed_path", type=EXISTING_FILE, help="Certified destroyed (CSV: chip,owner,units).")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--draws", type=click.IntRange(1_000, 200_000), default=DRAWS, show_default=True)
@json_option
def supply(*, as_json: bool, **options: Any) -> None:
    """Reconcile production or sales with declared stocks: what could be missing, at most, and what run that could hide."""
    figures, unused = _figures(options)
    terms = _terms(figures, options)
    declared = _declared(figures, terms, options)
    losses = Losses(per_year=_losses(options["losses"]), certified=_certified(options["destroyed_path"]))
    found = reconcile(figures, declared, losses, terms)
    if as_json:
        print_json(
            {
                "reconciliation": found.model_dump(mode="json"),
                "issues": [dataclasses.asdict(one) for one in figures.issues],
                "unused_files": list(unused),
                "exhibits": [one.model_dump(mode="json") for one in exhibits_of(found)],
            }
        )
        return
    _print(found, figures, unused)


def _read(path: Path) -> bytes:
    try:
        return read_plain(path, FILE_BYTES_MAX)
    except EvidenceError as fault:
        raise InputError(fault.problem, where=str(path), remedy=fault.remedy) from None


def _figures(options: Mapping[str, Any]) -> tuple[Figures, tuple[str, ...]]:
    folder = options["epoch_folder"]
    if folder is None and not options["figure_paths"]:
        root = os.environ.get("INSPECTORATE_DATA")
        folder = None if root is None else Path(root) / EPOCH_FOLDER
        if folder is None or not folder.is_dir():
            raise InputError("there are no figures of supply", where="plan supply",
                             remedy="give --figures or --epoch, or set INSPECTORATE_DATA")  # fmt: skip
    parts = [read_own(_read(path), str(path)) for path in options["figure_paths"]]
    unused: tuple[str, ...] = ()
    if folder is not None:
        paths = sorted(folder.glob("*.csv"))
        if len(paths) > FILES_MAX:
            raise InputError(f"has more than {FILES_MAX} files", where=str(folder))
        read = read_epoch({path.name: _read(path) for path in paths})
        parts.append(read.figures)
        unused = read.unused
    if len(parts) == 1 and not options["figure_paths"]:
        return parts[0], unused
    rows = tuple(one for part in parts for one in part.rows)
    return checked(Figures(rows, tuple(issue for part in parts for issue in part.issues))), unused


def _terms(figures: Figures, options: Mapping[str, Any]) -> SupplyTerms:
    agreement = load_agreement(options["agreement_name"])
    kind = FigureKind(options["basis"])
    if options["owners"] and kind is FigureKind.PRODUCED:
        raise InputError("what is produced names no owner", where="--owner", remedy="add --basis sold")
    last = max((one.end for one in figures.of(kind)), default=date.min)
    named = {name: frozenset(options[name]) or None for name in ("owners", "designers")}
    known: dict[str, set[str]] = {
        "owners": {one.owner for one in figures.rows if one.owner}, "designers": {one.designer for one in figures.rows},
    }  # fmt: skip
    for name, wanted in named.items():
        strange = sorted((wanted or frozenset()) - known[name])
        if strange:
            raise InputError(f"no figure names {strange[0]!r}", where=f"--{name[:-1]}",
                             remedy=f"one of {', '.join(sorted(known[name]))}")  # fmt: skip
    return SupplyTerms(
        kind=kind,
        until=parse_time(options["until"]).date() if options["until"] else last,
        confidence=agreement.assurance_confidence,
        utilisation=agreement.utilisation.max,
        formats=agreement.counted_formats,
        window_s=options["window_s"],
        thresholds={one.id: one.flop_max for one in agreement.thresholds if not one.proposed},
        owners=named["owners"],
        designers=named["designers"],
        chips=frozenset(declared_kind(name) for name in options["chips"]) or None,
        seed=options["seed"],
        draws=options["draws"],
    )


def _losses(given: tuple[float, float, float]) -> Range:
    try:
        found = Range(*given)
    except ValueError as fault:
        raise InputError(str(fault), where="--losses", remedy="give shares such as 0.01 0.03 0.09") from None
    if found.high >= 1:
        raise InputError("are shares of the chips in a year, below 1", where="--losses")
    return found


def _certified(path: Path | None) -> dict[str, float]:
    found: dict[str, float] = {}
    for (kind, _), units in (read_declared(_read(path), str(path)) if path else {}).items():
        found[kind] = found.get(kind, 0.0) + units
    return found


def _declared(figures: Figures, terms: SupplyTerms, options: Mapping[str, Any]) -> dict[tuple[str, str | None], float]:
    """Stocks as declared. Exactly one way to give them: with none, everything would be missing without a word."""
    ways = [name for name in ("declared_path", "register_path", "declared_share") if options[name] is not None]
    if len(ways) != 1:
        raise InputError("needs exactly one of --declared, --register and --declared-share", where="plan supply",
                         remedy="--declared-share 0 says that nothing is declared")  # fmt: skip
    if options["declared_path"] is not None:
        return read_declared(_read(options["declared_path"]), str(options["declared_path"]))
    found: dict[tuple[str, str | None], float] = {}
    if options["register_path"] is not None:
        try:
            register = read_register(_read(options["register_path"]), str(options["register_path"]))
        except EvidenceError as fault:
            raise InputError(fault.problem, where=fault.where, remedy=fault.remedy) from None
        for (model, owner), count in register.counts("model", "owner").items():
            of_model: tuple[str, str | None] = (declared_kind(model), owner)
            found[of_model] = found.get(of_model, 0.0) + count
        return found
    for one in figures.of(terms.kind):
        if one.end <= terms.until:
            key = (one.chip, one.owner)
            found[key] = found.get(key, 0.0) + options["declared_share"] * one.units.median
    return found


def _print(found: Reconciliation, figures: Figures, unused: Iterable[str]) -> None:
    click.echo(f"{found.figures} figures of what was {found.basis.value}, to {found.until}; confidence {found.confidence:g}. "
               "Chips that are left after losses:")  # fmt: skip
    table = Table(
        "chip", "left (median)", "low", "high", "declared", "missing: indep.", "any dep.", "share", "", box=None
    )
    for one in found.chips:
        low, high = one.left.any_dependence
        table.add_row(
            one.chip, f"{one.left_median:,.0f}", f"{low:,.0f}", f"{high:,.0f}", f"{one.declared + one.certified:,.0f}",
            f"{one.missing.independent[1]:,.0f}", f"{one.missing.any_dependence[1]:,.0f}", f"{100 * one.missing_share:.3g} %",
            "more than was supplied: is a unit wrong?" if one.in_excess else "",
        )  # fmt: skip
    Console(width=WIDTH).print(table)
    click.echo(
        "low and high hold under any dependence of the figures on each other.\n\nWhat could be missing, at most:"
    )
    days = found.window_s / 86_400
    rows = Table("", "figures independent", "all high together", "any dependence", box=None)
    for what, ends, form in (
        ("H100-equivalents", found.missing_h100_equivalents, ",.0f"), ("share of what is left", found.missing_share, ".3f"),
        ("FLOP a month", found.flop_per_month, ".3g"), (f"largest run in {days:g} days, FLOP", found.largest_run_flop, ".3g"),
    ):  # fmt: skip
        rows.add_row(what, *(format(value, form) for value in _uppers(ends)))
    Console(width=WIDTH).print(rows)
    for name, times in found.runs_per_threshold.items():
        click.echo(f"the run is {times:,.3g} times the threshold {name} ({found.thresholds[name]:g} FLOP)")
    click.echo("\nWhat would take most off, if it were known to be at its median (not to be added up):")
    for narrow in found.narrowing:
        click.echo(f"  {narrow.h100_equivalents:>12,.0f} H100-equivalents, {100 * narrow.share:.3g} %: {narrow.what}")
    for text in found.assumptions:
        click.echo(f"assumed: {text}")
    for kind, units in found.declared_unmatched.items():
        click.echo(f"declared, and no figure of supply has it: {units:,.0f} {kind}")
    for issue in figures.issues[:SHOWN_MAX]:
        click.echo(f"{issue.kind.value}: {issue}")
    if len(figures.issues) > SHOWN_MAX:
        click.echo(f"and {len(figures.issues) - SHOWN_MAX} more issues; --json has all")
    names = list(unused)
    if names:
        click.echo(f"files not used: {', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}")


def _uppers(ends: Ends) -> tuple[float, float, float]:
    return ends.independent[1], ends.together[1], ends.any_dependence[1]
