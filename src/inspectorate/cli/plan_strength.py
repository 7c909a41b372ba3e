"""`inspectorate plan strength`: layers by subgoals, what fails together, the weakest subgoal, and the cheapest upgrade.

A strength is an answer within a model and no verdict: the command exits 0 on an answer and 2 on wrong use.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from inspectorate.agreement import Agreement, load_agreement
from inspectorate.cli.options import EXISTING_FILE, FiniteRange, json_option, print_json
from inspectorate.cli.plan_portfolio import AHEAD_YEARS, span_of
from inspectorate.cli.plan_portfolio_text import Line, echo, money, table_of
from inspectorate.cli.reviews import read_review
from inspectorate.errors import InputError
from inspectorate.planning.portfolio import (
    Catalogue,
    Fleet,
    Progress,
    Question,
    Subgoal,
    bound_of,
    load_catalogue,
    load_fleet,
    shipped_catalogue,
)
from inspectorate.planning.strength import (
    Cell,
    Regime,
    State,
    Upgrade,
    fleet_of_account,
    regime_exhibits,
    regime_of,
    shipped_layers,
    states_named,
    states_of,
    upgrade_of,
    with_needs,
)
from inspectorate.review import Review

UNBOUNDED_FLOP = 1e34


@click.command("strength")
@click.argument("review_path", metavar="[REVIEW.json]", type=EXISTING_FILE, required=False)
@click.option(
    "--layers", "named", metavar="NAMES", help="Layers or mechanisms that a regime has, with commas: without a review."
)
@click.option(
    "--agreement", "agreement_name", help="The agreement that was reviewed (default: the shipped one of that name)."
)
@click.option("--fleet", "fleet_path", type=EXISTING_FILE, help="Fleet (YAML) that an upgrade is priced for.")
@click.option("--catalogue", "catalogue_path", type=EXISTING_FILE, help="Your own catalogue of mechanisms (YAML).")
@click.option(
    "--bound", type=FiniteRange(1, 1e35), help="Largest hidden run [FLOP] that the upgrade must reach as well."
)
@click.option("--date", "date", help=f"By when additions must be ready. [default: start + {AHEAD_YEARS:g} years]")
@click.option("--start", "start", help="When the work on them begins. [default: now]")
@json_option
def strength(
    review_path: Path | None, named: str | None, agreement_name: str | None, fleet_path: Path | None, catalogue_path: Path | None,
    bound: float | None, date: str | None, start: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Layers by subgoals: which looked, what they share, the weakest subgoal, and the cheapest upgrade.

    With a review (`inspectorate review --json`), a layer counts only as far as its findings say that it looked. Without one, name
    the layers of a regime with --layers. Layers of people are present or absent and carry no figure.
    """
    catalogue = load_catalogue(catalogue_path) if catalogue_path else shipped_catalogue()
    review = _review(review_path)
    agreement = load_agreement(agreement_name or (review.agreement if review else "asi-agreement"))
    regime = _regime(review, named, catalogue, agreement)
    fleet = _fleet(review, fleet_path, regime, catalogue, agreement)
    began, by = span_of(start, date)
    question = Question(
        fleet=fleet, catalogue=catalogue, agreement=agreement, date=by, start=began,
        requirements=(bound_of(bound or UNBOUNDED_FLOP, years=0, progress=Progress()),),
    )  # fmt: skip
    upgrade = upgrade_of(question, regime.strength)
    if as_json:
        print_json({
            "regime": regime.model_dump(mode="json"), "upgrade": upgrade.model_dump(mode="json"),
            "residual_flop": review.account.hidden_flop_max if review else None,
            "exhibits": [one.model_dump(mode="json") for one in regime_exhibits(regime, shipped_layers())],
        })  # fmt: skip
        return
    echo(_lines(regime, upgrade, review, fleet))


def _review(path: Path | None) -> Review | None:
    if path is None:
        return None
    return read_review(path)[1]


