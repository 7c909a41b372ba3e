"""Whether an answer is one that the declared graph gives: token by token, up to the tolerance.

Each token was chosen from scores. The verifier has scores of its own, which differ from the server's by at most the tolerance d
(`tolerance`). By how tokens are declared to be chosen:

- greedy: the token's score may be below the best by d at most.
- seeded: the same, after both were divided by the temperature and had the noise of the seed added.
- free: the token must be among the `top_k` best, up to d; and the answer as a whole must not be too surprising, nor too little so.
  The latter is a test by betting: under the declared distribution p the product of p_b(token) / p(token) over the answer, with
  p_b proportional to p^b, has expectation 1 for each b, and so has their mean over several b. It exceeds 1/a with chance a at
  most, at any length. Deviation of the server's p by d is credited to the server at every token.

The other side of every tolerance is a covert channel: a server may choose among all tokens that would have passed. `covert_bits` is
the sum over the checked places of the logarithm of their number (greedy, seeded), or of the entropy of the declared distribution
(free), which is what a server that draws as declared, from bits of its own, sends unseen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inspectorate.mechanisms.guarantee.graph.evaluate import Evaluator
from inspectorate.mechanisms.guarantee.graph.noise import SEED_BYTES, gumbel, restricted
from inspectorate.mechanisms.guarantee.graph.operations import softmax
from inspectorate.mechanisms.guarantee.graph.reference import TOKENS_MAX
from inspectorate.mechanisms.guarantee.graph.types import Choice, Graph, Outcome, Sampling
from inspectorate.mechanisms.guarantee.graph.weights import Numbers, Weights

FALSE_ALARM = 1e-6
"""Chance per answer that an honest server that samples freely is said to differ, at most."""
BETS = (0.0, 0.5, 0.8, 1.25, 2.0, 4.0)
"""Exponents b of the alternatives: flatter than declared (0 is uniform), as another model's answers look, and sharper."""


@dataclass(frozen=True, kw_only=True)
class Checking:
    """How an answer is checked."""

    spread_max: float
    """The tolerance in scores, before the temperature."""
    seed: bytes | None = None
    """Of the server's sampling, where it is declared as seeded."""
    places: tuple[int, ...] | None = None
    """Which tokens of the answer are looked at; none: all. Drawn after the answer was given."""
    false_alarm: float = FALSE_ALARM


@dataclass(frozen=True, kw_only=True)
class AnswerCheck:
    """What the check of one answer found."""

    outcome: Outcome
    reason: str
    where: int | None = None
    """The first token that the graph cannot have given."""
    margins: tuple[float, ...] = ()
    """By how much each checked token fell short of what was best, in scores."""
    log_probabilities: tuple[float, ...] = ()
    """Of each checked token by the graph, at temperature 1 and over the whole vocabulary."""
    log_e: float | None = None
    """Free sampling: natural logarithm of the e-value against the server; of independent answers they add up."""
    covert_bits: float = 0.0
    """What the server could have sent at the checked places without differing."""

    @property
    def checked(self) -> int:
        return len(self.margins)

    @property
    def margin(self) -> float | None:
        """The largest shortfall."""
        return max(self.margins, default=None)

    @property
    def covert_bits_per_token(self) -> float | None:
        return self.covert_bits / self.checked if self.checked else None


def check_answer(
    graph: Graph,
    weights: Weights | Evaluator,
    prompt: Sequence[int],
    tokens: Sequence[int],
    *,
    checking: Checking,
    sampling: Sampling | None = None,
) -> AnswerCheck:
    """Recompute an answer and hold it against the graph. `sampling` is what the graph declares, unless it is given.

    Never raises on what a server or a client sent: what cannot be recomputed is `CANNOT_TELL`, with the reason.
    """
    evaluator = weights if isinstance(weights, Evaluator) else Evaluator(graph, weights)
    chosen = evaluator.serving.sampling if sampling is None else sampling
    if not tokens or not prompt or len(tokens) + len(prompt) > TOKENS_MAX:
        return _untold(f"a prompt and an answer are needed, of {TOKENS_MAX} tokens together at most")
    vocabulary = evaluator.serving.vocabulary
    if any(not 0 <= token < vocabulary for token in prompt):
        return _untold("the prompt has a token that is not in the vocabulary")
    strange = next((index for index, token in enumerate(tokens) if not 0 <= token < vocabulary), None)
    if strange is not None:
        return AnswerCheck(outcome=Outcome.DIFFERS, reason="a token is not in the vocabulary", where=strange)
    places = tuple(range(len(tokens))) if checking.places is None else tuple(sorted(set(checking.places)))
    if not places or any(not 0 <= place < len(tokens) for place in places):
        return _untold("no place of the answer is looked at, or one that it does not have")
    if chosen.choice is Choice.SEEDED and (checking.seed is None or len(checking.seed) != SEED_BYTES):
        return _untold("the seed of the sampling is not known")
    try:
        scores = evaluator.answer_scores(prompt, tokens, places)
    except ValueError as fault:
        return _untold(str(fault))
    if not np.isfinite(scores).all():
        return _untold("the evaluation overflowed")
    return judge(scores, [tokens[place] for place in places], places, chosen, checking)


