"""The causal ledger of FLOP against plain dictionaries, and what folding may never do."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.canonical import digest_of
from inspectorate.errors import EvidenceError, InputError
from inspectorate.mechanisms.guarantee.events import EventKind, Refusal
from inspectorate.mechanisms.guarantee.metering import flop_ledger
from inspectorate.mechanisms.guarantee.metering.flop_commitment import (
    FlopCertificate,
    commit,
    verify_certificate,
    verify_entry,
)
from inspectorate.mechanisms.guarantee.metering.flop_ledger import (
    EMPTY,
    ENTRY_BYTES,
    FLOP_PER_UNIT,
    MAGIC,
    SOURCE_BYTES,
    FlopLedger,
    content_source,
    fold_source,
    in_units,
    of,
    parse,
    receive,
    receive_undeclared,
    session_source,
)

G = FLOP_PER_UNIT
SALT = bytes(range(32))
AT = datetime(2026, 11, 1, tzinfo=UTC)


def named(name: str) -> bytes:
    return session_source("device", name.encode().ljust(16, b"."))


# Few sources, so that ledgers share many; and sources that agree in their first word, or end in zero bytes.
SOURCES = st.one_of(
    st.sampled_from([named(name) for name in "abcdef"]),
    st.sampled_from([b"\0" * 24, b"\0" * 23 + b"\1", b"\xff" * 24, b"\xff" * 23 + b"\0", b"\xff" * 15 + b"\0" * 9]),
    st.binary(min_size=2, max_size=2).map(lambda tail: b"\7" * 8 + b"\0" * 14 + tail),
    st.binary(min_size=SOURCE_BYTES, max_size=SOURCE_BYTES),
)
PLAIN = st.dictionaries(SOURCES, st.integers(0, 2**64 - 1), max_size=12)


def made(units: dict[bytes, int]) -> FlopLedger:
    return of({source: value * G for source, value in units.items()})


def plain(ledger: FlopLedger) -> dict[bytes, int]:
    return dict(zip(ledger.sources, (int(value) for value in ledger.units), strict=True))


def plain_merge(one: dict[bytes, int], other: dict[bytes, int]) -> dict[bytes, int]:
    """The slow oracle."""
    return {source: max(one.get(source, 0), other.get(source, 0)) for source in one.keys() | other.keys()}


# --- merging -------------------------------------------------------------------------------------------------------------


def test_the_published_case() -> None:
    """mechanisms G11: {A:5,B:3} with {A:4,C:2} is {A:5,B:3,C:2}, 10 altogether."""
    a, b, c = named("A"), named("B"), named("C")
    merged = made({a: 5, b: 3}).merge(made({a: 4, c: 2}))
    assert plain(merged) == dict(sorted({a: 5, b: 3, c: 2}.items()))
    assert merged.total_flop == 10 * G


@settings(max_examples=60)
@given(PLAIN, PLAIN)
def test_merging_is_what_the_oracle_does(one: dict[bytes, int], other: dict[bytes, int]) -> None:
    merged = made(one).merge(made(other))
    assert plain(merged) == plain_merge(one, other)
    assert merged.sources == sorted(merged.sources)
    assert merged.total_units == sum(plain_merge(one, other).values())


@settings(max_examples=50)
@given(PLAIN, PLAIN, PLAIN)
def test_merging_is_idempotent_commutative_and_associative(
    one: dict[bytes, int], two: dict[bytes, int], three: dict[bytes, int]
) -> None:
    a, b, c = made(one), made(two), made(three)
    assert a.merge(a) == a
    assert a.merge(EMPTY) == EMPTY.merge(a) == a
    assert a.merge(b) == b.merge(a)
    assert hash(a.merge(b)) == hash(b.merge(a))
    assert a.merge(b).merge(c) == a.merge(b.merge(c))
    assert a.merge(b).total_units >= max(a.total_units, b.total_units)


@settings(max_examples=50)
@given(PLAIN, PLAIN)
def test_what_is_sent_beyond_what_is_known_is_enough(one: dict[bytes, int], known: dict[bytes, int]) -> None:
    a, k = made(one), made(known)
    delta = a.beyond(k)
    assert k.merge(delta) == k.merge(a)
    assert plain(delta) == {s: v for s, v in sorted(one.items()) if s not in known or v > known[s]}


@settings(max_examples=50)
@given(PLAIN, SOURCES)
def test_one_source_is_found_or_is_zero(one: dict[bytes, int], source: bytes) -> None:
    assert made(one).flop_of(source) == one.get(source, 0) * G


def test_large_ledgers_agree_with_the_oracle() -> None:
    words = np.random.default_rng(1).integers(0, 2**63, size=(3, 4000), dtype=np.uint64)
    words[0, ::7] = words[0, 0]
    sources = [row.tobytes() for row in words.T.astype(">u8")]
    one = {source: place for place, source in enumerate(sources[:3000])}
    other = dict.fromkeys(sources[1000:], 2000)
    assert plain(made(one).merge(made(other))) == dict(sorted(plain_merge(one, other).items()))


def test_amounts_are_rounded_up_to_a_gflop_and_sums_do_not_overflow() -> None:
    assert [in_units(flop) for flop in (0, 1, 1e9, 1e9 + 1, 0.1, 1e27)] == [0, 1, 1, 2, 1, 10**18]
    top = made({named(str(i)): 2**64 - 1 for i in range(9)})
    assert top.total_units == 9 * (2**64 - 1)
    with pytest.raises(InputError, match="more than"):
        in_units(1e29)
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="no amount"):
            in_units(wrong)


def test_a_session_is_counted_by_its_greatest_value() -> None:
    ledger = EMPTY
    for flop in (5 * G, 3 * G, 8 * G):
        ledger = ledger.with_at_least(named("own"), flop)
    assert ledger.total_flop == 8 * G


def test_sources_are_apart() -> None:
    nonce = bytes(16)
    assert session_source("d", nonce) != session_source("d", bytes(15) + b"\1")
    assert session_source("da", b"b" * 16) != session_source("d", b"a" + b"b" * 16)
    assert len({session_source("d", nonce), content_source("d"), fold_source(EMPTY)}) == 3
    with pytest.raises(ValueError, match="16 bytes"):
        session_source("d", b"short")


# --- laundering ----------------------------------------------------------------------------------------------------------


def test_chaining_over_many_devices_counts_the_work_of_all() -> None:
    """A run of 100 segments, each on a fresh device, that hands its weights on: the last one's ledger has all of it."""
    prefix = EMPTY.to_bytes()
    for segment in range(100):
        device = receive(EMPTY, prefix, where="link").with_at_least(named(f"s{segment}"), 1e24)
        prefix = device.to_bytes()
    assert parse(prefix, where="x").total_flop == 100 * 10**24


