"""Checking answers: honest ones pass whatever the arithmetic, others are found, and what is left to signal is counted."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from graph_models import FREE, GREEDY, SEEDED, answer_greedily, encoder, evaluator
from numpy.typing import NDArray

from inspectorate.mechanisms.guarantee.graph.answers import AnswerCheck, Checking, check_answer, judge
from inspectorate.mechanisms.guarantee.graph.noise import gumbel, restricted, seed_of, seeded_choice
from inspectorate.mechanisms.guarantee.graph.types import Choice, Outcome, Sampling

Numbers = NDArray[np.float64]
GRAPH = encoder()
MODEL = evaluator(GRAPH)
OTHER = evaluator(GRAPH, seed=2)
PROMPT = list(b"what is declared is what")
SEED = seed_of(b"request")
TOLERANCE = 1e-4


def check(answer: list[int], sampling: Sampling = GREEDY, **changes: object) -> AnswerCheck:
    checking = Checking(**{"spread_max": TOLERANCE, "seed": SEED, **changes})  # type: ignore[arg-type]
    return check_answer(GRAPH, MODEL, PROMPT, answer, checking=checking, sampling=sampling)


def test_the_likeliest_tokens_pass() -> None:
    found = check(answer_greedily(MODEL, PROMPT, 30))
    assert found.outcome is Outcome.CONSISTENT
    assert found.checked == 30
    assert found.margin == 0.0
    assert all(value < 0 for value in found.log_probabilities)


def test_another_models_answer_differs_where_it_first_does() -> None:
    ours, theirs = answer_greedily(MODEL, PROMPT, 30), answer_greedily(OTHER, PROMPT, 30)
    found = check(theirs)
    assert found.outcome is Outcome.DIFFERS
    assert found.where == next(i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
    assert "falls short" in found.reason


def test_one_changed_token_is_found_at_its_place_and_only_if_looked_at() -> None:
    answer = answer_greedily(MODEL, PROMPT, 30)
    answer[29] ^= 1
    assert (check(answer).outcome, check(answer).where) == (Outcome.DIFFERS, 29)
    assert check(answer, places=(29,)).where == 29
    assert check(answer, places=tuple(range(29))).outcome is Outcome.CONSISTENT


def test_a_token_passes_up_to_the_tolerance_and_not_beyond() -> None:
    answer = answer_greedily(MODEL, PROMPT, 10)
    scores = MODEL.answer_scores(PROMPT, answer)
    second = int(np.argsort(scores[9])[-2])
    short = float(scores[9].max() - scores[9, second])
    answer[9] = second
    assert check(answer, spread_max=short * 1.001).outcome is Outcome.CONSISTENT
    found = check(answer, spread_max=short * 0.999)
    assert found.outcome is Outcome.DIFFERS
    assert found.margin == pytest.approx(short)


def seeded_answer(count: int, seed: bytes, deviation: float = 0.0) -> list[int]:
    """An answer by seeded sampling, of a server whose scores deviate a little."""
    rng, sequence = np.random.default_rng(1), list(PROMPT)
    for place in range(count):
        scores = MODEL.answer_scores(sequence, [0])[0]
        scores += deviation * rng.uniform(-0.5, 0.5, len(scores))
        sequence.append(seeded_choice(scores, seed, place, temperature=SEEDED.temperature, top_k=SEEDED.top_k))
    return sequence[len(PROMPT) :]


def test_seeded_sampling_is_recomputed() -> None:
    answer = seeded_answer(30, SEED)
    assert check(answer, SEEDED).outcome is Outcome.CONSISTENT
    assert len(set(answer)) > 2
    assert check(seeded_answer(30, seed_of(b"another")), SEEDED).outcome is Outcome.DIFFERS
    assert check(answer_greedily(MODEL, PROMPT, 30), SEEDED).outcome is Outcome.DIFFERS
    assert check(answer, SEEDED, seed=None).outcome is Outcome.CANNOT_TELL


def test_a_server_within_the_tolerance_passes_when_sampling_by_seed() -> None:
    for seed in (b"a", b"b", b"c", b"d"):
        answer = seeded_answer(30, seed_of(seed), deviation=0.5)
        assert check(answer, SEEDED, seed=seed_of(seed), spread_max=0.5).outcome is Outcome.CONSISTENT


def free_answers(model_scores: Numbers, count: int, seed: int, sampling: Sampling = FREE) -> NDArray[np.int64]:
    """Draws from given scores, one row per answer."""
    rng = np.random.default_rng(seed)
    scaled = restricted(model_scores, temperature=sampling.temperature, top_k=sampling.top_k)
    return np.argmax(scaled + rng.gumbel(size=(count, *scaled.shape)), axis=2)


SCORES = np.random.default_rng(5).normal(scale=3.0, size=(100, 64))
"""Scores of 100 places over 64 symbols: free sampling is judged by itself, without a model."""
PLACES = tuple(range(100))


def judged(tokens: NDArray[np.int64], tolerance: float = 1e-5, **changes: float) -> AnswerCheck:
    return judge(SCORES, tokens.tolist(), PLACES, FREE, Checking(spread_max=tolerance, **changes))


def test_free_sampling_as_declared_passes_as_often_as_stated() -> None:
    found = [judged(answer, false_alarm=0.05) for answer in free_answers(SCORES, 300, 1)]
    assert sum(one.outcome is Outcome.DIFFERS for one in found) <= 0.05 * 300
    assert np.mean([np.exp(one.log_e or 0.0) for one in found]) < 1.5  # an expectation of 1 at most


def test_free_sampling_by_a_server_that_deviates_within_the_tolerance_passes() -> None:
    """The worst that a deviation of 0.2 can do: every likely token a little likelier."""
    moved = SCORES + 0.2 * (np.median(SCORES, axis=1, keepdims=True) < SCORES)
    answers = free_answers(moved, 100, 2)
    found = [judged(answer, 0.2, false_alarm=0.05) for answer in answers]
    assert sum(one.outcome is Outcome.DIFFERS for one in found) <= 0.05 * 100


@pytest.mark.parametrize("kind", ["uniform", "another model", "too hot", "greedy", "beyond the best"])
def test_free_sampling_of_something_else_is_found(kind: str) -> None:
    other = np.random.default_rng(6).normal(scale=3.0, size=SCORES.shape)
    match kind:
        case "uniform":
            answers = free_answers(np.zeros_like(SCORES), 20, 3, Sampling(choice=Choice.FREE))
        case "another model":
            answers = free_answers(other, 20, 3)
        case "too hot":
            answers = free_answers(SCORES, 20, 3, Sampling(choice=Choice.FREE, temperature=4.0, top_k=20))
        case "greedy":
            answers = np.broadcast_to(SCORES.argmax(axis=1), (20, 100))
        case _:
            answers = free_answers(SCORES, 20, 3)
            answers[:, 50] = SCORES[50].argmin()
    found = [judged(answer) for answer in answers]
    assert all(one.outcome is Outcome.DIFFERS for one in found)
    if kind == "beyond the best":
        assert {one.where for one in found} == {50}


def test_covert_bits_are_the_choices_that_would_have_passed() -> None:
    """Against trying every token at every place."""
    answer = answer_greedily(MODEL, PROMPT, 2)
    scores = MODEL.answer_scores(PROMPT, answer)
    for sampling, tolerance in itertools.product((GREEDY, SEEDED), (1e-4, 0.3, 2.0)):
        checking = Checking(spread_max=tolerance, seed=SEED)
        bits = 0.0
        for place in range(2):
            passing = sum(
                judge(scores[place : place + 1], [token], [place], sampling, checking).outcome is Outcome.CONSISTENT
                for token in range(256)
            )
            bits += np.log2(passing)
        assert judge(scores, answer, range(2), sampling, checking).covert_bits == pytest.approx(bits)


def test_covert_bits_of_free_sampling_are_the_entropy() -> None:
    even = np.zeros((7, 16))
    found = judge(even, [1] * 7, range(7), Sampling(choice=Choice.FREE), Checking(spread_max=0.0))
    assert found.covert_bits == pytest.approx(7 * 4)
    assert found.covert_bits_per_token == pytest.approx(4)


def test_a_message_in_low_margin_tokens_is_found_beyond_the_tolerance() -> None:
    """Every fifth token is the second best: found at once, and not where the tolerance is as wide as their margin."""
    answer, sequence = [], list(PROMPT)
    widest = 0.0
    for place in range(25):
        scores = MODEL.answer_scores(sequence, [0])[0]
        order = np.argsort(scores)
        token = int(order[-2] if place % 5 == 4 else order[-1])
        widest = max(widest, float(scores.max() - scores[token]))
        answer.append(token)
        sequence.append(token)
    assert check(answer).where == 4
    passed = check(answer, spread_max=widest * 1.001)
    assert passed.outcome is Outcome.CONSISTENT
    assert passed.covert_bits > 5


@pytest.mark.parametrize(
    ("prompt", "answer", "outcome"),
    [
        ([], [1], Outcome.CANNOT_TELL),
        ([1], [], Outcome.CANNOT_TELL),
        ([999], [1], Outcome.CANNOT_TELL),
        ([1], [999], Outcome.DIFFERS),
        ([1], [-1], Outcome.DIFFERS),
        ([1] * 70_000, [1], Outcome.CANNOT_TELL),
    ],
)
def test_hostile_tokens_never_raise_and_never_pass(prompt: list[int], answer: list[int], outcome: Outcome) -> None:
    found = check_answer(GRAPH, MODEL, prompt, answer, checking=Checking(spread_max=1.0))
    assert found.outcome is outcome
    assert found.checked == 0


def test_no_place_looked_at_is_not_consistent() -> None:
    answer = answer_greedily(MODEL, PROMPT, 3)
    assert check(answer, places=()).outcome is Outcome.CANNOT_TELL
    assert check(answer, places=(3,)).outcome is Outcome.CANNOT_TELL


def test_the_noise_is_that_of_a_seed_and_of_a_place() -> None:
    """A vector by hand, and the distribution: the softmax of the scores."""
    assert np.array_equal(gumbel(SEED, 3, 10), gumbel(SEED, 3, 20)[:10])
    assert not np.array_equal(gumbel(SEED, 3, 10), gumbel(SEED, 4, 10))
    scores = np.array([0.0, 1.0, 2.0])
    drawn = [seeded_choice(scores, SEED, place, temperature=1.0, top_k=None) for place in range(4000)]
    shares = np.bincount(drawn, minlength=3) / 4000
    assert np.allclose(shares, np.exp(scores) / np.exp(scores).sum(), atol=0.03)
    with pytest.raises(ValueError, match="32 bytes"):
        gumbel(b"short", 0, 4)
