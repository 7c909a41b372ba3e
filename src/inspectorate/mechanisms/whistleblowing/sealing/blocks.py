"""One block, sealed to all offices: any k of them open it, and fewer learn nothing, not even whether anything is in it.

    salt         16 bytes of randomness
    commitments  n x 32: one to each share
    slots        n x 512: each share with its salt, sealed by age to its office, filled up with randomness
    body         the part, filled up to one size, under ChaCha20-Poly1305 and a key that follows from the secret
    commitment   32: SHA-256 of all of that; what goes into the log

Rules:

- Every block has a fresh secret. Nothing of it is used twice, so that no state needs to survive a crash.
- A block is bound to its context (32 bytes: the digest of the batch's header, in which the intake, the batch's number and the
  offices stand): its key follows from it, and it is part of what is committed to. A block of another batch does not open.
- The salts of shares follow from the secret. So who opens a block can make all n shares again and compare all commitments: if one
  differs, whoever made the block is to blame, and not an office. A share that does not fit its commitment is its giver's fault.
- A dummy is a block whose part is empty: made by the same steps in the same time, from the same randomness.

Sources: Shamir, "How to share a secret", 1979; RFC 8439 (ChaCha20-Poly1305); age, C2SP.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass

import pyrage
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.whistleblowing.sealing.offices import Offices
from inspectorate.mechanisms.whistleblowing.sealing.shares import SECRET_BYTES, Joiner, split

SALT_BYTES = 16
COMMITMENT_BYTES = 32
SLOT_BYTES = 512
"""A share of 32 bytes sealed by age has 245 to 420 bytes: its library adds a random part to each header, to keep readers honest."""
SHARE_BYTES = 2 * SECRET_BYTES
"""A share and its salt: what an office holds of a block, and releases."""
TAG_BYTES = 16
CONTEXT_BYTES = 32

_NONCE = bytes(12)
"""A key is used once."""
_LENGTH_BYTES = 2


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Where everything stands in the blocks of one batch."""

    offices: Offices
    context: bytes
    block_bytes: int

    def __post_init__(self) -> None:
        if len(self.context) != CONTEXT_BYTES:
            raise ValueError(f"a context has {CONTEXT_BYTES} bytes, not {len(self.context)}")
        if self.part_bytes < 1:
            raise ValueError(f"blocks of {self.block_bytes} bytes have no room beside {self.count} shares")

    @property
    def count(self) -> int:
        return len(self.offices.offices)

    @property
    def head_bytes(self) -> int:
        return SALT_BYTES + (COMMITMENT_BYTES + SLOT_BYTES) * self.count

    @property
    def part_bytes(self) -> int:
        """What a block has room for."""
        return self.block_bytes - self.head_bytes - TAG_BYTES - COMMITMENT_BYTES

    def share_commitment(self, block: bytes, place: int) -> bytes:
        start = SALT_BYTES + COMMITMENT_BYTES * place
        return bytes(block[start : start + COMMITMENT_BYTES])

    def slot(self, block: bytes, place: int) -> bytes:
        start = SALT_BYTES + COMMITMENT_BYTES * self.count + SLOT_BYTES * place
        return bytes(block[start : start + SLOT_BYTES])

    def commit(self, place: int, share: bytes, salt: bytes) -> bytes:
        return hashlib.sha256(b"inspectorate share v1" + self.context + bytes([place]) + share + salt).digest()

    def commitment(self, block: bytes | memoryview) -> bytes:
        """What a block's last 32 bytes must be."""
        return hashlib.sha256(b"inspectorate block v1" + self.context + block[: self.block_bytes - 32]).digest()

    def is_whole(self, block: bytes) -> bool:
        """Whether a block is as it was made. It says nothing of who made it."""
        return len(block) == self.block_bytes and block[-COMMITMENT_BYTES:] == self.commitment(block)


