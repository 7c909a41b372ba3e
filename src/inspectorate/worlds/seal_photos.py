"""Photographs of seals, rendered: a lacquer with flakes, fibres, grains or a printed tape on a door, seen by a camera.

Nothing here was photographed. What is drawn:

- A door with its own marks: grain of the paint, scratches, screws. A seal of 40 mm on it.
- Flakes are small flat mirrors at a depth in the lacquer, each tilted its own way: how bright one is depends on where the light and
  the camera stand. Fibres, grains and print are matt.
- The lacquer is glossy: a lamp gives a patch of glare that wanders with the lamp and the camera.
- A camera of its own focal length, distortion, blur, exposure, white balance, noise and JPEG quality, from a place of its own.

What is not: shadows, dust, dirt, wear, light that flakes refract onto one another, rolling shutters, demosaicing, the software of
telephones. Lengths are millimetres, the door is the plane z = 0 with the seal about its origin, angles are radians. All comes from
a seed. Nothing of the comparison is used here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

SEAL_MM = 40.0
DOOR_MM = 150.0
DOOR_PX_PER_MM = 6.0


class Make(StrEnum):
    """How a seal is made."""

    GLITTER = "glitter"
    FIBRES = "fibres"
    GRAINS = "grains"
    TAPE = "tape"


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A model of camera."""

    name: str
    width: int
    height: int
    focal_px: float
    k1: float
    k2: float
    blur_px: float
    noise: float
    jpeg: int


CAMERAS = (
    Camera(name="a", width=800, height=600, focal_px=820, k1=-0.06, k2=0.01, blur_px=0.6, noise=1.5, jpeg=92),
    Camera(name="b", width=800, height=600, focal_px=700, k1=-0.12, k2=0.03, blur_px=0.8, noise=3.0, jpeg=85),
    Camera(name="c", width=720, height=720, focal_px=900, k1=0.03, k2=0.0, blur_px=0.7, noise=2.0, jpeg=88),
    Camera(name="d", width=880, height=660, focal_px=760, k1=-0.15, k2=0.05, blur_px=0.9, noise=3.5, jpeg=80),
    Camera(name="e", width=768, height=576, focal_px=980, k1=0.05, k2=-0.02, blur_px=0.7, noise=2.5, jpeg=75),
)


@dataclass(frozen=True, kw_only=True)
class Shot:
    """How one photograph is taken."""

    camera: Camera
    tilt: float = 0.0
    """Of the line of sight against the normal of the door."""
    azimuth: float = 0.0
    """Towards which side it is tilted."""
    roll: float = 0.0
    fill: float = 0.5
    """Side of the seal as a share of the shorter side of the picture."""
    off: tuple[float, float] = (0.0, 0.0)
    """Where the camera looks, in millimetres."""
    light_azimuth: float = 0.8
    light_elevation: float = 0.9
    lamp: float = 1.0
    ambient: float = 0.55
    exposure: float = 1.0
    white: tuple[float, float, float] = (1.0, 1.0, 1.0)
    defocus_px: float = 0.0
    motion_px: float = 0.0
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Seal:
    """What lies in or on a seal: polygons with places, depths and tilts."""

    make: Make
    centres: Floats
    """(n, 3)"""
    normals: Floats
    corners: Floats
    """(n, k, 3), about the centres"""
    colours: Floats
    mirror: Floats
    """How much of a mirror each is, 0 to 1."""
    base: tuple[float, float, float]
    gloss: float


_PALETTE = np.array(
    [(215, 215, 220), (60, 190, 235), (60, 60, 210), (200, 120, 50), (90, 180, 80), (170, 70, 180)], np.float32
)
"""Silver, gold, red, blue, green, violet, as blue, green and red."""
_BASES = ((70.0, 62.0, 58.0), (120.0, 128.0, 132.0), (40.0, 44.0, 96.0))


