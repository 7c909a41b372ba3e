"""Which hosts can exchange more than a limit: classes of a network by its cuts.

Two hosts exchange at most what the smallest cut between them carries, over parallel links, over switches and over other hosts,
which are taken to pass traffic on. "More than B" is then an equivalence: flow(a, c) >= min(flow(a, b), flow(b, c)). Its classes
are found exactly:

1. Ends of links that carry more than B, alone or in parallel, are one class; they are contracted, which changes no cut of at
   most B.
2. A node with one neighbour ends as its own class. A node with two neighbours that carries at most B in all is its own class
   too, and passes on the smaller of its two links.
3. A maximum-adjacency order bounds the flow between the ends of every link from below (Nagamochi & Ibaraki 1992); what exceeds B
   is contracted. Steps 1 to 3 repeat while it is worth it.
4. Hosts that are left, and could still exchange more than B, are told apart by flows that stop as soon as they exceed B
   (Ford & Fulkerson by shortest paths; splitting by minimum cuts as Gomory & Hu 1961).

Step 4 works within a budget. What it could not tell apart is joined, and the answer says so: never the other way round.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field
from itertools import islice, pairwise

import numpy as np
import numpy.typing as npt

from inspectorate.mechanisms.custody.clusters.reference import CUT_WORK_MAX, ORDER_GAIN_MIN

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Links:
    """Undirected links between nodes 0 .. nodes - 1, each with what it carries in each direction [bit/s]."""

    nodes: int
    one: IntArray
    other: IntArray
    bits_per_s: FloatArray

    def relabelled(self, label: IntArray) -> Links:
        """The links between the nodes that `label` gives, without those within one of them."""
        one, other = label[self.one], label[self.other]
        kept = one != other
        return Links(self.nodes, one[kept], other[kept], self.bits_per_s[kept])

    def added_up(self) -> Links:
        """Parallel links as one."""
        low, high = np.minimum(self.one, self.other), np.maximum(self.one, self.other)
        kept = low != high
        keys, where = np.unique(low[kept] * self.nodes + high[kept], return_inverse=True)
        total: FloatArray = np.bincount(where, weights=self.bits_per_s[kept], minlength=keys.size).astype(np.float64)
        return Links(self.nodes, keys // self.nodes, keys % self.nodes, total)


@dataclass(frozen=True)
class Classes:
    """A label per node; equal labels can exchange more than the limit."""

    label: IntArray
    exact: bool
    """False: the budget ran out, and what was not told apart is joined."""
    work: int


def components(nodes: int, one: IntArray, other: IntArray) -> IntArray:
    """The smallest node of each node's component: roots hook onto smaller roots, then paths are halved, until nothing moves."""
    label = np.arange(nodes, dtype=np.int64)
    while True:
        a, b = label[one], label[other]
        low, high = np.minimum(a, b), np.maximum(a, b)
        differ = low != high
        if not differ.any():
            return label
        np.minimum.at(label, high[differ], low[differ])
        while not np.array_equal(shorter := label[label], label):
            label = shorter


def ports_bits_per_s(links: Links) -> FloatArray:
    """What all links of each node carry together."""
    ends = np.concatenate((links.one, links.other))
    found: FloatArray = np.bincount(
        ends, weights=np.concatenate((links.bits_per_s,) * 2), minlength=links.nodes
    ).astype(np.float64)
    return found


def classes_above(links: Links, limit: float, hosts: BoolArray, *, work_max: int = CUT_WORK_MAX) -> Classes:
    """The classes of hosts that can exchange strictly more than `limit`. `hosts` marks the nodes that are to be told apart:
    of the others, switches, only the part in flows matters, and their labels mean nothing."""
    label = np.arange(links.nodes, dtype=np.int64)
    rest = links.added_up()
    while (wide := rest.bits_per_s > limit).any():
        label = components(links.nodes, rest.one[wide], rest.other[wide])[label]
        rest = links.relabelled(label).added_up()
    marked = np.zeros(links.nodes, dtype=np.bool_)
    np.logical_or.at(marked, label, hosts)
    graph = _Graph(rest, limit, marked, work_max)
    graph.reduce(list(graph.near))
    while graph.work <= work_max and graph.contract_by_order():
        pass
    exact = graph.tell_apart()
    return Classes(label=graph.labels(links.nodes)[label], exact=exact, work=graph.work)


