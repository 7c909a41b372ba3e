"""Worlds with human sources: what a whole review says of one, what machines say of its leads, and what the documents list."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from heard_site_evidence import appraised, evidence

from inspectorate.agreement import load_agreement
from inspectorate.assessment import Verdict
from inspectorate.cli.worlds import review_world
from inspectorate.corroboration import TOUCHES, Standing
from inspectorate.evidence import AnswersChecked, Bundle, IntakeCollected, LeadRaised, Origin, Step, read_statements
from inspectorate.findings import Finding
from inspectorate.review import Review
from inspectorate.worlds import CATALOGUE, WorldKind, build_world
from inspectorate.worlds.guard_catalogue import GUARDED
from inspectorate.worlds.heard import HONEST_LEAD
from inspectorate.worlds.heard_attacks import LEAD
from inspectorate.worlds.heard_catalogue import HEARD
from inspectorate.worlds.heard_cheats import CHANNELS, HEARD_CHEATS, STAFF
from inspectorate.worlds.inspection_catalogue import INSPECTED

TEXT = (Path(__file__).parents[2] / "docs" / "heard.md").read_text()
SEED = 30
"""A small site of ten minutes: whole reviews cost most of the time here."""
POINTING = ("lead-supported", "lead-contradicted", "lead-covered")
"""Leads of which machines could say something. Of the others `test_no_machine_here_could_touch_the_other_leads`."""


@cache
def reviewed(name: str) -> Review:
    return review_world(build_world(name, SEED))


def finding(name: str, clause: str = CHANNELS) -> Finding:
    return next(one for one in reviewed(name).findings if one.clause == clause)


def test_every_attack_has_a_world_of_its_own_name() -> None:
    assert set(HEARD) == {"honest-heard", *HEARD_CHEATS}
    assert not set(HEARD) & (set(CATALOGUE) | set(GUARDED) | set(INSPECTED))
    for name, attack in HEARD_CHEATS.items():
        assert (HEARD[name].kind is WorldKind.CHEATING) is (attack.cheat is not None)
        assert attack.verdict is not Verdict.INCONSISTENT


def test_the_docs_list_them_all() -> None:
    listed = TEXT.partition("## What goes wrong, by name")[2]
    rows = [line for line in listed.splitlines() if line.startswith("| `") and line.count("|") == 4]
    assert rows == [
        f"| `{one.name}` | {one.description} | `{one.clause}`: {one.verdict.value}"
        + (f"; lead {one.standing.value}" if one.standing else "")
        + " |"
        for one in HEARD_CHEATS.values()
    ]


def test_an_honest_site_is_consistent_and_its_lead_is_settled() -> None:
    whole = reviewed("honest-heard")
    assert not whole.problems
    assert whole.simulated
    for clause in (CHANNELS, STAFF):
        assert finding("honest-heard", clause).verdict is Verdict.CONSISTENT
    (lead,) = finding("honest-heard").leads
    assert (lead.lead.id, lead.next_step) == (HONEST_LEAD, None)


@pytest.mark.parametrize("name", POINTING)
def test_machines_stand_to_a_lead_as_they_should(name: str) -> None:
    attack = HEARD_CHEATS[name]
    (found,) = (one for one in finding(name, attack.clause).leads if one.lead.id == LEAD)
    assert found.standing is attack.standing, found.by
    called = {Standing.SUPPORTED: Step.INTRUDE, Standing.CONTRADICTED: Step.CLARIFY, Standing.UNTOUCHED: Step.FOCUS}
    assert found.next_step is called[found.standing]
    guilty = build_world(name, SEED).truth.guilty
    assert not guilty or found.lead.pods == guilty


def test_no_machine_here_could_touch_the_other_leads() -> None:
    kinds = {clause.kind for clause in load_agreement("inference-only-heard").clauses}
    others = [one for one in HEARD_CHEATS.values() if one.standing is not None and one.name not in POINTING]
    assert len(others) == 3
    for attack in others:
        (lead,) = (one for one in appraised(attack.clause, evidence(attack)).leads if one.id == LEAD)
        assert attack.standing is Standing.UNTOUCHED
        assert not TOUCHES[lead.activity] & kinds


def test_what_people_say_moves_no_verdict_of_another_clause_and_no_number_of_the_account() -> None:
    silent, speaking = reviewed("honest-heard"), reviewed("lead-contradicted")
    assert speaking.account == silent.account
    for one in silent.findings:
        other = finding("lead-contradicted", one.clause)
        if one.clause != CHANNELS:
            assert other.model_dump(exclude={"assessments"}) == one.model_dump(exclude={"assessments"})
        assert other.strength == one.strength


def test_all_of_it_says_that_it_is_simulated() -> None:
    world = build_world("honest-heard", SEED)
    statements, problems = read_statements(Bundle.check(world.files, anchors=world.anchors), anchors=world.anchors)
    assert not problems
    assert {one.predicate.origin for one in statements} == {Origin.SIMULATED}
    assert {LeadRaised, IntakeCollected, AnswersChecked} < {type(one.predicate) for one in statements}


def test_a_site_whose_agreement_asks_for_none_is_the_same_to_the_byte() -> None:
    plain = load_agreement("inference-only")
    one = build_world("honest-heard", SEED, agreement=plain, observed_s=240)
    other = build_world(replace(HEARD["honest-heard"], name="other"), SEED, agreement=plain, observed_s=240)
    honest = build_world(replace(CATALOGUE["honest"], site=HEARD["honest-heard"].site), SEED, observed_s=240)
    assert one.contents == other.contents == honest.contents
    assert not any(reporter.kind.value == "roster" for reporter in one.declaration.reporters)
