"""Lining up two photographs of one place: local features, and a plane that most of them agree on.

1. Local features (SIFT) of two pictures of each photograph, its brightness and the strength of its edges: a flake that shone under
   one lamp and is dark under the next has the same edges. Matched best against second best, each way. Descriptors are whole
   numbers, so that distances are exact in whatever order they are added.
2. A homography of all matches, by RANSAC from a fixed seed. A door with a seal on it is flat enough.
3. The same of matches on the seal alone, and of those around it alone: where both are there and disagree, the seal moved.

What lies around a seal helps: a seal that was replaced by another one still lines up by its door, and so gets a low number instead
of none. Printed marks around the seal need no special treatment: they are features like others, good ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.custody.opencv import opencv
from inspectorate.mechanisms.custody.seals.photo import Photo
from inspectorate.mechanisms.custody.seals.reference import (
    AROUND_MARGIN,
    EDGE_FEATURES_MAX,
    FEATURE_SIDE,
    GREY_CONTRAST_MIN,
    GREY_FEATURES_MAX,
    INLIER_PX,
    INLIERS_MIN,
    OUTLINE_SHARE,
    PATCH,
    RATIO_MAX,
)

Floats = NDArray[np.float64]
Words = NDArray[np.float32]
EDGE_HALF = 8.0
"""Grey levels a pixel at which an edge counts half: strong ones do not drown weak ones."""
ITERATIONS = 3000
REFINING = (1 | 2, 25, 1e-4)
"""Count and precision, as OpenCV writes a criterion."""


@dataclass(frozen=True, kw_only=True)
class Features:
    """Local features of one photograph, in its pixels at working size."""

    edges: tuple[Floats, Words]
    """Places and descriptors."""
    grey: tuple[Floats, Words]
    scale: float
    """Pixels at working size per pixel on which features were looked for."""


@dataclass(frozen=True, kw_only=True)
class Aligned:
    """Planes from the reference to the new photograph, in pixels at working size."""

    whole: Floats
    seal: Floats | None
    around: Floats | None
    inliers: int
    inliers_seal: int
    inliers_around: int


def features_of(photo: Photo) -> Features:
    """Local features of a photograph."""
    cv = opencv()
    share = min(1.0, FEATURE_SIDE / max(photo.size))
    small = cv.resize(photo.colour, None, fx=share, fy=share, interpolation=cv.INTER_AREA)
    smooth = cv.GaussianBlur(small.astype(np.float32), (0, 0), 0.8)
    across, down = cv.Sobel(smooth, cv.CV_32F, 1, 0) / 8, cv.Sobel(smooth, cv.CV_32F, 0, 1) / 8
    strength = np.sqrt(np.max(across**2 + down**2, axis=2))
    edges = (255 * strength / (strength + EDGE_HALF)).astype(np.uint8)
    grey = cv.cvtColor(small, cv.COLOR_BGR2GRAY)
    by_grey = cv.SIFT_create(nfeatures=GREY_FEATURES_MAX, contrastThreshold=GREY_CONTRAST_MIN)
    return Features(
        edges=_found(cv.SIFT_create(nfeatures=EDGE_FEATURES_MAX), edges, share), grey=_found(by_grey, grey, share),
        scale=1 / share,
    )  # fmt: skip


def _found(finder: Any, picture: NDArray[np.uint8], share: float) -> tuple[Floats, Words]:
    found, words = finder.detectAndCompute(picture, None)
    points = np.array([one.pt for one in found], np.float64).reshape(-1, 2)
    return np.asarray(points / share), np.zeros((0, 128), np.float32) if words is None else np.asarray(
        words, np.float32
    )


def default_outline(size: tuple[int, int]) -> Floats:
    """The middle of a photograph, clockwise from the upper left."""
    width, height = size
    half = OUTLINE_SHARE * min(width, height) / 2
    corners = np.array([(-half, -half), (half, -half), (half, half), (-half, half)])
    return np.asarray(corners + np.array([width / 2, height / 2]))


def align(reference: Features, outline: Floats, new: Features) -> Aligned | None:
    """Line up; none where too little agrees."""
    here, there = _pairs(reference, new)
    reach = INLIER_PX * new.scale
    whole, good = _plane(here, there, reach)
    if whole is None or good < INLIERS_MIN:
        return None
    inside = _within(here, outline)
    beyond = ~_within(here, grown(outline, AROUND_MARGIN))
    seal, on_seal = _plane(here[inside], there[inside], reach)
    around, on_door = _plane(here[beyond], there[beyond], reach)
    return Aligned(
        whole=whole, seal=seal if on_seal >= INLIERS_MIN else None, around=around if on_door >= INLIERS_MIN else None,
        inliers=good, inliers_seal=on_seal, inliers_around=on_door,
    )  # fmt: skip


def _pairs(reference: Features, new: Features) -> tuple[Floats, Floats]:
    """Places in the one and the other that look alike."""
    here, there = [], []
    for (points, words), (other_points, other_words) in (
        (reference.edges, new.edges),
        (reference.grey, new.grey),
    ):
        first, second = _matches(words, other_words)
        here.append(points[first])
        there.append(other_points[second])
    return np.concatenate(here), np.concatenate(there)


def _matches(first: Words, second: Words) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs that are each other's best, and clearly better than the second best."""
    if len(first) < 2 or len(second) < 2:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    # Whole numbers of at most 255 in 128 places: exact in 32-bit floats, in whatever order they are added.
    apart = np.sum(first**2, axis=1)[:, None] + np.sum(second**2, axis=1)[None, :] - 2 * (first @ second.T)
    best = np.argmin(apart, axis=1)
    two = np.partition(apart, 1, axis=1)[:, :2]
    clear = two[:, 0] < RATIO_MAX**2 * two[:, 1]
    mutual = np.argmin(apart, axis=0)[best] == np.arange(len(first))
    kept = np.flatnonzero(clear & mutual)
    return kept, best[kept]


