"""What a verifier promises before work is committed to, and what it reveals when it draws.

    Selection                                   how a draw picks: how many, by which method
    Promise, Revealed, DrandRound, Randomness   `drawing.sources`, of such a selection

A secret is used for one draw. `judge.check_uses` names what uses one twice. The round of a beacon is fixed by rule:
`judge.round_for`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from inspectorate.canonical import Record
from inspectorate.drawing import sources
from inspectorate.evidence.inspected import DRAWN_MAX


class Method(StrEnum):
    """How packets are picked."""

    PACKETS = "packets"
    """Every packet with the same chance, without replacement: bounds the dirty share of packets."""
    TIME = "time"
    """Points of the committed time, each equally likely, and the packets in which they fall: bounds the dirty share of
    time, however long or short the prover made its packets. Two points may fall into one packet, which then is drawn
    once."""


class Selection(Record):
    """How a draw picks, fixed before anything is drawn."""

    method: Method
    count: Annotated[int, Field(ge=1, le=DRAWN_MAX)] = Field(description="packets, or points of time")
    strata: Annotated[int, Field(ge=1, le=DRAWN_MAX)] = Field(
        default=1,
        description="equal stretches of the committed time, each with as many points: finds runs of dirt sooner",
    )

    @model_validator(mode="after")
    def _even(self) -> Self:
        if self.count % self.strata:
            raise ValueError("every stratum must get as many points: count must be a multiple of strata")
        if self.strata > 1 and self.method is not Method.TIME:
            raise ValueError("strata are stretches of time: they need the method `time`")
        return self


Promise = sources.Promise[Selection]
Revealed = sources.Revealed[Selection]
DrandRound = sources.DrandRound[Selection]
Randomness = sources.Randomness[Selection]


def parse_randomness(data: bytes, *, where: str) -> Randomness:
    """The record in its one byte form, no default left out. Raises `EvidenceError`."""
    return sources.parse_whole(Randomness, data, where=where)


def parse_promise(data: bytes, *, where: str) -> Promise:
    """The record in its one byte form, no default left out. Raises `EvidenceError`."""
    return sources.parse_whole(Promise, data, where=where)
