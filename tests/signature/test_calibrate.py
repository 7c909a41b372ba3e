"""Thresholds from runs that were held out: rates that hold, and enrolments that are too short for the rate."""

from __future__ import annotations

import numpy as np
import pytest
from signature_making import WINDOW_S, features, frame, names, references

from inspectorate.mechanisms.workloads.signature.calibrate import Calibration, HeldOut, calibrate, held_out
from inspectorate.mechanisms.workloads.signature.library import Library, Reference


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return calibrate(references(runs=6), names=names(), window_s=WINDOW_S)


def test_every_run_is_held_out_once_by_a_library_that_does_not_know_it(calibration: Calibration) -> None:
    assert [one.run for one in calibration.held_out] == sorted(f"{w}-{k}" for w in ("serve", "batch") for k in range(6))
    assert all(one.hours == pytest.approx(0.2) for one in calibration.held_out)
    whole, rest = Library.fit(references(runs=6), names=names()), calibration.without["serve-3"]
    gone = {row.tobytes() for row in whole.enrolled["serve"].windows_of["serve-3"]}
    assert gone
    assert not gone & {row.tobytes() for row in rest.enrolled["serve"].windows}
    assert len(rest.enrolled["serve"].windows) == len(whole.enrolled["serve"].windows) - len(gone)
    assert rest.enrolled["serve"].level_usual == whole.enrolled["serve"].level_usual


def test_a_run_is_one_number_however_many_units_it_has() -> None:
    two = calibrate(references(("serve",), runs=3, units=2), names=names(), window_s=WINDOW_S)
    assert [one.run for one in two.held_out] == ["serve-0", "serve-1", "serve-2"]
    made = references(("serve",), runs=3, units=2)
    library = two.without["serve-1"]
    parts = [one for one in made if one.run == "serve-1"]
    together = held_out(library, parts, window_s=WINDOW_S)
    assert together is not None
    each = [held_out(library, [part], window_s=WINDOW_S) for part in parts]
    assert together.largest == max(one.largest for one in each if one is not None)


def test_training_is_beyond_the_threshold_and_the_workload_is_not(calibration: Calibration) -> None:
    limit = calibration.threshold("serve", per_device_hour_max=1.0)
    assert limit is not None
    library = Library.fit(references(runs=6), names=names())
    place = library.workloads.index("serve")

    def largest(workload: str, seed: int) -> float:
        return float(np.nanmax(library.distances(features(frame(workload, seed))[:, 0], whole=True)[:, place]))

    assert largest("train", 1) > 2 * limit.distance
    within = [largest("serve", 200 + k) for k in range(10)]
    assert np.mean(np.array(within) > limit.distance) <= 0.2


def made(distances: list[float], *, workload: str = "w", hours: float = 0.5) -> list[HeldOut]:
    return [
        HeldOut(run=f"{workload}{k}", workload=workload, largest=value, mean=value, hours=hours)
        for k, value in enumerate(distances)
    ]


def test_the_threshold_is_the_rank_that_the_rate_allows() -> None:
    calibration = Calibration(held_out=tuple(made([float(k) for k in range(1, 20)])), without={})
    # 19 runs of half an hour: a rate of 0.1 per hour lets 5 % of runs exceed it: one of 20.
    limit = calibration.threshold("w", per_device_hour_max=0.1)
    assert limit is not None
    assert (limit.distance, limit.runs, limit.pooled) == (19.0, 19, False)
    assert limit.per_device_hour == pytest.approx(0.1)
    higher = calibration.threshold("w", per_device_hour_max=0.4)
    assert higher is not None
    assert higher.distance == 16.0


def test_too_few_runs_say_what_they_support_and_never_less() -> None:
    calibration = Calibration(held_out=tuple(made([3.0, 1.0, 2.0])), without={})
    limit = calibration.threshold("w", per_device_hour_max=0.01)
    assert limit is not None
    assert limit.distance == 3.0
    assert limit.per_device_hour == pytest.approx(1 / (4 * 0.5))


def test_other_workloads_are_borrowed_where_a_workload_has_too_few_runs_and_it_is_said() -> None:
    many = made([float(k) for k in range(1, 40)], workload="many")
    calibration = Calibration(held_out=(*many, *made([5.0, 6.0], workload="few")), without={})
    limit = calibration.threshold("few", per_device_hour_max=0.1)
    assert limit is not None
    assert (limit.pooled, limit.runs) == (True, 41)
    alone = calibration.threshold("many", per_device_hour_max=0.1)
    assert alone is not None
    assert not alone.pooled


def test_runs_that_were_never_held_out_have_no_threshold() -> None:
    single = calibrate(references(("serve",), runs=1), names=names(), window_s=WINDOW_S)
    assert single.held_out == ()
    assert single.threshold("serve", per_device_hour_max=1.0) is None


def test_one_run_of_two_workloads_is_refused() -> None:
    twice = [Reference(run="a", workload=w, values=np.zeros((1, len(names())))) for w in ("x", "y")]
    with pytest.raises(ValueError, match="two workloads"):
        calibrate(twice, names=names(), window_s=WINDOW_S)


def test_the_promise_holds_on_runs_never_seen() -> None:
    """Exchangeable runs exceed the threshold of rate q at most with probability q, on average over enrolments."""
    random = np.random.default_rng(5)
    exceeded = 0
    for _ in range(2_000):
        runs = random.lognormal(size=20)
        limit = Calibration(held_out=tuple(made(runs[:19].tolist())), without={}).threshold(
            "w", per_device_hour_max=0.2
        )
        assert limit is not None
        exceeded += runs[19] > limit.distance
    assert exceeded / 2_000 == pytest.approx(0.1, abs=0.03)
