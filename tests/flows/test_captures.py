"""Capture files of every form, and everything that may be wrong with them; captured traffic as records."""

from __future__ import annotations

import struct

import pytest
from flow_builders import (
    NOW_NS,
    V4_FIELDS,
    ethernet,
    flow_set,
    ip_packet,
    pcap,
    segment,
    template,
    udp_packet,
    v4_record,
    v9,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.mechanisms.interconnect.flows import (
    FlowDecoder,
    Limits,
    Rejection,
    TapReader,
    address_of,
    all_records,
)

DATAGRAM = v9(flow_set(0, template(256, V4_FIELDS)), flow_set(256, v4_record()))


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    size = len(body) + 12
    return struct.pack(order + "II", kind, size) + body + struct.pack(order + "I", size)


def pcapng(packets: list[bytes], *, order: str = "<", resolution: int | None = 9, link_type: int = 101) -> bytes:
    section = block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)
    options = b"" if resolution is None else struct.pack(order + "HHB3xHH", 9, 1, resolution, 0, 0)
    out = section + block(1, struct.pack(order + "HHI", link_type, 0, 65535) + options, order)
    units = NOW_NS if resolution == 9 else NOW_NS // 1000
    for packet in packets:
        head = struct.pack(order + "IIIII", 0, units >> 32, units & 0xFFFFFFFF, len(packet), len(packet))
        out += block(6, head + packet + bytes(-len(packet) % 4), order)
    return out


def rejections(data: bytes) -> dict[Rejection, int]:
    decoder = FlowDecoder()
    all_records(decoder.decode_segment(data))
    return dict(decoder.report().rejections)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanoseconds", [True, False])
@pytest.mark.parametrize("src", ["192.0.2.1", "2001:db8::1"])
@pytest.mark.parametrize("link_type", [101, 1, 113])
def test_every_form_of_pcap(order: str, nanoseconds: bool, src: str, link_type: int) -> None:
    packet = udp_packet(DATAGRAM, src, src)
    packet = {101: packet, 1: ethernet(packet), 113: bytes(16) + packet}[link_type]
    decoder = FlowDecoder()
    data = pcap([(NOW_NS, packet)], order=order, nanoseconds=nanoseconds, link_type=link_type)
    assert len(all_records(decoder.decode_segment(data)).records) == 1
    report = decoder.report()
    assert (report.first_arrival_ns, str(report.exporters[0].exporter.address)) == (NOW_NS, src)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("resolution", [9, 6, None])
def test_every_form_of_pcapng(order: str, resolution: int | None) -> None:
    decoder = FlowDecoder()
    data = pcapng([udp_packet(DATAGRAM)], order=order, resolution=resolution)
    assert len(all_records(decoder.decode_segment(data)).records) == 1
    assert decoder.report().first_arrival_ns == NOW_NS
    assert not decoder.report().rejections


GOOD = segment([DATAGRAM, DATAGRAM])
PACKET = udp_packet(DATAGRAM)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Rejection.NOT_A_CAPTURE),
        (b"not a capture at all, not at all", Rejection.NOT_A_CAPTURE),
        (pcap([(NOW_NS, PACKET)], link_type=147), Rejection.UNSUPPORTED_LINK_TYPE),
        (GOOD[: 24 + 16 + len(PACKET) + 20], Rejection.TRUNCATED_CAPTURE),
        (GOOD[:32], Rejection.TRUNCATED_CAPTURE),
        (pcap([(NOW_NS, PACKET)])[:32] + b"\xff\xff\xff\x7f" + bytes(20), Rejection.TRUNCATED_CAPTURE),
        (pcap([(NOW_NS, PACKET)], snap=60), Rejection.CUT_PACKET),
        (pcap([(NOW_NS, b"\x00" * 40)]), Rejection.NOT_IP),
        (pcap([(NOW_NS, ip_packet("10.0.0.1", "10.0.0.2"))]), Rejection.NOT_UDP),
        (pcap([(NOW_NS, PACKET[:6] + b"\x20\x00" + PACKET[8:])]), Rejection.IP_FRAGMENT),
        (pcap([(NOW_NS, PACKET[:24] + b"\x00\x07" + PACKET[26:])]), Rejection.BAD_UDP_LENGTH),
        (pcap([(NOW_NS, PACKET[:24] + b"\xff\xff" + PACKET[26:])]), Rejection.BAD_UDP_LENGTH),
        (pcapng([PACKET])[:-4], Rejection.TRUNCATED_CAPTURE),
        (pcapng([PACKET], link_type=147), Rejection.UNSUPPORTED_LINK_TYPE),
    ],
    ids=lambda value: value.value if isinstance(value, Rejection) else "",
)
def test_what_is_wrong_is_named(data: bytes, reason: Rejection) -> None:
    assert rejections(data) == {reason: 1}


