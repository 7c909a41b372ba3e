"""Readers: what each source says becomes the same readings, and what is none is counted or refused."""

from __future__ import annotations

import json
import subprocess
from ipaddress import ip_address
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspectorate.errors import EvidenceError, InputError
from inspectorate.mechanisms.interconnect.counters.files import Form, read_file
from inspectorate.mechanisms.interconnect.counters.gnmi import GnmiReport, read_gnmi
from inspectorate.mechanisms.interconnect.counters.increase import increases
from inspectorate.mechanisms.interconnect.counters.increments import readings_of_increments
from inspectorate.mechanisms.interconnect.counters.lines import LinesReport, line_of, read_lines
from inspectorate.mechanisms.interconnect.counters.linux import boot_time_ns, read_ip_link, read_proc_net_dev
from inspectorate.mechanisms.interconnect.counters.prometheus import PrometheusReport, read_prometheus
from inspectorate.mechanisms.interconnect.counters.readings import Port, Reading, join_readings, readings_of
from inspectorate.mechanisms.interconnect.counters.samples import readings_of_samples
from inspectorate.mechanisms.interconnect.flows.columns import COUNTER, halves

NOW = 1_700_000_000_000_000_000
READING = Reading(
    port=Port("gw", "eth0"),
    time_ns=NOW,
    in_octets=2**64 - 1,
    out_octets=2,
    in_packets=3,
    out_packets=4,
    speed_bits_per_s=10**10,
    epoch_ns=NOW - 5,
    age_ns=7,
)

# --- lines -------------------------------------------------------------------------------------------------------------

names = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=20)
counts = st.integers(0, 2**64 - 1)


@given(st.builds(
    Reading, port=st.builds(Port, names, names), time_ns=st.integers(1, 7 * 10**18), in_octets=counts, out_octets=counts,
    in_packets=counts, out_packets=counts, speed_bits_per_s=st.integers(0, 2**50), epoch_ns=st.integers(0, 7 * 10**18),
    age_ns=st.integers(0, 10**12),
))  # fmt: skip
def test_a_line_says_all_of_a_reading(reading: Reading) -> None:
    report = LinesReport()
    assert list(read_lines(line_of(reading), report)) == [reading]
    assert (report.lines, report.refused) == (1, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"time_ns": -1},
        {"time_ns": 1.5},
        {"time_ns": "1e18"},
        {"in_octets": str(2**64)},
        {"bits": 16},
        {"bits": True},
        {"bits": "64"},
        {"port": ""},
        {"port": 5},
        {"node": "a\nb"},
        {"in_packets": None},
        {"more": 1},
        {"age_ns": str(10**15)},
        {"speed_bits_per_s": str(2**60)},
    ],
)
def test_a_line_that_is_no_reading_is_counted_and_left_out(change: dict[str, object]) -> None:
    value = json.loads(line_of(READING)) | change
    report = LinesReport()
    assert list(read_lines(json.dumps(value).encode() + b"\n" + line_of(READING), report)) == [READING]
    assert (report.lines, report.refused) == (2, 1)


@pytest.mark.parametrize("missing", ["time_ns", "node", "bits", "epoch_ns", "out_packets"])
def test_a_line_without_a_key_is_refused(missing: str) -> None:
    value = json.loads(line_of(READING))
    del value[missing]
    report = LinesReport()
    assert list(read_lines(json.dumps(value).encode(), report)) == []
    assert report.refused == 1


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader_of_lines(data: bytes) -> None:
    list(read_lines(data, LinesReport()))


def test_a_repeated_key_is_refused() -> None:
    report = LinesReport()
    assert list(read_lines(line_of(READING).replace(b'"bits":64', b'"bits":64,"bits":64'), report)) == []
    assert "repeats" in report.first_fault


# --- Prometheus --------------------------------------------------------------------------------------------------------

NODE_EXPORTER = """\
# HELP node_network_receive_bytes_total Network device statistic receive_bytes.
# TYPE node_network_receive_bytes_total counter
node_network_receive_bytes_total{device="eth0"} 3.31200248e+08
node_network_receive_bytes_total{device="we\\"ird\\\\"} 5
node_network_transmit_bytes_total{device="eth0"} 434030
node_network_receive_packets_total{device="eth0"} 8854
node_network_transmit_packets_total{device="eth0"} 5041
node_network_speed_bytes{device="eth0"} 1.25e+09
node_boot_time_seconds 1.69999e+09
node_load1 0.5
"""


