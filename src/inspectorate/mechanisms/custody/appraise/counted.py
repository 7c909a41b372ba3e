"""`counted-chips`: one assessment for all pods. What share of the chips can be missing from where the register has them.

1. Counts are put in order (`counts`). A draw that somebody could have chosen, or a count by another list than was signed for:
   invalid evidence. A stretch for longer than `counted_every_s` that does not lie between two counts is not observed.
2. Units that were refused, opened late, or of which nothing is said: never consistent. For the bound their chips are missing.
3. Of each count, at most so many chips are missing at the agreement's confidence. More than `missing_share_max` leaves the clause
   open.
4. Against the party: that more than `misplaced_share_max` of all chips are missing from their places, which is more than honest
   keepers misplace. Its e-value rests on the draw alone (`counting.shown`), and counts after one another multiply, since each draw
   is new: e = (1/K) times the sum over starts i of the product of all counts from i on, K fixed by the terms. Locked doors accuse
   nobody of more than locked doors, and chips that were stated to have left are no evidence.
5. For the account: what may be elsewhere (`bound`), always. Without counts that is everything.
6. *Consistent*: counted often enough, everything opened, and few enough can be missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

import numpy as np

from inspectorate.agreement import CountedChips, SealedPlaces, WatchedPlaces
from inspectorate.assessment import Assessment, Case, Exhibit, ExhibitKind, Outside
from inspectorate.evidence import CameraWatched
from inspectorate.hearing import spans_text
from inspectorate.mechanisms.custody import reference
from inspectorate.mechanisms.custody.appraise.bound import (
    Ground,
    everything_outside,
    outside_rows,
    pairs_of,
)
from inspectorate.mechanisms.custody.appraise.common import (
    NEVER_REGISTERED,
    Said,
    With,
    assess,
    registers_of,
    spoken_of,
)
from inspectorate.mechanisms.custody.appraise.counts import CountsSeen, observe_counts
from inspectorate.mechanisms.custody.appraise.places import Place, by_place, reseal_s, resealed, together
from inspectorate.mechanisms.custody.appraise.watched import held_in_sight
from inspectorate.mechanisms.custody.counting.checklist import Reading
from inspectorate.mechanisms.custody.counting.shown import log_e_missing, missing_upper
from inspectorate.mechanisms.custody.observe import COUNTS, SEALS
from inspectorate.mechanisms.custody.seals.held import judge_seals
from inspectorate.quantities import Period, uncovered
from inspectorate.statistics import bounded_log_e, merge_mean
from inspectorate.statistics.numerics import log_sum_exp

_OF_READING = {
    Reading.LABEL: "a serial on a label is the chip that it names: dummies and copied labels were not looked for",
    Reading.DEVICE: "a device that gives a serial is the chip that it names: changed firmware was not looked for",
    Reading.SIGNED: "a chip's enrolled key has not left it",
}
_BETWEEN = {
    "counts": "a chip that was missing at any time between two counts was missing at one of them",
    "seals": "nothing goes into or comes out of a rack under an intact seal, or unseen by the inspector who puts on the next one",
    "cameras": "nothing goes into or comes out of a rack in sight of a camera, unless it shows",
}


def appraise_counted(case: Case, clause: CountedChips) -> tuple[Assessment, ...]:
    seen = observe_counts(case, clause)
    grounds = _grounds(case, clause, seen)
    rows = [row for one in grounds for row in outside_rows(one)] if seen.counts else []
    said = Said(
        invalid=seen.invalid,
        unseen=tuple(_unseen(case, clause, seen)),
        doubts=(*_doubts(case, clause, seen), *seen.refused, *seen.open),
        kept=_kept(case, clause, seen, rows),
    )
    readings = sorted({one.reading for one in seen.counts if one.reading is not None})
    return assess(
        case,
        said,
        With(
            log_e=_log_e(clause, grounds) if seen.counts else None,
            outside=(everything_outside(case), *rows),
            assumptions=(
                *(_OF_READING[one] for one in readings),
                "no chip was brought into a drawn place between draw and opening",
                _BETWEEN[clause.held_between],
            )
            if seen.counts
            else (),
            evidence_ids=(*seen.evidence_ids, *(_held_ids(case, clause) if rows else ())),
            exhibits=(_exhibit(case, seen),) if seen.counts else (),
            not_checked=(
                NEVER_REGISTERED,
                *(
                    f"{one.name}: what the {one.other} chips are that stand where the register has others"
                    for one in seen.counts
                    if one.other
                ),
            ),
            unheard=spoken_of(case).unheard(*COUNTS),
        ),
    )


def _grounds(case: Case, clause: CountedChips, seen: CountsSeen) -> list[Ground]:
    spoken = spoken_of(case)
    registers = registers_of(case)
    held = _held(case, clause) if seen.counts else {}
    return [
        Ground(
            case=case,
            clause=clause,
            keeper=keeper,
            registers=[one for one in registers if one.said.reporter == keeper.id],
            counts=[one for one in seen.counts if one.keeper == keeper.id],
            held=held,
            keepers=len(spoken.keepers),
        )
        for keeper in spoken.keepers
    ]


def _held(case: Case, clause: CountedChips) -> dict[Place, list[Period]]:
    """When each rack was held, by what the clause names; nothing, where the agreement does not say what holds."""
    whole = _wide(case)
    if clause.held_between == "seals":
        terms = next((c.parameters for c in case.agreement.clauses if isinstance(c.parameters, SealedPlaces)), None)
        if terms is not None:
            statements = spoken_of(case).of(*SEALS)
            judged = judge_seals(statements, terms, whole)
            return together(by_place(judged.held), resealed(statements, reseal_s(terms.checked_every_s)))
    if clause.held_between == "cameras":
        watched = next((c.parameters for c in case.agreement.clauses if isinstance(c.parameters, WatchedPlaces)), None)
        if watched is not None:
            return held_in_sight(case, watched, whole)
    return {}


def _held_ids(case: Case, clause: CountedChips) -> Iterator[str]:
    kinds = {"counts": (), "seals": SEALS, "cameras": (CameraWatched,)}[clause.held_between]
    yield from (one.digest for one in spoken_of(case).of(*kinds))


def _wide(case: Case) -> Period:
    """The reviewed period and all registers and counts around it: racks must have been held at the count, too."""
    times = [one.as_of for one in registers_of(case)]
    times += [time for one in spoken_of(case).of(*COUNTS) for time in getattr(one.predicate, "times", ())]
    return Period(start=min(case.period.start, *times), end=max(case.period.end, *times)) if times else case.period


def _unseen(case: Case, clause: CountedChips, seen: CountsSeen) -> Iterator[str]:
    keepers = spoken_of(case).keepers
    if not keepers:
        yield "nobody is declared to keep a register, from which to count"
    bare = sorted({pod.id for pod in case.declaration.pods} - {pod for one in keepers for pod in one.pods})
    if keepers and bare:
        yield f"nobody keeps a register of {', '.join(bare[:8])}"
    for keeper in keepers:
        counts = [one for one in seen.counts if one.keeper == keeper.id]
        if not counts:
            yield f"{keeper.id}: no count was held"
            continue
        between = [
            Period(start=counts[first].drawn_at, end=counts[second].ended_at)
            for first, second in pairs_of(counts, clause.counted_every_s)
            if counts[second].ended_at > counts[first].drawn_at
        ]
        gaps = [one for one in uncovered(between, case.period) if one.duration_s > clause.counted_every_s * (1 + 1e-9)]
        if gaps or not between:
            text = spans_text(gaps or [case.period])
            yield f"{keeper.id}: not between two counts that are at most {clause.counted_every_s:g} s apart: {text} UTC"


def _miss(case: Case) -> float:
    """At the agreement's confidence, for what one count shows by itself."""
    return 1 - case.agreement.assurance_confidence


