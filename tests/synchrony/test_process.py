"""Fast against slow, the order of time, the groups of other pods, and that every bet is fair."""

from __future__ import annotations

import time
from itertools import combinations, product

import numpy as np
import pytest
import slow
from hypothesis import given
from hypothesis import strategies as st

from inspectorate.mechanisms.interconnect.synchrony import kernels, process, reference
from inspectorate.mechanisms.interconnect.synchrony.power import Plan, honest
from inspectorate.mechanisms.interconnect.synchrony.process import Traffic, controls, pair_evidence
from inspectorate.mechanisms.interconnect.synchrony.shape import rhythms


def traffic(seed: int, seconds: float = 900, pods: int = 5, interval_s: float = 5.0) -> Traffic:
    plan = Plan(pods=pods, interval_s=interval_s)
    sent, received = honest(plan, seconds, np.random.default_rng(seed))
    return Traffic(
        sent=sent, received=received, observed=np.ones(sent.shape, dtype=np.bool_), interval_s=plan.interval_s
    )


def by_hand(seen: Traffic, scale: int) -> dict[str, list[list[float | None]]]:
    """The ranked surprises of pods 0 and 1 of five, whose groups are pods 2 and 4, and pod 3."""
    found: dict[str, list[list[float | None]]] = {}
    for name, volume in (("sent", seen.sent), ("received", seen.received)):
        step = seen.interval_s * scale
        log = [[float(np.log1p(v / (1000 * step))) for v in slow.coarser(list(pod), scale)] for pod in volume]
        groups = [[(a + b) / 2 for a, b in zip(log[2], log[4], strict=True)], log[3]]
        found[name] = [
            slow.ranks(slow.surprises(log[0], groups[0], groups[1], step)),
            slow.ranks(slow.surprises(log[1], groups[1], groups[0], step)),
        ]
    found["both"] = [
        [None if a is None or b is None else (a + b) / 2 for a, b in zip(*pair, strict=True)]
        for pair in zip(found["sent"], found["received"], strict=True)
    ]
    return found


@pytest.mark.parametrize("scale", reference.SCALES)
def test_ranked_surprises_equal_the_slow_ones(scale: int) -> None:
    seen = traffic(1)
    sides = process.ranked_sides(seen.coarser(scale), [(0, 1)], [])
    for name, both in by_hand(seen, scale).items():
        for side, number in ((0, sides.first[0]), (1, sides.second[0])):
            expected = np.array([np.nan if v is None else v for v in both[side]])
            np.testing.assert_allclose(sides.ranked[name][number], expected, atol=1e-9)


def test_the_evidence_equals_the_slow_one() -> None:
    seen = traffic(2)
    total = 0.0
    for scale, scale_weight in zip(reference.SCALES, reference.SCALE_WEIGHTS, strict=True):
        ranked = by_hand(seen, scale)
        for signal in process.SIGNALS:
            one, other = ranked[signal.first][0], ranked[signal.second][1]
            if signal.lag < 0:
                one, other = other, one
            bets = [slow.capital_throughout(one, other, abs(signal.lag))]
            bets += [bursts_by_hand(one, other, abs(signal.lag), peaks=peaks) for peaks in (False, True)]
            total += scale_weight * signal.weight * float(np.dot(reference.BETS_WEIGHTS, bets))
    assert pair_evidence(seen, [(0, 1)]).log_e[0] == pytest.approx(np.log(total), abs=1e-9)


