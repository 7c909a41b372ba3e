"""A declared repository snapshot: every file by path, size, mode and digest, from a folder or an archive.

- The digest of a snapshot is that of its manifest in canonical JSON: files in the order of the bytes of their paths, each with
  path, size, `executable` and SHA-256. A folder and any archive of the same files give the same digest.
- Of modes only the executable bit of the owner counts: archives keep no more of it. A zip without Unix modes has none.
- `code` is the digest that the enrolment of a workload gives the same files (names and contents only), so that both can be joined.
- Every file counts, hidden ones and caches too. Empty folders, owners and times do not.
- Refused, as `EvidenceError`: links of any kind, devices, pipes, sockets, encrypted members, absolute paths, `..`, empty parts,
  backslashes and control characters in names, two members of one name or names that differ by case alone, more files or bytes
  than `reference` allows, archives that expand as bombs do, and a snapshot without a file.
- Nothing is ever written to disk, run or imported here; `unpack` writes plain files below a new folder, for the run of a review.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from inspectorate.canonical import Digest, Record, canonical_bytes, digest_of
from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.mechanisms.inspection.code import reference
from inspectorate.mechanisms.inspection.code.types import FileName


class FileOf(Record):
    """One file of a snapshot."""

    path: FileName
    size: int
    executable: bool
    digest: Digest


@dataclass(frozen=True, kw_only=True)
class Found:
    """One file as a reader found it: its name, and how to open it."""

    name: str
    size: int
    executable: bool
    open: Callable[[], BinaryIO]


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The manifest, and the contents of what the review reads."""

    files: tuple[FileOf, ...]
    contents: dict[str, bytes]
    """Of files up to `SOURCE_BYTES_MAX`."""
    heads: dict[str, bytes]
    """The first bytes of every file."""

    @property
    def digest(self) -> str:
        return digest_of(self.manifest())

    @property
    def code(self) -> str:
        hasher = hashlib.sha256()
        for file in self.files:
            hasher.update(f"{file.digest.removeprefix('sha256:')}  {file.path}\n".encode())
        return "sha256:" + hasher.hexdigest()

    def manifest(self) -> bytes:
        """The canonical form of the list of files."""
        return canonical_bytes({"files": [file.model_dump(mode="json") for file in self.files]})


HEAD_BYTES = 512


def snapshot_of(found: Iterator[Found], *, where: str, keep: bool = True) -> Snapshot:
    """Read files one after the other under all limits. Raises `EvidenceError`."""
    files: dict[str, FileOf] = {}
    contents: dict[str, bytes] = {}
    heads: dict[str, bytes] = {}
    total = 0
    for one in found:
        check_name(one.name, where=where)
        if one.name in files:
            raise EvidenceError(f"{one.name!a} is there twice", where=where)
        if len(files) >= reference.FILES_MAX:
            raise EvidenceError(f"more than {reference.FILES_MAX:,} files", where=where)
        hasher, size, kept = hashlib.sha256(), 0, bytearray()
        with one.open() as file:
            while chunk := file.read(reference.CHUNK_BYTES):
                size += len(chunk)
                total += len(chunk)
                if size > reference.FILE_BYTES_MAX or total > reference.SNAPSHOT_BYTES_MAX:
                    raise EvidenceError("holds more bytes than a review reads", where=f"{where}: {one.name}")
                hasher.update(chunk)
                if len(kept) <= reference.SOURCE_BYTES_MAX:
                    kept += chunk
        if size != one.size:
            raise EvidenceError(f"has {size} bytes and says {one.size}", where=f"{where}: {one.name}")
        files[one.name] = FileOf(
            path=one.name, size=size, executable=one.executable, digest="sha256:" + hasher.hexdigest()
        )
        heads[one.name] = bytes(kept[:HEAD_BYTES])
        if keep and size <= reference.SOURCE_BYTES_MAX:
            contents[one.name] = bytes(kept)
    if not files:
        raise EvidenceError("holds no file", where=where, remedy="give the code that runs")
    _check_tree(files, where)
    order = sorted(files, key=lambda name: name.encode())
    return Snapshot(files=tuple(files[name] for name in order), contents=contents, heads=heads)


