"""Record telemetry of a real accelerator under real work, with the recorder of the package, and say what was run when.

    python -m inspectorate.lab.work_accelerator_record --out OUT --plan full --budget-s 540

1. Every query of the chip is timed and what it answers becomes the declaration; two meters are declared, `chip` and `host`.
2. The recorder (`inspectorate collect telemetry`) runs as a process of its own, and measures itself beside the work.
3. Runs go one by one to `work_accelerator`, which is started again if it ends or does not answer. What failed is written down.
4. Between the rounds the noise of re-execution is measured (`work_noise`).
5. The budget holds for all: the length of runs follows from what is left, and what does not fit is left out and named.

OUT gets `runs.jsonl` (as it goes), `session.json`, `spool.tar.gz` (declaration, public key, statements, payloads), `noise.json`,
`noise.parquet` and `log.txt`. On a machine without a chip `--device cpu` leaves the meter `chip` out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import select
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from inspectorate.declaration import Declaration
from inspectorate.errors import EnvironmentError_
from inspectorate.keys import SigningKey
from inspectorate.lab.accelerator_chip import COMMON_SIGNALS, declare, facts_of_chip, probe
from inspectorate.lab.accelerator_plan import Planned, rounds
from inspectorate.lab.package import write_declaration

EVERY_S_MIN = 0.05
GAP_S = 0.4
"""Nothing runs for so long between two runs."""
SECONDS_MIN, SECONDS_MAX = 3.0, 15.0
CLOSE_S = 12.0
"""Kept for ending the recorder and packing."""
ANSWER_S_MAX = 45.0
"""A run may take so much longer than it was told, preparation included."""


@dataclass(kw_only=True)
class Session:
    """One recording session."""

    args: argparse.Namespace
    out: Path
    scratch: Path
    ends_s: float
    log: IO[str]
    seconds: float = 0.0
    """Of the last run."""
    manifest: dict[str, Any] = field(default_factory=dict)

    def left_s(self) -> float:
        return self.ends_s - time.monotonic() - CLOSE_S

    def say(self, text: str) -> None:
        line = f"[{self.ends_s - time.monotonic():6.1f} s left] {text}"
        print(line, flush=True)
        self.log.write(line + "\n")
        self.log.flush()

    def keep(self) -> None:
        """Write down what is known so far."""
        (self.out / "session.json").write_text(json.dumps(self.manifest, indent=1, sort_keys=True) + "\n")


# --- processes -------------------------------------------------------------------------------------------------------------


def start_recorder(session: Session, declaration: Declaration, every_s: float) -> subprocess.Popen[bytes]:
    """The recorder, once every meter has answered. Raises `EnvironmentError_`."""
    folder = session.scratch
    key = SigningKey(os.urandom(32))
    key.write(folder / "meter.pem")
    (folder / "meter.pub").write_bytes(key.public.raw)
    write_declaration(folder / "declaration.yaml", declaration)
    ready = folder / "ready.json"
    ready.unlink(missing_ok=True)
    command = f"exec {sys.executable} -m inspectorate collect telemetry --json --declaration {folder}/declaration.yaml"
    command += (
        f" --key {folder}/meter.pem --out {folder}/spool --every {every_s} --segment-seconds 30 --ready-file {ready}"
    )
    if any(meter.id == "chip" for meter in declaration.meters):
        command += " --meter chip=nvml:signals=declared"
    command += f" --meter host=linux:unit=work,pids={os.getpid()} --meter host=linux:unit=recorder,pids=$$"
    with (folder / "recorder.json").open("wb") as out:
        process = subprocess.Popen(["sh", "-c", command], stdout=out, stderr=session.log)
    deadline = time.monotonic() + 60.0
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise EnvironmentError_("the recorder does not answer", where="log.txt")
        time.sleep(0.1)
    return process


def start_with_what_answers(
    session: Session, units: tuple[str, ...], signals: tuple[str, ...], every_s: float
) -> subprocess.Popen[bytes]:
    """The recorder with all signals; where it refuses, with the common ones; at last without the chip."""
    model = "h200-sxm" if "H200" in str(session.manifest.get("chip")) else "h100-sxm"
    common = tuple(name for name in signals if name in COMMON_SIGNALS)
    choices = [(units, signals), (units, common)] if units else []
    for shown, chosen in choices:
        try:
            process = start_recorder(session, declare(shown, chosen, every_s=every_s, model=model), every_s)
        except EnvironmentError_ as fault:
            session.say(f"the recorder refuses {'+'.join(chosen)}: {fault}")
        else:
            session.manifest |= {"units": shown, "signals": chosen, "every_s": every_s}
            return process
    session.manifest |= {"units": (), "signals": (), "every_s": every_s}
    return start_recorder(session, declare((), (), every_s=every_s, model=model), every_s)


def stop_recorder(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=CLOSE_S)
    except subprocess.TimeoutExpired:
        process.kill()


class Worker:
    """The process that runs workloads; started anew where it ended or hangs."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._process: subprocess.Popen[str] | None = None

    def ask(self, run: Planned, seconds: float) -> dict[str, Any]:
        """What became of a run."""
        process = self._started()
        if process is None:
            return {"event": "failed", "fault": "the worker does not start"}
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(run.as_data() | {"seconds": seconds}) + "\n")
            process.stdin.flush()
            return self._line(min(seconds + ANSWER_S_MAX, self._session.left_s()))
        except (OSError, ValueError, TimeoutError) as fault:
            self.close()
            return {"event": "failed", "fault": f"the worker was lost: {fault}"}

    def start(self) -> dict[str, Any] | None:
        """What the worker says of its stack."""
        args = self._session.args
        command = [
            sys.executable,
            "-m",
            "inspectorate.lab.work_accelerator",
            "--device",
            args.device,
            "--scale",
            args.scale,
        ]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._session.log, text=True, bufsize=1
        )
        try:
            return self._line(60.0)
        except (OSError, ValueError, TimeoutError) as fault:
            self._session.say(f"the worker does not start: {fault}")
            self.close()
            return None

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _started(self) -> subprocess.Popen[str] | None:
        if self._process is None:
            self.start()
        return self._process

    def _line(self, wait_s: float) -> dict[str, Any]:
        """Raises `TimeoutError`; `ValueError` where the worker ended."""
        assert self._process is not None
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], max(wait_s, 0.0))[0]:
            raise TimeoutError("no answer in time")
        found: dict[str, Any] = json.loads(self._process.stdout.readline() or "no JSON: it ended")
        return found


