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
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.interconnect.flows.columns import V4_MAPPED
from inspectorate.mechanisms.interconnect.flows.kernels import kernel
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


@dataclass(frozen=True, kw_only=True)
class Packets:
    """The packets of a capture: rows of `DATAGRAM` with the link type of each, and what was refused, with its bytes."""

    data: NDArray[np.uint8]
    rows: NDArray[np.void]
    link_type: int
    refused: Counter[Rejection]
    refused_bytes: Counter[Rejection]


def as_array(data: bytes | bytearray | memoryview, limits: Limits) -> NDArray[np.uint8]:
    """The bytes as a read-only array without copying. Raises `ValueError` above the limit: a segment is cut by its writer."""
    if len(data) > limits.segment_bytes_max:
        raise ValueError(f"a segment of {len(data)} bytes exceeds {limits.segment_bytes_max}")
    array = np.frombuffer(data, np.uint8)
    array.flags.writeable = False
    return array


def read_packets(data: bytes | bytearray | memoryview, limits: Limits) -> Packets:
    """Index the packets of a pcap or pcapng file. Never raises on content; what cannot be read is refused by name."""
    array = as_array(data, limits)
    head = bytes(array[:4])
    for order in ("<", ">"):
        magic = struct.unpack(order + "I", head)[0] if len(head) == 4 else 0
        if magic in (MAGIC_US, MAGIC_NS) and len(array) >= FILE_HEADER_BYTES:
            return _read_pcap(array, order, 1 if magic == MAGIC_NS else 1_000)
    if len(head) == 4 and struct.unpack(">I", head)[0] == SECTION:
        return _read_pcapng(array)
    return _refuse_all(array, Rejection.NOT_A_CAPTURE)


def _read_pcapng(array: NDArray[np.uint8]) -> Packets:
    blocks = read_blocks(array, frozenset(LinkType))
    rows = np.zeros(len(blocks.packets), DATAGRAM)
    if blocks.packets:
        columns = np.array(blocks.packets, np.int64).T
        rows["offset"], rows["length"], rows["arrival_ns"], rows["original"] = columns
    return Packets(
        data=array,
        rows=rows,
        link_type=blocks.link_type if blocks.link_type >= 0 else LinkType.RAW,
        refused=blocks.refused,
        refused_bytes=blocks.refused_bytes,
    )


def _refuse_all(array: NDArray[np.uint8], reason: Rejection) -> Packets:
    return Packets(
        data=array,
        rows=np.empty(0, DATAGRAM),
        link_type=LinkType.RAW,
        refused=Counter({reason: 1}),
        refused_bytes=Counter({reason: len(array)}),
    )


def _read_pcap(array: NDArray[np.uint8], order: str, ns_per_unit: int) -> Packets:
    link_type = struct.unpack_from(order + "I", array, 20)[0] & 0x0FFF_FFFF  # the upper bits describe a checksum
    if link_type not in set(LinkType):
        return _refuse_all(array, Rejection.UNSUPPORTED_LINK_TYPE)
    rows = np.empty((len(array) - FILE_HEADER_BYTES) // PACKET_HEADER_BYTES + 1, DATAGRAM)
    count, end = index_pcap(array, order == "<", ns_per_unit, rows)
    refused: Counter[Rejection] = Counter()
    refused_bytes: Counter[Rejection] = Counter()
    if end < len(array):
        refused[Rejection.TRUNCATED_CAPTURE] += 1
        refused_bytes[Rejection.TRUNCATED_CAPTURE] += len(array) - end
    return Packets(
        data=array, rows=rows[:count], link_type=link_type, refused=refused, refused_bytes=refused_bytes
    )


@kernel
def u32(data: Any, at: int, little: bool) -> int:
    """Four bytes in either order."""
    value = be32(data, at)
    if little:
        return ((value & 0xFF) << 24) | ((value & 0xFF00) << 8) | ((value >> 8) & 0xFF00) | (value >> 24)
    return value


@kernel
def index_pcap(data: Any, little: bool, ns_per_unit: int, rows: Any) -> tuple[int, int]:
    """Fill `rows`; returns how many, and where reading stopped: at the end of `data`, or before what is truncated."""
    p, count, end = FILE_HEADER_BYTES, 0, len(data)
    while end - p >= PACKET_HEADER_BYTES:
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
def locate_datagrams(data: Any, rows: Any, link_type: int, header_bytes: int, refused: Any) -> int:
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


@kernel
def udp_payload(data: Any, ip: int, end: int) -> int:
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


def read_datagrams(data: bytes | bytearray | memoryview, limits: Limits) -> Packets:
    """Index the UDP datagrams of a capture."""
    packets = read_packets(data, limits)
    refused = np.zeros((len(UDP_REFUSALS), 2), np.int64)
    header = HEADER_BYTES.get(LinkType(packets.link_type), 0)
    kept = locate_datagrams(packets.data, packets.rows, packets.link_type, header, refused)
    for reason, (count, size) in zip(UDP_REFUSALS, refused.tolist(), strict=True):
        if count:
            packets.refused[reason] += count
            packets.refused_bytes[reason] += size
    return Packets(
        data=packets.data,
        rows=packets.rows[:kept],
        link_type=packets.link_type,
        refused=packets.refused,
        refused_bytes=packets.refused_bytes,
    )
