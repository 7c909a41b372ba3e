"""Streams: the segments of one sensor or meter, put in order, and everything that is wrong with the order.

Procedure (`order_segments`):

1. A segment of a sensor that nobody declared is set aside, and so is a stream that lies wholly outside of the declared
   period. Segments before and after the period stay with a stream that reaches into it: they carry templates, and say
   that the sensor listened long enough.
2. Within one stream, two different segments with one number are a fork: from there on the stream proves nothing.
3. A number that is not there is a hole; a chain that does not name its predecessor is a fork.
4. A stream whose last segment does not say that it is the last was cut off.
5. Two streams of one sensor that cover one time contradict each other: a sensor has one history.
6. The same content under two segments is a clone. Which of them is the copy is not known, so neither counts.

What is left is what a mechanism may use. Everything set aside is in the list of problems, with sensor and time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import pairwise

from inspectorate.evidence.envelope import VerifiedStatement
from inspectorate.evidence.observed import FlowExportSegment, TelemetrySegment
from inspectorate.evidence.predicate import Origin
from inspectorate.evidence.problems import Problem, ProblemKind
from inspectorate.keys import Holder
from inspectorate.quantities import Period, merge_periods


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One usable segment."""

    sensor: str
    stream: str
    sequence: int
    period: Period
    digest: str
    """Digest of the envelope: the evidence id."""
    previous: str | None
    payload: str
    """Digest of the payload."""
    payload_bytes: int
    media_type: str
    entries: int
    dropped: int
    final: bool
    origin: Origin
    holders: tuple[Holder, ...]


@dataclass(frozen=True, kw_only=True)
class Stream:
    """The usable segments of one sensor in order of time, and when its collector listened."""

    sensor: str
    segments: tuple[Segment, ...]

    @property
    def listened(self) -> tuple[Period, ...]:
        return merge_periods(tuple(segment.period for segment in self.segments))

    @property
    def evidence_ids(self) -> tuple[str, ...]:
        return tuple(segment.digest for segment in self.segments)


def segment_of(verified: VerifiedStatement) -> Segment:
    """The segment in a verified statement of a sensor or meter."""
    predicate = verified.predicate
    assert isinstance(predicate, FlowExportSegment | TelemetrySegment)
    return Segment(
        sensor=predicate.sensor,
        stream=predicate.stream,
        sequence=predicate.sequence,
        period=predicate.period,
        digest=verified.digest,
        previous=predicate.previous,
        payload=verified.statement.subject[0].digest_text,
        payload_bytes=predicate.payload_bytes,
        media_type=predicate.media_type,
        entries=predicate.entries,
        dropped=predicate.dropped,
        final=predicate.final,
        origin=predicate.origin,
        holders=tuple(sorted({anchor.holder for anchor in verified.anchors})),
    )


def order_segments(
    segments: Iterable[Segment], *, sensors: Collection[str], period: Period
) -> tuple[tuple[Stream, ...], tuple[Problem, ...]]:
    """Order segments into one `Stream` per sensor (procedure in the module's docstring)."""
    problems: list[Problem] = []
    by_stream: dict[tuple[str, str], list[Segment]] = defaultdict(list)
    for segment in segments:
        # (1)
        if segment.sensor not in sensors:
            problems.append(_problem(ProblemKind.UNDECLARED, segment, "its sensor is not declared"))
        else:
            by_stream[segment.sensor, segment.stream].append(segment)
    usable: list[Segment] = []
    for _, members in sorted(by_stream.items()):
        if any(period.overlaps(segment.period) for segment in members):
            usable += _follow_chain(members, problems)
        else:
            problems += [
                _problem(ProblemKind.OUT_OF_PERIOD, segment, f"it speaks of {segment.period}") for segment in members
            ]
    usable = _refuse_contradictions(usable, problems)
    usable = _refuse_clones(usable, problems)
    by_sensor: dict[str, list[Segment]] = defaultdict(list)
    for segment in usable:
        by_sensor[segment.sensor].append(segment)
    streams = tuple(
        Stream(sensor=sensor, segments=tuple(sorted(found, key=lambda s: (s.period.start, s.sequence))))
        for sensor, found in sorted(by_sensor.items())
    )
    return streams, tuple(problems)


