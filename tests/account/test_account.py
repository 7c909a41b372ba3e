"""The account: the worked example of the design, the properties of its rules, and exhaustive search as oracle."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, combinations, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.account import CHOSEN_BY_WHAT_THEY_SAY, NO_EVIDENCE, Account, choice, take_account
from inspectorate.assessment import Assessment, HiddenBound, Joining, Scope, Verdict
from inspectorate.errors import InputError
from inspectorate.quantities import Period

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
EXAMPLE_RATE = 8 * 990e12 * 0.6
EXAMPLE_K = EXAMPLE_RATE * 3600
EXAMPLE_PODS = ("a", "b", "c", "d")


def hours(first: float, last: float) -> Period:
    return Period(start=START + first * HOUR, end=START + last * HOUR)


def says(*parts: HiddenBound | Joining, assumptions: Sequence[str] = ("seals hold",)) -> Assessment:
    """An assessment that carries bounds and joinings; what else it says does not matter here."""
    return Assessment(
        clause="c",
        mechanism="m",
        scope=parts[0].scope,
        verdict=Verdict.INCONCLUSIVE,
        hidden=tuple(part for part in parts if isinstance(part, HiddenBound)),
        joining=tuple(part for part in parts if isinstance(part, Joining)),
        assumptions=tuple(assumptions),
        evidence_ids=("e",),
        reasons=("r",),
    )


def bound(
    statement: str,
    pods: Iterable[str],
    period: Period,
    *,
    miss: float = 0.0,
    share: float | None = None,
    flop: float | None = None,
) -> HiddenBound:
    scope = Scope(pods=tuple(sorted(pods)), period=period)
    return HiddenBound(statement=statement, miss_probability=miss, scope=scope, share_max=share, flop_max=flop)


def joining(
    statement: str, pods: Iterable[str], period: Period, contributions: Sequence[float], *, miss: float = 0.0
) -> Joining:
    return Joining(
        statement=statement,
        miss_probability=miss,
        scope=Scope(pods=tuple(sorted(pods)), period=period),
        bytes_per_s_max=125e3,
        contributions=tuple(contributions),
        rule="a rule",
    )


def largest(
    assessments: Iterable[Assessment],
    *,
    pods: Mapping[str, float],
    period: Period,
    interval_s: float = 3600.0,
    confidence: float = 0.99,
) -> Account:
    return take_account(assessments, capacities=pods, period=period, interval_s=interval_s, confidence=confidence)


# --- the worked example ------------------------------------------------------------------------------------------------

DAY = hours(0, 24)
LIMIT = says(joining("limit", EXAMPLE_PODS, DAY, (1, 0.01, 0.01, 0.01)))
SIGNATURES = says(bound("signatures", EXAMPLE_PODS, DAY, miss=0.005, share=0.05))
SIGNATURES_GAP = says(
    bound("signatures", "acd", DAY, miss=0.005, share=0.05),
    bound("signatures", "b", hours(0, 10), miss=0.005, share=0.05),
    bound("signatures", "b", hours(14, 24), miss=0.005, share=0.05),
)
GAP = hours(10, 14)
AUDIT_AT_95 = says(bound("audit", "b", GAP, miss=0.05, share=3 / 300))
AUDIT_SHARE = math.log(1 / 0.005) / 300
AUDIT = says(bound("audit", "b", GAP, miss=0.005, share=AUDIT_SHARE))

EXAMPLE = {
    "nothing": ((), 4 * 24, 1.642e21, ()),
    "limit verified": ((LIMIT,), 24 * 1.03, 4.229e20, ("limit",)),
    "and signatures": ((LIMIT, SIGNATURES), 24 * 4 * 0.05, 8.211e19, ("limit", "signatures")),
    "and B dark for four hours": ((LIMIT, SIGNATURES_GAP), 20 * 0.2 + 4 * 1.03, 1.389e20, ("limit", "signatures")),
    "and an audit at 95 %, not usable": (
        (LIMIT, SIGNATURES_GAP, AUDIT_AT_95), 20 * 0.2 + 4 * 1.03, 1.389e20, ("limit", "signatures"),
    ),
    "and the audit at 99.5 %": (
        (LIMIT, SIGNATURES_GAP, AUDIT), 20 * 0.2 + 4 * (0.15 + AUDIT_SHARE), 7.990e19, ("audit", "limit", "signatures"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("evidence", "in_k", "printed", "statements"), EXAMPLE.values(), ids=EXAMPLE)
def test_worked_example(
    evidence: tuple[Assessment, ...], in_k: float, printed: float, statements: tuple[str, ...]
) -> None:
    found = largest(evidence, pods=dict.fromkeys(EXAMPLE_PODS, EXAMPLE_RATE), period=DAY)
    assert found.hidden_flop_max == pytest.approx(in_k * EXAMPLE_K, rel=1e-12)
    assert found.hidden_flop_max == pytest.approx(printed, rel=5e-4)
    assert found.capacity_flop == pytest.approx(96 * EXAMPLE_K)
    assert tuple(used.statement for used in found.statements) == statements
    assert found.exact


def test_capacity_of_one_pod_hour_is_as_printed() -> None:
    assert pytest.approx(1.7107e19, rel=1e-4) == EXAMPLE_K


def test_what_helps_most_in_the_fourth_row_is_pod_b() -> None:
    found = largest((LIMIT, SIGNATURES_GAP), pods=dict.fromkeys(EXAMPLE_PODS, EXAMPLE_RATE), period=DAY)
    first = found.help[0]
    assert (first.pod, first.basis, first.hours) == ("b", NO_EVIDENCE, 4.0)
    # In those four hours the others are left, 5 % of each, in full.
    assert first.hidden_flop_max == pytest.approx((20 * 0.2 + 4 * 0.15) * EXAMPLE_K)
    assert first.falls_by_flop == pytest.approx(4 * (1.03 - 0.15) * EXAMPLE_K)


def test_a_limit_makes_no_less_of_slow_pods_than_of_pods_at_full_rate() -> None:
    """Contributions are those of pods at full rate; a pod at a twentieth of it may join in full, and often does."""
    alone = joining("limit", EXAMPLE_PODS, DAY, (1, 0, 0, 0))

    def in_k(share: float) -> float:
        found = largest(
            [says(alone), says(bound("signatures", EXAMPLE_PODS, DAY, share=share))],
            pods=dict.fromkeys(EXAMPLE_PODS, EXAMPLE_RATE),
            period=DAY,
        )
        return found.hidden_flop_max / EXAMPLE_K / 24

    assert in_k(0.05) == pytest.approx(4 * 0.05)
    assert in_k(0.2) == pytest.approx(4 * 0.2)
    assert in_k(0.3) == pytest.approx(1), "no more than what pods at full rate reach together"


def test_parts_of_the_pods_add_up_to_the_run() -> None:
    found = largest((LIMIT, SIGNATURES_GAP), pods=dict.fromkeys(EXAMPLE_PODS, EXAMPLE_RATE), period=DAY)
    assert sum(pod.joined_flop_max for pod in found.pods) == pytest.approx(found.hidden_flop_max)
    assert all(
        pod.joined_flop_max <= pod.hidden_flop_max * (1 + 1e-12) <= pod.capacity_flop * (1 + 1e-9) for pod in found.pods
    )
    assert sum(point.hidden_flop_max for point in found.series) == pytest.approx(
        sum(pod.hidden_flop_max for pod in found.pods)
    )


# --- the oracle: every choice of statements, every set of pods, every order --------------------------------------------


def oracle(
    assessments: Iterable[Assessment],
    *,
    pods: Mapping[str, float],
    period: Period,
    interval_s: float,
    confidence: float,
) -> float:
    """The account by exhaustion, cell by cell, from the definitions alone. Exponential in statements and pods.

    Any pods count as if at full rate, in the order that gives most, and the others in full: the smallest such bound holds.
    """
    parts = [part for a in assessments for part in (*a.hidden, *a.joining)]
    miss = {part.statement: 0.0 for part in parts}
    for part in parts:
        miss[part.statement] = max(miss[part.statement], part.miss_probability)
    names = sorted(miss)
    choices = chain.from_iterable(combinations(names, size) for size in range(len(names) + 1))
    feasible = [set(choice) for choice in choices if sum(miss[name] for name in choice) <= 1 - confidence + 1e-12]
    return min(
        sum(
            largest_in_interval([p for p in parts if p.statement in choice], pods, interval)
            for interval in period.intervals(interval_s)
        )
        for choice in feasible
    )


def largest_in_interval(parts: Sequence[HiddenBound | Joining], pods: Mapping[str, float], interval: Period) -> float:
    cells: dict[str, float] = {}
    full = {pod: rate * interval.duration_s for pod, rate in pods.items()}
    for pod, capacity in full.items():
        cells[pod] = capacity
        for part in parts:
            if isinstance(part, HiddenBound) and pod in part.scope.pods and part.scope.period.covers(interval):
                cells[pod] = min(cells[pod], capacity * part.share_max if part.share_max is not None else part.flop_max)
    joinings = [p for p in parts if isinstance(p, Joining) and p.scope.period.covers(interval)]
    hiding = [pod for pod, flop in cells.items() if flop > 0]
    subsets = chain.from_iterable(combinations(hiding, size) for size in range(len(hiding) + 1))
    return min(
        max(run_of(order, full, joinings) for order in permutations(chosen))
        + sum(cells[pod] for pod in hiding if pod not in chosen)
        for chosen in subsets
    )


def run_of(order: Sequence[str], cells: Mapping[str, float], joinings: Sequence[Joining]) -> float:
    """What pods that join in this order do together: each as much as the tightest joining allows at its place.

    Within a joining a pod's place is its place among the pods of that joining; where the leading pod is outside of it,
    its first pod is already the second of the run.
    """
    total = 0.0
    for place, pod in enumerate(order):
        share = 1.0
        for one in joinings:
            if pod not in one.scope.pods or place == 0:
                continue
            rank = sum(other in one.scope.pods for other in order[:place])
            at = max(rank, 1)
            share = min(share, one.contributions[at] if at < len(one.contributions) else 1.0)
        total += share * cells[pod]
    return total


PODS = ("a", "b", "c")
RATES = st.fixed_dictionaries({pod: st.sampled_from([0.0, 1.0, 2.5, 4.0]) for pod in PODS})
SPANS = st.tuples(st.integers(0, 7), st.integers(1, 8)).filter(lambda span: span[0] < span[1])
SUBSETS = st.sets(st.sampled_from([*PODS, "elsewhere"]), min_size=1).map(lambda pods: tuple(sorted(pods)))
SHARES = st.sampled_from([0.0, 0.05, 0.3, 0.5, 1.0])
MISSES = {"free": 0.0, "s1": 0.004, "s2": 0.005, "s3": 0.006, "s4": 0.01, "s5": 0.02}


@st.composite
def hidden_bounds(draw: st.DrawFn) -> HiddenBound:
    statement = draw(st.sampled_from(sorted(MISSES)))
    first, last = draw(SPANS)
    value = draw(SHARES)
    by_share = draw(st.booleans())
    return bound(
        statement,
        draw(SUBSETS),
        hours(first / 2, last / 2),
        miss=MISSES[statement],
        share=value if by_share else None,
        flop=None if by_share else value * 3600,
    )


@st.composite
def joinings(draw: st.DrawFn) -> Joining:
    statement = draw(st.sampled_from(sorted(MISSES)))
    first, last = draw(SPANS)
    pods = draw(SUBSETS)
    falling = sorted(draw(st.lists(SHARES, min_size=max(1, len(pods) - 1), max_size=4)), reverse=True)
    return joining(statement, pods, hours(first / 2, last / 2), (1.0, *falling), miss=MISSES[statement])


PARTS = st.lists(hidden_bounds() | joinings(), max_size=6)
FOUR_HOURS = hours(0, 4)


def run(parts: Iterable[HiddenBound | Joining], rates: Mapping[str, float], **terms: float) -> float:
    found = largest([says(part) for part in parts], pods=rates, period=FOUR_HOURS, **terms)
    assert found.exact
    return found.hidden_flop_max


def at_most(smaller: float, larger: float) -> bool:
    return smaller <= larger * (1 + 1e-9) + 1e-9


@given(PARTS, RATES)
@settings(max_examples=150)
def test_never_below_exhaustive_search(parts: list[HiddenBound | Joining], rates: dict[str, float]) -> None:
    slow = oracle([says(p) for p in parts], pods=rates, period=FOUR_HOURS, interval_s=3600.0, confidence=0.99)
    assert at_most(slow, run(parts, rates))


@given(PARTS, RATES)
@settings(max_examples=150)
def test_equals_exhaustive_search_where_contributions_do_not_fall_further(
    parts: list[HiddenBound | Joining], rates: dict[str, float]
) -> None:
    """Where every joining says the same of the second pod and all after it, nothing is given away."""
    flat = [
        p if isinstance(p, HiddenBound) else p.model_copy(update={"contributions": (1.0, *[p.contributions[1]] * 4)})
        for p in parts
    ]
    slow = oracle([says(p) for p in flat], pods=rates, period=FOUR_HOURS, interval_s=3600.0, confidence=0.99)
    assert run(flat, rates) == pytest.approx(slow, rel=1e-9, abs=1e-9)


def test_one_joining_with_falling_contributions_is_exact() -> None:
    rates = {"a": 3.0, "b": 5.0, "c": 2.0}
    part = joining("free", PODS, FOUR_HOURS, (1, 0.5, 0.1))
    assert run([part], rates) == pytest.approx(4 * 3600 * (5 + 0.5 * 3 + 0.1 * 2))


# --- properties of the rules -------------------------------------------------------------------------------------------


@given(PARTS, hidden_bounds() | joinings(), RATES)
def test_more_evidence_never_raises_the_run(
    parts: list[HiddenBound | Joining], more: HiddenBound | Joining, rates: dict[str, float]
) -> None:
    assert at_most(run([*parts, more], rates), run(parts, rates))


@given(PARTS, RATES)
def test_removing_a_statement_never_lowers_the_run(parts: list[HiddenBound | Joining], rates: dict[str, float]) -> None:
    full = run(parts, rates)
    for statement in {part.statement for part in parts}:
        assert at_most(full, run([part for part in parts if part.statement != statement], rates))


@given(PARTS, RATES, st.permutations(["x", "y", "z"]))
def test_renaming_changes_nothing(
    parts: list[HiddenBound | Joining], rates: dict[str, float], names: list[str]
) -> None:
    new = dict(zip(PODS, names, strict=True))
    renamed = [
        p.model_copy(
            update={
                "scope": Scope(pods=tuple(sorted(new.get(q, q) for q in p.scope.pods)), period=p.scope.period),
                "statement": f"z-{p.statement}",
            }
        )
        for p in parts
    ]
    assert run(renamed, {new[pod]: rate for pod, rate in rates.items()}) == pytest.approx(run(parts, rates), rel=1e-9)


@given(PARTS, RATES, st.integers(0, 5), st.floats(0, 1))
def test_a_looser_limit_never_lowers_the_run(
    parts: list[HiddenBound | Joining], rates: dict[str, float], which: int, by: float
) -> None:
    if which >= len(parts):
        return
    part = parts[which]
    if isinstance(part, Joining):
        loose = part.model_copy(update={"contributions": tuple(c + (1 - c) * by for c in part.contributions)})
    elif part.share_max is not None:
        loose = part.model_copy(update={"share_max": part.share_max + (1 - part.share_max) * by})
    else:
        loose = part.model_copy(update={"flop_max": part.flop_max * (1 + by)})
    assert at_most(run(parts, rates), run([*parts[:which], loose, *parts[which + 1 :]], rates))


@given(PARTS, RATES, st.integers(1, 7))
def test_cutting_a_scope_between_intervals_changes_nothing(
    parts: list[HiddenBound | Joining], rates: dict[str, float], at: int
) -> None:
    """A bound or joining told in two pieces that meet at an edge of the grid says the same as in one."""
    edge = START + (at // 2) * HOUR
    pieces = [piece for part in parts for piece in cut(part, edge)]
    assert run(pieces, rates) == pytest.approx(run(parts, rates), rel=1e-9, abs=1e-9)


@given(PARTS, RATES, st.integers(1, 15))
def test_cutting_a_scope_within_an_interval_never_lowers_the_run(
    parts: list[HiddenBound | Joining], rates: dict[str, float], quarter: int
) -> None:
    pieces = [piece for part in parts for piece in cut(part, START + quarter / 4 * HOUR)]
    assert at_most(run(parts, rates), run(pieces, rates))


def cut(part: HiddenBound | Joining, at: datetime) -> list[HiddenBound | Joining]:
    span = part.scope.period
    if not span.start < at < span.end:
        return [part]
    halves = (Period(start=span.start, end=at), Period(start=at, end=span.end))
    return [part.model_copy(update={"scope": Scope(pods=part.scope.pods, period=half)}) for half in halves]


@given(PARTS, RATES, st.sampled_from(PODS), st.floats(0.1, 0.9))
def test_splitting_a_pod_never_lowers_the_run_unless_a_limit_stands_between_the_parts(
    parts: list[HiddenBound | Joining], rates: dict[str, float], pod: str, at: float
) -> None:
    """A pod declared as two, of which nothing is known but the shares that held of the whole, hides no less."""
    split = {**rates, "p1": rates[pod] * at, "p2": rates[pod] * (1 - at)}
    del split[pod]
    moved: list[HiddenBound | Joining] = []
    for part in parts:
        if pod not in part.scope.pods:
            moved.append(part)
            continue
        rest = tuple(p for p in part.scope.pods if p != pod)
        if isinstance(part, HiddenBound):
            # A bound in FLOP per interval held for the pod; for its parts it is given to each, as nothing divides it.
            both = tuple(sorted((*rest, "p1", "p2")))
            moved.append(part.model_copy(update={"scope": Scope(pods=both, period=part.scope.period)}))
        elif rest:
            moved.append(part.model_copy(update={"scope": Scope(pods=rest, period=part.scope.period)}))
    assert at_most(run(parts, rates), run(moved, split))


@given(PARTS, RATES)
def test_intervals_of_half_the_length_say_no_more_if_scopes_lie_on_both_grids(
    parts: list[HiddenBound | Joining], rates: dict[str, float]
) -> None:
    shares = [p for p in parts if isinstance(p, Joining) or p.share_max is not None]
    aligned = [p for p in shares if (p.scope.period.start.minute, p.scope.period.end.minute) == (0, 0)]
    fine = run(aligned, rates, interval_s=1800.0)
    assert fine == pytest.approx(run(aligned, rates), rel=1e-9, abs=1e-9)


@given(PARTS, RATES, st.sampled_from([0.9, 0.95, 0.99, 0.995]))
def test_more_confidence_never_lowers_the_run(
    parts: list[HiddenBound | Joining], rates: dict[str, float], confidence: float
) -> None:
    assert at_most(run(parts, rates, confidence=confidence), run(parts, rates, confidence=0.999))


# --- rules one by one --------------------------------------------------------------------------------------------------


def test_a_run_may_move_from_pod_to_pod() -> None:
    """Pod a is explained in the second half and pod b in the first: one run fits into both halves."""
    parts = [
        joining("limit", ("a", "b"), FOUR_HOURS, (1, 0.01)),
        bound("free", ("b",), hours(0, 2), share=0.0),
        bound("free", ("a",), hours(2, 4), share=0.0),
    ]
    assert run(parts, {"a": 1.0, "b": 1.0}) == pytest.approx(4 * 3600)


def test_a_bound_that_covers_an_interval_in_part_does_not_serve_it() -> None:
    part = bound("free", ("a",), hours(0.5, 2.5), share=0.0)
    assert run([part], {"a": 1.0}) == pytest.approx(3 * 3600)


def test_the_last_interval_may_be_shorter() -> None:
    found = largest((), pods={"a": 2.0}, period=hours(0, 1.5))
    assert found.hidden_flop_max == pytest.approx(1.5 * 3600 * 2)
    assert len(found.series) == 2


def test_a_period_shorter_than_an_interval_is_one_interval() -> None:
    found = largest((), pods={"a": 2.0}, period=Period(start=START, end=START + timedelta(microseconds=1)))
    assert found.hidden_flop_max == pytest.approx(2e-6)


def test_a_bound_of_pods_that_are_not_declared_changes_nothing() -> None:
    parts = [bound("free", ("ghost",), FOUR_HOURS, share=0.0), joining("free", ("ghost",), FOUR_HOURS, (1.0, 0.0))]
    assert run(parts, {"a": 1.0}) == pytest.approx(4 * 3600)


def test_a_scope_outside_of_the_period_changes_nothing() -> None:
    assert run([bound("free", ("a",), hours(40, 44), share=0.0)], {"a": 1.0}) == pytest.approx(4 * 3600)


def test_a_scope_around_the_period_covers_all_of_it() -> None:
    around = Period(start=START - HOUR, end=START + 9 * HOUR)
    assert run([bound("free", ("a",), around, share=0.25)], {"a": 1.0}) == pytest.approx(3600)


def test_a_bound_above_capacity_is_no_bound() -> None:
    assert run([bound("free", ("a",), FOUR_HOURS, flop=1e9)], {"a": 1.0}) == pytest.approx(4 * 3600)


def test_one_statement_counts_once_however_many_cells_it_serves() -> None:
    parts = [bound("s", (pod,), FOUR_HOURS, miss=0.01, share=0.0) for pod in PODS]
    assert run(parts, dict.fromkeys(PODS, 1.0)) == 0


def test_the_largest_miss_probability_given_for_a_statement_counts() -> None:
    parts = [
        bound("s", ("a",), FOUR_HOURS, miss=0.001, share=0.0),
        bound("s", ("b",), FOUR_HOURS, miss=0.02, share=0.0),
    ]
    assert run(parts, {"a": 1.0}) == pytest.approx(4 * 3600)


@pytest.mark.parametrize("count", [2, 3, 5, 7, 10])
def test_miss_probabilities_that_fill_the_budget_in_decimal_fit_it(count: int) -> None:
    """0.01 / 3 three times is not 1 - 0.99 in binary."""
    parts = [bound(f"s{i}", (PODS[i % 3],), FOUR_HOURS, miss=0.01 / count, share=0.1) for i in range(count)]
    extra = bound("zz", ("a",), FOUR_HOURS, miss=0.009, share=0.09)
    found = largest([says(p) for p in (*parts, extra)], pods=dict.fromkeys(PODS, 1.0), period=FOUR_HOURS)
    assert sum(used.miss_probability for used in found.statements) <= 0.01 + 1e-9
    assert found.exact


def test_assumptions_of_unused_statements_are_not_listed() -> None:
    used = says(bound("used", ("a",), FOUR_HOURS, miss=0.01, share=0.1), assumptions=("used holds",))
    unused = says(bound("unused", ("a",), FOUR_HOURS, miss=0.02, share=0.0), assumptions=("unused holds",))
    found = largest([used, unused], pods={"a": 1.0}, period=FOUR_HOURS)
    assert found.assumptions == ("used holds",)


def test_post_training_pools_pods_by_contributions_of_its_own() -> None:
    """Training is never above it; and where nothing is known of post-training, pods add all of themselves to it."""
    part = joining("limit", "abcd", DAY, [1, 0.01, 0.01, 0.01])
    rates = dict.fromkeys(EXAMPLE_PODS, EXAMPLE_RATE)
    unknown = largest([says(part)], pods=rates, period=DAY)
    assert unknown.post_training_flop_max == pytest.approx(unknown.capacity_flop)
    pooled = part.model_copy(update={"post_training": (1.0, 0.5, 0.5, 0.5)})
    known = largest([says(pooled)], pods=rates, period=DAY)
    assert known.hidden_flop_max == unknown.hidden_flop_max == pytest.approx(24 * EXAMPLE_K * 1.03)
    assert known.post_training_flop_max == pytest.approx(24 * EXAMPLE_K * 2.5)


def test_post_training_never_contributes_less() -> None:
    values = joining("limit", "abcd", DAY, [1, 0.5, 0.5, 0.5]).model_dump()
    with pytest.raises(ValueError, match="no less"):
        Joining.model_validate(values | {"post_training": (1.0, 0.1, 0.1, 0.1)})


def test_a_joining_helps_only_where_it_holds() -> None:
    part = joining("free", ("a", "b"), hours(0, 3), (1, 0.0))
    assert run([part], {"a": 1.0, "b": 1.0}) == pytest.approx(3600 * (3 + 2))


def test_two_groups_under_limits_of_their_own_have_one_leader() -> None:
    """A pod under a verified limit adds little to others whoever leads."""
    parts = [joining("free", ("a", "b"), FOUR_HOURS, (1, 0.1)), joining("free", ("c", "d"), FOUR_HOURS, (1, 0.2))]
    assert run(parts, dict.fromkeys("abcd", 1.0)) == pytest.approx(4 * 3600 * (1 + 0.1 + 0.2 + 0.2))


def test_no_pods_is_an_error() -> None:
    with pytest.raises(InputError, match="nothing to account for"):
        largest((), pods={}, period=FOUR_HOURS)


@pytest.mark.parametrize(("interval_s", "problem"), [(1e-3, "intervals"), (0.0, "interval"), (math.nan, "interval")])
def test_unusable_intervals_are_errors(interval_s: float, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        largest((), pods={"a": 1.0}, period=DAY, interval_s=interval_s)


def test_too_many_cells_are_an_error() -> None:
    pods = {f"p{i}": 1.0 for i in range(1000)}
    with pytest.raises(InputError, match="cells"):
        largest((), pods=pods, period=hours(0, 100_000))


# --- the choice of statements where it cannot be searched to the end ---------------------------------------------------


def knapsack(count: int) -> list[Assessment]:
    """Statements of which few fit at a time, each for a pod of its own."""
    return [
        says(bound(f"s{i:02d}", (f"p{i:02d}",), FOUR_HOURS, miss=0.001 + 0.0001 * i, share=0.05 * (i % 7)))
        for i in range(count)
    ]


def test_an_unfinished_search_still_gives_an_upper_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    pods = {f"p{i:02d}": 1.0 + 0.1 * i for i in range(12)}
    full = largest(knapsack(12), pods=pods, period=FOUR_HOURS)
    assert full.exact
    runs = []
    for allowance in (1, 3, 10, 30):
        monkeypatch.setattr(choice, "EVALUATIONS_MAX", allowance)
        cut_short = largest(knapsack(12), pods=pods, period=FOUR_HOURS)
        assert not cut_short.exact
        assert sum(used.miss_probability for used in cut_short.statements) <= 0.01 + 1e-9
        runs.append(cut_short.hidden_flop_max)
    assert all(at_most(full.hidden_flop_max, one) for one in runs)
    assert runs == sorted(runs, reverse=True)
    assert runs[0] < sum(pods.values()) * 4 * 3600


def test_the_choice_of_statements_is_the_best_of_all() -> None:
    pods = {f"p{i:02d}": 1.0 + (i * 7 % 5) for i in range(9)}
    found = largest(knapsack(9), pods=pods, period=FOUR_HOURS)
    best = math.inf
    parts = [part for a in knapsack(9) for part in a.hidden]
    for tried in chain.from_iterable(combinations(parts, size) for size in range(10)):
        if sum(p.miss_probability for p in tried) <= 0.01 + 1e-12:
            held = {p.scope.pods[0]: p.share_max or 0.0 for p in tried}
            best = min(best, sum(rate * held.get(pod, 1.0) for pod, rate in pods.items()) * 4 * 3600)
    assert found.hidden_flop_max == pytest.approx(best)


def test_a_choice_among_more_than_fit_together_is_named_as_an_assumption() -> None:
    """The best of many statements is wrong more often than any one, and their miss probabilities do not say by how much."""
    few, many = (
        largest(knapsack(count), pods={f"p{i:02d}": 1.0 for i in range(9)}, period=FOUR_HOURS) for count in (1, 9)
    )
    assert CHOSEN_BY_WHAT_THEY_SAY not in few.assumptions
    assert CHOSEN_BY_WHAT_THEY_SAY in many.assumptions
    unusable = largest((SIGNATURES, AUDIT_AT_95), pods=dict.fromkeys(EXAMPLE_PODS, EXAMPLE_RATE), period=DAY)
    assert CHOSEN_BY_WHAT_THEY_SAY not in unusable.assumptions, "what never fits is left out, whatever it says"


def test_a_huge_fleet_takes_seconds() -> None:
    """2,000 pods, 720 intervals, and more statements than fit: bounded work, and a bound that says it is not exact."""
    pods = {f"p{i:04d}": 1e15 for i in range(2000)}
    month = hours(0, 720)
    names = sorted(pods)
    evidence = [says(joining("limit", names, month, (1.0, *[0.01] * 1999)))]
    evidence += [
        says(bound(f"s{i:02d}", names[i * 50 : i * 50 + 50], month, miss=0.001 + 0.0001 * i, share=0.004))
        for i in range(40)
    ]
    started = time.monotonic()
    found = largest(evidence, pods=pods, period=month)
    elapsed_s = time.monotonic() - started
    assert not found.exact
    assert len(found.statements) > 1
    assert len(found.series) == 720
    assert found.hidden_flop_max < 0.02 * found.capacity_flop
    assert elapsed_s < 20


# --- bounds that hold for long cells only ------------------------------------------------------------------------------


def test_a_bound_serves_only_cells_that_are_long_enough() -> None:
    """A share of an hour could all lie in one minute of it: a bound over an hour says nothing of a minute."""
    scope = Scope(pods=("a",), period=hours(0, 2.5))
    part = HiddenBound(statement="shape", miss_probability=0.0, scope=scope, share_max=0.1, cell_s_min=3600)

    def hidden(interval_s: float) -> float:
        return take_account(
            (says(part),), capacities={"a": 1.0}, period=hours(0, 2.5), interval_s=interval_s, confidence=0.99
        ).hidden_flop_max

    assert hidden(1800) == pytest.approx(9000)
    assert hidden(3600) == pytest.approx(0.1 * 7200 + 1800), "the last half hour is a cell of its own"
    assert hidden(9000) == pytest.approx(900)
