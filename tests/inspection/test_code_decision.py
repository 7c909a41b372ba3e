"""Decisions over a review: what may be built and what not, the signed statement, and the commands."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import code_corpus
import pytest
import yaml
from click.testing import CliRunner

from inspectorate.cli import cli
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import Decision, Origin
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.inspection.code.decision import (
    Answer,
    Deciding,
    ReviewDocument,
    carried_over,
    decide,
    reviewed_statement,
)
from inspectorate.mechanisms.inspection.code.review import review_code
from inspectorate.mechanisms.inspection.code.types import Review

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
CODE = "import torch\nm = torch.nn.Linear(2, 1)\nm(torch.ones(1, 2)).sum().backward()\n"


@pytest.fixture(scope="module")
def review() -> Review:
    return review_code(code_corpus.snapshot({"main.py": CODE}), "main.py")


def answers(review: Review) -> tuple[Answer, ...]:
    return tuple(Answer(pointer=p.key, parameters_change=False, words="no step follows") for p in review.must_answer())


def deciding(decision: Decision, **more: object) -> Deciding:
    common = {"party": "prover", "claim": "serve", "by": "inspector", "words": "read", "reviewed_at": AT}
    return Deciding.model_validate({**common, "decision": decision, **more})


def test_an_approval_needs_every_answer_and_the_blind_spots(review: Review) -> None:
    with pytest.raises(InputError, match="pointers that must be answered"):
        decide(review, deciding(Decision.APPROVED, cannot_see_acknowledged=True))
    with pytest.raises(InputError, match="not acknowledged"):
        decide(review, deciding(Decision.APPROVED, answers=answers(review)))
    done = decide(review, deciding(Decision.APPROVED, answers=answers(review), cannot_see_acknowledged=True))
    assert done.decision is Decision.APPROVED
    assert not done.parameters_may_change()
    assert decide(review, deciding(Decision.REFUSED)).must_answer[0].answer is None


def test_answers_to_other_pointers_are_refused(review: Review) -> None:
    stray = Answer(pointer="sha256:" + "0" * 64, parameters_change=False, words="x")
    with pytest.raises(InputError, match="no pointer of this review"):
        decide(review, deciding(Decision.QUESTIONS, answers=(stray,)))
    with pytest.raises(InputError, match="answered twice"):
        decide(review, deciding(Decision.QUESTIONS, answers=answers(review) * 2))


def test_a_document_reads_back_and_an_edited_approval_does_not(review: Review) -> None:
    done = decide(review, deciding(Decision.APPROVED, answers=answers(review), cannot_see_acknowledged=True))
    data = done.canonical_bytes()
    assert ReviewDocument.parse_bytes(data, where="x") == done
    edited = json.loads(data)
    del edited["must_answer"][0]["answer"]
    with pytest.raises(EvidenceError):
        ReviewDocument.parse_bytes(json.dumps(edited, sort_keys=True, separators=(",", ":")).encode(), where="x")
    assert carried_over(done, review) == answers(review)


def test_the_statement_names_the_document(review: Review) -> None:
    done = decide(review, deciding(Decision.REFUSED, parameters_changed=2))
    statement = reviewed_statement(done, origin=Origin.RECORDED, valid_until=AT.replace(month=6))
    assert statement.subject[0].digest_text == done.digest
    with pytest.raises(InputError):
        reviewed_statement(done, origin=Origin.RECORDED, valid_until=AT)


def test_the_commands_from_pointer_to_statement(tmp_path: Path) -> None:
    code, run = tmp_path / "code", CliRunner()
    code.mkdir()
    (code / "main.py").write_text(CODE)
    common = ["audit", "code-decide", str(code), "--entry", "main.py"]
    shown = run.invoke(cli, ["audit", "code", str(code), "--entry", "main.py", "--allow", "inference.*", "--json"])
    assert shown.exit_code == 10, shown.output
    assert json.loads(shown.output)["cannot_see"]
    assert run.invoke(cli, ["audit", "code", str(code), "--entry", "main.py"]).exit_code == 10
    asked = tmp_path / "answers.yaml"
    assert run.invoke(cli, [*common, "--questions", str(asked)]).exit_code == 0
    rows = yaml.safe_load(asked.read_text())
    decided = [*common, "--party", "p", "--claim", "c", "--by", "i", "--decision", "approved", "--words", "w",
               "--answers", str(asked), "--out", str(tmp_path / "out"), "--cannot-see-acknowledged"]  # fmt: skip
    assert isinstance(run.invoke(cli, decided).exception, InputError)
    for row in rows["pointers"]:
        row["parameters_change"], row["words"] = False, "no step follows"
    asked.write_text(yaml.safe_dump(rows))
    SigningKey(b"\x01" * 32).write(tmp_path / "key.pem")
    done = run.invoke(cli, [*decided, "--key", str(tmp_path / "key.pem"), "--json"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out" / "statement.json").is_file()
    other = tmp_path / "other"
    other.mkdir()
    (other / "main.py").write_text("x = 1\n")
    changed = run.invoke(cli, ["audit", "code-diff", str(other), str(code), "--entry", "main.py", "--json"])
    assert changed.exit_code == 10
    assert run.invoke(cli, ["audit", "code-diff", str(code), str(code), "--entry", "main.py"]).exit_code == 0
