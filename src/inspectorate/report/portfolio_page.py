"""A portfolio as one HTML file that stands alone: the answer, the frontier between access and technology, and every figure's mark.

Rules, as for every page of this program (`html`): nothing is fetched and nothing runs; the one style sheet is allowed by its
digest; every number comes from the exhibits and the facts; equal plans give equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterable

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from inspectorate.assessment import Exhibit
from inspectorate.report.html import asset, csp_digest
from inspectorate.report.plan_facts import Row, Tables
from inspectorate.report.portfolio_chart import Panel, frontier_chart
from inspectorate.report.portfolio_facts import PortfolioFacts

SHOWN = (
    "portfolio-clusters",
    "portfolio-runs",
    "portfolio-subgoals",
    "portfolio-sensitivity",
    "portfolio-assumed",
    "portfolio-catalogue",
)
NOT_SHOWN = {
    "portfolio-clusters": {"verified_chip_hours_per_year", "unverified_chip_hours_per_year", "reveals"},
    "portfolio-catalogue": {
        "scope",
        "evidence",
        "feasibility",
        "access",
        "reveals",
        "roots",
        "subgoals",
        "outside_share",
    },
}
"""Columns that stand in the JSON form only: a page has so much width."""
ROWS_MAX = 2_000
FRONTIER = "portfolio-frontier"


def render_portfolio(facts: PortfolioFacts, exhibits: Iterable[Exhibit]) -> str:
    """The page on a portfolio. Raises `ValueError` where two exhibits have one name."""
    found = {one.id: one for one in exhibits}
    tables = Tables(found.values())
    style = asset("report.css") + asset("portfolio.css")
    environment = Environment(
        loader=DictLoader({"portfolio.html": asset("portfolio.html.j2")}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    rows: list[Row] = tables.rows(FRONTIER) if FRONTIER in found else []
    return environment.get_template("portfolio.html").render(
        facts=facts,
        charts=_charts(rows, facts),
        frontier=found.get(FRONTIER),
        tables=[_narrow(found[name]) for name in SHOWN if name in found],
        rows_max=ROWS_MAX,
        not_shown=NOT_SHOWN,
        cell=_cell,
        style=Markup(style),  # noqa: S704 - our own files
        policy=f"default-src 'none'; style-src '{csp_digest(style)}'; base-uri 'none'; form-action 'none'",
    )


def _narrow(table: Exhibit) -> Exhibit:
    """The table with the columns that a page has room for."""
    left_out = NOT_SHOWN.get(table.id, set())
    kept = [place for place, name in enumerate(table.columns) if name not in left_out]
    return table.model_copy(
        update={
            "columns": tuple(table.columns[place] for place in kept),
            "rows": tuple(tuple(row[place] for place in kept) for row in table.rows),
        }
    )


def _charts(rows: list[Row], facts: PortfolioFacts) -> list[tuple[str, Markup]]:
    if not rows:
        return []
    cost = next(name for name in rows[0] if name.startswith("cost_"))
    run = Panel("run_flop", "Smallest hidden run by access", facts.required_flop, "FLOP")
    price = Panel(cost, "Cost of the bound by access", None, f"{facts.currency} a year")
    panels = (("The smallest hidden run while every cluster works", run), ("The least cost of the bound", price))
    drawn = [(title, frontier_chart(rows, panel)) for title, panel in panels]
    return [(title, Markup(svg)) for title, svg in drawn if svg]  # noqa: S704 - escaped by the serialiser


def _cell(value: str | float | None) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else f"{value:,.4g}"
