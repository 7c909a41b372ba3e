"""Which licences are accepted: one refusal for each reason, in order, and the window against an oracle that forgets nothing."""

from __future__ import annotations

from functools import cache

import licence_making as make
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.canonical import canonical_bytes, digest_of
from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.guarantee.events import EventKind
from inspectorate.mechanisms.guarantee.licences.judge import LICENCE_BYTES_MAX, JudgedLicence, judge_licence
from inspectorate.mechanisms.guarantee.licences.state import HELD_MAX, WINDOW, LicenceState, available, hold_against
from inspectorate.mechanisms.guarantee.licences.types import LICENCE_KIND, Licence
from inspectorate.mechanisms.guarantee.metering.types import MeterKind
from inspectorate.mechanisms.guarantee.rulesets.types import Ruleset
from inspectorate.mechanisms.guarantee.signing import SignedDocument, parse_document
from inspectorate.quantities import Period

RULES = make.ruleset()
FRESH = LicenceState()


def judge(state: LicenceState, document: SignedDocument, hours: float = 1, rules: Ruleset = RULES) -> JudgedLicence:
    return judge_licence(state, document, device=make.DEVICE, ruleset=rules, at=make.at(hours))


@cache
def numbered(sequence: int) -> SignedDocument:
    return make.signed(make.licence(sequence))


def kinds(judged: JudgedLicence) -> list[EventKind]:
    return [refusal.kind for refusal in judged.refusals]


def accepted(state: LicenceState, document: SignedDocument, hours: float = 1) -> LicenceState:
    judged = judge(state, document, hours)
    assert judged.state is not None, judged.refusals
    return judged.state


def test_a_licence_is_accepted_once_and_its_budget_counts_once() -> None:
    judged = judge(FRESH, numbered(1))
    assert judged.refusals == ()
    assert judged.licence == make.licence(1)
    assert judged.state is not None
    assert available(judged.state, MeterKind.FLOP, at=make.at(1)) == 1000
    again = judge(judged.state, numbered(1))
    assert again.state is None
    assert again.licence is None
    assert kinds(again) == [EventKind.LICENCE_REPLAYED]


def test_a_licence_signed_again_is_still_the_same_licence() -> None:
    """ML-DSA is randomised, so the envelope differs; neither it nor other signers make a licence new."""
    state = accepted(FRESH, numbered(1))
    assert kinds(judge(state, make.signed(make.licence(1), ("bo", "chen")))) == [EventKind.LICENCE_REPLAYED]
    renamed = make.signed(make.licence(1, id="another"))
    assert kinds(judge(state, renamed)) == [EventKind.LICENCE_REPLAYED]
    renumbered = make.signed(make.licence(2, id="licence-1"))
    assert kinds(judge(state, renumbered)) == [EventKind.LICENCE_REPLAYED]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ((), [EventKind.QUORUM_SHORT]),
        (("ana",), [EventKind.QUORUM_SHORT]),
        (("ana", "ana"), [EventKind.SIGNER_REPEATED, EventKind.QUORUM_SHORT]),
        (("ana", "dee"), [EventKind.QUORUM_SHORT]),
        (("ana", "bo"), []),
        (("ana", "bo", "bo"), [EventKind.SIGNER_REPEATED]),
    ],
)
def test_it_takes_a_quorum_and_a_repeated_signer_is_named_and_counts_once(
    by: tuple[str, ...], expected: list[EventKind]
) -> None:
    judged = judge(FRESH, make.signed(make.licence(1), by))
    assert kinds(judged) == expected
    assert (judged.state is not None) == (len(set(by) - {"dee"}) >= 2)
    if EventKind.SIGNER_REPEATED in expected:
        assert by[-1] in judged.refusals[0].why


