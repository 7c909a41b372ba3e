"""Signed documents: what counts as a signature, what does not, and what cannot be read."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey
from hypothesis import given
from hypothesis import strategies as st
from ruleset_making import key, signed_payload, signer

from inspectorate.canonical import canonical_bytes
from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.evidence.dsse import pae
from inspectorate.mechanisms.guarantee.signing import (
    DOCUMENT_BYTES_MAX,
    SIGNATURES_MAX,
    SignedDocument,
    Signer,
    SignerKey,
    parse_document,
    verify_document,
)

KIND = "application/vnd.inspectorate.test+json"
KNOWN = {signer(name).signer_id: signer(name) for name in ("ana", "bo")}
GOOD = signed_payload(KIND, b'{"a":1}', "ana")


def test_a_document_survives_its_bytes() -> None:
    assert parse_document(GOOD.to_bytes(), kind=KIND, where="test") == GOOD


def test_both_halves_are_signatures_of_their_own_scheme() -> None:
    """By the library's own verifiers, without ours in between."""
    classical, lattice = signer("ana").halves
    (_, signature), message = GOOD.signatures[0], pae(KIND, GOOD.payload)
    Ed25519PublicKey.from_public_bytes(classical).verify(signature[:64], message)
    MLDSA65PublicKey.from_public_bytes(lattice).verify(signature[64:], message)
    with pytest.raises(InvalidSignature):
        MLDSA65PublicKey.from_public_bytes(lattice).verify(signature[64:], message + b".")


@pytest.mark.parametrize("place", [0, 63, 64, 64 + 3308])
def test_one_false_half_is_a_false_signature(place: int) -> None:
    signer_id, signature = GOOD.signatures[0]
    bent = bytes(byte ^ (1 if at == place else 0) for at, byte in enumerate(signature))
    found = verify_document(SignedDocument(kind=KIND, payload=GOOD.payload, signatures=((signer_id, bent),)), KNOWN)
    assert (found.valid, found.false) == (frozenset(), {"ana"})


@pytest.mark.parametrize("cut", [b"", b"x" * 64, b"x" * 3372, b"x" * 3374])
def test_a_signature_of_another_length_is_false(cut: bytes) -> None:
    found = verify_document(
        SignedDocument(kind=KIND, payload=b"{}", signatures=((signer("ana").signer_id, cut),)), KNOWN
    )
    assert (found.valid, found.false) == (frozenset(), {"ana"})


def test_halves_of_two_signers_are_no_signature() -> None:
    one, other = key("ana").sign(pae(KIND, b"{}")), key("bo").sign(pae(KIND, b"{}"))
    mixed = SignedDocument(kind=KIND, payload=b"{}", signatures=((signer("ana").signer_id, one[:64] + other[64:]),))
    assert verify_document(mixed, KNOWN).valid == frozenset()


def test_a_signature_is_for_one_kind_of_document() -> None:
    moved = SignedDocument(kind=KIND + "x", payload=GOOD.payload, signatures=GOOD.signatures)
    assert verify_document(GOOD, KNOWN).valid == {"ana"}
    assert verify_document(moved, KNOWN).valid == frozenset()


def test_who_signed_is_listed_each_once() -> None:
    document = signed_payload(KIND, b"{}", "ana", "ana", "bo", "stranger")
    found = verify_document(document, KNOWN)
    assert found.valid == {"ana", "bo"}
    assert found.repeated == {"ana"}
    assert found.unknown == {signer("stranger").signer_id}
    assert found.false == frozenset()


def test_a_true_and_a_false_signature_of_one_signer_are_a_valid_repeated_and_false_one() -> None:
    bent = (GOOD.signatures[0][0], bytes(3373))
    found = verify_document(SignedDocument(kind=KIND, payload=GOOD.payload, signatures=(bent, *GOOD.signatures)), KNOWN)
    assert (found.valid, found.repeated, found.false) == ({"ana"}, {"ana"}, {"ana"})


# --- documents that cannot be read ----------------------------------------------------------------------------------------


def parts(**changed: object) -> bytes:
    value = json.loads(GOOD.to_bytes())
    return canonical_bytes(value | changed)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not JSON"),
        (b"[]", "is not a signed document"),
        (GOOD.to_bytes() + b"\n", "canonical"),
        (parts(more=1), "is not a signed document"),
        (parts(payloadType="other"), "not 'application"),
        (parts(signatures="none"), "no list"),
        (parts(signatures=[{"keyid": "a", "sig": ""}] * (SIGNATURES_MAX + 1)), "more than"),
        (parts(signatures=[{"keyid": "b", "sig": ""}, {"keyid": "a", "sig": ""}]), "not in order"),
        (parts(signatures=[{"keyid": "a"}]), "exactly keyid and sig"),
        (parts(signatures=[{"keyid": 1, "sig": ""}]), "exactly keyid and sig"),
        (parts(signatures=[{"keyid": "a", "sig": "@"}]), "base64"),
        (parts(payload="e30"), "base64"),
        (parts(payload=None), ""),
        (b" " * (DOCUMENT_BYTES_MAX + 1), "exceeds"),
    ],
)
def test_a_document_that_cannot_be_read_says_why(data: bytes, said: str) -> None:
    with pytest.raises(EvidenceError) as refused:
        parse_document(data, kind=KIND, where="the-document")
    assert "the-document" in str(refused.value)
    assert said.lower() in str(refused.value).lower()


@given(st.binary(max_size=300))
def test_no_bytes_break_the_parser(data: bytes) -> None:
    try:
        document = parse_document(data, kind=KIND, where="fuzz")
    except EvidenceError:
        return
    assert document.to_bytes() == data


@given(st.integers(0, len(GOOD.to_bytes()) - 1), st.integers(1, 255))
def test_a_changed_byte_never_leaves_a_valid_signature(place: int, change: int) -> None:
    good = GOOD.to_bytes()
    data = good[:place] + bytes([good[place] ^ change]) + good[place + 1 :]
    try:
        document = parse_document(data, kind=KIND, where="fuzz")
    except EvidenceError:
        return
    assert verify_document(document, KNOWN).valid == frozenset()


# --- keys -----------------------------------------------------------------------------------------------------------------


def test_a_key_survives_its_file_and_is_not_overwritten(tmp_path: Path) -> None:
    made = SignerKey(os.urandom(64))
    made.write(tmp_path / "k")
    assert stat.S_IMODE((tmp_path / "k").stat().st_mode) == 0o600
    assert SignerKey.read(tmp_path / "k").signer_id == made.signer_id
    with pytest.raises(EnvironmentError_):
        made.write(tmp_path / "k")


@pytest.mark.parametrize("content", [b"", b"{}", b'{"kind":"ed25519+ml-dsa-65","seeds":"AAAA"}', b"\xff" * 9000])
def test_a_file_that_is_no_key_is_input_that_cannot_be_used(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "k").write_bytes(content)
    with pytest.raises(InputError):
        SignerKey.read(tmp_path / "k")


def test_a_public_key_is_of_one_length_and_one_form() -> None:
    good = signer("ana").public_keys
    for wrong in (good[:-4], good + "AAAA", base64.b64encode(bytes(32)).decode(), good[:-4] + "!!!!"):
        with pytest.raises(ValueError, match="public_keys"):
            Signer(name="ana", public_keys=wrong)
