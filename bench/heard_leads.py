"""How machines stand to leads of which the truth is known: `python -m bench heard_leads`.

Two offices say that pods exchanged data. In worlds of every cheat that does, at its pods and its time, they are right; in
honest worlds, at the first pod and all the time, they are wrong. Printed is how often machines supported, contradicted, or did
not touch the lead.
Exits 1 where a true lead was contradicted, or where false ones were supported credibly more often than once in `SUPPORTING_E`.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import replace

from rich.console import Console
from rich.table import Table

from inspectorate.cli.worlds import review_world
from inspectorate.corroboration import SUPPORTING_E, Standing
from inspectorate.statistics import clopper_pearson_lower
from inspectorate.worlds import CATALOGUE, WorldSpec, build_world
from inspectorate.worlds.cheats import CHEATS
from inspectorate.worlds.heard_attacks import LEAD
from inspectorate.worlds.heard_catalogue import HEARD
from inspectorate.worlds.heard_cheats import CHANNELS

SAYS = HEARD["lead-covered"]
"""A world whose lead is of an exchange between pods."""
OF_EACH, HONEST = 4, 40
MISS = 0.05


def spoken_of(cheat: str | None) -> WorldSpec:
    """The world of a cheat, or an honest one, in which two offices speak of an exchange."""
    like = CATALOGUE[cheat] if cheat else CATALOGUE["honest"]
    return replace(SAYS, name=f"spoken of: {like.name}", kind=like.kind, site=like.site, cheat=cheat)


def standings(cheat: str | None, seeds: range) -> Counter[Standing]:
    found: Counter[Standing] = Counter()
    for seed in seeds:
        reviewed = review_world(build_world(spoken_of(cheat), seed))
        leads = next(one.leads for one in reviewed.findings if one.clause == CHANNELS)
        found[next(one.standing for one in leads if one.lead.id == LEAD)] += 1
    return found


def main() -> int:
    """Print the table, and whether it may be so."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--of-each", type=int, default=OF_EACH)
    parser.add_argument("--honest", type=int, default=HONEST)
    given = parser.parse_args()
    table = Table(show_edge=False)
    for column in ("what pods did", "n", *(one.value for one in Standing)):
        table.add_column(column)
    wrong = 0
    for cheat in (None, *CHEATS):
        count = given.of_each if cheat else given.honest
        found = standings(cheat, range(1, count + 1))
        table.add_row(cheat or "nothing of it", str(count), *(str(found[one]) for one in Standing))
        if cheat is None:
            wrong += clopper_pearson_lower(found[Standing.SUPPORTED], count, MISS) > 1 / SUPPORTING_E
        else:
            wrong += found[Standing.CONTRADICTED]
    Console(width=100).print(table)
    print(
        "no true lead is contradicted, and false ones are supported no more often than allowed"
        if not wrong
        else "MISSED"
    )
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
