"""Uncovered clusters of one owner that lie near each other, looked at together.

Pieces belong together by a chain: each within the clause's distance of the next, by the declared positions of their sites, and each
with chips of the same owner. A piece at two sites (joined by links) is near whatever either of them is near. Sites whose position
was not declared are near nothing, and are named as not checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from inspectorate.agreement.chips import CoveredCluster, NoSplitting
from inspectorate.declaration import Position
from inspectorate.mechanisms.custody.clusters.bunching import Sized
from inspectorate.mechanisms.custody.clusters.hosts import weights
from inspectorate.mechanisms.custody.clusters.judge import Judged, Outcome, limb_micro_tpp
from inspectorate.mechanisms.custody.clusters.nearby import PAIRS_MAX, near_pairs
from inspectorate.mechanisms.custody.clusters.network import BoolArray, FloatArray, IntArray, components


@dataclass(frozen=True, eq=False)
class Group:
    """Pieces of one owner that are above a limb together."""

    owner: str
    clusters: IntArray
    """Numbers of the pieces, largest first."""
    near: int
    """Pieces that are near a limb."""


def limb_shares(judged: Judged) -> FloatArray:
    """How much of a limb every cluster is: the largest over the limbs."""
    clause = judged.clause
    shares = judged.micro_tpp / float(limb_micro_tpp(clause))
    if clause.memory_bytes_max is not None:
        shares = np.maximum(shares, judged.memory_bytes / clause.memory_bytes_max)
    return shares


def above(clause: CoveredCluster, micro: IntArray, memory: IntArray) -> BoolArray:
    """Whether sums are strictly above a limb: compared with the largest whole number that is not, so exactly."""
    limb = limb_micro_tpp(clause)
    found: BoolArray = micro > limb.numerator // limb.denominator
    if clause.memory_bytes_max is not None:
        found = found | (memory > int(clause.memory_bytes_max))
    return found


def groups_of(
    judged: Judged, clause: NoSplitting, positions: Mapping[str, Position]
) -> tuple[list[Group], tuple[str, ...]]:
    """Groups of uncovered pieces that are above a limb together, and what could not be checked."""
    hosts = judged.hosts
    free = np.array([one is not Outcome.COVERED for one in judged.outcomes], dtype=np.bool_)
    site_one, site_other, unknown, all_pairs = near_pairs(hosts.site_names, positions, clause.within_m)
    owned = _owned(judged)
    owned = owned[free[owned[:, 1]]]
    nodes, edges = _graph(judged, owned, (site_one, site_other))
    label = components(nodes, edges[0], edges[1])[: len(owned)]
    _, group = np.unique(label, return_inverse=True)
    count = int(group.max()) + 1 if group.size else 0
    micro, memory, pieces = (np.zeros(count, dtype=np.int64) for _ in range(3))
    np.add.at(micro, group, judged.micro_tpp[owned[:, 1]])
    np.add.at(memory, group, judged.memory_bytes[owned[:, 1]])
    np.add.at(pieces, group, 1)
    chosen = np.flatnonzero((pieces > 1) & above(judged.clause, micro, memory))
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(count + 1))
    close = limb_shares(judged) >= clause.near_share_min
    found = []
    for number in chosen.tolist():
        rows = owned[order[starts[number] : starts[number + 1]]]
        clusters = np.sort(rows[:, 1])
        found.append(Group(hosts.owners[int(rows[0, 0])], clusters, int(np.count_nonzero(close[clusters]))))
    return found, _unchecked(unknown, all_pairs=all_pairs)


def _unchecked(unknown: tuple[str, ...], *, all_pairs: bool) -> tuple[str, ...]:
    said = []
    if unknown:
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        said.append(f"pieces at {', '.join(unknown[:3])}{more}: the positions of these sites are not declared")
    if not all_pairs:
        said.append(f"more than {PAIRS_MAX} pairs of sites lie near each other; not all were looked at")
    return tuple(said)


def _owned(judged: Judged) -> IntArray:
    """Pairs of an owner and a cluster in which it has chips, sorted by owner."""
    keys = np.unique(judged.hosts.owner_of_row * len(judged) + judged.of_rows())
    return np.stack((keys // len(judged), keys % len(judged)), axis=1)


def _graph(judged: Judged, owned: IntArray, near: tuple[IntArray, IntArray]) -> tuple[int, tuple[IntArray, IntArray]]:
    """Nodes are pairs of owner and cluster, then pairs of owner and site; edges join what lies near each other."""
    hosts = judged.hosts
    sites = len(hosts.site_names)
    stands = np.unique(judged.of_host * sites + hosts.sites)
    cluster_of, site_of = stands // sites, stands % sites
    starts = np.searchsorted(cluster_of, np.arange(len(judged) + 1))
    counts = (starts[1:] - starts[:-1])[owned[:, 1]]
    piece = np.repeat(np.arange(len(owned)), counts)
    offset = np.arange(piece.size) - np.repeat(np.cumsum(counts) - counts, counts)
    site = site_of[starts[owned[piece, 1]] + offset]
    keys, at_site = np.unique(owned[piece, 0] * sites + site, return_inverse=True)
    first, second = len(owned) + at_site, piece
    # For every pair of near sites, and every owner at the first: is it at the second too?
    by_site = np.argsort(keys % sites, kind="stable")
    site_starts = np.searchsorted((keys % sites)[by_site], np.arange(sites + 1))
    many = site_starts[near[0] + 1] - site_starts[near[0]]
    pair = np.repeat(np.arange(near[0].size), many)
    place = np.arange(pair.size) - np.repeat(np.cumsum(many) - many, many)
    here = by_site[site_starts[near[0][pair]] + place]
    wanted = keys[here] // sites * sites + near[1][pair]
    there = np.searchsorted(keys, wanted)
    meets = there < keys.size
    meets[meets] = keys[there[meets]] == wanted[meets]
    return len(owned) + keys.size, (
        np.concatenate((first, len(owned) + here[meets])),
        np.concatenate((second, len(owned) + there[meets])),
    )


def sized(judged: Judged) -> list[Sized]:
    """Every cluster with its main owner and its largest host: what the bunching test looks at."""
    hosts = judged.hosts
    tpp, _, _ = weights(hosts.models, judged.manner.models)
    of_host = np.zeros(len(hosts), dtype=np.int64)
    np.add.at(of_host, hosts.of_row, tpp[hosts.model_of_row])
    largest = np.zeros(len(judged), dtype=np.int64)
    np.maximum.at(largest, judged.of_host, of_host)
    keys, counts = np.unique(judged.of_rows() * len(hosts.owners) + hosts.owner_of_row, return_counts=True)
    order = np.lexsort((keys % len(hosts.owners), -counts, keys // len(hosts.owners)))
    cluster = (keys // len(hosts.owners))[order]
    main = (keys % len(hosts.owners))[order][np.searchsorted(cluster, np.arange(len(judged)))]
    return [
        Sized(owner=hosts.owners[owner], mass=mass, server=server)
        for owner, mass, server in zip(main.tolist(), judged.micro_tpp.tolist(), largest.tolist(), strict=True)
    ]
