"""Slow, obvious decoders of what simulated sensors send, written from the formats and not from the encoders."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class FlowRecord:
    source: int
    destination: int
    bytes: int
    packets: int
    first_ms: int
    last_ms: int


@dataclass
class Sample:
    source: int
    destination: int
    ip_bytes: int
    frame_bytes: int
    rate: int
    pool: int
    sequence: int


@dataclass
class Decoded:
    records: list[FlowRecord] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    counters: list[tuple[int, int, int, int]] = field(default_factory=list)
    """(in octets, in packets, out octets, out packets) of the port."""
    sampling: list[int] = field(default_factory=list)
    gaps: int = 0
    undecodable_sets: int = 0


def udp_payloads(pcap: bytes) -> Iterator[tuple[int, bytes]]:
    """(arrival in ns, UDP payload) of each record of a nanosecond pcap of raw IPv4."""
    magic, major, minor, _, _, _, link = struct.unpack_from("<IHHiIII", pcap)
    assert (magic, major, minor, link) == (0xA1B23C4D, 2, 4, 101)
    at = 24
    while at < len(pcap):
        seconds, nanoseconds, included, original = struct.unpack_from("<IIII", pcap, at)
        packet = pcap[at + 16 : at + 16 + included]
        assert included == original == struct.unpack_from(">H", packet, 2)[0]
        assert packet[0] == 0x45
        assert packet[9] == 17
        yield seconds * 10**9 + nanoseconds, packet[28:]
        at += 16 + included


def decode_v9(datagrams: list[bytes]) -> Decoded:
    found, templates, expected = Decoded(), {}, None
    for data in datagrams:
        version, count, uptime, seconds, sequence, _ = struct.unpack_from(">HHIIII", data)
        assert version == 9
        found.gaps += expected is not None and sequence != expected
        expected = (sequence + 1) & 0xFFFFFFFF
        seen, at = 0, 20
        while at < len(data):
            set_id, length = struct.unpack_from(">HH", data, at)
            body = data[at + 4 : at + length]
            if set_id == 0:
                number, fields = struct.unpack_from(">HH", body)
                templates[number] = [struct.unpack_from(">HH", body, 4 + 4 * i) for i in range(fields)]
                seen += 1
            elif set_id == 1:
                number, scope, options = struct.unpack_from(">HHH", body)
                templates[number] = [struct.unpack_from(">HH", body, 6 + 4 * i) for i in range((scope + options) // 4)]
                seen += 1
            elif set_id not in templates:
                found.undecodable_sets += 1
            else:
                width = sum(size for _, size in templates[set_id])
                for k in range(len(body) // width):
                    values = _fields(templates[set_id], body[k * width : (k + 1) * width])
                    seen += 1
                    if 34 in values:
                        found.sampling.append(values[34])
                        continue
                    boot_ms = seconds * 1000 - uptime
                    found.records.append(_record(values, boot_ms + values[22], boot_ms + values[21]))
            at += length
        assert at == len(data)
        assert seen == count or found.undecodable_sets
    return found


def decode_ipfix(datagrams: list[bytes]) -> Decoded:
    found, templates, expected = Decoded(), {}, None
    for data in datagrams:
        version, length, _, sequence, _ = struct.unpack_from(">HHIII", data)
        assert (version, length) == (10, len(data))
        found.gaps += expected is not None and sequence != expected
        at, count = 16, 0
        while at < len(data):
            set_id, size = struct.unpack_from(">HH", data, at)
            body = data[at + 4 : at + size]
            if set_id == 2:
                number, fields = struct.unpack_from(">HH", body)
                templates[number] = [struct.unpack_from(">HH", body, 4 + 4 * i) for i in range(fields)]
            elif set_id == 3:
                number, fields, _ = struct.unpack_from(">HHH", body)
                templates[number] = [struct.unpack_from(">HH", body, 6 + 4 * i) for i in range(fields)]
            elif set_id not in templates:
                found.undecodable_sets += 1
            else:
                width = sum(length for _, length in templates[set_id])
                for k in range(len(body) // width):
                    values = _fields(templates[set_id], body[k * width : (k + 1) * width])
                    count += 1
                    if 34 in values:
                        found.sampling.append(values[34])
                    else:
                        found.records.append(_record(values, values[152], values[153]))
            at += size
        expected = (sequence + count) & 0xFFFFFFFF
    return found


def decode_sflow(datagrams: list[bytes]) -> Decoded:
    found, expected = Decoded(), None
    for data in datagrams:
        version, family, _, _, sequence, _, count = struct.unpack_from(">IIIIIII", data)
        assert (version, family) == (5, 1)
        found.gaps += expected is not None and sequence != expected
        expected = sequence + 1
        at = 28
        for _ in range(count):
            kind, length = struct.unpack_from(">II", data, at)
            body = data[at + 8 : at + 8 + length]
            if kind == 1:
                found.samples.append(_sample(body))
            else:
                assert kind == 2
                assert struct.unpack_from(">III", body, 8) == (1, 1, 88)
                values = struct.unpack_from(">IIQIIQIIIIIIQIIIIII", body, 20)
                found.counters.append((values[5], values[6], values[12], values[13]))
            at += 8 + length
        assert at == len(data)
    return found


def _sample(body: bytes) -> Sample:
    sequence, _, rate, pool, _, _, _, records = struct.unpack_from(">IIIIIIII", body)
    kind, length, protocol, frame, stripped, header = struct.unpack_from(">IIIIII", body, 32)
    assert (records, kind, protocol) == (1, 1, 1)
    assert len(body) == 40 + length == 56 + (header + 3) // 4 * 4
    packet = body[56 : 56 + header]
    assert packet[12:14] == b"\x08\x00"
    assert packet[14] == 0x45
    total = struct.unpack_from(">H", packet, 16)[0]
    source, destination = struct.unpack_from(">II", packet, 26)
    return Sample(source, destination, total, frame - stripped, rate, pool, sequence)


def _fields(template: list[tuple[int, int]], data: bytes) -> dict[int, int]:
    values, at = {}, 0
    for kind, size in template:
        values[kind] = int.from_bytes(data[at : at + size], "big")
        at += size
    return values


def _record(values: dict[int, int], first_ms: int, last_ms: int) -> FlowRecord:
    return FlowRecord(values[8], values[12], values[1], values[2], first_ms, last_ms)
