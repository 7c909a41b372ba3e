"""The loading relay: declared content from outside, through the gateway's own disk, to the pod's loader.

1. `stage`: the content is taken in from a file or over TCP into a file without a name, and hashed. No byte of it reaches the
   pod before the whole is known to be what was approved.
2. `send`: from that file to the pod's loader, over the one connection that the window lets pass, hashed again on the way.
3. What the pod sends back ends here: acknowledgements at the gateway's TCP, bytes in a buffer that nobody reads. Nothing that
   the pod does in a window changes anything that anybody outside sees, but when and how the window ends.

The pod's direction back stays within its limit, in the kernel, acknowledgements included.
Runs in a thread: `Relay` is asked from time to time whether it is done. Times out on its own where nothing moves.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import ipaddress
import socket
import struct
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from inspectorate.canonical import Identifier, Record
from inspectorate.errors import EnvironmentError_
from inspectorate.mechanisms.interconnect.enforce import reference
from inspectorate.mechanisms.interconnect.enforce.plan import Loader, Port

_POLL_S = 0.2
_OUTSTANDING_POLL_S = 0.01


class Source(Record):
    """Where content comes from: a file on the gateway, or one TCP connection to an address of it."""

    window: Identifier
    file: str | None = None
    listen_address: str | None = None
    listen_port: Port | None = None


@dataclass(frozen=True, kw_only=True)
class Staged:
    """Content that was taken in: an open file that has no name, its size and digest. `fault`: why it did not come in full."""

    file: IO[bytes]
    size_bytes: int
    digest: str
    fault: str | None


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """What was handed to the pod's loader. The digest is given only if all of it was acknowledged."""

    size_bytes: int
    digest: str | None
    fault: str | None


class Relay:
    """Takes content in and hands it over, one at a time, in a thread of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="relay")
        self._stopped = threading.Event()
        self._connection: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._pool.shutdown(wait=True)

    def stage(self, source: Source, bytes_max: int) -> Future[Staged]:
        """Begin to take content in: at most one byte more than allowed, which shows that it is too long."""
        self._stopped.clear()
        return self._pool.submit(stage, source, self._folder, bytes_max, self._stopped.is_set)

    def bind(self, loader: Loader) -> int:
        """Take a port of the gateway for the connection to a loader; which it is."""
        family = socket.AF_INET6 if ipaddress.ip_address(loader.address).version == 6 else socket.AF_INET
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", 0))  # noqa: S104 - for one connection out
        except OSError as fault:
            connection.close()
            raise EnvironmentError_(f"no port for the relay: {fault.strerror}") from None
        self._connection = connection
        return int(connection.getsockname()[1])

    def send(self, staged: Staged, loader: Loader) -> Future[Delivered]:
        """Begin to hand over staged content through the port that was bound."""
        assert self._connection is not None, "bind comes first"
        return self._pool.submit(send, staged, self._connection, loader, self._stopped.is_set)

    def stop(self) -> None:
        """End what is going on: at once for the pod, whose connection is reset."""
        self._stopped.set()
        if self._connection is not None:
            # Unsent bytes are thrown away, and the kernel repeats nothing on behalf of a window that is closed.
            with contextlib.suppress(OSError):
                self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self._connection.shutdown(socket.SHUT_RDWR)
            self._connection.close()
            self._connection = None


def stage(source: Source, folder: Path, bytes_max: int, stopped: Callable[[], bool]) -> Staged:
    """Take content in (step 1). What goes wrong on the way is a fault of the content, not of this program."""
    hasher = hashlib.sha256()
    size, fault = 0, None
    try:
        file = tempfile.TemporaryFile(dir=folder, prefix="staged-")  # noqa: SIM115 - closed by whoever it is handed to
    except OSError as refused:
        raise EnvironmentError_(f"cannot be written: {refused.strerror}", where=str(folder)) from None
    try:
        for chunk in _chunks(source, stopped):
            file.write(chunk)
            hasher.update(chunk)
            size += len(chunk)
            if size > bytes_max:
                fault = f"more than {bytes_max:,} bytes came"
                break
        file.flush()
    except OSError as broken:
        fault = f"the content did not come in full: {broken}"
    if fault is None and stopped():
        fault = "stopped before the content had come in full"
    return Staged(file=file, size_bytes=size, digest=f"sha256:{hasher.hexdigest()}", fault=fault)


def _chunks(source: Source, stopped: Callable[[], bool]) -> Iterator[bytes]:
    if source.file is not None:
        with Path(source.file).open("rb") as file:
            while not stopped() and (chunk := file.read(reference.RELAY_CHUNK_BYTES)):
                yield chunk
        return
    if source.listen_address is None or source.listen_port is None:
        raise OSError("neither a file nor an address is named")
    family = socket.AF_INET6 if ":" in source.listen_address else socket.AF_INET
    with socket.create_server((source.listen_address, source.listen_port), family=family, backlog=1) as server:
        server.settimeout(_POLL_S)
        deadline = time.monotonic() + reference.RELAY_ACCEPT_S
        connection = None
        while connection is None and not stopped() and time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                connection, _ = server.accept()
    if connection is None:
        raise OSError("nobody connected")
    with connection:
        connection.settimeout(reference.RELAY_IDLE_S)
        while not stopped() and (chunk := connection.recv(reference.RELAY_CHUNK_BYTES)):
            yield chunk


def send(staged: Staged, connection: socket.socket, loader: Loader, stopped: Callable[[], bool]) -> Delivered:
    """Hand staged content to the loader (step 2)."""
    hasher = hashlib.sha256()
    size, fault = 0, None
    try:
        connection.settimeout(reference.RELAY_CONNECT_S)
        connection.connect((loader.address, loader.port))
        connection.settimeout(reference.RELAY_IDLE_S)
        staged.file.seek(0)
        while not stopped() and (chunk := staged.file.read(reference.RELAY_CHUNK_BYTES)):
            connection.sendall(chunk)
            hasher.update(chunk)
            size += len(chunk)
        connection.shutdown(socket.SHUT_WR)
        while not stopped() and _outstanding(connection):
            time.sleep(_OUTSTANDING_POLL_S)
    except OSError as broken:
        fault = f"the connection to the loader broke: {broken}"
    if fault is None and stopped():
        fault = "stopped"
    return Delivered(size_bytes=size, digest=None if fault else f"sha256:{hasher.hexdigest()}", fault=fault)


def _outstanding(connection: socket.socket) -> int:
    """Bytes that the other end has not acknowledged yet."""
    answer = fcntl.ioctl(connection, termios.TIOCOUTQ, struct.pack("i", 0))
    return int(struct.unpack("i", answer)[0])
