"""GoFlow2 JSON lines as a source of flows: one object per line, keys as in its `flow.proto`.

- Read: `bytes`, `packets`, `src_addr`, `dst_addr`, `time_flow_start_ns`, `time_flow_end_ns`, `time_received_ns`,
  `sampling_rate` (0 or absent: 1), `proto`, `src_port`, `dst_port`, `in_if`, `out_if`, `observation_domain_id`. 64-bit
  numbers may be strings, as in the JSON form of Protocol Buffers. `proto` may be a name that GoFlow2 prints.
- A line that is not such an object, or whose values are not of their type and range, is refused as `bad_line`, with its bytes.
- Times that are absent or 0 are the time received.

GoFlow2 has decoded these already: sequence gaps, unknown templates and drops cannot be told from its lines, so nothing here
bounds what was not seen. Source: github.com/netsampler/goflow2, `pb/flow.proto` and `docs/`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import numpy as np

from inspectorate.mechanisms.interconnect.flows.columns import COUNTER, RECORD, VERSION_GOFLOW2, Batch, Flag, halves
from inspectorate.mechanisms.interconnect.flows.outcomes import Limits, Rejection

LINE_BYTES_MAX = 65_536
BATCH_LINES = 4_096
TIME_MAX_NS = 1 << 62
PROTOCOLS = {
    "ICMP": 1,
    "IGMP": 2,
    "TCP": 6,
    "UDP": 17,
    "GRE": 47,
    "ESP": 50,
    "ICMPv6": 58,
    "IPv6-ICMP": 58,
    "SCTP": 132,
}


class GoFlow2Reader:
    """Reads files of GoFlow2 JSON lines."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self.rejections: Counter[Rejection] = Counter()
        self.rejected_bytes: Counter[Rejection] = Counter()
        self.lines = 0

    def read_segment(self, data: bytes) -> Iterator[Batch]:
        """Records of a file, batch by batch, of dtype `RECORD`.

        Raises `ValueError` only where `data` exceeds the limit of a segment.
        """
        if len(data) > self._limits.segment_bytes_max:
            raise ValueError(f"a segment of {len(data)} bytes exceeds {self._limits.segment_bytes_max}")
        rows: list[tuple[Any, ...]] = []
        start = 0
        while start < len(data):
            end = data.find(b"\n", start)
            end = len(data) if end < 0 else end
            line = data[start:end].strip()
            start = end + 1
            if not line:
                continue
            row = self._row(line)
            self.lines += 1
            if row is not None:
                rows.append(row)
            if len(rows) == BATCH_LINES:
                yield _batch(rows)
                rows = []
        if rows:
            yield _batch(rows)

    def _row(self, line: bytes) -> tuple[Any, ...] | None:
        try:
            if len(line) > LINE_BYTES_MAX:
                raise ValueError("a line is too long")
            return _row_of(json.loads(line), self.lines, self._limits)
        except (ValueError, TypeError, RecursionError):
            self.rejections[Rejection.BAD_LINE] += 1
            self.rejected_bytes[Rejection.BAD_LINE] += len(line)
            return None


def _row_of(value: Any, line: int, limits: Limits) -> tuple[Any, ...]:
    """A row in the order of `RECORD`. Raises `ValueError` or `TypeError` on anything that is not a flow."""
    if not isinstance(value, dict) or "bytes" not in value:
        raise ValueError("not a flow record")
    received = _integer(value, "time_received_ns", TIME_MAX_NS)
    first = _integer(value, "time_flow_start_ns", TIME_MAX_NS) or received
    last = _integer(value, "time_flow_end_ns", TIME_MAX_NS) or first
    rate = float(_integer(value, "sampling_rate", int(limits.sampling_rate_max)) or 1)
    source, target = value.get("src_addr"), value.get("dst_addr")
    addressed = bool(source) and bool(target)
    flags = (Flag.SAMPLED if rate != 1.0 else Flag(0)) | (Flag(0) if addressed else Flag.UNADDRESSED)
    protocol = value.get("proto", 0)
    if isinstance(protocol, str) and not protocol.isdigit():
        protocol = PROTOCOLS.get(protocol, 0)
    return (
        *_halves_of(source),
        *_halves_of(target),
        _integer(value, "bytes", (1 << 64) - 1),
        _integer(value, "packets", (1 << 64) - 1),
        min(first, last),
        max(first, last),
        rate,
        _integer(value, "observation_domain_id", (1 << 32) - 1),
        line,
        _integer(value, "in_if", (1 << 32) - 1),
        _integer(value, "out_if", (1 << 32) - 1),
        _integer(value, "src_port", 65_535),
        _integer(value, "dst_port", 65_535),
        _integer({"proto": protocol}, "proto", 255),
        int(flags),
        VERSION_GOFLOW2,
    )


def _halves_of(text: Any) -> tuple[int, int]:
    """The halves of an address in text; zero where there is none. Raises `ValueError`."""
    if not text:
        return 0, 0
    if not isinstance(text, str):
        raise ValueError("an address is text")
    return halves(ip_address(text))


def _integer(value: dict[str, Any], key: str, highest: int) -> int:
    """A number between 0 and `highest`, or its decimal string; 0 where absent. Raises `ValueError`."""
    found = value.get(key, 0)
    if isinstance(found, str) and found.isascii() and found.isdigit() and len(found) <= 20:
        found = int(found)
    if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found <= highest:
        raise ValueError(f"{key} is not a number between 0 and {highest}")
    return found


def _batch(rows: list[tuple[Any, ...]]) -> Batch:
    return Batch(records=np.array(rows, RECORD), counters=np.empty(0, COUNTER))
