"""The folder that a guarantee processor of the bench runs from.

FOLDER/guard.yaml       the configuration
FOLDER/baseline.json    the first ruleset
FOLDER/device/          log of measurements and certificates of its TPM
FOLDER/python/          where an interpreter is bound that the server's user can read
"""

from __future__ import annotations

import os
import shlex
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

import inspectorate
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.guarantee.rulesets.types import RULESET_KIND, Ruleset
from inspectorate.mechanisms.guarantee.signing import SignedDocument

REPORTER = "guard-pod-a"


@dataclass(frozen=True, kw_only=True)
class SharedPython:
    """This interpreter and its packages, bound to places that any user can read, in a mount namespace of the processor's own.

    The server runs as a user without rights, and the interpreter may lie in a folder of root's.
    """

    folder: Path

    @property
    def executable(self) -> str:
        return str(self.folder / "base" / Path(sys.executable).resolve().relative_to(Path(sys.base_prefix).resolve()))

    @property
    def environment(self) -> dict[str, str]:
        return {"PYTHONPATH": f"{self.folder / 'packages'}:{self.folder / 'source'}", "PYTHONDONTWRITEBYTECODE": "1"}

    def around(self, command: Sequence[str]) -> list[str]:
        """The command in a namespace in which the places are bound. Nothing of it is seen outside."""
        source = Path(inspectorate.__file__).resolve().parent.parent
        binds = {
            "base": Path(sys.base_prefix).resolve(),
            "packages": Path(sysconfig.get_path("purelib")),
            "source": source,
        }
        lines = ["set -e", f"mount -t tmpfs -o mode=755 none {shlex.quote(str(self.folder))}"]
        for name, place in binds.items():
            target = shlex.quote(str(self.folder / name))
            lines += [f"mkdir {target}", f"mount --bind {shlex.quote(str(place))} {target}"]
        lines.append('exec "$@"')
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", "\n".join(lines), "sh", *command]


@dataclass(frozen=True, kw_only=True)
class ServerPlan:
    """What is served, and with what."""

    command: tuple[str, ...]
    port: int
    environment: dict[str, str] = field(default_factory=dict)
    flop_per_s_max: float = 1e11
    cores: int | None = 1


def write_folder(folder: Path, ruleset: Ruleset, plan: ServerPlan, *, device: str, born: int | None) -> Path:
    """All that a processor runs from; the configuration's path."""
    folder.mkdir(parents=True, exist_ok=True)
    statement, state = folder / "statement.pem", folder / "state.key"
    if not statement.exists():
        SigningKey(os.urandom(32)).write(statement)
        state.write_bytes(os.urandom(32))
        state.chmod(0o600)
    baseline = SignedDocument(kind=RULESET_KIND, payload=ruleset.canonical_bytes(), signatures=())
    (folder / "baseline.json").write_bytes(baseline.to_bytes())
    config = {
        "reporter": REPORTER,
        "listen": {"host": "127.0.0.1", "port": 0},
        "control": "control",
        "state": "state",
        "state_key": "state.key",
        "spool": "spool",
        "statement_key": "statement.pem",
        "device": device,
        "device_files": "device",
        "baseline": "baseline.json",
        "baseline_digest": ruleset.digest,
        "born": born,
        "models": "models",
        "graphs": "graphs",
        "server": {
            "command": list(plan.command),
            "at": {"host": "127.0.0.1", "port": plan.port},
            "environment": plan.environment,
        },
        "group": f"inspectorate-guard-{os.getpid()}",
        "run": "run",
        "chips": {"flop_per_s_max": plan.flop_per_s_max, "cores": plan.cores},
    }
    path = folder / "guard.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in config.items() if value is not None}, sort_keys=False))
    return path
