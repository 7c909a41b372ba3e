"""What happens on the bench, when: scenarios as data, without clocks or processes.

Rules:

- A scenario is a list of activities (which pods do what, from when to when) and of outages (whose exporter is silenced
  from when to when). Times are seconds from the start of the scenario. A pod that nobody mentions is idle.
- Training takes a pod alone: it overlaps with nothing else on that pod.
- `honest` is `site` with the training removed and nothing else changed. What is then no longer found was found because
  of the training.
- Scaling multiplies every time by one factor. Rates are not scaled.

Not done here: running it (`bench.py`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from inspectorate.errors import InputError

PODS = ("pod-a", "pod-b", "pod-c", "pod-d", "pod-e", "pod-f")
SCALE_MIN, SCALE_MAX = 0.08, 4.0
DURATION_S_MAX = 3600.0


class Kind(StrEnum):
    """What a pod does."""

    INFERENCE = "inference"
    """Serves a language model to clients outside."""
    DATA_PARALLEL = "data-parallel-training"
    """One training run across pods, gradients summed at every step (torch DistributedDataParallel over gloo)."""
    LOW_COMMUNICATION = "low-communication-training"
    """One training run across pods, synchronised rarely, compressed and paced to stay below the limit (DiLoCo)."""


TRAINING = frozenset({Kind.DATA_PARALLEL, Kind.LOW_COMMUNICATION})


@dataclass(frozen=True, kw_only=True)
class Activity:
    """`pods` do `kind` together during [start_s, end_s)."""

    kind: Kind
    pods: tuple[str, ...]
    start_s: float
    end_s: float


@dataclass(frozen=True, kw_only=True)
class Outage:
    """The exporter on a pod's link says nothing during [start_s, end_s), while the pod goes on."""

    pod: str
    start_s: float
    end_s: float


