"""Tolerances from honest pairs: the same requests, run on two stacks that an honest prover and the verifier might have.

Both kinds are judged by betting (`betting`), so that an honest packet of any length is accused with chance `false_alarm` at most:

- DiFR: the mean of the clipped scores. The limit is an upper bound on the mean over all honest tokens, times `factor`.
- TOPLOC: the share of proofs beyond limits. The limits are the largest values of one half of the honest runs, times `factor`; the
  limit on the share is an upper bound from the other half.

The bounds hold at `confidence`, for stacks that were calibrated; `factor` leaves room for others, and is paid for in covert bits,
which every tolerance states. Honest pairs come as arrays, from whatever machine made them: margins and distances by token,
comparisons by proof, one entry for each run.

Tokens of one run are taken as independent: a token whose logits nearly tie does not make the next one tie.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspectorate.evidence import WorkKind
from inspectorate.evidence.inspected import ReplayMethod
from inspectorate.mechanisms.inspection.results import Tolerance
from inspectorate.mechanisms.inspection.tokens.betting import FOREVER, MEAN_MIN, mean_upper, passing_mean
from inspectorate.mechanisms.inspection.tokens.covert import capacity
from inspectorate.mechanisms.inspection.tokens.reference import (
    CONFIDENCE,
    DISTANCE_CLIP,
    FALSE_ACCUSATION_RATE,
    MARGIN_CLIP,
)
from inspectorate.mechanisms.inspection.tokens.toploc import Comparison
from inspectorate.mechanisms.inspection.transcripts.types import Stack
from inspectorate.statistics import clopper_pearson_upper

F64 = NDArray[np.float64]

MARGIN_UNIT = "natural logarithm of the e-value against an honest server, at its highest"
TOKEN_MEAN, ACTIVATION_MEAN = "token_mean", "activation_mean"
EXPONENTS, MANTISSA_MEAN, MANTISSA_MEDIAN, RATE = (
    "exponents_max",
    "mantissa_mean_max",
    "mantissa_median_max",
    "rate_max",
)
MEAN_LIMIT_MAX = 0.5
"""An honest mean beyond this is no calibration: nothing would be found."""


@dataclass(frozen=True, kw_only=True)
class About:
    """What a calibration is for, and what it promises."""

    id: str
    stacks: tuple[Stack, ...]
    false_alarm: float = FALSE_ACCUSATION_RATE
    confidence: float = CONFIDENCE
    factor: float = 1.5
    vocabulary: int = 1 << 17
    subject: str | None = None
    """Digest of the model that answered; none: the tolerance is used for any."""


def calibrate_difr(
    margins: Sequence[F64], about: About, *, distances: Sequence[F64] | None = None, costs: F64 | None = None
) -> Tolerance:
    """From the token scores of honest runs (logits, clipped), and the distances of activations where fingerprints are kept.

    `costs`: of the largest symbols at honest places, (places, k), for what the tolerance lets through. Raises `ValueError`.
    """
    parameters = {TOKEN_MEAN: _limit(np.concatenate(margins) / MARGIN_CLIP, about)}
    if distances is not None:
        parameters[ACTIVATION_MEAN] = _limit(np.concatenate(distances) / DISTANCE_CLIP, about)
    covert = None
    if costs is not None:
        for_ever = passing_mean(FOREVER, parameters[TOKEN_MEAN], math.log(1 / about.false_alarm))
        covert = capacity(costs, for_ever * MARGIN_CLIP, vocabulary=about.vocabulary)
    return _tolerance(ReplayMethod.DIFR, len(margins), parameters, covert, about)


def _limit(scores: F64, about: About) -> float:
    found = max(about.factor * mean_upper(np.clip(scores, 0, 1), 1 - about.confidence), MEAN_MIN)
    if found > MEAN_LIMIT_MAX:
        raise ValueError(f"honest runs differ by {found:.3g} of the clip on average: these are no honest pairs")
    return found


def calibrate_toploc(runs: Sequence[Sequence[Comparison]], about: About) -> Tolerance:
    """From the comparisons of honest runs, proof by proof. Raises `ValueError` on fewer than two runs with proofs."""
    if len(runs) < 2 or not all(runs):
        raise ValueError("at least two honest runs with proofs are needed")
    first = [one for run in runs[::2] for one in run]
    second = [one for run in runs[1::2] for one in run]
    limits = {
        EXPONENTS: about.factor * max(one.exponent_mismatches + one.sign_mismatches for one in first),
        MANTISSA_MEAN: about.factor * max(_known(one.mantissa_mean) for one in first),
        MANTISSA_MEDIAN: about.factor * max(_known(one.mantissa_median) for one in first),
    }
    exceeded = sum(exceeds(one, limits) for one in second)
    rate = clopper_pearson_upper(exceeded, len(second), 1 - about.confidence)
    if rate > MEAN_LIMIT_MAX:
        raise ValueError(f"{exceeded} of {len(second)} honest proofs lie beyond the limits of the others")
    return _tolerance(ReplayMethod.TOPLOC, len(runs), {**limits, RATE: rate}, math.log2(about.vocabulary), about)


def exceeds(one: Comparison, limits: dict[str, float]) -> bool:
    """Whether one proof lies beyond the limits; one that agrees nowhere does."""
    return (
        one.mantissa_mean is None
        or one.mantissa_median is None
        or one.exponent_mismatches + one.sign_mismatches > limits[EXPONENTS]
        or one.mantissa_mean > limits[MANTISSA_MEAN]
        or one.mantissa_median > limits[MANTISSA_MEDIAN]
    )


def _known(value: float | None) -> float:
    if value is None:
        raise ValueError("an honest proof agrees nowhere: these are no honest pairs")
    return value


def _tolerance(
    method: ReplayMethod, runs: int, parameters: dict[str, float], covert: float | None, about: About
) -> Tolerance:
    return Tolerance(
        id=about.id,
        subject=about.subject,
        method=method,
        work=WorkKind.INFERENCE,
        stacks=about.stacks,
        unit=MARGIN_UNIT,
        threshold=math.log(1 / about.false_alarm),
        honest_runs=runs,
        false_alarm_rate=about.false_alarm,
        confidence=about.confidence,
        parameters=parameters,
        covert_bits_per_token=covert,
    )
