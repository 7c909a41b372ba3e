"""Run a scenario on the bench: bring everything up, make things happen at their times, keep the truth, take it down.

1. Namespaces and links; an echo service in every pod, and the canary.
2. Weights: the model is trained for some steps and saved. If an inspector enrols, it is done now (`Options.enrol`). Then every pod
   starts its inference service.
3. The collector and the recorder of telemetry, where there are such, then the exporters.
4. The clients, with the plan of all requests; the scenario begins at a wall-clock time that all of them know.
5. Training starts and ends, exporters fall silent and return, counters are read once a second.
6. Some seconds of rest, so that the last flows are reported; then everything is ended and the truth is compiled.

A program that fails ends the run with its name and what it said: a run that is not what its scenario says is no data.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.lab import sensors as sensing
from inspectorate.lab.demand import Demand, requests
from inspectorate.lab.enrolling import SERVICE_PORT, Place
from inspectorate.lab.happened import Happened, Settings, compile_truth
from inspectorate.lab.limit import LINK_LIMIT_BYTES_PER_S, PACED_SHARE
from inspectorate.lab.meter import LinkReading, read_links, udp_ports
from inspectorate.lab.network import CLIENTS, GATEWAY, Network, check_tools, remove_leftovers
from inspectorate.lab.processes import Processes
from inspectorate.lab.scenario import Activity, Change, Kind, Moment, Outage, Scenario, training_name
from inspectorate.lab.sensors import Sensor
from inspectorate.lab.telemetry import Meters, start_recorder
from inspectorate.lab.truth import GroundTruth

TRAINING_PORT = 29500
RELAYED_PORT = 8001
"""In relay mode training listens beside the service, as another service of the pod would."""
LEAD_S = 15.0
"""Programs that import torch are started this long before they are needed."""
REST_S = 12.0
"""After the end: longer than the life of a flow, its idle time and one expiry check together."""
TRAINING_OVERRUN_S = 60.0
ACCUMULATED_BATCHES = 8
INNER_STEPS = 100
PRETRAINING_STEPS = 300
COLLECTOR_LIMIT_S = 60.0
ENROLMENT_S_MAX = 1800.0
_READY_LIMIT_S = 180.0

Progress = Callable[[str, float], None]
"""Called with what is going on and the share of the scenario that has passed (0 to 1)."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a scenario is run. `directory` must be new or empty; logs, truth and configuration go there."""

    directory: Path
    scale: float = 1.0
    seed: int = 1
    limit_bytes_per_s: float = LINK_LIMIT_BYTES_PER_S
    relayed: bool = False
    collector: Callable[[tuple[Sensor, ...]], list[str]] | None = None
    """Gives the collector's command for the sensors it shall hear; it is run in the gateway's namespace."""
    meters: Meters | None = None
    """Gives the command that records telemetry during the scenario; it is run outside of all namespaces."""
    enrol: Callable[[Place], None] | None = None
    """What is done on the bench before the scenario: the enrolment of its workload."""


def run(scenario: Scenario, options: Options, progress: Progress) -> GroundTruth:
    """Run a scenario and return its truth, which is also written to `truth/truth.json`.

    Raises `EnvironmentError_` if the machine lacks something or a program fails, `InputError` on unusable options.
    """
    check_tools()
    if importlib.util.find_spec("torch") is None:
        raise EnvironmentError_("torch is missing", remedy="pip install torch==2.13.0 (see docs/lab.md)")
    directory = options.directory
    if directory.exists() and any(directory.iterdir()):
        raise InputError("is not empty", where=str(directory), remedy="name a new directory")
    scaled = scenario.scaled(options.scale)
    before_s = LEAD_S + (ENROLMENT_S_MAX if options.enrol is not None else 0.0)
    lifetime_s = before_s + scaled.duration_s + REST_S + TRAINING_OVERRUN_S + 2 * _READY_LIMIT_S
    remove_leftovers()
    with (
        _interrupted_once(),
        Network(scaled.pods) as network,
        Processes(directory / "logs", lifetime_s=lifetime_s) as processes,
    ):
        return _Run(scaled, options, network, processes, progress).whole()