def prometheus(text: str) -> tuple[tuple[Reading, ...], PrometheusReport]:
    report = PrometheusReport()
    return read_prometheus(text, node="gw", scraped_ns=NOW, report=report), report


def test_a_page_of_node_exporter() -> None:
    found, report = prometheus(NODE_EXPORTER)
    assert found == (
        Reading(
            port=Port("gw", "eth0"),
            time_ns=NOW,
            in_octets=331_200_248,
            out_octets=434_030,
            in_packets=8854,
            out_packets=5041,
            speed_bits_per_s=10**10,
            epoch_ns=1_699_990_000 * 10**9,
        ),
    )
    assert (report.refused, report.incomplete) == (0, 1)


def test_a_page_of_a_gnmi_exporter_with_timestamps() -> None:
    text = (
        'interfaces_interface_state_counters_in_octets{interface_name="ethernet-1/1",source="leaf1:57400"} 10 1700000000500\n'
        'interfaces_interface_state_counters_out_octets{interface_name="ethernet-1/1",source="leaf1:57400"} 20 1700000000500\n'
    )
    (one,), _ = prometheus(text)
    assert one == Reading(
        port=Port("leaf1:57400", "ethernet-1/1"), time_ns=NOW + 500_000_000, in_octets=10, out_octets=20
    )
    (other,), _ = prometheus(text.replace("1700000000500", "1700000000.5") + "# EOF\n")
    assert other.time_ns == one.time_ns


def test_a_page_of_snmp_exporter_prefers_wide_counters() -> None:
    wide = 'ifHCInOctets{ifName="Et1"} 5000000000\nifHCOutOctets{ifName="Et1"} 1\nifHighSpeed{ifName="Et1"} 400000\n'
    narrow = 'ifInOctets{ifName="Et1"} 705032704\nifOutOctets{ifName="Et1"} 1\n'
    (both,), _ = prometheus(wide + narrow)
    assert (both.bits, both.in_octets, both.speed_bits_per_s) == (64, 5_000_000_000, 400 * 10**9)
    (only,), _ = prometheus(narrow)
    assert (only.bits, only.in_octets) == (32, 705_032_704)


@pytest.mark.parametrize(
    "line",
    [
        'node_network_receive_bytes_total{device="a"} NaN',
        'node_network_receive_bytes_total{device="a"} -1',
        'node_network_receive_bytes_total{device="a"} 1.5',
        'node_network_receive_bytes_total{device="a"} 1e30',
        'node_network_receive_bytes_total{device="a" 1',
        'node_network_receive_bytes_total{device="a",device="b"} 1',
        "node_network_receive_bytes_total 1",
        'ifInOctets{ifName="a"} 4294967296',
        "{} 1",
        'node_network_receive_bytes_total{device="eth0"} 7',
    ],
)
def test_a_sample_that_is_none_is_counted_and_left_out(line: str) -> None:
    found, report = prometheus(NODE_EXPORTER + line + "\n")
    assert len(found) == 1
    assert report.refused == 1
    assert report.first_fault


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader_of_pages(text: str) -> None:
    prometheus(text)
    prometheus("node_network_receive_bytes_total" + text)


# --- gNMI --------------------------------------------------------------------------------------------------------------


def gnmi(*values: object) -> tuple[list[Reading], GnmiReport]:
    report = GnmiReport()
    return list(read_gnmi("\n".join(json.dumps(v, indent=1) for v in values).encode(), report)), report


def update(path: str, values: dict[str, object], time_ns: int = NOW, **rest: object) -> dict[str, object]:
    return {"source": "r1:57400", "timestamp": time_ns, "updates": [{"Path": path, "values": values}]} | rest


BASE = "interfaces/interface[name=ethernet-1/1]/state/counters"
BARE = "interfaces/interface/state/counters"
EXPECTED = Reading(port=Port("r1:57400", "ethernet-1/1"), time_ns=NOW, in_octets=2**60, out_octets=7)


def test_leaf_by_leaf_in_one_notification() -> None:
    value = update(f"{BASE}/in-octets", {f"{BARE}/in-octets": str(2**60)})
    value["updates"].append({"Path": f"{BASE}/out-octets", "values": {f"{BARE}/out-octets": 7}})  # type: ignore[attr-defined]
    assert gnmi({"sync-response": True}, value)[0] == [EXPECTED]


