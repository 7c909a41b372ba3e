"""From a seal, a door and a shot to the bytes of a JPEG: see `seal_photos` for what is drawn and what is not."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from inspectorate.worlds.seal_photos import DOOR_MM, DOOR_PX_PER_MM, SEAL_MM, Floats, Seal, Shot, View, lamp_of, view_of

PRINT_PX_PER_MM = 8.0
"""About 200 dots per inch of real detail, of a good photograph printed well."""
MIRROR_POWER = 45.0
"""A flake's lobe: half its light at about ten degrees."""
SHIFT = 4


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A seal on a door, and what somebody did to it."""

    door: Floats
    seal: Seal
    moved_mm: tuple[float, float] = (0.0, 0.0)
    turned: float = 0.0
    """The seal was lifted and put back: so far off, and so much turned."""
    stretch: float = 0.0
    """Put back: the lacquer gave by this share along one axis."""
    cut: tuple[float, float, float] | None = None
    """Angle and offset of a cut, and by how many millimetres its two sides no longer meet."""
    flat: Floats | None = field(default=None, repr=False)
    """A picture of the plane instead of the seal (blue, green, red), `PRINT_PX_PER_MM`: a print that was stuck on."""
    screen_mm: float | None = None
    """The picture is shown on a screen of this pitch."""


def photograph(scene: Scene, shot: Shot) -> bytes:
    """One photograph as a JPEG."""
    linear = _light(scene, shot)
    done, image = cv2.imencode(".jpg", _expose(linear, shot), [cv2.IMWRITE_JPEG_QUALITY, shot.camera.jpeg])
    assert done
    return bytes(image.tobytes())


def flattened(scene: Scene, shot: Shot) -> Floats:
    """What a forger prints: this photograph, straightened, by one who knows where the camera stood."""
    picture = _expose(_light(scene, shot), shot).astype(np.float32)
    side = int(SEAL_MM * PRINT_PX_PER_MM)
    at = (np.arange(side) + 0.5) / PRINT_PX_PER_MM - SEAL_MM / 2
    x, y = np.meshgrid(at, at)
    pixels = view_of(shot).project(np.stack([x, y, np.zeros_like(x)], axis=-1)).astype(np.float32)
    found = cv2.remap(picture, pixels[..., 0], pixels[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float32)


def _light(scene: Scene, shot: Shot) -> Floats:
    view = view_of(shot)
    x, y = view.plane()
    lamp, gloss = lamp_of(shot), _glare(view, shot, x, y)
    at_x, at_y = ((one + np.float32(DOOR_MM / 2)) * np.float32(DOOR_PX_PER_MM) for one in (x, y))
    paint = cv2.remap(scene.door, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    matt = shot.ambient + 0.55 * shot.lamp * lamp[2]
    shade = 1 + x * np.float32(0.12 * lamp[0] / SEAL_MM) + y * np.float32(0.12 * lamp[1] / SEAL_MM)
    picture = np.asarray(paint * (np.float32(matt) * shade)[..., None], np.float32)
    u, v = _on_seal(scene, x, y)
    sharp = (np.maximum(np.abs(u), np.abs(v)) < SEAL_MM / 2).astype(np.float32)
    inside = cv2.GaussianBlur(sharp, (0, 0), 0.7)[..., None]
    shown: Floats
    if scene.flat is not None:
        shown = _shown(scene, u, v, matt if scene.screen_mm is None else 1.0)
        glare = 0.35 * gloss[..., None]
    else:
        shown = np.empty_like(picture)
        shown[:] = np.array(scene.seal.base, np.float32)
        shown *= (np.float32(matt) * shade)[..., None]
        _flakes(shown, scene, view, shot)
        glare = scene.seal.gloss * gloss[..., None]
    if scene.cut is not None:
        angle, offset, _ = scene.cut
        beside = np.abs(x * np.cos(angle) + y * np.sin(angle) - offset)
        cut = shown * (1 - 0.6 * np.exp(-((beside / 0.12) ** 2)))[..., None]
        shown = cut.astype(np.float32)
    around = picture + np.float32(0.15) * gloss[..., None]
    return np.asarray(around + (shown + glare - around) * inside, np.float32)


def _glare(view: View, shot: Shot, x: Floats, y: Floats) -> Floats:
    """The lamp as a smooth surface shows it: where it mirrors the lamp to the camera."""
    toward = np.stack(
        [view.eye[0] - x[::4, ::4], view.eye[1] - y[::4, ::4], np.full(x[::4, ::4].shape, view.eye[2])], -1
    )
    toward /= np.linalg.norm(toward, axis=-1, keepdims=True)
    half = toward + lamp_of(shot)
    half /= np.linalg.norm(half, axis=-1, keepdims=True)
    small = (230 * shot.lamp * np.exp(-((np.arccos(np.clip(half[..., 2], -1, 1)) / 0.07) ** 2))).astype(np.float32)
    return np.asarray(cv2.resize(small, (x.shape[1], x.shape[0]), interpolation=cv2.INTER_LINEAR), np.float32)


def _on_seal(scene: Scene, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Places on the seal itself of places on the door."""
    x, y = x - np.float32(scene.moved_mm[0]), y - np.float32(scene.moved_mm[1])
    cos, sin = np.float32(np.cos(scene.turned)), np.float32(np.sin(scene.turned))
    return x * cos + y * sin, -x * sin + y * cos