def _doubts(case: Case, clause: CountedChips, seen: CountsSeen) -> Iterator[str]:
    for one in seen.counts:
        chips = one.counted.chips
        missing = one.accusing.seen_missing
        if missing > clause.misplaced_share_max * sum(
            int(one.counted.sizes[unit]) for unit in one.counted.sample.units
        ):
            yield (
                f"{one.name}: {missing} chips were not where the register has them, more than honest keepers misplace"
                f" ({clause.misplaced_share_max:g} of all); next: let them be shown"
            )
        upper = missing_upper(one.counted, _miss(case))
        if upper > clause.missing_share_max * chips:
            yield (
                f"{one.name}: up to {upper} of {chips} chips can be missing ({upper / chips:.3g}), where"
                f" {clause.missing_share_max:g} is agreed; next: open more places"
            )


def _log_e(clause: CountedChips, grounds: Sequence[Ground]) -> float:
    """Step 4: the mean over keepers of a sum of products, all weights fixed by the terms."""
    found = []
    for ground in grounds:
        logs = [log_e_missing(one.accusing, clause.misplaced_share_max) for one in ground.counts[: ground.counts_max]]
        # Sums from each count to the last one.
        tails = list(accumulate(reversed(logs)))
        found.append(float(log_sum_exp(np.array(tails))) - np.log(ground.counts_max) if tails else 0.0)
    return bounded_log_e(float(merge_mean(found)))


def _kept(case: Case, clause: CountedChips, seen: CountsSeen, rows: Sequence[Outside]) -> tuple[str, ...]:
    if not seen.counts:
        return ()
    shares = [missing_upper(one.counted, _miss(case)) / one.counted.chips for one in seen.counts]
    opened = sum(len(one.counted.sample.units) for one in seen.counts)
    text = (
        f"counts: {len(seen.counts)}, in which {opened} places were opened; in each at most a share of {max(shares):.3g} of all"
        f" chips can be missing at {100 * case.agreement.assurance_confidence:.4g} % confidence"
    )
    if rows:
        worst = max(row.share_max for row in rows)
        text += f"; at most {worst:.3g} of the declared capacity was elsewhere between them"
    return (text,)


def _exhibit(case: Case, seen: CountsSeen) -> Exhibit:
    rows: list[tuple[str | float | None, ...]] = [
        (
            one.keeper,
            f"{one.drawn_at:%Y-%m-%d %H:%M:%S}",
            float(one.counted.chips),
            float(len(one.counted.sample.units)),
            float(one.unopened),
            float(one.counted.seen_missing),
            missing_upper(one.counted, _miss(case)) / one.counted.chips,
        )
        for one in seen.counts
    ]
    return Exhibit(
        id="counts",
        title="What was counted, and what share can be missing at the agreement's confidence",
        kind=ExhibitKind.TABLE,
        columns=(
            "register",
            "drawn at",
            "chips",
            "places drawn",
            "places not opened",
            "chips not seen",
            "missing_share_max",
        ),
        rows=tuple(rows[: reference.ROWS_MAX]),
    )
