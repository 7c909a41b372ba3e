"""The network of the bench: a namespace per pod, one for the clients, and between them a gateway that the verifier owns.

    pod-a --\\
    pod-b ---\\
      ...     gateway (sensors, collector, canary) --- clients
    pod-f ---/

Rules:

- Every path between two pods, or between a pod and the outside, crosses the gateway. There is no other link.
- Segmentation offload is off on both ends of every link. With it on, the kernel hands over "packets" of tens of
  kilobytes, and nothing that looks at packets sees what a wire would carry.
- Names carry the prefix of the run. Leaving the context ends every process that is still inside of these namespaces
  and deletes them, also after an exception or a signal that Python turns into one.

- What a run left behind that was killed outright (`kill -9`) is removed by the next one.

Not done here: shaping, loss and delay.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from inspectorate.errors import EnvironmentError_, InputError

GATEWAY = "gateway"
CLIENTS = "clients"
POD_INTERFACE = "eth0"
VERIFIER_IPV4 = "10.90.254.1"
"""The verifier's own address, on the gateway: the canary speaks from it."""
CLIENT_ADDRESS_COUNT = 8
"""Addresses that the clients speak from."""
PODS_MAX = 64
NAMESPACES = Path("/run/netns")
_OURS = re.compile(r"insp([0-9]{1,10})-[A-Za-z0-9-]+")
_CLIENTS_SUBNET = 100
_COMMAND_LIMIT_S = 20.0
_APT_PACKAGES = {
    "ip": "iproute2",
    "ethtool": "ethtool",
    "sysctl": "procps",
    "timeout": "coreutils",
    "nice": "coreutils",
    "pmacctd": "pmacct",
}


@dataclass(frozen=True, kw_only=True)
class Link:
    """One end-to-gateway link: the node's addresses and the names of both interfaces."""

    node: str
    ipv4: str
    ipv6: str
    gateway_ipv4: str
    gateway_ipv6: str
    gateway_interface: str


def links(pods: tuple[str, ...]) -> dict[str, Link]:
    """The links of the bench by node: one per pod, in order, and one for the clients.

    Raises `InputError` on no pods, too many, repeated or unusable names.
    """
    if not 1 <= len(pods) <= PODS_MAX or len(set(pods)) != len(pods):
        raise InputError(f"the bench needs 1 to {PODS_MAX} distinct pods, not {len(pods)}", where="pods")
    for pod in pods:
        # An interface name has at most 15 characters, and "to-" comes before it.
        if not 1 <= len(pod) <= 12 or not pod.replace("-", "").isalnum() or pod in (GATEWAY, CLIENTS):
            raise InputError(f"{pod!r} cannot name a pod", where="pods", remedy="1 to 12 letters, digits, hyphens")
    subnets = {pod: index + 1 for index, pod in enumerate(pods)} | {CLIENTS: _CLIENTS_SUBNET}
    return {
        node: Link(
            node=node,
            ipv4=f"10.90.{subnet}.2",
            ipv6=f"fd90:0:0:{subnet:x}::2",
            gateway_ipv4=f"10.90.{subnet}.1",
            gateway_ipv6=f"fd90:0:0:{subnet:x}::1",
            gateway_interface=f"to-{node}",
        )
        for node, subnet in subnets.items()
    }


def client_addresses() -> tuple[str, ...]:
    """The IPv4 addresses that the clients speak from."""
    return tuple(f"10.90.{_CLIENTS_SUBNET}.{host}" for host in range(2, 2 + CLIENT_ADDRESS_COUNT))


def check_tools() -> None:
    """Check privilege and programs before anything is changed. Raises `EnvironmentError_` with what to install."""
    if os.geteuid() != 0:
        raise EnvironmentError_("the bench makes network namespaces and needs root", remedy="run it with sudo")
    missing = sorted({package for tool, package in _APT_PACKAGES.items() if shutil.which(tool) is None})
    if missing:
        raise EnvironmentError_("programs are missing", remedy=f"apt-get install {' '.join(missing)}")


def prefix_of(pid: int) -> str:
    """The prefix of all names that belong to the run of a process."""
    return f"insp{pid}"


