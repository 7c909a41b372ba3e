"""The collector: datagrams in, signed and chained segments of every sensor's stream out.

Procedure:

1. A sensor's stream begins when its port is bound, under a name that no earlier stream had. Its first segment begins then.
2. A datagram belongs to the segment in whose period it arrived. A segment ends at the next multiple of `segment_ns` since
   1970, or earlier when its payload is full; the next begins at that very time.
3. A segment without datagrams is written too: "I listened and nothing came".
4. A stretch in which this process did not come to turn (it was suspended, or the clock was set forward) is one empty
   segment, whatever its length: it shows as silence of the sensor, and earns nothing.
5. A closed segment is sealed in order (`evidence.sealing`): a crash at any moment leaves whole statements whose payloads
   are there, and no other.
6. At the end every stream gets a last segment that says so. A stream without one was cut off; the reader sees that.

Rules:

- Times inside a segment never decrease and lie within its period. What the kernel stamped earlier than that (the clock was
  set back; a race of under a microsecond where a full segment ended) is entered at the earliest time allowed.
- Losses count in the segment of the next datagram that arrived after them, or of the moment when the socket was found empty.
- If segments cannot be written as fast as they come, receiving stops, the kernel drops, and the drops are counted.

`Collector` is pure: times come as arguments, closed segments leave through a function. Where segments end is `evidence.cutting`.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from inspectorate.evidence import FlowExportSegment
from inspectorate.evidence.cutting import PAYLOAD_BYTES_TARGET, SEGMENT_S_MAX, SEGMENT_S_MIN, Cutter, Open
from inspectorate.evidence.sealing import Closed, Sealer, SealingThread
from inspectorate.evidence.spool import Spool
from inspectorate.mechanisms.interconnect.receive import Receiver
from inspectorate.mechanisms.interconnect.segments import MEDIA_TYPE, NS_PER_S, Datagrams, Endpoint, SegmentWriter

__all__ = [
    "PAYLOAD_BYTES_TARGET",
    "SEGMENT_S_MAX",
    "SEGMENT_S_MIN",
    "ClosedSegment",
    "Collector",
    "Count",
    "Sealer",
    "SealingThread",
    "Spool",
    "run",
]

LINGER_NS = 50_000_000
"""A segment whose time is over stays open this long, for datagrams that are stamped but not yet in the socket's queue."""
PAUSE_S_MAX = 0.01
"""Pause after a turn in which sockets were emptied: datagrams gather, and one call takes many."""
PAUSE_BYTES_PER_S = 500_000_000
"""The pause is short enough that a socket whose queue grows this fast does not overflow: 200,000 datagrams a second of
1.1 kB, each of which takes 2.3 kB in the kernel."""
BATCHES_PER_TURN = 4
"""How long one busy sensor may hold up the others."""


@dataclass(frozen=True, kw_only=True)
class ClosedSegment(Closed):
    """A segment of flow export, or of readings of counters, that will not change any more."""

    datagrams: int
    dropped: int
    media_type: Literal["application/vnd.tcpdump.pcap", "application/x-ndjson"] = MEDIA_TYPE

    def predicate(self, **common: Any) -> FlowExportSegment:
        return FlowExportSegment(**common, media_type=self.media_type, datagrams=self.datagrams, dropped=self.dropped)


@dataclass(kw_only=True)
class Count:
    """What one sensor's stream came to so far."""

    datagrams: int = 0
    content_bytes: int = 0
    dropped: int = 0
    segments: int = 0


@dataclass(kw_only=True)
class _Content:
    """What is in the segment of a sensor that is being written."""

    writer: SegmentWriter
    dropped_before: int
    dropped_total: int


