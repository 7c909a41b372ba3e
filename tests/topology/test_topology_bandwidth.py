"""Cuts against slow, obvious oracles: every cut tried, and networkx; gateways, limits, relays, and what carries a cut."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspectorate.mechanisms.interconnect.topology import flow, reference
from inspectorate.mechanisms.interconnect.topology.around import look_around
from inspectorate.mechanisms.interconnect.topology.bandwidth import Limit, Network
from inspectorate.mechanisms.interconnect.topology.graph import (
    RATE_BYTES_PER_S_MAX,
    End,
    Node,
    NodeKind,
    Topology,
    Wire,
)
from inspectorate.mechanisms.interconnect.topology.read import read_plan

NODES = 6


@st.composite
def topologies(draw: st.DrawFn, *, symmetric: bool = False) -> Topology:
    """Up to six nodes, of which at least two are pods, with parallel wires, loops and rates that may be unknown."""
    kinds = draw(st.lists(st.sampled_from(list(NodeKind)), min_size=NODES - 2, max_size=NODES - 2))
    nodes = [Node(name=f"n{n}", kind=kind) for n, kind in enumerate([NodeKind.POD, NodeKind.POD, *kinds])]
    rate = st.sampled_from([1, 2, 3, 5, 8, 13])
    wires = []
    for number in range(draw(st.integers(0, 14))):
        one, other = draw(st.integers(0, NODES - 1)), draw(st.integers(0, NODES - 1))
        there = draw(rate)
        wires.append(
            Wire(
                one=End(f"n{one}", f"p{number}"),
                other=End(f"n{other}", f"q{number}"),
                there_bytes_per_s=there,
                back_bytes_per_s=there if symmetric else draw(rate),
            )
        )
    return Topology.build(nodes, wires)


def brute_cut(topology: Topology, source: str, target: str, without: frozenset[str] = frozenset()) -> int:
    """The smallest sum over all ways to put the nodes on two sides."""
    others = sorted(set(topology.nodes) - {source, target} - without)
    smallest = None
    for chosen in itertools.product((False, True), repeat=len(others)):
        side = {source} | {name for name, inside in zip(others, chosen, strict=True) if inside}
        value = 0
        for wire in topology.wires:
            if wire.nodes & without:
                continue
            if wire.one.node in side and wire.other.node not in side:
                value += wire.there_bytes_per_s or 0
            if wire.other.node in side and wire.one.node not in side:
                value += wire.back_bytes_per_s or 0
        smallest = value if smallest is None else min(smallest, value)
    assert smallest is not None
    return smallest


@given(topologies())
def test_a_cut_is_the_smallest_of_all_cuts_in_either_direction(topology: Topology) -> None:
    network = Network(topology)
    for source, target in itertools.permutations(topology.nodes, 2):
        found = network.cut(source, target)
        assert found.bytes_per_s == brute_cut(topology, source, target)


@given(topologies())
def test_without_its_wires_nothing_passes(topology: Topology) -> None:
    source, target = topology.pods[:2]
    found = Network(topology).cut(source, target)
    assert sum(wire.bytes_per_s for wire in found.wires) == found.bytes_per_s
    carried = {wire.name for wire in found.wires}
    left = Topology.build(topology.nodes.values(), [w for w in topology.wires if str(w) not in carried])
    assert Network(left).cut(source, target).bytes_per_s == 0


@given(topologies())
def test_around_the_gateway_is_the_same_question_without_gateways(topology: Topology) -> None:
    gateways = frozenset(topology.of_kind(NodeKind.GATEWAY))
    network = Network(topology, around_gateway=True)
    for source, target in itertools.permutations(topology.pods, 2):
        value = network.cut(source, target).bytes_per_s
        assert value == brute_cut(topology, source, target, gateways)
        assert value <= Network(topology).cut(source, target).bytes_per_s
        path = network.path(source, target)
        assert bool(path) == (value > 0)
        assert not any(gateway in step for gateway in gateways for step in path)
        assert (target in network.reached(source)) == (value > 0)


@given(topologies())
def test_without_relays_other_pods_are_not_there(topology: Topology) -> None:
    source, target = topology.pods[:2]
    others = frozenset(topology.pods) - {source, target}
    found = Network(topology).cut(source, target, through_pods=False)
    assert found.bytes_per_s == brute_cut(topology, source, target, others)
    assert sum(wire.bytes_per_s for wire in found.wires) == found.bytes_per_s


@given(topologies(symmetric=True))
def test_the_tree_of_cuts_has_every_pair(topology: Topology) -> None:
    pairs = Network(topology).pairs()
    assert pairs.exact
    for (i, one), (j, other) in itertools.permutations(enumerate(pairs.pods), 2):
        assert pairs.bytes_per_s[i, j] == brute_cut(topology, one, other)
    best = max((brute_cut(topology, *pair) for pair in itertools.combinations(pairs.pods, 2)), default=0)
    assert (pairs.largest(1)[0][2] if pairs.largest(1) else 0) == best
    for pod in pairs.pods:
        assert pairs.of_pod(pod)[1] == max(brute_cut(topology, pod, other) for other in pairs.pods if other != pod)


@given(topologies())
def test_where_directions_differ_the_tree_is_a_bound(topology: Topology) -> None:
    pairs = Network(topology).pairs()
    for (i, one), (j, other) in itertools.permutations(enumerate(pairs.pods), 2):
        assert pairs.bytes_per_s[i, j] >= brute_cut(topology, one, other)


@given(topologies(), st.integers(1, 20))
def test_a_wire_more_never_lowers_a_cut(topology: Topology, rate: int) -> None:
    source, target = topology.pods[:2]
    more = Wire(one=End("n2", "new"), other=End("n3", "new"), there_bytes_per_s=rate, back_bytes_per_s=rate)
    larger = Topology.build(topology.nodes.values(), [*topology.wires, more])
    assert Network(larger).cut(source, target).bytes_per_s >= Network(topology).cut(source, target).bytes_per_s


def test_cuts_agree_with_networkx_on_larger_graphs() -> None:
    draw = random.Random(5)
    for _ in range(20):
        nodes = draw.randint(10, 60)
        pairs = {}
        for _ in range(draw.randint(nodes, 4 * nodes)):
            a, b = sorted(draw.sample(range(nodes), 2))
            pairs[a, b] = (draw.randint(0, 10**12), draw.randint(0, 10**12))
        arcs = flow.Arcs.build(nodes, [(a, b, there, back) for (a, b), (there, back) in pairs.items()])
        graph = nx.DiGraph()
        graph.add_nodes_from(range(nodes))
        for (a, b), (there, back) in pairs.items():
            graph.add_edge(a, b, capacity=there)
            graph.add_edge(b, a, capacity=back)
        for _ in range(5):
            source, sink = draw.sample(range(nodes), 2)
            value, side = flow.max_flow(arcs, source, sink)
            assert value == nx.maximum_flow_value(graph, source, sink)
            assert side[source]
            assert not side[sink]
        undirected = nx.Graph()
        undirected.add_nodes_from(range(nodes))
        undirected.add_edges_from((a, b, {"capacity": max(rates)}) for (a, b), rates in pairs.items())
        terminals = np.array(sorted(draw.sample(range(nodes), 8)), dtype=np.int64)
        cuts = flow.all_cuts(*flow.cut_tree(arcs.widened(), terminals))
        tree = nx.gomory_hu_tree(undirected)
        for i, j in itertools.combinations(range(8), 2):
            way = nx.shortest_path(tree, int(terminals[i]), int(terminals[j]))
            assert cuts[i, j] == min(tree[a][b]["weight"] for a, b in itertools.pairwise(way))


def test_the_largest_sums_do_not_overflow() -> None:
    wires = [
        Wire(one=End("a", f"{n}"), other=End("b", f"{n}"), there_bytes_per_s=RATE_BYTES_PER_S_MAX, back_bytes_per_s=1)
        for n in range(200_000)
    ]
    plan = Topology.build([Node(name="a", kind=NodeKind.POD), Node(name="b", kind=NodeKind.POD)], wires)
    assert Network(plan).cut("a", "b").bytes_per_s == 200_000 * RATE_BYTES_PER_S_MAX


def test_flows_need_two_ends_and_trees_symmetry() -> None:
    arcs = flow.Arcs.build(2, [(0, 1, 1, 2)])
    with pytest.raises(ValueError, match="two different"):
        flow.max_flow(arcs, 0, 0)
    with pytest.raises(ValueError, match="same in both"):
        flow.cut_tree(arcs, np.array([0, 1], dtype=np.int64))
    empty = flow.Arcs.build(3, [])
    assert flow.max_flow(empty, 0, 2)[0] == 0
    assert flow.all_cuts(*flow.cut_tree(empty, np.array([], dtype=np.int64))).shape == (0, 0)


# --- sites --------------------------------------------------------------------------------------------------------------


def site(*wires: tuple[str, str, int | None]) -> Topology:
    """Pods p1, p2, p3 with hosts h1a and h1b of p1; a gateway gw; a switch sw; the outside net."""
    nodes = [
        *(Node(name=f"p{n}", kind=NodeKind.POD) for n in (1, 2, 3)),
        Node(name="h1a", pod="p1"),
        Node(name="h1b", pod="p1"),
        Node(name="gw", kind=NodeKind.GATEWAY),
        Node(name="sw", kind=NodeKind.SWITCH),
        Node(name="net", kind=NodeKind.OUTSIDE),
    ]
    laid = [
        Wire(one=End(a, f"{n}"), other=End(b, f"{n}"), there_bytes_per_s=rate, back_bytes_per_s=rate)
        for n, (a, b, rate) in enumerate(wires)
    ]
    return Topology.build(nodes, laid)


DECLARED = (("p1", "gw", 100), ("p2", "gw", 100), ("p3", "sw", 50), ("sw", "gw", 40), ("gw", "net", 1000))


def test_limits_of_a_gateway_replace_its_wires() -> None:
    plan = site(*DECLARED)
    assert Network(plan).cut("p1", "p2").bytes_per_s == 100
    limits = {pod: Limit(sent_bytes_per_s=7, received_bytes_per_s=9) for pod in ("p1", "p2", "p3")}
    held = Network(plan, limits=limits)
    assert held.cut("p1", "p2").bytes_per_s == 7
    assert [wire.name for wire in held.cut("p1", "p2").wires] == ["limit of gw on p1"]
    assert held.cut("net", "p1").bytes_per_s == 9
    # A limit above what the wires carry is no more than the wires.
    wide = {pod: Limit(sent_bytes_per_s=70, received_bytes_per_s=90) for pod in ("p1", "p2", "p3")}
    assert Network(plan, limits=wide).cut("p3", "p1").bytes_per_s == 40
    # A pod without a limit is dropped.
    del limits["p2"]
    assert Network(plan, limits=limits).cut("p1", "p2").bytes_per_s == 0
    with pytest.raises(ValueError, match="does not matter"):
        Network(plan, around_gateway=True, limits=limits)


def test_a_wire_around_the_gateway_adds_to_the_limit() -> None:
    plan = site(*DECLARED, ("p1", "p2", 25))
    limits = {pod: Limit(sent_bytes_per_s=7, received_bytes_per_s=7) for pod in ("p1", "p2", "p3")}
    assert Network(plan, limits=limits).cut("p1", "p2").bytes_per_s == 32
    assert Network(plan, around_gateway=True).cut("p1", "p2").bytes_per_s == 25
    # Its partner may relay for p3, whose own wires to the gateway are not the bottleneck.
    assert Network(plan, limits=limits).cut("p3", "p2").bytes_per_s == 7


def test_hosts_of_a_pod_are_the_pod() -> None:
    plan = site(("h1a", "sw", 5), ("h1b", "sw", 6), ("h1a", "h1b", 1), ("sw", "p2", 100))
    found = Network(plan).cut("p1", "p2")
    assert found.bytes_per_s == 11
    assert [wire.name for wire in found.wires] == ["h1b:1 -- sw:1", "h1a:0 -- sw:0"]
    assert Network(plan).cut("h1a", "p2") == Network(plan).cut("h1a", "p2")
    with pytest.raises(ValueError, match="one pod"):
        Network(plan).cut("h1a", "h1b")


def test_unknown_rates_count_as_the_fastest_and_say_so() -> None:
    found = Network(site(("p1", "p2", None))).cut("p1", "p2")
    assert found.bytes_per_s == reference.FASTEST_PORT_BYTES_PER_S
    assert found.assumed


def test_ways_around_are_printed_wire_by_wire() -> None:
    around = look_around(site(*DECLARED))
    assert around.ways("p1") == ()
    assert around.neighbourhood("p1") == {"p1", "h1a", "h1b"}
    assert around.neighbourhood("p3") == {"p3", "sw"}
    leaking = look_around(site(*DECLARED, ("h1a", "sw", 3), ("sw", "net", 2)))
    assert dict(leaking.ways("p3")) == {
        "p1": ("p3:2 -- sw:2", "h1a:5 -- sw:5"),
        "net": ("p3:2 -- sw:2", "sw:6 -- net:6"),
    }
    largest = leaking.largest_of("p3")
    assert largest is not None
    assert largest.bytes_per_s == 3
    assert leaking.largest_of("p2") is None


@pytest.mark.data
def test_a_real_cluster_is_wired_in_rails(data: Path) -> None:
    """Each server has one wire to each of four leaf switches, of 25 GB/s: no pair exceeds what its slower server has."""
    plan = read_plan(data / "switch_counters" / "topology_cluster_topology.csv")
    pairs = Network(plan).pairs()
    rates = dict.fromkeys(plan.pods, 0)
    for wire in plan.wires:
        rates[wire.one.node] += wire.bytes_per_s or 0
    for one, other, value in pairs.largest(100_000):
        assert value == min(rates[one], rates[other])
    assert pairs.exact