def _placed(scene: Scene) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Corners of all particles on the door, and which of them are still there."""
    seal = scene.seal
    points = (seal.centres[:, None, :] + seal.corners).astype(np.float64)
    there = np.ones(len(points), bool)
    if scene.stretch:
        points[..., 0] *= 1 + scene.stretch
        points[..., 1] *= 1 - scene.stretch / 2
    if scene.cut is not None:
        angle, offset, gap = scene.cut
        normal = np.array([np.cos(angle), np.sin(angle)])
        beside = seal.centres[:, :2] @ normal - offset
        along = np.array([-np.sin(angle), np.cos(angle)])
        points[beside > 0, :, :2] += gap * (0.5 * normal + 0.87 * along)
        there &= np.abs(beside) > 0.3
    cos, sin = np.cos(scene.turned), np.sin(scene.turned)
    x, y = points[..., 0].copy(), points[..., 1].copy()
    points[..., 0] = x * cos - y * sin + scene.moved_mm[0]
    points[..., 1] = x * sin + y * cos + scene.moved_mm[1]
    return points, there


def _flakes(shown: Floats, scene: Scene, view: View, shot: Shot) -> None:
    """Draw every particle, the deepest first, as bright as lamp and camera make it."""
    points, there = _placed(scene)
    seal = scene.seal
    toward = view.eye - seal.centres
    toward /= np.linalg.norm(toward, axis=1, keepdims=True)
    normals = seal.normals.astype(np.float64)
    mirrored = 2 * np.sum(toward * normals, axis=1, keepdims=True) * normals - toward
    spark = np.clip(mirrored @ lamp_of(shot), 0, 1) ** MIRROR_POWER
    sky = 0.25 + 0.75 * np.clip(mirrored[:, 2], 0, 1) ** 6
    matt = shot.ambient + 0.55 * shot.lamp * np.clip(normals @ lamp_of(shot), 0, 1)
    bright = (1 - seal.mirror) * matt + seal.mirror * (shot.ambient * sky * 1.1 + 4.0 * shot.lamp * spark)
    pixels = np.round(view.project(points) * (1 << SHIFT)).astype(np.int32)
    for k in np.flatnonzero(there):
        colour = seal.colours[k] * bright[k]
        cv2.fillConvexPoly(shown, pixels[k], tuple(float(c) for c in colour), cv2.LINE_8, SHIFT)


def _shown(scene: Scene, u: Floats, v: Floats, matt: float) -> Floats:
    """A print or a screen in place of the seal."""
    assert scene.flat is not None
    at = ((np.stack([u, v], axis=-1) + SEAL_MM / 2) * PRINT_PX_PER_MM - 0.5).astype(np.float32)
    shown = cv2.remap(scene.flat, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) * matt
    if scene.screen_mm is not None:
        # Stripes of blue, green and red, and dark lines between rows, as the sensor samples them.
        phase = 2 * np.pi * u / scene.screen_mm
        stripes = np.stack([1 + 0.8 * np.cos(phase + shift) for shift in (-2.1, 0.0, 2.1)], axis=-1)
        rows = 1 + 0.35 * np.cos(2 * np.pi * v / scene.screen_mm)
        shown = shown * (stripes * rows[..., None]).astype(np.float32)
    return np.asarray(shown, np.float32)


def _expose(linear: Floats, shot: Shot) -> NDArray[np.uint8]:
    """What lens, sensor and processing make of the light."""
    rng = np.random.default_rng([shot.seed, 13])
    camera = shot.camera
    picture = linear * shot.exposure
    # A bright spark shines over its neighbours.
    picture += 0.25 * cv2.GaussianBlur(np.maximum(picture - 255, 0), (0, 0), 3.0)
    sigma = float(np.hypot(camera.blur_px, shot.defocus_px))
    picture = cv2.GaussianBlur(np.minimum(picture, 900), (0, 0), sigma)
    if shot.motion_px > 1:
        long = int(np.ceil(shot.motion_px)) | 1
        kernel = np.zeros((long, long), np.float32)
        angle = rng.uniform(0, np.pi)
        middle = long // 2
        way = np.array([np.cos(angle), np.sin(angle)]) * shot.motion_px / 2
        start, end = (tuple(round(middle + s * w) for w in way) for s in (-1, 1))
        cv2.line(kernel, start, end, 1.0, 1)
        picture = cv2.filter2D(picture, -1, kernel / kernel.sum())
    picture *= np.array(shot.white, np.float32)
    height, width = picture.shape[:2]
    r2 = ((np.arange(width) / width - 0.5) ** 2)[None, :] + ((np.arange(height) / height - 0.5) ** 2)[:, None]
    picture *= (1 - 0.5 * r2)[..., None].astype(np.float32)
    noise = rng.standard_normal(picture.shape, dtype=np.float32)
    picture += noise * np.sqrt(camera.noise**2 + 0.04 * camera.noise * np.maximum(picture, 0))
    curved = 255 * cv2.pow(np.clip(picture / 255, 0, 1), 0.9)
    return np.asarray(np.round(curved), np.uint8)


def with_part_replaced(seal: Seal, other: Seal, *, angle: float, share: float) -> Seal:
    """The seal after all particles on one side of a line, about `share` of it, were replaced by others."""
    normal = np.array([np.cos(angle), np.sin(angle)])
    mine, theirs = seal.centres[:, :2] @ normal, other.centres[:, :2] @ normal
    edge = float(np.quantile(mine, 1 - share))
    keep, take = mine <= edge, theirs > edge
    order = np.argsort(np.concatenate([seal.centres[keep, 2], other.centres[take, 2]]))

    def joined(name: str) -> Floats:
        return np.asarray(np.concatenate([getattr(seal, name)[keep], getattr(other, name)[take]])[order], np.float32)

    return replace(
        seal, centres=joined("centres"), normals=joined("normals"), corners=joined("corners"), colours=joined("colours"),
        mirror=joined("mirror"),
    )  # fmt: skip