class Sealer:
    """Makes blocks of one shape."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self._recipients = [pyrage.x25519.Recipient.from_str(one.recipient) for one in shape.offices.offices]

    def seal(self, part: bytes | bytearray = b"") -> bytes:
        """A block that holds a part; without one, a dummy."""
        shape = self.shape
        if len(part) > shape.part_bytes:
            raise ValueError(f"a part has at most {shape.part_bytes} bytes, not {len(part)}")
        secret = os.urandom(SECRET_BYTES)
        shares = split(shape.offices.quorum, shape.count, secret)
        salts = [_salt(secret, place) for place in range(shape.count)]
        head = b"".join(
            [
                os.urandom(SALT_BYTES),
                *(shape.commit(place, share, salts[place]) for place, share in enumerate(shares)),
                *(self._slot(place, share + salts[place]) for place, share in enumerate(shares)),
            ]
        )
        padded = bytes(part) + bytes(shape.part_bytes - len(part))
        body = ChaCha20Poly1305(_key(secret, shape.context)).encrypt(_NONCE, padded, head)
        block = head + body
        return block + shape.commitment(block)

    def _slot(self, place: int, data: bytes) -> bytes:
        """Sealed by age, again if its random part should leave no room (never seen)."""
        room = SLOT_BYTES - _LENGTH_BYTES
        sealed = pyrage.encrypt(data, [self._recipients[place]])
        while len(sealed) > room:
            sealed = pyrage.encrypt(data, [self._recipients[place]])
        return len(sealed).to_bytes(_LENGTH_BYTES) + bytes(sealed) + os.urandom(room - len(sealed))


def share_of(shape: Shape, block: bytes, place: int, identity: pyrage.x25519.Identity) -> bytes | None:
    """What an office releases of a block: its share and salt; none where the intake gave it none that fits."""
    slot = shape.slot(block, place)
    length = int.from_bytes(slot[:_LENGTH_BYTES])
    try:
        data = bytes(pyrage.decrypt(slot[_LENGTH_BYTES : _LENGTH_BYTES + length], [identity]))
    except pyrage.DecryptError:
        return None
    return data if fits(shape, block, place, data) else None


def fits(shape: Shape, block: bytes, place: int, share: bytes) -> bool:
    """Whether a released share is the one that the block commits to."""
    if len(share) != SHARE_BYTES:
        return False
    committed = shape.commit(place, share[:SECRET_BYTES], share[SECRET_BYTES:])
    return hmac.compare_digest(committed, shape.share_commitment(block, place))


class Opener:
    """Opens blocks of one shape with the shares of the same offices each."""

    def __init__(self, shape: Shape, places: Sequence[int]) -> None:
        """`places`: which offices of the list give shares, from 0 on, exactly as many as the quorum."""
        if len(places) != shape.offices.quorum:
            raise ValueError(f"it takes {shape.offices.quorum} shares, not {len(places)}")
        self.shape = shape
        given = [place + 1 for place in places]
        self._secret = Joiner(given)
        self._others = [(place, Joiner(given, place + 1)) for place in range(shape.count)]

    def secret(self, block: bytes, shares: Sequence[bytes]) -> bytes:
        """The secret of a block, from shares that fit it. Raises `EvidenceError` where the block was made wrong."""
        values = [share[:SECRET_BYTES] for share in shares]
        secret = self._secret.join(values)
        for place, joiner in self._others:
            committed = self.shape.commit(place, joiner.join(values), _salt(secret, place))
            if committed != self.shape.share_commitment(block, place):
                raise EvidenceError(
                    "was made wrong by the intake: its shares are not of one secret",
                    where=f"block {block[-COMMITMENT_BYTES:].hex()[:16]}…, share {place + 1}",
                )
        return secret


def open_body(shape: Shape, block: bytes, secret: bytes) -> bytes:
    """The body of a block under its secret. Raises `EvidenceError` where it does not open."""
    head, body = block[: shape.head_bytes], block[shape.head_bytes : -COMMITMENT_BYTES]
    try:
        return ChaCha20Poly1305(_key(secret, shape.context)).decrypt(_NONCE, body, head)
    except InvalidTag:
        raise EvidenceError(
            "was made wrong by the intake: its body does not open under its secret",
            where=f"block {block[-COMMITMENT_BYTES:].hex()[:16]}…",
        ) from None


def _salt(secret: bytes, place: int) -> bytes:
    return hmac.digest(secret, b"inspectorate salt v1" + bytes([place]), hashlib.sha256)[:SECRET_BYTES]


def _key(secret: bytes, context: bytes) -> bytes:
    return hmac.digest(secret, b"inspectorate body v1" + context, hashlib.sha256)
