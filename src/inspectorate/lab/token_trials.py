"""Detection against number of tokens: what the checks of answers make of honest and of other servers, on streams drawn from their
answers.

- A unit is a token, or a proof of `batching` tokens. Its score lies between 0 and 1.
- A stream is answers drawn with replacement, one after the other; the bet runs along it, and accuses where it passes 1/a.
- The area under the ROC curve is taken over false alarm rates below `PARTIAL_FPR`, of means over so many tokens, and scaled so
  that chance is 0.5 and perfect is 1 (McClish 1989), as in arXiv 2511.20621.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from inspectorate.lab.token_attacks import Asked, answered
from inspectorate.mechanisms.inspection.tokens import betting, calibrate, difr, toploc
from inspectorate.mechanisms.inspection.tokens.decoder import Decoder, forward_at_once
from inspectorate.mechanisms.inspection.tokens.floats import to_bits
from inspectorate.mechanisms.inspection.tokens.reference import DETECTION, DISTANCE_CLIP, MARGIN_CLIP, PARTIAL_FPR
from inspectorate.mechanisms.inspection.tokens.sampling import TopLogits, best_of, margins, margins_of
from inspectorate.mechanisms.inspection.tokens.serve import Choose, Served

F64 = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Looked:
    """Scores of one server's answers, one array for each answer."""

    tokens: list[F64]
    activations: list[F64]
    proofs: list[list[toploc.Comparison]]
    costs: F64
    logits: F64
    equal: float
    """Share of tokens that the verifier would have chosen too."""


@dataclass(frozen=True)
class Keeping:
    """What a server keeps beside its answers."""

    proofs: toploc.ProofSettings
    projection: difr.ProjectionSettings


def look(verifier: Decoder, asked: Asked, served: Served, keeping: Keeping) -> Looked:
    """Hold answers against the declared model, by all inexact methods at once."""
    tokens, activations, proofs, costs, logits = [], [], [], [], []
    equal = 0
    for row, prompt in enumerate(asked.prompts):
        answer = served.tokens[row]
        own = forward_at_once(verifier, prompt, answer)
        top = TopLogits.of(own.logits, asked.rule.needed)
        table = margins(top, asked.rule, asked.seeds[row], np.arange(len(answer)))
        tokens.append(np.minimum(margins_of(answer, table, top), MARGIN_CLIP) / MARGIN_CLIP)
        equal += int((best_of(table, top) == answer).sum())
        costs.append(table)
        logits.append(top.values)
        kept = difr.fingerprint(served.decoded[row], keeping.projection)
        activations.append(difr.activation_scores(kept, own.decoded, keeping.projection) / DISTANCE_CLIP)
        made = toploc.build_proofs(toploc.chunks_of(None, to_bits(served.decoded[row]), keeping.proofs), keeping.proofs)
        chunks = toploc.chunks_of(None, to_bits(own.decoded), keeping.proofs)
        compared = toploc.verify_proofs(made, chunks, keeping.proofs, where="trial")
        proofs.append([one for one in compared if one is not None])
    return Looked(
        tokens=tokens, activations=activations, proofs=proofs, costs=np.concatenate(costs),
        logits=np.concatenate(logits), equal=equal / served.tokens.size,
    )  # fmt: skip


def some_of(looked: Looked, rows: Sequence[int]) -> Looked:
    """Some of the answers, which all have one length."""
    count = len(looked.tokens)
    costs, logits = (np.split(table, count) for table in (looked.costs, looked.logits))
    return replace(
        looked,
        tokens=[looked.tokens[row] for row in rows],
        activations=[looked.activations[row] for row in rows],
        proofs=[looked.proofs[row] for row in rows],
        costs=np.concatenate([costs[row] for row in rows]),
        logits=np.concatenate([logits[row] for row in rows]),
    )


def together(parts: Sequence[Looked]) -> Looked:
    """Answers of several servers as of one."""
    return Looked(
        tokens=[run for part in parts for run in part.tokens],
        activations=[run for part in parts for run in part.activations],
        proofs=[run for part in parts for run in part.proofs],
        costs=np.concatenate([part.costs for part in parts]),
        logits=np.concatenate([part.logits for part in parts]),
        equal=float(np.mean([part.equal for part in parts])),
    )


