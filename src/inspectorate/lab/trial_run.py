"""Run trials: two pods and clients behind a gateway, limits set and lifted, times and bytes measured.

1. The network; a process in every namespace, through which counters are read.
2. The link without a limit: its rate and its round trip.
3. Per trial: the workers start, calibrate, and wait. For each segment the limit is set, counters are read, the workers
   are told to go; when they have measured, counters are read again and the limit is lifted.
4. A trial that was disturbed by other programs is repeated once, and the less disturbed attempt is kept.

Everything is ended and removed on leaving the context, as in `network` and `processes`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from inspectorate.errors import EnvironmentError_
from inspectorate.lab.bench import _interrupted_once
from inspectorate.lab.meter import LinkReading, read_links
from inspectorate.lab.network import CLIENTS, GATEWAY, Network, check_tools, remove_leftovers
from inspectorate.lab.processes import Processes
from inspectorate.lab.shaping import Enforce, PodLimit, shape
from inspectorate.lab.trial import FRAME_OVERHEAD_BYTES, SEGMENT_BYTES, Bytes, Method, Trial, wire
from inspectorate.lab.trial_machine import busy_s, own_s, put_first
from inspectorate.lab.trial_result import (
    Calibration,
    LinkSpeed,
    Measured,
    Result,
    computing_s,
    medians,
    result,
    spread,
)

PODS = ("pod-a", "pod-b")
PORT = 29500
READY_LIMIT_S = 180.0
SEGMENT_LIMIT_S = 600.0
SESSION_LIMIT_S = 4 * 3600.0
ATTEMPTS_MAX = 2
SETTLE_S = 5.0
SEED = 1
_POLL_S = 0.05

WORKERS: dict[Method, tuple[str, str]] = {
    Method.DATA_PARALLEL: ("work_trial_ddp", "work_trial_ddp"),
    Method.LOW_COMMUNICATION: ("work_trial_rounds", "work_trial_rounds"),
    Method.PIPELINE: ("work_trial_pipeline", "work_trial_pipeline"),
    Method.INFERENCE: ("work_trial_serve", "work_trial_ask"),
}
"""The programs of the first and of the second end. The second is the other pod; for inference the clients."""

Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Segment:
    """So many steps under one limit, each way; `None` is no limit."""

    steps: int
    limit_bytes_per_s: float | None


@dataclass(frozen=True, kw_only=True)
class Job:
    """A trial as it is run: its segments, how often it calibrates around each, and when requests are sent."""

    trial: Trial
    segments: tuple[Segment, ...]
    calibrations: int = 3
    gaps_s: tuple[float, ...] = ()

    @classmethod
    def of(cls, trial: Trial, *, calibrations: int = 3) -> Job:
        """The trial as it stands: one segment under its own limit."""
        only = Segment(steps=trial.steps, limit_bytes_per_s=trial.limit_bytes_per_s)
        return cls(trial=trial, segments=(only,), calibrations=calibrations)


@dataclass(frozen=True, kw_only=True)
class Clocked:
    """Counters, processor time and load at one moment."""

    at_s: float
    sent: LinkReading
    delivered: LinkReading
    busy_s: float
    own_s: float


class Trials:
    """The bench of the trials, as a context."""

    def __init__(self, folder: Path, progress: Progress, *, enforce: Enforce = shape) -> None:
        self._folder, self._progress, self._enforce = folder, progress, enforce
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        check_tools()
        if importlib.util.find_spec("torch") is None:
            raise EnvironmentError_("torch is missing", remedy="pip install torch==2.13.0 (see docs/lab.md)")
        remove_leftovers()
        with ExitStack() as building:
            building.enter_context(_interrupted_once())
            self._network = building.enter_context(Network(PODS))
            logs = self._folder / "session"
            self._keepers = building.enter_context(Processes(logs, lifetime_s=SESSION_LIMIT_S))
            for node in (GATEWAY, *PODS):
                argv = ["sleep", str(int(SESSION_LIMIT_S))]
                self._keepers.start(f"keep-{node}", argv, prefix=self._network.inside(node, []))
            self._link = self._measure_link()
            self._stack = building.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def link(self) -> LinkSpeed:
        return self._link

    def measure(self, trial: Trial, *, calibrations: int = 3) -> Result:
        """Run a trial, again if it was disturbed. Raises `EnvironmentError_` if a worker fails or takes too long."""
        best: Result | None = None
        for attempt in range(1, ATTEMPTS_MAX + 1):
            measured = self.run(Job.of(trial, calibrations=calibrations), attempt=attempt)[0]
            if best is None or measured.measured.other_cores < best.measured.other_cores or not measured.disturbed:
                best = measured
            if not measured.disturbed:
                break
        assert best is not None
        return best

    def run(self, job: Job, *, attempt: int = 1) -> tuple[Result, ...]:
        """Run a job once: one result per segment."""
        trial = job.trial
        folder = self._folder / "workers" / f"{trial.name}-{attempt}-{time.time_ns()}"
        with Processes(folder, lifetime_s=SESSION_LIMIT_S) as processes:
            run = _Run(job, folder, self._network, processes, self._keepers)
            run.start()
            found = []
            for number, segment in enumerate(job.segments):
                limit = segment.limit_bytes_per_s
                held = "no limit" if limit is None else f"{limit:,.0f} bytes/s"
                self._progress(f"{trial.name}: calibrating")
                run.wait("calibrated", number, READY_LIMIT_S)
                self._progress(f"{trial.name}: {segment.steps} steps, {held}")
                limits = {pod: None if limit is None else PodLimit.both(limit) for pod in PODS}
                self._enforce(self._network, limits)
                before = run.clock()
                (folder / f"go-{number}").touch()
                run.wait("measured", number, _limit_s(trial, segment))
                found.append((before, run.clock()))
                self._enforce(self._network, dict.fromkeys(PODS))
                (folder / f"done-{number}").touch()
            run.wait("calibrated", len(job.segments), READY_LIMIT_S)
            run.wait("done", None, READY_LIMIT_S)
            return tuple(
                run.compile(number, clocks, self._link, attempt=attempt) for number, clocks in enumerate(found)
            )

    def carry(self, job: Job, *, seconds: float) -> float:
        """Start a job whose step would take too long, and see what crosses: bytes/s from the first pod, delivered."""
        segment = job.segments[0]
        assert segment.limit_bytes_per_s is not None
        folder = self._folder / "workers" / f"{job.trial.name}-carry-{time.time_ns()}"
        with Processes(folder, lifetime_s=SESSION_LIMIT_S) as processes:
            run = _Run(job, folder, self._network, processes, self._keepers)
            run.start()
            run.wait("calibrated", 0, READY_LIMIT_S)
            self._progress(f"{job.trial.name}: {seconds:.0f} s of one step, {segment.limit_bytes_per_s:,.0f} bytes/s")
            self._enforce(self._network, {pod: PodLimit.both(segment.limit_bytes_per_s) for pod in PODS})
            (folder / "go-0").touch()
            # The burst of the bucket and the start of the step are over by then.
            time.sleep(SETTLE_S)
            before = run.clock()
            time.sleep(seconds)
            after = run.clock()
            processes.check()
        self._enforce(self._network, dict.fromkeys(PODS))
        # What the kernel still had to send for the programs that were ended goes out now, and is nobody else's.
        time.sleep(SETTLE_S)
        carried = after.delivered.from_pod.size_bytes - before.delivered.from_pod.size_bytes
        if carried <= 0:
            raise EnvironmentError_(f"{job.trial.name}: nothing crossed the link", remedy="see the logs of its workers")
        return carried / (after.at_s - before.at_s)

    def _measure_link(self) -> LinkSpeed:
        self._progress("measuring the link without a limit")
        folder = self._folder / "session"
        addresses = [self._network.links[pod].ipv4 for pod in PODS]
        nothing = Trial.model_validate(_NOTHING)
        orders = {"trial": nothing.model_dump(mode="json"), "addresses": addresses, "port": PORT}
        path = folder / "link.json"
        path.write_text(json.dumps(orders | {"segments": [], "calibrations": 0, "seed": SEED}))
        with Processes(folder, lifetime_s=READY_LIMIT_S) as processes:
            names = []
            for rank, pod in enumerate(PODS):
                names.append(f"link-{pod}-{time.time_ns()}")
                argv = [sys.executable, "-m", "inspectorate.lab.work_trial_link", str(path), "--rank", str(rank)]
                processes.start(names[-1], argv, prefix=self._network.inside(pod, []))
            processes.wait_for(names, "link", limit_s=READY_LIMIT_S, tick=lambda: None)
            said = next(event for event in processes.events(names[0]) if event["event"] == "link")
        on_wire = said["size_bytes"] * (1 + 1.5 * FRAME_OVERHEAD_BYTES / SEGMENT_BYTES)
        return LinkSpeed(bytes_per_s=on_wire / spread(said["seconds"][1:]).median, round_trip_s=said["round_trip_s"])


_NOTHING = {
    "name": "link",
    "method": "data-parallel",
    "shape": {"width": 8, "layers": 2, "heads": 1, "context": 4},
    "steps": 2,
}
"""The orders of a worker hold a trial; that of the link is never looked at."""


class _Run:
    """The workers of one job."""

    def __init__(self, job: Job, folder: Path, network: Network, processes: Processes, keepers: Processes) -> None:
        self._job, self._folder = job, folder
        self._network, self._processes, self._keepers = network, processes, keepers
        second = CLIENTS if job.trial.method is Method.INFERENCE else PODS[1]
        self._nodes = (PODS[0], second)
        self._names = tuple(f"worker-{rank}" for rank in range(2))
        # The pod that serves only answers: the phases are told by its client.
        self._telling = self._names[1:] if job.trial.method is Method.INFERENCE else self._names

    def start(self) -> None:
        job = self._job
        orders = {
            "trial": job.trial.model_dump(mode="json"),
            "addresses": [self._network.links[node].ipv4 for node in self._nodes],
            "port": PORT,
            "segments": [[s.steps, s.limit_bytes_per_s] for s in job.segments],
            "calibrations": job.calibrations,
            "gaps": list(job.gaps_s),
            "seed": SEED,
        }
        path = self._folder / "orders.json"
        path.write_text(json.dumps(orders))
        for rank, (name, node) in enumerate(zip(self._names, self._nodes, strict=True)):
            module = f"inspectorate.lab.{WORKERS[job.trial.method][rank]}"
            argv = [sys.executable, "-m", module, str(path), "--rank", str(rank)]
            self._processes.start(name, argv, prefix=self._network.inside(node, []))
        self._processes.wait_for(list(self._names), "ready", limit_s=READY_LIMIT_S, tick=lambda: None)
        self._pids = [self._said(name, "ready")[0]["pid"] for name in self._names]
        for pid in self._pids:
            put_first(pid)

    def wait(self, event: str, segment: int | None, limit_s: float) -> None:
        """Wait until all that tell have told. Raises `EnvironmentError_` if one fails or it takes too long."""
        deadline = time.monotonic() + limit_s
        missing = list(self._telling)
        while missing:
            self._processes.check()
            missing = [n for n in missing if not any(e.get("segment") == segment for e in self._said(n, event))]
            if missing and time.monotonic() > deadline:
                raise EnvironmentError_(
                    f"{self._job.trial.name}: {missing[0]} did not report {event!r} within {limit_s:.0f} s",
                    where=str(self._processes.error_path(missing[0])),
                )
            time.sleep(_POLL_S if missing else 0)

    def clock(self) -> Clocked:
        pids = {pod: self._keepers.pid(f"keep-{pod}") for pod in PODS}
        links = {pod: self._network.links[pod] for pod in PODS}
        readings = read_links(links, pids, self._keepers.pid(f"keep-{GATEWAY}"))
        first, second = (readings[pod] for pod in PODS)
        training = self._job.trial.method is not Method.INFERENCE
        sent = LinkReading(from_pod=first.from_pod, to_pod=second.from_pod if training else first.to_pod)
        delivered = (second.to_pod, first.to_pod) if training else (first.from_pod, first.to_pod)
        return Clocked(
            at_s=time.monotonic(),
            sent=sent,
            delivered=LinkReading(from_pod=delivered[0], to_pod=delivered[1]),
            busy_s=busy_s(),
            own_s=sum(own_s(pid) for pid in self._pids),
        )

    def compile(self, number: int, clocks: tuple[Clocked, Clocked], link: LinkSpeed, *, attempt: int) -> Result:
        """The result of one segment."""
        segment = self._job.segments[number]
        limit = segment.limit_bytes_per_s
        paced = self._job.trial.paced and limit is not None
        change = {"steps": segment.steps, "limit_bytes_per_s": limit, "paced": paced}
        trial = Trial.model_validate(self._job.trial.model_dump() | change)
        calibration = self._calibration(number, link)
        measured = self._measured(number, clocks, max(calibration.before_s, calibration.after_s))
        return result(trial, calibration, measured, attempts=attempt)

    def _calibration(self, number: int, link: LinkSpeed) -> Calibration:
        told = [self._said(name, "calibrated") for name in self._telling]
        around = [[one for one in each if one["segment"] in (number, number + 1)] for each in told]
        kind = "single" if self._job.trial.method is Method.INFERENCE else "together"

        def parts(rank: int, which: Sequence[int], phase: str) -> dict[str, float]:
            rows = [row for index in which for row in around[rank][index][phase]]
            return medians(rows)

        def whole(index: int) -> float:
            second = parts(1, [index], kind) if len(around) > 1 else {}
            return computing_s(self._job.trial, parts(0, [index], kind), second)

        return Calibration(
            first_by_itself_s=parts(0, (0, 1), "single"),
            first_s=parts(0, (0, 1), kind),
            second_s=parts(1, (0, 1), kind) if len(around) > 1 else {},
            before_s=whole(0),
            after_s=whole(1),
            link=link,
        )

    def _measured(self, number: int, clocks: tuple[Clocked, Clocked], computed_s: float) -> Measured:
        trial, steps = self._job.trial, self._job.segments[number].steps
        told = [[e for e in self._said(n, "step") if e["segment"] == number] for n in self._telling]
        # Overlapped, the first round of a segment waits for nothing: its exchange ends with the second.
        seconds = [e["seconds"] for e in told[0]][1 if trial.overlapped else 0 :]
        drained_s = next(e["drained_s"] for e in self._said(self._telling[0], "measured") if e["segment"] == number)
        if trial.overlapped and drained_s > computed_s:
            # The last exchange takes longer than computing a round would: with one more round it would take as long.
            seconds.append(drained_s)
        waiting = [e["waiting_s"] for e in told[0] if e["waiting_s"] is not None][1 if trial.overlapped else 0 :]
        firsts = [e["first_s"] for e in told[0] if "first_s" in e]
        losses = [e["loss"] for e in told[-1] if e["loss"] is not None]
        before, after = clocks
        wall_s = after.at_s - before.at_s
        others_s = after.busy_s - before.busy_s - (after.own_s - before.own_s)
        return Measured(
            step_s=spread(seconds),
            steps_s=tuple(seconds),
            waiting_s=spread(waiting) if waiting else None,
            first_tokens_s=spread(firsts) if firsts else None,
            network_s=self._network_s(told[0]) if trial.method is Method.INFERENCE else (),
            whole_s=wall_s,
            tokens_per_s=trial.tokens_per_step / spread(seconds).median,
            sent=_per_step(before.sent, after.sent, steps),
            delivered=_per_step(before.delivered, after.delivered, steps),
            loss_first=losses[0] if losses else None,
            loss_last=losses[-1] if losses else None,
            load_average=os.getloadavg()[0],
            other_cores=max(0.0, others_s / wall_s),
        )

    def _network_s(self, steps: list[dict[str, Any]]) -> tuple[float, ...]:
        """Of each request: until the pod had it whole, and from when its last frame was handed over until it came."""
        pod = {one["request"]: one for one in self._said(self._names[0], "answered")}
        both = [(step, pod[step["request"]]) for step in steps]
        return tuple(
            max(0.0, there["received_s"] - here["asked_s"]) + max(0.0, here["last_s"] - there["handed_s"])
            for here, there in both
        )

    def _said(self, name: str, event: str) -> list[dict[str, Any]]:
        return [one for one in self._processes.events(name) if one["event"] == event]


def _limit_s(trial: Trial, segment: Segment) -> float:
    """How long a segment may take: several times what its bytes take."""
    limit = segment.limit_bytes_per_s
    crossing_s = 0.0 if limit is None else segment.steps * max(wire(trial).from_pod, wire(trial).to_pod) / limit
    return SEGMENT_LIMIT_S + 4 * crossing_s


def _per_step(before: LinkReading, after: LinkReading, steps: int) -> Bytes:
    return Bytes(
        from_pod=(after.from_pod.size_bytes - before.from_pod.size_bytes) / steps,
        to_pod=(after.to_pod.size_bytes - before.to_pod.size_bytes) / steps,
    )
