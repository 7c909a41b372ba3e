"""From a seed to a sample, by hashes, so that anybody can repeat it.

    seed = SHA-256(label ‖ entropy ‖ digest of what was committed to, 32 bytes)
    the rank of item i = SHA-256(label ‖ seed ‖ i as 8 bytes, most significant first): items are drawn in order of rank
    a whole number below a limit = SHA-256(label ‖ seed ‖ number ‖ try, 8 bytes each), by rejection

With hashes as random functions the first is a uniform order of all items, and the second has no bias at all: a hash beyond the
last whole multiple of the limit is thrown away. The labels keep hashes of different purpose apart; whoever draws again in another
program needs exactly these bytes.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
from typing import Final

SEED_LABEL_REVEALED: Final = b"inspectorate/draw/commit-reveal/v1\0"
SEED_LABEL_BEACON: Final = b"inspectorate/draw/drand/v1\0"
RANK_LABEL: Final = b"inspectorate/draw/rank/v1\0"
POINT_LABEL: Final = b"inspectorate/draw/point/v1\0"
SECRET_BYTES: Final = 32

_HASH_RANGE = 1 << 256


def seed_from(label: bytes, entropy: bytes, commitment: str) -> bytes:
    """The seed of a draw. `commitment` is a digest, as `sha256:<hex>`."""
    return hashlib.sha256(label + entropy + bytes.fromhex(commitment.removeprefix("sha256:"))).digest()


def first_by_rank(seed: bytes, items: int, count: int) -> tuple[int, ...]:
    """The first `count` of `items` in order of rank; all of them if there are no more."""
    start = hashlib.sha256(RANK_LABEL + seed)

    def rank(number: int) -> bytes:
        hasher = start.copy()
        hasher.update(number.to_bytes(8, "big"))
        return hasher.digest()

    if count >= items:
        return tuple(sorted(range(items), key=rank))
    return tuple(heapq.nsmallest(count, range(items), key=rank))


def uniform_below(seed: bytes, number: int, limit: int) -> int:
    """A whole number in [0, limit), every one equally likely, the `number`-th of this seed."""
    if not 1 <= limit <= _HASH_RANGE:
        raise ValueError(f"limit lies between 1 and 2^256, not {limit}")
    start = hashlib.sha256(POINT_LABEL + seed + number.to_bytes(8, "big"))
    last = _HASH_RANGE - _HASH_RANGE % limit
    for attempt in itertools.count():
        hasher = start.copy()
        hasher.update(attempt.to_bytes(8, "big"))
        value = int.from_bytes(hasher.digest(), "big")
        if value < last:
            return value % limit
    raise AssertionError("unreachable")
