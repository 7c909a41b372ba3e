"""The one byte form of a bundle archive: a plain POSIX ustar with fixed headers, members sorted by name.

A tar header has room for many things that mean nothing (owner, time, padding). Here all of it is fixed, so that an
archive of given files is always the same bytes, and a reader can refuse any other. The standard library writes the
headers (`tarfile`); reading compares each header with the one that would have been written.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from inspectorate.errors import EnvironmentError_
from inspectorate.evidence.problems import ProblemKind, RejectedEvidence

BLOCK = tarfile.BLOCKSIZE
END = b"\0" * (2 * BLOCK)
BytesFile = io.BufferedReader | io.BytesIO


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o644
    return info.tobuf(format=tarfile.USTAR_FORMAT)


def write_tar(file: BinaryIO, contents: Mapping[str, bytes]) -> None:
    """Write files as a bundle archive."""
    for name in sorted(contents):
        data = contents[name]
        file.write(_header(name, len(data)))
        file.write(data)
        file.write(b"\0" * (-len(data) % BLOCK))
    file.write(END)


class TarFile:
    """Bundle files in an archive. Reading the index checks every byte that is not a member's content."""

    def __init__(self, path: Path, *, files_max: int, bytes_max: int) -> None:
        self.where = str(path)
        self._path = path
        self._places: dict[str, tuple[int, int]] = {}
        try:
            size = path.stat().st_size
            if size > bytes_max:
                raise RejectedEvidence(
                    ProblemKind.MALFORMED, f"has {size} bytes, more than {bytes_max}", where=self.where
                )
            with path.open("rb") as file:
                self._index(file, size, files_max)
        except OSError as fault:
            raise EnvironmentError_(f"cannot be read: {fault.strerror}", where=self.where) from None

    def sizes(self) -> dict[str, int]:
        return {name: size for name, (_, size) in self._places.items()}

    def open(self, name: str) -> BytesFile:
        offset, size = self._places[name]
        try:
            with self._path.open("rb") as file:
                file.seek(offset)
                return io.BytesIO(file.read(size))
        except OSError as fault:
            raise EnvironmentError_(f"cannot be read: {fault.strerror}", where=self.where) from None

    def _index(self, file: BinaryIO, archive_size: int, files_max: int) -> None:
        last = ""
        while True:
            block = file.read(BLOCK)
            if len(block) < BLOCK:
                raise RejectedEvidence(ProblemKind.TRUNCATED, "ends before its end mark", where=self.where)
            if block == END[:BLOCK]:
                break
            name, size = self._member(block)
            offset = file.tell()
            if name <= last or offset + size > archive_size:
                kind = ProblemKind.TRUNCATED if name > last else ProblemKind.MALFORMED
                raise RejectedEvidence(kind, f"{name} is out of order or cut off", where=self.where)
            if len(self._places) >= files_max:
                raise RejectedEvidence(ProblemKind.MALFORMED, f"more than {files_max} files", where=self.where)
            self._places[name] = (offset, size)
            file.seek(size, io.SEEK_CUR)
            if file.read(-size % BLOCK).strip(b"\0"):
                raise RejectedEvidence(ProblemKind.MALFORMED, f"{name} is followed by stray bytes", where=self.where)
            last = name
        if file.read(BLOCK + 1) != END[BLOCK:]:
            raise RejectedEvidence(ProblemKind.MALFORMED, "does not end with its end mark", where=self.where)

    def _member(self, block: bytes) -> tuple[str, int]:
        """Name and size from a header, if it is byte for byte the header that we would write."""
        try:
            info = tarfile.TarInfo.frombuf(block, "ascii", "strict")
            same = _header(info.name, info.size) == block
        except (tarfile.HeaderError, ValueError):
            same = False
        if not same:
            raise RejectedEvidence(ProblemKind.MALFORMED, "has a header that no bundle has", where=self.where)
        return info.name, info.size
