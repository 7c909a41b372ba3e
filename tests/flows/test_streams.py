"""What happens along a stream: changing samplers and templates, numbers that jump, exporters that restart."""

from __future__ import annotations

import struct

import pytest
from flow_builders import (
    NOW_NS,
    NOW_S,
    UPTIME_MS,
    V4_FIELDS,
    flow_set,
    ipfix,
    ipfix_options,
    segment,
    template,
    v4,
    v4_record,
    v5,
    v5_record,
    v9,
    v9_options,
)

from inspectorate.mechanisms.interconnect.flows import (
    Batch,
    DecodeReport,
    Flag,
    FlowDecoder,
    GapCause,
    Irregularity,
    Limits,
    Rejection,
    Unit,
    address_of,
    all_records,
)

TEMPLATE = flow_set(0, template(256, V4_FIELDS))
TEMPLATE_IPFIX = flow_set(2, template(256, [(8, 4), (12, 4), (2, 4), (1, 4), (152, 8), (153, 8)]))


def data(*records: bytes) -> bytes:
    return flow_set(256, b"".join(records or (v4_record(),)))


def ipfix_record(octets: int = 1000, start_ms: int = NOW_S * 1000 - 900, end_ms: int = NOW_S * 1000 - 100) -> bytes:
    return v4("10.1.0.1") + v4("10.2.0.1") + struct.pack(">IIQQ", 10, octets, start_ms, end_ms)


def ipfix_data(*records: bytes) -> bytes:
    return flow_set(256, b"".join(records or (ipfix_record(),)))


def decode(datagrams: list[bytes], decoder: FlowDecoder | None = None) -> tuple[Batch, DecodeReport]:
    decoder = decoder or FlowDecoder()
    return all_records(decoder.decode_segment(segment(datagrams))), decoder.report()


def causes(report: DecodeReport) -> list[tuple[str, int | None]]:
    return [(gap.cause.value, gap.lost) for gap in report.gaps]


def test_a_record_says_who_sent_what_to_whom_and_when() -> None:
    batch, report = decode([v9(TEMPLATE, data(v4_record(octets=5000, packets=7, age_ms=2000)))])
    row = batch.records[0]
    assert str(address_of(row["src_hi"], row["src_lo"])) == "10.1.0.1"
    assert str(address_of(row["dst_hi"], row["dst_lo"])) == "10.2.0.1"
    assert (row["bytes"], row["packets"], row["proto"], row["src_port"], row["dst_port"]) == (5000, 7, 6, 1234, 443)
    assert (row["start_ns"], row["end_ns"]) == (NOW_NS - 2_500_000_000, NOW_NS - 2_000_000_000)
    assert (row["sampling_rate"], row["flags"], row["version"], row["domain"]) == (1.0, 0, 9, 7)
    assert not report.rejections
    assert not report.gaps
    assert report.exporters[0].exporter.address.exploded == "192.0.2.1"


def test_sampling_rate_changes_mid_stream() -> None:
    options = flow_set(1, v9_options(257, [(1, 4)], [(34, 4), (35, 1)]))
    announce = [flow_set(257, struct.pack(">IIB", 1, rate, 1)) for rate in (100, 250)]
    batch, report = decode(
        [
            v9(TEMPLATE, options, data(), sequence=0),
            v9(announce[0], data(), sequence=1),
            v9(data(), announce[1], data(), sequence=2),
        ]
    )
    assert batch.records["sampling_rate"].tolist() == [1.0, 100.0, 100.0, 250.0]
    assert [bool(f & Flag.SAMPLED) for f in batch.records["flags"]] == [False, True, True, True]
    assert report.exporters[0].sampling_rates == (100.0, 250.0)


def test_option_data_in_the_same_datagram_as_its_template() -> None:
    sets = (
        flow_set(1, v9_options(257, [(1, 4)], [(34, 4)])),
        flow_set(257, struct.pack(">II", 1, 512)),
        TEMPLATE,
        data(),
    )
    batch, _ = decode([v9(*sets)])
    assert batch.records["sampling_rate"].tolist() == [512.0]


