"""Surveys of a period, sorted into rounds, and each round held against the plan.

A round has at most one survey of each node and form, and lasts at most as long as surveys may be apart. Rounds that show the
same are compared once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from inspectorate.mechanisms.interconnect.topology.around import Around, look_around
from inspectorate.mechanisms.interconnect.topology.bandwidth import Network, Pairs
from inspectorate.mechanisms.interconnect.topology.compare import Difference, compare
from inspectorate.mechanisms.interconnect.topology.graph import Topology
from inspectorate.mechanisms.interconnect.topology.seen import Seen, join, planned_name, shown
from inspectorate.mechanisms.interconnect.topology.survey import Survey
from inspectorate.quantities import Period


@dataclass(frozen=True, kw_only=True)
class Filed:
    """One survey, when it was made, and by which statement it is filed."""

    survey: Survey
    period: Period
    digest: str
    asked: frozenset[str]
    """The nodes that it asked, under the plan's names."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """What one round shows, beside the plan."""

    period: Period
    seen: Seen
    differences: tuple[Difference, ...]
    around: Around
    """All that is declared or seen: an upper bound on what is wired."""
    shown: Pairs
    """Around the gateway, over what was seen with its rate, from whichever end: a lower bound if that end is right."""
    confirmed: Pairs
    """The same over what was seen from both ends."""


def file_survey(survey: Survey, plan: Topology, *, period: Period, digest: str) -> Filed:
    """A survey with the names of the nodes that it asked."""
    asked = frozenset(planned_name(one, plan) or one.names[0] for one in survey.asked)
    return Filed(survey=survey, period=period, digest=digest, asked=asked)


def make_rounds(filed: Sequence[Filed], plan: Topology, *, every_s: float) -> tuple[Round, ...]:
    """All rounds, in order of time."""
    known: dict[Hashable, Round] = {}
    found: list[Round] = []
    for group in _groups(filed, every_s):
        period = Period(start=group[0].period.start, end=max(one.period.end for one in group))
        seen = join((one.survey for one in group), plan)
        key = (frozenset(seen.wires), seen.asked, seen.loops, frozenset(seen.chassis.items()))
        if key not in known:
            known[key] = _round(period, seen, plan)
        found.append(replace(known[key], period=period))
    return tuple(found)


def by_node(filed: Iterable[Filed]) -> Mapping[str, Sequence[Filed]]:
    """The surveys of each node, in order of time."""
    found: defaultdict[str, list[Filed]] = defaultdict(list)
    for one in sorted(filed, key=lambda f: (f.period.start, f.period.end, f.digest)):
        for name in one.asked:
            found[name].append(one)
    return found


def gaps(surveys: Sequence[Filed], period: Period, every_s: float) -> tuple[Period, ...]:
    """Stretches of the period longer than `every_s` in which a node may not have been asked, of its surveys in order.

    A survey was made at some moment of its own period, nobody knows which: between two of them lies at most the time from
    the start of the one to the end of the next. A survey that claims a long period is therefore worth less, not more.
    """
    earliest = [period.start, *(one.period.start for one in surveys)]
    latest = [*(one.period.end for one in surveys), period.end]
    limit = timedelta(seconds=every_s)
    spans = ((max(a, period.start), min(b, period.end)) for a, b in zip(earliest, latest, strict=True) if b - a > limit)
    return tuple(Period(start=a, end=b) for a, b in spans if a < b)


def _groups(filed: Sequence[Filed], every_s: float) -> list[list[Filed]]:
    groups: list[list[Filed]] = []
    taken: set[tuple[str, str]] = set()
    for one in sorted(filed, key=lambda f: (f.period.start, f.digest)):
        asked = {(_form(one.survey), name) for name in one.asked}
        lasts = timedelta(seconds=every_s)
        if not groups or taken & asked or one.period.end - groups[-1][0].period.start > lasts:
            groups.append([])
            taken = set()
        groups[-1].append(one)
        taken |= asked
    return groups


def _form(survey: Survey) -> str:
    return survey.source.split(" ", 1)[0]


def _round(period: Period, seen: Seen, plan: Topology) -> Round:
    return Round(
        period=period,
        seen=seen,
        differences=compare(plan, seen),
        around=look_around(plan, [seen]),
        shown=Network(shown(plan, seen, both_ends=False), around_gateway=True).pairs(),
        confirmed=Network(shown(plan, seen, both_ends=True), around_gateway=True).pairs(),
    )
