"""Everything that a guarded pod of the bench needs, in one folder, from its keys to a processor that runs.

with guarded(folder, terms) as session:
    session.guard.ask(...)
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from inspectorate.declaration import chip_catalogue
from inspectorate.errors import EnvironmentError_
from inspectorate.keys import SigningKey
from inspectorate.lab.guard_bench import RunningGuard
from inspectorate.lab.guard_folder import ServerPlan, SharedPython, write_folder
from inspectorate.lab.guard_model import listed
from inspectorate.lab.guard_signers import RuleTerms, Signers, first_ruleset
from inspectorate.lab.soft_tpm import SoftTpm, certified, free_port
from inspectorate.mechanisms.guarantee.attestation.authority import Authority
from inspectorate.mechanisms.guarantee.rulesets.types import ListedModel, Ruleset

MODEL_SEED, OTHER_SEED = 1, 2
_WEIGHTS_S = 120.0
CHIP = "x86-64-core-avx512"
FORMATS = ("fp32", "bf16")


@dataclass(frozen=True, kw_only=True)
class Session:
    """One guarded pod, before or while it runs."""

    folder: Path
    signers: Signers
    ruleset: Ruleset
    tpm: SoftTpm
    authority: Authority
    device: str
    guard: RunningGuard
    approved: bytes
    other: bytes

    @property
    def baseline(self) -> str:
        """Digest of the first ruleset."""
        return self.ruleset.digest

    @property
    def statement_key(self) -> SigningKey:
        return SigningKey.read(self.folder / "statement.pem")


def make_weights(folder: Path, seed: int) -> Path:
    """A model of the bench as a file. Raises `EnvironmentError_` without torch."""
    out = folder / f"model-{seed}.safetensors"
    command = [sys.executable, "-m", "inspectorate.lab.work_weights", "--seed", str(seed), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_WEIGHTS_S)
    if done.returncode:
        raise EnvironmentError_(
            f"no weights were made: {done.stderr[-300:]}", remedy="pip install torch==2.13.0 safetensors"
        )
    return out


@contextlib.contextmanager
def guarded(folder: Path, *, report_every_s: float, sampled_share: float = 0.05) -> Iterator[Session]:
    """A guarded pod whose processor runs, without licence and model yet. All of it ends with the block."""
    if os.geteuid() != 0:
        raise EnvironmentError_("a guarded pod needs root", remedy="run as root: it holds work in a control group")
    folder.mkdir(parents=True)
    weights, other = make_weights(folder, MODEL_SEED), make_weights(folder, OTHER_SEED)
    signers = Signers.make(folder / "signers")
    entry: ListedModel = listed(weights, folder / "graphs")
    terms = RuleTerms(models=(entry,), report_every_s=report_every_s, sampled_share=sampled_share)
    tpm = SoftTpm.make(folder / "tpm")
    tpm.start()
    now = datetime.now(UTC)
    ruleset = first_ruleset(signers, terms, now=now)
    guard: RunningGuard | None = None
    try:
        authority, device, born = certified(tpm, folder / "device", now=now)
        python = SharedPython(folder=folder / "python")
        python.folder.mkdir()
        port = free_port()
        command = (
            python.executable,
            "-m",
            "inspectorate.lab.work_declared",
            "--weights",
            "{model}",
            "--port",
            str(port),
        )
        environment = {**python.environment, "OMP_NUM_THREADS": "1"}
        plan = ServerPlan(
            command=command,
            port=port,
            environment=environment,
            flop_per_s_max=chip_catalogue()[CHIP].peak_flop_per_s(FORMATS),
            cores=1,
        )
        config = write_folder(folder, ruleset, plan, device=tpm.name, born=born)
        guard = RunningGuard(folder=folder, config=config, python=python)
        guard.start()
        yield Session(
            folder=folder,
            signers=signers,
            ruleset=ruleset,
            tpm=tpm,
            authority=authority,
            device=device,
            guard=guard,
            approved=weights.read_bytes(),
            other=other.read_bytes(),
        )
    finally:
        if guard is not None:
            guard.stop()
        tpm.stop()
