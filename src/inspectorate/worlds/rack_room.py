"""A rendered room of racks, drawn once from a seed and a setting: what is there, apart from light and motion (`rack_video`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.custody.opencv import opencv

Floats = NDArray[np.float32]
Picture = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What kind of room and camera is rendered."""

    name: str
    width: int = 320
    height: int = 180
    racks: int = 3
    units: int = 14
    """Devices in a rack."""
    lamps_per_unit: float = 2.5
    blink_hz: float = 1.2
    """Mean rate of changes of one lamp."""
    noise: float = 1.6
    """Standard deviation at gain 1, in grey levels."""
    gain_max: float = 5.0
    exposure_s: float = 0.7
    """How fast exposure follows."""
    sharpness_px: float = 0.6
    """Blur of the lens."""
    vibration_px: float = 0.25
    people_per_hour: float = 10.0
    """Passages by day; one in three stays for a while."""
    people_at_night_per_hour: float = 1.0
    lamps_by_day: tuple[float, float] = (7.0, 19.0)
    """Hours at which ceiling lamps go on and off; people and timers switch them at other times, too."""
    daylight: float = 0.35
    flicker: float = 0.015
    texture: float = 12.0


TRAINING = Setting(name="training")
HELD_OUT = Setting(
    name="held-out", racks=4, units=18, lamps_per_unit=1.6, blink_hz=0.8, noise=2.4, gain_max=8.0, exposure_s=1.2,
    sharpness_px=0.8, vibration_px=0.35, people_per_hour=14.0, daylight=0.6, flicker=0.03, texture=8.0,
)  # fmt: skip
"""Another room, another camera, other habits: nothing was tuned on it."""


