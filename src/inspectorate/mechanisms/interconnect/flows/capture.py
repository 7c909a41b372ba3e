"""Capture files to an index of packets and of the UDP datagrams in them.

- pcap in both byte orders, with times in micro- or nanoseconds; pcapng with its section, interface and packet blocks.
- An index names places in the file; nothing is copied.
- A packet without a whole UDP datagram is refused by name. Fragments are not put together.

Sources: draft-ietf-opsawg-pcap; draft-ietf-opsawg-pcapng, sections 4.1-4.4; tcpdump.org, link-layer header types.
Not done here: compressed captures; decryption; other link types than `LinkType`.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.interconnect.flows.columns import V4_MAPPED
from inspectorate.mechanisms.interconnect.flows.kernels import Int64, inlined, kernel
from inspectorate.mechanisms.interconnect.flows.loads import be16, be32, be64
from inspectorate.mechanisms.interconnect.flows.outcomes import Limits, Rejection
from inspectorate.mechanisms.interconnect.flows.packets import NOT_IP, UDP, network_header
from inspectorate.mechanisms.interconnect.flows.pcapng import SECTION, read_blocks

DATAGRAM = np.dtype(
    [
        ("offset", "<i8"),
        ("length", "<i8"),
        ("arrival_ns", "<i8"),
        ("original", "<i8"),
        ("src_hi", "<u8"),
        ("src_lo", "<u8"),
    ]
)
"""One packet or datagram: place and captured length in the segment [bytes], arrival [ns], length on the wire [bytes], and,
for datagrams, the exporter's address."""

MAGIC_US, MAGIC_NS = 0xA1B2C3D4, 0xA1B23C4D
FILE_HEADER_BYTES, PACKET_HEADER_BYTES = 24, 16
PACKET_BYTES_MAX = 262_144
"""The largest snap length that libpcap accepts (MAXIMUM_SNAPLEN)."""
NS_PER_S = 1_000_000_000
BLOCK_PACKETS = 2_048
"""Packets indexed at a time: their headers are still in the cache when they are decoded."""


class LinkType(IntEnum):
    """What a captured packet starts with (tcpdump.org/linktypes.html)."""

    NULL = 0
    ETHERNET = 1
    RAW = 101
    RAW_OLD = 12
    LOOP = 108
    LINUX_SLL = 113
    IPV4 = 228
    IPV6 = 229
    LINUX_SLL2 = 276


HEADER_BYTES = {
    LinkType.NULL: 4,
    LinkType.RAW: 0,
    LinkType.RAW_OLD: 0,
    LinkType.LOOP: 4,
    LinkType.LINUX_SLL: 16,
    LinkType.IPV4: 0,
    LinkType.IPV6: 0,
    LinkType.LINUX_SLL2: 20,
}
"""Bytes before the IP header; Ethernet's are found by reading it."""


Blocks = Iterator[NDArray[np.void]]


def as_array(data: bytes | bytearray | memoryview, limits: Limits) -> NDArray[np.uint8]:
    """The bytes as a read-only array without copying. Raises `ValueError` above the limit: a segment is cut by its writer."""
    if len(data) > limits.segment_bytes_max:
        raise ValueError(f"a segment of {len(data)} bytes exceeds {limits.segment_bytes_max}")
    array = np.frombuffer(data, np.uint8)
    array.flags.writeable = False
    return array


class Capture:
    """One capture file. Never raises on content; `refused` and `refused_bytes` say what could not be read, once it was.

    Blocks hold at most `BLOCK_PACKETS` rows of `DATAGRAM` and are valid until the next one is taken.
    """

    def __init__(self, data: bytes | bytearray | memoryview, limits: Limits) -> None:
        self.data = as_array(data, limits)
        self.link_type = int(LinkType.RAW)
        self.refused: Counter[Rejection] = Counter()
        self.refused_bytes: Counter[Rejection] = Counter()

    def packets(self) -> Blocks:
        """Index the packets, block by block."""
        head = bytes(self.data[:4])
        if len(head) == 4 and struct.unpack(">I", head)[0] == SECTION:
            yield from self._pcapng()
            return
        for order in ("<", ">"):
            magic = struct.unpack(order + "I", head)[0] if len(head) == 4 else 0
            if magic in (MAGIC_US, MAGIC_NS) and len(self.data) >= FILE_HEADER_BYTES:
                yield from self._pcap(order, 1 if magic == MAGIC_NS else 1_000)
                return
        self._refuse(Rejection.NOT_A_CAPTURE, len(self.data))

    def datagrams(self) -> Blocks:
        """Index the UDP datagrams, block by block."""
        counts = np.zeros((len(UDP_REFUSALS), 2), np.int64)
        for rows in self.packets():
            header = HEADER_BYTES.get(LinkType(self.link_type), 0)
            yield rows[: locate_datagrams(self.data, rows, self.link_type, header, counts)]
        for reason, (count, size) in zip(UDP_REFUSALS, counts.tolist(), strict=True):
            if count:
                self.refused[reason] += count
                self.refused_bytes[reason] += size

    def _refuse(self, reason: Rejection, amount: int) -> None:
        self.refused[reason] += 1
        self.refused_bytes[reason] += amount

    def _pcap(self, order: str, ns_per_unit: int) -> Blocks:
        array = self.data
        self.link_type = struct.unpack_from(order + "I", array.data, 20)[0] & 0x0FFF_FFFF  # above: length of a checksum
        if self.link_type not in set(LinkType):
            self._refuse(Rejection.UNSUPPORTED_LINK_TYPE, len(array))
            return
        rows = np.empty(BLOCK_PACKETS, DATAGRAM)
        position, count = FILE_HEADER_BYTES, BLOCK_PACKETS
        while count == BLOCK_PACKETS:
            count, position = index_pcap(array, position, order == "<", ns_per_unit, rows)
            if count:
                yield rows[:count]
        if position < len(array):
            self._refuse(Rejection.TRUNCATED_CAPTURE, len(array) - position)

    def _pcapng(self) -> Blocks:
        blocks = read_blocks(self.data, frozenset(LinkType))
        self.link_type = blocks.link_type if blocks.link_type >= 0 else int(LinkType.RAW)
        self.refused.update(blocks.refused)
        self.refused_bytes.update(blocks.refused_bytes)
        for first in range(0, len(blocks.packets), BLOCK_PACKETS):
            part = blocks.packets[first : first + BLOCK_PACKETS]
            rows = np.zeros(len(part), DATAGRAM)
            rows["offset"], rows["length"], rows["arrival_ns"], rows["original"] = np.array(part, np.int64).T
            yield rows


