"""CPU telemetry: control groups laid out as the kernel does, real processes, a real network namespace."""

from __future__ import annotations

import mmap
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from inspectorate.declaration import MeasuringPoint
from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.mechanisms.workloads.record.linux import (
    LinuxSource,
    LinuxUnit,
    named_namespace,
    parse_net_dev,
    read_cgroups,
)
from inspectorate.mechanisms.workloads.telemetry.frame import Samples

NET_DEV = b"""Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:  100    1 0 0 0 0 0 0  100    1 0 0 0 0 0 0
 eth0:1234567890123  1 0 0 0 0 0 0 42    1 0 0 0 0 0 0
"""


def shown(samples: Samples, unit: str) -> dict[str, float]:
    row = list(samples.unit).index(samples.units.index(unit))
    values = dict(zip(samples.signals, map(float, samples.values[row]), strict=True))
    return {signal: value for signal, value in values.items() if value == value}


def test_interfaces_are_read_also_where_a_number_touches_the_colon() -> None:
    assert parse_net_dev(NET_DEV) == {"lo": (100, 100), "eth0": (1234567890123, 42)}


@pytest.mark.parametrize("line", [b"eth0 1 2 3", b"eth0: 1 2 3", b"eth0: x 1 0 0 0 0 0 0 42 1 0 0 0 0 0 0"])
def test_what_is_no_line_of_net_dev_is_refused(line: bytes) -> None:
    with pytest.raises(EvidenceError, match="not a line of net/dev"):
        parse_net_dev(b"\n".join([*NET_DEV.splitlines()[:2], line]))


