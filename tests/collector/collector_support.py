"""What the collector's tests share: made-up datagrams, a spool in memory, an independent reader of segments."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, ip_address

import numpy as np

from inspectorate.evidence import Origin, order_segments, verify_envelope
from inspectorate.evidence.stream import Segment, segment_of
from inspectorate.keys import Holder, Role, SigningKey, TrustAnchor, TrustAnchors
from inspectorate.mechanisms.interconnect.collector import ClosedSegment, Sealer
from inspectorate.mechanisms.interconnect.segments import Datagrams, Endpoint
from inspectorate.quantities import Period

KEY = SigningKey(b"\7" * 32)
S = 1_000_000_000
START_NS = 1_795_000_000 * S
"""A multiple of 30 s would hide faults of alignment; this one is 10 s after one."""
V4 = Endpoint(address=IPv4Address("192.0.2.1"), port=2055)
V6 = Endpoint(address=IPv6Address("2001:db8::1"), port=2056)


def made(
    content: Sequence[bytes],
    arrival_ns: Sequence[int],
    *,
    sensor: str = "s1",
    version: int = 4,
    dropped: Sequence[int] | None = None,
    dropped_after: int | None = None,
    drained: bool = True,
) -> Datagrams:
    """Datagrams as a receiver would hand them over; the sender of number i is 198.51.100.i or its like."""
    count = len(content)
    totals = np.array([0] * count if dropped is None else dropped, dtype=np.int64)
    base = "198.51.100.0" if version == 4 else "2001:db8:ffff::"
    packed = b"".join((ip_address(base) + i % 200).packed for i in range(count))
    return Datagrams(
        sensor=sensor,
        arrival_ns=np.array(arrival_ns, dtype=np.int64),
        data=np.frombuffer(bytearray(b"".join(content)), dtype=np.uint8),
        starts=np.cumsum([0, *map(len, content)], dtype=np.int64)[:-1],
        lengths=np.array([len(item) for item in content], dtype=np.int64),
        addresses=np.frombuffer(packed, dtype=np.uint8).reshape(count, 4 if version == 4 else 16),
        ports=np.array([40_000 + i for i in range(count)], dtype=np.uint16),
        dropped_total=totals,
        dropped_after=(int(totals[-1]) if count else 0) if dropped_after is None else dropped_after,
        drained=drained,
    )


@dataclass
class MemorySpool:
    """A spool that remembers the order in which files came."""

    files: dict[str, bytes] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)

    def put(self, name: str, chunks: Sequence[bytes | memoryview]) -> None:
        self.files[name] = b"".join(chunks)
        self.names.append(name)


@dataclass(frozen=True)
class Packet:
    """One record of a segment, as the reader below finds it."""

    arrival_ns: int
    source: str
    sport: int
    destination: str
    dport: int
    content: bytes


def read_segment(payload: bytes) -> list[Packet]:
    """Read a segment slowly and check every length and checksum in it. Shares nothing with the writer."""
    assert payload[:24] == bytes.fromhex("4d3cb2a1 0200 0400 00000000 00000000 ffff0000 65000000")
    packets, at = [], 24
    while at < len(payload):
        seconds, nanoseconds, included, original = struct.unpack_from("<IIII", payload, at)
        data = payload[at + 16 : at + 16 + included]
        assert included == original == len(data)
        assert nanoseconds < S
        packets.append(_read_packet(seconds * S + nanoseconds, data))
        at += 16 + included
    return packets


def _read_packet(arrival_ns: int, data: bytes) -> Packet:
    if data[0] >> 4 == 4:
        total, protocol = struct.unpack_from(">H", data, 2)[0], data[9]
        assert (data[0] & 15, total, protocol) == (5, len(data), 17)
        assert ones_sum(data[:20]) == 0xFFFF
        source, destination, udp = data[12:16], data[16:20], data[20:]
        assert udp[6:8] == b"\0\0"
    else:
        length, following = struct.unpack_from(">HB", data, 4)
        assert (data[0], length, following) == (0x60, len(data) - 40, 17)
        source, destination, udp = data[8:24], data[24:40], data[40:]
        assert udp[6:8] != b"\0\0"
        assert ones_sum(source + destination + struct.pack(">II", len(udp), 17) + udp) == 0xFFFF
    sport, dport, udp_length = struct.unpack_from(">HHH", udp)
    assert udp_length == len(udp)
    return Packet(arrival_ns, str(ip_address(source)), sport, str(ip_address(destination)), dport, udp[8:])


def ones_sum(data: bytes) -> int:
    """The one's complement sum of RFC 1071, word by word."""
    total = 0
    for at in range(0, len(data), 2):
        total += int.from_bytes(data[at : at + 2].ljust(2, b"\0"), "big")
        total = (total & 0xFFFF) + (total >> 16)
    return total


def make_sealer(spool: MemorySpool, *, stream: str = "stream-1", reported: list[bytes] | None = None) -> Sealer:
    return Sealer(
        spool,
        KEY,
        stream=stream,
        origin=Origin.RECORDED,
        recorder="a test",
        on_statement=None if reported is None else reported.append,
    )


def anchors_for(key: SigningKey, sensors: Sequence[str]) -> TrustAnchors:
    anchor = TrustAnchor(
        name="collector",
        public_key=base64.b64encode(key.public.raw).decode(),
        holder=Holder.VERIFIER,
        roles=(Role.SENSOR,),
        sensors=tuple(sensors),
        valid_from=datetime(2020, 1, 1, tzinfo=UTC),
        valid_until=datetime(2100, 1, 1, tzinfo=UTC),
    )
    return TrustAnchors(anchors=(anchor,))


def read_back(envelopes: Sequence[bytes], key: SigningKey, sensors: Sequence[str]) -> list[Segment]:
    """Verify envelopes as a reviewer would; the segments in them, by sensor, stream and number."""
    anchors = anchors_for(key, sensors)
    found = [segment_of(verify_envelope(data, anchors=anchors, where="test")) for data in envelopes]
    return sorted(found, key=lambda s: (s.sensor, s.stream, s.sequence))


def problems_of(segments: Sequence[Segment], sensors: Sequence[str]) -> list[str]:
    ever = Period(start=datetime(2020, 1, 1, tzinfo=UTC), end=datetime(2100, 1, 1, tzinfo=UTC))
    return [str(problem) for problem in order_segments(segments, sensors=set(sensors), period=ever)[1]]


def payload_of(closed: ClosedSegment) -> bytes:
    return b"".join(closed.chunks)
