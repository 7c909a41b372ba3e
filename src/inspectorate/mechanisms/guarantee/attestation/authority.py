"""The verifier's own root for keys of TPMs: a P-256 key, a self-signed certificate, and the certificates that it issues.

A certificate of an attestation key says: this public area (its digest is the subject's serial number) was shown to be in a TPM
of a known maker, restricted and fixed to it. The operator holds it and sends it along; the reviewer holds the root.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID

from inspectorate.errors import InputError
from inspectorate.files import read_bounded
from inspectorate.mechanisms.guarantee.attestation.chain import AK_USAGE, parse_pem
from inspectorate.mechanisms.guarantee.attestation.files import write_secret
from inspectorate.mechanisms.guarantee.attestation.structures import PublicArea

_FILE_BYTES_MAX = 16 * 1024


class Authority:
    """A root and its private key."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        if certificate.public_key() != key.public_key():
            raise InputError("the root's certificate is of another key")
        self._key = key
        self.certificate = certificate

    @classmethod
    def create(cls, name: str, *, at: datetime, valid: timedelta) -> Self:
        """A new root."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([_common_name(name)])
        certificate = (
            _builder(subject, subject, key.public_key(), at, valid)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(key_cert_sign=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(key, certificate)

    def certify(self, area: PublicArea, *, name: str, device_id: str, at: datetime, valid: timedelta) -> bytes:
        """The certificate (DER) of an attestation key. It ends no later than the root. Raises `InputError`."""
        subject = x509.Name(
            [
                _common_name(name),
                x509.NameAttribute(NameOID.SERIAL_NUMBER, device_id.removeprefix("sha256:")),
            ]
        )
        if not self.certificate.not_valid_before_utc <= at < self.certificate.not_valid_after_utc:
            raise InputError(
                "the root is not valid now", remedy="make a new root, and name it in the reviewer's anchors"
            )
        valid = min(valid, self.certificate.not_valid_after_utc - at)
        certificate = (
            _builder(subject, self.certificate.subject, area.key, at, valid)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(key_cert_sign=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([AK_USAGE]), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.DER)

    def write_key(self, path: Path) -> None:
        """Write the private key, readable by its owner only. Refuses to overwrite."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_secret(path, pem)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @classmethod
    def read(cls, key_path: Path, certificate_path: Path) -> Self:
        """Read a root. Raises `InputError`."""
        try:
            key = serialization.load_pem_private_key(read_bounded(key_path, _FILE_BYTES_MAX), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as fault:
            raise InputError(f"cannot read a private key: {fault}", where=str(key_path)) from None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise InputError("is no key on an elliptic curve", where=str(key_path))
        return cls(key, read_certificates(certificate_path)[0])


def read_certificates(path: Path, *, bytes_max: int = 256 * 1024) -> list[x509.Certificate]:
    """Certificates of a PEM file, at least one. Raises `InputError`."""
    try:
        return parse_pem(read_bounded(path, bytes_max))
    except ValueError as fault:
        raise InputError(f"holds no certificates: {fault}", where=str(path)) from None


def _common_name(name: str) -> x509.NameAttribute[str]:
    try:
        return x509.NameAttribute(NameOID.COMMON_NAME, name)
    except ValueError as fault:
        raise InputError(f"the name cannot stand in a certificate: {fault}", remedy="use 1 to 64 characters") from None


def _builder(
    subject: x509.Name, issuer: x509.Name, key: CertificatePublicKeyTypes, at: datetime, valid: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at)
        .not_valid_after(at + valid)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, key_cert_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not key_cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        encipher_only=False,
        decipher_only=False,
    )