def group(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def test_control_groups_of_both_versions_and_what_is_absent_in_them(tmp_path: Path) -> None:
    v2 = group(
        tmp_path / "v2", cpu__stat="usage_usec 1500000\nuser_usec 1\n", memory__stat="anon 4096\nfile 9\npgfault 7\n"
    )
    assert read_cgroups([v2]) == {"cpu_time_s": 1.5, "resident_bytes": 4096.0, "page_faults": 7.0}
    cpu = group(tmp_path / "cpuacct", cpuacct__usage="2500000000\n", cpu__stat="nr_periods 0\n")
    memory = group(tmp_path / "memory", memory__stat="rss 1\ntotal_rss 8192\ntotal_pgfault 11\n")
    assert read_cgroups([cpu, memory]) == {"cpu_time_s": 2.5, "resident_bytes": 8192.0, "page_faults": 11.0}
    assert read_cgroups([cpu]) == {"cpu_time_s": 2.5}
    with pytest.raises(EnvironmentError_, match="shows nothing"):
        read_cgroups([tmp_path / "gone"])
    (cpu / "cpuacct.usage").write_text("many\n")
    with pytest.raises(EvidenceError, match="no number"):
        read_cgroups([cpu])


def test_a_group_without_processor_time_and_one_that_vanishes_are_errors(tmp_path: Path) -> None:
    memory = group(tmp_path / "memory", memory__stat="anon 4096\n")
    with pytest.raises(EnvironmentError_, match="no processor time"):
        LinuxSource([LinuxUnit(name="u", cgroups=(memory,))], clock_ns=time.time_ns)
    both = group(tmp_path / "both", cpu__stat="usage_usec 10\n")
    source = LinuxSource([LinuxUnit(name="u", cgroups=(both,))], clock_ns=time.time_ns)
    assert shown(source.poll(), "u") == {"cpu_time_s": 1e-5}
    shutil.rmtree(both)
    with pytest.raises(EnvironmentError_, match="shows nothing"):
        source.poll()


@pytest.mark.parametrize(
    ("unit", "fault"),
    [
        ({}, "names nothing"),
        ({"pids": (1,), "cgroups": (Path("/x"),)}, "at once"),
        ({"facing": True, "netns": Path("/x")}, "a link is an interface"),
        ({"facing": True, "interface": "eth0", "pids": (1,)}, "a link is an interface"),
    ],
)
def test_a_unit_that_is_nothing_or_two_things_is_refused(unit: dict[str, object], fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        LinuxUnit(name="u", **unit)  # type: ignore[arg-type]


def test_a_process_that_is_not_there_and_an_interface_that_is_not_there_are_named() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(20)
    with pytest.raises(InputError, match=f"no process {ended.pid}"):
        LinuxSource([LinuxUnit(name="u", pids=(ended.pid,))], clock_ns=time.time_ns)
    with pytest.raises(EnvironmentError_, match=r"no interface nope.*there are .*lo"):
        LinuxSource([LinuxUnit(name="u", interface="nope")], clock_ns=time.time_ns)
    with pytest.raises(EnvironmentError_, match="cannot be"):
        LinuxSource([LinuxUnit(name="u", netns=named_namespace("no-such-namespace"))], clock_ns=time.time_ns)


def test_this_very_process_burns_what_it_is_seen_to_burn() -> None:
    source = LinuxSource([LinuxUnit(name="me", pids=(os.getpid(),))], clock_ns=time.time_ns)
    before = shown(source.poll(), "me")
    begun = time.process_time()
    block = bytearray(8_000_000)
    while time.process_time() - begun < 0.3:
        # Fresh pages from the kernel each time; an allocator would hand out its own again.
        with mmap.mmap(-1, len(block)) as pages:
            pages[:] = bytes(len(block))
    burned = time.process_time() - begun
    after = shown(source.poll(), "me")
    assert after["cpu_time_s"] - before["cpu_time_s"] == pytest.approx(burned, abs=0.06)
    assert after["page_faults"] - before["page_faults"] > 100
    assert after["resident_bytes"] > 8_000_000
    assert set(after) == {"cpu_time_s", "resident_bytes", "page_faults"}
    assert source.facts.point is MeasuringPoint.NODE


def test_octets_over_loopback_by_interface_and_seen_from_the_other_side() -> None:
    units = [LinuxUnit(name="lo", interface="lo"), LinuxUnit(name="far", interface="lo", facing=True)]
    source = LinuxSource(units, clock_ns=time.time_ns)
    before = source.poll()
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out,
    ):
        sink.bind(("127.0.0.1", 0))
        for _ in range(50):
            out.sendto(b"x" * 1000, sink.getsockname())
    after = source.poll()
    source.close()
    rise = shown(after, "lo")["network_sent_bytes"] - shown(before, "lo")["network_sent_bytes"]
    assert rise >= 50 * 1028
    assert shown(after, "far")["network_received_bytes"] >= shown(before, "far")["network_received_bytes"] + 50 * 1028


class Pod:
    """A network namespace that is joined to another by a pair of interfaces, and a process in it."""

    def __init__(self) -> None:
        self.near, self.far = (f"rec{os.getpid()}{end}" for end in "ab")
        for name in (self.near, self.far):
            self.ip("netns", "add", name)
        self.ip("-n", self.near, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", self.far)
        for place, name in enumerate((self.near, self.far)):
            self.ip("-n", name, "addr", "add", f"10.99.0.{place + 1}/24", "dev", "eth0")
            for interface in ("lo", "eth0"):
                self.ip("-n", name, "link", "set", interface, "up")

    @staticmethod
    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, timeout=10)

    def run(self, code: str) -> None:
        subprocess.run(["ip", "netns", "exec", self.near, sys.executable, "-c", code], check=True, timeout=30)

    def remove(self) -> None:
        for name in (self.near, self.far):
            self.ip("netns", "del", name)


@pytest.fixture
def pod() -> Iterator[Pod]:
    made = Pod()
    yield made
    made.remove()


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("ip") is None, reason="needs root and iproute2")
def test_a_network_namespace_is_seen_whole_and_alone(pod: Pod) -> None:
    """Its processes' time, and the octets of its interface: not those over its loopback, nor anybody else's."""
    holder = subprocess.Popen(["ip", "netns", "exec", pod.near, "sleep", "60"])
    units = [
        LinuxUnit(name="near", netns=named_namespace(pod.near)),
        LinuxUnit(name="far", netns=named_namespace(pod.far)),
    ]
    source = LinuxSource(units, clock_ns=time.time_ns)
    try:
        before = source.poll()
        pod.run(
            "import socket, time\n"
            "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
            "[s.sendto(b'x' * 1000, ('10.99.0.2', 9)) for _ in range(100)]\n"
            "[s.sendto(b'x' * 1000, ('127.0.0.1', 9)) for _ in range(1000)]\n"
        )
        burning = subprocess.Popen(["ip", "netns", "exec", pod.near, sys.executable, "-c", "while True: pass"])
        deadline = time.monotonic() + 20
        while shown(during := source.poll(), "near")["cpu_time_s"] - shown(before, "near")["cpu_time_s"] < 0.2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        burning.kill()
        burning.wait(10)
        after = source.poll()
    finally:
        holder.kill()
        holder.wait(10)
        source.close()
    first, second, third = (shown(one, "near") for one in (before, during, after))
    assert 100 * 1028 <= second["network_sent_bytes"] - first["network_sent_bytes"] < 300 * 1028
    far = shown(after, "far")["network_received_bytes"] - shown(before, "far")["network_received_bytes"]
    assert far >= 100 * 1028
    assert third["cpu_time_s"] >= second["cpu_time_s"]
    assert shown(after, "far")["cpu_time_s"] == 0.0


@pytest.mark.root
@pytest.mark.skipif(
    not os.access("/sys/fs/cgroup/cpuacct", os.W_OK), reason="needs a writable cpuacct hierarchy (cgroup v1)"
)
def test_a_real_control_group_counts_what_runs_in_it() -> None:
    folder = Path("/sys/fs/cgroup/cpuacct") / f"record-{os.getpid()}"
    folder.mkdir()
    try:
        source = LinuxSource([LinuxUnit(name="u", cgroups=(folder,))], clock_ns=time.time_ns)
        code = (
            f"open('{folder}/cgroup.procs', 'w').write('0')\n"
            "import time\nt = time.process_time()\nwhile time.process_time() - t < 0.2: pass\n"
        )
        before = shown(source.poll(), "u")["cpu_time_s"]
        subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
        assert 0.15 < shown(source.poll(), "u")["cpu_time_s"] - before < 1.0
    finally:
        folder.rmdir()
