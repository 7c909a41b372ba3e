"""`inspectorate guard`: what it will not sign, and what it will not write to."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from inspectorate.cli import guard as guard_cli
from inspectorate.cli.guard import guard
from inspectorate.cli.licence import PARTS_BYTES_MAX, licence
from inspectorate.errors import EvidenceError, InputError
from inspectorate.mechanisms.guarantee.rulesets.orders import RESUME_KIND
from inspectorate.mechanisms.guarantee.signing import SignedDocument, SignerKey


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(guard, [str(one) for one in arguments])


@pytest.fixture
def order(tmp_path: Path) -> Path:
    path = tmp_path / "order.json"
    fixed = ("--device", "sha256:" + "1" * 64, "--halt", "2" * 64, "--reason", "the \x1b[2K fan was replaced")
    assert run("resume", "draft", *fixed, "--out", path).exit_code == 0
    SignerKey(bytes(64)).write(tmp_path / "key")
    return path


def test_who_signs_an_order_is_told_what_it_says_and_signs_once(order: Path, tmp_path: Path) -> None:
    first = run("resume", "sign", order, "--key", tmp_path / "key")
    assert first.exit_code == 0
    for said in ("sha256:" + "1" * 64, "2" * 64, r"the \x1b[2K fan was replaced", "1 signatures"):
        assert said in first.output
    signed = order.read_bytes()
    fault = run("resume", "sign", order, "--key", tmp_path / "key").exception
    assert isinstance(fault, InputError)
    assert "already" in str(fault)
    assert order.read_bytes() == signed


def test_what_is_no_order_is_not_signed(order: Path, tmp_path: Path) -> None:
    order.write_bytes(SignedDocument(kind=RESUME_KIND, payload=b"{}", signatures=()).to_bytes())
    assert isinstance(run("resume", "sign", order, "--key", tmp_path / "key").exception, EvidenceError)
    assert run("resume", "draft", "--hours", "nan").exit_code == 2


def test_a_file_is_no_tpm_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    path.write_text("signed by seven")
    assert isinstance(run("device", "init", "--tpm", path).exception, InputError)
    assert path.read_text() == "signed by seven"


def test_parts_of_a_licence_that_are_too_large_are_invalid_evidence(tmp_path: Path) -> None:
    (tmp_path / "parts").write_bytes(b"A" * (PARTS_BYTES_MAX + 1))
    arguments = ["read", str(tmp_path / "parts"), "--out", str(tmp_path / "new")]
    assert isinstance(CliRunner().invoke(licence, arguments).exception, EvidenceError)


def test_what_the_other_side_sent_for_the_ceremony_is_invalid_evidence_where_it_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "identity").write_bytes(b"[" * (1 << 20))
    (tmp_path / "roots").write_bytes(b"")
    done = run(
        "device", "challenge", tmp_path / "identity", "--ek-roots", tmp_path / "roots",
        "--keep", tmp_path / "kept", "--out", tmp_path / "challenge",
    )  # fmt: skip
    assert isinstance(done.exception, EvidenceError)
    assert "has more than" in str(done.exception)


def test_a_place_that_no_file_can_have_is_named(tmp_path: Path) -> None:
    (tmp_path / "guard.yaml").write_text('control: "a\\0b"')
    fault = run("run", tmp_path / "guard.yaml").exception
    assert isinstance(fault, InputError)
    assert "control: String should match pattern" in str(fault)


def test_the_ready_file_is_written_where_the_caller_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The places in the configuration are from its own folder; an option is from the caller's."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "guard.yaml").write_text("")
    told: list[Path] = []
    loaded = SimpleNamespace(outcome=SimpleNamespace(value="fresh"), why="", starts=1)
    config = SimpleNamespace(spool="spool", ledger=None)
    monkeypatch.setattr(guard_cli, "read_config", lambda _: (config, b""))
    monkeypatch.setattr(guard_cli, "opened", lambda *_: contextlib.nullcontext((None, loaded)))
    monkeypatch.setattr(guard_cli, "_run", lambda _config, _processor, ready_file: told.append(ready_file))
    monkeypatch.setattr(asyncio, "run", lambda _: None)
    monkeypatch.chdir(tmp_path)
    assert run("run", "etc/guard.yaml", "--ready-file", "ready").exit_code == 0
    assert told == [tmp_path / "ready"]
    assert Path(os.getcwd()) == tmp_path