def bursts_by_hand(one: list[float | None], other: list[float | None], lag: int, *, peaks: bool) -> float:
    stakes = reference.PEAK_STAKES if peaks else reference.STAKES
    rate, high = reference.PEAK_TOLERANCE * reference.PEAK_SHARE**2, 1 - 2 * reference.PEAK_SHARE
    rounds = -(-len(other) // reference.ROUND)
    factors = [[1.0] * len(stakes) for _ in range(rounds)]
    compared = [False] * rounds
    for t in range(lag, len(other)):
        a, b = one[t - lag], other[t]
        if a is None or b is None:
            continue
        compared[t // reference.ROUND] = True
        gain = (a * b - reference.TOLERANCE) / (1 + reference.TOLERANCE)
        if peaks:
            gain = 1 / rate - 1 if a > high and b > high else -1.0
        for k, stake in enumerate(stakes):
            factors[t // reference.ROUND][k] *= 1 + stake * gain
    kept = [factor for factor, asked in zip(factors, compared, strict=True) if asked]
    idle = 1 / rounds
    capital_idle, active = [1 / len(stakes)] * len(stakes), [0.0] * len(stakes)
    for factor in kept:
        for k, stake in enumerate(stakes):
            starts, stops = capital_idle[k] * idle, active[k] * reference.STOP_PER_STAKE * stake
            active[k] = (active[k] - stops + starts) * factor[k]
            capital_idle[k] += stops - starts
    return sum(capital_idle) + sum(active)


def test_what_comes_later_changes_nothing_before() -> None:
    seen = traffic(3, 1800)
    count = 200
    cut = Traffic(
        sent=seen.sent[:, :count],
        received=seen.received[:, :count],
        observed=seen.observed[:, :count],
        interval_s=seen.interval_s,
    )
    # Timetables are chosen by the length of the record, which is known before it begins.
    long = process.ranked_sides(seen, [(0, 1)], []).ranked["both"][:, :count]
    short = process.ranked_sides(cut, [(0, 1)], []).ranked["both"]
    periods = {len(process.timetable(5.0, n)) for n in (count, seen.sent.shape[1])}
    if len(periods) == 1:
        np.testing.assert_array_equal(long, short)
    changed = seen.sent.copy()
    changed[:, count:] *= 7
    other = Traffic(sent=changed, received=seen.received, observed=seen.observed, interval_s=seen.interval_s)
    np.testing.assert_array_equal(process.ranked_sides(other, [(0, 1)], []).ranked["sent"][:, :count],
                                  process.ranked_sides(seen, [(0, 1)], []).ranked["sent"][:, :count])  # fmt: skip


@given(
    st.integers(4, 40),
    st.lists(st.tuples(st.integers(0, 39), st.integers(0, 39)), max_size=12),
)
def test_groups_are_disjoint_and_hold_no_peer_of_either(pods: int, drawn: list[tuple[int, int]]) -> None:
    peers = [(a % pods, b % pods) for a, b in drawn if a % pods != b % pods]
    pairs = [pair for pair in combinations(range(pods), 2) if pair not in {tuple(sorted(p)) for p in peers}][:60]
    if not pairs:
        return
    first, second = controls(pods, pairs, peers)
    assert not (first * second).any()
    for row, pair in enumerate(pairs):
        near = {*pair} | {b for a, b in peers if a in pair} | {a for a, b in peers if b in pair}
        assert not (first[row] + second[row])[list(near)].any()
        for a, b in peers:
            assert not (first[row, a] and second[row, b])
            assert not (first[row, b] and second[row, a])


def test_without_peers_the_groups_have_everyone_or_a_quarter() -> None:
    first, second = controls(6, [(0, 1)], [])
    assert (first + second)[0].tolist() == [0, 0, 1, 1, 1, 1]
    first, second = controls(16, [(0, 1)], [])
    assert (first.sum(), second.sum()) == (4, 4)


def test_every_bet_is_fair_at_the_edge_of_the_hypothesis() -> None:
    """Over all outcomes of a product with mean d, and of coincidences at rate m, the factor's mean is exactly 1."""
    step = np.array([0, 1], dtype=np.int64)
    tolerance = reference.TOLERANCE
    up = (1 + tolerance) / 2
    mean = np.zeros(len(reference.STAKES))
    for value, chance in ((1.0, up), (-1.0, 1 - up)):
        into = np.empty((1, 1, len(reference.STAKES) + 2))
        kernels.factors(
            np.array([[1.0]]), np.array([[value]]), step, np.array(reference.STAKES), process.PRODUCT_LIMITS, into
        )
        mean += chance * np.exp(into[0, 0, :-2])
    np.testing.assert_allclose(mean, 1.0)
    rate = process.PEAK_LIMITS[1]
    mean = np.zeros(len(reference.PEAK_STAKES))
    for value, chance in ((0.99, rate), (0.0, 1 - rate)):
        into = np.empty((1, 1, len(reference.PEAK_STAKES) + 2))
        kernels.factors(
            np.array([[0.99]]), np.array([[value]]), step, np.array(reference.PEAK_STAKES), process.PEAK_LIMITS, into
        )
        mean += chance * np.exp(into[0, 0, :-2])
    np.testing.assert_allclose(mean, 1.0)


def test_the_shares_of_the_capital_sum_to_one() -> None:
    assert sum(reference.SCALE_WEIGHTS) == pytest.approx(1)
    assert sum(signal.weight for signal in process.SIGNALS) == pytest.approx(1)
    assert sum(reference.BETS_WEIGHTS) == pytest.approx(1)
    assert len(reference.SCALES) == len(reference.SCALE_WEIGHTS)
    assert reference.ORDER_MAX % 2 == 0


def test_the_predictor_solves_the_normal_equations() -> None:
    rng = np.random.default_rng(4)
    series = np.convolve(rng.standard_normal(500), [1, 0.7, -0.3])
    covariance = np.array([series[: len(series) - k] @ series[k:] for k in range(9)])
    into = np.empty(8)
    kernels.predictor(covariance, 0.02, into)
    np.testing.assert_allclose(into, slow.toeplitz_predictor(list(covariance), 0.02), atol=1e-9)


def test_a_flat_series_teaches_and_surprises_nothing() -> None:
    flat = np.full((6, 200), 5e4)
    seen = np.ones(flat.shape, dtype=np.bool_)
    found = pair_evidence(Traffic(sent=flat, received=flat, observed=seen, interval_s=5.0), [(0, 1)])
    assert found.log_e[0] <= 0
    assert found.correlation[0] == pytest.approx(0, abs=0.01)


def test_what_was_not_observed_does_not_bet() -> None:
    seen = traffic(5)
    dark = np.zeros(seen.observed.shape, dtype=np.bool_)
    found = pair_evidence(
        Traffic(sent=seen.sent, received=seen.received, observed=dark, interval_s=5.0), [(0, 1), (2, 3)]
    )
    assert found.log_e.tolist() == [0, 0]
    assert found.compared.tolist() == [0, 0]
    half = seen.observed.copy()
    half[0, 60:] = False
    part = pair_evidence(
        Traffic(sent=np.where(half, seen.sent, np.nan), received=seen.received, observed=half, interval_s=5.0), [(0, 1)]
    )
    assert 0 < part.compared[0] <= 60


def test_two_groups_of_other_pods_are_needed() -> None:
    seen = traffic(6, pods=4)
    assert pair_evidence(seen, [(0, 1)]).compared[0] > 0
    assert pair_evidence(seen, [(0, 1)], peers=[(2, 3)]).compared[0] == 0, (
        "what peers exchange would stand on both sides"
    )
    assert pair_evidence(seen, [(0, 1)], peers=[(1, 2)]).compared[0] == 0


@pytest.mark.parametrize(
    ("change", "pairs"),
    [
        ("none", []),
        ("none", [(0, 0)]),
        ("none", [(0, 9)]),
        ("negative", [(0, 1)]),
        ("infinite", [(0, 1)]),
        ("shape", [(0, 1)]),
    ],
)
def test_misuse_is_refused(change: str, pairs: list[tuple[int, int]]) -> None:
    seen = traffic(7, 300)
    sent = seen.sent.copy()
    if change == "negative":
        sent[0, 3] = -1
    if change == "infinite":
        sent[0, 3] = np.inf
    if change == "shape":
        sent = sent[:, :-1]
    with pytest.raises(ValueError, match=r"pairs|traffic|shape"):
        pair_evidence(Traffic(sent=sent, received=seen.received, observed=seen.observed, interval_s=5.0), pairs)


def test_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "ROWS_MAX", 10)
    with pytest.raises(ValueError, match="cut the period"):
        pair_evidence(traffic(8, 300), [(0, 1)])


@pytest.mark.parametrize("count", [0, 1, 3, 25, 33])
def test_short_records_say_nothing(count: int) -> None:
    empty = np.zeros((4, count))
    seen = np.ones(empty.shape, dtype=np.bool_)
    found = pair_evidence(Traffic(sent=empty, received=empty, observed=seen, interval_s=5.0), [(0, 1)])
    assert abs(found.log_e[0]) < 0.1


def test_signals_name_the_pod_that_leads() -> None:
    """What the first pod sends enters the second an interval later: the signal in which the first leads gains most."""
    seen = traffic(9, 3600, pods=6)
    rng = np.random.default_rng(9)
    burst = (rng.random(seen.sent.shape[1]) < 0.1) * 4e5
    sent, received = seen.sent.copy(), seen.received.copy()
    sent[0] += burst
    received[1] += np.roll(burst, 1)
    found = pair_evidence(Traffic(sent=sent, received=received, observed=seen.observed, interval_s=5.0), [(0, 1)])
    assert found.log_e[0] > 12
    signal = process.SIGNALS[found.lead[0] % len(process.SIGNALS)]
    assert (signal.first, signal.second, signal.lag) == ("sent", "received", 1)


def test_all_signals_and_scales_have_distinct_names() -> None:
    names = [signal.name for signal in process.SIGNALS]
    assert len(set(product(names, reference.SCALES))) == len(names) * len(reference.SCALES)


@pytest.mark.slow
def test_five_hundred_pairs_over_a_day_take_well_under_a_quarter_of_a_minute() -> None:
    random = np.random.default_rng(10)
    sent, received = random.lognormal(11, 0.5, (32, 8640)), random.lognormal(11, 0.5, (32, 8640))
    seen = Traffic(sent=sent, received=received, observed=np.ones(sent.shape, dtype=np.bool_), interval_s=10.0)
    pairs = list(combinations(range(32), 2))[:500]
    begin = time.process_time()
    found = pair_evidence(seen, pairs)
    taken_s = time.process_time() - begin
    begin = time.process_time()
    rhythms(seen, pairs)
    print(
        f"\n500 pairs x 8,640 intervals: {taken_s:.0f} s of one core, {time.process_time() - begin:.0f} s for the table"
    )
    assert found.log_e.max() < 0
    assert taken_s < 15
