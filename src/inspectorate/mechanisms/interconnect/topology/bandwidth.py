"""The largest bandwidth between pods over all that is wired, and which wires carry it.

- The hosts of a pod count as one node: a pod has high bandwidth within. Everything else passes on whatever it is given, pods
  included: a pod may relay for others. Without that (`through_pods=False`) the bandwidth can only be lower.
- `around_gateway`: every gateway is taken out, with all its wires. What is left between two pods is what no gateway limits.
- `limits`: a gateway that is verified to hold each pod to a rate, and to drop all else, is taken as exactly that: each pod
  reaches it at no more than its limit, in each direction, whatever wires lead there; besides, only its wires to the outside
  and to other gateways count. Pods without a limit do not reach it.
- A wire whose rate is not stated counts for `reference.FASTEST_PORT_BYTES_PER_S`, and every result that rests on one says so.

By the theorem of Ford and Fulkerson the largest flow equals the smallest cut: a set of wires, without which nothing passes.
It is an upper bound on any traffic, whatever protocol or routing. Capacities are whole numbers; nothing is rounded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from inspectorate.mechanisms.interconnect.topology import flow, reference
from inspectorate.mechanisms.interconnect.topology.graph import NodeKind, Topology, Wire


@dataclass(frozen=True, kw_only=True)
class Limit:
    """What a gateway lets a pod send and receive [bytes/s]."""

    sent_bytes_per_s: int
    received_bytes_per_s: int


@dataclass(frozen=True, kw_only=True)
class CutWire:
    """One thing that carries a cut: a wire in one direction, or a gateway's limit on a pod."""

    name: str
    bytes_per_s: int
    assumed: bool
    """Nobody states its rate; it is counted for the fastest port there is."""


@dataclass(frozen=True, kw_only=True)
class Cut:
    """The largest bandwidth from one node to another, and what carries it."""

    source: str
    target: str
    bytes_per_s: int
    wires: tuple[CutWire, ...]

    @property
    def assumed(self) -> bool:
        return any(wire.assumed for wire in self.wires)


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """The largest bandwidth between each two pods, in the direction in which it is larger or above it."""

    pods: tuple[str, ...]
    bytes_per_s: flow.Ints
    """Shape (pods, pods), symmetric, 0 on the diagonal."""
    exact: bool
    """Whether all wires are as fast in both directions; otherwise the numbers are upper bounds."""

    def largest(self, count: int) -> tuple[tuple[str, str, int], ...]:
        """The pairs with the largest bandwidth, largest first; those without any are left out."""
        rows, columns = np.triu_indices(len(self.pods), k=1)
        values = self.bytes_per_s[rows, columns]
        order = np.lexsort((columns, rows, -values))[:count]
        return tuple((self.pods[rows[i]], self.pods[columns[i]], int(values[i])) for i in order if values[i] > 0)

    def of_pod(self, pod: str) -> tuple[str | None, int]:
        """The pod to which one has the largest bandwidth, and that; none and 0 if it reaches no other."""
        row = self.bytes_per_s[self.pods.index(pod)]
        best = int(row.argmax()) if len(row) else 0
        return (self.pods[best], int(row[best])) if len(row) and row[best] > 0 else (None, 0)


@dataclass(frozen=True, slots=True)
class _Carrier:
    """What joins two nodes of the network: a wire, or a limit."""

    name: str
    there: int
    back: int
    assumed: bool


