"""One request, and one packet of requests, against what the declared model gives: pure, on arrays.

1. Content is read and must be what was committed to; tokens lie in the vocabulary; the seed is the one that the rule gives.
2. Tokens, and what else was kept, are compared by the method: bit by bit, or as scores between 0 and 1.
3. The scores of a packet's requests follow one another in one bet; the packet differs once the evidence passes the threshold.

What is missing, or cannot be evaluated, is `NOT_RUN`. What is there and cannot come from the declared model (proofs too few or too
many, tokens beyond the vocabulary) is `DIFFERED`. An answer without tokens shows nothing, and is `NOT_RUN`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inspectorate.canonical import Record
from inspectorate.errors import EvidenceError
from inspectorate.evidence.inspected import ReplayMethod
from inspectorate.mechanisms.inspection.results import Outcome, Tolerance
from inspectorate.mechanisms.inspection.tokens import betting, calibrate, covert, difr, toploc
from inspectorate.mechanisms.inspection.tokens.decoder import Forward
from inspectorate.mechanisms.inspection.tokens.floats import to_bits
from inspectorate.mechanisms.inspection.tokens.reference import DISTANCE_CLIP, MARGIN_CLIP
from inspectorate.mechanisms.inspection.tokens.sampling import (
    I64,
    SamplingRule,
    TopLogits,
    best_of,
    margins,
    margins_of,
)
from inspectorate.mechanisms.inspection.transcripts.types import InferenceHeader

F64 = NDArray[np.float64]

SEED_FROM_PROMPT = "prompt"
SEED_STATED = "stated"
_SEED_LABEL = b"inspectorate answer seed v1\0"


def seed_from_prompt(prompt: bytes) -> int:
    """53 bits from a prompt's tokens as they were committed to: no choice of the server's is in it."""
    return int.from_bytes(hashlib.sha256(_SEED_LABEL + prompt).digest()[:8], "big") >> 11


class Kept(Record):
    """Which proofs a run keeps, from its header's `proofs`."""

    proofs: toploc.ProofSettings | None = None
    projection: difr.ProjectionSettings | None = None

    @classmethod
    def of(cls, header: InferenceHeader, *, where: str) -> Kept:
        """`kind` is `toploc` or `activation-difr`, the rest are its settings. Raises `EvidenceError`."""
        stated = dict(header.proofs)
        kind = stated.pop("kind", None)
        if kind is None:
            if stated:
                raise EvidenceError("proofs have settings and no kind", where=where)
            return cls()
        if kind == "toploc":
            return cls(proofs=toploc.ProofSettings.parse(stated, where=where, error=EvidenceError))
        if kind == "activation-difr":
            return cls(projection=difr.ProjectionSettings.parse(stated, where=where, error=EvidenceError))
        raise EvidenceError(f"{str(kind)[:60]!r} is no kind of proof that is known here", where=where)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a packet is held against."""

    method: ReplayMethod
    rule: SamplingRule
    seed_rule: str
    kept: Kept
    tolerance: Tolerance | None
    vocabulary: int

    @classmethod
    def of(
        cls, header: InferenceHeader, *, method: ReplayMethod, tolerance: Tolerance | None, vocabulary: int
    ) -> Rules:
        """Raises `EvidenceError` on a header that states no rule known here, `ValueError` on a tolerance of another method."""
        if (method is ReplayMethod.EXACT) != (tolerance is None):
            raise ValueError("a method that is not exact, and no other, has a tolerance")
        if tolerance is not None and tolerance.method is not method:
            raise ValueError(f"the tolerance is for {tolerance.method}, not for {method}")
        stated = dict(header.sampling)
        seed_rule = stated.pop("seed", SEED_STATED)
        if seed_rule not in (SEED_STATED, SEED_FROM_PROMPT):
            raise EvidenceError(
                f"{str(seed_rule)[:60]!r} is no rule for seeds that is known here", where="sampling.seed"
            )
        kept = Kept.of(header, where="proofs")
        if method is ReplayMethod.TOPLOC and kept.proofs is None:
            raise EvidenceError("no TOPLOC proofs were kept in this run", where="proofs")
        return cls(
            method=method, rule=SamplingRule.of(stated, where="sampling"), seed_rule=str(seed_rule), kept=kept,
            tolerance=tolerance, vocabulary=vocabulary,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Answered:
    """One request with its content read: tokens as numbers, the proof as bytes."""

    prompt: I64
    answer: I64
    seed: int
    proof: bytes | None


@dataclass
class Scores:
    """What the requests of a packet gave so far."""

    tokens: list[F64] = field(default_factory=list)
    activations: list[F64] = field(default_factory=list)
    exceeded: list[F64] = field(default_factory=list)
    costs: list[F64] = field(default_factory=list)
    differing: int = 0
    count: int = 0
    problem: str | None = None
    """What cannot come from the declared model."""
    missing: str | None = None
    """What could not be compared."""


def add_request(scores: Scores, asked: Answered, forward: Forward, rules: Rules) -> None:
    """Compare one request. Raises `EvidenceError` on a proof that cannot be one, `ValueError` on numbers that are not finite."""
    top = TopLogits.of(forward.logits, rules.rule.needed)
    places = np.arange(len(asked.answer), dtype=np.int64)
    table = margins(top, rules.rule, asked.seed, places)
    short = margins_of(asked.answer, table, top)
    scores.count += len(asked.answer)
    scores.differing += int((asked.answer != best_of(table, top)).sum())
    scores.tokens.append(np.minimum(short, MARGIN_CLIP) / MARGIN_CLIP)
    scores.costs.append(table)
    if rules.kept.proofs is not None and rules.method is not ReplayMethod.DIFR:
        _add_toploc(scores, asked, forward, rules)
    if rules.kept.projection is not None and rules.method is not ReplayMethod.TOPLOC:
        _add_projection(scores, asked, forward, rules)


def _add_toploc(scores: Scores, asked: Answered, forward: Forward, rules: Rules) -> None:
    settings = rules.kept.proofs
    assert settings is not None
    if asked.proof is None:
        scores.missing = "an answer has no proof"
        return
    proofs = toploc.read_proofs(asked.proof, settings, decoded=len(forward.decoded), where="proof")
    prefill = None if settings.skip_prefill else to_bits(forward.prefill)
    chunks = toploc.chunks_of(prefill, to_bits(forward.decoded), settings)
    if rules.method is ReplayMethod.EXACT:
        own = toploc.write_proofs(toploc.build_proofs(chunks, settings))
        scores.differing += own != asked.proof
        return
    assert rules.tolerance is not None
    compared = toploc.verify_proofs(proofs, chunks, settings, where="proof")
    if any(one is None for one in compared):
        scores.missing = "a proof says that it could not be made"
    found = [calibrate.exceeds(one, rules.tolerance.parameters) for one in compared if one is not None]
    scores.exceeded.append(np.asarray(found, dtype=np.float64))


def _add_projection(scores: Scores, asked: Answered, forward: Forward, rules: Rules) -> None:
    settings = rules.kept.projection
    assert settings is not None
    if asked.proof is None:
        scores.missing = "an answer has no fingerprint"
        return
    if not len(forward.decoded):
        return
    kept = difr.read_fingerprint(asked.proof, settings, tokens=len(forward.decoded), where="fingerprint")
    if rules.method is ReplayMethod.EXACT:
        scores.differing += difr.write_fingerprint(difr.fingerprint(forward.decoded, settings)) != asked.proof
        return
    scores.activations.append(difr.activation_scores(kept, forward.decoded, settings) / DISTANCE_CLIP)


# --- a packet --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """What a packet came to."""

    outcome: Outcome
    reason: str
    distance: float | None = None
    covert_bits_per_token: float | None = None


def conclude(scores: Scores, rules: Rules, *, answers: int) -> Verdict:
    """The packet, from all its requests."""
    if scores.problem is not None:
        return Verdict(Outcome.DIFFERED, scores.problem)
    if scores.missing is not None:
        return Verdict(Outcome.NOT_RUN, scores.missing)
    if not scores.count:
        return Verdict(Outcome.NOT_RUN, "no token was answered, so nothing was compared")
    if rules.method is ReplayMethod.EXACT:
        bits = _seed_bits(rules, answers, scores.count)
        if scores.differing:
            return Verdict(
                Outcome.DIFFERED, f"{scores.differing} tokens or proofs differ", float(scores.differing), bits
            )
        return Verdict(Outcome.MATCHED, f"{scores.count} tokens are the same, bit by bit", 0.0, bits)
    return _by_evidence(scores, rules, answers)


def _by_evidence(scores: Scores, rules: Rules, answers: int) -> Verdict:
    tolerance = rules.tolerance
    assert tolerance is not None
    streams = _streams(scores, rules, tolerance)
    if isinstance(streams, str):
        return Verdict(Outcome.NOT_RUN, streams)
    # Several bets on one packet: each must win as much more as there are bets, so that together they accuse no more often.
    found = {
        name: betting.log_e_max(values, limit) - float(np.log(len(streams)))
        for name, (values, limit) in streams.items()
    }
    distance = max(0.0, *found.values())
    told = "; ".join(
        f"{name}: mean {values.mean():.3g} of {len(values)}, honest up to {limit:.3g}"
        for name, (values, limit) in streams.items()
    )
    outcome = Outcome.DIFFERED if distance >= tolerance.threshold else Outcome.MATCHED
    return Verdict(outcome, told, distance, covert_bits(scores, rules, answers))


def _streams(scores: Scores, rules: Rules, tolerance: Tolerance) -> dict[str, tuple[F64, float]] | str:
    """Scores by name with the limit on their mean, or what is missing."""
    limits = tolerance.parameters
    if rules.method is ReplayMethod.TOPLOC:
        if not scores.exceeded or calibrate.RATE not in limits:
            return "there is no proof to compare"
        return {"proofs beyond the limits": (np.concatenate(scores.exceeded), limits[calibrate.RATE])}
    if calibrate.TOKEN_MEAN not in limits:
        return "the tolerance has no limit for tokens"
    streams = {"margins": (np.concatenate(scores.tokens), limits[calibrate.TOKEN_MEAN])}
    if scores.activations:
        if calibrate.ACTIVATION_MEAN not in limits:
            return "fingerprints were kept, and the tolerance has no limit for them"
        streams["activations"] = (np.concatenate(scores.activations), limits[calibrate.ACTIVATION_MEAN])
    return streams


def covert_bits(scores: Scores, rules: Rules, answers: int) -> float:
    """Bits a token that answers which pass as this packet did could carry, at most: see `covert`."""
    seeds = _seed_bits(rules, answers, scores.count)
    if rules.method is ReplayMethod.TOPLOC or rules.tolerance is None:
        return float(np.log2(rules.vocabulary)) + seeds
    allowed = betting.passing_mean(
        scores.count, rules.tolerance.parameters[calibrate.TOKEN_MEAN], rules.tolerance.threshold
    )
    costs = np.concatenate(scores.costs)
    return covert.capacity(costs, allowed * MARGIN_CLIP, vocabulary=rules.vocabulary) + seeds


def _seed_bits(rules: Rules, answers: int, tokens: int) -> float:
    """A seed that the server states may be one that it chose."""
    return covert.SEED_BITS * answers / tokens if rules.seed_rule == SEED_STATED else 0.0