def test_going_in_circles_counts_nothing_twice() -> None:
    ledgers = {name: made({named(name): 10}) for name in "abc"}
    for _ in range(20):
        for sender, receiver in ("ab", "bc", "ca"):
            ledgers[receiver] = receive(ledgers[receiver], ledgers[sender].to_bytes(), where="link")
    assert {ledger.total_units for ledger in ledgers.values()} == {30}


def test_data_without_a_ledger_counts_its_worst_case_once_or_is_refused() -> None:
    content = digest_of(b"weights from outside")
    refused = receive_undeclared(EMPTY, content, None)
    assert isinstance(refused, Refusal)
    assert refused.kind is EventKind.RULE_FAILED
    once = receive_undeclared(EMPTY, content, 1e26)
    assert isinstance(once, FlopLedger)
    twice = receive_undeclared(once, content, 1e26)
    assert isinstance(twice, FlopLedger)
    assert twice.total_flop == once.total_flop == 10**26
    other = receive_undeclared(once, digest_of(b"other"), 1e26)
    assert isinstance(other, FlopLedger)
    assert other.total_flop == 2 * 10**26


# --- folding -------------------------------------------------------------------------------------------------------------

SMALL = st.dictionaries(SOURCES, st.integers(0, 2**50), max_size=8)
SOME = st.dictionaries(SOURCES, st.integers(0, 2**50), min_size=1, max_size=8)


