"""docs/worlds.md lists exactly what is registered."""

from __future__ import annotations

from pathlib import Path

from inspectorate.agreement import load_agreement
from inspectorate.worlds import CATALOGUE
from inspectorate.worlds.cheats import CHEATS
from inspectorate.worlds.faults import FAULTS

TEXT = (Path(__file__).parents[2] / "docs" / "worlds.md").read_text()


def rows(columns: int) -> list[str]:
    return [line for line in TEXT.splitlines() if line.startswith("| `") and line.count("|") == columns + 1]


def test_the_tables_are_those_of_the_registries() -> None:
    worlds = [f"| `{spec.name}` | {spec.kind.value} | {spec.description} |" for spec in CATALOGUE.values()]
    cheats = [
        f"| `{cheat.name}` | {cheat.traffic_share} | {', '.join(f'`{clause}`' for clause in cheat.against) or 'none'} |"
        for cheat in CHEATS.values()
    ]
    assert rows(3) == worlds + cheats


def test_every_cheat_and_every_fault_has_a_world() -> None:
    assert {spec.cheat for spec in CATALOGUE.values()} - {None} == set(CHEATS)
    assert {spec.fault for spec in CATALOGUE.values()} - {None} == set(FAULTS)


def test_cheats_name_clauses_of_the_shipped_agreement() -> None:
    known = {clause.id for clause in load_agreement("inference-only").clauses}
    assert {clause for cheat in CHEATS.values() for clause in cheat.against} <= known
