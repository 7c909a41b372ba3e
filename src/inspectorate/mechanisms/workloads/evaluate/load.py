"""One way into all forms of data, by name."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from inspectorate.errors import InputError
from inspectorate.mechanisms.workloads.evaluate.load_accelerator import read_accelerator
from inspectorate.mechanisms.workloads.evaluate.load_mlperf import Selection, read_extract, read_published
from inspectorate.mechanisms.workloads.evaluate.load_tables import (
    SIGNALS,
    read_labelled,
    read_spar_runs,
    read_supercloud_runs,
)
from inspectorate.mechanisms.workloads.evaluate.runs import Dropped, Run, checked


class Form(StrEnum):
    """Where runs come from."""

    MLPERF = "mlperf"
    """A folder with `runs.parquet` and `samples.parquet`."""
    MLPERF_LOGS = "mlperf-logs"
    """A checkout of published results."""
    SPAR = "spar"
    SUPERCLOUD = "supercloud"
    """A folder of files; labels name the table of labelled jobs."""
    ACCELERATOR = "accelerator"
    """A folder with `chip.parquet`, `runs.jsonl` and `manifest.json`: our own recording; or a folder of such folders."""
    LABELLED = "labelled"
    """A YAML file of labels; recordings and `nvidia-smi` logs beside it."""


def load_runs(
    path: Path, form: Form, *, labels: Path | None = None, signals: Sequence[str] = (), **wanted: Any
) -> tuple[tuple[Run, ...], Dropped]:
    """Runs of a data set; `wanted` are the fields of `load_mlperf.Selection`. Raises `InputError`."""
    selection = Selection(**wanted)
    gauges = tuple(signals) or SIGNALS
    match form:
        case Form.MLPERF:
            runs, dropped = read_extract(path, selection)
        case Form.MLPERF_LOGS:
            runs, dropped = read_published(path, selection)
        case Form.SPAR:
            runs, dropped = read_spar_runs(path, selection, gauges)
        case Form.SUPERCLOUD:
            if labels is None:
                raise InputError("MIT Supercloud needs its table of labels", remedy="give --labels labelled_jobids.csv")
            runs, dropped = read_supercloud_runs(path, labels, selection, gauges)
        case Form.ACCELERATOR:
            runs, dropped = read_accelerator(path, selection, gauges)
        case Form.LABELLED:
            runs, dropped = read_labelled(path, selection, gauges)
    return checked(runs, where=str(path)), dropped
