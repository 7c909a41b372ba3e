"""A region as GeoJSON (RFC 7946), for maps. It draws; what counts are the numbers of `region`.

Caps up to a quarter turn meet in a convex region, which is traced from a point inside along 360 directions. Larger caps are
left out, so that what is drawn is never smaller than the region. Rings are cut at the antimeridian, and closed over a pole that
they hold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from inspectorate.declaration.types import Position
from inspectorate.mechanisms.custody.location.region import Landmark, Region
from inspectorate.mechanisms.custody.location.sphere import Caps, Vectors, candidates, kept, place, unit

DIRECTIONS = 360
Ring = list[tuple[float, float]]


def geojson(region: Region, landmarks: Mapping[str, Landmark], declared: Position) -> dict[str, object]:
    """The region, the declared position, the farthest point and the landmarks, as one collection of features."""
    features = [
        _point(declared.longitude_deg, declared.latitude_deg, {"what": "declared"}),
        *(
            _point(landmarks[name].position.longitude_deg, landmarks[name].position.latitude_deg,
                   {"what": "landmark", "id": name, "distance_m_max": round(region.distances_m[name])})
            for name in region.landmarks
        ),
    ]  # fmt: skip
    if region.farthest is not None:
        features.append(_point(region.farthest[1], region.farthest[0], {"what": "farthest"}))
    rings = outline(region.caps) if region.caps is not None and region.radius_m is not None else []
    geometry = {"type": "MultiPolygon", "coordinates": [[ring] for ring in rings]} if rings else None
    properties = {
        "what": "region", "standing": region.standing.value, "medium": region.medium.value,
        "radius_m": region.radius_m, "away_m": region.away_m,
    }  # fmt: skip
    features.insert(0, {"type": "Feature", "geometry": geometry, "properties": properties})
    return {"type": "FeatureCollection", "features": features}


def _point(longitude: float, latitude: float, properties: dict[str, object]) -> dict[str, object]:
    geometry = {"type": "Point", "coordinates": [longitude, latitude]}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def outline(of: Caps) -> list[Ring]:
    """The edge of the intersection as rings of longitude and latitude, counter-clockwise; none where nothing can be drawn."""
    small = of.radii <= math.pi / 2
    if not small.any():
        return []
    drawn = Caps(centres=of.centres[small], radii=of.radii[small])
    middle = _inside(drawn)
    if middle is None:
        return []
    return _cut([place(one) for one in _traced(drawn, middle)], holds=_poles(drawn))


def _inside(of: Caps) -> Vectors | None:
    """A point of a convex intersection: the middle of its extreme points seen from the smallest cap, that centre if it is one."""
    points = kept(of, candidates(of, of.centres[0]))
    if not len(points):
        return None
    middle = points.sum(axis=0)
    length = float(np.linalg.norm(middle))
    if length < 1e-9:
        return None
    found: Vectors = middle / length
    return found


def _traced(of: Caps, middle: Vectors) -> list[Vectors]:
    """From the middle along every direction up to the first edge."""
    axis = np.zeros(3)
    axis[int(np.argmin(np.abs(middle)))] = 1.0
    east = np.cross(middle, axis)
    east /= np.linalg.norm(east)
    north = np.cross(middle, east)
    found = []
    for number in range(DIRECTIONS):
        turn = 2 * math.pi * number / DIRECTIONS
        along = math.cos(turn) * east + math.sin(turn) * north
        # cos(t) u.m + sin(t) u.d >= cos(a) first fails at t = atan2(u.d, u.m) + acos(cos(a) / length)
        on, off = of.centres @ middle, of.centres @ along
        length = np.hypot(on, off)
        ratio = np.clip(np.cos(of.radii) / np.maximum(length, 1e-300), -1.0, 1.0)
        far = np.maximum(0.0, np.arctan2(off, on) + np.arccos(ratio))
        reach = float(far.min())
        found.append(math.cos(reach) * middle + math.sin(reach) * along)
    return found


def _poles(of: Caps) -> tuple[bool, bool]:
    """Whether north and south pole lie inside."""
    north, south = (bool(len(kept(of, unit(latitude, 0.0)[None, :]))) for latitude in (90.0, -90.0))
    return north, south


def _cut(edge: Sequence[tuple[float, float]], *, holds: tuple[bool, bool]) -> list[Ring]:
    """Latitudes and longitudes of an edge as rings between longitudes -180 and 180."""
    ring: Ring = []
    for latitude, longitude in edge:
        before = ring[-1][0] if ring else longitude
        ring.append((longitude + 360 * round((before - longitude) / 360), latitude))
    first = ring[0]
    last = first[0] + 360 * round((ring[-1][0] - first[0]) / 360)
    if holds[0] or holds[1]:
        pole = 90.0 if holds[0] else -90.0
        ring += [(last, first[1]), (last, pole), (first[0], pole)]
    found = []
    for shift in (-360, 0, 360):
        part = _clipped([(longitude + shift, latitude) for longitude, latitude in ring])
        if len(part) >= 3:
            found.append(_closed(part))
    return found


def _clipped(ring: Ring) -> Ring:
    """What of a ring lies between longitudes -180 and 180 (Sutherland & Hodgman)."""
    for limit, side in ((-180.0, 1.0), (180.0, -1.0)):
        kept_: Ring = []
        for number, (x, y) in enumerate(ring):
            px, py = ring[number - 1]
            inside, was = side * (x - limit) >= 0, side * (px - limit) >= 0
            if inside != was:
                kept_.append((limit, py + (y - py) * (limit - px) / (x - px)))
            if inside:
                kept_.append((x, y))
        ring = kept_
    return ring


def _closed(ring: Ring) -> Ring:
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(ring, [*ring[1:], ring[0]], strict=True))
    turned = ring if area >= 0 else ring[::-1]
    rounded = [(round(x, 7), round(y, 7)) for x, y in turned]
    return [*rounded, rounded[0]]
