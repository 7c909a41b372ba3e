"""Headers of a captured packet: from the link layer to addresses and ports, for sFlow samples and captures alike.

Link layers: Ethernet with up to four VLAN tags (802.1Q, 802.1ad), PPPoE session and MPLS labels before IP; bare IP. Inside
IPv6, hop-by-hop, routing, destination and fragment headers are passed over. Tunnels are not opened: the outer addresses
count, since they name who exchanged the packet.

Sources: IEEE 802.1Q; RFC 791; RFC 8200, section 4; RFC 3032 (MPLS); RFC 2516 (PPPoE); IANA EtherTypes and protocol numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from inspectorate.mechanisms.interconnect.flows.columns import V4_MAPPED
from inspectorate.mechanisms.interconnect.flows.kernels import Int64, inlined, kernel
from inspectorate.mechanisms.interconnect.flows.loads import be16, be32, be64

ETHERTYPE_V4, ETHERTYPE_V6 = 0x0800, 0x86DD
ETHERTYPES_VLAN = (0x8100, 0x88A8, 0x9100)
ETHERTYPES_MPLS = (0x8847, 0x8848)
ETHERTYPE_PPPOE = 0x8864
PPP_V4, PPP_V6 = 0x0021, 0x0057
TAGS_MAX = 4
LABELS_MAX = 8
EXTENSIONS_MAX = 8
TCP, UDP, SCTP, DCCP, UDP_LITE = 6, 17, 132, 33, 136
HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION = 0, 43, 44, 60
NOT_IP = -1


@inlined
def network_header(data: Any, at: Int64, end: Int64) -> Int64:
    """Where the IP header of an Ethernet frame starts, or -1. The version is told by its first nibble."""
    if end - at < 14:
        return NOT_IP
    kind, p = be16(data, at + 12), at + 14
    for _ in range(TAGS_MAX):
        if kind not in ETHERTYPES_VLAN:
            break
        if end - p < 4:
            return NOT_IP
        kind = be16(data, p + 2)
        p += 4
    if kind in (ETHERTYPE_V4, ETHERTYPE_V6):
        return p
    if kind == ETHERTYPE_PPPOE and end - p >= 8 and be16(data, p + 6) in (PPP_V4, PPP_V6):
        return p + 8
    if kind in ETHERTYPES_MPLS:
        for _ in range(LABELS_MAX):
            if end - p < 4:
                return NOT_IP
            p += 4
            if data[p - 2] & 1:  # bottom of the stack
                return p
    return NOT_IP


@inlined
def read_ip(data: Any, at: Int64, end: Int64, row: Any) -> Int64:
    """Fill addresses, protocol and ports of `row` from the IP header at `at`.

    Returns the IP packet's length in bytes by its header, 0 where the header leaves it open (segmentation offload,
    jumbograms), or -1 where there is no IP header.
    """
    if at < 0 or end - at < 20:
        return NOT_IP
    version = data[at] >> 4
    if version == 4:
        return read_v4(data, at, end, row)
    if version == 6 and end - at >= 40:
        return read_v6(data, at, end, row)
    return NOT_IP


@inlined
def read_v4(data: Any, at: Int64, end: Int64, row: Any) -> Int64:
    """IPv4 (RFC 791, section 3.1)."""
    header = np.int64(data[at] & 15) * 4
    if header < 20:
        return NOT_IP
    row.src_hi = 0
    row.dst_hi = 0
    row.src_lo = V4_MAPPED | be32(data, at + 12)
    row.dst_lo = V4_MAPPED | be32(data, at + 16)
    row.proto = data[at + 9]
    if be16(data, at + 6) & 0x1FFF == 0:
        read_ports(data, at + header, end, row)
    return be16(data, at + 2)


@kernel
def read_v6(data: Any, at: Int64, end: Int64, row: Any) -> Int64:
    """IPv6 and its extension headers (RFC 8200, sections 3 and 4)."""
    row.src_hi = be64(data, at + 8)
    row.src_lo = be64(data, at + 16)
    row.dst_hi = be64(data, at + 24)
    row.dst_lo = be64(data, at + 32)
    payload = be16(data, at + 4)
    p: Int64 = at + 40
    following: Int64 = np.int64(data[at + 6])
    later_fragment = False
    for _ in range(EXTENSIONS_MAX):
        if following not in (HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION) or end - p < 8:
            break
        if following == FRAGMENT:
            later_fragment = be16(data, p + 2) >> 3 != 0
            size: Int64 = 8
        else:
            size = 8 + 8 * np.int64(data[p + 1])
        following = np.int64(data[p])
        p += size
        if later_fragment:
            break
    row.proto = following
    if not later_fragment:
        read_ports(data, p, end, row)
    return payload + 40 if payload > 0 else 0


@inlined
def read_ports(data: Any, at: Int64, end: Int64, row: Any) -> None:
    """Ports of the transports that have them."""
    if row.proto in (TCP, UDP, SCTP, DCCP, UDP_LITE) and end - at >= 4:
        row.src_port = be16(data, at)
        row.dst_port = be16(data, at + 2)
