"""Universal visits: everybody on the roster goes to the verifier's house, so that going there says nothing.

1. Everybody is due once in the period. Order is by the same drawing as interviews, under a seed of its own (`draw`): neither side
   chooses who comes when, or after whom.
2. Slots are equally long, whatever is said in them, and a visit fills its slot: who has nothing to say stays as long. Everybody is
   asked the same agreed questions, named by digest.
3. The calendar says `visit` and an entry number, and no more. The operator, who knows whose entry it is, tells the person.
4. Attendance is by entry. Who neither came nor was excused for an agreed reason is asked for by name, in the period and after.

A schedule is a rule and not a list: slots follow from it and from the roster, so that anybody can compute them again.

It is fooled by: an operator that sends somebody else, which papers at the door must settle; what people are told before they go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from inspectorate.canonical import Digest, Record, digest_of, parse_canonical
from inspectorate.drawing.sources import Randomness, seed_of
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import RosterCommitted, VerifiedStatement, VisitsHeld
from inspectorate.evidence.act import Act, Who
from inspectorate.evidence.heard import PEOPLE_MAX, Entries, EntryNumber
from inspectorate.mechanisms.interviews.roster.draw import visiting_order
from inspectorate.mechanisms.interviews.roster.listed import RosterList
from inspectorate.mechanisms.interviews.roster.selection import Selection
from inspectorate.quantities import Period

ROOMS_MAX = 1000
DAYS_MAX = 3660


class Schedule(Record):
    """The rule of one round of visits. Its digest stands in the attendance."""

    version: Literal[1] = 1
    roster: Digest = Field(description="digest of the envelope of the `RosterCommitted`")
    drawn: Digest = Field(
        description="digest of the envelope of the `IntervieweesDrawn` whose randomness orders visits"
    )
    questions: Digest = Field(description="of the agreed list of questions: everybody is asked the same")
    period: Period
    opens_minute: Annotated[int, Field(ge=0, lt=1440)] = Field(
        description="of each day, in UTC, when the first slot starts"
    )
    closes_minute: Annotated[int, Field(gt=0, le=1440)] = Field(description="when the last slot has ended")
    slot_minutes: Annotated[int, Field(ge=1, le=1440)] = Field(description="how long everybody stays")
    rooms: Annotated[int, Field(ge=1, le=ROOMS_MAX)] = Field(
        description="visits at the same time, apart from one another"
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.slots_per_day < 1:
            raise ValueError("no slot fits between opening and closing")
        if self.period.duration_s > DAYS_MAX * 86_400:
            raise ValueError(f"a period of visits lasts at most {DAYS_MAX} days")
        return self

    @property
    def slots_per_day(self) -> int:
        return max(0, self.closes_minute - self.opens_minute) // self.slot_minutes

    @property
    def digest(self) -> str:
        return digest_of(self.canonical_bytes())


@dataclass(frozen=True, kw_only=True)
class Visit:
    """When and where one entry is due."""

    entry: int
    room: int
    start: datetime
    end: datetime


def visits_of(schedule: Schedule, randomness: Randomness[Selection], listed: RosterList) -> tuple[Visit, ...]:
    """Everybody's visit, in order. Raises `InputError` where the period does not hold so many."""
    order = visiting_order(seed_of(randomness, schedule.roster), len(listed.persons))
    starts = _starts(schedule)
    if len(starts) * schedule.rooms < len(order):
        raise InputError(
            f"{len(order)} people do not fit into {len(starts) * schedule.rooms} slots", where="visits",
            remedy="give more rooms, longer days, shorter visits or a longer period",
        )  # fmt: skip
    length = timedelta(minutes=schedule.slot_minutes)
    return tuple(
        Visit(
            entry=entry, room=place % schedule.rooms, start=starts[place // schedule.rooms],
            end=starts[place // schedule.rooms] + length,
        )
        for place, entry in enumerate(order)
    )  # fmt: skip


def _starts(schedule: Schedule) -> list[datetime]:
    """The starts of all slots that lie within the period."""
    day = schedule.period.start.replace(hour=0, minute=0, second=0, microsecond=0)
    length = timedelta(minutes=schedule.slot_minutes)
    found: list[datetime] = []
    while day < schedule.period.end:
        for number in range(schedule.slots_per_day):
            start = day + timedelta(minutes=schedule.opens_minute) + number * length
            if start >= schedule.period.start and start + length <= schedule.period.end:
                found.append(start)
        day += timedelta(days=1)
    return found


class Excuse(StrEnum):
    """Why somebody need not come: a closed list, so that no reason says anything of a person."""

    ILL = "ill"
    AWAY = "away"
    """On a journey or on leave that was known before the order was drawn."""
    LEFT = "left"
    """Works there no more. Asked for elsewhere."""


class Excused(Record):
    entry: EntryNumber
    excuse: Excuse


class Attendance(Record):
    """The subject `attendance` of a `VisitsHeld`, which the verifier keeps to itself."""

    version: Literal[1] = 1
    schedule: Digest
    came: Entries
    excused: tuple[Excused, ...] = Field(default=(), max_length=PEOPLE_MAX)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        twice = [
            entry for entry, count in Counter((*self.came, *(one.entry for one in self.excused))).items() if count > 1
        ]
        if twice:
            raise ValueError(f"entry {twice[0]} stands in it more than once")
        return self

    def missing(self, people: int) -> tuple[int, ...]:
        """Who neither came nor was excused: to be asked for by name."""
        there = {*self.came, *(one.entry for one in self.excused)}
        return tuple(entry for entry in range(people) if entry not in there)


def parse_schedule(data: bytes, *, where: str) -> Schedule:
    """The record in its one byte form. Raises `EvidenceError`."""
    return Schedule.parse(parse_canonical(data, where=where), where=where, error=EvidenceError)


def parse_attendance(data: bytes, *, where: str) -> Attendance:
    """The record in its one byte form. Raises `EvidenceError`."""
    return Attendance.parse(parse_canonical(data, where=where), where=where, error=EvidenceError)


def make_visits(roster: VerifiedStatement, schedule: Schedule, attendance: Attendance, who: Who) -> Act:
    """The statement that visits were held. Raises `InputError` where attendance is of another schedule or roster."""
    said = roster.predicate
    assert isinstance(said, RosterCommitted)
    if schedule.roster != roster.digest or attendance.schedule != schedule.digest:
        raise InputError("the attendance is of another schedule, or that of another roster", where=said.roster)
    beyond = [entry for entry in (*attendance.came, *(one.entry for one in attendance.excused)) if entry >= said.people]
    if beyond:
        raise InputError(f"entry {beyond[0]} is not on a roster of {said.people}", where=said.roster)
    if who.at < schedule.period.end:
        raise InputError("the period is not over", where=str(schedule.period))
    predicate = VisitsHeld(
        origin=who.origin, by=who.name, roster=roster.digest, period=schedule.period, due=said.people,
        came=len(attendance.came), excused=len(attendance.excused),
    )  # fmt: skip
    return Act(predicate=predicate, subjects={"attendance": digest_of(attendance.canonical_bytes())})


def followed_up(missing: Sequence[int], listed: RosterList) -> Mapping[str, int]:
    """How many of each stratum are missing: what both sides may see."""
    return Counter(listed.stratum(entry) for entry in missing)
