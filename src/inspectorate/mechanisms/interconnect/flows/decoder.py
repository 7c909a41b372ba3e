"""Flow exports in, columns and a report out: the decoder of one sensor's stream.

- Segments are decoded in their order; templates, sampling rates and sequence numbers carry over from one to the next.
- Decoding never raises on content. What cannot be decoded is counted by name in the report and, where it may have hidden
  traffic, opens a gap.
- Memory is bounded by `Limits` and by `BATCH_ROWS`, whatever the input.
- Equal input gives equal output: no clock, no randomness.

Not done here: summing (`sums`), bounds (`sampling`, `unseen`), captured traffic that is no flow export (`tap`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.interconnect.flows.addresses import AddressMap
from inspectorate.mechanisms.interconnect.flows.capture import DATAGRAM, Capture, as_array
from inspectorate.mechanisms.interconnect.flows.columns import COUNTER, RECORD, Batch, halves
from inspectorate.mechanisms.interconnect.flows.outcomes import IRREGULARITIES, Limits, Rejection
from inspectorate.mechanisms.interconnect.flows.report import DecodeReport, ExporterReport, UnknownTemplate
from inspectorate.mechanisms.interconnect.flows.settle import DUPLICATES_LOOKED_AT, WITHOUT_TRAFFIC, Settler
from inspectorate.mechanisms.interconnect.flows.state import UNADDRESSED_BYTES, Event, Output, Slot
from inspectorate.mechanisms.interconnect.flows.sums import PairTable
from inspectorate.mechanisms.interconnect.flows.walk import walk

BATCH_ROWS = 8_192
"""Rows of one batch: they stay in the second-level cache until they are summed."""
DATAGRAM_BYTES_MAX = 65_535
BATCH_COUNTERS = 1_024
"""More than one sample can hold: 65,535 / 88 bytes."""
NO_LIMITS_CHANGED = Limits()
NO_SUMS = PairTable(AddressMap.build({}), np.array([0, 1], np.int64)).sink
"""What stands in for sums where rows are wanted."""
UNKNOWN_ADDRESS = IPv6Address(0)


class FlowDecoder:
    """Decodes the exports of one sensor.

    `sampling_override`: 1-in-N that governs whatever exporters announce. `sampling_default`: 1-in-N until something is
    announced. `arrival_clock`: place flows by the collector's clock, at arrival minus the age that the exporter states.
    """

    def __init__(
        self,
        *,
        limits: Limits = NO_LIMITS_CHANGED,
        sampling_override: float | None = None,
        sampling_default: float = 1.0,
        arrival_clock: bool = False,
    ) -> None:
        for rate in (sampling_override, sampling_default):
            if rate is not None and not 1 <= rate <= limits.sampling_rate_max:
                raise ValueError(f"a sampling rate of 1 in {rate} is not between 1 and {limits.sampling_rate_max}")
        self._limits = limits
        self._settler = Settler(
            limits, override=sampling_override, default=sampling_default, arrival_clock=arrival_clock
        )
        self._segments = 0
        self._datagrams = 0
        self._records = 0
        self._counters = 0
        self._segment_times: list[tuple[int, int]] = []
        self._first_ns: int | None = None
        self._last_ns: int | None = None
        self._reversals = 0

    def decode_segment(self, data: bytes | bytearray | memoryview) -> Iterator[Batch]:
        """Decode a capture file (pcap, pcapng) of export datagrams, batch by batch.

        Take all batches before the next segment. Raises `ValueError` only where `data` exceeds the limit of a segment.
        """
        yield from self._decode_capture(Capture(data, self._limits), None)

    def sum_segment(self, data: bytes | bytearray | memoryview, table: PairTable) -> NDArray[np.void]:
        """Decode a capture file straight into sums, several times as fast; the sums are those of `table.add` of all batches.

        Returns the interface counters, of dtype `COUNTER`. Raises as `decode_segment`.
        """
        counters = [np.empty(0, COUNTER)]
        for batch in self._decode_capture(Capture(data, self._limits), table):
            table.add(batch.records)
            counters.append(batch.counters)
        return np.concatenate(counters)

    def decode_datagrams(
        self,
        payloads: Sequence[bytes | bytearray | memoryview],
        arrival_ns: Sequence[int] | NDArray[np.int64],
        source: IPv4Address | IPv6Address = UNKNOWN_ADDRESS,
    ) -> Iterator[Batch]:
        """Decode UDP payloads of one exporter address with their times of arrival [ns], batch by batch.

        A payload that no datagram can carry is refused as `bad_length`. Raises as `decode_segment`.
        """
        data = as_array(b"".join(payloads), self._limits)
        rows = np.zeros(len(payloads), DATAGRAM)
        rows["length"] = [len(payload) for payload in payloads]
        rows["original"] = rows["length"]
        rows["offset"][1:] = np.cumsum(rows["length"])[:-1]
        rows["arrival_ns"] = arrival_ns
        rows["src_hi"], rows["src_lo"] = halves(source)
        self._segments += 1
        large = rows["length"] > DATAGRAM_BYTES_MAX
        for row in rows[large]:
            self._settler.rejections[Rejection.BAD_LENGTH] += 1
            self._settler.rejected_bytes[Rejection.BAD_LENGTH] += int(row["length"])
            self._settler.unreadable((int(row["arrival_ns"]),) * 2, int(row["length"]))
        yield from self._decode(data, iter([rows[~large]]), None)

    def _decode_capture(self, capture: Capture, table: PairTable | None) -> Iterator[Batch]:
        settler = self._settler
        self._segments += 1
        self._segment_times.clear()
        yield from self._decode(capture.data, capture.datagrams(), table)
        for reason, count in capture.refused.items():
            settler.rejections[reason] += count
            settler.rejected_bytes[reason] += capture.refused_bytes[reason]
            if reason not in WITHOUT_TRAFFIC and self._segment_times:
                settler.unreadable(self._segment_times[0], capture.refused_bytes[reason])

    def _decode(
        self, data: NDArray[np.uint8], blocks: Iterator[NDArray[np.void]], table: PairTable | None
    ) -> Iterator[Batch]:
        settler, state = self._settler, self._settler.state
        for slot in (Slot.POSITION, Slot.SETTLED, Slot.SET_END, Slot.BLOCK):
            state[slot] = 0
        state[Slot.SUMMING] = int(table is not None)
        output = self._fresh_output(table)
        window = np.empty(0, DATAGRAM)
        for block in blocks:
            self._note_block(block)
            tail = min(len(window), DUPLICATES_LOOKED_AT)
            state[Slot.BLOCK] += len(window) - tail
            window = np.concatenate([window[len(window) - tail :], block])
            state[Slot.DATAGRAM] = tail
            event = Event.CONTINUE
            while event is not Event.END:
                event = Event(walk(data, window, state, settler.tables, output))
                if event is Event.FULL:
                    yield self._take(output)
                    output = self._fresh_output(table)
                elif event is not Event.END:
                    settler.settle(event, data, window)
        last = self._take(output)
        if len(last.records) or len(last.counters):
            yield last

    def _fresh_output(self, table: PairTable | None) -> Output:
        sink = NO_SUMS if table is None else table.sink
        return Output(records=np.empty(BATCH_ROWS, RECORD), counters=np.empty(BATCH_COUNTERS, COUNTER), sink=sink)

    def _take(self, output: Output) -> Batch:
        state = self._settler.state
        rows, counters = int(state[Slot.ROWS]), int(state[Slot.COUNTER_ROWS])
        self._records += rows + int(state[Slot.SUMMED])
        state[Slot.ROWS] = state[Slot.COUNTER_ROWS] = state[Slot.SUMMED] = 0
        self._counters += counters
        return Batch(records=output.records[:rows], counters=output.counters[:counters])

    def _note_block(self, block: NDArray[np.void]) -> None:
        self._datagrams += len(block)
        if not len(block):
            return
        times = block["arrival_ns"]
        before = self._last_ns if self._last_ns is not None else int(times[0])
        self._reversals += int(np.count_nonzero(np.diff(times, prepend=before) < 0))
        first, last = int(times.min()), int(times.max())
        self._first_ns = first if self._first_ns is None else min(self._first_ns, first)
        self._last_ns = last if self._last_ns is None else max(self._last_ns, last)
        earlier = self._segment_times[0] if self._segment_times else (first, last)
        self._segment_times = [(min(earlier[0], first), max(earlier[1], last))]

    def report(self) -> DecodeReport:
        """Everything seen so far, over all segments."""
        settler = self._settler
        tallies = settler.state[Slot.TALLY : UNADDRESSED_BYTES].tolist()
        irregularities, rejections = dict(settler.irregularities), dict(settler.rejections)
        if settler.state[Slot.WRONG_COUNTS]:
            rejections[Rejection.WRONG_COUNT] = int(settler.state[Slot.WRONG_COUNTS])
        for kind, count in zip(IRREGULARITIES, tallies, strict=True):
            irregularities[kind] = irregularities.get(kind, 0) + count
        return DecodeReport(
            segments=self._segments,
            datagrams=self._datagrams,
            records=self._records,
            counters=self._counters,
            rejections=rejections,
            rejected_bytes=dict(settler.rejected_bytes),
            irregularities={kind: count for kind, count in irregularities.items() if count},
            unaddressed_bytes=int(settler.state[UNADDRESSED_BYTES]),
            exporters=self._exporter_reports(),
            sources=settler.sources.reports(settler.sequences),
            unknown_templates=tuple(
                UnknownTemplate(
                    exporter=s.exporter, template_id=number, sets=count, bytes=s.unknown_template_bytes[number]
                )
                for s in settler.sequences
                for number, count in sorted(s.unknown_templates.items())
            ),
            gaps=settler.gaps.closed(),
            first_arrival_ns=self._first_ns,
            last_arrival_ns=self._last_ns,
            arrival_reversals=self._reversals,
        )

    def _exporter_reports(self) -> tuple[ExporterReport, ...]:
        return tuple(
            ExporterReport(
                exporter=sequence.exporter,
                datagrams=int(session["datagrams"]),
                records=int(session["records"]),
                unit=sequence.unit,
                lost=sequence.lost,
                late=sequence.late,
                duplicates=sequence.duplicates,
                restarts=sequence.restarts,
                sampling_rates=tuple(sequence.rates),
                first_ns=int(session["first_ns"]),
                last_ns=int(session["last_ns"]),
                clock_offset_ns=(int(session["clock_min_ns"]), int(session["clock_max_ns"])),
            )
            for sequence, session in zip(
                self._settler.sequences, self._settler.tables.sessions[: len(self._settler.sequences)], strict=True
            )
        )


def all_records(batches: Iterator[Batch]) -> Batch:
    """All batches in one, for small inputs."""
    taken = list(batches)
    return Batch(
        records=np.concatenate([np.empty(0, RECORD), *(b.records for b in taken)]),
        counters=np.concatenate([np.empty(0, COUNTER), *(b.counters for b in taken)]),
    )
