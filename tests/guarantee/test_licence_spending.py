"""Taking from licences: nothing is spent twice, nothing grows, and every unit is somewhere, in any order of events."""

from __future__ import annotations

from fractions import Fraction

import licence_making as make
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.guarantee.events import EventKind
from inspectorate.mechanisms.guarantee.licences import state as states
from inspectorate.mechanisms.guarantee.licences.amounts import DECIMALS, UNITS, amount_of, budgeted, used
from inspectorate.mechanisms.guarantee.licences.judge import judge_licence
from inspectorate.mechanisms.guarantee.licences.state import (
    Held,
    LicenceState,
    Ticket,
    available,
    charged_meters,
    forget_tickets,
    release,
    remaining,
    reserve,
    settle,
    shortfalls,
    spend,
)
from inspectorate.mechanisms.guarantee.metering.types import MeterKind
from inspectorate.quantities import Period

FLOP, OUT, WALL = MeterKind.FLOP, MeterKind.BYTES_OUT, MeterKind.WALL_S
RULES = make.ruleset()


def holding(*budgets: dict[MeterKind, float], hours: tuple[float, ...] = ()) -> LicenceState:
    """A state that holds licences, which end after so many hours each."""
    state = LicenceState()
    for number, amounts in enumerate(budgets, start=1):
        end = hours[number - 1] if hours else 100
        value = make.licence(number, amounts, valid=Period(start=make.START, end=make.at(end)))
        judged = judge_licence(state, make.signed(value), device=make.DEVICE, ruleset=RULES, at=make.at(0))
        assert judged.state is not None, judged.refusals
        state = judged.state
    return state


def left(state: LicenceState, meter: MeterKind = FLOP, hours: float = 1) -> int:
    return available(state, meter, at=make.at(hours))


def kinds(taken: states.Taken) -> list[EventKind]:
    return [one.kind for one in taken.refusals]


# --- amounts -------------------------------------------------------------------------------------------------------------


def test_small_uses_of_a_large_budget_are_not_free() -> None:
    """With doubles, 1e24 - 1e6 is 1e24."""
    assert 1e24 - 1e6 == 1e24
    state = holding({FLOP: 1e24})
    state = spend(state, {FLOP: 1e6}, at=make.at(1)).state
    assert left(state) == 10**24 - 10**6


@given(st.sampled_from(MeterKind), st.floats(0, 1e30))
def test_budgets_round_down_and_uses_round_up(meter: MeterKind, amount: float) -> None:
    exact = Fraction(repr(amount)) * UNITS[meter]
    assert budgeted(meter, amount) == exact.__floor__()
    assert used(meter, amount) == exact.__ceil__()
    assert Fraction(repr(amount_of(meter, budgeted(meter, amount)))) * UNITS[meter] <= exact


def test_every_meter_has_a_unit() -> None:
    assert set(DECIMALS) == set(MeterKind)


@pytest.mark.parametrize("amount", [-1.0, float("nan"), float("inf"), -1])
def test_what_is_no_amount_is_a_fault_of_the_caller(amount: float) -> None:
    with pytest.raises(ValueError, match="no amount"):
        used(FLOP, amount)


# --- one thing at a time -------------------------------------------------------------------------------------------------


def test_a_request_reserves_the_most_and_gives_back_the_rest_once() -> None:
    taken = reserve(holding({FLOP: 1000, OUT: 50}), {FLOP: 600, OUT: 20}, at=make.at(1))
    assert taken.ticket is not None
    assert taken.refusals == ()
    assert (left(taken.state), left(taken.state, OUT)) == (400, 30)
    second = reserve(taken.state, {FLOP: 401}, at=make.at(1))
    assert second.ticket is None
    assert kinds(second) == [EventKind.LICENCE_EXHAUSTED]
    assert second.state == taken.state
    settled = settle(taken.state, taken.ticket, {FLOP: 100, OUT: 20}, at=make.at(1))
    assert (left(settled.state), left(settled.state, OUT)) == (900, 30)
    again = settle(settled.state, taken.ticket, {FLOP: 0, OUT: 0}, at=make.at(1))
    assert again.state == settled.state


