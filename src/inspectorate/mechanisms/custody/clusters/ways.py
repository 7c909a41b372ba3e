"""How two nodes reach each other, for people to read: ways by the shortest first, until together they carry more than a limit."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import pairwise

from inspectorate.mechanisms.custody.clusters.network import Links


@dataclass(frozen=True)
class Ways:
    """What some ways between two nodes carry together: a lower bound on what the nodes can exchange."""

    bits_per_s: float
    over: tuple[tuple[int, ...], ...]
    """The nodes between the two, one tuple for each way."""


class Neighbours:
    """Links as a dictionary of neighbours, parallel ones added up."""

    def __init__(self, links: Links) -> None:
        self.near: dict[int, dict[int, float]] = {}
        added = links.added_up()
        for a, b, rate in zip(added.one.tolist(), added.other.tolist(), added.bits_per_s.tolist(), strict=True):
            self.near.setdefault(a, {})[b] = rate
            self.near.setdefault(b, {})[a] = rate

    def ways(self, source: int, sink: int, limit: float) -> Ways:
        """Ways from `source` to `sink` until they carry more than `limit`, or there is no further one."""
        used: dict[tuple[int, int], float] = {}
        carried = 0.0
        found: list[tuple[int, ...]] = []
        while carried <= limit and (path := self._way(source, sink, used)):
            steps = list(pairwise(path))
            more = min(self.near[a][b] - used.get((a, b), 0.0) for a, b in steps)
            for a, b in steps:
                used[a, b] = used.get((a, b), 0.0) + more
                used[b, a] = used.get((b, a), 0.0) - more
            carried += more
            found.append(tuple(path[1:-1]))
        return Ways(carried, tuple(found))

    def _way(self, source: int, sink: int, used: dict[tuple[int, int], float]) -> list[int]:
        before = {source: source}
        queue = deque([source])
        while queue and sink not in before:
            node = queue.popleft()
            for other, rate in self.near.get(node, {}).items():
                if other not in before and rate - used.get((node, other), 0.0) > 0:
                    before[other] = node
                    queue.append(other)
        if sink not in before:
            return []
        path = [sink]
        while path[-1] != source:
            path.append(before[path[-1]])
        return path[::-1]
