"""What a choice of mechanisms leaves, by definition: the slow and obvious form against which everything else is checked.

For one cluster of capacity K [FLOP in one run's time], its mechanisms, and the trust roots that fail:

1. A mechanism stands if none of its roots fails, nor any of what it needs.
2. r, the share of the cluster that could be hidden, is the least residual among mechanisms that stand; 1 if there is none. Two that
   look at the same cluster are not multiplied: nothing is assumed independent.
3. w, the part of itself that a further pod adds to a joint run, is the least joining factor among those that stand; 1 if none.
4. o, the share of its chips that may be elsewhere, is the least such figure among those that stand: 1 if none, and 0 throughout
   where the plan takes the places of chips for granted.
5. It counts in one of two ways (decision 0030): *in full*, K (o + (1 - o) r), whoever leads; or *as if at full rate*,
   K (o + (1 - o) min(w, r)), and K (1 - o) (1 - min(w, r)) s more if it leads, s being the share of its largest pod. Slow pods need
   less bandwidth for each FLOP, so that w, which is of pods at full rate, may not make less of what r leaves.
6. The largest hidden run is the sum over clusters, plus the largest that one of them adds by leading, plus u times what nobody
   declared, u being the least residual among the mechanisms of the fleet that stand. Every way of counting gives an upper
   bound, and the smallest is taken, apart for each kind of run and each way of failing.

All three of r, w, o enter so that less is never worse, whoever leads: choosing the least of each is exact, and is what makes the
mixed-integer program (`program`) exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from inspectorate.planning.portfolio.catalogue import Case, Mechanism, ShareFigure, Subgoal
from inspectorate.planning.portfolio.fleet import FleetCluster
from inspectorate.planning.portfolio.terms import Question

BY_CLUSTER = (Subgoal.DECLARED_ACCURATE, Subgoal.DECLARED_PROPERTIES, Subgoal.UNDECLARED_USE)
"""Subgoals that are asked of every cluster; the fourth is asked of the fleet."""


@dataclass(frozen=True)
class Left:
    """What is left of one cluster, as shares of its capacity."""

    residual: float
    joining: float
    outside: float
    lead_share: float

    @property
    def joins(self) -> float:
        """What it adds where it counts as if at full rate, and another leads."""
        return self.outside + (1 - self.outside) * min(self.joining, self.residual)

    @property
    def leads(self) -> float:
        """What it adds on top if it leads, where it counts as if at full rate."""
        return (1 - self.outside) * (1 - min(self.joining, self.residual)) * self.lead_share

    @property
    def alone(self) -> float:
        """The most that it does by itself."""
        return min(self.hidden, self.joins + self.leads)

    @property
    def hidden(self) -> float:
        """The share that could be hidden, whether or not it can join with others: what it adds where it counts in full."""
        return self.outside + (1 - self.outside) * self.residual


@dataclass(frozen=True)
class Run:
    """The largest hidden run of a plan, and what it is made of [FLOP]."""

    flop: float
    added: Mapping[str, float]
    """What each cluster adds where another leads."""
    undeclared: float
    leader: str | None
    leads: float


Assignment = Mapping[str, frozenset[str]]
"""Cluster -> mechanisms. The mechanisms of the fleet stand under the empty name."""
FLEET = ""


def standing(question: Question, names: Iterable[str], failed: frozenset[str]) -> list[Mechanism]:
    """The mechanisms that stand although some roots fail."""
    found = (question.catalogue.mechanism(name) for name in sorted(names))
    return [one for one in found if not question.roots_of(one) & failed]


def left_of(
    question: Question,
    cluster: FleetCluster,
    names: Iterable[str],
    *,
    failed: frozenset[str] = frozenset(),
    post: bool = False,
    case: Case | None = None,
) -> Left:
    """What some mechanisms leave of a cluster."""
    case = case or question.case
    stand = standing(question, names, failed)

    def least(figures: Iterable[ShareFigure | None], otherwise: float) -> float:
        return min([figure.at(case) for figure in figures if figure is not None] + [otherwise])

    now = 1.0 if failed or cluster.hidden_share_now is None else cluster.hidden_share_now
    return Left(
        residual=least((one.residual for one in stand), now),
        joining=least((one.joining_post if post else one.joining for one in stand), 1.0),
        outside=least((one.outside for one in stand), 1.0) if question.count_outside else 0.0,
        lead_share=cluster.lead_share,
    )


def largest_run(
    question: Question,
    chosen: Assignment,
    *,
    failed: frozenset[str] = frozenset(),
    post: bool = False,
    case: Case | None = None,
) -> Run:
    """The largest hidden run that an assignment leaves."""
    case = case or question.case
    full: dict[str, float] = {}
    joins: dict[str, float] = {}
    leads: dict[str, float] = {}
    for cluster in question.fleet.clusters:
        left = left_of(question, cluster, chosen[cluster.id], failed=failed, post=post, case=case)
        capacity = question.capacity_flop(cluster)
        full[cluster.id], joins[cluster.id], leads[cluster.id] = (
            capacity * share for share in (left.hidden, left.joins, left.leads)
        )
    stand = standing(question, chosen[FLEET], failed)
    unseen = min([one.residual.at(case) for one in stand if one.residual is not None] + [1.0])
    undeclared = unseen * question.undeclared_flop(case)
    leader = _smallest_count(full, joins, leads)
    most = leads[leader] if leader is not None else 0.0
    added = {name: joins[name] if leader is not None and leads[name] <= most else full[name] for name in full}
    return Run(
        flop=sum(added.values()) + most + undeclared, added=added, undeclared=undeclared, leader=leader, leads=most
    )


def _smallest_count(full: Mapping[str, float], joins: Mapping[str, float], leads: Mapping[str, float]) -> str | None:
    """Which cluster leads under the smallest way of counting; none if all count in full.

    If one cluster counts as if at full rate, every other that gains no more by leading does so as well without making the run
    larger. So the ways to compare are as many as there are clusters, in the order of what they gain.
    """
    least, leader, run = sum(full.values()), None, sum(full.values())
    for name in sorted(leads, key=lambda name: (leads[name], name)):
        run -= full[name] - joins[name]
        if run + leads[name] < least * (1 - 1e-12):
            least, leader = run + leads[name], name
    return leader


def covers(question: Question, names: Iterable[str], subgoal: Subgoal, failed: frozenset[str]) -> bool:
    """Whether any mechanism that stands looks at the subgoal."""
    return any(subgoal in one.subgoals for one in standing(question, names, failed))


def layers_of(question: Question, names: Iterable[str], subgoal: Subgoal) -> int:
    """How many trust roots must fail before nothing looks at the subgoal any more: 0 if nothing does."""
    stand = standing(question, names, frozenset())
    roots = [question.roots_of(one) for one in stand if subgoal in one.subgoals]
    return smallest_cut(roots)


def smallest_cut(sets: Iterable[frozenset[str]]) -> int:
    """The fewest elements that meet every set (a smallest hitting set), by branching on the elements of a set not met yet."""
    open_ = sorted({frozenset(one) for one in sets}, key=lambda one: (len(one), sorted(one)))
    if not open_:
        return 0
    return 1 + min(smallest_cut([one for one in open_ if root not in one]) for root in sorted(open_[0]))


def cost_of(question: Question, chosen: Assignment, case: Case | None = None) -> float:
    """What an assignment costs in a year beyond what is there."""
    case = case or question.case
    total, started = 0.0, set(question.fleet.existing)
    started |= {name for cluster in question.fleet.clusters for name in cluster.existing}
    bought: set[str] = set()
    for cluster in question.fleet.clusters:
        for name in chosen[cluster.id] - set(cluster.existing):
            _, each, chip = question.catalogue.mechanism(name).cost.at(case)
            total += each + chip * cluster.chip_count
            bought.add(name)
    bought |= chosen[FLEET]
    for name in bought - started:
        total += question.catalogue.mechanism(name).cost.at(case)[0]
        if name in chosen[FLEET]:
            total += question.catalogue.mechanism(name).cost.at(case)[1]
    return total
