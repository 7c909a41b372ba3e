"""What delays usually mean: a tighter region from measured routes between known places, with a confidence, and apart.

1. Routes between places of known positions are split in two, every other one. On the first half a line is fitted: distance by round
   trip.
2. On the second half the score of a route is (distance - line)/(line + 100 km). For a miss probability e the bound of a further
   route is the line and the ceil((n + 1)(1 - e))-th smallest score: too small with probability at most e, if the routes to the
   device are exchangeable with those that were measured (split conformal prediction: V. Vovk, A. Gammerman, G. Shafer,
   "Algorithmic Learning in a Random World", 2005; J. Lei et al., JASA 113, 2018).
3. For several landmarks the misses add up.

The assumption is strong: a device beside a straight private line is nearer than other routes of such a delay say. Nothing of
this ever changes the hard bound, and a prover that lays a fibre for it breaks it. Too few routes bound nothing.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inspectorate.declaration.types import Position
from inspectorate.errors import InputError
from inspectorate.mechanisms.custody.location.reference import ROUTES_MAX
from inspectorate.mechanisms.custody.location.region import Landmark, Medium, Region, distance_max_m, within
from inspectorate.statistics.numerics import checked_probability

OFFSET_M = 100_000.0
"""Added to the line in a score, so that short routes do not decide all."""
ROUTES_MIN = 8
ROUTE_COLUMNS = ("distance_km", "round_trip_ms")
ROUTES_BYTES_MAX = 1 << 24


@dataclass(frozen=True, kw_only=True)
class Route:
    """The least round trip between two known places."""

    distance_m: float
    round_trip_s: float


@dataclass(frozen=True, kw_only=True)
class RouteModel:
    """A line, and scores of routes that it was not fitted on."""

    start_m: float
    m_per_s: float
    scores: tuple[float, ...]
    """Sorted."""

    def line_m(self, round_trip_s: float) -> float:
        return max(0.0, self.start_m + self.m_per_s * round_trip_s)

    def distance_m(self, round_trip_s: float, miss_probability: float) -> float:
        """Step 2; infinite where the routes are too few for this miss probability."""
        miss = checked_probability("the miss probability", miss_probability)
        number = math.ceil((len(self.scores) + 1) * (1 - miss) - 1e-9)
        if number > len(self.scores):
            return math.inf
        line = self.line_m(round_trip_s)
        return max(0.0, line + self.scores[number - 1] * (line + OFFSET_M))


def read_routes(data: bytes, *, where: str) -> list[Route]:
    """Measured routes from a CSV with the columns `distance_km,round_trip_ms`. Raises `InputError`, naming the line."""
    if len(data) > ROUTES_BYTES_MAX:
        raise InputError(f"is larger than {ROUTES_BYTES_MAX} bytes", where=where)
    reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig", errors="replace")))
    if tuple(reader.fieldnames or ()) != ROUTE_COLUMNS:
        raise InputError("has other columns", where=where, remedy=f"its first line is {','.join(ROUTE_COLUMNS)}")
    found = []
    for number, row in enumerate(reader, start=2):
        try:
            distance, trip = (float(row[name]) for name in ROUTE_COLUMNS)
        except (TypeError, ValueError):
            distance = trip = math.nan
        if not (0 <= distance < math.inf and 0 < trip < math.inf):
            raise InputError(
                "is no route",
                where=f"{where}, line {number}",
                remedy="a distance of at least 0 km, and a round trip above 0 ms",
            )
        found.append(Route(distance_m=distance * 1e3, round_trip_s=trip / 1e3))
    return found


def fit_routes(routes: Sequence[Route]) -> RouteModel:
    """Steps 1 and 2. Raises `ValueError` on fewer than `ROUTES_MIN` routes, too many, or values that are none."""
    if not ROUTES_MIN <= len(routes) <= ROUTES_MAX:
        raise ValueError(f"{len(routes)} routes were measured, of {ROUTES_MIN} to {ROUTES_MAX}")
    if not all(0 <= one.distance_m < math.inf and 0 < one.round_trip_s < math.inf for one in routes):
        raise ValueError("a route has a distance of at least 0, and a round trip above 0")
    fitted, held = routes[::2], routes[1::2]
    times = np.asarray([one.round_trip_s for one in fitted])
    design = np.stack([np.ones_like(times), times], axis=1)
    (start, slope), *_ = np.linalg.lstsq(design, np.asarray([one.distance_m for one in fitted]), rcond=None)
    model = RouteModel(start_m=float(start), m_per_s=max(0.0, float(slope)), scores=())
    scores = [
        (one.distance_m - model.line_m(one.round_trip_s)) / (model.line_m(one.round_trip_s) + OFFSET_M) for one in held
    ]
    return RouteModel(start_m=model.start_m, m_per_s=model.m_per_s, scores=tuple(sorted(scores)))


def locate_usually(
    round_trips_s: Mapping[str, float],
    landmarks: Mapping[str, Landmark],
    declared: Position,
    *,
    model: RouteModel,
    miss_probability: float,
) -> Region:
    """Step 3: the region that holds the device with this confidence, if its routes are like those that were measured.

    Never larger than the strict one. A contradiction says that the model does not fit these routes, and no more.
    """
    share = checked_probability("the miss probability", miss_probability) / max(1, len(round_trips_s))
    distances = {
        name: min(
            model.distance_m(time, share) + landmarks[name].position_error_m,
            distance_max_m(time, Medium.VACUUM, position_error_m=landmarks[name].position_error_m),
        )
        for name, time in sorted(round_trips_s.items())
    }
    return within(distances, landmarks, declared, medium=Medium.VACUUM)
