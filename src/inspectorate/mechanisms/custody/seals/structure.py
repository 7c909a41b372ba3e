"""What is compared of a straightened seal: edges by direction without sign, flakes by place, and what glare hides.

Light changes which flakes shine. What it does not change is where they lie, and so where edges run. Hence:

- `Structure.field`: at each pixel the direction of the edge as a doubled angle (an edge from dark to bright and one from bright to
  dark are the same), as long as it is strong, up to one.
- `Structure.flakes`: where something lies that is brighter or darker than what is around it.
- `Structure.seen`: false where a patch of glare too large for a flake lies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.custody.opencv import opencv
from inspectorate.mechanisms.custody.seals.reference import (
    CELL,
    FLAKE_TOLERANCE,
    FLAKES_MAX,
    GLARE_LEVEL,
    GLARE_PATCH,
    PATCH,
    REACH,
    STEP,
)

Grid = NDArray[np.float32]
Vector = NDArray[np.floating[Any]]
HALF = PATCH // 2
"""Fields are kept at half size: an edge is two pixels wide."""
EDGE_SIGMA = 1.2
FLAKE_SIGMAS = (1.6, 2.8)
FLAKE_STRENGTH = 3.0
"""In median strengths of what is not a flake."""
EDGE_FLOOR = 3.0
"""Grey levels a pixel: below it is noise of cameras."""


@dataclass(frozen=True, kw_only=True)
class Structure:
    """What a straightened seal looks like, whatever the light."""

    picture: NDArray[np.uint8]
    """(PATCH, PATCH, 3)"""
    grey: Grid
    field: tuple[Grid, Grid]
    edges: Grid
    flakes: NDArray[np.float64]
    seen: NDArray[np.bool_]
    fine: float
    """See `fineness`."""
    mean: float


def structure_of(picture: NDArray[np.uint8]) -> Structure:
    """Read a straightened seal."""
    cv = opencv()
    grey = cv.cvtColor(picture, cv.COLOR_BGR2GRAY).astype(np.float32)
    bright = np.minimum.reduce([picture[..., k] for k in range(3)]) >= GLARE_LEVEL
    kernel = np.ones((GLARE_PATCH, GLARE_PATCH), np.uint8)
    glare = cv.dilate(cv.morphologyEx(bright.astype(np.uint8), cv.MORPH_OPEN, kernel), np.ones((9, 9), np.uint8)) > 0
    # Each colour has edges of its own, where two flakes are equally bright; the strongest one counts.
    smooth = cv.GaussianBlur(picture.astype(np.float32), (0, 0), EDGE_SIGMA)
    across, down = cv.Sobel(smooth, cv.CV_32F, 1, 0) / 8, cv.Sobel(smooth, cv.CV_32F, 0, 1) / 8
    strong = np.argmax(across**2 + down**2, axis=2)[..., None]
    gx = np.take_along_axis(across, strong, axis=2)[..., 0]
    gy = np.take_along_axis(down, strong, axis=2)[..., 0]
    size = np.hypot(gx, gy)
    soft = float(max(EDGE_FLOOR, np.percentile(size, 80)))
    weight = np.where(size > 0, np.maximum(size - EDGE_FLOOR / 3, 0) / (size + soft) / np.maximum(size, 1e-6) ** 2, 0)
    weight[glare] = 0
    field = cv_half((gx * gx - gy * gy) * weight), cv_half(2 * gx * gy * weight)
    open_to_view = ~glare
    return Structure(
        picture=picture, grey=grey, field=field, edges=cv_half(np.minimum(size, 4 * soft)),
        flakes=_flakes(grey, open_to_view), seen=open_to_view, fine=fineness(grey, open_to_view), mean=float(grey.mean()),
    )  # fmt: skip


def fineness(grey: NDArray[Any], seen: NDArray[np.bool_] | None = None) -> float:
    """How steep the steepest edges are, for the contrast that there is: falls with blur, and not with noise or with light."""
    cv = opencv()
    shown = np.ones(grey.shape, bool) if seen is None else seen
    if not shown.any():
        return 0.0
    smooth = cv.GaussianBlur(grey.astype(np.float32), (0, 0), EDGE_SIGMA)
    steep = np.hypot(cv.Sobel(smooth, cv.CV_32F, 1, 0), cv.Sobel(smooth, cv.CV_32F, 0, 1))[shown] / 8
    low, high = np.percentile(smooth[shown], (1, 99))
    return float(np.percentile(steep, 99) / max(high - low, 1.0))


def _flakes(grey: Grid, seen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Places of blobs, bright or dark, at two sizes: extremes of the difference of Gaussians."""
    cv = opencv()
    found: list[NDArray[np.float64]] = []
    for sigma in FLAKE_SIGMAS:
        blob = np.abs(cv.GaussianBlur(grey, (0, 0), sigma) - cv.GaussianBlur(grey, (0, 0), 1.6 * sigma))
        peak = (blob >= cv.dilate(blob, np.ones((7, 7), np.uint8))) & seen
        peak &= blob > max(FLAKE_STRENGTH * float(np.median(blob)), 1.0)
        peak[:5], peak[-5:], peak[:, :5], peak[:, -5:] = False, False, False, False
        y, x = np.nonzero(peak)
        found.append(np.column_stack([blob[y, x], x, y]))
    every = np.concatenate(found)
    every = every[np.lexsort((every[:, 2], every[:, 1], -every[:, 0]))][: 2 * FLAKES_MAX]
    kept: list[NDArray[np.float64]] = []
    taken = np.zeros((PATCH, PATCH), bool)
    reach = int(2 * FLAKE_TOLERANCE)
    for _, x, y in every:
        column, row = int(x), int(y)
        if not taken[row, column]:
            kept.append(np.array([x, y]))
            taken[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1] = True
    return np.array(kept[:FLAKES_MAX]).reshape(-1, 2)


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """How alike two seals are, cell by cell."""

    alike: NDArray[np.float64]
    """-1 to 1; NaN where the reference has nothing, or where either is hidden."""
    shift: NDArray[np.float64]
    """(rows, columns, 2): where in the new one each cell of the reference lies, in pixels of the straightened seal."""


