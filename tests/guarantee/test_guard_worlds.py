"""Guarded worlds: what a whole review says of them, and what no part of an honest one may say."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from guard_site_evidence import GUARDED, LICENSED, OUTLET, appraised, evidence
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from inspectorate.assessment import Verdict
from inspectorate.cli.worlds import review_world
from inspectorate.evidence import Bundle, Origin, read_statements
from inspectorate.findings import Finding
from inspectorate.review import Review
from inspectorate.worlds import CATALOGUE, World, WorldKind, build_world
from inspectorate.worlds.guard_catalogue import GUARDED as WORLDS
from inspectorate.worlds.guard_cheats import GUARD_CHEATS
from inspectorate.worlds.guard_rules import baseline, second

TEXT = (Path(__file__).parents[2] / "docs" / "guarantee.md").read_text()
SEED = 4


@cache
def world(name: str) -> World:
    return build_world(name, SEED)


@cache
def reviewed(name: str) -> Review:
    return review_world(world(name))


def finding(name: str, clause: str) -> Finding:
    return next(one for one in reviewed(name).findings if one.clause == clause)


def test_every_attack_has_a_world_of_its_own_name() -> None:
    assert set(WORLDS) == {"honest-guarded", *GUARD_CHEATS}
    assert not set(WORLDS) & set(CATALOGUE)


def test_the_docs_list_them_all() -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("| `guard-") and line.count("|") == 4]
    rows = [line for line in rows if "guard-reported" not in line]
    assert rows == [
        f"| `{one.name}` | {one.description} | `{one.clause}`: {one.verdict.value} |" for one in GUARD_CHEATS.values()
    ]


def test_the_second_ruleset_follows_the_first() -> None:
    assert (second().previous, second().version) == (baseline().digest, 2)


def test_an_honest_guarded_site_keeps_its_clauses_and_hides_less() -> None:
    for clause in (GUARDED, LICENSED, OUTLET):
        assert finding("honest-guarded", clause).verdict is Verdict.CONSISTENT
    account = reviewed("honest-guarded").account
    assert any(one.statement.startswith("guarantee-meters") for one in account.statements)
    assert account.hidden_flop_max < 0.7 * account.capacity_flop
    assert not reviewed("honest-guarded").problems


@pytest.mark.parametrize("name", ["guard-overdrawn"])
def test_a_subverted_processor_raises_the_alarm_and_only_its_pod_is_named(name: str) -> None:
    attack = GUARD_CHEATS[name]
    found = finding(name, attack.clause)
    assert found.verdict is attack.verdict is Verdict.INCONSISTENT
    assert {pod for scope in found.named for pod in scope.pods} == set(world(name).truth.guilty)
    assert any(attack.words in reason for reason in found.reasons)


def test_every_statement_is_marked_simulated() -> None:
    made = world("honest-guarded")
    statements, problems = read_statements(Bundle.check(made.files, anchors=made.anchors), anchors=made.anchors)
    assert not problems
    assert {one.predicate.origin for one in statements} == {Origin.SIMULATED}
    assert all(one.name.startswith("simulated-") for one in (*made.anchors.anchors, *made.anchors.platforms))


def test_kinds_say_who_is_guilty() -> None:
    for name, spec in WORLDS.items():
        guilty = spec.kind is WorldKind.CHEATING
        assert (name in GUARD_CHEATS and GUARD_CHEATS[name].verdict is Verdict.INCONSISTENT) is guilty


@settings(max_examples=6, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(st.randoms(use_true_random=False), st.floats(0.0, 1.0))
def test_no_part_of_honest_evidence_accuses_anybody(chance: random.Random, share: float) -> None:
    """Statements may be lost, repeated, and come in any order: that takes assurance away, and proves nothing."""
    seen = evidence()
    kept = [one for one in seen.reports if chance.random() < share]
    kept += [one for one in kept if chance.random() < 0.05]
    chance.shuffle(kept)
    less = replace(seen, reports=tuple(kept))
    for clause in (GUARDED, LICENSED, OUTLET):
        whole = appraised(clause, seen)
        for pod, one in appraised(clause, less).items():
            assert (one.log_e or 0.0) <= 0.0, one.reasons
            assert one.verdict is not Verdict.INCONSISTENT
            if share < 1.0 and whole[pod].verdict is Verdict.CONSISTENT and one.verdict is Verdict.CONSISTENT:
                assert one.evidence_ids
