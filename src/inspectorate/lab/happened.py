"""From the logs and counters of a run to its ground truth.

Every number comes from a log line of the program that did the work, or from the kernel's counters. A program that
did not say what it did is an error, never a zero.
"""

from __future__ import annotations

import platform
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from inspectorate.errors import EnvironmentError_
from inspectorate.lab.limit import PACED_SHARE
from inspectorate.lab.meter import LinkReading
from inspectorate.lab.network import VERIFIER_IPV4, Link, client_addresses
from inspectorate.lab.scenario import Activity, Kind, Scenario, training_name
from inspectorate.lab.sensors import Sensor
from inspectorate.lab.truth import GroundTruth, InferenceTruth, LinkTruth, OutageTruth, TrainingTruth
from inspectorate.quantities import Period

Events = Callable[[str], list[dict[str, Any]]]
"""The JSON lines of a program, by its name."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the run was asked for, as far as it belongs to the truth."""

    scale: float
    seed: int
    limit_bytes_per_s: float
    relayed: bool


@dataclass(frozen=True, kw_only=True)
class Happened:
    """What was seen of a run while it went on."""

    scenario: Scenario
    start_unix_s: float
    sensors: dict[str, Sensor]
    links: dict[str, Link]
    read_at_unix_s: tuple[float, ...]
    readings: tuple[dict[str, LinkReading], ...]
    silenced: tuple[tuple[str, float, float], ...]
    """Pod, and from when to when its exporter was dead, as wall-clock times."""
    events: Events


def compile_truth(happened: Happened, settings: Settings) -> GroundTruth:
    """The ground truth of a run. Raises `EnvironmentError_` if a program left no account of itself."""
    scenario = happened.scenario
    served = (_inference(pod, happened) for pod in scenario.pods)
    return GroundTruth(
        scenario=scenario.name,
        scale=settings.scale,
        seed=settings.seed,
        period=_period(happened.start_unix_s, happened.start_unix_s + scenario.duration_s),
        limit_bytes_per_s=settings.limit_bytes_per_s,
        links=tuple(_link(pod, happened) for pod in scenario.pods),
        clients=client_addresses(),
        verifier=VERIFIER_IPV4,
        training=tuple(_training(activity, happened, settings) for activity in scenario.training),
        inference=tuple(one for one in served if one is not None),
        outages=tuple(
            OutageTruth(pod=pod, sensor_id=happened.sensors[pod].sensor_id, period=_period(start_s, end_s))
            for pod, start_s, end_s in happened.silenced
        ),
        read_at_unix_s=happened.read_at_unix_s,
        programs={"kernel": platform.release(), "torch": metadata.version("torch")},
    )


def _link(pod: str, happened: Happened) -> LinkTruth:
    sensor, link = happened.sensors[pod], happened.links[pod]
    readings = [reading[pod] for reading in happened.readings]
    return LinkTruth(
        pod=pod,
        ipv4=link.ipv4,
        ipv6=link.ipv6,
        sensor_id=sensor.sensor_id,
        protocol=sensor.protocol,
        port=sensor.port,
        from_pod_bytes=tuple(reading.from_pod.size_bytes for reading in readings),
        from_pod_packets=tuple(reading.from_pod.packets for reading in readings),
        to_pod_bytes=tuple(reading.to_pod.size_bytes for reading in readings),
        to_pod_packets=tuple(reading.to_pod.packets for reading in readings),
    )


def _training(activity: Activity, happened: Happened, settings: Settings) -> TrainingTruth:
    """What one training run did, from the log of its first rank."""
    name = training_name(activity, activity.pods[0])
    events = happened.events(name)
    progress = [event for event in events if event["event"] in ("step", "round")]
    started, done = _only(events, "started", name), _only(events, "done", name)
    if not progress:
        raise EnvironmentError_("trained without a single step", where=name, remedy="use a larger scale")
    low = activity.kind is Kind.LOW_COMMUNICATION
    return TrainingTruth(
        kind=activity.kind,
        pods=activity.pods,
        period=_period(started["at"], done["at"]),
        relayed=low and settings.relayed,
        steps=done["steps"],
        step_s=done["seconds"] / done["steps"],
        loss_first=progress[0]["loss"],
        loss_last=progress[-1]["loss"],
        paced_bytes_per_s=PACED_SHARE * settings.limit_bytes_per_s if low else None,
    )


def _inference(pod: str, happened: Happened) -> InferenceTruth | None:
    """What one pod served, as its clients saw it; nothing if the scenario gives it nothing to serve."""
    periods = happened.scenario.inference_periods(pod)
    if not periods:
        return None
    asked = [e for e in happened.events("clients") if e["event"] == "request" and e["pod"] == pod]
    if not asked:
        raise EnvironmentError_(f"no client asked {pod} for anything", where="clients", remedy="use a larger scale")
    answered = [event for event in asked if event["outcome"] == "ok"]
    return InferenceTruth(
        pod=pod,
        periods=tuple(_period(happened.start_unix_s + a, happened.start_unix_s + b) for a, b in periods),
        requests=len(asked),
        failed=len(asked) - len(answered),
        tokens=sum(event["tokens"] for event in asked),
        answer_s_median=statistics.median(event["seconds"] for event in answered) if answered else 0.0,
    )


def _only(events: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    for event in events:
        if event["event"] == kind:
            return event
    raise EnvironmentError_(f"never reported {kind!r}", where=name, remedy="see its log")


def _period(start_unix_s: float, end_unix_s: float) -> Period:
    return Period(start=datetime.fromtimestamp(start_unix_s, UTC), end=datetime.fromtimestamp(end_unix_s, UTC))
