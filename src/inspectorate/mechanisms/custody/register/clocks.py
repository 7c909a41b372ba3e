"""Clocks and deadlines for any date, from the clocks of an agreement and what happened.

Rules:

- A clock is taken as it stood when its event happened. A deadline is the event plus the time of the clock; where the document
  counts months or years, plus so many of the calendar: the same day of the month and time of day, in UTC, or the last day of a
  shorter month.
- What is done at the very end of a deadline is in time. What may be done *from* a time on may be done at that time.
- An event without its clock, and a clock without its event, are shown as such: a clock that nobody started is not fine.
- Stages of a round-up go by size: a cluster is due by the first stage whose limit it is strictly above.

What starts and ends a clock is taken from signed statements where there are any (`from_statements`), else from a list that a person
keeps (`Occurrence`).
"""

from __future__ import annotations

import calendar
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from inspectorate.agreement import Agreement
from inspectorate.agreement.types import Clock
from inspectorate.canonical import Identifier, Record, Text
from inspectorate.errors import InputError
from inspectorate.evidence import InspectionRequested, VerifiedStatement
from inspectorate.evidence.custody import (
    AccessLogged,
    AccessStep,
    ChipsMoved,
    Passage,
    RegisterHanded,
    TransferNotified,
)
from inspectorate.quantities import NonNegative, Time

OCCURRENCES_MAX = 100_000
ENTRY = "the agreement enters into force"
"""The event of the clocks that start together, as the shipped agreement words it."""
FIRST, UPDATE, NOTICE, ACCESS = "first-register", "register-update", "transfer-notice", "challenge-access"
"""Clocks that statements start or end, by id as the shipped agreement names them."""
STAGES = (("round-up-1", 10_000.0), ("round-up-2", 1_000.0), ("round-up-3", 100.0), ("round-up-4", 16.0))
"""Clusters strictly above so many H100-equivalents are due by this clock. Source: arXiv 2511.10783v2, Appendix D."""


class Occurrence(Record):
    """Something that started a clock, and when the duty was done."""

    clock: Identifier
    started_at: Time
    done_at: Time | None = None
    about: Text | None = Field(default=None, description="which register, transfer, cluster or request")


class ClusterSize(Record):
    """A cluster that is to be rounded up."""

    id: Identifier
    h100_equivalents: NonNegative
    consolidated_at: Time | None = None


class Events(Record):
    """What a person keeps of events that no statement shows."""

    entry_into_force: Time | None = None
    occurrences: Annotated[tuple[Occurrence, ...], Field(max_length=OCCURRENCES_MAX)] = ()
    clusters: Annotated[tuple[ClusterSize, ...], Field(max_length=OCCURRENCES_MAX)] = ()


class Standing(StrEnum):
    """How a deadline stands."""

    DONE = "done"
    DONE_LATE = "done late"
    RUNNING = "running"
    OVERDUE = "overdue"
    WAITING = "not yet"
    """May not be done yet."""
    ALLOWED = "may be done"
    TOO_EARLY = "done too early"
    NOT_STARTED = "not started"
    """Nothing is known that started it."""
    NO_CLOCK = "no clock"
    """The agreement has no such clock at that time."""


BAD = frozenset({Standing.DONE_LATE, Standing.OVERDUE, Standing.TOO_EARLY})


@dataclass(frozen=True, kw_only=True)
class Row:
    """One deadline."""

    clock: str
    event: str
    duty: str
    standing: Standing
    about: str = ""
    started: datetime | None = None
    due: datetime | None = None
    """For what may not be done before: from when on it may."""
    done: datetime | None = None
    left: timedelta | None = None
    """From `as_of` to `due`; negative: past it. None once it is done."""

    @property
    def days_left(self) -> float | None:
        return None if self.left is None else self.left / timedelta(days=1)


def due_of(clock: Clock, started: datetime) -> datetime:
    """When a clock that started then runs out. Raises `InputError` where no calendar has that day."""
    try:
        if clock.calendar_months is None:
            return started + timedelta(seconds=clock.within_s)
        return add_months(started, clock.calendar_months)
    except OverflowError:
        raise InputError(f"{started:%Y-%m-%d} and its time is beyond the calendar", where=f"clock {clock.id}") from None


def add_months(start: datetime, months: int) -> datetime:
    """The same day of the month and time of day, so many months later; the last day of a shorter month. Raises `OverflowError`."""
    years, month = divmod(start.month - 1 + months, 12)
    if start.year + years > 9999:
        raise OverflowError("date value out of range")
    last = calendar.monthrange(start.year + years, month + 1)[1]
    return start.replace(year=start.year + years, month=month + 1, day=min(start.day, last))


def standing_of(due: datetime, done: datetime | None, as_of: datetime, *, not_before: bool) -> Standing:
    """How a deadline stands. What is dated after `as_of` has not been done."""
    if done is not None and done > as_of:
        done = None
    if not_before:
        if done is not None:
            return Standing.DONE if done >= due else Standing.TOO_EARLY
        return Standing.ALLOWED if as_of >= due else Standing.WAITING
    if done is not None:
        return Standing.DONE if done <= due else Standing.DONE_LATE
    return Standing.RUNNING if as_of <= due else Standing.OVERDUE