def test_nothing_is_taken_if_one_meter_is_short() -> None:
    state = holding({FLOP: 1000, OUT: 5})
    taken = reserve(state, {FLOP: 10, OUT: 6}, at=make.at(1))
    assert taken.ticket is None
    assert taken.state == state


def test_a_meter_that_is_not_named_at_the_end_used_all_that_was_reserved() -> None:
    taken = reserve(holding({FLOP: 1000, OUT: 50}), {FLOP: 600, OUT: 20}, at=make.at(1))
    assert taken.ticket is not None
    assert left(settle(taken.state, taken.ticket, {OUT: 0}, at=make.at(1)).state) == 400
    assert left(release(taken.state, taken.ticket, at=make.at(1)).state) == 1000


def test_a_forged_ticket_gives_nothing_back() -> None:
    taken = reserve(holding({FLOP: 1000}), {FLOP: 600}, at=make.at(1))
    assert taken.ticket is not None
    larger = Ticket(number=taken.ticket.number, taken=((FLOP, 1, 10**6),))
    assert release(taken.state, larger, at=make.at(1)).state == taken.state


def test_use_beyond_the_reservation_is_charged_and_what_nothing_covers_is_owed() -> None:
    taken = reserve(holding({FLOP: 1000}), {FLOP: 600}, at=make.at(1))
    assert taken.ticket is not None
    settled = settle(taken.state, taken.ticket, {FLOP: 1300}, at=make.at(1))
    assert kinds(settled) == [EventKind.LICENCE_EXHAUSTED]
    assert left(settled.state) == 0
    assert settled.state.owed == {FLOP: 300}


def test_what_is_owed_is_paid_by_the_next_licence() -> None:
    state = spend(holding({FLOP: 1000}), {FLOP: 1300}, at=make.at(1)).state
    judged = judge_licence(state, make.signed(make.licence(2)), device=make.DEVICE, ruleset=RULES, at=make.at(2))
    assert judged.state is not None
    assert left(judged.state, hours=2) == 700
    assert judged.state.owed == {}


def test_what_is_given_back_pays_what_is_owed_first() -> None:
    taken = reserve(holding({FLOP: 1000}), {FLOP: 600}, at=make.at(1))
    assert taken.ticket is not None
    state = spend(taken.state, {FLOP: 500}, at=make.at(1)).state
    assert state.owed == {FLOP: 100}
    state = release(state, taken.ticket, at=make.at(1)).state
    assert left(state) == 500
    assert state.owed == {}


def test_at_exactly_nothing_left_work_stops() -> None:
    taken = spend(holding({FLOP: 1000}), {FLOP: 1000}, at=make.at(1))
    assert kinds(taken) == [EventKind.LICENCE_EXHAUSTED]
    assert taken.state.owed == {}
    assert [one.kind for one in shortfalls(taken.state, RULES, at=make.at(1))] == [EventKind.LICENCE_EXHAUSTED]
    assert reserve(taken.state, {FLOP: 0}, at=make.at(1)).ticket is None


def test_what_expires_first_is_used_first() -> None:
    state = holding({FLOP: 100}, {FLOP: 100}, {FLOP: 100}, hours=(30, 10, 20))
    state = spend(state, {FLOP: 150}, at=make.at(1)).state
    assert [(one.licence.sequence, one.remaining[FLOP]) for one in state.held] == [(2, 0), (3, 50), (1, 100)]


def test_an_expired_licence_is_gone_whatever_the_clock_says_later() -> None:
    state = holding({FLOP: 1000}, hours=(10,))
    assert left(state, hours=9.999) == 1000
    assert left(state, hours=10) == 0
    late = reserve(state, {FLOP: 1}, at=make.at(10))
    assert late.ticket is None
    assert set(kinds(late)) == {EventKind.LICENCE_EXPIRED}
    assert late.state.lost == {FLOP: 1000}
    back = reserve(late.state, {FLOP: 1}, at=make.at(1))
    assert back.ticket is None
    assert kinds(back) == [EventKind.LICENCE_EXPIRED]


