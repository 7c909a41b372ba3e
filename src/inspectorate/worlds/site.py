"""The declared half of a world: pods, addresses, sensors, and the shape of the load that the site sees."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Address

import numpy as np

from inspectorate.agreement import Agreement, InterconnectLimit, PodIsolation
from inspectorate.declaration import (
    ChipGroup,
    Cluster,
    Declaration,
    Link,
    Pod,
    Reporter,
    Sensor,
    SensorKind,
    Site,
    Wire,
    WorkloadClaim,
    WorkloadKind,
)
from inspectorate.errors import InputError
from inspectorate.keys import Holder
from inspectorate.quantities import Period
from inspectorate.worlds import model

EPOCH = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
"""Worlds begin soon after this time; a multiple of the segment length."""


class Protocol(StrEnum):
    """How a simulated sensor reports."""

    NETFLOW_V9 = "netflow-v9"
    IPFIX = "ipfix"
    SFLOW = "sflow-v5"


@dataclass(frozen=True, kw_only=True)
class SiteSpec:
    """What kind of honest site a world draws. Pairs are ranges of uniform draws; the rest stands in `model`."""

    pods: tuple[int, int] = (model.PODS_MIN, model.PODS_MAX)
    durations_s: tuple[int, ...] = model.DURATION_S
    utilisation: tuple[float, float] = model.UTILISATION
    peak_share: tuple[float, float] = model.PEAK_SHARE
    crowds: tuple[int, int] = (0, model.CROWDS_MAX)
    balanced: bool | None = None
    """Requests dealt out in turn (the most alike that pods can be), or at random by weight; None: either."""
    idle_share: float = model.IDLE_POD_SHARE
    pipelines: tuple[int, int] = (0, 1)
    loss: bool | None = False
    """Whether datagrams of the exporters are lost; None: in some worlds."""
    protocols: tuple[Protocol, ...] = tuple(Protocol)


@dataclass(frozen=True, kw_only=True)
class SimSensor:
    """One sensor and how it errs."""

    id: str
    pod: int
    protocol: Protocol
    gain: float
    """What it counts as a multiple of what passed."""
    clock_offset_ns: int


@dataclass(frozen=True, kw_only=True)
class SimSite:
    """One drawn site. Pods are numbered; their names are `names`."""

    names: tuple[str, ...]
    duration_s: int
    start: datetime
    limit_bytes_per_s: float
    averaging_s: float
    allowance_bytes_per_s: float
    sensors: tuple[SimSensor, ...]
    pipelines: tuple[tuple[int, int], ...]
    idle: tuple[bool, ...]
    balanced: bool
    utilisation: float
    peak_share: float
    crowds: int
    loss: bool

    @property
    def period(self) -> Period:
        return Period(start=self.start, end=self.start + timedelta(seconds=self.duration_s))

    def span(self, start_s: float, end_s: float) -> Period:
        """A stretch of the declared period, given in seconds from its start."""
        origin = self.start
        return Period(start=origin + timedelta(seconds=start_s), end=origin + timedelta(seconds=end_s))


def pod_address(pod: int) -> int:
    """The address of a pod's service, as a number: the first host of its /24."""
    return int(IPv4Address("10.20.0.1")) + 256 * pod


def terms_of(agreement: Agreement) -> tuple[float, float, float]:
    """Limit [B/s], averaging time [s] and isolation allowance [B/s]. Raises `InputError` if there is no limit on pods."""
    limit = next((c.parameters for c in agreement.clauses if isinstance(c.parameters, InterconnectLimit)), None)
    if limit is None:
        raise InputError(
            f"{agreement.id} has no limit on pods", remedy="choose an agreement with an interconnect limit"
        )
    isolation = next((c.parameters for c in agreement.clauses if isinstance(c.parameters, PodIsolation)), None)
    allowance = isolation.allowance_bytes_per_s if isolation else limit.bytes_per_s_max / 100
    return limit.bytes_per_s_max, limit.averaging_s, allowance


def tolerance_of(agreement: Agreement) -> float:
    """The tolerance of the limit for errors of meters."""
    return next(c.parameters.tolerance for c in agreement.clauses if isinstance(c.parameters, InterconnectLimit))


