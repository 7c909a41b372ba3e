"""Declared against seen: every difference, and everything that could not be compared. Nothing is passed in silence.

Every wire of the plan and every wire that was seen comes out of exactly one of these:

- seen as declared, from both ends: no difference, unless it is faster than declared (`faster`) or its rate was not seen;
- seen as declared from one end only: `one-end` if the other end was asked and did not see it, else `half-surveyed`;
- declared and not seen: `not-seen` if an end was asked, naming which; `not-surveyed` if none was: absent and not looked for
  are different things;
- seen and not declared: `wrong-port` if both nodes are declared to be wired to each other by one of these ports, `wrong-peer`
  if one of the ports is declared to lead elsewhere, `undeclared-wire` otherwise.

Besides: `undeclared-node`; `cloned` (one chassis id under two names, or two under one); `impostor` (a port that two ends
describe differently, a chassis id other than the plan states, a port that hears itself); `crowded` (several neighbours
behind one port: something between them passes LLDP on, and does not speak it).

`COVERAGE` differences say that not all was looked at; all others contradict the plan. `WIRES` are those that add a wire.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from inspectorate.mechanisms.interconnect.topology.graph import End, NodeKind, Topology, Wire, chassis_key
from inspectorate.mechanisms.interconnect.topology.seen import Seen, SeenWire, undeclared_nodes


class DifferenceKind(StrEnum):
    """The closed list of differences between a plan and a round of surveys."""

    UNDECLARED_WIRE = "undeclared-wire"
    WRONG_PEER = "wrong-peer"
    WRONG_PORT = "wrong-port"
    FASTER = "faster"
    NOT_SEEN = "not-seen"
    ONE_END = "one-end"
    UNDECLARED_NODE = "undeclared-node"
    CLONED = "cloned"
    IMPOSTOR = "impostor"
    CROWDED = "crowded"
    NOT_SURVEYED = "not-surveyed"
    HALF_SURVEYED = "half-surveyed"
    RATE_NOT_SEEN = "rate-not-seen"


COVERAGE = frozenset({DifferenceKind.NOT_SURVEYED, DifferenceKind.HALF_SURVEYED, DifferenceKind.RATE_NOT_SEEN})
"""Not everything was looked at."""
WIRES = frozenset({DifferenceKind.UNDECLARED_WIRE, DifferenceKind.WRONG_PEER})
"""A wire is there that was not declared."""
IDENTITIES = frozenset({DifferenceKind.CLONED, DifferenceKind.IMPOSTOR})
"""Somebody is not who it says: what rests on names cannot be trusted."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One difference: what was declared, what was seen, and from where."""

    kind: DifferenceKind
    nodes: frozenset[str]
    declared: str | None = None
    seen: str | None = None
    text: str
    at: frozenset[str] = frozenset()
    """The nodes that a wire which was seen joins."""
    both_ends: bool = False
    """Whether both ends of the wire say so."""

    @property
    def contradicts(self) -> bool:
        return self.kind not in COVERAGE

    def __str__(self) -> str:
        return f"{self.kind.value}: {self.text}"


def compare(plan: Topology, seen: Seen) -> tuple[Difference, ...]:
    """All differences, those that contradict the plan first."""
    matched: set[frozenset[End]] = set()
    explained: set[frozenset[End]] = set()
    found: list[Difference] = []
    for one in seen.wires:
        declared = plan.by_end.get(one.wire.one)
        if declared is not None and declared.ends == one.wire.ends:
            matched.add(declared.ends)
            found += _of_declared(declared, one, seen)
        else:
            difference, others = _of_other(plan, one)
            found.append(difference)
            explained |= others
    for wire in plan.wires:
        if wire.ends not in matched | explained:
            found.append(_of_unseen(wire, seen, plan))
    found += _of_nodes(plan, seen)
    found += _of_identities(plan, seen)
    found += _of_ports(seen)
    order = list(DifferenceKind)
    return tuple(sorted(found, key=lambda d: (order.index(d.kind), d.text)))


def _of_declared(declared: Wire, one: SeenWire, seen: Seen) -> Iterator[Difference]:
    """A wire that was seen where it was declared."""
    wire = one.wire
    if len(one.seen_from) < 2:
        (here,) = one.seen_from
        (there,) = declared.ends - one.seen_from
        asked = there.node in seen.asked
        yield Difference(
            kind=DifferenceKind.ONE_END if asked else DifferenceKind.HALF_SURVEYED,
            nodes=declared.nodes,
            declared=str(declared),
            seen=f"{wire}, from {here}",
            text=f"{declared} was seen from {here} only: "
            + (f"{there.node} was asked, and does not see it" if asked else f"{there.node} was not asked"),
        )
    rates = declared.there_bytes_per_s, declared.back_bytes_per_s
    if wire.bytes_per_s is None:
        yield Difference(
            kind=DifferenceKind.RATE_NOT_SEEN,
            nodes=declared.nodes,
            declared=_with_rate(declared),
            seen=str(wire),
            text=f"{declared} was seen, but not how fast it is",
        )
    elif any(rate is not None and wire.bytes_per_s > rate for rate in rates):
        yield Difference(
            kind=DifferenceKind.FASTER,
            nodes=declared.nodes,
            declared=_with_rate(declared),
            seen=_with_rate(wire),
            text=f"{declared} carries {wire.bytes_per_s:,} B/s, more than the declared "
            f"{min(rate for rate in rates if rate is not None):,} B/s",
            both_ends=len(one.seen_from) == 2,
        )


