"""What is said of chips, places and access: attacks of the catalogue, terms that are not met, evidence that is not there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
from custody_evidence import (
    account,
    agreement,
    anchors,
    appraised,
    declaration,
    evidence,
    evidence_under,
    findings,
    told,
    without,
)

from inspectorate.account import Account
from inspectorate.assessment import Assessment, Verdict
from inspectorate.evidence import Evidence, VerifiedStatement
from inspectorate.evidence.custody import (
    AccessLogged,
    CameraWatched,
    ChipsAcquired,
    ChipsMoved,
    ChipsReported,
    CountDrawn,
    CountHeld,
    DestructionCertified,
    RegisterHanded,
    RoundTripsMeasured,
    SealApplied,
    SealChecked,
    TransferDecided,
    TransferNotified,
)
from inspectorate.evidence.heard import InspectionRequested
from inspectorate.evidence.inspected import RandomnessPromised
from inspectorate.keys import Holder, TrustAnchor
from inspectorate.worlds import custody
from inspectorate.worlds.custody_cheats import CUSTODY_CHEATS, CustodyAttack
from inspectorate.worlds.custody_script import CustodyCheat, Script

CLUSTER, SPLITTING, REGISTER, COUNTED = "covered-cluster", "no-splitting", "chip-register", "counted-chips"
SEALED, WATCHED, LOCATED, ACCESS = "sealed-places", "watched-places", "located-chips", "challenge-inspections"
ALL = (CLUSTER, SPLITTING, REGISTER, COUNTED, SEALED, WATCHED, LOCATED, ACCESS)
KINDS = {
    RegisterHanded: {CLUSTER, SPLITTING, REGISTER, COUNTED, SEALED, WATCHED},
    ChipsAcquired: {REGISTER},
    ChipsReported: {REGISTER},
    TransferNotified: {REGISTER},
    TransferDecided: {REGISTER},
    ChipsMoved: {REGISTER},
    DestructionCertified: {REGISTER},
    RandomnessPromised: {COUNTED},
    CountDrawn: {COUNTED},
    CountHeld: {COUNTED},
    SealApplied: {SEALED},
    SealChecked: {SEALED},
    CameraWatched: {WATCHED},
    RoundTripsMeasured: {LOCATED},
    InspectionRequested: {ACCESS},
    AccessLogged: {ACCESS},
}
"""What is no longer consistent without any statement of a kind."""


@cache
def honest() -> dict[str, Assessment]:
    return appraised(evidence())


@cache
def honest_account() -> Account:
    return account(honest())


def verdicts(found: dict[str, Assessment]) -> dict[str, Verdict]:
    return {name: one.verdict for name, one in found.items()}


def test_an_honest_site_is_consistent() -> None:
    found = honest()
    assert verdicts(found) == dict.fromkeys(ALL, Verdict.CONSISTENT)
    ids = {statement.digest for statement in evidence().reports}
    for one in found.values():
        assert one.scope.pods == tuple(sorted(pod.id for pod in declaration().pods))
        assert set(one.evidence_ids) <= ids
        assert one.log_e is None or one.log_e <= 0
        assert (one.hidden, one.joining) == ((), ())


def test_only_counts_bound_what_is_elsewhere() -> None:
    whole = declaration().period
    for name, one in honest().items():
        assert bool(one.outside) is (name == COUNTED)
    base, *bounds = honest()[COUNTED].outside
    assert (base.share_max, base.miss_probability, base.scope.period) == (1, 0, whole)
    assert base.scope.pods == tuple(sorted(pod.id for pod in declaration().pods))
    assert {row.statement for row in bounds} == {"counted-chips.counts"}
    assert any(row.scope.period == whole for row in bounds)


def test_counts_make_the_largest_hidden_run_smaller() -> None:
    """Other mechanisms leave a twentieth of every pod; chips that may be elsewhere come on top, all of them without a count."""
    counted = honest_account()
    uncounted = account(appraised(without(evidence(), lambda one: isinstance(one.predicate, CountHeld))))
    assert uncounted.hidden_flop_max == pytest.approx(uncounted.capacity_flop)
    print(f"the largest hidden run with counts: {counted.hidden_flop_max / counted.capacity_flop:.0%} of the capacity")
    assert counted.hidden_flop_max < 0.25 * counted.capacity_flop
    worst = max(row.share_max for row in honest()[COUNTED].outside[1:])
    assert counted.hidden_flop_max <= (0.05 + worst) * counted.capacity_flop * (1 + 1e-9)
    # One interval that holds the whole period is bounded, too, across counts.
    assert account(honest(), interval_s=3600.0).hidden_flop_max < 0.25 * counted.capacity_flop


OF_EACH = {(one.clause, one.verdict): one for one in CUSTODY_CHEATS.values()}
"""One attack for each clause and verdict; `python -m bench custody_rates` has all of them."""


@pytest.mark.parametrize("attack", OF_EACH.values(), ids=lambda one: one.name)
def test_every_attack_is_named_as_it_is_catalogued(attack: CustodyAttack) -> None:
    found = appraised(evidence(attack), only=attack.clause)
    about = findings(found)[attack.clause]
    assert about.verdict is attack.verdict, about.reasons
    assert any(attack.words in text for text in told(found[attack.clause])), told(found[attack.clause])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_without_any_kind_of_statement_something_is_missing_and_nothing_is_smaller(kind: type) -> None:
    less = without(evidence(), lambda one: isinstance(one.predicate, kind))
    assert len(less.reports) < len(evidence().reports)
    found = appraised(less)
    changed = {name for name, one in found.items() if one.verdict is not Verdict.CONSISTENT}
    assert changed == KINDS[kind]
    assert all(one.log_e is None or one.log_e <= 0 for one in found.values())
    assert account(found).hidden_flop_max >= honest_account().hidden_flop_max * (1 - 1e-9)


def _single() -> list[VerifiedStatement]:
    """Every statement but further ones of the same kind and speaker that follow it closely: cameras and seals are many."""
    kept: list[VerifiedStatement] = []
    for kind in KINDS:
        mine = [one for one in evidence().reports if isinstance(one.predicate, kind)]
        kept += mine if kind not in (SealApplied, SealChecked, CameraWatched) else mine[:: max(1, len(mine) // 2)]
    return kept


def test_no_single_statement_that_is_left_out_lowers_the_largest_hidden_run_or_mends_anything() -> None:
    for gone in _single():
        less = replace(evidence(), reports=tuple(one for one in evidence().reports if one is not gone))
        # What hangs from other kinds, the test above looks at.
        found = honest() | {name: appraised(less, only=name)[name] for name in KINDS[type(gone.predicate)]}
        if found[COUNTED] is not honest()[COUNTED]:
            assert account(found).hidden_flop_max >= honest_account().hidden_flop_max * (1 - 1e-9), gone.predicate
        assert all(one.log_e is None or one.log_e <= 0 for one in found.values()), gone.predicate


@pytest.mark.parametrize("name", ["chips-missing"])
def test_less_evidence_of_other_kinds_does_not_mend_a_cheat(name: str) -> None:
    attack = CUSTODY_CHEATS[name]
    seen = evidence(attack)
    for kind in KINDS:
        if attack.clause in KINDS[kind]:
            continue
        found = appraised(without(seen, lambda one, kind=kind: isinstance(one.predicate, kind)), only=attack.clause)
        assert findings(found)[attack.clause].verdict is not Verdict.CONSISTENT


@pytest.mark.parametrize("holder", list(Holder))
def test_inspectors_whose_key_the_prover_holds_do_not_count(holder: Holder) -> None:
    names = tuple(custody.named(one) for one in custody.INSPECTORS)

    def held_by(anchor: TrustAnchor) -> TrustAnchor:
        return anchor.model_copy(update={"holder": holder}) if anchor.name in names else anchor

    trusted = anchors().model_copy(update={"anchors": tuple(held_by(one) for one in anchors().anchors)})
    found = appraised(evidence_under(trusted))
    own = holder is Holder.PROVER
    for name in (COUNTED, SEALED, LOCATED, ACCESS):
        assert (found[name].verdict is Verdict.NOT_OBSERVED) is own
        assert any("its key is held by the prover" in text for text in told(found[name])) is own
    assert (found[REGISTER].verdict is Verdict.CONSISTENT) is not own


def test_statements_that_come_twice_count_once_and_their_order_says_nothing() -> None:
    seen = evidence()
    assert appraised(replace(seen, reports=(*seen.reports, *reversed(seen.reports)))) == honest()
    assert appraised(replace(seen, reports=tuple(reversed(seen.reports)))) == honest()


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"", lambda data: data[::-1], None])
def test_payloads_that_are_not_what_was_signed_for_are_never_fine(damage: Callable[[bytes], bytes] | None) -> None:
    """Registers, lists, randomness, checklists, watches and round trips: cut, emptied, turned round, or not there."""
    seen = evidence()

    def payload(digest: str) -> bytes:
        if damage is None:
            raise KeyError(digest)
        return damage(seen.payload(digest))

    found = appraised(replace(seen, payload=payload))
    for name in (CLUSTER, SPLITTING, REGISTER, COUNTED, WATCHED, LOCATED):
        assert found[name].verdict in (Verdict.INVALID_EVIDENCE, Verdict.NOT_OBSERVED), found[name].reasons
        assert found[name].log_e is None or found[name].log_e <= 0
    assert account(found).hidden_flop_max == pytest.approx(account(found).capacity_flop)


@pytest.mark.parametrize(
    ("name", "changes", "verdict", "words"),
    [
        (CLUSTER, {"h100_equivalents_max": 1.0}, Verdict.CONSISTENT, "0 of 2 clusters are covered"),
        (CLUSTER, {"memory_bytes_max": 1e9}, Verdict.CONSISTENT, "2 of 2 clusters are covered"),
        (CLUSTER, {"memory_bytes_max": 1e9, "h100_equivalents_max": 1.0}, Verdict.INCONCLUSIVE, "memory is not known"),
        (REGISTER, {"updated_every_s": 200.0}, Verdict.NOT_OBSERVED, "update-late"),
        (REGISTER, {"transfer_notice_s": 150.0}, Verdict.INCONCLUSIVE, "notice-short"),
        (REGISTER, {"approvals_min": 3}, Verdict.INCONCLUSIVE, "left-unapproved"),
        (REGISTER, {"under_way_s_max": 60.0}, Verdict.INCONCLUSIVE, "arrived-late"),
        (COUNTED, {"counted_every_s": 200.0}, Verdict.NOT_OBSERVED, "at most 200 s apart"),
        (COUNTED, {"answer_within_s": 20.0}, Verdict.INVALID_EVIDENCE, "answer-too-late"),
        (COUNTED, {"answer_within_s": 40.0}, Verdict.INVALID_EVIDENCE, "answer-too-soon"),
        (COUNTED, {"missing_share_max": 0.01}, Verdict.INCONCLUSIVE, "where 0.01 is agreed"),
        (SEALED, {"checked_every_s": 200.0}, Verdict.NOT_OBSERVED, "were not under seal all the time"),
        (LOCATED, {"radius_m_max": 50e3}, Verdict.INCONCLUSIVE, "not shown within 50 km"),
        (LOCATED, {"located_every_s": 200.0}, Verdict.NOT_OBSERVED, "nobody asked it for longer than 200 s"),
        (ACCESS, {"access_within_s": 20.0}, Verdict.CONSISTENT, "granted in time: 1 of 1"),
        (ACCESS, {"per_party_per_year_max": 0}, Verdict.CONSISTENT, "granted in time: 1 of 1"),
    ],
)  # fmt: skip
def test_terms_that_are_not_met(name: str, changes: dict[str, object], verdict: Verdict, words: str) -> None:
    one = appraised(evidence(), only=name, **{name.replace("-", "_"): changes})[name]
    assert one.verdict is verdict, one.reasons
    assert any(words in text for text in told(one)), told(one)


class _Unsealed(CustodyCheat):
    """One rack's seal is never checked."""

    def amend(self, script: Script) -> None:
        script.seals[1].checks = []


