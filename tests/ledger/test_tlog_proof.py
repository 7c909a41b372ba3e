"""Portable proofs: what `verify_proof` accepts, and everything that it refuses."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.errors import EvidenceError, InputError
from inspectorate.keys import LedgerAnchor, SigningKey
from inspectorate.ledger import (
    KeyKind,
    MemoryLog,
    Note,
    ProofVerifier,
    VerifiedInclusion,
    VerifierKey,
    prove_entry,
    verify_proof,
)
from inspectorate.ledger.note import cosign_note
from inspectorate.ledger.proof import HEADER, proof_origin

ORIGIN = "example.org/log"
KEY, WITNESS = SigningKey(b"\x08" * 32), SigningKey(b"\x09" * 32)
LOG = MemoryLog(ORIGIN, KEY)
LOG.append([f"entry {i}".encode() for i in range(11)])
ANCHOR = LedgerAnchor(
    origin=ORIGIN,
    key=VerifierKey.of(KEY, name=ORIGIN, kind=KeyKind.LOG).text,
    witnesses=(VerifierKey.of(WITNESS, name="w.example", kind=KeyKind.WITNESS).text,),
    witnesses_min=1,
)


def cosigned(log: MemoryLog, size: int | None = None) -> bytes:
    checkpoint = log.checkpoint(size)
    text = Note.parse(checkpoint, where="test").text
    return checkpoint + cosign_note(text, WITNESS, name="w.example", time_s=1_700_000_000).line.encode()


PROOF = prove_entry(LOG, 6, cosigned(LOG))


def test_a_proof_has_the_form_of_c2sp_tlog_proof() -> None:
    lines = PROOF.decode().split("\n")
    assert lines[:2] == ["c2sp.org/tlog-proof@v1", "index 6"]
    assert lines.index("") == 2 + len(LOG.inclusion(6))
    assert "\n".join(lines[lines.index("") + 1 :]).encode() == cosigned(LOG)


def test_a_proof_verifies_and_says_what_it_proved() -> None:
    found = verify_proof(PROOF, b"entry 6", ANCHOR)
    assert (found.index, found.tree_size, found.origin) == (6, 11, ORIGIN)
    assert (found.witnesses, found.cosigned_s) == (("w.example",), (1_700_000_000,))
    assert proof_origin(PROOF) == ORIGIN


@pytest.mark.parametrize("size", range(1, 12))
def test_every_entry_is_proved_under_every_checkpoint(size: int) -> None:
    for index in range(size):
        found = verify_proof(prove_entry(LOG, index, cosigned(LOG, size)), f"entry {index}".encode(), ANCHOR)
        assert (found.index, found.tree_size) == (index, size)


def test_one_verifier_verifies_many_proofs_and_remembers_no_bad_checkpoint() -> None:
    verifier = ProofVerifier(ANCHOR)
    for size in (11, 11, 5):
        assert verifier.verify(prove_entry(LOG, 3, cosigned(LOG, size)), b"entry 3").tree_size == size
    bare = prove_entry(LOG, 3, LOG.checkpoint())
    for _ in range(2):
        with pytest.raises(EvidenceError, match="0 of 1 witness"):
            verifier.verify(bare, b"entry 3")
        with pytest.raises(EvidenceError, match="another root"):
            verifier.verify(PROOF, b"entry 3")
    assert verifier.verify(PROOF, b"entry 6").index == 6


def test_the_extra_line_is_accepted_and_not_relied_on() -> None:
    extra = PROOF.replace(b"index 6", b"extra aGVsbG8=\nindex 6")
    assert verify_proof(extra, b"entry 6", ANCHOR) == verify_proof(PROOF, b"entry 6", ANCHOR)


HASH_LINE = PROOF.split(b"\n")[2] + b"\n"


@pytest.mark.parametrize(
    ("proof", "reason"),
    [
        (b"", "not a proof"),
        (PROOF.replace(b"@v1", b"@v2"), "not a proof"),
        (PROOF.replace(b"index 6", b"index 5"), "another root"),
        (PROOF.replace(b"index 6", b"index 06"), "no index line"),
        (PROOF.replace(b"index 6", b"index -6"), "no index line"),
        (PROOF.replace(b"index 6", b"index 11"), "not in a tree"),
        (PROOF.replace(b"index 6", b"index 99999999999999999999"), "no index line"),
        (PROOF.replace(b"index 6\n", b""), "no index line"),
        (PROOF.replace(b"index 6", b"extra *\nindex 6"), "extra line"),
        (PROOF.replace(HASH_LINE, b""), "3 hashes where 4"),
        (PROOF.replace(HASH_LINE, HASH_LINE * 2), "5 hashes where 4"),
        (PROOF.replace(HASH_LINE, HASH_LINE * 80), "more than 63"),
        (PROOF.replace(HASH_LINE, HASH_LINE[1:]), "not base64"),
        (prove_entry(LOG, 6, LOG.checkpoint()), "0 of 1 witness"),
        (PROOF + b"x" * 600_000, "exceeds"),
        (PROOF[:-30], "no signatures|malformed"),
    ],
)
def test_bad_proofs_are_refused_with_the_reason(proof: bytes, reason: str) -> None:
    with pytest.raises(EvidenceError, match=reason):
        verify_proof(proof, b"entry 6", ANCHOR)


def test_another_entry_is_refused() -> None:
    with pytest.raises(EvidenceError, match="another root"):
        verify_proof(PROOF, b"entry 7", ANCHOR)


def test_a_log_with_another_key_is_refused() -> None:
    forged = MemoryLog(ORIGIN, SigningKey(b"\x0a" * 32))
    forged.append([b"entry 6"])
    with pytest.raises(EvidenceError, match="not signed by the log"):
        verify_proof(prove_entry(forged, 0, cosigned(forged)), b"entry 6", ANCHOR)


def test_a_proof_is_not_made_for_a_checkpoint_of_another_log() -> None:
    other = MemoryLog(ORIGIN, KEY)
    other.append([b"x"] * 11)
    with pytest.raises(EvidenceError, match="entry 6 as stored: inclusion proof leads to another root"):
        prove_entry(LOG, 6, other.checkpoint())
    with pytest.raises(InputError, match="not in the tree"):
        prove_entry(LOG, 11, LOG.checkpoint())


def test_nobody_else_builds_a_verified_inclusion() -> None:
    with pytest.raises(TypeError):
        VerifiedInclusion(index=0, tree_size=1, root=b"", origin="", witnesses=(), cosigned_s=(), seal=None)


@given(st.integers(0, len(PROOF) - 1), st.integers(1, 255))
@settings(max_examples=400)
def test_any_changed_byte_is_refused(place: int, change: int) -> None:
    data = bytearray(PROOF)
    data[place] ^= change
    with pytest.raises(EvidenceError):
        verify_proof(bytes(data), b"entry 6", ANCHOR)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    for proof in (data, HEADER.encode() + b"\n" + data, HEADER.encode() + b"\nindex 0\n\n" + data):
        with pytest.raises(EvidenceError):
            verify_proof(proof, b"", ANCHOR)