def test_a_cut_capture_opens_a_gap_over_its_segment() -> None:
    decoder = FlowDecoder()
    all_records(decoder.decode_segment(GOOD[:-5]))
    gaps = decoder.report().gaps
    assert [(g.exporter, g.start_ns, g.end_ns) for g in gaps] == [(None, NOW_NS, NOW_NS)]
    assert gaps[0].refused_bytes == 16 + len(PACKET) - 5


def test_blocks_change_nothing() -> None:
    count = 5000
    datagrams = [v9(flow_set(0, template(256, V4_FIELDS)), sequence=0)]
    datagrams += [v9(flow_set(256, v4_record(octets=n)), sequence=n) for n in range(1, count)]
    decoder = FlowDecoder()
    records = all_records(decoder.decode_segment(segment(datagrams))).records
    assert records["bytes"].tolist() == records["datagram"].tolist() == list(range(1, count))
    assert decoder.report().gaps == ()
    assert decoder.report().arrival_reversals == 0


def test_arrivals_that_go_back_are_counted() -> None:
    decoder = FlowDecoder()
    all_records(decoder.decode_segment(pcap([(NOW_NS + 5, PACKET), (NOW_NS, udp_packet(v9(sequence=1)))])))
    assert decoder.report().arrival_reversals == 1
    assert (decoder.report().first_arrival_ns, decoder.report().last_arrival_ns) == (NOW_NS, NOW_NS + 5)


def test_a_segment_above_the_limit_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="exceeds"):
        all_records(FlowDecoder(limits=Limits(segment_bytes_max=10)).decode_segment(GOOD))


@given(st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=4)), max_size=6), st.booleans())
@settings(max_examples=200)
def test_damaged_captures_never_raise(damage: list[tuple[int, bytes]], newer: bool) -> None:
    data = pcapng([PACKET, PACKET]) if newer else GOOD
    for place, content in damage:
        data = data[:place] + content + data[place + 1 :]
    decoder = FlowDecoder()
    all_records(decoder.decode_segment(data))
    tap = TapReader()
    for batch in tap.read_segment(data):
        assert (batch.records["packets"] == 1).all()


def test_captured_traffic_is_one_record_per_packet_in_ip_bytes() -> None:
    short = ethernet(ip_packet("10.1.0.1", "10.2.0.1", length=44))
    padded = short[: 14 + 44] + bytes(20)
    offloaded = ethernet(ip_packet("2001:db8::1", "2001:db8::2", length=40) + bytes(3000))
    arp = ethernet(bytes(28), kind=0x0806)
    tap = TapReader()
    data = pcap([(NOW_NS, padded), (NOW_NS + 1, offloaded), (NOW_NS + 2, arp)], link_type=1, snap=200)
    records = all_records(tap.read_segment(data)).records
    assert records["bytes"].tolist() == [44, len(offloaded) - 14]
    assert records["start_ns"].tolist() == records["end_ns"].tolist() == [NOW_NS, NOW_NS + 1]
    assert str(address_of(records["dst_hi"][1], records["dst_lo"][1])) == "2001:db8::2"
    assert (tap.packets, dict(tap.rejections), dict(tap.rejected_bytes)) == (
        3,
        {Rejection.NOT_IP: 1},
        {Rejection.NOT_IP: 42},
    )