class Change(StrEnum):
    """What a moment of the scenario asks for."""

    START = "start"
    END = "end"
    SILENCE = "silence"
    RESTORE = "restore"


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One change, at a time of the scenario."""

    at_s: float
    change: Change
    subject: Activity | Outage


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A scenario, checked when it is built. Raises `InputError` on anything that cannot be run."""

    name: str
    pods: tuple[str, ...]
    duration_s: float
    activities: tuple[Activity, ...]
    outages: tuple[Outage, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.duration_s <= DURATION_S_MAX:
            raise InputError(f"lasts {self.duration_s} s, not between 0 and {DURATION_S_MAX:.0f}", where=self.name)
        for activity in self.activities:
            self._check_period(activity.start_s, activity.end_s, f"{activity.kind} on {', '.join(activity.pods)}")
            self._check_pods(activity)
        for outage in self.outages:
            self._check_period(outage.start_s, outage.end_s, f"outage on {outage.pod}")
            if outage.pod not in self.pods:
                raise InputError(f"{outage.pod} is no pod of this scenario", where=self.name)
        self._check_overlaps()

    def _check_period(self, start_s: float, end_s: float, what: str) -> None:
        if not 0 <= start_s < end_s <= self.duration_s:
            raise InputError(f"{what}: [{start_s}, {end_s}) is not inside of [0, {self.duration_s})", where=self.name)

    def _check_pods(self, activity: Activity) -> None:
        unknown = set(activity.pods) - set(self.pods)
        if unknown or not activity.pods or len(set(activity.pods)) != len(activity.pods):
            raise InputError(f"{activity.kind} names the pods {activity.pods}", where=self.name)
        if activity.kind in TRAINING and len(activity.pods) < 2:
            raise InputError(f"{activity.kind} needs two pods or more", where=self.name)

    def _check_overlaps(self) -> None:
        for one, other in itertools.combinations(self.activities, 2):
            shared = set(one.pods) & set(other.pods)
            if shared and one.start_s < other.end_s and other.start_s < one.end_s:
                raise InputError(f"{one.kind} and {other.kind} overlap on {sorted(shared)}", where=self.name)

    @property
    def training(self) -> tuple[Activity, ...]:
        """The activities that train, in order of their start."""
        return tuple(sorted((a for a in self.activities if a.kind in TRAINING), key=lambda a: a.start_s))

    def inference_periods(self, pod: str) -> tuple[tuple[float, float], ...]:
        """When a pod serves, in seconds from the start."""
        serving = (a for a in self.activities if a.kind is Kind.INFERENCE and pod in a.pods)
        return tuple(sorted((a.start_s, a.end_s) for a in serving))

    def moments(self) -> tuple[Moment, ...]:
        """The changes that the bench has to make, in order. Inference is driven by its clients and makes none.

        Ends come before starts at the same time, so that a pod is free before it is used again.
        """
        found = [
            Moment(at_s=at_s, change=change, subject=activity)
            for activity in self.training
            for at_s, change in ((activity.start_s, Change.START), (activity.end_s, Change.END))
        ] + [
            Moment(at_s=at_s, change=change, subject=outage)
            for outage in self.outages
            for at_s, change in ((outage.start_s, Change.SILENCE), (outage.end_s, Change.RESTORE))
        ]
        order = (Change.END, Change.RESTORE, Change.SILENCE, Change.START)
        return tuple(sorted(found, key=lambda m: (m.at_s, order.index(m.change))))

    def scaled(self, factor: float) -> Scenario:
        """The same scenario with all times multiplied. Raises `InputError` outside of what can be run sensibly."""
        if not SCALE_MIN <= factor <= SCALE_MAX:
            raise InputError(f"a scale of {factor} is not between {SCALE_MIN} and {SCALE_MAX}", where="scale")

        def times(item: Activity) -> Activity:
            return replace(item, start_s=item.start_s * factor, end_s=item.end_s * factor)

        return replace(
            self,
            duration_s=self.duration_s * factor,
            activities=tuple(times(activity) for activity in self.activities),
            outages=tuple(replace(o, start_s=o.start_s * factor, end_s=o.end_s * factor) for o in self.outages),
        )


def site() -> Scenario:
    """Six pods for twelve minutes: honest inference, two kinds of training across pods, and one silenced exporter.

    The two training runs do not overlap: they share the cores of one machine.
    """
    return Scenario(
        name="site",
        pods=PODS,
        duration_s=720,
        activities=(
            *_serve([("pod-a", 0, 720), ("pod-b", 250, 720), ("pod-c", 250, 720)]),
            *_serve([("pod-d", 0, 225), ("pod-e", 0, 225), ("pod-f", 0, 720)]),
            Activity(kind=Kind.DATA_PARALLEL, pods=("pod-b", "pod-c"), start_s=60, end_s=220),
            Activity(kind=Kind.LOW_COMMUNICATION, pods=("pod-d", "pod-e"), start_s=240, end_s=660),
        ),
        outages=(Outage(pod="pod-f", start_s=300, end_s=420),),
    )


def honest() -> Scenario:
    """`site` without its training: the same pods, clients and outage."""
    whole = site()
    kept = tuple(activity for activity in whole.activities if activity.kind not in TRAINING)
    return replace(whole, name="honest", activities=kept)


def calibrate() -> Scenario:
    """Honest inference on every pod and nothing else: what the limit is derived from."""
    return Scenario(name="calibrate", pods=PODS, duration_s=600, activities=_serve([(pod, 0, 600) for pod in PODS]))


SCENARIOS: dict[str, Callable[[], Scenario]] = {"site": site, "honest": honest, "calibrate": calibrate}
"""The scenarios by name."""


def by_name(name: str) -> Scenario:
    """A scenario by its name. Raises `InputError`."""
    if name not in SCENARIOS:
        raise InputError(f"{name!r} is no scenario", where="scenario", remedy=f"one of {', '.join(SCENARIOS)}")
    return SCENARIOS[name]()


def training_name(activity: Activity, pod: str) -> str:
    """The name under which a pod's part of a training run is started and logged."""
    return f"train-{activity.kind}-{pod}"


def _serve(periods: Iterable[tuple[str, float, float]]) -> tuple[Activity, ...]:
    return tuple(
        Activity(kind=Kind.INFERENCE, pods=(pod,), start_s=start_s, end_s=end_s) for pod, start_s, end_s in periods
    )
