"""How seals are photographed, and what is done to them: the conditions and attacks of a rendered campaign, by seed.

References are three photographs from about the same place, under a lamp from three sides. New photographs come under one of
`CONDITIONS`, by another camera. An attack changes the scene, and never the way it is photographed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from inspectorate.worlds.seal_photos import CAMERAS, Camera, Make, Seal, Shot, make_door, make_seal
from inspectorate.worlds.seal_photos_render import Scene, flattened, with_part_replaced

Span = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Ranges from which one way of photographing is drawn."""

    tilt: Span = (0.0, 0.35)
    roll: float = 0.15
    fill: Span = (0.42, 0.6)
    elevation: Span = (0.6, 1.2)
    lamp: Span = (0.8, 1.3)
    ambient: Span = (0.45, 0.6)
    exposure: Span = (0.85, 1.15)
    defocus: Span = (0.0, 0.8)
    motion: Span = (0.0, 1.0)


CONDITIONS = {
    "calm": Condition(),
    "oblique": Condition(tilt=(0.45, 0.8)),
    "soft": Condition(defocus=(1.0, 2.4), motion=(1.0, 3.5)),
    "aslant-dim": Condition(
        tilt=(0.3, 0.7), lamp=(0.3, 0.7), ambient=(0.14, 0.3), exposure=(0.7, 1.0), defocus=(0.3, 1.0)
    ),
    "turned-soft": Condition(tilt=(0.1, 0.5), roll=0.8, defocus=(0.8, 2.0), motion=(0.5, 3.0)),
    "side-lamp": Condition(tilt=(0.1, 0.5), elevation=(0.25, 0.55), lamp=(1.5, 2.3), ambient=(0.25, 0.45)),
}
LEARNT = ("calm", "oblique", "soft")
HELD_OUT = ("aslant-dim", "turned-soft", "side-lamp")
LEARNT_CAMERAS, HELD_OUT_CAMERAS = tuple(CAMERAS[k] for k in (0, 2, 3)), tuple(CAMERAS[k] for k in (1, 4))
"""Each part has an angle, a blur and a camera that bends lines; none has a condition or a camera of the other."""


def shot_under(condition: Condition, camera: Camera, rng: np.random.Generator) -> Shot:
    """One way of taking a photograph."""
    tone = rng.normal(1.0, 0.05, 3)
    return Shot(
        camera=camera, tilt=rng.uniform(*condition.tilt), azimuth=rng.uniform(0, 2 * np.pi),
        roll=rng.normal(0, condition.roll), fill=rng.uniform(*condition.fill),
        off=(rng.normal(0, 2.0), rng.normal(0, 2.0)), light_azimuth=rng.uniform(0, 2 * np.pi),
        light_elevation=rng.uniform(*condition.elevation), lamp=rng.uniform(*condition.lamp),
        ambient=rng.uniform(*condition.ambient), exposure=rng.uniform(*condition.exposure),
        white=(float(tone[0]), float(tone[1]), float(tone[2])), defocus_px=rng.uniform(*condition.defocus),
        motion_px=rng.uniform(*condition.motion), seed=int(rng.integers(1 << 31)),
    )  # fmt: skip


def reference_shots(camera: Camera, rng: np.random.Generator) -> list[Shot]:
    """Three shots from one place, with the lamp on three sides."""
    calm = Condition(tilt=(0.0, 0.12), roll=0.05, fill=(0.52, 0.6), defocus=(0.0, 0.3), motion=(0.0, 0.5))
    first = shot_under(calm, camera, rng)
    around = rng.uniform(0, 2 * np.pi)
    return [
        replace(
            first, light_azimuth=around + turn, light_elevation=rng.uniform(0.7, 1.0), tilt=first.tilt + rng.uniform(0, 0.03),
            seed=int(rng.integers(1 << 31)),
        )
        for turn in (0.0, 2.1, 4.2)
    ]  # fmt: skip


def second_shot(first: Shot, rng: np.random.Generator) -> Shot:
    """The challenge: the same seal again, from another angle, with the lamp on the other side."""
    tilt, azimuth = (0.45, first.azimuth + np.pi * rng.uniform(0.8, 1.2)) if first.tilt > 0.2 else (0.5, first.azimuth)
    return replace(
        first, tilt=tilt, azimuth=azimuth, light_azimuth=first.light_azimuth + np.pi * rng.uniform(0.7, 1.3),
        light_elevation=rng.uniform(0.35, 0.7), seed=int(rng.integers(1 << 31)),
    )  # fmt: skip


# --- attacks -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Case:
    """An honest scene, and what an attacker has at hand."""

    scene: Scene
    make: Make
    number: int
    """Seeds of other seals and doors are drawn from it."""
    forger: Shot
    """How the forger photographed the seal, from close and in good light."""


Attack = Callable[[Case, np.random.Generator], Scene]


def case_of(number: int, make: Make, camera: Camera, rng: np.random.Generator) -> Case:
    """A fresh seal on a fresh door."""
    calm = Condition(tilt=(0.0, 0.05), roll=0.02, fill=(0.85, 0.9), defocus=(0.0, 0.2), motion=(0.0, 0.0))
    return Case(
        scene=Scene(door=make_door(number), seal=make_seal(number, make)), make=make, number=number,
        forger=replace(shot_under(calm, camera, rng), off=(0.0, 0.0)),
    )  # fmt: skip


def other_seal(case: Case) -> Seal:
    """Another seal of the same make, from the same roll."""
    other = make_seal(case.number + 500_000, case.make)
    return replace(other, base=case.scene.seal.base)


def _other(case: Case, rng: np.random.Generator) -> Scene:
    return replace(case.scene, seal=other_seal(case))


def _printed(case: Case, rng: np.random.Generator) -> Scene:
    return replace(case.scene, flat=flattened(case.scene, case.forger))


def _screen(case: Case, rng: np.random.Generator) -> Scene:
    return replace(case.scene, flat=flattened(case.scene, case.forger), screen_mm=float(rng.uniform(0.06, 0.27)))


def _lifted(case: Case, rng: np.random.Generator) -> Scene:
    far, way = rng.uniform(0.8, 3.0), rng.uniform(0, 2 * np.pi)
    return replace(
        case.scene, moved_mm=(float(far * np.cos(way)), float(far * np.sin(way))), turned=float(rng.normal(0, 0.03)),
        stretch=float(rng.normal(0, 0.006)),
    )  # fmt: skip


def _cut(case: Case, rng: np.random.Generator) -> Scene:
    return replace(
        case.scene, cut=(float(rng.uniform(0, np.pi)), float(rng.uniform(-8, 8)), float(rng.uniform(0.25, 0.9)))
    )


def _part(case: Case, rng: np.random.Generator) -> Scene:
    seal = with_part_replaced(
        case.scene.seal, other_seal(case), angle=float(rng.uniform(0, 2 * np.pi)), share=float(rng.uniform(0.1, 0.4))
    )
    return replace(case.scene, seal=seal)


def _elsewhere(case: Case, rng: np.random.Generator) -> Scene:
    return replace(case.scene, door=make_door(case.number + 700_000))


ATTACKS: dict[str, Attack] = {
    "another seal": _other,
    "printed photograph": _printed,
    "screen": _screen,
    "lifted and put back": _lifted,
    "cut through": _cut,
    "part replaced": _part,
    "on another door": _elsewhere,
}
