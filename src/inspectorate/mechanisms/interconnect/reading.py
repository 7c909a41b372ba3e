"""The kinds of source behind one shape: export datagrams, captured packets, GoFlow2 lines, and counters of ports.

A reader takes the segments of one stream in order and yields batches of records. Afterwards it knows when something
arrived, where something may be missing (`gaps`), what was refused, and whether it can tell at all what it did not see:

| source | can tell what it did not see |
|---|---|
| export datagrams (sFlow, NetFlow, IPFIX) | yes: sequence numbers |
| packets captured by a tap | yes: a capture says what was cut or unreadable; drops are the collector's to count |
| GoFlow2 JSON lines | no: they were decoded elsewhere, so only lower bounds come of them |
| counters of ports | nothing passes them uncounted; but they say nothing of flows, and yield none (`counters.view`) |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inspectorate.declaration import Sensor, SensorKind
from inspectorate.evidence import Segment
from inspectorate.mechanisms.interconnect.counters.view import CounterReader
from inspectorate.mechanisms.interconnect.flows import (
    DecodeReport,
    FlowDecoder,
    Gap,
    GapCause,
    GoFlow2Reader,
    Limits,
    Rejection,
)
from inspectorate.mechanisms.interconnect.flows import TapReader as PacketReader
from inspectorate.mechanisms.interconnect.flows import Unit as GapUnit
from inspectorate.mechanisms.interconnect.flows.capture import Capture
from inspectorate.mechanisms.interconnect.flows.columns import Batch
from inspectorate.mechanisms.interconnect.reference import (
    CLOCK_OFF_S_MAX,
    SAMPLES_TO_JUDGE_RATE,
    SAMPLING_RATE_OFF_MAX,
)
from inspectorate.quantities import to_ns

Times = NDArray[np.int64]

HARMLESS = frozenset({Rejection.NOT_IP, Rejection.DUPLICATE_DATAGRAM})
"""Refusals that hide no IP traffic: frames that carry none, and copies of what was decoded."""


class Reader(Protocol):
    """Reads the segments of one stream, in order."""

    arrivals: list[Times]
    tells_unseen: bool

    def read(self, segment: Segment, data: bytes) -> Iterator[Batch]: ...

    def gaps(self) -> tuple[Gap, ...]: ...

    def refused(self) -> Mapping[Rejection, int]: ...

    def contradictions(self) -> tuple[str, ...]: ...


def reader_for(sensor: Sensor) -> Reader:
    """The reader for what a sensor sends."""
    match sensor.kind:
        case SensorKind.FLOW_EXPORT:
            return ExportReader(sensor)
        case SensorKind.TAP:
            return TapReader()
        case SensorKind.FLOW_LINES:
            return LinesReader()
        case SensorKind.COUNTERS:
            return CounterReader(sensor)


class ExportReader:
    """Export datagrams."""

    tells_unseen = True

    def __init__(self, sensor: Sensor) -> None:
        self.arrivals: list[Times] = []
        self._sensor = sensor
        self._rates: set[float] = set()
        self._miscounted = 0
        self._decoder = FlowDecoder(sampling_default=float(sensor.sampling_rate))

    def read(self, segment: Segment, data: bytes) -> Iterator[Batch]:
        blocks = [block["arrival_ns"].copy() for block in Capture(data, Limits()).datagrams()]
        self.arrivals += blocks
        if sum(map(len, blocks)) != segment.entries:
            self._miscounted += 1
        for batch in self._decoder.decode_segment(data):
            if len(batch.records):
                rates = batch.records["sampling_rate"]
                self._rates |= {float(rates.min()), float(rates.max())}
            yield batch

    @cached_property
    def _report(self) -> DecodeReport:
        """What the decoder has to say once all segments were read; asked for on every grid, made once."""
        return self._decoder.report()

    def gaps(self) -> tuple[Gap, ...]:
        return self._report.gaps

    def refused(self) -> Mapping[Rejection, int]:
        return self._report.rejections

    def contradictions(self) -> tuple[str, ...]:
        """A clock that is off, and a sampling rate that is not the announced or the declared one."""
        report, name = self._report, self._sensor.id
        found = [f"{name}: {self._miscounted} segments hold another number of datagrams than was signed"] * (
            self._miscounted > 0
        )
        for exporter in report.exporters:
            least, most = (offset / 1e9 for offset in exporter.clock_offset_ns)
            if least > CLOCK_OFF_S_MAX or most < -CLOCK_OFF_S_MAX:
                found.append(f"{name}: its clock differs from arrival by {least:.0f} to {most:.0f} s")
        if any(rate != self._sensor.sampling_rate for rate in self._rates):
            announced = " or ".join(f"{rate:g}" for rate in sorted(self._rates))
            found.append(
                f"{name}: announces sampling of 1 in {announced}, declared is 1 in {self._sensor.sampling_rate}"
            )
        for source in report.sources:
            if source.counters or source.samples < SAMPLES_TO_JUDGE_RATE:
                continue
            really = source.pool_packets / source.samples
            if abs(really / self._sensor.sampling_rate - 1) > SAMPLING_RATE_OFF_MAX:
                found.append(
                    f"{name}: samples 1 in {really:.0f} packets, declared is 1 in {self._sensor.sampling_rate}"
                )
        return tuple(dict.fromkeys(found))


class TapReader:
    """Captured packets: each is a record, and arrives when it passes."""

    tells_unseen = True

    def __init__(self) -> None:
        self.arrivals: list[Times] = []
        self._reader = PacketReader()
        self._seen: Counter[Rejection] = Counter()
        self._gaps: list[Gap] = []

    def read(self, segment: Segment, data: bytes) -> Iterator[Batch]:
        for batch in self._reader.read_segment(data):
            self.arrivals.append(batch.records["start_ns"].copy())
            yield batch
        new = Counter(self._reader.rejections) - self._seen
        self._seen = Counter(self._reader.rejections)
        lost = sum(count for reason, count in new.items() if reason not in HARMLESS)
        if lost:
            self._gaps.append(_gap(segment, lost))

    def gaps(self) -> tuple[Gap, ...]:
        return tuple(self._gaps)

    def refused(self) -> Mapping[Rejection, int]:
        return self._reader.rejections

    def contradictions(self) -> tuple[str, ...]:
        return ()


class LinesReader:
    """GoFlow2 JSON lines."""

    tells_unseen = False

    def __init__(self) -> None:
        self.arrivals: list[Times] = []
        self._reader = GoFlow2Reader()

    def read(self, segment: Segment, data: bytes) -> Iterator[Batch]:
        for batch in self._reader.read_segment(data):
            self.arrivals.append(batch.records["end_ns"].copy())
            yield batch

    def gaps(self) -> tuple[Gap, ...]:
        return ()

    def refused(self) -> Mapping[Rejection, int]:
        return self._reader.rejections

    def contradictions(self) -> tuple[str, ...]:
        return ()


def _gap(segment: Segment, lost: int) -> Gap:
    """Something in a segment could not be read; where in it is not known."""
    return Gap(
        exporter=None,
        cause=GapCause.UNREADABLE,
        start_ns=to_ns(segment.period.start),
        end_ns=to_ns(segment.period.end),
        unit=GapUnit.DATAGRAMS,
        lost=lost,
    )