def remove_leftovers() -> tuple[str, ...]:
    """Remove namespaces of runs whose process no longer exists, with what runs inside. Returns their names."""
    names = [path.name for path in NAMESPACES.iterdir()] if NAMESPACES.is_dir() else []
    owners = {name: match.group(1) for name in names if (match := _OURS.fullmatch(name))}
    dead = tuple(sorted(name for name, pid in owners.items() if not Path(f"/proc/{pid}").exists()))
    _remove(dead)
    return dead


class Network:
    """The namespaces of one run, as a context. A process can have one at a time."""

    def __init__(self, pods: tuple[str, ...]) -> None:
        self.links = links(pods)
        self.pods = pods
        self.prefix = prefix_of(os.getpid())

    def namespace(self, node: str) -> str:
        """The name of a node's namespace; a node is a pod, `gateway` or `clients`."""
        return f"{self.prefix}-{node}"

    def inside(self, node: str, argv: list[str]) -> list[str]:
        """The command that runs `argv` inside of a node's namespace."""
        return ["ip", "netns", "exec", self.namespace(node), *argv]

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def _nodes(self) -> tuple[str, ...]:
        return (GATEWAY, *self.links)

    def _build(self) -> None:
        for node in self._nodes():
            _run(["ip", "netns", "add", self.namespace(node)])
            self._ip(node, "link set lo up")
        gateway = self.namespace(GATEWAY)
        for link in self.links.values():
            self._connect(link)
        self._ip(GATEWAY, f"addr add {VERIFIER_IPV4}/32 dev lo")
        for setting in ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"):
            _run(["ip", "netns", "exec", gateway, "sysctl", "-qw", setting])
        for address in client_addresses()[1:]:
            self._ip(CLIENTS, f"addr add {address}/24 dev {POD_INTERFACE}")

    def _connect(self, link: Link) -> None:
        """Lay one link: addresses first, then offload off, then up, so that no packet ever crosses with offload on."""
        space, near, far = self.namespace(link.node), POD_INTERFACE, link.gateway_interface
        gateway = self.namespace(GATEWAY)
        _run(["ip", "link", "add", far, "netns", gateway, "type", "veth", "peer", "name", near, "netns", space])
        ends = (
            (link.node, near, link.ipv4, link.ipv6),
            (GATEWAY, far, link.gateway_ipv4, link.gateway_ipv6),
        )
        for node, interface, ipv4, ipv6 in ends:
            self._ip(node, f"addr add {ipv4}/24 dev {interface}")
            self._ip(node, f"addr add {ipv6}/64 dev {interface} nodad")
            offload = ["ethtool", "-K", interface, "tso", "off", "gso", "off", "gro", "off"]
            _run(self.inside(node, offload))
            self._ip(node, f"link set {interface} up")
        self._ip(link.node, f"route add default via {link.gateway_ipv4}")
        self._ip(link.node, f"-6 route add default via {link.gateway_ipv6}")

    def _ip(self, node: str, words: str) -> None:
        _run(["ip", "-n", self.namespace(node), *words.split()])

    def _remove(self) -> None:
        _remove(tuple(self.namespace(node) for node in self._nodes()))


def _remove(namespaces: tuple[str, ...]) -> None:
    """End what still runs inside of these namespaces, then delete them. Those that do not exist are passed over."""
    existing = [name for name in namespaces if (NAMESPACES / name).exists()]
    for name in existing:
        _end_processes_inside(name)
    for name in existing:
        # A namespace that cannot be deleted must not keep the others from being deleted.
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True, timeout=_COMMAND_LIMIT_S)


def _end_processes_inside(namespace: str) -> None:
    """Kill what runs inside of a namespace of ours. Such processes are ours: nobody else knows its name."""
    listed = subprocess.run(
        ["ip", "netns", "pids", namespace], check=False, capture_output=True, text=True, timeout=_COMMAND_LIMIT_S
    )
    pids = [int(word) for word in listed.stdout.split() if word.isdigit()]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if pids:
        time.sleep(0.05)


def _run(argv: list[str]) -> None:
    """Run one short command. Raises `EnvironmentError_` with what it said."""
    try:
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=_COMMAND_LIMIT_S)
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise EnvironmentError_(f"cannot run {argv[0]}: {fault}", where=" ".join(argv)) from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[:300]
        raise EnvironmentError_(
            f"the kernel or the tool refused: {said}",
            where=" ".join(argv),
            remedy="the bench needs root with CAP_NET_ADMIN, veth and network namespaces",
        )
