"""Contradictions between interviewees: false accusations, and cover-ups that are found: `python -m bench interview_consistency`.

Groups come from `worlds.interviews`: memory noise as in the reference model, the declaration true or false. A group is accused if
any contradiction reaches the agreed rate of 1 %. Intervals are Clopper-Pearson at 95 %. Exits 1 if the lower end of the honest
groups' rate is above the agreed rate, or if 40 people x 60 answers take longer than 10 s.

    python bench/interview_consistency.py honest | found | prepared | everybody | noise | speed     one part
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console
from rich.table import Table

from inspectorate.evidence import Origin
from inspectorate.mechanisms.interviews.consistency.calibrate import Calibration, Judged
from inspectorate.mechanisms.interviews.consistency.check import check
from inspectorate.mechanisms.interviews.consistency.types import PointerKind
from inspectorate.statistics.sampling import clopper_pearson_lower, clopper_pearson_upper
from inspectorate.worlds.interviews import Plan, Preparation, group
from inspectorate.worlds.interviews_site import CoverUp

RATE = 0.01
DRAWS = 1_000
FOUND_DRAWS = 1_500
"""500 are as valid, and find little more than half as much in groups of ten."""
HONEST = ((5, 1000), (10, 760), (20, 200), (40, 40))
"""People and groups: 2,000 groups in all."""
SHARES = (0.0, 0.2, 0.4, 0.6, 1.0)
SIZES = ((5, 16), (10, 16), (20, 8), (40, 4))
SPEED_S_MAX = 10.0
CALIBRATION = Calibration(id="bench", origin=Origin.SIMULATED, false_accusation_rate=RATE, draws=DRAWS)


def accused(plan: Plan, draws: int = DRAWS) -> bool:
    """Whether any contradiction of a group reaches the rate."""
    judged = Judged(group(plan), CALIBRATION.model_copy(update={"draws": draws}))
    return bool(judged.null.p_values(judged.u.max(axis=1)).min() <= RATE)


def share_accused(plan: Plan, groups: int, kinds: Sequence[CoverUp | None], draws: int = DRAWS) -> int:
    """Of `groups` groups, each with the next kind of cover-up, how many are accused."""
    return sum(
        accused(replace(plan, seed=plan.seed + number, cover_up=kinds[number % len(kinds)]), draws)
        for number in range(groups)
    )


def interval(hits: int, of: int) -> str:
    low, high = clopper_pearson_lower(hits, of, 0.025), clopper_pearson_upper(hits, of, 0.025)
    return f"{hits} of {of}: {hits / of:.1%} ({low:.1%} to {high:.1%})"


def honest() -> bool:
    table = Table(
        "people", "honest groups accused (95 % interval)", title=f"agreed rate {RATE:.0%}", title_justify="left"
    )
    hits = of = 0
    for people, groups in HONEST:
        plan = Plan(people=people, seed=10_000 * people, machines=True)
        found = share_accused(plan, groups, (None,))
        table.add_row(str(people), interval(found, groups))
        print(people, interval(found, groups), flush=True)
        hits, of = hits + found, of + groups
    table.add_row("all", interval(hits, of))
    Console(width=120).print(table)
    return clopper_pearson_lower(hits, of, 0.025) <= RATE


def conspiracies(title: str, rows: Sequence[tuple[str, Sequence[CoverUp], Plan]]) -> bool:
    """A table of what is found, by conspirators among those who were heard."""
    table = Table("people", "cover-up", *(f"{share:.0%}" for share in SHARES), title=title, title_justify="left")
    for people, groups in SIZES:
        for name, kinds, plan in rows:
            found = []
            for share in SHARES:
                one = replace(plan, people=people, seed=77_000 + people, conspirators=round(share * people))
                found.append(f"{share_accused(one, groups, kinds, FOUND_DRAWS) / groups:.0%}")
            table.add_row(str(people), name, *found)
            print(people, name, *found, flush=True)
    Console(width=120).print(table)
    return True


def found() -> bool:
    plan = Plan(people=1, seed=0)
    informed = [(kind.value, (kind,), plan) for kind in CoverUp]
    anybody = [("all four, anybody conspires", tuple(CoverUp), replace(plan, informed=False))]
    return conspiracies("found, by share of conspirators: those who saw most, agreed story", [*informed, *anybody])


def prepared() -> bool:
    rows = [
        (kind.value, tuple(CoverUp), Plan(people=1, seed=0, preparation=kind))
        for kind in (Preparation.INDEPENDENT, Preparation.ASKED_ONLY)
    ]
    return conspiracies("found, by preparation: all four kinds of cover-up in turn, those who saw most", rows)


def everybody() -> bool:
    """Everybody conspires: contradictions only where machines speak; pointers show a story learnt by heart."""
    table = Table("people", "preparation", "machines", "contradiction", "same figures", "same words",
                  title="everybody conspires, all four kinds in turn", title_justify="left")  # fmt: skip
    for people, groups in ((10, 40), (20, 20)):
        for preparation in (*Preparation, None):
            for machines in (False, True):
                seen = [0, 0, 0]
                for number in range(groups):
                    kind = tuple(CoverUp)[number % 4] if preparation else None
                    plan = Plan(
                        people=people, seed=55_000 + number, cover_up=kind, machines=machines,
                        conspirators=people if preparation else 0, preparation=preparation or Preparation.AGREED,
                    )  # fmt: skip
                    came = check(group(plan), CALIBRATION)
                    kinds = {one.kind for one in came.pointers}
                    seen[0] += bool(came.contradictions)
                    seen[1] += PointerKind.SAME_FIGURES in kinds
                    seen[2] += PointerKind.SAME_WORDS in kinds
                name = preparation.value if preparation else "(honest)"
                table.add_row(str(people), name, "yes" if machines else "no", *(f"{one / groups:.0%}" for one in seen))
    Console(width=120).print(table)
    return True


def noise() -> bool:
    table = Table("errors, of the model's", "honest groups of 10 accused (95 % interval)", title_justify="left")
    for factor, groups in ((0.5, 100), (1.0, 100), (1.5, 200), (2.0, 200), (3.0, 100)):
        plan = Plan(people=10, seed=90_000, noise=factor)
        table.add_row(f"{factor:g}", interval(share_accused(plan, groups, (None,)), groups))
    Console(width=120).print(table)
    return True


def speed() -> bool:
    sheet = group(Plan(people=40, matters=60, seed=1, cover_up=CoverUp.HIDDEN_RUN, conspirators=8))
    start = time.perf_counter()
    came = check(sheet, CALIBRATION.model_copy(update={"draws": 5_000}))
    took = time.perf_counter() - start
    print(
        f"40 people x 60 questions, {came.statements} statements, 5,000 draws twice: {took:.1f} s (at most {SPEED_S_MAX:g})"
    )
    return took <= SPEED_S_MAX


PARTS = {part.__name__: part for part in (speed, honest, noise, everybody, found, prepared)}


def main() -> int:
    names = [name for name in sys.argv[1:] if name in PARTS] or list(PARTS)
    met = True
    for name in names:
        start = time.perf_counter()
        met &= PARTS[name]()
        print(f"({name}: {time.perf_counter() - start:.0f} s)", flush=True)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
