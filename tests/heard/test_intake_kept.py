"""Nothing that an office has is lost by collecting again; what a source seals is whole, or there is no file."""

from __future__ import annotations

import base64
import json
import os
import shutil
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from click.testing import CliRunner, Result
from intake_scene import Scene

from inspectorate.cli.intake import intake as group
from inspectorate.errors import EvidenceError, InputError
from inspectorate.keys import SigningKey
from inspectorate.ledger import KeyKind, Log, VerifierKey
from inspectorate.mechanisms.whistleblowing.intake.card import Card
from inspectorate.mechanisms.whistleblowing.intake.collecting import Collected, blocks_there, collect, collected_batch
from inspectorate.mechanisms.whistleblowing.intake.opening import open_reports, own_shares
from inspectorate.mechanisms.whistleblowing.intake.store import Intake
from inspectorate.mechanisms.whistleblowing.intake.volume import Paths
from inspectorate.mechanisms.whistleblowing.sealing.files import Sealed
from inspectorate.mechanisms.whistleblowing.sealing.phrases import Phrase
from inspectorate.mechanisms.whistleblowing.web.limits import Limits
from inspectorate.mechanisms.whistleblowing.web.server import Server
from inspectorate.mechanisms.whistleblowing.web.serving import told
from inspectorate.mechanisms.whistleblowing.web.site import Site

ORIGIN = "example.org/log"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """An intake whose first batch has empty places, since a tick was left out."""
    made = Scene(tmp_path_factory.mktemp("kept"))

    async def acts(intake: Intake) -> None:
        await made.report(intake, {"what": "x"})
        made.now += timedelta(seconds=made.settings.batch_s)
        await made.finish_batch(intake)

    made.run(acts)
    log_key = SigningKey(b"\x09" * 32)
    with Log.create(made.folder / "log", ORIGIN, log_key) as log:
        log.append(made.log)
    ledger = {"origin": ORIGIN, "key": VerifierKey.of(log_key, name=ORIGIN, kind=KeyKind.LOG).text}
    anchors = [
        {
            "name": office.name, "public_key": office.key, "holder": "verifier", "roles": ["inspector"],
            "valid_from": "2020-01-01T00:00:00Z", "valid_until": "2100-01-01T00:00:00Z",
        }
        for office in made.offices.offices
    ]  # fmt: skip
    (made.folder / "anchors").write_text(json.dumps({"anchors": anchors, "ledgers": [ledger]}))
    key = base64.b64encode(made.key.public.raw).decode()
    card = Card(settings=made.settings, key=key, offices=made.offices)
    (made.folder / "card").write_bytes(card.canonical_bytes())
    made.held[0].key.write(made.folder / "key")
    return made


def run(*words: object, typed: bytes = b"") -> Result:
    return CliRunner().invoke(group, [str(word) for word in words], input=typed)


def known(scene: Scene) -> list[object]:
    return ["--card", scene.folder / "card", "--log", scene.folder / "log", "--anchors", scene.folder / "anchors"]


def holes(scene: Scene, folder: Path, *places: int) -> Path:
    """A copy of an office's batch without some of its blocks."""
    collect(scene.closed, 1, folder, scene.expected)
    size = scene.settings.block_bytes
    with Paths(folder, 1).blocks.open("r+b") as file:
        for place in places:
            file.seek(place * size)
            file.write(bytes(size))
    return folder


def test_what_an_office_has_is_kept_when_the_host_has_nothing_any_more(scene: Scene, tmp_path: Path) -> None:
    host = Path(shutil.copytree(scene.closed, tmp_path / "closed"))
    assert collect(host, 1, tmp_path / "got", scene.expected).missing == ()
    whole = Paths(tmp_path / "got", 1).blocks.read_bytes()
    Paths(host, 1).blocks.unlink()
    assert collect(host, 1, tmp_path / "got", scene.expected).missing == ()
    assert Paths(tmp_path / "got", 1).blocks.read_bytes() == whole


def test_two_offices_from_which_different_blocks_were_kept_have_all_together(scene: Scene, tmp_path: Path) -> None:
    one, other = holes(scene, tmp_path / "a", 0), holes(scene, tmp_path / "b", 1, 2)
    assert collect(other, 1, one, scene.expected).missing == ()
    assert collected_batch(one, 1, scene.expected).count == blocks_there(scene.closed, 1, scene.expected)[1]


def test_a_file_of_blocks_is_never_read_through_a_link(scene: Scene, tmp_path: Path) -> None:
    host = Path(shutil.copytree(scene.closed, tmp_path / "closed"))
    Paths(host, 1).blocks.rename(tmp_path / "elsewhere")
    Paths(host, 1).blocks.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EvidenceError):
        blocks_there(host, 1, scene.expected)
    Paths(host, 1).blocks.unlink()
    os.mkfifo(Paths(host, 1).blocks)
    with pytest.raises(EvidenceError, match="no plain file"):
        collect(host, 1, tmp_path / "got", scene.expected)


def test_nothing_is_fetched_that_cannot_be_stated(scene: Scene, tmp_path: Path) -> None:
    for name in ("office-1", "nobody"):
        words = ["--into", tmp_path / "got", "--as", name, "--key", scene.folder / "key", "--out", tmp_path / "out"]
        assert isinstance(run("collect", scene.closed, *words, *known(scene)).exception, InputError)
    assert not (tmp_path / "got").exists()