WRONG = {
    "device": ({"device": digest_of(b"another")}, EventKind.LICENCE_REFUSED, "for device"),
    "ruleset": ({"ruleset": "other"}, EventKind.LICENCE_REFUSED, "for ruleset other"),
    "version": ({"ruleset_version_min": 2}, EventKind.LICENCE_REFUSED, "asks for version 2"),
    "expired": ({"valid": Period(start=make.START, end=make.at(1))}, EventKind.LICENCE_EXPIRED, "expired at"),
    "meter": ({"budgets": {MeterKind.BYTES_OUT: 1.0}}, EventKind.LICENCE_REFUSED, "no budget of flop"),
}


@pytest.mark.parametrize("name", WRONG)
def test_each_thing_that_is_wrong_is_named_and_changes_nothing(name: str) -> None:
    changes, kind, words = WRONG[name]
    judged = judge(FRESH, make.signed(make.licence(7, **changes)))
    assert judged.state is None
    assert kinds(judged) == [kind]
    assert words in judged.refusals[0].why
    assert judge(FRESH, numbered(1)).state is not None, "a refused licence uses up no sequence"


def test_replay_is_judged_before_signatures_and_signatures_before_the_rest() -> None:
    state = accepted(FRESH, numbered(5))
    assert kinds(judge(state, make.unsigned(make.licence(5, device=digest_of(b"x"))))) == [EventKind.LICENCE_REPLAYED]
    assert kinds(judge(state, make.unsigned(make.licence(6, device=digest_of(b"x"))))) == [EventKind.QUORUM_SHORT]


def test_the_minimum_of_the_ruleset_holds_like_a_fuse() -> None:
    rules = make.ruleset(licence_sequence_min=10)
    low = judge(FRESH, numbered(9), rules=rules)
    assert kinds(low) == [EventKind.LICENCE_REFUSED]
    assert "minimum, 10" in low.refusals[0].why
    assert judge(FRESH, numbered(10), rules=rules).state is not None
    held = accepted(accepted(FRESH, numbered(9)), numbered(11))
    withdrawn = hold_against(held, rules, at=make.at(1))
    assert [one.licence.sequence for one in withdrawn.state.held] == [11]
    assert [one.kind for one in withdrawn.refusals] == [EventKind.LICENCE_REFUSED]
    assert withdrawn.state.lost == {MeterKind.FLOP: 1000}
    assert kinds(judge(withdrawn.state, numbered(9))) == [EventKind.LICENCE_REPLAYED], "even under the ruleset before"


def test_a_licence_that_begins_later_is_held_and_gives_nothing_until_then() -> None:
    later = make.signed(make.licence(1, valid=Period(start=make.at(5), end=make.at(9))))
    state = accepted(FRESH, later)
    assert [available(state, MeterKind.FLOP, at=make.at(hour)) for hour in (4, 5, 8, 9)] == [0, 1000, 1000, 0]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        make.licence(1).canonical_bytes() + b" ",
        canonical_bytes({**make.licence(1).model_dump(mode="json"), "more": 1}),
        canonical_bytes({**make.licence(1).model_dump(mode="json"), "budgets": {}}),
        canonical_bytes({**make.licence(1).model_dump(mode="json"), "budgets": {"flop": 1e31}}),
        canonical_bytes({**make.licence(1).model_dump(mode="json"), "budgets": {"joy": 1}}),
        canonical_bytes({**make.licence(1).model_dump(mode="json"), "sequence": 0}),
        b'{"id":"' + b"a" * LICENCE_BYTES_MAX + b'"}',
    ],
)
def test_what_is_no_licence_is_refused_whoever_signed_it(payload: bytes) -> None:
    document = SignedDocument(kind=LICENCE_KIND, payload=payload, signatures=())
    for key in make.KEYS.values():
        document = document.signed_by(key)
    judged = judge(FRESH, document)
    assert judged.state is None
    assert kinds(judged) == [EventKind.LICENCE_REFUSED]


def test_a_document_of_another_kind_is_refused() -> None:
    other = SignedDocument(kind="application/x", payload=make.licence(1).canonical_bytes(), signatures=())
    assert kinds(judge(FRESH, other.signed_by(make.KEYS["ana"]).signed_by(make.KEYS["bo"]))) == [
        EventKind.LICENCE_REFUSED
    ]


