"""What is said of human sources: every attack of the catalogue, terms that are not met, and evidence that is not there."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from heard_site_evidence import (
    CHANNELS,
    OFFICES,
    SEED,
    STAFF,
    anchors,
    appraised,
    case,
    declaration,
    evidence,
    evidence_under,
    told,
    verified,
    without,
)

from inspectorate.assessment import Assessment, Verdict
from inspectorate.canonical import digest_of
from inspectorate.declaration import ReporterKind
from inspectorate.evidence import (
    AnswersChecked,
    IntakeCollected,
    IntervieweesDrawn,
    InterviewsHeld,
    LeadClosed,
    LeadRaised,
    RandomnessPromised,
    RosterCommitted,
    RosterOpened,
    VerifiedStatement,
    VisitsHeld,
    sign_statement,
)
from inspectorate.keys import Holder, TrustAnchor
from inspectorate.mechanisms.interviews.appraise import INTERVIEWS
from inspectorate.mechanisms.interviews.forms.shipped import SHIPPED, shipped_form
from inspectorate.mechanisms.whistleblowing.appraise import WHISTLEBLOWING
from inspectorate.worlds import heard
from inspectorate.worlds.heard_attacks import LEAD
from inspectorate.worlds.heard_cheats import HEARD_CHEATS, HeardAttack
from inspectorate.worlds.heard_rounds import FORM

SPOKEN = (
    IntakeCollected, VisitsHeld, LeadRaised, LeadClosed, RandomnessPromised, RosterCommitted, IntervieweesDrawn, RosterOpened,
    InterviewsHeld, AnswersChecked,
)  # fmt: skip
LESS = {
    IntakeCollected: {CHANNELS: Verdict.NOT_OBSERVED},
    VisitsHeld: {CHANNELS: Verdict.NOT_OBSERVED},
    LeadRaised: {CHANNELS: Verdict.INCONCLUSIVE, STAFF: Verdict.INCONCLUSIVE},
    LeadClosed: {CHANNELS: Verdict.INCONCLUSIVE},
    RandomnessPromised: {STAFF: Verdict.INVALID_EVIDENCE},
    RosterCommitted: {CHANNELS: Verdict.INVALID_EVIDENCE, STAFF: Verdict.NOT_OBSERVED},
    IntervieweesDrawn: {STAFF: Verdict.NOT_OBSERVED},
    RosterOpened: {STAFF: Verdict.NOT_OBSERVED},
    InterviewsHeld: {STAFF: Verdict.NOT_OBSERVED},
    AnswersChecked: {STAFF: Verdict.INCONCLUSIVE},
}
"""What each clause comes to without any statement of a kind, where it is no longer consistent."""


def both(**changes: object) -> dict[str, Assessment]:
    return {name: appraised(name, evidence(), **changes) for name in (CHANNELS, STAFF)}


def test_the_shipped_agreement_names_the_shipped_forms() -> None:
    assert case(STAFF, evidence()).clause.parameters.forms == tuple(shipped_form(name).digest for name in SHIPPED)
    assert shipped_form("operations").digest == FORM


@pytest.mark.parametrize("name", [CHANNELS, STAFF])
def test_an_honest_site_is_consistent(name: str) -> None:
    one = appraised(name, evidence())
    assert one.verdict is Verdict.CONSISTENT, one.reasons
    assert one.scope.pods == tuple(sorted(pod.id for pod in declaration().pods))
    assert set(one.evidence_ids) <= {statement.digest for statement in evidence().reports}
    assert [lead.id for lead in one.leads] == ([heard.HONEST_LEAD] if name == CHANNELS else [])


def test_what_an_honest_site_says_is_counted_out() -> None:
    found = {name: one.reasons for name, one in both().items()}
    assert found[CHANNELS] == (
        "11 batches of intake-1 were collected in full, each by at least 2 offices",
        "visits for which everybody on the roster was due: 3",
        "leads that enough offices raised, and closed: 1",
    )
    assert "rounds of interviews: 3, in which 86 were heard" in found[STAFF][0]
    # One of research refuses: P(X > 1) of 13 drawn of 18, with 4 who know.
    ways = [math.comb(4, knows) * math.comb(14, 13 - knows) for knows in range(5)]
    assert f"a chance of at least {sum(ways[2:]) / sum(ways):.3g}" in found[STAFF][0]


@pytest.mark.parametrize("attack", HEARD_CHEATS.values(), ids=lambda one: one.name)
def test_every_attack_is_named_as_it_is_catalogued(attack: HeardAttack) -> None:
    seen = evidence(attack)
    about = appraised(attack.clause, seen)
    assert about.verdict is attack.verdict, about.reasons
    assert any(attack.words in text for text in told(about)), told(about)
    assert (LEAD in {lead.id for lead in about.leads}) is (attack.standing is not None)
    for name in (CHANNELS, STAFF):
        one = appraised(name, seen)
        assert (one.log_e, one.hidden, one.joining) == (None, (), ())
        assert one.verdict is not Verdict.INCONSISTENT


def test_an_attack_on_one_clause_leaves_the_other() -> None:
    """But for rosters, by which people are due for visits, and for leads that were kept back, which may be of either kind."""
    touched = {
        attack.name
        for attack in HEARD_CHEATS.values()
        if appraised(STAFF if attack.clause == CHANNELS else CHANNELS, evidence(attack)).verdict
        is not Verdict.CONSISTENT
    }
    assert touched == {"lead-kept-back", "roster-name-dropped"}


@pytest.mark.parametrize("kind", SPOKEN, ids=lambda kind: kind.__name__)
def test_without_any_kind_of_statement_something_is_missing(kind: type) -> None:
    less = without(evidence(), lambda one: isinstance(one.predicate, kind))
    assert len(less.reports) < len(evidence().reports)
    found = {name: appraised(name, less).verdict for name in (CHANNELS, STAFF)}
    expected = {CHANNELS: Verdict.CONSISTENT, STAFF: Verdict.CONSISTENT} | LESS[kind]
    assert found == expected


@pytest.mark.parametrize(
    "kind", [RosterCommitted, RandomnessPromised, IntervieweesDrawn, RosterOpened, InterviewsHeld, AnswersChecked]
)
def test_any_one_statement_of_a_round_that_is_left_out_leaves_a_gap(kind: type) -> None:
    """The other rounds would do; but what hangs from the one that is gone says that there was more."""
    whole = evidence()
    for gone in (one for one in whole.reports if isinstance(one.predicate, kind)):
        less = replace(whole, reports=tuple(one for one in whole.reports if one is not gone))
        assert appraised(STAFF, less).verdict is not Verdict.CONSISTENT


def _resigned(one: VerifiedStatement, key: str, **changes: object) -> VerifiedStatement:
    """The statement with other words, signed by the key of that name."""
    statement = one.statement.model_copy(update={"predicate": one.predicate.model_copy(update=changes)})
    return verified([sign_statement(statement, heard.key_of(SEED, key))])[0]


def test_a_small_roster_made_for_the_visits_excuses_nobody() -> None:
    whole = evidence()
    visit = next(one for one in whole.reports if isinstance(one.predicate, VisitsHeld))
    assert isinstance(visit.predicate, VisitsHeld)
    roster = next(one for one in whole.reports if one.digest == visit.predicate.roster)
    small = _resigned(roster, heard.ROSTER, roster="roster-small", strata={"research": 3})
    visited = _resigned(visit, heard.OFFICES[0], roster=small.digest, due=3, came=3, excused=0)
    reports = (*(one for one in whole.reports if one is not visit), small, visited)
    found = appraised(CHANNELS, replace(whole, reports=reports))
    assert found.verdict is not Verdict.CONSISTENT
    assert any("3 were due by roster roster-small, and 4" in text for text in told(found)), told(found)


def test_all_keepers_of_rosters_that_are_declared_are_visited() -> None:
    about = case(CHANNELS, evidence(), visited_every_s=declaration().period.duration_s / 2)
    (before,) = WHISTLEBLOWING.appraise(about)
    assert before.verdict is Verdict.CONSISTENT, before.reasons
    (site,) = about.declaration.sites
    second = next(one for one in site.reporters if one.kind is ReporterKind.ROSTER).model_copy(
        update={"id": "roster-2"}
    )
    more = about.declaration.model_copy(
        update={"sites": (site.model_copy(update={"reporters": (*site.reporters, second)}),)}
    )
    (found,) = WHISTLEBLOWING.appraise(replace(about, declaration=more))
    assert found.verdict is Verdict.NOT_OBSERVED
    assert any("no visits of whom roster-2 lists" in text for text in told(found)), told(found)


def _spoken_by_offices(one: VerifiedStatement) -> bool:
    return getattr(one.predicate, "by", None) in OFFICES


@pytest.mark.parametrize("holder", [Holder.PROVER, Holder.JOINT, Holder.VERIFIER])
def test_offices_whose_key_the_prover_holds_do_not_count(holder: Holder) -> None:
    def held_by(anchor: TrustAnchor) -> TrustAnchor:
        return anchor.model_copy(update={"holder": holder}) if anchor.name in OFFICES[1:] else anchor

    trusted = anchors().model_copy(update={"anchors": tuple(held_by(one) for one in anchors().anchors)})
    found = appraised(CHANNELS, evidence_under(trusted))
    assert found.verdict is (Verdict.NOT_OBSERVED if holder is Holder.PROVER else Verdict.CONSISTENT)
    assert any("its key is held by the prover" in text for text in told(found)) is (holder is Holder.PROVER)


def test_an_interviewer_who_also_speaks_for_the_roster_does_not_count() -> None:
    name = heard.named(heard.INTERVIEWER)

    def also(anchor: TrustAnchor) -> TrustAnchor:
        if anchor.name != name:
            return anchor
        return anchor.model_copy(update={"roles": (*anchor.roles, "sensor"), "sensors": (heard.ROSTER,)})

    trusted = anchors().model_copy(update={"anchors": tuple(also(one) for one in anchors().anchors)})
    found = appraised(STAFF, evidence_under(trusted))
    assert found.verdict is Verdict.NOT_OBSERVED
    assert any("its key also speaks for roster" in text for text in found.not_checked)


@pytest.mark.parametrize(
    ("name", "changes", "verdict", "words"),
    [
        (CHANNELS, {"offices_min": 3}, Verdict.CONSISTENT, "by at least 3 offices"),
        (CHANNELS, {"offices_min": 4}, Verdict.NOT_OBSERVED, "collected by 3 of the 4"),
        (CHANNELS, {"collected_every_s": 30.0}, Verdict.NOT_OBSERVED, "lasts 60 s, where 30 s are agreed"),
        (CHANNELS, {"collected_every_s": 4.0}, Verdict.NOT_OBSERVED, "no batch that counts for longer than 4 s"),
        (CHANNELS, {"visited_every_s": 30.0}, Verdict.NOT_OBSERVED, "no visits for longer than 30 s"),
        (CHANNELS, {"visited_every_s": None}, Verdict.CONSISTENT, "were collected in full"),
        (CHANNELS, {"answered_within_s": 50.0}, Verdict.INCONCLUSIVE, "closed late: after 60 s"),
        (STAFF, {"held_every_s": 200.0}, Verdict.NOT_OBSERVED, "for longer than 200 s"),
        (STAFF, {"forms": (digest_of(b"another"),)}, Verdict.NOT_OBSERVED, "form-other"),
        (STAFF, {"unheard_share_max": 0.05}, Verdict.INCONCLUSIVE, "where a share of 0.05 is agreed"),
        (STAFF, {"answer_within_s": 31.0}, Verdict.INVALID_EVIDENCE, "answer-too-soon"),
    ],
)  # fmt: skip
def test_terms_that_are_not_met(name: str, changes: dict[str, object], verdict: Verdict, words: str) -> None:
    one = appraised(name, evidence(), **changes)
    if changes == {"offices_min": 3}:
        # Two offices alone raised and closed the lead: three would have had to, for it to be shown.
        assert not one.leads
    elif name == STAFF and words == "form-other":
        assert one.verdict is verdict
        return
    assert one.verdict is verdict, one.reasons
    assert any(words in text for text in told(one)), told(one)


@pytest.mark.parametrize(
    ("knowing", "reach", "kept"), [(4, 0.95, True), (4, 0.96, False), (2, 0.9, False), (18, 0.999, True)]
)
def test_the_reach_of_a_stratum_decides(knowing: int, reach: float, kept: bool) -> None:
    """Of 18 of research 13 are drawn; where one refuses, P(X > 1) must reach the agreed chance, and P(X > 0) elsewhere."""
    terms = case(STAFF, evidence()).clause.parameters
    strata = tuple(
        one.model_copy(update={"knowing_min": knowing, "reach_min": reach}) if one.id == "research" else one
        for one in terms.strata
    )
    one = appraised(STAFF, evidence(), strata=strata)
    assert (one.verdict is Verdict.CONSISTENT) is kept, one.reasons
    assert kept or any("research: somebody who would know was reached" in text for text in one.reasons)


def test_every_pod_needs_a_roster() -> None:
    made = declaration()
    (keeper,) = (one for one in made.reporters if one.kind is ReporterKind.ROSTER)
    fewer = keeper.model_copy(update={"pods": keeper.pods[1:]})
    site = made.sites[0].model_copy(update={"reporters": (fewer,)})
    (found,) = INTERVIEWS.appraise(
        replace(case(STAFF, evidence()), declaration=made.model_copy(update={"sites": (site,)}))
    )
    assert found.verdict is Verdict.NOT_OBSERVED
    assert f"nobody keeps a roster of who works on {keeper.pods[0]}" in found.reasons


def test_statements_that_come_twice_count_once() -> None:
    seen = evidence()
    doubled = replace(seen, reports=(*seen.reports, *seen.reports))
    for name in (CHANNELS, STAFF):
        assert appraised(name, doubled) == appraised(name, seen)


def test_the_order_of_statements_says_nothing() -> None:
    seen = evidence(HEARD_CHEATS["interviews-contradicting"])
    turned = replace(seen, reports=tuple(reversed(seen.reports)))
    for name in (CHANNELS, STAFF):
        assert appraised(name, turned) == appraised(name, seen)


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"", lambda data: data[::-1], None])
def test_payloads_that_are_not_what_was_signed_for_are_named(damage: Callable[[bytes], bytes] | None) -> None:
    """Rosters, randomness and openings: cut, emptied, turned round, or not there."""
    seen = evidence()

    def payload(digest: str) -> bytes:
        if damage is None:
            raise KeyError(digest)
        return damage(seen.payload(digest))

    found = appraised(STAFF, replace(seen, payload=payload))
    assert found.verdict is Verdict.INVALID_EVIDENCE
    assert "roster-unreadable" in found.reasons[0]
    assert appraised(CHANNELS, replace(seen, payload=payload)).verdict is Verdict.CONSISTENT
