"""The process that cleans one file. Started by `clean` through `apart.run_apart`.

Standard input: one line of JSON, then the bytes of the file. Standard output: one line of JSON: why there is no copy, or its size.

It closes itself in first, and runs nothing where the kernel did not. mat2 then runs as its child, closed in by the same walls, with
mat2's own sandbox switched off: that needs rights which are given up here.
"""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

from inspectorate.apart import enclose, say

JOB_BYTES_MAX = 1 << 16
MEMBERS_MAX = 5000
UNPACKED_BYTES_MAX = 256 << 20
RATIO_MAX = 200
"""Unpacked to packed, of a whole container: text of office documents packs to a tenth; deflate cannot do more than 1,032."""
SECONDS = 100
PROGRAM = """
import os, sys
import libmat2
from libmat2 import parser_factory
parser, kind = parser_factory.get_parser(sys.argv[1])
if parser is None:
    sys.exit(f"it has no parser for {kind}")
parser.sandbox = False
parser.unknown_member_policy = libmat2.UnknownMemberPolicy.ABORT
if not parser.remove_all():
    sys.exit("it gives up")
os.rename(parser.output_filename, sys.argv[2])
print("done")
"""
"""mat2 as a library, in the system's interpreter, which has its libraries of pictures. Its command starts a pool of processes, and
they need semaphores in a folder that is shared with all of the machine."""


def main() -> None:
    closed = enclose(sys.argv[1])
    job = json.loads(sys.stdin.buffer.readline(JOB_BYTES_MAX))
    data = sys.stdin.buffer.read()
    if not (closed.network and closed.files):
        _answer(f"the kernel closes off network: {closed.network}, files: {closed.files}; nothing is read then")
        return
    folder = Path(job["folder"])
    given = folder / f"in{job['suffix']}"
    given.write_bytes(data)
    if job["in_zip"]:
        why = container_fault(given, job["in_zip"])
        if why is not None:
            _answer(why)
            return
    done = _run([job["python"], "-I", "-B", "-c", PROGRAM, str(given), str(folder / f"out{job['suffix']}")])
    if done.stdout.strip() != "done":
        words = done.stderr.strip().splitlines()[-2:] or [f"it ended with {done.returncode}"]
        _answer(f"mat2 makes no copy: {'; '.join(words)[:300]}")
        return
    _answer(None, (folder / f"out{job['suffix']}").stat().st_size)


def container_fault(path: Path, expected: str) -> str | None:
    """Step 2 of `clean`: why a ZIP container is not touched; none if it may be."""
    try:
        with zipfile.ZipFile(path) as container:
            members = container.infolist()
            said = (
                container.open("mimetype").read(200).decode("ascii", "replace") if _has(container, "mimetype") else ""
            )
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, ValueError) as fault:
        return f"not a ZIP container that can be read: {fault}"
    packed = sum(one.compress_size for one in members)
    unpacked = sum(one.file_size for one in members)
    if len(members) > MEMBERS_MAX or unpacked > UNPACKED_BYTES_MAX or unpacked > RATIO_MAX * max(packed, 1):
        return f"a container of {len(members)} members that unpacks to {unpacked} bytes: more than is read"
    if len({one.filename for one in members}) != len(members):
        return "a container with two members of one name: it may be two things at once"
    named = said == expected if "/vnd." in expected else any(one.filename.startswith(expected) for one in members)
    return None if named else "a container of another kind than its name says"


def _has(container: zipfile.ZipFile, name: str) -> bool:
    return any(one.filename == name and one.file_size <= 200 for one in container.infolist())


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False)


def _answer(why: str | None, size: int = 0) -> None:
    say(json.dumps({"kept_because": why, "size": size}).encode())


if __name__ == "__main__":
    main()
