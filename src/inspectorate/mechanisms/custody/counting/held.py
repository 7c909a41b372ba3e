"""What became of every unit that was drawn, and whether the numbers of a count are those of its checklist.

1. The count is of this draw, by who drew, and the checklist is a record of ours for it.
2. Every drawn unit stands in it once; a unit that was not drawn counts for nothing.
3. A unit counts as opened only if it was opened after the draw, by `answer_by`, and within the period of the count. What was
   refused, opened late, opened before, or is not accounted for counts as missing.
4. The numbers of the statement are those of the checklist, held against the register.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from inspectorate.errors import EvidenceError
from inspectorate.evidence.custody import CountHeld
from inspectorate.evidence.envelope import VerifiedStatement
from inspectorate.evidence.subjects import subject_bytes
from inspectorate.mechanisms.custody.counting.checklist import Checklist, Read, Reading, parse_checklist
from inspectorate.mechanisms.custody.counting.faults import Fault, Found
from inspectorate.mechanisms.custody.counting.judge import Asked
from inspectorate.mechanisms.custody.counting.shown import Counted
from inspectorate.mechanisms.custody.counting.tally import Tally, tally
from inspectorate.quantities import Period


class Outcome(StrEnum):
    """What became of one drawn unit."""

    OPENED = "opened"
    REFUSED = "refused"
    LATE = "late"
    BEFORE = "before"
    """Opened before the draw, or outside of the period of the count."""
    UNACCOUNTED = "unaccounted"


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """The numbers of a `CountHeld`, as its checklist and the register give them."""

    units_opened: int
    units_refused: int
    chips_due: int
    chips_seen: int
    chips_other: int


@dataclass(frozen=True, kw_only=True)
class Held:
    """A count, judged."""

    faults: tuple[Found, ...]
    outcomes: Mapping[int, Outcome]
    """Of every drawn unit."""
    counted: Counted
    """For `shown`: what the count is worth. With a fault of the verifier's it is worth nothing."""
    tally: Tally | None = None
    blind: bool = False
    reading: Reading | None = None

    @property
    def usable(self) -> bool:
        """Whether the verifier made no mistake that leaves it without worth."""
        return self.tally is not None and not any(one.fault in _VOID for one in self.faults)


_VOID = frozenset(
    {Fault.HELD_OTHER, Fault.CHECKLIST_UNREADABLE, Fault.CHECKLIST_DIFFERS, Fault.NOT_DRAWN, Fault.OPENED_BEFORE}
)


def numbers_of(asked: Asked, checklist: Checklist) -> Numbers:
    """What a statement about this checklist must say. Units that were not drawn are left out."""
    drawn = set(asked.sample.units)
    reads = {one.unit: one for one in checklist.units if one.unit in drawn}
    opened = {unit: read for unit, read in reads.items() if read.outcome == "opened"}
    found = tally(asked.register, asked.units, opened)
    return Numbers(
        units_opened=len(opened), units_refused=len(reads) - len(opened),
        chips_due=int(asked.units.sizes[list(asked.sample.units)].sum()), chips_seen=found.seen, chips_other=found.other,
    )  # fmt: skip


def check_held(asked: Asked, held: Sequence[VerifiedStatement], *, payload: Callable[[str], bytes]) -> Held:
    """Judge what was said of one draw. `held` are the `CountHeld` that name it; none at all leaves every unit unaccounted."""
    found: list[Found] = []
    mine: list[VerifiedStatement] = []
    for statement in sorted(held, key=_key):
        said = statement.predicate
        assert isinstance(said, CountHeld)
        if said.drawn != asked.digest or said.by != asked.drawn.by:
            found.append(_fault(Fault.HELD_OTHER, "is not of this draw, or not by who drew", statement))
        elif mine:
            found.append(_fault(Fault.COUNTED_TWICE, "the draw was counted before", statement))
        else:
            mine.append(statement)
    if not mine:
        return Held(faults=tuple(found), outcomes=dict.fromkeys(asked.sample.units, Outcome.UNACCOUNTED),
                    counted=_counted(asked, {}, None))  # fmt: skip
    said = mine[0].predicate
    assert isinstance(said, CountHeld)
    try:
        checklist = parse_checklist(subject_bytes(mine[0], "checklist", payload), where="checklist")
        if checklist.drawn != asked.digest:
            raise EvidenceError("is of another draw", where="checklist")
    except EvidenceError as fault:
        found.append(_fault(Fault.CHECKLIST_UNREADABLE, str(fault), mine[0]))
        return Held(faults=tuple(found), outcomes=dict.fromkeys(asked.sample.units, Outcome.UNACCOUNTED),
                    counted=_counted(asked, {}, None))  # fmt: skip
    return _judged(asked, mine[0], said, checklist, found)


