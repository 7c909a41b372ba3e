"""`pod-isolation`: one assessment per declared pod.

An exceedance is an interval in which the lower bound of the traffic with all pods that it did not declare as peers is
above the allowance.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from inspectorate.agreement import PodIsolation
from inspectorate.assessment import Assessment, Case
from inspectorate.mechanisms.interconnect import exhibits, reference
from inspectorate.mechanisms.interconnect.appraise.common import (
    NAME,
    Mask,
    assumptions_of,
    bytes_text,
    log_e_of,
    rates_of,
    scope_of,
    spans_text,
    verdict_of,
)
from inspectorate.mechanisms.interconnect.observe import observe_pods
from inspectorate.mechanisms.interconnect.traffic import PodTraffic
from inspectorate.statistics import BetPlan


def appraise_isolation(case: Case, terms: PodIsolation) -> tuple[Assessment, ...]:
    traffic = observe_pods(case, terms.averaging_s)
    declared = {pod.id: pod for pod in case.declaration.pods}
    pods = sorted(traffic)
    strangers = {pod: [peer for peer in traffic[pod].peers if peer not in declared[pod].peers] for pod in pods}
    over = [_with_strangers(traffic[pod], strangers[pod], "lower") > terms.allowance_bytes_per_s for pod in pods]
    could_be = [_with_strangers(traffic[pod], strangers[pod], "upper") > terms.allowance_bytes_per_s for pod in pods]
    plan = BetPlan(stakes=(reference.DECISIVE_STAKE,), start_rate=1 / len(over[0]))
    log_e = log_e_of(over, [traffic[pod].observed for pod in pods], reference.ISOLATION_EXCESS_RATE, plan)
    found: list[Assessment] = []
    for place, pod in enumerate(pods):
        seen = traffic[pod]
        exceeded = over[place] & seen.observed
        found.append(
            Assessment(
                clause=case.clause.id,
                mechanism=NAME,
                scope=scope_of((pod,), case, seen, exceeded),
                verdict=verdict_of(seen, not could_be[place].any(), bool(exceeded.any())),
                log_e=log_e[place],
                assumptions=assumptions_of(seen),
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
    return rates_of(seen, sum((np.maximum(getattr(a, bound), getattr(b, bound)) for a, b in flows), seen.zeros()))


def _isolation_reasons(
    pod: str, seen: PodTraffic, strangers: Iterable[str], exceeded: Mask, terms: PodIsolation
) -> tuple[str, ...]:
    if not seen.observed.any():
        return (*seen.contradictions, f"{pod}: its link was not observed")
    reasons = list(seen.contradictions)
    for peer in strangers:
        sent, received = seen.peers[peer].sent.lower, seen.peers[peer].received.lower
        busy = (rates_of(seen, np.maximum(sent, received)) > terms.allowance_bytes_per_s) & seen.observed
        if busy.any():
            reasons.append(
                f"{pod} and {peer} are not declared peers and exchanged at least {bytes_text(sent[busy].sum())} one way and "
                f"{bytes_text(received[busy].sum())} the other ({spans_text(seen, busy)} UTC)"
            )
    if not reasons and not exceeded.any():
        sure = seen.complete[seen.observed].all() and not seen.sampled
        reasons.append(
            f"{pod} exchanged nothing above {terms.allowance_bytes_per_s:g} B/s with pods it did not declare"
            if sure
            else f"{pod} was not seen to exchange traffic with pods it did not declare, but could have: not all is seen"
        )
    if not seen.observed.all():
        reasons.append(f"{pod} was not observed {spans_text(seen, ~seen.observed)} UTC: {seen.why_not_observed()}")
    return tuple(reasons or [f"{pod} exchanged traffic with several pods it did not declare"])
