"""Slow and obvious: the game of single places, with every visit list and every use of places written out, as one program."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from inspectorate.planning.inspections.game import OWN_SITE, Floats, Game, Kind, Look
from inspectorate.planning.inspections.programs import INFINITE, Program, solve

List = tuple[tuple[int, int, float], ...]
"""(kind, place, power) of each look."""


def every_list(game: Game) -> Iterator[List]:
    """Every set of single places that fits; one method for all places of a kind, as the game has it."""
    of_kind = []
    for c, kind in enumerate(game.kinds):
        ways: list[tuple[int, tuple[int, ...]]] = [(-1, ())]
        for i in range(len(kind.looks)):
            for number in range(1, kind.count + 1):
                ways += [(i, places) for places in itertools.combinations(range(kind.count), number)]
        of_kind.append([(c, i, places) for i, places in ways])
    for chosen in itertools.product(*of_kind):
        sites = {game.kinds[c].site for c, _, places in chosen if places} - {OWN_SITE}
        days = sum(game.kinds[c].looks[i].days * len(places) for c, i, places in chosen if places)
        visits = len(sites) + sum(len(places) for c, _, places in chosen if game.kinds[c].site == OWN_SITE)
        if days + sum(game.travel_days[s] for s in sites) <= game.days + 1e-9 and visits <= game.visits_max:
            yield tuple((c, p, game.kinds[c].looks[i].power) for c, i, places in chosen for p in places)


def every_use(game: Game) -> Iterator[frozenset[tuple[int, int]]]:
    places = [(c, p) for c, kind in enumerate(game.kinds) for p in range(kind.count)]
    for number in range(1, len(places) + 1):
        yield from (frozenset(one) for one in itertools.combinations(places, number))


def run_of(game: Game, used: frozenset[tuple[int, int]]) -> float:
    """The rule of the account in words: the best leader of each segment, all others by what they add."""
    total = 0.0
    for c, _ in used:
        total += game.kinds[c].base_flop
    for segment in range(game.lead.shape[1]):
        total += max(float(game.kinds[c].lead_flop[segment]) for c, _ in used)
    return min(total, game.cap_flop)


def escape(visits: List, used: frozenset[tuple[int, int]]) -> float:
    chance = 1.0
    for c, p, power in visits:
        if (c, p) in used:
            chance *= 1 - power
    return chance


def payoffs(game: Game, size: float | None = None) -> Floats:
    """Rows: uses; columns: lists."""
    lists, rows = list(every_list(game)), []
    for used in every_use(game):
        run = run_of(game, used)
        worth = run if size is None else float(run >= size * (1 - 1e-12))
        rows.append([worth * escape(visits, used) for visits in lists])
    return np.array(rows)


def value_of(gains: Floats) -> float:
    """min over mixtures of columns of the largest row."""
    scale = float(gains.max()) or 1.0
    rows, columns = gains.shape
    solved = solve(
        Program(
            cost=np.array([0.0] * columns + [1.0]),
            lower=np.zeros(columns + 1),
            upper=np.full(columns + 1, INFINITE),
            rows=np.vstack((np.hstack((-gains / scale, np.ones((rows, 1)))), [[1.0] * columns + [0.0]])),
            row_low=np.array([0.0] * rows + [1.0]),
            row_high=np.array([INFINITE] * rows + [1.0]),
        )
    )
    return solved.objective * scale


def random_game(rng: np.random.Generator, *, places_max: int = 7) -> Game:
    """A small game with everything in it: alike places, shared travel, two methods, limits and gaps, quota and cap."""
    kinds: list[Kind] = []
    left, sites = int(rng.integers(2, places_max + 1)), int(rng.integers(1, 4))
    segments = int(rng.integers(1, 3))
    while left:
        count = int(rng.integers(1, min(left, 3) + 1))
        left -= count
        own = rng.random() < 0.2
        further = float(rng.choice([0.0, 0.05, 0.5, 1.0]))
        hidden = rng.choice([0.5, 1.0, 2.0, 3.7], size=segments) * (rng.random(segments) < 0.8)
        looks = []
        for i in range(int(rng.integers(1, 3))):
            days = float(rng.choice([0.5, 1.0, 1.5]))
            looks.append(Look(method=f"m{i}", power=float(rng.choice([0.3, 0.7, 0.95, 1.0])), days=days, days_min=days))
        kinds.append(
            Kind(name=f"k{len(kinds)}", places=tuple(f"k{len(kinds)}p{i}" for i in range(count)),
                 site=OWN_SITE if own else int(rng.integers(0, sites)), base_flop=float(further * hidden.sum()),
                 lead_flop=(1 - further) * hidden, looks=tuple(looks))
        )  # fmt: skip
    return Game(
        kinds=tuple(kinds), travel_days=tuple(float(rng.choice([0.0, 0.5, 1.0])) for _ in range(sites)),
        days=float(rng.choice([1.0, 2.0, 3.5])), visits_max=int(rng.integers(1, 4)),
        cap_flop=float(rng.choice([np.inf, 4.0])),
    )  # fmt: skip
