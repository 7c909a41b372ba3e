"""Public data sets of GPU telemetry in the forms in which they are published, so that others can repeat an evaluation.

- `read_spar`: SPAR-GPU-monitoring (Rahman, Tajdari): one Parquet table per run, 1 Hz, NVML and some DCGM fields. `-1` and blanks
  near 2^63 stand for what a chip does not have; both stay, and `tidy` leaves them out. PCIe is in MB/s of 2^20 bytes. The labels
  of the run come with it.
- `read_supercloud`: MIT Supercloud: one CSV per job and node, 100 ms, `nvidia-smi` values. Its timestamps are seconds since 1970.

Columns of quantities that the catalogue lacks (fan speed, free memory) are not read. A table is bounded as our own are (`table`).
Sources: SPAR-GPU-monitoring `scripts/collect_telemetry.py`; MIT Supercloud data set (arXiv 2108.02037).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv
from numpy.typing import NDArray

from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.workloads.telemetry.frame import SAMPLES_MAX, Samples
from inspectorate.mechanisms.workloads.telemetry.lines import TIME_NS_MAX
from inspectorate.mechanisms.workloads.telemetry.names import MIB
from inspectorate.mechanisms.workloads.telemetry.reference import NAME_CHARS_MAX, TABLE_BYTES_MAX
from inspectorate.mechanisms.workloads.telemetry.report import ReadReport, Unread
from inspectorate.mechanisms.workloads.telemetry.signals import SENTINEL_MIN
from inspectorate.mechanisms.workloads.telemetry.table import FAULTS, codes, floats, open_table

# Column -> (signal, factor).
SPAR_COLUMNS: Mapping[str, tuple[str, float]] = {
    "gpu_utilization_pct": ("busy_share", 0.01),
    "mem_utilization_pct": ("memory_busy_share", 0.01),
    "mem_used_mb": ("memory_used_bytes", MIB),
    "power_draw_w": ("power_w", 1.0),
    "temperature_c": ("temperature_c", 1.0),
    "sm_clock_mhz": ("core_clock_hz", 1e6),
    "mem_clock_mhz": ("memory_clock_hz", 1e6),
    "pcie_tx_mbps": ("pcie_sent_bytes_per_s", MIB),
    "pcie_rx_mbps": ("pcie_received_bytes_per_s", MIB),
    "encoder_util_pct": ("encoder_busy_share", 0.01),
    "decoder_util_pct": ("decoder_busy_share", 0.01),
    "dcgm_gr_engine_active": ("engine_busy_share", 1.0),
    "dcgm_sm_active": ("sm_busy_share", 1.0),
    "dcgm_tensor_active": ("tensor_busy_share", 1.0),
    "dcgm_dram_active": ("dram_busy_share", 1.0),
    "dcgm_nvlink_tx_bytes": ("nvlink_sent_bytes_per_s", 1.0),
    "dcgm_nvlink_rx_bytes": ("nvlink_received_bytes_per_s", 1.0),
}
SPAR_TIME, SPAR_UNIT = "timestamp_epoch", "gpu_uuid"
SPAR_LABELS = ("workload_label", "run_id", "gpu_name", "driver_version")
SUPERCLOUD_COLUMNS: Mapping[str, tuple[str, float]] = {
    "utilization_gpu_pct": ("busy_share", 0.01),
    "utilization_memory_pct": ("memory_busy_share", 0.01),
    "memory_used_MiB": ("memory_used_bytes", MIB),
    "temperature_gpu": ("temperature_c", 1.0),
    "temperature_memory": ("memory_temperature_c", 1.0),
    "power_draw_W": ("power_w", 1.0),
}
SUPERCLOUD_TIME, SUPERCLOUD_UNIT = "timestamp", "gpu_index"


@dataclass(frozen=True, kw_only=True)
class PublicRun:
    """Samples of one run, and what its publisher says of it."""

    samples: Samples
    labels: Mapping[str, str]


def read_spar(path: Path, *, report: ReadReport) -> PublicRun:
    """One run of SPAR-GPU-monitoring. Raises `EvidenceError` on what is no such table."""
    try:
        opened = open_table(path, (SPAR_UNIT, *SPAR_LABELS), where=str(path))
        there = set(opened.schema.names)
        wanted = [name for name in (SPAR_TIME, SPAR_UNIT, *SPAR_LABELS, *SPAR_COLUMNS) if name in there]
        table = opened.read(wanted)
    except FAULTS as fault:
        raise EvidenceError(f"cannot be read as a table: {str(fault)[:200]}", where=str(path)) from None
    samples = _samples(table, SPAR_COLUMNS, (SPAR_TIME, SPAR_UNIT, ""), str(path), report)
    labels = {}
    for name in SPAR_LABELS:
        values = table[name].unique().to_pylist() if name in there else []
        if len(values) == 1:
            labels[name] = str(values[0])[:NAME_CHARS_MAX]
    return PublicRun(samples=samples, labels=labels)


def read_supercloud(path: Path, *, node: str, report: ReadReport) -> Samples:
    """One file of MIT Supercloud; chips are named `NODE/gpuN`. Raises `EvidenceError` on what is no such file."""
    try:
        if path.stat().st_size > TABLE_BYTES_MAX:
            raise EvidenceError(f"is larger than {TABLE_BYTES_MAX} bytes", where=str(path))
        text = dict.fromkeys((SUPERCLOUD_TIME, SUPERCLOUD_UNIT, *SUPERCLOUD_COLUMNS), pa.string())
        table = pcsv.read_csv(path, convert_options=pcsv.ConvertOptions(column_types=text))
    except (OSError, pa.ArrowException) as fault:
        raise EvidenceError(f"cannot be read as a table: {str(fault)[:200]}", where=str(path)) from None
    return _samples(table, SUPERCLOUD_COLUMNS, (SUPERCLOUD_TIME, SUPERCLOUD_UNIT, f"{node}/gpu"), str(path), report)


def _samples(
    table: pa.Table,
    columns: Mapping[str, tuple[str, float]],
    keys: tuple[str, str, str],
    where: str,
    report: ReadReport,
) -> Samples:
    """Samples of a table: `keys` are its columns of times and units, and what stands before a unit's name."""
    time, unit, before = keys
    there = [name for name in columns if name in table.column_names]
    if not {time, unit} <= set(table.column_names) or not there:
        raise EvidenceError(
            f"it lacks {time}, {unit}, or all of {', '.join(columns)}", where=where, remedy="give a file as published"
        )
    if table.num_rows * len(there) > SAMPLES_MAX:
        raise EvidenceError(f"{table.num_rows} rows are beyond the bounds", where=where)
    report.entries += table.num_rows
    seconds = _numbers(table[time], report)
    with np.errstate(invalid="ignore"):
        timed = (seconds > 0) & (seconds < TIME_NS_MAX / 1e9)
    timed &= ~table[unit].is_null().to_numpy()
    report.unread[Unread.NO_TIME] += int((~timed).sum())
    kept = table.filter(pa.array(timed))
    named = kept[unit]
    index, names = codes(named if pa.types.is_dictionary(named.type) else named.cast(pa.string()), where)
    values = np.empty((kept.num_rows, len(there)), dtype=np.float64)
    for place, name in enumerate(there):
        raw = _numbers(kept[name], report)
        values[:, place] = np.where(raw >= SENTINEL_MIN, raw, raw * columns[name][1])
    return Samples(
        units=tuple(before + name for name in names),
        signals=tuple(columns[name][0] for name in there),
        # A float of seconds resolves a quarter of a microsecond.
        time_ns=np.round(seconds[timed] * 1e6).astype(np.int64) * 1_000,
        unit=index,
        values=values,
    )


def _numbers(column: pa.ChunkedArray, report: ReadReport) -> NDArray[np.float64]:
    """A column as numbers; a text that is none is counted, and is NaN."""
    if not pa.types.is_string(column.type):
        return floats(column)
    try:
        return floats(column.cast(pa.float64()))
    except pa.ArrowInvalid:
        found = [_number(text, report) for text in column.to_pylist()]
        return np.array(found, dtype=np.float64)


def _number(text: str | None, report: ReadReport) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        report.refuse(Unread.NOT_A_NUMBER)
        return float("nan")
