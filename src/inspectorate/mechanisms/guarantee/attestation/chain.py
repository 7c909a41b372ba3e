"""Certificates of keys of TPMs, from a leaf up to a root that the verifier holds.

The path is built and checked by `cryptography.x509.verification` (RFC 5280: signatures, validity, basic constraints, lengths of
paths, critical extensions that are not handled), under policies of our own for what a leaf and an authority must say, since its
defaults are those of the web.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

AK_USAGE = x509.ObjectIdentifier("2.23.133.8.3")
"""tcg-kp-AIKCertificate: a key that attests."""
EK_USAGE = x509.ObjectIdentifier("2.23.133.8.1")
"""tcg-kp-EKCertificate: a key that was in the TPM when it left its maker."""
DEPTH_MAX = 3
"""Authorities between a leaf and its root."""


_FAULTS = (
    ValueError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises over a malformed certificate; only the first is a `ValueError`."""


class ChainError(ValueError):
    """Certificates that do not lead from their leaf to a root of the verifier's."""


@dataclass(frozen=True, kw_only=True)
class Chain:
    """A verified path, leaf first and root last, and when all of it is valid."""

    certificates: tuple[x509.Certificate, ...]
    valid_from: datetime
    valid_until: datetime

    @property
    def leaf(self) -> x509.Certificate:
        return self.certificates[0]

    @property
    def root(self) -> x509.Certificate:
        return self.certificates[-1]


def parse_certificate(data: bytes) -> x509.Certificate:
    """A certificate from DER, with nothing after it. Raises `ValueError`."""
    try:
        return _whole(x509.load_der_x509_certificate(data))
    except _FAULTS as fault:
        raise ValueError(str(fault)) from None


def parse_pem(data: bytes) -> list[x509.Certificate]:
    """Certificates from PEM, at least one. Raises `ValueError`."""
    try:
        return [_whole(one) for one in x509.load_pem_x509_certificates(data)]
    except _FAULTS as fault:
        raise ValueError(str(fault)) from None


def _whole(certificate: x509.Certificate) -> x509.Certificate:
    """Extensions, names and key are parsed when they are first asked for: what is malformed there is a fault of the certificate."""
    list(certificate.extensions)
    list(certificate.subject)
    certificate.public_key()
    return certificate


def verify_chain(
    certificates: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    *,
    at: datetime,
    usage: x509.ObjectIdentifier,
) -> Chain:
    """The path from the first of `certificates` over the others to one of `roots`, valid at a time. Raises `ChainError`."""
    if not certificates or not roots:
        raise ChainError("there is no certificate" if not certificates else "the verifier has no root")
    policy = (
        PolicyBuilder()
        .store(Store(list(roots)))
        .time(at.astimezone(UTC).replace(tzinfo=None))
        .max_chain_depth(DEPTH_MAX)
        .extension_policies(ca_policy=_authorities(), ee_policy=_leaves(usage))
    )
    try:
        path = policy.build_client_verifier().verify(certificates[0], list(certificates[1:])).chain
    except (VerificationError, *_FAULTS) as fault:
        # What follows is the certificate's own words, as its maker chose them.
        why = str(fault).partition(" (encountered")[0]
        raise ChainError(f"the certificates lead to no root of the verifier: {why}") from None
    return Chain(
        certificates=tuple(path),
        valid_from=max(cert.not_valid_before_utc for cert in path),
        valid_until=min(cert.not_valid_after_utc for cert in path),
    )


def _authorities() -> ExtensionPolicy:
    return (
        ExtensionPolicy.permit_all()
        .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, _is_authority)
        .require_present(x509.KeyUsage, Criticality.AGNOSTIC, _signs_certificates)
    )


def _leaves(usage: x509.ObjectIdentifier) -> ExtensionPolicy:
    def has_usage(_: Policy, __: x509.Certificate, value: x509.ExtendedKeyUsage | None) -> None:
        if value is None or list(value) != [usage]:
            raise ValueError(f"its extended key usage is not {usage.dotted_string} alone")

    return (
        ExtensionPolicy.permit_all()
        .may_be_present(x509.BasicConstraints, Criticality.AGNOSTIC, _is_no_authority)
        .require_present(x509.KeyUsage, Criticality.AGNOSTIC, _signs_no_certificates)
        .require_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, has_usage)
    )


def _is_authority(_: Policy, __: x509.Certificate, value: x509.BasicConstraints | None) -> None:
    if value is None or not value.ca:
        raise ValueError("an issuer is no authority")


def _is_no_authority(_: Policy, __: x509.Certificate, value: x509.BasicConstraints | None) -> None:
    if value is not None and value.ca:
        raise ValueError("the leaf is an authority")


def _signs_certificates(_: Policy, __: x509.Certificate, value: x509.KeyUsage | None) -> None:
    if value is None or not value.key_cert_sign:
        raise ValueError("an issuer may not sign certificates")


def _signs_no_certificates(_: Policy, __: x509.Certificate, value: x509.KeyUsage | None) -> None:
    if value is None or value.key_cert_sign:
        raise ValueError("the leaf may sign certificates")