@settings(max_examples=60)
@given(SOME, SMALL, st.data())
def test_a_fold_changes_no_total_never_counts_too_little_and_can_be_undone(
    one: dict[bytes, int], other: dict[bytes, int], data: st.DataObject
) -> None:
    a, b = made(one), made(other)
    chosen = data.draw(st.lists(st.sampled_from(sorted(one)), min_size=1, unique=True))
    folded, kept = a.fold(chosen)
    assert folded.total_units == a.total_units
    assert len(folded) == len(a) - len(chosen) + 1
    together, true = folded.merge(b), a.merge(b)
    assert together.total_units >= true.total_units
    # Too much by no more than what b holds of the same work.
    shared = sum(min(one[source], other[source]) for source in chosen if source in other)
    assert together.total_units - true.total_units == shared
    assert folded.unfold(kept) == a
    assert together.unfold(kept) == true
    # Two who fold the same work alike count it once, whatever order they meet in.
    assert folded.merge(made(one).fold(reversed(chosen))[0]) == folded


@settings(max_examples=40)
@given(st.lists(SOME, min_size=2, max_size=4), st.data())
def test_no_sequence_of_merging_and_folding_counts_too_little(
    parts: list[dict[bytes, int]], data: st.DataObject
) -> None:
    """Devices exchange ledgers and fold as they like; each is held against an oracle that never folds."""
    ledgers = [made(part) for part in parts]
    truths = [dict(part) for part in parts]
    for _ in range(data.draw(st.integers(1, 8))):
        to, of_ = (data.draw(st.integers(0, len(parts) - 1)) for _ in range(2))
        if data.draw(st.booleans()):
            ledgers[to] = ledgers[to].merge(ledgers[of_])
            truths[to] = plain_merge(truths[to], truths[of_])
        else:
            chosen = data.draw(st.lists(st.sampled_from(ledgers[to].sources), min_size=1, unique=True))
            ledgers[to], _ = ledgers[to].fold(chosen)
        assert ledgers[to].total_units >= sum(truths[to].values())


def test_folding_the_same_ended_sessions_everywhere_costs_nothing() -> None:
    ended = {named(f"e{i}"): i + 1 for i in range(50)}
    one = made(ended | {named("x"): 7}).fold(ended)[0]
    two = made(ended | {named("y"): 9}).fold(ended)[0]
    assert one.merge(two).total_units == sum(ended.values()) + 16
    assert len(one.merge(two)) == 3


def test_only_what_was_folded_undoes_a_fold() -> None:
    ledger, kept = made({named("a"): 5, named("b"): 3}).fold([named("a"), named("b")])
    for wrong in (made({named("a"): 5, named("b"): 2}), made({named("a"): 8}), made({named("a"): 5}), EMPTY):
        with pytest.raises(EvidenceError, match="stands for"):
            ledger.unfold(wrong)
    with pytest.raises(EvidenceError):
        ledger.unfold(kept).unfold(kept)


def test_who_states_a_fold_too_low_is_found_out_by_whoever_knows_what_was_folded() -> None:
    true = made({named("a"): 5, named("b"): 3})
    false = made({fold_source(true): 1})
    with pytest.raises(EvidenceError):
        false.unfold(true)
    honest, _ = true.fold(true.sources)
    assert false.merge(honest).total_units == 8


def test_folding_refuses_what_is_not_there_and_what_does_not_fit() -> None:
    ledger = made({named("a"): 2**64 - 1, named("b"): 1})
    for sources in ([], [named("c")], [named("a"), named("c")]):
        with pytest.raises(InputError, match="in the ledger"):
            ledger.fold(sources)
    with pytest.raises(InputError, match="one entry"):
        ledger.fold([named("a"), named("b")])


# --- the form that is sent -----------------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(PLAIN)
def test_what_is_sent_is_what_is_read(one: dict[bytes, int]) -> None:
    ledger = made(one)
    data = ledger.to_bytes()
    assert len(data) == len(MAGIC) + 4 + ENTRY_BYTES * len(one)
    assert parse(data, where="x") == ledger


GOOD = made({named(name): place for place, name in enumerate("abcd")}).to_bytes()
ROWS = [GOOD[12 + 32 * i : 44 + 32 * i] for i in range(4)]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a ledger"),
        (b"FLOPLED2" + GOOD[8:], "not a ledger"),
        (GOOD[:-1], "do not take"),
        (GOOD + b"\0", "do not take"),
        (MAGIC + b"\xff" * 4, "exceed"),
        (MAGIC + b"\0\0\0\4" + ROWS[1] + ROWS[0] + ROWS[2] + ROWS[3], "in order"),
        (MAGIC + b"\0\0\0\2" + ROWS[0] + ROWS[0], "in order"),
        (MAGIC + b"\0\0\0\2" + ROWS[0] + ROWS[0][:24] + b"\xff" * 8, "in order"),
    ],
)
def test_any_other_form_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(EvidenceError, match=words):
        parse(data, where="prefix")


