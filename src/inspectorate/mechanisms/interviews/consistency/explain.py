"""Why answers contradict one another: the fewest sentences that cannot all be right.

1. The strongest conflict of a set of rows is found: the smallest level at which all of them hold (`excess.Program.strongest`),
   and the rows that take part in it.
2. Below that level these rows cannot all hold. Rows are left out one after the other; what can be left out is (the deletion
   filter: Chinneck, "Feasibility and Infeasibility in Optimization", 2008, section 6.2). What is left is irreducible: without any
   one of them, the rest can be right.
3. Statements that stand on the same side as one of them are named beside it, since they would make the same conflict.

A topic by itself needs no program: intervals on a line have a common point if every two of them have, so the strongest conflict
is one of two rows (Helly).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inspectorate.mechanisms.interviews.consistency.excess import FEASIBLE, Program
from inspectorate.mechanisms.interviews.consistency.null import Cell
from inspectorate.mechanisms.interviews.consistency.rows import Row, System
from inspectorate.mechanisms.interviews.consistency.types import (
    Against,
    SpeakerKind,
    Statement,
    Topic,
    TopicKind,
    Voice,
)


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """An irreducible set of rows, at the level above which memory would explain it."""

    rows: tuple[int, ...]
    others: tuple[int, ...]
    level: float


def conflict_in(system: System, cell: Cell) -> Conflict | None:
    """The strongest conflict of a set of rows; none if all of them hold at level 0."""
    if len(cell.topics) == 1:
        return _of_topic(system, cell.rows)
    return _of_program(system, cell.rows)


def _of_topic(system: System, numbers: Sequence[int]) -> Conflict | None:
    """Of all pairs of rows of one topic the one that asks most of memory; hard rows count as exact."""
    alone = [n for n in numbers if len(system.rows[n].terms) == 1]
    best: tuple[float, int, int] | None = None
    for one in alone:
        for other in alone:
            level = asked(system.rows[one], system.rows[other])
            if level > FEASIBLE and (best is None or level > best[0]):
                best = (level, one, other)
    if best is None:
        return None
    level, low, high = best
    others = [
        n
        for n in alone
        if n not in (low, high)
        and max(asked(system.rows[n], system.rows[high]), asked(system.rows[low], system.rows[n])) > max(1.0, level / 2)
    ]
    return Conflict(rows=(low, high), others=tuple(others), level=level)


def asked(above: Row, below: Row) -> float:
    """What is asked of memory for `above` (at least low) and `below` (at most high) to hold at once; at most 0: nothing."""
    one, other = above.levels[0], below.levels[0]
    gap, scales = one.low - other.high, one.low_scale + other.high_scale
    if gap <= 0:
        return 0.0
    return gap / scales if scales else float("inf")


def _of_program(system: System, numbers: Sequence[int]) -> Conflict | None:
    solved = Program(system.topics, [system.rows[n] for n in numbers]).strongest()
    if solved.value <= FEASIBLE:
        return None
    kept = [n for n, part in zip(numbers, solved.taking_part, strict=True) if part]
    level = solved.value * (1 - 1e-4) - FEASIBLE
    if _holds(system, kept, level):
        kept = list(numbers)
    return Conflict(rows=tuple(irreducible(system, kept, level)), others=(), level=solved.value)


def irreducible(system: System, numbers: Sequence[int], level: float) -> list[int]:
    """The deletion filter: leave out what can be left out with the rest still in conflict."""
    kept = list(numbers)
    for number in list(kept):
        rest = [one for one in kept if one != number]
        if rest and not _holds(system, rest, level):
            kept = rest
    return kept


def _holds(system: System, numbers: Sequence[int], level: float) -> bool:
    rows = [system.rows[n] for n in numbers]
    return not rows or Program(system.topics, rows).holds(level)


def voice_of(one: Statement) -> Voice:
    """A statement as one voice of an explanation."""
    speaker = f"entry {one.entry}" if one.entry is not None else str(one.source)
    return Voice(statement=one.id, speaker=speaker, question=one.question, sentence=one.sentence, known=one.known)


def against_of(rows: Sequence[Row]) -> tuple[Against, ...]:
    """Between whom a conflict is."""
    kinds = {row.statement.speaker for row in rows if row.statement is not None}
    found = []
    people = {row.statement.entry for row in rows if row.statement is not None and row.statement.entry is not None}
    if len(people) > 1 or kinds == {SpeakerKind.INTERVIEWEE}:
        found.append(Against.PEOPLE)
    if SpeakerKind.DECLARATION in kinds:
        found.append(Against.DECLARATION)
    if SpeakerKind.MACHINE in kinds:
        found.append(Against.MACHINES)
    return tuple(found) or (Against.PEOPLE,)


_ASK = {
    TopicKind.QUANTITY: "ask each speaker again how the figure came about: counted, read off, or reckoned, and of which day",
    TopicKind.EVENT: "ask each speaker again what happened just before and just after, and date that by a record",
    TopicKind.PRESENCE: "look at the register of the place for that time, or at the place itself",
    TopicKind.ACTIVITY: "ask each speaker again from where it was seen; hold telemetry or transcripts of that time against it",
}


def resolved_by(topics: Sequence[Topic], against: Sequence[Against]) -> tuple[str, ...]:
    """What would settle it: what the question bank says, else what goes for the kind of topic."""
    found = [topic.settled_by or _ASK[topic.kind] for topic in topics]
    for topic in topics:
        if topic.pods and Against.MACHINES not in against:
            when = f"{topic.period.start:%Y-%m-%d} to {topic.period.end:%Y-%m-%d}"
            found.append(f"machine evidence of {', '.join(topic.pods[:8])} for {when}, under clause {topic.clause}")
    if Against.DECLARATION in against:
        found.append("ask the party to explain the declared figure")
    return tuple(dict.fromkeys(found))
