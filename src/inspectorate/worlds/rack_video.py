"""Rendered video of racks, for tests and error rates: labelled as rendered, seeded, and no part of any detector.

A picture is made as a camera would see it, step by step:

1. a room of racks with doors, cables and lamps on their devices (`Room`), drawn once from a seed and a `Setting`;
2. light: ceiling lamps that are on or off, daylight that comes and goes, emergency light, flicker, passing clouds, and the lamp
   of a verifier; each has a field of its own over the picture, and the picture is linear in them;
3. what moves: lamps of devices that blink at random, people who walk by or stand, their shadows, insects, vibration;
4. the camera: exposure that follows the mean with a delay, noise that grows with gain, 8 bits;
5. a real encoder (`rack_encoder`), which loses what encoders lose.

It shares no code with the detectors, and knows nothing of their grids. What it leaves out: colour, lens distortion, rolling
shutter, rain on lenses, night vision by infra-red, and everything that real rooms have and nobody thought of. Rates measured on
it are rates on it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.custody.opencv import opencv
from inspectorate.worlds.rack_room import Floats, Picture, Room


@dataclass(kw_only=True)
class Passage:
    """A person comes by."""

    start_s: float
    walk_s: float
    stays_s: float
    size: float
    """Height as a share of the picture."""
    grey: float
    leftward: bool
    stops_at: float
    sway: NDArray[np.float64]

    @property
    def end_s(self) -> float:
        return self.start_s + self.walk_s + self.stays_s

    def place(self, t: float) -> float:
        """Where they are across the picture, from 0 to 1."""
        since = t - self.start_s
        before = self.walk_s * self.stops_at
        if since > before + self.stays_s:
            along = (since - self.stays_s) / self.walk_s
        elif since > before:
            swayed = self.sway[0] * math.sin(self.sway[1] * t) + self.sway[2] * math.sin(self.sway[3] * t)
            along = self.stops_at + float(swayed)
        else:
            along = since / self.walk_s
        return 1 - along if self.leftward else along


@dataclass(kw_only=True)
class Light:
    """Lights at a moment."""

    ceiling: float
    day: float
    emergency: float = 0.12
    lamp: float = 0.0


@dataclass(kw_only=True)
class Scene:
    """A room over time, as a camera sees it. Take frames in order of time."""

    room: Room
    seed: int
    start_hour: float = 10.0
    people: bool = True
    gain: float = 1.0
    last_s: float | None = None
    state: Any = None
    passages: list[Passage] = field(default_factory=list)
    switches: list[tuple[float, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        setting = self.room.setting
        self.rng = np.random.default_rng([self.seed, 2])
        spots = len(self.room.spots)
        self.state = self.rng.random(spots) < 0.5
        self.phase = self.rng.random(spots) * 7
        pool = np.random.default_rng([self.seed, 3])
        self.pool = pool.normal(0, 1, (setting.height * 3 + 7, setting.width * 3 + 11)).astype(np.float32)
        self.next_person_s = float(self.rng.exponential(3600 / setting.people_per_hour))
        self.next_switch_s = float(self.rng.exponential(5400))
        self.clouds = np.random.default_rng([self.seed, 4]).random(8) * 6

    def hour(self, t: float) -> float:
        return (self.start_hour + t / 3600) % 24

    def light(self, t: float) -> Light:
        """The lights at a time; ceiling lamps also go on for people at night, and off and on by day."""
        setting = self.room.setting
        hour = self.hour(t)
        on = setting.lamps_by_day[0] <= hour < setting.lamps_by_day[1]
        on = on or any(one.start_s - 4 < t < one.end_s + 60 for one in self.passages)
        for begins, ends in ((a, a + 90) for a, _ in self.switches):
            if begins <= t < ends:
                on = not on
        sun = max(0.0, math.sin((hour - 6) / 12 * math.pi)) * setting.daylight
        cloud = 0.75 + 0.25 * math.sin(t / 97 + self.clouds[0]) * math.sin(t / 41 + self.clouds[1])
        flicker = 1 + setting.flicker * math.sin(2 * math.pi * 0.37 * t + self.clouds[2]) * self.rng.uniform(0.5, 1)
        return Light(ceiling=(1.0 if on else 0.0) * flicker, day=sun * cloud)

    def _advance(self, t: float) -> None:
        setting = self.room.setting
        dt = 0.0 if self.last_s is None else t - self.last_s
        rates = self.room.blinks
        chance = 1 - np.exp(-rates * dt)
        self.state ^= self.rng.random(len(rates)) < chance
        beat = ((t * (0.5 + rates / 2) + self.phase) % 1) < 0.5
        self.state = np.where(self.room.periodic, beat, self.state) | (rates == 0)
        by_day = 6 <= self.hour(t) < 20
        while self.people and self.next_person_s <= t:
            self.passages.append(self._passage(self.next_person_s))
            rate = setting.people_per_hour if by_day else setting.people_at_night_per_hour
            self.next_person_s += float(self.rng.exponential(3600 / rate))
        self.passages = [one for one in self.passages if one.end_s + 60 > t]
        if self.people and self.next_switch_s <= t:
            self.switches = [(self.next_switch_s, True)]
            self.next_switch_s += 90 + float(self.rng.exponential(5400))
        self.last_s = t

    def _passage(self, start_s: float) -> Passage:
        rng = self.rng
        stays = float(rng.uniform(5, 60)) if rng.random() < 0.33 else 0.0
        sway = np.array([rng.uniform(0.004, 0.01), rng.uniform(0.8, 2.5), rng.uniform(0.002, 0.006), rng.uniform(3, 6)])
        return Passage(
            start_s=start_s, walk_s=float(rng.uniform(3, 9)), stays_s=stays, size=float(rng.uniform(0.55, 0.95)),
            grey=float(rng.uniform(0.05, 0.7)), leftward=bool(rng.random() < 0.5), stops_at=float(rng.uniform(0.3, 0.7)),
            sway=sway,
        )  # fmt: skip

    def _people(self, albedo: Floats, t: float) -> Floats:
        present = [one for one in self.passages if one.start_s <= t < one.end_s]
        if not present:
            return albedo
        albedo = albedo.copy()
        setting, cv2 = self.room.setting, opencv()
        for one in present:
            tall = int(one.size * setting.height)
            x = int((one.place(t) * 1.3 - 0.15) * setting.width)
            top = int(setting.height * 0.98) - tall
            broad = max(4, int(tall * 0.14))
            shade = np.s_[setting.height - 22 :, max(0, x - 2 * broad) : max(0, x + 3 * broad)]
            albedo[shade] *= 0.6
            swing = int(broad * 0.5 * math.sin(t * 5)) if one.stays_s == 0 else 0
            cv2.ellipse(albedo, (x, top + tall // 2), (broad, int(tall * 0.34)), 0, 0, 360, one.grey, -1)
            cv2.line(albedo, (x, top + tall // 2), (x + swing, top + tall), one.grey * 0.7, max(3, broad // 2))
            cv2.circle(albedo, (x, top + int(tall * 0.1)), max(3, int(tall * 0.075)), 0.55, -1)
        return albedo

    def picture(self, t: float, *, light: Light | None = None, albedo: Floats | None = None) -> Picture:
        """The picture at time `t`, in seconds from the start; `albedo` in place of the room's where something was changed."""
        dt = 0.0 if self.last_s is None else t - self.last_s
        self._advance(t)
        radiance = self._radiance(t, light or self.light(t), self.room.albedo if albedo is None else albedo)
        return self._exposed(radiance, dt)

    def _radiance(self, t: float, light: Light, albedo: Floats) -> Floats:
        setting, room = self.room.setting, self.room
        fields = room.fields
        falls = light.emergency * fields["emergency"]
        if light.ceiling:
            falls = falls + light.ceiling * fields["ceiling"]
        if light.day:
            falls = falls + light.day * fields["day"]
        if light.lamp:
            falls = falls + light.lamp * 0.25 * fields["lamp"]
        radiance: Floats = self._people(albedo, t) * falls
        self._spots(radiance, albedo)
        if light.lamp:
            radiance[room.lamp.cut] += 0.9 * light.lamp
        if self.people and self.rng.random() < 0.01:
            x, y = self.rng.integers(0, setting.width - 3), self.rng.integers(0, setting.height - 3)
            radiance[y : y + 2, x : x + 3] += 0.5
        if setting.sharpness_px:
            radiance = opencv().GaussianBlur(radiance, (0, 0), setting.sharpness_px)
        if setting.vibration_px:
            dx, dy = self.rng.normal(0, setting.vibration_px, 2)
            radiance = shifted(radiance, float(dx), float(dy))
        return radiance

    def _spots(self, radiance: Floats, albedo: Floats) -> None:
        """Lamps of devices that are on, where nothing stands before them."""
        on = self.room.spots[self.state]
        seen = albedo is self.room.albedo
        for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
            x, y = on[:, 0] + dx, on[:, 1] + dy
            free = slice(None) if seen else np.abs(albedo[y, x] - self.room.albedo[y, x]) < 0.01
            radiance[y[free], x[free]] += 0.45

    def _exposed(self, radiance: Floats, dt: float) -> Picture:
        """Exposure, noise and eight bits."""
        setting = self.room.setting
        wanted = min(setting.gain_max, 0.42 / max(0.02, float(radiance[::4, ::4].mean())))
        self.gain += (wanted - self.gain) * (1 - math.exp(-dt / setting.exposure_s)) if dt else wanted - self.gain
        y, x = self.rng.integers(0, setting.height * 2), self.rng.integers(0, setting.width * 2)
        noise = self.pool[y : y + setting.height, x : x + setting.width]
        grey = np.sqrt(np.clip(radiance * self.gain, 0, 1.2)) * 225
        grey += noise * (setting.noise * (0.6 + 0.4 * self.gain))
        return opencv().convertScaleAbs(np.clip(grey, 0, 255))  # type: ignore[no-any-return]


def shifted(picture: Any, dx: float, dy: float, *, degrees: float = 0.0, zoom: float = 1.0) -> Any:
    """A picture moved, turned about its middle and enlarged, as if the camera was."""
    cv2 = opencv()
    height, width = picture.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, zoom)
    matrix[:, 2] += (dx, dy)
    return cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)


def times(seconds: float, rate: float, start_s: float = 0.0) -> Iterator[float]:
    """The times of frames at a steady rate."""
    return (start_s + number / rate for number in range(round(seconds * rate)))
