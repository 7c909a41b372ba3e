"""Files of readings in any of the forms that are known, told apart by name and first bytes.

| form | told by |
|---|---|
| `parquet` | the magic `PAR1`; needs the extra `parquet` |
| `lines` | the first line is an object with the keys of a reading (`lines`) |
| `gnmi` | any other JSON |
| `prometheus` | anything else; samples need timestamps, because a file does not say when it was scraped |
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.mechanisms.interconnect.counters.gnmi import GnmiReport, read_gnmi
from inspectorate.mechanisms.interconnect.counters.lines import LinesReport, read_lines
from inspectorate.mechanisms.interconnect.counters.prometheus import PrometheusReport, read_prometheus
from inspectorate.mechanisms.interconnect.counters.readings import Readings, readings_of
from inspectorate.mechanisms.interconnect.counters.reference import INPUT_BYTES_MAX, LINE_BYTES_MAX

NODE_UNKNOWN = "node"


class Form(StrEnum):
    PARQUET = "parquet"
    LINES = "lines"
    GNMI = "gnmi"
    PROMETHEUS = "prometheus"


@dataclass(frozen=True, kw_only=True)
class FileRead:
    """What one file held, and what of it was refused."""

    form: Form
    readings: Readings
    refused: int
    first_fault: str


def read_file(path: Path, *, age_ns: int = 0) -> FileRead:
    """The readings in a file. Raises `InputError`, `EvidenceError`, and `EnvironmentError_` where an extra is missing."""
    try:
        if path.stat().st_size > INPUT_BYTES_MAX:
            raise InputError(f"is larger than {INPUT_BYTES_MAX} bytes", where=str(path))
        with path.open("rb") as file:
            head = file.read(LINE_BYTES_MAX)
            form = _form_of(head)
            data = b"" if form is Form.PARQUET else head + file.read(INPUT_BYTES_MAX)
    except OSError as fault:
        raise InputError(f"cannot be read: {fault.strerror}", where=str(path)) from None
    match form:
        case Form.PARQUET:
            read_parquet: Callable[..., Readings] = optional("parquet", "read_parquet")
            return FileRead(form=form, readings=read_parquet(path, age_ns=age_ns), refused=0, first_fault="")
        case Form.LINES:
            lines = LinesReport()
            readings = readings_of(read_lines(data, lines))
            refused, fault_text = lines.refused, lines.first_fault
        case Form.GNMI:
            gnmi = GnmiReport()
            readings = readings_of(read_gnmi(data, gnmi))
            refused, fault_text = gnmi.refused, gnmi.first_fault
        case Form.PROMETHEUS:
            page = PrometheusReport()
            text = data.decode("utf-8", "replace")
            # The year 1970 is no time of a reading: a sample without a timestamp is refused.
            readings = readings_of(read_prometheus(text, node=NODE_UNKNOWN, scraped_ns=0, report=page))
            refused, fault_text = page.refused, page.first_fault
    return FileRead(form=form, readings=_aged(readings, age_ns), refused=refused, first_fault=fault_text)


def optional(module: str, name: str) -> Callable[..., Readings]:
    """Something of a module that needs an extra. Raises `EnvironmentError_` where that is not installed."""
    try:
        found: Callable[..., Readings] = getattr(importlib.import_module(f"{__package__}.{module}"), name)
    except ImportError as fault:
        raise EnvironmentError_(
            f"needs {fault.name}, which is not installed", where=module, remedy=f"install inspectorate[{module}]"
        ) from None
    return found


def _form_of(head: bytes) -> Form:
    if head.startswith(b"PAR1"):
        return Form.PARQUET
    if head.lstrip()[:1] not in (b"{", b"["):
        return Form.PROMETHEUS
    try:
        value = json.loads(head.lstrip().split(b"\n", 1)[0])
    except (ValueError, RecursionError):
        return Form.GNMI
    return Form.LINES if isinstance(value, dict) and {"time_ns", "in_octets"} <= value.keys() else Form.GNMI


def _aged(readings: Readings, age_ns: int) -> Readings:
    if not age_ns:
        return readings
    rows = readings.rows.copy()
    rows["age_ns"] += age_ns
    return Readings(ports=readings.ports, rows=rows)