def judge(
    scores: Numbers, tokens: Sequence[int], places: Sequence[int], sampling: Sampling, checking: Checking
) -> AnswerCheck:
    """Hold tokens against scores of shape (places, vocabulary) that are finite."""
    each = np.arange(len(tokens))
    shares = np.log(softmax(scores))[each, list(tokens)]
    if sampling.choice is Choice.FREE:
        margins, bits, log_e, where = _free(scores, tokens, sampling, checking)
    else:
        margins, bits, where = _determined(scores, tokens, places, sampling, checking)
        log_e = None
    if where is not None:
        outcome, reason = Outcome.DIFFERS, _why(sampling, margins[where], checking)
    else:
        outcome, reason = Outcome.CONSISTENT, "within the tolerance"
    return AnswerCheck(
        outcome=outcome,
        reason=reason,
        where=None if where is None else places[where],
        margins=tuple(margins.tolist()),
        log_probabilities=tuple(shares.tolist()),
        log_e=log_e,
        covert_bits=bits,
    )


def _determined(
    scores: Numbers, tokens: Sequence[int], places: Sequence[int], sampling: Sampling, checking: Checking
) -> tuple[Numbers, float, int | None]:
    """Greedy and seeded: margins, bits, and the first place beyond the tolerance.

    A token is held against the best of those that the server surely chose from, and against the last that it may have.
    """
    best, surely, beyond = scores, np.ones_like(scores, dtype=bool), np.zeros_like(scores)
    if sampling.choice is Choice.SEEDED:
        assert checking.seed is not None, "asked before"
        noise = np.stack([gumbel(checking.seed, place, scores.shape[1]) for place in places])
        best = scores + sampling.temperature * noise
        beyond = _below_best(scores, sampling.top_k)
        if sampling.top_k is not None:
            surely = _below_best(scores, sampling.top_k + 1) <= -checking.spread_max
    leading = np.where(surely, best, -np.inf).max(axis=1)
    short = np.maximum(np.maximum(leading[:, None] - best, beyond), 0.0)
    margins = short[np.arange(len(tokens)), list(tokens)]
    passing = (short <= checking.spread_max).sum(axis=1)
    over = np.flatnonzero(margins > checking.spread_max)
    bits = float(np.log2(np.maximum(passing, 1)).sum())
    return margins, bits, int(over[0]) if len(over) else None


def _free(
    scores: Numbers, tokens: Sequence[int], sampling: Sampling, checking: Checking
) -> tuple[Numbers, float, float, int | None]:
    """Free sampling: margins to the last token allowed, entropy in bits, the e-value, and where either test failed first.

    If the server's scores deviate by d, its probability of a token is at most exp(d) times exp(score) over the sum of the k
    largest exp(score): whatever k tokens it took, their sum is no smaller. Bets are over all tokens that it may have taken.
    """
    each = np.arange(len(tokens))
    scaled, slack = scores / sampling.temperature, checking.spread_max / sampling.temperature
    short = np.maximum(_below_best(scores, sampling.top_k), 0.0)
    allowed = short <= checking.spread_max
    margins = short[each, list(tokens)]
    log_p_max = (scaled - _log_sum_of_best(scaled, sampling.top_k)[:, None])[each, list(tokens)] + slack
    bets = []
    for exponent in BETS:
        bet = _log_softmax(np.where(allowed, exponent * scaled, -np.inf))[each, list(tokens)]
        bets.append(np.cumsum(np.where(margins <= checking.spread_max, bet - log_p_max, 0.0)))
    mixed = np.logaddexp.reduce(np.stack(bets), axis=0) - np.log(len(BETS))
    failed = np.flatnonzero((margins > checking.spread_max) | (mixed >= -np.log(checking.false_alarm)))
    declared = _log_softmax(restricted(scores, temperature=sampling.temperature, top_k=sampling.top_k))
    entropy = -(np.exp(declared) * np.where(np.isfinite(declared), declared, 0.0)).sum() / np.log(2.0)
    return margins, float(entropy), float(mixed[-1]), int(failed[0]) if len(failed) else None


def _below_best(scores: Numbers, count: int | None) -> Numbers:
    """By how much each score is below the last of the `count` best of its place; minus infinity where all are among them."""
    if count is None or count > scores.shape[1]:
        return np.full_like(scores, -np.inf)
    least = np.partition(scores, -count, axis=1)[:, -count]
    below: Numbers = least[:, None] - scores
    return below


def _log_sum_of_best(scores: Numbers, count: int | None) -> Numbers:
    best = scores if count is None or count >= scores.shape[1] else np.partition(scores, -count, axis=1)[:, -count:]
    found: Numbers = np.logaddexp.reduce(best, axis=1)
    return found


def _log_softmax(scores: Numbers) -> Numbers:
    moved = scores - scores.max(axis=1, keepdims=True)
    found: Numbers = moved - np.log(np.exp(moved).sum(axis=1, keepdims=True))
    return found


def _why(sampling: Sampling, margin: float, checking: Checking) -> str:
    if sampling.choice is Choice.FREE and margin <= checking.spread_max:
        return "the answer as a whole is not one that is drawn from the declared distribution"
    return f"a token falls short of what the graph gives by {margin:.3g}, and {checking.spread_max:.3g} is tolerated"


def _untold(reason: str) -> AnswerCheck:
    return AnswerCheck(outcome=Outcome.CANNOT_TELL, reason=reason)
