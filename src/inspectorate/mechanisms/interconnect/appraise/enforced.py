"""`limit-enforced`: one assessment per declared pod.

An exceedance is an authentic attestation whose limit for the pod, in either direction or as a burst, is above the agreed one.
Consistent is a pod whose gateways attested the whole period, unchanged, with everything else dropped and limits within the
terms. A limit that was lifted for a loading window is the business of `windows`; here it only needs a report of that window.
"""

from __future__ import annotations

import math

import numpy as np

from inspectorate.agreement import LimitEnforced
from inspectorate.assessment import Assessment, Case, Exhibit, ExhibitKind, Scope, Verdict
from inspectorate.evidence import WindowUsed
from inspectorate.keys import Holder
from inspectorate.mechanisms.interconnect import reference as interconnect
from inspectorate.mechanisms.interconnect.appraise.attested import Attested, PodAttested, attested_pods
from inspectorate.mechanisms.interconnect.appraise.common import NAME, log_e_of
from inspectorate.mechanisms.interconnect.enforce import reference
from inspectorate.mechanisms.interconnect.enforce.judge import excess_of
from inspectorate.quantities import Period
from inspectorate.statistics import BetPlan

REASONS_MAX = 4
ROWS_MAX = 1_000


def appraise_enforced(case: Case, terms: LimitEnforced) -> tuple[Assessment, ...]:
    attested = attested_pods(case, terms.attested_every_s)
    reported = {
        (used.reporter, used.pod, used.period)
        for statement in case.evidence.reports
        if isinstance(used := statement.predicate, WindowUsed)
    }
    return tuple(_appraise_pod(case, attested[pod], terms, reported) for pod in sorted(attested))


def _appraise_pod(
    case: Case, pod: PodAttested, terms: LimitEnforced, reported: set[tuple[str, str, Period]]
) -> Assessment:
    if not pod.seen:
        why = f"{', '.join(pod.gateways)} attested nothing" if pod.gateways else "no gateway is declared for it"
        return Assessment(
            clause=case.clause.id,
            mechanism=NAME,
            scope=Scope(pods=(pod.pod,), period=case.period),
            verdict=Verdict.NOT_OBSERVED,
            reasons=(f"{pod.pod}: {why}",),
            not_checked=(f"what passes in and out of {pod.pod}: nothing attests a limit",),
        )
    above = [one for one in pod.seen if (limit := one.limit(pod.pod)) and excess_of(limit, terms)]
    doubts = _doubts(pod, reported)
    log_e = attestation_log_e([one in above for one in pod.seen], case.period, terms.attested_every_s)
    return Assessment(
        clause=case.clause.id,
        mechanism=NAME,
        scope=Scope(pods=(pod.pod,), period=_marked(case.period, above)),
        verdict=_verdict(pod, bool(above), bool(doubts)),
        log_e=log_e,
        assumptions=assumptions_of(pod.holders),
        evidence_ids=pod.evidence_ids,
        exhibits=(_exhibit(pod),),
        reasons=_reasons(pod, above, doubts, terms),
        not_checked=_not_checked(pod),
    )


def attestation_log_e(wrong: list[bool], period: Period, every_s: float) -> float:
    """The log e-value of so many authentic statements of which these are against the clause; 0 if there are none."""
    if not wrong:
        return 0.0
    # The plan is fixed by the terms, before any statement is seen.
    expected = max(1, math.ceil(min(period.duration_s / every_s, 1e9)))
    plan = BetPlan(stakes=(interconnect.DECISIVE_STAKE,), start_rate=1 / max(2, expected))
    return log_e_of([np.array(wrong)], [np.ones(len(wrong), dtype=np.bool_)], reference.ATTESTATION_EXCESS_RATE, plan)[
        0
    ]


def assumptions_of(holders: tuple[Holder, ...]) -> tuple[str, ...]:
    return (
        f"the gateway's kernel and program are what they claim to be; held by {', '.join(holders)}",
        "the pods have no other way out than through their gateways (cabling and counters say that)",
    )


def spans_of(gaps: tuple[Period, ...]) -> str:
    longest = sorted(sorted(gaps, key=lambda gap: -gap.duration_s)[:REASONS_MAX], key=lambda gap: gap.start)
    text = ", ".join(f"{gap.start:%H:%M:%S}–{gap.end:%H:%M:%S}" for gap in longest)
    return text + (f" and {len(gaps) - len(longest)} more" if len(gaps) > len(longest) else "")


