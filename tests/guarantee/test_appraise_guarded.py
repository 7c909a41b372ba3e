"""What is said of guarded pods: every attack of the catalogue, terms that are not met, and evidence that is not there."""

from __future__ import annotations

from dataclasses import replace

import pytest
from guard_site_evidence import (
    GUARDED,
    GUILTY,
    LICENSED,
    OUTLET,
    PODS,
    agreement,
    appraised,
    case,
    declaration,
    evidence,
    told,
    without,
)

from inspectorate.assessment import Verdict
from inspectorate.evidence import ChallengeIssued, GuardReported, RulesetInForce, VerifiedStatement
from inspectorate.mechanisms.guarantee.appraise import GUARANTEE
from inspectorate.worlds import guard_rules
from inspectorate.worlds.guard_cheats import GUARD_CHEATS, GuardAttack, GuardCheatKind

ALARM = 13.0
"""exp(13) is above pods x clauses / rate of the shipped agreement: 6 x 6 / 0.001."""


def test_the_shipped_baseline_and_program_are_those_of_simulated_sites() -> None:
    terms = next(one.parameters for one in agreement().clauses if one.id == GUARDED)
    assert terms.baseline == guard_rules.baseline().digest
    assert terms.measurements == (guard_rules.BUILD,)


@pytest.mark.parametrize("name", [GUARDED, LICENSED, OUTLET])
def test_honest_pods_are_consistent_and_pods_without_a_processor_are_not_observed(name: str) -> None:
    found = appraised(name, evidence())
    assert set(found) == {pod.id for pod in declaration().pods}
    for pod, one in found.items():
        assert one.verdict is (Verdict.CONSISTENT if pod in PODS else Verdict.NOT_OBSERVED), one.reasons
        assert (one.log_e or 0.0) <= 0.0


@pytest.mark.parametrize("attack", GUARD_CHEATS.values(), ids=lambda one: one.name)
def test_every_attack_is_named_and_weighed_as_it_is_catalogued(attack: GuardAttack) -> None:
    found = appraised(attack.clause, evidence(attack))
    about = found[GUILTY]
    assert any(attack.words in text for text in told(about)), told(about)
    if attack.kind is GuardCheatKind.SUBVERTED:
        assert about.verdict is Verdict.INCONCLUSIVE, "the alarm is for findings to raise"
        assert about.log_e > ALARM
        from_the_start = attack.clause == OUTLET or attack.name == "guard-other-build"
        assert (about.scope.period.start > declaration().period.start) is not from_the_start
    else:
        assert about.verdict is attack.verdict, about.reasons
        assert (about.log_e or 0.0) <= 0.0
    for pod in PODS[1:]:
        assert found[pod].verdict is Verdict.CONSISTENT
        assert found[pod].log_e <= 0.0


@pytest.mark.parametrize(
    ("changes", "words", "accused"),
    [
        ({"ruleset_version_min": 3}, "below the agreed 3", True),
        ({"measurements": ("sha256:" + "1" * 64,)}, "is not one that was agreed", True),
        ({"baseline": "sha256:" + "2" * 64}, "was not reached from the baseline", True),
        ({"challenged_every_s": 60.0}, "no challenge was answered for longer than 60 s", False),
    ],
)
def test_terms_that_are_not_met_are_named(changes: dict[str, object], words: str, accused: bool) -> None:
    one = appraised(GUARDED, evidence(), **changes)[GUILTY]
    assert one.verdict is Verdict.INCONCLUSIVE
    assert any(words in reason for reason in one.reasons), one.reasons
    assert (one.log_e > ALARM) is accused


def test_reports_further_apart_than_agreed_are_gaps() -> None:
    one = appraised(GUARDED, evidence(), attested_every_s=20.0)[GUILTY]
    # A report of 30 s reaches back 20 s; the 10 s between are let pass.
    assert one.verdict is Verdict.CONSISTENT
    one = appraised(GUARDED, evidence(), attested_every_s=14.0)[GUILTY]
    assert one.verdict is Verdict.NOT_OBSERVED


def test_without_the_reviewers_platforms_no_quote_is_believed() -> None:
    bare = replace(case(GUARDED, evidence()), platforms=(), shared={})
    one = next(a for a in GUARANTEE.appraise(bare) if a.scope.pods == (GUILTY,))
    assert one.verdict is Verdict.INVALID_EVIDENCE
    assert any("the verifier has no root" in reason for reason in one.reasons)


def test_without_rulesets_nothing_is_established_and_nobody_accused() -> None:
    less = without(evidence(), lambda one: isinstance(one.predicate, RulesetInForce))
    one = appraised(GUARDED, less)[GUILTY]
    assert one.verdict is Verdict.INCONCLUSIVE
    assert any("the ruleset in force is not in the evidence" in reason for reason in one.reasons)
    assert one.log_e <= 0.0
    assert appraised(LICENSED, less)[GUILTY].hidden == ()


def test_without_challenges_freshness_is_not_established() -> None:
    less = without(evidence(), lambda one: isinstance(one.predicate, ChallengeIssued))
    one = appraised(GUARDED, less)[GUILTY]
    assert one.verdict is Verdict.INCONCLUSIVE
    assert any("none was asked" in reason for reason in one.reasons)
    assert appraised(GUARDED, less, challenged_every_s=None)[GUILTY].verdict is Verdict.CONSISTENT


def test_a_cut_end_is_not_observed() -> None:
    late = declaration().period.end

    def last_minutes(statement: VerifiedStatement) -> bool:
        said = statement.predicate
        return isinstance(said, GuardReported) and (late - said.period.end).total_seconds() < 120

    for name in (GUARDED, LICENSED, OUTLET):
        one = appraised(name, without(evidence(), last_minutes))[GUILTY]
        assert one.verdict is Verdict.NOT_OBSERVED
        assert f"{late:%H:%M:%S}" in " ".join(one.reasons)


def test_a_repeated_statement_is_invalid() -> None:
    seen = evidence()
    first = next(one for one in seen.reports if isinstance(one.predicate, GuardReported))
    one = appraised(GUARDED, replace(seen, reports=(*seen.reports, first)))[GUILTY]
    assert one.verdict is Verdict.INVALID_EVIDENCE
    assert any("stated more than once" in reason for reason in one.reasons)


def test_the_outlet_of_a_wider_ruleset_than_agreed_is_a_breach() -> None:
    one = appraised(OUTLET, evidence(), bits_per_day_max=500_000.0)[GUILTY]
    assert one.log_e > ALARM
    assert any("bits a day may leave, and 500,000 are agreed" in reason for reason in one.reasons)
