"""A case file is a chain per office, and none of it can be changed, moved or taken out unnoticed."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cases_kit import NAMES, at, case, key, known, opened, sealed_file, two_desks
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.canonical import canonical_bytes, digest_of
from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.whistleblowing.cases.acts import Noted
from inspectorate.mechanisms.whistleblowing.cases.entries import (
    CaseFile,
    Entry,
    first_entry,
    read_entries,
    sign_entry,
)
from inspectorate.mechanisms.whistleblowing.cases.state import CaseStanding, follow

KEYS = known().keys


def read(envelopes: list[bytes]) -> CaseFile:
    return read_entries(envelopes, keys=KEYS, where="case")


def built(script: list[tuple[int, list[int]]]) -> list[tuple[Entry, bytes, frozenset[str]]]:
    """Entries of offices that note things and now and then look at each other's: (entry, envelope, all that it rests on)."""
    chains: dict[str, list[tuple[Entry, bytes, frozenset[str]]]] = {name: [] for name in NAMES}
    seen: dict[str, dict[str, int]] = {name: {} for name in NAMES}
    made = []
    for step, (who, looks) in enumerate(script):
        name = NAMES[who]
        for other in looks:
            seen[name][NAMES[other]] = len(chains[NAMES[other]])
        others = [chains[o][n - 1] for o, n in seen[name].items() if o != name and n]
        own = chains[name][-1] if chains[name] else None
        entry = Entry(
            case=case(), by=name, number=len(chains[name]), previous=digest_of(own[1]) if own else None,
            seen=tuple(sorted(digest_of(one[1]) for one in others)), at=at(step), act=Noted(text=f"note {step}"),
        )  # fmt: skip
        rests = frozenset().union(*(one[2] | {digest_of(one[1])} for one in (*others, *([own] if own else []))))
        chains[name].append((entry, sign_entry(entry, key(name)), rests))
        made.append(chains[name][-1])
    return made


SCRIPTS = st.lists(st.tuples(st.integers(0, 2), st.lists(st.integers(0, 2), max_size=2)), min_size=2, max_size=9)


@settings(max_examples=15)
@given(SCRIPTS, st.data())
def test_what_is_read_does_not_depend_on_the_order_in_which_entries_lie(
    script: list[tuple[int, list[int]]], data: st.DataObject
) -> None:
    made = [one[1] for one in built(script)]
    file = read(made)
    assert {one.envelope for one in file.held} == set(made)
    place = {one.digest: n for n, one in enumerate(file.held)}
    for one in file.held:
        before = [*one.entry.seen, *([one.entry.previous] if one.entry.previous else [])]
        assert all(place[digest] < place[one.digest] for digest in before)
    assert read(data.draw(st.permutations(made))).held == file.held


@settings(max_examples=25)
@given(SCRIPTS, st.data())
def test_taking_out_an_entry_is_noticed_unless_nobody_has_built_on_it(
    script: list[tuple[int, list[int]]], data: st.DataObject
) -> None:
    made = built(script)
    gone = data.draw(st.sampled_from(range(len(made))))
    left = [one for n, one in enumerate(made) if n != gone]
    built_on = any(digest_of(made[gone][1]) in one[2] for one in left)
    if built_on or not left:
        with pytest.raises(EvidenceError, match=r"missing|not there|continue|holds no entry"):
            read([one[1] for one in left])
    else:
        read([one[1] for one in left])


@settings(max_examples=15)
@given(SCRIPTS, st.data())
def test_no_byte_of_an_entry_can_be_changed(script: list[tuple[int, list[int]]], data: st.DataObject) -> None:
    made = [one[1] for one in built(script)]
    which = data.draw(st.sampled_from(range(len(made))))
    place = data.draw(st.integers(0, len(made[which]) - 1))
    changed = bytearray(made[which])
    changed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(EvidenceError):
        read([*made[:which], bytes(changed), *made[which + 1 :]])


def test_an_office_that_tells_two_stories_is_named() -> None:
    one = first_entry(case(), Noted(text="this"), by=NAMES[0], at=at(0))
    other = first_entry(case(), Noted(text="that"), by=NAMES[0], at=at(0))
    with pytest.raises(EvidenceError, match="entry 0 of office-a: is there twice"):
        read([sign_entry(one, key(NAMES[0])), sign_entry(other, key(NAMES[0]))])


@pytest.mark.parametrize(
    ("fields", "signer", "fault"),
    [
        ({"by": NAMES[1]}, NAMES[0], "is not signed with the key of office-b"),
        ({"by": "office-z"}, NAMES[0], "no key is known"),
        ({"number": 1}, NAMES[0], "entry 0 before it is missing"),
        ({"previous": "sha256:" + "0" * 64}, NAMES[0], "does not continue"),
        ({"seen": ("sha256:" + "0" * 64,)}, NAMES[0], "which is not there"),
    ],
)
def test_an_entry_that_is_not_what_it_says_is_refused(fields: dict[str, object], signer: str, fault: str) -> None:
    entry = first_entry(case(), Noted(text="x"), by=NAMES[0], at=at(0)).model_copy(update=fields)
    with pytest.raises(EvidenceError, match=fault):
        read([sign_entry(entry, key(signer))])


