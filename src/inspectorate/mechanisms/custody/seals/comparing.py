"""Reference photographs against new ones: measures, no decision.

1. The references are lined up with the first of them, and each is read (`structure`).
2. A new photograph that is too dark, too blurred, glared over, too small or too oblique is not compared: it is `Unclear`, and the
   person is told how to take it again. So is one that cannot be lined up. Never a guess.
3. It is lined up by the seal itself, where that agrees with itself, and else by all there is; refined by ECC; straightened.
4. Edges are correlated cell by cell, each cell with the reference that resembles it most: glare and sparkles differ between
   references under different light. Flakes are looked for where a reference has one.
5. What lies around the seal is compared in the same way under the plane of the seal.

Measures (`Measures`), of which `calibration` makes a number and alarms:

    alike       mean over cells of the correlation of edges
    flakes      share of the reference's flakes found again, less what chance finds
    weakest     the least alike part, against the middle: replaced flakes
    torn        how much shifts of cells differ after the best plane: a cut, a seal that gave way
    around      how alike the surroundings are: another door
    moved       how far the surroundings say that the seal was shifted, or its edge turned: lifted and put back
    moire       a pattern of lines too regular for a seal: a screen
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from inspectorate.errors import InputError
from inspectorate.mechanisms.custody.seals.aligning import (
    Aligned,
    Features,
    Floats,
    align,
    covered,
    default_outline,
    features_of,
    grown,
    moved,
    refined,
    straightened,
    to_patch,
)
from inspectorate.mechanisms.custody.seals.moire import moire_of
from inspectorate.mechanisms.custody.seals.photo import Photo
from inspectorate.mechanisms.custody.seals.reference import (
    AROUND_MARGIN,
    AROUND_REACH,
    CELLS_SEEN_MIN,
    DARK_MEAN_MIN,
    FLAKE_TOLERANCE,
    GLARE_SHARE_MAX,
    INLIERS_MIN,
    OBLIQUE_MAX,
    PATCH,
    PHOTOS_MAX,
    SEAL_PX_MIN,
    SHARPNESS_MIN,
    WEAKEST_WINDOW,
)
from inspectorate.mechanisms.custody.seals.structure import (
    Likeness,
    Structure,
    cv_half,
    fineness,
    found_again,
    likeness,
    structure_of,
)


class Unfit(StrEnum):
    """Why a photograph is not compared: a closed list, each with what to do."""

    DARK = "too-dark"
    BLURRED = "too-blurred"
    GLARE = "glare"
    SMALL = "too-small"
    OBLIQUE = "too-oblique"
    NOT_ALIGNED = "not-lined-up"
    EMPTY = "nothing-to-compare"

    @property
    def remedy(self) -> str:
        return _REMEDIES[self]


_REMEDIES = {
    Unfit.DARK: "take it again with more light, or longer",
    Unfit.BLURRED: "take it again: hold still, let the camera focus on the seal, wipe the lens",
    Unfit.GLARE: "take it again with the lamp to one side, so that the seal does not mirror it",
    Unfit.SMALL: "take it again from closer, so that the seal fills half of the picture",
    Unfit.OBLIQUE: "take it again more squarely to the seal, within about 45 degrees",
    Unfit.NOT_ALIGNED: "take it again from where the reference was taken, with what lies around the seal in the picture; "
    "if that does not help, look whether it is this seal and this place at all",
    Unfit.EMPTY: "the seal shows no structure here: take it again in focus, and look whether the seal is there at all",
}


@dataclass(frozen=True, kw_only=True)
class Unclear:
    """A photograph that was not compared."""

    why: Unfit
    detail: str


@dataclass(frozen=True, kw_only=True)
class Measures:
    """What was measured of one new photograph; see the module."""

    alike: float
    flakes: float
    weakest: float
    torn: float
    around: float | None
    moved: float | None
    """As a share of the side of the seal."""
    moire: float
    log10_chance: float
    """Of finding so many flakes again if they had fallen at random."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One new photograph, compared."""

    photo: Photo
    measures: Measures
    structure: Structure
    cells: Likeness
    nearest: int
    """The reference it resembles most."""
    plane: Floats = field(repr=False)
    """From the straightened seal to the new photograph."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The references of one seal, lined up and read."""

    photos: tuple[Photo, ...]
    outline: Floats
    features: Features
    structures: tuple[Structure, ...]
    planes: tuple[Floats, ...]
    """From the straightened seal to each photograph."""
    around: Structure


