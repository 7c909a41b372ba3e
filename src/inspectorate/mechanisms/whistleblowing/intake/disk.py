"""What an intake asks of a disk beside files that are whole or absent: room that is taken before it is needed, and a lock.

Nothing is written outside the folder of the store.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from inspectorate.errors import EvidenceError, InputError
from inspectorate.files import cannot_write, make_durable

CHUNK_BYTES = 1 << 20


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
