"""DSSE envelopes around in-toto statements, and the one way to get a verified statement.

Verification (DSSE protocol, version 1; steps numbered in `verify_envelope`):

1. The envelope is one JSON object in canonical form: no byte of it may differ.
2. The payload type is in-toto JSON; payload and signatures are strict base64.
3. Every signature names a key of the reviewer's anchors, and no key signs twice.
4. Every signature verifies over the pre-authentication encoding (PAE). One bad signature spoils the envelope.
5. The payload is a canonical in-toto statement with a known predicate.
6. At least one of the keys may sign this kind of evidence, at the time of which it speaks, for the sensor it names.

The key id is a hint in DSSE. Here it is checked: it must be the id of the key that verifies.
Not done here: whether the payloads are there (`bundle`), and whether the ledger holds the statement (`review`).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from inspectorate.canonical import canonical_bytes, digest_of, first_fault, parse_canonical
from inspectorate.errors import EvidenceError
from inspectorate.evidence.dsse import pae, strict_base64
from inspectorate.evidence.kinds import Predicate
from inspectorate.evidence.observed import (
    BundleManifest,
    CustodyEvent,
    DeclarationMade,
    FlowExportSegment,
    TelemetrySegment,
    WindowApproved,
)
from inspectorate.evidence.predicate import Inspection, Report
from inspectorate.evidence.problems import ProblemKind, RejectedEvidence
from inspectorate.evidence.statement import Statement
from inspectorate.keys import Role, SigningKey, TrustAnchor, TrustAnchors

PAYLOAD_TYPE = "application/vnd.in-toto+json"
ENVELOPE_BYTES_MAX = 64 * 1024 * 1024
SIGNATURES_MAX = 32

_VERIFIED = object()


@dataclass(frozen=True, kw_only=True)
class VerifiedStatement:
    """A statement whose signatures verified against the reviewer's anchors. Only `verify_envelope` builds one."""

    statement: Statement
    digest: str
    """Digest of the envelope's bytes: the id of this piece of evidence."""
    anchors: tuple[TrustAnchor, ...]
    witness: object

    def __post_init__(self) -> None:
        if self.witness is not _VERIFIED:
            raise TypeError("a VerifiedStatement comes from verify_envelope only")

    @property
    def predicate(self) -> Predicate:
        return self.statement.predicate


def sign_statement(statement: Statement, *keys: SigningKey) -> bytes:
    """The envelope of a statement, signed by each key, in its canonical bytes."""
    if not keys:
        raise ValueError("a statement needs at least one signature")
    payload = canonical_bytes(statement.model_dump(mode="json", by_alias=True, exclude_none=True))
    message = pae(PAYLOAD_TYPE, payload)
    signatures = [{"keyid": key.key_id, "sig": base64.b64encode(key.sign(message)).decode()} for key in keys]
    return canonical_bytes(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": sorted(signatures, key=lambda s: s["keyid"]),
        }
    )


def verify_envelope(data: bytes, *, anchors: TrustAnchors, where: str) -> VerifiedStatement:
    """Verify an envelope against the reviewer's anchors (steps in the module's docstring).

    Raises `RejectedEvidence` naming what is wrong.
    """
    # (1), (2)
    payload, signatures = _open(data, where)
    # (3)
    signers: list[tuple[TrustAnchor, bytes]] = []
    for key_id, signature in signatures:
        anchor = anchors.by_key_id(key_id)
        if anchor is None:
            raise RejectedEvidence(
                ProblemKind.WRONG_KEY, f"signed by {key_id[:19]}…, which is no trust anchor", where=where
            )
        signers.append((anchor, signature))
    if len({anchor.name for anchor, _ in signers}) != len(signers):
        raise RejectedEvidence(ProblemKind.WRONG_KEY, "one key signs twice", where=where)
    # (4)
    message = pae(PAYLOAD_TYPE, payload)
    for anchor, signature in signers:
        if not anchor.key.verifies(signature, message):
            raise RejectedEvidence(ProblemKind.WRONG_KEY, f"the signature of {anchor.name} is false", where=where)
    # (5)
    statement = _parse_statement(payload, where)
    # (6)
    allowed = tuple(anchor for anchor, _ in signers if _may_sign(anchor, statement.predicate))
    if not allowed:
        names = ", ".join(anchor.name for anchor, _ in signers)
        raise RejectedEvidence(
            ProblemKind.WRONG_KEY, f"{names} may not sign {_what(statement.predicate)} at that time", where=where
        )
    return VerifiedStatement(statement=statement, digest=digest_of(data), anchors=allowed, witness=_VERIFIED)


