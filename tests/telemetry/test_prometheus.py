"""Prometheus text: what is read, that both ways of reading agree, and that another maker's parser says the same."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from telemetry_making import START_NS as T
from telemetry_making import S, dcgm, header, same, scrapes

from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.workloads.telemetry import prometheus
from inspectorate.mechanisms.workloads.telemetry.frame import Samples
from inspectorate.mechanisms.workloads.telemetry.names import counts_for, meaning_of, scaled, unit_of
from inspectorate.mechanisms.workloads.telemetry.prometheus import PrometheusReader, read_prometheus
from inspectorate.mechanisms.workloads.telemetry.report import ReadReport, Unread


def read(text: str | bytes, *, by_pages: bool = True, node: str = "n") -> tuple[Samples, ReadReport]:
    report = ReadReport()
    payload = text.encode() if isinstance(text, str) else text
    return PrometheusReader(node=node, by_pages=by_pages).read(payload, report), report


def agree(*payloads: bytes) -> ReadReport:
    """Read payloads in both ways, one after the other; the report of the fast one."""
    ways = []
    for by_pages in (True, False):
        report, reader = ReadReport(), PrometheusReader(node="n", by_pages=by_pages)
        ways.append(([reader.read(payload, report) for payload in payloads], report))
    (fast, report), (slow, other) = ways
    assert all(same(a, b) for a, b in zip(fast, slow, strict=True))
    assert (report.entries, report.unread, report.first_fault) == (other.entries, other.unread, other.first_fault)
    assert report.slow_scrapes + report.fast_scrapes == other.slow_scrapes
    return report


def value(found: Samples, unit: str, signal: str, row: int = 0) -> float:
    rows = np.flatnonzero(found.unit == found.units.index(unit))
    return float(found.values[rows[row], found.signals.index(signal)])


# --- what is read ------------------------------------------------------------------------------------------------------


def test_dcgm_exporter() -> None:
    labels = 'gpu="3",UUID="GPU-1",device="nvidia3",modelName="NVIDIA H100",Hostname="n7"'
    lines = {
        "DCGM_FI_DEV_POWER_USAGE": ("423.125000", "power_w", 423.125),
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": ("455497156", "energy_j", 455_497.156),
        "DCGM_FI_DEV_SM_CLOCK": ("1980", "core_clock_hz", 1.98e9),
        "DCGM_FI_DEV_GPU_UTIL": ("97", "busy_share", 0.97),
        "DCGM_FI_DEV_FB_USED": ("1024", "memory_used_bytes", 2.0**30),
        "DCGM_FI_DEV_MEMORY_TEMP": ("9223372036854775794", "memory_temperature_c", 9223372036854775794.0),
        "DCGM_FI_DEV_MEM_CLOCK": ("9223372036854775794", "memory_clock_hz", 9223372036854775794.0),
        "DCGM_FI_DEV_DEC_UTIL": ("9223372036854775794", "decoder_busy_share", 9223372036854775794.0),
        "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE": ("0.501", "tensor_busy_share", 0.501),
        "DCGM_FI_PROF_PCIE_RX_BYTES": ("45987793", "pcie_received_bytes_per_s", 45_987_793.0),
    }
    text = header(T) + "".join(f"{name}{{{labels}}} {shown}\n" for name, (shown, _, _) in lines.items())
    found, report = read(text + f"DCGM_FI_DEV_XID_ERRORS{{{labels}}} 0\n")
    assert found.units == ("GPU-1",)
    assert found.time_ns.tolist() == [T]
    for _, signal, expected in lines.values():
        assert value(found, "GPU-1", signal) == pytest.approx(expected, rel=1e-15)
    assert report.entries == len(lines) + 1
    assert report.unread == {Unread.UNKNOWN_NAME: 1}


@pytest.mark.parametrize(
    ("labels", "unit"),
    [
        ('gpu="0",UUID="GPU-1"', "GPU-1"),
        ('gpu="0",UUID="GPU-1",GPU_I_ID="2",GPU_I_PROFILE="1g.10gb"', "GPU-1/mig2"),
        ('gpu="4",Hostname="h"', "h/gpu4"),
        ('gpu="4",hostname="h"', "h/gpu4"),
        ('gpu="4"', "n/gpu4"),
        ('uuid="df6e"', "df6e"),
        (r'unit="a\"b\\c\nd"', 'a"b\\c\nd'),
    ],
)
def test_units(labels: str, unit: str) -> None:
    found, _ = read(f"{header(T)}DCGM_FI_DEV_POWER_USAGE{{{labels}}} 1\n")
    assert found.units == (unit,)


def test_other_exporters_and_our_own_names() -> None:
    text = header(T) + (
        'nvidia_smi_power_draw_watts{uuid="u"} 28.07\n'
        'nvidia_smi_memory_used_bytes{uuid="u"} 7.06740224e+08\n'
        'inspectorate_energy_j_total{unit="u"} 1.5\n'
        'node_cpu_seconds_total{cpu="0",mode="idle"} 100\n'
        'node_cpu_seconds_total{cpu="0",mode="user"} 2.5\n'
        'node_cpu_seconds_total{cpu="1",mode="system"} 1.25\n'
        "node_memory_MemAvailable_bytes 1e9\n"
        "node_memory_MemTotal_bytes 4e9\n"
        'node_network_transmit_bytes_total{device="lo"} 7\n'
        'node_network_transmit_bytes_total{device="eth0"} 8\n'
        'node_network_transmit_bytes_total{device="eth1"} 9\n'
        "ipmi_dcmi_power_consumption_watts 900\n"
    )
    found, report = read(text, node="box")
    assert report.unread == {}
    assert (value(found, "u", "power_w"), value(found, "u", "energy_j")) == (28.07, 1.5)
    assert value(found, "u", "memory_used_bytes") == 706_740_224
    assert value(found, "box", "cpu_time_s") == 3.75
    assert value(found, "box", "resident_bytes") == 3e9
    assert value(found, "box", "network_sent_bytes") == 17
    assert value(found, "box", "power_w") == 900


def test_times() -> None:
    line = 'inspectorate_power_w{{unit="{}"}} 1{}\n'
    plain = header(T) + line.format("a", "") + line.format("b", f" {T // 10**6 - 5000}")
    found, _ = read(plain)
    assert found.time_ns.tolist() == [T, T - 5 * S]
    metrics = plain.replace(str(T // 10**6 - 5000), f"{T // S - 5}.25") + "# EOF\n"
    found, _ = read(metrics)
    assert found.time_ns.tolist() == [T, T - 4_750_000_000]


def test_text_whose_time_nobody_knows() -> None:
    line = 'inspectorate_power_w{unit="a"} 1\n'
    for text in (line, "# scraped yesterday\n" + line, "# scraped 12 took -5\n" + line):
        found, report = read(text)
        assert len(found) == 0
        assert report.unread == {Unread.NO_TIME: 1}, text
    found, report = read(line + header(T) + line)
    assert found.time_ns.tolist() == [T]
    assert (report.entries, report.unread) == (2, {Unread.NO_TIME: 1})


def test_repeats_have_rows_of_their_own() -> None:
    lines = ["1", "1", "2"]
    text = header(T) + "".join(f'inspectorate_power_w{{unit="a"}} {shown}\n' for shown in lines)
    text += 'inspectorate_busy_share{unit="a"} 0.5\n'
    found, _ = read(text)
    assert found.values[:, found.signals.index("power_w")].tolist() == [1, 1, 2]
    assert np.isnan(found.values[:, found.signals.index("busy_share")]).tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('inspectorate_power_w{unit="a"}', Unread.MALFORMED),
        ('inspectorate_power_w{unit="a" 1', Unread.MALFORMED),
        ('inspectorate_power_w{unit=a} 1', Unread.MALFORMED),
        ('inspectorate_power_w{unit="a",unit="b"} 1', Unread.MALFORMED),
        ('inspectorate_power_w{unit="a"} 1_000', Unread.MALFORMED),
        ('inspectorate_power_w{unit="a"} 0x10', Unread.MALFORMED),
        ('inspectorate_power_w{unit="a"} 1 2 3', Unread.MALFORMED),
        ('inspectorate_power_w{unit="\xff"} 1', Unread.MALFORMED),
        ("1inspectorate_power_w 1", Unread.MALFORMED),
        ('inspectorate_power_w{unit="a"} NaN', Unread.NOT_A_NUMBER),
        ("inspectorate_power_w 1", Unread.NO_UNIT),
        ('inspectorate_power_w{unit="%s"} 1' % ("x" * 300), Unread.NO_UNIT),
        ("inspectorate_power_mw 1", Unread.UNKNOWN_NAME),
        ('{"inspectorate.power", unit="a"} 1', Unread.UNKNOWN_NAME),
        ('inspectorate_power_w{unit="a"} 1 99999999999999999', Unread.NO_TIME),
        ('inspectorate_power_w{unit="a",x="%s"} 1' % ("y" * 70_000), Unread.TOO_LONG),
        ("inspectorate_power_w{" + ",".join(f'l{n}="1"' for n in range(200)) + "} 1", Unread.MALFORMED),
    ],
)  # fmt: skip
def test_what_is_not_read_is_counted(line: str, reason: Unread) -> None:
    good = 'inspectorate_power_w{unit="good"} 7\n'
    payload = (header(T) + good).encode() + line.encode("latin-1") + b"\n" + good.encode()
    found, report = read(payload)
    assert report.unread == {reason: 1}
    assert report.entries == 3
    assert value(found, "good", "power_w", 1) == 7
    agree(payload, payload)


def test_exemplars_and_blanks_are_allowed() -> None:
    text = header(T) + (
        'inspectorate_energy_j_total{unit="a"} 17 # {trace_id="x"} 0.5\n'
        '  inspectorate_power_w { unit = "a" , x="1", } \t 5 \r\n'
        "\n   \n#no space\n"
    )
    found, report = read(text)
    assert report.unread == {}
    assert (value(found, "a", "energy_j"), value(found, "a", "power_w")) == (17, 5)


def test_nothing_holds_nothing() -> None:
    for text in (b"", b"\n", header(T).encode(), (header(T) * 3).encode()):
        found, report = read(text)
        assert (len(found), found.units, report.entries) == (0, (), 0)
        agree(text, text)


# --- both ways ---------------------------------------------------------------------------------------------------------


def test_scrapes_like_those_before_are_read_by_pages() -> None:
    payloads = [scrapes(seed, hosts=3, rounds=5, chips=2) for seed in range(3)]
    report = agree(*payloads)
    assert report.slow_scrapes == 3
    assert report.fast_scrapes == 42
    assert report.entries == 45 * 40


def test_a_page_is_learned_again_when_chips_or_labels_change() -> None:
    one = scrapes(1, hosts=2, rounds=4, chips=2)
    other = scrapes(2, hosts=2, rounds=4, chips=3)
    moved = one.replace(b'pod=""', b'pod="train-1"')
    report = agree(one, other, moved, one, one)
    assert report.fast_scrapes > report.slow_scrapes


def test_targets_that_change_their_order_are_found_by_their_first_line() -> None:
    source = random.Random(3)
    hosts = [0, 1, 2, 3] * 5
    source.shuffle(hosts)
    text = "".join(header(T + k * S) + dcgm(source, host=host, chips=1) for k, host in enumerate(hosts))
    report = agree(text.encode())
    assert report.slow_scrapes == 4


NUMBERS = [
    "1",
    "0.1",
    "1e5",
    "-3",
    "NaN",
    "+Inf",
    "9223372036854775794",
    "0.30000000000000004",
    "1" * 70,
    "",
    "x",
    "1 5",
    "7 ",
]
EDITS = [b"", b"\n", b" ", b"#", b"# scraped ", b"{", b'"', b"\\", b"NaN", b"1", b"\x00", b"\xff", b"# EOF\n", b"took"]


@given(
    st.lists(st.lists(st.sampled_from(NUMBERS), min_size=4, max_size=4), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(EDITS), st.integers(0, 3)), max_size=4),
)
@settings(max_examples=300)
def test_both_ways_agree_on_whatever_comes(numbers: list[list[str]], edits: list[tuple[int, bytes, int]]) -> None:
    names = (
        'inspectorate_power_w{unit="a"}',
        "other_metric",
        'node_cpu_seconds_total{cpu="0",mode="user"}',
        'node_cpu_seconds_total{cpu="1",mode="user"}',
    )
    clean = (header(T) + "# HELP x\n" + "".join(f"{name} 1\n" for name in names)).encode()
    text = "".join(
        header(T + k * S) + "# HELP x\n" + "".join(f"{name} {shown}\n" for name, shown in zip(names, row, strict=True))
        for k, row in enumerate(numbers)
    ).encode()
    for at, what, cut in edits:
        at %= len(text) + 1
        text = text[:at] + what + text[at + cut :]
    agree(clean * 2, text, clean)


def test_no_more_pages_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inspectorate.mechanisms.workloads.telemetry.book.PAGES_MAX", 2)
    report = agree(scrapes(1, hosts=4, rounds=3, chips=1))
    assert report.slow_scrapes > 4


def test_a_payload_beyond_the_bounds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus, "VALUES_PER_PAYLOAD_MAX", 1_000)
    monkeypatch.setattr(prometheus, "ROWS_FIRST", 16)
    with pytest.raises(EvidenceError, match="values"):
        read(scrapes(1, hosts=1, rounds=70, chips=1))
    monkeypatch.undo()
    monkeypatch.setattr(prometheus, "UNITS_MAX", 3)
    with pytest.raises(EvidenceError, match="units"):
        read(scrapes(1, hosts=1, rounds=1, chips=4))


# --- beside the Python client of Prometheus ----------------------------------------------------------------------------


def by_client(text: str, parse: object) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    for family in parse(text):  # type: ignore[operator]
        for sample in family.samples:
            meaning = meaning_of(sample.name)
            if meaning is None or not counts_for(meaning, sample.labels):
                continue
            unit = unit_of(meaning, sample.labels, "n")
            assert unit is not None
            key = unit, meaning.signal
            now = scaled(sample.value, meaning.factor)
            found[key] = found[key] + now if key in found else now
    return found


def ours(text: str) -> dict[tuple[str, str], float]:
    found, report = ReadReport(), ReadReport()
    samples_ = read_prometheus((header(T) + text).encode(), report=report, node="n")
    assert not found.unread
    rows = np.argwhere(~np.isnan(samples_.values))
    return {
        (samples_.units[samples_.unit[r]], samples_.signals[c]): float(samples_.values[r, c]) for r, c in rows.tolist()
    }


def test_the_python_client_reads_the_same_of_dcgm_exporter() -> None:
    text = dcgm(random.Random(5))
    expected = by_client(text, parse_text)
    assert ours(text) == expected
    assert len(expected) == 8 * 17


label_values = st.text(
    st.characters(blacklist_categories=("Cs",), blacklist_characters="\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"),
    max_size=12,
)


@given(
    st.dictionaries(label_values.filter(bool), st.floats(allow_nan=False, width=64), min_size=1, max_size=6),
    st.booleans(),
)
@settings(max_examples=150)
def test_the_python_client_reads_the_same_of_any_label(units: dict[str, float], eof: bool) -> None:
    def escaped(name: str) -> str:
        return name.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')

    def shown(number: float) -> str:
        return {math.inf: "+Inf", -math.inf: "-Inf"}.get(number, repr(number))

    lines = [f'inspectorate_power_w{{unit="{escaped(name)}"}} {shown(number)}\n' for name, number in units.items()]
    text = "# TYPE inspectorate_power_w gauge\n" + "".join(lines) + ("# EOF\n" if eof else "")
    expected = by_client(text, parse_openmetrics if eof else parse_text)
    assert ours(text) == expected
