"""What people said, held against assessments: supported, contradicted, untouched, and which step follows."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspectorate.account import take_account
from inspectorate.agreement import ClauseKind
from inspectorate.assessment import Assessment, HiddenBound, Lead, Scope, Verdict
from inspectorate.corroboration import SPEAKS_AGAINST, SUPPORTING_E, TOUCHES, HeardLead, Standing, corroborate
from inspectorate.evidence import Activity, Closing, HumanSource, Step
from inspectorate.findings import ALARMING_KINDS
from inspectorate.quantities import Period

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
WHOLE = Period(start=START, end=START + 4 * HOUR)
SECOND = Period(start=START + HOUR, end=START + 2 * HOUR)
KINDS = {
    "cables": ClauseKind.DECLARED_CABLING,
    "apart": ClauseKind.POD_ISOLATION,
    "rate": ClauseKind.INTERCONNECT_LIMIT,
}
RATE = 1e6
"""Of either pod [FLOP/s]."""


def lead(activity: Activity = Activity.REWIRED, **more: Any) -> Lead:
    fields = {
        "id": "lead-1", "source": HumanSource.INTERVIEW, "bears_on": "cables", "activity": activity,
        "pods": ("a",), "period": SECOND,
        "offices": ("one", "two"), "step": Step.CLARIFY, "evidence_ids": ("e",),
    }  # fmt: skip
    return Lead.model_validate(fields | more)


def assess(
    clause: str,
    verdict: Verdict = Verdict.CONSISTENT,
    pods: tuple[str, ...] = ("a",),
    when: Period = WHOLE,
    e_value: float | None = None,
) -> Assessment:
    return Assessment(
        clause=clause,
        mechanism="m",
        scope=Scope(pods=pods, period=when),
        verdict=verdict,
        log_e=None if e_value is None else math.log(e_value),
        assumptions=("nobody lies",),
        evidence_ids=("e",),
        reasons=(f"{clause} of {'+'.join(pods)}",),
    )


def held(said: Lead, *assessments: Assessment, share: float | None = None) -> HeardLead:
    bounded = ()
    if share is not None:
        bound = HiddenBound(
            statement="s", miss_probability=0.001, scope=Scope(pods=("a", "b"), period=WHOLE), share_max=share
        )
        bounded = (assess("rate", pods=("a", "b")).model_copy(update={"hidden": (bound,)}),)
    account = take_account(bounded, capacities={"a": RATE, "b": RATE}, period=WHOLE, interval_s=3600.0, confidence=0.99)
    return corroborate(said, assessments, account, kinds=KINDS)


def against(clause: str, pods: tuple[str, ...] = ("a",), when: Period = WHOLE, e_value: float = 1e3) -> Assessment:
    return assess(clause, Verdict.INCONCLUSIVE, pods, when, e_value)


def test_what_machines_say_of_the_same_place_and_time_supports_it() -> None:
    found = held(lead(), against("cables"))
    assert (found.standing, found.next_step) == (Standing.SUPPORTED, Step.INTRUDE)
    assert found.by == ("cables (m, a): inconclusive: cables of a",)


@pytest.mark.parametrize(
    "elsewhere",
    [
        against("cables", ("b",)),
        against("cables", when=Period(start=START, end=START + HOUR)),
        against("apart"),
        against("cables", e_value=SUPPORTING_E * 0.99),
        assess("cables", Verdict.INCONSISTENT),
    ],
    ids=["another pod", "another time", "another matter", "too weak", "a word without an e-value"],
)
def test_what_machines_say_of_something_else_does_not(elsewhere: Assessment) -> None:
    found = held(lead(), elsewhere)
    assert (found.standing, found.next_step, found.by) == (Standing.UNTOUCHED, Step.FOCUS, ())


def test_support_is_of_all_that_touches_it_together() -> None:
    """Else whoever names many pods would find support by chance."""
    one = against("cables", e_value=SUPPORTING_E * 2)
    assert held(lead(), one, assess("cables", e_value=1e-9)).standing is Standing.SUPPORTED
    assert held(lead(), one, *[assess("cables", e_value=1e-9)] * 2).standing is not Standing.SUPPORTED


def test_consistent_throughout_contradicts_it_under_assumptions() -> None:
    found = held(lead(), assess("cables"))
    assert (found.standing, found.next_step) == (Standing.CONTRADICTED, Step.CLARIFY)
    assert found.assumptions == ("nobody lies",)


@pytest.mark.parametrize(
    "short",
    [
        (assess("cables", when=Period(start=START, end=START + 1.5 * HOUR)),),
        (assess("cables"), assess("cables", Verdict.NOT_OBSERVED)),
        (assess("rate"),),
    ],
    ids=["half of the time", "not all observed", "of no kind that would show it"],
)
def test_less_than_that_does_not(short: tuple[Assessment, ...]) -> None:
    assert held(lead(), *short).standing is Standing.UNTOUCHED


def test_two_assessments_that_abut_contradict_together_and_two_with_a_hole_do_not() -> None:
    middle = SECOND.start + HOUR / 2
    first = assess("cables", when=Period(start=SECOND.start, end=middle))
    assert (
        held(lead(), first, assess("cables", when=Period(start=middle, end=SECOND.end))).standing
        is Standing.CONTRADICTED
    )
    late = assess("cables", when=Period(start=middle + HOUR / 9, end=SECOND.end))
    assert held(lead(), first, late).standing is Standing.UNTOUCHED


def test_a_gap_where_somebody_points_is_named() -> None:
    found = held(lead(), assess("cables", Verdict.NOT_OBSERVED))
    assert found.gaps == ("cables (m, a): not-observed: cables of a",)
    assert found.standing is Standing.UNTOUCHED


def test_training_is_contradicted_only_by_what_the_account_leaves() -> None:
    # An hour of one pod holds 3.6e9 FLOP; 10 % of it may be hidden, and 1.44e9 in four hours.
    said = lead(Activity.TRAINING, flop_min=1e9)
    assert held(said).standing is Standing.UNTOUCHED
    assert held(said, share=0.5).standing is Standing.UNTOUCHED
    found = held(said, share=0.1)
    assert found.standing is Standing.CONTRADICTED
    assert "at most 7.2e+08 FLOP" in found.by[0]
    assert held(said.model_copy(update={"flop_min": None}), share=0.0).standing is Standing.UNTOUCHED
    outside = Period(start=START - HOUR, end=START + HOUR)
    assert held(said.model_copy(update={"period": outside}), share=0.0).standing is Standing.UNTOUCHED


def test_the_account_says_nothing_of_other_pods_and_other_times() -> None:
    said = lead(Activity.TRAINING, flop_min=1e9)
    assert held(said, share=0.0).standing is Standing.CONTRADICTED
    for change in ({"pods": ("a", "elsewhere")}, {"period": None}):
        assert held(said.model_copy(update=change), share=0.0).standing is Standing.UNTOUCHED
    assert held(said.model_copy(update={"pods": ()}), share=0.0).standing is Standing.CONTRADICTED


def test_a_closed_lead_has_no_next_step() -> None:
    assert held(lead(closing=Closing.EXPLAINED)).next_step is None


@given(st.sampled_from(list(Activity)), st.sampled_from(list(Step)), st.sampled_from(list(Verdict)))
def test_no_machine_takes_back_a_step_that_offices_ask_for(activity: Activity, step: Step, verdict: Verdict) -> None:
    found = held(lead(activity, step=step), *(assess(name, verdict) for name in KINDS))
    assert found.next_step is not None
    assert list(Step).index(found.next_step) >= list(Step).index(step)
    assert found.next_step in (step, Step.CLARIFY, Step.FOCUS, Step.INTRUDE)


def test_every_activity_has_its_kinds_and_human_sources_are_none_of_them() -> None:
    assert set(TOUCHES) == set(Activity)
    assert all(kinds <= TOUCHES[activity] for activity, kinds in SPEAKS_AGAINST.items())
    human = {ClauseKind.REPORTING_CHANNELS, ClauseKind.INTERVIEWED_STAFF}
    assert not human & ({kind for kinds in TOUCHES.values() for kind in kinds} | ALARMING_KINDS)