def test_times_of_an_office_do_not_run_backwards() -> None:
    first = sign_entry(first_entry(case(), Noted(text="x"), by=NAMES[0], at=at(5)), key(NAMES[0]))
    entry = read([first]).next_entry(Noted(text="y"), by=NAMES[0], at=at(4))
    with pytest.raises(EvidenceError, match="older than the one before"):
        read([first, sign_entry(entry, key(NAMES[0]))])


def test_entries_of_two_cases_do_not_mix() -> None:
    made = [
        sign_entry(first_entry(name, Noted(text="x"), by=office, at=at(0)), key(office))
        for name, office in ((case(1), NAMES[0]), (case(2), NAMES[1]))
    ]
    with pytest.raises(EvidenceError, match="mixes entries of 2 cases"):
        read(made)


def test_an_entry_in_another_byte_form_is_refused() -> None:
    made = sign_entry(first_entry(case(), Noted(text="x"), by=NAMES[0], at=at(0)), key(NAMES[0]))
    with pytest.raises(EvidenceError, match="canonical"):
        read([made + b"\n"])
    with pytest.raises(EvidenceError, match="malformed"):
        read([canonical_bytes({"payload": base64.b64encode(b"{}").decode(), "payloadType": "x", "signatures": []})])


def test_a_case_file_is_built_by_reading_alone() -> None:
    with pytest.raises(TypeError):
        CaseFile(case=case(), held=(), witness=object())


def test_copies_join_by_union_and_a_cut_off_copy_takes_nothing_away(tmp_path: Path) -> None:
    first, second = two_desks(tmp_path)
    whole = second.store.read(case())
    first.act(case(), Noted(text="more"), at=at(9))
    second.store.folder.joinpath(case(), "case.age").write_bytes(
        (first.store.folder / case() / "case.age").read_bytes()
    )
    first.store.keep(case(), [one.envelope for one in whole.held], [known().recipients[NAMES[0]]])
    assert len(first.store.read(case()).held) == len(whole.held) + 1


LIE = opened().model_copy(update={
    "answers": {"seen": "nothing at all"}, "offices": NAMES, "reply_to": opened(2).reply_to,
    "files": (sealed_file(b"made up", "x.txt"),),
})  # fmt: skip


def test_another_wording_of_a_report_stands_by_itself_and_stops_nobody(tmp_path: Path) -> None:
    _, second = two_desks(tmp_path)
    before = second.read(case())[1]
    entry = second.store.read(case()).next_entry(LIE, by=NAMES[2], at=at(9))
    second._write(case(), [*(one.envelope for one in second.store.read(case()).held), sign_entry(entry, key(NAMES[2]))])
    state = second.act(case(), Noted(text="goes on"), at=at(10))
    assert [(one.offices, one.stands, one.disputed) for one in state.reports] == [
        (NAMES[:2], True, True), ((NAMES[2],), False, True)
    ]  # fmt: skip
    assert state.standing is CaseStanding.OPEN
    assert (state.reply_to, state.files) == (before.reply_to, before.files)


def test_whoever_makes_a_report_up_first_keeps_no_quorum_from_opening_it(tmp_path: Path) -> None:
    lying = LIE.model_copy(update={"offices": (NAMES[0], NAMES[2])})
    made = [sign_entry(first_entry(case(), lying, by=NAMES[2], at=at(0)), key(NAMES[2]))]
    for office in NAMES[:2]:
        made.append(sign_entry(read(made).next_entry(opened(), by=office, at=at(5)), key(office)))
    state = follow(read(made), known().offices)
    assert state.standing is CaseStanding.OPEN
    assert state.agreed_reports[0].opened == opened()
    assert state.reply_to == opened().reply_to
    assert state.files == ()


def test_an_office_that_gives_two_wordings_counts_for_its_first() -> None:
    made = [sign_entry(first_entry(case(), LIE, by=NAMES[0], at=at(0)), key(NAMES[0]))]
    made.append(sign_entry(read(made).next_entry(opened(), by=NAMES[0], at=at(1)), key(NAMES[0])))
    made.append(sign_entry(read(made).next_entry(opened(), by=NAMES[1], at=at(2)), key(NAMES[1])))
    assert follow(read(made), known().offices).standing is CaseStanding.PENDING


def test_a_later_report_that_one_office_made_up_leads_no_answer_astray(tmp_path: Path) -> None:
    _, second = two_desks(tmp_path)
    later = opened(report=1).model_copy(update={"reply_to": opened(2).reply_to})
    state = second.open(later, {}, at=at(9))
    assert [one.stands for one in state.reports] == [True, False]
    assert state.reply_to == opened().reply_to