def _judged(
    asked: Asked, statement: VerifiedStatement, said: CountHeld, checklist: Checklist, found: list[Found]
) -> Held:
    reads = {one.unit: one for one in checklist.units}
    drawn = set(asked.sample.units)
    found += [
        _fault(Fault.NOT_DRAWN, f"unit {unit} was read, and not drawn", statement, unit)
        for unit in sorted(set(reads) - drawn)
    ]
    outcomes = {unit: _outcome(asked, reads.get(unit), said.period) for unit in asked.sample.units}
    found += [
        _fault(_FAULTS[what], f"unit {unit}: {_WORDS[what]}", statement, unit)
        for unit, what in outcomes.items()
        if what is not Outcome.OPENED
    ]
    right = numbers_of(asked, checklist)
    stated = Numbers(
        units_opened=said.units_opened, units_refused=said.units_refused, chips_due=said.chips_due,
        chips_seen=said.chips_seen, chips_other=said.chips_other,
    )  # fmt: skip
    for name in Numbers.__dataclass_fields__:
        if getattr(right, name) != getattr(stated, name):
            detail = f"{name} is {getattr(stated, name)}, and the checklist gives {getattr(right, name)}"
            found.append(_fault(Fault.CHECKLIST_DIFFERS, detail, statement))
    opened = {unit: reads[unit] for unit, what in outcomes.items() if what is Outcome.OPENED}
    seen = tally(asked.register, asked.units, opened)
    found += [_fault(Fault.SERIAL_TWICE, f"serial {serial} was read in two places", statement) for serial in seen.twice]
    return Held(
        faults=tuple(found), outcomes=outcomes, counted=_counted(asked, outcomes, seen), tally=seen,
        blind=checklist.blind, reading=checklist.reading,
    )  # fmt: skip


_FAULTS = {
    Outcome.REFUSED: Fault.REFUSED, Outcome.LATE: Fault.OPENED_LATE, Outcome.BEFORE: Fault.OPENED_BEFORE,
    Outcome.UNACCOUNTED: Fault.UNACCOUNTED,
}  # fmt: skip
_WORDS = {
    Outcome.REFUSED: "was not opened", Outcome.LATE: "was opened after its time",
    Outcome.BEFORE: "was opened before the draw, or outside of the period of the count",
    Outcome.UNACCOUNTED: "nothing is said of it",
}  # fmt: skip


def _outcome(asked: Asked, read: Read | None, period: Period) -> Outcome:
    if read is None:
        return Outcome.UNACCOUNTED
    if read.outcome == "refused":
        return Outcome.REFUSED
    if read.at > asked.drawn.answer_by:
        return Outcome.LATE
    # A period is half open, and a count ends with its last reading.
    within = period.start <= read.at <= period.end
    return Outcome.OPENED if within and read.at >= asked.drawn.drawn_at else Outcome.BEFORE


def _counted(asked: Asked, outcomes: Mapping[int, Outcome], seen: Tally | None) -> Counted:
    """Missing chips of every drawn unit, all of them where it was not opened as it should have been."""
    sizes = asked.units.sizes
    missing: dict[int, int] = {}
    gone: set[int] = set()
    unopened = frozenset(unit for unit in asked.sample.units if outcomes.get(unit) is not Outcome.OPENED)
    for unit in asked.sample.units:
        if unit in unopened or seen is None:
            missing[unit] = int(sizes[unit])
        else:
            missing[unit] = len(seen.units[unit].missing)
            gone.update(seen.units[unit].missing)
    pairs = zip(asked.sample.chips, asked.sample.unit_of_drawn, strict=True)
    return Counted(
        sizes=sizes, sample=asked.sample, missing=missing, unopened=unopened,
        missing_drawn=sum(unit in unopened or row in gone for row, unit in pairs),
    )  # fmt: skip


def _key(statement: VerifiedStatement) -> tuple[object, ...]:
    said = statement.predicate
    assert isinstance(said, CountHeld)
    return said.period.end, statement.digest


def _fault(fault: Fault, detail: str, statement: VerifiedStatement, unit: int | None = None) -> Found:
    return Found(fault=fault, detail=detail, unit=unit, statement=statement.digest)
