"""Why a cluster is covered, or is not: step by step, in words and as a record, with article and paragraph.

1. Which chips: models, numbers, TPP of each; broken ones count.
2. What joined them: places, links, purposes, each with an example and its source.
3. The sum, and each limb of the clause beside it: strictly above, or not.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import numpy as np
from pydantic import Field

from inspectorate.canonical import Record
from inspectorate.declaration import chip_catalogue
from inspectorate.mechanisms.custody.clusters.hosts import MICRO, micro_tpp
from inspectorate.mechanisms.custody.clusters.judge import (
    Judged,
    Outcome,
    Reading,
    h100_equivalents,
    purpose_members,
)
from inspectorate.mechanisms.custody.clusters.network import IntArray, ports_bits_per_s
from inspectorate.mechanisms.custody.clusters.reference import (
    BROKEN_SOURCE,
    EXAMPLES_MAX,
    H100E_SOURCE,
    MEMORY_SOURCE,
)
from inspectorate.mechanisms.custody.clusters.ways import Neighbours


class JoinKind(StrEnum):
    HOST = "host"
    """Chips of one host."""
    CO_LOCATION = "co-location"
    BANDWIDTH = "bandwidth"
    PURPOSE = "purpose"


class LimbKind(StrEnum):
    H100_EQUIVALENTS = "h100-equivalents"
    MEMORY = "memory"


class ChipSum(Record):
    """Chips of one model in a cluster."""

    model: str
    chips: int
    broken: int
    tpp_each: float
    tpp: float
    h100_equivalents: float
    memory_bytes: float | None


class Join(Record):
    """What joined some hosts of a cluster."""

    kind: JoinKind
    hosts: int = Field(description="that this join holds together")
    between: tuple[str, ...] = Field(description="a place, a purpose, or the two hosts of the example")
    over: tuple[str, ...] = Field(default=(), description="nodes on the first way between them")
    ways: int = Field(default=0, description="that the example adds up")
    bits_per_s: float | None = Field(default=None, description="that they exchange at least")
    source: str


class Limb(Record):
    """One limb of the clause beside the sum."""

    limb: LimbKind
    value: float
    limit: float
    above: bool
    chips_unknown: int = 0
    source: str


class JudgedCluster(Record):
    """One cluster with the whole reckoning."""

    id: str
    number: int
    places: tuple[str, ...]
    owners: tuple[str, ...]
    hosts: int
    chips: int
    broken: int
    sums: tuple[ChipSum, ...]
    tpp: float
    h100_equivalents: float
    memory_bytes: float
    joins: tuple[Join, ...]
    joins_more: int = Field(description="that are not listed")
    limbs: tuple[Limb, ...]
    outcome: Outcome
    reading: Reading
    exact: bool
    steps: tuple[str, ...]


def explain(judged: Judged, numbers: Iterable[int] | None = None) -> tuple[JudgedCluster, ...]:
    """Records of some clusters, by their numbers; of all without."""
    reader = _Reader(judged)
    return tuple(reader.cluster(number) for number in (range(len(judged)) if numbers is None else numbers))


class _Reader:
    """What several clusters of one judgement share: sorted rows and neighbours."""

    def __init__(self, judged: Judged) -> None:
        self.judged = judged
        of_rows = judged.of_rows()
        self.row_order = np.argsort(of_rows, kind="stable")
        self.row_starts = np.searchsorted(of_rows[self.row_order], np.arange(len(judged) + 1))
        self.host_order = np.argsort(judged.of_host, kind="stable")
        self.host_starts = np.searchsorted(judged.of_host[self.host_order], np.arange(len(judged) + 1))
        links = judged.network.links
        if judged.manner.reading is Reading.JOINED_HOSTS:
            near = np.arange(links.nodes, dtype=np.int64)
            near[: len(judged.hosts)] = judged.near
            links = links.relabelled(near)
        self.neighbours = Neighbours(links)
        self.ports = ports_bits_per_s(judged.network.links)
        self.purposes = _purpose_names(judged)

    def cluster(self, number: int) -> JudgedCluster:
        judged, hosts = self.judged, self.judged.hosts
        members = self.host_order[self.host_starts[number] : self.host_starts[number + 1]]
        rows = self.row_order[self.row_starts[number] : self.row_starts[number + 1]]
        places = tuple(hosts.place_names[code] for code in np.unique(hosts.places[members]).tolist())
        sums = self._sums(rows)
        joins, more = self._joins(members)
        micro = int(judged.micro_tpp[number])
        limbs = _limbs(judged, number)
        return JudgedCluster(
            id=f"{places[0]}/{hosts.names[members[0]]}",
            number=number,
            places=places,
            owners=tuple(hosts.owners[code] for code in np.unique(hosts.owner_of_row[rows]).tolist()),
            hosts=int(members.size),
            chips=int(rows.size),
            broken=int(judged.broken[number]),
            sums=sums,
            tpp=micro / MICRO,
            h100_equivalents=float(h100_equivalents(micro)),
            memory_bytes=float(judged.memory_bytes[number]),
            joins=joins,
            joins_more=more,
            limbs=limbs,
            outcome=judged.outcomes[number],
            reading=judged.manner.reading,
            exact=judged.exact,
            steps=_steps(sums, joins, more, limbs, judged.outcomes[number], judged.exact),
        )

    def _sums(self, rows: IntArray) -> tuple[ChipSum, ...]:
        hosts = self.judged.hosts
        models = self.judged.manner.models or chip_catalogue()
        codes, where = np.unique(hosts.model_of_row[rows], return_inverse=True)
        counts = np.bincount(where)
        broken = np.bincount(where, weights=hosts.broken_of_row[rows])
        found = []
        for code, count, gone in zip(codes.tolist(), counts.tolist(), broken.tolist(), strict=True):
            chip = models[hosts.models[code]]
            each = micro_tpp(chip)
            found.append(
                ChipSum(
                    model=chip.id,
                    chips=count,
                    broken=int(gone),
                    tpp_each=each / MICRO,
                    tpp=each * count / MICRO,
                    h100_equivalents=float(h100_equivalents(each * count)),
                    memory_bytes=None if chip.memory_bytes is None else chip.memory_bytes * count,
                )
            )
        return tuple(found)

    def _joins(self, members: IntArray) -> tuple[tuple[Join, ...], int]:
        """Joins that make the cluster of its hosts, places first; and how many more there are."""
        judged, hosts = self.judged, self.judged.hosts
        source = judged.manner.source
        found: list[Join] = []
        if judged.clause.joined_by_co_location:
            codes, counts = np.unique(hosts.places[members], return_counts=True)
            found += [
                Join(kind=JoinKind.CO_LOCATION, hosts=count, between=(hosts.place_names[code],), source=source)
                for code, count in zip(codes.tolist(), counts.tolist(), strict=True)
                if count > 1
            ]
        if judged.clause.joined_by_purpose:
            found += self._purposes(members)
        pairs = self._pairs(members)
        if not found and not pairs:
            found = [Join(kind=JoinKind.HOST, hosts=1, between=(hosts.names[members[0]],), source=source)]
        more = max(0, len(found) - EXAMPLES_MAX) + max(0, len(pairs) - EXAMPLES_MAX)
        links = [self._link(a, b, count) for a, b, count in pairs[:EXAMPLES_MAX]]
        return (*found[:EXAMPLES_MAX], *links), more

    def _purposes(self, members: IntArray) -> list[Join]:
        within = set(members.tolist())
        return [
            Join(kind=JoinKind.PURPOSE, hosts=len(named), between=(name,), source=self.judged.manner.source)
            for name, named in self.purposes
            if len(named) > 1 and named[0] in within
        ]

    def _pairs(self, members: IntArray) -> list[tuple[int, int, int]]:
        """Two hosts for every join by bandwidth that place and purpose do not make already, and how many hosts it is about."""
        judged = self.judged
        classes, near = judged.flow_class[members], judged.near[members]
        keys, first = np.unique(np.stack((classes, near)), axis=1, return_index=True)
        found: list[tuple[int, int, int]] = []
        for label in np.unique(keys[0]).tolist():
            heads = members[first[keys[0] == label]].tolist()
            count = int(np.count_nonzero(classes == label))
            found += [(heads[0], head, count) for head in heads[1:]]
        return found

    def _link(self, a: int, b: int, count: int) -> Join:
        judged = self.judged
        names = judged.network.node_names
        between = (names[a], names[b])
        if judged.manner.reading is Reading.OWN_PORTS:
            rate = float(min(self.ports[a], self.ports[b]))
            return Join(
                kind=JoinKind.BANDWIDTH, hosts=count, between=between, bits_per_s=rate, source=judged.manner.source
            )
        together = judged.manner.reading is Reading.JOINED_HOSTS
        ends = (int(judged.near[a]), int(judged.near[b])) if together else (a, b)
        ways = self.neighbours.ways(*ends, judged.clause.joined_by_bits_per_s)
        over = tuple(names[node] for node in ways.over[0]) if ways.over else ()
        return Join(
            kind=JoinKind.BANDWIDTH,
            hosts=count,
            between=between,
            over=over,
            ways=len(ways.over),
            bits_per_s=ways.bits_per_s,
            source=judged.manner.source,
        )


def _purpose_names(judged: Judged) -> list[tuple[str, list[int]]]:
    given = judged.manner.purposes
    members = purpose_members(judged.hosts, given)
    found = [(purpose.name, one.tolist()) for purpose, one in zip(given, members, strict=True)]
    if judged.manner.declared_purposes and not judged.clause.joined_by_co_location:
        groups = judged.hosts.groups
        order = np.argsort(groups, kind="stable")
        parts = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
        found += [("one declared cluster", part.tolist()) for part in parts]
    return found


def _limbs(judged: Judged, number: int) -> tuple[Limb, ...]:
    clause, micro = judged.clause, int(judged.micro_tpp[number])
    value = h100_equivalents(micro)
    found = [
        Limb(
            limb=LimbKind.H100_EQUIVALENTS,
            value=float(value),
            limit=clause.h100_equivalents_max,
            above=value > clause.h100_equivalents_max,
            source=H100E_SOURCE,
        )
    ]
    if clause.memory_bytes_max is not None:
        memory = int(judged.memory_bytes[number])
        found.append(
            Limb(
                limb=LimbKind.MEMORY,
                value=float(memory),
                limit=clause.memory_bytes_max,
                above=memory > clause.memory_bytes_max,
                chips_unknown=int(judged.memory_unknown[number]),
                source=MEMORY_SOURCE,
            )
        )
    return tuple(found)


def _steps(
    sums: tuple[ChipSum, ...],
    joins: tuple[Join, ...],
    more: int,
    limbs: tuple[Limb, ...],
    outcome: Outcome,
    exact: bool,
) -> tuple[str, ...]:
    lines = [
        f"{one.chips:,} x {one.model} x TPP {one.tpp_each:,.10g} = {one.tpp:,.10g}, which is {one.h100_equivalents:,.6g}"
        f" H100-equivalents" + (f"; {one.broken:,} of them broken, which count ({BROKEN_SOURCE})" if one.broken else "")
        for one in sums
    ]
    said = {one.kind: one for one in reversed(joins)}
    lines += [_join_words(one) + (f" ({one.source})" if said[one.kind] is one else "") for one in joins]
    if more:
        lines.append(f"and {more:,} more joins")
    if not exact:
        lines.append("some hosts were joined because the search for cuts ran out of its budget: they may be apart")
    for limb in limbs:
        unit = "H100-equivalents" if limb.limb is LimbKind.H100_EQUIVALENTS else "byte of memory"
        unknown = f", without {limb.chips_unknown:,} chips whose memory is not known" if limb.chips_unknown else ""
        word = "is strictly above" if limb.above else "is not strictly above"
        lines.append(f"the sum, {limb.value:,.10g} {unit}{unknown}, {word} {limb.limit:,.10g} ({limb.source})")
    return (*lines, f"so the cluster is {outcome.value.replace('-', ' ')}")


def _join_words(join: Join) -> str:
    match join.kind:
        case JoinKind.HOST:
            return f"one host, {join.between[0]}, joined to nothing"
        case JoinKind.CO_LOCATION:
            return f"{join.hosts:,} hosts stand in {join.between[0]}: co-located"
        case JoinKind.PURPOSE:
            return f"{join.hosts:,} hosts are said to work together: {join.between[0]}"
        case JoinKind.BANDWIDTH:
            rate = f"{(join.bits_per_s or 0.0) / 1e9:,.6g} Gbit/s"
            if not join.ways:
                return (
                    f"ports of {join.between[0]} and {join.between[1]} carry {rate} each, or more, and a way joins them"
                )
            over = f" over {' and '.join(join.over)}" if join.over else " directly"
            ways = "" if join.ways == 1 else f" and {join.ways - 1} more ways"
            return f"{join.between[0]} and {join.between[1]} exchange {rate}{over}{ways}, or more"
