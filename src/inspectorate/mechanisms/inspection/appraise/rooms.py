"""`inspection-rooms`: one assessment for all pods of the party. What inspectors carried out of its rooms.

1. A session counts if it was in a room of the party. Its log is judged again, line by line (`room.check`); one that is not sound,
   or says other things than the statement, is invalid evidence. So is a session that is stated twice.
2. Bits of one session, and of all sessions that ended within any 24 hours, are held against the budgets: the larger of what is
   stated and what the log gives when its sums are made again.
3. *Consistent*: there were sessions, and all keep the budgets.
4. Over a budget is *inconclusive*, and never an alarm: the clause protects the party whose rooms they are, what broke it is the
   verifier's doing, and an alarm accuses the party. The reason says whose fault it is, for the party to raise.

That nothing else left the room (in a head, on paper) is not established by any log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from inspectorate.agreement import InspectionRooms
from inspectorate.assessment import Assessment, Case, Scope, Verdict
from inspectorate.errors import EvidenceError
from inspectorate.evidence import RoomClosed, VerifiedStatement
from inspectorate.evidence.subjects import subject_bytes
from inspectorate.mechanisms.inspection import reference
from inspectorate.mechanisms.inspection.appraise.common import NAME, inspections, shortened
from inspectorate.mechanisms.inspection.room.check import check_room


def appraise_rooms(case: Case, clause: InspectionRooms) -> tuple[Assessment, ...]:
    pods = tuple(sorted(pod.id for pod in case.declaration.pods))
    found, passed_over = inspections(case, RoomClosed)
    sessions = [(one, said) for one in found if isinstance(said := one.predicate, RoomClosed) and _is_here(case, said)]
    if not sessions:
        return (
            Assessment(
                clause=case.clause.id,
                mechanism=NAME,
                scope=Scope(pods=pods, period=case.period),
                verdict=Verdict.NOT_OBSERVED,
                reasons=(f"no session in a room of {case.declaration.party} was closed",),
                not_checked=("whether there were sessions that nobody closed", *passed_over),
            ),
        )
    forked = _forked(sessions)
    logs = [_logged(case, one, said) for one, said in sessions]
    forked += [fault for log in logs for fault in log.faults]
    over = _over(clause, logs)
    verdict = Verdict.INVALID_EVIDENCE if forked else Verdict.INCONCLUSIVE if over else Verdict.CONSISTENT
    total = sum(log.bits for log in logs)
    kept = f"{len(sessions)} sessions in rooms of {case.declaration.party}, with {total:.3g} bits out in all"
    return (
        Assessment(
            clause=case.clause.id,
            mechanism=NAME,
            scope=Scope(pods=pods, period=case.period),
            verdict=verdict,
            assumptions=("the host looked at every output before it left, and at the figure that stands for it",),
            evidence_ids=tuple(one.digest for one, _ in sessions),
            reasons=(*shortened(forked, "such sessions"), *shortened(over, "such sessions")) or (kept,),
            not_checked=(
                "what inspectors remember, or carried out unseen",
                "whether the host signed every output: its key is not among the reviewer's anchors for that",
                "whether there were sessions that nobody closed",
                *passed_over,
            ),
        ),
    )


def _is_here(case: Case, said: RoomClosed) -> bool:
    return said.host == case.declaration.party


def _forked(sessions: Sequence[tuple[VerifiedStatement, RoomClosed]]) -> list[str]:
    names = [said.session for _, said in sessions]
    return [
        f"the session {name} is closed {names.count(name)} times, by different statements"
        for name in sorted(set(names))
        if names.count(name) > 1
    ]


@dataclass(frozen=True, kw_only=True)
class _Log:
    said: RoomClosed
    bits: float
    """The larger of what is stated and what the log gives."""
    faults: tuple[str, ...]


def _logged(case: Case, statement: VerifiedStatement, said: RoomClosed) -> _Log:
    try:
        data = subject_bytes(statement, "log", case.evidence.payload)
    except EvidenceError as fault:
        return _Log(said=said, bits=said.bits_out, faults=(f"the session {said.session}: {fault.problem}",))
    report = check_room(said, data)
    faults = tuple(f"the session {said.session}: {one.text}" for one in report.problems if one.invalid)
    return _Log(said=said, bits=max(said.bits_out, report.bits_out), faults=faults)


def _over(clause: InspectionRooms, logs: Sequence[_Log]) -> list[str]:
    found = [
        f"{one.bits:.3g} bits left the session {one.said.session} of {one.said.by}, and"
        f" {clause.bits_per_session_max:.3g} are agreed; that is for the verifier to answer"
        for one in logs
        if one.bits > clause.bits_per_session_max
    ]
    ordered = sorted(logs, key=lambda one: (one.said.period.end, one.said.session))
    day = timedelta(seconds=reference.DAY_S)
    for last in ordered:
        end = last.said.period.end
        bits = sum(one.bits for one in ordered if end - day < one.said.period.end <= end)
        if bits > clause.bits_per_day_max:
            found.append(
                f"{bits:.3g} bits left all sessions within a day before {end:%Y-%m-%d %H:%M:%S} UTC, and"
                f" {clause.bits_per_day_max:.3g} are agreed; that is for the verifier to answer"
            )
    return found
