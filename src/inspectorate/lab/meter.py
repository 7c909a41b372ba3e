"""The truth about bytes: what the kernel counted on every link, once a second.

Both ends of a link are read on the sending side (TX), which counts what was really carried: the pod's own interface
for what left it, the gateway's for what went to it. Counters include the 14 bytes of each Ethernet header.

`/proc/PID/net/dev` shows the counters of the namespace that process lives in, so one reader sees all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from inspectorate.errors import EnvironmentError_
from inspectorate.lab.network import POD_INTERFACE, Link

_TX_BYTES, _TX_PACKETS = 8, 9
"""Columns of /proc/net/dev after the name: eight of reception come first."""


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What an interface has sent since it came up."""

    size_bytes: int
    packets: int


@dataclass(frozen=True, kw_only=True)
class LinkReading:
    """Both directions of one pod's link."""

    from_pod: Sent
    to_pod: Sent


def parse_sent(text: str) -> dict[str, Sent]:
    """What each interface has sent, from the text of /proc/net/dev. Raises `ValueError` on any other text."""
    found = {}
    for line in text.splitlines()[2:]:
        name, _, rest = line.partition(":")
        columns = rest.split()
        if len(columns) != 16:
            raise ValueError(f"not a line of /proc/net/dev: {line[:80]!r}")
        found[name.strip()] = Sent(size_bytes=int(columns[_TX_BYTES]), packets=int(columns[_TX_PACKETS]))
    return found


def read_links(links: dict[str, Link], pids: dict[str, int], gateway_pid: int) -> dict[str, LinkReading]:
    """Read every pod's link now; `pids` has one process inside of each pod's namespace.

    Raises `EnvironmentError_` if a process or an interface is gone.
    """
    gateway = _sent_of(gateway_pid)
    readings = {}
    for pod, pid in pids.items():
        near, far = _sent_of(pid).get(POD_INTERFACE), gateway.get(links[pod].gateway_interface)
        if near is None or far is None:
            raise EnvironmentError_(f"the link of {pod} is gone", where=f"/proc/{pid}/net/dev")
        readings[pod] = LinkReading(from_pod=near, to_pod=far)
    return readings


def udp_ports(pid: int) -> frozenset[int]:
    """The UDP ports bound in the namespace of a process."""
    ports: set[int] = set()
    for name in ("udp", "udp6"):
        lines = _read(pid, name).splitlines()[1:]
        ports.update(int(line.split()[1].rpartition(":")[2], 16) for line in lines)
    return frozenset(ports)


def _sent_of(pid: int) -> dict[str, Sent]:
    return parse_sent(_read(pid, "dev"))


def _read(pid: int, name: str) -> str:
    path = Path(f"/proc/{pid}/net/{name}")
    try:
        return path.read_text()
    except OSError as fault:
        raise EnvironmentError_(f"the counters cannot be read: {fault.strerror}", where=str(path)) from None
