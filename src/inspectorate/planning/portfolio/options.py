"""Every set of mechanisms that one cluster could have, as arrays, and those that are worth looking at.

1. All sets of at most `together` new mechanisms beside what is there, each with what it needs; at least one bounds something.
2. Where a limit and a residual meet, a set may count in full or as if at full rate (`model`, 5): one row for each way, and where
   that is open in several ways of failing, for each choice of ways (`ways_to_count`).
3. Those that reveal more of a kind than is allowed are struck out, and those that break a bound by themselves.
4. A set is dominated if another costs no more, adds no more and leads with no more in every case of failing roots, covers as much,
   and asks no more of the fleet. It is struck out: whatever plan has it stays within all bounds with the other. That is done once
   for all clusters of a kind, with costs by the cluster and by the chip apart, and again for each cluster by its own costs.

What is left is the columns of the mixed-integer program, which therefore has the same optimum as one over all sets.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspectorate.errors import InputError
from inspectorate.planning.portfolio.catalogue import Mechanism, Per, Scope, Subgoal
from inspectorate.planning.portfolio.fleet import FleetCluster
from inspectorate.planning.portfolio.model import BY_CLUSTER
from inspectorate.planning.portfolio.terms import Question
from inspectorate.planning.portfolio.ways import ways_to_count

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
SETS_MAX = 200_000
FLEET_SETS_MAX = 12
"""Mechanisms for the fleet of which all sets are looked at."""


@dataclass(frozen=True, kw_only=True)
class Scenes:
    """The ways of failing that are asked about."""

    failed: tuple[frozenset[str], ...]
    """For the bound."""
    unseen: tuple[frozenset[str], ...]
    """For subgoals; none if they are not asked about."""
    kinds: tuple[bool, ...]
    """Of run: False pre-training, True post-training."""
    limits: Floats
    """The bound of each kind [FLOP]."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Sets of mechanisms of one cluster, one row each."""

    mechanisms: tuple[str, ...]
    member: Bools
    """(sets, mechanisms)."""
    cost: Floats
    adds: Floats
    """[FLOP], (sets, kinds x ways of failing)."""
    leads: Floats
    cover: Bools
    """(sets, subgoals x ways of failing)."""

    def __len__(self) -> int:
        return len(self.cost)

    def names(self, row: int) -> frozenset[str]:
        return frozenset(name for name, is_in in zip(self.mechanisms, self.member[row], strict=True) if is_in)

    def only(self, rows: NDArray[Any]) -> Options:
        return Options(
            mechanisms=self.mechanisms,
            member=self.member[rows],
            cost=self.cost[rows],
            adds=self.adds[rows],
            leads=self.leads[rows],
            cover=self.cover[rows],
        )


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """What clusters of one kind share: sets, their cost by cluster and chip, and what they leave as shares of capacity."""

    mechanisms: tuple[Mechanism, ...]
    member: Bools
    fixed: Floats
    chip: Floats
    adds: Floats
    leads: Floats
    cover: Bools
    reveals: Floats
    """(sets, capped kinds, 2): by the cluster, by the chip."""


def scenes_of(question: Question) -> Scenes:
    """The ways of failing, and the bounds."""
    kinds = question.kinds()
    return Scenes(
        failed=question.failing(question.failures),
        unseen=question.failing(question.layers - 1) if question.layers else (),
        kinds=tuple(kinds),
        limits=np.array(list(kinds.values())),
    )


