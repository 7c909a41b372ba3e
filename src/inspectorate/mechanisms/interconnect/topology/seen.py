"""Surveys of one round, joined: sightings from both ends of a wire become one wire, under the names that the plan has.

1. A device is the plan's node of one of its names; else the plan's node of its chassis; else the node of that name that was
   itself asked; else a node of its first name, which nobody declared.
2. A port is the first of its names that the plan has for that node; else the first under which the node itself reports; else
   its first name.
3. Where the peer was asked, too, and has no port of that name (a bare MAC address, say), the port is that of the peer's only
   sighting which leads back to the port that sees; else, if each of both nodes has one such sighting of the other, those two
   are one wire.
4. Sightings of the same two ends are one wire, seen from those ends. Its rate is the highest that either states.

Nothing is dropped: a port that sees several neighbours has several wires, and a device under two names stays two nodes.
Not done here: any judgement (`compare`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType

from inspectorate.mechanisms.interconnect.topology.graph import End, Topology, Wire, chassis_key
from inspectorate.mechanisms.interconnect.topology.survey import Claimed, Sighting, Survey


@dataclass(frozen=True, kw_only=True)
class SeenWire:
    """A wire as surveys show it."""

    wire: Wire
    seen_from: frozenset[End]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a round of surveys shows, under the plan's names."""

    wires: tuple[SeenWire, ...]
    asked: frozenset[str]
    """Nodes that were asked, whether they saw anybody or not."""
    chassis: Mapping[str, frozenset[str]]
    """Chassis ids under which each node showed itself."""
    several_chassis: frozenset[str]
    """Nodes that may have more than one."""
    loops: tuple[End, ...]
    """Ports that hear themselves."""
    ttl_s_max: int | None

    @cached_property
    def peers(self) -> Mapping[End, frozenset[End]]:
        """What each port that was asked sees."""
        found: defaultdict[End, set[End]] = defaultdict(set)
        for seen in self.wires:
            for end in seen.seen_from:
                found[end] |= seen.wire.ends - {end}
        return {end: frozenset(others) for end, others in found.items()}


def join(surveys: Iterable[Survey], plan: Topology) -> Seen:
    """Join the surveys of one round (steps in the module's docstring). Empty surveys give an empty round."""
    surveys = tuple(surveys)
    names = _Names(plan, surveys)
    pairs = [(names.end(s.at), names.end(s.peer), s) for survey in surveys for s in survey.sightings]
    pairs = _settle(pairs, names)
    wires: dict[frozenset[End], Wire] = {}
    seen_from: defaultdict[frozenset[End], set[End]] = defaultdict(set)
    loops: dict[End, None] = {}
    for at, peer, sighting in pairs:
        if at == peer:
            loops[at] = None
            continue
        ends = frozenset((at, peer))
        seen_from[ends].add(at)
        rate = sighting.bytes_per_s
        former = wires.setdefault(
            ends, Wire(one=min(ends), other=max(ends), there_bytes_per_s=rate, back_bytes_per_s=rate)
        )
        if rate is not None and (former.bytes_per_s or 0) < rate:
            wires[ends] = replace(former, there_bytes_per_s=rate, back_bytes_per_s=rate)
    ttls = [s.ttl_s for _, _, s in pairs if s.ttl_s is not None]
    return Seen(
        wires=tuple(SeenWire(wire=wires[ends], seen_from=frozenset(seen_from[ends])) for ends in wires),
        asked=names.asked,
        chassis=names.chassis(),
        several_chassis=names.several_chassis(),
        loops=tuple(loops),
        ttl_s_max=max(ttls, default=None),
    )


def wired(plan: Topology, seen: Iterable[Seen] = ()) -> Topology:
    """All that is wired, as far as anybody says: what is declared, and what was seen besides.

    A wire that was seen faster than declared counts as fast as it was seen; one that was seen slower, as declared.
    """
    laid = {wire.ends: wire for wire in plan.wires}
    for one in seen:
        for found in one.wires:
            laid[found.wire.ends] = _faster(laid.get(found.wire.ends), found.wire)
    nodes = plan.nodes.values()
    return Topology.build(nodes, laid.values(), one_wire_per_port=False)


