"""GoFlow2 JSON lines."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flow_builders import NOW_NS
from hypothesis import given
from hypothesis import strategies as st

from inspectorate.mechanisms.interconnect.flows import Flag, GoFlow2Reader, Rejection, address_of, all_records

LINE: dict[str, Any] = {
    "type": "SFLOW_5",
    "time_received_ns": NOW_NS,
    "time_flow_start_ns": NOW_NS - 5,
    "time_flow_end_ns": NOW_NS - 1,
    "sampling_rate": 100,
    "bytes": 1500,
    "packets": 1,
    "src_addr": "10.1.0.1",
    "dst_addr": "2001:db8::2",
    "proto": "TCP",
    "src_port": 1,
    "dst_port": 2,
    "in_if": 3,
    "out_if": 4,
}


def read(*lines: bytes) -> tuple[Any, GoFlow2Reader]:
    reader = GoFlow2Reader()
    return all_records(reader.read_segment(b"\n".join(lines))).records, reader


def test_a_line_is_a_record() -> None:
    records, reader = read(
        json.dumps(LINE).encode(), b"", json.dumps(LINE | {"bytes": "18446744073709551615"}).encode()
    )
    row = records[0]
    assert (row["bytes"], row["sampling_rate"], row["proto"], row["flags"]) == (1500, 100.0, 6, Flag.SAMPLED)
    assert (row["start_ns"], row["end_ns"], row["in_if"], row["out_if"]) == (NOW_NS - 5, NOW_NS - 1, 3, 4)
    assert str(address_of(row["src_hi"], row["src_lo"])) == "10.1.0.1"
    assert str(address_of(row["dst_hi"], row["dst_lo"])) == "2001:db8::2"
    assert records["bytes"][1] == (1 << 64) - 1
    assert reader.lines == 2


def test_absent_times_and_rates_have_rules() -> None:
    records, _ = read(json.dumps({"bytes": 5, "time_received_ns": NOW_NS, "sampling_rate": 0}).encode())
    assert (records["start_ns"][0], records["end_ns"][0], records["sampling_rate"][0]) == (NOW_NS, NOW_NS, 1.0)
    assert records["flags"][0] == Flag.UNADDRESSED


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b"{}",
        b'{"bytes": -1}',
        b'{"bytes": 1.5}',
        b'{"bytes": true}',
        b'{"bytes": 1, "src_addr": "10.0.0"}',
        b'{"bytes": 1, "src_addr": 7, "dst_addr": []}',
        b'{"bytes": 1, "src_port": 70000}',
        b'{"bytes": 36893488147419103232}',
        b'{"bytes": NaN}',
        b"[" * 100_000,
        b'{"bytes": 1, "x": "' + b"a" * 70_000 + b'"}',
        b"\xff\xfe",
    ],
)
def test_bad_lines_are_counted_with_their_bytes(line: bytes) -> None:
    records, reader = read(line, json.dumps(LINE).encode())
    assert len(records) == 1
    assert reader.rejections == {Rejection.BAD_LINE: 1}
    assert reader.rejected_bytes[Rejection.BAD_LINE] == len(line)


@given(st.binary(max_size=300))
def test_noise_never_raises(data: bytes) -> None:
    reader = GoFlow2Reader()
    list(reader.read_segment(data))
    assert reader.rejections.total() <= reader.lines
