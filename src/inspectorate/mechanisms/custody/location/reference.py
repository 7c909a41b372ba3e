"""Constants of location, each with its source, and bounds on what is read from outside."""

from __future__ import annotations

from typing import Final

SPEED_OF_LIGHT_M_PER_S: Final = 299_792_458.0
"""In vacuum, exactly (definition of the metre). No signal is faster: the strict bound."""
FIBRE_M_PER_S: Final = SPEED_OF_LIGHT_M_PER_S / 1.46
"""In a solid core of silica: an assumption, which microwave links (1.0003), satellites and hollow-core fibre (about 1.003) break.

The group index of pure silica is least near 1.27 um, 1.4616 (I. Malitson, Journal of the Optical Society of America 55, 1965: the
dispersion formula); that of ordinary doped fibre is about 1.468 (Corning SMF-28 Ultra, product information PI1424: 1.4676 at 1310
nm, 1.4682 at 1550 nm). The usual two thirds of c would be an index of 1.5: it is below the speed in ordinary fibre, and would
exclude true places by 2 %. It is not used here."""

EARTH_CURVATURE_RADIUS_MIN_M: Final = 6_330_000.0
"""Below every radius of curvature of the ellipsoid WGS 84, b^2/a = 6,335,439 m at the least, less 5 km for what lies deep in the
ground. Two places whose plumb lines differ by the chord s of unit vectors are at least this times s apart: a convex body whose
radii of curvature are at least r is a smaller convex body with a ball of radius r rolled over it, and projecting points above
onto it shortens distances."""
EARTH_CURVATURE_RADIUS_MAX_M: Final = 6_410_000.0
"""Above every radius of curvature, a^2/b = 6,399,594 m at the most, and 9 km of height: no way over the ground is longer than this
times the angle between plumb lines."""

CLOCK_RATE_ERROR_MAX: Final = 1e-3
"""By how much a landmark's clock may run slow. A clock under correction runs off by at most 500 parts in a million (Linux adjtimex,
MAXFREQ); crystals by 100. Twice that, and every bound is larger by as much."""
CLOCK_STEP_MAX_NS: Final = 5_000_000
"""By how much the difference of wall times may differ from the round trip that the steady clock shows. Beyond, the landmark's clock
was stepped, and the round trip is not used."""
ROUND_TRIP_MIN_NS: Final = 1_000
"""A shorter one is a fault of the clock: a signature takes longer."""
ROUND_TRIP_MAX_NS: Final = 60_000_000_000

NONCE_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
LANDMARKS_MAX: Final = 1000
PINGS_MAX: Final = 100_000
"""Of one landmark."""
PINGS_OF_ALL_MAX: Final = 200_000
RECORD_BYTES_MAX: Final = 64 * 1024 * 1024
LANDMARKS_BYTES_MAX: Final = 4 * 1024 * 1024
ROUTES_MAX: Final = 1_000_000
ROUTES_BYTES_MAX: Final = 64 * 1024 * 1024

ANGLE_SLACK: Final = 1e-9
"""Radians, 6 mm on the ground: caps are taken larger by this, so that rounding never makes a region empty."""
