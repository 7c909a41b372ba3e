"""The value of the game and a mixture that reaches it: double oracle, with a certificate.

    1. The restricted game of the uses and lists found so far is a linear program; its duals are the prover's mixture.
    2. Both sides answer it: the prover by `adversary`, the verifier by `verifier`. Better answers are added.
    3. Every verifier's answer gives a bound from below: no mixture leaves less than min over lists of what the prover's
    mixture gets.
       When nobody finds anything better, the prover's exact search gives the bound from above: what the mixture guarantees.
    4. It ends when both bounds meet to the tolerance, or when rounds run out; then the gap is what is printed.

(McMahan, Gordon and Blum, "Planning in the presence of cost functions controlled by an adversary", ICML 2003: finite games
converge, since every round adds a strategy. The value exists by von Neumann's theorem.)

Of two mixtures with one value, the one that the program gives is taken; ties between strategies are broken by order, never
by chance, so equal games give equal plans. Both sides of the certificate hold for the rounded mixture, whose weights are
whole numbers over `WEIGHT_SUM`, since that is what is drawn from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from inspectorate.planning.inspections.adversary import Aim, Mixture, best_answer, quick_answer
from inspectorate.planning.inspections.game import (
    KINDS_MAX,
    OWN_SITE,
    Counts,
    Floats,
    Game,
    Visits,
    log_misses,
    survival,
)
from inspectorate.planning.inspections.marginals import madow_lists
from inspectorate.planning.inspections.programs import INFINITE, Program, solve
from inspectorate.planning.inspections.verifier import Reply, Uses, best_reply, grow

WEIGHT_SUM: Final = 10_000_000
WEIGHT_SLACK: Final = 1e-2
"""Lets a weight that is whole but for the last digit be whole on every run."""
TOLERANCE: Final = 1e-6
ROUNDS_MAX: Final = 400
ADDED_MAX: Final = 8
"""Uses that one answer of the prover adds at the most."""
KNOWN_MAX: Final = 12
"""Lists that give cuts to the verifier's program."""
SMOOTH: Final = 0.7
"""Weight of the prover's earlier mixtures in the steadier one to which the verifier answers too: it needs fewer rounds
(Wentges 1997)."""
CERTIFIED_EVERY: Final = 25
CLOSE: Final = 1e-7
"""Two values that differ by less, relatively, are not worth another round."""


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How far to search."""

    tolerance: float = TOLERANCE
    rounds_max: int = ROUNDS_MAX
    nodes_max: int = 20_000
    whole: bool = True
    """Whether the verifier's program is solved in whole numbers: without, its bound is lower and comes sooner."""
    kinds: tuple[int, ...] = (KINDS_MAX,)
    """Numbers of kinds to plan with, of which the plan that is proved best is taken."""
    orders: int = 200
    """Random orders of places that uniform chance is made of."""


@dataclass(frozen=True, kw_only=True)
class Equilibrium:
    """A mixture of visit lists, with what it guarantees and what no mixture goes below."""

    lists: tuple[Visits, ...]
    weights: tuple[int, ...]
    """Out of `WEIGHT_SUM`, each at least 1."""
    upper: float
    """The prover gets no more than this against the mixture, whatever it uses."""
    found: float
    """What the best use that was found gets; where the search was exact, as much as `upper`."""
    lower: float
    """No mixture holds the prover below this."""
    used: Counts
    """A best use against the mixture."""
    answers: tuple[tuple[Counts, float], ...]
    """The prover's mixture."""
    rounds: int
    whole: float
    """What it gets where nobody looks."""

    @property
    def gap(self) -> float:
        return (self.upper - self.lower) / self.upper if self.upper > 0 else 0.0


