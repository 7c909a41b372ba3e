"""Conservation: what enters a node leaves it, and what leaves one end of a cable enters the other.

Procedure (`balance`), for one node:

1. Windows of about `BALANCE_WINDOW_S` are cut where the node is quietest nearby: at an edge, what a port carried between its
   readings before and after it may belong to either side. That is the tolerance, and it is a bound: per port and direction
   the increase of the step that holds the edge (at most skew x rate), summed over ports and both edges of a window.
2. In every window the octets of all ports in, minus out, lie between bounds. The window is *unbalanced* if these exclude
   zero by more than `NODE_OWN_SHARE` of the node's traffic, which leaves room for named exceptions: frames dropped (more in
   than out), replicated by multicast or flooding (more out than in), begun or ended in the node itself, and headers put on or
   taken off in it.
3. If at least `LASTING_SHARE` of the windows are unbalanced, the imbalance is lasting: a port is not counted, or miscounted.
   The hypothesis of one such port fits if its net rate, which is the imbalance with the other sign, never exceeds what the
   fastest port of the node can carry. Ports that are declared and have no readings are named.

Assumption: a node refreshes the counters of all its ports together, so that ages cancel; where it does not, the edges are
less quiet than they look, and `age_ns` of the readings should say so.
Not found: a missing port that carries as much in as out in every window. Only the list of declared ports names that one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from inspectorate.mechanisms.interconnect.counters.increase import PortSteps
from inspectorate.mechanisms.interconnect.counters.levels import Levels, amounts, observed
from inspectorate.mechanisms.interconnect.counters.readings import Port
from inspectorate.mechanisms.interconnect.counters.reference import (
    BALANCE_WINDOW_S,
    LASTING_SHARE,
    LASTING_WINDOWS_MIN,
    NODE_OWN_SHARE,
)
from inspectorate.mechanisms.interconnect.traffic import Floats, Mask, Times

EDGE_CANDIDATES_PER_WINDOW = 240
EDGES_MAX = 50_000


class Balance(StrEnum):
    """What the sum over a node's ports says."""

    BALANCED = "balanced"
    """Zero, up to the node's own share, is within the bounds of most windows."""
    LASTING_IMBALANCE = "lasting-imbalance"
    """A port is missing or miscounted."""
    NOT_ASKED = "not-asked"
    """Too few windows in which all ports have readings."""


@dataclass(frozen=True, kw_only=True)
class NodeBalance:
    """In minus out of a node, window by window. Arrays of shape (windows,), [bytes]."""

    node: str
    verdict: Balance
    edges_ns: Times
    """Shape (windows + 1,)."""
    carried: Floats
    """What entered: the scale of everything else."""
    net: Floats
    """The estimate of in minus out."""
    net_lower: Floats
    net_upper: Floats
    unbalanced: Mask
    ports: int
    missing: tuple[str, ...]
    """Ports that are declared and have no readings."""
    suspects: tuple[str, ...]
    """Ports that stood still while the node moved, or whose counters contradict themselves."""
    one_port_fits: bool
    """Whether one port of the node's fastest speed explains the imbalance."""

    @property
    def relative(self) -> float:
        """The imbalance of the whole record, as a share of what entered; 0 for a node that carried nothing."""
        carried = float(self.carried.sum())
        return float(self.net.sum()) / carried if carried else 0.0

    @property
    def digits(self) -> float:
        """To how many digits in and out agree over the whole record."""
        return -math.log10(max(abs(self.relative), 1e-18))

    @property
    def net_bytes_per_s(self) -> float:
        """The mean absolute net rate of the unbalanced windows: what an uncounted port would have carried net."""
        if not self.unbalanced.any():
            return 0.0
        seconds = np.diff(self.edges_ns)[self.unbalanced] / 1e9
        return float((np.abs(self.net)[self.unbalanced] / seconds).mean())

    def explanation(self) -> str:
        """What was found in words, and which ports speak against it."""
        named = [f"declared without readings: {', '.join(self.missing[:4])}"] if self.missing else []
        named += [f"suspect: {', '.join(self.suspects[:4])}"] if self.suspects else []
        return "; ".join([self._found(), *named])

    def _found(self) -> str:
        if self.verdict is Balance.NOT_ASKED:
            return f"{self.node}: readings of all ports cover too little time to compare in and out"
        if self.verdict is Balance.BALANCED:
            return f"{self.node}: in and out of {self.ports} ports agree to {self.digits:.1f} digits"
        surplus = float(self.net[self.unbalanced].sum())
        way = "entered and did not leave" if surplus > 0 else "left and did not enter"
        what = (
            "one port that is not counted, or miscounted, fits"
            if self.one_port_fits
            else "more than one port is needed"
        )
        return (
            f"{self.node}: in {int(self.unbalanced.sum())} of {len(self.net)} windows in and out differ, by "
            f"{self.net_bytes_per_s:,.0f} B/s on average; in sum {abs(surplus):,.0f} bytes {way}; {what}"
        )


