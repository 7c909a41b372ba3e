"""Files below a folder, found and read within bounds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from inspectorate.errors import InputError
from inspectorate.mechanisms.workloads.evaluate.reference import FILE_BYTES_MAX, FILES_MAX


def files_below(folder: Path, patterns: Sequence[str]) -> tuple[Path, ...]:
    """The files of these patterns in a folder and below, in order. A file is itself. Raises `InputError`."""
    if folder.is_file():
        return (folder,)
    if not folder.is_dir():
        raise InputError("is no file and no folder", where=str(folder))
    found: set[Path] = set()
    for pattern in patterns:
        for path in folder.rglob(pattern):
            found.add(path)
            if len(found) > FILES_MAX:
                raise InputError(f"more than {FILES_MAX} files", where=str(folder), remedy="name a folder further down")
    files = tuple(sorted(path for path in found if path.is_file()))
    if not files:
        raise InputError(f"holds no {' or '.join(patterns)}", where=str(folder))
    return files


def read_bounded(path: Path) -> bytes:
    """The bytes of a file. Raises `InputError`."""
    try:
        size = path.stat().st_size
        if size > FILE_BYTES_MAX:
            raise InputError(f"{size} bytes are more than {FILE_BYTES_MAX}", where=str(path))
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as fault:
        raise InputError(f"cannot be read: {fault.strerror}", where=str(path)) from None
    if len(data) > FILE_BYTES_MAX:
        raise InputError(f"more than {FILE_BYTES_MAX} bytes", where=str(path))
    return data
