"""Runs of GPU telemetry: SPAR tables, MIT Supercloud files, `nvidia-smi` logs, and our own recordings with a file of labels.

Each unit of a file is one run, and all units of a file are one job. What the labels are:

- SPAR: the name of the file, `WORKLOAD_GPU_ID_YYYYMMDD_HHMMSS.parquet`; the label in the table says the kind, and nothing
  is guessed from names. Disguises are not told apart there: for those, write a file of labels.
- MIT Supercloud: a table of labels is published beside it (`labelled_jobids.csv`: `id_job`, `model`); all of it is training.
- `nvidia-smi` logs and our own recordings: a YAML file, one entry per run (`Labels`).

Reading the files is the business of `telemetry`; gaps and blanks are those of `tidy`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, ValidationError

from inspectorate.canonical import Record, Text, first_fault
from inspectorate.errors import EvidenceError, InputError
from inspectorate.files import read_bounded
from inspectorate.keys import read_yaml
from inspectorate.mechanisms.workloads.evaluate.load_mlperf import Selection
from inspectorate.mechanisms.workloads.evaluate.logs import files_below
from inspectorate.mechanisms.workloads.evaluate.reference import FILE_BYTES_MAX, RUNS_MAX, TIMES_MAX
from inspectorate.mechanisms.workloads.evaluate.runs import Dropped, Kind, Run, without_duplicates
from inspectorate.mechanisms.workloads.telemetry.frame import Frame, Samples
from inspectorate.mechanisms.workloads.telemetry.public import read_spar, read_supercloud
from inspectorate.mechanisms.workloads.telemetry.report import ReadReport
from inspectorate.mechanisms.workloads.telemetry.signals import SIGNALS as SIGNALS_KNOWN
from inspectorate.mechanisms.workloads.telemetry.smi import read_smi
from inspectorate.mechanisms.workloads.telemetry.table import read_table
from inspectorate.mechanisms.workloads.telemetry.tidy import tidy

SIGNALS = ("power_w", "busy_share", "memory_busy_share")
"""What every source of GPU telemetry has; asked for unless others are named."""
SPAR_KINDS: dict[str, Kind] = {"ml_training": "training", "ml_inference": "inference", "idle": "idle"}
_SPAR_NAME = re.compile(r"(?P<workload>.+)_(?P<gpu>[^_]+)_(?P<id>[^_]+)_(?P<day>\d{8})_\d{6}")
_SUPERCLOUD_NAME = re.compile(r"(?P<job>\d+)-(?P<node>[^.]+)")


class Labels(Record):
    """What one recorded file is."""

    file: Text
    workload: Text
    kind: Kind
    family: str = ""
    hardware: Text
    submitter: str = ""
    session: str = ""
    job: str = ""
    disguise: str = ""
    claims: str = ""


class LabelFile(Record):
    """All of them, as YAML."""

    runs: Annotated[tuple[Labels, ...], Field(min_length=1, max_length=RUNS_MAX)]


def runs_of(samples: Samples, labels: Labels, selection: Selection, signals: Sequence[str]) -> list[Run]:
    """One run for each unit with something of every signal. Raises `EvidenceError` where a signal is not measured."""
    there = sorted({SIGNALS_KNOWN[name].in_frames for name in samples.signals})
    missing = [name for name in signals if name not in there]
    if missing:
        raise EvidenceError(f"has no {missing[0]}; it has {', '.join(there)}", where=labels.file)
    start_ns, step_ns = int(samples.time_ns.min()), round(selection.step_s * 1e9)
    steps = (int(samples.time_ns.max()) - start_ns) // step_ns + 1
    if steps > TIMES_MAX:
        raise EvidenceError(f"{steps} steps are more than {TIMES_MAX}", where=labels.file)
    end_ns = start_ns + steps * step_ns
    whole = tidy(samples, start_ns=start_ns, end_ns=end_ns, step_ns=step_ns, signals=signals).frame
    runs = []
    for place, unit in enumerate(whole.units):
        values = np.ascontiguousarray(whole.values[:, :, place : place + 1])
        if np.isfinite(values).any(axis=1).all():
            runs.append(_run(replace(whole, units=(unit,), values=values), labels))
    return runs


def _run(frame: Frame, labels: Labels) -> Run:
    return Run(
        id=f"{labels.file}/{frame.units[0]}",
        frame=frame,
        workload=labels.workload,
        kind=labels.kind,
        family=labels.family or labels.workload,
        hardware=labels.hardware,
        submitter=labels.submitter,
        session=labels.session or labels.file,
        job=labels.job or labels.file,
        disguise=labels.disguise,
        claims=labels.claims,
    )


Reader = Callable[[Path], tuple[Samples, Labels] | None]


def _gather(
    folder: Path, patterns: Sequence[str], read: Reader, selection: Selection, signals: Sequence[str]
) -> tuple[tuple[Run, ...], Dropped]:
    """Runs of all files. Raises `InputError` on a file that cannot be read: nothing is left out silently."""
    found: list[Run] = []
    short = empty = 0
    for path in files_below(folder, patterns):
        try:
            given = read(path)
            if given is None or not selection.wants(given[1].hardware, "AC"):
                continue
            samples, labels = given
            if not len(samples):
                empty += 1
            elif int(samples.time_ns.max()) - int(samples.time_ns.min()) < selection.least_s * 1e9:
                short += 1
            else:
                found += runs_of(samples, labels, selection, signals)
        except EvidenceError as fault:
            raise InputError(fault.problem, where=fault.where or str(path), remedy=fault.remedy) from None
    runs, copies = without_duplicates(found)
    return runs, Dropped(duplicates=copies, short=short, empty=empty)


def read_spar_runs(
    folder: Path, selection: Selection, signals: Sequence[str] = SIGNALS
) -> tuple[tuple[Run, ...], Dropped]:
    """Runs of SPAR-GPU-monitoring. Raises `InputError`."""

    def read(path: Path) -> tuple[Samples, Labels] | None:
        named = _SPAR_NAME.fullmatch(path.stem)
        if named is None:
            raise InputError("is not named WORKLOAD_GPU_ID_YYYYMMDD_HHMMSS.parquet", where=str(path))
        run = read_spar(path, report=ReadReport())
        return run.samples, Labels(
            file=path.name,
            workload=named["workload"],
            kind=SPAR_KINDS.get(run.labels.get("workload_label", ""), "other"),
            hardware=named["gpu"],
            submitter="SPAR",
            session=named["day"],
        )

    return _gather(folder, ("*.parquet",), read, selection, signals)


def read_supercloud_runs(
    folder: Path, labels_path: Path, selection: Selection, signals: Sequence[str] = SIGNALS
) -> tuple[tuple[Run, ...], Dropped]:
    """Labelled jobs of MIT Supercloud. Raises `InputError`."""
    text = io.StringIO(read_bounded(labels_path, FILE_BYTES_MAX).decode("utf-8", "replace"))
    rows = csv.DictReader(text)
    if not {"id_job", "model"} <= set(rows.fieldnames or ()):
        raise InputError("has no columns id_job and model", where=str(labels_path))
    models = {row["id_job"]: row["model"] for row in rows if row["id_job"] and row["model"]}

    def read(path: Path) -> tuple[Samples, Labels] | None:
        named = _SUPERCLOUD_NAME.match(path.stem)
        if named is None or named["job"] not in models:
            return None
        samples = read_supercloud(path, node=named["node"], report=ReadReport())
        return samples, Labels(
            file=path.name,
            workload=models[named["job"]],
            kind="training",
            hardware="V100",
            submitter="MIT Supercloud",
            session=named["job"],
            job=named["job"],
        )

    return _gather(folder, ("*.csv",), read, selection, signals)


def read_labelled(
    labels_path: Path, selection: Selection, signals: Sequence[str] = SIGNALS
) -> tuple[tuple[Run, ...], Dropped]:
    """Our own tables and `nvidia-smi` logs beside a file of labels. Raises `InputError`."""
    try:
        given = LabelFile.model_validate(read_yaml(labels_path, bytes_max=FILE_BYTES_MAX))
    except ValidationError as fault:
        raise InputError(f"is no file of labels: {first_fault(fault)}", where=str(labels_path)) from None
    folder = labels_path.parent.resolve()
    found: list[Run] = []
    dropped = Dropped()
    seen: set[Path] = set()
    for labels in given.runs:
        path = (folder / labels.file).resolve()
        if not path.is_relative_to(folder):
            raise InputError(f"{labels.file} is outside of the folder of the labels", where=str(labels_path))
        if path in seen:
            raise InputError(f"{labels.file} has two labels", where=str(labels_path))
        seen.add(path)
        runs, one = _gather(path, (), partial(_labelled, labels), selection, signals)
        found += runs
        dropped = replace(dropped, short=dropped.short + one.short, empty=dropped.empty + one.empty)
    kept, copies = without_duplicates(found)
    return kept, replace(dropped, duplicates=copies)


def _labelled(labels: Labels, path: Path) -> tuple[Samples, Labels]:
    return _read(path), labels


def _read(path: Path) -> Samples:
    if path.suffix == ".parquet":
        return read_table(path)
    return read_smi(read_bounded(path, FILE_BYTES_MAX), zone=UTC, report=ReadReport(), where=str(path))