def test_samplers_are_told_apart_by_their_number() -> None:
    options = flow_set(1, v9_options(257, [(1, 4)], [(48, 2), (49, 1), (50, 4)]))
    samplers = flow_set(257, b"".join(struct.pack(">IHBI", 1, n, 2, rate) for n, rate in ((1, 10), (2, 4000))))
    fields = [(8, 4), (12, 4), (1, 4), (48, 2)]
    records = b"".join(v4("10.1.0.1") + v4("10.2.0.1") + struct.pack(">IH", 100, n) for n in (1, 2, 3))
    batch, report = decode([v9(options, samplers, flow_set(0, template(256, fields)), flow_set(256, records))])
    assert batch.records["sampling_rate"].tolist() == [10.0, 4000.0, 4000.0]
    assert report.irregularities[Irregularity.UNKNOWN_SELECTOR] == 1


@pytest.mark.parametrize(
    ("fields", "values", "rate"),
    [
        ([(302, 8), (305, 4), (306, 4)], struct.pack(">QII", 9, 1, 999), 1000.0),
        ([(305, 4), (306, 4)], struct.pack(">II", 2, 1), 1.5),
        ([(305, 4)], struct.pack(">I", 64), 64.0),
        ([(309, 4), (310, 4)], struct.pack(">II", 5, 640), 128.0),
        ([(311, 8)], struct.pack(">d", 0.125), 8.0),
        ([(34, 4)], struct.pack(">I", 0), 1.0),
    ],
    ids=["interval-and-space", "ratio-that-is-no-integer", "interval-alone", "n-out-of-N", "probability", "zero"],
)
def test_ipfix_sampling(fields: list[tuple[int, int]], values: bytes, rate: float) -> None:
    options = flow_set(3, ipfix_options(300, [(149, 4)], fields))
    batch, _ = decode([ipfix(options, flow_set(300, bytes(4) + values), TEMPLATE_IPFIX, ipfix_data())])
    assert batch.records["sampling_rate"].tolist() == [rate]


@pytest.mark.parametrize("probability", [0.0, -1.0, 2.0, float("nan"), 1e-300])
def test_a_rate_that_is_none_is_refused_and_the_old_one_stays(probability: float) -> None:
    options = flow_set(3, ipfix_options(300, [(149, 4)], [(311, 8)]))
    good, bad = (flow_set(300, bytes(4) + struct.pack(">d", p)) for p in (0.5, probability))
    batch, report = decode([ipfix(options, good, TEMPLATE_IPFIX, bad, ipfix_data())])
    assert batch.records["sampling_rate"].tolist() == [2.0]
    assert report.rejections == {Rejection.BAD_SAMPLING_RATE: 1}


def test_the_operators_rate_governs() -> None:
    options = flow_set(1, v9_options(257, [(1, 4)], [(34, 4)]))
    datagrams = [v9(options, flow_set(257, struct.pack(">II", 1, 100)), TEMPLATE, data()), v5(v5_record(), interval=64)]
    batch, report = decode(datagrams, FlowDecoder(sampling_override=7))
    assert batch.records["sampling_rate"].tolist() == [7.0, 7.0]
    assert report.exporters[0].sampling_rates == (100.0,)
    assert decode([v9(TEMPLATE, data())], FlowDecoder(sampling_default=5))[0].records["sampling_rate"].tolist() == [5.0]


def test_v5_header_announces_its_interval() -> None:
    batch, _ = decode([v5(v5_record(), interval=0x4000 | 100), v5(v5_record(), sequence=1, interval=0)])
    assert batch.records["sampling_rate"].tolist() == [100.0, 100.0]


def test_lost_templates_are_named_and_open_a_gap() -> None:
    batch, report = decode([v9(data(), sequence=5), v9(TEMPLATE, sequence=6), v9(data(), sequence=7)])
    assert len(batch.records) == 1
    assert report.rejections == {Rejection.UNKNOWN_TEMPLATE: 1}
    assert [(u.template_id, u.sets, u.bytes) for u in report.unknown_templates] == [(256, 1, len(data()))]
    assert [(g.cause, g.start_ns, g.end_ns) for g in report.gaps] == [(GapCause.UNKNOWN_TEMPLATE, NOW_NS, NOW_NS)]


