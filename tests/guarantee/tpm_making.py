"""A real TPM for tests: swtpm on the loopback, with an endorsement certificate of a maker of our own.

A maker and one manufactured TPM are made once per run of tests; every test starts a copy of it, and ends it by its process id.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from inspectorate.keys import PlatformAnchor
from inspectorate.mechanisms.guarantee.attestation import enrol
from inspectorate.mechanisms.guarantee.attestation.authority import Authority
from inspectorate.mechanisms.guarantee.attestation.tpm import activate
from inspectorate.mechanisms.guarantee.attestation.tpm.client import Client
from inspectorate.mechanisms.guarantee.attestation.tpm.commands import Tpm
from inspectorate.mechanisms.guarantee.attestation.tpm.device import CERTIFICATES_NAME, TpmDevice
from inspectorate.mechanisms.guarantee.attestation.tpm.provision import provision

PROGRAMS = ("swtpm", "swtpm_setup", "swtpm_localca")
TOOLS = ("tpm2_quote", "tpm2_checkquote", "tpm2_makecredential", "tpm2_activatecredential", "tpm2_pcrread")
START_S_MAX = 10.0

_SETUP = """create_certs_tool= {localca}
create_certs_tool_config = {folder}/localca.conf
create_certs_tool_options = {folder}/localca.options
active_pcr_banks = sha256
"""
_LOCALCA = """statedir = {folder}/maker
signingkey = {folder}/maker/signkey.pem
issuercert = {folder}/maker/issuercert.pem
certserial = {folder}/maker/certserial
"""
_OPTIONS = "--platform-manufacturer Example\n--platform-version 1\n--platform-model Example\n"


@dataclass(frozen=True, kw_only=True)
class Maker:
    """A maker of TPMs, and one TPM as it leaves it."""

    state: Path
    roots: list[x509.Certificate]
    intermediates: list[x509.Certificate]


def missing(programs: tuple[str, ...] = PROGRAMS) -> list[str]:
    return [name for name in programs if shutil.which(name) is None]


@functools.cache
def the_maker() -> Maker:
    """The one maker of a run of tests. Its TPM is only ever copied."""
    folder = tempfile.TemporaryDirectory(prefix="tpm-maker-")
    atexit.register(folder.cleanup)
    return manufacture(Path(folder.name))


def manufacture(folder: Path) -> Maker:
    """A maker and its TPM in an empty folder."""
    for name in ("maker", "state"):
        (folder / name).mkdir()
    localca = shutil.which("swtpm_localca")
    (folder / "setup.conf").write_text(_SETUP.format(folder=folder, localca=localca))
    (folder / "localca.conf").write_text(_LOCALCA.format(folder=folder))
    (folder / "localca.options").write_text(_OPTIONS)
    command = ["swtpm_setup", "--tpm2", "--tpm-state", str(folder / "state"), "--create-ek-cert"]
    command += ["--config", str(folder / "setup.conf"), "--lock-nvram", "--pcr-banks", "sha256"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    maker = folder / "maker"
    return Maker(
        state=folder / "state",
        roots=x509.load_pem_x509_certificates((maker / "swtpm-localca-rootca-cert.pem").read_bytes()),
        intermediates=x509.load_pem_x509_certificates((maker / "issuercert.pem").read_bytes()),
    )


def _ports() -> int:
    """The first of two free ports in a row: commands, and control for tpm2-tools."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            with contextlib.suppress(OSError, OverflowError):
                second.bind(("127.0.0.1", port + 1))
                return port


class Swtpm:
    """A machine with a TPM: it can be started, stopped and started again."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def name(self) -> str:
        return f"swtpm:127.0.0.1:{self.port}"

    @property
    def tcti(self) -> str:
        return f"swtpm:host=127.0.0.1,port={self.port}"

    def start(self) -> None:
        self.port = _ports()
        command = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.state}"]
        command += ["--server", f"type=tcp,port={self.port},bindaddr=127.0.0.1"]
        command += ["--ctrl", f"type=tcp,port={self.port + 1},bindaddr=127.0.0.1"]
        command += ["--flags", "not-need-init,startup-clear"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + START_S_MAX
        while not _listening(self.port):
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise RuntimeError("swtpm did not start")
            time.sleep(0.01)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """The machine restarts: PCRs at zero, memory gone, NV kept."""
        self.stop()
        self.start()

    def tool(self, name: str, *arguments: str, cwd: Path) -> str:
        """Run one of tpm2-tools against this TPM."""
        environment = {**os.environ, "TPM2TOOLS_TCTI": self.tcti, "TSS2_LOG": "all+none"}
        done = subprocess.run(
            [name, *arguments], cwd=cwd, env=environment, check=False, capture_output=True, text=True, timeout=60
        )
        if done.returncode:
            raise RuntimeError(f"{name}: {done.stderr}")
        return done.stdout


def _listening(port: int) -> bool:
    """Whether something listens on the port, without connecting to it: swtpm serves one connection after the other."""
    listed = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A" for line in listed)


@contextlib.contextmanager
def running(maker: Maker, folder: Path) -> Iterator[Swtpm]:
    """A copy of the maker's TPM, for the length of a block."""
    shutil.copytree(maker.state, folder / "tpm-state")
    (folder / "tpm-state" / ".lock").unlink(missing_ok=True)
    swtpm = Swtpm(folder / "tpm-state")
    swtpm.start()
    try:
        yield swtpm
    finally:
        swtpm.stop()


@contextlib.contextmanager
def opened(swtpm: Swtpm) -> Iterator[Tpm]:
    with Client.open(swtpm.name) as client:
        tpm = Tpm(client)
        tpm.startup()
        yield tpm


@contextlib.contextmanager
def device(swtpm: Swtpm, folder: Path) -> Iterator[TpmDevice]:
    with contextlib.closing(TpmDevice.open(swtpm.name, folder)) as made:
        yield made


def certified(swtpm: Swtpm, maker: Maker, folder: Path, authority: Authority, at: datetime) -> enrol.Enrolled:
    """Take a TPM through the ceremony; its certificate lies in the folder afterwards."""
    with opened(swtpm) as tpm:
        provision(tpm)
        told = activate.identity(tpm, "rsa")
    asked, pending = enrol.challenge(
        told, roots=maker.roots, intermediates=maker.intermediates, at=at, random=os.urandom
    )
    with device(swtpm, folder) as made:
        answer = activate.answer(made.tpm, made, asked, "rsa")
    found = enrol.certify(answer, pending, authority=authority, name="guard-1", at=at, valid=timedelta(days=365))
    (folder / CERTIFICATES_NAME).write_bytes(found.pem)
    return found


def anchor(authority: Authority, firmware_min: int = 0) -> PlatformAnchor:
    return PlatformAnchor(name="platform-root", certificate=authority.pem.decode(), firmware_version_min=firmware_min)


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
