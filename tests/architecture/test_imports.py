"""Import rules of the design: imports run upward in one list, and some rooms never meet."""

from __future__ import annotations

import pytest
from source_tree import PACKAGE, Import, Module, modules, ours, room_of

ORDER = (
    "", "errors", "files", "canonical", "quantities", "keys", "apart", "highs", "drawing", "statistics", "agreement", "declaration",
    "evidence", "ledger", "assessment", "hearing", "mechanisms", "account", "corroboration", "findings", "planning",
    "review", "submission", "report", "console", "fleet", "lab", "worlds", "cli", "__main__",
)  # fmt: skip
"""A module may import what stands before it. `lab` and `worlds` stand before `cli` only for their own commands."""

APART = (
    {"agreement", "declaration", "evidence", "ledger"},
    {"lab", "worlds"},
)
"""Rooms of one set do not import one another."""

NEVER = {
    ("mechanisms", "ledger"): "mechanisms see evidence, not storage",
    ("findings", "ledger"): "findings see assessments, not storage",
    ("findings", "evidence"): "findings read no evidence",
    ("account", "evidence"): "the account takes bounds as data",
    ("account", "mechanisms"): "the account knows no mechanism",
    ("findings", "mechanisms"): "findings know no mechanism",
    ("corroboration", "mechanisms"): "what people say is held against assessments, whoever made them",
    ("statistics", "errors"): "pure mathematics raises ValueError",
    ("report", "mechanisms"): "what a report plots travels as an exhibit",
    ("report", "ledger"): "a report renders a review, and verifies nothing",
    ("submission", "review"): "the operator's side needs nothing of the reviewer's",
}

OWN_COMMANDS = {
    "lab": {f"{PACKAGE}.cli.lab", f"{PACKAGE}.cli.lab_guard", f"{PACKAGE}.cli.lab_inspected"},
    "worlds": {
        f"{PACKAGE}.cli.worlds",
        f"{PACKAGE}.cli.worlds_guard",
        f"{PACKAGE}.cli.worlds_interviews",
        f"{PACKAGE}.cli.workloads_attack",
    },
}
"""The only modules elsewhere that may import these rooms: no simulated evidence reaches the product path."""

REPORT_MAY_TAKE_OF_EVIDENCE = {"Problem", "ProblemKind", "Activity", "Closing", "HumanSource", "Step"}
SCHEMAS = f"{PACKAGE}.report.schemas"
"""Publishes the schemas of all records, and so may name them all."""

INNER_IMPORTS: dict[str, str] = {}
"""Imports within functions, each with the optional extra that is its reason: none so far."""


def crossing() -> list[tuple[Module, Import]]:
    """Imports that lead from one room to another."""
    return [(m, one) for m in modules() for one in ours(m) if room_of(one.target) != m.room]


def test_every_room_has_its_place_in_the_order() -> None:
    assert {m.room for m in modules()} <= set(ORDER)


def test_imports_run_upward() -> None:
    rank = {room: place for place, room in enumerate(ORDER)}
    wrong = [
        f"{m.place}:{one.line} imports {one.target}"
        for m, one in crossing()
        if rank[room_of(one.target)] > rank[m.room]
    ]
    assert wrong == []


@pytest.mark.parametrize("rooms", APART, ids=lambda rooms: " ".join(sorted(rooms)))
def test_rooms_that_do_not_import_one_another(rooms: set[str]) -> None:
    wrong = [
        f"{m.place}:{one.line} imports {one.target}"
        for m, one in crossing()
        if m.room in rooms and room_of(one.target) in rooms
    ]
    assert wrong == []


@pytest.mark.parametrize(("room", "other"), NEVER, ids=lambda room: room)
def test_rooms_that_never_import_another(room: str, other: str) -> None:
    wrong = [f"{m.place}:{one.line}" for m, one in crossing() if (m.room, room_of(one.target)) == (room, other)]
    assert wrong == [], NEVER[room, other]


def test_no_mechanism_imports_another() -> None:
    wrong = []
    for m in modules():
        parts = m.name.split(".")
        if m.room != "mechanisms" or len(parts) < 3:
            continue
        wrong += [
            f"{m.place}:{one.line} imports {one.target}"
            for one in ours(m)
            if room_of(one.target) == "mechanisms" and one.target.split(".")[2:3] not in ([], [parts[2]])
        ]
    assert wrong == []


@pytest.mark.parametrize("room", OWN_COMMANDS)
def test_simulation_and_bench_are_reached_through_their_own_commands_only(room: str) -> None:
    wrong = [
        f"{m.place}:{one.line}"
        for m, one in crossing()
        if room_of(one.target) == room and m.name not in OWN_COMMANDS[room]
    ]
    assert wrong == []


def test_a_report_takes_no_evidence_but_its_problems() -> None:
    wrong = [
        f"{m.place}:{one.line} takes {', '.join(one.names) or one.target}"
        for m, one in crossing()
        if m.room == "report" and m.name != SCHEMAS and room_of(one.target) == "evidence"
        if not one.names or not set(one.names) <= REPORT_MAY_TAKE_OF_EVIDENCE
    ]
    assert wrong == []


def test_there_are_no_cycles() -> None:
    names = {m.name for m in modules()}
    edges = {m.name: {one.target for one in ours(m) if one.target in names} for m in modules()}
    done: set[str] = set()
    path: list[str] = []

    def visit(name: str) -> None:
        if name in done:
            return
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        path.append(name)
        for target in sorted(edges[name]):
            visit(target)
        path.pop()
        done.add(name)

    for name in sorted(names):
        visit(name)


def test_no_imports_within_functions() -> None:
    found = {f"{m.place}:{one.within} imports {one.target}" for m in modules() for one in m.imports if one.within}
    assert found == set(INNER_IMPORTS)


def test_every_imported_module_of_ours_is_there() -> None:
    names = {m.name for m in modules()}
    assert [
        f"{m.place}:{one.line}: {one.target}" for m in modules() for one in ours(m) if one.target not in names
    ] == []


def test_private_names_stay_within_their_room() -> None:
    wrong = [
        f"{m.place}:{one.line} takes {name} of {one.target}"
        for m, one in crossing()
        for name in (*one.names, one.target.rsplit(".", 1)[-1])
        if name.startswith("_") and not name.startswith("__")
    ]
    assert wrong == []
