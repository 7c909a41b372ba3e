"""Nothing of a job stands on both sides, whatever the split."""

from __future__ import annotations

import numpy as np
import pytest
from evaluation_making import made_run, plain
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.errors import InputError
from inspectorate.mechanisms.workloads.evaluate.runs import Run
from inspectorate.mechanisms.workloads.evaluate.splits import (
    BY,
    folds_of_groups,
    folds_of_jobs,
    joined,
    leak_windows,
    leave_out,
)


def runs() -> list[Run]:
    return [
        made_run("flat/offline", 1, seconds=70, job="one", hardware="x"),
        made_run("flat/offline", 2, seconds=70, job="one", hardware="y"),
        made_run("waves/server", 3, seconds=70, job="two", hardware="y"),
        made_run("steps/train", 4, seconds=70, job="three", hardware="z", disguise="throttled"),
        made_run("steps/train", 5, seconds=70, job="four", hardware="z", submitter="them", session="s2"),
    ]


@pytest.mark.parametrize("by", BY)
def test_no_job_is_on_both_sides(by: str) -> None:
    given_runs = runs()
    for fold in leave_out(given_runs, by):
        assert {given_runs[k].job for k in fold.train} & {given_runs[k].job for k in fold.test} == set()
        assert sorted((*fold.train, *fold.test)) == list(range(5))
        assert fold.test


def test_hardware_that_shares_a_job_is_held_out_together() -> None:
    assert [sorted(fold.test) for fold in leave_out(runs(), "hardware")] == [[0, 1, 2], [3, 4]]


def test_only_disguises_are_held_out_by_disguise() -> None:
    assert [fold.held_out for fold in leave_out(runs(), "disguise")] == ["throttled"]


def test_a_split_that_holds_nothing_out_is_refused() -> None:
    with pytest.raises(InputError, match="nothing to leave out"):
        leave_out(runs()[:1], "run")
    with pytest.raises(InputError, match="no split"):
        leave_out(runs(), "window")
    with pytest.raises(InputError, match="one run alone"):
        folds_of_jobs(runs()[:2], 8)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("uvwxyz")), min_size=1, max_size=12))
def test_joined_groups_are_the_connected_components(pairs: list[tuple[str, str]]) -> None:
    """Oracle: spread labels along shared groups and shared jobs until nothing changes."""
    label = list(range(len(pairs)))
    for _ in pairs:
        for a, one in enumerate(pairs):
            for b, other in enumerate(pairs):
                if one[0] == other[0] or one[1] == other[1]:
                    label[a] = label[b] = min(label[a], label[b])
    found = joined([group for group, _ in pairs], [job for _, job in pairs])
    expected = {tuple(k for k, name in enumerate(label) if name == one) for one in set(label)}
    assert {tuple(places) for places in found.values()} == expected


def test_folds_spread_each_workload() -> None:
    many = [made_run(name, k, seconds=70) for name in ("flat/offline", "waves/server") for k in range(4)]
    folds = folds_of_jobs(many, 4)
    assert sorted(folds[:4]) == sorted(folds[4:]) == [0, 1, 2, 3]


def test_leaking_windows_are_on_both_sides_and_add_up() -> None:
    one = plain(runs()[0], windows=40)
    left, right = leak_windows([one], random=np.random.default_rng(1))
    assert len(left[0]) + len(right[0]) == 40
    assert left[0].run.job == right[0].run.job


def test_groups_as_folds_are_the_groups() -> None:
    assert folds_of_groups(runs(), "hardware") == (0, 0, 0, 1, 1)
    with pytest.raises(InputError, match="nothing to leave out"):
        folds_of_groups(runs()[:3], "session")