def reference_of(photos: Sequence[Photo], outline: Floats | None = None) -> Reference:
    """Line up and read the references of one seal. `outline` is of the first. Raises `InputError` where one is unfit."""
    if not 1 <= len(photos) <= PHOTOS_MAX:
        raise InputError(f"{len(photos)} reference photographs, not 1 to {PHOTOS_MAX}", where="references")
    first = photos[0]
    outline = default_outline(first.size) if outline is None else outline
    features = features_of(first)
    to_first = to_patch(outline)
    structures, planes = (
        [structure_of(straightened(first, to_first))],
        [np.asarray(np.linalg.inv(to_first), np.float64)],
    )
    for photo in photos[1:]:
        lined_up = align(features, outline, features_of(photo))
        if lined_up is None:
            raise InputError(
                f"does not line up with {first.where}", where=photo.where,
                remedy="take all references of a seal from about the same place, under different light",
            )  # fmt: skip
        structure, from_patch = _read(photo, _best_plane(lined_up), to_first, structures[0])
        structures.append(structure)
        planes.append(from_patch)
    for photo, structure in zip(photos, structures, strict=True):
        if (unfit := _unfit_light(structure)) is not None:
            raise InputError(f"is no use as a reference: {unfit.detail}", where=photo.where, remedy=unfit.why.remedy)
    around = _around(first, to_patch(grown(outline, AROUND_REACH)))
    return Reference(
        photos=tuple(photos),
        outline=outline,
        features=features,
        structures=tuple(structures),
        planes=tuple(planes),
        around=around,
    )


def compare(reference: Reference, photo: Photo, features: Features | None = None) -> Compared | Unclear:
    """Compare one new photograph. `features` are the photograph's, where they are known already."""
    if float(photo.grey.mean()) < DARK_MEAN_MIN / 2:
        return Unclear(why=Unfit.DARK, detail=f"its mean brightness is {photo.grey.mean():.0f} of 255")
    lined_up = align(reference.features, reference.outline, features_of(photo) if features is None else features)
    if lined_up is None:
        return _not_lined_up(photo, reference.photos[0])
    plane = _best_plane(lined_up)
    if (unfit := unfit_place(reference.outline, plane)) is not None:
        return unfit
    structure, from_patch = _read(photo, plane, to_patch(reference.outline), reference.structures[0])
    if (unfit := _unfit_light(structure) or _unfit_sharpness(structure, reference)) is not None:
        return unfit
    every = [likeness(one, structure) for one in reference.structures]
    cells = _nearest_cells(every)
    seen = ~np.isnan(cells.alike)
    if seen.mean() < CELLS_SEEN_MIN:
        return Unclear(why=Unfit.EMPTY, detail=f"{seen.mean():.0%} of the seal can be compared")
    nearest = int(np.argmax([np.nanmean(np.where(np.isnan(one.alike), 0, one.alike)) for one in every]))
    return Compared(
        photo=photo, measures=_measures(reference, photo, structure, cells, from_patch), structure=structure, cells=cells,
        nearest=nearest, plane=from_patch,
    )  # fmt: skip


def _not_lined_up(photo: Photo, first: Photo) -> Unclear:
    """Why a photograph finds nothing of itself in the reference: it is blurred, or it shows something else."""
    share = fineness(photo.grey) / max(fineness(first.grey), 1e-6)
    if share < SHARPNESS_MIN:
        return Unclear(why=Unfit.BLURRED, detail=f"its edges are {share:.0%} as steep as in the reference")
    return Unclear(why=Unfit.NOT_ALIGNED, detail="too little of it is found in the reference")


def _best_plane(lined_up: Aligned) -> Floats:
    return lined_up.whole if lined_up.seal is None else lined_up.seal


def _read(photo: Photo, plane: Floats, to_first: Floats, first: Structure) -> tuple[Structure, Floats]:
    """Straighten, refine and read; and the plane from the straightened seal to the photograph."""
    from_patch = plane @ np.linalg.inv(to_first)
    rough = structure_of(straightened(photo, np.linalg.inv(from_patch)))
    small = refined(first.edges, rough.edges)
    from_patch = from_patch @ small
    return structure_of(straightened(photo, np.linalg.inv(from_patch))), from_patch


