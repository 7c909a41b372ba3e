"""The ground truth of a run: what happened, kept apart from the evidence and used only to score what is found.

Byte counts are cumulative interface counters, read once a second; `LinkTruth.bytes_between` interpolates between two
readings. `GroundTruth.rows` is the table that `inspectorate lab run` prints.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import numpy as np
from pydantic import Field

from inspectorate.canonical import Identifier, Record, Text, parse_json
from inspectorate.errors import EvidenceError, InputError
from inspectorate.lab.limit import PEAK_INTERVAL_S
from inspectorate.lab.scenario import Kind
from inspectorate.lab.sensors import Protocol
from inspectorate.quantities import NonNegative, Period, Positive


class Direction(StrEnum):
    """Which way bytes cross a pod's link."""

    FROM_POD = "from-pod"
    TO_POD = "to-pod"


class LinkTruth(Record):
    """One pod, its addresses, its sensor, and the counters of its link at `GroundTruth.read_at_unix_s`."""

    pod: Identifier
    ipv4: str
    ipv6: str
    sensor_id: Identifier
    protocol: Protocol
    port: int
    from_pod_bytes: tuple[int, ...]
    from_pod_packets: tuple[int, ...]
    to_pod_bytes: tuple[int, ...]
    to_pod_packets: tuple[int, ...]

    def counted(self, direction: Direction) -> tuple[int, ...]:
        """The cumulative byte counter of one direction."""
        return self.from_pod_bytes if direction is Direction.FROM_POD else self.to_pod_bytes


class TrainingTruth(Record):
    """A training run: who, when, how it went. Times are those at which it really started and ended."""

    kind: Kind
    pods: tuple[Identifier, ...]
    period: Period
    relayed: bool = False
    steps: int
    step_s: NonNegative = Field(description="mean wall time of a step, communication included")
    loss_first: NonNegative
    loss_last: NonNegative
    paced_bytes_per_s: Positive | None = None


class InferenceTruth(Record):
    """What one pod served."""

    pod: Identifier
    periods: tuple[Period, ...]
    requests: int
    failed: int
    tokens: int
    answer_s_median: NonNegative


class OutageTruth(Record):
    """When an exporter was dead."""

    pod: Identifier
    sensor_id: Identifier
    period: Period


class GroundTruth(Record):
    """Everything the bench knows about a run."""

    scenario: Identifier
    scale: Positive
    seed: int
    period: Period
    limit_bytes_per_s: Positive
    links: tuple[LinkTruth, ...] = Field(min_length=1)
    clients: tuple[str, ...]
    verifier: str
    training: tuple[TrainingTruth, ...]
    inference: tuple[InferenceTruth, ...]
    outages: tuple[OutageTruth, ...]
    read_at_unix_s: tuple[float, ...] = Field(min_length=2)
    programs: dict[str, Text]

    @classmethod
    def read(cls, path: Path) -> GroundTruth:
        """Read a `truth.json`. Raises `InputError`."""
        try:
            data = path.read_bytes()
        except OSError as fault:
            raise InputError(f"cannot be read: {fault.strerror}", where=str(path)) from None
        try:
            return cls.parse(parse_json(data, where=str(path)), where=str(path), error=InputError)
        except EvidenceError as fault:
            raise InputError(fault.problem, where=str(path)) from None

    def link(self, pod: str) -> LinkTruth:
        """One pod's link. Raises `InputError` if there is no such pod."""
        for link in self.links:
            if link.pod == pod:
                return link
        raise InputError(f"{pod} is no pod of this run", where="truth")

    def bytes_between(self, pod: str, direction: Direction, start_unix_s: float, end_unix_s: float) -> float:
        """Bytes that crossed a pod's link in one direction, interpolated between readings.

        Raises `InputError` on a stretch that was not measured whole.
        """
        if not self.read_at_unix_s[0] <= start_unix_s < end_unix_s <= self.read_at_unix_s[-1]:
            raise InputError("asks for a time that was not measured", where="truth")
        counted = self.link(pod).counted(direction)
        edges = np.interp([start_unix_s, end_unix_s], self.read_at_unix_s, counted)
        return float(edges[1] - edges[0])

    def rates(self, pod: str, direction: Direction, period: Period, interval_s: float) -> tuple[float, ...]:
        """Mean bytes/s in each whole interval of a period; the whole period is one interval if it is shorter."""
        start_s, end_s = period.start.timestamp(), period.end.timestamp()
        count = max(1, int((end_s - start_s) / interval_s))
        width_s = min(interval_s, end_s - start_s)
        begins = [start_s + i * width_s for i in range(count)]
        return tuple(self.bytes_between(pod, direction, at, at + width_s) / width_s for at in begins)

    def honest_peak_bytes_per_s(self) -> float:
        """The busiest ten seconds of inference on any link in either direction; zero if nothing was served."""
        return max(
            (
                max(self.rates(served.pod, direction, period, PEAK_INTERVAL_S))
                for served in self.inference
                for period in served.periods
                for direction in Direction
            ),
            default=0.0,
        )

    def rows(self) -> tuple[TrafficRow, ...]:
        """Mean and peak rates of every pod, for each thing it did."""
        done = [(r.kind, pod, r.period) for r in self.training for pod in r.pods]
        done += [(Kind.INFERENCE, served.pod, period) for served in self.inference for period in served.periods]
        rows = []
        for kind, pod, period in sorted(done, key=lambda item: (item[1], item[2].start)):
            out = self.rates(pod, Direction.FROM_POD, period, PEAK_INTERVAL_S)
            into = self.rates(pod, Direction.TO_POD, period, PEAK_INTERVAL_S)
            rows.append(
                TrafficRow(
                    pod=pod,
                    kind=kind,
                    start_s=(period.start - self.period.start).total_seconds(),
                    end_s=(period.end - self.period.start).total_seconds(),
                    from_pod_bytes_per_s=float(np.mean(out)),
                    from_pod_bytes_per_s_max=max(out),
                    to_pod_bytes_per_s=float(np.mean(into)),
                    to_pod_bytes_per_s_max=max(into),
                )
            )
        return tuple(rows)


class TrafficRow(Record):
    """Rates on one link while its pod did one thing; `_max` is the busiest ten seconds. Times are from the start."""

    pod: Identifier
    kind: Kind
    start_s: float
    end_s: float
    from_pod_bytes_per_s: NonNegative
    from_pod_bytes_per_s_max: NonNegative
    to_pod_bytes_per_s: NonNegative
    to_pod_bytes_per_s_max: NonNegative
