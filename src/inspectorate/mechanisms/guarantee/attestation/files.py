"""Files of secrets, which are written once."""

from __future__ import annotations

import os
from pathlib import Path

from inspectorate.errors import EnvironmentError_


def write_secret(path: Path, data: bytes) -> None:
    """Write a new file that only its owner can read. Refuses to overwrite. Raises `EnvironmentError_`."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as fault:
        raise EnvironmentError_(f"cannot be written: {fault.strerror}", where=str(path)) from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
