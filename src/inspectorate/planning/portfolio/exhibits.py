"""A plan as exhibits: small typed tables that a report prints or plots."""

from __future__ import annotations

from collections.abc import Sequence

from inspectorate.assessment import Exhibit, ExhibitKind
from inspectorate.planning.portfolio.answer import Plan
from inspectorate.planning.portfolio.catalogue import Catalogue, Figure
from inspectorate.planning.portfolio.frontier import FrontierPoint, frontier_exhibit
from inspectorate.planning.portfolio.sensitivity import Swing
from inspectorate.planning.portfolio.terms import Question

Row = tuple[str | float | None, ...]


def exhibits_of(
    question: Question, plan: Plan | None, points: tuple[FrontierPoint, ...] = (), swings: Sequence[Swing] = ()
) -> tuple[Exhibit, ...]:
    """All that there is to show."""
    found = [catalogue_exhibit(question.catalogue, question)]
    if plan is not None:
        found += [_clusters(plan), _runs(plan), _subgoals(plan), _assumed(plan)]
    if points:
        found.append(frontier_exhibit(points, question))
    if swings:
        found.append(_swings(swings, question))
    return tuple(found)


def catalogue_exhibit(catalogue: Catalogue, question: Question | None = None) -> Exhibit:
    """The catalogue: one row per mechanism."""
    rows: list[Row] = []
    for one in catalogue.mechanisms:
        state = "" if question is None else question.why_not(one) or "may be chosen"
        cost = [_figure(figure) for figure in (one.cost.programme, one.cost.cluster, one.cost.chip)]
        rows.append((
            one.id, one.title, one.scope.value, one.evidence.value, one.claim.value, _figure(one.residual), _figure(one.joining),
            _figure(one.outside), f"{one.feasibility.grade.value} [{one.feasibility.mark.value}]", _figure(one.rd_years), *cost,
            float(one.access.level), ", ".join(one.access.kinds), ", ".join(r.kind for r in one.reveals), ", ".join(one.roots),
            " ".join(goal.value for goal in one.subgoals), state,
        ))  # fmt: skip
    return Exhibit(
        id="portfolio-catalogue",
        title="The catalogue, with the mark of each figure",
        kind=ExhibitKind.TABLE,
        columns=(
            "mechanism", "title", "scope", "evidence", "claim", "residual_share", "joining_share", "outside_share", "feasibility",
            "rd_years", "programme_per_year", "cluster_per_year", "chip_per_year", "access_level", "access", "reveals", "roots",
            "subgoals", "state",
        ),
        rows=tuple(rows),
    )  # fmt: skip


def _figure(figure: Figure | None) -> str | None:
    if figure is None:
        return None
    return " / ".join(f"{value:.3g}" for value in figure.range) + f" [{figure.mark.value}]"


def _clusters(plan: Plan) -> Exhibit:
    return Exhibit(
        id="portfolio-clusters",
        title="Which mechanisms on which cluster",
        kind=ExhibitKind.TABLE,
        columns=(
            "cluster", "use", "chips", "mechanisms", "claim", "hidden_share", "joining_share", "adds_flop",
            "verified_chip_hours_per_year", "unverified_chip_hours_per_year", "cost_low", "cost_central", "cost_high", "reveals",
        ),
        rows=tuple(
            (
                one.cluster, one.use.value, one.chips, ", ".join(one.mechanisms), one.claim.value, one.hidden_share, one.joining,
                one.adds_flop, one.verified_chip_hours, one.unverified_chip_hours, *one.cost,
                ", ".join(f"{kind} {bits[1]:.3g} bit/d" for kind, bits in one.reveals_bits_per_day.items()),
            )
            for one in plan.clusters
        ),
    )  # fmt: skip


def _runs(plan: Plan) -> Exhibit:
    return Exhibit(
        id="portfolio-runs",
        title="The largest hidden run that the plan leaves",
        kind=ExhibitKind.TABLE,
        columns=(
            "kind",
            "required_flop",
            "optimistic_flop",
            "central_flop",
            "pessimistic_flop",
            "at_worst_flop",
            "failing",
            "led_by",
        ),
        rows=tuple(
            (one.kind, one.required_flop, *one.flop, one.at_worst_flop, ", ".join(one.failing), one.led_by)
            for one in plan.runs
        ),
        unit="FLOP",
    )  # fmt: skip


def _subgoals(plan: Plan) -> Exhibit:
    return Exhibit(
        id="portfolio-subgoals",
        title="Subgoals, and how many trust roots must fail before nothing looks at them",
        kind=ExhibitKind.TABLE,
        columns=("subgoal", "title", "layers", "weakest_at", "people_only"),
        rows=tuple(
            (one.subgoal.value, one.title, float(one.layers), ", ".join(one.at), "yes" if one.people_only else "no")
            for one in plan.subgoals
        ),
    )


def _assumed(plan: Plan) -> Exhibit:
    return Exhibit(
        id="portfolio-assumed",
        title="Figures that are nobody's but ours",
        kind=ExhibitKind.TABLE,
        columns=("mechanism", "figures"),
        rows=tuple((one.mechanism, ", ".join(one.figures)) for one in plan.assumed),
    )


def _swings(swings: Sequence[Swing], question: Question) -> Exhibit:
    unit = question.catalogue.currency.lower()
    return Exhibit(
        id="portfolio-sensitivity",
        title="Figures that change the plan when they are moved within their range",
        kind=ExhibitKind.TABLE,
        columns=(
            "mechanism", "figure", "mark", "end", "value", "changes", "why", f"cost_{unit}_per_year", f"before_{unit}_per_year",
        ),
        rows=tuple(
            (
                one.mechanism, one.figure, one.mark.value, one.end.value, one.value, "yes" if one.changes else "no", one.why,
                one.cost, one.cost_before,
            )
            for one in swings
        ),
    )  # fmt: skip
