"""The columns that decoding yields: structured numpy arrays, one row per record.

Addresses are 128 bits as two `uint64`, high and low; IPv4 is mapped into IPv6 (`::ffff:a.b.c.d`, RFC 4291, section
2.5.5.2). Times are `int64` nanoseconds since 1970. No address, port or interface is written as zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import numpy as np
from numpy.typing import NDArray

V4_MAPPED = 0xFFFF << 32
"""Low half of `::ffff:0.0.0.0`."""


class Flag(IntFlag):
    """What a row of `RECORD` needs said about it."""

    SAMPLED = 1
    LAYER2 = 2
    REVERSE = 4
    TOTAL = 8
    UNADDRESSED = 16


RECORD = np.dtype(
    [
        ("src_hi", "<u8"),
        ("src_lo", "<u8"),
        ("dst_hi", "<u8"),
        ("dst_lo", "<u8"),
        ("bytes", "<u8"),
        ("packets", "<u8"),
        ("start_ns", "<i8"),
        ("end_ns", "<i8"),
        ("sampling_rate", "<f8"),
        ("domain", "<u4"),
        ("datagram", "<u4"),
        ("in_if", "<u4"),
        ("out_if", "<u4"),
        ("src_port", "<u2"),
        ("dst_port", "<u2"),
        ("proto", "u1"),
        ("flags", "u1"),
        ("version", "<u2"),
    ],
    align=True,
)
"""One flow record or packet sample. `bytes` and `packets` are as exported: of the sampled packets where there is sampling;
times `sampling_rate` (1-in-N, 1.0 without sampling) they estimate the traffic. `start_ns` to `end_ns` are the first and
last packet. `domain` is the observation domain, engine or sub-agent. `datagram` is the index in the segment. `flags`: `Flag`.
`version`: 5, 9, 10 (IPFIX), 105 (sFlow v5), 1 (captured packet) or 2 (GoFlow2 line)."""

COUNTER = np.dtype(
    [
        ("arrival_ns", "<i8"),
        ("agent_hi", "<u8"),
        ("agent_lo", "<u8"),
        ("speed_bits_per_s", "<u8"),
        ("in_octets", "<u8"),
        ("out_octets", "<u8"),
        ("sub_agent", "<u4"),
        ("datagram", "<u4"),
        ("sequence", "<u4"),
        ("source_class", "<u4"),
        ("source_index", "<u4"),
        ("if_index", "<u4"),
        ("if_type", "<u4"),
        ("direction", "<u4"),
        ("status", "<u4"),
        ("in_unicast", "<u4"),
        ("in_multicast", "<u4"),
        ("in_broadcast", "<u4"),
        ("in_discards", "<u4"),
        ("in_errors", "<u4"),
        ("in_unknown", "<u4"),
        ("out_unicast", "<u4"),
        ("out_multicast", "<u4"),
        ("out_broadcast", "<u4"),
        ("out_discards", "<u4"),
        ("out_errors", "<u4"),
    ],
    align=True,
)
"""Generic interface counters of one sFlow counter sample (sFlow v5, `if_counters`, format 0:1), cumulative, as sent."""

Records = NDArray[np.void]
Counters = NDArray[np.void]

VERSION_TAP = 1
VERSION_GOFLOW2 = 2
VERSION_SFLOW = 105


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A stretch of decoded input: `records` of dtype `RECORD` and `counters` of dtype `COUNTER`, in order of arrival."""

    records: Records
    counters: Counters


def empty_batch() -> Batch:
    return Batch(records=np.empty(0, RECORD), counters=np.empty(0, COUNTER))


def address_of(high: int, low: int) -> IPv4Address | IPv6Address:
    """The address of two halves; mapped IPv4 comes back as IPv4."""
    address = IPv6Address((int(high) << 64) | int(low))
    return address.ipv4_mapped or address


def halves(address: IPv4Address | IPv6Address) -> tuple[int, int]:
    """The two halves of an address, IPv4 mapped."""
    if isinstance(address, IPv4Address):
        return 0, V4_MAPPED | int(address)
    return int(address) >> 64, int(address) & 0xFFFF_FFFF_FFFF_FFFF


def counter_increase(before: Any, after: Any, *, bits: int) -> NDArray[np.uint64]:
    """Increase of a cumulative counter of 32 or 64 bits that wrapped at most once between two readings.

    Shapes: equal, or broadcast. Raises `ValueError` on other widths. A reset of the counter looks like a wrap: compare
    the result with what the link can carry.
    """
    if bits not in (32, 64):
        raise ValueError("counters have 32 or 64 bits")
    mask = np.uint64((1 << bits) - 1)
    return (np.asarray(after, np.uint64) - np.asarray(before, np.uint64)) & mask
