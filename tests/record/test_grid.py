"""When polls are due: against counting every multiple one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspectorate.mechanisms.workloads.record.grid import Grid


@given(
    every=st.integers(1, 50),
    start=st.integers(0, 500),
    steps=st.lists(st.integers(0, 200), min_size=1, max_size=60),
)
def test_every_multiple_is_polled_once_or_counted_as_missed(every: int, start: int, steps: list[int]) -> None:
    grid = Grid(every, start_ns=start)
    now, polls, missed = start, 0, 0
    first_missed: list[int] = []
    for step in steps:
        now += step
        due = grid.due(now)
        if due is not None:
            polls += 1
            missed += due.missed
            first_missed += [due.first_ns] if due.missed else []
    multiples = [tick for tick in range(start, now + 1) if tick % every == 0]
    assert polls + missed == len(multiples)
    assert set(first_missed) <= set(multiples)


def test_there_is_no_drift_when_every_poll_is_late() -> None:
    grid = Grid(1000, start_ns=0)
    made = [now for now in range(0, 20_000, 7) if grid.due(now)]
    assert all(now % 1000 < 7 for now in made)
    assert len(made) == 20


def test_a_clock_that_was_set_back_does_not_make_the_grid_wait_for_the_old_time() -> None:
    grid = Grid(1000, start_ns=1_000_000)
    assert grid.due(1_000_000) is not None
    assert grid.due(500_300) is None
    due = grid.due(501_000)
    assert due is not None
    assert due.missed == 0


def test_a_clock_set_forward_counts_what_it_skipped() -> None:
    grid = Grid(1000, start_ns=0)
    grid.due(0)
    due = grid.due(3_600_500)
    assert due is not None
    assert (due.missed, due.first_ns) == (3599, 1000)


def test_no_step_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than nothing"):
        Grid(0, start_ns=0)
