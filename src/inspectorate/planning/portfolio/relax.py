"""Why there is no plan: each term relaxed alone, and what comes of it; and how near to the bound one can come.

1. The bound made elastic: the smallest hidden run that all other terms allow. If there is none, other terms exclude one another.
2. Every other term loosened by itself, in the order in which they are named: if a plan exists then, that term is a cause.
3. The date: the first day, among those on which something becomes ready, from which a plan exists.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from pydantic import Field

from inspectorate.canonical import Record, Text
from inspectorate.planning.portfolio.catalogue import LEVELS, Grade
from inspectorate.planning.portfolio.solve import cheapest, tightest
from inspectorate.planning.portfolio.terms import Question
from inspectorate.quantities import NonNegative


class Cause(Record):
    """A term which, loosened by itself, lets a plan exist or does not."""

    term: Text
    loosened: Text
    enough: bool
    cost: NonNegative | None = Field(default=None, description="of the cheapest plan then, a year")


class WhyNot(Record):
    """Why a question has no plan."""

    nearest: NonNegative | None = Field(
        description="the smallest multiple of the bounds in reach; none: no choice at all"
    )
    nearest_cost: NonNegative | None = None
    causes: tuple[Cause, ...]
    first_day: datetime | None = Field(default=None, description="from which a plan exists; none: on no day")


def why_not(question: Question) -> WhyNot:
    """Why there is no plan within the bounds."""
    nearest = tightest(question)
    causes = []
    for term, loosened, other in _loosened(question):
        found = cheapest(other)
        cost = found.cost if found else None
        causes.append(Cause(term=term, loosened=loosened, enough=found is not None, cost=cost))
    return WhyNot(
        nearest=nearest.stretch if nearest else None,
        nearest_cost=nearest.cost if nearest else None,
        causes=tuple(causes),
        first_day=first_day(question),
    )


def first_day(question: Question) -> datetime | None:
    """The first day from which a plan exists. What is ready stays ready, so that the days can be halved."""
    days = {question.ready_on(one, question.case) for one in question.catalogue.mechanisms}
    later = sorted(day for day in days if day > question.date)
    if not later or cheapest(question.but(date=later[-1])) is None:
        return None
    low, high = 0, len(later) - 1
    while low < high:
        middle = (low + high) // 2
        if cheapest(question.but(date=later[middle])) is None:
            low = middle + 1
        else:
            high = middle
    return later[low]


def _loosened(question: Question) -> Iterator[tuple[str, str, Question]]:
    """Every term that can be loosened, how, and the question with it."""
    if question.budget is not None:
        yield "budget", "no budget", question.but(budget=None)
    if question.failures:
        yield "failing roots", "none fails", question.but(failures=0)
    for layers in range(question.layers - 1, -1, -1):
        yield "subgoals", f"{layers} layers" if layers else "not asked about", question.but(layers=layers)
    for name in sorted(question.without):
        yield f"without {name}", "with it", question.but(without=question.without - {name})
    for kind in sorted(question.refused):
        yield f"access to {kind} refused", "granted", question.but(refused=question.refused - {kind})
    if question.access_level_max < LEVELS - 1:
        yield "level of access", "any", question.but(access_level_max=LEVELS - 1)
    for kind in sorted(question.caps):
        rest = {name: cap for name, cap in question.caps.items() if name != kind}
        yield f"cap on {kind}", "none", question.but(caps=rest)
    for name in sorted(question.delays):
        rest = {other: years for other, years in question.delays.items() if other != name}
        yield f"delay of {name}", "none", question.but(delays=rest)
    if question.keep_running:
        yield "clusters go on working", "some may be excluded", question.but(keep_running=False)
    if question.progress.algorithmic_per_year > 1:
        agreed = tuple(one.model_copy(update={"flop_max": one.flop_max_agreed}) for one in question.requirements)
        yield "progress of algorithms", "thresholds as agreed", question.but(requirements=agreed)
    if question.count_outside:
        yield "chips that may be elsewhere", "not counted", question.but(count_outside=False)
    if question.feasible_min is not Grade.LOW:
        yield "feasibility", "low ones too", question.but(feasible_min=Grade.LOW)
