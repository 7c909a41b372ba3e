"""What one frame shows, held against what was enrolled: numbers, no decision.

- **Cells.** The picture is cut into cells of 8 pixels. In each, the gradients of the picture and of the reference are
  correlated: lights that brighten, dim or shade a cell leave that as it is, and whatever covers it does not. Noise, measured
  from frame to frame, is taken out; where it exceeds the structure of a cell, nothing is said of that cell.
- **Sharpness.** The picture is projected on the fine structure of the reference, and on its coarse structure. Their ratio falls
  with defocus, whatever the gain; noise is in neither projection. An opened door takes fine structure away, too: so it is kept by
  cells, and taken over those that are asked for.
- **Place.** Each quarter of the picture is registered with the reference by phase correlation.
- **Motion.** What differs from the picture of 0.75 s before, cell by cell, beyond what noise and lamps did at enrolment.

References are several: one for each state of the lights that was enrolled. The best one is taken, and checked again each second.
Memory is constant.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.custody.cameras.reference import (
    CELL,
    COLUMNS,
    HEIGHT,
    MOTION_LAG_S,
    NOISE_EVERY_S,
    NOISE_S,
    NOISY,
    ROWS,
    SHARP_CELLS_SHARE,
    SHIFT_EVERY_S,
    SHIFT_RESPONSE,
    SMOOTH_S,
    STATE_BETTER,
    STATE_BRIGHTNESS,
    WIDTH,
)
from inspectorate.mechanisms.custody.cameras.source import Frame, Grey
from inspectorate.mechanisms.custody.opencv import opencv

Floats = NDArray[np.float32]
CellFloats = NDArray[np.float32]
"""Shape (ROWS, COLUMNS)."""

STATE_EVERY_S = 1.0
EPSILON = 1.0
_USED = np.s_[: ROWS * CELL, : COLUMNS * CELL]


@dataclass(frozen=True, kw_only=True)
class Reference:
    """An enrolled picture under one state of the lights, and what follows from it."""

    grey: Grey
    gx: Floats
    gy: Floats
    energy: CellFloats
    fine: Floats
    coarse: Floats
    fine_energy: CellFloats
    coarse_energy: CellFloats
    mean: float
    edges_sum: float
    """Over cells, of the root mean square of gradients."""

    @classmethod
    def of(cls, grey: Grey) -> Reference:
        parts = parts_of(grey.astype(np.float32))
        energy = per_cell(parts.gx**2 + parts.gy**2)
        return cls(
            grey=grey, gx=parts.gx, gy=parts.gy, energy=energy, fine=parts.fine, coarse=parts.coarse,
            fine_energy=per_cell(parts.fine**2), coarse_energy=per_cell(parts.coarse**2),
            mean=float(grey.mean()), edges_sum=float(np.sqrt(energy).sum()) + 1.0,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Projected:
    """The picture projected on fine and coarse structure of the reference, cell by cell."""

    fine: CellFloats
    coarse: CellFloats
    reference: Reference

    def sharp(self, cells: NDArray[np.bool_] | None = None) -> float:
        """Fine structure as a share of the reference's, at the strength of the coarse, over these cells (none: all).

        Cells that hold too little of the fine structure to tell are not asked alone: all are.
        """
        fine, coarse = self.reference.fine_energy, self.reference.coarse_energy
        if cells is None or float(fine[cells].sum()) < SHARP_CELLS_SHARE * float(fine.sum()):
            cells = np.ones(fine.shape, bool)
        strength = float(self.coarse[cells].sum()) / (float(coarse[cells].sum()) + EPSILON)
        return (
            float(self.fine[cells].sum()) / (float(fine[cells].sum()) + EPSILON) / strength if strength > 0.05 else 0.0
        )


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a frame shows."""

    time_s: float
    mean: float
    state: int
    """The reference that fits best."""
    agree: CellFloats
    """Correlation of gradients with that reference, from -1 to 1."""
    edges: CellFloats
    """Root mean square of gradients without noise, at the contrast of the reference."""
    noisy: NDArray[np.bool_]
    """Cells in which noise drowns what the reference shows."""
    motion: CellFloats
    """In grey levels."""
    coarse: float
    """Correlation of coarse structure over the whole picture."""
    structure: float
    """Its strength, as a share of the reference's."""
    projected: Projected
    crisp: float
    """Strength of edges at the contrast of the reference, as a share of its own: falls with blur, and not with displacement."""
    shift: float | None
    """In pixels: the second largest of the quarters that say anything; none: it was not measured in this frame, or none does."""
    same: bool
    """Not one pixel differs from the frame before."""
    smooth: Floats


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Gradients, fine and coarse structure of a picture."""

    gx: Floats
    gy: Floats
    fine: Floats
    coarse: Floats


def per_cell(values: Floats) -> CellFloats:
    """The mean of each cell."""
    cv2 = opencv()
    found: CellFloats = cv2.resize(values[_USED], (COLUMNS, ROWS), interpolation=cv2.INTER_AREA)
    return found


def parts_of(picture: Floats) -> Parts:
    cv2 = opencv()
    soft = cv2.GaussianBlur(picture, (0, 0), 1.2)
    return Parts(
        gx=cv2.Sobel(soft, cv2.CV_32F, 1, 0, ksize=3), gy=cv2.Sobel(soft, cv2.CV_32F, 0, 1, ksize=3),
        fine=picture - soft, coarse=soft - cv2.blur(soft, (21, 21)),
    )  # fmt: skip


@cache
def _windows() -> tuple[Any, tuple[tuple[slice, slice], ...]]:
    half_w, half_h = WIDTH // 2, HEIGHT // 2
    window = opencv().createHanningWindow((half_w, half_h), opencv().CV_32F)
    cuts = tuple((slice(top, top + half_h), slice(left, left + half_w)) for top in (0, half_h) for left in (0, half_w))
    return window, cuts


class Sight:
    """Looks at the frames of one camera in order."""

    def __init__(self, references: tuple[Reference, ...], rate: float) -> None:
        if not references:
            raise ValueError("there must be a reference")
        self.references = references
        self._smooth: Floats | None = None
        self._noise: CellFloats | None = None
        self._noise_due_s = 0.0
        self._last: Grey | None = None
        self._last_s = 0.0
        self._state = 0
        self._state_due_s = 0.0
        self._shift_due_s = 0.0
        self._before: deque[tuple[Floats, float]] = deque(maxlen=max(1, round(MOTION_LAG_S * rate)) + 1)

    def look(self, frame: Frame) -> Look:
        """The next frame."""
        grey = frame.grey.astype(np.float32)
        gap = frame.time_s - self._last_s
        if self._smooth is None or gap > 1.5 or gap < 0:
            self._smooth = grey.copy()
            self._before.clear()
            noise = np.zeros((ROWS, COLUMNS), np.float32) if self._noise is None else self._noise
        else:
            noise = self._take_in(grey, gap, frame.time_s)
        smooth = self._smooth
        parts = parts_of(smooth)
        mean = float(grey.mean())
        own = np.maximum(per_cell(parts.gx**2 + parts.gy**2) - noise, 0)
        if frame.time_s >= self._state_due_s or gap < 0:
            self._state = self._best(parts, own, mean)
            self._state_due_s = frame.time_s + STATE_EVERY_S
        reference = self.references[self._state]
        agree = _agree(parts, own, reference)
        coarse, structure = _coarse(parts, reference)
        projected = Projected(
            fine=per_cell(parts.fine * reference.fine), coarse=per_cell(parts.coarse * reference.coarse), reference=reference
        )  # fmt: skip
        shift = None
        if frame.time_s >= self._shift_due_s or gap < 0:
            shift = self._shift(parts, reference)
            self._shift_due_s = frame.time_s + SHIFT_EVERY_S
        motion = self._motion(smooth, mean)
        same = self._last is not None and np.array_equal(self._last, frame.grey)
        self._last, self._last_s = frame.grey, frame.time_s
        edges = np.sqrt(own) / np.float32(max(0.1, structure))
        noisy = noise > NOISY * reference.energy * np.float32(min(structure, 2.0) ** 2)
        return Look(
            time_s=frame.time_s, mean=mean, state=self._state, agree=agree, noisy=noisy, motion=motion, coarse=coarse,
            structure=structure, projected=projected, shift=shift, same=same, smooth=smooth,
            edges=edges, crisp=float(edges.sum()) / reference.edges_sum,
        )  # fmt: skip

    def _take_in(self, grey: Floats, gap: float, now_s: float) -> CellFloats:
        """Take a picture into the smoothed one; and the noise in the gradients of that, cell by cell, measured once a second.

        A running mean that takes a share a of each picture has, under white noise, 1 / 2a times the variance of its steps.
        """
        assert self._smooth is not None
        cv2 = opencv()
        share = 1 - math.exp(-gap / SMOOTH_S)
        due = self._noise is None or now_s >= self._noise_due_s
        before = self._smooth.copy() if due else None
        cv2.accumulateWeighted(grey, self._smooth, share)
        if before is not None:
            step = cv2.GaussianBlur(self._smooth - before, (0, 0), 1.2)
            gx, gy = cv2.Sobel(step, cv2.CV_32F, 1, 0, ksize=3), cv2.Sobel(step, cv2.CV_32F, 0, 1, ksize=3)
            now = per_cell(gx * gx + gy * gy) / np.float32(2 * share)
            now = np.minimum(now, 3 * np.float32(np.median(now)))
            kept = math.exp(-NOISE_EVERY_S / NOISE_S)
            self._noise = now if self._noise is None else (kept * self._noise + (1 - kept) * now).astype(np.float32)
            self._noise_due_s = now_s + NOISE_EVERY_S
        assert self._noise is not None
        return self._noise

    def _best(self, parts: Parts, own: CellFloats, mean: float) -> int:
        fits = [fit(parts, own, mean, one) for one in self.references]
        best = int(np.argmax(fits))
        return best if fits[best] > fits[self._state] + STATE_BETTER else self._state

    def _motion(self, smooth: Floats, mean: float) -> CellFloats:
        soft = opencv().blur(smooth, (3, 3))
        self._before.append((soft, mean))
        older, level = self._before[0]
        return per_cell(np.abs(soft - older * np.float32(max(mean, 1.0) / max(level, 1.0))))

    def _shift(self, parts: Parts, reference: Reference) -> float | None:
        cv2 = opencv()
        window, cuts = _windows()
        mine, theirs = parts.fine + parts.coarse, reference.fine + reference.coarse
        found = []
        for cut in cuts:
            (dx, dy), response = cv2.phaseCorrelate(
                np.ascontiguousarray(theirs[cut]), np.ascontiguousarray(mine[cut]), window
            )
            if response >= SHIFT_RESPONSE:
                found.append(math.hypot(dx, dy))
        return sorted(found)[-2] if len(found) >= 2 else None


def fit(parts: Parts, own: CellFloats, mean: float, reference: Reference) -> float:
    """How well a picture fits a reference: mean agreement of cells, less for another brightness."""
    apart = abs(math.log(max(mean, 1.0) / max(reference.mean, 1.0)))
    return float(_agree(parts, own, reference).mean()) - STATE_BRIGHTNESS * apart


def _agree(parts: Parts, own: CellFloats, reference: Reference) -> CellFloats:
    product = per_cell(parts.gx * reference.gx + parts.gy * reference.gy)
    found: CellFloats = np.clip(product / np.sqrt((own + EPSILON) * (reference.energy + EPSILON)), -1, 1)
    return found


def _coarse(parts: Parts, reference: Reference) -> tuple[float, float]:
    """Correlation and strength of coarse structure."""
    dot = float(np.vdot(parts.coarse, reference.coarse))
    theirs = float(np.vdot(reference.coarse, reference.coarse)) + 1.0
    own = float(np.vdot(parts.coarse, parts.coarse)) + 1.0
    return dot / math.sqrt(theirs * own), math.sqrt(own / theirs)
