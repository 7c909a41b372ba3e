"""The few TPM 2.0 structures that both sides read: a quote, a public area, a signature.

Numbers and layouts: TPM 2.0 Library 1.59, part 2. Reading is exact: every byte of a structure is accounted for, and a structure
with anything else in it is none. All faults are `ValueError`; the caller says whose they are.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from inspectorate.mechanisms.guarantee.attestation.wire import Reader, sized, u8, u16, u32

GENERATED = 0xFF544347
"""TPM_GENERATED_VALUE: a restricted key signs nothing from outside that starts like this."""
ST_ATTEST_QUOTE = 0x8018

ALG_RSA, ALG_AES, ALG_SHA1, ALG_SHA256, ALG_NULL = 0x0001, 0x0006, 0x0004, 0x000B, 0x0010
ALG_RSASSA, ALG_OAEP, ALG_RSAPSS, ALG_ECDSA, ALG_ECC, ALG_CFB = 0x0014, 0x0017, 0x0016, 0x0018, 0x0023, 0x0043
CURVE_P256 = 0x0003

FIXED_TPM, FIXED_PARENT, SENSITIVE_DATA_ORIGIN = 1 << 1, 1 << 4, 1 << 5
USER_WITH_AUTH, ADMIN_WITH_POLICY, NO_DA = 1 << 6, 1 << 7, 1 << 10
RESTRICTED, DECRYPT, SIGN = 1 << 16, 1 << 17, 1 << 18
"""TPMA_OBJECT (table 31)."""

RH_ENDORSEMENT = 0x4000_000B
PCR_SELECT_BYTES = 3
"""PCRs 0 to 23: what a PC Client TPM has."""
NAME_BYTES_MAX = 34
_PCR_BANKS_MAX = 4
_RSA_BITS = (2048, 3072, 4096)
PublicKeyOf = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


@dataclass(frozen=True, kw_only=True)
class ClockInfo:
    """TPMS_CLOCK_INFO: what a TPM knows of time."""

    clock_ms: int
    """Milliseconds in which the TPM had power, over its life."""
    resets: int
    """How often the machine started."""
    restarts: int
    """How often it was suspended or hibernated since."""
    safe: bool
    """Whether no higher value of the clock can have been reported before."""


@dataclass(frozen=True, kw_only=True)
class QuoteInfo:
    """TPMS_ATTEST of a quote."""

    qualified_signer: bytes
    extra: bytes
    clock: ClockInfo
    firmware: int
    selection: tuple[tuple[int, bytes], ...]
    """(hash, bitmap) per bank."""
    pcr_digest: bytes


def read_quote(data: bytes) -> QuoteInfo:
    """Take TPMS_ATTEST apart. Raises `ValueError`."""
    reader = Reader(data)
    if reader.number(4) != GENERATED:
        raise ValueError("the attested structure was not made by a TPM")
    if (kind := reader.number(2)) != ST_ATTEST_QUOTE:
        raise ValueError(f"the attested structure is of type {kind:#06x}, and no quote")
    signer = reader.sized(NAME_BYTES_MAX)
    extra = reader.sized(64)
    clock_ms, resets, restarts, safe = reader.number(8), reader.number(4), reader.number(4), reader.number(1)
    if safe > 1:
        raise ValueError("a yes or no of the attested structure is neither")
    firmware = reader.number(8)
    banks = reader.number(4)
    if banks > _PCR_BANKS_MAX:
        raise ValueError(f"it selects {banks} banks of PCRs")
    selection = tuple((reader.number(2), reader.take(_select_bytes(reader.number(1)))) for _ in range(banks))
    digest = reader.sized(64)
    reader.end()
    return QuoteInfo(
        qualified_signer=signer,
        extra=extra,
        clock=ClockInfo(clock_ms=clock_ms, resets=resets, restarts=restarts, safe=bool(safe)),
        firmware=firmware,
        selection=selection,
        pcr_digest=digest,
    )


def _select_bytes(count: int) -> int:
    if count > 4:
        raise ValueError(f"a selection of PCRs has {count} bytes")
    return count


def bitmap(pcrs: tuple[int, ...]) -> bytes:
    """The bitmap of a selection of PCRs."""
    return sum(1 << pcr for pcr in pcrs).to_bytes(PCR_SELECT_BYTES, "little")


def selection(pcrs: tuple[int, ...]) -> bytes:
    """TPML_PCR_SELECTION of PCRs in the SHA-256 bank."""
    return u32(1) + u16(ALG_SHA256) + u8(PCR_SELECT_BYTES) + bitmap(pcrs)


@dataclass(frozen=True, kw_only=True)
class PublicArea:
    """TPMT_PUBLIC of an asymmetric key."""

    raw: bytes
    attributes: int
    policy: bytes
    symmetric: tuple[int, int, int] | None
    """(algorithm, bits, mode) with which a storage key protects; none for a signing key."""
    scheme: tuple[int, int] | None
    """(scheme, hash) that the key is bound to."""
    key: PublicKeyOf

    @property
    def name(self) -> bytes:
        """TPM2B_NAME content: the hash algorithm, and the digest of the public area under it."""
        return u16(ALG_SHA256) + hashlib.sha256(self.raw).digest()

    def has(self, attributes: int) -> bool:
        return self.attributes & attributes == attributes


def primary_qualified_name(hierarchy: int, name: bytes) -> bytes:
    """The qualified name of a primary key: what a TPM puts into `qualifiedSigner` (part 1, section 16)."""
    return u16(ALG_SHA256) + hashlib.sha256(u32(hierarchy) + name).digest()


def read_public(data: bytes) -> PublicArea:
    """Take TPMT_PUBLIC apart: ECC P-256 or RSA, with SHA-256 names. Raises `ValueError`."""
    reader = Reader(data)
    kind, name_algorithm = reader.number(2), reader.number(2)
    if kind not in (ALG_ECC, ALG_RSA):
        raise ValueError(f"the public area is of type {kind:#06x}; ECC and RSA are known here")
    if name_algorithm != ALG_SHA256:
        raise ValueError(f"the public area is named by hash {name_algorithm:#06x}, not by SHA-256")
    attributes = reader.number(4)
    policy = reader.sized(64)
    symmetric = _symmetric(reader)
    scheme = _scheme(reader)
    key = _ecc_key(reader) if kind == ALG_ECC else _rsa_key(reader)
    reader.end()
    return PublicArea(raw=data, attributes=attributes, policy=policy, symmetric=symmetric, scheme=scheme, key=key)


def _symmetric(reader: Reader) -> tuple[int, int, int] | None:
    algorithm = reader.number(2)
    if algorithm == ALG_NULL:
        return None
    if algorithm != ALG_AES:
        raise ValueError(f"a symmetric algorithm {algorithm:#06x}; AES is known here")
    return algorithm, reader.number(2), reader.number(2)


def _scheme(reader: Reader) -> tuple[int, int] | None:
    algorithm = reader.number(2)
    if algorithm == ALG_NULL:
        return None
    if algorithm not in (ALG_ECDSA, ALG_RSASSA, ALG_RSAPSS):
        raise ValueError(f"a scheme {algorithm:#06x}; ECDSA, RSASSA and RSAPSS are known here")
    return algorithm, reader.number(2)


def _ecc_key(reader: Reader) -> ec.EllipticCurvePublicKey:
    curve, kdf = reader.number(2), reader.number(2)
    if curve != CURVE_P256 or kdf != ALG_NULL:
        raise ValueError(f"a key on curve {curve:#06x}; NIST P-256 is known here")
    x, y = reader.sized(32), reader.sized(32)
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1())
    return numbers.public_key()


def _rsa_key(reader: Reader) -> rsa.RSAPublicKey:
    bits, exponent = reader.number(2), reader.number(4)
    modulus = reader.sized(512)
    if bits not in _RSA_BITS or len(modulus) * 8 != bits or not modulus[0] & 0x80:
        raise ValueError(f"an RSA key of {len(modulus) * 8} bits; 2048, 3072 and 4096 are known here")
    try:
        return rsa.RSAPublicNumbers(exponent or 65537, int.from_bytes(modulus, "big")).public_key()
    except UnsupportedAlgorithm as fault:
        raise ValueError(str(fault)) from None


@dataclass(frozen=True, kw_only=True)
class Signature:
    """TPMT_SIGNATURE by SHA-256."""

    scheme: int
    value: bytes
    """RSA: the signature; ECDSA: DER of both numbers."""


def read_signature(data: bytes) -> Signature:
    """Take TPMT_SIGNATURE apart. Raises `ValueError`; so does any hash but SHA-256."""
    reader = Reader(data)
    scheme, digest = reader.number(2), reader.number(2)
    if scheme not in (ALG_ECDSA, ALG_RSASSA, ALG_RSAPSS):
        raise ValueError(f"the signature is of scheme {scheme:#06x}; ECDSA, RSASSA and RSAPSS are known here")
    if digest != ALG_SHA256:
        raise ValueError(f"the signature uses hash {digest:#06x}; SHA-256 is asked for")
    if scheme == ALG_ECDSA:
        r, s = reader.sized(32), reader.sized(32)
        value = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
    else:
        value = reader.sized(512)
    reader.end()
    return Signature(scheme=scheme, value=value)


def signed(key: PublicKeyOf, signature: Signature, message: bytes) -> bool:
    """Whether `signature` is the key's over `message`."""
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            if signature.scheme != ALG_ECDSA:
                return False
            key.verify(signature.value, message, _ECDSA)
        elif signature.scheme == ALG_RSASSA:
            key.verify(signature.value, message, padding.PKCS1v15(), hashes.SHA256())
        elif signature.scheme == ALG_RSAPSS:
            key.verify(signature.value, message, _PSS, hashes.SHA256())
        else:
            return False
    except InvalidSignature:
        return False
    return True


_ECDSA = ec.ECDSA(hashes.SHA256())
_PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.AUTO)
"""The TPM chooses the longest salt, or that of FIPS; the verifier takes either (part 1, annex B)."""


def public_ecc(attributes: int, *, scheme: bytes, x: bytes = b"", y: bytes = b"") -> bytes:
    """TPMT_PUBLIC of a P-256 key that signs; a template if it has no point."""
    head = u16(ALG_ECC) + u16(ALG_SHA256) + u32(attributes) + sized(b"")
    return head + u16(ALG_NULL) + scheme + u16(CURVE_P256) + u16(ALG_NULL) + sized(x) + sized(y)
