"""The few things a log asks of a disk, each with exactly one promise about crashes.

    read      the bytes of a file, or None; never more than a limit
    create    a file that nobody reads yet; nothing is durable, and a crash may leave any part of it
    write     readers see the old file or the new one, never a mixture; nothing is durable yet
    append    durable on return; a crash during the call may leave any part of the data at the end of the file
    replace   durable on return; after a crash at any moment the file is the old one or the new one
    settle    all that was written before is durable on return
    discard   a folder of files goes away at some time

The promises are narrow so that a test can break each of them as far as it may be broken. A failed call leaves the
caller with nothing to rely on: after an error of `append` or `settle` a log must be opened anew, because the kernel may
drop the data of a failed fsync and report success at the next one.

Not done here: file systems that reorder a rename before the data of an fsynced file; network file systems whose lock is
not exclusive.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
from pathlib import Path
from typing import Protocol

from inspectorate.errors import EnvironmentError_, InputError

_TEMPORARY = ".temporary"


class Disk(Protocol):
    """A folder of files named by relative paths, such as `tile/0/000`."""

    def read(self, path: str, bytes_max: int) -> bytes | None: ...

    def create(self, path: str, data: bytes) -> None: ...

    def write(self, path: str, data: bytes) -> None: ...

    def append(self, path: str, data: bytes) -> None: ...

    def replace(self, path: str, data: bytes) -> None: ...

    def settle(self) -> None: ...

    def discard(self, folder: str) -> None: ...

    def close(self) -> None: ...


class PosixDisk:
    """A real folder. Raises `EnvironmentError_` where the system refuses, `InputError` where the folder is in use.

    With `exclusive`, this process holds the folder until `close` or its death; without, nothing may be written.
    """

    def __init__(self, folder: Path, *, exclusive: bool) -> None:
        self._folder = folder
        self._appending: tuple[str, int] | None = None
        self._made: set[str] = set()
        try:
            self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as fault:
            raise InputError(f"cannot be opened: {fault.strerror}", where=str(folder)) from None
        if exclusive:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(self._descriptor)
                raise InputError(
                    "is in use by another writer", where=str(folder), remedy="let the other process end"
                ) from None

    def read(self, path: str, bytes_max: int) -> bytes | None:
        """The file's bytes, or None where there is no such file. A longer file is an error."""
        try:
            with open(self._folder / path, "rb") as file:
                data = file.read(bytes_max + 1)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as fault:
            raise self._failed("read", path, fault) from None
        if len(data) > bytes_max:
            raise EnvironmentError_(f"is longer than {bytes_max} bytes", where=str(self._folder / path))
        return data

    def create(self, path: str, data: bytes) -> None:
        try:
            self._make_parent(path)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644, dir_fd=self._descriptor)
            try:
                _write_all(descriptor, data)
            finally:
                os.close(descriptor)
        except OSError as fault:
            raise self._failed("write", path, fault) from None

    def write(self, path: str, data: bytes) -> None:
        self._put(path, data, durable=False)

    def replace(self, path: str, data: bytes) -> None:
        if self._appending and self._appending[0] == path:
            os.close(self._appending[1])
            self._appending = None
        self._put(path, data, durable=True)

    def append(self, path: str, data: bytes) -> None:
        try:
            if self._appending is None or self._appending[0] != path:
                self._forget_appending()
                self._appending = (path, os.open(self._folder / path, os.O_WRONLY | os.O_APPEND))
            _write_all(self._appending[1], data)
            os.fdatasync(self._appending[1])
        except OSError as fault:
            raise self._failed("append to", path, fault) from None

    def settle(self) -> None:
        try:
            _sync_file_system(self._descriptor)
        except OSError as fault:
            raise self._failed("synchronise", "", fault) from None

    def discard(self, folder: str) -> None:
        target = self._folder / folder
        self._made.discard(folder)
        try:
            for name in os.listdir(target):
                os.unlink(target / name)
            os.rmdir(target)
        except FileNotFoundError:
            return
        except OSError as fault:
            raise self._failed("remove", folder, fault) from None

    def close(self) -> None:
        """Release the folder. Nothing may be called afterwards."""
        self._forget_appending()
        os.close(self._descriptor)

    def _put(self, path: str, data: bytes, *, durable: bool) -> None:
        try:
            parent = self._make_parent(path)
            descriptor = os.open(_TEMPORARY, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644, dir_fd=self._descriptor)
            try:
                _write_all(descriptor, data)
                if durable:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.rename(_TEMPORARY, path, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
            if durable:
                self._sync_parent(parent)
        except OSError as fault:
            raise self._failed("write", path, fault) from None

    def _make_parent(self, path: str) -> str:
        parent = path.rpartition("/")[0]
        if parent not in self._made:
            (self._folder / parent).mkdir(parents=True, exist_ok=True)
            self._made.add(parent)
        return parent

    def _sync_parent(self, parent: str) -> None:
        """Make the name durable that a rename into `parent` gave."""
        if not parent:
            os.fsync(self._descriptor)
            return
        descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY, dir_fd=self._descriptor)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _forget_appending(self) -> None:
        if self._appending:
            os.close(self._appending[1])
            self._appending = None

    def _failed(self, verb: str, path: str, fault: OSError) -> EnvironmentError_:
        return EnvironmentError_(
            f"cannot {verb}: {fault.strerror}",
            where=str(self._folder / path),
            remedy="mend the disk and open the log again; what was acknowledged is kept",
        )


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_file_system(descriptor: int) -> None:
    """syncfs(2): one call for thousands of tiles, where an fsync each would take seconds. Raises `OSError`."""
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:
        os.sync()
    elif syncfs(descriptor) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
