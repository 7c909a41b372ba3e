"""`inspectorate custody count plan`: how many places to open, and what that finds.

A plan is an answer within a model, never a verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from inspectorate.cli.options import EXISTING_FILE, FiniteRange, json_option, print_json
from inspectorate.errors import InputError
from inspectorate.evidence.custody import CountUnit
from inspectorate.evidence.exchange import read_plain
from inspectorate.mechanisms.custody.counting.allocation import Place, allocate
from inspectorate.mechanisms.custody.counting.draw import sites_of
from inspectorate.mechanisms.custody.counting.reference import CHECKLIST_BYTES_MAX
from inspectorate.mechanisms.custody.counting.sizes import (
    Sizes,
    Stratum,
    chips_to_draw,
    detection_by_chip,
    detection_by_site,
    detection_by_unit,
    fewest_touched,
    opened_by_chip,
    units_to_open,
)
from inspectorate.mechanisms.custody.register import read_register, units
from inspectorate.statistics.sampling import dirty_count_upper

CURVE = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Diversions of the power curve, in multiples of the one that was asked for."""


@click.command()
@click.option("--register", "register_path", type=EXISTING_FILE, help="The register (Parquet).")
@click.option(
    "--racks", multiple=True, metavar="[SITE:]NxCHIPS", help="Instead of a register: N units of so many chips each."
)
@click.option(
    "--unit", type=click.Choice([one.value for one in CountUnit]), default=CountUnit.RACK.value, show_default=True
)
@click.option("--missing", type=click.IntRange(min=1), help="The diversion to be found, in chips.")
@click.option("--share", type=FiniteRange(0, 1, min_open=True), help="The same, as a share of all chips.")
@click.option("--detection", type=FiniteRange(0, 1, min_open=True, max_open=True), default=0.95, show_default=True)
@click.option("--travel", multiple=True, metavar="SITE=DAYS", help="Inspector-days to a site and back; 1 by default.")
@click.option(
    "--days-per-unit",
    type=FiniteRange(0),
    default=0.05,
    show_default=True,
    help="Inspector-days to open one unit.",
)
@json_option
def plan(**options: Any) -> None:
    """How many units to open so that a diversion is found, worst over every way in which it can be spread."""
    names, sizes = _units(options)
    every = np.concatenate(sizes)
    chips = int(every.sum())
    if (options["missing"] is None) == (options["share"] is None):
        raise InputError("give either --missing or --share", where="--missing, --share")
    missing = options["missing"] or max(1, int(np.ceil(options["share"] * chips - 1e-9)))
    if missing > chips:
        raise InputError(f"{missing} chips cannot be missing of {chips}", where="--missing")
    facts = _plan(options, names, sizes, missing)
    if options["as_json"]:
        print_json(facts)
    else:
        _show(facts)


def _units(options: dict[str, Any]) -> tuple[list[str], list[Sizes]]:
    if (options["register_path"] is None) == (not options["racks"]):
        raise InputError("give either --register or --racks", where="--register, --racks")
    if options["register_path"] is not None:
        path = options["register_path"]
        register = read_register(read_plain(path, CHECKLIST_BYTES_MAX), where=str(path))
        if not len(register):
            raise InputError("no chip stands in it", where=str(path))
        of = units(register, CountUnit(options["unit"]))
        codes, names = sites_of(register, of)
        return list(names), [of.sizes[codes == code] for code in range(len(names))]
    found: dict[str, list[Sizes]] = {}
    for text in options["racks"]:
        site, _, rest = text.rpartition(":")
        number, _, size = rest.partition("x")
        if not (number.isdigit() and size.isdigit() and 0 < int(number) <= 10**6 and 0 < int(size) <= 10**6):
            raise InputError(f"{text[:60]!r} is no set of units", where="--racks", remedy="write north:200x72")
        found.setdefault(site or "site", []).append(np.full(int(number), int(size), dtype=np.int64))
    return list(found), [np.concatenate(parts) for parts in found.values()]


