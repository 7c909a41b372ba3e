"""From a spool of signed segments to one run, or to the reasons why it is none.

1. Every statement of the spool verifies against the anchors given. One that does not spoils the spool: an inspector who
   records knows what is in it.
2. The segments of the plan's meter are put in order (`evidence.order_segments`). A fork, a clone, a hole within the run or a
   cut-off end within it refuse the run.
3. The run lies within the session, after its opening, and shares no time with an earlier run.
4. The collector listened throughout the run; its payloads are there, as long as was signed for, and decode in full.
5. The samples show the units and signals of the plan, none that nobody declared, and no silence (`soundness`).
6. No sensor stands still, no unit is the copy of another, and nothing of an earlier run is repeated (`soundness`, `finer`).

A reason names segment or unit and what was found. All reasons that can be told at once are given at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from pathlib import Path

import numpy as np

from inspectorate.canonical import digest_of
from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.evidence import (
    INVALIDATING,
    Origin,
    Problem,
    ProblemKind,
    Segment,
    Stream,
    TelemetrySegment,
    order_segments,
    verify_envelope,
)
from inspectorate.evidence.envelope import ENVELOPE_BYTES_MAX
from inspectorate.evidence.observed import PAYLOAD_BYTES_MAX
from inspectorate.evidence.stream import segment_of
from inspectorate.files import read_bounded
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.workloads.enrol import reference
from inspectorate.mechanisms.workloads.enrol.finer import finer_findings
from inspectorate.mechanisms.workloads.enrol.reference_telemetry import cut, run_frame
from inspectorate.mechanisms.workloads.enrol.soundness import (
    SeenStretches,
    sensor_faults,
    silences,
    undeclared_units,
)
from inspectorate.mechanisms.workloads.enrol.types import RecordedRun, SessionPlan
from inspectorate.mechanisms.workloads.telemetry.frame import Frame, Samples
from inspectorate.mechanisms.workloads.telemetry.payload import samples_of_stream
from inspectorate.quantities import Period

THIS_RUN = "this-run"
"""How a run is called in reasons before it has a name."""


class RunRefused(EvidenceError):
    """What was recorded cannot stand as a run. `reasons` has each by itself."""

    def __init__(self, reasons: Sequence[str], *, where: str) -> None:
        super().__init__("; ".join(reasons), where=where, remedy="record the run again")
        self.reasons = tuple(reasons)


@dataclass(frozen=True, kw_only=True)
class MeterSpool:
    """The verified segments of one meter in a collector's folder."""

    folder: Path
    meter: str
    segments: tuple[Segment, ...]
    envelopes: Mapping[str, Path]
    """File of each segment, by the digest of the envelope."""

    def payload(self, digest: str) -> bytes:
        """The payload of a digest, hashed as it is read. Raises `EvidenceError`."""
        path = self.folder / "payloads" / digest.removeprefix("sha256:")
        data = read_kept(path, PAYLOAD_BYTES_MAX)
        if digest_of(data) != digest:
            raise EvidenceError("is not the payload of its name", where=str(path), remedy="it was altered")
        return data

    @property
    def listened(self) -> Period | None:
        """From the first segment's start to the last one's end; None without a segment."""
        if not self.segments:
            return None
        return Period(
            start=min(one.period.start for one in self.segments), end=max(one.period.end for one in self.segments)
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Taken:
    """The telemetry of one run that nothing speaks against."""

    period: Period
    samples: Samples
    segments: tuple[Segment, ...]
    notes: tuple[str, ...] = field(default=())


def read_spool(folder: Path, *, anchors: TrustAnchors, meter: str) -> MeterSpool:
    """Step 1: the segments of a meter. Raises `InputError` if there is nothing, `EvidenceError` on a false statement."""
    try:
        paths = sorted(islice((folder / "statements").glob("*.json"), reference.SEGMENTS_MAX + 1))
    except OSError as fault:
        raise EnvironmentError_(f"cannot be read: {fault.strerror}", where=str(folder)) from None
    if not paths:
        raise InputError("holds no statements", where=str(folder), remedy="name the --out folder of a collector")
    if len(paths) > reference.SEGMENTS_MAX:
        raise InputError(f"holds more than {reference.SEGMENTS_MAX:,} statements", where=str(folder))
    segments: list[Segment] = []
    envelopes: dict[str, Path] = {}
    others: set[str] = set()
    for path in paths:
        verified = verify_envelope(read_kept(path, ENVELOPE_BYTES_MAX), anchors=anchors, where=str(path))
        predicate = verified.predicate
        if not isinstance(predicate, TelemetrySegment):
            continue
        if predicate.sensor != meter:
            others.add(predicate.sensor)
            continue
        segment = segment_of(verified)
        segments.append(segment)
        envelopes[segment.digest] = path
    if not segments:
        has = f"only {', '.join(sorted(others)[:5])}" if others else "no telemetry at all"
        raise InputError(f"holds nothing of meter {meter}, {has}", where=str(folder))
    return MeterSpool(folder=folder, meter=meter, segments=tuple(segments), envelopes=envelopes)


def take_run(
    spool: MeterSpool,
    plan: SessionPlan,
    *,
    period: Period | None,
    session: Period,
    earlier: Sequence[tuple[RecordedRun, Samples]],
) -> Taken:
    """Steps 2 to 6: the telemetry of a run, by default of all that the spool holds. Raises `RunRefused`.

    `session` is from the opening to the present; `earlier` are the runs before, with their telemetry.
    """
    where = str(spool.folder)
    whole = spool.listened
    assert whole is not None
    wanted = period or whole
    # (2)
    streams, problems = order_segments(spool.segments, sensors={spool.meter}, period=wanted)
    reasons = [str(problem) for problem in problems if _refuses(problem, wanted)]
    segments = tuple(one for stream in streams for one in stream.segments if one.period.overlaps(wanted))
    if not segments:
        raise RunRefused(reasons or [f"nothing usable of {spool.meter} lies in {wanted}"], where=where)
    starts = {one.stream for one in segments}
    if len(starts) > 1:
        reasons.append(f"the collector started {len(starts)} times within it; a run is one stretch (--period)")
    # (3)
    before = [one for one, _ in earlier]
    reasons += _misplaced(wanted, session, before) + _repeated(segments, before)
    # (4)
    reasons += unheard(segments, wanted, plan.silence_s_max)
    if reasons:
        raise RunRefused(reasons, where=where)
    samples, notes = decode(Stream(sensor=spool.meter, segments=segments), spool.payload, where)
    # (5)
    found = undeclared_units(samples, (*plan.units, *plan.other_units))
    kept = cut(samples, wanted, units=plan.units, signals=plan.signals)
    found += silences(kept, plan, wanted)
    # (6)
    seen = SeenStretches()
    for one, others in earlier:
        seen.add(one.run.id, others)
    found += sensor_faults(kept, plan.units) + seen.faults(kept)
    if not found:
        frame = _frame(kept, wanted, plan)
        found, noted = finer_findings([*_frames(earlier, plan), (THIS_RUN, frame)])
        notes += (*_thin(frame), *noted)
    if found:
        raise RunRefused(found, where=where)
    dropped = sum(one.dropped for one in segments)
    if dropped:
        notes += (f"{dropped} polls failed or were missed, by the collector's own count",)
    return Taken(period=wanted, samples=kept, segments=segments, notes=notes)


def _frame(samples: Samples, period: Period, plan: SessionPlan) -> Frame:
    return run_frame(samples, period, signals=plan.signals, step_s=plan.step_s)


def _thin(frame: Frame) -> list[str]:
    """Signals of which steps have no value, because fewer samples came than were declared."""
    return [
        f"{share:.0%} of steps have no {signal}"
        for signal in frame.signals
        if (share := float(np.isnan(frame.of(signal)).mean())) > reference.UNOBSERVED_SHARE_MAX
    ]


def _frames(earlier: Sequence[tuple[RecordedRun, Samples]], plan: SessionPlan) -> list[tuple[str, Frame]]:
    return [(one.run.id, _frame(samples, one.run.period, plan)) for one, samples in earlier]


def check_origin(segments: Sequence[Segment], origin: Origin, *, where: str) -> None:
    """Recorded and simulated telemetry never stand in one session. Raises `InputError`."""
    strange = next((one for one in segments if one.origin is not origin), None)
    if strange is not None:
        raise InputError(
            f"segment {strange.sequence} is {strange.origin.value}, and the session was opened for {origin.value} ones",
            where=where,
        )


def read_kept(path: Path, bytes_max: int) -> bytes:
    """A file that a collector or a session wrote. Raises `EnvironmentError_` or `EvidenceError`."""
    return read_bounded(path, bytes_max, unreadable=EnvironmentError_, too_large=EvidenceError)


def _refuses(problem: Problem, wanted: Period) -> bool:
    """Whether a problem of the spool speaks against this run: anything that somebody made, or what lies within it."""
    if problem.kind in INVALIDATING:
        return True
    if problem.kind in {ProblemKind.OUT_OF_PERIOD, ProblemKind.DUPLICATED}:
        return False
    if problem.kind is ProblemKind.TRUNCATED:
        # The collector still ran when the spool was read, or died: the run must have ended before.
        return problem.period is not None and wanted.end > problem.period.end
    return problem.period is None or problem.period.overlaps(wanted)


def _misplaced(wanted: Period, session: Period, earlier: Sequence[RecordedRun]) -> list[str]:
    reasons = []
    if not session.covers(wanted):
        reasons.append(
            f"{wanted} lies outside of the session, which was opened at {session.start:%Y-%m-%d %H:%M:%S} UTC"
        )
    reasons += [
        f"it shares time with run {one.run.id} ({one.run.period})" for one in earlier if one.run.period.overlaps(wanted)
    ]
    return reasons


def _repeated(segments: Sequence[Segment], earlier: Sequence[RecordedRun]) -> list[str]:
    """Payloads that another segment already brought: the boundary of two runs may lie in one segment, under one envelope."""
    before = {payload: one for one in earlier for payload in one.payloads}
    return [
        f"segment {segment.sequence} repeats the telemetry of run {before[segment.payload].run.id}"
        for segment in segments
        if segment.entries and segment.payload in before and segment.digest not in before[segment.payload].segments
    ]


def unheard(segments: Sequence[Segment], wanted: Period, silence_s_max: float) -> list[str]:
    """Stretches of the run in which the collector did not listen, but for what the meter's silence allows."""
    allowed = timedelta(seconds=silence_s_max)
    reasons, reached = [], wanted.start
    for segment in sorted(segments, key=lambda one: one.period.start):
        if segment.period.start - reached > allowed:
            reasons.append(f"nobody listened from {reached:%H:%M:%S} to {segment.period.start:%H:%M:%S} UTC")
        reached = max(reached, segment.period.end)
    if wanted.end - reached > allowed:
        reasons.append(f"nobody listened from {reached:%H:%M:%S} to the end at {wanted.end:%H:%M:%S} UTC")
    return reasons


def decode(stream: Stream, payload: Callable[[str], bytes], where: str) -> tuple[Samples, tuple[str, ...]]:
    """Step 4: samples of all segments, and what had to be left out. Raises `RunRefused`."""
    signed_for = {segment.payload: segment for segment in stream.segments}

    def whole(digest: str) -> bytes:
        data, segment = payload(digest), signed_for[digest]
        if len(data) != segment.payload_bytes:
            raise RunRefused(
                [f"segment {segment.sequence} has {len(data)} bytes, and {segment.payload_bytes} were signed for"],
                where=where,
            )
        return data

    samples, report = samples_of_stream(stream, whole)
    reasons = list(report.contradictions)
    if report.first_fault:
        reasons.append(f"its payloads do not decode in full: {report.first_fault}")
    if reasons:
        raise RunRefused(reasons, where=where)
    left_out = ", ".join(f"{count:,} {why.value}" for why, count in sorted(report.unread.items()) if count)
    return samples, ((f"not read: {left_out}",) if left_out else ())
