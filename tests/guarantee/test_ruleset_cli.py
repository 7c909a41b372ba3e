"""`inspectorate ruleset` as a signer meets it, and the commands of docs/rulesets.md, run one after the other."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from ruleset_making import after, first, key, rule, signed

from inspectorate.cli.ruleset import ruleset
from inspectorate.errors import InspectorateError
from inspectorate.mechanisms.guarantee.metering.types import MeterKind
from inspectorate.mechanisms.guarantee.rulesets.rules import INPUTS
from inspectorate.mechanisms.guarantee.rulesets.types import Act
from inspectorate.mechanisms.guarantee.signing import Signer, SignerKey

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "rulesets.md"


@dataclass(frozen=True)
class Done:
    code: int
    output: str


def run(*arguments: str) -> Done:
    """One command in this process. Errors of ours are exit codes, as in `inspectorate.cli.main`."""
    found = CliRunner().invoke(ruleset, list(arguments), standalone_mode=False)
    if isinstance(found.exception, InspectorateError):
        return Done(found.exception.exit_code, str(found.exception))
    if isinstance(found.exception, SystemExit):
        return Done(int(found.exception.code or 0), found.output)
    if found.exception is not None:
        raise found.exception
    return Done(0, found.output)


def commands() -> list[tuple[list[str], int]]:
    """(arguments, exit code) of every command of the document, loops written out."""
    found = []
    for line in DOCUMENT.read_text(encoding="utf-8").splitlines():
        loop = re.match(r"    for n in ([^;]+); do (inspectorate ruleset .*); done$", line)
        for text in [loop[2].replace("$n", n) for n in loop[1].split()] if loop else [line.removeprefix("    ")]:
            if text.startswith("inspectorate ruleset ") and (loop or line.startswith("    ")):
                command, _, comment = text.partition("  #")
                exits = re.search(r"exits (\d+)", comment)
                found.append((shlex.split(command)[2:], int(exits[1]) if exits else 0))
    return found


def test_the_commands_of_the_document_do_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in (ROOT / "examples" / "rulesets").glob("*.yaml"):
        shutil.copy(file, tmp_path)
    monkeypatch.chdir(tmp_path)
    baseline = ""
    asked = commands()
    assert len(asked) > 15
    for arguments, exits in asked:
        done = run(*[one.replace("$BASELINE", baseline) for one in arguments])
        assert done.code == exits, (arguments, done)
        if arguments[:2] == ["new", "first.yaml"]:
            baseline = re.findall(r"^sha256:\w+", done.output, flags=re.MULTILINE)[0]
        if arguments[:2] == ["new", "tighter.yaml"]:
            assert "version 2 by new-guarantee, which takes 4 of" in done.output
    assert not (tmp_path / "3.json").exists()


def test_the_document_names_every_input() -> None:
    table = DOCUMENT.read_text(encoding="utf-8")
    for inputs in INPUTS.values():
        for name in inputs:
            prefix = f"`{name.split('_', 1)[0]}_*`"
            assert f"`{name}`" in table or prefix in table, name
    for meter in MeterKind:
        assert f"`{meter.value.replace('-', '_')}`" in table


def test_a_key_is_two_files_and_the_public_one_is_a_signer(tmp_path: Path) -> None:
    done = run("key", "--name", "ana", "--out", str(tmp_path / "ana"), "--json")
    told = json.loads(done.output)
    made = Signer.model_validate_json((tmp_path / "ana.pub").read_bytes())
    assert made == SignerKey.read(tmp_path / "ana").signer("ana")
    assert made.signer_id == told["signer_id"]
    assert run("key", "--name", "ana", "--out", str(tmp_path / "ana")).code == 2
    assert run("key", "--name", "not a name", "--out", str(tmp_path / "b")).code == 2
    assert not (tmp_path / "b").exists()


FIRST = first()
PATCH = after(FIRST, Act.SECURITY_PATCH, builds=("sha256:" + "c" * 64,))


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("1.json").write_bytes(signed(FIRST).to_bytes())
    Path("2.json").write_bytes(signed(PATCH, "ana", "ana", "bo", "stranger").to_bytes())
    key("cem").write(Path("cem"))
    return tmp_path


def test_verify_as_json_names_repeated_and_unknown_signers(files: Path) -> None:
    done = run("verify", "1.json", "2.json", "--baseline", FIRST.digest, "--as-of", "2026-12-01", "--json")
    told = json.loads(done.output)
    assert (done.code, told["accepted"], told["signed_by"]) == (0, True, ["ana", "bo"])
    assert [one["kind"] for one in told["refusals"]] == ["signer-repeated"]
    assert key("stranger").signer_id in told["notes"][0]


def test_show_as_json_says_what_changes(files: Path) -> None:
    told = json.loads(run("show", "2.json", "--previous", "1.json", "--json").output)
    assert told["difference"] == {
        "from_version": 1,
        "changes": [{"field": "builds", "says": "1 gone, 1 new", "needs": "security-patch"}],
        "needs": "security-patch",
        "allowed": True,
    }
    assert (told["quorum_reached"], told["signed_by"]) == (True, ["ana", "bo"])


def test_show_warns_of_what_is_weak(files: Path) -> None:
    Path("weak.json").write_bytes(signed(first(baseline=(), builds=())).to_bytes())
    told = json.loads(run("show", "weak.json", "--json").output)
    assert [text for text in told["warnings"] if "baseline is empty" in text]
    assert [text for text in told["warnings"] if "outlet can all be loosened" in text]
    assert json.loads(run("show", "1.json", "--json").output)["warnings"] == []
    assert "the baseline is empty" in run("show", "weak.json").output


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b'{"payload":"e30=","payloadType":"x","signatures":[]}'])
def test_what_is_no_ruleset_exits_30_everywhere(files: Path, content: bytes) -> None:
    Path("bad").write_bytes(content)
    for arguments in (
        ("show", "bad"),
        ("sign", "bad", "--key", "cem"),
        ("verify", "bad", "--baseline", FIRST.digest),
        ("verify", "bad", "2.json", "--baseline", FIRST.digest),
        ("show", "2.json", "--previous", "bad"),
    ):
        done = run(*arguments)
        assert done.code == 30
        assert "bad" in done.output


def test_a_chain_with_a_hole_exits_30(files: Path) -> None:
    third = after(PATCH, Act.NEW_GUARANTEE, rules=(rule(), rule("more")))
    Path("3.json").write_bytes(signed(third, "ana", "bo", "cem", "dara").to_bytes())
    baseline = ("--baseline", FIRST.digest, "--as-of", "2026-12-01")
    assert run("verify", "1.json", "2.json", "3.json", *baseline).code == 0
    assert run("verify", "1.json", "3.json", *baseline).code == 30
    assert run("verify", "1.json", "2.json", "3.json", "--baseline", "sha256:" + "0" * 64).code == 30


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "no template"),
        ("version: 3", "says version"),
        ("id: x", "Field required"),
        ("a: &b 1", ""),
        ("id: [", "not YAML"),
    ],
)
def test_a_template_that_cannot_be_used_exits_2(files: Path, text: str, said: str) -> None:
    Path("t.yaml").write_text(text)
    done = run("new", "t.yaml", "--out", "new.json")
    assert done.code == 2
    assert said in done.output
    assert not Path("new.json").exists()


def test_signers_of_the_previous_one_stay_change_or_leave(files: Path) -> None:
    shutil.copy(ROOT / "examples" / "rulesets" / "first.yaml", files)
    options = []
    for name in ("north-1", "north-2", "north-3", "south-1", "south-2", "south-3", "agency-1", "agency-2"):
        Path(name).write_bytes(key(name).signer(name).canonical_bytes())
        options += ["--signer", f"{name}={name}"]
    assert run("new", "first.yaml", *options, "--out", "a.json").code == 0
    assert run("new", "first.yaml", "--previous", "a.json", "--out", "b.json").code == 2  # changes nothing
    dropped = run("new", "first.yaml", "--previous", "a.json", "--drop", "agency-2", "--out", "b.json")
    assert "by change-rules" in dropped.output
    assert "agency-2 is gone" in dropped.output
    assert run("new", "first.yaml", "--previous", "a.json", "--drop", "agency-1", "--out", "c.json").code == 2
    assert run("new", "first.yaml", "--previous", "a.json", "--drop", "nobody", "--out", "c.json").code == 2
    assert run("new", "first.yaml", "--signer", "north-1", "--out", "c.json").code == 2
    assert run("new", "first.yaml", "--signer", "north-1=a.json", "--out", "c.json").code == 2
    assert not Path("c.json").exists()
