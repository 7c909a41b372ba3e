"""Files below a folder, found within bounds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from inspectorate.errors import InputError
from inspectorate.mechanisms.workloads.evaluate.reference import FILES_MAX


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
