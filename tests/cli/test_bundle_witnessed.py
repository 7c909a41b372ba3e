"""A bundle whose checkpoint witnesses cosign, made by command."""

from __future__ import annotations

import socket
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from inspectorate.cli import cli
from inspectorate.keys import LedgerAnchor, SigningKey
from inspectorate.ledger import KeyKind, Log, Policy, VerifierKey, Witness, WitnessServer, verify_proof
from inspectorate.ledger.disk import PosixDisk
from inspectorate.submission import ledger_entry

SITE = Path(__file__).parents[2] / "examples" / "lab-site"
ORIGIN, NAME = "example.org/log", "w.example"
KEY, WITNESS = SigningKey(b"\x0b" * 32), SigningKey(b"\x0c" * 32)
LOG_KEY = VerifierKey.of(KEY, name=ORIGIN, kind=KeyKind.LOG)
WITNESS_KEY = VerifierKey.of(WITNESS, name=NAME, kind=KeyKind.WITNESS)
ANCHOR = LedgerAnchor(origin=ORIGIN, key=LOG_KEY.text, witnesses=(WITNESS_KEY.text,), witnesses_min=1)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A key, a log, and a spool with some statements of the recorded site, which stand in the log."""
    KEY.write(tmp_path / "key.pem")
    for name in ("statements", "payloads"):
        (tmp_path / "spool" / name).mkdir(parents=True)
    with tarfile.open(SITE / "site.tar") as tar, Log.create(tmp_path / "log", ORIGIN, KEY) as log:
        names = [one for one in tar.getnames() if one.startswith("statements/")][:3]
        for name in names:
            file = tar.extractfile(name)
            assert file is not None
            data = file.read()
            (tmp_path / "spool" / name).write_bytes(data)
            log.append([ledger_entry(data)])
    return tmp_path


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "state").mkdir()
    disk = PosixDisk(tmp_path / "state", exclusive=True)
    made = Witness(disk, WITNESS, name=NAME, logs=[LOG_KEY], clock_s=lambda: int(time.time()))
    with WitnessServer(("127.0.0.1", 0), made) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"{WITNESS_KEY.text}@http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
    disk.close()


def create(site: Path, *witnesses: str) -> Result:
    words = ["--spool", site / "spool", "--declaration", SITE / "declaration.yaml", "--ledger", site / "log"]
    for option in ("--declaration-key", "--ledger-key", "--key"):
        words += [option, site / "key.pem"]
    for one in witnesses:
        words += ["--witness", one]
    return CliRunner().invoke(cli, ["bundle", "create", str(site / "out"), *map(str, words)])


def size(site: Path) -> int:
    with Log.open(site / "log") as log:
        return log.size


def test_every_proof_of_the_bundle_bears_the_cosignature_that_the_reviewer_asks_for(site: Path, witness: str) -> None:
    result = create(site, witness)
    assert result.exit_code == 0, result.output
    proofs = sorted((site / "out" / "proofs").iterdir())
    assert len(proofs) == 4
    for proof in proofs:
        envelope = (site / "out" / "statements" / f"{proof.name}.json").read_bytes()
        verify_proof(proof.read_bytes(), ledger_entry(envelope), ANCHOR)
    with Log.open(site / "log") as log:
        assert Policy.from_anchor(ANCHOR).verify(log.checkpoint()).checkpoint.size == log.size == 4


def test_without_a_witness_the_reviewer_who_asks_for_one_refuses_the_proofs(site: Path) -> None:
    assert create(site).exit_code == 0
    proof = next((site / "out" / "proofs").iterdir())
    envelope = (site / "out" / "statements" / f"{proof.name}.json").read_bytes()
    with pytest.raises(Exception, match="0 of 1 witness cosignatures"):
        verify_proof(proof.read_bytes(), ledger_entry(envelope), ANCHOR)


def test_a_witness_out_of_reach_leaves_no_declaration_in_the_log(site: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        result = create(site, f"{WITNESS_KEY.text}@http://127.0.0.1:{taken.getsockname()[1]}")
    assert "cannot be reached" in str(result.exception)
    assert size(site) == 3
    assert not (site / "out").exists()
    assert "is not VKEY@URL" in str(create(site, "nobody").exception)