def balance(
    node: str, steps: Iterable[PortSteps], *, declared: Sequence[Port] = (), window_s: float = BALANCE_WINDOW_S
) -> NodeBalance:
    """In against out of one node (procedure in the module's docstring)."""
    known = [one for one in steps if one.port.node == node and one.steps]
    missing = tuple(str(port) for port in declared if port.node == node and port not in {one.port for one in known})
    suspects = tuple(str(one.port) for one in known if one.frozen.any() or one.doubtful.any())
    # (1)
    levels = [(Levels(one, "in_octets"), Levels(one, "out_octets")) for one in known]
    edges = _quiet_edges(known, levels, window_s)
    if len(edges) <= LASTING_WINDOWS_MIN:
        return _not_asked(node, len(known), missing, suspects)
    # (2)
    start, end = edges[:-1], edges[1:]
    carried, net, lower, upper = (np.zeros(len(start)) for _ in range(4))
    for into, out in levels:
        entered, left = into.between(start, end), out.between(start, end)
        carried += entered.estimate
        net += entered.estimate - left.estimate
        lower += entered.lower - left.upper
        upper += entered.upper - left.lower
    own = NODE_OWN_SHARE * carried
    unbalanced = (lower > own) | (upper < -own)
    # (3)
    lasting = int(unbalanced.sum()) >= max(LASTING_WINDOWS_MIN, LASTING_SHARE * len(start))
    fastest = max(one.speed_bits_per_s for one in known) / 8 or math.inf
    least = np.maximum(np.maximum(lower, -upper), 0)
    return NodeBalance(
        node=node,
        verdict=Balance.LASTING_IMBALANCE if lasting else Balance.BALANCED,
        edges_ns=edges,
        carried=carried,
        net=net,
        net_lower=lower,
        net_upper=upper,
        unbalanced=unbalanced,
        ports=len(known),
        missing=missing,
        suspects=suspects,
        one_port_fits=bool((least <= fastest * np.diff(edges) / 1e9).all()),
    )


def _quiet_edges(known: Sequence[PortSteps], levels: Sequence[tuple[Levels, Levels]], window_s: float) -> Times:
    """Per window the time at which the least was under way between readings."""
    if not known:
        return np.empty(0, np.int64)
    start = max(int(one.time_ns[0]) for one in known)
    stop = min(int(one.early_ns[-1]) for one in known)
    windows = int((stop - start) / (window_s * 1e9))
    if windows < 1:
        return np.empty(0, np.int64)
    windows = min(windows, EDGES_MAX)
    slots = np.linspace(start, stop, windows * EDGE_CANDIDATES_PER_WINDOW + 1)[:-1].astype(np.int64)
    under_way = np.zeros(len(slots))
    for pair in levels:
        for level in pair:
            under_way += level.between(slots, slots).upper
    best = under_way.reshape(windows, -1).argmin(axis=1)
    chosen: Times = slots[best + EDGE_CANDIDATES_PER_WINDOW * np.arange(windows)]
    quiet: Times = chosen[np.isfinite(under_way.reshape(windows, -1).min(axis=1))]
    return quiet


def _not_asked(node: str, ports: int, missing: tuple[str, ...], suspects: tuple[str, ...]) -> NodeBalance:
    nothing = np.empty(0)
    return NodeBalance(
        node=node, verdict=Balance.NOT_ASKED, edges_ns=np.empty(0, np.int64), carried=nothing, net=nothing,
        net_lower=nothing, net_upper=nothing, unbalanced=np.empty(0, np.bool_), ports=ports, missing=missing,
        suspects=suspects, one_port_fits=False,
    )  # fmt: skip


def balances(steps: Mapping[Port, PortSteps], *, declared: Sequence[Port] = ()) -> tuple[NodeBalance, ...]:
    """The balance of every node that has readings or declared ports."""
    nodes = sorted({port.node for port in (*steps, *declared)})
    by_node: dict[str, list[PortSteps]] = {node: [] for node in nodes}
    for port, one in steps.items():
        by_node[port.node].append(one)
    return tuple(balance(node, by_node[node], declared=declared) for node in nodes)


# --- two witnesses of one thing ----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Contradiction:
    """Two witnesses exclude each other in one interval."""

    what: str
    start_ns: int
    end_ns: int
    bytes_apart: float
    """By how much their bounds miss each other, at least."""


def contradictions(
    what: str, edges_ns: Times, one: tuple[Floats, Floats], other: tuple[Floats, Floats], asked: Mask, *, share: float
) -> tuple[Contradiction, ...]:
    """Intervals in which two pairs of bounds (lower, upper) of one amount exclude each other by more than `share` of it.

    All of shape (intervals,) [bytes]; only where `asked`.
    """
    above = one[0] - other[1] * (1 + share)
    below = other[0] - one[1] * (1 + share)
    apart = np.where(asked, np.maximum(above, below), 0)
    return tuple(
        Contradiction(what=what, start_ns=int(edges_ns[at]), end_ns=int(edges_ns[at + 1]), bytes_apart=float(apart[at]))
        for at in np.flatnonzero(apart > 0)
    )


def cable(one: PortSteps, other: PortSteps, edges_ns: Times, *, share: float) -> tuple[Contradiction, ...]:
    """Both ends of one cable: what one sent the other received, and the other way round.

    `share`: frames that are damaged on the way are counted where they were sent only, and one end may count check sequences.
    """
    asked = observed(one, edges_ns) & observed(other, edges_ns)
    found: list[Contradiction] = []
    for sender, receiver in ((one, other), (other, one)):
        sent, received = amounts(sender, "out_octets", edges_ns), amounts(receiver, "in_octets", edges_ns)
        found += contradictions(
            f"{sender.port} sent, {receiver.port} received",
            edges_ns,
            (sent.lower, sent.upper),
            (received.lower, received.upper),
            asked,
            share=share,
        )
    return tuple(found)
