"""What a workload signature is: who enrolled what, on which hardware, under which conditions, and the telemetry of it.

A signature has two parts, both subjects of one signed `WorkloadEnrolled`:

- this record, as canonical JSON: the manifest, the runs with their conditions, and how it is to be compared;
- the reference telemetry: one Parquet table (`telemetry.table`) with the samples of all runs and contrasts.

Features and thresholds are not stored: they are computed from the reference telemetry whenever it is used, by a version of
the features that the record names. So nobody has to believe a number that came with the evidence.

- A *run* is one start of the workload, recorded from its beginning. Windows of one run are not independent; runs are the unit
  of calibration, and must be separate starts under conditions that cover the operating range.
- A *contrast* is another thing that the same chips can do, recorded in the same session: idling, and training as hard as
  they can. Contrasts say what the meters would show of a violation; they bound what could be hidden.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from inspectorate.canonical import Digest, Identifier, Record, Text
from inspectorate.quantities import Period, Positive, Time

RUNS_MAX = 10_000
WorkloadKindName = Literal["inference", "training", "idle", "other"]


class Condition(Record):
    """One quantity of the operating range and the range for which the workload is approved, such as `load` from 0 to 1."""

    name: Identifier
    least: float
    most: float

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.least <= self.most:
            raise ValueError("a range must not be empty")
        return self


class Manifest(Record):
    """What the inspector saw when the session was opened: the subject of `EnrolmentOpened`."""

    session: Identifier
    workload: Identifier
    kind: WorkloadKindName
    description: Text
    pods: tuple[Identifier, ...] = Field(min_length=1)
    chip: Identifier = Field(description="the model of the chips, as the catalogue calls it")
    chips: Annotated[int, Field(ge=1)] = Field(description="how many in each pod")
    hardware: tuple[Text, ...] = Field(default=(), max_length=1000, description="serials, firmware, power limits")
    software: tuple[Text, ...] = Field(default=(), max_length=1000, description="name and version, one a line")
    code: Digest
    operating_range: tuple[Condition, ...] = Field(default=(), max_length=32)


class Setting(Record):
    """What one condition was during one run."""

    name: Identifier
    value: float


class ReferenceRun(Record):
    """One recorded run of the workload, or of a contrast."""

    id: Identifier
    period: Period
    settings: tuple[Setting, ...] = Field(default=(), max_length=32)


class Contrast(Record):
    """Something else that the same chips can do."""

    name: Identifier
    kind: WorkloadKindName
    runs: tuple[ReferenceRun, ...] = Field(min_length=1, max_length=RUNS_MAX)


class WorkloadSignature(Record):
    """The record of an enrolled workload (the telemetry kind of signature, not a cryptographic one)."""

    manifest: Manifest
    meter: Identifier = Field(description="the declared meter whose telemetry this is")
    units: tuple[Text, ...] = Field(min_length=1, max_length=1_000_000)
    signals: tuple[Identifier, ...] = Field(min_length=1, max_length=64, description="gauges that are compared")
    step_s: Positive
    window_s: Positive
    features_version: Annotated[int, Field(ge=1)]
    runs: tuple[ReferenceRun, ...] = Field(min_length=1, max_length=RUNS_MAX)
    contrasts: tuple[Contrast, ...] = Field(default=(), max_length=100)
    reference: Digest = Field(description="digest of the reference telemetry")
    enrolled_at: Time
    valid_until: Time

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [run.id for run in (*self.runs, *(run for contrast in self.contrasts for run in contrast.runs))]
        if len(set(names)) != len(names):
            raise ValueError("a run is named twice")
        if self.valid_until <= self.enrolled_at:
            raise ValueError("a signature must be valid for some time")
        return self

    @property
    def workload(self) -> str:
        return self.manifest.workload