def shown(plan: Topology, seen: Seen, *, both_ends: bool) -> Topology:
    """Only what surveys show, with rates that they state: wires without one are left out. A lower bound on what is wired."""
    wires = (
        one.wire
        for one in seen.wires
        if one.wire.bytes_per_s is not None and (len(one.seen_from) == 2 or not both_ends)
    )
    return Topology.build(plan.nodes.values(), wires, one_wire_per_port=False)


def _faster(declared: Wire | None, seen: Wire) -> Wire:
    if declared is None or seen.bytes_per_s is None:
        return declared or seen
    there, back = (
        None if rate is None else max(rate, seen.bytes_per_s)
        for rate in (declared.there_bytes_per_s, declared.back_bytes_per_s)
    )
    return replace(declared, there_bytes_per_s=there, back_bytes_per_s=back)


def planned_name(claimed: Claimed, plan: Topology) -> str | None:
    """The plan's node that a claim means; none if it knows neither names nor chassis."""
    known = next((name for name in claimed.names if name in plan.nodes), None)
    if known is None and claimed.chassis is not None:
        known = plan.by_chassis.get(chassis_key(claimed.chassis))
    return known


class _Names:
    """Which node and port of the plan a claim means (steps 1 and 2)."""

    def __init__(self, plan: Topology, surveys: tuple[Survey, ...]) -> None:
        self._plan = plan
        self._asked = {name for survey in surveys for one in survey.asked for name in one.names[:1]}
        self._claims: defaultdict[str, set[Claimed]] = defaultdict(set)
        asked = [one for survey in surveys for one in survey.asked]
        self.asked = frozenset(self.node(one) for one in asked)
        for one in (*asked, *(s.peer for survey in surveys for s in survey.sightings)):
            self._claims[self.node(one)].add(one)
        self.own_ports: defaultdict[str, set[str]] = defaultdict(set)
        for survey in surveys:
            for sighting in survey.sightings:
                self.own_ports[self.node(sighting.at)].update(sighting.at.ports[:1])

    def node(self, claimed: Claimed) -> str:
        known = planned_name(claimed, self._plan)
        return known or next((name for name in claimed.names if name in self._asked), claimed.names[0])

    def end(self, claimed: Claimed) -> End:
        node = self.node(claimed)
        for port in claimed.ports:
            if End(node, port) in self._plan.by_end:
                return End(node, port)
        own = self.own_ports.get(node, set())
        return End(node, next((port for port in claimed.ports if port in own), claimed.ports[0]))

    def is_loose(self, end: End) -> bool:
        """Whether the node of a port was asked and does not itself report under that port."""
        return (
            end.node in self.asked and end not in self._plan.by_end and end.port not in self.own_ports.get(end.node, ())
        )

    def chassis(self) -> Mapping[str, frozenset[str]]:
        return MappingProxyType(
            {
                node: frozenset(chassis_key(claim.chassis) for claim in claims if claim.chassis)
                for node, claims in self._claims.items()
            }
        )

    def several_chassis(self) -> frozenset[str]:
        return frozenset(node for node, claims in self._claims.items() if any(not c.one_chassis for c in claims))


def _settle(pairs: list[tuple[End, End, Sighting]], names: _Names) -> list[tuple[End, End, Sighting]]:
    """Step 3: give a name to peers' ports that the peers do not report under."""
    back: defaultdict[tuple[str, End], list[End]] = defaultdict(list)
    loose: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for place, (at, peer, _) in enumerate(pairs):
        back[at.node, peer].append(at)
        if names.is_loose(peer):
            loose[at.node, peer.node].append(place)
    settled = list(pairs)
    for (near, far), places in loose.items():
        for place in places:
            at, _, sighting = pairs[place]
            ends = back.get((far, at), [])
            if len(ends) == 1:
                settled[place] = (at, ends[0], sighting)
            elif not ends and len(places) == 1 and len(loose.get((far, near), ())) == 1 and near != far:
                opposite = pairs[loose[far, near][0]][0]
                settled[place] = (at, opposite, sighting)
    return settled


def undeclared_nodes(plan: Topology, seen: Seen) -> tuple[str, ...]:
    """Nodes that were seen, or asked, and that the plan does not have; sorted."""
    shown = {name for one in seen.wires for name in one.wire.nodes} | seen.asked
    return tuple(sorted(shown - set(plan.nodes)))
