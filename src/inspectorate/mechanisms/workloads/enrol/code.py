"""One digest for the code and configuration that an inspector read.

- Of a file: its SHA-256.
- Of a folder: the SHA-256 of one line per file, `<hex SHA-256 of the file>  <path>` and a line feed, in the order of the bytes
  of the paths; paths are relative to the folder, with `/`, in UTF-8. With usual tools:

      (cd FOLDER && find . -type f -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum) | sha256sum

- Every file counts, hidden ones and caches too: a name that is left out is a place for other code. Give a clean export.
- Links, special files and names with a line feed, a backslash, another control character or outside of UTF-8 are refused;
  so is a folder without a file. Modes, owners, times and empty folders do not count.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from inspectorate.errors import InputError
from inspectorate.mechanisms.workloads.enrol import reference


@dataclass(frozen=True, kw_only=True)
class CodeDigest:
    """The digest, and how much it covers."""

    digest: str
    files: int
    size_bytes: int


def code_digest(path: Path) -> CodeDigest:
    """The digest of a file or folder (rules in the module's docstring). Raises `InputError`."""
    if path.is_symlink():
        raise InputError("is a link", where=str(path), remedy="name what it points to")
    if path.is_file():
        digest, size = _hash(path)
        return CodeDigest(digest=f"sha256:{digest}", files=1, size_bytes=size)
    if not path.is_dir():
        raise InputError("is no file or folder", where=str(path), remedy="give the code that runs")
    hasher, files, total = hashlib.sha256(), 0, 0
    for name in sorted(_names(path), key=os.fsencode):
        digest, size = _hash(path / name)
        hasher.update(f"{digest}  {name}\n".encode())
        files, total = files + 1, total + size
        if total > reference.CODE_BYTES_MAX:
            raise InputError(f"holds more than {reference.CODE_BYTES_MAX:,} bytes", where=str(path))
    if not files:
        raise InputError("holds no file", where=str(path), remedy="give the code that runs")
    return CodeDigest(digest=f"sha256:{hasher.hexdigest()}", files=files, size_bytes=total)


def _names(root: Path) -> list[str]:
    """Paths of all files, relative to the root."""
    found: list[str] = []
    for entry, name in _walk(root):
        kind = entry.stat(follow_symlinks=False).st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
            raise InputError(
                "is a link or a special file", where=entry.path, remedy="give an export with plain files only"
            )
        try:
            printable = not any(c == "\\" or not 32 <= ord(c) != 127 for c in name) and bool(name.encode())
        except UnicodeEncodeError:
            printable = False
        if not printable:
            raise InputError(f"has a name with other than plain characters: {name!a}", where=str(root))
        if stat.S_ISREG(kind):
            found.append(name)
        if len(found) > reference.CODE_FILES_MAX:
            raise InputError(f"holds more than {reference.CODE_FILES_MAX:,} files", where=str(root))
    return found


def _walk(root: Path) -> Iterator[tuple[os.DirEntry[str], str]]:
    """Every entry below the root with its relative path; folders are entered, links are not."""
    waiting = [""]
    while waiting:
        below = waiting.pop()
        try:
            with os.scandir(root / below) as entries:
                for entry in entries:
                    name = f"{below}/{entry.name}" if below else entry.name
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(name)
                    yield entry, name
        except OSError as fault:
            raise InputError(f"cannot be read: {fault.strerror}", where=str(root / below)) from None


def _hash(path: Path) -> tuple[str, int]:
    hasher, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(reference.CHUNK_BYTES):
                hasher.update(chunk)
                size += len(chunk)
    except OSError as fault:
        raise InputError(f"cannot be read: {fault.strerror}", where=str(path)) from None
    return hasher.hexdigest(), size
