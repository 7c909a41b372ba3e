"""sFlow v5: every sample and record form, and what the agent's own numbers tell."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from flow_builders import (
    NOW_NS,
    counter_sample,
    ethernet,
    flow_sample,
    flow_sample_expanded,
    generic_counters,
    ip_packet,
    raw_header,
    segment,
    sflow,
    v4,
    v6,
    xdr,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.mechanisms.interconnect.flows import (
    AddressMap,
    Batch,
    DecodeReport,
    Flag,
    FlowDecoder,
    Irregularity,
    Limits,
    PairTable,
    Rejection,
    Unit,
    address_of,
    all_records,
    counter_increase,
)

FRAME = ethernet(ip_packet("10.1.0.1", "10.2.0.1"))
HEADER = raw_header(FRAME, length=1018)


def decode(datagrams: list[bytes], decoder: FlowDecoder | None = None) -> tuple[Batch, DecodeReport]:
    decoder = decoder or FlowDecoder()
    return all_records(decoder.decode_segment(segment(datagrams))), decoder.report()


def ends(row: Any) -> tuple[str, str]:
    return str(address_of(row["src_hi"], row["src_lo"])), str(address_of(row["dst_hi"], row["dst_lo"]))


@pytest.mark.parametrize(
    "frame",
    [
        FRAME,
        ethernet(ip_packet("10.1.0.1", "10.2.0.1"), vlans=[5]),
        ethernet(ip_packet("10.1.0.1", "10.2.0.1"), vlans=[5, 6]),
        ethernet(struct.pack(">I", 0x0001_0140) + ip_packet("10.1.0.1", "10.2.0.1"), kind=0x8847),
        ethernet(struct.pack(">BBHHH", 0x11, 0, 1, 100, 0x21) + ip_packet("10.1.0.1", "10.2.0.1"), kind=0x8864),
    ],
    ids=["plain", "vlan", "two-vlans", "mpls", "pppoe"],
)
def test_raw_ethernet_headers(frame: bytes) -> None:
    batch, report = decode([sflow(flow_sample(raw_header(frame, length=1018)))])
    row = batch.records[0]
    assert ends(row) == ("10.1.0.1", "10.2.0.1")
    assert (row["bytes"], row["packets"], row["sampling_rate"], row["proto"]) == (1018, 1, 100.0, 6)
    assert (row["src_port"], row["dst_port"], row["in_if"], row["out_if"]) == (1234, 443, 3, 4)
    assert (row["start_ns"], row["end_ns"]) == (NOW_NS, NOW_NS)
    assert row["flags"] == Flag.SAMPLED | Flag.LAYER2
    assert not report.rejections


def test_raw_headers_of_bare_ip_and_of_ipv6_with_extensions() -> None:
    bare = raw_header(ip_packet("10.1.0.1", "10.2.0.1"), length=900, protocol=11)
    packet = ip_packet("2001:db8::1", "2001:db8::2")
    hop = packet[:6] + b"\x00" + packet[7:40] + b"\x06\x00" + bytes(6) + packet[40:]
    batch, _ = decode([sflow(flow_sample(bare), flow_sample(raw_header(ethernet(hop), length=800), sequence=2))])
    assert [ends(r) for r in batch.records] == [("10.1.0.1", "10.2.0.1"), ("2001:db8::1", "2001:db8::2")]
    assert batch.records["src_port"].tolist() == [1234, 1234]


def test_decoded_records_count_where_there_is_no_raw_header() -> None:
    four = xdr(3, struct.pack(">II", 700, 17) + v4("10.1.0.1") + v4("10.2.0.1") + struct.pack(">IIII", 5, 6, 0, 0))
    six = xdr(4, struct.pack(">II", 800, 17) + v6("2001:db8::1") + v6("2001:db8::2") + struct.pack(">IIII", 7, 8, 0, 0))
    only = xdr(2, struct.pack(">I", 600) + bytes(20))
    batch, report = decode([sflow(flow_sample(four), flow_sample(six, sequence=2), flow_sample(only, sequence=3))])
    assert batch.records["bytes"].tolist() == [700, 800, 600]
    assert batch.records["src_port"].tolist() == [5, 7, 0]
    assert [ends(r) for r in batch.records[:2]] == [("10.1.0.1", "10.2.0.1"), ("2001:db8::1", "2001:db8::2")]
    assert [bool(f & Flag.UNADDRESSED) for f in batch.records["flags"]] == [False, False, True]
    assert [bool(f & Flag.LAYER2) for f in batch.records["flags"]] == [False, False, True]
    assert report.unaddressed_bytes == 600


def test_one_sample_is_one_record_however_many_records_tell_of_it() -> None:
    four = xdr(3, struct.pack(">II", 1000, 6) + v4("10.9.0.1") + v4("10.9.0.2") + struct.pack(">IIII", 5, 6, 0, 0))
    extended = xdr(1001, bytes(16))
    batch, _ = decode(
        [sflow(flow_sample(extended, HEADER, four)), sflow(flow_sample(four, HEADER, sequence=2), sequence=2)]
    )
    assert batch.records["bytes"].tolist() == [1018, 1018]
    assert {ends(r) for r in batch.records} == {("10.1.0.1", "10.2.0.1")}


def test_expanded_samples() -> None:
    batch, report = decode([sflow(flow_sample_expanded(HEADER), counter_sample(generic_counters(), expanded=True))])
    assert (batch.records["in_if"][0], batch.records["out_if"][0]) == (70_001, 70_002)
    assert len(batch.counters) == 1
    assert {s.source_index for s in report.sources} == {70_000, 3}


def test_counter_samples_are_kept() -> None:
    body = generic_counters(if_index=9, in_octets=1 << 40, out_octets=7)
    batch, _ = decode([sflow(counter_sample(xdr(2, bytes(52)), body, sequence=5))])
    row = batch.counters[0]
    assert (row["if_index"], row["in_octets"], row["out_octets"], row["sequence"]) == (9, 1 << 40, 7, 5)
    assert (row["in_unicast"], row["in_discards"], row["out_discards"], row["out_errors"]) == (11, 14, 24, 25)
    assert row["arrival_ns"] == NOW_NS
    assert str(address_of(row["agent_hi"], row["agent_lo"])) == "10.0.0.9"


@pytest.mark.parametrize("bits", [32, 64])
def test_counters_that_wrap(bits: int) -> None:
    assert counter_increase((1 << bits) - 10, 5, bits=bits) == 15
    assert counter_increase(np.array([3, 9]), np.array([10, 9]), bits=bits).tolist() == [7, 0]
    with pytest.raises(ValueError, match="32 or 64"):
        counter_increase(0, 1, bits=48)


def test_lost_samples_dropped_samples_and_the_pool() -> None:
    datagrams = [
        sflow(flow_sample(HEADER, sequence=1, pool=1000, drops=0)),
        sflow(flow_sample(HEADER, sequence=2, pool=1100, drops=0), sequence=2),
        sflow(flow_sample(HEADER, sequence=6, pool=1500, drops=4), sequence=3),
    ]
    _, report = decode(datagrams)
    assert [(g.cause.value, g.lost, g.unit) for g in report.gaps] == [
        ("lost", 3, Unit.SAMPLES),
        ("dropped_samples", 4, Unit.SAMPLES),
    ]
    source = report.sources[0]
    assert (source.samples, source.lost, source.dropped, source.pool_packets) == (3, 3, 4, 500)


def test_sequence_numbers_of_datagrams_samples_and_pools_wrap() -> None:
    last = (1 << 32) - 1
    datagrams = [
        sflow(flow_sample(HEADER, sequence=last, pool=last, drops=last), sequence=last),
        sflow(flow_sample(HEADER, sequence=0, pool=9, drops=last), sequence=0),
    ]
    _, report = decode(datagrams)
    assert report.gaps == ()
    assert report.sources[0].pool_packets == 10


def test_lost_datagrams_and_a_restart_of_the_agent() -> None:
    datagrams = [
        sflow(flow_sample(HEADER), sequence=10, uptime_ms=90_000),
        sflow(sequence=15),
        sflow(sequence=1, uptime_ms=5),
    ]
    _, report = decode(datagrams)
    assert [(g.cause.value, g.lost) for g in report.gaps] == [("lost", 4), ("restarted", None)]


def test_agents_and_sub_agents_have_sequences_of_their_own() -> None:
    datagrams = [
        sflow(sequence=1),
        sflow(sequence=7, sub_agent=1),
        sflow(sequence=9, agent="2001:db8::9"),
        sflow(sequence=2),
    ]
    _, report = decode(datagrams)
    assert report.gaps == ()
    assert len(report.exporters) == 3


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (sflow()[:20], Rejection.TRUNCATED_HEADER),
        (
            sflow().replace(b"\x00\x00\x00\x05\x00\x00\x00\x01", b"\x00\x00\x00\x05\x00\x00\x00\x07"),
            Rejection.BAD_ADDRESS_TYPE,
        ),
        (sflow(flow_sample(HEADER))[:-8], Rejection.BAD_LENGTH),
        (sflow(flow_sample(HEADER)) + b"abcd", Rejection.TRAILING_BYTES),
        (sflow(xdr(4096 * 9 + 1, bytes(8))), Rejection.UNKNOWN_SAMPLE_FORMAT),
        (sflow(xdr(1, bytes(8))), Rejection.BAD_SAMPLE),
        (sflow(flow_sample(struct.pack(">II", 1, 5000))), Rejection.BAD_SAMPLE),
        (sflow(flow_sample(xdr(1, struct.pack(">IIII", 1, 100, 4, 5000)))), Rejection.BAD_SAMPLE),
        (sflow(flow_sample(xdr(1001, bytes(16)))), Rejection.SAMPLE_WITHOUT_PACKET),
        (sflow(counter_sample(xdr(1, bytes(40)))), Rejection.BAD_SAMPLE),
    ],
    ids=lambda value: value.value if isinstance(value, Rejection) else "",
)
def test_malformed_datagrams_are_refused_by_name(datagram: bytes, reason: Rejection) -> None:
    assert decode([datagram])[1].rejections == {reason: 1}


def test_limit_on_sources() -> None:
    samples = [flow_sample(HEADER, source=n) for n in range(5)]
    batch, report = decode([sflow(*samples)], FlowDecoder(limits=Limits(sources_max=3)))
    assert len(batch.records) == 5
    assert report.rejections == {Rejection.TOO_MANY_SOURCES: 2}


def test_the_operators_rate_governs_samples_too() -> None:
    batch, _ = decode([sflow(flow_sample(HEADER, rate=100))], FlowDecoder(sampling_override=512))
    assert batch.records["sampling_rate"].tolist() == [512.0]


@given(st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=3)), max_size=4), st.integers(0, 3))
@settings(max_examples=200)
def test_damage_never_raises_and_both_ways_to_sums_agree(damage: list[tuple[int, bytes]], kind: int) -> None:
    samples = [
        flow_sample(HEADER),
        flow_sample_expanded(HEADER),
        counter_sample(generic_counters()),
        flow_sample(HEADER, rate=1),
    ]
    datagram = sflow(samples[kind], *samples)
    for place, content in damage:
        datagram = datagram[:place] + content + datagram[place + 1 :]
    batch, report = decode([datagram])
    table, summed = (PairTable(AddressMap.build({"a": ["10.1.0.0/16"]}), NOW_NS + np.array([-1, 10])) for _ in range(2))
    table.add(batch.records)
    other = FlowDecoder()
    counters = other.sum_segment(segment([datagram]), summed)
    assert summed.bytes_total() == table.bytes_total()
    assert len(counters) == len(batch.counters) == report.counters
    assert other.report() == report
    assert report.irregularities.get(Irregularity.UNADDRESSED, 0) <= len(batch.records)
