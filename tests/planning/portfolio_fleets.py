"""Random small fleets with random small catalogues, fleets of any size, and the slow obvious search over every choice.

The search shares nothing with the program but the records: it enumerates every set of mechanisms of every cluster, without pruning,
and computes the largest hidden run from figures by its own few lines.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import chain, combinations, product

from inspectorate.agreement import Agreement, ThresholdKind, load_agreement
from inspectorate.planning.portfolio.catalogue import Catalogue, Claim, Mechanism, Scope, shipped_catalogue
from inspectorate.planning.portfolio.fleet import Fleet, FleetCluster, Undeclared
from inspectorate.planning.portfolio.terms import Progress, Question, Requirement

START = datetime(2026, 1, 1, tzinfo=UTC)
DATE = datetime(2030, 1, 1, tzinfo=UTC)
ROOTS = ("alpha", "beta", "gamma")
SUBGOALS = ("1.A", "1.B", "2.A", "2.B")


@cache
def terms() -> Agreement:
    return load_agreement("asi-agreement")


def figure(low: float, mid: float, high: float) -> dict[str, object]:
    return {"range": [low, mid, high], "mark": "assumed", "source": "a random test"}


def _mechanism(rng: random.Random, name: str, scope: str, earlier: list[str]) -> dict[str, object]:
    """One mechanism of a kind that may exist, with figures at random. Ties are frequent on purpose."""
    cluster = scope == "cluster"
    shares = sorted(rng.choice([0.0, 0.01, 0.02, 0.05, 0.1, 0.3, 0.5, 1.0]) for _ in range(3))
    joins = sorted(rng.choice([0.01, 0.1, 0.3, 1.0]) for _ in range(3))
    kind = rng.choice(["residual", "joining", "both", "outside", "outside and residual"])
    made: dict[str, object] = {
        "id": name, "title": name, "power": name, "scope": scope, "evidence": "machine", "uses": ["inference", "training"],
        "claim": "none" if not cluster or kind == "outside" else rng.choice(["no-training", "small-training", "excluded"]),
        "feasibility": {"grade": "high", "mark": "assumed", "source": "a random test"},
        "rd_years": figure(0, rng.choice([1, 3, 3, 5]), 9),
        "cost": {
            part: figure(0, amount, 2 * amount)
            for part, amount in (("programme", rng.choice([0, 0, 500])), ("cluster", rng.choice([0, 10, 50, 90])),
                                 ("chip", rng.choice([0, 1, 2, 5])))
        },
        "reveals": [{"kind": rng.choice(["code", "power"]), "bits_per_day": figure(0, rng.choice([1, 10, 100]), 1000),
                     "per": rng.choice(["cluster", "chip"])}],
        "access": {"level": rng.randrange(5), "kinds": [rng.choice(["door", "window"])], "mark": "assumed", "source": "random"},
        "roots": rng.sample(ROOTS, rng.choice([1, 1, 2])),
        "subgoals": [one for one in SUBGOALS if rng.random() < 0.85],
    }  # fmt: skip
    if not cluster or "residual" in kind or kind == "both":
        made["residual"] = figure(*shares)
    if cluster and kind in {"joining", "both"}:
        made["joining"], made["joining_post"] = figure(*joins), figure(*(min(1.0, 3 * one) for one in joins))
    if cluster and "outside" in kind:
        made["outside"] = figure(*(one / 10 for one in shares))
    if cluster and earlier and rng.random() < 0.3:
        made["needs"] = [rng.choice(earlier)]
    return made


def small_question(seed: int) -> Question:
    """A question small enough to be answered by looking at every choice."""
    rng = random.Random(seed)
    fleet_wide = [f"f{n}" for n in range(rng.choice([1, 2]))]
    by_cluster = [f"m{n}" for n in range(rng.choice([3, 4]))]
    mechanisms = [_mechanism(rng, name, "fleet", []) for name in fleet_wide]
    for place, name in enumerate(by_cluster):
        free = [one for one in (*fleet_wide, *by_cluster[:place]) if not _needs(mechanisms, one)]
        mechanisms.append(_mechanism(rng, name, "cluster", free))
    catalogue = Catalogue.model_validate({
        "id": "random", "version": 1, "currency": "USD", "mechanisms": mechanisms,
        "roots": [{"id": name, "kind": "supplier", "title": name} for name in ROOTS],
    })  # fmt: skip
    bounding = [one.id for one in catalogue.mechanisms if one.bounds and not one.needs]
    clusters = tuple(
        FleetCluster(
            id=f"c{n}", h100_equivalents=float(rng.choice([10, 50, 200])), use=rng.choice(["inference", "training"]),
            pods=rng.choice([1, 4]), existing=tuple(rng.sample(bounding, 1)) if bounding and rng.random() < 0.1 else (),
            hidden_share_now=0.4 if rng.random() < 0.1 else None,
        )
        for n in range(rng.choice([2, 3]))
    )  # fmt: skip
    undeclared = Undeclared(h100_equivalents=(0, 5, 20), mark="assumed", source="a random test")
    fleet = Fleet(id="small", clusters=clusters, undeclared=undeclared if rng.random() < 0.3 else None)
    whole = sum(one.flop_per_s(terms()) for one in clusters) * 365.25 * 86_400
    kinds = [ThresholdKind.TRAINING, *([ThresholdKind.POST_TRAINING] if rng.random() < 0.3 else [])]
    bounds = [
        Requirement(
            threshold=f"t{n}", kind=kind, flop_max_agreed=1.0, flop_max=whole * rng.choice([0.05, 0.1, 0.3, 0.6])
        )
        for n, kind in enumerate(kinds)
    ]
    return Question(
        fleet=fleet, catalogue=catalogue, agreement=terms(), requirements=tuple(bounds), date=DATE, start=START,
        failures=rng.choice([0, 0, 0, 1]), layers=rng.choice([0, 1, 1, 2]), count_outside=rng.random() < 0.2,
        caps={"code": rng.choice([10.0, 100.0, 1000.0])} if rng.random() < 0.4 and _reveals(catalogue, "code") else {},
        without=frozenset({rng.choice(by_cluster)}) if rng.random() < 0.1 else frozenset(), together=4,
        progress=Progress(price_per_year=1.3),
    )  # fmt: skip


def _needs(mechanisms: list[dict[str, object]], name: str) -> bool:
    return any(one["id"] == name and one.get("needs") for one in mechanisms)


def _reveals(catalogue: Catalogue, kind: str) -> bool:
    return any(one.kind == kind for mechanism in catalogue.mechanisms for one in mechanism.reveals)


def large_question(seed: int, clusters: int, mechanisms: int, share: float = 0.01, **terms_: object) -> Question:
    """The shipped catalogue cut to so many mechanisms, on a fleet of clusters that all differ."""
    rng = random.Random(seed)
    shipped = shipped_catalogue()
    wide = [one for one in shipped.mechanisms if one.scope is Scope.FLEET]
    narrow = [one for one in shipped.mechanisms if one.scope is Scope.CLUSTER]
    kept = sorted(narrow, key=lambda one: one.id == "partial-rerunning")[:mechanisms]  # which needs another
    catalogue = Catalogue(id="cut", version=1, currency="USD", roots=shipped.roots, mechanisms=(*kept, *wide))
    fleet = Fleet(
        id="large",
        clusters=tuple(
            FleetCluster(
                id=f"c{n:04}", h100_equivalents=float(round(10 ** rng.uniform(1.5, 4))),
                use=rng.choice(["inference", "inference", "training", "other"]), pods=rng.choice([1, 4, 16, 64]),
            )
            for n in range(clusters)
        ),
    )  # fmt: skip
    whole = sum(one.flop_per_s(load_agreement("asi-agreement")) for one in fleet.clusters) * 365.25 * 86_400
    bound = Requirement(threshold="bound", kind=ThresholdKind.TRAINING, flop_max_agreed=whole, flop_max=whole * share)
    return Question(fleet=fleet, catalogue=catalogue, agreement=load_agreement("asi-agreement"), requirements=(bound,),
                    date=DATE, start=START, **terms_)  # fmt: skip


# --- the slow obvious search -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Best:
    """The least cost of any choice within the bounds, and the least multiple of the bounds that any choice leaves."""

    cost: float | None
    stretch: float | None
    choices: int


def _subsets(names: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    return chain.from_iterable(combinations(names, size) for size in range(len(names) + 1))


def brute_force(question: Question) -> Best:
    """Every choice of every set on every cluster."""
    by_name = {one.id: one for one in question.catalogue.mechanisms}
    allowed = {one.id for one in question.catalogue.mechanisms if question.why_not(one) is None}
    fails = [frozenset(some) for some in combinations(ROOTS, min(question.failures, 3))]
    unseen = [frozenset(some) for some in combinations(ROOTS, question.layers - 1)] if question.layers else []
    limits = {}
    for one in question.requirements:
        post = one.kind is not ThresholdKind.TRAINING
        limits[post] = min(limits.get(post, one.flop_max), one.flop_max)
    scenes = [(post, limit, failed) for post, limit in limits.items() for failed in fails]
    fleet_sets = [
        set(some) for some in _subsets(tuple(n for n in by_name if by_name[n].scope is Scope.FLEET and n in allowed))
    ]
    per_cluster = [_cluster_sets(question, one, by_name, allowed, scenes) for one in question.fleet.clusters]
    best_cost = best_stretch = None
    choices = 0
    started = {name for one in question.fleet.clusters for name in one.existing}
    for fleet_set in fleet_sets:
        stands = [{n for n in fleet_set if not _roots(by_name, n) & failed} for _, _, failed in scenes]
        hidden = [
            _undeclared(question) * min([by_name[n].residual.range[1] for n in up if by_name[n].residual] + [1.0])
            for up in stands
        ]
        if not all(
            any("2.B" in by_name[n].subgoals and not _roots(by_name, n) & failed for n in fleet_set)
            for failed in unseen
        ):
            continue
        for some in product(*per_cluster):
            choices += 1
            if not all(_fits(one.names, fleet_set, by_name, unseen) for one in some):
                continue
            stretch = max((_run(some, at) + hidden[at]) / scenes[at][1] for at in range(len(scenes)))
            best_stretch = stretch if best_stretch is None else min(best_stretch, stretch)
            if stretch <= 1 + 1e-9:
                bought = set(fleet_set).union(*(one.names for one in some)) - started
                cost = sum(one.cost for one in some) + sum(by_name[n].cost.programme.range[1] for n in bought)
                cost += sum(by_name[n].cost.cluster.range[1] for n in fleet_set)
                best_cost = cost if best_cost is None else min(best_cost, cost)
    return Best(best_cost, best_stretch, choices)


@dataclass(frozen=True)
class _Set:
    names: frozenset[str]
    cost: float
    full: tuple[float, ...]
    joins: tuple[float, ...]
    leads: tuple[float, ...]


def _run(some: tuple[_Set, ...], at: int) -> float:
    """Every way of counting: each cluster in full, or as if at full rate."""
    found = []
    for ways in product((False, True), repeat=len(some)):
        adds = sum(one.joins[at] if way else one.full[at] for one, way in zip(some, ways, strict=True))
        found.append(adds + max([one.leads[at] for one, way in zip(some, ways, strict=True) if way] + [0.0]))
    return min(found)


def _roots(by_name: dict[str, Mechanism], name: str) -> set[str]:
    found = set(by_name[name].roots)
    for other in by_name[name].needs:
        found |= set(by_name[other].roots)
    return found


def _undeclared(question: Question) -> float:
    if question.fleet.undeclared is None:
        return 0.0
    one = FleetCluster(
        id="x", h100_equivalents=question.fleet.undeclared.h100_equivalents[1] * 1.3**question.years, use="other"
    )
    return one.flop_per_s(question.agreement) * question.run_days * 86_400


def _cluster_sets(
    question: Question, cluster: FleetCluster, by_name: dict[str, Mechanism], allowed: set[str],
    scenes: list[tuple[bool, float, frozenset[str]]],
) -> list[_Set]:  # fmt: skip
    free = tuple(
        n for n in by_name
        if by_name[n].scope is Scope.CLUSTER and n in allowed and cluster.use in by_name[n].uses and n not in cluster.existing
    )  # fmt: skip
    found = []
    capacity = cluster.flop_per_s(question.agreement) * question.run_days * 86_400
    for new in _subsets(free):
        names = set(new) | set(cluster.existing)
        inner = {o for n in names for o in by_name[n].needs if by_name[o].scope is Scope.CLUSTER}
        bounded = any(by_name[n].claim is not Claim.NONE for n in names) or cluster.hidden_share_now is not None
        bits = {}
        for n in names:
            for one in by_name[n].reveals:
                times = cluster.chip_count if one.per == "chip" else 1
                bits[one.kind] = bits.get(one.kind, 0) + times * one.bits_per_day.range[1]
        if not inner <= names or not bounded or any(bits.get(k, 0) > cap for k, cap in question.caps.items()):
            continue
        full, joins, leads = [], [], []
        for post, _, failed in scenes:
            up = [by_name[n] for n in names if not _roots(by_name, n) & failed]
            now = 0.4 if cluster.hidden_share_now is not None and not failed else 1.0
            r = min([m.residual.range[1] for m in up if m.residual] + [now])
            joinings = [m.joining_post if post else m.joining for m in up]
            w = min([j.range[1] for j in joinings if j] + [1.0])
            o = min([m.outside.range[1] for m in up if m.outside] + [1.0]) if question.count_outside else 0.0
            full.append(capacity * (o + (1 - o) * r))
            joins.append(capacity * (o + (1 - o) * min(w, r)))
            leads.append(capacity * (1 - o) * (1 - min(w, r)) / cluster.pods)
        prices = [by_name[n].cost for n in new]
        cost = sum(p.cluster.range[1] + p.chip.range[1] * cluster.chip_count for p in prices)
        found.append(_Set(frozenset(names), cost, tuple(full), tuple(joins), tuple(leads)))
    return found


def _fits(
    names: frozenset[str], fleet_set: set[str], by_name: dict[str, Mechanism], unseen: list[frozenset[str]]
) -> bool:
    needed = {o for n in names for o in by_name[n].needs if by_name[o].scope is Scope.FLEET}
    if not needed <= fleet_set:
        return False
    everything = names | fleet_set
    return all(
        any(goal in by_name[n].subgoals and not _roots(by_name, n) & failed for n in everything)
        for goal in ("1.A", "1.B", "2.A")
        for failed in unseen
    )
