"""What appraisals of several kinds of clause share: the statements in order, the registers, and how verdicts come of reasons.

Rules:

- One assessment per clause, for all pods of the party. Chips move between pods; evidence on them is not of one pod.
- Gravest first: evidence that cannot be trusted, then what nobody saw, then what is open. Consistent is what is left.
- A party is accused only where its own signed word states the contrary of a clause (`contrary_log_e`), or where a count shows more
  missing than honest keepers misplace. Mistakes of bookkeeping, broken seals and covered cameras call for a step, and weigh
  nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from inspectorate.assessment import Assessment, Case, Exhibit, Outside, Scope, Verdict
from inspectorate.evidence import RegisterHanded
from inspectorate.hearing import shortened
from inspectorate.mechanisms.custody import reference
from inspectorate.mechanisms.custody.observe import CHANGES, Spoken, observe_custody
from inspectorate.mechanisms.custody.register import Register, Wiring
from inspectorate.mechanisms.custody.register.faults import Fault
from inspectorate.mechanisms.custody.register.reading import Books, Handed, read_books
from inspectorate.statistics import BetPlan, bounded_log_e, exceedance_process

NAME = "custody"
NEVER_REGISTERED = "whether there are chips that were never registered: supply figures and people who know bear on that"


@dataclass(frozen=True, kw_only=True)
class Said:
    """What is said of a clause, by how grave it is."""

    invalid: Sequence[str] = ()
    unseen: Sequence[str] = ()
    doubts: Sequence[str] = ()
    kept: Sequence[str] = ()
    """What can be said where nothing is wrong."""

    @property
    def verdict(self) -> Verdict:
        if self.invalid:
            return Verdict.INVALID_EVIDENCE
        if self.unseen:
            return Verdict.NOT_OBSERVED
        return Verdict.INCONCLUSIVE if self.doubts else Verdict.CONSISTENT

    @property
    def reasons(self) -> tuple[str, ...]:
        found = (
            *shortened(self.invalid, "such faults"),
            *shortened(self.unseen, "such gaps"),
            *shortened(self.doubts, "such doubts"),
        )
        return found or tuple(self.kept)


@dataclass(frozen=True, kw_only=True)
class With:
    """What an assessment carries beside its verdict."""

    log_e: float | None = None
    outside: tuple[Outside, ...] = ()
    assumptions: Sequence[str] = ()
    evidence_ids: Iterable[str] = ()
    exhibits: tuple[Exhibit, ...] = ()
    not_checked: Sequence[str] = ()
    unheard: Sequence[str] = field(default=())
    """Why statements count for nothing."""


def assess(case: Case, said: Said, given: With) -> tuple[Assessment, ...]:
    """The one assessment of a clause."""
    return (
        Assessment(
            clause=case.clause.id,
            mechanism=NAME,
            scope=whole(case),
            verdict=said.verdict,
            log_e=given.log_e,
            outside=given.outside,
            assumptions=tuple(given.assumptions),
            evidence_ids=tuple(dict.fromkeys(given.evidence_ids)),
            exhibits=given.exhibits,
            reasons=said.reasons,
            not_checked=(
                *given.not_checked,
                *shortened((f"passed over: {why}" for why in given.unheard), "such statements"),
            ),
        ),
    )


def whole(case: Case) -> Scope:
    return Scope(pods=tuple(sorted(pod.id for pod in case.declaration.pods)), period=case.period)


def spoken_of(case: Case) -> Spoken:
    """All statements of custody, put in order once for all clauses of a review."""
    key = f"{NAME}.spoken"
    found = case.shared.get(key)
    if not isinstance(found, Spoken):
        found = observe_custody(case.evidence.reports, case.declaration)
        case.shared[key] = found
    return found


@dataclass(frozen=True, kw_only=True, eq=False)
class Kept:
    """One register as it was handed over, read; or why it could not be."""

    digest: str
    said: RegisterHanded
    register: Register | None
    wiring: Wiring | None
    faults: tuple[str, ...] = ()

    @property
    def as_of(self) -> datetime:
        return self.said.period.end

    @property
    def name(self) -> str:
        return f"register {self.said.sequence} of {self.said.reporter}"


def books_of(case: Case) -> dict[str, Books]:
    """What was stated of each declared register, read once for all clauses of a review."""
    key = f"{NAME}.books"
    found = case.shared.get(key)
    if not isinstance(found, dict):
        spoken = spoken_of(case)
        found = {
            one.id: read_books(spoken.of(*CHANGES), one.id, payload=case.evidence.payload) for one in spoken.keepers
        }
        case.shared[key] = found
    return found


def registers_of(case: Case) -> tuple[Kept, ...]:
    """All registers of the party in order of what they are as of."""
    found = [_kept(one, books) for books in books_of(case).values() for one in books.handed]
    return tuple(sorted(found, key=lambda one: (one.as_of, one.digest)))


def _kept(one: Handed, books: Books) -> Kept:
    faults = [
        f"register {one.said.sequence} of {one.said.reporter}: {found.detail}"
        for found in books.found
        if one.digest in found.statements and found.fault in _VOIDING
    ]
    return Kept(digest=one.digest, said=one.said, register=one.register, wiring=one.wiring, faults=tuple(faults))


_VOIDING = frozenset({Fault.REGISTER_UNREAD, Fault.WIRING_UNREAD, Fault.COUNT_OTHER})


def declared_chips(case: Case) -> dict[tuple[str, str, str], int]:
    """Declared chips by site, pod and model."""
    found: dict[tuple[str, str, str], int] = {}
    for site in case.declaration.sites:
        for cluster in site.clusters:
            for pod in cluster.pods:
                for group in pod.chips:
                    key = (site.id, pod.id, group.model)
                    found[key] = found.get(key, 0) + group.count
    return found


def contrary_log_e(told: Sequence[bool]) -> float:
    """The log e-value of statements of a party's own, in order, of which some are against a clause; 0 if there are none."""
    if not told:
        return 0.0
    plan = BetPlan(stakes=(reference.DECISIVE_STAKE,), start_rate=0.5)
    process = exceedance_process(np.array([list(told)]), rate_max=reference.CONTRARY_RATE, plan=plan)
    return bounded_log_e(float(process.log_e_final[0]))


def contrary_assumption(what: str) -> str:
    rate = f"{reference.CONTRARY_RATE:g}"
    return f"a party that keeps the clause states over its own signature that {what} with a chance of {rate} at most"
