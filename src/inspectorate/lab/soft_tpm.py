"""A software TPM (swtpm) for the bench, and the ceremony in which the verifier certifies its key.

It stands for the chip of a real machine: whoever has its folder has the chip. The maker of TPMs is a local authority that
`swtpm_localca` makes beside it.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from inspectorate.errors import EnvironmentError_
from inspectorate.mechanisms.guarantee.attestation import enrol
from inspectorate.mechanisms.guarantee.attestation.authority import Authority, read_certificates
from inspectorate.mechanisms.guarantee.attestation.tpm import activate
from inspectorate.mechanisms.guarantee.attestation.tpm.client import Client
from inspectorate.mechanisms.guarantee.attestation.tpm.commands import Tpm
from inspectorate.mechanisms.guarantee.attestation.tpm.device import CERTIFICATES_NAME, TpmDevice
from inspectorate.mechanisms.guarantee.attestation.tpm.provision import provision

STARTED_S = 10.0
CERTIFIED = timedelta(days=3650)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(kw_only=True)
class SoftTpm:
    """A software TPM (swtpm) that keeps its state in a folder: chip and makers' certificates in one."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        return f"swtpm:127.0.0.1:{self.port}"

    @classmethod
    def make(cls, folder: Path) -> SoftTpm:
        """A new TPM with an endorsement key that a local authority certified. Raises `EnvironmentError_`."""
        folder.mkdir(parents=True, exist_ok=True)
        state = folder / "state"
        state.mkdir()
        (folder / "localca.conf").write_text(
            f"statedir = {folder}\nsigningkey = {folder}/signkey.pem\nissuercert = {folder}/issuercert.pem\n"
            f"certserial = {folder}/certserial\n"
        )
        (folder / "setup.conf").write_text(
            f"create_certs_tool = /usr/bin/swtpm_localca\ncreate_certs_tool_config = {folder}/localca.conf\n"
            "create_certs_tool_options = /etc/swtpm-localca.options\nactive_pcr_banks = sha256\n"
        )
        command = [
            "swtpm_setup", "--tpm2", "--tpmstate", str(state), "--create-ek-cert", "--create-platform-cert",
            "--lock-nvram", "--config", str(folder / "setup.conf"), "--overwrite",
        ]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        except OSError:
            raise EnvironmentError_("swtpm is not installed", remedy="apt-get install swtpm swtpm-tools") from None
        if done.returncode:
            raise EnvironmentError_(f"swtpm_setup failed: {done.stdout[-300:]}{done.stderr[-300:]}", where=str(folder))
        return cls(folder=folder, port=free_port())

    def start(self) -> None:
        """Power on."""
        control = free_port()
        command = [
            "swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.folder / 'state'}",
            "--server", f"type=tcp,port={self.port},bindaddr=127.0.0.1",
            "--ctrl", f"type=tcp,port={control},bindaddr=127.0.0.1", "--flags", "not-need-init,startup-clear",
        ]  # fmt: skip
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + STARTED_S
        while time.monotonic() < deadline:
            # A connection would count as the one client of the TPM, so the control channel is asked.
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", control)) == 0:
                    return
            time.sleep(0.02)
        raise EnvironmentError_("the software TPM did not start", where=str(self.folder))

    def stop(self) -> None:
        """Power off."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def certified(tpm: SoftTpm, device: Path, *, now: datetime) -> tuple[Authority, str, int]:
    """The whole ceremony on one machine: the verifier's authority, the device's id, and where its counter begins."""
    device.mkdir(parents=True, exist_ok=True)
    with Client.open(tpm.name) as client:
        made = Tpm(client)
        made.startup()
        provision(made)
        identity = activate.identity(made, "rsa", None)
    authority = Authority.create("the verifier's root for TPMs", at=now.replace(microsecond=0), valid=CERTIFIED)
    asked, pending = enrol.challenge(
        identity,
        roots=read_certificates(tpm.folder / "swtpm-localca-rootca-cert.pem"),
        intermediates=read_certificates(tpm.folder / "issuercert.pem"),
        at=now,
        random=os.urandom,
    )
    opened = TpmDevice.open(tpm.name, device)
    try:
        answered = activate.answer(opened.tpm, opened, asked, "rsa")
        born = opened.counter()
    finally:
        opened.close()
    enrolled = enrol.certify(answered, pending, authority=authority, name="guard-pod-a", at=now, valid=CERTIFIED)
    (device / CERTIFICATES_NAME).write_bytes(enrolled.pem)
    return authority, identity.device_id, born
