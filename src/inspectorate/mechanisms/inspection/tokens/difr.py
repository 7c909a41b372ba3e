"""Divergence from the reference (DiFR): margins of tokens under a shared seed, and projections of activations.

Token-DiFR: the seed fixes the noise, so an honest server has no choice but in the last bits of its logits. The score of a token
is its margin on the verifier's logits, up to `MARGIN_CLIP`. It needs nothing of the server but the tokens.

Activation-DiFR: the server keeps `k` numbers a token: its last hidden state under an orthogonal projection that a seed gives. The
score is the distance to the verifier's own, relative to the length of the verifier's, up to `DISTANCE_CLIP`.

Both are bounded, so their mean is tested by betting against the highest mean that honest stacks were seen to have (`calibrate`).

Source: arXiv 2511.20621; the margin is in logits, with the temperature on the noise, as in its code.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from inspectorate.canonical import Record
from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.inspection.tokens.philox import SEED_MAX, STREAM_PROJECTION, gumbel
from inspectorate.mechanisms.inspection.tokens.reference import (
    DISTANCE_CLIP,
    FINGERPRINT_WIDTH_MAX,
    MARGIN_CLIP,
    PROJECTION,
)
from inspectorate.mechanisms.inspection.tokens.sampling import I64, SamplingRule, TopLogits, margins, margins_of

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
F16 = NDArray[np.float16]


# --- tokens --------------------------------------------------------------------------------------------------------------


def token_scores(tokens: I64, top: TopLogits, rule: SamplingRule, seed: int, *, first: int = 0) -> F64:
    """The clipped margin of each token of an answer, in logits; token i stands at place `first + i` of it."""
    places = np.arange(first, first + len(top), dtype=np.int64)
    return np.minimum(margins_of(tokens, margins(top, rule, seed, places), top), MARGIN_CLIP)


# --- activations ---------------------------------------------------------------------------------------------------------


class ProjectionSettings(Record):
    """What prover and verifier agree on."""

    size: Annotated[int, Field(ge=1, le=FINGERPRINT_WIDTH_MAX)] = PROJECTION
    seed: Annotated[int, Field(ge=0, lt=SEED_MAX)] = 0


@lru_cache(maxsize=8)
def projection(width: int, settings: ProjectionSettings) -> F64:
    """Orthogonal columns (width, size), scaled so that lengths are kept on average. Raises `ValueError` if `size` is larger."""
    if settings.size > width:
        raise ValueError(f"a width of {width} has no {settings.size} orthogonal directions")
    symbols = np.broadcast_to(np.arange(2 * settings.size, dtype=np.int64), (width, 2 * settings.size))
    noise = gumbel(symbols, np.arange(width, dtype=np.int64), settings.seed, stream=STREAM_PROJECTION)
    uniform = np.exp(-np.exp(-noise))
    normal = np.sqrt(-2 * np.log(uniform[:, ::2])) * np.cos(2 * np.pi * uniform[:, 1::2])
    columns, triangle = np.linalg.qr(normal)
    found: F64 = columns * np.sign(np.diagonal(triangle)) * np.sqrt(width / settings.size)
    return found


def fingerprint(hidden: NDArray[Any], settings: ProjectionSettings) -> F16:
    """Of the last hidden states (tokens, width): (tokens, size) in float16. Raises `ValueError` on what is not finite there."""
    with np.errstate(over="ignore", invalid="ignore"):
        projected = (hidden.astype(np.float64) @ projection(hidden.shape[1], settings)).astype(np.float16)
    if not np.isfinite(projected).all():
        raise ValueError("holds a number that is not finite in float16")
    return projected


def write_fingerprint(made: F16) -> bytes:
    """Little-endian, token by token."""
    return made.astype("<f2").tobytes()


def read_fingerprint(data: bytes, settings: ProjectionSettings, *, tokens: int, where: str) -> F16:
    """Raises `EvidenceError` on another number of tokens than the verifier counts, and on what is not finite."""
    expected = 2 * settings.size * tokens
    if tokens < 1 or len(data) != expected:
        raise EvidenceError(f"holds {len(data)} bytes, and {tokens} tokens take {expected}", where=where)
    found = np.frombuffer(data, dtype="<f2").astype(np.float16).reshape(tokens, settings.size)
    if not np.isfinite(found).all():
        raise EvidenceError("holds a number that is not finite", where=where)
    return found


def activation_scores(kept: F16, hidden: NDArray[Any], settings: ProjectionSettings) -> F64:
    """The clipped distance of each token's fingerprint from the verifier's own."""
    own = hidden.astype(np.float64) @ projection(hidden.shape[1], settings)
    if kept.shape != own.shape or not np.isfinite(own).all():
        raise ValueError("one fingerprint for each finite hidden state")
    length = np.maximum(np.linalg.norm(own, axis=1), np.finfo(np.float64).tiny)
    distance: F64 = np.linalg.norm(kept.astype(np.float64) - own, axis=1) / length
    return np.minimum(distance, DISTANCE_CLIP)