def make_seal(seed: int, make: Make = Make.GLITTER, *, count: int = 260) -> Seal:
    """A seal with `count` particles, wherever they happened to fall."""
    rng = np.random.default_rng([seed, 11])
    half = SEAL_MM / 2
    deep = 0.6 if make is Make.GLITTER else 0.05
    centres = np.column_stack([rng.uniform(-half, half, (count, 2)), rng.uniform(0, deep, count)])
    centres = centres[np.argsort(centres[:, 2])]
    tilt = np.abs(rng.normal(0, 0.30 if make is Make.GLITTER else 0.0, count))
    around = rng.uniform(0, 2 * np.pi, count)
    normals = np.column_stack([np.sin(tilt) * np.cos(around), np.sin(tilt) * np.sin(around), np.cos(tilt)])
    corners = _shapes(rng, make, count)
    # Turn each flat shape into the plane of its flake: z follows from the normal.
    corners[..., 2] = (
        -(corners[..., 0] * normals[:, None, 0] + corners[..., 1] * normals[:, None, 1]) / normals[:, None, 2]
    )
    colours = _PALETTE[rng.integers(0, len(_PALETTE), count)] * rng.uniform(0.7, 1.1, (count, 1))
    if make is Make.TAPE:
        colours = np.where(rng.random((count, 1)) < 0.5, 20.0, 235.0) * np.ones((1, 3))
    return Seal(
        make=make, centres=centres.astype(np.float32), normals=normals.astype(np.float32),
        corners=corners.astype(np.float32), colours=colours.astype(np.float32),
        mirror=np.full(count, 1.0 if make is Make.GLITTER else 0.0, np.float32),
        base=_BASES[int(rng.integers(len(_BASES)))], gloss=0.3 if make is Make.GRAINS else 1.0,
    )  # fmt: skip


def _shapes(rng: np.random.Generator, make: Make, count: int) -> NDArray[np.float64]:
    """Flat outlines about the origin, in millimetres: hexagons, threads, discs, blocks."""
    angles = rng.uniform(0, 2 * np.pi, (count, 1))
    if make is Make.FIBRES:
        length, bend, wide = rng.uniform(2, 6, (count, 1)), rng.normal(0, 0.8, (count, 1)), 0.12
        along = np.linspace(-0.5, 0.5, 5)[None, :] * length
        across = bend * (1 - (2 * along / length) ** 2)
        x, y = np.hstack([along, along[:, ::-1]]), np.hstack([across + wide, across[:, ::-1] - wide])
    else:
        sides = {Make.GLITTER: 6, Make.GRAINS: 9, Make.TAPE: 4}[make]
        radius = rng.uniform(0.35, 0.95 if make is not Make.TAPE else 1.3, (count, 1))
        turn = np.linspace(0, 2 * np.pi, sides, endpoint=False)[None, :]
        x, y = radius * np.cos(turn), radius * np.sin(turn)
        if make is Make.GRAINS:
            x = x * rng.uniform(0.6, 1.0, (count, 1))
    cos, sin = np.cos(angles), np.sin(angles)
    return np.stack([x * cos - y * sin, x * sin + y * cos, np.zeros_like(x)], axis=-1)


