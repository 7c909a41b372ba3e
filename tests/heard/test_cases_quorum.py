"""One office alone can neither open a case, nor hand it over, nor bury it; a quorum can; and nothing lies in clear on a disk."""

from __future__ import annotations

import os
from pathlib import Path

import cases_kit
import pyrage
import pytest
from cases_kit import (
    ANSWERS,
    ATTACHED,
    NAMES,
    OUTSIDE,
    at,
    case,
    claim,
    desk,
    exchange,
    identity,
    key,
    known,
    opened,
    sealed_file,
    two_desks,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.canonical import digest_of
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import Closing
from inspectorate.mechanisms.whistleblowing.cases.acts import (
    Act,
    CloseAgreed,
    HandedOver,
    HandOver,
    HandOverAgreed,
    Noted,
    Received,
    Reopened,
)
from inspectorate.mechanisms.whistleblowing.cases.entries import first_entry, read_entries, sign_entry
from inspectorate.mechanisms.whistleblowing.cases.handover import (
    agreed_terms,
    pack_claims,
    pack_whole,
    package_digest,
    sanitised,
    sign_document,
    unpack_claims,
    unpack_whole,
)
from inspectorate.mechanisms.whistleblowing.cases.heads import cut_off, publish, read_heads, sign_heads
from inspectorate.mechanisms.whistleblowing.cases.link import tie
from inspectorate.mechanisms.whistleblowing.cases.state import CaseStanding, follow
from inspectorate.mechanisms.whistleblowing.cases.store import CASE_BYTES_MIN, seal, unpack, unseal

CLOSE = CloseAgreed(closing=Closing.EXPLAINED)
TO_X = HandOver(to=OUTSIDE, recipient=known().recipients[OUTSIDE])


# --- opening ----------------------------------------------------------------------------------------------------------


def test_what_one_office_says_it_opened_is_no_case_yet(tmp_path: Path) -> None:
    alone = desk(tmp_path, NAMES[0])
    assert alone.open(opened(), {}, at=at(0)).standing is CaseStanding.PENDING
    alone.act(case(), Noted(text="only a note"), at=at(1))
    for act in (claim(), CLOSE, HandOverAgreed(terms=TO_X), Reopened(text="x")):
        with pytest.raises(EvidenceError, match="no quorum has opened"):
            alone.act(case(), act, at=at(2))
    assert alone.read(case())[1].standing is CaseStanding.PENDING


def test_two_offices_that_open_it_each_for_itself_make_a_case(tmp_path: Path) -> None:
    for one in two_desks(tmp_path):
        state = one.read(case())[1]
        assert state.standing is CaseStanding.OPEN
        assert state.holders == NAMES[:2]


def test_an_office_that_did_not_take_part_cannot_say_it_did(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="none of the offices that opened"):
        desk(tmp_path, NAMES[2]).open(opened(), {}, at=at(0))


def test_an_office_off_the_list_counts_for_nothing(tmp_path: Path) -> None:
    act = opened().model_copy(update={"offices": (NAMES[0], OUTSIDE)})
    first, outsider = desk(tmp_path, NAMES[0]), desk(tmp_path, OUTSIDE)
    first.open(act, {}, at=at(0))
    outsider.open(act, {}, at=at(1))
    exchange(case(), first, outsider)
    assert first.read(case())[1].standing is CaseStanding.PENDING


def test_a_later_report_of_the_same_source_comes_to_its_case_and_opens_it_again(tmp_path: Path) -> None:
    first, second = two_desks(tmp_path)
    for one in (first, second):
        one.act(case(), CLOSE, at=at(5))
    exchange(case(), first, second)
    assert first.read(case())[1].standing is CaseStanding.CLOSED
    state = first.open(opened(report=1, answers={"more": "it happened again"}), {}, at=at(6))
    assert state.case == case()
    assert state.standing is CaseStanding.OPEN
    assert len(state.reports) == 2


# --- closing ----------------------------------------------------------------------------------------------------------


def test_one_office_cannot_close_a_case_and_any_one_can_reopen_it(tmp_path: Path) -> None:
    first, second = two_desks(tmp_path)
    assert first.act(case(), CLOSE, at=at(5)).standing is CaseStanding.OPEN
    assert first.act(case(), CLOSE, at=at(6)).standing is CaseStanding.OPEN, "twice the same office is one office"
    exchange(case(), first, second)
    assert second.act(case(), CLOSE, at=at(7)).standing is CaseStanding.CLOSED
    assert second.act(case(), Reopened(text="a new fact"), at=at(8)).standing is CaseStanding.OPEN


def test_a_closing_that_had_not_seen_a_reopening_does_not_count(tmp_path: Path) -> None:
    first, second = two_desks(tmp_path)
    first.act(case(), CLOSE, at=at(5))
    second.act(case(), Reopened(text="wait"), at=at(4))
    exchange(case(), first, second)
    assert second.act(case(), CLOSE, at=at(9)).standing is CaseStanding.OPEN
    assert second.read(case())[1].closing == (NAMES[1],)


@settings(max_examples=15)
@given(st.lists(st.sampled_from([CLOSE, Noted(text="n"), HandOverAgreed(terms=TO_X), claim()]), max_size=5))
def test_whatever_one_office_does_alone_the_case_stays_open_and_with_its_holders(acts: list[Act]) -> None:
    envelopes, keys = [], known().keys
    for n, name in enumerate(NAMES[:2]):
        file = read_entries(envelopes, keys=keys, where="case") if envelopes else None
        entry = (
            file.next_entry(opened(), by=name, at=at(n)) if file else first_entry(case(), opened(), by=name, at=at(0))
        )
        envelopes.append(sign_entry(entry, key(name)))
    for n, act in enumerate(acts):
        file = read_entries(envelopes, keys=keys, where="case")
        envelopes.append(sign_entry(file.next_entry(act, by=NAMES[0], at=at(5 + n)), key(NAMES[0])))
    state = follow(read_entries(envelopes, keys=keys, where="case"), known().offices)
    assert state.standing is CaseStanding.OPEN
    assert state.holders == NAMES[:2]
    with pytest.raises(InputError, match="offices that it takes"):
        agreed_terms(state, OUTSIDE, known().offices, whole=True)


# --- hand-over --------------------------------------------------------------------------------------------------------


def test_a_whole_case_goes_to_another_office_once_a_quorum_agrees(tmp_path: Path) -> None:
    first, second = two_desks(tmp_path, files=[ATTACHED])
    first.act(case(), HandOverAgreed(terms=TO_X), at=at(5))
    file, state = first.read(case())
    with pytest.raises(InputError, match="1 of the 2 offices"):
        agreed_terms(state, OUTSIDE, known().offices, whole=True)
    with pytest.raises(EvidenceError, match="fewer than 2 offices agreed"):
        first.act(case(), HandedOver(terms=TO_X, package=package_digest(file)), at=at(6))
    second.act(case(), HandOverAgreed(terms=TO_X), at=at(6))
    exchange(case(), first, second)
    file, state = first.read(case())
    assert agreed_terms(state, OUTSIDE, known().offices, whole=True) == TO_X
    first.act(case(), HandedOver(terms=TO_X, package=package_digest(file)), at=at(7))
    package = seal(pack_whole(first.read(case())[0], {digest_of(ATTACHED): ATTACHED}), [TO_X.recipient])
    for name in NAMES:
        with pytest.raises(EvidenceError, match="does not open"):
            unseal(package, identity(name), where="package")
    there = desk(tmp_path, OUTSIDE)
    entries, files = unpack_whole(unseal(package, identity(OUTSIDE), where="package"), where="package")
    state = there.receive(entries, files, at=at(8), where="package")
    assert state.holders == (*NAMES[:2], OUTSIDE)
    assert there.read_file(state, state.files[0]) == ATTACHED


def test_an_office_cannot_take_a_case_that_was_not_handed_to_it(tmp_path: Path) -> None:
    first, _ = two_desks(tmp_path)
    file = first.store.read(case())
    entries = [one.envelope for one in file.held]
    with pytest.raises(EvidenceError, match="hands nothing over to office-x"):
        desk(tmp_path, OUTSIDE).receive(entries, {}, at=at(8), where="package")
    forged = file.next_entry(Received(package="sha256:" + "1" * 64), by=OUTSIDE, at=at(8))
    with pytest.raises(EvidenceError, match="received what no quorum handed over"):
        first._write(case(), [*entries, sign_entry(forged, key(OUTSIDE))])


def test_claims_alone_go_without_a_word_and_under_a_quorum_of_signatures(tmp_path: Path) -> None:
    first, _ = two_desks(tmp_path)
    first.act(case(), claim(told=("Maria told me",)), at=at(5))
    link = tie(
        claim(),
        clause="pod-limit",
        agreement=cases_kit.agreement(),
        declaration=cases_kit.declaration(),
        at=at(6),
        declared=None,
    )
    state = first.act(case(), link, at=at(6))
    document = sanitised(state, OUTSIDE)
    for word in (*ANSWERS["seen"].split()[:6], "Maria", "queue", case(), opened().report, "batch"):
        assert len(word) < 4 or word.encode() not in document
    signatures = {name: sign_document(document, key(name)) for name in NAMES[:2]}
    claims, signed = unpack_claims(pack_claims(document, signatures), known().offices, where="package")
    assert signed == NAMES[:2]
    assert claims.claims[0].pods == ("b3",)
    alone = {
        NAMES[0]: signatures[NAMES[0]],
        NAMES[1]: signatures[NAMES[0]],
        OUTSIDE: sign_document(document, key(OUTSIDE)),
    }
    with pytest.raises(EvidenceError, match="signed by 1 of the 2"):
        unpack_claims(pack_claims(document, alone), known().offices, where="package")


# --- on the disk ------------------------------------------------------------------------------------------------------


def test_nothing_of_a_case_lies_in_clear_and_its_size_does_not_say_what_was_added(tmp_path: Path) -> None:
    first, _ = two_desks(tmp_path, files=[ATTACHED])
    path = tmp_path / NAMES[0] / case() / "case.age"
    sizes = [path.stat().st_size]
    for n in range(3):
        first.act(case(), Noted(text=f"we asked about pod b3 {n}"), at=at(5 + n))
        sizes.append(path.stat().st_size)
    # age adds a random part to each header, of a few hundred bytes at most; an entry of a case has more.
    assert max(sizes) - min(sizes) < 512
    assert path.stat().st_size > CASE_BYTES_MIN
    words = [b"racks", b"pod b3", b"queue", b"opened", opened().thread.encode(), digest_of(ATTACHED)[7:].encode()]
    for file in tmp_path.rglob("*"):
        data = file.read_bytes() if file.is_file() else b""
        assert not [word for word in words if word in data or word in file.name.encode()]


def test_each_office_that_holds_a_case_opens_it_and_no_other(tmp_path: Path) -> None:
    first, _ = two_desks(tmp_path)
    data = (first.store.folder / case() / "case.age").read_bytes()
    for name in NAMES[:2]:
        unseal(data, identity(name), where="case")
    for stranger in (identity(NAMES[2]), pyrage.x25519.Identity.generate()):
        with pytest.raises(EvidenceError, match="does not open"):
            unseal(data, stranger, where="case")


@settings(max_examples=25)
@given(st.binary(max_size=300))
def test_what_another_office_sends_is_refused_by_name_and_never_by_a_crash(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        read_entries(unpack(data, where="copy"), keys=known().keys, where="copy")
    for parse in (unpack_whole, lambda given, where: unpack_claims(given, known().offices, where=where)):
        with pytest.raises(EvidenceError):
            parse(data, where="package")
    with pytest.raises(EvidenceError):
        read_heads(data, known().keys, where="heads")


def test_a_file_that_is_not_the_one_that_was_named_is_refused(tmp_path: Path) -> None:
    first = desk(tmp_path, NAMES[0])
    file = sealed_file()
    with pytest.raises(EvidenceError, match="not the file that the report names"):
        first.open(opened(files=[file]), {file.digest: lambda: b"other"}, at=at(0))
    assert not first.store.has(case())


# --- published heads --------------------------------------------------------------------------------------------------


def test_what_an_office_cut_off_or_left_out_shows_in_what_it_published(tmp_path: Path) -> None:
    first, second = two_desks(tmp_path)
    before = first.read(case())
    first.act(case(), Noted(text="I saw this, and wish I had not"), at=at(5))
    list_of = sign_heads(publish([first.read(case())], office=NAMES[0], at=at(6), random=os.urandom), key(NAMES[0]))
    heads = read_heads(list_of, known().keys, where="heads")
    assert cut_off(heads, *first.read(case())) is None
    fault = cut_off(heads, *before)
    assert fault is not None
    assert "entry 0 of office-a" in fault
    assert cut_off(heads, *second.read(case())) is not None, "the other office was not told"
    empty = publish([], office=NAMES[0], at=at(6), random=os.urandom)
    assert len(empty.lines) == len(heads.lines)
    assert cut_off(empty, *first.read(case())) is not None, "the case was left out"


def test_a_published_list_of_somebody_else_is_refused(tmp_path: Path) -> None:
    made = publish([], office=NAMES[0], at=at(6), random=os.urandom)
    with pytest.raises(EvidenceError, match="not signed with the key of office-a"):
        read_heads(sign_heads(made, key(NAMES[1])), known().keys, where="heads")
