"""Caps on a sphere: whether they meet, and what of their intersection is farthest from a place, and nearest.

A cap is all unit vectors x with x.u >= cos(a), for a centre u and a radius a in [0, pi]. A linear function takes its extremes over
an intersection of caps in one of three kinds of places, each of which is tried:

1. inside of all caps: only where it is extreme on the whole sphere, at the place itself or opposite;
2. on the edge of one cap, where the edge touches a circle around the place: two points, on the great circle through both centres;
3. on the edges of two caps: their two points of intersection.

What lies in all caps (within `ANGLE_SLACK`) is kept. If nothing is kept, nothing lies in all caps: a closed set that is not empty
has a farthest point. This holds for caps larger than half the sphere, too. With n caps there are at most n (n + 1) points, each
held against n caps; caps that hold another one whole are dropped first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.custody.location.reference import ANGLE_SLACK

Vectors = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Caps:
    """Some caps. Build them by `caps`."""

    centres: Vectors
    """Shape (n, 3)."""
    radii: NDArray[np.float64]
    """Shape (n,), in [0, pi]."""

    def __len__(self) -> int:
        return len(self.radii)


def unit(latitude_deg: float, longitude_deg: float) -> Vectors:
    """The vertical of a place: a unit vector."""
    latitude, longitude = math.radians(latitude_deg), math.radians(longitude_deg)
    return np.asarray(
        [math.cos(latitude) * math.cos(longitude), math.cos(latitude) * math.sin(longitude), math.sin(latitude)]
    )


def place(vector: Vectors) -> tuple[float, float]:
    """Latitude and longitude of a unit vector, in degrees."""
    x, y, z = (float(one) for one in vector)
    return math.degrees(math.atan2(z, math.hypot(x, y))), math.degrees(math.atan2(y, x))


def angle(one: Vectors, other: Vectors) -> float:
    """Between two unit vectors, also where they are close or opposite."""
    return 2 * math.atan2(float(np.linalg.norm(one - other)), float(np.linalg.norm(one + other)))


def caps(centres: Sequence[Vectors], radii: Sequence[float]) -> Caps:
    """Caps that count: those that hold another one whole are dropped. Raises `ValueError` on none, or a radius below 0."""
    if not centres or len(centres) != len(radii):
        raise ValueError("there must be caps, each with a radius")
    if not all(0 <= radius < math.inf for radius in radii):
        raise ValueError("a radius is a number of at least 0")
    order = np.argsort(np.asarray(radii), kind="stable")
    kept_centres: list[Vectors] = []
    kept_radii: list[float] = []
    for number in order.tolist():
        centre, radius = np.asarray(centres[number], dtype=np.float64), min(math.pi, float(radii[number]))
        if kept_centres:
            away = _angles(np.asarray(kept_centres), centre)
            if bool(np.any(away + np.asarray(kept_radii) <= radius)):
                continue
        kept_centres.append(centre)
        kept_radii.append(radius)
    return Caps(centres=np.asarray(kept_centres), radii=np.asarray(kept_radii))


def _angles(vectors: Vectors, to: Vectors) -> NDArray[np.float64]:
    found: NDArray[np.float64] = 2 * np.arctan2(
        np.linalg.norm(vectors - to, axis=1), np.linalg.norm(vectors + to, axis=1)
    )
    return found


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How far an intersection lies from a place, as angles."""

    nearest: float
    farthest: float
    far_point: tuple[float, float, float]


def reach(of: Caps, to: Vectors) -> Reach | None:
    """The nearest and the farthest point of the intersection, as seen from `to`; none where the caps do not meet."""
    inside = kept(of, candidates(of, to))
    if not len(inside):
        return None
    away = _angles(inside, to)
    far = inside[int(np.argmax(away))]
    return Reach(
        nearest=float(away.min()), farthest=float(away.max()), far_point=(float(far[0]), float(far[1]), float(far[2]))
    )


def candidates(of: Caps, to: Vectors) -> Vectors:
    """Steps 1 to 3."""
    found = [to[None, :], -to[None, :]]
    for number in range(len(of)):
        found.append(_touching(of, number, to))
        found.append(_crossing(of, number))
    return np.concatenate(found)


def _touching(of: Caps, number: int, to: Vectors) -> Vectors:
    """Where the edge of a cap comes nearest to a place, and where it is farthest."""
    centre, radius = of.centres[number], float(of.radii[number])
    across = to - float(to @ centre) * centre
    length = float(np.linalg.norm(across))
    if length < 1e-12:  # the place is the centre, or opposite: every point of the edge is as far
        across, length = _any_across(centre), 1.0
    across = across / length
    return np.asarray(
        [math.cos(radius) * centre + sign * math.sin(radius) * across for sign in (1.0, -1.0)], dtype=np.float64
    )


def _any_across(centre: Vectors) -> Vectors:
    axis = np.zeros(3)
    axis[int(np.argmin(np.abs(centre)))] = 1.0
    across = axis - float(axis @ centre) * centre
    return across / float(np.linalg.norm(across))


def _crossing(of: Caps, number: int) -> Vectors:
    """Where the edge of a cap meets those of caps after it.

    Both centres and a crossing are a triangle with three known sides. Its angle at the first centre is taken from half-angles,
    which lose no digits in small triangles, as planes that are cut with each other do.
    """
    u, v = of.centres[number], of.centres[number + 1 :]
    if not len(v):
        return np.zeros((0, 3))
    a, b, c = float(of.radii[number]), of.radii[number + 1 :], _angles(v, u)
    half = (a + b + c) / 2
    # Where one side is longer than both others, or all are longer than a circle, nothing crosses. Touching counts, to rounding.
    sides = np.stack([half - a, half - b, half - c, math.pi - half])
    sound = np.all(sides >= -ANGLE_SLACK, axis=0) & (c > 0)
    sines = np.sin(np.maximum(sides[:, sound], 0.0))
    turn = 2 * np.arctan2(np.sqrt(sines[0] * sines[2]), np.sqrt(sines[3] * sines[1]))
    east = v[sound] - (v[sound] @ u)[:, None] * u
    norms = np.linalg.norm(east, axis=1, keepdims=True)
    east = np.where(norms > 0, east / np.where(norms > 0, norms, 1.0), _any_across(u))
    north = np.cross(u, east)
    found = [
        math.cos(a) * u + math.sin(a) * (np.cos(turn)[:, None] * east + sign * np.sin(turn)[:, None] * north)
        for sign in (1.0, -1.0)
    ]
    return np.concatenate(found)


def kept(of: Caps, points: Vectors) -> Vectors:
    """The points that lie in all caps."""
    inside = np.ones(len(points), dtype=bool)
    for centre, radius in zip(of.centres, of.radii, strict=True):
        # By chords, which resolve small angles where cosines do not.
        chord = np.linalg.norm(points - centre, axis=1)
        inside &= chord <= 2 * math.sin(min(math.pi, float(radius) + ANGLE_SLACK) / 2) + 1e-15
    return points[inside]
