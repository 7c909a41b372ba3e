"""Proofs of activations as the toploc package (0.1.6) writes them: our own reader, writer and comparison.

A proof of one chunk: the `topk` numbers of largest magnitude among the last hidden states, in bfloat16, as a polynomial over the
field of 65,497 elements whose value at a number's place, modulo the largest modulus that keeps the places apart, is its bits.

    bytes     modulus, then `topk` coefficients from the lowest, each 16 bits, big-endian; text is their base64
    chunks    the prompt, unless `skip_prefill`; then every `batching` decoded tokens, the last may be short

Rules:

- How many proofs there are follows from how many tokens there are, on the verifier's side. Fewer or more are refused: the package
  compares as many as it is given.
- The proof that the package writes where it failed (modulus 0) proves nothing, and is no match: `read_proof` gives None.
- One proof has one encoding. Coefficients beyond the field, a modulus beyond it or below `topk`, other lengths, and base64 that is
  not canonical are refused.
- The package ignores signs, and takes places modulo the modulus in one of its two paths only. Here signs are counted, and places
  are always taken modulo the modulus.
- Among equal magnitudes the earliest places are taken. torch's order among equals is its own; where a chunk has many equal numbers
  at the rim, a proof by the package differs at the rim.

A proof says that activations came from the model *for these tokens*. It does not say that the tokens are what the model would give.

Source: arXiv 2501.16007; layout read off the package's sources.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from inspectorate.canonical import Record
from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.inspection.tokens import kernels
from inspectorate.mechanisms.inspection.tokens.floats import Bits, finite
from inspectorate.mechanisms.inspection.tokens.reference import BATCHING, FIELD, PROOFS_MAX, TOPK, TOPK_MAX


class ProofSettings(Record):
    """What prover and verifier agree on."""

    topk: Annotated[int, Field(ge=1, le=TOPK_MAX)] = TOPK
    batching: Annotated[int, Field(ge=1, le=1 << 16)] = BATCHING
    skip_prefill: bool = False

    @property
    def proof_bytes(self) -> int:
        return 2 + 2 * self.topk

    def proofs_of(self, decoded: int) -> int:
        """How many proofs an answer has, by its hidden states after the prompt."""
        return (0 if self.skip_prefill else 1) + -(-decoded // self.batching)


@dataclass(frozen=True)
class Proof:
    """One chunk's proof."""

    modulus: int
    coefficients: Bits

    def to_bytes(self) -> bytes:
        return self.modulus.to_bytes(2, "big") + self.coefficients.astype(">u2").tobytes()

    def to_text(self) -> str:
        return base64.b64encode(self.to_bytes()).decode("ascii")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How far a proof lies from the verifier's own activations. Means and medians are over numbers whose exponents agree."""

    exponent_mismatches: int
    sign_mismatches: int
    mantissa_mean: float | None
    """None: no exponent agrees."""
    mantissa_median: float | None
    compared: int

    @property
    def exponent_intersections(self) -> int:
        return self.compared - self.exponent_mismatches


# --- reading and writing -------------------------------------------------------------------------------------------------


def read_proof(data: bytes, settings: ProofSettings, *, where: str) -> Proof | None:
    """A proof from its bytes; None for the one that says that none could be made. Raises `EvidenceError`."""
    if len(data) != settings.proof_bytes:
        raise EvidenceError(f"a proof has {settings.proof_bytes} bytes, this one {len(data)}", where=where)
    numbers = np.frombuffer(data, dtype=">u2").astype(np.uint16)
    modulus, coefficients = int(numbers[0]), numbers[1:]
    if modulus == 0 and not coefficients.any():
        return None
    if not settings.topk <= modulus <= FIELD:
        raise EvidenceError(f"no {settings.topk} places differ modulo {modulus}, or it is beyond {FIELD}", where=where)
    if int(coefficients.max()) >= FIELD:
        raise EvidenceError(f"a coefficient lies beyond the field of {FIELD}", where=where)
    return Proof(modulus, coefficients)


def read_text(text: str, settings: ProofSettings, *, where: str) -> Proof | None:
    """A proof from its base64. Raises `EvidenceError`."""
    try:
        raw = text.encode("ascii")
        data = base64.b64decode(raw, validate=True)
    except (UnicodeEncodeError, binascii.Error) as fault:
        raise EvidenceError(f"is not base64: {fault}", where=where) from None
    if base64.b64encode(data) != raw:
        raise EvidenceError("is not the one base64 form of its bytes", where=where)
    return read_proof(data, settings, where=where)


