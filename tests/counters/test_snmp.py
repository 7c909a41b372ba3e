"""SNMP against a real agent (snmpd of Net-SNMP) on loopback."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from inspectorate.errors import EnvironmentError_
from inspectorate.mechanisms.interconnect.counters.findings import Finding
from inspectorate.mechanisms.interconnect.counters.increase import increases
from inspectorate.mechanisms.interconnect.counters.readings import Port, Reading, readings_of

snmp = pytest.importorskip("inspectorate.mechanisms.interconnect.counters.snmp", reason="needs pysnmp")
SNMPD = shutil.which("snmpd") or shutil.which("snmpd", path="/usr/sbin")
pytestmark = [
    pytest.mark.tools,
    pytest.mark.skipif(SNMPD is None or not shutil.which("ip"), reason="needs snmpd (Net-SNMP) and iproute2"),
]

LO = Port("gw", "lo")
PASSWORDS = {"auth_password": "authentication-1", "privacy_password": "privacy-22222"}


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Agent:
    """One snmpd, started and ended by its own process id."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        (folder / "snmpd.conf").write_text(
            f"agentaddress udp:127.0.0.1:{self.port}\n"
            "rocommunity public 127.0.0.1\n"
            "rouser verifier priv\n"
            f"createUser verifier SHA-256 {PASSWORDS['auth_password']} AES {PASSWORDS['privacy_password']}\n"
        )
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        assert SNMPD is not None
        environment = {**os.environ, "SNMP_PERSISTENT_DIR": str(self._folder / "state"), "MIBS": ""}
        command = [SNMPD, "-f", "-Lo", "-C", "-c", str(self._folder / "snmpd.conf")]
        self._process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self._folder
        )

    def stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(20)

    def source(self, access: object = None, **rest: object):  # type: ignore[no-untyped-def]
        narrow = bool(rest.pop("narrow_only", False))
        settings = {"timeout_s": 1.0, "poll_s_max": 5.0} | rest
        agent = snmp.SnmpAgent(
            node="gw", address="127.0.0.1", port=self.port, access=access or snmp.Community(name="public"), **settings
        )
        return snmp.SnmpSource(agent, clock_ns=time.time_ns, monotonic_ns=time.monotonic_ns, narrow_only=narrow)

    def poll_when_up(self, source) -> tuple[Reading, ...]:  # type: ignore[no-untyped-def]
        deadline = time.monotonic() + 30
        while True:
            try:
                return source.poll()  # type: ignore[no-any-return]
            except EnvironmentError_:
                assert time.monotonic() < deadline
                time.sleep(0.2)


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    made = Agent(tmp_path_factory.mktemp("snmpd"))
    made.poll_when_up(made.source())
    yield made
    made.stop()


def lo_octets() -> int:
    printed = subprocess.run(
        ["ip", "-j", "-s", "link", "show", "lo"], capture_output=True, check=True, timeout=10
    ).stdout
    return int(json.loads(printed)[0]["stats64"]["rx"]["bytes"])


def send_over_lo(count: int, size: int) -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out,
    ):
        sink.bind(("127.0.0.1", 0))
        for _ in range(count):
            out.sendto(b"x" * size, sink.getsockname())


@pytest.mark.parametrize(
    "access",
    [lambda: snmp.Community(name="public"), lambda: snmp.User(name="verifier", **PASSWORDS)],
    ids=["v2c", "v3"],
)
def test_what_an_agent_counts_lies_between_what_the_kernel_counts(agent: Agent, access: Callable[[], object]) -> None:
    source = agent.source(access())
    before = lo_octets()
    (reading,) = [one for one in source.poll() if one.port == LO]
    assert reading.bits == 64
    assert reading.out_packets, "in_packets of loopback are 0 in Net-SNMP 5.9.3, whatever came"
    assert reading.epoch_ns > 0
    assert reading.in_octets <= lo_octets()
    # snmpd keeps values for some seconds; once these are over, what was there before is counted.
    deadline = time.monotonic() + 30
    while next(one for one in source.poll() if one.port == LO).in_octets < before:
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_traffic_shows_as_an_increase_once_the_agents_cache_is_over(agent: Agent) -> None:
    source = agent.source(cache_s=30.0)
    first = source.poll()
    send_over_lo(400, 1_000)
    sent = 400 * 1_028
    deadline = time.monotonic() + 40
    readings = list(first)
    while True:
        time.sleep(0.5)
        readings += source.poll()
        steps = increases(readings_of(readings))[LO]
        if steps.sides["in_octets"].lower.sum() >= sent:
            break
        assert time.monotonic() < deadline
    assert not {told.finding for told in steps.found} & {Finding.RESET, Finding.WENT_BACK, Finding.FASTER_THAN_LINK}
    assert {one.age_ns // 10**9 for one in readings if one.port == LO} == {30}


def test_narrow_counters_where_there_are_no_wide_ones(agent: Agent) -> None:
    wide = {one.port: one for one in agent.source().poll()}
    narrow = {one.port: one for one in agent.source(narrow_only=True).poll()}
    assert narrow[LO].bits == 32
    assert narrow[LO].in_packets is None
    assert narrow.keys() == wide.keys()
    # Both count the same; the later one is further on.
    assert (narrow[LO].in_octets - wide[LO].in_octets) % 2**32 < 10**7


def test_a_restarted_agent_has_another_epoch(tmp_path: Path) -> None:
    agent = Agent(tmp_path)
    try:
        source = agent.source()
        before = [one for one in agent.poll_when_up(source) if one.port == LO]
        time.sleep(4)
        again = [one for one in source.poll() if one.port == LO]
        assert again[0].epoch_ns == before[0].epoch_ns, "the same start, however it is measured"
        agent.stop()
        agent.start()
        after = [one for one in agent.poll_when_up(source) if one.port == LO]
    finally:
        agent.stop()
    assert after[0].epoch_ns > before[0].epoch_ns
    steps = increases(readings_of(before + again + after))[LO]
    assert [told.finding for told in steps.found] == [Finding.RESET]


def test_an_agent_that_does_not_answer_is_an_error_in_time(tmp_path: Path) -> None:
    settings = {"timeout_s": 0.3, "poll_s_max": 2.0}
    agent = snmp.SnmpAgent(
        node="gw", address="127.0.0.1", port=free_port(), access=snmp.Community(name="public"), **settings
    )
    source = snmp.SnmpSource(agent, clock_ns=time.time_ns, monotonic_ns=time.monotonic_ns)
    began = time.monotonic()
    with pytest.raises(EnvironmentError_, match="SNMP agent"):
        source.poll()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "access",
    [
        lambda: snmp.Community(name="wrong"),
        lambda: snmp.User(
            name="verifier", auth_password="wrong-password", privacy_password=PASSWORDS["privacy_password"]
        ),
    ],
    ids=["v2c", "v3"],
)
def test_wrong_secrets_are_an_error(agent: Agent, access: Callable[[], object]) -> None:
    with pytest.raises(EnvironmentError_):
        agent.source(access(), timeout_s=0.5).poll()
