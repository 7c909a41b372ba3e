"""Signed notes, verifier keys, checkpoints, and the policy that makes them believed."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspectorate.errors import EvidenceError, InputError
from inspectorate.keys import LedgerAnchor, SigningKey
from inspectorate.ledger.checkpoint import Checkpoint, Policy, VerifiedCheckpoint
from inspectorate.ledger.merkle import EMPTY_ROOT
from inspectorate.ledger.note import SIGNATURES_MAX, KeyKind, Note, NoteSignature, VerifierKey, cosign_note, sign_note

ORIGIN = "example.org/log"
LOG = SigningKey(b"\x01" * 32)
WITNESSES = [SigningKey(bytes([i]) * 32) for i in (2, 3, 4)]
TIME_S = 1_700_000_000
CHECKPOINT = Checkpoint(origin=ORIGIN, size=5, root=b"\x07" * 32)


def vkey(key: SigningKey, name: str, kind: KeyKind) -> str:
    return VerifierKey.of(key, name=name, kind=kind).text


def anchor(witnesses_min: int = 0, count: int = 3) -> LedgerAnchor:
    return LedgerAnchor(
        origin=ORIGIN,
        key=vkey(LOG, ORIGIN, KeyKind.LOG),
        witnesses=tuple(vkey(key, f"w{i}.example", KeyKind.WITNESS) for i, key in enumerate(WITNESSES[:count])),
        witnesses_min=witnesses_min,
    )


def cosigned(*numbers: int, checkpoint: Checkpoint = CHECKPOINT) -> bytes:
    lines = [cosign_note(checkpoint.text, WITNESSES[i], name=f"w{i}.example", time_s=TIME_S + i).line for i in numbers]
    return checkpoint.signed(LOG) + "".join(lines).encode()


@pytest.mark.parametrize(
    "text",
    [
        # The key of the Go checksum database, from the Go source (cmd/go/internal/modfetch).
        "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
        # A witness's cosignature key, from transparency-dev/formats (note/note_cosigv1_test.go).
        "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
    ],
)
def test_verifier_keys_of_others_read_and_write_back(text: str) -> None:
    assert VerifierKey.parse(text, where="test").text == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a+b",
        "sum.golang.org+033de0af+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
        "sum.golang.com+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
        "sum.golang.org+033DE0AE+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
        "with space+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
        "rekor.sigstore.dev+12345678+AwEB",
        "name+12345678+" + "A" * 44,
    ],
)
def test_malformed_verifier_keys_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        VerifierKey.parse(text, where="test")


def test_the_time_of_a_foreign_cosignature_is_read_where_the_format_puts_it() -> None:
    # From transparency-dev/formats (note/note_cosigv1_test.go): a cosignature made at 1727964367.
    line = "\u2014 w ZGhGuQAAAABm/qTPeyKXD+R2rzyQsxPiP8mXum7qq/iF0u4vanlqJyocWODBt97w9uL+8qT7S5gxEHWWOworDcFiEBYJXORmnFBOBA=="
    signature = NoteSignature.parse(line, where="test").signature
    assert len(signature) == 72
    assert int.from_bytes(signature[:8], "big") == 1_727_964_367


def test_a_note_reads_and_writes_back() -> None:
    data = cosigned(0, 2)
    note = Note.parse(data, where="test")
    assert bytes(note) == data
    assert note.text == CHECKPOINT.text
    assert [s.name for s in note.signatures] == [ORIGIN, "w0.example", "w2.example"]


GOOD = CHECKPOINT.signed(LOG)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("empty", b""),
        ("no signatures", b"text\n"),
        ("no final newline", GOOD[:-1]),
        ("no blank line", GOOD.replace(b"\n\n", b"\n")),
        ("control character", GOOD.replace(b"5", b"\t")),
        ("not UTF-8", GOOD.replace(b"example", b"\xff\xfeample")),
        ("hyphen for dash", GOOD.replace("\u2014".encode(), b"-")),
        ("plus in key name", GOOD.replace(f"\u2014 {ORIGIN}".encode(), "\u2014 a+b".encode())),
        ("no base64", GOOD[:-5] + b"****\n"),
        ("base64 of another form", GOOD[:-4] + bytes([GOOD[-4] + 1]) + GOOD[-3:]),
        ("empty signature line", GOOD + b"\n"),
        ("too many signatures", GOOD + GOOD.rpartition(b"\n\n")[2] * SIGNATURES_MAX),
        ("too long", b"x" * 300_000 + GOOD),
    ],
)
def test_malformed_notes_are_refused(name: str, data: bytes) -> None:
    with pytest.raises(EvidenceError):
        Policy.from_anchor(anchor()).verify(data, where=name)


@pytest.mark.parametrize(
    "text",
    [
        "origin\n5\n",
        "\n5\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n",
        "origin\n05\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n",
        "origin\n-5\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n",
        "origin\n\u0665\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n",
        "origin\n9223372036854775808\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n",
        "origin\n5\nBwcH\n",
        "origin\n0\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n",
        "origin\n5\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n\nextension\n",
    ],
)
def test_malformed_checkpoints_are_refused(text: str) -> None:
    with pytest.raises(EvidenceError):
        Checkpoint.parse(text, where="test")


def test_extension_lines_are_kept_and_signed() -> None:
    extended = dataclasses.replace(CHECKPOINT, extensions=("a", "b"))
    assert Policy.from_anchor(anchor()).verify(extended.signed(LOG)).checkpoint == extended
    with pytest.raises(EvidenceError, match="does not fit"):
        Policy.from_anchor(anchor()).verify(extended.signed(LOG).replace(b"\nb\n", b"\nc\n"))


def test_a_quorum_is_met_and_named_with_its_times() -> None:
    verified = Policy.from_anchor(anchor(2)).verify(cosigned(2, 0))
    assert verified.checkpoint == CHECKPOINT
    assert [(c.name, c.time_s) for c in verified.cosignatures] == [("w0.example", TIME_S), ("w2.example", TIME_S + 2)]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("too few witnesses", cosigned(1), "1 of 2"),
        ("one witness twice", cosigned(1, 1), "1 of 2"),
        (
            "unknown witness",
            cosigned(0) + cosign_note(CHECKPOINT.text, LOG, name="w9", time_s=1).line.encode(),
            "1 of 2",
        ),
        ("another origin", cosigned(0, 1, checkpoint=Checkpoint(origin="b", size=0, root=EMPTY_ROOT)), "is of log"),
        ("signed by another key", sign_note(CHECKPOINT.text, [(WITNESSES[2], ORIGIN)]), "not signed by the log"),
        (
            "cosigned for another text",
            cosigned(0) + cosign_note("x\n", WITNESSES[1], name="w1.example", time_s=1).line.encode(),
            "does not fit",
        ),
        ("log's key as a witness", cosigned(0).replace(b"w0.example", b"w1.example"), "of 2"),
    ],
)
def test_checkpoints_that_miss_the_policy_are_refused(name: str, data: bytes, reason: str) -> None:
    with pytest.raises(EvidenceError, match=reason):
        Policy.from_anchor(anchor(2)).verify(data, where=name)


def test_a_cosignature_does_not_pass_for_a_log_signature() -> None:
    """Same key, same name, other kind: the key id differs, so the line is ignored and the log's signature is missing."""
    line = cosign_note(CHECKPOINT.text, LOG, name=ORIGIN, time_s=1).line
    with pytest.raises(EvidenceError, match="not signed by the log"):
        Policy.from_anchor(anchor()).verify(f"{CHECKPOINT.text}\n{line}".encode())