class Maker:
    """Makes the options of clusters, kind by kind."""

    def __init__(self, question: Question, scenes: Scenes) -> None:
        self.question, self.scenes = question, scenes
        self._kinds: dict[object, _Kind] = {}
        self._made: dict[object, Options] = {}

    def options(self, cluster: FleetCluster, limits: Floats | None) -> Options:
        """The sets that are worth looking at, each within the limits by itself; without limits, all that dominance leaves."""
        capacity, chips = self.question.capacity_flop(cluster), cluster.chip_count
        bounds = None if limits is None else tuple(limits.tolist())
        key = (*_kind_key(cluster), capacity, chips, bounds)
        if key not in self._made:
            self._made[key] = self._for_size(self._kind(cluster), capacity, chips, limits)
        return self._made[key]

    def _for_size(self, kind: _Kind, capacity: float, chips: float, limits: Floats | None) -> Options:
        caps = np.array(list(self.question.caps.values()))
        shown = kind.reveals[:, :, 0] + kind.reveals[:, :, 1] * chips
        fits = np.all(shown <= caps, axis=1)
        adds, leads = kind.adds * capacity, kind.leads * capacity
        if limits is not None:
            each = np.repeat(limits, len(self.scenes.failed))
            fits &= np.all(adds + leads <= each * (1 + 1e-12), axis=1)
        options = Options(
            mechanisms=tuple(one.id for one in kind.mechanisms),
            member=kind.member,
            cost=kind.fixed + kind.chip * chips,
            adds=adds,
            leads=leads,
            cover=kind.cover,
        ).only(fits)
        asks = self._asks(kind.mechanisms, options.member)
        features = np.hstack((options.cost[:, None], options.adds, options.adds + options.leads, ~options.cover, asks))
        return options.only(undominated(features, options.member.sum(axis=1)))

    def _kind(self, cluster: FleetCluster) -> _Kind:
        key = _kind_key(cluster)
        if key not in self._kinds:
            self._kinds[key] = self._pruned(self._enumerated(cluster))
        return self._kinds[key]

    def _pruned(self, kind: _Kind) -> _Kind:
        asks = self._asks(kind.mechanisms, kind.member)
        features = np.hstack((
            kind.fixed[:, None], kind.chip[:, None], kind.adds, kind.adds + kind.leads, ~kind.cover, asks,
            kind.reveals.reshape(len(kind.fixed), 2 * len(self.question.caps)),
        ))  # fmt: skip
        rows = undominated(features, kind.member.sum(axis=1))
        return _Kind(
            mechanisms=kind.mechanisms, member=kind.member[rows], fixed=kind.fixed[rows], chip=kind.chip[rows],
            adds=kind.adds[rows], leads=kind.leads[rows], cover=kind.cover[rows], reveals=kind.reveals[rows],
        )  # fmt: skip

    def _asks(self, mechanisms: Sequence[Mechanism], member: Bools) -> Bools:
        """Which programmes and which mechanisms of the fleet a set asks for."""
        there = started(self.question)
        programmes = [bool(one.cost.at(self.question.case)[0]) and one.id not in there for one in mechanisms]
        needed = [needs_of_fleet(self.question, one) for one in mechanisms]
        wanted = sorted(set().union(*needed)) if needed else []
        by_need = np.array([[name in needs for name in wanted] for needs in needed], dtype=bool)
        by_need = by_need.reshape(len(mechanisms), len(wanted))
        return np.hstack((member[:, np.array(programmes, dtype=bool)], (member[:, :, None] & by_need).any(axis=1)))

    def _enumerated(self, cluster: FleetCluster) -> _Kind:
        """Step 1, as arrays."""
        question, scenes = self.question, self.scenes
        mechanisms = self._usable(cluster)
        member = self._member(cluster, mechanisms)
        roots = [question.roots_of(one) for one in mechanisms]
        up = np.array([[not (root & failed) for failed in scenes.failed] for root in roots], dtype=bool).reshape(
            len(roots), len(scenes.failed)
        )
        known = 1.0 if cluster.hidden_share_now is None else cluster.hidden_share_now
        now = np.array([1.0 if failed else known for failed in scenes.failed])
        case = question.case
        one = np.ones(len(scenes.failed))
        residual = _least(member, up, [m.residual.at(case) if m.residual else 1.0 for m in mechanisms], now)
        gone = np.zeros_like(residual)
        if question.count_outside:
            gone = _least(member, up, [m.outside.at(case) if m.outside else 1.0 for m in mechanisms], one)
        full, joins, leads = [], [], []
        for post in scenes.kinds:
            figures = [(m.joining_post if post else m.joining) for m in mechanisms]
            joining = np.minimum(
                _least(member, up, [figure.at(case) if figure else 1.0 for figure in figures], one), residual
            )
            full.append(gone + (1 - gone) * residual)
            joins.append(gone + (1 - gone) * joining)
            leads.append((1 - gone) * (1 - joining) * cluster.lead_share)
        rows, adds, gains = ways_to_count(np.hstack(full), np.hstack(joins), np.hstack(leads))
        member = member[rows]
        stays = np.array([m.id in cluster.existing for m in mechanisms], dtype=bool)
        prices = np.array([m.cost.at(case) for m in mechanisms]).reshape(len(mechanisms), 3) * ~stays[:, None]
        return _Kind(
            mechanisms=mechanisms,
            member=member,
            fixed=member @ prices[:, 1],
            chip=member @ prices[:, 2],
            adds=adds,
            leads=gains,
            cover=self._cover(mechanisms, roots, member),
            reveals=self._reveals(mechanisms, member),
        )

    def _usable(self, cluster: FleetCluster) -> tuple[Mechanism, ...]:
        """What may stand on this cluster: what is there, and what is available and neither refused here nor for other uses."""
        shut = set(cluster.refused)
        return tuple(
            one
            for one in self.question.catalogue.mechanisms
            if one.id in cluster.existing
            or (
                one in self.question.available(Scope.CLUSTER)
                and cluster.use in one.uses
                and not shut & set(one.access.kinds)
            )
        )

    def _member(self, cluster: FleetCluster, mechanisms: tuple[Mechanism, ...]) -> Bools:
        place = {one.id: number for number, one in enumerate(mechanisms)}
        there = [place[name] for name in cluster.existing]
        new = [number for number in range(len(mechanisms)) if number not in there]
        sets = [some for size in range(self.question.together + 1) for some in combinations(new, size)]
        if len(sets) > SETS_MAX:
            raise InputError(f"{len(sets)} sets of mechanisms on {cluster.id} are more than {SETS_MAX}",
                             where="catalogue", remedy="give a smaller --together, or a shorter catalogue")  # fmt: skip
        member = np.zeros((len(sets), len(mechanisms)), dtype=bool)
        for row, some in enumerate(sets):
            member[row, list(some)] = True
        member[:, there] = True
        valid = np.ones(len(sets), dtype=bool)
        for number, one in enumerate(mechanisms):
            for name in one.needs:
                if self.question.catalogue.mechanism(name).scope is Scope.CLUSTER:
                    has = member[:, place[name]] if name in place else np.zeros(len(sets), dtype=bool)
                    valid &= ~member[:, number] | has
        bounding = [number for number, one in enumerate(mechanisms) if one.bounds]
        if cluster.hidden_share_now is None:
            valid &= member[:, bounding].any(axis=1)
        return member[valid]

    def _cover(self, mechanisms: Sequence[Mechanism], roots: Sequence[frozenset[str]], member: Bools) -> Bools:
        found = []
        for subgoal in BY_CLUSTER:
            for failed in self.scenes.unseen:
                seen = [
                    subgoal in one.subgoals and not root & failed for one, root in zip(mechanisms, roots, strict=True)
                ]
                found.append(member[:, np.array(seen, dtype=bool)].any(axis=1))
        return np.array(found, dtype=bool).reshape(len(found), len(member)).T

    def _reveals(self, mechanisms: Sequence[Mechanism], member: Bools) -> Floats:
        """Per set and capped kind: bits a day by the cluster and by the chip."""
        case, caps = self.question.case, self.question.caps
        found = np.zeros((len(member), len(caps), 2))
        for column, kind in enumerate(caps):
            for side, per in enumerate(Per):
                bits = [
                    sum(r.bits_per_day.at(case) for r in one.reveals if r.kind == kind and r.per is per)
                    for one in mechanisms
                ]
                found[:, column, side] = member @ np.array(bits, dtype=float)
        return found


