"""The collector: datagrams in, signed and chained segments of every sensor's stream out.

Procedure:

1. A sensor's stream begins when its port is bound, under a name that no earlier stream had. Its first segment begins then.
2. A datagram belongs to the segment in whose period it arrived. A segment ends at the next multiple of `segment_ns` since
   1970, or earlier when its payload is full; the next begins at that very time.
3. A segment without datagrams is written too: "I listened and nothing came".
4. A stretch in which this process did not come to turn (it was suspended, or the clock was set forward) is one empty
   segment, whatever its length: it shows as silence of the sensor, and earns nothing.
5. A closed segment is sealed in order: payload hashed and written, statement signed with the digest of the one before and
   written, then reported (`on_statement`). Each file is durable before the next step. So a crash at any moment leaves
   whole statements whose payloads are there, and no other.
6. At the end every stream gets a last segment that says so. A stream without one was cut off; the reader sees that.

Rules:

- Times inside a segment never decrease and lie within its period. What the kernel stamped earlier than that (the clock was
  set back; a race of under a microsecond where a full segment ended) is entered at the earliest time allowed.
- Losses count in the segment of the next datagram that arrived after them, or of the moment when the socket was found empty.
- If segments cannot be written as fast as they come, receiving stops, the kernel drops, and the drops are counted.

`Collector` is pure: times come as arguments, closed segments leave through a function. `Sealer` needs no clock.
Not done here: repair of a ledger that missed a statement because the process died between writing and `on_statement`.
"""

from __future__ import annotations

import hashlib
import selectors
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Protocol, Self

import numpy as np

from inspectorate.canonical import digest_of
from inspectorate.errors import InputError
from inspectorate.evidence import FlowExportSegment, Origin, make_statement, sign_statement
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.interconnect.receive import Receiver
from inspectorate.mechanisms.interconnect.segments import MEDIA_TYPE, NS_PER_S, Datagrams, Endpoint, SegmentWriter
from inspectorate.quantities import Period, from_ns

PAYLOAD_BYTES_TARGET = 48 * 1024 * 1024
"""A segment ends before it grows beyond this; one batch of datagrams (17 MB at most) always fits below the 64 MiB limit."""
SEGMENT_S_MIN, SEGMENT_S_MAX = 0.1, 3600.0
PENDING_BYTES_MAX = 256 * 1024 * 1024
"""Closed segments that wait for the disk. Beyond this, receiving waits."""
LINGER_NS = 50_000_000
"""A segment whose time is over stays open this long, for datagrams that are stamped but not yet in the socket's queue."""
PAUSE_S_MAX = 0.01
"""Pause after a turn in which sockets were emptied: datagrams gather, and one call takes many."""
PAUSE_BYTES_PER_S = 500_000_000
"""The pause is short enough that a socket whose queue grows this fast does not overflow: 200,000 datagrams a second of
1.1 kB, each of which takes 2.3 kB in the kernel."""
BATCHES_PER_TURN = 4
"""How long one busy sensor may hold up the others."""
_US = 1_000


@dataclass(frozen=True, kw_only=True)
class ClosedSegment:
    """A segment that will not change any more: payload in chunks, period [start_ns, end_ns) in whole microseconds."""

    sensor: str
    sequence: int
    final: bool
    start_ns: int
    end_ns: int
    chunks: tuple[bytes | memoryview, ...]
    size_bytes: int
    datagrams: int
    dropped: int
    media_type: Literal["application/vnd.tcpdump.pcap", "application/x-ndjson"] = MEDIA_TYPE


@dataclass(kw_only=True)
class Count:
    """What one sensor's stream came to so far."""

    datagrams: int = 0
    content_bytes: int = 0
    dropped: int = 0
    segments: int = 0