def test_ipfix_tells_how_many_records_an_unknown_template_had() -> None:
    unknown = flow_set(300, bytes(30))
    batch, report = decode(
        [ipfix(TEMPLATE_IPFIX, ipfix_data()), ipfix(unknown, sequence=1), ipfix(ipfix_data(), sequence=6)]
    )
    assert len(batch.records) == 2
    assert causes(report) == [("unknown_template", 5)]
    assert report.gaps[0].end_ns == NOW_NS + 2_000_000


def test_a_template_that_changes_is_followed() -> None:
    other = flow_set(0, template(256, [(12, 4), (8, 4), (1, 8)]))
    record = v4("10.2.0.9") + v4("10.1.0.9") + (77).to_bytes(8)
    batch, report = decode([v9(TEMPLATE, data()), v9(TEMPLATE, other, flow_set(256, record), sequence=1)])
    assert batch.records["bytes"].tolist() == [1000, 77]
    assert report.irregularities[Irregularity.TEMPLATE_CHANGED] == 1
    assert report.irregularities[Irregularity.TEMPLATE_REPEATED] == 1


def test_templates_of_two_domains_are_kept_apart() -> None:
    batch, report = decode([v9(TEMPLATE, domain=1), v9(data(), domain=2)])
    assert len(batch.records) == 0
    assert report.rejections == {Rejection.UNKNOWN_TEMPLATE: 1}


def test_templates_survive_from_one_segment_to_the_next() -> None:
    decoder = FlowDecoder()
    decode([v9(TEMPLATE, sequence=0)], decoder)
    batch, report = decode([v9(data(), sequence=1)], decoder)
    assert len(batch.records) == 1
    assert (report.segments, report.gaps) == (2, ())


@pytest.mark.parametrize("withdrawal", [struct.pack(">HH", 256, 0), struct.pack(">HH", 2, 0)], ids=["one", "all"])
def test_withdrawn_templates_are_gone(withdrawal: bytes) -> None:
    batch, report = decode([ipfix(TEMPLATE_IPFIX, flow_set(2, withdrawal), ipfix_data())])
    assert len(batch.records) == 0
    assert report.irregularities[Irregularity.TEMPLATE_WITHDRAWN] == 1
    assert report.rejections == {Rejection.UNKNOWN_TEMPLATE: 1}


def test_withdrawals_leave_the_other_templates_findable() -> None:
    numbers = range(256, 456)
    defined = b"".join(template(n, [(8, 4), (12, 4), (1, 4)]) for n in numbers)
    gone = b"".join(struct.pack(">HH", n, 0) for n in numbers if n % 3 == 0)
    sets = [flow_set(n, v4("10.1.0.1") + v4("10.2.0.1") + n.to_bytes(4)) for n in numbers]
    batch, report = decode([ipfix(flow_set(2, defined), flow_set(2, gone), *sets)])
    assert batch.records["bytes"].tolist() == [n for n in numbers if n % 3]
    assert report.rejections[Rejection.UNKNOWN_TEMPLATE] == sum(n % 3 == 0 for n in numbers)


def test_variable_length_and_enterprise_fields() -> None:
    fields = [(8, 4), (371, 65535), (12, 4), (9999, 4, 4242), (1, 8), (96, 65535)]
    values = [v4("10.1.0.1"), b"\x03abc", v4("10.2.0.1"), bytes(4), (5000).to_bytes(8), b"\xff\x01\x00" + bytes(256)]
    short = [v4("10.1.0.1"), b"\x00", v4("10.2.0.1"), bytes(4), (6000).to_bytes(8), b"\x00"]
    batch, report = decode([ipfix(flow_set(2, template(256, fields)), flow_set(256, b"".join(values + short)))])
    assert batch.records["bytes"].tolist() == [5000, 6000]
    assert not report.rejections


