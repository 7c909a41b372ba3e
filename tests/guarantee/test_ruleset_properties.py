"""What holds of every quorum, every sequence of updates and every altered document."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from ruleset_making import AT, BASELINE, NAMES, STRANGER, VALID, first, key, model, quorums, rule, signed, signer

from inspectorate.canonical import canonical_bytes
from inspectorate.errors import EvidenceError
from inspectorate.evidence.dsse import pae
from inspectorate.mechanisms.guarantee.events import EventKind
from inspectorate.mechanisms.guarantee.rulesets.quorum import judge_quorum
from inspectorate.mechanisms.guarantee.rulesets.types import RULESET_KIND, UPDATES, Act, Quorum, Ruleset
from inspectorate.mechanisms.guarantee.rulesets.update import judge_update
from inspectorate.mechanisms.guarantee.signing import SignedDocument, parse_document

FIRST = first()
PAYLOAD = b"{}"


@cache
def signature(name: str, turn: int) -> tuple[str, bytes]:
    """One of a few true signatures of a name: ML-DSA is randomised, so they differ. Turn 2 is a false one."""
    message = pae(RULESET_KIND, PAYLOAD if turn < 2 else b"other")
    return signer(name).signer_id, key(name).sign(message)


SIGNED = st.lists(st.tuples(st.sampled_from((*NAMES[:4], STRANGER)), st.integers(0, 2)), max_size=7)
GROUPS = st.lists(st.lists(st.sampled_from(NAMES[:3]), min_size=1, unique=True), max_size=2)


@settings(max_examples=120)
@given(SIGNED, st.integers(1, 3), GROUPS, st.randoms())
def test_a_quorum_is_that_of_a_slow_count(
    given_: list[tuple[str, int]], k: int, groups: list[list[str]], order: Any
) -> None:
    quorum = Quorum(k=k, of=NAMES[:3], from_each=tuple(map(tuple, groups)))
    ruleset = FIRST.model_copy(update={"quorums": FIRST.quorums | {Act.LICENSE: quorum}})
    signatures = [signature(*one) for one in given_]
    document = SignedDocument(kind=RULESET_KIND, payload=PAYLOAD, signatures=tuple(signatures))
    found = judge_quorum(ruleset, Act.LICENSE, document)

    true = [name for name in NAMES[:3] if any(one == name and turn < 2 for one, turn in given_)]
    reached = len(true) >= k and all(any(name in group for name in true) for group in groups)
    assert found.reached == reached
    assert found.signers == set(true)
    expected = []
    if any(sum(one == name for one, _ in given_) > 1 for name in NAMES[:4]):
        expected.append(EventKind.SIGNER_REPEATED)
    if not reached:
        expected.append(EventKind.QUORUM_SHORT)
    assert [one.kind for one in found.refusals] == expected

    order.shuffle(signatures)
    again = judge_quorum(
        ruleset, Act.LICENSE, SignedDocument(kind=RULESET_KIND, payload=PAYLOAD, signatures=tuple(signatures))
    )
    assert again == found


# --- sequences ----------------------------------------------------------------------------------------------------------------

ALONE = first(
    signers=(signer("ana"), signer("bo")),
    quorums={act: Quorum(k=1, of=("ana",)) for act in Act},
    baseline=(BASELINE[0], rule("narrow", at="update", must="bits_per_day_max <= 8192.0", reads=("bits_per_day_max",))),
)
"""One signer may do everything: what is then impossible is impossible for every quorum."""

RULES = [rule("r1"), rule("r2", holds_until=AT), rule("r2", holds_until=VALID.end), rule("r3", must="false", reads=())]
SOME: dict[str, st.SearchStrategy[Any]] = {
    "version": st.integers(1, 9),
    "previous": st.sampled_from(["sha256:" + "0" * 64, ALONE.digest]),
    "id": st.sampled_from(["site-1", "site-2"]),
    "baseline": st.sampled_from([(*ALONE.baseline, rule("b3")), ALONE.baseline[:1], (), (rule("b3"), *ALONE.baseline)]),
    "rules": st.lists(st.sampled_from(RULES), max_size=3, unique_by=lambda one: one.id),
    "builds": st.lists(st.sampled_from(["sha256:" + digit * 64 for digit in "bc"]), max_size=2, unique=True),
    "models": st.lists(st.sampled_from([model(), model("other", "2")]), max_size=2, unique_by=lambda one: one.name),
    "licence_sequence_min": st.integers(3, 12),
    "sampled_share": st.sampled_from([0.0, 0.1, 1.0]),
    "outlet": st.sampled_from([{"report_every_s": 60.0, "bits_per_day_max": bits} for bits in (1.0, 8192.0, 9000.0)]),
    "quorums": st.sampled_from([ALONE.quorums, dict.fromkeys(Act, Quorum(k=1, of=("ana", "bo")))]),
}
ONE = st.sampled_from(sorted(SOME.keys() - {"version", "previous", "id"})).flatmap(
    lambda field: st.fixed_dictionaries({field: SOME[field]})
)
EDITS = st.one_of(ONE, ONE, ONE, st.fixed_dictionaries({}, optional=SOME))
FITTING = {"builds": Act.SECURITY_PATCH, "models": Act.LIST_MODELS, "sampled_share": Act.NEW_GUARANTEE}
STEP = st.one_of(
    EDITS.map(lambda edits: (FITTING.get(next(iter(edits), ""), Act.CHANGE_RULES), edits)),
    st.tuples(st.sampled_from(UPDATES), EDITS),
)


def test_no_sequence_of_updates_lowers_a_version_or_drops_a_rule_of_the_baseline() -> None:
    accepted = 0

    @settings(max_examples=50)
    @given(st.lists(STEP, min_size=1, max_size=8))
    def sequence(steps: list[tuple[Act, dict[str, Any]]]) -> None:
        nonlocal accepted
        current = ALONE
        for act, edits in steps:
            after = judged_step(current, act, edits)
            if after is not None:
                accepted += 1
                check_step(current, after)
                current = after
        assert set(ALONE.baseline) <= set(current.baseline)

    sequence()
    assert accepted > 30, "too few updates are accepted for this to say anything"


def judged_step(current: Ruleset, act: Act, edits: dict[str, Any]) -> Ruleset | None:
    fields = {name: getattr(current, name) for name in Ruleset.model_fields}
    fields |= {"version": current.version + 1, "previous": current.digest, "act": act}
    try:
        candidate = Ruleset.parse(fields | edits, where="test", error=EvidenceError)
    except EvidenceError:
        return None
    judged = judge_update(current, signed(candidate, "ana"), version_floor=current.version, at=AT)
    assert (judged.ruleset is None) == bool(judged.refusals)
    return judged.ruleset


def check_step(before: Ruleset, after: Ruleset) -> None:
    assert after.version == before.version + 1
    assert [one for one in after.baseline if one in before.baseline] == list(before.baseline)
    assert after.licence_sequence_min >= before.licence_sequence_min
    assert after.outlet.bits_per_day_max <= 8192
    assert (after.id, bool(after.builds)) == ("site-1", True)
    if after.act is not Act.CHANGE_RULES:
        assert (after.quorums, after.signers, after.baseline) == (before.quorums, before.signers, before.baseline)
        assert set(before.licensed_meters) <= set(after.licensed_meters)
        assert after.sampled_share >= before.sampled_share
        assert {one.id for one in before.rules} <= {one.id for one in after.rules}
        assert (after.builds == before.builds) or after.act is Act.SECURITY_PATCH
        assert (after.models == before.models) or after.act is Act.LIST_MODELS


# --- altered documents --------------------------------------------------------------------------------------------------------

SECOND = signed(
    Ruleset(
        **{name: getattr(FIRST, name) for name in Ruleset.model_fields}
        | {"version": 2, "previous": FIRST.digest, "act": Act.SECURITY_PATCH, "builds": ("sha256:" + "c" * 64,)}
    ),
    "ana",
    "bo",
)
BYTES = SECOND.to_bytes()
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


@given(st.integers(0, len(BYTES) - 1), st.binary(max_size=4), st.integers(0, 8))
def test_an_altered_document_is_never_put_in_force(place: int, put: bytes, cut: int) -> None:
    data = BYTES[:place] + put + BYTES[place + cut :]
    try:
        document = parse_document(data, kind=RULESET_KIND, where="test")
    except EvidenceError:
        return
    judged = judge_update(FIRST, document, version_floor=1, at=AT)
    assert data == BYTES or judged.ruleset is None


@settings(max_examples=60)
@given(st.sampled_from(sorted(Ruleset.model_fields)), ANYTHING)
def test_no_payload_breaks_the_judge(field: str, value: Any) -> None:
    payload = canonical_bytes(json.loads(SECOND.payload) | {field: value})
    document = SignedDocument(kind=RULESET_KIND, payload=payload, signatures=SECOND.signatures)
    judged = judge_update(FIRST, document, version_floor=1, at=AT)
    assert payload == SECOND.payload or judged.ruleset is None
    assert judged.refusals or judged.ruleset


def test_quorums_of_the_paper_are_those_of_the_tests() -> None:
    """arXiv 2506.15093: 2 of 5, 4 of 7, 6 of 7."""
    found = quorums()
    assert [
        (found[act].k, len(found[act].of)) for act in (Act.SECURITY_PATCH, Act.NEW_GUARANTEE, Act.CHANGE_RULES)
    ] == [
        (2, 5),
        (4, 7),
        (6, 7),
    ]