@dataclass(kw_only=True)
class _Open:
    """The segment of a sensor that is being written."""

    writer: SegmentWriter
    sequence: int
    start_ns: int
    end_ns: int
    latest_ns: int
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
        if not SEGMENT_S_MIN <= segment_s <= SEGMENT_S_MAX:
            raise InputError(
                f"{segment_s} s is not between {SEGMENT_S_MIN} and {SEGMENT_S_MAX:.0f} s", where="segment length"
            )
        self._segment_ns = round(segment_s * 1e6) * _US
        self._payload_bytes_max = payload_bytes_max
        self._sink = sink
        self._sensors = dict(sensors)
        self._closed = False
        self.counts = {sensor: Count() for sensor in sensors}
        start_ns = start_ns // _US * _US
        # (1)
        self._open = {sensor: self._begin(sensor, 0, start_ns, dropped=0) for sensor in sensors}

    def next_end_ns(self) -> int:
        """When the next segment is due to end, lingering included."""
        return min(segment.end_ns for segment in self._open.values()) + LINGER_NS

    def feed(self, datagrams: Datagrams) -> None:
        """Take what a receiver handed over. Content is copied."""
        sensor, count = datagrams.sensor, len(datagrams)
        segment = self._open[sensor]
        arrival_ns = np.maximum.accumulate(np.maximum(datagrams.arrival_ns, segment.latest_ns))
        first = 0
        while first < count:
            # (2)
            segment = self._advance(sensor, int(arrival_ns[first]))
            arrival_ns = np.maximum(arrival_ns, segment.start_ns)
            last = int(np.searchsorted(arrival_ns, segment.end_ns))
            part = datagrams.part(first, last, arrival_ns)
            if segment.writer.datagrams and segment.writer.size_bytes + part.record_bytes > self._payload_bytes_max:
                self._end(sensor, (segment.latest_ns // _US + 1) * _US)
                continue
            segment.writer.append(part)
            segment.latest_ns = int(arrival_ns[last - 1])
            segment.dropped_total = int(part.dropped_total[-1])
            self.counts[sensor].datagrams += len(part)
            self.counts[sensor].content_bytes += int(part.lengths.sum())
            first = last
        if datagrams.drained:
            segment.dropped_total = datagrams.dropped_after
        self.counts[sensor].dropped = segment.dropped_total

    def tick(self, sensor: str, now_ns: int) -> None:
        """Say that every datagram of a sensor that had arrived at `now_ns` has been fed: ends what is over."""
        self._advance(sensor, now_ns - LINGER_NS)

    def close(self, now_ns: int) -> None:
        """End every stream (step 6). Idempotent."""
        if self._closed:
            return
        self._closed = True
        for sensor in self._sensors:
            segment = self._advance(sensor, now_ns)
            # At least a microsecond long, and beyond its last datagram.
            end_ns = max(now_ns // _US * _US, (segment.latest_ns // _US + 1) * _US)
            self._end(sensor, end_ns, final=True)

    def _advance(self, sensor: str, now_ns: int) -> _Open:
        """The open segment of a sensor, once all that are over at `now_ns` are closed."""
        segment = self._open[sensor]
        if now_ns >= segment.end_ns:
            segment = self._end(sensor, segment.end_ns)
        if now_ns >= segment.end_ns:
            # (4)
            segment = self._end(sensor, now_ns // self._segment_ns * self._segment_ns)
        return segment

    def _begin(self, sensor: str, sequence: int, start_ns: int, *, dropped: int) -> _Open:
        return _Open(
            writer=SegmentWriter(self._sensors[sensor]),
            sequence=sequence,
            start_ns=start_ns,
            end_ns=(start_ns // self._segment_ns + 1) * self._segment_ns,
            latest_ns=start_ns,
            dropped_before=dropped,
            dropped_total=dropped,
        )

    def _end(self, sensor: str, end_ns: int, *, final: bool = False) -> _Open:
        """Close the open segment at `end_ns` and begin the next there (3)."""
        segment = self._open[sensor]
        closed = ClosedSegment(
            sensor=sensor,
            sequence=segment.sequence,
            final=final,
            start_ns=segment.start_ns,
            end_ns=end_ns,
            chunks=segment.writer.chunks,
            size_bytes=segment.writer.size_bytes,
            datagrams=segment.writer.datagrams,
            dropped=segment.dropped_total - segment.dropped_before,
        )
        following = self._begin(sensor, segment.sequence + 1, end_ns, dropped=segment.dropped_total)
        self._open[sensor] = following
        self.counts[sensor].segments += 1
        self._sink(closed)
        return following


class Spool(Protocol):
    """Where sealed files go. `put` returns when the file is durable, whole and under its name."""

    def put(self, name: str, chunks: Sequence[bytes | memoryview]) -> None: ...


class Sealer:
    """Signs closed segments, chains them and writes them (step 5)."""

    def __init__(
        self,
        spool: Spool,
        key: SigningKey,
        *,
        stream: str,
        origin: Origin,
        recorder: str,
        on_statement: Callable[[bytes], None] | None = None,
    ) -> None:
        self._spool = spool
        self._key = key
        self._stream = stream
        self._origin = origin
        self._recorder = recorder
        self._on_statement = on_statement
        self._previous: dict[str, str] = {}
        self._sound = True

    def seal(self, closed: ClosedSegment) -> None:
        """Write payload and statement, then report the raw SHA-256 of the statement's envelope.

        After a fault it seals no more (`ValueError`): what came next would be chained over a hole.
        """
        if not self._sound:
            raise ValueError("sealing failed before; a stream ends there")
        self._sound = False
        hasher = hashlib.sha256()
        for chunk in closed.chunks:
            hasher.update(chunk)
        payload = hasher.hexdigest()
        self._spool.put(f"payloads/{payload}", closed.chunks)
        predicate = FlowExportSegment(
            origin=self._origin,
            sensor=closed.sensor,
            stream=self._stream,
            sequence=closed.sequence,
            previous=self._previous.get(closed.sensor),
            final=closed.final,
            period=Period(start=from_ns(closed.start_ns), end=from_ns(closed.end_ns)),
            media_type=closed.media_type,
            payload_bytes=closed.size_bytes,
            datagrams=closed.datagrams,
            dropped=closed.dropped,
            recorder=self._recorder,
        )
        envelope = sign_statement(make_statement(predicate, {"payload": f"sha256:{payload}"}), self._key)
        digest = digest_of(envelope)
        hexadecimal = digest.removeprefix("sha256:")
        self._spool.put(f"statements/{hexadecimal}.json", [envelope])
        self._previous[closed.sensor] = digest
        if self._on_statement is not None:
            self._on_statement(bytes.fromhex(hexadecimal))
        self._sound = True


class SealingThread:
    """Seals in the background, in order, so that receiving goes on while a disk takes its time.

    Any fault of sealing is raised by the next `put`, or at the end of the context.
    """

    def __init__(self, seal: Callable[[ClosedSegment], None]) -> None:
        self._seal = seal
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sealing")
        self._pending: deque[tuple[Future[None], int]] = deque()
        self._pending_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown(wait=True)
        if kind is None:
            while self._pending:
                self._settle()

    def put(self, closed: ClosedSegment) -> None:
        """Hand over a closed segment; waits while too much is pending. Raises what sealing failed with."""
        while self._pending and (self._pending[0][0].done() or self._pending_bytes > PENDING_BYTES_MAX):
            self._settle()
        self._pending.append((self._executor.submit(self._seal, closed), closed.size_bytes))
        self._pending_bytes += closed.size_bytes

    def _settle(self) -> None:
        future, size_bytes = self._pending.popleft()
        self._pending_bytes -= size_bytes
        future.result()


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