def test_the_folder_of_an_honest_host_is_all_there_and_a_batch_that_is_gone_is_named(
    scene: Scene, tmp_path: Path
) -> None:
    host = Path(shutil.copytree(scene.closed, tmp_path / "closed"))
    assert bytes(scene.settings.block_bytes) in Paths(host, 1).blocks.read_bytes()
    result = run("verify", host, *known(scene), "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    for path in host.glob("0000000001.*"):
        path.unlink()
    gone = run("verify", host, *known(scene))
    assert gone.exit_code == 20
    assert "batch 1: in the log, and nothing of it is here" in gone.output


def test_blocks_that_the_host_lost_before_a_batch_closed_are_no_success(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closing, there = blocks_there(scene.closed, 1, scene.expected)
    lost = closing.model_copy(update={"damaged": 1})
    monkeypatch.setattr("inspectorate.cli.intake_verify.blocks_there", lambda *_: (lost, there))
    assert run("verify", scene.closed, *known(scene)).exit_code == 20
    got = Collected(closing=lost, commitments=b"", missing=())
    monkeypatch.setattr("inspectorate.cli.intake_offices.collect_batch", lambda *_: got)
    collecting = [
        "--into",
        tmp_path / "got",
        "--as",
        "office-0",
        "--key",
        scene.folder / "key",
        "--out",
        tmp_path / "out",
    ]
    assert run("collect", scene.closed, *collecting, *known(scene)).exit_code == 20


# --- sealed by a source -----------------------------------------------------------------------------------------------


def sealing(scene: Scene, out: Path, *more: object) -> list[object]:
    return ["seal", "--card", scene.folder / "card", "--out", out, *more]


def test_words_that_follow_a_code_phrase_in_a_pipe_are_sealed(scene: Scene, tmp_path: Path) -> None:
    typed = f"{Phrase.make().digits()}\nwhat I saw".encode()
    result = run(*sealing(scene, tmp_path / "s", "--text", "-", "--phrase"), typed=typed)
    assert result.exit_code == 0, (result.output, result.exception)
    sealed = Sealed.of_source(tmp_path / "s", scene.offices)
    (report,) = open_reports(
        [(sealed, [own_shares(sealed, one.identity) for one in scene.held[:2]])], tmp_path / "o"
    ).reports
    assert report.answers == {"text": "what I saw"}


def test_a_report_of_nothing_is_not_sealed(scene: Scene, tmp_path: Path) -> None:
    refused = run(*sealing(scene, tmp_path / "s", "--text", "-"), typed=b" \n")
    assert isinstance(refused.exception, InputError)
    assert not (tmp_path / "s").exists()


def test_more_files_than_offices_read_are_refused_and_no_half_file_is_left(scene: Scene, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("words")
    many = [word for _ in range(65) for word in ("--file", text)]
    for odd in (many, ["--file", "/proc/self/mem"], ["--language", "ENGLISH"]):
        refused = run(*sealing(scene, tmp_path / "s", "--text", text, *odd))
        assert isinstance(refused.exception, InputError), (odd[:2], refused.output)
        assert not (tmp_path / "s").exists()


def test_a_file_whose_name_is_no_text_is_sealed(scene: Scene, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.jpg"))
    path.write_bytes(b"picture")
    result = run(*sealing(scene, tmp_path / "s", "--text", "-", "--file", path), typed=b"")
    assert result.exit_code == 0, (result.output, result.exception)
    assert Sealed.of_source(tmp_path / "s", scene.offices).count == 1


def test_opening_onto_a_disk_is_said(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inspectorate.cli.intake_offices.in_memory", lambda _: False)
    for number, one in enumerate(scene.held[:2]):
        (tmp_path / f"{number}.age").write_text(f"{one.identity}\n")
        (tmp_path / f"{number}.age").chmod(0o600)
    assert run(*sealing(scene, tmp_path / "s", "--text", "-"), typed=b"words").exit_code == 0
    both = [tmp_path, "--sealed", tmp_path / "s", "--card", scene.folder / "card"]
    releasing = ["--identity", tmp_path / "0.age", "--key", scene.folder / "key", "--to", "office-1", "--out", tmp_path]
    assert run("release", *both, *releasing).exit_code == 0
    opening = ["--identity", tmp_path / "1.age", "--release", tmp_path / "s.office-0.release", "--into", tmp_path / "o"]
    opened = run("open", *both, *opening)
    assert opened.exit_code == 0, (opened.output, opened.exception)
    assert "lies on a disk" in opened.stderr


def test_what_is_wrong_with_the_store_is_told_until_it_is_not(tmp_path: Path) -> None:
    scene = Scene(tmp_path)

    async def acts(intake: Intake) -> None:
        server = Server(cast(Site, None), Limits())
        await scene.finish_batch(intake)
        assert told(server, intake) == "no fault"
        whole = (scene.store / "offices.json").read_bytes()
        (scene.store / "offices.json").write_bytes(b"{}")
        await scene.finish_batch(intake)
        await scene.tick(intake)
        assert "offices.json" in told(server, intake)
        (scene.store / "offices.json").write_bytes(whole)
        await scene.finish_batch(intake)
        assert told(server, intake) == "no fault"

    scene.run(acts)
