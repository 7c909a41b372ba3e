"""From a bundle to evidence that a mechanism may use.

Procedure, in two halves because the declaration, which the second needs, is itself in the bundle:

`read_statements`
1. Every statement file is verified against the reviewer's anchors; one that fails is set aside under its problem.

`receive`
2. The ledger's judgement, made by the caller, is applied: a statement without a valid proof is set aside.
3. Segments whose payload is not there, or not as long as was signed for, are set aside.
4. Streams are put in order (`stream.order_segments`).
5. A declared sensor from which nothing usable came is named as missing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from inspectorate.evidence.bundle import Bundle
from inspectorate.evidence.envelope import VerifiedStatement, verify_envelope
from inspectorate.evidence.observed import CustodyEvent, FlowExportSegment, TelemetrySegment, WindowApproved
from inspectorate.evidence.predicate import Inspection, Origin, Report
from inspectorate.evidence.problems import Problem, ProblemKind, RejectedEvidence
from inspectorate.evidence.stream import Segment, Stream, order_segments, segment_of
from inspectorate.keys import TrustAnchors
from inspectorate.quantities import Period

_SEGMENTS = FlowExportSegment | TelemetrySegment


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Verified evidence about one declared period, and all that is wrong with the rest."""

    streams: Mapping[str, Stream]
    """By sensor; a sensor without usable segments is not in it."""
    custody: tuple[VerifiedStatement, ...]
    reports: tuple[VerifiedStatement, ...] = ()
    """What reporters, approvers and inspectors stated, with payloads in full, in order of the time of which they speak."""
    problems: tuple[Problem, ...]
    payload: Callable[[str], bytes]
    """The bytes of a payload by its digest, checked as they are read."""
    simulated: bool
    """Whether any of it came out of a simulated world."""

    def problems_of(self, sensor: str) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.sensor == sensor)


def read_statements(
    bundle: Bundle, *, anchors: TrustAnchors
) -> tuple[tuple[VerifiedStatement, ...], tuple[Problem, ...]]:
    """Step 1: verify every statement of the bundle."""
    verified: list[VerifiedStatement] = []
    problems: list[Problem] = []
    for digest, data in bundle.statements():
        name = f"statement {digest[:19]}…"
        try:
            verified.append(verify_envelope(data, anchors=anchors, where=name))
        except RejectedEvidence as fault:
            problems.append(fault.as_problem(name))
    return tuple(verified), tuple(problems)


def receive(
    bundle: Bundle,
    statements: Collection[VerifiedStatement],
    *,
    not_logged: Mapping[str, str],
    sensors: Collection[str],
    period: Period,
) -> Evidence:
    """Steps 2 to 5. `not_logged` maps the digest of a statement to why its ledger proof does not hold."""
    problems: list[Problem] = []
    segments: list[Segment] = []
    custody: list[VerifiedStatement] = []
    reports: list[VerifiedStatement] = []
    for verified in statements:
        # (2)
        if verified.digest in not_logged:
            of_stream = verified.predicate if isinstance(verified.predicate, _SEGMENTS) else None
            problems.append(
                Problem(
                    kind=ProblemKind.NOT_LOGGED,
                    subject=f"statement {verified.digest[:19]}…",
                    detail=not_logged[verified.digest],
                    sensor=of_stream.sensor if of_stream else None,
                    period=of_stream.period if of_stream else None,
                )
            )
        elif isinstance(verified.predicate, CustodyEvent):
            custody.append(verified)
        elif isinstance(verified.predicate, Report | WindowApproved | Inspection):
            missing = _missing_payload(bundle, verified)
            if missing is None:
                reports.append(verified)
            else:
                problems.append(missing)
        elif isinstance(verified.predicate, _SEGMENTS):
            segment = segment_of(verified)
            fault = _payload_fault(bundle, segment)
            if fault is None:
                segments.append(segment)
            else:
                problems.append(fault)
    # (4)
    streams, order_problems = order_segments(segments, sensors=sensors, period=period)
    problems += order_problems
    # (5)
    heard = {stream.sensor for stream in streams}
    problems += [
        Problem(
            kind=ProblemKind.MISSING,
            subject=f"sensor {sensor}",
            detail="nothing usable came from it",
            sensor=sensor,
            period=period,
        )
        for sensor in sorted(set(sensors) - heard)
    ]
    simulated = any(verified.predicate.origin is Origin.SIMULATED for verified in statements)
    return Evidence(
        streams={stream.sensor: stream for stream in streams},
        custody=tuple(custody),
        reports=tuple(sorted(reports, key=_time_of)),
        problems=tuple(problems),
        payload=bundle.payload,
        simulated=simulated or bundle.manifest.predicate.origin is Origin.SIMULATED,
    )


def _time_of(verified: VerifiedStatement) -> tuple[datetime, str]:
    match verified.predicate:
        case WindowApproved(valid=period) | Report(period=period):
            return period.start, verified.digest
        case Inspection() as said:
            return said.times[0], verified.digest
        case other:
            raise AssertionError(f"{type(other).__name__} is no report")


def _missing_payload(bundle: Bundle, verified: VerifiedStatement) -> Problem | None:
    """Step 3 for reports: their payloads must be there. An approval names content that is none of the bundle's."""
    sensor: str | None = None
    period: Period | None = None
    match verified.predicate:
        case Report(reporter=speaker, period=period):
            sensor = speaker
        case Inspection(by=speaker, sealed_subjects=False):
            pass
        case _:
            return None
    for subject in verified.statement.subject:
        if not bundle.has_payload(subject.digest_text):
            return Problem(
                kind=ProblemKind.MISSING, subject=f"{subject.name} of {speaker}",
                detail="its payload is not in the bundle", sensor=sensor, period=period,
            )  # fmt: skip
    return None


def _payload_fault(bundle: Bundle, segment: Segment) -> Problem | None:
    """Step 3: whether the payload is there in full. Its digest was checked when the bundle was opened."""
    subject = f"segment {segment.sequence} of stream {segment.stream} of {segment.sensor}"
    if not bundle.has_payload(segment.payload):
        return Problem(
            kind=ProblemKind.MISSING, subject=subject, detail="its payload is not in the bundle",
            sensor=segment.sensor, period=segment.period,
        )  # fmt: skip
    size = bundle.payload_size(segment.payload)
    if size != segment.payload_bytes:
        kind = ProblemKind.TRUNCATED if size < segment.payload_bytes else ProblemKind.WRONG_DIGEST
        return Problem(
            kind=kind, subject=subject, detail=f"its payload has {size} bytes, not {segment.payload_bytes}",
            sensor=segment.sensor, period=segment.period,
        )  # fmt: skip
    return None
