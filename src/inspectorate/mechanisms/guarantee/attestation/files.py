"""Small files that are either the old or the new, whatever happens to the machine."""

from __future__ import annotations

import os
from pathlib import Path

from inspectorate.errors import EnvironmentError_


def replace_file(path: Path, data: bytes) -> None:
    """Put `data` in place of a file, durably. Raises `EnvironmentError_`."""
    new = path.with_name(path.name + ".new")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as fault:
        raise EnvironmentError_(f"cannot be written: {fault.strerror}", where=str(path)) from None


def write_secret(path: Path, data: bytes) -> None:
    """Write a new file that only its owner can read. Refuses to overwrite. Raises `EnvironmentError_`."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as fault:
        raise EnvironmentError_(f"cannot be written: {fault.strerror}", where=str(path)) from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