def _follow_chain(members: list[Segment], problems: list[Problem]) -> list[Segment]:
    """Steps 2 to 4 within one stream."""
    by_number: dict[int, list[Segment]] = defaultdict(list)
    for segment in members:
        by_number[segment.sequence].append(segment)
    usable: list[Segment] = []
    for number in sorted(by_number):
        found = _without_repeats(by_number[number], problems)
        # (2)
        if len(found) > 1:
            problems.append(_problem(ProblemKind.FORKED, found[0], f"{len(found)} segments claim number {number}"))
            return usable
        segment = found[0]
        before = usable[-1] if usable else None
        # (3)
        expected = before.sequence + 1 if before else 0
        if before and not _continues(segment, before, by_number[before.sequence]):
            problems.append(_problem(ProblemKind.FORKED, segment, "it does not continue the segment before it"))
            return usable
        if number > expected:
            problems.append(_hole(segment, before, expected))
        usable.append(segment)
        if segment.final and number != max(by_number):
            problems.append(_problem(ProblemKind.FORKED, segment, "segments follow the one that calls itself the last"))
            return usable
    # (4)
    if usable and not usable[-1].final:
        problems.append(_problem(ProblemKind.TRUNCATED, usable[-1], "the stream was never closed after this segment"))
    return usable


def _continues(segment: Segment, before: Segment, under_any_envelope: list[Segment]) -> bool:
    """Whether a segment comes after `before`, and names it if it is the next one, under whichever envelope."""
    if segment.period.start < before.period.end:
        return False
    return segment.sequence > before.sequence + 1 or segment.previous in {one.digest for one in under_any_envelope}


def _without_repeats(found: list[Segment], problems: list[Problem]) -> list[Segment]:
    """One of each content: a statement that was merely signed again says nothing new."""
    distinct: dict[tuple[object, ...], Segment] = {}
    for segment in found:
        content = (segment.payload, segment.period, segment.previous, segment.final, segment.entries, segment.dropped)
        if content in distinct:
            problems.append(
                _problem(ProblemKind.DUPLICATED, segment, "the same segment is there under another envelope")
            )
        else:
            distinct[content] = segment
    return list(distinct.values())


def _hole(segment: Segment, before: Segment | None, expected: int) -> Problem:
    last = segment.sequence - 1
    missing = f"segment {expected} is" if last == expected else f"segments {expected} to {last} are"
    span = None
    if before is not None and before.period.end < segment.period.start:
        span = Period(start=before.period.end, end=segment.period.start)
    return Problem(
        kind=ProblemKind.MISSING,
        subject=f"stream {segment.stream} of {segment.sensor}",
        detail=f"{missing} not there",
        sensor=segment.sensor,
        period=span,
    )


def _refuse_contradictions(segments: list[Segment], problems: list[Problem]) -> list[Segment]:
    """Step 5: drop every segment that overlaps one of another stream of its sensor."""
    dropped: dict[str, Problem] = {}
    by_sensor: dict[str, list[Segment]] = defaultdict(list)
    for segment in segments:
        by_sensor[segment.sensor].append(segment)
    for members in by_sensor.values():
        members.sort(key=lambda s: (s.period.start, s.period.end))
        latest = members[0]
        for segment in members[1:]:
            if segment.period.start < latest.period.end and segment.stream != latest.stream:
                for one, other in ((latest, segment), (segment, latest)):
                    detail = f"stream {other.stream} covers the same time"
                    dropped.setdefault(one.digest, _problem(ProblemKind.FORKED, one, detail))
            if segment.period.end > latest.period.end:
                latest = segment
    problems += dropped.values()
    return [segment for segment in segments if segment.digest not in dropped]


def _refuse_clones(segments: list[Segment], problems: list[Problem]) -> list[Segment]:
    """Step 6. Empty segments are alike without being copies."""
    by_payload: dict[str, list[Segment]] = defaultdict(list)
    for segment in segments:
        if segment.entries:
            by_payload[segment.payload].append(segment)
    dropped: set[str] = set()
    for members in by_payload.values():
        for one, other in pairwise(members):
            detail = f"its content is that of segment {one.sequence} of {one.sensor}"
            problems.append(_problem(ProblemKind.CLONED, other, detail))
            problems.append(
                _problem(ProblemKind.CLONED, one, f"its content is that of segment {other.sequence} of {other.sensor}")
            )
            dropped |= {one.digest, other.digest}
    return [segment for segment in segments if segment.digest not in dropped]


def _problem(kind: ProblemKind, segment: Segment, detail: str) -> Problem:
    return Problem(
        kind=kind,
        subject=f"segment {segment.sequence} of stream {segment.stream} of {segment.sensor}",
        detail=detail,
        sensor=segment.sensor,
        period=segment.period,
    )
