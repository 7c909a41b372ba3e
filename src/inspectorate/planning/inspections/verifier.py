"""The verifier's best answer to a mixture of uses: which visit list leaves least unseen, and a bound that none goes below.

Given uses A_j with weights w_j (probability x size), minimise sum_j w_j prod_c M_c(k_jc, n_c) over the lists that fit. With
z_j = - sum_c log M_c the sum is convex in z, and z is linear in the choice of one option (look, number) per kind. So:

1. a list is grown by the option that lowers most per inspector-day, travel included, and also by what lowers most outright;
then kinds
   are exchanged while that helps;
2. a program over shares of the options, whose rows lie below exp(-z_j) at every list, so that its optimum is a bound on
every list:
   tangents of exp(-z), and for each list S that was met the cut that is tight there,
       P(T) >= P(S) prod_c min(1, M_c(T)/M_c(S)) >= P(S) (1 - sum_c (1 - min(1, M_c(T)/M_c(S)))),
   for any list T (after Nemhauser and Wolsey 1981, since what is found has falling returns). First in shares, where rows are
   added until the bound stands; then in whole numbers, until list and bound meet. With more than `OPTIONS_EXACT_MAX` options
   the whole numbers are given up, which can only lower the bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from inspectorate.planning.inspections.game import (
    OWN_SITE,
    Counts,
    Floats,
    Game,
    Visits,
    log_miss,
    log_misses,
    survival,
)
from inspectorate.planning.inspections.programs import INFINITE, Program, solve

OPTIONS_EXACT_MAX: Final = 400
TANGENTS: Final = (0.0, 0.1, 0.25, 0.5, 0.8, 1.2, 1.8, 2.5, 4.0, 8.0, 20.0)
ROUNDS_MAX: Final = 30


@dataclass(frozen=True, kw_only=True)
class Uses:
    """Uses of places, shape (uses, kinds), each with its weight: probability x what it gives."""

    used: Counts
    weights: Floats


@dataclass(frozen=True, kw_only=True)
class Reply:
    """The best list that was found, what it leaves, and what no list goes below."""

    visits: Visits
    value: float
    bound: float


@dataclass(frozen=True, kw_only=True)
class _Option:
    kind: int
    look: int
    number: int
    days: float
    days_min: float
    visits: int
    falls: Floats
    """Of z, by use."""


def left_by(game: Game, visits: Visits, uses: Uses) -> float:
    """What a list leaves of the mixture."""
    table = log_misses(game, visits)
    return float(sum(w * float(survival(game, table, k)) for k, w in zip(uses.used, uses.weights, strict=True)))


def grow(game: Game, uses: Uses) -> Reply:
    """Step 1."""
    options = _options(game, uses)
    found = [_grown(game, uses, options, per_day=per_day) for per_day in (True, False)]
    visits, value = min((_improved(game, uses, options, *one) for one in found), key=lambda item: item[1])
    return Reply(visits=visits, value=value, bound=0.0)


def best_reply(game: Game, uses: Uses, *, tolerance: float, known: Sequence[Visits] = (), whole: bool = True) -> Reply:
    """Steps 1 and 2. `known` are lists from which cuts are made at the start. Without `whole`, shares only."""
    start = grow(game, uses)
    options = _options(game, uses)
    if not options:
        return Reply(visits=start.visits, value=start.value, bound=start.value)
    exact = whole and len(options) <= OPTIONS_EXACT_MAX
    relaxation = _Relaxation(game, uses, options)
    for visits in (Visits.none(game), start.visits, *known):
        relaxation.cut(visits)
    visits, value, bound = start.visits, start.value, 0.0
    whole = False  # from here on: whether the program now is in whole numbers
    for _ in range(ROUNDS_MAX):
        try:
            solved = solve(relaxation.program(gap=tolerance / 4 if whole else None))
        except ArithmeticError:
            break  # no better bound than there is
        bound = max(bound, solved.bound)
        chosen = solved.values[: len(options)]
        tried = _rounded(game, options, chosen)
        left = left_by(game, tried, uses)
        if left < value:
            visits, value = tried, left
        if value <= bound * (1 + tolerance) + 1e-15:
            break
        grew = relaxation.tangent(chosen) | relaxation.cut(tried)
        if whole and not grew:
            break
        if not whole and (not grew or solved.objective <= relaxation.last * (1 + tolerance)):
            if not exact:
                break
            whole = True
        relaxation.last = solved.objective
    return Reply(visits=visits, value=value, bound=min(bound, value))


class _Relaxation:
    """Step 2: rows that lie below exp(-z_j) at every list."""

    def __init__(self, game: Game, uses: Uses, options: list[_Option]) -> None:
        self.game, self.uses, self.options = game, uses, options
        self.falls = np.array([option.falls for option in options])
        self.rows: list[Floats] = []
        self.low: list[float] = []
        self.seen: set[object] = set()
        self.last = 0.0
        for z in TANGENTS:
            for j in range(len(uses.weights)):
                self._tangent(j, z)

    def _row(self, j: int, coefficients: Floats, low: float) -> None:
        row = np.zeros(len(self.options) + len(self.game.travel_days) + len(self.uses.weights))
        row[: len(self.options)] = coefficients
        row[len(self.options) + len(self.game.travel_days) + j] = 1.0
        self.rows.append(row)
        self.low.append(low)

    def _tangent(self, j: int, z: float) -> bool:
        key = (j, round(z, 5))
        if key in self.seen:
            return False
        self.seen.add(key)
        slope = float(np.exp(-z))
        self._row(j, slope * self.falls[:, j], slope * (1 + z))
        return True

    def tangent(self, chosen: Floats) -> bool:
        """Tangents where shares of options lead."""
        return sum(self._tangent(j, float(z)) for j, z in enumerate(chosen @ self.falls)) > 0

    def cut(self, visits: Visits) -> bool:
        """Cuts that are tight at a list: t_j >= P (1 - sum of (1 - min(1, M of the option / M of the list's in that kind)))."""
        if visits in self.seen:
            return False
        self.seen.add(visits)
        own = np.zeros((len(self.game.kinds), len(self.uses.weights)))
        for c, number in enumerate(visits.number):
            if number:
                kind = self.game.kinds[c]
                own[c] = -log_miss(kind.count, number, kind.looks[visits.look[c]].power)[self.uses.used[:, c]]
        more = np.array([np.maximum(0.0, option.falls - own[option.kind]) for option in self.options])
        left = np.exp(-own.sum(axis=0))
        for j in range(len(self.uses.weights)):
            self._row(j, left[j] * -np.expm1(-more[:, j]), float(left[j]))
        return True

    def program(self, *, gap: float | None) -> Program:
        return _program(self, gap)


def _options(game: Game, uses: Uses) -> list[_Option]:
    """All looks and numbers that fit by themselves and lower something."""
    found: list[_Option] = []
    for c, kind in enumerate(game.kinds):
        if not uses.used[:, c].any():
            continue
        own = kind.site == OWN_SITE
        travel = 0.0 if own else game.travel_days[kind.site]
        for i, look in enumerate(kind.looks):
            most = kind.count if look.days == 0 else int((game.days * (1 + 1e-12) - travel) // look.days)
            for number in range(1, min(kind.count, most, game.visits_max if own else kind.count) + 1):
                falls = -log_miss(kind.count, number, look.power)[uses.used[:, c]]
                found.append(
                    _Option(kind=c, look=i, number=number, days=look.days * number, days_min=look.days_min * number,
                            visits=number if own else 0, falls=falls)
                )  # fmt: skip
    return found if game.visits_max > 0 else []


def _grown(game: Game, uses: Uses, options: list[_Option], *, per_day: bool) -> tuple[Visits, float]:
    visits = Visits.none(game)
    value = left_by(game, visits, uses)
    if not options:
        return visits, value
    kind = np.array([option.kind for option in options])
    site = np.array([game.kinds[option.kind].site for option in options])
    days, count = np.array([o.days for o in options]), np.array([o.visits for o in options])
    falls = np.array([option.falls for option in options])
    travel = np.append(np.array(game.travel_days, dtype=np.float64), 0.0)
    been = np.zeros(len(travel), dtype=bool)
    been[-1] = True  # own sites, whose travel is within the cost
    had = {
        "falls": np.zeros((len(game.kinds), falls.shape[1])),
        "days": np.zeros(len(game.kinds)),
        "visits": np.zeros(len(game.kinds)),
    }
    used_days = used_visits = 0.0
    while True:
        after = np.exp(-(had["falls"].sum(axis=0) - had["falls"][kind] + falls)) @ uses.weights
        more = days - had["days"][kind] + np.where(been[site], 0.0, travel[site])
        trips = count - had["visits"][kind] + ~been[site]
        able = (used_days + more <= game.days * (1 + 1e-12)) & (used_visits + trips <= game.visits_max)
        gain = np.where(
            able & (after < value * (1 - 1e-12)), (value - after) / (np.maximum(more, 1e-9) if per_day else 1.0), 0.0
        )
        best = int(np.argmax(gain))
        if gain[best] <= 0:
            return visits, value
        c, value = int(kind[best]), float(after[best])
        used_days, used_visits = used_days + float(more[best]), used_visits + float(trips[best])
        been[site[best]] = True
        had["falls"][c], had["days"][c], had["visits"][c] = falls[best], days[best], count[best]
        visits = visits.having(c, options[best].look, options[best].number)


def _improved(game: Game, uses: Uses, options: list[_Option], visits: Visits, value: float) -> tuple[Visits, float]:
    """Take one kind off, and grow again from there, while that helps."""
    if len(options) > OPTIONS_EXACT_MAX:
        return visits, value
    for c in [c for c, n in enumerate(visits.number) if n]:
        without = visits.having(c, -1, 0)
        others = [o for o in options if o.kind != c and not without.number[o.kind]]
        for option in others:
            tried = without.having(option.kind, option.look, option.number)
            if tried.fits(game) and (left := left_by(game, tried, uses)) < value * (1 - 1e-12):
                visits, value = tried, left
                break
    return visits, value


def _rounded(game: Game, options: list[_Option], chosen: Floats) -> Visits:
    """A list out of shares of options: the largest shares first, as long as they fit."""
    visits = Visits.none(game)
    for place in np.argsort(-chosen, kind="stable"):
        option = options[place]
        if chosen[place] <= 1e-9:
            break
        if visits.number[option.kind]:
            continue
        tried = visits.having(option.kind, option.look, option.number)
        if tried.fits(game):
            visits = tried
    return visits


def _program(of: _Relaxation, gap: float | None) -> Program:
    """Columns: options, sites, one t per use. min sum w t."""
    game, options, weights = of.game, of.options, of.uses.weights
    kinds = sorted({option.kind for option in options})
    n, s, m = len(options), len(game.travel_days), len(weights)
    linked = [(j, game.kinds[o.kind].site) for j, o in enumerate(options) if game.kinds[o.kind].site != OWN_SITE]
    together = sorted({(options[j].kind, site) for j, site in linked})
    rows = np.zeros((len(kinds) + 2 + len(together), n + s + m))
    high = np.full(len(rows), INFINITE)
    for r, kind in enumerate(kinds):
        rows[r, [j for j, o in enumerate(options) if o.kind == kind]] = 1.0
        high[r] = 1.0
    r = len(kinds)
    rows[r, :n] = [option.days_min for option in options]
    rows[r, n : n + s] = game.travel_days
    high[r] = game.days * (1 + 1e-12)
    rows[r + 1, :n] = [option.visits for option in options]
    rows[r + 1, n : n + s] = 1.0
    high[r + 1] = game.visits_max
    for place, (kind, site) in enumerate(together, start=r + 2):
        rows[place, [j for j, o in enumerate(options) if o.kind == kind]] = 1.0
        rows[place, n + site], high[place] = -1.0, 0.0
    return Program(
        cost=np.concatenate((np.zeros(n + s), weights)),
        lower=np.zeros(n + s + m),
        upper=np.ones(n + s + m),
        rows=np.vstack((rows, np.array(of.rows))),
        row_low=np.concatenate((np.full(len(rows), -INFINITE), np.array(of.low))),
        row_high=np.concatenate((high, np.full(len(of.low), INFINITE))),
        whole=np.concatenate((np.full(n + s, gap is not None), np.zeros(m, dtype=bool))),
        gap=gap or 0.0,
    )