def _plane(here: Floats, there: Floats, reach: float) -> tuple[Floats | None, int]:
    """A homography and how many pairs agree with it."""
    if len(here) < 4:
        return None, 0
    cv = opencv()
    cv.setRNGSeed(0)
    plane, agree = cv.findHomography(here, there, cv.RANSAC, reach, maxIters=ITERATIONS, confidence=0.999)
    if plane is None or not np.isfinite(plane).all():
        return None, 0
    return plane, int(np.count_nonzero(agree))


def _within(points: Floats, outline: Floats) -> NDArray[np.bool_]:
    """Which points lie in a convex outline that runs clockwise on the screen."""
    ahead = np.roll(outline, -1, axis=0) - outline
    from_corner = points[:, None, :] - outline[None, :, :]
    turned = ahead[None, :, 0] * from_corner[..., 1] - ahead[None, :, 1] * from_corner[..., 0]
    inside: NDArray[np.bool_] = np.all(turned >= 0, axis=1)
    return inside


def grown(outline: Floats, share: float) -> Floats:
    middle = outline.mean(axis=0)
    return np.asarray(middle + (outline - middle) * share)


def to_patch(outline: Floats) -> Floats:
    """The homography from pixels of the reference to the straightened seal."""
    cv = opencv()
    corners = np.array([(0, 0), (PATCH, 0), (PATCH, PATCH), (0, PATCH)], np.float32)
    plane: Floats = cv.getPerspectiveTransform(outline.astype(np.float32), corners)
    return plane


def straightened(photo: Photo, plane: Floats, side: int = PATCH) -> NDArray[np.uint8]:
    """The seal in a photograph (colour), given the homography from the photograph to the straightened seal."""
    cv = opencv()
    flat: NDArray[np.uint8] = cv.warpPerspective(
        photo.colour, plane, (side, side), flags=cv.INTER_LINEAR, borderMode=cv.BORDER_REPLICATE
    )
    return flat


def covered(photo: Photo, plane: Floats) -> NDArray[np.bool_]:
    """Which pixels of a straightened picture the photograph shows, a little within its edge."""
    cv = opencv()
    width, height = photo.size
    whole = np.zeros((height, width), np.uint8)
    whole[3:-3, 3:-3] = 1
    shown: NDArray[np.bool_] = cv.warpPerspective(whole, plane, (PATCH, PATCH), flags=cv.INTER_NEAREST) > 0
    return shown


def moved(points: Floats, plane: Floats) -> Floats:
    """Points through a homography."""
    mapped = np.column_stack([points, np.ones(len(points))]) @ plane.T
    return np.asarray(mapped[:, :2] / mapped[:, 2:])


def refined(reference: NDArray[np.float32], new: NDArray[np.float32]) -> Floats:
    """The small homography from the straightened reference to the straightened new seal, by ECC over edges at half size.

    Edges, not brightness: a flake that was bright under one lamp is dark under another. The identity where ECC finds nothing, or
    runs away.
    """
    cv: Any = opencv()
    start = np.eye(3, dtype=np.float32)
    try:
        _, found = cv.findTransformECC(reference, new, start, cv.MOTION_HOMOGRAPHY, REFINING, None, 5)
    except cv.error:
        return np.eye(3)
    corners = np.array([(0, 0), (PATCH, 0), (PATCH, PATCH), (0, PATCH)], np.float64)
    twice = np.diag([2.0, 2.0, 1.0])
    plane = twice @ np.asarray(found, np.float64) @ np.linalg.inv(twice)
    if not np.isfinite(plane).all() or np.abs(moved(corners, plane) - corners).max() > PATCH / 12:
        return np.eye(3)
    return plane
