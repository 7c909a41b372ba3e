"""Regions from round trips over random routes: `python -m bench chip_location`.

10,000 route models: a device anywhere on the ellipsoid WGS 84, at any height up to 5 km, landmarks around it, and for each a route
there and another one back, from a straight line through the ground at the speed of light to long detours in fibre, with queues; a
third of the devices are elsewhere, behind a relay at the declared place. Counted is how often the true place was excluded, and how
often a relay feigned nearness.
Then: the radius against the number of landmarks and against queues, and what round trip a radius takes. Distances of
the models are those of the ellipsoid, which the code under test never computes. Exits 1 where either happened.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from inspectorate.declaration.types import Position
from inspectorate.mechanisms.custody.location.reference import SPEED_OF_LIGHT_M_PER_S
from inspectorate.mechanisms.custody.location.region import Landmark, Medium, Region, Standing, locate, round_trip_for_s
from inspectorate.mechanisms.custody.location.sphere import kept, unit

MODELS = 10_000
SEED = 8
AXIS_M, FLATTENING = 6_378_137.0, 1 / 298.257223563
"""WGS 84."""
FIBRE = 1 / 1.468
"""Of the speed of light, in ordinary fibre."""
PROCESSING_S = 100e-6
"""From a datagram that comes to one that goes, with a signature between."""


def ground(position: Position, height_m: float = 0.0) -> np.ndarray:
    """The place in metres from the middle of the Earth."""
    latitude, longitude = math.radians(position.latitude_deg), math.radians(position.longitude_deg)
    square = FLATTENING * (2 - FLATTENING)
    across = AXIS_M / math.sqrt(1 - square * math.sin(latitude) ** 2)
    flat = (across + height_m) * math.cos(latitude)
    up = (across * (1 - square) + height_m) * math.sin(latitude)
    return np.asarray([flat * math.cos(longitude), flat * math.sin(longitude), up])


def apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(one - other))


def around(position: Position, distance_m: float, turn: float) -> Position:
    """About so far away in a direction; nothing rests on how far exactly."""
    angle = distance_m / 6_371_000
    latitude, longitude = math.radians(position.latitude_deg), math.radians(position.longitude_deg)
    there = math.asin(math.sin(latitude) * math.cos(angle) + math.cos(latitude) * math.sin(angle) * math.cos(turn))
    east = math.atan2(
        math.sin(turn) * math.sin(angle) * math.cos(latitude), math.cos(angle) - math.sin(latitude) * math.sin(there)
    )
    return Position(latitude_deg=math.degrees(there), longitude_deg=(math.degrees(longitude + east) + 180) % 360 - 180)


def anywhere(random: np.random.Generator) -> Position:
    latitude = math.degrees(math.asin(random.uniform(-1, 1)))
    return Position(latitude_deg=latitude, longitude_deg=float(random.uniform(-180, 180)))


def turn(random: np.random.Generator) -> float:
    return float(random.uniform(0, 2 * math.pi))


def way_s(length_m: float, random: np.random.Generator) -> float:
    """One way of so many metres in a straight line: of any detour, medium and queue."""
    kind = random.integers(4)
    if kind == 0:
        return length_m / SPEED_OF_LIGHT_M_PER_S  # the strictest case: nothing is faster
    detour = 1 + float(random.exponential(0.6))
    speed = FIBRE if kind > 1 else float(random.uniform(FIBRE, 1.0))
    queue = float(random.exponential(random.choice([0.0, 1e-4, 5e-3, 0.1])))
    return length_m * detour / speed / SPEED_OF_LIGHT_M_PER_S + queue


@dataclass(frozen=True)
class Trial:
    """One model: what was measured, and where the device is, and is said to be."""

    true: Position
    declared: Position
    landmarks: dict[str, Landmark]
    round_trips_s: dict[str, float]
    relayed: bool
    """A relay stands at the declared place, and hands on what comes to a device that is elsewhere."""


def trial(random: np.random.Generator) -> Trial:
    true, height = anywhere(random), float(random.uniform(-400, 5000))
    here = ground(true, height)
    relayed = random.random() < 1 / 3
    other = around(true, float(10 ** random.uniform(3, 7)), turn(random))
    declared = other if relayed or random.random() < 0.3 else true
    between = ground(declared)
    landmarks, times = {}, {}
    for number in range(int(random.integers(1, 9))):
        name = f"l{number}"
        where = around(declared if relayed else true, float(10 ** random.uniform(3, 7.2)), turn(random))
        error = float(random.choice([0.0, 100.0, 5000.0]))
        stands = ground(around(where, error * random.uniform(0, 0.9), turn(random)), float(random.uniform(0, 3000)))
        # The reviewer's word covers what the position is off, and the height of the landmark, which `Position` has not.
        landmarks[name] = Landmark(id=name, position=where, position_error_m=error + 3000.0)
        legs = [(stands, between), (between, here)] if relayed else [(stands, here)]
        ways = sum(way_s(apart(*leg), random) + way_s(apart(*leg), random) for leg in legs)
        times[name] = ways + float(random.choice([0.0, PROCESSING_S, 0.05]))
    return Trial(true, declared, landmarks, times, relayed)


def holds(region: Region, true: Position) -> bool:
    """Whether the true place is in a region."""
    assert region.caps is not None
    return bool(len(kept(region.caps, unit(true.latitude_deg, true.longitude_deg)[None, :])))


@dataclass
class Counts:
    models: int = 0
    relays: int = 0
    excluded: int = 0
    """The true place is not in the region, or the region is empty."""
    beyond: int = 0
    """The device is farther from the declared place than the radius, or nearer than it must be."""
    feigned: int = 0
    """A relay at the declared place made the radius smaller than the device is away."""


def run(models: int, seed: int) -> Counts:
    """Judge so many models by the strict bound."""
    random = np.random.default_rng(seed)
    found = Counts()
    for _ in range(models):
        one = trial(random)
        region = locate(one.round_trips_s, one.landmarks, one.declared)
        off = apart(ground(one.true), ground(one.declared))
        wrong = region.radius_m is None or off > region.radius_m or off < region.away_m
        found.models += 1
        found.relays += one.relayed
        found.excluded += region.standing is Standing.CONTRADICTION or not holds(region, one.true)
        found.beyond += wrong
        found.feigned += one.relayed and wrong
    return found


def radius_m(landmarks: int, queue_s: float, pings: int, random: np.random.Generator) -> float:
    """Of a device where it is declared, with routes as they usually are: in fibre, and 1.2 to 2 times as long as the ground."""
    true = anywhere(random)
    known, least = {}, {}
    for number in range(landmarks):
        name = f"l{number}"
        where = around(true, float(random.uniform(2e5, 2e6)), turn(random))
        known[name] = Landmark(id=name, position=where)
        there, back = random.uniform(1.2, 2.0, 2)
        straight = apart(ground(true), ground(where))
        route = straight * float(there + back) / FIBRE / SPEED_OF_LIGHT_M_PER_S + PROCESSING_S
        least[name] = route + float(random.exponential(queue_s, pings).min())
    return locate(least, known, true).radius_m or math.nan


def main() -> int:
    """Print the tables, and whether they may be so."""
    found = run(MODELS, SEED)
    print(
        f"{found.models} route models, {found.relays} with a relay at the declared place: true place excluded "
        f"{found.excluded}, radius wrong {found.beyond}, nearness feigned by a relay {found.feigned}"
    )
    table = Table(title="median radius in km, landmarks 200 to 2,000 km away, 20 round trips each", show_edge=False)
    queues = (0.0, 1e-3, 1e-2, 0.1)
    for column in ("landmarks", *(f"queues of {queue * 1e3:g} ms" for queue in queues)):
        table.add_column(column, justify="right")
    for landmarks in (1, 2, 3, 5, 10, 20, 50):
        random = np.random.default_rng(SEED)
        row = [np.median([radius_m(landmarks, queue, 20, random) for _ in range(60)]) / 1e3 for queue in queues]
        table.add_row(str(landmarks), *(f"{value:,.0f}" for value in row))
    Console(width=120).print(table)
    needs = Table(title="round trip to a landmark beside the device that shows a radius", show_edge=False)
    for column in ("radius", "in vacuum (strict)", "in fibre (assumed)"):
        needs.add_column(column, justify="right")
    for radius in (1e4, 1e5, 1e6):
        needs.add_row(f"{radius / 1e3:,.0f} km", *(f"{round_trip_for_s(radius, one) * 1e3:.3f} ms" for one in Medium))
    Console(width=120).print(needs)
    wrong = found.excluded + found.beyond + found.feigned
    print("the true place is never excluded, and no relay feigns nearness" if not wrong else "MISSED")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
