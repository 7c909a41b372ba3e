"""`coordinated-exchange`: one assessment per pair of pods that are not declared peers (`coordination`)."""

from __future__ import annotations

from itertools import combinations

from inspectorate.agreement import CoordinatedExchange
from inspectorate.assessment import Assessment, Case, Scope, Verdict
from inspectorate.mechanisms.interconnect import reference
from inspectorate.mechanisms.interconnect.appraise.common import NAME, Mask, assumptions_of, log_e_of, scope_of
from inspectorate.mechanisms.interconnect.coordination import exchange_indicator
from inspectorate.mechanisms.interconnect.observe import observe_pods
from inspectorate.mechanisms.interconnect.traffic import PodTraffic
from inspectorate.statistics import BetPlan


def appraise_exchange(case: Case, terms: CoordinatedExchange) -> tuple[Assessment, ...]:
    traffic = observe_pods(case, terms.averaging_s)
    declared = {pod.id: pod for pod in case.declaration.pods}
    pairs = [
        (one, other)
        for one, other in combinations(sorted(traffic), 2)
        if other not in declared[one].peers and one not in declared[other].peers
    ]
    if not pairs or len(pairs) > reference.PAIRS_MAX:
        return (_not_searched(case, sorted(traffic), len(pairs)),)
    asked = [_matches(traffic[one], traffic[other], terms) for one, other in pairs]
    plan = BetPlan.for_horizon(len(asked[0][0]))
    log_e = log_e_of([matched for matched, _ in asked], [mask for _, mask in asked], reference.MATCH_RATE_MAX, plan)
    return tuple(
        _appraise_pair(case, (one, other), traffic, matches, value)
        for (one, other), matches, value in zip(pairs, asked, log_e, strict=True)
    )


def _matches(first: PodTraffic, second: PodTraffic, terms: CoordinatedExchange) -> tuple[Mask, Mask]:
    """Where two pods match in both directions, and where that could be asked."""
    return exchange_indicator(
        (first.sent.estimate, first.received.estimate),
        (second.sent.estimate, second.received.estimate),
        first.observed & second.observed,
        lags=reference.MATCH_LAGS,
        bytes_min=reference.MATCH_BYTES_PER_S_MIN * terms.averaging_s,
    )


def _appraise_pair(
    case: Case, pair: tuple[str, str], traffic: dict[str, PodTraffic], matches: tuple[Mask, Mask], log_e: float
) -> Assessment:
    one, other = pair
    first, second = traffic[one], traffic[other]
    observed = first.observed & second.observed
    matched, asked = matches
    count, of = int(matched.sum()), int(asked.sum())
    if not observed.any():
        reason = f"{one} and {other}: no interval in which both links were observed"
    elif of:
        reason = (
            f"{one} and {other}: what left one entered the other in {count} of {of} intervals that could be compared"
        )
    else:
        reason = f"{one} and {other}: never enough traffic at one time to compare"
    return Assessment(
        clause=case.clause.id,
        mechanism=NAME,
        scope=scope_of(pair, case, first, matched),
        verdict=_pair_verdict(first, second),
        log_e=log_e,
        assumptions=tuple(dict.fromkeys((*assumptions_of(first), *assumptions_of(second)))),
        evidence_ids=tuple(dict.fromkeys((*first.evidence_ids, *second.evidence_ids))),
        reasons=(reason,),
        not_checked=tuple(dict.fromkeys((*first.not_observed_notes(), *second.not_observed_notes()))),
    )


def _pair_verdict(first: PodTraffic, second: PodTraffic) -> Verdict:
    if first.contradictions or second.contradictions:
        return Verdict.INVALID_EVIDENCE
    if not (first.observed & second.observed).all():
        return Verdict.NOT_OBSERVED
    return Verdict.CONSISTENT if (first.complete & second.complete).all() else Verdict.INCONCLUSIVE


def _not_searched(case: Case, pods: list[str], pairs: int) -> Assessment:
    why = (
        f"{pairs} pairs of pods are more than {reference.PAIRS_MAX}"
        if pairs
        else "all pods are declared peers, or alone"
    )
    return Assessment(
        clause=case.clause.id,
        mechanism=NAME,
        scope=Scope(pods=tuple(pods), period=case.period),
        verdict=Verdict.NOT_OBSERVED,
        reasons=(f"not searched: {why}",),
    )
