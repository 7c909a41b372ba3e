"""Predicates of enrolment: an inspector with code access saw a workload run, and recorded what it looks like."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import Field, model_validator

from inspectorate.canonical import Digest, Identifier
from inspectorate.evidence.predicate import Inspection
from inspectorate.quantities import Period, Time


class Enrolment(Inspection):
    """What an inspector says of one enrolment session: which workload, on which pods."""

    session: Identifier
    workload: Identifier
    pods: tuple[Identifier, ...] = Field(min_length=1, max_length=20_000)


class EnrolmentOpened(Enrolment):
    """An inspector with code access saw what runs. The subject is the manifest: hardware, software, operating range."""

    code: Digest = Field(description="digest of the code and configuration that the inspector read")
    opened_at: Time

    @property
    def times(self) -> tuple[datetime, ...]:
        return (self.opened_at,)


class WorkloadEnrolled(Enrolment):
    """The inspector closes the session. The subject is the workload signature that came of the recorded references."""

    opened: Digest = Field(description="digest of the envelope that opened the session")
    code: Digest
    period: Period = Field(description="from the opening to the closing of the session")
    references: tuple[Digest, ...] = Field(
        min_length=1,
        max_length=100_000,
        description="digests of the payloads of telemetry on which the signature rests",
    )
    valid_until: Time

    @property
    def times(self) -> tuple[datetime, ...]:
        return self.period.start, self.period.end

    @model_validator(mode="after")
    def _valid_forward(self) -> Self:
        if self.valid_until <= self.period.end:
            raise ValueError("a workload signature must be valid beyond the end of its session")
        return self