def unfit_place(outline: Floats, plane: Floats) -> Unclear | None:
    """Too small, or too oblique, by where the outline comes to lie."""
    corners = moved(outline, plane)
    sides = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    ahead, behind = np.roll(corners, -1, axis=0) - corners, corners - np.roll(corners, 1, axis=0)
    turns = behind[:, 0] * ahead[:, 1] - behind[:, 1] * ahead[:, 0]
    if not (np.all(turns > 0) and np.isfinite(corners).all()):
        return Unclear(why=Unfit.NOT_ALIGNED, detail="the outline of the seal would be folded")
    if float(np.sqrt(turns.mean())) < SEAL_PX_MIN:
        return Unclear(why=Unfit.SMALL, detail=f"the seal is {np.sqrt(turns.mean()):.0f} pixels wide")
    # Foreshortening against the reference: how unequal the two axes of a small circle become.
    middle = outline.mean(axis=0)
    small = np.array([(1.0, 0), (0, 1.0)])
    jacobian = (moved(middle + small, plane) - moved(middle - small, plane)) / 2
    axes = np.linalg.svd(jacobian, compute_uv=False)
    if axes[0] > OBLIQUE_MAX * axes[1] or sides.max() > 3 * sides.min():
        return Unclear(why=Unfit.OBLIQUE, detail=f"one direction is foreshortened to 1/{axes[0] / axes[1]:.1f}")
    return None


def _unfit_light(structure: Structure) -> Unclear | None:
    if structure.mean < DARK_MEAN_MIN:
        return Unclear(why=Unfit.DARK, detail=f"the mean brightness of the seal is {structure.mean:.0f} of 255")
    if (share := 1 - float(structure.seen.mean())) > GLARE_SHARE_MAX:
        return Unclear(why=Unfit.GLARE, detail=f"{share:.0%} of the seal are glared over")
    return None


def _unfit_sharpness(structure: Structure, reference: Reference) -> Unclear | None:
    share = structure.fine / max(one.fine for one in reference.structures)
    if share < SHARPNESS_MIN:
        return Unclear(why=Unfit.BLURRED, detail=f"its edges are {share:.0%} as steep as in the reference")
    return None


def _nearest_cells(every: Sequence[Likeness]) -> Likeness:
    """Each cell with the reference that resembles it most."""
    alike = np.stack([np.where(np.isnan(one.alike), -2, one.alike) for one in every])
    best = np.argmax(alike, axis=0)
    value = np.take_along_axis(alike, best[None], axis=0)[0]
    shift = np.stack([one.shift for one in every])
    chosen = np.take_along_axis(shift, best[None, ..., None], axis=0)[0]
    return Likeness(alike=np.where(value == -2, np.nan, value), shift=chosen)


def _measures(
    reference: Reference, photo: Photo, structure: Structure, cells: Likeness, from_patch: Floats
) -> Measures:
    again, chance = _flakes_again(reference, structure)
    around, off = _surroundings(reference, photo, from_patch)
    return Measures(
        alike=float(np.nanmean(cells.alike)), flakes=(float(np.mean(again)) - chance) / (1 - chance) if len(again) else 0.0,
        weakest=_weakest(cells), torn=_torn(cells), around=around, moved=off, moire=moire_of(photo, from_patch),
        log10_chance=_log10_chance(int(np.count_nonzero(again)), len(again), chance),
    )  # fmt: skip


def _flakes_again(reference: Reference, structure: Structure) -> tuple[NDArray[np.bool_], float]:
    """Of the new photograph's flakes, which lie where any reference has one; and the chance of that."""
    new = structure.flakes
    again = np.zeros(len(new), bool)
    missed = 1.0
    for one in reference.structures:
        hits, chance = found_again(new, one.flakes, FLAKE_TOLERANCE)
        again |= hits
        missed = min(missed, 1 - chance)
    # References share most flakes: their union is sought, and its size bounds the chance.
    union = _union([one.flakes for one in reference.structures])
    return again, max(found_again(new, union, FLAKE_TOLERANCE)[1], 1 - missed)


