"""The work of an inspected site: a pod that trains and one that serves, each a process whose own code writes its transcript.

    pod-a    serves a small declared model, from a snapshot of one file of code that inspectors read beforehand
    pod-b    trains a declared decoder from a committed seed on committed data

While they work, the inspector promises before each stretch, and the operator commits to it at its end and opens what is drawn.
"""

from __future__ import annotations

import importlib.resources
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.lab.inspected_parties import Inspector, Operator, Round
from inspectorate.lab.processes import Processes
from inspectorate.mechanisms.inspection.code.archives import files_of
from inspectorate.mechanisms.inspection.code.snapshot import Snapshot, snapshot_of

ENTRY = "serve.py"
SERVING, TRAINING = "serving-1", "training-1"
CLAIMS = {SERVING: "service", TRAINING: "study"}
PODS = {SERVING: "pod-a", TRAINING: "pod-b"}
GO = "go"
READY_S_MAX = 120.0
TAIL_S = 30.0
MODEL_STEPS = 60


@dataclass(frozen=True, kw_only=True)
class WorkPlan:
    """How long, how often, and from when on the pods cheat."""

    seconds: float
    stretch_s: float
    answer_within_s: float
    attacked: bool
    seed: int


@dataclass(kw_only=True)
class Work:
    """The folders of a site at work."""

    folder: Path
    snapshot: Snapshot
    begun: datetime
    rounds: list[Round] = field(default_factory=list)
    told: dict[str, dict[str, object]] = field(default_factory=dict)
    """What each job says that it did: the truth, for scoring."""

    @property
    def code(self) -> Path:
        return self.folder / "code"

    @property
    def model(self) -> Path:
        return self.folder / "model"

    def run(self, name: str) -> Path:
        return self.folder / name


def lay_out(folder: Path, processes: Processes) -> Work:
    """A new site: code, and a model that is trained for it."""
    code = folder / "code"
    code.mkdir(parents=True)
    source = importlib.resources.files("inspectorate.lab").joinpath("work_inspected_serve.py").read_bytes()
    (code / ENTRY).write_bytes(source)
    argv = [sys.executable, "-m", "inspectorate.lab.work_inspected_model", "--out", str(folder / "model")]
    processes.start("model", [*argv, "--steps", str(MODEL_STEPS)], prefix=[])
    processes.wait_for(["model"], "done", limit_s=READY_S_MAX, tick=lambda: None)
    snapshot = snapshot_of(files_of(code), where=str(code))
    return Work(folder=folder, snapshot=snapshot, begun=datetime.now(UTC))


def work(site: Work, plan: WorkPlan, processes: Processes, operator: Operator, inspector: Inspector) -> None:
    """Let both pods work for the time of the plan, stretch by stretch."""
    for name, argv in _jobs(site, plan).items():
        processes.start(name, argv, prefix=[])
    processes.wait_for([SERVING, TRAINING], "ready", limit_s=READY_S_MAX, tick=lambda: None)
    promised = {run: inspector.promise() for run in (SERVING, TRAINING)}
    (site.folder / GO).touch()
    ends = time.monotonic() + plan.seconds
    while time.monotonic() < ends - plan.stretch_s / 2:
        threading.Event().wait(min(plan.stretch_s, max(0.0, ends - time.monotonic())))
        processes.check()
        for run in promised:
            if (done := _stretch(site, run, promised[run], plan, operator, inspector)) is not None:
                site.rounds.append(done)
                promised[run] = inspector.promise()
    processes.wait_for([SERVING, TRAINING], "done", limit_s=TAIL_S + plan.stretch_s, tick=lambda: None)
    for run in promised:
        done = _stretch(site, run, promised[run], plan, operator, inspector)
        if done is not None:
            site.rounds.append(done)
    for run in promised:
        site.told[run] = next(one for one in processes.events(run) if one["event"] == "done")


def _stretch(
    site: Work, run: str, promise: str, plan: WorkPlan, operator: Operator, inspector: Inspector
) -> Round | None:
    """Commit to what is new, draw from it, open what was drawn; none where nothing is new."""
    folder = site.run(run)
    try:
        commitment = operator.commit(folder, CLAIMS[run], promise)
    except InputError:
        return None
    drawn = inspector.draw(commitment, answer_within=timedelta(seconds=plan.answer_within_s))
    return operator.answer(folder, commitment, drawn)


def _jobs(site: Work, plan: WorkPlan) -> dict[str, list[str]]:
    """The commands of both pods. From a third of the time on, an attacked site cheats."""
    seconds, go = str(plan.seconds), ("--go", str(site.folder / GO))
    serving = [sys.executable, str(site.code / ENTRY), "--model", str(site.model), "--code", site.snapshot.code]
    serving += [
        "--folder",
        str(site.run(SERVING)),
        "--run",
        SERVING,
        "--seconds",
        seconds,
        "--seed",
        str(plan.seed),
        *go,
    ]
    training = [sys.executable, "-m", "inspectorate.lab.work_inspected_train"]
    training += ["--folder", str(site.run(TRAINING)), "--run", TRAINING, "--seconds", seconds, *go]
    if plan.attacked:
        serving += ["--cheap-after", str(plan.seconds / 3)]
        training += ["--skip-after", str(plan.seconds / 3)]
    return {SERVING: serving, TRAINING: training}


@contextmanager
def site_at_work(folder: Path, plan: WorkPlan) -> Iterator[tuple[Work, Processes]]:
    """A site laid out, and the processes that will run there; all of them have ended afterwards. Raises `EnvironmentError_`."""
    if sys.platform != "linux":
        raise EnvironmentError_("the bench needs Linux", where="lab")
    with Processes(folder / "logs", lifetime_s=plan.seconds + READY_S_MAX + 2 * TAIL_S) as processes:
        yield lay_out(folder, processes), processes
