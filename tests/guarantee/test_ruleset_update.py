"""Which ruleset may follow which: quorums, acts, versions, the baseline."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from pydantic import ValidationError
from ruleset_making import (
    AT,
    BASELINE,
    NAMES,
    STRANGER,
    VALID,
    after,
    first,
    model,
    quorums,
    rule,
    signed,
    signed_payload,
    signer,
)

from inspectorate.canonical import canonical_bytes
from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.guarantee.events import EventKind
from inspectorate.mechanisms.guarantee.metering.types import MeterKind
from inspectorate.mechanisms.guarantee.rulesets.difference import act_needed, covers, differences
from inspectorate.mechanisms.guarantee.rulesets.quorum import judge_quorum
from inspectorate.mechanisms.guarantee.rulesets.types import (
    RULESET_KIND,
    UPDATES,
    Act,
    Limits,
    Outlet,
    Point,
    Quorum,
    Ruleset,
)
from inspectorate.mechanisms.guarantee.rulesets.update import Judged, in_force, judge_first, judge_update, verify_chain
from inspectorate.mechanisms.guarantee.signing import SignedDocument
from inspectorate.quantities import Period

FIRST = first()
BUILD = "sha256:" + "c" * 64


def judged(candidate: Ruleset, *names: str, current: Ruleset = FIRST, floor: int = 0) -> Judged:
    return judge_update(current, signed(candidate, *names), version_floor=floor, at=AT)


def kinds(found: Judged) -> list[EventKind]:
    return [one.kind for one in found.refusals]


def why(found: Judged) -> str:
    return "; ".join(one.why for one in found.refusals)


# --- the first ------------------------------------------------------------------------------------------------------------


def test_the_first_is_trusted_by_its_digest_alone() -> None:
    document = signed(FIRST)
    assert judge_first(document, baseline=FIRST.digest, at=AT) == Judged(ruleset=FIRST, refusals=())
    other = judge_first(document, baseline="sha256:" + "0" * 64, at=AT)
    assert (other.ruleset, kinds(other)) == (None, [EventKind.RULESET_REFUSED])


def test_a_later_version_is_not_the_first() -> None:
    second = after(FIRST, Act.SECURITY_PATCH, builds=(BUILD,))
    found = judge_first(signed(second, *NAMES), baseline=second.digest, at=AT)
    assert found.ruleset is None
    assert "not the first" in why(found)


def test_the_first_is_refused_before_and_after_its_time() -> None:
    early = judge_first(signed(FIRST), baseline=FIRST.digest, at=VALID.start - timedelta(seconds=1))
    late = judge_first(signed(FIRST), baseline=FIRST.digest, at=VALID.end)
    assert (early.ruleset, kinds(early)) == (None, [EventKind.RULESET_REFUSED])
    assert (late.ruleset, kinds(late)) == (None, [EventKind.RULESET_EXPIRED])


def test_the_first_with_a_rule_that_cannot_be_asked_is_refused() -> None:
    bad = first(rules=(rule(must="size(request_bytes) > 0"),))
    found = judge_first(signed(bad), baseline=bad.digest, at=AT)
    assert found.ruleset is None
    assert "small-requests" in why(found)


def test_another_byte_form_of_a_ruleset_is_none() -> None:
    value = json.loads(FIRST.canonical_bytes())
    assert "licensed_meters" in value
    del value["licensed_meters"]  # its default: the same ruleset, in other bytes
    document = signed_payload(RULESET_KIND, canonical_bytes(value))
    found = judge_first(document, baseline=document.digest, at=AT)
    assert found.ruleset is None
    assert "one form" in why(found)


# --- following --------------------------------------------------------------------------------------------------------------

PATCH = after(FIRST, Act.SECURITY_PATCH, builds=(BUILD,))


def test_a_patch_by_two_of_five_follows() -> None:
    found = judged(PATCH, "ana", "eli")
    assert (found.ruleset, found.refusals, found.signers) == (PATCH, (), {"ana", "eli"})


def test_a_version_at_or_below_the_floor_is_a_rollback_whoever_signs() -> None:
    for floor in (2, 3, 9):
        found = judged(PATCH, *NAMES, floor=floor)
        assert (found.ruleset, kinds(found)) == (None, [EventKind.RULESET_ROLLED_BACK])


def test_the_ruleset_in_force_is_a_rollback_of_itself() -> None:
    second = judged(PATCH, "ana", "eli").ruleset
    assert second is not None
    again = judged(PATCH, "ana", "eli", current=second, floor=2)
    assert EventKind.RULESET_ROLLED_BACK in kinds(again)
    back = judged(FIRST, *NAMES, current=second, floor=2)
    assert EventKind.RULESET_ROLLED_BACK in kinds(back)
    assert back.ruleset is None


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"version": 3}, "does not follow 1"),
        ({"previous": "sha256:" + "0" * 64}, "is in force"),
        ({"id": "site-2"}, "site-1 becomes site-2"),
    ],
)
def test_what_does_not_follow_is_refused(changed: dict[str, object], said: str) -> None:
    found = judged(after(FIRST, Act.CHANGE_RULES, builds=(BUILD,), **changed), *NAMES)
    assert (found.ruleset, kinds(found)) == (None, [EventKind.RULESET_REFUSED])
    assert said in why(found)


def test_an_update_that_is_over_is_expired_and_one_to_come_is_refused() -> None:
    over = after(FIRST, Act.CHANGE_RULES, valid=Period(start=VALID.start, end=AT))
    to_come = after(FIRST, Act.CHANGE_RULES, valid=Period(start=AT + timedelta(days=1), end=VALID.end))
    assert kinds(judged(over, *NAMES)) == [EventKind.RULESET_EXPIRED]
    assert kinds(judged(to_come, *NAMES)) == [EventKind.RULESET_REFUSED]


def test_an_expired_ruleset_can_be_renewed_by_its_signers_and_is_not_in_force() -> None:
    old = first(valid=Period(start=VALID.start, end=VALID.start + timedelta(days=1)))
    ended = in_force(old, AT)
    assert ended is not None
    assert ended.kind is EventKind.RULESET_EXPIRED
    assert in_force(FIRST, AT) is None
    renewed = after(old, Act.CHANGE_RULES, valid=VALID)
    assert judged(renewed, *NAMES[:6], current=old).ruleset == renewed
    assert judged(renewed, *NAMES[:5], current=old).ruleset is None


def test_an_update_that_changes_nothing_is_refused() -> None:
    found = judged(after(FIRST, Act.SECURITY_PATCH), "ana", "bo")
    assert (found.ruleset, why(found)) == (None, "changes nothing")


def test_a_document_of_another_kind_is_refused() -> None:
    document = signed_payload("application/vnd.inspectorate.licence+json", PATCH.canonical_bytes(), *NAMES)
    found = judge_update(FIRST, document, version_floor=0, at=AT)
    assert (found.ruleset, kinds(found)) == (None, [EventKind.RULESET_REFUSED])


# --- quorums ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((), [EventKind.QUORUM_SHORT]),
        (("ana",), [EventKind.QUORUM_SHORT]),
        (("ana", "ana", "ana"), [EventKind.SIGNER_REPEATED, EventKind.QUORUM_SHORT]),
        (("ana", "ana", "bo"), [EventKind.SIGNER_REPEATED]),
        (("ana", STRANGER), [EventKind.QUORUM_SHORT]),
        (("ana", STRANGER, STRANGER), [EventKind.QUORUM_SHORT]),
        (("fay", "gus"), [EventKind.QUORUM_SHORT]),
        (("ana", "bo", STRANGER, "gus"), []),
    ],
)
def test_only_different_signers_who_may_sign_count(names: tuple[str, ...], expected: list[EventKind]) -> None:
    found = judged(PATCH, *names)
    assert kinds(found) == expected
    assert (found.ruleset is None) == (EventKind.QUORUM_SHORT in expected)


def test_what_added_nothing_is_named() -> None:
    bent = (signer("cem").signer_id, bytes(3373))
    good = signed(PATCH, "ana", STRANGER, "gus")
    found = judge_update(
        FIRST,
        SignedDocument(kind=good.kind, payload=good.payload, signatures=(*good.signatures, bent)),
        version_floor=0,
        at=AT,
    )
    assert kinds(found) == [EventKind.QUORUM_SHORT]
    for said in (signer(STRANGER).signer_id, "cem", "gus", "takes 2 of 5, and 1 signed"):
        assert said in why(found)
    assert found.signers == {"ana"}


def test_a_group_vetoes_by_not_signing() -> None:
    listed = after(FIRST, Act.LIST_MODELS, models=(model(), model("other", "2")))
    assert judged(listed, "ana", "bo", "dara").ruleset == listed
    for names in (("ana", "bo", "cem"), ("dara", "eli", "fay", "gus")):
        found = judged(listed, *names)
        assert (found.ruleset, kinds(found)) == (None, [EventKind.QUORUM_SHORT])
        assert "none of" in why(found)


def test_the_quorum_is_that_of_the_ruleset_in_force_and_not_of_the_new_one() -> None:
    weak = quorums(change_rules=Quorum(k=2, of=NAMES))
    seized = after(FIRST, Act.CHANGE_RULES, quorums=weak)
    assert kinds(judged(seized, "ana", "bo")) == [EventKind.QUORUM_SHORT]
    assert judged(seized, *NAMES[:6]).ruleset == seized


def test_new_signers_show_that_they_can_sign() -> None:
    new = after(
        FIRST,
        Act.CHANGE_RULES,
        signers=(*FIRST.signers, signer("hal")),
        quorums=quorums(change_rules=Quorum(k=7, of=(*NAMES, "hal"), from_each=(("hal",),))),
    )
    found = judged(new, *NAMES)
    assert (found.ruleset, kinds(found)) == (None, [EventKind.QUORUM_SHORT])
    assert "by the new signers" in why(found)
    assert judged(new, *NAMES[:6], "hal").ruleset == new


def test_the_order_of_signatures_means_nothing() -> None:
    document = signed(PATCH, "ana", "bo", "ana", STRANGER)
    turned = SignedDocument(kind=document.kind, payload=document.payload, signatures=document.signatures[::-1])
    assert judge_quorum(FIRST, Act.SECURITY_PATCH, document) == judge_quorum(FIRST, Act.SECURITY_PATCH, turned)


# --- acts -------------------------------------------------------------------------------------------------------------------


def limits(**given: float) -> Limits:
    return FIRST.limits.model_copy(update=given)


CHANGES: dict[str, tuple[dict[str, object], Act]] = {
    "another build": ({"builds": (BUILD,)}, Act.SECURITY_PATCH),
    "a model more": ({"models": (model(), model("other", "2"))}, Act.LIST_MODELS),
    "no model": ({"models": ()}, Act.LIST_MODELS),
    "a model that costs less": ({"models": (model(flop_per_token=1.0),)}, Act.LIST_MODELS),
    "a rule more": ({"rules": (rule(), rule("more"))}, Act.NEW_GUARANTEE),
    "a sunset": ({"rules": (rule(holds_until=VALID.end),)}, Act.CHANGE_RULES),
    "a tighter limit": ({"limits": limits(out_bytes_per_s_max=50.0)}, Act.NEW_GUARANTEE),
    "fewer at once": ({"limits": limits(concurrent_max=1)}, Act.NEW_GUARANTEE),
    "more samples": ({"sampled_share": 0.2}, Act.NEW_GUARANTEE),
    "fewer bits": ({"outlet": Outlet(report_every_s=3600.0, bits_per_day_max=4000.0)}, Act.NEW_GUARANTEE),
    "a licensed meter": ({"licensed_meters": (MeterKind.FLOP,)}, Act.NEW_GUARANTEE),
    "older licences void": ({"licence_sequence_min": 6}, Act.NEW_GUARANTEE),
    "sooner lost": ({"lost_after_s": 0.5}, Act.NEW_GUARANTEE),
    "sooner over": ({"valid": Period(start=VALID.start, end=AT + timedelta(days=9))}, Act.NEW_GUARANTEE),
    "a rule changed": ({"rules": (rule(must="request_bytes <= 4095"),)}, Act.CHANGE_RULES),
    "a rule gone": ({"rules": ()}, Act.CHANGE_RULES),
    "a looser limit": ({"limits": limits(burst_bytes_max=200_001.0)}, Act.CHANGE_RULES),
    "fewer samples": ({"sampled_share": 0.0}, Act.CHANGE_RULES),
    "more bits": ({"outlet": Outlet(report_every_s=3600.0, bits_per_day_max=5000.0)}, Act.CHANGE_RULES),
    "more reports": ({"outlet": Outlet(report_every_s=60.0, bits_per_day_max=4096.0)}, Act.CHANGE_RULES),
    "later lost": ({"lost_after_s": 2.0}, Act.CHANGE_RULES),
    "longer valid": ({"valid": Period(start=VALID.start, end=VALID.end + timedelta(days=1))}, Act.CHANGE_RULES),
    "earlier start": ({"valid": Period(start=VALID.start - timedelta(days=1), end=VALID.end)}, Act.CHANGE_RULES),
    "fewer signers for a patch": ({"quorums": quorums(security_patch=Quorum(k=1, of=NAMES))}, Act.CHANGE_RULES),
    "signers in another order": ({"signers": FIRST.signers[::-1]}, Act.CHANGE_RULES),
    "a rule more in the baseline": ({"baseline": (*BASELINE, rule("for-good"))}, Act.CHANGE_RULES),
    "two kinds at once": ({"builds": (BUILD,), "sampled_share": 0.2}, Act.CHANGE_RULES),
}


@pytest.mark.parametrize("what", CHANGES)
def test_the_act_must_cover_what_really_changes(what: str) -> None:
    """Signed by everybody, so that nothing but the act decides."""
    changed, needed = CHANGES[what]
    assert act_needed(differences(FIRST, after(FIRST, needed, **changed))) is needed
    assert judged(after(FIRST, needed, **changed), *NAMES).ruleset is not None
    lesser = Act.SECURITY_PATCH if needed is not Act.SECURITY_PATCH else Act.NEW_GUARANTEE
    found = judged(after(FIRST, lesser, **changed), *NAMES)
    assert (found.ruleset, kinds(found)) == (None, [EventKind.RULESET_REFUSED])
    assert f"takes {needed.value}" in why(found)


def test_only_a_change_of_the_rules_covers_more_than_itself() -> None:
    for act in Act:
        for needed in UPDATES:
            assert covers(act, needed) == (act is needed or act is Act.CHANGE_RULES)


def test_a_sunset_may_be_put_off_as_a_new_guarantee_and_brought_forward_only_as_a_change() -> None:
    setting = first(rules=(rule(holds_until=AT + timedelta(days=1)),))
    for until, needed in (
        (AT + timedelta(days=2), Act.NEW_GUARANTEE),
        (None, Act.NEW_GUARANTEE),
        (AT + timedelta(hours=1), Act.CHANGE_RULES),
    ):
        changed = (rule(holds_until=until),)
        lesser = judged(after(setting, Act.NEW_GUARANTEE, rules=changed), *NAMES, current=setting)
        assert (lesser.ruleset is not None) == (needed is Act.NEW_GUARANTEE)
        assert judged(after(setting, Act.CHANGE_RULES, rules=changed), *NAMES, current=setting).ruleset is not None


def test_license_and_resume_make_no_ruleset() -> None:
    for act in (Act.LICENSE, Act.RESUME):
        with pytest.raises(ValidationError, match="makes no ruleset"):
            after(FIRST, act, builds=(BUILD,))


# --- the baseline -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"baseline": BASELINE[:1]}, "narrow-outlet is gone"),
        ({"baseline": ()}, "listed-only is gone"),
        ({"baseline": (BASELINE[0].model_copy(update={"must": "true"}), BASELINE[1])}, "listed-only is changed"),
        ({"baseline": (BASELINE[0].model_copy(update={"holds_until": AT}), BASELINE[1])}, "listed-only is changed"),
        ({"baseline": BASELINE[1:], "rules": (rule(), BASELINE[0])}, "listed-only is gone"),
        ({"baseline": BASELINE[::-1]}, "another order"),
        ({"licence_sequence_min": 4}, "5 becomes 4"),
        ({"builds": ()}, "none is left"),
    ],
)
def test_some_things_are_impossible_whoever_signs(changed: dict[str, object], said: str) -> None:
    found = judged(after(FIRST, Act.CHANGE_RULES, **changed), *NAMES)
    assert found.ruleset is None
    assert set(kinds(found)) == {EventKind.RULESET_REFUSED}
    assert said in why(found)


@pytest.mark.parametrize(
    "changed",
    [
        {"outlet": Outlet(report_every_s=3600.0, bits_per_day_max=1e9)},
        {"quorums": quorums(change_rules=Quorum(k=1, of=NAMES))},
    ],
)
def test_the_baseline_binds_what_later_rulesets_say(changed: dict[str, object]) -> None:
    found = judged(after(FIRST, Act.CHANGE_RULES, **changed), *NAMES)
    assert (found.ruleset, kinds(found)) == (None, [EventKind.RULESET_REFUSED])
    assert "narrow-outlet" in why(found)


def test_a_rule_about_updates_outside_the_baseline_cannot_lock_out_a_change_of_the_rules() -> None:
    """Else those who may add a guarantee could freeze everything for good."""
    frozen = first(rules=(rule("frozen", at=Point.UPDATE, must="false", reads=()),))
    assert judged(after(frozen, Act.SECURITY_PATCH, builds=(BUILD,)), *NAMES, current=frozen).ruleset is None
    thawed = after(frozen, Act.CHANGE_RULES, rules=())
    assert judged(thawed, *NAMES, current=frozen).ruleset == thawed


def test_a_baseline_that_forbids_every_update_is_obeyed() -> None:
    frozen = first(baseline=(rule("frozen", at=Point.UPDATE, must="false", reads=()),))
    found = judged(after(frozen, Act.CHANGE_RULES, builds=(BUILD,)), *NAMES, current=frozen)
    assert "frozen" in why(found)


def test_a_new_rule_that_cannot_be_asked_is_refused() -> None:
    found = judged(after(FIRST, Act.NEW_GUARANTEE, rules=(rule(), rule("more", must="listed"))), *NAMES)
    assert found.ruleset is None
    assert "rule more: reads 'listed', which is not declared, at character 1" in why(found)


# --- chains -------------------------------------------------------------------------------------------------------------------

SECOND = after(FIRST, Act.SECURITY_PATCH, builds=(BUILD,))
THIRD = after(SECOND, Act.NEW_GUARANTEE, sampled_share=0.5)
CHAIN = (signed(FIRST), signed(SECOND, "ana", "bo"), signed(THIRD, *NAMES[:4]))


def test_a_chain_is_accepted_link_by_link() -> None:
    assert verify_chain(FIRST.digest, CHAIN, at=AT) == (FIRST, SECOND, THIRD)
    assert verify_chain(FIRST.digest, CHAIN, times=[AT] * 3, version_floor=3) == (FIRST, SECOND, THIRD)


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        ((), "is empty"),
        (CHAIN[1:], "link 1"),
        ((CHAIN[0], CHAIN[2]), "link 2"),
        ((CHAIN[0], CHAIN[1], CHAIN[1]), "link 3"),
        ((CHAIN[0], CHAIN[1], signed(THIRD, *NAMES[:3])), "takes 4 of 7, and 3 signed"),
    ],
)
def test_a_chain_with_a_fault_names_the_link(documents: tuple[SignedDocument, ...], said: str) -> None:
    with pytest.raises(EvidenceError, match=said):
        verify_chain(FIRST.digest, documents, at=AT)


def test_a_chain_that_ends_too_early_or_is_over_is_refused() -> None:
    with pytest.raises(EvidenceError, match="4 was in force"):
        verify_chain(FIRST.digest, CHAIN, version_floor=4)
    with pytest.raises(EvidenceError, match="ended"):
        verify_chain(FIRST.digest, CHAIN, at=VALID.end)
    with pytest.raises(EvidenceError, match="2 times"):
        verify_chain(FIRST.digest, CHAIN, times=[AT] * 2)