def read_proofs(data: bytes, settings: ProofSettings, *, decoded: int, where: str) -> tuple[Proof | None, ...]:
    """All proofs of one answer, as kept by a server: base64, one a line. Raises `EvidenceError`, also on a wrong number of them."""
    expected = settings.proofs_of(decoded)
    if expected > PROOFS_MAX or len(data) > expected * (4 * settings.proof_bytes // 3 + 8):
        raise EvidenceError(f"is larger than {expected} proofs can be", where=where)
    lines = data.decode("ascii", "replace").split("\n")
    if lines and lines[-1] == "":
        lines.pop()
    if len(lines) != expected:
        raise EvidenceError(f"holds {len(lines)} proofs, and {decoded} decoded tokens need {expected}", where=where)
    return tuple(read_text(line, settings, where=f"{where}: proof {number}") for number, line in enumerate(lines))


def write_proofs(proofs: Sequence[Proof]) -> bytes:
    """All proofs of one answer, as `read_proofs` reads them."""
    return "".join(proof.to_text() + "\n" for proof in proofs).encode("ascii")


# --- building ------------------------------------------------------------------------------------------------------------


def chunks_of(prefill: Bits | None, decoded: Bits, settings: ProofSettings) -> tuple[Bits, ...]:
    """The chunks of an answer: hidden states (prompt tokens, width) and (decoded tokens, width). Raises `ValueError`."""
    if (prefill is None) != settings.skip_prefill:
        raise ValueError("activations of the prompt are needed, unless they are skipped")
    parts = [] if prefill is None else [prefill]
    parts += [decoded[start : start + settings.batching] for start in range(0, len(decoded), settings.batching)]
    chunks = tuple(np.ascontiguousarray(part).reshape(-1) for part in parts)
    if any(chunk.dtype != np.uint16 or chunk.size < settings.topk for chunk in chunks):
        raise ValueError(f"every chunk must hold at least {settings.topk} numbers, as bits of bfloat16")
    return chunks


def build_proof(chunk: Bits, settings: ProofSettings) -> Proof:
    """Raises `ValueError` on numbers that are not finite."""
    places = kernels.largest(chunk, settings.topk)
    values = chunk[places]
    if not finite(values):
        raise ValueError("holds a number that is not finite")
    modulus = int(kernels.injective_modulus(places))
    points = (places % modulus).astype(np.uint32)
    return Proof(modulus, kernels.interpolate(points, values.astype(np.uint32), kernels.inverses()))


def build_proofs(chunks: Sequence[Bits], settings: ProofSettings) -> tuple[Proof, ...]:
    return tuple(build_proof(chunk, settings) for chunk in chunks)


# --- comparing -----------------------------------------------------------------------------------------------------------


def verify_proof(proof: Proof, chunk: Bits, settings: ProofSettings) -> Comparison:
    """A proof against the verifier's own activations. Raises `ValueError` on numbers of the verifier that are not finite."""
    places = kernels.largest(chunk, settings.topk)
    values = chunk[places]
    if not finite(values):
        raise ValueError("holds a number that is not finite")
    claimed = kernels.evaluate(proof.coefficients, (places % proof.modulus).astype(np.uint32))
    exponents, signs, mean, median = kernels.compare(values, claimed)
    return Comparison(
        exponent_mismatches=exponents,
        sign_mismatches=signs,
        mantissa_mean=mean if exponents < settings.topk else None,
        mantissa_median=median if exponents < settings.topk else None,
        compared=settings.topk,
    )


def verify_proofs(
    proofs: Sequence[Proof | None], chunks: Sequence[Bits], settings: ProofSettings, *, where: str
) -> tuple[Comparison | None, ...]:
    """One comparison for each of the verifier's chunks; None where the prover's builder had failed.

    Raises `EvidenceError` where there are not as many proofs as chunks, or no chunk at all.
    """
    if not chunks or len(proofs) != len(chunks):
        raise EvidenceError(f"{len(proofs)} proofs for {len(chunks)} chunks", where=where)
    return tuple(
        None if proof is None else verify_proof(proof, chunk, settings)
        for proof, chunk in zip(proofs, chunks, strict=True)
    )
