"""TOPLOC proofs against a slow oracle in exact arithmetic, against the package's own vectors, and against hostile bytes."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.inspection.tokens import kernels
from inspectorate.mechanisms.inspection.tokens.floats import to_bits, to_floats
from inspectorate.mechanisms.inspection.tokens.reference import FIELD
from inspectorate.mechanisms.inspection.tokens.toploc import (
    ProofSettings,
    build_proof,
    build_proofs,
    chunks_of,
    read_proof,
    read_proofs,
    read_text,
    verify_proof,
    verify_proofs,
    write_proofs,
)

SMALL = ProofSettings(topk=8, batching=4)

README = ["/9kbQitnukt1bQ==", "/9nLuJrxhiVUoA==", "/9m0aNrm5KtBtg==", "/9mAZNZYMOKvcw==", "/9nSBGTqkZH21w=="]
"""Proofs in the package's documentation, of four numbers each."""


def bits(seed: int, *shape: int) -> np.ndarray:
    return to_bits(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def slow_value(coefficients: np.ndarray, x: int) -> int:
    return sum(int(c) * pow(x, power, FIELD) for power, c in enumerate(coefficients)) % FIELD


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 65535), min_size=8, max_size=300), st.integers(1, 8))
def test_the_largest_are_those_that_sorting_gives(numbers: list[int], k: int) -> None:
    chunk = np.array(numbers, dtype=np.uint16)
    expected = np.sort(np.argsort(-(chunk & 0x7FFF).astype(np.int64), kind="stable")[:k])
    assert kernels.largest(chunk, k).tolist() == expected.tolist()


def test_the_largest_of_many_and_of_memory_that_is_not_aligned() -> None:
    chunk = bits(3, 20_001)
    for part in (chunk, chunk[1:], chunk[3:-2]):
        expected = np.sort(np.argsort(-(part & 0x7FFF).astype(np.int64), kind="stable")[:128])
        assert kernels.largest(part, 128).tolist() == expected.tolist()


def test_the_polynomial_goes_through_the_points() -> None:
    chunk = bits(1, 4, 50)[0:4].reshape(-1)
    proof = build_proof(chunk, SMALL)
    places = np.argsort(-(chunk & 0x7FFF).astype(np.int64), kind="stable")[:8]
    assert proof.modulus == FIELD
    assert [slow_value(proof.coefficients, int(place) % proof.modulus) for place in places] == chunk[places].tolist()


def test_the_modulus_keeps_places_apart() -> None:
    places = np.array([5, 5 + FIELD, 9], dtype=np.int64)
    modulus = kernels.injective_modulus(places)
    assert modulus == next(m for m in range(FIELD, 0, -1) if len({int(p) % m for p in places}) == 3)
    assert kernels.injective_modulus(np.array([4, 4], dtype=np.int64)) == 0


def test_proofs_of_the_package_are_read_and_written_again() -> None:
    chosen = ProofSettings(topk=4, batching=3)
    proofs = [read_text(text, chosen, where="readme") for text in README]
    assert [proof.to_text() for proof in proofs if proof] == README
    assert all(proof and proof.modulus == FIELD for proof in proofs)


def test_an_equal_answer_has_no_error_and_a_scaled_one_has() -> None:
    decoded = bits(2, 10, 16)
    chunks = chunks_of(bits(4, 3, 16), decoded, SMALL)
    proofs = build_proofs(chunks, SMALL)
    assert len(proofs) == SMALL.proofs_of(10) == 4
    for one in verify_proofs(proofs, chunks, SMALL, where="t"):
        assert one is not None
        assert (one.exponent_mismatches, one.sign_mismatches, one.mantissa_mean) == (0, 0, 0.0)
    scaled = chunks_of(None, to_bits(to_floats(decoded) * 1.01), SMALL.model_copy(update={"skip_prefill": True}))
    for one in verify_proofs(proofs[1:], scaled, SMALL, where="t"):
        assert one is not None
        assert one.mantissa_mean is not None
        assert 0 < one.mantissa_mean <= 3
    away = verify_proof(proofs[1], to_bits(to_floats(chunks[1]) * 4), SMALL)
    assert away.mantissa_mean is None
    assert away.exponent_intersections == 0
    negative = verify_proof(proofs[1], chunks[1] ^ np.uint16(0x8000), SMALL)
    assert negative.sign_mismatches == 8


