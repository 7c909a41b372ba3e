"""Noise for sampling that a verifier can draw again: Gumbel numbers from a seed, by place and symbol.

The likeliest symbol after adding Gumbel noise is a draw from the softmax (Gumbel 1954; used for verification in arXiv 2511.20621).
The numbers come from SHAKE-256 over the seed and the place, so that any program on any machine gets the same ones:

    u = (first 53 bits of 8 bytes, big-endian, + 1/2) / 2^53      noise = -log(-log u)

The seed must be outside the server's choice: `seed_of` derives it from the request as it went to the server.
"""

from __future__ import annotations

import hashlib

import numpy as np

from inspectorate.mechanisms.guarantee.graph.weights import Numbers

SEED_BYTES = 32


_LABEL = b"inspectorate answer seed v1\0"


def seed_of(request: bytes) -> bytes:
    """The seed for the answer to a request, from its content: the server has no choice in it, though a client may."""
    return hashlib.sha256(_LABEL + request).digest()


def gumbel(seed: bytes, place: int, vocabulary: int) -> Numbers:
    """The noise at one place of an answer, one number per symbol. Raises `ValueError` on a seed of another length."""
    if len(seed) != SEED_BYTES or not 0 <= place < 2**63:
        raise ValueError(f"needs a seed of {SEED_BYTES} bytes and a place that is not negative")
    drawn = hashlib.shake_256(seed + place.to_bytes(8, "big")).digest(8 * vocabulary)
    uniform = ((np.frombuffer(drawn, dtype=">u8") >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    noise: Numbers = -np.log(-np.log(uniform))
    return noise


def seeded_choice(scores: Numbers, seed: bytes, place: int, *, temperature: float, top_k: int | None) -> int:
    """The token that an honest server chooses from its scores (vocabulary,) at one place."""
    scaled = restricted(scores[None], temperature=temperature, top_k=top_k)[0]
    return int(np.argmax(scaled + gumbel(seed, place, len(scores))))


def restricted(scores: Numbers, *, temperature: float, top_k: int | None) -> Numbers:
    """Scores (places, vocabulary) over the temperature, with all but the `top_k` best of each place at minus infinity."""
    scaled: Numbers = scores / temperature
    if top_k is None or top_k >= scores.shape[1]:
        return scaled
    least = np.partition(scaled, -top_k, axis=1)[:, -top_k]
    return np.where(scaled >= least[:, None], scaled, -np.inf)
