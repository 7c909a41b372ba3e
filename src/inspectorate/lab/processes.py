"""The processes of one run: each in a session of its own, with a log, a time limit and an end.

Rules:

- A process is known by a name and ended by its process group, never by searching for a command line.
- `timeout` from coreutils stands before every command, so that it ends in time even if this program cannot end it.
- What a process writes goes to `<name>.jsonl` (standard output) and `<name>.err` (standard error).
- A process that ends by itself with an error is named by `failures`; it is never taken for one that had nothing to do.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from inspectorate.errors import EnvironmentError_

GRACE_S = 5.0
LOG_BYTES_MAX = 64 * 1024 * 1024


class Processes:
    """The processes of one run, as a context that ends them all."""

    def __init__(self, directory: Path, *, lifetime_s: float) -> None:
        self._directory = directory
        self._lifetime_s = lifetime_s
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._ended_by_us: set[str] = set()
        directory.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end_all()

    def start(self, name: str, argv: list[str], *, prefix: list[str]) -> None:
        """Start a command under a name. Raises `EnvironmentError_` if it cannot start, `ValueError` if it runs.

        `prefix` enters a namespace and executes what follows it, so that the process known here lives inside.
        """
        if name in self._running and self._running[name].poll() is None:
            raise ValueError(f"{name} is already running")
        bounded = [*prefix, "timeout", f"--kill-after={GRACE_S:.0f}", f"{self._lifetime_s:.0f}", *argv]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        with self.log_path(name).open("ab") as out, self.error_path(name).open("ab") as err:
            try:
                self._running[name] = subprocess.Popen(
                    bounded,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    start_new_session=True,
                    env=environment,
                )
            except OSError as fault:
                raise EnvironmentError_(f"cannot start: {fault.strerror}", where=" ".join(argv)) from None
        self._ended_by_us.discard(name)

    def log_path(self, name: str) -> Path:
        return self._directory / f"{name}.jsonl"

    def error_path(self, name: str) -> Path:
        return self._directory / f"{name}.err"

    def pid(self, name: str) -> int:
        """The process id of the outermost process under a name. Raises `KeyError` if it was never started."""
        return self._running[name].pid

    def is_running(self, name: str) -> bool:
        return name in self._running and self._running[name].poll() is None

    def kill(self, name: str) -> None:
        """End a process at once, without a chance to say goodbye."""
        self._signal(name, signal.SIGKILL)
        self._running[name].wait(timeout=GRACE_S)

    def end(self, name: str, *, grace_s: float = GRACE_S) -> None:
        """Ask a process to end, wait, then kill it."""
        self._signal(name, signal.SIGTERM)
        try:
            self._running[name].wait(timeout=grace_s)
        except subprocess.TimeoutExpired:
            self.kill(name)

    def end_all(self) -> None:
        """End everything: ask all, wait together, kill the rest."""
        alive = [name for name in self._running if self.is_running(name)]
        for name in alive:
            self._signal(name, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_S
        for name in alive:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._running[name].wait(timeout=max(0.01, deadline - time.monotonic()))
        for name in alive:
            if self.is_running(name):
                self.kill(name)

    def failures(self) -> dict[str, str]:
        """The processes that ended by themselves with an error, each with the end of what it said."""
        failed = {}
        for name, process in self._running.items():
            code = process.poll()
            if code is not None and code != 0 and name not in self._ended_by_us:
                said = self.error_path(name).read_text(errors="replace").strip().splitlines()[-3:]
                failed[name] = f"exit {code}: {' | '.join(said)[:600]}"
        return failed

    def check(self) -> None:
        """Raises `EnvironmentError_` naming the first process that failed."""
        for name, why in self.failures().items():
            raise EnvironmentError_(f"{name} failed: {why}", where=str(self.error_path(name)))

    def events(self, name: str) -> list[dict[str, Any]]:
        """The JSON lines that a process has written so far; a torn last line is left out."""
        path = self.log_path(name)
        if not path.exists():
            return []
        with path.open("rb") as file:
            whole = file.read(LOG_BYTES_MAX)
        lines = whole.split(b"\n")[:-1]
        return [json.loads(line) for line in lines if line.startswith(b"{")]

    def wait_for(self, names: list[str], event: str, *, limit_s: float, tick: Callable[[], None]) -> None:
        """Wait until each named process has written `event`. Raises `EnvironmentError_` when it takes too long."""
        deadline = time.monotonic() + limit_s
        missing = list(names)
        while missing:
            self.check()
            missing = [n for n in missing if not any(e.get("event") == event for e in self.events(n))]
            if missing and time.monotonic() > deadline:
                raise EnvironmentError_(f"{missing[0]} did not report {event!r} within {limit_s:.0f} s")
            tick()
            time.sleep(0.2 if missing else 0.0)

    def _signal(self, name: str, number: signal.Signals) -> None:
        """Signal a process group that we know to be alive: the id of one that ended may already be another's."""
        if self._running[name].poll() is None:
            self._ended_by_us.add(name)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._running[name].pid, number)
