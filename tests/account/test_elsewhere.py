"""Chips that may be elsewhere: the rule of the account, its properties, and exhaustive search as oracle."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.account import Account, take_account
from inspectorate.assessment import Assessment, HiddenBound, Joining, Outside, Scope, Verdict
from inspectorate.quantities import Period

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
PODS = ("a", "b", "c")
Part = HiddenBound | Joining | Outside


def hours(first: float, last: float) -> Period:
    return Period(start=START + first * HOUR, end=START + last * HOUR)


TWO_HOURS = hours(0, 2)


def scope(pods: Iterable[str], period: Period) -> Scope:
    return Scope(pods=tuple(sorted(pods)), period=period)


def outside(statement: str, pods: Iterable[str], period: Period, share: float, miss: float = 0.0) -> Outside:
    return Outside(statement=statement, miss_probability=miss, scope=scope(pods, period), share_max=share)


ASKED = outside("asked", PODS, TWO_HOURS, 1.0)


def taken(parts: Sequence[Part], rates: Mapping[str, float], *, interval_s: float = 3600.0) -> Account:
    said = Assessment(
        clause="c", mechanism="m", scope=scope(PODS, TWO_HOURS), verdict=Verdict.INCONCLUSIVE, evidence_ids=("e",), reasons=("r",),
        hidden=tuple(p for p in parts if isinstance(p, HiddenBound)),
        joining=tuple(p for p in parts if isinstance(p, Joining)),
        outside=tuple(p for p in parts if isinstance(p, Outside)),
    )  # fmt: skip
    return take_account([said], capacities=rates, period=TWO_HOURS, interval_s=interval_s, confidence=0.99)


RATES = {"a": 4.0, "b": 2.0, "c": 1.0}
LIMIT = Joining(
    statement="limit", miss_probability=0.0, scope=scope(PODS, TWO_HOURS), bytes_per_s_max=1.0, contributions=(1, 0, 0), rule="r"
)  # fmt: skip
QUIET = HiddenBound(statement="quiet", miss_probability=0.0, scope=scope(PODS, TWO_HOURS), share_max=0.01)


def test_nobody_asks_so_nothing_is_said() -> None:
    found = taken([LIMIT], RATES)
    assert found.elsewhere_flop_max is None
    assert found.hidden_flop_max == pytest.approx(4 * 7200)


def test_asked_and_not_counted_leaves_all_capacity() -> None:
    """Bounds of pods hold for the chips in them: with no count, all chips may be elsewhere."""
    found = taken([ASKED, LIMIT, QUIET], RATES)
    assert found.elsewhere_flop_max == found.hidden_flop_max == pytest.approx(7 * 7200)
    assert found.help[0].pod is None
    assert found.help[0].hidden_flop_max == pytest.approx(0.07 * 7200)


def test_a_count_leaves_its_share_beside_the_run_of_the_pods() -> None:
    found = taken([ASKED, LIMIT, QUIET, outside("count", PODS, TWO_HOURS, 0.02, miss=0.01)], RATES)
    assert found.elsewhere_flop_max == pytest.approx(0.02 * 7 * 7200)
    assert found.hidden_flop_max == pytest.approx((0.07 + 0.14) * 7200)
    assert {"asked", "count"} <= {s.statement for s in found.statements}


def test_a_count_serves_only_the_intervals_that_it_covers() -> None:
    found = taken([ASKED, QUIET, outside("count", PODS, hours(0, 1.5), 0.0)], RATES)
    assert found.elsewhere_flop_max == pytest.approx(7 * 3600)


def test_a_count_that_may_miss_too_often_is_not_used() -> None:
    found = taken([ASKED, LIMIT, QUIET, outside("count", PODS, TWO_HOURS, 0.02, miss=0.02)], RATES)
    assert found.hidden_flop_max == pytest.approx(7 * 7200)


def test_pods_and_what_is_elsewhere_never_do_more_than_all_chips() -> None:
    found = taken([ASKED, outside("count", PODS, TWO_HOURS, 0.5)], RATES)
    assert found.hidden_flop_max == pytest.approx(7 * 7200)


def parts_elsewhere() -> st.SearchStrategy[list[Outside]]:
    one = st.builds(
        outside,
        st.sampled_from(("s1", "s2", "s3")),
        st.sets(st.sampled_from(PODS), min_size=1),
        st.sampled_from((hours(0, 1), hours(1, 2), TWO_HOURS)),
        st.sampled_from((0.0, 0.1, 0.25, 0.5, 1.0)),
    )
    return st.lists(one, max_size=4)


def oracle(parts: Sequence[Outside], rates: Mapping[str, float]) -> float:
    """The most that can be elsewhere, in quarters of the smallest pod, tried one by one: never more than the true maximum."""
    step = 0.25
    best = 0.0
    for hour in (hours(0, 1), hours(1, 2)):
        active = [p for p in parts if p.scope.period.start <= hour.start and hour.end <= p.scope.period.end]
        grids = [[step * k for k in range(int(rates[pod] / step) + 1)] for pod in PODS]
        best += 3600 * max(
            sum(x)
            for x in product(*grids)
            if all(
                sum(amount for pod, amount in zip(PODS, x, strict=True) if pod in p.scope.pods)
                <= p.share_max * sum(rates[pod] for pod in p.scope.pods) + 1e-12
                for p in active
            )
        )
    return best


@settings(max_examples=60, deadline=None)
@given(parts_elsewhere())
def test_never_below_exhaustive_search_and_close_to_it(parts: list[Outside]) -> None:
    found = taken([ASKED, QUIET, *parts], RATES).elsewhere_flop_max
    assert found is not None
    searched = oracle(parts, RATES)
    assert found >= searched * (1 - 1e-9)
    assert found <= searched + 2 * 3600 * 0.25 * len(PODS)


@settings(max_examples=60, deadline=None)
@given(parts_elsewhere(), st.data())
def test_more_counts_never_raise_the_run(parts: list[Outside], data: st.DataObject) -> None:
    fewer = data.draw(st.lists(st.sampled_from(parts), unique_by=id)) if parts else []
    whole = taken([ASKED, LIMIT, QUIET, *parts], RATES).hidden_flop_max
    less = taken([ASKED, LIMIT, QUIET, *fewer], RATES).hidden_flop_max
    assert whole <= less * (1 + 1e-8)


@settings(max_examples=30, deadline=None)
@given(parts_elsewhere())
def test_asking_where_chips_are_never_lowers_the_run(parts: list[Outside]) -> None:
    assert taken([ASKED, LIMIT, QUIET, *parts], RATES).hidden_flop_max >= taken([LIMIT, QUIET], RATES).hidden_flop_max


def test_a_large_fleet_with_counts_by_site_takes_no_time_of_note() -> None:
    pods = {f"p{n:05}": 1e18 + n for n in range(20_000)}
    names = sorted(pods)
    said = Assessment(
        clause="c", mechanism="m", scope=scope(names, TWO_HOURS), verdict=Verdict.INCONCLUSIVE, evidence_ids=("e",), reasons=("r",),
        outside=(
            outside("asked", names, TWO_HOURS, 1.0),
            outside("whole", names, TWO_HOURS, 0.01),
            *(outside(f"site{s}", names[s * 1000 : (s + 1) * 1000], TWO_HOURS, 0.001 * (s + 1)) for s in range(20)),
        ),
    )  # fmt: skip
    found = take_account([said], capacities=pods, period=TWO_HOURS, interval_s=3600.0, confidence=0.99)
    each = math.fsum(0.001 * (s + 1) * math.fsum(pods[n] for n in names[s * 1000 : (s + 1) * 1000]) for s in range(20))
    assert found.elsewhere_flop_max == pytest.approx(min(each, 0.01 * math.fsum(pods.values())) * 7200, rel=1e-6)