class _Search:
    """The restricted game, which grows."""

    def __init__(self, game: Game, aim: Aim) -> None:
        self.game, self.aim = game, aim
        whole = aim.worth(game.run_flop(game.counts))
        self.scale = whole or 1.0
        self.lists: list[Visits] = []
        self.tables: list[Floats] = []
        self.uses: list[Counts] = []
        self.worths: list[float] = []
        self.kept: tuple[float, Floats] = (np.inf, np.zeros(0))
        """The best mixture so far, by what the prover was found to get against it."""

    def add_list(self, visits: Visits) -> bool:
        if visits in self.lists:
            return False
        self.lists.append(visits)
        table = log_misses(self.game, visits)
        self.tables.append(table if self.game.sure is None else table + self.game.sure)
        return True

    def add_use(self, used: Counts) -> bool:
        worth = self.aim.worth(self.game.run_flop(used)) / self.scale
        if worth == 0 or any((used == one).all() for one in self.uses):
            return False
        self.uses.append(used.copy())
        self.worths.append(worth)
        return True

    def master(self) -> tuple[Floats, Floats, float]:
        """Step 1: the verifier's weights, the prover's, and the value of the restricted game."""
        table = np.array(self.tables)
        gains = np.array([w * survival(self.game, table, k) for k, w in zip(self.uses, self.worths, strict=True)])
        uses, lists = gains.shape
        solved = solve(
            Program(
                cost=np.concatenate((np.zeros(lists), [1.0])),
                lower=np.zeros(lists + 1),
                upper=np.full(lists + 1, INFINITE),
                rows=np.vstack((np.hstack((-gains, np.ones((uses, 1)))), [[1.0] * lists + [0.0]])),
                row_low=np.concatenate((np.zeros(uses), [1.0])),
                row_high=np.concatenate((np.full(uses, INFINITE), [1.0])),
            )
        )
        weights = np.maximum(solved.values[:lists], 0.0)
        duals = np.maximum(solved.duals[:uses], 0.0)
        return weights / weights.sum(), duals / (duals.sum() or 1.0), solved.objective

    def mixture(self, weights: Floats) -> Mixture:
        kept = np.flatnonzero(weights > 1e-12)
        return Mixture(game=self.game, table=np.array(self.tables)[kept], weights=weights[kept])


def equilibrium(
    game: Game,
    aim: Aim | None = None,
    effort: Effort | None = None,
    *,
    first: tuple[tuple[Visits, ...], Floats] | None = None,
) -> Equilibrium:
    """Solve the game, beginning with the lists and weights of `first`, where they are given.

    Raises `ArithmeticError` where a program of it has no answer, which no game of finite numbers has.
    """
    aim, effort = aim or Aim(), effort or Effort()
    search = _Search(game, aim)
    search.add_list(Visits.none(game))
    for visits in madow_lists(game):
        search.add_list(visits)
    if not search.add_use(game.counts):
        none = (Visits.none(game),)
        return Equilibrium(lists=none, weights=(WEIGHT_SUM,), upper=0.0, found=0.0, lower=0.0, used=game.counts.copy(),
                           answers=(), rounds=0, whole=0.0)  # fmt: skip
    for used in _first_uses(game):
        search.add_use(used)
    if first is not None:
        _begin_with(search, *first)
    lower, rounds = 0.0, 0
    calm = np.zeros(0)
    close, steady = max(CLOSE, effort.tolerance / 10), np.zeros(0)
    for rounds in range(1, effort.rounds_max + 1):
        weights, duals, value = search.master()
        mixture, uses = search.mixture(weights), _uses(search, duals)
        steady = SMOOTH * np.pad(steady, (0, len(duals) - len(steady))) + (1 - SMOOTH) * duals
        calm = SMOOTH * np.pad(calm, (0, len(weights) - len(calm))) + (1 - SMOOTH) * weights
        grew = _prover_adds(search, weights, value * (1 + close))
        if grew and effort.tolerance > TOLERANCE:
            _prover_adds(search, calm / calm.sum(), value * (1 + close))
        reply = _replied(search, uses, value, effort, certify=not grew)
        lower = max(lower, reply.bound)
        done = lower >= value * (1 - effort.tolerance / 2)
        if reply.value < value * (1 - CLOSE) and not done:
            grew |= search.add_list(reply.visits)
        if rounds % CERTIFIED_EVERY == 0:
            smooth = best_reply(
                game, _uses(search, steady / steady.sum()), tolerance=effort.tolerance / 2, whole=effort.whole
            )
            lower = max(lower, smooth.bound)
        elif rounds % 2 and not done and effort.tolerance > TOLERANCE:
            grew |= search.add_list(grow(game, _uses(search, steady / steady.sum())).visits)
        if grew:
            continue
        exact = best_answer(
            mixture, aim, tolerance=effort.tolerance / 10, nodes_max=effort.nodes_max, floor=value * search.scale
        )
        if exact.value <= value * search.scale * (1 + close) or not search.add_use(exact.used):
            break
    else:
        _, duals, _ = search.master()
        last = best_reply(game, _uses(search, duals), tolerance=effort.tolerance / 2, whole=effort.whole)
        lower = max(lower, last.bound)
    return _rounded(search, lower, effort, rounds)


