"""The pairing behind `beacon`; needs the extra `beacon` (py_arkworks_bls12381: Rust, one wheel, no dependencies of its
own).

Chosen over py_ecc, which its package index classes as alpha, took 0.8 to 1.0 s a signature in pure Python where this
takes about 5 ms, and brings five packages. Points at infinity and encodings that are not the one canonical form are
refused here, because the library lets them through; points off the curve or outside the subgroup it refuses itself.

A signature S on G1 over a message m under the key P on G2 is good if e(S, g2) = e(H(m), P).
"""

from __future__ import annotations

from py_arkworks_bls12381 import GT, G1Point, G2Point

_GROUP = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_"
"""The tag of `bls-unchained-g1-rfc9380`, by which hashing to the curve is kept apart from other uses (RFC 9380)."""


def verifies(signature: bytes, message: bytes, public_key: bytes) -> bool:
    """Whether `signature`, 48 bytes on G1, is that of `public_key`, 96 bytes on G2, over `message`."""
    try:
        signed = G1Point.from_compressed_bytes(signature)
        key = G2Point.from_compressed_bytes(public_key)
    except ValueError:
        return False
    if signed == G1Point.identity() or key == G2Point.identity():
        return False
    if bytes(signed.to_compressed_bytes()) != signature or bytes(key.to_compressed_bytes()) != public_key:
        return False
    hashed = G1Point.hash_to_curve(message, _GROUP)
    return bool(GT.pairing(signed, G2Point()) == GT.pairing(hashed, key))
