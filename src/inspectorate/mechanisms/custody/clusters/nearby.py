"""Which sites lie within a distance of each other: great circles on a sphere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from inspectorate.declaration import Position
from inspectorate.mechanisms.custody.clusters.network import FloatArray, IntArray
from inspectorate.mechanisms.custody.clusters.reference import EARTH_RADIUS_M

PAIRS_MAX = 5_000_000
"""Pairs of near sites that are kept. Ours: two thousand sites that all lie near each other."""


def distance_m(a: Position, b: Position) -> float:
    """The great-circle distance of two positions."""
    lat, lon = np.radians([a.latitude_deg, b.latitude_deg]), np.radians([a.longitude_deg, b.longitude_deg])
    return float(_haversine(lat[:1], lon[:1], lat[1:], lon[1:])[0])


def near_pairs(
    sites: Sequence[str], positions: Mapping[str, Position], within_m: float
) -> tuple[IntArray, IntArray, tuple[str, ...], bool]:
    """Pairs of numbers of sites within a distance; the sites whose position is not known; and whether all pairs are there.

    A site whose position is not known is near nothing here: that it was not looked at must be said by the caller.
    """
    unknown = tuple(site for site in sites if site not in positions)
    known = np.array([number for number, site in enumerate(sites) if site in positions], dtype=np.int64)
    lat = np.radians([positions[sites[number]].latitude_deg for number in known.tolist()])
    lon = np.radians([positions[sites[number]].longitude_deg for number in known.tolist()])
    order = np.argsort(lat, kind="stable")
    known, lat, lon = known[order], lat[order], lon[order]
    # Two places within a distance differ in latitude by no more than that distance on a meridian.
    last = np.searchsorted(lat, lat + within_m / EARTH_RADIUS_M * (1 + 1e-9), side="right")
    one: list[IntArray] = []
    other: list[IntArray] = []
    pairs = 0
    for place in range(known.size):
        after = slice(place + 1, int(last[place]))
        close = np.flatnonzero(_haversine(lat[place], lon[place], lat[after], lon[after]) <= within_m) + place + 1
        one.append(np.full(close.size, known[place]))
        other.append(known[close])
        pairs += close.size
        if pairs > PAIRS_MAX:
            return np.concatenate(one), np.concatenate(other), unknown, False
    empty = [np.empty(0, dtype=np.int64)]
    return np.concatenate(one or empty), np.concatenate(other or empty), unknown, True


def _haversine(
    lat: FloatArray | float, lon: FloatArray | float, other_lat: FloatArray, other_lon: FloatArray
) -> FloatArray:
    half = np.sin((other_lat - lat) / 2) ** 2 + np.cos(lat) * np.cos(other_lat) * np.sin((other_lon - lon) / 2) ** 2
    found: FloatArray = 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(1.0, half)))
    return found