def _of_other(plan: Topology, one: SeenWire) -> tuple[Difference, set[frozenset[End]]]:
    """A wire that was seen and not declared, and the declared wires whose absence it explains."""
    wire = one.wire
    declared = [plan.by_end[end] for end in (wire.one, wire.other) if end in plan.by_end]
    if any(there.nodes == wire.nodes for there in declared):
        kind = DifferenceKind.WRONG_PORT
    else:
        kind = DifferenceKind.WRONG_PEER if declared else DifferenceKind.UNDECLARED_WIRE
    expected = ", ".join(str(there) for there in declared)
    ends = " and ".join(str(end) for end in sorted(one.seen_from))
    return (
        Difference(
            kind=kind,
            nodes=frozenset({*wire.nodes, *(name for there in declared for name in there.nodes)}),
            declared=expected or None,
            seen=_with_rate(wire),
            text=f"{wire} was seen from {ends}"
            + (f"; declared is {expected}" if expected else ", and nobody declared it"),
            at=wire.nodes,
            both_ends=len(one.seen_from) == 2,
        ),
        {there.ends for there in declared},
    )


def _of_unseen(wire: Wire, seen: Seen, plan: Topology) -> Difference:
    """A declared wire of which nothing was seen."""
    asked = [end for end in (wire.one, wire.other) if end.node in seen.asked]
    others = [end for end in (wire.one, wire.other) if end.node not in seen.asked]
    text = f"{wire} is declared and was not seen"
    if asked:
        text += f" from {' or '.join(str(end) for end in asked)}"
        text += f"; {others[0].node} was not asked" if others else ""
    else:
        text = f"{wire} is declared, and neither end was asked"
    return Difference(
        kind=DifferenceKind.NOT_SEEN if asked else DifferenceKind.NOT_SURVEYED,
        nodes=wire.nodes,
        declared=_with_rate(wire),
        text=text,
    )


def _of_nodes(plan: Topology, seen: Seen) -> Iterator[Difference]:
    for name in undeclared_nodes(plan, seen):
        ports = sorted(str(end) for one in seen.wires for end in one.wire.ends if end.node == name)
        yield Difference(
            kind=DifferenceKind.UNDECLARED_NODE,
            nodes=frozenset({name}),
            seen=", ".join(ports[:8]) or name,
            text=f"{name} stands in no plan" + (f"; it is wired at {', '.join(ports[:8])}" if ports else ""),
        )
    wired = {name for wire in plan.wires for name in wire.nodes}
    for name, node in sorted(plan.nodes.items()):
        if name not in wired | seen.asked and node.kind is not NodeKind.OUTSIDE:
            yield Difference(
                kind=DifferenceKind.NOT_SURVEYED,
                nodes=frozenset({name}),
                declared=f"{name} without a wire",
                text=f"{name} is declared without a wire, and was not asked",
            )


def _of_identities(plan: Topology, seen: Seen) -> Iterator[Difference]:
    """Who shows itself under whose name."""
    names: defaultdict[str, set[str]] = defaultdict(set)
    for node, shown in seen.chassis.items():
        for chassis in shown:
            names[chassis].add(node)
        if len(shown) > 1 and node not in seen.several_chassis:
            yield _identity(DifferenceKind.CLONED, {node}, f"{node} shows {len(shown)} chassis ids: {_list(shown)}")
        stated = plan.nodes[node].chassis if node in plan.nodes else None
        if stated is not None and shown and chassis_key(stated) not in shown:
            text = f"{node} shows the chassis id {_list(shown)}, and not the declared {stated}"
            yield _identity(DifferenceKind.IMPOSTOR, {node}, text)
    for chassis, nodes in names.items():
        if len(nodes) > 1:
            yield _identity(DifferenceKind.CLONED, nodes, f"{_list(nodes)} show one chassis id, {chassis}")


def _of_ports(seen: Seen) -> Iterator[Difference]:
    """Ports that see several, that hear themselves, or that two ends describe differently."""
    for end in seen.loops:
        text = f"{end} hears itself: it is looped, or somebody sends its announcements back"
        yield _identity(DifferenceKind.IMPOSTOR, {end.node}, text)
    for end, peers in seen.peers.items():
        if len(peers) > 1:
            text = f"{end} sees {len(peers)} neighbours: {_list({str(peer) for peer in peers})}"
            yield _identity(DifferenceKind.CROWDED, {end.node, *(peer.node for peer in peers)}, text)
    for one in seen.wires:
        if len(one.seen_from) == 1:
            (here,) = one.seen_from
            (there,) = one.wire.ends - one.seen_from
            others = seen.peers.get(there, frozenset()) - {here}
            if others:
                text = f"{here} sees {there}, which sees {_list({str(other) for other in others})} and not {here.node}"
                yield _identity(DifferenceKind.IMPOSTOR, {here.node, there.node, *(o.node for o in others)}, text)


def _identity(kind: DifferenceKind, nodes: set[str], text: str) -> Difference:
    return Difference(kind=kind, nodes=frozenset(nodes), seen=text, text=text)


def _list(texts: set[str] | frozenset[str]) -> str:
    shown = sorted(texts)
    return ", ".join(shown[:6]) + (f" and {len(shown) - 6} more" if len(shown) > 6 else "")


def _with_rate(wire: Wire) -> str:
    rate = wire.bytes_per_s
    return f"{wire} at {rate:,} B/s" if rate is not None else f"{wire}, rate not stated"
