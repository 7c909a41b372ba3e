"""Ranges joined: a slow oracle, properties, and named contradictions."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspectorate.keys import Holder
from inspectorate.mechanisms.inspection.flop.rule import Operations, Rule, bits
from inspectorate.mechanisms.inspection.flop.triangulate import Joined, Reason, Scope, Source, SourceKind, join

RULE = Rule(("fp16", "bf16", "fp8", "fp4"))


def source(name: str, low: float, high: float | None, **changed: object) -> Source:
    given = {"id": name, "kind": SourceKind.ANALYTIC, "scope": Scope.WORK, "holder": Holder.VERIFIER, "low": low,
             "high": high, "rests_on": (name,)}  # fmt: skip
    return Source.model_validate({**given, **changed})


TIME = source("time", 0.0, 100.0, kind=SourceKind.TIME, scope=Scope.ALL, rests_on=("chips",))


@st.composite
def agreeing(draw: st.DrawFn) -> list[Source]:
    """Sources that all hold of one true pair: work, and all that was done."""
    work = draw(st.floats(1, 1e3))
    everything = work + draw(st.floats(0, 1e3))
    found = []
    for number in range(draw(st.integers(1, 6))):
        scope = draw(st.sampled_from(Scope))
        truth = work if scope is Scope.WORK else everything
        low = truth * draw(st.floats(0, 1))
        high = draw(st.none() | st.floats(1, 10).map(lambda factor, truth=truth: truth * factor))
        found.append(
            source(f"s{number}", low, high, scope=scope, holder=draw(st.sampled_from(Holder)),
                   kind=draw(st.sampled_from(SourceKind)))
        )  # fmt: skip
    return found


def spanned(joined: Joined) -> tuple[float, float]:
    high = joined.verified.high
    return joined.verified.low, float("inf") if high is None else high


@given(agreeing())
def test_sources_that_hold_never_contradict_and_the_truth_lies_in_every_range(sources: list[Source]) -> None:
    joined = join(sources, disagreement_share_max=0.0)
    work = [one for one in sources if one.scope is Scope.WORK]
    assert not joined.contradictions or any(
        more.low > less.high for more in sources for less in work if less.high is not None and more.scope is Scope.ALL
    )
    if not joined.contradictions:
        # The oracle: intersect by hand.
        low = max((one.low for one in work), default=0.0)
        high = min((one.high for one in sources if one.high is not None), default=None)
        assert (joined.stated.low, joined.stated.high) == (low, high)


@given(agreeing(), st.integers(0, 5))
def test_one_more_source_never_widens(sources: list[Source], place: int) -> None:
    whole = join(sources, disagreement_share_max=0.0)
    rest = [one for number, one in enumerate(sources) if number != place]
    if not rest or whole.differences:
        return
    less = join(rest, disagreement_share_max=0.0)
    assert spanned(less)[0] <= spanned(whole)[0]
    assert spanned(whole)[1] <= spanned(less)[1]
    assert whole.spare is None or less.spare is None or whole.spare <= less.spare
    assert less.independent <= whole.independent or whole.stated != less.stated


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=1, max_size=8))
def test_a_contradiction_covers_both_sides_and_explains_nothing(pairs: list[tuple[float, float]]) -> None:
    sources = [TIME, *(source(f"s{n}", min(pair), max(pair)) for n, pair in enumerate(pairs))]
    joined = join(sources, disagreement_share_max=0.0)
    clash = any(one.low > other.high for one, other in combinations_both(sources[1:]))
    assert bool(joined.contradictions) == clash
    if clash:
        at_odds = {name for one in joined.differences for name in (one.more, one.less)}
        for one in sources:
            if one.id in at_odds:
                assert joined.verified.low <= one.low
                assert one.high is not None
                assert joined.verified.high is not None
                assert one.high <= joined.verified.high
        assert joined.spare == 100.0


def combinations_both(sources: list[Source]) -> list[tuple[Source, Source]]:
    return [pair for one, other in combinations(sources, 2) for pair in ((one, other), (other, one))]


def test_the_order_of_sources_changes_nothing() -> None:
    sources = [TIME, source("a", 10, 30), source("b", 20, 50), source("c", 60, 70)]
    first = join(sources, disagreement_share_max=0.05)
    second = join(sources[::-1], disagreement_share_max=0.05)
    assert first.model_copy(update={"differences": ()}) == second.model_copy(update={"differences": ()})
    assert set(first.differences) == set(second.differences)


def test_the_word_of_the_prover_verifies_nothing() -> None:
    said = source("declared", 50, 50, kind=SourceKind.DECLARED, holder=Holder.PROVER)
    joined = join([TIME, said], disagreement_share_max=0.1)
    assert (joined.stated.low, joined.stated.high) == (50, 50)
    assert (joined.verified.low, joined.verified.high) == (0, 100)
    assert joined.spare == 100
    assert joined.spare_share == 1.0


def test_spare_is_what_time_allows_less_what_was_verified() -> None:
    joined = join([TIME, source("analytic", 60, 70)], disagreement_share_max=0.1)
    assert joined.spare == 40
    assert joined.spare_share == 0.4
    energy = source("energy", 0, 75, kind=SourceKind.ENERGY, scope=Scope.ALL)
    assert join([TIME, energy, source("analytic", 60, 70)], disagreement_share_max=0.1).spare == 15


def test_a_meter_that_counts_more_than_the_work_takes_points_at_hidden_work() -> None:
    meter = source("metered.guard", 80, 90, kind=SourceKind.METERED, scope=Scope.ALL)
    joined = join([TIME, meter, source("analytic", 50, 60)], disagreement_share_max=0.1)
    (one,) = joined.contradictions
    assert (one.more, one.less) == ("metered.guard", "analytic")
    assert one.factor == pytest.approx(80 / 60)
    assert Reason.HIDDEN_WORK in one.reasons
    assert joined.spare == 100


def test_more_declared_than_the_chips_can_do_points_at_an_overstatement() -> None:
    said = source("declared", 150, 150, kind=SourceKind.DECLARED, holder=Holder.PROVER)
    (one,) = join([TIME, said], disagreement_share_max=0.1).contradictions
    assert {Reason.OVERSTATED, Reason.UTILISATION} <= set(one.reasons)


def test_what_recomputation_would_explain_says_so_first() -> None:
    said = source("declared", 10, 10, kind=SourceKind.DECLARED, holder=Holder.PROVER, recomputation_open=True)
    trace = source("traced.verifier", 13.3, 13.3, kind=SourceKind.TRACED)
    (one,) = join([TIME, said, trace], disagreement_share_max=0.1).contradictions
    assert one.reasons[0] is Reason.RECOMPUTATION


def test_the_agreed_disagreement_is_let_pass_and_both_ends_are_kept() -> None:
    joined = join([TIME, source("a", 10, 20), source("b", 21, 30)], disagreement_share_max=0.1)
    assert joined.differences == ()
    assert (joined.verified.low, joined.verified.high) == (20, 21)
    assert join([TIME, source("a", 10, 20), source("b", 23, 30)], disagreement_share_max=0.1).contradictions


def test_an_assumption_asks_and_never_accuses() -> None:
    assumed = source("e", 80, None, kind=SourceKind.ENERGY, scope=Scope.ALL, assumes=("all of it trained",))
    joined = join([TIME, source("a", 10, 20), assumed], disagreement_share_max=0.1)
    assert joined.contradictions == ()
    assert [one.question for one in joined.differences] == [True]
    assert joined.verified.high == 20


def test_independence_is_counted_by_what_sources_rest_on() -> None:
    analytic = source("a", 10, 20, rests_on=("models", "amount"))
    thumb = source("r", 9, 21, rests_on=("models", "amount"))
    trace = source("t", 10, 20, rests_on=("trace",))
    assert join([TIME, analytic, thumb], disagreement_share_max=0.1).independent == 1
    assert join([TIME, analytic, thumb, trace], disagreement_share_max=0.1).independent == 2
    near = TIME.model_copy(update={"high": 25.0})
    assert join([near, analytic, trace], disagreement_share_max=0.1).independent == 3, "time now says something"


@pytest.mark.parametrize("sources", [[], [TIME, TIME], [source(f"s{n}", 0, 1) for n in range(17)]])
def test_none_too_many_or_twice_is_refused(sources: list[Source]) -> None:
    with pytest.raises(ValueError, match=r"sources"):
        join(sources, disagreement_share_max=0.1)


# --- the rule on formats -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "per_operation"), [("fp16", 1), ("bf16", 1), ("fp8", 1), ("fp4", 1), ("fp32", 2), ("tf32", 2), ("fp64", 4),
                                ("int8", 0.5), ("other", 4)],
)  # fmt: skip
def test_what_an_operation_counts(name: str, per_operation: float) -> None:
    assert RULE.per_operation(name) == per_operation


def test_whichever_is_higher_of_the_run_and_operation_by_operation() -> None:
    counted = RULE.count([Operations(format="fp8", dense=100.0), Operations(format="fp32", dense=10.0)])
    assert (counted.operations, counted.fp16_equivalent) == (110, 70)
    assert (counted.low, counted.high) == (110, 120)


def test_sparse_products_count_by_what_is_done_and_at_most_by_their_dense_shape() -> None:
    counted = RULE.count([Operations(format="bf16", dense=0.0, sparse=100.0)])
    assert (counted.low, counted.high) == (50, 100)


@given(
    st.lists(st.tuples(st.sampled_from(["fp64", "fp32", "fp16", "fp8", "fp4", "int8"]), st.floats(0, 1e20)), max_size=6)
)
def test_counting_is_monotone_and_low_is_below_high(parts: list[tuple[str, float]]) -> None:
    given = [Operations(format=name, dense=amount) for name, amount in parts]
    counted = RULE.count(given)
    assert counted.low <= counted.high * (1 + 1e-12)
    assert counted.fp16_equivalent == pytest.approx(sum(amount * bits(name) / 16 for name, amount in parts))
    more = RULE.count([*given, Operations(format="fp16", dense=1.0)])
    assert more.low >= counted.low
    assert more.high >= counted.high


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ValueError, match="no number format"):
        RULE.per_operation("fp5")
