"""What the exporters said, read by programs that are not ours: the PyPI `netflow` package, and forty lines for sFlow."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import netflow
from lab_datagram_recorder import HEAD


@dataclass(frozen=True)
class Flow:
    """One reported flow, or one sampled packet scaled up by its sampling rate. `frame_bytes` counts whole frames."""

    arrived_unix_s: float
    source: str
    destination: str
    frame_bytes: float
    packets: float


@dataclass(frozen=True)
class CounterSample:
    """The octets that an sFlow exporter counted so far in each direction, as the gateway names them."""

    arrived_unix_s: float
    in_bytes: int
    out_bytes: int


def datagrams(path: Path, port: int) -> list[tuple[float, bytes]]:
    """The datagrams that arrived at a port, with their arrival."""
    data, at, found = path.read_bytes(), 0, []
    while at + HEAD.size <= len(data):
        arrived, to_port, size = HEAD.unpack_from(data, at)
        at += HEAD.size + size
        if to_port == port:
            found.append((arrived, data[at - size : at]))
    return found


def netflow_flows(path: Path, port: int) -> list[Flow]:
    """NetFlow v9 and IPFIX: bytes of the network layer plus 14 for each packet."""
    templates: dict[str, Any] = {"netflow": {}, "ipfix": {}}
    flows = []
    for arrived, data in datagrams(path, port):
        for record in netflow.parse_packet(data, templates).flows:
            fields = record.data
            packets = _first(fields, "IN_PKTS", "packetDeltaCount")
            size = _first(fields, "IN_BYTES", "octetDeltaCount")
            ends = (
                ("IPV4_SRC_ADDR", "sourceIPv4Address", "IPV6_SRC_ADDR", "sourceIPv6Address"),
                ("IPV4_DST_ADDR", "destinationIPv4Address", "IPV6_DST_ADDR", "destinationIPv6Address"),
            )
            source, destination = (_address(_first(fields, *names), "6" in _name(fields, *names)) for names in ends)
            flows.append(Flow(arrived, source, destination, size + 14 * packets, packets))
    return flows


def sflow(path: Path, port: int) -> tuple[list[Flow], list[CounterSample]]:
    """sFlow v5 as sfprobe sends it: flow samples with an Ethernet header, and counter samples (interface counters)."""
    flows, counters = [], []
    for arrived, data in datagrams(path, port):
        count = struct.unpack_from("!I", data, 24)[0]
        at = 28
        for _ in range(count):
            kind, size = struct.unpack_from("!II", data, at)
            body = data[at + 8 : at + 8 + size]
            at += 8 + size
            if kind == 1:
                flows += _sampled(arrived, body)
            elif kind == 2 and struct.unpack_from("!I", body, 8)[0] > 0:
                # sfprobe also sends counter samples without a record, for a direction in which nothing has crossed.
                in_bytes, out_bytes = struct.unpack_from("!Q", body, 44)[0], struct.unpack_from("!Q", body, 76)[0]
                counters.append(CounterSample(arrived, in_bytes, out_bytes))
    return flows, counters


def _sampled(arrived: float, body: bytes) -> list[Flow]:
    rate, records = struct.unpack_from("!I", body, 8)[0], struct.unpack_from("!I", body, 28)[0]
    at, found = 32, []
    for _ in range(records):
        kind, size = struct.unpack_from("!II", body, at)
        record = body[at + 8 : at + 8 + size]
        at += 8 + size
        if kind != 1:
            continue
        frame_bytes, header = struct.unpack_from("!I", record, 4)[0], record[16:]
        version = struct.unpack_from("!H", header, 12)[0]
        if version in (0x0800, 0x86DD):
            start, width = (26, 4) if version == 0x0800 else (22, 16)
            ends = [str(ipaddress.ip_address(header[start + i * width : start + (i + 1) * width])) for i in (0, 1)]
            found.append(Flow(arrived, ends[0], ends[1], float(frame_bytes * rate), float(rate)))
    return found


def _name(fields: dict[str, Any], *names: str) -> str:
    return next(name for name in names if name in fields)


def _first(fields: dict[str, Any], *names: str) -> Any:
    return fields[_name(fields, *names)]


def _address(value: int | str, is_ipv6: bool) -> str:
    if isinstance(value, str):
        return str(ipaddress.ip_address(value))
    return str(ipaddress.IPv6Address(value) if is_ipv6 else ipaddress.IPv4Address(value))
