"""Inspected worlds: what a whole review says of one, and what the documents list."""

from __future__ import annotations

from pathlib import Path

from inspectorate.assessment import Verdict
from inspectorate.cli.worlds import review_world
from inspectorate.evidence import Bundle, Origin, read_statements
from inspectorate.worlds import CATALOGUE, WorldKind, build_world
from inspectorate.worlds.guard_catalogue import GUARDED
from inspectorate.worlds.inspection_catalogue import INSPECTED
from inspectorate.worlds.inspection_cheats import INSPECTION_CHEATS

TEXT = (Path(__file__).parents[2] / "docs" / "inspection.md").read_text()
SEED = 4


def test_every_attack_has_a_world_of_its_own_name() -> None:
    assert set(INSPECTED) == {"honest-inspected", *INSPECTION_CHEATS}
    assert not set(INSPECTED) & (set(CATALOGUE) | set(GUARDED))
    for name, attack in INSPECTION_CHEATS.items():
        guilty = INSPECTED[name].kind is WorldKind.CHEATING
        assert (attack.verdict is Verdict.INCONSISTENT) is guilty


def test_the_docs_list_them_all() -> None:
    attacks = ("| `replay-", "| `code-", "| `account-", "| `room-")
    rows = [line for line in TEXT.splitlines() if line.startswith(attacks) and line.count("|") == 4]
    assert rows == [
        f"| `{one.name}` | {one.description} | `{one.clause}`: {one.verdict.value} |"
        for one in INSPECTION_CHEATS.values()
    ]


def test_other_work_than_was_committed_to_raises_the_alarm_and_only_its_pod_is_named() -> None:
    attack = INSPECTION_CHEATS["replay-swapped"]
    world = build_world(attack.name, SEED)
    statements, problems = read_statements(Bundle.check(world.files, anchors=world.anchors), anchors=world.anchors)
    assert not problems
    assert {one.predicate.origin for one in statements} == {Origin.SIMULATED}
    reviewed = review_world(world)
    assert reviewed.simulated
    assert not reviewed.problems
    found = {one.clause: one for one in reviewed.findings}
    assert found[attack.clause].verdict is Verdict.INCONSISTENT
    assert {pod for scope in found[attack.clause].named for pod in scope.pods} == set(world.truth.guilty)
    assert any(attack.words in reason for reason in found[attack.clause].reasons)
    for clause in ("accounted-flop", "reviewed-code", "inspection-rooms"):
        assert found[clause].verdict is Verdict.CONSISTENT, found[clause].reasons
    used = {one.statement for one in reviewed.account.statements}
    assert any(one.startswith("inspection-replay") for one in used)
    assert reviewed.account.hidden_flop_max < 0.7 * reviewed.account.capacity_flop
