"""The frontier between access and technology: what can be reached, and at what cost, by how much is let in and by when.

For every level of access (0 nothing to 4 code, data or weights) and every date, the smallest hidden run that a fleet which goes on
working can be held to, and the least cost of the required bound, for which clusters may also be excluded. Along one row, technology
stands in for access; down one column, access for technology.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from pydantic import Field

from inspectorate.assessment import Exhibit, ExhibitKind
from inspectorate.canonical import Record
from inspectorate.planning.portfolio.catalogue import LEVELS
from inspectorate.planning.portfolio.solve import cheapest, tightest
from inspectorate.planning.portfolio.terms import YEAR_DAYS, Question
from inspectorate.quantities import NonNegative

YEARS = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)
ACCESS = (
    "nothing is let in",
    "outside of the site, or inside the chip",
    "the verifier's devices on site",
    "people on site, or data of operation",
    "code, data or weights",
)


class FrontierPoint(Record):
    """One level of access at one date."""

    years: NonNegative = Field(description="from the start of the work")
    date: datetime
    level: int
    run_flop: NonNegative | None = Field(
        description="the smallest that can be reached while all clusters work; none: no choice"
    )
    cost: NonNegative | None = Field(description="the least of a plan within the bound; none: there is none")


def frontier(
    question: Question, *, years: tuple[float, ...] = YEARS, done: Callable[[], object] = lambda: None
) -> tuple[FrontierPoint, ...]:
    """Every level of access at every date. `done` is called after each."""
    found = []
    for after in years:
        date = question.start + timedelta(days=after * YEAR_DAYS)
        for level in range(LEVELS):
            asked = question.but(date=date, access_level_max=min(level, question.access_level_max))
            working = tightest(asked.but(keep_running=True, budget=None))
            best = cheapest(asked)
            found.append(
                FrontierPoint(
                    years=after,
                    date=date,
                    level=level,
                    run_flop=None if working is None else working.stretch * min(question.kinds().values()),
                    cost=None if best is None else best.cost,
                )
            )
            done()
    return tuple(found)


def frontier_exhibit(points: tuple[FrontierPoint, ...], question: Question) -> Exhibit:
    """The frontier as a table: one row per level and date."""
    return Exhibit(
        id="portfolio-frontier",
        title="What can be reached, by how much access is given and by when",
        kind=ExhibitKind.TABLE,
        columns=(
            "years",
            "date",
            "access_level",
            "access",
            "run_flop",
            f"cost_{question.catalogue.currency.lower()}_per_year",
        ),
        rows=tuple(
            (one.years, f"{one.date:%Y-%m-%d}", float(one.level), ACCESS[one.level], one.run_flop, one.cost)
            for one in points
        ),
        limit=min(question.kinds().values()),
        unit="FLOP",
    )
