"""The reference telemetry of a session: the samples of all runs in one table, and the frame of any of them.

- Rows are as they were recorded, in the order of arrival, run after run in order of time; nothing is put right. Kept are the
  units of the plan, and every signal from which a gauge of the plan comes: the gauge itself, or its counter.
- The table is a function of the recorded segments and the periods of the runs alone. Whoever has the segments can build it
  again and compare.
- A frame begins at its run's start, so that no two runs share a window.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inspectorate.errors import EvidenceError, InputError
from inspectorate.mechanisms.workloads.enrol import reference
from inspectorate.mechanisms.workloads.telemetry.frame import Frame, Samples
from inspectorate.mechanisms.workloads.telemetry.signals import SIGNALS
from inspectorate.mechanisms.workloads.telemetry.table import read_table
from inspectorate.mechanisms.workloads.telemetry.tidy import tidy
from inspectorate.quantities import Period, to_ns


def in_frames(signal: str) -> str:
    """The gauge that a signal is in frames; one that nobody knows is its own."""
    known = SIGNALS.get(signal)
    return known.in_frames if known else signal


def cut(samples: Samples, period: Period, *, units: Sequence[str], signals: Sequence[str]) -> Samples:
    """The rows of a period, units in the given order, columns from which the gauges `signals` come.

    Units and columns that are not there are simply absent; units in `samples` that are not asked for are left out.
    """
    index = {unit: i for i, unit in enumerate(units)}
    new = np.array([index.get(unit, -1) for unit in samples.units] or [-1], dtype=np.int32)
    unit = new[samples.unit] if len(samples) else np.zeros(0, dtype=np.int32)
    rows = (unit >= 0) & (samples.time_ns >= to_ns(period.start)) & (samples.time_ns < to_ns(period.end))
    columns = [i for i, name in enumerate(samples.signals) if in_frames(name) in set(signals)]
    return Samples(
        units=tuple(units),
        signals=tuple(samples.signals[i] for i in columns),
        time_ns=samples.time_ns[rows],
        unit=unit[rows].astype(np.int32),
        values=np.ascontiguousarray(samples.values[rows][:, columns]),
    )


def joined(parts: Sequence[Samples]) -> Samples:
    """Samples of one set of units, one after another; a signal that a part lacks is NaN in its rows."""
    signals = tuple(dict.fromkeys(name for part in parts for name in part.signals))
    values = []
    for part in parts:
        block = np.full((len(part), len(signals)), np.nan)
        block[:, [signals.index(name) for name in part.signals]] = part.values
        values.append(block)
    return Samples(
        units=parts[0].units,
        signals=signals,
        time_ns=np.concatenate([part.time_ns for part in parts]),
        unit=np.concatenate([part.unit for part in parts]),
        values=np.concatenate(values),
    )


def read_reference(data: bytes, *, units: Sequence[str], signals: Sequence[str], where: str) -> Samples:
    """The samples of a reference table, which must hold these units and these gauges and no other. Raises `EvidenceError`."""
    samples = read_table(data, where=where)
    strangers = sorted(set(samples.units) - set(units))
    if strangers:
        raise EvidenceError(f"holds units that the signature does not name, {strangers[0]!a} first", where=where)
    unknown = sorted(set(samples.signals) - SIGNALS.keys())
    if unknown:
        raise EvidenceError(f"holds signals that nobody knows, {unknown[0]!a} first", where=where)
    gauges = {in_frames(name) for name in samples.signals}
    if gauges != set(signals):
        differing = ", ".join(sorted(gauges ^ set(signals)))
        raise EvidenceError(f"does not hold the signals of its signature: {differing}", where=where)
    index = {unit: i for i, unit in enumerate(units)}
    new = np.array([index[unit] for unit in samples.units] or [0], dtype=np.int32)
    return Samples(
        units=tuple(units), signals=samples.signals, time_ns=samples.time_ns, unit=new[samples.unit],
        values=samples.values,
    )  # fmt: skip


def run_frame(samples: Samples, period: Period, *, signals: Sequence[str], step_s: float) -> Frame:
    """The frame of one run: gauges in the given order, on a grid of `step_s` that begins with the run; NaN where there is none.

    Raises `InputError` where it would be too large.
    """
    step_ns = max(1, round(step_s * 1e9))
    start_ns, end_ns = to_ns(period.start), to_ns(period.end)
    cells = -(-(end_ns - start_ns) // step_ns) * len(samples.units) * len(signals)
    if cells > reference.FRAME_CELLS_MAX:
        raise InputError(
            f"a run of {cells:,} values is more than {reference.FRAME_CELLS_MAX:,}",
            where=str(period),
            remedy="record shorter runs, or fewer units or signals",
        )
    kept = cut(samples, period, units=samples.units, signals=signals)
    return tidy(kept, start_ns=start_ns, end_ns=end_ns, step_ns=step_ns, signals=signals, units=samples.units).frame
