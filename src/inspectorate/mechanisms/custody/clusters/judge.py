"""The covered-cluster test: which chips are joined, what they weigh together, and whether that is strictly above a limb.

1. Hosts are the smallest pieces: chips of one host are together.
2. Hosts are joined if they stand in one place, if they can exchange strictly more than the clause's rate, or if they are said to
   work together; each only where the clause has that limb. Joined hosts make clusters, by whatever chain of joins.
3. A cluster is covered if its TPP is strictly above the clause's number of H100-equivalents, or, where the clause has a memory
   limb, if its memory is strictly above that.
4. Memory that is not known decides nothing: where it could carry a cluster above the limb, the cluster is UNKNOWN.

How the words "aggregate bandwidth between hosts" are read is a choice (`Reading`), and `differences` says where it matters.
Who owns a chip plays no part in the test: only in what counts as splitting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction

import numpy as np

from inspectorate.agreement.chips import CoveredCluster
from inspectorate.declaration import ChipModel
from inspectorate.errors import InputError
from inspectorate.mechanisms.custody.clusters.hosts import (
    MICRO,
    Hosts,
    Network,
    hosts_of,
    network_of,
    numbers_by,
    weights,
)
from inspectorate.mechanisms.custody.clusters.network import (
    IntArray,
    Links,
    classes_above,
    components,
    ports_bits_per_s,
)
from inspectorate.mechanisms.custody.clusters.reference import JOINED_SOURCE, PURPOSES_MAX
from inspectorate.mechanisms.custody.register import Register, Wiring
from inspectorate.quantities import H100_EQUIVALENT_TPP


class Reading(StrEnum):
    """What "hosts exchange more than this in aggregate" means."""

    TWO_HOSTS = "two-hosts"
    """The most that two hosts can exchange with each other, over all ways between them, each direction by itself."""
    JOINED_HOSTS = "joined-hosts"
    """The same, but hosts that are joined already, by place or purpose, count as one: thin links between two buildings add up."""
    OWN_PORTS = "own-ports"
    """The ports of one host together: two hosts are joined if both have more than the limit and some way leads from one to the
    other, however thin."""


class Outcome(StrEnum):
    COVERED = "covered"
    NOT_COVERED = "not-covered"
    UNKNOWN = "unknown"
    """Memory of some chips is not known, and would decide."""


_RANK = {outcome: rank for rank, outcome in enumerate(Outcome)}


@dataclass(frozen=True, kw_only=True)
class Purpose:
    """Hosts that are said to work together, by whoever says so: by their names, and all of some pods."""

    name: str
    hosts: tuple[str, ...] = ()
    pods: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How a clause is applied: what the clause itself leaves open."""

    reading: Reading = Reading.TWO_HOSTS
    place: str = "site"
    """What is co-located: chips of one `site`, or of one declared `cluster` where parties agreed that each is a building."""
    purposes: tuple[Purpose, ...] = ()
    declared_purposes: bool = True
    """Whether hosts of one declared cluster are said to work together by being declared so."""
    source: str = JOINED_SOURCE
    models: Mapping[str, ChipModel] | None = None
    """Chips by model; none: the catalogue."""


DEFAULT_MANNER = Manner()


@dataclass(frozen=True, eq=False)
class Judged:
    """All clusters of one register, largest first, as arrays. `clusters.explain` makes records of them."""

    clause: CoveredCluster
    manner: Manner
    hosts: Hosts
    network: Network
    of_host: IntArray
    """The cluster of every host."""
    micro_tpp: IntArray
    """Of every cluster."""
    memory_bytes: IntArray
    """Of every cluster, without chips whose memory is not known."""
    memory_unknown: IntArray
    """Chips whose memory is not known."""
    chips: IntArray
    broken: IntArray
    outcomes: tuple[Outcome, ...]
    flow_class: IntArray
    """The class of every host under the bandwidth limb; every host its own where the clause has none."""
    near: IntArray
    """The first host that each host is joined to by place or purpose."""
    exact: bool
    """False: some hosts were joined because the search for cuts ran out of its budget."""

    def __len__(self) -> int:
        return len(self.outcomes)

    @property
    def h100_equivalents(self) -> list[float]:
        return [float(h100_equivalents(one)) for one in self.micro_tpp.tolist()]

    @property
    def covered(self) -> list[int]:
        """Numbers of covered clusters."""
        return [number for number, outcome in enumerate(self.outcomes) if outcome is Outcome.COVERED]

    def of_rows(self) -> IntArray:
        """The cluster of every chip of the register."""
        return self.of_host[self.hosts.of_row]


