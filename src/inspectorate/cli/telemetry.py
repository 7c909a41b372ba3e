"""`inspectorate telemetry`: is telemetry a measurement? Copies, replays, stuck sensors; two meters of one load; their clocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from inspectorate.cli.options import EXISTING_FILE, FiniteRange, json_option, print_json
from inspectorate.errors import InputError
from inspectorate.files import read_bounded
from inspectorate.mechanisms.workloads.integrity.clock import compare_clocks
from inspectorate.mechanisms.workloads.integrity.clones import copy_groups, find_copies
from inspectorate.mechanisms.workloads.integrity.findings import SeriesFinding
from inspectorate.mechanisms.workloads.integrity.frozen import sensor_findings
from inspectorate.mechanisms.workloads.integrity.match import faster, match
from inspectorate.mechanisms.workloads.integrity.replay import near_replays, replay_findings
from inspectorate.mechanisms.workloads.integrity.series import Series, ordered
from inspectorate.mechanisms.workloads.integrity.survey import copy_finding
from inspectorate.mechanisms.workloads.telemetry.frame import Samples
from inspectorate.mechanisms.workloads.telemetry.report import ReadReport, Unread
from inspectorate.mechanisms.workloads.telemetry.smi import read_smi
from inspectorate.mechanisms.workloads.telemetry.table import read_table

EXIT_INCONCLUSIVE, EXIT_INVALID = 10, 30
SHOWN_MAX = 40
FILE_BYTES_MAX = 1 << 30

signal_option = click.option("--signal", default="power_w", show_default=True, help="The signal that is looked at.")


@click.group()
def telemetry() -> None:
    """Check whether telemetry is what meters measured."""


@telemetry.command()
@click.argument("files", nargs=-1, required=True, type=EXISTING_FILE)
@click.option("--reference", "references", multiple=True, type=EXISTING_FILE,
              help="What may have been replayed: an enrolment's references, an earlier period.")  # fmt: skip
@click.option("--exact-only", is_flag=True, help="Look for copies of equal values only.")
@signal_option
@json_option
def check(files: tuple[Path, ...], references: tuple[Path, ...], exact_only: bool, signal: str, as_json: bool) -> None:
    """Look in FILES for copies, replays, and sensors that do not measure.

    FILES are Parquet tables of samples or logs of nvidia-smi (CSV, times taken as UTC). Exits 0 if nothing was found, 10 if sensors
    are weak (stuck, coarse, saturated), series alike, or something could not be read, 30 if a series is a copy or a replay.
    """
    with Console(stderr=True).status("reading …"):
        series, unread = _series(files, signal)
        known, unread_references = _series(references, signal, prefix="reference ") if references else ([], [])
        unread += unread_references
    findings: list[SeriesFinding] = []
    with Console(stderr=True).status("comparing …"):
        copies = find_copies(series, near=not exact_only)
        findings += [copy_finding(copy, signal) for copy in copies]
        for one in series:
            findings += replay_findings(one)
            findings += sensor_findings(one) if signal == "power_w" else ()
            findings += [copy_finding(copy, signal) for copy in near_replays(one, known)] if known else []
    groups = copy_groups(copies)
    if as_json:
        print_json(
            {
                "series": len(series),
                "samples": sum(len(one) for one in series),
                "groups_of_copies": [list(names) for names in groups],
                "findings": [asdict(finding) for finding in findings],
                "unread": unread,
            }
        )
    else:
        _print_findings(series, findings, groups)
        _print_unread(unread)
    if any(finding.made for finding in findings):
        raise click.exceptions.Exit(EXIT_INVALID)
    if findings or unread:
        raise click.exceptions.Exit(EXIT_INCONCLUSIVE)


@telemetry.command()
@click.argument("slow_file", type=EXISTING_FILE)
@click.argument("fast_file", type=EXISTING_FILE)
@click.option("--tolerance", type=FiniteRange(0, 1), default=0.05, show_default=True,
              help="Relative difference of the means that is put down to the meters.")  # fmt: skip
@signal_option
@json_option
def meters(slow_file: Path, fast_file: Path, tolerance: float, signal: str, as_json: bool) -> None:
    """Hold two meters of one load against each other, unit by unit: SLOW_FILE (AC, outlet) and FAST_FILE (DC, chips).

    Prints how well differences correlate at the best lag, plain and after the faster meter was smoothed as the slower one is, the
    ratio of the levels, and what their clocks show. Exits 0 if the levels agree, 10 if they do not, too little overlaps, a unit has
    one meter only, or something could not be read. Whether the two are one load beyond any other run of the same workload takes
    other runs: `inspectorate review` holds them together.
    """
    (slow, unread), (fast, unread_fast) = _by_unit(slow_file, signal), _by_unit(fast_file, signal)
    unread += unread_fast
    units = [unit for unit in slow if unit in fast]
    if not units:
        raise InputError(
            f"names none of the units of {fast_file}", where=str(slow_file), remedy="both must call their units alike"
        )
    rows = [_pair_row(unit, slow[unit], fast[unit]) for unit in units]
    agree = [isinstance(row["ratio"], float) and 1 - tolerance <= row["ratio"] <= 1.25 + tolerance for row in rows]
    alone = sorted(set(slow) ^ set(fast))
    if as_json:
        print_json({"units": rows, "agree": agree, "alone": alone, "unread": unread})
    else:
        table = Table("unit", box=None)
        columns = (
            "correlation",
            "smoothed_correlation",
            "ratio",
            "lag_s",
            "clock_lag_s",
            "clock_drift",
            "overlap_samples",
        )
        for title in columns:
            table.add_column(title.replace("_", " "), justify="right")
        for row in rows[:SHOWN_MAX]:
            table.add_row(str(row["unit"]), *(_text(row[name]) for name in columns))
        Console(highlight=False).print(table)
        click.echo(f"the levels of {sum(agree)} of {len(rows)} units agree")
        if alone:
            more = f" and {len(alone) - SHOWN_MAX} more" if len(alone) > SHOWN_MAX else ""
            click.echo(f"with one meter only: {', '.join(alone[:SHOWN_MAX])}{more}")
        _print_unread(unread)
    if alone or unread or not all(agree):
        raise click.exceptions.Exit(EXIT_INCONCLUSIVE)


def _pair_row(unit: str, slow: Series, fast: Series) -> dict[str, object]:
    found = match(slow, faster(fast)) if len(fast) > 1 else None
    clocks = compare_clocks(slow, fast)
    return {
        "unit": unit,
        "correlation": found.correlation if found else None,
        "smoothed_correlation": float(np.tanh(found.smoothed)) if found else None,
        "ratio": float(np.exp(found.level)) if found else None,
        "lag_s": found.lag_s if found else None,
        "clock_lag_s": clocks.lag_s if clocks else None,
        "clock_drift": clocks.drift if clocks else None,
        "overlap_samples": found.samples if found else 0,
    }


def _by_unit(path: Path, signal: str) -> tuple[dict[str, Series], list[str]]:
    series, unread = _series([path], signal)
    return {one.name.split("/", 1)[1]: one for one in series}, unread


def _series(files: Sequence[Path], signal: str, *, prefix: str = "") -> tuple[list[Series], list[str]]:
    """One series per file and unit, named FILE/UNIT, and what was not read. Raises `InputError` where the signal is not there."""
    found, unread = [], []
    for number, path in enumerate(files):
        report = ReadReport()
        samples = _read(path, report)
        if signal not in samples.signals:
            raise InputError(
                f"has no {signal}", where=str(path), remedy=f"it has {', '.join(samples.signals) or 'no signal'}"
            )
        unread += [
            f"{path}: {count:,} {reason.value}"
            for reason, count in sorted(report.unread.items())
            if reason is not Unread.NOT_A_NUMBER  # a chip without a quantity
        ]
        values = samples.values[:, samples.signals.index(signal)]
        name = path.stem if sum(other.stem == path.stem for other in files) == 1 else f"{path.stem}-{number + 1}"
        for i, unit in enumerate(samples.units):
            mine = samples.unit == i
            there = mine & np.isfinite(values)
            if there.any():
                found.append(ordered(f"{prefix}{name}/{unit}", samples.time_ns[there], values[there]))
            else:
                unread.append(f"{path}: no value of {signal} of {unit}")
    if not found:
        raise InputError(f"holds no value of {signal}", where=str(files[0]))
    return found, unread


def _read(path: Path, report: ReadReport) -> Samples:
    if path.suffix != ".parquet":
        return read_smi(read_bounded(path, FILE_BYTES_MAX), zone=UTC, report=report, where=str(path))
    try:
        return read_table(path)
    except OSError as fault:
        raise InputError(f"cannot be read: {fault.strerror or fault}", where=str(path)) from None


def _print_unread(unread: Sequence[str]) -> None:
    for text in unread[:SHOWN_MAX]:
        click.echo(f"not read: {text}")
    if len(unread) > SHOWN_MAX:
        click.echo(f"and {len(unread) - SHOWN_MAX} more that were not read")


def _print_findings(series: list[Series], findings: list[SeriesFinding], groups: tuple[tuple[str, ...], ...]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{len(series):,} series, {sum(len(one) for one in series):,} samples")
    for names in groups[:SHOWN_MAX]:
        console.print(f"one content: {', '.join(names)}", markup=False)
    for finding in sorted(findings, key=lambda f: (not f.made, f.start_ns))[:SHOWN_MAX]:
        console.print(f"{finding.kind.value}: {finding.sentence()}", markup=False)
    if len(findings) > SHOWN_MAX:
        console.print(f"and {len(findings) - SHOWN_MAX:,} more findings")
    if not findings:
        console.print("nothing was found")


def _text(value: object) -> str:
    return "-" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
