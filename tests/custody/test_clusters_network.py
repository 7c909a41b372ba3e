"""Classes of hosts by cuts, against networkx and against every cut tried."""

from __future__ import annotations

import itertools
import random

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.mechanisms.custody.clusters.network import (
    Links,
    classes_above,
    components,
    ports_bits_per_s,
)
from inspectorate.mechanisms.custody.clusters.ways import Neighbours

Edge = tuple[int, int, int]


def links_of(nodes: int, edges: list[Edge]) -> Links:
    one, other, rate = ([edge[place] for edge in edges] for place in range(3))
    as_ints = (np.array(one, dtype=np.int64), np.array(other, dtype=np.int64))
    return Links(nodes, *as_ints, np.array(rate, dtype=np.float64))


def every_cut(nodes: int, edges: list[Edge], limit: float) -> list[tuple[int, int]]:
    """Pairs that no cut of at most the limit separates: every set of nodes tried."""
    apart = set()
    for chosen in range(1, 1 << (nodes - 1)):
        side = {node for node in range(nodes) if chosen >> node & 1}
        if sum(rate for a, b, rate in edges if (a in side) != (b in side)) <= limit:
            apart |= {tuple(sorted((a, b))) for a in side for b in set(range(nodes)) - side}
    return [pair for pair in itertools.combinations(range(nodes), 2) if pair not in apart]


def by_networkx(nodes: int, edges: list[Edge], limit: float) -> list[tuple[int, int]]:
    graph = nx.Graph()
    graph.add_nodes_from(range(nodes))
    for a, b, rate in edges:
        if a != b:
            before = graph.get_edge_data(a, b, {"capacity": 0})["capacity"]
            graph.add_edge(a, b, capacity=before + rate)
    found = []
    for part in nx.connected_components(graph):
        if len(part) < 2:
            continue
        tree = nx.gomory_hu_tree(graph.subgraph(part))
        tree.remove_edges_from([(a, b) for a, b, data in tree.edges(data=True) if data["weight"] <= limit])
        for group in nx.connected_components(tree):
            found += list(itertools.combinations(sorted(group), 2))
    return sorted(found)


def ours(nodes: int, edges: list[Edge], limit: float, hosts: int) -> list[tuple[int, int]]:
    mask = np.zeros(nodes, dtype=np.bool_)
    mask[:hosts] = True
    found = classes_above(links_of(nodes, edges), limit, mask)
    assert found.exact
    return [(a, b) for a, b in itertools.combinations(range(hosts), 2) if found.label[a] == found.label[b]]


graphs = st.integers(2, 7).flatmap(
    lambda nodes: st.tuples(
        st.just(nodes),
        st.lists(st.tuples(*(st.integers(0, nodes - 1),) * 2, st.integers(1, 12)), max_size=14),
        st.integers(0, 25),
    )
)


@given(graphs)
@settings(max_examples=120)
def test_classes_are_what_no_cut_separates(graph: tuple[int, list[Edge], int]) -> None:
    nodes, edges, limit = graph
    assert ours(nodes, edges, limit, nodes) == every_cut(nodes, edges, limit)


@pytest.mark.parametrize("seed", range(3))
def test_classes_agree_with_a_gomory_hu_tree(seed: int) -> None:
    """Hosts on several thin switches, where neither a wide link nor an order decides everything."""
    rng = random.Random(seed)
    hosts, switches = 24, 10
    edges = [
        (host, hosts + rng.randrange(switches), rng.choice((3, 5, 8)))
        for host in range(hosts)
        for _ in range(rng.randint(1, 4))
    ]
    edges += [(hosts + rng.randrange(switches), hosts + rng.randrange(switches), rng.randint(1, 9)) for _ in range(4)]
    edges = [edge for edge in edges if edge[0] != edge[1]]
    for limit in (7, 10, 14):
        expected = [pair for pair in by_networkx(hosts + switches, edges, limit) if pair[1] < hosts]
        assert ours(hosts + switches, edges, limit, hosts) == expected


@given(graphs, st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(1, 12)))
@settings(max_examples=50)
def test_more_links_never_part_anybody(graph: tuple[int, list[Edge], int], more: Edge) -> None:
    nodes, edges, limit = graph
    extra = (more[0] % nodes, more[1] % nodes, more[2])
    assert set(ours(nodes, edges, limit, nodes)) <= set(ours(nodes, [*edges, extra], limit, nodes))
    assert set(ours(nodes, edges, limit + 1, nodes)) <= set(ours(nodes, edges, limit, nodes))


def test_what_the_budget_leaves_open_is_joined_and_said() -> None:
    """Two hosts of wide ports, and thin nodes between them that no rule but a flow can judge."""
    edges = [(0, 2 + i, 3) for i in range(5)] + [(1, 7 + i, 3) for i in range(5)]
    edges += [(2 + i, 7 + (i + step) % 5, 1) for i in range(5) for step in (0, 1)]
    hosts = np.arange(12) < 2
    exact = classes_above(links_of(12, edges), 12.0, hosts)
    assert exact.exact
    assert exact.label[0] != exact.label[1]
    spent = classes_above(links_of(12, edges), 12.0, hosts, work_max=0)
    assert not spent.exact
    assert spent.label[0] == spent.label[1]
    assert (
        classes_above(links_of(12, edges), 9.0, hosts).label[0]
        == classes_above(links_of(12, edges), 9.0, hosts).label[1]
    )


def test_a_host_between_passes_traffic_on() -> None:
    edges = [(0, 1, 30), (1, 2, 30)]
    assert ours(3, edges, 25, 3) == [(0, 1), (0, 2), (1, 2)]
    assert ours(3, [(0, 1, 25), (1, 2, 30)], 25, 3) == [(1, 2)]


@given(st.integers(1, 40), st.lists(st.tuples(st.integers(0, 39), st.integers(0, 39)), max_size=60))
def test_components_are_those_of_networkx(nodes: int, pairs: list[tuple[int, int]]) -> None:
    kept = [(a % nodes, b % nodes) for a, b in pairs]
    graph = nx.Graph(kept)
    graph.add_nodes_from(range(nodes))
    expected = {node: min(part) for part in nx.connected_components(graph) for node in part}
    one, other = (np.array([pair[end] for pair in kept], dtype=np.int64) for end in (0, 1))
    assert components(nodes, one, other).tolist() == [expected[node] for node in range(nodes)]


def test_ports_add_up_and_parallel_links_are_one() -> None:
    links = links_of(3, [(0, 1, 4), (1, 0, 5), (1, 2, 1), (2, 2, 9)])
    assert ports_bits_per_s(links.added_up()).tolist() == [9, 10, 1]


@given(graphs)
@settings(max_examples=50)
def test_ways_never_carry_more_than_a_maximum_flow(graph: tuple[int, list[Edge], int]) -> None:
    nodes, edges, limit = graph
    peer = nx.Graph()
    peer.add_nodes_from(range(nodes))
    for a, b, rate in edges:
        if a != b:
            peer.add_edge(a, b, capacity=peer.get_edge_data(a, b, {"capacity": 0})["capacity"] + rate)
    flow = nx.maximum_flow_value(peer, 0, 1)
    found = Neighbours(links_of(nodes, edges)).ways(0, 1, limit)
    assert found.bits_per_s <= flow
    assert (found.bits_per_s > limit) == (flow > limit)
