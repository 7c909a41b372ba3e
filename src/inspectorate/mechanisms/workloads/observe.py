"""From streams of telemetry to one frame per meter, with what was not seen and what contradicts itself.

- A stream is decoded once per review, however many clauses ask (`case.shared["workloads"]`).
- Every frame begins at the beginning of the review's period and runs to its end, at the meter's own `sampled_every_s`, so
  that frames of several meters can be laid over one another. A meter whose frame would hold more than `CELLS_MAX` values
  gets a whole multiple of its step, and a note says so.
- A unit is observed from each of its samples on for `silence_s_max`, and only while the collector listened: a gap before the
  first sample, too, is one. A declared unit of which nothing came was not observed at all.
- What speaks against a stream as such stands in `contradictions`: units that nobody declared, payloads that are not what was
  signed or cannot be read, a meter that the evidence's problems name as cloned or forked. What merely lacks stands in `notes`.

Not done here: whether series are copies, or contradict one another (`integrity`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from inspectorate.assessment import Case
from inspectorate.declaration import Meter
from inspectorate.errors import EvidenceError
from inspectorate.evidence import Stream
from inspectorate.evidence.problems import ProblemKind
from inspectorate.keys import Holder
from inspectorate.mechanisms.workloads.telemetry.frame import Frame, Samples
from inspectorate.mechanisms.workloads.telemetry.gridding import Grid
from inspectorate.mechanisms.workloads.telemetry.payload import samples_of_stream
from inspectorate.mechanisms.workloads.telemetry.signals import SIGNALS
from inspectorate.mechanisms.workloads.telemetry.tidy import tidy_onto
from inspectorate.quantities import to_ns

CELLS_MAX = 400_000_000
"""Values of one frame (1.6 GB): 10,000 chips with one signal at 1 Hz for half a day."""
NAMES_SHOWN = 5
AGAINST_A_STREAM = frozenset({ProblemKind.CLONED, ProblemKind.FORKED, ProblemKind.WRONG_DIGEST})
"""Problems of evidence that are a finding about the meter, not merely a lack."""

Mask = NDArray[np.bool_]
Stretch = tuple[int, int]


@dataclass(frozen=True, kw_only=True, eq=False)
class MeterSeen:
    """What one declared meter showed in the period of the review.

    `frame` has the declared units that showed anything, in the order of the frame; None where nothing usable came.
    `observed`: shape (times, units of the frame): a sample is no older than the meter's `silence_s_max`, and its collector
    listened. `silent_units` were declared and are not in the frame.
    """

    meter: Meter
    frame: Frame | None
    observed: Mask
    silent_units: tuple[str, ...]
    holders: tuple[Holder, ...]
    evidence_ids: tuple[str, ...]
    counts: Mapping[str, int]
    """What had to be left out on the way from payloads to the frame, by its name (parsing and tidying)."""
    contradictions: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether every declared unit was observed throughout."""
        return self.frame is not None and not self.silent_units and bool(self.observed.all())

    def gaps(self, unit: str) -> tuple[Stretch, ...]:
        """When a unit was not observed [ns], as half-open stretches. Raises `KeyError` for a unit without a sample."""
        if self.frame is None or unit not in self.frame.units:
            raise KeyError(unit)
        seen = self.observed[:, self.frame.units.index(unit)]
        start, step = self.frame.start_ns, self.frame.step_ns
        return tuple((start + a * step, start + b * step) for a, b in stretches(~seen))


@dataclass(frozen=True, kw_only=True)
class Observed:
    """All declared meters by id, also those of which nothing came."""

    meters: Mapping[str, MeterSeen]

    def of_pod(self, pod: str) -> tuple[MeterSeen, ...]:
        """The meters that measure load of a pod, in the order of their declaration."""
        return tuple(seen for seen in self.meters.values() if pod in seen.meter.pods)


def observe(case: Case) -> Observed:
    """What all declared meters showed; made once per review."""
    shared = cast(dict[str, object], case.shared.setdefault("workloads", {}))
    if "observed" not in shared:
        shared["observed"] = Observed(
            meters={
                meter.id: observe_meter(case, meter, case.evidence.streams.get(meter.id))
                for meter in case.declaration.meters
            }
        )
    return cast(Observed, shared["observed"])


