"""Captured traffic itself as a source of flows: every packet of a capture is one record.

- `bytes` is the length of the IP packet, header included, as NetFlow counts it: what the IP header says, and where that is
  impossible (segmentation offload writes 0) what the packet had on the wire behind its link layer. A snap length cuts
  nothing off that.
- Frames without IP are refused as `not_ip`, with their bytes.

Not done here: putting fragments together (each is a packet), opening tunnels, and telling packets that passed the tap twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from inspectorate.mechanisms.interconnect.flows.capture import HEADER_BYTES, Capture, LinkType
from inspectorate.mechanisms.interconnect.flows.columns import COUNTER, RECORD, VERSION_TAP, Batch
from inspectorate.mechanisms.interconnect.flows.kernels import Int64, kernel
from inspectorate.mechanisms.interconnect.flows.outcomes import Limits, Rejection
from inspectorate.mechanisms.interconnect.flows.packets import network_header, read_ip


class TapReader:
    """Reads the captures of one tap. `rejections` and `rejected_bytes` hold once a segment has been read through."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self.rejections: Counter[Rejection] = Counter()
        self.rejected_bytes: Counter[Rejection] = Counter()
        self.packets = 0

    def read_segment(self, data: bytes | bytearray | memoryview) -> Iterator[Batch]:
        """Packets of a capture file, batch by batch; rows of dtype `RECORD` of one packet each.

        Raises `ValueError` only where `data` exceeds the limit of a segment.
        """
        capture = Capture(data, self._limits)
        refused = np.zeros(2, np.int64)
        for rows in capture.packets():
            header = HEADER_BYTES.get(LinkType(capture.link_type), 0)
            records = np.zeros(len(rows), RECORD)
            count = read_packets(capture.data, rows, (capture.link_type, header, self.packets), records, refused)
            self.packets += len(rows)
            yield Batch(records=records[:count], counters=np.empty(0, COUNTER))
        for reason, number in capture.refused.items():
            self.rejections[reason] += number
            self.rejected_bytes[reason] += capture.refused_bytes[reason]
        if refused[0]:
            self.rejections[Rejection.NOT_IP] += int(refused[0])
            self.rejected_bytes[Rejection.NOT_IP] += int(refused[1])


@kernel
def read_packets(data: Any, rows: Any, link: Any, records: Any, refused: Any) -> Int64:
    """Fill `records`, one per IP packet; returns how many. `link`: link type, its header's bytes, packets before these."""
    kind, header, before = link
    count = 0
    for n in range(len(rows)):
        at, end = rows[n].offset, rows[n].offset + rows[n].length
        ip = network_header(data, at, end) if kind == LinkType.ETHERNET else at + header
        record = records[count]
        length = read_ip(data, ip, end, record)
        if length < 0:
            refused[0] += 1
            refused[1] += rows[n].original
            continue
        wire = rows[n].original - (ip - at)
        record.bytes = length if 0 < length <= wire else wire
        record.packets = 1
        record.start_ns = rows[n].arrival_ns
        record.end_ns = rows[n].arrival_ns
        record.sampling_rate = 1.0
        record.datagram = before + n
        record.version = VERSION_TAP
        count += 1
    return count
