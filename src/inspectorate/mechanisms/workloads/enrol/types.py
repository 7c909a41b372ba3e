"""The records of a session beside those that a signature is made of (`signature.types`).

- `SessionPlan`: fixed and signed when the session is opened, so that what is enough is settled before anything is recorded.
- `RecordedRun`: one run or contrast that was taken in. It stands in the session's folder only; what the inspector signs of it
  when the session is closed is the `ReferenceRun` within.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from inspectorate.agreement import ApprovedWorkloads
from inspectorate.canonical import Digest, Identifier, Record, Text
from inspectorate.mechanisms.workloads.signature.types import ReferenceRun, WorkloadKindName
from inspectorate.quantities import Positive, Time


class SessionPlan(Record):
    """Which meter is recorded, what is compared, and the clause that says how much is enough."""

    meter: Identifier
    units: tuple[Text, ...] = Field(min_length=1, max_length=1_000_000)
    other_units: tuple[Text, ...] = Field(
        default=(), max_length=1_000_000, description="units of the meter that are not enrolled"
    )
    signals: tuple[Identifier, ...] = Field(min_length=1, max_length=64, description="gauges that are compared")
    step_s: Positive
    silence_s_max: Positive
    agreement: Identifier
    agreement_version: Annotated[int, Field(ge=1)]
    clause: Identifier
    terms: ApprovedWorkloads
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = Field(description="the agreement's assurance_confidence")


class RecordedRun(Record):
    """A run that was taken in, and the segments that it rests on."""

    run: ReferenceRun
    contrast: Identifier | None = None
    kind: WorkloadKindName
    segments: tuple[Digest, ...] = Field(min_length=1, max_length=100_000, description="digests of the envelopes")
    payloads: tuple[Digest, ...] = Field(min_length=1, max_length=100_000)
    recorded_at: Time
    notes: tuple[Text, ...] = Field(default=(), max_length=100)
