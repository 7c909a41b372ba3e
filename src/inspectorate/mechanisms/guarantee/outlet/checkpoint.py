"""What a guarantee processor says of one period: its checkpoint.

All that is said about the chips is in here, so that what may leave can be counted in bits (`outlet.budget`). Amounts are rounded up
to few digits before they enter; counts saturate; the byte form has one length (`outlet.codec`).
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from inspectorate.canonical import Digest, Hex, Identifier, Record
from inspectorate.mechanisms.guarantee.events import EventKind, Mode
from inspectorate.mechanisms.guarantee.metering.types import MeterKind, Source
from inspectorate.quantities import NonNegative, Period

COUNT_MAX = 255
"""Counts of events saturate here."""

Count = Annotated[int, Field(ge=0, le=COUNT_MAX)]


class MeterSaid(Record):
    """One meter over the period: at most `used`, at least `at_least`, by the word of the least trusted source in it."""

    meter: MeterKind
    used: NonNegative
    at_least: NonNegative
    source: Source
    remaining: NonNegative | None = Field(
        default=None, description="of the licence in force at the end; none: not budgeted"
    )


class Checkpoint(Record):
    """One period of one processor."""

    # Public: known to all beforehand, or chosen outside.
    reporter: Identifier
    sequence: Annotated[int, Field(ge=0, le=10**12)]
    starts: Annotated[int, Field(ge=1, le=10**9, description="how often the processor has started in its life")]
    period: Period
    previous: Digest | None = Field(default=None, description="digest of the checkpoint before; none for the first")
    challenge: Hex | None = Field(default=None, description="the newest challenge that arrived before the end")
    statement_key: Digest = Field(description="key id of the key that signs the statement")
    device: Digest
    rollback_protected: bool
    build: Digest
    ruleset: Digest | None = None
    ruleset_id: Identifier | None = None
    ruleset_version: Annotated[int, Field(ge=0)] = Field(default=0, description="the highest version ever in force")
    licence: Identifier | None = None
    licence_sequence: Annotated[int, Field(ge=0)] = 0
    model: Digest | None = None
    opened: Hex = Field(
        description="opens the draw of requests of this period, and commits to the next (`interlock.sampling`)"
    )
    # About the chips: every field costs bits.
    mode: Mode
    held_s: NonNegative = Field(description="seconds of the period in which work was held, rounded down")
    meters: tuple[MeterSaid, ...] = Field(max_length=len(MeterKind))
    flop_ledger: Digest = Field(description="commitment to the ledger of FLOP by source, salted")
    events: dict[EventKind, Count] = Field(description="what happened in the period; kinds that did not are left out")
    sampled: Count = Field(description="requests drawn for re-execution")
    recomputed: Count
    differed: Count

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        meters = [said.meter for said in self.meters]
        if len(set(meters)) != len(meters):
            raise ValueError("a meter is named twice")
        if (self.ruleset is None) != (self.ruleset_id is None):
            raise ValueError("a ruleset needs both its digest and its id")
        if self.mode in (Mode.UPLOADING, Mode.SERVING) and self.ruleset is None:
            raise ValueError("nothing is let through without a ruleset")
        return self
