"""Envelopes: every step of verification with what it refuses, and DSSE checked without our own code."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from evidence_making import (
    ANCHORS,
    BUNDLER,
    CUSTODIAN,
    JOINT,
    OLD,
    PROVER,
    SENSOR,
    START,
    STRANGER,
    envelope_of,
    flow_export,
    minutes,
    signed_custody,
    signed_declaration,
    signed_manifest,
    signed_segment,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.canonical import canonical_bytes, digest_of
from inspectorate.evidence import ProblemKind, RejectedEvidence, VerifiedStatement, sign_statement, verify_envelope
from inspectorate.evidence.dsse import pae
from inspectorate.evidence.envelope import PAYLOAD_TYPE, SIGNATURES_MAX
from inspectorate.keys import Holder, SigningKey


def verify(data: bytes) -> VerifiedStatement:
    return verify_envelope(data, anchors=ANCHORS, where="here")


def refused(data: bytes) -> RejectedEvidence:
    with pytest.raises(RejectedEvidence) as caught:
        verify(data)
    assert caught.value.where == "here"
    assert caught.value.problem
    assert caught.value.exit_code == 30
    assert "\n" not in str(caught.value)
    return caught.value


GOOD = signed_segment()
STATEMENT: dict[str, Any] = json.loads(base64.b64decode(json.loads(GOOD)["payload"]))


def altered(**changes: Any) -> dict[str, Any]:
    return {**STATEMENT, **changes}


def predicate(**changes: Any) -> dict[str, Any]:
    return altered(predicate={**STATEMENT["predicate"], **changes})


# --- what is accepted --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "name"),
    [(GOOD, "sensor"), (signed_declaration(b"{}"), "prover"), (signed_custody(), "custodian"), (signed_manifest(), "bundler")],
    ids=["flow export", "declaration", "custody", "bundle"],
)  # fmt: skip
def test_a_good_envelope_of_each_kind(data: bytes, name: str) -> None:
    verified = verify(data)
    assert [anchor.name for anchor in verified.anchors] == [name]
    assert verified.digest == digest_of(data)


def test_two_keys_may_sign_together() -> None:
    verified = verify(signed_segment(b"pcap", SENSOR, JOINT))
    assert {anchor.holder for anchor in verified.anchors} == {Holder.VERIFIER, Holder.JOINT}


def test_of_several_signers_only_those_count_who_may() -> None:
    assert [a.name for a in verify(signed_segment(b"pcap", SENSOR, PROVER)).anchors] == ["sensor"]


def test_a_verified_statement_comes_from_verification_only() -> None:
    verified = verify(GOOD)
    with pytest.raises(TypeError, match="verify_envelope only"):
        VerifiedStatement(
            statement=verified.statement, digest=verified.digest, anchors=verified.anchors, witness=object()
        )


# --- DSSE, without our own code ----------------------------------------------------------------------------------------


def test_pre_authentication_encoding_is_that_of_the_specification() -> None:
    """DSSE protocol, section "Pre-Authentication Encoding": lengths in decimal ASCII, single spaces, raw bytes."""
    body = b'{"a":1}'
    assert pae(PAYLOAD_TYPE, body) == b"DSSEv1 28 application/vnd.in-toto+json 7 " + body
    assert pae(PAYLOAD_TYPE, b"") == b"DSSEv1 28 application/vnd.in-toto+json 0 "


def test_the_worked_example_of_the_specification() -> None:
    """DSSE protocol, section "Test vectors": the encoding of a text payload of type http://example.com/HelloWorld."""
    encoded = pae("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


@pytest.mark.parametrize("data", [GOOD, signed_segment(b"x", SENSOR, JOINT), signed_custody()])
def test_envelopes_verify_with_nothing_but_json_and_ed25519(data: bytes) -> None:
    envelope = json.loads(data)
    payload = base64.standard_b64decode(envelope["payload"])
    kind = envelope["payloadType"].encode()
    message = b" ".join([b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload])
    keys = {key.key_id: key.public.raw for key in (SENSOR, JOINT, CUSTODIAN)}
    for signature in envelope["signatures"]:
        raw = keys[signature["keyid"]]
        Ed25519PublicKey.from_public_bytes(raw).verify(base64.standard_b64decode(signature["sig"]), message)
    statement = json.loads(payload)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert set(statement) == {"_type", "subject", "predicateType", "predicate"}
    assert all(set(subject["digest"]) == {"sha256"} for subject in statement["subject"])


# --- step 1: one canonical JSON object ---------------------------------------------------------------------------------


def reencoded(**options: Any) -> bytes:
    return json.dumps(json.loads(GOOD), **options).encode()


STEP_1 = {
    "empty": b"",
    "not JSON": b"not json",
    "white space": reencoded(),
    "indented": reencoded(indent=1, sort_keys=True),
    "keys in another order": json.dumps(dict(reversed(json.loads(GOOD).items())), separators=(",", ":")).encode(),
    "a byte after the end": GOOD + b"\n",
    "a byte before the start": b" " + GOOD,
    "a byte order mark": b"\xef\xbb\xbf" + GOOD,
    "UTF-16": GOOD.decode().encode("utf-16"),
    "an escaped character": GOOD.replace(b'"payload"', b'"p\\u0061yload"'),
    "a key twice": GOOD.replace(b'{"payload"', b'{"payload":"","payload"'),
    "cut in half": GOOD[: len(GOOD) // 2],
    "twice": GOOD + GOOD,
    "deep nesting": b"[" * 5000 + b"]" * 5000,
    "a number too large": b'{"payload":1e999}',
    "an integer too large": b"1" * 5000,
    "too large": b"0" * (64 * 1024 * 1024 + 1),
    "null": b"null",
    "a list": b"[]",
    "a string": b'"payload"',
    "a number": b"1",
}


@pytest.mark.parametrize("data", STEP_1.values(), ids=STEP_1)
def test_step_1_any_other_form_is_refused(data: bytes) -> None:
    assert refused(data).kind is ProblemKind.MALFORMED


# --- step 2: payload type, strict base64 -------------------------------------------------------------------------------


def envelope(edit: Callable[[dict[str, Any]], Any]) -> bytes:
    value = json.loads(GOOD)
    edit(value)
    return canonical_bytes(value)


def base64_with_stray_bits(text: str) -> str:
    """The same bytes under another spelling: the unused bits before the padding are set."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    body = text.rstrip("=")
    assert body != text
    other = body[:-1] + alphabet[alphabet.index(body[-1]) + 1] + text[len(body) :]
    assert base64.b64decode(other) == base64.b64decode(text)
    return other


STEP_2 = {
    "another payload type": envelope_of(STATEMENT, payload_type="application/json"),
    "payload type with a parameter": envelope_of(STATEMENT, payload_type="application/vnd.in-toto+json; v=1"),
    "no signatures": envelope(lambda e: e.update(signatures=[])),
    "too many signatures": envelope(lambda e: e.update(signatures=e["signatures"] * (SIGNATURES_MAX + 1))),
    "signatures that are no list": envelope(lambda e: e.update(signatures={})),
    "a signature that is text": envelope(lambda e: e.update(signatures=["x"])),
    "a signature without a key id": envelope(lambda e: e["signatures"][0].pop("keyid")),
    "a signature with more in it": envelope(lambda e: e["signatures"][0].update(cert="x")),
    "a key id that is a number": envelope(lambda e: e["signatures"][0].update(keyid=1)),
    "a key id that is a list": envelope(lambda e: e["signatures"][0].update(keyid=["a"])),
    "more in the envelope": envelope(lambda e: e.update(extra=1)),
    "no payload": envelope(lambda e: e.pop("payload")),
    "a payload that is a number": envelope(lambda e: e.update(payload=1)),
    "base64 without padding": envelope(lambda e: e["signatures"][0].update(sig=e["signatures"][0]["sig"].rstrip("="))),
    "base64 with a line break": envelope(lambda e: e.update(payload=e["payload"][:8] + "\n" + e["payload"][8:])),
    "base64 for URLs": envelope(lambda e: e.update(payload="-_" + e["payload"][2:])),
    "base64 with stray bits": envelope(
        lambda e: e["signatures"][0].update(sig=base64_with_stray_bits(e["signatures"][0]["sig"]))
    ),
    "base64 with letters of another script": envelope(lambda e: e.update(payload="ä" + e["payload"][1:])),
}


@pytest.mark.parametrize("data", STEP_2.values(), ids=STEP_2)
def test_step_2_any_other_envelope_is_refused(data: bytes) -> None:
    assert refused(data).kind is ProblemKind.MALFORMED


# --- steps 3 and 4: keys and signatures --------------------------------------------------------------------------------


def flip_signature(e: dict[str, Any]) -> None:
    raw = bytearray(base64.b64decode(e["signatures"][0]["sig"]))
    raw[0] ^= 1
    e["signatures"][0]["sig"] = base64.b64encode(raw).decode()


def high_s(e: dict[str, Any]) -> None:
    """The other root of the same signature (S + L): accepted by a careless verifier, refused by RFC 8032."""
    order = 2**252 + 27742317777372353535851937790883648493
    raw = base64.b64decode(e["signatures"][0]["sig"])
    s = (int.from_bytes(raw[32:], "little") + order).to_bytes(32, "little")
    e["signatures"][0]["sig"] = base64.b64encode(raw[:32] + s).decode()


def of(payload: Any, e: dict[str, Any]) -> None:
    e["payload"] = base64.b64encode(canonical_bytes(payload)).decode()


STEPS_3_4 = {
    "a stranger's key": (signed_segment(b"pcap", STRANGER), "no trust anchor"),
    "a stranger beside a friend": (signed_segment(b"pcap", SENSOR, STRANGER), "no trust anchor"),
    "one key twice": (envelope(lambda e: e.update(signatures=e["signatures"] * 2)), "signs twice"),
    "a signature with a bit flipped": (envelope(flip_signature), "is false"),
    "a signature with S + L": (envelope(high_s), "is false"),
    "an empty signature": (envelope(lambda e: e["signatures"][0].update(sig="")), "is false"),
    "another key's id": (envelope(lambda e: e["signatures"][0].update(keyid=JOINT.key_id)), "is false"),
    "another payload under the signature": (envelope(lambda e: of(predicate(dropped=1), e)), "is false"),
    "one good and one false signature": (
        envelope(lambda e: e["signatures"].append({"keyid": JOINT.key_id, "sig": e["signatures"][0]["sig"]})), "is false",
    ),
    "an upper-case key id": (envelope(lambda e: e["signatures"][0].update(keyid=SENSOR.key_id.upper())), "no trust anchor"),
    "an empty key id": (envelope(lambda e: e["signatures"][0].update(keyid="")), "no trust anchor"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "problem"), STEPS_3_4.values(), ids=STEPS_3_4)
def test_steps_3_and_4_any_other_signature_is_refused(data: bytes, problem: str) -> None:
    fault = refused(data)
    assert fault.kind is ProblemKind.WRONG_KEY
    assert problem in fault.problem


# --- step 5: a canonical in-toto statement with a known predicate ------------------------------------------------------

STEP_5 = {
    "not JSON": envelope_of(None, raw=b"payload"),
    "not canonical": envelope_of(None, raw=json.dumps(STATEMENT).encode()),
    "null": envelope_of(None),
    "a list": envelope_of([]),
    "a statement of another version": envelope_of(altered(_type="https://in-toto.io/Statement/v0.1")),
    "no type": envelope_of({k: v for k, v in STATEMENT.items() if k != "_type"}),
    "the names of our code instead of the format's": envelope_of(
        {("type_" if k == "_type" else k): v for k, v in STATEMENT.items()}
    ),
    "no predicate": envelope_of({k: v for k, v in STATEMENT.items() if k != "predicate"}),
    "no predicate type": envelope_of({k: v for k, v in STATEMENT.items() if k != "predicateType"}),
    "more in the statement": envelope_of(altered(note="x")),
    "an unknown predicate type": envelope_of(altered(predicateType="https://slsa.dev/provenance/v1")),
    "a predicate type that is a list": envelope_of(altered(predicateType=["x"])),
    "the predicate of another type": envelope_of(altered(predicateType="https://inspectorate.example/bundle/v1")),
    "a predicate that is null": envelope_of(altered(predicate=None)),
    "a predicate that is a list": envelope_of(altered(predicate=[])),
    "an empty predicate": envelope_of(altered(predicate={})),
    "more in the predicate": envelope_of(predicate(note="x")),
    "no subject": envelope_of(altered(subject=[])),
    "a subject with another digest": envelope_of(altered(subject=[{"name": "x", "digest": {"sha512": "0" * 128}}])),
    "a subject with two digests": envelope_of(
        altered(subject=[{"name": "x", "digest": {"sha256": "0" * 64, "sha1": "0" * 40}}])
    ),
    "a digest in upper case": envelope_of(altered(subject=[{"name": "x", "digest": {"sha256": "A" * 64}}])),
    "a digest with a line break": envelope_of(altered(subject=[{"name": "x", "digest": {"sha256": "a" * 64 + "\n"}}])),
    "a negative sequence": envelope_of(predicate(sequence=-1)),
    "a first segment with one before it": envelope_of(predicate(previous=digest_of(b""))),
    "a later segment without one before it": envelope_of(predicate(sequence=1)),
    "a period backwards": envelope_of(
        predicate(period={"start": "2026-01-01T00:01:00Z", "end": "2026-01-01T00:00:00Z"})
    ),
    "a period in a year that is none": envelope_of(
        predicate(period={"start": "2026-01-01T00:00:00Z", "end": "9999-12-31T23:59:59-23:59"})
    ),
    "an unknown origin": envelope_of(predicate(origin="imagined")),
    "an unknown media type": envelope_of(predicate(media_type="text/plain")),
    "a payload too large to be held": envelope_of(predicate(payload_bytes=64 * 1024 * 1024 + 1)),
    "a count that is no whole number": envelope_of(predicate(datagrams=1.5)),
}


@pytest.mark.parametrize("data", STEP_5.values(), ids=STEP_5)
def test_step_5_any_other_statement_is_refused(data: bytes) -> None:
    fault = refused(data)
    assert fault.kind is ProblemKind.MALFORMED
    assert len(fault.problem) < 500


# --- step 6: roles, sensors, times -------------------------------------------------------------------------------------

DAY = timedelta(days=1)
STEP_6 = {
    "a prover's key for a sensor": signed_segment(b"pcap", PROVER),
    "a bundle's key for a sensor": signed_segment(b"pcap", BUNDLER),
    "a sensor's key for a declaration": signed_declaration(b"{}", SENSOR),
    "a sensor's key for custody": signed_custody(SENSOR),
    "a prover's key for a bundle": signed_manifest(PROVER),
    "a sensor that is not the key's": signed_segment(b"pcap", SENSOR, sensor="flow-z"),
    "a sensor that is another key's": signed_segment(b"pcap", JOINT, sensor="flow-b"),
    "before the key was valid": signed_segment(period={"start": START - 2 * DAY, "end": START}),
    "after the key was valid": signed_segment(period={"start": START, "end": START + 2 * DAY}),
    "the key ran out in the middle": signed_segment(b"pcap", OLD, period=minutes(4, 6)),
    "the key ran out at the end": signed_segment(b"pcap", OLD, period=minutes(4, 5)),
}


@pytest.mark.parametrize("data", STEP_6.values(), ids=STEP_6)
def test_step_6_a_key_speaks_only_for_what_and_when_it_may(data: bytes) -> None:
    fault = refused(data)
    assert fault.kind is ProblemKind.WRONG_KEY
    assert "may not sign" in fault.problem


def test_an_old_key_still_speaks_for_its_own_time() -> None:
    assert verify(signed_segment(b"pcap", OLD, period=minutes(0, 4))).anchors[0].name == "old"


# --- every byte counts -------------------------------------------------------------------------------------------------


def test_every_single_bit_of_an_envelope_counts() -> None:
    for at in range(len(GOOD)):
        changed = bytearray(GOOD)
        changed[at] ^= 1 << (at % 8)
        refused(bytes(changed))


def test_a_statement_needs_a_signature() -> None:
    from_verified = verify(GOOD).statement
    with pytest.raises(ValueError, match="at least one signature"):
        sign_statement(from_verified)


@pytest.mark.parametrize("keys", [(SENSOR, JOINT), (JOINT, SENSOR)])
def test_the_order_of_signers_does_not_change_the_bytes(keys: tuple[SigningKey, ...]) -> None:
    assert signed_segment(b"pcap", *keys) == signed_segment(b"pcap", SENSOR, JOINT)


PLAIN = (
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
JSON = st.recursive(
    PLAIN | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_by_name(data: bytes) -> None:
    refused(data)


@given(JSON)
@settings(max_examples=150)
def test_any_signed_json_is_refused_by_name(value: Any) -> None:
    refused(envelope_of(value))


@given(st.sampled_from(sorted(STATEMENT["predicate"])), JSON)
@settings(max_examples=300)
def test_any_value_in_a_signed_predicate_is_evidence_or_refused_by_name(field: str, value: Any) -> None:
    with contextlib.suppress(RejectedEvidence):
        assert verify(envelope_of(predicate(**{field: value}))).predicate


def test_the_flow_export_of_the_helper_is_what_was_signed() -> None:
    assert verify(GOOD).predicate == flow_export()