def observe_meter(case: Case, meter: Meter, stream: Stream | None) -> MeterSeen:
    """What one meter showed in the period of the case."""
    against = _against(case, meter)
    if stream is None:
        return _nothing(meter, against, (f"{meter.id}: nothing usable came from it",))
    start, end = to_ns(case.period.start), to_ns(case.period.end)
    step, notes = _step_ns(meter, end - start)
    try:
        samples, report = samples_of_stream(stream, case.evidence.payload)
        declared = tuple(unit for unit in meter.units if unit in set(samples.units))
        grid = Grid(start_ns=start, end_ns=end, step_ns=step, gap_ns=max(step, round(meter.silence_s_max * 1e9)))
        tidied = tidy_onto(samples, grid, signals=_signals(meter, samples), units=declared)
    except EvidenceError as fault:
        return _nothing(meter, (*against, f"{meter.id}: {fault}"), ())
    against += tuple(f"{meter.id}: {told}" for told in report.contradictions)
    strangers = sorted(set(samples.units) - set(meter.units))
    if strangers:
        against += (f"{meter.id}: shows units that nobody declared: {_names(strangers)}",)
    frame = _measured(tidied.frame)
    if frame is None:
        return _nothing(meter, against, (f"{meter.id}: its payloads hold no sample of a declared unit in the period",))
    missing = [signal for signal in meter.signals if _in_frames(signal) not in frame.signals]
    if missing:
        notes += (f"{meter.id}: never showed {_names(missing)}",)
    return MeterSeen(
        meter=meter,
        frame=frame,
        observed=_observed(frame, meter, stream),
        silent_units=tuple(unit for unit in meter.units if unit not in set(frame.units)),
        holders=tuple(sorted({holder for segment in stream.segments for holder in segment.holders})),
        evidence_ids=stream.evidence_ids,
        counts={str(name): count for name, count in (*report.unread.items(), *tidied.counts.items())},
        contradictions=against,
        notes=notes,
    )


def stretches(mask: Mask) -> list[Stretch]:
    """Maximal stretches (start, stop) in which the mask holds."""
    padded = np.concatenate(([False], mask, [False])).astype(np.int8)
    steps = np.flatnonzero(np.diff(padded))
    return [(int(a), int(b)) for a, b in zip(steps[::2], steps[1::2], strict=True)]


def _step_ns(meter: Meter, length_ns: int) -> tuple[int, tuple[str, ...]]:
    step = max(1, round(meter.sampled_every_s * 1e9))
    cells = -(-length_ns // step) * len(meter.units) * len(meter.signals)
    times = -(-cells // CELLS_MAX)
    if times <= 1:
        return step, ()
    return step * times, (
        f"{meter.id}: looked at in steps of {step * times / 1e9:g} s, because there is so much of it",
    )


def _in_frames(signal: str) -> str:
    """The gauge that a declared signal is in a frame; a name that the catalogue does not have stays."""
    return SIGNALS[signal].in_frames if signal in SIGNALS else signal


def _signals(meter: Meter, samples: Samples) -> tuple[str, ...]:
    """The gauges that were declared and came: what nobody declared is not looked at."""
    came = {_in_frames(signal) for signal in samples.signals}
    return tuple(dict.fromkeys(_in_frames(signal) for signal in meter.signals if _in_frames(signal) in came))


def _measured(frame: Frame) -> Frame | None:
    """The units of which anything was measured."""
    kept = np.flatnonzero(np.isfinite(frame.values).any(axis=(0, 1)))
    if not len(kept):
        return None
    if len(kept) == len(frame.units):
        return frame
    return Frame(
        units=tuple(frame.units[i] for i in kept),
        signals=frame.signals,
        start_ns=frame.start_ns,
        step_ns=frame.step_ns,
        values=np.ascontiguousarray(frame.values[:, :, kept]),
    )


def _observed(frame: Frame, meter: Meter, stream: Stream) -> Mask:
    """Where each unit's latest sample is no older than `silence_s_max` and the collector listened, (times, units)."""
    has = np.isfinite(frame.values).any(axis=0)
    index = np.arange(frame.times, dtype=np.int64)[:, None]
    latest = np.maximum.accumulate(np.where(has, index, -1), axis=0)
    # A sample may lie anywhere within its step: a silence of a little more than one step is one of one step.
    allowed = max(0, int(meter.silence_s_max * 1e9 / frame.step_ns + 1e-9))
    seen: Mask = (latest >= 0) & (index - latest <= allowed)
    listened = np.zeros(frame.times, dtype=np.bool_)
    begins = frame.time_ns
    for period in stream.listened:
        # A step counts if most of it lies in the stretch, so that segments that meet within a step leave no hole.
        middle = begins + frame.step_ns // 2
        listened |= (middle >= to_ns(period.start)) & (middle < to_ns(period.end))
    seen &= listened[:, None]
    return seen


def _nothing(meter: Meter, against: tuple[str, ...], notes: tuple[str, ...]) -> MeterSeen:
    return MeterSeen(
        meter=meter,
        frame=None,
        observed=np.zeros((0, 0), dtype=np.bool_),
        silent_units=meter.units,
        holders=(),
        evidence_ids=(),
        counts={},
        contradictions=against,
        notes=notes,
    )


def _against(case: Case, meter: Meter) -> tuple[str, ...]:
    """What the evidence itself says against a meter's stream, within the period."""
    return tuple(
        f"{meter.id}: {problem.subject}: {problem.detail}"
        for problem in case.evidence.problems
        if problem.kind in AGAINST_A_STREAM
        and problem.sensor == meter.id
        and (problem.period is None or problem.period.overlaps(case.period))
    )


def _names(names: list[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more
