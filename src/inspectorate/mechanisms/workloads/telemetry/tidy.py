"""From samples as they came to a frame on a regular grid; what had to be left out is counted, by reason.

Procedure, per unit and signal, in order of time (samples that came late are put in their place first):

1. A value that is blank (`SENTINEL_MIN`), above or below what its signal can be, or outside of the period is left out.
2. The same value twice at one time is one. Different values at one time contradict each other: which is right is not known, so
   none is taken.
3. A gauge's step has the mean of the values within it. A step without one is a gap: no value is ever carried on. Only where the
   samples on both sides are no further apart than `JITTER_MAX` steps was nothing left out, and the step has the mean of those two.
4. A counter has risen from one reading to the next, and the increase is spread evenly over the time between. Not if they are
   further apart than `gap_ns` (or than it takes to be refreshed), if it fell (reset or wrapped), or if it rose faster than its
   gauge can be: there is a gap. Equal readings say nothing before the counter had time to be refreshed (`Signal.refreshed_s`). A
   step needs readings that span at least `COVERED_SHARE_MIN` of it.
5. Where a counter and its gauge are both there, the counter is taken and the gauge fills what it left: a counter misses nothing,
   a gauge of power samples a quarter of the time on some chips (arXiv 2312.02741).

A clock that was put back looks like samples that came late: two histories laid over one another. Their counters fall, so they leave
gaps; their gauges contradict each other or are averaged. `Oddity.LATE` counts them; `integrity` looks for clocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.workloads.telemetry.frame import Frame, Samples
from inspectorate.mechanisms.workloads.telemetry.gridding import (
    NEVER,
    ODDITIES,
    Columns,
    Grid,
    Oddity,
    Rows,
    States,
    Work,
    fill_counters,
    fill_gauges,
    look_at_times,
)
from inspectorate.mechanisms.workloads.telemetry.reference import CELLS_MAX, GAP_STEPS
from inspectorate.mechanisms.workloads.telemetry.signals import SIGNALS, Signal, SignalKind

__all__ = ["Grid", "Oddity", "Tidied", "tidy", "tidy_onto"]


@dataclass(frozen=True, kw_only=True)
class Tidied:
    """A frame, and what did not come into it.

    `counts` has the oddities that occurred. `values_used` is how many values stand behind the frame.
    """

    frame: Frame
    counts: Mapping[Oddity, int]
    values_used: int


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """What the frame is to hold, and where its columns are among the samples."""

    signals: tuple[str, ...]
    columns: tuple[int, ...]
    kinds: tuple[Signal, ...]
    """Of each of the columns."""


def tidy(
    samples: Samples,
    *,
    start_ns: int,
    end_ns: int,
    step_ns: int,
    signals: Sequence[str] | None = None,
    units: Sequence[str] | None = None,
) -> Tidied:
    """The frame of [start_ns, end_ns) in steps of `step_ns` (procedure in the module's docstring); the last may reach beyond.

    `signals` (gauges) and `units` choose what is in it, in their order; by default all that there is. Readings of counters may be
    `GAP_STEPS` steps apart; `tidy_onto` takes another gap. Raises `EvidenceError` on a frame beyond `CELLS_MAX`, `ValueError` on a
    signal that is not known and on a period or a step that is not longer than nothing.
    """
    grid = Grid(start_ns=start_ns, end_ns=end_ns, step_ns=step_ns, gap_ns=GAP_STEPS * step_ns)
    return tidy_onto(samples, grid, signals=signals, units=units)


def tidy_onto(
    samples: Samples, grid: Grid, *, signals: Sequence[str] | None = None, units: Sequence[str] | None = None
) -> Tidied:
    """`tidy`, with a given gap between readings of counters."""
    if grid.step_ns <= 0 or grid.end_ns <= grid.start_ns:
        raise ValueError("a period and a step must be longer than nothing")
    wanted = _wanted(samples, signals)
    names = samples.units if units is None else tuple(units)
    times = -(-(grid.end_ns - grid.start_ns) // grid.step_ns)
    if times * len(names) * max(1, len(wanted.signals)) > CELLS_MAX:
        raise EvidenceError(
            f"{times} steps of {len(names)} units and {len(wanted.signals)} signals are more than {CELLS_MAX} values",
            where="telemetry",
            remedy="use longer steps, a shorter period or fewer units",
        )
    values = np.full((len(wanted.signals), times, len(names)), np.nan, dtype=np.float32)
    counts = np.zeros(len(ODDITIES) + 1, dtype=np.int64)
    rows = _rows(samples, names, counts)
    for kind, fill in ((SignalKind.GAUGE, fill_gauges), (SignalKind.COUNTER, fill_counters)):
        columns = _columns(wanted, kind)
        if len(columns.column) and len(rows.time_ns):
            states = _states(len(names), len(columns.column))
            fill(rows, Work(columns=columns, grid=grid, states=states, values=values, counts=counts))
    return Tidied(
        frame=Frame(units=names, signals=wanted.signals, start_ns=grid.start_ns, step_ns=grid.step_ns, values=values),
        counts={oddity: int(count) for oddity, count in zip(ODDITIES, counts, strict=False) if count},
        values_used=int(counts[-1]),
    )


def _wanted(samples: Samples, signals: Sequence[str] | None) -> _Wanted:
    unknown = set(samples.signals) - SIGNALS.keys()
    known = {signal.in_frames for signal in SIGNALS.values()}
    if unknown or not set(signals or ()) <= known:
        raise ValueError(f"not known as signals: {', '.join(sorted(unknown | (set(signals or ()) - known)))}")
    there = [SIGNALS[name] for name in samples.signals]
    if signals is None:
        present = {signal.in_frames for signal in there}
        signals = [name for name in SIGNALS if name in present]
    columns = tuple(i for i, signal in enumerate(there) if signal.in_frames in set(signals))
    return _Wanted(signals=tuple(signals), columns=columns, kinds=tuple(there[i] for i in columns))


def _columns(wanted: _Wanted, kind: SignalKind) -> Columns:
    mine = [
        (column, signal) for column, signal in zip(wanted.columns, wanted.kinds, strict=True) if signal.kind is kind
    ]
    return Columns(
        column=np.array([column for column, _ in mine], dtype=np.int64),
        target=np.array([wanted.signals.index(signal.in_frames) for _, signal in mine], dtype=np.int64),
        smallest=np.array([signal.smallest for _, signal in mine], dtype=np.float64),
        largest=np.array([signal.largest for _, signal in mine], dtype=np.float64),
        rate_largest=np.array([SIGNALS[signal.in_frames].largest for _, signal in mine], dtype=np.float64),
        refreshed_ns=np.array([round(signal.refreshed_s * 1e9) for _, signal in mine], dtype=np.int64),
    )


def _rows(samples: Samples, names: tuple[str, ...], counts: NDArray[np.int64]) -> Rows:
    """The rows in order of time for each unit, with the place of their unit in the frame (-1: not wanted)."""
    places = {name: place for place, name in enumerate(names)}
    place = np.array([places.get(unit, -1) for unit in samples.units] or [-1], dtype=np.int32)
    last, intervals = np.full(len(samples.units), NEVER, dtype=np.int64), np.zeros((3, len(samples.units)))
    late = look_at_times(samples.time_ns, samples.unit, last, intervals, counts)
    if late:
        order = np.argsort(samples.time_ns, kind="stable")
        return Rows(
            time_ns=samples.time_ns[order],
            unit=samples.unit[order],
            values=samples.values[order],
            place=place,
        )
    return Rows(
        time_ns=np.ascontiguousarray(samples.time_ns),
        unit=np.ascontiguousarray(samples.unit),
        values=np.ascontiguousarray(samples.values),
        place=place,
    )


def _states(units: int, columns: int) -> States:
    shape = (units, columns)
    return States(
        time_ns=np.full(shape, NEVER, dtype=np.int64),
        value=np.zeros(shape),
        odd=np.zeros(shape, dtype=np.int64),
        step=np.full(shape, -1, dtype=np.int64),
        sum=np.zeros(shape),
        weight=np.zeros(shape),
        before_ns=np.full(shape, NEVER, dtype=np.int64),
        before=np.zeros(shape),
    )
