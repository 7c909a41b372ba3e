"""The one type into which every reader reads: nodes, ports, and wires between ports, with a rate for each direction.

Rules:

- A multigraph: two nodes may have any number of wires between them. A wire joins two different ports.
- Names are what the source says, 1 to 255 printable characters. Nothing is shortened or put into another case.
- A rate is a whole number of bytes/s, rounded up, so that cuts are exact. None: the source does not say. A reader never
  puts a number there; whoever needs one takes `reference.FASTEST_PORT_BYTES_PER_S` and says so.
- In a plan every port has at most one wire, as a real one has. What was seen may say otherwise: that is a finding.
- Sizes are bounded before anything is built of them.

`Fault` is how a reader of this package refuses: it names the place, and becomes an `InputError` for a plan, which the
reviewer or the operator of this program gave, and an `EvidenceError` for what was seen.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import Self

NODES_MAX = 50_000
WIRES_MAX = 200_000
NAME_CHARACTERS_MAX = 255
FILE_BYTES_MAX = 32 * 1024 * 1024
RATE_BYTES_PER_S_MAX = 10**13
"""80 Tb/s, far above any wire: the sum of `WIRES_MAX` of them in both directions still fits into 63 bits."""

_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]{1,255}")


class Fault(ValueError):
    """A file that cannot be read, and where in it."""

    def __init__(self, problem: str, *, line: int = 0, column: int = 0, remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line
        self.column = column
        self.remedy = remedy

    def place(self, where: str) -> str:
        """`where`, with line and column where they are known."""
        return ":".join([where, *(str(number) for number in (self.line, self.column) if number)])


class NodeKind(StrEnum):
    POD = "pod"
    GATEWAY = "gateway"
    """Holds every pod to a limit; paths through it are not paths around it."""
    SWITCH = "switch"
    OUTSIDE = "outside"
    """The world: a path to it that passes no gateway is a way out."""
    OTHER = "other"


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """One thing with ports. A host of a pod names the pod; a pod of one host is its own."""

    name: str
    kind: NodeKind = NodeKind.OTHER
    pod: str | None = None
    chassis: str | None = None
    """The identity that it must announce (chassis id, GUID), where the source states one."""


@dataclass(frozen=True, order=True, slots=True)
class End:
    """One port of one node."""

    node: str
    port: str

    def __str__(self) -> str:
        return f"{self.node}:{self.port}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Wire:
    """One cable. Rates in bytes/s: `there` from `one` to `other`, `back` from `other` to `one`."""

    one: End
    other: End
    there_bytes_per_s: int | None = None
    back_bytes_per_s: int | None = None

    def __post_init__(self) -> None:
        if self.one == self.other:
            raise Fault(f"a wire joins the port {self.one} to itself")

    @property
    def ends(self) -> frozenset[End]:
        return frozenset((self.one, self.other))

    @property
    def nodes(self) -> frozenset[str]:
        return frozenset((self.one.node, self.other.node))

    @property
    def bytes_per_s(self) -> int | None:
        """The faster of both directions; None if either is not known."""
        if self.there_bytes_per_s is None or self.back_bytes_per_s is None:
            return None
        return max(self.there_bytes_per_s, self.back_bytes_per_s)

    def __str__(self) -> str:
        return f"{self.one} -- {self.other}"


@dataclass(frozen=True, kw_only=True)
class Topology:
    """Nodes and wires. Built by `Topology.build`, which checks it."""

    nodes: Mapping[str, Node]
    wires: tuple[Wire, ...]
    by_end: Mapping[End, Wire] = field(repr=False, compare=False)
    """The wire of each port: in a plan the only one, otherwise the first."""

    @classmethod
    def build(cls, nodes: Iterable[Node], wires: Iterable[Wire], *, one_wire_per_port: bool = True) -> Self:
        """Check and index. A node that only a wire names is of kind `other`. Raises `Fault`."""
        known: dict[str, Node] = {}
        for node in nodes:
            if known.setdefault(check_name(node.name), node) != node:
                raise Fault(f"the node {node.name} is described twice, and differently")
        laid = tuple(wires)
        if len(laid) > WIRES_MAX:
            raise Fault(f"{len(laid)} wires are more than {WIRES_MAX}")
        by_end: dict[End, Wire] = {}
        for wire in laid:
            for end in (wire.one, wire.other):
                known.setdefault(check_name(end.node), Node(name=end.node))
                check_name(end.port)
                if by_end.setdefault(end, wire) is not wire and one_wire_per_port:
                    raise Fault(f"the port {end} has two wires: {by_end[end]} and {wire}")
        if len(known) > NODES_MAX:
            raise Fault(f"{len(known)} nodes are more than {NODES_MAX}")
        return cls(nodes=MappingProxyType(known), wires=laid, by_end=MappingProxyType(by_end))

    def of_kind(self, kind: NodeKind) -> tuple[str, ...]:
        """The names of the nodes of one kind, sorted."""
        return tuple(sorted(name for name, node in self.nodes.items() if node.kind is kind))

    @property
    def pods(self) -> tuple[str, ...]:
        """The pods, sorted: nodes that are pods, and pods of which hosts are named."""
        named = {node.pod for node in self.nodes.values() if node.pod is not None}
        return tuple(sorted(named | set(self.of_kind(NodeKind.POD))))

    @cached_property
    def by_chassis(self) -> Mapping[str, str]:
        """The node of each chassis id that is stated."""
        return {chassis_key(node.chassis): node.name for node in self.nodes.values() if node.chassis}

    def pod_of(self, name: str) -> str | None:
        """The pod to which a node belongs."""
        node = self.nodes.get(name)
        if node is None:
            return None
        return node.name if node.kind is NodeKind.POD else node.pod


def chassis_key(text: str) -> str:
    """A chassis id in the form in which two are compared."""
    return text.lower().removeprefix("guid:").removeprefix("0x")


def check_name(text: str) -> str:
    """A name of a node or a port. Raises `Fault` on an empty, overlong or unprintable one."""
    if not _NAME.fullmatch(text):
        raise Fault(f"{text[:40]!r} cannot name a node or a port", remedy="1 to 255 printable characters")
    return text


def whole_rate(bytes_per_s: float) -> int:
    """A rate as a whole number of bytes/s, rounded up. Raises `Fault` outside of what a wire can carry."""
    if not 0 < bytes_per_s <= RATE_BYTES_PER_S_MAX:
        raise Fault(
            f"{bytes_per_s:.6g} bytes/s is no rate of a wire", remedy=f"above 0, at most {RATE_BYTES_PER_S_MAX:g}"
        )
    return math.ceil(bytes_per_s)


def check_size(data: bytes) -> None:
    """Raises `Fault` on a file too large to be read, or without anything in it."""
    if len(data) > FILE_BYTES_MAX:
        raise Fault(f"has {len(data)} bytes, more than {FILE_BYTES_MAX}")
    if not data.strip():
        raise Fault("is empty", remedy="an empty file says nothing, not that nothing is wired")


def text_of(data: bytes) -> str:
    """The text of a file of bounded size, in UTF-8. Raises `Fault`."""
    check_size(data)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        raise Fault("is not UTF-8 text", line=line) from None
