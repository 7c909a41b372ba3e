"""A guarantee processor that runs on the bench: started, asked, killed, and started again, as its operator would; and its clients.

Clients write down what became of every request. An accepted request is lost silently if its answer ended as if it were whole, and
was not: that is what must never happen.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from inspectorate.errors import EnvironmentError_
from inspectorate.lab.guard_folder import SharedPython
from inspectorate.mechanisms.guarantee.interlock.holding import hierarchy
from inspectorate.mechanisms.guarantee.processor.control import Answer, ask

READY_S = 60.0
END_S = 30.0
CLIENT_S = 20.0
_PAUSE_S = 0.02


@dataclass(kw_only=True)
class RunningGuard:
    """One processor on one folder."""

    folder: Path
    config: Path
    python: SharedPython
    process: subprocess.Popen[bytes] | None = None
    address: tuple[str, int] = ("127.0.0.1", 0)

    @property
    def log(self) -> Path:
        """Where it writes its own log, over all its starts."""
        return self.folder / "guard.log"

    def start(self) -> None:
        """Start it and wait until it listens. Raises `EnvironmentError_`."""
        ready = self.folder / "ready"
        ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", "inspectorate", "guard", "run", str(self.config), "--ready-file", str(ready)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.python.around(command), stdout=log, stderr=log)
        deadline = time.monotonic() + READY_S
        while not ready.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise EnvironmentError_("the processor did not start", where=str(self.log))
            time.sleep(_PAUSE_S)
        host, _, port = ready.read_text().strip().rpartition(":")
        self.address = host, int(port)

    def stop(self) -> None:
        """Tell it to end, and wait for it."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=END_S)
            self.process = None

    def kill(self) -> None:
        """End it outright."""
        assert self.process is not None, "it runs"
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def ask(self, do: str, **given: object) -> Answer:
        return ask(self.folder / "control", do=do, **given)

    @property
    def status(self) -> dict[str, object]:
        told = self.ask("status")["status"]
        assert isinstance(told, dict), "a status is an object"
        return told

    def upload(self, data: bytes, *, more: bytes = b"", declare: bytes | None = None) -> tuple[int, str]:
        """Offer a model; the status and the kind of error. `more` follows the declared bytes, `declare` is declared instead."""
        declared = data if declare is None else declare
        digest = base64.b64encode(hashlib.sha256(declared).digest()).decode()
        connection = http.client.HTTPConnection(*self.address, timeout=READY_S)
        try:
            connection.putrequest("PUT", "/guard/model")
            connection.putheader("Content-Length", str(len(declared)))
            connection.putheader("Content-Digest", f"sha-256=:{digest}:")
            connection.endheaders()
            try:
                connection.send(data + more)
            except OSError:
                # It is closed as soon as it is refused, with the answer waiting.
                time.sleep(_PAUSE_S)
            answer = connection.getresponse()
            return answer.status, _kind(answer.read())
        finally:
            connection.close()

    def group(self) -> Path:
        """The control group of the served model."""

        name = yaml.safe_load(self.config.read_text())["group"]
        return hierarchy() / str(name)


def _kind(body: bytes) -> str:
    try:
        value = json.loads(body)
    except ValueError:
        return "unreadable"
    error = value.get("error") if isinstance(value, dict) else None
    return str(error.get("kind")) if isinstance(error, dict) else ""


@dataclass(kw_only=True)
class Clients:
    """Clients that ask without pause until they are told to stop, and write down what became of each request."""

    address: Callable[[], tuple[str, int]]
    count: int = 3
    tokens: int = 24
    outcomes: Counter[str] = field(default_factory=Counter)
    silent: list[str] = field(default_factory=list)
    refused_at: dict[str, float] = field(default_factory=dict)
    """When each kind of refusal was last seen, on the monotonic clock."""
    served_at: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Clients:
        for number in range(self.count):
            thread = threading.Thread(target=self._ask, args=(number,), daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=CLIENT_S)

    def _ask(self, number: int) -> None:
        turn = 0
        while not self._stop.is_set():
            turn += 1
            outcome = self._one(f"client {number} asks {turn}: once upon a time")
            with self._lock:
                self.outcomes[outcome] += 1
                if outcome == "served":
                    self.served_at = time.monotonic()
                else:
                    self.refused_at[outcome] = time.monotonic()
            if outcome != "served":
                self._stop.wait(_PAUSE_S)

    def _one(self, prompt: str) -> str:
        body = json.dumps({"prompt": prompt, "max_tokens": self.tokens, "stream": True}).encode()
        try:
            connection = http.client.HTTPConnection(*self.address(), timeout=CLIENT_S)
            connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException):
            return "not accepted"
        try:
            data = answer.read()
        except (OSError, http.client.HTTPException):
            return "cut, and seen to be"
        finally:
            connection.close()
        if answer.status != 200:
            return f"refused: {_kind(data)}"
        if b"event: error" in data:
            return "ended with an error"
        if b"data: [DONE]" in data:
            return "served"
        with self._lock:
            self.silent.append(prompt)
        return "LOST SILENTLY"


def frozen_within(folder: Path, seconds: float) -> float | None:
    """Seconds until a control group is frozen or gone; none if it is not within so many."""
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        try:
            if (
                "frozen 1" in (folder / "cgroup.events").read_text()
                or "populated 0" in (folder / "cgroup.events").read_text()
            ):
                return time.monotonic() - started
        except OSError:
            return time.monotonic() - started
        time.sleep(0.001)
    return None
