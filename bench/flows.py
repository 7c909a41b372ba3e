"""Speed of decoding and summing flow exports beside nfdump and the PyPI `netflow` package: `python bench/flows.py`.

The same datagrams go to nfcapd (sfcapd) over loopback and into one capture segment. Then, in CPU seconds of one core and in
turn, the median of several rounds: we decode and sum the segment per pair of pods (/16 networks) and minute; nfdump
aggregates its own file per pair of /16 networks; `netflow` parses the datagrams and a loop sums them. Byte sums must be equal.
Exits 1 where a target is missed, 2 where nfdump is not installed.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import netflow
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from inspectorate.mechanisms.interconnect.flows import AddressMap, FlowDecoder, PairTable

ROUNDS = 5
ADDRESSES, NETWORKS = "srcip,dstip", "srcip4/16,dstip4/16"
"""What nfdump aggregates by: the usual pair of addresses, and the pairs of networks that we sum by."""
HOSTS = 64
"""Hosts per pod."""
RECORDS_PER_DATAGRAM = 24
SAMPLES_PER_DATAGRAM = 7
HEADER_BYTES = 128
PODS = 8
MINUTE_NS = 60_000_000_000
START_S = 1_760_000_000
SECONDS = 600
PACKAGE_DATAGRAMS = 400
"""The package is slow: it gets a part, and rates are compared."""
RATIO_NFDUMP, RATIO_NFDUMP_SFLOW, RATIO_PACKAGE = 10.0, 5.0, 300.0
TEMPLATE_EVERY = 500

V9_FIELDS = ((8, 4), (12, 4), (10, 2), (14, 2), (2, 4), (1, 4), (22, 4), (21, 4), (7, 2), (11, 2))
IPFIX_FIELDS = ((8, 4), (12, 4), (10, 2), (14, 2), (2, 4), (1, 4), (152, 8), (153, 8), (7, 2), (11, 2))
REST = ((4, 1), (6, 1), (5, 1), (16, 4), (17, 4), (9, 1), (13, 1))


@dataclass(frozen=True)
class Load:
    """Datagrams of one kind: rows of equal length, uint8 (n, length), and what they hold."""

    name: str
    datagrams: list[bytes]
    records: int
    octets: int


def pod_networks() -> dict[str, list[str]]:
    return {f"pod-{n}": [f"10.{n}.0.0/16"] for n in range(PODS)}


def template_datagram(version: int, sequence: int) -> bytes:
    """A datagram with the one template, sent again and again as real exporters do."""
    fields = (*(V9_FIELDS if version == 9 else IPFIX_FIELDS), *REST)
    record = b"".join(number.to_bytes(2) + width.to_bytes(2) for number, width in fields)
    template = (256).to_bytes(2) + len(fields).to_bytes(2) + record
    sets = (0 if version == 9 else 2).to_bytes(2) + (len(template) + 4).to_bytes(2) + template
    return header(version, len(sets), 1, START_S, sequence) + sets


def header(version: int, length: int, count: int, seconds: int, sequence: int) -> bytes:
    if version == 9:
        words = (version << 16 | count, 3_600_000, seconds, sequence, 7)
    else:
        words = (version << 16 | (length + 16), seconds, sequence, 7)
    return b"".join(word.to_bytes(4) for word in words)


def netflow_load(version: int, count: int) -> Load:
    """`count` datagrams of 24 records of 45 bytes (NetFlow v9) or 53 (IPFIX, with its 64-bit times)."""
    random = np.random.default_rng(version)
    fields = (*(V9_FIELDS if version == 9 else IPFIX_FIELDS), *REST)
    dtype = np.dtype([(f"f{number}", f">u{width}") for number, width in fields])
    rows = np.zeros((count, RECORDS_PER_DATAGRAM), dtype)
    shape = rows.shape
    rows["f8"] = (10 << 24) + (random.integers(0, PODS, shape) << 16) + random.integers(1, HOSTS + 1, shape)
    rows["f12"] = (10 << 24) + (random.integers(0, PODS, shape) << 16) + random.integers(1, HOSTS + 1, shape)
    rows["f2"] = random.integers(1, 1000, shape)
    rows["f1"] = rows["f2"] * random.integers(60, 1500, shape)
    rows["f7"], rows["f11"] = random.integers(1024, 65535, shape), 443
    rows["f4"] = 6
    seconds = START_S + (np.arange(count) * SECONDS) // count
    age = random.integers(0, 15_000, shape)
    if version == 9:
        rows["f21"] = 3_600_000 - age
        rows["f22"] = rows["f21"] - random.integers(0, 5_000, shape)
    else:
        rows["f153"] = seconds[:, None] * 1000 - age
        rows["f152"] = rows["f153"] - random.integers(0, 5_000, shape)
    size = 4 + RECORDS_PER_DATAGRAM * dtype.itemsize
    datagrams, sequence = [], 0
    for n in range(count):
        if n % TEMPLATE_EVERY == 0:
            datagrams.append(template_datagram(version, sequence))
            sequence += 1 if version == 9 else 0
        head = header(version, size, RECORDS_PER_DATAGRAM, int(seconds[n]), sequence)
        datagrams.append(head + (256).to_bytes(2) + size.to_bytes(2) + rows[n].tobytes())
        sequence += 1 if version == 9 else RECORDS_PER_DATAGRAM
    name = "NetFlow v9" if version == 9 else "IPFIX"
    return Load(name, datagrams, rows.size, int(rows["f1"].sum(dtype=np.int64)))


def sflow_load(count: int) -> Load:
    """`count` datagrams of 7 flow samples, each a raw Ethernet header of 128 bytes, sampled 1 in 1,000."""
    random = np.random.default_rng(5)
    dtype = np.dtype(
        [("head", ">u4", 10), ("record", ">u4", 6), ("ethernet", "u1", 14), ("ip", "u1", HEADER_BYTES - 14)]
    )
    rows = np.zeros((count, SAMPLES_PER_DATAGRAM), dtype)
    number = np.arange(count * SAMPLES_PER_DATAGRAM).reshape(rows.shape)
    rows["head"] = [1, dtype.itemsize - 8, 0, 3, 1000, 0, 0, 3, 4, 1]
    rows["head"][..., 2] = number + 1
    rows["head"][..., 5] = number * 1000
    sizes = random.integers(HEADER_BYTES, 1518, rows.shape)
    rows["record"][...] = [1, HEADER_BYTES + 16, 1, 0, 4, HEADER_BYTES]
    rows["record"][..., 3] = sizes
    rows["ethernet"][..., 12] = 8
    ip = rows["ip"]
    ip[..., 0], ip[..., 8], ip[..., 9] = 0x45, 64, 6
    ip[..., 2], ip[..., 3] = (sizes - 14) >> 8, (sizes - 14) & 255
    for at in (12, 16):
        ip[..., at] = 10
        ip[..., at + 1] = random.integers(0, PODS, rows.shape)
        ip[..., at + 3] = random.integers(1, HOSTS + 1, rows.shape)
    datagrams = []
    for n in range(count):
        words = (5, 1, 0x0A000001, 0, n + 1, 1000 * n, SAMPLES_PER_DATAGRAM)
        datagrams.append(b"".join(word.to_bytes(4) for word in words) + rows[n].tobytes())
    return Load("sFlow", datagrams, rows.size, int(sizes.sum()) * 1000)


def segment_of(load: Load) -> bytes:
    """The datagrams as a collector writes them: a nanosecond pcap of IPv4 and UDP headers around each."""
    parts = [
        b"\x4d\x3c\xb2\xa1\x02\x00\x04\x00" + bytes(8) + (65535).to_bytes(4, "little") + (101).to_bytes(4, "little")
    ]
    for n, payload in enumerate(load.datagrams):
        moment = START_S * 10**9 + n * SECONDS * 10**9 // len(load.datagrams)
        size = len(payload) + 28
        frame = b"".join(v.to_bytes(4, "little") for v in (moment // 10**9, moment % 10**9, size, size))
        ip = b"\x45\x00" + size.to_bytes(2) + bytes(4) + b"\x40\x11\x00\x00\x7f\x00\x00\x01\x7f\x00\x00\x01"
        parts.append(frame + ip + b"\x9c\x40\x08\x07" + (len(payload) + 8).to_bytes(2) + b"\x00\x00" + payload)
    return b"".join(parts)


def ours(segment: bytes, pods: AddressMap, edges: NDArray[np.int64]) -> PairTable:
    """Decode and sum."""
    decoder, table = FlowDecoder(), PairTable(pods, edges)
    decoder.sum_segment(segment, table)
    report = decoder.report()
    assert not report.rejections, report.rejections
    assert not report.gaps, report.gaps[:3]
    return table


def package_sum(datagrams: list[bytes]) -> dict[tuple[str, str], int]:
    """Parse with the PyPI package and sum per pair of addresses, which costs it less than finding networks would."""
    sums: dict[tuple[str, str], int] = {}
    templates: dict[str, dict[int, object]] = {"netflow": {}, "ipfix": {}}
    for datagram in datagrams:
        for flow in netflow.parse_packet(datagram, templates).flows:
            values = flow.data if hasattr(flow, "data") else flow
            source = str(values.get("IPV4_SRC_ADDR", values.get("sourceIPv4Address", 0)))
            target = str(values.get("IPV4_DST_ADDR", values.get("destinationIPv4Address", 0)))
            octets = int(values.get("IN_BYTES", values.get("octetDeltaCount", 0)))
            key = (source, target)
            sums[key] = sums.get(key, 0) + octets
    return sums


def capture(load: Load, folder: Path) -> Path:
    """Send the datagrams to nfcapd or sfcapd over loopback, slowly enough that none is lost; the file that it wrote."""
    program = "sfcapd" if load.name == "sFlow" else "nfcapd"
    target = folder / load.name.replace(" ", "-")
    target.mkdir()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [program, "-w", str(target), "-b", "127.0.0.1", "-p", str(port), "-t", "3600", "-B", "20000000"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while f":{port:04X} " not in Path("/proc/net/udp").read_text():
            time.sleep(0.05)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            for n, datagram in enumerate(load.datagrams):
                out.sendto(datagram, ("127.0.0.1", port))
                if n % 32 == 31:
                    time.sleep(0.0015)
        time.sleep(1.5)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    return next(p for p in target.iterdir() if p.name.startswith("nfcapd."))


def nfdump_total(path: Path) -> int:
    """Total bytes of nfdump's own file, from its sums per pair of /16 networks."""
    command = ["nfdump", "-r", str(path), "-A", NETWORKS, "-q", "-N", "-o", "fmt:%byt"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return sum(int(line) for line in done.stdout.split() if line.isdigit())


def nfdump_aggregates(path: Path, key: str) -> None:
    """Let nfdump aggregate and print nothing, which costs it least."""
    subprocess.run(["nfdump", "-r", str(path), "-A", key, "-o", "null"], capture_output=True, check=True)


def cpu_s(work: Callable[[], object], *, child: bool = False) -> float:
    """CPU seconds, user and system, of one call in this process or its children."""
    who = resource.RUSAGE_CHILDREN if child else resource.RUSAGE_SELF
    before = resource.getrusage(who)
    work()
    after = resource.getrusage(who)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def shown(own: float, peer: float) -> tuple[str, str, str]:
    """Millions of records per CPU second of both, and their ratio."""
    return f"{own / 1e6:.2f}", f"{peer / 1e6:.2f}", f"{own / peer:.1f}x"


def measure(load: Load, folder: Path, table: Table) -> bool:
    """One row per peer; whether the targets are met."""
    segment, pods = segment_of(load), AddressMap.build(pod_networks())
    edges = START_S * 10**9 + MINUTE_NS * np.arange(-10, 12, dtype=np.int64)
    summed = ours(segment, pods, edges)
    written = capture(load, folder)
    equal = summed.bytes_total() == nfdump_total(written) == load.octets
    rounds = [
        (
            cpu_s(lambda: ours(segment, pods, edges)),
            cpu_s(lambda: nfdump_aggregates(written, ADDRESSES), child=True),
            cpu_s(lambda: nfdump_aggregates(written, NETWORKS), child=True),
        )
        for _ in range(ROUNDS)
    ]
    own, addresses, networks = (load.records / statistics.median(column) for column in zip(*rounds, strict=True))
    target = RATIO_NFDUMP_SFLOW if load.name == "sFlow" else RATIO_NFDUMP
    rows = ((ADDRESSES, addresses, f">= {target:g}x"), (NETWORKS, networks, ""))
    for key, peer, goal in rows:
        table.add_row(load.name, f"nfdump -A {key}", *shown(own, peer), goal, str(equal))
    met = own / addresses >= target and equal
    if load.name != "sFlow":
        part = load.datagrams[: PACKAGE_DATAGRAMS + 1]
        package = (
            PACKAGE_DATAGRAMS
            * RECORDS_PER_DATAGRAM
            / statistics.median(cpu_s(lambda: package_sum(part)) for _ in range(3))
        )
        table.add_row(load.name, "netflow (PyPI)", *shown(own, package), f">= {RATIO_PACKAGE:g}x", "")
        met &= own / package >= RATIO_PACKAGE
    return met


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datagrams", type=int, default=60_000, help="datagrams of each kind")
    count = parser.parse_known_args()[0].datagrams
    console = Console()
    if shutil.which("nfdump") is None or shutil.which("sfcapd") is None:
        console.print("nfdump and sfcapd are needed for the comparison (Debian: nfdump, nfdump-sflow)")
        return 2
    table = Table("format", "peer", "ours (M/CPU s)", "peer (M/CPU s)", "ratio", "target", "bytes equal")
    loads = (netflow_load(9, count), netflow_load(10, count), sflow_load(count))
    with tempfile.TemporaryDirectory() as folder:
        met = [measure(load, Path(folder), table) for load in loads]
    console.print(table)
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
