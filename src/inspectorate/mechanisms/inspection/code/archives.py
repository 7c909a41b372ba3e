"""Snapshots from archives: tar (plain, gzip, bzip2, xz), zip and wheel; and one reader for all forms.

Archives are read as streams by the standard library and never unpacked by it. A tar must be of plain files and folders; a zip
must have one end record that its local headers agree with, which `zipfile` checks when a member is opened.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, BinaryIO, Self, TypeVar, cast

from inspectorate.errors import EvidenceError, InputError
from inspectorate.mechanisms.inspection.code import reference
from inspectorate.mechanisms.inspection.code.snapshot import (
    Found,
    Snapshot,
    check_name,
    folder_files,
    snapshot_of,
)

FAULTS = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError, OSError)
"""What the standard library raises on archives that are none, or that ask for what it does not do."""
SYSTEM_UNIX = 3
Read = TypeVar("Read")
HEADER_BYTES_MAX = 64 * reference.CHUNK_BYTES
PACKED: dict[bytes, Callable[[Path], IO[bytes]]] = {
    b"\x1f\x8b": lambda path: cast("IO[bytes]", gzip.open(path, "rb")),  # noqa: SIM115 - the caller closes it
    b"BZh": lambda path: cast("IO[bytes]", bz2.open(path, "rb")),  # noqa: SIM115 - the caller closes it
    b"\xfd7zXZ": lambda path: cast("IO[bytes]", lzma.open(path, "rb")),  # noqa: SIM115 - the caller closes it
}


def read_snapshot(path: Path, *, keep: bool = True) -> Snapshot:
    """The snapshot of a folder, an archive, or one file. Raises `EvidenceError`, `InputError`."""
    return snapshot_of(files_of(path), where=str(path), keep=keep)


def files_of(path: Path) -> Iterator[Found]:
    """The files of a folder, an archive, or one file, one after the other."""
    if path.is_symlink():
        raise InputError("is a link", where=str(path), remedy="name what it points to")
    if path.is_dir():
        return folder_files(path)
    if not path.is_file():
        raise InputError("is no file or folder", where=str(path), remedy="give the declared code")
    return _guarded(path)


class _Member:
    """One member as it is read: whoever reads it is outside of `_guarded`, and its faults are translated here."""

    def __init__(self, opened: Callable[[], BinaryIO], where: str) -> None:
        self._where = where
        self._file = self._translated(opened)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, size: int = -1) -> bytes:
        return self._translated(lambda: self._file.read(size))

    def _translated(self, act: Callable[[], Read]) -> Read:
        try:
            return act()
        except FAULTS as fault:
            raise EvidenceError(f"is no readable archive: {str(fault)[:200]}", where=self._where) from None


def _guarded(path: Path) -> Iterator[Found]:
    """Archive members, with faults of the libraries translated."""
    for one in _members(path):
        yield replace(one, open=lambda found=one: cast("BinaryIO", _Member(found.open, f"{path}: {found.name}")))  # type: ignore[misc]


def _members(path: Path) -> Iterator[Found]:
    try:
        with path.open("rb") as file:
            head = file.read(8)
        if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            yield from _zip_files(path)
        elif _is_tar(path, head):
            yield from _tar_files(path, head)
        else:
            raw = path.read_bytes() if path.stat().st_size <= reference.FILE_BYTES_MAX else b""
            executable = bool(path.stat().st_mode & stat.S_IXUSR)
            yield Found(name=path.name, size=len(raw), executable=executable, open=lambda: io.BytesIO(raw))
    except FAULTS as fault:
        raise EvidenceError(f"is no readable archive: {str(fault)[:200]}", where=str(path)) from None
    except MemoryError:
        raise EvidenceError("takes more memory than a review has", where=str(path)) from None


def _is_tar(path: Path, head: bytes) -> bool:
    if any(head.startswith(mark) for mark in PACKED):
        return True
    with path.open("rb") as file:
        return file.read(262)[257:] == b"ustar"


class _Counted(io.RawIOBase):
    """A stream that ends a bomb: it refuses more unpacked bytes than the packed size allows."""

    def __init__(self, stream: IO[bytes], packed: int, where: str) -> None:
        super().__init__()
        self._stream = stream
        self._left = min(
            reference.SNAPSHOT_BYTES_MAX, max(reference.EXPANSION_FREE_BYTES, reference.EXPANSION_MAX * packed)
        )
        self._where = where
        self.until_next = HEADER_BYTES_MAX
        """How much may be read before the next member is there: headers of a tar may be as long as they say."""

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        wanted = reference.CHUNK_BYTES if size is None or size < 0 else min(size, 16 * reference.CHUNK_BYTES)
        data = self._stream.read(wanted)
        self._left -= len(data)
        self.until_next -= len(data)
        if self.until_next < 0:
            raise EvidenceError("has a header that no honest archive has", where=self._where)
        if self._left < 0:
            raise EvidenceError("expands as no honest archive does", where=self._where)
        return data

    def close(self) -> None:
        self._stream.close()
        super().close()


def _tar_files(path: Path, head: bytes) -> Iterator[Found]:
    opener = next((opener for mark, opener in PACKED.items() if head.startswith(mark)), None)
    plain = opener(path) if opener else path.open("rb")
    with (
        _Counted(plain, path.stat().st_size, str(path)) as counted,
        tarfile.open(fileobj=cast("BinaryIO", counted), mode="r|", errorlevel=2, ignore_zeros=False) as archive,
    ):
        for member in archive:
            counted.until_next = HEADER_BYTES_MAX
            name = member.name.removeprefix("./") if member.name != "." else ""
            if member.isdir():
                if name.rstrip("/"):
                    check_name(name.rstrip("/"), where=str(path))
                continue
            if not member.isreg() or member.sparse is not None:
                raise EvidenceError(f"{name[:80]!a} is no plain file", where=str(path), remedy="no links, no devices")
            stream = archive.extractfile(member)
            assert stream is not None
            executable = bool(member.mode & stat.S_IXUSR)
            counted.until_next = member.size + HEADER_BYTES_MAX
            yield Found(name=name, size=member.size, executable=executable, open=lambda s=stream: s)  # type: ignore[misc]


def _zip_files(path: Path) -> Iterator[Found]:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) > reference.FILES_MAX:
            raise EvidenceError(f"more than {reference.FILES_MAX:,} files", where=str(path))
        total, packed = sum(m.file_size for m in members), path.stat().st_size
        allowed = max(reference.EXPANSION_FREE_BYTES, reference.EXPANSION_MAX * packed)
        if total > min(allowed, reference.SNAPSHOT_BYTES_MAX):
            raise EvidenceError("expands as no honest archive does", where=str(path))
        for member in members:
            # The raw name: zipfile cuts at a NUL, which another reader need not do.
            name = member.orig_filename
            mode = member.external_attr >> 16 if member.create_system == SYSTEM_UNIX else 0
            if member.is_dir():
                check_name(name.rstrip("/"), where=str(path))
                continue
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG) or member.flag_bits & 1:
                raise EvidenceError(
                    f"{name[:80]!a} is no plain file", where=str(path), remedy="no links, no encryption"
                )
            yield Found(
                name=name,
                size=member.file_size,
                executable=bool(mode & stat.S_IXUSR),
                open=lambda m=member: cast("BinaryIO", archive.open(m)),  # type: ignore[misc]
            )
