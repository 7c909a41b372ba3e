"""Secrets that only the TPM with one endorsement key and one named object can open (MakeCredential), without a TPM.

The maker encrypts a seed to the endorsement key, derives two keys of it, encrypts the secret under the first, and binds the
object's name by the second. A TPM opens it only if the object of that name is loaded in it: so a certificate for an attestation
key goes to that key, in that TPM. TPM 2.0 Library 1.59, part 1, section 24 and annexes B.10 and C.6; part 1, section 11.4.10
for both derivations.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from inspectorate.mechanisms.guarantee.attestation.structures import (
    ALG_AES,
    ALG_CFB,
    DECRYPT,
    FIXED_PARENT,
    FIXED_TPM,
    RESTRICTED,
    PublicArea,
)
from inspectorate.mechanisms.guarantee.attestation.wire import sized, u32

SECRET_BYTES_MAX = 32
"""A credential is at most one digest of the endorsement key's name algorithm."""
_SEED_BYTES = 32
_AES_128 = (ALG_AES, 128, ALG_CFB)


def kdf_a(key: bytes, label: bytes, context_u: bytes, context_v: bytes, bits: int) -> bytes:
    """SP 800-108 in counter mode with HMAC-SHA-256, as TPMs use it; `bits` is a multiple of 8."""
    tail = label + b"\0" + context_u + context_v + u32(bits)
    return _blocks(lambda counter: hmac.digest(key, u32(counter) + tail, "sha256"), bits)


def kdf_e(shared: bytes, label: bytes, party_u: bytes, party_v: bytes, bits: int) -> bytes:
    """SP 800-56A concatenation with SHA-256, as TPMs use it."""
    tail = shared + label + b"\0" + party_u + party_v
    return _blocks(lambda counter: hashlib.sha256(u32(counter) + tail).digest(), bits)


def _blocks(block: Callable[[int], bytes], bits: int) -> bytes:
    count = -(-bits // 256)
    return b"".join(block(counter) for counter in range(1, count + 1))[: bits // 8]


def make_credential(ek: PublicArea, name: bytes, secret: bytes, random: Callable[[int], bytes]) -> tuple[bytes, bytes]:
    """(TPM2B_ID_OBJECT, TPM2B_ENCRYPTED_SECRET), both with their sizes: `secret` for the object `name` beside `ek`.

    Raises `ValueError` if `ek` is no key that a TPM would use for it.
    """
    if not 0 < len(secret) <= SECRET_BYTES_MAX:
        raise ValueError(f"a credential has 1 to {SECRET_BYTES_MAX} bytes")
    if not ek.has(RESTRICTED | DECRYPT | FIXED_TPM | FIXED_PARENT) or ek.symmetric != _AES_128:
        raise ValueError("the endorsement key is not a restricted decryption key, fixed to its TPM, with AES-128-CFB")
    seed, encrypted_seed = _seed(ek, random)
    storage = kdf_a(seed, b"STORAGE", name, b"", 128)
    encryptor = Cipher(algorithms.AES(storage), CFB(bytes(16))).encryptor()
    identity = encryptor.update(sized(secret)) + encryptor.finalize()
    integrity = kdf_a(seed, b"INTEGRITY", b"", b"", 256)
    outer = hmac.digest(integrity, identity + name, "sha256")
    return sized(sized(outer) + identity), sized(encrypted_seed)


def _seed(ek: PublicArea, random: Callable[[int], bytes]) -> tuple[bytes, bytes]:
    if isinstance(ek.key, rsa.RSAPublicKey):
        seed = random(_SEED_BYTES)
        oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=b"IDENTITY\0")
        return seed, ek.key.encrypt(seed, oaep)
    own = ec.generate_private_key(ec.SECP256R1())
    shared = own.exchange(ec.ECDH(), ek.key)
    point, theirs = own.public_key().public_numbers(), ek.key.public_numbers()
    x, y = point.x.to_bytes(32, "big"), point.y.to_bytes(32, "big")
    seed = kdf_e(shared, b"IDENTITY", x, theirs.x.to_bytes(32, "big"), 256)
    return seed, sized(x) + sized(y)
