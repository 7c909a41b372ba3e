"""`inspectorate counters`: record what ports count, check such records, find the period of their load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from inspectorate.cli.counters_collect import collect
from inspectorate.cli.options import EXISTING_FILE, FiniteRange, json_option, print_json
from inspectorate.errors import EvidenceError, InputError
from inspectorate.files import read_bounded
from inspectorate.mechanisms.interconnect.counters.conservation import Balance, NodeBalance, balances
from inspectorate.mechanisms.interconnect.counters.files import FileRead, read_file
from inspectorate.mechanisms.interconnect.counters.increase import PortSteps, increases
from inspectorate.mechanisms.interconnect.counters.levels import GapTotal, gap_totals
from inspectorate.mechanisms.interconnect.counters.period import grid_of, periods
from inspectorate.mechanisms.interconnect.counters.readings import Port, join_readings
from inspectorate.mechanisms.interconnect.counters.view import AGAINST_ITSELF
from inspectorate.quantities import from_ns

GAPS_SHOWN = 8
PORTS_BYTES_MAX = 16 * 1024 * 1024
EXIT_INCONCLUSIVE, EXIT_INVALID = 10, 30


@click.group()
def counters() -> None:
    """Record and check what the ports of network gear count."""


counters.add_command(collect)


@counters.command()
@click.argument("files", nargs=-1, required=True, type=EXISTING_FILE)
@click.option("--ports", "ports_path", type=EXISTING_FILE, help="The declared ports, one NODE/PORT a line.")
@click.option("--gap-seconds", "gap_s", type=FiniteRange(min=0, min_open=True),
              help="Longer without a reading is a gap (default: ten usual steps, 10 s at least).")  # fmt: skip
@click.option("--age-seconds", "age_s", type=FiniteRange(0, 3600), default=0.0, show_default=True,
              help="A value may be this much older than its reading.")  # fmt: skip
@json_option
def check(files: tuple[Path, ...], ports_path: Path | None, gap_s: float | None, age_s: float, as_json: bool) -> None:
    """Check the readings in FILES: increases, gaps, resets, and whether what entered each node left it.

    FILES are JSON lines, Prometheus text with timestamps, gNMI notifications (JSON) or Parquet. Exits 0 if all adds up,
    10 if something is missing (a gap, a port, the readings of a file) or does not add up, 30 if counters contradict themselves.
    """
    read, steps = _read(files, gap_s, age_s)
    found = balances(steps, declared=_declared(ports_path))
    gaps = [total for one in steps.values() for total in gap_totals(one)]
    oddities = sorted(
        (told for one in steps.values() for told in one.found), key=lambda told: (told.finding, told.port)
    )
    if as_json:
        print_json(
            {
                "files": [_file_row(path, one) for path, one in zip(files, read, strict=True)],
                "ports": [_port_row(one) for one in steps.values()],
                "findings": [asdict(told) for told in oddities],
                "gaps": [_finite(asdict(total)) for total in gaps],
                "balances": [_balance_row(one) for one in found],
            }
        )
    else:
        _print_check(files, read, steps, gaps, found)
    if any(told.finding in AGAINST_ITSELF for told in oddities) or any(one.refused for one in read):
        raise click.exceptions.Exit(EXIT_INVALID)
    absent = bool(gaps) or any(not len(one.readings) for one in read)
    if absent or any(one.verdict is not Balance.BALANCED or one.missing or one.suspects for one in found):
        raise click.exceptions.Exit(EXIT_INCONCLUSIVE)


@counters.command()
@click.argument("files", nargs=-1, required=True, type=EXISTING_FILE)
@click.option("--interval", "interval_s", type=FiniteRange(min=0.01), default=1.0, show_default=True,
              help="Length of an interval of the spectrum [s].")  # fmt: skip
@click.option("--busy", "bytes_per_s_min", type=FiniteRange(min=0), default=1e6, show_default=True,
              help="Ports that carry less on average are left out [bytes/s].")  # fmt: skip
@click.option("--gap-seconds", "gap_s", type=FiniteRange(min=0, min_open=True))
@json_option
def period(
    files: tuple[Path, ...], interval_s: float, bytes_per_s_min: float, gap_s: float | None, as_json: bool
) -> None:
    """Find the period of every port's load in FILES (training goes in steps), with a significance level.

    Exits 0, also if no port has a period: a period is no violation.
    """
    _, steps = _read(files, gap_s, 0.0)
    found = periods(steps, grid_of(steps, interval_s), bytes_per_s_min=bytes_per_s_min)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    table = Table("port", box=None)
    for title in ("period [s]", "p-value", "multiples", "observed"):
        table.add_column(title, justify="right")
    for one in found:
        shown = f"{one.period_s:.2f}" if one.significant else "-"
        table.add_row(one.port, shown, f"{one.p_value:.2g}", str(one.harmonics), f"{one.share_observed:.1%}")
    Console(highlight=False).print(table)
    click.echo(f"{sum(one.significant for one in found)} of {len(found)} busy ports have a period")


def _read(files: Sequence[Path], gap_s: float | None, age_s: float) -> tuple[list[FileRead], Mapping[Port, PortSteps]]:
    """All files, with a line of progress on a terminal. Raises `InputError` where there is not one reading."""
    with Console(stderr=True).status("reading …") as status:
        read = [_read_one(path, age_s) for path in files]
        readings = join_readings([one.readings for one in read])
        if not len(readings):
            faults = "; ".join(dict.fromkeys(one.first_fault for one in read if one.first_fault))
            raise InputError(f"holds no readings of counters{': ' + faults if faults else ''}", where=str(files[0]))
        status.update("subtracting …")
        return read, increases(readings, gap_s=gap_s)


def _read_one(path: Path, age_s: float) -> FileRead:
    try:
        return read_file(path, age_ns=round(age_s * 1e9))
    except EvidenceError as fault:
        where = fault.where if str(path) in fault.where else f"{path}: {fault.where}"
        raise EvidenceError(fault.problem, where=where, remedy=fault.remedy) from None


def _declared(path: Path | None) -> tuple[Port, ...]:
    if path is None:
        return ()
    try:
        lines = read_bounded(path, PORTS_BYTES_MAX).decode().splitlines()
    except UnicodeDecodeError as fault:
        raise InputError(f"is no text: {fault}", where=str(path)) from None
    found = []
    for number, line in enumerate(lines, 1):
        node, separator, name = line.strip().partition("/")
        if line.strip() and not (node and separator and name):
            raise InputError("is not NODE/PORT", where=f"{path}, line {number}")
        if line.strip():
            found.append(Port(node, name))
    if not found:
        raise InputError("names no port", where=str(path), remedy="write one NODE/PORT a line, or leave --ports out")
    return tuple(found)


def _print_check(
    files: Sequence[Path],
    read: Sequence[FileRead],
    steps: Mapping[Port, PortSteps],
    gaps: Sequence[GapTotal],
    found: Sequence[NodeBalance],
) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for path, one in zip(files, read, strict=True):
        refused = f", {one.refused:,} refused ({one.first_fault})" if one.refused else ""
        console.print(
            f"{path}: {len(one.readings):,} readings of {len(one.readings.ports)} ports ({one.form}){refused}"
        )
    totals: dict[str, tuple[int, int]] = {}
    for port_steps in steps.values():
        for told in port_steps.found:
            ports, count = totals.get(told.finding.value, (0, 0))
            totals[told.finding.value] = (ports + 1, count + told.count)
    table = Table("finding", box=None)
    for title in ("ports", "times"):
        table.add_column(title, justify="right")
    for finding, (ports, count) in sorted(totals.items()):
        table.add_row(finding, f"{ports:,}", f"{count:,}")
    console.print(table if totals else "no reading is odd")
    for total in sorted(gaps, key=lambda gap: -gap.in_lower - gap.out_lower)[:GAPS_SHOWN]:
        exact = total.in_lower == total.in_upper and total.out_lower == total.out_upper
        amount = "exactly" if exact else "at least"
        console.print(
            f"gap of {(total.end_ns - total.start_ns) / 1e9:,.1f} s from {from_ns(total.start_ns):%H:%M:%S} UTC at "
            f"{total.port}: {amount} {total.in_lower:,} bytes in and {total.out_lower:,} out; when in it is not known"
        )
    if len(gaps) > GAPS_SHOWN:
        console.print(f"and {len(gaps) - GAPS_SHOWN:,} more gaps")
    for one_balance in found:
        console.print(one_balance.explanation())


def _file_row(path: Path, one: FileRead) -> dict[str, object]:
    return {
        "file": str(path),
        "form": one.form.value,
        "readings": len(one.readings),
        "refused": one.refused,
        "first_fault": one.first_fault,
    }


def _port_row(one: PortSteps) -> dict[str, object]:
    row: dict[str, object] = {"port": str(one.port), "readings": len(one.time_ns)}
    for name, side in one.sides.items():
        row[f"{name}_lower"] = int(side.lower.sum())
        row[f"{name}_upper"] = None if side.unbounded.any() else int(side.upper.sum())
    return row


def _balance_row(one: NodeBalance) -> dict[str, object]:
    return {
        "node": one.node,
        "verdict": one.verdict.value,
        "ports": one.ports,
        "carried_bytes": float(one.carried.sum()),
        "relative_imbalance": one.relative,
        "digits": one.digits,
        "windows": len(one.net),
        "windows_unbalanced": int(one.unbalanced.sum()),
        "net_bytes_per_s": one.net_bytes_per_s,
        "one_port_fits": one.one_port_fits,
        "missing": list(one.missing),
        "suspects": list(one.suspects),
        "explanation": one.explanation(),
    }


def _finite(row: dict[str, object]) -> dict[str, object]:
    return {name: None if value == float("inf") else value for name, value in row.items()}