def _kind_key(cluster: FleetCluster) -> tuple[object, ...]:
    return (cluster.use, cluster.refused, cluster.existing, cluster.lead_share, cluster.hidden_share_now)


def started(question: Question) -> set[str]:
    """Mechanisms whose programme runs already."""
    return {name for cluster in question.fleet.clusters for name in cluster.existing} | set(question.fleet.existing)


def needs_of_fleet(question: Question, mechanism: Mechanism) -> set[str]:
    """What it needs of the fleet that is not there yet."""
    needed = {name for name in mechanism.needs if question.catalogue.mechanism(name).scope is Scope.FLEET}
    return needed - set(question.fleet.existing)


def fleet_options(question: Question, scenes: Scenes, limits: Floats | None) -> Options:
    """All sets of mechanisms for the fleet that see to the fourth subgoal in every way of failing."""
    mechanisms = question.available(Scope.FLEET)
    there = set(question.fleet.existing)
    new = [one for one in mechanisms if one.id not in there]
    if len(new) > FLEET_SETS_MAX:
        raise InputError(f"{len(new)} mechanisms for the fleet are more than {FLEET_SETS_MAX}", where="catalogue",
                         remedy="strike some with --without")  # fmt: skip
    rows = 1 << len(new)
    member = np.ones((rows, len(mechanisms)), dtype=bool)
    for bit, one in enumerate(new):
        member[:, mechanisms.index(one)] = (np.arange(rows) >> bit) & 1
    by_name = {one.id: number for number, one in enumerate(mechanisms)}
    for number, one in enumerate(mechanisms):
        for name in one.needs:
            member = member[~member[:, number] | member[:, by_name[name]]]
    roots = [question.roots_of(one) for one in mechanisms]
    up = _standing(roots, scenes.failed)
    figures = [one.residual.at(question.case) if one.residual else 1.0 for one in mechanisms]
    unseen = _least(member, up, figures, np.ones(len(scenes.failed)))
    adds = np.hstack([unseen] * len(scenes.kinds)) * question.undeclared_flop()
    cover, fourth = _fleet_cover(mechanisms, roots, scenes, member)
    prices = [0.0 if one.id in there else sum(one.cost.at(question.case)[:2]) for one in mechanisms]
    options = Options(
        mechanisms=tuple(one.id for one in mechanisms),
        member=member,
        cost=member @ np.array(prices, dtype=float),
        adds=adds,
        leads=np.zeros_like(adds),
        cover=cover,
    )
    keep = np.all(fourth, axis=1)
    if limits is not None:
        keep &= np.all(adds <= np.repeat(limits, len(scenes.failed)) * (1 + 1e-12), axis=1)
    return options.only(keep)