def exact_scores(same_stack: Decoder, asked: Asked, served: Served) -> list[F64]:
    """Token by token, on the server's own stack and in its own batches: 1 where the token is another than the rule gives."""
    found = np.zeros(served.tokens.shape)

    def follower(batch: Asked, start: int) -> Choose:
        def choose(row: int, top: TopLogits, place: int) -> int:
            token = int(served.tokens[start + row, place])
            table = margins(top, batch.rule, batch.seeds[row], np.array([place]))
            found[start + row, place] = token != int(best_of(table, top)[0])
            return token

        return choose

    answered(same_stack, asked, follower)
    return list(found)


def proof_exceeds(looked: Looked, limits: dict[str, float]) -> list[F64]:
    return [np.array([float(calibrate.exceeds(one, limits)) for one in run]) for run in looked.proofs]


def proof_scores(looked: Looked) -> list[F64]:
    """One number a proof, for the ROC curve: exponents and signs that differ, and the mean error of the others' mantissas."""
    return [
        np.array(
            [
                (
                    one.exponent_mismatches
                    + one.sign_mismatches
                    + one.exponent_intersections * (one.mantissa_mean or 0) / 128
                )
                / one.compared
                for one in run
            ]
        )
        for run in looked.proofs
    ]


# --- streams ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reached:
    """How many units it takes to accuse."""

    units: float
    """By which `DETECTION` of the streams are accused; infinite where fewer are within their length."""
    share: float
    """Of streams that were accused at all."""


def streams(runs: Sequence[F64], length: int, count: int, *, seed: int) -> list[F64]:
    """Answers drawn with replacement, until a stream has so many units."""
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        parts: list[F64] = []
        have = 0
        while have < length:
            parts.append(runs[int(generator.integers(len(runs)))])
            have += len(parts[-1])
        found.append(np.concatenate(parts)[:length])
    return found


def first_accusation(drawn: Sequence[F64], mean_max: float, log_threshold: float) -> Reached:
    """The bet along each stream."""
    return _reached([_first(values, mean_max, log_threshold) for values in drawn])


def _first(values: F64, mean_max: float, log_threshold: float) -> float:
    """The beginning of a stream is looked at first: most need no more."""
    size = 64
    while True:
        over = np.flatnonzero(betting.log_e_path(values[:size], mean_max) >= log_threshold)
        if over.size:
            return float(over[0]) + 1
        if size >= len(values):
            return math.inf
        size *= 8


def first_difference(drawn: Sequence[F64]) -> Reached:
    """Exact: the first token that is another."""
    places = [np.flatnonzero(values) for values in drawn]
    return _reached([one[0] + 1 if one.size else math.inf for one in places])


def _reached(first: Sequence[float]) -> Reached:
    ordered = sorted(first)
    return Reached(
        float(ordered[math.ceil(DETECTION * len(ordered)) - 1]), sum(map(math.isfinite, ordered)) / len(ordered)
    )


def partial_auc(honest: F64, other: F64, *, fpr: float = PARTIAL_FPR) -> float:
    """The area below a false alarm rate, scaled: 0.5 is chance, 1 perfect. Ties count half.

    The ROC curve is a chain of straight pieces between the rates at each distinct score.
    """
    scores = np.unique(np.concatenate([honest, other]))[::-1]
    false = np.concatenate([[0.0], 1 - np.searchsorted(np.sort(honest), scores, side="left") / len(honest)])
    true = np.concatenate([[0.0], 1 - np.searchsorted(np.sort(other), scores, side="left") / len(other)])
    inside = false <= fpr
    last = float(np.interp(fpr, false, true)) if not inside.all() else float(true[-1])
    area = float(np.trapezoid(np.append(true[inside], last), np.append(false[inside], fpr)))
    least = fpr * fpr / 2
    return 0.5 * (1 + (area - least) / (fpr - least))
