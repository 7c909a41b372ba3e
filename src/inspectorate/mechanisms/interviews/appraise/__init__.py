"""From rosters, draws, interviews and leads to assessments.

    staff   `interviewed-staff`

There is one assessment for all pods of the party. It has no e-value and bounds nothing, whatever people said.
"""

from __future__ import annotations

from dataclasses import dataclass

from inspectorate.agreement import ClauseKind, InterviewedStaff
from inspectorate.assessment import Assessment, Case
from inspectorate.mechanisms.interviews.appraise.staff import NAME, appraise_staff


@dataclass(frozen=True)
class Interviews:
    """The mechanism, for the registry in `review.py`."""

    name: str = NAME
    clause_kinds: frozenset[ClauseKind] = frozenset({ClauseKind.INTERVIEWED_STAFF})
    establishes: str = (
        "that people were heard whom nobody could choose, by agreed forms; with which chance somebody who would know was "
        "among them; that contradictions were followed"
    )
    cannot_establish: str = (
        "that anybody told the truth, or lied; that the roster names all who work there; what was said to people before"
    )

    def appraise(self, case: Case) -> tuple[Assessment, ...]:
        """Appraise one clause. Raises `ValueError` on a clause of another mechanism."""
        match case.clause.parameters:
            case InterviewedStaff() as terms:
                return appraise_staff(case, terms)
            case other:
                raise ValueError(f"{NAME} does not appraise clauses of kind {other.kind.value}")


INTERVIEWS = Interviews()
