"""From traffic to assessments: one function per kind of clause.

- `interconnect-limit`: one assessment per declared pod. An exceedance is an interval whose *lower* bound, sent or
  received, is above limit x (1 + tolerance). Where the *upper* bound stays below that, the limit is verified, and the
  pods join only as `reference.joining_contributions` says.
- `pod-isolation`: one assessment per declared pod. An exceedance is an interval in which the lower bound of the traffic
  with all pods that it did not declare as peers is above the allowance.
- `coordinated-exchange`: one assessment per pair of pods that are not declared peers (`coordination`).

Evidence against a clause is an exceedance e-process per stream (`statistics.exceedance_process`), averaged over the
streams of one assessment. Intervals that were not observed do not bet. There is one assessment per pod or pair of the
declaration whatever was seen, since `findings` averages over them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from inspectorate.agreement import ClauseKind, CoordinatedExchange, InterconnectLimit, PodIsolation
from inspectorate.assessment import Assessment, Case, Joining, Scope, Verdict
from inspectorate.mechanisms.interconnect import exhibits, reference
from inspectorate.mechanisms.interconnect.coordination import exchange_indicator
from inspectorate.mechanisms.interconnect.observe import observe_pods
from inspectorate.mechanisms.interconnect.traffic import PodTraffic
from inspectorate.quantities import Period, from_ns
from inspectorate.statistics import BetPlan, bounded_log_e, exceedance_process, merge_mean

NAME = "interconnect"
SPANS_SHOWN = 4

Mask = NDArray[np.bool_]


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
                return _appraise_limit(case, terms)
            case PodIsolation() as terms:
                return _appraise_isolation(case, terms)
            case CoordinatedExchange() as terms:
                return _appraise_exchange(case, terms)
            case other:
                raise ValueError(f"{NAME} does not appraise clauses of kind {other.kind.value}")


INTERCONNECT = Interconnect()


def _appraise_limit(case: Case, terms: InterconnectLimit) -> tuple[Assessment, ...]:
    traffic = observe_pods(case, terms.averaging_s)
    allowed = terms.bytes_per_s_max * (1 + terms.tolerance)
    verified = {pod: _verified(seen, allowed) for pod, seen in traffic.items()}
    joinings = _joinings(case, traffic, verified, allowed)
    shown = exhibits.pods_shown(traffic)
    pods = sorted(traffic)
    over = [
        _rates(traffic[pod], flow.lower) > allowed
        for pod in pods
        for flow in (traffic[pod].sent, traffic[pod].received)
    ]
    plan = BetPlan(stakes=(reference.DECISIVE_STAKE,), start_rate=1 / len(over[0]))
    log_e = _evidence(
        over, [traffic[pod].observed for pod in pods for _ in range(2)], reference.METER_EXCESS_RATE, plan
    )
    found: list[Assessment] = []
    for place, pod in enumerate(pods):
        seen = traffic[pod]
        exceeded = (over[2 * place] | over[2 * place + 1]) & seen.observed
        reasons = _limit_reasons(pod, seen, exceeded, terms, allowed)
        found.append(
            Assessment(
                clause=case.clause.id,
                mechanism=NAME,
                scope=_scope((pod,), case, seen, exceeded),
                verdict=_verdict(seen, bool(verified[pod].all()), bool(exceeded.any())),
                log_e=bounded_log_e(merge_mean(log_e[2 * place : 2 * place + 2])),
                joining=joinings.get(pod, ()),
                assumptions=_assumptions(seen),
                evidence_ids=seen.evidence_ids,
                exhibits=(exhibits.pod_series(pod, seen, terms),) if pod in shown else (),
                reasons=reasons,
                not_checked=seen.not_observed_notes(),
            )
        )
    return tuple(found)


def _appraise_isolation(case: Case, terms: PodIsolation) -> tuple[Assessment, ...]:
    traffic = observe_pods(case, terms.averaging_s)
    declared = {pod.id: pod for pod in case.declaration.pods}
    pods = sorted(traffic)
    strangers = {pod: [peer for peer in traffic[pod].peers if peer not in declared[pod].peers] for pod in pods}
    over = [_with_strangers(traffic[pod], strangers[pod], "lower") > terms.allowance_bytes_per_s for pod in pods]
    could_be = [_with_strangers(traffic[pod], strangers[pod], "upper") > terms.allowance_bytes_per_s for pod in pods]
    plan = BetPlan(stakes=(reference.DECISIVE_STAKE,), start_rate=1 / len(over[0]))
    log_e = _evidence(over, [traffic[pod].observed for pod in pods], reference.ISOLATION_EXCESS_RATE, plan)
    found: list[Assessment] = []
    for place, pod in enumerate(pods):
        seen = traffic[pod]
        exceeded = over[place] & seen.observed
        found.append(
            Assessment(
                clause=case.clause.id,
                mechanism=NAME,
                scope=_scope((pod,), case, seen, exceeded),
                verdict=_verdict(seen, not could_be[place].any(), bool(exceeded.any())),
                log_e=log_e[place],
                assumptions=_assumptions(seen),
                evidence_ids=seen.evidence_ids,
                exhibits=exhibits.peer_tables(pod, seen, strangers[pod], exceeded),
                reasons=_isolation_reasons(pod, seen, strangers[pod], exceeded, terms),
                not_checked=seen.not_observed_notes(),
            )
        )
    return tuple(found)


def _with_strangers(seen: PodTraffic, strangers: Iterable[str], bound: str) -> NDArray[np.float64]:
    """The least or the most that a pod exchanged with others, in the busier direction of each [bytes/s]."""
    flows = ((seen.peers[peer].sent, seen.peers[peer].received) for peer in strangers)
    return _rates(seen, sum((np.maximum(getattr(a, bound), getattr(b, bound)) for a, b in flows), seen.zeros()))


def _appraise_exchange(case: Case, terms: CoordinatedExchange) -> tuple[Assessment, ...]:
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
    log_e = _evidence([matched for matched, _ in asked], [mask for _, mask in asked], reference.MATCH_RATE_MAX, plan)
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
        scope=_scope(pair, case, first, matched),
        verdict=_pair_verdict(first, second),
        log_e=log_e,
        assumptions=tuple(dict.fromkeys((*_assumptions(first), *_assumptions(second)))),
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


def _evidence(exceeded: list[Mask], observed: list[Mask], rate_max: float, plan: BetPlan) -> list[float]:
    """The log e-value of each exceedance stream at the end of the period; 0 where nothing was observed.

    All streams in one call, each of shape (intervals,): many short streams cost little more than one.
    """
    asked = np.vstack(observed)
    process = exceedance_process(np.vstack(exceeded) & asked, rate_max=rate_max, observed=asked, plan=plan)
    return [bounded_log_e(float(value)) for value in process.log_e_final]


def _verified(seen: PodTraffic, allowed: float) -> Mask:
    """Where the limit is verified: everything that could have passed, sent or received, stays below it."""
    return seen.observed & (_rates(seen, seen.sent.upper) <= allowed) & (_rates(seen, seen.received.upper) <= allowed)


def _joinings(
    case: Case, traffic: dict[str, PodTraffic], verified: dict[str, Mask], allowed: float
) -> dict[str, tuple[Joining, ...]]:
    """How pods join where their limit is verified, as data for the account; listed under the first pod of each group.

    Pods that were verified over the same stretch form a group. Exact meters bound without error; a bound from sampled
    ones can fail with the probability that the case allows, which counts once for all of them.
    """
    rates = {
        pod.id: pod.peak_flop_per_s(case.agreement.counted_formats) * case.agreement.utilisation.max
        for pod in case.declaration.pods
    }
    groups: dict[tuple[int, int, bool], list[str]] = {}
    for pod in sorted(traffic):
        for start, stop in _runs(verified[pod]):
            groups.setdefault((start, stop, traffic[pod].sampled), []).append(pod)
    found: dict[str, list[Joining]] = {}
    for (start, stop, sampled), pods in groups.items():
        edges = traffic[pods[0]].edges_ns
        found.setdefault(pods[0], []).append(
            Joining(
                statement=f"{case.clause.id}.{'sampled' if sampled else 'exact'}",
                miss_probability=case.miss_probability if sampled else 0.0,
                scope=Scope(
                    pods=tuple(pods), period=Period(start=from_ns(int(edges[start])), end=from_ns(int(edges[stop])))
                ),
                bytes_per_s_max=allowed,
                contributions=_contributions(pods, allowed, rates),
                rule=reference.JOINING_RULE,
            )
        )
    return {pod: tuple(joinings) for pod, joinings in found.items()}


def _contributions(pods: list[str], allowed: float, rates: dict[str, float]) -> tuple[float, ...]:
    """At least two entries, so that the account knows what a single pod adds to others."""
    return reference.joining_contributions(max(2, len(pods)), allowed, min(rates[pod] for pod in pods))


def _verdict(seen: PodTraffic, kept: bool, exceeded: bool) -> Verdict:
    """Short of an alarm, which only `findings` can raise."""
    if seen.contradictions:
        return Verdict.INVALID_EVIDENCE
    if not seen.observed.all():
        return Verdict.NOT_OBSERVED
    if exceeded or not kept:
        return Verdict.INCONCLUSIVE
    return Verdict.CONSISTENT


def _rates(seen: PodTraffic, byte_counts: NDArray[np.float64]) -> NDArray[np.float64]:
    rates: NDArray[np.float64] = byte_counts / seen.durations_s
    return rates


def _scope(pods: tuple[str, ...], case: Case, seen: PodTraffic, marked: Mask) -> Scope:
    """The pods, over the stretch from the first marked interval to the last; over the whole period if there is none."""
    where = np.flatnonzero(marked)
    if not len(where):
        return Scope(pods=pods, period=case.period)
    start, end = int(seen.edges_ns[where[0]]), int(seen.edges_ns[where[-1] + 1])
    return Scope(pods=pods, period=Period(start=from_ns(start), end=from_ns(end)))


def _runs(mask: Mask) -> list[tuple[int, int]]:
    """Maximal stretches (start, stop) in which the mask holds."""
    padded = np.concatenate(([False], mask, [False])).astype(np.int8)
    steps = np.flatnonzero(np.diff(padded))
    return [(int(a), int(b)) for a, b in zip(steps[::2], steps[1::2], strict=True)]


def _spans_text(seen: PodTraffic, marked: Mask) -> str:
    """The marked stretches in words, the longest few of them."""
    runs = sorted(_runs(marked), key=lambda run: run[0] - run[1])
    shown = sorted(runs[:SPANS_SHOWN])
    text = ", ".join(
        f"{from_ns(int(seen.edges_ns[a])):%H:%M:%S}–{from_ns(int(seen.edges_ns[b])):%H:%M:%S}" for a, b in shown
    )
    return text + (f" and {len(runs) - len(shown)} more" if len(runs) > len(shown) else "")


def _limit_reasons(
    pod: str, seen: PodTraffic, exceeded: Mask, terms: InterconnectLimit, allowed: float
) -> tuple[str, ...]:
    reasons = list(seen.contradictions)
    if not seen.observed.any():
        return (*reasons, f"{pod}: its link was not observed")
    if exceeded.any():
        sent = float(_rates(seen, seen.sent.lower)[exceeded].max())
        received = float(_rates(seen, seen.received.lower)[exceeded].max())
        reasons.append(
            f"{pod} exceeded {terms.bytes_per_s_max:,.0f} B/s in {int(exceeded.sum())} intervals of {terms.averaging_s:g} s "
            f"({_spans_text(seen, exceeded)} UTC): at least {sent:,.0f} B/s sent and {received:,.0f} B/s received at the peak"
        )
    else:
        highest = max(float(_rates(seen, d.upper)[seen.observed].max()) for d in (seen.sent, seen.received))
        kept = "kept the limit" if highest <= allowed else "may have exceeded the limit"
        reasons.append(f"{pod} {kept}: at most {highest:,.0f} B/s in any observed interval of {terms.averaging_s:g} s")
    if not seen.observed.all():
        reasons.append(f"{pod} was not observed {_spans_text(seen, ~seen.observed)} UTC: {seen.why_not_observed()}")
    return tuple(reasons)


def _isolation_reasons(
    pod: str, seen: PodTraffic, strangers: Iterable[str], exceeded: Mask, terms: PodIsolation
) -> tuple[str, ...]:
    if not seen.observed.any():
        return (*seen.contradictions, f"{pod}: its link was not observed")
    reasons = list(seen.contradictions)
    for peer in strangers:
        sent, received = seen.peers[peer].sent.lower, seen.peers[peer].received.lower
        busy = (_rates(seen, np.maximum(sent, received)) > terms.allowance_bytes_per_s) & seen.observed
        if busy.any():
            reasons.append(
                f"{pod} and {peer} are not declared peers and exchanged at least {_bytes(sent[busy].sum())} one way and "
                f"{_bytes(received[busy].sum())} the other ({_spans_text(seen, busy)} UTC)"
            )
    if not reasons and not exceeded.any():
        sure = seen.complete[seen.observed].all() and not seen.sampled
        reasons.append(
            f"{pod} exchanged nothing above {terms.allowance_bytes_per_s:g} B/s with pods it did not declare"
            if sure
            else f"{pod} was not seen to exchange traffic with pods it did not declare, but could have: not all is seen"
        )
    if not seen.observed.all():
        reasons.append(f"{pod} was not observed {_spans_text(seen, ~seen.observed)} UTC: {seen.why_not_observed()}")
    return tuple(reasons or [f"{pod} exchanged traffic with several pods it did not declare"])


def _assumptions(seen: PodTraffic) -> tuple[str, ...]:
    if not seen.evidence_ids:
        return ()
    return (
        f"sensors held by {', '.join(seen.holders)} report every flow of the link they watch",
        "no pod has a link that is not declared",
        "declared link capacities and active timeouts are true",
    )


def _bytes(count: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{math.floor(count)} B"
