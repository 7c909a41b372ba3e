"""Simulated TPMs: quotes in the form of TPM 2.0, under a root of the world's own. Anybody can compute their keys.

Nothing of a TPM is emulated but what a quote shows: a restricted P-256 key of the endorsement hierarchy, its certificate, the
PCRs, the clock, the signature. The tests of `attestation` use a real one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from inspectorate.canonical import digest_of
from inspectorate.evidence import KeyCustody
from inspectorate.keys import PlatformAnchor
from inspectorate.mechanisms.guarantee.attestation.chain import AK_USAGE
from inspectorate.mechanisms.guarantee.attestation.measured import Measured, replay
from inspectorate.mechanisms.guarantee.attestation.quote import QuotePayload
from inspectorate.mechanisms.guarantee.attestation.reference import MEASURED_PCR, PLATFORM_PCRS, QUOTED_PCRS
from inspectorate.mechanisms.guarantee.attestation.structures import (
    ALG_ECDSA,
    ALG_SHA256,
    FIXED_PARENT,
    FIXED_TPM,
    GENERATED,
    RESTRICTED,
    RH_ENDORSEMENT,
    SENSITIVE_DATA_ORIGIN,
    SIGN,
    ST_ATTEST_QUOTE,
    USER_WITH_AUTH,
    primary_qualified_name,
    public_ecc,
    read_public,
    selection,
)
from inspectorate.mechanisms.guarantee.attestation.wire import sized, u16, u32

PLATFORM = tuple(hashlib.sha256(b"simulated PCR %d" % pcr).digest() for pcr in PLATFORM_PCRS)
BOOT = digest_of(b"".join(PLATFORM))
"""How the machine of every simulated processor starts."""
FIRMWARE = 0x0001_0002_0003_0004
ANCHOR = "simulated-platform"
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the group of NIST P-256 (SEC 2, section 2.4.2)."""
_ATTRIBUTES = RESTRICTED | SIGN | FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN | USER_WITH_AUTH
_FROM, _UNTIL = datetime(2025, 1, 1, tzinfo=UTC), datetime(2035, 1, 1, tzinfo=UTC)
_SHA256_DETERMINISTIC = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)


@dataclass(frozen=True, kw_only=True)
class SimTpm:
    """One TPM, and the certificate of its attestation key."""

    key: ec.EllipticCurvePrivateKey
    public: bytes
    certificate: bytes

    @property
    def device_id(self) -> str:
        return digest_of(self.public)

    def quote(self, bound: bytes, log: tuple[Measured, ...], *, clock_ms: int, resets: int) -> bytes:
        """The payload of a quote over `bound`."""
        values = dict(zip(PLATFORM_PCRS, PLATFORM, strict=True)) | {MEASURED_PCR: replay(log)}
        attested = b"".join(
            (
                u32(GENERATED),
                u16(ST_ATTEST_QUOTE),
                sized(primary_qualified_name(RH_ENDORSEMENT, read_public(self.public).name)),
                sized(bound),
                clock_ms.to_bytes(8, "big"),
                u32(resets),
                u32(0),
                b"\x01",
                FIRMWARE.to_bytes(8, "big"),
                selection(QUOTED_PCRS),
                sized(hashlib.sha256(b"".join(values[pcr] for pcr in QUOTED_PCRS)).digest()),
            )
        )
        r, s = decode_dss_signature(self.key.sign(attested, _SHA256_DETERMINISTIC))
        signature = u16(ALG_ECDSA) + u16(ALG_SHA256) + sized(r.to_bytes(32, "big")) + sized(s.to_bytes(32, "big"))
        payload = QuotePayload(
            custody=KeyCustody.TPM,
            attested=attested,
            signature=signature,
            public=self.public,
            certificates=(self.certificate,),
            platform=PLATFORM,
            log=log,
        )
        return payload.encode()


@cache
def tpm_of(seed: int, name: str, maker: str = "maker") -> SimTpm:
    """The TPM of a processor in a world. Another `maker` is one that no reviewer of a world trusts."""
    key = _key(f"simulated world {seed}: TPM of {name} by {maker}")
    point = key.public_key().public_numbers()
    scheme = u16(ALG_ECDSA) + u16(ALG_SHA256)
    public = public_ecc(_ATTRIBUTES, scheme=scheme, x=point.x.to_bytes(32, "big"), y=point.y.to_bytes(32, "big"))
    serial = digest_of(public).removeprefix("sha256:")
    leaf = (
        _builder(f"SIMULATED attestation key of {name}", serial=serial, public=key.public_key(), issuer=maker)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([AK_USAGE]), critical=False)
        .sign(_maker_key(maker), hashes.SHA256(), ecdsa_deterministic=True)
    )
    return SimTpm(key=key, public=public, certificate=leaf.public_bytes(serialization.Encoding.DER))


@cache
def anchor() -> PlatformAnchor:
    """The root that a reviewer of a world trusts."""
    root = (
        _builder(_subject("maker"), serial=None, public=_maker_key("maker").public_key(), issuer="maker")
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(_maker_key("maker"), hashes.SHA256(), ecdsa_deterministic=True)
    )
    pem = root.public_bytes(serialization.Encoding.PEM).decode()
    return PlatformAnchor(name=ANCHOR, certificate=pem, firmware_version_min=FIRMWARE)


def _key(purpose: str) -> ec.EllipticCurvePrivateKey:
    number = int.from_bytes(hashlib.sha512(purpose.encode()).digest(), "big") % (_ORDER - 1) + 1
    return ec.derive_private_key(number, ec.SECP256R1())


def _maker_key(maker: str) -> ec.EllipticCurvePrivateKey:
    return _key(f"simulated {maker} of TPMs")


def _subject(maker: str) -> str:
    return f"SIMULATED {maker} of TPMs"


def _builder(
    subject: str, *, serial: str | None, public: ec.EllipticCurvePublicKey, issuer: str
) -> x509.CertificateBuilder:
    names = [x509.NameAttribute(NameOID.COMMON_NAME, subject)]
    if serial is not None:
        names.append(x509.NameAttribute(NameOID.SERIAL_NUMBER, serial))
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name(names))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _subject(issuer))]))
        .public_key(public)
        .serial_number(int.from_bytes(hashlib.sha256(subject.encode()).digest()[:8], "big"))
        .not_valid_before(_FROM)
        .not_valid_after(_UNTIL)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