def _plan(options: dict[str, Any], names: list[str], sizes: list[Sizes], missing: int) -> dict[str, object]:
    every, p = np.concatenate(sizes), options["detection"]
    chips = int(every.sum())
    by_unit, by_chip = units_to_open(every, missing, p), chips_to_draw(chips, missing, p)
    travel = _travel(options["travel"], names)
    places = [
        Place(name=name, sizes=of, travel_days=travel[name], days_per_unit=options["days_per_unit"])
        for name, of in zip(names, sizes, strict=True)
    ]
    cheapest = allocate(places, missing, p)
    strata = [Stratum(sizes=of, opened=cheapest.opened[name]) for name, of in zip(names, sizes, strict=True)]
    curve = [max(1, min(chips, round(missing * factor))) for factor in CURVE]
    return {
        "unit": options["unit"], "units": len(every), "chips": chips, "missing": missing, "detection": p,
        "units_touched_at_least": fewest_touched(every, missing),
        "by_unit": {"units_to_open": by_unit, "detection": detection_by_unit(every, missing, by_unit)},
        "by_chip": {
            "chips_to_draw": by_chip, "detection": detection_by_chip(chips, missing, by_chip),
            "units_opened_mean": opened_by_chip(every, by_chip),
            "missing_upper_if_none": dirty_count_upper(population=chips, sampled=by_chip, miss_probability=1 - p),
        },
        "by_site": {
            "units_to_open": dict(cheapest.opened), "inspector_days": cheapest.days, "detection": cheapest.detection,
            "inspector_days_for_all": sum(one.days(len(one.sizes)) for one in places),
        },
        "power": [
            {
                "missing": number, "by_unit": detection_by_unit(every, number, by_unit),
                "by_chip": detection_by_chip(chips, number, by_chip), "by_site": detection_by_site(strata, number),
            }
            for number in sorted(set(curve))
        ],
    }  # fmt: skip


def _travel(given: Sequence[str], names: Sequence[str]) -> dict[str, float]:
    found = dict.fromkeys(names, 1.0)
    for text in given:
        name, _, days = text.partition("=")
        try:
            value = float(days)
        except ValueError:
            value = -1.0
        if name not in found or not 0 <= value < 10_000:
            raise InputError(f"{text[:60]!r} names no site and its days", where="--travel", remedy="write SITE=DAYS")
        found[name] = value
    return found


def _show(facts: Any) -> None:
    unit, by_unit, by_chip, by_site = facts["unit"], facts["by_unit"], facts["by_chip"], facts["by_site"]
    click.echo(f"{facts['chips']} chips in {facts['units']} {unit}s; a diversion of {facts['missing']} touches "
               f"{facts['units_touched_at_least']} of them at least")  # fmt: skip
    click.echo(
        f"by unit: open {by_unit['units_to_open']} {unit}s, each set equally likely: found with {by_unit['detection']:.4f}"
    )
    click.echo(f"by chip: draw {by_chip['chips_to_draw']} chips, and open the {unit}s in which they stand "
               f"(about {by_chip['units_opened_mean']:.0f}): found with {by_chip['detection']:.4f}; if nothing is missing, at most "
               f"{by_chip['missing_upper_if_none']} chips are")  # fmt: skip
    opened = ", ".join(f"{name} {number}" for name, number in by_site["units_to_open"].items())
    click.echo(f"by site, fewest inspector-days that were found: {opened}: {by_site['inspector_days']:.1f} days "
               f"(all: {by_site['inspector_days_for_all']:.1f}), found with {by_site['detection']:.4f}")  # fmt: skip
    table = Table("missing", "by unit", "by chip", "by site", box=None, title="found with, worst over all spreads")
    for row in facts["power"]:
        table.add_row(str(row["missing"]), *(f"{row[what]:.4f}" for what in ("by_unit", "by_chip", "by_site")))
    Console(width=100, highlight=False).print(table)