def test_expiry_is_told_only_where_nothing_else_covers_the_meter() -> None:
    state = holding({FLOP: 1000}, {FLOP: 1000}, hours=(10, 20))
    assert spend(state, {FLOP: 1}, at=make.at(15)).refusals == ()
    assert set(kinds(spend(state, {FLOP: 1}, at=make.at(25)))) == {EventKind.LICENCE_EXPIRED}


def test_what_was_reserved_from_a_licence_that_expires_does_not_come_back() -> None:
    taken = reserve(holding({FLOP: 1000}, hours=(10,)), {FLOP: 600}, at=make.at(9))
    assert taken.ticket is not None
    state = release(taken.state, taken.ticket, at=make.at(11)).state
    assert left(state, hours=11) == 0
    assert state.lost == {FLOP: 1000}
    assert state.charged == {FLOP: 0}


def test_every_meter_that_a_licence_budgets_is_charged_asked_for_or_not() -> None:
    state = holding({FLOP: 10, OUT: 10})
    assert charged_meters(state, RULES) == {FLOP, OUT}
    assert charged_meters(LicenceState(), RULES) == {FLOP}
    assert [one.kind for one in shortfalls(LicenceState(), RULES, at=make.at(1))] == [EventKind.LICENCE_EXHAUSTED]
    assert remaining(state, at=make.at(1)) == {FLOP: 10.0, OUT: 10.0}


def test_a_restart_counts_what_was_reserved_as_used() -> None:
    taken = reserve(holding({FLOP: 1000}), {FLOP: 600}, at=make.at(1))
    assert taken.ticket is not None
    read = LicenceState.parse(taken.state.model_dump(mode="json"), where="state", error=EvidenceError)
    assert read == forget_tickets(taken.state)
    assert left(read) == 400
    assert release(read, taken.ticket, at=make.at(1)).state == read


@pytest.mark.parametrize(
    "spoil",
    [
        {"sequence_last": 5},
        {"recent": []},
        {"issued": {"flop": "-1"}},
        {"issued": {"flop": "01"}},
        {"issued": {"flop": "1e3"}},
        {"issued": {"flop": "9" * 60}},
        {"held": []},
    ],
)
def test_a_state_that_contradicts_itself_is_refused(spoil: dict[str, object]) -> None:
    value = holding({FLOP: 1000}).model_dump(mode="json")
    if spoil == {"held": []}:
        value["held"] = value["held"] * 2
    elif spoil == {"recent": []}:
        value["recent"] = [{"sequence": 9, "id": "x"}]
    else:
        value |= spoil
    with pytest.raises(EvidenceError):
        LicenceState.parse(value, where="state", error=EvidenceError)


# --- any order of events -------------------------------------------------------------------------------------------------

AMOUNTS = st.dictionaries(st.sampled_from([FLOP, OUT, WALL]), st.floats(0, 60), max_size=3)


class Bank:
    """The slow oracle: one counter per meter of all that was ever accepted and of all that was ever used or is reserved."""

    def __init__(self) -> None:
        self.issued: dict[MeterKind, int] = dict.fromkeys(MeterKind, 0)
        self.used: dict[MeterKind, int] = dict.fromkeys(MeterKind, 0)
        self.reserved: dict[int, dict[MeterKind, int]] = {}

    def out(self, meter: MeterKind) -> int:
        return self.used[meter] + sum(one.get(meter, 0) for one in self.reserved.values())


