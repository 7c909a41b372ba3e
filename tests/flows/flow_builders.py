"""Export datagrams and captures made by hand, for tests: the formats written out as plainly as possible."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address

NOW_S = 1_760_000_000
NOW_NS = NOW_S * 1_000_000_000
UPTIME_MS = 3_600_000

Specifier = tuple[int, int] | tuple[int, int, int]
"""Number and width of a field; with an enterprise number as third."""

V4_FIELDS: tuple[Specifier, ...] = ((8, 4), (12, 4), (2, 4), (1, 4), (22, 4), (21, 4), (7, 2), (11, 2), (4, 1))


def v4(text: str) -> bytes:
    return IPv4Address(text).packed


def v6(text: str) -> bytes:
    return IPv6Address(text).packed


def v4_record(
    src: str = "10.1.0.1", dst: str = "10.2.0.1", octets: int = 1000, packets: int = 10, age_ms: int = 1000
) -> bytes:
    """A record of `V4_FIELDS` whose flow lasted 500 ms and ended `age_ms` before the export."""
    end = UPTIME_MS - age_ms
    return v4(src) + v4(dst) + struct.pack(">IIIIHHB", packets, octets, end - 500, end, 1234, 443, 6)


def flow_set(set_id: int, body: bytes, *, pad: bool = True) -> bytes:
    if pad:
        body += bytes(-len(body) % 4)
    return struct.pack(">HH", set_id, len(body) + 4) + body


def specifiers(fields: Iterable[Specifier]) -> bytes:
    out = b""
    for number, width, *enterprise in fields:
        out += struct.pack(">HH", number | (0x8000 if enterprise else 0), width)
        if enterprise:
            out += struct.pack(">I", enterprise[0])
    return out


def template(template_id: int, fields: Sequence[Specifier]) -> bytes:
    return struct.pack(">HH", template_id, len(fields)) + specifiers(fields)


def v9_options(template_id: int, scope: Sequence[Specifier], fields: Sequence[Specifier]) -> bytes:
    return struct.pack(">HHH", template_id, 4 * len(scope), 4 * len(fields)) + specifiers((*scope, *fields))


def ipfix_options(template_id: int, scope: Sequence[Specifier], fields: Sequence[Specifier]) -> bytes:
    every = (*scope, *fields)
    return struct.pack(">HHH", template_id, len(every), len(scope)) + specifiers(every)


def v9(*sets: bytes, sequence: int = 0, domain: int = 7, uptime_ms: int = UPTIME_MS, seconds: int = NOW_S) -> bytes:
    return struct.pack(">HHIIII", 9, len(sets), uptime_ms, seconds, sequence, domain) + b"".join(sets)


def ipfix(*sets: bytes, sequence: int = 0, domain: int = 7, seconds: int = NOW_S) -> bytes:
    body = b"".join(sets)
    return struct.pack(">HHIII", 10, len(body) + 16, seconds, sequence, domain) + body


def v5(*records: bytes, sequence: int = 0, interval: int = 0, engine: int = 0, uptime_ms: int = UPTIME_MS) -> bytes:
    return struct.pack(">HHIIIIHH", 5, len(records), uptime_ms, NOW_S, 0, sequence, engine, interval) + b"".join(
        records
    )


def v5_record(
    src: str = "10.1.0.1", dst: str = "10.2.0.1", octets: int = 1000, packets: int = 10, age_ms: int = 1000
) -> bytes:
    end = UPTIME_MS - age_ms
    head = v4(src) + v4(dst) + bytes(4) + struct.pack(">HHIIIIHH", 1, 2, packets, octets, end - 500, end, 1234, 443)
    return head + bytes([0, 0, 6, 0]) + bytes(8)


def ip_packet(src: str, dst: str, *, length: int = 1000, proto: int = 6, ports: tuple[int, int] = (1234, 443)) -> bytes:
    """The first bytes of an IPv4 or IPv6 packet that says it has `length` bytes in all."""
    tail = struct.pack(">HH", *ports) + bytes(16)
    if ":" in src:
        return struct.pack(">IHBB", 6 << 28, length - 40, proto, 64) + v6(src) + v6(dst) + tail
    return struct.pack(">BBHHHBBH", 0x45, 0, length, 0, 0, 64, proto, 0) + v4(src) + v4(dst) + tail


def ethernet(packet: bytes, *, vlans: Sequence[int] = (), kind: int | None = None) -> bytes:
    kind = kind if kind is not None else (0x86DD if packet[0] >> 4 == 6 else 0x0800)
    tags = b"".join(struct.pack(">HH", 0x8100, vlan) for vlan in vlans)
    return bytes(12) + tags + struct.pack(">H", kind) + packet


def xdr(form: int, body: bytes) -> bytes:
    return struct.pack(">II", form, len(body)) + body + bytes(-len(body) % 4)


def raw_header(frame: bytes, *, length: int, protocol: int = 1) -> bytes:
    return xdr(1, struct.pack(">IIII", protocol, length, 4, len(frame)) + frame)


def flow_sample(
    *records: bytes, sequence: int = 1, rate: int = 100, pool: int = 0, drops: int = 0, source: int = 3
) -> bytes:
    head = struct.pack(">IIIIIIII", sequence, source, rate, pool, drops, 3, 4, len(records))
    return xdr(1, head + b"".join(records))


def flow_sample_expanded(
    *records: bytes, sequence: int = 1, rate: int = 100, drops: int = 0, index: int = 70_000
) -> bytes:
    head = struct.pack(">IIIIIIIIIII", sequence, 0, index, rate, 0, drops, 0, 70_001, 0, 70_002, len(records))
    return xdr(3, head + b"".join(records))


def counter_sample(*records: bytes, sequence: int = 1, source: int = 3, expanded: bool = False) -> bytes:
    origin = struct.pack(">II", 0, source) if expanded else struct.pack(">I", source)
    body = struct.pack(">I", sequence) + origin + struct.pack(">I", len(records)) + b"".join(records)
    return xdr(4 if expanded else 2, body)


def generic_counters(*, if_index: int = 3, in_octets: int = 0, out_octets: int = 0) -> bytes:
    head = struct.pack(">IIQIIQIIIIII", if_index, 6, 10**10, 1, 3, in_octets, 11, 12, 13, 14, 15, 16)
    return xdr(1, head + struct.pack(">QIIIIII", out_octets, 21, 22, 23, 24, 25, 0))


def sflow(
    *samples: bytes, sequence: int = 1, agent: str = "10.0.0.9", sub_agent: int = 0, uptime_ms: int = 1000
) -> bytes:
    address = struct.pack(">I", 2) + v6(agent) if ":" in agent else struct.pack(">I", 1) + v4(agent)
    return (
        struct.pack(">I", 5)
        + address
        + struct.pack(">IIII", sub_agent, sequence, uptime_ms, len(samples))
        + b"".join(samples)
    )


def udp_packet(payload: bytes, src: str = "192.0.2.1", dst: str = "192.0.2.2") -> bytes:
    udp = struct.pack(">HHHH", 40_000, 2055, len(payload) + 8, 0) + payload
    if ":" in src:
        return struct.pack(">IHBB", 6 << 28, len(udp), 17, 64) + v6(src) + v6(dst) + udp
    return struct.pack(">BBHHHBBH", 0x45, 0, len(udp) + 20, 0, 0x4000, 64, 17, 0) + v4(src) + v4(dst) + udp


def pcap(
    packets: Sequence[tuple[int, bytes]],
    *,
    link_type: int = 101,
    order: str = "<",
    nanoseconds: bool = True,
    snap: int = 65_535,
) -> bytes:
    """A capture of (time in ns, packet) pairs."""
    unit = 1 if nanoseconds else 1000
    out = struct.pack(order + "IHHiIII", 0xA1B23C4D if nanoseconds else 0xA1B2C3D4, 2, 4, 0, 0, snap, link_type)
    for time_ns, packet in packets:
        part = packet[:snap]
        out += struct.pack(order + "IIII", time_ns // 10**9, time_ns % 10**9 // unit, len(part), len(packet)) + part
    return out


def segment(
    payloads: Sequence[bytes], *, start_ns: int = NOW_NS, step_ns: int = 1_000_000, src: str = "192.0.2.1"
) -> bytes:
    """The payloads as a collector would write them."""
    return pcap([(start_ns + n * step_ns, udp_packet(p, src)) for n, p in enumerate(payloads)])
