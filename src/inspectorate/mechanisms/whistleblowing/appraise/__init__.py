"""From what offices collected, and from leads, to assessments.

    channels   `reporting-channels`

There is one assessment for all pods of the party. It has no e-value and bounds nothing, whatever people said.
"""

from __future__ import annotations

from dataclasses import dataclass

from inspectorate.agreement import ClauseKind, ReportingChannels
from inspectorate.assessment import Assessment, Case
from inspectorate.mechanisms.whistleblowing.appraise.channels import NAME, appraise_channels


@dataclass(frozen=True)
class Whistleblowing:
    """The mechanism, for the registry in `review.py`."""

    name: str = NAME
    clause_kinds: frozenset[ClauseKind] = frozenset({ClauseKind.REPORTING_CHANNELS})
    establishes: str = (
        "that a way to report stood open, that offices of several parties collected all that came in, and that leads were "
        "followed"
    )
    cannot_establish: str = (
        "that what a source says is so; that nobody was kept from reporting; that there was nothing to report"
    )

    def appraise(self, case: Case) -> tuple[Assessment, ...]:
        """Appraise one clause. Raises `ValueError` on a clause of another mechanism."""
        match case.clause.parameters:
            case ReportingChannels() as terms:
                return appraise_channels(case, terms)
            case other:
                raise ValueError(f"{NAME} does not appraise clauses of kind {other.kind.value}")


WHISTLEBLOWING = Whistleblowing()
