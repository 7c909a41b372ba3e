"""Leads: what enough offices say together, when it is settled, and a slow oracle beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

import pytest
from heard_site_evidence import CHANNELS, OFFICES, SEED, assembled, case, declaration, verified
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.canonical import digest_of
from inspectorate.evidence import (
    Activity,
    Closing,
    HumanSource,
    LeadClosed,
    LeadRaised,
    Origin,
    Step,
    VerifiedStatement,
    make_statement,
    sign_statement,
)
from inspectorate.hearing import Leads, Needed, leads_of
from inspectorate.worlds import heard
from inspectorate.worlds.seal import key_of

KEYS = dict(zip(OFFICES, (key_of(SEED, name) for name in heard.OFFICES), strict=True))
TWO = Needed(offices=2, answered_within_s=100.0)
LADDER = list(Step)
FORGER = heard.named(heard.ROSTER_FORGER)
A, B, C = OFFICES


def at(seconds: float) -> datetime:
    return declaration().period.start + timedelta(seconds=seconds)


@cache
def raised(
    by: str,
    seconds: float,
    step: Step = Step.CLARIFY,
    activity: Activity = Activity.EXCHANGE,
    pods: tuple[str, ...] = (),
) -> VerifiedStatement:
    said = LeadRaised(
        origin=Origin.SIMULATED, by=by, lead="lead-1", source=HumanSource.WHISTLEBLOWER, clause="no-hidden-training",
        activity=activity, pods=pods, step=step, raised_at=at(seconds),
    )  # fmt: skip
    return signed(said)


@cache
def closed(by: str, seconds: float, closing: Closing = Closing.EXPLAINED) -> VerifiedStatement:
    return signed(LeadClosed(origin=Origin.SIMULATED, by=by, lead="lead-1", closing=closing, closed_at=at(seconds)))


def signed(said: LeadRaised | LeadClosed) -> VerifiedStatement:
    key = KEYS.get(said.by) or key_of(SEED, heard.ROSTER_FORGER)
    return verified([sign_statement(make_statement(said, {"case": digest_of(b"a case")}), key)])[0]


def judged(*statements: VerifiedStatement, source: HumanSource = HumanSource.WHISTLEBLOWER) -> Leads:
    return leads_of(case(CHANNELS, assembled(statements, {})), source, TWO)


def test_two_offices_make_a_lead_and_one_is_named_without_what_it_says() -> None:
    found = judged(raised(A, 1), raised(B, 2))
    assert [(one.id, one.offices, one.closing) for one in found.leads] == [("lead-1", (A, B), None)]
    assert found.open == (f"lead lead-1: open since {at(2):%Y-%m-%d %H:%M:%S}",) or "overdue" in found.open[0]
    alone = judged(raised(A, 1), raised(A, 2))
    text = "lead lead-1: raised by 1 of the 2 offices that it takes, and so not shown"
    assert (alone.leads, alone.open, alone.few, alone.alone) == ((), (text,), (), ())
    given_up = judged(raised(A, 1), raised(A, 2), closed(A, 3))
    assert (given_up.open, given_up.few, given_up.alone) == ((), (text,), ("lead-1",))
    assert judged(raised(A, 1), closed(A, 2), raised(A, 3)).open == (text,)
    assert judged(raised(A, 1), closed(B, 2)).open == (text,)


def test_the_operators_own_inspector_makes_no_second_office() -> None:
    found = judged(raised(A, 1), raised(FORGER, 2), closed(FORGER, 3))
    assert found.leads == ()
    assert found.passed_over == (f"{FORGER}: its key is held by the prover",)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ((Step.CLARIFY, Step.PAUSE), Step.CLARIFY),
        ((Step.INTRUDE, Step.PAUSE), Step.INTRUDE),
        ((Step.PENALTY, Step.CLARIFY, Step.FOCUS), Step.FOCUS),
        ((Step.PENALTY, Step.PENALTY, Step.CLARIFY), Step.PENALTY),
    ],
)
def test_the_furthest_step_for_which_enough_offices_ask(steps: tuple[Step, ...], expected: Step) -> None:
    found = judged(*(raised(office, 1, step) for office, step in zip(OFFICES, steps, strict=False)))
    assert found.leads[0].step is expected


def test_an_office_that_says_otherwise_is_named_and_two_that_differ_show_nothing() -> None:
    found = judged(raised(A, 1), raised(B, 1), raised(C, 1, Step.PAUSE, Activity.SILENCED))
    assert (found.leads[0].offices, found.leads[0].step) == ((A, B), Step.CLARIFY)
    assert found.few == (f"lead lead-1: {C} says otherwise",)
    apart = judged(raised(A, 1), raised(B, 1, Step.CLARIFY, Activity.SILENCED))
    assert apart.leads == ()
    assert apart.open == ("lead lead-1: 2 offices raised it, and differ in activity",)


def test_the_order_in_which_pods_are_named_is_no_difference() -> None:
    found = judged(
        raised(A, 1, Step.FOCUS, Activity.EXCHANGE, ("pod-2", "pod-1")),
        raised(B, 1, Step.FOCUS, Activity.EXCHANGE, ("pod-1", "pod-2")),
    )
    assert found.leads[0].pods == ("pod-1", "pod-2")


def test_an_office_may_learn_more_and_what_it_says_at_one_time_must_be_one_thing() -> None:
    found = judged(raised(A, 1, Step.CLARIFY, Activity.SILENCED), raised(A, 2), raised(B, 1))
    assert found.leads[0].activity is Activity.EXCHANGE
    forked = judged(raised(A, 1, Step.CLARIFY, Activity.SILENCED), raised(A, 1), raised(B, 1))
    assert forked.leads == ()
    assert f"what {A} says at one time" in forked.open[0]


def test_closed_by_enough_offices_for_one_reason() -> None:
    both = (raised(A, 1), raised(B, 1))
    assert judged(*both, closed(A, 50), closed(B, 60)).leads[0].closing is Closing.EXPLAINED
    assert judged(*both, closed(A, 50), closed(B, 60)).open == ()
    single = judged(*both, closed(A, 50))
    assert single.leads[0].closing is None
    assert "closed by 1 of the 2 offices" in single.open[0]
    differing = judged(*both, closed(A, 50), closed(B, 60), closed(C, 60, Closing.CONFIRMED))
    assert differing.leads[0].closing is None
    assert "different reasons: confirmed by 1, explained by 2" in differing.open[0]


def test_late_and_confirmed_leads_stay_named() -> None:
    both = (raised(A, 1), raised(B, 1))
    late = judged(*both, closed(A, 101), closed(B, 102))
    assert late.leads[0].closing is Closing.EXPLAINED
    assert late.open == ("lead lead-1: closed late: after 101 s, where 100 s are agreed",)
    confirmed = judged(*both, closed(A, 50, Closing.CONFIRMED), closed(B, 50, Closing.CONFIRMED))
    assert "closed as confirmed" in confirmed.open[0]


def test_whoever_raises_it_again_opens_it_again() -> None:
    course = (raised(A, 1), raised(B, 1), closed(A, 50), closed(B, 60))
    assert judged(*course, raised(A, 55)).leads[0].closing is None
    assert judged(*course, raised(A, 55), closed(A, 70)).leads[0].closing is Closing.EXPLAINED


def test_a_lead_that_nobody_raised_was_kept_back_whichever_source_it_is_of() -> None:
    for source in HumanSource:
        found = judged(closed(A, 1), closed(B, 1), source=source)
        assert found.open == ("lead lead-1: was kept back: nobody raised it here",)


def test_a_lead_of_the_other_kind_of_source_is_not_this_mechanisms() -> None:
    assert judged(raised(A, 1), raised(B, 1), source=HumanSource.INTERVIEW) == Leads()


# --- a slow oracle ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Word:
    """What one office says at one time: a step that it asks for, or that it closes."""

    office: str
    second: int
    step: Step | None


words = st.lists(
    st.builds(Word, st.sampled_from(OFFICES), st.integers(0, 20), st.one_of(st.none(), st.sampled_from(LADDER[:3]))),
    min_size=1,
    max_size=8,
    unique_by=lambda word: (word.office, word.second),
)


def slow(said: Sequence[Word]) -> tuple[str, Step | None]:
    """Replays every office by itself, second by second."""
    asks: dict[str, Step] = {}
    shut: dict[str, bool] = {}
    for second in range(21):
        for word in said:
            if word.second == second and word.step is not None:
                asks[word.office], shut[word.office] = word.step, False
            elif word.second == second:
                shut[word.office] = True
    if len(asks) < 2:
        return ("nothing" if not asks else "alone" if all(shut[office] for office in asks) else "not shown"), None
    step = max(
        (one for one in LADDER if sum(LADDER.index(ask) >= LADDER.index(one) for ask in asks.values()) >= 2),
        key=LADDER.index,
    )
    return ("closed" if sum(shut.values()) >= 2 else "open"), step


@settings(max_examples=60, deadline=None)
@given(words)
def test_leads_are_as_a_slow_replay_of_every_office_has_them(said: list[Word]) -> None:
    found = judged(
        *(raised(one.office, one.second, one.step) if one.step else closed(one.office, one.second) for one in said)
    )
    state, step = slow(said)
    assert bool(found.leads) is (state in ("open", "closed"))
    assert (found.alone == ("lead-1",)) is (state == "alone")
    # Of what nobody raised, whatever closes it was kept back.
    assert bool(found.open) is (state in ("open", "not shown") or (state == "nothing" and bool(said)))
    if found.leads:
        assert found.leads[0].step is step
        assert (found.leads[0].closing is not None) is (state == "closed")