@dataclass(frozen=True, kw_only=True)
class Box:
    """A part of the picture, in pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def cut(self) -> tuple[slice, slice]:
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    def share(self, width: int, height: int) -> tuple[float, float, float, float]:
        return self.left / width, self.top / height, self.width / width, self.height / height


@dataclass(frozen=True, kw_only=True)
class Cable:
    """A curve between two points."""

    points: NDArray[np.int32]
    grey: float
    thickness: int


@dataclass(frozen=True, kw_only=True)
class Room:
    """What is there, apart from light and motion."""

    setting: Setting
    albedo: Floats
    behind_doors: Floats
    """What is seen of each rack when its door stands open."""
    racks: tuple[Box, ...]
    doors: tuple[Box, ...]
    cabling: tuple[Box, ...]
    lamp: Box
    """Of the verifier."""
    fields: dict[str, Floats]
    """Of each light."""
    spots: NDArray[np.int32]
    """Lamps of devices: x, y."""
    blinks: NDArray[np.float32]
    """Changes per second of each; 0: always on."""
    periodic: NDArray[np.bool_]
    spare: tuple[tuple[Cable, ...], ...]
    """Cables that may be added, for each rack."""
    removable: tuple[Floats, ...]
    """Each cabling with some of its cables gone."""


def build_room(setting: Setting, seed: int) -> Room:
    """A room of this kind. The same seed gives the same room."""
    rng = np.random.default_rng([seed, 1])
    width, height = setting.width, setting.height
    albedo = _walls(setting, rng)
    racks = _places_of_racks(setting, rng)
    doors, cabling = [], []
    behind = np.zeros((height, width), np.float32)
    spare, removable, spots = [], [], []
    for rack in racks:
        split = int(rack.height * 0.62)
        door = Box(left=rack.left + 2, top=rack.top + 2, width=rack.width - 4, height=split - 4)
        patch = Box(left=rack.left + 2, top=rack.top + split, width=rack.width - 4, height=rack.height - split - 2)
        spots.append(_draw_rack(albedo, rack, door, setting, rng))
        behind[door.cut] = _inside(door, rng)
        cables = [_cable(patch, rng) for _ in range(int(rng.integers(5, 9)))]
        albedo[patch.cut] = rng.normal(0.25, 0.02, (patch.height, patch.width))
        fewer = albedo.copy()
        for number, cable in enumerate(cables):
            _draw_cable(albedo, cable)
            if number < len(cables) - 2:
                _draw_cable(fewer, cable)
        removable.append(fewer[patch.cut].copy())
        spare.append(tuple(_cable(patch, rng) for _ in range(2)))
        doors.append(door)
        cabling.append(patch)
    lamp = Box(left=int(width * 0.47), top=int(height * 0.03), width=int(width * 0.06), height=int(height * 0.05))
    albedo[lamp.cut] = 0.3
    every = np.concatenate(spots)
    chosen = every[rng.random(len(every)) < min(1.0, setting.lamps_per_unit / 4)]
    rates = (setting.blink_hz * rng.lognormal(0.0, 0.7, len(chosen))).astype(np.float32)
    rates[rng.random(len(chosen)) < 0.15] = 0.0
    return Room(
        setting=setting, albedo=np.clip(albedo, 0.02, 1.0).astype(np.float32), behind_doors=behind, racks=tuple(racks),
        doors=tuple(doors), cabling=tuple(cabling), lamp=lamp, fields=_fields(setting, lamp, rng), spots=chosen, blinks=rates,
        periodic=rng.random(len(chosen)) < 0.15, spare=tuple(spare), removable=tuple(removable),
    )  # fmt: skip


def _walls(setting: Setting, rng: np.random.Generator) -> Floats:
    width, height = setting.width, setting.height
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    wall = 0.55 + 0.08 * np.sin(x / width * 5 + rng.random() * 6)
    floor_from = int(height * 0.86)
    tile = ((x // 24 + y // 10) % 2) * 0.06
    wall[floor_from:] = 0.35 + tile[floor_from:]
    for row in range(0, int(height * 0.1), 6):
        wall[row : row + 1] *= 0.7
    coarse = rng.normal(0, setting.texture / 255, (height // 4, width // 4)).astype(np.float32)
    rough: Floats = wall + opencv().resize(coarse, (width, height), interpolation=opencv().INTER_CUBIC)
    return rough.astype(np.float32)


def _places_of_racks(setting: Setting, rng: np.random.Generator) -> list[Box]:
    width, height = setting.width, setting.height
    gap = int(width * 0.05)
    each = (width - gap * (setting.racks + 1)) // setting.racks
    top = int(height * 0.11)
    return [
        Box(
            left=gap + number * (each + gap), top=top + int(rng.integers(0, 5)), width=each,
            height=int(height * 0.76) - int(rng.integers(0, 6)),
        )
        for number in range(setting.racks)
    ]  # fmt: skip


def _draw_rack(albedo: Floats, rack: Box, door: Box, setting: Setting, rng: np.random.Generator) -> NDArray[np.int32]:
    """Draw a closed rack; the places where lamps may sit."""
    albedo[rack.cut] = 0.16
    edge = albedo[rack.cut]
    edge[:2] = edge[-2:] = 0.45
    edge[:, :2] = edge[:, -2:] = 0.45
    mesh = albedo[door.cut]
    y, x = np.mgrid[0 : door.height, 0 : door.width]
    mesh[:] = 0.2 + 0.06 * ((x + y) % 4 == 0) + rng.normal(0, 0.015, mesh.shape)
    unit = max(4, door.height // setting.units)
    found = []
    for top in range(2, door.height - 3, unit):
        mesh[top : top + 1] += 0.2
        mesh[top + 1 : top + unit - 1, 2 : 2 + int(rng.integers(4, 14))] += 0.12
        found += [(door.left + int(at), door.top + top + 2) for at in rng.integers(4, door.width - 6, 4)]
    handle = slice(door.height // 2 - 6, door.height // 2 + 6)
    mesh[handle, -5:-3] = 0.7
    mesh[:, 0] = mesh[:, -1] = 0.5
    return np.array(found, np.int32)


def _inside(door: Box, rng: np.random.Generator) -> Floats:
    """What an open door shows: dark, with boards and rails, and the leaf seen from its edge."""
    inside = np.full((door.height, door.width), 0.08, np.float32)
    for top in range(1, door.height - 4, 7):
        inside[top : top + 3, 3:-3] = 0.3 + 0.1 * rng.random()
        for at in range(5, door.width - 8, 11):
            inside[top : top + 3, at : at + 4] = 0.5 * rng.random()
    inside[:, :4] = 0.6
    inside[:, 8:10] = 0.45
    return inside


def _cable(patch: Box, rng: np.random.Generator) -> Cable:
    left, right = sorted(rng.integers(2, patch.width - 2, 2).tolist())
    right = min(patch.width - 2, max(right, left + patch.width // 2))
    start, end = rng.integers(2, patch.height - 2, 2)
    sag = rng.uniform(0.2, 0.9) * patch.height
    t = np.linspace(0, 1, 24)
    x = patch.left + left + (right - left) * t
    y = np.minimum(patch.top + start + (end - start) * t + sag * 4 * t * (1 - t) * 0.6, patch.top + patch.height - 3)
    points = np.stack([x, y], axis=1).astype(np.int32)
    grey = float(rng.choice([0.05, 0.6, 0.75, 0.9]))
    return Cable(points=points, grey=grey, thickness=int(rng.integers(2, 4)))


def _draw_cable(albedo: Floats, cable: Cable) -> None:
    opencv().polylines(albedo, [cable.points.reshape(-1, 1, 2)], False, cable.grey, cable.thickness)


def _fields(setting: Setting, lamp: Box, rng: np.random.Generator) -> dict[str, Floats]:
    """How strongly each light falls on each part of the picture."""
    width, height = setting.width, setting.height
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    u, v = x / width, y / height
    rows: Floats = (0.75 + 0.25 * np.cos((u - rng.random()) * 9)) * (1.1 - 0.5 * v)
    day = np.clip(1.3 - 1.2 * np.abs(u - (0.1 if rng.random() < 0.5 else 0.9)), 0.1, 1.3) * (0.7 + 0.4 * v)
    emergency = 0.6 * np.exp(-((u - 0.5) ** 2 + (v - 0.1) ** 2) * 3) + 0.15
    away = (x - lamp.left - lamp.width / 2) ** 2 + (y - lamp.top - lamp.height / 2) ** 2
    lit = np.exp(-away / (0.45 * width) ** 2)
    return {
        "ceiling": rows.astype(np.float32), "day": day.astype(np.float32), "emergency": emergency.astype(np.float32),
        "lamp": lit.astype(np.float32),
    }  # fmt: skip
