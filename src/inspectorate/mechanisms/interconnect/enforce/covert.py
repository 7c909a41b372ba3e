"""What could still be carried out through a link that keeps its limit, in bytes a day, and what that means for weights.

A limit bounds bytes, not their meaning. Per direction:

    volume     (limit - honest) x 86,400 s              room below the limit that honest traffic leaves
    content    tokens/s x bits a token / 8 x 86,400     what is said: at most the bits of a token, without being told apart
                                                        from sampling at most its entropy
    timing     packets/s x log2(slots) / 8 x 86,400     when a packet leaves, as far as the other end can tell slots apart
    sizes      packets/s x log2(sizes) / 8 x 86,400     how long it is
    order      packets/s x log2(n!) / n / 8 x 86,400    which of n flows comes next

Unverified, nobody knows what bytes mean, so all of the limit counts, and timing, sizes and order come on top. Verified
(answers are recomputed, and what differs is found), unexplained volume is found, too, and of the content only a residual
share is left. That share is a range, because its publication is contested; both ends are printed, always.

These are capacities: upper bounds for a sender and a receiver who lose nothing. Pure arithmetic.
"""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

from inspectorate.canonical import Record
from inspectorate.quantities import NonNegative, Positive, Share

DAY_S = 86_400.0
TOKEN_BITS = 17.0
"""A token of a vocabulary of 128,000, uncompressed (arXiv 2506.15867, interconnect example)."""
SAMPLING_ENTROPY_BITS = 1.0
"""Bits that sampling leaves open per token of ordinary text; "could be < 1 bit compressed" (arXiv 2506.15867). An assumption
about honest answers: an operator who raises the temperature raises it."""
SERVED_BYTES_PER_DAY = 1e12
"""What inference servers emit (arXiv 2511.02620)."""
SLOWDOWN_CLAIMED = 200.0
"""Answers that are recomputed leave a sender less than 0.5 % of their volume (arXiv 2511.02620)."""
SLOWDOWN_CONTESTED = (60.0, 118.0)
"""What is left of that against a sender who inflates the entropy of answers (arXiv 2608.23375)."""


class Between(Record):
    """A quantity that is known as a range only."""

    low: NonNegative
    high: NonNegative


class LinkUse(Record):
    """One direction of an allowed link, and how honest traffic uses it."""

    limit_bytes_per_s: Positive
    honest_bytes_per_s: NonNegative
    packets_per_s: NonNegative = Field(description="packets whose time and size the sender chooses")
    timing_slots: Annotated[int, Field(ge=1, le=10**9)] = Field(description="times the receiver can tell apart")
    sizes: Annotated[int, Field(ge=1, le=65_536)] = Field(description="lengths the receiver can tell apart")
    flows: Annotated[int, Field(ge=1, le=10**6)] = Field(description="flows whose order the sender chooses")
    token_bits: Positive = TOKEN_BITS
    entropy_bits: NonNegative = SAMPLING_ENTROPY_BITS


class Model(Record):
    """Weights that somebody might want to take out: a declared model."""

    parameters: Positive
    bits: Positive = Field(description="per parameter as stored")
    compressed_to: Share = Field(description="size after compression over size before; 1 bit of 16 is 0.0625")

    @property
    def size_bytes(self) -> float:
        return self.parameters * self.bits / 8 * self.compressed_to


class Covert(Record):
    """What is left, in bytes a day, by channel and in all."""

    volume: NonNegative
    content: Between
    """From what sampling hides to every bit of a token."""
    timing: NonNegative
    sizes: NonNegative
    order: NonNegative
    unverified: NonNegative
    verified: Between
    days_unverified: Positive | None
    days_verified: tuple[Positive, Positive] | None
    """From the contested share to the claimed one; none if no model was named, or nothing can be carried."""


def residual_shares() -> tuple[float, float]:
    """The share of verified content that is left for a sender: as claimed, and as contested."""
    return 1 / SLOWDOWN_CLAIMED, 1 / min(SLOWDOWN_CONTESTED)


def residual_bytes_per_day(volume_bytes_per_day: float) -> Between:
    """What is left of a verified volume a day. 1 TB gives 5 GB as claimed; contested, up to 16.7 GB."""
    claimed, contested = residual_shares()
    return Between(low=volume_bytes_per_day * claimed, high=volume_bytes_per_day * contested)


def days_to_carry(model: Model, bytes_per_day: float) -> float | None:
    """Days to carry a model out; none if nothing can be carried."""
    return model.size_bytes / bytes_per_day if bytes_per_day > 0 else None


def capacity(use: LinkUse, model: Model | None = None) -> Covert:
    """The capacity of every channel of a link, and days for a model."""
    honest = min(use.honest_bytes_per_s, use.limit_bytes_per_s)
    tokens_per_day = honest * 8 / use.token_bits * DAY_S
    timing = _per_packet(use, math.log2(use.timing_slots))
    sizes = _per_packet(use, math.log2(use.sizes))
    order = _per_packet(use, math.lgamma(use.flows + 1) / math.log(2) / use.flows)
    beside = timing + sizes + order
    unverified = use.limit_bytes_per_s * DAY_S + beside
    left = residual_bytes_per_day(honest * DAY_S)
    verified = Between(low=left.low + beside, high=left.high + beside)
    days = (days_to_carry(model, verified.high), days_to_carry(model, verified.low)) if model else (None, None)
    return Covert(
        volume=(use.limit_bytes_per_s - honest) * DAY_S,
        content=Between(
            low=tokens_per_day * min(use.entropy_bits, use.token_bits) / 8, high=tokens_per_day * use.token_bits / 8
        ),
        timing=timing,
        sizes=sizes,
        order=order,
        unverified=unverified,
        verified=verified,
        days_unverified=days_to_carry(model, unverified) if model else None,
        days_verified=(days[0], days[1]) if days[0] is not None and days[1] is not None else None,
    )


def _per_packet(use: LinkUse, bits: float) -> float:
    return use.packets_per_s * bits / 8 * DAY_S