class Network:
    """A topology made ready for questions about bandwidth."""

    def __init__(
        self, topology: Topology, *, around_gateway: bool = False, limits: Mapping[str, Limit] | None = None
    ) -> None:
        """Raises `ValueError` if both are asked for: around a gateway its limits do not matter."""
        if around_gateway and limits is not None:
            raise ValueError("a limit of a gateway does not matter around it")
        self._topology = topology
        gateways = frozenset(topology.of_kind(NodeKind.GATEWAY))
        self._gone = gateways if around_gateway else frozenset()
        self._groups = {name: topology.pod_of(name) or name for name in topology.nodes if name not in self._gone}
        self._places = {name: place for place, name in enumerate(sorted(set(self._groups.values())))}
        self._members: dict[int, list[str]] = {place: [name] for name, place in self._places.items()}
        for name, group in self._groups.items():
            if name != group:
                self._members[self._places[group]].append(name)
        self._carriers: dict[tuple[int, int], list[_Carrier]] = {}
        kept = [wire for wire in topology.wires if not wire.nodes & self._gone]
        if limits is not None:
            self._lay_limits(gateways, limits)
            beyond = gateways | frozenset(topology.of_kind(NodeKind.OUTSIDE))
            kept = [wire for wire in kept if not wire.nodes & gateways or wire.nodes <= beyond]
        for wire in kept:
            self._lay(wire.one.node, wire.other.node, _carrier(wire))
        self._arcs = self._build()

    def _lay(self, one: str, other: str, carrier: _Carrier) -> None:
        ends = self._place(one), self._place(other)
        if ends[0] > ends[1]:
            ends = ends[::-1]
            carrier = _Carrier(carrier.name, carrier.back, carrier.there, carrier.assumed)
        if ends[0] != ends[1]:
            self._carriers.setdefault(ends, []).append(carrier)

    def _lay_limits(self, gateways: frozenset[str], limits: Mapping[str, Limit]) -> None:
        """Join each limited pod to each gateway that it reaches over the wires, at no more than its limit."""
        bare = Network(self._topology)
        for gateway in sorted(gateways):
            for pod in self._topology.pods:
                if pod in limits:
                    sent = min(limits[pod].sent_bytes_per_s, bare.cut(pod, gateway).bytes_per_s)
                    received = min(limits[pod].received_bytes_per_s, bare.cut(gateway, pod).bytes_per_s)
                    self._lay(pod, gateway, _Carrier(f"limit of {gateway} on {pod}", sent, received, False))

    def _build(self) -> flow.Arcs:
        return flow.Arcs.build(
            len(self._places),
            (
                (low, high, sum(c.there for c in carriers), sum(c.back for c in carriers))
                for (low, high), carriers in self._carriers.items()
            ),
        )

    def cut(self, source: str, target: str, *, through_pods: bool = True) -> Cut:
        """The largest bandwidth from one pod or node to another. Raises `KeyError` on one that is not there."""
        ends = self._place(source), self._place(target)
        if ends[0] == ends[1]:
            raise ValueError(f"{source} and {target} are one pod")
        arcs = self._arcs if through_pods else self._without_relays(ends)
        value, side = flow.max_flow(arcs, *ends)
        wires: list[CutWire] = []
        barred = set() if through_pods else self._relays(ends)
        for (low, high), carriers in self._carriers.items():
            if side[low] == side[high] or low in barred or high in barred:
                continue
            for carrier in carriers:
                rate = carrier.there if side[low] else carrier.back
                wires.append(CutWire(name=carrier.name, bytes_per_s=rate, assumed=carrier.assumed))
        wires.sort(key=lambda wire: (-wire.bytes_per_s, wire.name))
        assert sum(wire.bytes_per_s for wire in wires) == value, "a cut carries what flows through it"
        return Cut(source=source, target=target, bytes_per_s=value, wires=tuple(wires))

    def _relays(self, ends: tuple[int, int]) -> set[int]:
        return {self._places[pod] for pod in self._topology.pods} - set(ends)

    def _without_relays(self, ends: tuple[int, int]) -> flow.Arcs:
        barred = self._relays(ends)
        return flow.Arcs.build(
            len(self._places),
            (
                (low, high, sum(c.there for c in carriers), sum(c.back for c in carriers))
                for (low, high), carriers in self._carriers.items()
                if not {low, high} & barred
            ),
        )

    def pairs(self) -> Pairs:
        """The largest bandwidth between each two pods: one flow for each pod but the first."""
        pods = self._topology.pods
        arcs = self._arcs if self._arcs.symmetric else self._arcs.widened()
        terminals = np.array([self._places[pod] for pod in pods], dtype=np.int64)
        matrix = flow.all_cuts(*flow.cut_tree(arcs, terminals))
        return Pairs(pods=pods, bytes_per_s=matrix, exact=self._arcs.symmetric)

    def path(self, source: str, target: str) -> tuple[str, ...]:
        """The fewest wires, in order and by name, that lead from one node to another; none if nothing does."""
        return self.paths(source, [target]).get(target, ())

    def paths(self, source: str, targets: Collection[str], *, count: int | None = None) -> dict[str, tuple[str, ...]]:
        """For each of some nodes that a node reaches, nearest first, the fewest wires that lead there, by name and in order.

        At most `count` of them; all if it is not given.
        """
        start = self._place(source)
        came = self._spread(start)
        found: dict[str, tuple[str, ...]] = {}
        for reached in came:
            for target in self._members[reached]:
                if reached == start or target not in targets:
                    continue
                if count is not None and len(found) >= count:
                    return found
                steps: list[str] = []
                node = reached
                while node != start:
                    node, name = came[node]
                    steps.append(name)
                found[target] = tuple(reversed(steps))
        return found

    def reached(self, source: str) -> frozenset[str]:
        """All nodes that a node reaches over wires of nonzero rate, itself and all hosts of reached pods included."""
        return frozenset(name for place in self._spread(self._place(source)) for name in self._members[place])

    def _place(self, name: str) -> int:
        return self._places[self._groups.get(name, name)]

    def _spread(self, start: int) -> dict[int, tuple[int, str]]:
        """Every node that is reached, with the node before it on the shortest way, and the wire from there."""
        came: dict[int, tuple[int, str]] = {start: (start, "")}
        queue = deque([start])
        while queue:
            node = queue.popleft()
            for neighbour, name in self._beside.get(node, ()):
                if neighbour not in came:
                    came[neighbour] = (node, name)
                    queue.append(neighbour)
        return came

    @cached_property
    def _beside(self) -> dict[int, list[tuple[int, str]]]:
        """The neighbours of each node, each with the name of the fastest wire that leads there."""
        beside: dict[int, list[tuple[int, str]]] = {}
        for (low, high), carriers in self._carriers.items():
            there = max(carriers, key=lambda c: c.there)
            back = max(carriers, key=lambda c: c.back)
            if there.there > 0:
                beside.setdefault(low, []).append((high, there.name))
            if back.back > 0:
                beside.setdefault(high, []).append((low, back.name))
        return beside


def _carrier(wire: Wire) -> _Carrier:
    fastest = reference.FASTEST_PORT_BYTES_PER_S
    there, back = wire.there_bytes_per_s, wire.back_bytes_per_s
    return _Carrier(
        name=str(wire),
        there=fastest if there is None else there,
        back=fastest if back is None else back,
        assumed=there is None or back is None,
    )
