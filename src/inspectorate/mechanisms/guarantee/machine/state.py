"""All that a guarantee processor knows of itself.

Rules:

- The record is the whole truth: what is not in it does not survive a restart, and nothing in memory may matter more.
- `time` never goes back. A clock that does is held at the latest time seen, so an expired ruleset stays expired.
- A halt has a nonce of its own. Only an order that names it ends it, so an order is good for one halt.
- `distrusted` marks a state that was found rolled back: it may report, and do nothing else, for good.
"""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from inspectorate.canonical import Digest, Hex, Record, Text
from inspectorate.mechanisms.guarantee.events import EventKind, Mode
from inspectorate.mechanisms.guarantee.licences.state import LicenceState
from inspectorate.mechanisms.guarantee.metering.types import MeterKind, Reading
from inspectorate.mechanisms.guarantee.outlet.checkpoint import COUNT_MAX
from inspectorate.mechanisms.guarantee.rulesets.types import Ruleset
from inspectorate.quantities import NonNegative, Time

OPEN_REQUESTS_MAX = 4096
_SIGNED = re.compile(r"-?(?:0|[1-9][0-9]{0,48})\Z")


def _whole(value: object) -> object:
    if isinstance(value, str):
        if not _SIGNED.match(value):
            raise ValueError("must be a whole number in decimal")
        return int(value)
    return value


SignedUnits = Annotated[int, BeforeValidator(_whole), PlainSerializer(str, return_type=str, when_used="json")]
"""A whole number of FLOP beyond what JSON carries: decimal text there."""


class Halt(Record):
    """Why nothing passes, since when, and the name by which a quorum may end it."""

    kind: EventKind
    at: Time
    nonce: Hex
    why: Text


class Sampled(Record):
    """Requests drawn for re-execution in the period, and what came of them."""

    drawn: Annotated[int, Field(ge=0)] = 0
    recomputed: Annotated[int, Field(ge=0)] = 0
    differed: Annotated[int, Field(ge=0)] = 0


class Upload(Record):
    """The listed model whose bytes are being let in."""

    content: Digest
    size_bytes: Annotated[int, Field(ge=1)]


class Open(Record):
    """A request that was admitted and is not settled."""

    ticket: Annotated[int, Field(ge=0)]
    reserved: Annotated[int, Field(ge=0)] = Field(description="number of the reservation of licences")
    flop_per_token: NonNegative


class GuardState(Record):
    """One processor at one time."""

    time: Time
    starts: Annotated[int, Field(ge=0)] = 0
    running: bool = Field(default=False, description="it was not told to end: found so at a start, it was lost")
    distrusted: bool = False
    ruleset: Ruleset | None = None
    version_max: Annotated[int, Field(ge=0)] = Field(default=0, description="the highest version ever in force")
    licences: LicenceState
    licence: str | None = Field(default=None, description="id of the licence applied last")
    mode: Mode = Mode.LOCKED
    upload: Upload | None = None
    model: Digest | None = None
    halt: Halt | None = None
    open: tuple[Open, ...] = Field(default=(), max_length=OPEN_REQUESTS_MAX)
    ticket_next: Annotated[int, Field(ge=0)] = 0
    flop_credit: SignedUnits = 0
    """FLOP that requests were charged for and that was not metered yet; below 0, the other way round."""
    challenge: Hex | None = None
    sequence: Annotated[int, Field(ge=0)] = Field(default=0, description="of the next report")
    previous: Digest | None = Field(default=None, description="of the last report's checkpoint")
    events: dict[EventKind, Annotated[int, Field(ge=0, le=COUNT_MAX)]] = Field(default_factory=dict)
    readings: dict[MeterKind, Reading] = Field(default_factory=dict, description="what was used in the period so far")
    held_s: NonNegative = 0.0
    sampled: Sampled = Sampled()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.mode is Mode.HALTED) != (self.halt is not None):
            raise ValueError("halted, and only halted, there is a halt")
        if (self.mode is Mode.UPLOADING) != (self.upload is not None):
            raise ValueError("uploading, and only uploading, there is an upload")
        if self.mode in (Mode.READY, Mode.UPLOADING, Mode.SERVING) and self.ruleset is None:
            raise ValueError("nothing is let through without a ruleset")
        if self.mode is Mode.SERVING and self.model is None:
            raise ValueError("nothing is served without a model")
        if self.ruleset is not None and self.version_max < self.ruleset.version:
            raise ValueError("the ruleset in force is above the highest version")
        if self.distrusted and self.mode is not Mode.HALTED:
            raise ValueError("a distrusted state stays halted")
        return self

    def noted(self, *kinds: EventKind) -> GuardState:
        """With events counted; counts saturate."""
        events = dict(self.events)
        for kind in kinds:
            events[kind] = min(events.get(kind, 0) + 1, COUNT_MAX)
        return self.model_copy(update={"events": events})


def fresh(*, at: Time) -> GuardState:
    """A processor that never ran."""
    return GuardState(time=at, licences=LicenceState())