def likeness(reference: Structure, new: Structure) -> Likeness:
    """Correlate edges cell by cell, each at its best shift within `REACH`, to a fraction of a step by a parabola."""
    side = HALF - 2 * REACH
    inner = slice(REACH, REACH + side)
    a1, a2 = (one[inner, inner] for one in reference.field)
    own = _cells(a1 * a1 + a2 * a2)
    tries = range(-REACH, REACH + 1)
    windows = [
        [(slice(REACH + dy, REACH + dy + side), slice(REACH + dx, REACH + dx + side)) for dx in tries] for dy in tries
    ]
    energies = new.field[0] ** 2 + new.field[1] ** 2
    theirs = np.array([[_cells(energies[at]) for at in row] for row in windows])
    both = np.array([[_cells(a1 * new.field[0][at] + a2 * new.field[1][at]) for at in row] for row in windows])
    value = both / np.sqrt(own * theirs + 1e-9)
    flat = value.reshape(len(tries) ** 2, -1)
    best = np.argmax(flat, axis=0)
    cells = np.arange(flat.shape[1])
    dy, dx = np.unravel_index(best, (len(tries), len(tries)))
    cube = flat.reshape(len(tries), len(tries), -1)
    fine_x = _vertex(*(cube[dy, np.clip(dx + k, 0, 2 * REACH), cells] for k in (-1, 0, 1)))
    fine_y = _vertex(*(cube[np.clip(dy + k, 0, 2 * REACH), dx, cells] for k in (-1, 0, 1)))
    alike = flat[best, cells].astype(np.float64)
    seen = np.minimum(*(_cells(cv_half(one.seen)[inner, inner]) for one in (reference, new))).ravel()
    energy = theirs.reshape(len(tries) ** 2, -1)[best, cells]
    # Where there was something and now is nothing, that is no likeness; where there was nothing, nothing can be said.
    alike[energy < LEAST / 8] = 0.0
    alike[(own.ravel() < LEAST) | (seen < 0.5)] = np.nan
    shift = np.stack([2 * (dx - REACH + fine_x), 2 * (dy - REACH + fine_y)], axis=-1)
    return Likeness(alike=alike.reshape(own.shape), shift=shift.reshape(*own.shape, 2))


LEAST = 0.002
"""Energy of a cell in which there is something to compare."""


def _vertex(before: Vector, at: Vector, after: Vector) -> Vector:
    """Where between -1/2 and 1/2 a parabola through three values at -1, 0 and 1 has its top."""
    bend = before - 2 * at + after
    top: Vector = np.where(bend < -1e-6, (before - after) / (2 * np.minimum(bend, -1e-6)), 0.0)
    return np.clip(top, -0.5, 0.5)


def cv_half(values: NDArray[Any]) -> Grid:
    """Means over two by two pixels."""
    cv = opencv()
    half: Grid = cv.resize(values.astype(np.float32), (HALF, HALF), interpolation=cv.INTER_AREA)
    return half


def _cells(values: Grid) -> Grid:
    """Means over cells on a grid."""
    cv = opencv()
    means = cv.boxFilter(values, cv.CV_32F, (CELL, CELL), borderType=cv.BORDER_REFLECT)
    half = CELL // 2
    grid: Grid = means[half : values.shape[0] - half + 1 : STEP, half : values.shape[1] - half + 1 : STEP]
    return grid


def cell_middles(count: int) -> NDArray[np.float64]:
    """Where on the straightened seal the cells of one row have their middle."""
    return 2 * (REACH + CELL / 2 + STEP * np.arange(count, dtype=np.float64))


def found_again(
    reference: NDArray[np.float64], new: NDArray[np.float64], tolerance: float
) -> tuple[NDArray[np.bool_], float]:
    """Which flakes of the reference have one of the new within the tolerance, and the chance of that for random places.

    Random places: as many, uniform over the seal.
    """
    if not len(reference) or not len(new):
        return np.zeros(len(reference), bool), 1.0
    apart = np.min(np.sum((reference[:, None, :] - new[None, :, :]) ** 2, axis=2), axis=1)
    area = (PATCH - 10) ** 2
    chance = -np.expm1(-len(new) * np.pi * tolerance**2 / area)
    return apart <= tolerance**2, float(chance)