def test_a_container_with_a_module_in_front_of_its_names() -> None:
    content = {"openconfig-interfaces:in-octets": str(2**60), "out-octets": "7"}
    assert gnmi(update(BASE, {BARE: content}))[0] == [EXPECTED]
    deep = {"openconfig-interfaces:state": {"counters": content}}
    path = "openconfig-interfaces:interfaces/interface[name=ethernet-1/1]"
    assert gnmi(update(path, {"interfaces/interface": deep}))[0] == [EXPECTED]


def test_a_list_of_interfaces_and_a_prefix() -> None:
    content = {
        "interface": [{"name": "ethernet-1/1", "state": {"counters": {"in-octets": str(2**60), "out-octets": "7"}}}]
    }
    assert gnmi(update("interfaces", {"interfaces": content}))[0] == [EXPECTED]
    value = update("counters/in-octets", {"x": str(2**60)}, prefix="interfaces/interface[name=ethernet-1/1]/state")
    value["updates"].append({"Path": "counters/out-octets", "values": {"x": 7}})  # type: ignore[attr-defined]
    assert gnmi(value)[0] == [EXPECTED]


def test_the_event_form() -> None:
    value = [
        {
            "name": "sub",
            "timestamp": NOW,
            "tags": {"interface_name": "ethernet-1/1", "source": "r1:57400"},
            "values": {f"/{BARE}/in-octets": 2**60, f"/{BARE}/out-octets": 7},
        }
    ]
    assert gnmi(value)[0] == [EXPECTED]


def test_leaves_of_different_times_make_a_reading_as_old_as_the_oldest() -> None:
    found, _ = gnmi(
        update(f"{BASE}/in-octets", {"x": 10}, NOW),
        update(f"{BASE}/out-octets", {"x": 20}, NOW + 5),
        update(f"{BASE}/in-octets", {"x": 30}, NOW + 9),
    )
    assert [(one.time_ns - NOW, one.age_ns, one.in_octets, one.out_octets) for one in found] == [
        (5, 5, 10, 20),
        (9, 4, 30, 20),
    ]


def test_last_clear_and_speed() -> None:
    content = {"in-octets": 1, "out-octets": 2, "last-clear": str(NOW - 100)}
    found, _ = gnmi(
        update("interfaces/interface[name=e1]/ethernet/state/port-speed", {"x": "openconfig-if-ethernet:SPEED_400GB"}),
        update("interfaces/interface[name=e1]/state/counters", {"x": content}),
        update(
            "interfaces/interface[name=e1]/state/counters",
            {"x": content | {"last-clear": "2023-11-14T22:13:20Z"}},
            NOW + 5,
        ),
    )
    assert [one.speed_bits_per_s for one in found] == [400 * 10**9] * 2
    assert [one.epoch_ns for one in found] == [NOW - 100, NOW]


@pytest.mark.parametrize(
    "value",
    [
        5,
        {"timestamp": "now", "updates": []},
        update(f"{BASE}/in-octets", {"x": -1}),
        update(f"{BASE}/in-octets", {"x": "1.5"}),
        update(f"{BASE}/in-octets", {"x": True}),
    ],
)
def test_a_notification_that_is_none_is_counted(value: object) -> None:
    found, report = gnmi(value, update(BASE, {BARE: {"in-octets": 2**60, "out-octets": 7}}))
    assert found == [EXPECTED]
    assert report.refused == 1


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(EvidenceError, match="not JSON"):
        list(read_gnmi(b'{"timestamp": 1', GnmiReport()))


# --- Linux -------------------------------------------------------------------------------------------------------------


