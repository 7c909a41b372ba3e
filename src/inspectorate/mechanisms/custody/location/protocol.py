"""The datagrams of a round trip, over UDP.

    ask       8 bytes `INSPLOC1`, one byte `Q`, 32 bytes nonce, 64 bytes of zeros
    answer    8 bytes `INSPLOC1`, one byte `A`, the nonce, 64 bytes Ed25519 signature over label and nonce

Both have 105 bytes, so that nobody is answered with more than was sent. The label keeps the signature apart from all others of
the key. A nonce is 32 random bytes of the landmark's: nobody can answer before it was asked.
"""

from __future__ import annotations

from typing import Final

from inspectorate.keys import PublicKey, SigningKey
from inspectorate.mechanisms.custody.location.reference import NONCE_BYTES, SIGNATURE_BYTES

MAGIC: Final = b"INSPLOC1"
LABEL: Final = b"inspectorate/location/answer/v1\0"
DATAGRAM_BYTES: Final = len(MAGIC) + 1 + NONCE_BYTES + SIGNATURE_BYTES
_ASK, _ANSWER = MAGIC + b"Q", MAGIC + b"A"


def ask(nonce: bytes) -> bytes:
    """The datagram that asks. Raises `ValueError` on a nonce of another length."""
    if len(nonce) != NONCE_BYTES:
        raise ValueError(f"a nonce has {NONCE_BYTES} bytes, not {len(nonce)}")
    return _ASK + nonce + bytes(SIGNATURE_BYTES)


def answer(key: SigningKey, datagram: bytes) -> bytes | None:
    """The answer to a datagram; none if it does not ask."""
    if len(datagram) != DATAGRAM_BYTES or not datagram.startswith(_ASK) or any(datagram[-SIGNATURE_BYTES:]):
        return None
    nonce = datagram[len(_ASK) : -SIGNATURE_BYTES]
    return _ANSWER + nonce + key.sign(LABEL + nonce)


def read_answer(datagram: bytes) -> tuple[bytes, bytes] | None:
    """Nonce and signature of an answer; none if it is none."""
    if len(datagram) != DATAGRAM_BYTES or not datagram.startswith(_ANSWER):
        return None
    return datagram[len(_ANSWER) : -SIGNATURE_BYTES], datagram[-SIGNATURE_BYTES:]


def verifies(key: PublicKey, nonce: bytes, signature: bytes) -> bool:
    """Whether the device signed this nonce, as an answer."""
    return len(signature) == SIGNATURE_BYTES and key.verifies(signature, LABEL + nonce)
