"""What is made once in a TPM: the attestation key, and the counter.

The attestation key is a primary key of the endorsement hierarchy. Such a key is derived from a seed that never leaves the TPM,
so there is no key file to lose; and its quotes tell true counts of restarts and the true firmware version, which keys of other
hierarchies hide (TPM 2.0 Library 1.59, part 1, section 36). It is restricted: it signs what the TPM made, and nothing that
only looks like it.

The counter is an NV index of type counter. Nobody can set it; whoever knows no password can raise it, which only harms the
processor's own running. The TPM's owner can remove and define it anew: it then starts above the highest value that any counter
of this TPM ever had (part 3, section 31.8), so it never comes back down. It is not orderly: each step is in NV memory when it
returns.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from inspectorate.errors import EnvironmentError_
from inspectorate.mechanisms.guarantee.attestation import reference
from inspectorate.mechanisms.guarantee.attestation.structures import (
    ADMIN_WITH_POLICY,
    ALG_AES,
    ALG_CFB,
    ALG_ECC,
    ALG_ECDSA,
    ALG_NULL,
    ALG_RSA,
    ALG_SHA256,
    CURVE_P256,
    DECRYPT,
    FIXED_PARENT,
    FIXED_TPM,
    NO_DA,
    RESTRICTED,
    RH_ENDORSEMENT,
    SENSITIVE_DATA_ORIGIN,
    SIGN,
    USER_WITH_AUTH,
    PublicArea,
    primary_qualified_name,
    public_ecc,
    read_public,
)
from inspectorate.mechanisms.guarantee.attestation.tpm.client import OPEN, Hierarchies
from inspectorate.mechanisms.guarantee.attestation.tpm.commands import Tpm
from inspectorate.mechanisms.guarantee.attestation.wire import sized, u16, u32

AK_ATTRIBUTES = FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN | USER_WITH_AUTH | NO_DA | RESTRICTED | SIGN
AK_TEMPLATE = public_ecc(AK_ATTRIBUTES, scheme=u16(ALG_ECDSA) + u16(ALG_SHA256))

_EK_ATTRIBUTES = FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN | ADMIN_WITH_POLICY | RESTRICTED | DECRYPT
_EK_POLICY = bytes.fromhex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa")
"""PolicySecret(TPM_RH_ENDORSEMENT) by SHA-256 (TCG EK Credential Profile 2.5, annex B.3)."""
_EK_HEAD = u16(ALG_SHA256) + u32(_EK_ATTRIBUTES) + sized(_EK_POLICY) + u16(ALG_AES) + u16(128) + u16(ALG_CFB)
EK_RSA_2048 = u16(ALG_RSA) + _EK_HEAD + u16(ALG_NULL) + u16(2048) + u32(0) + sized(bytes(256))
"""Template L-1 of the profile."""
EK_ECC_P256 = (
    u16(ALG_ECC) + _EK_HEAD + u16(ALG_NULL) + u16(CURVE_P256) + u16(ALG_NULL) + sized(bytes(32)) + sized(bytes(32))
)
"""Template L-2 of the profile."""
ENDORSEMENTS = {
    "rsa": (EK_RSA_2048, reference.EK_CERTIFICATE_RSA_2048),
    "ecc": (EK_ECC_P256, reference.EK_CERTIFICATE_ECC_P256),
}

_NT_COUNTER, _AUTH_WRITE, _AUTH_READ, _NV_NO_DA, _WRITTEN = 1 << 4, 1 << 2, 1 << 18, 1 << 25, 1 << 29
COUNTER_ATTRIBUTES = _NT_COUNTER | _AUTH_WRITE | _AUTH_READ | _NV_NO_DA
"""TPMA_NV: neither owner nor platform may write, no orderly keeping, no lock."""
COUNTER_BYTES = 8


def provision(tpm: Tpm, passwords: Hierarchies = OPEN) -> PublicArea:
    """Make the attestation key and the counter, where they are not there. Raises `EnvironmentError_`."""
    if tpm.read_public(reference.AK_HANDLE) is None:
        with tpm.loaded(RH_ENDORSEMENT, AK_TEMPLATE, passwords.endorsement) as handle:
            tpm.evict_control(handle, reference.AK_HANDLE, passwords.owner)
    if tpm.nv_public(reference.COUNTER_INDEX) is None:
        tpm.nv_define(reference.COUNTER_INDEX, COUNTER_ATTRIBUTES, COUNTER_BYTES, passwords.owner)
    if not _counter_written(tpm):
        tpm.nv_increment(reference.COUNTER_INDEX)
    return attestation_key(tpm)


def attestation_key(tpm: Tpm) -> PublicArea:
    """The public area of the attestation key, if it is one as `provision` makes it. Raises `EnvironmentError_`."""
    told = tpm.read_public(reference.AK_HANDLE)
    remedy = "run `inspectorate guard device init`"
    if told is None:
        raise EnvironmentError_("the TPM holds no attestation key", where=tpm.where, remedy=remedy)
    try:
        public = read_public(told.public)
    except ValueError as fault:
        raise EnvironmentError_(f"the attestation key: {fault}", where=tpm.where) from None
    if public.attributes != AK_ATTRIBUTES or public.scheme != (ALG_ECDSA, ALG_SHA256) or public.name != told.name:
        raise EnvironmentError_(
            f"handle {reference.AK_HANDLE:#010x} holds another kind of key", where=tpm.where, remedy="remove it"
        )
    if told.qualified_name != primary_qualified_name(RH_ENDORSEMENT, told.name):
        raise EnvironmentError_("the attestation key is in another hierarchy", where=tpm.where, remedy="remove it")
    return public


def counter(tpm: Tpm) -> int:
    """The counter's value. Raises `EnvironmentError_` if it is missing or defined otherwise."""
    if not _counter_written(tpm):
        raise EnvironmentError_(
            "the counter was never raised", where=tpm.where, remedy="run `inspectorate guard device init`"
        )
    return int.from_bytes(tpm.nv_read(reference.COUNTER_INDEX, COUNTER_BYTES), "big")


def _counter_written(tpm: Tpm) -> bool:
    public = tpm.nv_public(reference.COUNTER_INDEX)
    if public is None:
        raise EnvironmentError_(
            "the TPM holds no counter", where=tpm.where, remedy="run `inspectorate guard device init`"
        )
    if public.attributes & ~_WRITTEN != COUNTER_ATTRIBUTES or public.size != COUNTER_BYTES:
        raise EnvironmentError_(
            f"NV index {reference.COUNTER_INDEX:#010x} is defined otherwise", where=tpm.where, remedy="remove it"
        )
    return bool(public.attributes & _WRITTEN)


def endorsement_certificate(tpm: Tpm, kind: str) -> bytes | None:
    """The endorsement certificate (DER) that the maker left in the TPM; none if there is none."""
    index = ENDORSEMENTS[kind][1]
    public = tpm.nv_public(index)
    if public is None:
        return None
    data = tpm.nv_read(index, public.size)
    try:
        # Some makers leave room after the certificate.
        return x509.load_der_x509_certificate(data[: _der_length(data)]).public_bytes(Encoding.DER)
    except ValueError as fault:
        raise EnvironmentError_(f"the endorsement certificate is none: {fault}", where=tpm.where) from None


def _der_length(data: bytes) -> int:
    """Length of the DER sequence that `data` starts with."""
    if len(data) < 4 or data[:2] != b"\x30\x82":
        raise ValueError("it does not start like one")
    return 4 + int.from_bytes(data[2:4], "big")