@dataclass
class _Graph:
    """What is left after wide links were contracted: small enough for dictionaries. Mutable, and private to one call."""

    links: Links
    limit: float
    marked: BoolArray
    work_max: int
    near: dict[int, dict[int, float]] = field(default_factory=dict)
    merged: dict[int, int] = field(default_factory=dict)
    work: int = 0

    def __post_init__(self) -> None:
        rows = zip(self.links.one.tolist(), self.links.other.tolist(), self.links.bits_per_s.tolist(), strict=True)
        for a, b, rate in rows:
            self.near.setdefault(a, {})[b] = rate
            self.near.setdefault(b, {})[a] = rate

    def labels(self, nodes: int) -> IntArray:
        label = np.arange(nodes, dtype=np.int64)
        for node in self.merged:
            label[node] = self._root(node)
        return label

    def _root(self, node: int) -> int:
        path = []
        while node in self.merged:
            path.append(node)
            node = self.merged[node]
        for one in path:
            self.merged[one] = node
        return node

    def _connect(self, a: int, b: int, rate: float) -> None:
        total = self.near[a].get(b, 0.0) + rate
        self.near[a][b] = self.near[b][a] = total

    def _remove(self, node: int) -> dict[int, float]:
        links = self.near.pop(node)
        for other in links:
            del self.near[other][node]
        return links

    def contract(self, a: int, b: int) -> int:
        """One node out of two that exchange more than the limit; the one that stays."""
        kept, gone = (a, b) if len(self.near[a]) >= len(self.near[b]) else (b, a)
        for other, rate in self._remove(gone).items():
            if other != kept:
                self._connect(kept, other, rate)
        self.merged[gone] = kept
        self.marked[kept] |= self.marked[gone]
        return kept

    def reduce(self, waiting: list[int]) -> None:
        """Steps 1 and 2 until nothing happens, from the nodes in `waiting`."""
        while waiting:
            node = waiting.pop()
            if node not in self.near:
                continue
            links = self.near[node]
            self.work += len(links)
            wide = next((other for other, rate in links.items() if rate > self.limit), None)
            if wide is not None:
                kept = self.contract(node, wide)
                waiting += [kept, *self.near[kept]]
            elif len(links) <= 1:
                waiting += self._remove(node)
            elif len(links) == 2 and sum(links.values()) <= self.limit:
                a, b = self._remove(node)
                self._connect(a, b, min(links[a], links[b]))
                waiting += [a, b]

    def contract_by_order(self) -> bool:
        """Step 3, once over every component that still holds hosts to tell apart; whether that was worth another pass."""
        pairs: list[tuple[int, int]] = []
        scanned: set[int] = set()
        reached: dict[int, float] = {}
        open_hosts = self._open_hosts()
        if len(open_hosts) < 2:
            return False
        nodes = len(self.near)
        for start in open_hosts:
            heap = [(0.0, start)]
            while heap:
                _, node = heapq.heappop(heap)
                if node in scanned:
                    continue
                scanned.add(node)
                self.work += len(self.near[node])
                for other, rate in self.near[node].items():
                    if other in scanned:
                        continue
                    reached[other] = reached.get(other, 0.0) + rate
                    if reached[other] > self.limit:
                        pairs.append((node, other))
                    heapq.heappush(heap, (-reached[other], other))
        for a, b in pairs:
            a, b = self._root(a), self._root(b)
            if a != b and a in self.near and b in self.near:
                self.contract(a, b)
        self.reduce([root for pair in pairs if (root := self._root(pair[0])) in self.near] if pairs else [])
        return len(self.near) <= nodes * (1 - ORDER_GAIN_MIN)

    def _open_hosts(self) -> list[int]:
        """Nodes that hold hosts and carry more than the limit: all others are classes of their own."""
        return [node for node, links in self.near.items() if self.marked[node] and sum(links.values()) > self.limit]

    def tell_apart(self) -> bool:
        """Step 4. Whether it came to an end within the budget."""
        groups = [dict.fromkeys(self._open_hosts())]
        while groups:
            group = groups[-1]
            if len(group) < 2:
                groups.pop()
                continue
            if self.work > self.work_max:
                for left in groups:
                    first = next(iter(left), None)
                    self.merged |= {node: first for node in left if first is not None and node != first}
                return False
            source, sink = islice(group, 2)
            side = self._small_side(source, sink)
            if side is None:
                kept = self.contract(source, sink)
                del group[sink if kept == source else source]
                continue
            # What lies on the far side of a cut of at most the limit is in no class with what lies on the near side.
            near, far = (side, group) if len(side) < len(group) else (group, side)
            within = {node: None for node in near if node in far}
            self.work += len(near)
            for node in within:
                del group[node]
            groups.append(within)
        return True

    def _small_side(self, source: int, sink: int) -> set[int] | None:
        """The side of `source` in a cut of at most the limit; none if they exchange more."""
        used: dict[tuple[int, int], float] = {}
        flow = 0.0
        while True:
            before = {source: source}
            queue = deque([source])
            while queue and sink not in before:
                node = queue.popleft()
                self.work += len(self.near[node])
                for other, rate in self.near[node].items():
                    if other not in before and rate - used.get((node, other), 0.0) > 0:
                        before[other] = node
                        queue.append(other)
            if sink not in before:
                return set(before)
            path = [sink]
            while path[-1] != source:
                path.append(before[path[-1]])
            steps = [(b, a) for a, b in pairwise(path)]
            more = min(self.near[a][b] - used.get((a, b), 0.0) for a, b in steps)
            for a, b in steps:
                used[a, b] = used.get((a, b), 0.0) + more
                used[b, a] = used.get((b, a), 0.0) - more
            flow += more
            if flow > self.limit:
                return None
