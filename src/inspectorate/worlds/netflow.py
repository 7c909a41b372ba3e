"""Encoders of NetFlow v9 and IPFIX, as small as they can be: one template for flows, one for sampling, options.

- A message holds up to `RECORDS_PER_DATAGRAM` records of one export tick. Templates and options stand in the first message
  and in every `TEMPLATE_EVERY`-th after it.
- NetFlow v9 counts messages in its sequence number; IPFIX counts data records, those of options included, and gives the
  count before the message.
- NetFlow v9 gives flow times as milliseconds of system uptime, and the present as uptime and whole seconds; so absolute
  times are known to a second only. IPFIX gives milliseconds since 1970.

Sources: RFC 3954 (NetFlow v9), RFC 7011 and the IANA registry of information elements (IPFIX).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspectorate.worlds import model
from inspectorate.worlds.packets import Cuts, Flows, Ints

FLOW_TEMPLATE, OPTIONS_TEMPLATE = 256, 257
POD_INTERFACE, UPLINK_INTERFACE = 1, 2
_MS = 1_000_000

_V9_RECORD = np.dtype(
    [
        ("source", ">u4"), ("destination", ">u4"), ("sport", ">u2"), ("dport", ">u2"),
        ("protocol", "u1"), ("tos", "u1"), ("tcp_flags", "u1"), ("direction", "u1"),
        ("input", ">u2"), ("output", ">u2"), ("bytes", ">u4"), ("packets", ">u4"), ("first", ">u4"), ("last", ">u4"),
    ]
)  # fmt: skip
_V9_FIELDS = (
    (8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (5, 1), (6, 1), (61, 1), (10, 2), (14, 2), (1, 4), (2, 4), (22, 4), (21, 4),
)  # fmt: skip
_IPFIX_RECORD = np.dtype(
    [
        ("source", ">u4"), ("destination", ">u4"), ("sport", ">u2"), ("dport", ">u2"),
        ("protocol", "u1"), ("tos", "u1"), ("direction", "u1"), ("input", ">u4"), ("output", ">u4"),
        ("bytes", ">u8"), ("packets", ">u8"), ("first", ">u8"), ("last", ">u8"),
    ]
)  # fmt: skip
_IPFIX_FIELDS = (
    (8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (5, 1), (61, 1), (10, 4), (14, 4), (1, 8), (2, 8), (152, 8), (153, 8),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Clock:
    """An exporter's clock: real time in ns since 1970 at offset 0 of the world, its error, and when it was started."""

    origin_ns: int
    booted_ns: int

    def uptime_ms(self, at_ns: Ints) -> Ints:
        """Milliseconds of uptime at times of the world."""
        result: Ints = (self.origin_ns + at_ns - self.booted_ns) // _MS
        return result


@dataclass(frozen=True, kw_only=True)
class Meter:
    """One exporter of flow records: what it counts as a multiple of what passed, and how it numbers its messages."""

    clock: Clock
    gain: float
    sequence: int
    """The sequence number of its first message."""
    domain: int
    """Source id (NetFlow v9) or observation domain (IPFIX)."""
    announces_templates: bool


@dataclass(frozen=True, kw_only=True)
class Messages:
    """What an exporter sends: times of the world [ns] in order, and contents."""

    sent_ns: Ints
    content: list[bytes]


def group_by_tick(tick_ns: Ints, records_max: int) -> tuple[Ints, Ints]:
    """Split records in order of tick into messages: where each message begins, and the tick it is sent at."""
    count = len(tick_ns)
    new_tick = np.flatnonzero(np.diff(tick_ns, prepend=np.iinfo(np.int64).min))
    within = np.arange(count) - np.repeat(new_tick, np.diff(new_tick, append=count))
    begins = np.flatnonzero(within % records_max == 0)
    return begins, tick_ns[begins]


def _ends(flows: Flows) -> dict[str, Ints]:
    """Source and destination, addresses and ports, interfaces and direction of each flow."""
    out = flows.outbound == 1
    return {
        "source": np.where(out, flows.pod_address, flows.peer_address),
        "destination": np.where(out, flows.peer_address, flows.pod_address),
        "sport": np.where(out, flows.pod_port, flows.peer_port),
        "dport": np.where(out, flows.peer_port, flows.pod_port),
        "protocol": flows.protocol,
        "input": np.where(out, POD_INTERFACE, UPLINK_INTERFACE),
        "output": np.where(out, UPLINK_INTERFACE, POD_INTERFACE),
        "direction": 1 - flows.outbound,
    }


