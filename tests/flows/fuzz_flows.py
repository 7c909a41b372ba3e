"""Coverage-guided fuzzing of the decoders with atheris: `python tests/flows/fuzz_flows.py -max_total_time=600 [CORPUS]`.

Kernels are compiled with bounds checks here, so that a read outside an array is a finding and not a wrong number. The first byte
chooses the decoder; FUZZ_ONLY=netflow|sflow|capture|tap|lines|sums keeps to one. Anything raised is a finding.
"""

from __future__ import annotations

import os
import struct
import sys
import tempfile
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

os.environ["NUMBA_BOUNDSCHECK"] = "1"
os.environ["NUMBA_CACHE_DIR"] = os.path.join(tempfile.gettempdir(), f"flows-fuzz-{os.getuid()}")

import atheris
import flow_builders as make
import numpy as np

from inspectorate.mechanisms.interconnect import flows
from inspectorate.mechanisms.interconnect.flows import (
    decoder,
    elements,
    goflow2,
    options,
    pcapng,
    sequences,
    settle,
    sources,
    templates,
)

PLAIN = (decoder, elements, goflow2, options, pcapng, sequences, settle, sources, templates)
"""Modules without kernels, which tell atheris what they reach: numba does not compile what atheris has instrumented."""


def functions_of(module: ModuleType) -> Iterator[Any]:
    """Functions and methods that a module defines."""
    for value in vars(module).values():
        if getattr(value, "__module__", None) != module.__name__:
            continue
        for inner in (value, *vars(value).values()) if isinstance(value, type) else (value,):
            if isinstance(inner, FunctionType):
                yield inner


NOW_NS = 1_760_000_000 * 10**9
PODS = flows.AddressMap.build({"a": ["10.0.0.0/8"], "b": ["2001:db8::/32"]})
EDGES = NOW_NS + 10**10 * np.arange(-8, 3, dtype=np.int64)
LIMITS = flows.Limits(
    exporters_max=8, templates_max=8, template_fields_max=16, samplers_max=4, sources_max=8, gaps_max=16
)


def pieces(data: bytes) -> list[bytes]:
    """Datagrams, each behind two bytes of length."""
    out = []
    while len(data) >= 2 and len(out) < 64:
        size = struct.unpack(">H", data[:2])[0] % 2048
        out.append(data[2 : 2 + size])
        data = data[2 + size :]
    return out


def datagrams(data: bytes, start: bytes) -> None:
    payloads = [start + piece for piece in pieces(data)]
    reader = flows.FlowDecoder(limits=LIMITS)
    batch = flows.all_records(reader.decode_datagrams(payloads, [NOW_NS + n for n in range(len(payloads))]))
    report = reader.report()
    assert report.records == len(batch.records)
    assert (batch.records["start_ns"] <= batch.records["end_ns"]).all()
    assert (batch.records["sampling_rate"] >= 1).all()
    assert len(report.gaps) <= LIMITS.gaps_max + len(flows.GapCause) * (LIMITS.exporters_max + 1)
    flows.PairTable(PODS, EDGES).add(batch.records)


def netflow(data: bytes) -> None:
    datagrams(data, b"\x00")


def sflow(data: bytes) -> None:
    datagrams(data, b"\x00\x00\x00\x05\x00\x00\x00\x01")


def capture(data: bytes) -> None:
    reader = flows.FlowDecoder(limits=LIMITS)
    for batch in reader.decode_segment(data):
        assert len(batch.records) + len(batch.counters)
    reader.report()


def sums(data: bytes) -> None:
    reader, table = flows.FlowDecoder(limits=LIMITS), flows.PairTable(PODS, EDGES)
    reader.sum_segment(data, table)
    assert table.records == reader.report().records


def tap(data: bytes) -> None:
    for batch in flows.TapReader().read_segment(data):
        assert (batch.records["packets"] == 1).all()


def lines(data: bytes) -> None:
    for batch in flows.GoFlow2Reader().read_segment(data):
        assert len(batch.records)


TARGETS = {f.__name__: f for f in (netflow, sflow, capture, tap, lines, sums)}


def one_input(data: bytes) -> None:
    only = os.environ.get("FUZZ_ONLY")
    if only:
        TARGETS[only](data)
    elif data:
        list(TARGETS.values())[data[0] % len(TARGETS)](data[1:])


def seeds() -> dict[str, list[bytes]]:
    """Well-formed inputs of each target to start from."""
    record = make.v4_record()
    v9 = make.v9(make.flow_set(0, make.template(256, make.V4_FIELDS)), make.flow_set(256, record * 3))
    options = make.v9(
        make.flow_set(1, make.v9_options(257, [(1, 4)], [(48, 2), (50, 4)])), make.flow_set(257, bytes(10))
    )
    fields = [(8, 4), (12, 4), (1, 8), (1, 8, 29305), (371, 65535), (152, 8), (153, 8)]
    ipfix = make.ipfix(
        make.flow_set(2, make.template(300, fields)), make.flow_set(300, bytes(24) + b"\x01a" + bytes(16))
    )
    frame = make.ethernet(make.ip_packet("10.1.0.1", "10.2.0.1"), vlans=[3])
    samples = [make.flow_sample(make.raw_header(frame, length=900)), make.counter_sample(make.generic_counters())]
    exports = [v9, options, ipfix, make.v5(make.v5_record(), interval=100)]
    packed = b"".join(len(d[1:]).to_bytes(2) + d[1:] for d in exports)
    sampled = make.sflow(*samples)[8:]
    files = [make.segment([*exports, make.sflow(*samples)]), make.pcap([(NOW_NS, frame)], link_type=1)]
    return {
        "netflow": [packed],
        "sflow": [len(sampled).to_bytes(2) + sampled],
        "capture": files,
        "tap": files,
        "lines": [b'{"bytes": 1, "src_addr": "10.0.0.1", "time_received_ns": "5", "proto": "TCP"}'],
        "sums": files,
    }


def write_seeds(folder: str) -> None:
    only = os.environ.get("FUZZ_ONLY")
    for number, (name, inputs) in enumerate(seeds().items()):
        assert list(TARGETS)[number] == name
        for n, content in enumerate(inputs if only in (None, name) else []):
            with open(os.path.join(folder, f"{name}-{n}"), "wb") as out:
                out.write(content if only else bytes([number]) + content)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as corpus:
        write_seeds(corpus)
        for module in PLAIN:
            for function in functions_of(module):
                atheris.instrument_func(function)
        atheris.Setup([*sys.argv, corpus], one_input)
        atheris.Fuzz()
