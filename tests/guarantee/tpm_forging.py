"""What a forger can make without a TPM: structures, signatures of keys in software, certificates of any kind."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from inspectorate.canonical import digest_of
from inspectorate.evidence import KeyCustody
from inspectorate.mechanisms.guarantee.attestation import reference
from inspectorate.mechanisms.guarantee.attestation.chain import AK_USAGE
from inspectorate.mechanisms.guarantee.attestation.measured import Measured, replay
from inspectorate.mechanisms.guarantee.attestation.quote import QuotePayload
from inspectorate.mechanisms.guarantee.attestation.structures import (
    ALG_ECDSA,
    ALG_SHA1,
    ALG_SHA256,
    GENERATED,
    RH_ENDORSEMENT,
    ST_ATTEST_QUOTE,
    primary_qualified_name,
    public_ecc,
    read_public,
    selection,
)
from inspectorate.mechanisms.guarantee.attestation.tpm.provision import AK_ATTRIBUTES
from inspectorate.mechanisms.guarantee.attestation.wire import sized, u8, u16, u32

DAY = timedelta(days=1)


def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def public_area(private: ec.EllipticCurvePrivateKey, attributes: int = AK_ATTRIBUTES) -> bytes:
    """TPMT_PUBLIC of a key in software that says what it likes of itself."""
    numbers = private.public_key().public_numbers()
    x, y = numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")
    return public_ecc(attributes, scheme=u16(ALG_ECDSA) + u16(ALG_SHA256), x=x, y=y)


def sign(private: ec.EllipticCurvePrivateKey, message: bytes, digest: int = ALG_SHA256) -> bytes:
    """TPMT_SIGNATURE."""
    algorithm = hashes.SHA1() if digest == ALG_SHA1 else hashes.SHA256()
    r, s = decode_dss_signature(private.sign(message, ec.ECDSA(algorithm)))
    return u16(ALG_ECDSA) + u16(digest) + sized(r.to_bytes(32, "big")) + sized(s.to_bytes(32, "big"))


@dataclass(frozen=True, kw_only=True)
class Attested:
    """The parts of TPMS_ATTEST, each as the forger likes it."""

    magic: int = GENERATED
    kind: int = ST_ATTEST_QUOTE
    signer: bytes
    extra: bytes
    clock_ms: int = 10_000
    resets: int = 3
    restarts: int = 0
    safe: int = 1
    firmware: int = 0x2019_1023_0016_3636
    select: bytes = field(default_factory=lambda: selection(reference.QUOTED_PCRS))
    digest: bytes

    def encode(self) -> bytes:
        clock = self.clock_ms.to_bytes(8, "big") + u32(self.resets) + u32(self.restarts) + u8(self.safe)
        head = u32(self.magic) + u16(self.kind) + sized(self.signer) + sized(self.extra) + clock
        return head + self.firmware.to_bytes(8, "big") + self.select + sized(self.digest)


def pcr_digest(platform: Sequence[bytes], log: Sequence[Measured]) -> bytes:
    values = dict(zip(reference.PLATFORM_PCRS, platform, strict=True))
    values[reference.MEASURED_PCR] = replay(log)
    return hashlib.sha256(b"".join(values[pcr] for pcr in reference.QUOTED_PCRS)).digest()


LOG = (Measured(name="build", digest=b"\x01" * 32), Measured(name="ruleset", digest=b"\x02" * 32))
PLATFORM = (bytes(32),) * len(reference.PLATFORM_PCRS)


@dataclass(frozen=True, kw_only=True)
class Root:
    """An authority, of whoever's."""

    private: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a certificate says beside its names and its key."""

    at: datetime
    valid: timedelta = 365 * DAY
    ca: bool = False
    path_length: int | None = None
    signs_certificates: bool | None = None
    usage: x509.ObjectIdentifier | None = AK_USAGE
    critical_extra: bool = False


def root(name: str, at: datetime, *, path_length: int | None = None, under: Root | None = None) -> Root:
    private = key()
    terms = Terms(at=at, valid=36_500 * DAY, ca=True, path_length=path_length, usage=None)
    return Root(private=private, certificate=issue(under or private, name, None, private.public_key(), terms))


def issue(
    issuer: Root | ec.EllipticCurvePrivateKey,
    name: str,
    device: str | None,
    public: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    terms: Terms,
) -> x509.Certificate:
    """A certificate as the issuer likes it; by a bare key: of itself."""
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if device is not None:
        attributes.append(x509.NameAttribute(NameOID.SERIAL_NUMBER, device.removeprefix("sha256:")))
    subject = x509.Name(attributes)
    signer = issuer.private if isinstance(issuer, Root) else issuer
    signs = terms.ca if terms.signs_certificates is None else terms.signs_certificates
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if isinstance(issuer, Root) else subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(terms.at)
        .not_valid_after(terms.at + terms.valid)
        .add_extension(x509.BasicConstraints(ca=terms.ca, path_length=terms.path_length), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.KeyUsage(not signs, False, False, False, False, signs, signs, False, False), critical=True)
    )
    if terms.usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([terms.usage]), critical=True)
    if terms.critical_extra:
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
        builder = builder.add_extension(unknown, critical=True)
    return builder.sign(signer, hashes.SHA256())


@dataclass(frozen=True, kw_only=True)
class Forger:
    """A key in software whose public area says that it is an attestation key, and a certificate of it."""

    private: ec.EllipticCurvePrivateKey
    area: bytes
    certificates: tuple[bytes, ...]

    @classmethod
    def certified_by(cls, authority: Root, terms: Terms, attributes: int = AK_ATTRIBUTES) -> Forger:
        """What an authority that did not look certified."""
        private = key()
        area = public_area(private, attributes)
        leaf = issue(authority, "guard-1", digest_of(area), private.public_key(), terms)
        return cls(private=private, area=area, certificates=(leaf.public_bytes(Encoding.DER),))

    def attested(self, bound: bytes) -> Attested:
        signer = primary_qualified_name(RH_ENDORSEMENT, read_public(self.area).name)
        return Attested(signer=signer, extra=bound, digest=pcr_digest(PLATFORM, LOG))

    def payload(self, attested: Attested, digest: int = ALG_SHA256) -> QuotePayload:
        data = attested.encode()
        return QuotePayload(
            custody=KeyCustody.TPM,
            attested=data,
            signature=sign(self.private, data, digest),
            public=self.area,
            certificates=self.certificates,
            platform=PLATFORM,
            log=LOG,
        )

    def with_certificates(self, *certificates: bytes) -> Forger:
        return replace(self, certificates=certificates)
