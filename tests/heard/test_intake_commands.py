"""`inspectorate intake`, from making an intake to deleting a batch, as its operator, offices and sources use it."""

from __future__ import annotations

import asyncio
import json
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from inspectorate.cli.intake import intake as group
from inspectorate.errors import EvidenceError, InputError, InspectorateError
from inspectorate.evidence import IntakeCollected
from inspectorate.evidence.exchange import Exchange
from inspectorate.keys import SigningKey, TrustAnchors
from inspectorate.ledger import KeyKind, Log, VerifierKey
from inspectorate.mechanisms.whistleblowing.intake.boards import read_board
from inspectorate.mechanisms.whistleblowing.intake.card import Card
from inspectorate.mechanisms.whistleblowing.intake.store import Intake
from inspectorate.mechanisms.whistleblowing.intake.unit import service_unit
from inspectorate.mechanisms.whistleblowing.observe import observe_intakes
from inspectorate.mechanisms.whistleblowing.sealing.offices import read_identity
from inspectorate.mechanisms.whistleblowing.sealing.phrases import Phrase

ORIGIN = "example.org/log"


def run(*words: object, typed: str = "") -> Result:
    return CliRunner().invoke(group, [str(word) for word in words], input=typed)


def said(*words: object, code: int = 0, typed: str = "") -> dict[str, object]:
    result = run(*words, "--json", typed=typed)
    assert result.exit_code == code, (result.output, result.exception)
    found: dict[str, object] = json.loads(result.stdout)
    return found


def fault(*words: object) -> InspectorateError:
    result = run(*words)
    assert isinstance(result.exception, InspectorateError), (result.output, result.exception)
    return result.exception


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An intake with one report in its first batch, logged; three offices; a reviewer's anchors."""
    folder = tmp_path_factory.mktemp("commands")
    lines, anchors = ["quorum: 2", "offices:"], []
    for number, name in enumerate("abc"):
        key = SigningKey(bytes([number + 1]) * 32)
        key.write(folder / f"{name}.pem")
        made = run(
            "keys", folder / f"{name}.age", "--name", f"office-{name}", "--party", name, "--key", folder / f"{name}.pem"
        )
        assert made.exit_code == 0
        lines += made.output.splitlines()
        anchors.append({
            "name": f"office-{name}", "public_key": made.output.split()[-1], "holder": "verifier", "roles": ["inspector"],
            "valid_from": "2020-01-01T00:00:00Z", "valid_until": "2100-01-01T00:00:00Z",
        })  # fmt: skip
    (folder / "offices.yaml").write_text("\n".join(lines))
    (folder / "settings.yaml").write_text("tick_s: 0.02\nbatch_s: 0.1\nblock_bytes: 4096\n")
    log_key = SigningKey(b"\x09" * 32)
    Log.create(folder / "log", ORIGIN, log_key).close()
    verifier = VerifierKey.of(log_key, name=ORIGIN, kind=KeyKind.LOG).text
    (folder / "anchors.yaml").write_text(
        json.dumps({"anchors": anchors, "ledgers": [{"origin": ORIGIN, "key": verifier}]})
    )
    made = run("init", folder / "store", "--name", "house", "--offices", folder / "offices.yaml",
               "--settings", folder / "settings.yaml", "--ledger", folder / "log")  # fmt: skip
    assert made.exit_code == 0, made.output
    phrase = Phrase(bytes(range(16)))

    async def live() -> str:
        with Log.open(folder / "log", log_key) as log:
            intake = Intake.open(folder / "store", log=lambda entry: log.append([entry]) and None)
            await intake.tick()
            sending = asyncio.create_task(intake.begin(phrase, {"what": "a hall"}, "en").finish())
            while not sending.done():
                await asyncio.sleep(0)
                await intake.tick()
            while log.size < 2:
                await intake.tick()
            intake.close()
            return (await sending).text()

    (folder / "receipt").write_text(asyncio.run(live()))
    return folder


def log_options(place: Path) -> list[object]:
    return ["--card", place / "store" / "card.json", "--log", place / "log", "--anchors", place / "anchors.yaml"]


def collecting(place: Path, name: str) -> list[object]:
    return ["--into", place / f"got-{name}", *log_options(place), "--as", f"office-{name}", "--out", place / f"st-{name}",
            "--key", place / f"{name}.pem"]  # fmt: skip


