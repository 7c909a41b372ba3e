"""Other ways to plan, and what a prover who knows them gets: the greedy list, and uniform chance.

Greedy: the look that lowers the largest run most per inspector-day (power x fall / days), then again from what is left:
`Account.help`, generalised to costs, powers and travel. It is one list, so whoever knows the rule knows where nobody comes.
Uniform: places in random order, each with the look that finds most per inspector-day, until nothing more fits.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final

import numpy as np

from inspectorate.planning.inspections.adversary import Aim, Answer, Mixture, best_answer
from inspectorate.planning.inspections.equilibrium import Effort
from inspectorate.planning.inspections.game import Counts, Floats, Game, Kind, Visits, best_per_day, log_misses

UNIFORM_ORDERS: Final = 200
UNIFORM_SEED: Final = 8


@dataclass(frozen=True, kw_only=True)
class GreedyStep:
    """One step of the greedy list."""

    kind: int
    look: int
    days: float
    run_after_flop: float
    falls_per_day: float


def mixture_of(
    game: Game, lists: tuple[Visits, ...], weights: Floats, powers: list[list[float]] | None = None
) -> Mixture:
    """Lists with their probabilities, as the prover sees them."""
    table = np.array([log_misses(game, visits, powers) for visits in lists])
    return Mixture(game=game, table=table if game.sure is None else table + game.sure, weights=weights)


def answer_to(game: Game, lists: tuple[Visits, ...], weights: Floats, effort: Effort) -> Answer:
    """What a prover who knows the mixture gets."""
    return best_answer(
        mixture_of(game, lists, weights), Aim(), tolerance=effort.tolerance / 10, nodes_max=effort.nodes_max
    )


def greedy(game: Game) -> tuple[Visits, tuple[GreedyStep, ...]]:
    """The greedy list, step by step."""
    visits, left = Visits.none(game), game.counts.copy()
    steps: list[GreedyStep] = []
    run, days = game.run_flop(left), 0.0
    while True:
        best: tuple[float, GreedyStep, Visits, Counts] | None = None
        for c, kind in enumerate(game.kinds):
            if not left[c]:
                continue
            less = left.copy()
            less[c] -= 1
            after = game.run_flop(less)
            # Alike leaders hide one another's fall: all places of the kind then count, each for its share.
            gone = np.where(np.arange(len(left)) == c, 0, left)
            share = max(run - after, (run - game.run_flop(gone)) / left[c])
            for i, look in enumerate(kind.looks):
                if visits.number[c] and visits.look[c] != i:
                    continue
                tried = visits.having(c, i, visits.number[c] + 1)
                if not tried.fits(game):
                    continue
                more = tried.days(game) - days
                score = look.power * share / max(more, 1e-9)
                if score > 0 and (best is None or score > best[0] * (1 + 1e-12)):
                    step = GreedyStep(kind=c, look=i, days=more, run_after_flop=after, falls_per_day=score)
                    best = (score, step, tried, less)
        if best is None:
            return visits, tuple(steps)
        _, step, visits, left = best
        run, days = step.run_after_flop, visits.days(game)
        steps.append(step)


def pinned(game: Game, visits: Visits) -> tuple[Game, Visits]:
    """The same game and list where the places that are looked at are no longer drawn but known: the first of each kind."""
    kinds: list[Kind] = []
    looks: list[int] = []
    numbers: list[int] = []
    sure: list[Floats] = []
    for c, kind in enumerate(game.kinds):
        number = visits.number[c]
        for part, look in ((kind.places[:number], visits.look[c]), (kind.places[number:], -1)):
            if part:
                kinds.append(dataclasses.replace(kind, places=part))
                looks.append(look)
                numbers.append(len(part) if look >= 0 else 0)
                start = int(game.starts[c])
                if game.sure is not None:
                    sure.append(game.sure[start : start + len(part) + 1])
    known = dataclasses.replace(game, kinds=tuple(kinds), sure=np.concatenate(sure) if sure else None)
    return known, Visits(look=tuple(looks), number=tuple(numbers))


def uniform(game: Game, *, orders: int = UNIFORM_ORDERS, seed: int = UNIFORM_SEED) -> tuple[tuple[Visits, ...], Floats]:
    """Lists of places in random order, equally likely."""
    rng = np.random.default_rng(seed)
    # What no list can take any more is not tried again: days and visits only fall.
    looks = [best_per_day(kind) for kind in game.kinds]
    places = np.repeat(np.arange(len(game.kinds)), game.counts)
    found: dict[Visits, int] = {}
    for _ in range(orders):
        visits = Visits.none(game)
        full: set[int] = {c for c, look in enumerate(looks) if look < 0}
        for c in rng.permutation(places).tolist():
            if c not in full:
                tried = visits.having(c, looks[c], visits.number[c] + 1)
                if tried.fits(game):
                    visits = tried
                else:
                    full.add(c)
            elif len(full) == len(looks):
                break
        found[visits] = found.get(visits, 0) + 1
    return tuple(found), np.array(list(found.values())) / orders


def run_if_clean(game: Game, lists: tuple[Visits, ...], weights: Floats) -> float:
    """The largest run that is expected to stay if every look finds nothing and so explains its place."""
    return float(
        sum(w * game.run_flop(game.counts - np.array(one.number)) for one, w in zip(lists, weights, strict=True))
    )


def found_from(mixture: Mixture, probability: float, *, nodes_max: int, steps: int = 12) -> float | None:
    """The smallest size from which every run is found at least with this probability; none: not even the largest."""
    high = mixture.game.run_flop(mixture.game.counts)

    def escapes(size: float) -> float:
        return best_answer(mixture, Aim(size_flop=size), tolerance=1e-3, nodes_max=nodes_max).bound

    if high <= 0 or escapes(high) > (1 - probability) * (1 + 1e-6):
        return None
    low = 0.0
    for _ in range(steps):
        middle = (low + high) / 2
        if escapes(middle) <= (1 - probability) * (1 + 1e-6):
            high = middle
        else:
            low = middle
    return high
