"""Quantities with their units and bounds.

- A time is an aware `datetime` in UTC between 1970 and 2200; inside kernels, int64 nanoseconds since 1970 (`*_ns`).
- A `Period` is half open: it holds its start and not its end.
- A `Bounds` is a lower bound, an estimate and an upper bound of one quantity. A bound that is not known is not a
  number: do not build a `Bounds`, say that nothing was observed.
- FLOP counts are plain floats, in FLOP; a FLOP/s is named `flop_per_s`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from inspectorate.canonical import Record

H100_EQUIVALENT_FLOP_PER_S = 990e12
"""FP16 dense FLOP/s of one H100-equivalent (arXiv 2511.10783, Art. II para. 15)."""
H100_EQUIVALENT_TPP = 15_840.0
"""Total processing performance of one H100-equivalent: 990 TFLOP/s x 16 bit (arXiv 2511.10783, Art. II para. 15)."""
PERIOD_INTERVALS_MAX = 1_000_000
"""A review of more intervals than this is refused: it would be ten years of five-minute intervals."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME_END = datetime(2200, 1, 1, tzinfo=UTC)


def _in_utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("needs a time zone; write 2026-11-24T00:00:00Z")
    # Beyond these years a time no longer fits into 64-bit nanoseconds, or has no form in UTC at all.
    if not _EPOCH <= value < _TIME_END:
        raise ValueError("must lie between the years 1970 and 2200")
    return value.astimezone(UTC)


Time = Annotated[datetime, AfterValidator(_in_utc)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


def to_ns(time: datetime) -> int:
    """Nanoseconds since 1970 of an aware time, exactly."""
    since = time - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000


def from_ns(ns: int) -> datetime:
    """The time of nanoseconds since 1970, to the microsecond below."""
    return _EPOCH + timedelta(microseconds=ns // 1_000)


class Period(Record):
    """A half-open stretch of time [start, end)."""

    start: Time
    end: Time

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.end <= self.start:
            raise ValueError("a period must end after it starts")
        return self

    @property
    def duration_s(self) -> float:
        return (self.end - self.start).total_seconds()

    def contains(self, time: datetime) -> bool:
        return self.start <= time < self.end

    def covers(self, other: Period) -> bool:
        return self.start <= other.start and other.end <= self.end

    def overlaps(self, other: Period) -> bool:
        return self.start < other.end and other.start < self.end

    def intersection(self, other: Period) -> Period | None:
        if not self.overlaps(other):
            return None
        return Period(start=max(self.start, other.start), end=min(self.end, other.end))

    def intervals(self, interval_s: float) -> tuple[Period, ...]:
        """Cut the period into intervals of `interval_s`; the last may be shorter. There is at least one.

        Raises `ValueError` if there are too many, or if they are shorter than the microsecond that a time resolves.
        """
        if not 1e-6 <= interval_s < math.inf:
            raise ValueError("an interval must be finite, and at least one microsecond long")
        if self.duration_s / interval_s > PERIOD_INTERVALS_MAX:
            raise ValueError(f"more than {PERIOD_INTERVALS_MAX} intervals; use a longer interval")
        count = max(1, math.ceil(self.duration_s / interval_s - 1e-9))
        edges = [self.start + timedelta(seconds=interval_s * i) for i in range(count)] + [self.end]
        return tuple(Period(start=a, end=b) for a, b in itertools.pairwise(edges))

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d %H:%M:%S} to {self.end:%Y-%m-%d %H:%M:%S} UTC"


class Bounds(Record):
    """A quantity known to lie between `lower` and `upper`, with an estimate between them. The unit is in the name of
    the field that holds it."""

    lower: NonNegative
    estimate: NonNegative
    upper: NonNegative

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.lower <= self.estimate <= self.upper:
            raise ValueError("must have lower <= estimate <= upper")
        return self


def merge_periods(periods: tuple[Period, ...]) -> tuple[Period, ...]:
    """The same stretch of time as `periods`, sorted, with touching and overlapping ones joined."""
    merged: list[Period] = []
    for period in sorted(periods, key=lambda p: (p.start, p.end)):
        if merged and period.start <= merged[-1].end:
            merged[-1] = Period(start=merged[-1].start, end=max(merged[-1].end, period.end))
        else:
            merged.append(period)
    return tuple(merged)


def uncovered(covered: Iterable[Period], period: Period) -> list[Period]:
    """The parts of a period that none of `covered` covers, in order."""
    found = []
    at = period.start
    for part in merge_periods(tuple(part for one in covered if (part := one.intersection(period)))):
        if part.start > at:
            found.append(Period(start=at, end=part.start))
        at = part.end
    if at < period.end:
        found.append(Period(start=at, end=period.end))
    return found
