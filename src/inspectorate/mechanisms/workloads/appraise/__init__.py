"""From evidence to assessments: one module per kind of clause, and the mechanism that finds the right one.

There is one assessment per pod of the declaration whatever was seen, since `findings` averages over them.
"""

from __future__ import annotations

from dataclasses import dataclass

from inspectorate.agreement import ApprovedWorkloads, ClauseKind, SoundTelemetry
from inspectorate.assessment import Assessment, Case
from inspectorate.mechanisms.workloads.appraise.approved import appraise_approved
from inspectorate.mechanisms.workloads.appraise.sound import NAME, appraise_sound


@dataclass(frozen=True)
class Workloads:
    """The mechanism, for the registry in `review.py`."""

    name: str = NAME
    clause_kinds: frozenset[ClauseKind] = frozenset({ClauseKind.APPROVED_WORKLOADS, ClauseKind.SOUND_TELEMETRY})
    establishes: str = (
        "how close the power and load of each pod stay to workloads that were enrolled with an inspector present, and "
        "whether its meters agree with one another"
    )
    cannot_establish: str = (
        "what a workload computes; what runs on chips that no meter measures; anything where the sensor does not tell "
        "training from the approved workload"
    )

    def appraise(self, case: Case) -> tuple[Assessment, ...]:
        """Appraise one clause. Raises `ValueError` on a clause of another mechanism."""
        match case.clause.parameters:
            case ApprovedWorkloads() as terms:
                return appraise_approved(case, terms)
            case SoundTelemetry() as terms:
                return appraise_sound(case, terms)
            case other:
                raise ValueError(f"{NAME} does not appraise clauses of kind {other.kind.value}")


WORKLOADS = Workloads()
