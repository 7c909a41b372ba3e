"""Other ways to compare two photographs, on the same pairs as `seal_photos`: none of them was made for seals."""

from __future__ import annotations

import cv2
import numpy as np

from inspectorate.mechanisms.custody.seals.comparing import Compared, Reference, Unclear
from inspectorate.mechanisms.custody.seals.photo import Photo

PEERS = ("ncc", "ssim", "phash", "orb")
SAID = {
    "ncc": "normalised correlation, registered by us", "ssim": "SSIM, registered by us",
    "phash": "perceptual hash of the middle (DCT, 64 bits)", "orb": "ORB matches (ratio 0.75)",
}  # fmt: skip


def peers(reference: Reference, photo: Photo, found: Compared | Unclear) -> dict[str, float | None]:
    """Scores of all peers; higher says same. None where a peer needs a registration that there is not."""
    first = reference.photos[0]
    made: dict[str, float | None] = {
        "ncc": None,
        "ssim": None,
        "phash": _phash(first, photo),
        "orb": _orb(first, photo),
    }
    if isinstance(found, Compared):
        # The nearest of all references, as ours has it.
        made["ncc"] = max(_ncc(one.grey, found.structure.grey) for one in reference.structures)
        made["ssim"] = max(_ssim(one.grey, found.structure.grey) for one in reference.structures)
    return made


def _ncc(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum() + 1e-9))


def _ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Mean structural similarity (Wang et al. 2004), Gaussian windows of 1.5."""
    one, two = (0.01 * 255) ** 2, (0.03 * 255) ** 2

    def blur(values: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(values, (11, 11), 1.5)

    ma, mb = blur(a), blur(b)
    va, vb, vab = blur(a * a) - ma * ma, blur(b * b) - mb * mb, blur(a * b) - ma * mb
    return float((((2 * ma * mb + one) * (2 * vab + two)) / ((ma * ma + mb * mb + one) * (va + vb + two))).mean())


def _phash(first: Photo, photo: Photo) -> float:
    bits = []
    for one in (first, photo):
        height, width = one.grey.shape
        half = int(0.275 * min(height, width))
        middle = one.grey[height // 2 - half : height // 2 + half, width // 2 - half : width // 2 + half]
        waves = cv2.dct(cv2.resize(middle, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32))[:8, :8]
        bits.append(waves > np.median(waves))
    return float((bits[0] == bits[1]).mean())


def _orb(first: Photo, photo: Photo) -> float:
    finder = cv2.ORB_create(1000)
    words = [finder.detectAndCompute(one.grey, None)[1] for one in (first, photo)]
    if any(one is None or len(one) < 2 for one in words):
        return 0.0
    pairs = cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(words[0], words[1], k=2)
    return float(sum(a.distance < 0.75 * b.distance for a, b in pairs))
