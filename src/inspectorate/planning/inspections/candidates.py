"""Of several plans the one that is proved best, all held against the same search of a prover who knows them.

Candidates: uniform chance, systematic samples of the least marginals, and the mixture that the double oracle ends with; each
over the places in fine kinds and in coarse ones, and by pod and by site where the terms leave that open. A plan is compared by
what no use of places exceeds against it, never by the best use that happened to be found: so what is published is never worse,
by that measure, than uniform chance.

Coarse kinds cost up to their ratio, since a kind counts with its largest place. But a mixture over few kinds has few lists, and
for a few lists the prover's answer is bounded closely. In fleets of many unlike sites that is worth more than it costs.

Where all places pool, the run is a sum over places, and still no marginals suffice: one find ends the whole run, so the
prover's expectation is the sum times a chance that all used places escape *together*, and lists matter jointly.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from inspectorate.planning.inspections import compared
from inspectorate.planning.inspections.adversary import Answer
from inspectorate.planning.inspections.build import Built, Limits, build
from inspectorate.planning.inspections.equilibrium import TOLERANCE, WEIGHT_SUM, Effort, Equilibrium, equilibrium
from inspectorate.planning.inspections.game import KINDS_MAX, Floats, Visits
from inspectorate.planning.inspections.marginals import madow_lists
from inspectorate.planning.inspections.methods import Methods, Whereabouts
from inspectorate.planning.inspections.places import Open
from inspectorate.planning.inspections.verifier import Uses, best_reply

EXACT_KINDS_MAX: Final = 10
"""Kinds up to which the value is searched to `equilibrium.TOLERANCE`; above, to 1 %."""
EFFORT_LARGE: Final = Effort(tolerance=1e-2, rounds_max=25, nodes_max=1_000, whole=False, kinds=(8, 16, KINDS_MAX))
EFFORT_QUICK: Final = Effort(tolerance=3e-2, rounds_max=8, nodes_max=40, whole=False, kinds=(6, KINDS_MAX), orders=30)
"""For a part of a report: seconds at most."""
RATIO_COARSE_MAX: Final = 3.0
"""Coarser kinds are not tried, and the last number of kinds only where no other could be."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What all candidates are an answer to."""

    at: Whereabouts
    methods: Methods
    limits: Limits
    sure: Mapping[str, float]
    effort: Effort | None
    """None: exact in small games, `EFFORT_LARGE` in others."""


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The plan that is proved best, over its places, and uniform chance by the same measure."""

    open_: Open
    built: Built
    found: Equilibrium
    effort: Effort
    least: float
    """No plan over these places holds the prover below."""
    uniform_gets: float
    uniform_at_most: float


def best_plan(ways: Sequence[Open], asked: Question) -> Chosen:
    """The candidate against which the prover is proved to get least; the earlier of equals."""
    return min((_over(open_, asked) for open_ in ways), key=lambda chosen: chosen.found.upper)


def _over(open_: Open, asked: Question) -> Chosen:
    """The best over one choice of places."""
    built = build(open_, asked.at, asked.methods, asked.limits, asked.sure)
    effort = asked.effort or (Effort() if len(built.game.kinds) <= EXACT_KINDS_MAX else EFFORT_LARGE)
    found: list[Chosen] = []
    sizes: set[tuple[int, float]] = set()
    for kinds in effort.kinds:
        tried = build(open_, asked.at, asked.methods, dataclasses.replace(asked.limits, kinds=kinds), asked.sure)
        size = (len(tried.game.kinds), tried.ratio)
        last = kinds == effort.kinds[-1]
        if size in sizes or (last and found) or (tried.ratio > RATIO_COARSE_MAX and not last):
            continue
        sizes.add(size)
        found.append(_solved(open_, tried, effort))
    best = min(found, key=lambda one: one.found.upper)
    uniform = min(found, key=lambda one: one.uniform_at_most)
    return dataclasses.replace(
        best,
        least=min(best.found.upper, max(one.least for one in found)),
        uniform_gets=uniform.uniform_gets,
        uniform_at_most=uniform.uniform_at_most,
    )


def _solved(open_: Open, built: Built, effort: Effort) -> Chosen:
    """The best over one choice of kinds."""
    game = built.game
    by_chance = compared.uniform(game, orders=effort.orders)
    search = equilibrium(game, effort=effort, first=None if effort.tolerance == TOLERANCE else by_chance)
    chance = compared.answer_to(game, *by_chance, effort)
    least = search.lower if built.ratio == 1 else _least(built, search, effort)
    candidates = [search, _as_plan(search, *by_chance, chance)]
    samples = madow_lists(game)
    if samples and effort.tolerance > TOLERANCE:
        shares = np.array(list(samples.values()))
        lists = tuple(samples)
        candidates.append(
            _as_plan(
                search, lists, shares / shares.sum(), compared.answer_to(game, lists, shares / shares.sum(), effort)
            )
        )
    return Chosen(
        open_=open_, built=built, found=min(candidates, key=lambda one: one.upper * (1 - TOLERANCE * (one is search))),
        effort=effort, least=least, uniform_gets=chance.value, uniform_at_most=chance.bound,
    )  # fmt: skip


def _as_plan(search: Equilibrium, lists: tuple[Visits, ...], shares: Floats, answer: Answer) -> Equilibrium:
    """Given lists as a plan. Rounding of the weights is at most 1/`WEIGHT_SUM` for each list, and is added to the bound."""
    whole = np.maximum(1, np.floor(shares * WEIGHT_SUM).astype(np.int64))
    whole[int(np.argmax(whole))] += WEIGHT_SUM - int(whole.sum())
    off = 2 * len(lists) / WEIGHT_SUM * max(search.whole, answer.bound)
    return dataclasses.replace(
        search, lists=lists, weights=tuple(int(one) for one in whole), upper=answer.bound + off, found=answer.value,
        used=answer.used, lower=min(search.lower, answer.bound),
    )  # fmt: skip


def _least(built: Built, found: Equilibrium, effort: Effort) -> float:
    """A bound from below for the places themselves: the prover's mixture, paid by the smallest part of each kind."""
    if not found.answers:
        return 0.0
    used = np.array([k for k, _ in found.answers])
    runs = np.array([built.least.run_flop(k) for k in used])
    scale = float(runs.max()) or 1.0
    shares = np.array([share for _, share in found.answers])
    uses = Uses(used=used, weights=shares / shares.sum() * runs / scale * built.least.surely(used))
    reply = best_reply(built.least, uses, tolerance=effort.tolerance / 2, known=found.lists[:8], whole=effort.whole)
    return reply.bound * scale
