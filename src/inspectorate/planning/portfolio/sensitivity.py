"""Which figure of the catalogue, moved within its own range, changes the plan.

One figure at a time goes to its low and to its high end. The old plan is then held against the new question: if it breaks a bound,
is no longer ready, or costs more than the new optimum, the figure changes the plan. Comparing choices alone would report ties.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pydantic import Field

from inspectorate.canonical import Identifier, Record, Text
from inspectorate.planning.portfolio.catalogue import Case, Catalogue, Figure, Mark, Mechanism
from inspectorate.planning.portfolio.model import cost_of
from inspectorate.planning.portfolio.solve import Choice, cheapest, stretch_of
from inspectorate.planning.portfolio.terms import Question

COST_SHARE = 1e-6
"""A plan that costs so little more than the optimum is the optimum."""


class Swing(Record):
    """What one figure does to a plan at one end of its range."""

    mechanism: Identifier
    figure: Text
    mark: Mark
    end: Case
    value: float
    changes: bool
    why: Text
    cost: float | None = Field(description="of the cheapest plan then; none: there is none")
    cost_before: float
    clusters_changed: int


def sensitivity(question: Question, base: Choice, *, done: Callable[[], object] = lambda: None) -> tuple[Swing, ...]:
    """Every figure at both ends, those that change the plan first, the costliest first. `done` is called after each."""
    found = []
    for mechanism, name, figure in _figures(question.catalogue):
        for end in (Case.OPTIMISTIC, Case.PESSIMISTIC):
            if figure.at(end) != figure.at(question.case):
                found.append(_swing(question, base, mechanism, (name, figure, end)))
            done()
    return tuple(
        sorted(found, key=lambda one: (not one.changes, one.cost is not None, -abs((one.cost or 0) - one.cost_before)))
    )


def figures_count(catalogue: Catalogue) -> int:
    """How many ends are looked at."""
    return 2 * sum(1 for _ in _figures(catalogue))


def _figures(catalogue: Catalogue) -> Iterator[tuple[Mechanism, str, Figure]]:
    for mechanism in catalogue.mechanisms:
        for name, figure in mechanism.figures():
            yield mechanism, name, figure


def _swing(question: Question, base: Choice, mechanism: Mechanism, which: tuple[str, Figure, Case]) -> Swing:
    name, figure, end = which
    moved = question.but(catalogue=_with(question.catalogue, mechanism, name, figure.at(end)))
    new = cheapest(moved)
    why = _why(moved, base, new, mechanism.id)
    changed = 0
    if new is not None:
        changed = sum(new.chosen[place] != names for place, names in base.chosen.items())
    return Swing(
        mechanism=mechanism.id,
        figure=name,
        mark=figure.mark,
        end=end,
        value=figure.at(end),
        changes=bool(why),
        why=why or "the plan stays the cheapest",
        cost=None if new is None else new.cost,
        cost_before=base.cost,
        clusters_changed=changed if why else 0,
    )


def _why(moved: Question, base: Choice, new: Choice | None, name: str) -> str:
    """Why the old plan is no longer the plan; empty if it still is."""
    used = set().union(*base.chosen.values())
    there = {one for cluster in moved.fleet.clusters for one in cluster.existing} | set(moved.fleet.existing)
    if name in used - there and moved.why_not(moved.catalogue.mechanism(name)):
        return f"{name} is not ready in time"
    stretch = stretch_of(moved, base.chosen)
    if stretch > 1 + 1e-9:
        return f"the old plan leaves {stretch:.3g} times the bound"
    if new is not None and cost_of(moved, base.chosen) > new.cost * (1 + COST_SHARE) + COST_SHARE:
        return "another plan is cheaper"
    return ""


def _with(catalogue: Catalogue, mechanism: Mechanism, name: str, value: float) -> Catalogue:
    """The catalogue with one figure set to one value throughout."""
    part, _, inner = name.partition(".")
    old = getattr(mechanism.cost, inner) if inner else getattr(mechanism, part)
    new = old.model_copy(update={"range": (value, value, value)})
    changed = {part: mechanism.cost.model_copy(update={inner: new}) if inner else new}
    other = mechanism.model_copy(update=changed)
    kept = tuple(other if one.id == mechanism.id else one for one in catalogue.mechanisms)
    return catalogue.model_copy(update={"mechanisms": kept})
