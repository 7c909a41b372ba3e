"""The ceremony by which a verifier comes to certify the attestation key of one TPM. Files go back and forth; no network is needed.

    1. device:    says who it is: endorsement key, its certificate from the TPM's maker, attestation key          (`DeviceIdentity`)
    2. verifier:  checks the endorsement certificate against the makers' roots that it holds, the attestation key's attributes, and
                  wraps a secret that only this TPM opens, and only with this attestation key in it                (`Challenge`)
    3. device:    opens it, answers with a MAC under the secret, and quotes over it                                (`Answer`)
    4. verifier:  checks both, and issues the certificate of the attestation key under its own root

What holds after it: the attestation key is restricted, never leaves its TPM, and is in a TPM of that maker. What it takes on
trust: that the maker's key was not stolen and its TPMs keep their keys; that the TPM stands in the machine that was meant (an
inspector who is present at step 3 sees it; seals keep it so).
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import AfterValidator, Field

from inspectorate.canonical import Digest, Record, digest_of
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence.dsse import strict_base64
from inspectorate.mechanisms.guarantee.attestation import reference
from inspectorate.mechanisms.guarantee.attestation.authority import Authority
from inspectorate.mechanisms.guarantee.attestation.chain import EK_USAGE, parse_certificate, verify_chain
from inspectorate.mechanisms.guarantee.attestation.credential import SECRET_BYTES_MAX, make_credential
from inspectorate.mechanisms.guarantee.attestation.quote import QuotePayload
from inspectorate.mechanisms.guarantee.attestation.structures import DECRYPT, PublicArea, QuoteInfo, read_public
from inspectorate.mechanisms.guarantee.attestation.verify import (
    AK_ATTRIBUTES_NEEDED,
    QuoteFault,
    RejectedQuote,
    check_attested,
    read_attested,
)

_MAC_DOMAIN = b"inspectorate enrolment v1\0"
_BOUND_DOMAIN = b"inspectorate enrolment quote v1\0"
_BLOB_MAX = 12_000


def _is_base64(value: str) -> str:
    strict_base64(value)
    return value


Blob = Annotated[str, Field(max_length=_BLOB_MAX), AfterValidator(_is_base64)]


class DeviceIdentity(Record):
    """Step 1: who a TPM says that it is."""

    kind: Literal["device-identity"] = "device-identity"
    endorsement_public: Blob = Field(description="TPMT_PUBLIC")
    endorsement_certificate: Blob = Field(description="DER")
    attestation_public: Blob = Field(description="TPMT_PUBLIC")
    manufacturer: Annotated[str, Field(max_length=16)]

    @property
    def device_id(self) -> str:
        return digest_of(base64.b64decode(self.attestation_public))

    @property
    def digest(self) -> str:
        return digest_of(self.canonical_bytes())


class Challenge(Record):
    """Step 2: a secret for one attestation key in one TPM. Safe to carry by any way."""

    kind: Literal["device-challenge"] = "device-challenge"
    identity: Digest
    credential: Blob = Field(description="TPM2B_ID_OBJECT")
    secret: Blob = Field(description="TPM2B_ENCRYPTED_SECRET")


class Pending(Record):
    """What the verifier keeps to itself between steps 2 and 4."""

    kind: Literal["device-pending"] = "device-pending"
    identity: DeviceIdentity
    secret: Blob


class Answer(Record):
    """Step 3: shown to know the secret, and a quote by the attestation key."""

    kind: Literal["device-answer"] = "device-answer"
    identity: Digest
    mac: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    quote: Blob = Field(description="quote payload over the secret, without certificates")


@dataclass(frozen=True, kw_only=True)
class Enrolled:
    """What step 4 found: whom the certificate is for, and what the verifier may want to write down."""

    pem: bytes
    """The certificate."""
    device_id: str
    info: QuoteInfo
    boot: str
    """Digest of how the machine started, as it was when it answered."""


def challenge(
    identity: DeviceIdentity,
    *,
    roots: Sequence[x509.Certificate],
    intermediates: Sequence[x509.Certificate],
    at: datetime,
    random: Callable[[int], bytes],
) -> tuple[Challenge, Pending]:
    """Step 2. Raises `EvidenceError` naming what is wrong with the identity."""
    where = "the device's identity"
    try:
        certificate = parse_certificate(base64.b64decode(identity.endorsement_certificate))
        chain = verify_chain([certificate, *intermediates], roots, at=at, usage=EK_USAGE)
        endorsement = read_public(base64.b64decode(identity.endorsement_public))
        same = chain.leaf.public_key() == endorsement.key
        attestation = _attestation_key(identity)
    except ValueError as fault:
        raise EvidenceError(str(fault), where=where) from None
    if not same:
        raise EvidenceError("the endorsement certificate is of another key", where=where)
    secret = random(SECRET_BYTES_MAX)
    try:
        blob, encrypted = make_credential(endorsement, attestation.name, secret, random)
    except ValueError as fault:
        raise EvidenceError(str(fault), where=where) from None
    made = Challenge(identity=identity.digest, credential=_text(blob), secret=_text(encrypted))
    return made, Pending(identity=identity, secret=_text(secret))


def mac_of(secret: bytes, identity: str) -> bytes:
    """What shows that the secret was opened, for one identity."""
    return hmac.digest(secret, _MAC_DOMAIN + identity.encode(), "sha256")


def bound_to(secret: bytes, identity: str) -> bytes:
    """The 32 bytes that the attestation key quotes over in step 3."""
    return hmac.digest(secret, _BOUND_DOMAIN + identity.encode(), "sha256")


def certify(
    answer: Answer, pending: Pending, *, authority: Authority, name: str, at: datetime, valid: timedelta
) -> Enrolled:
    """Step 4. Raises `EvidenceError`."""
    where = "the device's answer"
    identity, secret = pending.identity, base64.b64decode(pending.secret)
    if answer.identity != identity.digest:
        raise EvidenceError("it answers another challenge", where=where)
    if not hmac.compare_digest(bytes.fromhex(answer.mac), mac_of(secret, identity.digest)):
        raise EvidenceError("the device did not open the secret", where=where, remedy="do not certify this device")
    payload = QuotePayload.decode(base64.b64decode(answer.quote), where=where)
    key = _attestation_key(identity)
    if payload.public != key.raw:
        raise RejectedQuote(QuoteFault.OTHER_KEY, "the quote is of another key", where=where)
    info = read_attested(payload)
    check_attested(payload, info, key, bound=bound_to(secret, identity.digest))
    if valid <= timedelta(0):
        raise InputError("a certificate must be valid for some time")
    certificate = authority.certify(key, name=name, device_id=identity.device_id, at=at, valid=valid)
    if len(certificate) > reference.CERTIFICATES_BYTES_MAX:
        raise InputError("the certificate is larger than a quote can carry", remedy="use a root with a shorter name")
    return Enrolled(
        pem=_pem(certificate), device_id=identity.device_id, info=info, boot=digest_of(b"".join(payload.platform))
    )


def _attestation_key(identity: DeviceIdentity) -> PublicArea:
    """Raises `ValueError` if it is no key to certify."""
    key = read_public(base64.b64decode(identity.attestation_public))
    if not key.has(AK_ATTRIBUTES_NEEDED) or key.attributes & DECRYPT or key.scheme is None:
        raise ValueError("the attestation key is not restricted to what its TPM made, or not fixed to it")
    return key


def _pem(certificate: bytes) -> bytes:
    return x509.load_der_x509_certificate(certificate).public_bytes(Encoding.PEM)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