def _records(dtype: np.dtype[Any], flows: Flows, cuts: Cuts, gain: float) -> NDArray[Any]:
    records = np.zeros(len(cuts.flow), dtype=dtype)
    for name, values in _ends(flows.take(cuts.flow)).items():
        records[name] = values
    records["bytes"] = np.round(cuts.bytes * gain)
    records["packets"] = cuts.packets
    return records


def _template(set_id: int, fields: Sequence[tuple[int, int]]) -> bytes:
    body = struct.pack(">HH", FLOW_TEMPLATE, len(fields)) + b"".join(struct.pack(">HH", *field) for field in fields)
    return struct.pack(">HH", set_id, 4 + len(body)) + body


def encode_v9(flows: Flows, cuts: Cuts, tick_ns: Ints, meter: Meter) -> Messages:
    """NetFlow v9 messages of records in order of `tick_ns`."""
    clock, source_id = meter.clock, meter.domain
    records = _records(_V9_RECORD, flows, cuts, meter.gain)
    records["first"] = clock.uptime_ms(cuts.first_ns)
    records["last"] = clock.uptime_ms(cuts.last_ns)
    data, width = records.tobytes(), _V9_RECORD.itemsize
    begins, sent_ns = group_by_tick(tick_ns, model.RECORDS_PER_DATAGRAM)
    stops = np.append(begins[1:], len(records))
    uptime = clock.uptime_ms(sent_ns).tolist()
    seconds = ((clock.origin_ns + sent_ns) // model.NS_PER_S).tolist()
    # Options (RFC 3954, section 6.1): scope "system" of 4 bytes; SAMPLING_INTERVAL and SAMPLING_ALGORITHM, padded.
    options_template = struct.pack(">HHHHHHHHHHH", 1, 24, OPTIONS_TEMPLATE, 4, 8, 1, 4, 34, 4, 35, 1) + b"\0\0"
    options = struct.pack(">HHIIB", OPTIONS_TEMPLATE, 16, source_id, 1, 1) + b"\0\0\0"
    announce = _template(0, _V9_FIELDS) + options_template + options
    content = []
    for number, (begin, stop) in enumerate(zip(begins.tolist(), stops.tolist(), strict=True)):
        announced = meter.announces_templates and number % model.TEMPLATE_EVERY == 0
        count = stop - begin + (3 if announced else 0)
        header = struct.pack(
            ">HHIIII",
            9,
            count,
            uptime[number] & 0xFFFFFFFF,
            seconds[number],
            (meter.sequence + number) & 0xFFFFFFFF,
            source_id,
        )
        body = struct.pack(">HH", FLOW_TEMPLATE, 4 + (stop - begin) * width) + data[begin * width : stop * width]
        content.append(header + (announce if announced else b"") + body)
    return Messages(sent_ns=sent_ns, content=content)


def encode_ipfix(flows: Flows, cuts: Cuts, tick_ns: Ints, meter: Meter) -> Messages:
    """IPFIX messages of records in order of `tick_ns`."""
    clock, domain, sequence = meter.clock, meter.domain, meter.sequence
    records = _records(_IPFIX_RECORD, flows, cuts, meter.gain)
    records["first"] = (clock.origin_ns + cuts.first_ns) // _MS
    records["last"] = (clock.origin_ns + cuts.last_ns) // _MS
    data, width = records.tobytes(), _IPFIX_RECORD.itemsize
    begins, sent_ns = group_by_tick(tick_ns, model.RECORDS_PER_DATAGRAM)
    stops = np.append(begins[1:], len(records))
    seconds = ((clock.origin_ns + sent_ns) // model.NS_PER_S).tolist()
    # Options (RFC 7011, section 3.4.2.2): scope observationDomainId; samplingInterval, samplingAlgorithm.
    options_template = struct.pack(">HHHHHHHHHHH", 3, 22, OPTIONS_TEMPLATE, 3, 1, 149, 4, 34, 4, 35, 1)
    options = struct.pack(">HHIIB", OPTIONS_TEMPLATE, 13, domain, 1, 1)
    announce = _template(2, _IPFIX_FIELDS) + options_template + options
    content = []
    for number, (begin, stop) in enumerate(zip(begins.tolist(), stops.tolist(), strict=True)):
        announced = meter.announces_templates and number % model.TEMPLATE_EVERY == 0
        extra = announce if announced else b""
        body = struct.pack(">HH", FLOW_TEMPLATE, 4 + (stop - begin) * width) + data[begin * width : stop * width]
        length = 16 + len(extra) + len(body)
        header = struct.pack(">HHIII", 10, length, seconds[number], sequence & 0xFFFFFFFF, domain)
        content.append(header + extra + body)
        sequence += stop - begin + (1 if announced else 0)
    return Messages(sent_ns=sent_ns, content=content)
