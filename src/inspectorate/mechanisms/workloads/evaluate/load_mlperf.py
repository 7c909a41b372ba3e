"""Runs of MLPerf power submissions: the logs as published, and the Parquet extract of them.

As published (mlcommons `inference_results_v*`, `training_results_v*`; Apache-2.0):

- `closed/SUBMITTER/results/SYSTEM/BENCHMARK/SCENARIO/performance/run_1/spl.txt` (and `ranging/`): one line of SPEC PTDaemon a
  second, `Time,MM-DD-YYYY HH:MM:SS.mmm,Watts,...,Volts,...,Amps,...,PF,...,Mark,...`. -1 W is no reading.
- `SUBMITTER/results/SYSTEM/BENCHMARK/power/RESULT/node_N.txt`: lines of `:::MLLOG` with JSON; those with the key
  `power_reading` are readings in watts with `time_ms`.

A workload is benchmark and scenario; its family is the benchmark without accuracy target; a session is one round of one
submitter; nodes and sides (AC, DC) of one result are one job. Exact copies are dropped, 0 W and below is no reading, series
whose window does not match their trace (`phase_suspect`) are left out, and of the extract only samples of the given phases
are used.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from inspectorate.errors import InputError
from inspectorate.files import read_bounded
from inspectorate.mechanisms.workloads.evaluate.logs import files_below
from inspectorate.mechanisms.workloads.evaluate.reference import FILE_BYTES_MAX, ROWS_MAX, RUNS_MAX
from inspectorate.mechanisms.workloads.evaluate.runs import (
    Dropped,
    Kind,
    Run,
    frame_of,
    merged_name,
    without_duplicates,
)

STEADY = ("load", "train", "eval")
"""Phases of steady state: without warming up (`ramp`), starting (`init`) and clearing up (`post`)."""
PHASES = (*STEADY, "ramp", "init", "post")
STEP_S = 2.0
"""Training logs come every 1.05 s or 2 s, laboratory meters every second: on a coarser grid both are always measured."""
WATTS_MIN = 1.0
_COLUMNS = (
    "run_id", "repo", "label", "submitter", "meas", "system", "benchmark", "scenario", "unit", "result", "mark", "t0_ms",
    "power_md5", "phase_suspect", "dup_of",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What of the data is wanted. Empty means all."""

    systems: tuple[str, ...] = ()
    """Parts of the name of a system; one that occurs suffices."""
    phases: tuple[str, ...] = STEADY
    sides: tuple[str, ...] = ("AC",)
    step_s: float = STEP_S
    least_s: float = 120.0
    """Shorter runs are left out: not two windows fit."""
    without: tuple[str, ...] = ()
    """Columns of a recording that are not read: what a poorer meter would not show."""

    def wants(self, system: str, side: str) -> bool:
        fits = not self.systems or any(part in system for part in self.systems)
        return fits and (not self.sides or side in self.sides)


def read_extract(folder: Path, selection: Selection) -> tuple[tuple[Run, ...], Dropped]:
    """Runs of `runs.parquet` and `samples.parquet`. Raises `InputError`."""
    wrong = set(selection.phases) - set(PHASES)
    if wrong:
        raise InputError(f"no phase is called {sorted(wrong)[0]}", remedy=f"choose of {', '.join(PHASES)}")
    rows = [row for row in _run_rows(folder / "runs.parquet") if selection.wants(row["system"], row["meas"])]
    suspect = sum(bool(row["phase_suspect"]) for row in rows)
    rows = [row for row in rows if not row["phase_suspect"]]
    kept = list({row["power_md5"]: row for row in reversed(rows) if row["dup_of"] is None}.values())[::-1]
    series = _series(folder / "samples.parquet", {row["run_id"] for row in kept}, selection.phases)
    found, short, empty = [], 0, 0
    for row in kept:
        seconds, watts = series.get(row["run_id"], (np.empty(0), np.empty(0)))
        if not np.isfinite(watts).any():
            empty += 1
        elif seconds[-1] - seconds[0] < selection.least_s:
            short += 1
        else:
            found.append(_run_of(row, seconds, watts, selection.step_s))
    return tuple(found), Dropped(duplicates=len(rows) - len(kept), suspect=suspect, short=short, empty=empty)


