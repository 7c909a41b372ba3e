"""`inspectorate interview plan`: how many people to draw so that somebody who knows is heard, and what refusals cost."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console
from rich.table import Table

from inspectorate.cli.interview_pick import agreed_strata
from inspectorate.cli.options import FiniteRange, json_option, print_json
from inspectorate.errors import InputError
from inspectorate.mechanisms.interviews.roster import reference
from inspectorate.mechanisms.interviews.roster.sizes import Wanted, reached, smallest_draw, smallest_draw_at_random


@click.command()
@click.option("--people", type=click.IntRange(min=1), multiple=True, help="People of the stratum; may be repeated.")
@click.option("--knowing", type=click.IntRange(min=1), multiple=True, help="How many of them know; may be repeated.")
@click.option("--reach", type=FiniteRange(0, 1, min_open=True, max_open=True), default=0.95, show_default=True,
              help="The chance with which somebody who knows must be heard.")  # fmt: skip
@click.option("--unheard", type=FiniteRange(0, 1), default=0.1, show_default=True,
              help="Of those drawn, the share that may refuse or stay away.")  # fmt: skip
@click.option(
    "--agreement", "agreement_name", help="Instead: the strata of its clause on interviews, for each --people."
)
@click.option("--published", is_flag=True, help="Instead: models whose contributors were counted.")
@json_option
def plan(**options: Any) -> None:
    """How many people to draw so that somebody who knows is heard, by the size of the stratum and by how many know.

    Three sizes: everybody is heard; some are not, whoever they are; some are not, and they are exactly those who know. A dash says
    that not even everybody reaches the wanted chance.
    """
    rows = [_row(label, Wanted(people=people, knowing=knowing, reach=reach), unheard)
            for label, people, knowing, reach, unheard in _cases(options)]  # fmt: skip
    if options["as_json"]:
        print_json({"draws": rows})
        return
    table = Table("of", "people", "knowing", "chance", "unheard", "all heard", "at random", "worst case",
                  "then one more refusal: at random", "worst case", box=None)  # fmt: skip
    for row in rows:
        table.add_row(*map(_cell, row.values()))
    Console(width=132, highlight=False).print(table)


def _cases(options: dict[str, Any]) -> list[tuple[str, int, int, float, float]]:
    people, knowing, reach, unheard = options["people"], options["knowing"], options["reach"], options["unheard"]
    if options["published"]:
        return [(name, of, known, reach, unheard) for name, (known, of) in reference.CONTRIBUTORS.items()]
    if not people or bool(knowing) == bool(options["agreement_name"]):
        raise InputError("give --people with either --knowing or --agreement, or --published", where="interview plan")
    if options["agreement_name"]:
        strata = agreed_strata(options["agreement_name"])
        return [(s.id, n, min(n, s.knowing_min), s.reach_min, share) for s, share in strata for n in people]
    found = [("", n, k, reach, unheard) for n in people for k in knowing if k <= n]
    if not found:
        raise InputError(f"{min(knowing)} of {max(people)} people cannot know", where="--people, --knowing")
    return found


def _row(label: str, wanted: Wanted, unheard: float) -> dict[str, object]:
    size = smallest_draw(wanted)
    assert size is not None
    cost = reached(people=wanted.people, knowing=wanted.knowing, drawn=size, unheard=min(1, size))
    return {
        "of": label, "people": wanted.people, "knowing": wanted.knowing, "chance": wanted.reach, "unheard": unheard,
        "all_heard": size, "at_random": smallest_draw_at_random(wanted, unheard_share=unheard),
        "worst": smallest_draw(wanted, unheard_share=unheard),
        "after_a_refusal_at_random": cost.at_random, "after_a_refusal_worst": cost.worst,
    }  # fmt: skip


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
