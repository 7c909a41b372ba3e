"""Pods and a gateway in network namespaces, joined by veth pairs, with a real lldpd in each. All of it is removed at the end."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

NODES = ("pod-a", "pod-b", "gateway")
DECLARED = (("pod-a", "eth0", "gateway", "to-pod-a"), ("pod-b", "eth0", "gateway", "to-pod-b"))
HIDDEN = ("pod-a", "eth1", "pod-b", "eth1")
VETH_BYTES_PER_S = 1_250_000_000
"""The kernel says of every veth that it is a 10 Gb/s port, and lldpd passes that on."""
WAIT_S = 12.0

PLAN = """graph plan {
    node [kind=pod]; "pod-a"; "pod-b"
    gateway [kind=gateway]
    edge [speed="10G"]
    "pod-a":"eth0" -- gateway:"to-pod-a"
    "pod-b":"eth0" -- gateway:"to-pod-b"
}
"""


def missing() -> str:
    """Why such a network cannot be made here; empty if it can."""
    if os.geteuid() != 0:
        return "needs root"
    absent = [tool for tool in ("ip", "lldpd", "lldpcli") if shutil.which(tool) is None]
    return f"needs {', '.join(absent)}" if absent else ""


class LldpNetwork:
    """The namespaces and the daemons."""

    def __init__(self) -> None:
        # lldpcli runs as a user of its own (setuid) and has to reach the socket: a folder of pytest's is closed to it.
        self._folder = Path(tempfile.mkdtemp(prefix="topology-"))
        self._folder.chmod(0o755)
        self._prefix = f"topo{os.getpid()}"
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def namespace(self, node: str) -> str:
        return f"{self._prefix}-{node}"

    def build(self) -> None:
        for node in NODES:
            run("ip", "netns", "add", self.namespace(node))
        for wire in DECLARED:
            self.wire(*wire)
        for node in NODES:
            self._start(node)
        for node in NODES:
            self.lldpcli(node, "configure", "system", "hostname", node)
            # Otherwise the first announcement of a new port takes half a minute.
            self.lldpcli(node, "configure", "lldp", "tx-interval", "1")

    def wire(self, node: str, port: str, other: str, other_port: str) -> None:
        ends = ["name", port, "netns", self.namespace(node), "type", "veth"]
        run("ip", "link", "add", *ends, "peer", "name", other_port, "netns", self.namespace(other))
        run("ip", "-n", self.namespace(node), "link", "set", port, "up")
        run("ip", "-n", self.namespace(other), "link", "set", other_port, "up")

    def unwire(self, node: str, port: str) -> None:
        run("ip", "-n", self.namespace(node), "link", "del", port)

    def _start(self, node: str) -> None:
        inside = ["ip", "netns", "exec", self.namespace(node), "timeout", "60"]
        # -C and -I: which interfaces; no pattern would take those of the machine, of which there are none in here.
        lldpd = [
            shutil.which("lldpd") or "lldpd",
            "-d",
            "-u",
            str(self._socket(node)),
            "-C",
            "eth*,to-*",
            "-I",
            "eth*,to-*",
        ]
        with (self._folder / f"{node}.log").open("wb") as log:
            self._daemons[node] = subprocess.Popen(
                [*inside, *lldpd, "-L", shutil.which("lldpcli") or "lldpcli", "-S", "test"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + WAIT_S
        while not self._socket(node).exists():
            if time.monotonic() > deadline or self._daemons[node].poll() is not None:
                raise AssertionError(f"lldpd of {node}: {(self._folder / f'{node}.log').read_text()}")
            time.sleep(0.05)

    def _socket(self, node: str) -> Path:
        return self._folder / f"{node}.socket"

    def lldpcli(self, node: str, *words: str) -> bytes:
        return run("lldpcli", "-u", str(self._socket(node)), *words)

    def survey(self, node: str, *, form: str = "json") -> bytes:
        return self.lldpcli(node, "-f", form, "show", "neighbors", "details")

    def wait_for(self, node: str, port: str, peer: str) -> None:
        """Until a node sees a peer at a port."""
        deadline = time.monotonic() + WAIT_S
        while peer.encode() not in self.lldpcli(node, "-f", "json", "show", "neighbors", "ports", port):
            assert time.monotonic() < deadline, f"{node} does not see {peer} at {port}"
            time.sleep(0.1)

    def wait_until_gone(self, node: str, port: str) -> None:
        """Until a node shows no neighbour at a port: lldpd notices a lost link a moment later."""
        deadline = time.monotonic() + WAIT_S
        while b"chassis" in self.lldpcli(node, "-f", "json", "show", "neighbors", "ports", port):
            assert time.monotonic() < deadline, f"{node} still shows a neighbour at {port}"
            time.sleep(0.1)

    def remove(self) -> None:
        for daemon in self._daemons.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(daemon.pid, signal.SIGTERM)
        for daemon in self._daemons.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                daemon.wait(timeout=5)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(daemon.pid, signal.SIGKILL)
        for node in NODES:
            subprocess.run(["ip", "netns", "del", self.namespace(node)], check=False, capture_output=True, timeout=10)
        shutil.rmtree(self._folder, ignore_errors=True)


@contextlib.contextmanager
def lldp_network() -> Iterator[LldpNetwork]:
    network = LldpNetwork()
    try:
        network.build()
        for node, port, other, other_port in DECLARED:
            network.wait_for(node, port, other)
            network.wait_for(other, other_port, node)
        yield network
    finally:
        network.remove()


def run(*argv: str) -> bytes:
    done = subprocess.run(argv, check=False, capture_output=True, timeout=20)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr.decode(errors='replace')}"
    return done.stdout
