"""Noise, margins, projections, bets, tolerances and covert capacity, each beside a slow oracle or a published vector."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.inspection.tokens import betting, calibrate, covert, difr, toploc
from inspectorate.mechanisms.inspection.tokens.exact import own_stack
from inspectorate.mechanisms.inspection.tokens.philox import gumbel, philox
from inspectorate.mechanisms.inspection.tokens.reference import MARGIN_CLIP
from inspectorate.mechanisms.inspection.tokens.sampling import SamplingRule, TopLogits, drawn, margins, margins_of
from inspectorate.statistics import BetPlan, betting_process

RULE = SamplingRule(temperature=0.7, top_k=5, top_p=0.9)


def words(counter: tuple[int, int, int, int], key: tuple[int, int]) -> list[int]:
    even, odd = (int(word) for word in philox(*counter, np.uint64(key[0] | key[1] << 32)))
    return [even & 0xFFFFFFFF, even >> 32, odd & 0xFFFFFFFF, odd >> 32]


def test_philox_gives_the_published_vectors() -> None:
    """Known answers of Random123, philox4x32 with 10 rounds."""
    full = 0xFFFFFFFF
    assert words((0, 0, 0, 0), (0, 0)) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    assert words((full,) * 4, (full, full)) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]
    pi = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)
    assert words(pi, (0xA4093822, 0x299F31D0)) == [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]


def test_any_number_of_the_noise_is_had_by_itself() -> None:
    whole = gumbel(np.arange(400)[None].repeat(3, 0), np.array([0, 1, 9]), 77)
    one = gumbel(np.array([[123, 250]]), np.array([9]), 77)
    assert one.tolist() == [whole[2, [123, 250]].tolist()]
    assert abs(whole.mean() - 0.5772) < 0.15
    assert len(np.unique(whole)) == whole.size
    with pytest.raises(ValueError, match="53 bits"):
        gumbel(np.zeros((1, 1), np.int64), np.zeros(1, np.int64), -1)


def slow_margin(logits: np.ndarray, rule: SamplingRule, seed: int, place: int, token: int) -> float:
    order = sorted(range(len(logits)), key=lambda symbol: (-logits[symbol], symbol))[: rule.top_k]
    weights = [math.exp((logits[s] - logits[order[0]]) / rule.temperature) for s in order]
    stays, before = {}, 0.0
    for symbol, weight in zip(order, weights, strict=True):
        if before < rule.top_p * sum(weights):
            noise = gumbel(np.array([[symbol]]), np.array([place]), seed)[0, 0]
            stays[symbol] = logits[symbol] + rule.temperature * noise
        before += weight
    return max(stays.values()) - stays[token] if token in stays else math.inf


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 500))
def test_margins_are_those_of_the_rule_written_out(seed: int, place: int) -> None:
    logits = np.round(np.random.default_rng(seed).standard_normal((1, 12)) * 2, 1)
    top = TopLogits.of(logits, RULE.needed)
    table = margins(top, RULE, seed, np.array([place]))
    for token in range(12):
        found = margins_of(np.array([token]), table, top)[0]
        assert found == pytest.approx(slow_margin(logits[0], RULE, seed, place, token))
    chosen = drawn(top, RULE, seed, np.array([place]))
    assert slow_margin(logits[0], RULE, seed, place, int(chosen[0])) == 0


def test_the_largest_logits_are_chosen_by_symbol_among_equals() -> None:
    top = TopLogits.of(np.array([[1.0, 3.0, 3.0, 3.0, 0.0]]), 2)
    assert top.symbols.tolist() == [[1, 2]]
    with pytest.raises(ValueError, match="finite"):
        TopLogits.of(np.array([[1.0, np.nan]]), 1)


def test_a_rule_that_is_not_known_is_refused() -> None:
    for stated in ({"rule": "torch"}, {"temperature": -1.0}, {"top_k": 0}, {"beam": 4}):
        with pytest.raises(EvidenceError):
            SamplingRule.of(stated, where="header")


def test_projections_keep_lengths_and_fingerprints_are_counted() -> None:
    chosen = difr.ProjectionSettings(size=8, seed=1)
    columns = difr.projection(24, chosen)
    assert np.allclose(columns.T @ columns, 3 * np.eye(8))
    hidden = np.random.default_rng(1).standard_normal((5, 24)).astype(np.float32)
    kept = difr.read_fingerprint(difr.write_fingerprint(difr.fingerprint(hidden, chosen)), chosen, tokens=5, where="t")
    assert difr.activation_scores(kept, hidden, chosen).max() < 2e-3
    assert difr.activation_scores(kept, hidden * 1.1, chosen).min() > 0.05
    data = difr.write_fingerprint(kept)
    for wrong, tokens in ((data, 4), (data[:-1], 5), (b"", 0), (b"\x00\x7c" * 40, 5)):
        with pytest.raises(EvidenceError):
            difr.read_fingerprint(wrong, chosen, tokens=tokens, where="t")
    with pytest.raises(ValueError, match="directions"):
        difr.projection(4, chosen)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.floats(1e-3, 0.4))
def test_the_bet_is_that_of_the_statistics(values: list[float], mean_max: float) -> None:
    slow = betting_process(np.array(values), mean_max=mean_max, plan=BetPlan.from_start(betting.stakes_for(mean_max)))
    assert betting.log_e_max(np.array(values), mean_max) == pytest.approx(float(slow.log_e_max[0]), abs=1e-9)


def test_an_upper_bound_on_a_mean_holds_and_is_near_the_rule_of_three() -> None:
    rng = np.random.default_rng(4)
    held = sum(betting.mean_upper((rng.random(300) < 0.02) * 1.0, 0.05) >= 0.02 for _ in range(100))
    assert held >= 90
    assert 3 / 1000 < betting.mean_upper(np.zeros(1000), 0.05) < 6 / 1000


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([5, 40, 400]), st.sampled_from([2e-3, 0.05]))
def test_no_way_of_spending_more_than_what_passes_stays_unseen(seed: int, count: int, mean_max: float) -> None:
    """However the cost is spread over the tokens, in whatever order."""
    goal = math.log(100)
    mean = betting.passing_mean(count, mean_max, goal)
    rng = np.random.default_rng(seed)
    scores = np.minimum(rng.random(count) ** rng.integers(1, 40), 1.0)
    while mean < 1 and scores.mean() <= mean * 1.0001:
        scores[int(np.argmin(scores))] = 1.0
    if mean < 1:
        assert betting.log_e_max(scores, mean_max) >= goal


def test_what_passes_in_one_packet_is_spent_on_few_tokens() -> None:
    goal = math.log(100)
    ones = int(193 * betting.passing_mean(193, 2e-3, goal))
    assert ones == 4
    for more, found in ((0, False), (1, True)):
        spent = np.r_[np.zeros(193 - ones - more), np.ones(ones + more)]
        assert (betting.log_e_max(spent, 2e-3) >= goal) is found
    for limit in (0.05, 1e-3, 1e-6):
        assert limit <= betting.passing_mean(betting.FOREVER, limit, goal) < 1.2 * limit


ABOUT = calibrate.About(id="t", stacks=(own_stack("float32"),), vocabulary=64)


def test_tolerances_come_from_honest_runs_only() -> None:
    rng = np.random.default_rng(1)
    margins_ = [np.where(rng.random(200) < 0.01, 0.02, 0.0) for _ in range(10)]
    costs = rng.exponential(1.0, (50, 20))
    costs[:, 0] = 0
    made = calibrate.calibrate_difr(margins_, ABOUT, distances=[np.full(200, 0.005)] * 10, costs=costs)
    assert made.threshold == pytest.approx(math.log(100))
    assert np.concatenate(margins_).mean() / MARGIN_CLIP < made.parameters[calibrate.TOKEN_MEAN] < 0.01
    assert made.covert_bits_per_token is not None
    assert made.covert_bits_per_token > 0
    with pytest.raises(ValueError, match="honest"):
        calibrate.calibrate_difr([np.full(100, 5.0)], ABOUT)

    def one(mismatches: int, mean: float | None) -> toploc.Comparison:
        return toploc.Comparison(
            exponent_mismatches=mismatches, sign_mismatches=0, mantissa_mean=mean, mantissa_median=mean, compared=8
        )

    proofs = calibrate.calibrate_toploc([[one(1, 0.5)] * 40, [one(0, 0.25)] * 40], ABOUT)
    assert not calibrate.exceeds(one(1, 0.5), proofs.parameters)
    assert calibrate.exceeds(one(8, None), proofs.parameters)
    assert calibrate.exceeds(one(2, 0.5), proofs.parameters)
    for runs in ([], [[one(1, 0.5)]], [[], []], [[one(0, 0.0)], [one(5, 3.0)]]):
        with pytest.raises(ValueError, match=r"honest|needed"):
            calibrate.calibrate_toploc(runs, ABOUT)


def test_capacity_is_the_most_entropy_at_that_mean_cost() -> None:
    """Against every distribution on a grid over three symbols."""
    costs = np.array([[0.0, 0.1, 0.4]])
    grid = [p for p in itertools.product(np.linspace(0, 1, 101), repeat=2) if sum(p) <= 1]
    best = 0.0
    for one, two in grid:
        shares = np.array([1 - one - two, one, two])
        if shares @ costs[0] <= 0.08:
            inside = shares[shares > 1e-12]
            best = max(best, float(-(inside * np.log2(inside)).sum()))
    found = covert.capacity(costs, 0.08, vocabulary=3)
    assert best <= found <= best + 0.01
    assert covert.capacity(costs, 10.0, vocabulary=64) == pytest.approx(6.0)
    assert covert.capacity(costs, 0.0, vocabulary=3) < 1e-6
    assert covert.bits_within(costs, 0.1) == 1.0


def test_a_message_is_hidden_and_read_back() -> None:
    rng = np.random.default_rng(2)
    message = int.from_bytes(rng.bytes(200), "big")
    tables = [rng.random(int(rng.integers(1, 9))) for _ in range(60)]
    sender, reader = covert.Narrowing(), covert.Narrowing()
    assert reader.read() == ""
    for table in tables:
        reader.narrow(sender.pick(message, 1600, table), table)
    text = reader.read()
    assert format(message, "01600b").startswith(text)
    entropy = sum(float(-(p * np.log2(p)).sum()) for p in (table / table.sum() for table in tables))
    assert entropy * 0.7 < len(text) < entropy * 1.3
    with pytest.raises(ValueError, match="shorter"):
        covert.Narrowing().pick(1, 8, np.ones(2))


def test_published_exfiltration_figures() -> None:
    gb, slower, inflated = covert.published_leak()
    assert (gb, slower) == (5.0, 200.0)
    assert inflated == (60.0, 118.0)
    assert covert.Leak(8.0, 1000.0).gb_per_day == pytest.approx(0.0864)
    assert covert.Leak(0.0, 1000.0).days_for(1e12) == math.inf