@inlined
def u32(data: Any, at: Int64, little: bool) -> Int64:
    """Four bytes in either order."""
    value = be32(data, at)
    if little:
        return ((value & 0xFF) << 24) | ((value & 0xFF00) << 8) | ((value >> 8) & 0xFF00) | (value >> 24)
    return value


@kernel
def index_pcap(data: Any, at: Int64, little: bool, ns_per_unit: Int64, rows: Any) -> tuple[Int64, Int64]:
    """Fill `rows` from `at` on; returns how many, and where reading stopped: full, at the end, or before what is truncated."""
    p, count, end = at, 0, len(data)
    while end - p >= PACKET_HEADER_BYTES and count < len(rows):
        captured = u32(data, p + 8, little)
        if captured > PACKET_BYTES_MAX or captured > end - p - PACKET_HEADER_BYTES:
            return count, p
        rows[count].offset = p + PACKET_HEADER_BYTES
        rows[count].length = captured
        rows[count].arrival_ns = u32(data, p, little) * NS_PER_S + u32(data, p + 4, little) * ns_per_unit
        rows[count].original = max(u32(data, p + 12, little), captured)
        count += 1
        p += PACKET_HEADER_BYTES + captured
    return count, p


@kernel
def locate_datagrams(data: Any, rows: Any, link_type: Int64, header_bytes: Int64, refused: Any) -> Int64:
    """Narrow packets to the UDP datagrams in them, in place; returns how many.

    `refused`, int64 (5, 2): packets and bytes that are not IP, not UDP, fragments, of wrong UDP length, cut.
    """
    kept = 0
    for n in range(len(rows)):
        at, end, arrival = rows[n].offset, rows[n].offset + rows[n].length, rows[n].arrival_ns
        ip = network_header(data, at, end) if link_type == LinkType.ETHERNET else at + header_bytes
        place = udp_payload(data, ip, end)
        if place < 0:
            refused[-place - 1, 0] += 1
            refused[-place - 1, 1] += rows[n].length
            continue
        length = be16(data, place - 4) - 8
        if length < 0 or length > end - place:
            code = 4 if length > 0 and rows[n].original > rows[n].length else 3
            refused[code, 0] += 1
            refused[code, 1] += rows[n].length
            continue
        rows[kept].offset = place
        rows[kept].length = length
        rows[kept].arrival_ns = arrival
        rows[kept].original = length
        if data[ip] >> 4 == 4:
            rows[kept].src_hi = 0
            rows[kept].src_lo = V4_MAPPED | be32(data, ip + 12)
        else:
            rows[kept].src_hi = be64(data, ip + 8)
            rows[kept].src_lo = be64(data, ip + 16)
        kept += 1
    return kept


UDP_REFUSALS = (
    Rejection.NOT_IP,
    Rejection.NOT_UDP,
    Rejection.IP_FRAGMENT,
    Rejection.BAD_UDP_LENGTH,
    Rejection.CUT_PACKET,
)


@inlined
def udp_payload(data: Any, ip: Int64, end: Int64) -> Int64:
    """Where the UDP payload starts; -1 not IP, -2 not UDP, -3 a fragment, -4 too short. IPv6 extensions are not passed."""
    if ip == NOT_IP or end - ip < 20:
        return -1
    version = data[ip] >> 4
    if version == 4:
        header = np.int64(data[ip] & 15) * 4
        if header < 20:
            return -1
        if data[ip + 9] != UDP:
            return -2
        if be16(data, ip + 6) & 0x3FFF != 0:
            return -3
        return ip + header + 8 if end - ip >= header + 8 else -4
    if version == 6 and end - ip >= 48:
        if data[ip + 6] == 44:
            return -3
        return ip + 48 if data[ip + 6] == UDP else -2
    return -1
