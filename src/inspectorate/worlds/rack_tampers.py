"""What is done to a watched rack, or to its picture, in rendered video: each begins at one time, and lasts.

Loops are taken from what the camera saw before, encoded and decoded again, brightened, cropped or covered with fresh noise, as a
forger would do.
"""

from __future__ import annotations

import importlib
import io
import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from inspectorate.mechanisms.custody.opencv import opencv
from inspectorate.worlds.rack_encoder import Coding, encoded
from inspectorate.worlds.rack_room import Picture
from inspectorate.worlds.rack_video import Light, Scene, shifted, times

OPENED = frozenset({"door", "doors", "door-and-cable"})
KEPT_S = 90.0
"""How far back a forger of this world can take pictures from."""


@dataclass(frozen=True, kw_only=True)
class Tamper:
    """What is done, from when on, and with which luck."""

    kind: str
    from_s: float
    seed: int = 0
    loop_s: float = 20.0


@dataclass(kw_only=True)
class Film:
    """A scene on film, with one tamper or none."""

    scene: Scene
    rate: float
    tamper: Tamper | None = None
    lamp: Callable[[float], float] | None = None
    """Brightness of the verifier's lamp at a time."""
    kept: deque[tuple[float, Picture]] = field(default_factory=deque)

    def frames(self, seconds: float, start_s: float = 0.0) -> Iterator[tuple[float, Picture]]:
        """Time and picture, frame by frame."""
        forged: list[Picture] | None = None
        begun: int | None = None
        for number, t in enumerate(times(seconds, self.rate, start_s)):
            if self.tamper is None or t < self.tamper.from_s:
                picture = self._picture(t)
                self.kept.append((t, picture))
                while self.kept and self.kept[0][0] < t - KEPT_S:
                    self.kept.popleft()
                yield t, picture
                continue
            begun = number if begun is None else begun
            if self.tamper.kind == "gap":
                if t < self.tamper.from_s + 4:
                    self.scene.picture(t)
                    continue
                yield t, self._picture(t)
            elif self.tamper.kind in FORGED:
                forged = FORGED[self.tamper.kind](self) if forged is None else forged
                yield t, forged[(number - begun) % len(forged)]
            else:
                yield t, self._changed(t, self.tamper)

    def _light(self, t: float) -> Light:
        light = self.scene.light(t)
        return light if self.lamp is None else replace(light, lamp=self.lamp(t))

    def _picture(self, t: float) -> Picture:
        return self.scene.picture(t, light=self._light(t))

    def _changed(self, t: float, tamper: Tamper) -> Picture:
        """Something at the rack or at the lens is not as it was."""
        rng = np.random.default_rng([tamper.seed, 11])
        room = self.scene.room
        rack = int(rng.integers(len(room.racks)))
        albedo = room.albedo
        if tamper.kind in OPENED or tamper.kind in {"cable-added", "cable-removed"}:
            albedo = albedo.copy()
        if tamper.kind in OPENED:
            first = min(rack, len(room.doors) - 2) if tamper.kind == "doors" else rack
            for door in room.doors[first : first + 2] if tamper.kind == "doors" else room.doors[rack : rack + 1]:
                albedo[door.cut] = room.behind_doors[door.cut]
        if tamper.kind in {"cable-added", "door-and-cable"}:
            for cable in room.spare[rack]:
                opencv().polylines(albedo, [cable.points.reshape(-1, 1, 2)], False, cable.grey, cable.thickness)
        elif tamper.kind == "cable-removed":
            albedo[room.cabling[rack].cut] = room.removable[rack]
        light = self._light(t)
        if tamper.kind == "dark":
            light = Light(ceiling=0, day=0, emergency=0.0)
        picture = self.scene.picture(t, light=light, albedo=albedo)
        return self._at_the_lens(picture, t - tamper.from_s, tamper, rng)

    def _at_the_lens(self, picture: Picture, since: float, tamper: Tamper, rng: np.random.Generator) -> Picture:
        cv2 = opencv()
        setting = self.scene.room.setting
        noise = self.scene.rng.normal(0, setting.noise, picture.shape)
        match tamper.kind:
            case "lens-cap":
                return as_bytes(3 + np.abs(noise) * 2)
            case "painted":
                return as_bytes(float(rng.uniform(60, 200)) + noise * 1.5)
            case "sprayed" | "half-sprayed":
                part = 1.0 if tamper.kind == "sprayed" else 0.62
                coarse = rng.random((9, 16)).astype(np.float32)
                spread = cv2.resize(coarse, picture.shape[::-1], interpolation=cv2.INTER_CUBIC)
                _, x = np.mgrid[0 : picture.shape[0], 0 : picture.shape[1]]
                # A spray reaches its spot within a second, and covers the part next to it first.
                reach = min(1.0, since / 1.0) * part
                order = (x / picture.shape[1]) * 0.85 + spread * 0.15
                covered = cv2.GaussianBlur((order < reach).astype(np.float32), (0, 0), 3)
                return as_bytes(picture * (1 - covered) + covered * (float(rng.uniform(50, 180)) + noise))
            case "defocused":
                return cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(1.6, 4.0)))  # type: ignore[no-any-return]
            case "turned":
                far = rng.uniform(0.15, 0.6) * setting.width * rng.choice([-1, 1])
                return shifted(picture, float(far), float(rng.uniform(-20, 20)))  # type: ignore[no-any-return]
            case "nudged":
                angle = rng.uniform(0, 2 * math.pi)
                far = rng.uniform(2.5, 8.0)
                return shifted(picture, far * math.cos(angle), far * math.sin(angle))  # type: ignore[no-any-return]
            case "rolled":
                return shifted(  # type: ignore[no-any-return]
                    picture, 0, 0, degrees=float(rng.uniform(2.0, 8.0) * rng.choice([-1, 1]))
                )
            case _:
                return picture


