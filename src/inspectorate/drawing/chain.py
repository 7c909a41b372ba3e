"""A drand chain: what a verifier must know of it to check a round without a network.

Only unchained chains with signatures on G1 (`bls-unchained-g1-rfc9380`) are supported: a round is signed by itself, and
says nothing of the round before. The chain's hash covers its key, its first second and its period, and is computed anew
when a `Chain` is built: a wrong key cannot stand under a known hash.

Sources: drand's protocol specification (docs.drand.love); the hash as drand's `common/chain.Info.Hash` defines it.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from inspectorate.canonical import Hex, Identifier, Record

ROUND_MAX = 2**53
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Chain(Record):
    """One network of drand."""

    name: Identifier
    scheme: Literal["bls-unchained-g1-rfc9380"] = "bls-unchained-g1-rfc9380"
    chain_hash: Hex
    public_key: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{192}$")] = Field(description="on G2, compressed")
    group_hash: Hex
    genesis_s: Annotated[int, Field(ge=0, lt=2**40)] = Field(description="when round 1 was made, in seconds since 1970")
    period_s: Annotated[int, Field(ge=1, le=86_400)]

    @model_validator(mode="after")
    def _hash_covers(self) -> Self:
        if self.computed_hash() != self.chain_hash:
            raise ValueError("the chain's hash does not cover these values")
        return self

    def computed_hash(self) -> str:
        """SHA-256 over period, first second, key, hash of the group, and the name unless it is `default`."""
        parts = self.period_s.to_bytes(4, "big") + self.genesis_s.to_bytes(8, "big")
        parts += bytes.fromhex(self.public_key) + bytes.fromhex(self.group_hash)
        return hashlib.sha256(parts + (b"" if self.name == "default" else self.name.encode())).hexdigest()

    def round_at(self, time: datetime) -> int:
        """The last round that was made by `time`: floor((t - first second) / period) + 1; 0 before the first."""
        since = (time - _EPOCH - timedelta(seconds=self.genesis_s)) // timedelta(seconds=self.period_s)
        return max(0, since + 1)

    def round_from(self, time: datetime) -> int:
        """The first round that is made at or after `time`."""
        last = self.round_at(time)
        return last if last and self.time_of(last) == time else last + 1

    def time_of(self, number: int) -> datetime:
        """When a round is made. Raises `ValueError` on a round that the calendar does not hold."""
        if not 1 <= number <= ROUND_MAX:
            raise ValueError(f"a round lies between 1 and {ROUND_MAX}, not {number}")
        try:
            return _EPOCH + timedelta(seconds=self.genesis_s + (number - 1) * self.period_s)
        except OverflowError:
            raise ValueError(f"round {number} lies beyond the calendar") from None