def h100_equivalents(micro: int) -> Fraction:
    """H100-equivalents of a TPP in millionths, exactly."""
    return Fraction(int(micro), round(MICRO * H100_EQUIVALENT_TPP))


def limb_micro_tpp(clause: CoveredCluster) -> Fraction:
    """The limb in millionths of TPP, as the decimal number that the clause has."""
    return Fraction(repr(clause.h100_equivalents_max)) * round(MICRO * H100_EQUIVALENT_TPP)


def judge_clusters(
    register: Register, wiring: Wiring | None, clause: CoveredCluster, manner: Manner = DEFAULT_MANNER
) -> Judged:
    """Every cluster of a register under a clause: `register` and `wiring` as `read_register` and `read_wiring` give them.

    Raises `EvidenceError` on a register without chips, chips outside the catalogue, or wiring that ends nowhere certain, and
    `InputError` on purposes that name hosts the register does not have.
    """
    hosts = hosts_of(register, place=manner.place)
    network = network_of(hosts, wiring)
    one, other = _joins(hosts, clause, manner)
    near = components(network.links.nodes, one, other)
    flow_class, exact = _by_bandwidth(hosts, network.links, clause, manner, near)
    stars = np.flatnonzero(flow_class != np.arange(flow_class.size))
    label = components(network.links.nodes, np.concatenate((one, stars)), np.concatenate((other, flow_class[stars])))[
        : len(hosts)
    ]
    return _weighed(hosts, network, (clause, manner), label, _Joined(near[: len(hosts)], flow_class, exact))


@dataclass(frozen=True, eq=False)
class _Joined:
    near: IntArray
    flow_class: IntArray
    exact: bool


def _joins(hosts: Hosts, clause: CoveredCluster, manner: Manner) -> tuple[IntArray, IntArray]:
    """Pairs of hosts joined by place and by purpose: every host with the first of its place, or of its purpose."""
    pairs: list[tuple[IntArray, IntArray]] = []
    numbers = np.arange(len(hosts), dtype=np.int64)
    if clause.joined_by_co_location:
        pairs.append((numbers, first_of(hosts.places)))
    if clause.joined_by_purpose:
        if manner.declared_purposes:
            pairs.append((numbers, first_of(hosts.groups)))
        given = purpose_members(hosts, manner.purposes)
        pairs += [(members, np.full(members.size, members[0])) for members in given]
    if not pairs:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    return np.concatenate([a for a, _ in pairs]), np.concatenate([b for _, b in pairs])


def first_of(labels: IntArray) -> IntArray:
    """The first position with the same label, for every position."""
    _, first, where = np.unique(labels, return_index=True, return_inverse=True)
    found: IntArray = first[where].astype(np.int64)
    return found


def purpose_members(hosts: Hosts, purposes: Sequence[Purpose]) -> list[IntArray]:
    """Numbers of the hosts of every purpose. Raises `InputError` on a host that the register does not have."""
    if len(purposes) > PURPOSES_MAX:
        raise InputError(f"{len(purposes)} purposes are more than {PURPOSES_MAX}", where="purposes")
    if not purposes:
        return []
    names, pods = numbers_by(hosts.names), numbers_by(hosts.pods)
    found = []
    for purpose in purposes:
        given = [(name, names) for name in purpose.hosts] + [(name, pods) for name in purpose.pods]
        missing = [name for name, known in given if name not in known]
        if missing or not given:
            what = f"names {missing[0]!r}, which the register does not have" if missing else "names no host"
            raise InputError(f"purpose {purpose.name!r} {what}", where="purposes",
                             remedy="name hosts and pods as the register does")  # fmt: skip
        found.append(np.array([one for name, known in given for one in known[name]], dtype=np.int64))
    return found


def _by_bandwidth(
    hosts: Hosts, links: Links, clause: CoveredCluster, manner: Manner, near: IntArray
) -> tuple[IntArray, bool]:
    """The bandwidth class of every node under the manner's reading, and whether it is exact."""
    limit = clause.joined_by_bits_per_s
    are_hosts = np.zeros(links.nodes, dtype=np.bool_)
    are_hosts[: len(hosts)] = True
    match manner.reading:
        case Reading.TWO_HOSTS:
            found = classes_above(links, limit, are_hosts)
            return _host_classes(found.label, len(hosts)), found.exact
        case Reading.JOINED_HOSTS:
            found = classes_above(links.relabelled(near), limit, are_hosts)
            return _host_classes(found.label[near], len(hosts)), found.exact
        case Reading.OWN_PORTS:
            wide = ports_bits_per_s(links.added_up())[: len(hosts)] > limit
            connected = components(links.nodes, links.one, links.other)[: len(hosts)]
            return _host_classes(np.where(wide, connected, links.nodes + np.arange(len(hosts))), len(hosts)), True


