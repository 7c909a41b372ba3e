"""How bytes reach a TPM and come back: a character device of the kernel, or the TCP socket of swtpm.

A TPM is named by the path of its device (`/dev/tpmrm0`) or by `swtpm:HOST:PORT`. The kernel's device with a resource manager is
asked for, but nothing here depends on one.
"""

from __future__ import annotations

import os
import select
import socket
import stat
from typing import Protocol

from inspectorate.errors import EnvironmentError_, InputError

RESPONSE_BYTES_MAX = 4096
"""TPM2_MAX_RESPONSE_SIZE of the PC Client profile."""
HEADER_BYTES = 10
TIMEOUT_S = 120.0
"""A slow TPM makes an RSA key in tens of seconds."""
_SWTPM = "swtpm:"


class Transport(Protocol):
    """Carries one command and its answer."""

    def exchange(self, command: bytes) -> bytes:
        """The answer to `command`. Raises `EnvironmentError_`."""
        ...

    def close(self) -> None: ...


def connect(name: str) -> Transport:
    """The TPM of that name. Raises `InputError` or `EnvironmentError_`."""
    if name.startswith(_SWTPM):
        host, _, port = name.removeprefix(_SWTPM).rpartition(":")
        if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
            raise InputError(f"{name!r} names no TPM", remedy="write swtpm:HOST:PORT or the path of a device")
        return _Socket(name, host, int(port))
    return _CharacterDevice(name)


class _CharacterDevice:
    def __init__(self, path: str) -> None:
        self._path = path
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as fault:
            raise EnvironmentError_(
                f"the TPM cannot be opened: {fault.strerror}", where=path, remedy="name the device of a TPM 2.0"
            ) from None
        if not stat.S_ISCHR(os.fstat(self._descriptor).st_mode):  # a command would be written over a file
            os.close(self._descriptor)
            raise InputError(
                "is no device of a TPM", where=path, remedy="write swtpm:HOST:PORT or the path of a device"
            )

    def exchange(self, command: bytes) -> bytes:
        try:
            os.write(self._descriptor, command)
            ready, _, _ = select.select([self._descriptor], [], [], TIMEOUT_S)
            if not ready:
                raise EnvironmentError_(f"the TPM did not answer within {TIMEOUT_S:g} s", where=self._path)
            return os.read(self._descriptor, RESPONSE_BYTES_MAX)
        except OSError as fault:
            raise EnvironmentError_(f"the TPM cannot be spoken to: {fault.strerror}", where=self._path) from None

    def close(self) -> None:
        os.close(self._descriptor)


class _Socket:
    def __init__(self, name: str, host: str, port: int) -> None:
        self._name = name
        try:
            self._socket = socket.create_connection((host, port), timeout=TIMEOUT_S)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as fault:
            raise EnvironmentError_(f"swtpm cannot be reached: {fault}", where=name) from None

    def exchange(self, command: bytes) -> bytes:
        try:
            self._socket.sendall(command)
            head = self._take(HEADER_BYTES)
            size = int.from_bytes(head[2:6], "big")
            if not HEADER_BYTES <= size <= RESPONSE_BYTES_MAX:
                raise EnvironmentError_(f"the answer claims {size} bytes", where=self._name)
            return head + self._take(size - HEADER_BYTES)
        except OSError as fault:
            raise EnvironmentError_(f"swtpm cannot be spoken to: {fault}", where=self._name) from None

    def _take(self, count: int) -> bytes:
        parts: list[bytes] = []
        while count:
            part = self._socket.recv(count)
            if not part:
                raise EnvironmentError_("swtpm closed the connection", where=self._name)
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        self._socket.close()