def test_how_many_proofs_there_are_is_the_verifiers_to_say() -> None:
    chunks = chunks_of(bits(4, 3, 16), bits(2, 10, 16), SMALL)
    proofs = build_proofs(chunks, SMALL)
    for given_ in (proofs[:-1], (*proofs, proofs[0]), ()):
        with pytest.raises(EvidenceError):
            verify_proofs(given_, chunks, SMALL, where="t")
        with pytest.raises(EvidenceError):
            read_proofs(write_proofs(given_), SMALL, decoded=10, where="t")
    with pytest.raises(EvidenceError):
        verify_proofs((), (), SMALL, where="t")
    assert len(read_proofs(write_proofs(proofs), SMALL, decoded=10, where="t")) == 4


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\xff\xd9", b"\xff\xda" + bytes(16), b"\x00\x07" + bytes(16), b"\xff\xd9" + b"\xff\xff" * 8,
        b"\x00\x00" + b"\x00\x01" * 8, b"\xff\xd9" + bytes(17),
    ],
)  # fmt: skip
def test_bytes_that_are_no_proof_are_refused(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        read_proof(data, SMALL, where="t")


def test_the_proof_that_says_that_none_was_made_is_none() -> None:
    assert read_proof(bytes(18), SMALL, where="t") is None
    assert verify_proofs((None,), (bits(1, 16),), SMALL, where="t") == (None,)


@pytest.mark.parametrize("text", ["/9kbQitnukt1bR==", "/9kbQitnukt1bQ", "/9kb Qitnukt1bQ==", "é", "/9kbQitnukt1bQ==\n"])
def test_base64_that_is_not_canonical_is_refused(text: str) -> None:
    with pytest.raises(EvidenceError):
        read_text(text, ProofSettings(topk=4), where="t")


def test_numbers_that_are_not_finite_and_chunks_that_are_too_small_are_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        to_bits(np.array([np.nan]))
    with pytest.raises(ValueError, match="beyond bfloat16"):
        to_bits(np.array([3.4e38], dtype=np.float32))
    with pytest.raises(ValueError, match="not finite"):
        build_proof(np.full(16, 0x7F80, dtype=np.uint16), SMALL)
    with pytest.raises(ValueError, match="at least"):
        chunks_of(None, bits(1, 1, 4), SMALL.model_copy(update={"skip_prefill": True}))


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_give_a_proof_or_a_refusal(data: bytes) -> None:
    for text in (data.decode("latin-1"), base64.b64encode(data).decode()):
        try:
            proof = read_text(text, SMALL, where="t")
        except EvidenceError:
            continue
        assert proof is None or proof.to_text() == text
        if proof is not None:
            verify_proof(proof, bits(1, 20), SMALL)


def test_vectors_of_the_package_are_made_and_compared_alike() -> None:
    vectors = json.loads((Path(__file__).parent / "tokens_toploc_vectors.json").read_text(encoding="utf-8"))
    chosen = ProofSettings(topk=vectors["topk"], batching=vectors["batching"])

    def states(name: str) -> np.ndarray:
        return np.frombuffer(bytes.fromhex(vectors[name]), dtype="<u2").reshape(-1, vectors["width"])

    made = build_proofs(chunks_of(states("prefill"), states("decoded"), chosen), chosen)
    assert [proof.to_text() for proof in made] == vectors["proofs"]
    read = [read_text(text, chosen, where="vectors") for text in vectors["proofs"]]
    chunks = chunks_of(states("jittered_prefill"), states("jittered_decoded"), chosen)
    found = [
        [one.exponent_mismatches, one.mantissa_mean, one.mantissa_median]
        for one in verify_proofs(read, chunks, chosen, where="vectors")
        if one is not None
    ]
    assert found == vectors["results"]