def _open(data: bytes, where: str) -> tuple[bytes, list[tuple[str, bytes]]]:
    """The payload and the (key id, signature) pairs of an envelope in canonical form."""
    if len(data) > ENVELOPE_BYTES_MAX:
        raise RejectedEvidence(ProblemKind.MALFORMED, f"an envelope of {len(data)} bytes is too large", where=where)
    try:
        envelope = parse_canonical(data, where=where)
        if set(envelope) != {"payload", "payloadType", "signatures"} or envelope["payloadType"] != PAYLOAD_TYPE:
            raise ValueError("is not a DSSE envelope of an in-toto statement")
        payload = strict_base64(envelope["payload"])
        listed = envelope["signatures"]
        if not isinstance(listed, list) or not 1 <= len(listed) <= SIGNATURES_MAX:
            raise ValueError(f"needs between 1 and {SIGNATURES_MAX} signatures")
        signatures = []
        for item in listed:
            if not isinstance(item, dict) or set(item) != {"keyid", "sig"} or not isinstance(item["keyid"], str):
                raise ValueError("a signature needs exactly keyid and sig")
            signatures.append((item["keyid"], strict_base64(item["sig"])))
    except (EvidenceError, ValueError, TypeError) as fault:
        text = fault.problem if isinstance(fault, EvidenceError) else str(fault)
        raise RejectedEvidence(ProblemKind.MALFORMED, text, where=where) from None
    return payload, signatures


def _parse_statement(payload: bytes, where: str) -> Statement:
    try:
        return Statement.model_validate(parse_canonical(payload, where=where))
    except ValidationError as fault:
        raise RejectedEvidence(ProblemKind.MALFORMED, first_fault(fault), where=where) from None
    except EvidenceError as fault:
        raise RejectedEvidence(ProblemKind.MALFORMED, fault.problem, where=where) from None


def _may_sign(anchor: TrustAnchor, predicate: Predicate) -> bool:
    """Whether the anchor's roles, sensors and validity cover what the predicate speaks of."""
    role, times = _role_and_times(predicate)
    if not all(anchor.may(role, time) for time in times):
        return False
    if isinstance(predicate, WindowApproved | Inspection):
        return predicate.by == anchor.name
    speaker = _speaker(predicate)
    return speaker is None or speaker in anchor.sensors


def _speaker(predicate: Predicate) -> str | None:
    """The sensor, reporter, approver or inspector that a predicate names as its source; an anchor must name it, too."""
    match predicate:
        case FlowExportSegment() | TelemetrySegment():
            return predicate.sensor
        case Report():
            return predicate.reporter
        case WindowApproved() | Inspection():
            return predicate.by
        case _:
            return None


def _role_and_times(predicate: Predicate) -> tuple[Role, tuple[datetime, ...]]:
    match predicate:
        case DeclarationMade():
            return Role.DECLARATION, (predicate.made_at,)
        case FlowExportSegment() | TelemetrySegment():
            return Role.SENSOR, (predicate.period.start, predicate.period.end)
        case Report():
            return Role.SENSOR, (predicate.period.start, predicate.period.end)
        case WindowApproved():
            return Role.APPROVAL, (predicate.valid.start, predicate.valid.end)
        case Inspection():
            return Role.INSPECTOR, predicate.times
        case CustodyEvent():
            return Role.CUSTODY, (predicate.at,)
        case BundleManifest():
            return Role.BUNDLE, (predicate.created_at,)


def _what(predicate: Predicate) -> str:
    speaker = _speaker(predicate)
    return f"a {type(predicate).__name__}" + (f" of {speaker}" if speaker else "")
