"""Each state once, under a number; and what two states must share to count as one.

Left out of what tells states apart, because no transition asks for it: how often the processor started, counts of events, what was
read in the period, seconds held, samples, the number and the chain of reports, the cause, the words and the hour of a halt, which
licence came last, which meters lapsed, what was issued, charged and lost in the past. Numbers of requests and of reservations are
only ever compared, so open ones are counted from 0. The random walks (`guard_model_walks`) leave nothing out.

What a save keeps is read back from its bytes: what JSON does not carry is really gone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import ValidationError

from inspectorate.canonical import parse_canonical
from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.guarantee.events import EventKind
from inspectorate.mechanisms.guarantee.licences.amounts import plus
from inspectorate.mechanisms.guarantee.licences.state import LicenceState, Ticket
from inspectorate.mechanisms.guarantee.machine.state import GuardState, Halt, Sampled
from inspectorate.mechanisms.guarantee.metering.types import MeterKind
from inspectorate.mechanisms.guarantee.rulesets.rules import RuleBook
from inspectorate.mechanisms.guarantee.rulesets.types import Ruleset


@dataclass
class Pool:
    """States by number, rulesets by number."""

    whole: bool = False
    """Leave nothing out: every state is itself. For walks."""
    states: list[GuardState] = field(default_factory=list)
    numbers: dict[object, int] = field(default_factory=dict)
    rulesets: list[Ruleset] = field(default_factory=list)
    books: list[RuleBook] = field(default_factory=list)
    _by_identity: dict[int, int] = field(default_factory=dict)
    _by_digest: dict[str, int] = field(default_factory=dict)
    _read_back: dict[int, int] = field(default_factory=dict)
    _kept: list[Ruleset] = field(default_factory=list)

    def number(self, state: GuardState) -> int:
        """The number of a state, or of one that is as good."""
        if self.whole:
            self.states.append(state)
            return len(self.states) - 1
        state = reduced(state)
        key = self._key(state)
        found = self.numbers.get(key)
        if found is None:
            found = self.numbers[key] = len(self.states)
            self.states.append(state)
        return found

    def ruleset(self, ruleset: Ruleset | None) -> int:
        """The number of a ruleset; -1 for none."""
        if ruleset is None:
            return -1
        found = self._by_identity.get(id(ruleset))
        if found is None:
            found = self._by_digest.get(ruleset.digest)
            if found is None:
                found = self._by_digest[ruleset.digest] = len(self.rulesets)
                self.rulesets.append(ruleset)
                self.books.append(RuleBook(ruleset))
            self._by_identity[id(ruleset)] = found
            self._kept.append(ruleset)  # an identity is only good while its object lives
        return found

    def book(self, state: GuardState) -> RuleBook | None:
        return self.books[self.ruleset(state.ruleset)] if state.ruleset is not None else None

    def saved(self, state: GuardState) -> int:
        """The number of the state that a start reads, of one that is saved."""
        number = self.number(state)
        found = self._read_back.get(number)
        if found is None:
            read = read_back(self.states[number], canonical=not self.whole)
            read = read.model_copy(update={"ruleset": self.states[number].ruleset})  # equal; one object for each
            found = self._read_back[number] = self.number(read)
        return found

    def _key(self, state: GuardState) -> object:
        kept = state.licences
        return (
            state.time,
            state.running,
            state.distrusted,
            self.ruleset(state.ruleset),
            state.version_max,
            state.mode,
            state.model,
            state.upload.content if state.upload else None,
            state.halt.nonce if state.halt else None,
            len(state.open),
            state.flop_credit,
            tuple((one.licence.sequence, tuple(one.remaining.items())) for one in kept.held),
            tuple((one.sequence, one.id) for one in kept.recent),
            tuple(kept.owed.items()),
            tuple(ticket.taken for ticket in kept.tickets.values()),
        )


class Unreadable(AssertionError):
    """A state that was saved cannot be read back, or not as it was."""


def read_back(state: GuardState, *, canonical: bool) -> GuardState:
    """A state through its bytes: the canonical ones, or the same JSON made faster. Raises `Unreadable`."""
    try:
        if canonical:
            value = parse_canonical(state.canonical_bytes(), where="state")
            read = GuardState.parse(value, where="state", error=EvidenceError)
        else:
            read = GuardState.model_validate_json(state.model_dump_json(exclude_none=True))
    except (EvidenceError, ValidationError) as fault:
        raise Unreadable(str(fault)) from None
    # Reservations are no part of the bytes, on purpose.
    if read != state.model_copy(update={"licences": state.licences.model_copy(update={"tickets": {}})}):
        raise Unreadable("it is another one")
    return read


def reduced(state: GuardState) -> GuardState:
    """The state without what no transition asks for."""
    there = state.licences.tickets
    order = sorted(state.open, key=lambda one: there[one.reserved].taken if one.reserved in there else ())
    tickets = {
        number: Ticket(number=number, taken=there[one.reserved].taken)
        for number, one in enumerate(order)
        if one.reserved in there
    }
    opened = tuple(one.model_copy(update={"ticket": number, "reserved": number}) for number, one in enumerate(order))
    return state.model_copy(
        update={
            "starts": 0,
            "events": {},
            "readings": {},
            "held_s": 0.0,
            "sampled": _NONE_SAMPLED,
            "sequence": 0,
            "previous": None,
            "challenge": None,
            "licence": None,
            "halt": _named(state.halt, state) if state.halt else None,
            "open": opened,
            "ticket_next": len(opened),
            "licences": _licences(state.licences, tickets, len(opened)),
        }
    )


_NONE_SAMPLED = Sampled()


def _named(halt: Halt, state: GuardState) -> Halt:
    return halt.model_copy(update={"kind": EventKind.HALTED_BY_HAND, "at": state.time, "why": "a halt"})


def _licences(kept: LicenceState, tickets: dict[int, Ticket], drawn: int) -> LicenceState:
    """As if all that was used and settled, or lost, had never been issued."""
    charged: dict[MeterKind, int] = dict(kept.owed)
    for ticket in tickets.values():
        for meter, _, units in ticket.taken:
            charged = plus(charged, {meter: units})
    issued = {meter: units - kept.owed.get(meter, 0) for meter, units in charged.items()}
    for one in kept.held:
        issued = plus(issued, one.remaining)
    return kept.model_copy(
        update={
            "issued": {meter: units for meter, units in issued.items() if units},
            "charged": {meter: units for meter, units in charged.items() if units},
            "owed": {meter: units for meter, units in kept.owed.items() if units},
            "lost": {},
            "lapsed": (),
            "tickets": tickets,
            "tickets_drawn": drawn,
        }
    )