@given(st.binary(max_size=120))
def test_any_bytes_are_one_ledger_or_refused(tail: bytes) -> None:
    for data in (tail, MAGIC + tail, MAGIC + (len(tail) // 32).to_bytes(4, "big") + tail[: len(tail) // 32 * 32]):
        try:
            ledger = parse(data, where="x")
        except EvidenceError:
            continue
        assert ledger.to_bytes() == data


def test_a_ledger_keeps_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flop_ledger, "ENTRIES_MAX", 5)
    one, two = made({named(n): 1 for n in "abcd"}), made({named(n): 2 for n in "cde"})
    assert len(one.merge(two)) == 5
    with pytest.raises(EvidenceError, match="fold"):
        receive(one, made({named(n): 2 for n in "xyz"}).to_bytes(), where="link")
    with pytest.raises(EvidenceError, match="exceed"):
        receive(one, two.to_bytes(), where="link", entries_max=2)
    with pytest.raises(InputError, match="exceeds"):
        made({named(n): 1 for n in "abcdef"})


# --- commitments ---------------------------------------------------------------------------------------------------------


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, as it is written there."""
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return hashlib.sha256(b"\1" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 33])
def test_every_entry_can_be_shown_and_no_other(count: int) -> None:
    ledger = made({named(str(i)): i for i in range(count)})
    held = commit(ledger, SALT)
    assert held.root == naive_root(list(held.levels[0]))
    for source in ledger.sources:
        proof = held.prove(source)
        assert verify_entry(held.digest, proof) == ledger.flop_of(source)
        spoiled = [
            replace(proof, units=proof.units + 1),
            replace(proof, source=named("another")),
            replace(proof, place=(proof.place + 1) % count, entries=count + 1),
            replace(proof, leaf_salt=bytes(32)),
            replace(proof, leaf_salt=b""),
            replace(proof, sum=bytes(32)),
            replace(proof, path=(*proof.path, bytes(32))),
            replace(proof, units=-1),
            replace(proof, place=count),
        ]
        if proof.path:
            spoiled += [replace(proof, path=proof.path[:-1]), replace(proof, path=(b"", *proof.path[1:]))]
            spoiled += [replace(proof, path=(bytes(32), *proof.path[1:]))]
        for wrong in spoiled:
            with pytest.raises(EvidenceError):
                verify_entry(held.digest, wrong)


def test_the_salt_hides_what_is_not_shown() -> None:
    ledger = made({named("a"): 1, named("b"): 2})
    one, two = commit(ledger, SALT), commit(ledger, bytes(32))
    assert one.digest != two.digest
    assert commit(EMPTY, SALT).digest != commit(EMPTY, bytes(32)).digest
    proof = one.prove(ledger.sources[0])
    beside = ledger.sources[1]
    guesses = (hashlib.sha256(b"\0" + proof.leaf_salt + beside + v.to_bytes(8, "big")).digest() for v in range(10))
    assert proof.path[0] not in guesses
    with pytest.raises(KeyError):
        one.prove(named("z"))
    with pytest.raises(ValueError, match="32 bytes"):
        commit(ledger, b"short")


def test_a_certificate_says_at_most_so_much_and_binds_it() -> None:
    held = commit(made({named("a"): 5, named("b"): 2**64 - 1}), SALT)
    certificate = held.certificate(content=digest_of(b"result"), device=digest_of(b"device"), at=AT)
    assert verify_certificate(certificate) == (2**64 + 4) * G
    assert certificate.commitment == held.digest
    for wrong in ({"total_flop": "1000000000"}, {"total_flop": "1"}, {"sources": 1}, {"root": "0" * 64}):
        with pytest.raises(EvidenceError):
            verify_certificate(certificate.model_copy(update=wrong))
    again = FlopCertificate.parse(certificate.model_dump(mode="json"), where="x", error=EvidenceError)
    assert again == certificate
