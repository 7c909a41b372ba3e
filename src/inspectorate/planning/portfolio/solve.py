"""From a question to a plan: the cheapest within the bound, or the smallest bound within a budget.

What the solver says is not believed: every plan is evaluated again by definition (`model`), under every way of failing, and one
that breaks a bound by the solver's tolerance is sought again with as much room to spare.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inspectorate.errors import InputError
from inspectorate.planning.portfolio.model import FLEET, cost_of, largest_run
from inspectorate.planning.portfolio.options import Floats, Maker, Options, Scenes, fleet_options, scenes_of
from inspectorate.planning.portfolio.program import Outcome, Program, Solution
from inspectorate.planning.portfolio.terms import Question

EXACT = 1e-9
ROOM = 2e-6


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A choice of mechanisms, and how it was found."""

    chosen: Mapping[str, frozenset[str]]
    """Cluster -> mechanisms; the fleet's under the empty name."""
    cost: float
    """A year, by the case of the question, beyond what is there."""
    stretch: float
    """The largest hidden run over the bound, at its worst over kinds of run and ways of failing: at most 1 if the bound holds."""
    outcome: Outcome
    gap: float
    columns: int
    """Options that the program had."""


def cheapest(question: Question) -> Choice | None:
    """The cheapest plan within all bounds; none if there is none. Raises `InputError` on a question that is too large."""
    if question.budget is not None:
        found = tightest(question)
        return found if found is not None and found.stretch <= 1 + EXACT else None
    scenes = scenes_of(question)
    options = _options(question, scenes, scenes.limits)
    if options is None:
        return None
    program = Program(question, scenes, options)
    for slack in (0.0, ROOM):
        choice = choice_of(question, scenes, options, program.cheapest(slack=slack))
        if choice is None or choice.stretch <= 1 + EXACT:
            return choice
    raise AssertionError("a plan breaks a bound by more than the solver's tolerance")


def tightest(question: Question) -> Choice | None:
    """The plan that leaves the smallest hidden run (against the bounds), the cheapest such; none if terms other than bounds exclude
    one another, or the budget is too small for anything."""
    scenes = scenes_of(question)
    loose = _options(question, scenes, None)
    if loose is None:
        return None
    reference = _reachable(scenes, loose, question.budget is not None)
    found = None
    if reference > 0:
        options = _options(question, scenes, scenes.limits * reference * (1 + 1e-9)) or loose
        program = Program(question, scenes, options)
        found = choice_of(question, scenes, options, program.tightest(reference))
        if found is None:  # what each cluster does best by itself may not fit what all ask of the fleet
            options, program = loose, Program(question, scenes, loose)
            found = choice_of(question, scenes, options, program.tightest(_worst(scenes, loose)))
        if found is None:
            return None
    else:
        reference = 1e-300
    stretch = found.stretch if found else 0.0
    return _cheapest_within(question, scenes, max(stretch, EXACT * reference)) or found


def _cheapest_within(question: Question, scenes: Scenes, stretch: float) -> Choice | None:
    """The cheapest plan that leaves no more than so many times the bounds."""
    limits = scenes.limits * stretch * (1 + 1e-7)
    wider = Scenes(failed=scenes.failed, unseen=scenes.unseen, kinds=scenes.kinds, limits=limits)
    options = _options(question, wider, limits)
    if options is None:
        return None
    return choice_of(question, scenes, options, Program(question, wider, options).cheapest())


def _options(question: Question, scenes: Scenes, limits: Floats | None) -> list[Options] | None:
    """The options of the fleet and of every cluster; none if something has none."""
    maker = Maker(question, scenes)
    found = [fleet_options(question, scenes, limits)]
    found += [maker.options(cluster, limits) for cluster in question.fleet.clusters]
    return found if all(len(one) for one in found) else None


def _reachable(scenes: Scenes, options: Sequence[Options], budget: bool) -> float:
    """A multiple of the bounds that is certainly reached if clusters may choose freely: each takes what adds and leads least."""
    if budget:
        return _worst(scenes, options)
    each = np.repeat(scenes.limits, len(scenes.failed))
    adds, leads = np.zeros(len(each)), np.zeros(len(each))
    for one in options:
        worst = ((one.adds + one.leads) / each).max(axis=1)
        row = int(worst.argmin())
        adds += one.adds[row]
        leads = np.maximum(leads, one.leads[row])
    return float(((adds + leads) / each).max())


def _worst(scenes: Scenes, options: Sequence[Options]) -> float:
    """A multiple of the bounds that no choice exceeds."""
    each = np.repeat(scenes.limits, len(scenes.failed))
    most = sum(((one.adds + one.leads) / each).max() for one in options)
    return float(most)


def choice_of(question: Question, scenes: Scenes, options: Sequence[Options], solution: Solution) -> Choice | None:
    """The plan of a solution; none if the program has none. Raises `InputError` if nothing was found in time."""
    if not solution.rows:
        if solution.outcome is Outcome.TIME:
            raise InputError(f"no plan was found within {question.time_limit_s:g} s, which does not say that there is none",
                             where="--time-limit", remedy="allow more time, fewer failures, or fewer mechanisms")  # fmt: skip
        return None
    names = [FLEET, *(cluster.id for cluster in question.fleet.clusters)]
    chosen = {name: one.names(row) for name, one, row in zip(names, options, solution.rows, strict=True)}
    return Choice(
        chosen=chosen,
        cost=cost_of(question, chosen),
        stretch=stretch_of(question, chosen, scenes),
        outcome=solution.outcome,
        gap=solution.gap,
        columns=sum(len(one) for one in options),
    )


def stretch_of(question: Question, chosen: Mapping[str, frozenset[str]], scenes: Scenes | None = None) -> float:
    """The largest hidden run over the bound, at its worst, by definition."""
    scenes = scenes or scenes_of(question)
    worst = -math.inf
    for post, limit in zip(scenes.kinds, scenes.limits.tolist(), strict=True):
        for failed in scenes.failed:
            worst = max(worst, largest_run(question, chosen, failed=failed, post=post).flop / limit)
    return worst