@pytest.mark.parametrize("by", ["seals", "cameras"])
def test_held_racks_let_one_count_speak_for_the_time_around_it(by: str) -> None:
    """By seals or cameras the bound is that of one count; by assumption it is the sum of two."""
    held = appraised(evidence(), only=COUNTED, counted_chips={"held_between": by})[COUNTED]
    assert held.verdict is Verdict.CONSISTENT
    by_counts = [row.share_max for row in honest()[COUNTED].outside[1:]]
    by_racks = [row.share_max for row in held.outside[1:]]
    assert by_racks
    assert min(by_racks) < min(by_counts)
    share = account({COUNTED: held}).hidden_flop_max / honest_account().capacity_flop
    print(f"the largest hidden run with {by} between counts: {share:.0%} of the capacity")
    assert share < honest_account().hidden_flop_max / honest_account().capacity_flop


def test_one_rack_that_is_not_held_is_enough_to_lose_the_time_around_it() -> None:
    """The drawn racks were all held; but from any other chips could have left."""
    whole = appraised(evidence(), only=COUNTED, counted_chips={"held_between": "seals"})
    less = appraised(evidence(_Unsealed()), only=COUNTED, counted_chips={"held_between": "seals"})
    assert account(less).hidden_flop_max > account(whole).hidden_flop_max * 1.05
    seals = ("sealed-places",)
    without_clause = agreement().model_copy(
        update={"clauses": tuple(one for one in agreement().clauses if one.id not in seals)}
    )
    nothing = appraised(evidence(), only=COUNTED, terms=without_clause, counted_chips={"held_between": "seals"})
    assert [row.share_max for row in nothing[COUNTED].outside] == [1]


@pytest.mark.parametrize("seed", range(4))
def test_honest_sites_raise_no_alarm(seed: int) -> None:
    found = appraised(evidence(None, seed), seed, only=COUNTED)
    assert found[COUNTED].verdict is Verdict.CONSISTENT, found[COUNTED].reasons
    assert found[COUNTED].log_e is not None
    assert found[COUNTED].log_e < 0


def test_an_empty_case_is_not_observed() -> None:
    def nothing(digest: str) -> bytes:
        raise AssertionError(digest)

    bare = Evidence(streams={}, custody=(), problems=(), payload=nothing, simulated=False)
    for one in appraised(bare).values():
        assert one.verdict is Verdict.NOT_OBSERVED
        assert one.log_e is None
        assert not one.evidence_ids
