"""The latch: holds work whenever no guarantee processor says, several times a second, that it may go on.

A process of its own, started as `python -I -S latch.py GROUP SOCKET LOST_AFTER_S UID GID -- COMMAND ...`, with the standard library
only, and with nothing in it that is not needed to fail closed. Rules:

- The work starts frozen. It runs while one processor, connected to SOCKET, sends `r` at least every LOST_AFTER_S seconds; `h` holds
  it. Each is answered with itself once the kernel has done it: that is how the processor knows that the latch lives. `e` says that
  the work has ended by itself, and is the last thing that the latch says.
- The work is frozen when the processor ends (its pidfd, or the end of its connection), or is silent for too long: stopped, stuck,
  or starved. One that is silent is killed as well, so that connections through it close.
- Another processor may then connect, and let the work go on. That it may is its own state machine's matter.
- The work is the first process of a process namespace, and dies with the latch by the kernel's doing (PR_SET_PDEATHSIG), frozen or
  not, with all that it ever forked. So does a group that does not freeze in time.

Not here: what may run, and why. Linux control groups, version 2.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import socket
import struct
import sys
import time
from pathlib import Path

FREEZE_S_MAX = 0.5
CLONE_NEWPID = 0x20000000
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
_LIBC = ctypes.CDLL(None, use_errno=True)


def hold(group: Path) -> None:
    """Freeze the group; kill it if the kernel cannot."""
    try:
        (group / "cgroup.freeze").write_text("1")
        deadline = time.monotonic() + FREEZE_S_MAX
        while "frozen 1" not in (group / "cgroup.events").read_text():
            if time.monotonic() > deadline:
                raise OSError("does not freeze")
            time.sleep(0.001)
    except OSError:
        (group / "cgroup.kill").write_text("1")


def start(group: Path, uid: int, gid: int, command: list[str]) -> int:
    """The process id of the work's first process, which waits in the frozen group."""
    if _LIBC.unshare(CLONE_NEWPID):
        raise OSError(ctypes.get_errno(), "cannot make a process namespace")
    go_out, go_in = os.pipe()
    first = os.fork()
    if first:
        os.close(go_out)
        (group / "cgroup.procs").write_text(str(first))
        os.write(go_in, b"g")
        os.close(go_in)
        return first
    # In the first process: from here on it dies with the latch. Had the latch died before, the pipe would be empty.
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.close(go_in)
    if os.read(go_out, 1) != b"g":
        raise SystemExit(125)
    os.setsid()
    work = os.fork()
    if not work:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
        _LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        os.execvp(command[0], command)  # noqa: S606 - an argument list, on purpose
    while True:
        ended, status = os.wait()
        if ended == work:
            raise SystemExit(os.waitstatus_to_exitcode(status) & 0xFF)


class Processor:
    """The processor that is connected, if one is."""

    def __init__(self, listener: socket.socket) -> None:
        self.connection, _ = listener.accept()
        self.connection.setblocking(False)
        given = self.connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pid, uid, _ = struct.unpack("3i", given)
        if uid != os.getuid():
            raise PermissionError("is another user's")
        self.pidfd = os.pidfd_open(pid)

    def say(self, word: bytes) -> bool:
        try:
            return self.connection.send(word) == len(word)
        except OSError:
            return False

    def close(self, *, kill: bool) -> None:
        if kill:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        os.close(self.pidfd)
        self.connection.close()


class Latch:
    """The loop: one processor at a time, and a deadline."""

    def __init__(self, group: Path, listener: socket.socket, lost_after_s: float, first: int) -> None:
        self._group = group
        self._listener = listener
        self._lost_after_s = lost_after_s
        self._first = os.pidfd_open(first)
        self._processor: Processor | None = None
        self._deadline = 0.0
        self._runs = False

    def turn(self) -> bool:
        """Wait for one thing to happen. Whether there is still work."""
        processor = self._processor
        watched = [self._first, self._listener.fileno() if processor is None else processor.pidfd]
        if processor is not None:
            watched.append(processor.connection.fileno())
        wait_s = None if processor is None else max(0.0, self._deadline - time.monotonic())
        ready, _, _ = select.select(watched, [], [], wait_s)
        if self._first in ready:
            if processor is not None:
                self._end(processor)
            return False
        if processor is None:
            self._accept()
        elif processor.pidfd in ready:
            self._lose(kill=False)
        elif processor.connection.fileno() in ready:
            self._hear(processor)
        elif time.monotonic() >= self._deadline:
            self._lose(kill=True)
        return True

    def _end(self, processor: Processor) -> None:
        """Say that the work has ended, and wait until that was heard."""
        processor.say(b"e")
        processor.connection.settimeout(self._lost_after_s)
        with contextlib.suppress(OSError):
            while processor.connection.recv(16):
                processor.say(b"e")

    def _accept(self) -> None:
        try:
            self._processor = Processor(self._listener)
        except OSError:
            return
        self._deadline = time.monotonic() + self._lost_after_s

    def _hear(self, processor: Processor) -> None:
        try:
            said = processor.connection.recv(16)
        except OSError:
            said = b""
        if said not in (b"r", b"h"):
            self._lose(kill=False)
            return
        if (said == b"r") != self._runs:
            self._runs = said == b"r"
            if self._runs:
                (self._group / "cgroup.freeze").write_text("0")
            else:
                hold(self._group)
        self._deadline = time.monotonic() + self._lost_after_s
        if not processor.say(said):
            self._lose(kill=False)

    def _lose(self, *, kill: bool) -> None:
        """The processor is lost: hold the work first, then see to what is left of it."""
        hold(self._group)
        self._runs = False
        if self._processor is not None:
            self._processor.close(kill=kill)
            self._processor = None


def main() -> None:
    group, place, lost_after_s, uid, gid = Path(sys.argv[1]), sys.argv[2], *sys.argv[3:6]
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    hold(group)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    os.umask(0o177)
    listener.bind(place)
    os.umask(0o022)
    first = start(group, int(uid), int(gid), sys.argv[7:])
    listener.listen(1)
    latch = Latch(group, listener, float(lost_after_s), first)
    while latch.turn():
        pass
    Path(place).unlink(missing_ok=True)
    _, status = os.waitpid(first, 0)
    raise SystemExit(os.waitstatus_to_exitcode(status) & 0xFF)


if __name__ == "__main__":
    main()