def _begin_with(search: _Search, lists: tuple[Visits, ...], weights: Floats) -> None:
    """A plan that is known: what is found is never worse."""
    for visits in lists:
        search.add_list(visits)
    known = np.zeros(len(search.lists))
    for visits, weight in zip(lists, weights, strict=True):
        known[search.lists.index(visits)] += weight
    _prover_adds(search, known, 0.0)


def _first_uses(game: Game) -> list[Counts]:
    """Each kind alone, each site alone, and the largest kinds together: where a prover would begin."""
    sites = np.array([kind.site if kind.site != OWN_SITE else -2 - c for c, kind in enumerate(game.kinds)])
    found = []
    for c in range(len(game.kinds)):
        one = np.zeros_like(game.counts)
        one[c] = 1
        found += [one, one * game.counts]
    found += [np.where(sites == site, game.counts, 0) for site in np.unique(sites)]
    order = np.argsort(-(game.base + game.lead.sum(axis=1)), kind="stable")
    for size in range(2, len(order)):
        among = np.zeros_like(game.counts)
        among[order[:size]] = 1
        found += [among, among * game.counts]
    return found


def _replied(search: _Search, uses: Uses, value: float, effort: Effort, *, certify: bool) -> Reply:
    """A better list by hand where there is one; else, once the prover finds no better use, the best by program, with its
    bound."""
    quick = grow(search.game, uses)
    better = quick.value < value * (1 - max(CLOSE, effort.tolerance / 4)) and quick.visits not in search.lists
    if better or not certify:
        return quick
    known = search.lists[-KNOWN_MAX:]
    return best_reply(search.game, uses, tolerance=effort.tolerance / 2, known=known, whole=effort.whole)


def _prover_adds(search: _Search, weights: Floats, floor: float) -> bool:
    """Better uses than `floor` against a mixture; and whether it is the best mixture so far."""
    grew = False
    answers = quick_answer(search.mixture(weights), search.aim, tuple(search.uses[-4:]))
    if answers[0][1] < search.kept[0]:
        search.kept = (answers[0][1], weights)
    for used, reached in answers[:ADDED_MAX]:
        if reached > floor * search.scale:
            grew |= search.add_use(used)
    return grew


def _uses(search: _Search, duals: Floats) -> Uses:
    duals = np.pad(duals, (0, len(search.uses) - len(duals)))
    kept = np.flatnonzero(duals > 1e-12)
    used = np.array(search.uses)[kept]
    return Uses(used=used, weights=(duals * np.array(search.worths))[kept] * search.game.surely(used))


def _rounded(search: _Search, lower: float, effort: Effort, rounds: int) -> Equilibrium:
    """Weights as whole numbers, and the bound from above for these."""
    weights, duals, value = search.master()
    if search.kept[0] < value * search.scale * (1 - CLOSE) or rounds == effort.rounds_max:
        weights = np.pad(search.kept[1], (0, len(search.lists) - len(search.kept[1])))
    whole = np.floor(weights * WEIGHT_SUM + WEIGHT_SLACK).astype(np.int64)
    whole[int(np.argmax(weights))] += WEIGHT_SUM - int(whole.sum())
    kept = np.flatnonzero(whole > 0)
    mixture = Mixture(game=search.game, table=np.array(search.tables)[kept], weights=whole[kept] / WEIGHT_SUM)
    best = best_answer(mixture, search.aim, tolerance=effort.tolerance / 10, nodes_max=effort.nodes_max)
    order = sorted(kept.tolist(), key=lambda i: (-int(whole[i]), search.lists[i].look, search.lists[i].number))
    mixed = sorted(np.flatnonzero(duals > 1e-9).tolist(), key=lambda j: -duals[j])
    return Equilibrium(
        lists=tuple(search.lists[i] for i in order),
        weights=tuple(int(whole[i]) for i in order),
        upper=best.bound,
        found=best.value,
        lower=min(lower * search.scale, best.bound),
        used=best.used,
        answers=tuple((search.uses[j], float(duals[j])) for j in mixed),
        rounds=rounds,
        whole=search.scale,
    )