class Interleaving(RuleBasedStateMachine):
    """Licences, reservations, settlements, time, restarts, in any order."""

    @initialize()
    def begin(self) -> None:
        self.state, self.bank, self.hours = LicenceState(), Bank(), 0.0
        self.tickets: list[Ticket] = []
        self.settled: list[Ticket] = []
        self.next = 1

    @rule(
        budgets=st.dictionaries(st.sampled_from([FLOP, OUT, WALL]), st.floats(0.5, 100), min_size=1, max_size=3),
        lasts=st.floats(0.5, 20),
        again=st.booleans(),
    )
    def accept(self, budgets: dict[MeterKind, float], lasts: float, again: bool) -> None:
        sequence = max(1, self.next - 1) if again else self.next
        value = make.licence(
            sequence,
            {FLOP: 1.0} | budgets,
            valid=Period(start=make.START, end=make.at(self.hours + lasts)),
        )
        judged = judge_licence(
            self.state, make.signed(value), device=make.DEVICE, ruleset=RULES, at=make.at(self.hours)
        )
        if judged.state is not None:
            assert sequence == self.next, "a licence is accepted once"
            self.next += 1
            self.state = judged.state
            for meter, amount in value.budgets.items():
                self.bank.issued[meter] += budgeted(meter, amount)

    @rule(amounts=AMOUNTS)
    def ask(self, amounts: dict[MeterKind, float]) -> None:
        now = make.at(self.hours)
        before = {meter: available(self.state, meter, at=now) for meter in MeterKind}
        taken = reserve(self.state, amounts, at=now)
        self.state = taken.state
        fits = all(max(1, used(meter, amount)) <= before[meter] for meter, amount in amounts.items())
        assert (taken.ticket is not None) == fits
        if taken.ticket is not None:
            self.tickets.append(taken.ticket)
            self.bank.reserved[taken.ticket.number] = {m: used(m, a) for m, a in amounts.items()}

    @rule(which=st.integers(0, 20), actual=AMOUNTS)
    def settle(self, which: int, actual: dict[MeterKind, float]) -> None:
        if not self.tickets:
            return
        ticket = self.tickets.pop(which % len(self.tickets))
        self.settled.append(ticket)
        self.state = settle(self.state, ticket, actual, at=make.at(self.hours)).state
        reserved = self.bank.reserved.pop(ticket.number)
        for meter in MeterKind:
            spent = used(meter, actual[meter]) if meter in actual else reserved.get(meter, 0)
            self.bank.used[meter] += spent

    @rule(which=st.integers(0, 20))
    def settle_again(self, which: int) -> None:
        if self.settled:
            ticket = self.settled[which % len(self.settled)]
            before = self.state
            self.state = release(self.state, ticket, at=make.at(self.hours)).state
            assert self.state == before

    @rule(amounts=AMOUNTS)
    def use(self, amounts: dict[MeterKind, float]) -> None:
        self.state = spend(self.state, amounts, at=make.at(self.hours)).state
        for meter, amount in amounts.items():
            self.bank.used[meter] += used(meter, amount)

    @rule(hours=st.floats(0, 5))
    def wait(self, hours: float) -> None:
        self.hours += hours

    @rule()
    def restart(self) -> None:
        self.state = LicenceState.parse(self.state.model_dump(mode="json"), where="state", error=EvidenceError)
        for reserved in self.bank.reserved.values():
            for meter, units in reserved.items():
                self.bank.used[meter] += units
        self.bank.reserved.clear()
        self.settled += self.tickets
        self.tickets.clear()

    @invariant()
    def every_unit_is_somewhere(self) -> None:
        state = self.state
        for meter in MeterKind:
            rest = sum(one.remaining.get(meter, 0) for one in state.held)
            issued, charged = state.issued.get(meter, 0), state.charged.get(meter, 0)
            owed, lost = state.owed.get(meter, 0), state.lost.get(meter, 0)
            assert issued == self.bank.issued[meter]
            assert charged == self.bank.out(meter)
            assert issued == rest + charged - owed + lost
            assert min(rest, owed, lost, charged) >= 0
            assert charged - owed <= issued, "what was covered was issued"


Interleaving.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
TestInterleaving = Interleaving.TestCase


def test_held_licences_are_records_of_their_own() -> None:
    one = holding({FLOP: 1000}).held[0]
    assert Held.parse(one.model_dump(mode="json"), where="x", error=EvidenceError) == one
