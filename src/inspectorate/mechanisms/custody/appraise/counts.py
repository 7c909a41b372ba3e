"""Counts of a review, put in order: each draw with its register, promise and checklist, and all that is wrong with it.

1. A draw counts if its register is here and can be read, and if nobody could choose what it draws (`counting.judge`,
   `counting.uses`).
2. What was read is held against the register (`counting.held`): a unit that was refused, opened late or left out is missing for the
   bound, and was not seen for the evidence.
3. Chips of which the party stated after its register that they left, or which were destroyed before an inspector, are not where
   the register has them, and no evidence against it. For the bound they are missing all the same.
4. A draw without a count, a count without its draw, and a register whose promise drew nothing, though a later register is here:
   what belongs to it may have been left out, and the clause stays open.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pyarrow as pa

from inspectorate.agreement import CountedChips
from inspectorate.assessment import Case
from inspectorate.evidence import CountDrawn, CountHeld, RegisterHanded, VerifiedStatement
from inspectorate.evidence.custody import ChipsMoved, DestructionCertified
from inspectorate.mechanisms.custody.appraise.common import Kept, books_of, registers_of, spoken_of
from inspectorate.mechanisms.custody.counting.checklist import Reading
from inspectorate.mechanisms.custody.counting.faults import Fault
from inspectorate.mechanisms.custody.counting.held import Held, Outcome, check_held
from inspectorate.mechanisms.custody.counting.judge import Asked, Believed, Statements, check_draw
from inspectorate.mechanisms.custody.counting.shown import Counted
from inspectorate.mechanisms.custody.counting.uses import check_uses
from inspectorate.mechanisms.custody.register.reading import time_of

_TOLD = frozenset({Fault.REFUSED, Fault.OPENED_LATE, Fault.UNACCOUNTED, Fault.SERIAL_TWICE})
"""What leaves units unopened, and voids no count."""
UNOPENED = frozenset({Outcome.REFUSED, Outcome.LATE, Outcome.BEFORE, Outcome.UNACCOUNTED})


@dataclass(frozen=True, kw_only=True, eq=False)
class Count:
    """A usable count."""

    keeper: str
    kept: Kept
    """The register that it drew from."""
    drawn_at: datetime
    ended_at: datetime
    counted: Counted
    """For the bound."""
    accusing: Counted
    """For the evidence: without chips whose absence is explained."""
    outcomes: Mapping[Outcome, int]
    """Units by what became of them."""
    reading: Reading | None
    other: int
    """Serials that were read where they do not belong."""

    @property
    def name(self) -> str:
        return f"the count of {self.drawn_at:%Y-%m-%d %H:%M:%S} UTC from {self.kept.name}"

    @property
    def unopened(self) -> int:
        return sum(count for outcome, count in self.outcomes.items() if outcome in UNOPENED)


@dataclass(frozen=True, kw_only=True, eq=False)
class CountsSeen:
    """All counts of a review, in order of time."""

    counts: tuple[Count, ...]
    invalid: tuple[str, ...]
    open: tuple[str, ...]
    """Why something may have been left out, or is still to come."""
    refused: tuple[str, ...]
    """Why units were not opened as they should have been."""
    evidence_ids: tuple[str, ...]


def observe_counts(case: Case, clause: CountedChips) -> CountsSeen:
    """Steps 1 to 4."""
    spoken = spoken_of(case)
    draws, promises = spoken.of(CountDrawn), spoken.promised_to(spoken.keepers)
    held: dict[str, list[VerifiedStatement]] = defaultdict(list)
    for one in spoken.of(CountHeld):
        assert isinstance(one.predicate, CountHeld)
        held[one.predicate.drawn].append(one)
    registers = {one.digest: one for one in registers_of(case)}
    handed = {one.digest: one for one in spoken.of(RegisterHanded)}
    naming = {digest: one.said.promise for digest, one in registers.items() if one.said.promise is not None}
    voided: dict[str, list[str]] = defaultdict(list)
    for found in check_uses(draws, promises, naming=naming, payload=case.evidence.payload):
        voided[found.statement or ""].append(str(found))
    judged = _Judged(case=case, clause=clause, promises={one.digest: one for one in promises}, held=held, voided=voided)
    for draw in draws:
        said = _drawn(draw)
        if said.handed in registers:
            judged.judge(draw, handed[said.handed], registers[said.handed])
        else:
            judged.open.append(f"a draw of {said.drawn_at:%Y-%m-%d %H:%M:%S} UTC: its register is not in the evidence")
    judged.open += _strays(draws, held, registers)
    ids = [digest for draw in draws for digest in (draw.digest, _drawn(draw).handed, _drawn(draw).promise)]
    ids += [one.digest for counts in held.values() for one in counts]
    there = {one.digest for one in spoken.statements}
    return CountsSeen(
        counts=tuple(sorted(judged.counts, key=lambda one: (one.ended_at, one.kept.digest))),
        invalid=tuple(judged.invalid),
        open=tuple(judged.open),
        refused=tuple(judged.refused),
        evidence_ids=tuple(digest for digest in dict.fromkeys(ids) if digest is not None and digest in there),
    )


def _strays(
    draws: Sequence[VerifiedStatement], held: Mapping[str, Sequence[VerifiedStatement]], registers: Mapping[str, Kept]
) -> Iterator[str]:
    for digest in sorted(set(held) - {one.digest for one in draws}):
        yield f"a count was held of a draw that is not in the evidence ({digest[:19]}…)"
    used = {_drawn(one).handed for one in draws}
    last = max((one.as_of for one in registers.values()), default=None)
    for one in registers.values():
        if one.said.promise is not None and one.digest not in used and one.as_of != last:
            yield f"{one.name} names a promise, and nothing was drawn from it"


@dataclass(kw_only=True, eq=False)
class _Judged:
    """What is found, draw by draw."""

    case: Case
    clause: CountedChips
    promises: Mapping[str, VerifiedStatement]
    held: Mapping[str, Sequence[VerifiedStatement]]
    voided: Mapping[str, Sequence[str]]

    def __post_init__(self) -> None:
        self.counts: list[Count] = []
        self.invalid: list[str] = []
        self.open: list[str] = []
        self.refused: list[str] = []

    def judge(self, draw: VerifiedStatement, handed: VerifiedStatement, kept: Kept) -> None:
        said = _drawn(draw)
        name = f"the draw of {said.drawn_at:%Y-%m-%d %H:%M:%S} UTC from {kept.name}"
        judged = check_draw(
            Statements(register=handed, drawn=draw, promise=self.promises.get(said.promise or "")),
            payload=self.case.evidence.payload,
            believed=Believed(answer_within_s=self.clause.answer_within_s, table=kept.register),
        )
        faults = [*(str(one) for one in judged.faults), *self.voided.get(draw.digest, ())]
        if faults or judged.asked is None:
            self.invalid += [f"{name}: {text}" for text in faults or ["it cannot be repeated"]]
            return
        if not self.held.get(draw.digest):
            self.open.append(f"{name}: nobody says what was found")
            return
        self._count(
            judged.asked, kept, check_held(judged.asked, self.held[draw.digest], payload=self.case.evidence.payload)
        )

    def _count(self, asked: Asked, kept: Kept, held: Held) -> None:
        name = f"the count of {asked.drawn.drawn_at:%Y-%m-%d %H:%M:%S} UTC from {kept.name}"
        if not held.usable:
            self.invalid += [f"{name}: {one}" for one in held.faults if one.fault not in _TOLD]
            return
        outcomes: dict[Outcome, int] = defaultdict(int)
        for outcome in held.outcomes.values():
            outcomes[outcome] += 1
        unopened = {outcome: count for outcome, count in outcomes.items() if outcome in UNOPENED}
        if unopened:
            text = ", ".join(f"{count} {outcome.value}" for outcome, count in sorted(unopened.items()))
            self.refused.append(f"{name}: of {len(held.outcomes)} drawn units {text}")
        self.refused += [f"{name}: {one}" for one in held.faults if one.fault is Fault.SERIAL_TWICE]
        ended_at = max(
            said.period.end
            for one in self.held[asked.digest]
            if isinstance(said := one.predicate, CountHeld) and said.by == asked.drawn.by
        )
        self.counts.append(
            Count(
                keeper=kept.said.reporter,
                kept=kept,
                drawn_at=asked.drawn.drawn_at,
                ended_at=ended_at,
                counted=held.counted,
                accusing=self._accusing(asked, kept, held, ended_at),
                outcomes=dict(outcomes),
                reading=held.reading,
                other=held.tally.other if held.tally is not None else 0,
            )
        )

    def _accusing(self, asked: Asked, kept: Kept, held: Held, ended_at: datetime) -> Counted:
        """Step 3: the same count, without chips that had left by then, by a stated change."""
        lists = [
            one.serials
            for one in books_of(self.case)[kept.said.reporter].changes
            if one.serials is not None
            and isinstance(one.said, ChipsMoved | DestructionCertified)
            and kept.as_of <= time_of(one.said) <= ended_at
        ]
        if not lists or held.tally is None:
            return held.counted
        gone = pa.compute.is_in(asked.register.serials, value_set=pa.concat_arrays(lists))
        rows = set(np.flatnonzero(gone.to_numpy(zero_copy_only=False)).tolist())
        missing = {
            unit: sum(row not in rows for row in held.tally.units[unit].missing) if unit in held.tally.units else count
            for unit, count in held.counted.missing.items()
        }
        return replace(held.counted, missing=missing)


def _drawn(statement: VerifiedStatement) -> CountDrawn:
    assert isinstance(statement.predicate, CountDrawn)
    return statement.predicate