def make_door(seed: int) -> Floats:
    """What lies around the seal: paint with grain, scratches, screws and a stencil, as a picture of the plane."""
    rng = np.random.default_rng([seed, 12])
    side = int(DOOR_MM * DOOR_PX_PER_MM)
    tone = rng.uniform(90, 170) + rng.normal(0, 8, 3)
    grain = cv2.GaussianBlur(rng.normal(0, 1, (side, side)).astype(np.float32), (0, 0), 1.3) * 9
    broad = cv2.resize(rng.normal(0, 6, (12, 12)).astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    door = (tone[None, None, :] + (grain + broad)[..., None]).astype(np.float32)
    for _ in range(70):
        start = rng.uniform(0, side, 2)
        way = rng.normal(0, 45, 2)
        shade = float(rng.choice([-1, 1]) * rng.uniform(18, 55))
        a, b = (np.array([int(v) for v in end]) for end in (start, start + way))
        thick = int(rng.integers(1, 3))
        # Only where the scratch runs is anything drawn.
        low = np.clip(np.minimum(a, b) - 4, 0, side)
        high = np.clip(np.maximum(a, b) + 5, 0, side)
        line = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
        if line.size:
            cv2.line(line, tuple(int(v) for v in a - low), tuple(int(v) for v in b - low), 255, thick, cv2.LINE_AA)
            door[low[1] : high[1], low[0] : high[0]] += (line.astype(np.float32) / 255 * shade)[..., None]
    for _ in range(6):
        x, y = (int(v) for v in rng.uniform(0.05, 0.95, 2) * side)
        cv2.circle(door, (x, y), 16, tuple(float(t) for t in tone * 0.6), -1, cv2.LINE_AA)
        turn = rng.uniform(0, np.pi)
        dx, dy = int(12 * np.cos(turn)), int(12 * np.sin(turn))
        cv2.line(door, (x - dx, y - dy), (x + dx, y + dy), (25.0, 25.0, 25.0), 3, cv2.LINE_AA)
    return np.clip(door, 5, 250)


@dataclass(frozen=True, kw_only=True)
class View:
    """Where a camera stands: world to camera, and back to the plane."""

    turn: NDArray[np.float64]
    eye: NDArray[np.float64]
    camera: Camera

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pixels of points of the world, (..., 3) to (..., 2)."""
        seen = (points - self.eye) @ self.turn.T
        x, y = seen[..., 0] / seen[..., 2], seen[..., 1] / seen[..., 2]
        r2 = x * x + y * y
        bend = 1 + self.camera.k1 * r2 + self.camera.k2 * r2 * r2
        c = self.camera
        return np.stack([c.focal_px * x * bend + c.width / 2, c.focal_px * y * bend + c.height / 2], axis=-1)

    def plane(self) -> tuple[Floats, Floats]:
        """Where on the door each pixel looks, in millimetres."""
        c = self.camera
        # Smooth: every eighth pixel is enough, and the rest lies on a cubic between.
        u, v = np.meshgrid(np.arange(-8.0, c.width + 16, 8), np.arange(-8.0, c.height + 16, 8))
        dx, dy = (u - c.width / 2) / c.focal_px, (v - c.height / 2) / c.focal_px
        x, y = dx, dy
        for _ in range(4):
            r2 = x * x + y * y
            bend = 1 + c.k1 * r2 + c.k2 * r2 * r2
            x, y = dx / bend, dy / bend
        turn = self.turn
        rays = [turn[0, i] * x + turn[1, i] * y + turn[2, i] for i in range(3)]
        far = -self.eye[2] / rays[2]
        every = np.meshgrid(np.arange(c.width) / 8 + 1, np.arange(c.height) / 8 + 1)
        at_u, at_v = (one.astype(np.float32) for one in every)
        seen = [(self.eye[i] + far * rays[i]).astype(np.float32) for i in range(2)]
        x, y = (cv2.remap(one, at_u, at_v, cv2.INTER_CUBIC) for one in seen)
        return np.asarray(x, np.float32), np.asarray(y, np.float32)


def view_of(shot: Shot) -> View:
    """The camera looks at the seal from the distance at which it fills the picture as wished."""
    camera = shot.camera
    far = camera.focal_px * SEAL_MM / (shot.fill * min(camera.width, camera.height))
    target = np.array([*shot.off, 0.0])
    sine = np.sin(shot.tilt)
    eye = target + far * np.array([sine * np.cos(shot.azimuth), sine * np.sin(shot.azimuth), np.cos(shot.tilt)])
    ahead = (target - eye) / far
    right = np.cross(ahead, np.array([np.sin(shot.roll), np.cos(shot.roll), 0.0]))
    right /= np.linalg.norm(right)
    down = np.cross(ahead, right)
    return View(turn=np.stack([right, down, ahead]), eye=eye, camera=camera)


def lamp_of(shot: Shot) -> NDArray[np.float64]:
    """Direction towards the lamp."""
    flat = np.cos(shot.light_elevation)
    return np.array(
        [flat * np.cos(shot.light_azimuth), flat * np.sin(shot.light_azimuth), np.sin(shot.light_elevation)]
    )
