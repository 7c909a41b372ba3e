"""Regions: caps against dense sampling, true places against random routes, and what a map is given."""

from __future__ import annotations

import math

import numpy as np
import pytest
from bench.chip_location import apart, ground, run
from hypothesis import given, settings
from hypothesis import strategies as st
from location_cases import HERE, LANDMARKS, LEAST_MS

from inspectorate.declaration.types import Position
from inspectorate.mechanisms.custody.location.drawing import geojson
from inspectorate.mechanisms.custody.location.reference import (
    ANGLE_SLACK,
    EARTH_CURVATURE_RADIUS_MAX_M,
    EARTH_CURVATURE_RADIUS_MIN_M,
    FIBRE_M_PER_S,
    SPEED_OF_LIGHT_M_PER_S,
)
from inspectorate.mechanisms.custody.location.region import Landmark, Medium, Standing, locate, round_trip_for_s
from inspectorate.mechanisms.custody.location.routes import Route, fit_routes, locate_usually
from inspectorate.mechanisms.custody.location.sphere import angle, caps, reach, unit


def sampled(centre: np.ndarray, width: float, count: int, random: np.random.Generator) -> np.ndarray:
    """Points within `width` of a centre, or anywhere."""
    points = random.normal(size=(count, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    if width < 1:
        points = centre + width * points * random.uniform(0, 1, (count, 1)) ** 0.5
        points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points


@pytest.mark.parametrize("scale", [1e-3, 0.05, 2.0])
def test_caps_against_dense_sampling(scale: float) -> None:
    """On the whole sphere, and at the scale of a town, where planes that are cut with each other lose the crossing."""
    random = np.random.default_rng(3)
    empty = met = 0
    for _ in range(36):
        count = int(random.integers(1, 6))
        middle = sampled(unit(0, 0), 2.0, 1, random)[0]
        centres = sampled(middle, min(scale, 2.0), count, random)
        radii = random.uniform(0.1, 1.1, count) * scale
        to = sampled(middle, min(scale, 2.0), 1, random)[0]
        points = sampled(middle, 2.5 * scale, 20_000, random)
        inside = points[np.all([[angle_fast(points, c) <= r] for c, r in zip(centres, radii, strict=True)], axis=0)[0]]
        found = reach(caps(list(centres), radii.tolist()), to)
        if found is None:
            assert not len(inside)
            empty += 1
        elif len(inside):
            met += 1
            away = angle_fast(inside, to)
            assert found.nearest - 1e-12 <= away.min()
            assert away.max() <= found.farthest + 1e-12
            if len(inside) > 1500:
                assert away.max() > found.farthest - 0.12 * scale, "not larger than it must be"
                assert away.min() < found.nearest + 0.12 * scale
    assert empty > 1
    assert met > 10


def angle_fast(points: np.ndarray, to: np.ndarray) -> np.ndarray:
    return 2 * np.arcsin(np.minimum(1.0, np.linalg.norm(points - to, axis=1) / 2))


def test_the_farthest_point_lies_in_the_region_and_redundant_caps_change_nothing() -> None:
    centres, radii = [unit(0, 0), unit(0, 10), unit(5, 5)], [0.12, 0.12, 0.09]
    found = reach(caps(centres, radii), unit(0, 5))
    assert found is not None
    far = np.asarray(found.far_point)
    assert all(angle(far, one) <= radius + 2 * ANGLE_SLACK for one, radius in zip(centres, radii, strict=True))
    assert reach(caps([*centres, unit(90, 0)], [*radii, 3.1]), unit(0, 5)) == found
    assert reach(caps([unit(0, 0), unit(0, 90)], [0.5, 0.5]), unit(0, 5)) is None
    whole = reach(caps([unit(0, 0)], [math.pi]), unit(0, 5))
    assert whole is not None
    assert whole.farthest == pytest.approx(math.pi)


@pytest.mark.parametrize("wrong", [([], []), ([unit(0, 0)], [-1.0]), ([unit(0, 0)], [math.nan]), ([unit(0, 0)], [])])
def test_no_caps_are_refused(wrong: tuple[list[np.ndarray], list[float]]) -> None:
    with pytest.raises(ValueError, match=r"caps|radius"):
        caps(*wrong)


places = st.builds(Position, latitude_deg=st.floats(-90, 90), longitude_deg=st.floats(-180, 180))


@given(places, places, st.floats(-4000, 8000), st.floats(-4000, 8000))
@settings(max_examples=80)
def test_the_two_radii_of_the_earth_bound_every_distance(
    one: Position, other: Position, up: float, over: float
) -> None:
    """What `reference` says of curvature, on the ellipsoid itself."""
    verticals = unit(one.latitude_deg, one.longitude_deg), unit(other.latitude_deg, other.longitude_deg)
    straight = apart(ground(one, up), ground(other, over))
    assert straight >= EARTH_CURVATURE_RADIUS_MIN_M * float(np.linalg.norm(verticals[0] - verticals[1])) - 1e-6
    assert apart(ground(one), ground(other)) <= EARTH_CURVATURE_RADIUS_MAX_M * angle(*verticals) + 1e-6


def test_no_true_place_is_excluded_and_no_relay_feigns_nearness() -> None:
    """A small version of `python -m bench chip_location`."""
    found = run(150, 21)
    assert found.relays > 30
    assert (found.excluded, found.beyond, found.feigned) == (0, 0, 0)


def test_a_device_is_shown_within_away_or_nowhere() -> None:
    times = {name: ms / 1e3 for name, ms in LEAST_MS.items()}
    within = locate(times, LANDMARKS, HERE)
    assert within.standing is Standing.WITHIN
    assert within.radius_m is not None
    assert 150_000 < within.radius_m < 300_000
    away = locate(times, LANDMARKS, Position(latitude_deg=40.0, longitude_deg=5.0))
    assert away.standing is Standing.AWAY
    assert away.away_m > 800_000
    nowhere = locate(times | {"east": 1e-4, "west": 1e-4}, LANDMARKS, HERE)
    assert nowhere.standing is Standing.CONTRADICTION
    assert nowhere.radius_m is None
    nothing = locate({}, LANDMARKS, HERE)
    assert nothing.standing is Standing.NOT_MEASURED
    assert nothing.radius_m is None


def test_fibre_is_tighter_than_vacuum_and_faster_than_what_is_laid() -> None:
    times = {name: 2 * ms / 1e3 for name, ms in LEAST_MS.items()}
    radii = [locate(times, LANDMARKS, HERE, medium=medium).radius_m for medium in (Medium.FIBRE, Medium.VACUUM)]
    assert radii[0] < radii[1]
    assert 2 / 3 * SPEED_OF_LIGHT_M_PER_S < SPEED_OF_LIGHT_M_PER_S / 1.4676 < FIBRE_M_PER_S < SPEED_OF_LIGHT_M_PER_S


@pytest.mark.parametrize("radius", [1e4, 1e5, 1e6, 1e7])
def test_the_round_trip_for_a_radius_gives_that_radius(radius: float) -> None:
    known = {"here": Landmark(id="here", position=HERE, position_error_m=0.0)}
    for medium in Medium:
        found = locate({"here": round_trip_for_s(radius, medium)}, known, HERE, medium=medium)
        assert found.radius_m == pytest.approx(radius, rel=1e-6)


# --- what delays usually mean --------------------------------------------------------------------------------------------


def routes(count: int, random: np.random.Generator) -> list[Route]:
    straight = random.uniform(5e4, 3e6, count)
    return [
        Route(distance_m=float(d), round_trip_s=float(2 * d * random.uniform(1.2, 2.0) / 2e8 + 5e-4)) for d in straight
    ]


def test_routes_bound_as_often_as_they_say_and_too_few_bound_nothing() -> None:
    random = np.random.default_rng(5)
    wrong = trials = 0
    for _ in range(60):
        model = fit_routes(routes(60, random))
        for one in routes(20, random):
            trials += 1
            wrong += model.distance_m(one.round_trip_s, 0.1) < one.distance_m
    assert 0.05 < wrong / trials < 0.14
    assert model.distance_m(0.01, 0.01) == math.inf, "30 scores say nothing of one in a hundred"
    with pytest.raises(ValueError, match="routes were measured"):
        fit_routes(routes(7, random))


def test_what_is_usual_is_tighter_and_never_larger_than_the_bound() -> None:
    model = fit_routes(routes(400, np.random.default_rng(6)))
    times = {name: 2.2 * ms / 1e3 for name, ms in LEAST_MS.items()}
    usual = locate_usually(times, LANDMARKS, HERE, model=model, miss_probability=0.1)
    strict = locate(times, LANDMARKS, HERE)
    assert usual.radius_m < strict.radius_m
    few = fit_routes(routes(8, np.random.default_rng(6)))
    assert locate_usually(times, LANDMARKS, HERE, model=few, miss_probability=0.1).radius_m == strict.radius_m


# --- maps ----------------------------------------------------------------------------------------------------------------


def holds(rings: list[list[tuple[float, float]]], longitude: float, latitude: float) -> bool:
    """Even-odd rule over all rings."""
    inside = False
    for ring in rings:
        for (x, y), (px, py) in zip(ring, [ring[-1], *ring[:-1]], strict=True):
            if (y > latitude) != (py > latitude) and longitude < x + (latitude - y) * (px - x) / (py - y):
                inside = not inside
    return inside


@pytest.mark.parametrize(
    ("middle", "ms"), [((10.0, 20.0), 4.0), ((5.0, 179.0), 6.0), ((-20.0, -179.5), 8.0), ((88.0, 40.0), 6.0), ((-89.0, 0.0), 9.0)]
)  # fmt: skip
def test_a_map_shows_the_region_also_over_the_antimeridian_and_the_poles(
    middle: tuple[float, float], ms: float
) -> None:
    declared = Position(latitude_deg=middle[0], longitude_deg=middle[1])
    known = {"one": Landmark(id="one", position=declared), "two": Landmark(id="two", position=Position(
        latitude_deg=max(-90.0, middle[0] - 3), longitude_deg=middle[1]))}  # fmt: skip
    region = locate({"one": ms / 1e3, "two": ms / 1e3}, known, declared)
    drawn = geojson(region, known, declared)
    first = drawn["features"][0]
    rings = [polygon[0] for polygon in first["geometry"]["coordinates"]]
    random = np.random.default_rng(9)
    agreed = 0
    for _ in range(400):
        latitude = float(np.clip(middle[0] + random.uniform(-15, 15), -89.9, 89.9))
        longitude = (
            float(random.uniform(-180, 180))
            if abs(middle[0]) > 80
            else (middle[1] + random.uniform(-15, 15) + 180) % 360 - 180
        )
        point = unit(latitude, longitude)
        margins = [float(r) - angle(point, c) for c, r in zip(region.caps.centres, region.caps.radii, strict=True)]
        if abs(min(margins)) > 0.01:
            agreed += holds(rings, longitude, latitude) == (min(margins) > 0)
        else:
            agreed += 1
    assert agreed == 400
    assert all(-180 <= x <= 180 and -90 <= y <= 90 for ring in rings for x, y in ring)
    assert all(ring[0] == ring[-1] for ring in rings)


def test_a_contradiction_has_no_map() -> None:
    nowhere = locate({"east": 1e-4, "west": 1e-4}, LANDMARKS, HERE)
    assert geojson(nowhere, LANDMARKS, HERE)["features"][0]["geometry"] is None