def test_reduced_size_encoding() -> None:
    fields = [(8, 4), (12, 4), (1, 3), (2, 1), (10, 1)]
    batch, _ = decode(
        [
            v9(
                flow_set(0, template(256, fields)),
                flow_set(256, v4("10.1.0.1") + v4("10.2.0.1") + b"\x01\x00\x02\x09\x05"),
            )
        ]
    )
    assert (batch.records["bytes"][0], batch.records["packets"][0], batch.records["in_if"][0]) == (65538, 9, 5)


def test_delta_and_total_are_never_both_counted() -> None:
    fields = [(8, 4), (12, 4), (85, 8), (1, 8), (352, 8), (23, 8)]
    values = v4("10.1.0.1") + v4("10.2.0.1") + struct.pack(">QQQQ", 900_000, 111, 222, 333)
    batch, _ = decode([v9(flow_set(0, template(256, fields)), flow_set(256, values))])
    assert batch.records["bytes"].tolist() == [111]
    total = v4("10.1.0.1") + v4("10.2.0.1") + struct.pack(">Q", 900)
    batch, report = decode([v9(flow_set(0, template(256, fields[:3])), flow_set(256, total))])
    assert batch.records["bytes"].tolist() == [900]
    assert report.irregularities[Irregularity.TOTAL_COUNTER] == 1


def test_both_halves_of_a_biflow_are_records() -> None:
    fields = [(8, 4), (12, 4), (7, 2), (11, 2), (1, 4), (1, 4, 29305), (2, 4), (2, 4, 29305)]
    values = v4("10.1.0.1") + v4("10.2.0.1") + struct.pack(">HHIIII", 80, 90, 111, 222, 1, 2)
    batch, report = decode([ipfix(flow_set(2, template(256, fields)), flow_set(256, values * 2))])
    assert batch.records["bytes"].tolist() == [111, 222, 111, 222]
    assert batch.records["src_port"].tolist() == [80, 90, 80, 90]
    assert batch.records["src_lo"][0] == batch.records["dst_lo"][1]
    assert report.irregularities[Irregularity.REVERSE] == 2
    assert report.exporters[0].records == 2


def test_a_template_with_both_families_uses_the_one_that_is_filled() -> None:
    fields = [(8, 4), (12, 4), (27, 16), (28, 16), (1, 4)]
    old = v4("10.1.0.1") + v4("10.2.0.1") + bytes(32) + (5).to_bytes(4)
    new = (
        bytes(8)
        + bytes.fromhex("20010db8")
        + bytes(11)
        + b"\x01"
        + bytes.fromhex("20010db8")
        + bytes(11)
        + b"\x02"
        + (6).to_bytes(4)
    )
    batch, _ = decode([v9(flow_set(0, template(256, fields)), flow_set(256, old + new))])
    names = [str(address_of(r["src_hi"], r["src_lo"])) for r in batch.records]
    assert names == ["10.1.0.1", "2001:db8::1"]


def test_sequence_gap_of_each_protocol_in_its_own_unit() -> None:
    _, report = decode([v9(TEMPLATE, sequence=1), v9(data(), sequence=5)])
    assert [(g.cause, g.lost, g.unit) for g in report.gaps] == [(GapCause.LOST, 3, Unit.DATAGRAMS)]
    assert (report.gaps[0].start_ns, report.gaps[0].end_ns) == (NOW_NS, NOW_NS + 1_000_000)
    _, report = decode([v5(v5_record(), v5_record(), sequence=10), v5(v5_record(), sequence=20)])
    assert [(g.cause, g.lost, g.unit) for g in report.gaps] == [(GapCause.LOST, 8, Unit.RECORDS)]
    _, report = decode([ipfix(TEMPLATE_IPFIX, ipfix_data(), sequence=10), ipfix(ipfix_data(), sequence=12)])
    assert [(g.cause, g.lost, g.unit) for g in report.gaps] == [(GapCause.LOST, 1, Unit.RECORDS)]
    assert report.lost == 1


