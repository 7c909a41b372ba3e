"""Commands of `replay`, `audit`, `room` and `plan sampling` under wrong use, and with what the other side should not have sent."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from click.testing import CliRunner
from draw_cases import ANCHORS, PROVER
from test_draw_commands import Site, drawn, site

from inspectorate.canonical import digest_of
from inspectorate.cli import cli
from inspectorate.cli.audit_code import exit_code_of
from inspectorate.cli.plan_sampling import sampling
from inspectorate.cli.replay_verify import _program
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import WorkCommitted, make_statement, sign_statement
from inspectorate.evidence.exchange import Exchange
from inspectorate.mechanisms.inspection import replaying
from inspectorate.mechanisms.inspection.code.probe import watch
from inspectorate.mechanisms.inspection.code.run import RunReport, Seen
from inspectorate.mechanisms.inspection.code.snapshot import folder_files, snapshot_of
from inspectorate.mechanisms.inspection.rerun import measure
from inspectorate.mechanisms.inspection.rerun.program import DecoderProgram
from inspectorate.mechanisms.inspection.rerun.records import code_fault, module_program
from inspectorate.mechanisms.inspection.transcripts.folder import FolderReader
from inspectorate.mechanisms.inspection.transcripts.lists import flop_of, list_of_folder
from inspectorate.quantities import Period, from_ns
from inspectorate.statistics.sampling import sample_size_for_share

__all__ = ["site"]
DIGEST = digest_of(b"")


# --- replay ----------------------------------------------------------------------------------------------------------------


def test_what_was_set_aside_never_ends_in_success(site: Site) -> None:
    site.promise()
    site.commit(*site.named())
    drawn(site.challenge())
    assert site.open().exit_code == 0
    assert site.check().exit_code == 0
    (site.root / "prover" / "statements" / "stray.json").write_text("{}")
    assert site.check().exit_code == 30


def test_packets_that_no_list_holds_are_seen_and_so_is_a_list_that_is_missing(site: Site) -> None:
    """The prover commits to packets 0 to 7 and then, as the next stretch, to 12 to 19, in a list that it made by hand."""
    site.promise()
    first = site.commit("--packets", "8", *site.named())
    drawn(site.challenge())
    site.open()
    assert site.check().exit_code == 0
    reader = FolderReader(site.root / "run")
    (before,) = (
        one for one in Exchange(site.root / "prover", anchors=ANCHORS).statements if one.digest == first["statement"]
    )
    listed = list_of_folder(reader, 1, 12, 8)
    said = before.predicate
    assert isinstance(said, WorkCommitted)
    skipping = said.model_copy(
        update={
            "sequence": 1, "previous": before.digest, "final": True, "packets": 8, "flop_stated": flop_of(listed),
            "period": Period(start=from_ns(listed.start_ns[0]), end=from_ns(listed.end_ns[-1])), "promise": None,
        }
    )  # fmt: skip
    data = listed.canonical_bytes()
    envelope = sign_statement(make_statement(skipping, {"packets": digest_of(data)}), PROVER)
    folder = site.root / "prover"
    (folder / "statements" / "second.json").write_bytes(envelope)
    told = json.loads(site.check().output)["commitments"]
    assert [one["fault"] for one in told] == ["list-unreadable"]
    (folder / "payloads" / digest_of(data).removeprefix("sha256:")).write_bytes(data)
    told = site.check()
    assert told.exit_code == 30
    assert [
        (one["fault"], "where 8 is the next" in one["detail"]) for one in json.loads(told.output)["commitments"]
    ] == [("chain-broken", True)]


def test_a_draw_that_was_set_aside_is_named_where_none_is_found(site: Site) -> None:
    site.promise()
    site.commit(*site.named())
    statement = drawn(site.challenge()) and max(
        (site.root / "verifier" / "statements").iterdir(), key=lambda path: path.stat().st_mtime_ns
    )
    assert isinstance(statement, Path)
    statement.write_text("{}")
    fault = site.open().exception
    assert isinstance(fault, EvidenceError)
    assert "1 statements were set aside" in str(fault)


@pytest.mark.parametrize(
    "words",
    [
        ("--dirty-share", "1e-300"),
        ("--dirty-share", "nan"),
        ("--count", "3", "--as", "a b"),
    ],
)
def test_a_promise_that_cannot_be_made_is_wrong_use(site: Site, words: tuple[str, ...]) -> None:
    told = site.run(
        "promise", "--reporter", "jobs-a", "--as", "ada", *words, "--keep", site.root / "secret", *site.verifier
    )
    assert told.exit_code == 2 or isinstance(told.exception, InputError), told.exception
    assert not (site.root / "secret").exists()


def test_options_of_a_draw_that_contradict_one_another_or_no_time_at_all(site: Site) -> None:
    site.promise()
    site.commit(*site.named())
    assert isinstance(site.challenge("--count", "5").exception, InputError)
    for hours in ("nan", "inf", "1e9", "1e-300"):
        assert site.challenge("--answer-hours", hours).exit_code == 2, hours


def test_code_as_a_program_has_the_digest_that_claims_and_reviews_name(tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "loop.py").write_text("def build(header): ...\n")
    program = module_program(code, "loop.py")
    assert program.digest == snapshot_of(folder_files(code), where="code").code
    (tmp_path / "program.json").write_bytes(program.canonical_bytes())
    assert _program(tmp_path / "program.json", code) == program, "the command takes what the replay takes"
    assert code_fault(program, code) is None


def test_a_program_that_the_run_does_not_name_states_nothing_of_the_prover() -> None:
    program = DecoderProgram(vocabulary=8, width=4, layers=1, heads=1, context=4, rows=1)
    reader = SimpleNamespace(header=SimpleNamespace(code=DIGEST), path=Path())
    means = SimpleNamespace(program=program, stack="here", model=None)
    with pytest.raises(InputError, match="name the program of the run"):
        replaying._training(reader, None, {}, means)  # type: ignore[arg-type]
    means.model = Path()
    with pytest.raises(InputError, match="a model is for answers"):
        replaying._training(reader, None, {}, means)  # type: ignore[arg-type]


def test_a_file_of_the_prover_is_not_copied_without_end(tmp_path: Path) -> None:
    (tmp_path / "content").mkdir()
    with (tmp_path / "content" / "large").open("wb") as file:
        file.truncate(measure.MEMORY_BYTES + 1)
    folder = SimpleNamespace(content_path=lambda digest: tmp_path / "content" / "large")
    with pytest.raises(EvidenceError, match="read at most"):
        measure._laid(folder, DIGEST, tmp_path)  # type: ignore[arg-type]


# --- audit -----------------------------------------------------------------------------------------------------------------


def ran(ended: str, tensors: int) -> RunReport:
    seen = Seen(ended=ended, torch=True, counts={}, events=(), lines={}, native=(), modules=(), tensors=tensors)
    return RunReport(snapshot=DIGEST, entry="main.py", ended=ended, exit_code=0, network=False, seen=seen)


def test_a_run_that_failed_or_showed_no_tensor_does_not_say_that_nothing_changed() -> None:
    assert (ran("by itself", 3).parameters_changed, exit_code_of(ran("by itself", 3))) == (0, 0)
    for ended in ("by an error", "by itself, with a failure"):
        assert (ran(ended, 3).parameters_changed, exit_code_of(ran(ended, 3))) == (None, 10)
    assert exit_code_of(ran("by itself", 0)) == 10


@pytest.mark.parametrize(("left", "ended"), [("0", "by itself"), ("2", "by itself, with a failure")])
def test_a_program_that_leaves_with_a_failure_says_so(tmp_path: Path, left: str, ended: str) -> None:
    (tmp_path / "main.py").write_text(f"raise SystemExit({left})\n")
    probe = f"import json, sys\nfrom {watch.__module__} import watch\nwatch(json.loads(sys.argv[1]))\n"
    job = {"code": str(tmp_path), "entry": "main.py", "arguments": [], "events_max": 10, "torch": False, "report": 1}
    told = subprocess.run([sys.executable, "-c", probe, json.dumps(job)], capture_output=True, check=True, timeout=60)
    assert json.loads(told.stdout)["ended"] == ended


def test_what_a_person_answered_and_decided_is_not_written_over(tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "main.py").write_text("x = 1\n")
    common = ["audit", "code-decide", str(code), "--entry", "main.py"]
    decided = [*common, "--party", "p", "--claim", "c", "--by", "i", "--decision", "refused", "--words", "w"]
    asked, out = tmp_path / "answers.yaml", tmp_path / "out"
    for words, kept in (
        ([*common, "--questions", str(asked)], asked),
        ([*decided, "--out", str(out)], out / "review.json"),
    ):
        assert CliRunner().invoke(cli, words).exit_code == 0
        before = kept.read_bytes()
        assert isinstance(CliRunner().invoke(cli, words).exception, InputError)
        assert kept.read_bytes() == before
    assert CliRunner().invoke(cli, [*decided, "--out", str(tmp_path / "other"), "--valid-days", "inf"]).exit_code == 2


def test_an_account_that_is_to_be_written_needs_a_key(tmp_path: Path) -> None:
    (tmp_path / "given.yaml").write_text(yaml.safe_dump({}))
    given = str(tmp_path / "given.yaml")
    words = ["audit", "flop", "--agreement", "inference-only-inspected", "--declaration", given, "--claim", "c", "--run", "r",
             "--facts", given, "--out", str(tmp_path / "out")]  # fmt: skip
    fault = CliRunner().invoke(cli, words).exception
    assert isinstance(fault, InputError)
    assert "without --key" in str(fault)


# --- plans -----------------------------------------------------------------------------------------------------------------


def test_a_share_that_no_sample_can_bound_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="sample of more than"):
        sample_size_for_share(1e-300, 0.05)


@pytest.mark.parametrize(
    "words",
    [
        ("chips", "--flop", "inf"),
        ("chips", "--run-days", "1e308", "--period-days", "1e-300"),
        ("packets", "--hours", "nan"),
        ("totals", "--noise", "nan"),
        ("totals", "--seed", "-1"),
        ("replay", "--seed", "-1"),
    ],
)
def test_a_plan_of_numbers_that_are_none_is_wrong_use(words: tuple[str, ...]) -> None:
    assert CliRunner().invoke(sampling, list(words)).exit_code == 2