def _union(every: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    joined = every[0]
    for one in every[1:]:
        known, _ = found_again(one, joined, FLAKE_TOLERANCE)
        joined = np.concatenate([joined, one[~known]])
    return joined


def _log10_chance(hits: int, count: int, chance: float) -> float:
    """Upper tail of a binomial by Chernoff's bound: never less than the truth."""
    if not count or hits / count <= chance:
        return 0.0
    share = hits / count
    rest = (1 - share) * np.log((1 - share) / (1 - chance)) if share < 1 else 0.0
    return float(-count * (share * np.log(share / chance) + rest) / np.log(10))


def _weakest(cells: Likeness) -> float:
    """The least alike window of cells against the median of all; 0 where nothing stands out."""
    window = WEAKEST_WINDOW
    rows, columns = cells.alike.shape
    known = ~np.isnan(cells.alike)
    value = np.where(known, cells.alike, 0)
    least = np.inf
    for row in range(rows - window + 1):
        for column in range(columns - window + 1):
            part = known[row : row + window, column : column + window]
            if part.sum() * 2 > part.size:
                least = min(least, value[row : row + window, column : column + window].sum() / part.sum())
    return float(np.nanmedian(cells.alike) - least) if np.isfinite(least) else 0.0


_SURE = 0.45
"""Cells less alike than this say nothing of where they lie."""
_SURE_MIN = 24
"""Of 196 cells: fewer say nothing of a bend."""


def _torn(cells: Likeness) -> float:
    """How far sure cells lie from where a smooth bend of the whole would put them: in pixels of the straightened seal.

    A lens, or flakes at some depth seen aslant, bend smoothly (a quadratic of the place takes that up). A cut does not.
    """
    sure = np.nan_to_num(cells.alike, nan=-1) > _SURE
    if sure.sum() < _SURE_MIN:
        return 0.0
    y, x = (np.argwhere(sure) / (len(cells.alike) - 1) - 0.5).T
    smooth = np.column_stack([np.ones_like(x), x, y, x * x, x * y, y * y])
    shift = cells.shift[sure]
    bent = smooth @ np.linalg.lstsq(smooth, shift, rcond=None)[0]
    return float(np.sqrt(np.mean(np.sum((shift - bent) ** 2, axis=1))))


def _surroundings(reference: Reference, photo: Photo, from_patch: Floats) -> tuple[float | None, float | None]:
    """How alike the surroundings are, and how far off; none where there is too little to see."""
    wide = to_patch(grown(reference.outline, AROUND_REACH)) @ np.linalg.inv(to_patch(reference.outline))
    every = likeness(reference.around, _around(photo, wide @ np.linalg.inv(from_patch)))
    known = ~np.isnan(every.alike)
    if known.sum() < INLIERS_MIN:
        return None, None
    alike = every.alike[known]
    sure = known & (np.nan_to_num(every.alike, nan=-1) >= np.quantile(alike, 1 / 3))
    return float(alike.mean()), _off_its_place(every, sure) * AROUND_REACH / PATCH


def _off_its_place(every: Likeness, sure: NDArray[np.bool_]) -> float:
    """How far the surroundings say that the seal was shifted and turned, in pixels of their straightened picture.

    Of the best affine map of their shifts only that counts. What grows with the distance from the middle the same way on both
    sides is a lens, or a plane that was carried on beyond the seal.
    """
    y, x = (np.argwhere(sure) / (len(every.alike) - 1) - 0.5).T
    affine = np.linalg.lstsq(np.column_stack([np.ones_like(x), x, y]), every.shift[sure], rcond=None)[0]
    turned = (affine[1, 1] - affine[2, 0]) / 2
    at_the_edge = turned / (2 * AROUND_REACH)
    return float(np.hypot(np.hypot(*affine[0]), at_the_edge))


def _around(photo: Photo, plane: Floats) -> Structure:
    """The surroundings, straightened, without the seal itself and without what lies beyond the picture's edge."""
    at = np.abs(np.arange(PATCH) + 0.5 - PATCH / 2)
    beyond = np.maximum(at[:, None], at[None, :]) > PATCH / 2 * AROUND_MARGIN / AROUND_REACH
    found = structure_of(straightened(photo, plane))
    shown = beyond & covered(photo, plane)
    inner = cv_half(shown) > 0.99
    return replace(found, field=(found.field[0] * inner, found.field[1] * inner), seen=found.seen & shown)
