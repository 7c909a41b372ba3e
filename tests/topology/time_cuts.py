"""Print how long cuts between all pairs of pods take, beside networkx: `python tests/topology/time_cuts.py [PODS]`."""

from __future__ import annotations

import random
import sys
import time

import networkx as nx

from inspectorate.mechanisms.interconnect.topology.bandwidth import Network
from inspectorate.mechanisms.interconnect.topology.graph import End, Node, NodeKind, Topology, Wire

LEAVES, SPINES = 32, 8
RATES = (1_250_000_000, 3_125_000_000, 12_500_000_000, 25_000_000_000, 50_000_000_000)


def site(pods: int) -> Topology:
    """Pods with four wires to leaf switches, every leaf with two to every spine, and a few wires between pods; seeded."""
    draw = random.Random(7)
    wires: list[Wire] = []

    def lay(one: str, other: str) -> None:
        rate = draw.choice(RATES)
        number = len(wires)
        ends = End(one, f"p{number}"), End(other, f"q{number}")
        wires.append(Wire(one=ends[0], other=ends[1], there_bytes_per_s=rate, back_bytes_per_s=rate))

    for pod in range(pods):
        for _ in range(4):
            lay(f"pod-{pod}", f"leaf-{draw.randrange(LEAVES)}")
    for leaf in range(LEAVES):
        for spine in range(SPINES):
            for _ in range(2):
                lay(f"leaf-{leaf}", f"spine-{spine}")
    for _ in range(pods // 10):
        lay(f"pod-{draw.randrange(pods)}", f"pod-{draw.randrange(pods)}")
    return Topology.build([Node(name=f"pod-{n}", kind=NodeKind.POD) for n in range(pods)], wires)


def main() -> None:
    pods = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    plan = site(pods)
    Network(site(3)).pairs()  # compiles
    began = time.perf_counter()
    network = Network(plan)
    pairs = network.pairs()
    ours_s = time.perf_counter() - began
    graph = nx.Graph()
    for wire in plan.wires:
        a, b = wire.one.node, wire.other.node
        there = graph.get_edge_data(a, b, {"capacity": 0})["capacity"]
        graph.add_edge(a, b, capacity=there + (wire.there_bytes_per_s or 0))
    draw = random.Random(8)
    sample = [draw.sample(range(pods), 2) for _ in range(20)]
    began = time.perf_counter()
    for i, j in sample:
        value = nx.maximum_flow_value(graph, pairs.pods[i], pairs.pods[j])
        assert value == pairs.bytes_per_s[i, j]
    peer_s = (time.perf_counter() - began) / len(sample)
    count = pods * (pods - 1) // 2
    print(f"{len(plan.nodes)} nodes, {len(plan.wires)} wires: all {count} pairs in {ours_s:.2f} s")
    print(f"networkx: {peer_s:.3f} s for one pair, the same values on {len(sample)} pairs")


if __name__ == "__main__":
    main()
