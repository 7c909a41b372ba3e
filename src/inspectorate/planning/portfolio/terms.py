"""The question of a portfolio: a fleet, a catalogue, a date, what must be excluded, and what is refused.

A mechanism may be chosen if it is ready (start of the work + years of work + delay, by the case, is no later than the date),
feasible enough, not struck out, and if neither its kinds of access nor its level of access are refused. What is there already
stays, whatever the date.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import combinations

from pydantic import Field

from inspectorate.agreement import Agreement, ThresholdKind
from inspectorate.canonical import Identifier, Record, Text
from inspectorate.errors import InputError
from inspectorate.planning.portfolio.catalogue import LEVELS, Case, Catalogue, Claim, Grade, Mechanism, Scope
from inspectorate.planning.portfolio.fleet import Fleet, FleetCluster, h100_flop_per_s
from inspectorate.quantities import Positive

YEAR_DAYS = 365.25
DAY_S = 86_400.0
FAILURES_MAX = 3
LAYERS_MAX = 4
TOGETHER_MAX = 5
ALGORITHMIC_PER_YEAR = 3.0
"""Compute for the same capability falls about so many times a year (arXiv 2506.15867, A1)."""
PRICE_PER_YEAR = 1.3
"""Compute for the same money grows about so many times a year (arXiv 2506.15867, A1)."""
_GRADES = (Grade.LOW, Grade.MEDIUM, Grade.HIGH)


class Progress(Record):
    """What moves with time: thresholds fall by what algorithms gain; hidden purchases of the same money grow."""

    algorithmic_per_year: float = Field(default=1.0, ge=1, le=100)
    price_per_year: float = Field(default=1.0, ge=1, le=100)

    def threshold_share(self, years: float) -> float:
        """What is left of a threshold, in FLOP, if it is to stand for the same capability."""
        return float(self.algorithmic_per_year ** -max(years, 0.0))

    def purchase_times(self, years: float) -> float:
        return float(self.price_per_year ** max(years, 0.0))


NO_PROGRESS = Progress()


class Requirement(Record):
    """A bound on one kind of hidden run, as it is at the date of the plan."""

    threshold: Identifier
    kind: ThresholdKind
    flop_max_agreed: Positive
    flop_max: Positive
    note: Text | None = None


@dataclass(frozen=True, kw_only=True)
class Question:
    """All that a plan depends on."""

    fleet: Fleet
    catalogue: Catalogue
    agreement: Agreement
    requirements: tuple[Requirement, ...]
    date: datetime
    start: datetime
    """When the work on what is not there yet begins."""
    run_days: float = YEAR_DAYS
    """How long a run may go on."""
    case: Case = Case.CENTRAL
    without: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    """Kinds of access that are refused everywhere."""
    access_level_max: int = LEVELS - 1
    delays: Mapping[str, float] = field(default_factory=dict)
    """Years by which a mechanism comes later."""
    caps: Mapping[str, float] = field(default_factory=dict)
    """The most that may be revealed of a kind, in bits a day of one cluster."""
    failures: int = 0
    """The bound must hold whichever so many trust roots fail."""
    layers: int = 1
    """Every subgoal must be seen to whichever (layers - 1) trust roots fail; 0: not asked."""
    budget: float | None = None
    progress: Progress = NO_PROGRESS
    count_outside: bool = False
    """Whether chips may be elsewhere than declared, unless a mechanism bounds that."""
    feasible_min: Grade = Grade.MEDIUM
    together: int = 4
    """At most so many new mechanisms on one cluster."""
    keep_running: bool = False
    """Whether every cluster goes on working: none is excluded."""
    gap: float | None = None
    """Relative gap at which the search may stop; none: 0 for small fleets, half of one per cent for large ones."""
    time_limit_s: float = 120.0

    def __post_init__(self) -> None:
        known = set(self.catalogue.names)
        for where, names in (("--without", set(self.without)), ("--delay", set(self.delays))):
            if unknown := names - known:
                raise InputError(f"no mechanism {', '.join(sorted(unknown))[:200]} in the catalogue {self.catalogue.id}",
                                 where=where, remedy="`inspectorate plan portfolio catalogue` lists them")  # fmt: skip
        kinds = {kind for one in self.catalogue.mechanisms for kind in one.access.kinds}
        if unknown := set(self.refused) - kinds:
            raise InputError(f"no mechanism asks for access of the kind {', '.join(sorted(unknown))[:200]}",
                             where="--refuse", remedy=f"one of: {', '.join(sorted(kinds))}")  # fmt: skip
        revealed = {one.kind for mechanism in self.catalogue.mechanisms for one in mechanism.reveals}
        if unknown := set(self.caps) - revealed:
            raise InputError(f"no mechanism reveals {', '.join(sorted(unknown))[:200]}", where="--cap",
                             remedy=f"one of: {', '.join(sorted(revealed))}")  # fmt: skip
        for cluster in self.fleet.clusters:
            self._check_existing(cluster.id, cluster.existing, Scope.CLUSTER)
        self._check_existing(self.fleet.id, self.fleet.existing, Scope.FLEET)
        self._check_needs()
        in_bounds = 0 <= self.failures <= FAILURES_MAX and 0 <= self.layers <= LAYERS_MAX
        if not in_bounds or not 1 <= self.together <= TOGETHER_MAX:
            raise InputError(f"at most {FAILURES_MAX} failures, {LAYERS_MAX} layers and {TOGETHER_MAX} mechanisms together",
                             where="plan portfolio")  # fmt: skip
        if not self.requirements:
            raise InputError("nothing is to be excluded", where="plan portfolio", remedy="give --bound or a threshold")

    def _check_existing(self, place: str, names: tuple[str, ...], scope: Scope) -> None:
        for name in names:
            if name not in self.catalogue.names or self.catalogue.mechanism(name).scope is not scope:
                raise InputError(f"{place} has {name[:80]!r}, which is no mechanism for a {scope.value} in the catalogue",
                                 where="existing", remedy="correct the fleet or the catalogue")  # fmt: skip

    def _check_needs(self) -> None:
        for cluster in self.fleet.clusters:
            there = {*cluster.existing, *self.fleet.existing}
            for name in sorted(there):
                if missing := set(self.catalogue.mechanism(name).needs) - there:
                    raise InputError(f"{cluster.id} has {name} and not what it needs: {', '.join(sorted(missing))}",
                                     where="existing", remedy="name that as well")  # fmt: skip

    def but(self, **changes: object) -> Question:
        """The same question with some terms changed."""
        return replace(self, **changes)  # type: ignore[arg-type]

    @property
    def years(self) -> float:
        """From the start to the date."""
        return (self.date - self.start).total_seconds() / DAY_S / YEAR_DAYS

    def ready_in_years(self, mechanism: Mechanism, case: Case) -> float:
        return mechanism.rd_years.at(case) + self.delays.get(mechanism.id, 0.0)

    def ready_on(self, mechanism: Mechanism, case: Case) -> datetime:
        return self.start + timedelta(days=self.ready_in_years(mechanism, case) * YEAR_DAYS)

    def why_not(self, mechanism: Mechanism, case: Case | None = None) -> str | None:
        """Why it may not be chosen; none if it may."""
        if mechanism.id in self.without:
            return "struck out"
        if self.keep_running and mechanism.claim is Claim.EXCLUDED:
            return "clusters are to go on working"
        if _GRADES.index(mechanism.feasibility.grade) < _GRADES.index(self.feasible_min):
            return f"feasibility {mechanism.feasibility.grade.value}"
        if shut := self.refused & set(mechanism.access.kinds):
            return f"access to {', '.join(sorted(shut))} is refused"
        if mechanism.access.level > self.access_level_max:
            return f"needs access of level {mechanism.access.level}"
        when = self.ready_on(mechanism, case or self.case)
        return f"ready on {when:%Y-%m-%d}" if when > self.date else None

    def available(self, scope: Scope) -> tuple[Mechanism, ...]:
        """What may be chosen, in the order of the catalogue: with all that it needs."""
        open_ = {one.id for one in self.catalogue.mechanisms if self.why_not(one) is None}
        open_ |= set(self.fleet.existing)
        there = {name for cluster in self.fleet.clusters for name in cluster.existing}
        return tuple(
            one
            for one in self.catalogue.mechanisms
            if one.scope is scope and one.id in open_ and set(one.needs) <= open_ | there
        )

    def capacity_flop(self, cluster: FleetCluster) -> float:
        """What the cluster can do in one run's time."""
        return cluster.flop_per_s(self.agreement) * self.run_days * DAY_S

    def undeclared_flop(self, case: Case | None = None) -> float:
        """What nobody declared can do in one run's time."""
        if self.fleet.undeclared is None:
            return 0.0
        chips = self.fleet.undeclared.h100_equivalents[(case or self.case).place] * self.progress.purchase_times(
            self.years
        )
        return chips * h100_flop_per_s(self.agreement) * self.agreement.utilisation.max * self.run_days * DAY_S

    def kinds(self) -> dict[bool, float]:
        """The least bound on runs of each kind: False for pre-training, True for whatever counts post-training."""
        found: dict[bool, float] = {}
        for one in self.requirements:
            post = one.kind is not ThresholdKind.TRAINING
            found[post] = min(found.get(post, one.flop_max), one.flop_max)
        return dict(sorted(found.items()))

    def roots_of(self, mechanism: Mechanism) -> frozenset[str]:
        """What it stands and falls with, and what it needs does."""
        needed = [self.catalogue.mechanism(name) for name in mechanism.needs]
        return frozenset(mechanism.roots).union(*(one.roots for one in needed))

    def failing(self, count: int) -> tuple[frozenset[str], ...]:
        """Every way in which so many trust roots fail. More that fail is never better, so fewer need no look."""
        used = (*self.available(Scope.CLUSTER), *self.available(Scope.FLEET), *self._existing())
        roots = sorted(frozenset().union(*(self.roots_of(one) for one in used)))
        return tuple(frozenset(some) for some in combinations(roots, min(count, len(roots))))

    def _existing(self) -> tuple[Mechanism, ...]:
        names = {name for cluster in self.fleet.clusters for name in cluster.existing} | set(self.fleet.existing)
        return tuple(self.catalogue.mechanism(name) for name in sorted(names))


