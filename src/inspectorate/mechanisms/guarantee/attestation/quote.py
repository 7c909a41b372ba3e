"""What a report carries of a device's word, in one fixed length, and what the 32 bytes are that the device signs over.

Layout of the `quote` payload, `QUOTE_BYTES` long whatever it holds, so that its length says nothing:

    "INSPQUO1"  u8 custody (0 software, 1 TPM)
    u16 attested    u16 signature    u16 public
    u8 certificates, each u16 + DER
    u8 platform values, each 32 bytes (none, or one for each of PLATFORM_PCRS)
    u8 measurements, each u8 name + name + 32 bytes
    zeros

Reading is strict: there is one payload of one content. Nothing in a `QuotePayload` is verified.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Self

from inspectorate.canonical import digest_of
from inspectorate.errors import EnvironmentError_, EvidenceError
from inspectorate.evidence import KeyCustody
from inspectorate.mechanisms.guarantee.attestation import reference
from inspectorate.mechanisms.guarantee.attestation.device import Device
from inspectorate.mechanisms.guarantee.attestation.measured import DIGEST_BYTES, Measured
from inspectorate.mechanisms.guarantee.attestation.wire import Reader, sized, u8

BOUND_BYTES = 32
_MAGIC = b"INSPQUO1"
_BOUND_DOMAIN = b"inspectorate quote v1\0"
_SOFTWARE_DOMAIN = b"inspectorate software quote v1\0"
_CUSTODY = (KeyCustody.SOFTWARE, KeyCustody.TPM)


def bound_of(checkpoint: str, statement_key: str, challenge: str | None) -> bytes:
    """The 32 bytes that a device signs over (extraData of the quote).

    `checkpoint` and `statement_key` are digests (`sha256:<hex>`), `challenge` is the nonce as hex that the checkpoint answers,
    if any.
    """
    parts = (_raw(checkpoint), _raw(statement_key), b"" if challenge is None else bytes.fromhex(challenge))
    return hashlib.sha256(_BOUND_DOMAIN + b"".join(u8(len(part)) + part for part in parts)).digest()


def software_message(bound: bytes, replayed: bytes) -> bytes:
    """What a device in software signs: the caller's 32 bytes and what was measured."""
    if len(bound) != BOUND_BYTES or len(replayed) != DIGEST_BYTES:
        raise ValueError(f"a device signs over {BOUND_BYTES} bytes")
    return _SOFTWARE_DOMAIN + bound + replayed


@dataclass(frozen=True, kw_only=True)
class QuotePayload:
    """A device's word, with all that a verifier needs to judge it."""

    custody: KeyCustody
    attested: bytes
    signature: bytes
    public: bytes
    certificates: tuple[bytes, ...]
    platform: tuple[bytes, ...]
    log: tuple[Measured, ...]

    @property
    def device_id(self) -> str:
        return digest_of(self.public)

    def encode(self) -> bytes:
        """The one byte form. Raises `EnvironmentError_` if the device says more than fits."""
        self._check()
        data = b"".join(
            (
                _MAGIC,
                u8(_CUSTODY.index(self.custody)),
                sized(self.attested),
                sized(self.signature),
                sized(self.public),
                u8(len(self.certificates)),
                *(sized(certificate) for certificate in self.certificates),
                u8(len(self.platform)),
                *self.platform,
                u8(len(self.log)),
                *(u8(len(entry.name)) + entry.name.encode() + entry.digest for entry in self.log),
            )
        )
        if len(data) > reference.QUOTE_BYTES:
            raise EnvironmentError_(f"a quote of {len(data)} bytes exceeds {reference.QUOTE_BYTES}")
        return data.ljust(reference.QUOTE_BYTES, b"\0")

    def _check(self) -> None:
        limits = (
            ("the attested structure", len(self.attested), reference.ATTESTED_BYTES_MAX),
            ("the signature", len(self.signature), reference.SIGNATURE_BYTES_MAX),
            ("the public area", len(self.public), reference.PUBLIC_BYTES_MAX),
            ("the number of certificates", len(self.certificates), reference.CERTIFICATES_MAX),
            ("the certificates", sum(map(len, self.certificates)), reference.CERTIFICATES_BYTES_MAX),
            ("the number of measurements", len(self.log), reference.MEASURED_MAX),
        )
        for what, found, most in limits:
            if found > most:
                raise EnvironmentError_(f"{what} of a quote: {found}, where {most} is the most")
        if self.platform and len(self.platform) != len(reference.PLATFORM_PCRS):
            raise ValueError("a quote has all values of the platform, or none")

    @classmethod
    def decode(cls, data: bytes, *, where: str) -> Self:
        """Take a payload apart. Raises `EvidenceError`."""
        if len(data) != reference.QUOTE_BYTES:
            raise EvidenceError(f"a quote has {reference.QUOTE_BYTES} bytes, not {len(data)}", where=where)
        try:
            return cls._read(Reader(data))
        except ValueError as fault:
            raise EvidenceError(f"is no quote: {fault}", where=where) from None

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        if reader.take(len(_MAGIC)) != _MAGIC:
            raise ValueError("it starts otherwise")
        custody = _count(reader, len(_CUSTODY) - 1, "custody")
        attested = reader.sized(reference.ATTESTED_BYTES_MAX)
        signature = reader.sized(reference.SIGNATURE_BYTES_MAX)
        public = reader.sized(reference.PUBLIC_BYTES_MAX)
        certificates = tuple(
            reader.sized(reference.CERTIFICATES_BYTES_MAX)
            for _ in range(_count(reader, reference.CERTIFICATES_MAX, "certificates"))
        )
        if sum(map(len, certificates)) > reference.CERTIFICATES_BYTES_MAX:
            raise ValueError(f"its certificates have more than {reference.CERTIFICATES_BYTES_MAX} bytes")
        values = _count(reader, len(reference.PLATFORM_PCRS), "platform values")
        if values not in (0, len(reference.PLATFORM_PCRS)):
            raise ValueError("it has some values of the platform, and not all")
        platform = tuple(reader.take(DIGEST_BYTES) for _ in range(values))
        log = tuple(_entry(reader) for _ in range(_count(reader, reference.MEASURED_MAX, "measurements")))
        if reader.rest.strip(b"\0"):
            raise ValueError("something follows its end")
        return cls(
            custody=_CUSTODY[custody],
            attested=attested,
            signature=signature,
            public=public,
            certificates=certificates,
            platform=platform,
            log=log,
        )


def payload_of(device: Device, bound: bytes) -> QuotePayload:
    """The device's word over `bound`, as a report carries it. Raises `EnvironmentError_`."""
    quoted = device.quote(bound)
    return QuotePayload(
        custody=device.custody,
        attested=quoted.attested,
        signature=quoted.signature,
        public=device.public,
        certificates=device.certificates,
        platform=quoted.platform,
        log=tuple(Measured(name=name, digest=_raw(digest)) for name, digest in device.measured),
    )


def _entry(reader: Reader) -> Measured:
    name = reader.take(_count(reader, reference.NAME_BYTES_MAX, "bytes of a name"))
    return Measured(name=name.decode("ascii"), digest=reader.take(DIGEST_BYTES))


def _count(reader: Reader, most: int, what: str) -> int:
    count = reader.number(1)
    if count > most:
        raise ValueError(f"{what}: {count}, where {most} is the most")
    return count


def _raw(digest: str) -> bytes:
    raw = bytes.fromhex(digest.removeprefix("sha256:"))
    if len(raw) != DIGEST_BYTES or not digest.startswith("sha256:"):
        raise ValueError(f"{digest[:80]!r} is no digest")
    return raw
