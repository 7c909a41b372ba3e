"""From streams of flow exports to traffic per pod and interval: the best of what its sensors saw.

- Of several sensors on one link, the highest lower bound and the lowest upper bound hold, interval by interval.
- Two sensors whose bounds exclude each other by more than `METER_DISAGREEMENT` contradict each other: nothing of that
  pod is believed, and the report says which two.
- Bounds from sampling share one miss probability, however many sensors sample: each gets its part of it.
- A stream is decoded once per review, however many clauses ask, and for all the averaging times that they ask for.

What one sensor saw is made in `sensor`.
"""

from __future__ import annotations

from itertools import combinations
from typing import cast

import numpy as np

from inspectorate.agreement import CoordinatedExchange, InterconnectLimit, LockStep, PodIsolation
from inspectorate.assessment import Case
from inspectorate.declaration import Pod
from inspectorate.mechanisms.interconnect.counters.conservation import contradictions
from inspectorate.mechanisms.interconnect.reference import METER_DISAGREEMENT
from inspectorate.mechanisms.interconnect.sensor import SensorView, observe_sensor
from inspectorate.mechanisms.interconnect.traffic import Flow, Mask, PeerTraffic, PodTraffic, Times
from inspectorate.quantities import Period, from_ns, to_ns

_Key = tuple[str, float]


def observe_pods(case: Case, averaging_s: float) -> dict[str, PodTraffic]:
    """The traffic of every declared pod on the grid of `averaging_s`, from all the evidence of the case."""
    key = f"interconnect.traffic.{averaging_s:g}"
    if key not in case.shared:
        views = _views(case)
        edges = grid(case.period, averaging_s)
        for pod in case.declaration.pods:
            seen = [view for (_, step), view in views.items() if view.pod == pod.id and step == averaging_s]
            case.shared.setdefault(key, {})
            cast(dict[str, PodTraffic], case.shared[key])[pod.id] = combine(pod, edges, seen)
    return cast(dict[str, PodTraffic], case.shared[key])


def grid(period: Period, averaging_s: float) -> Times:
    """Edges [ns] of the intervals of a period. What is left at its end belongs to the last interval.

    No second of the period goes unappraised. A longer interval accuses nobody falsely: its average is above the limit only
    if that of some stretch of `averaging_s` is. A period shorter than `averaging_s` is one interval that outlasts it.
    """
    count = max(1, int(period.duration_s / averaging_s + 1e-9))
    step = round(averaging_s * 1e9)
    edges = to_ns(period.start) + step * np.arange(count + 1, dtype=np.int64)
    edges[-1] = max(int(edges[-1]), to_ns(period.end))
    return edges


def _views(case: Case) -> dict[_Key, SensorView]:
    """What each sensor saw, for every averaging time that the agreement asks for."""
    if "interconnect.views" not in case.shared:
        steps = sorted(
            {
                clause.parameters.averaging_s
                for clause in case.agreement.clauses
                if isinstance(clause.parameters, InterconnectLimit | PodIsolation | CoordinatedExchange | LockStep)
            }
        )
        grids = {step: grid(case.period, step) for step in steps}
        views: dict[_Key, SensorView] = {}
        for sensor in case.declaration.sensors:
            stream = case.evidence.streams.get(sensor.id)
            if stream is None:
                continue
            seen = observe_sensor(
                sensor,
                stream,
                declaration=case.declaration,
                payload=case.evidence.payload,
                grids=grids,
                miss_probability=case.miss_probability / len(case.declaration.sensors),
            )
            views.update({(sensor.id, step): view for step, view in seen.items()})
        case.shared["interconnect.views"] = views
    return cast(dict[_Key, SensorView], case.shared["interconnect.views"])


def combine(pod: Pod, edges_ns: Times, views: list[SensorView]) -> PodTraffic:
    """The best of what several sensors saw of one pod's link."""
    count = len(edges_ns) - 1
    observed, complete = np.zeros(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_)
    for view in views:
        observed |= view.observed
        complete |= view.observed & view.complete
    against = tuple(text for view in views for text in view.contradictions) + tuple(
        text for one, other in combinations(views, 2) for text in _contradictions(one, other, edges_ns)
    )
    if against:
        observed = np.zeros(count, dtype=np.bool_)
    peers = sorted({peer for view in views for peer in view.peers})
    return PodTraffic(
        pod=pod.id,
        edges_ns=edges_ns,
        sent=_best(count, [(view.observed, view.sent) for view in views]),
        received=_best(count, [(view.observed, view.received) for view in views]),
        peers={
            peer: PeerTraffic(
                sent=_best(count, [(v.observed, v.peers[peer].sent) for v in views if peer in v.peers]),
                received=_best(count, [(v.observed, v.peers[peer].received) for v in views if peer in v.peers]),
            )
            for peer in peers
        },
        observed=observed,
        complete=complete,
        sampled=any(view.sampled for view in views),
        holders=tuple(sorted({holder for view in views for holder in view.holders})),
        evidence_ids=tuple(dict.fromkeys(digest for view in views for digest in view.evidence_ids)),
        contradictions=against,
        notes=tuple(dict.fromkeys(note for view in views for note in view.notes)),
    )


def _best(count: int, flows: list[tuple[Mask, Flow]]) -> Flow:
    """Cell by cell the tightest bounds among those sensors that observed the cell; the estimate is kept between them."""
    lower, upper, estimate = np.zeros(count), np.full(count, np.inf), np.zeros(count)
    known = np.zeros(count, dtype=np.bool_)
    for observed, flow in flows:
        lower = np.where(observed, np.maximum(lower, flow.lower), lower)
        upper = np.where(observed, np.minimum(upper, flow.upper), upper)
        estimate = np.where(observed & ~known, flow.estimate, estimate)
        known |= observed
    lower = np.minimum(lower, upper)
    return Flow(lower=lower, estimate=np.clip(estimate, lower, upper), upper=upper)


def _contradictions(one: SensorView, other: SensorView, edges_ns: Times) -> list[str]:
    """Where two sensors exclude each other, and by how much at the worst."""
    both = one.observed & other.observed
    found = []
    for direction in ("sent", "received"):
        first: Flow = getattr(one, direction)
        second: Flow = getattr(other, direction)
        apart = contradictions(
            direction,
            edges_ns,
            (first.lower, first.upper),
            (second.lower, second.upper),
            both,
            share=METER_DISAGREEMENT,
        )
        if apart:
            worst = max(apart, key=lambda case: case.bytes_apart)
            found.append(
                f"sensors {one.sensor} and {other.sensor} exclude each other in {len(apart)} intervals ({direction}); "
                f"by most at {from_ns(worst.start_ns):%H:%M:%S} UTC: {worst.bytes_apart:,.0f} bytes apart"
            )
    return found
