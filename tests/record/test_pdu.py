"""PDUs by SNMP: a real agent (snmpd of Net-SNMP) on loopback that shows the tables of their MIBs."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

import numpy as np
import pytest

from inspectorate.errors import EnvironmentError_, EvidenceError

snmp = pytest.importorskip("inspectorate.mechanisms.workloads.record.snmp", reason="needs pysnmp")
SNMPD = shutil.which("snmpd") or shutil.which("snmpd", path="/usr/sbin")
pytestmark = [pytest.mark.tools, pytest.mark.skipif(SNMPD is None, reason="needs snmpd (Net-SNMP)")]

APC = "1.3.6.1.4.1.318.1.1.26.9.4.3.1"
VALUE, DIGITS, NAME = (f"1.3.6.1.4.1.13742.6.{rest}" for rest in ("5.4.3.1.4", "3.5.4.1.7", "3.5.3.1.3"))
TABLE = {
    f"{APC}.3.1": ("octet_str", "node 1"), f"{APC}.3.2": ("octet_str", "node 2"), f"{APC}.3.3": ("octet_str", "node 2"),
    f"{APC}.7.1": ("integer", "423"), f"{APC}.7.2": ("integer", "-1"), f"{APC}.7.3": ("integer", "77"),
    f"{APC}.11.1": ("integer", "12345"), f"{APC}.11.2": ("integer", "20"), f"{APC}.11.3": ("integer", "30"),
    f"{NAME}.1.1": ("octet_str", "left"),
    f"{VALUE}.1.1.1": ("uinteger", "19"), f"{VALUE}.1.1.5": ("uinteger", "4231"), f"{VALUE}.1.1.8": ("uinteger", "500"),
    f"{VALUE}.1.2.5": ("uinteger", "88"),
    f"{DIGITS}.1.1.5": ("uinteger", "1"), f"{DIGITS}.1.1.8": ("uinteger", "0"),
}  # fmt: skip


def conf(port: int) -> str:
    return (
        f"agentaddress udp:127.0.0.1:{port}\nrocommunity public 127.0.0.1\nrouser verifier priv\n"
        "createUser verifier SHA-256 authentication-1 AES privacy-22222\n"
        + "".join(f'override {oid} {kind} "{value}"\n' for oid, (kind, value) in TABLE.items())
    )


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("snmpd")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        chosen = int(probe.getsockname()[1])
    (folder / "snmpd.conf").write_text(conf(chosen))
    assert SNMPD is not None
    agent = subprocess.Popen(
        [SNMPD, "-f", "-Lo", "-C", "-c", str(folder / "snmpd.conf")],
        env={**os.environ, "SNMP_PERSISTENT_DIR": str(folder / "state"), "MIBS": ""},
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 30
    try:
        while True:
            try:
                source(chosen).close()
                break
            except (EnvironmentError_, EvidenceError):
                assert time.monotonic() < deadline
                time.sleep(0.2)
        yield chosen
    finally:
        agent.terminate()
        agent.wait(20)


def source(port: int, *, layout: object = None, access: object = None):  # type: ignore[no-untyped-def]
    pdu = snmp.Pdu(
        address="127.0.0.1", port=port, access=access or snmp.SnmpAccess(community="public"),
        layout=layout or snmp.LAYOUTS["apc"], timeout_s=0.5,
    )  # fmt: skip
    return snmp.SnmpSource(pdu, clock_ns=time.time_ns)


def polled(found_source) -> dict[str, dict[str, float]]:  # type: ignore[no-untyped-def]
    found = found_source.poll()
    found_source.close()
    return {
        found.units[unit]: {s: float(v) for s, v in zip(found.signals, row, strict=True) if not np.isnan(v)}
        for unit, row in zip(found.unit, found.values, strict=True)
    }


def test_outlets_by_name_with_power_and_energy_and_minus_one_absent(port: int) -> None:
    assert polled(source(port)) == {
        "node 1": {"power_w": 423.0, "energy_j": 12345 * 3.6e5},
        "node 2": {"energy_j": 20 * 3.6e5},
        "node 2 (3)": {"power_w": 77.0, "energy_j": 30 * 3.6e5},
    }


def test_values_with_decimals_and_other_kinds_of_sensors_left_out(port: int) -> None:
    user = snmp.SnmpAccess(user="verifier", auth_password="authentication-1", privacy_password="privacy-22222")
    assert polled(source(port, layout=snmp.LAYOUTS["pdu2"], access=user)) == {
        "left": {"power_w": 423.1, "energy_j": 500 * 3600.0},
        "1.2": {"power_w": 88.0},
    }
    assert "privacy" not in repr(user)


def test_a_layout_that_is_written_out(port: int) -> None:
    layout = snmp.Layout(columns={"power_w": snmp.Column(oid=f"{APC}.7", factor=0.1)})
    assert polled(source(port, layout=layout)) == {
        "1": {"power_w": pytest.approx(42.3)},
        "3": {"power_w": pytest.approx(7.7)},
    }


def test_an_agent_without_the_table_and_one_that_refuses_and_one_that_is_not_there(port: int) -> None:
    empty = snmp.Layout(columns={"power_w": snmp.Column(oid="1.3.6.1.4.1.99999.1", factor=1.0)})
    with pytest.raises(EvidenceError, match="has no outlets"):
        source(port, layout=empty)
    with pytest.raises(EnvironmentError_, match="refused"):
        source(port, access=snmp.SnmpAccess(community="wrong"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        with pytest.raises(EnvironmentError_, match="check its address"):
            source(silent.getsockname()[1])
