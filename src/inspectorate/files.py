"""Files that a user or another party names: read whole and never beyond a limit; written whole, or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from inspectorate.errors import EnvironmentError_, InputError, InspectorateError

_PART_BYTES = 1 << 20


def read_bounded(
    path: Path,
    bytes_max: int,
    *,
    unreadable: type[InspectorateError] = InputError,
    too_large: type[InspectorateError] = InputError,
    remedy: str = "",
) -> bytes:
    """The bytes of a file, a pipe or a device that holds at most `bytes_max`.

    Links are followed: a file in a folder of the other side is read by `evidence.exchange.read_plain`. Raises `unreadable` where
    the file cannot be read, and `too_large` where it holds more.
    """
    data = bytearray()
    try:
        with path.open("rb") as file:
            # Bit by bit: a buffer of the whole limit may be more than the memory.
            while len(data) <= bytes_max and (part := file.read(min(_PART_BYTES, bytes_max + 1 - len(data)))):
                data += part
    except OSError as fault:
        raise unreadable(f"cannot be read: {fault.strerror}", where=str(path), remedy=remedy) from None
    except ValueError as fault:
        raise unreadable(f"cannot be read: {fault}", where=repr(str(path)), remedy=remedy) from None
    if len(data) > bytes_max:
        raise too_large(f"has more than {bytes_max} bytes", where=str(path), remedy=remedy)
    return bytes(data)


def replace_file(path: Path, data: bytes, *, mode: int | None = None) -> None:
    """Put a file with these bytes under a name: whatever happens to the machine, the old file or the new one is there, whole.

    It is written beside its place under a name that ends in `.new`, made durable, and renamed. What is there and no regular file (a
    pipe, a terminal) is written to as it is. `mode`: the permissions of the file; none: those of the old one, or what the process
    gives to new files. Raises `EnvironmentError_`.
    """
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        there = _there(path)
        if there is not None and not stat.S_ISREG(there) and not stat.S_ISDIR(there):
            path.write_bytes(data)
            return
        try:
            new.unlink(missing_ok=True)
            _write_durably(new, data, mode if mode is not None or there is None else stat.S_IMODE(there))
            new.rename(path)
        except OSError:
            with contextlib.suppress(OSError):
                new.unlink()
            raise
        make_durable(path.parent)
    except OSError as fault:
        raise cannot_write(path, fault) from None


def _there(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except OSError:
        return None


def _write_durably(path: Path, data: bytes, mode: int | None) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o666 if mode is None else 0o600)
    with os.fdopen(descriptor, "wb") as file:
        if mode is not None:
            os.fchmod(descriptor, mode)
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def make_durable(folder: Path) -> None:
    """Names in a folder outlast a crash only after this."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def cannot_write(path: Path, fault: OSError) -> EnvironmentError_:
    """An error of the disk, as ours."""
    return EnvironmentError_(
        f"cannot be written: {fault.strerror}", where=str(path), remedy="give a folder with room and the right to write"
    )