def clock_rows(agreement: Agreement, occurrences: Iterable[Occurrence], as_of: datetime) -> tuple[Row, ...]:
    """The table: every clock of the agreement, with everything that started it by `as_of`, in order of time."""
    happened = [one for one in occurrences if one.started_at <= as_of]
    by_clock: dict[str, list[Occurrence]] = {}
    for one in sorted(happened, key=lambda one: (one.started_at, one.about or "")):
        by_clock.setdefault(one.clock, []).append(one)
    rows: list[Row] = []
    for name in dict.fromkeys((*(clock.id for clock in agreement.clocks), *by_clock)):
        versions = [clock for clock in agreement.clocks if clock.id == name and not clock.proposed]
        own = by_clock.get(name, [])
        now = next((clock for clock in versions if clock.holds(as_of)), None)
        if not own and now is not None:
            rows.append(Row(clock=name, event=now.event, duty=now.duty, standing=Standing.NOT_STARTED))
        for one in own:
            clock = next((clock for clock in versions if clock.holds(one.started_at)), None)
            rows.append(_row(name, clock, one, as_of))
    return tuple(rows)


def _row(name: str, clock: Clock | None, one: Occurrence, as_of: datetime) -> Row:
    about, done = one.about or "", one.done_at if one.done_at is not None and one.done_at <= as_of else None
    if clock is None:
        return Row(
            clock=name, event="", duty="", standing=Standing.NO_CLOCK, about=about, started=one.started_at, done=done
        )
    due = due_of(clock, one.started_at)
    standing = standing_of(due, done, as_of, not_before=clock.not_before)
    return Row(
        clock=name, event=clock.event, duty=clock.duty, standing=standing, about=about, started=one.started_at, due=due,
        done=done, left=None if done is not None else due - as_of,
    )  # fmt: skip


def occurrences_of(agreement: Agreement, events: Events) -> tuple[Occurrence, ...]:
    """What a person keeps, as occurrences: entry into force starts all clocks of that event, the stages cluster by cluster."""
    found = list(events.occurrences)
    entry = events.entry_into_force
    if entry is None:
        return tuple(found)
    stages = dict(STAGES)
    named = {one.clock for one in found}
    for clock in agreement.clocks:
        sized = clock.id in stages and events.clusters
        if clock.event == ENTRY and clock.holds(entry) and clock.id not in named and not sized:
            found.append(Occurrence(clock=clock.id, started_at=entry))
    for one in events.clusters:
        stage = stage_of(one.h100_equivalents)
        if stage is not None:
            about = f"{one.id}, {one.h100_equivalents:g} H100-equivalents"
            found.append(Occurrence(clock=stage, started_at=entry, done_at=one.consolidated_at, about=about))
    return tuple(found)


def stage_of(h100_equivalents: float) -> str | None:
    """The clock of the stage in which a cluster of this size is rounded up; none: it is not covered."""
    return next((clock for clock, above in STAGES if h100_equivalents > above), None)


def from_statements(
    statements: Sequence[VerifiedStatement], entry: datetime | None, as_of: datetime
) -> tuple[Occurrence, ...]:
    """What signed statements start and end by `as_of`: registers, transfers, challenge inspections."""
    said = [(one.digest, one.predicate) for one in statements if _times(one) <= as_of]
    found: list[Occurrence] = []
    registers = sorted(
        (one for _, one in said if isinstance(one, RegisterHanded)), key=lambda one: (one.reporter, one.handed_at)
    )
    for reporter, group in itertools.groupby(registers, key=lambda one: one.reporter):
        handed = list(group)
        if entry is not None:
            found.append(Occurrence(clock=FIRST, started_at=entry, done_at=handed[0].handed_at, about=reporter))
        for before, after in itertools.zip_longest(handed, handed[1:]):
            found.append(
                Occurrence(
                    clock=UPDATE, started_at=before.handed_at, done_at=after.handed_at if after else None,
                    about=f"{reporter} {before.sequence}",
                )
            )  # fmt: skip
    left = _earliest((one.transfer, one.moved_at) for _, one in said
                     if isinstance(one, ChipsMoved) and one.passage is Passage.LEFT)  # fmt: skip
    entered = _earliest((one.request, one.logged_at) for _, one in said
                        if isinstance(one, AccessLogged) and one.step is AccessStep.ADMITTED)  # fmt: skip
    requests: dict[str, list[tuple[str, InspectionRequested]]] = {}
    for digest, one in said:
        if isinstance(one, TransferNotified):
            begun = left.get(digest)
            found.append(Occurrence(clock=NOTICE, started_at=one.notified_at, done_at=begun, about=one.transfer))
        elif isinstance(one, InspectionRequested):
            requests.setdefault(one.request, []).append((digest, one))
    for name, stated in sorted(requests.items()):
        done = min((entered[digest] for digest, _ in stated if digest in entered), default=None)
        start = max(one.requested_at for _, one in stated)
        found.append(Occurrence(clock=ACCESS, started_at=start, done_at=done, about=name))
    return tuple(found)


def _times(statement: VerifiedStatement) -> datetime:
    """When it says that what it says happened; the earliest time that there is for what starts and ends no clock."""
    match statement.predicate:
        case RegisterHanded(handed_at=at) | TransferNotified(notified_at=at) | ChipsMoved(moved_at=at):
            return at
        case InspectionRequested(requested_at=at) | AccessLogged(logged_at=at):
            return at
        case _:
            return datetime.min.replace(tzinfo=UTC)


def _earliest(pairs: Iterable[tuple[str, datetime]]) -> dict[str, datetime]:
    first: dict[str, datetime] = {}
    for name, at in pairs:
        first[name] = min(at, first.get(name, at))
    return first
