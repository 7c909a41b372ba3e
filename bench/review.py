"""Review of a bundle of ten million flow records: under 30 s and under 1 GB, with the time and memory of its parts.

The records are NetFlow v9 as a router sends it: datagrams of 24 records with a template in every 200th. They are signed,
chained, logged and written to disk as a bundle; the review runs in a process of its own, whose peak memory is its own.
"""

from __future__ import annotations

import base64
import itertools
import json
import struct
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import yaml

from inspectorate.canonical import digest_of
from inspectorate.declaration import Declaration
from inspectorate.evidence import FlowExportSegment, Origin, make_statement, sign_statement, write_bundle
from inspectorate.keys import SigningKey
from inspectorate.ledger import KeyKind, MemoryLog, VerifierKey
from inspectorate.quantities import Period, to_ns
from inspectorate.submission import ledger_entry, submit

RECORDS = 10_000_000
RECORDS_A_DATAGRAM = 24
DATAGRAMS_A_SEGMENT = 40_000
SECONDS_MAX, BYTES_MAX = 30.0, 1_000_000_000
START = datetime(2026, 1, 5, tzinfo=UTC)
ORIGIN = "bench.example/log"

FIELDS = ((8, 4), (12, 4), (22, 4), (21, 4), (1, 8), (2, 4), (7, 2), (11, 2), (4, 1), (6, 1), (10, 2), (14, 2))
RECORD_DTYPE = np.dtype(
    {
        "names": [
            "src",
            "dst",
            "first",
            "last",
            "bytes",
            "packets",
            "sport",
            "dport",
            "proto",
            "flags",
            "inif",
            "outif",
        ],
        "formats": [">u4", ">u4", ">u4", ">u4", ">u8", ">u4", ">u2", ">u2", "u1", "u1", ">u2", ">u2"],
    }
)