# --- the session -----------------------------------------------------------------------------------------------------------


def run_round(session: Session, worker: Worker, runs: tuple[Planned, ...], *, later: int) -> None:
    """Run one round; `later` runs and the noise are still to come after it."""
    spent: list[float] = []
    for place, run in enumerate(runs):
        reserve = session.args.noise_s + 15.0 if later else 0.0
        over = max(0.7, sum(spent) / len(spent)) if spent else 1.5
        seconds = session.args.seconds or min(
            (session.left_s() - reserve) / (len(runs) - place + later) - over - GAP_S, SECONDS_MAX
        )
        seconds = max(seconds, min(SECONDS_MIN, session.args.seconds or SECONDS_MIN))
        # Runs of the second round are as long as those of the first.
        seconds = seconds if later or not session.seconds else session.seconds
        session.seconds = seconds
        if session.left_s() < seconds + 3.0:
            session.manifest.setdefault("left_out", []).extend(one.id for one in runs[place:])
            session.say(f"{len(runs) - place} runs are left out")
            return
        time.sleep(GAP_S)
        begun = time.monotonic()
        found = worker.ask(run, seconds)
        spent.append(time.monotonic() - begun - seconds)
        with (session.out / "runs.jsonl").open("a") as file:
            file.write(json.dumps(run.as_data() | {"seconds_asked": seconds} | found) + "\n")
        if found["event"] == "done":
            rate = (found["flop_training"] + found["flop_other"]) / max(found["end_ns"] - found["start_ns"], 1) / 1e3
            session.say(
                f"{run.id}: {found['steps']} steps in {seconds:.1f} s, {rate:.1f} TFLOP/s, over {spent[-1]:.1f} s"
            )
        else:
            session.say(f"{run.id}: FAILED {found.get('fault')}")


