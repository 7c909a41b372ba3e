"""The journey of a report through the offices, from the command line: every step that people take, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import cases_kit
import cases_review
import pytest
import yaml
from cases_kit import ANSWERS, ATTACHED, NAMES, OUTSIDE, identity, key, known, sealed_file
from click.testing import CliRunner, Result

from inspectorate.cli import cli
from inspectorate.errors import InspectorateError
from inspectorate.evidence import InspectionRequested, LeadClosed, LeadRaised
from inspectorate.evidence.envelope import verify_envelope
from inspectorate.keys import Holder, Role, TrustAnchor, TrustAnchors
from inspectorate.mechanisms.whistleblowing.cases.naming import case_of
from inspectorate.mechanisms.whistleblowing.intake.boards import read_board, replies_on
from inspectorate.mechanisms.whistleblowing.intake.opening import OpenedFile, OpenedReport
from inspectorate.mechanisms.whistleblowing.sealing.phrases import Phrase
from inspectorate.report import render_json

PHRASE = Phrase(bytes(range(16)))
CASE = case_of(PHRASE.mailbox("main").key)


class Offices:
    """Desks of two offices and of one to which cases may go, on the disk as `cases init` makes them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        offices = known().offices.model_dump(mode="json")
        (folder / "offices.yaml").write_text(yaml.safe_dump(offices))
        (folder / "others.yaml").write_text(yaml.safe_dump({"offices": [known().others[0].model_dump(mode="json")]}))
        (folder / "declaration.yaml").write_text(
            yaml.safe_dump(cases_kit.declaration().model_dump(mode="json", exclude_none=True))
        )
        for name in (*NAMES[:2], OUTSIDE):
            key(name).write(folder / f"{name}.pem")
            (folder / f"{name}.age").write_text(f"{identity(name)}\n")
            (folder / f"{name}.age").chmod(0o600)
            self.run(
                "init", str(folder / name), "--as", name, "--key", str(folder / f"{name}.pem"),
                "--identity", str(folder / f"{name}.age"), "--offices", str(folder / "offices.yaml"),
                "--others", str(folder / "others.yaml"), "--agreement", "inference-only-heard",
                "--declaration", str(folder / "declaration.yaml"),
            )  # fmt: skip

    def run(self, *arguments: str, words: str = "", code: int = 0) -> Result:
        result = CliRunner().invoke(cli, ["cases", *arguments], input=words)
        if result.exception is not None and not isinstance(result.exception, SystemExit | InspectorateError):
            raise result.exception
        found = result.exception.exit_code if isinstance(result.exception, InspectorateError) else result.exit_code
        assert found == code, (arguments, result.output, result.exception)
        return result

    def at(self, name: str, *arguments: str, words: str = "", code: int = 0) -> Result:
        return self.run(*arguments, "--desk", str(self.folder / name), words=words, code=code)

    def exchange(self) -> None:
        for one, other in ((0, 1), (1, 0)):
            self.at(NAMES[one], "merge", str(self.folder / NAMES[other] / "cases" / CASE))

    def opened(self, name: str) -> Path:
        """A report as opening leaves it, in clear."""
        folder = self.folder / f"opened-{name}" / ("0" * 32)
        folder.mkdir(parents=True)
        file = OpenedFile(**sealed_file().model_dump(), stored="file-00")
        report = OpenedReport(
            report="0" * 32, intake="main", sealed_in=("batch 3",), opened_by=NAMES[:2], mailbox=PHRASE.mailbox("main"),
            language="en", answers=ANSWERS, files=(file,), complete=True,
        )  # fmt: skip
        (folder / "report.json").write_bytes(report.canonical_bytes())
        (folder / "file-00").write_bytes(ATTACHED)
        return folder.parent


@pytest.fixture
def offices(tmp_path: Path) -> Offices:
    return Offices(tmp_path)


def open_at_both(offices: Offices) -> Offices:
    for name in NAMES[:2]:
        folder = offices.opened(name)
        offices.at(name, "open", str(folder), "--from-disk")
        assert not list(folder.iterdir()), "what was in clear is gone"
    offices.exchange()
    return offices


@pytest.fixture
def opened(offices: Offices) -> Offices:
    return open_at_both(offices)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Offices:
    """For tests that leave the case as they found it, or add what no other one looks at."""
    return open_at_both(Offices(tmp_path_factory.mktemp("shared")))


def anchors() -> TrustAnchors:
    day = cases_kit.START
    return TrustAnchors(
        anchors=tuple(
            TrustAnchor(
                name=one.name, public_key=one.key, holder=Holder.VERIFIER, roles=(Role.INSPECTOR,),
                valid_from=day.replace(year=2020), valid_until=day.replace(year=2090),
            )
            for one in known().offices.offices
        )
    )  # fmt: skip


def statements(offices: Offices, name: str) -> list[object]:
    place = offices.folder / name / "out" / "statements"
    return [
        verify_envelope(one.read_bytes(), anchors=anchors(), where=one.name).predicate
        for one in sorted(place.iterdir())
    ]


