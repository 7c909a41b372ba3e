"""`lock-step`: one assessment per pair of pods that are not declared peers, or per pod where there are too many pairs.

Where there are more than `reference.PAIRS_MAX` pairs, each pod is compared with as many of those that follow it in the
order of names as the number of pairs allows, and its evidence is the mean over them; which pods are compared is settled by
the declaration alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from inspectorate.agreement import LockStep
from inspectorate.assessment import Assessment, Case, Exhibit, ExhibitKind, Scope, Verdict
from inspectorate.mechanisms.interconnect import reference
from inspectorate.mechanisms.interconnect.appraise.common import NAME, assumptions_of
from inspectorate.mechanisms.interconnect.observe import observe_pods
from inspectorate.mechanisms.interconnect.synchrony import ASSUMPTIONS
from inspectorate.mechanisms.interconnect.synchrony.process import SIGNALS, PairEvidence, Traffic, pair_evidence
from inspectorate.mechanisms.interconnect.synchrony.reference import SCALES
from inspectorate.mechanisms.interconnect.synchrony.shape import Rhythm, rhythms
from inspectorate.mechanisms.interconnect.traffic import PodTraffic
from inspectorate.statistics import bounded_log_e, merge_mean

Pair = tuple[int, int]
SHOWN_MAX = 50
"""Pairs in the exhibit of one assessment."""
SAID_FROM = 1.0
"""Evidence below this is not described further."""
COLUMNS = (
    "pod",
    "other_pod",
    "period_s",
    "coherence",
    "coherence_by_chance",
    "lag_s",
    "rank_correlation",
    "compared_intervals",
    "log_e",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Comparison:
    """All pairs that were compared, with what was found of each."""

    case: Case
    views: list[PodTraffic]
    pairs: list[Pair]
    found: PairEvidence
    shown: tuple[Rhythm | None, ...]

    def names(self, row: int) -> tuple[str, str]:
        one, other = self.pairs[row]
        return self.views[one].pod, self.views[other].pod


def appraise_lock_step(case: Case, terms: LockStep) -> tuple[Assessment, ...]:
    seen = observe_pods(case, terms.averaging_s)
    pods = sorted(seen)
    declared = {pod.id: pod.peers for pod in case.declaration.pods}
    every = list(combinations(range(len(pods)), 2))
    peers = [(p, q) for p, q in every if pods[q] in declared[pods[p]] or pods[p] in declared[pods[q]]]
    strangers = set(every) - set(peers)
    if not strangers:
        return (_not_compared(case, tuple(pods), "not compared: all pods are declared peers, or alone"),)
    per_pod = len(strangers) > reference.PAIRS_MAX
    pairs = _spread(len(pods), strangers) if per_pod else sorted(strangers)
    views = [seen[pod] for pod in pods]
    traffic = _traffic(views, terms.averaging_s)
    comparison = _Comparison(
        case=case,
        views=views,
        pairs=pairs,
        found=pair_evidence(traffic, pairs, peers=peers),
        shown=rhythms(traffic, pairs, peers=peers),
    )
    if per_pod:
        return tuple(_of_pod(comparison, pod) for pod in range(len(pods)))
    return tuple(_of_pair(comparison, row) for row in range(len(pairs)))


def _spread(pods: int, strangers: set[Pair]) -> list[Pair]:
    """As many pairs as may be compared: each pod with those that follow it, nearest first."""
    chosen: dict[Pair, None] = {}
    for step in range(1, pods // 2 + 1):
        for pod in range(pods):
            pair = (min(pod, (pod + step) % pods), max(pod, (pod + step) % pods))
            if pair in strangers:
                chosen[pair] = None
        if len(chosen) + pods > reference.PAIRS_MAX:
            break
    return list(chosen)


def _traffic(views: list[PodTraffic], interval_s: float) -> Traffic:
    """A longer last interval is left out: its rate would not compare."""
    count = len(views[0].observed)
    if count > 1 and not np.isclose(views[0].durations_s[-1], interval_s):
        count -= 1
    observed = np.vstack([view.observed[:count] for view in views])
    sent = np.vstack([view.sent.estimate[:count] for view in views])
    received = np.vstack([view.received.estimate[:count] for view in views])
    return Traffic(
        sent=np.where(observed, sent, 0.0),
        received=np.where(observed, received, 0.0),
        observed=observed,
        interval_s=interval_s,
    )


def _of_pair(comparison: _Comparison, row: int) -> Assessment:
    both = [comparison.views[pod] for pod in comparison.pairs[row]]
    one, other = comparison.names(row)
    compared = int(comparison.found.compared[row])
    return Assessment(
        clause=comparison.case.clause.id,
        mechanism=NAME,
        scope=Scope(pods=(one, other), period=comparison.case.period),
        verdict=_verdict(both, compared),
        log_e=bounded_log_e(float(comparison.found.log_e[row])),
        assumptions=_assumptions(both),
        evidence_ids=_evidence_ids(both),
        exhibits=_table(comparison, [row]),
        reasons=(*_contradictions(both), f"{one} and {other}: {_said(comparison, row)}"),
        not_checked=tuple(note for view in both for note in view.not_observed_notes()),
    )


def _of_pod(comparison: _Comparison, pod: int) -> Assessment:
    found, views = comparison.found, comparison.views
    rows = [row for row, pair in enumerate(comparison.pairs) if pod in pair]
    name = views[pod].pod
    if not rows:
        return _not_compared(comparison.case, (name,), f"{name}: not compared, all near it are its declared peers")
    met = [views[number] for number in sorted({number for row in rows for number in comparison.pairs[row]})]
    best = max(rows, key=lambda row: (float(found.log_e[row]), -row))
    one, other = comparison.names(best)
    return Assessment(
        clause=comparison.case.clause.id,
        mechanism=NAME,
        scope=Scope(pods=(name,), period=comparison.case.period),
        verdict=_verdict([views[pod]], int(found.compared[rows].max())),
        log_e=bounded_log_e(merge_mean(found.log_e[rows])),
        assumptions=_assumptions(met),
        evidence_ids=_evidence_ids(met),
        exhibits=_table(comparison, rows),
        reasons=(
            *_contradictions([views[pod]]),
            f"{name} was compared with {len(rows)} pods; strongest is {one} and {other}: {_said(comparison, best)}",
        ),
        not_checked=(
            *views[pod].not_observed_notes(),
            f"{name} was not compared with {len(views) - 1 - len(rows)} pods: there are too many pairs, or it declares them",
        ),
    )


def _assumptions(views: list[PodTraffic]) -> tuple[str, ...]:
    of_sensors = tuple(dict.fromkeys(text for view in views for text in assumptions_of(view)))
    return (*of_sensors, *ASSUMPTIONS) if of_sensors else ()


def _evidence_ids(views: list[PodTraffic]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(digest for view in views for digest in view.evidence_ids))


def _contradictions(views: list[PodTraffic]) -> tuple[str, ...]:
    return tuple(text for view in views for text in view.contradictions)


def _said(comparison: _Comparison, row: int) -> str:
    found, rhythm = comparison.found, comparison.shown[row]
    compared = int(found.compared[row])
    if not compared:
        return (
            "not compared: that needs both, and other pods in two groups that declare no peer in each other or in these "
            "two, observed together for longer than the warm-up"
        )
    scale, signal = divmod(int(found.lead[row]), len(SIGNALS))
    told = f"what was not to be expected correlates at {found.correlation[row]:+.2f} over {compared} intervals"
    if rhythm is not None:
        told += f", strongest at a period of {rhythm.period_s:.3g} s (coherence {rhythm.coherence:.2f})"
    if found.log_e[row] > SAID_FROM:
        told += f"; most where {SIGNALS[signal].name}, per {SCALES[scale]} intervals"
    return told


def _verdict(views: list[PodTraffic], compared: int) -> Verdict:
    """Short of an alarm, which only `findings` can raise."""
    if _contradictions(views):
        return Verdict.INVALID_EVIDENCE
    if not compared or not all(view.observed.all() for view in views):
        return Verdict.NOT_OBSERVED
    return Verdict.CONSISTENT if all(view.complete.all() for view in views) else Verdict.INCONCLUSIVE


def _table(comparison: _Comparison, rows: list[int]) -> tuple[Exhibit, ...]:
    """Period, coherence, lag and evidence of pairs, the strongest first; nothing where nothing was compared."""
    found = comparison.found
    ordered = sorted((row for row in rows if found.compared[row]), key=lambda row: (-float(found.log_e[row]), row))
    lines: list[tuple[str | float | None, ...]] = []
    for row in ordered[:SHOWN_MAX]:
        rhythm = comparison.shown[row]
        shape = (rhythm.period_s, rhythm.coherence, rhythm.coherence_by_chance, rhythm.lag_s) if rhythm else (None,) * 4
        compared = (float(found.correlation[row]), float(found.compared[row]), bounded_log_e(float(found.log_e[row])))
        lines.append((*comparison.names(row), *shape, *compared))
    if not lines:
        return ()
    first = "-".join(comparison.names(ordered[0]))
    return (
        Exhibit(
            id=f"lock-step-{first}" if len(rows) == 1 else f"lock-step-{len(rows)}-pairs-{first}",
            title="Common rhythm beyond the load that all pods share",
            kind=ExhibitKind.TABLE,
            columns=COLUMNS,
            rows=tuple(lines),
        ),
    )


def _not_compared(case: Case, pods: tuple[str, ...], reason: str) -> Assessment:
    return Assessment(
        clause=case.clause.id,
        mechanism=NAME,
        scope=Scope(pods=pods, period=case.period),
        verdict=Verdict.NOT_OBSERVED,
        reasons=(reason,),
    )
