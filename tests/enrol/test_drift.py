"""Later telemetry beside the enrolled runs: what stays and what moves; and repeated stretches against a slow search."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from enrol_making import (
    ANCHORS,
    LOADS,
    METER,
    PLAN,
    RUN_S,
    START,
    UNITS,
    at,
    rows,
    service,
    write_spool,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.workloads.enrol.drift import Drift, drift_of, stretches_of
from inspectorate.mechanisms.workloads.enrol.later import later_stretches
from inspectorate.mechanisms.workloads.enrol.profile import Profile, profile_of
from inspectorate.mechanisms.workloads.enrol.recording import read_spool
from inspectorate.mechanisms.workloads.enrol.reference_telemetry import run_frame
from inspectorate.mechanisms.workloads.enrol.soundness import DISTINCT_MIN, STRETCH, SeenStretches
from inspectorate.mechanisms.workloads.telemetry.frame import Samples
from inspectorate.quantities import Period

RUN = Period(start=START, end=at(RUN_S))


@pytest.fixture(scope="module")
def enrolled() -> list[Profile]:
    found = []
    for seed, load in enumerate((*LOADS, *LOADS)):
        samples = service(load, start=START, seed=seed)
        frame = run_frame(samples, RUN, signals=PLAN.signals, step_s=1.0)
        found.append(profile_of(f"run-{seed}", frame, window_s=10.0))
    return found


def later(tmp_path: Path, samples: Samples, *, seconds: int) -> tuple[list[tuple[Period, Profile]], list[str]]:
    period = Period(start=at(10_000), end=at(10_000 + seconds))
    spool = read_spool(write_spool(tmp_path / "later", samples, period), anchors=ANCHORS, meter=METER)
    return later_stretches(spool, PLAN, period=None, runs=[RUN, RUN])


def drift(tmp_path: Path, enrolled: list[Profile], **how: float) -> Drift:
    samples = service(0.5, start=at(10_000), seconds=8 * RUN_S, seed=99, **how)  # type: ignore[arg-type]
    stretches, skipped = later(tmp_path, samples, seconds=8 * RUN_S)
    return drift_of(enrolled, stretches, skipped=skipped)


def test_the_same_service_does_not_drift(tmp_path: Path, enrolled: list[Profile]) -> None:
    found = drift(tmp_path, enrolled)
    assert len(found.stretches) == 8
    assert not found.skipped
    assert found.outside <= 3
    assert not found.recommends_enrolment


def test_chips_that_draw_more_are_found_and_named(tmp_path: Path, enrolled: list[Profile]) -> None:
    """60 W more at the same load: less than the range of levels that were enrolled, and still not among the runs."""
    found = drift(tmp_path, enrolled, watts=160.0)
    assert found.recommends_enrolment
    assert found.outside == 8
    assert "power_w:mean +" in found.stretches[0].furthest[0]
    assert "enrol again" in found.because


def test_a_gap_passes_over_a_stretch_and_no_more(tmp_path: Path, enrolled: list[Profile]) -> None:
    samples = service(0.5, start=at(10_000), seconds=4 * RUN_S, seed=99)
    second = np.arange(len(samples)) // len(UNITS)
    stretches, skipped = later(
        tmp_path, rows(samples, (second < RUN_S + 20) | (second >= RUN_S + 60)), seconds=4 * RUN_S
    )
    assert [period.start for period, _ in stretches] == [at(10_000 + i * RUN_S) for i in (0, 2, 3)]
    assert "were silent" in skipped[0]
    assert drift_of(enrolled, [], skipped=skipped).recommends_enrolment is False
    assert "nothing could be compared" in drift_of(enrolled, [], skipped=skipped).because


def test_a_copied_segment_refuses_the_whole(tmp_path: Path) -> None:
    one = service(0.5, start=at(10_000), seconds=40, seed=1)
    period = Period(start=at(10_000), end=at(10_080))
    spool = write_spool(tmp_path / "s", one, Period(start=period.start, end=at(10_040)))
    write_spool(tmp_path / "s", one, Period(start=at(10_000), end=at(10_040)), stream="again")
    with pytest.raises(EvidenceError, match="covers the same time"):
        later_stretches(read_spool(spool, anchors=ANCHORS, meter=METER), PLAN, period=None, runs=[RUN, RUN])


def test_stretches_are_as_long_as_the_median_run() -> None:
    runs = [Period(start=START, end=START + timedelta(seconds=s)) for s in (100, 120, 500)]
    found = stretches_of(Period(start=START, end=START + timedelta(seconds=479)), runs)
    assert [period.duration_s for period in found] == [120.0] * 3
    assert stretches_of(Period(start=START, end=START + timedelta(seconds=100)), runs) == ()


# --- repeated stretches ------------------------------------------------------------------------------------------------


def one_series(values: np.ndarray) -> Samples:
    return Samples(
        units=("u",),
        signals=("power_w",),
        time_ns=np.arange(len(values), dtype=np.int64),
        unit=np.zeros(len(values), dtype=np.int32),
        values=values[:, None].astype(np.float64),
    )


def repeats_slowly(later: np.ndarray, earlier: np.ndarray) -> bool:
    """Every stretch of changes of the one against every kept stretch of the other, with enough distinct changes."""
    mine, theirs = np.diff(later).astype(np.float32), np.diff(earlier).astype(np.float32)
    for j in range(0, len(theirs) - STRETCH + 1, STRETCH):
        kept = theirs[j : j + STRETCH]
        if len(set(kept.tolist())) < DISTINCT_MIN:
            continue
        for i in range(len(mine) - STRETCH + 1):
            if np.array_equal(mine[i : i + STRETCH], kept):
                return True
    return False


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    levels=st.sampled_from([2, 6, 1000]),
    copied=st.integers(0, 60),
    source=st.integers(0, 60),
    target=st.integers(0, 60),
    shift=st.sampled_from([0.0, 512.0]),
)
def test_repetitions_are_those_of_a_slow_search(
    seed: int, levels: int, copied: int, source: int, target: int, shift: float
) -> None:
    random = np.random.default_rng(seed)
    earlier = random.integers(0, levels, 120).astype(np.float64)
    later = random.integers(0, levels, 120).astype(np.float64)
    length = min(copied, 120 - source, 120 - target)
    later[target : target + length] = earlier[source : source + length] + shift
    seen = SeenStretches()
    seen.add("before", one_series(earlier))
    found = bool(seen.faults(one_series(later)))
    assert found == repeats_slowly(later, earlier)
    if levels == 1000 and length > 2 * STRETCH:
        assert found, "a repetition of two stretches is always found"