def draw_site(spec: SiteSpec, agreement: Agreement, random: np.random.Generator) -> SimSite:
    """Draw a site. The same generator state always gives the same site."""
    limit, averaging_s, allowance = terms_of(agreement)
    count = int(random.integers(spec.pods[0], spec.pods[1] + 1))
    duration_s = int(random.choice(spec.durations_s))
    names = tuple(f"pod-{number + 1}" for number in range(count))
    idle = random.random(count) < spec.idle_share
    idle[: max(2, count // 2)] = False
    pipelines = int(random.integers(spec.pipelines[0], spec.pipelines[1] + 1))
    order = [int(pod) for pod in random.permutation(count)]
    balanced = bool(random.random() < 0.5) if spec.balanced is None else spec.balanced
    loss = bool(random.random() < 0.3) if spec.loss is None else spec.loss
    return SimSite(
        names=names,
        duration_s=duration_s,
        start=EPOCH + timedelta(seconds=_offset_s(duration_s, int(random.integers(30, 160)))),
        limit_bytes_per_s=limit,
        averaging_s=averaging_s,
        allowance_bytes_per_s=allowance,
        sensors=_draw_sensors(spec, names, tolerance_of(agreement), random),
        pipelines=tuple((order[2 * k], order[2 * k + 1]) for k in range(min(pipelines, count // 2))),
        idle=tuple(bool(value) for value in idle),
        balanced=balanced,
        utilisation=float(random.uniform(*spec.utilisation)),
        peak_share=float(random.uniform(*spec.peak_share)),
        crowds=int(random.integers(spec.crowds[0], spec.crowds[1] + 1)),
        loss=loss,
    )


def _offset_s(duration_s: int, wanted_s: int) -> int:
    """When the period begins, so that no segment lies wholly before or after it: it would count as out of period."""
    for offset_s in range(wanted_s, wanted_s + int(model.SEGMENT_S)):
        begins_in = offset_s % model.SEGMENT_S > model.LEAD_S
        ends_in = (offset_s + duration_s + model.TAIL_S) % model.SEGMENT_S > model.TAIL_S + 1
        if begins_in and ends_in:
            return offset_s
    raise AssertionError("segments are shorter than lead and tail together")


def _draw_sensors(
    spec: SiteSpec, names: tuple[str, ...], tolerance: float, random: np.random.Generator
) -> tuple[SimSensor, ...]:
    kinds = spec.protocols
    first = int(random.integers(len(kinds)))
    placed = [(f"flows-{name}", pod, kinds[(first + pod) % len(kinds)]) for pod, name in enumerate(names)]
    second = int(random.integers(len(names)))
    if random.random() < model.SECOND_SENSOR_SHARE and len(kinds) > 1:
        placed.append((f"flows-{names[second]}-b", second, kinds[(first + second + 1) % len(kinds)]))
    error = tolerance * model.METER_GAIN_SHARE
    gains = 1 + random.uniform(-error, error, size=len(placed))
    clocks = random.uniform(-model.CLOCK_OFFSET_S, model.CLOCK_OFFSET_S, size=len(placed)) * model.NS_PER_S
    return tuple(
        SimSensor(id=name, pod=pod, protocol=kind, gain=float(gain), clock_offset_ns=int(clock))
        for (name, pod, kind), gain, clock in zip(placed, gains, clocks, strict=True)
    )


def declare(
    site: SimSite,
    agreement: Agreement,
    period: Period,
    *,
    reporters: tuple[Reporter, ...] = (),
    cabling: tuple[Wire, ...] = (),
) -> Declaration:
    """What the operator of the site declares for a period: inference everywhere, and its pipelines."""
    peers: dict[int, list[str]] = {pod: [] for pod in range(len(site.names))}
    for one, other in site.pipelines:
        peers[one].append(site.names[other])
        peers[other].append(site.names[one])
    pods = tuple(
        Pod(
            id=name,
            chips=(ChipGroup(model=model.CHIP, count=model.CORES_PER_POD),),
            networks=(f"{IPv4Address(pod_address(pod) - 1)}/24",),
            peers=tuple(peers[pod]),
        )
        for pod, name in enumerate(site.names)
    )
    sensors = tuple(
        Sensor(
            id=sensor.id,
            kind=SensorKind.FLOW_EXPORT,
            holder=Holder.VERIFIER,
            pod=site.names[sensor.pod],
            silence_s_max=model.SILENCE_S_MAX,
            active_timeout_s=model.ACTIVE_TIMEOUT_S,
            sampling_rate=model.SAMPLING_RATE if sensor.protocol is Protocol.SFLOW else 1,
        )
        for sensor in site.sensors
    )
    return Declaration(
        id="simulated-site",
        party=agreement.parties[0],
        period=period,
        sites=(
            Site(
                id="simulated",
                location="nowhere: a simulated site",
                clusters=(Cluster(id="cluster", pods=pods),),
                links=tuple(Link(pod=name, bytes_per_s_max=model.LINK_BYTES_PER_S) for name in site.names),
                sensors=sensors,
                reporters=reporters,
                cabling=cabling,
            ),
        ),
        claims=(
            WorkloadClaim(
                id="serving",
                kind=WorkloadKind.INFERENCE,
                pods=site.names,
                period=period,
                description="serves language models to clients outside",
            ),
        ),
    )
