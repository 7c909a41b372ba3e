"""Holding work that does not pass the path: control groups that freeze, and work that lives only beside a latch.

Rules:

- Work is started inside its group, frozen, and everything that it forks stays there: membership is inherited, and only a user who
  may write the hierarchy can leave it. Work therefore runs as a user of its own. Work that runs as root can leave, and is not held.
- Frozen is what the kernel says (`cgroup.events`), not what was asked for. A group that does not freeze in time is killed.
- The processor and the latch each watch the other. If the processor ends, stops or starves, the latch freezes the work; if the
  latch ends, the kernel kills the work; if the latch stops, the processor freezes the work and kills the latch.
- Both stopped in the same instant by someone with root: nothing holds the work. Only a watchdog in hardware does.

A frozen process does not run on the host's cores. What it has already given to an accelerator goes on to its end.
Version 2 of control groups is needed (Linux 5.14 for `cgroup.kill`), writable; the freezer of version 1 is not used, since it can
neither kill a frozen group nor say by an event that it is frozen.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from inspectorate.errors import EnvironmentError_
from inspectorate.mechanisms.guarantee.events import EventKind, Refusal
from inspectorate.mechanisms.guarantee.interlock import latch
from inspectorate.mechanisms.guarantee.interlock.reference import BEATS_PER_LOSS, FREEZE_S_MAX

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}\Z")
_START_S_MAX = 10.0
RUN, HOLD, ENDED = b"r", b"h", b"e"


def hierarchy(mounts: Path = Path("/proc/self/mountinfo")) -> Path:
    """Where version 2 of control groups is mounted. Raises `EnvironmentError_`."""
    try:
        lines = mounts.read_text(encoding="utf-8").splitlines()
    except OSError as fault:
        raise EnvironmentError_(f"cannot be read: {fault.strerror}", where=str(mounts)) from None
    for line in lines:
        before, _, after = line.partition(" - ")
        if after.startswith("cgroup2 "):
            return Path(before.split(" ")[4])
    raise EnvironmentError_(
        "there is no version 2 of control groups", where=str(mounts), remedy="mount cgroup2, or hold work elsewhere"
    )


class ControlGroup:
    """One control group of ours, which holds work."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def make(cls, name: str, under: Path | None = None) -> Self:
        """Make the group, or take one that is there. Raises `EnvironmentError_` if it cannot freeze and kill."""
        if not _NAME.match(name):
            raise ValueError(f"{name!r} is no name of a group")
        folder = (hierarchy() if under is None else under) / name
        try:
            folder.mkdir(exist_ok=True)
        except OSError as fault:
            raise EnvironmentError_(
                f"cannot make a control group: {fault.strerror}",
                where=str(folder),
                remedy="run as root, or delegate a part of the hierarchy to this user",
            ) from None
        for file in ("cgroup.freeze", "cgroup.kill", "cgroup.procs"):
            if not os.access(folder / file, os.W_OK):
                raise EnvironmentError_(f"{file} cannot be written", where=str(folder), remedy="Linux 5.14 or later")
        return cls(folder)

    @property
    def is_frozen(self) -> bool:
        return "frozen 1" in self._read("cgroup.events").splitlines()

    @property
    def is_empty(self) -> bool:
        return "populated 0" in self._read("cgroup.events").splitlines()

    @property
    def pids(self) -> tuple[int, ...]:
        """Processes of the group itself, as this process names them."""
        return tuple(int(line) for line in self._read("cgroup.procs").split())

    def freeze(self) -> float:
        """Hold all that runs in the group; seconds until the kernel had done it. What does not freeze is killed."""
        started = time.monotonic()
        self._write("cgroup.freeze", "1")
        while not self.is_frozen:
            if time.monotonic() - started > FREEZE_S_MAX:
                self.kill()
                break
            time.sleep(0.001)
        return time.monotonic() - started

    def thaw(self) -> None:
        self._write("cgroup.freeze", "0")

    def kill(self) -> None:
        """End all that is in the group, frozen or not, with all that it forks meanwhile."""
        self._write("cgroup.kill", "1")

    def remove(self, wait_s: float = 2.0) -> None:
        """End all that is in it, and the group. Raises `EnvironmentError_` if something does not end."""
        self.kill()
        deadline = time.monotonic() + wait_s
        while not self.is_empty and time.monotonic() < deadline:
            time.sleep(0.002)
        try:
            self.folder.rmdir()
        except OSError as fault:
            raise EnvironmentError_(f"cannot be removed: {fault.strerror}", where=str(self.folder)) from None

    def _read(self, file: str) -> str:
        try:
            return (self.folder / file).read_text(encoding="ascii")
        except OSError as fault:
            raise EnvironmentError_(f"{file} cannot be read: {fault.strerror}", where=str(self.folder)) from None

    def _write(self, file: str, text: str) -> None:
        try:
            (self.folder / file).write_text(text, encoding="ascii")
        except OSError as fault:
            raise EnvironmentError_(f"{file} cannot be written: {fault.strerror}", where=str(self.folder)) from None


