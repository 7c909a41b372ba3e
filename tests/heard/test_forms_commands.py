"""`inspectorate interview form`, `record` and `answers`: from a draw to statements, and each refusal."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pyrage
import pytest
from click.testing import CliRunner, Result
from forms_cases import capture_of
from jsonschema import Draft202012Validator
from roster_cases import ANCHORS, INSPECTOR, PROVER, rows

from inspectorate.canonical import digest_of
from inspectorate.cli.interview import interview
from inspectorate.cli.options import now
from inspectorate.errors import EvidenceError, InputError
from inspectorate.mechanisms.interviews.consistency.types import AnswerSheet
from inspectorate.mechanisms.interviews.forms.capture import read_frame
from inspectorate.mechanisms.interviews.forms.schemas import PUBLISHED, schema_bytes
from inspectorate.mechanisms.interviews.forms.shipped import shipped_form

FORM = shipped_form("operations")
SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas" / "interviews"


def run(*words: object) -> Result:
    return CliRunner().invoke(interview, [str(word) for word in words])


def done(*words: object, code: int = 0) -> dict[str, object]:
    result = run(*words, "--json")
    assert result.exit_code == code, (result.output, result.exception)
    found = json.loads(result.output)
    assert isinstance(found, dict)
    return found


@dataclass
class Round:
    """A draw of three people, a frame, and the office's key."""

    root: Path
    drawn: list[int]
    office: str

    def capture(self, entry: int, **more: object) -> Path:
        frame = read_frame((self.root / "frame.json").read_bytes(), where="frame.json")
        path = self.root / f"capture-{entry}.json"
        path.write_text(json.dumps(capture_of(FORM, frame, entry=entry, **more)))
        return path

    def record(self, *more: object, code: int = 10) -> dict[str, object]:
        return done("record", "operations", self.root / "frame.json", *more, "--into", self.root / "kept", code=code)

    def answers(self) -> Result:
        return run(
            "answers", "operations", self.root / "frame.json", self.root / "kept", "--identity", self.root / "office.key",
            "--agreement", "inference-only-heard", "--draws", self.root / "verifier", "--roster", self.root / "prover",
            "--anchors", self.root / "anchors.json", "-o", self.root / "sheet.json", "--json",
        )  # fmt: skip


@pytest.fixture(scope="module")
def sitting(tmp_path_factory: pytest.TempPathFactory) -> Round:
    root = tmp_path_factory.mktemp("round")
    for name, key in (("prover.pem", PROVER), ("ada.pem", INSPECTOR)):
        key.write(root / name)
    (root / "anchors.json").write_text(ANCHORS.model_dump_json())
    with (root / "people.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [("pseudonym", "role", "stratum"), *((one.pseudonym, one.role, one.stratum) for one in rows())]
        )
    keep, anchors = ("--keep", root / "secret"), ("--anchors", root / "anchors.json")
    ada = ("--out", root / "verifier", "--key", root / "ada.pem", *anchors)
    them = ("--out", root / "prover", "--key", root / "prover.pem", *anchors)
    sizes = ("--number", "operations=3", "--number", "research=0")
    done("promise", "--reporter", "staff-a", *sizes, "--as", "ada", *keep, *ada)
    start = now() - timedelta(days=1)
    times = ("--from", start.isoformat(), "--until", (start + timedelta(days=30)).isoformat())
    ours = ("--promises", root / "verifier", "--keep", root / "kept-r")
    done("commit", root / "people.csv", "--roster", "r", "--reporter", "staff-a", *times, *ours, *them)
    drawn = done("draw", "--from", root / "prover", "--as", "ada", *keep, *ada)["drawn"]
    assert isinstance(drawn, list)
    framed = done(
        "form", "frame", "operations", "--draws", root / "verifier", "--anchors", root / "anchors.json", "--site", "North site",
        "--pod", "A1", "--pod", "A2", "--pod", "B3", "--from", "2026-03-01", "--until", "2026-04-01", "-o", root / "frame.json",
    )  # fmt: skip
    assert framed["entries"] == drawn
    office = pyrage.x25519.Identity.generate()
    (root / "office.key").write_text(f"# of the office\n{office}\n")
    return Round(root, drawn, str(office.to_public()))


