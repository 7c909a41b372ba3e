"""Copies of files without their metadata, made by mat2 in a closed-in process. The original stays sealed as it came.

1. What a file is, is told by its first bytes, not by its name or by what a browser said. Kinds that are not in `KINDS` or `IN_ZIP`,
   and files that say one thing and are another, are kept as they are, sealed, and said so.
2. A document in a ZIP container is looked through first: members and their unpacked size are bounded. The process that reads has
   bounded memory, time and output besides (`apart`): a bomb ends the process and nothing else.
3. mat2 writes the copy anew: pictures and PDF pages are drawn again, so that what was hung on or hidden in them does not come
   along; documents keep the members that mat2 knows, and one unknown member stops it.
4. Where network or files are not closed off by the kernel, where mat2 is not there, fails or takes too long: no copy, and why.

The bytes lie in a folder of memory (tmpfs) while the process runs, never on a disk. Where that is none, nothing is cleaned.

mat2 (Debian package `mat2`, 0.13; LGPL) is maintained by people who know newsrooms. It does not take out watermarks, a style of
writing, the pattern of a camera's sensor, or what can be read in the picture itself. A cleaned copy is never "anonymous".
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from inspectorate.apart import Enclosure, run_apart
from inspectorate.errors import EnvironmentError_

WORKER = "inspectorate.mechanisms.whistleblowing.cases.clean_worker"
MEMORY = Path("/dev/shm")  # noqa: S108 - memory, and never a disk: checked before it is used
TOOL = "mat2"
PYTHON = "/usr/bin/python3"
"""The interpreter for which Debian packages mat2 and its libraries."""
FILE_BYTES_MAX = 64 << 20
"""Larger files are kept sealed: what it takes to draw them again is not bounded by their size."""
CLEANED_BYTES_MAX = 256 << 20
SECONDS = 60.0
MEMORY_BYTES = 3 << 30
"""Of addresses: libraries of pictures map some hundred MiB before they read anything."""
READABLE = ("/etc/perl", "/etc/mime.types", "/etc/fonts", "/etc/python3", "/etc/alternatives")
"""What mat2 and its libraries read beside the system's own folders."""

KINDS = MappingProxyType(
    {
        ".jpg": (b"\xff\xd8\xff",),
        ".png": (b"\x89PNG\r\n\x1a\n",),
        ".gif": (b"GIF87a", b"GIF89a"),
        ".tiff": (b"II*\x00", b"MM\x00*"),
        ".bmp": (b"BM",),
        ".pdf": (b"%PDF-",),
        ".mp3": (b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2"),
        ".flac": (b"fLaC",),
    }
)
"""First bytes of what mat2 cleans and is told by them."""
ZIP = b"PK\x03\x04"
IN_ZIP = MappingProxyType(
    {
        ".docx": "word/", ".xlsx": "xl/", ".pptx": "ppt/",
        ".odt": "application/vnd.oasis.opendocument.text", ".ods": "application/vnd.oasis.opendocument.spreadsheet",
        ".odp": "application/vnd.oasis.opendocument.presentation",
    }
)  # fmt: skip
"""Documents in ZIP containers: a folder that they have, or what their member `mimetype` says."""
SAME = MappingProxyType({".jpeg": ".jpg", ".jpe": ".jpg", ".tif": ".tiff"})


@dataclass(frozen=True, kw_only=True)
class CleanCopy:
    """A copy without metadata; or none, and why. `tool` says what made it."""

    data: bytes | None
    tool: str
    suffix: str = ""
    kept_because: str | None = None


def kind_of(data: bytes, name: str) -> tuple[str, str | None]:
    """Step 1: the suffix of the kind, or "" and why it is kept. Documents in ZIP containers are told apart by the worker."""
    said = Path(name.replace("\\", "/")).suffix.lower()
    said = SAME.get(said, said)
    if data.startswith(ZIP):
        if said not in IN_ZIP:
            return "", f"a ZIP container that is called {said or 'nothing'}: archives are not cleaned"
        return said, None
    found = next((suffix for suffix, firsts in KINDS.items() if data.startswith(firsts)), "")
    if not found:
        return "", "of no kind that can be cleaned"
    if said and said != found:
        return "", f"called {said}, and is {found}: it may be two things at once"
    return found, None


def clean(data: bytes, name: str) -> CleanCopy:
    """A copy of a file without its metadata, or why there is none (steps in the module's docstring)."""
    # (1)
    suffix, why = kind_of(data, name)
    if why is None and len(data) > FILE_BYTES_MAX:
        why = f"larger than {FILE_BYTES_MAX >> 20} MiB"
    tool = _version()
    if why is None and tool is None:
        why = f"{TOOL} is not installed here"
    if why is not None or tool is None:
        return CleanCopy(data=None, tool=tool or TOOL, kept_because=why)
    try:
        folder = _memory_folder()
    except OSError as fault:
        return CleanCopy(data=None, tool=tool, kept_because=f"no folder in memory: {fault}")
    try:
        cleaned, why = _apart(data, suffix, folder)
        return CleanCopy(data=cleaned, tool=tool, suffix=suffix if cleaned else "", kept_because=why)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _apart(data: bytes, suffix: str, folder: Path) -> tuple[bytes | None, str | None]:
    """Steps 2 to 4: the copy, or why there is none."""
    enclosure = Enclosure(
        seconds=SECONDS, memory_bytes=MEMORY_BYTES, output_bytes=1 << 16, file_bytes=CLEANED_BYTES_MAX, files=256,
        readable=READABLE, writable=(str(folder),),
    )  # fmt: skip
    job = {"folder": str(folder), "suffix": suffix, "python": PYTHON, "in_zip": IN_ZIP.get(suffix, "")}
    given = json.dumps(job).encode() + b"\n" + data
    environment = {"HOME": str(folder), "TMPDIR": str(folder), "PATH": os.defpath}
    try:
        said = run_apart(WORKER, given, enclosure, environment=environment)
    except EnvironmentError_ as fault:
        return None, str(fault)
    try:
        answer = json.loads(said.lines[-1])
        why, size = answer["kept_because"], int(answer["size"])
    except (IndexError, ValueError, KeyError, TypeError):
        return None, f"the process that cleans failed: {said.ended}"
    if why is not None:
        return None, str(why)[:1000]
    path = folder / f"out{suffix}"
    try:
        with path.open("rb") as file:
            cleaned = file.read(CLEANED_BYTES_MAX + 1)
    except OSError as fault:
        return None, f"the copy cannot be read: {fault.strerror}"
    if not cleaned or len(cleaned) != size or not kind_of(cleaned, path.name)[0]:
        return None, "what came out is not of the kind that went in"
    return cleaned, None


def _version() -> str | None:
    """mat2 and its version as its command says it; none where it is not installed."""
    program = shutil.which(TOOL)
    if program is None or not Path(PYTHON).exists():
        return None
    found = re.search(r"__version__ = '([0-9.]+)'", Path(program).read_text(encoding="utf-8", errors="replace"))
    return f"{TOOL} {found.group(1)}" if found else TOOL


def _memory_folder() -> Path:
    """A new folder that is memory and no disk. Raises `OSError`."""
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    kinds = [parts[2] for line in mounts if len(parts := line.split()) > 2 and parts[1] == str(MEMORY)]
    if kinds[-1:] != ["tmpfs"]:
        raise OSError(f"{MEMORY} is no tmpfs")
    return Path(tempfile.mkdtemp(prefix="inspectorate-", dir=MEMORY))
