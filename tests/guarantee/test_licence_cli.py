"""`inspectorate licence`: from a draft through signatures and QR codes back to a file, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import licence_making as make
import pytest
from click.testing import CliRunner, Result

from inspectorate.cli.licence import licence
from inspectorate.errors import EvidenceError, InputError
from inspectorate.mechanisms.guarantee.licences.judge import judge_licence
from inspectorate.mechanisms.guarantee.licences.state import LicenceState
from inspectorate.mechanisms.guarantee.licences.types import LICENCE_KIND
from inspectorate.mechanisms.guarantee.rulesets.types import RULESET_KIND
from inspectorate.mechanisms.guarantee.signing import SignedDocument, parse_document

DRAFT = f"""\
id: licence-1
device: {make.DEVICE}
sequence: 1
valid: {{start: 2026-11-01T00:00:00Z, end: 2026-12-01T00:00:00Z}}
ruleset: rules
ruleset_version_min: 1
budgets: {{flop: 1.0e+18, bytes-out: 1000000000}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "draft.yaml").write_text(DRAFT)
    for name, key in make.KEYS.items():
        key.write(tmp_path / f"{name}.key")
    rules = SignedDocument(kind=RULESET_KIND, payload=make.ruleset().canonical_bytes(), signatures=())
    (tmp_path / "rules.json").write_bytes(rules.to_bytes())
    return tmp_path


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(licence, arguments, catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def issued() -> None:
    run("issue", "one.licence", "--from", "draft.yaml")
    run("sign", "one.licence", "--key", "ana.key")
    run("sign", "one.licence", "--key", "bo.key")


def test_a_licence_goes_from_hand_to_hand_and_is_accepted(folder: Path) -> None:
    issued()
    shown = run("show", "one.licence", "--ruleset", "rules.json").output
    assert "flop                 1e+18" in shown
    assert "quorum   reached, by ana, bo" in shown
    run("show", "one.licence", "--text", "parts.txt", "--qr", "code.svg")
    lines = (folder / "parts.txt").read_text().splitlines()
    assert len(list(folder.glob("code-*.svg"))) == len(lines) == 9
    (folder / "a.txt").write_text("\n\n".join(lines[5:]))
    (folder / "b.txt").write_text("\n".join(reversed(lines[:6])))
    run("read", "a.txt", "b.txt", "--out", "two.licence")
    assert (folder / "two.licence").read_bytes() == (folder / "one.licence").read_bytes()
    document = parse_document((folder / "two.licence").read_bytes(), kind=LICENCE_KIND, where="x")
    judged = judge_licence(LicenceState(), document, device=make.DEVICE, ruleset=make.ruleset(), at=make.at(1))
    assert judged.state is not None


def test_everything_is_said_as_json_too(folder: Path) -> None:
    issued()
    said = json.loads(run("show", "one.licence", "--ruleset", "rules.json", "--json").output)
    assert said["licence"]["budgets"] == {"flop": 1e18, "bytes-out": 1e9}
    assert said["quorum"] is True
    assert said["signed_by"] == ["ana", "bo"]
    assert said["digest"].startswith("sha256:")


def test_a_quorum_that_is_not_reached_exits_10(folder: Path) -> None:
    run("issue", "one.licence", "--from", "draft.yaml")
    run("sign", "one.licence", "--key", "ana.key")
    run("sign", "one.licence", "--key", "dee.key")
    shown = run("show", "one.licence", "--ruleset", "rules.json", code=10).output
    assert "not reached, by ana" in shown
    assert "no say in license: dee" in shown


def test_a_licence_for_another_ruleset_exits_10_whoever_signed_it(folder: Path) -> None:
    run("issue", "one.licence", "--from", "draft.yaml", "--ruleset", "others")
    run("sign", "one.licence", "--key", "ana.key")
    run("sign", "one.licence", "--key", "bo.key")
    shown = run("show", "one.licence", "--ruleset", "rules.json", code=10).output
    assert "quorum   reached" in shown
    assert "it is for ruleset others, and rules is in force" in shown


def test_options_stand_over_the_draft(folder: Path) -> None:
    run("issue", "x", "--from", "draft.yaml", "--sequence", "9", "--budget", "flop=2e17", "--budget", "wall-s=3600")
    said = json.loads(run("show", "x", "--json").output)["licence"]
    assert (said["sequence"], said["budgets"]) == (9, {"flop": 2e17, "wall-s": 3600.0})
    arguments = ["--id", "l", "--device", make.DEVICE, "--sequence", "1", "--ruleset", "rules"]
    arguments += ["--ruleset-version-min", "1", "--budget", "flop=1", "--valid-from", "2026-11-01", "--days", "7"]
    run("issue", "y", *arguments)
    said = json.loads(run("show", "y", "--json").output)["licence"]
    assert said["valid"] == {"start": "2026-11-01T00:00:00Z", "end": "2026-11-08T00:00:00Z"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("issue", "draft.yaml"), "is there already"),
        (("issue", "x"), "id: "),
        (("issue", "x", "--from", "ana.key"), "id: "),
        (("issue", "x", "--from", "draft.yaml", "--budget", "flop"), "is no number"),
        (("issue", "x", "--from", "draft.yaml", "--budget", "flop=nan"), "finite"),
        (("issue", "x", "--from", "draft.yaml", "--budget", "flop=1e31"), "no budget"),
        (("issue", "x", "--from", "draft.yaml", "--budget", "joy=1"), "name each meter once"),
        (("issue", "x", "--from", "draft.yaml", "--budget", "flop=1", "--budget", "flop=2"), "each meter once"),
        (("issue", "x", "--from", "draft.yaml", "--valid-from", "2026-11-01"), "ends once"),
        (("issue", "x", "--from", "draft.yaml", "--device", "me"), "device: "),
        (("issue", "x", "--from", "draft.yaml", "--days", "1e-12"), "valid"),
    ],
)
def test_a_wrong_draft_is_refused_with_the_reason(folder: Path, arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(InputError, match=words):
        run(*arguments)
    assert not (folder / "x").exists()


def test_who_signed_already_does_not_sign_again(folder: Path) -> None:
    issued()
    with pytest.raises(InputError, match="already"):
        run("sign", "one.licence", "--key", "ana.key")
    run("sign", "one.licence", "--key", "chen.key", "--out", "three.licence")
    assert "signed   by 3" in run("show", "three.licence").output


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b'{"payload":1}'])
def test_what_is_no_licence_is_said_to_be_none(folder: Path, content: bytes) -> None:
    (folder / "bad").write_bytes(content)
    with pytest.raises(EvidenceError):
        run("show", "bad")
    with pytest.raises(EvidenceError):
        run("read", "bad", "--out", "x")
    assert not (folder / "x").exists()
