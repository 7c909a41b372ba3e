"""A counter sensor as evidence in a review: what its ports counted, as bounds on a pod's traffic.

The sensor watches the ports of a gateway or switch that face one pod: what they received the pod has sent. Its segments hold
readings as JSON lines (`lines`). Procedure (`PortsSeen.amounts`):

1. All ports of the stream are added up. Where the site's cabling is declared, only ports that are wired to the pod count; if one
   of these has no readings, nothing bounds the traffic from above.
2. At least: octets counted for sure within the interval, less what is no IP: `LAYER2_BYTES_MAX` for each frame (frames are
   counted, or where that count cannot be right, bounded by octets / `FRAME_BYTES_MIN`), and `NON_IP_BYTES_PER_S`.
3. At most: all octets counted in steps that overlap the interval, headers included.
4. An interval is observed where readings enclose it on every port and it touches no gap (a step longer than the sensor may be
   silent), no frozen stretch and no reading that contradicts itself. A value may be as old as the sensor's `active_timeout_s`.

Counters do not tell with whom traffic was exchanged: with any other pod it is nothing at least, everything at most. So a stream of
counters verifies a limit by itself, and never isolation, unless nothing was sent at all. It is never `complete`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from inspectorate.declaration import Declaration, Sensor
from inspectorate.evidence import Segment
from inspectorate.mechanisms.interconnect.counters.findings import Finding
from inspectorate.mechanisms.interconnect.counters.increase import PortSteps, increases
from inspectorate.mechanisms.interconnect.counters.levels import amounts, observed
from inspectorate.mechanisms.interconnect.counters.lines import LinesReport, read_lines
from inspectorate.mechanisms.interconnect.counters.readings import Port, Readings, ReadingsBuilder
from inspectorate.mechanisms.interconnect.counters.reference import FRAME_BYTES_MAX, FRAME_BYTES_MIN, NON_IP_BYTES_PER_S
from inspectorate.mechanisms.interconnect.flows import Gap, Rejection
from inspectorate.mechanisms.interconnect.flows.columns import Batch
from inspectorate.mechanisms.interconnect.reference import LAYER2_BYTES_MAX
from inspectorate.mechanisms.interconnect.traffic import Floats, Flow, Mask, Times
from inspectorate.quantities import to_ns

AGAINST_ITSELF = frozenset({Finding.CONFLICT, Finding.WENT_BACK, Finding.FASTER_THAN_LINK})
"""Findings that no intact counter gives rise to."""
PORTS_TOLD = 4


class CounterReader:
    """Reads the segments of a counter stream, in order. It yields no flow records: what it read is in `readings`."""

    tells_unseen = True

    def __init__(self, sensor: Sensor) -> None:
        self.arrivals: list[Times] = []
        self._sensor = sensor
        self._builder = ReadingsBuilder()
        self._report = LinesReport()
        self._miscounted = 0
        self._misplaced = 0

    def read(self, segment: Segment, data: bytes) -> Iterator[Batch]:
        start_ns, end_ns = to_ns(segment.period.start), to_ns(segment.period.end)
        lines = self._report.lines
        times: list[int] = []
        for reading in read_lines(data, self._report):
            if not start_ns <= reading.time_ns < end_ns:
                self._misplaced += 1
                continue
            self._builder.add(reading)
            times.append(reading.time_ns)
        self.arrivals.append(np.array(times, np.int64))
        self._miscounted += self._report.lines - lines != segment.entries
        yield from ()

    def readings(self) -> Readings:
        return self._builder.build()

    def gaps(self) -> tuple[Gap, ...]:
        return ()

    def refused(self) -> Mapping[Rejection, int]:
        return {Rejection.BAD_LINE: self._report.refused} if self._report.refused else {}

    def contradictions(self) -> tuple[str, ...]:
        name, found = self._sensor.id, []
        if self._miscounted:
            found.append(f"{name}: {self._miscounted} segments hold another number of readings than was signed")
        if self._misplaced:
            found.append(f"{name}: {self._misplaced} readings are of a time outside of their segment")
        return tuple(found)


@dataclass(frozen=True, kw_only=True)
class Amount:
    """What a counter sensor bounds on one grid: both directions in sum, and where it saw."""

    sent: Flow
    received: Flow
    observed: Mask


class PortsSeen:
    """The ports of one counter sensor, ready to be asked for any grid."""

    def __init__(self, sensor: Sensor, readings: Readings, declaration: Declaration) -> None:
        wired = wired_ports(declaration, sensor.pod)
        self._missing = tuple(sorted(wired - set(readings.ports)))
        self._other = tuple(port for port in readings.ports if wired and port not in wired)
        aged = readings.rows.copy()
        # (4)
        aged["age_ns"] += round(sensor.active_timeout_s * 1e9)
        readings = Readings(ports=readings.ports, rows=aged)
        steps = increases(readings, gap_s=sensor.silence_s_max)
        self._steps = tuple(one for port, one in steps.items() if port not in self._other)
        self._sensor = sensor.id

    def amounts(self, edges_ns: Times) -> Amount:
        """Bounds on what the pod sent and received per interval (procedure in the module's docstring)."""
        seen = np.full(len(edges_ns) - 1, bool(self._steps) and not self._missing)
        for one in self._steps:
            seen &= observed(one, edges_ns)
        return Amount(sent=self._sum("in", edges_ns), received=self._sum("out", edges_ns), observed=seen)

    def _sum(self, way: str, edges_ns: Times) -> Flow:
        count = len(edges_ns) - 1
        lower, estimate, upper = np.zeros(count), np.zeros(count), np.zeros(count)
        for one in self._steps:
            octets = amounts(one, f"{way}_octets", edges_ns)
            least = _ip_bytes_lower(one, way, octets.lower, edges_ns)
            lower += least
            estimate += np.maximum(least, octets.estimate)
            upper += octets.upper
        if self._missing or not self._steps:
            upper = np.full(count, np.inf)
        return Flow(lower=lower, estimate=np.clip(estimate, lower, upper), upper=upper)

    def contradictions(self) -> tuple[str, ...]:
        found = [one for steps in self._steps for one in steps.found if one.finding in AGAINST_ITSELF]
        return tuple(
            f"{self._sensor}: {one.port} is {one.finding.value.replace('-', ' ')} {one.count} times" for one in found
        )

    def notes(self) -> tuple[str, ...]:
        """What was odd, and what is missing, in words."""
        notes = [
            f"{self._sensor} has no readings of {port}, which is wired to the pod"
            for port in self._missing[:PORTS_TOLD]
        ]
        notes += [
            f"{self._sensor}: readings of {port}, which is not wired to the pod, do not count"
            for port in self._other[:PORTS_TOLD]
        ]
        totals: dict[Finding, int] = {}
        for one in self._steps:
            for told in one.found:
                totals[told.finding] = totals.get(told.finding, 0) + told.count
        notes += [
            f"{self._sensor}: {finding.value.replace('-', ' ')} {count} times" for finding, count in totals.items()
        ]
        return tuple(notes)


def _ip_bytes_lower(steps: PortSteps, way: str, octets: Floats, edges_ns: Times) -> Floats:
    """IP bytes for sure among octets of frames (2)."""
    frames = octets / FRAME_BYTES_MIN
    if f"{way}_packets" in steps.sides:
        counted = amounts(steps, f"{way}_packets", edges_ns).upper
        # Fewer frames than would hold the octets are a count that leaves some out: snmpd counts none on loopback.
        frames = np.where(counted * FRAME_BYTES_MAX >= octets, np.minimum(frames, counted), frames)
    other = NON_IP_BYTES_PER_S * np.diff(edges_ns) / 1e9
    least: Floats = np.maximum(0, octets - LAYER2_BYTES_MAX * frames - other)
    return least


def wired_ports(declaration: Declaration, pod: str) -> set[Port]:
    """The far ends of every declared cable of a pod; none where the cabling is not declared."""
    found: set[Port] = set()
    for site in declaration.sites:
        for wire in site.cabling:
            if wire.node == pod:
                found.add(Port(wire.other_node, wire.other_port))
            if wire.other_node == pod:
                found.add(Port(wire.node, wire.port))
    return found
