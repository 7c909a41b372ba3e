"""What one sensor saw of one pod's link.

Procedure (`observe_sensor`):

1. The segments of its stream are decoded in order, and the bytes between the pod and every other place are summed per
   interval: at least what lies wholly in the interval, at most all that overlaps it.
2. Counts of a sampling sensor are widened by the error of sampling: upwards at the miss probability that the case allows,
   divided by the number of bounds drawn; downwards at the rate with which a meter may err in an exceedance.
3. What lost datagrams and unreadable records could have carried is added to the upper bounds: never more than the link
   carries in the time they span, and never more than the counters of the interface say, where an exporter sends them.
4. An interval is *observed* if the collector listened from its start until active flows of that time must have been
   reported, and the exporter was never silent for longer than it declared, nor unreadable throughout. Silence hides
   also what was under way when it began: flows that were active then and had not been reported, back to one active
   timeout before.

An interval that was not observed has numbers too, but they mean nothing: `observed` says which do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inspectorate.declaration import Declaration, Pod, Sensor
from inspectorate.evidence import Stream
from inspectorate.mechanisms.interconnect.counters.samples import counted_upper
from inspectorate.mechanisms.interconnect.counters.view import CounterReader, PortsSeen
from inspectorate.mechanisms.interconnect.flows import COUNTER, AddressMap, PairTable, scaled_bytes_bounds
from inspectorate.mechanisms.interconnect.flows.columns import Counters
from inspectorate.mechanisms.interconnect.margins import unreadable, unseen_bytes
from inspectorate.mechanisms.interconnect.reading import Reader, reader_for
from inspectorate.mechanisms.interconnect.reference import (
    ARRIVAL_SLACK_S,
    CLOCK_GRAIN_S,
    FRAME_BYTES_MAX,
    LAYER2_BYTES_MAX,
    METER_EXCESS_RATE,
)
from inspectorate.mechanisms.interconnect.traffic import Floats, Flow, Mask, PeerTraffic, Times
from inspectorate.quantities import from_ns, to_ns

PEERS_APART_MAX = 16
"""In a fleet of more pods than this, those that a pod did not declare as peers are counted together: a table has a cell
for every pair of places and interval."""
OTHER_PODS = "other-pods"
"""The name under which they are counted.."""


SILENCES_TOLD = 4
"""How many silences a report names one by one."""


@dataclass(frozen=True, kw_only=True)
class SensorView:
    """One sensor's view of a pod's link on one grid of intervals."""

    sensor: str
    pod: str
    sent: Flow
    received: Flow
    peers: Mapping[str, PeerTraffic]
    observed: Mask
    complete: Mask
    sampled: bool
    contradictions: tuple[str, ...]
    """What the stream says against itself: wrong clock, wrong sampling rate."""
    holders: tuple[str, ...]
    evidence_ids: tuple[str, ...]
    notes: tuple[str, ...]


def observe_sensor(
    sensor: Sensor,
    stream: Stream,
    *,
    declaration: Declaration,
    payload: Callable[[str], bytes],
    grids: Mapping[float, Times],
    miss_probability: float,
) -> dict[float, SensorView]:
    """What a sensor saw, on each of several grids (procedure in the module's docstring)."""
    pod = next(pod for pod in declaration.pods if pod.id == sensor.pod)
    groups = address_groups(pod, declaration.pods)
    addresses = AddressMap.build(groups)
    # (1)
    reader = reader_for(sensor)
    slack_ns = round(CLOCK_GRAIN_S * 1e9)
    tables = {step: PairTable(addresses, edges, slack_ns=slack_ns) for step, edges in grids.items()}
    counters: list[Counters] = [np.empty(0, COUNTER)]
    for segment in stream.segments:
        for batch in reader.read(segment, payload(segment.payload)):
            counters.append(batch.counters)
            for table in tables.values():
                table.add(batch.records)
    if isinstance(reader, CounterReader):
        ports = PortsSeen(sensor, reader.readings(), declaration)
        places = [place for place in groups if place != pod.id]
        return {step: _counted_view(sensor, stream, reader, ports, places, edges) for step, edges in grids.items()}
    link = declaration.link(pod.id)
    return {
        step: _view(
            sensor,
            stream,
            pod,
            table=tables[step],
            edges=edges,
            reader=reader,
            counters=np.concatenate(counters),
            link_bytes_per_s=link.bytes_per_s_max if link else None,
            miss_probability=miss_probability,
        )
        for step, edges in grids.items()
    }


def address_groups(pod: Pod, pods: Sequence[Pod]) -> dict[str, tuple[str, ...]]:
    """The places that matter to a pod's link, with their networks: itself first, then its peers, then the other pods."""
    others = [other for other in pods if other.id != pod.id]
    apart = [other for other in others if len(pods) <= PEERS_APART_MAX or other.id in pod.peers]
    groups = {pod.id: pod.networks} | {other.id: other.networks for other in apart}
    together = tuple(network for other in others if other not in apart for network in other.networks)
    return groups | ({OTHER_PODS: together} if together else {})


def _view(
    sensor: Sensor,
    stream: Stream,
    pod: Pod,
    *,
    table: PairTable,
    edges: Times,
    reader: Reader,
    counters: Counters,
    link_bytes_per_s: float | None,
    miss_probability: float,
) -> SensorView:
    """Steps 2 to 4 on one grid."""
    own = table.pods.index(pod.id)
    others = [place for place in range(len(table.pods)) if place != own]
    bounds = _Bounds(
        table,
        upper_miss=miss_probability / (2 * (len(edges) - 1) * len(others)),
        lower_miss=METER_EXCESS_RATE / len(others),
    )
    # (2)
    sent = {place: bounds.flow(own, place) for place in others}
    received = {place: bounds.flow(place, own) for place in others}
    # (3)
    unseen = unseen_bytes(reader.gaps(), stream, sensor, edges, link_bytes_per_s)
    if table.saturated or not reader.tells_unseen:
        unseen = np.full(len(edges) - 1, np.inf)
    counted = counted_upper(counters, edges, link_bytes_per_s=link_bytes_per_s)
    total_sent, total_received = (
        _total(flows.values(), unseen, counted[side] if counted else None)
        for side, flows in enumerate((sent, received))
    )
    # (4)
    silent = silences(reader.arrivals, stream, silence_s_max=sensor.silence_s_max)
    observed = listened_through(stream, edges, tail_s=sensor.active_timeout_s + ARRIVAL_SLACK_S)
    observed &= ~unreadable(reader.gaps(), edges)
    for start, end in silent:
        observed &= ~_touched(edges, start - round((sensor.active_timeout_s + ARRIVAL_SLACK_S) * 1e9), end)
    return SensorView(
        sensor=sensor.id,
        pod=pod.id,
        sent=total_sent,
        received=total_received,
        peers={
            table.pods[place]: PeerTraffic(
                sent=_total([sent[place]], unseen), received=_total([received[place]], unseen)
            )
            for place in others
            if place != 0
        },
        observed=observed,
        complete=unseen == 0,
        sampled=table.sampled is not None,
        contradictions=reader.contradictions(),
        holders=tuple(sorted({holder.value for segment in stream.segments for holder in segment.holders})),
        evidence_ids=stream.evidence_ids,
        notes=_notes(sensor, silent, observed, reader),
    )


def _counted_view(
    sensor: Sensor, stream: Stream, reader: CounterReader, ports: PortsSeen, places: Sequence[str], edges: Times
) -> SensorView:
    """What counters of ports bound: the sum. With each other pod it may have been nothing, or all of it."""
    seen = ports.amounts(edges)
    observed = seen.observed & listened_through(stream, edges, tail_s=0.0)
    silent = silences(reader.arrivals, stream, silence_s_max=sensor.silence_s_max)
    for start, end in silent:
        observed &= ~_touched(edges, start, end)
    none = np.zeros(len(edges) - 1)
    with_any = PeerTraffic(
        sent=Flow(lower=none, estimate=none, upper=seen.sent.upper),
        received=Flow(lower=none, estimate=none, upper=seen.received.upper),
    )
    return SensorView(
        sensor=sensor.id,
        pod=sensor.pod,
        sent=seen.sent,
        received=seen.received,
        peers=dict.fromkeys(places, with_any),
        observed=observed,
        complete=np.zeros(len(edges) - 1, dtype=np.bool_),
        sampled=False,
        contradictions=(*reader.contradictions(), *ports.contradictions()),
        holders=tuple(sorted({holder.value for segment in stream.segments for holder in segment.holders})),
        evidence_ids=stream.evidence_ids,
        notes=(*_notes(sensor, silent, observed, reader), *ports.notes()),
    )


class _Bounds:
    """Bounds on the bytes from one place to another, per interval, from a table's exact and sampled sums."""

    def __init__(self, table: PairTable, *, upper_miss: float, lower_miss: float) -> None:
        self._exact = table.exact
        self._sampled = table.sampled
        self._upper_miss = upper_miss
        self._lower_miss = lower_miss

    def flow(self, source: int, target: int) -> Flow:
        cells = (slice(None), source, target)
        lower, estimate, upper = (
            values[cells].astype(np.float64)
            for values in (self._exact.bytes_lower, self._exact.bytes_estimate, self._exact.bytes_upper)
        )
        if self._sampled is None:
            return Flow(lower=lower, estimate=estimate, upper=upper)
        rate = np.maximum(self._sampled.rate_max[cells].astype(np.float64), self._rate_seen())
        headers = LAYER2_BYTES_MAX * rate * self._sampled.packets_lower[cells]
        least = scaled_bytes_bounds(
            np.maximum(self._sampled.bytes_lower[cells] - headers, 0),
            rate_max=rate,
            frame_bytes_max=FRAME_BYTES_MAX,
            miss_probability=self._lower_miss,
        )
        most = scaled_bytes_bounds(
            self._sampled.bytes_upper[cells],
            rate_max=rate,
            frame_bytes_max=FRAME_BYTES_MAX,
            miss_probability=self._upper_miss,
        )
        return Flow(
            lower=lower + least.lower,
            estimate=estimate + self._sampled.bytes_estimate[cells].astype(np.float64),
            upper=upper + most.upper,
        )

    def _rate_seen(self) -> float:
        """The highest rate of the stream: a cell without a sample was sampled at some rate all the same."""
        assert self._sampled is not None
        return float(self._sampled.rate_max.max())


def _total(flows: Iterable[Flow], unseen: Floats, counted: Floats | None = None) -> Flow:
    """The sum of flows between different places; what was unseen could have been any of them.

    `counted` bounds the sum from above by the counters of the interface, which miss nothing.
    """
    parts = list(flows)
    lower = np.sum([part.lower for part in parts], axis=0)
    estimate = np.sum([part.estimate for part in parts], axis=0)
    upper = np.sum([part.upper for part in parts], axis=0) + unseen
    if counted is not None:
        upper = np.maximum(lower, np.minimum(upper, counted))
    return Flow(lower=lower, estimate=np.clip(estimate, lower, upper), upper=upper)


def silences(arrivals: Sequence[Times], stream: Stream, *, silence_s_max: float) -> tuple[tuple[int, int], ...]:
    """Stretches [ns] in which the collector listened and nothing came for longer than a live exporter may be silent.

    The beginning and the end of listening count like arrivals: an exporter that never spoke was silent throughout.
    """
    limit = round(silence_s_max * 1e9)
    found: list[tuple[int, int]] = []
    times = np.sort(np.concatenate([np.empty(0, np.int64), *arrivals]))
    for period in stream.listened:
        start, end = to_ns(period.start), to_ns(period.end)
        inside = times[(times >= start) & (times < end)]
        marks = np.concatenate(([start], inside, [end]))
        long = np.flatnonzero(np.diff(marks) > limit)
        found += [(int(marks[place]), int(marks[place + 1])) for place in long]
    return tuple(found)


def listened_through(stream: Stream, edges: Times, *, tail_s: float) -> Mask:
    """Intervals through which, and for `tail_s` after which, the collector listened without a break."""
    through = np.zeros(len(edges) - 1, dtype=np.bool_)
    tail = round(tail_s * 1e9)
    for period in stream.listened:
        through |= (edges[:-1] >= to_ns(period.start)) & (edges[1:] + tail <= to_ns(period.end))
    return through


def _touched(edges: Times, start_ns: int, end_ns: int) -> Mask:
    """Intervals that overlap a stretch of time."""
    touched: Mask = (edges[:-1] < end_ns) & (edges[1:] > start_ns)
    return touched


def _notes(sensor: Sensor, silent: Sequence[tuple[int, int]], observed: Mask, reader: Reader) -> tuple[str, ...]:
    """Why something was not observed or not read, in words."""
    notes = [
        f"{sensor.id} reported nothing from {from_ns(a):%H:%M:%S} to {from_ns(b):%H:%M:%S} UTC"
        for a, b in silent[:SILENCES_TOLD]
    ]
    if len(silent) > SILENCES_TOLD:
        notes.append(f"{sensor.id} was silent {len(silent) - SILENCES_TOLD} more times")
    if not silent and not reader.refused() and not observed.all():
        notes.append(f"the collector of {sensor.id} did not listen throughout, and long enough afterwards")
    notes += [
        f"{sensor.id}: {count} times {reason.value.replace('_', ' ')}" for reason, count in reader.refused().items()
    ]
    return tuple(notes)
