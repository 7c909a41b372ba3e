"""Segments as they are written: received datagrams in, one nanosecond pcap file out.

Layout of a segment's payload:

    file header        24 bytes: magic 0xa1b23c4d (times in nanoseconds), version 2.4, snaplen 65,535, LINKTYPE_RAW (101)
    per datagram       16 bytes: seconds, nanoseconds, length, length (all little endian)
                       IPv4 header (20 bytes) or IPv6 header (40 bytes), UDP header (8 bytes), the datagram as received

Rules:

- The IP and UDP headers are written here, not captured: a UDP socket does not hand them over. Addresses and ports are real
  (the sender's as the kernel gave them, ours as bound), lengths and checksums are right, everything else is constant.
  Over IPv4 the UDP checksum is 0 ("none computed", RFC 768); over IPv6 it is computed, because 0 is not allowed there
  (RFC 8200, section 8.1).
- One byte form: equal datagrams give equal bytes.
- Datagrams stand in the order of arrival, and their times never decrease.

Formats: draft-ietf-opsawg-pcap (file), RFC 791 (IPv4), RFC 8200 (IPv6), RFC 768 (UDP), RFC 1071 (checksum).
Not done here: receiving (`receive`), when a segment ends and who signs it (`collector`), reading (`flows`).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Literal

import numba
import numpy as np
from numpy.typing import NDArray

PCAP_MAGIC_NS = 0xA1B23C4D
SNAPLEN = 65_535
LINKTYPE_RAW = 101
MEDIA_TYPE: Literal["application/vnd.tcpdump.pcap"] = "application/vnd.tcpdump.pcap"
FILE_HEADER = struct.pack("<IHHiIII", PCAP_MAGIC_NS, 2, 4, 0, 0, SNAPLEN, LINKTYPE_RAW)
RECORD_HEADER_BYTES = 16

NS_PER_S = 1_000_000_000
TTL = 64
"""Any constant would do; 64 is the usual default (RFC 1700)."""
DONT_FRAGMENT = 0x4000
"""With this flag an identification of 0 is right (RFC 6864, section 4.1: atomic datagrams)."""
UDP = 17

_RECORD = [("seconds", "<u4"), ("nanoseconds", "<u4"), ("included", "<u4"), ("original", "<u4")]
_UDP = [("sport", ">u2"), ("dport", ">u2"), ("udp_length", ">u2"), ("udp_sum", ">u2")]
_HEADER_V4 = np.dtype(
    [
        *_RECORD,
        ("version_ihl", "u1"),
        ("tos", "u1"),
        ("total_length", ">u2"),
        ("identification", ">u2"),
        ("flags", ">u2"),
        ("ttl", "u1"),
        ("protocol", "u1"),
        ("sum", ">u2"),
        ("source", "u1", (4,)),
        ("destination", "u1", (4,)),
        *_UDP,
    ]
)
_HEADER_V6 = np.dtype(
    [
        *_RECORD,
        ("version_class_flow", ">u4"),
        ("payload_length", ">u2"),
        ("next_header", "u1"),
        ("hop_limit", "u1"),
        ("source", "u1", (16,)),
        ("destination", "u1", (16,)),
        *_UDP,
    ]
)
_UDP_HEADER_BYTES = 8


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One end of UDP: an address and a port."""

    address: IPv4Address | IPv6Address
    port: int

    def __str__(self) -> str:
        host = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"udp://{host}:{self.port}"


def headers_bytes(version: int) -> int:
    """Bytes of the IP and UDP headers before a datagram, for IP version 4 or 6."""
    return (20 if version == 4 else 40) + _UDP_HEADER_BYTES


@dataclass(frozen=True, kw_only=True)
class Datagrams:
    """Datagrams of one sensor in order of arrival. The next receive may overwrite `data`.

    Shapes: `arrival_ns` (n,) int64, nanoseconds since 1970; `data` bytes in which datagram i stands at `starts[i]`,
    `lengths[i]` long, both (n,) int64; `addresses` (n, 4 or 16) uint8 and `ports` (n,) of the senders; `dropped_total` (n,)
    int64, how many datagrams of this sensor had been lost before each, since its socket was opened; `dropped_after`: the
    same after the last.
    """

    sensor: str
    arrival_ns: NDArray[np.int64]
    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    addresses: NDArray[np.uint8]
    ports: NDArray[np.uint16]
    dropped_total: NDArray[np.int64]
    dropped_after: int
    drained: bool
    """Nothing that had arrived when the receive began is still unread."""

    def __len__(self) -> int:
        return len(self.starts)

    def contents(self) -> list[bytes]:
        """A copy of every datagram."""
        view = self.data.data
        return [bytes(view[at : at + length]) for at, length in zip(self.starts, self.lengths, strict=True)]

    @property
    def record_bytes(self) -> int:
        """What these datagrams take in a segment, headers included."""
        overhead = RECORD_HEADER_BYTES + headers_bytes(4 if self.addresses.shape[1] == 4 else 6)
        return int(self.lengths.sum()) + overhead * len(self)

    def part(self, first: int, last: int, arrival_ns: NDArray[np.int64]) -> Datagrams:
        """Datagrams `first` to before `last`, with the arrival times to record for all of them."""
        if first == 0 and last == len(self):
            return replace(self, arrival_ns=arrival_ns)
        return Datagrams(
            sensor=self.sensor,
            arrival_ns=arrival_ns[first:last],
            data=self.data,
            starts=self.starts[first:last],
            lengths=self.lengths[first:last],
            addresses=self.addresses[first:last],
            ports=self.ports[first:last],
            dropped_total=self.dropped_total[first:last],
            dropped_after=int(self.dropped_total[last - 1]),
            drained=False,
        )


