"""Distances to enrolled workloads: what is close, what is far, and what is not measured."""

from __future__ import annotations

import numpy as np
import pytest
from signature_making import features, frame, names, references

from inspectorate.mechanisms.workloads.signature.library import Library, Reference
from inspectorate.mechanisms.workloads.signature.represent import Representation


@pytest.fixture(scope="module")
def library() -> Library:
    return Library.fit(references(), names=names())


def test_a_run_never_seen_is_close_to_its_own_workload_alone(library: Library) -> None:
    for number, workload in enumerate(library.workloads):
        distances = library.distances(features(frame(workload, 7))[:, 0])
        own, other = distances[:, number], distances[:, 1 - number]
        assert (own[3:] < 4).all(), "about 1 for each of the two parts"
        assert (other > 5 * own).all()


def test_what_was_never_enrolled_is_far_from_all(library: Library) -> None:
    distances = library.distances(features(frame("train", 7))[:, 0])
    assert (distances.min(axis=1) > 8).all()


def test_the_same_rhythm_at_another_level_is_far(library: Library) -> None:
    """A level that repeats to a thousandth is told apart at eight hundredths."""
    near = library.distances(features(frame("serve", 8))[:, 0])[-1].min()
    assert library.distances(features(frame("serve", 8, gain=1.08))[:, 0])[-1].min() > 2 * near


def test_windows_that_were_not_observed_have_no_distance_and_are_passed_over(library: Library) -> None:
    values = features(frame("serve", 9))[:, 0]
    gone = [0, 1, 2, 8]
    holed = values.copy()
    holed[gone] = np.nan
    distances = library.distances(holed, block=4)
    assert np.isnan(distances[gone]).all()
    kept = np.delete(np.arange(len(values)), gone)
    assert distances[kept] == pytest.approx(library.distances(values[kept], block=4))


def test_a_whole_block_is_waited_for_and_too_few_windows_are_one(library: Library) -> None:
    values = features(frame("serve", 9))[:, 0]
    part, whole = library.distances(values, block=5), library.distances(values, block=5, whole=True)
    assert np.isnan(whole[:4]).all()
    assert (whole[4:] == part[4:]).all()
    few = library.distances(values[:3], block=5, whole=True)
    assert np.isnan(few[:2]).all()
    assert (few[2] == part[2]).all()


def test_a_block_is_the_mean_texture_of_its_windows_and_the_level_of_their_mean(library: Library) -> None:
    """The oracle: one block by hand."""
    values = features(frame("batch", 11))[:, 0]
    own = library.workloads.index("batch")
    known = library.enrolled["batch"]
    coordinates = library.representation.apply(values[2:7])
    texture = [
        min(np.sqrt((((row / library.texture_scale) - one) ** 2).sum()) for one in known.windows) for row in coordinates
    ]
    mean = coordinates.mean(axis=0) / library.level_scale
    level = min(np.minimum(np.abs(mean - one), 20.0).mean() for one in known.blocks)
    expected = np.mean(texture) / known.texture_usual + level / known.level_usual
    assert library.distances(values, block=5)[6, own] == pytest.approx(expected, rel=1e-9)


def test_the_order_and_the_names_of_runs_change_nothing() -> None:
    made = references(runs=3)
    one = Library.fit(made, names=names())
    renamed = [Reference(run=f"x{r.run}", workload=r.workload, values=r.values) for r in reversed(made)]
    other = Library.fit(renamed, names=names())
    values = features(frame("serve", 5))[:, 0]
    assert one.distances(values) == pytest.approx(other.distances(values), rel=1e-9)


def test_another_unit_of_watts_changes_little() -> None:
    """Kilowatts or watts: coordinates are relative to what is usual."""
    made = references(runs=3)
    scale = np.array([1000.0 if _in_watts(name) else 1.0 for name in names()])
    large = [Reference(run=r.run, workload=r.workload, values=r.values * scale) for r in made]
    values = features(frame("batch", 5))[:, 0]
    small = Library.fit(made, names=names()).distances(values)
    assert Library.fit(large, names=names()).distances(values * scale) == pytest.approx(small, rel=1e-6)


def _in_watts(name: str) -> bool:
    feature = name.split(":")[1]
    return (
        feature in ("mean", "std", "dip_depth", "rise_height")
        or "difference" in feature
        or feature[0] == "q"
        or (feature in ("min", "max"))
    )


def test_departures_name_what_differs(library: Library) -> None:
    found = library.departures(features(frame("serve", 8, gain=1.5))[:, 0], "serve")
    assert found[0][0] == "power_w:mean"
    assert found[0][1] > 5


def test_nothing_observed_is_refused() -> None:
    nothing = [Reference(run="a", workload="w", values=np.full((3, len(names())), np.nan))]
    with pytest.raises(ValueError, match="observed"):
        Library.fit(nothing, names=names())
    with pytest.raises(ValueError, match="observed"):
        Library.fit([], names=names())


def test_one_run_each_is_enough_to_measure_by() -> None:
    single = Library.fit(references(runs=1), names=names())
    distances = single.distances(features(frame("serve", 3))[:, 0])[-1]
    assert single.workloads[int(distances.argmin())] == "serve"


def test_a_feature_that_cannot_always_be_had_says_so_in_a_coordinate() -> None:
    made = np.concatenate([r.values for r in references(runs=2)])
    place = names().index("power_w:autocorrelation_5")
    made[::2, place] = np.nan
    fitted = Representation.fit(made, names())
    assert "power_w:autocorrelation_5 is there" in fitted.coordinates
    applied = fitted.apply(made)
    assert np.isfinite(applied).all()
    assert set(applied[:, -1]) == {0.0, 1.0}


def test_windows_of_other_features_are_refused(library: Library) -> None:
    with pytest.raises(ValueError, match="features of the reference"):
        library.distances(np.zeros((4, 3)))