def requirements_of(
    agreement: Agreement, *, date: datetime, start: datetime, progress: Progress, thresholds: tuple[str, ...] = ()
) -> tuple[Requirement, ...]:
    """The bounds that an agreement asks for at a date: the named thresholds, or all but those that only call for a report.

    Raises `InputError`.
    """
    years = (date - start).total_seconds() / DAY_S / YEAR_DAYS
    try:
        held = {one.id: one for one in agreement.on(date).thresholds}
    except ValueError as fault:
        raise InputError(str(fault), where="--date", remedy="choose another date or agreement") from None
    if unknown := set(thresholds) - set(held):
        raise InputError(f"no threshold {', '.join(sorted(unknown))[:200]} holds in {agreement.id} on {date:%Y-%m-%d}",
                         where="--threshold", remedy=f"one of: {', '.join(held) or 'none'}")  # fmt: skip
    chosen = [held[name] for name in thresholds] or [
        one for one in held.values() if one.kind is not ThresholdKind.MONITORED
    ]
    return tuple(
        Requirement(
            threshold=one.id,
            kind=one.kind,
            flop_max_agreed=one.flop_max,
            flop_max=one.flop_max * progress.threshold_share(years),
        )
        for one in chosen
    )


def bound_of(flop: float, *, years: float, progress: Progress) -> Requirement:
    """A bound that somebody names."""
    return Requirement(
        threshold="bound",
        kind=ThresholdKind.TRAINING,
        flop_max_agreed=flop,
        flop_max=flop * progress.threshold_share(years),
    )
