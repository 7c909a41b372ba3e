"""What appraisals of several kinds of clause share: the work of each pod, claimed time, gaps, and how evidence is weighed.

Rules:

- A run speaks for the pods that its commitments name, within its claim and its reporter's, and no others.
- A commitment covers its period, but no more than the agreed `committed_every_s` before its end. Longer stretches that none
  covers are gaps. So are shorter ones where a number is missing between two commitments, after one of a run that goes on, or
  before one that is not its run's first: what was committed to there was kept back. Other short ones are let pass, and count as
  dirty (`replayed`).
- The time of which something must be known is that of the claims of the kinds that a clause names. A pod of which nothing of the
  kind is claimed is not observed here: that it did nothing of the kind is for other mechanisms to say.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import numpy as np

from inspectorate.agreement import ReplayedWork
from inspectorate.assessment import Assessment, Case, Scope, Verdict
from inspectorate.declaration import WorkloadClaim
from inspectorate.evidence import VerifiedStatement
from inspectorate.evidence.predicate import Inspection
from inspectorate.mechanisms.inspection import reference
from inspectorate.mechanisms.inspection.observe import Run, WorkSeen, observe_work, unfit
from inspectorate.quantities import Period, merge_periods, uncovered
from inspectorate.statistics import BetPlan, bounded_log_e, exceedance_process

NAME = "inspection"


def work_of(case: Case) -> WorkSeen:
    """All work of a review, put in order once for all clauses."""
    terms = replay_terms(case)
    answer_within_s = terms.answer_within_s if terms is not None else None
    key = f"{NAME}.work.{answer_within_s}"
    found = case.shared.get(key)
    if not isinstance(found, WorkSeen):
        found = observe_work(
            case.evidence.reports,
            declaration=case.declaration,
            payload=case.evidence.payload,
            answer_within_s=answer_within_s,
        )
        case.shared[key] = found
    return found


def replay_terms(case: Case) -> ReplayedWork | None:
    """The clause that says how work is committed to and drawn: the one in hand, or else the agreement's."""
    if isinstance(case.clause.parameters, ReplayedWork):
        return case.clause.parameters
    return next((c.parameters for c in case.agreement.clauses if isinstance(c.parameters, ReplayedWork)), None)


def inspections(case: Case, kind: type[Inspection]) -> tuple[list[VerifiedStatement], list[str]]:
    """What inspectors whose word counts stated of one kind, each once, in order of time; and why others do not count."""
    found: dict[str, VerifiedStatement] = {}
    passed_over = []
    for one in case.evidence.reports:
        if isinstance(one.predicate, kind):
            why = unfit(one, case.declaration)
            if why is None:
                found[one.digest] = one
            else:
                passed_over.append(why)
    return sorted(found.values(), key=_inspected_at), list(dict.fromkeys(passed_over))


def _inspected_at(statement: VerifiedStatement) -> tuple[tuple[datetime, ...], str]:
    assert isinstance(statement.predicate, Inspection)
    return statement.predicate.times, statement.digest


def claims_of(case: Case, pod: str, kinds: Sequence[str]) -> tuple[WorkloadClaim, ...]:
    """The claims of some kinds of work for a pod that touch the period."""
    return tuple(
        one
        for one in case.declaration.claims
        if pod in one.pods and one.kind.value in kinds and one.period.overlaps(case.period)
    )


def time_of(claims: Iterable[WorkloadClaim], period: Period) -> tuple[Period, ...]:
    """The claimed time within a period."""
    return merge_periods(tuple(part for one in claims if (part := one.period.intersection(period))))


def gaps_of(
    runs: Sequence[Run], claim: WorkloadClaim, pod: str, period: Period, every_s: float
) -> tuple[tuple[Period, ...], tuple[Period, ...]]:
    """The claimed time of a pod that no usable commitment of that claim covers: gaps, and what is let pass."""
    claimed = claim.period.intersection(period)
    if claimed is None:
        return (), ()
    reach = timedelta(seconds=min(every_s, 1e9))
    covered = [
        Period(start=max(one.period.start, one.period.end - reach), end=one.period.end)
        for run in runs
        for one in run.commitments
        if one.usable and one.said.claim == claim.id and pod in one.pods
    ]
    kept_back = [hole for run in runs if run.claim == claim.id for hole in _holes(run, claimed)]
    gaps: list[Period] = []
    let_pass: list[Period] = []
    for open_ in uncovered(covered, claimed):
        long = open_.duration_s > every_s * (1 + 1e-9)
        (gaps if long or any(open_.overlaps(hole) for hole in kept_back) else let_pass).append(open_)
    return tuple(gaps), tuple(let_pass)


def _holes(run: Run, claimed: Period) -> list[Period]:
    """Time of which the chain of a run says that something was committed to which is not there."""
    first, last = run.commitments[0].period.start, max(one.period.end for one in run.commitments)
    found = list(run.holes)
    if run.cut and last < claimed.end:
        found.append(Period(start=last, end=claimed.end))
    if run.headless and claimed.start < first:
        found.append(Period(start=claimed.start, end=first))
    return found


def contrary_log_e(contrary: int, kept: int) -> float:
    """The log e-value of so many statements of a party's own against a clause, among so many that could have been; 0 if none."""
    if not contrary + kept:
        return 0.0
    plan = BetPlan(stakes=(reference.DECISIVE_STAKE,), start_rate=0.5)
    told = np.array([[False] * kept + [True] * contrary])
    process = exceedance_process(told, rate_max=reference.CONTRARY_RATE, plan=plan)
    return bounded_log_e(float(process.log_e_final[0]))


def not_observed(case: Case, pod: str, why: str, *not_checked: str) -> Assessment:
    """The assessment of a pod of which nothing is known."""
    return Assessment(
        clause=case.clause.id,
        mechanism=NAME,
        scope=Scope(pods=(pod,), period=case.period),
        verdict=Verdict.NOT_OBSERVED,
        reasons=(f"{pod}: {why}",),
        not_checked=not_checked,
    )


def spans_text(gaps: Sequence[Period]) -> str:
    """Stretches of time in words, the longest few of them."""
    longest = sorted(sorted(gaps, key=lambda gap: -gap.duration_s)[: reference.SPANS_SHOWN], key=lambda gap: gap.start)
    text = ", ".join(f"{gap.start:%Y-%m-%d %H:%M:%S}–{gap.end:%H:%M:%S}" for gap in longest)
    return text + (f" and {len(gaps) - len(longest)} more" if len(gaps) > len(longest) else "")


def shortened(reasons: Iterable[str], what: str) -> tuple[str, ...]:
    """At most `REASONS_MAX` of them, and how many more there are."""
    once = tuple(dict.fromkeys(text[:4000] for text in reasons))
    if len(once) <= reference.REASONS_MAX:
        return once
    return (*once[: reference.REASONS_MAX], f"and {len(once) - reference.REASONS_MAX} more {what}")


def seconds_of(periods: Iterable[Period]) -> float:
    return math.fsum(one.duration_s for one in periods)