@contextlib.contextmanager
def _interrupted_once() -> Iterator[None]:
    """While inside, the first SIGINT or SIGTERM raises `KeyboardInterrupt`; later ones do not disturb the taking down.

    Taking down is bounded in time. Outside of the main thread nothing is changed: Python allows it only there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def interrupt(number: int, frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in before:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Run:
    """One run, from step 1 to step 6."""

    def __init__(
        self, scenario: Scenario, options: Options, network: Network, processes: Processes, progress: Progress
    ) -> None:
        self._scenario = scenario
        self._options = options
        self._network = network
        self._processes = processes
        self._progress = progress
        self._sensors = {s.pod: s for s in sensing.place(network.links, scenario.pods)}
        self._read_at_unix_s: list[float] = []
        self._readings: list[dict[str, LinkReading]] = []
        self._silenced: list[tuple[str, float, float]] = []
        self._silent_since: dict[str, float] = {}
        self._start_unix_s = 0.0
        self._weights = options.directory / "weights.pt"

    def whole(self) -> GroundTruth:
        """Steps 1 to 6. The namespaces of step 1 exist already."""
        self._prepare()
        self._start_services()
        self._start_sensors()
        self._start_clients()
        self._play()
        self._rest()
        happened = Happened(
            scenario=self._scenario,
            start_unix_s=self._start_unix_s,
            sensors=self._sensors,
            links=self._network.links,
            read_at_unix_s=tuple(self._read_at_unix_s),
            readings=tuple(self._readings),
            silenced=tuple(self._silenced),
            events=self._processes.events,
        )
        settings = Settings(
            scale=self._options.scale,
            seed=self._options.seed,
            limit_bytes_per_s=self._options.limit_bytes_per_s,
            relayed=self._options.relayed,
        )
        truth = compile_truth(happened, settings)
        place = self._options.directory / "truth"
        place.mkdir(parents=True, exist_ok=True)
        (place / "truth.json").write_bytes(truth.canonical_bytes())
        return truth

    # Steps 1 and 2.
    def _prepare(self) -> None:
        pods = self._scenario.pods
        for pod in pods:
            self._work(f"echo-{pod}", pod, "work_echo", [])
        self._work("canary", GATEWAY, "work_canary", [self._network.links[pod].ipv4 for pod in pods])
        weights = self._weights
        steps = max(40, round(PRETRAINING_STEPS * min(1.0, self._options.scale)))
        seed = str(self._options.seed)
        self._progress(f"training the served model for {steps} steps", 0.0)
        pretrain = ["--steps", str(steps), "--seed", seed, "--out", str(weights)]
        self._work("pretrain", CLIENTS, "work_pretrain", pretrain)
        self._wait([*(f"echo-{pod}" for pod in pods), "canary", "pretrain"])
        if self._options.enrol is not None:
            self._options.enrol(self._place())

    def _place(self) -> Place:
        return Place(
            network=self._network,
            processes=self._processes,
            start=self._work,
            weights=self._weights,
            folder=self._options.directory,
            seed=self._options.seed,
            scale=self._options.scale,
            tell=lambda message: self._progress(message, 0.0),
        )

    def _start_services(self) -> None:
        pods, seed = self._scenario.pods, str(self._options.seed)
        self._progress("starting the services", 0.0)
        for pod in pods:
            serve = ["--weights", str(self._weights), "--port", str(SERVICE_PORT), "--seed", seed]
            self._work(f"serve-{pod}", pod, "work_serve", serve)
        self._wait([f"serve-{pod}" for pod in pods])

    # Step 3.
    def _start_sensors(self) -> None:
        if self._options.collector is not None:
            self._progress("starting the collector", 0.0)
            argv = self._options.collector(tuple(self._sensors.values()))
            self._processes.start("collector", argv, prefix=self._network.inside(GATEWAY, []))
            self._wait_for_ports("collector", {s.port for s in self._sensors.values()})
        if self._options.meters is not None:
            start_recorder(self._network, self._processes, "meters", self._options.meters, self._options.directory)
        for sensor in self._sensors.values():
            self._start_exporter(sensor)

    def _start_exporter(self, sensor: Sensor) -> None:
        argv = sensing.exporter_argv(sensor, self._options.directory / "exporters")
        self._processes.start(sensor.sensor_id, argv, prefix=self._network.inside(GATEWAY, []))

    def _wait_for_ports(self, name: str, ports: set[int]) -> None:
        deadline = time.monotonic() + COLLECTOR_LIMIT_S
        while missing := ports - udp_ports(self._processes.pid(name)):
            self._processes.check()
            if time.monotonic() > deadline:
                raise EnvironmentError_(f"{name} does not listen on {sorted(missing)}", remedy="see its log")
            time.sleep(0.2)

    # Step 4.
    def _start_clients(self) -> None:
        self._start_unix_s = time.time() + LEAD_S
        plan_path = self._options.directory / "clients.json"
        plan_path.write_text(json.dumps({"start_unix_s": self._start_unix_s, "pods": self._client_plan()}))
        self._work("clients", CLIENTS, "work_clients", ["--plan", str(plan_path)])
        self._wait(["clients"])

    def _client_plan(self) -> dict[str, object]:
        plan: dict[str, object] = {}
        for index, pod in enumerate(self._scenario.pods):
            link = self._network.links[pod]
            demand = dataclasses.replace(Demand(), period_s=Demand().period_s * self._options.scale, phase=float(index))
            asked = [
                (request.at_s, request.prompt_bytes, request.tokens)
                for number, (start_s, end_s) in enumerate(self._scenario.inference_periods(pod))
                for request in requests(
                    demand, start_s=start_s, end_s=end_s, seed=1000 * self._options.seed + 10 * index + number
                )
            ]
            plan[pod] = {"addresses": [link.ipv4, link.ipv4, link.ipv6], "port": SERVICE_PORT, "requests": asked}
        return plan

    # Step 5.
    def _play(self) -> None:
        moments = list(self._scenario.moments())
        launches = {id(m.subject): m.at_s - LEAD_S for m in moments if m.change is Change.START}
        waiting = sorted(
            ((launches[id(m.subject)] if m.change is Change.START else m.at_s, n, m) for n, m in enumerate(moments)),
            key=lambda item: item[:2],
        )
        end_s = self._scenario.duration_s
        message = "warming up"
        while (now_s := time.time() - self._start_unix_s) < end_s:
            while waiting and waiting[0][0] <= now_s:
                message = self._change(waiting.pop(0)[2])
            self._processes.check()
            self._sample()
            self._progress(message, min(max(now_s / end_s, 0.0), 1.0))
            time.sleep(max(0.0, 1.0 - (time.time() - self._start_unix_s) % 1.0))
        for _, _, moment in waiting:
            self._change(moment)

    def _change(self, moment: Moment) -> str:
        """Make one change of the scenario; returns what happened in words."""
        subject = moment.subject
        if isinstance(subject, Outage):
            return self._silence(subject) if moment.change is Change.SILENCE else self._restore(subject)
        if moment.change is Change.START:
            self._start_training(subject)
            return f"{subject.kind} on {', '.join(subject.pods)}"
        return f"{subject.kind} on {', '.join(subject.pods)} ends"

    def _silence(self, outage: Outage) -> str:
        """Kill the exporter: what it had not reported yet is lost, as when a sensor is cut off."""
        sensor = self._sensors[outage.pod]
        self._processes.kill(sensor.sensor_id)
        self._silent_since[outage.pod] = time.time()
        return f"{sensor.sensor_id} falls silent"

    def _restore(self, outage: Outage) -> str:
        sensor = self._sensors[outage.pod]
        self._start_exporter(sensor)
        self._silenced.append((outage.pod, self._silent_since.pop(outage.pod), time.time()))
        return f"{sensor.sensor_id} is back"

    def _start_training(self, activity: Activity) -> None:
        start, end = (self._start_unix_s + at_s for at_s in (activity.start_s, activity.end_s))
        common = ["--start-at", f"{start:.3f}", "--end-at", f"{end:.3f}", "--seed", str(self._options.seed)]
        addresses = [self._network.links[pod].ipv4 for pod in activity.pods]
        relayed = self._options.relayed and activity.kind is Kind.LOW_COMMUNICATION
        if relayed:
            targets = [word for address in addresses for word in ("--address", address)]
            self._work(f"relay-{activity.pods[0]}", CLIENTS, "work_relay", [*targets, "--port", str(RELAYED_PORT)])
        for rank, pod in enumerate(activity.pods):
            own = [*common, "--rank", str(rank)]
            if activity.kind is Kind.DATA_PARALLEL:
                master = f"tcp://{addresses[0]}:{TRAINING_PORT}"
                own += ["--ranks", str(len(addresses)), "--master", master, "--accumulate", str(ACCUMULATED_BATCHES)]
                self._work(training_name(activity, pod), pod, "work_ddp", own, patient=True)
                continue
            own += [word for address in addresses for word in ("--address", address)]
            own += ["--port", str(RELAYED_PORT if relayed else TRAINING_PORT), "--inner-steps", str(INNER_STEPS)]
            own += ["--bytes-per-s", f"{PACED_SHARE * self._options.limit_bytes_per_s:.1f}"]
            own += ["--relayed"] if relayed else []
            self._work(training_name(activity, pod), pod, "work_diloco", own, patient=True)

    # Step 6.
    def _rest(self) -> None:
        self._progress("waiting for the last flows", 1.0)
        names = [training_name(a, pod) for a in self._scenario.training for pod in a.pods]
        self._processes.wait_for([*names, "clients"], "done", limit_s=TRAINING_OVERRUN_S, tick=self._sample)
        deadline = time.monotonic() + REST_S
        while time.monotonic() < deadline:
            self._sample()
            self._processes.check()
            time.sleep(0.5)
        for sensor in self._sensors.values():
            self._processes.end(sensor.sensor_id)
        for name in ("collector", "meters"):
            if self._processes.is_running(name):
                self._processes.end(name, grace_s=COLLECTOR_LIMIT_S)

    def _sample(self) -> None:
        """Read all counters, at most twice a second."""
        now_unix_s = time.time()
        if self._read_at_unix_s and now_unix_s - self._read_at_unix_s[-1] < 0.5:
            return
        pids = {pod: self._processes.pid(f"echo-{pod}") for pod in self._scenario.pods}
        self._readings.append(read_links(self._network.links, pids, self._processes.pid("canary")))
        self._read_at_unix_s.append(round(now_unix_s, 3))

    def _wait(self, names: list[str]) -> None:
        self._processes.wait_for(names, "ready", limit_s=_READY_LIMIT_S, tick=lambda: None)

    def _work(self, name: str, node: str, module: str, arguments: list[str], *, patient: bool = False) -> None:
        """Start one of our programs in a node. A patient one leaves the cores to services and sensors first."""
        argv = [sys.executable, "-m", f"inspectorate.lab.{module}", *arguments]
        argv = ["nice", "-n", "10", *argv] if patient else argv
        self._processes.start(name, argv, prefix=self._network.inside(node, []))