def measure_noise(session: Session) -> None:
    """The noise of re-execution, in processes of its own."""
    args = session.args
    span = min(args.noise_s, session.left_s() - 5.0)
    if span < 10.0:
        session.say("no time for noise")
        return
    command = [
        sys.executable,
        "-m",
        "inspectorate.lab.work_noise",
        "--out",
        str(session.out),
        "--budget-s",
        f"{span:.0f}",
    ]
    command += ["--device", args.device, "--scale", args.scale]
    begun_ns = time.time_ns()
    process = subprocess.Popen(command, stdout=session.log, stderr=session.log)
    try:
        code: int | None = process.wait(timeout=span + 15.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        code = None
    session.manifest["noise"] = {"begun_ns": begun_ns, "end_ns": time.time_ns(), "exit": code}
    session.say(f"noise: exit {code}")


def pack(session: Session) -> None:
    """The spool as one file. The secret key stays out."""
    names = ("declaration.yaml", "meter.pub", "recorder.json", "ready.json", "spool")
    with tarfile.open(session.out / "spool.tar.gz.part", "w:gz", compresslevel=6) as tar:
        for name in names:
            if (session.scratch / name).exists():
                tar.add(session.scratch / name, arcname=name)
    (session.out / "spool.tar.gz.part").replace(session.out / "spool.tar.gz")


def record(session: Session) -> None:
    """The whole session (steps 1 to 5 of the module's docstring)."""
    args = session.args
    worker = Worker(session)
    units: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()
    every_s = EVERY_S_MIN
    session.manifest |= {"host": {"python": platform.python_version(), "kernel": platform.release(), "cores": os.cpu_count()},
                         "arguments": vars(args) | {"out": ""}}  # fmt: skip
    if args.chips if args.chips is not None else args.device == "cuda":
        session.manifest["chip"] = facts_of_chip()
        session.say(f"{session.manifest['chip']}")
        try:
            found = probe()
        except (EnvironmentError_, ImportError) as fault:
            session.say(f"the chip shows nothing: {fault}")
        else:
            units, signals = found.units, found.signals
            every_s = max(EVERY_S_MIN, round(1.4 * found.poll_s[1] + 0.005, 2))
            session.manifest["probed"] = asdict(found)
            session.say(f"a poll takes {found.poll_s[1]:.3f} s, every {every_s} s; refused: {found.refused}")
    recorder = start_with_what_answers(session, units, signals, every_s)
    session.say(f"the recorder answers: {session.manifest['signals']}")
    try:
        session.manifest["stack"] = worker.start()
        session.say(f"the worker answers: {session.manifest['stack']}")
        session.keep()
        first, second = rounds(args.plan, args.seed)
        run_round(session, worker, first, later=min(len(second), args.second_max))
        pack(session)
        if args.noise_s:
            measure_noise(session)
        session.keep()
        run_round(session, worker, second, later=0)
    finally:
        worker.close()
        stop_recorder(recorder)
        pack(session)
        session.manifest["recorder"] = json.loads((session.scratch / "recorder.json").read_text() or "null")
        session.keep()
    session.say("done")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--plan", choices=("smoke", "full"), default="full")
    parser.add_argument("--budget-s", type=float, default=540.0)
    parser.add_argument("--noise-s", type=float, default=70.0, help="Of it for noise; 0: none.")
    parser.add_argument("--seconds", type=float, default=0.0, help="Of each run. Default: what the budget gives.")
    parser.add_argument("--second-max", type=int, default=16, help="Runs of the second round that time is kept for.")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--chips", action=argparse.BooleanOptionalAction, help="Record the chip. Default: with cuda.")
    parser.add_argument("--scale", choices=("full", "tiny"), default="full")
    parser.add_argument("--seed", type=int, default=20_261_126)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    scratch = Path(os.environ.get("TMPDIR", "/tmp")) / f"accelerator-{os.getpid()}"  # noqa: S108 -- its name is ours
    scratch.mkdir(mode=0o700)
    ends_s = time.monotonic() + args.budget_s
    args.out = Path(args.out)
    with (args.out / "log.txt").open("a") as log:
        session = Session(args=args, out=args.out, scratch=scratch, ends_s=ends_s, log=log)
        try:
            record(session)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
