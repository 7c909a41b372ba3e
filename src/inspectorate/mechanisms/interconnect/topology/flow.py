"""Maximum flows and minimum cuts over whole numbers: Dinic's algorithm, and a tree of cuts between all terminals.

An arc pair i is two directed arcs between `tails[i]` and `heads[i]`: `forward[i]` is the capacity from tail to head, `back[i]` the
other way. Sums of capacities must stay below 2^62; `graph` bounds them.

- `max_flow`: the largest flow, and which nodes are on the source's side of a smallest cut (those that the residual graph still
  reaches, so the cut nearest to the source). Dinic 1970: O(V^2 E), in practice close to linear.
- `cut_tree`: Gusfield's equivalent flow tree (SIAM J. Comput. 19, 1990): len(terminals) - 1 flows; the smallest cut between two
  terminals is the lightest edge on the tree's path between them. It needs capacities that are the same in both directions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Arcs:
    """A network in the form in which flows are computed: arcs of each node in a row, each with its opposite."""

    nodes: int
    first: Ints
    """Shape (nodes + 1,): arcs of node i are first[i] to before first[i + 1]."""
    to: Ints
    opposite: Ints
    capacity: Ints
    symmetric: bool

    @classmethod
    def build(cls, nodes: int, pairs: Iterable[tuple[int, int, int, int]]) -> Arcs:
        """Of (tail, head, forward, back), each pair once; loops are left out."""
        table = np.array([pair for pair in pairs if pair[0] != pair[1]], dtype=np.int64).reshape(-1, 4)
        count = len(table)
        tails = np.concatenate([table[:, 0], table[:, 1]])
        order = np.argsort(tails, kind="stable")
        place = np.empty(2 * count, dtype=np.int64)
        place[order] = np.arange(2 * count)
        opposite = place[np.concatenate([np.arange(count, 2 * count), np.arange(count)])]
        heads = np.concatenate([table[:, 1], table[:, 0]])
        capacity = np.concatenate([table[:, 2], table[:, 3]])
        return cls(
            nodes=nodes,
            first=np.searchsorted(tails[order], np.arange(nodes + 1)).astype(np.int64),
            to=heads[order],
            opposite=opposite[order],
            capacity=capacity[order],
            symmetric=bool((table[:, 2] == table[:, 3]).all()),
        )

    def widened(self) -> Arcs:
        """Both directions of each pair as wide as the wider: symmetric, and no cut is smaller than it was."""
        capacity = np.maximum(self.capacity, self.capacity[self.opposite])
        return Arcs(
            nodes=self.nodes,
            first=self.first,
            to=self.to,
            opposite=self.opposite,
            capacity=capacity,
            symmetric=True,
        )


def max_flow(arcs: Arcs, source: int, sink: int) -> tuple[int, Mask]:
    """The largest flow from source to sink, and the nodes on the source's side of a smallest cut, shape (nodes,)."""
    if source == sink:
        raise ValueError("a flow needs two different ends")
    value, side = _dinic(arcs.first, arcs.to, arcs.opposite, arcs.capacity.copy(), source, sink)
    return int(value), side


def cut_tree(arcs: Arcs, terminals: Ints) -> tuple[Ints, Ints]:
    """Parents and weights of the equivalent flow tree, by place in `terminals`; place 0 is the root, its own parent."""
    if not arcs.symmetric:
        raise ValueError("a tree of cuts needs capacities that are the same in both directions")
    count = len(terminals)
    parent = np.zeros(count, dtype=np.int64)
    weight = np.zeros(count, dtype=np.int64)
    for place in range(1, count):
        value, side = max_flow(arcs, int(terminals[place]), int(terminals[parent[place]]))
        weight[place] = value
        later = np.arange(count) > place
        parent[later & (parent == parent[place]) & side[terminals]] = place
    return parent, weight


def all_cuts(parent: Ints, weight: Ints) -> Ints:
    """The smallest cut between each two terminals, shape (terminals, terminals); 0 on the diagonal."""
    count = len(parent)
    cuts = np.zeros((count, count), dtype=np.int64)
    for place in range(1, count):
        # Gusfield's parents always stand before their children.
        up = parent[place]
        cuts[place, :place] = np.minimum(cuts[up, :place], weight[place])
        cuts[place, up] = weight[place]
        cuts[:place, place] = cuts[place, :place]
    return cuts


@numba.njit("Tuple((i8, b1[::1]))(i8[::1], i8[::1], i8[::1], i8[::1], i8, i8)", cache=True, nogil=True)
def _dinic(
    first: Ints, to: Ints, opposite: Ints, residual: Ints, source: int, sink: int
) -> tuple[int, Mask]:  # pragma: no cover - compiled
    """Uses up `residual`."""
    nodes = len(first) - 1
    level = np.empty(nodes, np.int64)
    at = np.empty(nodes, np.int64)
    queue = np.empty(nodes, np.int64)
    path = np.empty(nodes, np.int64)
    total = 0
    while True:
        level[:] = -1
        level[source] = 0
        queue[0] = source
        head, tail = 0, 1
        while head < tail:
            node = queue[head]
            head += 1
            for arc in range(first[node], first[node + 1]):
                if residual[arc] > 0 and level[to[arc]] < 0:
                    level[to[arc]] = level[node] + 1
                    queue[tail] = to[arc]
                    tail += 1
        if level[sink] < 0:
            return total, level >= 0
        at[:] = first[:-1]
        depth, node = 0, source
        while True:
            if node == sink:
                room = residual[path[0]]
                for step in range(1, depth):
                    room = min(room, residual[path[step]])
                for step in range(depth):
                    residual[path[step]] -= room
                    residual[opposite[path[step]]] += room
                total += room
                for step in range(depth):
                    if residual[path[step]] == 0:
                        depth = step
                        break
                node = to[opposite[path[depth]]]
                continue
            while at[node] < first[node + 1]:
                arc = at[node]
                if residual[arc] > 0 and level[to[arc]] == level[node] + 1:
                    break
                at[node] += 1
            if at[node] < first[node + 1]:
                path[depth] = at[node]
                depth += 1
                node = to[at[node]]
            elif depth == 0:
                break
            else:
                depth -= 1
                node = to[opposite[path[depth]]]
                at[node] += 1
