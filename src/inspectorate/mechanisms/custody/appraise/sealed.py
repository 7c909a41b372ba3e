"""`sealed-places`: one assessment for all pods. Whether every rack of the registers was under an intact seal all the time.

1. Seals and their checks are judged over time (`seals.held`): a seal holds from its application to each check that found it intact,
   if none came later than agreed. From a check to the next seal by the same inspector the place counts as held (`places`).
2. Every rack of every register must be held throughout the period. What no seal held is not observed.
3. A seal that was found broken, or unclear, leaves the clause open: cleaners break seals, too. What follows is to open the rack and
   count what is in it. There is no e-value: nobody has stated how often honest seals break.
4. Two seals of one name, or a check from before its seal: invalid evidence.
5. *Consistent*: every rack was held. It bounds nothing by itself: with a count of what was behind the seals it does (`counted`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from inspectorate.agreement import SealedPlaces
from inspectorate.assessment import Assessment, Case
from inspectorate.evidence import SealChecked, VerifiedStatement
from inspectorate.hearing import spans_text
from inspectorate.mechanisms.custody import reference
from inspectorate.mechanisms.custody.appraise.common import Kept, Said, With, assess, registers_of, spoken_of
from inspectorate.mechanisms.custody.appraise.places import (
    Place,
    by_place,
    gaps_of,
    names_of,
    racks_of,
    reseal_s,
    resealed,
    together,
)
from inspectorate.mechanisms.custody.held import Held
from inspectorate.mechanisms.custody.observe import SEALS
from inspectorate.mechanisms.custody.seals.held import SealFault, SealsJudged, Why, judge_seals
from inspectorate.quantities import Period, uncovered

INVALID = frozenset({SealFault.NAME_TWICE, SealFault.CHECKED_BEFORE})
NAMED_ONLY = frozenset({SealFault.AGAINST_NUMBER})
"""Faults that are told, and leave nothing open."""


def appraise_sealed(case: Case, clause: SealedPlaces) -> tuple[Assessment, ...]:
    statements = spoken_of(case).of(*SEALS)
    judged = judge_seals(statements, clause, case.period)
    registers = registers_of(case)
    places = frozenset(place for one in registers if one.register is not None for place in racks_of(one.register))
    held = together(by_place(judged.held), resealed(statements, reseal_s(clause.checked_every_s)))
    gaps = gaps_of(places, held, case.period)
    broken = by_place(one for one in judged.unheld if one.why in (Why.BROKEN.value, Why.UNCLEAR.value))
    bare = {place: left for place, found in gaps.items() if (left := _left(found, broken.get(place, ())))}
    said = Said(
        invalid=[f"{one.fault.value}: seal {one.seal}: {one.detail}" for one in judged.faults if one.fault in INVALID],
        unseen=tuple(_unseen(statements, registers, places, bare)),
        doubts=tuple(_doubts(case, judged)),
        kept=_kept(places, statements, judged.held),
    )
    return assess(
        case,
        said,
        With(
            assumptions=(
                "a seal cannot be opened and closed again so that its photographs do not show it",
                "an inspector who checked a seal and put on the next one stood there meanwhile",
            )
            if judged.held
            else (),
            evidence_ids=(
                *(one.digest for one in statements),
                *(one.digest for one in registers if one.register is not None),
            )
            if statements
            else (),
            not_checked=(
                "what stood behind a seal when it was put on: counts say that",
                *(
                    f"{one.fault.value}: seal {one.seal}: {one.detail}"
                    for one in judged.faults
                    if one.fault in NAMED_ONLY
                ),
            ),
            unheard=spoken_of(case).unheard(*SEALS),
        ),
    )


def _left(gaps: Sequence[Period], broken: Sequence[Period]) -> list[Period]:
    """What of gaps no broken or unclear seal explains."""
    return [part for gap in gaps for part in uncovered(broken, gap)]


def _unseen(
    statements: Sequence[VerifiedStatement],
    registers: Sequence[Kept],
    places: frozenset[Place],
    bare: dict[Place, list[Period]],
) -> Iterator[str]:
    if not statements:
        yield "no seal was put on"
        return
    if not places:
        yield "no register that can be read says which racks there are" if registers else "no register was handed over"
    if bare:
        worst = max(bare, key=lambda place: (sum(gap.duration_s for gap in bare[place]), place))
        yield (
            f"{len(bare)} of {len(places)} racks were not under seal all the time: {names_of(bare)};"
            f" {worst[1]} not at {spans_text(bare[worst])} UTC"
        )


_NEXT = {
    Why.BROKEN: "was found broken; next: count what is behind it",
    Why.UNCLEAR: "was looked at without a clear result; next: compare again, or count what is behind it",
}


def _doubts(case: Case, judged: SealsJudged) -> Iterator[str]:
    for why, text in _NEXT.items():
        seals: dict[str, set[Place]] = defaultdict(set)
        for one in judged.unheld:
            if one.why == why.value and one.period.overlaps(case.period):
                seals[one.name].add((one.site, one.place))
        yield from (f"seal {seal} on {names_of(places)} {text}" for seal, places in sorted(seals.items()))
    for found in judged.faults[: reference.ROWS_MAX]:
        if found.fault not in INVALID | NAMED_ONLY:
            yield f"{found.fault.value}: seal {found.seal}: {found.detail}"


def _kept(places: frozenset[Place], statements: Sequence[VerifiedStatement], held: Sequence[Held]) -> tuple[str, ...]:
    checks = sum(isinstance(one.predicate, SealChecked) for one in statements)
    seals = len({one.name for one in held})
    return (f"all {len(places)} racks were under {seals} seals, which {checks} checks found intact",)