def _verdict(pod: PodAttested, above: bool, doubtful: bool) -> Verdict:
    """Short of an alarm, which only `findings` can raise."""
    if pod.contradictions:
        return Verdict.INVALID_EVIDENCE
    if pod.gaps:
        return Verdict.NOT_OBSERVED
    return Verdict.INCONCLUSIVE if above or doubtful else Verdict.CONSISTENT


def _doubts(pod: PodAttested, reported: set[tuple[str, str, Period]]) -> list[str]:
    """Why attestations do not establish the clause, though none speaks against it."""
    found: list[str] = []
    for one in pod.seen:
        at = f"{one.said.period.start:%H:%M:%S}–{one.said.period.end:%H:%M:%S}"
        if one.limit(pod.pod) is None:
            found.append(f"{pod.pod}: {one.reporter} attested no limit for it {at} UTC")
        if not one.said.others_dropped:
            found.append(f"{pod.pod}: {one.reporter} did not drop everything else {at} UTC")
        if not one.said.unchanged:
            found.append(f"{pod.pod}: somebody changed the rules of {one.reporter} {at} UTC")
        if pod.pod in one.said.lifted and not _is_reported(one, pod.pod, reported):
            found.append(f"{pod.pod}: {one.reporter} lifted the limit {at} UTC, and reports no loading window")
    return found


def _is_reported(one: Attested, pod: str, reported: set[tuple[str, str, Period]]) -> bool:
    return any(
        reporter == one.reporter and named == pod and period.overlaps(one.said.period)
        for reporter, named, period in reported
    )


def _reasons(pod: PodAttested, above: list[Attested], doubts: list[str], terms: LimitEnforced) -> tuple[str, ...]:
    reasons = list(pod.contradictions[:REASONS_MAX])
    if above:
        worst = above[0].limit(pod.pod)
        assert worst is not None, "it was compared"
        reasons.append(
            f"{len(above)} of {len(pod.seen)} attestations state a limit above the agreed one, the first from "
            f"{above[0].said.period.start:%H:%M:%S} UTC: {excess_of(worst, terms)}"
        )
    reasons += doubts[:REASONS_MAX]
    if len(doubts) > REASONS_MAX:
        reasons.append(f"{pod.pod}: and {len(doubts) - REASONS_MAX} more such attestations")
    if pod.gaps:
        reasons.append(
            f"{pod.pod}: no attestation for longer than {terms.attested_every_s:g} s: {spans_of(pod.gaps)} UTC"
        )
    if not reasons:
        reasons.append(
            f"{pod.pod}: {len(pod.seen)} attestations without a gap, all within {terms.bytes_per_s_max:,.0f} B/s and "
            f"{terms.burst_bytes_max:,.0f} B at once"
        )
    return tuple(reasons)


def _marked(period: Period, above: list[Attested]) -> Period:
    """The stretch from the first excess to the last; the whole period if there is none."""
    if not above:
        return period
    start, end = min(one.said.period.start for one in above), max(one.said.period.end for one in above)
    return Period(start=max(start, period.start), end=min(end, period.end))


def _not_checked(pod: PodAttested) -> tuple[str, ...]:
    notes = [f"whether {pod.pod} has a way around {', '.join(pod.gateways)}"]
    if pod.gaps:
        notes.append(f"what {pod.pod} was held to {spans_of(pod.gaps)} UTC")
    return tuple(notes)


def _exhibit(pod: PodAttested) -> Exhibit:
    """What was attested, thinned to a size that can be read."""
    every = -(-len(pod.seen) // ROWS_MAX)
    rows: list[tuple[str | float | None, ...]] = []
    for one in pod.seen[::every]:
        limit = one.limit(pod.pod)
        rows.append(
            (
                one.said.period.end.strftime("%Y-%m-%dT%H:%M:%SZ"),
                limit.sent_bytes_per_s_max if limit else None,
                limit.received_bytes_per_s_max if limit else None,
            )
        )
    return Exhibit(
        id=f"attested-{pod.pod}"[:128],
        title=f"Limits attested for {pod.pod}",
        kind=ExhibitKind.SERIES,
        columns=("time", "sent_bytes_per_s_max", "received_bytes_per_s_max"),
        rows=tuple(rows),
        unit="B/s",
    )
