"""Plans and surveys to test with: written by hand, or by an honest site of any shape that is then tampered with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from inspectorate.mechanisms.interconnect.topology.graph import End, Node, NodeKind, Topology, Wire
from inspectorate.mechanisms.interconnect.topology.lldp import read_lldp
from inspectorate.mechanisms.interconnect.topology.survey import Survey

GIGABIT = 125_000_000

Ends = tuple[str, str, str, str]
"""node, port, other node, other port"""

HONEST: tuple[Ends, ...] = (
    ("pod-a", "eth0", "gateway", "p1"),
    ("pod-b", "eth0", "gateway", "p2"),
    ("pod-c", "eth0", "leaf", "s1"),
    ("leaf", "s9", "gateway", "p3"),
)


def plan(
    wires: Iterable[Ends] = HONEST, *, rate: int | None = GIGABIT, chassis: Mapping[str, str] | None = None
) -> Topology:
    """Nodes named pod-... are pods, gateway is one."""
    laid = [Wire(one=End(a, p), other=End(b, q), there_bytes_per_s=rate, back_bytes_per_s=rate) for a, p, b, q in wires]
    names = {end.node for wire in laid for end in wire.ends} | {"pod-a", "pod-b", "pod-c"}
    kinds = {"gateway": NodeKind.GATEWAY, "leaf": NodeKind.SWITCH, "net": NodeKind.OUTSIDE}
    nodes = [
        Node(
            name=name,
            kind=NodeKind.POD if name.startswith("pod-") else kinds.get(name, NodeKind.OTHER),
            chassis=(chassis or {}).get(name),
        )
        for name in sorted(names)
    ]
    return Topology.build(nodes, laid)


def neighbour(
    name: str | None, port: str, *, speed: str | None = "1000BaseTFD - x", mac: str | None = None, kind: str = "ifname"
) -> dict[str, Any]:
    """One neighbour as lldpcli prints it; the chassis id is made of the name unless given."""
    body = {"id": {"type": "mac", "value": mac or mac_of(name or "nameless")}}
    told: dict[str, Any] = {"id": {"type": kind, "value": port}, "ttl": "120"}
    if speed is not None:
        told["auto-negotiation"] = {"supported": True, "enabled": True, "current": speed}
    return {"via": "LLDP", "chassis": body if name is None else {name: body}, "port": told}


def mac_of(name: str) -> str:
    return ":".join(f"{byte:02x}" for byte in hashlib.sha256(name.encode()).digest()[:6])


def lldp_text(neighbours: Iterable[tuple[str, dict[str, Any]]]) -> bytes:
    """The output of lldpcli on one host."""
    return json.dumps({"lldp": {"interface": [{port: told} for port, told in neighbours]}}).encode()


def truthful(
    wires: Iterable[Ends], *, speed: str | None = "1000BaseTFD - x"
) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """What lldpcli shows on every node of a site that is wired like this."""
    shown: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for a, p, b, q in wires:
        shown.setdefault(a, []).append((p, neighbour(b, q, speed=speed)))
        shown.setdefault(b, []).append((q, neighbour(a, p, speed=speed)))
    return shown


def surveys(shown: Mapping[str, list[tuple[str, dict[str, Any]]]]) -> list[Survey]:
    return [read_lldp(lldp_text(neighbours), node=node) for node, neighbours in shown.items()]
