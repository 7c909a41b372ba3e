"""Trials of cameras on rendered video: enrol, film, tamper, watch. What tests and benchmarks share.

Everything goes through a real encoder and the decoder of the product. Seeds for enrolment, for honest hours and for tampers never
meet.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from inspectorate.evidence.predicate import Origin
from inspectorate.mechanisms.custody.cameras.enrol import enrol
from inspectorate.mechanisms.custody.cameras.enrolment import Enrolment, Known, ready
from inspectorate.mechanisms.custody.cameras.eye import Eye
from inspectorate.mechanisms.custody.cameras.reference import RATE, RING
from inspectorate.mechanisms.custody.cameras.regions import Region, RegionKind, Regions
from inspectorate.mechanisms.custody.cameras.source import Frame, frames_of_stream
from inspectorate.worlds.rack_encoder import Coding, encoded
from inspectorate.worlds.rack_room import Box, Picture, Room, Setting, build_room
from inspectorate.worlds.rack_tampers import EXPECTED, FORGED, Film, Tamper
from inspectorate.worlds.rack_video import Scene, times

ENROLLED_HOURS = ((10.0, 80), (22.0, 80), (7.5, 40), (17.0, 40))
"""Hours of the day, and seconds of each, that an inspector films: lamps on, lamps off, morning and evening light."""
FILMED_RATE = 10.0
LEAD_S = 60.0
"""Honest video before a tamper: what a loop is made of, and what it is found by."""
AFTER_S = 9.0
PIECE_S = 600.0


def regions_of(room: Room, camera: str = "cam-1") -> Regions:
    """What an inspector would draw."""
    found = []
    for number, boxes in enumerate(zip(room.racks, room.doors, room.cabling, strict=True)):
        for kind, box in zip((RegionKind.RACK, RegionKind.DOOR, RegionKind.CABLING), boxes, strict=True):
            found.append(_region(f"rack-{number + 1}", kind, box, room.setting))
    found.append(_region("lamp", RegionKind.LAMP, room.lamp, room.setting))
    return Regions(camera=camera, regions=tuple(found))


def _region(place: str, kind: RegionKind, box: Box, setting: Setting) -> Region:
    left, top, width, height = (round(share, 6) for share in box.share(setting.width, setting.height))
    return Region(place=place, kind=kind, left=left, top=top, width=width, height=height)


def enrolment_film(room: Room, seed: int, rate: float = RATE) -> Iterator[tuple[float, Picture]]:
    """An empty corridor at several hours of the day."""
    begins = 0.0
    for hour, seconds in ENROLLED_HOURS:
        scene = Scene(room=room, seed=seed * 1000 + round(hour * 10), start_hour=hour, people=False)
        for t in times(seconds, rate):
            yield begins + t, scene.picture(t)
        begins += seconds


def through(
    pictures: Iterable[tuple[float, Picture]], rate: float = RATE, coding: Coding | None = None
) -> Iterator[Frame]:
    """Pictures as a watcher gets them: encoded, and decoded again."""
    return frames_of_stream(io.BytesIO(encoded(pictures, coding)), rate=rate, where="rendered")


def enrolled(room: Room, seed: int, rate: float = RATE) -> Enrolment:
    film = through(enrolment_film(room, seed, rate), rate)
    return enrol(film, regions_of(room), rate=rate, origin=Origin.SIMULATED)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What came of one tamper."""

    kind: str
    delay_s: float | None
    """From the tamper to the first event that it should be called; none: not within `AFTER_S`."""
    called: tuple[str, ...]
    """All events that followed."""
    before: int
    """Events before the tamper: false ones."""


def tampered(known: Known, room: Room, kind: str, seed: int) -> Trial:
    """One tamper, at an hour and with a luck that the seed gives."""
    rate = known.enrolment.rate
    # A forger's video is faster than what is looked at, so that first showing and repetition are sampled at different moments.
    filmed = FILMED_RATE if kind in FORGED else rate
    luck = np.random.default_rng([seed, 13])
    loop_s = float(luck.uniform(8, 40))
    # At any moment between two frames that the watcher looks at, and two searches of its history.
    from_s = LEAD_S + float(luck.uniform(0, 1))
    hour = (9.0, 12.5, 15.0, 21.0, 23.5)[seed % 5]
    scene = Scene(room=room, seed=40_000 + seed, start_hour=hour, people=False)
    film = Film(scene=scene, rate=filmed, tamper=Tamper(kind=kind, from_s=from_s, seed=seed, loop_s=loop_s))
    eye = Eye(known, history_s=3600)
    before = 0
    called: list[tuple[float, str]] = []
    for frame in through(film.frames(from_s + AFTER_S), rate):
        for event in eye.see(frame).seen.began:
            if frame.time_s < from_s:
                before += 1
            else:
                called.append((event.noticed_s - from_s, event.kind.value))
    delay = next((at for at, name in called if name in EXPECTED[kind]), None)
    return Trial(kind=kind, delay_s=delay, called=tuple(name for _, name in called), before=before)


@dataclass(kw_only=True)
class HonestHours:
    """Honest video with people, lamps that go on and off, daylight, flicker, insects: piece by piece, one watcher throughout."""

    known: Known
    scene: Scene
    history_s: float = 2 * 86_400.0
    frames: int = 0
    unseen: int = 0
    """Frames in which some place was out of sight, as people stood before it."""
    alarms: list[tuple[str, float]] = field(default_factory=list)
    """Name and hour of the day."""
    people: set[float] = field(default_factory=set)
    switched: set[float] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.eye = Eye(self.known, history_s=self.history_s)
        self.rate = self.known.enrolment.rate

    @property
    def seconds(self) -> float:
        return self.frames / self.rate

    def watch(self, hours: float) -> None:
        """Go on for so long, in whole pieces."""
        for _ in range(math.ceil(hours * 3600 / PIECE_S)):
            begins = self.seconds
            pictures = []
            for t in times(PIECE_S, self.rate, begins):
                pictures.append((t - begins, self.scene.picture(t)))
                self.people.update(one.start_s for one in self.scene.passages)
                self.switched.update(at for at, _ in self.scene.switches)
            for frame in through(pictures, self.rate):
                seen = self.eye.see(Frame(time_s=begins + frame.time_s, grey=frame.grey)).seen
                self.frames += 1
                self.unseen += bool(seen.unseen)
                hour = self.scene.hour(begins + frame.time_s)
                self.alarms += [(event.kind.value, hour) for event in seen.began]


def prepared(setting: Setting, seed: int, rate: float = RATE) -> tuple[Room, Known]:
    """A room, and a camera enrolled in it."""
    room = build_room(setting, seed)
    return room, ready(enrolled(room, seed, rate), RING)