def _fleet_cover(
    mechanisms: Sequence[Mechanism], roots: Sequence[frozenset[str]], scenes: Scenes, member: Bools
) -> tuple[Bools, Bools]:
    """By cluster subgoals as for a cluster, and the fourth apart."""
    from_all: list[Bools] = []
    fourth: list[Bools] = []
    for subgoal in Subgoal:
        for failed in scenes.unseen:
            seen = [subgoal in one.subgoals and not root & failed for one, root in zip(mechanisms, roots, strict=True)]
            found: Bools = np.logical_or.reduce(member[:, np.array(seen, dtype=np.bool_)], axis=1)
            (from_all if subgoal in BY_CLUSTER else fourth).append(found)
    rows = len(member)
    empty = np.zeros((0, rows), dtype=np.bool_)
    return np.vstack([empty, *from_all]).T, np.vstack([empty, *fourth]).T


def _standing(roots: Sequence[frozenset[str]], failed: Sequence[frozenset[str]]) -> Bools:
    """Per mechanism and way of failing, whether it stands."""
    return np.array([[not (root & some) for some in failed] for root in roots], dtype=np.bool_).reshape(
        len(roots), len(failed)
    )


def _least(member: Bools, up: Bools, figures: Iterable[float], otherwise: Floats) -> Floats:
    """Per set and way of failing, the least figure among members that stand."""
    found = np.broadcast_to(otherwise, (len(member), len(otherwise))).copy()
    for number, figure in enumerate(figures):
        holds = member[:, number, None] & up[number]
        found = np.where(holds, np.minimum(found, figure), found)
    return found


def undominated(features: NDArray[Any], sizes: NDArray[np.int_]) -> NDArray[np.intp]:
    """Rows that no other row beats or equals in every feature (less is better); of equal rows, the first with fewest members."""
    columns = {features[:, column].tobytes(): column for column in range(features.shape[1])}
    matrix = np.ascontiguousarray(features[:, sorted(columns.values())], dtype=np.float64)
    order = np.lexsort((sizes, *matrix.T[::-1]))  # whatever beats a row comes before it
    matrix = matrix[order]
    alive = np.ones(len(matrix), dtype=bool)
    kept = []
    for row in range(len(matrix)):
        if not alive[row]:
            continue
        kept.append(row)
        rest = np.flatnonzero(alive[row + 1 :]) + row + 1
        alive[rest[(matrix[rest] >= matrix[row]).all(axis=1)]] = False
    return np.sort(order[kept])
