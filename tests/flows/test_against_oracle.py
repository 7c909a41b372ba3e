"""Kernels against a slow obvious decoder, on generated, damaged and real datagrams; and both ways to sums."""

from __future__ import annotations

import numpy as np
import pytest
from flow_builders import (
    NOW_NS,
    NOW_S,
    UPTIME_MS,
    flow_set,
    ipfix,
    ipfix_options,
    segment,
    template,
    v5,
    v9,
    v9_options,
)
from flow_oracle import Oracle, rows_of
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.mechanisms.interconnect.flows import AddressMap, FlowDecoder, PairTable, all_records

ELEMENTS = [
    1,
    2,
    4,
    7,
    8,
    10,
    11,
    12,
    14,
    21,
    22,
    23,
    24,
    27,
    28,
    34,
    48,
    50,
    85,
    86,
    150,
    151,
    152,
    153,
    154,
    155,
    156,
    157,
]
ELEMENTS += [158, 159, 160, 161, 162, 231, 232, 298, 299, 302, 305, 306, 322, 323, 325, 352, 353, 60, 82, 210]
WIDTHS = {8: 4, 12: 4, 27: 16, 28: 16, 21: 4, 22: 4, 150: 4, 151: 4, 7: 2, 11: 2, 4: 1}
WIDE = (152, 153, 154, 155, 156, 157, 160, 323, 325)
PODS = AddressMap.build({"a": ["10.1.0.0/16", "2001:db8:a::/48"], "b": ["10.2.0.0/16", "10.1.7.0/24"]})
EDGES = NOW_NS + 10**9 * np.arange(-400, 20, 7, dtype=np.int64)


@st.composite
def field_lists(draw: st.DrawFn, *, enterprise: bool) -> list[tuple[int, ...]]:
    fields: list[tuple[int, ...]] = []
    if draw(st.booleans()):
        fields += [(8, 4), (12, 4), (1, 4), (2, 4)]
        fields += draw(st.sampled_from([[(22, 4), (21, 4)], [(152, 8), (153, 8)], []]))
    for number in draw(st.lists(st.sampled_from(ELEMENTS), max_size=8)):
        usual = WIDTHS.get(number, 8 if number in WIDE else 4)
        width = draw(st.sampled_from([usual] * 6 + [1, 3, 8, 0, 65535]))
        fields.append((number, width, 29305) if enterprise and draw(st.integers(0, 4)) == 0 else (number, width))
    return fields or [(1, 4)]


def value(draw: st.DrawFn, number: int, width: int) -> bytes:
    if width == 65535:
        inner = draw(st.binary(max_size=6))
        return (b"\xff" + len(inner).to_bytes(2) if draw(st.booleans()) else bytes([len(inner)])) + inner
    if draw(st.integers(0, 3)) == 0:
        return draw(st.binary(min_size=width, max_size=width))
    likely = {21: UPTIME_MS - 1000, 22: UPTIME_MS - 9000, 150: NOW_S - 8, 151: NOW_S - 1, 160: NOW_S * 1000 - UPTIME_MS}
    likely |= {152: NOW_S * 1000 - 8000, 153: NOW_S * 1000 - 100, 8: 0x0A010001, 12: 0x0A020001, 1: 12345}
    near = likely.get(number, draw(st.integers(0, 300))) + draw(st.integers(0, 300))
    return (near & ((1 << 8 * width) - 1)).to_bytes(width)


