"""The commands of `inspectorate ledger`, end to end."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from inspectorate.cli.ledger import ledger
from inspectorate.errors import EvidenceError, InputError, InspectorateError
from inspectorate.keys import SigningKey

ORIGIN = "example.org/log"


def call(*arguments: object, stdin: bytes = b"") -> str:
    """Run a command that must succeed; returns what it printed on standard output."""
    result = run(*arguments, stdin=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def run(*arguments: object, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(ledger, [str(a) for a in arguments], input=stdin)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A folder with a log of three entries, its key, and the reviewer's anchors."""
    key = tmp_path / "log.pem"
    verifier_key = call("keygen", key, "--name", ORIGIN).strip()
    assert call("init", tmp_path / "log", "--origin", ORIGIN, "--key", key).strip() == verifier_key
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(f"entry {name}")
    result = json.loads(call("append", tmp_path / "log", *(tmp_path / n for n in "abc"), "--key", key, "--json"))
    assert result == {"first": 0, "entries": 3, "size": 3}
    reviewer = base64.b64encode(SigningKey(b"\x01" * 32).public.raw).decode()
    anchor = {
        "name": "reviewer",
        "public_key": reviewer,
        "holder": "verifier",
        "roles": ["bundle"],
        "valid_from": "2026-01-01T00:00:00Z",
        "valid_until": "2027-01-01T00:00:00Z",
    }
    anchors = {"anchors": [anchor], "ledgers": [{"origin": ORIGIN, "key": verifier_key}]}
    (tmp_path / "anchors.yaml").write_text(yaml.safe_dump(anchors))
    return tmp_path


def test_a_proof_is_made_and_verified(made: Path) -> None:
    call("prove", made / "log", 1, "--out", made / "b.tlog-proof")
    found = json.loads(
        call("verify", made / "b.tlog-proof", "--entry", made / "b", "--anchors", made / "anchors.yaml", "--json")
    )
    assert (found["index"], found["tree_size"], found["origin"], found["witnesses"]) == (1, 3, ORIGIN, [])
    by_content = call("prove", made / "log", "--entry", made / "b")
    assert by_content == (made / "b.tlog-proof").read_text()


def test_lines_are_appended_and_proved_under_an_older_checkpoint(made: Path) -> None:
    (made / "old").write_text(call("checkpoint", made / "log"))
    text = call("append", made / "log", "--lines", "--key", made / "log.pem", stdin=b"one\n\nthree")
    assert text.strip() == "entries 3 to 5"
    assert json.loads(call("checkpoint", made / "log", "--json"))["size"] == 6
    proof = json.loads(call("prove", made / "log", 0, "--checkpoint", made / "old", "--json"))["proof"]
    assert "\n3\n" in proof
    with pytest.raises(InputError, match="not in the tree"):
        call("prove", made / "log", 4, "--checkpoint", made / "old")


def test_a_wrong_entry_exits_30(made: Path) -> None:
    call("prove", made / "log", 1, "--out", made / "proof")
    result = run("verify", made / "proof", "--entry", made / "a", "--anchors", made / "anchors.yaml")
    assert isinstance(result.exception, EvidenceError)
    assert result.exception.exit_code == 30


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["prove", "{}/log"], "give an index"),
        (["prove", "{}/log", "9"], "not in the tree"),
        (["prove", "{}/log", "--entry", "{}/anchors.yaml"], "no such entry"),
        (["append", "{}/log", "--key", "{}/log.pem"], "give files"),
        (["append", "{}/log", "--lines", "--key", "{}/log.pem"], "nothing to append"),
        (["append", "{}/log", "{}/a", "--key", "{}/a"], "cannot read a signing key"),
        (["append", "{}/none", "{}/a", "--key", "{}/log.pem"], "cannot be opened"),
        (["init", "{}/log", "--origin", "o", "--key", "{}/log.pem"], "already holds a log"),
        (["keygen", "{}/log.pem", "--name", "n"], "cannot write the key"),
        (["keygen", "{}/new.pem", "--name", "two words"], "cannot name a key"),
        (["checkpoint", "{}/log", "--witness", "x"], "VKEY@URL"),
        (["witness", "--state", "{}/s", "--name", "n", "--log", "x", "--key", "{}/log.pem"], "not a verifier key"),
        (
            ["witness", "--listen", "x", "--state", "{}/s", "--name", "n", "--log", "x", "--key", "{}/log.pem"],
            "HOST:PORT",
        ),
    ],
)
def test_wrong_use_is_named_and_exits_2(made: Path, arguments: list[str], reason: str) -> None:
    result = run(*(argument.format(made) for argument in arguments))
    assert isinstance(result.exception, InspectorateError)
    assert result.exception.exit_code == 2
    assert reason in str(result.exception)


def test_a_log_without_an_anchor_is_invalid_evidence(made: Path) -> None:
    text = (made / "anchors.yaml").read_text()
    (made / "anchors.yaml").write_text(text.replace(f"origin: {ORIGIN}", "origin: example.org/other"))
    call("prove", made / "log", 1, "--out", made / "proof")
    with pytest.raises(EvidenceError, match="no trust anchor names the log"):
        call("verify", made / "proof", "--entry", made / "b", "--anchors", made / "anchors.yaml")