@dataclass(frozen=True, kw_only=True)
class Work:
    """A command, and as whom it runs."""

    command: tuple[str, ...]
    uid: int
    gid: int
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path = Path("/")
    log: Path | None = None
    """Where its output goes; none: nowhere."""


class HeldWork:
    """Work beside its latch, as one processor sees it. It starts held."""

    def __init__(self, group: ControlGroup, connection: socket.socket, lost_after_s: float) -> None:
        self.group = group
        self._connection = connection
        self._lost_after_s = lost_after_s
        self._state = HOLD
        self._turn = asyncio.Lock()
        pid = int.from_bytes(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 4), sys.byteorder)
        self._latch = os.pidfd_open(pid)
        self.latch_pid = pid
        self.lost: Refusal | None = None
        self.has_ended = False
        """Whether the work ended by itself."""

    async def allow(self) -> None:
        """Let the work run, from when this returns."""
        self._state = RUN
        await self._say()

    async def hold(self) -> None:
        """Freeze the work; it is frozen, or dead, when this returns."""
        self._state = HOLD
        await self._say()

    async def keep(self) -> Refusal | None:
        """Say again and again what holds. Run it as a task from the start.

        Returns why the work was lost, or None if it ended by itself; the work does not run any more in either case.
        """
        while self.lost is None and not self.has_ended:
            await self._say()
            await asyncio.sleep(self._lost_after_s / BEATS_PER_LOSS)
        return self.lost

    def end(self) -> None:
        """Kill the latch, and with it the work; remove the group."""
        if self._latch >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._latch, signal.SIGKILL)
            os.close(self._latch)
            self._latch = -1
            self._connection.close()
        self.group.remove()

    async def _say(self) -> None:
        """One beat, and its answer. Without one in time the latch is lost."""
        loop = asyncio.get_running_loop()
        async with self._turn:
            if self.lost is not None or self.has_ended:
                return
            said = self._state
            try:
                async with asyncio.timeout(self._lost_after_s):
                    await loop.sock_sendall(self._connection, said)
                    answer = await loop.sock_recv(self._connection, 16)
            except (OSError, TimeoutError):
                answer = b""
            if answer == said:
                return
            if answer == ENDED:
                self.has_ended = True
                self._connection.close()
                return
            self.lost = Refusal(kind=EventKind.GUARD_LOST, why="the latch does not answer")
            self.group.freeze()
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._latch, signal.SIGKILL)


async def start(group: ControlGroup, work: Work, *, place: Path, lost_after_s: float) -> HeldWork:
    """Start work in an empty group, held, with a latch that listens at `place`. Raises `EnvironmentError_`."""
    if not group.is_empty:
        raise EnvironmentError_(
            "other work is still in it", where=str(group.folder), remedy="attach to it, or remove the group"
        )
    place.unlink(missing_ok=True)
    argv = [
        sys.executable, "-I", "-S", latch.__file__, str(group.folder), str(place), repr(lost_after_s),
        str(work.uid), str(work.gid), "--", *work.command,
    ]  # fmt: skip
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(work.log.open("ab")) if work.log is not None else subprocess.DEVNULL
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(work.environment),
                cwd=work.folder,
                start_new_session=True,
            )
        except OSError as fault:
            raise EnvironmentError_(f"cannot start: {fault.strerror}", where=work.command[0]) from None
    deadline = time.monotonic() + _START_S_MAX
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(EnvironmentError_):
            return attach(group, place=place, lost_after_s=lost_after_s)
        await asyncio.sleep(0.005)
    process.kill()
    raise EnvironmentError_(
        "the latch did not start",
        where=str(place),
        remedy="it needs root: a process namespace and a group to write" if work.log is None else f"see {work.log}",
    )


def attach(group: ControlGroup, *, place: Path, lost_after_s: float) -> HeldWork:
    """Take over work whose processor was lost; it stays held. Raises `EnvironmentError_`."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.connect(str(place))
    except OSError as fault:
        connection.close()
        raise EnvironmentError_(f"no latch answers: {fault.strerror}", where=str(place)) from None
    connection.setblocking(False)
    return HeldWork(group, connection, lost_after_s)
