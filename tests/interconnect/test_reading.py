"""The three kinds of flow source, through the whole mechanism: what each can bound, and what contradicts itself."""

from __future__ import annotations

import json
import struct
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from inspectorate.declaration import Declaration
from inspectorate.evidence import Origin, Segment, Stream
from inspectorate.keys import Holder
from inspectorate.mechanisms.interconnect.observe import combine, grid
from inspectorate.mechanisms.interconnect.sensor import SensorView, observe_sensor
from inspectorate.quantities import Period, to_ns

START = datetime(2026, 3, 1, tzinfo=UTC)
SECONDS = 120


def declaration(kind: str) -> Declaration:
    return Declaration.model_validate(
        {
            "id": "d",
            "party": "operator",
            "period": {"start": START, "end": START + timedelta(seconds=SECONDS)},
            "sites": [
                {
                    "id": "s",
                    "location": "here",
                    "clusters": [
                        {
                            "id": "c",
                            "pods": [
                                {"id": f"p{n}", "chips": [{"model": "l4", "count": 1}], "networks": [f"10.0.{n}.0/24"]}
                                for n in (1, 2)
                            ],
                        }
                    ],
                    "links": [{"pod": "p1", "bytes_per_s_max": 1e6}],
                    "sensors": [
                        {"id": "x", "kind": kind, "holder": "verifier", "pod": "p1", "silence_s_max": 5.0,
                         "active_timeout_s": 1.0}
                    ],
                }
            ],
        }
    )  # fmt: skip


def stream(payload: bytes, media_type: str, *, datagrams: int) -> Stream:
    segment = Segment(
        sensor="x",
        stream="one",
        sequence=0,
        period=Period(start=START - timedelta(seconds=5), end=START + timedelta(seconds=SECONDS + 10)),
        digest="sha256:" + "0" * 64,
        previous=None,
        payload="payload",
        payload_bytes=len(payload),
        media_type=media_type,
        entries=datagrams,
        dropped=0,
        final=True,
        origin=Origin.SIMULATED,
        holders=(Holder.VERIFIER,),
    )
    return Stream(sensor="x", segments=(segment,))


def observe(kind: str, payload: bytes, media_type: str, *, datagrams: int) -> SensorView:
    declared = declaration(kind)
    seen = observe_sensor(
        declared.sensors[0],
        stream(payload, media_type, datagrams=datagrams),
        declaration=declared,
        payload=lambda digest: payload,
        grids={60.0: grid(declared.period, 60.0)},
        miss_probability=1e-3,
    )
    return seen[60.0]


def packet(source: str, target: str, size: int) -> bytes:
    def address(text: str) -> bytes:
        return bytes(int(part) for part in text.split("."))

    head = struct.pack(">BBHHHBBH", 0x45, 0, size, 0, 0, 64, 17, 0)
    return head + address(source) + address(target) + bytes(size - 20)


def capture(extra: bytes = b"") -> bytes:
    """A packet of 500 bytes from p1 to p2 every second, and one of 100 bytes back."""
    out = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 101)]
    for second in range(-4, SECONDS + 9):
        ns = to_ns(START + timedelta(seconds=second, milliseconds=500))
        packets = (packet("10.0.1.5", "10.0.2.5", 500), packet("10.0.2.5", "10.0.1.5", 100))
        out += [struct.pack("<IIII", ns // 10**9, ns % 10**9, len(data), len(data)) + data for data in packets]
    return b"".join(out) + extra


def lines() -> bytes:
    rows = []
    for second in range(-4, SECONDS + 9):
        ns = to_ns(START + timedelta(seconds=second, milliseconds=500))
        rows.append(
            {
                "type": "NETFLOW_V9", "time_received_ns": ns, "time_flow_start_ns": ns, "time_flow_end_ns": ns,
                "bytes": 500, "packets": 1, "src_addr": "10.0.1.5", "dst_addr": "10.0.2.5", "sampling_rate": 0,
            }
        )  # fmt: skip
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def test_a_tap_bounds_from_both_sides() -> None:
    seen = observe("tap", capture(), "application/vnd.tcpdump.pcap", datagrams=266)
    assert seen.observed.all()
    assert seen.complete.all()
    # The clock grain leaves the packets within a second of an edge out of the lower bound and puts them into the upper.
    assert list(seen.sent.lower) == [58 * 500, 58 * 500]
    assert list(seen.sent.upper) == [62 * 500, 62 * 500]
    assert list(seen.peers["p2"].received.estimate) == [60 * 100, 60 * 100]


def test_a_cut_capture_bounds_nothing_from_above_but_the_link() -> None:
    seen = observe("tap", capture(b"\x01\x02\x03"), "application/vnd.tcpdump.pcap", datagrams=266)
    assert not seen.complete.any()
    assert (seen.sent.upper >= 60 * 1e6).all()


def test_lines_bound_from_below_only() -> None:
    seen = observe("flow-lines", lines(), "application/x-ndjson", datagrams=133)
    assert seen.observed.all()
    assert list(seen.sent.lower) == [58 * 500, 58 * 500]
    assert np.isinf(seen.sent.upper).all()


@pytest.mark.parametrize("kind", ["flow-export", "tap"])
def test_what_is_no_capture_is_not_observed(kind: str) -> None:
    seen = observe(kind, b"not a capture at all", "application/vnd.tcpdump.pcap", datagrams=0)
    assert not seen.observed.any()
    assert any("not a capture" in note for note in seen.notes)


def test_a_signed_count_that_does_not_fit_is_a_contradiction() -> None:
    seen = observe("flow-export", capture(), "application/vnd.tcpdump.pcap", datagrams=7)
    assert any("another number of datagrams" in text for text in seen.contradictions)
    traffic = combine(declaration("flow-export").pods[0], grid(declaration("tap").period, 60.0), [seen])
    assert not traffic.observed.any()


@pytest.mark.parametrize(("seconds", "lengths_s"), [(120, [60, 60]), (179, [60, 119]), (20, [60]), (60, [60])])
def test_no_second_of_a_period_goes_unappraised(seconds: int, lengths_s: list[int]) -> None:
    edges = grid(Period(start=START, end=START + timedelta(seconds=seconds)), 60.0)
    assert edges[0] == to_ns(START)
    assert edges[-1] >= to_ns(START + timedelta(seconds=seconds))
    assert list(np.diff(edges) / 1e9) == lengths_s