def segment_payload(first: int, count: int, *, rate_per_s: float, records: np.random.Generator) -> bytes:
    """A pcap of `count` v9 datagrams, the first with sequence number `first`, arriving at an even rate."""
    out = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 101)]
    template = struct.pack(">HHHH", 0, 8 + 4 * len(FIELDS), 256, len(FIELDS))
    template += b"".join(struct.pack(">HH", *field) for field in FIELDS)
    template = template[:2] + struct.pack(">H", len(template)) + template[4:]
    size = RECORDS_A_DATAGRAM * RECORD_DTYPE.itemsize
    for number in range(first, first + count):
        ns = to_ns(START) + int(number / rate_per_s * 1e9)
        uptime_ms = (ns - to_ns(START)) // 1_000_000 + 60_000
        flows = np.zeros(RECORDS_A_DATAGRAM, RECORD_DTYPE)
        draw = records.integers(0, 1 << 30, RECORDS_A_DATAGRAM)
        flows["src"] = 0x0A000000 + (draw & 0x3) * 65536 + 5
        flows["dst"] = 0xC0A80000 + (draw >> 4 & 0xFF)
        flows["first"], flows["last"] = uptime_ms - 1500, uptime_ms - 200
        flows["bytes"], flows["packets"] = 40 + (draw >> 12 & 0x3FF), 1
        body = flows.tobytes()
        sets = template if number % 200 == 0 else b""
        pad = -size % 4
        sets += struct.pack(">HH", 256, 4 + size + pad) + body + b"\0" * pad
        count_field = RECORDS_A_DATAGRAM + (number % 200 == 0)
        unix = ns // 1_000_000_000
        datagram = struct.pack(">HHIIII", 9, count_field, uptime_ms, unix, number, 1) + sets
        udp = struct.pack(">HHHH", 40000, 2055, 8 + len(datagram), 0)
        ip = struct.pack(
            ">BBHHHBBH4s4s", 0x45, 0, 28 + len(datagram), 0, 0, 64, 17, 0, b"\x0a\x09\0\1", b"\x0a\x09\0\2"
        )
        packet = ip + udp + datagram
        out.append(struct.pack("<IIII", ns // 10**9, ns % 10**9, len(packet), len(packet)) + packet)
    return b"".join(out)


def build(folder: Path) -> dict[str, object]:
    """Write bundle and anchors; returns the arguments of the review."""
    rng = np.random.default_rng(1)
    key = SigningKey(bytes(32))
    datagrams = RECORDS // RECORDS_A_DATAGRAM
    rate = datagrams / 3540.0
    period = Period(start=START, end=START + timedelta(hours=1))
    log = MemoryLog(ORIGIN, key)
    envelopes: list[bytes] = []
    payloads: dict[str, bytes] = {}
    previous = None
    edges = [*range(0, datagrams, DATAGRAMS_A_SEGMENT), datagrams]
    for number, (a, b) in enumerate(itertools.pairwise(edges)):
        last = b == datagrams
        data = segment_payload(a, b - a, rate_per_s=rate, records=rng)
        predicate = FlowExportSegment(
            origin=Origin.SIMULATED,
            sensor="gateway",
            stream="s",
            sequence=number,
            previous=previous,
            final=last,
            period=Period(
                start=START + timedelta(seconds=a / rate),
                end=START + timedelta(seconds=3620.0 if last else b / rate),
            ),
            media_type="application/vnd.tcpdump.pcap",
            payload_bytes=len(data),
            datagrams=b - a,
            dropped=0,
            recorder="bench",
        )
        payloads[digest_of(data)] = data
        envelope = sign_statement(make_statement(predicate, {"payload": digest_of(data)}), key)
        log.append([ledger_entry(envelope)])
        envelopes.append(envelope)
        previous = digest_of(envelope)
    pods = [
        {"id": f"pod-{i}", "chips": [{"model": "h100-sxm", "count": 128}], "networks": [f"10.{i}.0.0/16"]}
        for i in range(4)
    ]
    sensor = {"id": "gateway", "kind": "flow-export", "holder": "verifier", "pod": "pod-0"}
    site = {
        "id": "site",
        "location": "bench",
        "clusters": [{"id": "cluster", "pods": pods}],
        "links": [{"pod": "pod-0", "bytes_per_s_max": 1.25e9}],
        "sensors": [sensor | {"silence_s_max": 5.0, "active_timeout_s": 5.0}],
    }
    declaration = Declaration.model_validate({"id": "d", "party": "operator", "period": period, "sites": [site]})
    contents = submit(
        envelopes=envelopes,
        payloads=payloads,
        declaration=declaration,
        declaration_key=key,
        log=log,
        bundle_key=key,
        created_at=START + timedelta(hours=2),
        origin=Origin.SIMULATED,
    )
    write_bundle(contents, folder / "bundle")
    anchor = {
        "name": "bench",
        "public_key": base64.b64encode(key.public.raw).decode(),
        "holder": "verifier",
        "roles": ["declaration", "sensor", "bundle"],
        "sensors": ["gateway"],
        "valid_from": "2026-01-01T00:00:00Z",
        "valid_until": "2027-01-01T00:00:00Z",
    }
    ledger = {"origin": ORIGIN, "key": VerifierKey.of(key, name=ORIGIN, kind=KeyKind.LOG).text}
    (folder / "anchors.yaml").write_text(yaml.safe_dump({"anchors": [anchor], "ledgers": [ledger]}))
    return {"datagrams": datagrams, "bytes": sum(map(len, payloads.values()))}


BUILD = """
import json, sys
from pathlib import Path
from bench.review import build
print(json.dumps(build(Path(sys.argv[1]))))
"""
CHILD = """
import json, resource, sys, time
from datetime import UTC, datetime
from pathlib import Path
from inspectorate.agreement import load_agreement
from inspectorate.evidence import Bundle
from inspectorate.keys import TrustAnchors
from inspectorate.review import review
folder = Path(sys.argv[1])
began = time.perf_counter()
anchors = TrustAnchors.read(folder / "anchors.yaml")
bundle = Bundle.open(folder / "bundle", anchors=anchors)
opened = time.perf_counter()
result = review(bundle, agreement=load_agreement("inference-only"), anchors=anchors,
                as_of=datetime(2026, 2, 1, tzinfo=UTC), interval_s=60.0)
done = time.perf_counter()
usage = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"open_s": opened - began, "review_s": done - opened, "total_s": done - began,
    "cpu_s": usage.ru_utime + usage.ru_stime, "peak_bytes": usage.ru_maxrss * 1024, "verdict": result.verdict.value,
    "problems": len(result.problems),
    "reasons": [f.reasons[0] for f in result.findings]}))
"""


def main() -> int:
    """Build the bundle, review it in a process of its own, and compare with the limits."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        built = subprocess.run([sys.executable, "-c", BUILD, str(folder)], check=True, capture_output=True, text=True)
        facts = json.loads(built.stdout)
        run = subprocess.run([sys.executable, "-c", CHILD, str(folder)], check=True, capture_output=True, text=True)
    result = json.loads(run.stdout)
    records = facts["datagrams"] * RECORDS_A_DATAGRAM
    print(f"bundle: {records:,} flow records in {facts['datagrams']:,} datagrams, {facts['bytes'] / 1e6:,.0f} MB")
    print(f"verdict {result['verdict']}, {result['problems']} problems; {result['reasons'][1]}")
    print(
        f"open (every byte checked) {result['open_s']:.2f} s, review {result['review_s']:.2f} s, cpu {result['cpu_s']:.2f} s"
    )
    print(f"{'':24}{'measured':>12}{'limit':>12}{'share':>8}")
    time_share, size_share = result["total_s"] / SECONDS_MAX, result["peak_bytes"] / BYTES_MAX
    print(f"{'wall time [s]':24}{result['total_s']:12.2f}{SECONDS_MAX:12.0f}{time_share:8.2f}")
    print(f"{'peak memory [MB]':24}{result['peak_bytes'] / 1e6:12.0f}{BYTES_MAX / 1e6:12.0f}{size_share:8.2f}")
    return int(time_share > 1 or size_share > 1)


if __name__ == "__main__":
    sys.exit(main())
