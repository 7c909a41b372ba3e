"""The time of one step of one given job under a limit: the planner's own formula, for holding it against measurements.

The search (`kernel`) chooses layouts; here the layout is given, and what it computes and sends is known. The time from one
synchronisation to the next is the same function in both places.

Bytes are those that count against the limit, headers and acknowledgements included.
"""

from __future__ import annotations

from pydantic import Field

from inspectorate.canonical import Record
from inspectorate.mechanisms.interconnect.plan import kernel
from inspectorate.mechanisms.interconnect.plan.types import LinkLimit
from inspectorate.quantities import NonNegative, Positive


class GivenJob(Record):
    """What one pod does between two synchronisations."""

    compute_s: NonNegative = Field(description="computing of one inner step, without any link")
    inner_steps: Positive = 1.0
    crossing_bytes: NonNegative = Field(
        default=0.0, description="each way in every inner step, between parts of a model"
    )
    sent_bytes: NonNegative = Field(default=0.0, description="by one synchronisation")
    received_bytes: NonNegative = Field(default=0.0, description="by one synchronisation")
    overlap: bool = Field(description="whether computing goes on meanwhile")


def cycle_s(job: GivenJob, limit: LinkLimit) -> float:
    """Seconds from one synchronisation to the next (`kernel.cycle_s`)."""
    scene = kernel.EMPTY_SCENE._replace(
        sent=limit.sent_bytes_per_s * limit.duty,
        received=limit.received_bytes_per_s * limit.duty,
        round_trip_s=limit.round_trip_s,
    )
    return float(
        kernel.cycle_s(
            job.inner_steps,
            job.compute_s,
            job.crossing_bytes,
            job.sent_bytes,
            job.received_bytes,
            scene,
            job.overlap,
            0.0,
        )
    )
