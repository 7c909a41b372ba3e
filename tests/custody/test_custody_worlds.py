"""Worlds with custody of chips: what a whole review says of some, what is the same to the byte, and what the documents list."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from inspectorate.agreement import load_agreement
from inspectorate.assessment import Verdict
from inspectorate.cli.worlds import review_world
from inspectorate.evidence import Bundle, Origin, read_statements
from inspectorate.evidence.custody import RegisterHanded
from inspectorate.evidence.heard import InspectionRequested
from inspectorate.mechanisms.custody.appraise import CUSTODY
from inspectorate.worlds import CATALOGUE, World, WorldKind, build_world
from inspectorate.worlds.custody_catalogue import HONEST, KEPT
from inspectorate.worlds.custody_cheats import CUSTODY_CHEATS
from inspectorate.worlds.guard_catalogue import GUARDED
from inspectorate.worlds.heard_catalogue import HEARD
from inspectorate.worlds.inspection_catalogue import INSPECTED

TEXT = (Path(__file__).parents[2] / "docs" / "custody.md").read_text()
SEED = 1
OURS = {clause.id for clause in load_agreement("inference-only-kept").clauses if clause.kind in CUSTODY.clause_kinds}


@cache
def honest() -> World:
    return build_world(HONEST, SEED)


def test_every_attack_has_a_world_of_its_own_name() -> None:
    assert set(KEPT) == {HONEST, *CUSTODY_CHEATS}
    assert not set(KEPT) & (set(CATALOGUE) | set(GUARDED) | set(INSPECTED) | set(HEARD))
    assert {attack.clause for attack in CUSTODY_CHEATS.values()} == OURS
    for name, attack in CUSTODY_CHEATS.items():
        assert KEPT[name].kind is (WorldKind.CHEATING if attack.by_party else WorldKind.BROKEN)
        assert attack.by_party or attack.verdict is not Verdict.INCONSISTENT


def test_the_docs_list_them_all() -> None:
    listed = TEXT.partition("## What goes wrong, by name")[2]
    rows = [line for line in listed.splitlines() if line.startswith("| `") and line.count("|") == 4]
    assert rows == [
        f"| `{one.name}` | {one.description} | `{one.clause}`: {one.verdict.value} |" for one in CUSTODY_CHEATS.values()
    ]


def test_an_honest_world_is_consistent_in_all_that_custody_appraises() -> None:
    whole = review_world(honest())
    assert not whole.problems
    assert whole.simulated
    found = {one.clause: one.verdict for one in whole.findings}
    assert {found[name] for name in OURS} == {Verdict.CONSISTENT}
    assert Verdict.INCONSISTENT not in found.values()
    assert whole.account.elsewhere_flop_max is not None
    assert whole.account.elsewhere_flop_max < 0.25 * whole.account.capacity_flop


def test_all_of_it_says_that_it_is_simulated() -> None:
    world = honest()
    statements, problems = read_statements(Bundle.check(world.files, anchors=world.anchors), anchors=world.anchors)
    assert not problems
    assert {one.predicate.origin for one in statements} == {Origin.SIMULATED}
    assert {RegisterHanded, InspectionRequested} < {type(one.predicate) for one in statements}


def test_a_site_whose_agreement_asks_for_none_is_the_same_to_the_byte() -> None:
    plain = load_agreement("inference-only")
    one = build_world(HONEST, SEED, agreement=plain, observed_s=240)
    same = build_world(replace(CATALOGUE["honest"], site=KEPT[HONEST].site), SEED, observed_s=240)
    assert one.contents == same.contents
    assert one.anchors == same.anchors


def test_a_site_that_is_asked_for_access_alone_states_that_alone() -> None:
    world = build_world("honest-heard", SEED, observed_s=240)
    statements, _ = read_statements(Bundle.check(world.files, anchors=world.anchors), anchors=world.anchors)
    kinds = {type(one.predicate) for one in statements}
    assert InspectionRequested in kinds
    assert RegisterHanded not in kinds
    assert not world.anchors.landmarks
