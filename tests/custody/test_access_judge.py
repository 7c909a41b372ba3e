"""Challenge inspections: quota, clock, refusals and exits, each told from the others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from inspectorate.agreement import ChallengeAccess, ClauseKind
from inspectorate.evidence import InspectionRequested, Origin
from inspectorate.evidence.custody import AccessLogged, AccessStep
from inspectorate.mechanisms.custody.access import Access, AccessFault, Logged, Outcome, Requested, judge_access

START = datetime(2026, 6, 1, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
CLAUSE = ChallengeAccess(kind=ClauseKind.CHALLENGE_ACCESS, per_party_per_year_max=3, access_within_s=86_400)


def digest(text: str) -> str:
    return "sha256:" + text.encode().hex().ljust(64, "0")[:64]


def asked(name: str = "r1", number: int = 1, at: datetime = START, **other: object) -> Requested:
    by, independent = other.pop("by", "office-1"), bool(other.pop("independent", True))
    said = InspectionRequested.model_validate({
        "origin": Origin.SIMULATED, "by": by, "party": "party-a", "request": name, "site": "site-1", "number": number,
        "requested_at": at, "access_by": at + 24 * HOUR, **other,
    })  # fmt: skip
    return Requested(digest=digest(f"{name}{by}"), said=said, independent=independent)


def logged(step: AccessStep, hours: float, of: Requested | None = None, **other: object) -> Logged:
    by, independent = other.pop("by", "inspector-1"), bool(other.pop("independent", True))
    request = (of or asked()).digest
    said = AccessLogged.model_validate({
        "origin": Origin.SIMULATED, "by": by, "request": request, "step": step, "logged_at": START + hours * HOUR, **other,
    })  # fmt: skip
    return Logged(digest=digest(f"{step}{hours}{by}"), said=said, independent=independent)


def judged(requests: list[Requested], logs: list[Logged], hours: float = 100) -> Access:
    return judge_access(requests, logs, clause=CLAUSE, party="party-a", as_of=START + hours * HOUR)


ARRIVED, ADMITTED, REFUSED, LEFT = AccessStep.ARRIVED, AccessStep.ADMITTED, AccessStep.REFUSED, AccessStep.LEFT
TICK = 1 / 3_600_000_000
"""A microsecond, in hours."""


@pytest.mark.parametrize(
    ("steps", "as_of", "outcome", "against"),
    [
        ([(ARRIVED, 20), (ADMITTED, 24)], 100, Outcome.GRANTED, False),
        ([(ARRIVED, 20), (ADMITTED, 24 + TICK)], 100, Outcome.LATE, True),
        ([(ADMITTED, 23)], 100, Outcome.GRANTED, False),
        ([(ARRIVED, 20), (REFUSED, 21), (ADMITTED, 23)], 100, Outcome.GRANTED, False),
        ([(ARRIVED, 20), (REFUSED, 21), (ADMITTED, 30)], 100, Outcome.LATE, True),
        ([(ARRIVED, 20), (REFUSED, 21)], 22, Outcome.REFUSED, True),
        ([(REFUSED, 21)], 100, Outcome.REFUSED, True),
        ([(ARRIVED, 20)], 24, Outcome.PENDING, False),
        ([(ARRIVED, 20)], 24.01, Outcome.NOT_ADMITTED, True),
        ([], 24, Outcome.PENDING, False),
        ([], 24.01, Outcome.NO_LOG, False),
        ([(ARRIVED, 25), (REFUSED, 26)], 100, Outcome.CAME_LATE, False),
        ([(ARRIVED, 25), (ADMITTED, 26)], 100, Outcome.CAME_LATE, False),
        ([(ARRIVED, 20), (ADMITTED, 30)], 25, Outcome.NOT_ADMITTED, True),
    ],
)
def test_what_becomes_of_a_request(
    steps: list[tuple[AccessStep, float]], as_of: float, outcome: Outcome, against: bool
) -> None:
    found = judged([asked()], [logged(step, hours) for step, hours in steps], as_of)
    (case,) = found.cases
    assert (case.outcome, case.against_party) == (outcome, against)
    assert found.found == ()
    assert (case in found.pending) == (outcome is Outcome.PENDING)
    assert case.shows_granted == (outcome is Outcome.GRANTED)


def test_waiting_time_and_exits() -> None:
    logs = [
        logged(ARRIVED, 2), logged(ADMITTED, 5, exits_inspected=7), logged(LEFT, 30),
        logged(ARRIVED, 2, by="inspector-2"), logged(ADMITTED, 5, by="inspector-2", exits_inspected=6),
    ]  # fmt: skip
    (case,) = judged([asked()], logs).cases
    assert case.waited == 3 * HOUR
    assert (case.exits_inspected, case.left_at) == (7, START + 30 * HOUR)
    refused = judged([asked()], [logged(ARRIVED, 2), logged(ADMITTED, 5, exits_refused=2)])
    assert [one.fault for one in refused.found] == [AccessFault.EXIT_REFUSED]
    assert refused.found[0].against_party
    assert refused.cases[0].outcome is Outcome.GRANTED
    assert refused.cases[0].against_party
    assert not refused.cases[0].shows_granted


def test_several_offices_state_one_request() -> None:
    both = [asked(), asked(by="office-2", at=START + HOUR, access_by=START + 25 * HOUR)]
    found = judged(both, [logged(ARRIVED, 2, both[1]), logged(ADMITTED, 24.5, both[0])])
    (case,) = found.cases
    assert (case.due, case.outcome, found.found) == (START + 25 * HOUR, Outcome.GRANTED, ())
    differ = judged([asked(), asked(by="office-2", site="site-2")], [logged(REFUSED, 2)])
    assert [one.fault for one in differ.found] == [AccessFault.OFFICES_DIFFER]
    assert differ.cases[0].outcome is Outcome.VOID
    assert not differ.cases[0].against_party


def test_numbers_run_on_within_each_year() -> None:
    new_year = datetime(2027, 1, 1, tzinfo=UTC)
    fine = [asked("a", 1), asked("b", 2, START + HOUR), asked("c", 1, new_year)]
    access = judge_access(fine, [], clause=CLAUSE, party="party-a", as_of=new_year)
    assert access.found == ()
    assert (access.used(2026), access.used(2027)) == (2, 1)
    assert [(one.year, one.number) for one in access.cases] == [(2026, 1), (2026, 2), (2027, 1)]
    late = [asked("a", 1), asked("b", 1, datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC))]
    repeated = judge_access(late, [], clause=CLAUSE, party="party-a", as_of=new_year)
    assert [one.fault for one in repeated.found] == [AccessFault.NUMBER_REPEATED]
    skipped = judged([asked("a", 1), asked("c", 3)], [])
    assert [one.fault for one in skipped.found] == [AccessFault.NUMBER_SKIPPED]


def test_over_quota_need_not_be_granted() -> None:
    four = [asked(f"r{number}", number) for number in range(1, 5)]
    found = judged(four, [logged(REFUSED, 2, four[3], exits_refused=3)])
    assert [one.fault for one in found.found] == [AccessFault.OVER_QUOTA]
    assert found.cases[3].outcome is Outcome.OVER_QUOTA
    assert not found.cases[3].against_party


def test_a_short_clock_is_the_office_s_fault_and_the_clause_counts() -> None:
    short = asked(access_by=START + 2 * HOUR)
    found = judged([short], [logged(ARRIVED, 1, short), logged(ADMITTED, 20, short)])
    assert [one.fault for one in found.found] == [AccessFault.CLOCK_SHORT]
    assert (found.cases[0].due, found.cases[0].outcome) == (START + 24 * HOUR, Outcome.GRANTED)


@pytest.mark.parametrize(
    ("requests", "logs", "fault"),
    [
        ([], [logged(REFUSED, 2)], AccessFault.REQUEST_MISSING),
        ([asked()], [logged(ADMITTED, -1)], AccessFault.OUT_OF_ORDER),
        ([asked()], [logged(LEFT, 5)], AccessFault.OUT_OF_ORDER),
        ([asked()], [logged(LEFT, 5), logged(ARRIVED, 6)], AccessFault.OUT_OF_ORDER),
        ([asked()], [logged(ADMITTED, 5, independent=False)], AccessFault.SIGNER_DEPENDENT),
    ],
)
def test_logs_that_do_not_fit(requests: list[Requested], logs: list[Logged], fault: AccessFault) -> None:
    found = judged(requests, logs, 12)
    assert [one.fault for one in found.found] == [fault]
    assert not any(one.against_party for one in found.found)


def test_what_the_prover_signs_itself_admits_nobody() -> None:
    found = judged([asked()], [logged(ARRIVED, 2), logged(ADMITTED, 5, independent=False)])
    assert found.cases[0].outcome is Outcome.NOT_ADMITTED
    own = judged([asked(independent=False)], [])
    assert own.cases == ()
