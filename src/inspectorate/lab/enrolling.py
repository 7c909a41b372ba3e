"""What runs on the bench while an inspector enrols: separate starts of the service under stated load, idling, and training.

1. Six runs. In each, the service is started anew on every pod, and every pod is asked for at another level of load, so that each
   pod is seen once at each of `LEVELS` beside neighbours that are busier or less busy.
2. Contrasts: nothing but the echo service; then training as hard as the cores allow, one training per pod, two pods at a time.

All pods run at once, and each is enrolled for itself (`inspector`). Everything that is started here is ended here.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from inspectorate.lab.demand import Demand, requests
from inspectorate.lab.network import CLIENTS, Network
from inspectorate.lab.processes import Processes
from inspectorate.quantities import Period

LEVELS = (0.05, 0.2, 0.5, 0.65, 1.0, 1.15)
"""Requests per second, from nearly none to as many as come at the height of the demand (`demand.Demand`)."""
RUN_S = 52.0
"""Ten windows of 5 s, and a little more."""
IDLE_S, TRAINING_S = 20.0, 26.0
LEAST_S = 6.0
"""However small the scale: a stretch shorter than a window says nothing."""
WARM_S = 2.0
"""Requests come for so long before a run begins: the first answer of a service takes longer than any other."""
STARTING_S = 2.0
READY_S_MAX = 180.0
SERVICE_PORT = 8000


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where it runs, and how programs are started there: `start(name, node, module, arguments)`."""

    network: Network
    processes: Processes
    start: Callable[[str, str, str, list[str]], None]
    weights: Path
    folder: Path
    seed: int
    scale: float
    tell: Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Performed:
    """One run or contrast as it happened: of which pods, at which load."""

    name: str
    period: Period
    loads: dict[str, float]
    """Requests per second by pod; empty of what is no service."""
    pods: tuple[str, ...]
    contrast: str | None = None


def level_of(pod: int, run: int) -> float:
    """The load of a pod in a run: every pod at every level once, and in no run all at one."""
    return LEVELS[(pod + run) % len(LEVELS)]


def perform(place: Place) -> tuple[Performed, ...]:
    """All runs and contrasts, one after another (procedure in the module's docstring)."""
    done = [_run(place, number) for number in range(len(LEVELS))]
    done.append(_idle(place))
    pods = place.network.pods
    done += [_train(place, pods[first : first + 2]) for first in range(0, len(pods), 2)]
    return tuple(done)


def _run(place: Place, number: int) -> Performed:
    pods = place.network.pods
    name = f"run-{number + 1}"
    place.tell(f"enrolling: {name} of {len(LEVELS)}")
    services = [f"enrol-{name}-serve-{pod}" for pod in pods]
    for service, pod in zip(services, pods, strict=True):
        serve = ["--weights", str(place.weights), "--port", str(SERVICE_PORT), "--seed", str(place.seed + number)]
        place.start(service, pod, "work_serve", serve)
    _wait(place, services, "ready")
    loads = {pod: level_of(index, number) for index, pod in enumerate(pods)}
    lasts_s = max(RUN_S * place.scale, LEAST_S)
    begins_s = time.time() + STARTING_S
    plan = {pod: _asked(place, pod, loads[pod], lasts_s, 100 * number + at) for at, pod in enumerate(pods)}
    path = place.folder / f"enrol-{name}.json"
    path.write_text(json.dumps({"start_unix_s": begins_s, "pods": plan}))
    clients = f"enrol-{name}-clients"
    place.start(clients, CLIENTS, "work_clients", ["--plan", str(path)])
    period = _lasting(place, begins_s + WARM_S, lasts_s)
    for one in (clients, *services):
        place.processes.end(one)
    return Performed(name=name, period=period, loads=loads, pods=pods)


def _asked(place: Place, pod: str, level: float, lasts_s: float, seed: int) -> dict[str, object]:
    link = place.network.links[pod]
    demand = dataclasses.replace(Demand(), mean_per_s=level, swing=0.0)
    asked = requests(demand, start_s=0.0, end_s=lasts_s + WARM_S, seed=100_000 * (place.seed + 1) + seed)
    return {
        "addresses": [link.ipv4, link.ipv4, link.ipv6],
        "port": SERVICE_PORT,
        "requests": [(one.at_s, one.prompt_bytes, one.tokens) for one in asked],
    }


def _idle(place: Place) -> Performed:
    place.tell("enrolling: idle")
    period = _lasting(place, time.time() + WARM_S, max(IDLE_S * place.scale, LEAST_S))
    return Performed(name="idle-1", period=period, loads={}, pods=place.network.pods, contrast="idle")


def _train(place: Place, pods: tuple[str, ...]) -> Performed:
    place.tell(f"enrolling: training on {', '.join(pods)}")
    names = [f"enrol-train-{pod}" for pod in pods]
    for name, pod in zip(names, pods, strict=True):
        # More steps than there is time for: it is ended, and what it would have written is not kept.
        out = place.folder / f"{name}.pt"
        arguments = ["--steps", "1000000", "--seed", str(place.seed), "--out", str(out)]
        place.start(name, pod, "work_pretrain", arguments)
    _wait(place, names, "step")
    period = _lasting(place, time.time() + 1.0, max(TRAINING_S * place.scale, LEAST_S))
    for name in names:
        place.processes.end(name)
    return Performed(name=f"training-{'-'.join(pods)}", period=period, loads={}, pods=pods, contrast="training")


def _wait(place: Place, names: list[str], event: str) -> None:
    place.processes.wait_for(names, event, limit_s=READY_S_MAX, tick=lambda: None)


def _lasting(place: Place, begins_unix_s: float, lasts_s: float) -> Period:
    """Wait until a stretch is over, watching that everything runs."""
    while (left_s := begins_unix_s + lasts_s - time.time()) > 0:
        place.processes.check()
        time.sleep(min(left_s, 0.5))
    start = datetime.fromtimestamp(round(begins_unix_s, 3), UTC)
    return Period(start=start, end=datetime.fromtimestamp(round(begins_unix_s + lasts_s, 3), UTC))
