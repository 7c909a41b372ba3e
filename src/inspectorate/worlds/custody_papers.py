"""Round trips to a device, and what a camera's watcher tells: payloads made by the real code, of things that nobody measured.

A round trip takes the way there and back at two thirds of the speed of light, half as long again for detours, and half a
millisecond for the device. Landmarks of the verifier stand beside each site, and around.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from typing import Final

from inspectorate.canonical import digest_of
from inspectorate.declaration import Position
from inspectorate.evidence import CameraEvent, CameraWatched, Origin, RoundTripsMeasured
from inspectorate.keys import LandmarkAnchor
from inspectorate.mechanisms.custody.cameras.written import (
    MS,
    EventLine,
    FramesLine,
    Head,
    UnseenLine,
    Written,
    write,
)
from inspectorate.mechanisms.custody.clusters.nearby import distance_m
from inspectorate.mechanisms.custody.location.protocol import answer, ask, read_answer
from inspectorate.mechanisms.custody.location.record import OfLandmark, Ping, RoundTrips
from inspectorate.quantities import Period, to_ns
from inspectorate.worlds.custody_plans import CameraPlan, LocatedPlan
from inspectorate.worlds.custody_script import Script
from inspectorate.worlds.custody_site import POSITIONS, SITES
from inspectorate.worlds.seal import key_of

LANDMARKS: Final = {
    "landmark-south": Position(latitude_deg=60.1, longitude_deg=10.1),
    "landmark-north": Position(latitude_deg=64.1, longitude_deg=12.1),
    "landmark-west": Position(latitude_deg=62.0, longitude_deg=5.5),
    "landmark-far": Position(latitude_deg=42.5, longitude_deg=10.5),
}
"""Beside each site, and far from both."""
METRES_PER_S: Final = 2.0e8
DETOUR: Final = 1.5
DEVICE_S: Final = 0.5e-3
PINGS: Final = 3
METRES_PER_DEGREE: Final = 111_195.0
FRAMES_PER_S: Final = 1.0
CHALLENGED_EVERY_S: Final = 50.0
_ENROLMENT: Final = digest_of(b"simulated: the enrolment of a camera")


def landmarks() -> tuple[LandmarkAnchor, ...]:
    """As the reviewer knows them."""
    return tuple(
        LandmarkAnchor(name=name, latitude_deg=at.latitude_deg, longitude_deg=at.longitude_deg)
        for name, at in sorted(LANDMARKS.items())
    )


def tell_cameras(script: Script) -> None:
    for one in script.cameras:
        _tell_camera(script, one)


def _tell_camera(script: Script, one: CameraPlan) -> None:
    previous: str | None = None
    for number, period in enumerate(one.segments):
        middle = number == len(one.segments) // 2
        length_ms = round(period.duration_s * MS)
        hidden_ms = min(length_ms, round(one.covered_s * MS)) if middle else 0
        written = Written(
            head=Head(camera=one.reporter, enrolment=_ENROLMENT, rate=FRAMES_PER_S, start=period.start, end=period.end),
            frames=(_frames(length_ms),),
            unseen=(UnseenLine(places=one.places, from_ms=0, to_ms=hidden_ms),) if hidden_ms else (),
            events=tuple(_events(one, middle, hidden_ms)),
        )
        challenges = math.ceil(period.duration_s / CHALLENGED_EVERY_S)
        said = CameraWatched(
            origin=Origin.SIMULATED,
            reporter=one.reporter,
            period=period,
            places=one.places,
            sequence=number,
            previous=previous,
            final=number == len(one.segments) - 1,
            video=digest_of(f"simulated video {script.seed} {one.reporter} {number}".encode()),
            frames=written.frame_count,
            unseen_s=written.unseen_s(),
            events=written.event_counts(),
            challenges=challenges,
            answered=0 if middle and one.replayed else challenges,
        )
        if middle and one.dropped:
            previous = digest_of(said.canonical_bytes())
            continue
        previous = script.say(said, script.cameras_key, watch=write(written))


@cache
def _frames(length_ms: int) -> FramesLine:
    """One in every so many seconds, of lamps that nobody looked at."""
    at_ms = tuple(range(0, length_ms, round(MS / FRAMES_PER_S)))
    return FramesLine(at_ms=at_ms, bits="0" * 16 * len(at_ms), visible="0" * 16 * len(at_ms))


def _events(one: CameraPlan, middle: bool, hidden_ms: int) -> Iterator[EventLine]:
    if hidden_ms:
        yield _event(CameraEvent.COVERED, hidden_ms)
    if middle and one.replayed:
        yield _event(CameraEvent.REPLAYED, None)


def _event(kind: CameraEvent, to_ms: int | None) -> EventLine:
    return EventLine(
        event=kind, places=(), from_ms=0, noticed_ms=2 * MS, to_ms=to_ms, continued=False, score=1.0, threshold=0.5
    )


def tell_located(script: Script) -> None:
    for one in script.located:
        _tell_located(script, one)


def _tell_located(script: Script, one: LocatedPlan) -> None:
    start = one.at
    declared = POSITIONS[SITES.index(one.site)]
    true = declared.model_copy(update={"latitude_deg": declared.latitude_deg - one.away_m / METRES_PER_DEGREE})
    key = key_of(script.seed, "another device") if one.forged else script.device_keys[one.site]
    listed = []
    for name, at in sorted(LANDMARKS.items()):
        way_s = 2 * DETOUR * distance_m(at, true) / METRES_PER_S + DEVICE_S
        pings = []
        for number in range(PINGS):
            told = f"simulated nonce {script.seed} {one.reporter} {one.at} {name} {number}"
            nonce = hashlib.sha256(told.encode()).digest()
            took_ns = round(way_s * 1e9 * (1 + 0.1 * number))
            sent_ns = to_ns(start) + number * 100_000_000
            answered = read_answer(answer(key, ask(nonce)) or b"")
            assert answered is not None
            pings.append(
                Ping(
                    nonce=nonce.hex(),
                    sent_ns=str(sent_ns),
                    received_ns=str(sent_ns + took_ns),
                    round_trip_ns=took_ns,
                    signature=answered[1].hex(),
                )
            )
        listed.append(OfLandmark(landmark=name, pings=tuple(pings)))
    record = RoundTrips(device=one.reporter, landmarks=tuple(listed))
    script.say(
        RoundTripsMeasured(
            origin=Origin.SIMULATED,
            by=one.by,
            reporter=one.reporter,
            landmarks=len(listed),
            period=Period(start=start, end=start + timedelta(seconds=2)),
        ),
        script.inspectors[one.by],
        **{"round-trips": record.canonical_bytes()},
    )
