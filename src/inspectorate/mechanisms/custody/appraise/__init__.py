"""From statements about chips, places and access to assessments: one module per kind of clause.

    register    `chip-register`        clusters    `covered-cluster`       splitting   `no-splitting`
    counted     `counted-chips`        sealed      `sealed-places`         watched     `watched-places`
    located     `located-chips`        access      `challenge-access`
    counts, bound, places, common      what several of them need

There is one assessment of each clause, for all pods of the party: chips move between pods.
"""

from __future__ import annotations

from dataclasses import dataclass

from inspectorate.agreement import (
    ChallengeAccess,
    ChipRegister,
    ClauseKind,
    CountedChips,
    CoveredCluster,
    LocatedChips,
    NoSplitting,
    SealedPlaces,
    WatchedPlaces,
)
from inspectorate.assessment import Assessment, Case
from inspectorate.mechanisms.custody.appraise.access import appraise_access
from inspectorate.mechanisms.custody.appraise.clusters import appraise_clusters
from inspectorate.mechanisms.custody.appraise.common import NAME
from inspectorate.mechanisms.custody.appraise.counted import appraise_counted
from inspectorate.mechanisms.custody.appraise.located import appraise_located
from inspectorate.mechanisms.custody.appraise.register import appraise_register
from inspectorate.mechanisms.custody.appraise.sealed import appraise_sealed
from inspectorate.mechanisms.custody.appraise.splitting import appraise_splitting
from inspectorate.mechanisms.custody.appraise.watched import appraise_watched


@dataclass(frozen=True)
class Custody:
    """The mechanism, for the registry in `review.py`."""

    name: str = NAME
    clause_kinds: frozenset[ClauseKind] = frozenset(
        {
            ClauseKind.COVERED_CLUSTER,
            ClauseKind.NO_SPLITTING,
            ClauseKind.CHIP_REGISTER,
            ClauseKind.COUNTED_CHIPS,
            ClauseKind.SEALED_PLACES,
            ClauseKind.WATCHED_PLACES,
            ClauseKind.LOCATED_CHIPS,
            ClauseKind.CHALLENGE_ACCESS,
        }
    )
    establishes: str = (
        "that every registered chip is in one place by the party's own signed word; what share of them can be missing from there,"
        " by counts that nobody could choose; that racks stayed shut or in sight; where a device can stand at most; that"
        " inspectors were let in"
    )
    cannot_establish: str = (
        "that there are no chips that were never registered; what chips do; that a serial is the chip it names"
    )

    def appraise(self, case: Case) -> tuple[Assessment, ...]:
        """Appraise one clause. Raises `ValueError` on a clause of another mechanism."""
        match case.clause.parameters:
            case CoveredCluster() as clusters:
                return appraise_clusters(case, clusters)
            case NoSplitting() as splitting:
                return appraise_splitting(case, splitting)
            case ChipRegister() as register:
                return appraise_register(case, register)
            case CountedChips() as counted:
                return appraise_counted(case, counted)
            case SealedPlaces() as sealed:
                return appraise_sealed(case, sealed)
            case WatchedPlaces() as watched:
                return appraise_watched(case, watched)
            case LocatedChips() as located:
                return appraise_located(case, located)
            case ChallengeAccess() as access:
                return appraise_access(case, access)
            case other:
                raise ValueError(f"{NAME} does not appraise clauses of kind {other.kind.value}")


CUSTODY = Custody()
