"""Seal photographs on rendered pairs, with seals, cameras and conditions held out: `python -m bench seal_photos`.

On every door two seals of one make are photographed: three references each, then photographs under drawn conditions. Every new
photograph is compared with the references of the seal it shows (same) and of the other one (other), on the same door. Attacks are
made on one of the two. Doors below `LEARNT_DOORS` are learnt from, by cameras a, c and d under conditions of their own; the others
are measured on, by cameras b and e under conditions that were not learnt.

Everything is rendered (`worlds.seal_photos`); nothing was photographed. Peers on the same pairs, on the same registration where
they need one: normalised correlation, SSIM, a perceptual hash, a count of ORB matches.

Exits 1 where the equal-error rate exceeds `EER_MAX`, or where a peer does better. `--write` writes the calibration that these pairs
give.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from itertools import repeat
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.seal_photos_peers import peers
from bench.seal_photos_table import EER_MAX, show
from inspectorate.mechanisms.custody.seals.aligning import features_of
from inspectorate.mechanisms.custody.seals.challenge import challenged
from inspectorate.mechanisms.custody.seals.comparing import Compared, Reference, Unclear, compare, reference_of
from inspectorate.mechanisms.custody.seals.photo import Photo, decode
from inspectorate.worlds.seal_photos import Make, Shot
from inspectorate.worlds.seal_photos_render import Scene, photograph
from inspectorate.worlds.seal_photos_shots import (
    ATTACKS,
    CONDITIONS,
    HELD_OUT,
    HELD_OUT_CAMERAS,
    LEARNT,
    LEARNT_CAMERAS,
    Case,
    case_of,
    other_seal,
    reference_shots,
    second_shot,
    shot_under,
)

LEARNT_DOORS, DOORS, PHOTOS = 48, 120, 3
MAKES = (Make.GLITTER, Make.FIBRES, Make.GLITTER, Make.GRAINS, Make.GLITTER, Make.TAPE)
Row = dict[str, Any]


class Door:
    """One door with its two seals, and how it is photographed."""

    def __init__(self, number: int, learnt_doors: int) -> None:
        self.number, self.learnt = number, number < learnt_doors
        self.rng = np.random.default_rng([number, 99])
        self.cameras = LEARNT_CAMERAS if self.learnt else HELD_OUT_CAMERAS
        self.conditions = LEARNT if self.learnt else HELD_OUT
        self.make = MAKES[number % len(MAKES)]
        self.case: Case = case_of(number, self.make, self.cameras[0], self.rng)
        other = replace(self.case.scene, seal=other_seal(self.case))
        self.scenes = (self.case.scene, other)

    def references(self) -> list[Reference]:
        camera = self.cameras[self.number % len(self.cameras)]
        return [
            reference_of(
                [decode(photograph(scene, shot), where="reference") for shot in reference_shots(camera, self.rng)]
            )
            for scene in self.scenes
        ]

    def shot(self) -> tuple[str, Shot]:
        name = self.conditions[int(self.rng.integers(len(self.conditions)))]
        camera = self.cameras[int(self.rng.integers(len(self.cameras)))]
        return name, shot_under(CONDITIONS[name], camera, self.rng)

    def row(self, truth: str, condition: str, shot: Shot) -> Row:
        return {
            "door": self.number, "learnt": self.learnt, "make": self.make.value, "truth": truth, "condition": condition,
            "camera": shot.camera.name,
        }  # fmt: skip


def rows_of(number: int, photos: int, learnt_doors: int) -> list[Row]:
    """All comparisons of one door."""
    cv2.setNumThreads(1)
    door = Door(number, learnt_doors)
    references = door.references()
    rows = list(_pairs(door, references, photos))
    rows += _attacks(door, references[0])
    return rows


def _pairs(door: Door, references: list[Reference], photos: int) -> Iterator[Row]:
    for turn in range(photos):
        for which in (0, 1):
            name, shot = door.shot()
            photo = decode(photograph(door.scenes[which], shot), where="new")
            features = features_of(photo)
            for against in (0, 1):
                begun = time.process_time()
                found = compare(references[against], photo, features)
                took = time.process_time() - begun
                row = door.row("same" if which == against else "other", name, shot) | {"took_s": took}
                row |= _said(found) | peers(references[against], photo, found)
                if turn == 0 and which == against == 0:
                    row |= _second(door, references[0], door.scenes[0], shot, found)
                yield row


def _attacks(door: Door, reference: Reference) -> Iterator[Row]:
    for name, attack in ATTACKS.items():
        if name == "another seal":
            continue  # that is what "other" is
        condition, shot = door.shot()
        scene = attack(door.case, door.rng)
        found = compare(reference, decode(photograph(scene, shot), where="new"))
        row = door.row(name, condition, shot) | _said(found)
        if scene.flat is not None:
            row |= _second(door, reference, scene, shot, found)
        yield row


def _second(door: Door, reference: Reference, scene: Scene, shot: Shot, first: Compared | Unclear) -> Row:
    """The challenge: another photograph of the same, and what changed."""
    photo: Photo = decode(photograph(scene, second_shot(shot, door.rng)), where="second")
    second = compare(reference, photo)
    if isinstance(first, Unclear) or isinstance(second, Unclear):
        return {"challenged": True}
    found = challenged(first, second)
    return {"challenged": True, "changed": found.changed, "angle": found.angle}


def _said(found: Compared | Unclear) -> Row:
    return {"unclear": found.why.value} if isinstance(found, Unclear) else {"measures": asdict(found.measures)}


def main() -> int:
    """Render, compare, print; whether it is as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--doors", type=int, default=DOORS)
    parser.add_argument("--learnt-doors", type=int, default=LEARNT_DOORS)
    parser.add_argument("--photos", type=int, default=PHOTOS)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--rows", type=Path, help="keep here what was measured of each door, and do not measure it again"
    )
    parser.add_argument("--write", type=Path, help="write the calibration here")
    given = parser.parse_args()
    return show(_all_rows(given), write=given.write)


def _all_rows(given: argparse.Namespace) -> list[Row]:
    rows: list[Row] = []
    if given.rows and given.rows.exists():
        rows = [json.loads(line) for line in given.rows.read_text().splitlines()]
    done = {row["door"] for row in rows}
    # Both parts from the start, so that what is kept can be looked at before all is done.
    share = given.learnt_doors / given.doors
    order = sorted(
        range(given.doors),
        key=lambda n: n / share if n < given.learnt_doors else (n - given.learnt_doors) / (1 - share),
    )
    doors = [one for one in order if one not in done]
    with ProcessPoolExecutor(given.processes) as pool:
        for found in pool.map(rows_of, doors, repeat(given.photos), repeat(given.learnt_doors)):
            rows += found
            if given.rows:
                with given.rows.open("a") as file:
                    file.writelines(json.dumps(row) + "\n" for row in found)
    return [row for row in rows if row["door"] < given.doors]


__all__ = ["EER_MAX", "main", "rows_of"]

if __name__ == "__main__":
    sys.exit(main())
