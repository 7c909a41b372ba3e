"""What the prover shows of the entries that were drawn: the subject `openings` of a `RosterOpened`.

Rules:

- An opening holds pseudonyms, roles, strata and salts of drawn entries, and no name. An entry counts if it was drawn, came in
  time, and gives both leaves that stand in the roster.
- When an opening came: what the verifier or the ledger says is believed, where there is such a word. `opened_at` is the
  prover's own, and taken only where nothing else is known; the judgement says which.
- Several openings may answer one draw; each entry counts once. What none of them opens in time is not opened.
- One pseudonym behind two entries is a fault: neither can be told from a person who was counted twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from inspectorate.errors import EvidenceError
from inspectorate.evidence import IntervieweesDrawn, RosterCommitted, RosterOpened, VerifiedStatement
from inspectorate.evidence.subjects import subject_bytes
from inspectorate.mechanisms.interviews.roster.faults import Fault, Found
from inspectorate.mechanisms.interviews.roster.listed import (
    OpenedPerson,
    Person,
    RosterList,
    parse_openings,
)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The draw that an opening answers. Build it only of a draw without a fault (`judge.check_draw`)."""

    drawn: IntervieweesDrawn
    digest: str
    """Of the envelope of the draw."""
    roster: RosterCommitted
    listed: RosterList


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What became of the entries of one draw."""

    people: Mapping[int, Person]
    """Opened in time, and as committed to, by entry."""
    unopened: tuple[int, ...]
    """Drawn, and not opened in time as committed to. Nobody was heard for them, whatever else is said."""
    pending: tuple[int, ...]
    """Drawn, not yet opened, and still in time at `as_of`."""
    faults: tuple[Found, ...]
    times_believed: bool
    """Whether the times of all openings are the verifier's or the ledger's, and not only the prover's."""


def check_opening(
    asked: Asked,
    openings: Sequence[VerifiedStatement],
    *,
    payload: Callable[[str], bytes],
    as_of: datetime,
    received: Mapping[str, datetime] | None = None,
) -> Opened:
    """Judge what was opened of a draw. Nothing in a payload raises.

    `received` says when the verifier or the ledger had a statement, by its digest. `as_of` is when the question is
    asked: until `answer_by`, what is not opened is pending.
    """
    known = received or {}
    found: list[Found] = []
    people: dict[int, Person] = {}
    for statement in openings:
        said = statement.predicate
        if not isinstance(said, RosterOpened) or said.drawn != asked.digest:
            found.append(_fault(Fault.OPENING_OTHER, "does not answer this draw", statement))
            continue
        shown, faults = _open(asked, statement, payload)
        found += faults
        if (late := _late(asked.drawn, said, known.get(statement.digest))) is not None:
            found.append(_fault(Fault.OPENED_LATE, late, statement))
            continue
        for one in shown:
            people.setdefault(one.entry, one.person)
    found += _twice(people)
    left = tuple(entry for entry in asked.drawn.drawn if entry not in people)
    due = as_of > asked.drawn.answer_by
    if due:
        found += [
            Found(fault=Fault.NOT_OPENED, detail=f"entry {entry} was not opened in time", entry=entry) for entry in left
        ]
    return Opened(
        people=people, unopened=left if due else (), pending=() if due else left, faults=tuple(found),
        times_believed=all(statement.digest in known for statement in openings),
    )  # fmt: skip


def _open(
    asked: Asked, statement: VerifiedStatement, payload: Callable[[str], bytes]
) -> tuple[list[OpenedPerson], list[Found]]:
    """What an opening shows of this draw, as committed to; nothing if the whole of it is not usable."""
    said = statement.predicate
    assert isinstance(said, RosterOpened)
    if said.reporter != asked.roster.reporter:
        return [], [_fault(Fault.OPENING_OTHER, f"comes from {said.reporter}", statement)]
    try:
        shown = parse_openings(subject_bytes(statement, "openings", payload), where="openings")
    except EvidenceError as fault:
        return [], [_fault(Fault.OPENING_UNREADABLE, str(fault), statement)]
    if tuple(one.entry for one in shown.people) != said.opened:
        return [], [_fault(Fault.OPENING_UNREADABLE, "holds other entries than its statement names", statement)]
    if shown.roster != asked.roster.roster:
        return [], [_fault(Fault.OPENING_OTHER, "is of another roster", statement)]
    drawn = set(asked.drawn.drawn)
    good: list[OpenedPerson] = []
    faults: list[Found] = []
    for one in shown.people:
        if one.entry not in drawn:
            kind, detail = Fault.NOT_DRAWN, f"entry {one.entry} was not drawn"
        elif not asked.listed.holds(one.entry, one.person):
            kind, detail = Fault.LEAF_DIFFERS, f"entry {one.entry} is not the person who was committed to"
        else:
            good.append(one)
            continue
        faults.append(Found(fault=kind, detail=detail, entry=one.entry, statement=statement.digest))
    return good, faults


def _twice(people: Mapping[int, Person]) -> list[Found]:
    first: dict[str, int] = {}
    found: list[Found] = []
    for entry, person in sorted(people.items()):
        before = first.setdefault(person.pseudonym, entry)
        if before != entry:
            detail = f"entries {before} and {entry} are one person"
            found.append(Found(fault=Fault.PERSON_TWICE, detail=detail, entry=entry))
    return found


def _late(drawn: IntervieweesDrawn, opened: RosterOpened, received: datetime | None) -> str | None:
    for what, time in (("received", received), ("opened", opened.opened_at)):
        if time is not None and time > drawn.answer_by:
            return f"{what} at {time:%Y-%m-%d %H:%M:%S} UTC, after {drawn.answer_by:%Y-%m-%d %H:%M:%S} UTC"
    return None


def _fault(fault: Fault, detail: str, statement: VerifiedStatement) -> Found:
    return Found(fault=fault, detail=detail, statement=statement.digest)