def test_only_so_many_are_held_and_those_that_are_used_up_make_room() -> None:
    state = FRESH
    for sequence in range(1, HELD_MAX + 1):
        state = accepted(state, numbered(sequence))
    full = judge(state, numbered(HELD_MAX + 1))
    assert full.state is None
    assert kinds(full) == [EventKind.LICENCE_REFUSED]
    used = state.held[3].model_copy(update={"remaining": {MeterKind.FLOP: 0}})
    state = state.model_copy(update={"held": (*state.held[:3], used, *state.held[4:])})
    after = accepted(state, numbered(HELD_MAX + 1))
    assert len(after.held) == HELD_MAX
    assert used not in after.held


# --- the window, against everything ever seen ----------------------------------------------------------------------------


class Oracle:
    """Forgets nothing: all sequences ever accepted."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def takes(self, sequence: int) -> bool:
        if sequence in self.seen or (self.seen and sequence < max(self.seen) - WINDOW):
            return False
        self.seen.add(sequence)
        return True


@settings(max_examples=40)
@given(st.lists(st.integers(1, 4 * WINDOW), max_size=30))
def test_the_window_takes_what_the_oracle_takes(sequences: list[int]) -> None:
    oracle, state = Oracle(), FRESH
    for place, sequence in enumerate(sequences):
        judged = judge(state, numbered(sequence), hours=1 + place / 100)
        assert (judged.state is not None) == oracle.takes(sequence)
        state = (judged.state or state).model_copy(update={"held": ()})
        assert len(state.recent) <= WINDOW + 1
        assert LicenceState.parse(
            state.model_dump(mode="json", exclude_none=True), where="state", error=EvidenceError
        ) == state.model_copy(update={"tickets": {}})
    if oracle.seen:
        assert state.sequence_last == max(oracle.seen)


def test_published_cases_of_the_window() -> None:
    """mechanisms G12: out of order inside the window, repeats, below the window."""
    state = accepted(FRESH, numbered(100))
    state = accepted(state, numbered(100 - WINDOW))
    state = accepted(state, numbered(99))
    for sequence in (100, 99, 100 - WINDOW, 100 - WINDOW - 1):
        assert kinds(judge(state, numbered(sequence))) == [EventKind.LICENCE_REPLAYED]
    state = accepted(state, numbered(101))
    assert kinds(judge(state, numbered(100 - WINDOW))) == [EventKind.LICENCE_REPLAYED]


# --- mutations -----------------------------------------------------------------------------------------------------------

GOOD = numbered(3).to_bytes()


@settings(max_examples=80)
@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_no_flipped_byte_of_a_signed_licence_leaves_it_accepted_as_something_else(place: int, flip: int) -> None:
    data = bytearray(GOOD)
    data[place] ^= flip
    try:
        document = parse_document(bytes(data), kind=LICENCE_KIND, where="x")
    except EvidenceError:
        return
    judged = judge(FRESH, document)
    assert judged.state is None, "two of two signatures are needed, and each covers every byte"


@settings(max_examples=60)
@given(st.binary(max_size=200))
def test_any_payload_is_a_licence_or_a_refusal(payload: bytes) -> None:
    judged = judge(FRESH, SignedDocument(kind=LICENCE_KIND, payload=payload, signatures=()))
    assert judged.state is None
    assert len(judged.refusals) == 1


def test_a_licence_is_read_as_it_was_written() -> None:
    budgets = {MeterKind.FLOP: 1e30, MeterKind.ENERGY_J: 0.1, MeterKind.WALL_S: 86400.0}
    value = make.licence(2**53 - 1, budgets)
    judged = judge(FRESH, make.signed(value))
    assert judged.state is not None
    assert judged.licence == value
    assert judged.state.held[0].remaining == {
        MeterKind.FLOP: 10**30,
        MeterKind.ENERGY_J: 100_000,
        MeterKind.WALL_S: 86_400_000_000,
    }
    assert isinstance(judged.licence, Licence)
