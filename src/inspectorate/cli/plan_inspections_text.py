"""A plan of inspections, and a draw from one, as lines of text."""

from __future__ import annotations

from collections.abc import Iterator

from inspectorate.planning.inspections import InspectionDraw, InspectionPlan
from inspectorate.report.words import clipped, flop, gap, listing, plural, share, span, visible

ROWS = 20
LISTS = 5


def plan_lines(plan: InspectionPlan) -> Iterator[str]:
    """The plan as text; its JSON form leaves out nothing."""
    if plan.simulated:
        yield "SIMULATED EVIDENCE: this plan is for an invented site."
    yield f"largest hidden run (the account's): {flop(plan.run_flop)}"
    yield (
        f"with {plan.terms.days:g} inspector-days and {plural(plan.terms.visits_left, 'visit')} left, a prover who "
        f"knows this plan, but not the draw, can expect to train unseen"
    )
    yield (
        f"  {flop(plan.gets_found_flop)} by the best use of places that was found ({share(plan.gets_found_flop, plan.run_flop)}); "
        f"at most {flop(plan.gets_flop)} by any; no plan gets it below {flop(plan.gets_flop_least)}"
    )
    yield f"  gap {gap(plan.gap)} after {plural(plan.rounds, 'round')}; {plural(len(plan.lists), 'visit list')}"
    yield (
        f"  greedy list: {_both(plan.greedy_gets_flop, plan.greedy_at_most_flop)}; uniform chance: "
        f"{_both(plan.uniform_gets_flop, plan.uniform_at_most_flop)}; no look: {flop(plan.nothing_gets_flop)}"
    )
    yield f"if every look finds nothing, the largest run is expected to be {flop(plan.run_if_clean_flop)}"
    what = (
        f"from {flop(plan.found_from_flop)} on"
        if plan.found_from_flop is not None
        else "of no size, within these means"
    )
    yield f"runs {what} are found with a probability of at least {plan.probability:g}"
    yield ""
    yield "how likely each place is looked at (places of one kind are alike, and drawn by chance):"
    ranked = sorted(plan.kinds, key=lambda kind: (-kind.chance, kind.name))
    for kind in ranked[:ROWS]:
        more = f" and {len(kind.periods) - 1} more times" if len(kind.periods) > 1 else ""
        when = span(kind.periods[0]) + more if kind.periods else ""
        yield (
            f"  {100 * kind.chance:6.2f} %  {visible(clipped(kind.name, 70))}{f' at {kind.site}' if kind.site else ''}: holds "
            f"{flop(kind.hidden_flop)}; explained, the run would be {flop(kind.run_without_flop)}; {when}"
        )
    if len(ranked) > ROWS:
        yield f"  and {len(ranked) - ROWS} more kinds, in the JSON form"
    yield from _lists(plan)
    yield from _rest(plan)


def _both(gets: float, at_most: float) -> str:
    """What the best use gets that was found, and what none exceeds, where that is more."""
    return flop(gets) if flop(gets) == flop(at_most) else f"{flop(gets)}, at most {flop(at_most)}"


def _lists(plan: InspectionPlan) -> Iterator[str]:
    total = sum(one.weight for one in plan.lists)
    yield "visit lists (a draw takes one):"
    for one in plan.lists[:LISTS]:
        looks = tuple(
            f"{entry.number} of {len(plan.kinds[entry.kind].places)} {plan.kinds[entry.kind].name} by "
            f"{plan.kinds[entry.kind].looks[entry.look].method}"
            for entry in one.entries
        )
        what = visible(listing(looks, 6)) if looks else "nothing"
        yield f"  {100 * one.weight / total:6.2f} %  {one.days:.3g} inspector-days, {plural(one.visits, 'visit')}: {what}"
    if len(plan.lists) > LISTS:
        yield f"  and {len(plan.lists) - LISTS} more, in the JSON form"


def _rest(plan: InspectionPlan) -> Iterator[str]:
    yield "greedy list, for comparison (who knows it, hides elsewhere):"
    for row in plan.greedy[:LISTS]:
        yield f"  {visible(row.place)} by {row.method}, {row.days:.3g} inspector-days: then {flop(row.run_after_flop)}"
    yield "if powers are not what was assumed, the prover gets:"
    for what in plan.sensitivity:
        yield f"  {what.what}: {_both(what.gets_flop, what.at_most_flop)}"
    if plan.season is not None:
        year = plan.season
        yield (
            f"over {year.weeks} weeks with {plural(year.visits, 'visit')}: {flop(year.value_flop)} (this week "
            + ", ".join(f"{n} visits with {100 * p:.3g} %" for n, p in enumerate(year.first_week) if p > 0)
            + f"); all early {flop(year.all_early_flop)}; weeks that are known {flop(year.known_even_flop)}; weeks drawn at once "
            f"{flop(year.random_weeks_flop)}"
        )
    if plan.leads:
        yield "what people said, as reasons to look (`--follow LEAD` sets days aside; do not publish a plan that follows one):"
        for lead in plan.leads:
            where = listing(lead.pods, 6) if lead.pods else "pods not known"
            yield f"  {lead.lead}: {where}; {lead.standing}; next: {lead.step}{'; followed' if lead.followed else ''}"
    for look in plan.followed:
        yield f"  in any case: {visible(look.place)} by {look.method}, {look.days:.3g} inspector-days"
    for text in (*plan.notes, *plan.assumed):
        yield f"note: {visible(text)}"


def draw_lines(drawn: InspectionDraw) -> Iterator[str]:
    """What was drawn."""
    yield f"list {drawn.list_number}: {drawn.days:.3g} inspector-days, {plural(drawn.visits, 'visit')}"
    for look in drawn.looks:
        yield f"  {visible(look.place)}{f' at {look.site}' if look.site else ''} by {look.method}"
    if not drawn.looks:
        yield "  nothing is looked at"
