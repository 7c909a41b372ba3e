"""The collector's folder: whole files under final names, or nothing.

    statements/<hex>.json    as in a bundle
    payloads/<hex>           as in a bundle
    partial/                 files not finished; emptied when the folder is next opened
    collector.lock           held by the one collector that writes here; released by its death

A file is written under `partial`, made durable, and renamed; then its folder is made durable. A file that is there already
is the same file, because its name is its digest.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from inspectorate.errors import EnvironmentError_
from inspectorate.files import cannot_write, make_durable

_WRITE_BUFFER_BYTES = 1024 * 1024


class Spool(Protocol):
    """Where sealed files go. `put` returns when the file is durable, whole and under its name."""

    def put(self, name: str, chunks: Sequence[bytes | memoryview]) -> None: ...


class DiskSpool:
    """A spool in a folder, for one collector at a time. Raises `EnvironmentError_` where the folder cannot be used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path / "partial"
        try:
            for folder in (path / "statements", path / "payloads", self._partial):
                folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(path / "collector.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as fault:
            raise cannot_write(path, fault) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for left in self._partial.iterdir():
                left.unlink()
            for folder in (path, path.parent):
                make_durable(folder)
        except BlockingIOError:
            os.close(self._lock)
            raise EnvironmentError_(
                "another collector writes here", where=str(path), remedy="give each collector its own folder"
            ) from None
        except OSError as fault:
            os.close(self._lock)
            raise cannot_write(path, fault) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._lock)

    def put(self, name: str, chunks: Sequence[bytes | memoryview]) -> None:
        """Write a file durably under `name` (`<folder>/<digest...>`). Raises `EnvironmentError_`."""
        target = self._path / name
        partial = self._partial / target.name
        try:
            if target.exists():
                return
            with partial.open("wb", buffering=_WRITE_BUFFER_BYTES) as file:
                file.writelines(chunks)
                file.flush()
                os.fsync(file.fileno())
            partial.rename(target)
            make_durable(target.parent)
        except OSError as fault:
            raise cannot_write(target, fault) from None
