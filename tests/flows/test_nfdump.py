"""Byte and packet sums equal nfdump's on the same datagrams, received by nfcapd and sfcapd over loopback."""

from __future__ import annotations

import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from flow_builders import (
    NOW_NS,
    NOW_S,
    UPTIME_MS,
    V4_FIELDS,
    ethernet,
    flow_sample,
    flow_set,
    ip_packet,
    ipfix,
    raw_header,
    segment,
    sflow,
    template,
    v4,
    v4_record,
    v5,
    v5_record,
    v6,
    v9,
)

from inspectorate.mechanisms.interconnect.flows import FlowDecoder, all_records

pytestmark = [
    pytest.mark.tools,
    pytest.mark.skipif(
        any(shutil.which(tool) is None for tool in ("nfcapd", "sfcapd", "nfdump")),
        reason="needs nfdump, nfcapd and sfcapd (Debian: nfdump, nfdump-sflow)",
    ),
]
COUNT = 60


def netflow_v5(n: int) -> bytes:
    return v5(*[v5_record(f"10.1.{n}.{k}", octets=40 + n * k, packets=k + 1) for k in range(30)], sequence=30 * n)


def netflow_v9(n: int) -> bytes:
    data = flow_set(256, b"".join(v4_record(f"10.1.{n}.{k}", octets=50 + n * k, packets=k + 1) for k in range(24)))
    return v9(flow_set(0, template(256, V4_FIELDS)), data, sequence=n)


def netflow_v9_v6_wide(n: int) -> bytes:
    fields = [(27, 16), (28, 16), (2, 8), (1, 8), (22, 4), (21, 4), (4, 1)]
    record = (
        v6("2001:db8::1") + v6("2001:db8::2") + struct.pack(">QQIIB", n + 1, (1 << 33) + n, UPTIME_MS - 9, UPTIME_MS, 6)
    )
    return v9(flow_set(0, template(300, fields)), flow_set(300, record * 3), sequence=n)


def netflow_v5_sampled(n: int) -> bytes:
    """Sampling announced in the header; nfdump 1.7.1 does not apply the rates that these v9 and IPFIX options announce."""
    return v5(*[v5_record(octets=40 + n * k, packets=k + 1) for k in range(30)], sequence=30 * n, interval=0x4000 | 100)


def ipfix_milliseconds(n: int) -> bytes:
    fields = [(8, 4), (12, 4), (2, 4), (1, 8), (152, 8), (153, 8)]
    records = [
        v4("10.1.0.1") + v4("10.2.0.1") + struct.pack(">IQQQ", k, 1000 * n + k, NOW_S * 1000 - 500, NOW_S * 1000)
        for k in range(20)
    ]
    return ipfix(flow_set(2, template(256, fields)), flow_set(256, b"".join(records)), sequence=20 * n)


def sflow_headers(n: int) -> bytes:
    frame = ethernet(ip_packet("10.1.0.1", "10.2.0.1", length=500 + n), vlans=[7] if n % 2 else [])
    samples = [flow_sample(raw_header(frame, length=514 + n), sequence=7 * n + k + 1, rate=256) for k in range(7)]
    return sflow(*samples, sequence=n + 1)


def wait_until_bound(port: int) -> None:
    """Wait until a process listens on a UDP port."""
    for _ in range(200):
        if f":{port:04X} " in Path("/proc/net/udp").read_text():
            return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on UDP port {port}")


def collected(program: str, datagrams: list[bytes], folder: Path) -> tuple[int, int]:
    """Bytes and packets that nfdump sums up of what the collector wrote."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [program, "-w", str(folder), "-b", "127.0.0.1", "-p", str(port), "-t", "3600"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_bound(port)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            for datagram in datagrams:
                out.sendto(datagram, ("127.0.0.1", port))
                time.sleep(0.001)
        time.sleep(0.7)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    written = next(path for path in folder.iterdir() if path.name.startswith("nfcapd."))
    shown = subprocess.run(
        ["nfdump", "-r", str(written), "-q", "-N", "-o", "fmt:%byt %pkt"], capture_output=True, text=True, check=True
    )
    pairs = [tuple(map(int, line.split())) for line in shown.stdout.splitlines() if line.strip()]
    return sum(p[0] for p in pairs), sum(p[1] for p in pairs)


@pytest.mark.parametrize(
    "make", [netflow_v5, netflow_v9, netflow_v9_v6_wide, netflow_v5_sampled, ipfix_milliseconds, sflow_headers]
)
def test_sums_equal(make: Callable[[int], bytes], tmp_path: Path) -> None:
    datagrams = [make(n) for n in range(COUNT)]
    records = all_records(FlowDecoder().decode_segment(segment(datagrams, start_ns=NOW_NS))).records
    octets = int((records["bytes"] * records["sampling_rate"]).sum())
    packets = int((records["packets"] * records["sampling_rate"]).sum())
    assert octets > 0
    assert (octets, packets) == collected("sfcapd" if make is sflow_headers else "nfcapd", datagrams, tmp_path)