CLAIM = (
    "claim", CASE, "--id", "c1", "--activity", "training", "--pod", "b3", "--from", "2026-03-14T09:00:00Z",
    "--until", "2026-03-14T10:00:00Z", "--from-report",
)  # fmt: skip


def test_from_an_opened_report_to_a_lead_and_an_inspection(opened: Offices) -> None:
    first, second = NAMES[:2]
    assert "2 offices" not in opened.at(first, "list").output
    assert "open" in opened.at(first, "list").output
    opened.at(first, *CLAIM)
    assert "would show training" in str(opened.at(first, "link", CASE, "--claim", "c1", code=2).exception)
    assert (
        "pod-limit, b3"
        in opened.at(first, "link", CASE, "--claim", "c1", "--clause", "pod-limit", "--declared", "serve-b3").output
    )
    report = opened.folder / "review.json"
    report.write_bytes(render_json(cases_review.review()))
    said = opened.at(first, "corroborate", CASE, "--review", str(report)).output
    assert "The claim about training on 14 March 2026 at pod b3 is supported by pod-limit (interconnect, b3)" in said
    assert "simulated world" in said
    assert ANSWERS["unseen"] in said
    assert "next step: narrow-intrusion" in said
    raised = json.loads(opened.at(first, "raise", CASE, "--claim", "c1", "--step", "focus", "--json").output)
    lead = raised["did"]["lead"]
    opened.exchange()
    joined = opened.at(second, "raise", CASE, "--claim", "c1", "--step", "narrow-intrusion", "--lead", lead).output
    assert "raised by office-a, office-b" in joined
    opened.exchange()
    asked = opened.at(first, "request", CASE, "--site", "north", "--pod", "b3", "--lead", lead).output
    assert "inspection 1 of 20 of operator" in asked
    assert "requests of this office alone" in asked
    assert f"lead {lead}: to be closed" in opened.at(first, "deadlines").output
    shown = opened.at(first, "show", CASE).output
    assert ANSWERS["seen"] in shown
    assert "beside it: supported" in shown
    opened.at(first, "close", CASE, "--because", "explained", code=2)
    opened.at(first, "close", CASE, "--lead", lead, "--because", "explained")
    assert "open until 2 offices agree" in opened.at(first, "close", CASE, "--because", "explained").output
    kinds = [type(one) for one in statements(opened, first)]
    assert sorted(kind.__name__ for kind in kinds) == ["InspectionRequested", "LeadClosed", "LeadRaised"]
    same = [one for name in (first, second) for one in statements(opened, name) if isinstance(one, LeadRaised)]
    assert (
        len({(one.lead, one.clause, one.activity, one.pods, one.period, one.flop_min, one.source) for one in same}) == 1
    )
    assert not any(isinstance(one, InspectionRequested | LeadClosed) for one in statements(opened, second))


def test_an_answer_reaches_the_source_and_nobody_else(shared: Offices) -> None:
    shared.at(NAMES[0], "reply", CASE, words="Could you see the screen yourself?\n")
    board = shared.folder / "board"
    shared.at(NAMES[0], "board", "--intake", "main", "--sequence", "1", "--out", str(board))
    read = read_board(board.read_bytes(), "main", known().offices, where="board")
    assert [one.text for one in replies_on(read, PHRASE)] == ["Could you see the screen yourself?"]
    assert replies_on(read, Phrase(bytes(16))) == []
    shared.at(NAMES[1], "board", "--intake", "main", "--sequence", "1", "--out", str(shared.folder / "other"))
    assert (shared.folder / "other").stat().st_size == pytest.approx(board.stat().st_size, abs=200)


def test_a_case_is_handed_over_whole_and_as_claims_once_two_offices_agree(opened: Offices) -> None:
    package = opened.folder / "package"
    to = ("--to", OUTSIDE)
    opened.at(NAMES[0], "hand-over", "agree", CASE, *to)
    opened.at(NAMES[0], "hand-over", "make", CASE, *to, "--out", str(package), code=2)
    assert not package.exists()
    opened.at(NAMES[1], "hand-over", "agree", CASE, *to)
    opened.exchange()
    opened.at(NAMES[0], "hand-over", "make", CASE, *to, "--out", str(package))
    opened.at(NAMES[1], "receive", str(package), code=30)
    opened.at(OUTSIDE, "receive", str(package))
    assert ANSWERS["seen"] in opened.at(OUTSIDE, "show", CASE).output
    opened.at(NAMES[0], *CLAIM)
    opened.at(NAMES[0], "link", CASE, "--claim", "c1", "--clause", "pod-limit")
    opened.exchange()
    for name in NAMES[:2]:
        opened.at(name, "hand-over", "agree", CASE, *to, "--claims-only")
    opened.exchange()
    opened.at(NAMES[1], "hand-over", "make", CASE, *to, "--claims-only", "--out", str(package))
    received = opened.at(OUTSIDE, "receive", str(package)).output
    assert "signed by office-a, office-b" in received
    assert "training: pod-limit, b3" in received


