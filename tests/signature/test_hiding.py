"""Bounds on what could be hidden: they follow from measured curves, and never fall below what escapes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from signature_making import frame

from inspectorate.mechanisms.workloads.signature.hiding import (
    SHARES,
    Detection,
    hidden_share,
    power_share,
    sliced,
)
from inspectorate.mechanisms.workloads.telemetry.frame import Frame

RUNS = [(f"r{k}", frame("serve", k, minutes=20)) for k in range(40)]
TRAIN = [frame("train", 1, minutes=20)]


def above(level: float, run: Frame) -> bool:
    return bool(run.of("power_w").mean() > level)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("slice_s", [1.0, 5.0, 60.0])
def test_slices_take_the_share_of_the_time_and_leave_the_rest(share: float, slice_s: float) -> None:
    run, contrast = frame("serve", 1, minutes=60), frame("train", 2, minutes=7)
    mixed = sliced(run, contrast, share=share, slice_s=slice_s, offset=3)
    changed = (mixed.values != run.values).any(axis=(0, 2))
    assert changed.mean() == pytest.approx(share, abs=0.04)
    assert (mixed.values[:, ~changed] == run.values[:, ~changed]).all()


def test_frames_that_are_not_alike_are_refused() -> None:
    with pytest.raises(ValueError, match="sampled alike"):
        sliced(frame("serve", 1, units=2), frame("train", 1), share=0.5, slice_s=5.0, offset=0)


def test_a_detector_that_catches_everything_leaves_the_smallest_share_and_the_few_stretches_of_doubt() -> None:
    found = hidden_share(RUNS, TRAIN, lambda _, run: above(405, run), run_s=180, cell_s=36_000, miss_probability=0.02)
    assert found.tells
    assert all(d.caught == d.runs for d in found.detections)
    # p >= 0.01^(1/40) = 0.891: escapes in floor(ln 0.01 / ln 0.109) = 2 stretches of 180 s in 10 h.
    at_least = 0.01 ** (1 / 40)
    stretches = math.floor(math.log(0.01) / math.log(1 - at_least))
    assert stretches == 2
    assert found.share_max == pytest.approx(max(SHARES[0], stretches * 180 / 36_000))


def test_a_blind_detector_bounds_nothing_and_says_that_it_does_not_tell() -> None:
    found = hidden_share(RUNS, TRAIN, lambda _, run: False, run_s=180, cell_s=3600, miss_probability=0.01)
    assert found.share_max == 1.0
    assert not found.tells


def test_shares_below_what_is_caught_stay_hidden() -> None:
    """A detector that sees half of the time or more leaves a little less than that: the share above bounds it."""
    found = hidden_share(
        RUNS, TRAIN, lambda _, run: above(400 + 0.43 * 240, run), run_s=180, cell_s=360_000, miss_probability=0.01
    )
    caught = [d.share for d in found.detections if d.caught == d.runs]
    assert min(caught) == 0.5
    assert found.share_max == 0.5


def test_what_is_caught_less_the_more_there_is_bounds_nothing() -> None:
    """Mixtures stand out and plain training does not: all of the time could be hidden."""
    found = hidden_share(
        RUNS,
        TRAIN,
        lambda _, run: 405 < run.of("power_w").mean() < 600,
        run_s=180,
        cell_s=36_000,
        miss_probability=0.01,
    )
    assert [d.caught > 0 for d in found.detections][-2:] == [True, False]
    assert found.share_max == 1.0
    assert not found.tells


def test_the_bound_is_never_below_what_escapes() -> None:
    """Whoever hides a share in a number of stretches and escapes with more than half the miss probability is bounded."""
    level, miss = 430.0, 0.01
    found = hidden_share(RUNS, TRAIN, lambda _, run: above(level, run), run_s=180, cell_s=3600, miss_probability=miss)
    per_cell = 3600 / 180
    for detection in found.detections:
        caught = detection.caught / detection.runs
        for stretches in range(1, int(per_cell) + 1):
            if (1 - caught) ** stretches >= miss / 2:
                assert detection.share * stretches / per_cell <= found.share_max + 1e-12


def test_more_doubt_never_lowers_the_bound() -> None:
    def bound(miss: float) -> float:
        return hidden_share(
            RUNS, TRAIN, lambda _, run: above(430, run), run_s=180, cell_s=7200, miss_probability=miss
        ).share_max

    values = [bound(miss) for miss in (0.2, 0.05, 0.01, 0.001)]
    assert values == sorted(values)


def test_power_bounds_by_the_way_from_idle_to_training() -> None:
    share = power_share(np.array([100.0, 150.0, 600.0, np.nan, 40.0]), idle_w=100.0, training_w=600.0)
    assert share is not None
    assert share[:3].tolist() == [0.0, 0.2, 1.0]
    assert math.isnan(share[3])
    assert share[4] == 0.0
    assert power_share(np.array([100.0]), idle_w=100.0, training_w=102.0) is None


def test_without_runs_or_contrast_there_is_no_bound() -> None:
    for runs, contrasts in (([], TRAIN), (RUNS[:1], [])):
        with pytest.raises(ValueError, match="needs"):
            hidden_share(runs, contrasts, lambda _, run: True, run_s=1, cell_s=1, miss_probability=0.1)
    assert Detection(share=1.0, slice_s=1.0, caught=0, runs=1, at_least=0.0).share == 1.0
