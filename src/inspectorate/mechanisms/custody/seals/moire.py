"""Whether a photograph shows a screen: lines too regular for anything that fell at random.

The rows of a screen and of a sensor beat. In the spectrum of the seal, as photographed and not straightened, that is a sharp peak;
flakes and fibres make none. The blocks of a JPEG make some at fixed places, which are left out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.custody.opencv import opencv
from inspectorate.mechanisms.custody.seals.photo import Photo
from inspectorate.mechanisms.custody.seals.reference import PATCH

SIDE = 256
"""Of the square in the middle of the seal that is looked at."""
LOWEST = 0.06
"""Cycles a pixel: slower changes are the seal's own."""
BACKGROUND = 21


def moire_of(photo: Photo, from_patch: NDArray[np.float64]) -> float:
    """The sharpest peak of three colour channels' spectra, as the logarithm of its height above its neighbourhood."""
    cv = opencv()
    middle = from_patch @ np.array([PATCH / 2, PATCH / 2, 1.0])
    width, height = photo.size
    side = min(SIDE, width, height) // 2 * 2
    left = int(np.clip(middle[0] / middle[2] - side / 2, 0, width - side))
    top = int(np.clip(middle[1] / middle[2] - side / 2, 0, height - side))
    part = cv.cvtColor(photo.colour[top : top + side, left : left + side], cv.COLOR_BGR2YCrCb).astype(np.float32)
    window = np.outer(np.hanning(side), np.hanning(side))[..., None]
    part = (part - cv.medianBlur(part.astype(np.uint8), 5).astype(np.float32)) * window
    spectrum = np.log(np.abs(np.fft.fftshift(np.fft.fft2(part, axes=(0, 1)), axes=(0, 1))) + 1.0).astype(np.float32)
    own = np.stack([cv.blur(spectrum[..., k], (BACKGROUND, BACKGROUND)) for k in range(3)], axis=-1)
    return float((spectrum - own)[_looked_at(side)].max())


def _looked_at(side: int) -> NDArray[np.bool_]:
    """Frequencies that count: not slow ones, and not multiples of an eighth along the axes, where JPEG has its blocks."""
    at = np.fft.fftshift(np.fft.fftfreq(side))
    x, y = np.meshgrid(at, at)
    near = 2.5 / side
    blocks = (np.abs(x * 8 - np.round(x * 8)) < 8 * near) & (np.abs(y) < near)
    blocks |= (np.abs(y * 8 - np.round(y * 8)) < 8 * near) & (np.abs(x) < near)
    looked: NDArray[np.bool_] = (np.hypot(x, y) > LOWEST) & ~blocks
    return looked
