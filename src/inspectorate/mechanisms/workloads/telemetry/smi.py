"""Logs of `nvidia-smi --query-gpu=... --format=csv[,nounits]`, one file or the whole of a run.

- The header names the columns (`power.draw [W]`); it may come again, where logs were appended to. Without one, give `columns`.
- Read are the columns of `names.COLUMNS`. Where several say the same, the most direct is taken.
- A value may carry its unit (`423.10 W`); `[N/A]`, `[Not Supported]` and other words in brackets are values that are not there.
- `timestamp` is the machine's local time (`2026/03/02 09:00:00.123`), so its zone must be told. Where clocks are put back an hour,
  the hour that comes twice is read as the first.
- A chip is named by `uuid`, or else by `index`, `gpu_bus_id` or `pci.bus_id`, as `NODE/gpuN`.
- A line with another number of fields, or a time that is none, is refused and counted.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

import numpy as np

from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.workloads.telemetry.frame import Samples
from inspectorate.mechanisms.workloads.telemetry.lines import TIME_NS_MAX
from inspectorate.mechanisms.workloads.telemetry.names import COLUMNS, scaled
from inspectorate.mechanisms.workloads.telemetry.reference import CSV_ROWS_MAX, LINE_BYTES_MAX, NAME_CHARS_MAX
from inspectorate.mechanisms.workloads.telemetry.report import ReadReport, Unread
from inspectorate.quantities import to_ns

TIMES = ("%Y/%m/%d %H:%M:%S.%f", "%Y/%m/%d %H:%M:%S")
UNITS_OF_CHIPS = ("uuid", "gpu_uuid", "index", "pci.bus_id", "gpu_bus_id", "gpu_index")
_VALUE = re.compile(r"\s*([+-]?[0-9]+(?:\.[0-9]*)?)\s*(?:%|W|MHz|MiB|C)?\s*")
_ABSENT = re.compile(r"\s*(\[[^\]]{0,60}\]|N/A|n/a|)\s*")


@dataclass(frozen=True, kw_only=True)
class _Header:
    """Where what is."""

    fields: int
    time: int
    unit: int
    named: bool
    """Whether units have names of their own, not numbers."""
    values: tuple[tuple[str, int, float], ...]
    """Signal, field and factor."""


def read_smi(
    data: bytes,
    *,
    zone: tzinfo,
    report: ReadReport,
    node: str = "",
    columns: Sequence[str] | None = None,
    where: str = "nvidia-smi log",
) -> Samples:
    """The samples of a log (rules in the module's docstring). Raises `EvidenceError` on what is no such log."""
    text = data.decode("utf-8", errors="replace")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", errors="replace")  # what a Windows shell makes of it
    header = _header(columns, where) if columns is not None else None
    rows: list[tuple[int, str, dict[str, float]]] = []
    for fields in csv.reader(_lines(text, report), skipinitialspace=True):
        if not any(field.strip() for field in fields):
            continue
        found = _header(fields, where) if "timestamp" in (field.strip().lower() for field in fields) else None
        if found is not None:
            header = found
            continue
        report.entries += 1
        if header is None:
            raise EvidenceError(
                "no header names the columns", where=where, remedy="log with a header, or name the columns"
            )
        row = _row(fields, header, (zone, node), report)
        if row is not None:
            rows.append(row)
        if len(rows) > CSV_ROWS_MAX:
            raise EvidenceError(f"more than {CSV_ROWS_MAX} rows", where=where)
    return samples_of_rows(rows)


def samples_of_rows(rows: list[tuple[int, str, dict[str, float]]]) -> Samples:
    """Rows of time, unit and values as samples."""
    units = {unit: place for place, unit in enumerate(dict.fromkeys(unit for _, unit, _ in rows))}
    signals = {signal: place for place, signal in enumerate(dict.fromkeys(s for _, _, values in rows for s in values))}
    table = np.full((len(rows), len(signals)), np.nan)
    for at, (_, _, values) in enumerate(rows):
        for signal, value in values.items():
            table[at, signals[signal]] = value
    return Samples(
        units=tuple(units),
        signals=tuple(signals),
        time_ns=np.array([time_ns for time_ns, _, _ in rows], dtype=np.int64),
        unit=np.array([units[unit] for _, unit, _ in rows], dtype=np.int32),
        values=table,
    )


def _lines(text: str, report: ReadReport) -> io.StringIO:
    """Lines within the bound; a longer one is refused."""
    lines = text.replace("\0", "").splitlines()
    short = [line for line in lines if len(line) <= LINE_BYTES_MAX]
    for _ in range(len(lines) - len(short)):
        report.refuse(Unread.TOO_LONG)
    return io.StringIO("\n".join(short).replace('"', ""))


def _header(fields: Sequence[str], where: str) -> _Header:
    """What a header says. Raises `EvidenceError` where it names no time, no unit or no signal."""
    names = [re.sub(r"\s*\[[^\]]*\]\s*", "", field).strip().lower() for field in fields]
    unit = next((name for name in UNITS_OF_CHIPS if name in names), None)
    values = []
    for signal, known in COLUMNS.items():
        column = next(((name, factor) for name, factor in known if name in names), None)
        if column is not None:
            values.append((signal, names.index(column[0]), column[1]))
    if "timestamp" not in names or unit is None or not values:
        raise EvidenceError(
            f"it does not say when, what or of which chip: {', '.join(names)[:200]}",
            where=where,
            remedy="query timestamp, uuid or index, and for instance power.draw",
        )
    return _Header(
        fields=len(names),
        time=names.index("timestamp"),
        unit=names.index(unit),
        named="uuid" in unit,
        values=tuple(values),
    )


def _row(
    fields: Sequence[str], header: _Header, where: tuple[tzinfo, str], report: ReadReport
) -> tuple[int, str, dict[str, float]] | None:
    """One line as time, unit and values; none if it is refused."""
    zone, node = where
    if len(fields) != header.fields:
        report.refuse(Unread.MALFORMED, repr(",".join(fields)[:60]))
        return None
    time_ns = _time_ns(fields[header.time].strip(), zone)
    if time_ns is None:
        report.refuse(Unread.NO_TIME)
        return None
    name = fields[header.unit].strip()
    if not header.named:
        name = f"{node}/gpu{name}" if node else f"gpu{name}"
    if not fields[header.unit].strip() or len(name) > NAME_CHARS_MAX:
        report.refuse(Unread.NO_UNIT)
        return None
    values = {}
    for signal, place, factor in header.values:
        value = _value(fields[place])
        if value is None:
            report.refuse(Unread.MALFORMED, repr(fields[place][:60]))
            continue
        if math.isnan(value):
            report.refuse(Unread.NOT_A_NUMBER)
        values[signal] = scaled(value, factor)
    return time_ns, name, values


def _time_ns(text: str, zone: tzinfo) -> int | None:
    for form in TIMES:
        try:
            time_ns = to_ns(datetime.strptime(text, form).replace(tzinfo=zone))
        except (ValueError, OverflowError):
            continue
        return time_ns if 0 < time_ns < TIME_NS_MAX else None
    return None


def _value(text: str) -> float | None:
    """A number, NaN for what is not there, none for anything else."""
    found = _VALUE.fullmatch(text)
    if found is not None:
        return float(found[1])
    return math.nan if _ABSENT.fullmatch(text) else None
