"""From a draw to what answered it: openings held against the list one by one, and replays that name draw and opening.

Rules:

- An opening is judged by itself, so that what came late in one does not count as come in time with another.
- A replay counts only if it names this draw and one of its openings; without that opening it says nothing. It must have run after
  that came, and its results be for exactly the drawn packets, in order. One that leaves out a packet is faulty as a whole: what
  it leaves out is what one would like to know.
- A tolerance counts only under the digest that both the statement and the results name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from inspectorate.canonical import parse_canonical
from inspectorate.errors import EvidenceError
from inspectorate.evidence import PacketsDrawn, PacketsOpened, PacketsReplayed, ReplayMethod, VerifiedStatement
from inspectorate.evidence.subjects import subject_bytes, subject_digest
from inspectorate.mechanisms.inspection import reference
from inspectorate.mechanisms.inspection.challenge.faults import Fault
from inspectorate.mechanisms.inspection.challenge.judge import Believed, Draw, Statements, check_draw
from inspectorate.mechanisms.inspection.challenge.opening import Asked, check_opening
from inspectorate.mechanisms.inspection.results import ReplayReport, Tolerance
from inspectorate.mechanisms.inspection.transcripts.types import Packet, RunHeader

Payload = Callable[[str], bytes]
_LAST = datetime(2199, 1, 1, tzinfo=UTC)
"""A review is held when all answers are due: what is not in the evidence by then is not opened."""


@dataclass(frozen=True, kw_only=True)
class Opening:
    """One answer to a draw."""

    digest: str
    said: PacketsOpened
    header: RunHeader | None
    packets: Mapping[int, Packet]
    """Opened in time by the verifier's `answer_by`, and as committed to, by number."""
    late: bool
    """Whether it came after `answer_by`, so that it shows nothing."""
    faults: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Replay:
    """One inspector's re-run of a draw."""

    digest: str
    said: PacketsReplayed
    report: ReplayReport | None
    tolerance: Tolerance | None
    tolerance_digest: str | None
    faults: tuple[str, ...]
    """Why it says nothing of any packet."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Openings and replays by the draw that they name."""

    openings: Mapping[str, Sequence[VerifiedStatement]]
    replays: Mapping[str, Sequence[VerifiedStatement]]
    stray: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Linked:
    """A draw with what answered it."""

    judged: Draw
    openings: tuple[Opening, ...]
    replays: tuple[Replay, ...]


def gather(believed: Sequence[VerifiedStatement]) -> Answers:
    """Openings and replays by draw; those that name a draw which is not there are told."""
    draws = {one.digest for one in believed if isinstance(one.predicate, PacketsDrawn)}
    openings: dict[str, list[VerifiedStatement]] = defaultdict(list)
    replays: dict[str, list[VerifiedStatement]] = defaultdict(list)
    stray = []
    for one in sorted(believed, key=lambda one: one.digest):
        said = one.predicate
        if isinstance(said, PacketsOpened | PacketsReplayed) and said.drawn not in draws:
            kind = "an opening answers" if isinstance(said, PacketsOpened) else "a replay is of"
            stray.append(f"{said.reporter}: {kind} a draw that is not in the evidence")
        elif isinstance(said, PacketsOpened):
            openings[said.drawn].append(one)
        elif isinstance(said, PacketsReplayed):
            replays[said.drawn].append(one)
    return Answers(openings=openings, replays=replays, stray=tuple(stray))


def link_draw(
    commitment: VerifiedStatement,
    drawn: VerifiedStatement,
    promise: VerifiedStatement | None,
    *,
    answers: Answers,
    payload: Payload,
    believed: Believed,
) -> Linked:
    """Judge a draw, then each of its openings, then each of its replays."""
    judged = check_draw(
        Statements(commitment=commitment, drawn=drawn, promise=promise), payload=payload, believed=believed
    )
    if judged.asked is None:
        return Linked(judged=judged, openings=(), replays=())
    openings = tuple(_opening(judged.asked, one, payload) for one in answers.openings.get(drawn.digest, ()))
    by_digest = {one.digest: one for one in openings}
    replays = tuple(
        _replay(judged.asked, one, by_digest[said.opened], payload)
        for one in answers.replays.get(drawn.digest, ())
        if isinstance(said := one.predicate, PacketsReplayed) and said.opened in by_digest
    )
    return Linked(judged=judged, openings=openings, replays=replays)


def _opening(asked: Asked, statement: VerifiedStatement, payload: Payload) -> Opening:
    said = statement.predicate
    assert isinstance(said, PacketsOpened)
    slack = timedelta(seconds=reference.CLOCK_SLACK_S)
    if said.opened_at + slack < asked.drawn.drawn_at:
        why = "says that it was opened before it was drawn: its times are wrong"
        return Opening(digest=statement.digest, said=said, header=None, packets={}, late=False, faults=(why,))
    found = check_opening(asked, (statement,), payload=payload, as_of=_LAST)
    faults = tuple(one.detail for one in found.faults if one.statement == statement.digest)
    return Opening(
        digest=statement.digest,
        said=said,
        header=found.header,
        packets=found.packets,
        late=any(one.fault is Fault.OPENED_LATE for one in found.faults),
        faults=faults,
    )


def _replay(asked: Asked, statement: VerifiedStatement, opening: Opening, payload: Payload) -> Replay:
    said = statement.predicate
    assert isinstance(said, PacketsReplayed)
    faults: list[str] = []
    report: ReplayReport | None = None
    tolerance: Tolerance | None = None
    digest: str | None = None
    try:
        report = ReplayReport.parse(
            parse_canonical(subject_bytes(statement, "results", payload), where="results"),
            where="results",
            error=EvidenceError,
        )
        digest = report.tolerance
        if digest is not None:
            if subject_digest(statement, "tolerance") != digest:
                raise EvidenceError("the results name another tolerance than the statement", where="tolerance")
            tolerance = Tolerance.parse(
                parse_canonical(subject_bytes(statement, "tolerance", payload), where="tolerance"),
                where="tolerance",
                error=EvidenceError,
            )
    except EvidenceError as fault:
        faults.append(fault.problem)
    else:
        faults += _report_faults(asked, said, report, tolerance)
    slack = timedelta(seconds=reference.CLOCK_SLACK_S)
    if said.period.start + slack < opening.said.opened_at:
        faults.append("packets were run again before they were opened: times are wrong")
    if faults:
        # What it says is not believed in part.
        report = tolerance = None
    return Replay(
        digest=statement.digest,
        said=said,
        report=report,
        tolerance=tolerance,
        tolerance_digest=digest,
        faults=tuple(faults),
    )


def _report_faults(asked: Asked, said: PacketsReplayed, report: ReplayReport, tolerance: Tolerance | None) -> list[str]:
    found = []
    if said.reporter != asked.commitment.reporter or (report.run, report.work) != (
        asked.commitment.run,
        asked.commitment.work,
    ):
        found.append("the results are of another run")
    if report.method is not said.method:
        found.append("the results are by another method than the statement says")
    if (tolerance is None) != (said.method is ReplayMethod.EXACT):
        found.append("an exact comparison has no tolerance, and any other one needs one")
    if tolerance is not None and (tolerance.method, tolerance.work) != (said.method, report.work):
        found.append("the tolerance is for another method or kind of work")
    numbers = tuple(one.packet for one in report.results)
    if numbers != asked.drawn.packets:
        left = len(set(asked.drawn.packets) - set(numbers))
        added = len(set(numbers) - set(asked.drawn.packets))
        found.append(
            f"the results leave out {left} packets that were drawn and hold {added} that were not, or are out of order"
        )
    return found