def test_what_init_makes(place: Path) -> None:
    store = place / "store"
    assert stat.S_IMODE((store / "intake.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((place / "a.age").stat().st_mode) == 0o600
    card = Card.read(store / "card.json")
    assert card.offices.names == ("office-a", "office-b", "office-c")
    unit = (store / "inspectorate-intake.service").read_text()
    for line in ("MemorySwapMax=0", "LimitCORE=0", "NoNewPrivileges=true", f"ReadWritePaths={store} {place / 'log'}"):
        assert line in unit.splitlines()
    assert isinstance(fault("init", store, "--name", "house", "--offices", place / "offices.yaml"), InputError)


@pytest.mark.tools
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_the_unit_is_one(place: Path) -> None:
    unit = place / "store" / "inspectorate-intake.service"
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert "Unknown" not in done.stderr.replace("Unknown key 'MemoryZSwapMax'", "")  # systemd 253 and later


@pytest.mark.parametrize("path", ["store", "/a b", "/a%n", "/a'b"])
def test_a_unit_carries_no_odd_path(path: str) -> None:
    with pytest.raises(InputError):
        service_unit("house", Path(path), Path("/usr/bin/inspectorate"))


def assert_a_review_finds_them(place: Path) -> None:
    """What a review sees of the statements that `collect` makes."""
    anchors = TrustAnchors.read(place / "anchors.yaml")
    stated = [pair for name in "abc" for pair in Exchange(place / f"st-{name}", anchors=anchors).of(IntakeCollected)]
    (seen,) = observe_intakes(stated)
    assert seen.id == "house"
    assert seen.faults == ()
    assert [(one.number, sorted(one.collected)) for one in seen.batches] == [
        (number, ["office-a", "office-b", "office-c"]) for number in (1, 2)
    ]


def test_the_whole_way_of_a_batch(place: Path) -> None:
    """Collect, check, release, open, answer, read the answer, delete: in one row, since each needs the one before."""
    closed = place / "store" / "closed"
    for name in "abc":
        got = said("collect", closed, *collecting(place, name))
        assert [(one["batch"], one["missing"]) for one in got["batches"]] == [(1, 0), (2, 0)]  # type: ignore[attr-defined]
    assert isinstance(fault("collect", closed, *collecting(place, "a")), InputError)
    assert_a_review_finds_them(place)
    held = said("verify", closed, "--receipt", place / "receipt", *log_options(place))
    assert held["receipt"] == "held"
    assert said("verify", place / "got-a", *log_options(place))["batches"]
    card = ["--card", place / "store" / "card.json"]
    released = said("release", place / "got-b", *card, "--identity", place / "b.age", "--key", place / "b.pem",
                    "--to", "office-a", "--out", place / "rel")["releases"]  # fmt: skip
    assert isinstance(released, list)
    giving = [word for path in released for word in ("--release", path)]
    opened = said("open", place / "got-a", *card, "--identity", place / "a.age", *giving, "--into", place / "opened")
    (report,) = opened["reports"]  # type: ignore[misc]
    wrong = fault("open", place / "got-c", *card, "--identity", place / "c.age", *giving, "--into", place / "no")
    assert "not sealed to this office" in str(wrong)
    (place / "answers.json").write_text(json.dumps([{"mailbox": report["mailbox"], "text": "thank you"}]))
    made = said("board", *card, "--as", "office-a", "--key", place / "a.pem", "--sequence", 1,
                "--answers", place / "answers.json", "--out", place / "a.board")  # fmt: skip
    assert made["answers"] == 1
    assert run("publish", place / "store", place / "a.board").exit_code == 0
    assert isinstance(fault("publish", place / "store", place / "a.board"), EvidenceError)
    words = Phrase(bytes(range(16))).words("ru")
    assert said("replies", place / "a.board", *card, typed=words + "\n")["replies"] == [
        {"office": "office-a", "text": "thank you"}
    ]
    assert said("replies", place / "a.board", *card, typed=Phrase.make().digits() + "\n")["replies"] == []
    deleting = [
        "delete",
        place / "store",
        "--batch",
        1,
        "--anchors",
        place / "anchors.yaml",
        "--statements",
        place / "st-a",
    ]
    assert "it takes 2" in str(fault(*deleting))
    assert "it takes 2" in str(fault(*deleting, "--statements", place / "st-a"))
    assert said(*deleting, "--statements", place / "st-b")["held_by"] == ["office-a", "office-b"]
    assert sorted(path.name for path in closed.glob("0000000001.*")) == [
        "0000000001.closing.json", "0000000001.commitments"
    ]  # fmt: skip
    late = said(
        "collect",
        closed,
        "--batch",
        1,
        *[*collecting(place, "c")[:1], place / "late", *collecting(place, "c")[2:]],
        code=20,
    )
    assert late["batches"][0]["missing"] > 0  # type: ignore[index]


def test_a_source_seals_first(place: Path) -> None:
    text = place / "words.txt"
    text.write_text("the sensor at P3 is fed")
    card = ["--card", place / "store" / "card.json"]
    made = said(
        "seal", *card, "--text", text, "--file", place / "offices.yaml", "--language", "fr", "--out", place / "s"
    )
    assert Phrase.parse(str(made["phrase"])) == Phrase.parse(str(made["digits"]))
    again = said("seal", *card, "--text", "-", "--phrase", "--out", place / "s2", typed=str(made["phrase"]) + "\nmore")
    assert Phrase.parse(str(again["digits"])) == Phrase.parse(str(made["digits"]))
    released = said("release", place, "--sealed", place / "s", *card, "--identity", place / "c.age", "--key",
                    place / "c.pem", "--to", "office-b", "--out", place / "rel-s")["releases"]  # fmt: skip
    opened = said("open", place, "--sealed", place / "s", *card, "--identity", place / "b.age",
                  "--release", released[0], "--into", place / "opened-s")  # type: ignore[index] # fmt: skip
    assert len(opened["reports"]) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize("what", ["mode", "kind", "none"])
def test_an_identity_that_is_none_is_refused(place: Path, tmp_path: Path, what: str) -> None:
    path = tmp_path / "id"
    path.write_text({"mode": (place / "a.age").read_text(), "kind": "AGE-SECRET-KEY-1QQ\n", "none": ""}[what])
    path.chmod(0o644 if what == "mode" else 0o600)
    with pytest.raises(InputError):
        read_identity(path)


def test_an_empty_board_is_one_too(place: Path) -> None:
    card = ["--card", place / "store" / "card.json"]
    out = place / "b.board"
    said("board", *card, "--as", "office-b", "--key", place / "b.pem", "--sequence", 7, "--out", out)
    head, _ = read_board(out.read_bytes(), "house", Card.read(place / "store" / "card.json").offices, where="b")
    assert (head.office, head.sequence) == ("office-b", 7)
    assert isinstance(
        fault("board", *card, "--as", "office-b", "--key", place / "a.pem", "--sequence", 8, "--out", out), InputError
    )
