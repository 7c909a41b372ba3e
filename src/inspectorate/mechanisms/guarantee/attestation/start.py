"""What the processor measures of itself when it starts: its program, its configuration, and the ruleset in force.

Rules:

- The program's digest is over every file of the installed package but compiled bytecode, by path and content; the interpreter's
  name and version; and the names and versions of the libraries that the package requires. It is the same on every machine that
  installs the same release beside the same versions, so both parties can compute it from the source and approve it.
- The configuration's digest is over the bytes of its file; the ruleset's is that of the signed payload.
- A program that measures itself can lie about itself. What stands against that was measured earlier, by firmware, boot loader
  and kernel, into the PCRs that every quote covers too: an image whose root file system is checked by the kernel (dm-verity)
  leaves no room for another program, nor for other bytecode or libraries than those of the image. Without such an image the
  digest shows honest mistakes, and nothing more.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import inspectorate
from inspectorate.canonical import canonical_bytes, digest_of
from inspectorate.errors import EnvironmentError_
from inspectorate.mechanisms.guarantee.attestation.device import Device
from inspectorate.mechanisms.guarantee.attestation.reference import BUILD, CONFIGURATION, RULESET

PACKAGE = "inspectorate"
_DOMAIN = b"inspectorate program v1\0"
_BYTECODE = "__pycache__"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, kw_only=True)
class Program:
    """All that a program's digest covers."""

    files: Mapping[str, str]
    """Path within the package -> digest."""
    interpreter: str
    libraries: Mapping[str, str]
    """Name -> version."""

    @property
    def digest(self) -> str:
        value = {"files": dict(self.files), "interpreter": self.interpreter, "libraries": dict(self.libraries)}
        return digest_of(_DOMAIN + canonical_bytes(value))


def files_of(folder: Path) -> dict[str, str]:
    """Path -> digest of every file of a package but bytecode. Raises `EnvironmentError_`; so it does for links, which lead
    elsewhere."""
    found: dict[str, str] = {}
    try:
        for path in sorted(folder.rglob("*")):
            if _BYTECODE in path.relative_to(folder).parts:
                continue
            if path.is_symlink():
                raise EnvironmentError_("is a link: what it leads to is not measured", where=str(path))
            if path.is_file():
                with path.open("rb") as file:
                    found[path.relative_to(folder).as_posix()] = (
                        f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
                    )
    except OSError as fault:
        raise EnvironmentError_(f"cannot be measured: {fault.strerror}", where=str(folder)) from None
    if not found:
        raise EnvironmentError_("there is nothing to measure", where=str(folder))
    return found


def this_program() -> Program:
    """The program that runs. Raises `EnvironmentError_`."""
    folder = Path(inspectorate.__file__).parent
    return Program(
        files=files_of(folder),
        interpreter=f"{sys.implementation.name} {platform.python_version()}",
        libraries=_libraries(),
    )


def _libraries() -> dict[str, str]:
    """Libraries that the package itself requires, without those of its extras."""
    try:
        required = importlib.metadata.requires(PACKAGE) or []
        names = {found.group().lower() for one in required if "extra ==" not in one and (found := _NAME.match(one))}
        return {name: importlib.metadata.version(name) for name in sorted(names)}
    except importlib.metadata.PackageNotFoundError as fault:
        raise EnvironmentError_(f"{fault.name} is not installed, so its version cannot be measured") from None


def measure_start(device: Device, *, program: Program, configuration: bytes, ruleset: str | None) -> None:
    """Measure a start, in this order: program, configuration, ruleset in force (a digest). Raises `EnvironmentError_`."""
    device.measure(BUILD, raw(program.digest))
    device.measure(CONFIGURATION, hashlib.sha256(configuration).digest())
    if ruleset is not None:
        device.measure(RULESET, raw(ruleset))


def raw(digest: str) -> bytes:
    """The 32 bytes of a written digest."""
    return bytes.fromhex(digest.removeprefix("sha256:"))