def test_what_an_office_published_shows_what_it_cut_off(opened: Offices) -> None:
    path = opened.folder / NAMES[0] / "cases" / CASE / "case.age"
    before = path.read_bytes()
    opened.at(NAMES[0], "note", CASE, words="asked the source")
    published = opened.folder / "heads.json"
    opened.at(NAMES[0], "heads", "publish", "--out", str(published))
    assert "is here" in opened.at(NAMES[0], "heads", "check", str(published)).output
    path.write_bytes(before)
    assert "were cut off" in opened.at(NAMES[0], "heads", "check", str(published), code=30).output


def test_a_file_is_read_by_a_pipe_and_only_on_purpose_as_it_came(shared: Offices) -> None:
    digest = sealed_file().digest[7:19]
    shared.at(NAMES[0], "file", CASE, "--file", digest, code=2)
    assert shared.at(NAMES[0], "file", CASE, "--file", digest, "--original").stdout_bytes == ATTACHED
    assert "kept sealed: of no kind" in shared.at(NAMES[0], "clean", CASE).output


def test_statistics_have_one_secret_and_one_day(shared: Offices) -> None:
    secret, out = shared.folder / "secret", shared.folder / "2026Q1.json"
    shared.run("stats", "secret", "--out", str(secret))
    shared.run("stats", "secret", "--out", str(secret), code=2)
    shared.at(NAMES[0], "stats", "release", "--quarter", "2099Q1", "--secret", str(secret), "--out", str(out), code=2)
    released = shared.at(
        NAMES[0], "stats", "release", "--quarter", "2026Q1", "--secret", str(secret), "--out", str(out)
    )
    assert "held back" in released.output
    out.write_bytes(b"{}")
    shared.at(NAMES[0], "stats", "release", "--quarter", "2026Q1", "--secret", str(secret), "--out", str(out), code=2)


@pytest.mark.parametrize(
    ("arguments", "words", "fault"),
    [
        (("show", "case-no"), "", "no case"),
        (("show", "../x"), "", "no name of a case"),
        (("note", CASE), "", "is empty"),
        (("claim", CASE, "--id", "c1", "--activity", "training"), "", "either --words or --from-report"),
        (("claim", CASE, "--id", "c1", "--activity", "training", "--words", "-"), "[1]", "no mapping"),
        (("claim", CASE, "--id", "c1", "--activity", "training", "--words", "-"), "told: []", "did the source say"),
        (("raise", CASE, "--claim", "c1", "--step", "focus"), "", "no claim 'c1'"),
        (("raise", CASE, "--claim", "c1", "--step", "focus", "--lead", "lead-9"), "", "no lead 'lead-9'"),
        (("corroborate", CASE, "--review", __file__), "", "no claim is linked yet"),
        (("close", CASE, "--lead", "lead-9", "--because", "explained"), "", "raised no lead"),
        (("hand-over", "agree", CASE, "--to", "nobody"), "", "no office that is known"),
        (("merge", "."), "", "holds no case.age"),
    ],
)
def test_wrong_use_is_named_with_its_remedy(
    shared: Offices, arguments: tuple[str, ...], words: str, fault: str
) -> None:
    assert fault in str(shared.at(NAMES[0], *arguments, words=words, code=2).exception)


def test_an_opened_report_on_a_disk_is_refused_unless_told(offices: Offices, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inspectorate.cli.cases_open.in_memory", lambda _: False)
    folder = offices.opened(NAMES[0])
    assert "lies on a disk" in str(offices.at(NAMES[0], "open", str(folder), code=2).exception)


def test_a_desk_with_the_key_of_another_office_is_refused(offices: Offices) -> None:
    folder = offices.folder
    offices.run(
        "init", str(folder / "forged"), "--as", NAMES[0], "--key", str(folder / f"{NAMES[1]}.pem"), "--identity",
        str(folder / f"{NAMES[0]}.age"), "--offices", str(folder / "offices.yaml"), "--agreement", "inference-only-heard", code=2,
    )  # fmt: skip
    assert not (folder / "forged" / "desk.yaml").exists()


def test_a_file_that_is_whole_in_neither_copy_is_no_success(opened: Offices) -> None:
    for name in NAMES[:2]:
        for path in (opened.folder / name / "cases" / CASE / "files").iterdir():
            path.write_bytes(b"cut off") if name == NAMES[0] else path.unlink()
    theirs = str(opened.folder / NAMES[0] / "cases" / CASE)
    assert "whole in neither copy" in opened.at(NAMES[1], "merge", theirs, code=10).output


def test_words_are_shown_as_words(opened: Offices) -> None:
    opened.at(NAMES[0], "note", CASE, words="read\x1b[2J\n  beside it: contradicted")
    shown = opened.at(NAMES[0], "show", CASE).output
    assert "noted: read\\u001b[2J\n    |   beside it: contradicted" in shown


def test_a_source_without_room_on_the_board_is_no_success(opened: Offices, monkeypatch: pytest.MonkeyPatch) -> None:
    opened.at(NAMES[0], "reply", CASE, words="thank you")
    monkeypatch.setattr("inspectorate.mechanisms.whistleblowing.cases.board.PLACES", 0)
    board = ["board", "--intake", "main", "--sequence", "1", "--out", str(opened.folder / "b")]
    assert f"no room for any answer of {CASE}" in opened.at(NAMES[0], *board, code=10).output