def _regime(review: Review | None, named: str | None, catalogue: Catalogue, agreement: Agreement) -> Regime:
    layers = shipped_layers()
    if review is not None and named is not None:
        raise InputError("give a review or --layers, and not both", where="--layers")
    if review is not None:
        return regime_of(layers, catalogue, states_of(layers, review.findings, agreement), from_review=True)
    names = [one.strip() for one in (named or "").split(",") if one.strip()]
    return regime_of(layers, catalogue, states_named(layers, names), from_review=False)


def _fleet(
    review: Review | None, path: Path | None, regime: Regime, catalogue: Catalogue, agreement: Agreement
) -> Fleet:
    if path is not None:
        return load_fleet(path)
    if review is not None:
        return fleet_of_account(review.account, regime.standing, catalogue, agreement)
    there = with_needs(regime.standing, catalogue)
    scopes = {
        scope: [n for n in there if catalogue.mechanism(n).scope.value == scope] for scope in ("cluster", "fleet")
    }
    value = {
        "id": "one-cluster", "title": "one cluster of 1,000 H100-equivalents",
        "clusters": [
            {"id": "cluster", "h100_equivalents": 1000, "use": "inference", "pods": 8, "existing": scopes["cluster"]}
        ],
        "existing": scopes["fleet"],
    }  # fmt: skip
    return Fleet.parse(value, where="fleet", error=InputError)


def _lines(regime: Regime, upgrade: Upgrade, review: Review | None, fleet: Fleet) -> Iterator[Line]:
    layers = {layer.id: layer for layer in shipped_layers()}
    yield (
        "Which layers looked, by the findings of the review:"
        if regime.from_review
        else "Which layers the regime is said to have:"
    )
    matrix = table_of("layer", *(f"{goal.value} " for goal in Subgoal))
    by_place = {(cell.layer, cell.subgoal): cell for cell in regime.cells}
    for name, layer in layers.items():
        cells = [by_place[name, goal] for goal in Subgoal]
        shown = [_shown(cell, regime.from_review) for cell in cells]
        matrix.add_row(name + (" (people)" if layer.people else ""), *shown)
    yield matrix
    yield ""
    table = table_of("subgoal", "", "roots that must fail", "layers", "")
    for one in regime.subgoals:
        note = "weakest" if one.subgoal in regime.weakest else ""
        people = "only people" if one.people_only else ""
        table.add_row(
            one.subgoal.value,
            one.title,
            str(one.strength),
            ", ".join(one.layers),
            ", ".join(filter(None, (note, people))),
        )
    yield table
    weakest = ", ".join(goal.value for goal in regime.weakest)
    yield f"The regime is as strong as its weakest subgoal: {regime.strength} ({weakest})."
    together: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for one_ in regime.shared:
        together.setdefault((one_.title, one_.kind.value, one_.layers), []).append(one_.subgoal.value)
    for (title, kind, sharing), goals in together.items():
        yield f"  {', '.join(sharing)} share {title} ({kind}) at {', '.join(goals)}, and fail together."
    if review is not None:
        yield f"After everything, a hidden run of up to {review.account.hidden_flop_max:.3g} FLOP is left."
    yield _upgrade_line(upgrade, fleet)
    for note in fleet.notes:
        yield f"  {note}"
    yield ("Layers of people are present or absent, independent or not; nothing says how far anybody is to be believed. A strength "
           "is an answer within a model, and no verdict.")  # fmt: skip


def _shown(cell: Cell, from_review: bool) -> str:
    state = "there" if cell.state is State.LOOKED and not from_review else cell.state.value
    return f"{state}: {', '.join(cell.mechanisms)}" if cell.mechanisms else state


def _upgrade_line(upgrade: Upgrade, fleet: Fleet) -> str:
    goal = f"{upgrade.layers} independent layers on every subgoal" if upgrade.layers > 1 else "a layer on every subgoal"
    if not upgrade.possible or upgrade.cost is None:
        return f"No addition that is ready in time gives {goal} at {fleet.title}."
    places = {name: ", ".join(some[:3]) + (", …" if len(some) > 3 else "") for name, some in upgrade.added.items()}
    what = "; ".join(f"{name} ({where})" for name, where in places.items()) or "nothing"
    return f"The cheapest upgrade to {goal}, for {fleet.title}: {what}, {money(upgrade.cost, upgrade.currency)} a year."