def _run_of(row: Mapping[str, Any], seconds: np.ndarray[Any, Any], watts: np.ndarray[Any, Any], step_s: float) -> Run:
    workload = f"{row['benchmark']}/{row['scenario']}"
    kind: Kind = "training" if row["label"] == "training" else "inference"
    session = f"{row['repo'].rpartition('/')[2]}/{row['submitter']}"
    job = f"{session}/{row['system']}/{workload}/{row['result']}"
    name = f"{job}/{row['unit']}/{row['meas']}"
    return Run(
        id=name,
        frame=frame_of(
            seconds, watts[:, None], signals=("power_w",), step_s=step_s, start_ns=int(row["t0_ms"]) * 10**6
        ),
        workload=workload,
        kind=kind,
        family=merged_name(row["benchmark"]),
        hardware=row["system"],
        submitter=row["submitter"],
        session=session,
        job=job,
    )


def _run_rows(path: Path) -> list[dict[str, Any]]:
    try:
        file = pq.ParquetFile(path)
        if file.metadata.num_rows > RUNS_MAX:
            raise InputError(f"{file.metadata.num_rows} runs are more than {RUNS_MAX}", where=str(path))
        rows: list[dict[str, Any]] = file.read(columns=list(_COLUMNS)).to_pylist()
    except (OSError, pa.ArrowException, KeyError) as fault:
        raise InputError(f"cannot be read as a table of runs: {str(fault)[:200]}", where=str(path)) from None
    for row in rows:
        if any(row[name] is None for name in _COLUMNS if name != "dup_of"):
            raise InputError(f"run {row['run_id']} lacks a value", where=str(path))
    return rows


Series = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


def _series(path: Path, wanted: Collection[int], phases: Sequence[str]) -> dict[int, Series]:
    """Seconds and watts of each wanted run, in the order of time; what is no reading is NaN."""
    try:
        file = pq.ParquetFile(path)
        if file.metadata.num_rows > ROWS_MAX:
            raise InputError(f"{file.metadata.num_rows} samples are more than {ROWS_MAX}", where=str(path))
        table = file.read(columns=["run_id", "t_s", "power_w", "phase"])
        run, seconds = table["run_id"].to_numpy(), table["t_s"].to_numpy().astype(np.float64)
        watts = table["power_w"].to_numpy().astype(np.float64)
        coded = table["phase"].combine_chunks().dictionary_encode()
        phase = coded.indices.to_numpy(zero_copy_only=False)
        codes = [place for place, name in enumerate(coded.dictionary.to_pylist()) if name in phases]
    except (OSError, pa.ArrowException, KeyError, ValueError) as fault:
        raise InputError(f"cannot be read as a table of samples: {str(fault)[:200]}", where=str(path)) from None
    keep = np.isin(run, np.fromiter(wanted, dtype=np.int64, count=len(wanted))) & np.isin(phase, codes)
    run, seconds, watts = run[keep], seconds[keep], watts[keep]
    watts = np.where(watts >= WATTS_MIN, watts, np.nan)
    order = np.lexsort((seconds, run))
    run, seconds, watts = run[order], seconds[order], watts[order]
    starts = np.flatnonzero(np.diff(run, prepend=-1))
    return {
        int(run[start]): (seconds[start:stop], watts[start:stop])
        for start, stop in zip(starts, [*starts[1:], len(run)], strict=True)
    }


# --- the logs as published -------------------------------------------------------------------------------------------------