def check_name(name: str, *, where: str) -> None:
    """Refuse a path that leaves its folder, or that two systems read differently. Raises `EvidenceError`."""
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        raise EvidenceError(f"{name!a} is no text", where=where) from None
    parts = name.split("/")
    if not 0 < length <= reference.PATH_BYTES_MAX or len(parts) > reference.PATH_DEPTH_MAX:
        raise EvidenceError(f"{name[:80]!a} is no usable path", where=where)
    if any(part in {"", ".", ".."} for part in parts) or ":" in parts[0]:
        raise EvidenceError(f"{name[:80]!a} leads out of the snapshot", where=where)
    if any(c == "\\" or not c.isprintable() for c in name):
        raise EvidenceError(f"{name[:80]!a} has other than plain characters", where=where)


def _check_tree(files: dict[str, FileOf], where: str) -> None:
    """No file is a folder of another, and no two names differ by case alone: systems would read them differently."""
    folders = {"/".join(name.split("/")[:depth]) for name in files for depth in range(1, name.count("/") + 1)}
    if both := folders & set(files):
        raise EvidenceError(f"{min(both)!a} is a file and a folder", where=where)
    lowered: dict[str, str] = {}
    for name in files:
        if (other := lowered.setdefault(name.casefold(), name)) != name:
            raise EvidenceError(f"{name!a} and {other!a} differ by case alone", where=where)


def folder_files(root: Path) -> Iterator[Found]:
    """The files of a folder. Links and special files are refused."""
    waiting = [""]
    while waiting:
        below = waiting.pop()
        try:
            with os.scandir(root / below) as entries:
                for entry in sorted(entries, key=lambda e: e.name):
                    name = f"{below}/{entry.name}" if below else entry.name
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(status.st_mode):
                        check_name(os.fsencode(name).decode("utf-8", "replace"), where=str(root))
                        waiting.append(name)
                    elif stat.S_ISREG(status.st_mode):
                        yield Found(
                            name=name,
                            size=status.st_size,
                            executable=bool(status.st_mode & stat.S_IXUSR),
                            open=lambda path=root / name: open_plain(path),  # type: ignore[misc]
                        )
                    else:
                        raise EvidenceError(
                            "is a link or a special file", where=f"{root}/{name}", remedy="give plain files only"
                        )
        except OSError as fault:
            raise InputError(f"cannot be read: {fault.strerror}", where=f"{root}/{below}") from None


def open_plain(path: Path) -> BinaryIO:
    """Open a file that is still no link."""
    try:
        return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK), "rb")
    except OSError as fault:
        raise EvidenceError(f"cannot be read: {fault.strerror}", where=str(path)) from None


def unpack(snapshot: Snapshot, source: Iterator[Found], folder: Path) -> None:
    """Write the files of a snapshot below `folder`, each held against its digest as it is written."""
    known = {file.path: file for file in snapshot.files}
    seen = set()
    for one in source:
        check_name(one.name, where=str(folder))
        file = known.get(one.name)
        if file is None or one.name in seen:
            raise EvidenceError("is not what was digested", where=one.name)
        seen.add(one.name)
        target = folder / one.name
        hasher = hashlib.sha256()
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with one.open() as reader, target.open("xb") as out:
                while chunk := reader.read(reference.CHUNK_BYTES):
                    hasher.update(chunk)
                    out.write(chunk)
            target.chmod(0o500 if file.executable else 0o400)
        except OSError as fault:
            raise EnvironmentError_(f"cannot be written: {fault.strerror}", where=str(target)) from None
        if "sha256:" + hasher.hexdigest() != file.digest:
            raise EvidenceError("changed while it was read", where=one.name)
    if seen != set(known):
        raise EvidenceError("files went away while they were read", where=str(folder))
