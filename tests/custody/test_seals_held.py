"""What seals held: against a slow oracle that asks of every hour by itself, and each fault by name."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seals_cases import applied, at, checked

from inspectorate.agreement.chips import SealedPlaces
from inspectorate.agreement.kinds import ClauseKind
from inspectorate.canonical import digest_of
from inspectorate.evidence import VerifiedStatement
from inspectorate.evidence.custody import SealDecision
from inspectorate.mechanisms.custody.held import not_held
from inspectorate.mechanisms.custody.seals.held import SealFault, Why, judge_seals
from inspectorate.quantities import Period

INTACT, BROKEN, UNCLEAR = SealDecision.INTACT, SealDecision.BROKEN, SealDecision.UNCLEAR
PERIOD = Period(start=at(0), end=at(100))
AGREED, OTHER = digest_of(b"agreed"), digest_of(b"other")


def terms(every_h: float = 24, calibrations: tuple[str, ...] = ()) -> SealedPlaces:
    return SealedPlaces(kind=ClauseKind.SEALED_PLACES, checked_every_s=every_h * 3600, calibrations=calibrations)


def faults(*statements: VerifiedStatement, of: SealedPlaces | None = None) -> list[SealFault]:
    return [one.fault for one in judge_seals(statements, of or terms(), PERIOD).faults]


def test_a_seal_holds_from_its_application_to_its_last_intact_check_and_no_longer() -> None:
    seal = applied()
    judged = judge_seals([checked(seal, 40), checked(seal, 20), seal], terms(), PERIOD)
    assert [(one.period.start, one.period.end) for one in judged.held] == [(at(0), at(20)), (at(20), at(40))]
    assert [(one.period.start, one.period.end, one.why) for one in judged.unheld] == [(at(40), at(100), Why.UNCHECKED)]
    assert not_held(judged.held, site="site-1", place="rack-1", period=PERIOD) == [Period(start=at(40), end=at(100))]
    assert not_held(judged.held, site="site-2", place="rack-1", period=PERIOD) == [PERIOD]
    assert judged.faults == ()


def test_a_check_that_came_too_late_holds_nothing_of_its_stretch_and_all_places_follow() -> None:
    seal = applied(places=("rack-1", "rack-2"))
    judged = judge_seals([seal, checked(seal, 30), checked(seal, 50)], terms(), PERIOD)
    assert {(one.place, one.period.start) for one in judged.held} == {("rack-1", at(30)), ("rack-2", at(30))}
    assert [one.why for one in judged.unheld if one.place == "rack-2"] == [Why.LATE, Why.UNCHECKED]


def test_a_broken_seal_held_nothing_since_it_was_last_intact_and_nothing_mends_it() -> None:
    seal = applied()
    last = checked(seal, 40)
    judged = judge_seals([seal, checked(seal, 10), checked(seal, 30, BROKEN), last], terms(), PERIOD)
    assert [(one.period.start, one.period.end) for one in judged.held] == [(at(0), at(10))]
    assert [(one.period.start, one.why) for one in judged.unheld] == [(at(10), Why.BROKEN), (at(30), Why.BROKEN)]
    assert len(judged.broken) == 1
    assert [(one.fault, one.statement) for one in judged.faults] == [(SealFault.CHECKED_AFTER_BROKEN, last.digest)]


def test_at_one_moment_the_gravest_decision_counts() -> None:
    seal = applied()
    judged = judge_seals([seal, checked(seal, 10), checked(seal, 10, BROKEN, by="ivan")], terms(), PERIOD)
    assert judged.held == ()
    assert len(judged.broken) == 1


def test_an_unclear_check_neither_ends_a_stretch_nor_carries_it_on() -> None:
    seal = applied()
    ended = judge_seals([seal, checked(seal, 12, UNCLEAR)], terms(), PERIOD)
    assert ended.held == ()
    assert [one.why for one in ended.unheld] == [Why.UNCLEAR]
    followed = judge_seals([seal, checked(seal, 12, UNCLEAR), checked(seal, 20)], terms(), PERIOD)
    assert [one.period.end for one in followed.held] == [at(20)]
    assert len(followed.held[0].evidence) == 3


def test_faults_are_named() -> None:
    seal, late = applied(), applied("s2", 50)
    assert faults(seal, applied(hours=1), checked(seal, 5)) == [SealFault.NAME_TWICE] * 2
    assert faults(late, checked(late, 10)) == [SealFault.CHECKED_BEFORE]
    assert faults(checked(seal, 10)) == [SealFault.APPLIED_MISSING]
    assert faults(seal, checked(seal, 10, by="owner")) == [SealFault.PROVER_SIGNED]
    assert faults(applied(by="owner")) == [SealFault.PROVER_SIGNED]
    assert faults(seal, checked(seal, 10, number=-3.0)) == [SealFault.AGAINST_NUMBER]
    assert faults(seal, checked(seal, 10, BROKEN, number=3.0)) == [SealFault.AGAINST_NUMBER]
    assert faults(seal, checked(seal, 10), of=terms(calibrations=(AGREED,))) == [SealFault.NOT_COMPARED]
    other = checked(seal, 10, calibration=OTHER, number=4.0)
    assert faults(seal, other, of=terms(calibrations=(AGREED,))) == [SealFault.CALIBRATION_OTHER]
    assert faults(seal, checked(seal, 10, calibration=AGREED, number=4.0), of=terms(calibrations=(AGREED,))) == []


@pytest.mark.parametrize("fault", ["twice", "prover", "before", "calibration"])
def test_what_is_faulty_holds_nothing(fault: str) -> None:
    seal = applied(hours=5)
    calibrations = (AGREED,) if fault == "calibration" else ()
    statements = {
        "twice": [seal, applied(hours=6), checked(seal, 10)],
        "prover": [seal, checked(seal, 10, by="owner")],
        "before": [seal, checked(seal, 2)],
        "calibration": [seal, checked(seal, 10, calibration=OTHER, number=9.0)],
    }[fault]
    assert judge_seals(statements, terms(calibrations=calibrations), PERIOD).held == ()


def test_that_a_seal_is_broken_is_heard_however_it_was_compared_and_whatever_its_name() -> None:
    seal = applied()
    by_eye = judge_seals([seal, checked(seal, 10, BROKEN)], terms(calibrations=(AGREED,)), PERIOD)
    assert len(by_eye.broken) == 1
    twice = judge_seals([seal, applied(hours=1), checked(seal, 10, BROKEN)], terms(), PERIOD)
    assert len(twice.broken) == 1
    assert twice.held == ()


def test_what_is_said_is_cut_to_the_period_and_no_statement_is_no_seal() -> None:
    seal = applied()
    judged = judge_seals([seal, checked(seal, 20)], terms(), Period(start=at(10), end=at(15)))
    assert [(one.period.start, one.period.end) for one in judged.held] == [(at(10), at(15))]
    assert judged.unheld == ()
    assert judge_seals([], terms(), PERIOD).held == ()


def held_at(hour: float, begun: float, checks: list[tuple[float, SealDecision]], every: float) -> bool:
    """The rule asked of one moment, by itself: between which two looks did it lie, and did both find the seal intact?"""
    broken = [time for time, decision in checks if decision is BROKEN and time >= begun]
    intact = [time for time, decision in checks if decision is INTACT and time >= begun and time not in broken]
    if broken:
        intact = [time for time in intact if time < min(broken)]
    before = max([begun, *(time for time in intact if time <= hour)])
    after = min((time for time in intact if time > hour), default=None)
    if hour < begun or after is None or (broken and min(broken) <= after):
        return False
    return after - before <= every


CHECKS = st.lists(st.tuples(st.integers(0, 40), st.sampled_from([INTACT, INTACT, INTACT, UNCLEAR, BROKEN])), max_size=5)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 15), CHECKS, st.integers(1, 20))
def test_every_moment_is_held_exactly_where_the_rule_says(
    begun: int, checks: list[tuple[int, SealDecision]], every: int
) -> None:
    seal = applied(hours=begun)
    judged = judge_seals([seal, *(checked(seal, time, decision) for time, decision in checks)], terms(every), PERIOD)
    spoken = [(float(time), decision) for time, decision in checks]
    for hour in range(45):
        moment = at(hour + 0.5)
        held = any(one.period.contains(moment) for one in judged.held)
        assert held == held_at(hour + 0.5, begun, spoken, every)
        named = held or any(one.period.contains(moment) for one in judged.unheld)
        assert named == (hour + 0.5 >= begun), "a moment under a seal is held, or it is said why not"
    assert all(one.period.duration_s <= every * 3600 for one in judged.held)
    assert sum((one.period.duration_s for one in judged.unheld), 0.0) >= timedelta(hours=60).total_seconds() - 1