class Collector:
    """Cuts the datagrams of every sensor into segments (procedure in the module's docstring, steps 1 to 4 and 6)."""

    def __init__(
        self,
        sensors: Mapping[str, Endpoint],
        sink: Callable[[ClosedSegment], None],
        *,
        start_ns: int,
        segment_s: float = 30.0,
        payload_bytes_max: int = PAYLOAD_BYTES_TARGET,
    ) -> None:
        self._payload_bytes_max = payload_bytes_max
        self._sink = sink
        self._sensors = dict(sensors)
        self.counts = {sensor: Count() for sensor in sensors}
        # (1)
        self._cutter = Cutter(sensors, self._begin, self._closed, start_ns=start_ns, segment_s=segment_s)

    def next_end_ns(self) -> int:
        """When the next segment is due to end, lingering included."""
        return self._cutter.next_end_ns() + LINGER_NS

    def feed(self, datagrams: Datagrams) -> None:
        """Take what a receiver handed over. Content is copied."""
        sensor, count = datagrams.sensor, len(datagrams)
        segment = self._cutter[sensor]
        arrival_ns = np.maximum.accumulate(np.maximum(datagrams.arrival_ns, segment.latest_ns))
        first = 0
        while first < count:
            # (2)
            segment = self._cutter.advance(sensor, int(arrival_ns[first]))
            arrival_ns = np.maximum(arrival_ns, segment.start_ns)
            last = int(np.searchsorted(arrival_ns, segment.end_ns))
            part = datagrams.part(first, last, arrival_ns)
            writer = segment.content.writer
            if writer.datagrams and writer.size_bytes + part.record_bytes > self._payload_bytes_max:
                self._cutter.end_early(sensor)
                continue
            writer.append(part)
            segment.latest_ns = int(arrival_ns[last - 1])
            segment.content.dropped_total = int(part.dropped_total[-1])
            self.counts[sensor].datagrams += len(part)
            self.counts[sensor].content_bytes += int(part.lengths.sum())
            first = last
        if datagrams.drained:
            segment.content.dropped_total = datagrams.dropped_after
        self.counts[sensor].dropped = segment.content.dropped_total

    def tick(self, sensor: str, now_ns: int) -> None:
        """Say that every datagram of a sensor that had arrived at `now_ns` has been fed: ends what is over."""
        self._cutter.advance(sensor, now_ns - LINGER_NS)

    def close(self, now_ns: int) -> None:
        """End every stream (step 6). Idempotent."""
        self._cutter.close(now_ns)

    def _begin(self, sensor: str, former: _Content | None) -> _Content:
        dropped = former.dropped_total if former else 0
        return _Content(writer=SegmentWriter(self._sensors[sensor]), dropped_before=dropped, dropped_total=dropped)

    def _closed(self, sensor: str, segment: Open[_Content], end_ns: int, final: bool) -> None:
        content = segment.content
        self.counts[sensor].segments += 1
        self._sink(
            ClosedSegment(
                sensor=sensor,
                sequence=segment.sequence,
                final=final,
                start_ns=segment.start_ns,
                end_ns=end_ns,
                chunks=content.writer.chunks,
                size_bytes=content.writer.size_bytes,
                datagrams=content.writer.datagrams,
                dropped=content.dropped_total - content.dropped_before,
            )
        )


def run(
    collector: Collector,
    receivers: Sequence[Receiver],
    *,
    clock_ns: Callable[[], int],
    stop: Callable[[int], bool],
    on_turn: Callable[[], None] | None = None,
) -> None:
    """Receive until `stop(now_ns)`, then take what had arrived by then and end every stream.

    Raises `EnvironmentError_` if a socket fails, and what the collector's sink raises; streams then stay unclosed.
    """
    pause_s = min(PAUSE_S_MAX, min(receiver.buffer_bytes for receiver in receivers) / PAUSE_BYTES_PER_S)
    with selectors.DefaultSelector() as selector:
        for receiver in receivers:
            selector.register(receiver, selectors.EVENT_READ, receiver)
        while not stop(now_ns := clock_ns()):
            wait_s = min(max(collector.next_end_ns() - now_ns, 0) / NS_PER_S, 0.1)
            ready = [key.data for key, _ in selector.select(wait_s)]
            if clock_ns() >= collector.next_end_ns():
                ready = list(receivers)
            # Every receiver has its turn, busy or not.
            drained = [_take(collector, receiver, clock_ns) for receiver in ready]
            if on_turn is not None:
                on_turn()
            if all(drained):
                time.sleep(pause_s)
    for receiver in receivers:
        _take_until(collector, receiver, now_ns)
    collector.close(clock_ns())


def _take(collector: Collector, receiver: Receiver, clock_ns: Callable[[], int]) -> bool:
    """Take up to `BATCHES_PER_TURN` batches; whether the socket was emptied."""
    for _ in range(BATCHES_PER_TURN):
        began_ns = clock_ns()
        datagrams = receiver.receive()
        collector.feed(datagrams)
        if datagrams.drained:
            collector.tick(receiver.sensor, began_ns)
            return True
    return False


def _take_until(collector: Collector, receiver: Receiver, until_ns: int) -> None:
    """Take what arrived before `until_ns`. Ends although more keeps coming: what comes is stamped later."""
    while True:
        datagrams = receiver.receive()
        collector.feed(datagrams)
        if datagrams.drained or (len(datagrams) and int(datagrams.arrival_ns[-1]) >= until_ns):
            return