@pytest.mark.parametrize("records", [1, 2])
def test_sequence_numbers_wrap(records: int) -> None:
    last = (1 << 32) - 1
    _, report = decode([v9(TEMPLATE, sequence=last), v9(data(), sequence=0)])
    assert not report.gaps
    _, report = decode(
        [v5(*[v5_record()] * records, sequence=last), v5(v5_record(), sequence=(last + records) % (1 << 32))]
    )
    assert not report.gaps


def test_an_exporter_that_restarts() -> None:
    _, report = decode(
        [v9(TEMPLATE, sequence=900), v9(data(), sequence=901), v9(TEMPLATE, data(), sequence=0, uptime_ms=10)]
    )
    assert causes(report) == [("restarted", None)]
    assert report.exporters[0].restarts == 1
    assert report.exporters[0].lost == 0


def test_a_duplicate_is_not_counted_again() -> None:
    again = v9(data(), sequence=2)
    batch, report = decode([v9(TEMPLATE, sequence=1), again, again, v9(data(), sequence=3)])
    assert len(batch.records) == 2
    assert report.rejections == {Rejection.DUPLICATE_DATAGRAM: 1}
    assert report.gaps == ()


@pytest.mark.parametrize("protocol", ["v9", "ipfix"])
def test_a_late_datagram_fills_its_gap(protocol: str) -> None:
    if protocol == "v9":
        datagrams = [
            v9(TEMPLATE, sequence=1),
            v9(data(v4_record(age_ms=5)), sequence=3),
            v9(data(), sequence=2),
            v9(data(), sequence=4),
        ]
    else:
        datagrams = [ipfix(TEMPLATE_IPFIX, ipfix_data(), sequence=0), ipfix(ipfix_data(ipfix_record(5)), sequence=2)]
        datagrams += [ipfix(ipfix_data(ipfix_record(6)), sequence=1), ipfix(ipfix_data(ipfix_record(7)), sequence=3)]
    _, report = decode(datagrams)
    assert report.gaps == ()
    assert (report.exporters[0].late, report.exporters[0].lost) == (1, 0)


def test_uptime_that_wrapped_between_flow_and_export() -> None:
    end = (1 << 32) - 500
    record = v4("10.1.0.1") + v4("10.2.0.1") + struct.pack(">IIIIHHB", 1, 99, end - 500, end, 1, 2, 6)
    batch, report = decode([v9(TEMPLATE, flow_set(256, record), uptime_ms=500)])
    assert (batch.records["start_ns"][0], batch.records["end_ns"][0]) == (
        NOW_NS - 1_500_000_000,
        NOW_NS - 1_000_000_000,
    )
    assert Irregularity.TIME_OUT_OF_WINDOW not in report.irregularities


def test_times_that_are_absurd_move_to_the_window_and_reversed_ones_are_exchanged() -> None:
    limits = Limits(past_ns=60 * 10**9, future_ns=10**9)
    now_ms = NOW_S * 1000
    records = [
        ipfix_record(1, 0, now_ms),
        ipfix_record(2, now_ms - 100, now_ms - 900),
        ipfix_record(3, now_ms, now_ms + 10**9),
    ]
    batch, report = decode([ipfix(TEMPLATE_IPFIX, ipfix_data(*records))], FlowDecoder(limits=limits))
    second = 10**9
    assert batch.records["start_ns"].tolist() == [NOW_NS - 60 * second, NOW_NS - 900_000_000, NOW_NS]
    assert batch.records["end_ns"].tolist() == [NOW_NS, NOW_NS - 100_000_000, NOW_NS + second]
    assert report.irregularities[Irregularity.TIME_OUT_OF_WINDOW] == 2
    assert report.irregularities[Irregularity.TIME_REVERSED] == 1