@st.composite
def template_streams(draw: st.DrawFn) -> list[bytes]:
    """Datagrams of one exporter in v9 or IPFIX: templates, data, options, changes, and now and then some damage."""
    version = draw(st.sampled_from([9, 10]))
    known: dict[int, list[tuple[int, ...]]] = {}
    out = []
    for sequence in range(draw(st.integers(1, 5))):
        sets = []
        for _ in range(draw(st.integers(1, 4))):
            number = draw(st.integers(256, 259))
            what = draw(st.sampled_from(["template", "data", "data", "options", "withdraw", "junk"]))
            if what == "template":
                known[number] = draw(field_lists(enterprise=version == 10))
                sets.append(flow_set(0 if version == 9 else 2, template(number, known[number])))
            elif what == "data":
                fields = known.get(number, [(1, 4)])
                rows = [b"".join(value(draw, f[0], f[1]) for f in fields) for _ in range(draw(st.integers(0, 4)))]
                sets.append(flow_set(number, b"".join(rows)))
            elif what == "options":
                scope, fields = (
                    [(1, 4)],
                    draw(st.sampled_from([[(34, 4)], [(48, 2), (50, 4)], [(302, 4), (305, 4), (306, 4)], [(160, 8)]])),
                )
                known[number] = [*scope, *fields]
                make = v9_options if version == 9 else ipfix_options
                sets.append(flow_set(1 if version == 9 else 3, make(number, scope, fields)))
            elif what == "withdraw" and version == 10:
                sets.append(flow_set(2, number.to_bytes(2) + bytes(2)))
            else:
                sets.append(draw(st.binary(max_size=12)))
        out.append((v9 if version == 9 else ipfix)(*sets, sequence=sequence))
    return [damaged(draw, d) for d in out]


def damaged(draw: st.DrawFn, datagram: bytes) -> bytes:
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 3]))):
        place = draw(st.integers(0, max(len(datagram) - 1, 0)))
        datagram = datagram[:place] + draw(st.binary(max_size=2)) + datagram[place + 1 :]
    return datagram


def compare(datagrams: list[bytes]) -> None:
    """Rows and named rejections are the oracle's; the short way to sums gives the sums of the rows."""
    datagrams = [d for d in dict.fromkeys(datagrams) if d[:4] != b"\x00\x00\x00\x05"]
    if not datagrams:
        return
    times = [NOW_NS + 1_000_000 * n for n in range(len(datagrams))]
    oracle, decoder = Oracle(), FlowDecoder()
    for datagram, time in zip(datagrams, times, strict=True):
        oracle.decode(datagram, time)
    records = all_records(decoder.decode_datagrams(datagrams, times)).records
    assert rows_of(records) == oracle.rows
    assert {reason.value: n for reason, n in decoder.report().rejections.items()} == dict(oracle.rejections)
    table, summed = PairTable(PODS, EDGES), PairTable(PODS, EDGES)
    table.add(records)
    other = FlowDecoder()
    other.sum_segment(segment(datagrams), summed)
    assert summed.bytes_total() == table.bytes_total()
    assert (summed.exact.bytes_estimate == table.exact.bytes_estimate).all()
    assert (summed.exact.packets_upper == table.exact.packets_upper).all()
    assert other.report().records == len(records)


V9_WITH_START_OF_SYSTEM = bytes.fromhex(
    "0009 0002 0036ee80 68e77800 00000000 00000007"
    "0000 0024 0100 0007 0008 0004 000c 0004 0001 0004 0002 0004 0016 0004 0015 0004 00a0 0008"
    "0100 0024"
) + bytes(32)
"""NetFlow v9 whose template holds systemInitTimeMilliseconds (160), which is IPFIX's."""


def test_a_v9_record_cannot_change_the_uptime_that_its_header_states() -> None:
    compare([V9_WITH_START_OF_SYSTEM])


@given(template_streams())
@settings(max_examples=300)
def test_templates_and_data_agree(datagrams: list[bytes]) -> None:
    compare(datagrams)


@given(st.lists(st.binary(min_size=48, max_size=48), max_size=4), st.integers(0, 0xFFFF), st.binary(max_size=50))
@settings(max_examples=100)
def test_v5_agrees(records: list[bytes], interval: int, tail: bytes) -> None:
    compare(
        [
            v5(*records, interval=interval) + tail,
            v5(*records, sequence=len(records), interval=interval)[: 24 + len(tail)],
        ]
    )


@given(st.lists(st.binary(max_size=120), max_size=6), st.sampled_from([b"\x00\x09", b"\x00\x0a", b"\x00\x05", b""]))
@settings(max_examples=200)
def test_noise_agrees(datagrams: list[bytes], start: bytes) -> None:
    compare([start + d for d in datagrams])


@pytest.mark.data
def test_real_datagrams_agree(data) -> None:  # type: ignore[no-untyped-def]
    folder = data / "flow_packets"
    names = sorted(p.name for p in folder.glob("*.dat"))
    assert len(names) == 92
    for name in names:
        compare([(folder / name).read_bytes()])
