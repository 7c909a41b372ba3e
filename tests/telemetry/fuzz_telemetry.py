"""Coverage-guided fuzzing of the readers with atheris: `python tests/telemetry/fuzz_telemetry.py -max_total_time=600 [CORPUS]`.

Kernels are compiled with bounds checks here, so that a read outside an array is a finding and not a wrong number. The first byte
chooses the reader; FUZZ_ONLY=text|log|table|number keeps to one. Anything raised but `EvidenceError` is a finding, and so is text
that both ways of reading do not read alike.
"""

from __future__ import annotations

import contextlib
import os
import struct
import sys
import tempfile
from datetime import UTC
from types import FunctionType

os.environ["NUMBA_BOUNDSCHECK"] = "1"
os.environ["NUMBA_CACHE_DIR"] = os.path.join(tempfile.gettempdir(), f"telemetry-fuzz-{os.getuid()}")

import atheris
import numpy as np
import telemetry_making as make

from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.workloads.telemetry import book, lines, names, prometheus, smi, table
from inspectorate.mechanisms.workloads.telemetry.frame import Samples
from inspectorate.mechanisms.workloads.telemetry.numbers import PLAIN, read_number
from inspectorate.mechanisms.workloads.telemetry.prometheus import PrometheusReader
from inspectorate.mechanisms.workloads.telemetry.report import ReadReport
from inspectorate.mechanisms.workloads.telemetry.smi import read_smi
from inspectorate.mechanisms.workloads.telemetry.table import read_table, write_table
from inspectorate.mechanisms.workloads.telemetry.tidy import tidy

PLAIN_MODULES = (book, lines, names, prometheus, smi, table)
"""Modules without kernels, which tell atheris what they reach: numba does not compile what atheris has instrumented."""
ONE = make.scrapes(1, hosts=1, rounds=2, chips=1, metrics=4)


def gridded(samples: Samples) -> None:
    start = int(samples.time_ns.min()) if len(samples) else make.START_NS
    tidy(samples, start_ns=start, end_ns=start + 30 * make.S, step_ns=make.S)


def text(data: bytes) -> None:
    ways = []
    for by_pages in (True, False):
        report, reader = ReadReport(), PrometheusReader(by_pages=by_pages)
        ways.append(([reader.read(payload, report) for payload in (ONE, data, data)], report))
    (fast, report), (slow, other) = ways
    assert all(make.same(a, b) for a, b in zip(fast, slow, strict=True))
    assert (report.entries, report.unread) == (other.entries, other.unread)
    gridded(fast[1])


def log(data: bytes) -> None:
    gridded(read_smi(data, zone=UTC, report=ReadReport()))


def rows(data: bytes) -> None:
    gridded(read_table(data))


def number(data: bytes) -> None:
    outcome, value, end = read_number(np.frombuffer(data, dtype=np.uint8), 0, len(data))
    assert 0 <= end <= len(data)
    if outcome == PLAIN:
        assert struct.pack("d", value) == struct.pack("d", float(data[:end]))


TARGETS = {"text": text, "log": log, "table": rows, "number": number}


def one_input(data: bytes) -> None:
    only = os.environ.get("FUZZ_ONLY")
    with contextlib.suppress(EvidenceError):
        if only:
            TARGETS[only](data)
        elif data:
            list(TARGETS.values())[data[0] % len(TARGETS)](data[1:])


def write_seeds(folder: str) -> None:
    """Well-formed inputs of each target to start from."""
    samples = make.samples([(make.START_NS, "a", {"power_w": 1.0}), (make.START_NS + make.S, "b", {"energy_j": 2.0})])
    smi_log = b"timestamp, index, power.draw [W]\n2026/03/02 09:00:00.123, 0, 423.10 W\n"
    only = os.environ.get("FUZZ_ONLY")
    for place, (name, seed) in enumerate(
        {"text": ONE, "log": smi_log, "table": write_table(samples), "number": b"-1234.5678901234567890e-5"}.items()
    ):
        if only in (None, name):
            with open(os.path.join(folder, name), "wb") as out:
                out.write(seed if only else bytes([place]) + seed)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as corpus:
        write_seeds(corpus)
        for module in PLAIN_MODULES:
            for function in vars(module).values():
                if isinstance(function, FunctionType) and function.__module__ == module.__name__:
                    atheris.instrument_func(function)
        atheris.Setup([*sys.argv, corpus], one_input)
        atheris.Fuzz()
