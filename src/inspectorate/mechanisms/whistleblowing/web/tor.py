"""The onion service in front of an intake: its configuration, the check of it by tor itself, and the address.

Rules:

- Tor reaches the intake over a unix socket and offers nothing else: no proxy port, no control port, no relay.
- What tor writes down of its own running is warnings only, without addresses (`SafeLogging`).
- Whoever floods is slowed before the intake sees it: proof of work at the introduction, rates at introduction points, and few
  streams to a circuit. None of this tells visitors apart by who they are.
- A configuration that this tor does not take, or a tor that is too old for its defences, is refused, never weakened.

Options and their meaning: tor(1) and the proposals 305 (introduction rates), 327 (proof of work), 333 (vanguards-lite).
"""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from pydantic import Field

from inspectorate.canonical import Record
from inspectorate.errors import EnvironmentError_, InputError

TOR_MIN = (0, 4, 8)
"""Proof of work for onion services came with 0.4.8 (tor's ChangeLog, 0.4.8.1-alpha)."""
_VERSION = re.compile(r"Tor version (\d+)\.(\d+)\.(\d+)")
_SAFE_PATH = re.compile(r"/[A-Za-z0-9_./+@-]{0,200}\Z")
_ADDRESS = re.compile(r"([a-z2-7]{56})\.onion\Z")
_ADDRESS_BYTES_MAX = 128
_SAID_BYTES_MAX = 2000
_TOR_S = 30.0


class TorSettings(Record):
    """What differs between one intake's tor and another's."""

    data: str = Field(description="folder of tor's own; the keys of the onion service are in `intake` below it")
    socket: str = Field(description="unix socket at which the intake listens")
    port: int = Field(default=80, ge=1, le=65535, description="port of the onion address")
    streams: int = Field(
        default=16, ge=1, le=65535, description="open at a time on one circuit; a browser opens some six"
    )
    intro_per_s: int = Field(
        default=25, ge=1, le=2**31 - 1, description="introductions a second that an introduction point passes on"
    )
    intro_burst: int = Field(default=200, ge=1, le=2**31 - 1)

    @property
    def service(self) -> Path:
        return Path(self.data) / "intake"

    @property
    def hostname(self) -> Path:
        return self.service / "hostname"


def torrc(settings: TorSettings) -> str:
    """The configuration. Raises `InputError` for a path that would have to be quoted."""
    for path in (settings.data, settings.socket):
        if not _SAFE_PATH.match(path):
            raise InputError(
                "is no absolute path of plain characters", where=path, remedy="letters, digits and _ . / + @ - only"
            )
    lines = (
        "# The onion service of an intake. Written by `inspectorate intake tor`; see docs/intake.md.",
        f"DataDirectory {settings.data}",
        "",
        "# Nothing but the onion service.",
        "SocksPort 0",
        "ControlPort 0",
        "ORPort 0",
        "ClientOnly 1",
        "",
        "# Nothing written down that tells of visitors.",
        "Log warn stderr",
        "SafeLogging 1",
        "AvoidDiskWrites 1",
        "HeartbeatPeriod 0",
        "NoExec 1",
        "VanguardsLiteEnabled 1",
        "",
        f"HiddenServiceDir {settings.service}",
        "HiddenServiceVersion 3",
        f"HiddenServicePort {settings.port} unix:{settings.socket}",
        "",
        "# Floods: work before an introduction, rates at introduction points, few streams to a circuit.",
        "HiddenServicePoWDefensesEnabled 1",
        "HiddenServiceEnableIntroDoSDefense 1",
        f"HiddenServiceEnableIntroDoSRatePerSec {settings.intro_per_s}",
        f"HiddenServiceEnableIntroDoSBurstPerSec {settings.intro_burst}",
        f"HiddenServiceMaxStreams {settings.streams}",
        "HiddenServiceMaxStreamsCloseCircuit 1",
    )
    return "\n".join(lines) + "\n"


def tor_version(program: str) -> tuple[int, int, int]:
    """Raises `EnvironmentError_` where it is not there, too old, or built without what the configuration needs."""
    said = _run([program, "--version"])
    found = _VERSION.search(said)
    if found is None:
        raise EnvironmentError_("does not say its version", where=program)
    version = (int(found[1]), int(found[2]), int(found[3]))
    if version < TOR_MIN:
        raise EnvironmentError_(
            f"tor {'.'.join(map(str, version))} has no proof of work for onion services",
            where=program,
            remedy=f"install tor {'.'.join(map(str, TOR_MIN))} or later",
        )
    if "pow: yes" not in _run([program, "--list-modules"]):
        raise EnvironmentError_(
            "this tor was built without proof of work (module `pow`)",
            where=program,
            remedy="install one built with --enable-gpl",
        )
    return version


def verify_config(program: str, config: Path) -> None:
    """Have tor read it. Raises `EnvironmentError_` with what tor says."""
    said = _run([program, "--verify-config", "--defaults-torrc", "/dev/null", "-f", str(config)])
    if "Configuration was valid" not in said:
        raise EnvironmentError_(f"tor does not take it: {said[-200:].strip()}", where=str(config))


def make_address(program: str, config: Path, settings: TorSettings, *, within_s: float = _TOR_S) -> str:
    """Start tor without a network until it has made the keys of the onion service, and end it. The address."""
    command = [program, "--defaults-torrc", "/dev/null", "-f", str(config), "--DisableNetwork", "1"]
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    except OSError as fault:
        raise EnvironmentError_(f"cannot be started: {fault.strerror}", where=program) from None
    try:
        ends = time.monotonic() + within_s
        while not settings.hostname.exists() and process.poll() is None and time.monotonic() < ends:
            time.sleep(0.05)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(5.0)
        process.kill()
        process.wait()
    if not settings.hostname.exists():
        raise EnvironmentError_(
            "tor made no onion address", where=str(settings.service), remedy=f"run it by hand: {' '.join(command)}"
        )
    return read_address(settings.hostname)


def read_address(hostname: Path) -> str:
    """The onion address in a file that tor made. Raises `InputError`."""
    try:
        with hostname.open("rb") as file:
            text = file.read(_ADDRESS_BYTES_MAX).decode("ascii").strip()
    except OSError as fault:
        raise InputError(f"cannot be read: {fault.strerror}", where=str(hostname)) from None
    except UnicodeDecodeError:
        text = ""
    check_address(text, where=str(hostname))
    return text


def check_address(address: str, *, where: str) -> None:
    """That it is an onion address of version 3 with its checksum (tor's rend-spec-v3, section 6). Raises `InputError`."""
    found = _ADDRESS.match(address)
    if found is not None:
        data = base64.b32decode(found[1].upper())
        key, check, version = data[:32], data[32:34], data[34:]
        if version == b"\x03" and hashlib.sha3_256(b".onion checksum" + key + version).digest()[:2] == check:
            return
    raise InputError("is no onion address of version 3", where=where)


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TOR_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as fault:
        said = fault.strerror if isinstance(fault, OSError) else f"no answer in {_TOR_S:g} s"
        raise EnvironmentError_(
            f"cannot be started: {said}", where=command[0], remedy="install the package `tor`, or name it with --tor"
        ) from None
    return done.stdout[-_SAID_BYTES_MAX:].decode("utf-8", "replace")
