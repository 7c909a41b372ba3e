"""Sums of what was used against what was licensed, and the bound for the account, each beside a slow oracle."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from guard_site_evidence import GUARDED, GUILTY, LICENSED, agreement, appraised, case, declaration, evidence
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.account import take_account
from inspectorate.assessment import Verdict
from inspectorate.evidence import GuardReported, LicenceApplied, RulesetInForce
from inspectorate.mechanisms.guarantee.appraise.bound import Spent, hidden_in, near, rate_of
from inspectorate.mechanisms.guarantee.appraise.common import guards_of
from inspectorate.mechanisms.guarantee.appraise.licensed import Budget, pay
from inspectorate.mechanisms.guarantee.observe import Said
from inspectorate.quantities import Period
from inspectorate.worlds.guard_cheats import GUARD_CHEATS

T0 = datetime(2026, 3, 2, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def span(start: float, end: float) -> Period:
    return Period(start=at(start), end=at(end))


spans = st.tuples(st.integers(0, 9), st.integers(1, 6)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@settings(max_examples=150, deadline=None)
@given(
    amounts=st.lists(st.integers(0, 9), min_size=1, max_size=8),
    budgets=st.lists(st.tuples(spans, st.integers(1, 12)), max_size=4),
)
def test_nothing_pays_better_than_what_expires_first(
    amounts: list[int], budgets: list[tuple[tuple[int, int], int]]
) -> None:
    """The oracle pays as much as any assignment can: what was used in a report, out of a budget that overlaps it or a later one."""
    periods = [span(k, k + 1) for k in range(len(amounts))]
    given_ = [Budget(amount=float(amount), start=at(a), end=at(b)) for (a, b), amount in budgets]
    owed = pay(periods, [float(one) for one in amounts], given_)[-1]
    # A debt is paid in any report from its own on in which the budget can be used.
    fits = [
        {
            k
            for k, one in enumerate(given_)
            if any(one.start < period.end and period.start < one.end for period in periods[use:])
        }
        for use in range(len(amounts))
    ]
    best = matched([fits[use] for use, amount in enumerate(amounts) for _ in range(amount)], [a for _, a in budgets])
    assert owed == sum(amounts) - best


def matched(wants: list[set[int]], amounts: list[int]) -> int:
    """How many wants, each for one unit of any of some budgets, can be met: by augmenting paths, one unit at a time."""
    holders: list[list[int]] = [[] for _ in amounts]

    def place(want: int, tried: set[int]) -> bool:
        for k in sorted(wants[want] - tried):
            tried.add(k)
            if len(holders[k]) < amounts[k]:
                holders[k].append(want)
                return True
            for other in list(holders[k]):
                if place(other, tried):
                    holders[k].remove(other)
                    holders[k].append(want)
                    return True
        return False

    return sum(place(want, set()) for want in range(len(wants)))


@settings(max_examples=100, deadline=None)
@given(
    works=st.lists(st.floats(0, 30), min_size=3, max_size=12),
    cut=st.tuples(st.floats(0, 100), st.floats(1, 60)),
    gap=st.integers(0, 20),
)
def test_no_way_of_spreading_the_work_hides_more_than_the_bound(
    works: list[float], cut: tuple[float, float], gap: int
) -> None:
    """Work is done at the full rate, at the worst moments of each report; where nothing is reported, all the time."""
    rate, p = 3.0, 10.0
    spent = [
        Spent(period=span(gap + k * p, gap + (k + 1) * p), flop=min(work, rate * p), source=None)
        for k, work in enumerate(works)
    ]
    a, b = cut[0], cut[0] + cut[1]
    worst = 0.0
    for k, one in enumerate(spent):
        inside = max(0.0, min(b, gap + (k + 1) * p) - max(a, gap + k * p))
        worst += min(one.flop, rate * inside)
    reported = max(0.0, min(b, gap + len(works) * p) - max(a, float(gap)))
    worst += rate * (b - a - reported)
    found = hidden_in(span(a, b), near(spent, span(a, b)), rate)
    if found is None:
        assert reported < 1e-5
    else:
        assert abs(found - worst) <= 1e-4 * max(1.0, worst)


def largest(interval_s: float, **changes: object) -> tuple[float, float]:
    """(hidden, capacity) of the guarded pods alone."""
    found = appraised(LICENSED, evidence(), **changes)
    rate = rate_of(case(LICENSED, evidence()), GUILTY)
    account = take_account(
        [found[GUILTY]],
        capacities={GUILTY: rate},
        period=declaration().period,
        interval_s=interval_s,
        confidence=agreement().assurance_confidence,
    )
    return account.hidden_flop_max, account.capacity_flop


def test_the_account_counts_all_that_was_metered_at_any_interval() -> None:
    used = sum(next(m.used for m in one.checkpoint.meters if m.meter.value == "flop") for one in reports())
    for interval_s in (60.0, 300.0, 3600.0, 137.0, 251.0):
        hidden, capacity = largest(interval_s)
        inside = used * declaration().period.duration_s / sum(one.period.duration_s for one in reports())
        assert hidden < capacity
        assert hidden >= 0.95 * inside, "never less than what was metered"
    assert largest(3600.0)[0] <= used * (1 + 1e-9)


def reports() -> tuple[Said, ...]:
    return guards_of(case(GUARDED, evidence()))[GUILTY].seen[0].usable


def test_no_bound_where_a_tpm_was_agreed_and_there_is_none() -> None:
    software = evidence(GUARD_CHEATS["guard-in-software"])
    assert appraised(LICENSED, software)[GUILTY].hidden == ()


def test_longer_licences_than_agreed_speak_against_the_party() -> None:
    one = appraised(LICENSED, evidence(), valid_s_max=3600.0)[GUILTY]
    assert one.log_e > 10
    assert any("longer than agreed" in reason for reason in one.reasons)


def test_a_meter_that_is_not_budgeted_or_not_known_is_named() -> None:
    one = appraised(LICENSED, evidence(), meters=("flop", "energy-j"))[GUILTY]
    assert any("has no budget of energy-j" in reason for reason in one.reasons)
    one = appraised(LICENSED, evidence(), meters=("flop", "joules"))[GUILTY]
    assert any("joules is no meter" in reason for reason in one.reasons)


def test_a_missing_report_is_counted_as_all_that_could_be_done() -> None:
    seen = evidence()
    dropped = next(
        one
        for one in seen.reports
        if isinstance(one.predicate, GuardReported)
        and one.predicate.reporter == f"guard-{GUILTY}"
        and one.predicate.period.start > declaration().period.start
    )
    less = replace(seen, reports=tuple(one for one in seen.reports if one is not dropped))
    minute = [
        {
            b.scope.period.start: b.flop_max
            for b in appraised(LICENSED, e)[GUILTY].hidden
            if b.flop_max and b.scope.period.duration_s == 60
        }
        for e in (seen, less)
    ]
    differ = [start for start in minute[0] if minute[0][start] != minute[1].get(start)]
    assert 1 <= len(differ) <= 2, "no cell but those that it touched is worse"
    assert all(minute[1].get(start, float("inf")) > minute[0][start] for start in differ)


def test_a_licence_that_is_missing_accuses_nobody() -> None:
    seen = evidence()
    less = replace(seen, reports=tuple(one for one in seen.reports if not isinstance(one.predicate, LicenceApplied)))
    one = appraised(LICENSED, less)[GUILTY]
    assert one.log_e <= 0
    assert one.verdict is Verdict.INCONCLUSIVE
    assert any("is not in the evidence" in reason for reason in one.reasons)


def test_a_ruleset_whose_predecessor_is_missing_accuses_nobody() -> None:
    seen = evidence()
    less = replace(
        seen,
        reports=tuple(
            one
            for one in seen.reports
            if not (isinstance(one.predicate, RulesetInForce) and one.predicate.version == 1)
        ),
    )
    one = appraised(GUARDED, less)[GUILTY]
    assert one.log_e <= 0
    assert any("the ruleset in force is not in the evidence" in reason for reason in one.reasons)
