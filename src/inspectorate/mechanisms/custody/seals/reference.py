"""Constants of the comparison of seals, each with where it comes from.

They were set by hand while looking at measures of a few rendered doors of both parts of the split (`bench seal_photos`), which
prints the held-out figures once more for doors that nobody had looked at. Weights and thresholds of the calibration come from
the learnt part alone. A change of any constant makes another comparison: `METHOD` goes into the calibration, and old ones are
refused.
"""

from __future__ import annotations

METHOD = "seal-photos-1"

# --- what is let in ----------------------------------------------------------------------------------------------------

PHOTO_BYTES_MAX = 32 << 20
"""A photograph of a 50-megapixel telephone as JPEG has 10 to 20 MB."""
PHOTO_PIXELS_MAX = 64_000_000
PHOTO_SIDE_MIN = 400
PHOTO_SIDE_MAX = 16_384
SEGMENTS_MAX = 4096
"""Parts of a JPEG or PNG before its picture."""
SCANS_MAX = 64
"""Passes of a progressive JPEG: each is a walk over the whole picture. Cameras write about ten."""
PHOTOS_MAX = 8
"""References of a seal, and new photographs of a check."""
DECODE_S = 20.0
DECODE_MEMORY_BYTES = 2 << 30

# --- lining up ---------------------------------------------------------------------------------------------------------

WORK_SIDE = 880
"""Longer side to which a photograph is brought down."""
FEATURE_SIDE = 440
"""Longer side on which local features are looked for: at more, noise and blur of cameras make features of their own."""
EDGE_FEATURES_MAX = 1500
GREY_FEATURES_MAX = 800
GREY_CONTRAST_MIN = 0.015
"""Below SIFT's usual 0.04: paint has little contrast."""
RATIO_MAX = 0.80
"""Best against second-best match (Lowe 2004, section 7.1)."""
INLIER_PX = 3.0
"""At `FEATURE_SIDE`: lens distortion leaves one or two pixels between a plane and its picture."""
INLIERS_MIN = 12
"""Matches on one homography, of four that fix it: chance gives five to seven of a thousand pairs."""
AROUND_MARGIN = 1.2
"""What lies beyond this multiple of the seal's outline is its surroundings: its own edge, lifted by 4 mm of 40, is not."""
AROUND_REACH = 2.0
"""Up to this multiple surroundings are compared."""
OUTLINE_SHARE = 0.55
"""Without an outline the seal is taken to lie in a square about the middle, this share of the shorter side."""

# --- quality -----------------------------------------------------------------------------------------------------------

DARK_MEAN_MIN = 18.0
"""Mean of the seal's grey levels, of 255."""
GLARE_SHARE_MAX = 0.25
"""Of the seal, in bright patches too large to be flakes."""
GLARE_LEVEL = 235
GLARE_PATCH = 13
"""Side of the square, on the straightened seal, that fits into a patch of glare and into no flake."""
SEAL_PX_MIN = 150.0
"""Side of the seal in the new photograph: a flake of half a millimetre on 40 is then two pixels."""
OBLIQUE_MAX = 2.2
"""By how much one direction is foreshortened against the other: about 63 degrees."""
SHARPNESS_MIN = 0.5
"""Steepness of edges, of that in the sharpest reference: half is a blur of about three pixels in a picture of 640."""
CELLS_SEEN_MIN = 0.6
"""Of the seal, unglared and with something to see."""

# --- comparing ---------------------------------------------------------------------------------------------------------

PATCH = 256
"""Side to which the seal is straightened."""
CELL = 20
STEP = 8
REACH = 3
"""Side of a cell, step from cell to cell, and shifts that are tried to either side: in steps of two pixels."""
FLAKES_MAX = 350
FLAKE_TOLERANCE = 2.5
"""On the straightened seal: 0.4 mm of 40."""
WEAKEST_WINDOW = 3
"""Side, in steps of cells, over which the weakest part of a seal is averaged."""

# --- what is said ------------------------------------------------------------------------------------------------------

NUMBER_TOLERANCE = 0.05
"""Natural logarithm: other processors and versions of OpenCV round otherwise; a number that differs by more is another."""
CHALLENGE_ANGLE_MIN = 0.17
"""Radians, 10 degrees: two photographs from nearly one place challenge nothing."""