def test_one_key_under_two_names_is_not_two_witnesses() -> None:
    twice = tuple(vkey(WITNESSES[0], name, KeyKind.WITNESS) for name in ("a.example", "b.example"))
    doubled = LedgerAnchor(origin=ORIGIN, key=vkey(LOG, ORIGIN, KeyKind.LOG), witnesses=twice, witnesses_min=2)
    with pytest.raises(InputError, match="one key appears twice"):
        Policy.from_anchor(doubled)


def test_the_log_is_not_its_own_witness() -> None:
    own = (vkey(LOG, "w.example", KeyKind.WITNESS),)
    with pytest.raises(InputError, match="one key appears twice"):
        Policy.from_anchor(LedgerAnchor(origin=ORIGIN, key=vkey(LOG, ORIGIN, KeyKind.LOG), witnesses=own))


def test_kinds_of_keys_are_not_exchanged() -> None:
    with pytest.raises(InputError, match="0x01"):
        Policy.from_anchor(LedgerAnchor(origin=ORIGIN, key=vkey(LOG, ORIGIN, KeyKind.WITNESS)))
    wrong = (vkey(WITNESSES[0], "w", KeyKind.LOG),)
    with pytest.raises(InputError, match="0x04"):
        Policy.from_anchor(LedgerAnchor(origin=ORIGIN, key=vkey(LOG, ORIGIN, KeyKind.LOG), witnesses=wrong))


def test_nobody_else_builds_a_verified_checkpoint() -> None:
    with pytest.raises(TypeError):
        VerifiedCheckpoint(checkpoint=CHECKPOINT, cosignatures=(), seal=object())


@given(st.integers(0, len(cosigned(0, 1, 2)) - 1), st.integers(1, 255))
def test_any_changed_byte_is_refused_where_all_witnesses_are_needed(place: int, change: int) -> None:
    data = bytearray(cosigned(0, 1, 2))
    data[place] ^= change
    with pytest.raises(EvidenceError):
        Policy.from_anchor(anchor(3)).verify(bytes(data))


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        Policy.from_anchor(anchor()).verify(data)
