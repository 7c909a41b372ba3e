"""Double entry over all statements of one register, in order of their times.

Rules:

- Order: by the time of what happened; at the same time: acquisitions, reports, notices, arrivals, departures, destruction; a
  register holds what came before the end of its period, and comes first.
- A register must be the one before with all stated changes, serial by serial. What then differs is named, and the register is
  taken as it stands from there on.
- What cannot be read leaves a stretch in the dark: the next register that can be read is taken as it stands, and nothing is said of
  what changed in between. Bad input is never a breach.
- Chips of changes before the first register are not asked where they came from; the first register says what there is.
- Only what happened by `as_of` counts.
- Times are those of the signed statements. Whether a statement was made when it says is for the log of statements.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import numpy as np
import pyarrow as pa

from inspectorate.agreement import ChipRegister
from inspectorate.evidence.custody import (
    ChipsAcquired,
    ChipsMoved,
    ChipsReported,
    DestructionCertified,
    Passage,
    RegisterHanded,
    TransferNotified,
)
from inspectorate.mechanisms.custody.register.chain import check_chain, check_times
from inspectorate.mechanisms.custody.register.entries import Entries
from inspectorate.mechanisms.custody.register.faults import Bearing, Fault, Found
from inspectorate.mechanisms.custody.register.holdings import UNDER_WAY, Holdings
from inspectorate.mechanisms.custody.register.reading import Books, Change, Changed, Handed, time_of
from inspectorate.mechanisms.custody.register.transfers import Transfer, Transfers
from inspectorate.mechanisms.custody.register.universe import Universe
from inspectorate.quantities import from_ns, to_ns


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What the agreement asks, and as of when it is judged."""

    clause: ChipRegister
    holds_from: datetime
    as_of: datetime


@dataclass(frozen=True, kw_only=True)
class Balance:
    """Chips from one register to the next: opening + acquired + arrived back - destroyed - away = closing, under way included."""

    sequence: int
    as_of: datetime
    opening: int
    acquired: int
    destroyed: int
    away: int
    """Arrived at another party."""
    under_way: int
    """At the end, of those that this register answers for."""
    closing: int
    """In the register itself, and under way."""
    compared: bool
    """Not the first one, and none before which something could not be read."""

    @property
    def unexplained(self) -> int:
        """Of the closing number. Zero also where as many appeared as vanished: serials decide, not numbers."""
        return self.closing - (self.opening + self.acquired - self.destroyed - self.away)


@dataclass(frozen=True, kw_only=True)
class UnderWay:
    """Chips of one transfer that have left and not arrived."""

    transfer: str
    chips: int
    due: datetime


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """What the statements of one register come to."""

    reporter: str
    found: tuple[Found, ...]
    balances: tuple[Balance, ...]
    under_way: tuple[UnderWay, ...]
    registers: tuple[Handed, ...]
    """In the order of the chain, those that could be read."""
    universe: Universe = field(repr=False)
    sites: tuple[str, ...]
    """By number."""
    transfers: tuple[Transfer, ...] = field(repr=False)
    """By number."""
    holdings: Holdings = field(repr=False)

    @property
    def latest(self) -> Handed | None:
        return self.registers[-1] if self.registers else None

    @property
    def breaches(self) -> tuple[Found, ...]:
        return tuple(one for one in self.found if one.bearing is Bearing.BREACH)

    @property
    def unread(self) -> tuple[Found, ...]:
        return tuple(one for one in self.found if one.bearing is Bearing.UNREAD)

    @cached_property
    def serials(self) -> pa.Array:
        """Of all chips, by number."""
        return pa.array(self.universe.names, type=pa.string())


def judge(books: Books, terms: Terms) -> Judged:
    """Judge all that was stated of one register by `terms.as_of`."""
    handed, wrong = check_chain([one for one in books.handed if one.said.handed_at <= terms.as_of])
    changes = [one for one in books.changes if time_of(one.said) <= terms.as_of]
    readable = [one for one in handed if one.register is not None]
    lists = [one.register.serials for one in readable if one.register is not None]
    listed = [one for one in changes if one.serials is not None]
    universe = Universe([*lists, *(one.serials for one in listed)])
    digests = [*(one.digest for one in readable), *(one.digest for one in listed)]
    chips = {digest: universe.of(place) for place, digest in enumerate(digests)}
    entries = Entries(universe, Transfers(terms.clause, books.decisions))
    entries.found += [*books.found, *wrong, *check_times(handed, terms.clause, terms.holds_from, terms.as_of)]
    balances = []
    opening = 0
    everything: list[Handed | Changed] = [*handed, *changes]
    for one in sorted(everything, key=_order):
        if isinstance(one, Changed):
            entries.change(one, chips.get(one.digest))
        elif one.register is None:
            entries.dark = True
        else:
            compared = entries.opened and not entries.dark
            entries.register(one, chips[one.digest])
            balances.append(_balance(entries, one, opening, compared=compared))
            opening = balances[-1].closing
            entries.acquired = entries.destroyed = entries.away = 0
    under_way = _under_way(entries, terms)
    return Judged(
        reporter=books.reporter, found=tuple(entries.found), balances=tuple(balances),
        under_way=under_way, registers=tuple(sorted(readable, key=lambda one: _order(one)[0])),
        universe=universe, sites=tuple(entries.sites.names),
        transfers=tuple(entries.transfers.all), holdings=entries.holdings,
    )  # fmt: skip


def _order(one: Handed | Changed) -> tuple[datetime, int, str]:
    said: RegisterHanded | Change = one.said
    match said:
        case RegisterHanded():
            kind = 0
        case ChipsAcquired():
            kind = 1
        case ChipsReported():
            kind = 2
        case TransferNotified():
            kind = 3
        case ChipsMoved():
            kind = 4 if said.passage is Passage.ARRIVED else 5
        case DestructionCertified():
            kind = 6
    return time_of(said), kind, one.digest


def _balance(entries: Entries, one: Handed, opening: int, *, compared: bool) -> Balance:
    holdings = entries.holdings
    under_way = int((holdings.place == UNDER_WAY).sum())
    return Balance(
        sequence=one.said.sequence, as_of=one.said.period.end, opening=opening, acquired=entries.acquired,
        destroyed=entries.destroyed, away=entries.away, under_way=under_way, closing=int(holdings.held().sum()),
        compared=compared,
    )  # fmt: skip


def _under_way(entries: Entries, terms: Terms) -> tuple[UnderWay, ...]:
    """Transfers of which chips are under way, and a fault for each that should have arrived."""
    holdings = entries.holdings
    going = np.flatnonzero(holdings.place == UNDER_WAY)
    found = []
    for number in np.unique(holdings.transfer[going]).tolist():
        one, chips = entries.transfers.all[number], going[holdings.transfer[going] == number]
        due = from_ns(int(holdings.left_ns[chips].min()) + entries.transfers.late_after_ns())
        late = chips[holdings.left_ns[chips] + entries.transfers.late_after_ns() < to_ns(terms.as_of)]
        if not one.unread:
            detail = f"transfer {one.said.transfer} was due by {due:%Y-%m-%d %H:%M:%S} UTC"
            entries.say(Fault.OVERDUE, detail, one.digest, late, terms.as_of)
        found.append(UnderWay(transfer=one.said.transfer, chips=len(chips), due=due))
    return tuple(found)
