"""From evidence to assessments: one module per kind of clause, and the mechanism that finds the right one.

Evidence against a clause about traffic is an exceedance e-process per stream (`statistics.exceedance_process`), averaged
over the streams of one assessment. Intervals that were not observed do not bet. There is one assessment per pod or pair of
the declaration whatever was seen, since `findings` averages over them.
"""

from __future__ import annotations

from dataclasses import dataclass

from inspectorate.agreement import ClauseKind, CoordinatedExchange, InterconnectLimit, PodIsolation
from inspectorate.assessment import Assessment, Case
from inspectorate.mechanisms.interconnect.appraise.common import NAME
from inspectorate.mechanisms.interconnect.appraise.exchange import appraise_exchange
from inspectorate.mechanisms.interconnect.appraise.isolation import appraise_isolation
from inspectorate.mechanisms.interconnect.appraise.limit import appraise_limit


@dataclass(frozen=True)
class Interconnect:
    """The mechanism, for the registry in `review.py`."""

    name: str = NAME
    clause_kinds: frozenset[ClauseKind] = frozenset(
        {ClauseKind.INTERCONNECT_LIMIT, ClauseKind.POD_ISOLATION, ClauseKind.COORDINATED_EXCHANGE}
    )
    establishes: str = "bounds on the bytes that crossed each observed pod link, and with whom"
    cannot_establish: str = "what happens within a pod, or on a link that no sensor watches"

    def appraise(self, case: Case) -> tuple[Assessment, ...]:
        """Appraise one clause. Raises `ValueError` on a clause of another mechanism."""
        match case.clause.parameters:
            case InterconnectLimit() as terms:
                return appraise_limit(case, terms)
            case PodIsolation() as terms:
                return appraise_isolation(case, terms)
            case CoordinatedExchange() as terms:
                return appraise_exchange(case, terms)
            case other:
                raise ValueError(f"{NAME} does not appraise clauses of kind {other.kind.value}")


INTERCONNECT = Interconnect()
