"""Plans from what is not DOT: our own JSON, a declaration's cabling, and an access list of a cluster in CSV.

Our own JSON:

    {"format": "inspectorate-cabling/v1",
     "nodes": [{"id": "pod-a", "kind": "pod"}, {"id": "host-7", "pod": "pod-b", "chassis": "62:23:06:1b:7f:d1"}],
     "wires": [{"node": "pod-a", "port": "eth0", "other_node": "gateway", "other_port": "p1", "bytes_per_s_max": 1.25e9}]}

`bytes_per_s_max` is from `node` to `other_node`, `back_bytes_per_s_max` the other way (the same, if it is left out). A wire
without either has no stated rate.

In a declaration a node is a pod if it has a pod's id, a gateway if it has the id of a reporter of that kind, and something
else otherwise.

An access list has one row for each server port: `accessport`, `switchname`, `sysname`, `nicname` and others, as the published
cluster traces of Zhejiang Lab have it. Each server counts as a pod of its own; the rate is in the name of the switch's port
(`TwoHundredGigE1/0/1:2`).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from inspectorate.canonical import Record, Text, parse_json
from inspectorate.declaration import Declaration, ReporterKind, Site
from inspectorate.errors import EvidenceError, InputError
from inspectorate.mechanisms.interconnect.topology.graph import (
    NODES_MAX,
    WIRES_MAX,
    End,
    Fault,
    Node,
    NodeKind,
    Topology,
    Wire,
    check_size,
    text_of,
    whole_rate,
)
from inspectorate.quantities import Positive

ACCESS_COLUMNS = ("accessport", "switchname", "sysname", "nicname")
_ACCESS_RATES = {
    "FastEthernet": 100e6,
    "GigabitEthernet": 1e9,
    "Ten-GigabitEthernet": 10e9,
    "Twenty-FiveGigE": 25e9,
    "FortyGigE": 40e9,
    "FiftyGigE": 50e9,
    "HundredGigE": 100e9,
    "TwoHundredGigE": 200e9,
    "FourHundredGigE": 400e9,
    "EightHundredGigE": 800e9,
}
"""Bits/s by the words before the slot in a port's name, as switches of H3C spell them."""
_ACCESS_PORT = re.compile(r"(?P<words>[A-Za-z-]{1,40})[0-9]")


class PlanNode(Record):
    """A node of our own JSON."""

    id: Text
    kind: NodeKind = NodeKind.OTHER
    pod: Text | None = None
    chassis: Text | None = None


class PlanWire(Record):
    """A wire of our own JSON."""

    node: Text
    port: Text
    other_node: Text
    other_port: Text
    bytes_per_s_max: Positive | None = None
    back_bytes_per_s_max: Positive | None = None


class PlanFile(Record):
    """Our own JSON form of a cabling plan."""

    format: Literal["inspectorate-cabling/v1"]
    nodes: tuple[PlanNode, ...] = Field(default=(), max_length=NODES_MAX)
    wires: tuple[PlanWire, ...] = Field(max_length=WIRES_MAX)


def read_plan_json(data: bytes) -> Topology:
    """The plan in our own JSON. Raises `Fault`."""
    check_size(data)
    try:
        plan = PlanFile.parse(parse_json(data, where=""), where="", error=InputError)
    except (InputError, EvidenceError) as fault:
        raise Fault(fault.problem, remedy=fault.remedy) from None
    return Topology.build(
        (Node(name=node.id, kind=node.kind, pod=node.pod, chassis=node.chassis) for node in plan.nodes),
        (_wire(wire) for wire in plan.wires),
    )


def _wire(wire: PlanWire) -> Wire:
    there = None if wire.bytes_per_s_max is None else whole_rate(wire.bytes_per_s_max)
    back = there if wire.back_bytes_per_s_max is None else whole_rate(wire.back_bytes_per_s_max)
    return Wire(
        one=End(wire.node, wire.port),
        other=End(wire.other_node, wire.other_port),
        there_bytes_per_s=there,
        back_bytes_per_s=back,
    )


def plan_of_declaration(declaration: Declaration) -> Topology:
    """The cabling of all sites of a declaration; every declared pod and gateway is a node. Raises `Fault`."""
    return Topology.build(*_of_sites(declaration.sites))


def plan_of_site(site: Site) -> Topology:
    """The cabling of one site. Raises `Fault`."""
    return Topology.build(*_of_sites((site,)))


def _of_sites(sites: Iterable[Site]) -> tuple[list[Node], list[Wire]]:
    nodes: list[Node] = []
    wires: list[Wire] = []
    for site in sites:
        pods = {pod.id for cluster in site.clusters for pod in cluster.pods}
        gateways = {one.id for one in site.reporters if one.kind is ReporterKind.GATEWAY} - pods
        nodes += [Node(name=name, kind=NodeKind.POD) for name in sorted(pods)]
        nodes += [Node(name=name, kind=NodeKind.GATEWAY) for name in sorted(gateways)]
        for wire in site.cabling:
            rate = whole_rate(wire.bytes_per_s_max)
            ends = End(wire.node, wire.port), End(wire.other_node, wire.other_port)
            wires.append(Wire(one=ends[0], other=ends[1], there_bytes_per_s=rate, back_bytes_per_s=rate))
    return nodes, wires


def read_access_list(data: bytes) -> Topology:
    """The plan in an access list. Raises `Fault` naming the line."""
    rows = csv.DictReader(io.StringIO(text_of(data)), strict=True)
    try:
        missing = set(ACCESS_COLUMNS) - set(rows.fieldnames or ())
        if missing:
            raise Fault(f"has no column {', '.join(sorted(missing))}", line=1)
        nodes: dict[str, Node] = {}
        wires: list[Wire] = []
        for row in rows:
            values = {name: row[name] or "" for name in ACCESS_COLUMNS}
            # The published list leaves two ports of one server without a name: a wire with an unnamed end is a wire.
            values["nicname"] = values["nicname"] or f"unnamed, at {values['switchname']} {values['accessport']}"
            empty = [name for name, value in values.items() if not value]
            if empty or None in row:
                raise Fault(f"has no {empty[0]}" if empty else "has too many fields", line=rows.line_num)
            if len(wires) >= WIRES_MAX:
                raise Fault(f"more than {WIRES_MAX} wires", line=rows.line_num)
            for name, kind in ((values["sysname"], NodeKind.POD), (values["switchname"], NodeKind.SWITCH)):
                if nodes.setdefault(name, Node(name=name, kind=kind)).kind is not kind:
                    raise Fault(f"{name!r} is both a server and a switch", line=rows.line_num)
            rate = _access_rate(values["accessport"])
            server = End(values["sysname"], values["nicname"])
            switch = End(values["switchname"], values["accessport"])
            wires.append(Wire(one=server, other=switch, there_bytes_per_s=rate, back_bytes_per_s=rate))
    except csv.Error as fault:
        raise Fault(f"is not CSV: {fault}", line=rows.line_num) from None
    return Topology.build(nodes.values(), wires)


def _access_rate(port: str) -> int | None:
    found = _ACCESS_PORT.match(port)
    bits = _ACCESS_RATES.get(found["words"]) if found else None
    return None if bits is None else whole_rate(bits / 8)
