"""A 16-byte secret cut into n shares of which any k give it back (Shamir 1979), over the field of 2^128 elements.

Cutting is done by a library (pycryptodome, `Crypto.Protocol.SecretSharing`). Joining is done here, because a batch has a hundred
thousand blocks and the library takes milliseconds for each: joining is linear, so that for given offices it is sixteen look-ups of
a table per share. The tests hold it against the library's.

The same tables give the shares of all other offices from any k, so that whoever opens a block checks every share that was ever
committed to, not only those that were given.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from Crypto.Protocol.SecretSharing import Shamir

SECRET_BYTES = 16
_IRREDUCIBLE = 1 << 128 | 0x87
"""x^128 + x^7 + x^2 + x + 1, which is that of the library."""


def split(quorum: int, count: int, secret: bytes) -> list[bytes]:
    """The shares of a secret, for offices 1, 2, ... in this order."""
    return [bytes(share) for _, share in Shamir.split(quorum, count, secret)]


class Joiner:
    """Gives from the shares of some offices the value at another place: the secret at 0, a share elsewhere."""

    def __init__(self, places: Sequence[int], at: int = 0) -> None:
        """`places`: which offices give, from 1 on, as many as the quorum."""
        if len(set(places)) != len(places) or min(places) < 1:
            raise ValueError("places are distinct, from 1 on")
        self._tables = [_table(_coefficient(place, places, at)) for place in places]

    def join(self, shares: Sequence[bytes]) -> bytes:
        """From shares in the order of the places."""
        value = 0
        for table, share in zip(self._tables, shares, strict=True):
            for row, byte in zip(table, share, strict=True):
                value ^= row[byte]
        return value.to_bytes(SECRET_BYTES)


def _coefficient(place: int, places: Sequence[int], at: int) -> int:
    """Lagrange's: the product of (at - other) / (place - other); minus is plus here."""
    value = 1
    for other in places:
        if other != place:
            value = _times(value, _times(at ^ other, _inverse(place ^ other)))
    return value


def _times(one: int, other: int) -> int:
    value = 0
    while other:
        if other & 1:
            value ^= one
        other >>= 1
        one <<= 1
        if one >> 128:
            one ^= _IRREDUCIBLE
    return value


@cache
def _inverse(value: int) -> int:
    """To the power 2^128 - 2."""
    result, power = 1, value
    for _ in range(127):
        power = _times(power, power)
        result = _times(result, power)
    return result


@cache
def _table(coefficient: int) -> list[list[int]]:
    """For each of the sixteen bytes of a share, what each of its values gives."""
    bits = [coefficient]
    while len(bits) < 8 * SECRET_BYTES:
        bits.append(_times(bits[-1], 2))
    rows = []
    for shift in range(8 * (SECRET_BYTES - 1), -1, -8):
        row = [0]
        for byte in range(1, 256):
            row.append(row[byte & (byte - 1)] ^ bits[shift + (byte & -byte).bit_length() - 1])
        rows.append(row)
    return rows