def as_bytes(values: Any) -> Picture:
    return np.clip(values, 0, 255).astype(np.uint8)  # type: ignore[no-any-return]


def again(pictures: list[Picture], rate: float, quality: str) -> list[Picture]:
    """Pictures after one more encoder and decoder."""
    data = encoded(((n / rate, one) for n, one in enumerate(pictures)), Coding(quality=quality))
    av = importlib.import_module("av")
    with av.open(io.BytesIO(data)) as container:
        return [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]


def _last(film: Film, seconds: float, back_s: float = 0.0) -> list[Picture]:
    end = film.kept[-1][0] - back_s
    return [picture for t, picture in film.kept if end - seconds < t <= end]


def _noisy(film: Film, pictures: list[Picture], level: float) -> list[Picture]:
    rng = np.random.default_rng([film.tamper.seed if film.tamper else 0, 12])
    return [as_bytes(one + rng.normal(0, level, one.shape)) for one in pictures]


def _frozen(film: Film) -> list[Picture]:
    return [film.kept[-1][1]]


def _frozen_noisy(film: Film) -> list[Picture]:
    """One picture under fresh noise, for a minute before the noise repeats."""
    return _noisy(film, [film.kept[-1][1]] * round(60 * film.rate), film.scene.room.setting.noise * 1.2)


def _looped(film: Film) -> list[Picture]:
    assert film.tamper is not None
    return _last(film, film.tamper.loop_s)


def _replayed(film: Film) -> list[Picture]:
    """From as long ago as the forger kept, not from the seam."""
    assert film.tamper is not None
    first, last = film.kept[0][0], film.kept[-1][0]
    return _last(film, film.tamper.loop_s, back_s=max(0.0, last - first - film.tamper.loop_s - 0.5))


def _reencoded(film: Film) -> list[Picture]:
    return again(_looped(film), film.rate, "33")


def _brightened(film: Film) -> list[Picture]:
    pictures = again(_replayed(film), film.rate, "30")
    return _noisy(film, [as_bytes(255 * (one / 255.0) ** 0.8 * 1.05 + 6) for one in pictures], 2.0)


def _cropped(film: Film) -> list[Picture]:
    pictures = [shifted(one, 0, 0, zoom=1.02) for one in _replayed(film)]
    return again([as_bytes(one * 0.93) for one in pictures], film.rate, "30")


FORGED: dict[str, Callable[[Film], list[Picture]]] = {
    "frozen": _frozen,
    "frozen-noisy": _frozen_noisy,
    "looped": _looped,
    "looped-reencoded": _reencoded,
    "replayed": _replayed,
    "replayed-brightened": _brightened,
    "replayed-cropped": _cropped,
}
EXPECTED: dict[str, tuple[str, ...]] = {
    "lens-cap": ("covered", "dark"),
    "painted": ("covered",),
    "sprayed": ("covered",),
    "half-sprayed": ("covered",),
    "defocused": ("defocused",),
    "turned": ("moved",),
    "nudged": ("moved",),
    "rolled": ("moved",),
    "frozen": ("frozen",),
    "frozen-noisy": ("frozen",),
    "looped": ("replayed",),
    "looped-reencoded": ("replayed",),
    "replayed": ("replayed",),
    "replayed-brightened": ("replayed",),
    "replayed-cropped": ("replayed", "moved"),
    "door": ("door-opened",),
    # Two doors can be most of what the camera knew by sight: then it is the camera that is called.
    "doors": ("door-opened", "defocused"),
    "door-and-cable": ("door-opened",),
    "cable-added": ("cabling-changed",),
    "cable-removed": ("cabling-changed",),
    "dark": ("dark",),
    "gap": ("gap",),
}
"""What a watcher should call each of them."""
