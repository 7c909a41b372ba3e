"""`interconnect-limit`: one assessment per declared pod.

An exceedance is an interval whose *lower* bound, sent or received, is above limit x (1 + tolerance). Where the *upper*
bound stays below that, the limit is verified, and the pods join only as the planner says (`plan.joining`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from inspectorate.agreement import Agreement, InterconnectLimit
from inspectorate.assessment import Assessment, Case, Joining, Scope
from inspectorate.declaration import Pod
from inspectorate.mechanisms.interconnect import exhibits, reference
from inspectorate.mechanisms.interconnect.appraise.common import (
    NAME,
    Mask,
    assumptions_of,
    log_e_of,
    rates_of,
    scope_of,
    spans_text,
    stretches,
    verdict_of,
)
from inspectorate.mechanisms.interconnect.observe import observe_pods
from inspectorate.mechanisms.interconnect.plan.joining import Group, contributions
from inspectorate.mechanisms.interconnect.plan.types import Case as PlannedCase
from inspectorate.mechanisms.interconnect.traffic import PodTraffic
from inspectorate.quantities import Period, from_ns
from inspectorate.statistics import BetPlan, bounded_log_e, merge_mean


def appraise_limit(case: Case, terms: InterconnectLimit) -> tuple[Assessment, ...]:
    traffic = observe_pods(case, terms.averaging_s)
    allowed = terms.bytes_per_s_max * (1 + terms.tolerance)
    verified = {pod: _verified(seen, allowed) for pod, seen in traffic.items()}
    joinings = _joinings(case, terms, traffic, verified, allowed)
    shown = exhibits.pods_shown(traffic)
    pods = sorted(traffic)
    over = [
        rates_of(traffic[pod], flow.lower) > allowed
        for pod in pods
        for flow in (traffic[pod].sent, traffic[pod].received)
    ]
    plan = BetPlan(stakes=(reference.DECISIVE_STAKE,), start_rate=1 / len(over[0]))
    log_e = log_e_of(over, [traffic[pod].observed for pod in pods for _ in range(2)], reference.METER_EXCESS_RATE, plan)
    found: list[Assessment] = []
    for place, pod in enumerate(pods):
        seen = traffic[pod]
        exceeded = (over[2 * place] | over[2 * place + 1]) & seen.observed
        reasons = _limit_reasons(pod, seen, exceeded, terms, allowed)
        found.append(
            Assessment(
                clause=case.clause.id,
                mechanism=NAME,
                scope=scope_of((pod,), case, seen, exceeded),
                verdict=verdict_of(seen, bool(verified[pod].all()), bool(exceeded.any())),
                log_e=bounded_log_e(merge_mean(log_e[2 * place : 2 * place + 2])),
                joining=joinings.get(pod, ()),
                assumptions=assumptions_of(seen),
                evidence_ids=seen.evidence_ids,
                exhibits=(exhibits.pod_series(pod, seen, terms),) if pod in shown else (),
                reasons=reasons,
                not_checked=seen.not_observed_notes(),
            )
        )
    return tuple(found)


def _verified(seen: PodTraffic, allowed: float) -> Mask:
    """Where the limit is verified: everything that could have passed, sent or received, stays below it."""
    return (
        seen.observed & (rates_of(seen, seen.sent.upper) <= allowed) & (rates_of(seen, seen.received.upper) <= allowed)
    )


def _joinings(
    case: Case, terms: InterconnectLimit, traffic: dict[str, PodTraffic], verified: dict[str, Mask], allowed: float
) -> dict[str, tuple[Joining, ...]]:
    """How pods join where their limit is verified, as data for the account; listed under the first pod of each group.

    Pods that were verified over the same stretch form a group. Exact meters bound without error; a bound from sampled
    ones can fail with the probability that the case allows, which counts once for all of them.
    """
    sizes = _run_sizes(case.agreement)
    table = _contributions(case, terms.adversary, allowed, sizes)
    groups: dict[tuple[int, int, bool], list[str]] = {}
    for pod in sorted(traffic):
        for start, stop in stretches(verified[pod]):
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
                contributions=table(pods, False),
                post_training=table(pods, True),
                rule=reference.JOINING_RULE.format(case=terms.adversary, least=sizes[0], most=sizes[-1]),
            )
        )
    return {pod: tuple(joinings) for pod, joinings in found.items()}


def _contributions(
    case: Case, adversary: str, allowed: float, sizes: tuple[float, ...]
) -> Callable[[Sequence[str], bool], tuple[float, ...]]:
    """What the pods of a group contribute, for post-training or not. The slowest and the largest pod stand for all."""
    formats, utilisation = case.agreement.counted_formats, case.agreement.utilisation.max
    declared = {pod.id: pod for pod in case.declaration.pods}

    def table(pods: Sequence[str], post_training: bool) -> tuple[float, ...]:
        return contributions(
            Group(
                pods=len(pods),
                bytes_per_s=allowed,
                pod_flop_per_s=min(declared[pod].peak_flop_per_s(formats) for pod in pods) * utilisation,
                memory_bytes=max(_memory_bytes(declared[pod]) for pod in pods),
                run_flops=sizes,
                case=PlannedCase(adversary),
            ),
            post_training=post_training,
        )

    return table


def _memory_bytes(pod: Pod) -> float:
    """Accelerator memory of a pod; without bound where the catalogue does not know a chip's."""
    sizes = [(group.count, group.chip.memory_bytes) for group in pod.chips]
    return sum(count * size if size is not None else math.inf for count, size in sizes)


def _run_sizes(agreement: Agreement) -> tuple[float, ...]:
    """The sizes of run for which pods are joined [FLOP]: from the smallest threshold to beyond the largest."""
    limits = [threshold.flop_max for threshold in agreement.thresholds] or [reference.RUN_FLOP_DEFAULT]
    least, most = min(limits), max(limits) * reference.RUN_FLOP_ABOVE
    steps = math.ceil(math.log10(most / least) * reference.RUN_SIZES_PER_DECADE)
    grid = np.geomspace(least, most, steps + 1)
    return tuple(sorted({*limits, *(float(f"{flop:.6g}") for flop in grid)}))


def _limit_reasons(
    pod: str, seen: PodTraffic, exceeded: Mask, terms: InterconnectLimit, allowed: float
) -> tuple[str, ...]:
    reasons = list(seen.contradictions)
    if not seen.observed.any():
        return (*reasons, f"{pod}: its link was not observed")
    if exceeded.any():
        sent = float(rates_of(seen, seen.sent.lower)[exceeded].max())
        received = float(rates_of(seen, seen.received.lower)[exceeded].max())
        reasons.append(
            f"{pod} exceeded {terms.bytes_per_s_max:,.0f} B/s in {int(exceeded.sum())} intervals of {terms.averaging_s:g} s "
            f"({spans_text(seen, exceeded)} UTC): at least {sent:,.0f} B/s sent and {received:,.0f} B/s received at the peak"
        )
    else:
        highest = max(float(rates_of(seen, d.upper)[seen.observed].max()) for d in (seen.sent, seen.received))
        kept = "kept the limit" if highest <= allowed else "may have exceeded the limit"
        reasons.append(f"{pod} {kept}: at most {highest:,.0f} B/s in any observed interval of {terms.averaging_s:g} s")
    if not seen.observed.all():
        reasons.append(f"{pod} was not observed {spans_text(seen, ~seen.observed)} UTC: {seen.why_not_observed()}")
    return tuple(reasons)