def test_from_a_draw_to_statements(sitting: Round) -> None:
    page = done("form", "page", "operations", sitting.root / "frame.json", "-o", sitting.root / "page.html")
    assert isinstance(page["bytes"], int)
    first, second, third = sitting.drawn
    told = sitting.record(sitting.capture(first), "--to", sitting.office)
    assert (told["heard"], told["outstanding"]) == ([first], [second, third])
    early = sitting.answers()
    assert (early.exit_code, json.loads(early.output)["outstanding"]) == (10, [second, third])
    told = sitting.record(sitting.capture(second, say={"racks": 12}), "--to", sitting.office, "--absent", third, code=0)
    assert (told["heard"], told["absent"], told["outstanding"]) == ([first, second], [third], [])
    records = (sitting.root / "kept" / "records.json").read_bytes()
    assert told["records"] == digest_of(records)
    # Nothing that was said stands in the open.
    for path in (sitting.root / "kept").iterdir():
        assert b"work_at_pods" not in path.read_bytes()
    result = sitting.answers()
    assert result.exit_code == 0, (result.output, result.exception)
    assert (sitting.root / "sheet.json").stat().st_mode & 0o077 == 0
    sheet = AnswerSheet.model_validate_json((sitting.root / "sheet.json").read_bytes())
    assert {(one.entry, one.stratum) for one in sheet.interviewees} == {(first, "operations"), (second, "operations")}
    racks = {
        one.entry: one.said.model_dump()
        for one in sheet.statements
        if one.topic == "racks" and one.said.kind == "amount"
    }
    assert racks == {
        first: {"kind": "amount", "lower": 7, "upper": 7},
        second: {"kind": "amount", "lower": 12, "upper": 12},
    }
    # A record that was put in place of another one is noticed.
    kept = sorted((sitting.root / "kept").glob("record-*.age"))
    kept[0].write_bytes(kept[1].read_bytes())
    assert isinstance(sitting.answers().exception, EvidenceError)
    into = ("--into", sitting.root / "kept", "--to", sitting.office)
    refused = run("record", "operations", sitting.root / "frame.json", sitting.capture(first), *into)
    assert "heard once" in str(refused.exception)


def test_what_does_not_fit_is_refused_and_nothing_is_written(sitting: Round, tmp_path: Path) -> None:
    good, bad = sitting.capture(sitting.drawn[0]), tmp_path / "bad.json"
    bad.write_text(good.read_text().replace('"heard"', '"perhaps"'))
    for words, error in (
        ((good, bad, "--to", sitting.office), EvidenceError), ((good,), InputError), ((good, "--to", "age1nobody"), InputError),
        (("--absent", 70_000), InputError),
    ):  # fmt: skip
        result = run("record", "operations", sitting.root / "frame.json", *words, "--into", tmp_path / "kept")
        assert isinstance(result.exception, error), result.output
    assert not (tmp_path / "kept").exists()
    other = run(
        "record", "research", sitting.root / "frame.json", good, "--into", tmp_path / "kept", "--to", sitting.office
    )
    assert "another form" in str(other.exception)


def test_check_convert_show_digest(tmp_path: Path) -> None:
    checked = done("form", "check", "operations", "--agreement", "inference-only-heard")
    assert checked["found"] == []
    assert run("form", "check", "operations", "--agreement", "asi-agreement").exit_code == 20
    made = done("form", "convert", "research", "-o", tmp_path / "form.json")
    assert made["form"] == digest_of((tmp_path / "form.json").read_bytes()) == shipped_form("research").digest
    assert run("form", "digest", tmp_path / "form.json").output.strip() == made["form"]
    table = tmp_path / "form.md"
    table.write_text("| survey |")
    shown = run("form", "show", "research", "--language", "es").output
    assert "Esta conversación es voluntaria." in shown
    assert "¿Cuántos días duró esa ejecución?" in shown
    for words in (("digest", tmp_path / "none.json"), ("show", "research", "--language", "de"), ("digest", tmp_path / "form.docx"),
                  ("page", table, tmp_path / "form.json", "-o", tmp_path / "p")):  # fmt: skip
        assert isinstance(run("form", *words).exception, InputError)


def test_the_bank_can_be_asked() -> None:
    bank = done("form", "bank", "--clause", "declared-cabling", "--stratum", "network")
    assert isinstance(bank["questions"], list)
    assert [one["id"] for one in bank["questions"]] == ["recabled", "recabled-day", "cables-between-pods"]
    assert "of 24 questions" in run("form", "bank").output


@pytest.mark.parametrize("name", PUBLISHED)
def test_schemas_are_published(name: str, sitting: Round) -> None:
    written = (SCHEMAS / f"{name}.json").read_bytes()
    assert written == schema_bytes(name), "write them anew with `interview form schema`"
    schema = json.loads(written)
    Draft202012Validator.check_schema(schema)
    instance = {"form": FORM.canonical_bytes(), "capture": sitting.capture(sitting.drawn[0]).read_bytes(),
                "frame": (sitting.root / "frame.json").read_bytes()}.get(name)  # fmt: skip
    if instance is not None:
        Draft202012Validator(schema).validate(json.loads(instance))
