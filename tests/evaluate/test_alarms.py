"""Thresholds come from enrolled runs alone, keep their rate, and say when they are guessed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from evaluation_making import made_run, plain
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.mechanisms.workloads.evaluate.alarms import Scale, Stream, own_streams, threshold_for
from inspectorate.mechanisms.workloads.evaluate.folds import Scored
from inspectorate.mechanisms.workloads.evaluate.reference import ALARM_REST_S, TRAILING_WINDOWS


def stream(values: list[float], *, hours: float = 1.0) -> Stream:
    return Stream(known_s=30.0 * np.arange(len(values)), values=np.array(values), hours=hours, family="f")


def scored(number: int, distances: np.ndarray) -> Scored:
    one = plain(made_run("flat/offline", number, seconds=70), windows=len(distances))
    return Scored(one=one, workloads=("flat/offline",), distances=distances[:, None], span=1)


@settings(max_examples=40)
@given(st.lists(st.booleans(), max_size=80))
def test_alarms_within_the_rest_are_one(crossed: list[bool]) -> None:
    """Oracle: walk along the moments."""
    expected, last = 0, None
    for place, over in enumerate(crossed):
        if over:
            expected += last is None or 30.0 * (place - last) > ALARM_REST_S
            last = place
    assert len(stream([float(over) for over in crossed]).alarms(0.5)) == expected


def test_a_counted_threshold_keeps_the_rate() -> None:
    random = np.random.default_rng(3)
    streams = [stream(random.normal(size=120).tolist()) for _ in range(40)]
    found = threshold_for(streams, 0.5)
    assert not found.extrapolated
    alarms = sum(len(one.alarms(found.value)) for one in streams)
    assert alarms + 1 <= 0.5 * 40
    assert alarms >= 10, "a threshold that is too high finds nothing either"


def test_a_rate_beyond_what_was_recorded_is_extrapolated_and_says_so() -> None:
    random = np.random.default_rng(4)
    streams = [stream(random.exponential(size=20).tolist()) for _ in range(12)]
    rare, rarer = threshold_for(streams, 0.1), threshold_for(streams, 0.01)
    assert rare.extrapolated
    assert rare.hours == 12
    assert max(one.highest for one in streams) <= rare.value < rarer.value


def test_extrapolated_thresholds_keep_their_rate_over_many_trials() -> None:
    """Twelve hours enrolled, 1 alarm in 24 h asked: over 400 enrolments, as many alarms as were set, within a factor of two."""
    random = np.random.default_rng(5)
    alarms = 0
    for _ in range(400):
        enrolled = [stream([peak]) for peak in random.exponential(size=12)]
        fresh = random.exponential(size=12)
        alarms += int((fresh > threshold_for(enrolled, 1 / 24).value).sum())
    assert 0.5 * 400 * 12 / 24 < alarms < 2 * 400 * 12 / 24


def test_without_enrolled_runs_there_is_no_threshold() -> None:
    with pytest.raises(ValueError, match="streams"):
        threshold_for([], 1.0)
    nothing = scored(1, np.full(5, np.nan))
    with pytest.raises(ValueError, match="no enrolled run"):
        Scale.of([nothing])


def test_ratios_are_centred_on_their_workload() -> None:
    random = np.random.default_rng(6)
    calm = [scored(k, 2 * np.exp(0.1 * random.normal(size=30))) for k in range(40)]
    scale = Scale.of(calm)
    assert scale.ratio
    threshold = threshold_for(own_streams(scale, calm), 1.0)
    far = scale.stream(scored(9, np.full(30, 8.0)), "flat/offline")
    assert far is not None
    assert far.alarms(threshold.value) == (60.0 + 30.0 * (TRAILING_WINDOWS - 1),)
    assert scale.stream(calm[0], "never enrolled") is None


def test_margins_below_zero_are_not_taken_for_ratios() -> None:
    assert not Scale.of([scored(k, np.linspace(-1, 1, 12)) for k in range(2)]).ratio


def test_windows_without_an_answer_are_passed_over() -> None:
    distances = np.exp(0.1 * np.random.default_rng(7).normal(size=30))
    holes = distances.copy()
    holes[::3] = np.nan
    scale = Scale.of([scored(1, distances), scored(2, distances)])
    found = scale.stream(scored(3, holes), "flat/offline")
    assert found is not None
    assert len(found.values) == 20 - TRAILING_WINDOWS + 1
    assert np.isfinite(found.values).all()


def test_what_rests_on_many_windows_already_is_not_smoothed_again() -> None:
    values = np.exp(0.1 * np.random.default_rng(8).normal(size=30))
    scale = Scale.of([scored(1, values), scored(2, values)])
    assert scale.ratio
    plain_one = scale.stream(scored(3, values), "flat/offline")
    block = scale.stream(replace(scored(3, values), span=TRAILING_WINDOWS), "flat/offline")
    assert plain_one is not None
    assert block is not None
    assert len(block.values) == 30
    assert len(plain_one.values) == 30 - TRAILING_WINDOWS + 1
