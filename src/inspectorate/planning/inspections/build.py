"""From places to the game: kinds of alike places, costs, and what is looked at in any case.

Places are of one kind where part in a run, looks, cost and site agree. Of a site with one place, travel is a part of the
look's cost, and such places of several sites may be of one kind. Where more than `KINDS_MAX` kinds are left, places that are
nearly alike are put together: a kind then counts with the largest part and the highest cost of its places, which only helps
the prover, and the bound from below with the smallest and the lowest. What that costs shows in the gap.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from inspectorate.planning.inspections.game import KINDS_MAX, OWN_SITE, PLACES_OF_KIND_MAX, Game, Kind, Look, log_miss
from inspectorate.planning.inspections.methods import LooksAt, Method, Methods, Whereabouts
from inspectorate.planning.inspections.places import Open, Place

RATIO_FIRST: Final = 1.01
RATIO_GROWTH: Final = 1.25
RATIO_MAX: Final = 1e3
DIGITS: Final = 9
"""Parts that agree in so many digits are alike."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the verifier has."""

    days: float
    visits: int
    kinds: int = KINDS_MAX
    """Of places, at the most: fewer are coarser, and their certificate is tighter."""


@dataclass(frozen=True, kw_only=True)
class Built:
    """The game, and the same with each kind's smallest part: its value is no more than that of the places themselves."""

    game: Game
    least: Game
    places: Mapping[str, Place]
    ratio: float
    """How much more a place of a kind may count than another; 1: all are alike."""


def looks_of(place: Place, methods: Methods, travel_days: float) -> tuple[Look, ...]:
    """The looks that are worth their cost at a place: none costs more and finds less than another."""
    what = LooksAt.CELLS if place.pods else LooksAt.ELSEWHERE
    found = [
        Look(
            method=method.id,
            power=method.power or 0.0,
            days=(days := cost_of(method, place) + travel_days),
            days_min=days,
        )
        for method in methods.looking_at(what)
        if method.power
    ]
    return tuple(
        one
        for i, one in enumerate(found)
        if not any(
            other.power >= one.power and other.days <= one.days
            and ((other.power, -other.days) != (one.power, -one.days) or j < i)
            for j, other in enumerate(found) if j != i
        )
    )  # fmt: skip


def cost_of(method: Method, place: Place) -> float:
    return method.days.of(pods=place.pods_looked_at, pod_hours=place.pod_hours)


def build(
    open_: Open, at: Whereabouts, methods: Methods, limits: Limits, sure: Mapping[str, float] | None = None
) -> Built:
    """The game of these places. `sure` names places that are looked at in any case, with the power of that look."""
    sure = sure or {}
    counted: dict[int, int] = {}
    for place in open_.places:
        if place.site is not None:
            counted[place.site] = counted.get(place.site, 0) + 1
    groups: list[_Group] = []
    for place in open_.places:
        alone = place.site is None or counted[place.site] == 1
        site = OWN_SITE if alone else place.site
        travel = at.travel_days[place.site] if alone and place.site is not None else 0.0
        looks = () if place.name in sure else looks_of(place, methods, travel)
        groups.append(
            _Group(place=place, site=OWN_SITE if site is None else site, looks=looks, sure=sure.get(place.name, 0.0))
        )
    kinds, ratio = _merged(groups, limits.kinds)
    return Built(
        game=_game(kinds, at, limits, open_.run_flop, most=True),
        least=_game(kinds, at, limits, open_.run_flop, most=False),
        places={place.name: place for place in open_.places},
        ratio=ratio,
    )


@dataclass(frozen=True, kw_only=True)
class _Group:
    place: Place
    site: int
    looks: tuple[Look, ...]
    sure: float

    def must_agree(self) -> tuple[object, ...]:
        return (self.site, not self.place.pods, self.sure, tuple((look.method, look.power) for look in self.looks))

    @property
    def part(self) -> float:
        return self.place.base_flop + float(self.place.lead_flop.sum())


def _merged(groups: Sequence[_Group], kinds_max: int) -> tuple[list[list[_Group]], float]:
    """Kinds as lists of places: equal ones together, then nearly equal ones by ever coarser steps."""
    found: dict[tuple[object, ...], list[_Group]] = {}
    for one in groups:
        lead = tuple(float(f"{value:.{DIGITS}g}") for value in one.place.lead_flop)
        days = tuple(round(look.days, 6) for look in one.looks)
        found.setdefault((*one.must_agree(), float(f"{one.place.base_flop:.{DIGITS}g}"), lead, days), []).append(one)
    kinds, ratio = list(found.values()), RATIO_FIRST
    if len(kinds) <= kinds_max:
        return _split(kinds), 1.0
    while True:
        found = {}
        for one in groups:
            days_each = sum(look.days for look in one.looks)
            steps = (_step(one.part, ratio), _step(days_each, ratio))
            found.setdefault((*one.must_agree(), *steps), []).append(one)
        if len(found) <= kinds_max or ratio > RATIO_MAX:
            return _split(list(found.values())), ratio
        ratio = 1 + (ratio - 1) * RATIO_GROWTH


def _step(value: float, ratio: float) -> int:
    return -(10**9) if value <= 0 else int(np.floor(np.log(value) / np.log(ratio)))


def _split(kinds: Sequence[list[_Group]]) -> list[list[_Group]]:
    size = PLACES_OF_KIND_MAX
    parts = [kind[i : i + size] for kind in kinds for i in range(0, len(kind), size)]
    return sorted(parts, key=lambda kind: (-sum(one.part for one in kind), kind[0].place.name))


def _game(kinds: Sequence[Sequence[_Group]], at: Whereabouts, limits: Limits, cap_flop: float, *, most: bool) -> Game:
    pick = max if most else min
    made, sure = [], []
    for group in kinds:
        leads = np.array([one.place.lead_flop for one in group])
        made.append(
            Kind(
                name=group[0].place.name if len(group) == 1 else f"{group[0].place.name} and {len(group) - 1} like it",
                places=tuple(one.place.name for one in group),
                site=group[0].site,
                base_flop=pick(one.place.base_flop for one in group),
                lead_flop=leads.max(axis=0) if most else leads.min(axis=0),
                looks=tuple(
                    Look(method=look.method, power=look.power, days=max(one.looks[i].days for one in group),
                         days_min=min(one.looks[i].days for one in group))
                    for i, look in enumerate(group[0].looks)
                ),
            )
        )  # fmt: skip
        sure.append(log_miss(len(group), len(group) if group[0].sure else 0, group[0].sure))
    table = np.concatenate(sure)
    return Game(
        kinds=tuple(made), travel_days=at.travel_days, days=limits.days, visits_max=limits.visits, cap_flop=cap_flop,
        sure=table if table.any() else None,
    )  # fmt: skip


def named_places(game: Game, names: Collection[str]) -> list[tuple[int, str]]:
    """Kind and name of these places."""
    return [(c, name) for c, kind in enumerate(game.kinds) for name in kind.places if name in names]