def test_this_machine_by_both_of_its_words() -> None:
    try:
        printed = subprocess.run(["ip", "-j", "-s", "link"], capture_output=True, check=True, timeout=10).stdout
        dev = Path("/proc/net/dev").read_bytes()
        boot_ns = boot_time_ns(Path("/proc/stat").read_bytes())
    except (OSError, subprocess.SubprocessError):
        pytest.skip("needs Linux and iproute2")
    by_link = {
        one.port: one
        for one in read_ip_link(
            printed, node="gw", asked_ns=NOW, answered_ns=NOW + 5, boot_ns=boot_ns, speeds={"lo": 7}
        )
    }
    by_dev = {one.port: one for one in read_proc_net_dev(dev, node="gw", asked_ns=NOW, answered_ns=NOW + 5)}
    assert by_link.keys() == by_dev.keys()
    lo = Port("gw", "lo")
    assert by_dev[lo].in_octets >= by_link[lo].in_octets
    assert by_link[lo].age_ns == 5
    assert by_link[lo].epoch_ns == boot_ns + 1
    assert by_link[lo].speed_bits_per_s == 7


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b'[{"ifname":"a","ifindex":1,"stats64":{}}]', b"[" * 9999])
def test_what_ip_never_printed_is_refused(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        read_ip_link(data, node="gw", asked_ns=NOW, answered_ns=NOW)


@pytest.mark.parametrize("data", [b"", b"x\ny\n", b"Inter-| R\n face |bytes\n eth0: 1 2 3\n"])
def test_what_proc_never_held_is_refused(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        read_proc_net_dev(data, node="gw", asked_ns=NOW, answered_ns=NOW)


# --- sFlow and increments ----------------------------------------------------------------------------------------------


def test_sflow_samples_become_readings() -> None:
    samples = np.zeros(3, COUNTER)
    high, low = halves(ip_address("10.0.0.1"))
    samples["agent_hi"], samples["agent_lo"] = high, low
    samples["if_index"] = [3, 4, 3]
    samples["arrival_ns"] = [NOW, NOW, NOW + 10**9]
    samples["in_octets"] = [100, 5, 350]
    steps = increases(readings_of_samples(samples))
    assert steps[Port("10.0.0.1.0", "3")].sides["in_octets"].lower.tolist() == [250]
    assert steps[Port("10.0.0.1.0", "4")].steps == 0
    assert len(readings_of_samples(samples[:0])) == 0


def test_increments_are_restored_and_a_negative_one_is_a_narrow_counter() -> None:
    port, times = Port("s", "p"), NOW + 10**9 * np.arange(4, dtype=np.int64)
    columns = {"in_octets": np.array([99, 5, -(2**32) + 7, 1]), "out_octets": np.array([0, 1, 1, 1])}
    found = readings_of_increments({port: (times, columns)}, speeds_bits_per_s={port: 10**9})
    assert found.rows["bits"].tolist() == [32] * 4
    assert increases(found)[port].sides["in_octets"].lower.tolist() == [5, 7, 1]
    columns["in_octets"][2] = -(2**32)
    with pytest.raises(EvidenceError, match="below"):
        readings_of_increments({port: (times, columns)}, speeds_bits_per_s={})


# --- files -------------------------------------------------------------------------------------------------------------


def test_files_are_told_apart(tmp_path: Path) -> None:
    contents = {
        Form.LINES: line_of(READING),
        Form.GNMI: json.dumps(update(BASE, {BARE: {"in-octets": 1, "out-octets": 2}})).encode(),
        Form.PROMETHEUS: b'ifHCInOctets{ifName="a"} 1 1700000000000\nifHCOutOctets{ifName="a"} 1 1700000000000\n',
    }
    for form, content in contents.items():
        path = tmp_path / form
        path.write_bytes(content)
        found = read_file(path, age_ns=3)
        assert (found.form, len(found.readings), found.refused) == (form, 1, 0)
        assert found.readings.rows["age_ns"][0] == (10 if form is Form.LINES else 3)


def test_a_page_without_timestamps_is_refused_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "page"
    path.write_text(NODE_EXPORTER)
    found = read_file(path)
    assert len(found.readings) == 0
    assert found.refused == 1


def test_a_broken_table_is_an_input_error(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="needs pyarrow")
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1" + b"\0" * 100)
    with pytest.raises(InputError, match="table of increases"):
        read_file(path)


def test_joining_keeps_all_readings_of_a_port() -> None:
    later = Reading(port=READING.port, time_ns=NOW + 1, in_octets=1, out_octets=1)
    other = Reading(port=Port("gw", "eth1"), time_ns=NOW, in_octets=1, out_octets=1)
    joined = join_readings([readings_of([READING]), readings_of([other, later])])
    assert joined.ports == (READING.port, other.port)
    assert {port: len(rows) for port, rows in joined.by_port().items()} == {READING.port: 2, other.port: 1}
    assert joined.only([other.port]).ports == (other.port,)
