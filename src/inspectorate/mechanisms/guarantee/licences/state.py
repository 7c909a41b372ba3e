"""What a processor knows of its licences: what is held, what is left, what was seen; and taking from it.

Rules:

1. Nothing raises what remains but a licence that is accepted, once (`judge.judge_licence`), and the unused part of a reservation,
   which comes out of what that reservation took.
2. A request reserves the most that it could use before it is let through, and is settled when it is done: what was accepted
   cannot overdraw. What cannot be reserved, such as time and energy, is spent as it passes, and what no licence covers is *owed*:
   the next licence pays it first.
3. Every meter that is named is charged. Which those are, `charged_meters` says: what the ruleset asks for, and what any licence
   held budgets.
4. Of several licences, what expires first is used first. A licence that was once seen to be expired is gone, whatever the clock
   says later; what it still had is lost.
5. Always: issued = remaining + charged - owed + lost, per meter. Reservations count as charged from the start, and tickets are no
   part of the byte form: a processor that ends in between counts as used what was reserved.

That an older state is not put back in the place of a newer one is a matter of the store and the TPM's counter, not of this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Self

from pydantic import Field, model_validator

from inspectorate.canonical import Digest, Identifier, Record
from inspectorate.mechanisms.guarantee.events import EventKind, Refusal
from inspectorate.mechanisms.guarantee.licences.amounts import Units, amount_of, plus
from inspectorate.mechanisms.guarantee.licences.amounts import used as units_used
from inspectorate.mechanisms.guarantee.licences.types import Licence
from inspectorate.mechanisms.guarantee.metering.types import MeterKind
from inspectorate.mechanisms.guarantee.rulesets.types import Ruleset

HELD_MAX = 16
"""Licences that one device holds at a time."""
WINDOW = 64
"""How far a sequence may lie below the highest one (RAND WR-A3056-1, ch. 6, hybrid window)."""
TICKETS_MAX = 100_000
"""Reservations that are open at a time: as many as a ruleset may let run (`Limits.concurrent_max`)."""
SEQUENCE_MAX = 2**53 - 1

Sequence = Annotated[int, Field(ge=0, le=SEQUENCE_MAX)]


class Held(Record):
    """A licence that was accepted and has not expired, and what is left of it."""

    licence: Licence
    digest: Digest
    remaining: dict[MeterKind, Units]


class Seen(Record):
    """A licence that was accepted not long ago."""

    sequence: Sequence
    id: Identifier


@dataclass(frozen=True, kw_only=True, slots=True)
class Ticket:
    """A reservation: what was taken, of which licence, in the order in which it is used up."""

    number: int
    taken: tuple[tuple[MeterKind, int, int], ...]
    """(meter, sequence of the licence, units)."""


class LicenceState(Record):
    """All that a processor remembers of licences. The first one is `LicenceState()`."""

    held: tuple[Held, ...] = Field(default=(), max_length=HELD_MAX)
    """What expires first stands first."""
    sequence_last: Sequence = 0
    """The highest ever accepted."""
    recent: tuple[Seen, ...] = Field(default=(), max_length=WINDOW + 1)
    """What was accepted from `sequence_last - WINDOW` on, in order of sequence."""
    issued: dict[MeterKind, Units] = Field(default_factory=dict)
    charged: dict[MeterKind, Units] = Field(default_factory=dict)
    """What was used or is reserved, covered or not."""
    owed: dict[MeterKind, Units] = Field(default_factory=dict)
    """The part of `charged` that no licence covered."""
    lost: dict[MeterKind, Units] = Field(default_factory=dict)
    """What licences still had when they expired or were withdrawn."""
    lapsed: tuple[MeterKind, ...] = Field(default=(), max_length=len(MeterKind))
    """Meters whose last licence expired before it was used up."""
    tickets: dict[int, Ticket] = Field(default_factory=dict, exclude=True)
    """Open reservations. No part of the byte form."""
    tickets_drawn: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        sequences = [seen.sequence for seen in self.recent]
        if sequences != sorted(set(sequences)):
            raise ValueError("recent licences are not in order, or stand twice")
        if sequences and not self.sequence_last - WINDOW <= sequences[0] <= sequences[-1] == self.sequence_last:
            raise ValueError("recent licences do not end at the highest sequence")
        if [_order(one) for one in self.held] != sorted({_order(one) for one in self.held}):
            raise ValueError("licences held are not in order, or stand twice")
        for one in self.held:
            if set(one.remaining) != set(one.licence.budgets):
                raise ValueError(f"what is left of {one.licence.id} is not what it budgets")
        return self


@dataclass(frozen=True, kw_only=True)
class Taken:
    """The state afterwards, which holds in every case, and what is refused from now on."""

    state: LicenceState
    refusals: tuple[Refusal, ...] = ()
    ticket: Ticket | None = None
    """Of a reservation that was made; none: nothing was taken."""


def _order(one: Held) -> tuple[datetime, int]:
    return one.licence.valid.end, one.licence.sequence


# --- reading -----------------------------------------------------------------------------------------------------------


def charged_meters(state: LicenceState, ruleset: Ruleset) -> frozenset[MeterKind]:
    """Meters that are charged: what the ruleset licenses, and what any licence held budgets."""
    return frozenset(ruleset.licensed_meters).union(*(one.remaining for one in state.held))


def available(state: LicenceState, meter: MeterKind, *, at: datetime) -> int:
    """Units that can be used now."""
    return sum(one.remaining.get(meter, 0) for one in state.held if one.licence.valid.contains(at))


def remaining(state: LicenceState, *, at: datetime) -> dict[MeterKind, float]:
    """What can be used now of every meter that a licence held budgets, rounded down."""
    meters = {meter for one in state.held for meter in one.remaining}
    return {meter: amount_of(meter, available(state, meter, at=at)) for meter in MeterKind if meter in meters}


def shortfalls(state: LicenceState, ruleset: Ruleset, *, at: datetime) -> tuple[Refusal, ...]:
    """Why work may not go on now: one refusal for each meter that is charged and of which nothing is left."""
    charged = charged_meters(state, ruleset)
    return tuple(
        _short(state, meter, at) for meter in MeterKind if meter in charged and not available(state, meter, at=at)
    )


def _short(state: LicenceState, meter: MeterKind, at: datetime, asked: int = 0) -> Refusal:
    there = available(state, meter, at=at)
    over = [one for one in state.held if one.remaining.get(meter) and one.licence.valid.end <= at]
    if not there and (over or meter in state.lapsed):
        return Refusal(kind=EventKind.LICENCE_EXPIRED, why=f"the licence of {meter.value} expired")
    amounts = f": {there} units are left and {asked} are asked for" if asked else ""
    return Refusal(kind=EventKind.LICENCE_EXHAUSTED, why=f"no licence covers {meter.value}{amounts}")


# --- taking ------------------------------------------------------------------------------------------------------------


def reserve(state: LicenceState, amounts: Mapping[MeterKind, float], *, at: datetime) -> Taken:
    """Take the most that a request could use, all of it or nothing. Settle or release the ticket afterwards.

    A meter that is named with an amount of zero still needs something left.
    """
    expired = expire(state, at=at)
    state = expired.state
    asked = {meter: units_used(meter, amount) for meter, amount in amounts.items()}
    refusals = [
        _short(state, meter, at, units)
        for meter, units in asked.items()
        if not max(1, units) <= available(state, meter, at=at)
    ]
    if len(state.tickets) >= TICKETS_MAX:
        refusals.append(Refusal(kind=EventKind.LIMIT_REACHED, why=f"{TICKETS_MAX} reservations are open"))
    if refusals:
        return Taken(state=state, refusals=(*expired.refusals, *refusals))
    held, taken, _ = _draw(state.held, asked, at)
    ticket = Ticket(number=state.tickets_drawn, taken=taken)
    after = state.model_copy(
        update={
            "held": held,
            "charged": plus(state.charged, asked),
            "tickets": {**state.tickets, ticket.number: ticket},
            "tickets_drawn": state.tickets_drawn + 1,
        }
    )
    return Taken(state=after, refusals=expired.refusals, ticket=ticket)


def settle(state: LicenceState, ticket: Ticket, actual: Mapping[MeterKind, float], *, at: datetime) -> Taken:
    """Give back what a reservation did not use. A meter that is not named used all that was reserved.

    What was used beyond the reservation is spent like time. A ticket that is not open changes nothing: it was charged when it was
    reserved, and gives back once.
    """
    if state.tickets.get(ticket.number) != ticket:
        return Taken(state=state)
    reserved: dict[MeterKind, int] = {}
    for meter, _, units in ticket.taken:
        reserved[meter] = reserved.get(meter, 0) + units
    asked = {meter: units_used(meter, amount) for meter, amount in actual.items()}
    unused = {meter: max(0, units - asked.get(meter, units)) for meter, units in reserved.items()}
    beyond = {meter: units - reserved.get(meter, 0) for meter, units in asked.items() if units > reserved.get(meter, 0)}
    tickets = {number: one for number, one in state.tickets.items() if number != ticket.number}
    expired = expire(_give_back(state.model_copy(update={"tickets": tickets}), ticket, unused), at=at)
    spent = _spend(expired.state, beyond, at)
    return Taken(state=pay(spent.state, at=at), refusals=(*expired.refusals, *spent.refusals))


def release(state: LicenceState, ticket: Ticket, *, at: datetime) -> Taken:
    """Give back all of a reservation, for a request that did not reach the chips."""
    return settle(state, ticket, {meter: 0 for meter, _, _ in ticket.taken}, at=at)


def forget_tickets(state: LicenceState) -> LicenceState:
    """Close all reservations without giving anything back, as a restart does."""
    return state.model_copy(update={"tickets": {}})


def spend(state: LicenceState, amounts: Mapping[MeterKind, float], *, at: datetime) -> Taken:
    """Charge what has been used already. What no licence covers is owed; a meter with nothing left is refused."""
    expired = expire(state, at=at)
    asked = {meter: units_used(meter, amount) for meter, amount in amounts.items()}
    spent = _spend(expired.state, asked, at)
    return Taken(state=spent.state, refusals=(*expired.refusals, *spent.refusals))


def spend_units(state: LicenceState, units: Mapping[MeterKind, int], *, at: datetime) -> Taken:
    """As `spend`, in units."""
    expired = expire(state, at=at)
    spent = _spend(expired.state, units, at)
    return Taken(state=spent.state, refusals=(*expired.refusals, *spent.refusals))


def _spend(state: LicenceState, asked: Mapping[MeterKind, int], at: datetime) -> Taken:
    held, _, uncovered = _draw(state.held, asked, at)
    after = state.model_copy(
        update={"held": held, "charged": plus(state.charged, asked), "owed": plus(state.owed, uncovered)}
    )
    dry = tuple(_short(after, meter, at) for meter in asked if not available(after, meter, at=at))
    return Taken(state=after, refusals=dry)


def pay(state: LicenceState, *, at: datetime) -> LicenceState:
    """Take what is owed out of what there is."""
    if not state.owed:
        return state
    held, _, still = _draw(state.held, state.owed, at)
    return state.model_copy(update={"held": held, "owed": still})


def _draw(
    held: tuple[Held, ...], asked: Mapping[MeterKind, int], at: datetime
) -> tuple[tuple[Held, ...], tuple[tuple[MeterKind, int, int], ...], dict[MeterKind, int]]:
    """The licences afterwards, (meter, sequence, units) that were taken, and what was not covered."""
    left = {meter: units for meter, units in asked.items() if units}
    taken: list[tuple[MeterKind, int, int]] = []
    after: list[Held] = []
    for one in held:
        parts = {
            meter: min(units, one.remaining[meter])
            for meter, units in left.items()
            if one.remaining.get(meter) and one.licence.valid.contains(at)
        }
        if parts:
            remains = {meter: units - parts.get(meter, 0) for meter, units in one.remaining.items()}
            one = one.model_copy(update={"remaining": remains})
            taken.extend((meter, one.licence.sequence, units) for meter, units in parts.items())
            left = {meter: rest for meter, units in left.items() if (rest := units - parts.get(meter, 0))}
        after.append(one)
    return tuple(after), tuple(taken), left


def _give_back(state: LicenceState, ticket: Ticket, unused: dict[MeterKind, int]) -> LicenceState:
    """Put `unused` back where it was taken from, last first. What is no longer held takes nothing back: that is lost."""
    back: dict[int, dict[MeterKind, int]] = {}
    left = dict(unused)
    for meter, sequence, units in reversed(ticket.taken):
        if part := min(units, left[meter]):
            back.setdefault(sequence, {})[meter] = part
            left[meter] -= part
    if not back:
        return state
    held = tuple(
        one.model_copy(update={"remaining": plus(one.remaining, back.pop(one.licence.sequence))})
        if one.licence.sequence in back
        else one
        for one in state.held
    )
    lost = state.lost
    for gone in back.values():
        lost = plus(lost, gone)
    charged = {meter: units - unused.get(meter, 0) for meter, units in state.charged.items()}
    return state.model_copy(update={"held": held, "lost": lost, "charged": charged})


# --- losing ------------------------------------------------------------------------------------------------------------


def expire(state: LicenceState, *, at: datetime) -> Taken:
    """Let go of what has expired. Refused are the meters that no licence covers from now on."""
    gone = tuple(one for one in state.held if one.licence.valid.end <= at)
    if not gone:
        return Taken(state=state)
    after = _without(state, gone)
    budgeted = {meter for one in after.held for meter, units in one.remaining.items() if units}
    lapsed = {meter for one in gone for meter, units in one.remaining.items() if units} - budgeted
    refusals = tuple(
        Refusal(kind=EventKind.LICENCE_EXPIRED, why=f"the last licence of {meter.value} expired")
        for meter in MeterKind
        if meter in lapsed
    )
    meters = tuple(meter for meter in MeterKind if meter in lapsed or meter in state.lapsed)
    return Taken(state=after.model_copy(update={"lapsed": meters}), refusals=refusals)


def hold_against(state: LicenceState, ruleset: Ruleset, *, at: datetime) -> Taken:
    """Withdraw what a ruleset no longer lets count, when it comes into force: a sequence below its minimum, another ruleset."""
    expired = expire(state, at=at)
    gone = tuple(
        one
        for one in expired.state.held
        if one.licence.sequence < ruleset.licence_sequence_min
        or one.licence.ruleset != ruleset.id
        or one.licence.ruleset_version_min > ruleset.version
    )
    refusals = tuple(
        Refusal(
            kind=EventKind.LICENCE_REFUSED,
            why=f"licence {one.licence.id} does not count under version {ruleset.version} of {ruleset.id}",
        )
        for one in gone
    )
    return Taken(state=_without(expired.state, gone), refusals=(*expired.refusals, *refusals))


def _without(state: LicenceState, gone: tuple[Held, ...]) -> LicenceState:
    if not gone:
        return state
    lost = state.lost
    for one in gone:
        lost = plus(lost, one.remaining)
    return state.model_copy(update={"held": tuple(one for one in state.held if one not in gone), "lost": lost})


def hold(state: LicenceState, one: Held) -> LicenceState:
    """The state with one more licence held, in order. Its sequence was judged already."""
    lapsed = tuple(meter for meter in state.lapsed if meter not in one.remaining)
    return state.model_copy(update={"held": tuple(sorted((*state.held, one), key=_order)), "lapsed": lapsed})
