"""What an intake asks of a disk: files that are whole or absent, and room that is taken before it is needed.

Nothing is written under a temporary name that says anything, and nothing outside the folder of the store.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from inspectorate.errors import EnvironmentError_, EvidenceError, InputError

CHUNK_BYTES = 1 << 20


def write_durably(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write a file that is whole when it appears under its name. Raises `EnvironmentError_`."""
    partial = path.with_name(path.name + ".new")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        partial.rename(path)
        make_durable(path.parent)
    except OSError as fault:
        raise cannot_write(path, fault) from None


def make_durable(folder: Path) -> None:
    """Names in a folder outlast a crash only after this."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def move(path: Path, target: Path) -> None:
    """Rename durably, if the file is there: after a crash the same step is made again. Raises `EnvironmentError_`."""
    try:
        if path.exists():
            path.rename(target)
            make_durable(target.parent)
            make_durable(path.parent)
    except OSError as fault:
        raise cannot_write(target, fault) from None


def allocate(path: Path, size_bytes: int) -> bool:
    """Take room for a file of zeros, of which none can run out later. False where the disk has no such room."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if os.fstat(descriptor).st_size > size_bytes:
                os.ftruncate(descriptor, 0)
            os.posix_fallocate(descriptor, 0, size_bytes)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        make_durable(path.parent)
    except OSError:
        path.unlink(missing_ok=True)
        return False
    return True


def read_blocks(path: Path, block_bytes: int) -> Iterator[bytes]:
    """The blocks of a file, one after the other; an incomplete last one is left out. Raises `EvidenceError`."""
    try:
        with path.open("rb", buffering=max(CHUNK_BYTES, block_bytes)) as file:
            while len(block := file.read(block_bytes)) == block_bytes:
                yield block
    except OSError as fault:
        raise EvidenceError(f"cannot be read: {fault.strerror}", where=str(path)) from None


def lock(path: Path) -> int:
    """Hold a file for this process. Raises `InputError` where another holds it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as fault:
        raise cannot_write(path, fault) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise InputError("another process runs this intake", where=str(path.parent)) from None
    return descriptor


def cannot_write(path: Path, fault: OSError) -> EnvironmentError_:
    """An error of the disk, as ours."""
    return EnvironmentError_(
        f"cannot be written: {fault.strerror}", where=str(path), remedy="give a folder with room and the right to write"
    )
