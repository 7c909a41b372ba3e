"""From round trips to a region, on the safe side in every step.

1. A round trip of t bounds the way to the device and back: each is at most c t/2 on average, so the device is within c t/2 of the
   landmark in a straight line, through the ground if need be, for the route cannot be shorter than that.
2. t is taken longer by what a landmark's clock may run slow; the distance by what is not known of the landmark's own position.
3. A straight line of d means verticals that differ by a chord of at most d/r, with r below every radius of curvature of the
   Earth: a cap of the angle 2 asin(d/2r) around the landmark.
4. The device is in all caps. If they do not meet: a contradiction.
5. The farthest point of the intersection from the declared position bounds how far off the device can be, by R times the angle with
   R above every radius of curvature; the nearest point how far off it must be, by r times the chord.

Steps 3 and 5 cost at most 1.3 % of a radius, and no height, depth or shape of the Earth makes them wrong.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from pydantic import Field

from inspectorate.canonical import Identifier, Record
from inspectorate.declaration.types import Position
from inspectorate.mechanisms.custody.location.reference import (
    CLOCK_RATE_ERROR_MAX,
    EARTH_CURVATURE_RADIUS_MAX_M,
    EARTH_CURVATURE_RADIUS_MIN_M,
    FIBRE_M_PER_S,
    LANDMARKS_MAX,
    SPEED_OF_LIGHT_M_PER_S,
)
from inspectorate.mechanisms.custody.location.sphere import Caps, Reach, caps, place, reach, unit
from inspectorate.quantities import NonNegative


class Medium(StrEnum):
    """How fast a signal can be at most."""

    VACUUM = "vacuum"
    """Strict."""
    FIBRE = "fibre"
    """Assumes that the whole route is ordinary fibre: no radio, no satellite, no hollow core."""

    @property
    def m_per_s(self) -> float:
        return SPEED_OF_LIGHT_M_PER_S if self is Medium.VACUUM else FIBRE_M_PER_S


class Landmark(Record):
    """A landmark of the verifier, as the reviewer knows it."""

    id: Identifier
    position: Position
    position_error_m: NonNegative = Field(default=100.0, description="within which its position is known")


class Standing(StrEnum):
    """How a region stands to the declared position."""

    WITHIN = "within"
    """The declared position is possible, and the device is within `radius_m` of it."""
    AWAY = "away"
    """The declared position is impossible: the device is at least `away_m` from it, if clocks, landmarks and key are sound."""
    CONTRADICTION = "contradiction"
    """No place fits all times: a clock, a position of a landmark, or a key is false. Nothing follows for the device."""
    NOT_MEASURED = "not-measured"
    """No round trip could be used. Nothing is known."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Region:
    """Where a device can stand."""

    standing: Standing
    medium: Medium
    landmarks: tuple[str, ...]
    """Whose round trips were used."""
    distances_m: Mapping[str, float]
    """From each of them, in a straight line, at most."""
    caps: Caps | None = None
    radius_m: float | None = None
    """Within which of the declared position the device stands; none unless it is shown to be somewhere."""
    away_m: float = 0.0
    """How far from the declared position it must at least be."""
    farthest: tuple[float, float] | None = None
    """Latitude and longitude of the point of the region that is farthest from the declared position."""


def distance_max_m(round_trip_s: float, medium: Medium, *, position_error_m: float = 0.0) -> float:
    """Steps 1 and 2. Raises `ValueError` on a negative time."""
    if not 0 <= round_trip_s < math.inf:
        raise ValueError(f"a round trip takes a time of at least 0, not {round_trip_s}")
    return round_trip_s * (1 + CLOCK_RATE_ERROR_MAX) / 2 * medium.m_per_s + position_error_m


def cap_angle(distance_m: float) -> float:
    """Step 3."""
    return 2 * math.asin(min(1.0, distance_m / (2 * EARTH_CURVATURE_RADIUS_MIN_M)))


def locate(
    round_trips_s: Mapping[str, float],
    landmarks: Mapping[str, Landmark],
    declared: Position,
    *,
    medium: Medium = Medium.VACUUM,
) -> Region:
    """The region of the least round trip to each landmark, around a declared position.

    Raises `KeyError` on a landmark that the reviewer does not know, and `ValueError` on more than `LANDMARKS_MAX`.
    """
    if len(round_trips_s) > LANDMARKS_MAX:
        raise ValueError(f"{len(round_trips_s)} landmarks are more than {LANDMARKS_MAX}")
    distances = {
        name: distance_max_m(time, medium, position_error_m=landmarks[name].position_error_m)
        for name, time in sorted(round_trips_s.items())
    }
    return within(distances, landmarks, declared, medium=medium)


def within(
    distances_m: Mapping[str, float], landmarks: Mapping[str, Landmark], declared: Position, *, medium: Medium
) -> Region:
    """Steps 3 to 5, from what bounds the distance to each landmark."""
    names = tuple(distances_m)
    if not names:
        return Region(standing=Standing.NOT_MEASURED, medium=medium, landmarks=(), distances_m={})
    centres = [unit(landmarks[name].position.latitude_deg, landmarks[name].position.longitude_deg) for name in names]
    found = caps(centres, [cap_angle(distances_m[name]) for name in names])
    seen = reach(found, unit(declared.latitude_deg, declared.longitude_deg))
    if seen is None:
        return Region(
            standing=Standing.CONTRADICTION, medium=medium, landmarks=names, distances_m=distances_m, caps=found
        )
    return Region(
        standing=Standing.AWAY if seen.nearest > 0 else Standing.WITHIN, medium=medium, landmarks=names,
        distances_m=distances_m, caps=found, radius_m=_over_ground(seen), away_m=_apart(seen),
        farthest=place(np.asarray(seen.far_point)),
    )  # fmt: skip


def _over_ground(seen: Reach) -> float:
    return EARTH_CURVATURE_RADIUS_MAX_M * seen.farthest


def _apart(seen: Reach) -> float:
    return 2 * EARTH_CURVATURE_RADIUS_MIN_M * math.sin(seen.nearest / 2)


def round_trip_for_s(radius_m: float, medium: Medium) -> float:
    """The round trip to a landmark beside the declared position that shows the device within this radius."""
    chord = 2 * EARTH_CURVATURE_RADIUS_MIN_M * math.sin(min(math.pi, radius_m / EARTH_CURVATURE_RADIUS_MAX_M) / 2)
    return 2 * chord / medium.m_per_s / (1 + CLOCK_RATE_ERROR_MAX)
