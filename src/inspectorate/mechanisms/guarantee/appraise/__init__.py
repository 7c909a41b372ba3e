"""From a processor's statements to assessments: one module per kind of clause, and the mechanism that finds the right one.

    common     which processors stand before a pod, gaps, evidence
    rules      rulesets and licences, judged anew from their documents
    guarded    `guarded-operation`
    licensed   `licensed-work`, and what can be hidden (`bound`)
    outlet     `guard-outlet`
    exhibits   what a report may plot

There is one assessment per declared pod whatever was seen, since `findings` averages over them. Nothing here takes the
processor's word for what can be recomputed: quotes, chains, quorums and sums are all done again from the evidence.
"""

from __future__ import annotations

from dataclasses import dataclass

from inspectorate.agreement import ClauseKind, GuardedOperation, GuardOutlet, LicensedWork
from inspectorate.assessment import Assessment, Case
from inspectorate.mechanisms.guarantee.appraise.common import NAME
from inspectorate.mechanisms.guarantee.appraise.guarded import appraise_guarded
from inspectorate.mechanisms.guarantee.appraise.licensed import appraise_licensed
from inspectorate.mechanisms.guarantee.appraise.outlet import appraise_outlet


@dataclass(frozen=True)
class Guarantee:
    """The mechanism, for the registry in `review.py`."""

    name: str = NAME
    clause_kinds: frozenset[ClauseKind] = frozenset(
        {ClauseKind.GUARDED_OPERATION, ClauseKind.LICENSED_WORK, ClauseKind.GUARD_OUTLET}
    )
    establishes: str = (
        "which program and which rules stood on the path of the chips; how much work they can have done at most; "
        "how many bits left"
    )
    cannot_establish: str = (
        "what chips compute between two looks, or chips that no processor guards; without a TPM, who speaks for it"
    )

    def appraise(self, case: Case) -> tuple[Assessment, ...]:
        """Appraise one clause. Raises `ValueError` on a clause of another mechanism."""
        match case.clause.parameters:
            case GuardedOperation() as terms:
                return appraise_guarded(case, terms)
            case LicensedWork() as terms:
                return appraise_licensed(case, terms)
            case GuardOutlet() as terms:
                return appraise_outlet(case, terms)
            case other:
                raise ValueError(f"{NAME} does not appraise clauses of kind {other.kind.value}")


GUARANTEE = Guarantee()
