"""What a source of telemetry is.

- `poll` gives all its units now, or raises an error of ours; a poll that failed leaves nothing but a count.
- A field that a unit does not have, or refuses, is absent (NaN in `Samples`), never 0. A unit that does not answer has no row.
- Sentinels, resets and jumps are left as they came, for the reader to name.
- The time of a row is when its answer was there. An exporter's page is kept as it came (`Scrape`), with the time at which it was
  asked for and how long it took: what it shows is of that stretch, or older if the exporter keeps values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from inspectorate.declaration import MeasuringPoint
from inspectorate.mechanisms.workloads.telemetry.frame import Samples


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a source before it is asked."""

    name: str
    point: MeasuringPoint
    signals: tuple[str, ...]
    """What it can show at most; what it does show its units say."""
    bandwidth_hz: float | None
    """What it still sees of a change; None: not known."""
    note: str


@dataclass(frozen=True, kw_only=True)
class Scrape:
    """A page of an exporter as it came: asked for at `time_ns`, there `took_ns` later."""

    time_ns: int
    took_ns: int
    text: bytes


class Source(Protocol):
    """Something that can be asked for its units."""

    @property
    def facts(self) -> Facts: ...

    def poll(self) -> Samples | Scrape:
        """All its units now. Raises `EnvironmentError_` or `EvidenceError`."""
        ...

    def close(self) -> None: ...


class Rows:
    """Samples while they are gathered, one row per unit."""

    def __init__(self, signals: tuple[str, ...]) -> None:
        self._signals = signals
        self._units: dict[str, int] = {}
        self._times: list[int] = []
        self._unit: list[int] = []
        self._values: list[list[float]] = []

    def add(self, unit: str, time_ns: int, values: Mapping[str, float]) -> None:
        """A row of a unit; one without any value is none."""
        row = [values.get(signal, math.nan) for signal in self._signals]
        if all(math.isnan(value) for value in row):
            return
        self._times.append(time_ns)
        self._unit.append(self._units.setdefault(unit, len(self._units)))
        self._values.append(row)

    def samples(self) -> Samples:
        return Samples(
            units=tuple(self._units),
            signals=self._signals,
            time_ns=np.array(self._times, dtype=np.int64),
            unit=np.array(self._unit, dtype=np.int32),
            values=np.array(self._values, dtype=np.float64).reshape(len(self._times), len(self._signals)),
        )
