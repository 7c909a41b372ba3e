"""Make a plan: places, the game, its equilibrium, and beside it what else could be done and what the plan rests on.

1. the account's cells again, by place; what people pointed at is looked at in any case where the user sets days aside for it
2. the game, and a mixture of visit lists with its certificate
3. the greedy list and uniform chance, each against a prover who knows it
4. what it is worth if powers are not what was assumed
5. the year: V(0), V(1), ... of a week's visits, and when to spend the quota
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from inspectorate.account import Account
from inspectorate.errors import InputError
from inspectorate.findings import Finding
from inspectorate.planning.inspections import compared
from inspectorate.planning.inspections.adversary import Aim, Answer, best_answer
from inspectorate.planning.inspections.build import Built, Limits, looks_of
from inspectorate.planning.inspections.candidates import EFFORT_QUICK, EXACT_KINDS_MAX, Chosen, Question, best_plan
from inspectorate.planning.inspections.equilibrium import Effort, Equilibrium, equilibrium
from inspectorate.planning.inspections.game import OWN_SITE, Game, Visits
from inspectorate.planning.inspections.methods import Methods, Whereabouts
from inspectorate.planning.inspections.places import Cells, Open, Place, cells_of, open_places
from inspectorate.planning.inspections.season import season
from inspectorate.planning.inspections.types import (
    FollowedLook,
    GreedyRow,
    InspectionPlan,
    LeadRow,
    PlanEntry,
    PlanKind,
    PlanList,
    PlanLook,
    SeasonRow,
    SensitivityRow,
    Terms,
)
from inspectorate.quantities import Period

SITES_MIN: Final = 4
"""Sites from which whole sites are tried as places, too."""
BY_POD_MAX: Final = 400
"""Pods up to which places are pods; above, sites."""
EFFORT_WEEK: Final = Effort(tolerance=2e-2, rounds_max=30, nodes_max=200, whole=False)
DIGITS: Final = 9
FACTORS: Final = (1.0, 0.9, 0.75, 0.5)
"""Of all powers, for the sensitivity."""
SEASON_VISITS_MAX: Final = 2


@dataclass(frozen=True, kw_only=True)
class Reviewed:
    """What a plan reads of a review."""

    digest: str
    party: str
    period: Period
    simulated: bool
    account: Account
    findings: Sequence[Finding]


@dataclass(frozen=True, kw_only=True)
class Means:
    """What the verifier has, and how it may be spent."""

    terms: Terms
    methods: Methods
    at: Whereabouts
    notes: tuple[str, ...] = field(default=())


def make_plan(reviewed: Reviewed, means: Means) -> InspectionPlan:
    """The plan. Raises `InputError` where the review contradicts itself, nothing is open, or means do not suffice."""
    cells = cells_of(reviewed.account, reviewed.findings)
    terms = means.terms
    # (1)
    ways = _ways(cells, means)
    open_ = ways[0]
    if not open_.places:
        raise InputError("nothing is open: no training could be hidden", where="the review", remedy="no plan is needed")
    followed = _followed(reviewed, open_, means)
    spent = sum(one.days for one in followed) + terms.people_days
    trips = len({_place(open_, one.place).site for one in followed} - {None})
    if spent > terms.days or trips > terms.visits_left:
        raise InputError(
            f"what is followed and heard takes {spent:.3g} inspector-days and {trips} visits", where="--follow, --people-days",
            remedy=f"there are {terms.days:g} inspector-days and {terms.visits_left} visits",
        )  # fmt: skip
    # (2)
    chosen = best_plan(
        ways[:1] if followed else ways,
        Question(
            at=means.at, methods=means.methods, limits=Limits(days=terms.days - spent, visits=terms.visits_left - trips),
            sure={one.place: one.power for one in followed}, effort=EFFORT_QUICK if terms.effort == "quick" else None,
        ),
    )  # fmt: skip
    return _legible(_plan(reviewed, means, chosen, followed))


def _legible(plan: InspectionPlan) -> InspectionPlan:
    """Computed numbers to `DIGITS` digits: sums in floating point differ in the last from run to run."""

    def cut(value: Any) -> Any:
        if isinstance(value, float):
            return float(f"{value:.{DIGITS}g}")
        if isinstance(value, dict):
            return {key: cut(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return tuple(cut(one) for one in value)
        return value

    kept = plan.model_dump(exclude={"terms"})
    return InspectionPlan.model_validate({**cut(kept), "terms": plan.terms})


def quick_plan(reviewed: Reviewed, means: Means) -> InspectionPlan:
    """The same with less search, for a part of a report; its terms say so."""
    terms = means.terms.model_copy(update={"effort": "quick"})
    return make_plan(reviewed, dataclasses.replace(means, terms=terms))


def _plan(reviewed: Reviewed, means: Means, chosen: Chosen, followed: tuple[FollowedLook, ...]) -> InspectionPlan:
    """Steps 3 to 5."""
    game, found, effort, open_ = chosen.built.game, chosen.found, chosen.effort, chosen.open_
    weights = np.array(found.weights) / sum(found.weights)
    mixture = compared.mixture_of(game, found.lists, weights)
    greedy, steps = compared.greedy(game)
    known = _gets_of_known(game, greedy, effort)
    least = min(chosen.least, found.upper)
    return InspectionPlan(
        review=reviewed.digest, party=reviewed.party, period=reviewed.period, simulated=reviewed.simulated,
        run_flop=open_.run_flop, terms=means.terms, by_site=open_.by_site, gets_flop=found.upper, gets_found_flop=found.found,
        gets_flop_least=least, gap=(found.upper - least) / found.upper if found.upper else 0.0,
        rounds=found.rounds, coarseness=chosen.built.ratio,
        run_if_clean_flop=compared.run_if_clean(game, found.lists, weights),
        found_chance=_clamped(1 - found.found / max(game.run_flop(found.used), 1e-300)),
        found_from_flop=compared.found_from(mixture, means.terms.probability, nodes_max=min(effort.nodes_max, 200)),
        probability=means.terms.probability,
        kinds=_kinds(chosen.built, open_, means.at, found), lists=_lists(game, found),
        greedy=tuple(
            GreedyRow(place=game.kinds[s.kind].name, method=game.kinds[s.kind].looks[s.look].method, days=s.days,
                      run_after_flop=s.run_after_flop, falls_per_day_flop=s.falls_per_day)
            for s in steps[:100]
        ),
        greedy_gets_flop=known.value, greedy_at_most_flop=known.bound,
        uniform_gets_flop=chosen.uniform_gets, uniform_at_most_flop=chosen.uniform_at_most,
        nothing_gets_flop=game.run_flop(game.counts),
        sensitivity=_sensitivity(game, found, effort), season=_season(chosen, means),
        leads=_leads(reviewed, means.terms.follow), followed=followed,
        assumed=_assumed(means.methods), notes=_notes(chosen, means),
    )  # fmt: skip


def _gets_of_known(game: Game, visits: Visits, effort: Effort) -> Answer:
    """What a prover gets who knows which places are looked at."""
    known, there = compared.pinned(game, visits)
    return compared.answer_to(known, (there,), np.ones(1), effort)


def _clamped(share: float) -> float:
    return min(1.0, max(0.0, share))


def _ways(cells: Cells, means: Means) -> list[Open]:
    """The places: by pod, by site, or where the terms leave it open both, but pods alone of small fleets."""
    by = means.terms.by
    if by != "auto":
        return [open_places(cells, means.at, by_site=by == "site")]
    if len(cells.ground.pods) > BY_POD_MAX:
        return [open_places(cells, means.at, by_site=True)]
    pods = open_places(cells, means.at, by_site=False)
    if len(pods.places) <= EXACT_KINDS_MAX or len(means.at.sites) < SITES_MIN:
        return [pods]
    return [pods, open_places(cells, means.at, by_site=True)]


def _place(open_: Open, name: str) -> Place:
    return next(place for place in open_.places if place.name == name)


def _followed(reviewed: Reviewed, open_: Open, means: Means) -> tuple[FollowedLook, ...]:
    """A look at every open place of the pods and the time that a lead names, with the look that finds most."""
    leads = {heard.lead.id: heard.lead for finding in reviewed.findings for heard in finding.leads}
    found: dict[str, FollowedLook] = {}
    been: set[int] = set()
    for name in means.terms.follow:
        if name not in leads:
            raise InputError(
                f"the review has no lead {name[:80]!r}", where="--follow", remedy=f"it has {sorted(leads)[:8]}"
            )
        lead = leads[name]
        for place in open_.places:
            here = place.site is not None and (not lead.pods or set(lead.pods) & set(place.pods))
            if not here or (lead.period and not any(lead.period.overlaps(one) for one in open_.periods(place))):
                continue
            looks = looks_of(place, means.methods, 0.0)
            if looks and place.name not in found:
                best = max(looks, key=lambda look: (look.power, -look.days))
                assert place.site is not None
                travel = 0.0 if place.site in been else means.at.travel_days[place.site]
                been.add(place.site)
                found[place.name] = FollowedLook(
                    place=place.name, method=best.method, days=best.days + travel, power=best.power
                )
    return tuple(found.values())


def _kinds(built: Built, open_: Open, at: Whereabouts, found: Equilibrium) -> tuple[PlanKind, ...]:
    chances = np.zeros(len(built.game.kinds))
    for weight, visits in zip(found.weights, found.lists, strict=True):
        chances += weight / sum(found.weights) * np.array(visits.number)
    made = []
    for c, kind in enumerate(built.game.kinds):
        places = [built.places[name] for name in kind.places]
        first = max(places, key=lambda place: place.hidden_flop)
        made.append(
            PlanKind(
                name=kind.name, places=kind.places,
                site=at.sites[first.site] if first.site is not None and (kind.site != OWN_SITE or len(places) == 1) else None,
                hidden_flop=first.hidden_flop, run_without_flop=first.run_without_flop,
                periods=open_.periods(first)[:1_000], basis=first.basis,
                looks=tuple(PlanLook(method=look.method, power=look.power, days=look.days) for look in kind.looks),
                chance=_clamped(float(chances[c]) / kind.count),
            )
        )  # fmt: skip
    return tuple(made)


def _lists(game: Game, found: Equilibrium) -> tuple[PlanList, ...]:
    return tuple(
        PlanList(
            weight=weight, days=visits.days(game), visits=visits.visits(game),
            entries=tuple(
                PlanEntry(kind=c, look=i, number=n)
                for c, (i, n) in enumerate(zip(visits.look, visits.number, strict=True)) if n
            ),
        )
        for weight, visits in zip(found.weights, found.lists, strict=True)
    )  # fmt: skip


def _sensitivity(game: Game, found: Equilibrium, effort: Effort) -> tuple[SensitivityRow, ...]:
    weights = np.array(found.weights) / sum(found.weights)

    def row(what: str, factors: Mapping[str, float], default: float) -> SensitivityRow:
        powers = [[look.power * factors.get(look.method, default) for look in kind.looks] for kind in game.kinds]
        mixture = compared.mixture_of(game, found.lists, weights, powers)
        answer = best_answer(mixture, Aim(), tolerance=effort.tolerance / 10, nodes_max=min(effort.nodes_max, 200))
        return SensitivityRow(what=what, gets_flop=answer.value, at_most_flop=answer.bound)

    rows = [row(f"all powers x {factor:g}", {}, factor) for factor in FACTORS]
    used = {game.kinds[c].looks[i].method for one in found.lists for c, i in enumerate(one.look) if i >= 0}
    rows += [row(f"{name} x 0.5", {name: 0.5}, 1.0) for name in sorted(used)]
    return tuple(rows)


def _season(chosen: Chosen, means: Means) -> SeasonRow | None:
    """The year: a week has 0, 1, ... visits, each with its share of the days. A week counts with what is proved of it."""
    built, quota = chosen.built, means.terms.visits_left
    if means.terms.weeks_left < 1 or quota < 1:
        return None
    each = built.game.days / max(1, built.game.visits_max)
    values = [built.game.run_flop(built.game.counts)]
    for visits in range(1, min(SEASON_VISITS_MAX, quota) + 1):
        week = dataclasses.replace(built.game, visits_max=visits, days=each * visits)
        values.append(min(values[-1], equilibrium(week, effort=EFFORT_WEEK).upper))
    year = season(values, weeks=means.terms.weeks_left, visits=quota)
    return SeasonRow(
        weeks=year.weeks, visits=year.visits, value_flop=year.value,
        first_week=tuple(_clamped(p) for p in year.first_week), all_early_flop=year.all_early,
        known_even_flop=year.known_even, random_weeks_flop=year.random_weeks,
    )  # fmt: skip


def _leads(reviewed: Reviewed, follow: Sequence[str]) -> tuple[LeadRow, ...]:
    return tuple(
        LeadRow(lead=heard.lead.id, pods=heard.lead.pods, step=heard.next_step.value if heard.next_step else "closed",
                standing=heard.standing.value, followed=heard.lead.id in follow)
        for finding in reviewed.findings for heard in finding.leads
    )  # fmt: skip


def _assumed(methods: Methods) -> tuple[str, ...]:
    return tuple(
        f"{one.id}: power and days of a look are assumed; {one.source}" for one in methods.methods if one.assumed
    )


def _notes(chosen: Chosen, means: Means) -> tuple[str, ...]:
    notes = [*means.at.notes, *means.notes]
    if chosen.open_.by_site:
        notes.append("places are whole sites: a look looks at all open cells of one")
    if means.terms.effort == "quick":
        notes.append("searched for seconds only: `inspectorate plan inspections` searches further")
    if chosen.built.ratio > 1:
        notes.append(
            f"nearly alike places count as alike (up to {chosen.built.ratio:.3g} times apart), in "
            f"{len(chosen.built.game.kinds)} kinds: the gap holds what that may cost"
        )
    return tuple(notes)
