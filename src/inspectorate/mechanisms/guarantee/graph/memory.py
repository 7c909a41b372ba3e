"""Whether a server still holds the weights that were uploaded: sampled blocks under a root committed at the upload.

The weights are cut into blocks of equal size; the root is the RFC 6962 tree hash over them. The verifier draws blocks by
a seed that the server could not know, and the server gives the bytes of each with its path. Against a server that holds
other bytes in a share f of the blocks, n drawn blocks find one with 1 - (1 - f)^n; n clean ones bound f
(`statistics.dirty_share_upper`).

What is asked for are the bytes, never a hash of them, which a server could keep instead. It shows that the bytes are at
hand, not that they are what is used: that is what `answers` is for. A server that fetches them from elsewhere answers
late, which only somebody with a clock on the path can see.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import Field, model_validator

from inspectorate.canonical import Digest, Record
from inspectorate.mechanisms.guarantee.graph.reference import MEMORY_BLOCK_BYTES
from inspectorate.mechanisms.guarantee.graph.types import Outcome
from inspectorate.statistics import dirty_share_upper

SEED_BYTES = 32
PATH_MAX = 48
DRAWN_MAX = 1 << 16
MISS_PROBABILITY = 0.05


class Held(Record):
    """What was uploaded: the root over its blocks."""

    size_bytes: Annotated[int, Field(ge=1, le=2**50)]
    block_bytes: Annotated[int, Field(ge=64, le=2**30)] = MEMORY_BLOCK_BYTES
    root: Digest

    @model_validator(mode="after")
    def _countable(self) -> Self:
        if self.blocks > 2**40:
            raise ValueError("more blocks than a tree here has")
        return self

    @property
    def blocks(self) -> int:
        return -(-self.size_bytes // self.block_bytes)

    def length(self, index: int) -> int:
        """Bytes of one block: all are full but the last."""
        return min(self.block_bytes, self.size_bytes - index * self.block_bytes)


@dataclass(frozen=True)
class Opened:
    """One block as the server gave it, and the hashes beside its way up."""

    index: int
    data: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, kw_only=True)
class MemoryCheck:
    """What the opened blocks say."""

    outcome: Outcome
    reason: str
    asked: int
    right: int
    other_share_max: float
    """At most this share of the blocks is other than committed, at 95 %; 1 where anything was wrong or missing."""


class BlockTree:
    """The tree over the blocks of the weights, with all its hashes: 64 bytes for each block."""

    def __init__(self, data: bytes | memoryview, *, block_bytes: int = MEMORY_BLOCK_BYTES) -> None:
        """Raises `ValueError` on no bytes."""
        if not len(data):
            raise ValueError("no bytes have no blocks")
        view = memoryview(data)
        leaves = [_leaf(view[start : start + block_bytes]) for start in range(0, len(view), block_bytes)]
        self._levels = [leaves]
        while len(self._levels[-1]) > 1:
            self._levels.append(_above(self._levels[-1]))
        self.held = Held(size_bytes=len(view), block_bytes=block_bytes, root=_text(self._levels[-1][0]))

    def path(self, index: int) -> tuple[bytes, ...]:
        """The hashes beside the way of one block. Raises `ValueError` on a block that is not there."""
        if not 0 <= index < self.held.blocks:
            raise ValueError(f"there is no block {index}")
        found = []
        for level in self._levels[:-1]:
            if index ^ 1 < len(level):
                found.append(level[index ^ 1])
            index //= 2
        return tuple(found)

    def open(self, data: bytes | memoryview, indices: Sequence[int]) -> list[Opened]:
        """Answer a draw from the bytes that are held now."""
        size = self.held.block_bytes
        return [
            Opened(index, bytes(memoryview(data)[index * size : (index + 1) * size]), self.path(index))
            for index in indices
        ]


def drawn_blocks(held: Held, seed: bytes, count: int) -> list[int]:
    """Distinct blocks, all of them where `count` is no fewer. Raises `ValueError` on a bad seed or count."""
    if len(seed) != SEED_BYTES or not 1 <= count <= DRAWN_MAX:
        raise ValueError(f"needs a seed of {SEED_BYTES} bytes and 1 to {DRAWN_MAX} blocks")
    if count >= held.blocks:
        return list(range(held.blocks))
    # Floyd's draw without replacement: each step adds one block, and none is likelier than another.
    chosen: dict[int, None] = {}
    start = seed + held.root.encode()
    for place in range(held.blocks - count, held.blocks):
        number = int.from_bytes(hashlib.sha256(start + place.to_bytes(8, "big")).digest(), "big") % (place + 1)
        chosen[place if number in chosen else number] = None
    return list(chosen)


def check_blocks(held: Held, asked: Sequence[int], opened: Sequence[Opened]) -> MemoryCheck:
    """Hold the opened blocks against the root. A block that was asked for and not given counts as wrong."""
    if not asked:
        return MemoryCheck(
            outcome=Outcome.CANNOT_TELL, reason="nothing was asked", asked=0, right=0, other_share_max=1.0
        )
    given = {one.index: one for one in opened}
    right = sum(1 for index in asked if index in given and block_is_right(held, given[index]))
    if right < len(asked):
        reason = f"{len(asked) - right} of {len(asked)} blocks are wrong or were not given"
        return MemoryCheck(outcome=Outcome.DIFFERS, reason=reason, asked=len(asked), right=right, other_share_max=1.0)
    share = 0.0 if len(set(asked)) == held.blocks else dirty_share_upper(len(asked), MISS_PROBABILITY)
    return MemoryCheck(
        outcome=Outcome.CONSISTENT,
        reason="all blocks are those committed",
        asked=len(asked),
        right=right,
        other_share_max=share,
    )


def block_is_right(held: Held, one: Opened) -> bool:
    """Whether a block and its path lead to the root (RFC 9162, section 2.1.3.2)."""
    if not 0 <= one.index < held.blocks or len(one.data) != held.length(one.index) or len(one.path) > PATH_MAX:
        return False
    index, last, at = one.index, held.blocks - 1, _leaf(one.data)
    for beside in one.path:
        if len(beside) != 32 or last == 0:
            return False
        if index & 1 or index == last:
            at = _node(beside, at)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            at = _node(at, beside)
        index, last = index >> 1, last >> 1
    return last == 0 and _text(at) == held.root


def _leaf(data: bytes | memoryview) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _above(level: list[bytes]) -> list[bytes]:
    """The next level; a node without a partner moves up as it is."""
    joined = [_node(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
    return joined + level[-1:] if len(level) % 2 else joined


def _text(digest: bytes) -> str:
    return "sha256:" + digest.hex()
