"""What would most reduce doubt: a plan of inspections as a part of the report, and as a page that stands alone.

Rules, as for every page of this program (`html`): nothing is fetched and nothing runs; text from outside is escaped by the template
engine; equal plans give equal bytes. What was followed because somebody spoke is on no page: whoever may read it learns that
somebody spoke.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from inspectorate.planning.inspections import InspectionPlan
from inspectorate.planning.inspections.types import PlanKind
from inspectorate.report import words
from inspectorate.report.html import asset, csp_digest, powers

ROWS_MAX: Final = 30
BAR_PX: Final = 150


@dataclass(frozen=True, kw_only=True)
class _Way:
    name: str
    value: float
    at_most: float
    share: float


@dataclass(frozen=True, kw_only=True)
class _Row:
    place: str
    site: str
    when: str
    basis: str
    holds: float
    without: float
    chance: str
    share: float


def render_doubt(plan: InspectionPlan) -> Markup:
    """The section of a report. It needs the report's style sheet and nothing else."""
    environment = _environment()
    ranked = sorted(plan.kinds, key=lambda kind: (-kind.chance, -kind.hidden_flop, kind.name))
    whole = max(plan.nothing_gets_flop, 1e-300)
    ways = (
        ("this plan", plan.gets_found_flop, plan.gets_flop),
        ("uniform chance", plan.uniform_gets_flop, plan.uniform_at_most_flop),
        ("the greedy list, which can be foreseen", plan.greedy_gets_flop, plan.greedy_at_most_flop),
        ("no look", plan.nothing_gets_flop, plan.nothing_gets_flop),
    )  # fmt: skip
    text = environment.get_template("part.html").render(
        plan=plan,
        flop=_flop,
        bar=_bar,
        days=f"{plan.terms.days:g}",
        visits=words.plural(plan.terms.visits_left, "visit"),
        gap=words.gap(plan.gap),
        found=_found(plan),
        ways=[
            _Way(name=name, value=value, at_most=at_most, share=min(1.0, at_most / whole))
            for name, value, at_most in ways
        ],
        rows=[_row(kind, plan) for kind in ranked[:ROWS_MAX]],
        left_out=max(0, len(ranked) - ROWS_MAX),
        year=_year(plan),
        notes=[words.visible(text) for text in (*plan.notes, *plan.assumed)],
    )
    return Markup(text)  # noqa: S704 - our own template, which escapes


def render_doubt_page(plan: InspectionPlan) -> str:
    """The same as a page that stands alone."""
    style = asset("report.css")
    return (
        _environment()
        .get_template("page.html")
        .render(
            party=plan.party,
            period=words.span(plan.period),
            part=render_doubt(plan),
            style=Markup(style),  # noqa: S704 - our own file
            policy=f"default-src 'none'; style-src '{csp_digest(style)}'; base-uri 'none'; form-action 'none'",
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=DictLoader({"part.html": asset("doubt.html.j2"), "page.html": asset("doubt_page.html.j2")}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["powers"] = powers
    return environment


def _row(kind: PlanKind, plan: InspectionPlan) -> _Row:
    more = f" and {len(kind.periods) - 1} more times" if len(kind.periods) > 1 else ""
    return _Row(
        place=words.clipped(words.visible(kind.name), 120),
        site=words.visible(kind.site) if kind.site else "",
        when=words.clock_span(kind.periods[0], plan.period) + more if kind.periods else "",
        basis=words.listing(tuple(words.visible(text) for text in kind.basis), 3),
        holds=kind.hidden_flop,
        without=kind.run_without_flop,
        chance=f"{100 * kind.chance:.3g} %",
        share=kind.chance,
    )


def _found(plan: InspectionPlan) -> str:
    if plan.found_from_flop is None:
        return f"No size of run is found with a probability of {plan.probability:g} within these means."
    return f"Runs from {words.flop(plan.found_from_flop)} on are found with a probability of at least {plan.probability:g}."


def _year(plan: InspectionPlan) -> str:
    year = plan.season
    if year is None:
        return ""
    return (
        f"Over {words.plural(year.weeks, 'week')} with {words.plural(year.visits, 'visit')} left, a prover who waits gets "
        f"{words.flop(year.value_flop)} of visits at random times; {words.flop(year.all_early_flop)} if all are spent early, "
        f"and {words.flop(year.known_even_flop)} if their weeks are known."
    )


def _flop(value: float) -> Markup:
    """A count of FLOP with its power of ten set as such."""
    if value == 0:
        return Markup("0&nbsp;FLOP")
    digits, exponent = words.mantissa_exponent(value)
    return Markup('<span class="n">{}&nbsp;×&nbsp;10<sup>{}</sup>&nbsp;FLOP</span>').format(
        digits, str(exponent).replace("-", "−")
    )


def _bar(share: float) -> Markup:
    """A share of one as a bar."""
    return Markup(
        '<svg class="scale" viewBox="0 0 {w} 10" width="{w}" height="10" aria-hidden="true">'
        '<rect class="track" x="0" y="3" width="{w}" height="4" rx="2"/>'
        '<rect class="reached" x="0" y="3" width="{:.1f}" height="4" rx="2"/></svg>'
    ).format(share * BAR_PX, w=BAR_PX)