class SegmentWriter:
    """The payload of one segment while it grows, as chunks of bytes in order. Pure: nothing is written anywhere."""

    def __init__(self, destination: Endpoint) -> None:
        self._destination = destination
        self._address = np.frombuffer(destination.address.packed, dtype=np.uint8)
        self._chunks: list[bytes | memoryview] = [FILE_HEADER]
        self.size_bytes = len(FILE_HEADER)
        self.datagrams = 0

    @property
    def chunks(self) -> tuple[bytes | memoryview, ...]:
        return tuple(self._chunks)

    def append(self, datagrams: Datagrams) -> None:
        """Append datagrams; their arrival times must not decrease. Copies what it takes.

        Raises `ValueError` for a datagram that is longer than a record may be, or of the other IP version.
        """
        if not len(datagrams):
            return
        version = self._destination.address.version
        if datagrams.addresses.shape[1] != len(self._address):
            raise ValueError(f"senders have no IPv{version} addresses")
        if int(datagrams.lengths.max()) > SNAPLEN - headers_bytes(version):
            raise ValueError(f"a datagram with its headers exceeds {SNAPLEN} bytes")
        if int(datagrams.starts.min()) < 0 or int((datagrams.starts + datagrams.lengths).max()) > datagrams.data.size:
            raise ValueError("a datagram lies outside of its data")
        headers = self._headers_v4(datagrams) if version == 4 else self._headers_v6(datagrams)
        rows = headers.view(np.uint8).reshape(len(headers), -1)
        chunk = np.empty(datagrams.record_bytes, dtype=np.uint8)
        pack_records(chunk, rows, datagrams.data, datagrams.starts, datagrams.lengths)
        self._chunks.append(chunk.data)
        self.size_bytes += chunk.size
        self.datagrams += len(datagrams)

    def _headers_v4(self, datagrams: Datagrams) -> NDArray[Any]:
        headers = np.zeros(len(datagrams), dtype=_HEADER_V4)
        length = datagrams.lengths + headers_bytes(4)
        self._fill_common(headers, datagrams, length)
        headers["version_ihl"] = 0x45
        headers["total_length"] = length
        headers["flags"] = DONT_FRAGMENT
        headers["ttl"] = TTL
        headers["protocol"] = UDP
        # RFC 1071: the one's complement sum of the header's 16-bit words, folded twice.
        ip = headers.view(np.uint8).reshape(len(headers), -1)[:, RECORD_HEADER_BYTES : RECORD_HEADER_BYTES + 20]
        folded = ip.view(">u2").sum(axis=1, dtype=np.uint32)
        for _ in range(2):
            folded = (folded >> 16) + (folded & 0xFFFF)
        headers["sum"] = folded ^ 0xFFFF
        return headers

    def _headers_v6(self, datagrams: Datagrams) -> NDArray[Any]:
        headers = np.zeros(len(datagrams), dtype=_HEADER_V6)
        length = datagrams.lengths + headers_bytes(6)
        self._fill_common(headers, datagrams, length)
        headers["version_class_flow"] = 6 << 28
        headers["payload_length"] = length - 40
        headers["next_header"] = UDP
        headers["hop_limit"] = TTL
        pseudo = headers.view(np.uint8).reshape(len(headers), -1)[:, RECORD_HEADER_BYTES + 8 :]
        headers["udp_sum"] = [
            udp_checksum_v6(bytes(row), content) for row, content in zip(pseudo, datagrams.contents(), strict=True)
        ]
        return headers

    def _fill_common(self, headers: NDArray[Any], datagrams: Datagrams, length: NDArray[np.int64]) -> None:
        headers["seconds"], headers["nanoseconds"] = np.divmod(datagrams.arrival_ns, NS_PER_S)
        headers["included"] = headers["original"] = length
        headers["source"] = datagrams.addresses
        headers["destination"] = self._address
        headers["sport"] = datagrams.ports
        headers["dport"] = self._destination.port
        headers["udp_length"] = datagrams.lengths + _UDP_HEADER_BYTES


@numba.njit("void(u1[::1], u1[:, ::1], u1[::1], i8[::1], i8[::1])", cache=True, nogil=True)
def pack_records(
    out: NDArray[np.uint8],
    headers: NDArray[np.uint8],
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
) -> None:
    """Write header i (n, bytes) and then datagram i into `out`, for all i. `out` must have their size exactly."""
    at = 0
    for i in range(len(starts)):
        # Slices, so that the compiler sees plain copies: indices that could be negative make this forty times slower.
        into, header = out[at : at + headers.shape[1]], headers[i]
        for j in range(len(into)):
            into[j] = header[j]
        at += len(into)
        into, content = out[at : at + lengths[i]], data[starts[i] : starts[i] + lengths[i]]
        for j in range(len(into)):
            into[j] = content[j]
        at += len(into)


def udp_checksum_v6(pseudo: bytes, content: bytes) -> int:
    """The UDP checksum over IPv6 (RFC 8200, section 8.1).

    `pseudo` is source, destination and a UDP header whose checksum is 0 (40 bytes); `content` is the datagram. A one's
    complement sum of 16-bit words is the whole read as one number modulo 2**16 - 1. 0 is sent as 0xffff (RFC 768).
    """
    length = len(content) + _UDP_HEADER_BYTES
    padded = int.from_bytes(content, "big") << (8 * (len(content) % 2))
    total = (int.from_bytes(pseudo, "big") + padded + length + UDP) % 0xFFFF
    return (0xFFFF - total) or 0xFFFF
