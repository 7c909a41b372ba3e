"""Polling: readings of a source, every few seconds, into signed and chained segments of JSON lines.

Procedure, as for datagrams (`collector`):

1. A sensor is some ports of the source that is polled. Its stream begins when the recorder is made, with segment 0.
2. A reading belongs to the segment in whose period its answer came. A segment ends at the next multiple of its length since 1970.
3. A poll that failed leaves no reading, and is counted: it shows as a gap. A segment without readings is written too.
4. A stretch in which this process did not come to turn is one empty segment, whatever its length.
5. Closed segments leave through a function, in order; `evidence.sealing` signs and chains them.

Nothing is left out because it is odd: what goes back, jumps or repeats itself is for the reader to name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.evidence.cutting import PAYLOAD_BYTES_TARGET, SEGMENT_S_MAX, Cutter, Open
from inspectorate.mechanisms.interconnect.collector import ClosedSegment
from inspectorate.mechanisms.interconnect.counters.lines import MEDIA_TYPE, line_of
from inspectorate.mechanisms.interconnect.counters.readings import Port, Reading

SENSORS_MAX = 4_096
EVERY_S_MIN = 0.05


class Source(Protocol):
    """Something that counts: `poll` gives a reading of every port now, or raises an error of ours."""

    def poll(self) -> tuple[Reading, ...]: ...


@dataclass(kw_only=True)
class Polled:
    """What one sensor's stream came to so far."""

    readings: int = 0
    segments: int = 0
    ports_missing: int = 0
    """Polls in which a port of the sensor had no reading."""


@dataclass(kw_only=True)
class _Content:
    lines: list[bytes] = field(default_factory=list)
    size_bytes: int = 0


class CounterRecorder:
    """Cuts readings into segments (procedure in the module's docstring). Pure: times come with the readings."""

    def __init__(
        self,
        sensors: Mapping[str, frozenset[Port]],
        sink: Callable[[ClosedSegment], None],
        *,
        start_ns: int,
        segment_s: float = 30.0,
    ) -> None:
        if not sensors or len(sensors) > SENSORS_MAX or not all(sensors.values()):
            raise InputError(
                f"{len(sensors)} sensors cannot be recorded", remedy=f"give 1 to {SENSORS_MAX}, each with a port"
            )
        self._sensors = dict(sensors)
        self._sink = sink
        self.counts = {sensor: Polled() for sensor in sensors}
        # (1)
        self._cutter = Cutter(
            sensors, lambda _sensor, _former: _Content(), self._closed, start_ns=start_ns, segment_s=segment_s
        )

    def feed(self, readings: tuple[Reading, ...]) -> None:
        """Take the readings of one poll: each sensor keeps those of its ports."""
        for sensor, ports in self._sensors.items():
            own = [reading for reading in readings if reading.port in ports]
            self.counts[sensor].ports_missing += {reading.port for reading in own} != ports
            for reading in sorted(own, key=lambda one: one.time_ns):
                self._take(sensor, reading)

    def tick(self, now_ns: int) -> None:
        """Say that all readings of before `now_ns` have been fed: ends what is over."""
        for sensor in self._sensors:
            self._cutter.advance(sensor, now_ns)

    def close(self, now_ns: int) -> None:
        """End every stream. Idempotent."""
        self._cutter.close(now_ns)

    def _take(self, sensor: str, reading: Reading) -> None:
        # (2)
        segment = self._cutter.advance(sensor, reading.time_ns)
        # Times in a segment never decrease, and lie within it: a clock that was set back shows as age.
        late = max(0, segment.latest_ns - reading.time_ns)
        line = line_of(
            replace(reading, time_ns=reading.time_ns + late, age_ns=reading.age_ns + late) if late else reading
        )
        if segment.content.size_bytes + len(line) > PAYLOAD_BYTES_TARGET:
            segment = self._cutter.end_early(sensor)
        segment.content.lines.append(line)
        segment.content.size_bytes += len(line)
        segment.latest_ns = max(segment.latest_ns, reading.time_ns)
        self.counts[sensor].readings += 1

    def _closed(self, sensor: str, segment: Open[_Content], end_ns: int, final: bool) -> None:
        self.counts[sensor].segments += 1
        self._sink(
            ClosedSegment(
                sensor=sensor,
                sequence=segment.sequence,
                final=final,
                start_ns=segment.start_ns,
                end_ns=end_ns,
                chunks=tuple(segment.content.lines),
                size_bytes=segment.content.size_bytes,
                datagrams=len(segment.content.lines),
                dropped=0,
                media_type=MEDIA_TYPE,
            )
        )


@dataclass(kw_only=True)
class Polls:
    """How polling went."""

    done: int = 0
    failed: int = 0
    last_fault: str = ""


def poll_until(
    source: Source,
    recorder: CounterRecorder,
    *,
    every_s: float,
    clock_ns: Callable[[], int],
    sleep: Callable[[float], None],
    stop: Callable[[int], bool],
) -> Polls:
    """Poll every `every_s` until `stop(now_ns)`, then end every stream. A poll that fails is counted, and polling goes on."""
    if not EVERY_S_MIN <= every_s <= SEGMENT_S_MAX:
        raise InputError(f"{every_s:g} s is not between {EVERY_S_MIN} and {SEGMENT_S_MAX:.0f} s", where="--every")
    polls = Polls()
    due_ns = clock_ns()
    while not stop(now_ns := clock_ns()):
        recorder.tick(now_ns)
        if now_ns >= due_ns:
            try:
                recorder.feed(source.poll())
                polls.done += 1
            except (EnvironmentError_, EvidenceError) as fault:
                # (3)
                polls.failed += 1
                polls.last_fault = str(fault)
            due_ns = max(due_ns + round(every_s * 1e9), clock_ns())
        sleep(min(0.05, max(0.0, (due_ns - clock_ns()) / 1e9)))
    recorder.close(clock_ns())
    return polls
