"""From evidence to assessments: one module per kind of clause, and the mechanism that finds the right one.

Evidence against a clause about traffic is an exceedance e-process per stream (`statistics.exceedance_process`), averaged
over the streams of one assessment. Intervals that were not observed do not bet. There is one assessment per pod or pair of
the declaration whatever was seen, since `findings` averages over them.
"""

from __future__ import annotations

from dataclasses import dataclass

from inspectorate.agreement import (
    ClauseKind,
    CoordinatedExchange,
    DeclaredCabling,
    InterconnectLimit,
    LimitEnforced,
    LoadingWindows,
    LockStep,
    PodIsolation,
)
from inspectorate.assessment import Assessment, Case
from inspectorate.mechanisms.interconnect.appraise.cabling import appraise_cabling
from inspectorate.mechanisms.interconnect.appraise.common import NAME
from inspectorate.mechanisms.interconnect.appraise.enforced import appraise_enforced
from inspectorate.mechanisms.interconnect.appraise.exchange import appraise_exchange
from inspectorate.mechanisms.interconnect.appraise.isolation import appraise_isolation
from inspectorate.mechanisms.interconnect.appraise.limit import appraise_limit
from inspectorate.mechanisms.interconnect.appraise.lock_step import appraise_lock_step
from inspectorate.mechanisms.interconnect.appraise.windows import appraise_windows


@dataclass(frozen=True)
class Interconnect:
    """The mechanism, for the registry in `review.py`."""

    name: str = NAME
    clause_kinds: frozenset[ClauseKind] = frozenset(
        {
            ClauseKind.INTERCONNECT_LIMIT,
            ClauseKind.POD_ISOLATION,
            ClauseKind.COORDINATED_EXCHANGE,
            ClauseKind.LOCK_STEP,
            ClauseKind.LIMIT_ENFORCED,
            ClauseKind.LOADING_WINDOWS,
            ClauseKind.DECLARED_CABLING,
        }
    )
    establishes: str = (
        "bounds on the bytes that crossed each observed pod link, and with whom; what a gateway enforced; "
        "what is wired to what"
    )
    cannot_establish: str = "what happens within a pod, or on a link that nobody watches, surveys or declared"

    def appraise(self, case: Case) -> tuple[Assessment, ...]:
        """Appraise one clause. Raises `ValueError` on a clause of another mechanism."""
        match case.clause.parameters:
            case InterconnectLimit() as terms:
                return appraise_limit(case, terms)
            case PodIsolation() as terms:
                return appraise_isolation(case, terms)
            case CoordinatedExchange() as terms:
                return appraise_exchange(case, terms)
            case LockStep() as terms:
                return appraise_lock_step(case, terms)
            case LimitEnforced() as terms:
                return appraise_enforced(case, terms)
            case LoadingWindows() as terms:
                return appraise_windows(case, terms)
            case DeclaredCabling() as terms:
                return appraise_cabling(case, terms)
            case other:
                raise ValueError(f"{NAME} does not appraise clauses of kind {other.kind.value}")


INTERCONNECT = Interconnect()
