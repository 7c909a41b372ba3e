"""How often each place is looked at, and lists that have just these marginals.

1. `least_marginals`: against a prover that uses one place only, a mixture matters by its marginals c alone: min v with
   v >= R(one place of kind) (1 - q c), sum of days <= inspector-days. For equal costs this is ORIGAMI (Kiekintveld, Jain,
   Tsai, Pita, Ordonez and Tambe, AAMAS 2009): the places with the largest runs are covered until the next one is as good.
2. `madow`: systematic sampling (Madow 1949). Lay the marginals end to end, and take every place that a comb of spacing 1 with a
   random offset meets. Each place is met with exactly its marginal, and every draw has the whole part of the sum, or one
   more; as a mixture it has at most one list for each place and one more.

Both start the search for the equilibrium: against pools of places, and where travel is shared, more lists are needed.
"""

from __future__ import annotations

import itertools

import numpy as np

from inspectorate.planning.inspections.game import OWN_SITE, Floats, Game, Visits, best_per_day
from inspectorate.planning.inspections.programs import INFINITE, Program, solve


def madow(marginals: Floats) -> list[tuple[tuple[int, ...], float]]:
    """All samples of systematic sampling with these inclusion probabilities (0 to 1), each with its probability."""
    if ((marginals < 0) | (marginals > 1)).any():
        raise ValueError("a marginal lies between 0 and 1")
    ends = np.concatenate(([0.0], np.cumsum(marginals)))
    cuts = np.unique(np.concatenate(([0.0, 1.0], np.mod(ends, 1.0))))
    found: dict[tuple[int, ...], float] = {}
    for low, high in itertools.pairwise(cuts):
        teeth = (low + high) / 2 + np.arange(int(np.ceil(ends[-1])) + 1)
        met = np.searchsorted(ends, teeth[teeth < ends[-1]], side="right") - 1
        sample = tuple(sorted({int(one) for one in met}))
        found[sample] = found.get(sample, 0.0) + float(high - low)
    return sorted(found.items())


def least_marginals(game: Game) -> tuple[Floats, list[int]]:
    """Per kind the expected number of looked-at places, and which look: the one that finds most per inspector-day."""
    looks = [best_per_day(kind) for kind in game.kinds]
    able = [c for c, look in enumerate(looks) if look >= 0]
    runs = game.base + game.lead.sum(axis=1)
    numbers = np.zeros(len(game.kinds))
    if not able or not runs.max() > 0:
        return numbers, looks
    scale = float(runs.max())
    rows = np.zeros((len(game.kinds) + 2, len(able) + 1))
    for place, c in enumerate(able):
        kind, look = game.kinds[c], game.kinds[c].looks[looks[c]]
        rows[c, place] = runs[c] / scale * look.power / kind.count
        travel = 0.0 if kind.site == OWN_SITE else game.travel_days[kind.site] / kind.count
        rows[-2, place] = look.days + travel
        rows[-1, place] = 1.0 if kind.site == OWN_SITE else 1.0 / kind.count
    rows[: len(game.kinds), -1] = 1.0
    solved = solve(
        Program(
            cost=np.concatenate((np.zeros(len(able)), [1.0])),
            lower=np.zeros(len(able) + 1),
            upper=np.array([float(game.kinds[c].count) for c in able] + [INFINITE]),
            rows=rows,
            row_low=np.concatenate((runs / scale, [-INFINITE, -INFINITE])),
            row_high=np.concatenate((np.full(len(game.kinds), INFINITE), [game.days, float(game.visits_max)])),
        )
    )
    numbers[able] = np.clip(solved.values[: len(able)], 0.0, [game.kinds[c].count for c in able])
    return numbers, looks


def madow_lists(game: Game) -> dict[Visits, float]:
    """Lists of systematic samples of the least marginals, as far as they fit, each with its probability."""
    numbers, looks = least_marginals(game)
    whole = np.floor(numbers + 1e-9)
    rest = np.clip(numbers - whole, 0.0, 1.0)
    found: dict[Visits, float] = {}
    for sample, chance in madow(np.where(rest > 1e-9, rest, 0.0)):
        visits = Visits.none(game)
        for c in range(len(game.kinds)):
            number = int(whole[c]) + (c in sample)
            if number and (tried := visits.having(c, looks[c], min(number, game.kinds[c].count))).fits(game):
                visits = tried
        found[visits] = found.get(visits, 0.0) + chance
    return found
