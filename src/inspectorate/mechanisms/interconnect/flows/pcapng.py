"""pcapng blocks to an index of packets: section, interface, enhanced and simple packet blocks; others are passed over.

Source: draft-ietf-opsawg-pcapng, sections 3.1 and 4.1-4.4. Not done here: obsolete packet blocks, comments, decryption keys.
Files whose interfaces differ in link type are read for the first type only; packets of the others are refused by name.
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.interconnect.flows.outcomes import Rejection

SECTION, INTERFACE, SIMPLE, ENHANCED = 0x0A0D0D0A, 1, 3, 6
ORDER_MAGIC = 0x1A2B3C4D
OPTION_END, OPTION_RESOLUTION = 0, 9
BLOCK_BYTES_MAX = 16 * 1024 * 1024
INTERFACES_MAX = 4096
NS_PER_S = 1_000_000_000
TIME_MAX_NS = 1 << 62


@dataclass(kw_only=True)
class Blocks:
    """What the blocks of a file held: packets as (offset, captured, arrival_ns, original) tuples."""

    packets: list[tuple[int, int, int, int]] = field(default_factory=list)
    link_type: int = -1
    refused: Counter[Rejection] = field(default_factory=Counter)
    refused_bytes: Counter[Rejection] = field(default_factory=Counter)

    def refuse(self, reason: Rejection, amount: int) -> None:
        self.refused[reason] += 1
        self.refused_bytes[reason] += amount


def read_blocks(array: NDArray[np.uint8], link_types: frozenset[int]) -> Blocks:
    """Walk the blocks of a pcapng file. Never raises on content."""
    data = array.data
    out = Blocks()
    interfaces: list[tuple[int, tuple[int, int]]] = []
    order, p = "<", 0
    while p < len(data):
        if len(data) - p < 12:
            out.refuse(Rejection.TRUNCATED_CAPTURE, len(data) - p)
            break
        if struct.unpack_from(">I", data, p)[0] == SECTION:
            order = "<" if struct.unpack_from("<I", data, p + 8)[0] == ORDER_MAGIC else ">"
            interfaces = []
        kind, size = struct.unpack_from(order + "II", data, p)
        if size < 12 or size % 4 or size > BLOCK_BYTES_MAX or size > len(data) - p:
            out.refuse(Rejection.TRUNCATED_CAPTURE, len(data) - p)
            break
        body = data[p + 8 : p + size - 4]
        if kind == INTERFACE and len(body) >= 8 and len(interfaces) < INTERFACES_MAX:
            link_type = struct.unpack_from(order + "H", body)[0]
            interfaces.append((link_type, _resolution(body[8:], order)))
            if out.link_type < 0 and link_type in link_types:
                out.link_type = link_type
        elif kind in (SIMPLE, ENHANCED):
            _packet(out, (p, kind), body, order, interfaces)
        p += size
    return out


def _packet(
    out: Blocks, place: tuple[int, int], body: memoryview, order: str, interfaces: list[tuple[int, tuple[int, int]]]
) -> None:
    p, kind = place
    if kind == ENHANCED:
        if len(body) < 20:
            out.refuse(Rejection.TRUNCATED_CAPTURE, len(body))
            return
        number, high, low, captured, original = struct.unpack_from(order + "IIIII", body)
        at = 20
    else:
        if len(body) < 4:
            out.refuse(Rejection.TRUNCATED_CAPTURE, len(body))
            return
        number, high, low = 0, 0, 0
        original = struct.unpack_from(order + "I", body)[0]
        at, captured = 4, min(original, len(body) - 4)
    if captured > len(body) - at:
        out.refuse(Rejection.TRUNCATED_CAPTURE, len(body))
    elif number >= len(interfaces) or interfaces[number][0] != out.link_type:
        out.refuse(Rejection.UNSUPPORTED_LINK_TYPE, len(body))
    else:
        units, (numerator, denominator) = (high << 32) | low, interfaces[number][1]
        arrival = min(units * numerator // denominator, TIME_MAX_NS)
        out.packets.append((p + 8 + at, captured, arrival, max(original, captured)))


def _resolution(options: memoryview, order: str) -> tuple[int, int]:
    """Nanoseconds per time unit of an interface as a fraction; microseconds where the option is absent (section 4.2)."""
    p = 0
    while len(options) - p >= 4:
        code, length = struct.unpack_from(order + "HH", options, p)
        if code == OPTION_END or length > len(options) - p - 4:
            break
        if code == OPTION_RESOLUTION and length == 1:
            power = options[p + 4]
            return (NS_PER_S, 1 << (power & 0x7F)) if power & 0x80 else (NS_PER_S, 10**power)
        p += 4 + ((length + 3) & ~3)
    return 1_000, 1