def test_arrival_clock_replaces_a_clock_that_is_wrong() -> None:
    datagram = v9(TEMPLATE, data(v4_record(age_ms=2000)), seconds=1000)
    batch, report = decode([datagram], FlowDecoder(arrival_clock=True))
    assert batch.records["end_ns"].tolist() == [NOW_NS - 2_000_000_000]
    assert report.exporters[0].clock_offset_ns == (NOW_NS - 1000 * 10**9,) * 2
    assert Irregularity.TIME_OUT_OF_WINDOW not in report.irregularities


def test_uptime_in_ipfix_needs_the_start_of_the_system() -> None:
    fields = [(8, 4), (12, 4), (1, 4), (22, 4), (21, 4)]
    record = v4("10.1.0.1") + v4("10.2.0.1") + struct.pack(">III", 9, UPTIME_MS - 3000, UPTIME_MS - 1000)
    plain = [flow_set(2, template(256, fields)), flow_set(256, record)]
    batch, report = decode([ipfix(*plain)])
    assert batch.records["end_ns"].tolist() == [NOW_NS]
    assert report.irregularities[Irregularity.TIME_ABSENT] == 1
    started = flow_set(300, bytes(4) + (NOW_S * 1000 - UPTIME_MS).to_bytes(8))
    batch, _ = decode([ipfix(flow_set(3, ipfix_options(300, [(143, 4)], [(160, 8)])), started, *plain)])
    assert batch.records["end_ns"].tolist() == [NOW_NS - 1_000_000_000]


def test_limits_are_kept_and_named() -> None:
    many = [v9(flow_set(0, template(256, [(1, 4)])), domain=n) for n in range(5)]
    _, report = decode(many, FlowDecoder(limits=Limits(exporters_max=3)))
    assert report.rejections == {Rejection.TOO_MANY_EXPORTERS: 2}
    sets = [flow_set(0, template(256 + n, [(1, 4)])) for n in range(5)]
    _, report = decode([v9(*sets)], FlowDecoder(limits=Limits(templates_max=3)))
    assert report.rejections == {Rejection.TOO_MANY_TEMPLATES: 2}
    wide = flow_set(0, template(256, [(1, 4)] * 9))
    _, report = decode([v9(wide)], FlowDecoder(limits=Limits(template_fields_max=8)))
    assert report.rejections == {Rejection.TEMPLATE_TOO_LARGE: 1}
    jumps = [v9(data(), sequence=3 * n) for n in range(50)]
    _, report = decode([v9(TEMPLATE, sequence=1), *jumps[1:]], FlowDecoder(limits=Limits(gaps_max=4)))
    assert len(report.gaps) == 4
    assert sum(gap.lost or 0 for gap in report.gaps) == report.lost == 1 + 2 * 48


def test_a_payload_that_no_datagram_can_carry_is_refused() -> None:
    decoder = FlowDecoder()
    payloads = [v9(TEMPLATE) + bytes(70_000), v9(TEMPLATE, data())]
    assert len(all_records(decoder.decode_datagrams(payloads, [NOW_NS, NOW_NS])).records) == 1
    report = decoder.report()
    assert report.rejections == {Rejection.BAD_LENGTH: 1}
    assert causes(report) == [("unreadable", None)]


def test_limits_must_be_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        Limits(templates_max=0)
    with pytest.raises(ValueError, match="NetFlow v5"):
        Limits(sampling_rate_max=100)
    with pytest.raises(ValueError, match="sampling rate"):
        FlowDecoder(sampling_override=0.5)


def test_a_set_larger_than_a_batch_is_decoded_in_parts() -> None:
    datagram = v9(flow_set(0, template(256, [(1, 1)])), flow_set(256, bytes([1]) * 60_000))
    decoder = FlowDecoder()
    batches = list(decoder.decode_segment(segment([datagram])))
    assert len(batches) > 1
    assert sum(len(b.records) for b in batches) == 60_000
    assert decoder.report().irregularities[Irregularity.UNADDRESSED] == 60_000
    assert decoder.report().unaddressed_bytes == 60_000


def test_nothing_is_reported_of_nothing() -> None:
    report = FlowDecoder().report()
    assert (report.datagrams, report.records, report.first_arrival_ns, report.exporters) == (0, 0, None, ())
