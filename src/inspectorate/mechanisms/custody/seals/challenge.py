"""A second photograph from another angle, with the lamp elsewhere: flakes that are mirrors change, a flat picture of them does not.

A print, or a screen, of a seal shows its sparkles as they were when the forger photographed them. Registered on one another, two
photographs of it are alike in brightness, however they were taken. Two photographs of real flakes are not. This says nothing of
seals without mirrors: fibres, grains and print look the same under any lamp, and a flat copy of them too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inspectorate.mechanisms.custody.opencv import opencv
from inspectorate.mechanisms.custody.seals.aligning import Floats
from inspectorate.mechanisms.custody.seals.comparing import Compared
from inspectorate.mechanisms.custody.seals.reference import PATCH

FINE, COARSE = 1.5, 6.0


@dataclass(frozen=True, kw_only=True)
class Challenged:
    """What two photographs of one seal show together."""

    changed: float
    """1 less the correlation of brightness between them: 0 for one flat picture taken twice."""
    angle: float
    """By how much the view changed, in radians, as the foreshortening of the one against the other shows it."""


def challenged(first: Compared, second: Compared) -> Challenged:
    """Hold two new photographs of one seal against each other."""
    cv = opencv()
    seen = first.structure.seen & second.structure.seen
    bands = [
        cv.GaussianBlur(one.structure.grey, (0, 0), FINE) - cv.GaussianBlur(one.structure.grey, (0, 0), COARSE)
        for one in (first, second)
    ]
    a, b = (band[seen] - band[seen].mean() for band in bands)
    size = float(np.sqrt(np.sum(a * a) * np.sum(b * b)))
    alike = float(np.sum(a * b)) / size if size > 0 else 0.0
    return Challenged(changed=1 - alike, angle=_angle(first.plane, second.plane))


def _angle(first: Floats, second: Floats) -> float:
    between = _small(second) @ np.linalg.inv(_small(first))
    long, short = np.linalg.svd(between, compute_uv=False)
    return float(np.arccos(np.clip(short / long, 0, 1)))


def _small(plane: Floats) -> Floats:
    """What a plane does to small steps about the middle of the straightened seal."""
    x, y, w = plane @ np.array([PATCH / 2, PATCH / 2, 1.0])
    return np.asarray((plane[:2, :2] - np.outer([x / w, y / w], plane[2, :2])) / w)
