"""What passes no gateway: neighbourhoods, the largest bandwidth between pods there, and ways out.

A node that nobody declared counts as the outside: where it leads, nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from inspectorate.mechanisms.interconnect.topology.bandwidth import Cut, Network, Pairs
from inspectorate.mechanisms.interconnect.topology.graph import NodeKind, Topology
from inspectorate.mechanisms.interconnect.topology.seen import Seen, undeclared_nodes, wired


@dataclass(frozen=True, kw_only=True)
class Around:
    """All that is wired, without the gateways."""

    topology: Topology
    """All that is wired, gateways included."""
    network: Network
    pairs: Pairs
    outside: tuple[str, ...]
    """Nodes that are, or may be, the outside."""

    def neighbourhood(self, pod: str) -> frozenset[str]:
        """What a pod reaches without passing a gateway, itself included, as nodes of the topology."""
        return self.network.reached(pod) & frozenset(self.topology.nodes)

    def largest_of(self, pod: str) -> Cut | None:
        """The largest bandwidth of a pod to another, either way; none if it reaches no other."""
        other, _ = self.pairs.of_pod(pod)
        if other is None:
            return None
        return max(self.network.cut(pod, other), self.network.cut(other, pod), key=lambda cut: cut.bytes_per_s)

    def ways(self, pod: str, *, count: int | None = None) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Other pods and nodes of the outside that a pod reaches, nearest first, with the wires that lead there."""
        return tuple(self.network.paths(pod, self._ends, count=count).items())

    @cached_property
    def _ends(self) -> frozenset[str]:
        return frozenset((*self.pairs.pods, *self.outside))


def look_around(plan: Topology, seen: Iterable[Seen] = ()) -> Around:
    """Look at a plan, and at what was seen besides, without the gateways."""
    rounds = tuple(seen)
    topology = wired(plan, rounds)
    network = Network(topology, around_gateway=True)
    unknown = {name for one in rounds for name in undeclared_nodes(plan, one)} & set(topology.nodes)
    return Around(
        topology=topology,
        network=network,
        pairs=network.pairs(),
        outside=tuple(sorted(unknown | set(topology.of_kind(NodeKind.OUTSIDE)))),
    )