def read_published(folder: Path, selection: Selection) -> tuple[tuple[Run, ...], Dropped]:
    """Runs of all `spl.txt` and `node_*.txt` below a folder that is a checkout of results. Raises `InputError`."""
    found, short, empty = [], 0, 0
    for path in files_below(folder, ("spl.txt", "node_*.txt")):
        row = _row_of_path(path.relative_to(folder.parent).parts)
        if row is None or not selection.wants(row["system"], row["meas"]):
            continue
        data = read_bounded(path, FILE_BYTES_MAX)
        seconds, watts = _spl(data, str(path)) if path.name == "spl.txt" else _mllog(data, str(path))
        if not np.isfinite(watts).any():
            empty += 1
            continue
        if seconds[-1] - seconds[0] < selection.least_s:
            short += 1
            continue
        run = _run_of({**row, "t0_ms": round(seconds[0] * 1000)}, seconds, watts, selection.step_s)
        found.append(replace(run, id=f"{run.id}/{path.parent.name}"))
    runs, copies = without_duplicates(found)
    return runs, Dropped(duplicates=copies, short=short, empty=empty)


def _row_of_path(parts: Sequence[str]) -> dict[str, Any] | None:
    """What the place of a log says about it; none if it is no place of one."""
    if "results" not in parts[:-1]:
        return None
    at = len(parts) - 1 - list(reversed(parts)).index("results")
    below = parts[at + 1 :]
    row: dict[str, Any] = {"repo": parts[0], "submitter": parts[at - 1] if at else "", "meas": "AC", "unit": "node_0"}
    if parts[-1] == "spl.txt" and len(below) == 6:
        return row | {
            "label": "inference",
            "system": below[0],
            "benchmark": below[1],
            "scenario": below[2].lower(),
            "result": below[4],
        }
    if parts[-1] != "spl.txt" and len(below) == 5 and below[2] == "power":
        side = "DC" if "dc-power" in row["submitter"] else "AC"
        submitter = row["submitter"].removesuffix("-ac-power").removesuffix("-dc-power")
        return row | {
            "label": "training",
            "system": below[0],
            "benchmark": below[1],
            "scenario": "train",
            "result": below[3],
            "unit": below[4].removesuffix(".txt"),
            "meas": side,
            "submitter": submitter,
        }
    return None


def _lines(data: bytes) -> Iterable[tuple[int, str]]:
    return enumerate(data.decode("utf-8", "replace").splitlines(), 1)


def _spl(data: bytes, where: str) -> Series:
    """Readings of SPEC PTDaemon. Times are local to the meter, and are used as differences only."""
    seconds, watts = [], []
    for number, line in _lines(data):
        fields = line.split(",")
        if len(fields) < 4 or fields[0] != "Time" or fields[2] != "Watts":
            continue
        try:
            moment = datetime.strptime(fields[1], "%m-%d-%Y %H:%M:%S.%f").replace(tzinfo=UTC)
            watts.append(float(fields[3]))
        except ValueError:
            raise InputError(f"line {number} is no reading of PTDaemon: {line[:80]!r}", where=where) from None
        seconds.append(moment.timestamp())
    return _series_of(seconds, watts, where)


def _mllog(data: bytes, where: str) -> Series:
    seconds, watts = [], []
    for number, line in _lines(data):
        _, mark, text = line.partition(":::MLLOG ")
        if not mark:
            continue
        try:
            entry = json.loads(text)
            if entry["key"] == "power_reading":
                moment, value = float(entry["time_ms"]) / 1000, float(entry["value"])
                seconds.append(moment)
                watts.append(value)
        except (ValueError, TypeError, KeyError, RecursionError):
            raise InputError(f"line {number} is no entry of MLLOG: {line[:80]!r}", where=where) from None
    return _series_of(seconds, watts, where)


def _series_of(seconds: Sequence[float], watts: Sequence[float], where: str) -> Series:
    if not seconds:
        raise InputError("holds no reading of power", where=where)
    moments, values = np.array(seconds), np.array(watts)
    if not np.isfinite(moments).all():
        raise InputError("a time is no number", where=where)
    order = np.argsort(moments, kind="stable")
    return moments[order], np.where(values[order] >= WATTS_MIN, values[order], np.nan)
