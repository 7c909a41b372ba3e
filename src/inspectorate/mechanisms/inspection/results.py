"""What comes of running a packet again, one form for all methods; and the tolerance with which it was judged.

Rules:

- A result says what was compared. What could not be run is `NOT_RUN` and counts as dirty in every bound: else a prover would lose
  the packets that it does not want to show.
- A tolerance is a calibration: it names the stacks, how many honest re-runs stand behind it, and how often an honest packet exceeds
  it. It is agreed by its digest before a draw, and never made from the packets that it judges.
- Every result of a check that is not exact says what the tolerance lets through.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Protocol

from pydantic import Field

from inspectorate.canonical import Digest, Identifier, Record, Text
from inspectorate.evidence import ReplayMethod, WorkKind
from inspectorate.evidence.inspected import DRAWN_MAX, PacketNumber
from inspectorate.mechanisms.inspection.transcripts.types import Stack
from inspectorate.quantities import NonNegative, Positive, Share


class Outcome(StrEnum):
    """What became of one packet."""

    MATCHED = "matched"
    DIFFERED = "differed"
    NOT_RUN = "not-run"


class PacketResult(Record):
    """One packet that was drawn, and what running it again gave."""

    packet: PacketNumber
    outcome: Outcome
    reason: Text
    distance: NonNegative | None = Field(default=None, description="from the committed result, in the method's unit")
    flop_counted: NonNegative | None = Field(default=None, description="by the verifier, while it ran the packet again")
    replayed_s: NonNegative | None = Field(default=None, description="how long it took the verifier")
    tokens: Annotated[int, Field(ge=0)] = 0
    covert_bits_per_token: NonNegative | None = Field(
        default=None, description="that answers within the tolerance could still carry; none: not an inference packet"
    )


class Tolerance(Record):
    """A calibration: how far honest re-runs lie from each other, and where the threshold was put."""

    id: Identifier
    subject: Digest | None = Field(default=None, description="of the program or model on which it was calibrated")
    method: ReplayMethod
    work: WorkKind
    stacks: tuple[Stack, ...] = Field(min_length=1, max_length=64, description="on which honest re-runs were made")
    unit: Text = Field(description="what the distance is")
    threshold: NonNegative
    honest_runs: Annotated[int, Field(ge=1)]
    false_alarm_rate: Share = Field(description="upper bound on how often an honest packet exceeds the threshold")
    confidence: Share = Field(description="with which that bound holds")
    parameters: dict[Identifier, float] = Field(default={}, max_length=64, description="what else the method needs")
    covert_bits_per_token: NonNegative | None = None


class ReplayReport(Record):
    """The subject `results` of a `PacketsReplayed`: one result for each packet that was drawn, in order."""

    run: Identifier
    work: WorkKind
    method: ReplayMethod
    tolerance: Digest | None = Field(default=None, description="none for exact comparison")
    stack: Stack = Field(description="of the verifier")
    speed: Positive | None = Field(
        default=None, description="of the verifier's stack against the prover's, where both were measured on one job"
    )
    chips: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None, description="of the verifier's, that a packet kept busy; none: not counted"
    )
    results: tuple[PacketResult, ...] = Field(min_length=1, max_length=DRAWN_MAX)


class Replayer(Protocol):
    """One way of running packets again: the same call for training and inference, exact or within a tolerance."""

    @property
    def method(self) -> ReplayMethod: ...

    def replay(self, numbers: Sequence[int]) -> tuple[PacketResult, ...]:
        """Run these packets again: one result each, in order. Never raises on what a packet holds."""
        ...
