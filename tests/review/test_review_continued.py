"""A log that goes on from one bundle to the next: what an earlier review saw is not withheld, and nothing else is excused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from site_resigning import KEY, ORIGIN, Taken, review_files, sign_again, take_apart

from inspectorate.cli import cli
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import Bundle, Memory, ProblemKind, RejectedEvidence, write_bundle
from inspectorate.keys import TrustAnchors
from inspectorate.ledger import Checkpoint, Continuation, MemoryLog, Note, continuation
from inspectorate.review import LedgerState, Review

SITE = Path(__file__).parents[2] / "examples" / "lab-site-honest"
BEFORE = 5


@pytest.fixture(scope="module")
def taken() -> Taken:
    return take_apart(SITE)


def earlier(mark: bytes = b"") -> tuple[MemoryLog, LedgerState]:
    """A log with the entries of an earlier bundle, and what a review saw of it."""
    log = MemoryLog(ORIGIN, KEY)
    log.append([mark + bytes([n]) * 32 for n in range(BEFORE)])
    seen = Checkpoint.parse(Note.parse(log.checkpoint(), where="test").text, where="test")
    return log, LedgerState(origin=ORIGIN, tree_size=BEFORE, root=seen.root.hex(), witnesses=())


def withheld(found: Review) -> list[str]:
    return [one.detail for one in found.problems if one.kind is ProblemKind.WITHHELD]


@pytest.fixture(scope="module")
def bundled(taken: Taken) -> tuple[Memory, TrustAnchors, LedgerState]:
    log, state = earlier()
    files, anchors = sign_again(taken, log=log, since=(2, BEFORE))
    return files, anchors, state


def test_what_an_earlier_review_saw_is_not_withheld(bundled: tuple[Memory, TrustAnchors, LedgerState]) -> None:
    files, anchors, state = bundled
    alone, after = review_files(files, anchors), review_files(files, anchors, since=state)
    assert withheld(alone)[0].startswith("5 of ")
    assert alone.exit_code != 0
    assert withheld(after) == []
    assert after.ledger is not None
    assert after.ledger.seen_before == BEFORE
    assert any("first 5 entries" in one for one in after.not_checked)


def test_what_came_since_is_withheld_all_the_same(taken: Taken) -> None:
    log, state = earlier()
    log.append([b"a statement that nobody shows".ljust(32)])
    files, anchors = sign_again(taken, log=log, since=(BEFORE,))
    (said,) = withheld(review_files(files, anchors, since=state))
    assert said.startswith("1 of ")
    assert said.endswith("the first at 5")


@pytest.mark.parametrize(
    ("seen", "kind", "problem"),
    [
        (lambda state: state.model_copy(update={"root": "00" * 32}), ProblemKind.FORKED, "does not continue"),
        (lambda state: state.model_copy(update={"origin": "other.example/log"}), ProblemKind.FORKED, "other.example"),
        (lambda state: state.model_copy(update={"tree_size": 4}), ProblemKind.MISSING, "no proof that its log continues"),
        (lambda state: state.model_copy(update={"tree_size": 10**6}), ProblemKind.MISSING, "no proof"),
        (lambda _: earlier(b"!")[1], ProblemKind.FORKED, "does not continue"),
        (lambda state: state.model_copy(update={"tree_size": 2}), ProblemKind.FORKED, "does not continue"),
    ],
)  # fmt: skip
def test_a_log_that_does_not_continue_what_was_seen_gives_no_verdict(
    bundled: tuple[Memory, TrustAnchors, LedgerState],
    seen: Callable[[LedgerState], LedgerState], kind: ProblemKind, problem: str,
) -> None:  # fmt: skip
    files, anchors, state = bundled
    with pytest.raises(RejectedEvidence, match=problem) as caught:
        review_files(files, anchors, since=seen(state))
    assert caught.value.kind is kind


def test_equal_states_need_no_proof_and_no_log_has_none(bundled: tuple[Memory, TrustAnchors, LedgerState]) -> None:
    files, anchors, state = bundled
    whole = review_files(files, anchors).ledger
    assert whole is not None
    assert withheld(review_files(files, anchors, since=whole)) == []
    with pytest.raises(InputError, match="name no ledger"):
        review_files(files, anchors.model_copy(update={"ledgers": ()}), since=state)


def test_proofs_that_are_damaged_are_refused() -> None:
    log, _ = earlier()
    data = continuation(log, 3, BEFORE)
    assert bytes(Continuation.parse(data, where="test")) == data
    for bad in (b"", b"old\n", b"old 3", b"old 03\n", data + b"?\n", b"new" + data[3:], data * 200):
        with pytest.raises(EvidenceError):
            Continuation.parse(bad, where="test")
    for old, size in ((0, BEFORE), (BEFORE + 1, BEFORE)):
        with pytest.raises(InputError, match="cannot continue"):
            continuation(log, old, size)


@pytest.mark.parametrize("name", ["bundle", "bundle.tar"])
def test_a_written_bundle_is_reviewed_after_an_earlier_review(
    bundled: tuple[Memory, TrustAnchors, LedgerState], tmp_path: Path, name: str
) -> None:
    files, anchors, state = bundled
    contents = {entry: files.open(entry).read() for entry in files.sizes()}
    write_bundle(contents, tmp_path / name)
    assert Bundle.open(tmp_path / name, anchors=anchors).continues(2) is not None
    (tmp_path / "anchors.yaml").write_text(json.dumps(anchors.model_dump(mode="json", exclude_none=True)))
    words = [str(tmp_path / name), "--agreement", "inference-only", "--anchors", str(tmp_path / "anchors.yaml")]
    words += ["--as-of", "2026-11-25T00:00:00Z", "--interval", "60", "--json"]
    first = json.loads(CliRunner().invoke(cli, ["review", *words]).output)
    assert [one["kind"] for one in first["problems"]] == ["withheld"]
    first["ledger"] |= {"tree_size": state.tree_size, "root": state.root}
    (tmp_path / "earlier.json").write_text(json.dumps(first))
    second = json.loads(CliRunner().invoke(cli, ["review", *words, "--since", str(tmp_path / "earlier.json")]).output)
    assert second["problems"] == []
    assert second["ledger"]["seen_before"] == BEFORE
    first["ledger"]["root"] = "no root"
    (tmp_path / "earlier.json").write_text(json.dumps(first))
    refused = CliRunner().invoke(cli, ["review", *words, "--since", str(tmp_path / "earlier.json")])
    assert isinstance(refused.exception, InputError)
