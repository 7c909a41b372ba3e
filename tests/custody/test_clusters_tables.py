"""Published tables of the agreement: every row and cell."""

from __future__ import annotations

import pytest
from clusters_fleets import LIMB, MEMORY_LIMB, Server, fleet

from inspectorate.mechanisms.custody.clusters import Outcome, judge_clusters
from inspectorate.mechanisms.custody.clusters.tables import (
    COUNTED,
    CURRENT,
    PUBLISHED_DAYS,
    PUBLISHED_SECONDS,
    WITH_MEMORY,
    counted_rows,
    run_cells,
    run_seconds,
)


def test_every_row_of_what_is_covered() -> None:
    rows = counted_rows()
    assert len(rows) == len(COUNTED) == 7
    assert [row.row.what for row in rows if not row.agrees] == []
    assert [row.h100_equivalents for row in rows] == pytest.approx([16, 24, 29.67, 15.76, 15.76, 16, 15.81], abs=0.005)
    assert [row.memory_bytes / 1e9 for row in rows] == [1280, 1920, 1024, 544, 4000, 2256, 3328]
    assert all(row.catalogue_outcome in {None, row.outcome} for row in rows)


@pytest.mark.parametrize("row", [row for row in COUNTED if row.catalogue], ids=lambda row: row.what)
def test_rows_hold_for_a_whole_register(row) -> None:  # type: ignore[no-untyped-def]
    """In servers of eight, in one building, through the whole test."""
    servers = [
        Server(f"h{first}", chips=min(8, row.chips - first), model=row.catalogue) for first in range(0, row.chips, 8)
    ]
    register = fleet(servers)
    assert (judge_clusters(register, None, LIMB).outcomes == (Outcome.COVERED,)) == row.covered
    if row.covered_with_memory is not None:
        with_memory = judge_clusters(register, None, MEMORY_LIMB)
        assert (with_memory.outcomes == (Outcome.COVERED,)) == row.covered_with_memory


def test_the_910c_row_needs_the_figure_that_the_note_says() -> None:
    assert 26 * 800 / 990 > 16
    assert round(26 * 602 / 990, 2) == 15.81


def test_every_cell_of_the_tables_on_runs() -> None:
    cells = run_cells()
    assert len(cells) == 24
    assert [cell for cell in cells if cell.agrees is False] == []
    assert sum(cell.agrees is True for cell in cells) == 2 * len(PUBLISHED_DAYS) + 2 * len(PUBLISHED_SECONDS)
    assert [cell.chips for cell in cells if cell.agrees is None] == [16, 16]
    assert run_seconds(16, 1e24) / 86_400 == pytest.approx(730.7, abs=0.05)


def test_a_wrong_figure_would_be_seen() -> None:
    assert run_seconds(16, 1e24, 989e12) / 86_400 == pytest.approx(731.4, abs=0.05)
    assert CURRENT == LIMB
    assert WITH_MEMORY == MEMORY_LIMB