def _host_classes(label: IntArray, hosts: int) -> IntArray:
    """The first host of each host's class: switches carry no chips and join nothing by themselves."""
    return first_of(label[:hosts])


def _weighed(
    hosts: Hosts, network: Network, terms: tuple[CoveredCluster, Manner], label: IntArray, joined: _Joined
) -> Judged:
    clause, manner = terms
    tpp, memory, unknown = weights(hosts.models, manner.models)
    _, cluster = np.unique(label, return_inverse=True)
    count = int(cluster.max()) + 1

    def total(of_row: IntArray) -> IntArray:
        found = np.zeros(count, dtype=np.int64)
        np.add.at(found, cluster[hosts.of_row], of_row)
        return found

    mass = total(tpp[hosts.model_of_row])
    # Largest first, equals in the order of the register: names of hosts play no part.
    order = np.argsort(-mass, kind="stable")
    rank = np.empty(count, dtype=np.int64)
    rank[order] = np.arange(count)
    memories, unknowns = total(memory[hosts.model_of_row])[order], total(unknown[hosts.model_of_row])[order]
    mass = mass[order]
    return Judged(
        clause=clause,
        manner=manner,
        hosts=hosts,
        network=network,
        of_host=rank[cluster],
        micro_tpp=mass,
        memory_bytes=memories,
        memory_unknown=unknowns,
        chips=total(np.ones(hosts.of_row.size, dtype=np.int64))[order],
        broken=total(hosts.broken_of_row)[order],
        outcomes=tuple(
            outcome_of(clause, m, b, u)
            for m, b, u in zip(mass.tolist(), memories.tolist(), unknowns.tolist(), strict=True)
        ),
        flow_class=joined.flow_class,
        near=joined.near,
        exact=joined.exact,
    )


def outcome_of(clause: CoveredCluster, micro: int, memory_bytes: int, memory_unknown: int) -> Outcome:
    """Covered strictly above a limb: TPP in millionths, memory in bytes, chips whose memory is not known."""
    if micro > limb_micro_tpp(clause):
        return Outcome.COVERED
    if clause.memory_bytes_max is None:
        return Outcome.NOT_COVERED
    if memory_bytes > clause.memory_bytes_max:
        return Outcome.COVERED
    return Outcome.UNKNOWN if memory_unknown else Outcome.NOT_COVERED


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A cluster of one reading whose hosts another reading judges otherwise."""

    cluster: int
    reading: Reading
    hosts: int
    """Of the cluster, that the other reading judges otherwise."""
    outcome: Outcome
    """Of those hosts, under the other reading."""
    h100_equivalents: float
    """Of the largest cluster that holds one of them, under the other reading."""


def differences(judged: Judged, register: Register, wiring: Wiring | None) -> tuple[Difference, ...]:
    """Where other readings of the bandwidth limb come to another outcome."""
    found = []
    for reading in Reading:
        if reading is judged.manner.reading:
            continue
        other = judge_clusters(register, wiring, judged.clause, replace(judged.manner, reading=reading))
        ours = np.array([_RANK[one] for one in judged.outcomes])[judged.of_host]
        theirs = np.array([_RANK[one] for one in other.outcomes])[other.of_host]
        wrong = np.flatnonzero(ours != theirs)
        keys, where = np.unique(judged.of_host[wrong] * len(Outcome) + theirs[wrong], return_inverse=True)
        largest = np.zeros(keys.size, dtype=np.int64)
        np.maximum.at(largest, where, other.micro_tpp[other.of_host[wrong]])
        counts = np.bincount(where, minlength=keys.size)
        for key, mass, hosts in zip(keys.tolist(), largest.tolist(), counts.tolist(), strict=True):
            cluster, outcome = divmod(key, len(Outcome))
            found.append(
                Difference(
                    cluster=cluster,
                    reading=reading,
                    hosts=hosts,
                    outcome=list(Outcome)[outcome],
                    h100_equivalents=float(h100_equivalents(mass)),
                )
            )
    return tuple(sorted(found, key=lambda one: (one.cluster, one.reading, one.outcome)))
