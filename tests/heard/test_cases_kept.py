"""What one office hands over never stands in the way of what is good; nothing that is due, answered or counted gets lost."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cases_kit import (
    ATTACHED,
    NAMES,
    agreement,
    at,
    case,
    claim,
    declaration,
    desk,
    exchange,
    known,
    opened,
    sealed_file,
    two_desks,
)

from inspectorate.cli.cases_desk import words_from
from inspectorate.cli.options import printable
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import Closing, Step
from inspectorate.mechanisms.whistleblowing.cases import reference
from inspectorate.mechanisms.whistleblowing.cases.acts import LeadEnded, Link, Raised, Reopened, Replied
from inspectorate.mechanisms.whistleblowing.cases.board import gather
from inspectorate.mechanisms.whistleblowing.cases.deadlines import clocks_of, deadlines
from inspectorate.mechanisms.whistleblowing.cases.desk import Desk
from inspectorate.mechanisms.whistleblowing.cases.link import tie
from inspectorate.mechanisms.whistleblowing.cases.naming import file_name
from inspectorate.mechanisms.whistleblowing.cases.stats import release, release_day
from inspectorate.mechanisms.whistleblowing.cases.store import seal
from inspectorate.mechanisms.whistleblowing.intake.boards import PLACES, REPLIES_PER_SOURCE_MAX

RAISED = Raised(
    lead="lead-1", claim="c1", clause="pod-limit", activity=claim().activity, pods=("b3",), step=Step.FOCUS,
    statement=reference.NO_STATEMENT,
)  # fmt: skip
ENDED = LeadEnded(lead="lead-1", closing=Closing.EXPLAINED, statement=reference.NO_STATEMENT)


def due(one: Desk) -> list[str]:
    return [found.what for found in deadlines(one.all(), clocks_of(agreement(), at(0)))]


# --- files of another office ------------------------------------------------------------------------------------------


def test_a_file_that_another_office_made_up_does_not_keep_the_good_one_out(tmp_path: Path) -> None:
    first, second = (desk(tmp_path, name) for name in NAMES[:2])
    act = opened(files=[sealed_file()])
    for one in (first, second):
        one.open(act, {sealed_file().digest: lambda: ATTACHED}, at=at(0))
    name = file_name(act.thread, sealed_file().digest)
    theirs = Path(shutil.copytree(first.store.folder / case(), tmp_path / "theirs"))
    here = second.store.folder / case() / "files" / f"{name}.age"
    here.unlink()
    for data in (b"no age file", seal(b"other", [known().recipients[NAMES[1]]])):
        (theirs / "files" / f"{name}.age").write_bytes(data)
        assert second.merge(theirs)[1] == (name,)
        assert not here.exists()
    assert second.merge(first.store.folder / case())[1] == ()
    assert second.store.read_file(case(), name, sealed_file().digest) == ATTACHED


def test_a_copy_is_never_read_through_a_link(tmp_path: Path) -> None:
    first, second = two_desks(tmp_path)
    theirs = Path(shutil.copytree(first.store.folder / case(), tmp_path / "theirs"))
    (theirs / "case.age").unlink()
    (theirs / "case.age").symlink_to(second.store.folder / case() / "case.age")
    with pytest.raises(EvidenceError, match="cannot be read"):
        second.merge(theirs)


# --- what is due ------------------------------------------------------------------------------------------------------


def test_a_case_that_gets_a_report_or_is_opened_again_after_its_leads_is_due_again(tmp_path: Path) -> None:
    first, second = two_desks(tmp_path)
    first.act(case(), claim(), at=at(2))
    first.act(case(), RAISED, at=at(3))
    assert due(first) == ["lead lead-1: to be closed"]
    first.act(case(), ENDED, at=at(4))
    assert due(first) == ["case: its leads are closed, and it is not"]
    exchange(case(), first, second)
    second.open(opened(report=1, answers={"danger": "now"}), {}, at=at(60))
    assert due(second) == [
        "report: its source says that somebody is punished or in danger", "report: no lead, and not closed"
    ]  # fmt: skip
    (urgent, _) = deadlines(second.all(), clocks_of(agreement(), at(0)))
    assert urgent.by == at(60) + timedelta(seconds=60)
    first.act(case(), Reopened(text="there is more"), at=at(90))
    (again,) = deadlines(first.all(), clocks_of(agreement(), at(0)))
    assert again.by > at(90)


def test_a_lead_that_is_raised_again_after_it_was_closed_is_open(tmp_path: Path) -> None:
    first, _ = two_desks(tmp_path)
    first.act(case(), claim(), at=at(2))
    first.act(case(), RAISED, at=at(3))
    assert not first.act(case(), ENDED, at=at(4)).leads["lead-1"].open
    assert first.act(case(), RAISED, at=at(5)).leads["lead-1"].open
    assert not first.act(case(), ENDED, at=at(6)).leads["lead-1"].open


# --- answers ----------------------------------------------------------------------------------------------------------


def test_no_long_exchange_keeps_an_answer_to_somebody_else_off_the_board(tmp_path: Path) -> None:
    first, _ = two_desks(tmp_path)
    state = first.act(case(), Replied(text="0"), at=at(5))
    long = tuple(map(str, range(REPLIES_PER_SOURCE_MAX)))
    full = PLACES // REPLIES_PER_SOURCE_MAX
    states = [replace(state, case=f"case-{n:03d}", replies={NAMES[0]: long}) for n in range(full)]
    late = replace(state, case="case-999", replies={NAMES[0]: ("at last",)})
    found = gather([*states, late], NAMES[0], "main")
    texts = [answer.text for answer in found.answers]
    assert (len(texts), texts[-1], found.unanswered) == (PLACES, "at last", ())
    assert texts[:REPLIES_PER_SOURCE_MAX] == list(long)
    assert found.left_off == (f"case-{full - 1:03d}",)
    many = [replace(state, case=f"case-{n:03d}") for n in range(PLACES + 1)]
    assert gather(many, NAMES[0], "main").unanswered == (f"case-{PLACES:03d}",)


# --- counts -----------------------------------------------------------------------------------------------------------


def test_a_release_that_is_made_later_counts_what_stood_on_its_day(tmp_path: Path) -> None:
    first, second = two_desks(tmp_path)
    first.act(case(), claim(), at=at(2))
    exchange(case(), first, second)
    day = release_day("2026Q1")
    before = release("2026Q1", first.all_until(day), secret=bytes(32), at=day)
    after = day + timedelta(days=1)
    first.act(case(), RAISED, at=after)
    second.open(opened(report=1), {}, at=after)
    exchange(case(), first, second)
    late = desk(tmp_path / "third", NAMES[0])
    late.open(opened(5), {}, at=after)
    assert late.all_until(day) == ()
    for one in (first, second):
        (state,) = one.all_until(day)
        assert (len(state.reports), dict(state.leads), list(state.claims)) == (1, {}, ["c1"])
    assert first.read(case())[1].leads
    assert release("2026Q1", first.all_until(day), secret=bytes(32), at=after) == before


# --- words ------------------------------------------------------------------------------------------------------------


def test_words_of_a_source_neither_steer_a_terminal_nor_pass_for_lines_of_ours() -> None:
    assert printable("a\x1b[2Jb\u202ec") == "a\\u001b[2Jb\\u202ec"
    shown = printable("I saw it\nlead lead-1: raised by office-b\r  beside it: contradicted")
    assert all(line.startswith("    | ") for line in shown.split("\n")[1:])
    assert "\r" not in shown
    assert printable("می‌خواهم") == "می‌خواهم"


def test_words_from_a_file_without_end_are_refused() -> None:
    with pytest.raises(InputError, match="more than"):
        words_from("/dev/zero", "--text")


# --- offices at work at the same time ---------------------------------------------------------------------------------


def tied(one: Desk) -> Link:
    said = one.read(case())[1].claims["c1"]
    return tie(said, clause="pod-limit", agreement=agreement(), declaration=declaration(), at=at(5), declared=None)


def test_a_claim_that_one_office_revises_keeps_no_copies_apart_and_has_to_be_linked_anew(tmp_path: Path) -> None:
    first, second = two_desks(tmp_path)
    first.act(case(), claim(), at=at(3))
    exchange(case(), first, second)
    first.act(case(), claim(pods=("b4",)), at=at(4))
    assert second.act(case(), tied(second), at=at(5)).links
    exchange(case(), first, second)
    for one in (first, second):
        state = one.read(case())[1]
        assert state.claims["c1"].pods == ("b4",)
        assert not state.links, "it was linked as it was before"
    assert second.act(case(), tied(second), at=at(6)).links["c1"].pods == ("b4",)
    with pytest.raises(EvidenceError, match="had not seen"):
        second.act(case(), tied(second).model_copy(update={"claim": "c2"}), at=at(7))


def test_offices_that_differ_over_a_lead_without_knowing_can_still_join_their_copies(tmp_path: Path) -> None:
    first, second = two_desks(tmp_path)
    first.act(case(), claim(), at=at(3))
    exchange(case(), first, second)
    first.act(case(), RAISED, at=at(4))
    second.act(case(), RAISED.model_copy(update={"pods": ("b4",)}), at=at(5))
    exchange(case(), first, second)
    assert set(first.read(case())[1].leads["lead-1"].raised) == set(NAMES[:2])
    with pytest.raises(EvidenceError, match="with another subject"):
        first.act(case(), RAISED, at=at(6))
