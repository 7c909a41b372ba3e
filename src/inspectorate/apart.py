"""A process of its own for what reads or runs hostile input: started here (`run_apart`), and closed in by itself (`enclose`).

Rules:

- The process closes itself in before it reads anything: memory, processor time, size and number of files, no new privileges, no
  network (a namespace of its own with nothing in it), and of the file system only what was named (Landlock). Nothing opens it
  again.
- It says which of these the kernel gave (`Closed`). Limits are always there, or it does not start; network and files depend on the
  kernel. The caller decides what it does without them: code of another party is never run in a process that is not closed in.
- What it says is data, line by line, under a limit. The caller ends it, and every process that it started, when its time is up.
- It gets none of the caller's environment but what is named here.

Not done here: system calls are not filtered one by one. A fault of the kernel, or of a library that is loaded, is not contained.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from inspectorate.canonical import Record
from inspectorate.errors import EnvironmentError_
from inspectorate.quantities import Positive

WALL = 4.0
"""A process waits for its share of a busy machine; it is ended all the same."""
COMPLAINT_BYTES_MAX = 400

_CLONE_NEWUSER = 0x1000_0000
_CLONE_NEWNET = 0x4000_0000
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_LANDLOCK_PATH_BENEATH = 1
_ACCESS_ALL = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1}
"""By version of the interface; later ones handle more, which is left alone."""
_ACCESS_READ = 1 << 0 | 1 << 2 | 1 << 3
"""Execute (libraries are mapped so), read files, read folders."""
_ACCESS_ON_FILES = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14
_SCOPES_FROM = 6
_SCOPED_ALL = 0b11
"""No abstract sockets and no signals beyond this process and its children (from version 6 on)."""
_SYSTEM = (
    "/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/localtime", "/proc/self", "/proc/cpuinfo", "/proc/meminfo",
    "/proc/stat", "/sys/devices/system", "/sys/fs/cgroup", "/dev/null", "/dev/urandom", "/dev/zero",
)  # fmt: skip
"""What an interpreter and its libraries read."""


class Enclosure(Record):
    """What a process apart may take."""

    seconds: Positive = 60.0
    """Of processor time; `WALL` times as long on the wall."""
    memory_bytes: Annotated[int, Field(ge=1 << 28, le=1 << 44)] = 4 << 30
    """Of addresses."""
    output_bytes: Annotated[int, Field(ge=1 << 10, le=1 << 30)] = 1 << 22
    """Of what it says."""
    file_bytes: Annotated[int, Field(ge=1 << 10, le=1 << 44)] = 1 << 22
    """Of one file that it writes."""
    files: Annotated[int, Field(ge=8, le=4096)] = 64
    readable: tuple[str, ...] = Field(default=(), max_length=64)
    writable: tuple[str, ...] = Field(default=(), max_length=8)


class Closed(Record):
    """What the kernel gave beyond limits."""

    network: bool
    files: bool


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a process said before it ended, and why it ended."""

    lines: tuple[bytes, ...]
    ended: str
    complaint: str
    returned: int | None
    """None: its time was up."""


def run_apart(module: str, given: bytes, enclosure: Enclosure, *, environment: Mapping[str, str] | None = None) -> Said:
    """Run `python -m module` with `given` on standard input. Raises `EnvironmentError_` where no process can be started.

    The module calls `enclose(sys.argv[1])` before anything else.
    """
    command = [sys.executable, "-I", "-B", "-m", module, enclosure.canonical_bytes().decode()]
    variables = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"} | dict(environment or {})
    try:
        with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complaint:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=said, stderr=complaint, env=variables, start_new_session=True
            )
            returned: int | None = None
            try:
                process.communicate(given, timeout=WALL * enclosure.seconds)
                returned = process.returncode
                ended = f"the process ended with {returned}"
            except subprocess.TimeoutExpired:
                ended = f"it took longer than {WALL * enclosure.seconds:g} s"
            finally:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.kill()
                process.wait()
            said.seek(0)
            lines = said.read(enclosure.output_bytes).split(b"\n")[:-1]
            complaint.seek(0)
            words = complaint.read(COMPLAINT_BYTES_MAX).decode("utf-8", "replace").strip()
    except OSError as fault:
        raise EnvironmentError_(f"no process can be started: {fault.strerror}", where=module) from None
    return Said(lines=tuple(lines), ended=ended, complaint=words, returned=returned)


def enclose(argument: str) -> Closed:
    """Close this process in, as the caller's `Enclosure` says. Before anything is read, and before any thread is started."""
    enclosure = Enclosure.model_validate_json(argument)
    for which, most in (
        (resource.RLIMIT_AS, enclosure.memory_bytes),
        (resource.RLIMIT_CPU, int(enclosure.seconds) + 1),
        (resource.RLIMIT_FSIZE, max(enclosure.file_bytes, enclosure.output_bytes)),
        (resource.RLIMIT_NOFILE, enclosure.files),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(which)[1]
        lowered = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(which, (lowered, lowered))
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    network = library.unshare(_CLONE_NEWNET) == 0 or library.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0
    return Closed(network=network, files=_only_these(library, enclosure))


def say(line: bytes) -> None:
    """Write one line whole, at once: what was said before the process ends counts."""
    os.write(1, line + b"\n")


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


def _only_these(library: ctypes.CDLL, enclosure: Enclosure) -> bool:
    """Restrict the file system (Landlock, Linux 5.13). False where the kernel has none."""
    version = library.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    if version < 1:
        return False
    handled = _ACCESS_ALL[min(version, max(_ACCESS_ALL))]
    rules = _Ruleset(handled, 0, _SCOPED_ALL if version >= _SCOPES_FROM else 0)
    size = 24 if version >= _SCOPES_FROM else 8
    made = library.syscall(_LANDLOCK_CREATE, ctypes.byref(rules), ctypes.c_size_t(size), ctypes.c_uint32(0))
    if made < 0:
        return False
    readable = (*_SYSTEM, *dict.fromkeys((sys.prefix, sys.base_prefix, *_imported_from())), *enclosure.readable)
    for path in readable:
        _allow(library, made, path, _ACCESS_READ & handled)
    for path in enclosure.writable:
        _allow(library, made, path, handled)
    done = library.syscall(_LANDLOCK_RESTRICT, made, ctypes.c_uint32(0)) == 0
    os.close(made)
    return bool(done)


def _imported_from() -> Sequence[str]:
    """Where modules come from, this package included."""
    return [place for place in (*sys.path, str(Path(__file__).resolve().parents[1])) if place]


def _allow(library: ctypes.CDLL, made: int, path: str, access: int) -> None:
    """Allow one path; what is not there needs no rule."""
    with suppress(OSError):
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
        if not Path(path).is_dir():
            access &= _ACCESS_ON_FILES
        rule = _Beneath(access, folder)
        library.syscall(_LANDLOCK_ADD, made, _LANDLOCK_PATH_BENEATH, ctypes.byref(rule), ctypes.c_uint32(0))
        os.close(folder)
