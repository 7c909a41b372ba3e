"""From transcripts, draws, replays, accounts and reviews to assessments: one module per kind of clause.

    common      the work of a pod, claimed time, gaps
    judged      what became of each packet that was drawn
    sample      what draws from several commitments say of all packets together
    replayed    `replayed-work`, and what can be hidden beside it (`bound`)
    accounted   `accounted-flop`
    reviewed    `reviewed-code`
    rooms       `inspection-rooms`
    exhibits    what a report may plot

There is one assessment per declared pod whatever was seen, since `findings` averages over them; rooms are the party's, and have
one.
"""

from __future__ import annotations

from dataclasses import dataclass

from inspectorate.agreement import AccountedFlop, ClauseKind, InspectionRooms, ReplayedWork, ReviewedCode
from inspectorate.assessment import Assessment, Case
from inspectorate.mechanisms.inspection.appraise.accounted import appraise_accounted
from inspectorate.mechanisms.inspection.appraise.common import NAME
from inspectorate.mechanisms.inspection.appraise.replayed import appraise_replayed
from inspectorate.mechanisms.inspection.appraise.reviewed import appraise_reviewed
from inspectorate.mechanisms.inspection.appraise.rooms import appraise_rooms


@dataclass(frozen=True)
class Inspection:
    """The mechanism, for the registry in `review.py`."""

    name: str = NAME
    clause_kinds: frozenset[ClauseKind] = frozenset(
        {
            ClauseKind.REPLAYED_WORK,
            ClauseKind.ACCOUNTED_FLOP,
            ClauseKind.REVIEWED_CODE,
            ClauseKind.INSPECTION_ROOMS,
        }
    )
    establishes: str = (
        "that committed work is what the shown code gives on the shown data, but for a stated share; what it took; who approved "
        "the code; how many bits inspectors carried out"
    )
    cannot_establish: str = (
        "what chips did beside the work that was committed to; what code does that never ran while an inspector looked; "
        "anything below the tolerance of a check"
    )

    def appraise(self, case: Case) -> tuple[Assessment, ...]:
        """Appraise one clause. Raises `ValueError` on a clause of another mechanism."""
        match case.clause.parameters:
            case ReplayedWork() as terms:
                return appraise_replayed(case, terms)
            case AccountedFlop() as terms:
                return appraise_accounted(case, terms)
            case ReviewedCode() as terms:
                return appraise_reviewed(case, terms)
            case InspectionRooms() as terms:
                return appraise_rooms(case, terms)
            case other:
                raise ValueError(f"{NAME} does not appraise clauses of kind {other.kind.value}")


INSPECTION = Inspection()
